"""`selfhost compare`: models side by side on one machine."""

from __future__ import annotations

from collections.abc import Sequence

from ..advice.several import comparison, in_one_type
from ..catalogue.index import open_catalogue
from ..core.errors import UsageError
from ..judge.record import Verdict
from ..reports import json
from ..reports.compare_text import compare_document
from .asked import one_machine, options_to_repeat, workload_of
from .models import judge_models, names_in
from .output import one_error, present, write_json
from .parser import Options
from .texts import help_texts


class CompareOptions(Options):
    """The options of `compare`."""

    model: str
    others: list[str]


def run(words: Sequence[str]) -> int:
    """Compare the models. Return the exit code 0, whatever the routes are.

    Raises the errors of all names that are no models, and `UsageError` where all names mean one
    model.
    """
    options = CompareOptions.read("compare", words)
    names = names_in(options, [options.model, *options.others])
    machine = one_machine(options)
    # the options behind each command that the answer proposes
    carry = options_to_repeat(options)
    answers = judge_models(options, names, [machine], carry=carry)
    if answers.errors:
        raise one_error(answers.errors)
    workload = workload_of(options)
    catalogue = open_catalogue(options.specs)
    verdicts = in_one_type(catalogue, names, answers.verdicts, workload, carry)
    compared = comparison(_different(verdicts, names), workload, carry)
    if options.format == "json":
        write_json(options, json.record(compared))
    else:
        present(options, compare_document(compared, verbose=options.verbose))
    return 0


def _different(verdicts: Sequence[Verdict], names: Sequence[str]) -> list[Verdict]:
    """The verdicts, one for each model: several names may mean one. Raises `UsageError` where all
    names do.
    """
    by_model = {(verdict.model.id, verdict.workload): verdict for verdict in verdicts}
    different = list(by_model.values())
    if len(different) < 2:
        typed = list(dict.fromkeys(names))
        verb = "is" if len(typed) == 1 else "are"
        raise UsageError(
            f"{' and '.join(typed)} {verb} one model, {different[0].model.id}",
            remedy=help_texts().missing["compare"],
        )
    return different
