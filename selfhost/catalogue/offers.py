"""API prices: the dated snapshot that ships with the project, and what its providers are called.

The file has a header, `{"schema": 1, "as_of": …, "sources": {NAME: {"as_of": …, "what": …}},
"left_out": […]}`, then one line per model, `{"model": ID, "offers": […]}`. `left_out` says which
offers of the sources are not taken over, and why. Only the line of the model asked for is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from ..core.errors import Problem, SpecError
from ..core.records import Record, read_by
from ..core.tables import STORED, is_stored, read_stored, shipped_table, stored, value_of
from ..core.tomlfile import Document, Table
from ..core.workload import INPUT_PER_OUTPUT_TOKEN

TYPE_CHECKING = False

if TYPE_CHECKING:
    pass

SCHEMA = 1
MAX_BYTES = 16 << 20
_REMEDY = "install selfhost again, or put back specs/common/offers.jsonl"


_DOLLARS = read_by(Table.number, maximum=1e9, default=None)
_TOKENS = read_by(Table.integer, minimum=1, maximum=10**9, default=None)


class Offer(Record):
    """A hosted price. `model` is the provider's name of it; `stands_in` when it serves another
    model than the one asked for.

    Prices in US dollars; None is not known. Where sources differ it is the dearest.
    `price_is_for` says which pictures or prompts a price is for. `as_of` is the day of the list
    that has the price, not one on which the provider was asked; `ends` the day from which the offer
    is announced to be gone, both `YYYY-MM-DD`. `why_instead` is a sentence on why this model stands
    in, or how it is known to be that of the files that were judged; None where it is the one asked
    for.
    """

    provider: str = read_by(Table.string, required=True)
    model: str = read_by(Table.string, name="provider_model", required=True)
    model_id: str
    stands_in: bool = False
    why_instead: str | None = None
    context_tokens: int | None = _TOKENS
    input_usd_per_million_tokens: float | None = _DOLLARS
    output_usd_per_million_tokens: float | None = _DOLLARS
    usd_per_audio_minute: float | None = _DOLLARS
    usd_per_image: float | None = _DOLLARS
    price_is_for: str | None = read_by(Table.string, default=None)
    as_of: str
    ends: str | None = read_by(Table.date, default=None)
    source: str = read_by(Table.string, required=True)


class Snapshot(Record):
    """The day of the file at `path` as a whole, the day of each source, and by the id of a model
    the number of its line, and its content: a line of JSON, or in a package its value.
    """

    path: str
    day: str
    days: Mapping[str, str]
    rows: Mapping[str, tuple[int, bytes]]

    def row(self, model_id: str) -> Document:
        """What the file states of one model. Raises `SpecError` where its line is no JSON."""
        line, content = self.rows[model_id]
        return (
            _document(self.path, line, content) if line else Document(self.path, value_of(content))
        )


def offers_of(path: str, model_id: str, *, today: str) -> tuple[Offer, ...]:
    """The offers for one model in the file at `path`, cheapest first; empty where there is none.

    An offer is dropped from the day it ends on. `today` is `YYYY-MM-DD`.
    Raises `SpecError` for a file that is missing or damaged in the header or the model's line.
    """
    file = snapshot(path)
    if model_id not in file.rows:
        return ()
    row, offers = file.row(model_id), []
    for table in row.root.tables("offers", required=True):
        values = table.fields(Offer)
        table.close()
        as_of = file.days.get(values["source"], file.day)
        offers.append(Offer(model_id=model_id, as_of=as_of, **values))
    _refuse_damaged(row, file.rows[model_id][0])
    return cheapest_first(offer for offer in offers if offer.ends is None or offer.ends > today)


def day_by_header(path: str) -> str | None:
    """The day of the snapshot; None where it is damaged, which whoever reads an offer is told."""
    try:
        return snapshot(path).day
    except SpecError:
        return None


def providers_by_model(path: str) -> Mapping[str, int]:
    """How many providers sell each model, by its id, in the file at `path`."""
    file = snapshot(path)
    offers = {model_id: file.row(model_id).values.get("offers") or () for model_id in file.rows}
    return {id: len({each["provider"] for each in items}) for id, items in offers.items()}


def cheapest_first(offers: Iterable[Offer]) -> tuple[Offer, ...]:
    """By the price of three tokens in and one out, then of a minute of audio, then of an image;
    unknown prices come last.
    """
    return tuple(sorted(offers, key=_price))


def _price(offer: Offer) -> tuple[float, float, float, str, str]:
    unknown = float("inf")
    into, out = offer.input_usd_per_million_tokens, offer.output_usd_per_million_tokens
    # what embeds has no output to pay for
    tokens = unknown if into is None else INPUT_PER_OUTPUT_TOKEN * into + (out or 0)
    minute = unknown if offer.usd_per_audio_minute is None else offer.usd_per_audio_minute
    image = unknown if offer.usd_per_image is None else offer.usd_per_image
    return tokens, minute, image, offer.provider, offer.model


def provider_name(id: str) -> str:
    """The name of the provider that price lists call so; the id where no name is known, which says
    more than a guess.
    """
    return str(shipped_table("providers")["names"].get(id, id))


@lru_cache(maxsize=2)
def snapshot(path: str) -> Snapshot:
    """The file at `path`, read once. Raises `SpecError` for a file that is missing or damaged in
    the header; the line of a model is read when it is asked for.
    """
    if is_stored(path.removesuffix(".jsonl")):
        values, rows = read_stored(path.removesuffix(".jsonl") + STORED)
        header = Document(path, values)
    else:
        from ..core.files import Unreadable, read_file

        try:
            content = read_file(path, MAX_BYTES)
        except Unreadable as error:
            raise _damaged(path, None, f"the price snapshot {error.reason}") from None
        header, rows = _document(path, 1, content.partition(b"\n")[0]), _rows(content)
    root = header.root
    if root.integer("schema", required=True) != SCHEMA:
        root.problem("schema", f"must be {SCHEMA}")
    day = root.date("as_of", required=True)
    sources = root.mapping("sources", of=Table.table)
    days = {name: table.date("as_of", required=True) for name, table in sources.items()}
    _refuse_damaged(header, 1)
    return Snapshot(path=path, day=day or "", days=days, rows=rows)


def _rows(content: bytes) -> dict[str, tuple[int, bytes]]:
    """The lines of the models by their ids; of two lines of one model the first counts."""
    rows: dict[str, tuple[int, bytes]] = {}
    for number, line in enumerate(content.split(b"\n")[1:], 2):
        model, quote, _ = line.removeprefix(b'{"model": "').partition(b'"')
        if quote:
            rows.setdefault(model.decode(errors="replace"), (number, line))
    return rows


def stored_offers(path: str) -> bytes:
    """The snapshot at `path` as a package has it. Raises `SpecError` for a damaged line."""
    with open(path, "rb") as file:
        content = file.read()
    rows = {
        model_id: (0, stored(_document(path, number, line).values))
        for model_id, (number, line) in _rows(content).items()
    }
    return stored((_document(path, 1, content.partition(b"\n")[0]).values, rows))


def _document(path: str, number: int, line: bytes) -> Document:
    import json

    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise _damaged(path, number, "is not a JSON object")
    return Document(path, value)


def _refuse_damaged(document: Document, line: int) -> None:
    problems = [
        problem.replace(line=line or None, remedy=problem.remedy or _REMEDY)
        for problem in document.problems
    ]
    if problems:
        raise SpecError(problems, remedy=_REMEDY)


def _damaged(path: str, line: int | None, message: str) -> SpecError:
    problem = Problem(file=path, line=line, message=message, remedy=_REMEDY)
    return SpecError([problem], remedy=_REMEDY)
