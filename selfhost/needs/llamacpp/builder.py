"""The graph of a model as llama.cpp builds it: embeddings, layers, and logits or vectors (the build
functions in src/models of llama.cpp 0c1e570). The row of the architecture says which norms, sums
and embeddings it has.
"""

from __future__ import annotations

from ...catalogue.architecture import FeedForward
from .allocator import Node, fresh, given
from .attention import attention
from .feed_forward import FeedForwardGraph
from .part import Graph, Layer, Part

# norms after the feed-forward; a model with one of them also norms after attention
_NORMS_AFTER = {"post_ffw_norm", "layer_output_norm"}


class Builder(Part):
    """Builds the graph of one model; a subclass builds a model that departs from the others."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        # the embeddings that layers add: `slices` has one slice for each layer, or for each of the
        # first layers
        self.embedded: Node | None = None
        self.slices: Node | None = None
        self.slice_length = graph.model.per_layer_embedding_length or 0
        # the output of the feed-forward is normed, and so is that of attention, unless both run
        # beside each other
        self.norms_after = not _NORMS_AFTER.isdisjoint(self.row.norms)

    # ------------------------------------------------------------------ before the layers

    def token_embeddings(self, slices: int = 1) -> Node:
        """The embeddings of the tokens, with `slices` rows where layers add slices of them
        (build_inp_embd).

        Outside a device the graph also holds the input for vectors that may come instead of tokens,
        used or not. A device gets only the one that is used.
        """
        graph = self.graph
        length = self.width * slices
        embeddings = graph.looked_up(graph.hidden, given(self.tokens))
        if slices > 1:
            embeddings = fresh((length, self.tokens), embeddings)
        self.expand(embeddings)
        if not graph.on_device:
            self.expand(given(length, self.tokens))
        return embeddings

    def before(self) -> Node:
        """The input of the first layer: embeddings + positions, normed where the model norms
        them.
        """
        graph = self.graph
        early_layers = graph.model.deepstack_layers
        if early_layers:
            self.embedded = self.token_embeddings(1 + early_layers)
            return self.embedded.part(self.width)
        embeddings = self.token_embeddings()
        if self.slice_length:
            self.look_up_slices()
        if self.row.positions:
            positions = graph.looked_up(graph.hidden, graph.positions)
            if self.row.encoder:
                embeddings = positions + embeddings
            else:
                embeddings = embeddings + positions
        if self.row.embedding_norm:
            embeddings = self.norm(embeddings)
        return embeddings

    # ------------------------------------------------------------------ one layer

    def layer(self, layer: Layer, residual: Node) -> Node:
        """The output of a layer for the hidden state `residual`."""
        normed = residual
        if layer.is_normed:
            normed = self.norm(residual)
        if self.style.expanded:
            self.expand(normed)
        feed = layer.feed_forward
        if feed is None:
            mixed = self.mix(layer, normed)
            return self._with_residual(layer, mixed, residual)
        if self.row.encoder and "layer_output_norm" in self.row.norms:
            return self._with_norms_of_sums(layer, feed, residual)
        if not (layer.mixes or self.style.beside):
            fed_forward = self._fed(feed, normed)
            return self._with_residual(layer, fed_forward, residual)
        if layer.attention is not None and layer.recurrent is not None:
            return self._attends_and_recurs(layer, feed, residual)
        total = self._in_two_parts(layer, feed, normed, residual)
        return self._with_embeddings(layer, total, residual)

    def mix(self, layer: Layer, normed: Node) -> Node:
        """The output of a layer's attention or recurrence; `normed` itself where the layer has
        neither.
        """
        heads = layer.attention
        if heads is None:
            return self._recurred(layer, normed)
        return attention(self.graph, layer, heads, normed)

    def _recurred(self, layer: Layer, normed: Node) -> Node:
        """The output of a layer's recurrence; `normed` itself where the layer has none."""
        group = layer.recurrent
        if group is None:
            return normed
        # imported here: most models have no recurrent layers
        from .recurrent import RECURRENCES

        recurrence = RECURRENCES[group.kind](self.graph, group)
        return recurrence.computed(normed)

    def _fed(self, feed: FeedForward, read: Node) -> Node:
        """The output of a feed-forward."""
        return FeedForwardGraph(self.graph, feed).computed(read)

    def _needed_rows(self, layer: Layer, tensor: Node) -> Node:
        """The tokens that are computed from here on: after the attention of the last layer only
        those whose logits the caller needs.
        """
        if layer.is_last:
            return self.graph.last_rows(tensor)
        return tensor

    def _with_residual(
        self,
        layer: Layer,
        computed: Node,
        residual: Node,
    ) -> Node:
        """part(x) + x, for a layer with a single part."""
        computed = self._needed_rows(layer, computed)
        residual = self._needed_rows(layer, residual)
        return computed + residual

    def _with_norms_of_sums(
        self,
        layer: Layer,
        feed: FeedForward,
        residual: Node,
    ) -> Node:
        """The output of a layer that norms its sums (BERT, arXiv:1810.04805; src/models/bert.cpp).

        - normed = norm(attention(x) + x)
        - y = norm(feed-forward(normed) + normed)
        """
        attended = self.mix(layer, residual)
        total = self._with_residual(layer, attended, residual)
        normed = self.norm(total)
        fed_forward = self._fed(feed, normed)
        return self.norm(fed_forward + normed)

    def _attends_and_recurs(
        self,
        layer: Layer,
        feed: FeedForward,
        residual: Node,
    ) -> Node:
        """The output of a layer that attends and recurs, each with a norm (Falcon-H1,
        arXiv:2507.22448; src/models/falcon-h1.cpp).

        - total = attention(norm(x)) + recurrence(norm(x)) + x
        - y = feed-forward(norm(total)) + total
        """
        norm = self.norm
        attended = self.mix(layer, norm(residual))
        recurred = self._recurred(layer, norm(residual))
        mixed = attended + recurred
        total = self._needed_rows(layer, mixed + residual)
        fed_forward = self._fed(feed, norm(total))
        return fed_forward + total

    def _in_two_parts(
        self,
        layer: Layer,
        feed: FeedForward,
        normed: Node,
        residual: Node,
    ) -> Node:
        """The output of a layer that attends or recurs, and has a feed-forward after that or beside
        it.

        - after: total = attention(norm(x)) + x,  y = feed-forward(norm(total)) + total
        - beside: y = attention(norm(x)) + feed-forward(norm(x)) + x
        """
        mixed_input = normed
        if self.graph.model.parallel_norms == 2:
            mixed_input = self.norm(residual)
        attended = self._attended(layer, mixed_input)
        residual = self._needed_rows(layer, residual)
        if self.style.beside == "input":
            read = self.norm(residual)
        elif self.style.beside:
            read = self._needed_rows(layer, normed)
        else:
            # the term that comes first may be overwritten in place
            if self.style.residual_first:
                residual = residual + attended
            else:
                residual = attended + residual
            read = residual
            if "ffn_norm" in self.row.norms or not self.norms_after:
                read = self.norm(residual)
        fed_forward = self._fed_forward(feed, read, residual)
        # the sum is taken in the order of the model
        parts = {"made": fed_forward, "residual": residual, "attended": attended}
        first, *others = self.style.sums
        total = parts[first]
        for name in others:
            total = total + parts[name]
        return total

    def _attended(self, layer: Layer, normed: Node) -> Node:
        """The output of attention or recurrence for the needed tokens. Where the model norms it,
        this is before or after these tokens are chosen; beside a feed-forward, only before.
        """
        attended = self.mix(layer, normed)
        if self.norms_after and self.style.normed_first:
            attended = self.norm(attended)
        attended = self._needed_rows(layer, attended)
        if self.norms_after and not (self.style.normed_first or self.style.beside):
            attended = self.norm(attended)
        return attended

    def _fed_forward(
        self,
        feed: FeedForward,
        read: Node,
        residual: Node,
    ) -> Node:
        """The output of the feed-forward, normed where the model norms it. Gemma 4 computes it from
        the residual.
        """
        if feed.beside_dense:
            both = FeedForwardGraph(self.graph, feed)
            fed_forward = both.beside_dense(feed.beside_dense, residual)
        else:
            fed_forward = self._fed(feed, read)
        if self.norms_after:
            fed_forward = self.norm(fed_forward)
        return fed_forward

    def _with_embeddings(
        self,
        layer: Layer,
        total: Node,
        residual: Node,
    ) -> Node:
        """The output of a layer plus the embeddings that the model adds to it: Gemma 4 adds a gated
        slice (src/models/gemma4.cpp), Qwen3-VL one slice in each of its first layers
        (src/models/qwen3vl.cpp).
        """
        if self.slice_length:
            return total + self.gated_slice(total, residual)
        if self.embedded is not None and layer.is_early:
            return total + self.embedded.part(self.width)
        return total

    def look_up_slices(self) -> None:
        """Look up the embeddings that each layer of Gemma 3n and 4 has of its own
        (build_inp_per_layer).
        """
        graph = self.graph
        length = self.slice_length * graph.model.layers
        found = graph.looked_up((length, self.tokens), given(self.tokens))
        if not graph.on_device:
            found = found.view()
        self.embedded = found.scaled()
        self.expand(self.embedded)

    def gated_slice(self, tensor: Node, embeddings: Node) -> Node:
        """norm(W (gate × slice)), with a gate made from the tensor, and the layer's slice of the
        embeddings.
        """
        gate = tensor.product(self.slice_length)
        gated = gate * self._slice_of_layer(embeddings)
        added = gated.product(self.width)
        return added.normed()

    def _slice_of_layer(self, embeddings: Node) -> Node:
        """The embeddings of one layer. The first layer that asks adds a projection of the tokens'
        embeddings for all layers (project_per_layer_inputs).
        """
        if self.slices is None:
            assert self.embedded is not None
            product = embeddings.product(self.slice_length * self.graph.model.layers)
            slices = product.view().normed() + self.embedded
            self.slices = slices.copied()
        return self.slices

    # ------------------------------------------------------------------ after the layers

    def after(self, hidden: Node) -> Node:
        """The output: logits, or vectors of a model that embeds."""
        if self.row.embeds:
            return self._vectors(hidden)
        return self._logits(hidden)

    def _vectors(self, hidden: Node) -> Node:
        """The output vectors, one for each sequence (build_pooling). A pooling other than the
        model's own differs by 4 bytes a token and sequence.
        """
        graph = self.graph
        if self.row.output_norm:
            hidden = self.norm(hidden)
        hidden.kept = True
        sides = self.width, graph.sequences
        if self.row.pooling == "first":
            vectors = fresh(sides, hidden, given(graph.sequences))
        else:
            weights = given(self.tokens, graph.sequences)
            vectors = fresh(sides, hidden.copied(), weights)
        vectors.kept = True
        return vectors

    def _logits(self, hidden: Node) -> Node:
        """The logits of the rows that the caller needs, or of all rows (`late_rows`: "never"). The
        rows are chosen in the last layer, before the last norm or after it.
        """
        graph = self.graph
        late_rows = self.style.late_rows
        if late_rows == "before norm":
            hidden.kept = True
            hidden = graph.last_rows(hidden)
        hidden = self.norm(hidden)
        if late_rows == "after norm":
            hidden.kept = True
            hidden = graph.last_rows(hidden)
        hidden.kept = True
        logits = hidden.product(graph.vocabulary)
        logits.kept = True
        return logits
