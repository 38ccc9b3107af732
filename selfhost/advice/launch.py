"""The values that fill the templates of commands.

A runtime's spec has its command lines as templates. `Launch` is a judged question with the runtime
whose lines are printed: most often the judged runtime. Its `values` are those of the places in a
template, and `options_needed` are the options that a line must have, so that it runs the model as
judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from math import ceil

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.runtime import BLANKS, RuntimeSpec
from ..catalogue.runtime_parts import ON_ONE_CARD, CommandLines, QuantizationRule
from ..catalogue.spec import ModelSpec, StatedWay
from ..catalogue.spec_values import TRAINED_FOR
from ..core.records import Record
from ..core.templates import fill
from ..core.workload import CacheTypes, Workload
from ..judge.devices import (
    LEFT_PERCENT,
    computes_on_shared,
    index_of,
    lent_to_gpu,
    may_compute_on,
)
from ..judge.pace.rates import shared_gpu_of
from ..judge.record import Judged, Question
from ..judge.table import FileRow
from ..machine.record import Accelerator, Machine
from ..needs.case import MICRO_BATCH_TOKENS
from ..needs.picture_size import STATED_SIZES, resized, size_asked
from ..needs.records import likely_bytes

# lines to type; () where none is known
Lines = tuple[str, ...]
# the value of each place in a template; None: a line with that place cannot be typed
Values = Mapping[str, str | None]
# figures that become such values: 0, False and "" become None
Figures = dict[str, object]
# a line is filled in steps: a path first, what was judged later
fill_partly = partial(fill, keep_unknown=True)
# formats that somebody else than the publisher of the weights makes
CONVERTED = ("gguf", "ggml", "mlx", "ctranslate2")
# a line bounds the further memory of long conversations from this share of the need on (assumed)
_WORTH_BOUNDING = 0.1


class Launch(Record):
    """A judged question on a machine, and the runtime for which command lines are written.

    `tag` is the name that the user typed for Ollama, if that tag loads the judged quantization.
    """

    judged: Judged
    catalogue: Catalogue
    machine: Machine
    runtime: RuntimeSpec
    tag: str | None

    @property
    def spec(self) -> ModelSpec:
        """The judged model."""
        return self.judged.model

    @property
    def sized_spec(self) -> ModelSpec:
        """The judged model, with the size that options state for its pictures or clips."""
        return resized(self.spec, self.stated_settings)

    @property
    def workload(self) -> Workload:
        """The judged workload, with every default filled in."""
        return self.judged.workload

    @property
    def question(self) -> Question:
        """The question that was judged, with every default filled in."""
        return self.judged.question

    @property
    def lines(self) -> CommandLines:
        """The command templates of the runtime, for a person to type."""
        return self.runtime.command_lines

    def template(self, use: str | None) -> str:
        """The line of the program for a use, a family or a kind of files; "" where it has none."""
        return self.lines.by_use.get(use or "", "")

    def for_all_users(self, several: str, one: str) -> str:
        """The line of the program for a use by several users, if there are several, or an agent
        that asks an API, and the program has one; else the line `one`.
        """
        is_served = self.workload.parallel > 1 or self.is_for_agent
        template = self.template(several) if is_served else ""
        return template or one

    @property
    def is_for_agent(self) -> bool:
        """Whether a program asks the model, and no person at a terminal: the purpose asks for a
        use, such as function calling.
        """
        return self.question.stated.wanted_use is not None

    @property
    def default_command(self) -> str:
        """The line of the program for a model of no special kind, for as many users as asked."""
        return self.for_all_users("users", self.lines.default)

    @cached_property
    def cards_used(self) -> tuple[int, ...]:
        """The numbers of the accelerators with memory of their own that hold a part of the
        model.
        """
        places = {term.where for term in self.judged.placed.on_cards.terms}
        return tuple(sorted(map(index_of, places)))

    @property
    def keeps_to_one_card(self) -> bool:
        """Whether one accelerator holds the whole model, or an option keeps the program to it, and
        the machine has further accelerators.
        """
        if len(self.cards_used) != 1:
            return False
        if len(self.cards) == 1:
            return False
        if self.judged.placement == "accelerator":
            return True
        return self.question.settings.get("split_mode") == ON_ONE_CARD

    @property
    def rule(self) -> QuantizationRule | None:
        """The runtime's rule for the judged quantization; None where the runtime has no rule for
        it.
        """
        return self.runtime.rule_of(self.workload.quantization)

    @property
    def type_row(self) -> FileRow:
        """The row of the judged type in the program."""
        return FileRow(
            spec=self.spec,
            runtime=self.runtime,
            format=self.workload.format,
            quantization=self.workload.quantization,
        )

    @property
    def is_cast(self) -> bool:
        """Whether the judged type is made while the files are loaded, where a line says so."""
        return need.is_cast(self.spec, self.runtime, self.workload.quantization)

    @property
    def has_projector(self) -> bool:
        """Whether a model that sees is loaded with the file that lets it see."""
        return self.stated_settings.get("projector") != "none"

    @property
    def quantization(self) -> str:
        """The judged type; "" where none is known."""
        return self.workload.quantization or ""

    @property
    def cards(self) -> tuple[Accelerator, ...]:
        """The accelerators of the machine, those it uses and others."""
        return self.machine.cards

    @property
    def stated_settings(self) -> dict[str, str]:
        """The values of the settings that the user's runtime options change, by the setting."""
        return self.runtime.settings_of(self.workload.runtime_options)

    @cached_property
    def values(self) -> Values:
        """The values of the places in the program's lines."""
        return _values_of(self)

    @property
    def may_crash(self) -> bool:
        """Whether the processor computes a part of the model and the runtime may crash on this
        processor.
        """
        if self.judged.placement == "accelerator":
            return False
        return bool(self.runtime.crashing_sets(self.machine.instruction_sets))


# ------------------------------------------------------------------ values


def _values_of(launch: Launch) -> Values:
    """The values of the places in a program's lines."""
    way = _stated_way(launch)
    figures = (
        _figures_of_files(launch)
        | _figures_of_model(launch)
        | _figures_of_workload(launch, way)
        | _figures_of_place(launch)
    )
    values = {name: str(figure) if figure else None for name, figure in figures.items()}
    # the word for the device may hold `{gpu_layers}`, as in llama-cpp-python
    _fill_value("device", values)
    values |= _words(launch, way, values)
    # the example input of a pipeline may hold the words
    _fill_value("input", values)
    return values


def _fill_value(name: str, values: dict[str, str | None]) -> None:
    """Fill the value `name`, which is a template itself, with the other values."""
    template = values[name]
    if template is not None:
        values[name] = fill_partly(template, values) or None


def _stated_way(launch: Launch) -> StatedWay | None:
    """The need that the spec states for parts that move to an accelerator in turn; None where the
    parts do not move.
    """
    offload = launch.judged.offload
    needs = launch.sized_spec.needs
    if needs is None:
        return None
    if offload is None or launch.runtime.memory.component_files:
        return None
    wanted = (offload, launch.workload.quantization)
    for way in needs.ways:
        if (way.offload, way.quantization) == wanted:
            return way
    return None


def _words(
    launch: Launch,
    way: StatedWay | None,
    values: Values,
) -> dict[str, str]:
    """The words that a program's lines have only for some models; "" for other models."""
    lines = launch.lines
    spec = launch.spec
    is_wanted = {
        "remote_code": spec.safety.remote_code,
        "cast": launch.is_cast,
        # without a stated way, the memory of a pipeline is counted for decoding in tiles
        "tiled": way is None or way.is_tiled,
        "chunked": way is not None and way.is_chunked,
        "variant": spec.repository in lines.variants.get(launch.quantization, ()),
        "guidance": spec.family in lines.guided_families,
        "size": not STATED_SIZES.isdisjoint(launch.stated_settings),
    }
    words = {}
    for name in BLANKS:
        words[name] = ""
        if is_wanted.get(name, True):
            words[name] = fill_partly(lines.blanks.get(name, ""), values)
    return words


def _figures_of_workload(launch: Launch, way: StatedWay | None) -> Figures:
    """The tokens, the users served at once, and the size of a picture or a video."""
    workload = launch.workload
    speed = launch.judged.speed
    at_once = workload.parallel
    if speed is not None and speed.waiting is not None:
        # users who wait for their turn are not computed in parallel
        at_once -= speed.waiting
    tokens = workload.context_tokens
    cache_types = CacheTypes.of(workload.kv_cache_type or "f16")
    size: Figures = {"height": None, "width": None, "frames": None}
    if way is not None:
        size = {"height": way.height, "width": way.width, "frames": way.frames}
    asked = None
    if not STATED_SIZES.isdisjoint(launch.stated_settings):
        asked = size_asked(launch.spec, launch.stated_settings)
    if asked is not None:
        size = {"height": asked.height, "width": asked.width, "frames": asked.frames}
    return {
        "context_tokens": tokens,
        "total_context_tokens": tokens
        and tokens * launch.runtime.contexts_of(workload),
        "parallel": at_once,
        "kv_cache_type": launch.runtime.cache_type_called(workload.kv_cache_type),
        "key_type": cache_types.keys,
        "value_type": cache_types.values,
        **size,
    }


def _figures_of_place(launch: Launch) -> Figures:
    """The template values for the place of computation: the word for the device, the number of the
    card, the layers on GPUs.
    """
    share = None
    if "memory_share" in launch.lines.options:
        share = _memory_share(launch)
    first_card = str(launch.cards_used[0]) if launch.cards_used else None
    return {
        "device": device_word(launch),
        "memory_share": share,
        "devices": len(launch.cards_used),
        "card": first_card,
        "gpu_layers": _layers_on_gpus(launch),
    }


def _layers_on_gpus(launch: Launch) -> int:
    """The number of layers that accelerators hold, by the share of the KV cache that lies there."""
    architecture = launch.spec.architecture
    if architecture is None:
        return 0
    placed = launch.judged.placed
    cache_bytes = likely_bytes(placed.terms, "kv_cache")
    on_gpus_bytes = likely_bytes(placed.on_cards.terms, "kv_cache")
    return architecture.layers * on_gpus_bytes // max(1, cache_bytes)


def _memory_share(launch: Launch) -> float | None:
    """The share of the RAM that a GPU may use: the share that is free, or the share that the model
    needs if that is more. None where no GPU shares the RAM, or the user stated the share.
    """
    machine = launch.machine
    memory = launch.judged.memory
    total = machine.memory_total_bytes
    if not total or memory is None or launch.stated_settings.get("memory_share"):
        return None
    if shared_gpu_of(machine, launch.runtime, is_used=True) is None:
        return None
    percent = LEFT_PERCENT
    free = machine.memory_available_bytes
    if free is not None:
        percent = int(free / total * 100)
    needed_percent = ceil(memory.total_bytes / total * 100)
    return max(percent, min(99, needed_percent)) / 100


def device_word(launch: Launch) -> str | None:
    """The runtime's word for where the model is placed; None where it has none."""
    devices = launch.lines.devices
    placement = launch.judged.placement
    if placement in (None, "host"):
        for key in _devices_beside_ram(launch):
            if key in devices:
                return devices[key]
        return None
    if placement == "split":
        return devices.get("split")
    first, *others = launch.cards_used
    if others:
        return devices.get("several")
    if launch.keeps_to_one_card and "one_of_several" in devices:
        return devices["one_of_several"]
    return devices.get(launch.cards[first].vendor)


def _devices_beside_ram(launch: Launch) -> list[str]:
    """The keys of device words for a model that lies in RAM, the most specific key first.

    A GPU that shares the RAM computes wherever the runtime can use it, whatever the placement is
    called.
    """
    keys = ["host"]
    for gpu in reversed(launch.cards):
        computes = computes_on_shared if gpu.vendor == "amd" else may_compute_on
        if not gpu.unified:
            continue
        if not computes(launch.runtime, gpu):
            continue
        if gpu.vendor == "nvidia":
            # PyTorch has one word for all GPUs of NVIDIA, also in a Jetson or a DGX Spark
            keys.insert(0, "nvidia")
        keys.insert(0, f"{gpu.vendor}-unified")
    return keys


def _figures_of_model(launch: Launch) -> Figures:
    """The template values that a pipeline needs of the model, and the scaling of its context."""
    spec = launch.sized_spec
    figures: Figures = {
        "components": _components_to_quantize(spec),
        "count": None if spec.denoising is None else spec.denoising.steps,
        "frames_per_second": spec.frames_per_second,
        "yarn_factor": None,
        "yarn_original_tokens": None,
        "input": _input(launch),
        "context_checkpoints": _context_checkpoints(launch),
        "batch_tokens": _batch_tokens(launch),
    }
    # only YaRN is switched on alike for all models
    architecture = spec.architecture
    if architecture is not None and architecture.yarn_original_tokens:
        original = architecture.yarn_original_tokens
        scaled = architecture.scaled_context_tokens
        if scaled:
            figures["yarn_factor"] = f"{scaled / original:g}"
            figures["yarn_original_tokens"] = original
    return figures


def _components_to_quantize(spec: ModelSpec) -> str | None:
    """The names of the large components, as a list in Python; None where there are none."""
    if not spec.components:
        return None
    from ..needs.pictures import quantized_components

    names = list(quantized_components(spec.components))
    return str(names) if names else None


def _input(launch: Launch) -> str:
    """The example input of a pipeline: the one for this model, else for models with the same first
    input and modality, else for the modality.
    """
    spec = launch.spec
    keys = [spec.id, spec.modality]
    if spec.inputs:
        keys.insert(1, f"{spec.inputs[0]}-to-{spec.modality}")
    for key in keys:
        if key in launch.lines.inputs:
            return launch.lines.inputs[key]
    return ""


def _context_checkpoints(launch: Launch) -> int | None:
    """The number of copies of a conversation that the need counts; None where the server keeps only
    a few more.
    """
    runtime = launch.runtime
    if "context_checkpoints" not in runtime.command_lines.options:
        return None
    if not bytes_worth_bounding(launch.judged, runtime):
        return None
    return runtime.memory.context_checkpoints


def bytes_worth_bounding(judged: Judged, runtime: RuntimeSpec) -> int:
    """The bytes that a server may keep of long conversations in addition to the need; 0 where they
    are few.
    """
    question = judged.question
    if judged.memory is None:
        return 0
    growth_bytes = need.more_in_conversation(question.spec, runtime, question.workload)
    if growth_bytes < _WORTH_BOUNDING * judged.memory.high_bytes:
        return 0
    return growth_bytes


def variables_hiding_cards(
    runtime: RuntimeSpec,
    question: Question,
    machine: Machine,
) -> dict[str, str]:
    """The variables that hide accelerators from the runtime, where it would see more of one maker
    than it computes on: `{"CUDA_VISIBLE_DEVICES": "0,1"}`.
    """
    most = question.most_cards
    variables = {}
    for maker, variable in runtime.gpus.hidden_by.items():
        cards = [card for card in machine.own_memory_cards if card.vendor == maker]
        if 0 < most < len(cards):
            variables[variable] = ",".join(map(str, range(most)))
    return variables


def _batch_tokens(launch: Launch) -> int:
    """Tokens of a batch that the command has to state, so that a whole text fits or prompts are
    read faster; 0 where the usual batch of the program will do.
    """
    case = launch.question.case
    if case is not None and case.format == "gguf" and case.row.encoder:
        batch = case.setup.batch
        return batch if batch > MICRO_BATCH_TOKENS else 0
    if not launch.runtime.batches.beside_ram:
        return 0
    return launch.judged.placed.batch_tokens or 0


# ------------------------------------------------------------------ values of the files


class _Conversion(Record):
    """Quantized files that somebody publishes; None: not known."""

    repository: str | None
    # the publisher's word for the type
    type_name: str | None = None
    file_name: str | None = None


def _figures_of_files(launch: Launch) -> Figures:
    """The template values for the files: repository, name, type, tag and draft. `quantized` is the
    repository of a conversion for which the runtime has a rule.
    """
    spec = launch.spec
    rule = launch.rule
    conversion = _conversion(launch)
    repository = conversion.repository
    is_converted = launch.workload.format in CONVERTED or launch.type_row.is_made_before
    if repository is None and not is_converted:
        repository = spec.repository
    type_name = conversion.type_name or launch.quantization
    if not type_name and spec.needs is not None:
        type_name = spec.needs.dtype or ""
    if device_word(launch) == launch.lines.devices.get("host"):
        type_name = launch.lines.processor_types.get(type_name, type_name)
    parts = launch.runtime.parts.get(spec.id)
    return {
        "repository": repository,
        "model_name": launch.spec.name,
        "quantized": None if rule is None else conversion.repository,
        "quantization": type_name.removeprefix(TRAINED_FOR),
        "file_name": conversion.file_name,
        "parts": None if parts is None else parts.words(launch.quantization),
        "tag": _tag(launch),
        "draft": _draft(launch),
    }


def _conversion(launch: Launch) -> _Conversion:
    """The quantized files on this machine, or else the listed files."""
    here = launch.question.here
    repository = None
    if here is not None and launch.workload.format == "gguf":
        repository = here.repository
    files = launch.type_row.listing
    if files is None or repository not in (None, files.repository):
        return _Conversion(repository=repository)
    type_name = None
    for name in files.quantizations:
        if need.canonical_quantization(name) == launch.quantization:
            type_name = name
            break
    file_name = None
    if files.repository:
        file_name = files.names.get(type_name or launch.quantization)
    return _Conversion(
        repository=files.repository, type_name=type_name, file_name=file_name
    )


def _tag(launch: Launch) -> str | None:
    """The tag by which the runtime knows the model; None where the runtime uses no tags."""
    if launch.workload.format == "ggml":
        size = launch.spec.id.removeprefix("whisper-")
        if launch.quantization == "F16":
            return size
        return f"{size}-{launch.quantization.lower()}"
    if launch.tag is not None:
        return launch.tag
    tag = launch.spec.library_tag
    if tag is not None:
        loaded_type = need.type_of_tag(launch.spec, launch.runtime, tag)
        if loaded_type == launch.workload.quantization:
            return tag
    here = launch.question.here
    if here is None:
        return None
    if launch.runtime.id != launch.workload.runtime:
        return None
    return here.tag


def _draft(launch: Launch) -> str | None:
    """The repository of the draft model, with the type if that is a GGUF file; None where no draft
    has to be downloaded.
    """
    companions = launch.question.companions
    if companions is None:
        return None
    is_gguf = launch.workload.format == "gguf"
    published = launch.question.spec.draft
    if companions.own_block and published is not None:
        return published.gguf_repository if is_gguf else published.repository
    draft = companions.draft
    if draft is None:
        return None
    if companions.draft_is_here:
        return None
    if launch.workload.format not in CONVERTED:
        return draft.repository
    type_name = companions.draft_quantization
    row = FileRow(
        spec=draft,
        runtime=launch.runtime,
        format=launch.workload.format,
        quantization=type_name,
    )
    files = row.listing
    if files is None or not files.repository:
        return None
    return f"{files.repository}:{type_name}" if is_gguf else files.repository


# ------------------------------------------------------------------ options


def options_needed(launch: Launch) -> Iterator[str]:
    """Yield the keys of the options without which a line would run the model otherwise than judged,
    in the order in which they are typed.
    """
    spec = launch.spec
    workload = launch.workload
    values = launch.values
    if spec.modality == "embedding":
        # a server of text has to be told that it embeds or ranks
        yield "reranking" if spec.main_use == "reranking" else "embedding"
    if workload.kv_cache_type not in (None, "f16"):
        yield "kv_cache_type"
    yield from _options_of_sequences(launch)
    if values["memory_share"]:
        yield "memory_share"
    if values["batch_tokens"]:
        yield "whole_batch"
    yield from _options_of_draft(launch)
    if _would_take_other_context(launch):
        yield "context_tokens"
    if values["context_checkpoints"]:
        yield "context_checkpoints"
    if launch.judged.has("context-scaled"):
        yield "yarn"
    if _must_name_shared_gpu(launch):
        yield "shared_gpu"
    if launch.may_crash:
        yield "unpacked"
    if len(launch.cards_used) > 1 and "parts_of_layers" not in launch.stated_settings:
        yield "tensor_parallel"
    if launch.keeps_to_one_card:
        yield "one_device"


def _options_of_sequences(launch: Launch) -> Iterator[str]:
    """Yield the options for the number of sequences that are computed and sampled at once."""
    is_sampled = "sequences_sampled" in launch.stated_settings
    if "lean" in launch.stated_settings and not is_sampled:
        yield "sampled"
        is_sampled = "sampled" in launch.lines.options
    if launch.workload.parallel > 1 and not is_sampled:
        yield "parallel"


def _options_of_draft(launch: Launch) -> Iterator[str]:
    """Yield the options for a draft model, or for the model's own draft block, which some programs
    load from a separate file.
    """
    draft = launch.workload.draft
    if draft is None:
        return
    if draft != need.OWN_BLOCK:
        yield "draft"
    elif launch.spec.draft is None:
        yield "mtp"
    elif "mtp_file" in launch.lines.options:
        yield "mtp_file"
    else:
        yield "mtp"
        # llama.cpp finds the draft that lies beside the model's file (common/arg.cpp)
        if launch.values["repository"] != launch.values["draft"]:
            yield "draft"


def _must_name_shared_gpu(launch: Launch) -> bool:
    """Whether the judged program computes on a GPU that shares the RAM, and the program whose lines
    are typed does so only with an option.
    """
    if "shared_gpu" not in launch.lines.variables:
        return False
    if shared_gpu_of(launch.machine, launch.question.runtime, is_used=True) is None:
        return False
    return shared_gpu_of(launch.machine, launch.runtime, is_used=True) is None


def _would_take_other_context(launch: Launch) -> bool:
    """Whether the program, left alone, would take another context than the judged one. A program
    with a usual context takes at most the trained context (llm/server.go of Ollama), and more than
    usual on large GPUs.
    """
    usual = launch.runtime.memory.default_context_tokens
    tokens = launch.workload.context_tokens
    if usual is None or tokens is None:
        return False
    if tokens <= usual and tokens == launch.question.trained_tokens:
        return False
    return tokens != usual or _lengthens_context_here(launch)


def _lengthens_context_here(launch: Launch) -> bool:
    """Whether the GPUs of this machine are so large, or may be, that the program takes a longer
    context than usual.
    """
    least_bytes = launch.runtime.memory.longer_context_gpu_bytes
    if least_bytes is None:
        return False
    lent = lent_to_gpu(launch.machine)
    shared = launch.machine.memory_total_bytes if lent is None else lent.most_bytes
    gpu_bytes = 0
    for card in launch.cards:
        size_bytes = card.memory_total_bytes
        if not size_bytes and card.unified:
            size_bytes = shared
        if size_bytes is None:
            return True
        gpu_bytes += size_bytes
    return gpu_bytes >= least_bytes
