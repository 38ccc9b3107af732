"""What a publisher's own mix of types weighs: bartowski's `_L` files, Google's Q4_0 of weights
trained for it, and Unsloth's `UD-` files, made by rules that are not published.

Of the first two, the token table and the output matrix alone are of another type than in the file
of llama-quantize's recipe. Of Unsloth's each weighs about as much as the file of one of
llama-quantize's recipes. How much less or more was read from the headers of 33 published files
(llamafit 0.1.1, 2026) and from what listings state of 42 more, and follows how the model is made:
the tables of Unsloth's guides to DeepSeek R1, R1-0528, GLM-4.6 and Grok 2, its repositories of
Qwen3 0.6B and Gemma 4 E2B and E4B, and GLM-5.2. Where no file of a kind was measured, the range is
wider. Of one to two bits it is wide where many were: what lies beside the experts keeps more bits,
and later files are smaller. Held against 41 more listed sizes of nine models, 14 lay outside, all
of hybrids and of the third rules; the ranges are wider since (tests/needs/llamacpp/test_mixes.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from ...catalogue.spec import Architecture, ModelSpec, PublishedFiles
from ..quantization import stored, tensor_bytes
from ..records import How, SizedWeights
from ..tensors import ArchitectureRow

SOURCE = (
    "sizes of 116 published UD- files against llama-quantize's recipes (33 headers read by llamafit"
    " 0.1.1, 2026; 83 listed sizes); the publisher's rules are not published"
)

# by the recipe that the mix is like: the least and the most of its size, by how the model is made
_Range = tuple[float, float]
_EVERY = "any"
# mixtures that were out before Unsloth mixed the types of every tensor (Dynamic 2.0, its
# announcement): some files are of before, some of after
_FIRST, _SECOND_SINCE = "experts, first rules", "2025-04-24"
# of models that were out about when Dynamic 3.0 came (2026-08-19), or later: files of both rules
_THIRD, _THIRD_SINCE = "third rules", "2026-08-01"
_MIXED_DELTA = "delta, experts"
_MIXES: Mapping[str, tuple[str, Mapping[str, _Range]]] = {
    "UD-Q8_K_XL": ("Q8_0", {_EVERY: (1.0, 1.34)}),
    "UD-Q6_K_XL": ("Q6_K", {
        _THIRD: (1.0, 1.19), "experts": (1.02, 1.1), "delta": (1.07, 1.19), _EVERY: (1.0, 1.17),
    }),
    "UD-Q5_K_XL": ("Q5_K_M", {
        _THIRD: (0.92, 1.12), "delta": (0.98, 1.12), _EVERY: (0.965, 1.045),
    }),
    "UD-Q4_K_XL": ("Q4_K_M", {
        _THIRD: (0.92, 1.1), "delta": (1.0, 1.1), "per-layer tables": (0.91, 0.98),
        "experts": (0.91, 0.985), "mamba2": (0.945, 1.03), _EVERY: (0.97, 1.05),
    }),
    "UD-Q3_K_XL": ("Q3_K_M", {
        _THIRD: (0.88, 1.1), _MIXED_DELTA: (0.95, 1.03), "delta": (0.95, 1.11),
        "experts": (0.9, 0.985), "mamba2": (0.9, 1.03),
        _EVERY: (0.975, 1.055),
    }),
    "UD-Q2_K_XL": ("Q2_K", {
        _THIRD: (0.86, 1.14), "delta": (0.9, 0.98), "mamba2": (0.957, 1.037),
        "per-layer tables": (0.79, 0.87), _FIRST: (0.92, 1.14), "experts": (1.01, 1.14),
        _EVERY: (1.0, 1.11),
    }),
    "UD-IQ3_XXS": ("IQ3_XXS", {
        _THIRD: (0.9, 1.2), _MIXED_DELTA: (0.88, 1.1), "delta": (0.98, 1.2), "mamba2": (0.98, 1.2),
        "experts": (1.03, 1.14), _EVERY: (0.98, 1.2),
    }),
    "UD-IQ2_M": ("IQ2_M", {
        _THIRD: (0.88, 1.2), _MIXED_DELTA: (0.93, 1.06), "mamba2": (1.006, 1.09),
        "per-layer tables": (0.85, 0.94), "experts": (0.93, 1.2), _EVERY: (0.98, 1.2),
    }),
    "UD-IQ2_XXS": ("IQ2_XXS", {
        _THIRD: (0.82, 1.4), _MIXED_DELTA: (1.05, 1.2), _FIRST: (1.1, 1.27), "experts": (1.15, 1.4),
        _EVERY: (0.99, 1.27),
    }),
    "UD-IQ1_M": ("IQ1_M", {
        _THIRD: (0.84, 1.54), _MIXED_DELTA: (1.1, 1.33), _FIRST: (1.1, 1.36),
        "experts": (1.15, 1.54), _EVERY: (0.99, 1.35),
    }),
    "UD-IQ1_S": ("IQ1_S", {
        _THIRD: (0.83, 1.6), _FIRST: (1.03, 1.4), "experts": (1.15, 1.6), _EVERY: (0.99, 1.35),
    }),
}  # fmt: skip
# of models whose experts are published in 4 bits: every mix of four bits and more leaves those as
# they are
_OF_FOUR_BIT_EXPERTS = "MXFP4", (0.972, 1.053)
_KEEPS_FOUR_BITS = ("UD-Q8_K_XL", "UD-Q6_K_XL", "UD-Q5_K_XL", "UD-Q4_K_XL")

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

MIXES = (*_TABLES_APART, *_MIXES)

# who makes the `UD-` files, and how the account names its repositories: so are 157 of 162 that this
# catalogue lists; the others differ in case or in a word
_MAKER, _NAMED = "unsloth", "unsloth/{model}-GGUF"


def canonical_mix(text: str) -> str | None:
    """`ud-q4_k_xl` -> `UD-Q4_K_XL`; None for a name of no mix with a known size."""
    name = text.strip().upper().replace("_", "-").replace(".", "-")
    return next((mix for mix in MIXES if mix.replace("_", "-") == name), None)


def files_of_maker(spec: ModelSpec, mix: str) -> PublishedFiles | None:
    """Where the one who makes that mix offers it: the repository that the spec knows of that
    account, else the one by its naming, which no listing shows. None for a mix of no one maker,
    and of a model that lies in no repository.
    """
    if mix not in _MIXES or not spec.repository:
        return None
    repositories = (files.repository for files in spec.files if files.format == "gguf")
    own = next((name for name in repositories if name and name.startswith(f"{_MAKER}/")), None)
    by_naming = _NAMED.format(model=spec.repository.rpartition("/")[2])
    return PublishedFiles(
        format="gguf",
        repository=own or by_naming,
        source=f"{_MAKER} makes the {mix} files, and names its repositories {_NAMED}",
        unsized=(mix,),
        listed=False,
    )


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
    kinds = [part.kind for part in architecture.recurrent]
    has_experts = any(part.experts for part in architecture.feed_forward)
    if "delta" in kinds and has_experts:
        kinds.insert(0, _MIXED_DELTA)
    if released is not None and released >= _THIRD_SINCE:
        kinds.insert(0, _THIRD)
    if architecture.per_layer_embedding_length:
        kinds.append("per-layer tables")
    if has_experts:
        kinds += [_FIRST] if released is not None and released < _SECOND_SINCE else []
        kinds.append("experts")
    return (*kinds, _EVERY)


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
    least, most = (
        _OF_FOUR_BIT_EXPERTS[1]
        if name != like
        else next(ranges[kind] for kind in _kinds(architecture, released) if kind in ranges)
    )
    low, high = int(recipe.bytes * least), int(recipe.bytes * most)
    return SizedWeights(
        bytes=(low + high) // 2,
        low_bytes=low,
        high_bytes=high,
        how=How.ASSUMED,
        source=SOURCE,
        arithmetic=f"{least:g} to {most:g} × {name} of {recipe.bytes:,} bytes",
    )


def _with_tables_apart(
    mix: str, architecture: Architecture, row: ArchitectureRow, recipe: SizedWeights
) -> SizedWeights:
    like, type = _TABLES_APART[mix]
    tables = [
        table
        for table in stored(architecture, row, like, importance_matrix=False)
        if table.name in _TABLES
    ]
    more = sum(tensor_bytes(type, table.shape) * table.count - table.bytes for table in tables)
    return SizedWeights(
        bytes=recipe.bytes + more,
        low_bytes=recipe.low_bytes + more,
        high_bytes=recipe.high_bytes + more,
        how=How.COMPUTED,
        source=SOURCE_OF_TABLES,
        arithmetic=f"{like} of {recipe.bytes:,} bytes {more:+,} for tables in {type}",
    )
