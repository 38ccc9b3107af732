"""The machines that clouds rent, by the names of their types: `g5.xlarge`, `n1-standard-8 + t4`.

What goes in: a text. What comes out: the machine and a note, or None where the text names no type.
specs/common/cloud_types.toml has the types of each series in one row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from ..core import units
from ..core.records import Record, Stated
from ..core.tables import shipped_record
from . import cpus
from .description import cards_named
from .profiles import NotedMachine, planned_machine
from .record import BANDWIDTH, FactValues
from .words import UnknownGpuError, fits, has_digit

_MOST_LETTERS = 120
# a whole computer as large as its largest virtual machine: `c7a.metal-48xl`
_METAL = re.compile(r"(?<=[a-z\d])\.metal-(\d{1,3})xl\b")


class _Series(Stated):
    """A row of `type`: the types of one series, whose names begin with a letter of `begins`.

    `gib` is the memory for each virtual processor, by the word `kind` of the name. `gpus` is the
    number of GPUs, by the number of virtual processors. `counts` are the numbers of virtual
    processors with which the series is rented; empty where not all of them are known.
    """

    provider: str
    types: str
    begins: str
    cpu: str
    threads: int
    source: str
    gib: Mapping[str, float] = {}
    any_host: bool = False
    processors: Mapping[str, int] | None = None
    counts: frozenset[int] = frozenset()
    gpu: str | None = None
    gpus: Mapping[str, int] = {}


class _CloudTable(Stated):
    """`specs/common/cloud_types.toml`, whose header explains each key."""

    schema: int
    providers: tuple[str, ...]
    unlisted: str
    constrained: str
    # the virtual processors of a size: 2 for `large`
    sizes: Mapping[str, int]
    most_processors: int
    type: tuple[_Series, ...]
    # the virtual processors of all types that were seen at a provider
    counts: Mapping[str, frozenset[int]]
    sources: Mapping[str, str]


class _CloudType(Record):
    """A type of a series of rented machines: its virtual processors and its memory."""

    series: _Series
    memory_gib: float
    processors: int


@cache
def _table() -> _CloudTable:
    return shipped_record(_CloudTable, "cloud_types")


def rented(text: str) -> NotedMachine | None:
    """Return the machine that a cloud's name for a type means, and a note; None for any other text.

    GPUs that are named behind the type, `n1-standard-8 + t4`, take the place of its own.
    """
    plain = without_provider(text)
    if len(plain) > _MOST_LETTERS or not has_digit(plain):
        return None
    words = _METAL.sub(r".\1xlarge", plain).split()
    # the longest name of a type counts; the words behind the name are GPUs
    for end in range(len(words), 0, -1):
        name = " ".join(words[:end])
        type = _type_called(name.lower())
        if type is not None:
            behind = " ".join(words[end:])
            return _rented_machine(name, type, behind)
    return None


def has_unlisted_gpu(text: str) -> bool:
    """Whether a text names a type with a GPU, or with a part of one, that no row lists."""
    plain = without_provider(text).lower()
    shape = _table().unlisted
    return fits(shape, plain)


def without_provider(text: str) -> str:
    """Return the text without the words for the provider before or behind it: `google cloud`."""
    providers = _table().providers
    words = text.split()
    for end in (0, -1):
        while len(words) > 1 and words[end].lower() in providers:
            words.pop(end)
    # SageMaker's names begin with `ml.`
    return " ".join(words).removeprefix("ml.")


def _rented_machine(
    name: str,
    type: _CloudType,
    behind: str,
) -> NotedMachine:
    """The machine of a type with the GPUs named behind the type, and a note."""
    series = type.series
    ignored = ""
    cards = None
    if behind:
        try:
            cards = cards_named(behind.lstrip("+, ").removeprefix("with "))
        except UnknownGpuError:
            ignored = f" Ignored (not understood): {behind}."
    if cards is None and series.gpu is not None:
        number = series.gpus.get(str(type.processors), 1)
        cards = cards_named(f"{number}x {series.gpu}")
    facts: FactValues = {
        "system": "linux",
        "architecture": cpus.class_of(series.cpu).architecture,
        "cpu_model": series.cpu,
        "cpu_cores_usable": float(type.processors),
        "cpu_cores_physical": max(1, type.processors // series.threads),
        "accelerators": () if cards is None else cards.accelerators,
    }
    machine = planned_machine(
        facts,
        memory_gib=type.memory_gib,
        assumed=[BANDWIDTH, "cpu_model"] if series.any_host else [BANDWIDTH],
        source=_table().sources[series.source],
        name=name,
        scope="vm",
        confidence="medium",
    )
    memory = units.binary(machine.memory_total_bytes or 0)
    equipment = f"{memory}, {type.processors} virtual processors of {series.cpu}"
    if cards is not None:
        equipment += f", {cards.label}"
    provider = f"{series.provider} "
    if name.lower().startswith(provider.lower()):
        provider = ""
    return NotedMachine(machine, f"{provider}{name}: {equipment}.{ignored}")


def _type_called(name: str) -> _CloudType | None:
    """The type of that name, which is in lower case; None where no row fits."""
    # `Standard_E8-4s_v5` has the memory of `Standard_E8s_v5`, and 4 of its 8 processors
    fewer = 0
    shape = _table().constrained
    constrained = re.fullmatch(shape, name, re.ASCII)
    if constrained is not None:
        name = f"{constrained['before']}{constrained['behind']}"
        fewer = int(constrained["count"])
    for series in _table().type:
        # checks the first letter first: to compile an expression takes 0.3 ms
        if name[:1] not in series.begins:
            continue
        match = re.fullmatch(series.types, name, re.ASCII)
        if match is None:
            continue
        processors = _processors_of(series, match["size"])
        groups = match.groupdict(default="")
        if "gib" in groups:
            gib = float(groups["gib"])
        else:
            kind = groups.get("kind", "")
            gib = series.gib.get(kind, 0.0) * processors
        if gib and fewer < processors and _is_rented(series, processors):
            return _CloudType(
                series=series, memory_gib=gib, processors=fewer or processors
            )
    return None


def _processors_of(series: _Series, size: str) -> int:
    """The virtual processors of a size: eight of `8`, 16 of `4xlarge`; 0 for a word that is no
    size.
    """
    if series.processors is not None:
        return series.processors.get(size, 0)
    word = size.lstrip("0123456789")
    count = int(size.removesuffix(word) or 1)
    if not word:
        return count
    return count * _table().sizes.get(word, 0)


def _is_rented(series: _Series, processors: int) -> bool:
    """Whether the series is rented with so many virtual processors, as far as that is known."""
    if series.processors is not None:
        return True
    counts = series.counts or _table().counts.get(series.provider)
    if not counts:
        return processors <= _table().most_processors
    return processors in counts
