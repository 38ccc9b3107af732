"""What a batch keeps alive in llama.cpp's compute buffer, in numbers of one token.

llama.cpp gives each tensor of a batch memory from its computation to its last reader
(ggml/src/ggml-alloc.c). The buffer is as large as the fullest moment of the widest layer: its
attention, its recurrence or its feed-forward, each beside the hidden state and a copy of it. The
sums here follow src/llama-graph.cpp and src/models of llama.cpp 0c1e570. Masks and logits are
counted in compute.py.
"""

from __future__ import annotations

from ...catalogue.architecture import Attention, FeedForward
from ..case import Batch
from ..tensors import alive_in_recurrence, window_of

# kinds of attention whose cells follow from their window
_CACHED_BY_WINDOW = ("full", "sliding", "latent")
# kinds of attention whose buffers were measured
_MEASURED_ATTENTION = ("full", "sliding", "latent")


def is_measured(batch: Batch) -> bool:
    """Whether the buffers of all kinds of layers of the model were measured."""
    model = batch.model
    row = batch.row
    if row.relative_positions or row.biased_scores or row.hyper_connections:
        return False
    for heads in model.attention:
        if heads.kind not in _MEASURED_ATTENTION or heads.indexer_heads:
            return False
    return all(alive_in_recurrence(group, model, 1) for group in model.recurrent)


def numbers_alive(batch: Batch) -> int:
    """The most numbers of a token that are alive at once in any layer."""
    model = batch.model
    moments = [0]
    for heads in model.attention:
        moments.append(_in_attention(batch, heads))
    for recurrent in model.recurrent:
        states = batch.setup.sequences / batch.tokens
        moments.append(alive_in_recurrence(recurrent, model, states))
    for feed in model.feed_forward:
        moments.append(_in_feed_forward(batch, feed))
    return max(moments) + _in_every_layer(batch)


def _in_every_layer(batch: Batch) -> int:
    """The inputs that stay alive through all layers: embeddings that layers add, places in the
    cache of values without flash attention, and in RAM the vectors that may come in place of
    tokens.
    """
    model = batch.model
    early_layers = model.deepstack_layers or 0
    slice_length = model.per_layer_embedding_length or 0
    width = model.embedding_length
    numbers = early_layers * width + model.layers * slice_length
    if not batch.on_device:
        numbers += (1 + early_layers) * width
    if not batch.setup.flash and not batch.row.encoder:
        windows = {window_of(model, heads) for heads in model.attention}
        # without flash attention the cache of values lies transposed, so that each number of a
        # value has a place of its own, of 64 bits
        numbers += 2 * len(windows) * _longest_values(batch)
    return numbers


def _longest_values(batch: Batch) -> int:
    """The length of a row of values in the cache without flash attention: the longest of any layer.
    Latent attention has one row for both key and value.
    """
    lengths = [0]
    for heads in batch.model.attention:
        if heads.kind != "latent":
            lengths.append(heads.kv_heads * heads.value_length)
    return max(lengths)


def _in_attention(batch: Batch, heads: Attention) -> int:
    """The numbers alive in attention: queries, keys and values, or the scores of all cells."""
    setup = batch.setup
    width = batch.model.embedding_length
    queries = heads.heads * heads.key_length
    keys = heads.kv_heads * heads.key_length
    values = heads.kv_heads * heads.value_length
    cells = setup.cells_per_stream
    if batch.row.encoder:
        cells = batch.tokens
    elif heads.kind in _CACHED_BY_WINDOW:
        cells = setup.cells_of_layer(window_of(batch.model, heads))
    scores = _arrays_of_scores(batch) * cells * heads.heads
    if heads.kind == "latent":
        return 3 * width + _latent_queries(heads) + scores
    if batch.row.encoder:
        # keys and values are copied in 16 bits
        copies = (keys + values) // 2
        attended = heads.heads * heads.value_length
        return width + queries + keys + values + copies + attended + scores
    if scores:
        return 2 * width + 2 * queries + scores
    # flash attention reads 16 bits, so a cache of 32 is copied whole
    copied = 0
    if setup.key_type == "f32":
        copied += keys
    if setup.value_type == "f32":
        copied += values
    copies = setup.streams * cells * copied // 2 // batch.tokens
    return 2 * width + queries + keys + values + copies


def _latent_queries(heads: Attention) -> int:
    """The queries of latent attention: as they are made, and twice as long as a row of the cache.
    With a sparse indexer there are twice as many: 25 measured buffers of DeepSeek V3.2 and GLM 5.
    """
    made = heads.key_length + heads.rotated_length
    queries = heads.heads * (made + 2 * heads.latent_row_length)
    return 2 * queries if heads.indexer_heads else queries


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


def _in_feed_forward(batch: Batch, feed: FeedForward) -> int:
    """The numbers alive in a feed-forward: gate, up and their product, of all chosen experts. The
    experts' outputs take the place of gate and up where they are no longer than both.
    """
    width = batch.model.embedding_length
    length = max(feed.length * feed.chosen, feed.shared_numbers)
    outputs = 0
    if feed.chosen > 1:
        output_length = feed.latent_length or width
        outputs = feed.chosen * output_length
    numbers = 2 * width + _room_of_attention(batch)
    if batch.row.altup:
        # all versions of the hidden state beside the one that is computed, and its inputs
        versions = batch.model.altup_inputs or 2
        numbers += (versions + 2) * width
    if batch.row.gate == "none":
        return numbers + length + outputs
    numbers += 3 * length
    if outputs > 2 * length:
        numbers += outputs
    return numbers


def _room_of_attention(batch: Batch) -> int:
    """The room that attention leaves empty below a feed-forward, whose tensors are larger: as long
    as the output of all heads, or with latent attention alone as the model is wide. Recurrences,
    encoders, and queries from one matrix with keys and values leave none.
    """
    model = batch.model
    if batch.row.encoder or model.recurrent:
        return 0
    if batch.row.fused_qkv and batch.row.gate != "none":
        return 0
    lengths = []
    for heads in model.attention:
        if heads.kind != "latent":
            lengths.append(heads.heads * heads.value_length)
    return max(lengths, default=model.embedding_length)
