"""Several models side by side on one machine: each is a process of its own, and their needs add up.

Each model takes, in the order given, what the earlier ones leave of the machine, as `judge` places
a model alone: the accelerator with the most room that holds it, else layers are split, else RAM.
Where that order does not fit, the largest model goes first. Then the sums are held against the
whole machine by the checks of one model. Weights that several processes map from the same file
count once on disk and once in the page cache; accelerators, and all else, count for each.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

from ..core.records import Record, Unread
from ..core.units import binary
from ..machine.record import Accelerator, Machine
from ..needs.records import MemoryNeed, Needs, Term
from .checks import CHECKS, Finding, Outcome
from .checks.accelerator import Program, accelerator_check
from .checks.disk import bytes_to_store, disk_check
from .checks.memory import host_high, host_low, memory_check
from .judging import files_in_memory, judge, without_others
from .placement.devices import Place, index_of
from .placement.on_devices import in_parts, terms_of
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
    sizes = []
    for question in questions:
        if question.needs is None:
            alone = tuple(judge(question, machine) for question in questions)
            findings = tuple(_worst_of_members(names, alone))
            return SideBySide(question=questions[0], findings=findings, members=alone)
        memory = question.needs.memory
        sizes.append(memory.high_bytes if memory is not None else 0)
    given = list(range(len(questions)))
    answer = _in_order(questions, names, given, machine)
    largest_first = sorted(given, key=lambda index: sizes[index], reverse=True)
    if answer.failed and largest_first != given:
        other = _in_order(questions, names, largest_first, machine)
        return answer if other.failed else other
    return answer


# ------------------------------------------------------------------ where each one lies


def _in_order(
    questions: Sequence[Question], names: Sequence[str], order: Sequence[int], machine: Machine
) -> SideBySide:
    """Each model judged on what those before it leave, and their sums."""
    placed: dict[int, Judged] = {}
    left = machine
    for index in order:
        judged = judge(questions[index], left)
        judged = _on_whole_devices(judged, questions[index], machine)
        placed[index] = judged
        left = _left_by(judged.needs, left)
    return _summed_up(_members(names, [placed[index] for index in range(len(placed))]), machine)


def _left_by(needs: Needs | None, machine: Machine) -> Machine:
    """The machine without what a model holds: of the RAM the least that it takes, of what is free
    now and of accelerators the most.
    """
    if needs is None or needs.memory is None:
        return machine
    low, high = host_low(needs) or 0, host_high(needs) or 0
    taken = _by_place(needs.memory.terms)
    devices = machine.accelerators
    if devices is not None:
        devices = tuple(
            _less(device, low if device.unified else taken.get(f"accelerator:{index}", 0))
            for index, device in enumerate(devices)
        )
    return machine.replace(
        # a machine has some memory
        memory_total_bytes=_minus(machine.memory_total_bytes, low, 1),
        memory_limit_bytes=_minus(machine.memory_limit_bytes, low, 1),
        memory_available_bytes=_minus(machine.memory_available_bytes, high),
        accelerators=devices,
    )


def _minus(size: int | None, taken: int, least: int = 0) -> int | None:
    return None if size is None else max(least, size - taken)


def _less(device: Accelerator, taken: int) -> Accelerator:
    return device.replace(
        memory_total_bytes=_minus(device.memory_total_bytes, taken),
        memory_free_bytes=_minus(device.memory_free_bytes, taken),
    )


def _by_place(terms: Iterable[Term]) -> Mapping[str, int]:
    """The most that accelerators hold of the terms, by place."""
    sizes: dict[str, int] = {}
    for term in terms:
        if term.where != "host":
            sizes[term.where] = sizes.get(term.where, 0) + term.high_bytes
    return sizes


def _on_whole_devices(judged: Judged, question: Question, machine: Machine) -> Judged:
    """It with each term of its needs as a large device has it, though others had taken part of the
    device when it was placed.
    """
    needs, whole, program = judged.needs, question.needs, question.runtime
    if needs is None or whole is None or program is None or needs.placement != "accelerator":
        return judged
    if program.reserves_by_device or not program.account.divides_layers:
        return judged
    group = [Place(index=index_of(where), room_bytes=None) for where in _by_place(terms_of(needs))]
    placed = in_parts(whole, group, machine.accelerators or (), is_lean=needs.is_lean)
    return judged.replace(needs=needs.replace(memory=placed.memory))


# ------------------------------------------------------------------ what the members share


class _Member(Record):
    """A model as it was placed. `counted` are its needs without the pages of RAM that another
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
    """Of the same file pages count where most of it is mapped."""
    needs, most = [], dict[Hashable, int]()
    for index, judged in enumerate(placed):
        whole = judged.question.needs
        assert whole is not None
        assert judged.needs is not None
        # `judge` says what is still to come of a download; what it was placed with says all
        own = whole.replace(memory=judged.needs.memory, placement=judged.needs.placement)
        needs.append(own)
        key = _file_of(judged.question)
        if _maps(judged.question) and (
            key not in most or _pages_bytes(own) > _pages_bytes(needs[most[key]])
        ):
            most[key] = index
    members: list[_Member] = []
    seen: set[Hashable] = set()
    for index, (name, judged, own) in enumerate(zip(names, placed, needs, strict=True)):
        key = _file_of(judged.question)
        is_elsewhere = _maps(judged.question) and most[key] != index
        members.append(
            _Member(
                name=name,
                judged=judged,
                needs=own,
                counted=_without_pages(own) if is_elsewhere else own,
                has_new_files=key not in seen,
            )
        )
        seen.add(key)
    return members


def _file_of(question: Question) -> Hashable:
    """What two models have in common that are the same files in the same store."""
    workload = question.workload
    store = None if question.runtime is None else question.runtime.store
    return question.spec.id, workload.format, workload.quantization, store


def _maps(question: Question) -> bool:
    return question.runtime is not None and question.runtime.maps_files


def _is_page(term: Term) -> bool:
    """Weights in RAM as they lie in the model's own file."""
    return term.where == "host" and term.may_be_mapped and not term.name.startswith("draft_")


def _pages_bytes(needs: Needs) -> int:
    """Of the model's own file, bytes that stay in RAM and bytes that may leave it."""
    if needs.memory is None:
        return 0
    pages = sum(term.high_bytes for term in needs.memory.terms if _is_page(term))
    return pages + needs.memory.evictable_bytes


def _without_pages(needs: Needs) -> Needs:
    if needs.memory is None:
        return needs
    terms = tuple(term for term in needs.memory.terms if not _is_page(term))
    return needs.replace(memory=MemoryNeed(terms=terms))


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
    """All memory terms together, each once as often as it is held. What is not known of one is not
    known of the sum.
    """
    needs = [each for _, each in named]
    memories = [each.memory for each in needs if each.memory is not None]
    terms = tuple(term for memory in memories for term in memory.terms)
    memory = None
    if len(memories) == len(needs):
        evictable_bytes = sum(memory.evictable_bytes for memory in memories)
        memory = MemoryNeed(terms=terms, evictable_bytes=evictable_bytes)
    return Needs(
        download_bytes=None,
        disk_bytes=None,
        cpu=needs[0].cpu,
        placement=_placement(needs),
        memory=memory,
        known_terms=(*terms, *(term for each in needs for term in each.known_terms)),
        unknown=tuple(
            Unread(fact=why.fact, reason=f"of {name}, {why.reason}", remedy=why.remedy)
            for name, each in named
            for why in each.unknown
        ),
    )


def _placement(needs: Iterable[Needs]) -> str:
    kinds = {each.placement for each in needs}
    return kinds.pop() if len(kinds) == 1 else "split"


def _added(sizes: Iterable[int | None]) -> int | None:
    """The sum; None where one of them is not known."""
    total = 0
    for size in sizes:
        if size is None:
            return None
        total += size
    return total


def _memory(members: Sequence[_Member], total: Needs, machine: Machine) -> Finding:
    stored = held = 0
    is_sure = True
    for each in members:
        if each.has_new_files:
            to_come, kept, surely = files_in_memory(each.question, each.needs, machine)
            stored, held, is_sure = stored + to_come, held + kept, is_sure and surely
    workload = members[0].question.workload
    finding = memory_check(total, machine, workload, stored, held, surely=is_sure)
    highs = [(each.name, host_high(each.counted)) for each in members]
    parts = [f"{name} up to {binary(high)}" for name, high in highs if high is not None]
    shares = f" Of this: {', '.join(parts)}." if parts and total.memory is not None else ""
    if any(each.counted is not each.needs for each in members):
        shares += " Weights that several map from one file count once."
    return finding.replace(reason=finding.reason + shares)


def _disk(members: Sequence[_Member], machine: Machine) -> Finding:
    """The worst of the volumes on which files land; those for one volume are added. A record does
    not name volumes: two folders with the same sizes and file system are taken for one volume.
    """
    by_volume: dict[object, list[_Member]] = {}
    for each in members:
        if each.has_new_files:
            place = machine.disk_for(each.question.store)
            volume: object = each.question.store if place is None else place.path
            if place is not None and None not in (place.total_bytes, place.free_bytes):
                sizes = place.total_bytes, place.free_bytes
                volume = *sizes, place.filesystem, place.backing
            by_volume.setdefault(volume, []).append(each)
    return _worst([_on_one_volume(stored, machine) for stored in by_volume.values()])


def _on_one_volume(members: Sequence[_Member], machine: Machine) -> Finding:
    needs, first = [each.needs for each in members], members[0].question
    if len(members) == 1:
        missing, here = first.missing_bytes, first.here
        return disk_check(needs[0], machine, first.store, missing_bytes=missing, here=here)
    size = _added(bytes_to_store(each.needs, each.question.missing_bytes) for each in members)
    largest = [each.largest_file_bytes for each in needs if each.largest_file_bytes is not None]
    total = _sum_of([(each.name, each.needs) for each in members]).replace(
        download_bytes=size, disk_bytes=size, largest_file_bytes=max(largest, default=None)
    )
    return disk_check(total, machine, first.store)


def _accelerator(members: Sequence[_Member], machine: Machine) -> Finding:
    """The worst for each kind of runtime in use: all that lies on the devices that it uses is held
    against its own rule. Models in RAM count together.
    """
    basis = members[0].question.workload.memory_basis
    machine = without_others(machine, basis)
    groups: dict[Hashable, list[_Member]] = {}
    for each in members:
        question = each.question
        key = (
            None if question.runtime is None else question.runtime.id,
            question.workload.quantization if question.quantization_rule is not None else None,
            question.cache_rule,
            each.needs.placement == "host",
        )
        groups.setdefault(key, []).append(each)
    findings = []
    for own in groups.values():
        first = own[0].question
        program = Program(
            runtime=first.runtime, rule=first.quantization_rule, cache_rule=first.cache_rule
        )
        now_only = basis == "available"
        held = _on_the_same(own, members)
        finding = accelerator_check(held, machine, program, now_only=now_only)
        findings.append(_with_shares(finding, own, members))
    return _worst(findings)


def _with_shares(finding: Finding, own: Sequence[_Member], members: Sequence[_Member]) -> Finding:
    """The finding, with how to start a program that would take most of a device for itself, where
    it has company there.
    """
    runtime = own[0].question.runtime
    if runtime is None or not runtime.share_option or finding.outcome is not Outcome.PASS:
        return finding
    places = {place for each in own for place in _by_place(_terms(each.needs))}
    held = [places & _by_place(_terms(each.needs)).keys() for each in members]
    if sum(map(len, held)) == len(places):
        return finding
    return finding.replace(
        remedy=f"start each with its part of the accelerator: {runtime.name} takes most of it,"
        f" unless {runtime.share_option} says less"
    )


def _on_the_same(own: Sequence[_Member], members: Sequence[_Member]) -> Needs:
    """What all models hold on the devices of some of them, or in RAM where those use none."""
    if own[0].needs.placement == "host":
        in_ram = [each for each in members if each.needs.placement == "host"]
        return _sum_of([(each.name, each.counted) for each in in_ram])
    places = {place for each in own for place in _by_place(_terms(each.needs))}
    terms = tuple(
        term
        for each in members
        for term in _terms(each.needs)
        if term.where in places or (term.where == "host" and each in own)
    )
    total = _sum_of([(each.name, each.needs) for each in members])
    placement = _placement(each.needs for each in own)
    return total.replace(placement=placement, memory=MemoryNeed(terms=terms))


def _terms(needs: Needs) -> tuple[Term, ...]:
    return needs.memory.terms if needs.memory is not None else ()


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
    return max(findings, key=lambda each: (each.severity, each.leaves_open, _fill(each)))


def _fill(finding: Finding) -> float:
    """What is needed as a share of what is there, 0 where that is no number."""
    needs, has = finding.needs, finding.has
    if needs is None or has is None or isinstance(needs, str) or isinstance(has, str):
        return 0.0
    return needs / has if has else float("inf")
