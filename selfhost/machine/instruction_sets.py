"""Instruction sets: the sets that a set implies, the sets that an architecture cannot have, and the
sets assumed of a processor whose sets are not known. The table is
`specs/common/instruction_sets.toml`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..core.records import Record, Stated
from ..core.tables import shipped_record
from . import cpus
from .record import Machine


class LeastSets(Stated):
    """The instruction sets that every processor of a class has (`have`), and those that many
    processors of the class lack (`lack`).
    """

    have: tuple[str, ...]
    lack: str


class InstructionSets(Stated):
    """The table of instruction sets.

    - `assumed`: the sets of nearly every processor, by system and architecture, or by architecture.
    - `least`: the sets of every processor of a class, by the `least_vectors` of the class.
    - `series`: the architecture of a series of processors, then the sets of every processor of
      the series, by the `vectors` of the series.
    - `beside_gpu`: the sets of the processor that is one chip with a GPU, by the GPU's name.
    - `baseline`: the sets of every processor, by architecture.
    - `implied`: the sets that a set implies, by that set.
    """

    assumed: Mapping[str, tuple[str, ...]]
    least: Mapping[str, LeastSets]
    series: Mapping[str, tuple[str, ...]]
    beside_gpu: Mapping[str, tuple[str, ...]]
    baseline: Mapping[str, tuple[str, ...]]
    implied: Mapping[str, tuple[str, ...]]


def instruction_sets() -> InstructionSets:
    """The table, read once."""
    return shipped_record(InstructionSets, "instruction_sets")


def with_implied(sets: Iterable[str], architecture: str | None) -> tuple[str, ...]:
    """Return the named sets, then the sets that these imply, and the sets that every processor of
    the architecture has.
    """
    table = instruction_sets()
    baseline: Sequence[str] = ()
    if architecture is not None:
        baseline = table.baseline.get(architecture, ())
    # a dict as an ordered set
    found = dict.fromkeys([*sets, *baseline])
    waiting = list(found)
    while waiting:
        name = waiting.pop(0)
        for implied in table.implied.get(name, ()):
            if implied not in found:
                found[implied] = None
                waiting.append(implied)
    return tuple(found)


def possible_sets(sets: Sequence[str], architecture: str | None) -> tuple[str, ...]:
    """Return the sets that a processor of the architecture may have: an Arm processor has no AVX2.

    A set that no table lists stays. All sets stay where the architecture is unknown.
    """
    table = instruction_sets()
    if architecture not in table.baseline:
        return tuple(sets)
    of_others: set[str] = set()
    for other in table.baseline:
        if other != architecture:
            of_others.update(table.assumed[other])
            of_others.update(table.baseline[other])
    possible = []
    for name in sets:
        # `avx512f` is in neither table, but implies sets of x86-64
        implied = with_implied([name], None)
        if of_others.isdisjoint(implied):
            possible.append(name)
    return tuple(possible)


class AssumedSets(Record):
    """The instruction sets that a processor is assumed to have, and the reason."""

    sets: tuple[str, ...]
    why: str


def sets_of_series(cpu_name: str, architecture: str | None) -> AssumedSets | None:
    """Return the instruction sets that every processor of the named processor's series has; None
    where the series is not known, or is of another architecture.
    """
    series = cpus.series_called(cpu_name)
    if series is None:
        return None
    of_series, *sets = instruction_sets().series[series.vectors]
    if of_series != architecture:
        return None
    why = f"what processors of the series {series.name} have"
    return AssumedSets(sets=with_implied(sets, architecture), why=why)


def sets_left_open(machine: Machine, names: Iterable[str]) -> frozenset[str]:
    """Return those of the named instruction sets of which nothing tells whether the processor has
    them: the sets of the machine are only assumed, and no series of processors lists the name, or
    the processor's series is not known.
    """
    if "instruction_sets" not in machine.assumed:
        return frozenset()
    told = set(machine.instruction_sets or ())
    if sets_of_series(machine.cpu_name, machine.architecture) is not None:
        for _, *sets in instruction_sets().series.values():
            told.update(sets)
    return frozenset(names) - told


def assumed_sets(machine: Machine) -> AssumedSets | None:
    """Return the instruction sets that processors of such machines are assumed to have; None where
    nothing tells.
    """
    table = instruction_sets()
    architecture = machine.architecture
    name = machine.cpu_name
    for card in machine.cards:
        if card.unified and card.name in table.beside_gpu:
            why = f"what the processor beside an {card.name} has"
            return AssumedSets(sets=table.beside_gpu[card.name], why=why)
    of_series = sets_of_series(name, architecture)
    if of_series is not None:
        return of_series
    least = cpus.class_of(name).least_vectors
    if least is not None:
        row = table.least[least]
        why = f"many processors of that name lack {row.lack}"
        return AssumedSets(sets=with_implied(row.have, "x86_64"), why=why)
    # one system may run on fewer processors of an architecture than another
    for key in (machine.platform, architecture or ""):
        sets = table.assumed.get(key)
        if sets is not None:
            why = f"what nearly every {architecture} processor has"
            return AssumedSets(sets=sets, why=why)
    return None
