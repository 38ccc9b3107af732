"""Recurrent layers in llama.cpp's graph: Mamba, Mamba 2, delta rules and short convolutions
(src/models/mamba-base.cpp, delta-net-base.cpp and lfm2.cpp, and build_rs in src/llama-graph.cpp, of
llama.cpp 0c1e570).

A recurrent layer keeps a state of fixed size for each sequence: the last inputs of a convolution,
and a memory. The layer reads both, scans the tokens of the batch, and stores both anew. A graph
here stores one state of each sequence; the further states that drafted tokens leave are counted in
compute.py.

What goes in: the graph, the group of layers, and the normed tokens. What comes out: the tensors of
one layer, added to the graph in the order of llama.cpp. A length is a number of elements of one
token's row.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...catalogue.architecture import Recurrent
from ..tensors import sizes_of
from .allocator import Node, fresh
from .part import Graph, Part


class Recurrence(Part):
    """A recurrent layer while its graph is built. Each kind of layer is a subclass, whose `needed`
    names the sizes without which the layer cannot be built; all other sizes may be 0.
    """

    needed: tuple[str, ...] = ()

    def __init__(self, graph: Graph, group: Recurrent) -> None:
        super().__init__(graph)
        self.state = graph.state_of(group)
        sizes = sizes_of(group)
        self.past_inputs: int = max(1, sizes["convolution"]) - 1
        self.inner_length: int = sizes["inner_length"]
        self.state_length: int = sizes["state_length"]
        self.rank: int = sizes["time_step_rank"]
        self.heads: int = sizes["heads"]
        self.groups: int = sizes["groups"]
        self.key_heads: int = sizes["key_heads"]
        self.key_length: int = sizes["key_length"]
        self.value_length: int = sizes["value_length"]
        self.has_norm = group.norm is not False

    def computed(self, normed: Node) -> Node:
        """The output of the layer for the normed tokens."""
        raise NotImplementedError

    def fetched(self, length: int) -> Node:
        """A copy of the states of all sequences, `length` numbers each (build_rs)."""
        sides = (length, self.graph.sequences)
        states = fresh(sides, self.graph.states)
        self.expand(states)
        return states

    def convolved(self, read: Node, channels: int) -> Node:
        """The convolution of each channel over past and new inputs (GGML_OP_SSM_CONV).

        The past inputs are fetched first. The new inputs are joined to them, and the last of both
        are stored for the next batch.
        """
        graph = self.graph
        past = self.fetched(self.state.convolution)
        inputs = self.past_inputs + graph.sequence_tokens
        sides = (inputs, channels, graph.sequences)
        joined = fresh(sides, past, read)
        graph.store(joined)
        return fresh((channels, self.tokens), joined)

    def scanned(self, length: int, *sources: Node) -> Node:
        """The outputs of a scan, in rows of the length `length` (GGML_OP_SSM_SCAN,
        GGML_OP_GATED_DELTA_NET).

        One tensor has the outputs of all tokens, and behind them the new memories of all sequences,
        which are stored.
        """
        outputs = length * self.tokens
        memories = self.state.memory * self.graph.sequences
        scan = fresh((outputs + memories,), *sources)
        self.expand(scan)
        self.graph.store(scan)
        return scan.view(length, self.tokens)


# ---------------------------------------------------------------------- state spaces


class _Mamba(Recurrence):
    """A selective state space (Mamba, arXiv:2312.00752; build_mamba_layer).

    x, z = two halves of W u,  x = convolution(x)
    step, B, C = three parts of W x
    memory = exp(step × A) × memory + step × B × x
    y = (C × memory + D × x) × silu(z)
    """

    # the length of x and z, of B and C, and of the step before it is widened
    needed = ("inner_length", "state_length", "time_step_rank")

    def computed(self, normed: Node) -> Node:
        """W y."""
        halves = normed.product(2 * self.inner_length)
        x = self.convolved(halves, self.inner_length)
        y = self._from_memory(x)
        z = halves.product(self.inner_length)
        with_input = y + x.scaled()
        gated = z.gating(with_input)
        output = gated.product(self.width)
        return output.view()

    def _from_memory(self, x: Node) -> Node:
        """C × memory for each token. Some models norm step, B and C (FalconMamba, Jamba); the
        others copy the step.
        """
        lengths = (self.rank, self.state_length, self.state_length)
        product = x.product(sum(lengths))
        step, b, c = product.parts(*lengths)
        if self.row.mamba_norms:
            step = step.normed()
            b = b.normed()
            c = c.normed()
        else:
            step = step.copied()
        steps = step.product(self.inner_length)
        return self.scanned(
            self.inner_length,
            x,
            steps,
            b,
            c,
            self.graph.states,
        )


class _Mamba2(Recurrence):
    """A state space with one decay a head (Mamba 2, arXiv:2405.21060; build_mamba2_layer).

    z, (x, B, C), step = three parts of W u
    x, B, C = three parts of convolution(x, B, C)
    memory = exp(step × a) × memory + step × B × x
    y = norm((C × memory + D × x) × silu(z))
    """

    # the number of heads, which is the length of the step, the length of x and z, and for B and C
    # the length and the number of groups
    needed = ("heads", "inner_length", "state_length", "groups")

    def computed(self, normed: Node) -> Node:
        """W y."""
        # B and C are shared by the heads of a group
        shared_length = self.groups * self.state_length
        channels = self.inner_length + 2 * shared_length
        product = normed.product(self.inner_length + channels + self.heads)
        convolved = self.convolved(product, channels)
        steps = product.product(self.heads)
        x = convolved.part(self.inner_length)
        y = self.scanned(self.inner_length, convolved, steps, self.graph.states)
        z = product.product(self.inner_length)
        with_input = y + x.scaled()
        gated = z.gating(with_input)
        if self.has_norm:
            gated = gated.view().normed()
        return gated.product(self.width)


# ---------------------------------------------------------------------- short convolutions


class _ShortConvolution(Recurrence):
    """A gated convolution over a few tokens, without a memory (LFM2, arXiv:2511.23404;
    src/models/lfm2.cpp).

    B, C, x = three parts of W u, each as long as the hidden state is wide
    y = W (C × convolution(B × x))
    """

    def computed(self, normed: Node) -> Node:
        """y."""
        width = self.width
        product = normed.product(3 * width)
        b, c, x = product.parts(width, width, width)
        convolved = self.convolved(b * x, width)
        gated = c * convolved
        output = gated.product(width)
        return output.view()


# ---------------------------------------------------------------------- delta rules


class _DeltaNet(Recurrence):
    """A memory that each token corrects (gated delta networks, arXiv:2412.06464;
    build_layer_attn_linear of src/models/qwen3next.cpp and qwen35.cpp).

        queries, keys, values = three parts of convolution(W x)
        memory = decay × memory + learning × (values - decay × memory × keys) × keysᵀ
        y = W (norm(memory × queries) × silu(W x))
    """

    # the numbers of heads of values and of keys, and the length of one head of each
    needed = ("heads", "key_heads", "key_length", "value_length")

    def computed(self, normed: Node) -> Node:
        """y."""
        values_length = self.heads * self.value_length
        keys_length = self.key_heads * self.key_length
        channels = values_length + 2 * keys_length
        mixed = normed.product(channels)
        rates = self._rates(normed)
        convolved = self.convolved(mixed, channels)
        memory = self.fetched(self.state.memory)
        outputs = self.scanned(
            values_length,
            self._normed_keys(convolved),
            self._normed_keys(convolved),
            convolved,
            *rates,
            memory,
        )
        gate = normed.product(values_length).view()
        gated = outputs.normed() * gate.activated()
        output = gated.product(self.width)
        return output.view()

    def _rates(self, normed: Node) -> list[Node]:
        """For each head the share of the memory that the head keeps (decay), and the share of a
        token's correction that the head learns (learning): copies of two parts of one product, or
        two products, each activated in a copy.
        """
        heads = self.heads
        if self.row.fused_alpha_beta:
            both = normed.product(2 * heads)
            return [both.product(heads), both.product(heads)]
        decay = normed.product(heads)
        learning = normed.product(heads)
        return [decay.copied(), learning.copied()]

    def _normed_keys(self, convolved: Node) -> Node:
        """The keys, or the queries, which are as many, normed over each head (GGML_OP_L2_NORM), and
        in some models repeated for the heads of values that share them.
        """
        keys = convolved.product(self.key_length * self.key_heads)
        if self.row.fused_alpha_beta and self.key_heads != self.heads:
            return keys.product(self.key_length * self.heads)
        return keys


# ---------------------------------------------------------------------- all kinds

# the graph of each kind of recurrent layer
RECURRENCES: Mapping[str, type[Recurrence]] = {
    "mamba": _Mamba,
    "mamba2": _Mamba2,
    "delta": _DeltaNet,
    "convolution": _ShortConvolution,
}


def is_buildable(group: Recurrent) -> bool:
    """Whether layers of that kind are built here, and all sizes of their graph are stated. A
    convolution of one input is not built, because it remembers none.
    """
    recurrence = RECURRENCES.get(group.kind)
    if recurrence is None:
        return False
    if group.convolution in (None, 1):
        return False
    return all(map(sizes_of(group).get, recurrence.needed))
