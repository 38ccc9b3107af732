"""The exact compute buffer: the graph that llama.cpp builds for a prompt, replayed by the rules of
its allocator.

A row of `specs/common/architectures.toml` has the key `graph` where every measured case of its
architecture is right to the byte (tests/truth).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from ...catalogue.spec import Architecture
from ..tensors import ArchitectureRow
from .allocator import Peak, Program
from .buffers import MICRO_BATCH_TOKENS, Cells, Compute, padded, window_of
from .graph_base import Batch
from .layers import Builder
from .style import Style

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# no model routes a token to more than 22 experts: bounds what a hostile file can ask for
_MOST_EXPERTS = 64
# what a sparse indexer lets a token look at: `index_topk` cells of DeepSeek V3.2 and of GLM 5;
# `sparse_topk_blocks` blocks of `sparse_block_size` positions of MiniMax M3 (their config.json)
_CHOSEN_CELLS = 2048
_CHOSEN_BLOCKS, _BLOCK_POSITIONS = 16, 128
# of modules that some models need: loaded where one does
_MORE_BUILDERS = {
    "alternating": ("alternating", "Alternating"),
    "banks": ("kimi_k3", "KimiK3"),
    "recurrent": ("graph_recurrence", "Recurring"),
    "rwkv": ("rwkv", "Rwkv"),
    "speech_codes": ("qwen3_tts", "Qwen3TTS"),
    "streams": ("streams", "Streams"),
}
# open sides that a buffer has beside the tokens
_BY_TOKEN = {1: "cells", 2: "cells", 4: "chosen", 5: "positions", 6: "blocks"}
_STORED = {"f16": "16 bits", "bf16": "16 bits", "f32": "32 bits"}


# of models that were shipped the graph of one whole batch of one sequence, by model and row, as
# `Program.packed` writes it
_PACKED: dict[tuple[Architecture, ArchitectureRow], Sequence[Any]] = {}
_WHOLE_BATCH = Batch(
    tokens=MICRO_BATCH_TOKENS, streams=1, sequences=1, flash=True, stored=("16 bits", "16 bits")
)


def _builder(style: Style) -> type[Builder]:
    if style.builder == "layers" and not style.recurrent:
        return Builder
    module, kind = _MORE_BUILDERS["recurrent" if style.builder == "layers" else style.builder]
    # importlib would be loaded for this alone
    builder: type[Builder] = getattr(__import__(f"{__package__}.{module}", fromlist=(kind,)), kind)
    return builder


def packed_program(model: Architecture, row: ArchitectureRow) -> list[Any] | None:
    """The program that `remember` takes; None where the architecture has no graph here."""
    written = None if row.encoder else _program(model, row, _WHOLE_BATCH)
    return None if written is None else written[0].packed()


def remember(model: Architecture, row: ArchitectureRow, packed: Sequence[Any]) -> None:
    """Keep the graph of that model for the peaks of whole batches of one sequence.

    Writing it down anew takes longer.
    """
    _PACKED[model, row] = packed


def operations(model: Architecture, row: ArchitectureRow) -> int | None:
    """How many operations llama.cpp's graph has for one step; None where none is written down.

    Views are not counted: nothing is launched for them.
    """
    program = None if row.encoder else _for_peaks(model, row, _WHOLE_BATCH)
    return None if program is None else program.operations


@lru_cache(maxsize=1024)
def _for_peaks(model: Architecture, row: ArchitectureRow, batch: Batch) -> Program | None:
    """The graph. It does not support `Program.alive`."""
    packed = _PACKED.get((model, row)) if batch == _WHOLE_BATCH else None
    if packed is not None:
        return Program.unpacked(packed)
    written = _program(model, row, batch)
    return None if written is None else written[0]


@lru_cache(maxsize=1024)
def _program(
    model: Architecture, row: ArchitectureRow, batch: Batch
) -> tuple[Program, list[str]] | None:
    style = row.graph
    if style is None or not _covered(model, row, style):
        return None
    return _builder(style)(model, row, style, batch).program()


# programs and types of the cache that make the same graph ask for the same replay
@lru_cache(maxsize=1024)
def _peak(program: Program, lengths: tuple[int, ...]) -> Peak:
    return program.peak(lengths)


@lru_cache(maxsize=256)
def _alive(
    program: Program, lengths: tuple[int, ...], peak: Peak
) -> tuple[str, int, list[tuple[int, int]]]:
    return program.alive(lengths, peak)


def _covered(model: Architecture, row: ArchitectureRow, style: Style) -> bool:
    """Whether the layers have the shape in which llama.cpp builds this architecture."""
    return (
        _has_whole_layers(model, style)
        and _has_known_parts(model, row, style)
        and _builder(style).writes(model, row)
    )


def _has_whole_layers(model: Architecture, style: Style) -> bool:
    """Whether each layer has every part of a layer of this graph, and each part once."""
    attention, recurrent, feed_forward = (
        [layer for group in groups for layer in group.layers]
        for groups in (model.attention, model.recurrent, model.feed_forward)
    )
    layers = set(range(model.layers))
    mixing = set(attention) | set(recurrent)
    if any(len(set(part)) < len(part) for part in (attention, recurrent, feed_forward)):
        return False
    if style.one_part_a_layer:
        return (
            mixing | set(feed_forward) == layers
            and len(attention) + len(recurrent) + len(feed_forward) == model.layers
        )
    return set(feed_forward) == layers and (
        mixing == layers or (style.idle_layers and bool(mixing))
    )


def _has_known_parts(model: Architecture, row: ArchitectureRow, style: Style) -> bool:
    """Whether this graph writes every part that the layers have."""
    return (
        _has_known_attention(model, style)
        and _has_known_recurrence(model, style)
        and _has_known_feed_forward(model, row, style)
        and (style.deepstack or not model.deepstack_layers)
        and (row.per_layer_embeddings or not model.per_layer_embedding_length)
    )


def _has_known_attention(model: Architecture, style: Style) -> bool:
    indexed = {layer for group in model.attention if group.indexer_heads for layer in group.layers}
    # a layer without an indexer looks at what one before it chose
    chosen = not indexed or 0 in indexed or style.indexed_blocks
    return chosen and all(group.kind != "cross" for group in model.attention)


def _has_known_recurrence(model: Architecture, style: Style) -> bool:
    if not style.recurrent and any(group.layers for group in model.recurrent):
        return False
    # a convolution of one input remembers none
    return all((group.convolution or 2) > 1 for group in model.recurrent)


def _has_known_feed_forward(model: Architecture, row: ArchitectureRow, style: Style) -> bool:
    if any((group.used or 1) > _MOST_EXPERTS for group in model.feed_forward):
        return False
    beside_experts = bool(style.dense_beside) or row.expert_norms
    return beside_experts or not any(group.beside_dense for group in model.feed_forward)


@lru_cache(maxsize=1024)
def exact_compute_bytes(
    model: Architecture,
    row: ArchitectureRow,
    room: Cells,
    logits_rows: int,
    flash_attention: bool = True,
    key_type: str = "f16",
    value_type: str = "f16",
    empty: bool = False,
) -> int | None:
    """The compute buffer to the byte; None where the architecture has no graph here.

    `empty`: as reserved at load, when no position is taken; all but MiniMax M3's is the same once
    the context is full.
    """
    batch = _batch_of(row, room, flash_attention, key_type, value_type)
    program = _for_peaks(model, row, batch)
    if program is None:
        return None
    return _peak(program, _lengths(model, row, room, logits_rows, empty)).bytes


@lru_cache(maxsize=512)
def exact_compute(
    model: Architecture,
    row: ArchitectureRow,
    room: Cells,
    logits_rows: int,
    flash_attention: bool = True,
    key_type: str = "f16",
    value_type: str = "f16",
) -> Compute | None:
    """The same with its arithmetic: the buffers in use at the peak, and the gaps between them.

    A second replay of the graph names them. It runs only when the arithmetic is read.
    """
    batch = _batch_of(row, room, flash_attention, key_type, value_type)
    program = _for_peaks(model, row, batch)
    if program is None:
        return None
    lengths = _lengths(model, row, room, logits_rows)
    peak = _peak(program, lengths)

    def whole() -> Compute:
        written = _program(model, row, batch)
        assert written is not None
        return Compute(
            bytes=peak.bytes,
            arithmetic=_arithmetic(*written, lengths, peak, batch.tokens, model.layers),
        )

    return Compute.partly({"bytes": peak.bytes}, whole)


def _arithmetic(
    program: Program,
    names: list[str],
    lengths: tuple[int, ...],
    peak: Peak,
    tokens: int,
    layers: int,
) -> str:
    moment, gaps, buffers = _alive(program, lengths, peak)
    numbers: tuple[list[int], ...] = tuple([] for _ in lengths)
    indices = peak.bytes - gaps
    for factor, unit in buffers:
        # bytes of a mask or of scores per cell and token, else numbers per token or row; a few
        # numbers are an index
        share, width = (tokens, 1) if unit in _BY_TOKEN else (tokens if unit == 0 else 1, 4)
        if factor % (share * width) == 0 and (unit in _BY_TOKEN or factor >= 8 * share * width):
            numbers[unit].append(factor // share // width)
            indices -= factor * lengths[unit]
    sums = [f"{tokens:,} tokens × {_added(numbers[0])} × 4 bytes"] if numbers[0] else []
    if numbers[3]:
        sums.append(
            f"{lengths[3]:,} {'row' if lengths[3] == 1 else 'rows'} of logits ×"
            f" {_added(numbers[3])} × 4 bytes"
        )
    # a window that holds the whole context is as long as it
    alike: dict[tuple[int, str], list[int]] = {}
    for unit, what in _BY_TOKEN.items():
        alike.setdefault((lengths[unit], what), []).extend(numbers[unit])
    sums += [
        f"{tokens:,} tokens × {long:,} {what} × {_added(counted)} bytes"
        for (long, what), counted in alike.items()
        if counted
    ]
    sums.append(f"{indices:,} bytes of indices")
    if gaps:
        sums.append(f"{gaps:,} bytes of gaps")
    where = f"{moment} of {names[peak.position]} of {layers}" if names[peak.position] else moment
    return " + ".join(sums) + f"; the most is in use during {where}"


def _added(numbers: list[int]) -> str:
    """`(3 × 14,336 + 4,096)`, the largest first."""
    counts: dict[int, int] = {}
    for number in sorted(numbers, reverse=True):
        counts[number] = counts.get(number, 0) + 1
    texts = [
        f"{number:,}" if count == 1 else f"{count} × {number:,}" for number, count in counts.items()
    ]
    return texts[0] if len(texts) == 1 else f"({' + '.join(texts)})"


def _tokens(row: ArchitectureRow, room: Cells) -> int:
    """Tokens of one batch, the same number from each sequence."""
    batch = room.encoded if row.encoder else room.micro_batch
    return -(-batch // room.sequences) * room.sequences


def _lengths(
    model: Architecture, row: ArchitectureRow, room: Cells, logits_rows: int, empty: bool = False
) -> tuple[int, ...]:
    window = next(
        (
            window
            for window in (window_of(model, row, heads) for heads in model.attention)
            if window is not None
        ),
        None,
    )
    # an encoder hands all its tokens to the pooling, less those that fill up the sequences
    rows = (
        room.encoded
        if row.embeds
        else min(room.encoded if row.encoder else room.micro_batch, logits_rows)
    )
    positions = padded(1) if empty else room.full
    blocks = positions // _BLOCK_POSITIONS
    in_blocks = row.graph is not None and row.graph.indexed_blocks
    chosen = min(blocks, _CHOSEN_BLOCKS) if in_blocks else min(room.full, _CHOSEN_CELLS)
    return 1, room.full, room.of(window), rows, chosen, positions, blocks


def _batch_of(
    row: ArchitectureRow, room: Cells, flash_attention: bool, key_type: str, value_type: str
) -> Batch:
    return Batch(
        tokens=_tokens(row, room),
        streams=room.streams,
        sequences=room.sequences,
        flash=flash_attention,
        stored=(_STORED.get(key_type, "quantized"), _STORED.get(value_type, "quantized")),
    )
