"""What the command writes, in the colour and width that the terminal states."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

from ..core.errors import MAX_PROBLEMS, InputError, Problem, SelfhostError, first_problems

if TYPE_CHECKING:
    import argparse

    from ..catalogue.index import Catalogue
    from ..reports.layout import Blocks

_TO_A_FILE = "--output FILE writes the report to a file"
# what a pipe or terminal may not be able to encode, and what says the same in ASCII
_ASCII = str.maketrans(
    {
        "×": "x", "…": "...", "–": "-", "—": "-", "−": "-", "≥": ">=", "≤": "<=", "→": "->",
        "·": "*", "•": "*", "≈": "~", "✓": "+", "✗": "x", "‘": "'", "’": "'", "“": '"', "”": '"',
        "━": "#", "─": "-", "╍": "!",
    }
)  # fmt: skip


class UsageError(SelfhostError):
    """The command line makes no sense."""


def is_terminal() -> bool:
    """Whether standard output is one."""
    return sys.stdout is not None and sys.stdout.isatty()


def extent(name: str) -> int:
    """Return the COLUMNS or LINES of standard output; 0 where nothing states them."""
    text, at = os.environ.get(name, ""), ("COLUMNS", "LINES").index(name)
    if text.isascii() and text.isdecimal() and 0 < len(text) <= 9 and int(text):
        return int(text)
    try:
        return os.get_terminal_size(sys.stdout.fileno())[at]
    except (OSError, ValueError, AttributeError):
        return 0


def asks_for(words: Sequence[str], form: str) -> bool:
    """Whether the words of a command line ask for that format."""
    pairs = zip(words, [*words[1:], ""], strict=False)
    is_asked = f"--format={form}" in words or ("--format", form) in pairs
    return is_asked or (form == "json" and "--json" in words)


def complain(error: SelfhostError, code: int, wants_json: bool) -> None:
    """Say what went wrong on standard error, as a person or a program reads it."""
    from ..core.workload import as_typed

    if wants_json:
        from ..reports import json

        to_standard_error(json.dumps(json.error(error, code)))
    else:
        from ..reports.layout import error_text

        to_standard_error(error_text(as_typed(error)))


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
    """Return one error for all that is wrong with the names: a single one as it is."""
    if len(errors) == 1:
        return next(iter(errors.values()))
    problems: dict[Problem, None] = {}
    guesses: dict[str, None] = {}
    for name, error in errors.items():
        # to find near names takes far longer than all else: only for what will be listed
        near = error.nearest if len(problems) < MAX_PROBLEMS else ()
        guesses.update(dict.fromkeys(near))
        remedy = f"did you mean {' or '.join(near[:3])}?" if near else error.remedy
        alone = (Problem(file="command line", key=name, message=error.message, remedy=remedy),)
        faults = error.problems if isinstance(error, InputError) else ()
        problems.update(dict.fromkeys(faults or alone))
    return InputError(first_problems("command line", problems), nearest=guesses)


def deliver(options: argparse.Namespace, text: str | Iterable[str]) -> None:
    """Write a report, perhaps in pieces, to --output or standard output; then `options.notes`."""
    if options.output is not None:
        from ..core.files import write_whole

        write_whole([(options.output, text)])
    else:
        for piece in (text,) if isinstance(text, str) else text:
            write(str(piece))
    for remark in getattr(options, "notes", ()):
        note(remark)


def write_json(options: argparse.Namespace, name: str, *values: object) -> bool:
    """Write what that function of `reports.json` makes of the values, where JSON was asked for."""
    if options.format != "json":
        return False
    from ..reports import json

    deliver(options, json.dumps(getattr(json, name)(*values)))
    return True


def present(options: argparse.Namespace, blocks: Blocks) -> None:
    """Write blocks for a person: as a web page, drawn on a terminal, plain elsewhere."""
    if options.format == "html":
        from ..reports.markup import page

        text = page(blocks)
    else:
        from ..reports.layout import plain

        is_screen = options.output is None and is_terminal()
        width = 0 if options.output else extent("COLUMNS") or 80 * is_screen
        # no-color.org; force-color.org, for a CI job without a terminal
        is_plain = options.output or options.no_color or os.environ.get("NO_COLOR")
        is_forced = os.environ.get("FORCE_COLOR", "0") not in ("", "0")
        color = is_forced or (is_screen and os.environ.get("TERM") != "dumb")
        text = plain(blocks, width or None, bars=is_screen, color=bool(color and not is_plain))
    deliver(options, text)


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        text = text.translate(_ASCII).encode(encoding, "backslashreplace").decode(encoding)
        stream.write(text)


def write(text: str = "", *, flush: bool = False) -> None:
    """Write to standard output, or raise `UsageError`; a pipe whose reader has gone is no error."""
    if sys.stdout is None:
        if not text:
            return
        raise UsageError("there is no standard output", remedy=_TO_A_FILE)
    try:
        _write(sys.stdout, text)
        if flush:
            sys.stdout.flush()
    except OSError as error:
        _abandon(sys.stdout)
        # a pipe whose reader has gone is EINVAL on Windows
        is_gone = os.name == "nt" and error.errno == errno.EINVAL
        if not (is_gone or isinstance(error, BrokenPipeError)):
            reason = f"standard output cannot be written: {error.strerror or error}"
            raise UsageError(reason, remedy=_TO_A_FILE) from None


def to_standard_error(text: str) -> None:
    """Write to standard error, where there is one and somebody reads it."""
    if sys.stderr is None:
        return
    try:
        _write(sys.stderr, text)
        sys.stderr.flush()
    except OSError:
        _abandon(sys.stderr)


def _abandon(stream: TextIO) -> None:
    # what is left in the buffer would complain at exit
    try:  # noqa: SIM105 - contextlib would be loaded for this alone
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):
        pass


def note(text: str) -> None:
    """Write a remark to standard error, after what of the answer is written so far."""
    write(flush=True)
    from ..reports.layout import clean

    to_standard_error("".join(f"{clean(line)}\n" for line in f"note: {text}".splitlines()))


def tell_left_aside(catalogue: Catalogue) -> None:
    """Note what is wrong with the user's own specs, where the answer has no place for it."""
    if catalogue.own_faults:
        from ..reports.layout import problems_text

        faults = problems_text(first_problems("--specs", catalogue.own_faults))
        note(f"ignored these spec files because of errors:\n{faults}")
