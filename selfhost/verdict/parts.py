"""What is judged of a question in parts that ask nothing of each other: an audit holds each against
many machines at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..catalogue.spec import ModelSpec, Parameters
from ..core.records import Record, remembered
from ..machine.record import Machine
from ..needs.records import MemoryNeed, Needs, Term
from . import findings as check
from .findings import Finding
from .judging import (
    Chosen,
    cpu_finding,
    disk_finding,
    first_without_a_fail,
    is_open,
    listed,
    model_findings,
    runtime_findings,
    ways_held,
)
from .on_devices import free_limits
from .pacing import is_in_order, is_rare, layers_of, may_decide, pace_and_finding
from .record import Judged, Question, any_fails
from .step import what_counts

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


def decided_by_disk(question: Question, needs: Needs, machine: Machine) -> bool:
    """Whether the route rests on the disk."""

    def decides(each: Machine) -> bool:
        return disk_finding(question, needs, each, deciding=True).decides

    key = _disk_key(question, needs)
    return decides(machine) if key is None else bool(machine.worked_out(key, decides))


def decided_by_program(question: Question, needs: Needs, machine: Machine) -> bool:
    """Whether the route rests on the processor or the program. What the model itself is, as a
    license that rules it out, sets no way to run it apart from another.
    """

    def decides(each: Machine) -> bool:
        return any(finding.decides for finding in _of_program(question, needs, each))

    return bool(machine.worked_out((needs.cpu, _runtime_key(question)), decides))


def _of_program(question: Question, needs: Needs, machine: Machine) -> Iterator[Finding]:
    yield check.cpu_check(needs.cpu, machine, question.runtime)
    yield from runtime_findings(question, machine)


def _cpu_follows_place(question: Question, needs: Needs, machine: Machine) -> bool:
    """Whether the route rests on the processor unless accelerators hold all of the model."""
    if not needs.cpu.recommended:
        return False

    def follows(each: Machine) -> bool:
        return bool(
            each.accelerators
            and check.cpu_check(needs.cpu, each, question.runtime).decides
            and not check.cpu_check(needs.cpu, each, question.runtime, on_gpu=True).decides
        )

    return bool(machine.worked_out(("cpu by place", needs.cpu, question.runtime), follows))


def _of_processor(question: Question, needs: Needs, machine: Machine) -> Sequence[Finding]:
    """The finding of the processor; nothing where it follows from where the model lies."""
    if _cpu_follows_place(question, needs, machine):
        return ()
    return (check.cpu_check(needs.cpu, machine, question.runtime),)


def held(question: Question, needs: Needs, machine: Machine) -> Judged:
    """The findings of memory and accelerator, deciding as in `parts_of`, and where it would lie."""
    # of a GPU that shares the RAM the finding alone says that it computes what lies there
    shares_ram = any(card.unified for card in machine.accelerators or ())
    chosen = first_without_a_fail(question, needs, machine, deciding=not shares_ram)
    return Judged(findings=(*chosen.held, *listed(chosen.speed)), needs=chosen.placed, speed=None)


def judge_with_disk(question: Question, needs: Needs, machine: Machine) -> Judged:
    """What of the findings of `judge` decides, and maybe others, if the disk has room."""
    judged, about = held(question, needs, machine), _about_model(question)
    if not decided_by_program(question, needs, machine):
        # what it does not rest on is not asked: machines are not set apart by it
        return judged.replace(findings=(*about, *judged.findings))
    others = (*about, *_of_program(question, needs, machine))
    return judged.replace(findings=(*others, *judged.findings))


# of one way on many machines it is the same
@remembered(32)
def _about_model(question: Question) -> tuple[Finding, ...]:
    return tuple(model_findings(question))


class Part(Record):
    """One part of what `judge` finds, which asks nothing of the others: an audit of many machines
    holds each against all of them at once.

    `find` gives the findings of a machine. `key`: two questions with the same one have the same
    findings on every machine, and its first word names the sort of part; None where no other
    question has them. `accelerators`: whether it is for machines that have or may have some (True),
    for those that have none (False), or for all.
    `layered` gives the findings too, and the layout where that tells how they change with the
    machine's numbers (`_layout`). `free_limits`: as the function of that name.
    """

    find: Callable[[Machine], Sequence[Finding]]
    key: tuple[Any, ...] | None = None
    accelerators: bool | None = None
    layered: Callable[[Machine], tuple[Sequence[Finding], str | None]] | None = None
    free_limits: Callable[[], tuple[int, int] | None] | None = None


def parts_of(question: Question, *, deciding: bool = False) -> tuple[Part, ...]:
    """What `judge` finds of that question, in parts.

    Where there are no accelerators there is one place for the model, the RAM, so that memory and
    speed are two parts. `deciding`: the route and what it rests on are the same, but a finding that
    decides nothing may be another that decides nothing.
    """
    about, needs = tuple(model_findings(question)), question.needs
    runtime = Part(
        find=lambda machine: runtime_findings(question, machine), key=_runtime_key(question)
    )
    if needs is None:
        return Part(find=lambda _: about), runtime
    return (
        Part(find=lambda _: about),
        *_held_and_paced(question, needs, deciding),
        Part(
            find=lambda machine: (disk_finding(question, needs, machine, deciding=deciding),),
            key=_disk_key(question, needs),
        ),
        Part(
            find=lambda machine: _of_processor(question, needs, machine),
            key=("cpu", needs.cpu, question.runtime),
            # beside accelerators `_placed` finds it, `deciding` only where it rests on them
            accelerators=None if deciding else False,
        ),
        runtime,
    )


def _held_and_paced(question: Question, needs: Needs, deciding: bool) -> Iterator[Part]:
    """The parts of memory, accelerator and speed. Models that take the same are told apart by
    nothing there.
    """
    shared: Question | None = None
    # of other work than text a pace may rest on anything that is known of the model
    is_paced_by_step = question.read_bytes is not None or (deciding and not may_decide(question))
    if is_paced_by_step and question.workload.task == "generate":
        shared = question = without_words(question, needs)
        needs = question.needs or needs

    def key_of(sort: str) -> tuple[str, Question] | None:
        return None if shared is None else (sort, shared)

    yield Part(
        find=lambda machine: _placed(question, needs, machine, deciding)[0],
        key=key_of("held"),
        accelerators=True,
        layered=lambda machine: _placed(question, needs, machine, deciding),
        free_limits=lambda: free_limits(needs, layers_of(question)),
    )
    yield Part(
        find=lambda machine: _in_ram(question, needs, machine, deciding)[0],
        key=key_of("in RAM"),
        accelerators=False,
        layered=lambda machine: _in_ram(question, needs, machine, deciding),
    )
    yield Part(
        find=lambda machine: listed(pace_and_finding(question, needs, machine, deciding)[1]),
        key=key_of("pace"),
        accelerators=False,
    )


@remembered(128)
def without_words(question: Question, needs: Needs) -> Question:
    """The same without the model's name, its sources and what only other parts ask: all that memory
    and accelerator rest on, and a pace that follows from a step.
    """
    spec, memory, runtime = question.spec, needs.memory, question.runtime
    if runtime is not None:
        runtime = runtime.for_model(spec.architecture, sees=spec.modality == "vision")
    if memory is not None:
        terms = tuple([_unsourced(term) for term in memory.terms])
        memory = MemoryNeed(terms=terms, evictable_bytes=memory.evictable_bytes)
    return question.replace(
        spec=ModelSpec(
            id="",
            name="",
            modality=spec.modality,
            parameters=Parameters(active=spec.parameters.active),
            architecture=what_counts(spec.architecture),
        ),
        runtime=runtime,
        needs=needs.replace(
            memory=memory, download_how=None, download_source=None, largest_file_bytes=None
        ),
        loads=None,
        mend=None,
        unfamiliar=None,
        context_asked=False,
        rewriting=None,
        opened=None,
        license_guessed=None,
        kept_by=None,
        chosen=None,
        requires_runtime=False,
    )


def _unsourced(term: Term) -> Term:
    others = {
        name: _unsourced(other)
        for name in ("on_device", "beside", "on_large", "lean")
        if (other := getattr(term, name)) is not None
    }
    return term.replace(source="", arithmetic="", **others)


def _disk_key(question: Question, needs: Needs) -> tuple[Any, ...] | None:
    """All that `disk_finding` reads of the question; None where files of it lie on the machine."""
    if question.here is not None:
        return None
    return (
        "disk",
        question.runtime.store if question.runtime else None,
        question.missing_bytes,
        needs.download_bytes,
        needs.download_range,
        needs.disk_bytes,
        needs.largest_file_bytes,
        needs.making,
        needs.unknown,
    )


def _runtime_key(question: Question) -> tuple[Any, ...]:
    spec = question.spec
    row = None if spec.architecture is None else spec.architecture.row
    return (
        "runtime",
        question.runtime,
        question.loads,
        question.mend,
        question.unfamiliar,
        question.needs is None,
        question.requires_runtime,
        None if spec.safety.remote_code else row,
    )


def _in_ram(
    question: Question, needs: Needs, machine: Machine, deciding: bool
) -> tuple[Sequence[Finding], str | None]:
    """The findings of memory and accelerator where there is none, and `_layout`."""
    _, held = next(ways_held(question, needs, machine, deciding=deciding))
    return held, None if any_fails(held) else "host"


def _placed(
    question: Question, needs: Needs, machine: Machine, deciding: bool
) -> tuple[tuple[Finding, ...], str | None]:
    """The findings of memory, accelerator and speed, and `_layout`; that of the processor too, for
    what it is slow at follows from where the model lies: `deciding` where the route rests on that.
    """
    chosen = first_without_a_fail(question, needs, machine, deciding=deciding)
    is_beside = not deciding or _cpu_follows_place(question, needs, machine)
    beside = [cpu_finding(question, needs, machine, chosen.placed)] if is_beside else []
    return (*chosen.held, *beside, *listed(chosen.speed)), _layout(chosen)


def _layout(chosen: Chosen) -> str | None:
    """Where nothing fails in the first way that is tried: `split` where some layers lie on an
    accelerator and the rest in RAM, so that the time of a token is the sum of theirs, else
    `accelerator` or `host`. `nowhere` where no place holds the model and it is judged in RAM,
    because no accelerator takes a layer. Else None.
    """
    placed = chosen.placed
    if any_fails(chosen.held):
        return "nowhere" if placed.placement == "host" else None
    if not chosen.is_first or any_fails([chosen.speed]) or is_open(chosen.speed):
        return None
    if not is_rare(placed):
        return None if placed.offload is not None else placed.placement
    # in order, each end of the range is that of one sum
    return "split" if is_in_order((chosen.pace, chosen.speed)) else None
