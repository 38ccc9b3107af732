"""Many machines in little memory: what machines of one kind share is kept once, and of each machine
the few numbers in which it differs.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..core.records import FrozenDict
from ..machine.record import Machine

# the place of a number in a record: ("swap_free_bytes",) or ("disks", 0, "free_bytes")
Slot = tuple[str] | tuple[str, int, str]
Numbers = tuple[int, ...]

BANDWIDTH = "memory_bandwidth_bytes_per_second"
_SINGLE = (
    "memory_available_bytes",
    "memory_limit_bytes",
    "memory_total_bytes",
    "swap_free_bytes",
    BANDWIDTH,
)
_LISTED = (
    ("disks", ("free_bytes", "total_bytes")),
    ("accelerators", ("memory_free_bytes",)),
)


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
    number_at: dict[Slot, int] = {}
    for name in _SINGLE:
        if getattr(machine, name) is not None:
            number_at[name,] = getattr(machine, name)
    for head, parts in _LISTED:
        for index, entry in enumerate(getattr(machine, head) or ()):
            for part in parts:
                if getattr(entry, part) is not None:
                    number_at[head, index, part] = getattr(entry, part)
    return tuple(number_at), tuple(number_at.values())


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
        # many machines have the same labels
        self._labels: dict[Mapping[str, str], Mapping[str, str]] = {}
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
        self._kinds_of.append(kind)
        self._places.append(len(self.kinds[kind].members))
        self.number_of[machine.name] = len(self.names)
        self.kinds[kind].add(len(self.names), numbers)
        self.names.append(machine.name)
        self.labels.append(self._labels.setdefault(machine.labels, machine.labels))
        self.times.append(machine.read_at)

    def truncate(self, count: int) -> None:
        """Forget all machines but so many of the first."""
        while len(self.names) > count:
            self.kinds[self._kinds_of.pop()].pop()
            del self.number_of[self.names.pop()]
            for column in (self._places, self.labels, self.times):
                column.pop()

    def _kind_for(self, machine: Machine, slots: tuple[Slot, ...]) -> int:
        bare = with_numbers(
            machine, slots, (0,) * len(slots), name="", labels=FrozenDict(), read_at=None
        )
        key = slots, bare
        if key not in self._by_shape:
            self._by_shape[key] = len(self.kinds)
            self.kinds.append(Kind(machine, slots))
        return self._by_shape[key]
