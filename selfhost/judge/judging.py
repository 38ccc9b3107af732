"""Needs held against a machine: every finding of one question, and the layout that is judged; and
several models side by side, each a process of its own, whose needs add up.

Of several each takes, in the order given, what the earlier ones leave of the machine. Where that
order does not fit, the largest model goes first. Then the sums of memory and disk are held against
the whole machine. Files that several processes map count once on disk and once in the page cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import ceil, inf

from ..core.units import binary, count_while
from ..machine.record import Accelerator, Machine
from ..needs.records import How, Needs, Term, term
from .batches import with_automatic_batch
from .checks import CHECKS, Finding
from .checks.accelerator import accelerator_check
from .checks.model import context_check, terms_checks, weights_check
from .checks.runtime import (
    cpu_check,
    no_pace_finding,
    runtime_check,
    speed_check,
    why_no_pace,
    work_check,
)
from .checks.space import bytes_to_store, disk_check, memory_check, stored_in_memory
from .devices import emptied, percent_of, runs_on
from .pace.text import pace_of_text
from .question import asked_under
from .record import Judged, Question, Speed


def judge(question: Question, machine: Machine) -> Judged:
    """Every finding for that question on that machine: of a closed model `weights` and what was
    asked, of one that the runtime does not load `runtime` too.
    """
    needs = question.needs
    findings = [weights_check(question), *terms_checks(question.spec, question.workload)]
    if needs is None:
        if question.why_not_loaded is not None:
            findings.append(runtime_check(question, machine))
        return Judged(question=question, findings=tuple(findings))
    layout = best_layout(question, machine)
    if layout.failed and _takes_turns(question):
        layout = _served_in_turn(question, machine) or layout
    on_gpu = bool(machine.accelerators) and layout.placement == "accelerator"
    processor = cpu_check(needs.cpu, machine, question.runtime, on_gpu=on_gpu)
    program = runtime_check(question, machine)
    why_not = why_no_pace((*layout.findings, processor, program))
    if why_not is not None:
        layout = _without_pace(layout, why_not)
    findings += [
        *filter(None, [context_check(question)]),
        disk_check(needs, machine, question),
        *layout.findings,
        processor,
        program,
    ]
    kept = sorted(findings, key=lambda finding: CHECKS.index(finding.check))
    left = (layout.needs or needs).replace(missing_bytes=question.missing_bytes)
    return layout.replace(findings=tuple(kept), needs=left)


def best_layout(question: Question, machine: Machine, *, at_any_pace: bool = False) -> Judged:
    """The first that is not too little or too slow, then an accelerator that others hold now, then
    one that is unread; where all fail, the one that lacks least memory. With its pace.
    """
    seen, slow = list[Judged](), list[Judged]()
    for layout in layouts(question, machine, at_any_pace=at_any_pace):
        seen.append(layout)
        if layout.failed:
            continue
        if at_any_pace:
            return layout
        paced = _with_pace(layout, machine)
        if not getattr(paced.finding("speed"), "decides", False):
            return paced
        slow.append(paced)
    if not slow:
        # that in RAM, and where more memory would mend it the one that lacks least
        best = ([each for each in seen if each.placement == "host"] or seen)[-1]
        if best.lacking_bytes() < inf:
            best = min((best, *seen), key=Judged.lacking_bytes)
        return best if at_any_pace else _with_pace(best, machine)
    # perhaps too slow: one that does not fail, on accelerators the last that has them as they are
    first, *others = [layout for layout in slow if not layout.failed] or slow
    if first.placement != "accelerator":
        return first
    on_cards = [each for each in others if each.placement == "accelerator"]
    return [first, *(each for each in on_cards if not each.has("accelerator-not-now"))][-1]


def _with_pace(layout: Judged, machine: Machine) -> Judged:
    question, placed = layout.question, layout.needs
    assert placed is not None
    if question.step is not None:
        pace: Speed | None = pace_of_text(question, question.step, placed, machine)
        check = speed_check
    else:
        from .pace.work import pace_of_work

        pace, check = pace_of_work(question, placed, machine), work_check
    speed = None if pace is None else check(question, placed, machine, pace)
    return layout.replace(speed=pace, findings=(*layout.findings, *filter(None, [speed])))


def _takes_turns(question: Question) -> bool:
    """Whether users who find no room in memory wait for their turn, as the program lets them."""
    runtime, is_text = question.runtime, question.step is not None
    return (
        runtime is not None
        and runtime.queues_requests
        and is_text
        and question.workload.parallel > 1
    )


def _served_in_turn(question: Question, machine: Machine) -> Judged | None:
    """The layout of as many users as memory holds at once; None where it does not hold one."""

    def asked_of(users: int) -> Question:
        workload = question.workload.replace(parallel=users)
        return asked_under(question, workload, machine)

    def layout_for(users: int) -> Judged:
        return best_layout(asked_of(users), machine, at_any_pace=True)

    def most_that(has_room: Callable[[Judged], bool]) -> int:
        return count_while(
            lambda users: has_room(layout_for(users)), range(1, question.workload.parallel)
        )

    # as many as have room without an option that makes it slower, else as many as have room with it
    at_once = most_that(_fits_as_it_is) or most_that(lambda layout: layout.fits)
    if not at_once:
        return None
    layout = layout_for(at_once)
    placed = layout.needs
    assert placed is not None
    assert question.step is not None
    pace = pace_of_text(layout.question, question.step, placed, machine)
    # what is computed at once is shared by all, in turn
    pace = pace.replace(
        parallel_total=pace.parallel_total or pace.decode,
        each_of=question.workload.parallel,
        waiting=question.workload.parallel - at_once,
    )
    speed = speed_check(question, placed, machine, pace)
    findings = (*layout.findings, *filter(None, [speed]))
    return layout.replace(question=question, speed=pace, findings=findings)


def _fits_as_it_is(layout: Judged) -> bool:
    return layout.fits and layout.needs is not None and not layout.needs.is_lean


def _without_pace(layout: Judged, why_not: str) -> Judged:
    """What does not run, with the reason why no pace is told."""
    if layout.speed is None:
        return layout
    others = [finding for finding in layout.findings if finding.check != "speed"]
    told = no_pace_finding(layout.question, why_not)
    if told is not None:
        others.append(told)
    speed = Speed(unit=layout.speed.unit, how=why_not)
    return layout.replace(speed=speed, findings=tuple(others))


def layouts(question: Question, machine: Machine, *, at_any_pace: bool = False) -> Iterator[Judged]:
    """Each layout with the findings of memory and accelerator alone, the accelerators idle where it
    is planned for, and without room on those that no build uses. `at_any_pace`: without those that
    only read prompts faster than another.
    """
    owned, runtime, basis = machine.accelerators, question.runtime, question.workload.memory_basis
    if owned and (basis == "total" or (basis == "default" and machine.planning)):
        owned = emptied(owned)
    if owned and runtime is not None and not runtime.gpu_only:
        # on some systems every build leaves GPUs unused
        is_used = machine.platform not in runtime.no_gpu_systems
        owned = tuple(
            device
            if device.unified is not False or (is_used and runs_on(runtime, device))
            else device.replace(memory_total_bytes=0, memory_free_bytes=0)
            for device in owned
        )
    machine = machine.replace(accelerators=owned)
    needs = with_automatic_batch(question, machine)
    stored = stored_in_memory(needs, machine, question)
    ways: Iterable[Needs] = (needs,)
    if machine.accelerators != ():
        from .placement import placements

        ways = placements(needs, machine, question, at_any_pace=at_any_pace)
    for placed in ways:
        memory = memory_check(placed, machine, question.workload, stored)
        accelerator = accelerator_check(placed, machine, question)
        yield Judged(question=question, findings=(memory, accelerator), needs=placed)


def judge_together(questions: Sequence[Question], names: Sequence[str], machine: Machine) -> Judged:
    """Whether the machine holds all of them at once: the findings of all, with the question, the
    memory basis and the reserve of the first, and the sums of the needs as placed, in the order
    given; None where a model is closed or its runtime does not load it. `names` stand in reasons.
    """
    needs = [question.needs for question in questions if question.needs is not None]
    if len(needs) < len(questions):
        alone = tuple(judge(question, machine) for question in questions)
        findings = tuple(_worst_of_members(names, alone))
        return Judged(question=questions[0], findings=findings)
    given = tuple(range(len(questions)))
    sizes = [sum(term.high_bytes for term in each.terms) for each in needs]
    largest_first = tuple(sorted(given, key=lambda index: -sizes[index]))
    answers: list[Judged] = []
    for order in dict.fromkeys((given, largest_first)):
        placed, left = dict[int, Judged](), machine
        for index in order:
            placed[index] = judge(questions[index], left)
            left = _machine_left(placed[index], left)
        answers.append(_summed_up(names, [placed[index] for index in given], machine))
        if not answers[-1].failed:
            return answers[-1]
    return answers[0]


def _machine_left(judged: Judged, machine: Machine) -> Machine:
    """Without what a model holds: of the RAM the least, of all else the most."""
    needs = judged.needs
    if needs is None or needs.memory is None:
        return machine
    # a program that takes a share of its device: so much that the share of the rest is right
    percent = percent_of(judged.question.case) if judged.question.wants_gpu else 100
    low, high = needs.ram_bytes("low_bytes") or 0, needs.ram_bytes() or 0
    on_cards = {place.where: place.high_bytes for place in needs.memory.places}
    left: list[Accelerator] = []
    for index, device in enumerate(machine.accelerators or ()):
        size = ceil(100 * on_cards.get(f"accelerator:{index}", 0) / percent)
        size = low if device.unified else size
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


def _summed_up(names: Sequence[str], members: Sequence[Judged], machine: Machine) -> Judged:
    # the files that a model loads -> what is to be stored
    stored: dict[object, tuple[Needs, Question]] = {}
    counted: list[Needs] = []
    for judged in members:
        question = judged.question
        assert judged.needs is not None
        # with all of the download
        needs = judged.needs.replace(missing_bytes=None)
        workload, runtime = question.workload, question.runtime
        key = question.spec.id, workload.format, workload.quantization, question.store
        own = needs
        if key in stored and getattr(runtime, "maps_files", False):
            # what is mapped is there once; drafts are read anew
            terms = [
                each
                for each in needs.terms
                if each.where != "host" or not each.may_be_mapped or each.name.startswith("draft_")
            ]
            own = needs.replace(terms=tuple(terms), evictable_bytes=0)
        counted.append(own)
        stored.setdefault(key, (needs, question))
    total = _sum_of(names, counted, [each for each, _ in stored.values()])
    findings = {finding.check: finding for finding in _worst_of_members(names, members)}
    findings["disk"] = _disk_check_of_all(list(stored.values()), machine)
    files_bytes = sum(stored_in_memory(each, machine, asked) for each, asked in stored.values())
    memory = memory_check(total, machine, members[0].question.workload, files_bytes)
    sizes = [binary(each.ram_bytes() or 0) for each in counted]
    parts = ", ".join(f"{name} up to {size}" for name, size in zip(names, sizes, strict=True))
    if total.memory is not None:
        memory = memory.replace(reason=f"{memory.reason} Of this: {parts}.")
    findings["memory"] = memory
    kept = tuple(findings[name] for name in CHECKS if name in findings)
    return Judged(question=members[0].question, findings=kept, needs=total)


def _sum_of(names: Sequence[str], needs: Sequence[Needs], stored: Sequence[Needs]) -> Needs:
    places = {each.placement for each in needs}
    return Needs(
        files=_all_files(each.download_bytes for each in stored),
        checkpoint_bytes=sum(each.checkpoint_bytes or 0 for each in stored),
        cpu=needs[0].cpu,
        placement=places.pop() if len(places) == 1 else "split",
        terms=tuple(term for each in needs for term in each.terms),
        evictable_bytes=sum(each.evictable_bytes for each in needs),
        unknown=tuple(
            why.replace(reason=f"of {name}, {why.reason}")
            for name, each in zip(names, needs, strict=True)
            for why in each.unknown
        ),
    )


def _all_files(sizes: Iterable[int | None]) -> Term | None:
    """The files of several models as one; None where the size of some is not known."""
    each = [*sizes]
    size = sum(filter(None, each))
    return None if None in each else term("files", size, How.COMPUTED, "each model's", "")


def _disk_check_of_all(stored: Sequence[tuple[Needs, Question]], machine: Machine) -> Finding:
    """The worst of the volumes; two folders with the same sizes and file system are one volume."""
    by_volume: dict[object, list[tuple[Needs, Question]]] = {}
    for needs, question in stored:
        place = machine.disk_for(question.store)
        volume = place and (place.total_bytes, place.free_bytes, place.filesystem)
        by_volume.setdefault(volume or question.store, []).append((needs, question))
    findings = []
    for each in by_volume.values():
        needs, question = each[0]
        if len(each) > 1:
            files = _all_files(bytes_to_store(one, asked.missing_bytes)[0] for one, asked in each)
            largest = max(one.largest_file_bytes or 0 for one, _ in each) or None
            needs = Needs(files=files, largest_file_bytes=largest)
            question = question.replace(here=None, local_files=False, beside_bytes=0)
        findings.append(disk_check(needs, machine, question))
    return max(findings, key=lambda each: (each.severity, each.decides))


def _worst_of_members(names: Sequence[str], members: Sequence[Judged]) -> Iterator[Finding]:
    # these two are held against the sums
    for name in (name for name in CHECKS if name not in ("disk", "memory")):
        own = [
            finding.replace(reason=f"{model}: {finding.reason}")
            for model, judged in zip(names, members, strict=True)
            for finding in judged.findings
            if finding.check == name
        ]
        if own:
            yield max(own, key=lambda each: (each.severity, each.decides))
