"""The values that fill the lines of a program.

A runtime's spec has its command lines as templates. `Launch` is a judged question with the runtime
whose lines are printed: most often the judged runtime. `Launch.filled` fills a template, and
`options_needed` are the options that a line must have, so that it runs the model as judged.

The places of a template have two kinds of values. Facts are what was judged: `_facts` lists them.
Words are texts of the program for a device, for an example input, or for what only some models
need: they are templates themselves, which facts fill.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from math import ceil

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.runtime_parts import ON_ONE_CARD, CommandLines, QuantizationRule
from ..catalogue.spec import ModelSpec, PublishedFiles, StatedWay
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
    named_cards,
)
from ..judge.pace.rates import shared_gpu_of
from ..judge.record import Judged, Question
from ..judge.table import FileRow
from ..judge.ways import row_of
from ..machine.record import Accelerator, Machine
from ..needs.case import MICRO_BATCH_TOKENS, stored_type
from ..needs.picture_size import STATED_SIZES, PictureSize, resized, size_asked
from ..needs.records import likely_bytes

# lines to type; () where none is known
Lines = tuple[str, ...]
# the value of each place in a template; None: a line with that place cannot be typed
Values = Mapping[str, str | None]
# a line is filled in steps: a path first, what was judged later. The text is "" where a value is
# None; a place without a value stays
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
    tag: str | None = None

    @property
    def spec(self) -> ModelSpec:
        """The judged model."""
        return self.judged.model

    @property
    def workload(self) -> Workload:
        """The judged workload, with every default filled in."""
        return self.judged.workload

    @property
    def question(self) -> Question:
        """The question that was judged, with every default filled in."""
        return self.judged.question

    @property
    def quantization(self) -> str:
        """The judged type; "" where none is known."""
        return self.workload.quantization or ""

    @property
    def lines(self) -> CommandLines:
        """The command templates of the runtime, for a person to type."""
        return self.runtime.command_lines

    @property
    def stated_settings(self) -> dict[str, str]:
        """The values of the settings that the user's runtime options change, by the setting."""
        return self.runtime.settings_of(self.workload.runtime_options)

    # ------------------------------------------------------------------ templates

    @cached_property
    def values(self) -> Values:
        """The values of the places in the program's lines."""
        return _values_of(self)

    def filled(self, template: str, further: Mapping[str, object] = {}) -> str:
        """The template with its values, and with `further` ones; "" where one is not known."""
        return fill_partly(template, {**self.values, **further})

    def template(self, use: str | None) -> str:
        """The line of the program for a use, a family or a kind of files; "" where it has none."""
        return self.lines.by_use.get(use or "", "")

    def for_all_users(self, several: str, one: str) -> str:
        """The line of the program for a use by several users, if there are several, or an agent
        that asks an API, and the program has one; else the line `one`.
        """
        # the purpose of an agent asks for a use, such as function calling
        is_for_agent = self.question.stated.wanted_use is not None
        if self.workload.parallel > 1 or is_for_agent:
            return self.template(several) or one
        return one

    @property
    def default_command(self) -> str:
        """The line of the program for a model of no special kind, for as many users as asked."""
        return self.for_all_users("users", self.lines.default)

    # ------------------------------------------------------------------ files

    @property
    def rule(self) -> QuantizationRule | None:
        """The runtime's rule for the judged quantization; None where the runtime has no rule for
        it.
        """
        return self.runtime.rule_of(self.workload.quantization)

    @property
    def type_row(self) -> FileRow:
        """The row of the judged type in the program."""
        return row_of(self.question).replace(runtime=self.runtime)

    @property
    def is_cast(self) -> bool:
        """Whether the judged type is made while the files are loaded, where a line says so."""
        return need.is_cast(self.spec, self.runtime, self.workload.quantization)

    @property
    def has_projector(self) -> bool:
        """Whether a model that sees is loaded with the file that lets it see."""
        return self.stated_settings.get("projector") != "none"

    # ------------------------------------------------------------------ the machine

    @property
    def cards(self) -> tuple[Accelerator, ...]:
        """The accelerators of the machine, those it uses and others."""
        return self.machine.cards

    @cached_property
    def cards_used(self) -> tuple[int, ...]:
        """The numbers of the accelerators with memory of their own that hold a part of the
        model.
        """
        places = {term.where for term in self.judged.placed.on_cards.terms}
        return tuple(sorted(map(index_of, places)))

    @property
    def computing_cards(self) -> list[Accelerator]:
        """The accelerators that hold a part of the model, or that compute a model in RAM."""
        if self.cards_used:
            return [self.cards[number] for number in self.cards_used]
        if self.runtime.gpus.required:
            return list(self.cards)
        cards = []
        for card in self.cards:
            if card.unified and computes_on_shared(self.runtime, card):
                cards.append(card)
        return cards

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
    def numbers_cards(self) -> bool:
        """Whether options state numbers of accelerators, or shares in their order. The first device
        alone is the fastest, whatever its number.
        """
        if "gpu_shares" in self.stated_settings:
            return True
        devices = self.question.named_devices
        if devices is None:
            return self.keeps_to_one_card
        return bool(devices) and not self.question.names_first_device

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
    """The values of the places in a program's lines: the facts, and the words that they fill."""
    lines = launch.lines
    facts = _facts(launch)
    values: dict[str, str | None] = {}
    for name, fact in facts.items():
        values[name] = str(fact) if fact else None
    # the word for a device may be the number of layers on it, as in llama-cpp-python
    values["device"] = fill_partly(device_word(launch) or "", values) or None
    for name, text in lines.blanks.items():
        # words that have the name of a fact stand where the fact holds
        values[name] = fill_partly(text, values) if facts.get(name, True) else ""
    # the example input of a pipeline has places for these words
    values["input"] = fill_partly(_input(launch), values) or None
    return values


def _facts(launch: Launch) -> dict[str, object]:
    """What was judged, by the names of the places in lines. A fact is 0, False, "" or None where it
    is not known or does not hold.
    """
    spec = launch.spec
    runtime = launch.runtime
    workload = launch.workload
    tokens = workload.context_tokens or 0
    cache_types = CacheTypes.of(workload.kv_cache_type or "f16")
    return {
        # the files
        "model_name": spec.name,
        **_facts_of_files(launch),
        "parts": _part_options(launch),
        "tag": _tag(launch),
        "draft": _draft(launch),
        "drafted_tokens": _drafted_tokens(launch),
        "remote_code": spec.safety.remote_code,
        "cast": launch.is_cast,
        "input_type": _input_type(launch),
        # the tokens and the users
        "context_tokens": tokens,
        "total_context_tokens": tokens * runtime.contexts_of(workload),
        **_facts_of_yarn(spec),
        "parallel": _users_at_once(launch),
        "kv_cache_type": runtime.cache_type_called(workload.kv_cache_type),
        "key_type": cache_types.keys,
        "value_type": cache_types.values,
        "context_checkpoints": _context_checkpoints(launch),
        "flash_attention": launch.stated_settings.get("flash_attention"),
        "batch_tokens": _batch_tokens(launch),
        # the machine
        "devices": len(launch.cards_used),
        "card": _first_card(launch),
        "gpu_layers": _layers_on_gpus(launch),
        "memory_share": _memory_share(launch),
        **_facts_of_pipeline(launch),
    }


def _first_card(launch: Launch) -> str | None:
    """The number of the first accelerator that holds a part of the model, as the program numbers
    those that it sees: an option that names devices leaves it these alone.
    """
    if not launch.cards_used:
        return None
    first = launch.cards_used[0]
    if launch.question.names_one_device:
        return "0"
    seen = named_cards(launch.question, launch.machine)
    if seen is None:
        return str(first)
    return str(seen.index(first))


# ------------------------------------------------------------------ facts of the files


def _facts_of_files(launch: Launch) -> dict[str, object]:
    """The files that a line downloads: those on this machine, the listed ones, or those of the
    publisher.

    `quantized` is the repository of a conversion for which the runtime has a rule. `quantization`
    is the publisher's word for the type, or the one that the program computes in.
    """
    spec = launch.spec
    row = launch.type_row
    listing = row.listing
    found = row.repository
    here = launch.question.here
    if here is not None and row.format == "gguf":
        own = here.repository or found
        if own != found:
            # nobody lists the files that lie here
            found = own
            listing = None
    repository = found
    if found is None and row.format not in CONVERTED and not row.is_made_before:
        repository = spec.repository
    type_name = launch.quantization
    file_name = None
    if listing is not None:
        type_name = _called_in(listing, launch.quantization)
        if listing.repository:
            file_name = listing.names.get(type_name)
    if not type_name and spec.needs is not None:
        type_name = spec.needs.dtype or ""
    if device_word(launch) == launch.lines.devices.get("host"):
        type_name = launch.lines.processor_types.get(type_name, type_name)
    return {
        "repository": repository,
        "quantized": None if launch.rule is None else found,
        "quantization": type_name.removeprefix(TRAINED_FOR),
        "file_name": file_name,
    }


def _input_type(launch: Launch) -> str | None:
    """What the line that makes the judged type calls the type of the published weights; None where
    no rule says it.
    """
    if launch.rule is None:
        return None
    published = stored_type(launch.spec.architecture)
    return launch.rule.made_from.get(published)


def _called_in(listing: PublishedFiles, quantization: str) -> str:
    """What the publisher of the files calls a type."""
    for name in listing.quantizations:
        if need.canonical_quantization(name) == quantization:
            return name
    return quantization


def _part_options(launch: Launch) -> str | None:
    """The options that load a model of several files; None where the program loads it as one."""
    parts = launch.runtime.parts.get(launch.spec.id)
    return None if parts is None else parts.words(launch.quantization)


def _tag(launch: Launch) -> str | None:
    """The tag by which the runtime knows the model; None where the runtime uses no tags."""
    if launch.workload.format == "ggml":
        size = launch.spec.id.removeprefix("whisper-")
        if launch.quantization == "F16":
            return size
        return f"{size}-{launch.quantization.lower()}"
    if launch.tag is not None:
        return launch.tag
    if launch.type_row.has_tag:
        return launch.spec.library_tag
    here = launch.question.here
    if here is None or launch.runtime != launch.question.runtime:
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
    if not row.repository:
        return None
    return f"{row.repository}:{type_name}" if is_gguf else row.repository


def _drafted_tokens(launch: Launch) -> int:
    """The tokens that the draft proposes at once; 0 without a draft."""
    companions = launch.question.companions
    if companions is None:
        return 0
    return companions.drafted_tokens


# ------------------------------------------------------------------ facts of tokens and users


def _users_at_once(launch: Launch) -> int:
    """The users that are served at once; others wait for their turn."""
    users = launch.workload.parallel
    speed = launch.judged.speed
    if speed is None or speed.waiting is None:
        return users
    return users - speed.waiting


def _facts_of_yarn(spec: ModelSpec) -> dict[str, object]:
    """The context from which YaRN scales, which alone is switched on alike for all models, and how
    many times that is the scaled one.
    """
    facts: dict[str, object] = {"yarn_factor": None, "yarn_original_tokens": None}
    architecture = spec.architecture
    if architecture is None:
        return facts
    original = architecture.yarn_original_tokens
    scaled = architecture.scaled_context_tokens
    if original and scaled:
        facts["yarn_factor"] = f"{scaled / original:g}"
        facts["yarn_original_tokens"] = original
    return facts


def _context_checkpoints(launch: Launch) -> int | None:
    """The number of copies of a conversation that the need counts; None where the server keeps only
    a few more.
    """
    if not bytes_worth_bounding(launch):
        return None
    return launch.runtime.memory.context_checkpoints


def bytes_worth_bounding(launch: Launch) -> int:
    """The bytes that a server may keep of long conversations in addition to the need; 0 where they
    are few.
    """
    memory = launch.judged.memory
    if memory is None:
        return 0
    growth_bytes = need.more_in_conversation(
        launch.spec, launch.runtime, launch.workload
    )
    if growth_bytes < _WORTH_BOUNDING * memory.high_bytes:
        return 0
    return growth_bytes


def _batch_tokens(launch: Launch) -> int:
    """Tokens of a batch that the command has to state, so that a whole text fits or prompts are
    read faster; 0 where the usual batch of the program will do.
    """
    case = launch.question.case
    if case is not None and case.format == "gguf" and case.row.encoder:
        batch = case.setup.micro_batch_limit
        return batch if batch > MICRO_BATCH_TOKENS else 0
    if not launch.runtime.batches.beside_ram:
        return 0
    return launch.judged.placed.batch_tokens or 0


# ------------------------------------------------------------------ facts of the machine


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
    if not total or memory is None:
        return None
    if launch.stated_settings.get("memory_share"):
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
    for key in _devices(launch):
        if key in launch.lines.devices:
            return launch.lines.devices[key]
    return None


def _devices(launch: Launch) -> list[str]:
    """The keys of the words for where the model is placed, the most specific key first.

    A GPU that shares the RAM computes wherever the runtime can use it, whatever the placement is
    called.
    """
    if launch.judged.placement == "split":
        return ["split"]
    keys = []
    if launch.judged.placement == "accelerator":
        first, *others = launch.cards_used
        if others:
            return ["several"]
        if launch.keeps_to_one_card:
            keys.append("one_of_several")
        return [*keys, launch.cards[first].vendor]
    for gpu in launch.cards:
        if not gpu.unified:
            continue
        if not _computes_on(launch.runtime, gpu):
            continue
        keys.append(f"{gpu.vendor}-unified")
        if gpu.vendor == "nvidia":
            # PyTorch has one word for all GPUs of NVIDIA, also in a Jetson or a DGX Spark
            keys.append("nvidia")
    return [*keys, "host"]


def _computes_on(runtime: RuntimeSpec, gpu: Accelerator) -> bool:
    """Whether the runtime computes on a GPU that shares the RAM."""
    if gpu.vendor == "amd":
        # ROCm has builds for few of AMD's GPUs that share the RAM (`gpus.sharing`); PyTorch
        # computes on all of Apple's and NVIDIA's
        return computes_on_shared(runtime, gpu)
    return may_compute_on(runtime, gpu)


def variables_hiding_cards(launch: Launch) -> dict[str, str]:
    """The variables that hide accelerators from the runtime, where it would see more of one maker
    than it computes on: `{"CUDA_VISIBLE_DEVICES": "0,1"}`.
    """
    most = launch.question.most_cards
    own_memory_cards = launch.machine.own_memory_cards
    variables = {}
    for maker, variable in launch.runtime.gpus.hidden_by.items():
        cards = [card for card in own_memory_cards if card.vendor == maker]
        if 0 < most < len(cards):
            variables[variable] = ",".join(map(str, range(most)))
    return variables


def variables_stated(launch: Launch) -> list[str]:
    """The variables of the environment that state options, each as `NAME=value`."""
    variables = []
    for name in launch.workload.runtime_options:
        option = launch.runtime.named_options.get(name)
        if option is not None and option.variable:
            variables.append(option.variable)
    return variables


# ------------------------------------------------------------------ facts of a pipeline


def _facts_of_pipeline(launch: Launch) -> dict[str, object]:
    """What the line of a pipeline of components states."""
    spec = launch.spec
    lines = launch.lines
    settings = launch.stated_settings
    # as if the stated size were the model's own
    sized = resized(spec, settings)
    way = _stated_way(launch, sized)
    facts: dict[str, object] = {
        "size": not STATED_SIZES.isdisjoint(settings),
        "count": None if sized.denoising is None else sized.denoising.steps,
        "frames_per_second": sized.frames_per_second,
        "components": _components_to_quantize(sized),
        # without a stated way, the memory of a pipeline is counted for decoding in tiles
        "tiled": True,
        "chunked": False,
        "variant": spec.repository in lines.variants.get(launch.quantization, ()),
        "guidance": spec.family in lines.guided_families,
        **dict.fromkeys(("height", "width", "frames")),
    }
    made: PictureSize | StatedWay | None = way
    if way is not None:
        facts["tiled"] = way.is_tiled
        facts["chunked"] = way.is_chunked
    if facts["size"]:
        made = size_asked(spec, settings) or way
    if made is not None:
        facts |= {"height": made.height, "width": made.width, "frames": made.frames}
    return facts


def _stated_way(launch: Launch, sized: ModelSpec) -> StatedWay | None:
    """The need that the spec states for parts that move to an accelerator in turn; None where the
    parts do not move.
    """
    offload = launch.judged.offload
    if offload is None:
        return None
    if sized.needs is None:
        return None
    if launch.runtime.memory.component_files:
        return None
    wanted = (offload, launch.workload.quantization)
    for way in sized.needs.ways:
        if (way.offload, way.quantization) == wanted:
            return way
    return None


def _components_to_quantize(spec: ModelSpec) -> str | None:
    """The names of the large components, as a list in Python; None where there are none."""
    if not spec.components:
        return None
    # imported here: few models are pipelines of components
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


# ------------------------------------------------------------------ options


def options_needed(launch: Launch) -> list[str]:
    """The keys of the options without which a line would run the model otherwise than judged, in
    the order in which they are typed.
    """
    values = launch.values
    settings = launch.stated_settings
    is_spread = len(launch.cards_used) > 1
    samples_few = "lean" in settings and "sequences_sampled" not in settings
    needed = {
        _kind_of_vectors(launch.spec): launch.spec.modality == "embedding",
        "kv_cache_type": launch.workload.kv_cache_type not in (None, "f16"),
        "sampled": samples_few,
        "parallel": _must_tell_users(launch, samples_few=samples_few),
        "memory_share": values["memory_share"],
        "whole_batch": values["batch_tokens"],
        **dict.fromkeys(_options_of_draft(launch), True),
        "context_tokens": _would_take_other_context(launch),
        "context_checkpoints": values["context_checkpoints"],
        "flash_attention": values["flash_attention"],
        "yarn": launch.judged.has("context-scaled"),
        "shared_gpu": _must_name_shared_gpu(launch),
        "unpacked": launch.may_crash,
        "tensor_parallel": is_spread and "parts_of_layers" not in settings,
        "one_device": launch.keeps_to_one_card,
    }
    return [key for key, is_needed in needed.items() if is_needed]


def _kind_of_vectors(spec: ModelSpec) -> str:
    """The option by which a server of text is told that it embeds or ranks."""
    return "reranking" if spec.main_use == "reranking" else "embedding"


def _must_tell_users(launch: Launch, *, samples_few: bool) -> bool:
    """Whether the line has to state the number of sequences: several, which no other option of the
    line states as those that are sampled.
    """
    if launch.workload.parallel == 1:
        return False
    if "sequences_sampled" in launch.stated_settings:
        return False
    return not samples_few or "sampled" not in launch.lines.options


def _options_of_draft(launch: Launch) -> Lines:
    """The options for a draft model, or for the model's own draft block, which some programs load
    from a separate file.
    """
    draft = launch.workload.draft
    if draft is None:
        return ()
    if draft != need.OWN_BLOCK:
        return ("draft",)
    if launch.spec.draft is None:
        return ("mtp",)
    if "mtp_file" in launch.lines.options:
        return ("mtp_file",)
    # llama.cpp finds the draft that lies beside the model's file (common/arg.cpp)
    lies_beside = launch.values["repository"] == launch.values["draft"]
    return ("mtp",) if lies_beside else ("mtp", "draft")


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
