"""What stands in for a model that nobody offers, in which order, and why."""

from __future__ import annotations

from collections.abc import Iterator

from ..catalogue.index import Catalogue, Outline
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import BASE

# a retired model's replacement may be retired itself
MOST_SUCCESSORS = 4
_BY_PUBLISHER = "the successor its publisher names"
_BY_JUDGEMENT = "its successor in this catalogue's judgement, not by its publisher's word"
_SAME_LINE = "the newest model of the same line"
_NAMED = "the closest open-weight model that its spec names"
_LARGEST = "the largest open-weight model"


def stand_ins(spec: ModelSpec, catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """What stands in for a model, by id, and why: the first that is offered and meets what was
    asked is taken.

    Its successors, the one that nothing follows before those on the way to it. Then, of an open
    one, those as large or larger for the same kind of input, in this order: not superseded, made
    for the same purpose, a base model or none as it is, of the same family, the nearest in size.
    How large a closed one is nobody knows: there it is the other models of its provider's line, the
    newest first, then the open-weight ones that its spec names, then any, the largest first; of
    each, those made for the same purpose first, and what is superseded after all that is not.
    """
    own = catalogue.outline(spec.id)
    purpose = own.purpose if own is not None else "general"
    seen = {spec.id}
    others = _beside_closed if spec.closed else _as_large
    for group in (_followers(own, catalogue), others(spec, purpose, catalogue)):
        for outline, why in group:
            if outline.id in seen:
                continue
            seen.add(outline.id)
            is_aside = why not in (_BY_PUBLISHER, _BY_JUDGEMENT) and outline.purpose != purpose
            yield outline.id, f"{why}, but not made for {purpose}" if is_aside else why


def _followers(own: Outline | None, catalogue: Catalogue) -> Iterator[tuple[Outline, str]]:
    """Its successors as far as specs name them, the one that nothing follows first."""
    if own is None:
        return
    chain = [own]
    while len(chain) <= MOST_SUCCESSORS:
        after = catalogue.outline(chain[-1].next or "")
        if after is None or after in chain:
            break
        chain.append(after)
    for place in sorted(range(1, len(chain)), key=lambda place: chain[place].next is not None):
        is_judged = any(outline.next_is_judged for outline in chain[:place])
        yield chain[place], _BY_JUDGEMENT if is_judged else _BY_PUBLISHER


def _as_large(spec: ModelSpec, purpose: str, catalogue: Catalogue) -> Iterator[tuple[Outline, str]]:
    """Open models as large as an open one or larger."""
    size, outlines = spec.parameters.total, catalogue.outlines()
    bases = {each.id for each in outlines if not each.closed and BASE in (each.uses or ())}
    if size is None:
        return

    def rank(outline: Outline) -> tuple[bool, ...]:
        return (
            outline.superseded_by is not None,
            outline.purpose != purpose,
            (outline.id in bases) != (spec.id in bases),
            outline.family != spec.family,
        )

    larger = [
        outline
        for outline in catalogue.open_by_size()
        if outline.modality == spec.modality and (outline.parameters_total or 0) >= size
    ]
    for outline in sorted(larger, key=rank):
        why = "an open-weight model as large or larger"
        yield outline, why + (" of its family" if outline.family == spec.family else "")


def _beside_closed(
    spec: ModelSpec, purpose: str, catalogue: Catalogue
) -> Iterator[tuple[Outline, str]]:
    """What may stand in for a closed model behind its successors, and what each is to it."""

    def rank(outline: Outline) -> tuple[bool, bool]:
        return outline.superseded_by is not None, outline.purpose != purpose

    named = spec.availability.open_alternatives if spec.availability else ()
    same = [outline for outline in catalogue.outlines() if outline.modality == spec.modality]
    line = [outline for outline in same if outline.closed and outline.family == spec.family]
    line.sort(key=lambda outline: (outline.released or "", outline.id), reverse=True)
    largest = [each for each in catalogue.open_by_size()[::-1] if each.modality == spec.modality]
    yield from ((outline, _SAME_LINE) for outline in sorted(line, key=rank))
    for outline in map(catalogue.outline, catalogue.current_first(named)):
        if outline is not None:
            yield outline, _NAMED
    yield from ((outline, _LARGEST) for outline in sorted(largest, key=rank))
