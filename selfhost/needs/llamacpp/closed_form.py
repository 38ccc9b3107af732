"""The compute buffer by a closed form, of architectures without a graph here: the largest of four
moments.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from ...catalogue.spec import Architecture
from ..cache import CacheGroup, cache_groups, keeps_compressed, states
from ..quantization import row_bytes
from ..tensors import ArchitectureRow
from .buffers import Cells, Compute, room_of, window_of
from .style import ClosedForm


@lru_cache(maxsize=512)
def compute(
    architecture: Architecture,
    row: ArchitectureRow,
    room: Cells,
    logits_rows: int,
    flash_attention: bool = True,
    key_type: str = "f16",
) -> Compute:
    """The compute buffer by a closed form: the largest of four moments, when the logits, the
    feed-forward, the attention or the state are alive.
    """
    if keeps_compressed(architecture):
        return _compressed(architecture, room_of(architecture, room), flash_attention, key_type)
    width, vocabulary = (
        architecture.embedding_length,
        architecture.vocabulary_gguf or architecture.vocabulary or 0,
    )
    tokens = room.encoded if row.encoder else min(room.micro_batch, room.full * room.streams)
    rows = min(room.micro_batch, logits_rows)
    groups = cache_groups(architecture, row)
    masked = tokens if row.encoder else sum(_masks(room, architecture, row, groups))
    mask_width = 2 if flash_attention else 4
    windowed = any(window_of(architecture, row, group) is not None for group in groups)
    inputs = _inputs(architecture) + (4 if windowed else 0)
    feed_forward = _feed_forward(architecture, row)
    attention, inputs = _attention(architecture, row, groups, room, tokens, inputs, flash_attention)
    recurrent = _recurrent(architecture, room, tokens)
    live = int(tokens * (inputs + max(feed_forward, attention, recurrent)))
    if row.rewrites:
        # the text that the encoder read, as long as it can be, and who may look at it
        read = architecture.context_tokens or 0
        live, masked = live + read * width, masked + read
    body = tokens * masked * mask_width + 4 * live
    # an encoder ends in one vector per sequence
    logits = 4 * (tokens * width + (0 if row.encoder else rows * (vocabulary + width)))
    if logits > body:
        last = "" if row.encoder else f" + {rows:,} rows of logits × ({vocabulary:,} + {width:,})"
        return Compute(bytes=logits, arithmetic=f"4 bytes × ({tokens:,} tokens × {width:,}{last})")
    line = (
        f"{tokens:,} tokens × {masked:,} cells × {mask_width} bytes of mask + {live:,} numbers"
        " alive × 4 bytes"
    )
    return Compute(bytes=body, arithmetic=line)


def _inputs(architecture: Architecture) -> int:
    """Elements per token of what the graph is given, without masks."""
    width = architecture.embedding_length
    per_layer = (architecture.per_layer_embedding_length or 0) * architecture.layers
    return width + 6 + 2 * per_layer + 2 * (architecture.deepstack_layers or 0) * width


def _compressed(architecture: Architecture, room: Cells, flash: bool, key_type: str) -> Compute:
    """DeepSeek V4: parallel streams, of which a layer holds three copies, experts four; the rows of
    window and context are joined.

    Read from src/models/deepseek4.cpp; the number of copies follows from how the buffer changes
    with width, heads and experts.
    """
    width, streams = architecture.embedding_length, architecture.altup_inputs or 1
    tokens, mask_width = room.micro_batch, 2 if flash else 4
    heads = max(group.heads * group.key_length for group in architecture.attention)
    expert = max(
        ((group.used or 1) * (group.length + width) for group in architecture.feed_forward),
        default=0,
    )
    live = max(2 * heads + (3 * streams + 3) * width, expert + (4 * streams + 3) * width)
    joined, masked = _joined_rows(architecture, room)
    scores = 0 if flash else joined * max(group.heads for group in architecture.attention)
    # attention reads 16 bits, so rows of 32 are copied twice
    key = max(group.key_length for group in architecture.attention)
    row_width = row_bytes(key_type, key) + (2 * key if flash and key_type == "f32" else 0)
    copied = room.streams * joined * row_width + tokens * joined * mask_width * 2
    # the queries of quantized rows are rotated
    turned = 2 if key_type in ("f16", "bf16", "f32") else 3
    mask = tokens * masked * mask_width
    body = max(
        4 * tokens * (live + scores),
        4 * tokens * (turned * heads + (2 * streams + 1) * width + scores) + copied,
    )
    line = (
        f"{tokens:,} tokens × {body // tokens // 4:,} numbers alive × 4 bytes + {mask:,} bytes of"
        " masks"
    )
    return Compute(bytes=body + mask, arithmetic=line)


def _joined_rows(architecture: Architecture, room: Cells) -> tuple[int, int]:
    """The rows of window and context that one layer reads, and those of all masks."""
    kinds = {group.compression: group for group in architecture.attention}
    near = room.of(next(iter(kinds.values())).window_tokens)
    rows = {every: room.of(None, every) for every in kinds if every}
    indexed = [every for every, group in kinds.items() if every and group.indexer_heads]
    masked = near + sum(rows.values()) + sum(rows[every] for every in indexed)
    # a layer with an indexer has zeros for the rows it may choose, as wide as a mask
    zeros = sum(
        min(rows[every], kinds[every].indexer_rows or 0) * len(kinds[every].layers)
        for every in indexed
    )
    return near + max(rows.values(), default=0), masked + zeros


def _masks(
    room: Cells, architecture: Architecture, row: ArchitectureRow, groups: Iterable[CacheGroup]
) -> list[int]:
    """Elements of the masks: one for layers that keep everything, one for those with a window."""
    windows = [window_of(architecture, row, group) for group in groups]
    full_cells = [room.full] if None in windows else []
    sliding = [window for window in windows if window is not None]
    return [*full_cells, room.of(sliding[0])] if sliding else full_cells


def _feed_forward(architecture: Architecture, row: ArchitectureRow) -> float:
    """Elements per token that are alive during the largest feed-forward."""
    form, width = row.closed_form, architecture.embedding_length
    dense = max(
        (group.length for group in architecture.feed_forward if not group.experts), default=0
    )
    experts = [group for group in architecture.feed_forward if group.experts]
    beside, gated = _beside(architecture, form), row.gate != "none"
    live = 0.0
    if dense and not (form.experts_alone and experts):
        live = (3 if gated else 1) * dense + beside * width
    for group in experts:
        used, length, inner = group.used or 1, group.length, group.latent_length or width
        need = float((3 if gated else 1) * used * length)
        # gate and up are free again: the result of down takes their room when it fits
        if inner > 2 * length or not gated or form.down_apart:
            need += used * inner
        live = max(live, need + beside * width)
    return live


def _beside(architecture: Architecture, form: ClosedForm) -> float:
    """Elements per token that stay alive beside the feed-forward, in units of the model's width."""
    groups = architecture.feed_forward
    cases = (
        (form.beside_with_slices, bool(architecture.per_layer_embedding_length)),
        (form.beside_unshared, not any(group.shared_length for group in groups if group.experts)),
        (form.beside_without_dense, not any(group.length for group in groups if not group.experts)),
    )
    return next((beside for beside, holds in cases if holds and beside is not None), form.beside)


def _attention(
    architecture: Architecture,
    row: ArchitectureRow,
    groups: tuple[CacheGroup, ...],
    room: Cells,
    tokens: int,
    inputs: int,
    flash: bool,
) -> tuple[float, int]:
    """Elements per token that are alive during the largest attention, and those of the inputs."""
    if not architecture.attention:
        return 0.0, inputs
    keys = max((group.key_elements for group in groups), default=0)
    if row.encoder:
        keys = max(group.kv_heads * group.key_length for group in architecture.attention)
    heads = max(group.heads for group in architecture.attention)
    live, unfused = _queried(architecture, keys)
    span = tokens if row.encoder else room.full
    if row.relative_positions:
        # distances, their weights twice, the scores and what is made of them: flash attention knows
        # no such weights
        if not row.encoder and not flash:
            span = max(span, architecture.context_tokens or 0)
        return float(max(live, 4 * span * heads + unfused)), inputs + span
    if flash:
        return float(live), inputs
    is_latent = any(group.kind == "latent" for group in architecture.attention)
    return float(max(live, span * heads + unfused)), inputs + (0 if is_latent else 2 * keys)


def _queried(architecture: Architecture, keys: int) -> tuple[int, int]:
    """Elements per token of queries and keys: all that are alive at once, and those beside the
    scores where flash attention does not fuse them.
    """
    width = architecture.embedding_length
    latent = next((group for group in architecture.attention if group.kind == "latent"), None)
    if latent is None:
        queries = max(group.heads * group.key_length for group in architecture.attention)
        return 2 * width + 2 * queries + 2 * keys, queries + 2 * width
    heads = max(group.heads for group in architecture.attention)
    size, rope = latent.latent_length or 0, latent.rope_length or 0
    live = 2 * width + heads * (latent.key_length + rope + 2 * size + rope) + 2 * size
    return live, heads * (size + rope) + 2 * width


def _recurrent(architecture: Architecture, room: Cells, tokens: int) -> float:
    width, live = architecture.embedding_length, 0.0
    for group, state in zip(
        [group for group in architecture.recurrent if group.layers],
        states(architecture),
        strict=True,
    ):
        share = room.sequences / tokens
        per_sequence = (state.memory + 2 * state.convolution) * share
        if group.kind == "mamba":
            live = max(live, 6 * (group.inner_length or 0) + per_sequence)
        elif group.kind == "mamba2":
            inner, mixed = group.inner_length or 0, (group.groups or 0) * (group.state_length or 0)
            projected, convolved = 2 * inner + 2 * mixed + (group.heads or 0), inner + 2 * mixed
            live = max(live, projected + 2 * convolved + 2 * inner + width + per_sequence)
        elif group.kind == "delta":
            inner, keys = (
                (group.heads or 0) * (group.value_length or 0),
                (group.key_heads or 0) * (group.key_length or 0),
            )
            convolved = inner + 2 * keys
            first = 3 * convolved + 2 * width + 2 * state.convolution * share
            second = (
                2 * convolved
                + 2 * keys
                + inner
                + width
                + (2 * state.memory + state.convolution) * share
            )
            live = max(live, first, second)
    return live
