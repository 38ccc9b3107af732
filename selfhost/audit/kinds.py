"""Machines of one kind: kept in little memory, and judged together.

**What a kind is.** Two machines are of one kind where their records differ in nothing but their
name, labels, time of reading and *numbers*: the memory in all, the limit on it and what of it is
available, free swap, the bandwidth of the memory, the size and the free bytes of each disk, and the
free bytes of each accelerator. A data center bought a few dozen kinds of machine, and of a kind no
two have the same memory free at the moment. `Machines` keeps one whole record of each kind (about
15 kB) and the numbers of every machine (0.4 to 0.9 kB), and makes a machine when it is asked for.

**Why some judgements answer for many.** No finding gets better when a machine has less memory, disk
or bandwidth. So take several machines of one kind, and make two that need not exist: the worst,
with the least of each number, and the best, with the most. Where both fare alike - the same route,
what is loaded by what, and the same deciding findings (`Decision.key`) - every machine between them
fares so too, and two judgements were enough. Where they differ the machines are halved along one
number, and each half is asked again (`AlikeSearch`):

    free GiB      8  10  12  15  16  24  31  32      the model needs 14
    8 and 32      fail, pass: halve at 16
    8 and 15      fail, pass: halve at 12            16 and 32: pass, so all four pass
    8 and 10      fail, so both fail                 12 and 15: fail, pass: halve, and judge each

The number that halves is one on which the difference rests: free disk space for the check of the
disk, bandwidth for that of the pace, and otherwise a size of memory, first of all the limit.

**When it is not done.** What is free of an accelerator decides where layers lie, and so what the
RAM must hold, in no fixed order: machines that differ in it are never taken together
(`Kind.by_free_memory_of_cards`). Nor are models that must run side by side, for the same reason,
nor four machines or fewer, where halving saves nothing.

**Which machine stands for those that fare alike.** The one that lacks most, for its remedy helps
the others too. It is one of those with the least of some number, so only these are judged again.

**What it saves.** Judgements for each verdict, measured on the fleet of
`benchmarks/audit_scale.py`: 0.67 for 1,000 machines and 20 models, 0.35 for 5,000 and 20, 0.17 for
20,000 and 5. A plain loop needs one, for no two of these machines have equal numbers: for 5,000
machines more than twice the time (computed). `audit_scale.py --compare` holds the answers of both
against each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import compress
from typing import Any, NamedTuple

from ..core.errors import SelfhostError
from ..core.records import Record, Values
from ..judge.record import PACE_CHECKS
from ..machine.record import BANDWIDTH, Machine

Labels = Mapping[str, str]
# the numbers of a machine of a kind, in the order of the kind's slots
Numbers = tuple[int, ...]
# machines by their places in the fleet
Places = list[int]
NumbersByMachine = Mapping[int, Numbers]


class Slot(NamedTuple):
    """Where a number stands in a record: `disks`, the first, `free_bytes`. A number of the machine
    itself, such as `swap_free_bytes`, has no entry and no part.
    """

    fact: str
    entry: int | None = None
    part: str = ""


_LIMIT = "memory_limit_bytes"
_CARDS = "accelerators"
# the numbers of a machine itself
OF_MACHINE = (
    Slot("memory_available_bytes"),
    Slot(_LIMIT),
    Slot("memory_total_bytes"),
    Slot("swap_free_bytes"),
    Slot(BANDWIDTH),
)
# by the fact, the parts of each of its entries
OF_ENTRIES = {
    "disks": ("free_bytes", "total_bytes"),
    _CARDS: ("memory_free_bytes",),
}
_MEMORY = "memory"
# the fact on which a check rests; that of any other are the sizes of memory
_FACT_OF_CHECK = {"disk": "disks", **dict.fromkeys(PACE_CHECKS, BANDWIDTH)}
# what tells machines of one kind apart, beside the numbers
_OF_ONE_MACHINE = ("name", "labels", "read_at")


class Kind(NamedTuple):
    """A machine, and the slots of the numbers in which others of its kind differ from it."""

    template: Machine
    slots: tuple[Slot, ...]

    def machine(self, numbers: Numbers, **facts: Any) -> Machine:
        """The machine of this kind with these numbers, and these facts."""
        # by a fact and the index of an entry: the parts of the entry that are numbers
        parts: defaultdict[tuple[str, int], Values] = defaultdict(dict)
        for slot, number in zip(self.slots, numbers, strict=True):
            if slot.entry is None:
                facts[slot.fact] = number
            else:
                parts[slot.fact, slot.entry][slot.part] = number
        for (fact, index), values in parts.items():
            if fact not in facts:
                facts[fact] = getattr(self.template, fact)
            entries = list(facts[fact])
            entries[index] = entries[index].replace(**values)
            facts[fact] = tuple(entries)
        return self.template.replace_unchecked(**facts)

    def by_free_memory_of_cards(self, numbers: NumbersByMachine) -> list[Places]:
        """Machines of this kind in parts that have the same free memory of every accelerator."""
        parts = defaultdict(list)
        are_of_cards = [slot.fact == _CARDS for slot in self.slots]
        for place, numbers_there in numbers.items():
            free_bytes = tuple(compress(numbers_there, are_of_cards))
            parts[free_bytes].append(place)
        return [parts[free_bytes] for free_bytes in sorted(parts)]


class MachineOfKind(NamedTuple):
    """A machine, by the number of its kind in some `Kinds`, its numbers, and what only it has."""

    kind_number: int
    numbers: Numbers
    name: str
    labels: Labels
    read_at: str | None


class Kinds:
    """The kinds of some machines. The number of a kind is its place in `known`, where they are in
    the order in which they were met.
    """

    def __init__(self) -> None:
        self.known: list[Kind] = []
        self._number_by_content: dict[object, int] = {}

    def number_of(self, kind: Kind) -> int:
        """The number of the kind that this one is equal to, a new one where none is."""
        content = _content_of(kind.template), kind.slots
        number = self._number_by_content.setdefault(content, len(self.known))
        if number == len(self.known):
            self.known.append(kind)
        return number

    def split(self, machine: Machine) -> MachineOfKind:
        """A machine as its kind and its numbers."""
        numbers = _numbers_of(machine)
        kind = Kind(machine, tuple(numbers))
        return MachineOfKind(
            kind_number=self.number_of(kind),
            numbers=tuple(numbers.values()),
            name=machine.name,
            labels=machine.labels,
            read_at=machine.read_at,
        )


class Machines:
    """The machines of a fleet in the order in which they were added. `kept` has what is kept of
    each; a machine is made when it is asked for by its place.
    """

    def __init__(self, machines: Iterable[Machine] = ()) -> None:
        self.kinds = Kinds()
        self.kept: list[MachineOfKind] = []
        # many machines have the same labels, which are kept once
        self._labels: dict[Labels, Labels] = {}
        for machine in machines:
            self.add(machine)

    def __len__(self) -> int:
        return len(self.kept)

    def __iter__(self) -> Iterator[Machine]:
        for place in range(len(self)):
            yield self[place]

    def __getitem__(self, place: int) -> Machine:
        machine = self.kept[place]
        kind = self.kinds.known[machine.kind_number]
        return kind.machine(
            machine.numbers,
            name=machine.name,
            labels=machine.labels,
            read_at=machine.read_at,
        )

    @property
    def names(self) -> list[str]:
        """The names in the same order."""
        return [machine.name for machine in self.kept]

    def add(self, machine: Machine) -> None:
        """Keep a machine."""
        self.append(self.kinds.split(machine))

    def append(self, machine: MachineOfKind) -> None:
        """Keep a machine whose kind is one of `kinds`."""
        labels = self._labels.setdefault(machine.labels, machine.labels)
        machine = machine._replace(labels=labels)
        self.kept.append(machine)


def _numbers_of(machine: Machine) -> dict[Slot, int]:
    """The numbers of a machine, by their slots: those that are known."""
    numbers = {}
    for slot in OF_MACHINE:
        number = getattr(machine, slot.fact)
        if number is not None:
            numbers[slot] = number
    for fact, parts in OF_ENTRIES.items():
        for index, entry in enumerate(getattr(machine, fact) or ()):
            for part in parts:
                number = getattr(entry, part)
                if number is not None:
                    numbers[Slot(fact, index, part)] = number
    return numbers


def _content_of(machine: Machine) -> tuple[object, ...]:
    """All that a machine's record says but its numbers and what only this machine has."""
    values = machine.__getstate__()
    for fact in (*_OF_ONE_MACHINE, *[slot.fact for slot in OF_MACHINE]):
        values[fact] = None
    for fact, parts in OF_ENTRIES.items():
        if values[fact] is not None:
            entries = [_without(entry, parts) for entry in values[fact]]
            values[fact] = tuple(entries)
    return tuple(values.values())


def _without(entry: Record, parts: Sequence[str]) -> tuple[object, ...]:
    """The values of a record but those of some fields."""
    values = entry.__getstate__()
    for part in parts:
        del values[part]
    return tuple(values.values())


class DecidingFinding(NamedTuple):
    """What of a finding decides that machines fare alike."""

    check: str
    outcome: str
    code: str


class DecisionKey(NamedTuple):
    """What decides of a verdict: machines with equal keys fare alike."""

    route: str
    runtime: str | None
    format: str | None
    quantization: str | None
    findings: tuple[DecidingFinding, ...]

    @property
    def checks(self) -> set[str]:
        """The checks whose findings decide."""
        return {finding.check for finding in self.findings}


class Decision(NamedTuple):
    """What a judgement comes to, and the most that the machine lacks, in the unit of its check."""

    key: DecisionKey
    lacks: float


Decide = Callable[[Numbers], Decision]


class AlikeMachines(NamedTuple):
    """Machines that fare alike, by their places; `hardest` is the place of the one that lacks most,
    and `lacks` how much.
    """

    key: DecisionKey
    places: Places
    hardest: int
    lacks: float


# what comes of an entry of a policy on the machines of a task
Outcomes = list[AlikeMachines] | SelfhostError


class _Column(NamedTuple):
    """One number of each machine of a box: what a slot of that fact holds."""

    fact: str
    numbers: Numbers

    @property
    def basis(self) -> str:
        """On what a check rests that these numbers decide: this fact, or any size of memory."""
        return self.fact if self.fact in _FACT_OF_CHECK.values() else _MEMORY

    @property
    def least(self) -> int:
        return min(self.numbers)

    @property
    def most(self) -> int:
        return max(self.numbers)

    @property
    def middle(self) -> int:
        """The number from which on machines are in the larger half."""
        values = sorted(self.numbers)
        middle = values[len(values) // 2]
        if middle > values[0]:
            return middle
        # most have the least number: the others are apart
        return next(value for value in values if value > middle)

    def halves(self, box: Places) -> list[Places]:
        """The machines of a box with the smaller numbers, and those with the larger ones."""
        middle = self.middle
        smaller = []
        larger = []
        for place, number in zip(box, self.numbers, strict=True):
            if number < middle:
                smaller.append(place)
            else:
                larger.append(place)
        return [smaller, larger]


class AlikeSearch:
    """Sorts machines of one kind by how they fare. `decide` judges one with these numbers."""

    def __init__(
        self,
        slots: Sequence[Slot],
        numbers: NumbersByMachine,
        decide: Decide,
    ) -> None:
        self._facts = [slot.fact for slot in slots]
        self._numbers = numbers
        self._decide = cache(decide)

    def machines_that_fare_alike(self, boxes: Iterable[Places]) -> list[AlikeMachines]:
        """The machines in these boxes, sorted by what decides there. A box is a list of machines by
        their places; one whose worst and best machine differ is halved.
        """
        found: defaultdict[DecisionKey, _Found] = defaultdict(_Found)
        waiting = list(boxes)
        while waiting:
            box = waiting.pop()
            columns = self._columns(box)
            least = [column.least for column in columns]
            most = [column.most for column in columns]
            worst = self._decide(tuple(least))
            best = self._decide(tuple(most))
            if worst.key == best.key:
                found[worst.key].add(box, worst.lacks)
            else:
                column = _column_that_decides(columns, worst.key, best.key)
                waiting += column.halves(box)
        return [self._alike(key, machines) for key, machines in found.items()]

    def _columns(self, places: Places) -> list[_Column]:
        """For each slot the numbers of these machines."""
        rows = [self._numbers[place] for place in places]
        numbers_by_slot = zip(*rows, strict=True)
        return list(map(_Column, self._facts, numbers_by_slot))

    def _alike(self, key: DecisionKey, found: _Found) -> AlikeMachines:
        """The machines that were found, with the one that lacks most, the first of several."""
        places = found.places
        hardest = min(places)
        most = 0.0
        for place in self._candidates(places):
            if most == found.lacks:
                # none lacks more
                break
            lacks = self._decide(self._numbers[place]).lacks
            if lacks > most:
                hardest = place
                most = lacks
        return AlikeMachines(key, places, hardest, most)

    def _candidates(self, places: Places) -> list[int]:
        """The first machine, and for each number the first of those that have the least of it.

        One of these lacks most, as long as what is lacking rests on one number or on the least of
        several. If it rested on the sum of two, a machine that is second in both could lack more.
        """
        candidates = {min(places)}
        for column in self._columns(places):
            index = column.numbers.index(column.least)
            candidates.add(places[index])
        return sorted(candidates)


class _Found:
    """Machines that fare alike, by their places. None of them lacks more than `lacks`."""

    def __init__(self) -> None:
        self.places: Places = []
        self.lacks = 0.0

    def add(self, places: Places, lacks: float) -> None:
        self.places += places
        self.lacks = max(self.lacks, lacks)


def _column_that_decides(
    columns: Iterable[_Column],
    worst: DecisionKey,
    best: DecisionKey,
) -> _Column:
    """The numbers along which a box is halved: those on which the difference rests, else the first
    that differ.
    """
    different = set(worst.findings) ^ set(best.findings)
    bases = {_FACT_OF_CHECK.get(finding.check, _MEMORY) for finding in different}
    differing = [column for column in columns if column.least < column.most]
    deciding = [column for column in differing if column.basis in bases]
    candidates = deciding or differing
    for column in candidates:
        # of the sizes of memory the limit decides most often
        if column.basis != _MEMORY or column.fact == _LIMIT:
            return column
    return candidates[0]
