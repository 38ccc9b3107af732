"""Many machines in little memory: what machines of one kind share is kept once, and of each machine
the few numbers in which it differs.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..core.records import FrozenDict
from ..machine.record import MAX_MEMORY_BYTES, UNNAMED, Machine, fact_of

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    # the place of a number in a record: ("swap_free_bytes",) or ("disks", 0, "free_bytes")
    Slot = tuple[str] | tuple[str, int, str]
    Numbers = tuple[int, ...]

BANDWIDTH = "memory_bandwidth_bytes_per_second"
# each is at least as large as those before it
_MEMORY_IN_ORDER = ("memory_available_bytes", "memory_limit_bytes", "memory_total_bytes")
_SINGLE = (*_MEMORY_IN_ORDER, "swap_free_bytes", BANDWIDTH)
_LISTED = (
    ("disks", ("free_bytes", "total_bytes")),
    ("accelerators", ("memory_free_bytes",)),
)
_NEVER_ZERO = ("memory_total_bytes", BANDWIDTH)
_OF_ITS_OWN = ("name", "labels", "read_at")


class Kind:
    """Machines that differ in the numbers at `slots` alone. `template` is the first of them,
    `members` are their numbers in the fleet, ascending.
    """

    __slots__ = ("_columns", "members", "slots", "template")

    def __init__(self, template: Machine, slots: tuple[Slot, ...]) -> None:
        self.template, self.slots = template, slots
        self.members = array("l")
        self._columns = tuple(array("q") for _ in slots)

    def add(self, member: int, numbers: Iterable[int]) -> None:
        """Keep one machine more."""
        self.members.append(member)
        for column, number in zip(self._columns, numbers, strict=True):
            column.append(number)

    def pop(self) -> None:
        """Forget the last machine."""
        for column in (self.members, *self._columns):
            column.pop()

    def numbers(self, place: int) -> Numbers:
        """The numbers of the member at that place."""
        return tuple([column[place] for column in self._columns])


def with_numbers(
    template: Machine, slots: Sequence[Slot], numbers: Numbers, **facts: Any
) -> Machine:
    """The machine of that kind with these numbers and facts."""
    listed: dict[str, list[Any]] = {}
    for slot, number in zip(slots, numbers, strict=True):
        if len(slot) == 1:
            facts[slot[0]] = number
            continue
        head, index, part = slot
        entries = listed.setdefault(head, list(getattr(template, head)))
        entries[index] = entries[index].replace(**{part: number})
    facts.update((head, tuple(entries)) for head, entries in listed.items())
    return template.with_checked(**facts)


def _slots_and_numbers(machine: Machine) -> tuple[tuple[Slot, ...], Numbers]:
    numbers: dict[Slot, int] = {}
    for name in _SINGLE:
        if getattr(machine, name) is not None:
            numbers[name,] = getattr(machine, name)
    for head, parts in _LISTED:
        for index, entry in enumerate(getattr(machine, head) or ()):
            for part in parts:
                if getattr(entry, part) is not None:
                    numbers[head, index, part] = getattr(entry, part)
    return tuple(numbers), tuple(numbers.values())


class Machines(Sequence[Machine]):
    """The machines of a fleet in the order they were read; each is made when it is asked for."""

    def __init__(self, machines: Iterable[Machine] = ()) -> None:
        self.kinds: list[Kind] = []
        self.names: list[str] = []
        # the number of a machine by its name
        self.number_of: dict[str, int] = {}
        self.labels: list[Mapping[str, str]] = []
        self.times: list[str | None] = []
        # of each machine the number of its kind, and its place there
        self._kinds_of, self._places = array("l"), array("l")
        self._by_shape: dict[object, int] = {}
        # by a hash of all that a record says beside names and numbers
        self._by_text: dict[bytes, int] = {}
        self._kept_labels: dict[str, Mapping[str, str]] = {}
        for machine in machines:
            self.add(machine)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        number = range(len(self))[number]
        kind = self.kinds[self._kinds_of[number]]
        return with_numbers(
            kind.template,
            kind.slots,
            kind.numbers(self._places[number]),
            name=self.names[number],
            labels=self.labels[number],
            read_at=self.times[number],
        )

    def __iter__(self) -> Iterator[Machine]:
        return (self[number] for number in range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def kind_of(self, number: int) -> int:
        """The number of a machine's kind."""
        return self._kinds_of[number]

    def numbers_of(self, number: int) -> Numbers:
        """The numbers of a machine, in the order of its kind's slots."""
        return self.kinds[self._kinds_of[number]].numbers(self._places[number])

    def add(self, machine: Machine) -> None:
        """Keep a machine whose name is new."""
        slots, numbers = _slots_and_numbers(machine)
        kind = self._kind_for(machine, slots)
        self._append(kind, machine.name, machine.labels, machine.read_at, numbers)

    def truncate(self, count: int) -> None:
        """Forget all machines but so many of the first."""
        while len(self.names) > count:
            self.kinds[self._kinds_of.pop()].pop()
            del self.number_of[self.names.pop()]
            for column in (self._places, self.labels, self.times):
                column.pop()

    def add_record(self, record: Mapping[str, Any]) -> bool:
        """Keep the machine of a decoded record that is like one before; False where it must be
        read as a whole.
        """
        kind = self._by_text.get(_text_of(record))
        numbers = None if kind is None else _checked_numbers(self.kinds[kind].slots, record)
        if kind is None or numbers is None:
            return False
        name, labels, read_at = (record.get(key) for key in _OF_ITS_OWN)
        name = None if name is None else fact_of("name", name)
        labels = self._labels_of(labels)
        if name in (None, UNNAMED) or name in self.number_of or labels is None:
            return False
        if read_at is not None and fact_of("read_at", read_at) != read_at:
            return False
        self._append(kind, name, labels, read_at, numbers)
        return True

    def learn(self, record: Mapping[str, Any]) -> None:
        """Remember how the record of the last machine was read without a fault."""
        kind = self._kinds_of[-1]
        if _checked_numbers(self.kinds[kind].slots, record) is not None:
            self._by_text[_text_of(record)] = kind

    def _labels_of(self, labels: Any) -> Mapping[str, str] | None:
        if not labels:
            return FrozenDict() if labels is None or labels == {} else None
        text = repr(labels)
        if text not in self._kept_labels:
            checked = fact_of("labels", labels)
            if checked is None:
                return None
            self._kept_labels[text] = FrozenDict(checked)
        return self._kept_labels[text]

    def _kind_for(self, machine: Machine, slots: tuple[Slot, ...]) -> int:
        bare = with_numbers(
            machine, slots, (0,) * len(slots), name="", labels=FrozenDict(), read_at=None
        )
        key = slots, bare
        if key not in self._by_shape:
            self._by_shape[key] = len(self.kinds)
            self.kinds.append(Kind(machine, slots))
        return self._by_shape[key]

    def _append(
        self,
        kind: int,
        name: str,
        labels: Mapping[str, str],
        read_at: str | None,
        numbers: Numbers,
    ) -> None:
        number = len(self.names)
        self._kinds_of.append(kind)
        self._places.append(len(self.kinds[kind].members))
        self.kinds[kind].add(number, numbers)
        self.number_of[name] = number
        self.names.append(name)
        self.labels.append(labels)
        self.times.append(read_at)


def _text_of(record: Mapping[str, Any]) -> bytes:
    """A hash of all that a record says, but for names, labels, times and the values of numbers."""
    import json
    from hashlib import blake2b

    rest = {key: value for key, value in record.items() if key not in _OF_ITS_OWN}
    for name in _SINGLE:
        rest[name] = rest.get(name) is not None
    for head, parts in _LISTED:
        entries = rest.get(head)
        if isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries):
            rest[head] = [
                entry | {part: entry.get(part) is not None for part in parts} for entry in entries
            ]
    return blake2b(json.dumps(rest).encode(), digest_size=16).digest()


def _checked_numbers(slots: Sequence[Slot], record: Mapping[str, Any]) -> Numbers | None:
    """The numbers of a record; None where one of them is out of bounds or contradicts another."""
    numbers = []
    for slot in slots:
        number = record[slot[0]] if len(slot) == 1 else record[slot[0]][slot[1]][slot[2]]
        least = 1 if slot[-1] in _NEVER_ZERO and len(slot) == 1 else 0
        if type(number) is not int or not least <= number <= MAX_MEMORY_BYTES:
            return None
        numbers.append(number)
    sizes = [size for name in _MEMORY_IN_ORDER if (size := record.get(name)) is not None]
    if sizes != sorted(sizes):
        return None
    for card in record.get("accelerators") or ():
        free, total = card.get("memory_free_bytes"), card.get("memory_total_bytes")
        if free is not None and total is not None and free > total:
            return None
    return tuple(numbers)
