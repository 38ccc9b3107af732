"""Recurrent layers in llama.cpp's graph: Mamba, Mamba 2, delta rules and short convolutions
(src/models/mamba-base.cpp, delta-net-base.cpp and lfm2.cpp, and build_rs in src/llama-graph.cpp, of
llama.cpp 0c1e570).

Each sequence has a state of fixed size: the last inputs of its convolution, and a memory. A layer
reads both, scans the tokens of the batch, and stores both anew. A length is a number of elements.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...catalogue.architecture import Recurrent
from .allocator import Node, fresh
from .part import Part

if TYPE_CHECKING:
    from .graph import Graph


class Recurrence(Part):
    """A recurrent layer while its graph is built. Each kind of layer is a subclass; `needed` are
    the sizes that its graph must have.
    """

    needed: tuple[str, ...] = ()

    def __init__(self, graph: Graph, group: Recurrent) -> None:
        super().__init__(graph)
        self.state = graph.state_of(group)
        self.remembered = (group.convolution or 1) - 1
        self.heads = group.heads or 0
        self.inner_length = group.inner_length or 0
        self.state_length = group.state_length or 0
        self.rank = group.time_step_rank or 0
        self.groups = group.groups or 0
        self.key_heads = group.key_heads or 0
        self.key_length = group.key_length or 0
        self.value_length = group.value_length or 0
        self.has_norm = group.norm is not False

    def computed(self, normed: Node) -> Node:
        """The output of the layer for the normed tokens."""
        raise NotImplementedError

    def fetched(self, length: int) -> Node:
        """The states of all sequences, each `length` numbers long, copied from the place where they
        are kept (build_rs).
        """
        graph = self.graph
        states = fresh((length, graph.sequences), graph.states)
        self.expand(states)
        return states

    def convolved(self, read: Node, channels: int) -> Node:
        """The convolution of each channel over past and new inputs (GGML_OP_SSM_CONV). The last
        inputs are stored for the next batch. The past is fetched before the inputs are joined to
        it.
        """
        graph = self.graph
        past = self.fetched(self.state.convolution)
        inputs = self.remembered + graph.sequence_tokens
        joined = fresh((inputs, channels, graph.sequences), past, read)
        graph.store(joined)
        return fresh((channels, self.tokens), joined)

    def scanned(self, length: int, *sources: Node) -> Node:
        """The outputs of a scan (GGML_OP_SSM_SCAN and others), in rows of the length `length`. The
        new memories, which lie after the outputs, are stored.
        """
        graph = self.graph
        memories = self.state.memory * graph.sequences
        scan = fresh((length * self.tokens + memories,), *sources)
        self.expand(scan)
        graph.store(scan)
        return scan.view(length, self.tokens)


class _Mamba(Recurrence):
    """A selective state space (Mamba, arXiv:2312.00752; build_mamba_layer).

    x, z = two halves of W u,  x = convolution(x)
    step, B, C = three parts of W x
    memory = exp(step × A) × memory + step × B × x
    y = (C × memory + D × x) × silu(z)
    """

    needed = ("inner_length", "state_length", "time_step_rank")

    def computed(self, normed: Node) -> Node:
        length = self.inner_length
        lengths = self.rank, self.state_length, self.state_length
        halves = normed.product(2 * length)
        x = self.convolved(halves, length)
        parts = x.product(sum(lengths)).parts(*lengths)
        if self.row.mamba_norms:
            parts = [part.normed() for part in parts]
        step, b, c = parts
        steps = step.product(length)
        outputs = self.scanned(length, x, steps, b, c, self.graph.states)
        z = halves.product(length)
        gated = z.gating(outputs + x.scaled())
        return gated.product(self.width).view()


class _Mamba2(Recurrence):
    """A state space with one decay a head (Mamba 2, arXiv:2405.21060; build_mamba2_layer).

    z, (x, B, C), step = three parts of W u
    x, B, C = three parts of convolution(x, B, C)
    memory = exp(step × a) × memory + step × B × x
    y = norm((C × memory + D × x) × silu(z))
    """

    needed = ("heads", "inner_length", "state_length", "groups")

    def computed(self, normed: Node) -> Node:
        length = self.inner_length
        channels = length + 2 * self.groups * self.state_length
        parts = normed.product(length + channels + self.heads)
        convolved = self.convolved(parts, channels)
        steps = parts.product(self.heads)
        x = convolved.part(length)
        outputs = self.scanned(length, convolved, steps, self.graph.states)
        z = parts.product(length)
        gated = z.gating(outputs + x.scaled())
        if self.has_norm:
            gated = gated.view().normed()
        return gated.product(self.width)


class _ShortConvolution(Recurrence):
    """A gated convolution over a few tokens (LFM2, arXiv:2511.23404; src/models/lfm2.cpp).

    B, C, x = three parts of W u
    y = W (C × convolution(B × x))
    """

    def computed(self, normed: Node) -> Node:
        width = self.width
        b, c, x = normed.product(3 * width).parts(width, width, width)
        gated = c * self.convolved(b * x, width)
        return gated.product(width).view()


class _DeltaNet(Recurrence):
    """A memory that each token corrects (gated delta networks, arXiv:2412.06464;
    build_layer_attn_linear of src/models/qwen3next.cpp and its like).

        queries, keys, values = three parts of convolution(W x)
        memory = decay × memory + rate × (values - decay × memory × keys) × keysᵀ
        y = W (norm(memory × queries) × silu(W x))
    """

    needed = ("heads", "key_heads", "key_length", "value_length")

    def computed(self, normed: Node) -> Node:
        length = self.heads * self.value_length
        channels = length + 2 * self.key_heads * self.key_length
        mixed = normed.product(channels)
        # how much each head forgets, and how much it learns from a token
        decay, rate = self._decay_and_rate(normed)
        convolved = self.convolved(mixed, channels)
        memory = self.fetched(self.state.memory)
        queries = self._keys(convolved)
        keys = self._keys(convolved)
        outputs = self.scanned(length, queries, keys, convolved, decay, rate, memory)
        gate = normed.product(length).view()
        gated = outputs.normed() * gate.activated()
        return gated.product(self.width).view()

    def _decay_and_rate(self, normed: Node) -> tuple[Node, Node]:
        """The decay and the learning rate of each head: copies of two parts of one product, or two
        products activated.
        """
        heads = self.heads
        if self.row.fused_alpha_beta:
            parts = normed.product(2 * heads)
            return parts.product(heads), parts.product(heads)
        decay = normed.product(heads)
        rate = normed.product(heads)
        return decay.copied(), rate.copied()

    def _keys(self, convolved: Node) -> Node:
        """The keys, or the queries, normed over each head (GGML_OP_L2_NORM), and in some models
        repeated for the heads that share them.
        """
        keys = convolved.product(self.key_length * self.key_heads)
        if self.row.fused_alpha_beta and self.key_heads != self.heads:
            return keys.product(self.key_length * self.heads)
        return keys


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
    return all(getattr(group, name) for name in recurrence.needed)
