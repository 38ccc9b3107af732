"""The type of each tensor in a GGUF file, and the resulting bytes.

What goes in: an architecture and the name of a quantization. What comes out: the tensors of the
file. The quantizer `llama-quantize` mixes types: a Q4_K_M file holds Q4_K, Q6_K and F32 tensors,
chosen by the tensor's role, its layer and its row length. The rules below were read from
`src/llama-quant.cpp` (llama.cpp, 2026) and restated; specs/common/gguf_types.toml has the types.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from math import prod
from typing import NamedTuple

from ..catalogue.architecture import Architecture, TensorGroup
from ..catalogue.spec import FileTensors, PublishedFiles
from ..catalogue.spec_values import gguf_name
from ..core.records import Stated, read_by
from ..core.tables import row_names, shipped_record
from ..core.units import says_any
from .tensors import ArchitectureRow, gguf_tensors, row_of


class Block(NamedTuple):
    """The block in which a type stores numbers: so many elements in so many bytes."""

    elements: int
    bytes: int

    @property
    def bytes_of_number(self) -> float:
        """Bytes of one number, a fraction of one where several share a byte."""
        return self.bytes / self.elements


# facts about the number of a tensor within its kind; all other facts are about the model
_FACTS_OF_PLACES = ("first two", "first four", "sixteenth", "early", "more")
_FACTS_OF_MODELS = (
    "matrix", "no matrix", "falcon", "no falcon", "shared", "four experts", "eight experts",
)  # fmt: skip
# a type of tensors that must be stated, and one that may be; a quantization of llama-quantize
_TYPES_OF_TENSORS = row_names("gguf_types", "blocks")
_TYPE = read_by(choices=_TYPES_OF_TENSORS)
_TYPE_OR_NONE = read_by(choices=_TYPES_OF_TENSORS, default=None)
_RECIPE = read_by(choices=row_names("gguf_types", "quantization"))


class Rule(Stated):
    """The type of tensors for which all these facts hold; a rule without facts holds for any
    tensor.
    """

    facts: frozenset[str] = read_by(
        choices=(*_FACTS_OF_PLACES, *_FACTS_OF_MODELS), default=frozenset()
    )
    type: str = _TYPE


# rules in order: the first that fits applies
Rules = tuple[Rule, ...]


class TypeRules(Stated):
    """A quantization of llama-quantize: a table of `[quantization]`.

    - `base`: the type of most tensors.
    - `bits`: the bits per weight of Llama 3.1 8B.
    - `last`: the type of the output matrix.
    - `table`, `queries`: the types of token tables, and of queries and keys; None: `base`.
    - `earlier`: the type of fused matrices before FUSED_AS_VALUES.
    - `trained`: the type of published weights that lose nothing in it, while those of any other
      type are destroyed; "" for a quantization of any model.
    - `is_kept`: llama-quantize does not make it; a file keeps it of weights published as `trained`.
    - `values`, `downs`, `output`: the rules for matrices of values, for the second matrix of
      feed-forwards, and for the output of attention. The first rule that fits counts.
    """

    base: str = _TYPE
    bits: float
    last: str = read_by(choices=_TYPES_OF_TENSORS, default="Q6_K")
    table: str | None = _TYPE_OR_NONE
    queries: str | None = _TYPE_OR_NONE
    earlier: str | None = _TYPE_OR_NONE
    trained: str = ""
    is_kept: bool = False
    values: tuple[Rule, ...] = ()
    downs: tuple[Rule, ...] = ()
    output: tuple[Rule, ...] = ()


class LayoutBuffer(Stated):
    """A second memory layout that llama.cpp gives to matrices: a table `[[layout.…]]`.

    - `rows`: for each type, the number that must divide the rows of a matrix.
    - `more_bytes`: for each type, the bytes that a block takes more than in the file.
    - `stacks`: the layout also takes stacked matrices, as experts have.
    - `source`: the file of llama.cpp.
    """

    rows: Mapping[str, int]
    more_bytes: Mapping[str, int] = {}
    stacks: bool = True
    source: str = "ggml-cpu/repack.cpp"

    def takes(self, tensor: FileTensors) -> bool:
        """Whether llama.cpp lays out a matrix of that type and shape in this layout."""
        rows = self.rows.get(tensor.type)
        if not rows or tensor.shape[1] % rows != 0:
            return False
        if self.stacks:
            return True
        return len(tensor.shape) == 2

    def bytes_beyond(self, tensor: FileTensors) -> int:
        """The bytes that the matrix takes in this layout beyond its size in the file."""
        type = tensor.type
        blocks = tensor.bytes // BLOCKS[type].bytes
        return blocks * self.more_bytes.get(type, 0)


class RecipeShare(NamedTuple):
    """The size of a file as a share of the recipe's file: at the least, likely, and at the most."""

    least: float
    likely: float
    most: float


class Mix(Stated):
    """A publisher's own mix of types: a table of `[mixes]`, or of the mixes of an account.

    - `recipe`: the nearest recipe of llama-quantize.
    - `tables`: the type of the token table and the output matrix; None: that of the recipe.
    - `shares`: the size of the files as shares of such a file, least, likely and most, by the kind
      of the model; {} where nothing else differs from the recipe. `later`: of models since
      `later_mixes_since`, where they differ.
    """

    recipe: str = _RECIPE
    tables: str | None = _TYPE_OR_NONE
    shares: Mapping[str, tuple[float, ...]] = {}
    later: Mapping[str, tuple[float, ...]] = {}

    @property
    def differs(self) -> bool:
        """Whether anything of the files differs from the recipe's."""
        return self.tables is not None or bool(self.shares)

    def share_of(self, model: Architecture, released: str) -> RecipeShare | None:
        """The share of the files of a model released then; None where none is stated."""
        kind = "experts" if model.has_experts else "dense"
        if model.per_layer_embedding_length and "per_layer" in self.shares:
            kind = "per_layer"
        of_row = self.shares.get(f"{model.row}-{kind}")
        later = None
        if released >= _TYPES.later_mixes_since:
            later = self.later.get(kind)
        shares = of_row or later or self.shares.get(kind)
        return RecipeShare(*shares) if shares else None


class AccountMixes(Stated):
    """The files that an account makes under the names of recipes and mixes, of models released
    since a date (ISO): a table of `[account]`.

    - `publisher`: the account in lower case.
    - `word`: what the name of the repository must have, or that of a file whose account is not
      known; a regular expression.
    """

    publisher: str
    word: str = ""
    since: str
    mixes: Mapping[str, Mix]

    def makes(self, files: PublishedFiles, released: str) -> bool:
        """Whether the files of a model released on that date are of these."""
        if released < self.since:
            return False
        name = files.repository
        if self.word and name is None:
            name = " ".join(files.names.values())
        elif files.owner != self.publisher:
            return False
        return re.search(self.word, (name or "").lower()) is not None


class _GgufTypes(Stated):
    """specs/common/gguf_types.toml, which explains each key."""

    schema: int
    kept: tuple[str, ...]
    kept_in_16_bits: tuple[str, ...]
    two_bits: frozenset[str]
    blocks: Mapping[str, tuple[int, ...]]
    fallback: Mapping[str, str] = _TYPE
    quantization: Mapping[str, TypeRules]
    layout: Mapping[str, tuple[LayoutBuffer, ...]]
    later_mixes_since: str
    mixes: Mapping[str, Mix]
    account: Mapping[str, AccountMixes]


_TYPES = shipped_record(_GgufTypes, "gguf_types")
BLOCKS = {name: Block(*sizes) for name, sizes in _TYPES.blocks.items()}
# FP8: 8 bits and one scale for the whole tensor (vLLM, SGLang: kv_cache_dtype)
CACHE_BLOCKS = {**BLOCKS, "FP8": Block(1, 1)}
# the repacked layouts of each instruction set in llama.cpp; the first that accepts a matrix gets it
LAYOUTS = _TYPES.layout
MIXES = _TYPES.mixes
# the mixes of accounts under the names of recipes
ACCOUNTS = tuple(_TYPES.account.values())
# the type of most tensors, by the quantization of the file; best quality first
BASE_TYPES = {name: rules.base for name, rules in _TYPES.quantization.items()}
BITS_PER_WEIGHT = {name: rules.bits for name, rules in _TYPES.quantization.items()}
GGUF_QUANTIZATIONS = tuple(BASE_TYPES)
# quantizations for models that were trained in one or two bits, which destroy any other model, with
# the type in which such weights are published
TRAINED_QUANTIZATIONS = {
    name: rules.trained for name, rules in _TYPES.quantization.items() if rules.trained
}
# those of them that llama-quantize does not make
KEPT_QUANTIZATIONS = {
    name: rules.trained for name, rules in _TYPES.quantization.items() if rules.is_kept
}
# types that llama-quantize gives only to stacked matrices such as experts, with the type of all
# other tensors
_TYPE_BESIDE_STACKS = {"MXFP4": "Q8_0"}
# the date since which fused queries, keys and values get the type of values (llama.cpp pull 19770,
# commit 1dab5f5a44, corrected by pull 20357 of that day)
FUSED_AS_VALUES = "2026-03-10"
# fused matrices that hold values, and matrices of values alone
FUSED = ("attn_qkv.weight", "attn_kv_b.weight")
_VALUES_ALONE = ("attn_v.weight",)
_VALUES = (*_VALUES_ALONE, *FUSED)
_DOWNS = ("ffn_down.weight", "ffn_down_exps.weight", "ffn_down_shexp.weight")
_GATES_AND_UPS = ("blk.*.ffn_gate", "blk.*.ffn_up")
# tables that llama-quantize does not quantize
_KEPT_TABLES = ("position_embd.weight", "token_types.weight")
_TOKEN_TABLES = ("token_embd.weight", "per_layer_token_embd.weight")
# tables of the input layer, which are read by rows: LLM_TENSOR_LAYER_INPUT and GGML_OP_GET_ROWS in
# src/llama-arch.cpp of llama.cpp
TABLES = (*_TOKEN_TABLES, *_KEPT_TABLES, "blk.*.engram_embd.weight")
# types that are not quantized
_UNQUANTIZED = ("F32", "F16", "BF16")
# bytes of a number in MXFP4
_MXFP4_BYTES = BLOCKS["MXFP4"].bytes_of_number
# one tensor of the file: its layer, and the name of its group
_Tensor = tuple[int, str]


def canonical_gguf(text: str) -> str | None:
    """`q4_k_m` -> `Q4_K_M`; None for a name that llama-quantize does not know."""
    name = gguf_name(text)
    return name if name in BASE_TYPES else None


def bytes_of(type: str, number: int) -> int:
    """The bytes of `number` elements of a tensor, or of one row of a cache."""
    block = CACHE_BLOCKS[type.upper()]
    return number // block.elements * block.bytes


@lru_cache(maxsize=1024)
def recipe_tensors(
    architecture: Architecture,
    quantization: str,
    *,
    importance_matrix: bool,
    earlier: bool = False,
) -> tuple[FileTensors, ...]:
    """The tensors of a GGUF file of a quantization, with the types that llama-quantize gives them.

    `importance_matrix`: the types chosen with an importance matrix, which differ a little.
    `earlier`: the types chosen before March 2026.
    """
    matrix = "matrix" if importance_matrix else "no matrix"
    recipe = _Recipe(architecture, quantization, matrix, earlier=earlier)
    tensors = list[FileTensors]()
    for group in recipe.groups:
        tensors.extend(recipe.tensors_of(group))
    return tuple(tensors)


class _Recipe:
    """The rules of a quantization, applied to one model. Some rules depend on the number of a
    tensor among all tensors of its kind.

    `matrix`: the fact whether an importance matrix is used. `earlier`: the types are those that
    llama-quantize gave before FUSED_AS_VALUES.
    """

    def __init__(
        self,
        architecture: Architecture,
        quantization: str,
        matrix: str,
        *,
        earlier: bool,
    ) -> None:
        self.name = quantization
        self.layers = architecture.layers
        self.blocks = self.layers + (architecture.mtp_layers or 0)
        self.groups = gguf_tensors(architecture)
        self.tied = all(group.name != "output.weight" for group in self.groups)
        self.experts_in_mxfp4 = str(architecture.expert_dtype).startswith("mxfp4")
        experts = [feed.experts or 0 for feed in architecture.feed_forward]
        self.experts = max(experts, default=0)
        row = row_of(architecture)
        heads_to_a_key = _heads_to_a_key(architecture, row)
        self.is_70b = self.layers == row.layers_of_70b
        if row.shared_keys_of_70b and heads_to_a_key == 1:
            self.is_70b = False
        falcon = "falcon" if row.falcon_types else "no falcon"
        facts = {matrix, falcon}
        if heads_to_a_key >= 4:
            facts.add("shared")
        if self.experts >= 4:
            facts.add("four experts")
        if self.experts == 8:
            facts.add("eight experts")
        self.facts = frozenset(facts)
        self.rules = _TYPES.quantization[quantization]
        self.down_rules = _rules_where(self.facts, self.rules.downs)
        self.value_rules = _rules_where(self.facts, self.rules.values)
        self.base = self.rules.base
        self.type_of_queries = self.rules.queries or self.base
        self.has_two_bits = quantization in _TYPES.two_bits
        self.value_places = _counted_order(architecture, _VALUES)
        self.values = len(self.value_places)
        # None: each fused matrix has the type of a matrix of values
        self.type_of_fused: str | None = None
        if earlier:
            # fused matrices counted among the matrices of values, but had no place in their order
            self.type_of_fused = self.rules.earlier or self.base
            self.value_places = _counted_order(architecture, _VALUES_ALONE)
        self.down_places = _counted_order(architecture, _DOWNS)

    def tensors_of(self, group: TensorGroup) -> Iterator[FileTensors]:
        """Yield the group's tensors in the file, one record for each type."""
        # tensors of a multi-token-prediction block: stored in the file, by default not loaded
        is_extra = max(group.layers, default=-1) >= self.layers
        numbers = prod(group.shape)
        for type, count in self.count_by_type(group).items():
            yield FileTensors(
                name=group.name,
                shape=group.shape,
                type=type,
                count=count,
                bytes=bytes_of(type, numbers) * count,
                extra=is_extra,
            )

    def count_by_type(self, group: TensorGroup) -> Mapping[str, int]:
        """The number of the group's tensors with each type. A group has one tensor in each of its
        layers, or one outside of layers.
        """
        number = len(group.layers) or 1
        kept = self.kept_type(group)
        if kept is not None:
            return {kept: number}
        row_length = group.shape[0]
        types = self.types_by_layer(group)
        if not types:
            plain = self.plain_type(group)
            return {_type_that_fits(plain, row_length): number}
        fitting = Counter[str]()
        for type, count in Counter(types).items():
            fitting[_type_that_fits(type, row_length)] += count
        return fitting

    def kept_type(self, group: TensorGroup) -> str | None:
        """The type of tensors that no quantization changes; None where the quantization chooses.
        Experts that were published in MXFP4 stay so where no narrower type replaces them:
        llama-quantize refuses to quantize them again ("requantizing from type mxfp4 is disabled").
        """
        name = group.name
        if "ffn_gate_tid2eid" in name:
            return "I32"
        # llama-quant.cpp keeps the type of vectors, norms, routers, position tables and small
        # convolutions
        sides = [size for size in group.shape if size != 1]
        is_matrix = name.endswith("weight") and len(sides) > 1
        if not is_matrix or _is_kept(name):
            return self.type_of_kept(name)
        if self.experts_in_mxfp4 and "_exps." in name:
            type = _type_that_fits(self.base, group.shape[0])
            if BLOCKS[type].bytes_of_number > _MXFP4_BYTES:
                return "MXFP4"
        return self.base if self.base in _UNQUANTIZED else None

    def type_of_kept(self, name: str) -> str:
        """The type of a tensor that is never quantized: 32 bits, or 16 where that is enough."""
        if self.base == "F32":
            return "F32"
        return "F16" if _may_be_narrow(name) else "F32"

    def types_by_layer(self, group: TensorGroup) -> list[str]:
        """The type in each of the group's layers; [] where all have `plain_type`."""
        name = group.name
        layers = group.layers
        if self.name == "MXFP4":
            return []
        if name.endswith(FUSED) and self.type_of_fused is not None:
            return [self.type_of_fused] * len(layers)
        if name.endswith(_VALUES):
            return [self.type_of_values(layer, name) for layer in layers]
        if name.endswith(_DOWNS) and self.down_rules:
            return [self.type_of_down(layer, name) for layer in layers]
        if name.startswith(_GATES_AND_UPS) and self.name == "IQ3_XS":
            return [self.type_of_gate(layer) for layer in layers]
        return []

    def type_of_gate(self, layer: int) -> str:
        """The type of a layer's gate in IQ3_XS, which is smaller in the middle of the model."""
        if self.blocks // 8 <= layer < 7 * self.blocks // 8:
            return "IQ3_XXS"
        return self.base

    def type_of_values(self, layer: int, name: str) -> str:
        """The type of a layer's matrix of values, by its number among all of them."""
        place = self.value_places[layer, name]
        type = self.by_rules(self.value_rules, place, self.values)
        if self.has_two_bits:
            return type
        if self.experts == 8:
            return "Q8_0"
        if self.is_70b and type in ("Q3_K", "Q4_K"):
            return "Q5_K"
        return type

    def type_of_down(self, layer: int, name: str) -> str:
        """The type of the second matrix of a layer's feed-forward.

        In a model with experts llama-quantize goes by the number of the layer, except in types of
        about two bits, where it goes by the number of the tensor.
        """
        place = layer
        if self.experts <= 1 or self.has_two_bits:
            place = self.down_places[layer, name]
        return self.by_rules(self.down_rules, place, self.blocks)

    def plain_type(self, group: TensorGroup) -> str:
        """The type of tensors whose layer does not matter."""
        name = group.name
        is_table = name in _TOKEN_TABLES
        if name == "output.weight" or (self.tied and is_table):
            return self.type_of_output(group.shape[0])
        beside_stacks = _TYPE_BESIDE_STACKS.get(self.name)
        if beside_stacks is not None:
            # a stacked tensor holds several matrices: those of experts, or those of all heads in
            # latent attention (`ne[2] > 1`, by which llama-quantize recognizes experts)
            is_stacked = prod(group.shape[2:]) > 1
            return self.base if is_stacked else beside_stacks
        if is_table:
            return self.rules.table or self.base
        if "attn_k.weight" in name:
            return self.type_of_keys()
        if "attn_q.weight" in name:
            return self.type_of_queries
        if "attn_output.weight" in name:
            return self.by_rules(_rules_where(self.facts, self.rules.output))
        return self.base

    def type_of_keys(self) -> str:
        """The type of matrices of keys: that of queries, but for eight experts."""
        if self.experts == 8:
            return "Q4_K" if self.has_two_bits else "Q8_0"
        return self.type_of_queries

    def type_of_output(self, row_length: int) -> str:
        """The type of the output matrix; blocks of the usual type may not divide its rows."""
        if "falcon" in self.facts or row_length % BLOCKS[self.base].elements:
            return "Q8_0"
        return self.rules.last

    def by_rules(
        self,
        rules: Rules,
        place: int = 0,
        total: int = 1,
    ) -> str:
        """The type of the tensor with number `place`, by the first rule that fits; else the base
        type. `total` is what llama-quantize divides the places by: the number of matrices of
        values, or for other matrices that of blocks.
        """
        facts = _facts_of_place(place, total, self.blocks)
        for rule in rules:
            if rule.facts <= facts:
                return rule.type
        return self.base


@lru_cache(maxsize=1024)
def _rules_where(facts: frozenset[str], rules: Rules) -> Rules:
    """The rules that may apply to tensors of a model with these facts, each reduced to its facts
    about a tensor's place.
    """
    concerning = []
    for rule in rules:
        of_places = rule.facts - facts
        if of_places.issubset(_FACTS_OF_PLACES):
            concerning.append(rule.replace(facts=of_places))
    return tuple(concerning)


@lru_cache(maxsize=1024)
def _is_kept(name: str) -> bool:
    """Whether no quantization changes the tensors of that name, be they matrices or not."""
    if name in _KEPT_TABLES:
        return True
    return says_any(name, _TYPES.kept)


@lru_cache(maxsize=1024)
def _may_be_narrow(name: str) -> bool:
    """Whether 16 bits are enough for the tensors of that name."""
    return says_any(name, _TYPES.kept_in_16_bits)


# cached: hundreds of models have equal layers
@lru_cache(maxsize=4096)
def _facts_of_place(
    place: int,
    total: int,
    blocks: int,
) -> frozenset[str]:
    """The facts about a tensor that follow from its number `place` among `total` tensors, in a
    model of `blocks` blocks. "more" is `use_more_bits` of llama-quant.cpp.
    """
    facts = set()
    if place < 2:
        facts.add("first two")
    if place < 4:
        facts.add("first four")
    if place < blocks // 16:
        facts.add("sixteenth")
    if place < blocks // 8:
        facts.add("early")
    eighth = total // 8
    is_in_the_middle = eighth <= place < 7 * total // 8
    if not is_in_the_middle or (place - eighth) % 3 == 2:
        facts.add("more")
    return frozenset(facts)


def _heads_to_a_key(architecture: Architecture, row: ArchitectureRow) -> int:
    """The number of heads that share a key in the first layer; 0 where that layer has no attention
    and keys are stated by layer.
    """
    for group in architecture.attention:
        if 0 in group.layers or row.keys_stated_once:
            if group.kind == "latent":
                return group.heads
            return group.heads // max(1, group.kv_heads)
    return 0


# cached: the proposals for one question are some hundred models in several quantizations
@lru_cache(maxsize=256)
def _counted_order(
    architecture: Architecture, endings: tuple[str, ...]
) -> Mapping[_Tensor, int]:
    """The number of each layer's tensor with one of these endings, by layer and name, in the order
    in which llama-quantize counts: layer by layer, and in two stacks by name alone.
    """
    tensors = list[_Tensor]()
    for group in gguf_tensors(architecture):
        name = group.name
        if name.endswith(endings):
            tensors.extend((layer, name) for layer in group.layers)
    tensors.sort(key=_counting_key)
    return {tensor: number for number, tensor in enumerate(tensors)}


def _counting_key(tensor: _Tensor) -> tuple[int, str]:
    """The key by which llama-quantize orders the tensors: of one stack of layers the layer, then
    the name; of two stacks, whose names do not begin with `blk.`, the full name, so that layer 10
    comes before layer 2.
    """
    layer, name = tensor
    if name.startswith("blk."):
        return layer, name
    full_name = name.replace("*", str(layer))
    return 0, full_name


def _type_that_fits(type: str, row_length: int) -> str:
    """The type, or its fallback type, whose blocks divide a row of that length; F16 where neither
    do.
    """
    for name in (type, _TYPES.fallback.get(type, type)):
        if row_length % BLOCKS[name].elements == 0:
            return name
    return "F16"
