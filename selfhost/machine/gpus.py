"""What the name of a GPU tells: `specs/common/gpus.toml`, which explains each key. It is read when
a GPU is looked up, once: a machine without one does not pay for it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache, partial
from typing import Any

from ..core import units
from ..core.records import Record
from ..core.tables import TomlRow, shipped_table
from ..core.units import words_of
from . import cpus
from .record import Accelerator, Machine

_table = partial(shipped_table, "gpus")
# the maker of a GPU whose name tells none
UNKNOWN = "unknown"
_USUAL_SLICES = 7
# what a virtual machine gets of an NVIDIA card, `GRID T4-8Q`: how fast that is no name tells
_VGPU = r"(?:NVIDIA|GRID)[ -].+-\d{1,3}[ABCQ]"
# an instance of MIG; `1c.` of one of several slices is the part of it that one program computes on
_MIG = r"(.+?) MIG (?:(\d)c\.)?(\d)g\..*"
# operations in 16 bits of one core of Apple's GPUs in a cycle, as `apple_tflops` of the table has
# them, without matrix units and with
_FLOPS_OF_CORE, _FLOPS_OF_MATRIX_CORE = 256, 1024


@lru_cache(maxsize=256)
def fact_of(name: str, key: str, memory_gib: float | None = None) -> Any:
    """The value of that key in the row with the most words of the name, of a card with that memory
    where it is sold with several; None where none has it.
    """
    if re.fullmatch(_VGPU, name):
        return None
    # words that make another GPU of one: `ti`, `laptop`
    words, telling = words_of(name), frozenset(_table()["variants"])
    has_number = any(any(map(str.isdecimal, word)) for word in words)
    words = frozenset(_table()["same"].get(word, word) for word in words)
    matching = [
        (len(own), row)
        for own, row in _rows(key)
        if own <= words and own & telling == words & telling
        if not (has_number and row.get("numberless"))
    ]
    if not matching:
        return None
    row = max(matching, key=lambda pair: pair[0])[1]
    others = (
        other[key]
        for other in row.get("other", ())
        if other["memory_gib"] == memory_gib
    )
    return next(others, row[key])


@lru_cache(maxsize=16)
def _rows(key: str) -> tuple[tuple[frozenset[str], dict[str, Any]], ...]:
    return tuple(
        (frozenset(row["words"].split()), row) for row in _table()["gpu"] if key in row
    )


def card_rows() -> Sequence[TomlRow]:
    """The rows of `gpu`: the GPUs that are sold."""
    rows: Sequence[TomlRow] = _table()["gpu"]
    return rows


def source_called(key: str) -> str:
    """Where the figures of a row are from, by its `source`."""
    source: str = _table()["sources"][key]
    return source


def _has_words(name: str, patterns: Sequence[str]) -> bool:
    return (
        re.search(rf"\b(?:{'|'.join(patterns)})\b", name.lower().replace("-", " "))
        is not None
    )


@lru_cache(maxsize=256)
def peaks_with_memory(vendor: str, memory_bytes: int) -> tuple[float, float] | None:
    """The least and the most GB/s of a maker's cards with that much memory."""
    sold_gib = memory_bytes / units.GIB
    peaks = [
        row["gb_per_s"]
        for row in _table()["gpu"]
        if "gb_per_s" in row
        and not row.get("unified")
        and vendor in (UNKNOWN, vendor_of(row["name"]))
        and any(abs(size - sold_gib) < 0.1 * size for size in row.get("memory_gib", ()))
    ]
    return (min(peaks), max(peaks)) if peaks else None


def driver_memory_bytes(name: str, sold_gb: float) -> int:
    """What the driver reports of a card's memory, by its whole name and what it is sold with."""
    for row in _table()["gpu"]:
        for driver in row.get("driver", ()) if row["name"] == name else ():
            if driver["sold_gb"] == sold_gb:
                return int(driver["mib"]) * units.MIB
    return round(sold_gb * units.GIB)


class _Kept(Record):
    """MiB that a driver keeps of a card that it reports `total` of: least, likely and most seen."""

    total: int
    least: int
    likely: int
    most: int


_NOTHING_KEPT = _Kept(total=0, least=0, likely=0, most=0)


@cache
def kept_by_size(vendor: str) -> tuple[_Kept, ...]:
    """What the driver of a maker keeps, the smallest card first; empty where it is not known."""
    for row in _table()["driver_keeps"]:
        if vendor in row["makers"]:
            return tuple(_Kept(**size) for size in row["sizes"])
    return ()


def kept_by_driver_bytes(vendor: str, total_bytes: int) -> int:
    """What the driver of a maker likely keeps of a card of that size before any program runs.

    Between two sizes of the table it goes in proportion, above the largest it stays the same; 0 of
    a maker of whom nothing is known.
    """
    total_mib = total_bytes / units.MIB
    smaller = _NOTHING_KEPT
    for larger in kept_by_size(vendor):
        if total_mib < larger.total:
            position = (total_mib - smaller.total) / (larger.total - smaller.total)
            kept_mib = smaller.likely + position * (larger.likely - smaller.likely)
            return round(kept_mib * units.MIB)
        smaller = larger
    return smaller.likely * units.MIB


def link_bytes_per_second(name: str) -> float | None:
    """What the link of a GPU to the RAM carries each way at most; None where it is not known."""
    link: str | None = fact_of(_whole_and_share(name)[0], "pcie")
    if link is None:
        return None
    version, _, lanes = link.partition(" x")
    return float(_table()["pcie_lane"][version]) * 1e9 * int(lanes)


def series_in(machine: Machine) -> cpus.Processor | None:
    """The series of its processor, by its name or that of the GPU in it."""
    if (series := cpus.processor_of(machine.cpu_model or "")) is not None:
        return series
    for card in (card for card in machine.accelerators or () if card.unified):
        memory, name = fact_of(card.name, "integrated"), fact_of(card.name, "name")
        if memory is not None and fact_of(name, "integrated") is memory:
            kind, rates = (
                memory.get("kind", "unnamed"),
                cpus.rates_of(memory, memory.get("kinds", ())),
            )
            given = {
                "vectors": "avx2",
                **memory,
                **rates,
                "kind": kind,
                "memory": "either",
            }
            share = cpus.share_of(kind)
            return cpus.record_of(
                cpus.Processor, given, name=f"those with {name}", share=share
            )
    return None


def computer_of(machine: Machine) -> TomlRow | None:
    """The row of `computer` that its cards tell; None where these may be a server's."""
    cards = [card.name for card in machine.accelerators or () if not card.unified]
    names = [fact_of(card, "name") or card for card in cards]
    memory_gib = (machine.memory_total_bytes or 0) / units.GIB
    for row in _table()["computer"]:
        is_of_so_many = (
            0 < len(names) <= row["cards"] and memory_gib <= row["memory_gib"]
        )
        if is_of_so_many and all(_has_words(name, row["names"]) for name in names):
            return {**row, **cpus.rates_of(row)}
    row = _table()["unnamed"]
    return {**row, **cpus.rates_of(row)} if "cpu_model" in machine.assumed else None


def cores_in(machine: Machine) -> cpus.Cores | None:
    """The cores that its processor tells, else the computer around its cards or its GPU."""
    if machine.cpu_model:
        return cpus.cores_of(machine.cpu_model)
    if not machine.accelerators:
        return None
    if all(card.unified for card in machine.accelerators):
        around_gpu = cpus.class_of(machine.accelerators[0].vendor)
        return cpus.cores_from(around_gpu, 1) if around_gpu else None
    around = computer_of(machine)
    return None if around is None else cpus.cores_from({"cores": around["cores"]}, 2)


@lru_cache(maxsize=256)
def cycles_per_second(name: str) -> float | None:
    """Of all multiprocessors of NVIDIA's at the boost clock, or cores of Apple's by the peak."""
    if (chip := cpus.chip_of(words_of(name))) is not None and chip.tflops is not None:
        return (
            chip.tflops
            * 1e12
            / (_FLOPS_OF_MATRIX_CORE if chip.neural else _FLOPS_OF_CORE)
        )
    whole, share = _whole_and_share(name)
    count, ghz = fact_of(whole, "processors"), fact_of(whole, "boost_ghz")
    return None if count is None or ghz is None else count * ghz * 1e9 * share


def _whole_and_share(name: str) -> tuple[str, float]:
    """The GPU that an instance of MIG is a part of, and its share; another itself and 1."""
    match = re.fullmatch(_MIG, name)
    if match is None:
        return name, 1.0
    slices = fact_of(match[1], "mig_slices") or _USUAL_SLICES
    return match[1], min(1.0, int(match[2] or match[3]) / slices)


def peak_flops(name: str, capability: str | None) -> float | None:
    """Peak of a GPU's 16-bit arithmetic, operations a second, of Apple's with its largest GPU."""
    cycles = cycles_per_second(name)
    # what one multiprocessor of NVIDIA's does in a cycle
    flops_of_processor = (
        row["flops"]
        for row in _table()["matrix"]
        if row["capability"] == capability and _has_words(name, row.get("names", ("",)))
    )
    each: float | None = next(flops_of_processor, None)
    if cycles is not None and each is not None:
        return cycles * each
    whole, share = _whole_and_share(name)
    tflops: float | None = fact_of(whole, "tflops")
    if tflops is None and (chip := cpus.chip_of(words_of(name))) is not None:
        tflops = chip.tflops
    return None if tflops is None else tflops * 1e12 * share


@lru_cache(maxsize=1024)
def capability_by_name(name: str) -> str | None:
    """The compute capability of an NVIDIA GPU by the name it reports; of others None."""
    if re.fullmatch(_VGPU, name):
        # some of them draw alone
        return None
    rows = (row for row in _table()["generation"] if _has_words(name, row["names"]))
    return next((row["capability"] for row in rows), None)


def capability_of(card: Accelerator) -> str | None:
    """Its compute capability, as it was read, else by its name; None where neither tells."""
    return card.compute_capability or capability_by_name(card.name)


def reaches_capability(capability: str | None, least: str | None) -> bool | None:
    """Whether that compute capability is enough; None where it is not known."""
    if least is None:
        return True
    if capability is None:
        return None
    # others write no numbers
    own, needed = (text.split(".") for text in (capability, least))
    return all(map(str.isdecimal, own)) and [*map(int, own)] >= [*map(int, needed)]


def has_hbm(name: str) -> bool:
    """Whether an NVIDIA GPU of that name has HBM."""
    called = (each for row in _table()["generation"] for each in row.get("hbm", ()))
    return any(words_of(each) <= words_of(name) for each in called)


def why_unserved(name: str) -> str | None:
    """What an accelerator is that no build judged here computes on, as a clause; else None."""
    return next(
        (row["is"] for row in _table()["unserved"] if _has_words(name, row["words"])),
        None,
    )


@lru_cache(maxsize=1024)
def vendor_of(name: str) -> str:
    """nvidia, amd, intel or qualcomm by the words of a GPU's name; `unknown` where none says."""
    words = re.split(r"[^a-z0-9]+", name.lower())
    makers = (
        row["id"] for row in _table()["maker"] if not {*words}.isdisjoint(row["words"])
    )
    return next(makers, UNKNOWN)
