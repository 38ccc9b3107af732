"""Gemma 3n's layers, as llama.cpp's allocator sees them: read from src/models/gemma3n.cpp of
llama.cpp 0c1e570.
"""

from __future__ import annotations

from .allocator import Section, Tensor
from .graph_attention import attention
from .graph_base import Layer
from .layers import Builder

# how many layers have sparse activations, and the width of the low-rank matrices
_SPARSE_LAYERS = 10
_LAUREL_RANK = 64


class Gemma3n(Builder):
    """Several versions of the hidden state, of which each layer computes one and corrects the
    others.
    """

    sparse_layers = _SPARSE_LAYERS

    @property
    def versions(self) -> int:
        return self.model.altup_inputs or 2

    def stand_in(self, *sides: int) -> Tensor:
        return super().stand_in(self.tokens, self.versions)

    def before(self) -> Section:
        width, tokens, others = self.width, self.tokens, self.versions - 1
        self.first = self.linear(width, self.input(tokens))
        self.expand(self.first, self.input(width, tokens))
        self.look_up_slices(self.model.per_layer_embedding_length or 0)
        sides = width, tokens, others
        added = self.result(sides, self.result(sides, self.first))
        added = self.scaled(added, self.over((width, tokens), self.first))
        versions = self.result((width, tokens, self.versions), self.first, added)
        section = self.section((), versions)
        assert self.embedded is not None
        self.embedded.shared = self.first.shared = True
        return section

    def scaled(self, tensor: Tensor, squares: Tensor) -> Tensor:
        """The other versions, scaled to the magnitude of the first."""
        sides = self.width, self.tokens, self.versions - 1
        scaled = self.over(sides, tensor, self.linear(1, squares))
        magnitude = self.result((1, *sides[1:]), self.over(sides, tensor))
        return self.over(sides, scaled, magnitude)

    def layer(self, layer: Layer, residual: Tensor) -> Tensor:
        width, tokens, versions = self.width, self.tokens, self.versions
        alone, every = (width, tokens), (width, tokens, versions)
        assert layer.heads is not None
        turned = self.result((versions, width, tokens), self.view(residual))
        weights = self.linear(versions * versions, self.routed(self.view(residual)))
        predicted = self.result((versions, width, tokens), turned, self.view(weights))
        predicted = self.over(every, self.result(every, self.view(predicted)), residual)
        active = self.view(predicted)
        normed = self.over(alone, active)
        narrow = self.over(alone, self.linear(width, self.linear(_LAUREL_RANK, normed)), normed)
        attended = attention(self, layer.heads, normed, layer.rotated, layer.cached)
        attended = self.over(alone, self.over(alone, attended, active), narrow)
        fed_forward = self.over(alone, self.sparse(layer, self.over(alone, attended)), attended)
        change = self.result(every, self.over(alone, fed_forward, self.view(predicted)))
        weights = self.linear(versions, self.routed(fed_forward))
        weights = self.result((1, tokens, versions), self.view(weights))
        corrected = self.over(every, self.over(every, change, weights), predicted)
        length = self.model.per_layer_embedding_length or 0
        gate = self.linear(length, self.over(alone, self.view(corrected)))
        own = self.slice_of(length, self.first, layer.deep == 0)
        gate = self.over((length, tokens), gate, own)
        first = self.over(alone, self.linear(width, gate))
        rest = self.over((width, tokens, versions - 1), self.view(corrected), first)
        return self.result(every, self.view(corrected), rest)

    def routed(self, tensor: Tensor) -> Tensor:
        return self.linear(self.versions, self.over((self.width, self.tokens), tensor))

    def sparse(self, layer: Layer, read: Tensor) -> Tensor:
        """The first layers keep the largest activations alone."""
        assert layer.wide is not None
        sides = layer.wide.length, self.tokens
        up, gate = self.result(sides, read), self.result(sides, read)
        if layer.sparse:
            mean = self.linear(1, gate)
            spread = self.linear(1, self.over(sides, gate, mean))
            gate = self.over(sides, gate, self.over((1, self.tokens), mean, spread))
        return self.linear(self.width, self.over(sides, up, gate))

    def after(self) -> Section:
        width, tokens, others = self.width, self.tokens, self.versions - 1
        entry = self.stand_in()
        unembedded = self.result((width, tokens, others), self.view(entry))
        unembedded = self.scaled(unembedded, self.over((width, tokens), self.view(entry)))
        hidden = self.view(entry)
        for _ in range(others):
            hidden = self.over((width, tokens), hidden, self.view(unembedded))
        hidden = self.norm(self.last_rows(hidden), width, self.logits)
        hidden.kept = True
        logits = self.linear(self.vocabulary, hidden, self.logits)
        logits.kept = True
        return self.section((entry,), logits)
