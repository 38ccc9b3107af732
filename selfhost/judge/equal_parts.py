"""A model in a program that runs on accelerators alone, in equal parts on one or several of them.

Such a program takes a share of each accelerator (`devices.percent_of`), and divides a model over as
many as tensor parallelism allows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..core.units import GIB
from ..machine.record import Accelerator, Machine
from ..needs import Case, needs_on
from ..needs.records import PROGRAMS, Device, Needs, Split, Term, share_of
from .devices import (
    LARGE_DEVICE_BYTES,
    Place,
    device_of,
    emptied,
    group_by_maker,
    percent_of,
    places,
    reaches,
    room_of,
    roomiest,
    runs_on,
)
from .sharing import SIZES, parts_in_turn, with_terms

if TYPE_CHECKING:
    from .record import Question

# sizes of devices from which on a program takes more or less of them are multiples of it
_STEP_BYTES = 5 * GIB


class _Tried(NamedTuple):
    """A group of accelerators, and the bytes that the tightest of them lacks."""

    group: list[Place]
    lacking_bytes: int


def layouts_without_ram(
    needs: Needs, machine: Machine, question: Question
) -> Iterator[Needs]:
    """On one accelerator, then on as many as tensor parallelism divides it over.

    First as the accelerators are now, else once other programs have left them. Then a part at a
    time, then where nothing was read; the RAM last. Where it surely fits on none, on the number
    that lack least, with an option that makes it take less.
    """
    owned = machine.accelerators or ()
    states = list(dict.fromkeys((owned, emptied(owned))))
    tried = list[_Tried]()
    for cards in states:
        holding = list[list[Place]]()
        for group in _groups(needs, machine, cards, question):
            parts = _equal_parts(needs, group, cards, question)
            lacking = lacking_bytes(parts, group)
            tried.append(_Tried(group, lacking))
            if lacking <= 0:
                holding.append(group)
        # one alone, or the most: more of them are faster, and leave more of each for requests
        # (vLLM documentation, parallelism and scaling: as many as the machine has)
        for group in holding:
            if len(group) == 1 or group is holding[-1]:
                yield _equal_parts(needs, group, owned, question)
        if holding:
            return
    nearest: list[Place] = []
    if tried:
        nearest = min(tried, key=lambda entry: entry.lacking_bytes).group
        yield from _in_less(needs, nearest, owned, question)
    for cards in states:
        yield from parts_in_turn(needs, roomiest(_rooms(machine, cards, question)))
    for place in unread_places(machine):
        yield _equal_parts(needs, [place], owned, question)
    if not nearest:
        yield needs
        return
    yield from parts_in_turn(needs, nearest[0], bounded=False)
    yield _equal_parts(needs, nearest, owned, question)


def _in_less(
    needs: Needs,
    group: Sequence[Place],
    cards: Sequence[Accelerator],
    question: Question,
) -> Iterator[Needs]:
    """With the option that makes the program take less, where that may fit."""
    usual = needs_on(needs, question.case, Device(devices=len(group)))
    less = needs_on(needs, question.case, Device(devices=len(group), is_lean=True))
    if less.terms == usual.terms:
        return
    lean = _equal_parts(needs, group, cards, question, is_lean=True)
    if lacking_bytes(lean, group, "low_bytes") <= 0:
        yield lean


def unread_places(machine: Machine) -> Iterator[Place]:
    """The accelerators of which the memory, or whether they share the RAM, was not read."""
    cards = machine.accelerators
    if cards is None:
        yield Place(index=0)
        return
    for place in places(cards):
        card = cards[place.index]
        if card.unified is None or card.memory_total_bytes is None:
            yield place


def _rooms(
    machine: Machine, cards: Sequence[Accelerator], question: Question
) -> list[Place]:
    """Those with memory of their own, with what a program that takes its share may have of it."""
    percent = percent_of(question.case)
    rooms = list[Place]()
    for place in places(machine.accelerators):
        card = cards[place.index]
        if card.unified is False:
            rooms.append(place.replace(room_bytes=room_of(card, percent)))
    return rooms


def _groups(
    needs: Needs, machine: Machine, cards: Sequence[Accelerator], question: Question
) -> Iterator[list[Place]]:
    """The largest accelerators in each number that may share the model in equal parts.

    Of those that suit the program, where some do. `cards` says what each can give.
    """
    rooms = _rooms(machine, cards, question)
    runtime = question.runtime
    suited = rooms
    if runtime is not None:
        least = runtime.capability_under(question.kernel_rules)
        suited = [
            place
            for place in rooms
            if reaches(cards[place.index], least) is not False
            and runs_on(runtime, cards[place.index])
        ]
    sized = [place for place in suited or rooms if place.room_bytes is not None]
    sized.sort(key=lambda place: -(place.room_bytes or 0))
    if sized:
        yield sized[:1]
    for number in needs.tensor_parallel:
        for group in group_by_maker(sized, machine):
            if len(group) >= number:
                yield group[:number]


def lacking_bytes(
    placed: Needs, group: Sequence[Place], end: str = "high_bytes"
) -> int:
    """The bytes that the tightest of the accelerators lacks; 0 or less where it fits."""
    lacking = list[int]()
    for place in group:
        taken = sum(
            getattr(term, end) for term in placed.terms if term.where == place.where
        )
        lacking.append(taken - (place.room_bytes or 0))
    return max(lacking)


def smallest_device_bytes(needs: Needs, case: Case | None) -> int:
    """The least memory of a device on which such a program surely finds room."""
    size = 0
    while True:
        room = int(size * percent_of(case) // 100)
        device = Device(
            is_large=size >= LARGE_DEVICE_BYTES, total_bytes=size, room_bytes=room
        )
        terms = needs_on(needs, case, device).terms
        on_device = [term for term in terms if term.split is not Split.HOST]
        lacking = sum(term.high_bytes for term in on_device) - room
        if lacking <= 0:
            return size
        # what is lacking grows no faster than the device does, so no step is too long
        next_step = size // _STEP_BYTES * _STEP_BYTES + _STEP_BYTES
        size = min(size + lacking, next_step)


def _equal_parts(
    needs: Needs,
    group: Sequence[Place],
    cards: Sequence[Accelerator],
    question: Question,
    *,
    is_lean: bool = False,
) -> Needs:
    """Equal parts on each of a group; each process takes memory in RAM, too."""
    number = len(group)
    percent = percent_of(question.case)
    devices = [
        device_of(
            cards[place.index] if cards else None, number, percent, is_lean=is_lean
        )
        for place in group
    ]
    on_device = {
        device: needs_on(needs, question.case, device)
        for device in dict.fromkeys(devices)
    }
    terms = list[Term]()
    for alike in zip(*(on_device[device].terms for device in devices), strict=True):
        first = alike[0]
        if first.stays_in_ram:
            terms.append(_of_each_process(first, number))
        if first.split is not Split.HOST:
            for term, place in zip(alike, group, strict=True):
                terms.append(term.replace(where=place.where))
    return with_terms(on_device[devices[0]], terms)


def _of_each_process(term: Term, number: int) -> Term:
    """What a program takes of RAM, once for each device."""
    if term.name not in PROGRAMS or number == 1:
        return term
    together = {end: number * getattr(term, end) for end in SIZES}
    line = share_of(f"{number} processes", term.arithmetic)
    return term.replace(arithmetic=line, **together)
