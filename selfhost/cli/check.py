"""`selfhost check`: can each model be downloaded and run, or is an API the practical route?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..catalogue.index import open_catalogue
from ..core.units import utc_today
from ..judge import exit_code
from .asked import machines_of, options_to_repeat, workload_of
from .models import Answers, judge_models, names_in
from .output import (
    complain_of_names,
    note_faulty_specs,
    one_error,
    present,
    write_json,
)
from .parser import Options

if TYPE_CHECKING:
    from ..reports.layout import Block


class CheckOptions(Options):
    """The options of `check`."""

    models: list[str]


def run(words: Sequence[str]) -> int:
    """Judge each model on each machine. The exit code follows from the routes of all verdicts."""
    options = CheckOptions.read("check", words)
    names = list(dict.fromkeys(names_in(options, options.models)))
    carry = options_to_repeat(options)
    answers = judge_models(options, names, machines_of(options), carry=carry)
    verdicts = answers.verdicts
    if not verdicts:
        raise one_error(answers.errors)
    code = exit_code(
        (verdict.route for verdict in verdicts), no_answer=bool(answers.errors)
    )
    if options.format == "json":
        # only the report that is written is imported: programs start many checks
        from ..reports import json

        write_json(options, json.check(verdicts, answers.errors))
    else:
        _present(options, answers)
        if len(verdicts) > 1:
            # the document of a single model has its own note
            note_faulty_specs(open_catalogue(options.specs))
    complain_of_names(options, answers.errors, code)
    return code


def _present(options: CheckOptions, answers: Answers) -> None:
    """Write the answer for each machine."""
    from ..reports.check_text import check_document
    from ..reports.layout import line as empty_line
    from ..reports.words import CommandLine

    asked = CommandLine(
        options=workload_of(options).options() + options_to_repeat(options),
        today=utc_today(),
        unjudged=len(answers.errors),
    )
    blocks: list[Block] = []
    for verdicts in answers.by_machine:
        if not verdicts:
            continue
        blocks += check_document(verdicts, asked, verbose=options.verbose)
        blocks.append(empty_line())
    present(options, blocks)
