"""Many machines in little memory: what machines of one kind share is kept once, and of each machine
the few numbers in which it differs.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
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
    """The machines of a fleet in the order they were read; each is made when it is asked for.

    By number: `names`, `labels`, `times`, `kind_of` and `numbers`. `kinds` have the first machine
    of each kind and the places of the numbers in which others differ.
    """

    def __init__(self, machines: Iterable[Machine] = ()) -> None:
        self.kinds: list[tuple[Machine, tuple[Slot, ...]]] = []
        self.names: list[str] = []
        # the number of a machine by its name
        self.number_of: dict[str, int] = {}
        self.labels: list[Mapping[str, str]] = []
        self.times: list[str | None] = []
        self.kind_of = array("l")
        self.numbers: list[Numbers] = []
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
        template, slots = self.kinds[self.kind_of[number]]
        return with_numbers(
            template,
            slots,
            self.numbers[number],
            name=self.names[number],
            labels=self.labels[number],
            read_at=self.times[number],
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def add(self, machine: Machine) -> None:
        """Keep a machine whose name is new."""
        slots, numbers = _slots_and_numbers(machine)
        no_numbers = (0,) * len(slots)
        bare = with_numbers(machine, slots, no_numbers, name="", labels=FrozenDict(), read_at=None)
        kind = self._by_shape.setdefault((slots, bare), len(self.kinds))
        if kind == len(self.kinds):
            self.kinds.append((machine, slots))
        self.number_of[machine.name] = len(self.names)
        self.names.append(machine.name)
        self.labels.append(self._labels.setdefault(machine.labels, machine.labels))
        self.times.append(machine.read_at)
        self.kind_of.append(kind)
        self.numbers.append(numbers)

    def truncate(self, count: int) -> None:
        """Forget all machines but so many of the first."""
        for name in self.names[count:]:
            del self.number_of[name]
        for column in (self.names, self.labels, self.times, self.kind_of, self.numbers):
            del column[count:]
