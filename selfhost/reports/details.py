"""What `-v` adds: everything that the JSON of an answer holds, in sections, with its sources.

Rules on keys and values, none on single commands: what JSON has a key for, `-v` shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..core import units
from .layout import Block, heading, line, say, strong

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# keys whose text is the title of an entry, the first that it has
_TITLES = ("check", "fact", "provider", "name", "quantization", "placement", "id")
# values that say what they are without their key
_PLAIN = ("outcome", "code", "how", "where", "why", "answer", "reason", "source", "arithmetic",
          "text", "figure", "file", "title", "cost")  # fmt: skip
# longer texts, and sentences, have a line of their own
_SHORT = 44
# of a longer list of numbers their count
_FEW_NUMBERS = 6
# what is said where it is not so
_TELLING = ("fits", "writable", "complete", "api")
# ends of keys: what is cut off the label, and how the value is printed
_UNITS = (
    ("usd_per_million_tokens", "_usd_per_million_tokens", units.dollars),
    ("bytes_per_second", "_bytes_per_second", lambda value: f"{units.decimal(int(value))}/s"),
    ("tokens_per_second", "_tokens_per_second", lambda value: units.speed(value, value)),
    ("seconds", "_seconds", units.wait),
    ("tokens", "_tokens", units.tokens),
    ("bytes", "_bytes", units.binary),
)
# stored on disks, which are sold by powers of ten
_DECIMAL = ("disk_bytes", "download_bytes", "free_bytes", "largest_file_bytes", "size_bytes")


def sections(document: Mapping[str, Any], titles: Mapping[str, str]) -> Iterator[Block]:
    """Yield a section for each of the keys, `needs.memory` a key within a key, that has a value."""
    for path, title in titles.items():
        value: Any = document
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if blocks := tuple(_blocks("", value, 2)):
            yield from (*heading(title), *blocks)


def _blocks(title: str, value: Any, indent: int) -> Iterator[Block]:
    """Yield a value of any kind under its title."""
    if isinstance(value, Mapping) and all(isinstance(text, str) for text in value.values()):
        # the same text of several keys once
        keys: dict[str, list[str]] = {}
        for key, text in value.items():
            keys.setdefault(text, []).append(key)
        value = [f"{', '.join(names)}: {text}" for text, names in keys.items()]
    if isinstance(value, Mapping):
        yield from _entry(title, value, indent)
        return
    if title and value:
        yield line(strong(title), ":", indent=indent)
        indent += 2
    for each in value or ():
        own = next((key for key in _TITLES if isinstance(each, Mapping) and each.get(key)), None)
        if isinstance(each, Mapping):
            rest = {key: inner for key, inner in each.items() if key != own}
            yield from _entry(each[own] if own else "", rest, indent)
        else:
            yield say(str(each), indent=indent, hang=2)


def _entry(title: str, entry: Mapping[str, Any], indent: int) -> Iterator[Block]:
    """Yield the short values of a record on a line, below it the long ones and what is nested."""
    likely, left = _range(entry)
    short, long = [likely] if likely else [], []
    nested: list[tuple[str, Any]] = []
    for key, value in left.items():
        ends, rest = _range(value, key) if isinstance(value, Mapping) else ("", value)
        text = ends or _words(key, rest)
        if text and key == "remedy":
            long.append(f"→ {text}")
        elif text:
            text = text if key in _PLAIN else f"{_label(key)} {text}".rstrip()
            (long if len(text) > _SHORT or text.endswith(".") else short).append(text)
        if isinstance(rest, Mapping | list) and rest and (ends or not text):
            nested.append(("" if ends else key.replace("_", " "), rest))
    name = title.replace("_", " ") if title.islower() else title
    if name:
        yield line(strong(name), f": {', '.join(short)}", indent=indent, hang=2)
    elif short:
        yield say(", ".join(short), indent=indent, hang=2)
    below = indent + 2 * bool(name)
    yield from (say(text, indent=below, hang=2) for text in long)
    for label, value in nested:
        yield from _blocks(label, value, below)


def _range(entry: Mapping[str, Any], key: str = "") -> tuple[str, dict[str, Any]]:
    """A likely figure with its ends, empty where the entry has none, and the rest of it."""
    for likely, low, high in (
        ("likely", "low", "high"),
        ("bytes", "low_bytes", "high_bytes"),
        ("total_bytes", "low_bytes", "high_bytes"),
    ):
        if all(isinstance(entry.get(end), int | float) for end in (likely, low, high)):
            unit = likely if likely != "likely" else key
            figure, first, last = (_words(unit, entry[end]) for end in (likely, low, high))
            rest = {name: value for name, value in entry.items() if name not in (likely, low, high)}
            return figure + (f" ({first} to {last})" if first != last else ""), rest
    return "", dict(entry)


def _label(key: str) -> str:
    cut = next((cut for end, cut, _ in _UNITS if key.endswith(end) and cut), "")
    return key.removesuffix(cut).replace("_", " ")


def _words(key: str, value: Any) -> str:
    """A value as a person reads it, by what its key ends in; empty of nothing and of records."""
    if isinstance(value, list) and all(isinstance(each, int | float) for each in value):
        return ", ".join(map(str, value)) if len(value) <= _FEW_NUMBERS else str(len(value))
    if isinstance(value, list):
        text = ", ".join(map(str, value))
        is_short = all(isinstance(each, str) for each in value) and len(text) <= 2 * _SHORT
        return text if is_short else ""
    if value is None or isinstance(value, bool | Mapping):
        return "no" if value is False and key in _TELLING else "yes" if value is True else ""
    if isinstance(value, str):
        return value
    if key in _DECIMAL:
        return units.decimal(int(value))
    words = next((words for end, _, words in _UNITS if key.endswith(end)), None)
    if words is not None:
        return words(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3g}"
