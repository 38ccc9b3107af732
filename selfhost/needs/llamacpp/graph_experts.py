"""How llama.cpp computes experts, as the allocator sees them: src/llama-graph.cpp of llama.cpp
0c1e570.
"""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ...catalogue.spec import FeedForward
    from .allocator import Tensor
    from .layers import Builder


def routed(graph: Builder, wide: FeedForward, read: Tensor, side: int) -> Tensor:
    """The experts, and the one that all tokens share."""
    record, width = graph.record, graph.width
    chosen = experts(graph, wide, wide.experts or 1, wide.used or 1, read, side)
    if wide.latent_length:
        if graph.row.routed_norm:
            chosen = graph.norm(chosen, wide.latent_length, side)
        chosen = record.result((width, side), chosen)
    if not wide.shared_length:
        return chosen
    gate = None
    if graph.row.shared_expert_gate:
        gate = record.result((1, side), read)
        if graph.style.divided_gate:
            gate = record.over((1, side), record.over((1, side), gate), gate)
    beside = graph.dense(wide.shared_length, read, side)
    if gate is not None:
        beside = record.over((width, side), beside, gate)
    return record.over((width, side), chosen, beside)


def experts_beside_dense(graph: Builder, wide: FeedForward, residual: Tensor) -> Tensor:
    """Gemma 4: a dense feed-forward and experts, each with norms of its own; the router
    reads what comes before them.
    """
    record, width, tokens, count = graph.record, graph.width, graph.tokens, wide.experts or 1
    dense = graph.norm(
        graph.dense(wide.beside_dense or 0, graph.norm(residual, width, tokens), tokens),
        width,
        tokens,
    )
    read = graph.norm(residual, width, tokens)
    scores = record.result((count, tokens), graph.norm(residual, width, tokens))
    routed = graph.norm(
        experts(graph, wide, count, wide.used or 1, read, tokens, scores), width, tokens
    )
    return record.over((width, tokens), dense, routed)


def experts(
    graph: Builder,
    wide: FeedForward,
    count: int,
    used: int,
    read: Tensor,
    side: int,
    scores: Tensor | None = None,
) -> Tensor:
    """The sum of the outputs of the chosen experts."""
    record, width, length = graph.record, wide.latent_length or graph.width, wide.length
    scores = scores or record.result((count, side), read)
    chances = scores if graph.style.chosen_first else record.over((count, side), scores)
    ranked = scores if graph.style.before_experts else chances
    chosen = chosen_experts(graph, wide, count, side, ranked)
    weights = expert_weights(graph, chances, chosen, used, side)
    record.expand(weights)
    read = record.view(record.result((width, side), read) if wide.latent_length else read)
    sides = width, used, side
    if graph.style.before_experts:
        read = record.over(sides, record.result(sides, read), weights)
    inner = inside_experts(graph, read, chosen, (length, used, side))
    outputs = record.result(sides, inner, chosen)
    if graph.row.expert_norms:
        scales = record.result((1, used, side), record.result((1, count, side)), chosen)
        outputs = record.over(sides, outputs, scales)
    outputs = with_bias(graph, outputs, chosen, sides)
    if not graph.style.before_experts:
        outputs = record.over(sides, outputs, weights)
    record.expand(outputs)
    return sum_of_experts(graph, outputs, width, used, side)


def chosen_experts(
    graph: Builder, wide: FeedForward, count: int, side: int, ranked: Tensor
) -> Tensor:
    """The numbers of the experts that rank highest, in groups those of the best groups."""
    record = graph.record
    if wide.router_bias or graph.row.router_bias:
        ranked = record.over((count, side), ranked)
    if wide.groups:
        ranked = best_groups(graph, wide, ranked, side)
    return record.view(record.result((count, side), ranked), strided=True)


def expert_weights(graph: Builder, chances: Tensor, chosen: Tensor, used: int, side: int) -> Tensor:
    """How much the output of each chosen expert counts."""
    record, style = graph.record, graph.style
    weights = record.result((1, used, side), record.view(chances), chosen)
    if style.chosen_first:
        weights = record.view(record.over((used, side), record.view(weights)))
    if style.normalized:
        flat = record.view(weights)
        total = record.over((1, side), record.result((1, side), flat))
        weights = record.view(record.over((used, side), flat, total))
    return record.over((1, used, side), weights) if style.rescaled else weights


def inside_experts(graph: Builder, read: Tensor, chosen: Tensor, sides: tuple[int, ...]) -> Tensor:
    """What the last matrix of each chosen expert reads."""
    up = with_bias(graph, graph.record.result(sides, read, chosen), chosen, sides)
    if graph.row.gate == "none":
        return up
    gate = with_bias(graph, graph.record.result(sides, read, chosen), chosen, sides)
    return graph.activated(sides, gate, up)


def with_bias(graph: Builder, tensor: Tensor, chosen: Tensor, sides: tuple[int, ...]) -> Tensor:
    """The bias of each chosen expert added, where the experts have one."""
    return graph.record.over(sides, tensor, chosen) if graph.row.expert_bias else tensor


def sum_of_experts(graph: Builder, outputs: Tensor, width: int, used: int, side: int) -> Tensor:
    """One expert after the other."""
    record = graph.record
    parts = [record.view(outputs, strided=True) for _ in range(used)]
    for part in parts:
        record.expand(part)
    total, *rest = parts
    for part in rest:
        total = record.over((width, side), total, part)
        record.expand(total)
    return record.result((width, side), total) if used == 1 else total


def best_groups(graph: Builder, wide: FeedForward, ranked: Tensor, side: int) -> Tensor:
    """The two best experts of each group name the groups that count; the others are closed."""
    record, groups = graph.record, wide.groups or 1
    sides = (wide.experts or 1) // groups, groups, side
    grouped = record.view(ranked)
    pairs = record.view(record.result(sides, grouped), strided=True)
    scores = record.result((2, groups, side), record.view(grouped), pairs)
    totals = record.result((groups, side), record.view(scores))
    best = record.view(record.result((groups, side), record.view(totals)), strided=True)
    kept = record.result((sides[0], wide.groups_used or 1, side), grouped, best)
    closed = record.result(sides, grouped)
    return record.view(record.within(closed, kept, best, closed))
