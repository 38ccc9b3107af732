"""Feed-forwards in llama.cpp's graph: dense, of experts, or both (build_ffn and build_moe_ffn in
src/llama-graph.cpp of llama.cpp 0c1e570).

`rows` is the number of tokens that are computed: those of a batch, or in the last layer those whose
logits the caller needs. A length is a number of elements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...catalogue.architecture import FeedForward
from .allocator import Node, Sides, fresh, inplace, part, view, written

if TYPE_CHECKING:
    from .graph import Graph


def feed_forward(graph: Graph, feed: FeedForward, read: Node, rows: int) -> Node:
    """Dense, or of experts, with one beside them that all tokens share."""
    if not feed.experts:
        return _dense(graph, feed.length, read, rows)
    hidden = graph.width, rows
    routed = _Experts(graph, feed, rows).computed(read)
    if feed.latent_length:
        if graph.row.routed_norm:
            routed = graph.norm((feed.latent_length, rows), routed)
        routed = fresh(hidden, routed)
    if not feed.shared_length:
        return routed
    shared = _dense(graph, feed.shared_length, read, rows)
    if graph.row.shared_expert_gate:
        gate = fresh((1, rows), read)
        if graph.style.divided_gate:
            # the sigmoid as a quotient
            divisor = inplace((1, rows), gate)
            gate = inplace((1, rows), divisor, gate)
        shared = inplace(hidden, shared, gate)
    return inplace(hidden, routed, shared)


def _dense(graph: Graph, length: int, read: Node, rows: int) -> Node:
    """Up, times the activation of a gate where there is one (GGML_OP_GLU), and down (build_ffn)."""
    inner = length, rows
    if graph.row.gate == "fused":
        up_and_gate = fresh((2 * length, rows), read)
        activated = fresh(inner, up_and_gate)
    elif graph.row.gate == "split":
        up = fresh(inner, read)
        gate = fresh(inner, read)
        activated = fresh(inner, gate, up)
    else:
        activated = fresh(inner, read)
    return fresh((graph.width, rows), activated)


def experts_and_dense(graph: Graph, feed: FeedForward, residual: Node) -> Node:
    """Gemma 4: a dense feed-forward and experts, each with norms of its own
    (src/models/gemma4.cpp).
    """
    tokens = graph.tokens
    hidden = graph.hidden
    dense = graph.norm(hidden, residual)
    dense = _dense(graph, feed.beside_dense or 0, dense, tokens)
    dense = graph.norm(hidden, dense)
    read = graph.norm(hidden, residual)
    scored = graph.norm(hidden, residual)
    scores = graph.product(feed.experts or 1, scored)
    routed = _Experts(graph, feed, tokens).computed(read, scores)
    routed = graph.norm(hidden, routed)
    return inplace(hidden, dense, routed)


class _Experts:
    """The experts of one layer (build_moe_ffn): `used` of `count` compute each of the rows."""

    def __init__(self, graph: Graph, feed: FeedForward, rows: int) -> None:
        self.graph = graph
        self.feed = feed
        self.rows = rows
        self.count = feed.experts or 1
        self.used = feed.used or 1
        # some read and write a narrower row than the hidden state
        self.width = feed.latent_length or graph.width
        self.outer: Sides = (self.width, self.used, rows)
        self.inner: Sides = (feed.length, self.used, rows)

    def computed(self, read: Node, scores: Node | None = None) -> Node:
        """The sum of the chosen experts, weighed by their scores."""
        graph = self.graph
        weighs_input = graph.style.before_experts
        if scores is None:
            scores = fresh((self.count, self.rows), read)
        chances = scores
        if not graph.style.chosen_first:
            chances = inplace((self.count, self.rows), scores)
        ranked = scores if weighs_input else chances
        chosen = self._chosen(ranked)
        weights = self._weights(chances, chosen)
        graph.expand(weights)
        if self.feed.latent_length:
            read = fresh((self.width, self.rows), read)
        read = view(read)
        if weighs_input:
            repeated = fresh(self.outer, read)
            read = inplace(self.outer, repeated, weights)
        outputs = self._outputs(read, chosen)
        if not weighs_input:
            outputs = inplace(self.outer, outputs, weights)
        graph.expand(outputs)
        return self._sum(outputs)

    def _chosen(self, ranked: Node) -> Node:
        """The experts that rank highest (ggml_argsort_top_k)."""
        sides = self.count, self.rows
        if self.feed.router_bias or self.graph.row.router_bias:
            ranked = inplace(sides, ranked)
        if self.feed.groups:
            ranked = self._in_best_groups(ranked, self.feed.groups)
        return part(fresh(sides, ranked))

    def _in_best_groups(self, ranked: Node, groups: int) -> Node:
        """The ranks, closed but for the groups whose two best experts rank highest together
        (DeepSeek-V3, arXiv:2412.19437).
        """
        members = self.count // groups
        sides = members, groups, self.rows
        by_group = view(ranked)
        two_best = part(fresh(sides, by_group))
        two_ranks = fresh((2, groups, self.rows), view(by_group), two_best)
        group_ranks = fresh((groups, self.rows), view(two_ranks))
        best_groups = part(fresh((groups, self.rows), view(group_ranks)))
        kept = fresh(
            (members, self.feed.groups_used or 1, self.rows), by_group, best_groups
        )
        closed = fresh(sides, by_group)
        opened = written(closed, kept, best_groups, closed)
        return view(opened)

    def _weights(self, chances: Node, chosen: Node) -> Node:
        """What each chosen expert counts (GGML_OP_GET_ROWS, and norms of the sum)."""
        style = self.graph.style
        sides = self.used, self.rows
        weights = fresh((1, *sides), view(chances), chosen)
        if style.chosen_first:
            weights = view(inplace(sides, view(weights)))
        if style.normalized:
            flat = view(weights)
            total = fresh((1, self.rows), flat)
            # at least the smallest normal number (ggml_clamp)
            total = inplace((1, self.rows), total)
            weights = view(inplace(sides, flat, total))
        if style.rescaled:
            weights = inplace((1, *sides), weights)
        return weights

    def _outputs(self, read: Node, chosen: Node) -> Node:
        """What each chosen expert computes (GGML_OP_MUL_MAT_ID)."""
        inner = self.inner
        up = fresh(inner, read, chosen)
        up = self._with_bias(up, chosen, inner)
        if self.graph.row.gate != "none":
            gate = fresh(inner, read, chosen)
            gate = self._with_bias(gate, chosen, inner)
            up = fresh(inner, gate, up)
        outputs = fresh(self.outer, up, chosen)
        if self.graph.row.expert_norms:
            every_scale = fresh((1, self.count, self.rows))
            scales = fresh((1, self.used, self.rows), every_scale, chosen)
            outputs = inplace(self.outer, outputs, scales)
        return self._with_bias(outputs, chosen, self.outer)

    def _with_bias(self, tensor: Node, chosen: Node, sides: Sides) -> Node:
        """The tensor plus the bias of each chosen expert (GGML_OP_ADD_ID), if experts have one."""
        if not self.graph.row.expert_bias:
            return tensor
        return inplace(sides, tensor, chosen)

    def _sum(self, outputs: Node) -> Node:
        """The outputs of the experts, added one after the other."""
        sides = self.width, self.rows
        parts = [part(outputs) for _ in range(self.used)]
        self.graph.expand(*parts)
        total = parts[0]
        if len(parts) == 1:
            return fresh(sides, total)
        for output in parts[1:]:
            total = inplace(sides, total, output)
            self.graph.expand(total)
        return total
