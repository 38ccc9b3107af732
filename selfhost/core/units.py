"""Bytes, tokens and speeds: parsed from what people type, printed so that the unit is always seen.

A GiB is 2**30 bytes and a GB is 10**9. Nothing else in the project formats a number.
"""

from __future__ import annotations

from .records import pattern

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Sequence

KIB, MIB, GIB, TIB = 2**10, 2**20, 2**30, 2**40
KB, MB, GB, TB = 10**3, 10**6, 10**9, 10**12

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


def counted(names: Sequence[str]) -> list[str]:
    """Each name once, `2 × RTX 3090` where it stands twice."""
    return [
        f"{names.count(name)} × {name}" if names.count(name) > 1 else name
        for name in dict.fromkeys(names)
    ]


def _ungrouped(text: str) -> str:
    """`text` without the marks of thousands, `,` or `_`, and spaces around it: the one way in for
    every number that a person types.

    `ValueError` for what is no ASCII, and for a comma that may be a decimal one.
    """
    import re

    odd = next((letter for letter in text if not letter.isascii()), None)
    if odd is not None:
        raise ValueError(f"{text!r} holds {odd!r}: write a number with the digits 0 to 9")
    bare = text.strip(" ")
    for mark, grouped in _THOUSANDS.items():
        if mark in bare and not grouped.fullmatch(bare):
            instead = "write one number, such as 8192"
            if re.fullmatch(r"[0-9]+,[0-9]+[A-Za-z/ ]*", bare):
                instead = f"write a decimal point, {bare.replace(',', '.')}"
            raise ValueError(f"{text!r} is not a number: {instead}")
    return bare.replace(",", "").replace("_", "")


def parse_number(text: str) -> float:
    """`2`, `0.5`, `1,000` -> a number. A minus is read, for whoever says what the least is.
    `ValueError` says what is wrong.
    """
    import re

    bare = _ungrouped(text)
    if not re.fullmatch(r"-?[0-9]{1,24}(\.[0-9]{1,24})?", bare):
        raise ValueError(f"{text!r} is not a number: write for example 2 or 0.5")
    # -0 is 0
    return float(bare) + 0.0


def parse_whole(text: str) -> int:
    """`8`, `1,000` -> a whole number; the rest as `parse_number`."""
    import re

    bare = _ungrouped(text)
    if not re.fullmatch(r"-?[0-9]{1,24}", bare):
        raise ValueError(f"{text!r} is not a whole number: write for example 8")
    return int(bare)


def plain(number: float) -> str:
    """A number of at least 0 as it is typed again: `1000000`, `0.00001`; never an exponent, and
    no digit lost.
    """
    mantissa, _, exponent = repr(number).partition("e")
    whole, _, fraction = mantissa.removesuffix(".0").partition(".")
    digits, point = whole + fraction, len(whole) + int(exponent or 0)
    if point <= 0:
        digits, point = "0" * (1 - point) + digits, 1
    return f"{digits[:point]:0<{point}}.{digits[point:]}".removesuffix(".")


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


MOST_TOKENS = 10**9
"""Of a context or a prompt; a thousand times what models hold."""


def parse_tokens(text: str) -> int:
    """`8192`, `8,192`, `8k` (8 * 1024), `128K` -> tokens. `ValueError` says what is wrong."""
    cleaned = _ungrouped(text).lower()
    factor = 1
    if cleaned.endswith("k"):
        cleaned, factor = cleaned[:-1], 1024
    elif cleaned.endswith("m"):
        cleaned, factor = cleaned[:-1], 1024 * 1024
    digits, exponent, power = cleaned.partition("e")
    is_number = _is_digits(digits) and (_is_digits(power) or not exponent)
    if cleaned[:1] == "-" and _is_digits(cleaned[1:]):
        raise ValueError(f"{text!r} is too small: at least 1, for example 8192 or 8k tokens")
    if is_number and (len(digits) > 12 or (exponent and len(digits) + int(power[:9]) > 10)):
        raise ValueError(f"{text!r} is too large: at most {MOST_TOKENS:,} tokens")
    if is_number and exponent:
        written = int(digits) * 10 ** int(power)
        raise ValueError(f"{text!r} is no plain number of tokens: write {written}")
    if not is_number:
        raise ValueError(f"{text!r} is not a number of tokens: write for example 8192 or 8k")
    return int(digits) * factor


def parse_count(text: str) -> int:
    """`200k`, `1.5M`, `2,000,000` -> a whole number; k, M and B are thousands, millions and
    billions, as price lists count tokens.
    """
    cleaned = _ungrouped(text).lower()
    factor = {"k": 10**3, "m": 10**6, "b": 10**9}.get(cleaned[-1:], 1)
    whole, dot, fraction = (cleaned[:-1] if factor > 1 else cleaned).partition(".")
    digits = whole + fraction
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


_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}


def parse_seconds(text: str) -> int:
    """`90`, `30s`, `10m`, `1.5h` -> whole seconds. `ValueError` says what is wrong."""
    cleaned = _ungrouped(text).lower()
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


_BINARY = ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB"))
_DECIMAL = ((TB, "TB"), (GB, "GB"), (MB, "MB"), (KB, "kB"))


def binary(count: int, *, more: int = 0) -> str:
    """Memory: `4.90 GiB`, `512 MiB`, `12 KiB`; three significant digits, and `more`."""
    return _scaled(count, _BINARY, more)


def binary_range(least: int, most: int) -> str:
    """`4.71 to 4.74 GiB`, `980 MiB to 1.02 GiB`; one figure where both print alike."""
    return _joined(binary(least), binary(most))


def decimal_range(least: int, most: int) -> str:
    """As `binary_range`, of downloads: `132 to 181 GB`."""
    return _joined(decimal(least), decimal(most))


def _joined(first: str, last: str) -> str:
    if first == last:
        return last
    number, _, unit = first.partition(" ")
    return f"{number} to {last}" if last.endswith(f" {unit}") else f"{first} to {last}"


def decimal(count: int, *, more: int = 0) -> str:
    """Downloads and disks, as publishers and shops state them: `4.37 GB`."""
    return _scaled(count, _DECIMAL, more)


def binary_at_least(count: int) -> str:
    """As `binary`, rounded up: what is printed is enough."""
    return _scaled(count, _BINARY, 0, up=True)


def decimal_at_least(count: int) -> str:
    """As `decimal`, rounded up: what is printed is enough."""
    return _scaled(count, _DECIMAL, 0, up=True)


# a float holds no more, and int() prints no more than 4,300 digits: only a hostile file gets there
_ABSURD = 10**40


def _scaled(count: int, steps: tuple[tuple[int, str], ...], more: int, *, up: bool = False) -> str:
    sign, size = ("-", -count) if count < 0 else ("", count)
    if size >= _ABSURD:
        return f"{sign}over {_ABSURD // steps[0][0]:,} {steps[0][1]}"
    for factor, unit in steps:
        # 0.9995 and up would print as 1000 of the next smaller unit
        if size >= factor * 0.9995:
            value = size / factor
            places = _places(value) + more
            if up:
                value = -(-size * 10**places // factor) / 10**places
            return f"{sign}{value:,.{places}f} {unit}"
    return f"{sign}{size} bytes" if size != 1 else f"{sign}1 byte"


def _places(value: float) -> int:
    """How many digits after the point show three in all."""
    if value >= 99.95:
        return 0
    return 2 if value < 9.995 else 1


def tokens(count: int) -> str:
    """`4,096 tokens`."""
    return "1 token" if count == 1 else f"{count:,} tokens"


def count(number: int) -> str:
    """A model's size as people say it: `7.25 B`, `124 M`."""
    if number >= _ABSURD:
        return f"over {_ABSURD // 10**12:,} T"
    for factor, unit in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K")):
        if number >= factor * 0.9995:
            value = number / factor
            return f"{value:.{_places(value)}f} {unit}"
    return str(number)


def speed(low: float, high: float) -> str:
    """`8-12 tokens/s`; one figure where both print alike."""
    return f"{pace(low, high)} tokens/s"


def pace(low: float, high: float) -> str:
    """A speed under a heading that names the unit: `8-12`; one figure where both print alike."""
    first, last = _pace(low), _pace(high)
    return first if first == last else f"{first}-{last}"


# the words about a speed have steps of two to two and a half (2, 5 and 10 tokens/s): ends farther
# apart than this lie on both sides of more than one, so that no single figure stands for them
TELLING_RATIO = 3


def is_telling(low: float, high: float) -> bool:
    """Whether a likely figure between such ends may stand for itself."""
    return high <= TELLING_RATIO * low


def likely_pace(low: float, likely: float, high: float, unit: str = "") -> str:
    """The likely speed, `~3.8`, or `~3.8 tokens/s` with ` tokens/s` for a unit; with both ends
    where they are too far apart for one figure: `~3.8 (0.6-13)`.
    """
    ends = "" if is_telling(low, high) else f" ({pace(low, high)})"
    return f"~{_pace(likely)}{unit}{ends}"


def about(low: float, high: float) -> str:
    """The word before a likely figure between such ends: `about`, of a guess `perhaps`."""
    return "about" if is_telling(low, high) else "perhaps"


def guess(low: float, high: float) -> str:
    """`, a guess` behind ends that are too far apart for one figure to stand for itself."""
    return "" if is_telling(low, high) else ", a guess"


def _pace(value: float) -> str:
    if 0 < value < 0.0095:
        return "<0.01"
    if value >= 9.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 0.095 or not value else f"{value:.2f}"


def duration(seconds: float) -> str:
    """A wait, to two or three figures: `45 seconds`, `6 minutes`, `2 hours 10 minutes`, `3
    days`.
    """
    if seconds < 119.5:
        return _counted(max(1, round(seconds)), "second")
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if minutes < 120:
        return _counted(minutes, "minute")
    if hours < 10:
        return _counted(minutes // 60, "hour") + (
            f" {_counted(minutes % 60, 'minute')}" if minutes % 60 else ""
        )
    return _counted(hours, "hour") if hours < 48 else _counted(round(seconds / 86_400), "day")


def wait(seconds: float) -> str:
    """A short or long wait: `0.4 seconds`, else as `duration`."""
    return f"{max(0.1, seconds):.1f} seconds" if seconds < 9.95 else duration(seconds)


def work(likely: float, unit: str, audio_seconds: int | None = None) -> str:
    """The likely pace of work that is no text: `4.2 seconds a picture`, `12 minutes for an hour of
    audio`, or for as much audio as is stated.
    """
    figure, _, of_what = _ends_of_work(likely, likely, unit, audio_seconds)
    for_a_million = f" in training, {_seconds(1e6 / likely)} for a million"
    return f"{figure}{of_what}{for_a_million if unit == TRAINED else ''}"


def work_cell(likely: float, unit: str, audio_seconds: int | None = None) -> str:
    """As `work` in a table: the pace alone, `~12 minutes a picture`."""
    figure, _, of_what = _ends_of_work(likely, likely, unit, audio_seconds)
    return f"~{figure}{of_what}"


def work_ends(low: float, high: float, unit: str, audio_seconds: int | None = None) -> str:
    """The ends around what `work_cell` tells: `13 to 75 minutes`, `0.1-1.2`."""
    if not unit.startswith("seconds"):
        return pace(low, high)
    first, last, _ = _ends_of_work(low, high, unit, audio_seconds)
    return _joined(first, last)


# the unit of training's pace
TRAINED = "trained_tokens_per_second"


def length_of_audio(audio_seconds: int | None) -> str:
    """`an hour of audio` where no length was asked about, `2 hours of audio`."""
    return f"{duration(audio_seconds) if audio_seconds else 'an hour'} of audio"


def _ends_of_work(
    low: float, high: float, unit: str, audio_seconds: int | None
) -> tuple[str, str, str]:
    """Both ends in words, and of what they are."""
    if unit == "seconds_per_image":
        return _seconds(low), _seconds(high), " a picture"
    if unit == "seconds_per_video":
        return _seconds(low), _seconds(high), " a clip"
    if unit == "seconds_per_music_minute":
        return _seconds(low), _seconds(high), " a minute of music"
    if unit == "seconds_per_audio_minute":
        minutes = (audio_seconds or 3600) / 60
        ends = _seconds(minutes * low), _seconds(minutes * high)
        return *ends, f" for {length_of_audio(audio_seconds)}"
    return _pace(low), _pace(high), _A_SECOND.get(unit, " tokens/s")


_A_SECOND = {"documents_per_second": " documents/s", "pictures_per_second": " pictures/s"}


def _seconds(seconds: float) -> str:
    """A wait with no more digits than a guess deserves: two below a second, a decimal below ten,
    and from two to ten hours.
    """
    if seconds < 0.995:
        return f"{float(f'{seconds:.2g}'):g} seconds"
    if seconds < 9.5:
        return f"{seconds:.1f} seconds"
    if 7_200 <= seconds < 9.95 * 3600:
        return f"{seconds / 3600:.1f} hours".replace(".0 ", " ")
    return duration(float(f"{seconds:.2g}"))


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def dollars(amount: float) -> str:
    """A price: `$2.50`, `$0.293`, `$0.028`, `$0.000021`; at least two decimals, three
    significant digits below a dollar.
    """
    places = 2 if amount >= 1 or not amount else min(15, 2 - int(f"{amount:.2e}".partition("e")[2]))
    text = f"{amount:,.{places}f}"
    while text.endswith("0") and len(text.partition(".")[2]) > 2:
        text = text[:-1]
    return f"${text}"


def dollars_exact(amount: float) -> str:
    """A price as it was stated, for a sum: `$2.50`, `$0.7571`."""
    text = f"{amount:.12f}".rstrip("0")
    return f"${text}{'0' * max(0, 2 - len(text.partition('.')[2]))}"


def hours(low: float, high: float) -> str:
    """`1.4 hours`, `19 to 640 hours`, `under 0.1 hours`."""
    first, last = _hours(low), _hours(high)
    if last == "0.0":
        return "under 0.1 hours" if high else "0 hours"
    return f"{last} hours" if first == last else f"{first} to {last} hours"


def _hours(value: float) -> str:
    return f"{value:,.0f}" if value >= 9.95 else f"{value:.1f}"


def energy(low: float, high: float) -> str:
    """Kilowatt-hours: `16 kWh`, `2.1 to 16 kWh`."""
    first, last = _hours(low), _hours(high)
    return f"{last} kWh" if first == last else f"{first} to {last} kWh"


def cores(number: float) -> str:
    """`2 cores`, `1 core`, `0.5 cores`."""
    text = f"{number:g}"
    return f"{text} core" if text == "1" else f"{text} cores"
