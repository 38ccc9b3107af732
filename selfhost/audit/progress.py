"""What a long audit says while it runs, and how long it will take."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from ..core.errors import SelfhostError

SECONDS_BETWEEN = 2.0
# a longer job is refused, unless it was asked for all the same
MOST_SECONDS = 15 * 60
# by what was done in so many seconds it is told how long the rest takes, for so much of the job
_LEAST_SECONDS = 5.0
_WATCHED_PART = 0.2


class TooLongError(SelfhostError):
    """An audit that would take longer than anybody waits who did not ask for it."""


class Progress:
    """Says how far an audit is: nothing in its first two seconds, then a line every two.

    `say` takes a line without its end; `clock` gives seconds. `is_bounded`: a job that would take
    longer than MOST_SECONDS is refused.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        clock: Callable[[], float] = monotonic,
        *,
        is_bounded: bool = False,
    ) -> None:
        self._say, self._clock, self._is_bounded = say, clock, is_bounded
        self._next = clock() + SECONDS_BETWEEN
        # when the first things were judged, for which much is read once, and what part they were
        self._begun: tuple[float, float] | None = None

    def read(self, records: int) -> None:
        """So many machine records are read."""
        if self._is_due(self._clock()) and records:
            self._say(f"read {records:,} machine records so far")

    def judge(self, part: float, verdicts: int) -> None:
        """That part of so many verdicts is given. Raises `TooLongError`."""
        now = self._clock()
        if self._is_due(now):
            self._say(f"judged {int(part * verdicts):,} of {verdicts:,} verdicts")
        if self._begun is None:
            self._begun = (now, part) if part else None
        elif self._is_bounded and part < _WATCHED_PART:
            seconds, done = now - self._begun[0], part - self._begun[1]
            if seconds >= _LEAST_SECONDS and done and seconds / done > MOST_SECONDS:
                raise TooLongError(
                    f"the audit would take about {seconds / done / 60:,.0f} minutes",
                    remedy="name fewer models in the policy or fewer machines, or write --yes to"
                    " have all of them judged",
                )

    def _is_due(self, now: float) -> bool:
        if now < self._next:
            return False
        self._next = now + SECONDS_BETWEEN
        return True
