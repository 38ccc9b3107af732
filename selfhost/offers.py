"""API prices: the dated snapshot that ships with the project."""

from __future__ import annotations

from .facts import Record


class Offer(Record):
    """A hosted price. `model` is the provider's name of it; `stands_in` when it serves another model than the one asked for.

    Prices in US dollars; None is not known. `as_of` is the day of the snapshot.
    """

    provider: str
    model: str
    model_id: str
    stands_in: bool = False
    context_tokens: int | None = None
    input_usd_per_million_tokens: float | None = None
    output_usd_per_million_tokens: float | None = None
    usd_per_audio_minute: float | None = None
    usd_per_image: float | None = None
    as_of: str
    source: str
