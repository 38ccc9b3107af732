"""The API route: which offers count for a question, this model's own or those of a named stand-in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence

from .catalogue import Catalogue
from .errors import SelfhostError
from .findings import Finding, Outcome, license_check, openness_check
from .offers import Offer
from .spec import ModelSpec
from .verdict import Judged, Question

# a retired model's replacement may be retired itself
MOST_SUCCESSORS = 4

OffersOf = Callable[[str], Sequence[Offer]]


def usable_offers(
    question: Question,
    judged: Judged,
    shelf: Catalogue,
    offers_of: OffersOf,
    was_priced: OffersOf,
    *,
    today: str,
    priced_on: str,
    met: MutableMapping[str, bool] | None = None,
) -> tuple[Offer, ...]:
    """The offers that meet what was asked, this model's own first; those of a stand-in only where it has none and cannot run here.

    None under `private`, nor for fine-tuning, which these prices do not cover. Where a context was asked for, an offer counts
    only if it states at least that much and the model can use it; where a license or openness was asked for, only if the
    model it serves meets that. A closed model that is not retired is offered by its provider, though no price be known.
    `offers_of` gives the offers for a model's id, `was_priced` those that have ended as well; `priced_on` is the day of the snapshot.
    `met` holds by id whether a model meets the license and openness asked for; whoever asks of many models under the same
    needs gives one mapping for all, and what is found is kept in it.
    """
    if question.workload.private or question.workload.task == "finetune":
        return ()
    offers = offers_of(question.spec.id) or _by_its_provider(question.spec, today, priced_on, was_priced)
    kept = _long_enough(question, question.spec, offers) if offers and meets(judged.findings) else ()
    if kept or not judged.failed:
        return kept
    met = {} if met is None else met
    for model_id, closed in _stand_ins(question.spec, shelf):
        # what nobody serves stands in for nothing, and most models are served by nobody
        if met.get(model_id) is False or (not closed and not offers_of(model_id)):
            continue
        spec = _read(shelf, model_id)
        if spec is None:
            continue
        if model_id not in met:
            asked = (license_check(spec, question.workload), openness_check(spec, question.workload))
            met[model_id] = meets(finding for finding in asked if finding)
        if met[model_id]:
            offers = offers_of(model_id) or _by_its_provider(spec, today, priced_on, was_priced)
            if kept := _long_enough(question, spec, offers):
                return tuple(offer.replace(stands_in=True) for offer in kept)
    return ()


def meets(findings: Iterable[Finding]) -> bool:
    """No finding of the license or the openness is `fail` or `unknown`: what was asked of the model itself is met."""
    decided = (Outcome.FAIL, Outcome.UNKNOWN)
    return not any(finding.check in ("license", "openness") and finding.outcome in decided for finding in findings)


def _by_its_provider(spec: ModelSpec, today: str, priced_on: str, was_priced: OffersOf) -> tuple[Offer, ...]:
    """A closed model in service, without a price: that it is served is what makes it a closed model's API."""
    served = spec.availability
    if not spec.closed or served is None or (served.retired is not None and served.retired <= today) or was_priced(spec.id):
        return ()
    source = spec.sources.get("availability", "its spec")
    return (Offer(provider=served.provider, model=spec.id, model_id=spec.id, as_of=priced_on, source=f"{source}; no price known"),)


def _long_enough(question: Question, spec: ModelSpec, offers: Sequence[Offer]) -> tuple[Offer, ...]:
    """Those of the model's offers that serve the context, where one was asked for."""
    wanted = question.workload.context_tokens if question.context_asked else None
    if wanted is None:
        return tuple(offers)
    architecture = spec.architecture
    longest = max(architecture.context_tokens or 0, architecture.scaled_context_tokens or 0) if architecture else 0
    if longest and wanted > longest:
        return ()
    return tuple(offer for offer in offers if offer.context_tokens is not None and offer.context_tokens >= wanted)


def _stand_ins(spec: ModelSpec, shelf: Catalogue) -> Iterator[tuple[str, bool]]:
    """What stands in for a model, by id and whether it is closed, or may be.

    Its successors one after another, then its family's next larger ones, then any next larger one.
    """
    seen = {spec.id}
    current: ModelSpec | None = spec
    for _ in range(MOST_SUCCESSORS):
        if current is None:
            break
        successor = (current.availability.successor if current.availability else None) or current.upkeep.superseded_by
        current = _read(shelf, successor) if successor and successor not in seen else None
        if current is not None:
            seen.add(current.id)
            yield current.id, current.closed
    if spec.closed:
        yield from _beside_closed(spec, shelf, seen)
        return
    size = spec.parameters.total
    if size is None:
        return
    larger = [
        outline
        for outline in shelf.outlines()
        if outline.id not in seen and not outline.closed and outline.modality == spec.modality and (outline.parameters_total or 0) >= size
    ]
    for outline in sorted(larger, key=lambda outline: (outline.family != spec.family, outline.parameters_total or 0, outline.id)):
        yield outline.id, False


def _beside_closed(spec: ModelSpec, shelf: Catalogue, seen: set[str]) -> Iterator[tuple[str, bool]]:
    """The same line's other models, the newest first, then the nearest open-weight models that somebody hosts."""
    line = [
        outline
        for outline in shelf.outlines()
        if outline.closed and outline.id not in seen and outline.family == spec.family and outline.modality == spec.modality
    ]
    for outline in sorted(line, key=lambda outline: (outline.released or "", outline.id), reverse=True):
        yield outline.id, True
    for model_id in spec.availability.open_alternatives if spec.availability else ():
        yield model_id, False


def _read(shelf: Catalogue, model_id: str) -> ModelSpec | None:
    """A spec that is not there or is broken stands in for nothing; the verdict itself does not depend on it."""
    try:
        return shelf.spec(model_id)
    except SelfhostError:
        return None
