"""What the graphs of all architectures share: sizes, inputs, and what their layers remember."""

from __future__ import annotations

from ...catalogue.architecture import Architecture
from ...catalogue.layers import Attention, FeedForward, Recurrent
from ...core.records import Record
from ..cache import State, states
from ..tensors import ArchitectureRow, Style
from .allocator import Recorder, Tensor
from .buffers import Cells, window_of

# what a sparse indexer lets a token look at: `index_topk` cells of DeepSeek V3.2 and of GLM 5
_CHOSEN_CELLS = 2048
# a quantized cache is rotated in blocks, those of the keys as large as the heads allow
ROTATION = 64


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


class Layer(Record):
    """What one layer is made of. `deep`: which slice of the embeddings it adds, -1 for none.
    `cached`: it has a cache of its own. `normed`: by a norm in front of its attention.
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


class Graph(Recorder):
    """One graph while it is written. `flash`: attention without stored scores. `stored`: of keys
    and values in the cache, "quantized", "32 bits" or "16 bits".
    """

    def __init__(
        self,
        model: Architecture,
        row: ArchitectureRow,
        room: Cells,
        logits_rows: int,
        flash: bool,
        stored: tuple[str, str],
    ) -> None:
        super().__init__()
        self.model, self.row, self.room = model, row, room
        self.style = row.graph or Style()
        self.flash, self.stored = flash, stored
        self.width, self.vocabulary = (
            model.embedding_length,
            model.vocabulary_gguf or model.vocabulary or 0,
        )
        self.streams, self.sequences = room.streams, room.sequences
        tokens = room.encoded if row.encoder else room.micro_batch
        # the same number from each sequence
        self.tokens = -(-tokens // room.sequences) * room.sequences
        # an encoder hands all its tokens to the pooling, less those that fill up the sequences
        self.logits = room.encoded if row.embeds else min(tokens, logits_rows)
        self.chosen_cells = min(room.full, _CHOSEN_CELLS)
        # some converters of some years join the three matrices
        self.fused = row.fused_qkv or (
            not model.recurrent
            and any(
                group.name == "blk.*.attn_qkv.weight" and group.layers[0] < model.layers
                for group in model.tensors
            )
        )
        self.positions = self.input(self.tokens * self.style.positions)
        self.temperature = self.input(self.tokens)
        self.rows = self.input(self.logits)
        self.states = self.input(room.sequences)
        groups = [group for group in model.recurrent if group.layers]
        self.memories = {
            id(group): state for group, state in zip(groups, states(model), strict=True)
        }
        self.encoded: dict[bool, Tensor] = {}
        self.embedded: Tensor | None = None
        self.slices: Tensor | None = None
        self.fetched: Tensor | None = None
        # of a sparse indexer: rotation, places to write to, mask; and what it chose
        self.indexer: tuple[Tensor, Tensor, Tensor] | None = None
        self.chosen: Tensor | None = None
        self.windowed = any(window_of(model, row, group) is not None for group in model.attention)
        self.attending: dict[tuple[bool, int], Shared] = {}

    def linear(self, length: int, read: Tensor, side: int | None = None) -> Tensor:
        """The product of a matrix with so many rows and what it reads."""
        return self.result((length, self.tokens if side is None else side), read)

    def norm(self, tensor: Tensor, *sides: int) -> Tensor:
        if self.style.centred:
            return self.result(sides, tensor)
        return self.over(sides, tensor)

    def last_rows(self, tensor: Tensor) -> Tensor:
        """The tokens whose logits the caller needs."""
        return self.result((self.width, self.logits), tensor, self.rows)

    def memory_of(self, group: Recurrent) -> State:
        return self.memories[id(group)]

    def fetch(self, elements: int) -> Tensor:
        """The state of each sequence, copied out of the memory that keeps it."""
        fetched, self.fetched = self.fetched, None
        if fetched is None:
            fetched = self.result((elements, self.sequences), self.view(self.states))
            self.expand(fetched)
        return self.view(fetched)

    def shared(self, heads: Attention, value_width: int) -> Shared:
        """The inputs of these layers; made once for all layers with the same cells."""
        window = window_of(self.model, self.row, heads)
        cells = self.room.of(window)
        key = window is None, heads.key_length
        if key not in self.attending:
            block = ROTATION
            while heads.key_length % (2 * block) == 0:
                block *= 2
            rotated = [
                kind == "quantized" and heads.kind != "latent" and length % ROTATION == 0
                for kind, length in zip(
                    self.stored, (heads.key_length, heads.value_length), strict=True
                )
            ]
            tokens, streams = self.tokens, self.streams
            self.attending[key] = Shared(
                cells=cells,
                key_places=self.input(tokens, width=8),
                value_places=self.input(tokens if self.flash else tokens * value_width, width=8),
                mask=self.input(cells, tokens // streams, streams, width=2 if self.flash else 4),
                key_rotation=self.input(block, block) if rotated[0] else None,
                value_rotation=self.input(ROTATION, ROTATION) if rotated[1] else None,
                key_block=block,
            )
        return self.attending[key]
