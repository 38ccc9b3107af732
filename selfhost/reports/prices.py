"""The price of an offer in words."""

from __future__ import annotations

from ..catalogue.offers import Offer, provider_name
from ..core import units

# prices of hosted models change about every quarter of a year
_OLD_PRICE_DAYS = 91
_NO_PRICE = "at a price that is not known here"


def offer_words(offer: Offer, today: str | None) -> tuple[str, str]:
    """Return whose offer it is, or that it stands in, and its price."""
    whose = provider_name(offer.provider)
    if offer.stands_in:
        whose = f"{offer.model} from {whose} stands in"
    return whose, price_words(offer, today) or _NO_PRICE


def short_price(offer: Offer) -> str:
    """`0.10/0.32`: dollars per million tokens in and out; of other units `$0.04 an image`."""
    rates = (offer.input_usd_per_million_tokens, offer.output_usd_per_million_tokens)
    if rates[0] is not None:
        return "/".join(dollars_of(rate).removeprefix("$") for rate in rates if rate is not None)
    if offer.usd_per_image is not None:
        return f"{dollars_of(offer.usd_per_image)} an image"
    return f"{dollars_of(offer.usd_per_audio_minute)} a min" if offer.usd_per_audio_minute else ""


def price_words(offer: Offer, today: str | None = None) -> str:
    """The prices and, given the day, of when they are; empty where none is known."""
    parts = [rates_of(offer.input_usd_per_million_tokens, offer.output_usd_per_million_tokens)]
    for price, words in (
        (offer.usd_per_audio_minute, "per minute of audio"),
        (offer.usd_per_image, "per image"),
    ):
        parts.append(f"{dollars_of(price)} {words}" if price is not None else "")
    text = ", ".join(filter(None, parts))
    if offer.input_usd_per_million_tokens is not None:
        text += " per 1M tokens"
        for word, limit in (
            ("up to", offer.price_holds_to_tokens),
            ("above", offer.price_holds_above_tokens),
        ):
            text += f" {word} {units.tokens(limit)} of prompt" if limit is not None else ""
    text += f" of {offer.price_is_for}" if offer.price_is_for is not None else ""
    if not text or today is None:
        return text
    age = age_of(offer.as_of, today)
    differ = ", lists differ" if any(other.when is None for other in offer.other_prices) else ""
    return f"{text} (listed {offer.as_of}{differ}{f', {age}: ask the provider' if age else ''})"


def dollars_of(amount: float) -> str:
    """`$0.10`, or `free`."""
    return units.dollars(amount) if amount else "free"


def age_of(day: str, today: str | None) -> str:
    """`4 months old`, for what is older than a quarter of a year."""
    # most prices are of the same quarter, and datetime loads slowly
    months = (int(each[:4]) * 12 + int(each[5:7]) for each in (today or day, day))
    if not today or next(months) - next(months) < 3:
        return ""
    from datetime import date

    age = (date.fromisoformat(today) - date.fromisoformat(day)).days
    return f"{age * 12 // 365} months old" if age > _OLD_PRICE_DAYS else ""


def rates_of(into: float | None, out: float | None) -> str:
    """`$0.10 in, $0.32 out`."""
    rates = ((into, "in"), (out, "out"))
    return ", ".join(f"{dollars_of(rate)} {word}" for rate, word in rates if rate is not None)
