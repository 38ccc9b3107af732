"""Bytes, tokens, speeds and times: printed so that the unit is always seen, and read as people type
them. A reader raises `ValueError` with what is wrong and what to write. At the end: how names are
compared, and which one a slip most likely meant.

A GiB is 2**30 bytes and a GB is 10**9.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from time import gmtime, strftime
from typing import Any

KIB, MIB, GIB, TIB = 2**10, 2**20, 2**30, 2**40
KB, MB, GB, TB = 10**3, 10**6, 10**9, 10**12
DAY_SECONDS = 86_400
YEAR_SECONDS = 365 * DAY_SECONDS


def counted(names: Sequence[str]) -> list[str]:
    """Each name once, `2 × RTX 3090` where it stands twice."""
    numbers = Counter(names)
    return [f"{numbers[name]} × {name}" if numbers[name] > 1 else name for name in numbers]


def stated(number: float) -> str:
    """A number as the person who stated it reads it: `2`, `0.5`, `1,000,000`."""
    return f"{number:,.12g}"


def with_thousands(number: float) -> str:
    """A whole number with marks of thousands: `1,024`."""
    return f"{number:,}"


def between(shown: Callable[[Any], str], least: float, most: float) -> str:
    """`4.71 to 4.74 GiB`, `980 MiB to 1.02 GiB`; one figure where both print alike."""
    first, last = shown(least), shown(most)
    if first == last:
        return last
    number, _, unit = first.partition(" ")
    return f"{number} to {last}" if last.endswith(f" {unit}") else f"{first} to {last}"


def _scaled(
    base: int, names: Sequence[str], size: int, *, up: bool = False, small: str = " bytes"
) -> str:
    sign, size = ("-", -size) if size < 0 else ("", size)
    for power, unit in zip((4, 3, 2, 1), names, strict=True):
        factor = base**power
        # 0.9995 and up would print as 1000 of the next smaller unit
        if size >= factor * 0.9995:
            value = size / factor
            # three digits in all
            places = (value < 99.95) + (value < 9.995)
            if up:
                value = -(-size * 10**places // factor) / 10**places
            return f"{sign}{value:,.{places}f} {unit}"
    return f"{sign}{size}{small.removesuffix('s' * (size == 1))}"


# memory: `4.90 GiB`, `512 MiB`; rounded `up`, what is printed is enough
binary: Callable[..., str] = partial(_scaled, 1024, ("TiB", "GiB", "MiB", "KiB"))
# downloads and disks, as publishers and shops state them: `4.37 GB`
decimal: Callable[..., str] = partial(_scaled, 1000, ("TB", "GB", "MB", "kB"))
# a model's size as people say it: `7.25 B`, `124 M`
count: Callable[..., str] = partial(_scaled, 1000, ("T", "B", "M", "K"), small="")


def percent(share: float) -> str:
    """A share of 1: `85 %`."""
    return f"{100 * share:.0f} %"


def tokens(count: int) -> str:
    """`4,096 tokens`."""
    return "1 token" if count == 1 else f"{count:,} tokens"


def speed(low: float, high: float | None = None, unit: str = " tokens/s") -> str:
    """`8-12 tokens/s`; one figure where it is alone or both print alike."""
    ends: list[str] = []
    for value in (low, low if high is None else high):
        places = (value < 9.95) + (0 < value < 0.095)
        ends.append("<0.01" if 0 < value < 0.0095 else f"{value:,.{places}f}")
    return "-".join(dict.fromkeys(ends)) + unit


# under a heading that names the unit: `8-12`
pace = partial(speed, unit="")


def is_slower(tokens_per_second: float, wanted: float) -> bool:
    """Whether a pace is below the wanted one, as both are printed: 1.96 is told as `2.0`, so it is
    not below 2. Figures that print alike never get opposite answers.
    """
    printed = pace(tokens_per_second).replace(",", "")
    # `<0.01` is no number
    shown = tokens_per_second if printed.startswith("<") else float(printed)
    return shown < wanted


# how reports show an expression of SPDX, or a license of its own
short_license = partial(re.sub, "LicenseRef-", "")


def duration(seconds: float) -> str:
    """A length of time, with no more digits than a guess deserves: `0.09 seconds`, `2.5 hours`.
    A year has 365 days.
    """
    steps = (
        (2 * YEAR_SECONDS, YEAR_SECONDS, "year"),
        (172_800, DAY_SECONDS, "day"),
        (7_200, 3_600, "hour"),
        (119.5, 60, "minute"),
    )
    step, word = next((row[1:] for row in steps if seconds >= row[0]), (1, "second"))
    number = seconds / step
    has_decimal = number < 9.95 and word in ("second", "hour")
    text = f"{number:.2g}" if has_decimal else f"{number:,.0f}"
    return f"{text} {word}" + "s" * (text != "1")


def dollars(amount: float) -> str:
    """`$2.50`, `$0.293`, `$0.000021`: at least two decimals, three digits below a dollar."""
    places = 2 if amount >= 1 or not amount else min(15, 2 - int(f"{amount:.2e}".partition("e")[2]))
    whole, _, decimals = f"{amount:,.{places}f}".partition(".")
    return f"${whole}.{decimals.rstrip('0'):0<2}"


def cores(number: float) -> str:
    """`2 cores`, `1 core`, `0.5 cores`."""
    return "1 core" if f"{number:g}" == "1" else f"{number:g} cores"


def utc_today() -> str:
    """Today's date in UTC, `YYYY-MM-DD`."""
    return strftime("%Y-%m-%d", gmtime())


_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_MONTHS_OF_30_DAYS = (4, 6, 9, 11)


def days_of_month(year: int, month: int) -> int:
    """How many days the month (1 to 12) has in the Gregorian calendar: 28 to 31."""
    if month == 2:
        is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        return 29 if is_leap else 28
    return 30 if month in _MONTHS_OF_30_DAYS else 31


def fault_of_date(date: str) -> str | None:
    """Why the calendar does not have a date, `YYYY` or `YYYY-MM` or `YYYY-MM-DD` with a month from
    01 to 12: `February 2026 has 28 days`. None for a date that exists.
    """
    year, *month_and_day = map(int, date.split("-"))
    if year == 0:
        return "there is no year 0"
    if len(month_and_day) < 2:
        return None
    month, day = month_and_day
    days = days_of_month(year, month)
    if 1 <= day <= days:
        return None
    return f"{_MONTHS[month - 1]} {year} has {days} days"


# at most 24 digits, perhaps with marks of thousands, `,` or `_`; then a unit
_QUANTITY = (
    r" *(-?)([0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,3}(?:_[0-9]{3})+|[0-9]{1,24})(\.[0-9]{1,24})?"
    r"(?: *([A-Za-z][A-Za-z /]*?))? *"
)
# a bare K, M, G or T is binary, as `docker run -m` and `systemd` read it
_SIZES = {
    "": 1, "b": 1, "byte": 1, "bytes": 1,
    "k": KIB, "kib": KIB, "m": MIB, "mib": MIB, "g": GIB, "gib": GIB, "t": TIB, "tib": TIB,
    "kb": KB, "mb": MB, "gb": GB, "tb": TB,
}  # fmt: skip
_SECONDS = {
    **dict.fromkeys(("", "s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3600),
}
# a small b is a bit and a capital B a byte, but not behind a small m, g or t
_RATE = r"([kKMGT]i?|[mgt]i?(?=bit|[bB]yte))?(bits?|b|B|[bB]ytes?)(?:/s|/sec|/second|ps)"


def _amount(
    text: str, what: str, example: str, units: Mapping[str, int] | None
) -> tuple[int, int, str]:
    """`1.5 GiB` as a numerator and a denominator, and its unit where no `units` are given."""
    refusal = f"is not a {what}: write for example {example}"
    if match := re.fullmatch(_QUANTITY, text):
        sign, whole, fraction, unit = match.groups(default="")
        decimals = fraction[1:]
        number, scale = int(sign + re.sub("[,_]", "", whole) + decimals), 10 ** len(decimals)
        step = 1 if units is None else units.get(unit.lower())
        # what has no unit may be negative, for whoever says what the least is
        if step and (number >= 0 or units is None or len(units) == 1):
            return number * step, scale, unit
    elif odd := next((letter for letter in text if not letter.isascii()), None):
        refusal = f"holds {odd!r}: write a number with the digits 0 to 9"
    elif re.fullmatch(" *[0-9]+,[0-9]+[A-Za-z/ ]*", text):
        refusal = f"is not a number: write a decimal point, {text.strip().replace(',', '.')}"
    elif "," in text or "_" in text:
        refusal = "is not a number: write one number, such as 8192"
    raise ValueError(f"{text!r} {refusal}")


def _whole(text: str, what: str, example: str, units: Mapping[str, int]) -> int:
    number, scale, _ = _amount(text, what, example, units)
    if number % scale:
        raise ValueError(f"{text!r} is not a whole {what}: write for example {number // scale}")
    return number // scale


# `8`, `1,000`
parse_whole = partial(_whole, what="number", example="8", units={"": 1})
# `8192`, `8,192`, `8k` (8 * 1024), `2.5k`
parse_tokens = partial(
    _whole, what="number of tokens", example="8192 or 8k", units={"": 1, "k": KIB, "m": MIB}
)
# `200k`, `1.5M`, `2,000,000`, as price lists count tokens
parse_count = partial(
    _whole, what="number", example="200k or 1.5M", units={"": 1, "k": KB, "m": MB, "b": GB}
)
# `90`, `30s`, `10m`, `1.5h`
parse_seconds = partial(_whole, what="length of time", example="30s, 10m or 1.5h", units=_SECONDS)


def parse_number(text: str) -> float:
    """`2`, `0.5`, `1,000` -> a number, also a negative one."""
    number, scale, _ = _amount(text, "number", "2 or 0.5", {"": 1})
    return number / scale


def parse_size(text: str) -> int:
    """`16GiB`, `16 GB`, `512M`, `1.5g` -> whole bytes. 8 was meant as 8 GB or GiB."""
    number, scale, _ = _amount(text, "size", "16GiB or 16GB", _SIZES)
    # to the nearest byte, so that what is printed in three digits is read back as near as it tells
    size = (2 * number + scale) // (2 * scale)
    if text.strip().isdecimal() and 0 < size < MIB:
        what = f"{text!r} is {binary(size)}"
        raise ValueError(f"{what}: the unit is missing, write for example 16GiB or 16GB")
    return size


def parse_rate(text: str) -> int:
    """`100Mbit/s`, `100 Mb/s`, `1Gbps`, `12MB/s`, `10MiB/s` -> whole bytes per second."""
    example = "100Mbit/s or 12MB/s"
    number, scale, typed = _amount(text, "speed", example, None)
    if (match := re.fullmatch(_RATE, typed.replace(" ", ""))) and number > 0:
        prefix, unit = match.groups(default="")
        bits = 8 if unit[0] == "b" and "y" not in unit else 1
        if rate := number * _SIZES[f"{prefix.lower()}b"] // (scale * bits):
            return rate
    raise ValueError(f"{text!r} is not a speed: write for example {example}")


_PARTS = re.compile(r"[0-9]+|[^0-9\s_.:/()\[\]-]+")
# longer words are no typing slip, and comparing them takes time
MAX_GUESSED_LETTERS = 60


# names of models, of which there are a few thousand, are asked about again and again
@lru_cache(maxsize=8192)
def canonical(text: str) -> str:
    """The form in which names are compared: `Llama3.1:8B` and `llama-3.1-8b` are both
    `llama-3-1-8-b`. Digits never merge across a separator: `opt-13b` and `opt-1.3b` differ.
    Full-width forms are folded and invisible characters dropped, as from a web page.
    """
    if not text.isascii():
        from unicodedata import category, normalize

        letters = normalize("NFKC", normalize("NFKC", text).lower()).replace("\N{MINUS SIGN}", "-")
        kept = (letter for letter in letters if category(letter) != "Cf")
        text = "".join("-" if category(letter) == "Pd" else letter for letter in kept)
    return "-".join(_PARTS.findall(text.lower()))


def words_of(name: str) -> frozenset[str]:
    """The words of a name in lower case, without what stands between them."""
    return frozenset(re.findall(r"[^\W_]+", name.lower()))


def is_slip(word: str, choice: str) -> bool:
    """Whether one letter more, less or other, or two swapped, makes one of the other."""
    letters = enumerate(zip(word, choice, strict=False))
    same = next((at for at, (one, other) in letters if one != other), min(len(word), len(choice)))
    typed, meant = word[same:], choice[same:]
    is_swapped = typed[:2] == meant[1::-1] and typed[2:] == meant[2:]
    is_other = typed[1:] in (meant, meant[1:]) or typed == meant[1:]
    return word != choice and (is_swapped or is_other)


def nearest(word: str, choices: Sequence[str]) -> str | None:
    """The choice that a typing slip most likely meant, or None."""
    return next(iter(all_near(word, choices, most=1)), None)


def all_near(word: str, choices: Sequence[str], *, most: int = 3) -> list[str]:
    """The choices that a typing slip may have meant, the likeliest first, as `difflib` tells."""
    if len(word) > MAX_GUESSED_LETTERS:
        return []
    from difflib import get_close_matches

    lower = {choice.lower(): choice for choice in choices}
    return [lower[match] for match in get_close_matches(word.lower(), list(lower), n=most)]
