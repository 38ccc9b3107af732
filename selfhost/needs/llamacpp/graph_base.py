"""What the graphs of all architectures share: how one is built, its inputs, and what its layers
remember.
"""

from __future__ import annotations

from ...catalogue.spec import Architecture, Attention, FeedForward, Recurrent
from ...core.records import Record
from ..cache import states
from ..tensors import ArchitectureRow, Style
from .allocator import LOGITS_ROWS, Recorder, Tensor
from .buffers import window_of


class Shared(Record):
    """What layers share that attend alike: room in the cache, and the inputs that say where to
    write and what to look at.
    """

    cells: int
    key_places: Tensor
    value_places: Tensor
    mask: Tensor
    key_rotation: Tensor | None
    value_rotation: Tensor | None
    key_block: int


class Batch(Record):
    """What a graph is built for: `tokens` of `sequences`, whose caches lie in `streams`. `flash`:
    attention without stored scores. `stored`: of keys and values in the cache, "quantized",
    "32 bits" or "16 bits".
    """

    tokens: int
    streams: int
    sequences: int
    flash: bool
    stored: tuple[str, str]


class Layer(Record):
    """What one layer is made of. `deep`: which slice of the embeddings it adds, -1 for none.
    `cached`: it has a cache of its own.

    `normed`: by a norm in front of its attention.
    """

    heads: Attention | None
    state: Recurrent | None
    wide: FeedForward | None
    rotated: bool
    last: bool
    deep: int
    cached: bool
    sparse: bool
    normed: bool

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for layers that are alike."""
        parts = id(self.heads), id(self.state), id(self.wide), self.rotated, self.last
        return *parts, self.deep, self.cached, self.sparse, self.normed


class Graph:
    """What the layers of one graph have in common while it is written."""

    def __init__(
        self, model: Architecture, row: ArchitectureRow, style: Style, batch: Batch
    ) -> None:
        self.model, self.row, self.style = model, row, style
        self.tokens, self.streams, self.sequences = batch.tokens, batch.streams, batch.sequences
        self.flash, self.stored = batch.flash, batch.stored
        self.width = model.embedding_length
        # some converters of some years join the three matrices
        self.fused = row.fused_qkv or (
            not model.recurrent
            and any(
                group.name == "blk.*.attn_qkv.weight" and group.layers[0] < model.layers
                for group in model.tensors
            )
        )
        self.record = Recorder()
        self.positions = self.record.input(batch.tokens * style.positions)
        self.temperature = self.record.input(batch.tokens) if style.temperature else None
        self.rows = self.record.input(LOGITS_ROWS)
        self.states = self.record.input(batch.sequences)
        groups = [group for group in model.recurrent if group.layers]
        self.memories = {
            id(group): state for group, state in zip(groups, states(model), strict=True)
        }
        self.encoded: dict[bool, Tensor] = {}
        self.distances: Tensor | None = None
        self.embedded: Tensor | None = None
        self.slices: Tensor | None = None
        self.found = self.positions
        self.fetched: Tensor | None = None
        self.early: dict[int, Recurrent] = {}
        # of a sparse indexer: rotation, places to write to, mask; and what it chose
        self.indexer: tuple[Tensor, Tensor, Tensor] | None = None
        self.chosen: Tensor | None = None
        self.choosing = any(
            group.indexer_heads and group.kind == "latent" for group in model.attention
        )
        self.windowed = any(window_of(model, row, group) is not None for group in model.attention)
        self.attending: dict[tuple[int, int], Shared] = {}

    def norm(self, tensor: Tensor, *sides: int) -> Tensor:
        return (
            self.record.result(sides, tensor)
            if self.style.centred
            else self.record.over(sides, tensor)
        )
