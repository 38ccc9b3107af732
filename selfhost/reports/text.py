"""What goes to standard error: faults with file and line, and what to type instead."""

from __future__ import annotations

from collections.abc import Iterable

from ..core.errors import InputError, Problem, SelfhostError, UnknownModelError
from .layout import clean


def problems_text(problems: Iterable[Problem], *, encoding: str | None = None) -> str:
    """One line a fault, `file:line: key: message`, or `error: --option: message` of what was typed,
    and what to write instead under it; every line ends in a newline.
    """
    lines = []
    for problem in problems:
        lines.append(clean(f"{_place(problem)}: {problem.message}", encoding))
        if problem.remedy:
            lines += _remedy_lines(problem.remedy, encoding)
    return "".join(f"{line}\n" for line in lines)


def _place(problem: Problem) -> str:
    """Where it lies; what was typed is told as every error of the command line."""
    if problem.file == "command line":
        return f"error: {problem.key}" if problem.key else "error"
    if problem.file.startswith("--"):
        return " ".join(filter(None, ("error:", problem.file, problem.key)))
    place = problem.file if problem.line is None else f"{problem.file}:{problem.line}"
    return f"{place}: {problem.key}" if problem.key else place


def error_text(error: SelfhostError, *, encoding: str | None = None) -> str:
    """What went wrong, the nearest names, and what to type instead; every line ends in a newline,
    and what is wrong begins with `error:`.
    """
    if isinstance(error, InputError) and error.problems:
        lines = problems_text(error.problems, encoding=encoding).splitlines()
        marks = ("error:", "  ")
        text = "".join(f"{'' if line.startswith(marks) else 'error: '}{line}\n" for line in lines)
    else:
        text = clean(f"error: {error.message}", encoding) + "\n"
    if isinstance(error, UnknownModelError) and (unsaid := error.unsaid):
        text += clean(f"  did you mean: {', '.join(unsaid)}", encoding) + "\n"
    if error.remedy:
        text += "".join(f"{line}\n" for line in _remedy_lines(error.remedy, encoding))
    return text


def _remedy_lines(remedy: str, encoding: str | None) -> list[str]:
    """What to type instead, one way a line."""
    return [clean(f"  {line}", encoding) for line in remedy.split("\n")]
