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
    by_maker,
    emptied,
    places,
    room_of,
)
from .on_devices import in_parts, in_turn, offloaded, terms_of

Suits = Callable[[Accelerator], bool] | None

# sizes of devices from which on a program takes more or less of them are multiples of the first, up
# to the second
_STEP_BYTES, _LARGEST_STEP_BYTES = 5 * GIB, 160 * GIB


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
        following = size // _STEP_BYTES * _STEP_BYTES + _STEP_BYTES
        size = size + lacking if size >= _LARGEST_STEP_BYTES else min(size + lacking, following)


def takes_less(needs: Needs, number: int) -> bool:
    """Whether the program has an option that makes some term smaller."""
    lean = needs_on(needs, Device(devices=number, is_lean=True))
    return lean.memory != needs_on(needs, Device(devices=number)).memory


def on_gpus_alone(needs: Needs, machine: Machine, suits: Suits) -> Iterator[Needs]:
    """All of it on one accelerator, then, for one may be too slow or too small, on as many as it
    can be divided over by tensor parallelism, then where nothing was read; the RAM last.

    Where it surely fits on none, on the number of them that lack least: more context never looks as
    if it took less. There the program is started with the option that makes it take less, where
    that may fit.
    """
    owned = machine.accelerators or ()
    idle, groups = emptied(owned), []
    states = (owned,) if idle == owned else (owned, idle)
    for cards in states:
        tried = [
            (_lacking(in_parts(needs, group, cards), group, cards), group)
            for group in _groups(needs, machine, cards, suits)
        ]
        holding = [group for lacking, group in tried if lacking <= 0]
        # one alone, or the most: more of them are faster, and leave more of each for requests
        # (vLLM documentation, parallelism and scaling: as many as the machine has)
        for group in holding:
            if len(group) == 1 or group is holding[-1]:
                yield in_parts(needs, group, owned)
        if holding:
            return
        groups += tried
    nearest = min(groups, key=lambda item: item[0], default=(0, []))[1]
    if nearest and takes_less(needs, len(nearest)):
        lean = in_parts(needs, nearest, owned, is_lean=True)
        if _lacking(lean, nearest, idle, "low_bytes") <= 0:
            yield lean
    for cards in states:
        yield from offloaded(needs, _rooms(places(machine), cards))
    if machine.accelerators is None:
        yield in_parts(needs, [Place(index=0, room_bytes=None)], ())
    for place in places(machine):
        device = owned[place.index]
        if device.unified is None or device.memory_total_bytes is None:
            yield in_parts(needs, [place], owned)
    if nearest:
        yield from in_turn(needs, nearest[0])
        yield in_parts(needs, nearest, owned)
    else:
        yield needs


def _rooms(candidates: Sequence[Place], cards: Sequence[Accelerator]) -> list[Place]:
    """Those with memory of their own, with what a program that takes its share may have of it."""
    return [
        place.replace(room_bytes=room_of(cards[place.index], gpu_only=True))
        for place in candidates
        if cards[place.index].unified is False
    ]


def _groups(
    needs: Needs, machine: Machine, cards: Sequence[Accelerator], suits: Suits
) -> Iterator[list[Place]]:
    """The largest accelerators in each number that may share the model in equal parts. `cards` says
    what each can give. Those that do not suit are left out where others do.
    """
    candidates = places(machine)
    suited = [place for place in candidates if suits is None or suits(cards[place.index])]
    rooms = [each for each in _rooms(suited or candidates, cards) if each.room_bytes is not None]
    rooms.sort(key=lambda place: -(place.room_bytes or 0))
    if rooms:
        yield rooms[:1]
    for number in needs.tensor_parallel:
        for group in by_maker(rooms, machine):
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
