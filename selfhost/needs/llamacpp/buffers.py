"""What llama.cpp allocates on a CPU for a model it has loaded.

The rules are read from its source and compared with measurements (llama.cpp 0c1e570, 2026). Cache
and state are exact to the byte. Ollama runs the same code.
"""

from __future__ import annotations

from functools import lru_cache

from ...catalogue.architecture import Architecture, Attention
from ...catalogue.runtime import RuntimeSpec
from ...core.records import Record
from ..cache import CacheGroup, cache_groups, compressors, keeps_compressed, states
from ..parts import Asked, Subject
from ..quantization import row_bytes
from ..tensors import ArchitectureRow

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
    """The cells: DeepSeek V4 always has one cache per sequence (src/llama-kv-cache-dsv4.cpp)."""
    is_apart = keeps_compressed(architecture)
    return room.replace(unified=False, streams=room.sequences) if is_apart else room


def window_of(
    architecture: Architecture, row: ArchitectureRow, group: CacheGroup | Attention
) -> int | None:
    """The window that llama.cpp's cache of these layers has; None where it keeps every token."""
    if row.window_cache == "ignored" or row.window_cache_layers not in (None, architecture.layers):
        return None
    return group.window_tokens


def cached_groups(
    architecture: Architecture, row: ArchitectureRow | None
) -> tuple[CacheGroup, ...]:
    """What has room in llama.cpp's cache: for some encoders too, which read none, and of Ling 3 the
    multi-token-prediction blocks as well (src/llama-model.cpp filters no layer).
    """
    groups = cache_groups(architecture, None if row is not None and row.idle_cache else row)
    if row is None or not row.mtp_cached or not groups:
        return groups
    layers = groups[-1].layers + (architecture.mtp_layers or 0)
    return *groups[:-1], groups[-1].replace(layers=layers)


def cache_bytes(
    architecture: Architecture,
    row: ArchitectureRow,
    room: Cells,
    key_type: str,
    value_type: str,
    flash_attention: bool = True,
) -> int:
    """Bytes of the KV cache, with what sparse indexers keep. Without flash attention every V row
    has the largest width of any layer, and idle layers have a row too.
    """
    groups, room, size = cached_groups(architecture, row), room_of(architecture, room), 0
    widest = 0 if flash_attention else max((group.value_elements for group in groups), default=0)
    for group in groups:
        cells = room.of(window_of(architecture, row, group), group.tokens_per_row)
        keys = row_bytes(key_type, group.key_elements)
        values = row_bytes(value_type, max(widest, group.value_elements))
        indexer = row_bytes(key_type, group.indexer_elements)
        if row.indexer_values:
            indexer += row_bytes(value_type, group.indexer_elements)
        size += (cells * (keys + values) + room.full * indexer) * group.layers
    size += room.full * idle_layers(architecture) * row_bytes(value_type, widest)
    return size * room.streams


def idle_layers(architecture: Architecture) -> int:
    """Layers that do not attend and yet have a V row without flash attention: of a model
    without a state, whose cache leaves out none.
    """
    attending = {layer for group in architecture.attention for layer in group.layers}
    return 0 if architecture.recurrent or not attending else architecture.layers - len(attending)


@lru_cache(512)
def state_bytes(architecture: Architecture, sequences: int) -> int:
    """Bytes of the recurrent state: 32-bit floats, one state per sequence. Neither the context nor
    the cache type changes it.
    """
    kept = (*states(architecture), *compressors(architecture))
    return sum(4 * (state.convolution + state.memory) * state.layers * sequences for state in kept)


class Load(Record):
    """A model whose layers are known, a program and a workload. `row` has its defaults where that
    of the subject is not known; `room` is of all sequences.
    """

    subject: Subject
    architecture: Architecture
    row: ArchitectureRow
    room: Cells
    runtime: RuntimeSpec
    workload: Asked

    @property
    def embeds(self) -> bool:
        """The model turns a text into vectors, and is asked for nothing else."""
        return self.subject.spec.modality == "embedding"

    @property
    def vocabulary(self) -> int:
        """Tokens in the GGUF file; 0 where they are not known."""
        return self.architecture.vocabulary_gguf or self.architecture.vocabulary or 0


def load_of(subject: Subject, runtime: RuntimeSpec, workload: Asked) -> Load | None:
    """None where nothing is known of the layers."""
    architecture = subject.architecture
    if architecture is None or not (architecture.attention or architecture.recurrent):
        return None
    row = subject.row or ArchitectureRow(name=architecture.row)
    room = cells(
        workload.context_tokens * workload.parallel,
        sequences=workload.parallel,
        micro_batch=batch_of(row, workload.context_tokens),
        whole_windows=runtime.whole_windows,
    )
    return Load(
        subject=subject, architecture=architecture, row=row, room=room, runtime=runtime,
        workload=workload,
    )  # fmt: skip
