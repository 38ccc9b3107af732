"""How llama.cpp computes attention, as the allocator sees it: src/llama-graph.cpp and
src/models of llama.cpp 0c1e570.
"""

from __future__ import annotations

from ...catalogue.spec import Attention
from .allocator import CHOSEN, FULL_CELLS, WINDOW_CELLS, Tensor
from .buffers import window_of
from .graph_base import Graph, Shared

# a quantized cache is rotated in blocks, those of the keys as large as the heads allow
_ROTATION = 64


class Attending(Graph):
    """Keys and values in a cache, latent ones, indexers, and attention without a cache."""

    def shared(self, heads: Attention, value_width: int) -> Shared:
        """The inputs of these layers; made once for all layers with the same cells."""
        record, tokens = self.record, self.tokens
        cells = FULL_CELLS if window_of(self.model, self.row, heads) is None else WINDOW_CELLS
        latent = heads.kind == "latent"
        key = cells, heads.key_length
        if key not in self.attending:
            block = _ROTATION
            while heads.key_length % (2 * block) == 0:
                block *= 2
            rotated = [
                kind == "quantized" and not latent and length % _ROTATION == 0
                for kind, length in zip(
                    self.stored, (heads.key_length, heads.value_length), strict=True
                )
            ]
            self.attending[key] = Shared(
                cells=cells,
                key_places=record.input(tokens, width=8),
                value_places=record.input(tokens if self.flash else tokens * value_width, width=8),
                mask=record.input(
                    cells, tokens // self.streams, self.streams, width=2 if self.flash else 4
                ),
                key_rotation=record.input(block, block) if rotated[0] else None,
                value_rotation=record.input(_ROTATION, _ROTATION) if rotated[1] else None,
                key_block=block,
            )
        return self.attending[key]

    def attention(
        self, heads: Attention, normed: Tensor, rotated: bool, cached: bool = True
    ) -> Tensor:
        record, tokens, count, value = self.record, self.tokens, heads.heads, heads.value_length
        unpacked = heads.kind == "full" and heads.latent_length
        queries, keys, values, joined = (
            self.unpacked(heads, normed) if unpacked else self.projected(heads, normed, rotated)
        )
        if self.row.encoder:
            return self.without_cache(heads, queries, keys, values)
        widest = self.widest_values(heads)
        shared = self.shared(heads, widest)
        queries, keys, values = self.turned(heads, shared, queries, keys, values)
        for tensor in (queries, keys, values) if self.windowed else (queries, values, keys):
            if cached or tensor is queries:
                record.expand(tensor)
        if cached:
            self.into_the_cache(heads, shared, keys, values, widest)
        widths = heads.kv_heads * heads.key_length, heads.kv_heads * value
        looked = self.look(shared, queries, count, value, widths)
        record.expand(looked)
        if shared.value_rotation is not None:
            looked = self.hadamard(looked, count * value * tokens, shared.value_rotation, _ROTATION)
        if self.row.gated_query:
            sides = count * heads.key_length, tokens
            gate = record.result(sides, record.view(joined, strided=True))
            looked = record.over(sides, looked, gate)
        looked = self.gated(looked, normed, count, value)
        if "attn_sub_norm" in self.row.norms:
            looked = self.norm(looked, count * value, tokens)
        return record.result((self.width, tokens), looked)

    def widest_values(self, heads: Attention) -> int:
        """Elements of a row of values: without flash attention all are as wide as the widest."""
        if self.flash:
            return heads.kv_heads * heads.value_length
        return max(group.kv_heads * group.value_length for group in self.model.attention)

    def turned(
        self, heads: Attention, shared: Shared, queries: Tensor, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated to meet a quantized cache; as they are for any other."""
        tokens, size, groups = self.tokens, heads.key_length, heads.kv_heads
        rotation, block = shared.key_rotation, shared.key_block
        if rotation is not None:
            queries = self.hadamard(queries, heads.heads * size * tokens, rotation, block)
            keys = self.hadamard(keys, groups * size * tokens, rotation, block)
        if shared.value_rotation is not None:
            elements = groups * heads.value_length * tokens
            values = self.hadamard(values, elements, shared.value_rotation, _ROTATION)
        return queries, keys, values

    def into_the_cache(
        self, heads: Attention, shared: Shared, keys: Tensor, values: Tensor, widest: int
    ) -> None:
        """`widest`: elements of a row of values in the cache."""
        record, tokens, length = self.record, self.tokens, heads.kv_heads * heads.value_length
        record.expand(record.elsewhere(record.view(keys), shared.key_places))
        if not self.flash and values.strided:
            values = record.result((length, tokens), values)
        if length < widest:
            values = record.result((widest, tokens), values)
        record.expand(record.elsewhere(record.view(values), shared.value_places))

    def projected(
        self, heads: Attention, normed: Tensor, rotated: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Queries, keys and values; and the matrix product that holds the queries."""
        record, tokens = self.record, self.tokens
        count, groups, size, value = (
            heads.heads,
            heads.kv_heads,
            heads.key_length,
            heads.value_length,
        )
        norm = heads.query_key_norm or self.model.query_key_norm or self.row.query_key_norm
        if self.fused:
            joined = record.result(((count + groups) * size + groups * value, tokens), normed)
            queries, keys, values = (record.view(joined, strided=True) for _ in range(3))
        else:
            joined = record.result(
                (count * size * (2 if self.row.gated_query else 1), tokens), normed
            )
            queries, keys = joined, record.result((groups * size, tokens), normed)
            if norm == "full":
                queries = self.norm(queries, count * size, tokens)
                keys = self.norm(keys, groups * size, tokens)
            values = record.view(
                keys if heads.values_from_keys else record.result((groups * value, tokens), normed)
            )
            queries, keys = record.view(queries, strided=self.row.gated_query), record.view(keys)
        if norm in ("head", "per_head"):
            queries = self.norm(queries, size, count, tokens)
            keys = self.norm(keys, size, groups, tokens)
        if self.style.values_normed:
            values = self.norm(values, value, groups, tokens)
        if rotated:
            queries = record.over((size, count, tokens), queries, self.positions)
            keys = record.over((size, groups, tokens), keys, self.positions)
        elif self.temperature is not None:
            queries = record.over((size, count, tokens), queries, self.temperature)
        return queries, keys, values, joined

    def unpacked(self, heads: Attention, normed: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The same of a compressed key and value, cached as they are of plain attention."""
        record, tokens, count, size = self.record, self.tokens, heads.heads, heads.key_length
        rope, latent, value = heads.rope_length or 0, heads.latent_length or 0, heads.value_length
        queries = record.view(
            record.result((count * size, tokens), self.packed_queries(heads, normed))
        )
        queries = record.over((size, count, tokens), queries, self.positions)
        joined = record.result((latent + rope, tokens), normed)
        packed = self.norm(record.view(joined, strided=True), latent, tokens)
        both = record.result((count * (size - rope + value), tokens), packed)
        values = record.view(record.result((value, count, tokens), record.view(both, strided=True)))
        turned = record.over((rope, 1, tokens), record.view(joined, strided=True), self.positions)
        keys = record.result(
            (size, count, tokens),
            record.view(both, strided=True),
            record.result((rope, count, tokens), turned),
        )
        return queries, keys, values, joined

    def packed_queries(self, heads: Attention, normed: Tensor) -> Tensor:
        """What the query matrix reads: the norm, or a compressed query."""
        if not heads.query_latent_length:
            return normed
        sides = heads.query_latent_length, self.tokens
        return self.norm(self.record.result(sides, normed), *sides)

    def gated(self, looked: Tensor, normed: Tensor, count: int, value: int) -> Tensor:
        """What attention gives, scaled by a matrix of its own."""
        record, tokens = self.record, self.tokens
        if self.row.attention_gate == "element":
            return record.over(
                (count * value, tokens), looked, record.result((count * value, tokens), normed)
            )
        if self.row.attention_gate != "head":
            return looked
        gate = record.view(record.result((count, tokens), normed))
        if self.style.gate_apart:
            gate = record.over((1, count, tokens), gate)
        looked = record.over((value, count, tokens), record.view(looked), gate)
        return (
            record.result((count * value, tokens), looked)
            if self.style.gate_apart
            else record.view(looked)
        )

    def without_cache(
        self, heads: Attention, queries: Tensor, keys: Tensor, values: Tensor
    ) -> Tensor:
        """Attention among the tokens of one batch, as encoders do it."""
        record, tokens, count = self.record, self.tokens, heads.heads
        for tensor in (queries, keys, values):
            record.expand(tensor)
        windowed = heads.window_tokens is not None
        if windowed not in self.encoded:
            self.encoded[windowed] = record.input(tokens, tokens, width=2 if self.flash else 4)
        mask = self.encoded[windowed]
        queries = record.view(record.view(queries))
        if self.flash and not self.row.relative_positions:
            halved = (
                record.result(
                    (heads.key_length, tokens, heads.kv_heads), record.view(tensor), width=2
                )
                for tensor in (keys, values)
            )
            looked = record.view(
                record.result((heads.value_length, count, tokens), queries, *halved, mask)
            )
        else:
            scores = record.result((tokens, tokens, count), record.view(keys), queries)
            if self.row.relative_positions:
                if self.distances is None:
                    self.distances = record.input(tokens, tokens)
                far = record.result((count, tokens, tokens), record.view(self.distances))
                far = record.result(
                    (tokens, tokens, count), record.view(record.view(far), strided=True)
                )
                scores = record.over((tokens, tokens, count), scores, far)
            scores = record.over((tokens, tokens, count), scores, mask)
            turned = record.result(
                (tokens, heads.value_length, heads.kv_heads), record.view(record.view(values))
            )
            looked = record.result((heads.value_length, tokens, count), turned, scores)
            looked = record.result((count * heads.value_length, tokens), record.view(looked))
        record.expand(looked)
        return record.result((self.width, tokens), looked)

    def hadamard(self, tensor: Tensor, elements: int, rotation: Tensor, block: int) -> Tensor:
        """A rotation in blocks; rows that do not follow each other are copied first, and a
        single one does.
        """
        record, sides = self.record, (block, elements // block)
        rows = (
            record.result(sides, tensor)
            if tensor.strided and self.tokens > 1
            else record.view(tensor)
        )
        return record.view(record.result(sides, rotation, rows))

    def look(
        self,
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
        record, tokens, streams = self.record, self.tokens, self.streams
        queries = record.view(record.view(queries))
        if self.flash:
            # it reads 16 bits: a cache of 32 is copied whole
            halved = [
                record.result((width, shared.cells, streams), width=2)
                for width, kind in zip(widths, self.stored, strict=True)
                if kind == "32 bits"
            ]
            attended = record.result((value, count, tokens), queries, *halved, shared.mask)
            if unpacked:
                attended = record.result((unpacked, tokens, count), record.view(attended))
                attended = record.result((unpacked, count, tokens), record.view(attended))
            return record.view(attended)
        scores = record.result((shared.cells, tokens // streams, count, streams), queries)
        scores = record.over((shared.cells, tokens // streams, count, streams), scores, shared.mask)
        # the latent row is key and value, so the values have to be turned
        turned = (
            record.result(
                (shared.cells, value, streams), width=4 if self.stored[0] == "32 bits" else 2
            )
            if unpacked
            else None
        )
        attended = record.result((value, tokens, count), turned, scores)
        if unpacked:
            attended = record.result((unpacked, tokens, count), attended)
        return record.result((count * (unpacked or value), tokens), record.view(attended))

    def latent(self, heads: Attention, normed: Tensor) -> Tensor:
        record, tokens = self.record, self.tokens
        count, rope, latent = heads.heads, heads.rope_length or 0, heads.latent_length or 0
        shared = self.shared(heads, 0)
        queries = self.packed_queries(heads, normed)
        if heads.indexer_heads:
            self.chosen = self.indexed(heads, normed, queries)
        queries = record.view(record.result((count * (heads.key_length + rope), tokens), queries))
        joined = record.result((latent + rope, tokens), normed)
        packed, rotated = record.view(joined, strided=True), record.view(joined, strided=True)
        unrotated = self.style.rope == "none"
        if not unrotated:
            rotated = record.over((rope, 1, tokens), rotated, self.positions)
        packed = self.norm(packed, latent, tokens)
        plain, turned = record.view(queries, strided=True), record.view(queries, strided=True)
        if not unrotated:
            turned = record.over((rope, count, tokens), turned, self.positions)
        absorbed = record.result((latent, tokens, count), record.view(plain))
        queries = record.result((latent + rope, count, tokens), record.view(absorbed), turned)
        values = record.view(packed)
        keys = record.result((latent + rope, 1, tokens), values, rotated)
        for tensor in (queries, values, keys):
            record.expand(tensor)
        record.expand(record.elsewhere(record.view(keys), shared.key_places))
        if self.chosen is not None and heads.window_tokens is None:
            shared = shared.replace(mask=self.chosen_alone(shared.mask, self.chosen))
        looked = self.look(
            shared, queries, count, latent, (latent + rope, latent), heads.value_length
        )
        record.expand(looked)
        return record.result(
            (self.width, tokens), self.gated(looked, normed, count, heads.value_length)
        )

    def indexed(self, heads: Attention, normed: Tensor, packed: Tensor) -> Tensor:
        """Scores every cell by keys of the indexer's own, which it keeps, and names the highest."""
        record, tokens, streams = self.record, self.tokens, self.streams
        count, size = heads.indexer_heads or 1, heads.indexer_length or 0
        if self.indexer is None:
            mask = record.input(FULL_CELLS, tokens // streams, streams, width=2)
            self.indexer = record.input(size, size), record.input(tokens, width=8), mask
        rotation, places, mask = self.indexer
        queries = record.view(record.result((count * size, tokens), packed))
        queries = record.over((size, count, tokens), queries, self.positions)
        keys = record.view(record.result((size, tokens), record.result((size, tokens), normed)))
        keys = record.over((size, 1, tokens), keys, self.positions)
        queries = record.result((size, count, tokens), rotation, queries)
        keys = record.result((size, 1, tokens), rotation, keys)
        record.expand(record.elsewhere(record.view(keys), places))
        weights = record.over((count, tokens), record.view(record.result((count, tokens), normed)))
        scores = record.result(
            (FULL_CELLS, tokens // streams, streams), record.view(queries), weights, mask
        )
        return record.result((CHOSEN, tokens), record.result((CHOSEN, tokens), scores))

    def chosen_alone(self, mask: Tensor, chosen: Tensor) -> Tensor:
        """A mask of the cells that were chosen, and of what the usual one hides."""
        record, tokens, streams, width = (
            self.record,
            self.tokens,
            self.streams,
            2 if self.flash else 4,
        )
        sides = FULL_CELLS, tokens // streams, streams
        hidden = record.over(sides, mask, width=width)
        zeros = record.over((CHOSEN, tokens), record.input(CHOSEN, tokens, each=True))
        opened = record.within(hidden, zeros, record.view(chosen), record.view(hidden))
        return record.over(sides, record.view(opened), mask, width=width)
