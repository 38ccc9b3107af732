"""How llama.cpp computes a layer: attention, recurrence, experts, as the allocator sees them.

The rules are read from src/llama-graph.cpp and src/models of llama.cpp 0c1e570. The spec and its
row say which norms, fused matrices, windows and experts a layer has. Operations that write over
their only source need no memory, so this module leaves them out: scales, biases, activations, the
weight of a norm. Shapes are (row length, …, tokens); heads and their size are separate only where
the layout depends on it.
"""

from __future__ import annotations

from ...catalogue.layers import Attention, FeedForward, Recurrent
from .allocator import Section, Tensor, peak
from .buffers import window_of
from .graph_attention import attention, latent
from .graph_base import Graph, Layer
from .graph_feed_forward import experts_beside_dense, feed_forward
from .graph_recurrence import recurrence

# norms that a model has after its feed-forward, and then after its attention too
_AFTER_FEED_FORWARD = ("post_ffw_norm", "layer_output_norm")


class Builder(Graph):
    """One graph, section by section."""

    # the first so many have sparse activations
    sparse_layers = 0
    # layers whose state is fetched before the last sum of the layer before
    early: dict[int, Recurrent]

    def peak(self) -> int:
        """Bytes of the buffer that holds the whole graph."""
        model = self.model
        attending = {layer: group for group in model.attention for layer in group.layers}
        recurrent = {layer: group for group in model.recurrent for layer in group.layers}
        wide = {layer: group for group in model.feed_forward for layer in group.layers}
        self.early = {}
        if not self.style.expanded:
            self.early = {
                layer: group for layer, group in recurrent.items() if layer not in attending
            }
        steps = self.steps(attending, recurrent, wide)
        sections, order = [self.before()], [0]
        kinds: dict[tuple[object, ...], int] = {}
        layer = 0
        for step in steps:
            first, layer = layer, layer + len(step)
            handed = self.follows(attending.get(layer))
            kind = (*map(id, step), id(self.early.get(layer)), handed)
            if kind not in kinds:
                kinds[kind] = len(sections)
                sections.append(self.step(first, step, handed))
                if self.slices is not None:
                    self.slices.shared = True
            order.append(kinds[kind])
        order.append(len(sections))
        sections.append(self.after())
        return peak(sections, order)

    def steps(
        self,
        attending: dict[int, Attention],
        recurrent: dict[int, Recurrent],
        wide: dict[int, FeedForward],
    ) -> list[list[Layer]]:
        """The layers in turn, those that are alike the same object.

        No step reads the output of a dense feed-forward before the next layer does. Where it is a
        layer of its own, it joins the layer before.
        """
        steps: list[list[Layer]] = []
        unlike: dict[tuple[object, ...], Layer] = {}
        model, row = self.model, self.row
        # Qwen3-VL: the first layers add a slice of the embeddings each; Gemma 4: the first one
        # projects those of all layers
        adding = model.deepstack_layers or (1 if model.per_layer_embedding_length else 0)
        normed = "attn_norm" in row.norms or not row.norms
        for number in range(model.layers):
            layer = Layer(
                heads=attending.get(number),
                state=recurrent.get(number),
                wide=wide.get(number),
                rotated=self.rotates(attending.get(number), number),
                last=number == model.layers - 1,
                deep=number if number < adding else -1,
                cached=model.cache_layers is None or number < model.cache_layers,
                sparse=number < self.sparse_layers,
                normed=normed and (number > 0 or row.first_norm),
            )
            layer = unlike.setdefault(layer.key, layer)
            mixes = layer.heads is not None or layer.state is not None
            if steps and not mixes and layer.wide is not None and not layer.wide.experts:
                steps[-1].append(layer)
            else:
                steps.append([layer])
        return steps

    def follows(self, heads: Attention | None) -> bool:
        """Whether these layers look at what an indexer before them chose."""
        return (
            heads is not None
            and heads.kind == "latent"
            and not heads.indexer_heads
            and heads.window_tokens is None
            and any(group.indexer_heads for group in self.model.attention)
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
        if self.model.per_layer_embedding_length:
            self.look_up_slices(self.model.per_layer_embedding_length)
        if self.row.positions:
            places = self.linear(width, self.positions)
            pair = (places, embeddings) if self.row.encoder else (embeddings, places)
            embeddings = self.over((width, tokens), *pair)
        if self.row.embedding_norm or self.style.embedding_normed:
            embeddings = self.norm(embeddings, width, tokens)
        section = self.section((), *self.fetched_early(0, embeddings))
        if self.embedded is not None:
            self.embedded.shared = True
        return section

    def after(self) -> Section:
        late = self.style.late_rows
        entry = hidden = self.stand_in(self.tokens if late else self.logits)
        if self.row.embeds:
            return self.pooled(entry)
        if late == "before norm":
            entry.kept = True
            hidden = self.last_rows(entry)
        side = self.tokens if late in ("after norm", "never") else self.logits
        hidden = self.norm(hidden, self.width, side)
        hidden.kept = True
        if late == "after norm":
            hidden, side = self.last_rows(hidden), self.logits
            hidden.kept = True
        logits = self.linear(self.vocabulary, hidden, side)
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

    def stand_in(self, *sides: int) -> Tensor:
        """The output of the section before."""
        tensor = Tensor((4, self.width, *sides))
        tensor.placed = True
        return tensor

    # ------------------------------------------------------------------ a layer

    def step(self, number: int, layers: list[Layer], handed: bool) -> Section:
        """`handed`: the next layer looks at what the indexer chose here or before."""
        entries = [self.stand_in(self.tokens)]
        if number in self.early:
            self.fetched = Tensor((4, self.memory_of(self.early[number]).first, self.sequences))
            self.fetched.placed = True
            entries.append(self.fetched)
        if self.follows(layers[0].heads):
            self.chosen = Tensor((4, self.chosen_cells, self.tokens))
            self.chosen.placed = True
            entries.append(self.chosen)
        total = entries[0]
        for layer in layers:
            total = self.layer(layer, total)
        if handed and self.chosen is not None:
            return self.section(tuple(entries), total, self.chosen)
        return self.section(tuple(entries), *self.fetched_early(number + len(layers), total))

    def fetched_early(self, layer: int, result: Tensor) -> tuple[Tensor, ...]:
        """What a section hands over: its result, and the next layer's state where that one recurs.
        The state is fetched before this layer's last sum.
        """
        group = self.early.get(layer)
        if group is None:
            return (result,)
        if layer == 0:
            self.expand(result)
        sides = self.memory_of(group).first, self.sequences
        fetched = self.result(sides, self.view(self.states))
        self.expand(fetched)
        return result, fetched

    def layer(self, layer: Layer, residual: Tensor) -> Tensor:
        if layer.deep == 0 and self.embedded is not None and self.model.deepstack_layers:
            residual = self.part(self.embedded)
        normed = self.norm(residual, self.width, self.tokens) if layer.normed else residual
        if self.style.expanded:
            self.expand(normed)
        norms_after = self.row.encoder and "layer_output_norm" in self.row.norms
        if norms_after and layer.heads is not None and layer.wide is not None:
            return self.encoder(layer, layer.heads, layer.wide, residual)
        mixes = layer.heads is not None or layer.state is not None
        if layer.wide is not None and (mixes or self.style.beside):
            total = self.two_parts(layer, layer.wide, normed, residual)
            return self.with_embeddings(layer, total, residual)
        return self.one_part(layer, normed, residual)

    def one_part(self, layer: Layer, normed: Tensor, residual: Tensor) -> Tensor:
        """A layer that attends, or recurs, or feeds forward."""
        if layer.wide is None:
            computed = self.mix(layer, normed)
        else:
            computed = feed_forward(self, layer.wide, normed, self.tokens)
        side = self.tokens
        if layer.last and not self.style.late_rows:
            side = self.logits
            computed, residual = self.last_rows(computed), self.last_rows(residual)
        return self.over((self.width, side), computed, residual)

    def mix(self, layer: Layer, normed: Tensor) -> Tensor:
        """Attention, or else recurrence."""
        if layer.heads is None:
            assert layer.state is not None
            return recurrence(self, layer.state, normed)
        if layer.heads.kind == "latent":
            return latent(self, layer.heads, normed)
        return attention(self, layer.heads, normed, layer.rotated, layer.cached)

    def two_parts(
        self, layer: Layer, wide: FeedForward, normed: Tensor, residual: Tensor
    ) -> Tensor:
        """A layer that attends or recurs, or both beside each other, and then feeds forward."""
        style, side = self.style, self.tokens
        attended, residual = self.mixed_in(layer, normed, residual)
        norm_after = any(name in self.row.norms for name in _AFTER_FEED_FORWARD)
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
        if layer.heads is not None and layer.state is not None:
            beside = recurrence(self, layer.state, self.norm(residual, *sides))
            residual = self.over(sides, self.over(sides, attended, beside), residual)
        return attended, residual

    def read_by_feed_forward(
        self, layer: Layer, normed: Tensor, attended: Tensor, residual: Tensor, side: int
    ) -> tuple[Tensor, Tensor]:
        """The input of the feed-forward, and the residual."""
        style, norms, sides = self.style, self.row.norms, (self.width, side)
        if style.beside:
            return normed if style.beside == "norm" else self.norm(residual, *sides), residual
        if layer.heads is None or layer.state is None:
            pair = (residual, attended) if style.residual_first else (attended, residual)
            residual = self.over(sides, *pair)
        if "ffn_norm" in norms or not any(name in norms for name in _AFTER_FEED_FORWARD):
            return self.norm(residual, *sides), residual
        return residual, residual

    def encoder(
        self, layer: Layer, heads: Attention, wide: FeedForward, residual: Tensor
    ) -> Tensor:
        """An encoder: its norms follow the sums."""
        side = self.tokens
        attended = attention(self, heads, residual, layer.rotated)
        if layer.last:
            side = self.logits
            attended, residual = self.last_rows(attended), self.last_rows(residual)
        sides = self.width, side
        residual = self.norm(self.over(sides, attended, residual), *sides)
        computed = feed_forward(self, wide, residual, side)
        return self.norm(self.over(sides, computed, residual), *sides)

    # ------------------------------------------------------------------ embeddings of the layers

    def with_embeddings(self, layer: Layer, total: Tensor, entered: Tensor) -> Tensor:
        """What a layer gives, and what is added to it of the embeddings; `entered`: what the layer
        was given.
        """
        length, sides = self.model.per_layer_embedding_length, (self.width, self.tokens)
        if length:
            gate = self.linear(length, total)
            own = self.slice_of(length, entered, layer.deep == 0)
            gate = self.over((length, self.tokens), gate, own)
            return self.over(sides, total, self.over(sides, self.linear(self.width, gate)))
        if self.embedded is None or layer.deep < 0:
            return total
        side = self.logits if layer.last and not self.style.late_rows else self.tokens
        return self.over((self.width, side), total, self.part(self.embedded))

    def look_up_slices(self, length: int) -> None:
        """Gemma 3n and 4: each layer has its own embeddings."""
        layers, tokens = self.model.layers, self.tokens
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
