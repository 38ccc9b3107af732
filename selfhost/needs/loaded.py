"""What all runtimes of safetensors share: how weights are stored and loaded, the line of a cache,
the program's own part.
"""

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
from .cache import CacheGroup
from .packed import DTYPES, is_bitsandbytes, is_linear, left_by_class, linear_bytes
from .parts import Asked, is_cast, term, times
from .records import How, Term, middle_of
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
        or runtime.computes_with not in ("transformers", "vllm")
        or not plain
        or stated not in PLAIN_DTYPES
    ):
        return quantization, quantization
    return (
        quantization,
        "bfloat16" if runtime.computes_with == "vllm" and stated == "float32" else stated,
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
    if runtime.computes_with == "mlx" and quantization in ("bf16", "fp16"):
        return 2
    if (
        runtime.computes_with == "mlx"
        and quantization in MLX_MODES
        and architecture.dtype == "float16"
    ):
        # tables with scales of 8 bits give bfloat16, and norms in float16 make that float32 (mlx
        # 0.32.4)
        return 4
    return 4 if architecture.dtype == "float32" and runtime.computes_with != "vllm" else 2


def cache_line(group: CacheGroup) -> tuple[int, str]:
    """Elements that a layer keeps of one token, and the product that makes them."""
    if group.latent:
        return group.key_elements, f"{group.key_length:,}"
    heads = times(group.kv_heads, "KV head")
    if group.key_length == group.value_length:
        return 2 * group.key_elements, f"2 × {heads} × {group.key_length}"
    return (
        group.key_elements + group.value_elements,
        f"{heads} × ({group.key_length} + {group.value_length})",
    )


def overhead(runtime: RuntimeSpec) -> Term:
    """The program itself."""
    low, high = runtime.overhead_low_bytes, runtime.overhead_high_bytes
    how = How(runtime.overhead_how) if runtime.overhead_how in tuple(How) else How.ASSUMED
    source, line = runtime.overhead_source or runtime.name, middle_of(low, high)
    program = term("runtime", (low + high) // 2, how, source, line, low=low, high=high)
    if how is not How.MEASURED:
        return program
    # measured with a build for CPUs; how much more the libraries of CUDA take was not
    source = f"assumed for a CUDA build, at most twice what a CPU's takes; {source}"
    line = f"{high:,} bytes; {low:,} to {2 * high:,}"
    return program.replace(
        on_device=term("runtime", high, How.ASSUMED, source, line, low=low, high=2 * high)
    )


def guessed_activations(
    architecture: Architecture, row: ArchitectureRow, runtime: RuntimeSpec, workload: Asked
) -> Term:
    """What a pass over the prompt holds by general knowledge; for MLX by its own rules."""
    width = width_of(architecture, runtime, workload.quantization)
    if runtime.computes_with == "mlx":
        from .mlx import memory as mlx_memory

        return mlx_memory.activations(
            architecture, row, workload.context_tokens, workload.parallel, width
        )
    tokens = workload.context_tokens * workload.parallel
    inner = max(
        (group.length * (group.used or 1) for group in architecture.feed_forward),
        default=2 * architecture.embedding_length,
    )
    per_token = (4 * architecture.embedding_length + 3 * inner) * width
    logits = 4 * (architecture.vocabulary or 0) * workload.parallel
    size = tokens * per_token + logits
    return term(
        "activations",
        size,
        How.ASSUMED,
        "general knowledge: the widest layer of one pass over the prompt; attention without stored"
        " scores",
        f"{tokens:,} tokens × (4 × {architecture.embedding_length:,} + 3 × {inner:,}) × {width}"
        f" bytes + {logits:,} bytes of logits",
        low=min(64, tokens) * per_token + logits,
        high=2 * size,
    )
