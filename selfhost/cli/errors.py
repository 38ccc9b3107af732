"""What went wrong, said on standard error: as text, or as JSON where JSON was wanted."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from ..core.errors import (
    MAX_PROBLEMS,
    Faults,
    InputError,
    Problem,
    SelfhostError,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import TextIO


class UsageError(SelfhostError):
    """The command line makes no sense."""


def complain(error: SelfhostError, code: int, wants_json: bool, *, no_color: bool = False) -> None:
    """What went wrong, as a person or a program reads it. `no_color`: that was asked for."""
    from ..core.workload import as_typed

    error = as_typed(error)
    if wants_json:
        from ..reports import json

        to_standard_error(json.dumps(json.error(error, code)))
    elif sys.stderr is not None:
        from ..reports.text import error_text

        text = in_width(error_text(error, encoding=sys.stderr.encoding), sys.stderr)
        is_colored = wants_color(sys.stderr, no_color=no_color)
        to_standard_error(_colored(text) if is_colored else text)


def wants_color(stream: TextIO | None, *, no_color: bool) -> bool:
    """NO_COLOR and --no-color forbid colour (no-color.org), FORCE_COLOR asks for it where there is
    no terminal, as in the log of a CI job (force-color.org); either counts unless it is empty, and
    FORCE_COLOR unless it is 0.
    """
    if no_color or os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    is_terminal = stream is not None and stream.isatty()
    return is_terminal and os.environ.get("TERM") != "dumb"


def stated_columns() -> int | None:
    """The width that COLUMNS states; None where it states none: 0, and what is no number, say
    nothing, as shutil reads it.
    """
    width = os.environ.get("COLUMNS", "")
    is_stated = width.isascii() and width.isdecimal() and len(width) <= 9
    return int(width) or None if is_stated else None


def in_width(text: str, stream: TextIO) -> str:
    """The text; on a terminal, and where COLUMNS states a width, in lines that break between words
    and go on further in.
    """
    width = stated_columns() or 0
    try:
        width = width or (os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0)
    except (OSError, ValueError, AttributeError):
        width = 0
    if width < _NARROWEST:
        return text
    from .texts import filled

    lines = []
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        first, *others = filled(line, width - indent - 2)
        lines += [" " * indent + first, *(" " * (indent + 2) + other for other in others)]
    return "".join(f"{line}\n" for line in lines)


# in less there is no use in breaking lines
_NARROWEST = 20
_RED, _BOLD, _PLAIN = "\x1b[1;31m", "\x1b[1m", "\x1b[0m"


def _colored(text: str) -> str:
    """What is wrong begins in red, and what to type instead is bold; rich would take longer to load
    than all else about an error.
    """
    lines = []
    for line in text.splitlines():
        if line.startswith("  "):
            lines.append(f"  {_BOLD}{line[2:]}{_PLAIN}\n")
        else:
            label, colon, rest = line.partition(": ")
            lines.append(f"{_RED}{label}{colon.rstrip()}{_PLAIN}{' ' if colon else ''}{rest}\n")
    return "".join(lines)


def to_standard_error(text: str) -> None:
    """Where there is one, and somebody reads it."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        abandon(sys.stderr)


def abandon(stream: TextIO | None) -> None:
    """What is left in the buffer must not complain at exit."""
    try:  # noqa: SIM105 - contextlib would be loaded for this alone
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[union-attr]
    except (OSError, ValueError, AttributeError):
        pass


def bug(error: BaseException) -> SelfhostError:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = (
        f" ({os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno})"
        if trace
        else ""
    )
    return SelfhostError(
        f"a bug in selfhost: {type(error).__name__}: {error}{where}",
        remedy="report it with the command you typed; SELFHOST_DEBUG=1 shows the traceback",
    )


def together(errors: Mapping[str, SelfhostError]) -> SelfhostError:
    """One error for all that is wrong with the names: a single one as it is, several as
    problems of one input.
    """
    if len(errors) == 1:
        return next(iter(errors.values()))
    problems: dict[Problem, None] = {}
    for name, error in errors.items():
        own = error.problems if isinstance(error, InputError) else ()
        if not own:
            # to find near names takes far longer than all else: only for what will be listed
            near = error.nearest[:3] if len(problems) < MAX_PROBLEMS else ()
            remedy = f"did you mean {' or '.join(near)}?" if near else error.remedy
            own = (Problem(file="command line", key=name, message=error.message, remedy=remedy),)
        problems.update(dict.fromkeys(own))
    faults = Faults("command line", problems)
    guesses = dict.fromkeys(
        guess for error in list(errors.values())[:MAX_PROBLEMS] for guess in error.nearest
    )
    return InputError(faults.problems, nearest=guesses)
