"""The file formats, a class each: which models come in it, its quantizations, what its files weigh
and what loading them takes.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..catalogue.quantization_names import CHECKPOINTS, MLX_QUANTIZATIONS
from ..catalogue.spec import CTRANSLATE2_TYPES, ModelSpec, RuntimeSpec
from ..core.records import Unread
from .llamacpp import files as gguf_files
from .parts import Asked, Parts, Subject, components_type, from_sixteen_bits, is_cast, name_of
from .quantization import GGUF_QUANTIZATIONS, TERNARY_QUANTIZATIONS, canonical_gguf
from .records import SizedWeights

_EXPERTS_AS_TRAINED = "MXFP4-Q8"
WHISPER_QUANTIZATIONS = ("F16", "Q8_0", "Q5_1", "Q5_0")

SMALLEST_DEFAULT = "Q4_K_M"
"""The type of a GGUF file of text that is taken unless something else is asked for. What was
trained in more bits has no smaller default. `llama-server -hf` takes it, too, unless told a type.
"""


class FileFormat:
    """What differs between formats. `listed`: the quantizations of published files; `default`: the
    one that is taken unless another is asked for.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def can_hold(self, spec: ModelSpec) -> bool:
        """Whether a model can be had in this format although its spec lists no such files."""
        raise NotImplementedError

    def default_quantization(self, spec: ModelSpec, runtime: RuntimeSpec) -> str:
        raise NotImplementedError

    def quantizations(
        self, spec: ModelSpec, runtime: RuntimeSpec, listed: Sequence[str], default: str
    ) -> tuple[str, ...]:
        """What the model can be had in, best quality first; some names may have no known size."""
        raise NotImplementedError

    def has_every_size(self, subject: Subject) -> bool:
        """Whether the size follows for every name that `quantizations` returns."""
        return False

    def size_of(self, subject: Subject, quantization: str) -> SizedWeights | Unread:
        """The files as downloaded, without the projector of a vision model."""
        raise NotImplementedError

    def parts(self, subject: Subject, runtime: RuntimeSpec, workload: Asked) -> Parts:
        """Files and memory."""
        raise NotImplementedError


class _Gguf(FileFormat):
    def can_hold(self, spec: ModelSpec) -> bool:
        if spec.architecture is None:
            return not spec.components
        return spec.architecture.runs_in_gguf

    def default_quantization(self, spec: ModelSpec, runtime: RuntimeSpec) -> str:
        if trained_in_mxfp4(spec):
            return "MXFP4"
        if _is_ternary(spec):
            # holds what was trained; any wider type adds nothing
            return "TQ2_0"
        return "F16" if spec.modality == "embedding" else SMALLEST_DEFAULT

    def quantizations(
        self, spec: ModelSpec, runtime: RuntimeSpec, listed: Sequence[str], default: str
    ) -> tuple[str, ...]:
        """Those that only its publisher names come last, the largest first."""
        sizes = {
            canonical_gguf(name) or name: size
            for files in spec.files
            if files.format == self.name
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

    def has_every_size(self, subject: Subject) -> bool:
        # every recipe can be followed, so none of them has to be
        return subject.spec.parameters.total is not None or subject.whole

    def size_of(self, subject: Subject, quantization: str) -> SizedWeights | Unread:
        return gguf_files.size_of(subject, canonical_gguf(quantization) or quantization)

    def parts(self, subject: Subject, runtime: RuntimeSpec, workload: Asked) -> Parts:
        # of hundreds of models that are proposed most needs are at hand
        from .llamacpp import memory

        return memory.parts(subject, runtime, workload)


class _Ggml(FileFormat):
    """Of whisper.cpp."""

    def can_hold(self, spec: ModelSpec) -> bool:
        return spec.architecture is not None and spec.architecture.audio is not None

    def default_quantization(self, spec: ModelSpec, runtime: RuntimeSpec) -> str:
        return "F16"

    def quantizations(
        self, spec: ModelSpec, runtime: RuntimeSpec, listed: Sequence[str], default: str
    ) -> tuple[str, ...]:
        return WHISPER_QUANTIZATIONS

    def size_of(self, subject: Subject, quantization: str) -> SizedWeights | Unread:
        from . import speech

        return speech.size_of(subject, self.name, quantization)

    def parts(self, subject: Subject, runtime: RuntimeSpec, workload: Asked) -> Parts:
        from . import speech

        return speech.parts(subject, self.name, runtime, workload)


class _CTranslate2(FileFormat):
    def can_hold(self, spec: ModelSpec) -> bool:
        # nobody but a publisher converts to it
        return False

    def default_quantization(self, spec: ModelSpec, runtime: RuntimeSpec) -> str:
        # of the types that a CPU computes in, the one that the program's own README takes there
        return "int8"

    def quantizations(
        self, spec: ModelSpec, runtime: RuntimeSpec, listed: Sequence[str], default: str
    ) -> tuple[str, ...]:
        return CTRANSLATE2_TYPES

    def size_of(self, subject: Subject, quantization: str) -> SizedWeights | Unread:
        from . import speech

        return speech.size_of(subject, self.name, quantization)

    def parts(self, subject: Subject, runtime: RuntimeSpec, workload: Asked) -> Parts:
        from . import speech

        return speech.parts(subject, self.name, runtime, workload)


class _Checkpoint(FileFormat):
    """The layers as Python classes store them."""

    def can_hold(self, spec: ModelSpec) -> bool:
        return self.name in (spec.safety.formats or ("safetensors",))

    def default_quantization(self, spec: ModelSpec, runtime: RuntimeSpec) -> str:
        """The type of the checkpoint, but of files in float32 that write text the first that the
        program's command casts them to: half the memory at the same quality. Vectors stay as
        published, for they are compared with those that others made.
        """
        narrow = next((name for name in runtime.casts if is_cast(spec, runtime, name)), None)
        can_say = "{cast}" in runtime.command_of(spec.family, spec.uses)
        if narrow is None or not can_say or spec.modality == "embedding":
            return name_of(spec.architecture)
        return narrow

    def quantizations(
        self, spec: ModelSpec, runtime: RuntimeSpec, listed: Sequence[str], default: str
    ) -> tuple[str, ...]:
        casts = tuple(name for name in runtime.casts if is_cast(spec, runtime, name))
        return (name_of(spec.architecture), *casts, *_made_at_load(spec, runtime), *listed)

    def size_of(self, subject: Subject, quantization: str) -> SizedWeights | Unread:
        from . import checkpoint_files

        return checkpoint_files.size_of(subject, self.name, quantization)

    def parts(self, subject: Subject, runtime: RuntimeSpec, workload: Asked) -> Parts:
        from . import python

        return python.parts(subject, runtime, self.name, workload)


class _Mlx(_Checkpoint):
    def can_hold(self, spec: ModelSpec) -> bool:
        return not spec.components

    def default_quantization(self, spec: ModelSpec, runtime: RuntimeSpec) -> str:
        # experts stay as they were trained, the rest has 8 bits
        is_listed = spec.files_of("mlx", _EXPERTS_AS_TRAINED) is not None
        return _EXPERTS_AS_TRAINED if is_listed and trained_in_mxfp4(spec) else "4bit"

    def quantizations(
        self, spec: ModelSpec, runtime: RuntimeSpec, listed: Sequence[str], default: str
    ) -> tuple[str, ...]:
        return (*MLX_QUANTIZATIONS, *(name for name in listed if name not in MLX_QUANTIZATIONS))


class _Components(_Checkpoint):
    """A folder for each component of a model of pictures, video or sound."""

    def default_quantization(self, spec: ModelSpec, runtime: RuntimeSpec) -> str:
        return components_type(spec)

    def quantizations(
        self, spec: ModelSpec, runtime: RuntimeSpec, listed: Sequence[str], default: str
    ) -> tuple[str, ...]:
        published = ("float32", "float16") if default == "float32" else (default,)
        return (*published, *runtime.quantizations)

    def size_of(self, subject: Subject, quantization: str) -> SizedWeights | Unread:
        from . import diffusers

        return diffusers.size_of(subject, quantization)

    def parts(self, subject: Subject, runtime: RuntimeSpec, workload: Asked) -> Parts:
        from . import diffusers

        return diffusers.parts(subject, runtime, workload)


_LAYERS: dict[str, FileFormat] = {
    form.name: form
    for form in (
        _Gguf("gguf"),
        _Ggml("ggml"),
        _CTranslate2("ctranslate2"),
        _Mlx("mlx"),
        *map(_Checkpoint, CHECKPOINTS),
    )
}
_COMPONENTS = {name: _Components(name) for name in CHECKPOINTS}


def file_format(name: str, spec: ModelSpec) -> FileFormat:
    """The format of that name (`FORMATS` of `catalogue/quantization_names.py`) as it holds this
    model.
    """
    return (_COMPONENTS.get(name) if spec.components else None) or _LAYERS[name]


def comes_in(spec: ModelSpec, name: str) -> bool:
    """Whether the model is published in that format, or can be converted to it."""
    return any(files.format == name for files in spec.files) or file_format(name, spec).can_hold(
        spec
    )


def trained_in_mxfp4(spec: ModelSpec) -> bool:
    """Its experts were published in MXFP4, which llama-quantize makes no other type of."""
    return spec.architecture is not None and (spec.architecture.expert_dtype or "").startswith(
        "mxfp4"
    )


def _is_ternary(spec: ModelSpec) -> bool:
    return spec.architecture is not None and spec.architecture.matrix_dtype == "ternary"


def _made_at_load(spec: ModelSpec, runtime: RuntimeSpec) -> tuple[str, ...]:
    """What the runtime takes beside the published type; it makes them itself from 16-bit
    weights alone.
    """
    if spec.modality not in ("text", "vision") or not from_sixteen_bits(spec.architecture):
        # weights that are narrow already lose twice by being quantized again
        return ()
    return tuple(runtime.quantizations)
