"""Where a model's memory would lie: on accelerators, split with RAM, or in RAM alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ...core.records import Record
from ...core.units import GIB
from ...machine.record import Accelerator, Machine
from ...needs import needs_on
from ...needs.records import Device, Needs, Split
from .devices import (
    GPU_ONLY_PERCENT,
    LARGE_DEVICE_BYTES,
    Place,
    by_maker,
    emptied,
    places,
    room_of,
    roomiest,
)
from .on_devices import (
    bytes_there,
    in_parts,
    in_turn,
    layers_shared_out,
    offloaded,
    on_one,
    spread,
    terms_of,
)

# sizes of devices from which on a program takes more or less of them are multiples of it
_STEP_BYTES = 5 * GIB


def _suits_all(_: Accelerator) -> bool:
    return True


class Spreading(Record):
    """How a program lays a model out over the places of a machine.

    `shared_layers`: how many layers it shares out, over several accelerators and with the RAM;
    None: it does not. `spread_layers`: how many it spreads over several accelerators that hold
    them all; None: it does not. `gpu_only`: it runs on accelerators alone, one or several alike,
    and where there are any on those that `suits` does not rule out; `cpu_only`: on none.
    `trains`: an accelerator that holds the likely or the least need counts, too, for the range is
    that of several trainers.
    """

    shared_layers: int | None = None
    spread_layers: int | None = None
    gpu_only: bool = False
    cpu_only: bool = False
    suits: Callable[[Accelerator], bool] = _suits_all
    trains: bool = False


def placements(needs: Needs, machine: Machine, way: Spreading) -> Iterator[Needs]:
    """The same needs with their terms placed, in the order they are to be judged: accelerators,
    split, host, unread accelerator; last the largest accelerator where it must hold all and cannot.

    Before the unread come the accelerators once others have left them.
    """
    now = places(machine.accelerators)
    if way.gpu_only and needs.memory is not None:
        yield from _on_gpus_alone(needs, machine, way)
    elif needs.memory is None or way.cpu_only or (machine.accelerators is not None and not now):
        yield needs
    else:
        yield from _split_or_whole(needs, machine, way, now)


# ------------------------------------------------------------------ beside the RAM


def _split_or_whole(
    needs: Needs, machine: Machine, way: Spreading, now: Sequence[Place]
) -> Iterator[Needs]:
    """As `placements`, of a program that runs in RAM too, on a machine that may have places beside
    that.
    """
    there = needs_on(needs, Device())
    at_once = next(filter(None, map(list, _at_once(needs, there, machine, way, now))), [])
    yield from at_once
    if not at_once:
        yield from offloaded(needs, now)
    yield needs
    later = places(emptied(machine.accelerators or ()))
    if now != later:
        for other in _on_accelerators(needs, there, machine, later, way.shared_layers):
            # a few layers more are no other way to lay it out
            if other not in at_once and (other.placement == "accelerator" or not at_once):
                yield other
        if not at_once:
            yield from offloaded(needs, later)
    unread = [place.where for place in now if place.room_bytes is None]
    for where in unread if machine.accelerators is not None else ["accelerator:0"]:
        yield on_one(there, where)
    largest = roomiest(later)
    if largest is not None and not (at_once or way.shared_layers):
        yield from in_turn(needs, largest)
        yield on_one(there, largest.where)


def _at_once(
    needs: Needs, there: Needs, machine: Machine, way: Spreading, now: Sequence[Place]
) -> Iterator[Iterator[Needs]]:
    """The ways to have it on accelerators as they are now, the best first."""
    for end in ("high_bytes", "bytes", "low_bytes") if way.trains else ("high_bytes",):
        yield _on_accelerators(needs, there, machine, now, way.shared_layers, end)
    if way.spread_layers:
        yield spread(there, machine, way.spread_layers)


def _on_accelerators(
    needs: Needs,
    there: Needs,
    machine: Machine,
    candidates: Sequence[Place],
    layers: int | None,
    end: str = "high_bytes",
) -> Iterator[Needs]:
    """All of it on the fastest that holds it, else its `layers` shared out; nothing where neither
    holds a layer. `end`: of the range of what it needs.
    """
    sized = [place for place in candidates if place.room_bytes is not None]
    holding = [place for place in sized if bytes_there(there, end) <= (place.room_bytes or 0)]
    if holding:
        yield on_one(there, _fastest(holding, machine).where)
    elif layers and sized:
        yield from layers_shared_out(needs, there, sized, layers)


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


# ------------------------------------------------------------------ on accelerators alone


def _on_gpus_alone(needs: Needs, machine: Machine, way: Spreading) -> Iterator[Needs]:
    """All of it on one accelerator, then, for one may be too slow or too small, on as many as it
    can be divided over by tensor parallelism; as they are now, else once others have left them.
    Then in turn, then where nothing was read; the RAM last.

    Where it surely fits on none, on the number of them that lack least: more context never looks as
    if it took less. There the program is started with the option that makes it take less, where
    that may fit.
    """
    owned, tried = machine.accelerators or (), list[tuple[int, list[Place]]]()
    states = dict.fromkeys((owned, emptied(owned)))
    for cards in states:
        now = [
            (_lacking(in_parts(needs, group, cards), group, cards), group)
            for group in _groups(needs, machine, cards, way)
        ]
        holding = [group for lacking, group in now if lacking <= 0]
        # one alone, or the most: more of them are faster, and leave more of each for requests
        # (vLLM documentation, parallelism and scaling: as many as the machine has)
        for group in holding:
            if len(group) == 1 or group is holding[-1]:
                yield in_parts(needs, group, owned)
        if holding:
            return
        tried += now
    nearest = min(tried, key=lambda item: item[0], default=(0, []))[1]
    if nearest and takes_less(needs, len(nearest)):
        lean = in_parts(needs, nearest, owned, is_lean=True)
        if _lacking(lean, nearest, emptied(owned), "low_bytes") <= 0:
            yield lean
    for cards in states:
        yield from offloaded(needs, _rooms(machine, cards))
    yield from _on_unread(needs, machine)
    if nearest:
        yield from in_turn(needs, nearest[0])
    yield in_parts(needs, nearest, owned) if nearest else needs


def _on_unread(needs: Needs, machine: Machine) -> Iterator[Needs]:
    """All of it on an accelerator of which it was not read what it can give."""
    owned = machine.accelerators
    if owned is None:
        yield in_parts(needs, [Place(index=0, room_bytes=None)], ())
    for place in places(owned):
        device = (owned or ())[place.index]
        if device.unified is None or device.memory_total_bytes is None:
            yield in_parts(needs, [place], owned or ())


def _rooms(machine: Machine, cards: Sequence[Accelerator]) -> list[Place]:
    """Those with memory of their own, with what a program that takes its share may have of it."""
    return [
        place.replace(room_bytes=room_of(cards[place.index], gpu_only=True))
        for place in places(machine.accelerators)
        if cards[place.index].unified is False
    ]


def _groups(
    needs: Needs, machine: Machine, cards: Sequence[Accelerator], way: Spreading
) -> Iterator[list[Place]]:
    """The largest accelerators in each number that may share the model in equal parts. `cards` says
    what each can give. Those that do not suit are left out where others do.
    """
    rooms = _rooms(machine, cards)
    suited = [place for place in rooms if way.suits(cards[place.index])]
    sized = [place for place in suited or rooms if place.room_bytes is not None]
    sized.sort(key=lambda place: -(place.room_bytes or 0))
    if sized:
        yield sized[:1]
    for number in needs.tensor_parallel:
        for group in by_maker(sized, machine):
            if len(group) >= number:
                yield group[:number]


def _lacking(
    placed: Needs, group: Sequence[Place], cards: Sequence[Accelerator], end: str = "high_bytes"
) -> int:
    """The bytes that the tightest of the accelerators lacks; 0 or less where it fits."""
    lacking: list[int] = []
    for place in group:
        held = (getattr(term, end) for term in terms_of(placed) if term.where == place.where)
        lacking.append(sum(held) - (room_of(cards[place.index], gpu_only=True) or 0))
    return max(lacking)


def takes_less(needs: Needs, number: int) -> bool:
    """Whether the program has an option that makes some term smaller."""
    lean = needs_on(needs, Device(devices=number, is_lean=True))
    return lean.memory != needs_on(needs, Device(devices=number)).memory


def smallest_device_bytes(needs: Needs, number: int = 1, *, may_be_lean: bool = False) -> int:
    """The least memory of each of so many devices on which a runtime that needs it all surely finds
    room; with `may_be_lean` that is judged to do: with the option by which the program takes less
    the likely need has room there.
    """
    is_lean = may_be_lean and takes_less(needs, number)
    end, size = "bytes" if is_lean else "high_bytes", 0
    while True:
        room = size * GPU_ONLY_PERCENT // 100
        device = Device(
            devices=number,
            is_large=size >= LARGE_DEVICE_BYTES,
            is_lean=is_lean,
            total_bytes=size,
            room_bytes=room,
        )
        terms = terms_of(needs_on(needs, device))
        lacking = sum(getattr(each, end) for each in terms if each.split is not Split.HOST) - room
        if lacking <= 0:
            return size
        # what is lacking grows no faster than the device does, so no step is too long
        size = min(size + lacking, size // _STEP_BYTES * _STEP_BYTES + _STEP_BYTES)
