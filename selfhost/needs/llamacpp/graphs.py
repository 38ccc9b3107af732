"""The compute buffer: the graph that llama.cpp builds for a prompt, replayed by the rules of its
allocator, exact to the byte.

A row of `specs/common/architectures.toml` has the key `graph` where every measured case of its
architecture is so (tests/truth). Of others the buffer is a guess with a range.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from ...catalogue.architecture import Architecture
from ..case import Cells
from ..tensors import ArchitectureRow
from .allocator import Section, Tensor
from .graph import Graph, Layer
from .operations import attention

# no model routes a token to more than 22 experts: bounds what a hostile file can ask for
_MOST_EXPERTS = 64
_STORED = {"f16": "16 bits", "bf16": "16 bits", "f32": "32 bits"}
_RECURRENCES = ("mamba", "mamba2", "delta", "convolution")
# kinds of attention, whether with a latent and with an indexer
_ATTENTION = {("full", False, False), ("sliding", False, False), ("latent", True, False)}
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
    if row.graph is None or not _is_buildable(model, row):
        return None
    stored = _STORED.get(key_type, "quantized"), _STORED.get(value_type, "quantized")
    kind = Gemma3n if row.altup else Graph
    return kind(model, row, room, logits_rows, flash_attention, stored).peak()


def _is_buildable(model: Architecture, row: ArchitectureRow) -> bool:
    """Whether each layer has parts that are known here, and each part once."""
    groups = (*model.attention, *model.recurrent, *model.feed_forward)
    parts = Counter((type(group), layer) for group in groups for layer in group.layers)
    if {layer for _, layer in parts} != set(range(model.layers)) or max(parts.values()) > 1:
        return False
    attention = {
        (heads.kind, bool(heads.latent_length), bool(heads.indexer_heads))
        for heads in model.attention
    }
    if not attention <= _ATTENTION:
        return False
    for wide in model.feed_forward:
        if (wide.used or 1) > _MOST_EXPERTS or (wide.beside_dense and not row.expert_norms):
            return False
    # a convolution of one input remembers none
    return all(each.kind in _RECURRENCES and each.convolution != 1 for each in model.recurrent)


def guessed_compute(
    model: Architecture, row: ArchitectureRow, room: Cells, logits_rows: int, flash: bool = True
) -> tuple[int, str]:
    """Bytes and arithmetic of the buffer of an architecture without a graph: logits, or the widest
    layer with the masks.
    """
    width, words = model.embedding_length, model.vocabulary_gguf or model.vocabulary or 0
    streams = room.streams
    tokens = room.encoded if row.encoder else min(room.micro_batch, room.full * streams)
    rows = 0 if row.encoder else min(tokens, logits_rows)
    logits = 4 * (tokens * width + rows * (words + width))
    span = tokens if row.encoder else room.full
    span = span if model.attention else 0
    alive = (3 * (model.altup_inputs or 1) + 1) * width + _inside_layers(model, row)
    # arrays of scores; with a table of distances theirs, turned, beside
    scores = 3 if row.relative_positions else int(not flash or row.unfused)
    alive += scores * span * max((group.heads for group in model.attention), default=0)
    mask = (2 if flash else 4) + _indexing(model) // streams
    body = tokens * (span * mask + 4 * alive)
    if logits > body:
        return logits, f"{logits:,} bytes of logits"
    line = f"{span:,} cells × {mask} bytes of masks + {alive:,} numbers alive × 4 bytes"
    return body, f"{tokens:,} tokens × ({line})"


def _indexing(model: Architecture) -> int:
    """Of an indexer the scores of each of its heads, twice."""
    kinds = {group.kind: group.indexer_heads for group in model.attention if group.indexer_heads}
    if "latent" in kinds:
        return 6
    return 8 * (kinds["full"] or 0) + 4 if "full" in kinds else 0


def _inside_layers(model: Architecture, row: ArchitectureRow) -> int:
    """Numbers of a token that are alive in the widest layer."""
    arrays, width, alive = 1 if row.gate == "none" else 3, model.embedding_length, [0]
    alive += [4 * (group.inner_length or 0) for group in model.recurrent]
    for wide in model.feed_forward:
        used = wide.used or 1
        # what the last matrix of experts gives takes room of its own where it is the wider
        has_room = wide.experts and (width > 2 * wide.length or arrays == 1)
        alive.append(used * (arrays * wide.length + (width if has_room else 0)))
    for heads in model.attention:
        numbers = 2 * (heads.heads + heads.kv_heads) * heads.key_length
        if heads.kind == "latent":
            numbers = heads.key_length + 2 * (heads.rope_length or 0)
            numbers = heads.heads * (numbers + 2 * (heads.latent_length or 0))
            # twice with an indexer: 22 buffers of DeepSeek V3.2 and GLM 5
            numbers *= 2 if heads.indexer_heads else 1
        alive.append(numbers)
    return max(alive)


# how many layers have sparse activations, and the width of the low-rank matrices
_SPARSE_LAYERS = 10
_LAUREL_RANK = 64


class Gemma3n(Graph):
    """Several versions of the hidden state, of which each layer computes one and corrects the
    others.
    """

    sparse_layers = _SPARSE_LAYERS

    @property
    def versions(self) -> int:
        return self.model.altup_inputs or 2

    def stand_in(self, *sides: int) -> Tensor:
        return super().stand_in(self.width, self.tokens, self.versions)

    def before(self, first: Layer) -> Section:
        width, tokens, others = self.width, self.tokens, self.versions - 1
        self.first = self.linear(width, self.input(tokens))
        self.expand(self.first, self.input(width, tokens))
        self.look_up_slices()
        sides = width, tokens, others
        added = self.result(sides, self.result(sides, self.first))
        added = self.scaled(added, self.over((width, tokens), self.first))
        versions = self.result((width, tokens, self.versions), self.first, added)
        section = self.section((), versions)
        assert self.embedded is not None
        self.embedded.shared = self.first.shared = True
        return section

    def scaled(self, tensor: Tensor, squares: Tensor) -> Tensor:
        """The other versions, scaled to the magnitude of the first."""
        sides = self.width, self.tokens, self.versions - 1
        scaled = self.over(sides, tensor, self.linear(1, squares))
        magnitude = self.result((1, *sides[1:]), self.over(sides, tensor))
        return self.over(sides, scaled, magnitude)

    def layer(self, layer: Layer, residual: Tensor) -> Tensor:
        width, tokens, versions = self.width, self.tokens, self.versions
        alone, every = (width, tokens), (width, tokens, versions)
        assert layer.attention is not None
        turned = self.result((versions, width, tokens), self.view(residual))
        weights = self.linear(versions * versions, self.routed(self.view(residual)))
        predicted = self.result((versions, width, tokens), turned, self.view(weights))
        predicted = self.over(every, self.result(every, self.view(predicted)), residual)
        active = self.view(predicted)
        normed = self.over(alone, active)
        narrow = self.over(alone, self.linear(width, self.linear(_LAUREL_RANK, normed)), normed)
        attended = attention(self, layer.attention, normed, layer.rotated, layer.cached)
        attended = self.over(alone, self.over(alone, attended, active), narrow)
        fed_forward = self.over(alone, self.sparse(layer, self.over(alone, attended)), attended)
        change = self.result(every, self.over(alone, fed_forward, self.view(predicted)))
        weights = self.linear(versions, self.routed(fed_forward))
        weights = self.result((1, tokens, versions), self.view(weights))
        corrected = self.over(every, self.over(every, change, weights), predicted)
        length = self.model.per_layer_embedding_length or 0
        gate = self.linear(length, self.over(alone, self.view(corrected)))
        own = self.slice_of(length, self.first, layer.slice == 0)
        gate = self.over((length, tokens), gate, own)
        first = self.over(alone, self.linear(width, gate))
        rest = self.over((width, tokens, versions - 1), self.view(corrected), first)
        return self.result(every, self.view(corrected), rest)

    def routed(self, tensor: Tensor) -> Tensor:
        return self.linear(self.versions, self.over((self.width, self.tokens), tensor))

    def sparse(self, layer: Layer, read: Tensor) -> Tensor:
        """The first layers keep the largest activations alone."""
        assert layer.feed_forward is not None
        sides = layer.feed_forward.length, self.tokens
        up, gate = self.result(sides, read), self.result(sides, read)
        if layer.sparse:
            mean = self.linear(1, gate)
            spread = self.linear(1, self.over(sides, gate, mean))
            gate = self.over(sides, gate, self.over((1, self.tokens), mean, spread))
        return self.linear(self.width, self.over(sides, up, gate))

    def after(self) -> Section:
        width, tokens, others = self.width, self.tokens, self.versions - 1
        entry = self.stand_in()
        unembedded = self.result((width, tokens, others), self.view(entry))
        unembedded = self.scaled(unembedded, self.over((width, tokens), self.view(entry)))
        hidden = self.view(entry)
        for _ in range(others):
            hidden = self.over((width, tokens), hidden, self.view(unembedded))
        hidden = self.norm(self.last_rows(hidden), width, self.logits)
        hidden.kept = True
        logits = self.linear(self.vocabulary, hidden, self.logits)
        logits.kept = True
        return self.section((entry,), logits)
