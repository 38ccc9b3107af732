"""The weights of a GGUF file in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from ...catalogue.spec import SIZE_OF, Architecture, ModelSpec
from ...core.records import Record
from ..parts import Subject, term
from ..quantization import BITS_PER_WEIGHT, BLOCKS, Stored, typed_earlier
from ..records import How, SizedWeights, Term, summed, taken_off
from ..repack import LAYOUTS, Buffer
from ..tensors import ArchitectureRow
from . import buffers as llamacpp
from .buffers import Load
from .files import (
    RECIPE,
    RECIPE_ERROR,
    as_published,
    by_type,
    computed_file,
    of_file,
    spread,
    usual,
)

_OWN_MIX = 0.005
# looked up by rows, so that they lie as they are stored whatever their type, and never multiplied,
# but for the token table where it is the output matrix too
_LOOKED_UP = ("token_embd", "per_layer_token_embd", "position_embd", "token_types")
_TOKEN_TABLE = "token_embd.weight"


class _Loaded(Record):
    """The tensors that a program loads of one file, where each is known. Less and more: how many
    bytes the range of the whole goes below and above.
    """

    tensors: tuple[Stored, ...]
    less: int
    more: int
    how: How
    source: str
    tied: bool


class _Offload(Record):
    """Weights once a device takes layers. A tied token table is in the last two: RAM and device
    each have it.

    `layer_bytes` are shared out by layer, `output_bytes` go with the last layer, `table_bytes` stay
    in RAM, looked up by rows.
    """

    layer_bytes: int
    output_bytes: int = 0
    table_bytes: int = 0


# the same for every context and number of sequences
@lru_cache(maxsize=64)
def weights_terms(
    subject: Subject, quantization: str, files: SizedWeights, layout: str | None
) -> tuple[tuple[Term, ...], int]:
    """Mapped weights, the second layout that the CPU wants, a key of `repack.LAYOUTS`, and the
    bytes of originals it replaced. `layout` None: beside a device, where weights lie as they are
    stored, in RAM too: llama.cpp prefers the device's kind of RAM to a second layout, and the
    mapped file to both (llama.cpp 0c1e570: make_cpu_buft_list in src/llama-model.cpp,
    select_weight_buft in src/llama-model-loader.cpp).
    """
    architecture, row = subject.architecture, subject.row
    if subject.whole and architecture is not None and row is not None:
        recipe = (
            None
            if of_file(subject.spec, quantization)
            else recipe_of_mix(quantization, architecture)
        )
        if recipe is not None:
            earlier = typed_earlier(subject.spec.released)
            tensors = usual(architecture, row, recipe, earlier)
            return _own_mix(tensors, row, files, by_device=layout is None), 0
    if (
        not subject.whole
        or architecture is None
        or row is None
        or quantization not in BITS_PER_WEIGHT
    ):
        line = f"{files.arithmetic}; the whole file"
        low, high = files.low_bytes, files.high_bytes
        whole_file = term("weights", files.bytes, files.how, files.source, line, low=low, high=high)
        return (whole_file,), 0
    real = of_file(subject.spec, quantization)
    earlier = typed_earlier(subject.spec.released)
    whole = real or usual(architecture, row, quantization, earlier)
    if not real and files.how is How.STATED:
        published_row = as_published(row, subject.spec.released)
        computed = computed_file(architecture, published_row, quantization, earlier)
        if not _follows_the_recipe(files, computed):
            return _own_mix(whole, row, files, by_device=layout is None), 0
    loaded = _loaded(subject.spec, architecture, row, quantization, files, whole, real=bool(real))
    if layout is None:
        return _beside_device(_as_stored(loaded), _offload(loaded.tensors, loaded.tied)), 0
    terms, evictable = _in_layouts(loaded, LAYOUTS[layout])
    return tuple(terms), evictable


def recipe_of_mix(quantization: str, architecture: Architecture) -> str | None:
    """The recipe that a publisher's own mix is nearest to; None for llama-quantize's own names."""
    if quantization in BITS_PER_WEIGHT:
        return None
    from .mixes import recipe_of

    return recipe_of(quantization, architecture)


def _follows_the_recipe(files: SizedWeights, computed: SizedWeights) -> bool:
    """True where the published size is near that of llama-quantize's own types."""
    error = files.bytes * _OWN_MIX
    return computed.low_bytes - error <= files.bytes <= computed.high_bytes + error


def _own_mix(
    tensors: tuple[Stored, ...], row: ArchitectureRow, files: SizedWeights, *, by_device: bool
) -> tuple[Term, ...]:
    """A whole file whose publisher chose types of their own."""
    low = min(files.low_bytes, files.bytes - int(files.bytes * _OWN_MIX))
    source = f"{files.source}; its tables and output matrix in proportion to {RECIPE}"
    line = f"{files.arithmetic}; the whole file, a mix of its publisher's own"
    weights = term("weights", files.bytes, files.how, source, line, low=low, high=files.high_bytes)
    if not by_device:
        return (weights,)
    offload = _in_proportion(_offload(tensors, _tied(tensors, row)), tensors, files.bytes)
    return _beside_device(weights, offload)


def _beside_device(weights: Term, parts: _Offload) -> tuple[Term, ...]:
    """What devices hold of the weights, and the tables that stay in RAM, mapped from the file: a
    token reads one row of each, and the system may drop the others.
    """
    if not parts.table_bytes:
        return (weights.replace(output_bytes=parts.output_bytes),)
    moved, tables = parts.layer_bytes + parts.output_bytes, parts.table_bytes
    again = moved + tables - weights.bytes
    line = weights.arithmetic
    if again != tables:
        line = taken_off(line, tables, "of embeddings")
        line = summed(line, f"{again:,} of them as the output matrix") if again else line
    source = "llama.cpp keeps the input layer in RAM (src/llama-model.cpp, load_tensors)"
    embeddings = term(
        "embeddings",
        tables,
        weights.how,
        f"{weights.source}; {source}",
        f"{tables:,} bytes of tables, mapped; a token reads a row of each, the rest may be dropped",
        low=0,
    )
    return weights.resized(moved, line).replace(output_bytes=parts.output_bytes), embeddings


def _loaded(
    spec: ModelSpec,
    architecture: Architecture,
    row: ArchitectureRow,
    quantization: str,
    files: SizedWeights,
    whole: tuple[Stored, ...],
    *,
    real: bool,
) -> _Loaded:
    """`whole`: all tensors of the file; `real`: they are those of the very file that was read."""
    tensors = tuple(tensor for tensor in whole if not _passed_over(tensor, row))
    size = sum(tensor.bytes for tensor in whole)
    how, source, less, more = How.EXACT, f"tensor table in the header of {spec.origin}", 0, 0
    if not real:
        how, source = How.COMPUTED, RECIPE
        if files.how is How.STATED:
            source = f"{RECIPE}; agrees with the size of {files.source.removeprefix(SIZE_OF)}"
        least, most = spread(architecture, row, quantization)
        less, more = size - least, most - size
        if not row.mtp_in_gguf:
            # the file may lack them
            less += sum(tensor.bytes for tensor in tensors if tensor.extra)
    return _Loaded(
        tensors=tensors, less=less, more=more, how=how, source=source, tied=_tied(tensors, row)
    )


def _in_layouts(loaded: _Loaded, layout: Sequence[Buffer]) -> tuple[list[Term], int]:
    """The weights as they lie in the file and those in a second layout, each with its share of the
    range; and the bytes of the originals of the second.

    A token table that is the output matrix too is in both (src/llama-model-loader.cpp,
    create_tensor: TENSOR_DUPLICATED).
    """
    copies: list[tuple[Stored, Buffer]] = []
    moved: list[Stored] = []
    rest: list[Stored] = []
    for tensor in loaded.tensors:
        buffer = _buffer_of(tensor, layout, tied=loaded.tied)
        (rest if buffer is None or tensor.name == _TOKEN_TABLE else moved).append(tensor)
        if buffer is not None:
            copies.append((tensor, buffer))
    if not copies:
        return [_as_stored(loaded)], 0
    copied, kept = (sum(tensor.bytes for tensor in part) for part in (moved, rest))
    share = kept / (kept + copied) if copied else 1
    less, more = int(loaded.less * share), int(loaded.more * share)
    own = term(
        "weights", kept, loaded.how, loaded.source, by_type(rest), low=kept - less, high=kept + more
    )
    files = ", ".join(dict.fromkeys(buffer.source for _, buffer in copies))
    as_stored = term(
        "repacked_weights",
        copied,
        loaded.how,
        f"{llamacpp.SOURCE}: {files}; interleaved for this processor, the originals in the page"
        " cache may be dropped",
        by_type(moved),
        low=copied - (loaded.less - less),
        high=copied + (loaded.more - more),
    )
    return [own, _laid_out(as_stored, copies)], copied


def _as_stored(loaded: _Loaded) -> Term:
    """All weights as they lie in the file."""
    size = sum(tensor.bytes for tensor in loaded.tensors)
    low, high = size - loaded.less, size + loaded.more
    line = by_type(loaded.tensors)
    return term("weights", size, loaded.how, loaded.source, line, low=low, high=high)


def _laid_out(as_stored: Term, copies: Sequence[tuple[Stored, Buffer]]) -> Term:
    """Weights in the buffers of a layout, where they may take more than `as_stored`."""
    size = sum(tensor.bytes + _more_bytes(tensor, buffer) for tensor, buffer in copies)
    stored = as_stored.bytes
    if size == stored:
        return as_stored
    line = _by_layout(copies)
    if any(tensor.name == _TOKEN_TABLE for tensor, _ in copies):
        line += "; the token table is among them, as the output matrix"
    # the range of what was stored grows with it
    low, high = (
        size + (end - stored) * size // (stored or size)
        for end in (as_stored.low_bytes, as_stored.high_bytes)
    )
    return as_stored.replace(bytes=size, low_bytes=low, high_bytes=high, arithmetic=line)


def _more_bytes(tensor: Stored, buffer: Buffer) -> int:
    """What a tensor takes more there than in the file."""
    blocks = tensor.bytes // BLOCKS[tensor.type][1]
    return blocks * buffer.more_bytes.get(tensor.type, 0)


def _by_layout(copies: Iterable[tuple[Stored, Buffer]]) -> str:
    """`3,413,114,880 × 148/144 bytes of Q4_K + …`, the most first."""
    sizes: dict[tuple[str, str], int] = {}
    for tensor, buffer in copies:
        block, more = BLOCKS[tensor.type][1], buffer.more_bytes.get(tensor.type)
        kind = tensor.type, f" × {block + more}/{block}" if more else ""
        sizes[kind] = sizes.get(kind, 0) + tensor.bytes
    return " + ".join(
        f"{size:,}{times} bytes of {type}"
        for (type, times), size in sorted(sizes.items(), key=lambda item: -item[1])
    )


def _tied(tensors: Iterable[Stored], row: ArchitectureRow) -> bool:
    """True for a decoder without an output matrix of its own, whatever its checkpoint has."""
    return not row.embeds and all(tensor.name != "output.weight" for tensor in tensors)


def _passed_over(tensor: Stored, row: ArchitectureRow) -> bool:
    """Of a multi-token-prediction block, and left in the file unless it is to draft."""
    return tensor.extra and not tensor.name.startswith(
        tuple(f"blk.*.{part}" for part in row.mtp_loaded)
    )


def _offload(tensors: Sequence[Stored], tied: bool) -> _Offload:
    """The input layer is never given to a device, and the output matrix goes with the last layer
    (src/llama-model.cpp, load_tensors).

    `tied`: the token table is the output matrix too, and a device has a copy of it
    (TENSOR_DUPLICATED).
    """
    output = sum(tensor.bytes for tensor in tensors if tensor.name.startswith("output."))
    tables = sum(tensor.bytes for tensor in tensors if tensor.is_table)
    again = sum(tensor.bytes for tensor in tensors if tied and tensor.name == _TOKEN_TABLE)
    layers = sum(tensor.bytes for tensor in tensors) - output - tables
    return _Offload(layer_bytes=layers, output_bytes=output + again, table_bytes=tables)


def _in_proportion(parts: _Offload, tensors: tuple[Stored, ...], size: int) -> _Offload:
    """The parts of a file of that size whose tensors have other types than these."""
    loaded = sum(tensor.bytes for tensor in tensors)
    again = parts.layer_bytes + parts.output_bytes + parts.table_bytes - loaded
    output, tables, twice = (
        size * part // loaded for part in (parts.output_bytes, parts.table_bytes, again)
    )
    return _Offload(
        layer_bytes=size - output - tables + twice, output_bytes=output, table_bytes=tables
    )


def _buffer_of(tensor: Stored, layout: Sequence[Buffer], *, tied: bool) -> Buffer | None:
    """The one in which a matrix has its second layout; None for what has none."""
    name, shape = tensor.name, tensor.shape
    if (
        not name.endswith(".weight")
        or len(shape) < 2
        or (name.startswith(_LOOKED_UP) and not (tied and name == _TOKEN_TABLE))
        or name.endswith(("attn_k_b.weight", "attn_v_b.weight"))
    ):
        return None
    return next(
        (
            buffer
            for buffer in layout
            if tensor.type in buffer.rows
            and shape[1] % buffer.rows[tensor.type] == 0
            and (buffer.stacks or len(shape) == 2)
        ),
        None,
    )


def own_block_terms(load: Load, quantization: str, compute: Term) -> list[Term]:
    """What the model's own multi-token-prediction block takes. `compute` is the model's buffer."""
    whole: tuple[Stored, ...] = ()
    if quantization in BITS_PER_WEIGHT:
        earlier = typed_earlier(load.subject.spec.released)
        whole = usual(load.architecture, load.row, quantization, earlier)
    tensors = tuple(tensor for tensor in whole if _passed_over(tensor, load.row))
    size, line = sum(tensor.bytes for tensor in tensors), by_type(tensors)
    if not load.row.mtp_in_gguf:
        line += "; published files may lack the block: take one that was converted with it"
    from .companions import block_terms

    weights = size, int(size * RECIPE_ERROR), line
    return block_terms(load.architecture, load.row, load.room, weights, compute)
