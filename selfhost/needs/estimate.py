"""The entry of this package: which files and formats there are, what they weigh, and what loading
them takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from ..catalogue.architecture import Architecture
from ..catalogue.quantization_names import MLX_QUANTIZATIONS, PACKED, canonical_packed, mlx_scheme
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import HEARD_SECONDS, ModelSpec, PublishedFiles, StatedNeeds
from ..core import units
from ..core.records import Unread
from ..core.workload import DEFAULT_CONTEXT_TOKENS, Workload
from . import file_formats, sdcpp
from .cache import why_not_known, with_every_head
from .checkpoints import DTYPES, cast_to, decode_bytes
from .file_formats import comes_in
from .llamacpp import files as gguf_files
from .llamacpp.buffers import MICRO_BATCH_TOKENS, batch_of, cached_groups, load_of
from .llamacpp.drafts import block_of_checkpoint, with_draft
from .llamacpp.memory import PLAIN_CACHE_TYPES, copy_bytes, why_cache_refused
from .llamacpp.weights import of_file
from .parts import (
    Asked,
    Companions,
    Encoder,
    Parsed,
    Parts,
    Subject,
    cpu_of,
    is_cast,
    name_of,
    parts_of,
    term,
    unread,
)
from .quantization import GGUF_QUANTIZATIONS, Stored, canonical_gguf, typed_earlier
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
)
from .servers import on_each
from .tensors import ArchitectureRow, checkpoint_tensors, count, idle, row_of, trained_tokens

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


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
    there = map(_on_accelerator, terms)
    memory = MemoryNeed(terms=tuple(there))
    return needs.replace(placement="accelerator", memory=memory, is_lean=device.is_lean)


def _on_accelerator(item: Term) -> Term:
    return item if item.stays_in_ram else item.replace(where=ACCELERATOR)


def _counted(inputs: Inputs) -> Needs:
    spec, runtime, workload = inputs.spec, inputs.runtime, inputs.workload
    architectures, companions = inputs.architectures, inputs.companions
    cpu = cpu_of(runtime, spec)
    if spec.closed:
        return _nothing(cpu, "the weights were never published", "use an API")
    if workload.task == "finetune":
        from .training import finetune_needs

        on_gpu = inputs.device is not None
        return finetune_needs(spec, runtime, workload, architectures, on_gpu=on_gpu)
    # something to compute from, or a published size to start from
    described = spec.architecture, spec.components, spec.parameters.total, spec.files
    if runtime is None or not any(described):
        why = spec.unknown.get("architecture")
        why = why or "the spec states neither an architecture nor [needs]"
        remedy = "state it under [needs] in a spec"
        return _stated(spec, cpu, workload) or _nothing(cpu, why, remedy)
    usual_format, usual_quantization = default_format_and_quantization(spec, runtime)
    format = workload.format or usual_format
    quantization = workload.quantization or usual_quantization
    subject = _subject(spec, architectures, format, runtime)
    wanted = _asked(spec, workload, quantization, companions or Companions(), subject.row)
    wanted = wanted.replace(instruction_sets=inputs.instruction_sets, device=inputs.device)
    alone = subject.replace(text_alone=takes_text_alone(spec, runtime))
    parts = _parts(alone, runtime, format, wanted)
    if companions is not None:
        parts = _with_companions(parts, subject, runtime, format, wanted, architectures)
    return _needs_of_parts(spec, cpu, parts, workload)


def _needs_of_parts(spec: ModelSpec, cpu: CpuNeed, parts: Parts, workload: Workload) -> Needs:
    """What the spec states itself, where the parts are no total."""
    missing = [entry for entry in parts.unknown if entry.fact.startswith("memory")]
    files = None if isinstance(parts.files, Unread) else parts.files
    stated = _stated(spec, cpu, workload, files) if missing or not parts.terms else None
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


def more_in_conversation(
    spec: ModelSpec, runtime: RuntimeSpec, workload: Workload, architectures: Mapping[str, Any]
) -> int:
    """Bytes beyond the memory that a server comes to keep as conversations go on: of every sequence
    more copies of its context, to go back to. 0 for other files, and without a known row.

    It drops a copy only when its list is full (tools/server/server-context.cpp, create_checkpoint).
    """
    if workload.format != "gguf" or workload.task != "generate":
        return 0
    subject = _subject(spec, architectures)
    asked = _asked(spec, workload, workload.quantization or "", Companions(), subject.row)
    load = load_of(subject, runtime, asked) if subject.row is not None else None
    copies = max(0, runtime.kept_checkpoints - runtime.context_checkpoints) * workload.parallel
    return copies * copy_bytes(load) if load is not None and copies else 0


def weights_bytes(
    spec: ModelSpec, format: str, quantization: str, architectures: Mapping[str, Any]
) -> SizedWeights | Unread:
    """The files of one format and quantization, as downloaded, without the projector of a
    vision model.
    """
    return file_formats.size_of(_subject(spec, architectures), format, quantization)


def counted_parameters(spec: ModelSpec, architectures: Mapping[str, Any]) -> tuple[int, int] | None:
    """Parameters of the architecture without encoders, all and those used for one token; None
    where not every tensor follows.
    """
    subject = _subject(spec, architectures)
    if subject.architecture is None or subject.row is None or not subject.whole:
        return None
    groups = checkpoint_tensors(subject.architecture, subject.row)
    total = count(groups)
    return total, total - idle(groups, subject.architecture)


def quantizations_of(
    spec: ModelSpec, runtime: RuntimeSpec, architectures: Mapping[str, Any]
) -> tuple[str, ...]:
    """What the model can be had in for that runtime, best quality first; only names whose size
    is known or can be computed.
    """
    if (parts := parts_of(spec, runtime)) is not None:
        return parts.quantizations
    format, default = default_format_and_quantization(spec, runtime)
    listed = [name for files in spec.files if files.format == format for name in files.bytes]
    names = file_formats.quantizations(spec, runtime, format, listed, default)
    subject = _subject(spec, architectures)
    if file_formats.has_every_size(subject, format):
        return names

    def published(name: str) -> str:
        """The published files are downloaded for what they are cast to."""
        return name_of(spec.architecture) if is_cast(spec, runtime, name) else name

    return tuple(
        name
        for name in dict.fromkeys(names)
        if isinstance(file_formats.size_of(subject, format, published(name)), SizedWeights)
    )


def default_format_and_quantization(spec: ModelSpec, runtime: RuntimeSpec) -> tuple[str, str]:
    """The files one takes unless something else is asked for, in the first format of the
    runtime that the model has.
    """
    own = spec.quantized
    if own is not None and own.quantization is not None and own.format in runtime.formats:
        return own.format, own.quantization
    if (parts := parts_of(spec, runtime)) is not None:
        return runtime.formats[0], sdcpp.default_quantization(parts)
    usual = (name for name in runtime.formats if comes_in(spec, name))
    format = next(usual, runtime.formats[0])
    return format, file_formats.default_quantization(spec, runtime, format)


@lru_cache(maxsize=1)
def every_quantization() -> tuple[str, ...]:
    """Every name that `canonical_quantization` may answer, save for mixes of a publisher's own."""
    return (*GGUF_QUANTIZATIONS, *DTYPES, *PACKED, *MLX_QUANTIZATIONS)


def canonical_quantization(text: str) -> str | None:
    """`q4_k_m` -> `Q4_K_M`, `BFloat16` -> `bfloat16`, `AWQ-INT4` -> `awq`; None for a name
    nobody knows.
    """
    name = canonical_gguf(text)
    if name is not None:
        return name
    lower = text.strip().lower()
    canonical = next((name for name in every_quantization() if name.lower() == lower), None)
    if canonical is None:
        # people write 4-bit; repositories write the group as 4bit-gs32, or name the usual one
        spelled = re.sub(r"^(\d)-bit", r"\1bit", lower)
        spelled = re.sub(r"-(?:gs?)?(\d+)g?$", r"-\1g", spelled).removesuffix("-64g")
        canonical = spelled if mlx_scheme(spelled) is not None else None
    if canonical is None:
        canonical = gguf_files.canonical_mix(text)
    return canonical or canonical_packed(text)


def batch_tokens(
    spec: ModelSpec, workload: Workload, architectures: Mapping[str, Any]
) -> int | None:
    """Tokens of one batch of llama.cpp that has to hold a whole text, where that is more than
    it takes unless told; else None.
    """
    row = _subject(spec, architectures).row
    if row is None or workload.format != "gguf":
        return None
    batch = batch_of(row, workload.context_tokens or 0)
    return batch if batch > MICRO_BATCH_TOKENS else None


def takes_text_alone(spec: ModelSpec, runtime: RuntimeSpec) -> bool:
    """True where the runtime loads a model that sees without what it sees with."""
    if spec.modality != "vision" or spec.architecture is None:
        return False
    families = runtime.text_part.get(spec.architecture.row)
    if families is None and "vision" not in runtime.modalities:
        families = runtime.text_part.get("*")
    return families is not None and (not families or spec.family in families)


def why_not_loaded(spec: ModelSpec, runtime: RuntimeSpec) -> str | None:
    """The sentence why that program does not load this model; None where it does, or nothing
    says that it does not.
    """
    if spec.refused is not None:
        return spec.refused
    if runtime.named_alone and runtime.id not in spec.runtimes:
        return f"{runtime.name} loads only models that are made for it."
    if runtime.parts and spec.modality in runtime.modalities:
        if parts_of(spec, runtime) is None:
            return f"No files of {spec.name} are known for {runtime.name}."
        return None
    if spec.runtimes and spec.architecture is None and runtime.id not in spec.runtimes:
        # nothing tells whether a program knows tensors that are not described
        usual = " or ".join(spec.runtimes)
        return f"{spec.name} runs with {usual}; no source says that {runtime.name} loads it."
    if _is_conversion_unknown(spec, runtime):
        return f"No source says that {spec.name} is converted to GGUF, which {runtime.name} loads."
    if spec.modality not in runtime.modalities and not takes_text_alone(spec, runtime):
        return f"{runtime.name} does not serve {spec.modality} models."
    return _why_not_served(spec, runtime)


def _is_conversion_unknown(spec: ModelSpec, runtime: RuntimeSpec) -> bool:
    """The program loads conversions alone, and of a model whose tensors are not described nothing
    tells that one can be made.
    """
    is_described = spec.architecture is not None or bool(spec.files or spec.components)
    is_published_otherwise = bool(spec.safety.formats) and "gguf" not in spec.safety.formats
    return set(runtime.formats) == {"gguf"} and is_published_otherwise and not is_described


def _why_not_served(spec: ModelSpec, runtime: RuntimeSpec) -> str | None:
    unserved = runtime.unserved.get(spec.uses[0]) if spec.uses else None
    architecture = spec.architecture
    if architecture is None or unserved is not None:
        return unserved
    if architecture.row in runtime.unserved:
        return runtime.unserved[architecture.row]
    if architecture.quantizer in runtime.account.ignored_quantizers:
        why = "ModelOpt's quantization: it ignores the scales of the weights, or stops."
        return f"{runtime.name} does not apply {why}"
    if any(comes_in(spec, name) for name in runtime.formats):
        return None
    if "gguf" not in runtime.formats:
        formats = ", ".join(runtime.formats)
        return f"The weights do not come in a format that {runtime.name} loads ({formats})."
    last = runtime.last_versions.get(architecture.row)
    if last is not None:
        return f"{runtime.name} loaded the architecture {architecture.row} up to {last}."
    return f"{runtime.name} has no support for the architecture {architecture.row}."


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
    subject, type = _subject(spec, architectures), workload.kv_cache_type
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
    subject = _subject(spec, architectures)
    if is_cast(spec, runtime, quantization):
        narrow = cast_to(subject, quantization).spec
        return decode_bytes_by_type(narrow, runtime, format, quantization, architectures)
    if format == "gguf":
        quantization = canonical_gguf(quantization) or quantization
    architecture, row = subject.architecture, subject.row
    if architecture is None:
        files = weights_bytes(spec, format, quantization, architectures)
        total, active = spec.parameters.total, spec.parameters.active
        if isinstance(files, Unread) or not total or not active:
            return {}
        return {quantization: files.bytes * active // total}
    read = None
    if format == "gguf" and row is not None and subject.whole:
        read = _read_of_gguf(subject, architecture, row, quantization, architectures)
    if read is not None:
        return read
    files = weights_bytes(spec, format, quantization, architectures)
    return decode_bytes(subject, format, quantization, files, runtime)


def _read_of_gguf(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    quantization: str,
    architectures: Mapping[str, Any],
) -> dict[str, int] | None:
    """What one token reads of a file by llama-quantize's recipe, or of a publisher's own mix: that
    as of the recipe that it is nearest to, in proportion to the files. None of other names.
    """
    spec, earlier = subject.spec, typed_earlier(subject.spec.released)
    if quantization in GGUF_QUANTIZATIONS:
        tensors = of_file(spec, quantization)
        return _read_of_tensors(
            architecture, tensors or gguf_files.usual(architecture, row, quantization, earlier)
        )
    recipe = gguf_files.recipe_of_mix(quantization, architecture)
    if recipe is None:
        return None
    mix = weights_bytes(spec, "gguf", quantization, architectures)
    like = weights_bytes(spec, "gguf", recipe, architectures)
    if isinstance(mix, Unread) or isinstance(like, Unread):
        return {}
    read = _read_of_tensors(architecture, gguf_files.usual(architecture, row, recipe, earlier))
    return {type: size * mix.bytes // like.bytes for type, size in read.items()}


def _read_of_tensors(architecture: Architecture, tensors: Iterable[Stored]) -> dict[str, int]:
    """Bytes of a GGUF file's tensors that one token reads, by type."""
    used, experts = next(
        (
            (group.used or 1, group.experts)
            for group in architecture.feed_forward
            if group.experts and group.layers
        ),
        (1, 1),
    )
    read: dict[str, int] = {}
    for tensor in tensors:
        # of tables one row is read, of a tied one all of it again as the output matrix
        again = architecture.tied_embeddings and tensor.name == "token_embd.weight"
        if tensor.extra or (tensor.is_table and not again):
            continue
        size = tensor.bytes * used // experts if "_exps." in tensor.name else tensor.bytes
        if tensor.name.startswith("blk."):
            size = size * architecture.layers // (architecture.stored_layers or architecture.layers)
        read[tensor.type] = read.get(tensor.type, 0) + size
    return read


# ------------------------------------------------------------------ parts of the answer


def _subject(
    spec: ModelSpec,
    architectures: Mapping[str, Any],
    format: str = "gguf",
    runtime: RuntimeSpec | None = None,
) -> Subject:
    spec = _as_in_library(spec, runtime)
    architecture = spec.architecture
    row = row_of(architecture, architectures) if architecture is not None else None
    why = None if architecture is None or row is None else why_not_known(architecture, row, runtime)
    if architecture is not None and row is not None and why is not None and format != "gguf":
        # its weights are known, not what this program makes of its cache
        architecture = architecture.replace(
            tensors=checkpoint_tensors(architecture, row), attention=(), recurrent=()
        )
        spec = spec.replace(
            architecture=architecture, unknown={**spec.unknown, "architecture.attention": why}
        )
    if row is None and architecture is not None and architecture.tensors:
        row = ArchitectureRow(name=architecture.row)
    return Subject(
        spec=spec,
        architecture=architecture,
        row=row,
        encoder=_encoder(spec, architectures),
        architectures=Parsed(architectures),
    )


def _as_in_library(spec: ModelSpec, runtime: RuntimeSpec | None) -> ModelSpec:
    """The model with the file that the program's own name of it loads, where that is stated."""
    tag = spec.library_tag
    if runtime is None or tag is None:
        return spec
    if tag in runtime.unpacked_tags and spec.architecture is not None:
        spec = spec.replace(architecture=with_every_head(spec.architecture))
    if tag in runtime.tag_bytes:
        quantization = runtime.tags.get(tag) or default_format_and_quantization(spec, runtime)[1]
        file = PublishedFiles(
            format="gguf",
            source=runtime.sources.get("tag_bytes", ""),
            bytes={quantization: runtime.tag_bytes[tag]},
        )
        spec = spec.replace(files=(file, *spec.files))
    return spec


def _encoder(spec: ModelSpec, architectures: Mapping[str, Any]) -> Encoder | None:
    parameters = spec.parameters.encoders
    if not parameters:
        return None
    for entry in architectures.get("encoder", ()):
        most = entry.get("most_parameters", parameters)
        fits = entry.get("least_parameters", 0) <= parameters <= most
        is_typed = spec.parameters.encoder_type in entry.get("types", ())
        if is_typed or (fits and spec.family in entry.get("families", ())):
            return Encoder(**{key: entry[key] for key in Encoder._fields if key in entry})
    return None


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


# what stands in for a model, and how far one could go, is asked of the same models again and again
@lru_cache(maxsize=512)
def _parts(subject: Subject, runtime: RuntimeSpec, format: str, workload: Asked) -> Parts:
    if runtime.parts:
        return sdcpp.needs_of_parts(subject, runtime, workload)
    return file_formats.parts(subject, runtime, format, workload)


def _with_companions(
    parts: Parts,
    subject: Subject,
    runtime: RuntimeSpec,
    format: str,
    workload: Asked,
    architectures: Mapping[str, Any],
) -> Parts:
    companions = workload.companions
    if companions.own_block and format != "gguf":
        block = block_of_checkpoint(subject, workload, runtime)
        parts = parts.replace(terms=(*parts.terms, *block))
    if companions.draft is not None:
        # its cache is 16-bit whatever the model's is
        alone = workload.replace(
            quantization=companions.draft_quantization,
            key_type="f16",
            value_type="f16",
            companions=Companions(),
        )
        draft = _subject(companions.draft, architectures, format).replace(
            text_alone=takes_text_alone(companions.draft, runtime)
        )
        source = runtime.sources.get("companions", runtime.name)
        parts = with_draft(parts, _parts(draft, runtime, format, alone), workload, source)
    return parts


def _stated(
    spec: ModelSpec, cpu: CpuNeed, workload: Workload, files: SizedWeights | None = None
) -> Needs | None:
    """What the spec states itself; `files` where it leaves out how large they are."""
    stated = spec.needs
    if stated is None:
        return None
    source = stated.source or spec.sources.get("needs") or spec.origin or "the spec"
    low = stated.low_bytes if stated.low_bytes is not None else stated.high_bytes
    high = stated.high_bytes if stated.high_bytes is not None else low
    unknown: list[Unread] = []
    memory = None
    if low is None or high is None:
        unknown.append(unread("the spec states no memory", "add memory_bytes to [needs]", "memory"))
    else:
        line = f"{high:,} bytes as stated" if low == high else f"{middle_of(low, high)} as stated"
        middle = (low + high) // 2
        whole = term("weights", middle, How.STATED, source, line, low=low, high=high)
        memory = MemoryNeed(terms=(whole, *_of_longer_recording(stated, workload, source)))
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
        unknown=tuple(unknown),
    )


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
