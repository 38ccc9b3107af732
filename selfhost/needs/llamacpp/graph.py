"""The graph that llama.cpp builds for a prompt, layer by layer, as its allocator sees it.

Read from src/llama-graph.cpp and src/models of llama.cpp 0c1e570. The spec and its row say which
norms, fused matrices, windows and experts a layer has. Operations that write over their only source
need no memory, so they are left out: scales, biases, activations, the weight of a norm. Shapes are
(row length, …, tokens); heads and their size are separate only where the layout depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ...catalogue.architecture import Architecture, Attention, FeedForward, Recurrent
from ...core.records import Record
from ..cache import states, window_of
from ..case import Cells
from ..tensors import ArchitectureRow, Style
from .allocator import Recorder, Section, Tensor, peak
from .operations import ROTATION, attention, experts_beside_dense, feed_forward, latent, recurrence

# norms that a model has after its feed-forward, and then after its attention too
_AFTER_FEED_FORWARD = {"post_ffw_norm", "layer_output_norm"}


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


class Layer(NamedTuple):
    """What one layer is made of. `slice`: which slice of the embeddings it adds, -1 for none.
    `cached`: it has a cache of its own. `normed`: by a norm in front of its attention.
    """

    attention: Attention | None
    recurrent: Recurrent | None
    feed_forward: FeedForward | None
    rotated: bool
    last: bool
    slice: int
    cached: bool
    sparse: bool
    normed: bool

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for layers that are alike."""
        return *map(id, self[:3]), *self[3:]


class Graph(Recorder):
    """One graph while it is written. `flash`: attention without stored scores. `stored`: of keys
    and values in the cache, "quantized", "32 bits" or "16 bits".
    """

    # the first so many have sparse activations
    sparse_layers = 0

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
        groups = [group for group in model.recurrent if group.layers]
        self.memories = {
            id(group): state for group, state in zip(groups, states(model), strict=True)
        }
        self.embedded: Tensor | None = None
        self.slices: Tensor | None = None
        self.fetched: Tensor | None = None
        self.windowed = any(window_of(model, row, group) is not None for group in model.attention)
        self.attending: dict[tuple[bool, int], Shared] = {}
        # masks of encoders, by whether the layer has a window
        self.masks: dict[bool, Tensor] = {}

    def linear(self, length: int, read: Tensor, side: int | None = None) -> Tensor:
        """The product of a matrix with so many rows and what it reads."""
        return self.result((length, self.tokens if side is None else side), read)

    def norm(self, tensor: Tensor, *sides: int) -> Tensor:
        return (self.result if self.style.centred else self.over)(sides, tensor)

    def last_rows(self, tensor: Tensor) -> Tensor:
        """The tokens whose logits the caller needs."""
        return self.result((self.width, self.logits), tensor, self.rows)

    def stand_in(self, *sides: int) -> Tensor:
        """The output of the section before."""
        tensor = Tensor((4, *sides))
        tensor.placed = True
        return tensor

    def fetch(self, elements: int) -> Tensor:
        fetched, self.fetched = self.fetched, None
        if fetched is None:
            fetched = self.result((elements, self.sequences), self.view(self.states))
            self.expand(fetched)
        return self.view(fetched)

    def shared(self, heads: Attention, value_width: int) -> Shared:
        """The inputs of these layers; made once for all layers with the same cells."""
        window = window_of(self.model, self.row, heads)
        key = window is None, heads.key_length
        if key not in self.attending:
            block = ROTATION
            while heads.key_length % (2 * block) == 0:
                block *= 2
            rotates = [
                kind == "quantized" and heads.kind != "latent" and length % ROTATION == 0
                for kind, length in zip(
                    self.stored, (heads.key_length, heads.value_length), strict=True
                )
            ]
            tokens, streams, cells = self.tokens, self.streams, self.room.cells_of_layer(window)
            self.attending[key] = Shared(
                cells=cells,
                key_places=self.input(tokens, width=8),
                value_places=self.input(tokens if self.flash else tokens * value_width, width=8),
                mask=self.input(cells, tokens // streams, streams, width=2 if self.flash else 4),
                key_rotation=self.input(block, block) if rotates[0] else None,
                value_rotation=self.input(ROTATION, ROTATION) if rotates[1] else None,
                key_block=block,
            )
        return self.attending[key]

    def peak(self) -> int:
        """Bytes of the buffer that holds the whole graph."""
        steps = self.steps()
        sections, order = [self.before(steps[0][0])], [0]
        kinds: dict[tuple[object, ...], int] = {}
        for step, following in zip(steps, [*steps[1:], None], strict=True):
            after = following[0] if following is not None else None
            kind = *[layer.key for layer in step], id(self.early(after))
            if kind not in kinds:
                kinds[kind] = len(sections)
                sections.append(self.step(step, after))
                if self.slices is not None:
                    self.slices.shared = True
            order.append(kinds[kind])
        order.append(len(sections))
        sections.append(self.after())
        return peak(sections, order)

    def early(self, layer: Layer | None) -> Recurrent | None:
        """The recurrence whose state is fetched before the last sum of the layer before."""
        if layer is None or layer.attention is not None or self.style.expanded:
            return None
        return layer.recurrent

    def steps(self) -> list[list[Layer]]:
        """The layers in turn. No step reads the output of a dense feed-forward before the next
        layer does. Where it is a layer of its own, it joins the layer before.
        """
        model, row, steps = self.model, self.row, list[list[Layer]]()
        kinds: tuple[Iterable[Any], ...] = model.attention, model.recurrent, model.feed_forward
        attending, recurring, feeding = (
            {layer: group for group in groups for layer in group.layers} for groups in kinds
        )
        # Qwen3-VL: the first layers add a slice of the embeddings each; Gemma 4: the first one
        # projects those of all layers
        adding = model.deepstack_layers or int(bool(model.per_layer_embedding_length))
        normed = "attn_norm" in row.norms or not row.norms
        for number in range(model.layers):
            layer = Layer(
                attention=attending.get(number),
                recurrent=recurring.get(number),
                feed_forward=feeding.get(number),
                rotated=self.rotates(attending.get(number), number),
                last=number == model.layers - 1,
                slice=number if number < adding else -1,
                cached=model.cache_layers is None or number < model.cache_layers,
                sparse=number < self.sparse_layers,
                normed=normed and (number > 0 or row.first_norm),
            )
            wide = layer.feed_forward
            if steps and wide is not None and not (any(layer[:2]) or wide.experts):
                steps[-1].append(layer)
            else:
                steps.append([layer])
        return steps

    def rotates(self, heads: Attention | None, number: int) -> bool:
        match self.style.rope:
            case "sliding":
                windowed = heads is not None and window_of(self.model, self.row, heads) is not None
                return windowed or not self.windowed
            case "three of four":
                return number % 4 != 3
        return self.style.rope == "all"

    def before(self, first: Layer) -> Section:
        width, tokens = self.width, self.tokens
        embeddings = self.linear(width, self.input(tokens))
        slices = 1 + (self.model.deepstack_layers or 0)
        if slices > 1:
            embeddings = self.linear(width * slices, embeddings)
        self.expand(embeddings)
        # the place of vectors given instead of tokens is there, used or not
        self.expand(self.input(width * slices, tokens))
        if slices > 1:
            self.embedded = embeddings
            section = self.section(())
            embeddings.shared = True
            return section
        self.look_up_slices()
        if self.row.positions:
            places = self.linear(width, self.positions)
            pair = (places, embeddings) if self.row.encoder else (embeddings, places)
            embeddings = self.over((width, tokens), *pair)
        if self.row.embedding_norm:
            embeddings = self.norm(embeddings, width, tokens)
        if self.early(first) is not None:
            self.expand(embeddings)
        section = self.section((), *self.handed_over(embeddings, first))
        if self.embedded is not None:
            self.embedded.shared = True
        return section

    def step(self, layers: list[Layer], after: Layer | None) -> Section:
        entries = [self.stand_in(self.width, self.tokens)]
        early = self.early(layers[0])
        if early is not None:
            self.fetched = self.stand_in(self.memories[id(early)].first, self.sequences)
            entries.append(self.fetched)
        total = entries[0]
        for layer in layers:
            total = self.layer(layer, total)
        return self.section(tuple(entries), *self.handed_over(total, after))

    def handed_over(self, result: Tensor, after: Layer | None) -> tuple[Tensor, ...]:
        early = self.early(after)
        if early is None:
            return (result,)
        fetched = self.result(
            (self.memories[id(early)].first, self.sequences), self.view(self.states)
        )
        self.expand(fetched)
        return result, fetched

    def after(self) -> Section:
        late = self.style.late_rows
        entry = hidden = self.stand_in(self.width, self.tokens if late else self.logits)
        if self.row.embeds:
            return self.pooled(entry)
        if late == "before norm":
            entry.kept = True
            hidden = self.last_rows(entry)
        hidden = self.norm(
            hidden, self.width, self.tokens if late in ("after norm", "never") else self.logits
        )
        if late == "after norm":
            hidden.kept = True
            hidden = self.last_rows(hidden)
        hidden.kept = True
        logits = self.linear(
            self.vocabulary, hidden, self.tokens if late == "never" else self.logits
        )
        logits.kept = True
        return self.section((entry,), logits)

    def pooled(self, entry: Tensor) -> Section:
        """One vector per sequence. Which pooling a model has is not in its spec; the other
        differs by 4 bytes per token and sequence.
        """
        width, tokens, sequences = self.width, self.tokens, self.sequences
        hidden = self.norm(entry, width, tokens) if self.row.output_norm else entry
        hidden.kept = True
        if self.row.pooling == "first":
            vectors = self.result((width, sequences), hidden, self.input(sequences))
        else:
            turned = self.result((tokens, width), self.part(hidden))
            vectors = self.result((width, sequences), turned, self.input(tokens, sequences))
        vectors.kept = True
        return self.section((entry,), vectors)

    def layer(self, layer: Layer, residual: Tensor) -> Tensor:
        wide = layer.feed_forward
        if layer.slice == 0 and self.embedded is not None and self.model.deepstack_layers:
            residual = self.part(self.embedded)
        normed = self.norm(residual, self.width, self.tokens) if layer.normed else residual
        if self.style.expanded:
            self.expand(normed)
        if self.row.encoder and "layer_output_norm" in self.row.norms and wide is not None:
            return self.normed_after_sums(layer, wide, residual)
        if wide is not None and (any(layer[:2]) or self.style.beside):
            total = self.two_parts(layer, wide, normed, residual)
            return self.with_embeddings(layer, total, residual)
        if wide is None:
            computed = self.mix(layer, normed)
        else:
            computed = feed_forward(self, wide, normed, self.tokens)
        side = self.tokens
        if layer.last and not self.style.late_rows:
            side = self.logits
            computed, residual = self.last_rows(computed), self.last_rows(residual)
        return self.over((self.width, side), computed, residual)

    def mix(self, layer: Layer, normed: Tensor) -> Tensor:
        if layer.attention is None:
            assert layer.recurrent is not None
            return recurrence(self, layer.recurrent, normed)
        if layer.attention.kind == "latent":
            return latent(self, layer.attention, normed)
        return attention(self, layer.attention, normed, layer.rotated, layer.cached)

    def two_parts(
        self, layer: Layer, wide: FeedForward, normed: Tensor, residual: Tensor
    ) -> Tensor:
        """A layer that attends or recurs, or both beside each other, and then feeds forward."""
        style, side = self.style, self.tokens
        attended, residual = self.mixed_in(layer, normed, residual)
        norm_after = bool(_AFTER_FEED_FORWARD & set(self.row.norms))
        if norm_after and style.normed_first:
            attended = self.norm(attended, self.width, side)
        if layer.last and not style.late_rows:
            side = self.logits
            attended, residual = self.last_rows(attended), self.last_rows(residual)
            if style.beside == "norm":
                normed = self.last_rows(normed)
        if norm_after and not (style.normed_first or style.beside):
            attended = self.norm(attended, self.width, side)
        read, residual = self.read_by_feed_forward(layer, normed, attended, residual, side)
        if wide.beside_dense:
            computed = experts_beside_dense(self, wide, residual)
        else:
            computed = feed_forward(self, wide, read, side)
        if norm_after:
            computed = self.norm(computed, self.width, side)
        # in the order in which llama.cpp adds the parts
        terms = {"made": computed, "residual": residual, "attended": attended}
        total, *rest = [terms[name] for name in style.sums]
        for term in rest:
            total = self.over((self.width, side), total, term)
        return total

    def mixed_in(self, layer: Layer, normed: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
        """The output of attention or recurrence, and the residual.

        Falcon-H1 has both beside each other, each with the norm computed anew, and adds them at
        once.
        """
        sides = self.width, self.tokens
        read = self.norm(residual, *sides) if self.model.parallel_norms == 2 else normed
        attended = self.mix(layer, read)
        if layer.attention is not None and layer.recurrent is not None:
            beside = recurrence(self, layer.recurrent, self.norm(residual, *sides))
            residual = self.over(sides, self.over(sides, attended, beside), residual)
        return attended, residual

    def read_by_feed_forward(
        self, layer: Layer, normed: Tensor, attended: Tensor, residual: Tensor, side: int
    ) -> tuple[Tensor, Tensor]:
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

    def normed_after_sums(self, layer: Layer, wide: FeedForward, residual: Tensor) -> Tensor:
        side = self.tokens
        attended = self.mix(layer, residual)
        if layer.last:
            side = self.logits
            attended, residual = self.last_rows(attended), self.last_rows(residual)
        sides = self.width, side
        residual = self.norm(self.over(sides, attended, residual), *sides)
        computed = feed_forward(self, wide, residual, side)
        return self.norm(self.over(sides, computed, residual), *sides)

    def with_embeddings(self, layer: Layer, total: Tensor, entered: Tensor) -> Tensor:
        """What a layer gives, and what is added to it of the embeddings; `entered`: what the layer
        was given.
        """
        length, sides = self.model.per_layer_embedding_length, (self.width, self.tokens)
        if length:
            gate = self.linear(length, total)
            own = self.slice_of(length, entered, layer.slice == 0)
            gate = self.over((length, self.tokens), gate, own)
            return self.over(sides, total, self.over(sides, self.linear(self.width, gate)))
        if self.embedded is None or layer.slice < 0:
            return total
        side = self.logits if layer.last and not self.style.late_rows else self.tokens
        return self.over((self.width, side), total, self.part(self.embedded))

    def look_up_slices(self) -> None:
        """Gemma 3n and 4: each layer has its own embeddings."""
        length, layers, tokens = (
            self.model.per_layer_embedding_length,
            self.model.layers,
            self.tokens,
        )
        if length:
            slices = self.linear(length * layers, self.input(tokens))
            self.embedded = self.over((length, layers, tokens), self.view(slices))
            self.expand(self.embedded)

    def slice_of(self, length: int, embeddings: Tensor, first: bool) -> Tensor:
        """That of one layer; the first adds a projection of the tokens' embeddings for all."""
        sides = length, self.model.layers, self.tokens
        if first:
            assert self.embedded is not None
            projected = self.over(sides, self.view(self.linear(length * sides[1], embeddings)))
            projected = self.over(sides, projected, self.embedded)
            self.slices = self.result((length, self.tokens, sides[1]), self.view(projected))
        assert self.slices is not None
        return self.part(self.slices)
