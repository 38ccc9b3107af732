"""Several models side by side on one machine: each is a process of its own, and their needs add up.

Each model takes, in the order given, what the earlier ones leave of the machine, as `judge` places
a model alone: the accelerator with the most room that holds it, else layers are split, else RAM.
Where that order does not fit, the largest model goes first. Then the sums are held against the
whole machine by the checks of one model. Weights that several processes map from the same file
count once on disk and once in the page cache; accelerators, and all else, count for each.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from ..catalogue.spec import RuntimeSpec
from ..core.records import Unread
from ..core.units import binary
from ..machine.record import Accelerator, Machine
from ..needs.records import MemoryNeed, Needs, Term
from . import checks as check
from .checks import CHECKS, Finding, Outcome
from .judging import files_in_memory, judge, without_others
from .placement.devices import Place, index_of
from .placement.on_devices import in_parts, terms_of
from .record import Judged, Question

# findings that are made of the sums; the others are the worst of the members'
_OF_SUMS = ("disk", "memory", "accelerator")


class SideBySide(Judged):
    """The findings of all models at once, and each model as it was placed, in the order given.

    `needs` are the sums; None where a model is closed or its runtime does not load it. `speed` is
    None: each member has its own, with nothing else at work.
    """

    members: tuple[Judged, ...]


def judge_together(
    questions: Sequence[Question], names: Sequence[str], machine: Machine
) -> SideBySide:
    """Whether the machine holds all of them at once. `names` call the members in reasons.

    The memory basis and the reserve are those of the first question.
    """
    if any(question.needs is None for question in questions):
        alone = tuple(judge(question, machine) for question in questions)
        return SideBySide(
            findings=tuple(_of_members(names, alone)), needs=None, speed=None, members=alone
        )
    tried = []
    for order in _orders(questions):
        members = _placed(questions, order, machine)
        answer = _summed_up(_Together(questions, names, members, machine))
        if not answer.failed:
            return answer
        tried.append(answer)
    return tried[0]


def _orders(questions: Sequence[Question]) -> Iterator[Sequence[int]]:
    """As given; then the largest first, where that is another order."""

    def size(index: int) -> int:
        needs = questions[index].needs
        return needs.memory.high_bytes if needs is not None and needs.memory is not None else 0

    given = list(range(len(questions)))
    yield given
    largest_first = sorted(given, key=size, reverse=True)
    if largest_first != given:
        yield largest_first


# ------------------------------------------------------------------ where each one lies


def _placed(
    questions: Sequence[Question], order: Sequence[int], machine: Machine
) -> tuple[Judged, ...]:
    """Each model judged on what those before it leave."""
    placed: dict[int, Judged] = {}
    left = machine
    for index in order:
        judged = judge(questions[index], left)
        judged = _on_whole_devices(judged, questions[index], machine)
        placed[index] = judged
        left = _left_by(judged.needs, left)
    return tuple(placed[index] for index in range(len(questions)))


def _left_by(needs: Needs | None, machine: Machine) -> Machine:
    """The machine without what a model holds: of the RAM the least that it takes, of what is free
    now and of accelerators the most.
    """
    if needs is None or needs.memory is None:
        return machine
    low, high = check.host_low(needs) or 0, check.host_high(needs) or 0
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


# ------------------------------------------------------------------ the sums


class _Together:
    """The members as placed, and what they share."""

    def __init__(
        self,
        questions: Sequence[Question],
        names: Sequence[str],
        members: Sequence[Judged],
        machine: Machine,
    ) -> None:
        self.questions, self.names, self.members = questions, names, members
        self.machine = machine
        # `judge` says what is still to come of a download; what it was placed with says all
        self.needs = [
            whole.replace(memory=judged.needs.memory, placement=judged.needs.placement)
            for question, judged in zip(questions, members, strict=True)
            if (whole := question.needs) is not None and judged.needs is not None
        ]

    @cached_property
    def of_new_files(self) -> list[int]:
        """The members whose weights are not the file of an earlier one."""
        seen: set[Hashable] = set()
        kept = []
        for index, question in enumerate(self.questions):
            key = _file_of(question)
            if key not in seen:
                kept.append(index)
            seen.add(key)
        return kept

    @cached_property
    def counted(self) -> list[Needs]:
        """The needs of each without the pages of RAM that another member's process maps too: of
        the same file they count where most of it is mapped.
        """
        most: dict[Hashable, int] = {}
        for index, question in enumerate(self.questions):
            if _maps(question):
                key = _file_of(question)
                if key not in most or self._pages(index) > self._pages(most[key]):
                    most[key] = index
        return [
            _without_pages(needs)
            if _maps(question) and most[_file_of(question)] != index
            else needs
            for index, (question, needs) in enumerate(zip(self.questions, self.needs, strict=True))
        ]

    def _pages(self, index: int) -> int:
        memory = self.needs[index].memory
        return 0 if memory is None else sum(_mapped_bytes(memory))


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


def _mapped_bytes(memory: MemoryNeed) -> tuple[int, int]:
    """Of the model's own file, bytes that stay in RAM and bytes that may leave it."""
    return sum(term.high_bytes for term in memory.terms if _is_page(term)), memory.evictable_bytes


def _without_pages(needs: Needs) -> Needs:
    if needs.memory is None:
        return needs
    terms = tuple(term for term in needs.memory.terms if not _is_page(term))
    return needs.replace(memory=MemoryNeed(terms=terms))


def _summed_up(together: _Together) -> SideBySide:
    total = _sum_of(together.names, together.counted)
    of_sums = {
        "disk": _disk(together),
        "memory": _memory(together, total),
        "accelerator": _accelerator(together),
    }
    others = {finding.check: finding for finding in _of_members(together.names, together.members)}
    # what the files take counts once each
    stored = [together.needs[index] for index in together.of_new_files]
    total = total.replace(
        download_bytes=_added(needs.download_bytes for needs in stored),
        disk_bytes=_added(needs.disk_bytes for needs in stored),
    )
    findings = others | of_sums
    return SideBySide(
        findings=tuple(findings[name] for name in CHECKS if name in findings),
        needs=total,
        speed=None,
        members=tuple(together.members),
    )


def _sum_of(names: Sequence[str], needs: Sequence[Needs]) -> Needs:
    """All memory terms together, each once as often as it is held. What is not known of one is not
    known of the sum.
    """
    memories = [each.memory for each in needs]
    read_memories = [memory for memory in memories if memory is not None]
    terms = tuple(term for memory in read_memories for term in memory.terms)
    memory = None
    if len(read_memories) == len(memories):
        evictable_bytes = sum(memory.evictable_bytes for memory in read_memories)
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
            for name, each in zip(names, needs, strict=True)
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


def _memory(together: _Together, total: Needs) -> Finding:
    stored = held = 0
    is_sure = True
    for index in together.of_new_files:
        question = together.questions[index]
        to_come, kept, surely = files_in_memory(question, together.needs[index], together.machine)
        stored, held, is_sure = stored + to_come, held + kept, is_sure and surely
    finding = check.memory_check(
        total,
        together.machine,
        together.questions[0].workload,
        stored,
        held,
        surely=is_sure,
    )
    parts = [
        f"{name} up to {binary(high)}"
        for name, needs in zip(together.names, together.counted, strict=True)
        if (high := check.host_high(needs)) is not None
    ]
    shares = f" Of this: {', '.join(parts)}." if parts and total.memory is not None else ""
    if together.counted != together.needs:
        shares += " Weights that several map from one file count once."
    return finding.replace(reason=finding.reason + shares)


# ------------------------------------------------------------------ disk


def _disk(together: _Together) -> Finding:
    """The worst of the volumes on which files land; those for one volume are added."""
    by_volume: dict[object, list[int]] = {}
    for index in together.of_new_files:
        by_volume.setdefault(_volume(together, index), []).append(index)
    return _worst([_on_one_volume(together, members) for members in by_volume.values()])


def _store(question: Question) -> str:
    return question.runtime.store if question.runtime else "huggingface"


def _volume(together: _Together, index: int) -> object:
    """What tells the volume of a member's store from others. A record does not name volumes: two
    folders with the same sizes and file system are taken for one volume.
    """
    purpose = _store(together.questions[index])
    place = together.machine.disk_for(purpose)
    if place is None:
        return purpose
    if place.total_bytes is None or place.free_bytes is None:
        return place.path
    return place.total_bytes, place.free_bytes, place.filesystem, place.backing, place.quota


def _on_one_volume(together: _Together, members: Sequence[int]) -> Finding:
    first = together.questions[members[0]]
    if len(members) == 1:
        return check.disk_check(
            together.needs[members[0]],
            together.machine,
            _store(first),
            missing_bytes=first.missing_bytes,
            here=first.here,
        )
    needs = [together.needs[index] for index in members]
    sizes = [
        check.bytes_to_store(each, together.questions[index].missing_bytes)
        for index, each in zip(members, needs, strict=True)
    ]
    sizes_of_files = [each.largest_file_bytes for each in needs]
    largest = [size for size in sizes_of_files if size is not None]
    size = _added(sizes)
    total = _sum_of([together.names[index] for index in members], needs).replace(
        download_bytes=size, disk_bytes=size, largest_file_bytes=max(largest, default=None)
    )
    return check.disk_check(total, together.machine, _store(first))


# ------------------------------------------------------------------ accelerators


def _accelerator(together: _Together) -> Finding:
    """The worst for each kind of runtime in use: all that lies on the devices that it uses is held
    against its own rule. Models in RAM count together.
    """
    basis = together.questions[0].workload.memory_basis
    machine = without_others(together.machine, basis)
    groups: dict[Hashable, list[int]] = {}
    for index, question in enumerate(together.questions):
        runtime = question.runtime
        key = (
            None if runtime is None else runtime.id,
            question.workload.quantization if question.quantization_rule is not None else None,
            question.cache_rule,
            together.needs[index].placement == "host",
        )
        groups.setdefault(key, []).append(index)
    findings = []
    for members in groups.values():
        first = together.questions[members[0]]
        held = _on_the_same(together, members)
        finding = check.accelerator_check(
            held,
            machine,
            check.Program(
                runtime=first.runtime, rule=first.quantization_rule, cache_rule=first.cache_rule
            ),
            now_only=basis == "available",
        )
        findings.append(_with_shares(finding, first.runtime, together, members))
    return _worst(findings)


def _with_shares(
    finding: Finding, runtime: RuntimeSpec | None, together: _Together, members: Sequence[int]
) -> Finding:
    """The finding, with how to start a program that would take most of a device for itself, where
    it has company there.
    """
    if runtime is None or not runtime.share_option or finding.outcome is not Outcome.PASS:
        return finding
    own = {place for index in members for place in _by_place(_terms(together.needs[index]))}
    held = [own & _by_place(_terms(needs)).keys() for needs in together.needs]
    if sum(map(len, held)) == len(own):
        return finding
    return finding.replace(
        remedy=f"start each with its part of the accelerator: {runtime.name} takes most of it,"
        f" unless {runtime.share_option} says less"
    )


def _on_the_same(together: _Together, members: Sequence[int]) -> Needs:
    """What all models hold on the devices of some of them, or in RAM where those use none."""
    own = [together.needs[index] for index in members]
    if own[0].placement == "host":
        in_ram = [
            (name, each)
            for name, each in zip(together.names, together.counted, strict=True)
            if each.placement == "host"
        ]
        return _sum_of([name for name, _ in in_ram], [each for _, each in in_ram])
    places = {term.where for each in own for term in _terms(each) if term.where != "host"}
    total = _sum_of(together.names, together.needs)
    terms = tuple(
        term
        for each in together.needs
        for term in _terms(each)
        if term.where in places or (term.where == "host" and each in own)
    )
    return total.replace(placement=_placement(own), memory=MemoryNeed(terms=terms))


def _terms(needs: Needs) -> tuple[Term, ...]:
    return needs.memory.terms if needs.memory is not None else ()


# ------------------------------------------------------------------ the worst of several


def _of_members(names: Sequence[str], members: Sequence[Judged]) -> Iterator[Finding]:
    """Of each check but the sums the worst finding, with the name of its model."""
    for name in CHECKS:
        if name in _OF_SUMS:
            continue
        own = [
            finding.replace(reason=f"{model}: {finding.reason}")
            for model, judged in zip(names, members, strict=True)
            for finding in judged.findings
            if finding.check == name
        ]
        if own:
            yield _worst(own)


def _worst(findings: Sequence[Finding]) -> Finding:
    """The first of the worst: of equal outcomes one that decides, then the fullest."""
    worst = max((finding.severity, finding.leaves_open) for finding in findings)
    equal = [each for each in findings if (each.severity, each.leaves_open) == worst]
    return equal[0] if len(equal) == 1 else max(equal, key=_fill)


def _fill(finding: Finding) -> float:
    """What is needed as a share of what is there, 0 where that is no number."""
    needs, has = finding.needs, finding.has
    if needs is None or has is None or isinstance(needs, str) or isinstance(has, str):
        return 0.0
    return needs / has if has else float("inf")
