"""What the lines to type are filled with.

A program's spec has its lines as templates. `Launch` is what was judged, with the program whose
lines are typed: most often the judged one. `values_of` are the values of the places in a template,
and `options_needed` the options that a line must have, so that it runs what was judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from math import ceil

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.runtime import BLANKS, RuntimeSpec
from ..catalogue.spec import ModelSpec, StatedWay
from ..catalogue.spec_values import TRAINED_FOR
from ..core.records import Record
from ..core.templates import fill
from ..core.workload import Workload
from ..judge.devices import LEFT_PERCENT, computes_on_shared, lent_to_gpu, runs_on
from ..judge.files import listing_of
from ..judge.pace.rates import shared_gpu_of
from ..judge.record import Judged, Question
from ..machine.record import Accelerator, Machine
from ..needs.case import MICRO_BATCH_TOKENS

# the value of each place in a template; None: a line with that place cannot be typed
Values = Mapping[str, str | None]
# what may become such a value: 0, False and "" are none
Figures = dict[str, object]
# a line is filled in steps: a path first, what was judged later
fill_partly = partial(fill, keep_unknown=True)
# formats that somebody else than the publisher of the weights makes
CONVERTED = ("gguf", "ggml", "mlx", "ctranslate2")
# the share of the need from which on a line bounds what a server comes to keep
_WORTH_BOUNDING = 0.1


class Launch(Record):
    """What was judged on a machine, and the runtime whose lines are typed.

    `tag` is what Ollama calls the model in the judged quantization, where that was typed.
    `cards_used` are the accelerators with memory of their own that hold a part of the model, by
    number; `leaves_cards`: they hold all of it, and the machine has more of them.
    """

    judged: Judged
    spec: ModelSpec
    workload: Workload
    catalogue: Catalogue
    machine: Machine
    runtime: RuntimeSpec
    tag: str | None
    cards_used: tuple[int, ...]
    leaves_cards: bool

    @property
    def question(self) -> Question:
        """What was asked, with every default."""
        return self.judged.question

    @property
    def quantization(self) -> str:
        """The judged type; "" where none is known."""
        return self.workload.quantization or ""

    @property
    def cards(self) -> tuple[Accelerator, ...]:
        """The accelerators of the machine, those it uses and others."""
        return self.machine.accelerators or ()

    @property
    def settings(self) -> dict[str, str]:
        """What options of the program that were asked for make of what they change."""
        return self.runtime.settings_of(self.workload.runtime_options)

    @property
    def may_crash(self) -> bool:
        """Whether the processor computes a part of it, and the program may crash on it."""
        if self.judged.placement == "accelerator":
            return False
        return bool(self.runtime.crashing_sets(self.machine.instruction_sets))


# ------------------------------------------------------------------ values


def values_of(launch: Launch) -> dict[str, str | None]:
    """The values of the places in a program's lines."""
    way = _stated_way(launch)
    figures = (
        _figures_of_files(launch)
        | _figures_of_model(launch)
        | _figures_of_workload(launch, way)
        | _figures_of_place(launch)
    )
    values = {name: str(figure) if figure else None for name, figure in figures.items()}
    # of two devices llama-cpp-python takes a number of layers, `{gpu_layers}`
    values["device"] = fill_partly(values["device"] or "", values) or None
    values |= _words(launch, way, values)
    # what a pipeline is given has places of these words, too
    values["input"] = fill_partly(values["input"] or "", values) or None
    return values


def _stated_way(launch: Launch) -> StatedWay | None:
    """The stated need of parts that come to an accelerator in turn; None where they do not."""
    needs, offload = launch.spec.needs, launch.judged.offload
    if needs is None or offload is None:
        return None
    for way in needs.ways:
        is_judged = way.quantization == launch.workload.quantization
        if is_judged and way.offload == offload:
            return way
    return None


def _words(launch: Launch, way: StatedWay | None, values: Values) -> dict[str, str]:
    """The words that a program's lines have only for some models; "" for others."""
    spec, runtime = launch.spec, launch.runtime
    quantization = launch.quantization
    is_wanted = {
        "remote_code": spec.safety.remote_code,
        "cast": need.is_cast(spec, runtime, quantization),
        # elsewhere than in a stated way a result is decoded in tiles, as pipelines are counted
        "tiled": way is None or way.is_tiled,
        "chunked": way is not None and way.is_chunked,
        "variant": spec.repository
        in runtime.command_lines.variants.get(quantization, ()),
        "guidance": spec.family in runtime.command_lines.guided_families,
    }
    words: dict[str, str] = {}
    for name in BLANKS:
        words[name] = ""
        if is_wanted.get(name, True):
            words[name] = fill_partly(
                runtime.command_lines.blanks.get(name, ""), values
            )
    return words


def _figures_of_workload(launch: Launch, way: StatedWay | None) -> Figures:
    """The tokens, the users served at once, and the size of a picture or a video."""
    workload, speed = launch.workload, launch.judged.speed
    waiting = 0
    if speed is not None and speed.waiting is not None:
        waiting = speed.waiting
    tokens = workload.context_tokens
    return {
        "context_tokens": tokens,
        "total_context_tokens": tokens and tokens * workload.parallel,
        # those who wait for their turn are not computed at once
        "parallel": workload.parallel - waiting,
        "kv_cache_type": workload.kv_cache_type,
        "height": None if way is None else way.height,
        "width": None if way is None else way.width,
        "frames": None if way is None else way.frames,
    }


def _figures_of_place(launch: Launch) -> Figures:
    """Where it computes: the word for the device, the number of the card, the layers there."""
    share: float | None = None
    if "memory_share" in launch.runtime.command_lines.options:
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
    """As much of the layers as of the KV cache lies there."""
    architecture, needs = launch.spec.architecture, launch.judged.needs
    if architecture is None or needs is None:
        return 0
    cache = {term.where: term.bytes for term in needs.terms if term.name == "kv_cache"}
    cache_bytes = sum(cache.values())
    on_gpus_bytes = cache_bytes - cache.get("host", 0)
    return architecture.layers * on_gpus_bytes // max(1, cache_bytes)


def _memory_share(launch: Launch) -> float | None:
    """Of a GPU that shares the RAM: what the system leaves it, or what the model needs if more."""
    machine, memory = launch.machine, launch.judged.memory
    total, free = machine.memory_total_bytes, machine.memory_available_bytes
    if not total or memory is None or launch.settings.get("memory_share"):
        return None
    if shared_gpu_of(machine, launch.runtime, is_used=True) is None:
        return None
    left_percent = LEFT_PERCENT if free is None else int(free / total * 100)
    needed_percent = min(99, ceil(memory.total_bytes / total * 100))
    return max(left_percent, needed_percent) / 100


def device_word(launch: Launch) -> str | None:
    """The runtime's word for where the model is placed; None where it has none."""
    devices, placement = launch.runtime.command_lines.devices, launch.judged.placement
    if placement in (None, "host"):
        for key in _devices_beside_ram(launch):
            if key in devices:
                return devices[key]
        return None
    if placement == "split":
        return devices.get("split")
    if len(launch.cards_used) > 1:
        return devices.get("several")
    (number,) = launch.cards_used
    return devices.get(launch.cards[number].vendor)


def _devices_beside_ram(launch: Launch) -> list[str]:
    """What computes a model that lies in RAM, the nearest word first. A GPU that shares the RAM is
    used where the program can, whatever the placement is called.
    """
    keys = ["host"]
    for gpu in reversed(launch.cards):
        computes = computes_on_shared if gpu.vendor == "amd" else runs_on
        if not gpu.unified or not computes(launch.runtime, gpu):
            continue
        if gpu.vendor == "nvidia":
            # PyTorch calls all of NVIDIA's alike, in a Jetson or a DGX Spark as on a card
            keys.insert(0, "nvidia")
        keys.insert(0, f"{gpu.vendor}-unified")
    return keys


def _figures_of_model(launch: Launch) -> Figures:
    """What a pipeline needs to know of the model, and how far its context is scaled."""
    spec, denoising = launch.spec, launch.spec.denoising
    figures: Figures = {
        "components": _components_to_quantize(spec),
        "count": None if denoising is None else denoising.steps,
        "frames_per_second": spec.frames_per_second,
        "yarn_factor": None,
        "yarn_original_tokens": None,
        "input": _input(launch),
        "context_checkpoints": _checkpoints_kept(launch),
        "batch_tokens": _batch_tokens(launch),
    }
    # how to switch another scaling than YaRN on differs from model to model
    architecture = spec.architecture
    original = None if architecture is None else architecture.yarn_original_tokens
    scaled = None if architecture is None else architecture.scaled_context_tokens
    if original and scaled:
        figures["yarn_factor"] = f"{scaled / original:g}"
        figures["yarn_original_tokens"] = original
    return figures


def _components_to_quantize(spec: ModelSpec) -> str | None:
    """The names of the large components, as a list of Python."""
    if not spec.components:
        return None
    from ..needs.pictures import quantized_components

    names = list(quantized_components(spec.components))
    return str(names) if names else None


def _input(launch: Launch) -> str:
    """What a pipeline is given: of this model, of those with the same first input and modality, or
    of its modality.
    """
    spec, inputs = launch.spec, launch.runtime.command_lines.inputs
    keys = [spec.id, spec.modality]
    if spec.inputs:
        keys.insert(1, f"{spec.inputs[0]}-to-{spec.modality}")
    for key in keys:
        if key in inputs:
            return inputs[key]
    return ""


def _checkpoints_kept(launch: Launch) -> int | None:
    """How many copies of a conversation the need counts, where the server keeps many more."""
    runtime = launch.question.runtime
    if runtime is None or "checkpoints" not in runtime.command_lines.options:
        return None
    if not bytes_worth_bounding(launch.judged, runtime):
        return None
    return runtime.memory.context_checkpoints


def bytes_worth_bounding(judged: Judged, runtime: RuntimeSpec) -> int:
    """What a server comes to keep of long conversations beside the need; 0 where that is little."""
    question = judged.question
    if judged.memory is None:
        return 0
    more = need.more_in_conversation(question.spec, runtime, question.workload)
    return more if more >= _WORTH_BOUNDING * judged.memory.high_bytes else 0


def _batch_tokens(launch: Launch) -> int:
    """Tokens of a batch that the command has to state: one that holds a whole text, or that reads
    prompts faster; 0 where the usual ones or the program's own do.
    """
    case, needs = launch.question.case, launch.judged.needs
    if case is not None and case.format == "gguf" and case.row.encoder:
        return case.room.batch if case.room.batch > MICRO_BATCH_TOKENS else 0
    if needs is None or not launch.runtime.batches.beside_ram:
        return 0
    return needs.batch_tokens or 0


# ------------------------------------------------------------------ values of the files


class _Conversion(Record):
    """Quantized files that somebody publishes; None: not known."""

    repository: str | None
    # the publisher's word for the type
    type_name: str | None = None
    file_name: str | None = None


def _figures_of_files(launch: Launch) -> Figures:
    """`quantized` is the repository of a conversion that the runtime has a rule for."""
    spec, workload, runtime = launch.spec, launch.workload, launch.runtime
    quantization = launch.quantization
    rule = runtime.rule_of(quantization)
    conversion = _conversion(launch)
    is_made_before = rule is not None and not rule.at_load
    repository = conversion.repository
    if repository is None and workload.format not in CONVERTED and not is_made_before:
        repository = spec.repository
    stated_type = None if spec.needs is None else spec.needs.dtype
    type_name = conversion.type_name or quantization or stated_type or ""
    parts = runtime.parts.get(spec.id)
    return {
        "repository": repository,
        "quantized": None if rule is None else conversion.repository,
        "quantization": type_name.removeprefix(TRAINED_FOR),
        "file_name": conversion.file_name if conversion.repository else None,
        "parts": None if parts is None else parts.words(quantization),
        "tag": _tag(launch),
        "draft": _draft(launch.question),
    }


def _conversion(launch: Launch) -> _Conversion:
    """The quantized files that lie here, else those that are listed."""
    here, quantization = launch.question.here, launch.quantization
    repository: str | None = None
    if here is not None and launch.workload.format == "gguf":
        repository = here.repository
    files = listing_of(launch.spec, launch.workload)
    if files is None or repository not in (None, files.repository):
        return _Conversion(repository=repository)
    type_name: str | None = None
    for name in files.quantizations:
        if need.canonical_quantization(name) == quantization:
            type_name = name
            break
    file_name = files.names.get(type_name or quantization)
    return _Conversion(
        repository=files.repository, type_name=type_name, file_name=file_name
    )


def _tag(launch: Launch) -> str | None:
    """What the program calls the model, where it knows models by tags."""
    spec, workload, runtime = launch.spec, launch.workload, launch.runtime
    if workload.format == "ggml":
        size = spec.id.removeprefix("whisper-")
        if launch.quantization == "F16":
            return size
        return f"{size}-{launch.quantization.lower()}"
    if launch.tag is not None:
        return launch.tag
    tag = spec.library_tag
    if tag is not None:
        _, usual = need.default_format_and_quantization(spec, runtime)
        if runtime.library_tags.quantizations.get(tag, usual) == workload.quantization:
            return tag
    here = launch.question.here
    if here is None or runtime.id != workload.runtime:
        return None
    return here.tag


def _draft(question: Question) -> str | None:
    """The repository of the model that drafts, with its type where it is a GGUF file; None where
    none has to be fetched.
    """
    companions, published = question.companions, question.spec.draft
    is_gguf = question.workload.format == "gguf"
    if companions is None:
        return None
    if companions.own_block and published is not None:
        return published.gguf_repository if is_gguf else published.repository
    draft = companions.draft
    if draft is None or companions.draft_is_here:
        return None
    if not is_gguf:
        return draft.repository
    listed = need.published(draft, "gguf", companions.draft_quantization)
    repository = None if listed is None else listed[1].repository
    return f"{repository}:{companions.draft_quantization}" if repository else None


# ------------------------------------------------------------------ options


def options_needed(launch: Launch, values: Values) -> list[str]:
    """The keys of the options without which a line would run something else than was judged, in
    the order in which they are typed.
    """
    return list(_options_needed(launch, values))


def _options_needed(launch: Launch, values: Values) -> Iterator[str]:
    spec, workload = launch.spec, launch.workload
    if spec.modality == "embedding":
        # a server of text has to be told that it embeds or ranks
        main_use = spec.uses[0] if spec.uses else ""
        yield "reranking" if main_use == "reranking" else "embedding"
    if workload.kv_cache_type not in (None, "f16"):
        yield "kv_cache_type"
    yield from _options_of_sequences(launch)
    if values["memory_share"]:
        yield "memory_share"
    if values["batch_tokens"]:
        yield "whole_batch"
    yield from _options_of_draft(launch, values)
    if _must_state_context(launch):
        yield "context_tokens"
    if values["context_checkpoints"]:
        yield "checkpoints"
    if launch.judged.has("context-scaled"):
        yield "yarn"
    if _must_name_shared_gpu(launch):
        yield "shared_gpu"
    if launch.may_crash:
        yield "unpacked"
    if len(launch.cards_used) > 1:
        yield "tensor_parallel"
    if len(launch.cards_used) == 1 and launch.leaves_cards:
        yield "one_device"


def _options_of_sequences(launch: Launch) -> Iterator[str]:
    """How many users are computed at once, and whether all of them are sampled at once."""
    needs, runtime = launch.judged.needs, launch.runtime
    is_lean = needs is not None and needs.is_lean
    is_told = "sequences_sampled" in launch.settings
    if is_lean:
        yield "lean"
    if is_lean and not is_told:
        yield "sampled"
    is_sampled = is_told or (is_lean and "sampled" in runtime.command_lines.options)
    if launch.workload.parallel > 1 and not is_sampled:
        yield "parallel"


def _options_of_draft(launch: Launch, values: Values) -> Iterator[str]:
    """A draft model, or the model's own block, which some programs load from a file beside it."""
    draft = launch.workload.draft
    if draft is None:
        return
    if draft != need.OWN_BLOCK:
        yield "draft"
    elif launch.spec.draft is None:
        yield "mtp"
    elif "mtp_file" in launch.runtime.command_lines.options:
        yield "mtp_file"
    else:
        yield "mtp"
        # llama.cpp finds the draft that lies beside the model's file (common/arg.cpp)
        if values["repository"] != values["draft"]:
            yield "draft"


def _must_name_shared_gpu(launch: Launch) -> bool:
    """Whether the judged program computes on a GPU that shares the RAM, and this one does not
    unless it is told to.
    """
    if "shared_gpu" not in launch.runtime.command_lines.settings:
        return False
    judged_program = launch.question.runtime
    if shared_gpu_of(launch.machine, judged_program, is_used=True) is None:
        return False
    return shared_gpu_of(launch.machine, launch.runtime, is_used=True) is None


def _must_state_context(launch: Launch) -> bool:
    """Whether the program would take another context than was judged. It cuts its own to what the
    model was trained for (llm/server.go of Ollama), and takes more by itself on large GPUs.
    """
    usual = launch.runtime.memory.default_context_tokens
    tokens = launch.workload.context_tokens
    if usual is None or tokens is None:
        return False
    if tokens <= usual and tokens == launch.question.trained_tokens:
        return False
    return tokens != usual or _takes_more_by_itself(launch)


def _takes_more_by_itself(launch: Launch) -> bool:
    """Whether the GPUs are large enough, or may be, for a longer context than the usual one."""
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
