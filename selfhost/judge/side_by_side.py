"""Several models side by side, each in its own process, whose needs add up.

Each model takes, in the given order, the memory that the earlier models leave of the machine. If
the models do not fit in that order, the largest model goes first. Then the sums of memory and disk
are compared with the whole machine. Files that several processes map count once on the disk and
once in the page cache.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import cached_property
from math import ceil

from ..core.records import Record, Unread
from ..core.units import binary
from ..machine.record import Accelerator, Machine
from ..needs.records import Needs, Term, computed_term
from .checks import CHECKS, Finding, in_order
from .checks.space import (
    bytes_to_store,
    disk_check,
    memory_check,
    stored_in_memory,
    without,
)
from .devices import percent_of
from .judging import judge
from .record import Judged, Question


def judge_side_by_side(
    questions: Sequence[Question],
    names: Sequence[str],
    machine: Machine,
) -> Judged:
    """Return the judgement whether the machine holds all models at once. `names` stand in the
    reasons.

    The findings are those of all models. The question, the memory basis and the reserve are those
    of the first model. The needs are the placed needs in the given order, summed; None where a
    model is closed, or its runtime does not load it.
    """
    if any(question.needs is None for question in questions):
        members = []
        for question, name in zip(questions, names, strict=True):
            members.append(_Member(name=name, judged=judge(question, machine)))
        findings = tuple(_worst_of_members(members))
        return Judged(question=questions[0], findings=findings)
    numbers = list(range(len(questions)))
    as_given = _judged_in_turn(numbers, questions, names, machine)
    if not as_given.failed:
        return as_given
    numbers.sort(key=lambda number: _most_bytes(questions[number]), reverse=True)
    by_size = _judged_in_turn(numbers, questions, names, machine)
    return as_given if by_size.failed else by_size


def _most_bytes(question: Question) -> int:
    """The most bytes that a model takes of all memory."""
    assert question.needs is not None
    return sum(term.high_bytes for term in question.needs.terms)


def _judged_in_turn(
    numbers: Sequence[int],
    questions: Sequence[Question],
    names: Sequence[str],
    machine: Machine,
) -> Judged:
    """The judgement of all models, each judged on the machine that the models before it in
    `numbers` leave.
    """
    left = machine
    members = {}
    for number in numbers:
        member = _Member(name=names[number], judged=judge(questions[number], left))
        left = member.left_of(left)
        members[number] = member
    in_given_order = [members[number] for number in sorted(members)]
    return _SideBySide(members=in_given_order, machine=machine).judged()


class _Member(Record):
    """A model, judged on its part of the machine."""

    name: str
    judged: Judged

    @property
    def question(self) -> Question:
        return self.judged.question

    @property
    def undownloaded(self) -> Needs:
        """The placed needs, as if nothing of the model were downloaded yet."""
        return self.judged.placed.replace(missing_bytes=None)

    @property
    def key_of_files(self) -> Hashable:
        """The key that tells the files of one model from the files of another."""
        question = self.question
        workload = question.workload
        return question.spec.id, workload.format, workload.quantization, question.store

    @property
    def maps_files(self) -> bool:
        """Whether the model's process shares the pages of its files with other processes."""
        return self.question.program.memory.maps_files

    def left_of(self, machine: Machine) -> Machine:
        """The machine that is left for the next model.

        The total RAM loses the least that the model takes. The free RAM and the memory of
        accelerators lose the most.
        """
        if self.judged.memory is None:
            return machine
        on_host = self.judged.placed.on_host
        least_bytes = on_host.low_bytes
        most_bytes = on_host.high_bytes
        cards = machine.accelerators
        if cards is not None:
            cards = tuple(self._cards_left(cards, least_bytes))
        return machine.replace(
            # every machine has some memory
            memory_total_bytes=without(machine.memory_total_bytes, least_bytes, 1),
            memory_limit_bytes=without(machine.memory_limit_bytes, least_bytes, 1),
            memory_available_bytes=without(machine.memory_available_bytes, most_bytes),
            accelerators=cards,
        )

    def _cards_left(
        self, cards: Sequence[Accelerator], ram_bytes: int
    ) -> Iterator[Accelerator]:
        """Yield the accelerators without the memory that the model takes of them. Of the RAM that
        some of them share, the model takes `ram_bytes`.
        """
        percent = 100.0
        if self.question.wants_gpu:
            # the program takes a share of each device, and has to find free what other models
            # occupy
            percent = percent_of(self.question.case)
        most_bytes = Counter[str]()
        for term in self.judged.placed.terms:
            most_bytes[term.where] += term.high_bytes
        for index, card in enumerate(cards):
            taken = ram_bytes
            if not card.unified:
                taken = ceil(100 * most_bytes[f"accelerator:{index}"] / percent)
            yield card.replace(
                memory_total_bytes=without(card.memory_total_bytes, taken),
                memory_free_bytes=without(card.memory_free_bytes, taken),
            )


# ------------------------------------------------------------------ the sums


class _SideBySide(Record):
    """A group of models that were judged one after the other, checked against the whole machine at
    once.
    """

    members: Sequence[_Member]
    machine: Machine

    @cached_property
    def storing(self) -> Sequence[_Member]:
        """The models whose files are stored: of models with the same files, the first."""
        first_with: dict[Hashable, _Member] = {}
        for member in self.members:
            first_with.setdefault(member.key_of_files, member)
        return list(first_with.values())

    @cached_property
    def needs_of_members(self) -> Sequence[Needs]:
        """The needs of each model. Files that several processes map count for the first process
        only.
        """
        counted = []
        mapped = set()
        for member in self.members:
            needs = member.undownloaded
            if member.maps_files and member.key_of_files in mapped:
                needs = _without_mapped(needs)
            mapped.add(member.key_of_files)
            counted.append(needs)
        return counted

    def judged(self) -> Judged:
        """The findings of all models, with memory and disk checked against the sums."""
        findings = list(_worst_of_members(self.members))
        findings.append(self._disk_check())
        findings.append(self._memory_check())
        question = self.members[0].question
        return Judged(question=question, findings=in_order(findings), needs=self.needs)

    @cached_property
    def needs(self) -> Needs:
        """The summed needs of all models."""
        terms = list[Term]()
        placements = set()
        evictable_bytes = 0
        for needs in self.needs_of_members:
            terms += needs.terms
            placements.add(needs.placement)
            evictable_bytes += needs.evictable_bytes
        written_bytes = 0
        for member in self.storing:
            written_bytes += member.undownloaded.written_bytes or 0
        downloads = [member.undownloaded.download_bytes for member in self.storing]
        return Needs(
            files=_all_files(downloads),
            written_bytes=written_bytes,
            cpu=self.needs_of_members[0].cpu,
            placement=placements.pop() if len(placements) == 1 else "split",
            terms=tuple(terms),
            evictable_bytes=evictable_bytes,
            unknown=tuple(self._unknown()),
        )

    def _unknown(self) -> Iterator[Unread]:
        """Yield each unknown need of each model, with the model's name in the reason."""
        for member in self.members:
            for why in member.undownloaded.unknown:
                yield why.replace(reason=f"of {member.name}, {why.reason}")

    def _memory_check(self) -> Finding:
        """The finding whether the RAM holds the sum, with the amount that each model takes."""
        files_bytes = 0
        for member in self.storing:
            question = member.question
            files_bytes += stored_in_memory(member.undownloaded, self.machine, question)
        workload = self.members[0].question.workload
        found = memory_check(self.needs, self.machine, workload, files_bytes)
        if self.needs.memory is None:
            return found
        parts = []
        for member, needs in zip(self.members, self.needs_of_members, strict=True):
            taken = binary(needs.on_host.high_bytes)
            parts.append(f"{member.name} up to {taken}")
        listed = ", ".join(parts)
        reason = f"{found.reason} Of this: {listed}."
        return found.in_words(reason, found.remedy)

    def _disk_check(self) -> Finding:
        """The worst finding of all volumes. Two folders with equal sizes and file system count as
        one volume.
        """
        by_volume = dict[Hashable, list[_Member]]()
        for member in self.storing:
            volume = self._volume_of(member.question.store)
            by_volume.setdefault(volume, []).append(member)
        findings = []
        for members in by_volume.values():
            findings.append(self._check_of_volume(members))
        return _worst(findings)

    def _check_of_volume(self, members: Sequence[_Member]) -> Finding:
        """The finding whether a volume has room for the files of the models."""
        first = members[0]
        if len(members) == 1:
            return disk_check(first.undownloaded, self.machine, first.question)
        sizes = []
        largest_bytes = 0
        for member in members:
            needs = member.undownloaded
            size = bytes_to_store(needs, member.question.missing_bytes)
            sizes.append(None if size is None else size.likely)
            largest_bytes = max(largest_bytes, needs.largest_file_bytes or 0)
        needs = Needs(files=_all_files(sizes), largest_file_bytes=largest_bytes)
        question = first.question.replace(
            here=None, loads_named_files=False, beside_bytes=0
        )
        return disk_check(needs, self.machine, question)

    def _volume_of(self, store: str) -> Hashable:
        """The key that tells the volume of a store from other volumes."""
        disk = self.machine.disk_for(store)
        if disk is None:
            return store
        return (disk.total_bytes, disk.free_bytes, disk.filesystem)


def _without_mapped(needs: Needs) -> Needs:
    """The needs without files that another process maps already. Draft models are read anew."""
    terms = []
    for term in needs.terms:
        is_read_anew = term.name.startswith("draft_")
        if is_read_anew or term.where != "host" or not term.may_be_mapped:
            terms.append(term)
    return needs.replace(terms=tuple(terms), evictable_bytes=0)


def _all_files(sizes: Iterable[int | None]) -> Term | None:
    """The files of several models as one term; None where the size of some is not known."""
    total_bytes = 0
    for size in sizes:
        if size is None:
            return None
        total_bytes += size
    return computed_term("files", total_bytes, "each model's", "")


# ------------------------------------------------------------------ the worst findings


def _worst_of_members(members: Sequence[_Member]) -> Iterator[Finding]:
    """Yield the worst finding of each check, except for disk and memory, which are checked against
    the sums.
    """
    for check in CHECKS:
        if check in ("disk", "memory"):
            continue
        findings = []
        for member in members:
            found = member.judged.finding(check)
            if found is not None:
                reason = f"{member.name}: {found.reason}"
                findings.append(found.in_words(reason, found.remedy))
        if findings:
            yield _worst(findings)


def _worst(findings: Sequence[Finding]) -> Finding:
    """The finding with the worst outcome; of equal outcomes one that decides."""
    return max(findings, key=lambda finding: (finding.severity, finding.decides))
