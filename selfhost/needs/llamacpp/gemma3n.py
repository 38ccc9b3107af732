"""The graph of Gemma 3n in llama.cpp (src/models/gemma3n.cpp of llama.cpp 0c1e570).

The hidden state has several versions. Each layer predicts all of them, computes one, which is
active, and corrects the others by it (AltUp, arXiv:2301.13310). A low-rank product stands beside
attention (LAuReL, arXiv:2411.07501). The first layers keep only the largest activations.

Methods stand in the order of the paper: the versions are made, each layer predicts, computes and
corrects, and in the end the versions become one again.
"""

from __future__ import annotations

from .allocator import Node, fresh
from .builder import Builder
from .part import Graph, Layer

# rows of the low-rank matrices (`laurel_rank` of every published Gemma 3n)
_LAUREL_RANK = 64


class Gemma3n(Builder):
    """The graph of a Gemma 3n model. Of all versions of the hidden state the first is active.

    `sides_of_all` are the sides of a tensor with all versions, `sides_of_others` those of a tensor
    without the active one.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.versions = graph.model.altup_inputs or 2
        self.sides_of_all = (*graph.hidden, self.versions)
        self.sides_of_others = (*graph.hidden, self.versions - 1)

    def active(self, versions: Node) -> Node:
        """The active version, which a layer computes, out of all versions."""
        return versions.view(*self.graph.hidden)

    def before(self) -> Node:
        """The versions of the hidden state before the first layer, (x, magnitude of x × W x): the
        first version is the embeddings, and the others are projections of it, scaled to its
        magnitude.
        """
        self.embeddings = self.token_embeddings()
        self.look_up_slices()
        repeated = fresh(self.sides_of_others, self.embeddings)
        projected = repeated.product(self.width)
        others = _as_large_as(self.embeddings, projected)
        return fresh(self.sides_of_all, self.embeddings, others)

    def layer(self, layer: Layer, residual: Node) -> Node:
        """The output of one layer for all versions of the hidden state.

        - normed = norm(active)
        - attended = attention(normed) + active + low rank(normed)
        - computed = feed-forward(attended) + attended
        """
        predicted = self._predicted(residual)
        active = self.active(predicted)
        normed = active.normed()
        low_rank = self._low_rank(normed)
        attended = self.mix(layer, normed)
        attended = attended + active
        attended = attended + low_rank
        computed = self._fed_forward_sum(layer, attended)
        corrected = self._corrected(predicted, computed)
        return self._with_slice(corrected)

    def _predicted(self, residual: Node) -> Node:
        """weights × versions + versions: each version is predicted as a mixture of all, with
        weights that follow from the active one (altup_predict).
        """
        active = self.active(residual)
        router = self._router(active)
        weights = router.product(self.versions**2)
        turned = residual.copied()
        mixed = turned.copied(weights)
        return mixed.copied() + residual

    def _router(self, active: Node) -> Node:
        """W × norm(active): one number for each version, from which its weights follow
        (altup_compute_router_modalities).
        """
        normed = active.normed()
        return normed.product(self.versions)

    def _low_rank(self, normed: Node) -> Node:
        """norm(W × W' × normed) + normed, of two narrow matrices (laurel)."""
        narrow = normed.product(_LAUREL_RANK)
        wide = narrow.product(self.width)
        return wide + normed

    def _fed_forward_sum(self, layer: Layer, attended: Node) -> Node:
        """W × (gelu(gate) × up) + attended. The first layers keep only the largest gates."""
        assert layer.feed_forward is not None
        length = layer.feed_forward.length
        normed = attended.normed()
        up = normed.product(length)
        gate = normed.product(length)
        if layer.is_early:
            gate = _largest(gate)
        activated = up * gate
        fed_forward = activated.product(self.width)
        return fed_forward + attended

    def _corrected(self, predicted: Node, computed: Node) -> Node:
        """weights × innovation + predicted. The innovation is the computed active version minus the
        predicted one (altup_correct).
        """
        innovation = computed - self.active(predicted)
        repeated = fresh(self.sides_of_all, innovation)
        router = self._router(computed)
        weights = router.product(self.versions)
        corrections = repeated * weights.copied()
        return corrections + predicted

    def _with_slice(self, corrected: Node) -> Node:
        """The layer's slice of the embeddings, gated and added to all versions but the first."""
        active = self.active(corrected)
        added = self.gated_slice(active.scaled(), self.embeddings)
        others = corrected.view(*self.sides_of_others)
        others = others + added
        return fresh(self.sides_of_all, corrected, others)

    def after(self, hidden: Node) -> Node:
        """The logits of the mean of all versions, each scaled to the magnitude of the first. They
        are added one after the other, each over the sum of those before.
        """
        versions = hidden.view(*self.sides_of_others)
        projected = versions.product(self.width)
        others = _as_large_as(self.active(hidden), projected)
        total = fresh(self.graph.hidden, hidden, others)
        rows = self.graph.last_rows(total)
        return super().after(rows)


def _as_large_as(reference: Node, versions: Node) -> Node:
    """versions × |reference| / |versions|: the versions with the magnitude of the reference."""
    multiplied = versions * _magnitude(reference)
    return multiplied / _magnitude(versions)


def _magnitude(tensor: Node) -> Node:
    """|tensor|, one number for each row (calc_magnitude)."""
    squares = tensor.squared()
    return squares.product(1)


def _largest(gate: Node) -> Node:
    """gate - (mean + deviation): the activations above a bound (gaussian_topk)."""
    mean = gate.product(1)
    differences = gate - mean
    deviation = differences.product(1)
    bound = mean + deviation
    return gate - bound
