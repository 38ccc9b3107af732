"""What a publisher's own mix of types weighs: bartowski's `_L` files, Google's Q4_0 of weights
trained for it, and Unsloth's `UD-` files, made by rules that are not published.

Of the first two, the token table and the output matrix alone are of another type than in the file
of llama-quantize's recipe. Of Unsloth's each weighs about as much as the file of one of
llama-quantize's recipes: `[mix]` in specs/common/architectures.toml has the ranges.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...catalogue.architecture import Architecture
from ..parts import sized
from ..quantization import Stored, stored, tensor_bytes
from ..records import How, SizedWeights
from ..tensors import ArchitectureRow

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_SOURCE = (
    "sizes of 848 published UD- files (janhq/model-catalog, 2025-06 to 2026-05; others to 2026-11)"
    " against llama-quantize's recipes; the publisher's rules are not published"
)
# mixtures that were out before Unsloth mixed the types of every tensor (Dynamic 2.0, its
# announcement); mixtures and tables of a layer until the files of Qwen3 Coder Next and Qwen3.5 were
# mixed anew; what was out about when Dynamic 3.0 came (2026-08-19), or later: files of both rules
_SECOND_SINCE, _LATER_SINCE, _THIRD_SINCE = "2025-04-24", "2026-02-01", "2026-08-01"
# rows that no type with blocks of 256 holds are of other types in recipe and mix
_BLOCK = 256

# the recipe that each is nearest to; of all others the one of its name
_EXTRA_LARGE = {
    "UD-Q8_K_XL": "Q8_0", "UD-Q6_K_XL": "Q6_K", "UD-Q5_K_XL": "Q5_K_M", "UD-Q4_K_XL": "Q4_K_M",
    "UD-Q3_K_XL": "Q3_K_M", "UD-Q2_K_XL": "Q2_K",
}  # fmt: skip
UD_MIXES = (
    *_EXTRA_LARGE,
    "UD-IQ3_XXS", "UD-IQ2_M", "UD-IQ2_XXS", "UD-IQ1_M", "UD-IQ1_S", "UD-Q6_K", "UD-Q5_K_M",
    "UD-Q5_K_S", "UD-Q4_K_M", "UD-Q4_K_S", "UD-IQ4_NL", "UD-IQ4_XS", "UD-Q3_K_M", "UD-Q3_K_S",
    "UD-IQ3_S", "UD-TQ1_0",
)  # fmt: skip

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
MIXES = (*_TABLES_APART, *UD_MIXES)


def canonical_mix(text: str) -> str | None:
    """`ud-q4_k_xl` -> `UD-Q4_K_XL`; None for a name of no mix with a known size."""
    name = text.strip().upper().replace("_", "-").replace(".", "-")
    return next((mix for mix in MIXES if mix.replace("_", "-") == name), None)


def recipe_of(mix: str, architecture: Architecture | None) -> str | None:
    """The quantization of llama-quantize that a mix is nearest to; None for a name of no mix."""
    if mix in _TABLES_APART:
        return _TABLES_APART[mix][0]
    if mix not in UD_MIXES:
        return None
    like = _EXTRA_LARGE.get(mix, mix.removeprefix("UD-"))
    # experts published in 4 bits stay as they are in mixes of four bits and more
    is_mxfp4 = architecture is not None and architecture.expert_dtype == "mxfp4"
    return "MXFP4" if is_mxfp4 and like[:2] in ("Q4", "Q5", "Q6", "Q8") else like


def _kinds(architecture: Architecture, released: str | None) -> tuple[str, ...]:
    """How the model is made, as far as a mix depends on it; what tells most first."""
    date = released or _LATER_SINCE
    recurrent = {part.kind for part in architecture.recurrent}
    has_experts = any(part.experts for part in architecture.feed_forward)
    has_tables = bool(architecture.per_layer_embedding_length)
    is_later = date >= _LATER_SINCE
    kinds = {
        "third rules": date >= _THIRD_SINCE,
        "rows of no blocks": architecture.embedding_length % _BLOCK != 0,
        "per-layer tables of 2025": has_tables and not is_later,
        "per-layer tables": has_tables and is_later,
        "convolution": "convolution" in recurrent,
        "experts, first rules": has_experts and date < _SECOND_SINCE,
        # every token's feed-forward beside the experts keeps more bits than they
        "experts beside a dense feed-forward": any(
            part.beside_dense for part in architecture.feed_forward
        ),
        "experts of 2025": has_experts and not is_later,
        "delta, experts": has_experts and "delta" in recurrent,
        "experts": has_experts,
        "delta": "delta" in recurrent,
        "mamba2": "mamba2" in recurrent,
        "any": True,
    }
    return tuple(kind for kind, holds in kinds.items() if holds)


def mixed(
    mix: str,
    architecture: Architecture,
    row: ArchitectureRow,
    recipe: SizedWeights,
    released: str | None,
    ranges: Mapping[str, Any],
) -> SizedWeights:
    """The file of a mix: computed where only its tables are apart, else the range that published
    files of such models lie in. `recipe` is the file of `recipe_of` for the same model, which was
    `released` on that date; `ranges` are those of the mix, by kind.
    """
    if mix in _TABLES_APART:
        return _with_tables_apart(mix, architecture, row, recipe)
    name = recipe_of(mix, architecture) or ""
    kinds = ("experts in MXFP4",) if name == "MXFP4" else _kinds(architecture, released)
    ratio = next(ranges[kind] for kind in kinds if kind in ranges)
    least, most, by_layers, by_tables = (*ratio, 0.0, 0.0)[:4]
    more = by_layers / architecture.layers
    if by_tables:
        tables = _tables(architecture, row, name)
        more += by_tables * sum(table.bytes for table in tables) / recipe.bytes
    least, most = least + more, most + more
    low, high = int(recipe.bytes * least), int(recipe.bytes * most)
    line = f"{least:.3g} to {most:.3g} × {name} of {recipe.bytes:,} bytes"
    return sized((low + high) // 2, How.ASSUMED, _SOURCE, line, low=low, high=high)


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
    return sized(
        recipe.bytes + more,
        How.COMPUTED,
        "llama-quantize's rules but for the token table and the output matrix, whose type the"
        " publisher states on the model's card",
        f"{like} of {recipe.bytes:,} bytes {more:+,} for tables in {type}",
        low=recipe.low_bytes + more,
        high=recipe.high_bytes + more,
    )
