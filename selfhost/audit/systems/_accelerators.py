"""Accelerators by the names that other systems give them: one entry a card, never a pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from ...core import units
from ...core.records import Record
from ...core.spelling import words_of
from ...machine import gpu_names, gpus
from ...machine.record import Accelerator
from ._facts import Facts, count, plain

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# as of a profile; a machine with more is a mistake of its answer
MAX_CARDS = gpu_names.MOST_CARDS
TABLE = "specs/common/gpus.toml"


class Kind(Record):
    """Accelerators of one machine that are alike.

    `memory_total_bytes` and `memory_free_bytes` are those of one. `name` is as the system writes
    it. `is_part`: an instance of NVIDIA's MIG, whose memory and bandwidth are a slice.
    """

    vendor: str
    name: str
    number: int = 1
    memory_total_bytes: int | None = None
    memory_free_bytes: int | None = None
    driver: str | None = None
    compute_capability: str | None = None
    is_part: bool = False


class _LookedUp(Record):
    """What the table of GPUs tells of a name: None where it has no row."""

    name: str
    unified: bool | None
    bytes_per_second: int | None
    capability: str | None


def put_accelerators(facts: Facts, kinds: list[Kind], source: str, remedy: str) -> None:
    """Every card of these kinds; with no kind the machine has none. What is not known of them is
    unread.
    """
    cards: list[dict[str, Any]] = []
    looked_up = set()
    for kind in kinds:
        card = _card(kind)
        cards += [card] * min(kind.number, MAX_CARDS - len(cards))
        if card["memory_bandwidth_bytes_per_second"]:
            looked_up.add("memory_bandwidth_bytes_per_second")
        if card["compute_capability"] and not kind.compute_capability:
            looked_up.add("compute_capability")
    facts.put("accelerators", cards, source)
    if not cards:
        return
    for part in sorted(looked_up, reverse=True):
        facts.note(f"accelerators.{part}", f"looked up by name in {TABLE}")
    _put_lacking(facts, cards, remedy)


def _put_lacking(facts: Facts, cards: Sequence[Mapping[str, Any]], remedy: str) -> None:
    """What is not known of some card, with the reason."""
    lacking = {part for card in cards for part, value in card.items() if value is None}
    if "memory_total_bytes" in lacking:
        facts.lacks("accelerators.memory_total_bytes", "the system does not state it", remedy)
    if "memory_free_bytes" in lacking:
        facts.lacks(
            "accelerators.memory_free_bytes",
            "the system does not say how much is free on each card now",
            remedy,
        )
    if "unified" in lacking:
        clauses = [gpus.why_unserved(card["name"]) for card in cards if card["unified"] is None]
        clause = None if None in clauses else clauses[0]
        why = f"no row of {TABLE} has that name, so it may share the machine's RAM"
        facts.lacks(
            "accelerators.unified", f"it is {clause}" if clause else why, None if clause else remedy
        )


def by_word(word: str, number: int) -> Kind:
    """Cards by the word that a site or a scheduler has for them, such as `a100`: without memory,
    for one word may be that of several sizes.
    """
    name = word.replace("_", " ").replace("-", " ").strip()
    cards = gpu_names.find_cards(name)
    if cards is None or not cards.accelerators:
        return Kind(vendor=gpus.vendor_of(name), name=f"GPU {name}".strip(), number=number)
    vendor = cards.accelerators[0].vendor
    shown = name.upper() if name.islower() else name
    maker = {"nvidia": "NVIDIA", "amd": "AMD", "intel": "Intel"}.get(vendor, "")
    return Kind(
        vendor=vendor,
        name=shown if maker.lower() in shown.lower() else f"{maker} {shown}",
        number=number,
    )


def number_of(value: Any) -> int:
    """How many cards a machine has: 0 where none is stated."""
    return min(count(value) or 0, MAX_CARDS)


def _card(kind: Kind) -> dict[str, Any]:
    chip = _look_up(kind.name, kind.memory_total_bytes, kind.is_part)
    free, total = kind.memory_free_bytes, kind.memory_total_bytes
    return {
        "vendor": kind.vendor,
        "name": chip.name,
        "memory_total_bytes": total,
        "memory_free_bytes": free if free is None or total is None else min(free, total),
        "unified": chip.unified,
        "driver": plain(kind.driver, 60),
        "compute_capability": plain(kind.compute_capability, 20) or chip.capability,
        "memory_bandwidth_bytes_per_second": chip.bytes_per_second,
    }


@lru_cache(512)
def _look_up(name: str, memory_bytes: int | None, is_part: bool) -> _LookedUp:
    spelled = _as_its_driver_writes(name)
    unified: bool | None = None
    gb_per_s = None if is_part else gpus.peak_gb_per_s(spelled, memory_bytes)
    try:
        named = _cards(spelled.split(" MIG ")[0])
    except gpu_names.PartOfMachineError:
        named, unified = (), True
    if named:
        unified = False
    if named and gb_per_s is None and not is_part:
        slowest = min(card.memory_bandwidth_bytes_per_second or 0 for card in named)
        gb_per_s = slowest / units.GB
    if is_part:
        # only a card with memory of its own can be divided
        unified = False
    return _LookedUp(
        name=spelled,
        unified=unified,
        bytes_per_second=round(gb_per_s * units.GB) if gb_per_s else None,
        capability=gpus.capability_by_name(spelled),
    )


def _cards(name: str) -> tuple[Accelerator, ...]:
    """The cards of a name, with its maker's or without, for no driver says `NVIDIA T4`."""
    for text in (name, name.partition(" ")[2]):
        try:
            return gpu_names.cards_named(text).accelerators
        except gpu_names.PartOfMachineError:
            raise
        except gpu_names.UnknownGpuError:
            continue
    return ()


def _as_its_driver_writes(name: str) -> str:
    """Labels have no spaces: `NVIDIA-H100-80GB-HBM3` -> `NVIDIA H100 80GB HBM3`."""
    text = plain(name, 120) or "a GPU"
    words = words_of(text)
    whole, mark, part = text.partition("-MIG-")
    if mark:
        return f"{_as_its_driver_writes(whole)} MIG {part}"
    for card in gpus.cards():
        if words_of(card.name) == words:
            return card.name
    return text if " " in text else text.replace("_", " ").replace("-", " ")
