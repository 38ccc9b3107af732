"""What a quantization costs in quality: the measured figure of
`specs/common/quantizations.toml`, and the word that follows from it.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..core.records import Record
from ..core.workload import Workload
from .index import Catalogue
from .spec import ModelSpec

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

NOT_MEASURED, AS_PUBLISHED = "not measured", "as published"


# what bitsandbytes makes of the frozen weights at load, whatever they were published in; as counted
# in needs/finetune.py
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
    text: str = "what it costs in quality was not found measured"
    loss_percent: float | None = None
    measure: str | None = None
    model: str | None = None
    figure: str | None = None
    source: str | None = None
    worth_having: bool = True


def quality_of(quantization: str, shelf: Catalogue, spec: ModelSpec | None = None) -> Quality:
    """What is known of it; groups of another size than usual are taken for the usual ones, and the
    text says so.

    `spec`: the model, where one is meant. What it was published in costs nothing against what was
    published.
    """
    made = spec.architecture if spec is not None else None
    known = shelf.common("quantizations")
    entries: Mapping[str, Any] = known["quantization"]
    entry = entries.get(quantization)
    like = ""
    if entry is None:
        base = quantization.rpartition("-")[0]
        entry = entries.get(base) if quantization.endswith(("g", "-channel")) else None
        like = f"as {base}, whose groups are of another size: " if entry is not None else ""
    # of files that others quantized the type is theirs, and not that of what was published
    published = made is not None and spec is not None and spec.quantized is None
    own = (
        (made.expert_dtype or made.matrix_dtype or made.dtype)
        if made is not None and published
        else None
    )
    if own is not None and quantization in (own, *_SAME_AS.get(own, ())):
        text = "the model was published in this type: nothing is lost against it"
        return Quality(
            quantization=quantization,
            cost=AS_PUBLISHED,
            text=text,
            source=entry.get("source") if entry else None,
        )
    if entry is None:
        return Quality(quantization=quantization)
    loss, source = entry.get("loss_percent"), entry.get("source")
    if loss is None:
        text = like + entry["note"]
        return Quality(
            quantization=quantization,
            text=text,
            source=source,
            worth_having=entry.get("worth_having", True),
        )
    measure = entry["measure"]
    word = next(one for one in known["word"] if loss < one.get(f"{measure}_below", float("inf")))
    more = f"{loss:g} % more perplexity" if measure == "perplexity" else f"{loss:g} % less score"
    measured = (
        f"{more}, measured with {entry['model']}"
        if loss
        else f"no change, measured with {entry['model']}"
    )
    text = f"{like}{word['text']}" + (f": {measured}" if entry["model"] != "any" else "")
    if spec is not None and spec.modality not in _MEASURED and entry["model"] != "any":
        return Quality(
            quantization=quantization,
            text=(
                f"what it costs {spec.modality} models was not found measured; with text models it"
                f" is {text}"
            ),
            figure=entry["figure"],
            source=source,
            worth_having=word.get("worth_having", True),
        )
    return Quality(
        quantization=quantization,
        cost=word["word"],
        text=text,
        loss_percent=float(loss),
        measure=measure,
        model=entry["model"],
        figure=entry["figure"],
        source=source,
        worth_having=word.get("worth_having", True),
    )


def quality_for(workload: Workload, shelf: Catalogue, spec: ModelSpec) -> Quality | None:
    """That of the weights which the task computes with; None where the workload names none."""
    method = workload.finetune_method if workload.task == "finetune" else None
    quantization = _TRAINED_THROUGH.get(method or "", workload.quantization)
    return (
        quality_of(quantization, shelf, spec)
        if quantization is not None and workload.quantization is not None
        else None
    )


def loss_by_size(shelf: Catalogue) -> tuple[str, str]:
    """How the cost depends on the model, and the source of that."""
    size = shelf.common("quantizations")["size"]
    return size["text"], size["source"]
