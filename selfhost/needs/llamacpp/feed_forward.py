"""Feed-forwards in llama.cpp's graph: dense, of experts, or both (build_ffn and build_moe_ffn in
src/llama-graph.cpp of llama.cpp 0c1e570).

    dense(x) = W_down (activation(W_gate x) × W_up x)
    routed(x) = sum of weight_i × expert_i(x), of the experts i with the highest scores W_router x

Each method takes the tensor that it reads, one row for each token that is computed: those of a
batch, or in the last layer those whose logits the caller needs. A length is a number of elements.
"""

from __future__ import annotations

from ...catalogue.architecture import FeedForward
from .allocator import Node, fresh
from .part import Graph, Part


class FeedForwardGraph(Part):
    """The feed-forward of one layer while its graph is built. Each row is computed by `used` of the
    `experts`; an output row holds the results of all these experts, one after the other.
    """

    def __init__(self, graph: Graph, feed: FeedForward) -> None:
        super().__init__(graph)
        self.feed = feed
        self.experts = feed.experts or 1
        self.used = feed.chosen
        # in some models the experts read and write a narrower row than the hidden state
        self.expert_width = feed.latent_length or self.width
        self.output_length = self.expert_width * self.used

    def computed(self, read: Node) -> Node:
        """The output for the tokens: dense(x), or routed(x) + gate × shared(x) with an expert that
        all tokens share.
        """
        feed = self.feed
        if not feed.experts:
            return self._dense(feed.length, read)
        routed = self._routed(read, scored=read)
        if feed.latent_length:
            if self.row.routed_norm:
                routed = self.norm(routed)
            routed = routed.product(self.width)
        if not feed.shared_length:
            return routed
        shared = self._dense(feed.shared_length, read)
        if self.row.shared_expert_gate:
            shared = shared * self._gate_of_shared(read)
        return routed + shared

    def beside_dense(self, dense_length: int, residual: Node) -> Node:
        """norm(dense(norm(x))) + norm(routed(norm(x))), each norm with weights of its own (Gemma 4;
        src/models/gemma4.cpp).
        """
        norm = self.norm
        normed = norm(residual)
        dense = self._dense(dense_length, normed)
        dense = norm(dense)
        read = norm(residual)
        routed = self._routed(read, scored=norm(residual))
        routed = norm(routed)
        return dense + routed

    def _gate_of_shared(self, read: Node) -> Node:
        """The weight of the shared expert for each token: a sigmoid."""
        gate = read.product(1)
        if not self.style.divided_gate:
            return gate
        # the sigmoid, computed as a quotient
        divisor = gate.scaled()
        return divisor / gate

    def _dense(self, length: int, read: Node) -> Node:
        """W_down (activation(W_gate x) × W_up x), or without a gate W_down activation(W_up x)
        (build_ffn, GGML_OP_GLU).
        """
        if self.row.gate == "fused":
            up_and_gate = read.product(2 * length)
            activated = up_and_gate.product(length)
        elif self.row.gate == "split":
            up = read.product(length)
            gate = read.product(length)
            activated = gate.gating(up)
        else:
            activated = read.product(length)
        return activated.product(self.width)

    # ------------------------------------------------------------------ experts

    def _routed(self, read: Node, scored: Node) -> Node:
        """The sum of weight × expert(x), or of expert(weight × x), over the chosen experts, by
        scores that follow from a row of `scored` (build_moe_ffn).
        """
        scores = scored.product(self.experts)
        chances = scores
        if not self.style.chosen_first:
            chances = scores.activated()
        weighs_input = self.style.before_experts
        chosen = self._chosen(scores if weighs_input else chances)
        weights = self._weights(chances, chosen)
        self.expand(weights)
        if self.feed.latent_length:
            read = read.product(self.expert_width)
        if weighs_input:
            repeated = read.product(self.output_length)
            outputs = self._outputs(repeated * weights, chosen)
        else:
            outputs = self._outputs(read, chosen)
            outputs = outputs * weights
        self.expand(outputs)
        # the outputs of several experts are added one after the other to a running sum
        total = outputs.product(self.expert_width)
        if self.used > 1:
            self.expand(total)
        return total

    def _chosen(self, ranked: Node) -> Node:
        """The experts that rank highest (ggml_argsort_top_k)."""
        if self.feed.router_bias or self.row.router_bias:
            ranked = ranked.biased()
        if self.feed.groups:
            ranked = self._in_best_groups(ranked, self.feed.groups)
        return ranked.argsort()

    def _in_best_groups(self, ranked: Node, groups: int) -> Node:
        """The ranks of the experts, closed except in the groups whose two best experts rank highest
        together (DeepSeek-V3, arXiv:2412.19437).
        """
        members = self.experts // groups
        groups_used = self.feed.groups_used or 1
        places_in_groups = ranked.argsort()
        two_ranks = ranked.product(2 * groups, places_in_groups)
        group_ranks = two_ranks.product(groups)
        best_groups = group_ranks.argsort()
        opened = ranked.product(members * groups_used, best_groups)
        closed = ranked.copied()
        return closed.written(opened, best_groups, closed)

    def _weights(self, chances: Node, chosen: Node) -> Node:
        """The weight of each chosen expert (GGML_OP_GET_ROWS): its probability, or the probability
        divided by the sum over the chosen experts.
        """
        weights = chances.product(self.used, chosen)
        if self.style.chosen_first:
            weights = weights.copied().view()
        if self.style.normalized:
            total = weights.product(1)
            # the divisor is at least the smallest normal number of 16 bits
            quotients = weights.view() / total.clamped()
            weights = quotients.view()
        if self.style.rescaled:
            weights = weights.scaled()
        return weights

    def _outputs(self, read: Node, chosen: Node) -> Node:
        """The output of each chosen expert: W_down (activation(W_gate x) × W_up x).

        A file with gate and up in one matrix (ffn_gate_up_exps) has one product of twice the length
        in place of two. Replayed so, the buffer of 303 of 318 cases of the catalogue is the same
        (all of Gemma 4 and Qwen3.5, whose files have one), that of DeepSeek-V2-Lite and of models
        like it up to a tenth less, and that of Granite 4.0 H Small 0.5 % less: published files of
        these have two.
        """
        activated = self._multiplied(read, chosen)
        if self.row.gate != "none":
            gate = self._multiplied(read, chosen)
            activated = gate.gating(activated)
        outputs = activated.product(self.output_length, chosen)
        if self.row.expert_norms:
            every_scale = fresh((self.experts, *read.sides[1:]))
            scales = every_scale.product(self.used, chosen)
            outputs = outputs * scales
        return self._with_bias(outputs, chosen)

    def _multiplied(self, read: Node, chosen: Node) -> Node:
        """The rows times a matrix of each chosen expert (GGML_OP_MUL_MAT_ID), with its bias."""
        product = read.product(self.feed.length * self.used, chosen)
        return self._with_bias(product, chosen)

    def _with_bias(self, tensor: Node, chosen: Node) -> Node:
        """The tensor plus the bias of each chosen expert (GGML_OP_ADD_ID), if experts have one."""
        if self.row.expert_bias:
            return tensor.biased(chosen)
        return tensor
