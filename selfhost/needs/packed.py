"""What a linear layer takes in each quantized format of safetensors and MLX files, and which layers
a format leaves as they are.

The layouts, each by the code that writes it: AWQ: AutoAWQ 0.2.9, awq/modules/linear/gemm.py:
qweight and qzeros in int32, scales in float16. GPTQ: GPTQModel 5, gptqmodel/nn_modules/qlinear: the
same, and g_idx, one int32 per input. compressed-tensors 0.12,
compressors/quantized_compressors/pack_quantized.py: weight_packed, weight_scale, weight_shape; w8a8
and FP8: one 16-bit scale per output. FP8 by block: DeepSeek-V3, inference/kernel.py: one float32
per 128 × 128. bitsandbytes 0.50, functional.py QuantState.as_dict: absmax per 64 weights,
quant_map, quant_state; int8: SCB in float32. MXFP4 and NVFP4: OCP Microscaling Formats 1.0: one
byte per 32; NVIDIA ModelOpt: one FP8 scale per 16 and two floats. MLX: mlx.core.quantize: a 16-bit
scale and bias per group; a scale of 8 bits in its modes mxfp4, mxfp8 and nvfp4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from math import prod

from ..catalogue.quantization_names import MLX_MODES, Scheme, mlx_scheme, scheme_of
from ..catalogue.spec import Architecture, TensorGroup
from ..core.records import Record, Unread
from .parts import Subject, sized, unread
from .records import How, SizedWeights
from .tensors import ArchitectureRow, checkpoint_tensors

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
# a linear layer of some classes, which most recipes leave
_ROUTER = "ffn_gate_inp"
# bytes beside each layer's weights in bitsandbytes' files: quant_map of 16 floats and a JSON of
# shape, type and block size; the second map of 256 floats where scales are quantized again
_NF4_STATE, _NF4_DOUBLE_STATE = 64 + 82, 64 + 1024 + 150


class Linear(Record):
    """Equal linear layers of a checkpoint. `part`: attention, feed_forward, shared_expert,
    expert or recurrent.
    """

    inputs: int
    outputs: int
    number: int
    part: str
    name: str
    layers: tuple[int, ...]

    @property
    def weights(self) -> int:
        """Weights of all of them."""
        return self.inputs * self.outputs * self.number


class Layers(Record):
    """A checkpoint's parameters: its linear layers, and `unquantized` ones, which are its tables
    (embeddings, output) and all that nobody quantizes; `tied_table` of them stand for two tables.
    """

    linear: tuple[Linear, ...]
    unquantized: int
    tied_table: int


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
        case "mxfp4":
            return weights / 2 + weights / 32
    return weights * bits / 8 + groups * outputs * 4


# types that bitsandbytes makes
_BITSANDBYTES = frozenset({"nf4", "nf4-double", "int8"})


def left_by_class(name: str, row: ArchitectureRow) -> bool:
    """True of a matrix that the class of that row keeps out of bitsandbytes, and of float16."""
    return bool(row.torch_wide_matrix) and row.torch_wide_matrix in name


def is_bitsandbytes(type: str | None) -> bool:
    """True of the types that bitsandbytes makes."""
    return type in _BITSANDBYTES


def encoders_may_save(encoders: int | None, type: str | None) -> int:
    """By how many bytes encoders may be smaller than in 16 bits: bitsandbytes takes their linear
    layers too, unless a list names them.
    """
    if type not in _BITSANDBYTES:
        return 0
    return int((encoders or 0) * (16 - (8 if type == "int8" else 4.5)) / 8)


@lru_cache(maxsize=256)
def layers_of(architecture: Architecture, row: ArchitectureRow) -> Layers:
    """The checkpoint's linear layers as its modules have them, its tables, and the rest."""
    linear: list[Linear] = []
    unquantized = tied = 0
    for group in checkpoint_tensors(architecture, row):
        layers = len(group.layers) or 1
        if not is_linear(group):
            unquantized += prod(group.shape) * layers
            if group.name == "token_embd.weight" and architecture.tied_embeddings:
                tied = prod(group.shape) * layers
            continue
        inputs, outputs, number = _matrix_of(group)
        linear.append(
            Linear(
                inputs=inputs,
                outputs=outputs,
                number=number * layers,
                part=_part_of(group, architecture),
                name=group.name,
                layers=group.layers,
            )
        )
    return Layers(linear=tuple(linear), unquantized=unquantized, tied_table=tied)


def is_linear(group: TensorGroup) -> bool:
    """True of what quantizers take: a matrix inside the blocks that a layer multiplies by, routers
    aside.
    """
    # blocks that layers share are listed one by one
    inside = bool(group.layers) or group.name.startswith("shared.")
    return inside and _is_matrix(group) and _ROUTER not in group.name


def _is_matrix(group: TensorGroup) -> bool:
    is_weight = len(group.shape) > 1 and group.name.endswith(".weight")
    return is_weight and not any(part in group.name for part in _NOT_LINEAR)


def _matrix_of(group: TensorGroup) -> tuple[int, int, int]:
    """Inputs, outputs, and how many there are per layer."""
    shape = group.shape
    if "attn_k_b" in group.name:
        # kv_b_proj of the checkpoint: from the latent to keys and values of every head
        return shape[1], shape[0] * shape[2], 1
    if "attn_v_b" in group.name:
        return shape[0], shape[1] * shape[2], 1
    return shape[0], shape[1], prod(shape[2:])


def _part_of(group: TensorGroup, architecture: Architecture) -> str:
    """The `part` of a `Linear` that a matrix of a block belongs to."""
    name = group.name
    for mark, part in (("_exps.", "expert"), ("_shexp.", "shared_expert"), ("ssm_", "recurrent")):
        if mark in name:
            return part
    recurrent = {layer for part in architecture.recurrent for layer in part.layers}
    attending = {layer for part in architecture.attention for layer in part.layers}
    is_recurrent = "attn_" in name and set(group.layers) <= recurrent - attending
    if "shortconv" in name or is_recurrent:
        return "recurrent"
    return "feed_forward" if "ffn_" in name else "attention"


def adapter_parameters(
    architecture: Architecture, row: ArchitectureRow, rank: int
) -> tuple[int, int]:
    """Parameters of adapters of that rank on every linear layer, and with those on routed experts:
    rank × (inputs + outputs) of each.
    """
    linear = experts = 0
    for layer in layers_of(architecture, row).linear:
        # keys and values of latent attention come from one matrix
        inputs = 0 if "attn_v_b" in layer.name else layer.inputs
        size = rank * (inputs + layer.outputs) * layer.number
        if layer.part == "expert":
            experts += size
        else:
            linear += size
    return linear, linear + experts


def size_of(subject: Subject, name: str) -> SizedWeights | Unread:
    """A model's files in a quantization that its publisher did not train it in: every linear
    layer of the blocks, nothing else.
    """
    scheme = scheme_of(name)
    if scheme is None and name == "int8":
        scheme = Scheme(name=name, method="int8", bits=8, group=None)
    is_whole = subject.whole and subject.architecture is not None and subject.row is not None
    if scheme is None or not is_whole:
        why = "its layout is" if scheme is None else "which layers it has is"
        return unread(
            f"no source states the size of the safetensors files in {name}, and {why} not known",
            "state the size under [[files]] of the spec",
        )
    assert subject.architecture is not None
    assert subject.row is not None
    layers = layers_of(subject.architecture.packed_with(scheme.method), subject.row)
    refused = _why_not_packed(layers, scheme)
    return _packed_size(subject, subject.row, layers, scheme) if refused is None else refused


def _packed_size(
    subject: Subject, row: ArchitectureRow, layers: Layers, scheme: Scheme
) -> SizedWeights:
    parameters, name = subject.spec.parameters, scheme.name
    leaves = is_bitsandbytes(name)
    wide = [each for each in layers.linear if leaves and left_by_class(each.name, row)]
    packed_layers = [each for each in layers.linear if each not in wide]
    packed = _packed_bytes(packed_layers, name)
    weights = sum(each.weights for each in packed_layers)
    plain = layers.unquantized + (parameters.encoders or 0) + sum(each.weights for each in wide)
    size = int(packed + 2 * plain)
    # some files hold a tied table twice; blocks that predict more tokens are dropped or kept in
    # 16 bits
    high = int(size * 1.005) + 2 * (layers.tied_table + (parameters.mtp or 0))
    how, note = How.COMPUTED, ""
    is_mixture = any(each.part == "expert" for each in layers.linear)
    if is_mixture or any(each.part == "recurrent" for each in layers.linear):
        # some recipes leave recurrent layers and shared experts in 16 bits, in a mixture attention
        left = ("recurrent", "shared_expert", *(("attention",) if is_mixture else ()))
        high += _more_in_16_bits([each for each in layers.linear if each.part in left], name)
        how, note = How.ASSUMED, "; recipes differ in what they leave in 16 bits"
    scales = int(packed - weights * scheme.bits / 8)
    line = f"{weights:,} weights × {scheme.bits:g} bits / 8"
    line += f" + {scales:,} bytes of scales" if scales else ""
    return sized(
        size,
        how,
        f"{_LAYOUTS[scheme.method]}: linear layers of the blocks; embeddings, output, norms and"
        f" routers in 16 bits{note}",
        f"{line} + {plain:,} others × 2 bytes",
        low=int(size * 0.995) - encoders_may_save(parameters.encoders, name),
        high=high,
    )


def _packed_bytes(layers: Iterable[Linear], name: str) -> float:
    return sum(linear_bytes(name, each.inputs, each.outputs) * each.number for each in layers)


def _more_in_16_bits(layers: list[Linear], name: str) -> int:
    """By how many bytes these layers are larger in 16 bits than in the quantization `name`."""
    return int(sum(2 * each.weights for each in layers) - _packed_bytes(layers, name))


def expert_bytes_left(architecture: Architecture, row: ArchitectureRow, name: str) -> int:
    """What the experts take more where they alone stay in 16 bits."""
    linear = layers_of(architecture, row).linear
    return _more_in_16_bits([each for each in linear if each.part == "expert"], name)


def _why_not_packed(layers: Layers, scheme: Scheme) -> Unread | None:
    """AutoAWQ packs only inputs that divide into groups, and outputs that divide by 8."""
    if scheme.method != "awq":
        return None
    for linear in layers.linear:
        group = scheme.group or linear.inputs
        if linear.inputs % group or linear.outputs % 8:
            return unread(
                f"AutoAWQ cannot pack it: {linear.inputs:,} inputs do not divide into groups of"
                f" {group}",
                "take gptq, or state the size under [[files]] of the spec",
            )
    return None


_LAYOUTS = {
    "awq": "AutoAWQ's layout", "gptq": "GPTQModel's layout", "w4a16": "compressed-tensors' layout",
    "w8a16": "compressed-tensors' layout", "w8a8": "compressed-tensors' layout",
    "fp8": "FP8 with a scale per output", "nf4": "bitsandbytes' layout",
    "nf4-double": "bitsandbytes' layout with double quantization",
    "int8": "bitsandbytes' layout (LLM.int8)", "nvfp4": "NVFP4 with an FP8 scale per 16",
}  # fmt: skip


# ------------------------------------------------------------------ MLX


def mlx_size(subject: Subject, name: str) -> SizedWeights | Unread:
    """Files that mlx_lm.convert makes: every linear layer and table whose rows divide into
    groups, the rest in 16 bits, or as wide as the published weights (it keeps torch_dtype).
    """
    refused = _why_no_mlx_size(subject, name)
    if refused is not None:
        return refused
    scheme, architecture = mlx_scheme(name), subject.architecture
    weights, vectors = _mlx_counts(subject, name, scheme)
    if sum(weights.values()) <= 0:
        why = "the number of parameters is not known"
        return unread(why, "state the size under [[files]]")
    encoders = 2 * (subject.spec.parameters.encoders or 0)
    wide = architecture is not None and architecture.dtype == "float32" and scheme is not None
    width, note = 4 if wide else 2, ""
    size = low = high = _mlx_bytes(weights, vectors, width) + encoders
    row, is_published = subject.row, subject.spec.quantized is None
    if subject.whole and is_published and scheme and architecture is not None and row is not None:
        low, high, note = _mlx_ends(architecture, row, scheme, size, encoders)
    line = " + ".join(f"{count:,} weights × {bits:g} bits / 8" for bits, count in weights.items())
    line += f" + {vectors:,} others × {width} bytes{note}"
    return sized(
        size,
        How.COMPUTED,
        "mlx.core.quantize and mlx_lm.convert: a scale and bias per group (in some a scale of 8"
        " bits); routers may keep more",
        line + (f" + {encoders:,} bytes of encoders" if encoders else ""),
        # conversions for text alone leave the encoders out
        low=int((low - encoders) * 0.995),
        high=int(high * 1.01),
    )


def _why_no_mlx_size(subject: Subject, name: str) -> Unread | None:
    """MLX has no such type, or the files' own type is not known."""
    own = subject.spec.quantized
    if mlx_scheme(name) is None and name not in ("bf16", "fp16"):
        why = f"no source states the size in {name}"
        return unread(why, "use --quant 4bit or --quant 8bit")
    if own is not None and own.format == "mlx" and own.quantization is None:
        otherwise = "its weights are stored in a quantization that selfhost does not know"
        why = subject.spec.unknown.get("architecture.matrix_dtype", otherwise)
        return unread(why, "name the folder with its files, or the original model")
    return None


def _mlx_counts(
    subject: Subject, name: str, scheme: Scheme | None
) -> tuple[Mapping[float, int], int]:
    """Weights by their bits and the number of the others; without tensors all parameters of the
    language model have the same bits.
    """
    architecture, row, own = subject.architecture, subject.row, subject.spec.quantized
    if architecture is None or row is None or not subject.whole:
        parameters = subject.spec.parameters
        return {_mlx_bits(scheme): (parameters.total or 0) - (parameters.encoders or 0)}, 0
    is_own = own is not None and (own.format, own.quantization) == ("mlx", name)
    apart = own.apart if own is not None and is_own else ()
    return _mlx_parts(architecture, row, scheme, apart)


def _mlx_ends(
    architecture: Architecture, row: ArchitectureRow, scheme: Scheme, size: int, encoders: int
) -> tuple[int, int, str]:
    """The least and most bytes that other conversions of the published weights take, `encoders`
    included, and the words for them. Both are `size` where nothing says that there are others.
    """
    low, high, note, wide = size, size, "", architecture.dtype == "float32"
    if scheme.bits < 8 and row.mlx_in_8_bits:
        apart = tuple((part, "8bit") for part in row.mlx_in_8_bits)
        parts = _mlx_parts(architecture, row, scheme, apart)
        high = _mlx_bytes(*parts, 4 if wide else 2) + encoders
        note = f"; mlx-lm of September 2026 and later keeps projections in 8 bits: {high:,} bytes"
    if wide:
        narrow = architecture.replace(dtype="bfloat16")
        low = _mlx_bytes(*_mlx_parts(narrow, row, scheme, ()), 2) + encoders
        note += f"; made with --dtype float16 or by an older mlx-lm {low:,}"
    return low, high, note


def _mlx_bytes(weights: Mapping[float, int], vectors: int, width: int) -> int:
    return int(sum(count * bits / 8 for bits, count in weights.items())) + width * vectors


@lru_cache(maxsize=256)
def _mlx_parts(
    architecture: Architecture,
    row: ArchitectureRow,
    scheme: Scheme | None,
    apart: tuple[tuple[str, str], ...],
) -> tuple[Mapping[float, int], int]:
    """Quantized weights by their bits, scales and biases included, and the number of those that are
    not quantized.

    `apart`: tensors of another type, each with the name of that.
    """
    weights: dict[float, int] = {}
    vectors, otherwise = 0, dict(apart)
    for group in checkpoint_tensors(architecture, row):
        matrix, ternary = _is_matrix(group), row.mlx_ternary and is_linear(group)
        names = one_by_one(group) if otherwise else (group.name,)
        elements = prod(group.shape) * (len(group.layers) or 1) // len(names)
        for name in names:
            type = otherwise.get(name) or otherwise.get(group.name)
            own = scheme if type is None else mlx_scheme(type)
            if ternary or (matrix and _is_packed_by_mlx(group, own, scheme)):
                bits = 2.0 if ternary else _mlx_bits(own, wide=architecture.dtype == "float32")
                weights[bits] = weights.get(bits, 0) + elements
            else:
                vectors += elements
    return dict(sorted(weights.items(), key=lambda item: -item[1])), vectors


def _is_packed_by_mlx(group: TensorGroup, own: Scheme | None, scheme: Scheme | None) -> bool:
    """Whether a matrix has a type of the file's kind, and rows that divide into its groups."""
    if own is None:
        return scheme is None
    return group.shape[0] % (own.group or 1) == 0


def one_by_one(group: TensorGroup) -> tuple[str, ...]:
    """The names of all tensors of the group."""
    return tuple(group.name.replace("*", str(layer)) for layer in group.layers) or (group.name,)


# of MLX's files of several types, that of most weights
_MOST_OF_MIX = {"MXFP4-Q8": "mxfp4", "4bit-mxfp4": "mxfp4"}


def bits_in_mlx(name: str) -> float | None:
    """Of a weight in MLX's files of that type, scales and biases included; of files of several
    types that of most. None of other types.
    """
    if name in ("bf16", "fp16"):
        return 16.0
    scheme = mlx_scheme(_MOST_OF_MIX.get(name, name))
    return None if scheme is None else _mlx_bits(scheme)


def _mlx_bits(scheme: Scheme | None, *, wide: bool = False) -> float:
    """Bits of a weight with its share of what a group has: a scale and a bias of 16 bits, of 32
    where `wide`, or a scale of 8.
    """
    if scheme is None:
        return 16.0
    shared = 64 if wide else 32
    if scheme.method in MLX_MODES:
        shared = 8
    return scheme.bits + shared / (scheme.group or 64)
