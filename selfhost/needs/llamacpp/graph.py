"""The compute buffer: the graph that llama.cpp builds for a prompt, layer by layer, replayed by the
rules of ggml's allocator, exact to the byte: sizes, order, views, and which operations may write
over their input.

Read from src/llama-graph.cpp, src/models and ggml-alloc.c of llama.cpp 0c1e570. The spec and its
row say which norms, fused matrices, windows and experts a layer has. Operations that write over
their only source need no memory, so they are left out: scales, biases, activations, the weight of a
norm. Shapes are (row length, …, tokens); heads and their size are separate only where the layout
depends on it.

A row of `specs/common/architectures.toml` has the key `graph` where every measured case of its
architecture is so (tests/truth). Of others the buffer is a guess with a range.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

from ...catalogue.architecture import Architecture, Attention, FeedForward, Recurrent
from ...core.records import Record
from ..case import Cells
from ..tensors import ArchitectureRow, Style, states, window_of
from .operations import RECURRENCES, ROTATION, attention, experts_beside_dense, feed_forward, latent

if TYPE_CHECKING:
    from .gemma3n import Gemma3n

# norms that a model has after its feed-forward, and then after its attention too
_AFTER_FEED_FORWARD = {"post_ffw_norm", "layer_output_norm"}
# no model routes a token to more than 22 experts: bounds what a hostile file can ask for
_MOST_EXPERTS = 64
# Jamba's
_LONGEST_PATTERN = 8
_STORED = {"f16": "16 bits", "bf16": "16 bits", "f32": "32 bits"}
# kinds of attention, whether with a latent and with an indexer
_ATTENTION = {("full", False, False), ("sliding", False, False), ("latent", True, False)}
_ALIGNMENT, _ENDLESS = 32, 1 << 80


@lru_cache(maxsize=1024)
def exact_compute_bytes(
    model: Architecture, row: ArchitectureRow, room: Cells, logits_rows: int
) -> int | None:
    """The compute buffer to the byte; None where the architecture has no graph here."""
    if row.graph is None or not _is_buildable(model, row):
        return None
    layers = _layers(model, row)
    # most are the same again and again, and after each, or each two, nothing has changed any more
    for at_once in (1, 2, model.layers):
        graph = Graph(model, row, room, logits_rows)
        try:
            peak = _peak_of_layers(graph, layers, at_once)
        finally:
            graph.unlink()
        if peak is not None:
            return peak
    return None


def _peak_of_layers(graph: Graph, layers: list[Layer], at_once: int) -> int | None:
    """The most bytes in use while the graph of these layers runs; None where more rounds of its
    patterns, each of `at_once` repetitions, would have to be written down.
    """
    builder: Graph | Gemma3n = graph
    if graph.row.altup:
        from . import gemma3n

        builder = gemma3n.Gemma3n(graph)
    short, thirds = _shortened(layers, at_once)
    hidden = builder.before()
    marks = list[int]()
    for layer in short:
        marks.append(len(graph.nodes))
        hidden = builder.layer(layer, hidden)
    marks.append(len(graph.nodes))
    graph.expand(builder.after(hidden))
    rounds = ((marks[end - 2 * n], marks[end - n], marks[end]) for end, n in thirds)
    return graph.peak(rounds)


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
        layer = Layer(
            attention=heads,
            recurrent=recurrent,
            feed_forward=feed,
            is_last=is_last,
            is_normed=norm,
            is_fourth=fourth,
            is_cached=number < cached,
            is_early=number < early,
        )
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


class Node:
    """One result, input or view. `layout`: bytes of one element, then the sides; of a view () and
    nothing is written over it. `start`: its address while the graph runs, -1 without one.
    """

    __slots__ = (
        "given", "kept", "layout", "owner", "placed", "readers", "reuses", "size", "sources",
        "start", "strided", "views",
    )  # fmt: skip

    def __init__(
        self,
        layout: tuple[int, ...],
        sources: tuple[Node, ...] = (),
        owner: Node | None = None,
        *,
        reuses: bool = False,
    ) -> None:
        self.layout, self.sources, self.owner, self.reuses = layout, sources, owner, reuses
        self.size = (prod(layout) + _ALIGNMENT - 1) & -_ALIGNMENT
        # given: there before the graph runs; kept: an output; placed: already in a graph
        self.given = self.kept = self.placed = self.strided = False
        self.readers = self.views = 0
        self.start = -1


class Shared(Record):
    """What layers share that attend alike: room in the cache, and inputs that say where."""

    cells: int
    key_places: Node
    value_places: Node
    mask: Node
    key_rotation: Node | None
    value_rotation: Node | None


class Layer(Record):
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


class Graph:
    """One graph while it is written."""

    def __init__(
        self, model: Architecture, row: ArchitectureRow, room: Cells, logits_rows: int
    ) -> None:
        self.inputs, self.nodes = list[Node](), list[Node]()
        # owner of what lies outside the buffer: the cache and the states, which are written to
        self.elsewhere = Node(())
        # holes of the buffer in order of address, the last of them endless
        self.starts, self.ends, self.top = [0], [_ENDLESS], 0
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
        norms = set(row.norms)
        self.norms_after = ""
        if norms & _AFTER_FEED_FORWARD:
            self.norms_after = "first" if self.style.normed_first else "then"
            if self.style.beside and not self.style.normed_first:
                self.norms_after = "last"
        self.norms_read = "ffn_norm" in norms or not norms & _AFTER_FEED_FORWARD
        # of the hidden state, in Gemma 3n
        self.versions = model.altup_inputs or 2
        self.embedded: Node | None = None
        self.slices: Node | None = None
        self.windowed = any(window_of(model, group) is not None for group in model.attention)
        self.attending: dict[tuple[bool, int], Shared] = {}
        # masks of encoders, by whether a layer is `full` or `windowed`
        self.masks: dict[str, Node] = {}

    def input(self, *sides: int, width: int = 4) -> Node:
        tensor = Node((width, *sides))
        tensor.given = True
        return tensor

    def result(self, sides: int | tuple[int, ...], *sources: Node, width: int = 4) -> Node:
        """Of sides, or of so many numbers a token: the product of a matrix and the source."""
        sides = (sides, self.tokens) if isinstance(sides, int) else sides
        return Node((width, *sides), sources)

    def over(self, sides: tuple[int, ...], *sources: Node) -> Node:
        """Writes over the first source of the same layout that nobody else reads."""
        return Node((4, *sides), sources, reuses=True)

    def view(self, tensor: Node, *sources: Node) -> Node:
        """The same memory, after `sources` if any, which have a view of it, wrote part of it."""
        return Node((), sources or (tensor,), tensor.owner or tensor)

    def part(self, tensor: Node) -> Node:
        """Part of the same memory, whose rows do not follow each other."""
        view = self.view(tensor)
        view.strided = True
        return view

    def expand(self, *tensors: Node) -> None:
        """Puts tensors and what they need into the graph, sources first."""
        for tensor in tensors:
            if tensor.placed:
                continue
            tensor.placed = True
            if tensor.owner is not None:
                tensor.owner.views += 1
            for source in tensor.sources:
                source.readers += 1
                if not source.placed:
                    self.expand(source)
            (self.inputs if tensor.given else self.nodes).append(tensor)

    def unlink(self) -> None:
        """Take the nodes apart, which is the end of the graph. Of a chain of thousands that is
        dropped at once each node would free the next from inside its own deallocation, and a thread
        with a small stack ends in a segmentation fault (seen in CPython 3.13 with 256 KiB).
        """
        for node in self.nodes:
            node.sources = ()
            node.owner = None

    def peak(self, rounds: Iterable[tuple[int, int, int]] = ()) -> int | None:
        """The most bytes that are in use while the graph runs.

        `rounds`: nodes where a layer, or a pattern of layers, begins once more, ends and has been
        repeated. None unless each time the repetition left all as it was: then as many more of it
        would change nothing.
        """
        nodes, done = self.nodes, 0
        self._run(self.inputs)
        for first, second, third in rounds:
            # what decides how the allocator goes on: the holes, the latest nodes with all that is
            # left to read of them, and where older ones lie, which later layers may read as often
            states = []
            for begin, end in ((first, second), (second, third)):
                self._run(nodes[done:end])
                older = [
                    (each.start, each.readers > 0, each.views > 0)
                    for each in (*self.inputs, *nodes[:first])
                ]
                latest = [(each.start, each.readers, each.views) for each in nodes[begin:end]]
                states.append((self.top, [*self.starts], [*self.ends], older, latest))
                done = end
            is_over = not any(node.readers or node.views for node in nodes[first:second])
            if not is_over or states[0] != states[1]:
                return None
        self._run(nodes[done:])
        return self.top

    def _run(self, nodes: list[Node]) -> None:
        for node in nodes:
            if node.owner is None:
                for over in node.sources if node.reuses else ():
                    is_free = over.readers == 1 and not over.views and not over.kept
                    if is_free and over.start >= 0 and over.layout == node.layout:
                        node.start, over.start = over.start, -1
                        break
                else:
                    node.start = self.take(node.size)
            for source in node.sources:
                source.readers -= 1
                if not (source.readers or source.views):
                    owner = source.owner or source
                    owner.views -= source.owner is not None
                    self.give(owner)

    def take(self, size: int) -> int:
        """The address of `size` aligned bytes: best fit, of two equal holes the later; else the
        buffer grows.
        """
        starts, ends = self.starts, self.ends
        best, room = -1, _ENDLESS
        for index in range(len(starts) - 1):
            here = ends[index] - starts[index]
            if size <= here <= room:
                best, room = index, here
        start = starts[best]
        end = start + size
        if end == ends[best]:
            del starts[best], ends[best]
        else:
            starts[best] = end
        self.top = max(self.top, end)
        return start

    def give(self, tensor: Node) -> None:
        """Takes its memory back once nobody reads it; that becomes one with the holes beside it."""
        if tensor.start < 0 or tensor.kept or tensor.readers or tensor.views:
            return
        start, end, tensor.start = tensor.start, tensor.start + tensor.size, -1
        starts, ends = self.starts, self.ends
        index = bisect_left(starts, start)
        touches = index > 0 and ends[index - 1] == start
        if starts[index] == end:
            if touches:
                ends[index - 1] = ends[index]
                del starts[index], ends[index]
            else:
                starts[index] = start
        elif touches:
            ends[index - 1] = end
        else:
            starts.insert(index, start)
            ends.insert(index, end)

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
        embeddings = self.result(width, self.input(tokens))
        slices = 1 + (self.model.deepstack_layers or 0)
        if slices > 1:
            embeddings = self.result(width * slices, embeddings)
        # the place of vectors given instead of tokens is there, used or not
        self.expand(embeddings, self.input(width * slices, tokens))
        if slices > 1:
            self.embedded = embeddings
            return self.part(embeddings)
        if self.model.per_layer_embedding_length:
            self.look_up_slices()
        if self.row.positions:
            pair = embeddings, self.result(width, self.positions)
            embeddings = self.over((width, tokens), *(pair[::-1] if self.row.encoder else pair))
        if self.row.embedding_norm:
            embeddings = self.norm(embeddings, width, tokens)
        return embeddings

    def after(self, hidden: Node) -> Node:
        """The logits, or vectors."""
        late = self.style.late_rows
        if self.row.embeds:
            # one vector per sequence; another pooling differs by 4 bytes per token and sequence
            width, tokens, sequences = self.width, self.tokens, self.sequences
            hidden = self.norm(hidden, width, tokens) if self.row.output_norm else hidden
            hidden.kept = True
            pair = hidden, self.input(sequences)
            if self.row.pooling != "first":
                turned = self.result((tokens, width), self.part(hidden))
                pair = turned, self.input(tokens, sequences)
            vectors = self.result((width, sequences), *pair)
            vectors.kept = True
            return vectors
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
        logits = self.result((self.vocabulary, side), hidden)
        logits.kept = True
        return logits

    def layer(self, layer: Layer, residual: Node) -> Node:
        row, feed, sides = self.row, layer.feed_forward, (self.width, self.tokens)
        normed = self.norm(residual, *sides) if layer.is_normed else residual
        if self.style.expanded:
            self.expand(normed)
        heads, state = layer.attention, layer.recurrent
        norms_sums = row.encoder and "layer_output_norm" in row.norms
        if feed is None or not any((norms_sums, heads, state, self.style.beside)):
            computed = self.mix(layer, normed)
            if feed is not None:
                computed = feed_forward(self, feed, normed, self.tokens)
            if layer.is_last:
                sides = self.width, self.logits
                computed, residual = self.last_rows(computed), self.last_rows(residual)
            return self.over(sides, computed, residual)
        if norms_sums:
            attended = self.mix(layer, residual)
            if layer.is_last:
                sides = self.width, self.logits
                attended, residual = self.last_rows(attended), self.last_rows(residual)
            residual = self.norm(self.over(sides, attended, residual), *sides)
            computed = feed_forward(self, feed, residual, sides[1])
            return self.norm(self.over(sides, computed, residual), *sides)
        if heads is None or state is None:
            total = self.two_parts(layer, feed, normed, residual)
            return total if self.embedded is None else self.with_embeddings(layer, total, residual)
        # both beside each other, each with a norm (Falcon-H1)
        attended = self.mix(layer, self.norm(residual, *sides))
        beside = RECURRENCES[state.kind](self, state, self.norm(residual, *sides))
        residual = self.over(sides, self.over(sides, attended, beside), residual)
        if layer.is_last:
            sides = self.width, self.logits
            residual = self.last_rows(residual)
        computed = feed_forward(self, feed, self.norm(residual, *sides), sides[1])
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
        return attention(self, heads, normed, rotated=rotated, cached=layer.is_cached)

    def two_parts(self, layer: Layer, feed: FeedForward, normed: Node, residual: Node) -> Node:
        """A layer that attends or recurs, and feeds forward then or beside that."""
        style, side = self.style, self.tokens
        again = self.model.parallel_norms == 2
        attended = self.mix(layer, self.norm(residual, self.width, side) if again else normed)
        if self.norms_after == "first":
            attended = self.norm(attended, self.width, side)
        if layer.is_last:
            side = self.logits
            attended, residual = self.last_rows(attended), self.last_rows(residual)
            if style.beside == "norm":
                normed = self.last_rows(normed)
        sides = self.width, side
        if self.norms_after == "then":
            attended = self.norm(attended, *sides)
        read = normed
        if not style.beside:
            pair = (residual, attended) if style.residual_first else (attended, residual)
            read = residual = self.over(sides, *pair)
        if style.beside == "input" or (self.norms_read and not style.beside):
            read = self.norm(residual, *sides)
        if feed.beside_dense:
            computed = experts_beside_dense(self, feed, residual)
        else:
            computed = feed_forward(self, feed, read, side)
        if self.norms_after:
            computed = self.norm(computed, *sides)
        # in the order in which llama.cpp adds the parts
        parts = {"made": computed, "residual": residual, "attended": attended}
        total, *rest = map(parts.__getitem__, style.sums)
        for term in rest:
            total = self.over(sides, total, term)
        return total

    def with_embeddings(self, layer: Layer, total: Node, entered: Node) -> Node:
        """What a layer gives with what is added of the embeddings; `entered`: what it was given."""
        length, sides = self.model.per_layer_embedding_length, (self.width, self.tokens)
        if length:
            gate = self.result(length, total)
            own = self.slice_of(length, entered)
            gate = self.over((length, self.tokens), gate, own)
            return self.over(sides, total, self.over(sides, self.result(self.width, gate)))
        # Qwen3-VL: the first layers add a slice of the embeddings each
        if self.embedded is None or not layer.is_early:
            return total
        side = self.logits if layer.is_last else self.tokens
        return self.over((self.width, side), total, self.part(self.embedded))

    def look_up_slices(self) -> None:
        """Gemma 3n and 4: each layer has its own embeddings."""
        length, layers = self.model.per_layer_embedding_length or 0, self.model.layers
        slices = self.result(length * layers, self.input(self.tokens))
        self.embedded = self.over((length, layers, self.tokens), self.view(slices))
        self.expand(self.embedded)

    def slice_of(self, length: int, embeddings: Node) -> Node:
        """That of one layer; the first adds a projection of the tokens' embeddings for all."""
        sides = length, self.model.layers, self.tokens
        if self.slices is None:
            assert self.embedded is not None
            projected = self.over(sides, self.view(self.result(length * sides[1], embeddings)))
            projected = self.over(sides, projected, self.embedded)
            self.slices = self.result((length, self.tokens, sides[1]), self.view(projected))
        return self.part(self.slices)
