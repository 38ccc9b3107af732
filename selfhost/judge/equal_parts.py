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
from ..machine.record import Accelerator, Machine
from ..needs import Case, needs_on
from ..needs.records import PROGRAMS, Device, Needs, Split, Term, share_of
from .checks.accelerator import accelerator_check
from .checks.space import memory_check, stored_in_memory
from .devices import (
    LARGE_DEVICE_BYTES,
    Place,
    device_of,
    group_by_maker,
    largest_place,
    may_compute_under,
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
    groups = _groups(needs, machine, question)
    has_room = False
    for group in _single_and_largest(groups, machine):
        has_room = True
        yield group.layout
    if has_room:
        return
    yield from parts_in_turn(needs, largest_place(_places_of(machine, question)))
    for place in unread_places(machine):
        yield _Group(
            needs=needs, question=question, places=[place], cards=machine.cards
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
    groups = _groups(needs, machine, question)
    return groups[-1].layout if groups else None


def _single_and_largest(groups: Sequence[_Group], machine: Machine) -> Iterator[_Group]:
    """Yield the single accelerator that has room, and the largest group that has room.

    Each accelerator has a process that takes RAM. Where the RAM may not hold the processes of the
    largest group, the largest group of which memory is surer comes before it.

    A larger group is faster, and leaves more of each accelerator for requests (vLLM documentation,
    parallelism and scaling: as many as the machine has).
    """
    for group in groups[:1]:
        if group.has_room:
            yield group
    for group in reversed(groups[1:]):
        if group.has_room:
            yield from _surer_than(group, groups, machine)
            yield group
            return


def _surer_than(
    largest: _Group,
    groups: Sequence[_Group],
    machine: Machine,
) -> Iterator[_Group]:
    """Yield the groups of which memory is surer than of `largest`, the surest first: of equally
    sure groups the largest.
    """
    severity_of_largest = largest.severity_on(machine)
    if severity_of_largest == 0:
        return
    by_severity: dict[int, _Group] = {}
    for group in reversed(groups):
        by_severity.setdefault(group.severity_on(machine), group)
    for severity in sorted(by_severity):
        if severity < severity_of_largest:
            yield by_severity[severity]


def unread_places(machine: Machine) -> Iterator[Place]:
    """Yield the accelerators whose memory was not read, or of which it is not known whether they
    share the RAM.
    """
    cards = machine.accelerators
    if cards is None:
        yield Place(index=0)
        return
    for place in places(cards):
        card = cards[place.index]
        if card.unified is None or card.memory_total_bytes is None:
            yield place


# ------------------------------------------------------------------ accelerators that share a model


class _Group(Record):
    """A group of accelerators that hold a model in equal parts.

    - `needs`: the model's needs, all of it in RAM.
    - `places`: the accelerators of the group, with the usable bytes of each.
    - `cards`: all accelerators of the machine.
    """

    needs: Needs
    question: Question
    places: Sequence[Place]
    cards: Sequence[Accelerator]

    @cached_property
    def lacking_bytes(self) -> int:
        """The bytes that the tightest accelerator likely lacks; 0 or less where the model likely
        fits.
        """
        return lacking_bytes(self.layout, self.places, "bytes")

    @property
    def has_room(self) -> bool:
        """Whether each accelerator likely holds its part."""
        return self.lacking_bytes <= 0

    def severity_on(self, machine: Machine) -> int:
        """The severity of the worse finding of RAM and accelerators; 0 where both surely hold the
        group's processes.
        """
        question = self.question
        stored_bytes = stored_in_memory(self.needs, machine, question)
        memory = memory_check(self.layout, machine, question.workload, stored_bytes)
        accelerator = accelerator_check(self.layout, machine, question)
        return max(memory.severity, accelerator.severity)

    @cached_property
    def layout(self) -> Needs:
        """The needs, placed on the group. Each process takes memory in RAM, too."""
        by_place = self._needs_by_place()
        terms = []
        for alike in zip(*(needs.terms for needs in by_place), strict=True):
            first = alike[0]
            if first.stays_in_ram:
                terms.append(_of_each_process(first, len(self.places)))
            if first.split is not Split.HOST:
                for term, place in zip(alike, self.places, strict=True):
                    terms.append(term.replace(where=place.where))
        return with_terms(by_place[0], terms)

    def counted_on(self, device: Device) -> Needs:
        """The needs of the runtime's part on one such device."""
        return needs_on(self.needs, self.question.case, device)

    def _needs_by_place(self) -> list[Needs]:
        """The needs of the part on each accelerator; equal accelerators are counted once."""
        counted = {}
        by_place = []
        for place in self.places:
            device = self._device_at(place)
            if device not in counted:
                counted[device] = self.counted_on(device)
            by_place.append(counted[device])
        return by_place

    def _device_at(self, place: Place) -> Device:
        card = self.cards[place.index] if self.cards else None
        percent = percent_of(self.question.case)
        return device_of(card, len(self.places), percent)


def _groups(
    needs: Needs,
    machine: Machine,
    question: Question,
) -> list[_Group]:
    """The largest accelerators in each number that may share the model, or in the stated number
    alone, the smallest group first.

    Only accelerators that suit the runtime count, where some do.
    """
    cards = machine.cards
    candidates = _places_of(machine, question)
    usable = candidates
    runtime = question.runtime
    if runtime is not None:
        rules = question.kernel_rules
        usable = []
        for place in candidates:
            if may_compute_under(runtime, cards[place.index], rules):
                usable.append(place)
    known = usable or candidates
    sized = [place for place in known if place.usable_bytes is not None]
    if not sized:
        return []
    sized.sort(key=lambda place: -place.known_bytes)
    members = [sized[:1]]
    for number in needs.tensor_parallel:
        for by_maker in group_by_maker(sized, machine):
            if len(by_maker) >= number:
                members.append(by_maker[:number])
    stated = question.stated_parts
    if stated is not None:
        members = [group for group in members if len(group) == stated]
    groups = []
    for group in members:
        groups.append(_Group(needs=needs, question=question, places=group, cards=cards))
    return groups


def _places_of(machine: Machine, question: Question) -> list[Place]:
    """The accelerators with memory of their own, for a runtime that takes a percentage of the
    memory of each.
    """
    percent = percent_of(question.case)
    found = []
    for place in places(machine.accelerators):
        card = machine.cards[place.index]
        if card.unified is False:
            found.append(place.replace(usable_bytes=usable_bytes_of(card, percent)))
    return found


def lacking_bytes(
    placed: Needs,
    group: Sequence[Place],
    end: str = "high_bytes",
) -> int:
    """The bytes that the tightest accelerator of the group lacks; 0 or less where the layout
    fits.
    """
    lacking = {place.where: -place.known_bytes for place in group}
    for term in placed.terms:
        if term.where in lacking:
            lacking[term.where] += getattr(term, end)
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
