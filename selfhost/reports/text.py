"""What goes to standard error: faults with file and line, and what to type instead."""

from __future__ import annotations

from collections.abc import Iterable

from ..core.errors import InputError, Problem, SelfhostError, UnknownModelError
from .layout import clean


def problems_text(problems: Iterable[Problem]) -> str:
    """One line a fault, `file:line: key: message`, or `error: --option: message` of what was typed,
    and what to write instead under it; every line ends in a newline.
    """
    lines = []
    for problem in problems:
        place = problem.file if problem.line is None else f"{problem.file}:{problem.line}"
        if problem.file == "command line":
            place = "error"
        elif problem.file.startswith("--"):
            place = " ".join(filter(None, ("error:", problem.file, problem.key)))
        is_said = problem.file.startswith("--") or not problem.key
        key = "" if is_said else f": {problem.key}"
        lines += [f"{place}{key}: {problem.message}", *_remedies(problem.remedy)]
    return "".join(f"{clean(line)}\n" for line in lines)


def error_text(error: SelfhostError) -> str:
    """What went wrong, the nearest names, and what to type instead; every line ends in a newline,
    and what is wrong begins with `error:`.
    """
    lines = [f"error: {error.message}"]
    if isinstance(error, InputError) and error.problems:
        marks = ("error:", "  ")
        lines = [
            line if line.startswith(marks) else f"error: {line}"
            for line in problems_text(error.problems).splitlines()
        ]
    if isinstance(error, UnknownModelError) and (unsaid := error.unsaid):
        lines.append(f"  did you mean: {', '.join(unsaid)}")
    return "".join(f"{clean(line)}\n" for line in (*lines, *_remedies(error.remedy)))


def _remedies(remedy: str | None) -> list[str]:
    """What to type instead, one way a line."""
    return [f"  {line}" for line in remedy.split("\n")] if remedy else []
