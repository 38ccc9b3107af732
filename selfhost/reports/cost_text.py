"""Prices: of an offer, and of a month by API and on the machine."""

from __future__ import annotations

from collections.abc import Iterator

from ..advice.costs import HOURS_PER_DAY, LocalCost, MonthlyCost
from ..catalogue.offers import Offer, provider_name
from ..core import units
from ..core.workload import DEFAULT_CONTEXT_TOKENS, INPUT_PER_OUTPUT_TOKEN, Workload
from ..judge.record import Verdict
from . import words
from .layout import Blocks, figures, section, texts


def month_blocks(verdict: Verdict) -> Blocks:
    """The month by API beside the month on the machine; nothing where no load was stated."""
    cost = verdict.monthly_cost
    if cost is None:
        return
    if cost.reason is not None:
        yield from section("A month", texts([f"{cost.reason[0].upper()}{cost.reason[1:]}."]))
        return
    read, written = cost.input_tokens_per_day, cost.output_tokens_per_day
    split = f" (assumed: {INPUT_PER_OUTPUT_TOKEN} in for 1 out)" if cost.assumed_split else ""
    load = f"{read:,} tokens in{f' and {written:,} out' if written else ''} a day{split}"
    local, rows = cost.here, [("by API", *_bill(verdict, cost))]
    if local is None:
        rows.append((words.on_machine(verdict.machine), "", "it does not run"))
    else:
        rows += _local_rows(local, "here" if words.is_here(verdict.machine) else "there")
    remarks = _remarks(local, verdict.workload.parallel) if local is not None else ()
    title = f"A month of {cost.days_per_month} days, {load}"
    yield from section(title, (figures(rows, right=True), *texts(remarks)))


def _bill(verdict: Verdict, cost: MonthlyCost) -> tuple[str, str]:
    """The cheapest bill, and whose it is."""
    bills = ((bill.usd_per_month, bill.provider) for bill in cost.offers)
    priced = [(dollars, provider) for dollars, provider in bills if dollars is not None]
    if not priced:
        return "", "no price is known" if cost.offers else no_api_words(verdict.workload)
    least, provider = min(priced)
    return units.dollars(least), f"{provider_name(provider)}, the cheapest of {len(priced)}"


def _local_rows(local: LocalCost, place: str) -> Iterator[tuple[str, str, str]]:
    """Energy, and the likely hours with their range. `place`: here or there."""
    for entry in local.unknown:
        yield f"{place}: time", "", f"not known: {entry.reason}"
    if (kwh := local.kwh_per_month) is not None:
        spent = f"{units.tenths(kwh.low, kwh.high, 'kWh')} at {local.watts:g} W"
        figure = units.tenths(kwh.likely, kwh.likely, "kWh")
        if (bill := local.electricity_per_month) is not None:
            figure, spent = f"{bill.likely:,.2f}", f"{spent} (your currency)"
        yield f"{place}: energy", figure, spent
    if (hours := local.hours_per_day) is not None:
        keeps = "keeps" if hours.likely <= HOURS_PER_DAY else "cannot keep"
        surely = "probably " if local.keeps_up is None else ""
        work = f"{units.tenths(hours.low, hours.high, 'hours')} of work a day"
        likely = units.tenths(hours.likely, hours.likely, "hours")
        yield f"{place}: time", likely, f"{work}: it {surely}{keeps} up"


def _remarks(local: LocalCost, parallel: int) -> Iterator[str]:
    """Yield what is missing with its remedy, and what the comparison rests on."""
    for remedy in dict.fromkeys(entry.remedy for entry in local.unknown if entry.remedy):
        yield f"→ {remedy}"
    if local.hours_per_day is not None:
        pace = f"{parallel} requests at once" if parallel > 1 else "one request after another"
        yield f"Counted for {pace}, without what the computer draws while idle."


# ------------------------------------------------------------------ the price of an offer

# prices of hosted models change about every quarter of a year
_OLD_PRICE_MONTHS = 3

API_RISKS = (
    "With an API, what you send leaves the machine for the provider, whose rate limits and outages"
    " apply."
)


def offer_words(offer: Offer, today: str | None) -> tuple[str, str]:
    """Return whose offer it is, or that it stands in, and its price."""
    whose = provider_name(offer.provider)
    if offer.stands_in:
        whose = f"{offer.model} from {whose} stands in"
    return whose, price_words(offer, today) or "at a price that is not known here"


def price_words(offer: Offer, today: str | None = None) -> str:
    """The prices and, given the day, of when they are; empty where none is known."""
    rates = {
        "in": offer.input_usd_per_million_tokens,
        "out": offer.output_usd_per_million_tokens,
        "per minute of audio": offer.usd_per_audio_minute,
        "per image": offer.usd_per_image,
    }
    stated = {what: rate for what, rate in rates.items() if rate is not None}
    text = ", ".join(
        f"{units.dollars(rate) if rate else 'free'} {what}" for what, rate in stated.items()
    )
    text += " per 1M tokens" * ("in" in stated)
    text += f" of {offer.price_is_for}" if offer.price_is_for is not None else ""
    if not text or today is None:
        return text
    months = words.months_between(offer.as_of, today)
    age = f", {months} months old: ask the provider" if months >= _OLD_PRICE_MONTHS else ""
    return f"{text} (listed {offer.as_of}{age})"


def no_api_words(workload: Workload) -> str:
    """Why no API is named, where none is."""
    if workload.private:
        return "nothing may leave the machine"
    if workload.task == "finetune":
        return "the prices known here do not cover fine-tuning"
    conditions = (workload.commercial, workload.modify, workload.auditable, workload.license)
    is_longer = (workload.context_tokens or 0) > DEFAULT_CONTEXT_TOKENS
    with_these = " that meets your conditions" if is_longer or any(conditions) else ""
    return f"this catalogue knows no offer{with_these}"
