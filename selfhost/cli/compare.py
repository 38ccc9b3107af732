"""`selfhost compare`: models side by side on one machine."""

from __future__ import annotations

from collections.abc import Sequence

from ..advice.several import comparison, in_one_type
from ..catalogue.index import open_catalogue
from ..reports import json
from ..reports.compare_text import compare_document
from .asked import one_machine, options_to_repeat, workload_of
from .models import judge_models, names_in
from .output import one_error, present, write_json
from .parser import Options


class CompareOptions(Options):
    """The options of `compare`."""

    model: str
    others: list[str]


def run(words: Sequence[str]) -> int:
    """Compare the models. Return the exit code 0, whatever the routes are.

    Raises the errors of all names that are no models, and `UsageError` for a single name.
    """
    options = CompareOptions.read("compare", words)
    names = names_in(options, [options.model, *options.others])
    if len(names) < 2:
        from .corrections import missing_words

        # several words that name one model
        raise missing_words("compare")
    machine = one_machine(options)
    # the options behind each command that the answer proposes
    carry = options_to_repeat(options)
    answers = judge_models(options, names, [machine], carry=carry)
    if answers.errors:
        raise one_error(answers.errors)
    workload = workload_of(options)
    catalogue = open_catalogue(options.specs)
    verdicts = in_one_type(catalogue, names, answers.verdicts, workload, carry)
    compared = comparison(verdicts, workload, carry)
    if options.format == "json":
        write_json(options, json.record(compared))
    else:
        present(options, compare_document(compared, verbose=options.verbose))
    return 0
