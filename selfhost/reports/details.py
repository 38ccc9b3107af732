"""What `-v` adds: everything that the JSON of an answer holds, in sections, with its sources.

Rules on keys and values, none on single commands: what JSON has a key for, `-v` shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..core import units
from .layout import Block, heading, line, say, strong

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# keys whose text is the title of an entry, the first that it has
_TITLES = ("check", "fact", "provider", "name", "quantization", "placement", "id")
# values that say what they are without their key
_PLAIN = ("outcome", "code", "how", "where", "why", "answer", "reason", "source", "arithmetic",
          "text", "figure", "file", "title", "cost")  # fmt: skip
# longer texts, and sentences, have a line of their own; of a longer list of numbers their count
_SHORT, _FEW_NUMBERS = 44, 6
# what is said where it is not so
_TELLING = ("fits", "writable", "complete", "api")
# ends of keys, which are cut off the label, and how the value is printed
_UNITS: tuple[tuple[str, Callable[[Any], str]], ...] = (
    ("usd_per_million_tokens", units.dollars),
    ("bytes_per_second", lambda value: f"{units.decimal(int(value))}/s"),
    ("tokens_per_second", lambda value: units.speed(value, value)),
    ("seconds", units.wait),
    ("tokens", units.tokens),
    ("bytes", units.binary),
)
# stored on disks, which are sold by powers of ten
_DECIMAL = ("disk_bytes", "download_bytes", "free_bytes", "largest_file_bytes", "size_bytes")
# a likely figure with its ends
_RANGES = (
    ("likely", "low", "high"),
    ("bytes", "low_bytes", "high_bytes"),
    ("total_bytes", "low_bytes", "high_bytes"),
)


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
        if isinstance(each, Mapping):
            own = next((key for key in _TITLES if each.get(key)), None)
            rest = {key: inner for key, inner in each.items() if key != own}
            yield from _entry(each[own] if own else "", rest, indent)
        else:
            yield say(str(each), indent=indent, hang=2)


def _entry(title: str, entry: Mapping[str, Any], indent: int) -> Iterator[Block]:
    """Yield the short values of a record on a line, below it the long ones and what is nested."""
    likely, left = _range(entry)
    short, long, nested = [likely] if likely else [], [], []
    for key, value in left.items():
        text, rest = _words_and_rest(key, value)
        if text and (key == "remedy" or len(text) > _SHORT or text.endswith(".")):
            long.append(_labelled(key, text))
        elif text:
            short.append(_labelled(key, text))
        if rest:
            nested.append(("" if text else key.replace("_", " "), rest))
    if title:
        name = title.replace("_", " ") if title.islower() else title
        yield line(strong(name), f": {', '.join(short)}", indent=indent, hang=2)
        indent += 2
    elif short:
        yield say(", ".join(short), indent=indent, hang=2)
    yield from (say(text, indent=indent, hang=2) for text in long)
    for name, rest in nested:
        yield from _blocks(name, rest, indent)


def _words_and_rest(key: str, value: Any) -> tuple[str, Any]:
    """A value in words, and what needs lines of its own: of a record all but its range."""
    if isinstance(value, Mapping):
        return _range(value, key)
    text = value_words(key, value)
    return text, value if isinstance(value, list) and not text else None


def _labelled(key: str, text: str) -> str:
    if key in _PLAIN:
        return text
    end = next((end for end, _ in _UNITS if key.endswith(f"_{end}")), "")
    label = key.removesuffix(f"_{end}").replace("_", " ")
    return f"→ {text}" if key == "remedy" else f"{label} {text}"


def _range(entry: Mapping[str, Any], key: str = "") -> tuple[str, dict[str, Any]]:
    """A likely figure with its ends, empty where the entry has none, and the rest of it."""
    for names in _RANGES:
        if all(isinstance(entry.get(name), int | float) for name in names):
            unit = names[0] if names[0] != "likely" else key
            figure, first, last = (value_words(unit, entry[name]) for name in names)
            rest = {name: value for name, value in entry.items() if name not in names}
            return figure + (f" ({first} to {last})" if first != last else ""), rest
    return "", dict(entry)


def value_words(key: str, value: Any) -> str:
    """A value as a person reads it; empty of nothing and of what has lines of its own."""
    if isinstance(value, list | tuple):
        return _list_words(value)
    if isinstance(value, bool) and not value:
        return "no" if key in _TELLING else ""
    if value is None or isinstance(value, str | Mapping):
        return value if isinstance(value, str) else ""
    if key in _DECIMAL:
        return units.decimal(int(value))
    words = next((words for end, words in _UNITS if key.endswith(end)), None)
    if words is not None:
        return words(value)
    number = f"{value:,.3g}" if isinstance(value, float) else f"{value:,}"
    return "yes" if value is True else number


def _list_words(values: Sequence[Any]) -> str:
    text = ", ".join(map(str, values))
    if all(isinstance(each, int | float) for each in values):
        return text if len(values) <= _FEW_NUMBERS else str(len(values))
    is_short = all(isinstance(each, str) for each in values) and len(text) <= 2 * _SHORT
    return text if is_short else ""
