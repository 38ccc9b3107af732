"""The API route: which offers count for a question, this model's own or those of a named
stand-in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping, Sequence
from functools import partial

from ..catalogue.index import Catalogue
from ..catalogue.offers import Offer, offers_of, snapshot_day
from ..catalogue.spec import Architecture, ModelSpec
from ..core.errors import SelfhostError
from ..core.workload import Workload
from ..verdict.findings import Finding, Outcome, license_check, openness_check
from ..verdict.record import Judged, Question

OffersOf = Callable[[str], Sequence[Offer]]


def usable_offers(
    question: Question,
    judged: Judged,
    catalogue: Catalogue,
    offers_of: OffersOf,
    was_priced: OffersOf,
    *,
    today: str,
    priced_on: str,
    met: MutableMapping[str, bool] | None = None,
) -> tuple[Offer, ...]:
    """The offers that meet what was asked, this model's own first; those of a stand-in only where
    it has none and cannot run here.

    None under `private`, nor for fine-tuning, which these prices do not cover. Where a context was
    asked for, an offer counts only if it states at least that much and the model can use it; where
    a license or openness was asked for, only if the model it serves meets that. A closed model that
    is not retired is offered by its provider, though no price be known. `offers_of` gives the
    offers for a model's id, `was_priced` those that have ended as well; `priced_on` is the day of
    the snapshot. `met` holds by id whether a model meets the license and openness asked for;
    whoever asks of many models under the same needs gives one mapping for all, and what is found is
    kept in it.
    """
    if question.workload.private or question.workload.task == "finetune":
        return ()
    met = {} if met is None else met
    offers_served: tuple[Offer, ...] = ()

    own_id = published_id(question.spec, catalogue)

    def serves(model_id: str) -> bool:
        nonlocal offers_served
        if met.get(model_id) is False:
            return False
        offers, is_own = offers_of(model_id), model_id == own_id
        if not offers and not is_own and not catalogue.is_closed(model_id):
            # what nobody serves stands in for nothing, and most models are served by nobody
            return False
        spec = question.spec if is_own else _read(catalogue, model_id)
        offers_served = ()
        if spec is not None:
            offers = offers or _by_its_provider(spec, today, priced_on, was_priced)
            offers_served = _long_enough(question, spec, offers)
        return bool(offers_served)

    server = whose_offers(
        _as_published(question.spec, own_id),
        catalogue,
        serves,
        partial(_complies, catalogue, question.workload, met),
        own=own_id is not None and meets(judged.findings),
        instead=judged.failed,
    )
    if server is None:
        return ()
    served_id, why_instead = server
    if why_instead is not None:
        is_known = own_id is not None
        reason = _why_instead(question.spec, served_id, why_instead, catalogue, is_known=is_known)
        return _with_reason(offers_served, reason, stands_in=True)
    return _of_own(question, judged, offers_served, own_id)


def _of_own(
    question: Question, judged: Judged, offers_served: tuple[Offer, ...], own_id: str | None
) -> tuple[Offer, ...]:
    """Offers for the very model; where files were named that fail, with what ties them to it."""
    if not judged.failed or not _of_files(question.spec):
        return offers_served
    reason = f"The offers are for {own_id}, which these files match in name and layers."
    return _with_reason(offers_served, reason, stands_in=False)


def _as_published(spec: ModelSpec, published: str | None) -> ModelSpec:
    """The spec under the id of the catalogue's model that it is; "" where there is none, for no id
    is the same.
    """
    return spec if published == spec.id else spec.replace(id=published or "")


def _with_reason(offers: Sequence[Offer], reason: str, *, stands_in: bool) -> tuple[Offer, ...]:
    """The offers of another model than was asked for, each with why."""
    return tuple(
        offer.replace(stands_in=stands_in or offer.stands_in, why_instead=reason)
        for offer in offers
    )


def _complies(
    catalogue: Catalogue, workload: Workload, met: MutableMapping[str, bool], model_id: str
) -> bool:
    """Whether a model meets the license and openness asked for; kept in `met`."""
    if model_id not in met:
        spec = catalogue.spec(model_id)
        model_findings = (license_check(spec, workload), openness_check(spec, workload))
        met[model_id] = meets(finding for finding in model_findings if finding)
    return met[model_id]


def offers_for(
    catalogue: Catalogue,
    question: Question,
    judged: Judged,
    today: str,
    met: MutableMapping[str, bool] | None = None,
) -> tuple[Offer, ...]:
    """As `usable_offers`, of the shipped prices."""
    priced = partial(offers_of, catalogue.offers_path, today=today)
    ever = partial(offers_of, catalogue.offers_path, today="")
    priced_on = snapshot_day(catalogue.offers_path)
    return usable_offers(
        question, judged, catalogue, priced, ever, today=today, priced_on=priced_on, met=met
    )


def _why_instead(
    spec: ModelSpec, served_id: str, why: str, catalogue: Catalogue, *, is_known: bool
) -> str:
    """Why offers of another model are shown. `is_known`: the catalogue has the model itself."""
    if not is_known and _alike(spec, _read(catalogue, served_id)):
        return (
            f"The offers are for {served_id}, which has the same layers as {spec.id}. The files do"
            " not say whether it is the same model or a fine-tune."
        )
    return (
        f"No known API offers {spec.id} under these conditions. The offers are for {served_id},"
        f" {why}."
    )


def whose_offers(
    spec: ModelSpec,
    catalogue: Catalogue,
    serves: Callable[[str], bool],
    complies: Callable[[str], bool],
    *,
    own: bool,
    instead: bool,
) -> tuple[str, str | None] | None:
    """The id of the model whose offers count: this one, if its `own` do, or what stands in for it,
    if something may `instead`, and why.

    `serves` is whether anybody offers a model, `complies` whether it is as was asked.
    """
    if own and serves(spec.id):
        return spec.id, None
    if not instead:
        return None
    from .stand_ins import stand_ins

    for model_id, why in stand_ins(spec, catalogue):
        if serves(model_id) and complies(model_id):
            return model_id, why
    return None


def published_id(spec: ModelSpec, catalogue: Catalogue) -> str | None:
    """The id under which the catalogue has that model. Of one that was read from its files None,
    but where they bear the whole name of one and have its layers.
    """
    if not _of_files(spec):
        return spec.id
    from ..catalogue.names import id_of_whole_name

    for name in (spec.name, spec.name.replace("--", "/", 1), spec.id):
        named = id_of_whole_name(name, catalogue)
        if named is not None and _alike(spec, _read(catalogue, named)):
            return named
    return None


def _of_files(spec: ModelSpec) -> bool:
    """Whether it was read from a model's own files, not from a spec."""
    return bool(spec.origin) and not spec.origin.endswith(".toml")


def _alike(spec: ModelSpec, other: ModelSpec | None) -> bool:
    """Whether both have as many layers of the same widths, heads and experts."""

    def shape(architecture: Architecture) -> tuple[object, ...]:
        heads = {(group.heads, group.kv_heads) for group in architecture.attention}
        return (
            architecture.layers,
            architecture.embedding_length,
            heads,
            {(part.length, part.experts, part.used) for part in architecture.feed_forward},
        )

    if other is None or spec.architecture is None or other.architecture is None:
        return False
    return shape(spec.architecture) == shape(other.architecture)


def meets(findings: Iterable[Finding]) -> bool:
    """No finding of the license or the openness is `fail` or `unknown`: what was asked of the
    model itself is met.
    """
    decided = (Outcome.FAIL, Outcome.UNKNOWN)
    unmet = [
        finding.outcome in decided
        for finding in findings
        if finding.check in ("license", "openness")
    ]
    return not any(unmet)


def _by_its_provider(
    spec: ModelSpec, today: str, priced_on: str, was_priced: OffersOf
) -> tuple[Offer, ...]:
    """A closed model in service, without a price: that it is served is what makes it a closed
    model's API.
    """
    served = spec.availability
    if not spec.closed or served is None or not served.api or was_priced(spec.id):
        return ()
    if served.retired is not None and served.retired <= today:
        return ()
    source = spec.sources.get("availability", "its spec")
    return (
        Offer(
            provider=served.provider,
            model=spec.id,
            model_id=spec.id,
            as_of=priced_on,
            source=f"{source}; no price known",
        ),
    )


def _long_enough(question: Question, spec: ModelSpec, offers: Sequence[Offer]) -> tuple[Offer, ...]:
    """Those of the model's offers that serve the context, where one was asked for."""
    wanted = question.workload.context_tokens if question.context_asked else None
    if wanted is None:
        return tuple(offers)
    longest = _longest_context(spec)
    if longest and wanted > longest:
        return ()
    return tuple(
        offer
        for offer in offers
        if offer.context_tokens is not None and offer.context_tokens >= wanted
    )


def _longest_context(spec: ModelSpec) -> int:
    """The most tokens that the model can use; 0 where that is not known."""
    architecture = spec.architecture
    if architecture is None:
        return 0
    return max(architecture.context_tokens or 0, architecture.scaled_context_tokens or 0)


def _read(catalogue: Catalogue, model_id: str) -> ModelSpec | None:
    """A spec that is not there or is broken stands in for nothing; the verdict itself does not
    depend on it.
    """
    try:
        return catalogue.spec(model_id)
    except SelfhostError:
        return None
