"""Recurrent layers in llama.cpp's graph: Mamba, Mamba 2, delta rules and short convolutions
(src/models/mamba-base.cpp, delta-net-base.cpp and lfm2.cpp, and build_rs in src/llama-graph.cpp, of
llama.cpp 0c1e570).

Each sequence has a state of fixed size: the last inputs of its convolution, and a memory. A layer
reads both, scans the tokens of the batch, and stores both anew. A length is a number of elements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ...catalogue.architecture import Recurrent
from .allocator import Node, fresh, inplace, part, view, written

if TYPE_CHECKING:
    from .graph import Graph


def _fetched(graph: Graph, elements: int) -> Node:
    """The states of that length of all sequences, copied from where they are kept (build_rs)."""
    kept = view(graph.states)
    fetched = fresh((elements, graph.sequences), kept)
    graph.expand(fetched)
    return view(fetched)


def _convolved(
    graph: Graph, group: Recurrent, past: Node, channels: int, read: Node
) -> Node:
    """The convolution over inputs behind the last of the past (GGML_OP_SSM_CONV); it stores the
    last inputs for the next batch.
    """
    remembered = (group.convolution or 1) - 1
    sides = remembered + graph.sequence_tokens, channels, graph.sequences
    joined = fresh(sides, past, read)
    last_inputs = part(joined)
    graph.expand(written(graph.cache, last_inputs))
    return fresh((channels, *graph.by_sequence), joined)


def _scanned(graph: Graph, inner_length: int, memory: int, *sources: Node) -> Node:
    """The outputs of a scan (GGML_OP_SSM_SCAN and others); the new memories, which lie behind them,
    are stored.
    """
    elements = inner_length * graph.tokens + memory * graph.sequences
    outputs_and_memories = fresh((elements,), *sources)
    graph.expand(outputs_and_memories)
    memories = view(outputs_and_memories)
    graph.expand(written(graph.cache, memories))
    return view(outputs_and_memories)


def _mamba(graph: Graph, group: Recurrent, normed: Node) -> Node:
    """A selective state space (Mamba, arXiv:2312.00752; build_mamba_layer)."""
    tokens = graph.tokens
    state = graph.state_of(group)
    inner_length = group.inner_length or 0
    state_length = group.state_length or 0
    rank = group.time_step_rank or 0
    inner = inner_length, *graph.by_sequence
    state_sides = state_length, tokens
    past = _fetched(graph, state.convolution)
    # the input, and the gate
    both = graph.product(2 * inner_length, view(normed))
    inputs = part(both)
    read = _convolved(graph, group, past, inner_length, view(inputs))
    # the step, and the two matrices that depend on the input
    mixed = graph.product(rank + 2 * state_length, read)
    step = part(mixed)
    keys = part(mixed)
    queries = part(mixed)
    if graph.row.mamba_norms:
        step = inplace((rank, tokens), step)
        keys = inplace(state_sides, keys)
        queries = inplace(state_sides, queries)
    else:
        step = graph.product(rank, step)
    steps = graph.product(inner_length, step)
    memory = view(graph.states)
    outputs = _scanned(
        graph, inner_length, state.memory, view(read), steps, keys, queries, memory
    )
    passed = inplace(inner, read)
    outputs = inplace(inner, outputs, passed)
    gate = fresh(inner, part(both))
    gated = fresh(inner, gate, outputs)
    return view(fresh(graph.hidden, gated))


def _mamba2(graph: Graph, group: Recurrent, normed: Node) -> Node:
    """A state space with one decay a head (Mamba 2, arXiv:2405.21060; build_mamba2_layer)."""
    tokens = graph.tokens
    state = graph.state_of(group)
    inner_length = group.inner_length or 0
    heads = group.heads or 1
    groups = group.groups or 0
    state_length = group.state_length or 0
    mixed_length = 2 * groups * state_length
    inner = inner_length // heads, heads, *graph.by_sequence
    past = _fetched(graph, state.convolution)
    # the gate, the input with both matrices, and the step
    product = graph.product(2 * inner_length + mixed_length + heads, normed)
    product = view(product)
    inputs = view(part(product))
    convolved = _convolved(graph, group, past, inner_length + mixed_length, inputs)
    step = fresh((heads, *graph.by_sequence), part(product))
    read = part(convolved)
    keys = part(convolved)
    queries = part(convolved)
    memory = view(graph.states)
    outputs = _scanned(
        graph, inner_length, state.memory, read, step, keys, queries, memory
    )
    passed = inplace(inner, read)
    outputs = inplace(inner, outputs, passed)
    gate = fresh(inner, part(product))
    gated = fresh(inner, gate, outputs)
    if group.norm is not False:
        gated = inplace((inner_length, tokens), view(gated))
    return fresh(graph.hidden, view(gated))


def _short_convolution(graph: Graph, group: Recurrent, normed: Node) -> Node:
    """A gated convolution over a few tokens (LFM2, arXiv:2511.23404; src/models/lfm2.cpp)."""
    width = graph.width
    sides = width, *graph.by_sequence
    product = fresh((3 * width, *graph.by_sequence), view(normed))
    gate_before = part(product)
    gate_after = part(product)
    read = part(product)
    gated = inplace(sides, gate_before, read)
    gated = part(gated)
    past = _fetched(graph, graph.state_of(group).convolution)
    convolved = _convolved(graph, group, past, width, gated)
    convolved = inplace(sides, gate_after, convolved)
    return view(fresh(sides, convolved))


def _delta_net(graph: Graph, group: Recurrent, normed: Node) -> Node:
    """A memory that each token corrects (gated delta networks, arXiv:2412.06464;
    build_layer_attn_linear of src/models/qwen3next.cpp and its like).
    """
    tokens = graph.tokens
    state = graph.state_of(group)
    heads = group.heads or 1
    key_heads = group.key_heads or 1
    key_length = group.key_length or 0
    value_length = group.value_length or 0
    inner_length = heads * value_length
    channels = inner_length + 2 * key_heads * key_length
    key_sides = key_length, key_heads, *graph.by_sequence
    value_sides = value_length, heads, *graph.by_sequence
    mixed = view(graph.product(channels, normed))
    rate, decay = _rate_and_decay(graph, heads, normed)
    past = _fetched(graph, state.convolution)
    convolved = _convolved(graph, group, past, channels, part(mixed))
    memory = _fetched(graph, state.memory)
    queries = part(convolved)
    keys = part(convolved)
    values = part(convolved)
    # norms over each head (GGML_OP_L2_NORM)
    queries = fresh(key_sides, queries)
    keys = fresh(key_sides, keys)
    if graph.row.fused_alpha_beta and key_heads != heads:
        # repeated for the heads that share them
        repeated_sides = key_length, heads, tokens
        queries = view(fresh(repeated_sides, view(queries)))
        keys = view(fresh(repeated_sides, view(keys)))
    sources = queries, keys, values, view(decay), view(rate), memory
    outputs = _scanned(graph, inner_length, state.memory, *sources)
    gate = view(graph.product(inner_length, normed))
    gate = inplace(value_sides, gate)
    outputs = inplace(value_sides, outputs)
    gated = inplace(value_sides, outputs, gate)
    return view(fresh(graph.hidden, view(gated)))


def _rate_and_decay(graph: Graph, heads: int, normed: Node) -> tuple[Node, Node]:
    """How much each head learns of a token, and how much it forgets: parts of one product, or two
    products.
    """
    sides = heads, graph.tokens
    if graph.row.fused_alpha_beta:
        product = view(graph.product(2 * heads, normed))
        rate = fresh(sides, part(product))
        decay = fresh(sides, part(product))
    else:
        rate = inplace(sides, view(graph.product(heads, normed)))
        decay = inplace(sides, view(graph.product(heads, normed)))
    return rate, decay


# how each kind of recurrent layer is computed
RECURRENCES: Mapping[str, Callable[[Graph, Recurrent, Node], Node]] = {
    "mamba": _mamba,
    "mamba2": _mamba2,
    "delta": _delta_net,
    "convolution": _short_convolution,
}
