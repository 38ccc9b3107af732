"""The API route in words: the provider of an offer, its prices, the request, and the cost of a
month by API and on the machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..catalogue.offers import Offer, provider_name, request_lines
from ..core import units
from ..core.workload import DEFAULT_CONTEXT_TOKENS, INPUT_PER_OUTPUT_TOKEN, Workload
from ..judge.record import Verdict
from .layout import Blocks, FigureRow, command, figures, line, section, texts
from .words import HERE, is_old, place_words

if TYPE_CHECKING:
    from ..advice.api_route import LocalCost, MonthlyCost, OfferCost

API_RISKS = (
    "An API sends what you type to the provider, whose rate limits and outages apply."
)


def offer_words(offer: Offer, today: str | None) -> tuple[str, str]:
    """The provider of an offer, with the model if that stands in for another; and the prices with
    the day on which they were listed.

    With `today`, old prices are told as such.
    """
    whose = provider_name(offer.provider)
    if offer.stands_in:
        whose = f"{offer.model_id} at {whose}"
    if offer.why_instead is not None:
        whose = f"no provider has it; nearest: {whose}"
    if not _rates(offer):
        return whose, price_words(offer)
    age = ""
    if is_old(offer.as_of, today):
        age = ", long ago: ask the provider"
    return whose, f"{price_words(offer)} (listed {offer.as_of}{age})"


def own_offers(verdict: Verdict) -> list[Offer]:
    """The API offers of the model itself, the cheapest first, without those of models that stand
    in for it.
    """
    return [offer for offer in verdict.api_offers if not offer.stands_in]


def why_first_words(offers: Sequence[Offer]) -> str:
    """Why the first offer is not the cheapest; empty where it is."""
    first, *others = offers
    if first.well_known and any(other.price < first.price for other in others):
        return "; a well-known provider, others ask less"
    return ""


def _rates(offer: Offer) -> list[str]:
    """`$0.20 in`, `$0.60 out`; empty where no price is known."""
    rates = {
        "in": offer.input_usd_per_million_tokens,
        "out": offer.output_usd_per_million_tokens,
        "per minute of audio": offer.usd_per_audio_minute,
        "per image": offer.usd_per_image,
    }
    written = []
    for what, rate in rates.items():
        if rate is not None:
            price = units.dollars(rate) if rate else "free"
            written.append(f"{price} {what}")
    return written


def price_words(offer: Offer) -> str:
    """`$0.20 in, $0.60 out per 1M tokens`, without the day."""
    text = ", ".join(_rates(offer))
    if not text:
        return "at a price that is not known here"
    if offer.input_usd_per_million_tokens is not None:
        text += " per 1M tokens"
    if offer.price_is_for is not None:
        text += f" of {offer.price_is_for}"
    return text


def request_blocks(offer: Offer, verdict: Verdict) -> Blocks:
    """Yield the command that asks the offered model, else the page of the offer; nothing where
    neither is known.

    Shells of Windows quote in another way, so there the address and the model's name are shown.
    """
    lines = request_lines(offer, verdict.model.modality)
    if lines and verdict.machine.system == "windows":
        yield line(f"base URL {offer.base_url}, model {offer.model}", indent=2)
    elif lines:
        first, *others = lines
        yield command(first)
        for text in others:
            yield command(text, indent=4)
    elif offer.page is not None:
        yield line(f"How to use it: {offer.page}", indent=2)


def no_api_words(workload: Workload) -> str:
    """The reason why no API is named."""
    if workload.private:
        return "nothing may leave the machine"
    if workload.task == "finetune":
        return "the prices known here do not cover fine-tuning"
    conditions = ("commercial", "modify", "auditable", "license")
    is_longer = (workload.context_tokens or 0) > DEFAULT_CONTEXT_TOKENS
    if is_longer or any(map(workload.states, conditions)):
        return "this catalogue knows no offer that meets your conditions"
    return "this catalogue knows no offer"


def month_blocks(verdict: Verdict) -> Blocks:
    """Yield the cost of a month by API and on the machine; nothing where no load was stated."""
    cost: MonthlyCost | None = verdict.monthly_cost
    if cost is None:
        return
    if cost.reason is not None:
        sentence = f"{cost.reason[0].upper()}{cost.reason[1:]}."
        yield from section("A month", texts([sentence]))
        return
    place = place_words(verdict.machine)
    rows = [_api_row(cost.offers, verdict.workload)]
    remarks = []
    if cost.here is None:
        rows.append((place, "", "it does not run"))
    else:
        rows += _local_rows(cost.here, place if place == HERE else "on that machine")
        remarks = _remarks(cost.here, verdict.workload.parallel)
    title = f"A month of {cost.days_per_month} days, {_load_words(cost)}"
    yield from section(title, (figures(rows, right=True), *texts(remarks)))


def _load_words(cost: MonthlyCost) -> str:
    """`1,000,000 tokens in and 100,000 out a day`."""
    words = f"{cost.input_tokens_per_day:,} tokens in"
    if cost.output_tokens_per_day:
        words += f" and {cost.output_tokens_per_day:,} out"
    words += " a day"
    if cost.assumed_split:
        words += f" (assumed: {INPUT_PER_OUTPUT_TOKEN} in for 1 out)"
    return words


def _api_row(offers: Sequence[OfferCost], workload: Workload) -> FigureRow:
    """The row of the cheapest bill, or of the reason why there is none."""
    bills = []
    for offer in offers:
        if offer.usd_per_month is not None:
            bills.append((offer.usd_per_month, offer.provider))
    if not bills:
        return "by API", "", "no price is known" if offers else no_api_words(workload)
    usd_per_month, provider = min(bills)
    whose = f"{provider_name(provider)}, the cheapest of {len(bills)}"
    if len(bills) == 1:
        whose = f"{provider_name(provider)}, the only one known"
    return "by API", units.dollars(usd_per_month), whose


def _local_rows(local: LocalCost, place: str) -> Iterator[FigureRow]:
    """Yield the unknown figures of the machine's month, then its electricity and its hours of
    work.
    """
    for entry in local.unknown:
        yield f"{place}: hours of work a day", "", f"not known: {entry.reason}"
    kwh = local.kwh_per_month
    if kwh is not None:
        energy = f"{units.pace(kwh.low, kwh.high)} kWh at {local.watts:g} W"
        bill = local.electricity_per_month
        if bill is None:
            yield f"{place}: electricity", f"{units.pace(kwh.likely)} kWh", energy
        else:
            note = f"in your currency, for {energy}"
            yield f"{place}: electricity", f"{bill.likely:,.2f}", note
    hours = local.hours_per_day
    if hours is not None:
        keeps_up = "cannot keep up" if local.likely_falls_behind else "keeps up"
        if local.keeps_up is None:
            keeps_up = f"probably {keeps_up}"
        note = f"{units.pace(hours.low, hours.high)} hours of work: it {keeps_up}"
        yield f"{place}: hours of work a day", f"{units.pace(hours.likely)} hours", note


def _remarks(local: LocalCost, parallel: int) -> list[str]:
    """The remedies for unknown figures, each remedy once, and a sentence on the hours that are
    counted.
    """
    remarks = []
    for entry in local.unknown:
        remark = f"→ {entry.remedy}"
        if entry.remedy and remark not in remarks:
            remarks.append(remark)
    if local.hours_per_day is not None:
        requests = "One request at a time"
        if parallel > 1:
            requests = f"{parallel} requests at once"
        remarks.append(f"{requests}; power used while idle is not counted.")
    return remarks
