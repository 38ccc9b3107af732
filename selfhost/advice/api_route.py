"""The API route: which offers count for a question, this model's own or those of a named
stand-in.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..catalogue.index import Catalogue
from ..catalogue.offers import Offer, offers_of, snapshot
from ..catalogue.spec import ModelSpec
from ..core.errors import SelfhostError
from ..core.records import Record
from ..judge.checks import Finding, Outcome
from ..judge.checks.model import license_check, openness_check
from ..judge.record import Judged, Question


class _Prices(Record):
    """The offers of the catalogue on the day `today`."""

    catalogue: Catalogue
    today: str

    def of_model(self, id: str) -> tuple[Offer, ...]:
        return tuple(offers_of(self.catalogue.offers_path, id, today=self.today))

    def of_provider(self, spec: ModelSpec) -> tuple[Offer, ...]:
        """A closed model in service, without a price: that it is served is what makes it a closed
        model's API. () where offers of it ended.
        """
        path, served = self.catalogue.offers_path, spec.availability
        if not spec.closed or served is None or not served.api:
            return ()
        is_retired = served.retired is not None and served.retired <= self.today
        if is_retired or offers_of(path, spec.id, today=""):
            return ()
        source = f"{spec.sources.get('availability', 'its spec')}; no price known"
        return (
            Offer(
                provider=served.provider,
                model=spec.id,
                model_id=spec.id,
                as_of=snapshot(path).day,
                source=source,
            ),
        )


def offers_for(
    catalogue: Catalogue,
    question: Question,
    judged: Judged,
    today: str,
) -> tuple[Offer, ...]:
    """The offers that meet what was asked, this model's own first; those of a stand-in only where
    it has none and cannot run here.

    None under `private`, nor for fine-tuning, which these prices do not cover. Where a context was
    asked for, an offer counts only if it states at least that much and the model can use it; where
    a license or openness was asked for, only if the model it serves meets that. A closed model that
    is not retired is offered by its provider, though no price be known.
    """
    workload, spec = question.workload, question.spec
    if workload.private or workload.task == "finetune":
        return ()
    prices = _Prices(catalogue=catalogue, today=today)
    published_id = _published_id(spec, catalogue)
    if published_id is not None and meets(judged.findings):
        offers = _served(question, spec, prices.of_model(published_id), prices)
        if offers and judged.failed and _is_of_files(spec):
            reason = f"The offers are for {published_id}, which these files match in name and"
            return tuple(offer.replace(why_instead=f"{reason} size.") for offer in offers)
        if offers:
            return offers
    if not judged.failed:
        return ()
    return _of_stand_in(question, published_id, prices)


def _of_stand_in(
    question: Question, published_id: str | None, prices: _Prices
) -> tuple[Offer, ...]:
    """The offers of the first model that stands in for this one and meets what was asked."""
    from .stand_ins import stand_ins

    spec, catalogue, workload = question.spec, prices.catalogue, question.workload
    # no id is the same as that of a model that the catalogue lacks
    for model_id, why in stand_ins(spec.replace(id=published_id or ""), catalogue):
        offers = prices.of_model(model_id)
        # what nobody serves stands in for nothing, and most models are served by nobody
        if not (offers or catalogue.is_closed(model_id)):
            continue
        try:
            other = catalogue.spec(model_id)
        except SelfhostError:
            # a broken spec stands in for nothing; the verdict itself does not depend on it
            continue
        served = _served(question, other, offers, prices)
        checks = license_check(other, workload), openness_check(other, workload)
        if not served or not meets(finding for finding in checks if finding):
            continue
        reason = (
            f"No known API offers {spec.id} under these conditions. The offers are for {model_id},"
            f" {why}."
        )
        return tuple(offer.replace(stands_in=True, why_instead=reason) for offer in served)
    return ()


def meets(findings: Iterable[Finding]) -> bool:
    """No finding of the license or the openness is `fail` or `unknown`: what was asked of the
    model itself is met.
    """
    return not any(
        finding.check in ("license", "openness")
        and finding.outcome in (Outcome.FAIL, Outcome.UNKNOWN)
        for finding in findings
    )


def _published_id(spec: ModelSpec, catalogue: Catalogue) -> str | None:
    """The id under which the catalogue has that model. Of one that was read from its files None,
    but where they bear the whole name of one and have its parameters.
    """
    if not _is_of_files(spec):
        return spec.id
    from ..catalogue.names import id_of_whole_name

    for name in (spec.name, spec.name.replace("--", "/", 1), spec.id):
        model_id = id_of_whole_name(name, catalogue)
        other = catalogue.outline(model_id or "")
        if other is not None and _are_near(other.parameters_total, spec.parameters.total):
            return other.id
    return None


def _is_of_files(spec: ModelSpec) -> bool:
    """Whether it was read from a model's own files, or is a spec made of its config.json."""
    is_spec = not spec.origin or spec.origin.endswith(".toml")
    return not is_spec or spec.lone_config is not None


def _are_near(own: int | None, other: int | None) -> bool:
    """Whether two counts of parameters are those of one model."""
    return own is not None and other is not None and abs(own - other) <= 0.02 * own


def _served(
    question: Question, spec: ModelSpec, offers: tuple[Offer, ...], prices: _Prices
) -> tuple[Offer, ...]:
    """Those of the model's offers, or its provider's without a price, that serve the context, where
    one was asked for.
    """
    offers, architecture = offers or prices.of_provider(spec), spec.architecture
    wanted = question.workload.context_tokens if question.context_asked else None
    if wanted is None:
        return offers
    longest = 0
    if architecture is not None:
        longest = max(architecture.context_tokens or 0, architecture.scaled_context_tokens or 0)
    if longest and wanted > longest:
        return ()
    return tuple(offer for offer in offers if (offer.context_tokens or 0) >= wanted)
