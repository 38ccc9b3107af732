"""Quantities as people type them: sizes, rates, counts of tokens, times.

Every reader raises `ValueError` with what is wrong and what to write.
"""

from __future__ import annotations

from .records import pattern
from .units import GB, GIB, KB, KIB, MB, MIB, TB, TIB

# more digits than any quantity has
_MOST_DIGITS = 24
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ "
# numbers with marks of thousands
_GROUPED = {
    mark: pattern(rf"[0-9]{{1,3}}({mark}[0-9]{{3}})+(?![0-9{mark}])[^{mark}]*")
    for mark in (",", "_")
}
_DECIMAL_COMMA = pattern(r"[0-9]+,[0-9]+[A-Za-z/ ]*")
# a bare K, M, G or T is binary, as `docker run -m` and `systemd` read it
_SIZES = {
    "": 1, "b": 1, "byte": 1, "bytes": 1,
    "k": KIB, "kib": KIB, "m": MIB, "mib": MIB, "g": GIB, "gib": GIB, "t": TIB, "tib": TIB,
    "kb": KB, "mb": MB, "gb": GB, "tb": TB,
}  # fmt: skip
_RATE_ENDINGS = ("/second", "/sec", "/s", "ps")
_RATE_EXAMPLE = "write for example 100Mbit/s or 12MB/s"
_BITS = {
    "bit": 1, "kbit": KB, "mbit": MB, "gbit": GB, "tbit": TB,
    "kibit": KIB, "mibit": MIB, "gibit": GIB,
}  # fmt: skip
_TOKENS = {"": 1, "k": 1024, "m": 1024 * 1024}
# as price lists count tokens
_COUNTS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9}
_SECONDS = {
    "": 1, "s": 1, "sec": 1, "second": 1, "seconds": 1,
    "m": 60, "min": 60, "mins": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hour": 3600, "hours": 3600,
}  # fmt: skip
# `1:30:00` and `4:05`, as players show them; `1h30m`
_CLOCK = pattern(r"(?:(?P<h>[0-9]{1,4}):(?=[0-5][0-9]:))?(?P<m>[0-9]{1,2}):(?P<s>[0-5][0-9])")
_OF_UNITS = pattern(
    r"(?:(?P<h>[0-9]{1,4}) ?h ?)?(?:(?P<m>[0-9]{1,4}) ?m(?:in)? ?)?(?:(?P<s>[0-9]{1,4}) ?s)?"
)


def _ungrouped(text: str) -> str:
    """Return the text without marks of thousands, `,` or `_`, and spaces around it."""
    odd = next((letter for letter in text if not letter.isascii()), None)
    if odd is not None:
        raise ValueError(f"{text!r} holds {odd!r}: write a number with the digits 0 to 9")
    bare = text.strip(" ")
    for mark, grouped in _GROUPED.items():
        if mark in bare and not grouped.fullmatch(bare):
            instead = "write one number, such as 8192"
            if _DECIMAL_COMMA.fullmatch(bare):
                instead = f"write a decimal point, {bare.replace(',', '.')}"
            raise ValueError(f"{text!r} is not a number: {instead}")
    return bare.replace(",", "").replace("_", "")


def _number_and_unit(text: str) -> tuple[str, str]:
    """Split `1.5 GiB`."""
    number = text.rstrip(_LETTERS)
    return number, text[len(number) :].strip()


def _times(number: str, factor: int) -> tuple[int, int] | None:
    """Multiply `1.5` exactly: a numerator and a denominator; None for what is no number."""
    whole, point, fraction = number.partition(".")
    parts = (whole, fraction) if point else (whole,)
    is_number = all(part.isdecimal() and part.isascii() for part in parts)
    if not is_number or len(number) > _MOST_DIGITS:
        return None
    scale: int = 10 ** len(fraction)
    return int(whole + fraction) * factor, scale


def _whole(text: str, units: dict[str, int], what: str, example: str) -> int:
    """Read a number with one of those units that is whole in the end."""
    number, unit = _number_and_unit(_ungrouped(text).lower())
    product = _times(number, units[unit]) if unit in units else None
    if product is None:
        raise ValueError(f"{text!r} is not a {what}: write for example {example}")
    whole = product[0] // product[1]
    if whole * product[1] != product[0]:
        raise ValueError(f"{text!r} is not a whole {what}: write for example {whole}")
    return whole


def parse_number(text: str) -> float:
    """`2`, `0.5`, `1,000` -> a number. A minus is read, for whoever says what the least is."""
    bare = _ungrouped(text)
    if _times(bare.removeprefix("-"), 1) is None:
        raise ValueError(f"{text!r} is not a number: write for example 2 or 0.5")
    # -0 is 0
    return float(bare) + 0.0


def parse_whole(text: str) -> int:
    """`8`, `1,000` -> a whole number, also a negative one."""
    bare = _ungrouped(text)
    if "." in bare or _times(bare.removeprefix("-"), 1) is None:
        raise ValueError(f"{text!r} is not a whole number: write for example 8")
    return int(bare)


def parse_bytes(text: str) -> int:
    """`16GiB`, `16 GB`, `512M`, `1.5g`, `1000` -> whole bytes."""
    number, unit = _number_and_unit(_ungrouped(text).lower())
    if unit not in _SIZES:
        raise ValueError(f"{text!r} has an unknown unit {unit!r}: write for example 16GiB or 16GB")
    product = _times(number, _SIZES[unit])
    if product is None:
        raise ValueError(f"{text!r} is not a size: write for example 16GiB or 16GB")
    # to the nearest byte, so that what is printed in three digits is read back as near as it tells
    return (2 * product[0] + product[1]) // (2 * product[1])


def parse_rate(text: str) -> int:
    """`100Mbit/s`, `100 Mb/s`, `1Gbps`, `12MB/s`, `10MiB/s` -> whole bytes per second.

    As everywhere with connections a small b is a bit and a capital B a byte; `ValueError` for what
    could be either.
    """
    typed = _ungrouped(text)
    ending = next((word for word in _RATE_ENDINGS if typed.endswith(word)), None)
    number, unit = _number_and_unit(typed.removesuffix(ending or "").strip())
    if ending is None or not unit:
        raise ValueError(f"{text!r} has no unit of speed: {_RATE_EXAMPLE}")
    factor, units_per_byte = _rate_unit(text, unit)
    product = _times(number, factor)
    if product is None:
        raise ValueError(f"{text!r} is not a speed: {_RATE_EXAMPLE}")
    rate = product[0] // (product[1] * units_per_byte)
    if rate < 1:
        raise ValueError(f"{text!r} is too small: {_RATE_EXAMPLE}")
    return rate


def _rate_unit(text: str, unit: str) -> tuple[int, int]:
    """Return how many bits or bytes the unit is, and how many of these are a byte."""
    lower = unit.lower().removesuffix("s")
    if lower in _BITS:
        return _BITS[lower], 8
    if lower in ("mb", "gb", "tb") and unit not in ("Mb", "Gb", "Tb", "MB", "GB", "TB"):
        raise ValueError(f"{text!r} could be bits or bytes: {_RATE_EXAMPLE}")
    size = lower.replace("byte", "b")
    if unit.endswith("b") and f"{lower}it" in _BITS:
        return _BITS[f"{lower}it"], 8
    if unit.endswith(("B", "byte", "bytes")) and size in _SIZES:
        return _SIZES[size], 1
    raise ValueError(f"{text!r} has an unknown unit {unit!r}: {_RATE_EXAMPLE}")


def parse_tokens(text: str) -> int:
    """`8192`, `8,192`, `8k` (8 * 1024), `2.5k` -> tokens."""
    return _whole(text, _TOKENS, "number of tokens", "8192 or 8k")


def parse_count(text: str) -> int:
    """`200k`, `1.5M`, `2,000,000` -> a whole number; k, M and B are thousands, millions and
    billions.
    """
    return _whole(text, _COUNTS, "number", "200k or 1.5M")


def parse_seconds(text: str) -> int:
    """`90`, `30s`, `10m`, `1.5h`, `1h30m`, `1:30:00` -> whole seconds."""
    typed = _ungrouped(text).lower()
    parts = _CLOCK.fullmatch(typed) or (typed and _OF_UNITS.fullmatch(typed))
    if parts:
        hours, minutes, seconds = (int(parts[unit] or 0) for unit in "hms")
        return 3600 * hours + 60 * minutes + seconds
    return _whole(text, _SECONDS, "length of time", "30s, 10m or 1.5h")
