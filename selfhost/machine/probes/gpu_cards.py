"""What was read of GPUs, for the probes of all makers: the cards, and why something is unread."""

from __future__ import annotations

from typing import NamedTuple

from ...core.records import Record
from ...core.templates import fill
from ..record import FILL_IN, Accelerator
from .firmware import firmware_names


class Why(NamedTuple):
    """Why something is unread, and what a person can do about it; an empty remedy: nothing."""

    reason: str
    remedy: str


class Cards(Record):
    """What was read of some GPUs, where, and why there may be others, or their memory is None."""

    cards: tuple[Accelerator, ...] = ()
    source: str = ""
    unread: Why | None = None

    @property
    def lacks_memory(self) -> bool:
        """Whether the memory of one of them is unread."""
        return any(card.memory_total_bytes is None for card in self.cards)


def why_unread(*codes: object, **values: object) -> Why:
    """The words for the first of the codes that the table `gpus_unread` has, filled with values."""
    table = firmware_names().gpus_unread
    code = next(str(code) for code in codes if str(code) in table)
    row = table[code]
    if row.no_remedy:
        return Why(fill(row.reason, values), "")
    return Why(fill(row.reason, values), row.remedy or FILL_IN)
