"""Prices: of an offer, and of a month by API and on the machine."""

from __future__ import annotations

from collections.abc import Iterator

from ..advice.costs import HOURS_PER_DAY, LocalCost, MonthlyCost
from ..catalogue.offers import Offer, provider_name
from ..core import units
from ..core.workload import DEFAULT_CONTEXT_TOKENS, INPUT_PER_OUTPUT_TOKEN, Workload
from ..judge.record import Verdict
from .layout import Block, figures, heading, section, texts
from .words import is_here, months_between, on_machine

# label, figure, note
_Row = tuple[str, str, str]


def month_blocks(verdict: Verdict) -> Iterator[Block]:
    """The month by API beside the month on the machine."""
    cost = verdict.monthly_cost
    if cost is None:
        return
    if cost.reason is not None:
        yield from section("A month", [f"{cost.reason[0].upper()}{cost.reason[1:]}."])
        return
    read, written = cost.input_tokens_per_day, cost.output_tokens_per_day
    split = f" (assumed: {INPUT_PER_OUTPUT_TOKEN} in for 1 out)" if cost.assumed_split else ""
    load = f"{read:,} tokens in{f' and {written:,} out' if written else ''} a day{split}"
    yield from heading(f"A month of {cost.days_per_month} days, {load}")
    local = cost.here
    rows = [("by API", *_bill(verdict, cost))]
    if local is None:
        rows.append((on_machine(verdict.machine, short=True), "", "it does not run"))
    else:
        place = "here" if is_here(verdict.machine) else "there"
        rows += _local_rows(local, place)
    yield figures(rows, right=True)
    if local is not None:
        yield from texts(_remarks(local, verdict.workload.parallel))


def _bill(verdict: Verdict, cost: MonthlyCost) -> tuple[str, str]:
    """The cheapest bill, and whose it is."""
    priced = [
        (bill.usd_per_month, bill.provider)
        for bill in cost.offers
        if bill.usd_per_month is not None
    ]
    if not priced:
        return "", "no price is known" if cost.offers else no_api_words(verdict.workload)
    least, provider = min(priced)
    return units.dollars(least), f"{provider_name(provider)}, the cheapest of {len(priced)}"


def _local_rows(local: LocalCost, place: str) -> Iterator[_Row]:
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
        note = (
            f"{units.tenths(hours.low, hours.high, 'hours')} of work a day: it {surely}{keeps} up"
        )
        yield f"{place}: time", units.tenths(hours.likely, hours.likely, "hours"), note


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
    into = offer.input_usd_per_million_tokens
    rates = (
        (into, "in"),
        (offer.output_usd_per_million_tokens, "out"),
        (offer.usd_per_audio_minute, "per minute of audio"),
        (offer.usd_per_image, "per image"),
    )
    text = ", ".join(
        f"{units.dollars(rate) if rate else 'free'} {word}"
        for rate, word in rates
        if rate is not None
    )
    if into is not None:
        text += " per 1M tokens"
    text += f" of {offer.price_is_for}" if offer.price_is_for is not None else ""
    if not text or today is None:
        return text
    months = months_between(offer.as_of, today)
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
