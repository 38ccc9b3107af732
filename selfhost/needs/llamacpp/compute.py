"""The compute buffer of a llama.cpp process, in which the graph of one batch is computed, and the
buffer in RAM that feeds a graph on devices.

What goes in: a case. What comes out: terms in bytes. The buffer is computed from what is alive at
the fullest moment of a batch (alive.py), and has the range that measured buffers support.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...catalogue.architecture import Attention
from ...core.records import Record
from ..case import Batch, Case
from ..records import Size, Split, Term, assumed_term, computed_term
from ..tensors import cache_groups, states, window_of
from .alive import is_measured, numbers_alive
from .files import SIZES, SOURCE
from .weights import largest_experts_bytes

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


class _Buffer(Record):
    """A size in bytes, with its line of arithmetic."""

    bytes: int
    line: str


class _Shares(Record):
    """The ends of a range, as shares of the likely size."""

    least: float
    most: float


# of 1,651 measured buffers 96 of 100 lie between these shares of what is computed here, and 94 of
# 100 of the 709 of GGUF headers in the tests, which were not looked at before (tests/truth,
# tests/data/headers/gguf)
_MEASURED = _Shares(least=0.9, most=1.15)
# devices other than the two that were measured (`on_a_device` of memory.toml)
_ON_A_DEVICE = _Shares(least=1 - SIZES.device_error, most=1 + SIZES.device_error)
# a guess, where a kind of layer was never measured
_GUESSED = _Shares(least=0.6, most=2.0)


def compute_buffer(case: Case) -> Term:
    """The compute buffer for a full context, in bytes."""
    if case.device is None:
        return _buffer_in_ram(case)
    return _buffer_on_device(case)


def _buffer_in_ram(case: Case) -> Term:
    """The compute buffer in RAM, counted by the pages that are touched: the least by one short
    prompt.
    """
    batch = case.batch
    first = batch.replace(setup=case.setup_of_first_batch)
    full = _buffer_of(batch)
    least = min(full.bytes, buffer_bytes(first))
    buffer = _ranged(case, batch, full, least, _MEASURED)
    if least == full.bytes:
        return buffer
    remark = f"{full.bytes - least:,} bytes less are touched by one short prompt"
    return buffer.replace(arithmetic=f"{buffer.arithmetic}; {remark}")


def _buffer_on_device(case: Case) -> Term:
    """The compute buffer on a device, which reserves all of it at load."""
    batch = case.batch
    if case.runtime.memory.logits_rows == "batch":
        # the program reserves logits for a whole batch
        batch = batch.replace(logits_rows=case.setup.micro_batch)
    full = _buffer_of(batch)
    buffer = _ranged(case, batch, full, full.bytes, _ON_A_DEVICE)
    # each of several devices holds copies of a graph's inputs, mostly masks. For a prompt the first
    # device also holds copies of the experts of the largest layer in RAM (`op_offload`)
    experts_bytes = largest_experts_bytes(case) if case.setup.copies_weights else 0
    copied_bytes = _MORE_COPIES * sum(_masks(batch))
    return buffer.replace(pipeline_bytes=copied_bytes, offload_bytes=experts_bytes)


def _ranged(
    case: Case,
    batch: Batch,
    buffer: _Buffer,
    least: int,
    shares: _Shares,
) -> Term:
    """The term of the buffer of this batch, in the range of these shares, or in that of a
    guess. Its low end is the lower share of `least` bytes.
    """
    most = buffer.bytes + _rolled_back_bytes(case)
    line = buffer.line
    is_guess = not is_measured(batch)
    if batch.model.vocabulary is None and not batch.row.encoder:
        is_guess = True
        tokens = SIZES.largest_vocabulary
        line += f"; the vocabulary is not stated: logits of up to {tokens:,} tokens"
        most += _FLOAT_BYTES * batch.logits_rows * tokens
    if is_guess:
        shares = _GUESSED
    ends = Size(int(least * shares.least), buffer.bytes, int(most * shares.most))
    if is_guess:
        source = f"{SOURCE}; a guess by the widest layer, which was not measured"
        return assumed_term("compute", ends, source, line)
    source = f"{SOURCE}: what a batch holds at its fullest moment"
    if case.device is not None:
        source += f"; {SIZES.on_a_device}"
    return computed_term("compute", ends, source, line)


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


def buffer_bytes(batch: Batch) -> int:
    """The compute buffer of a batch, in bytes."""
    return _buffer_of(batch).bytes


def _buffer_of(batch: Batch) -> _Buffer:
    """The compute buffer of a batch: the larger of the widest layer with its masks, and the
    logits.
    """
    layer = _widest_layer(batch)
    logits = _logits(batch)
    return logits if logits.bytes > layer.bytes else layer


def _widest_layer(batch: Batch) -> _Buffer:
    """The masks, and the numbers of the batch that are alive in the widest layer.

    bytes of masks + tokens × numbers of a token × 4
    """
    alive = numbers_alive(batch)
    masks_bytes = _masks_bytes(batch)
    size = masks_bytes + batch.tokens * alive * _FLOAT_BYTES
    line = f"{masks_bytes:,} bytes of masks"
    line += f" + {batch.tokens:,} tokens × {alive:,} numbers alive × 4 bytes"
    return _Buffer(bytes=size, line=line)


def _logits(batch: Batch) -> _Buffer:
    """The rows of logits beside their last hidden state: rows × (vocabulary + width) × 4, and in
    RAM the vectors that may come in place of tokens. A model that embeds has no logits.
    """
    if batch.row.embeds:
        return _Buffer(bytes=0, line="0 bytes")
    width = batch.model.embedding_length
    rows = min(batch.tokens, batch.logits_rows)
    numbers = rows * (batch.model.gguf_tokens + width)
    if not batch.on_device:
        numbers += batch.tokens * width
    return _Buffer(
        bytes=_FLOAT_BYTES * numbers, line=f"{numbers:,} numbers of logits × 4 bytes"
    )


def _masks_bytes(batch: Batch) -> int:
    """The bytes of all masks, those of sparse indexers included. An encoder masks the tokens of its
    batch, once for each window.
    """
    setup = batch.setup
    tokens = batch.tokens
    if batch.row.encoder:
        windows = {group.window_tokens for group in batch.model.attention}
        return len(windows) * tokens**2 * setup.mask_bytes
    of_cell = _indexer_bytes(batch.model.attention)
    # the streams share the tokens of a batch; the division comes last, since it rounds down
    indexer_bytes = tokens * setup.cells_per_stream * of_cell // setup.streams
    return sum(_masks(batch)) + indexer_bytes


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


def _masks(batch: Batch) -> list[int]:
    """The bytes of each mask: one for all layers without a window, and one for all layers with one
    (llm_graph_input_attn_kv in src/llama-graph.cpp).

    tokens × cells × bytes of a mask
    """
    setup = batch.setup
    of_cell = setup.mask_bytes * setup.micro_batch
    by_window = {}
    for group in cache_groups(batch.model):
        window = window_of(batch.model, group)
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
    masks = _masks(case.batch)
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
