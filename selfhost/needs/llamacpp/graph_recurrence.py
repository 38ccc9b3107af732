"""How llama.cpp computes layers that keep a state, as the allocator sees them: src/models of
llama.cpp 0c1e570.
"""

from __future__ import annotations

from ...catalogue.spec import Attention, Recurrent
from ..cache import State
from .allocator import Tensor
from .layers import Builder


class Recurring(Builder):
    """Mamba, Mamba 2, Delta, KDA and short convolutions, in all layers or some."""

    def mix(
        self,
        heads: Attention | None,
        state: Recurrent | None,
        normed: Tensor,
        rotated: bool,
        cached: bool = True,
    ) -> Tensor:
        if heads is None and state is not None:
            return self.recurrence(state, normed)
        return super().mix(heads, state, normed, rotated, cached)

    def recurrence(self, group: Recurrent, normed: Tensor) -> Tensor:
        state = self.memories[id(group)]
        match group.kind:
            case "mamba":
                return self.mamba(group, state, normed)
            case "mamba2":
                return self.mamba2(group, state, normed)
            case "delta":
                return self.delta(group, state, normed)
            case "kda":
                return self.kda(group, state, normed)
        return self.convolution(state, normed)

    def fetch(self, elements: int) -> Tensor:
        """The state of each sequence, copied out of the memory that keeps it."""
        fetched, self.fetched = self.fetched, None
        if fetched is None:
            fetched = self.record.result((elements, self.sequences), self.record.view(self.states))
            self.record.expand(fetched)
        return self.record.view(fetched)

    def convolved(self, past: Tensor, channels: int, taps: int, taken: Tensor) -> Tensor:
        """The convolution over the inputs, with the last ones of the past in front. The last of the
        new inputs are stored for the next batch.
        """
        record, each = self.record, self.tokens // self.sequences
        joined = record.result((taps + each, channels, self.sequences), past, taken)
        record.expand(record.elsewhere(record.view(joined, strided=True)))
        return record.result((channels, each, self.sequences), joined)

    def scanned(self, inner: int, memory: int, *sources: Tensor) -> Tensor:
        """The outputs; the new states lie behind them and are stored."""
        record = self.record
        outputs_and_states = record.result(
            (inner * self.tokens + memory * self.sequences,), *sources, record.view(self.states)
        )
        record.expand(outputs_and_states)
        record.expand(record.elsewhere(record.view(outputs_and_states)))
        return record.view(outputs_and_states)

    def mamba(self, group: Recurrent, state: State, normed: Tensor) -> Tensor:
        record, tokens = self.record, self.tokens
        inner, size, rank = (
            group.inner_length or 0,
            group.state_length or 0,
            group.time_step_rank or 0,
        )
        sides = inner, tokens // self.sequences, self.sequences
        past = self.fetch(state.convolution)
        both = record.result((2 * inner, tokens), record.view(normed))
        read = record.view(both, strided=True)
        if group.heads:
            # PLaMo 2: what is read and its gate lie head by head
            both = record.result((2 * inner, tokens), record.view(both))
            read = record.result((inner, tokens), record.view(both, strided=True))
        taken = self.convolved(past, inner, (group.convolution or 1) - 1, record.view(read))
        mixed = record.result((rank + 2 * size, tokens), taken)
        step, keys, queries = (record.view(mixed, strided=True) for _ in range(3))
        if self.row.mamba_norms:
            step = record.over((rank, tokens), step)
            keys, queries = record.over((size, tokens), keys), record.over((size, tokens), queries)
        else:
            step = record.result((rank, tokens), step)
        step = record.result((group.heads or inner, tokens), step)
        outputs = self.scanned(inner, state.memory, record.view(taken), step, keys, queries)
        outputs = record.over(
            sides, outputs, record.over(sides, record.view(taken) if group.heads else taken)
        )
        gated = record.result(sides, record.result(sides, record.view(both, strided=True)), outputs)
        return record.view(record.result((self.width, tokens), gated))

    def mamba2(self, group: Recurrent, state: State, normed: Tensor) -> Tensor:
        record, tokens = self.record, self.tokens
        inner, heads, mixed = (
            group.inner_length or 0,
            group.heads or 1,
            2 * (group.groups or 0) * (group.state_length or 0),
        )
        sides = inner // heads, heads, tokens // self.sequences, self.sequences
        past = self.fetch(state.convolution)
        all_of_it = record.view(record.result((2 * inner + mixed + heads, tokens), normed))
        taken = self.convolved(
            past,
            inner + mixed,
            (group.convolution or 1) - 1,
            record.view(record.view(all_of_it, strided=True)),
        )
        step = record.result((heads, *sides[2:]), record.view(all_of_it, strided=True))
        read, keys, queries = (record.view(taken, strided=True) for _ in range(3))
        outputs = self.scanned(inner, state.memory, read, step, keys, queries)
        outputs = record.over(sides, outputs, record.over(sides, read))
        gated = record.result(
            sides, record.result(sides, record.view(all_of_it, strided=True)), outputs
        )
        if group.norm is not False:
            gated = record.over((inner, tokens), record.view(gated))
        return record.result((self.width, tokens), record.view(gated))

    def convolution(self, state: State, normed: Tensor) -> Tensor:
        record, width = self.record, self.width
        sides = width, self.tokens // self.sequences, self.sequences
        three = record.result((3 * width, *sides[1:]), record.view(normed))
        before, after, read = (record.view(three, strided=True) for _ in range(3))
        taken = record.view(record.over(sides, before, read), strided=True)
        past = self.fetch(state.convolution)
        mixed = self.convolved(past, width, state.convolution // width, taken)
        return record.view(record.result(sides, record.over(sides, after, mixed)))

    def kda(self, group: Recurrent, state: State, normed: Tensor) -> Tensor:
        record, tokens = self.record, self.tokens
        heads, size = group.heads or 1, group.key_length or 0
        inner, sides = heads * size, (size, heads, tokens)
        past = self.fetch(state.convolution)
        parts = []
        for _ in range(3):
            taken = record.view(record.view(record.result((inner, tokens), normed)), strided=True)
            mixed = self.convolved(record.view(past), inner, (group.convolution or 1) - 1, taken)
            parts.append(record.view(record.over((inner, tokens), record.view(mixed))))
        narrow = not self.row.wide_gates
        decay = record.result(
            (inner, tokens), record.result((size, tokens), normed) if narrow else normed
        )
        decay = record.over(sides, record.view(decay))
        rate = record.over((heads, tokens), record.view(record.result((heads, tokens), normed)))
        memory = self.fetch(state.memory)
        queries, keys = (record.over(sides, tensor) for tensor in parts[:2])
        sources = queries, keys, parts[2], record.view(decay), rate, memory
        outputs_and_states = record.result(
            (inner * tokens + state.memory * self.sequences,), *sources
        )
        outputs = record.result(sides, record.view(outputs_and_states))
        record.expand(record.elsewhere(record.view(outputs_and_states)))
        read = record.view(record.view(normed)) if narrow else normed
        gate = record.result(
            (inner, tokens),
            record.result((size, tokens), read) if narrow and not self.row.full_rank_gate else read,
        )
        gate = record.over(sides, record.view(gate))
        gated = record.over(sides, record.over(sides, record.view(outputs)), gate)
        return record.result((self.width, tokens), record.result((inner, tokens), gated))

    def delta(self, group: Recurrent, state: State, normed: Tensor) -> Tensor:
        record, tokens = self.record, self.tokens
        heads, value, key_heads, key = (
            group.heads or 1,
            group.value_length or 0,
            group.key_heads or 1,
            group.key_length or 0,
        )
        each, inner, keys = tokens // self.sequences, heads * value, key_heads * key
        mixed = record.view(record.result((inner + 2 * keys, tokens), normed))
        if self.row.fused_alpha_beta:
            joined = record.view(record.result((2 * heads, tokens), normed))
            rate, decay = (
                record.result((heads, tokens), record.view(joined, strided=True)) for _ in range(2)
            )
        else:
            rate, decay = (
                record.over((heads, tokens), record.view(record.result((heads, tokens), normed)))
                for _ in range(2)
            )
        past = self.fetch(state.convolution)
        taken = self.convolved(
            past, inner + 2 * keys, (group.convolution or 1) - 1, record.view(mixed, strided=True)
        )
        memory = self.fetch(state.memory)
        queries, past_keys, values = (record.view(taken, strided=True) for _ in range(3))
        queries, past_keys = (
            record.result((key, key_heads, each, self.sequences), tensor)
            for tensor in (queries, past_keys)
        )
        if self.row.fused_alpha_beta and key_heads != heads:
            queries, past_keys = (
                record.view(record.result((key, heads, tokens), record.view(tensor)))
                for tensor in (queries, past_keys)
            )
        sources = queries, past_keys, values, record.view(decay), record.view(rate), memory
        outputs_and_states = record.result(
            (inner * tokens + state.memory * self.sequences,), *sources
        )
        record.expand(record.elsewhere(record.view(outputs_and_states)))
        sides = value, heads, each, self.sequences
        gate = record.over(sides, record.view(record.result((inner, tokens), normed)))
        gated = record.over(sides, record.over(sides, record.view(outputs_and_states)), gate)
        return record.view(record.result((self.width, tokens), record.view(gated)))
