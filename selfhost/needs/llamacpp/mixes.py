"""What a publisher's own mix of types weighs: bartowski's `_L` files, Google's Q4_0 of weights
trained for it, and Unsloth's `UD-` files, made by rules that are not published.

Of the first two, the token table and the output matrix alone are of another type than in the file
of llama-quantize's recipe. Of Unsloth's each weighs about as much as the file of one of
llama-quantize's recipes; models of equal shapes have files of one size, whatever they were tuned
for. How much less or more was fitted to 726 listed sizes of 77 shapes (janhq/model-catalog, all its
versions up to May 2026) and 158 others, each shape left out in turn: within 4 % for nine of ten
shapes of dense models, and of mixtures until 2026 once the number of layers is a term, for about as
many layers keep more bits however many there are. Q6_K_XL and Q8_K_XL keep table and output in the
next wider type, so their share is a term. It stays wider where rows fill no blocks, of mixtures of
2026, and by the third rules, of which few files are listed (tests/needs/llamacpp/test_mixes.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from ...catalogue.spec import Architecture
from ..quantization import Stored, stored, tensor_bytes
from ..records import How, SizedWeights
from ..tensors import ArchitectureRow

SOURCE = (
    "sizes of 848 published UD- files (janhq/model-catalog, 2025-06 to 2026-05; others to 2026-11)"
    " against llama-quantize's recipes; the publisher's rules are not published"
)


class _Ratio:
    """The size of a mix over that of its recipe: `least` to `most`, and on top `layers` over the
    number of layers and `tables` times the share that token table and output matrix have in the
    recipe's bytes.
    """

    __slots__ = ("layers", "least", "most", "tables")

    def __init__(self, least: float, most: float, layers: float = 0.0, tables: float = 0.0) -> None:
        self.least, self.most, self.layers, self.tables = least, most, layers, tables

    def bounds(self, layers: int, tables: float) -> tuple[float, float]:
        more = self.layers / layers + self.tables * tables
        return self.least + more, self.most + more


# how a model is made, as far as the mixes differ by it, and by which rules its files were made.
# Mixtures that were out before Unsloth mixed the types of every tensor (Dynamic 2.0, its
# announcement): some files are of before, some of after
_EVERY = "any"
_FIRST, _SECOND_SINCE = "experts, first rules", "2025-04-24"
# every token's feed-forward beside the experts keeps more bits than they
_BESIDE_DENSE = "experts beside a dense feed-forward"
# mixtures and tables of a layer until the files of Qwen3 Coder Next and Qwen3.5 were mixed anew
_EXPERTS, _PER_LAYER, _LATER_SINCE = "experts of 2025", "per-layer tables of 2025", "2026-02-01"
# of models that were out about when Dynamic 3.0 came (2026-08-19), or later: files of both rules
_THIRD, _THIRD_SINCE = "third rules", "2026-08-01"
_MIXED_DELTA = "delta, experts"
# rows that no type with blocks of 256 holds are of other types in recipe and mix
_ODD_ROWS, _BLOCK = "rows of no blocks", 256
_MIXES: Mapping[str, tuple[str, Mapping[str, _Ratio]]] = {
    "UD-Q8_K_XL": ("Q8_0", {
        _THIRD: _Ratio(1.0, 1.34), _ODD_ROWS: _Ratio(1.03, 1.25, tables=0.645),
        _PER_LAYER: _Ratio(1.33, 1.55), "per-layer tables": _Ratio(1.03, 1.11),
        "convolution": _Ratio(1.0, 1.18), _MIXED_DELTA: _Ratio(1.0, 1.34),
        _EXPERTS: _Ratio(1.02, 1.09, layers=2.6), "experts": _Ratio(1.0, 1.2),
        "delta": _Ratio(1.08, 1.18, layers=6.9), _EVERY: _Ratio(0.995, 1.105, 3.6, 0.39),
    }),
    "UD-Q6_K_XL": ("Q6_K", {
        _THIRD: _Ratio(1.0, 1.19), _ODD_ROWS: _Ratio(0.99, 1.04),
        _PER_LAYER: _Ratio(1.1, 1.18), "per-layer tables": _Ratio(1.17, 1.25),
        "convolution": _Ratio(0.99, 1.07), _MIXED_DELTA: _Ratio(1.08, 1.165),
        _EXPERTS: _Ratio(1.015, 1.095), "experts": _Ratio(1.0, 1.1),
        "delta": _Ratio(1.15, 1.24), _EVERY: _Ratio(1.028, 1.117, tables=0.27),
    }),
    "UD-Q5_K_XL": ("Q5_K_M", {
        _THIRD: _Ratio(0.92, 1.12), _ODD_ROWS: _Ratio(0.98, 1.13),
        "per-layer tables": _Ratio(1.13, 1.21), _MIXED_DELTA: _Ratio(1.03, 1.115),
        _EXPERTS: _Ratio(0.975, 1.045), "experts": _Ratio(0.98, 1.13),
        "delta": _Ratio(1.01, 1.08), _EVERY: _Ratio(0.97, 1.045),
    }),
    "UD-Q4_K_XL": ("Q4_K_M", {
        _THIRD: _Ratio(0.92, 1.1), _ODD_ROWS: _Ratio(0.92, 1.03),
        "per-layer tables": _Ratio(0.915, 0.99), "convolution": _Ratio(0.92, 1.01),
        _FIRST: _Ratio(0.915, 1.02),
        _MIXED_DELTA: _Ratio(1.0, 1.08), _EXPERTS: _Ratio(0.915, 0.99),
        "experts": _Ratio(0.91, 1.04), "delta": _Ratio(1.0, 1.085), _EVERY: _Ratio(0.975, 1.055),
    }),
    "UD-Q3_K_XL": ("Q3_K_M", {
        _THIRD: _Ratio(0.88, 1.1), _ODD_ROWS: _Ratio(0.97, 1.04),
        "per-layer tables": _Ratio(0.89, 0.97), "convolution": _Ratio(0.9, 1.01),
        _FIRST: _Ratio(0.9, 1.02),
        _MIXED_DELTA: _Ratio(0.935, 1.02), _EXPERTS: _Ratio(0.9, 0.975),
        "experts": _Ratio(0.9, 1.02), "delta": _Ratio(1.04, 1.125), _EVERY: _Ratio(0.985, 1.065),
    }),
    "UD-Q2_K_XL": ("Q2_K", {
        _THIRD: _Ratio(0.86, 1.19), _ODD_ROWS: _Ratio(0.97, 1.13),
        "per-layer tables": _Ratio(0.78, 0.87), "convolution": _Ratio(0.98, 1.03),
        _MIXED_DELTA: _Ratio(0.9, 0.97),
        _FIRST: _Ratio(0.92, 1.14), _BESIDE_DENSE: _Ratio(0.95, 1.14),
        _EXPERTS: _Ratio(1.005, 1.09), "experts": _Ratio(0.95, 1.1),
        "delta": _Ratio(1.045, 1.135), "mamba2": _Ratio(0.96, 1.06), _EVERY: _Ratio(0.995, 1.085),
    }),
    "UD-IQ3_XXS": ("IQ3_XXS", {
        _THIRD: _Ratio(0.9, 1.2), _ODD_ROWS: _Ratio(0.77, 1.1),
        "per-layer tables": _Ratio(0.87, 0.94), _PER_LAYER: _Ratio(0.89, 0.96),
        _MIXED_DELTA: _Ratio(0.91, 0.985), _BESIDE_DENSE: _Ratio(0.95, 1.16),
        _EXPERTS: _Ratio(0.995, 1.07, layers=2.7),
        "experts": _Ratio(0.95, 1.14), "delta": _Ratio(1.02, 1.1), _EVERY: _Ratio(0.975, 1.055),
    }),
    "UD-IQ2_M": ("IQ2_M", {
        _THIRD: _Ratio(0.88, 1.2), _ODD_ROWS: _Ratio(0.77, 1.1),
        "per-layer tables": _Ratio(0.86, 0.94), _PER_LAYER: _Ratio(0.85, 0.93),
        _MIXED_DELTA: _Ratio(0.94, 1.018), _EXPERTS: _Ratio(0.97, 1.05, layers=3.4),
        "experts": _Ratio(0.92, 1.15), "delta": _Ratio(1.03, 1.11), _EVERY: _Ratio(0.98, 1.06),
    }),
    "UD-IQ2_XXS": ("IQ2_XXS", {
        _THIRD: _Ratio(0.82, 1.4), _ODD_ROWS: _Ratio(0.77, 1.1), _PER_LAYER: _Ratio(0.85, 0.91),
        _MIXED_DELTA: _Ratio(1.085, 1.165), _FIRST: _Ratio(1.1, 1.33),
        _BESIDE_DENSE: _Ratio(1.02, 1.4), _EXPERTS: _Ratio(1.15, 1.245, layers=3.7),
        "experts": _Ratio(1.02, 1.4),
        "delta": _Ratio(1.055, 1.145), _EVERY: _Ratio(0.98, 1.062),
    }),
    "UD-IQ1_M": ("IQ1_M", {
        _THIRD: _Ratio(0.84, 1.54), _ODD_ROWS: _Ratio(0.85, 0.89), _PER_LAYER: _Ratio(1.38, 1.44),
        _MIXED_DELTA: _Ratio(1.175, 1.27), _FIRST: _Ratio(1.1, 1.45),
        _BESIDE_DENSE: _Ratio(1.06, 1.6), _EXPERTS: _Ratio(1.23, 1.335, layers=5.0),
        "experts": _Ratio(1.06, 1.5),
        "delta": _Ratio(0.99, 1.35), _EVERY: _Ratio(1.0, 1.085),
    }),
    "UD-IQ1_S": ("IQ1_S", {
        _THIRD: _Ratio(0.83, 1.6), _ODD_ROWS: _Ratio(0.85, 0.89), _PER_LAYER: _Ratio(1.4, 1.46),
        _MIXED_DELTA: _Ratio(1.26, 1.37), _FIRST: _Ratio(1.03, 1.52),
        _BESIDE_DENSE: _Ratio(1.03, 1.65), _EXPERTS: _Ratio(1.205, 1.315, layers=8.8),
        "experts": _Ratio(1.03, 1.6),
        "delta": _Ratio(0.99, 1.35), _EVERY: _Ratio(1.012, 1.096),
    }),
    "UD-Q6_K": ("Q6_K", {_EVERY: _Ratio(0.985, 1.055)}),
    "UD-Q5_K_M": ("Q5_K_M", {_MIXED_DELTA: _Ratio(1.025, 1.11), _EVERY: _Ratio(0.98, 1.14)}),
    "UD-Q5_K_S": ("Q5_K_S", {_EVERY: _Ratio(0.97, 1.06)}),
    "UD-Q4_K_M": ("Q4_K_M", {_MIXED_DELTA: _Ratio(0.99, 1.07), _EVERY: _Ratio(0.94, 1.07)}),
    "UD-Q4_K_S": ("Q4_K_S", {_MIXED_DELTA: _Ratio(0.99, 1.075), _EVERY: _Ratio(0.95, 1.085)}),
    "UD-IQ4_NL": ("IQ4_NL", {_MIXED_DELTA: _Ratio(0.855, 0.925), _EVERY: _Ratio(0.85, 1.1)}),
    "UD-IQ4_XS": ("IQ4_XS", {_MIXED_DELTA: _Ratio(0.89, 0.96), _EVERY: _Ratio(0.88, 1.1)}),
    "UD-Q3_K_M": ("Q3_K_M", {_EVERY: _Ratio(0.925, 1.005)}),
    "UD-Q3_K_S": ("Q3_K_S", {_EVERY: _Ratio(0.955, 1.035)}),
    "UD-IQ3_S": ("IQ3_S", {_MIXED_DELTA: _Ratio(0.85, 0.915), _EVERY: _Ratio(0.85, 1.06)}),
    "UD-TQ1_0": ("TQ1_0", {
        _EXPERTS: _Ratio(0.93, 1.03, layers=10.8), _MIXED_DELTA: _Ratio(1.05, 1.14),
        "experts": _Ratio(0.9, 1.05, layers=10.8), _EVERY: _Ratio(1.0, 1.4),
    }),
}  # fmt: skip
# of models whose experts are published in 4 bits: every mix of four bits and more leaves those as
# they are
_OF_FOUR_BIT_EXPERTS = "MXFP4", {"UD-Q8_K_XL": _Ratio(1.05, 1.13), _EVERY: _Ratio(0.972, 1.053)}
_KEEPS_FOUR_BITS = frozenset(
    {"UD-Q8_K_XL", "UD-Q6_K_XL", "UD-Q5_K_XL", "UD-Q4_K_XL"}
    | {"UD-Q6_K", "UD-Q5_K_M", "UD-Q5_K_S", "UD-Q4_K_M", "UD-Q4_K_S"}
)

# the recipe that a mix keeps but for its tables, and their type. `_L`: bartowski's cards, `Q8_0 for
# embed and output weights` (Llama 3.1 70B: Q4_K_L 43.30 GB beside a Q4_K_M of 42.52). QAT: Google's
# files of Gemma 3 keep the table in F16, 8.07 GB for 6.89 (card of
# stduhpf/google-gemma-3-12b-it-qat-q4_0-gguf-small)
_TABLES_APART: Mapping[str, tuple[str, str]] = {
    "Q2_K_L": ("Q2_K", "Q8_0"),
    "Q3_K_XL": ("Q3_K_L", "Q8_0"),
    "Q4_K_L": ("Q4_K_M", "Q8_0"),
    "Q5_K_L": ("Q5_K_M", "Q8_0"),
    "Q6_K_L": ("Q6_K", "Q8_0"),
    "QAT-Q4_0": ("Q4_0", "F16"),
}
_TABLES = ("token_embd.weight", "output.weight")
SOURCE_OF_TABLES = (
    "llama-quantize's rules but for the token table and the output matrix, whose type the"
    " publisher states on the model's card"
)

UD_MIXES = tuple(_MIXES)
MIXES = (*_TABLES_APART, *UD_MIXES)


def canonical_mix(text: str) -> str | None:
    """`ud-q4_k_xl` -> `UD-Q4_K_XL`; None for a name of no mix with a known size."""
    name = text.strip().upper().replace("_", "-").replace(".", "-")
    return next((mix for mix in MIXES if mix.replace("_", "-") == name), None)


def recipe_of(mix: str, architecture: Architecture | None) -> str | None:
    """The quantization of llama-quantize that a mix is nearest to; None for a name of no mix."""
    if mix in _TABLES_APART:
        return _TABLES_APART[mix][0]
    if mix not in _MIXES:
        return None
    keeps = architecture is not None and architecture.expert_dtype == "mxfp4"
    return _OF_FOUR_BIT_EXPERTS[0] if keeps and mix in _KEEPS_FOUR_BITS else _MIXES[mix][0]


def _kinds(architecture: Architecture, released: str | None) -> tuple[str, ...]:
    """How the model is made, as far as a mix depends on it; what tells most first."""
    date = released or _LATER_SINCE
    recurrent = {part.kind for part in architecture.recurrent}
    has_experts = any(part.experts for part in architecture.feed_forward)
    is_later = date >= _LATER_SINCE
    kinds = {
        _THIRD: date >= _THIRD_SINCE,
        _ODD_ROWS: architecture.embedding_length % _BLOCK != 0,
        _PER_LAYER: bool(architecture.per_layer_embedding_length) and not is_later,
        "per-layer tables": bool(architecture.per_layer_embedding_length) and is_later,
        "convolution": "convolution" in recurrent,
        _FIRST: has_experts and date < _SECOND_SINCE,
        _BESIDE_DENSE: any(part.beside_dense for part in architecture.feed_forward),
        _EXPERTS: has_experts and not is_later,
        _MIXED_DELTA: has_experts and "delta" in recurrent,
        "experts": has_experts,
        "delta": "delta" in recurrent,
        "mamba2": "mamba2" in recurrent,
        _EVERY: True,
    }
    return tuple(kind for kind, holds in kinds.items() if holds)


def mixed(
    mix: str,
    architecture: Architecture,
    row: ArchitectureRow,
    recipe: SizedWeights,
    released: str | None,
) -> SizedWeights:
    """The file of a mix: computed where only its tables are apart, else the range that published
    files of such models lie in. `recipe` is the file of `recipe_of` for the same model, which was
    `released` on that date.
    """
    if mix in _TABLES_APART:
        return _with_tables_apart(mix, architecture, row, recipe)
    like, ranges = _MIXES[mix]
    name = recipe_of(mix, architecture)
    if name != like:
        _, by_mix = _OF_FOUR_BIT_EXPERTS
        ratio = by_mix.get(mix, by_mix[_EVERY])
    else:
        ratio = next(ranges[kind] for kind in _kinds(architecture, released) if kind in ranges)
    tables = _tables(architecture, row, like) if ratio.tables else ()
    share = sum(table.bytes for table in tables) / recipe.bytes
    least, most = ratio.bounds(architecture.layers, share)
    low, high = int(recipe.bytes * least), int(recipe.bytes * most)
    return SizedWeights(
        bytes=(low + high) // 2,
        low_bytes=low,
        high_bytes=high,
        how=How.ASSUMED,
        source=SOURCE,
        arithmetic=f"{least:.3g} to {most:.3g} × {name} of {recipe.bytes:,} bytes",
    )


def _tables(architecture: Architecture, row: ArchitectureRow, recipe: str) -> tuple[Stored, ...]:
    """Token table and output matrix, as far as the file of a recipe holds them."""
    tensors = stored(architecture, row, recipe, importance_matrix=False)
    return tuple(tensor for tensor in tensors if tensor.name in _TABLES)


def _with_tables_apart(
    mix: str, architecture: Architecture, row: ArchitectureRow, recipe: SizedWeights
) -> SizedWeights:
    like, type = _TABLES_APART[mix]
    more = sum(
        tensor_bytes(type, table.shape) * table.count - table.bytes
        for table in _tables(architecture, row, like)
    )
    return SizedWeights(
        bytes=recipe.bytes + more,
        low_bytes=recipe.low_bytes + more,
        high_bytes=recipe.high_bytes + more,
        how=How.COMPUTED,
        source=SOURCE_OF_TABLES,
        arithmetic=f"{like} of {recipe.bytes:,} bytes {more:+,} for tables in {type}",
    )
