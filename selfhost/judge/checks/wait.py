"""How long the first token of an answer takes: the wait for reading the prompt.

A wait is judged where a prompt is stated, or a purpose that has one. A longest wait that was stated
decides; without one, a wait of more than two minutes is a warning.
"""

from __future__ import annotations

from ...core import units
from ..pace import Range, Speed
from ..record import Question
from . import Finding, Ruling, failing, finding, passing, undecided, warning

# who waits longer does something else meanwhile (`purpose.agent` in specs/common/purposes.toml)
LONG_WAIT_SECONDS = 120


def wait_check(question: Question, speed: Speed) -> Finding | None:
    """The wait for the first token against the longest one; None where no prompt was stated, and
    where nobody set a limit for a wait that is not known.
    """
    workload = question.workload
    if workload.prompt_tokens is None or question.step is None:
        return None
    limit_seconds = workload.max_wait_seconds
    wait = speed.first_token_seconds
    if wait is None and limit_seconds is None:
        return None
    limit = LONG_WAIT_SECONDS if limit_seconds is None else limit_seconds
    return finding(
        _wait_ruling(wait, limit_seconds),
        needs=limit,
        has=None if wait is None else wait.likely,
        short=None if wait is None else max(0.0, wait.low - limit),
        unit="seconds",
        limit=units.duration(limit),
        prompt=workload.prompt_tokens,
        wait=None if wait is None else wait_words(wait),
        how=speed.how,
    )


def _wait_ruling(wait: Range | None, limit_seconds: float | None) -> Ruling:
    if wait is None:
        return undecided("wait-not-known")
    if limit_seconds is None:
        if wait.likely > LONG_WAIT_SECONDS:
            return warning("wait-long")
        return passing("wait-short")
    if wait.low > limit_seconds:
        return failing("wait-too-long")
    if wait.likely > limit_seconds:
        return undecided("wait-close")
    return passing("wait-short")


def wait_words(wait: Range) -> str:
    """`about 4 seconds (2.0 seconds to 6.0 seconds)`."""
    about, _ = wait.about()
    ends = f"{units.duration(wait.low)} to {units.duration(wait.high)}"
    return f"{about} {units.duration(wait.likely)} ({ends})"
