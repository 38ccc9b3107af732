"""The records of a question about one model and of the verdict on the model, with the route that
follows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, wraps
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from ..catalogue.architecture import Architecture
from ..catalogue.offers import Offer
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.runtime_parts import (
    SPLIT_BY_TENSOR,
    CacheRule,
    KernelRule,
    NamedDevice,
)
from ..catalogue.spec import INCOMPLETE, ModelSpec
from ..core.records import Record, ShownRecord, reports
from ..core.workload import DEFAULT_CONTEXT_TOKENS, FLAGS, Workload
from ..machine.gpus import UNKNOWN
from ..machine.record import Machine
from ..needs import MOST_SPLIT
from ..needs.case import NO_PROGRAM, Case, Companions
from ..needs.records import MemoryNeed, Needs
from ..needs.tensors import (
    UNKNOWN_ROW,
    ArchitectureRow,
    row_of,
    row_values,
    trained_tokens,
)
from . import Route, exit_code
from .checks import Amounts, Finding, Outcome, checks_mended_by
from .pace import Range, Speed, Step, Wait
from .quality import Quality
from .table import FileRow

if TYPE_CHECKING:
    from .ways import Way

_T = TypeVar("_T")

__all__ = ["Finding", "Outcome", "Range", "Route", "Speed", "exit_code"]


class Room(Record):
    """The limits up to which the model runs on the machine as well as judged: as surely, in as good
    a place, and with text at the stated pace, else as fast as people read.

    Each limit holds with everything else as judged. None where a limit makes no sense or nothing
    fits. `longest_context_tokens` is per sequence. `best_quantization` keeps the most quality; of
    quantizations without noticeable loss it is the smallest. `most_parallel` is the number of
    sequences.
    """

    longest_context_tokens: int | None = None
    best_quantization: str | None = None
    most_parallel: int | None = None


class DownloadedFiles(Record):
    """The requested files, as far as they lie on the machine. `missing_bytes` is None where the
    missing size is not known.

    `by_path`: the runtime finds neither the files nor the `projector` beside them by itself.
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
    """The model files that the user named: whether they `are_here`, their `formats`, and the `part`
    of them on the machine.

    `is_tag`: the name is a tag of Ollama's library, which is one file.
    """

    is_tag: bool = False
    are_here: bool = False
    formats: tuple[str, ...] = ()
    part: DownloadedFiles | None = None


NO_FILES = NamedFiles()
# programs without a store of their own keep files where Hugging Face's libraries do
USUAL_STORE = "huggingface"


class RuntimeRefusal(Record):
    """Why a runtime does not load or train a model, and the remedy where no other runtime does.

    `is_untold`: no source says whether the runtime loads the model.
    """

    why: str
    remedy: str | None = None
    is_untold: bool = False


class Question(Record):
    """A complete question about one model, with every default filled in.

    - `stated`: what the user stated. `asked`: the same with what the way of running the model adds,
      before defaults were filled in. `way`: that way; None where none was chosen.
    - `files`: the files that the user named.
    - `refusal`: why the runtime does not load or train the model; None where it does.
    - `case`, `needs`: the facts from which the memory is counted, and the memory before it is
      placed; None where the memory is not counted.
    - `step`: one step of decoding; None where a pace makes no sense.
    - `loads_named_files`: the runtime loads files on this machine that the user named.
    - `here`: the requested files on the machine, whole or in part.
    - `companions`, `beside_bytes`: models that are loaded beside the model, and the bytes to
      download for them.
    - `made_of_bytes`: the sizes of the files of which the file is made, the published weights
      first; None for a size that is not known. () where nobody has to make the file.
    - `why_chosen`: why runtime, quantization or method differ from the model's own defaults.
    - `in_turn`: the types to try where the model does not run in its default type. `usual_type`:
      the model's usual type in the program, published or not; None for no program.
    - `requires_runtime`: the runtime must be installed already.
    """

    spec: ModelSpec
    workload: Workload
    stated: Workload = Workload()
    asked: Workload = Workload()
    way: Way | None = None
    files: NamedFiles = NO_FILES
    runtime: RuntimeSpec | None = None
    refusal: RuntimeRefusal | None = None
    case: Case | None = None
    needs: Needs | None = None
    step: Step | None = None
    loads_named_files: bool = False
    here: DownloadedFiles | None = None
    companions: Companions | None = None
    beside_bytes: int = 0
    made_of_bytes: tuple[int | None, ...] = ()
    why_chosen: str | None = None
    in_turn: tuple[str, ...] = ()
    usual_type: str | None = None
    requires_runtime: bool = False

    @property
    def program(self) -> RuntimeSpec:
        """The runtime; where there is none, a stand-in without rules and options."""
        return self.runtime or NO_PROGRAM

    @property
    def making_bytes(self) -> int:
        """The bytes on the disk beside the file while it is made; 0 where nobody has to make it."""
        # a file of unknown size counts as a file
        return sum(size_bytes or 1 for size_bytes in self.made_of_bytes)

    @property
    def is_usual_type(self) -> bool:
        """Whether the files are of the model's usual type in the program."""
        return self.workload.quantization == self.usual_type

    @cached_property
    def type_row(self) -> FileRow | None:
        """The row of the files in the table of the model; None where no program is known."""
        if self.runtime is None:
            return None
        return FileRow(
            spec=self.spec,
            runtime=self.runtime,
            format=self.workload.format,
            quantization=self.workload.quantization,
        )

    @property
    def is_unlisted(self) -> bool:
        """Whether the GGUF file does not lie on the machine, and neither a known repository nor the
        program's library has it.
        """
        if self.here is not None or self.loads_named_files:
            return False
        row = self.type_row
        return row is not None and row.is_unlisted

    @property
    def store(self) -> str:
        """The purpose of the disk on which the files lie."""
        return self.program.store or USUAL_STORE

    @property
    def context_asked(self) -> bool:
        """Whether a context was asked for. A prompt beyond the default context asks for its own
        context.
        """
        if self.stated.context_tokens is not None:
            return True
        return (self.stated.tokens_with_prompt or 0) > DEFAULT_CONTEXT_TOKENS

    @property
    def speed_stated(self) -> bool:
        """Whether the user stated a minimum speed."""
        return self.stated.min_tokens_per_second is not None

    @property
    def settings(self) -> Mapping[str, str]:
        """The values that the user's options set, by the name of the setting that they change."""
        return {} if self.case is None else self.case.settings

    @property
    def row(self) -> ArchitectureRow:
        """The row of the model's architecture."""
        architecture = self.spec.architecture
        return UNKNOWN_ROW if architecture is None else row_of(architecture)

    @property
    def layers(self) -> int:
        """The number of the model's layers; 0 where it is not known."""
        architecture = self.spec.architecture
        return 0 if architecture is None else architecture.layers

    @property
    def trained_tokens(self) -> int | None:
        """The context length for which the model was trained; None where that is not known.

        For an encoder with a decoder the length counts the tokens of both.
        """
        architecture = self.spec.architecture
        return None if architecture is None else trained_tokens(architecture)

    @property
    def undescribed_architecture(self) -> str | None:
        """The name of the model's architecture where no row describes it; None where one does."""
        if self.spec.architecture is None:
            return None
        name = self.spec.architecture.row
        if row_values(name.removesuffix(INCOMPLETE)) is not None:
            return None
        return name

    @property
    def wants_gpu(self) -> bool:
        """Whether the runtime runs the quantization on accelerators only."""
        if self.program.gpus.required:
            return True
        rule = self.program.rule_of(self.workload.quantization)
        return rule is not None and rule.gpu_only

    @property
    def lets_users_wait(self) -> bool:
        """Whether there are several users, and the runtime lets those who find no room in memory
        wait for their turn.
        """
        if self.step is None or self.workload.parallel == 1:
            return False
        return self.program.batches.queues_requests

    @property
    def contexts(self) -> int:
        """The contexts of the stated length that the program keeps: one for each sequence, or one
        that all of them share.
        """
        return self.program.contexts_of(self.workload)

    @property
    def runtime_follows(self) -> tuple[str, ...]:
        """The options for whose sake the runtime was taken, where nobody named one: without them a
        runtime may be taken that runs elsewhere. Empty where there are none.
        """
        if self.runtime is None or self.stated.runtime is not None:
            return ()
        flags = []
        # the runtimes of GGUF files are taken before these for any other reason
        if "text" in self.runtime.modalities and "gguf" not in self.runtime.formats:
            for field in ("quantization", "kv_cache_type", "runtime_options"):
                if getattr(self.stated, field):
                    flags.append(FLAGS[field])
        if self.lets_users_wait:
            flags.append(f"{FLAGS['parallel']} (--users)")
        return tuple(flags)

    @property
    def stated_parts(self) -> int | None:
        """The number of accelerators over which a runtime option splits each layer; None where no
        option states it.
        """
        stated = self.settings.get("parts_of_layers")
        return None if stated is None else int(stated)

    @property
    def splits_tensors(self) -> bool:
        """Whether a runtime option splits each tensor over the accelerators."""
        return self.settings.get("split_mode") == SPLIT_BY_TENSOR

    @property
    def named_devices(self) -> tuple[NamedDevice, ...] | None:
        """The devices that a runtime option names; None where no option names a device."""
        return self.program.devices_under(self.workload.runtime_options)

    @property
    def names_one_device(self) -> bool:
        """Whether a runtime option names a single device."""
        devices = self.named_devices
        return devices is not None and len(devices) == 1

    @property
    def names_first_device(self) -> bool:
        """Whether a runtime option names the first device alone: programs number the fastest
        first.
        """
        devices = self.named_devices
        if not devices or not self.names_one_device:
            return False
        return devices[0].number == 0

    @property
    def device_makers(self) -> tuple[str, ...] | None:
        """The makers whose GPUs the device may be that a runtime option names; none where the
        option is for the CPU alone, and None where no option names a device.
        """
        return self.program.makers_under(self.workload.runtime_options)

    def may_be_device(self, maker: str) -> bool:
        """Whether an accelerator of that maker may be the device that a runtime option names. One
        of an unknown maker may be any device.
        """
        makers = self.device_makers
        if not makers:
            return makers is None
        return maker in (*makers, UNKNOWN)

    @property
    def most_cards(self) -> int:
        """The most accelerators with memory of their own that the runtime computes on; 0 for any
        number.
        """
        if self.splits_tensors:
            return MOST_SPLIT
        return self.program.gpus.most

    @property
    def missing_bytes(self) -> int | None:
        """The bytes that are still to be downloaded; None where nothing lies on the machine yet, or
        where the size is not known.
        """
        if self.loads_named_files:
            return self.beside_bytes
        if self.here is None or self.here.missing_bytes is None:
            return None
        return self.here.missing_bytes + self.beside_bytes

    @property
    def kernel_rules(self) -> tuple[KernelRule, ...]:
        """The rules that the runtime's kernels set for accelerators, for the quantization and the
        KV cache type of the workload.
        """
        rules: list[KernelRule] = []
        of_type = self.program.rule_of(self.workload.quantization)
        if of_type is not None:
            rules.append(of_type)
        cache_type = self.workload.kv_cache_type or ""
        of_cache = self.program.cache_rules.get(cache_type)
        if of_cache is not None:
            rules.append(_under_model(of_cache, self.spec))
        return tuple(rules)


def _under_model(rule: CacheRule, spec: ModelSpec) -> CacheRule:
    """The rule of a KV cache type, for the kernels that attend in the model."""
    model = spec.architecture
    if model is None or rule.by_heads_capability is None:
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
    """Whether the kernels that attend by heads take all layers of the model.

    More GPUs have these kernels, but the kernels take heads of some lengths only.
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
    """An answer that a program may show, and whose JSON it may write."""

    # public names that are not keys of the JSON
    _shown_by: ClassVar[tuple[str, ...]] = ("to_json",)

    def to_json(self) -> dict[str, Any]:
        """The object that its command prints with `--format json`, as a dict for `json.dumps`."""
        return reports().as_json(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: print() shows it, to_json() gives its figures>"

    def __dir__(self) -> list[str]:
        """The names that programs may rely on: the keys of the JSON, and what shows the answer."""
        kind = type(self)
        keys = reports().keys(kind.__name__) or kind._fields
        return sorted({*keys, *self._shown_by})


_NO_SPEED = Speed(how="")
# the model fits, but leaves little memory to the system or on the accelerator
TIGHT_CODES = ("memory-tight", "accelerator-tight")
# codes of a model beside which little memory is left, now or for good: a type larger than the usual
# one and the first model of a list must not bring them
CRAMPED_CODES = (*TIGHT_CODES, "memory-not-now", "accelerator-not-now")
# the checks that compare needs with memory
MEMORY_CHECKS = ("memory", "accelerator")
# the checks of waiting times: a model that fails one of them runs, but too slowly
PACE_CHECKS = ("speed", "wait")
# the checks of the model itself: they fail in every type, program and machine alike
MODEL_CHECKS = checks_mended_by("model")
# the checks that no other machine would pass
MACHINELESS_CHECKS = checks_mended_by("model", "program")


class Judged(Record):
    """The judgement of one question: findings in the order of CHECKS, and the needs and the speed
    as placed. A layout alone has the findings of memory, accelerators and pace only.
    """

    question: Question
    findings: tuple[Finding, ...]
    needs: Needs | None = None
    speed: Speed | None = None

    @property
    def model(self) -> ModelSpec:
        """The judged model, with the facts known of its files."""
        return self.question.spec

    @property
    def workload(self) -> Workload:
        """The judged workload, with every default filled in."""
        return self.question.workload

    @property
    def quantization(self) -> str | None:
        return self.question.workload.quantization

    def finding(self, name: str) -> Finding | None:
        """The finding of the named check; None where the check was not asked for."""
        for finding in self.findings:
            if finding.check == name:
                return finding
        return None

    @cached_property
    def _codes(self) -> frozenset[str]:
        return frozenset(finding.code for finding in self.findings)

    def has(self, *codes: str) -> bool:
        """Whether one of the findings has one of these codes."""
        return not self._codes.isdisjoint(codes)

    @property
    def memory_amounts(self) -> list[Amounts]:
        """The bytes that are compared with RAM and with accelerators, as far as they are known."""
        compared = []
        for finding in self.findings:
            if finding.check in MEMORY_CHECKS and finding.amounts is not None:
                compared.append(finding.amounts)
        return compared

    def lacking_bytes(self) -> float:
        """The bytes that memory and accelerators lack together; infinite where no amount is known
        to be enough.
        """
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
        """The placed needs of a model whose needs are known."""
        assert self.needs is not None
        return self.needs

    @property
    def memory(self) -> MemoryNeed | None:
        """The memory need as placed; None where it is not known."""
        return None if self.needs is None else self.needs.memory

    @property
    def placement(self) -> str | None:
        """`host`, `accelerator` or `split`; None where no need is known."""
        return self.needs.placement if self.needs is not None else None

    @property
    def offload(self) -> str | None:
        """The way in which the parts of the model come to an accelerator in turn; None where they
        do not.
        """
        return self.needs.offload if self.needs is not None else None

    @property
    def known_speed(self) -> Speed:
        """The speed; one of which nothing is known where the pace was not worked out."""
        return self.speed or _NO_SPEED

    @property
    def users_pace(self) -> Range | None:
        """The tokens per second that each user gets; None where they are not known, and for work
        other than text.
        """
        return self.known_speed.judged

    @property
    def decode_tokens_per_second(self) -> Range | None:
        """The tokens per second of one sequence; None where they are not known, and for work other
        than text.
        """
        return self.known_speed.decode

    @property
    def first_word_seconds(self) -> Range | None:
        """The wait for the first word behind the stated prompt; None where no prompt was stated,
        and where the wait is not known.
        """
        return self.known_speed.first_token_seconds

    @property
    def stated_wait(self) -> tuple[Wait, ...]:
        """The wait for the first word behind the stated prompt; none where no prompt was stated, or
        no pace is known.
        """
        tokens = self.workload.prompt_tokens
        if tokens is None or self.decode_tokens_per_second is None:
            return ()
        return (Wait(prompt_tokens=tokens, what=None, seconds=self.first_word_seconds),)

    @property
    def waits_for_setting(self) -> bool:
        """Whether a GPU that shares the RAM holds all of the model only once a limit of the system
        is raised.
        """
        return self.placement == "host" and self.has("accelerator-partly")

    @property
    def fits(self) -> bool:
        """Whether the route would be local: no finding is a `fail`, or an `unknown` that
        decides.
        """
        return not self.deciding

    @cached_property
    def deciding(self) -> frozenset[str]:
        """The names of the checks that rule a local run out, or leave open whether it works."""
        checks = [finding.check for finding in self.findings if finding.decides]
        return frozenset(checks)

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of the checks that rule a local run out."""
        findings = self.findings
        return tuple(found.check for found in findings if found.outcome is Outcome.FAIL)

    @property
    def is_on_accelerators(self) -> bool:
        """Whether accelerators hold all that can lie on them, in memory of their own or in shared
        RAM.
        """
        return self.placement == "accelerator" or self.has("accelerator-fits")


class DeferredAdvice(Record):
    """The advice on a verdict, which is worked out when somebody reads it, because it takes most of
    the time.

    This class works out nothing: a list and an audit tell only the route.
    """

    def setup(self) -> tuple[str, ...]:
        """The lines to type first; () where nothing is missing."""
        return ()

    def commands(self) -> tuple[str, ...]:
        """The lines that download and run the model; () where none is known."""
        return ()

    def commands_class(self) -> str | None:
        """`listed` where a listing shows the file that the commands download, else `unlisted`;
        None where there are no commands.
        """
        return None

    def fine_print(self) -> tuple[str, ...]:
        """The notes on the runtime, its files and the command lines that few users need."""
        return ()

    def room(self) -> Room | None:
        """The limit of each setting, with all others as judged; None where nothing is known."""
        return None

    def room_options(self) -> str:
        """The options to type beside a limit of `room`; "" for none."""
        return ""

    def waits(self) -> tuple[Wait, ...]:
        """The waits for the first token."""
        return ()

    def faster(self) -> tuple[Any, ...]:
        """Settings of the same program that are clearly faster (`advice.faster`)."""
        return ()

    def alternatives(self) -> tuple[Alternative, ...]:
        """The models and settings that run here instead, the best first."""
        return ()

    def of_same_model(self) -> tuple[Alternative, ...]:
        """The alternatives that are the same model, which are found without judging others."""
        return ()

    def quality(self) -> Any:
        """How good the model is, by what others measured, and what its type costs
        (`advice.measured`); None where nobody asks, as in an audit.
        """
        return None

    def api_offers(self) -> tuple[Offer, ...]:
        """The API offers of the model, or of a model in its place, the cheapest first."""
        return ()

    def monthly_cost(self) -> Any:
        """The monthly cost of the stated load; None where no load was stated."""
        return None

    def notes(self) -> tuple[str, ...]:
        """The notes beside the answer."""
        return ()


# the cached properties of a verdict that `further` works out: each has the name of its method
_WORKED_OUT = [name for name in vars(DeferredAdvice) if not name.startswith("_")]


def _later(work: Callable[[DeferredAdvice], _T]) -> cached_property[_T]:
    """The property of a verdict that the method `work` of its `further` advice works out when the
    property is first read.
    """

    @wraps(work)
    def worked_out(verdict: Verdict) -> _T:
        found: _T = getattr(verdict.further, work.__name__)()
        return found

    return cached_property(worked_out)


def _restored(
    kind: type[Verdict],
    fields: dict[str, Any],
    worked_out: dict[str, Any],
) -> Verdict:
    """The verdict from a pickle: its fields, and the stored values of its cached properties."""
    verdict = kind(**fields)
    vars(verdict).update(worked_out)
    return verdict


class Verdict(Judged, Report):
    """The answer for one model on one machine, and what to do about it. It has no truth value: ask
    `route` or `can_run`. `print()` shows it in one line, `rich.print()` as `selfhost check` does.

    - `route`: `local`, `api`, `neither` or `unknown`; `summary` says it in one line.
    - `findings`: one for each check, with its outcome, reason and remedy.
    - `needs`, `speed`, `loss`: what the model takes, how fast it is, what its type costs.
    - `quality`: how often others measured the model and which models here are about alike, beside
      what its type costs.
    - `setup`, `commands`: the lines to type first, and those that run the model.
      `commands_class` is "listed" where a listing shows the repository with the file, and
      "unlisted" where nobody verified the file.
    - `alternatives`: what runs here instead, or faster. `api_offers`: who sells it, with prices.
    - `faster`: settings of the same program that answer clearly faster, each with its command.
    - `waits`: how long the first token takes, behind the prompt that was stated, else behind a page
      and behind an agent's first prompt.
    - `room`: how far one could go with the context, the users or the type.
    - All advice on what to do is worked out when it is read for the first time: a program that
      asks for the route does not wait for it. Where a check failed, `api_offers` are worked
      out at once, for the route.
    - `monthly_cost`, `shutdown`: the cost of a stated load, and the announced end of a closed
      model, with the keys of the JSON.
    - `understood_as`, `notes`, `fine_print`: how the name was understood, and what to know beside
      the answer.
    - `asked`: the name as typed. What was asked of the model is `question.asked`.
    - `first_notes`, `further`: the caller's notes, and what works out the advice. Behind a pickle
      nothing does: the advice is stored, and a copy made by `replace` has none.
    - `loaded_bits`: what one weight takes in memory; None where it takes what it does in the file.
    - `why`: in a list, why the model stands where it does. A list has no commands, alternatives,
      offers or room.
    - `cluster`: of several machines, the link, the part of each, and what one alone does
      (`judge.cluster_choice`); None for one machine.

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
    # the caller's notes, which come first
    first_notes: tuple[str, ...] = ()
    loss: Quality | None = None
    loaded_bits: int | None = None
    why: str | None = None
    cluster: Any = None
    further: DeferredAdvice = DeferredAdvice()

    setup = _later(DeferredAdvice.setup)
    commands = _later(DeferredAdvice.commands)
    commands_class = _later(DeferredAdvice.commands_class)
    fine_print = _later(DeferredAdvice.fine_print)
    room = _later(DeferredAdvice.room)
    room_options = _later(DeferredAdvice.room_options)
    faster = _later(DeferredAdvice.faster)
    alternatives = _later(DeferredAdvice.alternatives)
    of_same_model = _later(DeferredAdvice.of_same_model)
    quality = _later(DeferredAdvice.quality)
    api_offers = _later(DeferredAdvice.api_offers)
    monthly_cost = _later(DeferredAdvice.monthly_cost)

    @property
    def has_cards_to_add(self) -> bool:
        """Whether a larger need would be divided over more accelerators than hold the model now, so
        that each reads less of it for a token.
        """
        if self.memory is None or not self.question.wants_gpu:
            return False
        used = {place.where for place in self.memory.places} - {"host"}
        return len(used) < len(self.machine.cards)

    @cached_property
    def waits(self) -> tuple[Wait, ...]:
        """The waits for the first token of a text; none where no pace is known. A verdict of a list
        or an audit has only the wait behind the stated prompt.
        """
        return self.further.waits() or self.stated_wait

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """The notes beside the answer; the caller's notes come first."""
        return self.first_notes + self.further.notes()

    def __eq__(self, other: object) -> bool:
        """Whether both verdicts decide the same, whatever parts of them were read."""
        if not isinstance(other, Verdict) or type(other) is not type(self):
            return NotImplemented
        return self._decided() == other._decided()

    def __hash__(self) -> int:
        return hash((type(self), *self._decided().values()))

    def _decided(self) -> dict[str, Any]:
        return {**self.__getstate__(), "further": DeferredAdvice()}

    def __reduce__(self) -> tuple[Any, ...]:
        """The pickled form, which holds everything worked out now. The catalogue, from which the
        advice is worked out, is left out.
        """
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
        """Return the verdict of a judgement on the machine. `offered` tells whether an API may be
        used and one is offered.
        """
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

    @property
    def here(self) -> DownloadedFiles | None:
        """The requested files that lie on the machine already; None for none."""
        return self.question.here

    @property
    def can_run(self) -> bool:
        """Whether the route is local."""
        return self.route is Route.LOCAL

    @property
    def can_download(self) -> bool | None:
        """Whether the weights are published and the disk has room for them; None where either is
        not known.
        """
        can_download: bool | None = True
        for name in ("weights", "disk"):
            finding = self.finding(name)
            if finding is None or finding.outcome is Outcome.UNKNOWN:
                can_download = None
            elif finding.outcome is Outcome.FAIL:
                return False
        # for "weights-yours" nobody stated a source of the weights
        return None if self.has("weights-yours") else can_download

    @property
    def runtime(self) -> str | None:
        return self.workload.runtime

    @property
    def finetune_method(self) -> str | None:
        return self.workload.finetune_method

    @property
    def kv_cache_type(self) -> str | None:
        return self.workload.kv_cache_type

    @property
    def context_tokens(self) -> int | None:
        return self.workload.context_tokens

    @property
    def download_bytes(self) -> int | None:
        return self.needs.download_bytes if self.needs is not None else None

    @property
    def fetched_bytes(self) -> int | None:
        """The bytes that the commands download: where the files have to be made, those of the
        published weights; None where the size is not known.
        """
        made_of_bytes = self.question.made_of_bytes
        return made_of_bytes[0] if made_of_bytes else self.download_bytes

    @property
    def memory_high_bytes(self) -> int | None:
        return self.memory.high_bytes if self.memory is not None else None

    @property
    def judged_tokens_per_second(self) -> Range | None:
        return self.users_pace

    @property
    def exit_code(self) -> int:
        """0, 1 or 3: see the function of this name."""
        return exit_code([self.route])

    @property
    def download_seconds(self) -> float | None:
        """The seconds of the download at the stated speed; None where no speed was stated, or the
        size is not known.
        """
        return self.workload.seconds_to_download(self.fetched_bytes)

    @property
    def summary(self) -> str:
        """The answer in one line of plain text, as the first line of `selfhost check` gives it."""
        return reports().summary(self)

    def __repr__(self) -> str:
        return f"<Verdict {self.model.id}: {self.route}>"

    def __str__(self) -> str:
        return self.summary

    def __bool__(self) -> bool:
        raise TypeError(
            "a Verdict has no truth value: ask can_run, or route for the four answers"
        )


class Alternative(Verdict):
    """A verdict on something that would fit instead: the same model smaller or with a shorter
    context, or another model.

    `why` tells what is given up, and what may keep it from running well. `command` asks about the
    alternative with everything that was asked before.
    """

    why: str = ""
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
