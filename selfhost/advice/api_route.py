"""The API route: who serves a model, and what a load costs.

`offers_for` are the offers that count for a question: this model's own, or those of a stand-in.
`shutdown_of` is the announced end of a closed model. `month` is what a stated load costs a month by
the offers, and in hours and energy on the machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from functools import lru_cache
from itertools import chain
from math import inf
from typing import NamedTuple

from ..catalogue.index import Catalogue, Outline
from ..catalogue.offers import Offer, offers_of, snapshot
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import BASE
from ..core.records import Record, Unread
from ..core.workload import Load
from ..judge.checks import Finding
from ..judge.checks.model import is_partly_open, terms_checks
from ..judge.pace import Range, Speed
from ..judge.record import Judged, Question
from .understood import remark

# offers, the cheapest first; () for none
Offers = tuple[Offer, ...]
# a retired model's replacement may be retired itself
_MOST_SUCCESSORS = 4
# models of a product's line: the large, the middle and the small one of a maker
_MOST_OF_LINE = 3


# ------------------------------------------------------------------ offers


def offers_for(
    catalogue: Catalogue,
    judged: Judged,
    today: str,
) -> Offers:
    """The offers of the model that meet the question. Where the model has none and cannot run here,
    the offers of a model that stands in for it.

    () under `private`, and for fine-tuning, which these prices do not cover. Where the user stated
    a context, an offer counts only if the offer and the model have that context. Where the user
    stated a license or openness, an offer counts only if its model meets it. The provider of a
    closed model that is not retired offers the model even if no price is known.
    """
    question = judged.question
    if question.workload.private:
        return ()
    if question.workload.task == "finetune":
        return ()
    search = _OfferSearch(catalogue=catalogue, question=question, today=today)
    spec = question.spec
    if spec.origin and not spec.origin.endswith(".toml"):
        # model files may have the name of a catalogue model and still differ from it
        spec = spec.replace(id="")
    else:
        offers = search.offers_that_meet(spec)
        if offers:
            return offers
    if not judged.failed:
        return ()
    return search.offers_of_stand_in(spec)


class _OfferSearch(Record):
    """The search for API offers of one day that meet one question."""

    catalogue: Catalogue
    question: Question
    today: str

    def offers_of(self, id: str) -> Offers:
        """All offers of that model, whether or not they meet the question."""
        return offers_of(self.catalogue.offers_path, id, today=self.today)

    def offers_that_meet(self, spec: ModelSpec) -> Offers:
        """The offers of a model that serve the stated context; () where the license or the openness
        of the model does not meet the question.
        """
        offers = self.offers_of(spec.id)
        # without a day no offer counts as ended
        path = self.catalogue.offers_path
        if spec.closed and not offers_of(path, spec.id, today=""):
            offers = self._offers_without_price(spec)
        if not offers:
            return ()
        if any(finding.decides for finding in self._terms_of(spec)):
            return ()
        if not self.question.context_asked:
            return offers
        wanted_tokens = self.question.workload.context_tokens
        if wanted_tokens is None:
            return offers
        if wanted_tokens > _longest_context(spec):
            return ()
        return tuple(
            offer for offer in offers if (offer.context_tokens or 0) >= wanted_tokens
        )

    def _terms_of(self, spec: ModelSpec) -> Iterator[Finding]:
        """The findings of the license and the openness of a model."""
        return terms_checks(spec, self.question.workload)

    def _offers_of_line(self, spec: ModelSpec) -> Offers:
        """The first offers of the latest models of its provider's line, for a product that has no
        price itself, as Claude. Of one version the dearest is first.
        """
        offers: list[Offer] = []
        for outline in _line_of(spec, self.catalogue):
            offers += self.offers_of(outline.id)[:1]
        offers.sort(
            key=lambda offer: (_version(offer.model_id), offer.price), reverse=True
        )
        return tuple(offer.replace(stands_in=True) for offer in offers[:_MOST_OF_LINE])

    def _offers_without_price(self, spec: ModelSpec) -> Offers:
        """The offers of the line of a closed model, else the offer, without a price, of its
        provider; () where the provider has no API or has retired the model.
        """
        served = spec.availability
        if served is None or not served.api:
            return ()
        if served.retired is not None and served.retired <= self.today:
            return ()
        of_line = self._offers_of_line(spec)
        if of_line:
            return of_line
        source = spec.sources.get("availability", "its spec")
        offer = Offer(
            provider=served.provider,
            model=spec.id,
            model_id=spec.id,
            as_of=snapshot(self.catalogue.offers_path).day,
            source=f"{source}; no price known",
        )
        return (offer,)

    def offers_of_stand_in(self, spec: ModelSpec) -> Offers:
        """The offers of the first stand-in that meets the question. A stand-in that is only partly
        as open as asked counts if no other is fully as open.
        """
        partly_open: Offers = ()
        for outline, why in stand_ins(spec, self.catalogue):
            for other in self.catalogue.specs([outline.id]):
                offers = self.offers_that_meet(other)
                if not offers:
                    continue
                if not any(map(is_partly_open, self._terms_of(other))):
                    return self._standing_in(offers, other, why)
                if not partly_open:
                    partly_open = self._standing_in(offers, other, why)
        return partly_open

    def _standing_in(
        self,
        offers: Offers,
        other: ModelSpec,
        why: str,
    ) -> Offers:
        """The offers of another model, with the reason why that model stands in."""
        own_id = self.question.spec.id
        (reason,) = remark(
            "stands-in",
            model=own_id,
            # offered, but the context, the license or the openness does not meet the question
            ruled_out=bool(self.offers_of(own_id)),
            other=other.id,
            why=why,
        )
        return tuple(
            offer.replace(stands_in=True, why_instead=reason) for offer in offers
        )


def _longest_context(spec: ModelSpec) -> float:
    """Tokens that the model can use, with scaling; infinite where they are not known."""
    architecture = spec.architecture
    if architecture is None:
        return inf
    lengths = (architecture.context_tokens, architecture.scaled_context_tokens)
    return max(filter(None, lengths), default=inf)


# ------------------------------------------------------------------ stand-ins


class StandIn(NamedTuple):
    """A model that an API may offer in place of another model, with the reason."""

    outline: Outline
    why: str


def stand_ins(spec: ModelSpec, catalogue: Catalogue) -> Iterator[StandIn]:
    """Yield the models that may stand in for a model at an API; the caller takes the first that is
    offered and meets the conditions of the question.

    Successors come first, the last of the chain before the ones between.

    For an open model, the open models of its modality follow that have as many parameters or more,
    the nearest in size first. For a closed model, whose size is not known, follow the other models
    of its provider's line, the newest first; then the open-weight models that its spec names; then
    all other open models, the largest first.

    These orders count between models that differ alike from the wanted one. Before that, models
    that are not superseded come first, then those for the same purpose, those that are base models
    or not as the wanted one is, and those of its family.
    """
    own = catalogue.outlines.get(spec.id)
    purpose = "general" if own is None else own.purpose
    seen = {spec.id}
    others = _others(spec, purpose, catalogue)
    for stand_in in chain(_successors(own, catalogue), others):
        if stand_in.outline.id not in seen:
            seen.add(stand_in.outline.id)
            yield stand_in


def _successors(outline: Outline | None, catalogue: Catalogue) -> list[StandIn]:
    """The chain of successors; one that has a successor itself comes after one that has none. All
    that follow one that selfhost chose count as chosen by selfhost.
    """
    followers: list[StandIn] = []
    last = outline
    why = "the successor its publisher names"
    while last is not None and len(followers) < _MOST_SUCCESSORS:
        if last.next_is_judged:
            why = "its successor (selfhost's choice, not the publisher's)"
        last = catalogue.outlines.get(last.next or "")
        if last is None:
            break
        said = why
        if followers and followers[0].outline.next is not None:
            # the chain goes through a model that is retired itself
            said = f"which follows {followers[0].outline.id}, {why}"
        followers.append(StandIn(last, said))
    followers.sort(key=lambda stand_in: stand_in.outline.next is not None)
    return followers


def _others(
    spec: ModelSpec,
    purpose: str,
    catalogue: Catalogue,
) -> Iterator[StandIn]:
    """Yield the models that are no successors, in the order that `stand_ins` tells."""

    def differences(outline: Outline) -> tuple[bool, ...]:
        """The differences from the wanted model, the weightiest first."""
        return (
            outline.superseded_by is not None,
            outline.purpose != purpose,
            outline.has_use(BASE) != spec.has_use(BASE),
            outline.family != spec.family,
        )

    sold = _sold_by_size(catalogue, spec.modality)
    if not spec.closed:
        size = spec.parameters.total or inf
        as_large = [outline for outline in sold if _size(outline) >= size]
        for outline in sorted(as_large, key=differences):
            why = "an open-weight model as large or larger"
            if outline.family == spec.family:
                why += " of its family"
            yield StandIn(outline, why)
        return
    for outline in sorted(_line_of(spec, catalogue), key=differences):
        yield StandIn(outline, "the newest model of the same line")
    if spec.availability is not None:
        for id in catalogue.current_first(spec.availability.open_alternatives):
            if id in catalogue.outlines:
                why = "the closest open-weight model that its spec names"
                yield StandIn(catalogue.outlines[id], why)
    largest_first = sold[::-1]
    for outline in sorted(largest_first, key=differences):
        yield StandIn(outline, "the largest open-weight model")


def _line_of(spec: ModelSpec, catalogue: Catalogue) -> list[Outline]:
    """The closed models of its provider's line, the newest first."""
    outlines = _of_modality(catalogue, spec.modality)
    line = [one for one in outlines if one.closed and one.family == spec.family]
    line.sort(key=lambda outline: (outline.released or "", outline.id), reverse=True)
    return line


def _version(id: str) -> float:
    """The highest number in the name of a closed model, which its publisher counts up: the day of
    its release is often not known. 0 for a name without a number.
    """
    numbers = re.findall(r"\d+(?:\.\d+)?", id)
    return max(map(float, numbers), default=0)


def _of_modality(catalogue: Catalogue, modality: str) -> list[Outline]:
    outlines = catalogue.outlines.values()
    return [outline for outline in outlines if outline.modality == modality]


# cached, because each model of a list that does not run asks for these models
@lru_cache(maxsize=16)
def _sold_by_size(catalogue: Catalogue, modality: str) -> Sequence[Outline]:
    """The open models of a modality that some provider offers, the smallest first."""
    listed = snapshot(catalogue.offers_path).rows
    outlines = _of_modality(catalogue, modality)
    sold = [one for one in outlines if not one.closed and one.id in listed]
    return sorted(sold, key=_size)


def _size(outline: Outline) -> int:
    return outline.parameters_total or 0


# ------------------------------------------------------------------ the end of a closed model


# so many days before a hosted model ends the answer begins with that day: OpenAI and Anthropic
# announce the end at least two months before (their deprecations pages)
_DAYS_OF_NOTICE = 60


class Shutdown(Record):
    """The announced end of a closed model: its provider takes no requests for it from `day` on.

    `successor` is the id of the model that follows it, None where none is known;
    `successor_is_judged`: this catalogue chose it, and no publisher names it.
    """

    provider: str
    day: str
    successor: str | None = None
    successor_is_judged: bool = False


def shutdown_of(
    spec: ModelSpec,
    offers: Sequence[Offer],
    catalogue: Catalogue,
    today: str,
) -> Shutdown | None:
    """The end of a closed model that is at most 60 days away; None where it goes on."""
    if not spec.closed or spec.availability is None:
        return None
    last_day = ""
    for offer in offers:
        if offer.stands_in:
            continue
        if offer.ends is None:
            # it goes on
            return None
        last_day = max(last_day, offer.ends)
    if not last_day:
        return None
    left = date.fromisoformat(last_day) - date.fromisoformat(today)
    if left.days > _DAYS_OF_NOTICE:
        return None
    shutdown = Shutdown(provider=spec.availability.provider, day=last_day)
    outline = catalogue.outlines.get(spec.id)
    if outline is None:
        return shutdown
    return shutdown.replace(
        successor=outline.next, successor_is_judged=outline.next_is_judged
    )


# ------------------------------------------------------------------ the cost of a month


_DAYS_PER_MONTH = 30
_HOURS_PER_DAY = 24
# kinds of model that are used and paid by the token
_BY_TOKEN = ("text", "vision", "embedding")
_NOT_BY_TOKEN = (
    "a load in tokens a day does not apply to pictures, sound and fine-tuning"
)


class OfferCost(Record):
    """The monthly cost of the load by one offer. `usd_per_month` is None where the price is not
    known.
    """

    provider: str
    model: str
    usd_per_month: float | None


class LocalCost(Record):
    """The same load on this machine, with as many requests at once as were asked for.

    `hours_per_day` are more than 24 where the machine does not keep up. `keeps_up` is None where
    the range of hours includes 24. `kwh_per_month` counts at most 24 hours a day;
    `electricity_per_month` is in the currency of the stated price. A field is None where the user
    stated nothing for it, or for the reason in `unknown`.
    """

    hours_per_day: Range | None = None
    keeps_up: bool | None = None
    watts: float | None = None
    kwh_per_month: Range | None = None
    electricity_per_month: Range | None = None
    unknown: tuple[Unread, ...] = ()

    @property
    def likely_falls_behind(self) -> bool:
        """Whether the load of a day likely takes more than the day."""
        hours = self.hours_per_day
        return hours is not None and hours.likely > _HOURS_PER_DAY


class MonthlyCost(Record):
    """The monthly cost of a load, by API offers and on the machine.

    `here` is the cost on the machine; None where the model does not run there. `reason` says why a
    load in tokens does not apply to the question; all other fields are then empty.
    """

    input_tokens_per_day: int | None = None
    output_tokens_per_day: int | None = None
    assumed_split: bool = False
    days_per_month: int = _DAYS_PER_MONTH
    offers: tuple[OfferCost, ...] = ()
    here: LocalCost | None = None
    reason: str | None = None


def month(
    load: Load,
    offers: Sequence[Offer],
    judged: Judged,
) -> MonthlyCost:
    """The monthly cost of a load by these offers, and on the machine if the model runs there."""
    modality = judged.model.modality
    if judged.workload.task == "finetune" or modality not in _BY_TOKEN:
        return MonthlyCost(reason=_NOT_BY_TOKEN)
    if modality == "embedding":
        load = _without_answers(load)
    here = None
    # a model that is only too slow has hours, too
    if judged.needs is not None and set(judged.failed) <= {"speed"}:
        here = _local_cost(load, judged)
    costs = []
    for offer in offers:
        usd = _usd_per_month(load, offer)
        cost = OfferCost(provider=offer.provider, model=offer.model, usd_per_month=usd)
        costs.append(cost)
    return MonthlyCost(
        input_tokens_per_day=load.input_tokens_per_day,
        output_tokens_per_day=load.output_tokens_per_day,
        assumed_split=load.assumed_split,
        offers=tuple(costs),
        here=here,
    )


def _without_answers(load: Load) -> Load:
    """The load of a model that writes nothing; it reads all tokens where the split between reading
    and writing is assumed.
    """
    read = load.input_tokens_per_day
    if load.assumed_split:
        read += load.output_tokens_per_day
    return load.replace(
        input_tokens_per_day=read, output_tokens_per_day=0, assumed_split=False
    )


def _usd_per_month(load: Load, offer: Offer) -> float | None:
    """The cost of a month at an offer; None where a rate is not known."""
    usd_per_day = 0.0
    for tokens, rate in (
        (load.input_tokens_per_day, offer.input_usd_per_million_tokens),
        (load.output_tokens_per_day, offer.output_usd_per_million_tokens),
    ):
        if tokens == 0:
            continue
        if rate is None:
            return None
        # a rate is for a million tokens
        usd_per_day += tokens * rate
    return _DAYS_PER_MONTH * usd_per_day / 1e6


def _local_cost(load: Load, judged: Judged) -> LocalCost:
    """The hours, energy and electricity of the load on the machine."""
    hours = _hours_of(load, judged.speed)
    if hours is None:
        why = "the reading speed of this kind of model is not estimated"
        if judged.speed is not None and judged.speed.decode is None:
            why = judged.speed.how
        remedy = "time a part of the load"
        unread = Unread(fact="hours_per_day", reason=why, remedy=remedy)
        return LocalCost(unknown=(unread,))
    keeps_up = None
    if hours.high <= _HOURS_PER_DAY:
        keeps_up = True
    elif hours.low > _HOURS_PER_DAY:
        keeps_up = False
    local = LocalCost(hours_per_day=hours, keeps_up=keeps_up)
    if load.watts is None:
        return local
    hours_at_work = [min(end, _HOURS_PER_DAY) for end in hours]
    kwh = Range(*hours_at_work) * (_DAYS_PER_MONTH * load.watts / 1000)
    price = load.electricity_per_kwh
    return local.replace(
        watts=load.watts,
        kwh_per_month=kwh,
        electricity_per_month=None if price is None else kwh * price,
    )


def _hours_of(load: Load, speed: Speed | None) -> Range | None:
    """The hours that the machine works on such a day. None where the pace is not known."""
    if speed is None:
        return None
    prompt = speed.prompt
    decode = speed.decode
    if load.output_tokens_per_day == 0:
        # a model that only reads has only the prefill pace
        decode = decode or prompt
    if decode is None:
        return None
    if round(decode.low, 3) <= 0:
        return None
    if load.input_tokens_per_day == 0:
        prompt = decode
    if prompt is None:
        return None
    reading = 1 / prompt * (load.input_tokens_per_day / 3600)
    # the total pace of all parallel sequences
    total = speed.parallel_total or decode
    writing = 1 / total * (load.output_tokens_per_day / 3600)
    # of `Seconds` the slow end is the longest
    slow, likely, fast = reading + writing
    return Range(low=fast, likely=likely, high=slow)
