"""Gemma 3n's layers, as llama.cpp's allocator sees them: read from src/models/gemma3n.cpp of
llama.cpp 0c1e570.
"""

from __future__ import annotations

from ...catalogue.spec import Architecture
from ..tensors import ArchitectureRow
from .allocator import LOGITS_ROWS, Section, Tensor
from .graph_base import Layer
from .layers import Builder

# Gemma 3n: how many layers have sparse activations, and the width of its low-rank matrices
#
_SPARSE_LAYERS = 10
_LAUREL_RANK = 64


class Alternating(Builder):
    """Gemma 3n: several versions of the hidden state, of which each layer computes one and
    corrects the others.
    """

    sparse_layers = _SPARSE_LAYERS

    @staticmethod
    def writes(model: Architecture, row: ArchitectureRow) -> bool:
        """Whether every layer attends and has a slice of the second token table."""
        return not model.recurrent and bool(model.per_layer_embedding_length)

    @property
    def versions(self) -> int:
        return self.model.altup_inputs or 2

    def stand_in(self, side: int) -> Tensor:
        tensor = Tensor((4, self.width, self.tokens, self.versions), ())
        tensor.placed = True
        return tensor

    def before(self) -> Section:
        record, width, tokens, others = self.record, self.width, self.tokens, self.versions - 1
        self.found = record.result((width, tokens), record.input(tokens))
        record.expand(self.found)
        record.expand(record.input(width, tokens))
        self.look_up_slices(self.model.per_layer_embedding_length or 0)
        added = record.result(
            (width, tokens, others), record.result((width, tokens, others), self.found)
        )
        added = self.scaled(added, record.over((width, tokens), self.found))
        section = record.section(
            (), record.result((width, tokens, self.versions), self.found, added)
        )
        for tensor in (self.embedded, self.found):
            assert tensor is not None
            record.share(tensor)
        return section

    def scaled(self, tensor: Tensor, squares: Tensor) -> Tensor:
        """The other versions, scaled to the magnitude of the first."""
        record, sides = self.record, (self.width, self.tokens, self.versions - 1)
        scaled = record.over(sides, tensor, record.result((1, self.tokens), squares))
        magnitude = record.result((1, *sides[1:]), record.over(sides, tensor))
        return record.over(sides, scaled, magnitude)

    def layer(self, layer: Layer, residual: Tensor) -> Tensor:
        record, width, tokens, versions = self.record, self.width, self.tokens, self.versions
        one_version, every = (width, tokens), (width, tokens, versions)
        assert layer.heads is not None
        assert layer.wide is not None
        turned = record.result((versions, width, tokens), record.view(residual))
        weights = record.result((versions * versions, tokens), self.routed(record.view(residual)))
        predicted = record.result((versions, width, tokens), turned, record.view(weights))
        predicted = record.over(every, record.result(every, record.view(predicted)), residual)
        active = record.view(predicted)
        normed = record.over(one_version, active)
        narrow = record.over(
            one_version,
            record.result(one_version, record.result((_LAUREL_RANK, tokens), normed)),
            normed,
        )
        attended = self.attention(layer.heads, normed, layer.rotated, layer.cached)
        attended = record.over(one_version, record.over(one_version, attended, active), narrow)
        fed_forward = self.sparse(
            layer.wide.length, record.over(one_version, attended), layer.sparse
        )
        fed_forward = record.over(one_version, fed_forward, attended)
        change = record.result(every, record.over(one_version, fed_forward, record.view(predicted)))
        weights = record.result((versions, tokens), self.routed(fed_forward))
        weights = record.result((1, tokens, versions), record.view(weights))
        corrected = record.over(every, record.over(every, change, weights), predicted)
        length = self.model.per_layer_embedding_length or 0
        gate = record.result((length, tokens), record.over(one_version, record.view(corrected)))
        gate = record.over(
            (length, tokens), gate, self.slice_of(length, self.found, layer.deep == 0)
        )
        first = record.over(one_version, record.result(one_version, gate))
        rest = record.over((width, tokens, versions - 1), record.view(corrected), first)
        return record.result(every, record.view(corrected), rest)

    def routed(self, tensor: Tensor) -> Tensor:
        return self.record.result(
            (self.versions, self.tokens), self.record.over((self.width, self.tokens), tensor)
        )

    def sparse(self, length: int, read: Tensor, sparse: bool) -> Tensor:
        """The first layers keep the largest activations alone."""
        record, sides = self.record, (length, self.tokens)
        up, gate = record.result(sides, read), record.result(sides, read)
        if sparse:
            mean = record.result((1, self.tokens), gate)
            spread = record.result((1, self.tokens), record.over(sides, gate, mean))
            gate = record.over(sides, gate, record.over((1, self.tokens), mean, spread))
        return record.result((self.width, self.tokens), record.over(sides, up, gate))

    def after(self) -> Section:
        record, width, tokens, others = self.record, self.width, self.tokens, self.versions - 1
        entry = self.stand_in(tokens)
        unembedded = record.result((width, tokens, others), record.view(entry))
        unembedded = self.scaled(unembedded, record.over((width, tokens), record.view(entry)))
        hidden = record.view(entry)
        for _ in range(others):
            hidden = record.over((width, tokens), hidden, record.view(unembedded))
        hidden = self.norm(
            record.result((width, LOGITS_ROWS), hidden, self.rows), width, LOGITS_ROWS
        )
        hidden.kept = True
        logits = record.result(
            (self.model.vocabulary_gguf or self.model.vocabulary or 0, LOGITS_ROWS), hidden
        )
        logits.kept = True
        return record.section((entry,), logits)
