"""Several models side by side on one machine: each is a process of its own, and their needs add up.

Each model takes, in the order given, what the earlier ones leave of the machine, as `judge` places
a model alone. Where that order does not fit, the largest model goes first. Then the sums are held
against the whole machine by the checks of one model. Files that several processes map count once on
disk and once in the page cache; accelerators, and all else, count for each.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence

from ..core.records import Record
from ..core.units import binary
from ..machine.record import Accelerator, Machine
from ..needs.records import MemoryNeed, Needs, Term
from .checks import CHECKS, Finding
from .checks.accelerator import accelerator_check
from .checks.disk import bytes_to_store, disk_check, stored_in_memory
from .checks.memory import memory_check
from .judging import judge, without_others
from .record import Judged, Question

# findings that are made of the sums; the others are the worst of the members'
_OF_SUMS = ("disk", "memory", "accelerator")


class SideBySide(Judged):
    """The findings of all models at once, and each model as it was placed, in the order given.

    `question` is the first one's. `needs` are the sums; None where a model is closed or its runtime
    does not load it. `speed` is None: each member has its own, with nothing else at work.
    """

    members: tuple[Judged, ...]


def judge_together(
    questions: Sequence[Question], names: Sequence[str], machine: Machine
) -> SideBySide:
    """Whether the machine holds all of them at once. `names` call the members in reasons.

    The memory basis and the reserve are those of the first question.
    """
    needs = [question.needs for question in questions if question.needs is not None]
    if len(needs) < len(questions):
        alone = tuple(judge(question, machine) for question in questions)
        findings = tuple(_worst_of_members(names, alone))
        return SideBySide(question=questions[0], findings=findings, members=alone)
    given = tuple(range(len(questions)))
    sizes = [sum(term.high_bytes for term in each.terms) for each in needs]
    largest_first = tuple(sorted(given, key=lambda index: -sizes[index]))
    answers: list[SideBySide] = []
    for order in dict.fromkeys((given, largest_first)):
        placed, left = dict[int, Judged](), machine
        for index in order:
            placed[index] = judge(questions[index], left)
            left = _left_by(placed[index].needs, left)
        answers.append(_summed_up(_members(names, [placed[index] for index in given]), machine))
        if not answers[-1].failed:
            return answers[-1]
    return answers[0]


def _left_by(needs: Needs | None, machine: Machine) -> Machine:
    """The machine without what a model holds: of the RAM the least that it takes, of what is free
    now and of accelerators the most.
    """
    if needs is None or needs.memory is None:
        return machine
    low, high = needs.ram_bytes("low_bytes") or 0, needs.ram_bytes() or 0
    taken = {place.where: place.high_bytes for place in needs.memory.places}
    left: list[Accelerator] = []
    for index, device in enumerate(machine.accelerators or ()):
        size = low if device.unified else taken.get(f"accelerator:{index}", 0)
        total = _minus(device.memory_total_bytes, size)
        free = _minus(device.memory_free_bytes, size)
        left.append(device.replace(memory_total_bytes=total, memory_free_bytes=free))
    return machine.replace(
        # a machine has some memory
        memory_total_bytes=_minus(machine.memory_total_bytes, low, 1),
        memory_limit_bytes=_minus(machine.memory_limit_bytes, low, 1),
        memory_available_bytes=_minus(machine.memory_available_bytes, high),
        accelerators=None if machine.accelerators is None else tuple(left),
    )


def _minus(size: int | None, taken: int, least: int = 0) -> int | None:
    return None if size is None else max(least, size - taken)


# ------------------------------------------------------------------ what the members share


class _Member(Record):
    """A model as it was placed. `counted` are its needs without the pages of RAM that an earlier
    member's process maps too; `has_new_files`: its weights are not the file of an earlier one.
    """

    name: str
    judged: Judged
    needs: Needs
    counted: Needs
    has_new_files: bool

    @property
    def question(self) -> Question:
        return self.judged.question


def _members(names: Sequence[str], placed: Sequence[Judged]) -> list[_Member]:
    members: list[_Member] = []
    seen: set[Hashable] = set()
    for name, judged in zip(names, placed, strict=True):
        question, whole = judged.question, judged.question.needs
        assert whole is not None
        assert judged.needs is not None
        # `judge` says what is still to come of a download; what it was placed with says all
        needs = whole.replace(memory=judged.needs.memory, placement=judged.needs.placement)
        workload, runtime = question.workload, question.runtime
        # two models that are the same files in the same store
        key = (question.spec.id, workload.format, workload.quantization, question.store)
        is_new = key not in seen
        counted = needs
        if not is_new and needs.memory and runtime is not None and runtime.maps_files:
            # without the weights in RAM as they lie in the model's own file
            terms = tuple(term for term in needs.terms if not _is_mapped(term))
            counted = needs.replace(memory=MemoryNeed(terms=terms))
        members.append(
            _Member(name=name, judged=judged, needs=needs, counted=counted, has_new_files=is_new)
        )
        seen.add(key)
    return members


def _is_mapped(term: Term) -> bool:
    is_own = term.may_be_mapped and not term.name.startswith("draft_")
    return is_own and term.where == "host"


# ------------------------------------------------------------------ the sums


def _summed_up(members: Sequence[_Member], machine: Machine) -> SideBySide:
    total = _sum_of([(each.name, each.counted) for each in members])
    alone = _worst_of_members([each.name for each in members], [each.judged for each in members])
    findings = {finding.check: finding for finding in alone}
    findings["disk"] = _disk(members, machine)
    findings["memory"] = _memory(members, total, machine)
    findings["accelerator"] = _accelerator(members, machine)
    # what the files take counts once each
    stored = [each.needs for each in members if each.has_new_files]
    return SideBySide(
        question=members[0].question,
        findings=tuple(findings[name] for name in CHECKS if name in findings),
        needs=total.replace(
            download_bytes=_added(needs.download_bytes for needs in stored),
            disk_bytes=_added(needs.disk_bytes for needs in stored),
        ),
        members=tuple(each.judged for each in members),
    )


def _sum_of(named: Sequence[tuple[str, Needs]]) -> Needs:
    """All memory terms together. What is not known of one is not known of the sum."""
    needs = [each for _, each in named]
    memories = [each.memory for each in needs if each.memory is not None]
    terms = tuple(term for memory in memories for term in memory.terms)
    memory = None
    if len(memories) == len(needs):
        evictable_bytes = sum(memory.evictable_bytes for memory in memories)
        memory = MemoryNeed(terms=terms, evictable_bytes=evictable_bytes)
    placements = {each.placement for each in needs}
    return Needs(
        download_bytes=None,
        disk_bytes=None,
        cpu=needs[0].cpu,
        placement=placements.pop() if len(placements) == 1 else "split",
        memory=memory,
        known_terms=(*terms, *(term for each in needs for term in each.known_terms)),
        unknown=tuple(
            why.replace(reason=f"of {name}, {why.reason}")
            for name, each in named
            for why in each.unknown
        ),
    )


def _added(sizes: Iterable[int | None]) -> int | None:
    """The sum; None where one of them is not known."""
    each = [*sizes]
    return None if None in each else sum(filter(None, each))


def _memory(members: Sequence[_Member], total: Needs, machine: Machine) -> Finding:
    stored = sum(
        stored_in_memory(each.needs, machine, each.question)
        for each in members
        if each.has_new_files
    )
    finding = memory_check(total, machine, members[0].question.workload, stored)
    highs = [(each.name, each.counted.ram_bytes()) for each in members]
    parts = [f"{name} up to {binary(high)}" for name, high in highs if high is not None]
    shares = f" Of this: {', '.join(parts)}." if parts and total.memory is not None else ""
    if any(each.counted is not each.needs for each in members):
        shares += " Weights that several map from one file count once."
    return finding.replace(reason=finding.reason + shares)


def _disk(members: Sequence[_Member], machine: Machine) -> Finding:
    """The worst of the volumes on which files land; those for one volume are added. A record does
    not name volumes: two folders with the same sizes and file system are taken for one volume.
    """
    by_volume: dict[Hashable, list[_Member]] = {}
    for each in members:
        if each.has_new_files:
            place = machine.disk_for(each.question.store)
            volume: Hashable = each.question.store
            if place is not None:
                volume = place.total_bytes, place.free_bytes, place.filesystem
            by_volume.setdefault(volume, []).append(each)
    return _worst([_on_one_volume(stored, machine) for stored in by_volume.values()])


def _on_one_volume(members: Sequence[_Member], machine: Machine) -> Finding:
    first, needs = members[0].question, members[0].needs
    if len(members) == 1:
        return disk_check(needs, machine, first)
    size = _added(bytes_to_store(each.needs, each.question.missing_bytes) for each in members)
    largest = max(each.needs.largest_file_bytes or 0 for each in members) or None
    total = _sum_of([(each.name, each.needs) for each in members]).replace(
        download_bytes=size, disk_bytes=size, largest_file_bytes=largest
    )
    return disk_check(total, machine, first.replace(here=None, local_files=False))


def _accelerator(members: Sequence[_Member], machine: Machine) -> Finding:
    """The worst for each member: all that lies on the devices that it uses is held against the rule
    of its program. Models in RAM count together.
    """
    machine = without_others(machine, members[0].question.workload.memory_basis)
    in_ram = [each for each in members if each.needs.placement == "host"]
    together = _sum_of([(each.name, each.counted) for each in in_ram]) if in_ram else None
    findings = []
    for own in members:
        held = together
        if held is None or own not in in_ram:
            places = {term.where for term in own.needs.terms} - {"host"}
            terms = tuple(
                term
                for each in members
                for term in each.needs.terms
                if term.where in places or (term.where == "host" and each is own)
            )
            held = own.needs.replace(memory=MemoryNeed(terms=terms))
        findings.append(accelerator_check(held, machine, own.question))
    return _worst(findings)


# ------------------------------------------------------------------ the worst of several


def _worst_of_members(names: Sequence[str], members: Sequence[Judged]) -> Iterator[Finding]:
    """Of each check but the sums the worst finding, with the name of its model."""
    for name in CHECKS:
        own = [
            finding.replace(reason=f"{model}: {finding.reason}")
            for model, judged in zip(names, members, strict=True)
            for finding in judged.findings
            if finding.check == name and name not in _OF_SUMS
        ]
        if own:
            yield _worst(own)


def _worst(findings: Sequence[Finding]) -> Finding:
    """The first of the worst: of equal outcomes one that decides, then the fullest."""
    return max(findings, key=lambda each: (each.severity, each.leaves_open, _share_of_room(each)))


def _share_of_room(finding: Finding) -> float:
    """What is needed as a share of what is there, 0 where that is no number."""
    needs, has = finding.needs, finding.has
    if needs is None or has is None or isinstance(needs, str) or isinstance(has, str):
        return 0.0
    return needs / has if has else float("inf")
