"""API prices: the dated snapshot that ships with the project, and what its providers are called.

The file has a header, `{"schema": 1, "as_of": …, "sources": {NAME: {"as_of": …, "what": …}},
"left_out": […]}`, then one line per model, `{"model": ID, "offers": […]}`. `left_out` says which
offers of the sources are not taken over, and why. Only the line of the model asked for is read, in
a package from a compiled copy.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import lru_cache

from ..core.errors import Problem, SpecError
from ..core.parts import UNREADABLE, Parts, joined
from ..core.records import Record
from ..core.tables import compiled_path, shipped_table
from ..core.workload import INPUT_PER_OUTPUT_TOKEN

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

SCHEMA = 1
_COPY_VERSION = 2
MAX_BYTES = 16 << 20
# a header has a few thousand bytes; a first line longer than this is none
_MAX_HEADER_BYTES = 1 << 16
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
    content, days = _parsed(path, changed, size)
    # of two lines of one model the first counts
    place = content.find(b'\n{"model": "%s",' % model_id.encode("utf-8", "replace")) + 1
    if not place:
        return ()
    end = content.find(b"\n", place)
    line = content[place : end if end > 0 else None]
    try:
        return _in_line(path, 0, line, model_id, days, today)
    except SpecError:
        # to count lines takes longer than to read one: only where a message names it
        number = content.count(b"\n", 0, place) + 1
        return _in_line(path, number, line, model_id, days, today)


def _in_line(
    path: str, number: int, line: bytes, model_id: str, days: Mapping[str, str], today: str
) -> tuple[Offer, ...]:
    """The offers of one model in its line, which has that number."""
    row = _object(path, number, line)
    items = row.get("offers")
    if row.get("model") != model_id or not isinstance(items, list):
        raise _damaged(path, number, 'is not {"model": …, "offers": […]}')
    offers = [
        offer for entry in items if (offer := _offer(path, number, model_id, days, today, entry))
    ]
    return cheapest_first(offers)


def snapshot_day(path: str) -> str:
    """The day of the snapshot as a whole. Raises `SpecError`."""
    return _parsed(path, *_state(path))[1][""]


def day_by_header(path: str) -> str | None:
    """The same by the first line alone, for who reads no offer; None where that is damaged, which
    whoever reads an offer is told.
    """
    try:
        with open(path, "rb") as file:
            line = file.readline(_MAX_HEADER_BYTES)
        day = _object(path, 1, line.removesuffix(b"\n")).get("as_of")
    except (OSError, ValueError, SpecError):
        return None
    return str(day) if _is_date(day) else None


def sources(path: str) -> Mapping[str, str]:
    """The sources of the snapshot and the day of each. Raises `SpecError`."""
    return {name: day for name, day in _parsed(path, *_state(path))[1].items() if name}


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


def _offer(
    path: str, number: int, model_id: str, days: Mapping[str, str], today: str, item: object
) -> Offer | None:
    """None for an offer that has ended."""
    if not isinstance(item, dict):
        raise _damaged(path, number, "holds an offer that is no object")
    values = _OfferValues(path, number, item)
    others = item.get("other_prices", [])
    if not isinstance(others, list) or not all(isinstance(other, dict) for other in others):
        raise _damaged(path, number, "must be a list of prices", "other_prices")
    ends = item.get("ends")
    if ends is not None and not _is_date(ends):
        raise _damaged(path, number, "must be a date, YYYY-MM-DD", "ends")
    source = values.text("source")
    offer = Offer(
        provider=values.text("provider"),
        model=values.text("provider_model"),
        model_id=model_id,
        context_tokens=values.tokens("context_tokens"),
        input_usd_per_million_tokens=values.price("input_usd_per_million_tokens"),
        output_usd_per_million_tokens=values.price("output_usd_per_million_tokens"),
        usd_per_audio_minute=values.price("usd_per_audio_minute"),
        usd_per_image=values.price("usd_per_image"),
        price_is_for=values.text("price_is_for") if "price_is_for" in item else None,
        price_holds_to_tokens=values.tokens("price_holds_to_tokens"),
        long_input_usd_per_million_tokens=values.price("long_input_usd_per_million_tokens"),
        long_output_usd_per_million_tokens=values.price("long_output_usd_per_million_tokens"),
        other_prices=tuple(_other_price(_OfferValues(path, number, other)) for other in others),
        as_of=days.get(source, days[""]),
        ends=ends,
        source=source,
    )
    return None if ends is not None and ends <= today else offer


def _other_price(values: _OfferValues) -> OtherPrice:
    return OtherPrice(
        input_usd_per_million_tokens=values.price("input_usd_per_million_tokens"),
        output_usd_per_million_tokens=values.price("output_usd_per_million_tokens"),
        usd_per_image=values.price("usd_per_image"),
        when=values.text("when") if "when" in values.item else None,
        source=values.text("source"),
    )


class _OfferValues:
    """The values of one object on a line of the file; each getter raises where its value is
    wrong.
    """

    def __init__(self, path: str, number: int, item: Mapping[str, Any]) -> None:
        self.path, self.number, self.item = path, number, item

    def text(self, key: str) -> str:
        value = self.item.get(key)
        if not isinstance(value, str) or not value:
            raise _damaged(self.path, self.number, f"holds an offer without {key}", key)
        return value

    def price(self, key: str) -> float | None:
        value = self.item.get(key)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e9:
            raise _damaged(self.path, self.number, "must be a price in US dollars", key)
        return float(value)

    def tokens(self, key: str) -> int | None:
        value = self.item.get(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise _damaged(self.path, self.number, "must be a whole number of tokens", key)
        return value


def _price(offer: Offer) -> tuple[float, float, float, str, str]:
    unknown = float("inf")
    into, out = offer.input_usd_per_million_tokens, offer.output_usd_per_million_tokens
    # what embeds has no output to pay for
    tokens = unknown if into is None else INPUT_PER_OUTPUT_TOKEN * into + (out or 0)
    minute = unknown if offer.usd_per_audio_minute is None else offer.usd_per_audio_minute
    image = unknown if offer.usd_per_image is None else offer.usd_per_image
    return tokens, minute, image, offer.provider, offer.model


def providers_by_model(path: str) -> Mapping[str, int]:
    """How many providers sell each model, by its id, in the file at `path`; read without parsing
    the offers, for a list needs the numbers of all.
    """
    return _counted_providers(path, *_state(path))


@lru_cache(maxsize=2)
def _counted_providers(path: str, changed: int, size: int) -> Mapping[str, int]:
    content, _ = _parsed(path, changed, size)
    start, key = b'{"model": "', b'"provider": "'
    return {
        # a pattern would do it too, and takes longer to load than the whole file to read
        _beginning(line)[len(start) : -1].decode(): len(
            {rest.partition(b'"')[0] for rest in line.split(key)[1:]} - {b""}
        )
        for line in reversed(content.split(b"\n")[1:])
        if line.startswith(start)
    }


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


def _days(path: str, line: bytes) -> Mapping[str, str]:
    """The day of each source, and that of the snapshot under the empty name."""
    header = _object(path, 1, line)
    if header.get("schema") != SCHEMA:
        raise _damaged(path, 1, f"must be {SCHEMA}", "schema")
    sources = header.get("sources", {})
    if not isinstance(sources, dict) or not all(
        isinstance(source, dict) for source in sources.values()
    ):
        raise _damaged(path, 1, 'must be {NAME: {"as_of": …, "what": …}}', "sources")
    days = {name: source.get("as_of") for name, source in sources.items()}
    days[""] = header.get("as_of")
    for name, day in days.items():
        if not _is_date(day):
            raise _damaged(
                path, 1, "must be a date, YYYY-MM-DD", f"sources.{name}.as_of" if name else "as_of"
            )
    return days


def _is_date(value: object) -> bool:
    return (
        isinstance(value, str)
        and len(value) == 10
        and value[4] == value[7] == "-"
        and (value[:4] + value[5:7] + value[8:]).isdecimal()
    )


def _state(path: str) -> tuple[int, int]:
    """Time and size of the file: what was read of it is kept until they change."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return 0, 0
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=2)
def _parsed(path: str, _changed: int, _size: int) -> tuple[bytes, Mapping[str, str]]:
    """The content, and the days of the sources."""
    content = _read(path)
    return content, _days(path, content.partition(b"\n")[0])


def _read(path: str) -> bytes:
    from ..core.reading import Unreadable, read_file

    try:
        return read_file(path, MAX_BYTES)
    except Unreadable as error:
        raise _damaged(path, None, f"the price snapshot {error.reason}") from None


def compile_offers(path: str) -> bytes:
    """The compiled copy of the snapshot, a file of `core.parts` that lies where `compiled_path`
    says: what each line holds, by how it begins, beside the line's size and checksum.

    The same snapshot always gives the same. Raises `SpecError` for a damaged line.
    """
    lines = _read(path).split(b"\n")
    parts = {
        _beginning(line).decode(): [*_mark(line), _parsed_object(path, number, line)]
        for number, line in enumerate(lines, start=1)
        if line
    }
    return joined(_COPY_VERSION, {}, parts, frozen=False)


def _beginning(line: bytes) -> bytes:
    """What tells a line from the others: of a model's, its id."""
    return line.partition(b",")[0]


def _mark(line: bytes) -> list[int]:
    from binascii import crc32

    return [len(line), crc32(line)]


@lru_cache(maxsize=2)
def _copy_of(path: str) -> Parts | None:
    """The compiled copy, of which each line is compared with the snapshot's; None without one."""
    try:
        return Parts(compiled_path(path), _COPY_VERSION)
    except UNREADABLE:
        return None


def _object(path: str, number: int, line: bytes) -> Mapping[str, Any]:
    # without a copy the parser is loaded, which takes a millisecond
    copied = _copied(path, line)
    return _parsed_object(path, number, line) if copied is None else copied


def _copied(path: str, line: bytes) -> Mapping[str, Any] | None:
    """What the compiled copy has for the line; None without one, or where it is of another."""
    copy = _copy_of(path)
    if copy is None:
        return None
    try:
        size, checksum, values = copy[_beginning(line).decode()]
    except UNREADABLE:
        return None
    is_same = [size, checksum] == _mark(line) and isinstance(values, dict)
    return values if is_same else None


def _parsed_object(path: str, number: int, line: bytes) -> Mapping[str, Any]:
    import json

    def constant(name: str) -> float:
        raise ValueError(f"{name} is no number")

    try:
        value = json.loads(line, parse_constant=constant)
    except (ValueError, RecursionError):
        raise _damaged(path, number, "is not a JSON object") from None
    if not isinstance(value, dict):
        raise _damaged(path, number, "is not a JSON object")
    return value


def _damaged(path: str, line: int | None, message: str, key: str | None = None) -> SpecError:
    return SpecError(
        [Problem(file=path, line=line, key=key, message=message, remedy=_REMEDY)], remedy=_REMEDY
    )
