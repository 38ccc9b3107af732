"""What went wrong, said on standard error: as text, or as JSON where JSON was wanted."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from ..core.errors import MAX_PROBLEMS, Faults, InputError, Problem, SelfhostError
from .terminal import in_width, wants_color

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import TextIO


class UsageError(SelfhostError):
    """The command line makes no sense."""


def complain(error: SelfhostError, code: int, wants_json: bool, *, no_color: bool = False) -> None:
    """Say what went wrong on standard error, as a person or a program reads it."""
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


_RED, _BOLD, _PLAIN = "\x1b[1;31m", "\x1b[1m", "\x1b[0m"


def _colored(text: str) -> str:
    """Begin what is wrong in red, and make what to type instead bold."""
    lines = []
    for line in text.splitlines():
        if line.startswith("  "):
            lines.append(f"  {_BOLD}{line[2:]}{_PLAIN}\n")
        else:
            label, colon, rest = line.partition(": ")
            lines.append(f"{_RED}{label}{colon.rstrip()}{_PLAIN}{' ' if colon else ''}{rest}\n")
    return "".join(lines)


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
    """Return one error for all that is wrong with the names: a single one as it is, several as
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
