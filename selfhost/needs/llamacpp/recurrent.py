"""Recurrent layers in llama.cpp's graph: Mamba, Mamba 2, delta rules and short convolutions
(src/models/mamba-base.cpp, delta-net-base.cpp and lfm2.cpp, and build_rs in src/llama-graph.cpp, of
llama.cpp 0c1e570).

Each sequence has a state of fixed size: the last inputs of its convolution, and a memory. A layer
reads both, scans the tokens of the batch, and stores both anew. A length is a number of elements.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING

from ...catalogue.architecture import Recurrent
from ..tensors import sizes_of
from .allocator import Node, Sides, fresh

if TYPE_CHECKING:
    from .graph import Graph


class Recurrence:
    """One recurrent layer while its graph is built. Each kind of layer is a subclass; `needed` are
    the sizes that its graph has.
    """

    needed: tuple[str, ...] = ()

    def __init__(self, graph: Graph, group: Recurrent) -> None:
        sizes = sizes_of(group)
        self.graph = graph
        self.by_sequence = graph.by_sequence
        self.state = graph.state_of(group)
        self.remembered: int = sizes["convolution"] - 1
        self.heads: int = sizes["heads"]
        self.inner_length: int = sizes["inner_length"]
        self.state_length: int = sizes["state_length"]
        self.rank: int = sizes["time_step_rank"]
        self.groups: int = sizes["groups"]
        self.key_heads: int = sizes["key_heads"]
        self.key_length: int = sizes["key_length"]
        self.value_length: int = sizes["value_length"]
        self.has_norm = group.norm is not False

    def computed(self, normed: Node) -> Node:
        """What the layer makes of the normed tokens."""
        raise NotImplementedError

    def fetched(self, elements: int) -> Node:
        """The states of all sequences, each of that length, copied from where they are kept
        (build_rs).
        """
        graph = self.graph
        states = fresh((elements, graph.sequences), graph.states.view())
        graph.expand(states)
        return states.view()

    def stored(self, tensor: Node) -> None:
        """Write a view of new states to where they are kept."""
        self.graph.expand(self.graph.cache.written(tensor))

    def convolved(self, read: Node, channels: int) -> Node:
        """The convolution over the inputs behind the last of the past (GGML_OP_SSM_CONV); it stores
        the last inputs for the next batch. The past is fetched before the inputs are joined to it.
        """
        graph = self.graph
        past = self.fetched(self.state.convolution)
        inputs = self.remembered + graph.sequence_tokens
        joined = fresh((inputs, channels, graph.sequences), past, read)
        self.stored(joined.part())
        return fresh((channels, *self.by_sequence), joined)

    def scanned(self, sides: Sides, *sources: Node) -> Node:
        """The outputs of a scan (GGML_OP_SSM_SCAN and others); the new memories, which lie behind
        them, are stored.
        """
        memories = self.state.memory * self.graph.sequences
        outputs_and_memories = fresh((prod(sides) + memories,), *sources)
        self.graph.expand(outputs_and_memories)
        self.stored(outputs_and_memories.view())
        return outputs_and_memories.view(*sides)


class _Mamba(Recurrence):
    """A selective state space (Mamba, arXiv:2312.00752; build_mamba_layer)."""

    needed = ("inner_length", "state_length", "time_step_rank")

    def computed(self, normed: Node) -> Node:
        graph = self.graph
        length = self.inner_length
        inner = length, *self.by_sequence
        # the input, and the gate
        both = normed.view().product(2 * length)
        read = self.convolved(both.part().view(), length)
        # the step, and the two matrices that depend on the input
        mixed = fresh((self.rank + 2 * self.state_length, graph.tokens), read)
        step = mixed.part(self.rank, graph.tokens)
        keys = mixed.part(self.state_length, graph.tokens)
        queries = mixed.part(self.state_length, graph.tokens)
        if graph.row.mamba_norms:
            step = step.normed()
            keys = keys.normed()
            queries = queries.normed()
        else:
            step = step.product(self.rank)
        steps = step.product(length)
        memory = graph.states.view()
        outputs = self.scanned(inner, read.view(), steps, keys, queries, memory)
        # the input passes by the scan, scaled
        outputs = outputs.plus(read.scaled())
        gate = both.part(*inner).copied()
        gated = gate.gating(outputs)
        return fresh(graph.hidden, gated).view()


class _Mamba2(Recurrence):
    """A state space with one decay a head (Mamba 2, arXiv:2405.21060; build_mamba2_layer)."""

    needed = ("heads", "inner_length", "state_length", "groups")

    def computed(self, normed: Node) -> Node:
        graph = self.graph
        channels = self.inner_length + 2 * self.groups * self.state_length
        inner = self.inner_length // self.heads, self.heads, *self.by_sequence
        # the gate, the input with both matrices, and the step
        product = normed.product(self.inner_length + channels + self.heads).view()
        convolved = self.convolved(product.part().view(), channels)
        step = product.part(self.heads, *self.by_sequence).copied()
        read = convolved.part(*inner)
        keys = convolved.part()
        queries = convolved.part()
        memory = graph.states.view()
        outputs = self.scanned(inner, read, step, keys, queries, memory)
        # the input passes by the scan, scaled
        outputs = outputs.plus(read.scaled())
        gate = product.part(*inner).copied()
        gated = gate.gating(outputs)
        if self.has_norm:
            gated = gated.view(self.inner_length, graph.tokens).normed()
        return fresh(graph.hidden, gated.view())


class _ShortConvolution(Recurrence):
    """A gated convolution over a few tokens (LFM2, arXiv:2511.23404; src/models/lfm2.cpp)."""

    def computed(self, normed: Node) -> Node:
        width = self.graph.width
        sides = width, *self.by_sequence
        product = normed.view(*sides).product(3 * width)
        gate_before = product.part(*sides)
        gate_after = product.part(*sides)
        read = product.part()
        gated = gate_before.times(read)
        convolved = self.convolved(gated.part(), width)
        gated = gate_after.times(convolved)
        return gated.product(width).view(*self.graph.hidden)


class _DeltaNet(Recurrence):
    """A memory that each token corrects (gated delta networks, arXiv:2412.06464;
    build_layer_attn_linear of src/models/qwen3next.cpp and its like).
    """

    needed = ("heads", "key_heads", "key_length", "value_length")

    def computed(self, normed: Node) -> Node:
        length = self.heads * self.value_length
        inner = self.value_length, self.heads, *self.by_sequence
        channels = length + 2 * self.key_heads * self.key_length
        mixed = normed.product(channels).view()
        # how much each head learns of a token, and how much it forgets
        rate, decay = self._correction(normed)
        convolved = self.convolved(mixed.part(), channels)
        memory = self.fetched(self.state.memory)
        queries = self._keys(convolved)
        keys = self._keys(convolved)
        values = convolved.part()
        outputs = self.scanned(inner, queries, keys, values, decay, rate, memory)
        gate = normed.product(length).view(*inner).activated()
        gated = outputs.normed().times(gate)
        return fresh(self.graph.hidden, gated.view()).view()

    def _correction(self, normed: Node) -> tuple[Node, Node]:
        """The rate and the decay, as parts of one product, or as two products."""
        heads = self.heads
        if self.graph.row.fused_alpha_beta:
            product = normed.product(2 * heads).view(heads, self.graph.tokens)
            rate = product.part().copied()
            decay = product.part().copied()
        else:
            rate = normed.product(heads).view().activated()
            decay = normed.product(heads).view().activated()
        return rate.view(), decay.view()

    def _keys(self, convolved: Node) -> Node:
        """The part that is keys, or queries, normed over each head (GGML_OP_L2_NORM), and in some
        models repeated for the heads that share them.
        """
        part = convolved.part(self.key_length, self.key_heads, *self.by_sequence)
        keys = part.copied()
        if self.graph.row.fused_alpha_beta and self.key_heads != self.heads:
            repeated = self.key_length, self.heads, self.graph.tokens
            keys = fresh(repeated, keys.view()).view()
        return keys


# how each kind of recurrent layer is computed
RECURRENCES: Mapping[str, type[Recurrence]] = {
    "mamba": _Mamba,
    "mamba2": _Mamba2,
    "delta": _DeltaNet,
    "convolution": _ShortConvolution,
}


def is_buildable(group: Recurrent) -> bool:
    """Whether layers of that kind are built here, and all sizes of their graph are stated. A
    convolution of one input remembers none.
    """
    recurrence = RECURRENCES.get(group.kind)
    if recurrence is None or group.convolution in (None, 1):
        return False
    sizes = sizes_of(group)
    return all(sizes[name] for name in recurrence.needed)
