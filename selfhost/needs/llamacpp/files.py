"""A GGUF file: what it weighs, with its header, who makes it, and its weights in memory.

Of a publisher's own mixes of types, bartowski's `_L` files and Google's Q4_0 of weights trained for
it have the token table and the output matrix alone in another type than llama-quantize's recipe.
Unsloth's `UD-` files are made by rules that are not published; each weighs about as much as the
file of one of llama-quantize's recipes: `[mixes]` in specs/common/gguf_types.toml has the ranges.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from math import prod

from ...catalogue.architecture import Architecture
from ...catalogue.spec import SIZE_OF, FileTensors, ModelSpec, PublishedFiles
from ...core.records import Unread
from ...core.tables import TomlRow, shipped_table
from ...core.templates import fill
from ..case import Case, published_size, unread_of
from ..quantization import (
    BITS_PER_WEIGHT,
    BLOCKS,
    FUSED,
    FUSED_AS_VALUES,
    LAYOUTS,
    TABLES,
    bytes_of,
    recipe_tensors,
)
from ..records import How, Term, by_type, summed, taken_off, term, unread, whole_files
from ..tensors import ArchitectureRow, gguf_tensors, row_of

SOURCE = "llama.cpp 0c1e570 (2026-10), rules checked by measurement"
RECIPE = "llama-quantize's rules, tensor by tensor (llama.cpp, 2026)"
SIZES = shipped_table("memory")["llama.cpp"]
# who makes the `UD-` files, and how the account names its repositories: so are 157 of 162 that this
# catalogue lists; the others differ in case or in a word
_MAKER, _NAMED = "unsloth", "unsloth/{model}-GGUF"
# the recipe that each mix is nearest to, and the type of tables that are apart
MIXES: Mapping[str, TomlRow] = shipped_table("gguf_types")["mixes"]
_OWN_MIX = 0.005
# looked up by rows, so that they lie as they are stored whatever their type, and never multiplied,
# but for the token table where it is the output matrix too
_LOOKED_UP = ("token_embd", "per_layer_token_embd", "position_embd", "token_types")
_TOKEN_TABLE = "token_embd.weight"


def size_of(case: Case) -> Term | Unread:
    """The GGUF file, without the projector of a vision model: as published, else by the recipe,
    else by bits per weight; of a mix computed where only its tables are apart, else a range. Of a
    model that is to draft with its own block the file brings it.
    """
    spec, quantization = case.spec, case.quantization
    stated = published_size(case)
    if stated is not None:
        return stated
    recipe = recipe_of(quantization, case.model)
    if case.whole and recipe:
        file = recipe_file(case.model, spec.released, recipe, own_block=case.companions.own_block)
        if recipe == quantization:
            return file
        mix, line = MIXES[quantization], f"{recipe} of {file.bytes:,} bytes"
        if (type := mix.get("tables")) is not None:
            tensors = recipe_tensors(case.model, recipe, importance_matrix=False)
            tables = [each for each in tensors if each.name in (_TOKEN_TABLE, "output.weight")]
            own = sum(bytes_of(type, prod(table.shape)) * table.count for table in tables)
            more = own - _bytes_of(tables)
            source = "llama-quantize's rules but for the token table and the output matrix, whose"
            source += " type the publisher states on the model's card"
            line += f" {more:+,} for tables in {type}"
            ends = {"low": file.low_bytes + more, "high": file.high_bytes + more}
            return term("files", file.bytes + more, How.COMPUTED, source, line, **ends)
        least, most = mix["experts" if case.model.has_experts else "dense"]
        least, most = SIZES["mixes_of_mxfp4"] if recipe == "MXFP4" else (least, most)
        low, high = int(file.bytes * least), int(file.bytes * most)
        line, source = f"{least:g} to {most:g} × {line}", SIZES["mixes_source"]
        return term("files", (low + high) // 2, How.ASSUMED, source, line, low=low, high=high)
    if recipe is None:
        why = f"no source states the size of {quantization}, no quantization of llama-quantize"
        return unread(why, "use a quantization with a known recipe, for example --quant Q4_K_M")
    if spec.parameters.total is None:
        return unread_of(spec, "download_bytes")
    return _by_bits_per_weight(case, recipe, spec.parameters.total - case.encoders)


def _by_bits_per_weight(case: Case, recipe: str, weights: int) -> Term:
    """The file of a model of which the number of weights is all that is known; a publisher's mix is
    as much larger or smaller than its recipe as of other models.
    """
    bits = BITS_PER_WEIGHT[recipe]
    size = int(weights * bits / 8)
    of_large, of_small = SIZES["bits_most"]
    of_many_bits, of_few_bits = of_large if weights >= SIZES["large"] else of_small
    highest = of_few_bits if bits < SIZES["few_bits"] else of_many_bits
    source = "bits per weight of Llama 3.1 8B (llama.cpp tools/quantize/README.md)"
    source += "; the architecture is not known"
    least, most = SIZES["bits_least"], highest if bits < 8 else 1.04
    line = f"{weights:,} parameters × {bits:g} bits / 8"
    if recipe != case.quantization:
        mix = MIXES[case.quantization]
        # of a mix of which the tables alone are apart the recipe's own range holds these
        ends = [mix.get(key, (1.0, 1.0)) for key in ("dense", "experts")]
        low, high = min(end[0] for end in ends), max(end[1] for end in ends)
        size = int(size * (low + high) / 2)
        line += f" × {(low + high) / 2:g}"
        least, most = least * low * 2 / (low + high), most * high * 2 / (low + high)
        source += f"; {SIZES['mixes_source']}"
    ends_of_range = {"low": int(size * least), "high": int(size * most)}
    return term("files", size, How.ASSUMED, source, line, **ends_of_range)


@lru_cache(maxsize=1024)
def recipe_file(
    architecture: Architecture,
    released: str | None,
    quantization: str,
    *,
    own_block: bool = False,
) -> Term:
    """The file of a model that came out on that date, in a quantization of llama-quantize."""
    tensors, less, more = usual_tensors(architecture, quantization, released)
    low, high = header_bytes(architecture, tensors)
    # most byte pairs have one merge a token
    header = low + (high - low) // 4
    row = row_of(architecture)
    brings = row.mtp_in_gguf
    if released is not None and released < row.mtp_in_gguf_since:
        brings = False
    counted = [tensor for tensor in tensors if own_block or brings is not False or not tensor.extra]
    block = sum(tensor.bytes for tensor in tensors if tensor.extra)
    line = f"{by_type((each.type, each.bytes) for each in counted)} + {header:,} bytes of header"
    if len(counted) < len(tensors):
        line += f"; a file that brings the multi-token-prediction block has {block:,} more"
    elif block and brings is None:
        line += f"; a file without the multi-token-prediction block has {block:,} less"
    size = sum(tensor.bytes for tensor in counted) + header
    low += less - (0 if own_block or brings else block)
    return term("files", size, How.COMPUTED, RECIPE, line, low=low, high=more + high)


@lru_cache(maxsize=1024)
def usual_tensors(
    architecture: Architecture, quantization: str, released: str | None
) -> tuple[tuple[FileTensors, ...], int, int]:
    """The tensors as published: with an importance matrix for the IQ types, which need one; of a
    model that came out before March 2026 (`released` is an ISO date) by the rules of then. And the
    least and most that tensors take, whatever the matrix and the version, with the recipe's error.
    """
    imatrix, error = quantization.startswith("IQ"), SIZES["recipe_error"]
    is_fused = any(group.name.endswith(FUSED) for group in gguf_tensors(architecture))
    is_early = is_fused and bool(released and released < FUSED_AS_VALUES)
    matrices = {imatrix, imatrix or quantization in ("Q4_0", "Q5_0"), False}
    ways = {(matrix, version) for matrix in matrices for version in (False, is_fused)}
    files = {
        (matrix, earlier): recipe_tensors(
            architecture, quantization, importance_matrix=matrix, earlier=earlier
        )
        for matrix, earlier in ways
    }
    sizes = [_bytes_of(file) for file in files.values()]
    least, most = int(min(sizes) * (1 - error)), int(max(sizes) * (1 + error))
    return files[imatrix, is_early], least, most


def header_bytes(architecture: Architecture, tensors: Iterable[FileTensors]) -> tuple[int, int]:
    """Least and most bytes in front of the tensors: their table, the keys and the vocabulary."""
    vocabulary = architecture.vocabulary_gguf or architecture.vocabulary or 0
    table = sum((26 + len(each.name) + 8 * len(each.shape)) * each.count for each in tensors)
    least, most = SIZES["token_bytes"][tokenizer_kind(architecture)]
    keys, most_keys = SIZES["keys_bytes"]
    return table + keys + int(vocabulary * least), table + most_keys + int(vocabulary * most)


def tokenizer_kind(architecture: Architecture) -> str:
    """The kind of the vocabulary, by its size where models of a row differ; "" where unknown."""
    row = row_of(architecture)
    vocabulary = architecture.vocabulary_gguf or architecture.vocabulary or 0
    if row.tokenizer == "wpm" and vocabulary > 100_000:
        return "unigram"
    if row.tokenizer or not vocabulary:
        return "" if row.tokenizer == "varies" else row.tokenizer
    if vocabulary <= 33_000:
        # DeepSeek Coder's are byte pairs
        return "bpe" if vocabulary == 32_256 else "spm"
    return "bpe" if vocabulary >= 49_000 else ""


def recipe_of(quantization: str, architecture: Architecture) -> str | None:
    """The quantization of llama-quantize that it is, or is nearest to as a mix; else None."""
    if quantization in BITS_PER_WEIGHT:
        return quantization
    if quantization not in MIXES:
        return None
    like, is_mxfp4 = str(MIXES[quantization]["recipe"]), architecture.expert_dtype == "mxfp4"
    if "tables" in MIXES[quantization]:
        return like
    # experts published in 4 bits stay as they are in mixes of four bits and more
    return "MXFP4" if is_mxfp4 and like[:2] in ("Q4", "Q5", "Q6", "Q8") else like


def files_of_maker(spec: ModelSpec, mix: str) -> PublishedFiles | None:
    """Where Unsloth offers an `UD-` mix: the repository that the spec knows of it, else by its
    naming, which no listing shows. None for other types, and of a model that lies in no repository.
    """
    if mix not in MIXES or not mix.startswith("UD-") or not spec.repository:
        return None
    named = fill(_NAMED, {"model": spec.repository.rpartition("/")[2]})
    repositories = (files.repository or "" for files in spec.files if files.format == "gguf")
    return PublishedFiles(
        format="gguf",
        repository=next((name for name in repositories if name.startswith(f"{_MAKER}/")), named),
        source=f"{_MAKER} makes the {mix} files, and names its repositories {_NAMED}",
        unsized=(mix,),
        listed=False,
    )


def weights_terms(case: Case, files: Term) -> tuple[tuple[Term, ...], int]:
    """Mapped weights, the second layout that the CPU wants, and the bytes of originals it replaced.
    Beside a device weights lie as they are stored, in RAM too (make_cpu_buft_list in
    src/llama-model.cpp, select_weight_buft in src/llama-model-loader.cpp).
    """
    spec, quantization, row = case.spec, case.quantization, case.row
    recipe = recipe_of(quantization, case.model)
    if not case.whole or recipe is None:
        return (whole_files(files, remark="; the whole file"),), 0
    usual, least, most = usual_tensors(case.model, recipe, spec.released)
    # those of the very file that was read
    read: tuple[FileTensors, ...] = ()
    if any(quantization in files_of_format.bytes for files_of_format in spec.files):
        read = spec.tensors
    tensors, error = read or usual, files.bytes * _OWN_MIX
    kept = tuple(f"blk.*.{name}" for name in row.mtp_loaded)
    # a multi-token-prediction block is left in the file unless it is to draft
    loaded = [each for each in tensors if not each.extra or each.name.startswith(kept)]
    size, share, placed = _bytes_of(tensors), (1, 1), tuple(loaded)
    computed = recipe_file(case.model, spec.released, recipe)
    # a published size that is not that of llama-quantize's own types
    is_far = not computed.low_bytes - error <= files.bytes <= computed.high_bytes + error
    if read:
        source = f"tensor table in the header of {spec.origin}"
        weights = _stored("weights", loaded, How.EXACT, source)
    elif recipe != quantization or (files.how is How.STATED and is_far):
        source = f"{files.source}; its tables and output matrix in proportion to {RECIPE}"
        weights = whole_files(files, source, "; the whole file, a mix of its publisher's own")
        low = min(files.low_bytes, files.bytes - int(error))
        weights, placed, share = weights.replace(low_bytes=low), (), (files.bytes, size)
    else:
        source = RECIPE
        if files.how is How.STATED:
            source += f"; agrees with the size of {files.source.removeprefix(SIZE_OF)}"
        if not row.mtp_in_gguf:
            # the file may lack multi-token prediction
            least -= _bytes_of(tensor for tensor in loaded if tensor.extra)
        weights = _stored("weights", loaded, How.COMPUTED, source, size - least, most - size)
    if case.device is not None:
        return _divided_weights(weights, loaded, row, share), 0
    return _layout_weights(weights, placed, case)


def _bytes_of(tensors: Iterable[FileTensors]) -> int:
    return sum(tensor.bytes for tensor in tensors)


def _stored(
    name: str, tensors: Sequence[FileTensors], how: How, source: str, less: int = 0, more: int = 0
) -> Term:
    """Tensors as they lie in the file; their sum may be so many bytes less and more."""
    size, line = _bytes_of(tensors), by_type((each.type, each.bytes) for each in tensors)
    return term(name, size, how, source, line, low=size - less, high=size + more)


def _divided_weights(
    weights: Term, tensors: Sequence[FileTensors], row: ArchitectureRow, share: tuple[int, int]
) -> tuple[Term, ...]:
    """What devices hold of the weights, the output matrix with the last layer, and the tables that
    stay mapped in RAM (src/llama-model.cpp, load_tensors). Of a token table that is the output
    matrix too, whatever the checkpoint of a decoder has, a device has a copy (TENSOR_DUPLICATED).
    `share`: what the tensors take in the file, as a fraction of what they take by the recipe.
    """
    has_own = row.embeds or any(each.name == "output.weight" for each in tensors)
    output, tables, again = (
        _bytes_of(each for each in tensors if each.name.startswith(names)) * share[0] // share[1]
        for names in ("output.", TABLES, () if has_own else _TOKEN_TABLE)
    )
    if not tables:
        return (weights.replace(output_bytes=output),)
    line = weights.arithmetic
    if again != tables:
        line = taken_off(line, tables, "of embeddings")
        line = summed(line, f"{again:,} of them as the output matrix") if again else line
    source = f"{weights.source}; llama.cpp keeps the input layer in RAM (load_tensors)"
    remark = "mapped; a token reads a row of each, the rest may be dropped"
    remark = f"{tables:,} bytes of tables, {remark}"
    embeddings = term("embeddings", tables, weights.how, source, remark, low=0)
    weights = weights.resized(weights.bytes - tables + again, line)
    return weights.replace(output_bytes=output + again), embeddings


def _layout_weights(
    whole: Term, tensors: Sequence[FileTensors], case: Case
) -> tuple[tuple[Term, ...], int]:
    """The weights as they lie in the file and those in a second layout, each with its share of the
    range; and the bytes of the originals of the second. A token table that is the output matrix
    too is in both (TENSOR_DUPLICATED).
    """
    moved, rest, files = list[FileTensors](), list[FileTensors](), dict[str, None]()
    tied = not case.row.embeds and all(tensor.name != "output.weight" for tensor in tensors)
    # the first that the processor can; none where its instruction sets are not known
    sets, more, twice = case.instruction_sets or (), 0, 0
    layout = next((LAYOUTS[name] for name in LAYOUTS if name in sets), ())
    if "unpacked" in case.runtime.options and case.runtime.crashing_sets(sets):
        layout = ()
    for tensor in tensors:
        buffer = _buffer_of(tensor, layout, tied=tied)
        (rest if buffer is None or tensor.name == _TOKEN_TABLE else moved).append(tensor)
        if buffer is not None:
            files[buffer.get("source", "ggml-cpu/repack.cpp")] = None
            wider = buffer.get("more_bytes", {}).get(tensor.type, 0)
            more += tensor.bytes // BLOCKS[tensor.type][1] * wider
            if tensor.name == _TOKEN_TABLE:
                twice += tensor.bytes
    if not files:
        return (whole,), 0
    copied, size = _bytes_of(moved), whole.bytes
    ends = size - whole.low_bytes, whole.high_bytes - size
    rest_ends, moved_ends = (
        [end * part // size for end in ends] for part in (size - copied, copied)
    )
    own = _stored("weights", rest, whole.how, whole.source, *rest_ends)
    source = f"{SOURCE}: {', '.join(files)}; interleaved for this processor, the originals in the"
    source += " page cache may be dropped"
    copies = _stored("repacked_weights", moved, whole.how, source, *moved_ends)
    if more + twice:
        lines = []
        if twice:
            lines.append(f"{twice:,} bytes of the token table, the output matrix")
        if more:
            lines.append(f"{more:,} bytes of a wider layout")
        line = summed(copies.arithmetic, *lines)
        copies = copies.resized(copied + more + twice, line)
    return (own, copies), copied


def _buffer_of(tensor: FileTensors, layout: Sequence[TomlRow], *, tied: bool) -> TomlRow | None:
    name, shape = tensor.name, tensor.shape
    is_looked_up = name.startswith(_LOOKED_UP) and not (tied and name == _TOKEN_TABLE)
    is_absorbed = name.endswith(("attn_k_b.weight", "attn_v_b.weight"))
    if not name.endswith(".weight") or len(shape) < 2 or is_looked_up or is_absorbed:
        return None
    for buffer in layout:
        rows = buffer["rows"].get(tensor.type)
        if rows and shape[1] % rows == 0 and (buffer.get("stacks", True) or len(shape) == 2):
            return buffer
    return None


def own_block_weights(case: Case) -> Term:
    """The model's own multi-token-prediction block, as far as it is not loaded anyway."""
    row, name, tensors = case.row, case.quantization, list[FileTensors]()
    if name in BITS_PER_WEIGHT:
        whole, *_ = usual_tensors(case.model, name, case.spec.released)
        loaded = tuple(f"blk.*.{name}" for name in row.mtp_loaded)
        tensors = [each for each in whole if each.extra and not each.name.startswith(loaded)]
    error = int(_bytes_of(tensors) * SIZES["recipe_error"])
    block = _stored("mtp_weights", tensors, How.COMPUTED, RECIPE, error, error)
    if case.row.mtp_in_gguf:
        return block
    why = "published files may lack the block: take one that was converted with it"
    return block.replace(arithmetic=f"{block.arithmetic}; {why}")
