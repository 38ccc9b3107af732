"""How llama.cpp computes attention, as the allocator sees it: src/llama-graph.cpp and
src/models of llama.cpp 0c1e570.
"""

from __future__ import annotations

from ...catalogue.layers import Attention
from .allocator import Tensor
from .graph_base import ROTATION, Graph, Shared


def attention(
    graph: Graph, heads: Attention, normed: Tensor, rotated: bool, cached: bool = True
) -> Tensor:
    """Keys and values in a cache, or attention among the tokens of one batch, as encoders do it."""
    tokens, count, value = graph.tokens, heads.heads, heads.value_length
    queries, keys, values, joined = _projected(graph, heads, normed, rotated)
    if graph.row.encoder:
        return _without_cache(graph, heads, queries, keys, values)
    length = heads.kv_heads * value
    # without flash attention all rows of values are as wide as the widest
    widest = length
    if not graph.flash:
        widest = max(group.kv_heads * group.value_length for group in graph.model.attention)
    shared = graph.shared(heads, widest)
    queries, keys, values = _turned(graph, heads, shared, queries, keys, values)
    for tensor in (queries, keys, values) if graph.windowed else (queries, values, keys):
        if cached or tensor is queries:
            graph.expand(tensor)
    if cached:
        graph.store(graph.view(keys), shared.key_places)
        if not graph.flash and values.strided:
            values = graph.linear(length, values)
        if length < widest:
            values = graph.linear(widest, values)
        graph.store(graph.view(values), shared.value_places)
    looked = _look(
        graph, shared, queries, count, value, (heads.kv_heads * heads.key_length, length)
    )
    graph.expand(looked)
    if shared.value_rotation is not None:
        looked = _hadamard(graph, looked, count * value * tokens, shared.value_rotation, ROTATION)
    if graph.row.gated_query:
        sides = count * heads.key_length, tokens
        looked = graph.over(sides, looked, graph.result(sides, graph.part(joined)))
    looked = _gated(graph, looked, normed, count, value)
    if "attn_sub_norm" in graph.row.norms:
        looked = graph.norm(looked, count * value, tokens)
    return graph.linear(graph.width, looked)


def _projected(
    graph: Graph, heads: Attention, normed: Tensor, rotated: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Queries, keys and values; and the matrix product that holds the queries."""
    row, tokens = graph.row, graph.tokens
    count, groups = heads.heads, heads.kv_heads
    size, value = heads.key_length, heads.value_length
    norm = heads.query_key_norm or graph.model.query_key_norm or row.query_key_norm
    if graph.fused:
        joined = graph.linear((count + groups) * size + groups * value, normed)
        queries, keys, values = (graph.part(joined) for _ in range(3))
    else:
        joined = graph.linear(count * size * (2 if row.gated_query else 1), normed)
        queries, keys = joined, graph.linear(groups * size, normed)
        if norm == "full":
            queries = graph.norm(queries, count * size, tokens)
            keys = graph.norm(keys, groups * size, tokens)
        values = graph.view(
            keys if heads.values_from_keys else graph.linear(groups * value, normed)
        )
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


def _turned(
    graph: Graph, heads: Attention, shared: Shared, queries: Tensor, keys: Tensor, values: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Rotated to meet a quantized cache; as they are for any other."""
    tokens, size, groups = graph.tokens, heads.key_length, heads.kv_heads
    rotation, block = shared.key_rotation, shared.key_block
    if rotation is not None:
        queries = _hadamard(graph, queries, heads.heads * size * tokens, rotation, block)
        keys = _hadamard(graph, keys, groups * size * tokens, rotation, block)
    if shared.value_rotation is not None:
        elements = groups * heads.value_length * tokens
        values = _hadamard(graph, values, elements, shared.value_rotation, ROTATION)
    return queries, keys, values


def _hadamard(graph: Graph, tensor: Tensor, elements: int, rotation: Tensor, block: int) -> Tensor:
    """A rotation in blocks; rows that do not follow each other are copied first, and a
    single one does.
    """
    sides = block, elements // block
    is_copied = tensor.strided and graph.tokens > 1
    rows = graph.result(sides, tensor) if is_copied else graph.view(tensor)
    return graph.view(graph.result(sides, rotation, rows))


def _gated(graph: Graph, looked: Tensor, normed: Tensor, count: int, value: int) -> Tensor:
    """What attention gives, scaled by a matrix of its own."""
    sides = count * value, graph.tokens
    if graph.row.attention_gate == "element":
        return graph.over(sides, looked, graph.result(sides, normed))
    if graph.row.attention_gate != "head":
        return looked
    gate = graph.view(graph.linear(count, normed))
    return graph.view(graph.over((value, count, graph.tokens), graph.view(looked), gate))


def _without_cache(
    graph: Graph, heads: Attention, queries: Tensor, keys: Tensor, values: Tensor
) -> Tensor:
    tokens, count, length = graph.tokens, heads.heads, heads.value_length
    graph.expand(queries, keys, values)
    windowed = heads.window_tokens is not None
    if windowed not in graph.encoded:
        graph.encoded[windowed] = graph.input(tokens, tokens, width=2 if graph.flash else 4)
    mask = graph.encoded[windowed]
    queries = graph.view(graph.view(queries))
    if graph.flash:
        sides = heads.key_length, tokens, heads.kv_heads
        halved = (graph.result(sides, graph.view(each), width=2) for each in (keys, values))
        looked = graph.view(graph.result((length, count, tokens), queries, *halved, mask))
    else:
        scores = graph.result((tokens, tokens, count), graph.view(keys), queries)
        scores = graph.over((tokens, tokens, count), scores, mask)
        turned = graph.result((tokens, length, heads.kv_heads), graph.view(graph.view(values)))
        looked = graph.result((length, tokens, count), turned, scores)
        looked = graph.linear(count * length, graph.view(looked))
    graph.expand(looked)
    return graph.linear(graph.width, looked)


def _look(
    graph: Graph,
    shared: Shared,
    queries: Tensor,
    count: int,
    value: int,
    widths: tuple[int, int],
    unpacked: int = 0,
) -> Tensor:
    """Attention itself. `widths` of a cell's keys and values; `unpacked`: the size to which
    latent values are multiplied out.
    """
    tokens, streams, cells = graph.tokens, graph.streams, shared.cells
    queries = graph.view(graph.view(queries))
    if graph.flash:
        # it reads 16 bits: a cache of 32 is copied whole
        halved = [
            graph.result((width, cells, streams), width=2)
            for width, kind in zip(widths, graph.stored, strict=True)
            if kind == "32 bits"
        ]
        attended = graph.result((value, count, tokens), queries, *halved, shared.mask)
        if unpacked:
            attended = graph.result((unpacked, tokens, count), graph.view(attended))
            attended = graph.result((unpacked, count, tokens), graph.view(attended))
        return graph.view(attended)
    sides = cells, tokens // streams, count, streams
    scores = graph.over(sides, graph.result(sides, queries), shared.mask)
    turned = None
    if unpacked:
        # the latent row is key and value, so the values have to be turned
        width = 4 if graph.stored[0] == "32 bits" else 2
        turned = graph.result((cells, value, streams), width=width)
    attended = graph.result((value, tokens, count), turned, scores)
    if unpacked:
        attended = graph.result((unpacked, tokens, count), attended)
    return graph.linear(count * (unpacked or value), graph.view(attended))


def latent(graph: Graph, heads: Attention, normed: Tensor) -> Tensor:
    """A compressed key and value, of which the cache keeps one row."""
    tokens, count = graph.tokens, heads.heads
    rope, length = heads.rope_length or 0, heads.latent_length or 0
    shared = graph.shared(heads, 0)
    queries = normed
    if heads.query_latent_length:
        queries = graph.linear(heads.query_latent_length, normed)
        queries = graph.norm(queries, heads.query_latent_length, tokens)
    if heads.indexer_heads:
        graph.chosen = _indexed(graph, heads, normed, queries)
    queries = graph.view(graph.linear(count * (heads.key_length + rope), queries))
    joined = graph.linear(length + rope, normed)
    packed, rotated = graph.part(joined), graph.part(joined)
    if graph.style.rope != "none":
        rotated = graph.over((rope, 1, tokens), rotated, graph.positions)
    packed = graph.norm(packed, length, tokens)
    plain, turned = graph.part(queries), graph.part(queries)
    if graph.style.rope != "none":
        turned = graph.over((rope, count, tokens), turned, graph.positions)
    absorbed = graph.result((length, tokens, count), graph.view(plain))
    queries = graph.result((length + rope, count, tokens), graph.view(absorbed), turned)
    values = graph.view(packed)
    keys = graph.result((length + rope, 1, tokens), values, rotated)
    graph.expand(queries, values, keys)
    graph.store(graph.view(keys), shared.key_places)
    if graph.chosen is not None and heads.window_tokens is None:
        shared = shared.replace(mask=_chosen_alone(graph, shared.mask, graph.chosen))
    widths = length + rope, length
    looked = _look(graph, shared, queries, count, length, widths, heads.value_length)
    graph.expand(looked)
    return graph.linear(graph.width, _gated(graph, looked, normed, count, heads.value_length))


def _indexed(graph: Graph, heads: Attention, normed: Tensor, packed: Tensor) -> Tensor:
    """Scores every cell by keys of the indexer's own, which it keeps, and names the highest."""
    tokens, count, size = graph.tokens, heads.indexer_heads or 1, heads.indexer_length or 0
    cells = graph.room.full, tokens // graph.streams, graph.streams
    if graph.indexer is None:
        mask = graph.input(*cells, width=2)
        graph.indexer = graph.input(size, size), graph.input(tokens, width=8), mask
    rotation, places, mask = graph.indexer
    queries = graph.view(graph.linear(count * size, packed))
    queries = graph.over((size, count, tokens), queries, graph.positions)
    keys = graph.view(graph.linear(size, graph.linear(size, normed)))
    keys = graph.over((size, 1, tokens), keys, graph.positions)
    queries = graph.result((size, count, tokens), rotation, queries)
    keys = graph.result((size, 1, tokens), rotation, keys)
    graph.store(graph.view(keys), places)
    weights = graph.over((count, tokens), graph.view(graph.linear(count, normed)))
    scores = graph.result(cells, graph.view(queries), weights, mask)
    return graph.linear(graph.chosen_cells, graph.linear(graph.chosen_cells, scores))


def _chosen_alone(graph: Graph, mask: Tensor, chosen: Tensor) -> Tensor:
    """A mask of the cells that were chosen, and of what the usual one hides."""
    tokens, width = graph.tokens, 2 if graph.flash else 4
    sides = graph.room.full, tokens // graph.streams, graph.streams
    hidden = graph.over(sides, mask, width=width)
    count = graph.chosen_cells
    zeros = graph.over((count, tokens), graph.input(count, tokens, each=True))
    opened = graph.within(hidden, zeros, graph.view(chosen), graph.view(hidden))
    return graph.over(sides, graph.view(opened), mask, width=width)
