"""What may be worse with the model that is proposed in the place of another: sentences from sourced
facts. No score stands for quality, for nobody measured both on what the reader does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..catalogue.offers import Offer
from ..catalogue.quality import Quality
from ..catalogue.spec import ModelSpec


def risks(
    spec: ModelSpec,
    other: ModelSpec,
    quality: Quality | None,
    context_tokens: int | None,
    offers: Iterable[Offer],
) -> tuple[str, ...]:
    """What is known to speak against `other` in the place of `spec`, the weightiest first.

    `quality` is what the quantization of `other` costs, `context_tokens` what it is judged with,
    `offers` those of `spec`.
    """
    sentences = []
    if other.id != spec.id:
        sentences += [
            f"{other.name} is another model than {spec.name}: compare both on your own prompts.",
            *_of_models(spec, other),
        ]
    if quality is not None:
        sentences.append(f"In {quality.quantization} {quality.text}.")
    longest = max((offer.context_tokens or 0 for offer in offers), default=0)
    if context_tokens is not None and context_tokens < longest:
        sentences.append(
            f"It is costed with {context_tokens:,} tokens of context, and the API takes"
            f" {longest:,}: --context judges more."
        )
    return tuple(sentences)


def _of_models(spec: ModelSpec, other: ModelSpec) -> Iterator[str]:
    """Where the other model is smaller, older or reads less, by what their specs state."""
    size, less = spec.parameters.total, other.parameters.total
    if size is not None and less is not None and less < size:
        yield f"It has {less / 1e9:,.1f} of {size / 1e9:,.1f} billion parameters."
    if is_older(other.released, spec.released):
        yield f"It is older: released {other.released}, {spec.name} {spec.released}."
    missing = [kind for kind in spec.inputs or () if kind not in (other.inputs or ())]
    if missing and other.inputs is not None:
        yield f"It does not read {' or '.join(f'{kind}s' for kind in missing)}, {spec.name} does."


def is_older(day: str | None, than: str | None) -> bool:
    """Whether `day` is surely before `than`; both may be a day, a month or a year."""
    if day is None or than is None:
        return False
    digits = min(len(day), len(than))
    return day[:digits] < than[:digits]
