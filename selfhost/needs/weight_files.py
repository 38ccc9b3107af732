"""The size of weight files (safetensors, pickle or MLX files), the type in which their weights are
stored and loaded, and the number of parameters that one token reads.

What goes in: a case, which is a model in a format and quantization. What comes out: a term in
bytes, or why the size is not known. Every size is one sum over the tensors, each in its type:
`StoredTypes` says which that is in the published files, and in those of a quantizer that follows a
recipe. If the tensors are not known, the size is parameters × bits / 8. The scales and other bytes
that a layout adds to the bits of its weights are in `[layouts]` of specs/common/quantizations.toml.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from math import prod

from ..catalogue.architecture import Architecture, TensorGroup
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import PLAIN_DTYPES, mlx_scheme, scheme_of
from ..core.records import Record, Stated, Unread
from ..core.tables import shipped_rows
from ..core.units import says_any
from ..core.workload import Workload
from .case import (
    ENCODER_REMEDY,
    Case,
    is_cast,
    published_size,
    stored_type,
    unread_of,
    why_no_encoders,
)
from .recipes import CheckpointRecipe, Recipes, recipes_of
from .records import (
    How,
    Size,
    Term,
    assumed_term,
    by_type,
    computed_term,
    taken_off,
    term,
    unread,
)
from .tensors import layers_of, ngram_tables, published_tensors, row_of

# the bits in which QLoRA loads each weight that gets an adapter (bitsandbytes, nf4)
_QLORA_BITS = 4
# bits per weight with the scales of the format: one float32 per 128 × 128 block for FP8 in blocks,
# one byte per 32 weights for MXFP4, one byte per 16 for NVFP4, two bytes per 32 for int4_32, and
# two per 128 of the weights of Bonsai
DTYPES = {
    "float32": 32.0, "bfloat16": 16.0, "float16": 16.0,
    "float8_e4m3_128x128": 8.0 + 32 / (128 * 128), "float8_e4m3": 8.0, "mxfp4": 4.25, "nvfp4": 4.5,
    "int8": 8.0, "int4_32": 4.5, "ternary": 2.0,
    "ternary_128": 2.125, "binary_128": 1.125,
}  # fmt: skip
# matrices that are not linear layers in any class: convolutions, norms of each head, blocks of
# RG-LRU, tables and coefficients
_NOT_LINEAR = (
    "conv1", "conv2", "shortconv.conv.", "norm", "lru_input_gate", "lru_recurrent_gate",
    "attn_rel_b", "blk.*.altup", "cross_attn_gate", "attn_sinks", "res_score",
)  # fmt: skip
# the part of a layer by a mark in the name of a group; the first mark that a name has counts
_PARTS = {
    "attn_v_b": "latent values", "_exps.": "expert", "_shexp.": "shared_expert",
    "ssm_": "recurrent", "shortconv": "recurrent", "attn_": "attention",
}  # fmt: skip
# those that layers have
_LAYER_PARTS = (*_PARTS.values(), "feed_forward")
# the parts of a model beside its layers that a recipe may name, by the names of their tensors
_TABLE_PARTS = {"token_embd.weight": "table", "output.weight": "output"}
_NGRAMS = "ngrams"
_ROUTER = "ffn_gate_inp"
# the outputs whose weights of 4 bits AWQ packs in one word of 32 bits; fewer stay as they are
_OUTPUTS_OF_A_WORD = 8
# how far files may be off a publisher's own recipe: lists of sizes leave open whether they count in
# GB or GiB, which are 7 % apart; and off a sum over their tensors
_RECIPE_ERROR = 0.07
_SUM_ERROR = 0.005
_STATE_SIZE = "state the size under [[files]] of the spec"
_STATE_TYPE = "state `dtype` in [architecture] of the spec, or the size under [[files]]"
_TENSORS = "parameters of the architecture in their stored types"
_BY_MLX = (
    "mlx.core.quantize and mlx_lm.convert: a scale and bias per group (in some a scale of"
    " 8 bits); routers may keep more"
)
GIVE_FILES = (
    "give the folder with its safetensors files, or state the "
    "size under [[files]] of a spec"
)
# the bits of a weight from which on servers need not unpack it
_UNPACKED_BITS = 8
# the types that bitsandbytes makes
_BITSANDBYTES = frozenset({"nf4", "nf4-double", "int8"})


class Layout(Stated):
    """The bytes that files store beside the packed weights of a linear layer: a line of
    `[layouts]`.

    - `group`: the scale of each group of weights.
    - `zeros`: each group also has a zero point with as many bits as a weight.
    - `output`, `input`, `layer`: the bytes for each output, for each input, and for the layer.
    - `follows`: the scale has the type of the original weights, so it doubles where those had
      32 bits.
    """

    group: float = 0
    zeros: bool = False
    output: int = 0
    input: int = 0
    layer: int = 0
    follows: bool = False


_NO_LAYOUT = Layout()
_LAYOUTS = shipped_rows(Layout, "quantizations", "layouts")


class Matrices(Record):
    """`number` equal matrices, such as those that one layer holds of a group of tensors. `part` of
    linear layers: expert, shared_expert, recurrent, attention, latent values or feed_forward.
    """

    inputs: int
    outputs: int
    number: int = 1
    part: str = ""

    @property
    def weights(self) -> int:
        """The number of weights in all of these matrices."""
        return self.inputs * self.outputs * self.number


class StoredTypes(Record):
    """The types in which files store the tensors of a model.

    - `plain`: of vectors, and of every tensor that is in no narrower type.
    - `matrices`: of the matrices that `narrow` means: all "linear" layers of the blocks, which
      quantizers pack; all matrices of the "blocks" except routers, which publishers have in a
      narrow type of their own; or "all" matrices, tables and routers too, which
      mlx_lm.convert quantizes.
    - `by_part`: of matrices and tables of these parts.
    """

    plain: str
    matrices: str
    narrow: str
    by_part: Mapping[str, str] = {}

    def type_of(self, group: TensorGroup, part: str, *, is_linear: bool) -> str:
        """The type of a group of tensors that belongs to that part."""
        is_narrow = is_linear
        if self.narrow == "all":
            is_narrow = _is_matrix(group) and not says_any(group.name, _NOT_LINEAR)
        elif self.narrow == "blocks":
            is_block = bool(group.layers) and _is_matrix(group)
            is_narrow = is_block and _ROUTER not in group.name
        if is_narrow:
            return self.by_part.get(part, self.matrices)
        if group.name in _TABLE_PARTS or part == _NGRAMS:
            # a recipe may pack the output matrix too, and a table of n-grams
            return self.by_part.get(part, self.plain)
        return self.plain


class _FileGroup(Record):
    """A group of tensors of weight files, the part of the model that it belongs to, and whether
    quantizers pack it.
    """

    group: TensorGroup
    part: str
    is_linear: bool


class TypedGroup(Record):
    """A group of tensors with its part, its stored type, and the bytes of all of them."""

    group: TensorGroup
    part: str
    type: str
    bytes: float


@lru_cache(maxsize=256)
def linear_layers(architecture: Architecture) -> tuple[Matrices, ...]:
    """The linear layers of the weight files, as their modules have them: those of all layers of a
    model that are alike.
    """
    linear = []
    for stored in _file_groups(architecture):
        if stored.is_linear:
            of_layer = _matrices(stored.group)
            number = of_layer.number * len(stored.group.layers)
            linear.append(of_layer.replace(number=number, part=stored.part))
    return tuple(linear)


# cached: files of one model in any type have the same groups
@lru_cache(maxsize=256)
def _file_groups(architecture: Architecture) -> tuple[_FileGroup, ...]:
    """The groups of tensors of the weight files."""
    groups = []
    for group in published_tensors(architecture):
        stored = _FileGroup(
            group=group,
            part=_part_of(group, architecture),
            is_linear=_is_linear(group, architecture),
        )
        groups.append(stored)
    return tuple(groups)


def _part_of(group: TensorGroup, architecture: Architecture) -> str:
    """The part of the model that the matrices belong to, found from the name of the group: a value
    of `_TABLE_PARTS` or `_PARTS`, else feed_forward.
    """
    if group.name in _TABLE_PARTS:
        return _TABLE_PARTS[group.name]
    if not group.layers and group.name in ngram_tables(architecture):
        return _NGRAMS
    for mark, part in _PARTS.items():
        if mark in group.name:
            if part == "attention" and _recurs_alone(group, architecture):
                return "recurrent"
            return part
    return "feed_forward"


def _recurs_alone(group: TensorGroup, architecture: Architecture) -> bool:
    """Whether the tensors lie in layers that keep a state and do not attend: matrices of attention
    there belong to the recurrence.
    """
    if not architecture.recurrent:
        return False
    return layers_of(architecture.attention).isdisjoint(group.layers)


def _matrices(group: TensorGroup) -> Matrices:
    """The matrices of one layer; a vector is a matrix of one output."""
    inputs = group.shape[0]
    outputs = group.shape[1] if len(group.shape) > 1 else 1
    number = prod(group.shape[2:])
    if "attn_k_b" in group.name:
        # kv_b_proj of the weight files: maps the latent to the keys and values of every head
        return Matrices(inputs=outputs, outputs=inputs * number)
    if "attn_v_b" in group.name:
        return Matrices(inputs=inputs, outputs=outputs * number)
    return Matrices(inputs=inputs, outputs=outputs, number=number)


def _is_matrix(group: TensorGroup) -> bool:
    """Whether the tensors are weights with more than one dimension."""
    if not group.name.endswith(".weight"):
        return False
    return len(group.shape) > 1


def _is_linear(group: TensorGroup, architecture: Architecture) -> bool:
    """Whether quantizers pack the tensors: linear layers of the blocks, but not routers, nor
    coefficients of a few outputs, nor matrices that the model's class keeps wide.
    """
    if not group.layers or not _is_matrix(group):
        return False
    if group.shape[1] < _OUTPUTS_OF_A_WORD:
        return False
    kept_wide = [_ROUTER, *_NOT_LINEAR]
    kept_by_class = row_of(architecture).torch_wide_matrix
    if kept_by_class:
        kept_wide.append(kept_by_class)
    return not says_any(group.name, kept_wide)


@lru_cache(maxsize=512)
def typed_tensors(
    architecture: Architecture, types: StoredTypes | None = None
) -> tuple[TypedGroup, ...]:
    """The groups of tensors of weight files, each with its stored type and its bytes. `types`: None
    for the published files.
    """
    types = types or _published_types(architecture)
    is_wide = architecture.dtype == "float32"
    typed = []
    for stored in _file_groups(architecture):
        group = stored.group
        type = types.type_of(group, stored.part, is_linear=stored.is_linear)
        if types.narrow == "all":
            if group.name in ngram_tables(architecture):
                type = _type_of_ngram_table(group, types)
            if group.shape[0] % _group_in_mlx(type):
                type = types.plain
        size = _bytes_in(type, group, is_wide=is_wide)
        typed.append(TypedGroup(group=group, part=stored.part, type=type, bytes=size))
    return tuple(typed)


def _type_of_ngram_table(group: TensorGroup, types: StoredTypes) -> str:
    """The type of a table of n-grams in MLX's files: mlx-vlm packs these rows too, in the largest
    group that divides them.
    """
    if mlx_scheme(types.matrices) is None:
        return types.plain
    if group.shape[0] % _group_in_mlx(types.matrices):
        return f"{types.matrices}-32g"
    return types.matrices


def _group_in_mlx(type: str) -> int:
    """The number of weights that share a scale in MLX's files, which has to divide a row; 1 for
    other types.
    """
    scheme = mlx_scheme(type)
    if scheme is None:
        return 1
    return scheme.step


def _bytes_in(type: str, group: TensorGroup, *, is_wide: bool) -> float:
    """The bytes of a group of tensors in that type. `is_wide`: made from weights in 32 bits."""
    layers = max(1, len(group.layers))
    if type in PLAIN_DTYPES:
        return prod(group.shape) * DTYPES[type] / 8 * layers
    packed = _matrices(group)
    one = linear_bytes(type, packed.inputs, packed.outputs, wide=is_wide)
    return one * packed.number * layers


def _published_types(architecture: Architecture) -> StoredTypes:
    """The types of the published files. Experts may have a type of their own."""
    plain = architecture.dtype or "bfloat16"
    matrices = architecture.matrix_dtype or plain
    narrow = "blocks"
    if matrices in _BITSANDBYTES or scheme_of(matrices) is not None:
        narrow = "linear"
    by_part = {}
    if architecture.expert_dtype:
        by_part["expert"] = architecture.expert_dtype
    return StoredTypes(plain=plain, matrices=matrices, narrow=narrow, by_part=by_part)


def stored_types(case: Case) -> StoredTypes:
    """The types in the files of a case, which likely follow a recipe where they are not as
    published.
    """
    if _has_published_types(case):
        return _published_types(case.model)
    recipes = _recipes(case)
    if recipes is None:
        return _types_by(case, None)
    return _types_by(case, recipes.likely)


def types_by_recipes(case: Case) -> list[StoredTypes]:
    """The types in packed files by each recipe that they may follow, the likely one first; [] for
    other files.
    """
    if case.format != "safetensors" or case.is_as_published:
        return []
    if scheme_of(case.quantization) is None:
        return []
    recipes = _recipes(case)
    if recipes is None:
        return []
    return [_types_by(case, recipe) for recipe in recipes.possible]


def _types_by(case: Case, recipe: CheckpointRecipe | None) -> StoredTypes:
    """The types in files of the case's quantization that follow a recipe. Without one all linear
    layers have that quantization, and in files for MLX every matrix.
    """
    packed = case.quantization
    by_part: dict[str, str] = {}
    if recipe is not None:
        if recipe.type and "-" not in packed:
            # the name states no group of its own
            packed = recipe.type
        wide = "bfloat16"
        if recipe.wide_as_published and case.model.matrix_dtype:
            wide = case.model.matrix_dtype
        by_part |= dict.fromkeys(recipe.wide, wide)
        by_part |= dict.fromkeys(recipe.eight, _eight_bits(case))
        by_part |= dict.fromkeys(recipe.packed, packed)
        if recipe.head:
            by_part["output"] = recipe.head
    if case.format != "mlx":
        return StoredTypes(
            plain="bfloat16", matrices=packed, narrow="linear", by_part=by_part
        )
    model = case.model
    plain = "bfloat16"
    if mlx_scheme(packed) is None:
        packed = plain
    elif model.dtype == "float32":
        # what is not quantized keeps 32 bits
        plain = "float32"
    if model.matrix_dtype == "ternary":
        by_part |= dict.fromkeys(_LAYER_PARTS, "ternary")
    return StoredTypes(plain=plain, matrices=packed, narrow="all", by_part=by_part)


def _sum_of(tensors: Iterable[TypedGroup]) -> Term:
    """The term of files with these tensors alone; its arithmetic lists the bytes by type."""
    total = 0.0
    sizes = []
    for tensor in tensors:
        total += tensor.bytes
        name = tensor.type if tensor.type in DTYPES else "packed weights"
        sizes.append((name, tensor.bytes))
    return computed_term("files", int(total), _TENSORS, by_type(sizes))


class _Packing(Record):
    """How a type stores a linear layer.

    - `bits`: the bits of a weight.
    - `group`: the number of an output's weights that share a scale; None: all of them.
    - `has_zeros`: each group has a zero point.
    - `layout`: the bytes that are stored beside.
    """

    bits: float
    group: int | None = None
    has_zeros: bool
    layout: Layout


@lru_cache(maxsize=512)
def _packing_of(type: str) -> _Packing:
    """The packing of a stored type; an unknown type is taken as 16 bits."""
    scheme = scheme_of(type) or mlx_scheme(type)
    if type in DTYPES or scheme is None:
        layout = _LAYOUTS.get(type, _NO_LAYOUT)
        bits = DTYPES.get(type, 16.0)
        return _Packing(bits=bits, has_zeros=layout.zeros, layout=layout)
    layout = _LAYOUTS.get(scheme.method, _NO_LAYOUT)
    return _Packing(
        bits=scheme.bits,
        group=scheme.group,
        has_zeros=layout.zeros or scheme.zeros,
        layout=layout,
    )


def linear_bytes(
    type: str,
    inputs: int,
    outputs: int,
    *,
    wide: bool = False,
) -> float:
    """The bytes of a linear layer without its bias: weights × bits / 8, a scale and in some layouts
    a zero point for each group of weights, and the bytes that the layout adds for each output, each
    input and the layer.

    `wide`: MLX made the layer from weights in 32 bits.
    """
    weights = inputs * outputs
    if type == "float8_e4m3_128x128":
        # one float32 for each block of 128 × 128
        return weights + 4 * -(-inputs // 128) * -(-outputs // 128)
    packing = _packing_of(type)
    layout = packing.layout
    groups = outputs
    if packing.group:
        groups *= -(-inputs // packing.group)
    group_bytes = layout.group
    if wide and layout.follows:
        group_bytes *= 2
    if packing.has_zeros:
        group_bytes += packing.bits / 8
    of_rows = outputs * layout.output + inputs * layout.input
    return weights * packing.bits / 8 + groups * group_bytes + of_rows + layout.layer


def bits_in_mlx(name: str) -> float | None:
    """The bits of a weight in MLX's files of a type, scales included; None for types that
    mlx_lm.convert does not make.
    """
    # a file of several types: the type of most weights
    if name in ("MXFP4-Q8", "4bit-mxfp4"):
        name = "mxfp4"
    return _bits(name) if _is_mlx_type(name) else None


def _is_mlx_type(name: str) -> bool:
    """Whether mlx_lm.convert makes files of that type."""
    return name in ("bf16", "fp16") or mlx_scheme(name) is not None


def _bits(type: str | None) -> float:
    """Bits per weight of a stored type, scales included; 16 where none is stated."""
    if type is None:
        return 16.0
    if type in DTYPES:
        return DTYPES[type]
    return linear_bytes(type, 4096, 4096) * 8 / 4096**2


# ------------------------------------------------------------------ the files


def size_of(case: Case) -> Term | Unread:
    """The size of the files: as published, else computed with every tensor in its stored type."""
    # files are the same in any program, under any workload, on any machine
    files = Case(
        spec=case.spec,
        model=case.model,
        row=case.row,
        has_row=case.has_row,
        encoders=case.encoders,
        format=case.format,
        quantization=case.quantization,
    )
    return _size_of(files)


@lru_cache(maxsize=1024)
def _size_of(case: Case) -> Term | Unread:
    """The size of the files of a case that has no more than what its files tell."""
    stated = published_size(case)
    if stated is None and case.format == "safetensors" and case.is_as_published:
        stated = published_size(case, "native")
    if stated is not None:
        return stated
    unknown = _why_unknown(case)
    if unknown is not None:
        return unknown
    if not case.has_all_tensors:
        return _by_parameters(case)
    if _has_published_types(case):
        return _as_published(case)
    return _as_made(case)


def _has_published_types(case: Case) -> bool:
    """Whether the tensors are in the types that their publisher gave them."""
    return case.format != "mlx" and case.is_as_published


def _why_unknown(case: Case) -> Unread | None:
    """The reason why the size of files in the case's type is not known; None where it follows from
    the tensors, or from the number of parameters.
    """
    is_mlx = case.format == "mlx"
    # without known tensors a model is sized by its total, which includes the encoders; MLX files
    # keep encoders in 16 bits and need their size too
    if case.has_all_tensors or is_mlx:
        no_encoders = why_no_encoders(case.spec)
        if no_encoders is not None:
            return unread(no_encoders, ENCODER_REMEDY)
    if is_mlx:
        return _why_no_mlx_size(case)
    if case.is_as_published:
        untyped = case.spec.unknown.get("architecture.matrix_dtype")
        if untyped is not None:
            return unread(untyped, GIVE_FILES)
        if stored_type(case.model) == "int4":
            why = "how many bits a weight takes in int4 is not stated"
            return unread(why, _STATE_SIZE)
        return None
    name = case.quantization
    if name != "int8" and scheme_of(name) is None:
        why = f"no source states the size of the {case.format} files in {name}"
        return unread(why, f"use --quant {stored_type(case.model)}, as published")
    if not case.has_all_tensors:
        why = f"no source states the size of the files in {name}"
        return unread(f"{why}, and which layers it has is not known", _STATE_SIZE)
    return _why_not_awq(case)


def _by_parameters(case: Case) -> Term | Unread:
    """The size of the files from the number of parameters: parameters × bits / 8. Where some of the
    weights may have another type, the most assumes the widest for all.
    """
    spec = case.spec
    total = spec.parameters.total
    if total is None:
        return unread_of(spec, "download_bytes")
    if case.format == "mlx":
        weights = max(0, total - case.encoders)
        bits = _bits(case.quantization)
        size = int(weights * bits / 8)
        whole = size + encoder_bytes(case)
        line = f"{weights:,} weights × {bits:g} bits / 8"
        line += f" + {encoder_bytes(case):,} bytes of encoders"
        ends = Size(int(size * 0.995), whole, int(whole * 1.01))
        return computed_term("files", ends, _BY_MLX, line)
    if spec.architecture is None and "architecture" in spec.unknown:
        # models of this kind are published in 4 bits as often as in 16
        return unread(
            "the spec does not state the type that the weights are stored in",
            _STATE_TYPE,
        )
    plain = case.model.dtype
    if plain is None:
        source = (
            "the stored type is not stated: 4 to 32 bits per parameter, most often 16"
        )
        least = int(total * DTYPES["mxfp4"] / 8)
        ends = Size(least, total * 2, total * 4)
        line = f"{total:,} parameters × 16 bits / 8"
        return assumed_term("files", ends, source, line)
    own_type = stored_type(case.model)
    bits = _bits(own_type)
    size = int(total * bits / 8)
    line = f"{total:,} parameters × {bits:g} bits / 8"
    if own_type == plain:
        source = "parameters in the published type"
        high = int(size * 1.05)
        return computed_term("files", Size(size, size, high), source, line)
    source = f"parameters in {own_type}; how many are in {plain} is not known"
    high = int(total * max(bits, _bits(plain)) / 8)
    return assumed_term("files", Size(size, size, high), source, line)


def cast_to(case: Case) -> Case:
    """The case as if the model were published in the case's quantization. Listed sizes are dropped,
    because none is for that type.
    """
    narrow = case.model.replace(dtype=case.quantization)
    spec = case.spec.replace(architecture=narrow, files=())
    return case.replace(spec=spec, model=narrow)


def _as_published(case: Case) -> Term:
    """The size of the files as published: the loaded tensors, encoders, and tensors that are not
    loaded.
    """
    model = case.model
    tensors = _sum_of(typed_tensors(model))
    encoders_bytes = encoder_bytes(case)
    loaded = tensors.bytes + encoders_bytes
    line = tensors.arithmetic
    if encoders_bytes:
        line += f" + {encoders_bytes:,} bytes of encoders"
    source = _TENSORS
    how = How.COMPUTED
    most = loaded * 1.01
    if model.dtype is None:
        source += "; the type is not stated: 16 to 32 bits"
        how = How.ASSUMED
        most = loaded * 2.01
    least = loaded * 0.995
    if model.matrix_dtype in _BITSANDBYTES:
        # bitsandbytes also quantizes the linear layers of encoders, unless a list excludes them
        least -= 1.5 * case.encoders
    block_bytes = _block_bytes(case)
    unloaded = block_bytes + _undescribed_bytes(case)
    if unloaded:
        line += f" + {unloaded:,} bytes of other blocks in the files"
    # a quantizer may leave the blocks of multi-token prediction in 16 bits; some files lack them
    most_in_blocks = max(block_bytes, _blocks_in_16_bits(case))
    most += (unloaded - block_bytes + most_in_blocks) * 1.01
    least += _undescribed_bytes(case) * 0.995
    ends = Size(int(least), loaded + unloaded, int(most))
    return term("files", ends, source, line, how)


def encoder_bytes(case: Case) -> int:
    """The bytes of the encoders in weight files: in the published type, else in 16 bits."""
    bits = 16.0
    if _has_published_types(case):
        bits = _bits(case.model.dtype)
    return int(case.encoders * bits / 8)


def _block_bytes(case: Case) -> int:
    """The bytes of multi-token-prediction blocks in published files."""
    if case.spec.quantized is not None:
        return 0
    bits = _bits(case.model.matrix_dtype or case.model.dtype)
    return int(case.spec.parameters.in_blocks * bits / 8)


def _blocks_in_16_bits(case: Case) -> int:
    """The bytes of multi-token-prediction blocks that a quantizer leaves in 16 bits."""
    return 2 * case.spec.parameters.in_blocks


def _undescribed_bytes(case: Case) -> int:
    """The bytes of tensors in published files that config.json does not describe."""
    if case.model.narrow_types:
        return 0
    extra = case.spec.parameters.extra_in_files or 0
    return int(extra * _bits(case.model.dtype) / 8)


def _as_made(case: Case) -> Term:
    """The size of files that others quantized, or that mlx_lm.convert makes: as the likely recipe
    makes them, between the least and the most of the possible recipes.
    """
    recipes = _recipes(case)
    if recipes is None:
        return _as_made_by_rule(case)
    files = _by_recipe(case, recipes.likely)
    ends = [
        _by_recipe(case, end).bytes
        for recipe in recipes.possible
        for end in recipe.ends
    ]
    # anybody's files may follow one of several recipes; of a publisher, and of MLX, the list has
    # one that some files follow nearly
    has_one = recipes.are_of_publisher or case.format == "mlx"
    error = _SUM_ERROR
    if has_one:
        error = _RECIPE_ERROR
    size = Size(int(min(ends) * (1 - error)), files.bytes, int(max(ends) * (1 + error)))
    how = files.how
    if has_one or len(set(ends)) > 1:
        how = How.ASSUMED
    return term("files", size, recipes.likely.source, files.arithmetic, how)


def _as_made_by_rule(case: Case) -> Term:
    """The size of files of which no recipe tells. The least of MLX's is without encoders, and of
    weights in 32 bits for files made with --dtype float16; the most has what mlx-lm of September
    2026 or later keeps in 8 bits.
    """
    files = _by_recipe(case, None)
    least = files.bytes
    most = files.bytes
    source = files.source
    if case.format == "mlx":
        source = _BY_MLX
        if case.spec.quantized is None:
            narrow = case.model.replace(dtype="bfloat16")
            least = _by_recipe(case.replace(model=narrow), None).bytes
            most += _more_in_eight_bits(case)
        least -= encoder_bytes(case)
    elif case.quantization in _BITSANDBYTES:
        least -= int(1.5 * case.encoders)
    size = Size(int(least * 0.995), files.bytes, int(most * 1.01))
    return computed_term("files", size, source, files.arithmetic)


def _more_in_eight_bits(case: Case) -> int:
    """The bytes that the tensors take more which the model's class of MLX LM keeps in 8 bits."""
    more = 0.0
    for tensor in typed_tensors(case.model, _types_by(case, None)):
        if tensor.group.name in case.row.mlx_in_8_bits:
            wider = _bytes_in("8bit", tensor.group, is_wide=False)
            more += max(0, wider - tensor.bytes)
    return int(more)


def _by_recipe(case: Case, recipe: CheckpointRecipe | None) -> Term:
    """The files as a recipe makes them. Without one every linear layer is in the case's
    quantization, and encoders are in 16 bits.
    """
    model = case.model.packed_with(_method_of(case))
    tensors = typed_tensors(model, _types_by(case, recipe))
    files = _sum_of(tensors)
    more = encoder_bytes(case)
    if recipe is not None:
        if not recipe.encoders:
            more = 0
        if recipe.twice and model.tied_embeddings:
            head = recipe.head or "bfloat16"
            more += int(
                linear_bytes(head, model.embedding_length, model.published_tokens)
            )
        if recipe.mtp:
            more += _blocks_in_16_bits(case)
        in_16 = recipe.layers_in_16 / model.layers
        more += _more_in_layers(tensors, ("feed_forward",), "bfloat16", in_16)
        in_eight = recipe.last_in_eight / model.layers
        feeding = ("feed_forward", "expert")
        more += _more_in_layers(tensors, feeding, _eight_bits(case), in_eight)
        if recipe.mean_bits:
            weights = sum(tensor.group.parameters for tensor in tensors)
            more += max(0, int(weights * recipe.mean_bits[0] / 8) - files.bytes)
    line = files.arithmetic
    if more:
        line += f" + {more:,} bytes of encoders, and of what the recipe adds"
    return files.resized(files.bytes + more, line)


def _more_in_layers(
    tensors: Iterable[TypedGroup],
    parts: tuple[str, ...],
    wider: str,
    share: float,
) -> int:
    """The bytes by which these parts are larger where that share of them has a wider type."""
    more = 0.0
    if share:
        for tensor in tensors:
            if tensor.part in parts and tensor.type not in PLAIN_DTYPES:
                more += _bytes_in(wider, tensor.group, is_wide=False) - tensor.bytes
    return int(more * share)


def bytes_of_part(case: Case, part: str) -> int:
    """The bytes of one part of the weights: of the linear layers of a part, or of a table."""
    tensors = typed_tensors(case.model, stored_types(case))
    return int(sum(tensor.bytes for tensor in tensors if tensor.part == part))


def _method_of(case: Case) -> str:
    """The method of the case's quantization: its name without the group, `mlx` of files for MLX."""
    if case.format == "mlx":
        return "mlx"
    scheme = scheme_of(case.quantization)
    return case.quantization if scheme is None else scheme.method


def _recipes(case: Case) -> Recipes | None:
    """The recipes that the case's files may follow; None where no row tells of the method."""
    parts = {layer.part for layer in linear_layers(case.model)}
    return recipes_of(case, _method_of(case), parts)


def _why_not_awq(case: Case) -> Unread | None:
    """Why AWQ cannot pack the model; None where it can, and for other methods."""
    scheme = scheme_of(stored_types(case).matrices)
    if scheme is None or scheme.method != "awq":
        return None
    group = scheme.step
    for layer in linear_layers(case.model.packed_with("awq")):
        why = None
        if layer.inputs % group:
            why = f"{layer.inputs:,} inputs do not divide into groups of {group}"
        elif layer.outputs % _OUTPUTS_OF_A_WORD:
            why = f"{layer.outputs:,} outputs do not fill words of {_OUTPUTS_OF_A_WORD}"
        if why is not None:
            return unread(
                f"AutoAWQ cannot pack it: {why}", f"use --quant gptq, or {_STATE_SIZE}"
            )
    return None


def _eight_bits(case: Case) -> str:
    """The type of the parts that a recipe leaves in 8 bits."""
    return "8bit" if case.format == "mlx" else "fp8"


def experts_in_16_bits(case: Case) -> int:
    """The bytes by which the experts are larger in 16 bits than in the case's quantization."""
    more = 0.0
    for tensor in typed_tensors(case.model, stored_types(case)):
        if tensor.part == "expert":
            more += 2 * tensor.group.parameters - tensor.bytes
    return int(more)


def _why_no_mlx_size(case: Case) -> Unread | None:
    """The reason why the size of files for MLX is not known; None where it can be computed."""
    name = case.quantization
    if not _is_mlx_type(name):
        return unread(
            f"no source states the size in {name}", "use --quant 4bit or --quant 8bit"
        )
    published = case.spec.quantized
    if published is None or published.format != "mlx":
        return None
    if published.quantization is not None:
        return None
    why = case.spec.unknown.get(
        "architecture.matrix_dtype",
        "its weights are stored in a quantization that selfhost does not know",
    )
    return unread(why, "name the folder with its files, or the original model")


# ------------------------------------------------------------------ what is loaded


def loaded_of(case: Case, files: Term) -> Term:
    """The files without the tensors that are not loaded: multi-token-prediction blocks, and those
    that config.json does not describe. MLX's files have neither. Where the tensors are not known,
    all of the files count.
    """
    unloaded = _unloaded_bytes(case, files)
    if not unloaded:
        return files
    line = taken_off(files.arithmetic, unloaded, "of blocks, not loaded")
    likely = files.bytes - unloaded
    # the least is of files that lack the blocks
    least = min(files.low_bytes, likely)
    return files.with_size(Size(least, likely, files.high_bytes - unloaded), line)


def _unloaded_bytes(case: Case, files: Term) -> int:
    """The bytes of these files that are not loaded. A listed size includes the blocks that a model
    is published with, and may leave out all else.
    """
    if not case.has_all_tensors or case.format == "mlx":
        return 0
    is_listed = files.how is How.STATED
    if case.is_as_published:
        if case.spec.quantized is not None:
            return 0
        unloaded = _block_bytes(case)
        if not is_listed:
            unloaded += _undescribed_bytes(case)
        return unloaded
    if is_listed:
        return 0
    recipes = _recipes(case)
    if recipes is None or not recipes.likely.mtp:
        return 0
    return _blocks_in_16_bits(case)


def loaded_type(
    runtime: RuntimeSpec | None,
    spec: ModelSpec,
    quantization: str,
) -> str:
    """The type that the runtime loads the weights as.

    Plain weights are loaded by default as the type that config.json states (dtype "auto" of
    transformers 5); vLLM loads 32-bit weights as bfloat16. Other quantizations, and casts, are
    loaded as they are.
    """
    if runtime is None or spec.architecture is None:
        return quantization
    stated = spec.architecture.dtype
    if quantization not in PLAIN_DTYPES or stated not in PLAIN_DTYPES:
        return quantization
    if is_cast(spec, runtime, quantization):
        return quantization
    if runtime.account.loads_as == "sixteen" and stated == "float32":
        return "bfloat16"
    return quantization if runtime.account.loads_as == "stored" else stated


def loaded_bits(
    runtime: RuntimeSpec | None,
    spec: ModelSpec,
    workload: Workload,
) -> int | None:
    """The bits of a plain weight as the runtime loads it by default; None where they are the same
    as in the files.
    """
    quantization = workload.quantization
    if workload.finetune_method == "qlora":
        return _QLORA_BITS
    if workload.task != "generate" or workload.format == "gguf":
        return None
    if quantization is None:
        return None
    loaded = loaded_type(runtime, spec, quantization)
    if loaded == quantization or DTYPES[loaded] == DTYPES[quantization]:
        return None
    return int(DTYPES[loaded])


def reads_by_type(case: Case) -> bool:
    """Whether a runtime computes with weights of several types: with experts in a narrow type, and
    in files that others quantized with the wider parts beside them. Weights in 8 bits are computed
    with as they are, like those beside them.
    """
    if _has_published_types(case):
        return bool(case.model.expert_dtype)
    if not case.model.has_experts:
        return False
    if case.format == "mlx":
        return mlx_scheme(case.quantization) is not None
    return _packing_of(case.quantization).bits < _UNPACKED_BITS
