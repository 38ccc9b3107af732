"""Needs held against a machine: every finding of one question, and the layout that is judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core.records import Record
from ..machine.record import Machine
from ..needs.records import Needs
from .checks import Finding, Outcome
from .checks.accelerator import accelerator_check
from .checks.disk import disk_check, stored_in_memory
from .checks.memory import memory_check
from .checks.model import context_check, license_check, openness_check, weights_check
from .checks.runtime import cpu_check, runtime_check
from .pace.pacing import pace_and_finding
from .pace.speed import Speed
from .placement import placements
from .placement.devices import emptied, runs_on, uses_gpus
from .record import Judged, Question, any_fails, lacking_bytes


def judge(question: Question, machine: Machine) -> Judged:
    """Every finding for that question on that machine.

    A closed model gets only `weights` and the findings that were asked for, one that the runtime
    does not load `runtime` too. The layout judged is that of `best_layout`.
    """
    spec, workload, needs = question.spec, question.workload, question.needs
    findings = [
        weights_check(question),
        license_check(spec, workload),
        openness_check(spec, workload),
    ]
    if needs is None:
        if question.loads is not None:
            findings.append(runtime_check(question, machine))
        return Judged(question=question, findings=tuple(filter(None, findings)))
    layout, pace, speed = best_layout(question, needs, machine)
    on_gpu = bool(machine.accelerators) and layout.needs.placement == "accelerator"
    findings += [
        context_check(question),
        disk_check(needs, machine, question),
        layout.memory,
        layout.accelerator,
        cpu_check(needs.cpu, machine, question.runtime, on_gpu=on_gpu),
        runtime_check(question, machine),
        speed,
    ]
    placed = needs_left(question, layout.needs)
    kept = tuple(filter(None, findings))
    return Judged(question=question, findings=kept, needs=placed, speed=pace)


def needs_left(question: Question, needs: Needs) -> Needs:
    """The needs as they are told: with what still has to be downloaded, where some of the files are
    here, and without what they were counted from.
    """
    needs, missing = needs.replace(case=None), question.missing_bytes
    if missing is None:
        return needs
    return needs.replace(download_bytes=missing, download_range=None)


# ---------------------------------------------------------------- the layout that is judged


class Layout(Record):
    """The needs with their terms placed, and what is found of memory and accelerators there."""

    needs: Needs
    memory: Finding
    accelerator: Finding

    @property
    def held(self) -> tuple[Finding, Finding]:
        return self.memory, self.accelerator

    @property
    def fails(self) -> bool:
        return any_fails(self.held)

    @property
    def is_tight(self) -> bool:
        """The likely need fits on the accelerator, and the most that it may take does not."""
        return self.accelerator.code == "accelerator-tight"

    @property
    def surely_fits(self) -> bool:
        return all(finding.outcome in (Outcome.PASS, Outcome.WARN) for finding in self.held)


# a layout, its pace, and the finding of the pace
Paced = tuple[Layout, Speed | None, Finding | None]


def best_layout(question: Question, needs: Needs, machine: Machine) -> Paced:
    """The first of accelerator, split, host without a `fail` of memory, accelerator or speed, then
    an accelerator that others hold now, then one that is unread; where all fail, the first that
    has the memory, else the one that lacks least of it.
    """
    kept: Paced | None = None
    seen: list[Layout] = []
    for layout in layouts(question, needs, machine):
        seen.append(layout)
        if layout.fails:
            continue
        paced = layout, *pace_and_finding(question, layout.needs, machine)
        if paced[2] is None or not paced[2].decides:
            return paced
        if kept is None or _goes_before(paced, kept):
            kept = paced
    if kept is not None:
        return kept
    layout = _least_bad(question, seen)
    return layout, *pace_and_finding(question, layout.needs, machine)


def layout_however_fast(question: Question, needs: Needs, machine: Machine) -> Layout:
    """The first layout without a `fail` of memory or accelerator, else the one that lacks least."""
    seen = []
    for layout in layouts(question, needs, machine):
        if not layout.fails:
            return layout
        seen.append(layout)
    return _least_bad(question, seen)


def _least_bad(question: Question, seen: Sequence[Layout]) -> Layout:
    """Of layouts that all fail the one that lacks least memory, else that in RAM."""
    hosts = [layout for layout in seen if layout.needs.placement == "host"]
    best = seen[-1] if question.wants_gpu else (hosts or seen[:1])[-1]
    if lacking_bytes(best.held) is None:
        # no memory would mend it
        return best
    lacking = [(lacking_bytes(layout.held), layout) for layout in (best, *seen)]
    return min(lacking, key=lambda pair: float("inf") if pair[0] is None else pair[0])[1]


def _goes_before(later: Paced, kept: Paced) -> bool:
    """Whether the `later` one is judged, where neither is surely fast enough."""
    if any_fails([later[2]]) != any_fails([kept[2]]):
        return any_fails([kept[2]])
    is_now = later[0].accelerator.code not in ("accelerator-not-now", "memory-not-now")
    return is_now and later[0].needs.placement == kept[0].needs.placement == "accelerator"


# ---------------------------------------------------------------- every layout


def layouts(question: Question, needs: Needs, machine: Machine) -> Iterator[Layout]:
    """Each layout with the findings of memory and accelerator."""
    workload = question.workload
    machine = _as_usable(machine, question)
    stored = stored_in_memory(needs, machine, question)
    ways = iter((needs,))
    if machine.accelerators != ():
        ways = placements(needs, machine, question)
    for placed in ways:
        yield Layout(
            needs=placed,
            memory=memory_check(placed, machine, workload, stored),
            accelerator=accelerator_check(placed, machine, question),
        )


def _as_usable(machine: Machine, question: Question) -> Machine:
    """Where the machine is planned for, nothing else holds its accelerators; those that the program
    has no build for have no room, where it can do without one.
    """
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
