"""Needs held against a machine: every finding, and the placement that is judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from ..catalogue.spec import RuntimeSpec
from ..core import units
from ..core.records import remembered
from ..core.units import TRAINED
from ..machine.record import Accelerator, Machine
from ..needs.quantization import cache_type_bytes
from ..needs.records import GATHERED, Needs, Term
from . import findings as check
from .devices import emptied, index_of, reaches, runs_on, uses_gpus
from .findings import Finding, Outcome
from .pacing import faster_there, pace_and_finding
from .record import Judged, Placement, Question, any_fails, lacking_bytes
from .speed import Speed

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from ..catalogue.runtime import CacheRule
    from .findings.accelerator_share import Training
    from .placement import Spreading


def judge(question: Question, machine: Machine) -> Judged:
    """Every finding for that question on that machine.

    A closed model gets only `weights` and the findings that were asked for, one that the runtime
    does not load `runtime` too. The placement judged is the first of accelerator, split, host
    without a `fail` of memory, accelerator or speed, then an accelerator that others hold now, then
    one that is unread; where all fail, the first that has the memory, else the one that lacks
    least of it.
    """
    needs = question.needs
    if needs is None:
        about = (*model_findings(question), *runtime_findings(question, machine))
        return Judged(findings=about, needs=None, speed=None)
    chosen = first_without_a_fail(question, needs, machine)
    findings = (
        *model_findings(question),
        disk_finding(question, needs, machine),
        *chosen.held,
        cpu_finding(question, needs, machine, chosen.placed),
        *runtime_findings(question, machine),
        *listed(chosen.speed),
    )
    return Judged(findings=findings, needs=to_come(question, chosen.placed), speed=chosen.pace)


def model_findings(question: Question) -> list[Finding]:
    """What is found of the model itself, on any machine."""
    spec, workload = question.spec, question.workload
    about = [
        check.weights_check(
            spec,
            format=workload.format,
            quantization=workload.quantization,
            local_files=question.local_files,
            here=question.here,
            kept_by=question.kept_by,
        ),
        check.license_check(spec, workload, question.license_guessed),
        question.opened,
    ]
    if question.needs is not None:
        about.append(
            check.context_check(
                spec, workload, context_asked=question.context_asked, row=question.rewriting
            )
        )
    return [finding for finding in about if finding is not None]


def disk_finding(question: Question, needs: Needs, machine: Machine) -> Finding:
    purpose = question.runtime.store if question.runtime else "huggingface"
    return check.disk_check(
        needs,
        machine,
        purpose,
        missing_bytes=question.missing_bytes,
        here=question.here,
    )


def cpu_finding(
    question: Question, needs: Needs, machine: Machine, placed: Needs | None = None
) -> Finding:
    """`placed`: where it would lie, looked for only where that changes the finding."""
    finding = check.cpu_check(needs.cpu, machine, question.runtime)
    if not machine.accelerators:
        return finding
    on_gpu = check.cpu_check(needs.cpu, machine, question.runtime, on_gpu=True)
    if finding == on_gpu:
        return finding
    if placed is None:
        placed = first_without_a_fail(question, needs, machine).placed
    return on_gpu if placed.placement == "accelerator" else finding


def runtime_findings(question: Question, machine: Machine) -> list[Finding]:
    """What is found of the program; nothing for a model that no program was asked to load."""
    of_program = runtime_asked(question)
    if of_program is None:
        return []
    return [check.runtime_check(machine, question.runtime, **of_program)]


def runtime_asked(question: Question) -> Mapping[str, Any] | None:
    """What `runtime_check` is asked of the program, beside the machine and the runtime; None for a
    model that no program was asked to load.
    """
    spec, architecture = question.spec, None
    if question.needs is None:
        if question.loads is None:
            return None
    elif spec.architecture is not None and not spec.safety.remote_code:
        # code that comes with the model needs no release that knows it
        architecture = spec.architecture.row
    return {
        "loads": question.loads,
        "remedy": question.mend if question.needs is None else None,
        "unfamiliar": question.unfamiliar if question.needs is not None else None,
        "architecture": architecture,
        "is_required": question.requires_runtime and question.needs is not None,
    }


def listed(finding: Finding | None) -> tuple[Finding, ...]:
    return () if finding is None else (finding,)


def place(question: Question, needs: Needs, machine: Machine) -> tuple[Needs, list[Finding]]:
    """Where the memory would lie, however fast, and the findings of memory and accelerator for
    that place.
    """
    seen = []
    for candidate, held in ways_held(question, needs, machine):
        if not any_fails(held):
            return candidate, held
        seen.append((candidate, held))
    return _least_bad(question, seen)


def _least_bad(
    question: Question, seen: Sequence[tuple[Needs, list[Finding]]]
) -> tuple[Needs, list[Finding]]:
    """Of placements that all fail the one that lacks least memory; where that is not known, the
    host's, else the first, and the last of a runtime that works on accelerators alone.
    """
    hosts = [placed for placed in seen if placed[0].placement == "host"]
    best = seen[-1] if _gpu_only(question) else (hosts or seen)[-1 if hosts else 0]
    least = lacking_bytes(best[1])
    if least is None:
        # no memory would mend it
        return best
    for placed in seen:
        lacking = lacking_bytes(placed[1])
        if lacking is not None and lacking < least:
            best, least = placed, lacking
    return best


def considered(question: Question, judged: Judged, machine: Machine) -> tuple[Placement, ...]:
    """Every way to lay it out, the judged one marked; () where there is no choice."""
    if question.needs is None:
        return ()
    ways = []
    for candidate, held in ways_held(question, question.needs, machine):
        pace, speed = pace_and_finding(question, candidate, machine)
        outcomes = {
            finding.outcome
            for finding in (*held, speed)
            if finding is not None and finding.code != "speed-not-known"
        }
        terms = candidate.memory.terms if candidate.memory else ()
        places = dict.fromkeys(term.where for term in terms if term.where != "host")
        ways.append(
            Placement(
                placement=candidate.placement,
                accelerators=tuple(index_of(where) for where in places),
                accelerator_high_bytes=sum(
                    term.high_bytes for term in terms if term.where != "host"
                ),
                host_high_bytes=sum(term.high_bytes for term in terms if term.where == "host"),
                decode=pace.decode if pace else None,
                fits=_allows(outcomes),
                judged=to_come(question, candidate) == judged.needs,
            )
        )
    return tuple(ways) if len(ways) > 1 else ()


def _allows(outcomes: set[Outcome]) -> bool | None:
    """Whether findings of these outcomes let it run; None where that cannot be told."""
    if Outcome.FAIL in outcomes:
        return False
    return None if Outcome.UNKNOWN in outcomes else True


def to_come(question: Question, needs: Needs) -> Needs:
    """The needs with what still has to be downloaded, where some of the files are here."""
    missing = question.missing_bytes
    if missing is None:
        return needs
    return needs.replace(download_bytes=missing, download_range=None)


def _gpu_only(question: Question) -> bool:
    return question.runtime is not None and question.runtime.wants_gpu(
        question.workload.quantization
    )


def _suits(question: Question) -> Callable[[Accelerator], bool] | None:
    """Whether the runtime is not known to run its quantization on no such accelerator."""
    runtime = question.runtime
    if runtime is None:
        return None
    least = runtime.capability_for(question.workload.quantization, question.cache_rule)

    def suits(device: Accelerator) -> bool:
        is_recent = least is None or reaches(device, least) is not False
        return is_recent and runs_on(runtime, device)

    return suits


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


def _spreads_layers(question: Question) -> bool:
    """Whether its runtime gives whole layers to each of several accelerators that hold them all."""
    return (
        question.runtime is not None
        and question.runtime.spreads_layers
        and question.workload.task == "generate"
        and question.spec.modality in ("text", "vision")
    )


def ways_held(
    question: Question, needs: Needs, machine: Machine
) -> Iterator[tuple[Needs, list[Finding]]]:
    """Each placement with the findings of memory and accelerator. Planning is for accelerators
    that nothing else holds.
    """
    basis = question.workload.memory_basis
    machine = _without_unsuited(without_others(machine, basis), question.runtime)
    stored, kept, surely = files_in_memory(question, needs, machine)
    training = None
    if question.workload.task == "finetune":
        from ..needs.training import (
            gathered,
            how_to_offload,
            which_holds_less,
            why_not_shared_out,
        )
        from .findings.accelerator_share import Training
        from .sharded import devices_for_parts

        alone = why_not_shared_out(question.workload)
        devices = devices_for_parts(needs, machine)
        if alone is None and devices:
            alone = how_to_offload(question.workload, devices)
        training = Training(
            alone=alone,
            when_close=which_holds_less(question.spec, question.workload),
            gathered=gathered(question.spec, question.workload),
        )
    program = check.Program(
        runtime=question.runtime,
        rule=question.quantization_rule,
        cache_rule=question.cache_rule,
        smaller_caches=smaller_caches(question, machine) if machine.accelerators else {},
        has_other=question.has_other_runtime,
    )
    for candidate in _ways(question, needs, machine, training):
        if training is not None:
            training = training.replace(when_tight=_what_to_lower(question, candidate))
        accelerator = check.accelerator_check(
            candidate,
            machine,
            program,
            training,
            now_only=basis == "available",
        )
        yield (
            candidate,
            [
                check.memory_check(
                    candidate,
                    machine,
                    question.workload,
                    stored,
                    kept,
                    surely=surely,
                ),
                accelerator,
            ],
        )


def _ways(
    question: Question,
    needs: Needs,
    machine: Machine,
    training: Training | None,
) -> Iterator[Needs]:
    """The needs with their terms placed in each way there is."""
    if machine.accelerators == ():
        return iter((needs,))
    from .placement import placements

    gathered, may_be_close = None, False
    if training is not None:
        gathered, may_be_close = training.gathered, training.when_close is not None
    return placements(needs, machine, _spreading(question, gathered, may_be_close))


# of one question on many machines it is the same
@remembered(32)
def _spreading(question: Question, gathered: Term | None, may_be_close: bool) -> Spreading:
    """How its program lays it out. The last two as in `Spreading`."""
    from .placement import Spreading

    runtime, is_trained = question.runtime, question.workload.task == "finetune"
    layers = question.spec.architecture.layers if question.spec.architecture else None
    shares_layers = runtime is not None and runtime.splits_layers and not is_trained
    return Spreading(
        shared_layers=layers if shares_layers else None,
        spread_layers=layers if _spreads_layers(question) else None,
        gpu_only=_gpu_only(question),
        cpu_only=runtime is not None and runtime.cpu_only,
        suits=_suits(question),
        gathered=gathered,
        may_be_tight=is_trained,
        may_be_close=may_be_close,
    )


def smaller_caches(question: Question, machine: Machine) -> Mapping[str, float]:
    """Types of cache that the program has on these GPUs and that are smaller than what is asked,
    the best first, with their share of its size.
    """
    own = cache_type_bytes(question.workload.kv_cache_type or "f16")
    names = question.runtime.kv_cache_types if question.runtime is not None else ()
    return {
        name: cache_type_bytes(name) / own
        for name in names
        if cache_type_bytes(name) < own and _is_kept_by_all(question.cache_rule_of(name), machine)
    }


def _is_kept_by_all(rule: CacheRule | None, machine: Machine) -> bool:
    """Whether each accelerator is known to keep such a cache."""
    return rule is None or all(
        device.vendor in rule.vendors
        and (rule.compute_capability is None or reaches(device, rule.compute_capability) is True)
        for device in machine.accelerators or ()
    )


def _what_to_lower(question: Question, placed: Needs) -> str | None:
    """What makes the training take less where it is placed so."""
    from ..needs.training import what_to_lower

    terms = placed.memory.terms if placed.memory is not None else ()
    is_shared_out = any(term.name == GATHERED for term in terms)
    return what_to_lower(question.workload, is_shared_out=is_shared_out)


# of hundreds of models the machine is the same
@remembered(32)
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
    purpose = question.runtime.store if question.runtime else "huggingface"
    stored = check.stored_in_memory(needs, machine, purpose, missing_bytes=question.missing_bytes)
    held = check.held_in_memory(question.here, machine, purpose)
    in_memory = [question.in_memory]
    if stored:
        in_memory.append(check.lies_in_memory(machine, purpose))
    if question.here is not None and held:
        in_memory.append(check.lies_in_memory(machine, question.here.store or purpose))
    if question.in_memory is not False:
        held += max(0, (needs.download_bytes or 0) - question.beside_bytes)
    return stored, held, None not in in_memory


class Chosen:
    """The way that a model is laid out: the findings of memory and accelerator, the pace and its
    finding.
    """

    __slots__ = ("held", "pace", "placed", "speed")

    def __init__(
        self,
        placed: Needs,
        held: Sequence[Finding],
        paced: tuple[Speed | None, Finding | None],
    ) -> None:
        self.placed, self.held = placed, held
        self.pace, self.speed = paced


def first_without_a_fail(question: Question, needs: Needs, machine: Machine) -> Chosen:
    kept: Chosen | None = None
    seen: list[tuple[Needs, list[Finding]]] = []
    every = ways_held(question, needs, machine)
    for candidate, held in every:
        seen.append((candidate, held))
        if any_fails(held):
            continue
        paced = pace_and_finding(question, candidate, machine)
        chosen = Chosen(candidate, held, paced)
        if not (any_fails([chosen.speed]) or is_open(chosen.speed)):
            return _beside_others(question, machine, chosen, every)
        if kept is None or _is_rather_told(chosen, kept):
            kept = chosen
    if kept is None:
        candidate, held = _least_bad(question, seen)
        paced = pace_and_finding(question, candidate, machine)
        return Chosen(candidate, held, paced)
    if any_fails([kept.speed]):
        return kept
    return _beside_others(question, machine, kept, iter(seen))


def is_open(pace: Finding | None) -> bool:
    """Whether it is not known that the pace is as wanted, and that decides."""
    return pace is not None and pace.decides and pace.outcome is Outcome.UNKNOWN


def _is_rather_told(other: Chosen, kept: Chosen) -> bool:
    """Whether the `other`, which is tried later, is told of, where neither is surely fast enough:
    one that may be, or more accelerators.
    """
    if any_fails([other.speed]) != any_fails([kept.speed]):
        return any_fails([kept.speed])
    is_now = other.held[1].code not in ("accelerator-not-now", "memory-not-now")
    return is_now and other.placed.placement == kept.placed.placement == "accelerator"


def _beside_others(
    question: Question,
    machine: Machine,
    chosen: Chosen,
    others: Iterator[tuple[Needs, list[Finding]]],
) -> Chosen:
    """It, with what another layout would give: an accelerator that is idle, or the RAM. Which is
    told of decides nothing.
    """
    held, is_beside = chosen.held, chosen.placed.placement in ("host", "split")
    if is_beside and machine.accelerators:
        chosen.held = [held[0], _once_idle(question, machine, chosen.placed, held[1], others)]
    if held[1].code == "accelerator-close":
        chosen.held = [held[0], _or_in_ram(question, machine, held[1], others)]
    return chosen


def _or_in_ram(
    question: Question,
    machine: Machine,
    close: Finding,
    others: Iterator[tuple[Needs, list[Finding]]],
) -> Finding:
    """The finding of accelerators that may hold a training, with what the RAM gives, where that
    holds it.
    """
    for candidate, held in others:
        is_held = all(finding.outcome in (Outcome.PASS, Outcome.WARN) for finding in held)
        if candidate.placement == "host" and is_held:
            from .findings.accelerator_share import or_in_ram

            pace = pace_and_finding(question, candidate, machine)[0]
            work = pace.work if pace is not None else None
            return or_in_ram(close, "" if work is None else units.work_cell(work.likely, TRAINED))
    return close


def _once_idle(
    question: Question,
    machine: Machine,
    placed: Needs,
    chosen: Finding,
    others: Iterator[tuple[Needs, list[Finding]]],
) -> Finding:
    """The accelerator's finding of what is `placed`, with what an accelerator that others hold now
    would give, where that is faster.
    """
    for candidate, held in others:
        if (
            held[1].code == "accelerator-not-now"
            and candidate.placement == "accelerator"
            and not any_fails(held)
        ):
            decode, is_faster = faster_there(question, candidate, placed, machine)
            if is_faster:
                from .findings.accelerator_share import once_idle

                return once_idle(chosen, held[1], (decode.low, decode.high) if decode else None)
    return chosen
