"""The names that processors, firmware and drivers report, and the reasons why facts of a GPU are
unread: `specs/common/firmware_names.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ...core.records import Record, Stated, read_by
from ...core.tables import shipped_record
from ...core.templates import fill
from ..record import FILL_IN


class UnreadGpu(Stated):
    """The reason why a fact about a GPU is unread (`reason`, a template), and the remedy for the
    user.

    Without a `remedy` the usual remedy stands; with `no_remedy` there is none.
    """

    reason: str = read_by(name="is")
    remedy: str | None = None
    no_remedy: bool = False


class AdapterMaker(Stated):
    """A maker of display adapters.

    `cards` matches the names of the adapters with memory of their own; None where all of them have
    it. The other adapters are graphics of a processor; with `cards_alone` they are left out.
    """

    vendor: str
    cards: str | None = None
    cards_alone: bool = False

    def is_card(self, name: str) -> bool:
        """Whether the adapter of that name has memory of its own."""
        if self.cards is None:
            return True
        return re.search(self.cards, name) is not None


class FirmwareNames(Stated):
    """The table, whose comments say where each list is from."""

    virtual_firmware: tuple[str, ...]
    unified_chips: str
    arm_parts: Mapping[str, Mapping[str, str]]
    mac_x86: Mapping[str, str]
    mac_arm: Mapping[str, str]
    windows_x86: Mapping[str, str]
    windows_arm: Mapping[str, str]
    windows_gpus: Mapping[str, AdapterMaker]
    asked_makers: tuple[str, ...]
    gpus_unread: Mapping[str, UnreadGpu]

    def is_unified(self, name: str) -> bool:
        """Whether a GPU of NVIDIA's of that name has no memory of its own."""
        return re.search(self.unified_chips, name) is not None


def firmware_names() -> FirmwareNames:
    """The table, read once."""
    return shipped_record(FirmwareNames, "firmware_names")


class Why(Record):
    """The reason why a fact is unread, and the remedy for the user. The remedy is empty where the
    user can do nothing.
    """

    reason: str
    remedy: str = FILL_IN


def why_unread(
    code: object,
    otherwise: str = "",
    **values: object,
) -> Why:
    """Return the reason of that code in the table `gpus_unread`, filled with values.

    `otherwise` is the code for an error number that the table does not have.
    """
    table = firmware_names().gpus_unread
    row = table.get(str(code)) or table[otherwise]
    remedy = row.remedy or FILL_IN
    if row.no_remedy:
        remedy = ""
    return Why(reason=fill(row.reason, values), remedy=remedy)
