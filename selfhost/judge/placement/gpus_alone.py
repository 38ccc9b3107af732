"""Programs that run on accelerators alone: equal parts of the model on as many as it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest

from ...machine.record import Accelerator, Machine
from ...needs.records import MemoryNeed, Needs, Term
from .devices import (
    GPU_ONLY_PERCENT,
    LARGE_DEVICE_BYTES,
    Place,
    emptied,
    of_one_maker,
    places,
    room_of,
    term_on,
)
from .on_devices import in_turn, offloaded, placed_as, processes


def smallest_device_bytes(memory: MemoryNeed, number: int = 1) -> int:
    """The least memory of each of so many devices on which a runtime that needs it all surely finds
    room.
    """
    return _least_device(memory, number, "high_bytes")


def smallest_lean_device_bytes(memory: MemoryNeed, number: int = 1) -> int:
    """The least memory of each of so many devices that is judged to do: with the option by which
    the program takes less the likely need has room there.
    """
    terms = tuple(map(_lean_of, memory.terms))
    if not _takes_less(terms, memory):
        return smallest_device_bytes(memory, number)
    return _least_device(memory.replace(terms=terms), number, "bytes")


def _least_device(memory: MemoryNeed, number: int, end: str) -> int:
    """As `smallest_device_bytes`, of that end of each term's range."""
    terms = [term.on_device or term for term in _of_devices(memory)]
    if any(term.reserves for term in terms):
        return _least_with_reserves([term.on_one_of(number) for term in terms], end)
    size = _with_share(sum(getattr(term.on_one_of(number), end) for term in terms))
    if size >= LARGE_DEVICE_BYTES:
        large = [(term.on_large or term).on_one_of(number) for term in terms]
        size = _with_share(sum(getattr(term, end) for term in large))
    return size


def _least_with_reserves(terms: Sequence[Term], end: str) -> int:
    """As `_least_device`, of a program that leaves a part of it free instead of taking a share."""
    whole = sum(getattr(term, end) for term in terms if not term.reserves)
    (kept,) = [term for term in terms if term.reserves]
    least = 0
    for reserve, larger in zip_longest(kept.reserves, kept.reserves[1:]):
        share = getattr(reserve, end.replace("bytes", "share"))
        size = int(whole / (1 - share)) + 1 + int(getattr(reserve, end))
        least = max(size, reserve.device_bytes)
        if larger is None or least < larger.device_bytes:
            break
    return least


def _with_share(high_bytes: int) -> int:
    # rounded up
    return -(-high_bytes * 100 // GPU_ONLY_PERCENT)


def on_gpus_alone(
    needs: Needs,
    memory: MemoryNeed,
    machine: Machine,
    suits: Callable[[Accelerator], bool] | None,
) -> Iterator[Needs]:
    """All of it on one accelerator, then, for one may be too slow or too small, on as many as it
    can be divided over by tensor parallelism, then where nothing was read; the RAM last.

    Where it surely fits on none, on the number of them that lack least: more context never looks as
    if it took less. There the program is started with the option that makes it take less, where
    that may fit.
    """
    owned = machine.accelerators or ()
    nearest: list[Place] = []
    least: int | None = None
    for cards in (owned, emptied(owned)):
        holding: list[list[Place]] = []
        for chosen, lacking in _groups(needs, memory, machine, cards, suits):
            if lacking <= 0:
                holding.append(chosen)
            elif least is None or lacking < least:
                nearest, least = chosen, lacking
        if holding:
            for chosen in _one_and_most(holding):
                yield _tensor_parallel(needs, memory, _devices_of(chosen, machine))
            return
    lean = _lean(needs, memory, machine, nearest)
    if lean is not None:
        yield lean
    yield from _offloaded_gpu_only(needs, machine)
    if machine.accelerators is None:
        yield _tensor_parallel(needs, memory, [("accelerator:0", None)])
    for place in places(machine):
        device = owned[place.index]
        if device.unified is None or device.memory_total_bytes is None:
            yield _tensor_parallel(needs, memory, [(place.where, device)])
    if nearest:
        yield from in_turn(needs, nearest[0])
        yield _tensor_parallel(needs, memory, _devices_of(nearest, machine))
    else:
        yield needs


def _one_and_most(holding: Sequence[list[Place]]) -> list[list[Place]]:
    """Of groups of accelerators that hold it, the smallest first, one alone and the largest.

    More of them are faster, and leave more of each for requests (vLLM documentation, parallelism
    and scaling: as many as the machine has).
    """
    return [*(chosen for chosen in holding[:-1] if len(chosen) == 1), holding[-1]]


def _offloaded_gpu_only(needs: Needs, machine: Machine) -> Iterator[Needs]:
    """As `offloaded`, now and once others have left the accelerators."""
    owned = machine.accelerators or ()
    for cards in (owned, emptied(owned)):
        rooms = [
            Place(index=place.index, room_bytes=room_of(cards[place.index], gpu_only=True))
            for place in places(machine)
            if owned[place.index].unified is False
        ]
        yield from offloaded(needs, rooms)


def _groups(
    needs: Needs,
    memory: MemoryNeed,
    machine: Machine,
    cards: Sequence[Accelerator],
    suits: Callable[[Accelerator], bool] | None,
) -> Iterator[tuple[list[Place], int]]:
    """The largest accelerators in each number that may share the model in equal parts, and the
    bytes that the tightest of them lacks, 0 or less where it fits. `cards` says what each can give.
    Those that do not suit are left out where others do.
    """
    owned = machine.accelerators or ()
    candidates = places(machine)
    suited = [place for place in candidates if suits is None or suits(owned[place.index])]
    rooms = [
        (place, room_of(cards[place.index], gpu_only=True))
        for place in suited or candidates
        if owned[place.index].unified is False
    ]
    largest_first = sorted(
        [(place, room) for place, room in rooms if room is not None],
        key=lambda place_and_room: -place_and_room[1],
    )
    # a program gets one instance of MIG, and no other accelerator beside it
    whole_cards = [
        place_and_room
        for place_and_room in largest_first
        if not owned[place_and_room[0].index].is_part
    ]
    alike = of_one_maker(whole_cards, machine)
    for number in (1, *needs.tensor_parallel):
        for cards_of_group in [largest_first] if number == 1 else alike:
            chosen = cards_of_group[:number]
            if len(chosen) < number:
                continue
            yield (
                [place for place, _ in chosen],
                max(_held(memory, cards[place.index], number) - room for place, room in chosen),
            )


def _lean(
    needs: Needs, memory: MemoryNeed, machine: Machine, chosen: Sequence[Place]
) -> Needs | None:
    """On those devices with the option by which the program takes less; None where there is none,
    or the least would not fit either.
    """
    terms = tuple(map(_lean_of, memory.terms))
    if not chosen or not _takes_less(terms, memory):
        return None
    owned = machine.accelerators or ()
    less = memory.replace(terms=terms)
    placed = _tensor_parallel(needs, less, _devices_of(chosen, machine)).replace(is_lean=True)
    assert placed.memory is not None
    for place in chosen:
        least = sum(term.low_bytes for term in placed.memory.terms if term.where == place.where)
        (idle,) = emptied([owned[place.index]])
        if least > (room_of(idle, gpu_only=True) or 0):
            return None
    return placed


def _lean_of(term: Term) -> Term:
    return term.lean or term


def _takes_less(terms: Sequence[Term], memory: MemoryNeed) -> bool:
    """Whether the program has an option that makes some term smaller."""
    return any(term is not each for term, each in zip(terms, memory.terms, strict=True))


def _devices_of(chosen: Sequence[Place], machine: Machine) -> list[tuple[str, Accelerator | None]]:
    owned = machine.accelerators or ()
    return [(place.where, owned[place.index]) for place in chosen]


def _held(memory: MemoryNeed, device: Accelerator, number: int) -> int:
    """The most that this one of so many devices holds."""
    return sum(
        term_on(term.on_device or term, device).on_one_of(number).high_bytes
        for term in _of_devices(memory)
    )


def _tensor_parallel(
    needs: Needs, memory: MemoryNeed, devices: Sequence[tuple[str, Accelerator | None]]
) -> Needs:
    """Each device's part of every term. A process takes memory on both sides: libraries in RAM,
    graphs and more on its device.
    """
    number = len(devices)
    terms: list[Term] = []
    for term in memory.terms:
        if term.is_program:
            terms.append(processes(term.beside or term, number))
        if term in _of_devices(memory):
            for where, device in devices:
                on_device = term if device is None else term_on(term, device)
                each = on_device.on_one_of(number)
                terms.append(each.replace(where=where, beside=None, lean=None))
    return placed_as(needs, "accelerator", terms)


def _of_devices(memory: MemoryNeed) -> list[Term]:
    """What devices hold under a program that needs them: its context and graphs too, but where
    that is in another term's figure.
    """
    states_process = any(
        term.on_device is not None and term.on_device.beside is not None for term in memory.terms
    )
    return [term for term in memory.terms if not (states_process and term.is_program)]
