"""What is asked of one model and what was judged of it, with the route that follows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from math import inf
from typing import Any, ClassVar, Self

from ..catalogue.architecture import Architecture
from ..catalogue.offers import Offer
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.runtime_parts import CacheRule, KernelRule
from ..catalogue.spec import INCOMPLETE, ModelSpec
from ..core.records import Record, ShownRecord
from ..core.workload import Workload
from ..machine.record import Machine
from ..needs.case import Case, Companions
from ..needs.records import MemoryNeed, Needs
from ..needs.tensors import (
    UNKNOWN_ROW,
    ArchitectureRow,
    row_of,
    row_values,
    trained_tokens,
)
from . import Route, exit_code
from .checks import Finding, Outcome, checks_mended_by
from .pace import Range, Speed, Step, Wait
from .quality import Quality

__all__ = ["Finding", "Outcome", "Range", "Route", "Speed", "exit_code"]


class Room(Record):
    """How far one could go on this machine, each with everything else as judged, without moving off
    the accelerators; None where it makes no sense or nothing fits.

    `longest_context_tokens` is per sequence; `best_quantization` the one that keeps most quality,
    of those without noticeable loss the smallest; `most_parallel` the number of sequences.
    """

    longest_context_tokens: int | None = None
    best_quantization: str | None = None
    most_parallel: int | None = None


class DownloadedFiles(Record):
    """What of the files asked for is on the machine; None: not known.

    `by_path`: the runtime does not find them by itself, nor the `projector` beside them.
    """

    path: str
    size_bytes: int
    missing_bytes: int | None
    store: str | None = None
    repository: str | None = None
    tag: str | None = None
    by_path: bool = False
    projector: str | None = None
    missing_files: tuple[str, ...] = ()


class NamedFiles(Record):
    """Model files that were named: whether they `are_here`, in `formats`, or in `part`. `is_tag`:
    the name is a tag of Ollama's library, which is one file.
    """

    is_tag: bool = False
    are_here: bool = False
    formats: tuple[str, ...] = ()
    part: DownloadedFiles | None = None


NO_FILES = NamedFiles()
# whoever has no program of its own stores files as Hugging Face's libraries do
USUAL_STORE = "huggingface"


class Question(Record):
    """All that is asked of one model, every default filled in.

    - `stated`: what was asked, before defaults were filled in; `files`: those that were named.
    - `why_not_loaded` by the runtime, None where it is, and `load_remedy` what to do where no other
      would load it; `is_untold`: no source says whether it loads it. `requires_runtime`: it must
      be installed already.
    - `case`: what the memory is counted from; `needs`: the memory before it is placed. Both are
      None where it is not counted. `step`: one of decoding, None where a pace makes no sense.
    - `context_asked`: the context was stated, or follows from a long prompt.
    - `local_files`: files that were named are loaded, so they are on this machine. `here`: those
      asked for lie on it, whole or in part.
    - `companions` are loaded beside the model; `beside_bytes` of them have to be downloaded.
    - `making_bytes` lie on the disk beside the file while it is made of the published weights.
    - `chosen`: why runtime, quantization or method are others than the model's own defaults.
      `in_turn`: the types that are tried where the model does not run in its default one.
    """

    spec: ModelSpec
    workload: Workload
    stated: Workload = Workload()
    files: NamedFiles = NO_FILES
    runtime: RuntimeSpec | None = None
    why_not_loaded: str | None = None
    load_remedy: str | None = None
    is_untold: bool = False
    case: Case | None = None
    needs: Needs | None = None
    step: Step | None = None
    context_asked: bool = False
    local_files: bool = False
    here: DownloadedFiles | None = None
    companions: Companions | None = None
    beside_bytes: int = 0
    making_bytes: int = 0
    chosen: str | None = None
    in_turn: tuple[str, ...] = ()
    requires_runtime: bool = False

    @property
    def store(self) -> str:
        """The purpose of the disk that the files lie on."""
        return USUAL_STORE if self.runtime is None else self.runtime.store

    @property
    def speed_stated(self) -> bool:
        """Whether a least speed was asked for."""
        return self.stated.min_tokens_per_second is not None

    @property
    def settings(self) -> Mapping[str, str]:
        """What the options that were asked for set, by the name of what they change."""
        return {} if self.case is None else self.case.settings

    @property
    def row(self) -> ArchitectureRow:
        """The row of its architecture."""
        architecture = self.spec.architecture
        return UNKNOWN_ROW if architecture is None else row_of(architecture)

    @property
    def trained_tokens(self) -> int | None:
        """The context it was trained for, with a decoder that of both together; None: not known."""
        architecture = self.spec.architecture
        return None if architecture is None else trained_tokens(architecture, self.row)

    @property
    def unfamiliar(self) -> str | None:
        """The name of an architecture that no row describes; None where one does."""
        if self.spec.architecture is None:
            return None
        name = self.spec.architecture.row
        if row_values(name.removesuffix(INCOMPLETE)) is not None:
            return None
        return name

    @property
    def wants_gpu(self) -> bool:
        """Whether the program runs that quantization on accelerators alone."""
        if self.runtime is None:
            return False
        rule = self.runtime.rule_of(self.workload.quantization)
        is_gpu_only = rule is not None and rule.gpu_only
        return self.runtime.gpus.required or is_gpu_only

    @property
    def missing_bytes(self) -> int | None:
        """What is still to be downloaded; None where all of it is, or it is not known."""
        missing = None if self.here is None else self.here.missing_bytes
        if self.local_files:
            missing = 0
        return None if missing is None else missing + self.beside_bytes

    @property
    def kernel_rules(self) -> tuple[KernelRule, ...]:
        """What the program asks of accelerators, for this quantization and this cache."""
        if self.runtime is None:
            return ()
        cache_type = self.workload.kv_cache_type or ""
        rules = (
            self.runtime.rule_of(self.workload.quantization),
            _rule_of_cache(self.runtime.cache_rules.get(cache_type), self.spec),
        )
        return tuple(rule for rule in rules if rule is not None)


def _rule_of_cache(rule: CacheRule | None, spec: ModelSpec) -> CacheRule | None:
    """What a type of cache asks for under that model; None where the type asks for nothing."""
    model = spec.architecture
    if rule is None or model is None or rule.by_heads_capability is None:
        return rule
    least = rule.compute_capability
    if _attends_by_heads(rule, spec, model):
        least = rule.by_heads_capability
    return rule.replace(compute_capability=least, by_heads_capability=None)


def _attends_by_heads(
    rule: CacheRule,
    spec: ModelSpec,
    model: Architecture,
) -> bool:
    """Whether the kernels that attend by heads, which other GPUs have too, take all layers: they
    know heads of some lengths alone.
    """
    if model.row in rule.not_by_heads:
        return False
    if spec.modality == "vision" and model.row in rule.not_by_heads_seeing:
        return False
    for group in model.attention:
        if group.kind not in ("full", "sliding"):
            return False
        if group.key_length != group.value_length:
            return False
        if group.key_length not in rule.head_lengths:
            return False
    return True


class Report(ShownRecord):
    """An answer that a program may show. As `ShownRecord`, it imports reports only then."""

    # public names that are no keys of its JSON
    _shown_by: ClassVar[tuple[str, ...]] = ("to_json",)

    def to_json(self) -> dict[str, Any]:
        """The object that its command prints with `--format json`, as a dict for `json.dumps`."""
        from ..reports.json import fields

        return fields(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: print() shows it, to_json() gives its figures>"

    def __dir__(self) -> list[str]:
        """The names that programs may rely on: the keys of the JSON, and what shows the answer."""
        from ..reports.json import keys_of

        kind = type(self)
        name = kind.__name__
        listed = keys_of(name) or keys_of(name.lower())
        keys = listed.split() or kind._fields
        return sorted({*keys, *self._shown_by})


# it fits, and leaves the system or the accelerator little
TIGHT_CODES = ("memory-tight", "accelerator-tight")
# the checks of what memory holds
MEMORY_CHECKS = ("memory", "accelerator")
# those of how long one waits: what fails them runs, and is only too slow
PACE_CHECKS = ("speed", "wait")
# those of the model itself: what it fails on, it fails on in every type, program and machine
MODEL_CHECKS = checks_mended_by("model")
# those that no other machine mends
MACHINELESS_CHECKS = checks_mended_by("model", "program")


class Judged(Record):
    """Findings in the order of CHECKS, the needs and the speed as placed."""

    question: Question
    findings: tuple[Finding, ...]
    needs: Needs | None = None
    speed: Speed | None = None

    @property
    def workload(self) -> Workload:
        """The workload that is judged, every default filled in."""
        return self.question.workload

    @property
    def quantization(self) -> str | None:
        return self.question.workload.quantization

    def finding(self, name: str) -> Finding | None:
        """The finding of that check, None where it was not asked for."""
        for finding in self.findings:
            if finding.check == name:
                return finding
        return None

    def has(self, *codes: str) -> bool:
        """Whether one of the findings has one of these codes."""
        return any(finding.code in codes for finding in self.findings)

    def lacking_bytes(self) -> float:
        """What memory and accelerators lack together; infinite where more may not be enough."""
        lacking_bytes: float = 0
        for finding in self.findings:
            if finding.check not in MEMORY_CHECKS:
                continue
            if finding.outcome is Outcome.UNKNOWN:
                return inf
            if finding.outcome is Outcome.FAIL:
                lacking_bytes += inf if finding.short is None else finding.short
        return lacking_bytes

    @property
    def placed(self) -> Needs:
        """What it takes, placed, of a model of which that is known."""
        assert self.needs is not None
        return self.needs

    @property
    def memory(self) -> MemoryNeed | None:
        """What it takes, placed; None where that is not known."""
        return None if self.needs is None else self.needs.memory

    @property
    def placement(self) -> str | None:
        """`host`, `accelerator` or `split`; None where no need is known."""
        return self.needs.placement if self.needs is not None else None

    @property
    def offload(self) -> str | None:
        """How its parts come to an accelerator in turn; None where they do not."""
        return self.needs.offload if self.needs is not None else None

    @property
    def users_pace(self) -> Range | None:
        """Tokens a second that each user gets; None of work that is no text, or where not known."""
        return None if self.speed is None else self.speed.judged

    @property
    def waits_for_setting(self) -> bool:
        """A GPU that shares the RAM holds all of it only once a limit of the system is raised."""
        return self.placement == "host" and self.has("accelerator-partly")

    @property
    def fits(self) -> bool:
        """No `fail`, and no `unknown` that decides: the route would be local."""
        return not any(finding.decides for finding in self.findings)

    @property
    def failed(self) -> tuple[str, ...]:
        """The checks that rule a local run out."""
        findings = self.findings
        return tuple(found.check for found in findings if found.outcome is Outcome.FAIL)

    @property
    def is_on_accelerators(self) -> bool:
        """They hold all that can lie there, in memory of their own or in RAM that they share."""
        return self.placement == "accelerator" or self.has("accelerator-fits")


class Further(Record):
    """What advice works out about a verdict when somebody reads it: it takes most of the time.

    This class works out nothing: a list and an audit tell the route alone.
    """

    def setup(self) -> tuple[str, ...]:
        """The lines to type first."""
        return ()

    def commands(self) -> tuple[str, ...]:
        """The lines that download and run the model."""
        return ()

    def commands_class(self) -> str | None:
        """Whether a listing shows the file that the commands download."""
        return None

    def fine_print(self) -> tuple[str, ...]:
        """What few need to know."""
        return ()

    def room(self) -> Room | None:
        """How far one could go in each respect alone."""
        return None

    def waits(self) -> tuple[Wait, ...]:
        """How long the first token takes."""
        return ()

    def faster(self) -> tuple[Any, ...]:
        """Settings of the same program that are clearly faster."""
        return ()

    def alternatives(self) -> tuple[Alternative, ...]:
        """What runs instead, best first."""
        return ()

    def api_offers(self) -> tuple[Offer, ...]:
        """Who sells the model, or what stands in for it."""
        return ()

    def monthly_cost(self) -> Any:
        """What the stated load costs."""
        return None

    def notes(self) -> tuple[str, ...]:
        """What to know beside the answer."""
        return ()


# what a verdict works out with `further` when it is read for the first time
_WORKED_OUT = (
    "setup",
    "commands",
    "commands_class",
    "fine_print",
    "room",
    "waits",
    "faster",
    "alternatives",
    "api_offers",
    "monthly_cost",
    "notes",
)


def _restored(
    kind: type[Verdict],
    values: dict[str, Any],
    read: dict[str, Any],
) -> Verdict:
    """A verdict out of a pickle: what its `further` would work out is worked out already."""
    verdict = kind(**values)
    vars(verdict).update(read)
    return verdict


class Verdict(Judged, Report):
    """The answer for one model on one machine, and what to do about it. It has no truth value: ask
    `route` or `can_run`. `print()` shows it in one line, `rich.print()` as `selfhost check` does.

    - `route`: `local`, `api`, `neither` or `unknown`; `summary` says it in one line.
    - `findings`: one for each check, with its outcome, reason and remedy.
    - `needs`, `speed`, `quality`: what the model takes, how fast it is, what its type costs.
    - `setup`, `commands`: the lines to type first, and those that run the model.
      `commands_class` is "listed" where a listing shows the repository with the file, and
      "unlisted" where nobody verified the file.
    - `alternatives`: what runs here instead. `api_offers`: who sells it, with prices.
    - `faster`: settings of the same program that answer clearly faster, each with its command.
    - `waits`: how long the first token takes, behind the prompt that was stated, else behind a page
      and behind an agent's first prompt.
    - `room`: how far one could go with the context, the users or the type.
    - The commands, `room`, `alternatives`, `api_offers`, `monthly_cost`, `notes` and `fine_print`
      are worked out when they are read for the first time: a program that asks for the route does
      not wait for them.
    - `monthly_cost`, `shutdown`: the cost of a stated load, and the announced end of a closed
      model, with the keys of the JSON.
    - `understood_as`, `notes`, `fine_print`: how the name was understood, and what to know beside
      the answer.
    - `loaded_bits`: what one weight takes in memory; None where it takes what it does in the file.
    - `why`: in a list, why the model stands where it does. A list has no commands, alternatives,
      offers or room.

    >>> verdict = check("mistral-7b", machine="macbook air m2 16gb")
    >>> print(verdict)  # doctest: +ELLIPSIS
    RUNS: Mistral 7B Instruct v0.3 on macbook-air-m2-16gb, about ...
    >>> print(verdict.finding("weights"))
    weights: The weights are published.
    """

    _shown_by = ("finding", "summary", "to_json")
    route: Route
    asked: str
    machine: Machine
    shutdown: Any = None
    understood_as: tuple[str, ...] = ()
    # notes of the caller, which come first
    first_notes: tuple[str, ...] = ()
    quality: Quality | None = None
    loaded_bits: int | None = None
    why: str | None = None
    further: Further = Further()

    @cached_property
    def setup(self) -> tuple[str, ...]:
        """The lines to type first; () where nothing is missing."""
        return self.further.setup()

    @cached_property
    def commands(self) -> tuple[str, ...]:
        """The lines that download and run the model; () where none is known."""
        return self.further.commands()

    @cached_property
    def commands_class(self) -> str | None:
        """`listed` or `unlisted`; None where there are no commands."""
        return self.further.commands_class()

    @cached_property
    def fine_print(self) -> tuple[str, ...]:
        """What few need to know of the program, its files and the lines to type."""
        return self.further.fine_print()

    @cached_property
    def room(self) -> Room | None:
        """How far one could go in each respect alone; None where nothing is known of it."""
        return self.further.room()

    @cached_property
    def waits(self) -> tuple[Wait, ...]:
        """The waits for the first token of a text; none where no pace is known."""
        waits = self.further.waits()
        prompt_tokens = self.workload.prompt_tokens
        if waits or prompt_tokens is None or self.decode_tokens_per_second is None:
            return waits
        assert self.speed is not None
        seconds = self.speed.first_token_seconds
        return (Wait(prompt_tokens=prompt_tokens, what=None, seconds=seconds),)

    @cached_property
    def faster(self) -> tuple[Any, ...]:
        """Settings of the same program that are clearly faster (`advice.faster`)."""
        return self.further.faster()

    @cached_property
    def alternatives(self) -> tuple[Alternative, ...]:
        """What runs here instead, best first."""
        return self.further.alternatives()

    @cached_property
    def api_offers(self) -> tuple[Offer, ...]:
        """Who sells the model, or what stands in for it, the cheapest first."""
        return self.further.api_offers()

    @cached_property
    def monthly_cost(self) -> Any:
        """What the stated load costs; None where none was stated."""
        return self.further.monthly_cost()

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What to know beside the answer."""
        return self.first_notes + self.further.notes()

    def __eq__(self, other: object) -> bool:
        """Whether both decide the same, whatever of them was read."""
        if not isinstance(other, Verdict) or type(other) is not type(self):
            return NotImplemented
        return self._decided() == other._decided()

    def __hash__(self) -> int:
        return hash((type(self), *self._decided().values()))

    def _decided(self) -> dict[str, Any]:
        return {**self.__getstate__(), "further": Further()}

    def __reduce__(self) -> tuple[Any, ...]:
        """Without the catalogue, from which the rest would be worked out: all of it is, now."""
        worked_out = {name: getattr(self, name) for name in _WORKED_OUT}
        return _restored, (type(self), self._decided(), worked_out)

    @classmethod
    def conclude(
        cls,
        judged: Judged,
        machine: Machine,
        *,
        offered: bool,
        **fields: Any,
    ) -> Self:
        """As judged on that machine; `offered`: whether an API may be used and one is offered."""
        route = Route.LOCAL
        if judged.failed:
            route = Route.API if offered else Route.NEITHER
        elif not judged.fits:
            route = Route.UNKNOWN
        return cls(
            question=judged.question,
            findings=judged.findings,
            needs=judged.needs,
            speed=judged.speed,
            machine=machine,
            route=route,
            **fields,
        )

    def to_json(self) -> dict[str, Any]:
        """`selfhost.verdict/1`, as a dict for `json.dumps`."""
        from ..reports.json import verdict

        return verdict(self)

    @property
    def model(self) -> ModelSpec:
        """The model that is judged, with what is known of its files."""
        return self.question.spec

    @property
    def here(self) -> DownloadedFiles | None:
        """What of the files lies on the machine already."""
        return self.question.here

    @property
    def can_run(self) -> bool:
        """True only when the route is local."""
        return self.route is Route.LOCAL

    @property
    def can_download(self) -> bool | None:
        """Weights published and disk large enough; None where either is unknown."""
        outcomes = set()
        for name in ("weights", "disk"):
            finding = self.finding(name)
            outcomes.add(None if finding is None else finding.outcome)
        if Outcome.FAIL in outcomes:
            return False
        if None in outcomes or Outcome.UNKNOWN in outcomes:
            return None
        # of "weights-yours" nobody stated where to get them
        return None if self.has("weights-yours") else True

    @property
    def runtime(self) -> str | None:
        return self.workload.runtime

    @property
    def finetune_method(self) -> str | None:
        return self.workload.finetune_method

    @property
    def context_tokens(self) -> int | None:
        return self.workload.context_tokens

    @property
    def download_bytes(self) -> int | None:
        return self.needs.download_bytes if self.needs is not None else None

    @property
    def memory_high_bytes(self) -> int | None:
        return self.memory.high_bytes if self.memory is not None else None

    @property
    def decode_tokens_per_second(self) -> Range | None:
        return self.speed.decode if self.speed is not None else None

    @property
    def judged_tokens_per_second(self) -> Range | None:
        return self.users_pace

    @property
    def exit_code(self) -> int:
        """0, 1 or 3: see the function of this name."""
        return exit_code([self.route])

    @property
    def download_seconds(self) -> float | None:
        """At the speed that was stated; None where none was, or the size is not known."""
        return self.workload.seconds_to_download(self.download_bytes)

    @property
    def summary(self) -> str:
        """The answer in one line of plain text, as the first line of `selfhost check` gives it."""
        from ..reports.answer_words import summary

        return summary(self)

    def __repr__(self) -> str:
        return f"<Verdict {self.model.id}: {self.route}>"

    def __str__(self) -> str:
        return self.summary

    def __bool__(self) -> bool:
        raise TypeError(
            "a Verdict has no truth value: ask can_run, or route for the four answers"
        )


class Alternative(Verdict):
    """Something that would fit instead: the same model smaller or with a shorter context, or
    another model. `command` asks about it with everything that was asked before.
    """

    why: str
    command: str

    @property
    def id(self) -> str:
        return self.model.id

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def license(self) -> str | None:
        return self.model.license.id if self.model.license else None
