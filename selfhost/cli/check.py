"""`selfhost check`: can each model be downloaded and run, or is an API the practical route?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..catalogue.index import open_catalogue
from ..core.units import utc_today
from ..judge import exit_code
from .asked import machines_of, options_to_repeat, workload_of
from .models import judge_models, names_in
from .output import (
    complain_of_names,
    draw,
    note_faulty_specs,
    one_error,
    present,
    write,
    write_json,
)
from .parser import Options

if TYPE_CHECKING:
    from ..judge.record import Verdict
    from ..reports.layout import Block

# With more models than this, the answer is one table whose rows are written as soon as each is
# known, so that the widths of columns cannot depend on the rows.
_MOST_AT_ONCE = 20


class CheckOptions(Options):
    """The options of `check`."""

    models: list[str]


def run(words: Sequence[str]) -> int:
    """Judge each model on each machine. The exit code follows from the routes of all verdicts."""
    options = CheckOptions.read("check", words)
    names = list(dict.fromkeys(names_in(options, options.models)))
    is_for_reader = options.format == "text" and options.output is None
    rows_are_told = is_for_reader and len(names) > _MOST_AT_ONCE
    write_row = _row_writer(options, names) if rows_are_told else None
    answers = judge_models(
        options,
        names,
        machines_of(options),
        write_row,
        carry=options_to_repeat(options),
    )
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
        _present(
            options,
            answers.by_machine,
            len(answers.errors),
            rows_are_told=rows_are_told,
        )
        if len(verdicts) > 1:
            # the document of a single model has its own note
            note_faulty_specs(open_catalogue(options.specs))
    complain_of_names(options, answers.errors, code)
    return code


def _row_writer(
    options: CheckOptions, names: Sequence[str]
) -> Callable[[Verdict], None]:
    """A function that writes the row of one of many models."""
    from ..reports.several_text import told_row

    name_width = max(map(len, names))

    def write_row(verdict: Verdict) -> None:
        draw(options, [told_row(verdict, name_width)])
        write(flush=True)

    return write_row


def _present(
    options: CheckOptions,
    by_machine: Sequence[Sequence[Verdict]],
    unjudged: int,
    *,
    rows_are_told: bool,
) -> None:
    """Write the answer for each machine. The names in `unjudged` have no answer."""
    from ..reports.check_text import check_document
    from ..reports.layout import line as empty_line
    from ..reports.words import Asked

    if rows_are_told:
        write("\n")
    asked = Asked(
        options=workload_of(options).options() + options_to_repeat(options),
        today=utc_today(),
        unjudged=unjudged,
        rows_are_told=rows_are_told,
    )
    blocks: list[Block] = []
    for verdicts in by_machine:
        if not verdicts:
            continue
        blocks += check_document(verdicts, asked, verbose=options.verbose)
        blocks.append(empty_line())
    present(options, blocks)
