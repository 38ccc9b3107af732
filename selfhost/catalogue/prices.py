"""Fresher prices from the package genai-prices, where it is installed and asked for: figures for
offers that the snapshot names.

Nothing is fetched: the package carries its data, newer with each release, and its own updates over
the network are never started. Only a price changes, never which offers there are, so the route
stays what the snapshot makes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core.errors import SelfhostError
from ..core.records import Record
from .offers import Offer, snapshot

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    # dollars in and out
    _Price = tuple[float, float | None]

PACKAGE = "genai-prices"
# what the snapshot's sources call a provider -> what the package does; the others are called alike,
# or are not in it
_PROVIDERS = {"bedrock": "aws", "xai": "x-ai"}


class Refreshed(Record):
    """Offers in the order in which they were given, and a sentence on what changed."""

    offers: tuple[Offer, ...]
    note: str


def refreshed(offers: Sequence[Offer], path: str, *, today: str) -> Refreshed:
    """The offers of the snapshot at `path` with the prices of the installed package, each with its
    version and day.

    An offer is taken for the package's only where provider and model have the same name there, and
    only where its price is one for the whole day; every other stays as it is. A package that is not
    newer than the one the snapshot was made from changes nothing. The package states no day of its
    own: its data is at least as new as the last change of a price that it dates, and as the
    snapshot. Raises `SelfhostError` where the package is not installed, or has another shape than
    the one known.
    """
    from packaging.version import Version

    installed = _installed_version()
    newest_known, day = max(
        (
            (Version(name.removeprefix(f"{PACKAGE} ")), day)
            for name, day in snapshot(path).days.items()
            if name.startswith(f"{PACKAGE} ")
        ),
        default=(Version("0"), ""),
    )
    if Version(installed) <= newest_known:
        note = (
            f"genai-prices {installed} brings nothing newer: the snapshot was made from"
            f" {newest_known}."
        )
        return Refreshed(offers=tuple(offers), note=note)
    try:
        prices, newest = _prices(offers, today)
    except (ImportError, AttributeError, TypeError, ValueError, LookupError) as error:
        raise SelfhostError(
            f"genai-prices {installed} is not read: {type(error).__name__}: {error}",
            remedy="leave --prices out, or install another version",
        ) from None
    as_of = max(newest, day)
    fresh = tuple(
        offer if price is None else _with_price(offer, price, installed, as_of)
        for offer, price in zip(offers, prices, strict=True)
    )
    changed = sum(price is not None for price in prices)
    note = (
        f"{changed} of {len(fresh)} prices are those of genai-prices {installed}; the others the"
        " snapshot's."
    )
    return Refreshed(offers=fresh, note=note)


def _installed_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        raise SelfhostError(
            "genai-prices is not installed", remedy="pip install 'selfhost-check[prices]'"
        ) from None


def _with_price(offer: Offer, price: _Price, installed: str, as_of: str) -> Offer:
    """The offer at the price of the installed package."""
    into, out = price
    return offer.replace(
        input_usd_per_million_tokens=into,
        output_usd_per_million_tokens=out,
        other_prices=(),
        as_of=max(as_of, offer.as_of),
        source=(
            f"{PACKAGE} {installed}, the data in the installed package, at least as new as its day"
        ),
    )


def _prices(offers: Sequence[Offer], today: str) -> tuple[list[_Price | None], str]:
    """What each offer costs, None where the package has none that is surely the same, and its
    last dated change.
    """
    from datetime import UTC, datetime
    from importlib import import_module

    snapshot = import_module("genai_prices.data_snapshot").get_snapshot()
    noon = datetime.fromisoformat(f"{today}T12:00:00").replace(tzinfo=UTC)
    models = {
        (provider.id, model.id.lower()): model
        for provider in snapshot.providers
        for model in provider.models
    }
    prices: list[_Price | None] = []
    for offer in offers:
        model = models.get((_PROVIDERS.get(offer.provider, offer.provider), offer.model.lower()))
        prices.append(None if model is None else _of(model, noon, offer))
    dated = [day for model in models.values() for day in _days(model.prices) if day <= today]
    return prices, max(dated, default="")


def _of(model: Any, noon: Any, offer: Offer) -> _Price | None:
    if any(hasattr(row.constraint, "start_time") for row in _conditional(model.prices)):
        return None
    prices = model.get_prices(noon)
    into, out = (getattr(prices, key, None) for key in ("input_mtok", "output_mtok"))
    # a price that rises with the prompt stays the snapshot's
    if any(hasattr(price, "tiers") for price in (into, out)):
        return None
    has_output = offer.output_usd_per_million_tokens is not None
    # what sells another thing there, or nothing, is not the same offer; a price of nothing is a
    # trial's
    if not into or offer.input_usd_per_million_tokens is None or (has_output and not out):
        return None
    return float(into), float(out) if has_output and out is not None else None


def _conditional(prices: Any) -> Sequence[Any]:
    return prices if isinstance(prices, list) else ()


def _days(prices: Any) -> Iterator[str]:
    for row in _conditional(prices):
        start = getattr(row.constraint, "start_date", None)
        if start is not None:
            yield start.isoformat()
