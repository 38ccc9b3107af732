"""The compute buffer of a llama.cpp process, in which the graph of one batch is computed, and the
buffer in RAM that feeds a graph on devices.

What goes in: a case. What comes out: terms in bytes. The buffer is exact for architectures whose
graph is written down (graph.py), and a guess with a range for all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...catalogue.architecture import Attention
from ..case import Batch, Case
from ..records import How, Size, Split, Term, assumed_term, computed_term, term
from ..tensors import cache_groups, states, window_of
from .buffers import compute_bytes
from .files import SIZES, SOURCE
from .weights import largest_experts_bytes

# the ends of a guess, as shares of it: 98 of 100 buffers known to the byte lie between these
GUESS_LEAST = 0.6
GUESS_MOST = 2.0
# further copies of a graph's inputs on each of several devices (GGML_SCHED_MAX_COPIES of
# ggml/src/ggml-backend.cpp is 4)
_MORE_COPIES = 3
# the most that the buffer grows for the states to roll back to, as a share of the bytes of these
# states in one layer: the result of one layer's scan holds them all before they are stored
# (build_recurrent_attn in src/models/delta-net-base.cpp), and the next layer's takes its place. The
# buffers of three models did not grow for one sequence, and by 0, 0.77 and 1.15 for two sequences:
# tests/truth/llamacpp_companions.json
_ROLLED_BACK_SHARE = 1.25
_FLOAT_BYTES = 4


def compute_buffer(case: Case) -> Term:
    """The compute buffer for a full context, in bytes: ggml's allocator (ggml/src/ggml-alloc.c)
    replayed on the architecture's graph, else a guess.
    """
    batch = case.batch
    reserved = batch
    if case.runtime.memory.logits_rows == "batch":
        # the program reserves logits for a whole batch
        reserved = batch.replace(logits_rows=case.setup.micro_batch)
    reserved_bytes = _replayed_bytes(reserved)
    if reserved_bytes is None:
        buffer = guessed_compute(reserved)
    elif case.device is None:
        size = reserved_bytes
        if reserved is not batch:
            size = _replayed_bytes(batch) or 0
        buffer = _buffer_in_ram(case, size, reserved_bytes)
    else:
        buffer = _buffer_on_device(case, reserved_bytes)
    if case.device is None:
        return buffer
    # each of several devices holds copies of a graph's inputs, mostly masks. For a prompt the first
    # device also holds copies of the experts of the largest layer in RAM (`op_offload`)
    experts_bytes = largest_experts_bytes(case) if case.setup.copies_weights else 0
    copied_bytes = _MORE_COPIES * sum(_masks(case))
    return buffer.replace(pipeline_bytes=copied_bytes, offload_bytes=experts_bytes)


def _buffer_in_ram(
    case: Case,
    size: int,
    reserved_bytes: int,
) -> Term:
    """The compute buffer in RAM, counted by the pages that are touched: the likely size by a full
    context, the least by one short prompt.
    """
    first = case.batch.replace(setup=case.setup_of_first_batch)
    low = min(size, _replayed_bytes(first) or size)
    high = size + _rolled_back_bytes(case)
    line = f"{size:,} bytes"
    if low < size:
        line += f"; {size - low:,} bytes less are touched by one short prompt"
    # llama.cpp reports the reserved bytes: the size is exact if all of them are touched
    how = How.EXACT if high == reserved_bytes else How.COMPUTED
    return term("compute", Size(low, size, high), _replay_source(case), line, how)


def _buffer_on_device(case: Case, size: int) -> Term:
    """The compute buffer on a device, which reserves all of it at load."""
    error = SIZES.device_error
    most = size + _rolled_back_bytes(case)
    ends = Size(int(size * (1 - error)), size, int(most * (1 + error)))
    source = f"{_replay_source(case)}; {SIZES.on_a_device}"
    return computed_term("compute", ends, source, f"{size:,} bytes")


def _replay_source(case: Case) -> str:
    return f"{SOURCE}; its allocator replayed on the graph of {case.model.row}"


def _replayed_bytes(batch: Batch) -> int | None:
    """The bytes of the compute buffer; None where the architecture has no graph, or the size of the
    vocabulary is not known.
    """
    if batch.model.vocabulary is None and not batch.row.encoder:
        return None
    return compute_bytes(batch)


def _rolled_back_bytes(case: Case) -> int:
    """The most bytes by which the buffer grows where each drafted token leaves a state to roll back
    to; 0 where none does.

        1.25 × states × sequences × numbers in the memory of one layer × 4

    All recurrent layers of a model have memories of one length in llama.cpp (`n_embd_s` in
    src/llama-hparams.cpp).
    """
    if case.setup.states == 1:
        return 0
    memories = [state.memory for state in states(case.model)]
    memory_bytes = _FLOAT_BYTES * max(memories, default=0)
    kept_bytes = case.setup.states * case.parallel * memory_bytes
    return int(_ROLLED_BACK_SHARE * kept_bytes)


class _Moment(NamedTuple):
    """The bytes in use at one moment of a batch, with their line of arithmetic."""

    bytes: int
    line: str


def guessed_compute(batch: Batch) -> Term:
    """The compute buffer of an architecture without a graph: the larger of the logits, and the
    widest layer with its masks.
    """
    moment = _moment_of_widest_layer(batch)
    logits = _moment_of_logits(batch)
    if logits.bytes > moment.bytes:
        moment = logits
    size = moment.bytes
    most = size
    line = moment.line
    if batch.model.vocabulary is None and not batch.row.encoder:
        tokens = SIZES.largest_vocabulary
        line += f"; the vocabulary is not stated: logits of up to {tokens:,} tokens"
        most += _FLOAT_BYTES * batch.logits_rows * tokens
    ends = Size(int(size * GUESS_LEAST), size, int(most * GUESS_MOST))
    source = f"{SOURCE}; a guess by the widest layer, for no graph is written down"
    return assumed_term("compute", ends, source, line)


def _moment_of_logits(batch: Batch) -> _Moment:
    """The moment of the logits: 4 × (tokens × width + rows × (vocabulary + width)). An encoder has
    no logits.
    """
    width = batch.model.embedding_length
    numbers = batch.tokens * width
    if not batch.row.encoder:
        rows = min(batch.tokens, batch.logits_rows)
        numbers += rows * (batch.model.gguf_tokens + width)
    size = _FLOAT_BYTES * numbers
    return _Moment(size, f"{size:,} bytes of logits")


def _moment_of_widest_layer(batch: Batch) -> _Moment:
    """The moment of the widest layer: tokens × (cells × bytes of masks + 4 × numbers alive of a
    token).
    """
    model = batch.model
    setup = batch.setup
    cells = setup.cells_per_stream
    if batch.row.encoder:
        cells = batch.tokens
    if not model.attention:
        cells = 0
    mask_bytes = setup.mask_bytes
    mask_bytes += _indexer_bytes(model.attention) // setup.streams
    alive = 4 * model.embedding_length
    alive += _numbers_in_widest_layer(batch)
    alive += _arrays_of_scores(batch) * cells * model.most_heads
    size = batch.tokens * (cells * mask_bytes + _FLOAT_BYTES * alive)
    line = f"{cells:,} cells × {mask_bytes} bytes of masks"
    line += f" + {alive:,} numbers alive × 4 bytes"
    return _Moment(size, f"{batch.tokens:,} tokens × ({line})")


def _arrays_of_scores(batch: Batch) -> int:
    """The number of arrays of attention scores that are alive at once."""
    if batch.row.relative_positions:
        # the scores, and the table of distances transposed
        return 3
    if batch.row.biased_scores:
        return batch.row.biased_scores
    if batch.row.unfused:
        return 1
    return 0 if batch.setup.flash else 1


def _numbers_in_widest_layer(batch: Batch) -> int:
    """The number of values of a token that are alive in the widest part of any layer."""
    numbers = [0]
    for recurrent in batch.model.recurrent:
        inner_length = recurrent.inner_length or 0
        numbers.append(4 * inner_length)
    matrices = 1 if batch.row.gate == "none" else 3
    for feed in batch.model.feed_forward:
        numbers.append(feed.chosen * feed.length * matrices)
    for heads in batch.model.attention:
        numbers.append(_numbers_of_attention(heads))
    return max(numbers)


def _indexer_bytes(attention: Sequence[Attention]) -> int:
    """The bytes of a cell in the masks of a sparse indexer: the scores of all its heads, twice; 0
    without an indexer.
    """
    for group in attention:
        if not group.indexer_heads:
            continue
        if group.kind == "latent":
            return 6
        if group.kind == "full":
            return 8 * group.indexer_heads + 4
    return 0


def _numbers_of_attention(heads: Attention) -> int:
    """The number of values of a token that are alive during attention."""
    if heads.kind != "latent":
        return 2 * (heads.heads + heads.kv_heads) * heads.key_length
    numbers = heads.heads * (heads.key_length + 2 * heads.latent_row_length)
    # 22 measured buffers of DeepSeek V3.2 and GLM 5, which have an indexer, are twice as large
    return 2 * numbers if heads.indexer_heads else numbers


def _masks(case: Case) -> list[int]:
    """The bytes of each mask: one for all layers without a window, and one for all layers with one
    (llm_graph_input_attn_kv in src/llama-graph.cpp).

    tokens × cells × bytes of a mask
    """
    setup = case.setup
    of_cell = setup.mask_bytes * setup.micro_batch
    by_window = {}
    for group in cache_groups(case.model):
        window = window_of(case.model, group)
        by_window[window] = of_cell * setup.cells_of_layer(window)
    return list(by_window.values())


def inputs_in_ram(case: Case) -> Term:
    """The inputs of the graph of a model on a device, in bytes, pinned in RAM
    (ggml_backend_sched_split_graph in ggml/src/ggml-backend.cpp): masks, and the embeddings of a
    batch as they are looked up and as a caller may pass them in. With several devices there are
    four copies of the masks.

    No other buffer of a batch is in RAM, even where some weights lie there: a device computes with
    those too.

    masks + tables × tokens × width × 4 + numbers of places
    """
    tokens = case.setup.micro_batch
    masks = _masks(case)
    masks_bytes = sum(masks)
    # vectors that may be given instead of tokens, and looked-up embeddings of tokens and of
    # positions
    tables = 3 if case.row.positions else 2
    embeddings_bytes = tables * tokens * case.model.embedding_length * _FLOAT_BYTES
    # positions, row numbers, and the places of keys and values in the cache of each kind of layers
    numbers_bytes = tokens * (8 + 16 * len(masks))
    size = masks_bytes + embeddings_bytes + numbers_bytes
    line = f"{masks_bytes:,} bytes of masks + {embeddings_bytes:,} bytes of embeddings"
    line += f" + {numbers_bytes:,} bytes of positions; in batches of {tokens:,} tokens"
    source = f"{SOURCE}: CUDA_Host compute buffer; 54 cases on a GPU"
    inputs = computed_term("compute", size, source, line)
    copied_bytes = _MORE_COPIES * masks_bytes
    return inputs.replace(split=Split.HOST, pipeline_bytes=copied_bytes)
