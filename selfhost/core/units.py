"""Bytes, tokens, speeds, times and prices, printed always with their unit, and read in the forms
that people type; dates of the calendar; and the comparison of names.

A function that reads typed text (such as `parse_size`) raises `ValueError` with the fault and the
correct form. A GiB is 2**30 bytes and a GB is 10**9.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from time import gmtime, strftime
from typing import NamedTuple

KIB = 2**10
MIB = 2**20
GIB = 2**30
TIB = 2**40
KB = 10**3
MB = 10**6
GB = 10**9
TB = 10**12
DAY_SECONDS = 86_400
YEAR_SECONDS = 365 * DAY_SECONDS

# writes a number with its unit
Show = Callable[[float], str]


def counted(names: Sequence[str]) -> list[str]:
    """The names, each listed once: `2 × RTX 3090` for a name that occurs twice."""
    texts = []
    for name, number in Counter(names).items():
        texts.append(name if number == 1 else f"{number} × {name}")
    return texts


def listed(names: Iterable[str], most: int = 5) -> str:
    """The first names, and how many more there are: `a, b, c and 4 more`."""
    all_names = list(names)
    text = ", ".join(all_names[:most])
    left_out = len(all_names) - most
    if left_out > 0:
        text += f" and {left_out:,} more"
    return text


def stated(number: float) -> str:
    """A number as the person who stated it reads it: `2`, `0.5`, `1,000,000`."""
    return f"{number:,.12g}"


def count_while(holds: Callable[[int], bool], numbers: range) -> int:
    """The number of values at the start of the range for which `holds` is true, found by halving.
    Once `holds` is false, it must be false for all that follow.
    """
    return bisect_left(numbers, 1, key=lambda number: 0 if holds(number) else 1)


def plural(count: float, noun: str) -> str:
    """`1 thread`, `2 threads`."""
    if count != 1:
        noun += "s"
    return f"{count:,} {noun}"


def between(
    shown: Show,
    least: float,
    most: float,
) -> str:
    """`4.71 to 4.74 GiB`, `980 MiB to 1.02 GiB`; one figure where both print alike."""
    first = shown(least)
    last = shown(most)
    if first == last:
        return last
    number, _, unit = first.partition(" ")
    if last.endswith(f" {unit}"):
        return f"{number} to {last}"
    return f"{first} to {last}"


def binary(size: float, *, up: bool = False) -> str:
    """Bytes of memory, `4.90 GiB`, `512 MiB`; rounded `up`, what is printed is enough."""
    return _scaled(size, 1024, _BINARY_UNITS, up=up) or plural(size, "byte")


def decimal(size: float, *, up: bool = False) -> str:
    """Bytes of downloads and disks, as publishers and shops state them: `4.37 GB`."""
    return _scaled(size, 1000, _DECIMAL_UNITS, up=up) or plural(size, "byte")


def count(number: float) -> str:
    """A model's parameters as people say them: `7.25 B`, `124 M`."""
    return _scaled(number, 1000, _COUNT_UNITS) or str(number)


# the units of the base to the powers 4, 3, 2 and 1
_BINARY_UNITS = ("TiB", "GiB", "MiB", "KiB")
_DECIMAL_UNITS = ("TB", "GB", "MB", "kB")
_COUNT_UNITS = ("T", "B", "M", "K")


def _scaled(
    number: float,
    base: int,
    units: Sequence[str],
    *,
    up: bool = False,
) -> str | None:
    """The number in three digits, with the largest unit that the number reaches. Each unit is
    `base` times the unit before. None for a number below all units.
    """
    sign = "-" if number < 0 else ""
    size = abs(number)
    power = len(units)
    for unit in units:
        factor = base**power
        # 0.9995 and more would print as 1000 of the next smaller unit
        if size >= factor * 0.9995:
            value = size / factor
            places = _places_for_three_digits(value)
            if up:
                steps = 10**places
                # -(-a // b) rounds up exactly; a division of floats does not
                value = -(-size * steps // factor) / steps
            return f"{sign}{value:,.{places}f} {unit}"
        power -= 1
    return None


def _places_for_three_digits(value: float) -> int:
    if value < 9.995:
        return 2
    if value < 99.95:
        return 1
    return 0


def percent(share: float) -> str:
    """A share of 1: `85 %`."""
    return f"{100 * share:.0f} %"


def tokens(count: int) -> str:
    """`4,096 tokens`."""
    return plural(count, "token")


def speed(low: float, high: float | None = None) -> str:
    """A pace, or its ends: `12 tokens/s`, `8.0-12 tokens/s`."""
    return f"{pace(low, high)} tokens/s"


def pace(low: float, high: float | None = None) -> str:
    """A pace like `speed`, without the unit, for a column whose heading names it: `8.0-12`. One
    figure where only `low` is given, or both print alike.
    """
    first = _pace_digits(low)
    if high is None:
        return first
    last = _pace_digits(high)
    return last if last == first else f"{first}-{last}"


def _pace_digits(per_second: float) -> str:
    if 0 < per_second < 0.0095:
        return "<0.01"
    if 0 < per_second < 0.095:
        return f"{per_second:.2f}"
    if per_second < 9.95:
        return f"{per_second:.1f}"
    return f"{per_second:,.0f}"


def is_slower(tokens_per_second: float, wanted: float) -> bool:
    """Whether a pace is below the wanted one, as both are printed: 1.96 is told as `2.0`, so it is
    not below 2. Figures that print alike never get opposite answers.
    """
    printed = pace(tokens_per_second).replace(",", "")
    if printed.startswith("<"):
        return tokens_per_second < wanted
    return float(printed) < wanted


def short_license(expression: str) -> str:
    """The name of a license in reports: an SPDX expression without `LicenseRef-`."""
    return expression.replace("LicenseRef-", "")


def duration(seconds: float) -> str:
    """A length of time, with no more digits than a guess deserves: `0.09 seconds`, `2.5 hours`.
    A year has 365 days.
    """
    if seconds >= 2 * YEAR_SECONDS:
        return _rounded(seconds / YEAR_SECONDS, "year")
    if seconds >= 2 * DAY_SECONDS:
        return _rounded(seconds / DAY_SECONDS, "day")
    if seconds >= 7_200:
        return _two_digits(seconds / 3_600, "hour")
    # 119.5 seconds would print as 120
    if seconds >= 119.5:
        return _rounded(seconds / 60, "minute")
    return _two_digits(seconds, "second")


def _two_digits(number: float, noun: str) -> str:
    """A number with its noun: `2.5 hours`, `12 hours`. A number below ten has two digits."""
    if number >= 9.95:
        return _rounded(number, noun)
    text = f"{number:.2g}"
    if text == "1":
        return f"1 {noun}"
    return f"{text} {noun}s"


def _rounded(number: float, noun: str) -> str:
    """A whole number with its noun in the plural: `2 minutes`. `duration` never asks for one of a
    unit, because it uses the next smaller unit below two.
    """
    return f"{number:,.0f} {noun}s"


def dollars(amount: float) -> str:
    """`$2.50`, `$0.293`, `$0.000021`: at least two decimals, three digits below a dollar."""
    places = 2
    if 0 < amount < 1:
        exponent = int(f"{amount:.2e}".partition("e")[2])
        places = min(15, 2 - exponent)
    whole, _, decimals = f"{amount:,.{places}f}".partition(".")
    return f"${whole}.{decimals.rstrip('0'):0<2}"


def cores(number: float) -> str:
    """`2 cores`, `1 core`, `0.5 cores`."""
    text = f"{number:g}"
    if text == "1":
        return "1 core"
    return f"{text} cores"


def utc_today() -> str:
    """Today's date in UTC, `YYYY-MM-DD`."""
    return strftime("%Y-%m-%d", gmtime())


def fault_of_date(date: str) -> str | None:
    """Why the calendar does not have a date, `YYYY` or `YYYY-MM` or `YYYY-MM-DD` with a month from
    01 to 12: `February 2026 has 28 days`. None for a date that exists.
    """
    parts = [int(part) for part in date.split("-")]
    year = parts[0]
    if year == 0:
        return "there is no year 0"
    if len(parts) < 3:
        return None
    # imported here: the help of the command line reads no date
    from calendar import month_name, monthrange

    month = parts[1]
    _, days = monthrange(year, month)
    if 1 <= parts[2] <= days:
        return None
    return f"{month_name[month]} {year} has {days} days"


# at most 24 digits, with or without separators of thousands (`,` or `_`); then a unit
_QUANTITY = (
    r" *(-?)([0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,3}(?:_[0-9]{3})+|[0-9]{1,24})(\.[0-9]{1,24})?"
    r"(?: *([A-Za-z][A-Za-z /]*?))? *"
)
# a bare K, M, G or T is binary, as in `docker run -m` and systemd
_SIZES = {
    "": 1,
    "b": 1,
    "byte": 1,
    "bytes": 1,
    "k": KIB,
    "kib": KIB,
    "m": MIB,
    "mib": MIB,
    "g": GIB,
    "gib": GIB,
    "t": TIB,
    "tib": TIB,
    "kb": KB,
    "mb": MB,
    "gb": GB,
    "tb": TB,
}
_SECONDS = {
    **dict.fromkeys(("", "s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3600),
}
_NO_UNIT = {"": 1}
# a small b means bits and a capital B bytes; after a small m, g or t, a small b means bytes too
_RATE = (
    r"([kKMGT]i?|[mgt]i?(?=bit|[bB]yte))?(bits?|b|B|[bB]ytes?)(?:/s|/sec|/second|ps)"
)


class _Quantity(NamedTuple):
    """A typed quantity, exact: the number as a fraction of whole numbers, and the unit as typed."""

    numerator: int
    denominator: int
    unit: str
    # also of `-0`
    has_minus: bool


def _quantity(text: str, refusal: str) -> _Quantity:
    """`1.5 GiB` -> 15, 10, `GiB`. `ValueError` for what is no number with a unit."""
    match = re.fullmatch(_QUANTITY, text)
    if match is None:
        why = _why_no_quantity(text) or refusal
        raise ValueError(f"{text!r} {why}")
    sign, digits, fraction, unit = match.groups(default="")
    digits = digits.replace(",", "").replace("_", "")
    decimals = fraction.removeprefix(".")
    numerator = int(sign + digits + decimals)
    return _Quantity(numerator, 10 ** len(decimals), unit, has_minus=sign == "-")


def _why_no_quantity(text: str) -> str | None:
    """The fault in a text that is not a number; None where no particular fault is found."""
    for letter in text:
        if not letter.isascii():
            return f"holds {letter!r}: write a number with the digits 0 to 9"
    if re.fullmatch(" *[0-9]+,[0-9]+[A-Za-z/ ]*", text):
        with_point = text.strip().replace(",", ".")
        return f"is not a number: write a decimal point, {with_point}"
    if "," in text or "_" in text:
        return "is not a number: write one number, such as 8192"
    return None


class _Measure:
    """A kind of number that people type: its name, an example, and the value of each unit by its
    name in lower case.

    A kind without units allows negative numbers; the caller then checks the lower bound.
    """

    def __init__(
        self,
        name: str,
        example: str,
        units: Mapping[str, int] = _NO_UNIT,
    ) -> None:
        self.name = name
        self.refusal = f"is not a {name}: write for example {example}"
        self.units = units
        self.may_be_negative = units is _NO_UNIT

    def read(self, text: str) -> _Quantity:
        """`1.5 GiB` in bytes, as a fraction. `ValueError` for another unit."""
        quantity = _quantity(text, self.refusal)
        worth = self.units.get(quantity.unit.lower())
        if worth is None or (quantity.has_minus and not self.may_be_negative):
            raise ValueError(f"{text!r} {self.refusal}")
        return quantity._replace(numerator=quantity.numerator * worth)

    def number(self, text: str) -> float:
        """`1.5m` -> 90.0."""
        quantity = self.read(text)
        return quantity.numerator / quantity.denominator

    def whole(self, text: str) -> int:
        """`1.5k` -> 1536. `ValueError` for a fraction."""
        quantity = self.read(text)
        number, remainder = divmod(quantity.numerator, quantity.denominator)
        if remainder == 0:
            return number
        message = f"is not a whole {self.name}: write for example {number}"
        raise ValueError(f"{text!r} {message}")


_TIME = _Measure("length of time", "30s, 10m or 1.5h", _SECONDS)
_SIZE = _Measure("size", "16GiB or 16GB", _SIZES)

# `8`, `1,000`: a whole number, also a negative one
parse_whole = _Measure("number", "8").whole
# `2`, `0.5`, `1,000`: a number, also a negative one
parse_number = _Measure("number", "2 or 0.5").number
# `8192`, `8,192`, `8k` (8 * 1024), `2.5k`: the length of a context or of a prompt
parse_tokens = _Measure(
    "number of tokens", "8192 or 8k", {"": 1, "k": KIB, "m": MIB}
).whole
# `200k`, `1.5M`, `2,000,000`: tokens as price lists count them, a k is 1,000
parse_count = _Measure(
    "number", "200k or 1.5M", {"": 1, "k": KB, "m": MB, "b": GB}
).whole
# `90`, `30s`, `10m`, `1.5h`: whole seconds
parse_seconds = _TIME.whole
# `2`, `0.5s`, `1.5m`: seconds, also parts of one
parse_wait = _TIME.number


def parse_size(text: str) -> int:
    """`16GiB`, `16 GB`, `512M`, `1.5g` -> whole bytes. 8 and 7.5 were meant as GB or GiB."""
    quantity = _SIZE.read(text)
    # rounded to the nearest byte: a size printed with three digits is read back as exactly as the
    # digits allow
    twice = 2 * quantity.numerator + quantity.denominator
    size_bytes = twice // (2 * quantity.denominator)
    if quantity.numerator > 0 and not quantity.unit and size_bytes < MIB:
        message = "the unit is missing, write for example 16GiB or 16GB"
        raise ValueError(f"{text!r} is {binary(size_bytes)}: {message}")
    return size_bytes


def parse_rate(text: str) -> int:
    """`100Mbit/s`, `100 Mb/s`, `1Gbps`, `12MB/s`, `10MiB/s` -> whole bytes per second."""
    refusal = "is not a speed: write for example 100Mbit/s or 12MB/s"
    quantity = _quantity(text, refusal)
    match = re.fullmatch(_RATE, quantity.unit.replace(" ", ""))
    rate = 0
    if match is not None:
        prefix, unit = match.groups(default="")
        is_of_bits = unit[0] == "b" and "y" not in unit
        per_byte = 8 if is_of_bits else 1
        number = quantity.numerator * _SIZES[f"{prefix.lower()}b"]
        rate = number // (quantity.denominator * per_byte)
    if rate <= 0:
        raise ValueError(f"{text!r} {refusal}")
    return rate


_PARTS = re.compile(r"[0-9]+|[^0-9\s_.:/()\[\]-]+")
# longer words are no typing slip, and comparing them takes time
MAX_GUESSED_LETTERS = 60


# cached: a few thousand names of models are compared repeatedly
@lru_cache(maxsize=8192)
def canonical(text: str) -> str:
    """The form in which names are compared: `Llama3.1:8B` and `llama-3.1-8b` are both
    `llama-3-1-8-b`. Digits never merge across a separator: `opt-13b` and `opt-1.3b` differ.
    Full-width forms are folded and invisible characters dropped, as from a web page.
    """
    if not text.isascii():
        text = _folded(text)
    return "-".join(_PARTS.findall(text.lower()))


def _folded(text: str) -> str:
    """A text of any script with `-` for every dash (`Pd` of Unicode) and no sign that only tells
    how to set it (`Cf`).
    """
    from unicodedata import category, normalize

    folded = normalize("NFKC", normalize("NFKC", text).lower())
    letters = []
    for letter in folded.replace("\N{MINUS SIGN}", "-"):
        kind = category(letter)
        if kind == "Pd":
            letters.append("-")
        elif kind != "Cf":
            letters.append(letter)
    return "".join(letters)


def words_of(name: str) -> frozenset[str]:
    """The words of a name in lower case, without what stands between them."""
    return frozenset(re.findall(r"[^\W_]+", name.lower()))


def says_any(text: str, words: Iterable[str]) -> bool:
    """Whether one of the words stands in the text, also inside a longer word."""
    return any(word in text for word in words)


def is_slip(word: str, choice: str) -> bool:
    """Whether two names differ by one letter more, less or other, or by two swapped letters."""
    if word == choice:
        return False
    # the rest of both words, from the first different letter on
    shorter = range(min(len(word), len(choice)))
    start = count_while(lambda place: word[: place + 1] == choice[: place + 1], shorter)
    typed = word[start:]
    meant = choice[start:]
    swapped = typed[1:2] + typed[:1] + typed[2:]
    is_one_more = typed[1:] == meant
    is_one_less = typed == meant[1:]
    is_another = typed[1:] == meant[1:]
    return swapped == meant or is_one_more or is_one_less or is_another


def nearest(word: str, choices: Sequence[str]) -> str | None:
    """The choice that a typing slip most likely meant, or None."""
    return next(iter(all_near(word, choices, most=1)), None)


def all_near(
    word: str,
    choices: Sequence[str],
    *,
    most: int = 3,
) -> list[str]:
    """The choices that a typing slip may have meant, the likeliest first, as `difflib` tells."""
    if len(word) > MAX_GUESSED_LETTERS:
        return []
    from difflib import get_close_matches

    by_lower = {choice.lower(): choice for choice in choices}
    matches = get_close_matches(word.lower(), list(by_lower), n=most)
    return [by_lower[match] for match in matches]
