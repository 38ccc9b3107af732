"""Recurrent layers in llama.cpp's graph: Mamba, Mamba 2, delta rules and short convolutions
(src/models/mamba-base.cpp, delta-net-base.cpp and lfm2.cpp, and build_rs in src/llama-graph.cpp, of
llama.cpp 0c1e570).

Each sequence has a state of fixed size: the last inputs of its convolution, and a memory. A layer
reads both, scans the tokens of the batch, and stores both anew. A length is a number of elements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import TYPE_CHECKING

from ...catalogue.architecture import Recurrent
from ...core.records import Record
from .allocator import Node, Sides, fresh

if TYPE_CHECKING:
    from .graph import Graph


def _fetched(graph: Graph, elements: int) -> Node:
    """The states of that length of all sequences, copied from where they are kept (build_rs)."""
    fetched = fresh((elements, graph.sequences), graph.states.view())
    graph.expand(fetched)
    return fetched.view()


def _convolved(graph: Graph, group: Recurrent, read: Node, channels: int) -> Node:
    """The convolution over the inputs behind the last of the past (GGML_OP_SSM_CONV); it stores the
    last inputs for the next batch. The past is fetched before the inputs are joined to it.
    """
    remembered = (group.convolution or 1) - 1
    past = _fetched(graph, graph.state_of(group).convolution)
    sides = remembered + graph.sequence_tokens, channels, graph.sequences
    joined = fresh(sides, past, read)
    graph.expand(graph.cache.written(joined.part()))
    return fresh((channels, *graph.by_sequence), joined)


def _scanned(graph: Graph, group: Recurrent, sides: Sides, *sources: Node) -> Node:
    """The outputs of a scan (GGML_OP_SSM_SCAN and others); the new memories, which lie behind them,
    are stored.
    """
    memory = graph.state_of(group).memory
    elements = prod(sides) + memory * graph.sequences
    outputs_and_memories = fresh((elements,), *sources)
    graph.expand(outputs_and_memories)
    graph.expand(graph.cache.written(outputs_and_memories.view()))
    return outputs_and_memories.view(*sides)


def _mamba(graph: Graph, group: Recurrent, normed: Node) -> Node:
    """A selective state space (Mamba, arXiv:2312.00752; build_mamba_layer)."""
    tokens = graph.tokens
    inner_length = group.inner_length or 0
    state_length = group.state_length or 0
    rank = group.time_step_rank or 0
    inner = inner_length, *graph.by_sequence
    # the input, and the gate
    both = normed.view().product(2 * inner_length)
    read = _convolved(graph, group, both.part().view(), inner_length)
    # the step, and the two matrices that depend on the input
    mixed = fresh((rank + 2 * state_length, tokens), read)
    step = mixed.part(rank, tokens)
    keys = mixed.part(state_length, tokens)
    queries = mixed.part(state_length, tokens)
    if graph.row.mamba_norms:
        step = step.normed()
        keys = keys.normed()
        queries = queries.normed()
    else:
        step = step.product(rank)
    steps = step.product(inner_length)
    memory = graph.states.view()
    outputs = _scanned(graph, group, inner, read.view(), steps, keys, queries, memory)
    # the input passes by the scan, scaled
    outputs = outputs.plus(read.scaled())
    gate = both.part(*inner).copied()
    gated = gate.gating(outputs)
    return fresh(graph.hidden, gated).view()


def _mamba2(graph: Graph, group: Recurrent, normed: Node) -> Node:
    """A state space with one decay a head (Mamba 2, arXiv:2405.21060; build_mamba2_layer)."""
    inner_length = group.inner_length or 0
    heads = group.heads or 1
    groups = group.groups or 0
    state_length = group.state_length or 0
    mixed_length = 2 * groups * state_length
    inner = inner_length // heads, heads, *graph.by_sequence
    # the gate, the input with both matrices, and the step
    product = normed.product(2 * inner_length + mixed_length + heads).view()
    inputs = product.part().view()
    convolved = _convolved(graph, group, inputs, inner_length + mixed_length)
    step = product.part(heads, *graph.by_sequence).copied()
    read = convolved.part(*inner)
    keys = convolved.part()
    queries = convolved.part()
    memory = graph.states.view()
    outputs = _scanned(graph, group, inner, read, step, keys, queries, memory)
    # the input passes by the scan, scaled
    outputs = outputs.plus(read.scaled())
    gate = product.part(*inner).copied()
    gated = gate.gating(outputs)
    if group.norm is not False:
        gated = gated.view(inner_length, graph.tokens).normed()
    return fresh(graph.hidden, gated.view())


def _short_convolution(graph: Graph, group: Recurrent, normed: Node) -> Node:
    """A gated convolution over a few tokens (LFM2, arXiv:2511.23404; src/models/lfm2.cpp)."""
    width = graph.width
    sides = width, *graph.by_sequence
    product = normed.view(*sides).product(3 * width)
    gate_before = product.part(*sides)
    gate_after = product.part(*sides)
    read = product.part()
    gated = gate_before.times(read)
    convolved = _convolved(graph, group, gated.part(), width)
    convolved = gate_after.times(convolved)
    return convolved.product(width).view(*graph.hidden)


def _delta_net(graph: Graph, group: Recurrent, normed: Node) -> Node:
    """A memory that each token corrects (gated delta networks, arXiv:2412.06464;
    build_layer_attn_linear of src/models/qwen3next.cpp and its like).
    """
    heads = group.heads or 1
    key_heads = group.key_heads or 1
    key_length = group.key_length or 0
    value_length = group.value_length or 0
    inner_length = heads * value_length
    channels = inner_length + 2 * key_heads * key_length
    key_sides = key_length, key_heads, *graph.by_sequence
    value_sides = value_length, heads, *graph.by_sequence
    mixed = normed.product(channels).view()
    correction = _correction(graph, heads, normed)
    convolved = _convolved(graph, group, mixed.part(), channels)
    memory = _fetched(graph, graph.state_of(group).memory)
    # norms over each head (GGML_OP_L2_NORM)
    queries = convolved.part(*key_sides).copied()
    keys = convolved.part(*key_sides).copied()
    values = convolved.part()
    if graph.row.fused_alpha_beta and key_heads != heads:
        # repeated for the heads that share them
        repeated = key_length, heads, graph.tokens
        queries = fresh(repeated, queries.view()).view()
        keys = fresh(repeated, keys.view()).view()
    decay = correction.decay.view()
    rate = correction.rate.view()
    outputs = _scanned(
        graph, group, value_sides, queries, keys, values, decay, rate, memory
    )
    gate = normed.product(inner_length).view(*value_sides).activated()
    gated = outputs.normed().times(gate)
    return fresh(graph.hidden, gated.view()).view()


class _Correction(Record):
    """How much each head learns of a token, and how much it forgets."""

    rate: Node
    decay: Node


def _correction(graph: Graph, heads: int, normed: Node) -> _Correction:
    """The rate and the decay, as parts of one product, or as two products."""
    if graph.row.fused_alpha_beta:
        product = normed.product(2 * heads).view(heads, graph.tokens)
        return _Correction(rate=product.part().copied(), decay=product.part().copied())
    rate = normed.product(heads).view().activated()
    decay = normed.product(heads).view().activated()
    return _Correction(rate=rate, decay=decay)


# how each kind of recurrent layer is computed
RECURRENCES: Mapping[str, Callable[[Graph, Recurrent, Node], Node]] = {
    "mamba": _mamba,
    "mamba2": _mamba2,
    "delta": _delta_net,
    "convolution": _short_convolution,
}
