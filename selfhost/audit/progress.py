"""What a long audit says while it runs, so that nobody takes it for one that hangs."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

SECONDS_BETWEEN = 2.0


class Progress:
    """Says how far an audit is: nothing in its first two seconds, then a line every two.

    `say` takes a line without its end; `clock` gives seconds.
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = monotonic) -> None:
        self._say = say
        self._clock = clock
        self._next = clock() + SECONDS_BETWEEN

    def read(self, records: int) -> None:
        """So many machine records are read."""
        if self._is_due() and records:
            self._say(f"read {records:,} machine records so far")

    def judge(self, machine: int, machines: int, model: int, models: int) -> None:
        """So many of the machines are judged, and of the next one so many of the models."""
        if self._is_due():
            self._say(
                f"judged {machine:,} of {machines:,} machines"
                if machines > 1
                else f"judged {model:,} of {models:,} models"
            )

    def entries(self, models: int, of_models: int, machines: int) -> None:
        """So many models are judged, each on all machines."""
        if self._is_due():
            self._say(f"judged {models:,} of {of_models:,} models on {machines:,} machines")

    def _is_due(self) -> bool:
        now = self._clock()
        if now < self._next:
            return False
        self._next = now + SECONDS_BETWEEN
        return True
