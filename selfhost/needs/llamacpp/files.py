"""The size of a GGUF file with its header, and the maker of the file.

What goes in: a case, which is a model in a quantization. What comes out: a term in bytes, or why
the size is not known. The size is that of the published file, or else the sum of the tensors in the
types that llama-quantize gives them, or else follows from the bits per weight.

Publishers mix types in their own ways: some under a name of their own (Unsloth's `UD-` files),
some under the name of a recipe (bartowski's files of 2026). Such a file weighs a share of a file of
one of llama-quantize's recipes, perhaps with a token table and output matrix of another type:
`[mixes]` and `[account]` in specs/common/gguf_types.toml have the shares.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from math import prod

from ...catalogue.architecture import Architecture
from ...catalogue.spec import FileTensors, ModelSpec, PublishedFiles
from ...catalogue.spec_values import TRAINED_FOR
from ...core.records import Record, Stated, Unread
from ...core.tables import shipped_record
from ...core.templates import fill
from ..case import Case, published_size, stored_type, unread_of
from ..quantization import (
    ACCOUNTS,
    BITS_PER_WEIGHT,
    FUSED,
    FUSED_AS_VALUES,
    KEPT_QUANTIZATIONS,
    MIXES,
    Mix,
    RecipeShare,
    bytes_of,
    recipe_tensors,
)
from ..records import (
    Size,
    Term,
    assumed_term,
    by_type,
    computed_term,
    sum_bytes,
    unread,
)
from ..tensors import gguf_tensors, row_of

SOURCE = "llama.cpp 0c1e570 (2026-10), rules checked by measurement"
RECIPE = "llama-quantize's rules, tensor by tensor (llama.cpp, 2026)"
TOKEN_TABLE = "token_embd.weight"
OUTPUT_MATRIX = "output.weight"
# the publisher of `UD-` files, and the pattern of its repository names: 157 of 162 in this
# catalogue follow it; the others differ in case or in a word
_MAKER = "unsloth"
_NAMED = "unsloth/{model}-GGUF"
# the relative difference in size from which a published file counts as its publisher's own mix
# rather than a recipe of llama-quantize
OWN_MIX = 0.005
# the share by which a publisher's mix of an unknown architecture may differ from its recipe: most
# shares of `[mixes]` in gguf_types.toml lie within
_ANY_MIX = 0.2
# the most that a file of 8 bits or more weighs, as a share of the size that its bits give: few of
# its tensors have another type
_MOST_OF_MANY_BITS = 1.04
# bytes of a tensor's entry in the header besides its name and sides: 24 by docs/gguf.md of ggml,
# and an allowance for the block number, for which `*` stands in the name; then the bytes of each
# side
_ENTRY_BYTES = 26
_SIDE_BYTES = 8


class TensorSplitSizes(Stated):
    """`["llama.cpp".tensor_split]`: architectures that `-sm tensor` is `refused` for, and what each
    device takes to add up the parts of a layer: at least, likely, at most. `most_devices`: over
    how many devices a model is split at most. `error`: how far a device's share of the weights may
    be off.
    """

    refused: tuple[str, ...]
    most_devices: int
    error: float
    sums_bytes: tuple[int, ...]
    source: str


class LlamaCppSizes(Stated):
    """`["llama.cpp"]` of specs/common/memory.toml, which explains each key. Pairs are least and
    most; triples are least, likely and most.
    """

    recipe_error: float
    bits_least: float
    bits_most: tuple[tuple[float, ...], ...]
    large: int
    few_bits: float
    token_bytes: Mapping[str, tuple[float, ...]]
    keys_bytes: tuple[int, ...]
    recipe_of_trained: Mapping[str, str]
    mixes_of_trained: Mapping[str, tuple[float, ...]]
    mixes_source: str
    largest_file_bytes: int
    experts_error: float
    device_error: float
    on_a_device: str
    activations: Mapping[str, tuple[int, ...]]
    gpu_in_ram: Mapping[str, tuple[int, ...]]
    experts_in_ram: Mapping[str, int]
    largest_vocabulary: int
    vocabulary_bytes: Mapping[str, tuple[int, ...]]
    picture_bytes: tuple[int, ...]
    block_compute: tuple[float, ...]
    tensor_split: TensorSplitSizes


SIZES = shipped_record(LlamaCppSizes, "memory", "llama.cpp")


class UsualTensors(Record):
    """The tensors of a file as it is usually published. `least_bytes` and `most_bytes` bound their
    size for any importance matrix and version of llama-quantize, with the recipe's error.
    """

    tensors: tuple[FileTensors, ...]
    least_bytes: int
    most_bytes: int


def of_every_step(tensors: Iterable[FileTensors]) -> tuple[FileTensors, ...]:
    """The tensors that every step computes: all but a multi-token-prediction block."""
    return tuple(tensor for tensor in tensors if not tensor.extra)


def block_bytes(tensors: Iterable[FileTensors]) -> int:
    """The bytes of a multi-token-prediction block among the tensors."""
    return sum_bytes(tensor for tensor in tensors if tensor.extra)


def bytes_by_type(tensors: Iterable[FileTensors]) -> str:
    """The line of arithmetic that lists the bytes of the tensors by type: `3,413,114,880 bytes of
    Q4_K + …`.
    """
    return by_type((tensor.type, tensor.bytes) for tensor in tensors)


def size_of(case: Case) -> Term | Unread:
    """The size of the GGUF file, without the projector of a vision model. For a model that drafts
    with its own block, the file includes the block.
    """
    spec = case.spec
    stated = published_size(case)
    if stated is not None:
        return stated
    recipe = recipe_of(case)
    if recipe is None:
        why = f"no source states the size of {case.quantization}, no quantization of llama-quantize"
        return unread(
            why, "use a quantization with a known recipe, for example --quant Q4_K_M"
        )
    published_as = KEPT_QUANTIZATIONS.get(recipe, "")
    if published_as and stored_type(case.model) != published_as:
        why = f"llama-quantize makes no {recipe}, which others convert from {published_as} weights"
        return unread(why, "name a file of it, by its path or its repository")
    if case.has_all_tensors:
        return _size_by_recipe(case, recipe)
    if spec.parameters.total is None:
        return unread_of(spec, "download_bytes")
    return _size_by_bits(case, recipe, spec.parameters.total - case.encoders)


def mix_of(case: Case) -> Mix | None:
    """The mix of types that the case's file has in place of a recipe: of the account whose file is
    meant, else of the quantization's name. None for llama-quantize's own recipe.

    An account's file is meant where the user typed its repository, and where the account made the
    model; by its type alone anybody's file is.
    """
    name = case.quantization
    released = case.spec.released or ""
    if name.startswith(TRAINED_FOR) and released >= case.row.wide_qat_table_until:
        # of models from before that day alone the table has another type
        return MIXES[name].replace(tables=None)
    files = case.spec.files_of(case.format, name)
    if files is None:
        return MIXES.get(name)
    if files.typed or case.spec.is_makers(files):
        for account in ACCOUNTS:
            if name in account.mixes and account.makes(files, released):
                return account.mixes[name]
    return MIXES.get(name)


def _size_by_recipe(case: Case, recipe: str) -> Term:
    """The size of the file by the recipe. A publisher's mix is computed where only its tables
    differ from the recipe, and otherwise a share of the recipe's file.
    """
    model = case.model
    file = recipe_file(
        model, case.spec.released, recipe, own_block=case.companions.own_block
    )
    mix = mix_of(case)
    if mix is None:
        return file
    share = mix.share_of(model, case.spec.released or "")
    trained = model.expert_dtype or ""
    if recipe == SIZES.recipe_of_trained.get(trained):
        share = RecipeShare(*SIZES.mixes_of_trained[trained])
    elif mix.tables is not None:
        file = _with_tables(model, recipe, mix.tables, file)
    if share is None:
        return file
    size = Size.of(file.bytes, share)
    line = f"{share.likely:g} × {file.bytes:,} bytes of such a file in {recipe}"
    return assumed_term("files", size, SIZES.mixes_source, line)


def _with_tables(
    model: Architecture,
    recipe: str,
    type: str,
    file: Term,
) -> Term:
    """The recipe's file with its token table and output matrix in another type."""
    more_bytes = 0
    for tensor in recipe_tensors(model, recipe, importance_matrix=False):
        if tensor.name in (TOKEN_TABLE, OUTPUT_MATRIX):
            table_bytes = bytes_of(type, prod(tensor.shape))
            more_bytes += table_bytes * tensor.count - tensor.bytes
    source = (
        "llama-quantize's rules but for the token table and the output matrix, whose type the"
        " publisher states on the model's card"
    )
    line = f"{recipe} of {file.bytes:,} bytes {more_bytes:+,} for tables in {type}"
    return computed_term("files", file.size.plus(more_bytes), source, line)


def _size_by_bits(
    case: Case,
    recipe: str,
    weights: int,
) -> Term:
    """The size of the file of a model known only by its number of weights: weights × bits / 8."""
    bits = BITS_PER_WEIGHT[recipe]
    size = int(weights * bits / 8)
    least = SIZES.bits_least
    most = _most_by_bits(weights, bits)
    line = f"{weights:,} parameters × {bits:g} bits / 8"
    source = "bits per weight of Llama 3.1 8B (llama.cpp tools/quantize/README.md)"
    source += "; the architecture is not known"
    if recipe != case.quantization:
        least *= 1 - _ANY_MIX
        most *= 1 + _ANY_MIX
    low_bytes = int(size * least)
    high_bytes = int(size * most)
    return assumed_term("files", Size(low_bytes, size, high_bytes), source, line)


def _most_by_bits(weights: int, bits: float) -> float:
    """The most bytes of a file, as a share of weights × bits / 8. In small models, and in files of
    few bits, the token table weighs more.
    """
    if bits >= 8:
        return _MOST_OF_MANY_BITS
    of_large, of_small = SIZES.bits_most
    shares = of_large if weights >= SIZES.large else of_small
    of_many_bits, of_few_bits = shares
    return of_few_bits if bits < SIZES.few_bits else of_many_bits


@lru_cache(maxsize=2048)
def recipe_file(
    architecture: Architecture,
    released: str | None,
    quantization: str,
    *,
    own_block: bool = False,
) -> Term:
    """The size of a file in a quantization of llama-quantize, tensors and header, for a model
    released on that date.

    Multi-token-prediction blocks are counted where files include them, or the case needs them
    (`own_block`). Where only some files include them, the range covers both.
    """
    usual = usual_tensors(architecture, quantization, released)
    tensors = usual.tensors
    least = usual.least_bytes
    least_header, most_header = header_bytes(architecture, tensors)
    # most tokenizers of byte pairs have one merge for each token
    header = least_header + (most_header - least_header) // 4
    row = row_of(architecture)
    brings = row.mtp_in_gguf
    if released is not None and released < row.mtp_in_gguf_since:
        brings = False
    block = block_bytes(tensors)
    counted = tensors
    if brings is False and not own_block:
        counted = of_every_step(tensors)
    line = f"{bytes_by_type(counted)} + {header:,} bytes of header"
    if len(counted) < len(tensors):
        line += (
            f"; a file that brings the multi-token-prediction block has {block:,} more"
        )
    elif block and brings is None:
        line += f"; a file without the multi-token-prediction block has {block:,} less"
    if not (own_block or brings):
        least -= block
    size = Size(
        least_header + least,
        sum_bytes(counted) + header,
        most_header + usual.most_bytes,
    )
    return computed_term("files", size, RECIPE, line)


@lru_cache(maxsize=2048)
def usual_tensors(
    architecture: Architecture,
    quantization: str,
    released: str | None,
) -> UsualTensors:
    """The tensors of a file as usually published. IQ types need an importance matrix. A model
    released before March 2026 (`released` is an ISO date) follows the rules of that time.
    """
    has_matrix = quantization.startswith("IQ")
    is_fused = any(group.name.endswith(FUSED) for group in gguf_tensors(architecture))
    is_early = is_fused and released is not None and released < FUSED_AS_VALUES
    may_have_matrix = has_matrix or quantization in ("Q4_0", "Q5_0")
    files = {}
    for matrix in {has_matrix, may_have_matrix, False}:
        for earlier in {False, is_fused}:
            files[matrix, earlier] = recipe_tensors(
                architecture, quantization, importance_matrix=matrix, earlier=earlier
            )
    sizes = [sum_bytes(file) for file in files.values()]
    error = SIZES.recipe_error
    return UsualTensors(
        tensors=files[has_matrix, is_early],
        least_bytes=int(min(sizes) * (1 - error)),
        most_bytes=int(max(sizes) * (1 + error)),
    )


def header_bytes(
    architecture: Architecture, tensors: Iterable[FileTensors]
) -> tuple[int, int]:
    """The least and most bytes before the tensors: the tensor table, the keys and the vocabulary
    (docs/gguf.md of ggml).
    """
    vocabulary = architecture.gguf_tokens
    table = 0
    for tensor in tensors:
        entry = _ENTRY_BYTES + len(tensor.name) + _SIDE_BYTES * len(tensor.shape)
        table += entry * tensor.count
    least, most = SIZES.token_bytes[tokenizer_kind(architecture)]
    least_keys, most_keys = SIZES.keys_bytes
    return (
        table + least_keys + int(vocabulary * least),
        table + most_keys + int(vocabulary * most),
    )


def tokenizer_kind(architecture: Architecture) -> str:
    """The kind of the tokenizer, told by the size of the vocabulary where models of a row differ;
    "" where unknown.
    """
    kind = row_of(architecture).tokenizer
    vocabulary = architecture.gguf_tokens
    if kind == "varies":
        return ""
    if kind == "wpm" and vocabulary > 100_000:
        return "unigram"
    if kind:
        return kind
    if not vocabulary:
        return kind
    # the vocabularies of DeepSeek Coder are byte pairs
    if vocabulary >= 49_000:
        return "bpe"
    if vocabulary == 32_256:
        return "bpe"
    return "spm" if vocabulary <= 33_000 else ""


def recipe_of(case: Case) -> str | None:
    """The recipe of llama-quantize for the case's quantization: itself, or the nearest recipe of a
    publisher's mix; None for any other name.
    """
    name = case.quantization
    mix = mix_of(case)
    if mix is None:
        return name if name in BITS_PER_WEIGHT else None
    # mixes of four bits and more keep experts that were published in 4 bits
    has_four_bits = mix.recipe.startswith(("Q4", "Q5", "Q6", "Q8"))
    kept = SIZES.recipe_of_trained.get(case.model.expert_dtype or "")
    if kept is not None and has_four_bits and name not in BITS_PER_WEIGHT:
        return kept
    return mix.recipe


def recipe_of_file(case: Case) -> str | None:
    """The recipe whose tensors a file has: `recipe_of` its quantization. For experts that stay in
    their trained type MXFP4, the stated size tells which of two recipes.

    Such files differ in all tensors but experts: llama-quantize stores these in 8 bits, Ollama's
    converter in 16 (ollama/ollama, convert/convert_gptoss.go).
    """
    recipe = recipe_of(case)
    is_as_trained = recipe == "MXFP4" and case.model.expert_dtype == "mxfp4"
    if not is_as_trained:
        return recipe
    if not case.has_all_tensors:
        return recipe
    stated = published_size(case)
    if stated is None:
        return recipe
    plain = recipe_file(case.model, case.spec.released, "BF16")
    return "BF16" if is_size_of(stated.bytes, plain) else recipe


def is_size_of(size_bytes: int, computed: Term) -> bool:
    """Whether a file of that size may follow the recipe whose size was computed."""
    error = size_bytes * OWN_MIX
    return computed.low_bytes - error <= size_bytes <= computed.high_bytes + error


def files_of_maker(spec: ModelSpec, mix: str) -> PublishedFiles | None:
    """The files of an `UD-` mix that Unsloth publishes: the repository that the spec lists, else
    the repository by Unsloth's naming, which no listing confirms.

    None for other types, and for a model without a repository.
    """
    if mix not in MIXES:
        return None
    if not mix.startswith("UD-"):
        return None
    if not spec.repository:
        return None
    repository = fill(_NAMED, {"model": spec.repository.rpartition("/")[2]})
    for files in spec.files:
        known = files.repository or ""
        if files.format == "gguf" and known.startswith(f"{_MAKER}/"):
            repository = known
            break
    return PublishedFiles(
        format="gguf",
        repository=repository,
        source=f"{_MAKER} makes the {mix} files, and names its repositories {_NAMED}",
        unsized=(mix,),
        listed=False,
    )
