"""Where a model's memory would lie: on accelerators, split with RAM, or in RAM alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ...core.records import Record
from ...machine.record import Accelerator, Machine
from ...needs import needs_on
from ...needs.records import Device, Needs, Term
from .devices import TIGHT, Place, emptied, places, places_on
from .on_devices import (
    bytes_there,
    in_turn,
    layers_shared_out,
    offloaded,
    on_one,
    roomiest,
    sharded,
    spread,
)


class Spreading(Record):
    """How a program lays a model out over the places of a machine.

    `shared_layers`: how many layers it shares out, over several accelerators and with the RAM;
    None: it does not. `spread_layers`: how many it spreads over several accelerators that hold
    them all; None: it does not. `gpu_only`: it runs on accelerators alone, one or several alike,
    and where there are any on those that `suits` does not rule out; `cpu_only`: on none.
    `gathered`: what each of several accelerators holds whole where training shares the rest out.
    `may_be_tight`: an accelerator that holds the likely need counts, whatever the most is;
    `may_be_close`: one that holds the least does.
    """

    shared_layers: int | None = None
    spread_layers: int | None = None
    gpu_only: bool = False
    cpu_only: bool = False
    suits: Callable[[Accelerator], bool] | None = None
    gathered: Term | None = None
    may_be_tight: bool = False
    may_be_close: bool = False


def placements(needs: Needs, machine: Machine, way: Spreading) -> Iterator[Needs]:
    """The same needs with their terms placed, in the order they are to be judged: accelerators,
    split, host, unread accelerator; last the largest accelerator where it must hold all and cannot.

    Before the unread come the accelerators once others have left them.
    """
    if needs.memory is None or way.cpu_only:
        yield needs
        return
    if way.gpu_only:
        from .gpus_alone import on_gpus_alone

        yield from on_gpus_alone(needs, machine, way.suits)
        return
    now = places(machine)
    if machine.accelerators is not None and not now:
        yield needs
        return
    there = needs_on(needs, Device())
    at_once = next(filter(None, map(list, _at_once(needs, there, machine, way, now))), [])
    yield from at_once
    if not at_once:
        yield from offloaded(needs, now)
    yield needs
    later = places_on(emptied(machine.accelerators)) if machine.accelerators else now
    if now != later:
        for other in _on_accelerators(needs, there, machine, later, way.shared_layers):
            # a few layers more are no other way to lay it out
            if other not in at_once and (other.placement == "accelerator" or not at_once):
                yield other
        if not at_once:
            yield from offloaded(needs, later)
    yield from _on_unread(there, machine, now)
    largest = roomiest(later)
    if largest is not None and not (at_once or way.shared_layers):
        yield from in_turn(needs, largest)
        yield on_one(there, largest.where)


def _at_once(
    needs: Needs, there: Needs, machine: Machine, way: Spreading, now: Sequence[Place]
) -> Iterator[Iterator[Needs]]:
    """The ways to have it on accelerators as they are now, the best first."""
    yield _on_accelerators(needs, there, machine, now, way.shared_layers)
    if way.gathered is not None:
        yield sharded(there, machine, way.gathered)
    if way.spread_layers:
        yield spread(there, machine, way.spread_layers)
    for is_enough, end in ((way.may_be_tight, "bytes"), (way.may_be_close, "low_bytes")):
        if is_enough:
            yield _on_roomiest(there, now, end)
            if way.gathered is not None:
                yield sharded(there, machine, way.gathered, end)


def _on_unread(there: Needs, machine: Machine, now: Sequence[Place]) -> Iterator[Needs]:
    """All of it on an accelerator of which it was not read what it can give."""
    if machine.accelerators is None:
        yield on_one(there, "accelerator:0")
    for place in now:
        if place.room_bytes is None:
            yield on_one(there, place.where)


def _on_accelerators(
    needs: Needs, there: Needs, machine: Machine, candidates: Sequence[Place], layers: int | None
) -> Iterator[Needs]:
    """All of it on the fastest that holds it, else its `layers` shared out; nothing where neither
    holds a layer.
    """
    sized = [place for place in candidates if place.room_bytes is not None]
    if not sized:
        return
    whole_bytes = bytes_there(there)
    holding = [place for place in sized if whole_bytes <= (place.room_bytes or 0)]
    if holding:
        yield on_one(there, _fastest(holding, machine).where)
    elif layers:
        yield from layers_shared_out(needs, there, _beside_each_other(sized, machine), layers)


def _beside_each_other(sized: Sequence[Place], machine: Machine) -> list[Place]:
    """The accelerators among which a program shares layers out: it gets one instance of MIG, and no
    other beside it.
    """
    largest = max(sized, key=lambda place: place.room_bytes or 0)
    cards = machine.accelerators or ()
    if cards[largest.index].is_part:
        return [largest]
    return [place for place in sized if not cards[place.index].is_part]


def _fastest(holding: Sequence[Place], machine: Machine) -> Place:
    """The one whose memory is fastest, of several alike or unknown the one with most room."""
    if len(holding) == 1:
        return holding[0]
    from ..pace.graphics import device_bandwidth

    cards = machine.accelerators or ()
    return max(
        holding,
        key=lambda place: (device_bandwidth(cards[place.index]) or 0, place.room_bytes or 0),
    )


def _on_roomiest(there: Needs, candidates: Sequence[Place], end: str) -> Iterator[Needs]:
    """All of it on the accelerator with most room, where that holds the likely need and nearly the
    most (`end` is `bytes`), or the least need (`low_bytes`).
    """
    largest = roomiest(candidates)
    if largest is None:
        return
    room_bytes = largest.room_bytes or 0
    is_near = end != "bytes" or bytes_there(there) <= TIGHT * room_bytes
    if is_near and bytes_there(there, end) <= room_bytes:
        yield on_one(there, largest.where)
