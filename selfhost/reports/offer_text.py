"""Offers of APIs: prices with their days as a table, and what an API means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..catalogue.offers import Offer
from ..catalogue.provider_names import provider_name
from ..core import units
from ..core.workload import INPUT_PER_OUTPUT_TOKEN
from .layout import Block, Column, Paragraph, Span, Table
from .words import say, section

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..verdict.costs import MonthlyCost

LEAVES = {
    "speech": "the audio and its transcript",
    "vision": "prompts, images and answers",
    "image": "prompts and images",
    "video": "prompts and videos",
    "music": "prompts and music",
    "embedding": "the texts",
}
SHOWN_OFFERS = 4
OLD_PRICE_DAYS = 91
# days of two calendar months apart, as 1 July and 30 September, are at most 91 apart
OLD_PRICE_MONTHS = 3
PRICE_COLUMNS = (
    ("input_usd_per_million_tokens", "input"),
    ("output_usd_per_million_tokens", "output"),
    ("usd_per_audio_minute", "per minute"),
    ("usd_per_image", "per image"),
)


def offers_blocks(
    blocks: list[Block],
    offers: Sequence[Offer],
    modality: str,
    *,
    verbose: bool,
    today: str | None,
    cost: MonthlyCost | None = None,
) -> None:
    """Prices as a table with their days, and what an API means for what people type into it.
    Without `today` no age is told.
    """
    if not offers:
        return
    shown = offers if verbose else offers[:SHOWN_OFFERS]
    priced = [offer for offer in shown if price_words(offer)]
    days = sorted({offer.as_of for offer in priced})
    bills = (
        {(bill.provider, bill.model): bill.usd_per_month for bill in cost.offers} if cost else {}
    )
    title = _title(priced, are_several=len(offers) > 1, by_load=bool(bills))
    section(blocks, f"{title}, listed {days[-1]}" if days else title)
    blocks.append(_table(shown, bills))
    if len(offers) > len(shown):
        blocks.append(say(f"{len(offers) - len(shown)} more with --verbose.", indent=2))
    lines = [*_older(priced, days, today), *_price_limits(shown), *_doubts(shown)]
    blocks.extend(say(line, indent=2, hang=2) for line in lines)
    blocks.extend(api_words((modality,), indent=2))
    if verbose:
        for offer in shown:
            source = (
                f"{provider_name(offer.provider)}, {offer.model}: {offer.source}, {offer.as_of}"
            )
            blocks.append(say(source, indent=2, hang=2))


def _title(priced: Sequence[Offer], *, are_several: bool, by_load: bool) -> str:
    """What the prices are of, and how the offers are ordered."""
    if not priced:
        return "By API, at a price that is not known here"
    if all(offer.input_usd_per_million_tokens is None for offer in priced):
        return "By API, US dollars"
    title = "By API, US dollars per million tokens"
    if not are_several:
        return title
    if by_load:
        return f"{title}, cheapest for this load first"
    return f"{title}, cheapest first at {INPUT_PER_OUTPUT_TOKEN} tokens in for 1 out"


def _table(offers: Sequence[Offer], bills: Mapping[tuple[str, str], float | None]) -> Table:
    """A row an offer; `bills` is a month's by provider and model."""
    columns = (
        Column(title="provider", wrap=True),
        Column(title="model", wrap=True),
        Column(title="context", right=True, drop=1),
        *(Column(title=title, right=True) for _, title in PRICE_COLUMNS),
        Column(title="a month", right=True),
    )
    rows = [_cells(offer, bills.get((offer.provider, offer.model))) for offer in offers]
    # a column without any figure is left out whole; in the others a dash is what is not known
    filled = [any(cells) for cells in zip(*rows, strict=True)]
    return Table(
        columns=columns,
        rows=tuple(
            tuple(
                Span(text=text or ("-" if has_figures else ""))
                for text, has_figures in zip(row, filled, strict=True)
            )
            for row in rows
        ),
    )


def _cells(offer: Offer, bill: float | None) -> list[str]:
    prices = [getattr(offer, field) for field, _ in PRICE_COLUMNS]
    return [
        provider_name(offer.provider),
        offer.model + (" (stands in)" if offer.stands_in else ""),
        f"{offer.context_tokens:,}" if offer.context_tokens is not None else "",
        *("" if price is None else _price(price) for price in prices),
        "" if bill is None else units.dollars(bill),
    ]


def _older(priced: Sequence[Offer], days: Sequence[str], today: str | None) -> Iterator[str]:
    """Whose prices are of another day than the newest, or old."""
    for day in days:
        age = _old(day, today)
        if age or day != days[-1]:
            whose = ", ".join(
                dict.fromkeys(
                    provider_name(offer.provider) for offer in priced if offer.as_of == day
                )
            )
            yield f"Listed {day}{f', {age}: ask the provider' if age else ''}: {whose}."


def _price_limits(offers: Sequence[Offer]) -> list[str]:
    """For which prompts and images a price holds, each said once with all providers of it."""
    providers: dict[str, dict[str, None]] = {}
    for offer in offers:
        for limit in _limits_of(offer):
            providers.setdefault(limit, {})[provider_name(offer.provider)] = None
    return [f"{', '.join(whose)}: {limit}." for limit, whose in providers.items()]


def _limits_of(offer: Offer) -> Iterator[str]:
    if offer.price_holds_to_tokens is not None:
        most = f"{units.tokens(offer.price_holds_to_tokens)} of prompt"
        longer = _rates(
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


def _doubts(offers: Sequence[Offer]) -> Iterator[str]:
    """Prices of the same offer at other times or in other lists, and when an offer ends."""
    for offer in offers:
        for other in offer.other_prices:
            if other.usd_per_image is None:
                price = _rates(
                    other.input_usd_per_million_tokens, other.output_usd_per_million_tokens
                )
            else:
                price = f"{_price(other.usd_per_image)} per image"
            doubt = (
                f"{price} {other.when}"
                if other.when
                else f"{other.source} has {price}: ask the provider"
            )
            yield f"{provider_name(offer.provider)}, {offer.model}: {doubt}."
        if offer.ends:
            yield f"{provider_name(offer.provider)} ends {offer.model} on {offer.ends}."


def api_words(modalities: Iterable[str], *, indent: int = 0) -> list[Paragraph]:
    """What an API means: what leaves the machine, and who decides whether it answers."""
    leaves = dict.fromkeys(LEAVES.get(modality, "prompts and answers") for modality in modalities)
    return [
        say(
            f"With an API, {', or '.join(leaves)} leave the machine for the provider.",
            indent=indent,
            hang=2,
        ),
        say("Rate limits and outages are the provider's.", indent=indent),
    ]


def short_price(offer: Offer) -> str:
    """`0.10/0.32`: dollars per million tokens in and out; of other units `$0.04 an image`."""
    rates = (offer.input_usd_per_million_tokens, offer.output_usd_per_million_tokens)
    if rates[0] is not None:
        return "/".join(_price(rate).removeprefix("$") for rate in rates if rate is not None)
    if offer.usd_per_image is not None:
        return f"{_price(offer.usd_per_image)} an image"
    return f"{_price(offer.usd_per_audio_minute)} a min" if offer.usd_per_audio_minute else ""


def price_words(offer: Offer, today: str | None = None) -> str:
    """The prices and, given the day, of when they are; empty where none is known."""
    parts = [_rates(offer.input_usd_per_million_tokens, offer.output_usd_per_million_tokens)]
    for price, words in (
        (offer.usd_per_audio_minute, "per minute of audio"),
        (offer.usd_per_image, "per image"),
    ):
        parts.append(f"{_price(price)} {words}" if price is not None else "")
    text = ", ".join(part for part in parts if part)
    if offer.input_usd_per_million_tokens is not None:
        text += " per 1M tokens"
        text += (
            f" up to {units.tokens(offer.price_holds_to_tokens)} of prompt"
            if offer.price_holds_to_tokens is not None
            else ""
        )
        text += (
            f" above {units.tokens(offer.price_holds_above_tokens)} of prompt"
            if offer.price_holds_above_tokens is not None
            else ""
        )
    if offer.price_is_for is not None:
        text += f" of {offer.price_is_for}"
    if not text or today is None:
        return text
    age = _old(offer.as_of, today)
    differ = ", lists differ" if any(other.when is None for other in offer.other_prices) else ""
    return f"{text} (listed {offer.as_of}{differ}{f', {age}: ask the provider' if age else ''})"


def _price(amount: float) -> str:
    return units.dollars(amount) if amount else "free"


def _months(day: str) -> int:
    """Calendar months since year 0 of a day, `YYYY-MM-DD`."""
    return int(day[:4]) * 12 + int(day[5:7])


def _old(day: str, today: str | None) -> str:
    """`4 months old`, for what is older than a quarter of a year; prices of hosted models
    change as often.
    """
    if not today or _months(today) - _months(day) < OLD_PRICE_MONTHS:
        # most prices are, and datetime loads slowly
        return ""
    from datetime import date

    age = (date.fromisoformat(today) - date.fromisoformat(day)).days
    return f"{age * 12 // 365} months old" if age > OLD_PRICE_DAYS else ""


def _rates(into: float | None, out: float | None) -> str:
    return ", ".join(
        f"{_price(price)} {word}"
        for price, word in ((into, "in"), (out, "out"))
        if price is not None
    )
