"""Qwen3-TTS' talker, as llama.cpp's allocator sees it: read from src/models/qwen3vl.cpp of
llama.cpp 0c1e570.
"""

from __future__ import annotations

from .allocator import LOGITS_ROWS, Section, Tensor
from .graph_base import Layer
from .layers import Builder

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ...catalogue.spec import Architecture, Attention, Recurrent
    from ..tensors import ArchitectureRow


class Qwen3TTS(Builder):
    """The output matrix gives logits of the codes of speech; those of text are filled in, as
    early as the last layer allows.
    """

    ending = False
    filled: Tensor | None = None

    @staticmethod
    def writes(model: Architecture, row: ArchitectureRow) -> bool:
        """Whether there are tokens of text beside the codes."""
        return (
            model.vocabulary_gguf or model.vocabulary or 0
        ) > row.spoken_vocabulary and Builder.writes(model, row)

    @property
    def text_vocabulary(self) -> int:
        return (
            self.model.vocabulary_gguf or self.model.vocabulary or 0
        ) - self.row.spoken_vocabulary

    def step(self, number: int, layers: list[Layer], handed: bool) -> Section:
        self.ending = layers[0].last
        if not self.ending:
            return super().step(number, layers, handed)
        entry = self.stand_in(self.tokens)
        total = self.layer(layers[0], entry)
        assert self.filled is not None
        return self.record.section((entry,), total, self.filled)

    def mix(
        self,
        heads: Attention | None,
        state: Recurrent | None,
        normed: Tensor,
        rotated: bool,
        cached: bool = True,
    ) -> Tensor:
        attended = super().mix(heads, state, normed, rotated, cached)
        if self.ending:
            record = self.record
            self.filled = record.result((self.text_vocabulary, LOGITS_ROWS), record.result((1,)))
            record.expand(self.filled)
        return attended

    def after(self) -> Section:
        record, width = self.record, self.width
        record.moment = "the output matrix"
        entry, filled = (
            self.stand_in(LOGITS_ROWS),
            Tensor((4, self.text_vocabulary, LOGITS_ROWS), ()),
        )
        filled.placed = True
        hidden = self.norm(entry, width, LOGITS_ROWS)
        hidden.kept = True
        spoken = record.result((self.row.spoken_vocabulary, LOGITS_ROWS), hidden)
        logits = record.result(
            (self.text_vocabulary + self.row.spoken_vocabulary, LOGITS_ROWS), filled, spoken
        )
        logits.kept = True
        return record.section((entry, filled), logits)
