"""Kimi K3's layers, as llama.cpp's allocator sees them: read from src/models/kimi-k3.cpp of
llama.cpp 0c1e570.
"""

from __future__ import annotations

from .allocator import LOGITS_ROWS, Section, Tensor
from .graph_base import Layer
from .graph_recurrence import Recurring


class KimiK3(Recurring):
    """Every `banked_layers` layers the model stores the residual and starts a new one. A layer
    reads a weighted sum of the stored residuals and the current one.
    """

    kept = 0
    keeping = False
    scores: Tensor | None = None

    def stage(self, layer: int) -> tuple[int, bool]:
        """How many residuals are stored, and whether this layer stores one more: layers of one kind
        that differ in these have different graphs.
        """
        every = self.row.banked_layers
        self.kept, self.keeping = -(-layer // every), layer % every == 0
        return self.kept, self.keeping

    def before(self) -> Section:
        record, width, tokens = self.record, self.width, self.tokens
        record.moment = "the look-up of the tokens"
        embeddings = record.result((width, tokens), record.input(tokens))
        record.expand(embeddings)
        record.expand(record.input(width, tokens))
        section = record.section(())
        record.share(embeddings)
        self.bank = embeddings
        return section

    def step(self, number: int, layers: list[Layer], handed: bool) -> Section:
        """One layer. The next layer's norm reads the scores of the stored residuals before it reads
        the residual, so they are computed before the last sum.
        """
        entry = self.stand_in(self.tokens)
        self.scores = self.given_scores() if self.kept else None
        entries = (entry,) if self.scores is None else (entry, self.scores)
        total = self.layer(layers[0], entry)
        scores = self.scored(self.kept + self.keeping)
        self.record.expand(scores)
        return self.record.section(entries, total, scores)

    def given_scores(self) -> Tensor:
        tensor = Tensor((4, self.kept, self.tokens), ())
        tensor.placed = True
        return tensor

    def scored(self, kept: int) -> Tensor:
        """A score of the norm of each stored residual."""
        record = self.record
        assert self.bank is not None
        return record.result(
            (kept, self.tokens),
            record.result((self.width, kept, self.tokens), record.view(self.bank)),
        )

    def layer(self, layer: Layer, residual: Tensor) -> Tensor:
        record, sides = self.record, (self.width, self.tokens)
        record.moment = "the attention" if layer.heads is not None else "the recurrence"
        assert self.bank is not None
        if not self.kept:
            # the first layer keeps the embeddings themselves
            residual = self.bank
        read = residual if self.scores is None else self.mixed(residual, self.kept, self.scores)
        kept = self.kept
        if self.keeping:
            kept += 1
            if self.kept:
                self.bank = record.result(
                    (self.width, kept, self.tokens), record.view(self.bank), record.view(residual)
                )
        normed = self.norm(read, *sides)
        record.expand(normed)
        attended = self.mix(layer.heads, layer.state, normed, layer.rotated)
        total = attended if self.keeping else record.over(sides, residual, attended)
        record.moment = "the feed-forward"
        assert layer.wide is not None
        fed_forward = self.feed_forward(
            layer.wide, self.norm(self.mixed(total, kept, self.scored(kept)), *sides), self.tokens
        )
        return record.over(sides, total, fed_forward)

    def mixed(self, residual: Tensor, kept: int, scores: Tensor) -> Tensor:
        """The stored residuals and the current one, weighted by the scores of their norms."""
        record, width, tokens = self.record, self.width, self.tokens
        assert self.bank is not None
        own = record.result((1, tokens), record.result((width, tokens), residual))
        shares = record.result((kept + 1, tokens), record.view(scores), own)
        banked = record.result(
            (width, tokens),
            record.view(self.bank),
            record.result((kept, tokens), record.view(shares, strided=True)),
        )
        beside = record.over(
            (width, tokens), residual, record.result((1, tokens), record.view(shares, strided=True))
        )
        return record.over((width, tokens), banked, beside)

    def activated(self, sides: tuple[int, ...], gate: Tensor, up: Tensor) -> Tensor:
        """SiTU takes several operations: the activation of the gate, then the product with `up`."""
        record = self.record
        return record.over(sides, record.over(sides, record.result(sides, gate), gate), up)

    def after(self) -> Section:
        record, width = self.record, self.width
        record.moment = "the output matrix"
        self.stage(self.model.layers)
        entry, scores = self.stand_in(self.tokens), self.given_scores()
        hidden = record.result(
            (width, LOGITS_ROWS), self.mixed(entry, self.kept, scores), self.rows
        )
        hidden = self.norm(hidden, width, LOGITS_ROWS)
        hidden.kept = True
        logits = record.result(
            (self.model.vocabulary_gguf or self.model.vocabulary or 0, LOGITS_ROWS), hidden
        )
        logits.kept = True
        return record.section((entry, scores), logits)
