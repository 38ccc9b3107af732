"""How llama.cpp computes a layer: attention, recurrence, experts, as the allocator sees them.

The rules are read from src/llama-graph.cpp and src/models of llama.cpp 0c1e570. The spec and its
row say which norms, fused matrices, windows and experts a layer has. Operations that write over
their only source need no memory, so this module leaves them out: scales, biases, activations, the
weight of a norm. Attention, recurrence and feed-forwards have their own modules.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...catalogue.spec import Architecture, Attention, FeedForward, Recurrent
from ..tensors import ArchitectureRow
from .allocator import CHOSEN, LOGITS_ROWS, Program, Section, Tensor
from .buffers import window_of
from .graph_attention import Attending
from .graph_base import Layer

# norms that a model has after its feed-forward, and then after its attention too
_AFTER_FEED_FORWARD = ("post_ffw_norm", "layer_output_norm")


class Builder(Attending):
    """One graph, section by section. Shapes are (row length, …, tokens). Heads and their size are
    separate only where the layout depends on it.
    """

    # the first so many have sparse activations
    sparse_layers = 0

    @staticmethod
    def writes(model: Architecture, row: ArchitectureRow) -> bool:
        """Whether the layers are of kinds that it knows."""
        return all("rwkv" not in group.kind and group.kind != "rglru" for group in model.recurrent)

    def program(self) -> Program:
        """The whole graph, section by section."""
        model = self.model
        attention = {layer: group for group in model.attention for layer in group.layers}
        recurrent = {layer: group for group in model.recurrent for layer in group.layers}
        feed_forward = {layer: group for group in model.feed_forward for layer in group.layers}
        if not self.style.expanded:
            self.early = {
                layer: group for layer, group in recurrent.items() if layer not in attention
            }
        steps = self.steps(attention, recurrent, feed_forward)
        sections, order = [self.before()], [0]
        kinds: dict[tuple[object, ...], int] = {}
        layer = 0
        for step in steps:
            first, layer = layer + 1, layer + len(step)
            follower = attention.get(layer)
            handed = self.follows(follower)
            kind = (*map(id, step), id(self.early.get(layer)), handed)
            if kind not in kinds:
                kinds[kind] = len(sections)
                sections.append(self.step(first - 1, step, handed))
                if self.slices is not None:
                    self.record.share(self.slices)
            order.append(kinds[kind])
        order.append(len(sections))
        sections.append(self.after())
        return Program(self.record, sections, order)

    def steps(
        self,
        attention: Mapping[int, Attention],
        recurrent: Mapping[int, Recurrent],
        feed_forward: Mapping[int, FeedForward],
    ) -> list[list[Layer]]:
        """The layers in turn, those that are alike the same object.

        No step reads the output of a dense feed-forward before the next layer does. Where it is a
        layer of its own, it joins the layer before.
        """
        steps: list[list[Layer]] = []
        unlike: dict[tuple[object, ...], Layer] = {}
        for number in range(self.model.layers):
            layer = self.layer_of(
                number, attention.get(number), recurrent.get(number), feed_forward.get(number)
            )
            alike = unlike.setdefault(layer.key, layer)
            mixes = alike.heads is not None or alike.state is not None
            if steps and not mixes and alike.wide is not None and not alike.wide.experts:
                steps[-1].append(alike)
            else:
                steps.append([alike])
        return steps

    def layer_of(
        self,
        number: int,
        heads: Attention | None,
        state: Recurrent | None,
        wide: FeedForward | None,
    ) -> Layer:
        model, row = self.model, self.row
        # Qwen3-VL: the first layers add a slice of the embeddings each; Gemma 4: the first one
        # projects those of all layers
        adding = model.deepstack_layers or (1 if model.per_layer_embedding_length else 0)
        return Layer(
            heads=heads,
            state=state,
            wide=wide,
            rotated=self.rotates(heads, number),
            last=number == model.layers - 1,
            deep=number if number < adding else -1,
            cached=model.cache_layers is None or number < model.cache_layers,
            sparse=number < self.sparse_layers,
            normed=("attn_norm" in row.norms or not row.norms) and (number > 0 or row.first_norm),
        )

    def follows(self, heads: Attention | None) -> bool:
        """Whether these layers look at what an indexer before them chose."""
        return (
            self.choosing
            and heads is not None
            and not heads.indexer_heads
            and heads.window_tokens is None
        )

    def rotates(self, heads: Attention | None, layer: int) -> bool:
        """Whether this layer's attention rotates by position."""
        match self.style.rope:
            case "all":
                return True
            case "sliding":
                return not self.windowed or (
                    heads is not None and window_of(self.model, self.row, heads) is not None
                )
            case "three of four":
                return layer % 4 != 3
            case "of 32 layers":
                return self.model.layers == 32
        return False

    # ------------------------------------------------------------------ before and after the layers

    def before(self) -> Section:
        record, width, tokens = self.record, self.width, self.tokens
        embeddings = record.result((width, tokens), record.input(tokens))
        deep = self.model.deepstack_layers or 0
        if deep:
            embeddings = record.result((width * (1 + deep), tokens), embeddings)
        record.expand(embeddings)
        # the place of vectors given instead of tokens is there, used or not
        record.expand(record.input(width * (1 + deep), tokens))
        if deep:
            self.embedded = embeddings
            section = record.section(())
            record.share(embeddings)
            return section
        if self.model.per_layer_embedding_length:
            self.look_up_slices(self.model.per_layer_embedding_length)
        if self.row.positions:
            places = record.result((width, tokens), self.positions)
            pair = (places, embeddings) if self.row.encoder else (embeddings, places)
            embeddings = record.over((width, tokens), *pair)
        if self.row.embedding_norm or self.style.embedding_normed:
            embeddings = self.norm(embeddings, width, tokens)
        section = record.section((), *self.fetched_early(0, embeddings))
        if self.embedded is not None:
            record.share(self.embedded)
        return section

    def after(self) -> Section:
        record, width = self.record, self.width
        entry = hidden = self.stand_in(self.tokens if self.style.late_rows else LOGITS_ROWS)
        if self.row.embeds:
            return self.pooled(entry)
        if self.style.late_rows == "before norm":
            entry.kept = True
            hidden = record.result((width, LOGITS_ROWS), entry, self.rows)
        side = self.tokens if self.style.late_rows in ("after norm", "never") else LOGITS_ROWS
        hidden = self.norm(hidden, width, side)
        hidden.kept = True
        if self.style.late_rows == "after norm":
            hidden = record.result((width, LOGITS_ROWS), hidden, self.rows)
            hidden.kept = True
            side = LOGITS_ROWS
        if self.style.scaled_last:
            hidden = record.result((width, side), hidden)
        sides = self.model.vocabulary_gguf or self.model.vocabulary or 0, side
        logits = record.result(sides, hidden)
        logits.kept = True
        return record.section((entry,), logits)

    def pooled(self, entry: Tensor) -> Section:
        """One vector per sequence. Which pooling a model has is not in its spec; the other
        differs by 4 bytes per token and sequence.
        """
        record, tokens, sequences = self.record, self.tokens, self.sequences
        hidden = self.norm(entry, self.width, tokens) if self.row.output_norm else entry
        hidden.kept = True
        if self.row.pooling == "none":
            return record.section((entry,), hidden)
        if self.row.pooling == "first":
            vectors = record.result((self.width, sequences), hidden, record.input(sequences))
        else:
            turned = record.result((tokens, self.width), record.view(hidden, strided=True))
            vectors = record.result(
                (self.width, sequences), turned, record.input(tokens, sequences)
            )
        vectors.kept = True
        return record.section((entry,), vectors)

    def stand_in(self, side: int) -> Tensor:
        """The output of the section before."""
        tensor = Tensor((4, self.width, side), ())
        tensor.placed = True
        return tensor

    # ------------------------------------------------------------------ a layer

    def step(self, number: int, layers: list[Layer], handed: bool) -> Section:
        """`handed`: the next layer looks at what the indexer chose here or before."""
        entry = self.stand_in(self.tokens)
        entries: tuple[Tensor, ...] = (entry,)
        if number in self.early:
            self.fetched = Tensor((4, self.memories[id(layers[0].state)].first, self.sequences), ())
            self.fetched.placed = True
            entries = entry, self.fetched
        heads = layers[0].heads
        if self.follows(heads):
            self.chosen = Tensor((4, CHOSEN, self.tokens), ())
            self.chosen.placed = True
            entries = entry, self.chosen
        total = entry
        for layer in layers:
            total = self.layer(layer, total)
        if handed and self.chosen is not None:
            return self.record.section(entries, total, self.chosen)
        return self.record.section(entries, *self.fetched_early(number + len(layers), total))

    def fetched_early(self, layer: int, result: Tensor) -> tuple[Tensor, ...]:
        """What a section hands over: its result, and the next layer's state where that one recurs.
        The state is fetched before this layer's last sum.
        """
        group = self.early.get(layer)
        if group is None:
            return (result,)
        if layer == 0:
            self.record.expand(result)
        fetched = self.record.result(
            (self.memories[id(group)].first, self.sequences), self.record.view(self.states)
        )
        self.record.expand(fetched)
        return result, fetched

    def layer(self, layer: Layer, residual: Tensor) -> Tensor:
        record, style = self.record, self.style
        if layer.deep == 0:
            residual = self.first_residual(residual)
        normed = self.norm(residual, self.width, self.tokens) if layer.normed else residual
        if style.expanded:
            record.expand(normed)
        norms_after = self.row.encoder and "layer_output_norm" in self.row.norms
        if norms_after and layer.heads is not None and layer.wide is not None:
            return self.encoder(layer.heads, layer.wide, residual, layer.rotated, layer.last)
        mixes = layer.heads is not None or layer.state is not None
        if (layer.wide is None or not mixes) and not style.beside:
            return self.one_part(layer, normed, residual)
        total = self.two_parts(layer, normed, residual)
        return self.with_embeddings(layer, total, residual)

    def first_residual(self, residual: Tensor) -> Tensor:
        """The input of the first layer where a model keeps embeddings for later layers."""
        if self.embedded is None or not self.model.deepstack_layers:
            return residual
        return self.record.view(self.embedded, strided=True)

    def one_part(self, layer: Layer, normed: Tensor, residual: Tensor) -> Tensor:
        """A layer that attends, or recurs, or feeds forward."""
        if layer.wide is None:
            computed = self.mix(layer.heads, layer.state, normed, layer.rotated)
        else:
            computed = self.feed_forward(layer.wide, normed, self.tokens)
        side = self.tokens
        if layer.last and not self.style.late_rows:
            side = LOGITS_ROWS
            computed, residual = self.of_last_rows(computed), self.of_last_rows(residual)
        return self.record.over((self.width, side), computed, residual)

    def two_parts(self, layer: Layer, normed: Tensor, residual: Tensor) -> Tensor:
        """A layer that attends or recurs, or both beside each other, and then feeds forward."""
        style, wide = self.style, layer.wide
        assert wide is not None
        side = self.tokens
        both = layer.heads is not None and layer.state is not None
        attended, residual = self.mixed_in(layer, normed, residual)
        norm_after = any(name in self.row.norms for name in _AFTER_FEED_FORWARD)
        if norm_after and style.normed_first:
            attended = self.norm(attended, self.width, side)
        if layer.last and not style.late_rows:
            side = LOGITS_ROWS
            attended, residual = self.of_last_rows(attended), self.of_last_rows(residual)
            if style.beside == "norm":
                normed = self.of_last_rows(normed)
        if norm_after and not (style.normed_first or style.beside):
            attended = self.norm(attended, self.width, side)
        read, residual = self.read_by_feed_forward(normed, attended, residual, side, added=both)
        computed = self.fed_forward(wide, read, residual, side)
        if norm_after:
            computed = self.norm(computed, self.width, side)
        return self.sum_of_parts(computed, residual, attended, side)

    def mixed_in(self, layer: Layer, normed: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
        """The output of attention or recurrence, and the residual.

        Falcon-H1 has both beside each other, each with the norm computed anew, and adds them at
        once.
        """
        record, sides = self.record, (self.width, self.tokens)
        read = self.norm(residual, *sides) if self.model.parallel_norms == 2 else normed
        attended = self.mix(layer.heads, layer.state, read, layer.rotated, layer.cached)
        if layer.heads is not None and layer.state is not None:
            beside = self.mix(None, layer.state, self.norm(residual, *sides), layer.rotated)
            residual = record.over(sides, record.over(sides, attended, beside), residual)
        return attended, residual

    def sum_of_parts(
        self, computed: Tensor, residual: Tensor, attended: Tensor, side: int
    ) -> Tensor:
        """The sum, in the order in which llama.cpp adds the parts."""
        terms = {"made": computed, "residual": residual, "attended": attended}
        total, *rest = [terms[name] for name in self.style.sums]
        for term in rest:
            total = self.record.over((self.width, side), total, term)
        return total

    def read_by_feed_forward(
        self, normed: Tensor, attended: Tensor, residual: Tensor, side: int, *, added: bool
    ) -> tuple[Tensor, Tensor]:
        """The input of the feed-forward, and the residual. `added`: it includes the attention."""
        record, style, norms, sides = self.record, self.style, self.row.norms, (self.width, side)
        if style.beside:
            return normed if style.beside == "norm" else self.norm(residual, *sides), residual
        if not added:
            pair = (residual, attended) if style.residual_first else (attended, residual)
            residual = record.over(sides, *pair)
        if "ffn_norm" in norms or not any(name in norms for name in _AFTER_FEED_FORWARD):
            return self.norm(residual, *sides), residual
        return residual, residual

    def fed_forward(self, wide: FeedForward, read: Tensor, residual: Tensor, side: int) -> Tensor:
        """The output of the feed-forward, or of experts and the dense one beside them."""
        if not wide.beside_dense:
            return self.feed_forward(wide, read, side)
        from .graph_experts import experts_beside_dense

        return experts_beside_dense(self, wide, residual)

    def feed_forward(self, wide: FeedForward, read: Tensor, side: int) -> Tensor:
        if not wide.experts:
            return self.dense(wide.length, read, side)
        from .graph_experts import routed

        return routed(self, wide, read, side)

    def activated(self, sides: tuple[int, ...], gate: Tensor, up: Tensor) -> Tensor:
        """The gate's activation and the product, one operation."""
        return self.record.result(sides, gate, up)

    def dense(self, length: int, read: Tensor, side: int) -> Tensor:
        record = self.record
        if self.row.gate == "fused":
            inner = record.result((length, side), record.result((2 * length, side), read))
        elif self.row.gate == "split":
            up = record.result((length, side), read)
            inner = self.activated((length, side), record.result((length, side), read), up)
        else:
            inner = record.result((length, side), read)
        return record.result((self.width, side), inner)

    def with_embeddings(self, layer: Layer, total: Tensor, entered: Tensor) -> Tensor:
        """What a layer gives, and what is added to it of the embeddings; `entered`: what the layer
        was given.
        """
        record, style = self.record, self.style
        side = LOGITS_ROWS if layer.last and not style.late_rows else self.tokens
        sides = self.width, side
        if self.model.per_layer_embedding_length:
            return self.per_layer(
                self.model.per_layer_embedding_length, total, entered, layer.deep == 0
            )
        if self.embedded is None:
            return total
        if layer.deep >= 0:
            return record.over(sides, total, record.view(self.embedded, strided=True))
        return total

    def of_last_rows(self, tensor: Tensor) -> Tensor:
        """The tokens whose logits the caller needs."""
        return self.record.result((self.width, LOGITS_ROWS), tensor, self.rows)

    def look_up_slices(self, length: int) -> None:
        """Gemma 3n and 4: each layer has its own embeddings."""
        record, tokens, layers = self.record, self.tokens, self.model.layers
        slices = record.result((length * layers, tokens), record.input(tokens))
        self.embedded = record.over((length, layers, tokens), record.view(slices))
        record.expand(self.embedded)

    def slice_of(self, length: int, embeddings: Tensor, first: bool) -> Tensor:
        """That of one layer; the first adds a projection of the tokens' embeddings for all."""
        record, tokens, layers = self.record, self.tokens, self.model.layers
        if first:
            assert self.embedded is not None
            projected = record.view(record.result((length * layers, tokens), embeddings))
            projected = record.over(
                (length, layers, tokens),
                record.over((length, layers, tokens), projected),
                self.embedded,
            )
            self.slices = record.result((length, tokens, layers), record.view(projected))
        assert self.slices is not None
        return record.view(self.slices, strided=True)

    def per_layer(self, length: int, total: Tensor, embeddings: Tensor, first: bool) -> Tensor:
        record, width, tokens = self.record, self.width, self.tokens
        gate = record.result((length, tokens), total)
        gate = record.over((length, tokens), gate, self.slice_of(length, embeddings, first))
        return record.over(
            (width, tokens),
            total,
            record.over((width, tokens), record.result((width, tokens), gate)),
        )

    def encoder(
        self, heads: Attention, wide: FeedForward, residual: Tensor, rotated: bool, last: bool
    ) -> Tensor:
        """An encoder: its norms follow the sums."""
        record, width, side = self.record, self.width, self.tokens
        attended = self.attention(heads, residual, rotated)
        if last:
            side = LOGITS_ROWS
            attended = record.result((width, side), attended, self.rows)
            residual = record.result((width, side), residual, self.rows)
        residual = self.norm(record.over((width, side), attended, residual), width, side)
        fed_forward = self.feed_forward(wide, residual, side)
        return self.norm(record.over((width, side), fed_forward, residual), width, side)

    def mix(
        self,
        heads: Attention | None,
        state: Recurrent | None,
        normed: Tensor,
        rotated: bool,
        cached: bool = True,
    ) -> Tensor:
        # `Recurring` has the others
        assert heads is not None
        return (
            self.latent(heads, normed)
            if heads.kind == "latent"
            else self.attention(heads, normed, rotated, cached)
        )
