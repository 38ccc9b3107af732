"""How the weights of a checkpoint are stored and loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from math import prod

from ..catalogue.quantization_names import scheme_of
from ..catalogue.spec import (
    MLX_MODES,
    PLAIN_DTYPES,
    SIZE_OF,
    Architecture,
    ModelSpec,
    RuntimeSpec,
    TensorGroup,
)
from .packed import DTYPES, is_bitsandbytes, is_linear, left_by_class, linear_bytes
from .parts import is_cast
from .tensors import ArchitectureRow, block_tensors, checkpoint_tensors


@lru_cache(maxsize=512)
def stored_types(architecture: Architecture, row: ArchitectureRow) -> dict[str, float]:
    """Bytes by stored type."""
    sizes: dict[str, float] = {}
    for _, type, size in typed_tensors(architecture, row):
        sizes[type] = sizes.get(type, 0.0) + size
    return sizes


def typed_tensors(
    architecture: Architecture, row: ArchitectureRow
) -> Iterator[tuple[TensorGroup, str, float]]:
    """Each group of tensors with its stored type and bytes, without blocks that predict more
    tokens.
    """
    return _typed(architecture, row, checkpoint_tensors(architecture, row))


def block_bytes(architecture: Architecture, row: ArchitectureRow) -> float:
    """What the blocks that predict more tokens take in a published checkpoint."""
    return sum(size for _, _, size in _typed(architecture, row, block_tensors(architecture, row)))


def _typed(
    architecture: Architecture, row: ArchitectureRow, groups: Iterable[TensorGroup]
) -> Iterator[tuple[TensorGroup, str, float]]:
    plain, apart = architecture.dtype or "bfloat16", dict(architecture.apart)
    for group, own in (pair for whole in groups for pair in _split(whole, apart)):
        type, number = own or _type_of(group, architecture, row, plain), len(group.layers) or 1
        if type == plain:
            size = prod(group.shape) * DTYPES.get(type, 16.0) / 8
        else:
            # further axes are experts, or heads of one matrix
            inputs, outputs = group.shape[0], group.shape[1]
            size = linear_bytes(type, inputs, outputs) * prod(group.shape[2:])
        yield group, type, size * number


def _split(
    group: TensorGroup, apart: Mapping[str, str]
) -> Iterator[tuple[TensorGroup, str | None]]:
    """The group in parts whose layers have the same stated type; None where none is stated."""
    if not apart:
        yield group, None
        return
    whole = apart.get(group.name)
    layers: dict[str | None, list[int]] = {}
    for layer in group.layers:
        layers.setdefault(apart.get(group.name.replace("*", str(layer)), whole), []).append(layer)
    if not layers:
        yield group, whole
    for type, own in layers.items():
        yield group.replace(layers=tuple(own)), type


def _type_of(
    group: TensorGroup, architecture: Architecture, row: ArchitectureRow, plain: str
) -> str:
    if (
        not group.layers
        or len(group.shape) < 2
        or not group.name.endswith(".weight")
        or "ffn_gate_inp" in group.name
    ):
        return plain
    if ".nextn." in group.name:
        # DeepSeek V3's index has scales for the matrices of the block's layer, and none for those
        # that join it to the model
        return plain
    if scheme_of(architecture.matrix_dtype or "") is not None and not is_linear(group):
        return plain
    if is_bitsandbytes(architecture.matrix_dtype) and left_by_class(group.name, row):
        return "float32" if architecture.dtype == "float16" else plain
    if "_exps." in group.name and architecture.expert_dtype:
        return architecture.expert_dtype
    return architecture.matrix_dtype or plain


def loaded_type(runtime: RuntimeSpec | None, spec: ModelSpec, quantization: str) -> tuple[str, str]:
    """The type that plain weights are stored in, and the one that they are loaded as by default:
    that of config.json, whatever the files hold.

    transformers 5: `dtype` is "auto" (modeling_utils.py, from_pretrained); vLLM's --dtype auto
    makes 32 bits 16 (vllm/config/model.py, _resolve_auto_dtype): bfloat16, but float16 for models
    that pool and below compute capability 8.0 (vllm/platforms/cuda.py, supported_dtypes).
    """
    architecture = spec.architecture
    stated = architecture.dtype if architecture is not None else None
    if is_cast(spec, runtime, quantization):
        return quantization, quantization
    plain = quantization in PLAIN_DTYPES or casts_float8(spec, quantization)
    if (
        runtime is None
        or runtime.account.loads_as == "stored"
        or not plain
        or stated not in PLAIN_DTYPES
    ):
        return quantization, quantization
    return (
        quantization,
        "bfloat16" if runtime.account.loads_as == "sixteen" and stated == "float32" else stated,
    )


def loaded_bits(runtime: RuntimeSpec | None, spec: ModelSpec, quantization: str) -> int | None:
    """Bits of a plain weight as it is loaded by default; None where they are those of the files."""
    stored, loaded = loaded_type(runtime, spec, quantization)
    bits = DTYPES.get(loaded)
    return None if stored == loaded or bits is None or bits == DTYPES[stored] else int(bits)


def casts_float8(spec: ModelSpec, quantization: str) -> bool:
    """True of FP8 files that lie here and whose config.json does not say that they are
    quantized: they are cast as any plain type.
    """
    architecture = spec.architecture
    if (
        quantization != "float8_e4m3"
        or architecture is None
        or architecture.matrix_dtype
        or architecture.expert_dtype
    ):
        return False
    return any(
        files.source.startswith(SIZE_OF) and quantization in files.bytes for files in spec.files
    )


def width_of(architecture: Architecture, runtime: RuntimeSpec, quantization: str) -> int:
    """Bytes of a number in the type that the runtime computes in. MLX computes in the type of the
    weights, or of their scales.
    """
    if quantization in ("bf16", "fp16"):
        return 2
    if quantization in MLX_MODES and "mlx" in runtime.formats and architecture.dtype == "float16":
        # tables with scales of 8 bits give bfloat16, and norms in float16 make that float32 (mlx
        # 0.32.4)
        return 4
    is_narrow = architecture.dtype != "float32" or runtime.account.loads_as == "sixteen"
    return 2 if is_narrow else 4
