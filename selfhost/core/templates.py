"""Templates of sentences: the words stand in a table, apart from the code that knows the figures.

`{name}` is a figure and `{name:unit}` one in a unit, a pair of figures being a range.
`[[name? …]]` stays where that figure is set and not zero, `[[!name? …]]` where it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import units

UNITS: Mapping[str, Callable[[Any], str]] = {
    "binary": units.binary,
    "decimal": units.decimal,
    "tokens": units.tokens,
    "duration": units.duration,
    "count": units.count,
    "number": "{:,}".format,
    "and": " and ".join,
    "or": " or ".join,
    "list": ", ".join,
}
RANGES: Mapping[str, Callable[[Any, Any], str]] = {
    "binary": units.binary_range,
    "decimal": units.decimal_range,
    "speed": units.speed,
}


def filled(template: str, figures: Mapping[str, Any]) -> str:
    """The template with its figures; `KeyError` for a figure that is missing."""
    first, *parts = template.split("[[")
    text = _with_figures(first, figures)
    for part in parts:
        optional, _, rest = part.partition("]]")
        name, _, words = optional.partition("?")
        is_shown = figures.get(name) if name[0] != "!" else not figures.get(name[1:])
        if is_shown:
            text += _with_figures(words, figures)
        text += _with_figures(rest, figures)
    return text


def _with_figures(text: str, figures: Mapping[str, Any]) -> str:
    filled_in, *parts = text.split("{")
    for part in parts:
        name, _, rest = part.partition("}")
        name, _, unit = name.partition(":")
        filled_in += _shown(figures[name], unit) + rest
    return filled_in


def _shown(value: Any, unit: str) -> str:
    if not unit:
        return str(value)
    if isinstance(value, tuple) and unit in RANGES:
        return RANGES[unit](*value)
    return UNITS[unit](value)
