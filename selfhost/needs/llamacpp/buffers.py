"""What llama.cpp allocates on a CPU for a model it has loaded.

The rules are read from its source and compared with measurements (llama.cpp 0c1e570, 2026). Cache
and state are exact to the byte. Ollama runs the same code.
"""

from __future__ import annotations

from functools import lru_cache

from ...catalogue.architecture import Architecture, Attention
from ..cache import CacheGroup, cache_groups, compressors, keeps_compressed, states
from ..parts import Cells
from ..quantization import row_bytes
from ..tensors import ArchitectureRow

SOURCE = "llama.cpp 0c1e570 (2026-10), rules checked by measurement"


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
        cells = room.cells_of_layer(window_of(architecture, row, group), group.tokens_per_row)
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
