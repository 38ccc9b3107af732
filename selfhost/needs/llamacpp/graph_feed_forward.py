"""How llama.cpp computes a feed-forward, dense or of experts, as the allocator sees it:
src/llama-graph.cpp of llama.cpp 0c1e570.
"""

from __future__ import annotations

from ...catalogue.layers import FeedForward
from .allocator import Tensor
from .graph_base import Graph


def feed_forward(graph: Graph, wide: FeedForward, read: Tensor, side: int) -> Tensor:
    if not wide.experts:
        return dense(graph, wide.length, read, side)
    chosen = _experts(graph, wide, read, side)
    if wide.latent_length:
        if graph.row.routed_norm:
            chosen = graph.norm(chosen, wide.latent_length, side)
        chosen = graph.linear(graph.width, chosen, side)
    if not wide.shared_length:
        return chosen
    # the one that all tokens share
    gate = graph.linear(1, read, side)
    if graph.style.divided_gate:
        gate = graph.over((1, side), graph.over((1, side), gate), gate)
    beside = dense(graph, wide.shared_length, read, side)
    if graph.row.shared_expert_gate:
        beside = graph.over((graph.width, side), beside, gate)
    return graph.over((graph.width, side), chosen, beside)


def dense(graph: Graph, length: int, read: Tensor, side: int) -> Tensor:
    up = graph.linear(2 * length if graph.row.gate == "fused" else length, read, side)
    if graph.row.gate == "fused":
        up = graph.linear(length, up, side)
    elif graph.row.gate == "split":
        # the gate's activation and the product are one operation
        up = graph.result((length, side), graph.linear(length, read, side), up)
    return graph.linear(graph.width, up, side)


def experts_beside_dense(graph: Graph, wide: FeedForward, residual: Tensor) -> Tensor:
    """Gemma 4: a dense feed-forward and experts, each with norms of its own; the router
    reads what comes before them.
    """
    sides = graph.width, graph.tokens
    read = graph.norm(residual, *sides)
    beside = dense(graph, wide.beside_dense or 0, read, graph.tokens)
    beside = graph.norm(beside, *sides)
    read = graph.norm(residual, *sides)
    scores = graph.linear(wide.experts or 1, graph.norm(residual, *sides))
    routed = graph.norm(_experts(graph, wide, read, graph.tokens, scores), *sides)
    return graph.over(sides, beside, routed)


def _experts(
    graph: Graph, wide: FeedForward, read: Tensor, side: int, scores: Tensor | None = None
) -> Tensor:
    """The sum of the outputs of the chosen experts."""
    style, width, used = graph.style, wide.latent_length or graph.width, wide.used or 1
    count = wide.experts or 1
    scores = scores or graph.linear(count, read, side)
    chances = scores if style.chosen_first else graph.over((count, side), scores)
    chosen = _chosen(graph, wide, scores if style.before_experts else chances, side)
    weights = _weights(graph, chances, chosen, used, side)
    graph.expand(weights)
    read = graph.view(graph.linear(width, read, side) if wide.latent_length else read)
    sides, inner = (width, used, side), (wide.length, used, side)
    if style.before_experts:
        read = graph.over(sides, graph.result(sides, read), weights)
    up = _with_bias(graph, graph.result(inner, read, chosen), chosen, inner)
    if graph.row.gate != "none":
        gate = _with_bias(graph, graph.result(inner, read, chosen), chosen, inner)
        up = graph.result(inner, gate, up)
    outputs = graph.result(sides, up, chosen)
    if graph.row.expert_norms:
        scales = graph.result((1, used, side), graph.result((1, count, side)), chosen)
        outputs = graph.over(sides, outputs, scales)
    outputs = _with_bias(graph, outputs, chosen, sides)
    if not style.before_experts:
        outputs = graph.over(sides, outputs, weights)
    graph.expand(outputs)
    # one expert after the other
    parts = [graph.part(outputs) for _ in range(used)]
    graph.expand(*parts)
    total, *rest = parts
    for part in rest:
        total = graph.over((width, side), total, part)
        graph.expand(total)
    return graph.linear(width, total, side) if used == 1 else total


def _chosen(graph: Graph, wide: FeedForward, ranked: Tensor, side: int) -> Tensor:
    """The numbers of the experts that rank highest, in groups those of the best groups."""
    sides = wide.experts or 1, side
    if wide.router_bias or graph.row.router_bias:
        ranked = graph.over(sides, ranked)
    if wide.groups:
        ranked = _best_groups(graph, wide, ranked, side)
    return graph.part(graph.result(sides, ranked))


def _weights(graph: Graph, chances: Tensor, chosen: Tensor, used: int, side: int) -> Tensor:
    """How much the output of each chosen expert counts."""
    style = graph.style
    weights = graph.result((1, used, side), graph.view(chances), chosen)
    if style.chosen_first:
        weights = graph.view(graph.over((used, side), graph.view(weights)))
    if style.normalized:
        flat = graph.view(weights)
        total = graph.over((1, side), graph.linear(1, flat, side))
        weights = graph.view(graph.over((used, side), flat, total))
    return graph.over((1, used, side), weights) if style.rescaled else weights


def _with_bias(graph: Graph, tensor: Tensor, chosen: Tensor, sides: tuple[int, ...]) -> Tensor:
    """The bias of each chosen expert added, where the experts have one."""
    return graph.over(sides, tensor, chosen) if graph.row.expert_bias else tensor


def _best_groups(graph: Graph, wide: FeedForward, ranked: Tensor, side: int) -> Tensor:
    """The two best experts of each group name the groups that count; the others are closed."""
    groups = wide.groups or 1
    sides = (wide.experts or 1) // groups, groups, side
    grouped = graph.view(ranked)
    pairs = graph.part(graph.result(sides, grouped))
    scores = graph.result((2, groups, side), graph.view(grouped), pairs)
    totals = graph.linear(groups, graph.view(scores), side)
    best = graph.part(graph.linear(groups, graph.view(totals), side))
    kept = graph.result((sides[0], wide.groups_used or 1, side), grouped, best)
    closed = graph.result(sides, grouped)
    return graph.view(graph.within(closed, kept, best, closed))
