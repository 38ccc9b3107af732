"""Several models side by side, each a process of its own, whose needs add up.

Each model takes, in the order given, what the earlier ones leave of the machine. Where that order
does not fit, the largest model goes first. Then the sums of memory and disk are held against the
whole machine. Files that several processes map count once on the disk and once in the page cache.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from math import ceil

from ..core.records import Record, Unread
from ..core.units import binary
from ..machine.record import Accelerator, Machine
from ..needs.records import How, Needs, Term
from ..needs.records import term as term_of
from .checks import CHECKS, Finding
from .checks.space import bytes_to_store, disk_check, memory_check, stored_in_memory
from .devices import percent_of
from .judging import judge
from .record import Judged, Question


def judge_together(
    questions: Sequence[Question], names: Sequence[str], machine: Machine
) -> Judged:
    """Whether the machine holds all of them at once. `names` stand in reasons.

    The findings are those of all. The question, the memory basis and the reserve are those of the
    first. The needs are the sums as placed, in the order given; None where a model is closed, or
    its program does not load it.
    """
    asked = list(map(_Asked, names, questions))
    if any(question.needs is None for question in questions):
        members = [one.judged_on(machine) for one in asked]
        findings = tuple(_worst_of_members(members))
        return Judged(question=questions[0], findings=findings)
    together = _summed_up(_judged_in(asked, asked, machine), machine)
    if not together.failed:
        return together
    largest_first = sorted(asked, key=_Asked.most_bytes, reverse=True)
    by_size = _summed_up(_judged_in(largest_first, asked, machine), machine)
    return together if by_size.failed else by_size


class _Asked:
    """One of the questions; `name` stands in reasons."""

    def __init__(self, name: str, question: Question) -> None:
        self.name = name
        self.question = question

    def most_bytes(self) -> int:
        """The most that it takes of all memory."""
        assert self.question.needs is not None
        return sum(term.high_bytes for term in self.question.needs.terms)

    def judged_on(self, machine: Machine) -> _Member:
        """The model judged on what is left of a machine."""
        return _Member(name=self.name, judged=judge(self.question, machine))


class _Member(Record):
    """One of the models, judged on its part of the machine."""

    name: str
    judged: Judged

    @property
    def question(self) -> Question:
        return self.judged.question

    @property
    def needs(self) -> Needs:
        """What it takes, with all of the download."""
        assert self.judged.needs is not None
        return self.judged.needs.replace(missing_bytes=None)

    @property
    def files(self) -> Hashable:
        """What tells the files of one model from those of another."""
        question = self.question
        workload = question.workload
        return question.spec.id, workload.format, workload.quantization, question.store

    @property
    def maps_files(self) -> bool:
        """Whether its process shares the pages of its files with others."""
        runtime = self.question.runtime
        return runtime is not None and runtime.memory.maps_files


def _judged_in(
    order: Iterable[_Asked], asked: Sequence[_Asked], machine: Machine
) -> list[_Member]:
    """Each model judged on what those before it in that order leave of the machine.

    They are returned as they were asked.
    """
    members: dict[_Asked, _Member] = {}
    for one in order:
        members[one] = one.judged_on(machine)
        machine = _machine_left(members[one].judged, machine)
    return [members[one] for one in asked]


# ------------------------------------------------------------------ what a model leaves


def _machine_left(judged: Judged, machine: Machine) -> Machine:
    """The machine without the least RAM that a model takes, and the most of all other memory."""
    needs = judged.needs
    if needs is None or needs.memory is None:
        return machine
    least_bytes = needs.ram_bytes("low_bytes") or 0
    most_bytes = needs.ram_bytes() or 0
    cards = machine.accelerators
    if cards is not None:
        cards = tuple(_cards_left(judged, needs, cards, least_bytes))
    return machine.replace(
        # a machine has some memory
        memory_total_bytes=_minus(machine.memory_total_bytes, least_bytes, 1),
        memory_limit_bytes=_minus(machine.memory_limit_bytes, least_bytes, 1),
        memory_available_bytes=_minus(machine.memory_available_bytes, most_bytes),
        accelerators=cards,
    )


def _cards_left(
    judged: Judged, needs: Needs, cards: Sequence[Accelerator], least_ram_bytes: int
) -> Iterator[Accelerator]:
    percent = 100.0
    if judged.question.wants_gpu:
        # the program takes a share of its device: so much that the share of the rest is right
        percent = percent_of(judged.question.case)
    taken_bytes: dict[str, int] = {}
    if needs.memory is not None:
        for place in needs.memory.places:
            taken_bytes[place.where] = place.high_bytes
    for index, card in enumerate(cards):
        taken = ceil(100 * taken_bytes.get(f"accelerator:{index}", 0) / percent)
        if card.unified:
            taken = least_ram_bytes
        yield card.replace(
            memory_total_bytes=_minus(card.memory_total_bytes, taken),
            memory_free_bytes=_minus(card.memory_free_bytes, taken),
        )


def _minus(size: int | None, taken: int, least: int = 0) -> int | None:
    return None if size is None else max(least, size - taken)


# ------------------------------------------------------------------ the sums


def _summed_up(members: Sequence[_Member], machine: Machine) -> Judged:
    """The findings of all members, with memory and disk held against the sums."""
    # of members that load the same files, the first stores them
    storing: dict[Hashable, _Member] = {}
    counted = list[Needs]()
    for member in members:
        is_first = storing.setdefault(member.files, member) is member
        if is_first or not member.maps_files:
            counted.append(member.needs)
        else:
            counted.append(_without_mapped(member.needs))
    first = members[0].question
    total = _sum_of(members, counted, list(storing.values()))
    files_bytes = 0
    for member in storing.values():
        files_bytes += stored_in_memory(member.needs, machine, member.question)
    memory = memory_check(total, machine, first.workload, files_bytes)
    reason = memory.reason + _parts(members, counted, total)
    findings = [
        *_worst_of_members(members),
        _disk_check_of_all(storing.values(), machine),
        memory.replace(reason=reason),
    ]
    findings.sort(key=lambda finding: CHECKS.index(finding.check))
    return Judged(question=first, findings=tuple(findings), needs=total)


def _without_mapped(needs: Needs) -> Needs:
    """Without files that another process maps already; drafts are read anew."""
    terms = list[Term]()
    for term in needs.terms:
        is_of_file = term.where == "host" and term.may_be_mapped
        if not is_of_file or term.name.startswith("draft_"):
            terms.append(term)
    return needs.replace(terms=tuple(terms), evictable_bytes=0)


def _parts(members: Sequence[_Member], counted: Sequence[Needs], total: Needs) -> str:
    """What each model takes of the sum; empty where the sum is not known."""
    if total.memory is None:
        return ""
    parts = list[str]()
    for member, needs in zip(members, counted, strict=True):
        parts.append(f"{member.name} up to {binary(needs.ram_bytes() or 0)}")
    return f" Of this: {', '.join(parts)}."


def _sum_of(
    members: Sequence[_Member], counted: Sequence[Needs], storing: Sequence[_Member]
) -> Needs:
    """What all members take; `storing` are those whose files are stored."""
    terms = list[Term]()
    unknown = list[Unread]()
    evictable_bytes = 0
    placements = set[str]()
    for member, needs in zip(members, counted, strict=True):
        terms += needs.terms
        for why in needs.unknown:
            unknown.append(why.replace(reason=f"of {member.name}, {why.reason}"))
        evictable_bytes += needs.evictable_bytes
        placements.add(needs.placement)
    checkpoint_bytes = 0
    for member in storing:
        checkpoint_bytes += member.needs.checkpoint_bytes or 0
    return Needs(
        files=_all_files([member.needs.download_bytes for member in storing]),
        checkpoint_bytes=checkpoint_bytes,
        cpu=counted[0].cpu,
        placement=placements.pop() if len(placements) == 1 else "split",
        terms=tuple(terms),
        evictable_bytes=evictable_bytes,
        unknown=tuple(unknown),
    )


def _all_files(sizes: Iterable[int | None]) -> Term | None:
    """The files of several models as one; None where the size of some is not known."""
    total_bytes = 0
    for size in sizes:
        if size is None:
            return None
        total_bytes += size
    return term_of("files", total_bytes, How.COMPUTED, "each model's", "")


# ------------------------------------------------------------------ the disks


def _disk_check_of_all(storing: Iterable[_Member], machine: Machine) -> Finding:
    """The worst of the volumes; two folders with the same sizes and file system are one volume."""
    by_volume = dict[Hashable, list[_Member]]()
    for member in storing:
        place = machine.disk_for(member.question.store)
        volume: Hashable = member.question.store
        if place is not None:
            volume = place.total_bytes, place.free_bytes, place.filesystem
        by_volume.setdefault(volume, []).append(member)
    findings = list[Finding]()
    for members in by_volume.values():
        findings.append(_disk_check_of_volume(members, machine))
    return _worst(findings)


def _disk_check_of_volume(members: Sequence[_Member], machine: Machine) -> Finding:
    first = members[0]
    if len(members) == 1:
        return disk_check(first.needs, machine, first.question)
    sizes = list[int | None]()
    largest_bytes = 0
    for member in members:
        size = bytes_to_store(member.needs, member.question.missing_bytes)
        sizes.append(None if size is None else size.likely)
        largest_bytes = max(largest_bytes, member.needs.largest_file_bytes or 0)
    needs = Needs(files=_all_files(sizes), largest_file_bytes=largest_bytes or None)
    question = first.question.replace(here=None, local_files=False, beside_bytes=0)
    return disk_check(needs, machine, question)


# ------------------------------------------------------------------ the worst findings


def _worst_of_members(members: Sequence[_Member]) -> Iterator[Finding]:
    """The worst finding of each check, but for disk and memory, which are held against the sums."""
    for check in CHECKS:
        if check in ("disk", "memory"):
            continue
        findings = list[Finding]()
        for member in members:
            finding = member.judged.finding(check)
            if finding is not None:
                reason = f"{member.name}: {finding.reason}"
                findings.append(finding.replace(reason=reason))
        if findings:
            yield _worst(findings)


def _worst(findings: Sequence[Finding]) -> Finding:
    return max(findings, key=lambda finding: (finding.severity, finding.decides))
