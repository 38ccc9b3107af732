"""The figures that `-v` adds to an answer, in rows, each with a label, a unit and a source.

`sections` takes the JSON of an answer, which holds every figure, and the titles of the parts to
show. Parts that people read often have writers of their own. Any other part has a row for each key,
and several records of one kind are a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..catalogue.offers import provider_name
from ..core import units
from ..core.files import value_at
from .answer_words import openness_word
from .labels import LABELS
from .layout import (
    Blocks,
    Cells,
    Column,
    FigureRow,
    Table,
    figures,
    line,
    section,
    strong,
    texts,
)
from .words import PLACES, fact_label, rate_words

# a part of a document, as `json.dumps` takes it
Json = Mapping[str, Any]
# a longer list of texts has a line for each
_LONG = 88
# a longer list of numbers is counted
_LONG_NUMBERS = 44
# a likely figure with its ends
_RANGES = (
    ("likely", "low", "high"),
    ("bytes", "low_bytes", "high_bytes"),
    ("total_bytes", "low_bytes", "high_bytes"),
)


# how a value is printed, by the end of its key; the label of the key omits this end
_UNITS: Mapping[str, Callable[[Any], str]] = {
    "usd_per_million_tokens": units.dollars,
    "usd_per_month": units.dollars,
    "bytes_per_second": rate_words,
    "tokens_per_second": units.speed,
    "seconds": units.duration,
    "tokens": units.tokens,
    "bytes": units.binary,
}


def sections(document: Json, titles: Mapping[str, str]) -> Blocks:
    """Yield a section for each of the keys, `needs.memory` a key within a key, that has a value."""
    for path, title in titles.items():
        keys = path.split(".")
        value = value_at(document, *keys)
        if value:
            write = _WRITERS.get(keys[-1], _any_blocks)
            yield from section(title, write(value))


def value_words(key: str, value: object) -> str:
    """A value as a person reads it; empty for no value, and for a value that has its own rows."""
    if isinstance(value, list | tuple):
        return _list_words(value)
    if isinstance(value, bool):
        if value:
            return "yes"
        if key in LABELS.lists["telling"]:
            return "no"
        return ""
    if isinstance(value, int | float):
        return _number_words(key, value)
    if isinstance(value, Mapping):
        return _range_words(key, value)
    if not isinstance(value, str):
        # None
        return ""
    if key == "provider":
        return provider_name(value)
    return value


def _number_words(key: str, value: float) -> str:
    """A number in the unit named by the end of its key, or the plain number."""
    if key in LABELS.lists["decimal"]:
        return units.decimal(value)
    for end, write in _UNITS.items():
        if key.endswith(end):
            return write(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.3g}"


def _list_words(values: Sequence[object]) -> str:
    """Texts and numbers in one line, many numbers as their count; empty for records, and for texts
    that are too long for one line.
    """
    text = ", ".join(map(str, values))
    if all(isinstance(value, int | float) for value in values):
        if len(text) > _LONG_NUMBERS:
            return str(len(values))
        return text
    if len(text) > _LONG or _has_records(values):
        return ""
    return text


def _has_records(values: Sequence[object]) -> bool:
    """Whether any of the values is a record."""
    return any(isinstance(value, Mapping) for value in values)


def _range_words(key: str, value: Json) -> str:
    """`3.0 GiB (2.0 GiB to 4.0 GiB)`; empty where the mapping holds anything else."""
    for likely, low, high in _RANGES:
        if value.keys() == {likely, low, high}:
            unit = likely
            if likely == "likely":
                # the unit of a pace is in the key of the range
                unit = key
            return _with_ends(
                value_words(unit, value[likely]),
                value_words(unit, value[low]),
                value_words(unit, value[high]),
            )
    return ""


def _with_ends(
    likely: str,
    low: str,
    high: str,
) -> str:
    """The likely figure, followed by the ends of its range where the ends differ."""
    if low == high:
        return likely
    return f"{likely} ({low} to {high})"


def label_of(key: str) -> str:
    """The words for a key of the JSON: those of `specs/common/labels.toml`, else of the key."""
    if key in LABELS.keys:
        return LABELS.keys[key]
    for end in _UNITS:
        if key.endswith(f"_{end}"):
            return key.removesuffix(f"_{end}").replace("_", " ")
    return key.replace("_", " ")


def _any_blocks(value: Any, indent: int = 2) -> Blocks:
    """Yield rows of a record, a table of several flat ones, lines of texts."""
    if isinstance(value, Mapping):
        yield from _record_blocks(value, indent)
    elif not _has_records(value):
        yield from texts(map(str, value), indent=indent)
    elif len(value) > 1 and all(map(_is_flat, value)):
        yield _records_table(value, indent)
    else:
        for entry in value:
            yield from _titled_blocks(entry, indent)


def _is_flat(entry: Json) -> bool:
    """Whether each value of a record is empty, or a few words."""
    return all(value_words(key, value) or not value for key, value in entry.items())


def _records_table(entries: Sequence[Json], indent: int) -> Table:
    """A table with a row for each record and a column for each key of any record."""
    keys: dict[str, None] = {}
    for entry in entries:
        keys |= dict.fromkeys(entry)
    columns = []
    for key in keys:
        columns.append(Column(title=label_of(key), wrap=True))
    rows = []
    for entry in entries:
        cells = [value_words(key, entry.get(key)) for key in keys]
        rows.append(tuple(cells))
    return Table(columns=tuple(columns), rows=tuple(rows), indent=indent)


def _titled_blocks(entry: Json, indent: int) -> Blocks:
    """The blocks of a record. The first value is the title if the value is a text."""
    (_, first), *others = entry.items()
    if isinstance(first, str) and first:
        yield line(strong(first), indent=indent)
        yield from _record_blocks(dict(others), indent + 2)
    else:
        yield from _record_blocks(entry, indent)


def _record_blocks(entry: Json, indent: int) -> Blocks:
    """The rows of the short values of a record, then each nested value under its label."""
    rows = []
    nested = []
    for key, value in entry.items():
        text = value_words(key, value)
        if text:
            rows.append((label_of(key), text))
        elif value:
            nested.append((label_of(key), value))
    if rows:
        yield _rows_table(rows, indent)
    for label, value in nested:
        yield line(strong(label), indent=indent)
        yield from _any_blocks(value, indent + 2)


def _rows_table(rows: Iterable[tuple[str, str]], indent: int = 2) -> Table:
    """A table of labels and values."""
    columns = (Column(), Column(wrap=True))
    return Table(columns=columns, rows=tuple(rows), indent=indent)


def _needs_blocks(needs: Json) -> Blocks:
    """Yield the sizes, then the memory of each place, then each memory term with its source."""
    if "download_bytes" not in needs:
        # sizes that a spec states itself have keys of their own
        yield from _any_blocks(needs)
        return
    yield figures(_size_rows(needs))
    memory = needs.get("memory") or {}
    places = memory.get("places") or ()
    if len(places) > 1:
        yield from _title_blocks("Where it lies")
        rows = []
        for place in places:
            likely, ends = _memory_words(place)
            rows.append((_place(place["where"]), likely, ends))
        yield figures(rows)
    terms = memory.get("terms") or needs.get("known_terms")
    if terms:
        yield from _title_blocks("What the memory holds")
        yield from _terms_blocks(terms)
    yield from texts(map(str, needs.get("unknown") or ()))


def _title_blocks(title: str) -> Blocks:
    """An empty line and the title of a part of a section."""
    yield line()
    yield line(strong(title), indent=2)


def _size_rows(needs: Json) -> Iterator[FigureRow]:
    """Yield the rows of the download, the disk, the memory and the processor; a size that is not
    known has no row.
    """
    download_bytes = needs["download_bytes"]
    largest_bytes = needs["largest_file_bytes"]
    if download_bytes is not None:
        how = f"{needs['download_how']}: {needs['download_source']}"
        yield "download", units.decimal(download_bytes), how
    if largest_bytes is not None and largest_bytes != download_bytes:
        yield "largest file", units.decimal(largest_bytes), ""
    if needs["disk_bytes"] is not None:
        yield "disk", units.decimal(needs["disk_bytes"]), ""
    if needs.get("memory"):
        likely, ends = _memory_words(needs["memory"])
        yield "memory", likely, ends
    processors = ", ".join(needs["cpu"]["architectures"])
    instruction_sets = needs["cpu"]["instruction_sets"]
    if instruction_sets:
        listed = ", ".join(instruction_sets)
        processors += f", with {listed}"
    yield "processor", "", processors


def _place(where: str) -> str:
    """`in RAM`, `on GPU 0`."""
    kind, _, number = where.partition(":")
    preposition = "on"
    if kind == "host":
        preposition = "in"
    return f"{preposition} {PLACES.get(kind, kind)} {number}".rstrip()


def _memory_words(memory: Json) -> tuple[str, str]:
    """The likely size, and a note with the ends of its range and the memory that the system can
    reclaim.
    """
    low = units.binary(memory["low_bytes"])
    high = units.binary(memory["high_bytes"])
    notes = []
    if low != high:
        notes.append(f"{low} to {high}")
    if memory["evictable_bytes"]:
        reclaimable = units.binary(memory["evictable_bytes"])
        notes.append(f"plus {reclaimable} that the system can reclaim")
    return units.binary(memory["total_bytes"]), "; ".join(notes)


def _terms_blocks(terms: Sequence[Json]) -> Blocks:
    """Yield each part of the memory: its size, how it is known, the arithmetic, the source."""
    for term in terms:
        label = term["name"].replace("_", " ")
        size = _with_ends(
            units.binary(term["bytes"]),
            units.binary(term["low_bytes"]),
            units.binary(term["high_bytes"]),
        )
        rest = f": {size} {_place(term['where'])}, {term['how']}"
        yield line(strong(label), rest, indent=2)
        yield from texts((term["arithmetic"], term["source"]), indent=4)


def _speed_blocks(speed: Json) -> Blocks:
    """Yield a row for each pace and time, then the basis of these figures."""
    unit = speed["unit"]
    rows = []
    for key, value in speed.items():
        if key in ("how", "unit") or value is None:
            continue
        if key == "judged" and value == speed["decode"]:
            # a judged pace equal to the decode pace would repeat a row
            continue
        label = label_of(key)
        if key == "work":
            label = label_of(unit)
        words = value_words(_unit_of_pace(key, unit), value)
        rows.append((label, words))
    if rows:
        yield _rows_table(rows)
    yield from texts([speed["how"]])


def _unit_of_pace(key: str, unit: str) -> str:
    """The unit of a key of a speed, as a key that ends in that unit: the unit in the key's own
    name, else the unit of the speed.
    """
    if key.endswith(("seconds", "per_second")):
        return key
    if unit.startswith("seconds_per_"):
        return "seconds"
    return unit


def _quality_blocks(quality: Json) -> Blocks:
    """Yield the quality loss of the quantization, then the measurement and its source where a
    measurement exists; nothing where no quantization is known.
    """
    if not quality["quantization"]:
        return
    rows = [(quality["quantization"], quality["text"])]
    for label, key in (("measured", "figure"), ("source", "source")):
        if quality[key]:
            rows.append((label, quality[key]))
    yield _rows_table(rows)


def _offers_blocks(offers: Sequence[Json]) -> Blocks:
    """Yield a row for each offer; prices of text are for a million tokens."""
    yield Table.of("offers", map(_offer_row, offers))


def _offer_row(offer: Json) -> Cells:
    """The row of an offer: provider, model, prices, context, dates and source."""
    name = provider_name(offer["provider"])
    if offer["stands_in"]:
        name += " (stands in)"
    other_prices = []
    if offer["usd_per_audio_minute"] is not None:
        price = units.dollars(offer["usd_per_audio_minute"])
        other_prices.append(f"{price} a minute")
    if offer["usd_per_image"] is not None:
        price = units.dollars(offer["usd_per_image"])
        other_prices.append(f"{price} a picture")
    days = f"listed {offer['as_of']}"
    if offer["ends"]:
        days += f", ends {offer['ends']}"
    return (
        name,
        offer["model"],
        value_words("usd_per_million_tokens", offer["input_usd_per_million_tokens"]),
        value_words("usd_per_million_tokens", offer["output_usd_per_million_tokens"]),
        ", ".join(other_prices),
        value_words("context_tokens", offer["context_tokens"]),
        days,
        offer["source"],
    )


def _sources_blocks(sources: Mapping[str, str]) -> Blocks:
    """Yield a row for each fact of the machine with the source of the fact."""
    rows = []
    for fact, source in sources.items():
        rows.append((fact_label(fact), source))
    yield _rows_table(rows)


def _answers_blocks(rows: Sequence[Json], indent: int = 2) -> Blocks:
    """Yield the answers on openness or permissions, each with its reason, sources and parts."""
    for row in rows:
        name = row["name"]
        answer = openness_word(name, row["answer"] or "unknown")
        yield line(strong(name), ": ", answer, indent=indent)
        if row["why"] != "not known":
            yield from texts([row["why"]], indent=indent + 2)
        if not row["parts"]:
            # an answer that has parts has its sources with them
            for source in row["sources"]:
                yield line(f"source: {source}", indent=indent + 2)
        yield from _answers_blocks(row["parts"], indent + 2)


def _types_blocks(sizes: Sequence[Json]) -> Blocks:
    """Yield a row for each quantization, then the known quality loss of each."""
    yield Table.of("types", map(_type_row, sizes))
    yield line()
    # each source once
    sources: dict[str | None, None] = {}
    sources_of_losses: dict[str | None, None] = {}
    for size in sizes:
        quality = size["quality"]
        name = strong(size["quantization"])
        yield line(name, f": {quality['text']}", indent=2)
        yield from texts([quality["figure"]], indent=4)
        sources[size["source"]] = None
        sources_of_losses[quality["source"]] = None
    yield from _title_blocks("Sizes from")
    yield from texts(sources, indent=4)
    yield from _title_blocks("Losses from")
    yield from texts(sources_of_losses, indent=4)


def _type_row(size: Json) -> Cells:
    """The row of a quantization: name, runtime, download, likely and most memory, and whether the
    model fits.
    """
    runs = value_words("fits", size["fits"])
    return (
        size["quantization"],
        size["runtime"],
        value_words("download_bytes", size["bytes"]),
        size["how"],
        value_words("memory_bytes", size["memory_likely_bytes"]),
        value_words("memory_bytes", size["memory_bytes"]),
        runs or "not known",
    )


def _disks_blocks(disks: Sequence[Json]) -> Blocks:
    """Yield a row for each place where a program would store models."""
    rows = []
    for disk in disks:
        # the key `disk_bytes` makes `value_words` tell the size in the units of disks
        told = {**disk, "disk_bytes": disk["total_bytes"]}
        cells = [value_words(key, told[key]) for key in LABELS.lists["disk"]]
        rows.append(tuple(cells))
    yield Table.of("disks", rows)


_WRITERS: Mapping[str, Callable[[Any], Blocks]] = {
    "needs": _needs_blocks,
    "terms": _terms_blocks,
    "speed": _speed_blocks,
    "quality": _quality_blocks,
    "api_offers": _offers_blocks,
    "sources": _sources_blocks,
    "openness": _answers_blocks,
    "permissions": _answers_blocks,
    "sizes": _types_blocks,
    "disks": _disks_blocks,
}
