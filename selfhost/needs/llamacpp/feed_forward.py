"""Feed-forwards in llama.cpp's graph: dense, of experts, or both (build_ffn and build_moe_ffn in
src/llama-graph.cpp of llama.cpp 0c1e570).

Each function takes the tensor that it reads, one row for each token that is computed: those of a
batch, or in the last layer those whose logits the caller needs. A length is a number of elements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...catalogue.architecture import FeedForward
from .allocator import Node, fresh

if TYPE_CHECKING:
    from .graph import Graph


def feed_forward(graph: Graph, feed: FeedForward, read: Node) -> Node:
    """Dense, or of experts, with one beside them that all tokens share."""
    if not feed.experts:
        return _dense(graph, feed.length, read)
    routed = _Experts(graph, feed, read).computed()
    if feed.latent_length:
        if graph.row.routed_norm:
            routed = graph.norm(routed)
        routed = routed.product(graph.width)
    if not feed.shared_length:
        return routed
    shared = _dense(graph, feed.shared_length, read)
    if graph.row.shared_expert_gate:
        shared = shared.times(_gate_of_shared(graph, read))
    return routed.plus(shared)


def _gate_of_shared(graph: Graph, read: Node) -> Node:
    """How much the shared expert counts for each token: a sigmoid."""
    gate = read.product(1)
    if not graph.style.divided_gate:
        return gate
    # the sigmoid as a quotient
    divisor = gate.scaled()
    return divisor.divided_by(gate)


def _dense(graph: Graph, length: int, read: Node) -> Node:
    """Up, times the activation of a gate where there is one (GGML_OP_GLU), and down (build_ffn)."""
    if graph.row.gate == "fused":
        up_and_gate = read.product(2 * length)
        activated = fresh((length, *read.sides[1:]), up_and_gate)
    elif graph.row.gate == "split":
        up = read.product(length)
        gate = read.product(length)
        activated = gate.gating(up)
    else:
        activated = read.product(length)
    return activated.product(graph.width)


def experts_and_dense(
    graph: Graph, feed: FeedForward, dense_length: int, residual: Node
) -> Node:
    """Gemma 4: a dense feed-forward and experts, each with norms of its own
    (src/models/gemma4.cpp).
    """
    normed = graph.norm(residual)
    dense = _dense(graph, dense_length, normed)
    dense = graph.norm(dense)
    read = graph.norm(residual)
    scored = graph.norm(residual)
    experts = _Experts(graph, feed, read)
    scores = scored.product(experts.count)
    routed = experts.computed(scores)
    routed = graph.norm(routed)
    return dense.plus(routed)


class _Experts:
    """The experts of one layer (build_moe_ffn): `used` of `count` compute each row of `read`."""

    def __init__(self, graph: Graph, feed: FeedForward, read: Node) -> None:
        self.graph = graph
        self.row = graph.row
        self.style = graph.style
        self.feed = feed
        self.read = read
        self.rows = read.sides[1]
        self.count = feed.experts or 1
        self.used = feed.chosen
        # some read and write a narrower row than the hidden state
        self.width = feed.latent_length or graph.width

    def computed(self, scores: Node | None = None) -> Node:
        """The sum of the chosen experts, weighed by their scores."""
        weighs_input = self.style.before_experts
        if scores is None:
            scores = self.read.product(self.count)
        chances = scores
        if not self.style.chosen_first:
            chances = scores.activated()
        chosen = self._chosen(scores if weighs_input else chances)
        weights = self._weights(chances, chosen)
        self.graph.expand(weights)
        read = self.read
        if self.feed.latent_length:
            read = read.product(self.width)
        read = read.view()
        if weighs_input:
            repeated = fresh((self.width, self.used, self.rows), read)
            read = repeated.times(weights)
        outputs = self._outputs(read, chosen)
        if not weighs_input:
            outputs = outputs.times(weights)
        self.graph.expand(outputs)
        return self._sum(outputs)

    def _chosen(self, ranked: Node) -> Node:
        """The experts that rank highest (ggml_argsort_top_k)."""
        if self.feed.router_bias or self.row.router_bias:
            ranked = ranked.plus()
        if self.feed.groups:
            ranked = self._in_best_groups(ranked, self.feed.groups)
        return ranked.argsort().part()

    def _in_best_groups(self, ranked: Node, groups: int) -> Node:
        """The ranks, closed but for the groups whose two best experts rank highest together
        (DeepSeek-V3, arXiv:2412.19437).
        """
        rows = self.rows
        members = self.count // groups
        by_group = ranked.view(members, groups, rows)
        two_best = by_group.argsort().part()
        two_ranks = fresh((2, groups, rows), by_group.view(), two_best)
        group_ranks = fresh((groups, rows), two_ranks.view())
        best_groups = group_ranks.view().argsort().part()
        kept_sides = members, self.feed.groups_used or 1, rows
        kept = fresh(kept_sides, by_group, best_groups)
        closed = by_group.copied()
        opened = closed.written(kept, best_groups, closed)
        return opened.view(self.count, rows)

    def _weights(self, chances: Node, chosen: Node) -> Node:
        """What each chosen expert counts (GGML_OP_GET_ROWS, and norms of the sum)."""
        sides = self.used, self.rows
        weights = fresh((1, *sides), chances.view(), chosen)
        if self.style.chosen_first:
            weights = weights.view(*sides).activated().view(1, *sides)
        if self.style.normalized:
            flat = weights.view(*sides)
            # at least the smallest normal number
            total = flat.product(1).clamped()
            weights = flat.divided_by(total).view(1, *sides)
        if self.style.rescaled:
            weights = weights.scaled()
        return weights

    def _outputs(self, read: Node, chosen: Node) -> Node:
        """What each chosen expert computes (GGML_OP_MUL_MAT_ID)."""
        activated = self._multiplied(read, chosen, self.feed.length)
        if self.row.gate != "none":
            up = activated
            gate = self._multiplied(read, chosen, self.feed.length)
            activated = gate.gating(up)
        outputs = fresh((self.width, self.used, self.rows), activated, chosen)
        if self.row.expert_norms:
            every_scale = fresh((1, self.count, self.rows))
            scales = fresh((1, self.used, self.rows), every_scale, chosen)
            outputs = outputs.times(scales)
        return self._with_bias(outputs, chosen)

    def _multiplied(self, read: Node, chosen: Node, length: int) -> Node:
        """The rows times a matrix of each chosen expert, with its bias."""
        sides = length, self.used, self.rows
        return self._with_bias(fresh(sides, read, chosen), chosen)

    def _with_bias(self, tensor: Node, chosen: Node) -> Node:
        """The tensor plus the bias of each chosen expert (GGML_OP_ADD_ID), if experts have one."""
        return tensor.plus(chosen) if self.row.expert_bias else tensor

    def _sum(self, outputs: Node) -> Node:
        """The outputs of the experts, added one after the other."""
        parts = [outputs.part(self.width, self.rows) for _ in range(self.used)]
        self.graph.expand(*parts)
        total = parts[0]
        if len(parts) == 1:
            return total.copied()
        for output in parts[1:]:
            total = total.plus(output)
            self.graph.expand(total)
        return total
