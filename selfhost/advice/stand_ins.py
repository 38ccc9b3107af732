"""What stands in for a model that nobody offers, in which order, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..catalogue.index import Catalogue
from ..catalogue.outlines import Outline
from ..catalogue.spec import ModelSpec

# a retired model's replacement may be retired itself
MOST_SUCCESSORS = 4
_SAME_LINE = "the newest model of the same line"
_NAMED = "the closest open-weight model that its spec names"
_LARGEST = "the largest open-weight model"
_LARGER, _SAME_SIZE = "the next larger open-weight model", "an open-weight model of the same size"
_BY_JUDGEMENT = "its successor in this catalogue's judgement, not by its publisher's word"
_ORDER_BY_JUDGEMENT = "the order is this catalogue's judgement, not its publisher's word"


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
    for outline, why in _followers(own, catalogue):
        seen.add(outline.id)
        yield outline.id, why
    others = _beside_closed if spec.closed else _as_large
    for outline, why in others(spec, purpose, catalogue):
        if outline.id in seen:
            continue
        seen.add(outline.id)
        if purpose != "general":
            made_for_it = outline.purpose == purpose
            why += f" for {purpose}" if made_for_it else f", but not made for {purpose}"
        if outline.superseded_by:
            why += f" (superseded by {outline.superseded_by})"
        yield outline.id, why


def _followers(own: Outline | None, catalogue: Catalogue) -> Iterator[tuple[Outline, str]]:
    """Its successors as far as its spec and theirs name them, and why: the one that nothing follows
    before those on the way to it.
    """
    if own is None:
        return
    chain = [own]
    while len(chain) <= MOST_SUCCESSORS:
        after = catalogue.outline(chain[-1].next or "")
        if after is None or after in chain:
            break
        chain.append(after)
    for place in sorted(range(1, len(chain)), key=lambda place: chain[place].next is not None):
        yield chain[place], _follows(chain[: place + 1])


def _follows(chain: Sequence[Outline]) -> str:
    """How the last of several successors follows the first: what lies between, who says so."""
    is_judged = any(outline.next_is_judged for outline in chain[:-1])
    between = [
        f"{outline.id}{f' (in service until {outline.retired})' if outline.retired else ''}"
        for outline in chain[1:-1]
    ]
    if not between:
        return _BY_JUDGEMENT if is_judged else "the successor its publisher names"
    over = f"the last of its successors, after {', then '.join(between)}"
    if is_judged:
        return f"{over}; {_ORDER_BY_JUDGEMENT}"
    return f"{over}, as the publisher names them"


def _as_large(spec: ModelSpec, purpose: str, catalogue: Catalogue) -> Iterator[tuple[Outline, str]]:
    """Open models as large as an open one or larger, and what each is to it."""
    size, bases = spec.parameters.total, catalogue.base_ids()
    if size is None:
        return
    is_base = spec.id in bases
    larger = [
        (
            outline.superseded_by is not None,
            outline.purpose != purpose,
            (outline.id in bases) != is_base,
            outline.family != spec.family,
            place,
            outline,
        )
        for place, outline in enumerate(catalogue.open_by_size())
        if outline.modality == spec.modality and (outline.parameters_total or 0) >= size
    ]
    for *_, outline in sorted(larger, key=lambda each: each[:-1]):
        why = _SAME_SIZE if outline.parameters_total == size else _LARGER
        if outline.family == spec.family:
            why += " of its family"
        if outline.id in bases and not is_base:
            why += ", a base model without instruction tuning"
        yield outline, why


def _beside_closed(
    spec: ModelSpec, purpose: str, catalogue: Catalogue
) -> Iterator[tuple[Outline, str]]:
    """What may stand in for a closed model behind its successors, and what each is to it."""
    named = spec.availability.open_alternatives if spec.availability else ()
    same = [outline for outline in catalogue.outlines() if outline.modality == spec.modality]
    line = [outline for outline in same if outline.closed and outline.family == spec.family]
    line.sort(key=lambda outline: (outline.released or "", outline.id), reverse=True)
    largest = [each for each in catalogue.open_by_size()[::-1] if each.modality == spec.modality]
    for outlines, why in ((line, _SAME_LINE), (None, _NAMED), (largest, _LARGEST)):
        if outlines is None:
            yield from (
                (outline, why)
                for outline in map(catalogue.outline, catalogue.current_first(named))
                if outline is not None
            )
            continue
        # the order is kept among equals
        outlines.sort(key=lambda each: (each.superseded_by is not None, each.purpose != purpose))
        yield from ((outline, why) for outline in outlines)
