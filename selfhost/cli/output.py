"""Where a report goes: standard output, a terminal or a file; and the notes beside it."""

from __future__ import annotations

import errno
import os
import sys

from ..core.errors import Faults
from .errors import UsageError, abandon, in_width, stated_columns, to_standard_error, wants_color

TYPE_CHECKING = False

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from ..catalogue.index import Catalogue
    from ..reports.layout import Document


def deliver(options: argparse.Namespace, text: str | Iterable[str | bytes]) -> None:
    """To --output, else to standard output; then the notes on what was typed. A long text may be
    given in pieces.
    """
    if options.output is None:
        for piece in (text,) if isinstance(text, str) else text:
            write(str(piece))
    else:
        write_file(options.output, text)
    _tell_notes(options)


def present(options: argparse.Namespace, document: Document) -> None:
    """A document for a person: drawn on a terminal, plain in a pipe or file, where FORCE_COLOR
    adds colour and COLUMNS the width of a pipe's lines, and nothing else. Then the notes on what
    was typed.
    """
    _present(options, document)
    _tell_notes(options)


def _tell_notes(options: argparse.Namespace) -> None:
    """What else the name of a machine or a GPU can mean, after the answer."""
    for text in getattr(options, "notes", ()):
        note(text)


def _present(options: argparse.Namespace, document: Document) -> None:
    from ..reports.layout import plain

    if options.output is not None:
        write_file(options.output, plain(document))
        return
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    color = wants_color(sys.stdout, no_color=options.no_color)
    width = columns() if is_terminal else stated_columns()
    if sys.stdout is not None and (is_terminal or color):
        from ..reports.terminal import print_document

        try:
            print_document(document, sys.stdout, width, color, bars=is_terminal)
        except OSError as error:
            unwritable(error)
    else:
        encoding = None if sys.stdout is None else sys.stdout.encoding
        write(plain(document, width, encoding=encoding))


def write(text: str) -> None:
    """To standard output; `UsageError` where there is none or it takes nothing."""
    if sys.stdout is None:
        raise UsageError(
            "there is no standard output", remedy="--output FILE writes the report to a file"
        )
    try:
        try:
            sys.stdout.write(text)
        except UnicodeEncodeError:
            encoding = sys.stdout.encoding or "ascii"
            sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    except OSError as error:
        unwritable(error)


def write_file(path: str, text: str | Iterable[str | bytes]) -> None:
    """Write a report where the user asked for it, whole or not at all; `WriteError` where that
    cannot be.
    """
    from ..core.writing import write_whole

    write_whole([(path, text)])


def note(text: str) -> None:
    """A remark beside the answer, after what of it is written so far; where nobody reads it the
    answer stands.
    """
    flush()
    from ..reports.layout import clean

    lines = "".join(f"{clean(line)}\n" for line in f"note: {text}".splitlines())
    to_standard_error(lines if sys.stderr is None else in_width(lines, sys.stderr))


def tell_left_aside(catalogue: Catalogue) -> None:
    """What is wrong with the user's own specs, to standard error, where the answer itself has
    no place for it.
    """
    if catalogue.own_faults and sys.stderr is not None:
        from ..reports.text import problems_text

        faults = Faults("--specs", catalogue.own_faults)
        note(
            "left aside, for this is wrong:\n"
            + problems_text(faults.problems, encoding=sys.stderr.encoding)
        )


def flush() -> None:
    if sys.stdout is not None:
        try:
            sys.stdout.flush()
        except OSError as error:
            unwritable(error)


def unwritable(error: OSError) -> None:
    """Standard output takes nothing more: what follows is dropped. `UsageError`, but for a pipe
    whose reader has gone: it had what it wanted, and whether it goes before the last write is
    chance, so the exit code stays that of the answer.
    """
    abandon(sys.stdout)
    # a pipe whose reader has gone is EINVAL on Windows
    if isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL):
        return
    raise UsageError(
        f"standard output cannot be written: {error.strerror or error}",
        remedy="--output FILE writes the report to a file",
    ) from None


def screen() -> tuple[int, int] | None:
    """Columns and lines of the terminal that standard output is; None where it is none."""
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    written = os.environ.get("LINES", "")
    lines = int(written) if written.isascii() and written.isdecimal() and len(written) < 9 else 0
    try:
        lines = lines or os.get_terminal_size(sys.stdout.fileno()).lines
    except (OSError, ValueError, AttributeError):
        return None
    return (columns(), lines) if lines > 0 else None


def columns() -> int:
    if stated := stated_columns():
        return stated
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except (OSError, ValueError, AttributeError):
        return 80


def help_width() -> int:
    """Columns of what `--help` prints."""
    return max(40, min(100, columns()))
