"""Records of machines, read in full only if no earlier record had the same text.

What goes in: the parsed JSON of a record. What comes out: the machine as its kind and its numbers,
or `MachineFileError`.

A data center has a few dozen kinds of machine, and checking each of the 150 values of a record
takes three quarters of the time of reading it. So the text of each correct record is kept, without
the facts in which machines of one `Kind` differ: the name, the labels, the time of reading, and
some numbers. A later record with the same text has only these facts checked. A record with anything
unusual, such as a number of another type or a size above a larger one, is read in full, because
only a full reading finds the faults.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..core.errors import MachineFileError
from ..core.records import FrozenDict, fault_of
from ..machine.record import (
    MAX_MEMORY_BYTES,
    MOMENT,
    RECORDED,
    UNNAMED,
    Machine,
    checked_name,
)
from ..machine.unread_keys import MOST_UNREAD_KEYS, UnreadKey, unread_keys
from .kinds import OF_ENTRIES, OF_MACHINE, Kinds, MachineOfKind, Numbers

# the most characters of all kept texts together: most texts take 4 kB, the texts of machines with
# many models far more
_MOST_CHARACTERS = 20_000_000
# sizes in ascending order, of a machine, an accelerator and a disk: none may be larger than a later
# one
_SIZES = ("memory_available_bytes", "memory_limit_bytes", "memory_total_bytes")
_SIZES_OF_CARD = ("memory_free_bytes", "memory_total_bytes")
_SIZES_OF_DISK = ("free_bytes", "total_bytes")

JsonObject = Mapping[str, Any]


class RecordReader:
    """A reader of machine records. Its `kinds` and `unread_keys` are in the order in which the
    reader met them.
    """

    def __init__(self) -> None:
        self.kinds = Kinds()
        # by the list and the key
        self.unread_keys: dict[tuple[str, str], UnreadKey] = {}
        # the number of the kind by the text of a record
        self._known: dict[str, int] = {}
        self._free_characters = _MOST_CHARACTERS

    def read(self, record: object, file: str) -> MachineOfKind:
        """Return the machine of a record. `file` is the name of the record in errors. Raises
        `MachineFileError`.
        """
        if not isinstance(record, dict):
            return self._read_in_full(record, file)
        text = _text_of(record)
        if text in self._known:
            machine = self._like(self._known[text], record)
            return machine or self._read_in_full(record, file)
        machine = self._read_in_full(record, file)
        if len(text) <= self._free_characters:
            self._free_characters -= len(text)
            self._known[text] = machine.kind_number
        return machine

    def _read_in_full(self, record: object, file: str) -> MachineOfKind:
        """The machine of a record, every value of which is checked. Raises `MachineFileError`."""
        machine = Machine.from_json(record, file)
        if isinstance(record, dict):
            self._note_unread_keys(record, file)
        return self.kinds.split(machine)

    def _note_unread_keys(self, record: JsonObject, file: str) -> None:
        """Note each new key that a later version may read, or that is misspelt."""
        for unread in unread_keys(record, file):
            if len(self.unread_keys) < MOST_UNREAD_KEYS:
                self.unread_keys.setdefault((unread.fact, unread.key), unread)

    def _like(self, kind_number: int, record: JsonObject) -> MachineOfKind | None:
        """The machine of a record of a known kind; None where its name, a label, its time or a
        number is unusual.
        """
        numbers = self._numbers(kind_number, record)
        if numbers is None or not _are_sizes_in_order(record):
            return None
        name = record.get("name", UNNAMED)
        read_at = record.get("read_at")
        labels = record.get("labels", {})
        if not isinstance(labels, dict):
            return None
        if any(fault_of(text, str) for text in labels.values()):
            return None
        try:
            checked_name(name)
        except MachineFileError:
            return None
        if read_at is not None and fault_of(read_at, str, form=MOMENT):
            return None
        if name == UNNAMED:
            name = RECORDED
        return MachineOfKind(
            kind_number=kind_number,
            numbers=numbers,
            name=name,
            labels=FrozenDict(labels),
            read_at=read_at,
        )

    def _numbers(self, kind_number: int, record: JsonObject) -> Numbers | None:
        """The numbers of a record of a known kind; None where a number is unusual."""
        numbers = []
        for slot in self.kinds.known[kind_number].slots:
            number = record[slot.fact]
            if slot.entry is not None:
                number = number[slot.entry][slot.part]
            if type(number) is not int or not 0 <= number <= MAX_MEMORY_BYTES:
                return None
            numbers.append(number)
        return tuple(numbers)


def _text_of(record: JsonObject) -> str:
    """The text of a record without the values that may differ from machine to machine."""
    rest = {**record, "name": None, "labels": None}
    _hide(rest, "read_at")
    for slot in OF_MACHINE:
        _hide(rest, slot.fact)
    for fact, parts in OF_ENTRIES.items():
        entries = record.get(fact)
        if isinstance(entries, list):
            rest[fact] = [_without_numbers(entry, parts) for entry in entries]
    return repr(rest)


def _without_numbers(entry: object, parts: Sequence[str]) -> object:
    """An entry of a list with the numbers of these fields hidden."""
    if not isinstance(entry, dict):
        return entry
    rest = dict(entry)
    for part in parts:
        _hide(rest, part)
    return rest


def _hide(values: dict[str, Any], key: str) -> None:
    """Write 1 in place of a value. None and 0 stay, because they mean something else than a
    size.
    """
    if values.get(key):
        values[key] = 1


def _are_sizes_in_order(record: JsonObject) -> bool:
    """Whether no size of a machine, a card or a disk is above a larger one."""
    cards = record.get("accelerators") or ()
    disks = record.get("disks") or ()
    if not all(_is_ascending(card, _SIZES_OF_CARD) for card in cards):
        return False
    if not all(_is_ascending(disk, _SIZES_OF_DISK) for disk in disks):
        return False
    return _is_ascending(record, _SIZES)


def _is_ascending(values: JsonObject, names: tuple[str, ...]) -> bool:
    """Whether the known sizes of these fields never fall from one field to the next."""
    largest = 0
    for name in names:
        size = values.get(name)
        if size is None:
            continue
        if size < largest:
            return False
        largest = size
    return True
