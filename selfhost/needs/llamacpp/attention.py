"""Attention in llama.cpp's graph, with a cache, among the tokens of one batch, or with a latent row
in the cache (build_qkv and build_attn in src/llama-graph.cpp of llama.cpp 0c1e570).

Each function adds tensors to a graph in the order in which llama.cpp builds them, and returns the
tensor that the next one reads. A length is a number of elements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ...catalogue.architecture import Attention
from ..tensors import window_of
from .allocator import (
    FLOAT_BYTES,
    HALF_BYTES,
    INDEX_BYTES,
    Node,
    fresh,
    given,
    inplace,
    part,
    view,
    written,
)

if TYPE_CHECKING:
    from .graph import Graph

# a quantized cache is rotated in blocks of so many values, those of keys as large as heads allow
_ROTATED_VALUES = 64
_UNQUANTIZED = ("f16", "bf16", "f32")


class CacheInputs(NamedTuple):
    """Inputs that layers share which attend to the same cells of the cache."""

    cells: int
    # where each token's rows go in the cache
    key_places: Node
    value_places: Node
    mask: Node
    # matrices that rotate what a quantized cache stores; None where nothing is rotated
    key_rotation: Node | None
    value_rotation: Node | None


class _Projected(NamedTuple):
    """Queries, keys and values of a batch, and the matrix product that holds the queries."""

    queries: Node
    keys: Node
    values: Node
    product: Node


class _Attended(NamedTuple):
    """Lengths of what attention reads: the head of a value, the rows of all heads in the cache, and
    the length to which a latent value is multiplied out, 0 where it is not latent.
    """

    heads: int
    value_length: int
    key_row_length: int
    value_row_length: int
    unpacked_length: int = 0


def cache_inputs(graph: Graph, heads: Attention, value_row_length: int) -> CacheInputs:
    """The inputs of these layers, made once for all layers with the same cells
    (llm_graph_input_attn_kv). Without flash attention each value has a place of its own.
    """
    window = window_of(graph.model, heads)
    key = window is None, heads.key_length
    if key in graph.cache_inputs:
        return graph.cache_inputs[key]
    tokens = graph.tokens
    streams = graph.room.streams
    cells = graph.room.cells_of_layer(window)
    values = tokens if graph.flash else tokens * value_row_length
    # the largest power of two in the length
    key_block = max(_ROTATED_VALUES, heads.key_length & -heads.key_length)
    key_rotation = None
    if _is_rotated(graph.room.key_type, heads, heads.key_length):
        key_rotation = given(key_block, key_block)
    value_rotation = None
    if _is_rotated(graph.room.value_type, heads, heads.value_length):
        value_rotation = given(_ROTATED_VALUES, _ROTATED_VALUES)
    mask_bytes = HALF_BYTES if graph.flash else FLOAT_BYTES
    inputs = CacheInputs(
        cells=cells,
        key_places=given(tokens, element_bytes=INDEX_BYTES),
        value_places=given(values, element_bytes=INDEX_BYTES),
        mask=given(cells, tokens // streams, streams, element_bytes=mask_bytes),
        key_rotation=key_rotation,
        value_rotation=value_rotation,
    )
    graph.cache_inputs[key] = inputs
    return inputs


def _is_rotated(type: str, heads: Attention, length: int) -> bool:
    """Whether the cache rotates heads of that length (attn_rot_k, src/llama-kv-cache.cpp)."""
    is_quantized = type not in _UNQUANTIZED
    return is_quantized and heads.kind != "latent" and length % _ROTATED_VALUES == 0


def attention(
    graph: Graph, heads: Attention, normed: Node, *, rotated: bool, cached: bool
) -> Node:
    """Attention to the cache, or of an encoder to the tokens of one batch.

    `rotated`: queries and keys are, by their positions. `cached`: the layer has rows of its own in
    the cache; the others read those of an earlier layer.
    """
    row = graph.row
    count = heads.heads
    projected = _projected(graph, heads, normed, rotated=rotated)
    if row.encoder:
        return _attention_in_batch(graph, heads, projected)
    key_row_length = heads.kv_heads * heads.key_length
    value_row_length = heads.kv_heads * heads.value_length
    # without flash attention all rows of values are as wide as the widest
    widest = value_row_length
    if not graph.flash:
        widest = max(
            group.kv_heads * group.value_length for group in graph.model.attention
        )
    inputs = cache_inputs(graph, heads, widest)
    by_keys = inputs.key_rotation
    by_values = inputs.value_rotation
    queries = _rotated_in_blocks(
        graph, projected.queries, count * heads.key_length, by_keys
    )
    keys = _rotated_in_blocks(graph, projected.keys, key_row_length, by_keys)
    values = _rotated_in_blocks(graph, projected.values, value_row_length, by_values)
    graph.expand(queries)
    if cached:
        if graph.windowed:
            graph.expand(keys, values)
        else:
            graph.expand(values, keys)
        _store_keys(graph, inputs, keys)
        _store_values(graph, inputs, values, value_row_length, widest)
    lengths = _Attended(
        heads=count,
        value_length=heads.value_length,
        key_row_length=key_row_length,
        value_row_length=value_row_length,
    )
    attended = _attended(graph, inputs, queries, lengths)
    graph.expand(attended)
    attended = _rotated_in_blocks(
        graph, attended, count * heads.value_length, by_values
    )
    if row.gated_query:
        sides = count * heads.key_length, graph.tokens
        gate = part(projected.product)
        gate = fresh(sides, gate)
        attended = inplace(sides, attended, gate)
    if row.attention_gate:
        attended = _gated(graph, heads, attended, normed)
    if "attn_sub_norm" in row.norms:
        sides = count * heads.value_length, graph.tokens
        attended = graph.norm(sides, attended)
    return fresh(graph.hidden, attended)


def _projected(
    graph: Graph, heads: Attention, normed: Node, *, rotated: bool
) -> _Projected:
    """The queries, keys and values, normed and rotated by their positions (build_qkv)."""
    tokens = graph.tokens
    query_sides = heads.key_length, heads.heads, tokens
    key_sides = heads.key_length, heads.kv_heads, tokens
    value_sides = heads.value_length, heads.kv_heads, tokens
    norm = (
        heads.query_key_norm or graph.model.query_key_norm or graph.row.query_key_norm
    )
    if graph.row.fused_qkv:
        projected = _projected_at_once(graph, heads, normed)
    else:
        projected = _projected_apart(graph, heads, normed, norms_rows=norm == "full")
    queries, keys, values, _ = projected
    if norm == "head":
        queries = graph.norm(query_sides, queries)
        keys = graph.norm(key_sides, keys)
    if graph.style.values_normed:
        values = graph.norm(value_sides, values)
    if rotated:
        queries = inplace(query_sides, queries, graph.positions)
        keys = inplace(key_sides, keys, graph.positions)
    elif graph.style.temperature:
        queries = inplace(query_sides, queries, graph.temperature)
    return _Projected(queries, keys, values, projected.product)


def _projected_at_once(graph: Graph, heads: Attention, normed: Node) -> _Projected:
    """Parts of the product with one matrix."""
    query_length = heads.heads * heads.key_length
    key_length = heads.kv_heads * heads.key_length
    value_length = heads.kv_heads * heads.value_length
    product = graph.product(query_length + key_length + value_length, normed)
    return _Projected(part(product), part(product), part(product), product)


def _projected_apart(
    graph: Graph, heads: Attention, normed: Node, *, norms_rows: bool
) -> _Projected:
    """The products with three matrices; that of the queries may hold a gate beside each."""
    tokens = graph.tokens
    is_gated = graph.row.gated_query
    query_sides = heads.heads * heads.key_length, tokens
    key_sides = heads.kv_heads * heads.key_length, tokens
    value_sides = heads.kv_heads * heads.value_length, tokens
    product_length = query_sides[0]
    if is_gated:
        product_length *= 2
    product = graph.product(product_length, normed)
    queries = product
    keys = fresh(key_sides, normed)
    if norms_rows:
        queries = graph.norm(query_sides, queries)
        keys = graph.norm(key_sides, keys)
    values = keys
    if not heads.values_from_keys:
        values = fresh(value_sides, normed)
    values = view(values)
    queries = view(queries)
    queries.strided = is_gated
    return _Projected(queries, view(keys), values, product)


def _rotated_in_blocks(
    graph: Graph, tensor: Node, row_length: int, rotation: Node | None
) -> Node:
    """Rotated in blocks for a quantized cache (ggml_mul_mat_aux); scattered rows are copied first.
    The same tensor where there is nothing to rotate by.
    """
    if rotation is None:
        return tensor
    block = rotation.layout[-1]
    sides = block, row_length * graph.tokens // block
    if tensor.strided and graph.tokens > 1:
        rows = fresh(sides, tensor)
    else:
        rows = view(tensor)
    return view(fresh(sides, rotation, rows))


def _store_keys(graph: Graph, inputs: CacheInputs, keys: Node) -> None:
    """Write the keys into the cache (cpy_k in src/llama-kv-cache.cpp, GGML_OP_SET_ROWS)."""
    rows = view(keys)
    graph.expand(written(graph.cache, rows, inputs.key_places))


def _store_values(
    graph: Graph, inputs: CacheInputs, values: Node, row_length: int, widest: int
) -> None:
    """Write the values into the cache (cpy_v), without flash attention turned and padded."""
    if not graph.flash and values.strided:
        values = fresh((row_length, graph.tokens), values)
    if row_length < widest:
        values = fresh((widest, graph.tokens), values)
    rows = view(values)
    graph.expand(written(graph.cache, rows, inputs.value_places))


def _attended(
    graph: Graph, inputs: CacheInputs, queries: Node, lengths: _Attended
) -> Node:
    """The values that the queries attend to (build_attn_mha)."""
    by_stream = view(queries)
    permuted = view(by_stream)
    if graph.flash:
        return _with_flash_attention(graph, inputs, permuted, lengths)
    return _with_stored_scores(graph, inputs, permuted, lengths)


def _with_flash_attention(
    graph: Graph, inputs: CacheInputs, queries: Node, lengths: _Attended
) -> Node:
    """GGML_OP_FLASH_ATTN_EXT. It reads 16 bits, so a cache of 32 is copied whole."""
    tokens = graph.tokens
    copied_lengths = []
    if graph.room.key_type == "f32":
        copied_lengths.append(lengths.key_row_length)
    if graph.room.value_type == "f32":
        copied_lengths.append(lengths.value_row_length)
    sources = [queries]
    for length in copied_lengths:
        sides = length, inputs.cells, graph.room.streams
        sources.append(fresh(sides, element_bytes=HALF_BYTES))
    attended = fresh(
        (lengths.value_length, lengths.heads, tokens), *sources, inputs.mask
    )
    if lengths.unpacked_length:
        permuted = view(attended)
        unpacked = fresh((lengths.unpacked_length, tokens, lengths.heads), permuted)
        permuted = view(unpacked)
        attended = fresh((lengths.unpacked_length, lengths.heads, tokens), permuted)
    return view(attended)


def _with_stored_scores(
    graph: Graph, inputs: CacheInputs, queries: Node, lengths: _Attended
) -> Node:
    """Scores of all cells (GGML_OP_MUL_MAT), their GGML_OP_SOFT_MAX, and the product with values.
    A latent row is key and value, so its values have to be turned.
    """
    tokens = graph.tokens
    streams = graph.room.streams
    value_sides = lengths.value_length, tokens, lengths.heads
    score_sides = inputs.cells, tokens // streams, lengths.heads, streams
    scores = fresh(score_sides, queries)
    scores = inplace(score_sides, scores, inputs.mask)
    length = lengths.value_length
    if lengths.unpacked_length:
        length = lengths.unpacked_length
        element_bytes = FLOAT_BYTES if graph.room.key_type == "f32" else HALF_BYTES
        turned_sides = inputs.cells, lengths.value_length, streams
        turned = fresh(turned_sides, element_bytes=element_bytes)
        attended = fresh(value_sides, turned, scores)
        attended = fresh((length, tokens, lengths.heads), attended)
    else:
        attended = fresh(value_sides, scores)
    permuted = view(attended)
    return fresh((lengths.heads * length, tokens), permuted)


def _gated(graph: Graph, heads: Attention, attended: Node, normed: Node) -> Node:
    """Attention times a gate: one number for each element, or one for each head."""
    count = heads.heads
    if graph.row.attention_gate == "element":
        sides = count * heads.value_length, graph.tokens
        gate = fresh(sides, normed)
        return inplace(sides, attended, gate)
    gate = graph.product(count, normed)
    by_head = view(attended)
    gated = inplace((heads.value_length, count, graph.tokens), by_head, view(gate))
    return view(gated)


def _attention_in_batch(graph: Graph, heads: Attention, projected: _Projected) -> Node:
    """Attention of an encoder, which has no cache (llm_graph_input_attn_no_cache)."""
    tokens = graph.tokens
    count = heads.heads
    graph.expand(projected.queries, projected.keys, projected.values)
    kind = "full" if heads.window_tokens is None else "windowed"
    if kind not in graph.batch_masks:
        mask_bytes = HALF_BYTES if graph.flash else FLOAT_BYTES
        graph.batch_masks[kind] = given(tokens, tokens, element_bytes=mask_bytes)
    mask = graph.batch_masks[kind]
    by_stream = view(projected.queries)
    queries = view(by_stream)
    if graph.flash:
        sides = heads.key_length, tokens, heads.kv_heads
        keys = fresh(sides, view(projected.keys), element_bytes=HALF_BYTES)
        values = fresh(sides, view(projected.values), element_bytes=HALF_BYTES)
        attended = fresh(
            (heads.value_length, count, tokens), queries, keys, values, mask
        )
        attended = view(attended)
    else:
        score_sides = tokens, tokens, count
        scores = fresh(score_sides, view(projected.keys), queries)
        scores = inplace(score_sides, scores, mask)
        permuted = view(projected.values)
        turned = fresh((tokens, heads.value_length, heads.kv_heads), view(permuted))
        attended = fresh((heads.value_length, tokens, count), turned, scores)
        attended = fresh((count * heads.value_length, tokens), view(attended))
    graph.expand(attended)
    return fresh(graph.hidden, attended)


def latent_attention(graph: Graph, heads: Attention, normed: Node) -> Node:
    """Multi-head latent attention, of which the cache keeps one compressed row of a token
    (DeepSeek-V2, arXiv:2405.04434; src/models/deepseek2.cpp).
    """
    tokens = graph.tokens
    count = heads.heads
    rope_length = heads.rope_length or 0
    latent_length = heads.latent_length or 0
    row_length = latent_length + rope_length
    has_rope = graph.style.rope != "none"
    inputs = cache_inputs(graph, heads, 0)
    # queries, through a narrow matrix in large models
    queries = normed
    if heads.query_latent_length:
        sides = heads.query_latent_length, tokens
        queries = fresh(sides, normed)
        queries = graph.norm(sides, queries)
    queries = fresh((count * (heads.key_length + rope_length), tokens), queries)
    queries = view(queries)
    # one row of a token: the latent part, and the part that positions rotate
    product = graph.product(row_length, normed)
    latent = part(product)
    rotated_key = part(product)
    if has_rope:
        rotated_key = inplace((rope_length, 1, tokens), rotated_key, graph.positions)
    latent = graph.norm((latent_length, tokens), latent)
    values = view(latent)
    plain_query = part(queries)
    rotated_query = part(queries)
    if has_rope:
        rotated_query = inplace(
            (rope_length, count, tokens), rotated_query, graph.positions
        )
    # the matrix of keys is multiplied into the queries
    absorbed = fresh((latent_length, tokens, count), view(plain_query))
    queries = fresh((row_length, count, tokens), view(absorbed), rotated_query)
    keys = fresh((row_length, 1, tokens), values, rotated_key)
    graph.expand(queries, values, keys)
    _store_keys(graph, inputs, keys)
    lengths = _Attended(
        heads=count,
        value_length=latent_length,
        key_row_length=row_length,
        value_row_length=latent_length,
        unpacked_length=heads.value_length,
    )
    attended = _attended(graph, inputs, queries, lengths)
    graph.expand(attended)
    if graph.row.attention_gate:
        attended = _gated(graph, heads, attended, normed)
    return fresh(graph.hidden, attended)
