"""How llama.cpp computes layers that keep a state, as the allocator sees them: src/models of
llama.cpp 0c1e570.
"""

from __future__ import annotations

from ...catalogue.layers import Recurrent
from .allocator import Tensor
from .graph_base import Graph


def recurrence(graph: Graph, group: Recurrent, normed: Tensor) -> Tensor:
    """One layer: Mamba, Mamba 2, Delta or a short convolution."""
    compute = {"mamba": _mamba, "mamba2": _mamba2, "delta": _delta}.get(group.kind, _convolution)
    return compute(graph, group, normed)


def _convolved(graph: Graph, group: Recurrent, past: Tensor, channels: int, read: Tensor) -> Tensor:
    """The convolution over the inputs, with the last ones of the past in front. The last of the
    new inputs are stored for the next batch.
    """
    each, taps = graph.tokens // graph.sequences, (group.convolution or 1) - 1
    joined = graph.result((taps + each, channels, graph.sequences), past, read)
    graph.store(graph.part(joined))
    return graph.result((channels, each, graph.sequences), joined)


def _scanned(graph: Graph, inner: int, memory: int, *sources: Tensor) -> Tensor:
    """The outputs; the new states lie behind them and are stored."""
    elements = inner * graph.tokens + memory * graph.sequences
    outputs_and_states = graph.result((elements,), *sources)
    graph.expand(outputs_and_states)
    graph.store(graph.view(outputs_and_states))
    return graph.view(outputs_and_states)


def _mamba(graph: Graph, group: Recurrent, normed: Tensor) -> Tensor:
    tokens, state = graph.tokens, graph.memory_of(group)
    inner, size, rank = group.inner_length or 0, group.state_length or 0, group.time_step_rank or 0
    sides = inner, tokens // graph.sequences, graph.sequences
    past = graph.fetch(state.convolution)
    both = graph.linear(2 * inner, graph.view(normed))
    read = _convolved(graph, group, past, inner, graph.view(graph.part(both)))
    mixed = graph.linear(rank + 2 * size, read)
    step, keys, queries = (graph.part(mixed) for _ in range(3))
    if graph.row.mamba_norms:
        step = graph.over((rank, tokens), step)
        keys, queries = graph.over((size, tokens), keys), graph.over((size, tokens), queries)
    else:
        step = graph.linear(rank, step)
    sources = graph.view(read), graph.linear(inner, step), keys, queries, graph.view(graph.states)
    outputs = _scanned(graph, inner, state.memory, *sources)
    outputs = graph.over(sides, outputs, graph.over(sides, read))
    gated = graph.result(sides, graph.result(sides, graph.part(both)), outputs)
    return graph.view(graph.linear(graph.width, gated))


def _mamba2(graph: Graph, group: Recurrent, normed: Tensor) -> Tensor:
    inner, heads = group.inner_length or 0, group.heads or 1
    mixed = 2 * (group.groups or 0) * (group.state_length or 0)
    sides = inner // heads, heads, graph.tokens // graph.sequences, graph.sequences
    state = graph.memory_of(group)
    past = graph.fetch(state.convolution)
    joined = graph.view(graph.linear(2 * inner + mixed + heads, normed))
    convolved = _convolved(graph, group, past, inner + mixed, graph.view(graph.part(joined)))
    step = graph.result((heads, *sides[2:]), graph.part(joined))
    read, keys, queries = (graph.part(convolved) for _ in range(3))
    sources = read, step, keys, queries, graph.view(graph.states)
    outputs = _scanned(graph, inner, state.memory, *sources)
    outputs = graph.over(sides, outputs, graph.over(sides, read))
    gated = graph.result(sides, graph.result(sides, graph.part(joined)), outputs)
    if group.norm is not False:
        gated = graph.over((inner, graph.tokens), graph.view(gated))
    return graph.linear(graph.width, graph.view(gated))


def _convolution(graph: Graph, group: Recurrent, normed: Tensor) -> Tensor:
    width = graph.width
    sides = width, graph.tokens // graph.sequences, graph.sequences
    three = graph.result((3 * width, *sides[1:]), graph.view(normed))
    before, after, read = (graph.part(three) for _ in range(3))
    taken = graph.part(graph.over(sides, before, read))
    past = graph.fetch(graph.memory_of(group).convolution)
    mixed = _convolved(graph, group, past, width, taken)
    return graph.view(graph.result(sides, graph.over(sides, after, mixed)))


def _delta(graph: Graph, group: Recurrent, normed: Tensor) -> Tensor:
    tokens, state = graph.tokens, graph.memory_of(group)
    heads, value = group.heads or 1, group.value_length or 0
    key_heads, key = group.key_heads or 1, group.key_length or 0
    each, inner, channels = (
        tokens // graph.sequences,
        heads * value,
        heads * value + 2 * key_heads * key,
    )
    mixed = graph.view(graph.linear(channels, normed))
    if graph.row.fused_alpha_beta:
        joined = graph.view(graph.linear(2 * heads, normed))
        rate, decay = (graph.linear(heads, graph.part(joined)) for _ in range(2))
    else:
        rate, decay = (
            graph.over((heads, tokens), graph.view(graph.linear(heads, normed))) for _ in range(2)
        )
    past = graph.fetch(state.convolution)
    taken = _convolved(graph, group, past, channels, graph.part(mixed))
    memory = graph.fetch(state.memory)
    queries, keys, values = (graph.part(taken) for _ in range(3))
    sides = key, key_heads, each, graph.sequences
    queries, keys = graph.result(sides, queries), graph.result(sides, keys)
    if graph.row.fused_alpha_beta and key_heads != heads:
        queries, keys = (
            graph.view(graph.result((key, heads, tokens), graph.view(tensor)))
            for tensor in (queries, keys)
        )
    sources = queries, keys, values, graph.view(decay), graph.view(rate), memory
    outputs_and_states = graph.result((inner * tokens + state.memory * graph.sequences,), *sources)
    graph.store(graph.view(outputs_and_states))
    sides = value, heads, each, graph.sequences
    gate = graph.over(sides, graph.view(graph.linear(inner, normed)))
    gated = graph.over(sides, graph.over(sides, graph.view(outputs_and_states)), gate)
    return graph.view(graph.linear(graph.width, graph.view(gated)))
