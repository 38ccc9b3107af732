"""The compute buffer: the graph that llama.cpp builds for a prompt, layer by layer, replayed by the
rules of its allocator, exact to the byte.

Read from src/llama-graph.cpp and src/models of llama.cpp 0c1e570. The spec and its row say which
norms, fused matrices, windows and experts a layer has. Operations that write over their only source
need no memory, so they are left out: scales, biases, activations, the weight of a norm. Shapes are
(row length, …, tokens); heads and their size are separate only where the layout depends on it.

A row of `specs/common/architectures.toml` has the key `graph` where every measured case of its
architecture is so (tests/truth). Of others the buffer is a guess with a range.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from ...catalogue.architecture import Architecture, Attention, FeedForward, Recurrent
from ..cache import states, window_of
from ..case import Cells
from ..tensors import ArchitectureRow, Style
from .allocator import Node, Recorder
from .operations import RECURRENCES, ROTATION, attention, experts_beside_dense, feed_forward, latent

# norms that a model has after its feed-forward, and then after its attention too
_AFTER_FEED_FORWARD = {"post_ffw_norm", "layer_output_norm"}
# no model routes a token to more than 22 experts: bounds what a hostile file can ask for
_MOST_EXPERTS = 64
# Jamba's
_LONGEST_PATTERN = 8
_STORED = {"f16": "16 bits", "bf16": "16 bits", "f32": "32 bits"}
# kinds of attention, whether with a latent and with an indexer
_ATTENTION = {("full", False, False), ("sliding", False, False), ("latent", True, False)}
# the ends of a guess, as shares of it: 98 of 100 buffers known to the byte lie between
GUESS_LEAST, GUESS_MOST = 0.6, 2.0


@lru_cache(maxsize=1024)
def exact_compute_bytes(
    model: Architecture, row: ArchitectureRow, room: Cells, logits_rows: int
) -> int | None:
    """The compute buffer to the byte; None where the architecture has no graph here."""
    if row.graph is None or not _is_buildable(model, row):
        return None
    kind = Gemma3n if row.altup else Graph
    layers = _layers(model, row)
    # most are the same again and again, and after each, or each two, nothing has changed any more
    for at_once in (1, 2, model.layers):
        graph = kind(model, row, room, logits_rows)
        short, thirds = _shortened(layers, at_once)
        hidden, marks = graph.before(), list[int]()
        for layer in short:
            marks.append(len(graph.nodes))
            hidden = graph.layer(layer, hidden)
        marks.append(len(graph.nodes))
        graph.expand(graph.after(hidden))
        rounds = ((marks[end - 2 * n], marks[end - n], marks[end]) for end, n in thirds)
        if (peak := graph.peak(rounds)) is not None:
            return peak
    return None


def _layers(model: Architecture, row: ArchitectureRow) -> list[Layer]:
    """What each layer is made of, and all that its number decides."""
    style, layers, distinct = row.graph or Style(), list[Layer](), dict[Layer, Layer]()
    kinds: tuple[Iterable[Any], ...] = model.attention, model.recurrent, model.feed_forward
    parts = [{number: group for group in groups for number in group.layers} for groups in kinds]
    cached = model.layers if model.cache_layers is None else model.cache_layers
    early = 10 if row.altup else model.deepstack_layers or 0
    is_normed = "attn_norm" in row.norms or not row.norms
    for number in range(model.layers):
        # after the last one the rows are chosen whose logits the caller needs
        is_last = number == model.layers - 1 and not style.late_rows
        norm = is_normed and (number > 0 or row.first_norm)
        fourth = style.rope == "three of four" and number % 4 == 3
        heads, recurrent, feed = (groups.get(number) for groups in parts)
        ranges = number < cached, number < early
        layer = Layer(heads, recurrent, feed, is_last, norm, fourth, *ranges)
        layers.append(distinct.setdefault(layer, layer))
    return layers


def _shortened(layers: list[Layer], at_once: int) -> tuple[list[Layer], list[tuple[int, int]]]:
    """The layers, of patterns that repeat only the first three or four rounds; and where the third
    round of each ends, with its length. `at_once`: so many of the shortest patterns are one round.
    """
    short, thirds, begin = list[Layer](), list[tuple[int, int]](), 0
    while begin < len(layers):
        saved, length, end = 0, 0, begin + 1
        for period in range(1, _LONGEST_PATTERN + 1):
            same, each = begin + period, period * at_once
            while same < len(layers) and layers[same] is layers[same - period]:
                same += 1
            whole = begin + (same - begin) // each * each
            # what the third round reads has to be read once more behind it
            needed, later = layers[begin : begin + period], layers[whole:]
            is_read = {id(each.attention) for each in needed} <= {
                id(each.attention) for each in later
            }
            more = whole - begin - (3 if is_read else 4) * each
            if more > saved:
                saved, length, end = more, each, whole
        if saved:
            thirds.append((len(short) + 3 * length, length))
        short += layers[begin : end - saved]
        begin = end
    return short, thirds


def _is_buildable(model: Architecture, row: ArchitectureRow) -> bool:
    """Whether each layer has parts that are known here, and each part once."""
    groups = (*model.attention, *model.recurrent, *model.feed_forward)
    parts = Counter((type(group), layer) for group in groups for layer in group.layers)
    if {layer for _, layer in parts} != set(range(model.layers)) or max(parts.values()) > 1:
        return False
    for heads in model.attention:
        if (heads.kind, bool(heads.latent_length), bool(heads.indexer_heads)) not in _ATTENTION:
            return False
    for feed in model.feed_forward:
        if (feed.used or 1) > _MOST_EXPERTS or (feed.beside_dense and not row.expert_norms):
            return False
    # a convolution of one input remembers none
    return all(each.kind in RECURRENCES and each.convolution != 1 for each in model.recurrent)


def guessed_compute(
    model: Architecture, row: ArchitectureRow, room: Cells, logits_rows: int
) -> tuple[int, str]:
    """The buffer of an architecture without a graph: logits, or the widest layer with masks."""
    width, words = model.embedding_length, model.vocabulary_gguf or model.vocabulary or 0
    tokens = room.encoded if row.encoder else min(room.micro_batch, room.full * room.streams)
    rows = 0 if row.encoder else min(tokens, logits_rows)
    logits = 4 * (tokens * width + rows * (words + width))
    span = (tokens if row.encoder else room.full) * bool(model.attention)
    # arrays of scores; with a table of distances theirs, turned, beside
    scores = 3 if row.relative_positions else int(not room.flash or row.unfused)
    alive = 4 * width + _numbers_alive(model, row)
    alive += scores * span * max((group.heads for group in model.attention), default=0)
    # of an indexer the scores of each of its heads, twice
    indexed = {group.kind: group.indexer_heads for group in model.attention if group.indexer_heads}
    scored = 6 if "latent" in indexed else 8 * (indexed.get("full") or 0) + 4 * ("full" in indexed)
    mask = (2 if room.flash else 4) + scored // room.streams
    body = tokens * (span * mask + 4 * alive)
    if logits > body:
        return logits, f"{logits:,} bytes of logits"
    line = f"{span:,} cells × {mask} bytes of masks + {alive:,} numbers alive × 4 bytes"
    return body, f"{tokens:,} tokens × ({line})"


def _numbers_alive(model: Architecture, row: ArchitectureRow) -> int:
    """Numbers of a token that are alive in the widest layer."""
    widest = max((4 * (group.inner_length or 0) for group in model.recurrent), default=0)
    for feed in model.feed_forward:
        widest = max(widest, (feed.used or 1) * feed.length * (1 if row.gate == "none" else 3))
    for heads in model.attention:
        numbers = 2 * (heads.heads + heads.kv_heads) * heads.key_length
        if heads.kind == "latent":
            # twice with an indexer: 22 buffers of DeepSeek V3.2 and GLM 5
            each = heads.key_length + 2 * ((heads.rope_length or 0) + (heads.latent_length or 0))
            numbers = heads.heads * each * (2 if heads.indexer_heads else 1)
        widest = max(widest, numbers)
    return widest


class Shared(NamedTuple):
    """What layers share that attend alike: room in the cache, and inputs that say where."""

    cells: int
    key_places: Node
    value_places: Node
    mask: Node
    key_rotation: Node | None
    value_rotation: Node | None


class Layer(NamedTuple):
    """What one layer is made of."""

    attention: Attention | None
    recurrent: Recurrent | None
    feed_forward: FeedForward | None
    is_last: bool
    is_normed: bool
    is_fourth: bool
    is_cached: bool
    # adds a slice of the embeddings (Qwen3-VL), or keeps the largest activations alone (Gemma 3n)
    is_early: bool


class Graph(Recorder):
    """One graph while it is written."""

    def __init__(
        self, model: Architecture, row: ArchitectureRow, room: Cells, logits_rows: int
    ) -> None:
        super().__init__()
        self.model, self.row, self.room = model, row, room
        self.style = row.graph or Style()
        types = room.key_type, room.value_type
        self.flash, self.stored = room.flash, [_STORED.get(type, "quantized") for type in types]
        self.width = model.embedding_length
        self.vocabulary = model.vocabulary_gguf or model.vocabulary or 0
        self.streams, self.sequences = room.streams, room.sequences
        tokens = room.encoded if row.encoder else room.micro_batch
        # the same number from each sequence
        self.tokens = -(-tokens // room.sequences) * room.sequences
        # an encoder hands all its tokens to the pooling, less those that fill up the sequences
        self.logits = room.encoded if row.embeds else min(tokens, logits_rows)
        self.positions = self.input(self.tokens * self.style.positions)
        self.temperature = self.input(self.tokens)
        self.rows = self.input(self.logits)
        self.states = self.input(room.sequences)
        groups = (id(group) for group in model.recurrent if group.layers)
        self.memories = dict(zip(groups, states(model), strict=False))
        # of the hidden state, in Gemma 3n
        self.versions = model.altup_inputs or 2
        self.embedded: Node | None = None
        self.slices: Node | None = None
        self.windowed = any(window_of(model, group) is not None for group in model.attention)
        self.attending: dict[tuple[bool, int], Shared] = {}
        # masks of encoders, by whether the layer has a window
        self.masks: dict[bool, Node] = {}

    def linear(self, length: int, read: Node, side: int | None = None) -> Node:
        """The product of a matrix with so many rows and what it reads."""
        return self.result((length, self.tokens if side is None else side), read)

    def norm(self, tensor: Node, *sides: int) -> Node:
        return (self.result if self.style.centred else self.over)(sides, tensor)

    def last_rows(self, tensor: Node) -> Node:
        """The tokens whose logits the caller needs."""
        return self.result((self.width, self.logits), tensor, self.rows)

    def fetch(self, elements: int) -> Node:
        """The states that a recurrence reads, at once."""
        fetched = self.result((elements, self.sequences), self.view(self.states))
        self.expand(fetched)
        return self.view(fetched)

    def shared(self, heads: Attention, value_width: int) -> Shared:
        """The inputs of these layers; made once for all layers with the same cells."""
        window = window_of(self.model, heads)
        key = window is None, heads.key_length
        if key not in self.attending:
            # the largest power of two in the length
            block = max(ROTATION, heads.key_length & -heads.key_length)
            lengths = zip(self.stored, (heads.key_length, heads.value_length), strict=True)
            rotates = [
                kind == "quantized" and heads.kind != "latent" and length % ROTATION == 0
                for kind, length in lengths
            ]
            tokens, streams, cells = self.tokens, self.streams, self.room.cells_of_layer(window)
            self.attending[key] = Shared(
                cells=cells,
                key_places=self.input(tokens, width=8),
                value_places=self.input(tokens if self.flash else tokens * value_width, width=8),
                mask=self.input(cells, tokens // streams, streams, width=2 if self.flash else 4),
                key_rotation=self.input(block, block) if rotates[0] else None,
                value_rotation=self.input(ROTATION, ROTATION) if rotates[1] else None,
            )
        return self.attending[key]

    def before(self) -> Node:
        """What the first layer is given."""
        width, tokens = self.width, self.tokens
        embeddings = self.linear(width, self.input(tokens))
        slices = 1 + (self.model.deepstack_layers or 0)
        if slices > 1:
            embeddings = self.linear(width * slices, embeddings)
        # the place of vectors given instead of tokens is there, used or not
        self.expand(embeddings, self.input(width * slices, tokens))
        if slices > 1:
            self.embedded = embeddings
            return self.part(embeddings)
        if self.model.per_layer_embedding_length:
            self.look_up_slices()
        if self.row.positions:
            pair = embeddings, self.linear(width, self.positions)
            embeddings = self.over((width, tokens), *(pair[::-1] if self.row.encoder else pair))
        if self.row.embedding_norm:
            embeddings = self.norm(embeddings, width, tokens)
        return embeddings

    def after(self, hidden: Node) -> Node:
        """The logits, or vectors."""
        late = self.style.late_rows
        if self.row.embeds:
            return self.pooled(hidden)
        if late == "before norm":
            hidden.kept = True
            hidden = self.last_rows(hidden)
        side = self.tokens if late in ("after norm", "never") else self.logits
        hidden = self.norm(hidden, self.width, side)
        if late == "after norm":
            hidden.kept = True
            hidden = self.last_rows(hidden)
        hidden.kept = True
        side = self.tokens if late == "never" else self.logits
        logits = self.linear(self.vocabulary, hidden, side)
        logits.kept = True
        return logits

    def pooled(self, entry: Node) -> Node:
        """One vector per sequence; another pooling differs by 4 bytes per token and sequence."""
        width, tokens, sequences = self.width, self.tokens, self.sequences
        hidden = self.norm(entry, width, tokens) if self.row.output_norm else entry
        hidden.kept = True
        if self.row.pooling == "first":
            vectors = self.result((width, sequences), hidden, self.input(sequences))
        else:
            turned = self.result((tokens, width), self.part(hidden))
            vectors = self.result((width, sequences), turned, self.input(tokens, sequences))
        vectors.kept = True
        return vectors

    def layer(self, layer: Layer, residual: Node) -> Node:
        row, feed, sides = self.row, layer.feed_forward, (self.width, self.tokens)
        normed = self.norm(residual, *sides) if layer.is_normed else residual
        if self.style.expanded:
            self.expand(normed)
        if row.encoder and "layer_output_norm" in row.norms and feed is not None:
            # norms come after the sums
            attended = self.mix(layer, residual)
            if layer.is_last:
                sides = self.width, self.logits
                attended, residual = self.last_rows(attended), self.last_rows(residual)
            residual = self.norm(self.over(sides, attended, residual), *sides)
            computed = feed_forward(self, feed, residual, sides[1])
            return self.norm(self.over(sides, computed, residual), *sides)
        if feed is not None and (any(layer[:2]) or self.style.beside):
            total = self.two_parts(layer, feed, normed, residual)
            return total if self.embedded is None else self.with_embeddings(layer, total, residual)
        computed = self.mix(layer, normed)
        if feed is not None:
            computed = feed_forward(self, feed, normed, self.tokens)
        if layer.is_last:
            sides = self.width, self.logits
            computed, residual = self.last_rows(computed), self.last_rows(residual)
        return self.over(sides, computed, residual)

    def mix(self, layer: Layer, normed: Node) -> Node:
        """What attention or a recurrence gives."""
        heads, state = layer.attention, layer.recurrent
        if heads is None:
            return normed if state is None else RECURRENCES[state.kind](self, state, normed)
        if heads.kind == "latent":
            return latent(self, heads, normed)
        rotated = self.style.rope in ("all", "three of four") and not layer.is_fourth
        if self.style.rope == "sliding":
            rotated = not self.windowed or window_of(self.model, heads) is not None
        return attention(self, heads, normed, rotated, layer.is_cached)

    def two_parts(self, layer: Layer, feed: FeedForward, normed: Node, residual: Node) -> Node:
        """A layer that attends or recurs, or both beside each other, and then feeds forward."""
        style, side = self.style, self.tokens
        attended, residual = self.mixed(layer, normed, residual)
        norm_after = bool(_AFTER_FEED_FORWARD & set(self.row.norms))
        if norm_after and style.normed_first:
            attended = self.norm(attended, self.width, side)
        if layer.is_last:
            side = self.logits
            attended, residual = self.last_rows(attended), self.last_rows(residual)
            if style.beside == "norm":
                normed = self.last_rows(normed)
        if norm_after and not (style.normed_first or style.beside):
            attended = self.norm(attended, self.width, side)
        read, residual = self.read_by_feed_forward(layer, normed, attended, residual, side)
        if feed.beside_dense:
            computed = experts_beside_dense(self, feed, residual)
        else:
            computed = feed_forward(self, feed, read, side)
        if norm_after:
            computed = self.norm(computed, self.width, side)
        # in the order in which llama.cpp adds the parts
        parts = {"made": computed, "residual": residual, "attended": attended}
        total, *rest = [parts[name] for name in style.sums]
        for term in rest:
            total = self.over((self.width, side), total, term)
        return total

    def mixed(self, layer: Layer, normed: Node, residual: Node) -> tuple[Node, Node]:
        """The output of attention or recurrence, or of both, each with a norm (Falcon-H1)."""
        sides = self.width, self.tokens
        read = self.norm(residual, *sides) if self.model.parallel_norms == 2 else normed
        attended = self.mix(layer, read)
        if layer.attention is not None and layer.recurrent is not None:
            again = self.norm(residual, *sides)
            beside = RECURRENCES[layer.recurrent.kind](self, layer.recurrent, again)
            residual = self.over(sides, self.over(sides, attended, beside), residual)
        return attended, residual

    def read_by_feed_forward(
        self, layer: Layer, normed: Node, attended: Node, residual: Node, side: int
    ) -> tuple[Node, Node]:
        """The input of the feed-forward, and the residual."""
        style, sides = self.style, (self.width, side)
        if style.beside:
            return normed if style.beside == "norm" else self.norm(residual, *sides), residual
        if layer.attention is None or layer.recurrent is None:
            pair = (residual, attended) if style.residual_first else (attended, residual)
            residual = self.over(sides, *pair)
        norms = set(self.row.norms)
        if "ffn_norm" in norms or not norms & _AFTER_FEED_FORWARD:
            return self.norm(residual, *sides), residual
        return residual, residual

    def with_embeddings(self, layer: Layer, total: Node, entered: Node) -> Node:
        """What a layer gives with what is added of the embeddings; `entered`: what it was given."""
        length, sides = self.model.per_layer_embedding_length, (self.width, self.tokens)
        if length:
            gate = self.linear(length, total)
            own = self.slice_of(length, entered)
            gate = self.over((length, self.tokens), gate, own)
            return self.over(sides, total, self.over(sides, self.linear(self.width, gate)))
        # Qwen3-VL: the first layers add a slice of the embeddings each
        if self.embedded is None or not layer.is_early:
            return total
        side = self.logits if layer.is_last else self.tokens
        return self.over((self.width, side), total, self.part(self.embedded))

    def look_up_slices(self) -> None:
        """Gemma 3n and 4: each layer has its own embeddings."""
        length, layers = self.model.per_layer_embedding_length or 0, self.model.layers
        slices = self.linear(length * layers, self.input(self.tokens))
        self.embedded = self.over((length, layers, self.tokens), self.view(slices))
        self.expand(self.embedded)

    def slice_of(self, length: int, embeddings: Node) -> Node:
        """That of one layer; the first adds a projection of the tokens' embeddings for all."""
        sides = length, self.model.layers, self.tokens
        if self.slices is None:
            assert self.embedded is not None
            projected = self.over(sides, self.view(self.linear(length * sides[1], embeddings)))
            projected = self.over(sides, projected, self.embedded)
            self.slices = self.result((length, self.tokens, sides[1]), self.view(projected))
        return self.part(self.slices)


class Gemma3n(Graph):
    """Several versions of the hidden state, of which each layer computes one and corrects the
    others. Low-rank matrices have 64 rows; the first 10 layers keep the largest activations alone.
    """

    def before(self) -> Node:
        width, tokens, others = self.width, self.tokens, self.versions - 1
        self.first = self.linear(width, self.input(tokens))
        self.expand(self.first, self.input(width, tokens))
        self.look_up_slices()
        sides = width, tokens, others
        added = self.result(sides, self.result(sides, self.first))
        added = self.scaled(added, self.over((width, tokens), self.first))
        return self.result((width, tokens, self.versions), self.first, added)

    def scaled(self, tensor: Node, squares: Node) -> Node:
        """The other versions, scaled to the magnitude of the first."""
        sides = self.width, self.tokens, self.versions - 1
        scaled = self.over(sides, tensor, self.linear(1, squares))
        magnitude = self.result((1, *sides[1:]), self.over(sides, tensor))
        return self.over(sides, scaled, magnitude)

    def layer(self, layer: Layer, residual: Node) -> Node:
        width, tokens, versions = self.width, self.tokens, self.versions
        alone, every = (width, tokens), (width, tokens, versions)
        turned = self.result((versions, width, tokens), self.view(residual))
        weights = self.linear(versions * versions, self.routed(self.view(residual)))
        predicted = self.result((versions, width, tokens), turned, self.view(weights))
        predicted = self.over(every, self.result(every, self.view(predicted)), residual)
        active = self.view(predicted)
        normed = self.over(alone, active)
        narrow = self.over(alone, self.linear(width, self.linear(64, normed)), normed)
        attended = self.mix(layer, normed)
        attended = self.over(alone, self.over(alone, attended, active), narrow)
        fed_forward = self.over(alone, self.sparse(layer, self.over(alone, attended)), attended)
        change = self.result(every, self.over(alone, fed_forward, self.view(predicted)))
        weights = self.linear(versions, self.routed(fed_forward))
        weights = self.result((1, tokens, versions), self.view(weights))
        corrected = self.over(every, self.over(every, change, weights), predicted)
        length = self.model.per_layer_embedding_length or 0
        gate = self.linear(length, self.over(alone, self.view(corrected)))
        own = self.slice_of(length, self.first)
        gate = self.over((length, tokens), gate, own)
        first = self.over(alone, self.linear(width, gate))
        rest = self.over((width, tokens, versions - 1), self.view(corrected), first)
        return self.result(every, self.view(corrected), rest)

    def routed(self, tensor: Node) -> Node:
        return self.linear(self.versions, self.over((self.width, self.tokens), tensor))

    def sparse(self, layer: Layer, read: Node) -> Node:
        assert layer.feed_forward is not None
        sides = layer.feed_forward.length, self.tokens
        up, gate = self.result(sides, read), self.result(sides, read)
        if layer.is_early:
            mean = self.linear(1, gate)
            spread = self.linear(1, self.over(sides, gate, mean))
            gate = self.over(sides, gate, self.over((1, self.tokens), mean, spread))
        return self.linear(self.width, self.over(sides, up, gate))

    def after(self, hidden: Node) -> Node:
        width, tokens, others = self.width, self.tokens, self.versions - 1
        unembedded = self.result((width, tokens, others), self.view(hidden))
        unembedded = self.scaled(unembedded, self.over((width, tokens), self.view(hidden)))
        total = self.view(hidden)
        for _ in range(others):
            total = self.over((width, tokens), total, self.view(unembedded))
        return super().after(self.last_rows(total))
