"""What `-v` adds to an answer: its figures in rows, each with a label, a unit and a source.

`sections` takes the JSON of an answer, which holds every figure, and the titles of the parts that
are shown. Parts that people read often have writers of their own; of any other part each key is a
row, and several records of one kind are a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..catalogue.offers import provider_name
from ..core import units
from .layout import Blocks, Column, Table, figures, line, section, strong, texts
from .words import LABELS, OPENNESS_WORDS, PLACES, fact_label

# a longer list of texts has a line for each
_LONG = 88
# a longer list of numbers is counted
_LONG_NUMBERS = 44
# keys whose `no` is said, too
_TELLING = ("fits", "writable", "complete", "api")
# ends of keys, which are cut off the label, and how the value is printed
_UNITS: tuple[tuple[str, Callable[[Any], str]], ...] = (
    ("usd_per_million_tokens", units.dollars),
    ("usd_per_month", units.dollars),
    ("bytes_per_second", lambda value: f"{units.decimal(int(value))}/s"),
    ("tokens_per_second", units.speed),
    ("seconds", units.duration),
    ("tokens", units.tokens),
    ("bytes", units.binary),
    # of any other key
    ("", lambda value: f"{value:,.3g}" if isinstance(value, float) else f"{value:,}"),
)
# stored on disks, which are sold by powers of ten
_DECIMAL = ("disk_bytes", "download_bytes", "free_bytes", "largest_file_bytes", "size_bytes")
# a likely figure with its ends
_RANGES = (
    ("likely", "low", "high"),
    ("bytes", "low_bytes", "high_bytes"),
    ("total_bytes", "low_bytes", "high_bytes"),
)
Json = Mapping[str, Any]


def sections(document: Json, titles: Mapping[str, str]) -> Blocks:
    """Yield a section for each of the keys, `needs.memory` a key within a key, that has a value."""
    for path, title in titles.items():
        value: Any = document
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if value:
            write = _WRITERS.get(path.rpartition(".")[2], _any_blocks)
            yield from section(title, write(value))


def value_words(key: str, value: Any) -> str:
    """A value as a person reads it; empty of nothing and of what has rows of its own."""
    if isinstance(value, list | tuple):
        return _list_words(value)
    if isinstance(value, bool):
        if value:
            return "yes"
        return "no" if key in _TELLING else ""
    if isinstance(value, int | float):
        if key in _DECIMAL:
            return units.decimal(int(value))
        return next(words for end, words in _UNITS if key.endswith(end))(value)
    if isinstance(value, Mapping):
        return _range_words(key, value)
    return provider_name(value) if key == "provider" else value or ""


def _list_words(values: Sequence[Any]) -> str:
    text = ", ".join(map(str, values))
    if all(isinstance(value, int | float) for value in values):
        return text if len(text) <= _LONG_NUMBERS else str(len(values))
    if any(isinstance(value, Mapping) for value in values) or len(text) > _LONG:
        return ""
    return text


def _range_words(key: str, value: Json) -> str:
    """`3.0 GiB (2.0 GiB to 4.0 GiB)`; empty where the mapping holds anything else."""
    for names in _RANGES:
        if set(names) == set(value):
            unit = key if names[0] == "likely" else names[0]
            return _with_ends(*(value_words(unit, value[name]) for name in names))
    return ""


def _with_ends(likely: str, low: str, high: str) -> str:
    return likely if low == high else f"{likely} ({low} to {high})"


def label_of(key: str) -> str:
    """The words for a key of the JSON: those of `specs/common/labels.toml`, else of the key."""
    if key in LABELS["keys"]:
        return LABELS["keys"][key]
    end = next((f"_{end}" for end, _ in _UNITS if end and key.endswith(f"_{end}")), "")
    return key.removesuffix(end).replace("_", " ")


def _any_blocks(value: Any, indent: int = 2) -> Blocks:
    """Yield rows of a record, a table of several flat ones, lines of texts."""
    if isinstance(value, Mapping):
        yield from _record_blocks(value, indent)
    elif not any(isinstance(entry, Mapping) for entry in value):
        yield from texts(map(str, value), indent=indent)
    elif len(value) > 1 and all(map(_is_flat, value)):
        yield _records_table(value, indent)
    else:
        for entry in value:
            yield from _titled_blocks(entry, indent)


def _is_flat(entry: Json) -> bool:
    return all(value_words(key, value) or not value for key, value in entry.items())


def _records_table(entries: Sequence[Json], indent: int) -> Table:
    keys = dict.fromkeys(key for entry in entries for key in entry)
    rows = [tuple(value_words(key, entry.get(key)) for key in keys) for entry in entries]
    columns = tuple(Column(title=label_of(key), wrap=True) for key in keys)
    return Table(columns=columns, rows=tuple(rows), indent=indent)


def _titled_blocks(entry: Json, indent: int) -> Blocks:
    """The first value of a record is its title, if it is a text."""
    (_, first), *others = entry.items()
    if isinstance(first, str) and first:
        yield line(strong(first), indent=indent)
        yield from _record_blocks(dict(others), indent + 2)
    else:
        yield from _record_blocks(entry, indent)


def _record_blocks(entry: Json, indent: int) -> Blocks:
    """A row for each value of a few words, then what is nested, under its label."""
    rows: list[tuple[str, str]] = []
    nested: list[tuple[str, Any]] = []
    for key, value in entry.items():
        if text := value_words(key, value):
            rows.append((label_of(key), text))
        elif value:
            nested.append((label_of(key), value))
    if rows:
        yield _rows_table(rows, indent)
    for label, value in nested:
        yield line(strong(label), indent=indent)
        yield from _any_blocks(value, indent + 2)


def _rows_table(rows: Iterable[tuple[str, str]], indent: int = 2) -> Table:
    return Table(columns=(Column(), Column(wrap=True)), rows=tuple(rows), indent=indent)


def _place(where: str) -> str:
    """`in RAM`, `on GPU 0`."""
    kind, _, number = where.partition(":")
    return f"{'in' if kind == 'host' else 'on'} {PLACES.get(kind, kind)} {number}".rstrip()


def _needs_blocks(needs: Json) -> Blocks:
    """Yield the sizes, then the memory place by place, then each term of it with its source."""
    yield figures(_size_rows(needs))
    memory = needs.get("memory") or {}
    if len(memory.get("places") or ()) > 1:
        rows = ((_place(place["where"]), *_memory_words(place)) for place in memory["places"])
        yield from (line(), line(strong("Where it lies"), indent=2), figures(rows))
    terms = memory.get("terms") or needs.get("known_terms")
    if terms:
        yield from (line(), line(strong("What the memory holds"), indent=2))
        yield from _terms_blocks(terms)
    yield from texts(map(str, needs.get("unknown") or ()))


def _size_rows(needs: Json) -> Iterator[tuple[str, str, str]]:
    if needs["download_bytes"] is not None:
        how = f"{needs['download_how']}: {needs['download_source']}"
        yield "download", value_words("download_bytes", needs["download_bytes"]), how
    if needs["largest_file_bytes"] not in (None, needs["download_bytes"]):
        yield "largest file", value_words("largest_file_bytes", needs["largest_file_bytes"]), ""
    if needs["disk_bytes"] is not None:
        yield "disk", value_words("disk_bytes", needs["disk_bytes"]), ""
    if memory := needs.get("memory"):
        likely, note = _memory_words(memory)
        yield "memory", likely, note
    processors = ", ".join(needs["cpu"]["architectures"])
    if needs["cpu"]["instruction_sets"]:
        processors += f", with {', '.join(needs['cpu']['instruction_sets'])}"
    yield "processor", "", processors


def _memory_words(memory: Json) -> tuple[str, str]:
    """The likely size, and its ends with what the system may take back."""
    low, high = (units.binary(memory[end]) for end in ("low_bytes", "high_bytes"))
    notes = [f"{low} to {high}"] if low != high else []
    if memory["evictable_bytes"]:
        reclaimable = units.binary(memory["evictable_bytes"])
        notes.append(f"beside it {reclaimable} that the system may take back")
    return units.binary(memory["total_bytes"]), "; ".join(notes)


def _terms_blocks(terms: Sequence[Json]) -> Blocks:
    """Yield each part of the memory: its size, how it is known, the arithmetic, the source."""
    for term in terms:
        sizes = (units.binary(term[name]) for name in ("bytes", "low_bytes", "high_bytes"))
        label = term["name"].replace("_", " ")
        size = f"{_with_ends(*sizes)} {_place(term['where'])}, {term['how']}"
        yield line(strong(label), f": {size}", indent=2)
        yield from texts((term["arithmetic"], term["source"]), indent=4)


def _speed_blocks(speed: Json) -> Blocks:
    """Yield a row for each pace and time, then what they rest on."""
    rows = []
    for key, value in speed.items():
        is_repeated = key == "judged" and value == speed["decode"]
        if key in ("how", "unit") or value is None or is_repeated:
            continue
        label, unit = label_of(key), key
        if key == "work":
            label = label_of(speed["unit"])
        if not key.endswith(("seconds", "per_second")):
            unit = "seconds" if speed["unit"].startswith("seconds_per_") else speed["unit"]
        rows.append((label, value_words(unit, value)))
    if rows:
        yield _rows_table(rows)
    yield from texts([speed["how"]])


def _quality_blocks(quality: Json) -> Blocks:
    rows = (
        (quality["quantization"], quality["text"]),
        ("measured", quality["figure"] or ""),
        ("source", quality["source"] or ""),
    )
    yield _rows_table(row for row in rows if row[1])


def _offers_blocks(offers: Sequence[Json]) -> Blocks:
    """Yield a row for each offer; prices of text are for a million tokens."""
    rows = []
    for offer in offers:
        name = provider_name(offer["provider"])
        if offer["stands_in"]:
            name += " (stands in)"
        other = [
            f"{units.dollars(offer[key])} {what}"
            for key, what in (("usd_per_audio_minute", "a minute"), ("usd_per_image", "a picture"))
            if offer[key] is not None
        ]
        days = f"listed {offer['as_of']}"
        if offer["ends"]:
            days += f", ends {offer['ends']}"
        prices = (offer["input_usd_per_million_tokens"], offer["output_usd_per_million_tokens"])
        rows.append(
            (
                name,
                offer["model"],
                *("" if price is None else units.dollars(price) for price in prices),
                ", ".join(other),
                value_words("context_tokens", offer["context_tokens"]),
                days,
                offer["source"],
            )
        )
    yield Table.of("offers", rows)


def _sources_blocks(sources: Mapping[str, str]) -> Blocks:
    yield _rows_table((fact_label(fact), source) for fact, source in sources.items())


def _answers_blocks(rows: Sequence[Json], indent: int = 2) -> Blocks:
    """Yield the answers on openness or permissions: why, the sources, what they follow from."""
    for row in rows:
        answer = OPENNESS_WORDS[row["answer"] or "unknown"]
        yield line(strong(row["name"]), ": ", answer, indent=indent)
        why = "" if row["why"] == "not known" else row["why"]
        yield from texts([why], indent=indent + 2)
        if row["sources"] and not row["parts"]:
            # those of the parts stand there
            yield from texts((f"source: {text}" for text in row["sources"]), indent=indent + 2)
        yield from _answers_blocks(row["parts"], indent + 2)


def _types_blocks(sizes: Sequence[Json]) -> Blocks:
    """Yield a row for each type of weights, then what is known of the loss of each."""
    rows = (
        (
            size["quantization"],
            size["runtime"],
            value_words("download_bytes", size["bytes"]),
            size["how"],
            value_words("memory_bytes", size["memory_likely_bytes"]),
            value_words("memory_bytes", size["memory_bytes"]),
            "not known" if size["fits"] is None else value_words("fits", size["fits"]),
        )
        for size in sizes
    )
    yield Table.of("types", rows)
    yield line()
    for size in sizes:
        quality = size["quality"]
        yield line(strong(size["quantization"]), f": {quality['text']}", indent=2)
        yield from texts([quality["figure"]], indent=4)
    for title, sources in (
        ("Sizes from", (size["source"] for size in sizes)),
        ("Losses from", (size["quality"]["source"] for size in sizes)),
    ):
        yield from (line(), line(strong(title), indent=2))
        yield from texts(dict.fromkeys(sources), indent=4)


def _disks_blocks(disks: Sequence[Json]) -> Blocks:
    """Yield a row for each place where a program would store models."""
    rows = (
        (
            disk["purpose"],
            disk["path"] or "",
            value_words("free_bytes", disk["free_bytes"]),
            value_words("disk_bytes", disk["total_bytes"]),
            disk["filesystem"] or "",
            value_words("writable", disk["writable"]),
        )
        for disk in disks
    )
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
