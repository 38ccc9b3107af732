"""The formats and quantizations of a model's files, the size of the files, and the programs that
load them.

The names of quantizations, the defaults and the reasons stand here. The size of the files is
counted in the module of their format, which `size_of` and `needs_of_case` choose.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from ..catalogue.architecture import Architecture
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import ModelSpec, PublishedFiles
from ..catalogue.spec_values import (
    CTRANSLATE2_TYPES,
    GENERATING,
    MLX_QUANTIZATIONS,
    PACKED,
    TRAINED_FORMATS,
    gguf_name,
    mlx_scheme,
    scheme_of,
)
from ..core.records import Record, Unread
from ..core.workload import CacheTypes, Workload
from . import weight_files
from .case import (
    NO_MODEL,
    NO_PROGRAM,
    Case,
    components_type,
    is_cast,
    is_made_of,
    stored_type,
)
from .llamacpp import files as gguf_files
from .llamacpp import memory as gguf_memory
from .picture_size import resized, size_asked
from .quantization import (
    GGUF_QUANTIZATIONS,
    KEPT_QUANTIZATIONS,
    MIXES,
    TRAINED_QUANTIZATIONS,
    canonical_gguf,
)
from .records import Needs, Term
from .tensors import UNKNOWN_ROW, published_tensors, row_of, with_every_head

# the MLX type that holds weights as they were trained, by the type in which they are published
_MLX_AS_TRAINED = {
    "mxfp4": "MXFP4-Q8", "ternary_128": "2bit-128g", "binary_128": "1bit-128g",
}  # fmt: skip
# the types recommended for a CPU; for CTranslate2 the type of faster-whisper's README
_WHISPER_DEFAULTS = {"ggml": "F16", "ctranslate2": "int8"}
# components published in 32 bits are published in 16 bits too
_COMPONENTS_IN = {"float32": ("float32", "float16")}
_WHISPER_QUANTIZATIONS = ("F16", "Q8_0", "Q5_1", "Q5_0")

# the default type of a GGUF file of text, as in `llama-server -hf`; a model trained in more bits
# has no smaller default
SMALLEST_DEFAULT = "Q4_K_M"
# the type tried on a machine that does not hold the default
FOUR_BITS = "IQ4_XS"
# the GGUF type that holds the weights as they were trained; a wider type adds nothing
_GGUF_AS_TRAINED = {
    "mxfp4": "MXFP4", "ternary": "TQ2_0", "ternary_128": "Q2_0", "binary_128": "Q1_0",
}  # fmt: skip

_ANY_WORKLOAD = Workload()


def case_of(
    spec: ModelSpec,
    runtime: RuntimeSpec | None = None,
    workload: Workload = _ANY_WORKLOAD,
) -> Case:
    """The case of a model in a program under a workload; the workload's open questions are filled
    in with the usual files.
    """
    format = "gguf"
    quantization = ""
    if runtime is None:
        runtime = NO_PROGRAM
    else:
        format, quantization = default_format_and_quantization(spec, runtime)
    format = workload.format or format
    quantization = workload.quantization or quantization
    if spec.library_tag is not None:
        spec = _as_in_library(spec, runtime, spec.library_tag)
    row = row_of(spec.architecture) if spec.architecture else UNKNOWN_ROW
    if format == "gguf":
        quantization = canonical_gguf(quantization) or quantization
    elif row is not UNKNOWN_ROW:
        spec = _without_cache_that_is_not_known(spec, runtime)
    settings = runtime.settings_of(workload.runtime_options)
    size = size_asked(spec, settings)
    spec = resized(spec, settings)
    is_text_alone = settings.get("projector") == "none"
    return Case(
        spec=spec,
        model=spec.architecture or NO_MODEL,
        row=row,
        has_row=row is not UNKNOWN_ROW,
        encoders=spec.parameters.in_encoders,
        embeds=spec.modality == "embedding",
        format=format,
        quantization=quantization,
        runtime=runtime,
        workload=workload,
        settings=settings,
        size_times=1.0 if size is None else size.times,
        cache_types=CacheTypes.of(workload.kv_cache_type or "f16"),
        text_alone=is_text_alone or takes_text_alone(spec, runtime),
    )


def _without_cache_that_is_not_known(
    spec: ModelSpec, runtime: RuntimeSpec
) -> ModelSpec:
    """The spec with its tensors alone, where the program's cache for the architecture is not known.
    Otherwise the spec itself.
    """
    model = spec.architecture
    if model is None:
        return spec
    why = why_cache_not_known(model, runtime)
    if why is None:
        return spec
    tensors = published_tensors(model)
    model = model.replace(tensors=tensors, attention=(), recurrent=())
    unknown = {**spec.unknown, "architecture.attention": why}
    return spec.replace(architecture=model, unknown=unknown)


def why_cache_not_known(architecture: Architecture, runtime: RuntimeSpec) -> str | None:
    """The reason why the KV cache of programs other than llama.cpp is not known for an
    architecture; None where it is known.
    """
    for heads in architecture.attention:
        is_counted = runtime.memory.compressed_most > 0
        if heads.kind == "compressed" and not is_counted:
            return "how much memory compressed attention needs outside llama.cpp is not known"
    for group in architecture.recurrent:
        if "rwkv" in group.kind:
            return "how much memory RWKV needs outside llama.cpp is not known"
    if row_of(architecture).rewrites and not runtime.memory.keeps_read_text:
        return f"how much {runtime.name} keeps of the text that the encoder read is not known"
    return None


def _as_in_library(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    tag: str,
) -> ModelSpec:
    """The spec with the file that the program's own library loads by its tag, where the size of
    that file is stated.
    """
    tags = runtime.library_tags
    if spec.architecture is not None and tag in tags.unpacked:
        spec = spec.replace(architecture=with_every_head(spec.architecture))
    if tag in tags.bytes:
        stated_bytes = tags.bytes[tag]
        sources = runtime.sources
    elif "{tag}" not in runtime.command_lines.default:
        return spec
    elif tag in spec.tag_bytes:
        stated_bytes = spec.tag_bytes[tag]
        sources = spec.sources
    else:
        return spec
    file = PublishedFiles(
        format="gguf",
        source=sources.get("tag_bytes", ""),
        bytes={type_of_tag(spec, runtime, tag): stated_bytes},
    )
    return spec.replace(files=(file, *spec.files))


def type_of_tag(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    tag: str,
) -> str:
    """The type of the file that the program's own library loads by a tag."""
    _, usual = default_format_and_quantization(spec, runtime)
    return runtime.library_tags.quantizations.get(tag, usual)


def comes_in(spec: ModelSpec, format: str) -> bool:
    """Whether the model is published in that format, or can be converted to it."""
    if format in [files.format for files in spec.files]:
        return True
    model = spec.architecture
    if format == "gguf":
        if model is None:
            return not spec.components
        return model.runs_in_gguf
    if format == "ggml":
        if model is None:
            return False
        return model.audio is not None
    if format == "ctranslate2":
        # only publishers convert models to CTranslate2
        return False
    if format == "mlx":
        return not spec.components
    published = spec.safety.formats
    if not published:
        return format == "safetensors"
    return format in published


def default_format_and_quantization(
    spec: ModelSpec, runtime: RuntimeSpec
) -> tuple[str, str]:
    """The default format and quantization of a model for a runtime: the first of the runtime's
    formats that the model comes in.
    """
    published = spec.quantized
    if published is not None and published.quantization is not None:
        format = published.format
        if format in runtime.formats:
            return format, published.quantization
    first = runtime.formats[0]
    parts = runtime.parts.get(spec.id)
    if parts is not None:
        from . import pictures

        return first, pictures.usual_mix(parts)
    possible = (name for name in runtime.formats if comes_in(spec, name))
    format = next(possible, first)
    return format, _default_quantization(spec, runtime, format)


def _default_quantization(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    format: str,
) -> str:
    """The default quantization of a model's files in a format."""
    if format in _WHISPER_DEFAULTS:
        return _WHISPER_DEFAULTS[format]
    stored = stored_type(spec.architecture)
    is_embedding = spec.modality == "embedding"
    if format == "gguf":
        usual = "F16" if is_embedding else SMALLEST_DEFAULT
        return _GGUF_AS_TRAINED.get(stored, usual)
    if format == "mlx":
        return _default_in_mlx(spec, stored)
    if spec.components:
        published = components_type(spec)
        if published == "float32" and runtime.memory.component_files:
            # publishers of such files have the components in 16 bits
            return "float16"
        return published
    if is_embedding:
        # the vectors of an embedding model are compared with vectors that others computed: the type
        # must be the published one
        return stored
    if runtime.usual_quantization:
        return runtime.usual_quantization
    if "{cast}" not in runtime.command_of(spec.family, spec.main_use):
        return stored
    # files in float32: the first type to which the command casts them, with half the memory at the
    # same quality
    return next(iter(_casts_of(spec, runtime)), stored)


def _default_in_mlx(spec: ModelSpec, stored: str) -> str:
    """The default quantization for MLX: 4 bits. Weights trained in fewer bits stay as they are
    where such files are listed; beside experts in MXFP4 the rest has 8 bits.
    """
    trained = _MLX_AS_TRAINED.get(stored)
    if trained is None or spec.files_of("mlx", trained) is None:
        return "4bit"
    return trained


def _casts_of(spec: ModelSpec, runtime: RuntimeSpec) -> list[str]:
    """The types that the program is told to load float32 files as."""
    return [name for name in runtime.casts if is_cast(spec, runtime, name)]


# cached: of a model that does not fit, each layout asks which smaller types there are
@lru_cache(maxsize=512)
def quantizations_of(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    among: tuple[str, ...] | None = None,
) -> tuple[str, ...]:
    """The quantizations of a model for a runtime, of those whose size is known, the best quality
    first. `among`: the only ones that matter, because many sizes take time; None: all matter.
    """
    parts = runtime.parts.get(spec.id)
    if parts is not None:
        return parts.quantizations
    format, default = default_format_and_quantization(spec, runtime)
    # sizes depend on the program only where it loads other files than those of the publisher
    program = runtime if runtime.memory.component_files else None
    case = case_of(spec, program, _ANY_WORKLOAD.with_known(format=format))
    names = _possible_quantizations(spec, runtime, format, default)
    if format == "gguf" and _can_follow_recipes(case):
        return names
    sized = []
    for name in dict.fromkeys(names):
        if among is not None and name not in among:
            continue
        files = name
        if is_cast(spec, runtime, name):
            # the published files are downloaded and cast while they load
            files = stored_type(spec.architecture)
        size = size_of(case.replace(quantization=files))
        if isinstance(size, Term):
            sized.append(name)
    return tuple(sized)


def _can_follow_recipes(case: Case) -> bool:
    """Whether the size of a GGUF file follows from any recipe: by tensors, else by parameters."""
    if case.has_all_tensors:
        return True
    return case.spec.parameters.total is not None


def _possible_quantizations(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    format: str,
    default: str,
) -> tuple[str, ...]:
    """The quantizations that files of a format may have, whether their size is known or not."""
    if format == "gguf":
        return _gguf_quantizations(spec, default)
    if format == "ggml":
        return _WHISPER_QUANTIZATIONS
    if format == "ctranslate2":
        return CTRANSLATE2_TYPES
    listed: list[str] = []
    for files in spec.files:
        if files.format == format:
            listed += files.quantizations
    if format == "mlx":
        return (*MLX_QUANTIZATIONS, *listed)
    if spec.components:
        published = _COMPONENTS_IN.get(default, (default,))
        return *published, *runtime.quantizations
    casts = _casts_of(spec, runtime)
    # weights stored in fewer than 16 bits lose twice if they are quantized again
    if spec.modality in GENERATING:
        for name, rule in runtime.quantizations.items():
            if is_made_of(spec.architecture, rule):
                casts.append(name)
    # others make files for one program each
    loaded = [name for name in listed if runtime.rule_of(name) is not None]
    return stored_type(spec.architecture), *casts, *loaded


def _gguf_quantizations(spec: ModelSpec, default: str) -> tuple[str, ...]:
    """The quantizations of a model's GGUF files: the usual ones first, then those that only the
    publisher names, the largest first.
    """
    sizes = {}
    for files in spec.files:
        if files.format == "gguf":
            for name, size in files.bytes.items():
                written = canonical_gguf(name) or name
                sizes[written] = size
    # a published quantization is never useless
    useless = _useless_quantizations(spec, default).difference(sizes)
    usual = [name for name in GGUF_QUANTIZATIONS if name not in useless]
    others = sizes.keys() - usual
    return *usual, *sorted(others, key=lambda name: (-sizes[name], name))


def _useless_quantizations(spec: ModelSpec, default: str) -> set[str]:
    """Quantizations of llama-quantize that no one makes of the model."""
    useless = {"F32"}
    stored = stored_type(spec.architecture)
    if stored.startswith("mxfp4"):
        # experts published in 4 bits gain nothing from another type
        useless = {*GGUF_QUANTIZATIONS} - {default}
    elif spec.architecture is None or not spec.architecture.has_experts:
        useless.add("MXFP4")
    for name, trained in TRAINED_QUANTIZATIONS.items():
        if stored != trained:
            useless.add(name)
    return useless


# every name that `canonical_quantization` may return, except a publisher's own mixes
EVERY_QUANTIZATION: tuple[str, ...] = (
    *weight_files.DTYPES,
    *PACKED,
    *MLX_QUANTIZATIONS,
    *CTRANSLATE2_TYPES,
    *GGUF_QUANTIZATIONS,
)


def canonical_quantization(text: str) -> str | None:
    """`q4_k_m` -> `Q4_K_M`, `AWQ-INT4` -> `awq`; None for a name nobody knows. `i1-` in front is
    mradermacher's word for a file that was made with an importance matrix.
    """
    text = text.strip()
    if text[:3].lower() in ("i1-", "i1_", "i1."):
        text = text[3:]
    gguf = canonical_gguf(text)
    if gguf is not None and gguf not in KEPT_QUANTIZATIONS:
        return gguf
    # a kept type has the name that it has in the weights it is kept of
    lower = text.strip().lower()
    for name in EVERY_QUANTIZATION:
        if name.lower() == lower:
            return name
    # people write 4-bit; repositories write the group as in 4bit-gs32, or state the usual group too
    spelled = re.sub(r"^(\d)-bit", r"\1bit", lower)
    spelled = re.sub(r"-(?:gs?)?(\d+)g?$", r"-\1g", spelled)
    spelled = spelled.removesuffix("-64g")
    if mlx_scheme(spelled) is not None:
        return spelled
    mix = gguf_name(text)
    if mix in MIXES:
        return mix
    scheme = scheme_of(text)
    return None if scheme is None else scheme.name


def weights_files(
    spec: ModelSpec,
    format: str,
    quantization: str,
) -> Term | Unread:
    """The size of the files of a format and quantization as downloaded, without the projector, or
    the reason why it is not known.
    """
    return size_of(case_of_files(spec, format, quantization))


# cached: each layout, each type and each step of decoding asks about the same files
@lru_cache(maxsize=1024)
def case_of_files(
    spec: ModelSpec,
    format: str,
    quantization: str,
) -> Case:
    """The case of a model in files of that format and quantization; "" for the usual ones."""
    workload = _ANY_WORKLOAD.with_known(
        format=format or None, quantization=quantization or None
    )
    return case_of(spec, None, workload)


class FormatAccount(Record):
    """The functions that count files of one format: their size, and files and memory together."""

    size_of: Callable[[Case], Term | Unread]
    needs_of_case: Callable[[Case], Needs]


def _account_of(case: Case) -> FormatAccount:
    """The account of the case's format. A model of one kind needs the modules of no other, so they
    are imported here.
    """
    if case.format == "gguf":
        return FormatAccount(
            size_of=gguf_files.size_of,
            needs_of_case=gguf_memory.needs_of_case,
        )
    if case.format in ("ggml", "ctranslate2"):
        from . import speech

        return FormatAccount(size_of=speech.size_of, needs_of_case=speech.needs_of_case)
    if case.spec.components and case.format in TRAINED_FORMATS:
        from . import pictures

        return FormatAccount(
            size_of=pictures.size_of, needs_of_case=pictures.needs_of_case
        )
    from . import python

    return FormatAccount(
        size_of=weight_files.size_of, needs_of_case=python.needs_of_case
    )


def size_of(case: Case) -> Term | Unread:
    """The size of a case's files in bytes, or the reason why it is not known."""
    return _account_of(case).size_of(case)


# cached: a search for other types, programs and contexts asks about the same case repeatedly
@lru_cache(maxsize=512)
def needs_of_case(case: Case) -> Needs:
    """The files and the memory of a case, counted by the rules of its format."""
    if not case.runtime.parts:
        return _account_of(case).needs_of_case(case)
    from . import pictures

    # of a model without listed files the program has none: `why_untold` says so
    files = case.runtime.parts[case.spec.id]
    return pictures.needs_of_listed_files(case, files)


def takes_text_alone(spec: ModelSpec, runtime: RuntimeSpec) -> bool:
    """Whether the runtime loads a vision model without its vision encoder."""
    if spec.modality != "vision" or spec.architecture is None:
        return False
    families = runtime.text_part.get(spec.architecture.row)
    if families is None and "vision" not in runtime.modalities:
        families = runtime.text_part.get("*")
    if families is None:
        return False
    if not families:
        # an empty tuple stands for all families
        return True
    return spec.family in families


def why_not_loaded(spec: ModelSpec, runtime: RuntimeSpec) -> str | None:
    """The sentence why the program does not load the model, or why that is not known; None where
    nothing speaks against loading it.
    """
    untold = why_untold(spec, runtime)
    return _why_refused(spec, runtime, untold) or untold


def _why_refused(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    untold: str | None,
) -> str | None:
    """The sentence why the program does not load the model, from what sources say of both; None
    where nothing speaks against it.
    """
    if spec.refused is not None:
        return spec.refused
    if runtime.named_alone and runtime.id not in spec.runtimes:
        return f"{runtime.name} loads only models that are made for it."
    serves = spec.modality in runtime.modalities
    if not serves and not takes_text_alone(spec, runtime):
        return f"{runtime.name} does not serve {spec.modality} models."
    if runtime.parts or untold is not None:
        return None
    return _why_not_served(spec, runtime)


def why_untold(spec: ModelSpec, runtime: RuntimeSpec) -> str | None:
    """The sentence that no source says whether the program loads the model. None where a source
    says so, or where the model's tensors are described, which answers it.
    """
    if runtime.parts and spec.modality in runtime.modalities:
        if spec.id in runtime.parts:
            return None
        return f"No files of {spec.name} are known for {runtime.name}."
    if spec.architecture is not None:
        return None
    if spec.runtimes and runtime.id not in spec.runtimes:
        # it is not known whether other programs know the model's undescribed tensors
        usual = " or ".join(spec.runtimes)
        return f"{spec.name} runs with {usual}; no source says that {runtime.name} loads it."
    if runtime.formats == ("gguf",) and not _may_be_in_gguf(spec):
        return f"No source says that {spec.name} is converted to GGUF, which {runtime.name} loads."
    return None


def _may_be_in_gguf(spec: ModelSpec) -> bool:
    """Whether nothing that the spec states of files, components or formats rules out a GGUF
    file.
    """
    formats = spec.safety.formats
    if spec.files or spec.components or not formats:
        return True
    return "gguf" in formats


def _why_not_served(spec: ModelSpec, runtime: RuntimeSpec) -> str | None:
    """The sentence why the program does not serve the model's use or architecture, or shares no
    format with it; None where nothing speaks against it.
    """
    architecture = spec.architecture
    unserved = runtime.unserved.get(spec.main_use)
    if architecture is None or unserved is not None:
        return unserved
    row = architecture.row
    if row in runtime.unserved:
        return runtime.unserved[row]
    if not architecture.has_experts and "dense" in runtime.unserved:
        return runtime.unserved["dense"]
    if architecture.quantizer in runtime.account.ignored_quantizers:
        why = "ModelOpt's quantization: it ignores the scales of the weights, or stops."
        return f"{runtime.name} does not apply {why}"
    for format in runtime.formats:
        if comes_in(spec, format):
            return None
    if "gguf" not in runtime.formats:
        formats = ", ".join(runtime.formats)
        return f"The weights do not come in a format that {runtime.name} loads ({formats})."
    last = runtime.versions.last.get(row)
    if last is not None:
        return f"{runtime.name} loaded the architecture {row} up to {last}."
    return f"{runtime.name} has no support for the architecture {row}."
