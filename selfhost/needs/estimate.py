"""The entry of this package: what a model takes in a runtime, and what one token reads of it."""

from __future__ import annotations

from collections.abc import Iterable

from ..catalogue.architecture import Architecture
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import HEARD_SECONDS, ModelSpec
from ..core import units
from ..core.records import Unread
from ..core.workload import Workload
from .case import NO_PROGRAM, Case, Companions, is_cast, without_files
from .checkpoints import (
    DTYPES,
    active_parameters,
    cast_to,
    loaded_of,
    loaded_type,
    typed_tensors,
)
from .file_formats import case_of, parts, size_of
from .llamacpp import files as gguf_files
from .llamacpp.memory import (
    block_of_checkpoint,
    copy_bytes,
    draft_file,
    why_cache_refused,
    with_draft,
)
from .quantization import TABLES
from .records import (
    ACCELERATOR,
    TENSOR_PARALLEL,
    CpuNeed,
    Device,
    How,
    Needs,
    Split,
    Term,
    share_by_device,
    stated_range,
    term,
    unread,
    with_files,
)
from .tensors import all_and_active, cache_groups


def needs_of(
    spec: ModelSpec,
    runtime: RuntimeSpec | None,
    workload: Workload,
    *,
    instruction_sets: tuple[str, ...] | None = None,
    companions: Companions | None = None,
    gpu_maker: str = "",
) -> Needs:
    """What `spec` takes under a workload whose runtime, format and quantization are filled in.

    `instruction_sets` of the machine (Linux kernel names) decide which weights llama.cpp copies
    into a second layout; None leaves that out. `companions` are loaded beside the model. A size
    that is not known is None and has its reason in `unknown`: `download_bytes`, or `memory.…` for
    the part that is missing.
    """
    return count(
        case_for(
            spec,
            runtime,
            workload,
            instruction_sets=instruction_sets,
            companions=companions,
            gpu_maker=gpu_maker,
        )
    )


def case_for(
    spec: ModelSpec,
    runtime: RuntimeSpec | None,
    workload: Workload,
    *,
    instruction_sets: tuple[str, ...] | None = None,
    companions: Companions | None = None,
    gpu_maker: str = "",
) -> Case:
    """The case that `count` counts, with the arguments of `needs_of`."""
    beside, draft = companions or Companions(), None
    case = case_of(spec, runtime, workload)
    if beside.draft is not None:
        # its cache is 16-bit whatever the model's is
        quantization = beside.draft_quantization
        alone = workload.replace(
            format=case.format, quantization=quantization, kv_cache_type="f16"
        )
        draft = case_of(beside.draft, runtime, alone)
        draft = draft.replace(instruction_sets=instruction_sets, gpu_maker=gpu_maker)
    return case.replace(
        companions=beside,
        draft=draft,
        instruction_sets=instruction_sets,
        gpu_maker=gpu_maker,
    )


def count(case: Case) -> Needs:
    """What the case takes in RAM, before any of it is placed on an accelerator."""
    spec, runtime = case.spec, case.runtime
    needs = _files_and_memory(case)
    if needs.terms and needs.memory is None:
        # the first part of the memory that is not known says how much is
        least = units.binary(sum(each.low_bytes for each in needs.terms))
        first = next(each for each in needs.unknown if each.fact.startswith("memory"))
        more = first.replace(
            reason=f"{first.reason}; the known parts need at least {least}"
        )
        unknown = (more if each == first else each for each in needs.unknown)
        needs = needs.replace(unknown=tuple(unknown))
    if runtime is NO_PROGRAM:
        sets = spec.needs.instruction_sets if spec.needs else ()
        cpu = CpuNeed(instruction_sets={"x86_64": sets} if sets else {})
    else:
        systems = (*runtime.platforms.systems, *runtime.platforms.from_source)
        names = (system.split("-", 1)[1] for system in systems if "-" in system)
        cpu = CpuNeed(
            architectures=tuple(dict.fromkeys(names)),
            instruction_sets=runtime.platforms.instruction_sets,
            recommended=runtime.platforms.recommended_instruction_sets,
        )
    return needs.replace(cpu=cpu)


def needs_on(needs: Needs, case: Case | None, device: Device) -> Needs:
    """The same needs, of known memory, where accelerators hold the model. Without the case that
    they were counted from they are shared out as they lie.
    """
    terms, devices = needs.terms, device.devices
    if case is None:
        # nothing says more of it than its terms
        shares = {Split.LAYERS: 1 / devices}
        terms = tuple(
            share_by_device(each, devices, shares.get(each.split, 1.0))
            for each in terms
        )
    else:
        if not case.runtime.account.divides_layers:
            device = Device(maker=device.maker)
        elif not case.runtime.memory.reserves_by_device:
            # so that all devices of a kind are one
            device = device.replace(total_bytes=None, free_bytes=None, room_bytes=None)
        terms = _files_and_memory(_on_device(case, device)).terms
    there = (
        each if each.stays_in_ram else each.replace(where=ACCELERATOR) for each in terms
    )
    return needs.replace(
        placement="accelerator",
        terms=tuple(there),
        evictable_bytes=0,
        is_lean=device.is_lean,
    )


def _on_device(case: Case, device: Device) -> Case:
    draft = case.draft
    if draft is not None:
        draft = draft.replace(gpu_maker=device.maker)
    return case.replace(device=device, gpu_maker=device.maker, draft=draft)


def needs_in_batches(needs: Needs, case: Case, tokens: int) -> Needs:
    """The same needs in RAM, where the program reads prompts in batches of so many tokens."""
    terms = _files_and_memory(in_batches(case, tokens)).terms
    return needs.replace(terms=terms, batch_tokens=tokens)


def in_batches(case: Case, tokens: int | None) -> Case:
    """The case of a program that reads prompts in batches of so many tokens; None: in its own."""
    if tokens is None or tokens == case.room.batch:
        return case
    draft = None if case.draft is None else _with_batch(case.draft, tokens)
    return _with_batch(case, tokens).replace(draft=draft)


def _with_batch(case: Case, tokens: int) -> Case:
    sizes = {"micro_batch_tokens": str(tokens), "batch_tokens": str(tokens)}
    return case.replace(settings={**case.settings, **sizes})


def _files_and_memory(case: Case) -> Needs:
    spec, runtime = case.spec, case.runtime
    if spec.closed:
        return without_files(
            unread("the weights were never published", "use an API"), "memory"
        )
    if case.workload.task == "finetune":
        from .training import finetune_needs

        return finetune_needs(case)
    # something to compute from, or a published size to start from
    described = spec.architecture, spec.components, spec.parameters.total, spec.files
    if not runtime.id or not any(described):
        why = "the spec states neither an architecture nor [needs]"
        why = spec.unknown.get("architecture", why)
        unknown = unread(why, "state it under [needs] in a spec")
        return _stated(case) or without_files(unknown, "memory")
    held = parts(case)
    if case.companions.own_block and case.format != "gguf":
        held = held.replace(terms=(*held.terms, *block_of_checkpoint(case)))
        published = case.spec.draft
        if published is not None and held.files is not None:
            files = with_files(held.files, draft_file(case, published), published.name)
            held = held.replace(files=files)
    if case.draft is not None:
        draft = parts(case.draft.replace(device=case.device))
        held = with_draft(
            held, draft, case, runtime.sources.get("companions", runtime.name)
        )
    return held if held.memory is not None else _stated(case, held) or held


def _stated(case: Case, counted: Needs | None = None) -> Needs | None:
    """What the spec states itself; files and ways of offloading as counted where it does not."""
    spec, stated = case.spec, case.spec.needs
    if stated is None:
        return None
    divides = case.runtime.account.divides_layers
    devices = case.device.devices if case.device is not None else 1
    source = stated.source or spec.sources.get("needs") or spec.origin or "the spec"
    low, high, size = stated.low_bytes, stated.high_bytes, stated.disk_bytes
    terms, unknown = list[Term](), list[Unread]()
    if low is None or high is None:
        unknown.append(
            unread("the spec states no memory", "add memory_bytes to [needs]", "memory")
        )
    else:
        whole = stated_range("weights", low, high, source)
        terms = [
            share_by_device(whole, devices, 1 / devices),
            *_recording_terms(case, source),
        ]
    files = None if counted is None else counted.files
    if size is not None:
        files = stated_range("files", size, size, source)
    if files is None:
        unknown.append(
            unread("the spec states no disk_bytes", "add disk_bytes to [needs]")
        )
    return Needs(
        files=files,
        terms=tuple(terms),
        largest_file_bytes=files.bytes if files is not None else None,
        tensor_parallel=TENSOR_PARALLEL if divides else (),
        offloaded=() if counted is None else counted.offloaded,
        unknown=tuple(unknown),
    )


def _recording_terms(case: Case, source: str) -> tuple[Term, ...]:
    """What a recording takes beyond the length that the memory is stated for."""
    # a cache is held whole, scores of attention need not be; the most is assumed
    stated, parallel = case.spec.needs, case.workload.parallel
    assert stated is not None
    seconds, usual = (
        case.workload.audio_seconds or 0,
        stated.heard_seconds or HEARD_SECONDS,
    )
    each, squared = stated.second_bytes or 0, stated.squared_second_bytes or 0
    if seconds <= usual or not (each or squared):
        return ()
    size = (each * (seconds - usual) + squared * (seconds**2 - usual**2)) * parallel
    parts = [f"({seconds:,} - {usual:,}) seconds × {each:,} bytes"] if each else []
    parts += [f"({seconds:,}² - {usual:,}²) × {squared:,} bytes"] if squared else []
    line = " + ".join(parts) + (f" × {parallel}" if parallel > 1 else "")
    low, high = size // 2 if squared else size, size * 3 // 2
    return (term("activations", size, How.COMPUTED, source, line, low=low, high=high),)


def more_in_conversation(
    spec: ModelSpec, runtime: RuntimeSpec, workload: Workload
) -> int:
    """Bytes beyond the memory that llama.cpp's server comes to keep as conversations go on: copies
    of each context, dropped only when their list is full (server-context.cpp, create_checkpoint).
    """
    case = case_of(spec, runtime, workload)
    copies = (
        max(0, runtime.memory.kept_checkpoints - runtime.memory.context_checkpoints)
        * case.workload.parallel
    )
    is_known = (
        workload.format == "gguf" and workload.task == "generate" and case.has_row
    )
    return copies * copy_bytes(case) if copies and is_known else 0


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
    case, type = case_of(spec), workload.kv_cache_type
    if workload.format != "gguf" or type is None or not case.has_row:
        return None
    groups = cache_groups(case.model, with_room=True)
    on_gpu = case_of(spec, runtime, workload).replace(gpu_maker=gpu_maker)
    return why_cache_refused(
        groups or case.model.attention,
        type,
        None if groups else runtime,
        heads_without_flash=on_gpu.heads_without_flash,
    )


def counted_parameters(spec: ModelSpec) -> tuple[int, int] | None:
    """Parameters without encoders, all and those used for one token; None where not known."""
    case = case_of(spec)
    return all_and_active(case.model) if case.whole else None


def decode_bytes_by_type(
    spec: ModelSpec, runtime: RuntimeSpec | None, format: str, quantization: str
) -> dict[str, int]:
    """Bytes of weights read for one decoded token, by the type they are in while that runtime
    computes: all but an untied token table, and of routed experts those used. {} where unknown.
    """
    workload = Workload(format=format or None, quantization=quantization or None)
    case = case_of(spec, None, workload).replace(runtime=runtime or NO_PROGRAM)
    if is_cast(spec, runtime, quantization):
        case = cast_to(case)
    recipe = gguf_files.recipe_of(case.quantization, case.model)
    if format == "gguf" and case.whole and recipe is not None:
        return _read_of_gguf(case, recipe)
    model = case.spec.architecture
    experts = None if model is None or not case.is_own else model.expert_dtype
    if not case.has_row or not experts:
        return _read_of_files(case)
    if runtime is not None and experts in runtime.account.widened:
        # widened on a CPU and not on a GPU: what is read is not known before it is placed
        return {}
    tensors = typed_tensors(case.model)
    return _read_of_tensors(
        case.model, ((each.name, type, size) for each, type, size in tensors)
    )


def _read_of_files(case: Case) -> dict[str, int]:
    """The files scaled to the active parameters, in the type that they are loaded as."""
    files, parameters, type = size_of(case), case.spec.parameters, case.quantization
    if isinstance(files, Unread) or not parameters.total:
        return {}
    if case.spec.architecture is None:
        active = parameters.active
        return {type: files.bytes * active // parameters.total} if active else {}
    loaded = loaded_of(case, files).bytes
    read = max(0, loaded * active_parameters(case) // parameters.total)
    wide = loaded_type(case.runtime, case.spec, type)
    return {wide: read if wide == type else int(read * DTYPES[wide] / DTYPES[type])}


def _read_of_gguf(case: Case, recipe: str) -> dict[str, int]:
    """By the recipe of the file, in proportion to its size."""
    name, size, whole = case.quantization, 1, 1
    tensors = case.spec.tensors * any(name in files.bytes for files in case.spec.files)
    if name != recipe:
        mix, like = size_of(case), size_of(case.replace(quantization=recipe))
        if isinstance(mix, Unread) or isinstance(like, Unread):
            return {}
        tensors, size, whole = (), mix.bytes, like.bytes
    tensors = (
        tensors or gguf_files.usual_tensors(case.model, recipe, case.spec.released)[0]
    )
    sizes = ((each.name, each.type, each.bytes) for each in tensors if not each.extra)
    read = _read_of_tensors(case.model, sizes)
    return {type: part * size // whole for type, part in read.items()}


def _read_of_tensors(
    architecture: Architecture, tensors: Iterable[tuple[str, str, float]]
) -> dict[str, int]:
    """By the name, type and bytes of each tensor."""
    sparse = [
        group for group in architecture.feed_forward if group.experts and group.layers
    ]
    used, experts = (sparse[0].used or 1, sparse[0].experts or 1) if sparse else (1, 1)
    read: dict[str, int] = {}
    for name, type, size in tensors:
        # of tables one row is read, of a tied one all of it again as the output matrix
        again = architecture.tied_embeddings and name == "token_embd.weight"
        if name in TABLES and not again:
            continue
        part = int(size) * used // experts if "_exps." in name else int(size)
        if name.startswith("blk."):
            part = (
                part
                * architecture.layers
                // (architecture.stored_layers or architecture.layers)
            )
        read[type] = read.get(type, 0) + part
    return read
