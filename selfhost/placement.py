"""Where a model's memory would lie: on an accelerator, split with RAM, or in RAM alone."""

from __future__ import annotations

from collections.abc import Iterator

from .machine import Accelerator, Machine
from .needs.records import MemoryNeed, Needs, Term
from .units import GIB

# llama.cpp's fitter leaves this much of each device free (common/common.h line 483, llama.cpp 0c1e5709)
DEVICE_MARGIN_BYTES = 1 * GIB
# grow with the number of layers, so a share of them can lie elsewhere
_BY_LAYER = ("weights", "kv_cache", "recurrent_state")


def placements(needs: Needs, machine: Machine, layers: int | None) -> Iterator[Needs]:
    """The same needs with their terms placed, in the order they are to be judged: accelerator, split, host, unread accelerator.

    Only the accelerator with the most room counts. One that shares the machine's RAM is no place of its own: there the
    terms stay where they are, in `host`.
    """
    room = _room(machine)
    if needs.memory is not None and room is not None:
        index, free = room
        where = f"accelerator:{index}"
        moving = [term for term in needs.memory.terms if term.name != "runtime"]
        if sum(term.high_bytes for term in moving) <= free:
            yield _placed(
                needs, "accelerator", [term if term.name == "runtime" else term.replace(where=where) for term in needs.memory.terms]
            )
        elif layers:
            fixed = sum(term.high_bytes for term in moving if term.name not in _BY_LAYER)
            each = sum(term.high_bytes for term in moving if term.name in _BY_LAYER) / layers
            count = int((free - fixed) // each) if each else 0
            if 0 < count < layers:
                yield _placed(needs, "split", [part for term in needs.memory.terms for part in _split(term, count, layers, where)])
    yield needs
    if needs.memory is not None and room is None and accelerator_unread(machine):
        yield _on_accelerator(needs, "accelerator:0")


def accelerator_unread(machine: Machine) -> bool:
    """An accelerator may be there, but how much memory it has was not read."""
    devices = machine.accelerators
    return devices is None or any(not device.unified and device.memory_total_bytes is None for device in devices)


def _on_accelerator(needs: Needs, where: str) -> Needs:
    terms = needs.memory.terms if needs.memory else ()
    return _placed(needs, "accelerator", [term if term.name == "runtime" else term.replace(where=where) for term in terms])


def _room(machine: Machine) -> tuple[int, int] | None:
    best: tuple[int, int] | None = None
    for index, device in enumerate(machine.accelerators or ()):
        size = _free(device)
        if size is not None and (best is None or size > best[1]):
            best = index, size
    return best


def _free(device: Accelerator) -> int | None:
    size = device.memory_free_bytes if device.memory_free_bytes is not None else device.memory_total_bytes
    return None if device.unified or size is None else max(0, size - DEVICE_MARGIN_BYTES)


def _placed(needs: Needs, placement: str, terms: list[Term]) -> Needs:
    assert needs.memory is not None
    return needs.replace(placement=placement, memory=MemoryNeed(terms=tuple(terms), evictable_bytes=needs.memory.evictable_bytes))


def _split(term: Term, count: int, layers: int, where: str) -> Iterator[Term]:
    """`count` of `layers` layers lie on the accelerator; what does not grow with layers is needed on both sides."""
    if term.name == "runtime":
        yield term
        return
    if term.name not in _BY_LAYER:
        yield term
        yield term.replace(where=where)
        return
    there = {name: getattr(term, name) * count // layers for name in ("bytes", "low_bytes", "high_bytes")}
    line = f"{count} of {layers} layers of: {term.arithmetic}"
    yield term.replace(where=where, arithmetic=line, **there)
    rest = {name: getattr(term, name) - there[name] for name in there}
    yield term.replace(arithmetic=f"{layers - count} of {layers} layers of: {term.arithmetic}", **rest)
