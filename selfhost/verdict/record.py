"""Needs held against a machine -> Verdict: the findings and the route that follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from ..catalogue.offers import Offer
from ..catalogue.quality import Quality
from ..catalogue.spec import Architecture, ModelSpec, Parameters, QuantizationRule, RuntimeSpec
from ..core import units
from ..core.records import Record, remembered
from ..core.workload import Workload
from ..machine.record import Accelerator, Machine
from ..needs.records import MemoryNeed, Needs, Term
from . import findings as check
from .findings import Finding, Outcome
from .placement import emptied, free_limits, placements, share_if_filled, share_on_shared
from .present import Here
from .route import Route, exit_code
from .speed import (
    LEAST_READ_BYTES,
    LaidOut,
    PaceRange,
    Speed,
    depth_of_short_chat,
    foreign_to_rules,
    is_in_whole,
    predict_step,
    shared_gpu_of,
    shared_makers,
    shares_of,
    strength_of,
    uses_shared_gpu,
)
from .step import Step

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from ..needs.parts import Companions
    from ..needs.tensors import ArchitectureRow
    from .costs import MonthlyCost


__all__ = [
    "Alternative",
    "Answer",
    "Finding",
    "Judged",
    "OpenAlternative",
    "Outcome",
    "PaceRange",
    "Placement",
    "Question",
    "Room",
    "Route",
    "Size",
    "Speed",
    "Verdict",
    "answer_for",
    "exit_code",
    "judge",
    "place",
]


class Alternative(Record):
    """Something that would fit instead: the same model smaller or with a shorter context, or
    another model.

    `memory_bytes` is the most that it takes in all, `host_bytes` the part of it in RAM where
    accelerators hold the rest, else None; `is_whole_on_card` where they hold all layers. `command`
    asks about it with everything that was asked before.
    """

    id: str
    name: str
    quantization: str | None
    context_tokens: int | None
    runtime: str | None = None
    finetune_method: str | None = None
    license: str | None = None
    memory_bytes: int | None = None
    host_bytes: int | None = None
    is_whole_on_card: bool = False
    download_bytes: int | None = None
    decode: PaceRange | None = None
    why: str
    command: str


class OpenAlternative(Record):
    """An open-weight model that the spec of a closed one names, whether it runs here or not.

    `fits` is None where that cannot be told, `failed` are the reason codes of what rules it out;
    `license` is None where it is not known. `quantization` is the one that it fits in where its
    default does not.
    """

    id: str
    name: str
    license: str | None
    fits: bool | None
    failed: tuple[str, ...] = ()
    quantization: str | None = None


class Room(Record):
    """How far one could go on this machine, each with everything else as judged; None where it
    makes no sense or nothing fits.

    Where it runs, none of that moves it off the accelerators: what it takes there must fit there.
    The pace is not asked again. `longest_context_tokens` is per sequence and at most what the model
    can use: one token more does not fit or is beyond that. `best_quantization` is the one that
    keeps most quality, `most_parallel` the number of sequences at once. `not_now` are those of
    these fields that take more than is free now: other programs would have to be closed.
    """

    longest_context_tokens: int | None = None
    best_quantization: str | None = None
    most_parallel: int | None = None
    not_now: tuple[str, ...] = ()


class Placement(Record):
    """One way to lay the model out on this machine, in the order they are judged.

    `placement` is host, accelerator or split, `accelerators` the numbers of those it takes. `fits`
    is whether memory, accelerator and speed allow it, None where that cannot be told; `judged`: the
    verdict is about this one.
    """

    placement: str
    accelerators: tuple[int, ...]
    accelerator_high_bytes: int
    host_high_bytes: int
    decode: PaceRange | None
    fits: bool | None
    judged: bool


class Size(Record):
    """One quantization of a model with one runtime: what travels, what it takes, whether it would
    run, what it costs in quality.

    `family` is gguf, safetensors, mlx or another format; `bytes` the download's, `how` they are
    known; `memory_bytes` the most it may take, None where that is not known; `fits` is None where
    it cannot be told.
    """

    quantization: str
    family: str
    runtime: str
    bytes: int
    how: str
    source: str
    memory_bytes: int | None = None
    fits: bool | None = None
    quality: Quality


class Question(Record):
    """All that is asked of one model, every default filled in: what `judge` takes beside the
        machine.

        `runtime` is None for a closed model and for a spec that names none; `read_bytes` are the
    weights read for one token by stored type, {} where that is not known and None where a pace
    makes no sense; `operations` are those of one step, None where no graph is written down;
    `drafting` is a step of the draft, None without one;
    `loads` is the sentence why `runtime` does not load the model, None when it does, and `mend`
    what to do where no other would; `unfamiliar` an architecture that no row describes.
    `context_asked`: the context was given, not taken by default; `speed_stated`: so was the lowest
    useful speed. `rewriting`: the row of an encoder with a decoder. `local_files`: the files were
    named, so they are on this machine, and where they lie on a volume that is RAM `in_memory`
    (None: not told). `here`: those asked for lie on it, whole or in part. `companions` are loaded
    beside the model, and `beside_bytes` of them have to be downloaded. `opened`: is it as open as
    was asked (`findings.openness_check`)? `license_guessed`: what the function of that name gives,
    if it was asked; `kept_by` holds what `kept_elsewhere` gives. `chosen`: the sentence why
    runtime, quantization or method are others than the model's own defaults; None where they are
    not (`defaults.ask_for_machine`). `requires_runtime`: the runtime must be installed already.
    `has_other_runtime`: the runtime was named, and without its name one is judged that needs no
    GPU.
    """

    spec: ModelSpec
    workload: Workload
    runtime: RuntimeSpec | None = None
    loads: str | None = None
    mend: str | None = None
    needs: Needs | None = None
    read_bytes: Mapping[str, int] | None = None
    operations: int | None = None
    drafting: Step | None = None
    unfamiliar: str | None = None
    context_asked: bool = False
    speed_stated: bool = False
    rewriting: ArchitectureRow | None = None
    local_files: bool = False
    in_memory: bool | None = False
    companions: Companions | None = None
    beside_bytes: int = 0
    here: Here | None = None
    opened: Finding | None = None
    license_guessed: tuple[bool, bool] | None = None
    kept_by: tuple[str | None] | None = None
    chosen: str | None = None
    requires_runtime: bool = False
    has_other_runtime: bool = False

    @cached_property
    def step(self) -> Step:
        """One step of decoding in a short chat; only where `read_bytes` is not None."""
        return Step(
            architecture=self.spec.architecture,
            read_bytes=self.read_bytes or {},
            operations=self.operations,
            depth_tokens=depth_of_short_chat(self.workload.context_tokens),
            foreign=foreign_to_rules(self.runtime),
        )

    @property
    def missing_bytes(self) -> int | None:
        """What is still to be downloaded where the model is here, whole or in part; None where
        all of it is, or it is not known.
        """
        if self.local_files:
            return self.beside_bytes
        own = self.here.missing_bytes if self.here else None
        return None if own is None else own + self.beside_bytes


# the checks of what memory holds
_HELD = ("memory", "accelerator")


class Judged(Record):
    """What the machine's side of the verdict is: findings in the order of CHECKS, the needs and
    the speed as placed.
    """

    findings: tuple[Finding, ...]
    needs: Needs | None
    speed: Speed | None

    @property
    def fits(self) -> bool:
        """No `fail`, and no `unknown` that decides: the route would be local."""
        return not self.failed and not self.unknown

    @cached_property
    def failed(self) -> bool:
        """Some finding rules a local run out."""
        return _failed(self.findings)

    @property
    def unknown(self) -> bool:
        """Something that decides is not known."""
        return any([finding.leaves_open for finding in self.findings])  # noqa: C419 - as _failed

    @property
    def lacking_bytes(self) -> float | None:
        """The memory that would make it run, where nothing else rules that out; else None."""
        held = [finding for finding in self.findings if finding.check in _HELD]
        if _failed(finding for finding in self.findings if finding.check not in _HELD):
            return None
        return _lacking_bytes(held)

    def route(self, offered: bool) -> Route:
        """The route, given whether an API may be used and one is offered."""
        if self.failed:
            return Route.API if offered else Route.NEITHER
        return Route.UNKNOWN if self.unknown else Route.LOCAL


class Answer(Record):
    """What was found for one model on one machine, and nothing beyond: of the whole catalogue
    `list` prints these.

    `workload` is the one judged, every default filled in, `here` what of the files lies on the
    machine already. It has no truth value: ask `route` or `can_run`.
    """

    model: ModelSpec
    workload: Workload
    route: Route
    needs: Needs | None
    speed: Speed | None
    findings: tuple[Finding, ...]
    here: Here | None = None

    @property
    def can_run(self) -> bool:
        """True only when the route is local."""
        return self.route is Route.LOCAL

    @property
    def can_download(self) -> bool | None:
        """Weights published and disk large enough; None where either is unknown."""
        pair = [self.finding("weights"), self.finding("disk")]
        if _failed(pair):
            return False
        not_known = any(
            finding is None
            or finding.outcome is Outcome.UNKNOWN
            # where to get them nobody stated
            or finding.code == "weights-yours"
            for finding in pair
        )
        return None if not_known else True

    @property
    def exit_code(self) -> int:
        """0, 1 or 3: see the function of this name."""
        return exit_code([self.route])

    @property
    def download_seconds(self) -> float | None:
        """How long the download takes at the speed that was stated; None where no speed was, or
        the size is not known.
        """
        return self.workload.seconds_to_download(self.needs.download_bytes if self.needs else None)

    def finding(self, name: str) -> Finding | None:
        """The finding of that name, None where it was not asked for."""
        for finding in self.findings:
            if finding.check == name:
                return finding
        return None

    def __bool__(self) -> bool:
        raise TypeError(
            f"a {type(self).__name__} has no truth value: ask can_run, or route for the four"
            " answers"
        )

    def __repr__(self) -> str:
        """One line: model, route, likely pace, memory. `Record.__repr__` gives every field."""
        pace = self.speed.decode if self.speed is not None else None
        memory = self.needs.memory if self.needs is not None else None
        parts: list[str] = [self.route]
        if pace is not None:
            parts.append(units.likely_pace(pace.low, pace.likely, pace.high, " tokens/s"))
        if self.needs is not None and memory is not None:
            place = _PLACES.get(self.needs.placement or "", "memory")
            parts.append(f"{units.binary(memory.high_bytes)} of {place}")
        return f"<{type(self)._kind.__name__} {self.model.id}: {', '.join(parts)}>"


def answer_for(question: Question, judged: Judged, route: Route) -> Answer:
    """What was found for that question."""
    return Answer(
        model=question.spec,
        workload=question.workload,
        route=route,
        needs=judged.needs,
        speed=judged.speed,
        findings=judged.findings,
        here=question.here,
    )


_PLACES = {"host": "RAM", "accelerator": "GPU memory", "split": "GPU memory and RAM"}


class Verdict(Answer):
    """The answer for one model on one machine, with what to do about it. It has no truth value: ask
    `route` or `can_run`.

    `workload` is the one judged, every default filled in. `placements` are the ways to lay it out
    that were compared, () where there is but one. `setup` are lines to type first, `commands` those
    that run the model, and `commands_class` says what is known of the first of them: "listed"
    where a sourced listing shows its repository and file, "unlisted" where the file is not
    verified, None where there is no command. `understood_as` are sentences about how the name was
    understood, `notes` those that the answer needs beside it,
    `fine_print` those that explain it, `advice` what measurements say would make it faster
    here, `quality` what the quantization costs. `monthly_cost` is None where the workload states no
    load. `rewrites`: an encoder with a decoder, whose context is what is read and written together.
    `loaded_bits`: what a number takes once loaded, None where that is as in the files.
    """

    asked: str
    machine: Machine
    placements: tuple[Placement, ...] = ()
    room: Room | None = None
    alternatives: tuple[Alternative, ...] = ()
    open_alternatives: tuple[OpenAlternative, ...] = ()
    api_offers: tuple[Offer, ...] = ()
    monthly_cost: MonthlyCost | None = None
    commands: tuple[str, ...] = ()
    commands_class: str | None = None
    setup: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    understood_as: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    fine_print: tuple[str, ...] = ()
    quality: Quality | None = None
    rewrites: bool = False
    loaded_bits: int | None = None

    @property
    def trained_tokens(self) -> int | None:
        """The context it was trained for, as the finding counts it."""
        tokens = self.model.architecture.context_tokens if self.model.architecture else None
        return 2 * tokens if tokens is not None and self.rewrites else tokens

    @property
    def summary(self) -> str:
        """The answer in one line of plain text, as the first line of `selfhost check` gives it."""
        line: str = _report("brief").summary(self)
        return line

    def to_json(self) -> dict[str, Any]:
        """The object of `selfhost check MODEL --format json`, `selfhost.verdict/1`, as a dict for
        `json.dumps`: every key always present, None where unknown.
        """
        document: dict[str, Any] = _report("json").verdict(self)
        return document

    def _repr_html_(self) -> str:
        """What a notebook shows: the text of `selfhost check` as HTML, without a script."""
        fragment: str = _report("brief").notebook(self)
        return fragment


def _report(name: str) -> Any:
    """The report module of that name, loaded when a verdict is shown: reports import verdicts, so
    that verdicts cannot import them.
    """
    from importlib import import_module

    return import_module(f"..reports.{name}", __package__)


# facts that the pace in RAM rests on
_PACE_SETTING = ("memory_bandwidth_bytes_per_second", "cpu_cores_usable")


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
        about = (*model_findings(question), *_runtime(question, machine))
        return Judged(findings=about, needs=None, speed=None)
    chosen = _first_without_a_fail(question, needs, machine)
    findings = (
        *model_findings(question),
        disk_finding(question, needs, machine),
        *chosen.held,
        check.cpu_check(needs.cpu, machine, question.runtime),
        *_runtime(question, machine),
        *_listed(chosen.speed),
    )
    return Judged(findings=findings, needs=_to_come(question, chosen.placed), speed=chosen.pace)


def judge_at_pace(question: Question, earlier: Judged, machine: Machine) -> Judged | None:
    """As `judge`, where `earlier` answers a question that differs in its lowest pace alone; None
    where another pace may have the model laid out otherwise.
    """
    pace, needs, wanted = earlier.speed, earlier.needs, question.workload.min_tokens_per_second
    place = next((at for at, each in enumerate(earlier.findings) if each.check == "speed"), None)
    is_text = question.read_bytes is not None and question.spec.modality not in check.MADE
    if place is None or needs is None or pace is None or pace.decode is None or not is_text:
        return None
    before = earlier.findings[place]
    # a pace rules a layout out, and another is tried, only where the memory is there
    is_kept = _failed(each for each in earlier.findings if each.check in _HELD) or (
        wanted is not None
        and isinstance(before.needs, int | float)
        and before.outcome is not Outcome.FAIL
        and before.needs <= wanted <= pace.decode.high
    )
    if not is_kept and machine.accelerators != ():
        return None
    finding = _of_pace(question, needs, machine, pace, "")
    findings = list(earlier.findings)
    findings[place : place + 1] = _listed(finding)
    return Judged(findings=tuple(findings), needs=needs, speed=pace)


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


def disk_finding(
    question: Question, needs: Needs, machine: Machine, *, deciding: bool = False
) -> Finding:
    """`deciding`: see `parts_of`."""
    purpose = question.runtime.store if question.runtime else "huggingface"
    return check.disk_check(
        needs,
        machine,
        purpose,
        missing_bytes=question.missing_bytes,
        here=question.here,
        deciding=deciding,
    )


def _runtime(question: Question, machine: Machine) -> list[Finding]:
    """What is found of the program; nothing for a model that no program was asked to load."""
    asked = runtime_asked(question)
    return [] if asked is None else [check.runtime_check(machine, question.runtime, **asked)]


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


def decided_by_disk(question: Question, needs: Needs, machine: Machine) -> bool:
    """Whether the route rests on the disk."""

    def decides(each: Machine) -> bool:
        return disk_finding(question, needs, each, deciding=True).decides

    key = _disk_key(question, needs)
    return decides(machine) if key is None else bool(machine.worked_out(key, decides))


def decided_by_program(question: Question, needs: Needs, machine: Machine) -> bool:
    """Whether the route rests on the model itself, the processor or the program."""

    def decides(each: Machine) -> bool:
        return any(finding.decides for finding in _of_program(question, needs, each))

    if any(finding.decides for finding in model_findings(question)):
        return True
    return bool(machine.worked_out((needs.cpu, _runtime_key(question)), decides))


def _of_program(question: Question, needs: Needs, machine: Machine) -> Iterator[Finding]:
    yield check.cpu_check(needs.cpu, machine, question.runtime)
    yield from _runtime(question, machine)


def held(question: Question, needs: Needs, machine: Machine) -> Judged:
    """The findings of memory and accelerator, deciding as in `parts_of`, and where it would lie."""
    chosen = _first_without_a_fail(question, needs, machine, deciding=True)
    return Judged(findings=(*chosen.held, *_listed(chosen.speed)), needs=chosen.placed, speed=None)


def judge_with_disk(question: Question, needs: Needs, machine: Machine) -> Judged:
    """What `judge` finds if the disk has room, deciding as in `parts_of`."""
    judged = held(question, needs, machine)
    others = (*model_findings(question), *_of_program(question, needs, machine))
    return judged.replace(findings=(*others, *judged.findings))


class Part(Record):
    """One part of what `judge` finds, which asks nothing of the others: an audit of many machines
    holds each against all of them at once.

    `find` gives the findings of a machine. `key`: two questions with the same one have the same
    findings on every machine; None where no other question has them. `accelerators`: whether it is
    for machines that have or may have some (True), for those that have none (False), or for all.
    `layered` gives the findings too, and the layout where that tells how they change with the
    machine's numbers (`_layout`). `free_limits`: as the function of that name.
    """

    find: Callable[[Machine], Sequence[Finding]]
    key: object = None
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
    runtime = Part(find=lambda machine: _runtime(question, machine), key=_runtime_key(question))
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
            find=lambda machine: (check.cpu_check(needs.cpu, machine, question.runtime),),
            key=("cpu", needs.cpu, question.runtime),
        ),
        runtime,
    )


def _held_and_paced(question: Question, needs: Needs, deciding: bool) -> Iterator[Part]:
    """The parts of memory, accelerator and speed. Models that take the same are told apart by
    nothing there.
    """
    key = None
    if question.read_bytes is not None and question.workload.task == "generate":
        key = question = without_words(question, needs)
        needs = question.needs or needs
    yield Part(
        find=lambda machine: _placed(question, needs, machine, deciding)[0],
        key=key and ("held", key),
        accelerators=True,
        layered=lambda machine: _placed(question, needs, machine, deciding),
        free_limits=lambda: free_limits(needs, _layers_of(question)),
    )
    yield Part(
        find=lambda machine: _in_ram(question, needs, machine, deciding)[0],
        key=key and ("in RAM", key),
        accelerators=False,
        layered=lambda machine: _in_ram(question, needs, machine, deciding),
    )
    yield Part(
        find=lambda machine: _listed(pace_and_finding(question, needs, machine, deciding)[1]),
        key=key and ("pace", key),
        accelerators=False,
    )


@remembered(128)
def without_words(question: Question, needs: Needs) -> Question:
    """The same without the model's name, its sources and what only other parts ask: all that memory
    and accelerator rest on, and a pace that follows from a step.
    """
    spec, memory = question.spec, needs.memory
    if memory is not None:
        terms = tuple([_unsourced(term) for term in memory.terms])
        memory = MemoryNeed(terms=terms, evictable_bytes=memory.evictable_bytes)
    return question.replace(
        spec=ModelSpec(
            id="",
            name="",
            modality=spec.modality,
            parameters=Parameters(active=spec.parameters.active),
            architecture=spec.architecture,
        ),
        needs=needs.replace(memory=memory, download_how=None, download_source=None),
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
        for name in ("on_device", "beside", "on_large")
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


def _listed(finding: Finding | None) -> tuple[Finding, ...]:
    return () if finding is None else (finding,)


def _in_ram(
    question: Question, needs: Needs, machine: Machine, deciding: bool
) -> tuple[Sequence[Finding], str | None]:
    """The findings of memory and accelerator where there is none, and `_layout`."""
    _, held = next(ways_held(question, needs, machine, deciding=deciding))
    return held, None if _failed(held) else "host"


def _placed(
    question: Question, needs: Needs, machine: Machine, deciding: bool
) -> tuple[tuple[Finding, ...], str | None]:
    """The findings of memory, accelerator and speed, and `_layout`."""
    chosen = _first_without_a_fail(question, needs, machine, deciding=deciding)
    return (*chosen.held, *_listed(chosen.speed)), _layout(chosen)


def _layout(chosen: _Chosen) -> str | None:
    """Where nothing fails in the first way that is tried: `split` where some layers lie on an
    accelerator and the rest in RAM, so that the time of a token is the sum of theirs, else
    `accelerator` or `host`. Where no place holds the model: `nowhere` where it is judged in RAM,
    because no accelerator takes a layer; `short split` where it is judged in the first way, a
    split, which lacks least. `slow split`: that is the first that has the memory, and every way is
    too slow. Else None.
    """
    placed = chosen.placed
    # in order, each end of the range is that of one sum
    is_split = _is_rare(placed) and _is_in_order((chosen.pace, chosen.speed))
    if _failed(chosen.held):
        if placed.placement == "host":
            return "nowhere"
        return "short split" if is_split and chosen.is_first else None
    if not chosen.is_first:
        return None
    if _failed([chosen.speed]):
        return "slow split" if is_split else None
    if not _is_rare(placed):
        return None if placed.offload is not None else placed.placement
    return "split" if is_split else None


def place(question: Question, needs: Needs, machine: Machine) -> tuple[Needs, list[Finding]]:
    """Where the memory would lie, however fast, and the findings of memory and accelerator for
    that place.
    """
    seen = []
    for candidate, held in ways_held(question, needs, machine):
        if not _failed(held):
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
    least = _lacking_bytes(best[1])
    if least is None:
        # no memory would mend it
        return best
    for placed in seen:
        lacking = _lacking_bytes(placed[1])
        if lacking is not None and lacking < least:
            best, least = placed, lacking
    return best


def _lacking_bytes(held: Sequence[Finding]) -> float | None:
    """What memory and accelerators lack together; None where more of it may not be enough."""
    lacking: float = 0
    for finding in held:
        if finding.outcome is Outcome.UNKNOWN:
            return None
        if finding.outcome is Outcome.FAIL:
            if finding.short is None:
                return None
            lacking += finding.short
    return lacking


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
                accelerators=tuple(int(where.partition(":")[2]) for where in places),
                accelerator_high_bytes=sum(
                    term.high_bytes for term in terms if term.where != "host"
                ),
                host_high_bytes=sum(term.high_bytes for term in terms if term.where == "host"),
                decode=pace.decode if pace else None,
                fits=_allows(outcomes),
                judged=_to_come(question, candidate) == judged.needs,
            )
        )
    return tuple(ways) if len(ways) > 1 else ()


def _allows(outcomes: set[Outcome]) -> bool | None:
    """Whether findings of these outcomes let it run; None where that cannot be told."""
    if Outcome.FAIL in outcomes:
        return False
    return None if Outcome.UNKNOWN in outcomes else True


def _to_come(question: Question, needs: Needs) -> Needs:
    """The needs with what still has to be downloaded, where some of the files are here."""
    return (
        needs
        if question.missing_bytes is None
        else needs.replace(download_bytes=question.missing_bytes, download_range=None)
    )


def _gpu_only(question: Question) -> bool:
    return question.runtime is not None and question.runtime.wants_gpu(
        question.workload.quantization
    )


def _least_capability(question: Question) -> str | None:
    if question.runtime is None:
        return None
    return question.runtime.capability_for(question.workload.quantization)


def _rule(question: Question) -> QuantizationRule | None:
    return (
        question.runtime.rule_of(question.workload.quantization)
        if question.runtime is not None
        else None
    )


def _failed(held: Iterable[Finding | None]) -> bool:
    return any([finding is not None and finding.outcome is Outcome.FAIL for finding in held])  # noqa: C419 - quicker for so few


def ways_held(
    question: Question, needs: Needs, machine: Machine, *, deciding: bool = False
) -> Iterator[tuple[Needs, list[Finding]]]:
    """Each placement with the findings of memory and accelerator. Planning is for accelerators
    that nothing else holds. `deciding`: see `parts_of`.
    """
    basis = question.workload.memory_basis
    machine = without_others(machine, basis)
    layers = question.spec.architecture.layers if question.spec.architecture else None
    splits = (
        question.runtime is not None
        and question.runtime.splits_layers
        and question.workload.task == "generate"
    )
    stored, kept, surely = files_in_memory(question, needs, machine)
    whole: Term | None = None
    alone: tuple[str, str] | None = None
    when_tight: str | None = None
    if question.workload.task == "finetune":
        from ..needs.torch.finetune import gathered, what_to_lower, why_not_shared_out

        whole, alone, when_tight = (
            gathered(question.spec, question.workload),
            why_not_shared_out(question.workload),
            what_to_lower(question.workload),
        )
    for candidate in placements(
        needs,
        machine,
        layers,
        splits=splits,
        gpu_only=_gpu_only(question),
        least_capability=_least_capability(question),
        gathered=whole,
        may_be_tight=when_tight is not None,
    ):
        accelerator = check.accelerator_check(
            candidate,
            machine,
            question.runtime,
            _rule(question),
            now_only=basis == "available",
            alone=alone,
            when_tight=when_tight,
            has_other_runtime=question.has_other_runtime,
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
                    deciding=deciding,
                ),
                accelerator,
            ],
        )


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


def pace_and_finding(
    question: Question, placed: Needs, machine: Machine, deciding: bool = False
) -> tuple[Speed | None, Finding | None]:
    """How fast it would go, laid out like that, and the finding of it."""
    if deciding and not _may_pace_decide(question):
        return None, None
    said = _decided_by_pace if deciding else _said_of_pace
    paced: tuple[Speed | None, Finding | None] = machine.answer(
        lambda each: _paced(question, placed, each),
        lambda each: _pace_key(question, placed, each, deciding),
        (lambda answer: (said(answer), _is_in_order(answer))) if _is_rare(placed) else said,
        _decides_nothing if deciding else _is_comfortable,
        alone=_is_rare(placed),
        strength=_strength(question, placed) if deciding else None,
        worst=_rules_out,
        lacking=lambda answer: _lacking_seconds(question, answer),
        burden=(lambda: _burden(question)) if deciding and not _is_rare(placed) else None,
    )
    return paced


def _may_pace_decide(question: Question) -> bool:
    """Whether the route may rest on the pace: on that of text, where some is wanted."""
    is_text = question.read_bytes is not None and question.spec.modality not in check.MADE
    return is_text and bool(question.workload.min_tokens_per_second)


def _burden(question: Question) -> tuple[tuple[Any, ...], tuple[float, ...]] | None:
    """What is asked of a machine's pace, as words, and the numbers of a step: of two questions with
    the same words the one whose numbers are all as small or smaller takes no longer anywhere, at
    any end of the range. None where nothing such is known.
    """
    step, workload, runtime = question.step, question.workload, question.runtime
    if step.weights_bytes < LEAST_READ_BYTES or _drafted_tokens(question):
        return None
    words = (
        workload.runtime, None if runtime is None else runtime.id, workload.min_tokens_per_second,
        question.speed_stated, step.is_vague,
    )  # fmt: skip
    return words, step.burdens


def _lacking_seconds(
    question: Question, paced: tuple[Speed | None, Finding | None]
) -> float | None:
    """By how much the time of a token at the fast end is longer than what is wanted."""
    wanted, pace = question.workload.min_tokens_per_second, paced[0]
    if not wanted or pace is None or pace.decode is None:
        return None
    return 1 / pace.decode.high - 1 / wanted


def _strength(question: Question, placed: Needs) -> Callable[[Machine], Any] | None:
    """Of a pace of text what gives `strength_of` a machine."""
    if question.read_bytes is None or placed.memory is None or _drafted_tokens(question):
        return None
    return lambda machine: strength_of(machine, _laid_out(question, placed, machine))


def _laid_out(
    question: Question, placed: Needs, machine: Machine, *, as_measured: bool = False
) -> LaidOut:
    """As `laid_out`; `as_measured`: as the program that was measured uses a GPU that shares the
    RAM.
    """
    way = laid_out(placed, machine, question.runtime, question.spec.architecture, question.workload)
    return way.replace(on_shared_gpu=shared_makers(None)) if as_measured else way


def laid_out(
    placed: Needs,
    machine: Machine,
    program: RuntimeSpec | None,
    architecture: Architecture | None,
    workload: Workload,
) -> LaidOut:
    """How that program computes what is placed so; None: one that shares layers out."""
    way = _laid_out_anywhere(placed, program, architecture, workload)
    on_shared = share_on_shared(placed, machine, _layers_shared_out(program, architecture))
    return way if on_shared == way.on_shared else way.replace(on_shared=on_shared)


@remembered(128)
def _laid_out_anywhere(
    placed: Needs,
    program: RuntimeSpec | None,
    architecture: Architecture | None,
    workload: Workload,
) -> LaidOut:
    """As `laid_out`, wherever nothing limits a GPU that shares the RAM."""
    return LaidOut(
        context_tokens=workload.context_tokens,
        on_shared_gpu=shared_makers(program),
        offloaded=shares_of(placed) if placed.placement != "host" else None,
        at_once=program is not None and bool(program.tensor_parallel_option),
        operations_share=1.0 if program is None else program.operations_share,
        experts_apart=program is not None and program.leaves_experts,
        filled=share_if_filled(placed, _layers_shared_out(program, architecture)),
    )


def _rules_out(paced: tuple[Speed | None, Finding | None]) -> bool:
    """Whether it is a pace that rules a local run out."""
    return paced[1] is not None and paced[1].outcome is Outcome.FAIL


def _is_rare(placed: Needs) -> bool:
    """Whether few machines lay it out like that: how many layers lie where differs from one to the
    next.
    """
    return placed.placement == "split" and placed.offload is None


def _pace_key(
    question: Question, placed: Needs, machine: Machine, deciding: bool = False
) -> tuple[bool, Any]:
    """All that the pace depends on beside the machine, and whether that holds what it depends on of
    the machine, too: of a text that accelerators hold whole, nothing else computes it. `deciding`:
    so much of the answer counts.
    """
    spec, runtime = question.spec, question.runtime
    if question.read_bytes is None:
        terms = placed.memory.terms if placed.memory is not None else ()
        held = tuple([(term.name, term.where, term.bytes) for term in terms])
        # of other work than text many fields of the spec count
        return False, (
            deciding, id(spec), question.workload, runtime, placed.placement, placed.offload, held,
        )  # fmt: skip
    is_whole, step_key, numbers = _pace_asked(question, placed, deciding)
    if not is_whole:
        return False, (step_key, share_on_shared(placed, machine, _layers_of(question)))
    cards = machine.accelerators or ()
    rated = tuple([_rated(cards[number]) for number in numbers if number < len(cards)])
    return True, (step_key, machine.emulated_on, rated)


class _Asked(Record):
    """All that a pace depends on beside the machine, hashed once."""

    of: tuple[Any, ...]


@remembered(128)
def _pace_asked(
    question: Question, placed: Needs, deciding: bool
) -> tuple[bool, _Asked, tuple[int, ...]]:
    """Of a text: whether accelerators hold it whole, what its pace depends on beside the machine,
    and the numbers of those accelerators.
    """
    spec, runtime = question.spec, question.runtime
    way = _laid_out_anywhere(placed, runtime, spec.architecture, question.workload)
    is_whole = is_in_whole(way.offloaded or {}) and placed.placement == "accelerator"
    step_key = _Asked(
        of=(
            deciding,
            spec.modality,
            question.read_bytes,
            question.operations,
            runtime,
            question.workload,
            question.speed_stated,
            _drafted_tokens(question),
            question.drafting,
            spec.architecture,
            spec.parameters.active,
            placed.placement,
            placed.offload,
            placed.memory is None,
            tuple((way.offloaded or {}).items()),
            way.filled,
        )
    )
    return is_whole, step_key, tuple(way.offloaded or ())


def _rated(card: Accelerator) -> tuple[Any, ...]:
    """What of an accelerator tells how fast it is."""
    return (
        card.vendor, card.name, card.memory_total_bytes, card.unified, card.compute_capability,
        card.memory_bandwidth_bytes_per_second,
    )  # fmt: skip


def _layers_of(question: Question) -> int | None:
    return _layers_shared_out(question.runtime, question.spec.architecture)


def _layers_shared_out(
    program: RuntimeSpec | None, architecture: Architecture | None
) -> int | None:
    """How many layers there are, where only a part of them may be computed by a GPU."""
    splits = program is None or program.splits_layers
    return architecture.layers if splits and architecture is not None else None


def _said_of_pace(paced: tuple[Speed | None, Finding | None]) -> Any:
    """All of a pace that what is found depends on."""
    pace, finding = paced
    is_told = pace is not None and pace.decode is not None
    return None if finding is None else (finding.code, finding.outcome), is_told


def _decided_by_pace(paced: tuple[Speed | None, Finding | None]) -> Any:
    """Of a pace all that the route and what it rests on depend on."""
    finding = paced[1]
    return None if finding is None or not finding.decides else finding.outcome


def _decides_nothing(paced: tuple[Speed | None, Finding | None]) -> bool:
    """Whether it is a pace that rules nothing out, and leaves nothing open."""
    return _decided_by_pace(paced) is None


def _is_in_order(paced: tuple[Speed | None, Finding | None]) -> bool:
    """What `_layout` asks of a pace."""
    decode = None if paced[0] is None else paced[0].decode
    return decode is not None and decode.low < decode.likely < decode.high


def _is_comfortable(paced: tuple[Speed | None, Finding | None]) -> bool:
    """Whether a faster machine would be told nothing better."""
    pace, finding = paced
    if finding is None or pace is None or pace.decode is None:
        return False
    return finding.outcome is Outcome.PASS or finding.code == "speed-assumed"


def _paced(
    question: Question, placed: Needs, machine: Machine
) -> tuple[Speed | None, Finding | None]:
    if question.spec.modality in check.MADE and not _is_clip_on_gpu(question, placed):
        if placed.offload is not None:
            return None, check.made_by_parts_check(placed.offload, question.spec.modality)
        if placed.placement == "host" and not _has_shared_gpu(machine):
            return None, check.made_on_processor_check(question.spec.modality)
        return None, check.made_on_accelerator_check(question.spec.modality)
    if question.read_bytes is None:
        from .other_work import pace_of_work

        work = pace_of_work(question, placed, machine)
        if work is None:
            return None, None
        on_processor = placed.placement == "host" and not _has_shared_gpu(machine)
        return work, check.work_check(work, offload=placed.offload, on_processor=on_processor)
    pace, why = _predicted(question, placed, machine)
    return pace, _of_pace(question, placed, machine, pace, why)


def _of_pace(
    question: Question, placed: Needs, machine: Machine, pace: Speed | None, why: str
) -> Finding | None:
    """What is found of the pace of text; `why` there is none."""
    if pace is not None and pace.decode is None:
        # `how` takes long to word: it is asked for only where there is no pace
        why = pace.how
    in_ram = placed.placement != "accelerator"
    return check.speed_check(
        None if pace is None else pace.decode,
        question.workload,
        why,
        stated=question.speed_stated,
        assumed=in_ram and any(machine.assumes(fact) for fact in _PACE_SETTING),
        measure=_how_to_measure(machine) if in_ram else None,
    )


def _is_clip_on_gpu(question: Question, placed: Needs) -> bool:
    """Whether a GPU holds all of a model whose steps are counted, and the program makes the clip
    that they are counted of: what its parts in turn, or a processor, take nobody has published.
    """
    runtime = question.runtime
    is_that_clip = runtime is not None and bool(runtime.steps_option)
    is_whole = placed.placement == "accelerator" and placed.offload is None
    return is_that_clip and is_whole and question.spec.denoising is not None


def _with_whole_answer(question: Question, placed: Needs, machine: Machine, pace: Speed) -> Speed:
    """The pace with the time to the first token, and of all sequences together, where they were
    asked for and can be told.
    """
    workload = question.workload
    if workload.prompt_tokens is None and workload.parallel == 1:
        return pace
    from .batch import with_whole_answer

    def at(depth_tokens: float | None, *, as_measured: bool = False) -> Speed:
        return _pace_at(question, placed, machine, depth_tokens, as_measured=as_measured)

    in_ram = placed.placement == "host" and not uses_shared_gpu(machine, question.runtime)
    return with_whole_answer(
        pace,
        workload,
        at,
        on_processor=in_ram,
        architecture=question.spec.architecture,
        active_parameters=question.spec.parameters.active,
    )


# types of safetensors files by their names in GGUF
_STORED_AS = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}


def _pace_at(
    question: Question,
    placed: Needs,
    machine: Machine,
    depth_tokens: float | None,
    *,
    as_measured: bool = False,
) -> Speed:
    """The pace of one sequence with so many tokens in its context, None: of a short chat.
    `as_measured`: by the rules of the program that was measured, whichever is asked about.
    """
    step = question.step
    if as_measured:
        # that program has other names for the types
        stored = {_STORED_AS.get(name, name): size for name, size in step.read_bytes.items()}
        step = step.replace(read_bytes=stored, foreign=None)
    if depth_tokens is not None:
        step = step.at(depth_tokens)
    return predict_step(
        machine, step, _laid_out(question, placed, machine, as_measured=as_measured)
    )


def _drafted_tokens(question: Question) -> int:
    return 0 if question.companions is None else question.companions.drafted_tokens


def _with_draft(question: Question, placed: Needs, machine: Machine, pace: Speed) -> Speed:
    """The pace with a draft, laid out as the model is."""
    from .batch import experts_of
    from .drafting import with_draft

    draft = None
    if question.drafting is not None:
        way = _laid_out(question, placed, machine).replace(experts_apart=False)
        draft = predict_step(machine, question.drafting, way).decode
    on_processor = placed.placement == "host" and not uses_shared_gpu(machine, question.runtime)
    shared = shared_gpu_of(machine) if placed.placement == "host" else None
    return with_draft(
        pace,
        _pace_at(question, placed, machine, 0).decode,
        _drafted_tokens(question),
        draft,
        on_processor=on_processor,
        experts=experts_of(question.spec.architecture, question.spec.parameters.active),
        more_token=0.0 if shared is None or on_processor else shared.pace.more_token,
    )


def _has_shared_gpu(machine: Machine) -> bool:
    return any(device.unified for device in machine.accelerators or ())


def _predicted(question: Question, placed: Needs, machine: Machine) -> tuple[Speed | None, str]:
    """The pace; None with the reason where there is nothing to estimate it from."""
    why = "how many bytes each token reads is not known"
    if placed.memory is None and (
        machine.accelerators is None
        or any(card.unified is not True for card in machine.accelerators)
    ):
        # an accelerator with memory of its own may hold what does not say how much it takes
        return None, "where it would run is not known, because its memory need is not"
    if question.read_bytes is None:
        return None, why
    pace = _pace_at(question, placed, machine, None)
    if _drafted_tokens(question):
        return _with_draft(question, placed, machine, pace), why
    return _with_whole_answer(question, placed, machine, pace), why


def _how_to_measure(machine: Machine) -> str | None:
    """How to measure the memory bandwidth; None where it is known, or measuring is no remedy."""
    if machine.planning or machine.memory_bandwidth_bytes_per_second is not None:
        return None
    # where it was tried in vain the remedy is another
    why = machine.why_unread("memory_bandwidth_bytes_per_second")
    if "--measure" not in (why.remedy or ""):
        return None
    if machine.is_this_one:
        return "run with --measure (about a second)"
    return "record it there with `selfhost machine --measure --format json`"


class _Chosen:
    """The way that a model is laid out: the findings of memory and accelerator, the pace and its
    finding. `is_first`: no other was tried before.
    """

    __slots__ = ("held", "is_first", "pace", "placed", "speed")

    def __init__(
        self,
        placed: Needs,
        held: Sequence[Finding],
        paced: tuple[Speed | None, Finding | None],
        *,
        is_first: bool,
    ) -> None:
        self.placed, self.held, self.is_first = placed, held, is_first
        self.pace, self.speed = paced


def _first_without_a_fail(
    question: Question, needs: Needs, machine: Machine, *, deciding: bool = False
) -> _Chosen:
    slow: _Chosen | None = None
    seen = []
    every = ways_held(question, needs, machine, deciding=deciding)
    for candidate, held in every:
        seen.append((candidate, held))
        if _failed(held):
            continue
        paced = pace_and_finding(question, candidate, machine, deciding)
        if not _failed([paced[1]]):
            # which is told of, one that is idle or one that is not needed, decides nothing
            is_beside = candidate.placement in ("host", "split") and not deciding
            if is_beside and machine.accelerators:
                held = [held[0], _once_idle(question, machine, candidate, held[1], every)]
            return _Chosen(candidate, held, paced, is_first=len(seen) == 1)
        slow = slow or _Chosen(candidate, held, paced, is_first=len(seen) == 1)
    if slow is not None:
        return slow
    candidate, held = _least_bad(question, seen)
    paced = pace_and_finding(question, candidate, machine, deciding)
    return _Chosen(candidate, held, paced, is_first=candidate is seen[0][0])


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
            and not _failed(held)
        ):
            decode, is_faster = _faster_there(question, candidate, placed, machine)
            if is_faster:
                return check.once_idle(
                    chosen, held[1], (decode.low, decode.high) if decode else None
                )
    return chosen


def _faster_there(
    question: Question, there: Needs, here: Needs, machine: Machine
) -> tuple[PaceRange | None, bool]:
    """The pace laid out like the one, and whether that is, or may be, faster than the other."""
    compared: tuple[PaceRange | None, bool] = machine.answer(
        lambda each: _compared(question, there, here, each),
        lambda each: (
            False,
            tuple(_pace_key(question, way, each) for way in (there, here)),
        ),
        lambda answer: answer[1],
        lambda answer: not answer[1],
        alone=_is_rare(here),
    )
    return compared


def _compared(
    question: Question, there: Needs, here: Needs, machine: Machine
) -> tuple[PaceRange | None, bool]:
    other, own = (_paced(question, way, machine)[0] for way in (there, here))
    decode = other.decode if other else None
    if decode is None or own is None or own.decode is None:
        return decode, True
    return decode, decode.likely > own.decode.likely
