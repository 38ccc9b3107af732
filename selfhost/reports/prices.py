"""The price of an offer in words."""

from __future__ import annotations

from ..catalogue.offers import Offer
from ..core import units

OLD_PRICE_DAYS = 91
# days of two calendar months apart, as 1 July and 30 September, are at most 91 apart
OLD_PRICE_MONTHS = 3


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
    age = age_of(offer.as_of, today)
    differ = ", lists differ" if any(other.when is None for other in offer.other_prices) else ""
    return f"{text} (listed {offer.as_of}{differ}{f', {age}: ask the provider' if age else ''})"


def dollars_of(amount: float) -> str:
    return units.dollars(amount) if amount else "free"


def months(day: str) -> int:
    """Calendar months since year 0 of a day, `YYYY-MM-DD`."""
    return int(day[:4]) * 12 + int(day[5:7])


def age_of(day: str, today: str | None) -> str:
    """`4 months old`, for what is older than a quarter of a year; prices of hosted models
    change as often.
    """
    if not today or months(today) - months(day) < OLD_PRICE_MONTHS:
        # most prices are, and datetime loads slowly
        return ""
    from datetime import date

    age = (date.fromisoformat(today) - date.fromisoformat(day)).days
    return f"{age * 12 // 365} months old" if age > OLD_PRICE_DAYS else ""


def rates_of(into: float | None, out: float | None) -> str:
    return ", ".join(
        f"{dollars_of(price)} {word}"
        for price, word in ((into, "in"), (out, "out"))
        if price is not None
    )
