"""Needs held against a machine -> Verdict: the findings, the route that follows, and the one place that decides the exit code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from . import findings as check
from .facts import Record
from .findings import Finding, Outcome
from .machine import Machine
from .needs.records import Needs
from .offers import Offer
from .placement import placements
from .spec import ModelSpec, RuntimeSpec
from .speed import PaceRange, Speed, predict, shares_of, with_draft
from .workload import Workload

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .costs import MonthlyCost
    from .needs.parts import Companions

__all__ = [
    "Alternative",
    "Finding",
    "Judged",
    "Outcome",
    "PaceRange",
    "Question",
    "Room",
    "Route",
    "Speed",
    "Verdict",
    "exit_code",
    "judge",
    "place",
]


class Route(StrEnum):
    """The answer: run it here, use an API, neither, or it cannot be told."""

    LOCAL = "local"
    API = "api"
    NEITHER = "neither"
    UNKNOWN = "unknown"


class Alternative(Record):
    """Something that would fit instead: the same model smaller or with a shorter context, or another model.

    `command` asks about it with everything that was asked before.
    """

    id: str
    name: str
    quantization: str | None
    context_tokens: int | None
    runtime: str | None = None
    finetune_method: str | None = None
    why: str
    command: str


class Room(Record):
    """How far one could go on this machine, each with everything else as judged; None where it makes no sense or nothing fits.

    `longest_context_tokens` is per sequence and at most what the model can use: one token more does not fit or is beyond
    that. `best_quantization` is the one that keeps most quality, `most_parallel` the number of sequences at once.
    """

    longest_context_tokens: int | None = None
    best_quantization: str | None = None
    most_parallel: int | None = None


class Question(Record):
    """All that is asked of one model, every default filled in: what `judge` takes beside the machine.

    `runtime` is None for a closed model and for a spec that names none; `read_bytes` are the weights read for one token by
    stored type, {} where that is not known and None where a pace makes no sense; `loads` is the sentence why `runtime` does
    not load the model, None when it does; `unfamiliar` an architecture that no row describes. `context_asked`: the context
    was given, not taken by default. `local_files`: the files are on this machine already. `companions` are loaded beside the model.
    """

    spec: ModelSpec
    workload: Workload
    runtime: RuntimeSpec | None = None
    loads: str | None = None
    needs: Needs | None = None
    read_bytes: Mapping[str, int] | None = None
    unfamiliar: str | None = None
    context_asked: bool = False
    local_files: bool = False
    companions: Companions | None = None


class Judged(Record):
    """What the machine's side of the verdict is: findings in the order of CHECKS, the needs and the speed as placed."""

    findings: tuple[Finding, ...]
    needs: Needs | None
    speed: Speed | None

    @property
    def fits(self) -> bool:
        """No `fail` and no `unknown` but of the speed: the route would be local."""
        return not self.failed and not self.unknown

    @property
    def failed(self) -> bool:
        """Some finding rules a local run out."""
        return any(finding.outcome is Outcome.FAIL for finding in self.findings)

    @property
    def unknown(self) -> bool:
        """Something that decides is not known; an unknown speed never decides."""
        return any(finding.outcome is Outcome.UNKNOWN and finding.check != "speed" for finding in self.findings)

    def route(self, offered: bool) -> Route:
        """The route, given whether an API may be used and one is offered."""
        if self.failed:
            return Route.API if offered else Route.NEITHER
        return Route.UNKNOWN if self.unknown else Route.LOCAL


class Verdict(Record):
    """The answer for one model on one machine. It has no truth value: ask `route` or `can_run`.

    `workload` is the one judged, every default filled in. `commands` are lines to type next, `notes` sentences about how
    the name was understood, `advice` what measurements say would make it faster here. `monthly_cost` is None where the workload
    states no load.
    """

    asked: str
    model: ModelSpec
    workload: Workload
    machine: Machine
    route: Route
    needs: Needs | None
    speed: Speed | None
    findings: tuple[Finding, ...]
    room: Room | None = None
    alternatives: tuple[Alternative, ...] = ()
    api_offers: tuple[Offer, ...] = ()
    monthly_cost: MonthlyCost | None = None
    commands: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def can_run(self) -> bool:
        """True only when the route is local."""
        return self.route is Route.LOCAL

    @property
    def can_download(self) -> bool | None:
        """Weights published and disk large enough; None where either is unknown."""
        outcomes = {finding.check: finding.outcome for finding in self.findings}
        weights, disk = outcomes.get("weights"), outcomes.get("disk")
        if Outcome.FAIL in (weights, disk):
            return False
        if weights in (None, Outcome.UNKNOWN) or disk in (None, Outcome.UNKNOWN):
            return None
        return True

    @property
    def exit_code(self) -> int:
        """0, 1 or 3: see the function of this name."""
        return exit_code([self.route])

    def finding(self, name: str) -> Finding | None:
        """The finding of that name, None where it was not asked for."""
        for finding in self.findings:
            if finding.check == name:
                return finding
        return None

    def __bool__(self) -> bool:
        raise TypeError("a Verdict has no truth value: ask verdict.can_run, or verdict.route for the four answers")


# facts that the pace in RAM rests on
_PACE_SETTING = ("memory_bandwidth_bytes_per_second", "cpu_cores_usable")


def judge(question: Question, machine: Machine) -> Judged:
    """Every finding for that question on that machine.

    A closed model gets only `weights` and the findings that were asked for, one that the runtime does not load `runtime` too.
    The placement judged is the first of accelerator, split, host without a `fail`, then one whose accelerator is unread; where
    all fail, the host's.
    """
    spec, workload = question.spec, question.workload
    about: list[Finding | None] = [
        check.weights(spec, local_files=question.local_files),
        check.license_check(spec, workload),
        check.openness_check(spec, workload),
    ]
    needs = question.needs
    if needs is None:
        if question.loads is not None:
            about.append(check.runtime_check(machine, question.runtime, loads=question.loads))
        return Judged(findings=tuple(finding for finding in about if finding), needs=None, speed=None)
    about.append(check.context(spec, workload, asked=question.context_asked))
    purpose = question.runtime.store if question.runtime else "huggingface"
    about.append(check.disk(needs, machine, purpose, nothing_missing=question.local_files))
    stored = check.stored_in_memory(needs, machine, purpose, nothing_missing=question.local_files)
    placed, held = place(question, needs, machine, stored)
    about += held
    about.append(check.cpu(needs, machine, question.runtime))
    about.append(check.runtime_check(machine, question.runtime, loads=question.loads, unfamiliar=question.unfamiliar))
    pace = None
    if question.read_bytes is not None:
        pace = predict(
            machine,
            spec.architecture,
            question.read_bytes,
            context_tokens=workload.context_tokens,
            runtime=workload.runtime,
            offloaded=shares_of(placed) if placed.placement != "host" else None,
        )
        if pace is not None and question.companions is not None and question.companions.drafted_tokens:
            pace = with_draft(pace, question.companions.drafted_tokens)
    decode = pace.decode if pace else None
    why = pace.how if pace else "there is nothing to estimate it from"
    guessed = placed.placement != "accelerator" and any(machine.assumes(fact) for fact in _PACE_SETTING)
    about.append(check.speed((decode.low, decode.high) if decode else None, workload, why, assumed=guessed))
    return Judged(findings=tuple(finding for finding in about if finding), needs=placed, speed=pace)


def place(question: Question, needs: Needs, machine: Machine, stored_bytes: int = 0) -> tuple[Needs, list[Finding]]:
    """Where the memory would lie, and the findings of memory and accelerator for that place; `stored_bytes` of files lie in RAM too."""
    layers = question.spec.architecture.layers if question.spec.architecture else None
    gpu_only = question.runtime is not None and question.runtime.gpu_only
    fallback: tuple[Needs, list[Finding]] | None = None
    splits = question.runtime is not None and question.runtime.splits_layers and question.workload.task == "generate"
    for candidate in placements(needs, machine, layers, splits=splits, gpu_only=gpu_only):
        held = [check.memory(candidate, machine, question.workload, stored_bytes), check.accelerator(candidate, machine, question.runtime)]
        if all(finding.outcome is not Outcome.FAIL for finding in held):
            return candidate, held
        if candidate.placement == "host" or fallback is None or gpu_only:
            fallback = candidate, held
    assert fallback is not None
    return fallback


def exit_code(routes: Iterable[Route], *, no_answer: bool = False, crashed: bool = False, interrupted: bool = False) -> int:
    """The process's exit code: 130 interrupted, 70 a bug, else 2 beats 1 beats 3 beats 0. Nothing judged is 2, never 0."""
    if interrupted:
        return 130
    if crashed:
        return 70
    seen = list(routes)
    if no_answer or not seen:
        return 2
    if any(route in (Route.API, Route.NEITHER) for route in seen):
        return 1
    return 3 if Route.UNKNOWN in seen else 0
