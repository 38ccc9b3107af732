"""The judgement of a model on a machine. This module holds the route and the only function that
decides the exit code: the part of a verdict that the command line needs before it knows the
question.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Route(StrEnum):
    """The answer: run it here, use an API, neither, or it cannot be told."""

    LOCAL = "local"
    API = "api"
    NEITHER = "neither"
    UNKNOWN = "unknown"


# exit codes that rest on no route
NO_ANSWER, BUG, INTERRUPTED = 2, 70, 130


def exit_code(routes: Iterable[Route], *, no_answer: bool = False) -> int:
    """2 beats 1 beats 3 beats 0; nothing judged is 2."""
    seen = list(routes)
    if no_answer or not seen:
        return NO_ANSWER
    if any(route in (Route.API, Route.NEITHER) for route in seen):
        return 1
    return 3 if Route.UNKNOWN in seen else 0
