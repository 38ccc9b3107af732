"""Quantities as people type them: sizes, rates, counts of tokens, times.

Every reader raises `ValueError` with what is wrong and what to write.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .units import GB, GIB, KB, KIB, MB, MIB, TB, TIB

# at most 24 digits, perhaps with marks of thousands, `,` or `_`; then a unit
_QUANTITY = re.compile(
    r" *(-?)([0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,3}(?:_[0-9]{3})+|[0-9]{1,24})(\.[0-9]{1,20})?"
    r"(?: *([A-Za-z][A-Za-z /]*?))? *"
)
_DECIMAL_COMMA = re.compile(r" *[0-9]+,[0-9]+[A-Za-z/ ]*")
# a bare K, M, G or T is binary, as `docker run -m` and `systemd` read it
_SIZES = {
    "": 1, "b": 1, "byte": 1, "bytes": 1,
    "k": KIB, "kib": KIB, "m": MIB, "mib": MIB, "g": GIB, "gib": GIB, "t": TIB, "tib": TIB,
    "kb": KB, "mb": MB, "gb": GB, "tb": TB,
}  # fmt: skip
_RATE = re.compile(r"([kKmMgGtT]i?)?(bits?|b|B|[bB]ytes?)(?:/s|/sec|/second|ps)")
_RATE_EXAMPLE = "write for example 100Mbit/s or 12MB/s"
_TOKENS = {"": 1, "k": 1024, "m": 1024 * 1024}
# as price lists count tokens
_COUNTS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9}
_SECONDS = {
    "": 1, "s": 1, "sec": 1, "second": 1, "seconds": 1,
    "m": 60, "min": 60, "mins": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hour": 3600, "hours": 3600,
}  # fmt: skip


def _parts(text: str, refusal: str) -> tuple[int, int, str]:
    """Split `1.5 GiB` into a numerator, a denominator and the unit as it was typed; `ValueError`
    with `refusal` for what is no number.
    """
    match = _QUANTITY.fullmatch(text)
    if match is not None:
        sign, whole, fraction, unit = match.groups(default="")
        digits = whole.replace(",", "").replace("_", "") + fraction[1:]
        return int(sign + digits), 10 ** max(0, len(fraction) - 1), unit
    odd = next((letter for letter in text if not letter.isascii()), None)
    if odd is not None:
        raise ValueError(f"{text!r} holds {odd!r}: write a number with the digits 0 to 9")
    if "," in text or "_" in text:
        instead = "write one number, such as 8192"
        if _DECIMAL_COMMA.fullmatch(text):
            instead = f"write a decimal point, {text.strip().replace(',', '.')}"
        raise ValueError(f"{text!r} is not a number: {instead}")
    raise ValueError(f"{text!r} {refusal}")


def _amount(
    text: str, units: Mapping[str, int], what: str, example: str, *, signed: bool = False
) -> tuple[int, int]:
    """Read a number with one of those units, as a numerator and a denominator."""
    refusal = f"is not a {what}: write for example {example}"
    number, scale, unit = _parts(text, refusal)
    if unit.lower() not in units or (number < 0 and not signed):
        raise ValueError(f"{text!r} {refusal}")
    return number * units[unit.lower()], scale


def _whole(
    text: str, units: Mapping[str, int], what: str, example: str, *, signed: bool = False
) -> int:
    """Read a number with one of those units that is whole in the end."""
    number, scale = _amount(text, units, what, example, signed=signed)
    if number % scale:
        raise ValueError(f"{text!r} is not a whole {what}: write for example {number // scale}")
    return number // scale


def parse_number(text: str) -> float:
    """`2`, `0.5`, `1,000` -> a number. A minus is read, for whoever says what the least is."""
    number, scale = _amount(text, {"": 1}, "number", "2 or 0.5", signed=True)
    return number / scale


def parse_whole(text: str) -> int:
    """`8`, `1,000` -> a whole number, also a negative one."""
    return _whole(text, {"": 1}, "number", "8", signed=True)


def parse_bytes(text: str) -> int:
    """`16GiB`, `16 GB`, `512M`, `1.5g`, `1000` -> whole bytes."""
    number, scale = _amount(text, _SIZES, "size", "16GiB or 16GB")
    # to the nearest byte, so that what is printed in three digits is read back as near as it tells
    return (2 * number + scale) // (2 * scale)


def parse_rate(text: str) -> int:
    """`100Mbit/s`, `100 Mb/s`, `1Gbps`, `12MB/s`, `10MiB/s` -> whole bytes per second.

    As everywhere with connections a small b is a bit and a capital B a byte; `ValueError` for what
    could be either.
    """
    number, scale, typed = _parts(text, f"is not a speed: {_RATE_EXAMPLE}")
    match = _RATE.fullmatch(typed.replace(" ", ""))
    if match is None:
        raise ValueError(f"{text!r} has no unit of speed: {_RATE_EXAMPLE}")
    prefix, unit = match.groups(default="")
    if unit in ("b", "B") and prefix in ("m", "g", "t"):
        raise ValueError(f"{text!r} could be bits or bytes: {_RATE_EXAMPLE}")
    is_bits = unit.startswith("bit") or unit == "b"
    size = _SIZES[f"{prefix.lower()}b"] if prefix else 1
    rate = number * size // (scale * (8 if is_bits else 1))
    if rate < 1:
        raise ValueError(f"{text!r} is too small: {_RATE_EXAMPLE}")
    return rate


def parse_tokens(text: str) -> int:
    """`8192`, `8,192`, `8k` (8 * 1024), `2.5k` -> tokens."""
    return _whole(text, _TOKENS, "number of tokens", "8192 or 8k")


def parse_count(text: str) -> int:
    """`200k`, `1.5M`, `2,000,000` -> a whole number; k, M and B are thousands, millions and
    billions.
    """
    return _whole(text, _COUNTS, "number", "200k or 1.5M")


def parse_seconds(text: str) -> int:
    """`90`, `30s`, `10m`, `1.5h` -> whole seconds."""
    return _whole(text, _SECONDS, "length of time", "30s, 10m or 1.5h")
