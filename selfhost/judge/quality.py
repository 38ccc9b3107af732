"""The loss of quality that a quantization causes.

`quality_of` takes the name of a quantization, and the model if there is one. It returns the
measured loss of `specs/common/quantizations.toml`, with a sentence about it. Where somebody
measured files of that very model, the sentence says so, too. Types are compared by the general
figures alone, for those of one model are of other tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from ..catalogue.losses import losses_of
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import SAME_TYPES
from ..core.records import Record, read_by
from ..core.tables import shipped_rows
from ..core.workload import Workload

NOT_MEASURED = "not measured"
AS_PUBLISHED = "as published"
NEGLIGIBLE = "negligible"
# nobody notices the loss
LOSSLESS = (AS_PUBLISHED, NEGLIGIBLE)
# the type to which bitsandbytes quantizes the frozen weights at load, whatever type was published;
# needs/training.py counts the same type
_TRAINED_THROUGH = {"qlora": "nf4-double"}


class Quality(Record):
    """The quality loss of one quantization: `cost` is a word of the file's scale, `text` a
    sentence.

    `loss_percent` is how much worse than 16-bit weights `model` became by `measure`; None where
    nobody measured the loss. `worth_having` is False for a quantization that is taken only where
    nothing else fits. The table states all fields but `quantization`, which is the name of the row.
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
        """The warning that a user must read first; None for a quantization that is worth having."""
        return None if self.worth_having else f"{self.quantization}: {self.text}"


@cache
def _measured() -> Mapping[str | int, Quality]:
    """The rows of the table, by quantization."""
    return shipped_rows(Quality, "quantizations", "quantization")


def quality_of(
    quantization: str | None,
    spec: ModelSpec | None = None,
) -> Quality:
    """The quality loss of a quantization, measured on any model, or told for the model `spec`. The
    loss of None, where no quantization is known, is not measured.

    A quantization in groups of an unusual size counts as the usual one. The type in which the model
    was published costs nothing.
    """
    if quantization is None:
        return Quality()
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
    # the losses were measured on models that write text
    if spec.writes_text:
        return quality.replace(text=_text_for(quality, spec))
    if quality.model in (None, "any"):
        return quality
    return quality.replace(
        text=f"in text models {quality.text}; not measured in {spec.modality}",
        cost=NOT_MEASURED,
        loss_percent=None,
        measure=None,
        model=None,
    )


def _text_for(quality: Quality, spec: ModelSpec) -> str:
    """The sentence about a quantization for that model, with what was measured of it."""
    measured = [loss.text for loss in losses_of(spec.id, quality.quantization)]
    if not measured:
        return quality.text
    listed = "; ".join(measured)
    return f"{quality.text}; of {spec.id} itself: {listed}"


def _of_any_model(quantization: str) -> Quality:
    """The quality loss that was measured for the quantization in text models."""
    measured = _measured()
    if quantization in measured:
        return measured[quantization].replace(quantization=quantization)
    if quantization.endswith(("g", "-channel")):
        # a name such as awq-64g ends with the size of the groups
        usual, _, _ = quantization.rpartition("-")
        if usual in measured:
            quality = measured[usual]
            text = f"like {usual}, but with another group size: {quality.text}"
            return quality.replace(quantization=quantization, text=text)
    return Quality(quantization=quantization)


def _is_published_in(spec: ModelSpec, quantization: str) -> bool:
    """Whether the publisher stored the weights in that type; False for weights that somebody else
    quantized.
    """
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
    """The quality of the weights that the task computes with; None where the workload names no
    type.

    `is_halved`: files of 32 bits are loaded in 16 bits.
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
