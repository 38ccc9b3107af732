"""What stands in for a model that nobody offers, in which order, and why."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import lru_cache

from ..catalogue.index import Catalogue
from ..catalogue.outlines import Outline
from ..catalogue.spec import ModelSpec

TYPE_CHECKING = False

if TYPE_CHECKING:
    # parameters, whether something supersedes it, its purpose, whether it is a base model, its
    # family, and itself
    _Standing = tuple[int, bool, str, bool, str | None, Outline]

# a retired model's replacement may be retired itself
MOST_SUCCESSORS = 4


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
    seen = {spec.id}
    for id, why in _followers(own, catalogue):
        seen.add(id)
        yield id, why
    purpose = own.purpose if own is not None else "general"

    if spec.closed:
        for outline, why in _beside_closed(spec, purpose, catalogue):
            if outline.id not in seen:
                seen.add(outline.id)
                yield outline.id, f"{why}{_made_for(outline, purpose)}"
        return
    size = spec.parameters.total
    if size is None:
        return
    bases = catalogue.base_ids()
    for outline in _as_large(spec.id, spec.family, spec.modality, size, purpose, catalogue):
        if outline.id not in seen:
            why = "the next larger open-weight model"
            if outline.parameters_total == size:
                why = "an open-weight model of the same size"
            if outline.family == spec.family:
                why += " of its family"
            if outline.id in bases and spec.id not in bases:
                why += ", a base model without instruction tuning"
            yield outline.id, f"{why}{_made_for(outline, purpose)}"


def _followers(own: Outline | None, catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """Its successors and why, the one that nothing follows before those on the way to it."""
    if own is None:
        return
    chain = _successors(own, catalogue)
    for place in sorted(range(len(chain)), key=lambda place: chain[place].next is not None):
        yield chain[place].id, _follows([own, *chain[: place + 1]])


@lru_cache(256)
def _as_large(
    model_id: str, family: str | None, modality: str, size: int, purpose: str, catalogue: Catalogue
) -> list[Outline]:
    """Open models as large as `size` parameters or larger, in the order in which they stand in."""
    of_modality = _by_modality(catalogue).get(modality, [])
    first = bisect_left(of_modality, size, key=lambda standing: standing[0])
    is_base = model_id in catalogue.base_ids()

    def apart(standing: _Standing) -> tuple[bool, bool, bool, bool]:
        _, is_superseded, its_purpose, is_too, its_family, _ = standing
        return is_superseded, its_purpose != purpose, is_too != is_base, its_family != family

    # the sizes ascend, and sorting keeps their order
    return [standing[-1] for standing in sorted(of_modality[first:], key=apart)]


def _by_modality(catalogue: Catalogue) -> dict[str, list[_Standing]]:
    """The open models of each modality, the smallest first, each with what tells how well it stands
    in.
    """
    by_modality: dict[str, list[_Standing]] | None = catalogue.derived.get("stand-ins")
    if by_modality is None:
        by_modality, bases = {}, catalogue.base_ids()
        for outline in catalogue.open_by_size():
            standing = (
                outline.parameters_total or 0,
                outline.superseded_by is not None,
                outline.purpose,
                outline.id in bases,
                outline.family,
                outline,
            )
            by_modality.setdefault(outline.modality, []).append(standing)
        catalogue.derived["stand-ins"] = by_modality
    return by_modality


def _made_for(outline: Outline, purpose: str) -> str:
    """What follows the reason for a stand-in: its purpose, beside the one wanted, and its age."""
    text = ""
    if purpose != "general":
        made_for_it = outline.purpose == purpose
        text = f" for {purpose}" if made_for_it else f", but not made for {purpose}"
    if outline.superseded_by:
        text += f" (superseded by {outline.superseded_by})"
    return text


def _successors(own: Outline, catalogue: Catalogue) -> list[Outline]:
    """What comes after a model, the next first, as far as its spec and theirs name it."""
    chain = [own]
    while len(chain) <= MOST_SUCCESSORS:
        after = catalogue.outline(chain[-1].next or "")
        if after is None or after in chain:
            break
        chain.append(after)
    return chain[1:]


def _follows(chain: Sequence[Outline]) -> str:
    """How the last of several successors follows the first: what lies between, who says so."""
    judged = [outline.id for outline in chain[:-1] if outline.next_is_judged]
    between = [
        f"{outline.id}{f' (in service until {outline.retired})' if outline.retired else ''}"
        for outline in chain[1:-1]
    ]
    if not between:
        return (
            "its successor in this catalogue's judgement, not by its publisher's word"
            if judged
            else "the successor its publisher names"
        )
    over = f"the last of its successors, after {', then '.join(between)}"
    if not judged:
        return f"{over}, as the publisher names them"
    return f"{over}; the order is this catalogue's judgement, not its publisher's word"


def _beside_closed(
    spec: ModelSpec, purpose: str, catalogue: Catalogue
) -> Iterator[tuple[Outline, str]]:
    """What may stand in for a closed model behind its successors, and what each is to it."""

    def last(outline: Outline) -> tuple[bool, bool]:
        return outline.superseded_by is not None, outline.purpose != purpose

    same = [outline for outline in catalogue.outlines() if outline.modality == spec.modality]
    line = [outline for outline in same if outline.closed and outline.family == spec.family]
    line.sort(key=lambda outline: (outline.released or "", outline.id), reverse=True)
    named = (
        catalogue.outline(id)
        for id in catalogue.current_first(
            spec.availability.open_alternatives if spec.availability else ()
        )
    )
    others = [
        outline
        for outline in reversed(catalogue.open_by_size())
        if outline.modality == spec.modality
    ]
    yield from (
        (outline, "the newest model of the same line") for outline in sorted(line, key=last)
    )
    yield from (
        (outline, "the closest open-weight model that its spec names")
        for outline in named
        if outline is not None
    )
    yield from ((outline, "the largest open-weight model") for outline in sorted(others, key=last))
