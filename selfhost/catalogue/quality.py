"""What a quantization costs in quality: the measured figure of
`specs/common/quantizations.toml`, and the word that follows from it.
"""

from __future__ import annotations

from ..core.records import Record
from ..core.workload import Workload
from .index import Catalogue
from .spec import ModelSpec

TYPE_CHECKING = False

if TYPE_CHECKING:
    pass

NOT_MEASURED, AS_PUBLISHED, NEGLIGIBLE = "not measured", "as published", "negligible"


# what bitsandbytes makes of the frozen weights at load, whatever they were published in; as counted
# in needs/training.py
_TRAINED_THROUGH = {"qlora": "nf4-double"}

# a stored type under the names of other formats that hold it as it is
_SAME_AS = {
    "mxfp4": ("MXFP4", "MXFP4-Q8"), "ternary": ("TQ1_0", "TQ2_0"), "float32": ("F32",),
    "bfloat16": ("BF16", "bf16"),
    "float16": ("F16", "fp16"),
}  # fmt: skip
# kinds of model that the figures are of: those that write a text
_MEASURED = ("text", "vision")


class Quality(Record):
    """What one quantization costs. `cost` is a word of the file's scale, NOT_MEASURED, or
    AS_PUBLISHED where the model was made in that type; `text` is a sentence for people.

    `loss_percent` is how much worse than 16-bit weights `model` became by `measure`: `perplexity`
    (its increase) or `score` (the loss of an average of benchmarks); None where nobody measured it,
    as for all models that write no text: of these `text` tells what it costs those that do.
    `worth_having` is False for what one takes only where nothing else fits.
    """

    quantization: str
    cost: str = NOT_MEASURED
    text: str = "no measurement of its quality loss is known"
    loss_percent: float | None = None
    measure: str | None = None
    model: str | None = None
    figure: str | None = None
    source: str | None = None
    worth_having: bool = True

    @property
    def warning(self) -> str | None:
        """What one is told before anything else; None for what is worth having."""
        return None if self.worth_having else f"{self.quantization}: {self.text}"

    @property
    def is_lossless(self) -> bool:
        """Nobody notices a loss."""
        return self.cost in (AS_PUBLISHED, NEGLIGIBLE)


def quality_of(quantization: str, catalogue: Catalogue, spec: ModelSpec | None = None) -> Quality:
    """What is known of it; groups of another size than usual are taken for the usual ones, and the
    text says so.

    `spec`: the model, where one is meant. What it was published in costs nothing against what was
    published.
    """
    facts = catalogue.common("quantizations")
    entry, like = facts["quantization"].get(quantization), ""
    if entry is None and quantization.endswith(("g", "-channel")):
        base = quantization.rpartition("-")[0]
        entry = facts["quantization"].get(base)
        like = f"like {base}, but with another group size: " if entry is not None else ""
    own = _published_type(spec)
    quality = Quality(quantization=quantization, source=entry.get("source") if entry else None)
    if own is not None and quantization in (own, *_SAME_AS.get(own, ())):
        text = "no loss: the model was published in this type"
        return quality.replace(cost=AS_PUBLISHED, text=text)
    if entry is None:
        return quality
    loss, measure = entry.get("loss_percent"), entry.get("measure")
    if loss is None:
        worth_having = entry.get("worth_having", True)
        return quality.replace(text=like + entry["note"], worth_having=worth_having)
    limit = f"{measure}_below"
    word = next(word for word in facts["word"] if loss < word.get(limit, float("inf")))
    text, worth_having = f"{like}{word['text']}", word.get("worth_having", True)
    quality = quality.replace(figure=entry["figure"], worth_having=worth_having)
    if entry["model"] != "any":
        what = "more perplexity" if measure == "perplexity" else "less score"
        change = f"{loss:g} % {what}" if loss else "no change"
        text += f": {change}, measured with {entry['model']}"
        if spec is not None and spec.modality not in _MEASURED:
            known = f"no measurement with {spec.modality} models is known"
            return quality.replace(text=f"{known}; with text models it is {text}")
    cost, model = word["word"], entry["model"]
    return quality.replace(
        cost=cost, text=text, loss_percent=float(loss), measure=measure, model=model
    )


def _published_type(spec: ModelSpec | None) -> str | None:
    """The stored type of what the publisher published; None where others quantized the files,
    whose type is theirs.
    """
    if spec is None or spec.architecture is None or spec.quantized is not None:
        return None
    model = spec.architecture
    return model.expert_dtype or model.matrix_dtype or model.dtype


def quality_for(
    workload: Workload, catalogue: Catalogue, spec: ModelSpec, *, is_halved: bool = False
) -> Quality | None:
    """That of the weights which the task computes with; None where the workload names none.

    `is_halved`: files of 32 bits are loaded in 16.
    """
    method = workload.finetune_method if workload.task == "finetune" else None
    quantization = _TRAINED_THROUGH.get(method or "", workload.quantization)
    if quantization is None or workload.quantization is None:
        return None
    return quality_of("bfloat16" if is_halved else quantization, catalogue, spec)


def loss_by_size(catalogue: Catalogue) -> tuple[str, str]:
    """How the cost depends on the model, and the source of that."""
    size = catalogue.common("quantizations")["size"]
    return size["text"], size["source"]
