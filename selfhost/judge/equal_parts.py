"""The layout of a model in a program that runs only on accelerators, in equal parts on one or
several of them.

Such a program takes a share of each accelerator (`devices.percent_of`), and divides the model over
as many accelerators as tensor parallelism allows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from ..core.records import Record
from ..core.units import GIB
from ..machine.record import Machine
from ..needs import Case, needs_on
from ..needs.records import PROGRAMS, Device, Needs, Split, Term, share_of
from .checks.accelerator import accelerator_check
from .checks.space import model_memory_check
from .devices import (
    LARGE_DEVICE_BYTES,
    End,
    Place,
    device_of,
    group_by_maker,
    largest_place,
    may_compute_on,
    percent_of,
    places,
    usable_bytes_of,
)
from .sharing import parts_in_turn, with_terms

if TYPE_CHECKING:
    from .record import Question

# the device sizes at which a program begins to take another share of the memory are multiples of
# this size
_STEP_BYTES = 5 * GIB


def layouts_of_gpu_programs(
    needs: Needs,
    machine: Machine,
    question: Question,
) -> Iterator[Needs]:
    """Yield the layouts of a program that runs only on accelerators: on one accelerator, then on as
    many as tensor parallelism divides the model over.

    Where no group of accelerators likely has room as they are now, the layouts come in this order:
    one part of the model at a time; each accelerator whose memory was not read; last the group that
    lacks the least, or the RAM where no group exists.
    """
    groups = _smallest_group_first(needs, machine, question)
    has_room = False
    for group in _groups_with_room(groups):
        has_room = True
        yield group.layout
    if has_room:
        return
    yield from parts_in_turn(needs, largest_place(_places_of(machine, question)))
    for place in unread_places(machine):
        yield _Group(
            needs=needs, machine=machine, question=question, places=[place]
        ).layout
    if not groups:
        yield needs
        return
    nearest = min(groups, key=lambda group: group.lacking_bytes)
    yield from parts_in_turn(needs, nearest.places[0], must_fit=False)
    yield nearest.layout


def in_most_parts(needs: Needs, machine: Machine, question: Question) -> Needs | None:
    """The layout on the most accelerators over which tensor parallelism divides the model; None
    where no accelerator has memory of its own, and where that was not read.
    """
    groups = _smallest_group_first(needs, machine, question)
    return groups[-1].layout if groups else None


def unread_places(machine: Machine) -> Iterator[Place]:
    """Yield the accelerators whose memory was not read, or of which it is not known whether they
    share the RAM.
    """
    if machine.accelerators is None:
        yield Place(index=0)
    for place in places(machine.accelerators):
        card = place.card
        if card is None or card.unified is None or card.memory_total_bytes is None:
            yield place


# ------------------------------------------------------------------ groups of accelerators


def _smallest_group_first(
    needs: Needs,
    machine: Machine,
    question: Question,
) -> list[_Group]:
    """The largest accelerators in each number that may share the model, from one accelerator on, or
    in the stated number alone.

    Only accelerators that suit the runtime count, where some do.
    """
    candidates = _places_of(machine, question)
    sized = []
    for place in _suited(candidates, question) or candidates:
        if place.usable_bytes is not None:
            sized.append(place)
    sized.sort(key=lambda place: -place.known_bytes)
    members = [sized[:1]] if sized else []
    for number in needs.tensor_parallel:
        for by_maker in group_by_maker(sized):
            if len(by_maker) >= number:
                members.append(by_maker[:number])
    groups = []
    for group in members:
        if question.stated_parts in (None, len(group)):
            groups.append(
                _Group(needs=needs, machine=machine, question=question, places=group)
            )
    return groups


def _places_of(machine: Machine, question: Question) -> list[Place]:
    """The accelerators with memory of their own, for a runtime that takes a percentage of the
    memory of each.
    """
    percent = percent_of(question.case)
    found = []
    for place in places(machine.accelerators):
        card = place.card
        if card is not None and card.unified is False:
            found.append(place.replace(usable_bytes=usable_bytes_of(card, percent)))
    return found


def _suited(candidates: Sequence[Place], question: Question) -> list[Place]:
    """The accelerators on which the runtime may compute the question's types."""
    rules = question.kernel_rules
    suited = []
    for place in candidates:
        card = place.card
        if card is not None and may_compute_on(question.program, card, rules):
            suited.append(place)
    return suited


def _groups_with_room(groups: Sequence[_Group]) -> Iterator[_Group]:
    """Yield groups that have room, in the order in which they are tried: the smallest of all, then
    the largest.

    Before each come the groups of which memory is surer, so that a group may come twice. More
    accelerators hold less of the model each, and fewer have fewer processes that take RAM.

    A larger group is faster, and leaves more of each accelerator for requests (vLLM documentation,
    parallelism and scaling: as many as the machine has).
    """
    if not groups:
        return
    smallest = groups[0]
    if smallest.has_room:
        yield from _surer_than(smallest, groups)
        yield smallest
    for group in reversed(groups[1:]):
        if group.has_room:
            yield from _surer_than(group, groups)
            yield group
            return


def _surer_than(taken: _Group, groups: Sequence[_Group]) -> Iterator[_Group]:
    """Yield the groups of which memory is surer than of `taken`, the surest first: of equally sure
    groups the largest.
    """
    if taken.severity == 0:
        return
    by_severity: dict[int, _Group] = {}
    for group in reversed(groups):
        by_severity.setdefault(group.severity, group)
    for severity in sorted(by_severity):
        if severity < taken.severity:
            yield by_severity[severity]


class _Group(Record):
    """A group of accelerators of a machine that hold a model in equal parts.

    - `needs`: the model's needs, all of it in RAM.
    - `places`: the accelerators of the group, with the usable bytes of each.
    """

    needs: Needs
    machine: Machine
    question: Question
    places: Sequence[Place]

    @cached_property
    def lacking_bytes(self) -> int:
        """The bytes that the tightest accelerator likely lacks; 0 or less where the model likely
        fits.
        """
        return lacking_bytes(self.layout, self.places, End.LIKELY)

    @property
    def has_room(self) -> bool:
        """Whether each accelerator likely holds its part."""
        return self.lacking_bytes <= 0

    @cached_property
    def severity(self) -> int:
        """The severity of the worse finding of RAM and accelerators; 0 where both surely hold the
        group's processes.
        """
        memory = model_memory_check(self.layout, self.machine, self.question)
        accelerator = accelerator_check(self.layout, self.machine, self.question)
        return max(memory.severity, accelerator.severity)

    @cached_property
    def layout(self) -> Needs:
        """The needs, placed on the group. Each process takes memory in RAM, too."""
        by_place = self._needs_by_place()
        terms = []
        for alike in zip(*(needs.terms for needs in by_place), strict=True):
            first = alike[0]
            # a term may take RAM and a part of each accelerator
            if first.stays_in_ram:
                terms.append(_of_each_process(first, len(self.places)))
            if first.split is not Split.HOST:
                for term, place in zip(alike, self.places, strict=True):
                    terms.append(term.replace(where=place.where))
        return with_terms(by_place[0], terms)

    def _needs_by_place(self) -> list[Needs]:
        """The needs of the part on each accelerator; equal accelerators are counted once."""
        percent = percent_of(self.question.case)
        counted = {}
        by_place = []
        for place in self.places:
            device = device_of(place.card, len(self.places), percent)
            if device not in counted:
                counted[device] = needs_on(self.needs, self.question.case, device)
            by_place.append(counted[device])
        return by_place


# ------------------------------------------------------------------ the room on accelerators


def lacking_bytes(
    placed: Needs,
    group: Sequence[Place],
    end: End,
) -> int:
    """The bytes that the tightest accelerator of the group lacks by that end of the needs; 0 or
    less where the layout fits.
    """
    lacking = {place.where: -place.known_bytes for place in group}
    for term in placed.terms:
        if term.where in lacking:
            lacking[term.where] += term.size[end]
    return max(lacking.values())


def smallest_device_bytes(needs: Needs, case: Case | None) -> int:
    """The least memory in bytes with which a device surely has room for the model."""
    percent = percent_of(case)
    size = 0
    while True:
        usable = int(size * percent // 100)
        is_large = size >= LARGE_DEVICE_BYTES
        device = Device(is_large=is_large, total_bytes=size, usable_bytes=usable)
        lacking = -usable
        for term in needs_on(needs, case, device).terms:
            if term.split is not Split.HOST:
                lacking += term.high_bytes
        if lacking <= 0:
            return size
        # a larger device never needs more than the lacking bytes, so that no step is too long
        next_step = size // _STEP_BYTES * _STEP_BYTES + _STEP_BYTES
        size = min(size + lacking, next_step)


def _of_each_process(term: Term, number: int) -> Term:
    """The term, with the runtime's own RAM counted once for each device."""
    if term.name not in PROGRAMS or number == 1:
        return term
    line = share_of(f"{number} processes", term.arithmetic)
    return term.with_size(term.size.times(number), line)
