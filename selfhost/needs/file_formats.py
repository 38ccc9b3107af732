"""The file formats: which models come in one, its quantizations, what its files weigh and what
loading them takes.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..catalogue.quantization_names import CHECKPOINTS, CTRANSLATE2_TYPES, MLX_QUANTIZATIONS
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import ModelSpec
from ..core.records import Unread
from .llamacpp import files as gguf_files
from .parts import Asked, Parts, Subject, components_type, from_sixteen_bits, is_cast, name_of
from .quantization import GGUF_QUANTIZATIONS, TERNARY_QUANTIZATIONS, canonical_gguf
from .records import SizedWeights

_EXPERTS_AS_TRAINED = "MXFP4-Q8"
_WHISPER_QUANTIZATIONS = ("F16", "Q8_0", "Q5_1", "Q5_0")

SMALLEST_DEFAULT = "Q4_K_M"
"""The type of a GGUF file of text that is taken unless something else is asked for. What was
trained in more bits has no smaller default. `llama-server -hf` takes it, too, unless told a type.
"""
# what takes its place on a machine that does not hold it
FOUR_BITS = "IQ4_XS"


def comes_in(spec: ModelSpec, format: str) -> bool:
    """Whether the model is published in that format, or can be converted to it."""
    if any(files.format == format for files in spec.files):
        return True
    architecture = spec.architecture
    match format:
        case "gguf":
            return architecture.runs_in_gguf if architecture is not None else not spec.components
        case "ggml":
            return architecture is not None and architecture.audio is not None
        case "ctranslate2":
            # nobody but a publisher converts to it
            return False
        case "mlx":
            return not spec.components
    return format in (spec.safety.formats or ("safetensors",))


def default_quantization(spec: ModelSpec, runtime: RuntimeSpec, format: str) -> str:
    """The quantization that is taken unless another is asked for."""
    match format:
        case "gguf":
            if trained_in_mxfp4(spec):
                return "MXFP4"
            if _is_ternary(spec):
                # holds what was trained; any wider type adds nothing
                return "TQ2_0"
            return "F16" if spec.modality == "embedding" else SMALLEST_DEFAULT
        case "ggml":
            return "F16"
        case "ctranslate2":
            # of the types that a CPU computes in, the one that its own README takes there
            return "int8"
        case "mlx":
            # experts stay as they were trained, the rest has 8 bits
            is_listed = spec.files_of("mlx", _EXPERTS_AS_TRAINED) is not None
            return _EXPERTS_AS_TRAINED if is_listed and trained_in_mxfp4(spec) else "4bit"
    if spec.components:
        return components_type(spec)
    # half the memory at the same quality: of files in float32 that write text the first type that
    # the command casts them to. Vectors are compared with those that others made.
    narrow = next((name for name in runtime.casts if is_cast(spec, runtime, name)), None)
    can_say = "{cast}" in runtime.command_of(spec.family, spec.uses)
    if narrow is None or not can_say or spec.modality == "embedding":
        return name_of(spec.architecture)
    return narrow


def quantizations(
    spec: ModelSpec, runtime: RuntimeSpec, format: str, listed: Sequence[str], default: str
) -> tuple[str, ...]:
    """What the model can be had in, best quality first; some names may have no known size.

    `listed`: those of published files; `default`: the one that is taken unless another is asked
    for.
    """
    match format:
        case "gguf":
            return _gguf_quantizations(spec, default)
        case "ggml":
            return _WHISPER_QUANTIZATIONS
        case "ctranslate2":
            return CTRANSLATE2_TYPES
        case "mlx":
            return (*MLX_QUANTIZATIONS, *(name for name in listed if name not in MLX_QUANTIZATIONS))
    if spec.components:
        published = ("float32", "float16") if default == "float32" else (default,)
        return (*published, *runtime.quantizations)
    casts = tuple(name for name in runtime.casts if is_cast(spec, runtime, name))
    own: tuple[str, ...] = ()
    # weights that are narrow already lose twice by being quantized again
    if spec.modality in ("text", "vision") and from_sixteen_bits(spec.architecture):
        own = tuple(runtime.quantizations)
    return (name_of(spec.architecture), *casts, *own, *listed)


def _gguf_quantizations(spec: ModelSpec, default: str) -> tuple[str, ...]:
    """Those that only its publisher names come last, the largest first."""
    sizes = {
        canonical_gguf(name) or name: size
        for files in spec.files
        if files.format == "gguf"
        for name, size in files.bytes.items()
    }
    own = set(sizes)
    beyond = sorted(own - set(GGUF_QUANTIZATIONS), key=lambda name: (-sizes[name], name))
    if trained_in_mxfp4(spec):
        # experts that were published in 4 bits gain nothing from another type
        wanted = {default, *own}
        return (*(name for name in GGUF_QUANTIZATIONS if name in wanted), *beyond)
    architecture = spec.architecture
    left = {"F32"}
    if architecture is None or not any(group.experts for group in architecture.feed_forward):
        left.add("MXFP4")
    if not _is_ternary(spec):
        left.update(TERNARY_QUANTIZATIONS)
    left -= own
    return (*(name for name in GGUF_QUANTIZATIONS if name not in left), *beyond)


def has_every_size(subject: Subject, format: str) -> bool:
    """Whether the size follows for every name that `quantizations` returns: every recipe of GGUF
    can be followed.
    """
    return format == "gguf" and (subject.spec.parameters.total is not None or subject.whole)


def size_of(subject: Subject, format: str, quantization: str) -> SizedWeights | Unread:
    """The files as downloaded, without the projector of a vision model."""
    match format:
        case "gguf":
            return gguf_files.size_of(subject, canonical_gguf(quantization) or quantization)
        case "ggml" | "ctranslate2":
            from . import speech

            return speech.size_of(subject, format, quantization)
    if subject.spec.components and format in CHECKPOINTS:
        from . import diffusers

        return diffusers.size_of(subject, quantization)
    from . import checkpoints

    return checkpoints.size_of(subject, format, quantization)


def parts(subject: Subject, runtime: RuntimeSpec, format: str, workload: Asked) -> Parts:
    """Files and memory."""
    match format:
        case "gguf":
            from .llamacpp import memory

            return memory.parts(subject, runtime, workload)
        case "ggml" | "ctranslate2":
            from . import speech

            return speech.parts(subject, format, runtime, workload)
    if subject.spec.components and format in CHECKPOINTS:
        from . import diffusers

        return diffusers.parts(subject, runtime, workload)
    from . import python

    return python.parts(subject, runtime, format, workload)


def trained_in_mxfp4(spec: ModelSpec) -> bool:
    """Its experts were published in MXFP4, which llama-quantize makes no other type of."""
    return spec.architecture is not None and (spec.architecture.expert_dtype or "").startswith(
        "mxfp4"
    )


def _is_ternary(spec: ModelSpec) -> bool:
    return spec.architecture is not None and spec.architecture.matrix_dtype == "ternary"
