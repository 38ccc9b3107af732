"""Attention in llama.cpp's graph, with a cache, among the tokens of one batch, or with a latent row
in the cache (build_qkv and build_attn in src/llama-graph.cpp of llama.cpp 0c1e570).

Each function and method adds tensors to a graph in the order in which llama.cpp builds them, and
returns the tensor that the next one reads. A length is a number of elements.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, NamedTuple

from ...catalogue.architecture import Attention
from ...core.records import Record
from ..tensors import query_key_norm_of, window_of
from .allocator import FLOAT_BYTES, HALF_BYTES, INDEX_BYTES, Node, fresh, given

if TYPE_CHECKING:
    from .graph import Graph

# a quantized cache is rotated in blocks of so many values, those of keys as large as heads allow
_ROTATED_VALUES = 64
_UNQUANTIZED = ("f16", "bf16", "f32")


class CacheInputs(Record):
    """Inputs that layers share which attend to the same cache."""

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


def cache_inputs(graph: Graph, heads: Attention) -> CacheInputs:
    """The inputs of these layers, made once for each cache: there is one of all layers with a
    window, and one of all others (llm_graph_input_attn_kv and llm_graph_input_attn_kv_iswa).
    """
    window = window_of(graph.model, heads)
    if window not in graph.cache_inputs:
        cells = graph.room.cells_of_layer(window)
        graph.cache_inputs[window] = _new_inputs(graph, heads, cells)
    return graph.cache_inputs[window]


def _new_inputs(graph: Graph, heads: Attention, cells: int) -> CacheInputs:
    """The inputs of a cache of so many cells. Without flash attention each value has a place of its
    own.
    """
    tokens = graph.tokens
    streams = graph.room.streams
    value_places = tokens
    mask_bytes = HALF_BYTES
    if not graph.flash:
        value_places = tokens * graph.widest_values
        mask_bytes = FLOAT_BYTES
    return CacheInputs(
        cells=cells,
        key_places=given(tokens, element_bytes=INDEX_BYTES),
        value_places=given(value_places, element_bytes=INDEX_BYTES),
        mask=given(cells, tokens // streams, streams, element_bytes=mask_bytes),
        key_rotation=_key_rotation(graph, heads),
        value_rotation=_value_rotation(graph, heads),
    )


def _key_rotation(graph: Graph, heads: Attention) -> Node | None:
    """The matrix that rotates keys: as large as the largest power of two that divides them."""
    lengths = {group.key_length for group in _layers_in_cache(graph, heads)}
    if not _is_rotated(graph.room.key_type, lengths):
        return None
    block = heads.key_length & -heads.key_length
    return given(block, block)


def _value_rotation(graph: Graph, heads: Attention) -> Node | None:
    """The matrix that rotates values."""
    lengths = {group.value_length for group in _layers_in_cache(graph, heads)}
    if not _is_rotated(graph.room.value_type, lengths):
        return None
    return given(_ROTATED_VALUES, _ROTATED_VALUES)


def _layers_in_cache(graph: Graph, heads: Attention) -> list[Attention]:
    """The layers in the same cache as these; none where the cache keeps latent rows, which are
    never rotated.
    """
    if heads.kind == "latent":
        return []
    model = graph.model
    window = window_of(model, heads)
    return [group for group in model.attention if window_of(model, group) == window]


def _is_rotated(type: str, lengths: set[int]) -> bool:
    """Whether a cache of that type rotates heads of these lengths: only where it is quantized, and
    the heads of all its layers have one length that blocks divide (`attn_rot_k` and
    `n_embd_head_k_all` in src/llama-kv-cache.cpp).
    """
    if type in _UNQUANTIZED or len(lengths) != 1:
        return False
    return lengths.pop() % _ROTATED_VALUES == 0


class _Attention:
    """The attention of one layer while its graph is built.

    `key_row_length` and `value_row_length`: of the rows of all heads in the cache. `value_length`:
    of a head's value as it lies in the cache. `unpacked_length`: to which a latent value is
    multiplied out, 0 where it is not latent.
    """

    def __init__(self, graph: Graph, heads: Attention) -> None:
        self.graph = graph
        self.row = graph.row
        self.tokens = graph.tokens
        self.streams = graph.room.streams
        self.heads = heads
        self.count = heads.heads
        self.kv_heads = heads.kv_heads
        self.key_length = heads.key_length
        self.value_length = heads.value_length
        self.key_row_length = heads.kv_heads * heads.key_length
        self.value_row_length = heads.kv_heads * heads.value_length
        self.unpacked_length = 0

    # ------------------------------------------------------------------ queries, keys and values

    def projected(self, normed: Node, *, rotated: bool) -> _Projected:
        """The queries, keys and values, normed and rotated by their positions (build_qkv)."""
        graph = self.graph
        norm = query_key_norm_of(self.heads, graph.model, self.row)
        if self.row.fused_qkv:
            projected = self._projected_at_once(normed)
        else:
            projected = self._projected_apart(normed, norms_rows=norm == "full")
        queries, keys, values, product = projected
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
        return _Projected(queries, keys, values, product)

    def _projected_at_once(self, normed: Node) -> _Projected:
        """Parts of the product with one matrix."""
        query_length = self.count * self.key_length
        length = query_length + self.key_row_length + self.value_row_length
        product = normed.product(length)
        queries = product.part(self.key_length, self.count, self.tokens)
        keys = product.part(self.key_length, self.kv_heads, self.tokens)
        values = product.part(self.value_length, self.kv_heads, self.tokens)
        return _Projected(queries, keys, values, product)

    def _projected_apart(self, normed: Node, *, norms_rows: bool) -> _Projected:
        """The products with three matrices; that of the queries may hold a gate beside each."""
        is_gated = self.row.gated_query
        product_length = self.count * self.key_length
        if is_gated:
            product_length *= 2
        product = normed.product(product_length)
        queries = product
        keys = normed.product(self.key_row_length)
        if norms_rows:
            queries = self.graph.norm(queries)
            keys = self.graph.norm(keys)
        values = keys
        if not self.heads.values_from_keys:
            values = normed.product(self.value_row_length)
        values = values.view(self.value_length, self.kv_heads, self.tokens)
        queries = queries.view(self.key_length, self.count, self.tokens)
        queries.strided = is_gated
        keys = keys.view(self.key_length, self.kv_heads, self.tokens)
        return _Projected(queries, keys, values, product)

    # ------------------------------------------------------------------ attention to a cache

    def cached(self, projected: _Projected, *, stores: bool) -> Node:
        """The values that queries attend to in the cache. `stores`: the layer has rows of its own
        there; the others read those of an earlier layer.
        """
        graph = self.graph
        inputs = cache_inputs(graph, self.heads)
        queries = _rotated_in_blocks(projected.queries, inputs.key_rotation)
        keys = _rotated_in_blocks(projected.keys, inputs.key_rotation)
        values = _rotated_in_blocks(projected.values, inputs.value_rotation)
        graph.expand(queries)
        if stores:
            if graph.windowed:
                graph.expand(keys, values)
            else:
                graph.expand(values, keys)
            self.store_keys(inputs, keys)
            self._store_values(inputs, values)
        attended = self.attended(inputs, queries)
        return _rotated_in_blocks(attended, inputs.value_rotation)

    def store_keys(self, inputs: CacheInputs, keys: Node) -> None:
        """Write the keys into the cache (cpy_k in src/llama-kv-cache.cpp, GGML_OP_SET_ROWS)."""
        self._write(keys, inputs.key_places)

    def _store_values(self, inputs: CacheInputs, values: Node) -> None:
        """Write the values into the cache (cpy_v), without flash attention turned and padded."""
        if not self.graph.flash:
            if values.strided:
                values = values.copied()
            widest = self.graph.widest_values
            if self.value_row_length < widest:
                values = fresh((widest, self.tokens), values)
        self._write(values, inputs.value_places)

    def _write(self, rows: Node, places: Node) -> None:
        written = self.graph.cache.written(rows.view(), places)
        self.graph.expand(written)

    def attended(self, inputs: CacheInputs, queries: Node) -> Node:
        """The values that the queries attend to, in a row for each token (build_attn_mha)."""
        permuted = queries.view().view()
        if self.graph.flash:
            attended = self._with_flash_attention(inputs, permuted)
        else:
            attended = self._with_stored_scores(inputs, permuted)
        self.graph.expand(attended)
        return attended

    def _with_flash_attention(self, inputs: CacheInputs, queries: Node) -> Node:
        """GGML_OP_FLASH_ATTN_EXT. It reads 16 bits, so a cache of 32 is copied whole."""
        room = self.graph.room
        sources = [queries]
        if room.key_type == "f32":
            sources.append(self._in_16_bits(inputs, self.key_row_length))
        if room.value_type == "f32":
            sources.append(self._in_16_bits(inputs, self.value_row_length))
        length = self.value_length
        sides = length, self.count, self.tokens
        attended = fresh(sides, *sources, inputs.mask)
        if self.unpacked_length:
            length = self.unpacked_length
            unpacked = fresh((length, self.tokens, self.count), attended.view())
            attended = fresh((length, self.count, self.tokens), unpacked.view())
        return attended.view(self.count * length, self.tokens)

    def _in_16_bits(self, inputs: CacheInputs, row_length: int) -> Node:
        """A copy of all keys or values of the cache."""
        sides = row_length, inputs.cells, self.streams
        return fresh(sides, element_bytes=HALF_BYTES)

    def _with_stored_scores(self, inputs: CacheInputs, queries: Node) -> Node:
        """Scores of all cells (GGML_OP_MUL_MAT), their GGML_OP_SOFT_MAX, and the product with
        values. A latent row is key and value, so its values have to be turned.
        """
        length = self.value_length
        sequence_tokens = self.tokens // self.streams
        score_sides = inputs.cells, sequence_tokens, self.count, self.streams
        scores = fresh(score_sides, queries).softmax(inputs.mask)
        value_sides = length, self.tokens, self.count
        if self.unpacked_length:
            turned = self._turned_latents(inputs)
            length = self.unpacked_length
            attended = fresh(value_sides, turned, scores).product(length)
        else:
            attended = fresh(value_sides, scores)
        return fresh((self.count * length, self.tokens), attended.view())

    def _turned_latents(self, inputs: CacheInputs) -> Node:
        """The latent values of the cache with their cells in a row."""
        has_floats = self.graph.room.key_type == "f32"
        element_bytes = FLOAT_BYTES if has_floats else HALF_BYTES
        sides = inputs.cells, self.value_length, self.streams
        return fresh(sides, element_bytes=element_bytes)

    def gated(self, attended: Node, normed: Node) -> Node:
        """Attention times a gate, where the model has one: a number for each element, or one for
        each head.
        """
        if not self.row.attention_gate:
            return attended
        if self.row.attention_gate == "element":
            return attended.times(normed.product(attended.sides[0]))
        gate = normed.product(self.count)
        by_head = attended.view(self.heads.value_length, self.count, self.tokens)
        gated = by_head.times(gate.view())
        return gated.view(*attended.sides)

    # ------------------------------------------------------------------ attention without a cache

    def in_batch(self, projected: _Projected) -> Node:
        """Attention of an encoder, which has no cache (llm_graph_input_attn_no_cache)."""
        graph = self.graph
        graph.expand(projected.queries, projected.keys, projected.values)
        mask = _batch_mask(graph, self.heads)
        queries = projected.queries.view().view()
        if graph.flash:
            attended = self._flash_in_batch(projected, queries, mask)
        else:
            attended = self._scores_in_batch(projected, queries, mask)
        graph.expand(attended)
        return attended

    def _flash_in_batch(self, projected: _Projected, queries: Node, mask: Node) -> Node:
        """GGML_OP_FLASH_ATTN_EXT, which reads 16 bits."""
        sides = self.key_length, self.tokens, self.kv_heads
        keys = fresh(sides, projected.keys.view(), element_bytes=HALF_BYTES)
        values = fresh(sides, projected.values.view(), element_bytes=HALF_BYTES)
        attended_sides = self.value_length, self.count, self.tokens
        attended = fresh(attended_sides, queries, keys, values, mask)
        return attended.view(self.count * self.value_length, self.tokens)

    def _scores_in_batch(
        self, projected: _Projected, queries: Node, mask: Node
    ) -> Node:
        """Scores of all pairs of tokens, and the product with the values, which are turned."""
        tokens = self.tokens
        length = self.value_length
        scores = fresh((tokens, tokens, self.count), projected.keys.view(), queries)
        scores = scores.softmax(mask)
        turned_sides = tokens, length, self.kv_heads
        turned = fresh(turned_sides, projected.values.view().view())
        attended = fresh((length, tokens, self.count), turned, scores)
        return fresh((self.count * length, tokens), attended.view())


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


def _batch_mask(graph: Graph, heads: Attention) -> Node:
    """Which tokens of a batch see each other, made once for all layers with a window, and for all
    without.
    """
    window = heads.window_tokens
    if window not in graph.batch_masks:
        tokens = graph.tokens
        mask_bytes = HALF_BYTES if graph.flash else FLOAT_BYTES
        graph.batch_masks[window] = given(tokens, tokens, element_bytes=mask_bytes)
    return graph.batch_masks[window]


def attention(
    graph: Graph, heads: Attention, normed: Node, *, rotated: bool, cached: bool
) -> Node:
    """Attention to the cache, or of an encoder to the tokens of one batch.

    `rotated`: queries and keys are, by their positions. `cached`: the layer has rows of its own in
    the cache; the others read those of an earlier layer.
    """
    row = graph.row
    attending = _Attention(graph, heads)
    projected = attending.projected(normed, rotated=rotated)
    if row.encoder:
        return attending.in_batch(projected).product(graph.width)
    attended = attending.cached(projected, stores=cached)
    if row.gated_query:
        gate = projected.product.part(*attended.sides)
        attended = attended.times(gate.copied())
    attended = attending.gated(attended, normed)
    if "attn_sub_norm" in row.norms:
        attended = graph.norm(attended)
    return attended.product(graph.width)


def latent_attention(graph: Graph, heads: Attention, normed: Node) -> Node:
    """Multi-head latent attention, of which the cache keeps one compressed row of a token
    (DeepSeek-V2, arXiv:2405.04434; src/models/deepseek2.cpp).
    """
    return _LatentAttention(graph, heads).computed(normed)


class _LatentAttention(_Attention):
    """Attention to latent rows: the latent part, and the part that positions rotate."""

    def __init__(self, graph: Graph, heads: Attention) -> None:
        super().__init__(graph, heads)
        self.latent_length = heads.latent_length or 0
        self.rope_length = heads.rope_length or 0
        self.value_length = self.latent_length
        self.key_row_length = heads.latent_row_length
        self.value_row_length = self.latent_length
        self.unpacked_length = heads.value_length

    def computed(self, normed: Node) -> Node:
        """What the layer makes of the normed tokens."""
        graph = self.graph
        inputs = cache_inputs(graph, self.heads)
        product = normed.product(self.key_row_length)
        latent = product.part(self.latent_length, self.tokens)
        rotated = self._rotated(product.part(self.rope_length, 1, self.tokens))
        values = graph.norm(latent).view()
        queries = self._queries(normed)
        keys = fresh((self.key_row_length, 1, self.tokens), values, rotated)
        graph.expand(queries, values, keys)
        self.store_keys(inputs, keys)
        attended = self.attended(inputs, queries)
        attended = self.gated(attended, normed)
        return attended.product(graph.width)

    def _rotated(self, tensor: Node) -> Node:
        """The part of a row that positions rotate, where the model rotates any."""
        if self.graph.style.rope == "none":
            return tensor
        return tensor.rotated(self.graph.positions)

    def _queries(self, normed: Node) -> Node:
        """Queries that meet a latent row: the matrix of keys is multiplied into them."""
        count = self.count
        narrow_length = self.heads.query_latent_length
        queries = normed
        if narrow_length:
            # through a narrow matrix in large models
            queries = self.graph.norm(normed.product(narrow_length))
        head_length = self.key_length + self.rope_length
        queries = queries.product(count * head_length).view()
        rotated = self._rotated(queries.part(self.rope_length, count, self.tokens))
        absorbed_sides = self.latent_length, self.tokens, count
        absorbed = fresh(absorbed_sides, queries.part().view())
        sides = self.key_row_length, count, self.tokens
        return fresh(sides, absorbed.view(), rotated)
