"""The weights of a GGUF file in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...catalogue.spec import SIZE_OF, FileTensors, ModelSpec
from ..case import Case
from ..quantization import BITS_PER_WEIGHT, BLOCKS, LAYOUTS, TABLES
from ..records import How, Term, by_type, summed, taken_off, term, whole_files
from ..tensors import ArchitectureRow
from .files import RECIPE, SIZES, SOURCE, recipe_file, recipe_of_mix, spread, usual_tensors

_OWN_MIX = 0.005
# looked up by rows, so that they lie as they are stored whatever their type, and never multiplied,
# but for the token table where it is the output matrix too
_LOOKED_UP = ("token_embd", "per_layer_token_embd", "position_embd", "token_types")
_TOKEN_TABLE = "token_embd.weight"


def weights_terms(case: Case, files: Term, layout: str | None) -> tuple[tuple[Term, ...], int]:
    """Mapped weights, the second layout that the CPU wants, by its name, and the bytes of originals
    it replaced. `layout` None: beside a device, where weights lie as they are stored, in RAM too
    (make_cpu_buft_list in src/llama-model.cpp, select_weight_buft in src/llama-model-loader.cpp).
    """
    spec, quantization, row = case.spec, case.quantization, case.row
    recipe = recipe_of_mix(quantization, spec.architecture) or quantization
    if not case.whole or recipe not in BITS_PER_WEIGHT:
        return (whole_files(files, remark="; the whole file"),), 0
    read, error = tensors_read(spec, quantization), files.bytes * _OWN_MIX
    tensors = read or usual_tensors(case.model, recipe, spec.released)
    loaded = [tensor for tensor in tensors if not _passed_over(tensor, row)]
    size, outer = _bytes_of(tensors), _outer_bytes(loaded, row)
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
        weights, loaded = weights.replace(low_bytes=low), []
        outer = tuple(part * files.bytes // size for part in outer)
    else:
        source, (least, most) = RECIPE, spread(case.model, quantization)
        if files.how is How.STATED:
            source += f"; agrees with the size of {files.source.removeprefix(SIZE_OF)}"
        # the file may lack multi-token prediction
        least -= _bytes_of(each for each in loaded if each.extra) * (not row.mtp_in_gguf)
        weights = _stored("weights", loaded, How.COMPUTED, source, size - least, most - size)
    if layout is None:
        return _divided_weights(weights, *outer), 0
    return _layout_weights(weights, loaded, LAYOUTS.get(layout, ()), tied=outer[2] > 0)


def _outer_bytes(tensors: Sequence[FileTensors], row: ArchitectureRow) -> tuple[int, ...]:
    """Bytes of the output matrix, of the input layer, and of a token table that is both, of a
    decoder without an output matrix of its own, whatever its checkpoint has.
    """
    output = _bytes_of(each for each in tensors if each.name.startswith("output."))
    tables = _bytes_of(each for each in tensors if each.name in TABLES)
    has_own = row.embeds or any(each.name == "output.weight" for each in tensors)
    again = 0 if has_own else _bytes_of(each for each in tensors if each.name == _TOKEN_TABLE)
    return output, tables, again


def tensors_read(spec: ModelSpec, quantization: str) -> tuple[FileTensors, ...]:
    """The tensors of the very file that was read; () for another quantization."""
    is_read = any(quantization in files.bytes for files in spec.files)
    return spec.tensors if is_read else ()


def _bytes_of(tensors: Iterable[FileTensors]) -> int:
    return sum(tensor.bytes for tensor in tensors)


def _stored(
    name: str, tensors: Sequence[FileTensors], how: How, source: str, less: int = 0, more: int = 0
) -> Term:
    """Tensors as they lie in the file; their sum may be so many bytes less and more."""
    size, line = _bytes_of(tensors), by_type((each.type, each.bytes) for each in tensors)
    return term(name, size, how, source, line, low=size - less, high=size + more)


def _divided_weights(weights: Term, output: int, tables: int, again: int) -> tuple[Term, ...]:
    """What devices hold of the weights, the output matrix with the last layer, and the tables that
    stay mapped in RAM (src/llama-model.cpp, load_tensors). Of a token table that is the output
    matrix too, of `again` bytes, a device has a copy (TENSOR_DUPLICATED).
    """
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
    whole: Term, tensors: Iterable[FileTensors], layout: Sequence[Mapping[str, Any]], *, tied: bool
) -> tuple[tuple[Term, ...], int]:
    """The weights as they lie in the file and those in a second layout, each with its share of the
    range; and the bytes of the originals of the second. A token table that is the output matrix
    too is in both (TENSOR_DUPLICATED).
    """
    moved, rest, files = list[FileTensors](), list[FileTensors](), dict[str, None]()
    more = twice = 0
    for tensor in tensors:
        buffer = _buffer_of(tensor, layout, tied=tied)
        (rest if buffer is None or tensor.name == _TOKEN_TABLE else moved).append(tensor)
        if buffer is not None:
            files[buffer.get("source", "ggml-cpu/repack.cpp")] = None
            wider = buffer.get("more_bytes", {}).get(tensor.type, 0)
            more += tensor.bytes // BLOCKS[tensor.type][1] * wider
            twice += tensor.bytes if tensor.name == _TOKEN_TABLE else 0
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
    lines = [copies.arithmetic]
    lines += [f"{twice:,} bytes of the token table, the output matrix"] if twice else []
    lines += [f"{more:,} bytes of a wider layout"] if more else []
    if len(lines) > 1:
        copies = copies.resized(copied + more + twice, summed(*lines))
    return (own, copies), copied


def _passed_over(tensor: FileTensors, row: ArchitectureRow) -> bool:
    """Of a multi-token-prediction block, and left in the file unless it is to draft."""
    loaded = tuple(f"blk.*.{part}" for part in row.mtp_loaded)
    return tensor.extra and not tensor.name.startswith(loaded)


def _buffer_of(
    tensor: FileTensors, layout: Sequence[Mapping[str, Any]], *, tied: bool
) -> Mapping[str, Any] | None:
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
        whole = usual_tensors(case.model, name, case.spec.released)
        tensors = [tensor for tensor in whole if _passed_over(tensor, row)]
    error = int(_bytes_of(tensors) * SIZES["recipe_error"])
    block = _stored("mtp_weights", tensors, How.COMPUTED, RECIPE, error, error)
    if case.row.mtp_in_gguf:
        return block
    why = "published files may lack the block: take one that was converted with it"
    return block.replace(arithmetic=f"{block.arithmetic}; {why}")
