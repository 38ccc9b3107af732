"""Which type each tensor of a GGUF file gets, and the bytes that follow.

`llama-quantize` mixes types: a Q4_K_M file holds Q4_K, Q6_K and F32 tensors, chosen by the tensor's
role, its layer and its row length. The rules below were read from `src/llama-quant.cpp` (llama.cpp,
2026) and restated; `specs/common/gguf_types.toml` has the types.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from math import prod

from ..catalogue.architecture import Architecture, TensorGroup
from ..catalogue.spec import FileTensors
from ..catalogue.spec_values import gguf_name
from ..core.tables import TomlRow, shipped_table
from .tensors import gguf_tensors, row_of

_TYPES = shipped_table("gguf_types")
# elements and bytes of one block
BLOCKS: Mapping[str, tuple[int, int]] = {
    name: (elements, size) for name, (elements, size) in _TYPES["blocks"].items()
}
# 8 bits with a scale for all of a tensor (vLLM, SGLang: kv_cache_dtype)
CACHE_BLOCKS = {**BLOCKS, "FP8": (1, 1)}
_QUANTIZATIONS: Mapping[str, TomlRow] = _TYPES["quantization"]
# the file's quantization and the type of most of its tensors; best quality first
BASE_TYPES = {name: str(values["base"]) for name, values in _QUANTIZATIONS.items()}
BITS_PER_WEIGHT = {
    name: float(values["bits"]) for name, values in _QUANTIZATIONS.items()
}
GGUF_QUANTIZATIONS = tuple(BASE_TYPES)
# for models trained with ternary weights alone; any other they destroy
TERNARY_QUANTIZATIONS = ("TQ2_0", "TQ1_0")
# types that llama-quantize gives to experts alone, with that of all else
_TYPE_BESIDE_EXPERTS = {"MXFP4": "Q8_0"}
# since March 2026 fused queries, keys and values get the type of values (llama.cpp pull 19770,
# commit 1dab5f5a44, mended by pull 20357 of that day)
FUSED_AS_VALUES = "2026-03-10"
# matrices of values, alone and fused with others
FUSED = "attn_qkv.weight", "attn_kv_b.weight"
_VALUES = ("attn_v.weight", *FUSED)
_DOWNS = "ffn_down.weight", "ffn_down_exps.weight", "ffn_down_shexp.weight"
# tables that llama-quantize leaves as they are
_KEPT_TABLES = ("position_embd.weight", "token_types.weight")
# tables of the input layer, which are read by rows: LLM_TENSOR_LAYER_INPUT and GGML_OP_GET_ROWS in
# src/llama-arch.cpp of llama.cpp
TABLES = ("token_embd.weight", "per_layer_token_embd.weight", *_KEPT_TABLES)


def canonical_gguf(text: str) -> str | None:
    """`q4_k_m` -> `Q4_K_M`; None for a name that llama-quantize does not know."""
    name = gguf_name(text)
    return name if name in BASE_TYPES else None


def bytes_of(type: str, number: int) -> int:
    """Bytes of so many elements of a tensor, or of one row of a cache."""
    elements, size = CACHE_BLOCKS[type.upper()]
    return number // elements * size


@lru_cache(maxsize=1024)
def recipe_tensors(
    architecture: Architecture,
    quantization: str,
    *,
    importance_matrix: bool,
    earlier: bool = False,
) -> tuple[FileTensors, ...]:
    """The tensors of a GGUF file of that quantization, as llama-quantize types them. With an
    importance matrix it chooses a little differently. `earlier`: as before March 2026.
    """
    recipe = _Recipe(
        architecture, quantization, importance_matrix=importance_matrix, earlier=earlier
    )
    tensors = []
    for group in gguf_tensors(architecture):
        name, shape = group.name, group.shape
        # of a multi-token-prediction block: in the file, by default not in memory
        extra = max(group.layers, default=-1) >= architecture.layers
        kept, number = recipe.kept_type(group), len(group.layers) or 1
        types = [kept] * number if kept else recipe.types_by_layer(group)
        types = types or [recipe.plain_type(group)] * number
        # those that no quantization changes fit
        types = types if kept else [_type_that_fits(type, shape[0]) for type in types]
        for type, count in Counter(types).items():
            sizes = {"count": count, "bytes": bytes_of(type, prod(shape)) * count}
            tensors.append(
                FileTensors(name=name, shape=shape, type=type, extra=extra, **sizes)
            )
    return tuple(tensors)


class _Recipe:
    def __init__(
        self,
        architecture: Architecture,
        quantization: str,
        *,
        importance_matrix: bool,
        earlier: bool,
    ) -> None:
        groups, row = gguf_tensors(architecture), row_of(architecture)
        self.name, self.base, self.earlier = (
            quantization,
            BASE_TYPES[quantization],
            earlier,
        )
        self.rules = _QUANTIZATIONS[quantization]
        self.importance_matrix, self.falcon = importance_matrix, row.falcon_types
        self.in_mxfp4 = str(architecture.expert_dtype).startswith("mxfp4")
        self.blocks = architecture.layers + (architecture.mtp_layers or 0)
        self.experts = max(
            (group.experts or 0 for group in architecture.feed_forward), default=0
        )
        self.tied = all(group.name != "output.weight" for group in groups)
        # heads that share a key in the first layer; 0 where it has none and keys are by layer
        heads = [
            g for g in architecture.attention if 0 in g.layers or row.keys_stated_once
        ]
        keys = [
            1 if group.kind == "latent" else max(1, group.kv_heads) for group in heads
        ]
        self.sharing = heads[0].heads // keys[0] if heads else 0
        shares = self.sharing != 1 or not row.shared_keys_of_70b
        self.seventy = architecture.layers == row.layers_of_70b and shares
        # the earlier rule counts fused ones among all, and passes over them in the order
        self.values = len(_counted_order(groups, _VALUES))
        self.value_index = _counted_order(groups, _VALUES[:1] if earlier else _VALUES)
        self.down_index = _counted_order(groups, _DOWNS)

    def kept_type(self, group: TensorGroup) -> str | None:
        """The type of tensors that no quantization changes; None where the quantization chooses.
        Experts that were published in MXFP4 stay so where no narrower type replaces them:
        llama-quantize refuses to quantize them again ("requantizing from type mxfp4 is disabled").
        """
        if "ffn_gate_tid2eid" in group.name:
            return "I32"
        # vectors, norms, routers, position tables and small convolutions (llama-quant.cpp)
        is_matrix = (
            group.name.endswith("weight") and sum(size != 1 for size in group.shape) > 1
        )
        is_kept = group.name in _KEPT_TABLES or any(
            part in group.name for part in _TYPES["kept"]
        )
        if is_kept or not is_matrix:
            is_wide = self.base == "F32" or not any(
                part in group.name for part in _TYPES["kept_in_16_bits"]
            )
            return "F32" if is_wide else "F16"
        elements, size = BLOCKS[_type_that_fits(self.base, group.shape[0])]
        is_wider = size / elements > 17 / 32
        if self.in_mxfp4 and prod(group.shape[2:]) > 1 and is_wider:
            return "MXFP4"
        return self.base if self.base in ("F32", "F16", "BF16") else None

    def types_by_layer(self, group: TensorGroup) -> list[str] | None:
        """The type in each of the group's layers; None where all have `plain_type`."""
        name, layers = group.name, group.layers
        if self.name == "MXFP4":
            return None
        if self.earlier and name.endswith(FUSED):
            return [self.rules.get("earlier", self.base)] * len(layers)
        if name.endswith(_VALUES):
            index, total = self.value_index, self.values
            return [
                self.by_rules("values", index[layer, name], total) for layer in layers
            ]
        if name.endswith(_DOWNS):
            # with experts llama-quantize counts by the number of the layer, but it gives types of
            # about two bits before it looks at that
            is_by_layer = self.experts > 1 and self.name not in _TYPES["two_bits"]
            places = [
                layer if is_by_layer else self.down_index[layer, name]
                for layer in layers
            ]
            return [self.by_rules("downs", place, self.blocks) for place in places]
        if self.name == "IQ3_XS" and name.startswith(
            ("blk.*.ffn_gate", "blk.*.ffn_up")
        ):
            middle = range(self.blocks // 8, 7 * self.blocks // 8)
            return ["IQ3_XXS" if layer in middle else self.base for layer in layers]
        return None

    def plain_type(self, group: TensorGroup) -> str:
        """The type of tensors whose layer does not matter."""
        name, base, quantization = group.name, self.base, self.name
        is_table = name in ("token_embd.weight", "per_layer_token_embd.weight")
        if name == "output.weight" or (self.tied and is_table):
            is_odd = self.falcon or group.shape[0] % BLOCKS[base][0]
            return "Q8_0" if is_odd else str(self.rules.get("last", "Q6_K"))
        if quantization in _TYPE_BESIDE_EXPERTS:
            return (
                base
                if prod(group.shape[2:]) > 1
                else _TYPE_BESIDE_EXPERTS[quantization]
            )
        if is_table:
            return str(self.rules.get("table", base))
        if "attn_k.weight" in name and self.experts == 8:
            return "Q4_K" if quantization in _TYPES["two_bits"] else "Q8_0"
        if "attn_k.weight" in name or "attn_q.weight" in name:
            return str(self.rules.get("queries", base))
        return self.by_rules("output", 0, 1) if "attn_output.weight" in name else base

    def by_rules(self, key: str, index: int, total: int) -> str:
        """The type of the tensor of that number among so many."""
        eighth = total // 8
        edges = index < eighth or index >= 7 * total // 8
        facts = {
            "": True,
            "first two": index < 2,
            "first four": index < 4,
            "sixteenth": index < self.blocks // 16,
            "early": index < self.blocks // 8,
            "more": edges or (index - eighth) % 3 == 2,
            "shared": self.sharing >= 4,
            "four experts": self.experts >= 4,
            "eight experts": self.experts == 8,
            "matrix": self.importance_matrix,
            "no matrix": not self.importance_matrix,
            "falcon": self.falcon,
            "no falcon": not self.falcon,
        }
        rules = (*self.rules.get(key, ()), ("", self.base))
        fitting = (
            str(type) for words, type in rules if all(map(facts.get, words.split(", ")))
        )
        type = next(fitting)
        if key != "values" or self.name in _TYPES["two_bits"]:
            return type
        if self.experts == 8:
            return "Q8_0"
        return "Q5_K" if self.seventy and type in ("Q3_K", "Q4_K") else type


def _counted_order(
    groups: Iterable[TensorGroup], endings: tuple[str, ...]
) -> dict[tuple[int, str], int]:
    """The number of each layer's tensor with such an ending, as llama-quantize counts them; in two
    stacks by name alone.
    """
    placed = []
    for group in groups:
        for layer in group.layers if group.name.endswith(endings) else ():
            tensor = place = layer, group.name
            if not group.name.startswith("blk."):
                place = 0, group.name.replace("*", str(layer))
            placed.append((place, tensor))
    return {tensor: number for number, (_, tensor) in enumerate(sorted(placed))}


def _type_that_fits(type: str, row_length: int) -> str:
    """The type, or the next one whose blocks divide a row of that length."""
    if row_length % BLOCKS[type][0] == 0:
        return type
    type = _TYPES["fallback"].get(type, type)
    return type if row_length % BLOCKS[type][0] == 0 else "F16"


# the buffers of each in which llama.cpp lays out weights anew (gguf_types.toml says how), the first
# of which that takes a matrix has it
LAYOUTS: Mapping[str, Sequence[TomlRow]] = _TYPES["layout"]
