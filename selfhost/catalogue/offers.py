"""API prices: the dated snapshot that ships with the project, and what its providers are called.

The file has a header, `{"schema": 1, "as_of": …, "sources": {NAME: {"as_of": …, "what": …}},
"left_out": […]}`, then one line per model, `{"model": ID, "offers": […]}`. `left_out` says which
offers of the sources are not taken over, and why. Only the line of the model asked for is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from ..core.errors import Problem, SpecError
from ..core.records import Record
from ..core.tables import STORED, is_stored, read_stored, shipped_table, stored, value_of
from ..core.workload import INPUT_PER_OUTPUT_TOKEN

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

SCHEMA = 1
MAX_BYTES = 16 << 20
_REMEDY = "install selfhost again, or put back specs/common/offers.jsonl"


class OtherPrice(Record):
    """Another price of the same offer, US dollars: of a source more than 5 % away, or, with
    `when`, of other hours or qualities.
    """

    input_usd_per_million_tokens: float | None = None
    output_usd_per_million_tokens: float | None = None
    usd_per_image: float | None = None
    when: str | None = None
    source: str


class Offer(Record):
    """A hosted price. `model` is the provider's name of it; `stands_in` when it serves another
    model than the one asked for.

    Prices in US dollars; None is not known. They are for prompts of up to `price_holds_to_tokens`,
    and longer ones cost more, the two `long_` prices where they are known; None where no such limit
    is known. In their place `price_holds_above_tokens` says that the price is that of longer
    prompts. `price_is_for` says which of a provider's pictures a price is for. Where sources differ
    the dearest is the price and `other_prices` has the others. `as_of` is the day of the list that
    has the price, not one on which the provider was asked; `ends` the day from which the offer is
    announced to be gone, both `YYYY-MM-DD`; `ends` is None where no end is announced. `why_instead`
    is a sentence on why this model stands in, or how it is known to be that of the files that were
    judged; None where it is the one asked for.
    """

    provider: str
    model: str
    model_id: str
    stands_in: bool = False
    why_instead: str | None = None
    context_tokens: int | None = None
    input_usd_per_million_tokens: float | None = None
    output_usd_per_million_tokens: float | None = None
    usd_per_audio_minute: float | None = None
    usd_per_image: float | None = None
    price_is_for: str | None = None
    price_holds_to_tokens: int | None = None
    price_holds_above_tokens: int | None = None
    long_input_usd_per_million_tokens: float | None = None
    long_output_usd_per_million_tokens: float | None = None
    other_prices: tuple[OtherPrice, ...] = ()
    as_of: str
    ends: str | None = None
    source: str


def offers_of(path: str, model_id: str, *, today: str) -> tuple[Offer, ...]:
    """The offers for one model in the file at `path`, cheapest first; empty where there is none.

    An offer is dropped from the day it ends on. `today` is `YYYY-MM-DD`.
    Raises `SpecError` for a file that is missing or damaged in the header or the model's line.
    """
    return _offers_of(path, *_state(path), model_id, today)


# a list with needs asks for the same stand-ins again and again
@lru_cache(maxsize=4096)
def _offers_of(path: str, changed: int, size: int, model_id: str, today: str) -> tuple[Offer, ...]:
    days, rows = _snapshot(path, changed, size)
    if model_id not in rows:
        return ()
    line, content = rows[model_id]
    row = _object(path, line, content)
    items = row.get("offers")
    if row.get("model") != model_id or not isinstance(items, list):
        raise _damaged(path, line, 'is not {"model": …, "offers": […]}')
    offers = [_offer(_Item(path, line, item), model_id, days) for item in items]
    return cheapest_first(offer for offer in offers if offer.ends is None or offer.ends > today)


def snapshot_day(path: str) -> str:
    """The day of the snapshot as a whole. Raises `SpecError`."""
    return _snapshot(path, *_state(path))[0][""]


def day_by_header(path: str) -> str | None:
    """The same; None where the snapshot is damaged, which whoever reads an offer is told."""
    try:
        return snapshot_day(path)
    except SpecError:
        return None


def sources(path: str) -> Mapping[str, str]:
    """The sources of the snapshot and the day of each. Raises `SpecError`."""
    return {name: day for name, day in _snapshot(path, *_state(path))[0].items() if name}


def cheapest_first(offers: Iterable[Offer]) -> tuple[Offer, ...]:
    """By the price of three tokens in and one out, then of a minute of audio, then of an image;
    unknown prices come last.
    """
    return tuple(sorted(offers, key=_price))


def at_context(offers: Iterable[Offer], context_tokens: int) -> tuple[Offer, ...]:
    """The same with prompts as long as that: where a price does not hold there it is that of
    longer ones, or not known and last.
    """
    return cheapest_first(
        (
            _of_long_prompts(offer, offer.price_holds_to_tokens)
            if offer.price_holds_to_tokens is not None
            and context_tokens > offer.price_holds_to_tokens
            else offer
        )
        for offer in offers
    )


def _of_long_prompts(offer: Offer, limit: int) -> Offer:
    into, out = offer.long_input_usd_per_million_tokens, offer.long_output_usd_per_million_tokens
    dearer = offer.replace(
        input_usd_per_million_tokens=into, output_usd_per_million_tokens=out, other_prices=()
    )
    return (
        dearer
        if into is None
        else dearer.replace(price_holds_to_tokens=None, price_holds_above_tokens=limit)
    )


class _Item:
    """One object on a line of the file; each getter raises where its value is wrong."""

    def __init__(self, path: str, line: int, values: object) -> None:
        self.path, self.line = path, line
        if not isinstance(values, dict):
            raise _damaged(path, line, "holds an offer that is no object")
        self.values: Mapping[str, Any] = values

    def text(self, key: str) -> str:
        value = self.values.get(key)
        if not isinstance(value, str) or not value:
            raise _damaged(self.path, self.line, f"holds an offer without {key}", key)
        return value

    def optional_text(self, key: str) -> str | None:
        return self.text(key) if key in self.values else None

    def number(self, key: str) -> Any:
        """A price as a float, tokens as an int; None where it is missing."""
        value = self.values.get(key)
        if value is None:
            return None
        is_price = "usd" in key
        least, kinds = (0, (int, float)) if is_price else (1, (int,))
        if type(value) not in kinds or not least <= value < 1e9:
            what = "a price in US dollars" if is_price else "a whole number of tokens"
            raise _damaged(self.path, self.line, f"must be {what}", key)
        return float(value) if is_price else value

    def day(self, key: str) -> str | None:
        value = self.values.get(key)
        if value is not None and not _is_date(value):
            raise _damaged(self.path, self.line, "must be a date, YYYY-MM-DD", key)
        return value

    def others(self) -> tuple[OtherPrice, ...]:
        items = self.values.get("other_prices", [])
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise _damaged(self.path, self.line, "must be a list of prices", "other_prices")
        return tuple([_other_price(_Item(self.path, self.line, item)) for item in items])


_NUMBERS = (
    "context_tokens",
    "input_usd_per_million_tokens",
    "output_usd_per_million_tokens",
    "usd_per_audio_minute",
    "usd_per_image",
    "price_holds_to_tokens",
    "long_input_usd_per_million_tokens",
    "long_output_usd_per_million_tokens",
)
_OTHER_NUMBERS = ("input_usd_per_million_tokens", "output_usd_per_million_tokens", "usd_per_image")


def _offer(item: _Item, model_id: str, days: Mapping[str, str]) -> Offer:
    source = item.text("source")
    return Offer(
        provider=item.text("provider"),
        model=item.text("provider_model"),
        model_id=model_id,
        price_is_for=item.optional_text("price_is_for"),
        other_prices=item.others(),
        as_of=days.get(source, days[""]),
        ends=item.day("ends"),
        source=source,
        **{key: item.number(key) for key in _NUMBERS},
    )


def _other_price(item: _Item) -> OtherPrice:
    return OtherPrice(
        when=item.optional_text("when"),
        source=item.text("source"),
        **{key: item.number(key) for key in _OTHER_NUMBERS},
    )


def _price(offer: Offer) -> tuple[float, float, float, str, str]:
    unknown = float("inf")
    into, out = offer.input_usd_per_million_tokens, offer.output_usd_per_million_tokens
    # what embeds has no output to pay for
    tokens = unknown if into is None else INPUT_PER_OUTPUT_TOKEN * into + (out or 0)
    minute = unknown if offer.usd_per_audio_minute is None else offer.usd_per_audio_minute
    image = unknown if offer.usd_per_image is None else offer.usd_per_image
    return tokens, minute, image, offer.provider, offer.model


def providers_by_model(path: str) -> Mapping[str, int]:
    """How many providers sell each model, by its id, in the file at `path`."""
    return _counted_providers(path, *_state(path))


@lru_cache(maxsize=2)
def _counted_providers(path: str, changed: int, size: int) -> Mapping[str, int]:
    counts = {}
    for model_id, (line, content) in _snapshot(path, changed, size)[1].items():
        items = _object(path, line, content)["offers"]
        counts[model_id] = len({item["provider"] for item in items} - {""})
    return counts


def provider_name(id: str) -> str:
    """The name of the provider that price lists call so; the id where no name is known, which says
    more than a guess.
    """
    return _provider_names().get(id, id)


@lru_cache(maxsize=1)
def _provider_names() -> Mapping[str, str]:
    try:
        names: Mapping[str, str] = shipped_table("providers").get("names", {})
    except SpecError:
        # a name is a comfort: without the file the ids stand
        return {}
    return names


def _state(path: str) -> tuple[int, int]:
    """Time and size of the file: what was read of it is kept until they change."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return 0, 0
    return status.st_mtime_ns, status.st_size


# a line of a model by its id: its number, 0 in a package, and its content
_Rows = Mapping[str, "tuple[int, bytes]"]


@lru_cache(maxsize=2)
def _snapshot(path: str, _changed: int, _size: int) -> tuple[Mapping[str, str], _Rows]:
    """The days of the sources, and the lines: only that of a model asked for is parsed."""
    if is_stored(path.removesuffix(".jsonl")):
        header, rows = read_stored(path.removesuffix(".jsonl") + STORED)
        return _days(path, header), rows
    from ..core.files import Unreadable, read_file

    try:
        lines = read_file(path, MAX_BYTES).split(b"\n")
    except Unreadable as error:
        raise _damaged(path, None, f"the price snapshot {error.reason}") from None
    return _days(path, _object(path, 1, lines[0])), _by_model(lines[1:])


def _by_model(lines: Sequence[bytes]) -> dict[str, tuple[int, bytes]]:
    rows: dict[str, tuple[int, bytes]] = {}
    for number, line in enumerate(lines, 2):
        model, quote, _ = line.removeprefix(b'{"model": "').partition(b'"')
        if quote:
            # of two lines of one model the first counts
            rows.setdefault(model.decode(errors="replace"), (number, line))
    return rows


def stored_offers(path: str) -> bytes:
    """The snapshot at `path` as a package has it. Raises `SpecError` for a damaged line."""
    with open(path, "rb") as file:
        header, *lines = file.read().split(b"\n")
    rows = {
        model_id: (0, stored(_object(path, number, line)))
        for model_id, (number, line) in _by_model(lines).items()
    }
    return stored((_object(path, 1, header), rows))


def _days(path: str, header: Mapping[str, Any]) -> Mapping[str, str]:
    """The day of each source, and that of the snapshot under the empty name."""
    if header.get("schema") != SCHEMA:
        raise _damaged(path, 1, f"must be {SCHEMA}", "schema")
    sources = header.get("sources", {})
    if not isinstance(sources, dict) or not all(map(_is_source, sources.values())):
        message = 'must be {NAME: {"as_of": YYYY-MM-DD, "what": …}}'
        raise _damaged(path, 1, message, "sources")
    if not _is_date(header.get("as_of")):
        raise _damaged(path, 1, "must be a date, YYYY-MM-DD", "as_of")
    return {"": header["as_of"], **{name: source["as_of"] for name, source in sources.items()}}


def _is_source(value: object) -> bool:
    return isinstance(value, dict) and _is_date(value.get("as_of"))


def _is_date(value: object) -> bool:
    return (
        isinstance(value, str)
        and len(value) == 10
        and value[4] == value[7] == "-"
        and (value[:4] + value[5:7] + value[8:]).isdecimal()
    )


def _object(path: str, number: int, line: bytes) -> dict[str, Any]:
    """What a line says, as JSON or, of number 0, as a package has it."""
    if not number:
        return dict(value_of(line))
    import json

    def constant(name: str) -> float:
        raise ValueError(f"{name} is no number")

    try:
        value = json.loads(line, parse_constant=constant)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise _damaged(path, number, "is not a JSON object")
    return value


def _damaged(path: str, line: int | None, message: str, key: str | None = None) -> SpecError:
    return SpecError(
        [Problem(file=path, line=line, key=key, message=message, remedy=_REMEDY)], remedy=_REMEDY
    )
