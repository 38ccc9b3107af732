"""Which files a model can be had in and what they weigh, by format and quantization, and which
programs load them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from ..catalogue.architecture import Architecture
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import ModelSpec, PublishedFiles
from ..catalogue.spec_values import (
    CHECKPOINTS,
    CTRANSLATE2_TYPES,
    GENERATING,
    MLX_QUANTIZATIONS,
    PACKED,
    gguf_name,
    mlx_scheme,
    scheme_of,
)
from ..core.records import Unread
from ..core.tables import shipped_table
from ..core.workload import Workload
from . import checkpoints
from .case import (
    NO_MODEL,
    NO_PROGRAM,
    Case,
    components_type,
    from_sixteen_bits,
    is_cast,
    stored_type,
    without_files,
)
from .llamacpp import files as gguf_files
from .llamacpp import memory as gguf_memory
from .quantization import GGUF_QUANTIZATIONS, TERNARY_QUANTIZATIONS, canonical_gguf
from .records import Needs, Term, unread
from .tensors import UNKNOWN_ROW, checkpoint_tensors, row_of, with_every_head

_EXPERTS_AS_TRAINED = "MXFP4-Q8"
# of CTranslate2's types, in which a CPU computes, the one that faster-whisper's README takes there
_WHISPER_DEFAULTS = {"ggml": "F16", "ctranslate2": "int8"}
# components in 32 bits are published in 16, too
_COMPONENTS_IN = {"float32": ("float32", "float16")}
_USUAL_MIXES: tuple[str, ...] = shipped_table("memory")["stable-diffusion.cpp"][
    "defaults"
]
_WHISPER_QUANTIZATIONS = ("F16", "Q8_0", "Q5_1", "Q5_0")

# the type of a GGUF file of text that is taken unless another is asked for, as `llama-server -hf`
# does; what was trained in more bits has no smaller default
SMALLEST_DEFAULT = "Q4_K_M"
# what takes its place on a machine that does not hold it
FOUR_BITS = "IQ4_XS"

_ANY_WORKLOAD = Workload()


def case_of(
    spec: ModelSpec,
    runtime: RuntimeSpec | None = None,
    workload: Workload = _ANY_WORKLOAD,
) -> Case:
    """The model in a program under a workload; of what that leaves open the usual files."""
    usual = default_format_and_quantization(spec, runtime) if runtime else ("gguf", "")
    runtime = runtime or NO_PROGRAM
    format = workload.format or usual[0]
    if spec.library_tag is not None:
        spec = _as_in_library(spec, runtime, spec.library_tag)
    model, quantization = (
        spec.architecture or NO_MODEL,
        workload.quantization or usual[1],
    )
    row = row_of(model)
    if format == "gguf":
        quantization = canonical_gguf(quantization) or quantization
    elif row is not UNKNOWN_ROW and (why := why_cache_not_known(model, runtime)):
        # its weights are known, not what this program makes of its cache
        tensors = checkpoint_tensors(model)
        model = model.replace(tensors=tensors, attention=(), recurrent=())
        unknown = {**spec.unknown, "architecture.attention": why}
        spec = spec.replace(architecture=model, unknown=unknown)
    settings = runtime.settings_of(workload.runtime_options)
    return Case(
        spec=spec,
        model=model,
        row=row,
        has_row=row is not UNKNOWN_ROW,
        encoders=spec.parameters.encoders or 0,
        embeds=spec.modality == "embedding",
        format=format,
        quantization=quantization,
        runtime=runtime,
        workload=workload,
        settings=settings,
        cache_type=workload.kv_cache_type or "f16",
        text_alone=settings.get("projector") == "none"
        or takes_text_alone(spec, runtime),
    )


def why_cache_not_known(architecture: Architecture, runtime: RuntimeSpec) -> str | None:
    """Why it is not known what a program other than llama.cpp keeps; None where it is."""
    if any(group.kind == "compressed" for group in architecture.attention):
        return (
            "how much memory compressed attention needs outside llama.cpp is not known"
        )
    if any("rwkv" in group.kind for group in architecture.recurrent):
        return "how much memory RWKV needs outside llama.cpp is not known"
    row = row_of(architecture)
    if row.rewrites and not runtime.memory.keeps_read_text:
        return f"how much {runtime.name} keeps of the text that the encoder read is not known"
    return None


def _as_in_library(spec: ModelSpec, runtime: RuntimeSpec, tag: str) -> ModelSpec:
    """The model with the file that the program's own name of it loads, where that is stated."""
    if tag in runtime.library_tags.unpacked and spec.architecture is not None:
        spec = spec.replace(architecture=with_every_head(spec.architecture))
    is_library = "{tag}" in runtime.command_lines.default
    stated_bytes = runtime.library_tags.bytes.get(tag) or (
        spec.tag_bytes.get(tag) if is_library else None
    )
    if stated_bytes is not None:
        quantization = runtime.library_tags.quantizations.get(tag)
        if quantization is None:
            quantization = default_format_and_quantization(spec, runtime)[1]
        by_model = spec.sources.get("tag_bytes", "")
        source = (
            runtime.sources.get("library_tags.bytes", "")
            if tag in runtime.library_tags.bytes
            else by_model
        )
        file = PublishedFiles(
            format="gguf", source=source, bytes={quantization: stated_bytes}
        )
        spec = spec.replace(files=(file, *spec.files))
    return spec


def comes_in(spec: ModelSpec, format: str) -> bool:
    """Whether the model is published in that format, or can be converted to it."""
    if any(files.format == format for files in spec.files):
        return True
    model = spec.architecture
    can_be = {
        "gguf": model.runs_in_gguf if model is not None else not spec.components,
        "ggml": model is not None and model.audio is not None,
        # nobody but a publisher converts to it
        "ctranslate2": False,
        "mlx": not spec.components,
    }
    return can_be.get(format, format in (spec.safety.formats or ("safetensors",)))


def default_format_and_quantization(
    spec: ModelSpec, runtime: RuntimeSpec
) -> tuple[str, str]:
    """The files one takes unless told otherwise, in the first format that the model has."""
    own = spec.quantized
    if (
        own is not None
        and own.quantization is not None
        and own.format in runtime.formats
    ):
        return own.format, own.quantization
    if (parts := runtime.parts.get(spec.id)) is not None:
        usual = (mix for mix in _USUAL_MIXES if mix in parts.quantizations)
        return runtime.formats[0], next(usual, parts.quantizations[0])
    usual = (name for name in runtime.formats if comes_in(spec, name))
    format, stored = next(usual, runtime.formats[0]), stored_type(spec.architecture)
    embeds, is_mxfp4 = spec.modality == "embedding", stored == "mxfp4"
    # what holds the weights as they were trained, and any wider type adds nothing
    trained_as = {"mxfp4": "MXFP4", "ternary": "TQ2_0"}
    # in MLX experts stay as they were trained, the rest has 8 bits
    is_listed = spec.files_of("mlx", _EXPERTS_AS_TRAINED) is not None
    defaults = {
        **_WHISPER_DEFAULTS,
        "gguf": trained_as.get(stored, "F16" if embeds else SMALLEST_DEFAULT),
        "mlx": _EXPERTS_AS_TRAINED if is_listed and is_mxfp4 else "4bit",
    }
    if format in defaults:
        return format, defaults[format]
    if spec.components:
        return format, components_type(spec)
    # half the memory at the same quality: of files in float32 that write text the first type that
    # the command casts them to. Vectors are compared with those that others made.
    may_cast = "{cast}" in runtime.command_of(spec.family, spec.uses) and not embeds
    narrow = (
        name for name in runtime.casts if may_cast and is_cast(spec, runtime, name)
    )
    return format, next(narrow, stored)


def quantizations_of(spec: ModelSpec, runtime: RuntimeSpec) -> tuple[str, ...]:
    """What the model can be had in for that runtime with a known size, best quality first."""
    if (parts := runtime.parts.get(spec.id)) is not None:
        return parts.quantizations
    format, default = default_format_and_quantization(spec, runtime)
    case = case_of(spec, None, Workload(format=format))
    listed = [
        name
        for each in spec.files
        if each.format == format
        for name in each.quantizations
    ]
    fixed_names = {"ggml": _WHISPER_QUANTIZATIONS, "ctranslate2": CTRANSLATE2_TYPES}
    fixed_names["mlx"] = *MLX_QUANTIZATIONS, *listed
    names: tuple[str, ...]
    if format == "gguf":
        names = _gguf_quantizations(spec, default)
        if spec.parameters.total is not None or case.whole:
            # every recipe can be followed
            return names
    elif format in fixed_names:
        names = fixed_names[format]
    elif spec.components:
        names = *_COMPONENTS_IN.get(default, (default,)), *runtime.quantizations
    else:
        casts = (name for name in runtime.casts if is_cast(spec, runtime, name))
        # weights that are narrow already lose twice by being quantized again
        is_wide = spec.modality in GENERATING and from_sixteen_bits(spec.architecture)
        own = runtime.quantizations if is_wide else ()
        names = stored_type(spec.architecture), *casts, *own, *listed
    sized = []
    for name in dict.fromkeys(names):
        # the published files are downloaded for what they are cast to
        files = stored_type(spec.architecture) if is_cast(spec, runtime, name) else name
        if not isinstance(size_of(case.replace(quantization=files)), Unread):
            sized.append(name)
    return tuple(sized)


def _gguf_quantizations(spec: ModelSpec, default: str) -> tuple[str, ...]:
    """Those that only its publisher names come last, the largest first."""
    listed = [files.bytes.items() for files in spec.files if files.format == "gguf"]
    sizes = {
        canonical_gguf(name) or name: size for each in listed for name, size in each
    }
    own = set(sizes)
    beyond = sorted(
        own - set(GGUF_QUANTIZATIONS), key=lambda name: (-sizes[name], name)
    )
    architecture, left = spec.architecture, {"F32"}
    if stored_type(architecture).startswith("mxfp4"):
        # experts that were published in 4 bits gain nothing from another type
        left = {*GGUF_QUANTIZATIONS} - {default}
    elif architecture is None or not architecture.has_experts:
        left.add("MXFP4")
    if stored_type(architecture) != "ternary":
        left.update(TERNARY_QUANTIZATIONS)
    return (
        *(name for name in GGUF_QUANTIZATIONS if name in own or name not in left),
        *beyond,
    )


# every name that `canonical_quantization` may answer, save for mixes of a publisher's own
EVERY_QUANTIZATION = (
    *GGUF_QUANTIZATIONS,
    *checkpoints.DTYPES,
    *PACKED,
    *MLX_QUANTIZATIONS,
)


def canonical_quantization(text: str) -> str | None:
    """`q4_k_m` -> `Q4_K_M`, `AWQ-INT4` -> `awq`; None for a name nobody knows. `i1-` in front is
    mradermacher's word for a file that was made with an importance matrix.
    """
    text = re.sub(r"^\s*i1[-_.]", "", text, flags=re.IGNORECASE)
    lower = text.strip().lower()
    as_written = next(
        (name for name in EVERY_QUANTIZATION if name.lower() == lower), None
    )
    if name := canonical_gguf(text) or as_written:
        return name
    # people write 4-bit; repositories write the group as 4bit-gs32, or name the usual one
    spelled = re.sub(r"^(\d)-bit", r"\1bit", lower)
    spelled = re.sub(r"-(?:gs?)?(\d+)g?$", r"-\1g", spelled).removesuffix("-64g")
    if mlx_scheme(spelled) is not None:
        return spelled
    scheme = scheme_of(text)
    if (mix := gguf_name(text)) in gguf_files.MIXES:
        return mix
    return scheme.name if scheme else None


def weights_files(spec: ModelSpec, format: str, quantization: str) -> Term | Unread:
    """The files of one format and quantization, as downloaded, without the projector."""
    workload = Workload(format=format or None, quantization=quantization or None)
    return size_of(case_of(spec, None, workload))


def size_of(case: Case) -> Term | Unread:
    return (
        gguf_files.size_of(case)
        if case.format == "gguf"
        else _functions_of(case)[0](case)
    )


def _functions_of(
    case: Case,
) -> tuple[Callable[[Case], Term | Unread], Callable[[Case], Needs]]:
    """The functions that count the files of another format, and files and memory together."""
    # a model of one kind needs the modules of no other
    if case.format in ("ggml", "ctranslate2"):
        from . import speech

        return speech.size_of, speech.parts
    if case.spec.components and case.format in CHECKPOINTS:
        from . import pictures

        return pictures.size_of, pictures.parts
    from . import python

    return checkpoints.size_of, python.parts


# asked of the same models again and again, for what stands in for one and how far one could go
@lru_cache(maxsize=512)
def parts(case: Case) -> Needs:
    """The files and the memory of a case, as the program of its format counts them."""
    if case.runtime.parts:
        files = case.runtime.parts.get(case.spec.id)
        if files is not None:
            from . import pictures

            return pictures.parts_in_files(case, files)
        why = f"no files of {case.spec.name} are known for {case.runtime.name}"
        return without_files(unread(why, "leave out --runtime"))
    return (
        gguf_memory.parts(case)
        if case.format == "gguf"
        else _functions_of(case)[1](case)
    )


def takes_text_alone(spec: ModelSpec, runtime: RuntimeSpec) -> bool:
    """True where the runtime loads a model that sees without what it sees with."""
    if spec.modality != "vision" or spec.architecture is None:
        return False
    families = runtime.text_part.get(spec.architecture.row)
    if families is None and "vision" not in runtime.modalities:
        families = runtime.text_part.get("*")
    return families is not None and (not families or spec.family in families)


def why_not_loaded(spec: ModelSpec, runtime: RuntimeSpec) -> str | None:
    """The sentence why that program does not load this model, or why nobody knows that it does;
    None where nothing says so.
    """
    return _why_refused(spec, runtime) or why_untold(spec, runtime)


def _why_refused(spec: ModelSpec, runtime: RuntimeSpec) -> str | None:
    """The sentence why that program does not load this model, by what sources say of the two."""
    if spec.refused is not None:
        return spec.refused
    if runtime.named_alone and runtime.id not in spec.runtimes:
        return f"{runtime.name} loads only models that are made for it."
    if spec.modality not in runtime.modalities and not takes_text_alone(spec, runtime):
        return f"{runtime.name} does not serve {spec.modality} models."
    if why_untold(spec, runtime) is not None or runtime.parts:
        return None
    return _why_not_served(spec, runtime)


def why_untold(spec: ModelSpec, runtime: RuntimeSpec) -> str | None:
    """The sentence that no source says whether the program loads the model; None where one does, or
    where its tensors are described, which tells it.
    """
    if runtime.parts and spec.modality in runtime.modalities:
        if runtime.parts.get(spec.id) is None:
            return f"No files of {spec.name} are known for {runtime.name}."
        return None
    if spec.runtimes and spec.architecture is None and runtime.id not in spec.runtimes:
        # nothing tells whether a program knows tensors that are not described
        usual = " or ".join(spec.runtimes)
        return f"{spec.name} runs with {usual}; no source says that {runtime.name} loads it."
    formats, described = (
        spec.safety.formats,
        (spec.architecture, spec.files, spec.components),
    )
    is_converted = any((*described, not formats, "gguf" in formats))
    if runtime.formats == ("gguf",) and not is_converted:
        return f"No source says that {spec.name} is converted to GGUF, which {runtime.name} loads."
    return None


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
    last = runtime.versions.last.get(architecture.row)
    if last is not None:
        return (
            f"{runtime.name} loaded the architecture {architecture.row} up to {last}."
        )
    return f"{runtime.name} has no support for the architecture {architecture.row}."
