"""The graph of Gemma 3n in llama.cpp (src/models/gemma3n.cpp of llama.cpp 0c1e570).

The hidden state has several versions. Each layer predicts all of them, computes one, which is
active, and corrects the others by it (AltUp, arXiv:2301.13310). A low-rank product stands beside
attention (LAuReL, arXiv:2411.07501). The first layers keep only the largest activations.

Methods stand in the order of the paper: the versions are made, each layer predicts, computes and
corrects, and in the end the versions become one again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .allocator import Node, fresh
from .builder import Builder

if TYPE_CHECKING:
    from .graph import Graph, Layer

# rows of the low-rank matrices (`laurel_rank` of every published Gemma 3n)
_LAUREL_RANK = 64


class Gemma3n(Builder):
    """The graph of one Gemma 3n. `every` are the sides of all versions of the hidden state,
    `others` those of all but the first, which is the active one.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.versions = graph.model.altup_inputs or 2
        self.every = (*graph.hidden, self.versions)
        self.others = (*graph.hidden, self.versions - 1)

    def active(self, versions: Node) -> Node:
        """The version that is computed, of all versions."""
        return versions.view(*self.graph.hidden)

    def before(self) -> Node:
        """The first version are the embeddings; the others are projections of it, scaled to its
        magnitude.
        """
        self.first = self.token_embeddings()
        self.look_up_slices()
        projected = fresh(self.others, self.first).product(self.width)
        others = _scaled(projected, self.first)
        return fresh(self.every, self.first, others)

    def layer(self, layer: Layer, residual: Node) -> Node:
        """What one layer makes of all versions."""
        predicted = self._predicted(residual)
        active = self.active(predicted)
        normed = active.normed()
        low_rank = self._low_rank(normed)
        attended = self.mix(layer, normed)
        attended = attended.plus(active)
        attended = attended.plus(low_rank)
        activated = self._fed_forward_sum(layer, attended)
        corrected = self._corrected(predicted, activated)
        return self._with_slice(corrected)

    def _predicted(self, residual: Node) -> Node:
        """Predict all versions: each is a mixture of all, with weights that follow from the active
        one (altup_predict).
        """
        turned_sides = self.versions, *self.graph.hidden
        router = self._router(self.active(residual))
        weights = router.product(self.versions**2)
        turned = fresh(turned_sides, residual.view())
        mixed = fresh(turned_sides, turned, weights.view())
        mixed = fresh(self.every, mixed.view())
        return mixed.plus(residual)

    def _router(self, active: Node) -> Node:
        """One number for each version, from which its weights follow
        (altup_compute_router_modalities).
        """
        return active.normed().product(self.versions)

    def _low_rank(self, normed: Node) -> Node:
        """Two narrow matrices, a norm and the input (laurel)."""
        narrow = normed.product(_LAUREL_RANK)
        wide = narrow.product(self.width)
        return wide.plus(normed)

    def _fed_forward_sum(self, layer: Layer, attended: Node) -> Node:
        """The feed-forward of the normed sum, plus the sum."""
        assert layer.feed_forward is not None
        length = layer.feed_forward.length
        read = attended.normed()
        up = read.product(length)
        gate = read.product(length)
        if layer.is_early:
            gate = _largest(gate)
        activated = up.times(gate)
        fed_forward = activated.product(self.width)
        return fed_forward.plus(attended)

    def _corrected(self, predicted: Node, activated: Node) -> Node:
        """Correct all versions by the innovation: what the active one became, less what was
        predicted of it (altup_correct).
        """
        innovation = activated.minus(self.active(predicted))
        repeated = fresh(self.every, innovation)
        weights = self._router(activated).product(self.versions)
        weights_sides = 1, self.graph.tokens, self.versions
        weights = fresh(weights_sides, weights.view())
        return repeated.times(weights).plus(predicted)

    def _with_slice(self, corrected: Node) -> Node:
        """The layer's slice of the embeddings, gated and added to all versions but the first."""
        gate = self.active(corrected).scaled()
        added = self.gated_slice(gate, self.first)
        first = corrected.view()
        others = corrected.view(*self.others).plus(added)
        return fresh(self.every, first, others)

    def after(self, hidden: Node) -> Node:
        """The logits of the mean of all versions, each scaled to the magnitude of the first."""
        projected = hidden.view(*self.others).product(self.width)
        others = _scaled(projected, self.active(hidden))
        total = self.active(hidden)
        for _ in range(self.versions - 1):
            total = total.plus(others.view())
        return super().after(self.graph.last_rows(total))


def _scaled(versions: Node, model: Node) -> Node:
    """The versions, scaled to the magnitude of another tensor (calc_magnitude)."""
    target = model.squared().product(1)
    multiplied = versions.times(target)
    magnitude = versions.squared().product(1)
    return multiplied.divided_by(magnitude)


def _largest(gate: Node) -> Node:
    """The activations above a bound of mean and deviation (gaussian_topk)."""
    mean = gate.product(1)
    deviation = gate.minus(mean).product(1)
    bound = mean.plus(deviation)
    return gate.minus(bound)
