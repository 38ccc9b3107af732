"""Attention in llama.cpp's graph, with a cache, among the tokens of one batch, or with a latent row
in the cache (build_qkv and build_attn in src/llama-graph.cpp of llama.cpp 0c1e570).

Each function adds tensors to a graph in the order in which llama.cpp builds them, and returns the
tensor that the next one reads. A length is a number of elements.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from ...catalogue.architecture import Attention
from ...core.records import Record
from ..tensors import window_of
from .allocator import FLOAT_BYTES, HALF_BYTES, INDEX_BYTES, Node, fresh, given

if TYPE_CHECKING:
    from .graph import Graph

# a quantized cache is rotated in blocks of so many values, those of keys as large as heads allow
_ROTATED_VALUES = 64
_UNQUANTIZED = ("f16", "bf16", "f32")


class CacheInputs(Record):
    """Inputs that layers share which attend to the same cells of the cache."""

    cells: int
    # where each token's rows go in the cache
    key_places: Node
    value_places: Node
    mask: Node
    # matrices that rotate what a quantized cache stores; None where nothing is rotated
    key_rotation: Node | None
    value_rotation: Node | None


class _Projected(Record):
    """Queries, keys and values of a batch, and the matrix product that holds the queries."""

    queries: Node
    keys: Node
    values: Node
    product: Node


class _Attended(Record):
    """Lengths of what attention reads: the head of a value, the rows of all heads in the cache, and
    the length to which a latent value is multiplied out, 0 where it is not latent.
    """

    heads: int
    value_length: int
    key_row_length: int
    value_row_length: int
    unpacked_length: int = 0


def cache_inputs(graph: Graph, heads: Attention, value_row_length: int) -> CacheInputs:
    """The inputs of these layers, made once for all that have a window, or none, and keys of that
    length (llm_graph_input_attn_kv). Without flash attention each value has a place of its own.
    """
    window = window_of(graph.model, heads)
    key = window is None, heads.key_length
    if key in graph.cache_inputs:
        return graph.cache_inputs[key]
    tokens = graph.tokens
    streams = graph.room.streams
    cells = graph.room.cells_of_layer(window)
    values = tokens if graph.flash else tokens * value_row_length
    # the largest power of two that divides the length, 64 or more
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
    projected = _projected(graph, heads, normed, rotated=rotated)
    if row.encoder:
        return _attention_in_batch(graph, heads, projected)
    widest = _widest_values(graph, heads)
    inputs = cache_inputs(graph, heads, widest)
    queries = _rotated_in_blocks(projected.queries, inputs.key_rotation)
    keys = _rotated_in_blocks(projected.keys, inputs.key_rotation)
    values = _rotated_in_blocks(projected.values, inputs.value_rotation)
    graph.expand(queries)
    if cached:
        if graph.windowed:
            graph.expand(keys, values)
        else:
            graph.expand(values, keys)
        _store_keys(graph, inputs, keys)
        _store_values(graph, inputs, values, widest)
    lengths = _Attended(
        heads=heads.heads,
        value_length=heads.value_length,
        key_row_length=heads.kv_heads * heads.key_length,
        value_row_length=heads.kv_heads * heads.value_length,
    )
    attended = _attended(graph, inputs, queries, lengths)
    graph.expand(attended)
    attended = _rotated_in_blocks(attended, inputs.value_rotation)
    if row.gated_query:
        gate = projected.product.part(*attended.sides)
        attended = attended.times(gate.copied())
    if row.attention_gate:
        attended = _gated(graph, heads, attended, normed)
    if "attn_sub_norm" in row.norms:
        attended = graph.norm(attended)
    return attended.product(graph.width)


def _widest_values(graph: Graph, heads: Attention) -> int:
    """The length of a row of values in the cache: without flash attention that of the widest
    layer.
    """
    if graph.flash:
        return heads.kv_heads * heads.value_length
    return max(group.kv_heads * group.value_length for group in graph.model.attention)


def _projected(
    graph: Graph, heads: Attention, normed: Node, *, rotated: bool
) -> _Projected:
    """The queries, keys and values, normed and rotated by their positions (build_qkv)."""
    norm = (
        heads.query_key_norm or graph.model.query_key_norm or graph.row.query_key_norm
    )
    if graph.row.fused_qkv:
        projected = _projected_at_once(graph, heads, normed)
    else:
        projected = _projected_apart(graph, heads, normed, norms_rows=norm == "full")
    queries = projected.queries
    keys = projected.keys
    values = projected.values
    if norm == "head":
        queries = graph.norm(queries)
        keys = graph.norm(keys)
    if graph.style.values_normed:
        values = graph.norm(values)
    if rotated:
        queries = queries.rotated(graph.positions)
        keys = keys.rotated(graph.positions)
    elif graph.style.temperature:
        queries = queries.times(graph.temperature)
    return projected.replace(queries=queries, keys=keys, values=values)


def _projected_at_once(graph: Graph, heads: Attention, normed: Node) -> _Projected:
    """Parts of the product with one matrix."""
    query_sides = heads.key_length, heads.heads, graph.tokens
    key_sides = heads.key_length, heads.kv_heads, graph.tokens
    value_sides = heads.value_length, heads.kv_heads, graph.tokens
    length = heads.heads * heads.key_length
    length += heads.kv_heads * (heads.key_length + heads.value_length)
    product = normed.product(length)
    return _Projected(
        queries=product.part(*query_sides),
        keys=product.part(*key_sides),
        values=product.part(*value_sides),
        product=product,
    )


def _projected_apart(
    graph: Graph, heads: Attention, normed: Node, *, norms_rows: bool
) -> _Projected:
    """The products with three matrices; that of the queries may hold a gate beside each."""
    tokens = graph.tokens
    is_gated = graph.row.gated_query
    product_length = heads.heads * heads.key_length
    if is_gated:
        product_length *= 2
    product = normed.product(product_length)
    queries = product
    keys = normed.product(heads.kv_heads * heads.key_length)
    if norms_rows:
        queries = graph.norm(queries)
        keys = graph.norm(keys)
    values = keys
    if not heads.values_from_keys:
        values = normed.product(heads.kv_heads * heads.value_length)
    values = values.view(heads.value_length, heads.kv_heads, tokens)
    queries = queries.view(heads.key_length, heads.heads, tokens)
    queries.strided = is_gated
    keys = keys.view(heads.key_length, heads.kv_heads, tokens)
    return _Projected(queries=queries, keys=keys, values=values, product=product)


def _rotated_in_blocks(tensor: Node, rotation: Node | None) -> Node:
    """Rotated in blocks for a quantized cache (ggml_mul_mat_aux); scattered rows of several tokens
    are copied first. The same tensor where there is nothing to rotate by.
    """
    if rotation is None:
        return tensor
    block = rotation.sides[0]
    sides = block, prod(tensor.sides) // block
    if tensor.strided and tensor.sides[-1] > 1:
        rows = fresh(sides, tensor)
    else:
        rows = tensor.view(*sides)
    return fresh(sides, rotation, rows).view(*tensor.sides)


def _store_keys(graph: Graph, inputs: CacheInputs, keys: Node) -> None:
    """Write the keys into the cache (cpy_k in src/llama-kv-cache.cpp, GGML_OP_SET_ROWS)."""
    graph.expand(graph.cache.written(keys.view(), inputs.key_places))


def _store_values(graph: Graph, inputs: CacheInputs, values: Node, widest: int) -> None:
    """Write the values into the cache (cpy_v), without flash attention turned and padded."""
    if not graph.flash and values.strided:
        values = values.copied()
    if prod(values.sides) < widest * graph.tokens:
        values = fresh((widest, graph.tokens), values)
    graph.expand(graph.cache.written(values.view(), inputs.value_places))


def _attended(
    graph: Graph, inputs: CacheInputs, queries: Node, lengths: _Attended
) -> Node:
    """The values that the queries attend to, in a row for each token (build_attn_mha)."""
    permuted = queries.view().view()
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
    length = lengths.value_length
    attended = fresh((length, lengths.heads, tokens), *sources, inputs.mask)
    if lengths.unpacked_length:
        length = lengths.unpacked_length
        unpacked = fresh((length, tokens, lengths.heads), attended.view())
        attended = fresh((length, lengths.heads, tokens), unpacked.view())
    return attended.view(lengths.heads * length, tokens)


def _with_stored_scores(
    graph: Graph, inputs: CacheInputs, queries: Node, lengths: _Attended
) -> Node:
    """Scores of all cells (GGML_OP_MUL_MAT), their GGML_OP_SOFT_MAX, and the product with values.
    A latent row is key and value, so its values have to be turned.
    """
    tokens = graph.tokens
    streams = graph.room.streams
    length = lengths.value_length
    value_sides = length, tokens, lengths.heads
    scores = fresh((inputs.cells, tokens // streams, lengths.heads, streams), queries)
    scores = scores.softmax(inputs.mask)
    if lengths.unpacked_length:
        element_bytes = FLOAT_BYTES if graph.room.key_type == "f32" else HALF_BYTES
        turned_sides = inputs.cells, length, streams
        turned = fresh(turned_sides, element_bytes=element_bytes)
        length = lengths.unpacked_length
        attended = fresh(value_sides, turned, scores).product(length)
    else:
        attended = fresh(value_sides, scores)
    return fresh((lengths.heads * length, tokens), attended.view())


def _gated(graph: Graph, heads: Attention, attended: Node, normed: Node) -> Node:
    """Attention times a gate: one number for each element, or one for each head."""
    if graph.row.attention_gate == "element":
        return attended.times(normed.product(attended.sides[0]))
    gate = normed.product(heads.heads)
    by_head = attended.view(heads.value_length, heads.heads, graph.tokens)
    gated = by_head.times(gate.view())
    return gated.view(*attended.sides)


def _attention_in_batch(graph: Graph, heads: Attention, projected: _Projected) -> Node:
    """Attention of an encoder, which has no cache (llm_graph_input_attn_no_cache)."""
    graph.expand(projected.queries, projected.keys, projected.values)
    mask = _batch_mask(graph, heads)
    queries = projected.queries.view().view()
    if graph.flash:
        attended = _flash_in_batch(graph, heads, projected, queries, mask)
    else:
        attended = _scores_in_batch(graph, heads, projected, queries, mask)
    graph.expand(attended)
    return attended.product(graph.width)


def _batch_mask(graph: Graph, heads: Attention) -> Node:
    """Which tokens of a batch see each other, made once for all layers with a window, and for all
    without.
    """
    kind = "full" if heads.window_tokens is None else "windowed"
    if kind not in graph.batch_masks:
        tokens = graph.tokens
        mask_bytes = HALF_BYTES if graph.flash else FLOAT_BYTES
        graph.batch_masks[kind] = given(tokens, tokens, element_bytes=mask_bytes)
    return graph.batch_masks[kind]


def _flash_in_batch(
    graph: Graph, heads: Attention, projected: _Projected, queries: Node, mask: Node
) -> Node:
    """GGML_OP_FLASH_ATTN_EXT, which reads 16 bits."""
    tokens = graph.tokens
    sides = heads.key_length, tokens, heads.kv_heads
    keys = fresh(sides, projected.keys.view(), element_bytes=HALF_BYTES)
    values = fresh(sides, projected.values.view(), element_bytes=HALF_BYTES)
    attended_sides = heads.value_length, heads.heads, tokens
    attended = fresh(attended_sides, queries, keys, values, mask)
    return attended.view(heads.heads * heads.value_length, tokens)


def _scores_in_batch(
    graph: Graph, heads: Attention, projected: _Projected, queries: Node, mask: Node
) -> Node:
    """Scores of all pairs of tokens, and the product with the values, which are turned."""
    tokens = graph.tokens
    length = heads.value_length
    scores = fresh((tokens, tokens, heads.heads), projected.keys.view(), queries)
    scores = scores.softmax(mask)
    turned_sides = tokens, length, heads.kv_heads
    turned = fresh(turned_sides, projected.values.view().view())
    attended = fresh((length, tokens, heads.heads), turned, scores)
    return fresh((heads.heads * length, tokens), attended.view())


def latent_attention(graph: Graph, heads: Attention, normed: Node) -> Node:
    """Multi-head latent attention, of which the cache keeps one compressed row of a token
    (DeepSeek-V2, arXiv:2405.04434; src/models/deepseek2.cpp).
    """
    latent_length = heads.latent_length or 0
    rope_length = heads.rope_length or 0
    row_length = latent_length + rope_length
    inputs = cache_inputs(graph, heads, 0)
    # one row of a token: the latent part, and the part that positions rotate
    product = normed.product(row_length)
    latent = product.part(latent_length, graph.tokens)
    rotated = _with_positions(graph, product.part(rope_length, 1, graph.tokens))
    values = graph.norm(latent).view()
    queries = _latent_queries(graph, heads, normed)
    keys = fresh((row_length, 1, graph.tokens), values, rotated)
    graph.expand(queries, values, keys)
    _store_keys(graph, inputs, keys)
    lengths = _Attended(
        heads=heads.heads,
        value_length=latent_length,
        key_row_length=row_length,
        value_row_length=latent_length,
        unpacked_length=heads.value_length,
    )
    attended = _attended(graph, inputs, queries, lengths)
    graph.expand(attended)
    if graph.row.attention_gate:
        attended = _gated(graph, heads, attended, normed)
    return attended.product(graph.width)


def _with_positions(graph: Graph, tensor: Node) -> Node:
    """The part of a row that positions rotate, where the model rotates any."""
    if graph.style.rope == "none":
        return tensor
    return tensor.rotated(graph.positions)


def _latent_queries(graph: Graph, heads: Attention, normed: Node) -> Node:
    """Queries that meet a latent row: the matrix of keys is multiplied into them."""
    tokens = graph.tokens
    count = heads.heads
    latent_length = heads.latent_length or 0
    rope_length = heads.rope_length or 0
    queries = normed
    if heads.query_latent_length:
        # through a narrow matrix in large models
        queries = graph.norm(normed.product(heads.query_latent_length))
    queries = queries.product(count * (heads.key_length + rope_length)).view()
    rotated = _with_positions(graph, queries.part(rope_length, count, tokens))
    absorbed = fresh((latent_length, tokens, count), queries.part().view())
    sides = latent_length + rope_length, count, tokens
    return fresh(sides, absorbed.view(), rotated)
