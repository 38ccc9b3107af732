"""API prices: the dated snapshot that ships with the project, and the names and request addresses
of its providers. The first line of the snapshot is a header, each other line is `{"model": ID,
"offers": […]}`.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache, partial
from math import inf

from ..core.errors import SpecError
from ..core.records import DATE, JSON, Record, Stated, Values, read_by
from ..core.stored import Rows, Store, reading_lines, store_of
from ..core.tables import TABLES, Document, TomlTable, shipped_record
from ..core.templates import fill
from ..core.workload import INPUT_PER_OUTPUT_TOKEN

# characters without a special meaning in a shell or in JSON
_PLAIN = r"[A-Za-z0-9@./:_+-]*"
_REMEDY = "install selfhost again, or put back specs/common/offers.jsonl"
_DOLLARS = read_by(maximum=1e9, default=None)
# the factor on the lowest price up to which offers of little-known providers count as near
_NEAR_PRICE = 1.1


class Offer(Record):
    """An offer to use a model at a provider, for a price. Where sources differ, the highest price
    counts.

    - `model`: the provider's name of the model.
    - `stands_in`: the offer is for another model than the one asked for; `why_instead` says why.
    - `as_of`: the day of the price list. From the day `ends` on, the offer is announced to be gone.
    - `base_url`: the address of an API like OpenAI's, in which the user's own names stand as
      variables (`${CLOUDFLARE_ACCOUNT_ID}`); None where the address holds a region or is not known.
    - `key_variable`: the environment variable for the key, as the provider's documents name it.
    - `page`: the page on the provider's models.
    - `well_known`: people know the provider.
    """

    provider: str = read_by()
    model: str = read_by(name="provider_model")
    model_id: str
    stands_in: bool = False
    why_instead: str | None = None
    context_tokens: int | None = read_by(minimum=1, default=None)
    input_usd_per_million_tokens: float | None = _DOLLARS
    output_usd_per_million_tokens: float | None = _DOLLARS
    usd_per_audio_minute: float | None = _DOLLARS
    usd_per_image: float | None = _DOLLARS
    price_is_for: str | None = read_by(default=None)
    as_of: str
    ends: str | None = read_by(form=DATE, default=None)
    source: str = read_by()
    base_url: str | None = None
    key_variable: str | None = None
    page: str | None = None
    well_known: bool = False

    @property
    def price(self) -> tuple[float, ...]:
        """The price in dollars, to compare with the prices of other offers: of three million input
        tokens and one million output tokens, of a minute of audio, and of an image. An unknown
        price is infinite, so that it sorts last.
        """
        tokens = None
        if self.input_usd_per_million_tokens is not None:
            # embedding models have no output to pay for
            output = self.output_usd_per_million_tokens or 0.0
            input = INPUT_PER_OUTPUT_TOKEN * self.input_usd_per_million_tokens
            tokens = input + output
        prices = (
            tokens,
            self.usd_per_audio_minute,
            self.usd_per_image,
        )
        return tuple([inf if dollars is None else dollars for dollars in prices])


class ProviderApi(Stated):
    """The API of a provider: a row of `api` in `common/providers.toml`.

    `suffix` is put after the name of a model; `chat` is the kind of request that sends a chat.
    """

    source: str = ""
    base_url: str | None = None
    key: str | None = None
    page: str | None = None
    suffix: str = ""
    chat: str = "chat"


class ApiRequest(Stated):
    """A kind of request to an API: the path after the address, and the lines of a template of the
    body.
    """

    path: str
    body: tuple[str, ...]


class ProvidersTable(Stated):
    """`specs/common/providers.toml`. `well_known`: the ids of well-known providers, by the reason
    why people know them.
    """

    schema: int
    as_of: str
    names: Mapping[str, str]
    well_known: Mapping[str, tuple[str, ...]]
    requests: Mapping[str, ApiRequest]
    api: Mapping[str, ProviderApi]
    sources: Mapping[str, str]

    def api_of(self, provider: str) -> ProviderApi:
        """The API of a provider; a row without an address where the API is not known."""
        api = self.api.get(provider)
        return ProviderApi() if api is None else api


class Snapshot(Record):
    """The price snapshot.

    - `day`, `days`: the day of the whole file, and of each source.
    - `sold`: the number of models that each provider sells.
    - `providers`: the number of providers that sell each model.
    - `rows`: the offers of each model.
    """

    day: str
    days: Mapping[str, str]
    sold: Mapping[str, int]
    providers: Mapping[str, int]
    rows: Rows


# the table of providers and of their request addresses


@cache
def providers_table() -> ProvidersTable:
    """The table of providers. Raises `SpecError` with each fault of another catalogue's file."""
    return shipped_record(ProvidersTable, "providers")


@cache
def well_known_providers() -> frozenset[str]:
    """The ids of the providers that people know."""
    ids_by_ground = providers_table().well_known
    return frozenset[str]().union(*ids_by_ground.values())


def provider_name(id: str) -> str:
    """The name of the provider with that id in price lists; the id itself where no name is
    known.
    """
    names = providers_table().names
    return names.get(id, id)


def request_lines(offer: Offer, modality: str) -> tuple[str, ...]:
    """The curl command that sends a request to the offered model, as lines for a shell. () where
    the address or the kind of request is not known. The key stands in a variable.
    """
    is_asked_in_words = modality in ("text", "vision", "embedding")
    if offer.base_url is None or not is_asked_in_words:
        return ()
    if re.fullmatch(_PLAIN, offer.model) is None:
        # between the quotes of the command line such a name would mean something else
        return ()
    table = providers_table()
    kind = "embedding"
    if modality != "embedding":
        kind = table.api_of(offer.provider).chat
    request = table.requests[kind]
    template = "\n".join(request.body)
    body = fill(template, {"model": offer.model})
    return (
        f"curl {offer.base_url}/{request.path} \\",
        f'-H "Authorization: Bearer ${offer.key_variable}" \\',
        '-H "Content-Type: application/json" \\',
        *f"-d '{body}'".split("\n"),
    )


# the offers for one model


# cached: one model for sale stands in for hundreds of others
@lru_cache(maxsize=1024)
def offers_of(
    path: str,
    model_id: str,
    *,
    today: str,
) -> tuple[Offer, ...]:
    """The offers for one model on that day, `YYYY-MM-DD`: first the offer that `_first_offer`
    chooses, then the others, the cheapest first. Raises `SpecError` for a damaged file.
    """
    listed = []
    for offer in _all_offers(path, model_id):
        if offer.ends is None or offer.ends > today:
            listed.append(offer)
    if not listed:
        return ()
    listed.sort(key=lambda offer: (*offer.price, offer.provider, offer.model))
    file = snapshot(path)
    first = _first_offer(listed, file.sold)
    listed.remove(first)
    return (first, *listed)


def _all_offers(path: str, model_id: str) -> Sequence[Offer]:
    """The rows of the snapshot for one model. Raises `SpecError` where they are damaged."""
    file = snapshot(path)
    stated = file.rows.get(model_id, [])
    document = Document(path, {model_id: stated}, notation=JSON)
    rows: Sequence[TomlTable] = document.root.get(model_id, TABLES)
    offers = [_offer(row, model_id, file) for row in rows]
    if document.ok:
        return offers
    line = _line_of(path, model_id)
    problems = []
    for problem in document.problems:
        # problems without a remedy get the remedy of a damaged file
        remedy = problem.remedy or _REMEDY
        problems.append(problem.replace(line=line, remedy=remedy))
    raise SpecError(problems, remedy=_REMEDY)


def _offer(
    row: TomlTable,
    model_id: str,
    file: Snapshot,
) -> Offer:
    """The offer that a row of the snapshot states, with the provider's address and its full name of
    the model.
    """
    values = row.fields(Offer)
    row.close()
    provider = values["provider"]
    api = providers_table().api_of(provider)
    values["model"] = f"{values['model']}{api.suffix}"
    day = file.days.get(values["source"], file.day)
    return Offer(
        **values,
        model_id=model_id,
        as_of=day,
        base_url=api.base_url,
        key_variable=api.key,
        page=api.page,
        well_known=provider in well_known_providers(),
    )


def _line_of(path: str, model_id: str) -> int | None:
    """The line of the snapshot with the model's offers; None in a package, which has no such
    file.
    """
    try:
        with reading_lines(path, "price snapshot") as lines:
            models = [line.get("model") for line in lines]
    except SpecError:
        return None
    return models.index(model_id) + 1


def _first_offer(listed: Sequence[Offer], sold: Mapping[str, int]) -> Offer:
    """The offer to show first: the cheapest of a well-known provider, if possible of one whose
    address is known. Without a well-known provider: of the offers near the lowest price, the offer
    of the provider that sells most models.

    `listed` has at least one offer, the cheapest first. `sold` has the number of models that each
    provider sells.
    """
    known = [offer for offer in listed if offer.well_known]
    for offer in known:
        if offer.base_url is not None:
            return offer
    if known:
        return known[0]
    lowest = listed[0].price
    most = tuple(_NEAR_PRICE * dollars for dollars in lowest)
    near = [offer for offer in listed if offer.price <= most]
    return max(near, key=lambda offer: sold[offer.provider])


# the snapshot file


def snapshot_day(path: str) -> str | None:
    """The day of the snapshot; None where it is damaged, as the error of each offer says."""
    try:
        return snapshot(path).day
    except SpecError:
        return None


@lru_cache(maxsize=2)
def snapshot(path: str) -> Snapshot:
    """The file at `path`, read once. Raises `SpecError` for a file that is missing or damaged."""
    common = os.path.dirname(path)
    folder = os.path.dirname(common)
    return snapshot_in(store_of(folder), path)


def snapshot_in(store: Store, path: str) -> Snapshot:
    """The price snapshot of a folder of specs, whose file is `path`."""
    # parsed once, and only where the store has no copy
    parsed = cache(partial(_parse, path))

    def values_in_file() -> Values:
        values, _ = parsed()
        return values

    def rows_in_file() -> Rows:
        _, rows = parsed()
        return rows

    values = store.value("common/offers", values_in_file)
    rows = store.rows("common/offers-rows", rows_in_file)
    return Snapshot(**values, rows=rows)


def _parse(path: str) -> tuple[Values, Rows]:
    """The fields of the `Snapshot` in a file of JSON lines, but for its rows, and the rows. Raises
    `SpecError`.
    """
    with reading_lines(path, "price snapshot") as lines:
        header, *rows = lines
        offers = {row["model"]: row["offers"] for row in rows}
        values = _snapshot_values(header, offers)
    return values, offers


def _snapshot_values(header: Values, rows: Rows) -> Values:
    """The fields of a `Snapshot`, but for its rows: of the first line of its file, and of the
    offers of each model.
    """
    days = {}
    for source, row in header["sources"].items():
        days[source] = str(row["as_of"])
    sold: Counter[str] = Counter()
    providers = {}
    for model, offers in rows.items():
        sellers = [offer["provider"] for offer in offers if "provider" in offer]
        # a dict, not a set: two builds must write the same file
        distinct = dict.fromkeys(sellers)
        providers[model] = len(distinct)
        sold.update(distinct.keys())
    return {
        "day": str(header["as_of"]),
        "days": days,
        "sold": dict(sold),
        "providers": providers,
    }
