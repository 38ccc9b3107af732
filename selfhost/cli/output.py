"""What the command writes: the report to a file or standard output, what went wrong to standard
error, in the colour and width that the terminal and the environment state.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Mapping, Sequence

from ..core.errors import MAX_PROBLEMS, Faults, InputError, Problem, SelfhostError

TYPE_CHECKING = False

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable
    from typing import TextIO

    from ..catalogue.index import Catalogue
    from ..reports.layout import Document


# in less there is no use in breaking lines
_NARROWEST = 20
_USUAL_COLUMNS = 80


def wants_color(stream: TextIO | None, *, no_color: bool) -> bool:
    """Whether a stream gets colour. NO_COLOR and --no-color forbid it (no-color.org), FORCE_COLOR
    asks for it where there is no terminal, as in the log of a CI job (force-color.org); either
    counts unless it is empty, and FORCE_COLOR unless it is 0.
    """
    if no_color or os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def stated(name: str) -> int:
    """Return what COLUMNS or LINES states; 0 for what is no number."""
    text = os.environ.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else 0


def columns() -> int:
    """Return the width of standard output."""
    return stated("COLUMNS") or _size_of(sys.stdout)[0] or _USUAL_COLUMNS


def screen() -> tuple[int, int] | None:
    """Return the columns and lines of the terminal that standard output is; None where it is
    none.
    """
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    lines = stated("LINES") or _size_of(sys.stdout)[1]
    return (columns(), lines) if lines > 0 else None


def in_width(text: str, stream: TextIO) -> str:
    """Break lines between words on a terminal, and where COLUMNS states a width; they go on further
    in.
    """
    width = stated("COLUMNS") or (_size_of(stream)[0] if stream.isatty() else 0)
    if width < _NARROWEST or all(len(line) <= width for line in text.splitlines()):
        return text
    from textwrap import TextWrapper

    wrapper = TextWrapper(width, break_long_words=False, break_on_hyphens=False)
    lines: list[str] = []
    for line in text.splitlines():
        indent = " " * (len(line) - len(line.lstrip()))
        wrapper.initial_indent, wrapper.subsequent_indent = indent, f"{indent}  "
        lines += wrapper.wrap(line.strip()) or [""]
    return "".join(f"{line}\n" for line in lines)


def _size_of(stream: TextIO | None) -> tuple[int, int]:
    try:
        return os.get_terminal_size(stream.fileno())  # type: ignore[union-attr]
    except (OSError, ValueError, AttributeError):
        return 0, 0


_RED, _BOLD, _PLAIN = "\x1b[1;31m", "\x1b[1m", "\x1b[0m"


class UsageError(SelfhostError):
    """The command line makes no sense."""


def wants_json(words: Sequence[str]) -> bool:
    """Whether the words of a command line ask for JSON."""
    pairs = zip(words, [*words[1:], ""], strict=False)
    return any(
        word in ("--json", "--format=json") or (word, value) == ("--format", "json")
        for word, value in pairs
    )


def complain(error: SelfhostError, code: int, wants_json: bool, *, no_color: bool = False) -> None:
    """Say what went wrong on standard error, as a person or a program reads it."""
    if sys.stderr is None:
        return
    from ..core.workload import as_typed

    error = as_typed(error)
    if wants_json:
        from ..reports import json

        to_standard_error(json.dumps(json.error(error, code)))
        return
    from ..reports.text import error_text

    text = in_width(error_text(error, encoding=sys.stderr.encoding), sys.stderr)
    if wants_color(sys.stderr, no_color=no_color):
        text = "".join(f"{_colored(line)}\n" for line in text.splitlines())
    to_standard_error(text)


def _colored(line: str) -> str:
    """What is wrong begins in red, and what to type instead is bold."""
    if line.startswith("  "):
        return f"  {_BOLD}{line[2:]}{_PLAIN}"
    label, colon, rest = line.partition(": ")
    return f"{_RED}{label}{colon.rstrip()}{_PLAIN}{' ' if colon else ''}{rest}"


def to_standard_error(text: str) -> None:
    """Write to standard error, where there is one and somebody reads it."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        abandon(sys.stderr)


def abandon(stream: TextIO | None) -> None:
    """Drop what is left in the buffer, which would complain at exit."""
    try:  # noqa: SIM105 - contextlib would be loaded for this alone
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[union-attr]
    except (OSError, ValueError, AttributeError):
        pass


def bug(error: BaseException) -> SelfhostError:
    """Return an error nobody caught as one to report, with the line that raised it."""
    trace, where = error.__traceback__, ""
    while trace is not None:
        file = os.path.basename(trace.tb_frame.f_code.co_filename)
        where = f" ({file}:{trace.tb_lineno})"
        trace = trace.tb_next
    return SelfhostError(
        f"a bug in selfhost: {type(error).__name__}: {error}{where}",
        remedy="report it with the command you typed; SELFHOST_DEBUG=1 shows the traceback",
    )


def together(errors: Mapping[str, SelfhostError]) -> SelfhostError:
    """Return one error for all that is wrong with the names: a single one as it is, several as
    problems of one input.
    """
    if len(errors) == 1:
        return next(iter(errors.values()))
    problems: dict[Problem, None] = {}
    guesses: dict[str, None] = {}
    for name, error in errors.items():
        # to find near names takes far longer than all else: only for what will be listed
        near = error.nearest if len(problems) < MAX_PROBLEMS else ()
        guesses.update(dict.fromkeys(near))
        own = error.problems if isinstance(error, InputError) else ()
        if not own:
            remedy = f"did you mean {' or '.join(near[:3])}?" if near else error.remedy
            own = (Problem(file="command line", key=name, message=error.message, remedy=remedy),)
        problems.update(dict.fromkeys(own))
    return InputError(Faults("command line", problems).problems, nearest=guesses)


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
        from ..reports.layout import print_document

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
    from ..core.files import write_whole

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
