"""Attention in llama.cpp's graph, with a cache, among the tokens of one batch, or with a latent row
in the cache (build_qkv and build_attn in src/llama-graph.cpp of llama.cpp 0c1e570).

    attended = softmax(queries × keysᵀ + mask) × values     (arXiv:1706.03762)

Each method adds tensors to a graph in the order in which llama.cpp builds them, and returns the
tensor that the next one reads. A length is a number of elements of one row, which has all heads of
a token.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from ...catalogue.architecture import Attention
from ..tensors import query_key_norm_of, window_of
from .allocator import FLOAT_BYTES, HALF_BYTES, INDEX_BYTES, Node, fresh, given
from .part import CacheInputs, Graph, Layer, Part

# the block of values in which a quantized cache rotates heads by a Hadamard matrix; keys take the
# largest block that the heads allow. This rotation has nothing to do with the rotation by positions
_ROTATED_VALUES = 64
_UNQUANTIZED = ("f16", "bf16", "f32")


class _Projected(NamedTuple):
    """Queries, keys and values of a batch, and the matrix product that holds the queries."""

    queries: Node
    keys: Node
    values: Node
    query_product: Node


def attention(
    graph: Graph,
    layer: Layer,
    heads: Attention,
    normed: Node,
) -> Node:
    """The output of one layer's attention for the normed tokens."""
    kind: type[_CachedAttention | _BatchAttention] = _CachedAttention
    if heads.kind == "latent":
        kind = _LatentAttention
    elif graph.row.encoder:
        kind = _BatchAttention
    return kind(graph, layer, heads).computed(normed)


# ---------------------------------------------------------------------- queries, keys and values


class _Attention(Part):
    """The attention of one layer while its graph is built."""

    def __init__(
        self,
        graph: Graph,
        layer: Layer,
        heads: Attention,
    ) -> None:
        super().__init__(graph)
        self.setup = graph.setup
        self.layer = layer
        self.heads = heads
        self.count = heads.heads
        self.query_length = heads.key_length * heads.heads
        self.key_length = heads.key_length * heads.kv_heads
        self.value_length = heads.value_length * heads.kv_heads
        self.output_length = heads.value_length * heads.heads
        # the elements of a row of the result, as long as the cache stores its values
        self.stored_length = self.output_length

    def projected(self, normed: Node) -> _Projected:
        """The queries, keys and values, normed and rotated by their positions (build_qkv)."""
        graph = self.graph
        norm = query_key_norm_of(self.heads, graph.model, self.row)
        if self.row.fused_qkv:
            projected = self._projected_at_once(normed)
        else:
            projected = self._projected_apart(normed, norms_rows=norm == "full")
        queries, keys, values, product = projected
        if norm == "head":
            queries = self.norm(queries)
            keys = self.norm(keys)
        if self.style.values_normed:
            values = self.norm(values)
        if self.layer.is_rotated:
            queries = queries.rotated(graph.positions)
            keys = keys.rotated(graph.positions)
        elif self.style.temperature:
            queries = queries * graph.temperatures
        return _Projected(queries, keys, values, product)

    def _projected_at_once(self, normed: Node) -> _Projected:
        """The queries, keys and values as parts of the product with one matrix."""
        lengths = self.query_length, self.key_length, self.value_length
        product = normed.product(sum(lengths))
        queries, keys, values = product.parts(*lengths)
        return _Projected(queries, keys, values, product)

    def _projected_apart(self, normed: Node, *, norms_rows: bool) -> _Projected:
        """The queries, keys and values as products with three matrices. The queries' product may
        also hold a gate beside each query.
        """
        length = self.query_length
        if self.row.gated_query:
            length *= 2
        product = normed.product(length)
        queries = product
        keys = normed.product(self.key_length)
        if norms_rows:
            queries = self.norm(queries)
            keys = self.norm(keys)
        values = keys
        if not self.heads.values_from_keys:
            values = normed.product(self.value_length)
        queries = queries.view(self.query_length, self.tokens)
        queries.strided = self.row.gated_query
        return _Projected(queries, keys.view(), values.view(), product)


# ---------------------------------------------------------------------- attention to a cache


class _CachedAttention(_Attention):
    """Attention to the rows of a cache, into which the rows of the batch are written first."""

    @cached_property
    def cache(self) -> CacheInputs:
        """The inputs of these layers, made once for each cache: all layers with a window share one
        cache, all others another (llm_graph_input_attn_kv and llm_graph_input_attn_kv_iswa).
        """
        made = self.graph.cache_inputs
        window = window_of(self.graph.model, self.heads)
        if window not in made:
            made[window] = self._new_inputs(window)
        return made[window]

    def _new_inputs(self, window: int | None) -> CacheInputs:
        """The inputs of the cache with that window. Without flash attention each value has a place
        of its own. Keys are rotated in blocks as large as the largest power of two that divides
        them; latent rows are not rotated.
        """
        graph = self.graph
        setup = self.setup
        cells = setup.cells_of_layer(window)
        value_places = self.tokens
        if not graph.flash:
            value_places *= graph.widest_values
        rotated = []
        for group in graph.model.attention:
            if group.kind != "latent" and window_of(graph.model, group) == window:
                rotated.append(group)
        key_lengths = {group.key_length for group in rotated}
        value_lengths = {group.value_length for group in rotated}
        key_block = self.heads.key_length & -self.heads.key_length
        return CacheInputs(
            cells=cells,
            all_cells=cells * setup.streams,
            key_places=given(self.tokens, element_bytes=INDEX_BYTES),
            value_places=given(value_places, element_bytes=INDEX_BYTES),
            mask=given(cells, self.tokens, element_bytes=setup.mask_bytes),
            key_rotation=_rotation(setup.key_type, key_lengths, key_block),
            value_rotation=_rotation(setup.value_type, value_lengths, _ROTATED_VALUES),
        )

    def computed(self, normed: Node) -> Node:
        """W × norm(attended × gate), with the gate and the norm that the model has."""
        projected = self.projected(normed)
        attended = self._attended_in_blocks(projected)
        if self.row.gated_query:
            gate = projected.query_product.product(self.output_length)
            attended = attended * gate
        attended = self.gated(attended, normed)
        if "attn_sub_norm" in self.row.norms:
            attended = self.norm(attended)
        return attended.product(self.width)

    def _attended_in_blocks(self, projected: _Projected) -> Node:
        """The result of attention to the cache. A quantized cache stores rotated rows, so the
        queries are rotated in the same way, and the result is rotated back.
        """
        cache = self.cache
        queries = _rotated_in_blocks(projected.queries, cache.key_rotation)
        keys = _rotated_in_blocks(projected.keys, cache.key_rotation)
        values = _rotated_in_blocks(projected.values, cache.value_rotation)
        self.expand(queries)
        if self.layer.is_cached:
            self._store(keys, values)
        attended = self.attended(queries)
        return _rotated_in_blocks(attended, cache.value_rotation)

    def _store(self, keys: Node, values: Node) -> None:
        """Write the rows of the layer into the cache (cpy_k and cpy_v in src/llama-kv-cache.cpp),
        values without flash attention turned and padded. Layers without rows of their own read
        those of an earlier layer.
        """
        graph = self.graph
        if graph.windowed:
            self.expand(keys, values)
        else:
            self.expand(values, keys)
        graph.store(keys, self.cache.key_places)
        if not graph.flash:
            if values.strided:
                values = values.copied()
            if self.value_length < graph.widest_values:
                values = values.product(graph.widest_values)
        graph.store(values, self.cache.value_places)

    def attended(self, queries: Node) -> Node:
        """The values that the queries attend to, in a row for each token (build_attn_mha)."""
        if self.graph.flash:
            product = self.flash_attention(queries)
            attended = product.view()
        else:
            scores = self.scores(queries)
            product = scores.product(self.output_length)
            attended = product.copied()
        self.expand(attended)
        return attended

    def flash_attention(self, queries: Node) -> Node:
        """GGML_OP_FLASH_ATTN_EXT. It reads 16 bits, so a cache of 32 is copied whole."""
        cache = self.cache
        copies = []
        if self.setup.key_type == "f32":
            copies.append(cache.copied(self.key_length))
        if self.setup.value_type == "f32":
            copies.append(cache.copied(self.value_length))
        return queries.product(self.stored_length, *copies, cache.mask)

    def scores(self, queries: Node) -> Node:
        """softmax(queries × keysᵀ + mask) of all cells (GGML_OP_MUL_MAT, GGML_OP_SOFT_MAX)."""
        products = queries.product(self.cache.cells * self.count)
        return products.softmax(self.cache.mask)

    def gated(self, attended: Node, normed: Node) -> Node:
        """Attention times a gate, where the model has one: a number for each element, or one for
        each head.
        """
        if not self.row.attention_gate:
            return attended
        if self.row.attention_gate == "element":
            return attended * normed.product(self.output_length)
        gate = normed.product(self.count)
        return attended.copied(gate)


def _rotation(
    type: str,
    lengths: set[int],
    block: int,
) -> Node | None:
    """The matrix that rotates heads of these lengths in a cache of that type; None where nothing is
    rotated.

    Only a quantized cache rotates, and only heads that have one length in all its layers, which
    blocks divide (`attn_rot_k` and `n_embd_head_k_all` in src/llama-kv-cache.cpp).
    """
    if type in _UNQUANTIZED:
        return None
    if len(lengths) != 1:
        return None
    if lengths.pop() % _ROTATED_VALUES != 0:
        return None
    return given(block, block)


def _rotated_in_blocks(tensor: Node, rotation: Node | None) -> Node:
    """The tensor rotated in blocks for a quantized cache (ggml_mul_mat_aux), or the tensor itself
    where there is no rotation. Scattered rows of several tokens are copied first.
    """
    if rotation is None:
        return tensor
    rows = tensor
    tokens = tensor.sides[-1]
    if tensor.strided and tokens > 1:
        rows = tensor.copied()
    rotated = fresh(tensor.sides, rotation, rows)
    return rotated.view()


# ---------------------------------------------------------------------- latent attention


class _LatentAttention(_CachedAttention):
    """Multi-head latent attention. Its cache keeps one row of a token, as key and value at once: a
    latent part, and a part that positions rotate (DeepSeek-V2, arXiv:2405.04434;
    src/models/deepseek2.cpp).
    """

    def __init__(
        self,
        graph: Graph,
        layer: Layer,
        heads: Attention,
    ) -> None:
        super().__init__(graph, layer, heads)
        self.latent_length = heads.latent_length or 0
        self.rope_length = heads.rope_length or 0
        self.key_length = heads.latent_row_length
        self.value_length = self.latent_length
        self.query_length = self.key_length * self.count
        self.stored_length = self.latent_length * self.count

    def computed(self, normed: Node) -> Node:
        """W × gate × attended. A row of the cache is (norm(latent), rope(place)), two parts of one
        product.
        """
        product = normed.product(self.key_length)
        latent, place = product.parts(self.latent_length, self.rope_length)
        rotated = self._rotated(place)
        latent = self.norm(latent)
        queries = self._queries(normed)
        keys = latent.product(self.key_length, rotated)
        self.expand(queries, keys)
        self.graph.store(keys, self.cache.key_places)
        attended = self.attended(queries)
        attended = self.gated(attended, normed)
        return attended.product(self.width)

    def _rotated(self, place: Node) -> Node:
        """The part of a row that positions rotate, rotated; unchanged in a model without RoPE."""
        if self.style.rope == "none":
            return place
        return place.rotated(self.graph.positions)

    def _queries(self, normed: Node) -> Node:
        """Queries that meet a latent row: (W_keysᵀ × query, rope(place)) of each head, two parts of
        one product.
        """
        narrow_length = self.heads.query_latent_length
        if narrow_length:
            # large models compute queries through a narrow matrix
            narrow = normed.product(narrow_length)
            normed = self.norm(narrow)
        place_length = self.rope_length * self.count
        head_length = self.heads.key_length + self.rope_length
        product = normed.product(self.count * head_length)
        place = product.part(place_length)
        rotated = self._rotated(place)
        absorbed = product.product(self.stored_length)
        return absorbed.product(self.query_length, rotated)

    def attended(self, queries: Node) -> Node:
        """The latent values that the queries attend to, multiplied out to values of every head, in
        a row for each token.
        """
        if self.graph.flash:
            latent = self.flash_attention(queries)
        else:
            latent = self._weighted_latents(queries)
        values = latent.product(self.output_length)
        attended = values.copied()
        if self.graph.flash:
            attended = attended.view()
        self.expand(attended)
        return attended

    def _weighted_latents(self, queries: Node) -> Node:
        """Latent values times stored scores, for which the rows of the cache are turned first."""
        element_bytes = HALF_BYTES
        if self.setup.key_type == "f32":
            element_bytes = FLOAT_BYTES
        turned = self.cache.copied(self.latent_length, element_bytes)
        scores = self.scores(queries)
        return fresh((self.stored_length, self.tokens), turned, scores)


# ---------------------------------------------------------------------- attention without a cache


class _BatchAttention(_Attention):
    """Attention of an encoder to the tokens of one batch (llm_graph_input_attn_no_cache)."""

    def computed(self, normed: Node) -> Node:
        """W × attended."""
        projected = self.projected(normed)
        self.expand(projected.queries, projected.keys, projected.values)
        attended = self._attended(projected)
        self.expand(attended)
        return attended.product(self.width)

    def _attended(self, projected: _Projected) -> Node:
        """softmax(queries × keysᵀ + mask) × values, which are turned; or GGML_OP_FLASH_ATTN_EXT,
        which reads 16 bits.
        """
        queries, keys, values, _ = projected
        length = self.output_length
        mask = self._mask()
        if self.graph.flash:
            keys = _in_16_bits(keys)
            values = _in_16_bits(values)
            return queries.product(length, keys, values, mask)
        products = keys.product(self.tokens * self.count, queries)
        scores = products.softmax(mask)
        turned = values.copied()
        attended = turned.product(length, scores)
        return attended.copied()

    def _mask(self) -> Node:
        """The mask of which tokens of a batch see each other. Layers with the same window share one
        mask, and so do all layers without a window.
        """
        masks = self.graph.batch_masks
        window = self.heads.window_tokens
        if window not in masks:
            element_bytes = self.graph.setup.mask_bytes
            masks[window] = given(self.tokens, self.tokens, element_bytes=element_bytes)
        return masks[window]


def _in_16_bits(tensor: Node) -> Node:
    """A copy of keys or values in 16 bits."""
    return fresh(tensor.sides, tensor, element_bytes=HALF_BYTES)
