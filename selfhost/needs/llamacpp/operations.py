"""What a layer of llama.cpp's graph computes, as the allocator sees it: attention, a feed-forward
dense or of experts, a recurrence (src/llama-graph.cpp and src/models of llama.cpp 0c1e570).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ...catalogue.architecture import Attention, FeedForward, Recurrent

if TYPE_CHECKING:
    from .graph import Graph, Node, Shared

Pair = tuple[int, int]
# a quantized cache is rotated in blocks of so many values, those of keys as large as heads allow
ROTATION = 64


def attention(graph: Graph, heads: Attention, normed: Node, *, rotated: bool, cached: bool) -> Node:
    """Keys and values in a cache, or attention among the tokens of one batch, as encoders do it."""
    count, value, row = heads.heads, heads.value_length, graph.row
    queries, keys, values, joined = _projected(graph, heads, normed, rotated=rotated)
    if row.encoder:
        return _without_cache(graph, heads, queries, keys, values)
    length = heads.kv_heads * value
    # without flash attention all rows of values are as wide as the widest
    widest = length
    if not graph.flash:
        widest = max(group.kv_heads * group.value_length for group in graph.model.attention)
    shared = graph.shared(heads, widest)
    queries = _rotated_blocks(graph, queries, count * heads.key_length, shared, are_keys=True)
    keys = _rotated_blocks(graph, keys, heads.kv_heads * heads.key_length, shared, are_keys=True)
    values = _rotated_blocks(graph, values, length, shared)
    for tensor in (queries, keys, values) if graph.windowed else (queries, values, keys):
        if cached or tensor is queries:
            graph.expand(tensor)
    if cached:
        graph.expand(graph.view(graph.elsewhere, graph.view(keys), shared.key_places))
        if not graph.flash and values.strided:
            values = graph.result(length, values)
        if length < widest:
            values = graph.result(widest, values)
        graph.expand(graph.view(graph.elsewhere, graph.view(values), shared.value_places))
    widths = heads.kv_heads * heads.key_length, length
    attended = _attended(graph, shared, queries, (value, count), widths)
    graph.expand(attended)
    attended = _rotated_blocks(graph, attended, count * value, shared)
    if row.gated_query:
        sides = count * heads.key_length, graph.tokens
        attended = graph.over(sides, attended, graph.result(sides, graph.part(joined)))
    if row.attention_gate:
        attended = _gated(graph, attended, normed, count, value)
    if "attn_sub_norm" in row.norms:
        attended = graph.norm(attended, count * value, graph.tokens)
    return graph.result(graph.width, attended)


def _projected(
    graph: Graph, heads: Attention, normed: Node, *, rotated: bool
) -> tuple[Node, Node, Node, Node]:
    """Queries, keys and values; and the matrix product that holds the queries."""
    row, tokens = graph.row, graph.tokens
    count, groups = heads.heads, heads.kv_heads
    size, value = heads.key_length, heads.value_length
    norm = heads.query_key_norm or graph.model.query_key_norm or row.query_key_norm
    if graph.row.fused_qkv:
        joined = graph.result((count + groups) * size + groups * value, normed)
        queries, keys, values = (graph.part(joined) for _ in range(3))
    else:
        joined = graph.result(count * size * (2 if row.gated_query else 1), normed)
        queries, keys = joined, graph.result(groups * size, normed)
        if norm == "full":
            queries = graph.norm(queries, count * size, tokens)
            keys = graph.norm(keys, groups * size, tokens)
        values = keys if heads.values_from_keys else graph.result(groups * value, normed)
        values = graph.view(values)
        queries, keys = graph.view(queries), graph.view(keys)
        queries.strided = row.gated_query
    if norm == "head":
        queries = graph.norm(queries, size, count, tokens)
        keys = graph.norm(keys, size, groups, tokens)
    if graph.style.values_normed:
        values = graph.norm(values, value, groups, tokens)
    if rotated:
        queries = graph.over((size, count, tokens), queries, graph.positions)
        keys = graph.over((size, groups, tokens), keys, graph.positions)
    elif graph.style.temperature:
        queries = graph.over((size, count, tokens), queries, graph.temperature)
    return queries, keys, values, joined


def _rotated_blocks(
    graph: Graph, tensor: Node, length: int, shared: Shared, *, are_keys: bool = False
) -> Node:
    """Rotated in blocks to meet a quantized cache; scattered rows are copied first."""
    rotation = shared.key_rotation if are_keys else shared.value_rotation
    if rotation is None:
        return tensor
    block = rotation.layout[-1]
    sides = block, length * graph.tokens // block
    is_copied = tensor.strided and graph.tokens > 1
    rows = graph.result(sides, tensor) if is_copied else graph.view(tensor)
    return graph.view(graph.result(sides, rotation, rows))


def _gated(graph: Graph, attended: Node, normed: Node, count: int, value: int) -> Node:
    if graph.row.attention_gate == "element":
        sides = count * value, graph.tokens
        return graph.over(sides, attended, graph.result(sides, normed))
    gate = graph.view(graph.result(count, normed))
    gated = graph.over((value, count, graph.tokens), graph.view(attended), gate)
    return graph.view(gated)


def _without_cache(graph: Graph, heads: Attention, queries: Node, keys: Node, values: Node) -> Node:
    tokens, count, length = graph.tokens, heads.heads, heads.value_length
    graph.expand(queries, keys, values)
    kind = "full" if heads.window_tokens is None else "windowed"
    if kind not in graph.masks:
        graph.masks[kind] = graph.input(tokens, tokens, width=2 if graph.flash else 4)
    mask = graph.masks[kind]
    queries = graph.view(graph.view(queries))
    if graph.flash:
        sides = heads.key_length, tokens, heads.kv_heads
        halved = (graph.result(sides, graph.view(each), width=2) for each in (keys, values))
        attended = graph.view(graph.result((length, count, tokens), queries, *halved, mask))
    else:
        scores = graph.result((tokens, tokens, count), graph.view(keys), queries)
        scores = graph.over((tokens, tokens, count), scores, mask)
        turned = graph.result((tokens, length, heads.kv_heads), graph.view(graph.view(values)))
        attended = graph.result((length, tokens, count), turned, scores)
        attended = graph.result(count * length, graph.view(attended))
    graph.expand(attended)
    return graph.result(graph.width, attended)


def _attended(
    graph: Graph, shared: Shared, queries: Node, sizes: Pair, widths: Pair, unpacked: int = 0
) -> Node:
    """Attention of values of such `sizes` and so many heads, from rows of such `widths` of keys and
    values; `unpacked`: the size to which latent values are multiplied out.
    """
    tokens, streams, cells, (value, count) = graph.tokens, graph.streams, shared.cells, sizes
    queries = graph.view(graph.view(queries))
    if graph.flash:
        # it reads 16 bits: a cache of 32 is copied whole
        wide = [n for n, kind in zip(widths, graph.stored, strict=True) if kind == "32 bits"]
        halved = [graph.result((width, cells, streams), width=2) for width in wide]
        attended = graph.result((value, count, tokens), queries, *halved, shared.mask)
        if unpacked:
            attended = graph.result((unpacked, tokens, count), graph.view(attended))
            attended = graph.result((unpacked, count, tokens), graph.view(attended))
        return graph.view(attended)
    sides = cells, tokens // streams, count, streams
    scores = graph.over(sides, graph.result(sides, queries), shared.mask)
    if not unpacked:
        attended = graph.result((value, tokens, count), scores)
    else:
        # the latent row is key and value, so the values have to be turned
        width = 4 if graph.stored[0] == "32 bits" else 2
        turned = graph.result((cells, value, streams), width=width)
        attended = graph.result((value, tokens, count), turned, scores)
        attended = graph.result((unpacked, tokens, count), attended)
    length = unpacked or value
    return graph.result(count * length, graph.view(attended))


def latent(graph: Graph, heads: Attention, normed: Node) -> Node:
    """A compressed key and value, of which the cache keeps one row."""
    tokens, count, turns = graph.tokens, heads.heads, graph.style.rope != "none"
    rope, length = heads.rope_length or 0, heads.latent_length or 0
    shared = graph.shared(heads, 0)
    queries = normed
    if heads.query_latent_length:
        queries = graph.result(heads.query_latent_length, normed)
        queries = graph.norm(queries, heads.query_latent_length, tokens)
    queries = graph.view(graph.result(count * (heads.key_length + rope), queries))
    joined = graph.result(length + rope, normed)
    packed, rotated = graph.part(joined), graph.part(joined)
    if turns:
        rotated = graph.over((rope, 1, tokens), rotated, graph.positions)
    values = graph.view(graph.norm(packed, length, tokens))
    plain, turned = graph.part(queries), graph.part(queries)
    if turns:
        turned = graph.over((rope, count, tokens), turned, graph.positions)
    absorbed = graph.result((length, tokens, count), graph.view(plain))
    queries = graph.result((length + rope, count, tokens), graph.view(absorbed), turned)
    keys = graph.result((length + rope, 1, tokens), values, rotated)
    graph.expand(queries, values, keys)
    graph.expand(graph.view(graph.elsewhere, graph.view(keys), shared.key_places))
    widths, unpacked = (length + rope, length), heads.value_length
    attended = _attended(graph, shared, queries, (length, count), widths, unpacked)
    graph.expand(attended)
    if graph.row.attention_gate:
        attended = _gated(graph, attended, normed, count, heads.value_length)
    return graph.result(graph.width, attended)


def feed_forward(graph: Graph, feed: FeedForward, read: Node, side: int) -> Node:
    """Dense, or of experts, with one beside them that all tokens share."""
    if not feed.experts:
        return _dense(graph, feed.length, read, side)
    chosen = _experts(graph, feed, read, side)
    if feed.latent_length:
        if graph.row.routed_norm:
            chosen = graph.norm(chosen, feed.latent_length, side)
        chosen = graph.result((graph.width, side), chosen)
    if not feed.shared_length:
        return chosen
    gate = graph.result((1, side), read)
    if graph.style.divided_gate:
        gate = graph.over((1, side), graph.over((1, side), gate), gate)
    beside = _dense(graph, feed.shared_length, read, side)
    if graph.row.shared_expert_gate:
        beside = graph.over((graph.width, side), beside, gate)
    return graph.over((graph.width, side), chosen, beside)


def _dense(graph: Graph, length: int, read: Node, side: int) -> Node:
    up = graph.result((2 * length if graph.row.gate == "fused" else length, side), read)
    if graph.row.gate == "fused":
        up = graph.result((length, side), up)
    elif graph.row.gate == "split":
        # the gate's activation and the product are one operation
        up = graph.result((length, side), graph.result((length, side), read), up)
    return graph.result((graph.width, side), up)


def experts_beside_dense(graph: Graph, feed: FeedForward, residual: Node) -> Node:
    """Gemma 4: a dense feed-forward and experts, each with norms of its own."""
    sides = graph.width, graph.tokens
    read = graph.norm(residual, *sides)
    beside = graph.norm(_dense(graph, feed.beside_dense or 0, read, graph.tokens), *sides)
    read = graph.norm(residual, *sides)
    scores = graph.result(feed.experts or 1, graph.norm(residual, *sides))
    routed = graph.norm(_experts(graph, feed, read, graph.tokens, scores), *sides)
    return graph.over(sides, beside, routed)


def _experts(
    graph: Graph, feed: FeedForward, read: Node, side: int, scores: Node | None = None
) -> Node:
    style, width, used = graph.style, feed.latent_length or graph.width, feed.used or 1
    count = feed.experts or 1
    scores = scores or graph.result((count, side), read)
    chances = scores if style.chosen_first else graph.over((count, side), scores)
    chosen = _chosen(graph, feed, scores if style.before_experts else chances, side)
    weights = _weights(graph, chances, chosen, used, side)
    graph.expand(weights)
    read = graph.view(graph.result((width, side), read) if feed.latent_length else read)
    sides, inner = (width, used, side), (feed.length, used, side)
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
    return graph.result((width, side), total) if used == 1 else total


def _chosen(graph: Graph, feed: FeedForward, ranked: Node, side: int) -> Node:
    """The experts that rank highest, of the groups whose two best rank highest."""
    count, groups = feed.experts or 1, feed.groups
    if feed.router_bias or graph.row.router_bias:
        ranked = graph.over((count, side), ranked)
    if groups:
        sides = count // groups, groups, side
        grouped = graph.view(ranked)
        pairs = graph.part(graph.result(sides, grouped))
        scores = graph.result((2, groups, side), graph.view(grouped), pairs)
        totals = graph.result((groups, side), graph.view(scores))
        best = graph.part(graph.result((groups, side), graph.view(totals)))
        kept = graph.result((sides[0], feed.groups_used or 1, side), grouped, best)
        closed = graph.result(sides, grouped)
        ranked = graph.view(graph.view(closed, kept, best, closed))
    return graph.part(graph.result((count, side), ranked))


def _weights(graph: Graph, chances: Node, chosen: Node, used: int, side: int) -> Node:
    style = graph.style
    weights = graph.result((1, used, side), graph.view(chances), chosen)
    if style.chosen_first:
        weights = graph.view(graph.over((used, side), graph.view(weights)))
    if style.normalized:
        flat = graph.view(weights)
        total = graph.over((1, side), graph.result((1, side), flat))
        weights = graph.view(graph.over((used, side), flat, total))
    return graph.over((1, used, side), weights) if style.rescaled else weights


def _with_bias(graph: Graph, tensor: Node, chosen: Node, sides: tuple[int, ...]) -> Node:
    return graph.over(sides, tensor, chosen) if graph.row.expert_bias else tensor


def _convolved(graph: Graph, group: Recurrent, past: Node, channels: int, read: Node) -> Node:
    """The convolution over the inputs behind the last of the past, which it then stores."""
    each, taps = graph.tokens // graph.sequences, (group.convolution or 1) - 1
    joined = graph.result((taps + each, channels, graph.sequences), past, read)
    graph.expand(graph.view(graph.elsewhere, graph.part(joined)))
    return graph.result((channels, each, graph.sequences), joined)


def _scanned(graph: Graph, inner: int, memory: int, *sources: Node) -> Node:
    """The outputs; the new states lie behind them and are stored."""
    elements = inner * graph.tokens + memory * graph.sequences
    outputs_and_states = graph.result((elements,), *sources)
    graph.expand(outputs_and_states)
    graph.expand(graph.view(graph.elsewhere, graph.view(outputs_and_states)))
    return graph.view(outputs_and_states)


def _mamba(graph: Graph, group: Recurrent, normed: Node) -> Node:
    tokens, state = graph.tokens, graph.memories[id(group)]
    inner, size, rank = group.inner_length or 0, group.state_length or 0, group.time_step_rank or 0
    sides = inner, tokens // graph.sequences, graph.sequences
    past = graph.fetch(state.convolution)
    both = graph.result(2 * inner, graph.view(normed))
    read = _convolved(graph, group, past, inner, graph.view(graph.part(both)))
    mixed = graph.result(rank + 2 * size, read)
    step, keys, queries = (graph.part(mixed) for _ in range(3))
    if graph.row.mamba_norms:
        step = graph.over((rank, tokens), step)
        keys, queries = graph.over((size, tokens), keys), graph.over((size, tokens), queries)
    else:
        step = graph.result(rank, step)
    sources = graph.view(read), graph.result(inner, step), keys, queries, graph.view(graph.states)
    outputs = _scanned(graph, inner, state.memory, *sources)
    outputs = graph.over(sides, outputs, graph.over(sides, read))
    gated = graph.result(sides, graph.result(sides, graph.part(both)), outputs)
    return graph.view(graph.result(graph.width, gated))


def _mamba2(graph: Graph, group: Recurrent, normed: Node) -> Node:
    inner, heads = group.inner_length or 0, group.heads or 1
    groups, state_length = group.groups or 0, group.state_length or 0
    mixed = 2 * groups * state_length
    sides = inner // heads, heads, graph.tokens // graph.sequences, graph.sequences
    state = graph.memories[id(group)]
    past = graph.fetch(state.convolution)
    joined = graph.view(graph.result(2 * inner + mixed + heads, normed))
    convolved = _convolved(graph, group, past, inner + mixed, graph.view(graph.part(joined)))
    step = graph.result((heads, *sides[2:]), graph.part(joined))
    read, keys, queries = (graph.part(convolved) for _ in range(3))
    sources = read, step, keys, queries, graph.view(graph.states)
    outputs = _scanned(graph, inner, state.memory, *sources)
    outputs = graph.over(sides, outputs, graph.over(sides, read))
    gated = graph.result(sides, graph.result(sides, graph.part(joined)), outputs)
    if group.norm is not False:
        gated = graph.over((inner, graph.tokens), graph.view(gated))
    return graph.result(graph.width, graph.view(gated))


def _short_convolution(graph: Graph, group: Recurrent, normed: Node) -> Node:
    width = graph.width
    sides = width, graph.tokens // graph.sequences, graph.sequences
    three = graph.result((3 * width, *sides[1:]), graph.view(normed))
    before, after, read = (graph.part(three) for _ in range(3))
    taken = graph.part(graph.over(sides, before, read))
    past = graph.fetch(graph.memories[id(group)].convolution)
    mixed = _convolved(graph, group, past, width, taken)
    return graph.view(graph.result(sides, graph.over(sides, after, mixed)))


def _delta(graph: Graph, group: Recurrent, normed: Node) -> Node:
    tokens, state = graph.tokens, graph.memories[id(group)]
    heads, value = group.heads or 1, group.value_length or 0
    key_heads, key = group.key_heads or 1, group.key_length or 0
    each, inner = tokens // graph.sequences, heads * value
    channels = inner + 2 * key_heads * key
    mixed = graph.view(graph.result(channels, normed))
    if graph.row.fused_alpha_beta:
        joined = graph.view(graph.result(2 * heads, normed))
        rate, decay = (graph.result(heads, graph.part(joined)) for _ in range(2))
    else:
        pair = (graph.view(graph.result(heads, normed)) for _ in range(2))
        rate, decay = (graph.over((heads, tokens), each) for each in pair)
    past = graph.fetch(state.convolution)
    taken = _convolved(graph, group, past, channels, graph.part(mixed))
    memory = graph.fetch(state.memory)
    queries, keys, values = (graph.part(taken) for _ in range(3))
    sides = key, key_heads, each, graph.sequences
    queries, keys = graph.result(sides, queries), graph.result(sides, keys)
    if graph.row.fused_alpha_beta and key_heads != heads:
        pair = (graph.view(tensor) for tensor in (queries, keys))
        queries, keys = (graph.view(graph.result((key, heads, tokens), each)) for each in pair)
    sources = queries, keys, values, graph.view(decay), graph.view(rate), memory
    outputs = _scanned(graph, inner, state.memory, *sources)
    sides = value, heads, each, graph.sequences
    gate = graph.over(sides, graph.view(graph.result(inner, normed)))
    gated = graph.over(sides, graph.over(sides, outputs), gate)
    return graph.view(graph.result(graph.width, graph.view(gated)))


# how each kind of recurrent layer is computed
RECURRENCES: Mapping[str, Callable[[Graph, Recurrent, Node], Node]] = {
    "mamba": _mamba, "mamba2": _mamba2, "delta": _delta, "convolution": _short_convolution,
}  # fmt: skip
