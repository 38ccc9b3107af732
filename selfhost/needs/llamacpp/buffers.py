"""What llama.cpp allocates on a CPU for a model it has loaded.

The rules are read from its source and compared with measurements (llama.cpp 0c1e570, 2026). Cache
and state are exact to the byte. The compute buffer is a closed form with a stated error. Ollama
runs the same code.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from ...catalogue.spec import Architecture, Attention
from ...core.records import Record, remembered
from ..cache import CacheGroup, cache_groups, compressors, keeps_compressed, states
from ..quantization import row_bytes
from ..tensors import ArchitectureRow
from .style import ClosedForm

SOURCE = "llama.cpp 0c1e570 (2026-10), rules checked by measurement"

MICRO_BATCH_TOKENS = 512
"""`n_ubatch`, the default of every llama.cpp program (common/common.h)."""

_CELL_STEP = 256


class Cells(Record):
    """How many tokens a cache has room for, `full` per stream. `batch` as set; `micro_batch` no
    longer than the context.

    `whole_windows`: layers with a window keep the whole context (`swa_full`: the library's default,
    not that of its programs).
    """

    full: int
    streams: int
    micro_batch: int
    batch: int
    sequences: int
    unified: bool
    whole_windows: bool = False

    @property
    def encoded(self) -> int:
        """Tokens of one batch of an encoder: bounded by the padded context, not by the one
        asked for.
        """
        return min(self.batch, self.full * self.streams)

    def of(self, window_tokens: int | None, tokens_per_row: int = 1) -> int:
        """Cells of a layer with that window, None for one that keeps everything,
        `tokens_per_row` in each.
        """
        if tokens_per_row > 1:
            return padded(-(-self.full // tokens_per_row))
        if window_tokens is None or self.whole_windows:
            return self.full
        room = window_tokens * (self.sequences if self.unified else 1) + self.micro_batch
        return padded(min(self.full, room))


def padded(tokens: int) -> int:
    """Rounded up to a multiple of 256 cells."""
    return -(-tokens // _CELL_STEP) * _CELL_STEP


def batch_of(row: ArchitectureRow, context_tokens: int) -> int:
    """`n_ubatch` for texts of that length: an encoder takes each whole (src/llama-context.cpp:
    n_ubatch >= n_tokens).
    """
    return max(MICRO_BATCH_TOKENS, context_tokens) if row.encoder else MICRO_BATCH_TOKENS


def cells(
    context_tokens: int,
    *,
    sequences: int = 1,
    unified: bool = False,
    micro_batch: int = MICRO_BATCH_TOKENS,
    whole_windows: bool = False,
) -> Cells:
    """`context_tokens` is `n_ctx`: of all sequences together. A unified cache is one stream
    that all share.
    """
    total = padded(context_tokens)
    full = total if unified else padded(total // sequences)
    return Cells(
        full=full,
        streams=1 if unified else sequences,
        micro_batch=min(micro_batch, context_tokens),
        batch=micro_batch,
        sequences=sequences,
        unified=unified,
        whole_windows=whole_windows,
    )


def room_of(architecture: Architecture, room: Cells) -> Cells:
    """The cells of this architecture. DeepSeek V4 always has one cache per sequence
    (src/llama-kv-cache-dsv4.cpp).
    """
    return (
        room.replace(unified=False, streams=room.sequences)
        if keeps_compressed(architecture)
        else room
    )


def window_of(
    architecture: Architecture, row: ArchitectureRow, group: CacheGroup | Attention
) -> int | None:
    """The window that llama.cpp's cache of these layers has; None where it keeps every token."""
    if row.window_cache == "ignored" or row.window_cache_layers not in (None, architecture.layers):
        return None
    return group.window_tokens


def window_known(row: ArchitectureRow, group: CacheGroup) -> bool:
    """Whether somebody checked that llama.cpp follows the window of this architecture."""
    return group.window_tokens is None or bool(row.window_cache)


def cached_groups(
    architecture: Architecture, row: ArchitectureRow | None
) -> tuple[CacheGroup, ...]:
    """What has room in llama.cpp's cache: for some encoders too, which read none, and of Ling 3 the
    multi-token-prediction blocks as well (src/llama-model.cpp filters no layer).
    """
    groups = cache_groups(architecture, None if row is not None and row.idle_cache else row)
    if row is None or not row.mtp_cached or not groups:
        return groups
    return *groups[:-1], groups[-1].replace(
        layers=groups[-1].layers + (architecture.mtp_layers or 0)
    )


def cache_bytes(
    architecture: Architecture,
    row: ArchitectureRow,
    room: Cells,
    *,
    key_type: str,
    value_type: str,
    flash_attention: bool = True,
) -> int:
    """Bytes of the KV cache. Without flash attention every V row has the largest width of any
    layer, and idle layers have a row too.
    """
    groups, room = cached_groups(architecture, row), room_of(architecture, room)
    widest = None if flash_attention else max((group.value_elements for group in groups), default=0)
    size = sum(
        room.of(window_of(architecture, row, group), group.tokens_per_row)
        * room.streams * group.layers
        * (row_bytes(key_type, group.key_elements) + row_bytes(value_type,
            group.value_elements if widest is None else widest))
        for group in groups
    )  # fmt: skip
    return size + room.full * room.streams * idle_layers(architecture) * row_bytes(
        value_type, widest or 0
    )


def indexer_bytes(
    row: ArchitectureRow, group: CacheGroup, room: Cells, key_type: str, value_type: str
) -> int:
    """Bytes that sparse indexers keep beside the cache of these layers."""
    size = row_bytes(key_type, group.indexer_elements)
    if row.indexer_values:
        size += row_bytes(value_type, group.indexer_elements)
    return room.full * room.streams * group.layers * size


def idle_layers(architecture: Architecture) -> int:
    """Layers that do not attend and yet have a V row without flash attention: of a model
    without a state, whose cache leaves out none.
    """
    attending = {layer for group in architecture.attention for layer in group.layers}
    return 0 if architecture.recurrent or not attending else architecture.layers - len(attending)


@remembered(512)
def state_bytes(architecture: Architecture, sequences: int) -> int:
    """Bytes of the recurrent state: 32-bit floats, one state per sequence. Neither the context nor
    the cache type changes it.
    """
    kept = (*states(architecture), *compressors(architecture))
    return sum(4 * (state.convolution + state.memory) * state.layers * sequences for state in kept)


# ------------------------------------------------------------------ compute buffer


class Compute(Record):
    """The compute buffer and the factors of its product."""

    bytes: int
    arithmetic: str


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
