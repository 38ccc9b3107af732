"""Many machines in little memory: what most of them share is kept once, and of each the numbers.

Records of one fleet differ in a few numbers (memory, free space), in names and in labels. The rest
of a record is a *shape*: it is read and checked once, as any record is. `Machines` gives every
machine back as it was read.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence

from ..core.records import FrozenDict
from ..machine.record import UNNAMED, Machine, fact_of
from .lines import (
    LISTED_SLOTS,
    MEMORY_SLOTS,
    MOST_KEPT,
    Line,
    Lines,
    Plan,
    Slot,
    are_in_bounds,
    is_in_order,
    plan_of,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


if TYPE_CHECKING:
    # of each shape its template, its members and its columns; names, labels and times of the
    # machines; the shape of each, and its place there
    Packed = tuple[
        list[tuple[Machine, array[int], tuple[array[int], ...]]],
        list[str],
        list[Mapping[str, str]],
        list[str | None],
        array[int],
        array[int],
    ]


class Shape:
    """What some machines have in common, and the numbers in which they differ.

    `template` is the first of them; `slots` names the numbers by their places in the record, such
    as `("disks", "0", "free_bytes")`, and `columns` has one array for each, of the machines
    `members` (their numbers in the fleet, ascending).
    """

    __slots__ = ("columns", "members", "slots", "template")

    def __init__(self, template: Machine, slots: tuple[Slot, ...]) -> None:
        self.template = template
        self.slots = slots
        self.members = array("l")
        self.columns = tuple(array("q") for _ in slots)

    def machine(
        self, at: int, name: str, labels: Mapping[str, str], read_at: str | None
    ) -> Machine:
        """The machine that is the member at that place."""
        template = self.template
        changes: dict[str, Any] = {"name": name, "labels": labels, "read_at": read_at}
        listed: dict[str, list[Any]] = {}
        for slot, column in zip(self.slots, self.columns, strict=True):
            if len(slot) == 1:
                changes[slot[0]] = column[at]
                continue
            head, index, part = slot
            entries = listed.setdefault(head, list(getattr(template, head)))
            entries[int(index)] = entries[int(index)].replace(**{part: column[at]})
        changes.update((head, tuple(entries)) for head, entries in listed.items())
        # it was checked when it was read
        own = {name: getattr(template, name) for name in Machine._fields}
        return Machine.partly({**own, **changes})


def slots_of(machine: Machine) -> tuple[Slot, ...]:
    """The numbers that the machine's record states, in the order of the record."""
    slots: list[Slot] = [(name,) for name in MEMORY_SLOTS if getattr(machine, name) is not None]
    for head, parts in LISTED_SLOTS.items():
        for index, entry in enumerate(getattr(machine, head) or ()):
            slots += [
                (head, str(index), part) for part in parts if getattr(entry, part) is not None
            ]
    return tuple(slots)


def number_at(machine: Machine, slot: Slot) -> int:
    """The number of that slot."""
    if len(slot) == 1:
        value: int = getattr(machine, slot[0])
    else:
        value = getattr(getattr(machine, slot[0])[int(slot[1])], slot[2])
    return value


def _static(machine: Machine, slots: Sequence[Slot]) -> Machine:
    """The machine with 0 for every number that stands in a column, and without its name."""
    changes: dict[str, Any] = {"name": "-", "labels": FrozenDict(), "read_at": None}
    listed: dict[str, list[Any]] = {}
    for slot in slots:
        if len(slot) == 1:
            changes[slot[0]] = 1
        else:
            head, index, part = slot
            entries = listed.setdefault(head, list(getattr(machine, head)))
            entries[int(index)] = entries[int(index)].replace(**{part: 0})
    changes.update((head, tuple(entries)) for head, entries in listed.items())
    # not checked again: only numbers changed
    fields = {name: getattr(machine, name) for name in Machine._fields}
    return Machine.partly({**fields, **changes})


class Machines(Sequence[Machine]):
    """The machines of a fleet in the order they were read; each is made when it is asked for."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.shapes: list[Shape] = []
        self.shape_numbers = array("l")
        self._places = array("l")
        self._labels: list[Mapping[str, str]] = []
        self._times: list[str | None] = []
        self._kept_labels: dict[str, Mapping[str, str]] = {}
        self._by_key: dict[Machine, int] = {}
        self._number_of: dict[int, int] = {}
        self._plans: dict[str, Plan] = {}
        self._lines = Lines()
        # the number of a machine by its name
        self.number_of: dict[str, int] = {}

    @classmethod
    def of(cls, machines: Sequence[Machine]) -> Machines:
        """The same machines, kept as those that were read."""
        kept = cls()
        for machine in machines:
            kept.add(machine)
        return kept

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        if number < 0:
            number += len(self)
        shape = self.shapes[self.shape_numbers[number]]
        return shape.machine(
            self._places[number], self.names[number], self._labels[number], self._times[number]
        )

    def __iter__(self) -> Iterator[Machine]:
        return (self[number] for number in range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def truncate(self, count: int) -> None:
        """Forget all machines but so many of the first."""
        while len(self.names) > count:
            shape = self.shapes[self.shape_numbers.pop()]
            shape.members.pop()
            for column in shape.columns:
                column.pop()
            del self.number_of[self.names.pop()]
            for each in (self._places, self._labels, self._times):
                each.pop()

    def packed(self) -> Packed:
        """All machines, as one process can send them to another."""
        return (
            [(shape.template, shape.members, shape.columns) for shape in self.shapes],
            self.names,
            self._labels,
            self._times,
            self.shape_numbers,
            self._places,
        )

    def join(self, packed: Packed) -> bool:
        """Keep all machines of another fleet behind the own; False, with none of them kept, where
        one has the name of another.
        """
        shapes, names, labels, times, shape_numbers, places = packed
        if not self.number_of.keys().isdisjoint(names):
            return False
        start, own_numbers, own_places = len(self.names), [], []
        for template, numbers, columns in shapes:
            shape = self._shape_of(template)
            own_numbers.append(self._number_of[id(shape)])
            own_places.append(len(shape.members))
            shape.members.extend([start + number for number in numbers])
            for column, other in zip(shape.columns, columns, strict=True):
                column.extend(other)
        self._places.extend(
            [own_places[shape] + place for shape, place in zip(shape_numbers, places, strict=True)]
        )
        self.shape_numbers.extend([own_numbers[shape] for shape in shape_numbers])
        self.number_of.update(zip(names, range(start, start + len(names)), strict=True))
        self.names += names
        self._labels += labels
        self._times += times
        return True

    def place_of(self, number: int) -> int:
        """Where a machine stands in the columns of its shape."""
        return self._places[number]

    def labels_of(self, number: int) -> Mapping[str, str]:
        """The labels of one machine."""
        return self._labels[number]

    def add(self, machine: Machine) -> None:
        """Keep a machine whose name is new."""
        shape = self._shape_of(machine)
        values = [number_at(machine, slot) for slot in shape.slots]
        self._append(shape, machine.name, machine.labels, machine.read_at, values)

    def _shape_of(self, machine: Machine) -> Shape:
        # an array holds no more, and no machine has that
        slots = tuple(slot for slot in slots_of(machine) if number_at(machine, slot) < 1 << 62)
        key = _static(machine, slots)
        number = self._by_key.get(key)
        if number is None or self.shapes[number].slots != slots:
            shape = Shape(machine, slots)
            self._by_key[key] = self._number_of[id(shape)] = len(self.shapes)
            self.shapes.append(shape)
            return shape
        return self.shapes[number]

    def _append(
        self,
        shape: Shape,
        name: str,
        labels: Mapping[str, str],
        read_at: str | None,
        values: Sequence[int],
    ) -> None:
        self.shape_numbers.append(self._number_of[id(shape)])
        self._places.append(len(shape.members))
        shape.members.append(len(self.names))
        for column, value in zip(shape.columns, values, strict=True):
            column.append(value)
        self.number_of[name] = len(self.names)
        self.names.append(name)
        self._labels.append(labels)
        self._times.append(read_at)

    # ------------------------------------------------------------------ by the text of a line

    def add_text(self, text: str) -> bool:
        """Keep the machine of a line that is like one before; False where it must be read as a
        whole, because something of it is new, is out of bounds, or is the name of another machine.
        """
        seen = self._lines.match(text)
        if seen is None:
            return self._add_line(Line(text))
        own, words = seen
        numbers = own.numbers_of(words)
        if numbers is None or own.name is None:
            return False
        return self._add_like(
            own.shape,
            words[own.name],
            None if own.labels is None else words[own.labels],
            None if own.read_at is None else words[own.read_at],
            numbers,
        )

    def _add_line(self, line: Line) -> bool:
        """As `add_text`, by the values that may differ and the rest."""
        plan = self._plans.get(line.template)
        if plan is None or plan.name is None:
            return False
        values = line.values
        shape_and_places = plan.shapes.get(tuple([values[place] for place in plan.fixed]))
        if shape_and_places is None or not is_in_order(values, plan.order):
            return False
        shape, places = shape_and_places
        numbers = [int(values[place]) for place in places]
        never_zero = [at for at, place in enumerate(places) if place in plan.never_zero]
        if not are_in_bounds(numbers, never_zero):
            return False
        labels, read_at = (
            None if place is None else values[place] for place in (plan.labels, plan.read_at)
        )
        is_added = self._add_like(shape, values[plan.name], labels, read_at, numbers)
        if is_added:
            self._lines.add(line, plan, shape, places)
        return is_added

    def _add_like(
        self,
        shape: Shape,
        name_text: str,
        labels_text: str | None,
        read_at_text: str | None,
        numbers: Sequence[int],
    ) -> bool:
        """Keep a machine of that shape, with values as they stand in its line."""
        if "\\" in name_text or (read_at_text is not None and "\\" in read_at_text):
            return False
        name = fact_of("name", name_text[1:-1])
        labels = FrozenDict() if labels_text is None else self._labels_in(labels_text)
        read_at = "" if read_at_text is None else fact_of("read_at", read_at_text[1:-1])
        if name in (None, UNNAMED) or name in self.number_of or labels is None or read_at is None:
            return False
        self._append(shape, name, labels, read_at or None, numbers)
        return True

    def _labels_in(self, text: str) -> Mapping[str, str] | None:
        labels = self._kept_labels.get(text)
        if labels is None:
            import json

            try:
                pairs = json.loads(text, object_pairs_hook=list)
            except ValueError:
                return None
            if len(dict(pairs)) == len(pairs):
                labels = fact_of("labels", dict(pairs))
            if labels is None:
                return None
            labels = FrozenDict(labels)
            if len(self._kept_labels) < MOST_KEPT:
                self._kept_labels[text] = labels
        return labels

    def learn(self, line: Line, machine: Machine) -> None:
        """Remember how a line was read without a fault; `machine` is what it states."""
        plan = self._plans.get(line.template)
        if plan is None:
            if len(self._plans) >= MOST_KEPT:
                return
            plan = self._plans[line.template] = plan_of(line)
        shape = self._shape_of(machine)
        if plan.numbers.keys() >= set(shape.slots):
            places = [plan.numbers[slot] for slot in shape.slots]
            key = tuple([line.values[place] for place in plan.fixed])
            plan.shapes[key] = shape, places


def names_of(machines: Sequence[Machine]) -> Sequence[str]:
    """The names alone: of a fleet no machine is made for that."""
    if isinstance(machines, Machines):
        return machines.names
    return [machine.name for machine in machines]
