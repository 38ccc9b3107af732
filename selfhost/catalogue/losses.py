"""What a quantization cost one model, as somebody measured it with a file of that model
(`specs/common/quant_losses.toml`). What types cost in general is in `judge/quality.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from ..core.records import DATE, Stated, read_by
from ..core.tables import shipped_record

DIVERGENCE = "divergence"
SCORE = "score"


class MeasuredLoss(Stated):
    """The loss of one file: a row of the table, whose header explains each field.

    `value` is a mean KL divergence, 0 for no loss, or percent in a test; then `before` is that of
    the 16-bit weights.
    """

    model: str
    quantization: str
    publisher: str = ""
    measure: str = read_by(choices=(DIVERGENCE, SCORE))
    value: float
    before: float | None = read_by(default=None)
    test: str = ""
    independent: bool = True
    date: str = read_by(form=DATE, default="")
    source: str

    @property
    def text(self) -> str:
        """The figure in words: `MMLU-Pro 84.4 % instead of 86 %`, `a mean KL divergence of 0.025
        (bartowski's file)`.
        """
        if self.measure == SCORE:
            figure = f"{self.test} {self.value:g} % instead of {self.before:g} %"
        else:
            figure = f"a mean KL divergence of {self.value:.2g}"
        if not self.publisher:
            return figure
        if not self.independent:
            return f"{figure}, says {self.publisher}, which made the file"
        return f"{figure} ({self.publisher}'s file)"


class LossesTable(Stated):
    """`specs/common/quant_losses.toml`."""

    schema: int
    loss: tuple[MeasuredLoss, ...]


@cache
def _by_model() -> Mapping[tuple[str, str], tuple[MeasuredLoss, ...]]:
    """The rows of each model and quantization."""
    table = shipped_record(LossesTable, "quant_losses")
    by_model: dict[tuple[str, str], tuple[MeasuredLoss, ...]] = {}
    for row in table.loss:
        key = row.model, row.quantization
        earlier = by_model.get(key, ())
        by_model[key] = (*earlier, row)
    return by_model


def losses_of(model: str, quantization: str) -> tuple[MeasuredLoss, ...]:
    """What was measured with files of that model in that quantization; () where nothing was."""
    return _by_model().get((model, quantization), ())
