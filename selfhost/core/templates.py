"""The one language of templates: sentences, command lines and files with places for values.

`fill` returns a template, such as the texts of `specs/common/` and `specs/runtimes/`, with its
values put in.

`{name}` is a place for a value, and `{name:unit}` writes it in a unit of `UNITS`. A tuple of the
least and the most is written as a range, in a unit of `RANGES`; `speed` takes only such a tuple:

>>> fill("{name} needs {size:binary}", {"name": "Qwen3", "size": 5 * 2**30})
'Qwen3 needs 5.00 GiB'
>>> fill("{name} needs {size:binary}", {"name": "Qwen3", "size": (5 * 2**30, 6 * 2**30)})
'Qwen3 needs 5.00 to 6.00 GiB'

`[[name?words]]` keeps the words only where `name` has a value (one that is given, and not None, 0,
"" or empty), `[[!name?words]]` only where it has none. The words may hold places, and no brackets
of this kind:

>>> fill("it fits[[left?, and {left:binary} stay free]][[!left?, barely]]", {"left": 2**30})
'it fits, and 1.00 GiB stay free'

A line with a value that is None is left out:

>>> fill("image: {image}\\nport: {port}", {"image": None, "port": 80})
'port: 80'

`{>name}` is a place for a part: a template that several templates share. It is text where no parts
are given:

>>> fill("{>here}: {path}", {"path": "/models"}, parts={"here": "stored on this machine"})
'stored on this machine: /models'

All other braces and brackets are text: `{"a": 1}`, `{1,3}`, `{HOME}`, `{size:large}`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

from .records import Record
from .units import (
    between,
    binary,
    count,
    decimal,
    duration,
    speed,
    tokens,
)

UNITS: Mapping[str, Callable[[Any], str]] = {
    # 1024 bytes are 1 KiB
    "binary": binary,
    # `binary`, rounded up
    "most": partial(binary, up=True),
    # 1000 bytes are 1 kB
    "decimal": decimal,
    "tokens": tokens,
    # the value is in seconds
    "duration": duration,
    # as in `7.25 B`
    "count": count,
    # as in `1,024`
    "number": "{:,}".format,
    # several names
    "and": " and ".join,
    "or": " or ".join,
    "list": ", ".join,
}
RANGES: Mapping[str, Callable[[Any, Any], str]] = {
    "binary": partial(between, binary),
    "decimal": partial(between, decimal),
    # tokens per second
    "speed": speed,
}

_UNIT = "|".join({**UNITS, **RANGES})
_PLACE = re.compile(rf"\{{([a-z][a-z0-9_]*)(?::({_UNIT}))?\}}")
_OPTIONAL_WORDS = re.compile(r"\[\[(!?)(\w+)\?(.*?)\]\]", re.DOTALL)
_PART = re.compile(r"\{>([a-z][a-z0-9_]*)\}")


def fill(
    template: str,
    values: Mapping[str, object],
    *,
    parts: Mapping[str, str] = {},
    keep_unknown: bool = False,
) -> str:
    """Return the template with these values in its places, as the docstring of the module says.
    Parts are put in first, then optional words are kept or dropped, then places are filled.

    Raises `KeyError` for a missing part, and for the place of a value that is not given. With
    `keep_unknown` such a place stays as it is written, for a later call to fill. Optional words do
    not wait for one: they are dropped, or with `!` kept.
    """
    text = _with_parts(template, parts)
    if "[[" in text:
        text = _OPTIONAL_WORDS.sub(lambda match: _optional_words(match, values), text)
    if "{" not in text:
        return text
    lines = [
        _filled_line(line, values, keep_unknown=keep_unknown)
        for line in text.split("\n")
    ]
    return "\n".join(line for line in lines if line is not None)


def _with_parts(template: str, parts: Mapping[str, str]) -> str:
    """The template with its parts put in, and the parts of these parts."""
    if not parts or "{>" not in template:
        return template
    return _PART.sub(lambda match: _with_parts(parts[match[1]], parts), template)


def _optional_words(match: re.Match[str], values: Mapping[str, object]) -> str:
    """The words of `[[name?words]]` where they are wanted; else nothing."""
    negation, name, words = match.groups()
    is_there = bool(values.get(name))
    is_wanted = not is_there if negation else is_there
    return words if is_wanted else ""


def _filled_line(
    line: str,
    values: Mapping[str, object],
    *,
    keep_unknown: bool,
) -> str | None:
    """Return the line with its values; None where one of them is None."""
    written = []
    for place in _places(line):
        written.append(place.text_before)
        if place.name is None:
            continue
        if keep_unknown and place.name not in values:
            written.append(place.typed)
            continue
        value = values[place.name]
        if value is None:
            return None
        written.append(_written(value, place.unit))
    return "".join(written)


class _Place(Record):
    """A place for a value, the text before it, and how the place is typed in the template. Without
    a name: the end of the line.
    """

    text_before: str
    name: str | None = None
    unit: str | None = None
    typed: str = ""


# cached: `list` asks for the same few sentences thousands of times
@lru_cache(maxsize=1024)
def _places(line: str) -> tuple[_Place, ...]:
    """The places in a line in their order; the last stands for the end of the line."""
    places = []
    end = 0
    for match in _PLACE.finditer(line):
        name, unit = match.groups()
        before = line[end : match.start()]
        places.append(_Place(text_before=before, name=name, unit=unit, typed=match[0]))
        end = match.end()
    return (*places, _Place(text_before=line[end:]))


def _written(value: object, unit: str | None) -> str:
    """The value in its unit, a range where it has two ends."""
    if unit is None:
        return str(value)
    if isinstance(value, tuple) and unit in RANGES:
        return RANGES[unit](*value)
    return UNITS[unit](value)
