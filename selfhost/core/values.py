"""What a value may be, wherever it was given: a field of a `Workload`, a key of a TOML file.

A check returns what is wrong with a value and what to write instead, None where it is right.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

Fault = tuple[str, str | None]

_DATE = re.compile(r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?", re.ASCII)
_KINDS = {
    bool: ("true or false", None),
    list: ("a list", "write [ … ]"),
    dict: ("a table", "write { … }"),
}


def kind_fault(value: object, kind: type) -> Fault | None:
    """Of true or false, of a list and of a table."""
    name, remedy = _KINDS[kind]
    return None if isinstance(value, kind) else (f"must be {name}, not {kind_of(value)}", remedy)


def text_fault(
    value: object,
    choices: Sequence[str] = (),
    *,
    empty: bool = False,
    lines: bool = False,
) -> Fault | None:
    """A string, one of `choices` if given, on one line unless `lines`, not blank unless `empty`."""
    if not isinstance(value, str):
        return f"must be a string, not {kind_of(value)}", 'write it in quotes: "…"'
    if choices:
        message = f'"{shortened(value)}" is not one of {", ".join(choices)}'
        return None if value in choices else (message, None)
    if not value.strip():
        return None if empty and not value else ("is empty", None)
    if (" ".join(value.split()) if lines else value).isprintable():
        return None
    message = f'"{shortened(value)}" has a line break or a control character'
    return message, "write it on one line"


def integer_fault(value: object, minimum: int = 0, maximum: int = 10**18) -> Fault | None:
    """A whole number within the bounds. True and 1.0 are none."""
    if not isinstance(value, int) or isinstance(value, bool):
        # written as text or with a point: `"7"`, `"4,096"`, `7e9`
        digits = re.sub(r"[,_ ]|\.0*$", "", value if isinstance(value, str) else "")
        if isinstance(value, float) and value.is_integer() and abs(value) < 10**18:
            digits = str(int(value))
        is_number = digits.isdecimal() and digits.isascii() and len(digits) <= 18
        remedy = f"write {int(digits):_}" if is_number else None
        return f"must be a whole number, not {kind_of(value)}", remedy
    if value < minimum:
        return f"must be at least {minimum:,}, not {_digits(value)}", None
    return (f"must be at most {maximum:,}, not {_digits(value)}", None) if value > maximum else None


def number_fault(value: Any, minimum: float = 0.0, maximum: float = 1e18) -> Fault | None:
    """A number, whole or not, within the bounds; never nan."""
    if type(value) not in (int, float):
        return f"must be a number, not {kind_of(value)}", None
    bounds = f"must be between {minimum:g} and {maximum:,.12g}, not {_digits(value)}"
    return None if minimum <= value <= maximum else (bounds, None)


def date_fault(value: Any, *, partial: bool = False, is_stored: bool = False) -> Fault | None:
    """A date of TOML; with `partial` also the strings `"2024"` and `"2024-05"`. A package has every
    date as a string.
    """
    if isinstance(value, str):
        is_less = partial and value.count("-") < 2
        is_day = bool(_DATE.fullmatch(value)) and (is_stored or is_less)
    else:
        is_day = hasattr(value, "year") and not hasattr(value, "hour")
    if is_day:
        return None
    day = str(value)[:10]
    day = day if day.count("-") == 2 and _DATE.fullmatch(day) else "YYYY-MM-DD"
    less = ', or "2024" where only the year is known' if partial else ""
    message = f"must be a date, not {kind_of(value)}"
    return message, f"write {day}, without quotes and time{less}"


def kind_of(value: object) -> str:
    """What a value is, in words for a message: `the string "4k"`, `a table`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'the string "{shortened(value)}"'
    if isinstance(value, int | float):
        return f"the number {_digits(value)}"
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    is_time = value is None or hasattr(value, "isoformat")
    return str(value) if is_time else f"a value of the type {type(value).__name__}"


def _digits(value: int | float) -> str:
    """A number for a message. Python refuses to print whole numbers of more than 4,300 digits."""
    if not isinstance(value, int):
        return str(value)
    return f"{value:,}" if -(10**30) < value < 10**30 else "one of more than 30 digits"


def shortened(text: str) -> str:
    """Text of a file as a message may show it: no control characters, no thousand letters."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in text)
    return clean if len(clean) <= 60 else clean[:57] + "…"
