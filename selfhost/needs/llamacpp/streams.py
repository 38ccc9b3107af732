"""Hy4's layers, as llama.cpp's allocator sees them: read from src/models of llama.cpp 0c1e570."""

from __future__ import annotations

from ...catalogue.spec import Architecture
from ..tensors import ArchitectureRow
from .allocator import LOGITS_ROWS, Section, Tensor
from .graph_base import Layer
from .layers import Builder


class Streams(Builder):
    """Hy4: parallel streams, whose weighted sum attention and feed-forward read, and to each of
    which they add.
    """

    @staticmethod
    def writes(model: Architecture, row: ArchitectureRow) -> bool:
        """Whether every layer has latent attention."""
        return not model.recurrent and all(group.kind == "latent" for group in model.attention)

    @property
    def streams_beside(self) -> int:
        return self.model.altup_inputs or 1

    def stand_in(self, side: int) -> Tensor:
        tensor = Tensor((4, self.width, self.streams_beside, self.tokens), ())
        tensor.placed = True
        return tensor

    def before(self) -> Section:
        record, tokens = self.record, self.tokens
        record.moment = "the look-up of the tokens"
        embeddings = record.result((self.width, tokens), record.input(tokens))
        record.expand(embeddings)
        record.expand(record.input(self.width, tokens))
        return record.section(
            (), record.result((self.width, self.streams_beside, tokens), record.view(embeddings))
        )

    def mixed(self, streams: Tensor, side: int, ways: int) -> list[Tensor]:
        """Weights of the streams, so many of each."""
        record, beside = self.record, self.streams_beside
        flat = record.over((beside * self.width, side), record.view(streams))
        weights = record.result((ways * beside, side), flat)
        if ways == 1:
            return [record.over((beside, side), weights)]
        return [
            record.over((beside, side), record.view(weights, strided=True)) for _ in range(ways)
        ]

    def summed(self, streams: Tensor, weights: Tensor, side: int) -> Tensor:
        record, sides = self.record, (self.width, side)
        copied = record.result((self.width, self.streams_beside, side), streams)
        total: Tensor | None = None
        for _ in range(self.streams_beside):
            part = record.over(
                sides, record.view(copied, strided=True), record.view(weights, strided=True)
            )
            total = part if total is None else record.over(sides, total, part)
        return record.result(sides, total)

    def added(self, output: Tensor, streams: Tensor, weights: Tensor) -> Tensor:
        record, tokens, beside = self.record, self.tokens, self.streams_beside
        sides = self.width, tokens
        copies = (
            record.result(sides, output),
            record.result((beside, tokens), weights),
            record.result((self.width, beside, tokens), streams),
        )
        joined: Tensor | None = None
        for number in range(1, beside + 1):
            part = record.over(sides, copies[0], record.view(copies[1], strided=True))
            part = record.view(record.over(sides, record.view(copies[2], strided=True), part))
            joined = (
                part
                if joined is None
                else record.result((self.width, number, tokens), joined, part)
            )
        return record.result((self.width, beside, tokens), joined)

    def layer(self, layer: Layer, residual: Tensor) -> Tensor:
        record, tokens = self.record, self.tokens
        assert layer.heads is not None
        assert layer.wide is not None
        record.moment = "the attention"
        before, after = self.mixed(residual, tokens, 2)
        attended = self.latent(
            layer.heads, self.norm(self.summed(residual, before, tokens), self.width, tokens)
        )
        residual = self.added(attended, residual, after)
        record.moment = "the feed-forward"
        before, after = self.mixed(residual, tokens, 2)
        fed_forward = self.feed_forward(
            layer.wide, self.norm(self.summed(residual, before, tokens), self.width, tokens), tokens
        )
        return self.added(fed_forward, residual, after)

    def after(self) -> Section:
        record, width = self.record, self.width
        record.moment = "the output matrix"
        entry = self.stand_in(self.tokens)
        hidden = record.view(
            record.result((width * self.streams_beside, LOGITS_ROWS), record.view(entry), self.rows)
        )
        (weights,) = self.mixed(hidden, LOGITS_ROWS, 1)
        hidden = self.norm(self.summed(hidden, weights, LOGITS_ROWS), width, LOGITS_ROWS)
        hidden.kept = True
        logits = record.result(
            (self.model.vocabulary_gguf or self.model.vocabulary or 0, LOGITS_ROWS), hidden
        )
        logits.kept = True
        return record.section((entry,), logits)
