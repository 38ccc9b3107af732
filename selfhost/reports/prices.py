"""The price of an offer in words."""

from __future__ import annotations

from ..catalogue.offers import Offer, provider_name
from ..core import units
from ..core.workload import DEFAULT_CONTEXT_TOKENS, Workload
from .words import months_between

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


def short_price(offer: Offer) -> str:
    """`0.10/0.32`: dollars per million tokens in and out; of other units `$0.04 per image`."""
    rates = (offer.input_usd_per_million_tokens, offer.output_usd_per_million_tokens)
    if rates[0] is not None:
        return "/".join(_dollars(rate).removeprefix("$") for rate in rates if rate is not None)
    return price_words(offer)


def price_words(offer: Offer, today: str | None = None) -> str:
    """The prices and, given the day, of when they are; empty where none is known."""
    into = offer.input_usd_per_million_tokens
    rates = (
        (into, "in"),
        (offer.output_usd_per_million_tokens, "out"),
        (offer.usd_per_audio_minute, "per minute of audio"),
        (offer.usd_per_image, "per image"),
    )
    text = ", ".join(f"{_dollars(rate)} {word}" for rate, word in rates if rate is not None)
    if into is not None:
        text += " per 1M tokens"
    text += f" of {offer.price_is_for}" if offer.price_is_for is not None else ""
    if not text or today is None:
        return text
    months = months_between(offer.as_of, today)
    age = f", {months} months old: ask the provider" if months >= _OLD_PRICE_MONTHS else ""
    return f"{text} (listed {offer.as_of}{age})"


def _dollars(amount: float) -> str:
    return units.dollars(amount) if amount else "free"


def no_api_words(workload: Workload) -> str:
    """Why no API is named, where none is."""
    if workload.private:
        return "ruled out, nothing may leave the machine"
    if workload.task == "finetune":
        return "not known, these prices do not cover fine-tuning"
    conditions = (workload.commercial, workload.modify, workload.auditable, workload.license)
    is_longer = (workload.context_tokens or 0) > DEFAULT_CONTEXT_TOKENS
    with_these = " that meets your conditions" if is_longer or any(conditions) else ""
    return f"this catalogue knows no offer{with_these}"
