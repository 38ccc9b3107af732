"""Needs held against a machine: every finding of one question, and the layout that is judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..machine.record import Machine
from ..needs.records import Needs
from .checks import CHECKS
from .checks.accelerator import accelerator_check
from .checks.disk import disk_check, stored_in_memory
from .checks.memory import memory_check
from .checks.model import context_check, license_check, openness_check, weights_check
from .checks.runtime import cpu_check, runtime_check
from .pace.pacing import pace_and_finding
from .placement import placements
from .placement.devices import emptied, runs_on, uses_gpus
from .record import Judged, Question, lacking_bytes


def judge(question: Question, machine: Machine) -> Judged:
    """Every finding for that question on that machine.

    A closed model gets only `weights` and the findings that were asked for, one that the runtime
    does not load `runtime` too. The layout judged is that of `best_layout`.
    """
    spec, workload, needs = question.spec, question.workload, question.needs
    findings = [weights_check(question), license_check(spec, workload)]
    findings.append(openness_check(spec, workload))
    if needs is None:
        if question.loads is not None:
            findings.append(runtime_check(question, machine))
        return Judged(question=question, findings=tuple(filter(None, findings)))
    layout = best_layout(question, needs, machine)
    on_gpu = bool(machine.accelerators) and layout.placement == "accelerator"
    findings += [
        context_check(question),
        disk_check(needs, machine, question),
        *layout.findings,
        cpu_check(needs.cpu, machine, question.runtime, on_gpu=on_gpu),
        runtime_check(question, machine),
    ]
    kept = sorted(filter(None, findings), key=lambda finding: CHECKS.index(finding.check))
    placed = needs_left(question, layout.needs or needs)
    return layout.replace(findings=tuple(kept), needs=placed)


def needs_left(question: Question, needs: Needs) -> Needs:
    """With what still has to be downloaded, and without what the needs were counted from."""
    needs, missing = needs.replace(case=None), question.missing_bytes
    if missing is None:
        return needs
    return needs.replace(download_bytes=missing, download_range=None)


def best_layout(question: Question, needs: Needs, machine: Machine) -> Judged:
    """The first of accelerator, split, host without a `fail` of memory, accelerator or speed, then
    an accelerator that others hold now, then one that is unread; where all fail, the first that
    has the memory, else the one that lacks least of it. With its pace.
    """
    kept: Judged | None = None
    seen: list[Judged] = []
    for layout in layouts(question, needs, machine):
        seen.append(layout)
        if layout.failed:
            continue
        paced = _with_pace(layout, machine)
        speed = paced.finding("speed")
        if speed is None or not speed.decides:
            return paced
        if kept is None or _goes_before(paced, kept):
            kept = paced
    return kept or _with_pace(_least_bad(question, seen), machine)


def layout_however_fast(question: Question, needs: Needs, machine: Machine) -> Judged:
    """The first layout without a `fail` of memory or accelerator, else the one that lacks least."""
    seen = []
    for layout in layouts(question, needs, machine):
        if not layout.failed:
            return layout
        seen.append(layout)
    return _least_bad(question, seen)


def _with_pace(layout: Judged, machine: Machine) -> Judged:
    assert layout.needs is not None
    pace, speed = pace_and_finding(layout.question, layout.needs, machine)
    return layout.replace(speed=pace, findings=(*layout.findings, *filter(None, [speed])))


def _least_bad(question: Question, seen: Sequence[Judged]) -> Judged:
    """Of layouts that all fail the one that lacks least memory, else that in RAM."""
    hosts = [layout for layout in seen if layout.placement == "host"]
    best = seen[-1] if question.wants_gpu else (hosts or seen[:1])[-1]
    if lacking_bytes(best.findings) is None:
        # no memory would mend it
        return best
    lacking = [(lacking_bytes(layout.findings), layout) for layout in (best, *seen)]
    return min(lacking, key=lambda pair: float("inf") if pair[0] is None else pair[0])[1]


def _goes_before(later: Judged, kept: Judged) -> bool:
    """Whether the `later` one is judged, where neither is surely fast enough."""
    if bool(later.failed) != bool(kept.failed):
        return bool(kept.failed)
    is_now = not later.has("accelerator-not-now")
    return is_now and later.placement == kept.placement == "accelerator"


def layouts(question: Question, needs: Needs, machine: Machine) -> Iterator[Judged]:
    """Each layout with the findings of memory and accelerator alone."""
    workload = question.workload
    machine = _as_usable(machine, question)
    stored = stored_in_memory(needs, machine, question)
    ways = iter((needs,))
    if machine.accelerators != ():
        ways = placements(needs, machine, question)
    for placed in ways:
        memory = memory_check(placed, machine, workload, stored)
        accelerator = accelerator_check(placed, machine, question)
        yield Judged(question=question, findings=(memory, accelerator), needs=placed)


def _as_usable(machine: Machine, question: Question) -> Machine:
    """With the accelerators idle where it is planned for, and no room on those without a build."""
    owned, runtime, basis = machine.accelerators, question.runtime, question.workload.memory_basis
    if not owned:
        return machine
    if basis == "total" or (basis == "default" and machine.planning):
        owned = emptied(owned)
    if runtime is not None and not runtime.gpu_only:
        is_used = uses_gpus(runtime, machine)
        owned = tuple(
            device
            if device.unified is not False or (is_used and runs_on(runtime, device))
            else device.replace(memory_total_bytes=0, memory_free_bytes=0)
            for device in owned
        )
    return machine.replace(accelerators=owned)
