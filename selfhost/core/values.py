"""What a value may be, wherever it was given: a field of a `Workload`, a key of a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

Fault = tuple[str, str | None]

_KINDS: dict[type, tuple[str, str | None]] = {
    str: ("a string", 'write it in quotes: "…"'),
    int: ("a whole number", None),
    float: ("a number", None),
    bool: ("true or false", None),
    list: ("a list", "write [ … ]"),
    dict: ("a table", "write { … }"),
}


def fault_of(
    value: Any,
    kind: type,
    *,
    minimum: float = 0,
    maximum: float = 10**18,
    choices: Sequence[str] = (),
    empty: bool = False,
    lines: bool = False,
) -> Fault | None:
    """What is wrong with a value of that kind and what to write instead; None where it is right.

    A number lies within the bounds, and nan does not; whole numbers are numbers, true is none. A
    string is one of `choices` if given, on one line unless `lines`, not blank unless `empty`.
    """
    given: type = type(value)
    if given is not kind and not (kind is float and given is int):
        name, remedy = _KINDS[kind]
        remedy = _whole_number(value) if kind is int else remedy
        return f"must be {name}, not {kind_of(value)}", remedy
    if kind is str:
        return _text_fault(value, choices, empty, lines)
    if kind in (int, float) and not minimum <= value <= maximum:
        word, end = ("least", minimum) if value < minimum else ("most", maximum)
        end = int(end) if end == int(end) else end
        return f"must be at {word} {_digits(end)}, not {_digits(value)}", None
    return None


def _text_fault(text: str, choices: Sequence[str], empty: bool, lines: bool) -> Fault | None:
    if choices:
        message = f'"{shortened(text)}" is not one of {", ".join(choices)}'
        return None if text in choices else (message, None)
    if not text.strip():
        return None if empty and not text else ("is empty", None)
    if (" ".join(text.split()) if lines else text).isprintable():
        return None
    message = f'"{shortened(text)}" has a line break or a control character'
    return message, "write it on one line"


def _whole_number(value: object) -> str | None:
    """What to write instead of one as text or with a point: `"4,096"`, `7e9`."""
    digits = str(int(value)) if isinstance(value, float) and value.is_integer() else value
    digits = re.sub(r"[,_ ]|\.0*$", "", digits if isinstance(digits, str) else "")
    is_number = digits.isdecimal() and digits.isascii() and len(digits) <= 18
    return f"write {int(digits):_}" if is_number else None


_DATE = re.compile(r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?", re.ASCII)


def date_fault(value: Any, *, partial: bool, is_stored: bool) -> Fault | None:
    """As `fault_of`, of a date of TOML; with `partial` also the strings `"2024"` and `"2024-05"`. A
    package has every date as a string.
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
    return f"must be a date, not {kind_of(value)}", f"write {day}, without quotes and time{less}"


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
