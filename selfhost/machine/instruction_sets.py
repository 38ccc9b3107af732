"""Sets of instructions: what one brings, what is none of an architecture's, and what is assumed of
a processor whose sets are not known. The table is `specs/common/instruction_sets.toml`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ..core.records import Stated
from ..core.tables import shipped_record
from . import cpus
from .record import Machine


class LeastSets(Stated):
    """What every processor of a class has, and what many of them lack."""

    have: tuple[str, ...]
    lack: str


class InstructionSets(Stated):
    """The table. `assumed`, by system and architecture or by architecture; `least` by
    `least_vectors` of a class; `series` by `vectors`, the architecture first; `baseline` by
    architecture; `implied` by set.
    """

    assumed: Mapping[str, tuple[str, ...]]
    least: Mapping[str, LeastSets]
    series: Mapping[str, tuple[str, ...]]
    baseline: Mapping[str, tuple[str, ...]]
    implied: Mapping[str, tuple[str, ...]]


def instruction_sets() -> InstructionSets:
    """The table, read once."""
    return shipped_record(InstructionSets, "instruction_sets")


def with_implied(sets: Iterable[str], architecture: str | None) -> tuple[str, ...]:
    """Those that were named, then those that they bring and those that every processor of the
    architecture has.
    """
    table = instruction_sets()
    baseline = table.baseline.get(architecture or "", ())
    # a dict stands for a set that keeps its order
    found = dict.fromkeys([*sets, *baseline])
    waiting = list(found)
    while waiting:
        for implied in table.implied.get(waiting.pop(0), ()):
            if implied not in found:
                found[implied] = None
                waiting.append(implied)
    return tuple(found)


def possible_sets(sets: Sequence[str], architecture: str | None) -> tuple[str, ...]:
    """Those that a processor of the architecture may have: AVX2 is none of an Arm processor's. A
    name that no table here has may be any processor's, and one of unknown architecture have any.
    """
    table = instruction_sets()
    if architecture not in table.baseline:
        return tuple(sets)
    foreign: set[str] = set()
    # what every processor of another architecture has: a set that brings one of these is foreign,
    # too, though no table assumes it
    foreign_baseline: set[str] = set()
    for other in table.baseline:
        if other != architecture:
            foreign.update(table.assumed[other])
            foreign_baseline.update(table.baseline[other])
    possible = []
    for name in sets:
        if name in foreign:
            continue
        if foreign_baseline.isdisjoint(with_implied((name,), None)):
            possible.append(name)
    return tuple(possible)


class AssumedSets(NamedTuple):
    """The sets that a processor is assumed to have, and why these."""

    sets: tuple[str, ...]
    why: str


def assumed_sets(machine: Machine) -> AssumedSets | None:
    """What the processors of such machines have; None where nothing tells."""
    table = instruction_sets()
    architecture = machine.architecture
    name = machine.cpu_model or ""
    least = cpus.class_of(name).least_vectors
    if least is not None and cpus.processor_of(name) is None:
        row = table.least[least]
        why = f"many processors of that name lack {row.lack}"
        return AssumedSets(with_implied(row.have, "x86_64"), why)
    # some systems run on fewer processors of an architecture than others
    for key in (machine.platform, architecture or ""):
        sets = table.assumed.get(key)
        if sets is not None:
            why = f"what nearly every {architecture} processor has"
            return AssumedSets(sets, why)
    return None
