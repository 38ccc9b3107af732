"""Needs held against a machine: every finding of one question, and the layout that is judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..catalogue.spec import RuntimeSpec
from ..core.records import Record
from ..machine.record import Accelerator, Machine
from ..needs.quantization import cache_type_bytes
from ..needs.records import Needs
from .checks import Finding, Outcome, phrase
from .checks.accelerator import Program, accelerator_check
from .checks.disk import disk_check, held_in_memory, lies_in_memory, stored_in_memory
from .checks.memory import memory_check
from .checks.model import context_check, license_check, openness_check, weights_check
from .checks.runtime import cpu_check, runtime_check
from .pace.pacing import faster_there, pace_and_finding
from .pace.speed import Speed
from .placement.devices import emptied, index_of, reaches, runs_on, uses_gpus
from .record import Judged, Placement, Question, any_fails, lacking_bytes

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..catalogue.runtime import CacheRule
    from .checks.accelerator import Training
    from .placement import Spreading


def judge(question: Question, machine: Machine) -> Judged:
    """Every finding for that question on that machine.

    A closed model gets only `weights` and the findings that were asked for, one that the runtime
    does not load `runtime` too. The layout judged is that of `best_layout`.
    """
    needs = question.needs
    if needs is None:
        findings = [*_model_findings(question), *_runtime_findings(question, machine)]
        return Judged(question=question, findings=tuple(findings))
    layout, pace, speed = best_layout(question, needs, machine)
    findings = [
        *_model_findings(question),
        disk_check(
            needs,
            machine,
            question.store,
            missing_bytes=question.missing_bytes,
            here=question.here,
        ),
        layout.memory,
        layout.accelerator,
        cpu_check(
            needs.cpu,
            machine,
            question.runtime,
            on_gpu=bool(machine.accelerators) and layout.needs.placement == "accelerator",
        ),
        *_runtime_findings(question, machine),
    ]
    if speed is not None:
        findings.append(speed)
    placed = to_come(question, layout.needs)
    return Judged(question=question, findings=tuple(findings), needs=placed, speed=pace)


def to_come(question: Question, needs: Needs) -> Needs:
    """The needs as they are told: with what still has to be downloaded, where some of the files are
    here, and without what they were counted from.
    """
    needs, missing = needs.replace(inputs=None), question.missing_bytes
    if missing is None:
        return needs
    return needs.replace(download_bytes=missing, download_range=None)


def _model_findings(question: Question) -> list[Finding]:
    """What is found of the model itself, on any machine."""
    spec, workload = question.spec, question.workload
    findings = [
        weights_check(
            spec,
            format=workload.format,
            quantization=workload.quantization,
            local_files=question.local_files,
            here=question.here,
            kept_by=question.kept_by,
        ),
        license_check(spec, workload),
        openness_check(spec, workload),
    ]
    if question.needs is not None:
        findings.append(
            context_check(
                spec, workload, context_asked=question.context_asked, row=question.rewriting
            )
        )
    return [finding for finding in findings if finding is not None]


def _runtime_findings(question: Question, machine: Machine) -> list[Finding]:
    """What is found of the program; nothing for a model that no program was asked to load."""
    spec, loads = question.spec, question.loads
    if question.needs is None:
        if loads is None:
            return []
        return [runtime_check(machine, question.runtime, loads=loads, remedy=question.mend)]
    architecture = None
    if spec.architecture is not None and not spec.safety.remote_code:
        # code that comes with the model needs no release that knows it
        architecture = spec.architecture.row
    return [
        runtime_check(
            machine,
            question.runtime,
            loads=loads,
            unfamiliar=question.unfamiliar,
            architecture=architecture,
            is_required=question.requires_runtime,
        )
    ]


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
    remaining = layouts(question, needs, machine)
    for layout in remaining:
        seen.append(layout)
        if layout.fails:
            continue
        paced = layout, *pace_and_finding(question, layout.needs, machine)
        if paced[2] is None or not paced[2].decides:
            return _with_idle(question, machine, paced, remaining)
        if kept is None or _goes_before(paced, kept):
            kept = paced
    if kept is None:
        layout = _least_bad(question, seen)
        return layout, *pace_and_finding(question, layout.needs, machine)
    if any_fails([kept[2]]):
        return kept
    return _with_idle(question, machine, kept, seen)


def layout_however_fast(question: Question, needs: Needs, machine: Machine) -> Layout:
    """The first layout without a `fail` of memory or accelerator, else the one that lacks least."""
    seen = []
    for layout in layouts(question, needs, machine):
        if not layout.fails:
            return layout
        seen.append(layout)
    return _least_bad(question, seen)


def _least_bad(question: Question, seen: Sequence[Layout]) -> Layout:
    """Of layouts that all fail the one that lacks least memory; where that is not known, the
    host's, else the first, and the last of a runtime that works on accelerators alone.
    """
    hosts = [layout for layout in seen if layout.needs.placement == "host"]
    best = (hosts or [seen[0]])[-1]
    if _is_gpu_only(question):
        best = seen[-1]
    least = lacking_bytes(best.held)
    if least is None:
        # no memory would mend it
        return best
    for layout in seen:
        lacking = lacking_bytes(layout.held)
        if lacking is not None and lacking < least:
            best, least = layout, lacking
    return best


def _goes_before(later: Paced, kept: Paced) -> bool:
    """Whether the `later` one is judged, where neither is surely fast enough: one that may be, or
    more accelerators.
    """
    if any_fails([later[2]]) != any_fails([kept[2]]):
        return any_fails([kept[2]])
    is_now = later[0].accelerator.code not in ("accelerator-not-now", "memory-not-now")
    return is_now and later[0].needs.placement == kept[0].needs.placement == "accelerator"


def considered(
    question: Question, judged_needs: Needs | None, machine: Machine
) -> tuple[Placement, ...]:
    """Every way to lay it out, the judged one marked; () where there is no choice."""
    if question.needs is None or judged_needs is None:
        return ()
    placements = []
    for layout in layouts(question, question.needs, machine):
        placed = layout.needs
        pace, speed = pace_and_finding(question, placed, machine)
        deciding = [finding for finding in (*layout.held, speed) if finding and finding.decides]
        fits = None if deciding else True
        terms = placed.memory.terms if placed.memory else ()
        places = dict.fromkeys(term.where for term in terms if term.where != "host")
        high_bytes = sum(term.high_bytes for term in terms)
        host_high_bytes = sum(term.high_bytes for term in terms if term.where == "host")
        placements.append(
            Placement(
                placement=placed.placement,
                accelerators=tuple(index_of(where) for where in places),
                accelerator_high_bytes=high_bytes - host_high_bytes,
                host_high_bytes=host_high_bytes,
                decode=pace.decode if pace else None,
                fits=False if any_fails(deciding) else fits,
                judged=(placed.placement, placed.memory)
                == (judged_needs.placement, judged_needs.memory),
            )
        )
    return tuple(placements) if len(placements) > 1 else ()


# ---------------------------------------------------------------- what another layout would give


def _with_idle(
    question: Question, machine: Machine, paced: Paced, others: Iterable[Layout]
) -> Paced:
    """It, with what an accelerator that others hold now would give, where that is faster. That
    decides nothing.
    """
    chosen = paced[0]
    if chosen.needs.placement == "accelerator" or not machine.accelerators:
        return paced
    for layout in others:
        is_not_now = layout.accelerator.code == "accelerator-not-now"
        if is_not_now and layout.needs.placement == "accelerator" and not layout.fails:
            decode, is_faster = faster_there(question, layout.needs, chosen.needs, machine)
            if is_faster:
                pace = (decode.low, decode.high) if decode else None
                accelerator = _once_idle(chosen.accelerator, layout.accelerator, pace)
                return chosen.replace(accelerator=accelerator), *paced[1:]
    return paced


def _once_idle(chosen: Finding, idle: Finding, pace: tuple[float, float] | None) -> Finding:
    """The accelerator's finding of what is judged, with that of the same accelerator once others
    have left it, and its pace there.
    """
    runs_in_ram = chosen.outcome is Outcome.PASS
    reason = idle.reason + phrase("once-idle", pace=pace, in_ram=runs_in_ram)
    if runs_in_ram:
        return idle.replace(reason=reason)
    return chosen.replace(reason=f"{chosen.reason} {reason}", remedy=idle.remedy)


# ---------------------------------------------------------------- every layout


def layouts(question: Question, needs: Needs, machine: Machine) -> Iterator[Layout]:
    """Each layout with the findings of memory and accelerator. Planning is for accelerators that
    nothing else holds.
    """
    basis = question.workload.memory_basis
    machine = _without_unsuited(without_others(machine, basis), question.runtime)
    stored, kept, surely = files_in_memory(question, needs, machine)
    training = None
    if question.workload.task == "finetune":
        training = _training(question)
    program = Program(
        runtime=question.runtime,
        rule=question.quantization_rule,
        cache_rule=question.cache_rule,
        smaller_caches=_smaller_caches(question, machine) if machine.accelerators else {},
        has_other=question.has_other_runtime,
    )
    for placed in _placed(question, needs, machine, training):
        yield Layout(
            needs=placed,
            memory=memory_check(placed, machine, question.workload, stored, kept, surely=surely),
            accelerator=accelerator_check(
                placed, machine, program, training, now_only=basis == "available"
            ),
        )


def _placed(
    question: Question, needs: Needs, machine: Machine, training: Training | None
) -> Iterator[Needs]:
    """The needs with their terms placed in each way there is."""
    if machine.accelerators == ():
        return iter((needs,))
    from .placement import placements

    return placements(needs, machine, _spreading(question, training))


def _spreading(question: Question, training: Training | None) -> Spreading:
    """How its program lays it out."""
    from .placement import Spreading

    spec, runtime, task = question.spec, question.runtime, question.workload.task
    layers = spec.architecture.layers if spec.architecture else None
    shares_layers = runtime is not None and runtime.splits_layers and task != "finetune"
    spreads_layers = (
        runtime is not None
        and runtime.spreads_layers
        and task == "generate"
        and spec.modality in ("text", "vision")
    )
    return Spreading(
        shared_layers=layers if shares_layers else None,
        spread_layers=layers if spreads_layers else None,
        gpu_only=_is_gpu_only(question),
        cpu_only=runtime is not None and runtime.cpu_only,
        suits=None if runtime is None else lambda device: _suits(question, runtime, device),
        gathered=training.gathered if training is not None else None,
        may_be_tight=task == "finetune",
        may_be_close=training is not None and training.when_close is not None,
    )


def _is_gpu_only(question: Question) -> bool:
    runtime = question.runtime
    return runtime is not None and runtime.wants_gpu(question.workload.quantization)


def _suits(question: Question, runtime: RuntimeSpec, device: Accelerator) -> bool:
    """Whether the runtime is not known to run its quantization on no such accelerator."""
    least = runtime.capability_for(question.workload.quantization, question.cache_rule)
    is_recent = least is None or reaches(device, least) is not False
    return is_recent and runs_on(runtime, device)


def _without_unsuited(machine: Machine, runtime: RuntimeSpec | None) -> Machine:
    """The machine with no room on accelerators that the program has no build for, where it can do
    without one.
    """
    owned = machine.accelerators
    if not owned or runtime is None or runtime.gpu_only:
        return machine
    is_used = uses_gpus(runtime, machine)
    suited = tuple(
        device
        if device.unified is not False or (is_used and runs_on(runtime, device))
        else device.replace(memory_total_bytes=0, memory_free_bytes=0)
        for device in owned
    )
    return machine if suited == owned else machine.replace(accelerators=suited)


def without_others(machine: Machine, basis: str) -> Machine:
    """The machine on that memory basis: where it is planned for, nothing else holds its
    accelerators.
    """
    if machine.accelerators and (basis == "total" or (basis == "default" and machine.planning)):
        return machine.replace(accelerators=emptied(machine.accelerators))
    return machine


def files_in_memory(question: Question, needs: Needs, machine: Machine) -> tuple[int, int, bool]:
    """Bytes of files that would lie in RAM once they are downloaded, bytes of those that do or may
    already, and whether that is sure.
    """
    purpose = question.store
    stored = stored_in_memory(needs, machine, purpose, missing_bytes=question.missing_bytes)
    held = held_in_memory(question.here, machine, purpose)
    in_memory = [question.in_memory]
    if stored:
        in_memory.append(lies_in_memory(machine, purpose))
    if question.here is not None and held:
        in_memory.append(lies_in_memory(machine, question.here.store or purpose))
    if question.in_memory is not False:
        held += max(0, (needs.download_bytes or 0) - question.beside_bytes)
    return stored, held, None not in in_memory


def _smaller_caches(question: Question, machine: Machine) -> Mapping[str, float]:
    """Types of cache that the program has on these GPUs and that are smaller than what is asked,
    the best first, with their share of its size.
    """
    usual_bytes = cache_type_bytes(question.workload.kv_cache_type or "f16")
    names = question.runtime.kv_cache_types if question.runtime is not None else ()
    return {
        name: cache_type_bytes(name) / usual_bytes
        for name in names
        if cache_type_bytes(name) < usual_bytes
        and _is_kept_by_all(question.cache_rule_of(name), machine)
    }


def _is_kept_by_all(rule: CacheRule | None, machine: Machine) -> bool:
    """Whether each accelerator is known to keep such a cache."""
    return rule is None or all(
        device.vendor in rule.vendors
        and (rule.compute_capability is None or reaches(device, rule.compute_capability) is True)
        for device in machine.accelerators or ()
    )


# ---------------------------------------------------------------- training


def _training(question: Question) -> Training:
    """What else is known of a training, wherever it lies."""
    from ..needs.training import gathered, what_to_lower, which_holds_less, why_not_shared_out
    from .checks.accelerator import Training

    return Training(
        alone=why_not_shared_out(question.workload),
        when_tight=what_to_lower(question.workload),
        when_close=which_holds_less(question.spec, question.workload),
        gathered=gathered(question.spec, question.workload),
    )
