"""Would it be as fast as is wanted?"""

from __future__ import annotations

from ...core import units
from ...core.workload import (
    DEFAULT_MIN_TOKENS_PER_SECOND,
    READING_TOKENS_PER_SECOND,
    Workload,
)
from .record import Finding, Outcome

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable

    from .record import Words

# a range whose ends are further apart than this is judged by its slow end
WIDE_PACE = 2


def speed_check(
    pace: tuple[float, float] | None,
    workload: Workload,
    how: str,
    *,
    assumed: bool = False,
    measure: str | None = None,
) -> Finding | None:
    """The estimated decode pace (slow end, fast end) against what is wanted. None where tokens make
    no sense.

    `how` says why there is no pace. `assumed`: it rests on facts that were taken from the machine's
    class. `measure`: what to type for the bandwidth that it rests on.
    """
    wanted = workload.min_tokens_per_second
    if wanted is None:
        return None
    if pace is None:
        return _finding(
            wanted,
            pace,
            Outcome.UNKNOWN,
            "speed-not-known",
            lambda: (f"The speed is not known: {how}.", None),
        )
    low, high = pace

    def pace_finding(
        outcome: Outcome, code: str, shortfall: Callable[[], str], remedy: str | None = None
    ) -> Finding:
        def words() -> tuple[str, str | None]:
            basis = " That rests on what is assumed of the machine." if assumed else ""
            return f"It would run at {units.speed(low, high)}{shortfall()}.{basis}", remedy

        return _finding(wanted, pace, outcome, code, words)

    faster = "a smaller model is faster"
    if high < wanted:
        return pace_finding(
            Outcome.FAIL,
            "speed-too-slow",
            lambda: f", too slow for the wanted {wanted:g} tokens/s{_usual_answer(wanted)}",
            f"{faster}; --min-speed 0 accepts any pace",
        )
    if measure and high > WIDE_PACE * low:
        faster = f"{measure} tells it closer, in under a second; {faster}"
    if low < wanted:
        return pace_finding(
            Outcome.WARN,
            "speed-slow",
            lambda: f": perhaps below the wanted {wanted:g} tokens/s",
            faster,
        )
    if low < READING_TOKENS_PER_SECOND:
        return pace_finding(
            Outcome.WARN,
            "speed-slow",
            lambda: (
                f", which may be slower than one reads ({READING_TOKENS_PER_SECOND:g} tokens/s)"
            ),
            faster,
        )
    if assumed:
        return pace_finding(
            Outcome.WARN, "speed-assumed", str, "measure it there: `selfhost check --measure`"
        )
    return pace_finding(Outcome.PASS, "speed-comfortable", str)


def _usual_answer(wanted: float) -> str:
    """What the default speed means, where nobody chose another."""
    is_default = wanted == DEFAULT_MIN_TOKENS_PER_SECOND
    return " (a 300-word answer in three minutes)" if is_default else ""


def _finding(
    wanted: float, pace: tuple[float, float] | None, outcome: Outcome, code: str, words: Words
) -> Finding:
    slow: float | None = None
    short: float | None = None
    if pace is not None:
        slow, fast = pace
        short = max(0.0, wanted - fast) if fast < wanted else 0
    return Finding.worded_when_read(
        {
            "check": "speed",
            "outcome": outcome,
            "code": code,
            "needs": wanted,
            "has": slow,
            "short": short,
            "unit": "tokens_per_second",
            "reserve_bytes": None,
        },
        words,
    )
