"""The entry of this package: what a model takes in a runtime, and what one token reads of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..catalogue.architecture import Architecture
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import HEARD_SECONDS, ModelSpec, StatedNeeds
from ..core import units
from ..core.records import Unread
from ..core.workload import DEFAULT_CONTEXT_TOKENS, Workload
from .checkpoints import (
    DTYPES,
    active_parameters,
    cast_to,
    loaded_of,
    loaded_type,
    typed_tensors,
)
from .file_formats import (
    default_format_and_quantization,
    parts,
    size_of,
    subject_of,
    takes_text_alone,
)
from .llamacpp import files as gguf_files
from .llamacpp.buffers import cached_groups
from .llamacpp.drafts import block_of_checkpoint, with_draft
from .llamacpp.memory import PLAIN_CACHE_TYPES, copy_bytes, why_cache_refused
from .llamacpp.weights import tensors_read
from .parts import (
    MICRO_BATCH_TOKENS,
    Asked,
    Companions,
    Parts,
    Subject,
    batch_of,
    cpu_of,
    is_cast,
    loading,
    name_of,
)
from .quantization import GGUF_QUANTIZATIONS, TABLES, canonical_gguf, typed_earlier
from .records import (
    ACCELERATOR,
    CpuNeed,
    Device,
    How,
    Inputs,
    MemoryNeed,
    Needs,
    SizedWeights,
    Split,
    Term,
    middle_of,
    term,
    unread,
)
from .servers import on_each
from .tensors import ArchitectureRow, checkpoint_tensors, count, idle, trained_tokens
from .training import finetune_needs


def needs_of(
    spec: ModelSpec,
    runtime: RuntimeSpec | None,
    workload: Workload,
    architectures: Mapping[str, Any],
    *,
    instruction_sets: tuple[str, ...] | None = None,
    companions: Companions | None = None,
) -> Needs:
    """What `spec` takes under a workload whose runtime, format and quantization are filled in.

    `architectures` is the parsed `specs/common/architectures.toml`. `instruction_sets` of the
    machine (Linux kernel names) decide which weights llama.cpp copies into a second layout; None
    leaves that out. `companions` are loaded beside the model. A
    size that is not known is None and has its reason in `unknown`: `download_bytes`, or `memory.…`
    for the part that is missing.
    """
    inputs = Inputs(
        spec=spec,
        runtime=runtime,
        workload=workload,
        architectures=architectures,
        instruction_sets=instruction_sets,
        companions=companions,
    )
    return _counted(inputs).replace(inputs=inputs)


def needs_on(needs: Needs, device: Device) -> Needs:
    """The same needs, of known memory, where accelerators hold the model: what each of them holds,
    in the place ACCELERATOR, and what stays in RAM.
    """
    assert needs.memory is not None
    terms, inputs, devices = needs.memory.terms, needs.inputs, device.devices
    if inputs is None:
        # nothing says more of it than its terms
        shares = {Split.LAYERS: 1 / devices}
        terms = tuple([on_each(each, devices, shares.get(each.split, 1.0)) for each in terms])
    else:
        runtime = inputs.runtime
        if runtime is None or not runtime.account.divides_layers:
            device = Device()
        elif not runtime.reserves_by_device:
            # so that all devices of a kind are one
            device = device.replace(total_bytes=None, free_bytes=None, room_bytes=None)
        memory = _counted(inputs.replace(device=device)).memory
        assert memory is not None
        terms = memory.terms
    there = (each if each.stays_in_ram else each.replace(where=ACCELERATOR) for each in terms)
    memory = MemoryNeed(terms=tuple(there))
    return needs.replace(placement="accelerator", memory=memory, is_lean=device.is_lean)


def _counted(inputs: Inputs) -> Needs:
    spec, runtime, workload = inputs.spec, inputs.runtime, inputs.workload
    architectures, companions = inputs.architectures, inputs.companions
    cpu = cpu_of(runtime, spec)
    if spec.closed:
        return _nothing(cpu, "the weights were never published", "use an API")
    if workload.task == "finetune":
        on_gpu = inputs.device is not None
        return finetune_needs(spec, runtime, workload, architectures, on_gpu=on_gpu)
    # something to compute from, or a published size to start from
    described = spec.architecture, spec.components, spec.parameters.total, spec.files
    if runtime is None or not any(described):
        why = spec.unknown.get("architecture")
        why = why or "the spec states neither an architecture nor [needs]"
        remedy = "state it under [needs] in a spec"
        return _stated(inputs, cpu) or _nothing(cpu, why, remedy)
    usual_format, usual_quantization = default_format_and_quantization(spec, runtime)
    format = workload.format or usual_format
    quantization = workload.quantization or usual_quantization
    subject = subject_of(spec, architectures, format, runtime)
    wanted = _asked(spec, workload, quantization, companions or Companions(), subject.row)
    wanted = wanted.replace(instruction_sets=inputs.instruction_sets, device=inputs.device)
    alone = subject.replace(text_alone=takes_text_alone(spec, runtime))
    held = parts(alone, runtime, format, wanted)
    if companions is not None:
        held = _with_companions(held, subject, runtime, format, wanted, architectures)
    return _needs_of_parts(inputs, cpu, held)


def _needs_of_parts(inputs: Inputs, cpu: CpuNeed, parts: Parts) -> Needs:
    """What the spec states itself, where the parts are no total."""
    missing = [entry for entry in parts.unknown if entry.fact.startswith("memory")]
    files = None if isinstance(parts.files, Unread) else parts.files
    stated = _stated(inputs, cpu, files) if missing or not parts.terms else None
    if stated is not None:
        return stated.replace(offloaded=parts.offloaded)
    needs = Needs(
        download_bytes=None,
        disk_bytes=None,
        largest_file_bytes=parts.largest_file_bytes,
        cpu=cpu,
        memory=None,
        tensor_parallel=parts.tensor_parallel,
        unknown=parts.unknown,
    )
    if files is not None:
        needs = needs.replace(
            download_bytes=files.bytes,
            disk_bytes=files.bytes,
            download_how=files.how,
            download_source=files.source,
            download_range=(
                (files.low_bytes, files.high_bytes) if files.how is How.ASSUMED else None
            ),
        )
    if missing and parts.terms:
        # the first part of the memory that is not known says how much is
        least = units.binary(sum(each.low_bytes for each in parts.terms))
        reason = f"{missing[0].reason}; the known parts need at least {least}"
        first = {missing[0]: missing[0].replace(reason=reason)}
        unknown = tuple(first.get(entry, entry) for entry in parts.unknown)
        return needs.replace(known_terms=parts.terms, unknown=unknown)
    if missing:
        return needs
    total = MemoryNeed(terms=parts.terms, evictable_bytes=parts.evictable_bytes)
    return needs.replace(memory=total, offloaded=parts.offloaded)


def _asked(
    spec: ModelSpec,
    workload: Workload,
    quantization: str,
    companions: Companions,
    row: ArchitectureRow | None,
) -> Asked:
    longest = trained_tokens(spec.architecture, row) if spec.architecture else None
    context = workload.context_tokens or min(
        DEFAULT_CONTEXT_TOKENS, longest or DEFAULT_CONTEXT_TOKENS
    )
    type = workload.kv_cache_type or "f16"
    return Asked(
        quantization=quantization,
        context_tokens=context,
        parallel=workload.parallel,
        key_type=type,
        value_type=type,
        audio_seconds=workload.audio_seconds,
        companions=companions,
    )


def _with_companions(
    held: Parts,
    subject: Subject,
    runtime: RuntimeSpec,
    format: str,
    workload: Asked,
    architectures: Mapping[str, Any],
) -> Parts:
    companions = workload.companions
    if companions.own_block and format != "gguf":
        block = block_of_checkpoint(subject, workload, runtime)
        held = held.replace(terms=(*held.terms, *block))
    if companions.draft is None:
        return held
    # its cache is 16-bit whatever the model's is
    alone = workload.replace(
        quantization=companions.draft_quantization,
        key_type="f16",
        value_type="f16",
        companions=Companions(),
    )
    is_text = takes_text_alone(companions.draft, runtime)
    draft = subject_of(companions.draft, architectures, format).replace(text_alone=is_text)
    source = runtime.sources.get("companions", runtime.name)
    return with_draft(held, parts(draft, runtime, format, alone), workload, source)


def _stated(inputs: Inputs, cpu: CpuNeed, files: SizedWeights | None = None) -> Needs | None:
    """What the spec states itself; `files` where it leaves out how large they are."""
    spec, runtime, stated = inputs.spec, inputs.runtime, inputs.spec.needs
    if stated is None:
        return None
    source = stated.source or spec.sources.get("needs") or spec.origin or "the spec"
    unknown: list[Unread] = []
    memory = _stated_memory(inputs, stated, source)
    if memory is None:
        unknown.append(unread("the spec states no memory", "add memory_bytes to [needs]", "memory"))
    size, how, how_source = stated.disk_bytes, How.STATED, source
    if size is None and files is not None:
        size, how, how_source = files.bytes, files.how, files.source
    if size is None:
        unknown.append(unread("the spec states no disk_bytes", "add disk_bytes to [needs]"))
    return Needs(
        download_bytes=size,
        disk_bytes=size,
        largest_file_bytes=size,
        download_how=None if size is None else how,
        download_source=None if size is None else how_source,
        cpu=cpu,
        memory=memory,
        tensor_parallel=(2, 4, 8) if runtime is not None and runtime.account.divides_layers else (),
        unknown=tuple(unknown),
    )


def _stated_memory(inputs: Inputs, stated: StatedNeeds, source: str) -> MemoryNeed | None:
    """In equal parts where a program shares it out to several devices."""
    low, high = stated.low_bytes, stated.high_bytes
    if low is None or high is None:
        return None
    line = f"{high:,} bytes as stated" if low == high else f"{middle_of(low, high)} as stated"
    devices = inputs.device.devices if inputs.device is not None else 1
    if devices > 1:
        low, high = -(-low // devices), -(-high // devices)
        line += f", in equal parts on {devices} devices"
    whole = term("weights", (low + high) // 2, How.STATED, source, line, low=low, high=high)
    return MemoryNeed(terms=(whole, *_of_longer_recording(stated, inputs.workload, source)))


def _of_longer_recording(stated: StatedNeeds, workload: Workload, source: str) -> tuple[Term, ...]:
    """What a recording takes beyond the length that the memory is stated for; () where it is no
    longer, or how that grows is not known. A cache is held whole, scores of attention need not be;
    the most is assumed.
    """
    seconds, usual = workload.audio_seconds or 0, stated.heard_seconds or HEARD_SECONDS
    each, squared = stated.second_bytes or 0, stated.squared_second_bytes or 0
    if seconds <= usual or not (each or squared):
        return ()
    size = (each * (seconds - usual) + squared * (seconds**2 - usual**2)) * workload.parallel
    parts = [f"({seconds:,} - {usual:,}) seconds × {each:,} bytes"] if each else []
    parts += [f"({seconds:,}² - {usual:,}²) × {squared:,} bytes"] if squared else []
    line = " + ".join(parts) + (f" × {workload.parallel}" if workload.parallel > 1 else "")
    low, high = size // 2 if squared else size, size * 3 // 2
    return (term("activations", size, How.COMPUTED, source, line, low=low, high=high),)


def _nothing(cpu: CpuNeed, reason: str, remedy: str) -> Needs:
    unknown = tuple(unread(reason, remedy, fact) for fact in ("download_bytes", "memory"))
    return Needs(download_bytes=None, disk_bytes=None, cpu=cpu, memory=None, unknown=unknown)


# ------------------------------------------------------------------ other questions


def more_in_conversation(
    spec: ModelSpec, runtime: RuntimeSpec, workload: Workload, architectures: Mapping[str, Any]
) -> int:
    """Bytes beyond the memory that a server comes to keep as conversations go on: of every sequence
    more copies of its context, to go back to. 0 for other files, and without a known row.

    It drops a copy only when its list is full (tools/server/server-context.cpp, create_checkpoint).
    """
    if workload.format != "gguf" or workload.task != "generate":
        return 0
    subject = subject_of(spec, architectures)
    asked = _asked(spec, workload, workload.quantization or "", Companions(), subject.row)
    load = loading(subject, runtime, asked) if subject.row is not None else None
    copies = max(0, runtime.kept_checkpoints - runtime.context_checkpoints) * workload.parallel
    return copies * copy_bytes(load) if load is not None and copies else 0


def batch_tokens(
    spec: ModelSpec, workload: Workload, architectures: Mapping[str, Any]
) -> int | None:
    """Tokens of one batch of llama.cpp that has to hold a whole text, where that is more than
    it takes unless told; else None.
    """
    row = subject_of(spec, architectures).row
    if row is None or workload.format != "gguf":
        return None
    batch = batch_of(row, workload.context_tokens or 0)
    return batch if batch > MICRO_BATCH_TOKENS else None


def why_cache_type_refused(
    spec: ModelSpec,
    workload: Workload,
    architectures: Mapping[str, Any],
    runtime: RuntimeSpec | None = None,
) -> str | None:
    """Why no program that reads GGUF files keeps this model's cache in the type that was asked for;
    None where nothing says so.

    Of a model that keeps none the types are refused all the same, for the heads that it has
    (llama_init_from_model).
    """
    subject, type = subject_of(spec, architectures), workload.kv_cache_type
    if (
        workload.format != "gguf"
        or type is None
        or subject.architecture is None
        or subject.row is None
    ):
        return None
    groups = cached_groups(subject.architecture, subject.row)
    if groups:
        return why_cache_refused(groups, type, type)
    if runtime is not None and not runtime.flash_attention and type not in PLAIN_CACHE_TYPES:
        return f"a {type} cache needs flash attention, which {runtime.name} leaves off by default"
    return why_cache_refused(subject.architecture.attention, type, type)


def counted_parameters(spec: ModelSpec, architectures: Mapping[str, Any]) -> tuple[int, int] | None:
    """Parameters of the architecture without encoders, all and those used for one token; None
    where not every tensor follows.
    """
    subject = subject_of(spec, architectures)
    if subject.architecture is None or subject.row is None or not subject.whole:
        return None
    groups = checkpoint_tensors(subject.architecture, subject.row)
    total = count(groups)
    return total, total - idle(groups, subject.architecture)


def decode_bytes_by_type(
    spec: ModelSpec,
    runtime: RuntimeSpec | None,
    format: str,
    quantization: str,
    architectures: Mapping[str, Any],
) -> dict[str, int]:
    """Bytes of weights read for one decoded token, by the type they are in while that runtime
    computes; {} where unknown.

    All but an untied token table, and of routed experts the share that is used.
    """
    subject = subject_of(spec, architectures)
    if is_cast(spec, runtime, quantization):
        narrow = cast_to(subject, quantization).spec
        return decode_bytes_by_type(narrow, runtime, format, quantization, architectures)
    if format == "gguf":
        quantization = canonical_gguf(quantization) or quantization
        read = _read_of_gguf(subject, quantization)
        if read is not None:
            return read
    architecture, row = subject.architecture, subject.row
    experts = architecture.expert_dtype if architecture is not None else None
    if architecture is None or row is None or not experts or quantization != name_of(architecture):
        return _read_of_files(subject, runtime, format, quantization)
    # what is widened on a CPU and not on a GPU: what is read is not known before it is placed
    is_widened = runtime is not None and experts in runtime.account.widened
    tensors = typed_tensors(architecture, row)
    sizes = ((group.name, type, size) for group, type, size in tensors)
    return {} if is_widened else _read_of_tensors(architecture, sizes)


def _read_of_files(
    subject: Subject, runtime: RuntimeSpec | None, format: str, quantization: str
) -> dict[str, int]:
    """The files scaled to the active parameters, in the type that they are loaded as."""
    files, total = size_of(subject, format, quantization), subject.spec.parameters.total
    if isinstance(files, Unread) or not total:
        return {}
    if subject.architecture is None:
        active = subject.spec.parameters.active
        return {quantization: files.bytes * active // total} if active else {}
    loaded = loaded_of(subject, files, format, quantization).bytes
    read = max(0, loaded * active_parameters(subject) // total)
    wide = loaded_type(runtime, subject.spec, quantization)
    is_same = wide == quantization
    return {wide: read if is_same else int(read * DTYPES[wide] / DTYPES[quantization])}


def _read_of_gguf(subject: Subject, quantization: str) -> dict[str, int] | None:
    """What one token reads of a file by llama-quantize's recipe, or of a publisher's own mix: that
    as of the recipe that it is nearest to, in proportion to the files. None of other names, and
    where not every tensor follows.
    """
    spec, architecture, row = subject.spec, subject.architecture, subject.row
    if architecture is None or row is None or not subject.whole:
        return None
    recipe, size = quantization, (1, 1)
    if quantization not in GGUF_QUANTIZATIONS:
        recipe = gguf_files.recipe_of_mix(quantization, architecture) or ""
        if not recipe:
            return None
        mix, like = size_of(subject, "gguf", quantization), size_of(subject, "gguf", recipe)
        if isinstance(mix, Unread) or isinstance(like, Unread):
            return {}
        size = mix.bytes, like.bytes
    usual = gguf_files.usual(architecture, row, recipe, typed_earlier(spec.released))
    tensors = tensors_read(spec, quantization) if recipe == quantization else ()
    sizes = ((each.name, each.type, each.bytes) for each in tensors or usual if not each.extra)
    read = _read_of_tensors(architecture, sizes)
    return {type: part * size[0] // size[1] for type, part in read.items()}


def _read_of_tensors(
    architecture: Architecture, tensors: Iterable[tuple[str, str, float]]
) -> dict[str, int]:
    """Bytes by type that one token reads of tensors, each with its name, type and bytes."""
    sparse = [group for group in architecture.feed_forward if group.experts and group.layers]
    used, experts = (sparse[0].used or 1, sparse[0].experts or 1) if sparse else (1, 1)
    read: dict[str, int] = {}
    for name, type, size in tensors:
        # of tables one row is read, of a tied one all of it again as the output matrix
        again = architecture.tied_embeddings and name == "token_embd.weight"
        if name in TABLES and not again:
            continue
        part = int(size) * used // experts if "_exps." in name else int(size)
        if name.startswith("blk."):
            part = part * architecture.layers // (architecture.stored_layers or architecture.layers)
        read[type] = read.get(type, 0) + part
    return read
