"""`selfhost check`: one model or several on one machine or several."""

from __future__ import annotations

from ..judge import exit_code
from .options import judge_each, machines_of, options_to_repeat, workload_of
from .output import complain, deliver, flush, present, together
from .parser import parse

TYPE_CHECKING = False

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ..judge.record import Verdict


def run(words: list[str]) -> int:
    """Judge each model on each machine."""
    options = parse("check", words)
    names = _names(options.models)
    by_machine, errors = judge_each(options, names, machines_of(options))
    verdicts = [verdict for part in by_machine for verdict in part]
    if not verdicts:
        raise together(errors)
    if options.format == "json":
        from ..reports import json

        deliver(options, json.dumps(json.check(verdicts, errors)))
    else:
        _present(options, by_machine)
    code = exit_code((verdict.route for verdict in verdicts), no_answer=bool(errors))
    if errors:
        flush()
        complain(together(errors), code, options.format == "json")
    return code


def _names(words: list[str]) -> list[str]:
    """The models that were named; several words may be one command: `ollama run llama3.2`."""
    if len(words) > 1:
        from ..catalogue.pasted import named_in_command

        line = " ".join(words)
        if named_in_command(line):
            return [line]
    return list(dict.fromkeys(words))


def _present(options: argparse.Namespace, by_machine: Sequence[Sequence[Verdict]]) -> None:
    """Print the verdicts, machine by machine."""
    from ..core.units import utc_today
    from ..reports.check_text import check_document
    from ..reports.layout import BLANK, Document

    documents = [
        check_document(
            verdicts,
            verbose=options.verbose,
            carry=options_to_repeat(options),
            workload_options=workload_of(options).options(),
            today=utc_today(),
        )
        for verdicts in by_machine
        if verdicts
    ]
    blocks = (block for document in documents for block in (*document.blocks, BLANK))
    present(options, Document(blocks=tuple(blocks)))
