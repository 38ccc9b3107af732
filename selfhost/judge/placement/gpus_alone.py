"""Programs that run on accelerators alone: equal parts of the model on as many as it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ...core.units import GIB
from ...machine.record import Accelerator, Machine
from ...needs import needs_on
from ...needs.records import Device, Needs, Split
from .devices import (
    GPU_ONLY_PERCENT,
    LARGE_DEVICE_BYTES,
    Place,
    emptied,
    of_one_maker,
    places,
    room_of,
    whole_cards,
)
from .on_devices import in_parts, in_turn, offloaded, terms_of

Suits = Callable[[Accelerator], bool] | None

# sizes of devices from which on a program takes more or less of them are multiples of this
_STEP_BYTES = 5 * GIB


def smallest_device_bytes(needs: Needs, number: int = 1) -> int:
    """The least memory of each of so many devices on which a runtime that needs it all surely finds
    room.
    """
    return _least_device(needs, number, "high_bytes")


def smallest_lean_device_bytes(needs: Needs, number: int = 1) -> int:
    """The least memory of each of so many devices that is judged to do: with the option by which
    the program takes less the likely need has room there.
    """
    if not _takes_less(needs, Device(devices=number)):
        return _least_device(needs, number, "high_bytes")
    return _least_device(needs, number, "bytes", is_lean=True)


def _takes_less(needs: Needs, device: Device) -> bool:
    """Whether the program has an option that makes some term smaller."""
    lean = needs_on(needs, device.replace(is_lean=True))
    return lean.memory != needs_on(needs, device).memory


def _least_device(needs: Needs, number: int, end: str, *, is_lean: bool = False) -> int:
    """As `smallest_device_bytes`, of that end of each term's range. What is lacking grows no faster
    than the device does, so no step is too long.
    """
    size = 0
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
        next_step = size // _STEP_BYTES * _STEP_BYTES + _STEP_BYTES
        size = min(size + lacking, next_step)


def on_gpus_alone(needs: Needs, machine: Machine, suits: Suits) -> Iterator[Needs]:
    """All of it on one accelerator, then, for one may be too slow or too small, on as many as it
    can be divided over by tensor parallelism, then where nothing was read; the RAM last.

    Where it surely fits on none, on the number of them that lack least: more context never looks as
    if it took less. There the program is started with the option that makes it take less, where
    that may fit.
    """
    owned = machine.accelerators or ()
    groups: list[tuple[int, list[Place]]] = []
    for cards in (owned, emptied(owned)):
        tried = [
            (_lacking(needs, cards, chosen), chosen)
            for chosen in _groups(needs, machine, cards, suits)
        ]
        holding = [chosen for lacking, chosen in tried if lacking <= 0]
        for chosen in _one_and_most(holding):
            yield in_parts(needs, _placed(chosen, owned))
        if holding:
            return
        groups += tried
    nearest = min(groups, key=lambda item: item[0], default=(0, []))[1]
    lean = _lean(needs, owned, nearest)
    if lean is not None:
        yield lean
    for cards in (owned, emptied(owned)):
        rooms = _rooms(places(machine), cards)
        yield from offloaded(needs, [place.replace(room_bytes=room) for place, room in rooms])
    if machine.accelerators is None:
        yield in_parts(needs, [("accelerator:0", None)])
    for place in places(machine):
        device = owned[place.index]
        if device.unified is None or device.memory_total_bytes is None:
            yield in_parts(needs, [(place.where, device)])
    if nearest:
        yield from in_turn(needs, nearest[0])
        yield in_parts(needs, _placed(nearest, owned))
    else:
        yield needs


def _placed(
    chosen: Sequence[Place], cards: Sequence[Accelerator]
) -> list[tuple[str, Accelerator | None]]:
    return [(place.where, cards[place.index]) for place in chosen]


def _rooms(
    candidates: Sequence[Place], cards: Sequence[Accelerator]
) -> list[tuple[Place, int | None]]:
    """What those with memory of their own can give."""
    return [
        (place, room_of(cards[place.index], gpu_only=True))
        for place in candidates
        if cards[place.index].unified is False
    ]


def _one_and_most(holding: Sequence[list[Place]]) -> list[list[Place]]:
    """Of groups of accelerators that hold it, the smallest first, one alone and the largest.

    More of them are faster, and leave more of each for requests (vLLM documentation, parallelism
    and scaling: as many as the machine has).
    """
    return [*(chosen for chosen in holding[:-1] if len(chosen) == 1), *holding[-1:]]


def _groups(
    needs: Needs, machine: Machine, cards: Sequence[Accelerator], suits: Suits
) -> Iterator[list[Place]]:
    """The largest accelerators in each number that may share the model in equal parts. `cards` says
    what each can give. Those that do not suit are left out where others do.
    """
    candidates = places(machine)
    suited = [place for place in candidates if suits is None or suits(cards[place.index])]
    rooms = _rooms(suited or candidates, cards)
    known = [(place, room) for place, room in rooms if room is not None]
    if known:
        yield [max(known, key=lambda item: item[1])[0]]
    alike = of_one_maker(whole_cards(rooms, machine), machine)
    for number in needs.tensor_parallel:
        for group in alike:
            if len(group) >= number:
                yield [place for place, _ in group[:number]]


def _lacking(needs: Needs, cards: Sequence[Accelerator], chosen: Sequence[Place]) -> int:
    """The bytes that the tightest of the accelerators lacks; 0 or less where it fits."""
    held = _held(in_parts(needs, _placed(chosen, cards)), chosen, "high_bytes")
    rooms = [room_of(cards[place.index], gpu_only=True) or 0 for place in chosen]
    return max(size - room for size, room in zip(held, rooms, strict=True))


def _held(placed: Needs, chosen: Sequence[Place], end: str) -> list[int]:
    """What each of the accelerators holds."""
    return [
        sum(getattr(term, end) for term in terms_of(placed) if term.where == place.where)
        for place in chosen
    ]


def _lean(needs: Needs, owned: Sequence[Accelerator], chosen: Sequence[Place]) -> Needs | None:
    """On those devices with the option by which the program takes less; None where there is none,
    or the least would not fit either.
    """
    if not chosen or not _takes_less(needs, Device(devices=len(chosen))):
        return None
    placed = in_parts(needs, _placed(chosen, owned), is_lean=True)
    idle = emptied([owned[place.index] for place in chosen])
    rooms = [room_of(card, gpu_only=True) or 0 for card in idle]
    held = _held(placed, chosen, "low_bytes")
    return placed if all(size <= room for size, room in zip(held, rooms, strict=True)) else None
