"""The API route: which offers count for a question, this model's own or those of a named
stand-in; and what a stated load costs a month by them, and in hours and energy here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from math import inf

from ..catalogue.index import Catalogue, Outline
from ..catalogue.offers import Offer, offers_of, snapshot
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import BASE
from ..core.records import Record, Unread
from ..core.workload import Load
from ..judge.checks import Finding, Outcome
from ..judge.checks.model import is_partly_open, terms_checks
from ..judge.pace import Range
from ..judge.record import Judged, Question
from ..machine.record import Machine
from .understood import remarks

# a retired model's replacement may be retired itself
_MOST_SUCCESSORS = 4
_BY_PUBLISHER = "the successor its publisher names"
_BY_JUDGEMENT = "its successor (selfhost's choice, not the publisher's)"
_SAME_LINE = "the newest model of the same line"
_NAMED = "the closest open-weight model that its spec names"
_LARGEST = "the largest open-weight model"
_AS_LARGE = "an open-weight model as large or larger"


def offers_for(catalogue: Catalogue, judged: Judged, today: str) -> tuple[Offer, ...]:
    """The offers that meet what was asked, this model's own first; those of a stand-in only where
    it has none and cannot run here.

    None under `private`, nor for fine-tuning, which these prices do not cover. Where a context was
    asked for, an offer counts only if it states at least that much and the model can use it; where
    a license or openness was asked for, only if the model it serves meets that. A closed model that
    is not retired is offered by its provider, though no price be known.
    """
    question, spec, workload = (
        judged.question,
        judged.question.spec,
        judged.question.workload,
    )
    offers: tuple[Offer, ...] = ()
    if workload.private or workload.task == "finetune":
        return offers
    # what was read from a model's own files may be called as a model of the catalogue, and differ
    is_spec = not spec.origin or (
        spec.origin.endswith(".toml") and spec.lone_config is None
    )
    if is_spec:
        offers = _served(question, spec, judged.findings, catalogue, today)
    if offers or not judged.failed:
        return offers
    return _offers_of_stand_in(
        question, spec if is_spec else spec.replace(id=""), catalogue, today
    )


def _offers_of_stand_in(
    question: Question, spec: ModelSpec, catalogue: Catalogue, today: str
) -> tuple[Offer, ...]:
    """The offers of the first stand-in that meets what was asked: of the first that is open whole
    where openness was asked for, else of the first that is open in part.
    """
    partly_open: tuple[Offer, ...] = ()
    for outline, why in stand_ins(spec, catalogue):
        # most models are served by nobody
        is_served = outline.closed or offers_of(
            catalogue.offers_path, outline.id, today=today
        )
        other = next(catalogue.specs([outline.id] if is_served else ()), None)
        if other is None:
            # or its spec is broken
            continue
        findings = [*terms_checks(other, question.workload)]
        is_less_open = any(map(is_partly_open, findings))
        if is_less_open and partly_open:
            continue
        offers = _served(question, other, findings, catalogue, today)
        if not offers:
            continue
        # offers that the context, license or openness rules out; else nobody offers it at all
        is_ruled_out = bool(
            offers_of(catalogue.offers_path, question.spec.id, today=today)
        )
        figures = {
            "model": question.spec.id,
            "ruled_out": is_ruled_out,
            "other": outline.id,
            "why": why,
        }
        (reason,) = remarks({"stands-in": True}, **figures)
        offers = tuple(
            offer.replace(stands_in=True, why_instead=reason) for offer in offers
        )
        if not is_less_open:
            return offers
        partly_open = offers
    return partly_open


def _served(
    question: Question,
    spec: ModelSpec,
    findings: Iterable[Finding],
    catalogue: Catalogue,
    today: str,
) -> tuple[Offer, ...]:
    """Offers of the model, or of its provider without a price, that serve the context asked for;
    none where its license or openness is not what was asked for, by the findings.
    """
    if any(each.decides and each.check in ("license", "openness") for each in findings):
        return ()
    path, served, id = catalogue.offers_path, spec.availability, spec.id
    offers = tuple(offers_of(path, id, today=today))
    # a closed model in service, of which no offer ever had a price
    is_unpriced = spec.closed and not offers_of(path, id, today="")
    if is_unpriced and served and served.api and (served.retired or "9999") > today:
        source = f"{spec.sources.get('availability', 'its spec')}; no price known"
        day = snapshot(path).day
        offers = (
            Offer(
                provider=served.provider,
                model=id,
                model_id=id,
                as_of=day,
                source=source,
            ),
        )
    wanted = 0
    if question.context_asked and question.workload.context_tokens is not None:
        wanted = question.workload.context_tokens
    keys = ("context_tokens", "scaled_context_tokens")
    most = max(
        filter(None, (getattr(spec.architecture, key, 0) for key in keys)), default=inf
    )
    if wanted > most:
        return ()
    return tuple(offer for offer in offers if (offer.context_tokens or 0) >= wanted)


def stand_ins(spec: ModelSpec, catalogue: Catalogue) -> Iterator[tuple[Outline, str]]:
    """What stands in for a model, and why: the first that is offered and meets what was
    asked is taken.

    Its successors, the one that nothing follows before those on the way to it. Then, of an open
    one, those as large or larger for the same kind of input, in this order: not superseded, made
    for the same purpose, a base model or none as it is, of the same family, the nearest in size.
    How large a closed one is nobody knows: there it is the other models of its provider's line, the
    newest first, then the open-weight ones that its spec names, then any, the largest first; of
    each, those made for the same purpose first, and what is superseded after all that is not.
    """
    own = catalogue.outlines.get(spec.id)
    purpose, seen = own.purpose if own is not None else "general", {spec.id}
    followers: list[tuple[Outline, str]] = []
    last, word = own, _BY_PUBLISHER
    while last is not None and len(followers) < _MOST_SUCCESSORS:
        word = _BY_JUDGEMENT if last.next_is_judged else word
        last = catalogue.outlines.get(last.next or "")
        if last is None or last in (own, *[each for each, _ in followers]):
            break
        if followers and followers[0][0].next is not None:
            # the one that is named first may be retired itself
            followers.append((last, f"which follows {followers[0][0].id}, {word}"))
        else:
            followers.append((last, word))
    followers.sort(key=lambda pair: pair[0].next is not None)
    names = {outline.id for outline, _ in followers}
    for outline, why in (*followers, *_others(spec, purpose, catalogue)):
        is_aside = outline.id not in names and outline.purpose != purpose
        if outline.id not in seen:
            yield outline, f"{why}, but not made for {purpose}" if is_aside else why
        seen.add(outline.id)


def _others(
    spec: ModelSpec, purpose: str, catalogue: Catalogue
) -> Iterator[tuple[Outline, str]]:
    size, is_base = spec.parameters.total, BASE in (spec.uses or ())

    def rank(outline: Outline) -> tuple[bool, ...]:
        return (
            outline.superseded_by is not None,
            outline.purpose != purpose,
            (BASE in (outline.uses or ())) != is_base,
            outline.family != spec.family,
        )

    models = catalogue.outlines.values()
    sizes = {
        each: each.parameters_total or 0
        for each in models
        if (each.modality, each.closed) == (spec.modality, False)
    }
    alike = sorted(sizes, key=sizes.__getitem__)
    if not spec.closed:
        larger = (each for each in alike if size and sizes[each] >= size)
        for outline in sorted(larger, key=rank):
            is_of_family = outline.family == spec.family
            yield outline, f"{_AS_LARGE} of its family" if is_of_family else _AS_LARGE
        return
    line = [
        each
        for each in models
        if (each.modality, each.family) == (spec.modality, spec.family)
    ]
    line.sort(key=lambda outline: (outline.released or "", outline.id), reverse=True)
    yield from ((each, _SAME_LINE) for each in sorted(line, key=rank) if each.closed)
    named = spec.availability.open_alternatives if spec.availability else ()
    for nearest in filter(
        None, map(catalogue.outlines.get, catalogue.current_first(named))
    ):
        yield nearest, _NAMED
    alike.reverse()
    yield from ((outline, _LARGEST) for outline in sorted(alike, key=rank))


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
    spec: ModelSpec, offers: Sequence[Offer], catalogue: Catalogue, today: str
) -> Shutdown | None:
    """The end of a closed model that is at most 60 days away; None where it goes on."""
    ends = [offer.ends for offer in offers if not offer.stands_in]
    if not spec.closed or spec.availability is None or not ends or None in ends:
        return None
    last = max(filter(None, ends))
    if (date.fromisoformat(last) - date.fromisoformat(today)).days > _DAYS_OF_NOTICE:
        return None
    outline = catalogue.outlines.get(spec.id)
    return Shutdown(
        provider=spec.availability.provider,
        day=last,
        successor=outline.next if outline is not None else None,
        successor_is_judged=outline is not None and outline.next_is_judged,
    )


_DAYS_PER_MONTH = 30
_HOURS_PER_DAY = 24
# kinds of model that are used and paid by the token
_BY_TOKEN = ("text", "vision", "embedding")
_TIME_IT = "time a part of the load"


class OfferCost(Record):
    """A month of the load by one offer; None where its price is not known."""

    provider: str
    model: str
    usd_per_month: float | None


class LocalCost(Record):
    """The same load on this machine, with as many requests at once as were asked for.

    `hours_per_day` are more than 24 where it does not keep up; `keeps_up` is None where the range
    does not tell. Energy is that of at most all hours; electricity is in the price's currency. What
    is None has its reason in `unknown`, but for what was not asked.
    """

    hours_per_day: Range | None = None
    keeps_up: bool | None = None
    watts: float | None = None
    kwh_per_month: Range | None = None
    electricity_per_month: Range | None = None
    unknown: tuple[Unread, ...] = ()


class MonthlyCost(Record):
    """Both ways beside each other. `reason` says why a load in tokens does not apply; then
    tokens, offers and `here` are empty. `here` is None where the model does not run.
    """

    input_tokens_per_day: int | None = None
    output_tokens_per_day: int | None = None
    assumed_split: bool = False
    days_per_month: int = _DAYS_PER_MONTH
    offers: tuple[OfferCost, ...] = ()
    here: LocalCost | None = None
    reason: str | None = None


def _usd_per_month(offer: Offer, read: int, written: int) -> float | None:
    """What so many tokens a day cost; None where the price of some of them is not known."""
    millionths = 0.0
    bill = (
        (read, offer.input_usd_per_million_tokens),
        (written, offer.output_usd_per_million_tokens),
    )
    for tokens, rate in bill:
        if tokens == 0:
            continue
        if rate is None:
            return None
        millionths += tokens * rate
    return _DAYS_PER_MONTH * millionths / 1e6


def month(
    load: Load, offers: Sequence[Offer], judged: Judged, machine: Machine
) -> MonthlyCost:
    """What the load costs by these offers, and on the machine where the model runs there."""
    modality = judged.question.spec.modality
    if judged.question.workload.task == "finetune":
        return MonthlyCost(
            reason="a load in tokens a day does not apply to fine-tuning"
        )
    if modality not in _BY_TOKEN:
        return MonthlyCost(
            reason=f"a load in tokens does not apply to models of {modality}"
        )
    read, written = load.input_tokens_per_day, load.output_tokens_per_day
    if modality == "embedding":
        # it writes nothing: of a load whose split is assumed it reads all
        if load.assumed_split:
            read += written
        written = 0
    bills: list[OfferCost] = []
    for offer in offers:
        price = _usd_per_month(offer, read, written)
        bills.append(
            OfferCost(provider=offer.provider, model=offer.model, usd_per_month=price)
        )
    # nothing but its speed keeps it from running
    fails = any(
        each.outcome is Outcome.FAIL and each.check != "speed"
        for each in judged.findings
    )
    runs = judged.needs is not None and not fails
    return MonthlyCost(
        input_tokens_per_day=read,
        output_tokens_per_day=written,
        assumed_split=load.assumed_split and modality != "embedding",
        offers=tuple(bills),
        here=_local_cost(load, read, written, machine, judged) if runs else None,
    )


def _local_cost(
    load: Load, read: int, written: int, machine: Machine, judged: Judged
) -> LocalCost:
    speed = judged.speed
    # what only reads has no other pace
    prompt = getattr(speed, "prompt", None)
    decode = getattr(speed, "decode", None) or (None if written else prompt)
    if decode is None or round(decode.low, 3) <= 0 or (prompt is None and read > 0):
        return LocalCost(unknown=(_why_no_pace(machine, judged),))
    # of several sequences at once all together write so much
    writes = getattr(speed, "parallel_total", None)
    times = 1 / (prompt or decode), 1 / (writes or decode)
    high, likely, low = times[0] * (read / 3600) + times[1] * (written / 3600)
    is_sure = high <= _HOURS_PER_DAY or low > _HOURS_PER_DAY
    local = LocalCost(
        hours_per_day=Range(low, likely, high),
        keeps_up=high <= _HOURS_PER_DAY if is_sure else None,
    )
    if load.watts is None:
        return local
    hours = Range(*(min(end, _HOURS_PER_DAY) for end in (low, likely, high)))
    kwh, price = hours * (_DAYS_PER_MONTH * load.watts / 1000), load.electricity_per_kwh
    bill = None if price is None else kwh * price
    return local.replace(
        watts=load.watts, kwh_per_month=kwh, electricity_per_month=bill
    )


def _why_no_pace(machine: Machine, judged: Judged) -> Unread:
    speed, remedy = judged.speed, _TIME_IT
    why = "the reading speed of this kind of model is not estimated"
    if speed is not None and speed.work is None and speed.decode is None:
        why = speed.how
    uses_ram = judged.placement in ("host", "split")
    if (
        speed is not None
        and uses_ram
        and machine.memory_bandwidth_bytes_per_second is None
    ):
        where = (
            "--measure" if machine.is_this_one else "`selfhost machine --measure` there"
        )
        remedy = f"{where} measures the memory; or {_TIME_IT}"
    return Unread(fact="hours_per_day", reason=why, remedy=remedy)
