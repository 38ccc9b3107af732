"""Attention in llama.cpp's graph, with a cache, among the tokens of one batch, or with a latent row
in the cache (build_qkv and build_attn in src/llama-graph.cpp of llama.cpp 0c1e570).

    attended = softmax(queries × keysᵀ + mask) × values     (arXiv:1706.03762)

Each method adds tensors to a graph in the order in which llama.cpp builds them, and returns the
tensor that the next one reads. A length is a number of elements.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, NamedTuple

from ...catalogue.architecture import Attention
from ...core.records import Record
from ..tensors import query_key_norm_of, window_of
from .allocator import FLOAT_BYTES, HALF_BYTES, INDEX_BYTES, Node, fresh, given
from .part import Part

if TYPE_CHECKING:
    from .graph import Graph, Layer

# heads in a quantized cache are rotated in blocks of so many values, keys in blocks as large as
# heads allow: by a Hadamard matrix, which has nothing to do with the rotation by positions
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


def attention(graph: Graph, layer: Layer, heads: Attention, normed: Node) -> Node:
    """What the attention of one layer makes of the normed tokens."""
    if heads.kind == "latent":
        return _LatentAttention(graph, layer, heads).computed(normed)
    if graph.row.encoder:
        return _BatchAttention(graph, layer, heads).computed(normed)
    return _CachedAttention(graph, layer, heads).computed(normed)


def _mask_bytes(graph: Graph) -> int:
    """Bytes of an element of a mask."""
    return HALF_BYTES if graph.flash else FLOAT_BYTES


# ---------------------------------------------------------------------- queries, keys and values


class _Attention(Part):
    """The attention of one layer while its graph is built. A row has all heads of a token; sides
    end with the tokens.
    """

    def __init__(self, graph: Graph, layer: Layer, heads: Attention) -> None:
        super().__init__(graph)
        tokens = self.tokens
        self.layer = layer
        self.heads = heads
        self.count = heads.heads
        self.query_sides = heads.key_length, heads.heads, tokens
        self.key_sides = heads.key_length, heads.kv_heads, tokens
        self.value_sides = heads.value_length, heads.kv_heads, tokens
        self.attended_sides = heads.value_length, heads.heads, tokens
        self.output_sides = heads.value_length * heads.heads, tokens
        self.query_row_length = heads.key_length * heads.heads
        self.key_row_length = heads.key_length * heads.kv_heads
        self.value_row_length = heads.value_length * heads.kv_heads

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
        """Parts of the product with one matrix."""
        row_length = self.query_row_length + self.key_row_length + self.value_row_length
        product = normed.product(row_length)
        return _Projected(
            queries=product.part(*self.query_sides),
            keys=product.part(*self.key_sides),
            values=product.part(*self.value_sides),
            product=product,
        )

    def _projected_apart(self, normed: Node, *, norms_rows: bool) -> _Projected:
        """The products with three matrices; that of the queries may hold a gate beside each."""
        length = self.query_row_length
        if self.row.gated_query:
            length *= 2
        product = normed.product(length)
        queries = product
        keys = normed.product(self.key_row_length)
        if norms_rows:
            queries = self.norm(queries)
            keys = self.norm(keys)
        values = keys
        if not self.heads.values_from_keys:
            values = normed.product(self.value_row_length)
        queries = queries.view(*self.query_sides)
        queries.strided = self.row.gated_query
        keys = keys.view(*self.key_sides)
        values = values.view(*self.value_sides)
        return _Projected(queries, keys, values, product)


# ---------------------------------------------------------------------- attention to a cache


class _CachedAttention(_Attention):
    """Attention to the rows of a cache, where those of the batch are written first. `stored_sides`:
    of what is attended to, its values as they lie in the cache.
    """

    def __init__(self, graph: Graph, layer: Layer, heads: Attention) -> None:
        super().__init__(graph, layer, heads)
        self.stored_sides = self.attended_sides
        self.room = graph.room
        self.streams = graph.room.streams
        self.inputs = self._inputs_of_cache()

    # -------------------------------------------------- the inputs of the cache

    def _inputs_of_cache(self) -> CacheInputs:
        """The inputs of these layers, made once for each cache: there is one of all layers with a
        window, and one of all others (llm_graph_input_attn_kv and llm_graph_input_attn_kv_iswa).
        """
        made = self.graph.cache_inputs
        window = window_of(self.graph.model, self.heads)
        if window not in made:
            made[window] = self._new_inputs(self.room.cells_of_layer(window))
        return made[window]

    def _new_inputs(self, cells: int) -> CacheInputs:
        """The inputs of a cache of so many cells. Without flash attention each value has a place of
        its own.
        """
        graph = self.graph
        value_places = self.tokens
        if not graph.flash:
            value_places *= graph.widest_values
        mask_sides = cells, self.tokens // self.streams, self.streams
        return CacheInputs(
            cells=cells,
            key_places=given(self.tokens, element_bytes=INDEX_BYTES),
            value_places=given(value_places, element_bytes=INDEX_BYTES),
            mask=given(*mask_sides, element_bytes=_mask_bytes(graph)),
            key_rotation=self._key_rotation(),
            value_rotation=self._value_rotation(),
        )

    def _key_rotation(self) -> Node | None:
        """The matrix that rotates keys: as large as the largest power of two that divides them."""
        lengths = {group.key_length for group in self._layers_in_cache()}
        if not _rotates_heads(self.room.key_type, lengths):
            return None
        length = self.heads.key_length
        block = length & -length
        return given(block, block)

    def _value_rotation(self) -> Node | None:
        """The matrix that rotates values."""
        lengths = {group.value_length for group in self._layers_in_cache()}
        if not _rotates_heads(self.room.value_type, lengths):
            return None
        return given(_ROTATED_VALUES, _ROTATED_VALUES)

    def _layers_in_cache(self) -> list[Attention]:
        """The layers in the same cache as these; none where the cache keeps latent rows, which are
        never rotated.
        """
        layers = list[Attention]()
        if self.heads.kind == "latent":
            return layers
        model = self.graph.model
        window = window_of(model, self.heads)
        for group in model.attention:
            if window_of(model, group) == window:
                layers.append(group)
        return layers

    # -------------------------------------------------- what the layer makes of the tokens

    def computed(self, normed: Node) -> Node:
        """W × norm(attended × gate), with the gate and the norm that the model has."""
        projected = self.projected(normed)
        attended = self._attended_in_blocks(projected)
        if self.row.gated_query:
            gate = projected.product.part(*attended.sides)
            attended = attended * gate.copied()
        attended = self.gated(attended, normed)
        if "attn_sub_norm" in self.row.norms:
            attended = self.norm(attended)
        return attended.product(self.width)

    def _attended_in_blocks(self, projected: _Projected) -> Node:
        """Attention to the cache; a quantized one has rotated rows, so the queries are rotated
        alike, and what is attended to is turned back.
        """
        inputs = self.inputs
        queries = _rotated_in_blocks(projected.queries, inputs.key_rotation)
        keys = _rotated_in_blocks(projected.keys, inputs.key_rotation)
        values = _rotated_in_blocks(projected.values, inputs.value_rotation)
        self.expand(queries)
        if self.layer.is_cached:
            self._store(keys, values)
        attended = self.attended(queries)
        return _rotated_in_blocks(attended, inputs.value_rotation)

    def _store(self, keys: Node, values: Node) -> None:
        """Write the rows of the layer into the cache. Layers without rows of their own read those
        of an earlier layer.
        """
        if self.graph.windowed:
            self.expand(keys, values)
        else:
            self.expand(values, keys)
        self.store_keys(keys)
        self._store_values(values)

    def store_keys(self, keys: Node) -> None:
        """Write the keys into the cache (cpy_k in src/llama-kv-cache.cpp, GGML_OP_SET_ROWS)."""
        self._write(keys, self.inputs.key_places)

    def _store_values(self, values: Node) -> None:
        """Write the values into the cache (cpy_v), without flash attention turned and padded."""
        if not self.graph.flash:
            if values.strided:
                values = values.copied()
            widest = self.graph.widest_values
            if self.value_row_length < widest:
                values = fresh((widest, self.tokens), values)
        self._write(values, self.inputs.value_places)

    def _write(self, rows: Node, places: Node) -> None:
        """Write rows to their places in the cache."""
        cache = self.graph.cache
        written = cache.written(rows.view(), places)
        self.expand(written)

    def attended(self, queries: Node) -> Node:
        """The values that the queries attend to, in a row for each token (build_attn_mha)."""
        permuted = queries.permuted()
        if self.graph.flash:
            attended = self._with_flash_attention(permuted)
        else:
            attended = self._with_stored_scores(permuted)
        self.expand(attended)
        return attended

    def _with_flash_attention(self, queries: Node) -> Node:
        """The rows of GGML_OP_FLASH_ATTN_EXT."""
        attended = self.flash_attention(queries)
        return attended.view(*self.output_sides)

    def _with_stored_scores(self, queries: Node) -> Node:
        """The rows of the product of scores and values (GGML_OP_MUL_MAT)."""
        scores = self.scores(queries)
        length, heads, tokens = self.stored_sides
        attended = fresh((length, tokens, heads), scores)
        return fresh(self.output_sides, attended.view())

    def flash_attention(self, queries: Node) -> Node:
        """GGML_OP_FLASH_ATTN_EXT. It reads 16 bits, so a cache of 32 is copied whole."""
        room = self.room
        sources = [queries]
        if room.key_type == "f32":
            sources.append(self._in_16_bits(self.key_row_length))
        if room.value_type == "f32":
            sources.append(self._in_16_bits(self.value_row_length))
        return fresh(self.stored_sides, *sources, self.inputs.mask)

    def _in_16_bits(self, row_length: int) -> Node:
        """A copy of all keys or values of the cache."""
        sides = row_length, self.inputs.cells, self.streams
        return fresh(sides, element_bytes=HALF_BYTES)

    def scores(self, queries: Node) -> Node:
        """softmax(queries × keysᵀ + mask) of all cells (GGML_OP_MUL_MAT, GGML_OP_SOFT_MAX)."""
        sequence_tokens = self.tokens // self.streams
        sides = self.inputs.cells, sequence_tokens, self.count, self.streams
        scores = fresh(sides, queries)
        return scores.softmax(self.inputs.mask)

    def gated(self, attended: Node, normed: Node) -> Node:
        """Attention times a gate, where the model has one: a number for each element, or one for
        each head.
        """
        if not self.row.attention_gate:
            return attended
        if self.row.attention_gate == "element":
            gate = normed.product(attended.sides[0])
            return attended * gate
        gate = normed.product(self.count)
        by_head = attended.view(*self.attended_sides)
        gated = by_head * gate.view()
        return gated.view(*attended.sides)


def _rotates_heads(type: str, lengths: set[int]) -> bool:
    """Whether a cache of that type rotates heads of these lengths: only where it is quantized, and
    the heads of all its layers have one length that blocks divide (`attn_rot_k` and
    `n_embd_head_k_all` in src/llama-kv-cache.cpp).
    """
    if type in _UNQUANTIZED or len(lengths) != 1:
        return False
    return lengths.pop() % _ROTATED_VALUES == 0


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
    rotated = fresh(sides, rotation, rows)
    return rotated.view(*tensor.sides)


# ---------------------------------------------------------------------- latent attention


class _LatentAttention(_CachedAttention):
    """Multi-head latent attention, of which the cache keeps one row of a token, key and value at
    once: a latent part, and a part that positions rotate (DeepSeek-V2, arXiv:2405.04434;
    src/models/deepseek2.cpp).
    """

    def __init__(self, graph: Graph, layer: Layer, heads: Attention) -> None:
        super().__init__(graph, layer, heads)
        self.latent_length = heads.latent_length or 0
        self.rope_length = heads.rope_length or 0
        self.key_row_length = heads.latent_row_length
        self.value_row_length = self.latent_length
        self.query_sides = self.key_row_length, self.count, self.tokens
        self.key_sides = self.key_row_length, 1, self.tokens
        self.stored_sides = self.latent_length, self.count, self.tokens

    def computed(self, normed: Node) -> Node:
        """W × gate × attended. A row of the cache is (norm(latent), rope(place)), two parts of one
        product.
        """
        product = normed.product(self.key_row_length)
        latent = product.part(self.latent_length, self.tokens)
        place = product.part(self.rope_length, 1, self.tokens)
        rotated = self._rotated(place)
        latent = self.norm(latent)
        values = latent.view()
        queries = self._queries(normed)
        keys = fresh(self.key_sides, values, rotated)
        self.expand(queries, values, keys)
        self.store_keys(keys)
        attended = self.attended(queries)
        attended = self.gated(attended, normed)
        return attended.product(self.width)

    def _rotated(self, tensor: Node) -> Node:
        """The part of a row that positions rotate, where the model rotates any."""
        if self.style.rope == "none":
            return tensor
        return tensor.rotated(self.graph.positions)

    def _queries(self, normed: Node) -> Node:
        """Queries that meet a latent row: (W_keysᵀ × query, rope(place)) of each head, two parts of
        one product.
        """
        narrow_length = self.heads.query_latent_length
        if narrow_length:
            # through a narrow matrix in large models
            narrow = normed.product(narrow_length)
            normed = self.norm(narrow)
        head_length = self.heads.key_length + self.rope_length
        product = normed.product(self.count * head_length)
        heads = product.view()
        place = heads.part(self.rope_length, self.count, self.tokens)
        rotated = self._rotated(place)
        query = heads.part()
        absorbed_sides = self.latent_length, self.tokens, self.count
        absorbed = fresh(absorbed_sides, query.view())
        return fresh(self.query_sides, absorbed.view(), rotated)

    def _with_flash_attention(self, queries: Node) -> Node:
        """The latent values that are attended to, multiplied out, and turned to rows."""
        latent = self.flash_attention(queries)
        length, heads, tokens = self.attended_sides
        unpacked = fresh((length, tokens, heads), latent.view())
        turned = fresh(self.attended_sides, unpacked.view())
        return turned.view(*self.output_sides)

    def _with_stored_scores(self, queries: Node) -> Node:
        """The same of stored scores, for which the latent rows are turned first."""
        turned = self._turned_latents()
        scores = self.scores(queries)
        length, heads, tokens = self.stored_sides
        latent = fresh((length, tokens, heads), turned, scores)
        unpacked = latent.product(self.heads.value_length)
        return fresh(self.output_sides, unpacked.view())

    def _turned_latents(self) -> Node:
        """The latent values of the cache with their cells in a row."""
        element_bytes = HALF_BYTES
        if self.room.key_type == "f32":
            element_bytes = FLOAT_BYTES
        sides = self.inputs.cells, self.latent_length, self.streams
        return fresh(sides, element_bytes=element_bytes)


# ---------------------------------------------------------------------- attention without a cache


class _BatchAttention(_Attention):
    """Attention of an encoder to the tokens of one batch (llm_graph_input_attn_no_cache)."""

    def computed(self, normed: Node) -> Node:
        """W × attended."""
        projected = self.projected(normed)
        self.expand(projected.queries, projected.keys, projected.values)
        if self.graph.flash:
            attended = self._with_flash_attention(projected)
        else:
            attended = self._with_scores(projected)
        self.expand(attended)
        return attended.product(self.width)

    def _mask(self) -> Node:
        """Which tokens of a batch see each other, made once for all layers with a window, and for
        all without.
        """
        masks = self.graph.batch_masks
        window = self.heads.window_tokens
        if window not in masks:
            sides = self.tokens, self.tokens
            masks[window] = given(*sides, element_bytes=_mask_bytes(self.graph))
        return masks[window]

    def _with_flash_attention(self, projected: _Projected) -> Node:
        """GGML_OP_FLASH_ATTN_EXT, which reads 16 bits."""
        queries = projected.queries.permuted()
        keys = self._in_16_bits(projected.keys)
        values = self._in_16_bits(projected.values)
        mask = self._mask()
        attended = fresh(self.attended_sides, queries, keys, values, mask)
        return attended.view(*self.output_sides)

    def _in_16_bits(self, tensor: Node) -> Node:
        """A copy of keys or values, each head's tokens in a row."""
        length, heads, tokens = self.key_sides
        sides = length, tokens, heads
        return fresh(sides, tensor.view(), element_bytes=HALF_BYTES)

    def _with_scores(self, projected: _Projected) -> Node:
        """softmax(queries × keysᵀ + mask) × values, which are turned."""
        length, heads, tokens = self.attended_sides
        keys = projected.keys.view()
        queries = projected.queries.permuted()
        products = fresh((tokens, tokens, heads), keys, queries)
        scores = products.softmax(self._mask())
        values = projected.values.permuted()
        turned_sides = tokens, length, self.heads.kv_heads
        turned = fresh(turned_sides, values)
        attended = fresh((length, tokens, heads), turned, scores)
        return fresh(self.output_sides, attended.view())
