"""Several models side by side, each a process of its own, whose needs add up.

Each model takes, in the order given, what the earlier ones leave of the machine. Where that order
does not fit, the largest model goes first. Then the sums of memory and disk are held against the
whole machine. Files that several processes map count once on the disk and once in the page cache.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from math import ceil
from typing import NamedTuple

from ..core.records import Unread
from ..core.units import binary
from ..machine.record import Accelerator, Machine
from ..needs.records import How, Needs, Term
from ..needs.records import term as term_of
from .checks import CHECKS, Finding
from .checks.space import bytes_to_store, disk_check, memory_check, stored_in_memory
from .devices import percent_of
from .judging import judge
from .record import Judged, Question


class _Member(NamedTuple):
    """One of the models, judged on its part of the machine. `name` stands in reasons."""

    name: str
    judged: Judged


class _Stored(NamedTuple):
    """What one model stores on a disk."""

    needs: Needs
    question: Question


def judge_together(
    questions: Sequence[Question], names: Sequence[str], machine: Machine
) -> Judged:
    """Whether the machine holds all of them at once. `names` stand in reasons.

    The findings are those of all. The question, the memory basis and the reserve are those of the
    first. The needs are the sums as placed, in the order given; None where a model is closed, or
    its program does not load it.
    """
    in_given_order = range(len(questions))
    if any(question.needs is None for question in questions):
        alone = [judge(question, machine) for question in questions]
        members = list(map(_Member, names, alone))
        findings = tuple(_worst_of_members(members))
        return Judged(question=questions[0], findings=findings)
    members = list(map(_Member, names, _judged_in(in_given_order, questions, machine)))
    together = _summed_up(members, machine)
    if not together.failed:
        return together
    largest_first = sorted(
        in_given_order, key=lambda index: -_most_bytes(questions[index])
    )
    members = list(map(_Member, names, _judged_in(largest_first, questions, machine)))
    by_size = _summed_up(members, machine)
    return together if by_size.failed else by_size


def _most_bytes(question: Question) -> int:
    assert question.needs is not None
    return sum(term.high_bytes for term in question.needs.terms)


def _judged_in(
    order: Iterable[int], questions: Sequence[Question], machine: Machine
) -> list[Judged]:
    """Each model judged on what those before it in that order leave of the machine.

    They are returned as the questions stand.
    """
    by_index: dict[int, Judged] = {}
    for index in order:
        by_index[index] = judge(questions[index], machine)
        machine = _machine_left(by_index[index], machine)
    return [by_index[index] for index in range(len(questions))]


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
    places = needs.memory.places if needs.memory is not None else ()
    taken_bytes = {place.where: place.high_bytes for place in places}
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
    # the files that a model loads -> what is to be stored
    stored = dict[Hashable, _Stored]()
    counted = list[Needs]()
    for _, judged in members:
        assert judged.needs is not None
        question = judged.question
        # with all of the download
        needs = judged.needs.replace(missing_bytes=None)
        files = _files_of(question)
        is_stored = files in stored
        if not is_stored:
            stored[files] = _Stored(needs, question)
        runtime = question.runtime
        is_mapped = runtime is not None and runtime.memory.maps_files
        counted.append(_without_mapped(needs) if is_stored and is_mapped else needs)
    names = [member.name for member in members]
    first = members[0].judged.question
    total = _sum_of(names, counted, [files.needs for files in stored.values()])
    files_bytes = 0
    for needs, question in stored.values():
        files_bytes += stored_in_memory(needs, machine, question)
    memory = memory_check(total, machine, first.workload, files_bytes)
    parts = _parts(names, counted, total)
    findings = [
        *_worst_of_members(members),
        _disk_check_of_all(list(stored.values()), machine),
        memory.replace(reason=memory.reason + parts),
    ]
    findings.sort(key=lambda finding: CHECKS.index(finding.check))
    return Judged(question=first, findings=tuple(findings), needs=total)


def _files_of(question: Question) -> Hashable:
    """What tells the files of one model from those of another."""
    workload = question.workload
    return question.spec.id, workload.format, workload.quantization, question.store


def _without_mapped(needs: Needs) -> Needs:
    """Without files that another process maps already; drafts are read anew."""
    terms = list[Term]()
    for term in needs.terms:
        is_of_file = term.where == "host" and term.may_be_mapped
        if not is_of_file or term.name.startswith("draft_"):
            terms.append(term)
    return needs.replace(terms=tuple(terms), evictable_bytes=0)


def _parts(names: Sequence[str], counted: Sequence[Needs], total: Needs) -> str:
    """What each model takes of the sum; empty where the sum is not known."""
    if total.memory is None:
        return ""
    parts = list[str]()
    for name, needs in zip(names, counted, strict=True):
        parts.append(f"{name} up to {binary(needs.ram_bytes() or 0)}")
    return f" Of this: {', '.join(parts)}."


def _sum_of(
    names: Sequence[str], needs: Sequence[Needs], stored: Sequence[Needs]
) -> Needs:
    terms = list[Term]()
    unknown = list[Unread]()
    for name, member in zip(names, needs, strict=True):
        terms += member.terms
        for why in member.unknown:
            unknown.append(why.replace(reason=f"of {name}, {why.reason}"))
    placements = {member.placement for member in needs}
    return Needs(
        files=_all_files([member.download_bytes for member in stored]),
        checkpoint_bytes=sum(member.checkpoint_bytes or 0 for member in stored),
        cpu=needs[0].cpu,
        placement=placements.pop() if len(placements) == 1 else "split",
        terms=tuple(terms),
        evictable_bytes=sum(member.evictable_bytes for member in needs),
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


def _disk_check_of_all(stored: Sequence[_Stored], machine: Machine) -> Finding:
    """The worst of the volumes; two folders with the same sizes and file system are one volume."""
    by_volume = dict[Hashable, list[_Stored]]()
    for part in stored:
        place = machine.disk_for(part.question.store)
        volume: Hashable = part.question.store
        if place is not None:
            volume = place.total_bytes, place.free_bytes, place.filesystem
        by_volume.setdefault(volume, []).append(part)
    return _worst(
        [_disk_check_of_volume(parts, machine) for parts in by_volume.values()]
    )


def _disk_check_of_volume(parts: Sequence[_Stored], machine: Machine) -> Finding:
    first = parts[0]
    if len(parts) == 1:
        return disk_check(first.needs, machine, first.question)
    sizes = list[int | None]()
    for part in parts:
        size = bytes_to_store(part.needs, part.question.missing_bytes)
        sizes.append(size.likely if size is not None else None)
    largest_bytes = max(part.needs.largest_file_bytes or 0 for part in parts)
    needs = Needs(files=_all_files(sizes), largest_file_bytes=largest_bytes or None)
    question = first.question.replace(here=None, local_files=False, beside_bytes=0)
    return disk_check(needs, machine, question)


def _worst_of_members(members: Sequence[_Member]) -> Iterator[Finding]:
    """The worst finding of each check, but for disk and memory, which are held against the sums."""
    for check in CHECKS:
        findings = list[Finding]()
        for name, judged in members:
            finding = judged.finding(check)
            if finding is not None:
                findings.append(finding.replace(reason=f"{name}: {finding.reason}"))
        if findings and check not in ("disk", "memory"):
            yield _worst(findings)


def _worst(findings: Sequence[Finding]) -> Finding:
    return max(findings, key=lambda finding: (finding.severity, finding.decides))
