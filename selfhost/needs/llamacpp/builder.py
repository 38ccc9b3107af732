"""The graph of a model as llama.cpp builds it: embeddings, layers, and logits or vectors (the build
functions in src/models of llama.cpp 0c1e570). The row of the architecture says which norms, sums
and embeddings it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...catalogue.architecture import Attention, FeedForward
from ..tensors import window_of
from .allocator import Node, fresh, given
from .attention import attention, latent_attention
from .feed_forward import experts_and_dense, feed_forward

if TYPE_CHECKING:
    from .graph import Graph, Layer

# norms that a model has after its feed-forward, and then after its attention too
_NORMS_AFTER = {"post_ffw_norm", "layer_output_norm"}


class Builder:
    """Builds the graph of one model; a subclass builds a model that departs from the others."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        # embeddings that layers add: a slice for each layer, or for each of the first layers
        self.embedded: Node | None = None
        self.slices: Node | None = None
        norms = set(graph.row.norms)
        has_norms_after = bool(norms & _NORMS_AFTER)
        self.norms_input_of_feed_forward = "ffn_norm" in norms or not has_norms_after
        # a norm of what attention gives: before the last rows are chosen, or after, or only of the
        # feed-forward
        self.norms_before_rows = has_norms_after and graph.style.normed_first
        is_later = has_norms_after and not graph.style.normed_first
        self.norms_after_rows = is_later and not graph.style.beside
        self.norms_feed_forward = has_norms_after

    # ------------------------------------------------------------------ before the layers

    def token_embeddings(self, slices: int = 1) -> Node:
        """The embeddings of the tokens, which layers may add `slices` of, and in the graph too the
        place of vectors that come instead of tokens, used or not (build_inp_embd). A device gets
        the one that is used.
        """
        graph = self.graph
        width, tokens = graph.hidden
        embeddings = graph.looked_up(graph.hidden, given(tokens))
        if slices > 1:
            embeddings = fresh((width * slices, tokens), embeddings)
        graph.expand(embeddings)
        if not graph.on_device:
            graph.expand(given(width * slices, tokens))
        return embeddings

    def before(self) -> Node:
        """What the first layer reads."""
        graph = self.graph
        slices = 1 + (graph.model.deepstack_layers or 0)
        embeddings = self.token_embeddings(slices)
        if slices > 1:
            self.embedded = embeddings
            return embeddings.part(*graph.hidden)
        if graph.model.per_layer_embedding_length:
            self.look_up_slices()
        if graph.row.positions:
            positions = graph.looked_up(graph.hidden, graph.positions)
            if graph.row.encoder:
                embeddings = positions.plus(embeddings)
            else:
                embeddings = embeddings.plus(positions)
        if graph.row.embedding_norm:
            embeddings = graph.norm(embeddings)
        return embeddings

    # ------------------------------------------------------------------ one layer

    def layer(self, layer: Layer, residual: Node) -> Node:
        """What a layer gives."""
        graph = self.graph
        normed = residual
        if layer.is_normed:
            normed = graph.norm(residual)
        if graph.style.expanded:
            graph.expand(normed)
        feed = layer.feed_forward
        if feed is None:
            return self._with_residual(layer, self.mix(layer, normed), residual)
        if graph.row.encoder and "layer_output_norm" in graph.row.norms:
            return self._with_norms_of_sums(layer, feed, residual)
        mixes = layer.attention is not None or layer.recurrent is not None
        if not mixes and not graph.style.beside:
            fed_forward = feed_forward(graph, feed, normed)
            return self._with_residual(layer, fed_forward, residual)
        if layer.attention is not None and layer.recurrent is not None:
            return self._attends_and_recurs(layer, feed, residual)
        total = self._in_two_parts(layer, feed, normed, residual)
        if self.embedded is None:
            return total
        return self._with_embeddings(layer, self.embedded, total, residual)

    def mix(self, layer: Layer, normed: Node) -> Node:
        """What attention or a recurrence makes of the tokens; the same where there is neither."""
        graph = self.graph
        heads = layer.attention
        if heads is None:
            return self._recurred(layer, normed)
        if heads.kind == "latent":
            return latent_attention(graph, heads, normed)
        rotated = self._is_rotated(layer, heads)
        return attention(graph, heads, normed, rotated=rotated, cached=layer.is_cached)

    def _recurred(self, layer: Layer, normed: Node) -> Node:
        """What a recurrence makes of the tokens; the same where there is none."""
        if layer.recurrent is None:
            return normed
        # here, for most models have no recurrent layers
        from .recurrent import RECURRENCES

        return RECURRENCES[layer.recurrent.kind](self.graph, layer.recurrent, normed)

    def _is_rotated(self, layer: Layer, heads: Attention) -> bool:
        """Whether positions rotate the queries and keys of a layer."""
        graph = self.graph
        rope = graph.style.rope
        if rope == "three of four":
            return not layer.is_fourth
        if rope == "sliding" and graph.windowed:
            return window_of(graph.model, heads) is not None
        return rope != "none"

    def _rows(self, layer: Layer, tensor: Node) -> Node:
        """The tokens that are computed from here on: behind the last layer's attention those whose
        logits the caller needs.
        """
        return self.graph.last_rows(tensor) if layer.is_last else tensor

    def _with_residual(self, layer: Layer, computed: Node, residual: Node) -> Node:
        """The only part of a layer, and what the layer read."""
        computed = self._rows(layer, computed)
        return computed.plus(self._rows(layer, residual))

    def _with_norms_of_sums(
        self, layer: Layer, feed: FeedForward, residual: Node
    ) -> Node:
        """A layer that norms its sums (BERT, arXiv:1810.04805; src/models/bert.cpp)."""
        graph = self.graph
        attended = self._rows(layer, self.mix(layer, residual))
        total = attended.plus(self._rows(layer, residual))
        normed = graph.norm(total)
        fed_forward = feed_forward(graph, feed, normed)
        return graph.norm(fed_forward.plus(normed))

    def _attends_and_recurs(
        self, layer: Layer, feed: FeedForward, residual: Node
    ) -> Node:
        """A layer that attends and recurs, each with a norm (Falcon-H1, arXiv:2507.22448;
        src/models/falcon-h1.cpp).
        """
        graph = self.graph
        attended = self.mix(layer, graph.norm(residual))
        recurred = self._recurred(layer, graph.norm(residual))
        mixed = attended.plus(recurred)
        residual = self._rows(layer, mixed.plus(residual))
        fed_forward = feed_forward(graph, feed, graph.norm(residual))
        return fed_forward.plus(residual)

    def _in_two_parts(
        self, layer: Layer, feed: FeedForward, normed: Node, residual: Node
    ) -> Node:
        """A layer that attends or recurs, and feeds forward after that or beside it."""
        graph = self.graph
        style = graph.style
        mixed_input = normed
        if graph.model.parallel_norms == 2:
            mixed_input = graph.norm(residual)
        attended = self.mix(layer, mixed_input)
        if self.norms_before_rows:
            attended = graph.norm(attended)
        attended = self._rows(layer, attended)
        residual = self._rows(layer, residual)
        if self.norms_after_rows:
            attended = graph.norm(attended)
        if style.beside == "input":
            read = graph.norm(residual)
        elif style.beside:
            read = self._rows(layer, normed)
        else:
            residual = self._summed(attended, residual)
            read = residual
            if self.norms_input_of_feed_forward:
                read = graph.norm(residual)
        fed_forward = self._fed_forward(feed, read, residual)
        # in the order in which the model adds them
        parts = {"made": fed_forward, "residual": residual, "attended": attended}
        first, *others = style.sums
        total = parts[first]
        for name in others:
            total = total.plus(parts[name])
        return total

    def _summed(self, attended: Node, residual: Node) -> Node:
        """Attention and what the layer read; the term that comes first may be overwritten."""
        if self.graph.style.residual_first:
            return residual.plus(attended)
        return attended.plus(residual)

    def _fed_forward(self, feed: FeedForward, read: Node, residual: Node) -> Node:
        """The feed-forward, normed where the model norms it; of Gemma 4 from the residual."""
        graph = self.graph
        if feed.beside_dense:
            fed_forward = experts_and_dense(graph, feed, residual)
        else:
            fed_forward = feed_forward(graph, feed, read)
        if self.norms_feed_forward:
            fed_forward = graph.norm(fed_forward)
        return fed_forward

    def _with_embeddings(
        self, layer: Layer, embedded: Node, total: Node, residual: Node
    ) -> Node:
        """What a layer gives, with what it adds of the embeddings: Gemma 4 a slice through a gate
        (src/models/gemma4.cpp), Qwen3-VL one slice in each of its first layers
        (src/models/qwen3vl.cpp).
        """
        graph = self.graph
        length = graph.model.per_layer_embedding_length
        if length:
            gate = total.product(length)
            gate = gate.times(self.slice_of_layer(length, residual))
            added = gate.product(graph.width).normed()
            return total.plus(added)
        if not layer.is_early:
            return total
        return total.plus(embedded.part())

    def look_up_slices(self) -> None:
        """The embeddings of each layer's own, of Gemma 3n and 4 (build_inp_per_layer)."""
        graph = self.graph
        length = graph.model.per_layer_embedding_length or 0
        layers = graph.model.layers
        sides = length, layers, graph.tokens
        if graph.on_device:
            found = given(*sides)
        else:
            rows = fresh((length * layers, graph.tokens), given(graph.tokens))
            found = rows.view(*sides)
        self.embedded = found.scaled()
        graph.expand(self.embedded)

    def slice_of_layer(self, length: int, embeddings: Node) -> Node:
        """The embeddings of one layer. The first layer that asks adds a projection of the tokens'
        embeddings for all layers (project_per_layer_inputs).
        """
        if self.slices is None:
            assert self.embedded is not None
            layers = self.graph.model.layers
            tokens = self.graph.tokens
            product = embeddings.product(length * layers)
            projected = product.view(length, layers, tokens).normed()
            projected = projected.plus(self.embedded)
            self.slices = fresh((length, tokens, layers), projected.view())
        return self.slices.part()

    # ------------------------------------------------------------------ after the layers

    def after(self, hidden: Node) -> Node:
        """The output: logits, or vectors of a model that embeds."""
        if self.graph.row.embeds:
            return self._vectors(hidden)
        return self._logits(hidden)

    def _vectors(self, hidden: Node) -> Node:
        """One vector of each sequence (build_pooling); another pooling than the model's own differs
        by 4 bytes a token and sequence.
        """
        graph = self.graph
        width, tokens = graph.hidden
        if graph.row.output_norm:
            hidden = graph.norm(hidden)
        hidden.kept = True
        if graph.row.pooling == "first":
            vectors = fresh((width, graph.sequences), hidden, given(graph.sequences))
        else:
            turned = fresh((tokens, width), hidden.part())
            weights = given(tokens, graph.sequences)
            vectors = fresh((width, graph.sequences), turned, weights)
        vectors.kept = True
        return vectors

    def _logits(self, hidden: Node) -> Node:
        """The logits of the rows that the caller needs, or of all (`late_rows`: "never"). Rows are
        chosen in the last layer, before the last norm or after it.
        """
        graph = self.graph
        late_rows = graph.style.late_rows
        if late_rows == "before norm":
            hidden.kept = True
            hidden = graph.last_rows(hidden)
        hidden = graph.norm(hidden)
        if late_rows == "after norm":
            hidden.kept = True
            hidden = graph.last_rows(hidden)
        hidden.kept = True
        logits = hidden.product(graph.vocabulary)
        logits.kept = True
        return logits
