"""`selfhost verify`: a prediction compared with a real run, by its log or its process."""

from __future__ import annotations

from collections.abc import Sequence

from ..advice.run_record import Run
from ..advice.runs import read_log, run_of, run_of_process
from ..advice.verify import verify
from ..catalogue.index import Catalogue, open_catalogue
from ..catalogue.names import id_of
from ..core.errors import InputError, Problem
from ..core.files import LARGE, Unreadable, input_name, input_path
from ..core.records import shown
from ..reports import json
from ..reports.verify_text import verify_document
from .asked import measured_where_unknown, one_machine
from .output import present, write_json
from .parser import Options
from .progress import Progress
from .texts import help_texts

_LAST_PART = "give its last part: tail -c 32M LOG | selfhost verify -"


class VerifyOptions(Options):
    """The options of `verify`; `files` has one file or the id of one process."""

    files: list[str]
    model: str | None


def run(words: Sequence[str]) -> int:
    """Compare a prediction with a run. The exit code follows from the figures of the run."""
    options = VerifyOptions.read("verify", words)
    catalogue = open_catalogue(options.specs)
    seen = _run_named(options.files[0], catalogue)
    machine = one_machine(options)
    machine = measured_where_unknown(options, machine)
    comparison = verify(seen, catalogue, machine, options.model)
    if options.format == "json":
        write_json(options, json.verification(comparison))
    else:
        present(options, verify_document(comparison))
    return comparison.exit_code


def _run_named(named: str, catalogue: Catalogue) -> Run:
    """The run of a process id, of a log file, or of standard input. Raises `InputError`."""
    if named.isdecimal() and named.isascii():
        return run_of_process(named)
    try:
        with Progress("reading the log", are_bytes=True) as tell:
            text = read_log(input_path(named), tell)
        seen = run_of(text)
    except Unreadable as error:
        raise _unread_log(named, error, catalogue) from None
    if seen is None:
        reason = "holds no figures of a run that selfhost reads"
        raise _no_run(named, reason, help_texts().runs)
    return seen


def _unread_log(
    named: str,
    error: Unreadable,
    catalogue: Catalogue,
) -> InputError:
    """The error for a log that cannot be read, or for the name of a model in its place."""
    reason = error.reason
    if id_of(named, catalogue) is not None:
        reason = "is a model: name a log or a process"
    remedy = error.remedy or help_texts().runs
    if error.kind == LARGE:
        remedy = _LAST_PART
    return _no_run(named, reason, remedy)


def _no_run(
    named: str,
    reason: str,
    remedy: str,
) -> InputError:
    file = shown(input_name(named))
    problem = Problem(file=file, message=reason, remedy=remedy)
    return InputError([problem])
