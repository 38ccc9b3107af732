"""The compute buffer: the graph that llama.cpp builds for a prompt, replayed by the rules of its
allocator, exact to the byte.

A row of `specs/common/architectures.toml` has the key `graph` where every measured case of its
architecture is so (tests/truth). Of others the buffer is a guess with a range.
"""

from __future__ import annotations

from functools import lru_cache

from ...catalogue.architecture import Architecture
from ...catalogue.layers import Attention
from ..tensors import ArchitectureRow, Style
from .buffers import Cells
from .layers import Builder

# no model routes a token to more than 22 experts: bounds what a hostile file can ask for
_MOST_EXPERTS = 64
_STORED = {"f16": "16 bits", "bf16": "16 bits", "f32": "32 bits"}
_RECURRENCES = ("mamba", "mamba2", "delta", "convolution")
GUESS_LEAST, GUESS_MOST = 0.6, 2.0
"""The ends of a guess, as shares of it: 98 of 100 buffers known to the byte lie between."""


@lru_cache(maxsize=1024)
def exact_compute_bytes(
    model: Architecture,
    row: ArchitectureRow,
    room: Cells,
    logits_rows: int,
    flash_attention: bool = True,
    key_type: str = "f16",
    value_type: str = "f16",
) -> int | None:
    """The compute buffer to the byte; None where the architecture has no graph here."""
    style = row.graph
    if style is None or not _has_builder(model, row, style):
        return None
    stored = _STORED.get(key_type, "quantized"), _STORED.get(value_type, "quantized")
    return _builder(style)(model, row, room, logits_rows, flash_attention, stored).peak()


def _builder(style: Style) -> type[Builder]:
    if style.builder == "alternating":
        from .gemma3n import Gemma3n

        return Gemma3n
    return Builder


def _has_builder(model: Architecture, row: ArchitectureRow, style: Style) -> bool:
    """Whether the layers have the shape in which llama.cpp builds this architecture."""
    return (
        (style.deepstack or not model.deepstack_layers)
        and (row.per_layer_embeddings or not model.per_layer_embedding_length)
        and _has_known_recurrences(model, style)
        and _has_whole_layers(model, style)
        and _has_known_attention(model)
        and all(
            (group.used or 1) <= _MOST_EXPERTS and (row.expert_norms or not group.beside_dense)
            for group in model.feed_forward
        )
    )


def _has_known_recurrences(model: Architecture, style: Style) -> bool:
    # a convolution of one input remembers none
    return (style.recurrent or not any(group.layers for group in model.recurrent)) and all(
        group.kind in _RECURRENCES and (group.convolution or 2) > 1 for group in model.recurrent
    )


def _has_known_attention(model: Architecture) -> bool:
    """Latent or plain; a layer without an indexer looks at what one before it chose."""
    indexed = {layer for group in model.attention if group.indexer_heads for layer in group.layers}
    return (not indexed or 0 in indexed) and all(
        group.kind == "latent" or (group.kind in ("full", "sliding") and not group.latent_length)
        for group in model.attention
    )


def _has_whole_layers(model: Architecture, style: Style) -> bool:
    """Whether each layer has every part of a layer of this graph, and each part once."""
    attending, recurrent, wide = [
        [layer for group in groups for layer in group.layers]
        for groups in (model.attention, model.recurrent, model.feed_forward)
    ]
    every, mixing = set(range(model.layers)), {*attending, *recurrent}
    if any(len(set(part)) < len(part) for part in (attending, recurrent, wide)):
        return False
    if style.one_part_a_layer:
        parts = len(attending) + len(recurrent) + len(wide)
        return mixing | set(wide) == every and parts == model.layers
    return set(wide) == every and (mixing == every or (style.idle_layers and bool(mixing)))


def guessed_compute(
    model: Architecture, row: ArchitectureRow, room: Cells, logits_rows: int, flash: bool = True
) -> tuple[int, str]:
    """Bytes and arithmetic of the buffer of an architecture without a graph: logits, or the widest
    layer with the masks.
    """
    width, words = model.embedding_length, model.vocabulary_gguf or model.vocabulary or 0
    tokens = room.encoded if row.encoder else min(room.micro_batch, room.full * room.streams)
    rows = 0 if row.encoder else min(tokens, logits_rows)
    logits = 4 * (tokens * width + rows * (words + width))
    span = tokens if row.encoder else room.full
    span = span if model.attention else 0
    alive = (3 * (model.altup_inputs or 1) + 1) * width
    alive += max(_inside_layers(model, row), *map(_attending, model.attention), 0)
    # arrays of scores; with a table of distances theirs, turned, beside
    scores = 3 if row.relative_positions else int(not flash or row.unfused)
    alive += scores * span * max((group.heads for group in model.attention), default=0)
    mask = 2 if flash else 4
    body = tokens * (span * mask + 4 * alive)
    if logits > body:
        return logits, f"{logits:,} bytes of logits"
    return body, (
        f"{tokens:,} tokens × ({span:,} cells × {mask} bytes of mask + {alive:,} numbers alive"
        " × 4 bytes)"
    )


def _inside_layers(model: Architecture, row: ArchitectureRow) -> int:
    """Numbers of a token that are alive in the widest feed-forward or recurrent layer."""
    arrays, width = 1 if row.gate == "none" else 3, model.embedding_length
    inner = 4 * max((group.inner_length or 0 for group in model.recurrent), default=0)
    for group in model.feed_forward:
        used = group.used or 1
        # what the last matrix of experts gives takes room of its own where it is the wider
        has_room = group.experts and (width > 2 * group.length or arrays == 1)
        inner = max(inner, arrays * used * group.length + (used * width if has_room else 0))
    return inner


def _attending(group: Attention) -> int:
    """Numbers of a token's queries and keys."""
    if group.kind != "latent":
        return 2 * (group.heads + group.kv_heads) * group.key_length
    latent, rope = group.latent_length or 0, group.rope_length or 0
    return group.heads * (group.key_length + 2 * rope + 2 * latent)
