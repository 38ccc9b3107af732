"""Many machines in little memory: what most of them share is kept once, and of each the numbers.

Records of one fleet differ in a few numbers (memory, free space), in names and in labels. The rest
of a record is a *shape*: it is read and checked once, as any record is. `Machines` gives every
machine back as it was read.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence

from ..core.records import FrozenDict, pattern
from ..machine.record import MAX_MEMORY_BYTES, UNNAMED, Machine, fact_of

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# the facts that differ between machines of one shape, beside name, labels and time
MEMORY_SLOTS = (
    "memory_total_bytes",
    "memory_limit_bytes",
    "memory_available_bytes",
    "swap_free_bytes",
    "memory_bandwidth_bytes_per_second",
)
_LISTED_SLOTS = {"disks": ("free_bytes", "total_bytes"), "accelerators": ("memory_free_bytes",)}
# a key of an object and its value, where that may differ between machines. In JSON a quote within
# a string follows a backslash, so what matches is a key, or the file is no JSON. The quote stands
# first, which `re` finds quickest
_VALUES = pattern(
    r'("(?<!\\")(?:(?:memory_(?:total_bytes|limit_bytes|available_bytes|free_bytes'
    r"|bandwidth_bytes_per_second)|swap_free_bytes|free_bytes|total_bytes)"
    r'"\s*:\s*(?=(?:0|[1-9][0-9]{0,14})\s*[,}])'
    r'|(?:name|read_at)"\s*:\s*(?="[^"\\]*")|labels"\s*:\s*(?=\{[^{}\\]*\})))'
    r'([0-9]+|"[^"\\]*"|\{[^{}\\]*\})'
)
# a line's own text may not hold it: it is no character of JSON outside of strings, nor may it be
# inside
_SEPARATOR = "\x00"

Slot = tuple[str, ...]


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
        return template.replace(**changes)


def slots_of(machine: Machine) -> tuple[Slot, ...]:
    """The numbers that the machine's record states, in the order of the record."""
    slots: list[Slot] = [(name,) for name in MEMORY_SLOTS if getattr(machine, name) is not None]
    for head, parts in _LISTED_SLOTS.items():
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


class _Plan:
    """How the lines of one template become machines: which of the values that differ are its name,
    its labels, its time and its numbers; the others belong to the shape.
    """

    __slots__ = (
        "fixed", "labels", "name", "never_zero", "numbers", "order", "read_at", "shapes",
    )  # fmt: skip

    def __init__(self) -> None:
        self.name: int | None = None
        self.labels: int | None = None
        self.read_at: int | None = None
        # the values that the shape holds
        self.fixed: list[int] = []
        # places among the values, by slot
        self.numbers: dict[Slot, int] = {}
        # values that are at least 1
        self.never_zero: list[int] = []
        # pairs of values of which the first may not be the larger
        self.order: list[tuple[int, int]] = []
        # the shape by its own values, and where its columns stand among the values
        self.shapes: dict[tuple[str, ...], tuple[Shape, list[int]]] = {}


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
        self._plans: dict[str, _Plan] = {}
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

    def add_line(self, line: Line) -> bool:
        """Keep the machine of a line that is like one before; False where it must be read as a
        whole, because something of it is new, is out of bounds, or is the name of another machine.
        """
        plan = self._plans.get(line.template)
        if plan is None or plan.name is None:
            return False
        values = line.values
        known = plan.shapes.get(tuple([values[place] for place in plan.fixed]))
        if known is None or not _in_order(values, plan.order):
            return False
        shape, places = known
        numbers = [int(values[place]) for place in places]
        if numbers and not (min(numbers) > 0 and max(numbers) <= MAX_MEMORY_BYTES):
            return False
        name = fact_of("name", values[plan.name][1:-1])
        labels: Any = FrozenDict()
        if plan.labels is not None:
            labels = self._labels_in(values[plan.labels])
        read_at: Any = ""
        if plan.read_at is not None:
            read_at = fact_of("read_at", values[plan.read_at][1:-1])
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
            if len(self._kept_labels) < _MOST_KEPT:
                self._kept_labels[text] = labels
        return labels

    def learn(self, line: Line, machine: Machine) -> None:
        """Remember how a line was read without a fault; `machine` is what it states."""
        plan = self._plans.get(line.template)
        if plan is None:
            if len(self._plans) >= _MOST_KEPT:
                return
            plan = self._plans[line.template] = _plan_of(line)
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


# templates, and sets of labels: more are read one by one
_MOST_KEPT = 1 << 14


class Line:
    """One line of JSON, cut at the values that may differ between machines of one shape:
    `template` is the rest.
    """

    __slots__ = ("_pieces", "template", "values")

    def __init__(self, text: str) -> None:
        pieces = _VALUES.split(text)
        self._pieces = pieces
        self.values = pieces[2::3]
        self.template = _SEPARATOR.join(pieces[0::3]) + _SEPARATOR.join(pieces[1::3])

    def with_values(self, values: Sequence[str]) -> str:
        """The line with others in their places."""
        pieces = list(self._pieces)
        pieces[2::3] = values
        return "".join(pieces)


def _in_order(values: Sequence[str], order: Sequence[tuple[int, int]]) -> bool:
    return all([int(values[low]) <= int(values[high]) for low, high in order])  # noqa: C419 - quicker


def _plan_of(line: Line) -> _Plan:
    """Where the values of a line stand in the record that it states."""
    import json

    plan = _Plan()
    marks: dict[Any, int] = {}
    marked: list[str] = []
    base, text = 10**15, line.with_values(line.values)
    while str(base)[:10] in text:
        # the marks must be nowhere in the line itself
        base += 10**6
    for place, value in enumerate(line.values):
        # no two are equal, and each is of the kind of its value
        mark: Any = base + place
        if value[0] == '"':
            mark = f"-{mark}"
        elif value[0] == "{":
            mark = f"-{mark}-"
        marks[mark] = place
        marked.append(json.dumps({mark: ""} if value[0] == "{" else mark))
    paths: dict[Slot, int] = {}
    _find(json.loads(line.with_values(marked)), (), marks, paths)
    plan.name, plan.labels = paths.pop(("name",), None), paths.pop(("labels",), None)
    plan.read_at = paths.pop(("read_at",), None)
    for path, place in paths.items():
        if path in _SINGLE or (len(path) == 3 and path[2] in _LISTED_SLOTS.get(path[0], ())):
            plan.numbers[path] = place
        else:
            plan.fixed.append(place)
    plan.never_zero = [place for slot, place in plan.numbers.items() if slot in _NEVER_ZERO]
    bounds: list[tuple[Slot, Slot]] = [((low,), (high,)) for low, high in _BOUNDED]
    for path in paths:
        if path[0] == "accelerators" and path[-1] == "memory_free_bytes":
            bounds.append((path, (*path[:-1], "memory_total_bytes")))
    plan.order = [
        (paths[low], paths[high]) for low, high in bounds if low in paths and high in paths
    ]
    return plan


_NEVER_ZERO = frozenset((("memory_total_bytes",), ("memory_bandwidth_bytes_per_second",)))
_SINGLE = frozenset((name,) for name in MEMORY_SLOTS)
_BOUNDED = (
    ("memory_available_bytes", "memory_limit_bytes"),
    ("memory_available_bytes", "memory_total_bytes"),
    ("memory_limit_bytes", "memory_total_bytes"),
)


def _find(value: Any, path: Slot, marks: Mapping[Any, int], paths: dict[Slot, int]) -> None:
    """Put the path of each mark within `value` into `paths`. Records are not deep."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key in marks:
                paths[path] = marks[key]
            else:
                _find(each, (*path, key), marks, paths)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            _find(each, (*path, str(index)), marks, paths)
    elif isinstance(value, int | str) and value in marks:
        paths[path] = marks[value]
