"""Offers of APIs: prices with their days as a table, and what an API means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..catalogue.offers import Offer, provider_name
from ..core import units
from ..core.workload import INPUT_PER_OUTPUT_TOKEN
from .layout import Block, Column, Table, heading, say
from .prices import age_of, dollars_of, price_words, rates_of

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..judge.costs import MonthlyCost

_LEAVES = {
    "speech": "the audio and its transcript",
    "vision": "prompts, images and answers",
    "image": "prompts and images",
    "video": "prompts and videos",
    "music": "prompts and music",
    "embedding": "the texts",
}
_PRICES = {
    "input": "input_usd_per_million_tokens",
    "output": "output_usd_per_million_tokens",
    "per minute": "usd_per_audio_minute",
    "per image": "usd_per_image",
}


def offers_blocks(
    offers: Sequence[Offer], modality: str, *, today: str | None, cost: MonthlyCost | None = None
) -> Iterator[Block]:
    """Prices as a table with their days, and what an API means for what people type into it."""
    if not offers:
        return
    priced = [offer for offer in offers if price_words(offer)]
    days = sorted({offer.as_of for offer in priced})
    yield from heading(_title(priced, len(offers) > 1, bool(cost and cost.offers), days))
    yield _table(offers, cost)
    for day in days:
        age = age_of(day, today)
        if age or day != days[-1]:
            of_day = (provider_name(offer.provider) for offer in priced if offer.as_of == day)
            old = f", {age}: ask the provider" if age else ""
            yield say(f"Listed {day}{old}: {', '.join(dict.fromkeys(of_day))}.", indent=2, hang=2)
    doubts = [doubt for offer in offers for doubt in _doubts(offer)]
    yield from (say(text, indent=2, hang=2) for text in (*_all_limits(offers), *doubts))
    yield from api_blocks((modality,), indent=2)
    for offer in offers:
        name = f"{provider_name(offer.provider)}, {offer.model}"
        yield say(f"{name}: {offer.source}, {offer.as_of}", indent=2, hang=2)


def _title(priced: Sequence[Offer], several: bool, by_load: bool, days: Sequence[str]) -> str:
    """What the prices are of, how the offers are ordered, and the newest day."""
    if not priced:
        return "By API, at a price that is not known here"
    title = "By API, US dollars"
    if any(offer.input_usd_per_million_tokens is not None for offer in priced):
        title += " per million tokens"
        if several:
            ratio = f"cheapest first at {INPUT_PER_OUTPUT_TOKEN} tokens in for 1 out"
            title += f", {'cheapest for this load first' if by_load else ratio}"
    return f"{title}, listed {days[-1]}"


def _table(offers: Sequence[Offer], cost: MonthlyCost | None) -> Table:
    bills = (
        {(bill.provider, bill.model): bill.usd_per_month for bill in cost.offers} if cost else {}
    )
    columns = (
        Column(title="provider", wrap=True),
        Column(title="model", wrap=True),
        Column(title="context", right=True, drop=1),
        *(Column(title=title, right=True) for title in _PRICES),
        Column(title="a month", right=True),
    )
    rows = []
    for offer in offers:
        prices = [getattr(offer, field) for field in _PRICES.values()]
        bill = bills.get((offer.provider, offer.model))
        rows.append(
            [
                provider_name(offer.provider),
                offer.model + " (stands in)" * offer.stands_in,
                "" if offer.context_tokens is None else f"{offer.context_tokens:,}",
                *("" if price is None else dollars_of(price) for price in prices),
                "" if bill is None else units.dollars(bill),
            ]
        )
    # a column without any figure is left out; in the others a dash is what is not known
    filled = [any(cells) for cells in zip(*rows, strict=True)]
    cells = (zip(row, filled, strict=True) for row in rows)
    shown = tuple(tuple(text or "-" * has_any for text, has_any in row) for row in cells)
    return Table(columns=columns, rows=shown)


def _all_limits(offers: Sequence[Offer]) -> list[str]:
    """For which prompts and images a price holds, each once with all providers of it."""
    limits: dict[str, dict[str, None]] = {}
    for offer in offers:
        for limit in _limits(offer):
            limits.setdefault(limit, {})[provider_name(offer.provider)] = None
    return [f"{', '.join(whose)}: {limit}." for limit, whose in limits.items()]


def _limits(offer: Offer) -> Iterator[str]:
    """Yield for which prompts and images a price holds."""
    if offer.price_holds_to_tokens is not None:
        most = f"{units.tokens(offer.price_holds_to_tokens)} of prompt"
        longer = rates_of(
            offer.long_input_usd_per_million_tokens, offer.long_output_usd_per_million_tokens
        )
        if offer.input_usd_per_million_tokens is not None:
            yield f"up to {most}; a longer one costs {longer or 'more'}"
        else:
            yield f"above {most} it costs more, how much is not known here"
    if offer.price_holds_above_tokens is not None:
        least = units.tokens(offer.price_holds_above_tokens)
        yield f"the price of more than {least} of prompt; a shorter one costs less"
    if offer.price_is_for is not None:
        yield f"an image of {offer.price_is_for}"


def _doubts(offer: Offer) -> Iterator[str]:
    """Yield prices at other times or in other lists, and when the offer ends."""
    provider = provider_name(offer.provider)
    for other in offer.other_prices:
        into, out = other.input_usd_per_million_tokens, other.output_usd_per_million_tokens
        price = rates_of(into, out)
        if other.usd_per_image is not None:
            price = f"{dollars_of(other.usd_per_image)} per image"
        doubt = f"{other.source} has {price}: ask the provider"
        yield f"{provider}, {offer.model}: {f'{price} {other.when}' if other.when else doubt}."
    if offer.ends:
        yield f"{provider} ends {offer.model} on {offer.ends}."


def api_blocks(modalities: Iterable[str], *, indent: int = 0) -> Iterator[Block]:
    """What an API means: what leaves the machine, and who decides whether it answers."""
    leaves = dict.fromkeys(_LEAVES.get(modality, "prompts and answers") for modality in modalities)
    words = f"With an API, {', or '.join(leaves)} leave the machine for the provider."
    yield say(words, indent=indent, hang=2)
    yield say("Rate limits and outages are the provider's.", indent=indent)
