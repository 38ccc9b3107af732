"""The size of weight files (safetensors, pickle or MLX files), the type in which their weights are
stored and loaded, and the number of parameters that one token reads.

What goes in: a case, which is a model in a format and quantization. What comes out: a term in
bytes, or why the size is not known. Every size is one sum over the tensors, each in its type: the
type of the published files, or the type to which a quantizer converts linear layers (and MLX also
tables). If the tensors are not known, the size is parameters × bits / 8. The scales and other bytes
that a layout adds to the bits of its weights are in `[layouts]` of specs/common/quantizations.toml.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from math import prod

from ..catalogue.architecture import Architecture, TensorGroup
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import PLAIN_DTYPES, mlx_scheme, scheme_of
from ..core.records import Record, Stated, Unread
from ..core.tables import shipped_rows
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
# and those that layers have
_LAYER_PARTS = (*_PARTS.values(), "feed_forward")
# the parts of a model beside its layers that a recipe may name
_TABLE_PARTS = ("table", "output")
_ROUTER = "ffn_gate_inp"
# how far files may be off a publisher's own recipe: lists of sizes leave open whether they count in
# GB or GiB, which are 7 % apart; and off a sum over their tensors
_RECIPE_ERROR = 0.07
_SUM_ERROR = 0.005
_STATE_SIZE = "state the size under [[files]] of the spec"
_STATE_TYPE = "state `dtype` in [architecture] of the spec, or the size under [[files]]"
_TENSORS = "parameters of the architecture in their stored types"
_ANY_WORKLOAD = Workload()
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


class TypedGroup(Record):
    """A group of tensors with its stored type, and the bytes of all of them."""

    group: TensorGroup
    type: str
    bytes: float


@lru_cache(maxsize=256)
def linear_layers(architecture: Architecture) -> tuple[Matrices, ...]:
    """The linear layers of the weight files, as their modules have them: those of all layers of a
    model that are alike.
    """
    linear = []
    for group in published_tensors(architecture):
        if _is_linear(group, architecture):
            of_layer = _matrices(group)
            number = of_layer.number * len(group.layers)
            part = _part_of(group, architecture)
            linear.append(of_layer.replace(number=number, part=part))
    return tuple(linear)


def _part_of(group: TensorGroup, architecture: Architecture) -> str:
    """The part of a layer that the matrices belong to, found from the name of the group: a value of
    `_PARTS`, else feed_forward.
    """
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


def _has_any(name: str, words: Iterable[str]) -> bool:
    """Whether the name contains one of the words."""
    return any(word in name for word in words)


def _is_linear(group: TensorGroup, architecture: Architecture) -> bool:
    """Whether quantizers pack the tensors: linear layers of the blocks, but not routers, nor
    matrices that the model's class keeps wide.
    """
    if not group.layers or not _is_matrix(group):
        return False
    kept_wide = [_ROUTER, *_NOT_LINEAR]
    kept_by_class = row_of(architecture).torch_wide_matrix
    if kept_by_class:
        kept_wide.append(kept_by_class)
    return not _has_any(group.name, kept_wide)


@lru_cache(maxsize=512)
def typed_tensors(
    architecture: Architecture,
    mlx: str | None = None,
    in_8_bits: tuple[str, ...] = (),
) -> tuple[TypedGroup, ...]:
    """The groups of tensors of weight files, each with its stored type and its bytes.

    `mlx`: the type for which mlx_lm.convert makes the files; None for the published files.
    `in_8_bits`: the names of groups that the conversion keeps in 8 bits.
    """
    typed = []
    for group in published_tensors(architecture):
        made = "8bit" if group.name in in_8_bits else mlx
        if made:
            type = _type_in_mlx(group, architecture, made)
        else:
            type = _type_as_published(group, architecture)
        if type in PLAIN_DTYPES:
            size = prod(group.shape) * DTYPES[type] / 8
        else:
            packed = _matrices(group)
            is_wide = architecture.dtype == "float32"
            one = linear_bytes(type, packed.inputs, packed.outputs, wide=is_wide)
            size = one * packed.number
        size *= max(1, len(group.layers))
        typed.append(TypedGroup(group=group, type=type, bytes=size))
    return tuple(typed)


def _type_as_published(group: TensorGroup, architecture: Architecture) -> str:
    """The stored type of a group of tensors in the published files.

    A quantizer's type holds for linear layers. A publisher's own narrow type holds for all matrices
    of the blocks except routers. Experts may have a type of their own.
    """
    plain = architecture.dtype or "bfloat16"
    matrix_type = architecture.matrix_dtype or plain
    if matrix_type in _BITSANDBYTES or scheme_of(matrix_type) is not None:
        is_narrow = _is_linear(group, architecture)
    else:
        is_block = bool(group.layers) and _is_matrix(group)
        is_narrow = is_block and _ROUTER not in group.name
    if not is_narrow:
        return plain
    if "_exps." in group.name and architecture.expert_dtype:
        return architecture.expert_dtype
    return matrix_type


def _type_in_mlx(
    group: TensorGroup,
    architecture: Architecture,
    name: str,
) -> str:
    """The type that mlx_lm.convert gives a group of tensors when it makes files in the type `name`.

    Vectors, convolutions, norms, and rows that do not divide into groups keep 16 bits. If the
    published weights have 32 bits, they keep these, except in files of 16 bits.
    """
    scheme = mlx_scheme(name)
    plain = "bfloat16"
    weights_in_group = 1
    if scheme is not None:
        weights_in_group = scheme.group or 1
        if architecture.dtype == "float32":
            plain = "float32"
    is_quantized = _is_matrix(group) and not _has_any(group.name, _NOT_LINEAR)
    if group.name in ngram_tables(architecture) and scheme is not None:
        # mlx-vlm packs these rows too, in the largest group that divides them
        return name if group.shape[0] % weights_in_group == 0 else f"{name}-32g"
    if not is_quantized or group.shape[0] % weights_in_group:
        return plain
    if architecture.matrix_dtype == "ternary" and _is_linear(group, architecture):
        return "ternary"
    return plain if scheme is None else name


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
    # the size is the same for any workload and place, of which one model has many
    return _size_of(case.replace(workload=_ANY_WORKLOAD, device=None))


@lru_cache(maxsize=1024)
def _size_of(case: Case) -> Term | Unread:
    """The size of the files of a case without its workload and place."""
    stated = published_size(case)
    if stated is None and case.format == "safetensors" and case.is_as_published:
        stated = published_size(case, "native")
    if stated is not None:
        return stated
    is_mlx = case.format == "mlx"
    # without known tensors a model is sized by its total, which includes the encoders; MLX files
    # keep encoders in 16 bits and need their size too
    if case.has_all_tensors or is_mlx:
        no_encoders = why_no_encoders(case.spec)
        if no_encoders is not None:
            return unread(no_encoders, ENCODER_REMEDY)
    if is_mlx:
        return _mlx_size(case)
    if case.is_as_published:
        return _as_published(case)
    name = case.quantization
    if name == "int8" or scheme_of(name) is not None:
        return _packed_size(case)
    why = f"no source states the size of the {case.format} files in {name}"
    return unread(why, f"use --quant {stored_type(case.model)}, as published")


def _as_published(case: Case) -> Term | Unread:
    """The size of the files in the published type: from the tensors where these are known, else
    from the number of parameters.
    """
    untyped = case.spec.unknown.get("architecture.matrix_dtype")
    if untyped is not None:
        return unread(untyped, GIVE_FILES)
    if stored_type(case.model) == "int4":
        return unread("how many bits a weight takes in int4 is not stated", _STATE_SIZE)
    if case.has_all_tensors:
        return _by_tensors(case)
    return _by_parameters(case)


def _by_parameters(case: Case) -> Term | Unread:
    """The size of the files from the number of parameters: parameters × bits / 8. Where some of the
    weights may have another type, the most assumes the widest for all.
    """
    spec = case.spec
    total = spec.parameters.total
    if total is None:
        return unread_of(spec, "download_bytes")
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


def _by_tensors(case: Case) -> Term:
    """The size of the files: the loaded tensors, and tensors that are not loaded, which are the
    multi-token-prediction blocks and those that config.json does not describe.
    """
    model = case.model
    parameters = case.spec.parameters
    mtp_parameters = parameters.mtp or 0
    mtp_bytes = 0
    if case.spec.quantized is None:
        mtp_bytes = int(mtp_parameters * _bits(model.matrix_dtype or model.dtype) / 8)
    undescribed_bytes = 0
    if parameters.extra_in_files is not None and not model.narrow_types:
        undescribed_bytes = int(parameters.extra_in_files * _bits(model.dtype) / 8)
    likely = mtp_bytes + undescribed_bytes
    # a quantizer may leave the blocks of multi-token prediction in 16 bits; some files lack them
    wider_mtp_bytes = max(0, 2 * mtp_parameters - mtp_bytes)
    most = likely * 101 // 100 + wider_mtp_bytes
    unloaded = Size(undescribed_bytes * 199 // 200, likely, most)
    loaded = _loaded_tensors(case)
    line = loaded.arithmetic
    if likely:
        line += f" + {likely:,} bytes of other blocks in the files"
    return loaded.with_size(loaded.size.plus(unloaded), line)


def _loaded_tensors(case: Case) -> Term:
    """The term of the loaded tensors, each in its stored type, and of the encoders."""
    architecture = case.model
    encoders = case.encoders
    tensors = _sum_of(typed_tensors(architecture))
    size = tensors.bytes
    line = tensors.arithmetic
    if encoders:
        encoder_bytes = int(encoders * _bits(architecture.dtype) / 8)
        size += encoder_bytes
        line += f" + {encoder_bytes:,} bytes of encoders"
    source = _TENSORS
    how = How.COMPUTED
    most = size * 1.01
    if architecture.dtype is None:
        source += "; the type is not stated: 16 to 32 bits"
        how = How.ASSUMED
        most = size * 2.01
    least = size * 0.995
    if architecture.matrix_dtype in _BITSANDBYTES:
        # bitsandbytes also quantizes the linear layers of encoders, unless a list excludes them
        least -= 1.5 * encoders
    return term("files", Size(int(least), size, int(most)), source, line, how)


def _packed_size(case: Case) -> Term | Unread:
    """The size of files that others quantized: every linear layer of the blocks packed, but for the
    parts that their publisher's recipe leaves wider.
    """
    name = case.quantization
    if not case.has_all_tensors:
        why = f"no source states the size of the files in {name}"
        return unread(f"{why}, and which layers it has is not known", _STATE_SIZE)
    method = _method_of(case)
    model = case.model.packed_with(method)
    recipes = _recipes(case)
    if recipes is None:
        return _loaded_tensors(_packed_in(case, model, name))
    type_name = name
    if name == method:
        type_name = recipes.likely.type or name
    if method == "awq":
        unpacked = _why_not_awq(model, type_name)
        if unpacked is not None:
            return unpacked
    return _by_recipes(_packed_in(case, model, name), recipes)


def _method_of(case: Case) -> str:
    """The method of the case's quantization: its name without the group, `mlx` of files for MLX."""
    if case.format == "mlx":
        return "mlx"
    scheme = scheme_of(case.quantization)
    return case.quantization if scheme is None else scheme.method


def _recipes(case: Case) -> Recipes | None:
    """The recipes that the case's files may follow; None where no row tells of the method."""
    method = _method_of(case)
    parts = {layer.part for layer in linear_layers(case.model.packed_with(method))}
    return recipes_of(case, method, parts)


def _packed_in(case: Case, model: Architecture, type_name: str) -> Case:
    """The case with every linear layer of the model packed in that type, all else in 16 bits."""
    packed = model.replace(matrix_dtype=type_name, expert_dtype=None, dtype="bfloat16")
    spec = case.spec.replace(architecture=packed)
    return case.replace(spec=spec, model=packed)


def _why_not_awq(model: Architecture, type_name: str) -> Unread | None:
    """Why AWQ cannot pack the model in that type; None where it can."""
    scheme = scheme_of(type_name)
    assert scheme is not None, "AWQ's types have a scheme"
    group = scheme.group or 1
    for layer in linear_layers(model):
        if layer.inputs % group or layer.outputs % 8:
            why = f"{layer.inputs:,} inputs do not divide into groups of {group}"
            return unread(
                f"AutoAWQ cannot pack it: {why}", f"use --quant gptq, or {_STATE_SIZE}"
            )
    return None


def _by_recipes(case: Case, recipes: Recipes) -> Term:
    """The size of packed files as the likely recipe makes them, between the least and the most of
    the possible recipes.
    """
    files = _loaded_tensors(case)
    more = _more_by_recipe(case, recipes.likely)
    ends = [_more_by_recipe(case, recipe) for recipe in recipes.possible]
    line = files.arithmetic
    if more:
        line += f" {more:+,} bytes by the recipe"
    error = _RECIPE_ERROR if recipes.is_stated else _SUM_ERROR
    size = Size(
        int((files.bytes + min(ends)) * (1 - error)),
        files.bytes + more,
        int((files.bytes + max(ends)) * (1 + error)),
    )
    how = files.how
    if recipes.is_stated or len(set(ends)) > 1:
        how = How.ASSUMED
    return term("files", size, recipes.likely.source, line, how)


def _more_by_recipe(case: Case, recipe: CheckpointRecipe) -> int:
    """The bytes by which files made by a recipe are larger than files of the usual types: linear
    layers in the case's quantization, and in files for MLX also tables.
    """
    model = case.model
    is_mlx = case.format == "mlx"
    name = case.quantization
    types = _types_by_recipe(case, recipe)
    more = 0.0
    for layer in (*linear_layers(model), *_tables(model)):
        usual = name
        if layer.part in _TABLE_PARTS and not is_mlx:
            usual = "bfloat16"
        made = types[layer.part]
        before = linear_bytes(usual, layer.inputs, layer.outputs)
        after = linear_bytes(made, layer.inputs, layer.outputs)
        more += (after - before) * layer.number
        wider_layers = {}
        if layer.part == "feed_forward":
            wider_layers["bfloat16"] = recipe.layers_in_16
        if recipe.last_in_eight and layer.part in ("feed_forward", "expert"):
            wider_layers[_eight_bits(case)] = recipe.last_in_eight
        for wider_type, layers in wider_layers.items():
            wider = linear_bytes(wider_type, layer.inputs, layer.outputs) - after
            more += wider * layer.number * layers / model.layers
    if recipe.twice and model.tied_embeddings:
        head = recipe.head or "bfloat16"
        more += linear_bytes(head, model.embedding_length, model.published_tokens)
    if recipe.mtp:
        more += 2 * (case.spec.parameters.mtp or 0)
    if not recipe.encoders:
        more -= 2 * case.encoders
    return int(more)


def _types_by_recipe(case: Case, recipe: CheckpointRecipe | None) -> dict[str, str]:
    """The types of the linear layers and tables of files that follow a recipe, by part. Without a
    recipe all linear layers have the case's quantization, and in files for MLX also the tables.
    """
    packed = case.quantization
    if recipe is not None and recipe.type and packed == _method_of(case):
        # the name states no group of its own
        packed = recipe.type
    table = packed if case.format == "mlx" else "bfloat16"
    types = dict.fromkeys(_LAYER_PARTS, packed)
    types |= dict.fromkeys(_TABLE_PARTS, table)
    if recipe is not None:
        types |= dict.fromkeys(recipe.wide, "bfloat16")
        types |= dict.fromkeys(recipe.eight, _eight_bits(case))
        types |= dict.fromkeys(recipe.packed, packed)
        if recipe.head:
            types["output"] = recipe.head
    return types


def bytes_of_part(case: Case, part: str) -> int:
    """The bytes of one part of the weights: of the linear layers of a part, or of the table."""
    model = case.model
    if case.is_as_published:
        types = dict.fromkeys((*_LAYER_PARTS, "output"), case.quantization)
        types["table"] = model.dtype or "bfloat16"
        types["expert"] = model.expert_dtype or case.quantization
    else:
        recipes = _recipes(case)
        types = _types_by_recipe(case, None if recipes is None else recipes.likely)
    size = 0.0
    for layer in (*linear_layers(model), *_tables(model)):
        if layer.part == part:
            of_one = linear_bytes(types[part], layer.inputs, layer.outputs)
            size += layer.number * of_one
    return int(size)


def _eight_bits(case: Case) -> str:
    """The type of the parts that a recipe leaves in 8 bits."""
    return "8bit" if case.format == "mlx" else "fp8"


def _tables(model: Architecture) -> Iterator[Matrices]:
    """Yield the token table of a model, and its output matrix where that is another one."""
    table = Matrices(inputs=model.embedding_length, outputs=model.published_tokens)
    yield table.replace(part="table")
    if model.output_matrix and not model.tied_embeddings:
        yield table.replace(part="output")


def more_in_16_bits(case: Case, parts: set[str]) -> int:
    """The bytes by which the linear layers of these `parts` are larger in 16 bits than in the
    case's quantization.
    """
    wide = 0
    packed = 0.0
    for layer in linear_layers(case.model):
        if layer.part in parts:
            wide += 2 * layer.weights
            of_one = linear_bytes(case.quantization, layer.inputs, layer.outputs)
            packed += of_one * layer.number
    return int(wide - packed)


def _mlx_size(case: Case) -> Term | Unread:
    """The size of the files that mlx_lm.convert makes, with encoders in 16 bits; the least is for
    files of the text model alone.
    """
    untold = _why_no_mlx_size(case)
    if untold is not None:
        return untold
    if case.has_all_tensors:
        weights = _mlx_weights(case)
    else:
        weights = _mlx_weights_by_bits(case)
    size = weights.size
    if not size.likely:
        return unread("the number of parameters is not known", _STATE_SIZE)
    encoder_bytes = 2 * case.encoders
    line = weights.arithmetic
    recipe = _mlx_recipe(case)
    if recipe is not None:
        more = _more_by_recipe(case, recipe)
        line += f" {more:+,} bytes by the recipe, {encoder_bytes:,} of encoders"
        likely = size.likely + more + encoder_bytes
        least = int(likely * (1 - _RECIPE_ERROR))
        most = int(likely * (1 + _RECIPE_ERROR))
        ends = Size(least, likely, most)
        return assumed_term("files", ends, recipe.source, line)
    if encoder_bytes:
        line += f" + {encoder_bytes:,} bytes of encoders"
    source = (
        "mlx.core.quantize and mlx_lm.convert: a scale and bias per group (in some a scale of"
        " 8 bits); routers may keep more"
    )
    ends = Size(
        int(size.least * 0.995),
        size.likely + encoder_bytes,
        int((size.most + encoder_bytes) * 1.01),
    )
    return computed_term("files", ends, source, line)


def _mlx_recipe(case: Case) -> CheckpointRecipe | None:
    """The recipe of the publisher of files for MLX; None for files as mlx_lm.convert makes them."""
    if not case.has_all_tensors:
        return None
    recipes = _recipes(case)
    return None if recipes is None else recipes.likely


def _mlx_weights_by_bits(case: Case) -> Term:
    """The weights in files for MLX from the number of parameters: weights × bits / 8; no bytes
    where the number is not known.
    """
    weights = max(0, (case.spec.parameters.total or 0) - case.encoders)
    bits = _bits(case.quantization)
    size = int(weights * bits / 8)
    line = f"{weights:,} weights × {bits:g} bits / 8"
    return computed_term("files", size, _TENSORS, line)


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


def _mlx_weights(case: Case) -> Term:
    """The weights in files for MLX, every tensor in its type.

    The least is for files made with --dtype float16. The most is for files made by mlx-lm of
    September 2026 or later, which keeps projections in 8 bits.
    """
    name = case.quantization
    model = case.model
    tensors = _sum_of(typed_tensors(model, name))
    scheme = mlx_scheme(name)
    if scheme is None or case.spec.quantized is not None:
        return tensors
    narrow = model
    if model.dtype == "float32":
        narrow = model.replace(dtype="bfloat16")
    in_8_bits = case.row.mlx_in_8_bits if scheme.bits < 8 else ()
    least = _sum_of(typed_tensors(narrow, name)).bytes
    most = _sum_of(typed_tensors(model, name, in_8_bits)).bytes
    return tensors.replace(low_bytes=least, high_bytes=most)


# ------------------------------------------------------------------ what is loaded


def loaded_of(case: Case, files: Term) -> Term:
    """The files without the tensors that are not loaded: multi-token-prediction blocks, and those
    that config.json does not describe. MLX's files have neither. Where the tensors are not known,
    all of the files count.
    """
    if not case.has_all_tensors:
        return files
    if _has_unloaded_tensors(case, files):
        return _loaded_tensors(case)
    block_bytes = _block_by_recipe(case, files)
    if not block_bytes:
        return files
    line = taken_off(
        files.arithmetic, block_bytes, "of the block for several tokens, not loaded"
    )
    return files.resized(files.bytes - block_bytes, line)


def _block_by_recipe(case: Case, files: Term) -> int:
    """The bytes of multi-token-prediction blocks that a quantizer left in the files; 0 for other
    files.
    """
    parameters = case.spec.parameters.mtp
    if case.format != "safetensors" or case.is_as_published or not parameters:
        return 0
    if files.how is How.STATED:
        return 0
    recipes = _recipes(case)
    if recipes is None or not recipes.likely.mtp:
        return 0
    return 2 * parameters


def _has_unloaded_tensors(case: Case, files: Term) -> bool:
    """Whether published files hold tensors that are not loaded."""
    if case.format == "mlx" or not case.is_as_published:
        return False
    if case.spec.quantized is not None:
        return False
    parameters = case.spec.parameters
    if parameters.mtp:
        return True
    if files.how is How.STATED:
        return False
    return bool(parameters.extra_in_files)


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


def active_parameters(case: Case) -> int:
    """The number of parameters that one token reads: the active parameters, without encoders, and
    without tables, of which a token reads one row. Weights that several layers share are counted
    once for each of these layers.
    """
    parameters = case.spec.parameters
    architecture = case.model
    active = parameters.active
    if active is None:
        active = (parameters.total or 0) - _parameters_of_ngrams(architecture)
    active -= case.encoders + _parameters_of_tables(case)
    if architecture.stored_layers:
        # layers that reuse the weights of earlier layers read them once more
        table = architecture.published_tokens * architecture.embedding_length
        again = architecture.layers - architecture.stored_layers
        active += max(0, active - table) * again // architecture.stored_layers
    return active


def _parameters_of_tables(case: Case) -> int:
    """The number of parameters of the tables of which a token reads one row."""
    architecture = case.model
    tokens = architecture.published_tokens
    count = 0
    if architecture.output_matrix and not architecture.tied_embeddings:
        count += tokens * architecture.embedding_length
    if architecture.per_layer_embedding_length:
        # Gemma 3n and 4 also read one row of a second table
        rows = case.row.per_layer_vocabulary or tokens
        count += architecture.per_layer_embedding_length * architecture.layers * rows
    return count


def _parameters_of_ngrams(architecture: Architecture) -> int:
    """The number of parameters of the tables of n-grams, of which a token reads a few rows. The
    active parameters of a spec are without them.
    """
    return sum(ngrams.parameters for ngrams in architecture.ngrams)


def read_bytes(case: Case, loaded_bytes: int) -> int:
    """The bytes that one token reads of `loaded_bytes` of weights.

    A token reads no encoders and no tables. Of the other bytes it reads as large a share as
    `active_parameters` has in the other parameters.
    """
    in_tables = _parameters_of_tables(case) + _parameters_of_ngrams(case.model)
    rest = (case.spec.parameters.total or 0) - case.encoders - in_tables
    if rest <= 0:
        return 0
    rest_bytes = max(0, loaded_bytes - _unread_bytes(case))
    return rest_bytes * active_parameters(case) // rest


def _unread_bytes(case: Case) -> int:
    """The bytes of encoders, and of tables of which a token reads a few rows."""
    in_tables = _parameters_of_tables(case) + _parameters_of_ngrams(case.model)
    # most quantizers leave encoders and tables in the type of the published weights
    plain_bits = _bits(case.model.dtype)
    table_bits = plain_bits
    if case.format == "mlx":
        # mlx_lm.convert quantizes tables, and no encoder
        plain_bits = 16.0
        table_bits = _bits(case.quantization)
    return int((plain_bits * case.encoders + table_bits * in_tables) / 8)


def read_of_mixture(case: Case, loaded_bytes: int) -> dict[str, int]:
    """The bytes that one token reads of `loaded_bytes` of a mixture whose files are packed, by
    type. {} for other models, and where the types of its parts are not known.

    A token reads all parts, and of the experts those that it uses. Quantizers leave parts beside
    the experts wider, so that its share of the bytes is larger than that of the parameters.
    """
    model = case.model
    types = _types_of_mixture(case)
    if not types:
        return {}
    total = 0.0
    read = dict[str, float]()
    for layer in (*linear_layers(model), *_tables(model)):
        if layer.part == "table" and not model.tied_embeddings:
            # a token reads one row of it
            continue
        type = types[layer.part]
        size = layer.number * linear_bytes(type, layer.inputs, layer.outputs)
        total += size
        if layer.part == "expert":
            size *= _share_of_experts_read(model)
        read[type] = read.get(type, 0.0) + size
    rest_bytes = max(0, loaded_bytes - _unread_bytes(case))
    if case.format != "mlx" and _packing_of(case.quantization).bits >= _UNPACKED_BITS:
        # weights in 8 bits are computed with as they are, like those beside them
        read = {case.quantization: sum(read.values())}
    return {type: int(rest_bytes * size / total) for type, size in read.items()}


def _types_of_mixture(case: Case) -> dict[str, str]:
    """The types of the parts of a mixture in packed files. {} for other files and models, for
    layers that reuse weights, and for tables of n-grams.
    """
    model = case.model
    if not model.has_experts or not case.has_all_tensors:
        return {}
    if model.stored_layers or model.ngrams:
        return {}
    if case.format == "mlx":
        if mlx_scheme(case.quantization) is None:
            return {}
        return _types_by_recipe(case, _mlx_recipe(case))
    if scheme_of(case.quantization) is None:
        return {}
    recipes = _recipes(case)
    return _types_by_recipe(case, None if recipes is None else recipes.likely)


def _share_of_experts_read(model: Architecture) -> float:
    """The share of a mixture's routed experts that one token uses."""
    chosen = 0
    experts = 0
    for group in model.feed_forward:
        if group.experts:
            chosen += group.chosen * len(group.layers)
            experts += group.experts * len(group.layers)
    return chosen / experts
