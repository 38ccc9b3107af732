"""Quantities as people type them: sizes, rates, counts of tokens, times."""

from __future__ import annotations

from .records import pattern
from .units import GB, GIB, KB, KIB, MB, MIB, MOST_TOKENS, TB, TIB

# marks of thousands, and what they look like in a number
_THOUSANDS = {
    mark: pattern(rf"[0-9]{{1,3}}({mark}[0-9]{{3}})+(?![0-9{mark}])[^{mark}]*")
    for mark in (",", "_")
}
_UNITS = {
    "": 1, "b": 1, "byte": 1, "bytes": 1,
    "k": KIB, "kib": KIB, "m": MIB, "mib": MIB, "g": GIB, "gib": GIB, "t": TIB, "tib": TIB,
    "kb": KB, "mb": MB, "gb": GB, "tb": TB,
}  # fmt: skip
_RATE_EXAMPLE = "write for example 100Mbit/s or 12MB/s"
_RATE_ENDINGS = ("/second", "/sec", "/s", "ps")
_BITS = {
    "bit": 1,
    "kbit": KB,
    "mbit": MB,
    "gbit": GB,
    "tbit": TB,
    "kibit": KIB,
    "mibit": MIB,
    "gibit": GIB,
}
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
    """`text` without the marks of thousands, `,` or `_`, and spaces around it: the one way in for
    every number that a person types.

    `ValueError` for what is no ASCII, and for a comma that may be a decimal one.
    """
    odd = next((letter for letter in text if not letter.isascii()), None)
    if odd is not None:
        raise ValueError(f"{text!r} holds {odd!r}: write a number with the digits 0 to 9")
    bare = text.strip(" ")
    for mark, grouped in _THOUSANDS.items():
        if mark in bare and not grouped.fullmatch(bare):
            import re

            instead = "write one number, such as 8192"
            if re.fullmatch(r"[0-9]+,[0-9]+[A-Za-z/ ]*", bare):
                instead = f"write a decimal point, {bare.replace(',', '.')}"
            raise ValueError(f"{text!r} is not a number: {instead}")
    return bare.replace(",", "").replace("_", "")


def parse_number(text: str) -> float:
    """`2`, `0.5`, `1,000` -> a number. A minus is read, for whoever says what the least is.
    `ValueError` says what is wrong.
    """
    bare = _ungrouped(text)
    whole, dot, fraction = bare.removeprefix("-").partition(".")
    digits = (whole, fraction) if dot else (whole,)
    if not all(_is_digits(part) and len(part) <= 24 for part in digits):
        raise ValueError(f"{text!r} is not a number: write for example 2 or 0.5")
    # -0 is 0
    return float(bare) + 0.0


def parse_whole(text: str) -> int:
    """`8`, `1,000` -> a whole number; the rest as `parse_number`."""
    bare = _ungrouped(text)
    digits = bare.removeprefix("-")
    if not _is_digits(digits) or len(digits) > 24:
        raise ValueError(f"{text!r} is not a whole number: write for example 8")
    return int(bare)


def parse_bytes(text: str) -> int:
    """`16GiB`, `16 GB`, `512M`, `1.5g`, `1000` -> whole bytes.

    A bare K, M, G or T is binary, as `docker run -m` and `systemd` read it. `ValueError` says what
    is wrong.
    """
    cleaned = _ungrouped(text).lower()
    digits = cleaned.rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = cleaned[len(digits) :].strip()
    if unit not in _UNITS:
        raise ValueError(f"{text!r} has an unknown unit {unit!r}: write for example 16GiB or 16GB")
    whole, dot, fraction = digits.partition(".")
    if not (
        whole.isdecimal()
        and whole.isascii()
        and (not dot or (fraction.isdecimal() and fraction.isascii()))
    ):
        raise ValueError(f"{text!r} is not a size: write for example 16GiB or 16GB")
    if len(digits) > 24:
        raise ValueError(f"{text!r} is larger than any machine")
    scale: int = 10 ** len(fraction)
    # to the nearest byte, so that what is printed in three digits is read back as near as they tell
    return (2 * int(whole + fraction) * _UNITS[unit] + scale) // (2 * scale)


def parse_rate(text: str) -> int:
    """`100Mbit/s`, `100 Mb/s`, `1Gbps`, `12MB/s`, `10MiB/s` -> whole bytes per second; 8 bits are a
    byte.

    As everywhere with connections a small b is a bit and a capital B a byte. `ValueError` for what
    could be either, or has no unit.
    """
    cleaned = _ungrouped(text)
    ending = next((word for word in _RATE_ENDINGS if cleaned.endswith(word)), None)
    body = cleaned[: len(cleaned) - len(ending)].strip() if ending else cleaned
    digits = body.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
    unit = body[len(digits) :].strip()
    if ending is None or not unit:
        raise ValueError(f"{text!r} has no unit of speed: {_RATE_EXAMPLE}")
    factor, per_byte = _rate_scale(text, unit)
    whole, dot, fraction = digits.partition(".")
    if len(digits) > 24 or not (_is_digits(whole) and (not dot or _is_digits(fraction))):
        raise ValueError(f"{text!r} is not a speed: {_RATE_EXAMPLE}")
    shift: int = 10 ** len(fraction)
    rate = int(whole + fraction) * factor // (shift * per_byte)
    if rate < 1:
        raise ValueError(f"{text!r} is too small: {_RATE_EXAMPLE}")
    return rate


def _rate_scale(text: str, unit: str) -> tuple[int, int]:
    """What one of `unit` is, and how many of that are a byte: 8 where the unit counts bits."""
    lower = unit.lower().removesuffix("s")
    if bits := _BITS.get(lower, 0):
        return bits, 8
    if lower in ("mb", "gb", "tb") and unit not in ("Mb", "Gb", "Tb", "MB", "GB", "TB"):
        raise ValueError(f"{text!r} could be bits or bytes: {_RATE_EXAMPLE}")
    factor, per_byte = 0, 8
    if unit.endswith("b"):
        factor = _BITS.get(f"{lower}it", 0)
    elif unit.endswith(("B", "byte", "bytes")):
        factor, per_byte = _UNITS.get(lower.replace("byte", "b"), 0), 1
    if not factor:
        raise ValueError(f"{text!r} has an unknown unit {unit!r}: {_RATE_EXAMPLE}")
    return factor, per_byte


def _is_digits(text: str) -> bool:
    return text.isdecimal() and text.isascii()


def parse_tokens(text: str) -> int:
    """`8192`, `8,192`, `8k` (8 * 1024), `2.5k`, `128K` -> tokens. `ValueError` says what is
    wrong.
    """
    cleaned = _ungrouped(text).lower()
    factor = {"k": 1024, "m": 1024 * 1024}.get(cleaned[-1:], 1)
    if factor > 1:
        cleaned = cleaned[:-1]
    digits, exponent, power = cleaned.partition("e")
    is_number = _is_digits(digits) and (_is_digits(power) or not exponent)
    if cleaned[:1] == "-" and _is_digits(cleaned[1:]):
        raise ValueError(f"{text!r} is too small: at least 1, for example 8192 or 8k tokens")
    if is_number and (len(digits) > 12 or (exponent and len(digits) + int(power[:9]) > 10)):
        raise ValueError(f"{text!r} is too large: at most {MOST_TOKENS:,} tokens")
    if is_number and exponent:
        written = int(digits) * 10 ** int(power)
        raise ValueError(f"{text!r} is no plain number of tokens: write {written}")
    if factor > 1 and "." in cleaned:
        return _part_of_tokens(text, cleaned, factor)
    if not is_number:
        raise ValueError(f"{text!r} is not a number of tokens: write for example 8192 or 8k")
    return int(digits) * factor


def _part_of_tokens(text: str, number: str, factor: int) -> int:
    """`2.5` of `2.5k` -> 2,560 tokens."""
    whole, _, fraction = number.partition(".")
    if not (_is_digits(whole) and _is_digits(fraction)) or len(number) > 12:
        raise ValueError(f"{text!r} is not a number of tokens: write for example 8192 or 2.5k")
    scale: int = 10 ** len(fraction)
    tokens, rest = divmod(int(whole + fraction) * factor, scale)
    if rest:
        raise ValueError(f"{text!r} is not a whole number of tokens: write {tokens}")
    return tokens


def parse_count(text: str) -> int:
    """`200k`, `1.5M`, `2,000,000` -> a whole number; k, M and B are thousands, millions and
    billions, as price lists count tokens.
    """
    cleaned = _ungrouped(text).lower()
    factor = {"k": 10**3, "m": 10**6, "b": 10**9}.get(cleaned[-1:], 1)
    whole, dot, fraction = (cleaned[:-1] if factor > 1 else cleaned).partition(".")
    digits = whole + fraction
    mantissa, exponent, power = cleaned.partition("e")
    if (
        exponent
        and _is_digits(mantissa)
        and _is_digits(power)
        and len(mantissa) + int(power[:3]) < 16
    ):
        raise ValueError(f"{text!r} is no plain number: write {int(mantissa) * 10 ** int(power)}")
    if not (whole and digits.isdecimal() and digits.isascii() and (fraction or not dot)):
        raise ValueError(f"{text!r} is not a number: write for example 200k or 1.5M")
    most = 10**15
    if len(fraction) > 15:
        raise ValueError(f"{text!r} is not a whole number")
    if len(whole) > 15 or int(digits) * factor > most * 10 ** len(fraction):
        raise ValueError(f"{text!r} is too large: at most {most:,}")
    scale: int = 10 ** len(fraction)
    size = int(digits) * factor
    if size % scale:
        raise ValueError(f"{text!r} is not a whole number")
    return size // scale


def parse_seconds(text: str) -> int:
    """`90`, `30s`, `10m`, `1.5h`, `1h30m`, `1:30:00` -> whole seconds. `ValueError` says what is
    wrong.
    """
    cleaned = _ungrouped(text).lower()
    several = _CLOCK.fullmatch(cleaned) or (cleaned and _OF_UNITS.fullmatch(cleaned))
    if several:
        parts = (
            int(several[name] or 0) * size for name, size in (("h", 3600), ("m", 60), ("s", 1))
        )
        return sum(parts)
    digits = cleaned.rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = cleaned[len(digits) :].strip()
    whole, dot, fraction = digits.partition(".")
    number = whole + fraction
    if unit not in _SECONDS or not (
        whole and number.isdecimal() and number.isascii() and (fraction or not dot)
    ):
        raise ValueError(f"{text!r} is not a length of time: write for example 30s, 10m or 1.5h")
    if len(digits) > 12:
        raise ValueError(f"{text!r} is longer than any recording")
    scale: int = 10 ** len(fraction)
    seconds = int(number) * _SECONDS[unit]
    if seconds % scale:
        raise ValueError(f"{text!r} is not a whole number of seconds")
    return seconds // scale
