"""Offers of APIs: prices with their days as a table, and what an API means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..catalogue.offers import Offer, provider_name
from ..core import units
from ..core.workload import INPUT_PER_OUTPUT_TOKEN
from .layout import Block, Column, Paragraph, Span, Table
from .prices import age_of, dollars_of, price_words, rates_of
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
        *("" if price is None else dollars_of(price) for price in prices),
        "" if bill is None else units.dollars(bill),
    ]


def _older(priced: Sequence[Offer], days: Sequence[str], today: str | None) -> Iterator[str]:
    """Whose prices are of another day than the newest, or old."""
    for day in days:
        age = age_of(day, today)
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


def _doubts(offers: Sequence[Offer]) -> Iterator[str]:
    """Prices of the same offer at other times or in other lists, and when an offer ends."""
    for offer in offers:
        for other in offer.other_prices:
            if other.usd_per_image is None:
                price = rates_of(
                    other.input_usd_per_million_tokens, other.output_usd_per_million_tokens
                )
            else:
                price = f"{dollars_of(other.usd_per_image)} per image"
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
