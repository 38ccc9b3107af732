"""The entry point of this package: the memory that a model takes in a runtime, and the bytes that
one token reads.

What goes in: a model's spec, a runtime and a workload. `case_for` makes the case, and `count` the
needs: files and terms of memory in bytes, all in RAM. `needs_on` counts the same case with the
model on accelerators, `needs_in_batches` with another batch size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..catalogue.architecture import Architecture
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import HEARD_SECONDS, FileTensors, ModelSpec, StatedNeeds
from ..core import units
from ..core.records import Unread
from ..core.workload import Workload
from .case import NO_PROGRAM, Case, Companions, is_cast, without_files
from .file_formats import case_of, case_of_files, needs_of_case, size_of
from .llamacpp import files as gguf_files
from .llamacpp.companions import block_in_weight_files, draft_file, with_draft
from .llamacpp.memory import copy_bytes, why_cache_refused
from .llamacpp.tensor_split import why_not_split
from .quantization import TABLES
from .records import (
    ACCELERATOR,
    TENSOR_PARALLEL,
    CpuNeed,
    Device,
    How,
    KernelNeed,
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
from .tensors import ParameterCounts, cache_groups, parameter_counts
from .weight_files import (
    DTYPES,
    TypedGroup,
    cast_to,
    encoder_bytes,
    loaded_of,
    loaded_type,
    reads_by_type,
    stored_types,
    typed_tensors,
    types_by_recipes,
)


def case_for(
    spec: ModelSpec,
    runtime: RuntimeSpec | None,
    workload: Workload,
    *,
    instruction_sets: tuple[str, ...] | None = None,
    companions: Companions | None = None,
    gpu_maker: str = "",
    users: int = 1,
) -> Case:
    """The case of a model in a runtime, under a workload whose runtime, format and quantization are
    filled in.

    `instruction_sets` of the machine (Linux kernel names) decide which weights llama.cpp copies
    into a second layout; None leaves that out. `companions` are loaded beside the model. `users`
    were asked for, of whom fewer may be served at once.
    """
    companions = companions or Companions()
    case = case_of(spec, runtime, workload)
    draft = None
    if companions.draft is not None:
        # llama.cpp keeps the draft's cache in 16 bits, whatever type the model's cache has
        alone = workload.replace(
            format=case.format,
            quantization=companions.draft_quantization,
            kv_cache_type="f16",
        )
        draft = case_of(companions.draft, runtime, alone)
    case = case.replace(companions=companions, draft=draft, users=users)
    return case.with_draft_alike(instruction_sets=instruction_sets, gpu_maker=gpu_maker)


def count(case: Case) -> Needs:
    """The needs of a case in RAM, before any part is placed on an accelerator.

    A size that is not known is None, with the reason in `unknown`: under `download_bytes`, or under
    `memory.…` for the missing part.
    """
    needs = _files_and_memory(case)
    options = case.runtime.uncounted_under(case.workload.runtime_options)
    for option, why in options.items():
        # the memory under an option `NAME=VALUE` is not known
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
    """The needs, with the least memory of the known parts added to the first reason why memory is
    not known.
    """
    least = units.binary(MemoryNeed(terms=needs.terms).low_bytes)
    unknown = list(needs.unknown)
    for place, why in enumerate(unknown):
        if why.fact.startswith("memory"):
            reason = f"{why.reason}; the known parts need at least {least}"
            unknown[place] = why.replace(reason=reason)
            break
    return needs.replace(unknown=tuple(unknown))


def _cpu_of(case: Case) -> CpuNeed:
    """The CPU that the program's builds, and its kernels for the quantization, require; without a
    program, the instruction sets that the model's spec states.
    """
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
    kernels = _kernels_of(case)
    sets = dict(platforms.instruction_sets)
    if kernels is not None:
        for architecture, names in kernels.instruction_sets.items():
            sets[architecture] = (*sets.get(architecture, ()), *names)
    return CpuNeed(
        architectures=tuple(dict.fromkeys(architectures)),
        instruction_sets=sets,
        recommended=platforms.recommended_instruction_sets,
        kernels=kernels,
    )


def _kernels_of(case: Case) -> KernelNeed | None:
    """The instruction sets that the program's kernels for the case's quantization use; None where
    they use no more than the program's builds.
    """
    rule = case.runtime.rule_of(case.quantization)
    if rule is None or not rule.instruction_sets:
        return None
    return KernelNeed(
        quantization=case.quantization,
        instruction_sets=rule.instruction_sets,
        source=rule.source,
    )


def needs_on(
    needs: Needs,
    case: Case | None,
    device: Device,
) -> Needs:
    """The same needs, of known memory, where accelerators hold the model. Without a case the terms
    are divided as they stand.
    """
    if case is None:
        terms = _shared_out(needs.terms, device.devices)
    else:
        placed_on = _device_for(case.runtime, device)
        case = case.with_draft_alike(device=placed_on, gpu_maker=device.maker)
        terms = _files_and_memory(case).terms
    placed = []
    for part in terms:
        where = part.where if part.stays_in_ram else ACCELERATOR
        placed.append(part.replace(where=where))
    return needs.replace(
        placement="accelerator",
        terms=tuple(placed),
        evictable_bytes=0,
    )


def _shared_out(terms: Iterable[Term], devices: int) -> Terms:
    """The terms on each of several devices, where only the terms are known: a term split by layer
    is divided equally, every other term is whole on each device.
    """
    shared = []
    for part in terms:
        share = 1 / devices if part.split is Split.LAYERS else 1.0
        shared.append(share_by_device(part, devices, share))
    return tuple(shared)


def _device_for(runtime: RuntimeSpec, device: Device) -> Device:
    """The device with only the facts that the program's memory depends on. All other facts are
    dropped, so that equal devices are counted once.
    """
    if not runtime.account.divides_layers:
        return Device(maker=device.maker, devices=device.devices, index=device.index)
    if not runtime.memory.reserves_by_device:
        return device.replace(total_bytes=None, free_bytes=None, usable_bytes=None)
    return device


def needs_in_batches(
    needs: Needs,
    case: Case,
    tokens: int,
) -> Needs:
    """The same needs in RAM, where the program reads prompts in batches of `tokens` tokens."""
    terms = _files_and_memory(in_batches(case, tokens)).terms
    return needs.replace(terms=terms, batch_tokens=tokens)


def in_batches(case: Case, tokens: int | None) -> Case:
    """The case of a program that reads prompts in batches of `tokens` tokens; None: in its own
    batches.
    """
    if tokens is None or tokens == case.setup.micro_batch_limit:
        return case
    sizes = dict.fromkeys(("micro_batch_tokens", "batch_tokens"), str(tokens))
    return case.with_draft_alike(settings={**case.settings, **sizes})


def _files_and_memory(case: Case) -> Needs:
    """The needs of the model with its companions. Where the memory cannot be computed, the spec's
    stated needs are used.
    """
    spec = case.spec
    if spec.closed:
        why = unread("the weights were never published", "use an API")
        return without_files(why, "memory")
    if case.workload.task == "finetune":
        # imported here: only fine-tuning needs the module
        from .training import finetune_needs

        return finetune_needs(case)
    if case.runtime.id and _is_described(spec):
        counted = _with_companions(case, needs_of_case(case))
    else:
        usual = "the spec states neither an architecture nor [needs]"
        reason = spec.unknown.get("architecture", usual)
        why = unread(reason, "state it under [needs] in a spec")
        counted = without_files(why, "memory")
    if counted.memory is None and spec.needs is not None:
        return _as_stated(case, spec.needs, counted)
    return counted


def _is_described(spec: ModelSpec) -> bool:
    """Whether the spec has enough to compute needs from: an architecture, a number of parameters,
    components or files.
    """
    if spec.architecture is not None:
        return True
    if spec.parameters.total:
        return True
    return bool(spec.components or spec.files)


def _with_companions(case: Case, needs: Needs) -> Needs:
    """The needs of a model together with those of its draft."""
    if case.companions.own_block and case.format != "gguf":
        needs = _with_own_block(case, needs)
    if case.draft is None:
        return needs
    return with_draft(needs, needs_of_case(case.draft), case)


def _with_own_block(case: Case, needs: Needs) -> Needs:
    """The needs with the model's own block for drafting, which may be a separate file."""
    block = block_in_weight_files(case)
    needs = needs.replace(terms=(*needs.terms, *block))
    published = case.spec.draft
    if published is None or needs.files is None:
        return needs
    draft = draft_file(case, published)
    return needs.replace(files=with_files(needs.files, draft, published.name))


def _as_stated(
    case: Case,
    stated: StatedNeeds,
    counted: Needs,
) -> Needs:
    """The needs that the spec states. Files that the spec does not state, and the ways of
    offloading, are taken from the counted needs.
    """
    spec = case.spec
    source = stated.source or spec.sources.get("needs") or spec.origin or "the spec"
    unknown = []
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
    """The memory of a recording longer than the length for which the spec states the memory: bytes
    for each further second, and for each square of a second. [] for a shorter recording.
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
    # a cache is held whole, scores of attention may not be: the likely size assumes all scores
    low = size // 2 if of_square else size
    high = size * 3 // 2
    return [computed_term("activations", Size(low, size, high), source, line)]


def more_in_conversation(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    workload: Workload,
) -> int:
    """The extra bytes that llama.cpp's server keeps as conversations go on: copies of each context,
    dropped only when their list is full (server-context.cpp, create_checkpoint).
    """
    memory = runtime.memory
    copies = memory.kept_context_checkpoints - memory.context_checkpoints
    if copies <= 0:
        return 0
    case = case_of(spec, runtime, workload)
    return copies * case.parallel * copy_bytes(case)


def why_cache_type_refused(case: Case, *, gpu_maker: str) -> str | None:
    """The reason why the type of the case's KV cache is refused: by every program that reads GGUF
    files, or by the case's program on such GPUs. None where the type is accepted.

    A model without a cache is still refused types for the sizes of its heads
    (llama_init_from_model). Flash attention that is off by default refuses no type of a cache,
    because the user may have switched it on.
    """
    if case.format != "gguf" or not case.has_row:
        return None
    types = case.cache_types
    heads = case.replace(gpu_maker=gpu_maker).heads_without_flash
    groups = cache_groups(case.model, with_idle=True)
    why_off = case.why_flash_is_off
    if groups and not case.switches_flash_off:
        why_off = None
    attention = groups or case.model.attention
    return why_cache_refused(attention, types, why_off, heads_without_flash=heads)


def counted_parameters(spec: ModelSpec) -> ParameterCounts | None:
    """The numbers of parameters without encoders; None where not known."""
    case = case_of(spec)
    return parameter_counts(case.model) if case.has_all_tensors else None


def decode_bytes_by_type(
    spec: ModelSpec,
    runtime: RuntimeSpec | None,
    format: str,
    quantization: str,
) -> dict[str, int]:
    """The bytes of weights that one decoded token reads, by the type that the runtime computes
    with.

    All weights count, except an untied token table and unused routed experts. {} where not known.
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
    return _read_of_files(case)


def _read_of_files(case: Case) -> dict[str, int]:
    """The bytes of weights that one decoded token reads of weight files, by the type that the
    runtime computes with. {} where not known.

    The bytes of the tensors are scaled to the size of the files. Where the tensors are not known, a
    token reads as large a share of the files as of the parameters.
    """
    files = size_of(case)
    if isinstance(files, Unread):
        return {}
    type = loaded_type(case.runtime, case.spec, case.quantization)
    if not case.has_all_tensors:
        return _read_by_parameters(case, files, type)
    model = case.model
    is_by_type = reads_by_type(case)
    if is_by_type and model.expert_dtype in case.account.widened:
        # a CPU widens the experts and a GPU does not: the bytes read depend on the placement
        return {}
    tensors = typed_tensors(model, stored_types(case))
    loaded_bytes = loaded_of(case, files).bytes - encoder_bytes(case)
    scale = loaded_bytes / sum(typed.bytes for typed in tensors)
    if type != case.quantization:
        scale *= DTYPES[type] / DTYPES[case.quantization]
    read = _read_of_tensors(model, tensors, scale)
    return read if is_by_type else {type: sum(read.values())}


class ReadShares(NamedTuple):
    """The least and the most bytes that a token may read, as shares of the likely bytes."""

    least: float
    most: float


def read_shares(spec: ModelSpec, format: str, quantization: str) -> ReadShares:
    """The range of the bytes that a token reads of packed files, by the recipes that they may
    follow. Both ends are 1 for other files, and for files whose size is stated.
    """
    case = case_of_files(spec, format, quantization)
    by_recipes = types_by_recipes(case) if case.has_all_tensors else []
    files = size_of(case)
    if not by_recipes or isinstance(files, Unread) or files.how is How.STATED:
        return ReadShares(1.0, 1.0)
    sizes = []
    for types in by_recipes:
        read = _read_of_tensors(case.model, typed_tensors(case.model, types), 1)
        sizes.append(sum(read.values()))
    likely = sizes[0]
    return ReadShares(min(sizes) / likely, max(sizes) / likely)


def _read_of_tensors(
    model: Architecture, tensors: Iterable[TypedGroup], scale: float
) -> dict[str, int]:
    """The bytes that one token reads of tensors of weight files, by type."""
    return _read_by_token(
        model,
        ((typed.group.name, typed.type, typed.bytes * scale) for typed in tensors),
    )


def _read_by_parameters(case: Case, files: Term, type: str) -> dict[str, int]:
    """The bytes that one token reads of files whose tensors are not known, in that type. {} where
    the parameters are not known either, or which of them a token reads.
    """
    parameters = case.spec.parameters
    read = parameters.active
    if case.spec.architecture is not None:
        read = read or parameters.total
    if not parameters.total or not read:
        return {}
    return {type: files.bytes * read // parameters.total}


def _read_of_gguf(case: Case, recipe: str) -> dict[str, int]:
    """The bytes of weights that one decoded token reads from a GGUF file, by type, counted from the
    file's tensors.

    For a publisher's mix the bytes of the nearest recipe are scaled to the size of the mix; {}
    where a size is not known.
    """
    tensors: Sequence[FileTensors] = ()
    if case.quantization == recipe:
        tensors = case.tensors_in_header
    if not tensors:
        usual = gguf_files.usual_tensors(case.model, recipe, case.spec.released)
        tensors = usual.tensors
    read = _read_by_token(
        case.model,
        ((file.name, file.type, file.bytes) for file in tensors if not file.extra),
    )
    if case.quantization == recipe:
        return read
    mix = size_of(case)
    like = size_of(case.replace(quantization=recipe))
    if isinstance(mix, Unread) or isinstance(like, Unread):
        return {}
    scaled = {}
    for type, size in read.items():
        scaled[type] = size * mix.bytes // like.bytes
    return scaled


def _read_by_token(
    model: Architecture, tensors: Iterable[tuple[str, str, float]]
) -> dict[str, int]:
    """The bytes that one token reads of tensors, each given as its name, type and bytes, by their
    type. Only the used experts count, and layers count as often as the token runs through them.
    """
    used = 1
    experts = 1
    for group in model.feed_forward:
        if group.experts and group.layers:
            used = group.chosen
            experts = group.experts
            break
    # a token reads only one row of a table, unless that is also the output matrix
    by_row = set(TABLES)
    if model.tied_embeddings:
        by_row.remove("token_embd.weight")
    read = dict[str, int]()
    for name, type, size in tensors:
        if name in by_row:
            continue
        read_bytes = int(size)
        if "_exps." in name:
            read_bytes = read_bytes * used // experts
        if model.stored_layers and name.startswith("blk."):
            read_bytes = read_bytes * model.layers // model.stored_layers
        read[type] = read.get(type, 0) + read_bytes
    return read
