"""The graph of Gemma 3n in llama.cpp (src/models/gemma3n.cpp of llama.cpp 0c1e570).

The hidden state has several versions. Each layer predicts all of them, computes one, which is
active, and corrects the others by it (AltUp, arXiv:2301.13310). A low-rank product stands beside
attention (LAuReL, arXiv:2411.07501). The first layers keep only the largest activations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .allocator import Node, fresh, inplace, view
from .builder import Builder

if TYPE_CHECKING:
    from .graph import Graph, Layer

# rows of the low-rank matrices (`laurel_rank` of every published Gemma 3n)
_LAUREL_RANK = 64


class Gemma3n(Builder):
    """The graph of one Gemma 3n; methods stand in the order of the model's build function."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        versions = graph.model.altup_inputs or 2
        width, tokens = graph.hidden
        self.versions = versions
        self.every = (width, tokens, versions)
        self.others = (width, tokens, versions - 1)

    def before(self) -> Node:
        """All versions of the embeddings: projections of the first, scaled to its magnitude."""
        graph = self.graph
        self.first = self.token_embeddings()
        self.look_up_slices()
        repeated = fresh(self.others, self.first)
        added = fresh(self.others, repeated)
        squares = inplace(graph.hidden, self.first)
        added = self._scaled(added, squares)
        return fresh(self.every, self.first, added)

    def _scaled(self, tensor: Node, squares: Node) -> Node:
        """The other versions, scaled to the magnitude of the first (calc_magnitude)."""
        tokens = self.graph.tokens
        target = fresh((1, tokens), squares)
        multiplied = inplace(self.others, tensor, target)
        own_squares = inplace(self.others, tensor)
        magnitude = fresh((1, tokens, self.versions - 1), own_squares)
        return inplace(self.others, multiplied, magnitude)

    def layer(self, layer: Layer, residual: Node) -> Node:
        """What one layer makes of all versions."""
        graph = self.graph
        hidden = graph.hidden
        predicted = self._predicted(residual)
        active = view(predicted)
        normed = inplace(hidden, active)
        low_rank = self._low_rank(normed)
        attended = self.mix(layer, normed)
        attended = inplace(hidden, attended, active)
        attended = inplace(hidden, attended, low_rank)
        activated = self._fed_forward_sum(layer, attended)
        corrected = self._corrected(predicted, activated)
        return self._with_slice(corrected)

    def _predicted(self, residual: Node) -> Node:
        """All versions, predicted from what routes the active one (altup_predict)."""
        graph = self.graph
        tokens = graph.tokens
        turned_sides = self.versions, graph.width, tokens
        routed = self._routed(view(residual))
        weights = graph.product(self.versions * self.versions, routed)
        turned = fresh(turned_sides, view(residual))
        predicted = fresh(turned_sides, turned, view(weights))
        predicted = fresh(self.every, view(predicted))
        return inplace(self.every, predicted, residual)

    def _routed(self, active: Node) -> Node:
        """What weighs the versions (altup_compute_router_modalities)."""
        normed = inplace(self.graph.hidden, active)
        return self.graph.product(self.versions, normed)

    def _low_rank(self, normed: Node) -> Node:
        """Two narrow matrices, a norm and the input (laurel)."""
        graph = self.graph
        narrow = graph.product(_LAUREL_RANK, normed)
        wide = fresh(graph.hidden, narrow)
        return inplace(graph.hidden, wide, normed)

    def _fed_forward_sum(self, layer: Layer, attended: Node) -> Node:
        """The feed-forward of the normed sum, plus the sum."""
        graph = self.graph
        hidden = graph.hidden
        assert layer.feed_forward is not None
        inner = layer.feed_forward.length, graph.tokens
        read = inplace(hidden, attended)
        up = fresh(inner, read)
        gate = fresh(inner, read)
        if layer.is_early:
            gate = self._largest(gate, inner)
        activated = inplace(inner, up, gate)
        fed_forward = fresh(hidden, activated)
        return inplace(hidden, fed_forward, attended)

    def _largest(self, gate: Node, inner: tuple[int, int]) -> Node:
        """The activations above a bound of mean and deviation (gaussian_topk)."""
        tokens = self.graph.tokens
        mean = fresh((1, tokens), gate)
        differences = inplace(inner, gate, mean)
        deviation = fresh((1, tokens), differences)
        bound = inplace((1, tokens), mean, deviation)
        return inplace(inner, gate, bound)

    def _corrected(self, predicted: Node, activated: Node) -> Node:
        """All versions, corrected by what the active one became (altup_correct)."""
        tokens = self.graph.tokens
        active = view(predicted)
        innovation = inplace(self.graph.hidden, activated, active)
        innovation = fresh(self.every, innovation)
        routed = self._routed(activated)
        weights = self.graph.product(self.versions, routed)
        weights = fresh((1, tokens, self.versions), view(weights))
        weighed = inplace(self.every, innovation, weights)
        return inplace(self.every, weighed, predicted)

    def _with_slice(self, corrected: Node) -> Node:
        """The layer's slice of the embeddings, gated and added to all versions but the first."""
        graph = self.graph
        length = graph.model.per_layer_embedding_length or 0
        active = view(corrected)
        scaled = inplace(graph.hidden, active)
        gate = graph.product(length, scaled)
        layer_slice = self.slice_of_layer(length, self.first)
        gate = inplace((length, graph.tokens), gate, layer_slice)
        projected = fresh(graph.hidden, gate)
        projected = inplace(graph.hidden, projected)
        first = view(corrected)
        rest = inplace(self.others, view(corrected), projected)
        return fresh(self.every, first, rest)

    def after(self, hidden: Node) -> Node:
        """The logits of the mean of all versions, each scaled to the magnitude of the first."""
        graph = self.graph
        others = fresh(self.others, view(hidden))
        squares = inplace(graph.hidden, view(hidden))
        others = self._scaled(others, squares)
        total = view(hidden)
        for _ in range(self.versions - 1):
            total = inplace(graph.hidden, total, view(others))
        last = graph.last_rows(total)
        return super().after(last)
