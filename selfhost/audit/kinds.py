"""Machines of one kind: kept in little memory, and judged together.

**What a kind is.** Two machines are of one kind where their records differ in nothing but their
name, labels, time of reading and *numbers*: the size of the memory, the limit on it and the
available memory, free swap, the bandwidth of the memory, the size and the free bytes of each disk,
and the free bytes of each accelerator. A data center has a few dozen kinds of machine, but no two
machines of a kind have the same memory free at the moment. `Machines` keeps one whole record of
each kind (about 15 kB) and the numbers of every machine (0.4 to 0.9 kB), and makes a machine when
it is asked for.

**Why some judgements answer for many.** No finding gets better when a machine has less memory, disk
or bandwidth. So take several machines of one kind, and make two machines that need not exist: the
worst, with the least of each number, and the best, with the most. Where both fare alike - the same
route, program, files and deciding findings (`Decision.key`) - every machine between them fares
alike, too, and two judgements were enough. Where they differ, the machines are halved along one
number, and each half is judged in the same way (`AlikeSearch`):

    free GiB      8  10  12  15  16  24  31  32      the model needs 14
    8 and 32      fail, pass: halve at 16
    8 and 15      fail, pass: halve at 12            16 and 32: pass, so all four pass
    8 and 10      fail, so both fail                 12 and 15: fail, pass: halve, and judge each

The number that halves is the number in which the machines differ by the largest factor.

**When machines are not taken together.** The free memory of an accelerator decides where layers
lie, and so what the RAM must hold, in no fixed order: machines that differ in it are never taken
together (`Kind.by_free_memory_of_cards`). For the same reason machines are judged one by one for
models that must run side by side. So are four machines or fewer, where halving saves nothing.

**Which machine stands for machines that fare alike.** The machine that lacks most, because its
remedy helps the others, too. It is a machine with the least of some number, so only such machines
are judged again.

**What halving saves.** Judgements for each verdict, measured on the fleet of
`benchmarks/fleets.py`: 0.68 for 1,000 machines and 20 models, 0.35 for 5,000 and 20, 0.18 for
20,000 and 5. A plain loop needs one, for no two of these machines have equal numbers: for 5,000
machines more than twice the time (computed). `tests/audit/test_fleet.py` holds the answers of both
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
from ..machine.record import BANDWIDTH, Machine

Labels = Mapping[str, str]
# the numbers of a machine, in the order of its kind's slots
Numbers = tuple[int, ...]
# machines by their index in the fleet
Places = list[int]
NumbersByMachine = Mapping[int, Numbers]


class Slot(Record):
    """The place of a number in a record: `disks`, the first entry, `free_bytes`.

    A number of the machine itself, such as `swap_free_bytes`, has no entry and no part.
    """

    fact: str
    entry: int | None = None
    part: str = ""


_CARDS = "accelerators"
# numbers of a machine itself
OF_MACHINE = (
    Slot(fact="memory_available_bytes"),
    Slot(fact="memory_limit_bytes"),
    Slot(fact="memory_total_bytes"),
    Slot(fact="swap_free_bytes"),
    Slot(fact=BANDWIDTH),
)
# numbers in the entries of a list, by the fact that is the list
OF_ENTRIES = {
    "disks": ("free_bytes", "total_bytes"),
    _CARDS: ("memory_free_bytes",),
}
# the facts in which machines of one kind differ, in addition to the numbers
_OF_ONE_MACHINE = ("name", "labels", "read_at")


class Kind(Record):
    """A kind of machine: a template, and the slots of the numbers in which the machines of the kind
    differ.
    """

    template: Machine
    slots: tuple[Slot, ...]

    def machine(self, numbers: Numbers, **facts: Any) -> Machine:
        """Return the machine of this kind with these numbers, and with these facts."""
        # keys: a fact and the index of an entry; values: the entry's parts that are numbers
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
        """Return the places of machines of this kind in parts. The machines of a part have the same
        free memory of every accelerator.
        """
        parts = defaultdict(list)
        are_of_cards = [slot.fact == _CARDS for slot in self.slots]
        for place, numbers_there in numbers.items():
            free_bytes = tuple(compress(numbers_there, are_of_cards))
            parts[free_bytes].append(place)
        return [parts[free_bytes] for free_bytes in sorted(parts)]


class MachineOfKind(Record):
    """A machine by the number of its kind in some `Kinds`, its numbers, and the values that only
    this machine has.
    """

    kind_number: int
    numbers: Numbers
    name: str
    labels: Labels
    read_at: str | None


class Kinds:
    """The kinds of some machines. The number of a kind is its place in `known`, which is in the
    order in which the kinds were met.
    """

    def __init__(self) -> None:
        self.known: list[Kind] = []
        self._number_by_content: dict[object, int] = {}

    def number_of(self, kind: Kind) -> int:
        """Return the number of the known kind that is equal to `kind`, or a new number where no
        kind is.
        """
        content = _content_of(kind.template), kind.slots
        number = self._number_by_content.setdefault(content, len(self.known))
        if number == len(self.known):
            self.known.append(kind)
        return number

    def split(self, machine: Machine) -> MachineOfKind:
        """Return a machine as its kind and its numbers."""
        numbers = _numbers_of(machine)
        kind = Kind(template=machine, slots=tuple(numbers))
        return MachineOfKind(
            kind_number=self.number_of(kind),
            numbers=tuple(numbers.values()),
            name=machine.name,
            labels=machine.labels,
            read_at=machine.read_at,
        )


class Machines:
    """The machines of a fleet in the order in which they were added. `kept` has the kept values of
    each; a machine is made when it is asked for by its place.
    """

    def __init__(self, machines: Iterable[Machine] = ()) -> None:
        self.kinds = Kinds()
        self.kept: list[MachineOfKind] = []
        # equal labels are kept once: many machines share them
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
        """The names of the machines in order."""
        return [machine.name for machine in self.kept]

    def add(self, machine: Machine) -> None:
        """Keep a machine."""
        self.append(self.kinds.split(machine))

    def append(self, machine: MachineOfKind) -> None:
        """Keep a machine whose kind is one of `kinds`."""
        labels = self._labels.setdefault(machine.labels, machine.labels)
        machine = machine.replace(labels=labels)
        self.kept.append(machine)


def _numbers_of(machine: Machine) -> dict[Slot, int]:
    """The known numbers of a machine, by their slots."""
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
                    numbers[Slot(fact=fact, entry=index, part=part)] = number
    return numbers


def _content_of(machine: Machine) -> tuple[object, ...]:
    """The values of a machine's record, without its numbers and without the values that only this
    machine has.
    """
    values = machine.__getstate__()
    for fact in (*_OF_ONE_MACHINE, *[slot.fact for slot in OF_MACHINE]):
        values[fact] = None
    for fact, parts in OF_ENTRIES.items():
        if values[fact] is not None:
            entries = [_without(entry, parts) for entry in values[fact]]
            values[fact] = tuple(entries)
    return tuple(values.values())


def _without(entry: Record, parts: Sequence[str]) -> tuple[object, ...]:
    """The values of a record, without those of some fields."""
    values = entry.__getstate__()
    for part in parts:
        del values[part]
    return tuple(values.values())


class DecidingFinding(NamedTuple):
    """The values of a finding by which machines fare alike or not."""

    check: str
    outcome: str
    code: str


class DecisionKey(NamedTuple):
    """The values of a verdict by which machines fare alike: machines with equal keys fare alike."""

    route: str
    runtime: str | None
    format: str | None
    quantization: str | None
    findings: tuple[DecidingFinding, ...]

    @property
    def checks(self) -> set[str]:
        """The checks whose findings decide."""
        return {finding.check for finding in self.findings}


# the checks that warn, each with its reason code
Warned = tuple[tuple[str, str], ...]


class Decision(Record):
    """The result of a judgement, the most that the machine lacks, in the unit of the check that it
    fails, and the checks that warn, which decide nothing.
    """

    key: DecisionKey
    lacks: float
    warned: Warned


Decide = Callable[[Numbers], Decision]


class AlikeMachines(Record):
    """Machines that fare alike, by their places. `hardest` is the place of the machine that lacks
    most, and `lacks` how much it lacks. Where `warned` has one entry, that holds for all of them;
    several entries mean that the machines may differ in what warns.
    """

    key: DecisionKey
    places: Places
    hardest: int
    lacks: float
    warned: frozenset[Warned]


# the result of one entry of a policy on the machines of a task
Outcomes = list[AlikeMachines] | SelfhostError


def _spread(numbers: Numbers) -> float:
    """How many times as large as the least of these numbers the largest is. A least of 0 counts
    as 1.
    """
    return max(numbers) / max(min(numbers), 1)


def _middle(numbers: Numbers) -> int:
    """The least number of the larger half of the machines, of which not all have one number."""
    values = sorted(numbers)
    middle = values[len(values) // 2]
    if middle > values[0]:
        return middle
    # most machines have the least number: the others form the larger half
    return next(value for value in values if value > middle)


def _halves(box: Places, numbers: Numbers) -> list[Places]:
    """The machines of a box in two parts: those with the smaller numbers, then those with the
    larger. `numbers` has one number for each machine.
    """
    middle = _middle(numbers)
    smaller = []
    larger = []
    for place, number in zip(box, numbers, strict=True):
        if number < middle:
            smaller.append(place)
        else:
            larger.append(place)
    return [smaller, larger]


class AlikeSearch:
    """A search that sorts machines of one kind by how they fare. `decide` judges the machine with
    given numbers.
    """

    def __init__(self, numbers: NumbersByMachine, decide: Decide) -> None:
        self._numbers = numbers
        self._decide = cache(decide)

    def machines_that_fare_alike(self, boxes: Iterable[Places]) -> list[AlikeMachines]:
        """Return the machines of these boxes in groups that fare alike.

        A box is a list of machines by their places. A box whose worst and best machine fare
        differently is halved.
        """
        found: defaultdict[DecisionKey, _Found] = defaultdict(_Found)
        waiting = list(boxes)
        while waiting:
            box = waiting.pop()
            columns = self._columns(box)
            worst = self._decide(tuple(map(min, columns)))
            best = self._decide(tuple(map(max, columns)))
            if worst.key == best.key:
                found[worst.key].add(box, worst.lacks, (worst.warned, best.warned))
            else:
                waiting += _halves(box, max(columns, key=_spread))
        return [self._alike(key, machines) for key, machines in found.items()]

    def _columns(self, places: Places) -> list[Numbers]:
        """The numbers of these machines, those of one slot together."""
        rows = [self._numbers[place] for place in places]
        return list(zip(*rows, strict=True))

    def _alike(self, key: DecisionKey, found: _Found) -> AlikeMachines:
        """The group of the machines that were found, with the machine that lacks most, the first of
        several. The worst machine of a box, by which `found.lacks` is told, need not exist.
        """
        places = sorted(found.places)
        hardest = places[0]
        most = 0.0
        for place in self._candidates(places):
            if most == found.lacks:
                # no machine can lack more than this
                break
            lacks = self._decide(self._numbers[place]).lacks
            if lacks > most:
                hardest = place
                most = lacks
        return AlikeMachines(
            key=key,
            places=places,
            hardest=hardest,
            lacks=most,
            warned=frozenset(found.warned),
        )

    def _candidates(self, places: Places) -> list[int]:
        """The places of the first machine, and of the first machine with the least of each number.

        One of these lacks most, as long as the shortfall rests on one number or on the least of
        several. If it rested on the sum of two, a machine that is second in both could lack more.
        """
        candidates = {places[0]}
        for column in self._columns(places):
            index = column.index(min(column))
            candidates.add(places[index])
        return sorted(candidates)


class _Found:
    """Machines that fare alike, by their places. None of them lacks more than `lacks`."""

    def __init__(self) -> None:
        self.places: Places = []
        self.lacks = 0.0
        self.warned: set[Warned] = set()

    def add(
        self,
        places: Places,
        lacks: float,
        warned: Iterable[Warned],
    ) -> None:
        self.places += places
        self.lacks = max(self.lacks, lacks)
        self.warned.update(warned)
