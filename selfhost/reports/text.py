"""What goes to standard error: faults with file and line, and what to type instead."""

from __future__ import annotations

from collections.abc import Iterable

from ..core.errors import InputError, Problem, SelfhostError, UnknownModelError
from .layout import clean


def problems_text(problems: Iterable[Problem], *, encoding: str | None = None) -> str:
    """One line a fault, `file:line: key: message`, what to write instead under it; every line
    ends in a newline.
    """
    lines = []
    for problem in problems:
        place = problem.file if problem.line is None else f"{problem.file}:{problem.line}"
        lines.append(
            clean(
                (
                    f"{place}: {problem.key}: {problem.message}"
                    if problem.key
                    else f"{place}: {problem.message}"
                ),
                encoding,
            )
        )
        if problem.remedy:
            lines += _remedy_lines(problem.remedy, encoding)
    return "".join(f"{line}\n" for line in lines)


def error_text(error: SelfhostError, *, encoding: str | None = None) -> str:
    """What went wrong, the nearest names, and what to type instead; every line ends in a
    newline.
    """
    if isinstance(error, InputError) and error.problems:
        text = problems_text(error.problems, encoding=encoding)
    else:
        text = clean(f"error: {error.message}", encoding) + "\n"
    if isinstance(error, UnknownModelError) and error.nearest:
        text += clean(f"  did you mean: {', '.join(error.nearest)}", encoding) + "\n"
    if error.remedy:
        text += "".join(f"{line}\n" for line in _remedy_lines(error.remedy, encoding))
    return text


def _remedy_lines(remedy: str, encoding: str | None) -> list[str]:
    """What to type instead, one way a line."""
    return [clean(f"  {line}", encoding) for line in remedy.split("\n")]
