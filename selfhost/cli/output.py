"""Where a report goes: standard output, a terminal or a file; and the notes beside it."""

from __future__ import annotations

import errno
import os
import sys

from ..core.errors import Faults
from .errors import UsageError, abandon, to_standard_error
from .terminal import columns, in_width, stated, wants_color

TYPE_CHECKING = False

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from ..catalogue.index import Catalogue
    from ..reports.layout import Document

_TO_A_FILE = "--output FILE writes the report to a file"


def deliver(options: argparse.Namespace, text: str | Iterable[str | bytes]) -> None:
    """Write a report to --output, else to standard output; then the notes on what was typed. A long
    text may be given in pieces.
    """
    if options.output is not None:
        write_file(options.output, text)
    else:
        for piece in (text,) if isinstance(text, str) else text:
            write(str(piece))
    _write_notes(options)


def present(options: argparse.Namespace, document: Document) -> None:
    """Write a document for a person, drawn on a terminal, plain in a pipe or file, where
    FORCE_COLOR adds colour and COLUMNS the width of a pipe's lines; then the notes.
    """
    from ..reports.layout import plain

    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    color = wants_color(sys.stdout, no_color=options.no_color)
    width = columns() if is_terminal else stated("COLUMNS") or None
    if options.output is not None:
        write_file(options.output, plain(document))
    elif sys.stdout is not None and (is_terminal or color):
        from ..reports.terminal import print_document

        try:
            print_document(document, sys.stdout, width, color, bars=is_terminal)
        except OSError as error:
            _unwritable(error)
    else:
        encoding = None if sys.stdout is None else sys.stdout.encoding
        write(plain(document, width, encoding=encoding))
    _write_notes(options)


def _write_notes(options: argparse.Namespace) -> None:
    """Write what else the name of a machine or a GPU can mean."""
    for text in getattr(options, "notes", ()):
        note(text)


def write(text: str) -> None:
    """Write to standard output. Raises `UsageError` where there is none, or it takes nothing."""
    if sys.stdout is None:
        raise UsageError("there is no standard output", remedy=_TO_A_FILE)
    try:
        try:
            sys.stdout.write(text)
        except UnicodeEncodeError:
            encoding = sys.stdout.encoding or "ascii"
            sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    except OSError as error:
        _unwritable(error)


def write_file(path: str, text: str | Iterable[str | bytes]) -> None:
    """Write a report where the user asked for it, whole or not at all. Raises `WriteError`."""
    from ..core.writing import write_whole

    write_whole([(path, text)])


def note(text: str) -> None:
    """Write a remark to standard error, after what of the answer is written so far."""
    flush()
    from ..reports.layout import clean

    lines = "".join(f"{clean(line)}\n" for line in f"note: {text}".splitlines())
    to_standard_error(lines if sys.stderr is None else in_width(lines, sys.stderr))


def tell_left_aside(catalogue: Catalogue) -> None:
    """Note what is wrong with the user's own specs, where the answer has no place for it."""
    if catalogue.own_faults and sys.stderr is not None:
        from ..reports.text import problems_text

        problems = Faults("--specs", catalogue.own_faults).problems
        faults = problems_text(problems, encoding=sys.stderr.encoding)
        note(f"ignored these spec files because of errors:\n{faults}")


def flush() -> None:
    """Write out standard output's buffer."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        _unwritable(error)


def _unwritable(error: OSError) -> None:
    """Drop what follows on standard output. Raises `UsageError`, but for a pipe whose reader has
    gone: it had what it wanted, and the exit code stays that of the answer.
    """
    abandon(sys.stdout)
    # a pipe whose reader has gone is EINVAL on Windows
    if isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL):
        return
    reason = f"standard output cannot be written: {error.strerror or error}"
    raise UsageError(reason, remedy=_TO_A_FILE) from None
