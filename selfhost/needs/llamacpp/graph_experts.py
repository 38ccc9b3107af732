"""How llama.cpp computes feed-forwards and experts, as the allocator sees them:
src/llama-graph.cpp of llama.cpp 0c1e570.
"""

from __future__ import annotations

from ...catalogue.spec import FeedForward
from .allocator import Tensor
from .graph_base import Graph


class FeedingForward(Graph):
    """Dense, gated and sparse ones."""

    def feed_forward(
        self, wide: FeedForward, read: Tensor, side: int, scores: Tensor | None = None
    ) -> Tensor:
        """`scores`: of the router, where it has read something else."""
        if not wide.experts:
            return self.dense(wide.length, read, side)
        record, width = self.record, self.width
        if self.row.chunk_experts:
            return self.chunked(wide, wide.experts, wide.used or 1, read, side)
        routed = self.experts(wide, wide.experts, wide.used or 1, read, side, scores)
        if wide.latent_length:
            if self.row.routed_norm:
                routed = self.norm(routed, wide.latent_length, side)
            routed = record.result((width, side), routed)
        if not wide.shared_length:
            return routed
        gate = None
        if self.row.shared_expert_gate:
            gate = record.result((1, side), read)
            if self.style.divided_gate:
                gate = record.over((1, side), record.over((1, side), gate), gate)
        beside = self.dense(wide.shared_length, read, side)
        if gate is not None:
            beside = record.over((width, side), beside, gate)
        return record.over((width, side), routed, beside)

    def activated(self, sides: tuple[int, ...], gate: Tensor, up: Tensor) -> Tensor:
        """The gate's activation and the product, one operation."""
        return self.record.result(sides, gate, up)

    def dense(self, length: int, read: Tensor, side: int) -> Tensor:
        record = self.record
        if self.row.gate == "fused":
            inner = record.result((length, side), record.result((2 * length, side), read))
        elif self.row.gate == "split":
            up = record.result((length, side), read)
            inner = self.activated((length, side), record.result((length, side), read), up)
        else:
            inner = record.result((length, side), read)
        return record.result((self.width, side), inner)

    def experts_beside_dense(self, wide: FeedForward, residual: Tensor) -> Tensor:
        """Gemma 4: a dense feed-forward and experts, each with norms of its own; the router
        reads what comes before them.
        """
        record, width, tokens, experts = self.record, self.width, self.tokens, wide.experts or 1
        dense = self.norm(
            self.dense(wide.beside_dense or 0, self.norm(residual, width, tokens), tokens),
            width,
            tokens,
        )
        read = self.norm(residual, width, tokens)
        scores = record.result((experts, tokens), self.norm(residual, width, tokens))
        routed = self.norm(
            self.experts(wide, experts, wide.used or 1, read, tokens, scores), width, tokens
        )
        return record.over((width, tokens), dense, routed)

    def chunked(self, wide: FeedForward, count: int, used: int, read: Tensor, side: int) -> Tensor:
        """GroveMoE: smaller experts, one for each two, read what the others gave, chosen anew
        by the same scores.
        """
        record = self.record
        scores = record.result((count, side), read)
        routed = self.experts(wide, count, used, read, side, scores)
        beside = self.experts(
            wide, count, min(used, count // 2), routed, side, scores, self.row.chunk_experts
        )
        return record.over((self.width, side), routed, beside)

    def experts(
        self,
        wide: FeedForward,
        count: int,
        used: int,
        read: Tensor,
        side: int,
        scores: Tensor | None = None,
        chunk: int = 0,
    ) -> Tensor:
        """`chunk`: the width of those that are one for each two."""
        record, width, length = self.record, wide.latent_length or self.width, chunk or wide.length
        scores = scores or record.result((count, side), read)
        chances = scores if self.style.chosen_first else record.over((count, side), scores)
        ranked = scores if self.style.before_experts else chances
        chosen = self.chosen_experts(wide, count, side, scores, ranked)
        if chunk:
            chosen = record.result((used, side), record.result((used, side), chosen))
        weights = self.expert_weights(chances, chosen, used, side)
        record.expand(weights)
        read = record.view(record.result((width, side), read) if wide.latent_length else read)
        sides = width, used, side
        if self.style.before_experts:
            read = record.over(sides, record.result(sides, read), weights)
        inner = self.inside_experts(read, chosen, (length, used, side))
        outputs = record.result(sides, inner, chosen)
        if self.row.expert_norms:
            scales = record.result((1, used, side), record.result((1, count, side)), chosen)
            outputs = record.over(sides, outputs, scales)
        outputs = self.with_bias(outputs, chosen, sides)
        if not self.style.before_experts:
            outputs = record.over(sides, outputs, weights)
        record.expand(outputs)
        return self.sum_of_experts(outputs, width, used, side)

    def chosen_experts(
        self, wide: FeedForward, count: int, side: int, scores: Tensor, ranked: Tensor
    ) -> Tensor:
        """The numbers of the experts that rank highest, in groups those of the best groups."""
        record = self.record
        if self.row.chunk_experts:
            ranked = record.over((count, side), scores)
        if wide.router_bias or self.row.router_bias:
            ranked = record.over((count, side), ranked)
        if wide.groups:
            ranked = self.best_groups(wide, ranked, side)
        return record.view(record.result((count, side), ranked), strided=True)

    def expert_weights(self, chances: Tensor, chosen: Tensor, used: int, side: int) -> Tensor:
        """How much the output of each chosen expert counts."""
        record, style = self.record, self.style
        weights = record.result((1, used, side), record.view(chances), chosen)
        if style.chosen_first:
            weights = record.view(record.over((used, side), record.view(weights)))
        if style.normalized:
            flat = record.view(weights)
            total = record.over((1, side), record.result((1, side), flat))
            weights = record.view(record.over((used, side), flat, total))
        return record.over((1, used, side), weights) if style.rescaled else weights

    def inside_experts(self, read: Tensor, chosen: Tensor, sides: tuple[int, ...]) -> Tensor:
        """What the last matrix of each chosen expert reads."""
        up = self.with_bias(self.record.result(sides, read, chosen), chosen, sides)
        if self.row.gate == "none":
            return up
        gate = self.with_bias(self.record.result(sides, read, chosen), chosen, sides)
        return self.activated(sides, gate, up)

    def with_bias(self, tensor: Tensor, chosen: Tensor, sides: tuple[int, ...]) -> Tensor:
        """The bias of each chosen expert added, where the experts have one."""
        return self.record.over(sides, tensor, chosen) if self.row.expert_bias else tensor

    def sum_of_experts(self, outputs: Tensor, width: int, used: int, side: int) -> Tensor:
        """One expert after the other."""
        record = self.record
        parts = [record.view(outputs, strided=True) for _ in range(used)]
        for part in parts:
            record.expand(part)
        total, *rest = parts
        for part in rest:
            total = record.over((width, side), total, part)
            record.expand(total)
        return record.result((width, side), total) if used == 1 else total

    def best_groups(self, wide: FeedForward, ranked: Tensor, side: int) -> Tensor:
        """The two best experts of each group name the groups that count; the others are closed."""
        record, groups = self.record, wide.groups or 1
        sides = (wide.experts or 1) // groups, groups, side
        grouped = record.view(ranked)
        pairs = record.view(record.result(sides, grouped), strided=True)
        scores = record.result((2, groups, side), record.view(grouped), pairs)
        totals = record.result((groups, side), record.view(scores))
        best = record.view(record.result((groups, side), record.view(totals)), strided=True)
        kept = record.result((sides[0], wide.groups_used or 1, side), grouped, best)
        closed = record.result(sides, grouped)
        return record.view(record.within(closed, kept, best, closed))
