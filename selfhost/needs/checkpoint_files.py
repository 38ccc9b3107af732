"""How large the files of a checkpoint are (safetensors, pickle or MLX files), and how many of their
bytes one token reads.
"""

from __future__ import annotations

from ..catalogue.quantization_names import scheme_of
from ..catalogue.spec import Architecture, ModelSpec, RuntimeSpec
from ..core import units
from ..core.records import Unread
from .loaded import block_bytes, loaded_type, stored_types
from .packed import DTYPES, encoders_may_save, left_by_class, linear_bytes, mlx_size
from .packed import size_of as packed_size
from .parts import (
    ENCODER_REMEDY,
    Subject,
    name_of,
    published,
    sized,
    stated_size,
    unread,
    unread_size,
    why_no_encoders,
)
from .records import How, SizedWeights
from .tensors import ArchitectureRow, block_tensors, checkpoint_tensors, count

_GIVE_FILES = (
    "give the folder with its safetensors files, or state the size under [[files]] of a spec"
)


def size_of(subject: Subject, format: str, quantization: str) -> SizedWeights | Unread:
    """The files: as published, else every tensor in its stored type."""
    own, spec = name_of(subject.architecture), subject.spec
    is_own = quantization == own
    stated = published(spec, format, quantization)
    if stated is None and format == "safetensors" and is_own:
        stated = published(spec, format, "native")
    if stated is not None:
        return stated_size(stated)
    # without its tensors a model is sized by its total, which has the encoders in it; files for MLX
    # keep them in 16 bits
    no_encoders = why_no_encoders(spec) if subject.whole or format == "mlx" else None
    if no_encoders is not None:
        return unread(no_encoders, ENCODER_REMEDY)
    if format == "mlx":
        return mlx_size(subject, quantization)
    if not is_own and (quantization == "int8" or scheme_of(quantization) is not None):
        return packed_size(subject, quantization)
    refused = _why_not_sized(subject, format, quantization)
    if refused is not None:
        return refused
    return _by_tensors(subject) if subject.whole else _by_count(subject)


def _why_not_sized(subject: Subject, format: str, quantization: str) -> Unread | None:
    """Why the size of files that nobody packed is not known; None where it can be computed."""
    own, spec = name_of(subject.architecture), subject.spec
    is_own, is_named = quantization == own, scheme_of(quantization) is not None
    is_named = is_named or quantization == "int8" or quantization in DTYPES
    unread_type = spec.unknown.get("architecture.matrix_dtype")
    if unread_type is not None and is_own:
        return unread(unread_type, _GIVE_FILES)
    if not is_named or (subject.architecture is not None and not is_own):
        why = f"no source states the size of the {format} files in {quantization}"
        return unread(why, f"use --quant {own}, as published")
    strange = _type_of_unknown_width(subject.architecture)
    if strange is not None:
        why = f"how many bits a weight takes in {strange} with its scales is not stated"
        return unread(why, "state the size under [[files]] of the spec")
    return None


def cast_to(subject: Subject, dtype: str) -> Subject:
    """The model as if it had been published in that type; no listed size is of that. What its class
    keeps in 32 bits beside float16 stays so.
    """
    architecture, row = subject.architecture, subject.row
    assert architecture is not None
    apart = architecture.apart
    if dtype == "float16" and row is not None:
        groups = checkpoint_tensors(architecture, row)
        wide = [group.name for group in groups if left_by_class(group.name, row)]
        apart = (*apart, *((name, "float32") for name in dict.fromkeys(wide)))
    narrow = architecture.replace(dtype=dtype, apart=apart)
    return subject.replace(
        architecture=narrow, spec=subject.spec.replace(architecture=narrow, files=())
    )


def _type_of_unknown_width(architecture: Architecture | None) -> str | None:
    """The first stored type of which it is not known how many bits a weight takes."""
    if architecture is None:
        return None
    types = (architecture.dtype, architecture.matrix_dtype, architecture.expert_dtype)
    named = [type for type in types if type is not None]
    return next((type for type in named if type not in DTYPES and scheme_of(type) is None), None)


def _plain_bits(architecture: Architecture) -> float:
    return DTYPES.get(architecture.dtype or "bfloat16", 16.0)


def _is_mixed(architecture: Architecture) -> bool:
    """Whether some matrices have a type of their own."""
    return bool(architecture.matrix_dtype or architecture.expert_dtype)


def _by_tensors(subject: Subject) -> SizedWeights:
    """Every tensor in its stored type, with encoders and blocks that predict more tokens."""
    architecture, row, parameters = subject.architecture, subject.row, subject.spec.parameters
    assert architecture is not None
    assert row is not None
    sizes = stored_types(architecture, row)
    unsure = architecture.dtype is None
    block = published_block_bytes(subject)
    # who converts a model drops the blocks that predict more tokens (transformers does), or keeps
    # them in 16 bits
    kept = max(0, 2 * (parameters.mtp or 0) - block)
    extra = 0 if _is_mixed(architecture) else parameters.extra_in_files or 0
    beside = ((parameters.encoders or 0) + extra) * _plain_bits(architecture) / 8 + block
    size = int(sum(sizes.values()) + beside)
    line = " + ".join(f"{int(part):,} bytes of {type}" for type, part in sizes.items())
    if beside:
        line += f" + {int(beside):,} bytes of encoders and other blocks in the files"
    source = "parameters of the architecture in their stored types"
    less = encoders_may_save(parameters.encoders, architecture.matrix_dtype)
    return sized(
        size,
        How.ASSUMED if unsure else How.COMPUTED,
        source + ("; the type is not stated: 16 to 32 bits" if unsure else ""),
        line,
        low=int((size - block) * 0.995) - less,
        high=int(size * (2.01 if unsure else 1.01)) + kept,
    )


def download_of(spec: ModelSpec, files: SizedWeights | Unread) -> SizedWeights | Unread:
    """The files as one figure. It is unknown, with both ends in the reason, for files without a
    repository whose type nobody states.
    """
    architecture = spec.architecture
    untyped = architecture is not None and architecture.dtype is None and spec.repository is None
    if isinstance(files, Unread) or files.how is not How.ASSUMED or not untyped:
        return files
    if "architecture.dtype" not in spec.unknown:
        return files
    low, high = units.decimal(files.low_bytes), units.decimal(files.high_bytes)
    return unread(f"{low} to {high}: {files.source}", _GIVE_FILES)


def _by_count(subject: Subject) -> SizedWeights | Unread:
    """The size by the number of parameters, for a model whose tensors are not known."""
    total, architecture = subject.spec.parameters.total, subject.architecture
    if total is None:
        return unread_size(subject.spec)
    if architecture is None and "architecture" in subject.spec.unknown:
        # models of this kind are published in 4 bits a weight as often as in 16
        return unread(
            "the spec does not state the type that the weights are stored in",
            "state `dtype` in [architecture] of the spec, or the size under [[files]]",
        )
    if architecture is None or architecture.dtype is None:
        return sized(
            total * 2,
            How.ASSUMED,
            "the stored type is not stated: 4 to 32 bits per parameter, most often 16",
            f"{total:,} parameters × 16 bits / 8",
            low=int(total * DTYPES["mxfp4"] / 8),
            high=total * 4,
        )
    type = name_of(architecture)
    bits, plain = _bits(type, 16.0), _plain_bits(architecture)
    size, mixed = int(total * bits / 8), type != architecture.dtype
    how, source = How.COMPUTED, "parameters in the published type"
    if mixed:
        how = How.ASSUMED
        source = f"parameters in {type}; how many are in {architecture.dtype} is not known"
    line = f"{total:,} parameters × {bits:g} bits / 8"
    high = int(total * max(bits, plain) / 8) if mixed else int(size * 1.05)
    return sized(size, how, source, line, high=high)


def published_block_bytes(subject: Subject) -> int:
    """Bytes of blocks that predict more tokens in the published files; 0 for files that others
    made of them.
    """
    architecture, row, number = subject.architecture, subject.row, subject.spec.parameters.mtp
    if architecture is None or not number or subject.spec.quantized is not None:
        return 0
    counted = count(block_tensors(architecture, row)) if row is not None and subject.whole else 0
    if row is None or not counted:
        return int(number * _bits(architecture.matrix_dtype, _plain_bits(architecture)) / 8)
    return int(block_bytes(architecture, row) * number / counted)


def _bits(type: str | None, plain: float) -> float:
    """Bits per weight of a stored type, scales included; `plain` where there is none of its own."""
    if type is None:
        return plain
    return DTYPES[type] if type in DTYPES else linear_bytes(type, 4096, 4096) * 8 / 4096**2


def unneeded_bytes(subject: Subject, files: SizedWeights, format: str, quantization: str) -> int:
    """Bytes of the files that runtimes do not load by default: blocks that predict more tokens, a
    tied matrix stored twice. 0 for files made for MLX, which have neither.
    """
    architecture, parameters = subject.architecture, subject.spec.parameters
    if architecture is None or format == "mlx" or quantization != name_of(architecture):
        return 0
    size = published_block_bytes(subject)
    if files.how is not How.STATED and not _is_mixed(architecture):
        size += int((parameters.extra_in_files or 0) * _plain_bits(architecture) / 8)
    return size


def decode_bytes(
    subject: Subject,
    format: str,
    quantization: str,
    files_size: SizedWeights | Unread,
    runtime: RuntimeSpec | None,
) -> dict[str, int]:
    """Bytes read for one decoded token, by the type they are loaded as; {} where unknown.

    They are the files scaled to the active parameters, less an untied token table.
    """
    parameters, architecture, row = subject.spec.parameters, subject.architecture, subject.row
    if isinstance(files_size, Unread) or not parameters.total:
        return {}
    if (
        architecture is not None
        and row is not None
        and architecture.expert_dtype is not None
        and quantization == name_of(architecture)
    ):
        # what is widened on a CPU and not on a GPU: what is read is not known before it is placed
        is_widened = runtime is not None and architecture.expert_dtype in runtime.account.widened
        return {} if is_widened else _decode_bytes_by_part(architecture, row)
    files = files_size.bytes - unneeded_bytes(subject, files_size, format, quantization)
    read = max(0, files * _active(subject) // parameters.total)
    stored, loaded = loaded_type(runtime, subject.spec, quantization)
    return {loaded: int(read * DTYPES[loaded] / DTYPES[stored]) if stored != loaded else read}


def _active(subject: Subject) -> int:
    """Parameters that one token reads, each as often as it reads it."""
    parameters, architecture, row = subject.spec.parameters, subject.architecture, subject.row
    active = (parameters.active or parameters.total or 0) - (parameters.encoders or 0)
    if architecture is None:
        return active
    table = (architecture.vocabulary or 0) * architecture.embedding_length
    if not architecture.tied_embeddings and architecture.output_matrix:
        active -= table
    if architecture.per_layer_embedding_length:
        # Gemma 3n and 4: of a second table, too, one row is read
        rows = (row.per_layer_vocabulary if row is not None else None) or architecture.vocabulary
        active -= architecture.per_layer_embedding_length * architecture.layers * (rows or 0)
    if architecture.stored_layers:
        # layers that run through the weights of earlier ones read them once more
        again = architecture.layers - architecture.stored_layers
        active += max(0, active - table) * again // architecture.stored_layers
    return active


def _decode_bytes_by_part(architecture: Architecture, row: ArchitectureRow) -> dict[str, int]:
    """Bytes by type where experts alone are narrow: a token reads the experts that it uses, and all
    that lies beside them.
    """
    sparse = next((group for group in architecture.feed_forward if group.experts), None)
    share = (sparse.used or 1) / (sparse.experts or 1) if sparse is not None else 1.0
    plain = architecture.dtype or "bfloat16"
    table = 0.0
    if not architecture.tied_embeddings:
        elements = (architecture.vocabulary or 0) * architecture.embedding_length
        table = elements * DTYPES[plain] / 8
    return {
        type: int(
            part * share if type == architecture.expert_dtype else part - table * (type == plain)
        )
        for type, part in stored_types(architecture, row).items()
    }
