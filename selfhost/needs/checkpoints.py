"""How large the files of a checkpoint are (safetensors, pickle or MLX files), in which type their
weights are stored and loaded, and how many of their bytes one token reads.

The quantized layouts, each by the code that writes it: AWQ: AutoAWQ 0.2.9, awq/modules/linear/
gemm.py: qweight and qzeros in int32, scales in float16. GPTQ: GPTQModel 5: the same, and g_idx, one
int32 per input. compressed-tensors 0.12: weight_packed, weight_scale, weight_shape; w8a8 and FP8:
one 16-bit scale per output. FP8 by block: DeepSeek-V3, inference/kernel.py: one float32 per
128 × 128. bitsandbytes 0.50: absmax per 64 weights, quant_map, quant_state; int8: SCB in float32.
MXFP4 and NVFP4: OCP Microscaling Formats 1.0: one byte per 32; ModelOpt: one FP8 scale per 16 and
two floats. MLX: mlx.core.quantize: a 16-bit scale and bias per group; a scale of 8 bits in its
modes mxfp4, mxfp8 and nvfp4.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import prod

from ..catalogue.architecture import Architecture, TensorGroup
from ..catalogue.quantization_names import MLX_MODES, PLAIN_DTYPES, Scheme, mlx_scheme, scheme_of
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import ModelSpec
from ..core import units
from ..core.records import Record, Unread
from .case import (
    ENCODER_REMEDY,
    Case,
    is_cast,
    published_size,
    unread_size,
    why_no_encoders,
)
from .records import How, Term, term, unread
from .tensors import ArchitectureRow, checkpoint_tensors, count

# bits per weight with the scales of the format: one float32 per 128 × 128 block, one byte per 32,
# one per 16, two bytes per 32
DTYPES = {
    "float32": 32.0, "bfloat16": 16.0, "float16": 16.0,
    "float8_e4m3_128x128": 8.0 + 32 / (128 * 128), "float8_e4m3": 8.0, "mxfp4": 4.25, "nvfp4": 4.5,
    "int8": 8.0, "int4_32": 4.5,
    "ternary": 2.0,
}  # fmt: skip

# matrices that are no linear layer of any class: convolutions, norms of each head, blocks of
# RG-LRU, tables and coefficients
_NOT_LINEAR = (
    "conv1", "conv2", "shortconv.conv.", "norm", "lru_input_gate", "lru_recurrent_gate",
    "attn_rel_b", "blk.*.altup", "cross_attn_gate",
    "attn_sinks", "res_score",
)  # fmt: skip
# bytes beside each layer's weights in bitsandbytes' files: quant_map of 16 floats and a JSON of
# shape, type and block size; the second map of 256 floats where scales are quantized again
_NF4_STATE, _NF4_DOUBLE_STATE = 64 + 82, 64 + 1024 + 150


_GIVE_FILES = (
    "give the folder with its safetensors files, or state the size under [[files]] of a spec"
)
# types that bitsandbytes makes
_BITSANDBYTES = frozenset({"nf4", "nf4-double", "int8"})


class Linear(Record):
    """Equal linear layers of a checkpoint. `part`: expert, shared_expert, recurrent, attention,
    latent values or feed_forward.
    """

    inputs: int
    outputs: int
    number: int
    part: str

    @property
    def weights(self) -> int:
        return self.inputs * self.outputs * self.number

    def packed_bytes(self, type: str) -> float:
        return linear_bytes(type, self.inputs, self.outputs) * self.number


# ------------------------------------------------------------------ layers


@lru_cache(maxsize=256)
def linear_layers(architecture: Architecture, row: ArchitectureRow) -> tuple[Linear, ...]:
    """The checkpoint's linear layers, as its modules have them."""
    attending = {layer for part in architecture.attention for layer in part.layers}
    layers = []
    for group in checkpoint_tensors(architecture, row):
        if not is_linear(group, row):
            continue
        (inputs, outputs, *more), name = group.shape, group.name
        if "attn_k_b" in name:
            # kv_b_proj of the checkpoint: from the latent to keys and values of every head
            inputs, outputs, more = outputs, inputs * prod(more), []
        elif "attn_v_b" in name:
            outputs, more = outputs * prod(more), []
        part = next((part for mark, part in _PARTS.items() if mark in name), "feed_forward")
        is_outside = bool(group.layers) and not attending.intersection(group.layers)
        if part == "attention" and architecture.recurrent and is_outside:
            part = "recurrent"
        number = prod(more) * (len(group.layers) or 1)
        layers.append(Linear(inputs=inputs, outputs=outputs, number=number, part=part))
    return tuple(layers)


_PARTS = {
    "attn_v_b": "latent values", "_exps.": "expert", "_shexp.": "shared_expert",
    "ssm_": "recurrent", "shortconv": "recurrent", "attn_": "attention",
}  # fmt: skip


def is_linear(group: TensorGroup, row: ArchitectureRow) -> bool:
    """True of what quantizers take: a matrix inside the blocks that a layer multiplies by, but no
    router, nor what the class keeps wide.
    """
    # blocks that layers share are listed one by one
    is_inside = bool(group.layers) or group.name.startswith("shared.")
    is_wide = bool(row.torch_wide_matrix) and row.torch_wide_matrix in group.name
    return is_inside and _is_matrix(group) and not is_wide and "ffn_gate_inp" not in group.name


def _is_matrix(group: TensorGroup) -> bool:
    is_weight = len(group.shape) > 1 and group.name.endswith(".weight")
    return is_weight and not any(part in group.name for part in _NOT_LINEAR)


def adapter_parameters(
    architecture: Architecture, row: ArchitectureRow, rank: int
) -> tuple[int, int]:
    """Parameters of adapters of that rank on every linear layer, and with those on routed experts:
    rank × (inputs + outputs) of each.
    """
    sizes = {True: 0, False: 0}
    for layer in linear_layers(architecture, row):
        # keys and values of latent attention come from one matrix
        inputs = 0 if layer.part == "latent values" else layer.inputs
        sizes[layer.part == "expert"] += rank * (inputs + layer.outputs) * layer.number
    return sizes[False], sizes[False] + sizes[True]


# ------------------------------------------------------------------ stored types


@lru_cache(maxsize=512)
def stored_types(architecture: Architecture, row: ArchitectureRow) -> dict[str, float]:
    """Bytes by stored type, without blocks that predict more tokens."""
    sizes: dict[str, float] = {}
    for _, type, size in typed_tensors(architecture, row):
        sizes[type] = sizes.get(type, 0.0) + size
    return sizes


def typed_tensors(
    architecture: Architecture, row: ArchitectureRow
) -> Iterator[tuple[TensorGroup, str, float]]:
    """Each group of tensors with its stored type and bytes."""
    for group in checkpoint_tensors(architecture, row):
        type = _type_of(group, architecture, row)
        if type == (architecture.dtype or "bfloat16"):
            size = prod(group.shape) * DTYPES.get(type, 16.0) / 8
        else:
            # further axes are experts, or heads of one matrix
            inputs, outputs, *more = (*group.shape, 1)[: max(2, len(group.shape))]
            size = linear_bytes(type, inputs, outputs) * prod(more)
        yield group, type, size * (len(group.layers) or 1)


def _type_of(group: TensorGroup, architecture: Architecture, row: ArchitectureRow) -> str:
    plain = architecture.dtype or "bfloat16"
    type = architecture.matrix_dtype or plain
    is_block = bool(group.layers) and len(group.shape) > 1 and group.name.endswith(".weight")
    is_packed = type in _BITSANDBYTES or scheme_of(type) is not None
    if not is_block or "ffn_gate_inp" in group.name or (is_packed and not is_linear(group, row)):
        return plain
    return architecture.expert_dtype or type if "_exps." in group.name else type


# ------------------------------------------------------------------ sizes of files


def size_of(case: Case) -> Term | Unread:
    """The files: as published, else every tensor in its stored type."""
    spec, is_mlx = case.spec, case.format == "mlx"
    stated = published_size(case)
    if stated is None and case.format == "safetensors" and case.is_own:
        stated = published_size(case, "native")
    # without its tensors a model is sized by its total, which has the encoders in it; files for MLX
    # keep them in 16 bits
    no_encoders = why_no_encoders(spec) if case.whole or is_mlx else None
    if stated is not None or no_encoders is not None:
        return stated or unread(no_encoders or "", ENCODER_REMEDY)
    if is_mlx:
        return _mlx_size(case)
    is_packed = case.quantization == "int8" or scheme_of(case.quantization) is not None
    if is_packed and not case.is_own:
        return _packed_size(case)
    return _as_published(case)


def _as_published(case: Case) -> Term | Unread:
    """Files that nobody packed."""
    own, name = case.own_type, case.quantization
    untyped = case.spec.unknown.get("architecture.matrix_dtype")
    if untyped is not None and case.is_own:
        return unread(untyped, _GIVE_FILES)
    if not case.is_own and (case.spec.architecture is not None or name not in DTYPES):
        why = f"no source states the size of the {case.format} files in {name}"
        return unread(why, f"use --quant {own}, as published")
    if own == "int4":
        why = "how many bits a weight takes in int4 with its scales is not stated"
        return unread(why, "state the size under [[files]] of the spec")
    return _by_tensors(case) if case.whole else _by_count(case)


def cast_to(case: Case, dtype: str | None = None) -> Case:
    """The model as if it had been published in that type; no listed size is of that."""
    narrow = case.model.replace(dtype=dtype or case.quantization)
    return case.replace(spec=case.spec.replace(architecture=narrow, files=()))


def _by_tensors(case: Case) -> Term:
    """Every tensor in its stored type, with encoders and what files hold beside: blocks that
    predict more tokens, in the type of the rest, in 16 bits or left out, and a tied matrix twice.
    """
    architecture, parameters = case.model, case.spec.parameters
    loaded, block, predicting = _tensor_bytes(case), 0, parameters.mtp or 0
    if case.spec.quantized is None:
        bits = _bits(architecture.matrix_dtype or architecture.dtype or "bfloat16")
        block = int(predicting * bits / 8)
    is_mixed = bool(architecture.matrix_dtype or architecture.expert_dtype)
    extra = 0 if is_mixed else int((parameters.extra_in_files or 0) * _plain(architecture) / 8)
    beside, kept = block + extra, max(0, 2 * predicting - block)
    line = f" + {beside:,} bytes of other blocks in the files" if beside else ""
    return loaded.replace(
        bytes=loaded.bytes + beside,
        low_bytes=loaded.low_bytes + extra * 199 // 200,
        high_bytes=loaded.high_bytes + beside * 101 // 100 + kept,
        arithmetic=loaded.arithmetic + line,
    )


def _tensor_bytes(case: Case) -> Term:
    """What is loaded: every tensor in its stored type, with encoders."""
    architecture, encoders = case.model, case.encoders
    sizes, encoder_bytes = stored_types(architecture, case.row), encoders * _plain(architecture) / 8
    size = int(sum(sizes.values()) + encoder_bytes)
    line = " + ".join(f"{int(part):,} bytes of {type}" for type, part in sizes.items())
    line += f" + {int(encoder_bytes):,} bytes of encoders" if encoders else ""
    source, how, high = "parameters of the architecture in their stored types", How.COMPUTED, 1.01
    if architecture.dtype is None:
        source += "; the type is not stated: 16 to 32 bits"
        how, high = How.ASSUMED, 2.01
    # bitsandbytes takes the linear layers of encoders too, unless a list names them
    saved = 1.5 * encoders if architecture.matrix_dtype in _BITSANDBYTES else 0
    ends = {"low": int(size * 0.995 - saved), "high": int(size * high)}
    return term("files", size, how, source, line, **ends)


def _by_count(case: Case) -> Term | Unread:
    """The size by the number of parameters, for a model whose tensors are not known."""
    total, architecture = case.spec.parameters.total, case.spec.architecture
    if total is None:
        return unread_size(case.spec)
    if architecture is None and "architecture" in case.spec.unknown:
        # models of this kind are published in 4 bits a weight as often as in 16
        return unread(
            "the spec does not state the type that the weights are stored in",
            "state `dtype` in [architecture] of the spec, or the size under [[files]]",
        )
    if architecture is None or architecture.dtype is None:
        source = "the stored type is not stated: 4 to 32 bits per parameter, most often 16"
        line, low = f"{total:,} parameters × 16 bits / 8", int(total * DTYPES["mxfp4"] / 8)
        return term("files", total * 2, How.ASSUMED, source, line, low=low, high=total * 4)
    type = case.own_type
    bits, plain = _bits(type), _plain(architecture)
    size, how, source = int(total * bits / 8), How.COMPUTED, "parameters in the published type"
    high = int(size * 1.05)
    if type != architecture.dtype:
        how, high = How.ASSUMED, int(total * max(bits, plain) / 8)
        source = f"parameters in {type}; how many are in {architecture.dtype} is not known"
    line = f"{total:,} parameters × {bits:g} bits / 8"
    return term("files", size, how, source, line, high=high)


def _plain(architecture: Architecture) -> float:
    return DTYPES.get(architecture.dtype or "bfloat16", 16.0)


def _bits(type: str) -> float:
    """Bits per weight of a stored type, scales included."""
    return DTYPES[type] if type in DTYPES else linear_bytes(type, 4096, 4096) * 8 / 4096**2


# ------------------------------------------------------------------ quantized by others


def linear_bytes(type: str, inputs: int, outputs: int) -> float:
    """Bytes of one linear layer without its bias. `type` is one of DTYPES or the name of a
    `Scheme`.
    """
    weights = inputs * outputs
    scheme = scheme_of(type) if type not in DTYPES else None
    if scheme is not None:
        return _scheme_bytes(scheme, inputs, outputs)
    if type == "float8_e4m3_128x128":
        return weights + 4 * -(-inputs // 128) * -(-outputs // 128)
    if type == "int8":
        return weights + 4 * outputs + 1
    return weights * DTYPES.get(type, 16.0) / 8


def _scheme_bytes(scheme: Scheme, inputs: int, outputs: int) -> float:
    weights, bits = inputs * outputs, scheme.bits
    groups = 1 if scheme.group is None else -(-inputs // scheme.group)
    match scheme.method:
        case "awq" | "gptq":
            order = inputs * 4 if scheme.method == "gptq" else 0
            return (weights + groups * outputs) * bits / 8 + groups * outputs * 2 + order
        case "w4a16" | "w8a16":
            # zero points are packed over the outputs; the shape is two integers of 8 bytes
            zeros = groups * -(-outputs * bits // 32) * 4 if scheme.zeros else 0
            return outputs * -(-inputs * bits // 32) * 4 + groups * outputs * 2 + zeros + 16
        case "w8a8" | "fp8":
            return weights + outputs * 2
        case "nf4":
            return weights / 2 + -(-weights // 64) * 4 + _NF4_STATE
        case "nf4-double":
            blocks = -(-weights // 64)
            return weights / 2 + blocks + -(-blocks // 256) * 4 + _NF4_DOUBLE_STATE
    return weights * bits / 8 + groups * outputs * 4


def _packed_size(case: Case) -> Term | Unread:
    """A model's files in a quantization that its publisher did not train it in: every linear
    layer of the blocks, nothing else.
    """
    name = case.quantization
    scheme = scheme_of(name)
    if name == "int8":
        scheme = Scheme(name=name, method="int8", bits=8, group=None)
    if scheme is None or not case.whole:
        why = "its layout is" if scheme is None else "which layers it has is"
        return unread(
            f"no source states the size of the safetensors files in {name}, and {why} not known",
            "state the size under [[files]] of the spec",
        )
    row = case.row if name in _BITSANDBYTES else case.row.replace(torch_wide_matrix="")
    architecture = case.model.packed_with(scheme.method)
    linear = linear_layers(architecture, row)
    group, is_awq = scheme.group or 1, scheme.method == "awq"
    odd = [each for each in linear if is_awq and (each.inputs % group or each.outputs % 8)]
    if odd:
        why = f"{odd[0].inputs:,} inputs do not divide into groups of {group}"
        remedy = "take gptq, or state the size under [[files]] of the spec"
        return unread(f"AutoAWQ cannot pack it: {why}", remedy)
    parameters = count(checkpoint_tensors(architecture, row))
    return _packed_files(case, architecture, linear, parameters, scheme)


def _packed_files(
    case: Case,
    architecture: Architecture,
    linear: tuple[Linear, ...],
    parameters: int,
    scheme: Scheme,
) -> Term:
    """The files with those linear layers packed, of so many parameters without encoders.

    Some files hold a tied table twice; blocks that predict more tokens are dropped or kept in 16
    bits. Some recipes leave recurrent layers and shared experts in 16 bits, in a mixture and in
    NVFP4 attention, too. NVFP4 files of these hold 0.14 to 0.98 of that more
    (tests/judge/test_public_reports.py): a third is assumed.
    """
    name, method, encoders = scheme.name, scheme.method, case.encoders
    packed, weights = sum(e.packed_bytes(name) for e in linear), sum(e.weights for e in linear)
    plain = parameters - weights + encoders
    least, how, note = int(packed + 2 * plain), How.COMPUTED, ""
    kinds, left = {each.part for each in linear}, {"recurrent", "shared_expert"}
    if method == "nvfp4" or "expert" in kinds:
        left |= {"attention", "latent values"}
    more = _more_in_16_bits(linear, left, name)
    kept = more // 3 if method == "nvfp4" and kinds & {"recurrent", "expert"} else 0
    if more:
        how, note = How.ASSUMED, "; recipes differ in what they leave in 16 bits"
    table = (architecture.vocabulary or 0) * architecture.embedding_length
    twice = 2 * (table * architecture.tied_embeddings + (case.spec.parameters.mtp or 0))
    scales = int(packed - weights * scheme.bits / 8)
    line = f"{weights:,} weights × {scheme.bits:g} bits / 8"
    line += f" + {scales:,} bytes of scales" if scales else ""
    line += f" + {kept:,} bytes for layers left wide" if kept else ""
    return term(
        "files",
        least + kept,
        how,
        f"layout of {method}: linear layers of the blocks; embeddings, output, norms and routers in"
        f" 16 bits{note}",
        f"{line} + {plain:,} others × 2 bytes",
        low=int(least * 0.995 - (1.5 * encoders if name in _BITSANDBYTES else 0)),
        high=int(least * 1.005) + twice + more,
    )


def _more_in_16_bits(linear: tuple[Linear, ...], parts: set[str], name: str) -> int:
    """By how many bytes these layers are larger in 16 bits than in the quantization `name`."""
    left = (each for each in linear if each.part in parts)
    return int(sum(2 * each.weights - each.packed_bytes(name) for each in left))


def expert_bytes_left(case: Case) -> int:
    """What the experts take more where they alone stay in 16 bits."""
    linear = linear_layers(case.model, case.row)
    return _more_in_16_bits(linear, {"expert"}, case.quantization)


# ------------------------------------------------------------------ MLX


def _mlx_size(case: Case) -> Term | Unread:
    """Files that mlx_lm.convert makes: every linear layer and table whose rows divide into
    groups, the rest in 16 bits, or as wide as the published weights (it keeps torch_dtype).
    """
    name, own, encoders = case.quantization, case.spec.quantized, case.encoders
    scheme, weights = mlx_scheme(name), (case.spec.parameters.total or 0) - encoders
    if scheme is None and name not in ("bf16", "fp16"):
        return unread(f"no source states the size in {name}", "use --quant 4bit or --quant 8bit")
    if own is not None and (own.format, own.quantization) == ("mlx", None):
        otherwise = "its weights are stored in a quantization that selfhost does not know"
        why = case.spec.unknown.get("architecture.matrix_dtype", otherwise)
        return unread(why, "name the folder with its files, or the original model")
    if case.whole:
        size, line = _mlx_bytes(case.model, case.row, scheme)
        low, high = (size, size) if own is not None else _mlx_ends(case, scheme, size)
    elif weights > 0:
        bits = _mlx_bits(scheme)
        low = high = size = int(weights * bits / 8)
        line = f"{weights:,} weights × {bits:g} bits / 8"
    else:
        return unread("the number of parameters is not known", "state the size under [[files]]")
    return term(
        "files",
        size + 2 * encoders,
        How.COMPUTED,
        "mlx.core.quantize and mlx_lm.convert: a scale and bias per group (in some a scale of 8"
        " bits); routers may keep more",
        line + (f" + {2 * encoders:,} bytes of encoders" if encoders else ""),
        # conversions for text alone leave the encoders out
        low=int(low * 0.995),
        high=int((high + 2 * encoders) * 1.01),
    )


def _mlx_ends(case: Case, scheme: Scheme | None, size: int) -> tuple[int, int]:
    """The least and most bytes that other conversions of the published weights take: made with
    --dtype float16, and by mlx-lm of September 2026 or later, which keeps projections in 8 bits.
    """
    low = high = size
    if scheme is not None and scheme.bits < 8:
        high = _mlx_bytes(case.model, case.row, scheme, case.row.mlx_in_8_bits)[0]
    if scheme is not None and case.model.dtype == "float32":
        low = _mlx_bytes(case.model.replace(dtype="bfloat16"), case.row, scheme)[0]
    return low, high


@lru_cache(maxsize=256)
def _mlx_bytes(
    architecture: Architecture,
    row: ArchitectureRow,
    scheme: Scheme | None,
    in_8_bits: tuple[str, ...] = (),
) -> tuple[int, str]:
    """Bytes of the text's weights and their line. `in_8_bits`: tensors of that type."""
    weights: dict[float, int] = {}
    is_wide, vectors, eight = architecture.dtype == "float32", 0, mlx_scheme("8bit")
    for group in checkpoint_tensors(architecture, row):
        elements = prod(group.shape) * (len(group.layers) or 1)
        own = eight if group.name in in_8_bits else scheme
        is_divided = own is None or group.shape[0] % (own.group or 1) == 0
        if is_divided and _is_matrix(group):
            is_ternary = architecture.matrix_dtype == "ternary" and is_linear(group, row)
            bits = 2.0 if is_ternary else _mlx_bits(own, wide=is_wide)
            weights[bits] = weights.get(bits, 0) + elements
        else:
            vectors += elements
    parts = sorted(weights.items(), key=lambda item: -item[1])
    width = 4 if is_wide and scheme is not None else 2
    line = " + ".join(f"{number:,} weights × {bits:g} bits / 8" for bits, number in parts)
    size = int(sum(number * bits / 8 for bits, number in parts)) + width * vectors
    return size, f"{line} + {vectors:,} others × {width} bytes"


# of MLX's files of several types, that of most weights
_MOST_OF_MIX = {"MXFP4-Q8": "mxfp4", "4bit-mxfp4": "mxfp4"}


def bits_in_mlx(name: str) -> float | None:
    """Of a weight in MLX's files of that type, scales and biases included; of files of several
    types that of most. None of other types.
    """
    scheme = mlx_scheme(_MOST_OF_MIX.get(name, name))
    return None if scheme is None and name not in ("bf16", "fp16") else _mlx_bits(scheme)


def _mlx_bits(scheme: Scheme | None, *, wide: bool = False) -> float:
    """Bits of a weight with its share of what a group has: a scale and a bias of 16 bits, of 32
    where `wide`, or a scale of 8.
    """
    if scheme is None:
        return 16.0
    shared = 64 if wide else 32
    shared = 8 if scheme.method in MLX_MODES else shared
    return scheme.bits + shared / (scheme.group or 64)


# ------------------------------------------------------------------ as a runtime loads them


def loaded_of(case: Case, files: Term) -> Term:
    """What runtimes load of the files by default: no blocks that predict more tokens, and a tied
    matrix once. Files made for MLX have neither.
    """
    spec, parameters = case.spec, case.spec.parameters
    if spec.architecture is None or case.format == "mlx" or not case.is_own:
        return files
    has_extra = files.how is not How.STATED and bool(parameters.extra_in_files)
    if not (has_extra or parameters.mtp) or spec.quantized is not None:
        return files
    if case.whole:
        return _tensor_bytes(case)
    block = int((parameters.mtp or 0) * _plain(case.model) / 8)
    return files.replace(bytes=files.bytes - block, low_bytes=files.low_bytes - block)


def download_of(spec: ModelSpec, files: Term) -> Term | Unread:
    """The files as one figure; unknown for files without a repository whose type nobody states."""
    architecture = spec.architecture
    untyped = architecture is not None and architecture.dtype is None and spec.repository is None
    if not (untyped and files.how is How.ASSUMED and "architecture.dtype" in spec.unknown):
        return files
    low, high = units.decimal(files.low_bytes), units.decimal(files.high_bytes)
    return unread(f"{low} to {high}: {files.source}", _GIVE_FILES)


def loaded_type(runtime: RuntimeSpec | None, spec: ModelSpec, quantization: str) -> str:
    """The type that weights stored in `quantization` are loaded as by default: of plain ones that
    of config.json, whatever the files hold.

    transformers 5: `dtype` is "auto" (modeling_utils.py, from_pretrained); vLLM's --dtype auto
    makes 32 bits 16 (vllm/config/model.py, _resolve_auto_dtype): bfloat16, but float16 for models
    that pool and below compute capability 8.0 (vllm/platforms/cuda.py, supported_dtypes).
    """
    stated = spec.architecture.dtype if spec.architecture is not None else None
    is_plain = quantization in PLAIN_DTYPES and stated in PLAIN_DTYPES
    if runtime is None or runtime.account.loads_as == "stored" or not is_plain or stated is None:
        return quantization
    if is_cast(spec, runtime, quantization):
        return quantization
    is_halved = runtime.account.loads_as == "sixteen" and stated == "float32"
    return "bfloat16" if is_halved else stated


def loaded_bits(runtime: RuntimeSpec | None, spec: ModelSpec, quantization: str) -> int | None:
    """Bits of a plain weight as it is loaded by default; None where they are those of the files."""
    loaded = loaded_type(runtime, spec, quantization)
    is_same = loaded == quantization or DTYPES[loaded] == DTYPES[quantization]
    return None if is_same else int(DTYPES[loaded])


def active_parameters(case: Case) -> int:
    """Parameters that one token reads, each as often as it reads it."""
    parameters, architecture = case.spec.parameters, case.spec.architecture
    active = (parameters.active or parameters.total or 0) - case.encoders
    if architecture is None:
        return active
    table = (architecture.vocabulary or 0) * architecture.embedding_length
    if not architecture.tied_embeddings and architecture.output_matrix:
        active -= table
    if architecture.per_layer_embedding_length:
        # Gemma 3n and 4: of a second table, too, one row is read
        rows = case.row.per_layer_vocabulary or architecture.vocabulary or 0
        active -= architecture.per_layer_embedding_length * architecture.layers * rows
    if architecture.stored_layers:
        # layers that run through the weights of earlier ones read them once more
        again = architecture.layers - architecture.stored_layers
        active += max(0, active - table) * again // architecture.stored_layers
    return active
