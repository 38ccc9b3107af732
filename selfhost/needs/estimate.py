"""The entry of this package: what a model takes in a runtime, and what one token reads of it.

In go a model's spec, a runtime and a workload; `case_for` makes the case of them, and `count` the
needs: files and terms of memory in bytes, all in RAM. `needs_on` counts the same case where
accelerators hold the model, `needs_in_batches` in batches of another size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..catalogue.architecture import Architecture
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import HEARD_SECONDS, FileTensors, ModelSpec, StatedNeeds
from ..core import units
from ..core.records import Unread
from ..core.workload import CacheTypes, Workload
from .case import NO_PROGRAM, Case, Companions, is_cast, without_files
from .checkpoints import (
    DTYPES,
    active_parameters,
    cast_to,
    loaded_of,
    loaded_type,
    typed_tensors,
)
from .file_formats import case_of, case_of_files, parts, size_of
from .llamacpp import files as gguf_files
from .llamacpp.companions import block_of_checkpoint, draft_file, with_draft
from .llamacpp.memory import copy_bytes, why_cache_refused
from .llamacpp.tensor_split import why_not_split
from .quantization import TABLES
from .records import (
    ACCELERATOR,
    TENSOR_PARALLEL,
    CpuNeed,
    Device,
    MemoryNeed,
    Needs,
    Size,
    Split,
    Term,
    Terms,
    computed_term,
    share_by_device,
    stated_range,
    unread,
    with_files,
)
from .tensors import all_and_active, cache_groups


def case_for(
    spec: ModelSpec,
    runtime: RuntimeSpec | None,
    workload: Workload,
    *,
    instruction_sets: tuple[str, ...] | None = None,
    companions: Companions | None = None,
    gpu_maker: str = "",
) -> Case:
    """What `spec` is counted from under a workload whose runtime, format and quantization are
    filled in.

    `instruction_sets` of the machine (Linux kernel names) decide which weights llama.cpp copies
    into a second layout; None leaves that out. `companions` are loaded beside the model.
    """
    companions = companions or Companions()
    case = case_of(spec, runtime, workload)
    draft = None
    if companions.draft is not None:
        # its cache is 16-bit whatever the model's is
        alone = workload.replace(
            format=case.format,
            quantization=companions.draft_quantization,
            kv_cache_type="f16",
        )
        draft = case_of(companions.draft, runtime, alone).replace(
            instruction_sets=instruction_sets, gpu_maker=gpu_maker
        )
    return case.replace(
        companions=companions,
        draft=draft,
        instruction_sets=instruction_sets,
        gpu_maker=gpu_maker,
    )


def count(case: Case) -> Needs:
    """What the case takes in RAM, before any of it is placed on an accelerator. A size that is not
    known is None and has its reason in `unknown`: `download_bytes`, or `memory.…` for the part that
    is missing.
    """
    needs = _files_and_memory(case)
    options = case.runtime.uncounted_under(case.workload.runtime_options)
    for option, why in options.items():
        # the memory is not known under an option `NAME=VALUE`
        remedy = f"leave out --runtime-option {option}"
        needs = needs.without(unread(why, remedy, "memory.compute"))
    why_not = why_not_split(case)
    if why_not is not None:
        remedy = "leave out --runtime-option sm=tensor"
        needs = needs.without(unread(why_not, remedy, "memory.compute"))
    if needs.terms and needs.memory is None:
        needs = _with_least_memory(needs)
    return needs.replace(cpu=_cpu_of(case))


def _with_least_memory(needs: Needs) -> Needs:
    """The first part of the memory that is not known says how much the others need at least."""
    known = MemoryNeed(terms=needs.terms)
    least = units.binary(known.low_bytes)
    unknown = list(needs.unknown)
    for place, why in enumerate(unknown):
        if why.fact.startswith("memory"):
            reason = f"{why.reason}; the known parts need at least {least}"
            unknown[place] = why.replace(reason=reason)
            break
    return needs.replace(unknown=tuple(unknown))


def _cpu_of(case: Case) -> CpuNeed:
    """What the program's builds ask of a CPU; without a program what the model's spec states."""
    runtime = case.runtime
    if runtime is NO_PROGRAM:
        stated = case.spec.needs
        if stated is None or not stated.instruction_sets:
            return CpuNeed()
        return CpuNeed(instruction_sets={"x86_64": stated.instruction_sets})
    platforms = runtime.platforms
    architectures = []
    for system in (*platforms.systems, *platforms.from_source):
        _, dash, architecture = system.partition("-")
        if dash:
            architectures.append(architecture)
    return CpuNeed(
        architectures=tuple(dict.fromkeys(architectures)),
        instruction_sets=platforms.instruction_sets,
        recommended=platforms.recommended_instruction_sets,
    )


def needs_on(
    needs: Needs,
    case: Case | None,
    device: Device,
) -> Needs:
    """The same needs, of known memory, where accelerators hold the model. Without the case that
    they were counted from they are shared out as they lie.
    """
    if case is None:
        terms = _shared_out(needs.terms, device.devices)
    else:
        case = _on_device(case, _device_for(case.runtime, device))
        terms = _files_and_memory(case).terms
    placed = list[Term]()
    for part in terms:
        where = part.where if part.stays_in_ram else ACCELERATOR
        placed.append(part.replace(where=where))
    return needs.replace(
        placement="accelerator",
        terms=tuple(placed),
        evictable_bytes=0,
        is_lean=device.is_lean,
    )


def _shared_out(terms: Iterable[Term], devices: int) -> Terms:
    """What each of several devices holds where nothing but the terms is known."""
    shared = []
    for part in terms:
        share = 1 / devices if part.split is Split.LAYERS else 1.0
        shared.append(share_by_device(part, devices, share))
    return tuple(shared)


def _device_for(runtime: RuntimeSpec, device: Device) -> Device:
    """What the program's memory depends on of the device. Without the rest, all devices of a kind
    are one, and are counted once.
    """
    if not runtime.account.divides_layers:
        return Device(maker=device.maker, devices=device.devices, index=device.index)
    if not runtime.memory.reserves_by_device:
        return device.replace(total_bytes=None, free_bytes=None, room_bytes=None)
    return device


def _on_device(case: Case, device: Device) -> Case:
    draft = case.draft
    if draft is not None:
        draft = draft.replace(gpu_maker=device.maker)
    return case.replace(device=device, gpu_maker=device.maker, draft=draft)


def needs_in_batches(
    needs: Needs,
    case: Case,
    tokens: int,
) -> Needs:
    """The same needs in RAM, where the program reads prompts in batches of so many tokens."""
    terms = _files_and_memory(in_batches(case, tokens)).terms
    return needs.replace(terms=terms, batch_tokens=tokens)


def in_batches(case: Case, tokens: int | None) -> Case:
    """The case of a program that reads prompts in batches of so many tokens; None: in its own."""
    if tokens is None or tokens == case.room.batch:
        return case
    draft = case.draft
    if draft is not None:
        draft = _with_batch(draft, tokens)
    return _with_batch(case, tokens).replace(draft=draft)


def _with_batch(case: Case, tokens: int) -> Case:
    """The case with that setting, its draft as it is."""
    sizes = dict.fromkeys(("micro_batch_tokens", "batch_tokens"), str(tokens))
    return case.replace(settings={**case.settings, **sizes})


def _files_and_memory(case: Case) -> Needs:
    """The files and the memory of the model with its companions; where the memory does not follow,
    as the spec states it.
    """
    spec = case.spec
    if spec.closed:
        why = unread("the weights were never published", "use an API")
        return without_files(why, "memory")
    if case.workload.task == "finetune":
        # only a fine-tuning needs this module
        from .training import finetune_needs

        return finetune_needs(case)
    if case.runtime.id and _is_described(spec):
        counted = _with_companions(case, parts(case))
    else:
        usual = "the spec states neither an architecture nor [needs]"
        reason = spec.unknown.get("architecture", usual)
        why = unread(reason, "state it under [needs] in a spec")
        counted = without_files(why, "memory")
    if counted.memory is None and spec.needs is not None:
        return _as_stated(case, spec.needs, counted)
    return counted


def _is_described(spec: ModelSpec) -> bool:
    """Whether there is something to compute from, or a published size to start from."""
    if spec.architecture is not None:
        return True
    if spec.parameters.total:
        return True
    return bool(spec.components or spec.files)


def _with_companions(case: Case, needs: Needs) -> Needs:
    """The needs of a model with those of what drafts for it."""
    if case.companions.own_block and case.format != "gguf":
        needs = _with_own_block(case, needs)
    if case.draft is None:
        return needs
    draft_needs = parts(case.draft.replace(device=case.device))
    return with_draft(needs, draft_needs, case)


def _with_own_block(case: Case, needs: Needs) -> Needs:
    """The needs with the block of a checkpoint that drafts, which may be a file of its own."""
    block = block_of_checkpoint(case)
    needs = needs.replace(terms=(*needs.terms, *block))
    published = case.spec.draft
    if published is None or needs.files is None:
        return needs
    draft = draft_file(case, published)
    files = with_files(needs.files, draft, published.name)
    return needs.replace(files=files)


def _as_stated(
    case: Case,
    stated: StatedNeeds,
    counted: Needs,
) -> Needs:
    """What the spec states itself; files and ways of offloading as counted where it does not."""
    spec = case.spec
    source = stated.source or spec.sources.get("needs") or spec.origin or "the spec"
    unknown: list[Unread] = []
    terms = _stated_memory(case, stated, source)
    if not terms:
        remedy = "add memory_bytes to [needs]"
        unknown.append(unread("the spec states no memory", remedy, "memory"))
    files = counted.files
    if stated.disk_bytes is not None:
        files = stated_range("files", stated.disk_bytes, stated.disk_bytes, source)
    if files is None:
        remedy = "add disk_bytes to [needs]"
        unknown.append(unread("the spec states no disk_bytes", remedy))
    return Needs(
        files=files,
        terms=tuple(terms),
        largest_file_bytes=None if files is None else files.bytes,
        tensor_parallel=TENSOR_PARALLEL if case.account.divides_layers else (),
        offloaded=counted.offloaded,
        unknown=tuple(unknown),
    )


def _stated_memory(
    case: Case,
    stated: StatedNeeds,
    source: str,
) -> list[Term]:
    """The memory that the spec states, on each of several devices; [] where it states none."""
    low = stated.low_bytes
    high = stated.high_bytes
    if low is None or high is None:
        return []
    weights = stated_range("weights", low, high, source)
    share = share_by_device(weights, case.devices, 1 / case.devices)
    return [share, *_recording_terms(case, stated, source)]


def _recording_terms(
    case: Case,
    stated: StatedNeeds,
    source: str,
) -> list[Term]:
    """What a recording takes beyond the length that the memory is stated for: bytes for each
    second, and for each square of a second.
    """
    usual = stated.heard_seconds or HEARD_SECONDS
    seconds = case.workload.audio_seconds or 0
    if seconds <= usual:
        return []
    size = 0
    parts = []
    of_second = stated.second_bytes
    if of_second:
        size += of_second * (seconds - usual)
        parts.append(f"({seconds:,} - {usual:,}) seconds × {of_second:,} bytes")
    of_square = stated.squared_second_bytes
    if of_square:
        size += of_square * (seconds**2 - usual**2)
        parts.append(f"({seconds:,}² - {usual:,}²) × {of_square:,} bytes")
    if not parts:
        return []
    line = " + ".join(parts)
    parallel = case.parallel
    if parallel > 1:
        line += f" × {parallel}"
    size *= parallel
    # a cache is held whole, scores of attention need not be; the most is assumed
    low = size // 2 if of_square else size
    high = size * 3 // 2
    ends = Size(low, size, high)
    return [computed_term("activations", ends, source, line)]


def more_in_conversation(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    workload: Workload,
) -> int:
    """Bytes beyond the memory that llama.cpp's server comes to keep as conversations go on: copies
    of each context, dropped only when their list is full (server-context.cpp, create_checkpoint).
    """
    memory = runtime.memory
    copies = memory.kept_checkpoints - memory.context_checkpoints
    if copies <= 0:
        return 0
    if workload.format != "gguf" or workload.task != "generate":
        return 0
    case = case_of(spec, runtime, workload)
    if not case.has_row:
        return 0
    return copies * case.parallel * copy_bytes(case)


def why_cache_type_refused(
    spec: ModelSpec,
    workload: Workload,
    runtime: RuntimeSpec | None = None,
    *,
    gpu_maker: str = "",
) -> str | None:
    """Why no program that reads GGUF files keeps the cache in that type, or this one does not on
    such GPUs. A model that keeps none is refused types all the same, for the heads that it has
    (llama_init_from_model).
    """
    case = case_of(spec)
    type = workload.kv_cache_type
    if workload.format != "gguf" or type is None or not case.has_row:
        return None
    types = CacheTypes.of(type)
    in_program = case_of(spec, runtime, workload)
    heads = in_program.replace(gpu_maker=gpu_maker).heads_without_flash
    groups = cache_groups(case.model, with_room=True)
    if groups:
        return why_cache_refused(groups, types, None, heads_without_flash=heads)
    attention = case.model.attention
    return why_cache_refused(attention, types, runtime, heads_without_flash=heads)


def counted_parameters(spec: ModelSpec) -> tuple[int, int] | None:
    """Parameters without encoders, all and those used for one token; None where not known."""
    case = case_of(spec)
    return all_and_active(case.model) if case.has_all_tensors else None


def decode_bytes_by_type(
    spec: ModelSpec,
    runtime: RuntimeSpec | None,
    format: str,
    quantization: str,
) -> dict[str, int]:
    """Bytes of weights read for one decoded token, by the type they are in while that runtime
    computes: all but an untied token table, and of routed experts those used. {} where unknown.
    """
    case = case_of_files(spec, format, quantization)
    if runtime is not None:
        case = case.replace(runtime=runtime)
    if is_cast(spec, runtime, quantization):
        case = cast_to(case)
    if format == "gguf" and case.has_all_tensors:
        recipe = gguf_files.recipe_of_file(case)
        if recipe is not None:
            return _read_of_gguf(case, recipe)
    model = case.model
    if not _has_typed_experts(case):
        return _read_of_files(case)
    if model.expert_dtype in case.account.widened:
        # widened on a CPU and not on a GPU: what is read is not known before it is placed
        return {}
    read = _ReadByToken(model)
    for tensor in typed_tensors(model):
        read.add(tensor.group.name, tensor.type, tensor.bytes)
    return read.bytes_by_type


def _has_typed_experts(case: Case) -> bool:
    """Whether the files hold experts in a type of their own, tensor by tensor as they are known."""
    if not case.model.expert_dtype:
        return False
    return case.has_row and case.is_as_published


def _read_of_files(case: Case) -> dict[str, int]:
    """The files scaled to the active parameters, in the type that they are loaded as."""
    files = size_of(case)
    parameters = case.spec.parameters
    type = case.quantization
    if isinstance(files, Unread) or not parameters.total:
        return {}
    if case.spec.architecture is None:
        if not parameters.active:
            return {}
        return {type: files.bytes * parameters.active // parameters.total}
    loaded = loaded_of(case, files).bytes
    read = loaded * active_parameters(case) // parameters.total
    read = max(0, read)
    loaded_as = loaded_type(case.runtime, case.spec, type)
    if loaded_as != type:
        read = int(read * DTYPES[loaded_as] / DTYPES[type])
    return {loaded_as: read}


def _read_of_gguf(case: Case, recipe: str) -> dict[str, int]:
    """By the tensors of the file; of a publisher's mix by those of the recipe that it is nearest
    to, in proportion to its size.
    """
    read = _ReadByToken(case.model)
    for tensor in _tensors_like(case, recipe):
        if not tensor.extra:
            read.add(tensor.name, tensor.type, tensor.bytes)
    if case.quantization == recipe:
        return read.bytes_by_type
    mix = size_of(case)
    like = size_of(case.replace(quantization=recipe))
    if isinstance(mix, Unread) or isinstance(like, Unread):
        return {}
    scaled = {}
    for type, size in read.bytes_by_type.items():
        scaled[type] = size * mix.bytes // like.bytes
    return scaled


def _tensors_like(case: Case, recipe: str) -> Sequence[FileTensors]:
    """The tensors of a published file of that recipe where they are known, else the usual ones."""
    spec = case.spec
    if case.quantization == recipe and spec.tensors:
        for files in spec.files:
            if recipe in files.bytes:
                return spec.tensors
    return gguf_files.usual_tensors(case.model, recipe, spec.released).tensors


class _ReadByToken:
    """Bytes that one token reads of the tensors that are added, by their type: of routed experts
    those used, and layers as often as the token runs through them.
    """

    def __init__(self, model: Architecture) -> None:
        self.model = model
        self.used = 1
        self.experts = 1
        self.bytes_by_type: dict[str, int] = {}
        for group in model.feed_forward:
            if group.experts and group.layers:
                self.used = group.chosen
                self.experts = group.experts
                break

    def add(
        self,
        name: str,
        type: str,
        size: float,
    ) -> None:
        """Count tensors of that name, type and size."""
        if self._is_read_by_row(name):
            return
        read_bytes = int(size)
        if "_exps." in name:
            read_bytes = read_bytes * self.used // self.experts
        stored_layers = self.model.stored_layers
        if stored_layers and name.startswith("blk."):
            read_bytes = read_bytes * self.model.layers // stored_layers
        counted = self.bytes_by_type.get(type, 0)
        self.bytes_by_type[type] = counted + read_bytes

    def _is_read_by_row(self, name: str) -> bool:
        """Whether a token reads one row: of tables, unless a tied one is the output matrix too."""
        if name not in TABLES:
            return False
        if name != "token_embd.weight":
            return True
        return not self.model.tied_embeddings
