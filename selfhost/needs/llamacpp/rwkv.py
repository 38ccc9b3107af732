"""RWKV's layers, as llama.cpp's allocator sees them: read from src/models/rwkv6-base.cpp and
rwkv7-base.cpp of llama.cpp 0c1e570.
"""

from __future__ import annotations

from ...catalogue.spec import Architecture, FeedForward, Recurrent
from ..tensors import ArchitectureRow
from .allocator import LOGITS_ROWS, Section, Tensor
from .graph_base import Layer
from .layers import Builder


class Rwkv(Builder):
    """A layer mixes each token with the one before it: RWKV 6 and 7, and Qwen 2.5 with their
    recurrence in place of attention.
    """

    @staticmethod
    def writes(model: Architecture, row: ArchitectureRow) -> bool:
        """Whether every layer has this recurrence and none attends."""
        return not model.attention and all("rwkv" in group.kind for group in model.recurrent)

    def stage(self, layer: int) -> tuple[object, ...]:
        """Whether it is the first layer: in RWKV 7 the later ones mix its values in."""
        self.first = layer == 0
        return (self.first,)

    def step(self, number: int, layers: list[Layer], handed: bool) -> Section:
        entry, state = self.stand_in(self.tokens), self.memories[id(layers[0].state)]
        self.given = [
            Tensor((4, elements, self.sequences), ())
            for elements in (state.convolution, state.memory)
        ]
        for tensor in self.given:
            tensor.placed = True
        total = self.layer(layers[0], entry)
        return self.record.section((entry, *self.given), *self.fetched_early(number + 1, total))

    def fetched_early(self, layer: int, result: Tensor) -> tuple[Tensor, ...]:
        """What a section hands over: its result, and the two parts of the next layer's state, which
        are fetched before this layer's feed-forward.
        """
        group = self.early.get(layer)
        if group is None:
            return (result,)
        state, record = self.memories[id(group)], self.record
        parts = [
            record.result((size, self.sequences), record.view(self.states))
            for size in (state.convolution, state.memory)
        ]
        for part in parts:
            record.expand(part)
        return result, *parts

    def layer(self, layer: Layer, residual: Tensor) -> Tensor:
        record, width, tokens = self.record, self.width, self.tokens
        sides, side, state, wide = (width, tokens), tokens, layer.state, layer.wide
        assert state is not None
        assert wide is not None
        record.moment = "the recurrence"
        shifted = record.view(self.given[0])
        normed = record.result(sides, record.view(residual))
        before = record.result(sides, shifted, record.view(normed, strided=True))
        outputs = (self.sixth if state.kind in ("rwkv6", "qrwkv6") else self.seventh)(
            state, normed, before
        )
        channels = state.kind in ("rwkv6", "rwkv7")
        if not channels:
            record.expand(record.elsewhere(record.view(normed, strided=True)))
        entered = record.result(sides, record.view(outputs), record.view(residual))
        record.moment = "the feed-forward"
        if not channels:
            entered = (
                record.result((width, LOGITS_ROWS), record.view(entered), self.rows)
                if layer.last
                else record.view(entered)
            )
            side = LOGITS_ROWS if layer.last else tokens
            return record.over(
                (width, side),
                self.feed_forward(wide, self.norm(entered, width, side), side),
                entered,
            )
        read = record.result(sides, entered)
        before = record.result(sides, shifted, record.view(read, strided=True))
        last = [record.view(tensor, strided=True) for tensor in (normed, read)]
        record.expand(
            record.elsewhere(record.view(record.result((width, 2, self.sequences), *last)))
        )
        parts = [record.view(tensor) for tensor in (entered, read, before)]
        if layer.last:
            side = LOGITS_ROWS
            parts = [record.result((width, side), tensor, self.rows) for tensor in parts]
        entered, read, before = parts
        return record.over((width, side), self.channels(wide, read, before, side), entered)

    def channels(self, wide: FeedForward, read: Tensor, before: Tensor, side: int) -> Tensor:
        record, sides = self.record, (self.width, side)
        change = record.over(sides, before, read)
        gate = None
        if self.row.gate == "channel_mix_gated":
            gate = record.result(sides, record.over(sides, record.over(sides, change), read))
        key = record.result(
            (wide.length, side), record.over(sides, record.over(sides, change), read)
        )
        values = record.result(sides, key)
        return values if gate is None else record.over(sides, gate, values)

    def remembered(self, group: Recurrent, *sources: Tensor) -> Tensor:
        """The outputs, with the new state behind them, which is kept."""
        record = self.record
        size = self.width * self.tokens + self.memories[id(group)].memory * self.sequences
        outputs_and_state = record.result((size,), *sources, record.view(self.given[1]))
        record.expand(record.elsewhere(record.view(outputs_and_state)))
        return record.view(outputs_and_state)

    def narrow(self, rank: int, read: Tensor) -> Tensor:
        """Two matrices with few numbers between them."""
        return self.record.result(
            (self.width, self.tokens), self.record.result((rank, self.tokens), read)
        )

    def sixth(self, group: Recurrent, normed: Tensor, before: Tensor) -> Tensor:
        record, tokens, plain = self.record, self.tokens, group.kind == "rwkv6"
        sides, five = (self.width, tokens), (self.width, tokens, 5)
        mix, decay = (group.ranks or (0, 0))[:2]
        change = record.over(sides, before, normed)
        mixed = record.over(sides, record.result(sides, record.view(change)), record.view(normed))
        mixed = record.result(
            (5 * mix, tokens), record.view(record.result((5 * mix, tokens), mixed))
        )
        mixed = record.over(
            five,
            record.over(five, record.result(five, mixed), record.view(change)),
            record.view(normed),
        )
        mixes = [record.view(mixed, strided=True) for _ in range(5)]
        kept = (group.key_heads or 0) * (group.key_length or 0) or self.width
        keys, values = (record.result((kept, tokens), mixes[number]) for number in (1, 2))
        if kept != self.width:
            keys, values = (record.result(sides, record.view(tensor)) for tensor in (keys, values))
        queries, gate = record.result(sides, mixes[3]), record.result(sides, mixes[4])
        fading = record.view(self.narrow(decay, mixes[0]))
        keys, values, queries = (record.view(tensor) for tensor in (keys, values, queries))
        if not plain:
            keys = record.over(sides, keys, record.over(sides, keys, fading))
        outputs = self.remembered(group, keys, values, queries, fading)
        if plain:
            outputs = record.over(sides, record.view(record.result(sides, outputs)))
        return record.result(sides, record.over(sides, outputs, gate))

    def seventh(self, group: Recurrent, normed: Tensor, before: Tensor) -> Tensor:
        record, tokens = self.record, self.tokens
        sides, heads = (self.width, tokens), self.width // (group.key_length or 1)
        decay, rate, first, gated = (*(group.ranks or ()), 0, 0, 0, 0)[:4]
        number = 6 if gated else 5
        mixed = (self.width, tokens, number)
        change = record.result(mixed, record.over(sides, before, normed))
        mix = record.view(record.over(mixed, record.over(mixed, change), normed), strided=True)
        queries, fading = record.result(sides, mix), self.narrow(decay, mix)
        keys, values = record.result(sides, mix), record.result(sides, mix)
        if self.first:
            self.bank = values
        elif self.bank is not None:
            share = record.over(
                sides, record.over(sides, self.bank, values), self.narrow(first, mix)
            )
            values = record.over(sides, values, share)
        rates = self.narrow(rate, mix)
        turned = record.result(sides, record.view(record.over(sides, keys)))
        scaled = record.over(sides, keys)
        keys = record.over(
            sides, keys, record.over(sides, record.over(sides, rates, scaled), scaled)
        )
        queries, fading, keys, values, rates = (
            record.view(tensor) for tensor in (queries, fading, keys, values, rates)
        )
        outputs = self.remembered(
            group,
            queries,
            fading,
            keys,
            values,
            record.over(sides, turned),
            record.over(sides, turned, rates),
        )
        if self.row.norm_bias:
            outputs = record.over(sides, record.view(record.result(sides, outputs)))
        bonus = record.result((heads, tokens), record.over(sides, keys, queries))
        outputs = record.over(sides, outputs, record.view(record.over(sides, values, bonus)))
        if gated:
            outputs = record.over(sides, outputs, self.narrow(gated, mix))
        return record.result(sides, outputs)
