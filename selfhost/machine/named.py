"""Machines by the names that people type: a known machine, a type that a cloud rents
(`m6a.xlarge`, `specs/common/cloud_types.toml`), or a description.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..core import units
from ..core.tables import shipped_table
from . import build, cpus
from .changes import planned
from .gpu_names import NamedCards, cards_named, find_cards
from .profiles import NamedProfile, NotOneMachineError, called, described_as, refusal
from .record import Machine
from .understand import understand
from .words import BREAK, tokens, words

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

__all__ = ["NotOneMachineError", "machine_named", "noted_machine", "profile_named", "rented"]

_MOST_LETTERS = 120
_BANDWIDTH = "memory_bandwidth_bytes_per_second"
# a whole computer, of the size of its largest virtual machines: `c7a.metal-48xl`
_METAL = re.compile(r"(?<=[a-z\d])\.metal-(\d{1,3})xl(?![\w-])", re.ASCII | re.IGNORECASE)


def machine_named(text: str) -> Machine:
    """The machine of `profile_named`; its note stands in `machine.sources`."""
    return noted_machine(profile_named(text))


def noted_machine(named: NamedProfile) -> Machine:
    """The profile's machine, with the note in its sources."""
    machine = named.profile.machine
    if named.note is None:
        return machine
    total = machine.sources.get("memory_total_bytes", machine.name)
    sources = {**machine.sources, "memory_total_bytes": f"{total} ({named.note})"}
    return machine.replace(sources=sources)


def profile_named(text: str) -> NamedProfile:
    """The machine that `text` means: a profile by its name, the type that a cloud rents, else a
    machine of the parts that the text names.

    Raises `UnknownMachineError` where the text names no part, or can be several machines, and
    `MachineFileError` for a profile's faulty file.
    """
    named = called(text) or called(_without_provider(text))
    if named is not None:
        return named
    if (named := rented(text)) is not None:
        return named
    if _has_an_unlisted_gpu(text):
        raise refusal("unlisted_gpu", text)
    without_ram = [t.text for t in tokens(text) if t.text not in (*words()["ram"], BREAK)]
    if (named := called(" ".join(without_ram))) is not None:
        return named
    return build.described(understand(text))


def rented(text: str) -> NamedProfile | None:
    """The machine that a cloud's name for a type means, with GPUs that are named behind it,
    `n1-standard-8 + t4`; None for any other text.
    """
    plain = text.strip()
    if len(plain) > _MOST_LETTERS or not any(map(str.isdecimal, plain)):
        return None
    parts = _METAL.sub(r".\1xlarge", _without_provider(plain)).split()
    for end in range(len(parts), 0, -1):
        typed, beside = " ".join(parts[:end]), " ".join(parts[end:])
        described = _of_type(typed, None)
        if described is None or not beside or _is_idle(beside):
            if described is not None:
                return described
            continue
        cards = find_cards(beside.lstrip("+, ").removeprefix("with "))
        if cards is not None:
            return _of_type(typed, cards)
        return described.replace(note=f"{described.note} Left aside: {beside}.")
    return None


def _is_idle(beside: str) -> bool:
    """Whether it tells a disk or a system alone."""
    idle = {*words()["systems"], *words()["idle"], *words()["disk"]}
    return all(
        token.text in idle or re.fullmatch(r"\d+(?:gb|tb|[.\d]*)", token.text)
        for token in tokens(beside)
    )


def _has_an_unlisted_gpu(text: str) -> bool:
    """Whether it is the name of a type that a cloud rents with a GPU, of which no row tells it."""
    name = _without_provider(text.strip()).lower()
    pattern: str = shipped_table("cloud_types")["unlisted"]
    return len(name) <= _MOST_LETTERS and re.fullmatch(pattern, name, re.ASCII) is not None


def _without_provider(text: str) -> str:
    """The text without the words for who rents it out, before it or behind: `google cloud`."""
    providers = shipped_table("cloud_types")["providers"]
    # SageMaker's names have `ml.` before them
    parts = text.removeprefix("ml.").split()
    while len(parts) > 1 and parts[0].lower() in providers:
        parts.pop(0)
    while len(parts) > 1 and parts[-1].lower() in providers:
        parts.pop()
    return " ".join(parts)


def _of_type(text: str, added: NamedCards | None) -> NamedProfile | None:
    """The machine of a type's name, with those GPUs in place of its own where they are given."""
    table = shipped_table("cloud_types")
    name, count = text.lower(), 0
    # a type with fewer processors than another has its memory: `Standard_E8-4s_v5`
    if constrained := re.fullmatch(table["constrained"], name, re.ASCII):
        name, count = f"{constrained['before']}{constrained['behind']}", int(constrained["count"])
    for row in table["type"]:
        match = re.fullmatch(row["types"], name, re.ASCII) if name[:1] in row["begins"] else None
        if match is None:
            continue
        processors = _processors(match["size"], row, table["sizes"])
        groups = match.groupdict()
        each_gib = row.get("gib", {}).get(groups.get("kind"), 0)
        gib = float(groups.get("gib") or each_gib * processors)
        if gib and processors > count:
            cards = added
            if cards is None and "gpu" in row:
                number = row.get("gpus", {}).get(str(processors), 1)
                cards = cards_named(f"{number}x {row['gpu']}")
            return _described(text, row, gib, count or processors, cards)
    return None


def _processors(size: str, row: Mapping[str, Any], sizes: Mapping[str, int]) -> int:
    """The virtual processors of a size; 0 for a word that is none."""
    if "processors" in row:
        of_size: int = row["processors"].get(size, 0)
        return of_size
    word = size.lstrip("0123456789")
    multiple = int(size.removesuffix(word) or 1)
    return multiple * (sizes.get(word, 0) if word else 1)


def _described(
    text: str, row: Mapping[str, Any], gib: float, processors: int, cards: NamedCards | None
) -> NamedProfile:
    around = cpus.class_of(row["cpu"])
    memory = round(gib * units.GIB)
    facts: dict[str, Any] = {
        "system": "linux",
        "architecture": "x86_64" if around is None else around.architecture,
        "memory_total_bytes": memory,
        "memory_limit_bytes": memory,
        "cpu_model": row["cpu"],
        "cpu_cores_usable": float(processors),
        "cpu_cores_physical": max(1, processors // row["threads"]),
        "accelerators": () if cards is None else cards.accelerators,
    }
    machine = Machine(
        **facts,
        name=text,
        scope="vm",
        confidence="medium",
        assumed=(_BANDWIDTH, "cpu_model") if row.get("any_host") else (_BANDWIDTH,),
        sources=dict.fromkeys(facts, shipped_table("cloud_types")["sources"][row["source"]]),
    )
    title = f"{row['provider']} {text}"
    parts = [units.binary(memory), f"{processors} virtual processors of {row['cpu']}"]
    parts += [] if cards is None else [cards.label]
    return described_as(planned(machine), title, f"{title}: {', '.join(parts)}.")
