"""The graph of Gemma 3n in llama.cpp."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .graph import Graph, Layer, Node


class Gemma3n:
    """Several versions of the hidden state, of which each layer computes one and corrects the
    others. Low-rank matrices have 64 rows; the first 10 layers keep the largest activations alone.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def before(self) -> Node:
        graph = self.graph
        width, tokens, others = graph.width, graph.tokens, graph.versions - 1
        self.first = graph.result(width, graph.input(tokens))
        graph.expand(self.first, graph.input(width, tokens))
        graph.look_up_slices()
        sides = width, tokens, others
        added = graph.result(sides, graph.result(sides, self.first))
        added = self.scaled(added, graph.over((width, tokens), self.first))
        return graph.result((width, tokens, graph.versions), self.first, added)

    def scaled(self, tensor: Node, squares: Node) -> Node:
        """The other versions, scaled to the magnitude of the first."""
        graph = self.graph
        sides = graph.width, graph.tokens, graph.versions - 1
        scaled = graph.over(sides, tensor, graph.result(1, squares))
        magnitude = graph.result((1, *sides[1:]), graph.over(sides, tensor))
        return graph.over(sides, scaled, magnitude)

    def layer(self, layer: Layer, residual: Node) -> Node:
        graph = self.graph
        width, tokens, versions = graph.width, graph.tokens, graph.versions
        alone, every = (width, tokens), (width, tokens, versions)
        turned = graph.result((versions, width, tokens), graph.view(residual))
        routed = graph.result(versions, graph.over(alone, graph.view(residual)))
        weights = graph.result(versions * versions, routed)
        predicted = graph.result((versions, width, tokens), turned, graph.view(weights))
        predicted = graph.over(every, graph.result(every, graph.view(predicted)), residual)
        active = graph.view(predicted)
        normed = graph.over(alone, active)
        narrow = graph.over(alone, graph.result(width, graph.result(64, normed)), normed)
        attended = graph.mix(layer, normed)
        attended = graph.over(alone, graph.over(alone, attended, active), narrow)
        assert layer.feed_forward is not None
        read, sides = graph.over(alone, attended), (layer.feed_forward.length, tokens)
        up, gate = graph.result(sides, read), graph.result(sides, read)
        if layer.is_early:
            mean = graph.result(1, gate)
            spread = graph.result(1, graph.over(sides, gate, mean))
            gate = graph.over(sides, gate, graph.over((1, tokens), mean, spread))
        fed_forward = graph.result(width, graph.over(sides, up, gate))
        fed_forward = graph.over(alone, fed_forward, attended)
        change = graph.result(every, graph.over(alone, fed_forward, graph.view(predicted)))
        routed = graph.result(versions, graph.over(alone, fed_forward))
        weights = graph.result(versions, routed)
        weights = graph.result((1, tokens, versions), graph.view(weights))
        corrected = graph.over(every, graph.over(every, change, weights), predicted)
        length = graph.model.per_layer_embedding_length or 0
        gate = graph.result(length, graph.over(alone, graph.view(corrected)))
        own = graph.slice_of(length, self.first)
        gate = graph.over((length, tokens), gate, own)
        first = graph.over(alone, graph.result(width, gate))
        rest = graph.over((width, tokens, versions - 1), graph.view(corrected), first)
        return graph.result(every, graph.view(corrected), rest)

    def after(self, hidden: Node) -> Node:
        graph = self.graph
        width, tokens, others = graph.width, graph.tokens, graph.versions - 1
        unembedded = graph.result((width, tokens, others), graph.view(hidden))
        unembedded = self.scaled(unembedded, graph.over((width, tokens), graph.view(hidden)))
        total = graph.view(hidden)
        for _ in range(others):
            total = graph.over((width, tokens), total, graph.view(unembedded))
        return graph.after(graph.last_rows(total))
