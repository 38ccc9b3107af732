"""What went wrong, said on standard error: as text, or as JSON where JSON was wanted."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from ..core.errors import MAX_PROBLEMS, Faults, InputError, Problem, SelfhostError
from .terminal import in_width, wants_color

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import TextIO

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
