"""What a quantization costs in quality.

`quality_of` takes the name of a quantization, and the model where there is one. It returns the
measured loss of `specs/common/quantizations.toml`, with a sentence that says it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import GENERATING, SAME_TYPES
from ..core.records import Record, read_by
from ..core.tables import shipped_rows
from ..core.workload import Workload

NOT_MEASURED, AS_PUBLISHED, NEGLIGIBLE = "not measured", "as published", "negligible"
# nobody notices the loss
LOSSLESS = (AS_PUBLISHED, NEGLIGIBLE)
# what bitsandbytes makes of the frozen weights at load, whatever they were published in; as counted
# in needs/training.py
_TRAINED_THROUGH = {"qlora": "nf4-double"}


class Quality(Record):
    """What one quantization costs: `cost` is a word of the file's scale, `text` a sentence.

    `loss_percent` is how much worse than 16-bit weights `model` became by `measure`; None where
    nobody measured it. `worth_having` is False for what one takes only where nothing else fits.
    The table states all but the `quantization`, which is the name of its row.
    """

    quantization: str = ""
    cost: str = read_by(default=NOT_MEASURED)
    text: str = read_by(default="no measurement of its quality loss is known")
    loss_percent: float | None = read_by(default=None)
    measure: str | None = read_by(default=None)
    model: str | None = read_by(default=None)
    figure: str | None = read_by(default=None)
    source: str | None = read_by(default=None)
    worth_having: bool = read_by(default=True)

    @property
    def warning(self) -> str | None:
        """What one must know before anything else; None for what is worth having."""
        return None if self.worth_having else f"{self.quantization}: {self.text}"


@cache
def _measured() -> Mapping[str | int, Quality]:
    """The rows of the table, by quantization."""
    return shipped_rows(Quality, "quantizations", "quantization")


def quality_of(quantization: str, spec: ModelSpec | None = None) -> Quality:
    """What is known of a quantization: of any model, or of the model `spec`.

    Groups of another size than usual count as the usual ones. The type that the model was
    published in costs nothing.
    """
    quality = _of_any_model(quantization)
    if spec is None:
        return quality
    if _is_published_in(spec, quantization):
        return Quality(
            quantization=quantization,
            cost=AS_PUBLISHED,
            text="no loss: the model was published in this type",
            source=quality.source,
        )
    # the figures are of models that write a text
    if spec.modality in GENERATING:
        return quality
    if quality.model in (None, "any"):
        return quality
    return quality.replace(
        text=f"in text models {quality.text}; not measured in {spec.modality}",
        cost=NOT_MEASURED,
        loss_percent=None,
        measure=None,
        model=None,
    )


def _of_any_model(quantization: str) -> Quality:
    """What is known of the quantization in models that write a text."""
    measured = _measured()
    if quantization in measured:
        return measured[quantization].replace(quantization=quantization)
    if quantization.endswith(("g", "-channel")):
        # awq-64g: a name with the size of its groups
        usual, _, _ = quantization.rpartition("-")
        if usual in measured:
            quality = measured[usual]
            text = f"like {usual}, but with another group size: {quality.text}"
            return quality.replace(quantization=quantization, text=text)
    return Quality(quantization=quantization)


def _is_published_in(spec: ModelSpec, quantization: str) -> bool:
    """Whether the publisher stored the weights in that type; False of what others quantized."""
    model = spec.architecture
    if model is None or spec.quantized is not None:
        return False
    stored = model.expert_dtype or model.matrix_dtype or model.dtype
    if stored is None:
        return False
    return quantization in (stored, *SAME_TYPES.get(stored, ()))


def quality_of_workload(
    workload: Workload,
    spec: ModelSpec,
    *,
    is_halved: bool = False,
) -> Quality | None:
    """The quality of the weights that the task computes with; None where it names no type.

    `is_halved`: files of 32 bits are loaded in 16.
    """
    if workload.quantization is None:
        return None
    if is_halved:
        return quality_of("bfloat16", spec)
    quantization = workload.quantization
    if workload.task == "finetune":
        method = workload.finetune_method or ""
        quantization = _TRAINED_THROUGH.get(method, quantization)
    return quality_of(quantization, spec)
