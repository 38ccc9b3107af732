"""Accelerators by the names that other systems give them: one entry a card, never a pool."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from ...core import units
from ...core.records import Record
from ...core.spelling import words_of
from ...machine import gpu_names, gpus
from ._facts import Facts, count, plain

# as of a profile; a machine with more is a mistake of its answer
MAX_CARDS = gpu_names.MOST_CARDS
_TABLE = "specs/common/gpus.toml"
_MAKERS = {"nvidia": "NVIDIA", "amd": "AMD", "intel": "Intel"}
_BANDWIDTH, _CAPABILITY = "memory_bandwidth_bytes_per_second", "compute_capability"
_NOT_STATED = {
    "memory_total_bytes": "the system does not state it",
    "memory_free_bytes": "the system does not say how much is free on each card now",
}


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


def put_accelerators(
    facts: Facts, kinds: Iterable[Kind], source: str, remedy: str | None = None
) -> None:
    """State every card of these kinds; with no kind the machine has none. What is not known of a
    card is unread.
    """
    cards: list[dict[str, Any]] = []
    looked_up = {_BANDWIDTH, _CAPABILITY}
    for kind in kinds:
        cards += [_card(kind)] * min(kind.number, MAX_CARDS - len(cards))
        if kind.compute_capability is not None:
            looked_up.discard(_CAPABILITY)
    facts.put("accelerators", cards, source)
    for part in sorted(looked_up):
        if any(card[part] for card in cards):
            facts.sources[f"accelerators.{part}"] = f"looked up by name in {_TABLE}"
    for part, reason in _NOT_STATED.items():
        if any(card[part] is None for card in cards):
            facts.lacks(f"accelerators.{part}", reason, remedy)
    unclear = [card["name"] for card in cards if card["unified"] is None]
    if unclear:
        reason = f"no row of {_TABLE} has that name, so it may share the machine's RAM"
        if None not in map(gpus.why_unserved, unclear):
            reason, remedy = f"it is {gpus.why_unserved(unclear[0])}", ""
        facts.lacks("accelerators.unified", reason, remedy)


def by_word(word: str, number: int) -> Kind:
    """Cards by the word that a site or a scheduler has for them, such as `a100`: without memory,
    for one word may be that of several sizes.
    """
    name = word.replace("_", " ").replace("-", " ").strip()
    cards = gpu_names.find_cards(name)
    if cards is None or not cards.accelerators:
        return Kind(vendor=gpus.vendor_of(name), name=f"GPU {name}".strip(), number=number)
    vendor = cards.accelerators[0].vendor
    shown, maker = name.upper() if name.islower() else name, _MAKERS.get(vendor, "")
    is_named = maker.lower() in shown.lower()
    return Kind(vendor=vendor, name=shown if is_named else f"{maker} {shown}", number=number)


def number_of(value: Any) -> int:
    """How many cards a machine has: 0 where none is stated."""
    return min(count(value) or 0, MAX_CARDS)


def _card(kind: Kind) -> dict[str, Any]:
    free, total = kind.memory_free_bytes, kind.memory_total_bytes
    name = _as_its_driver_writes(kind.name)
    # only a card with memory of its own can be divided; a slice has no bandwidth of the whole
    unified, bandwidth = (False, None) if kind.is_part else _look_up(name, total)
    capability = plain(kind.compute_capability, 20) or gpus.capability_by_name(name)
    return {
        "vendor": kind.vendor,
        "name": name,
        "memory_total_bytes": total,
        "memory_free_bytes": free if free is None or total is None else min(free, total),
        "unified": unified,
        "driver": plain(kind.driver, 60),
        _CAPABILITY: capability,
        _BANDWIDTH: bandwidth,
    }


@lru_cache(512)
def _look_up(name: str, memory_bytes: int | None) -> tuple[bool | None, int | None]:
    """Whether memory is unified and bytes a second, as the table of GPUs has them: None where it
    has no row.
    """
    unified: bool | None = None
    bandwidth: int | None = None
    # with its maker's name or without, for no driver says `NVIDIA T4`
    for text in (name, name.partition(" ")[2]):
        try:
            cards = gpu_names.cards_named(text).accelerators
        except gpu_names.PartOfMachineError:
            unified = True
            break
        except gpu_names.UnknownGpuError:
            continue
        if cards:
            unified = False
            bandwidth = min(card.memory_bandwidth_bytes_per_second or 0 for card in cards) or None
        break
    gb_per_second = gpus.peak_gb_per_s(name, memory_bytes)
    return unified, round(gb_per_second * units.GB) if gb_per_second else bandwidth


@lru_cache(512)
def _as_its_driver_writes(name: str) -> str:
    """Labels have no spaces: `NVIDIA-H100-80GB-HBM3` -> `NVIDIA H100 80GB HBM3`."""
    text = plain(name, 120) or "a GPU"
    whole, mark, part = text.partition("-MIG-")
    if mark:
        return f"{_as_its_driver_writes(whole)} MIG {part}"
    words = words_of(text)
    spelled = next((card.name for card in gpus.cards() if words_of(card.name) == words), None)
    return spelled or (text if " " in text else text.replace("_", " ").replace("-", " "))
