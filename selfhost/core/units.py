"""Bytes, tokens and speeds, printed so that the unit is always seen; `quantities` parses them.

A GiB is 2**30 bytes and a GB is 10**9. Nothing else in the project formats a number.
"""

from __future__ import annotations

from collections.abc import Sequence

KIB, MIB, GIB, TIB = 2**10, 2**20, 2**30, 2**40
KB, MB, GB, TB = 10**3, 10**6, 10**9, 10**12
# of a context or a prompt; a thousand times what models hold
MOST_TOKENS = 10**9


def counted(names: Sequence[str]) -> list[str]:
    """Each name once, `2 × RTX 3090` where it stands twice."""
    return [
        f"{names.count(name)} × {name}" if names.count(name) > 1 else name
        for name in dict.fromkeys(names)
    ]


def plain(number: float) -> str:
    """A number of at least 0 as it is typed again, without an exponent: `1000000`, `0.00001`."""
    mantissa, _, exponent = repr(number).partition("e")
    whole, _, fraction = mantissa.removesuffix(".0").partition(".")
    digits, point = whole + fraction, len(whole) + int(exponent or 0)
    if point <= 0:
        digits, point = "0" * (1 - point) + digits, 1
    return f"{digits[:point]:0<{point}}.{digits[point:]}".removesuffix(".")


def stated(number: float) -> str:
    """A number of at least 0 as a person reads it who stated it: `2`, `0.5`, `1,000,000`."""
    whole, point, fraction = plain(number).partition(".")
    return f"{int(whole):,}{point}{fraction}"


_BINARY = ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB"))
_DECIMAL = ((TB, "TB"), (GB, "GB"), (MB, "MB"), (KB, "kB"))
_COUNTS = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K"))


def binary(count: int, *, up: bool = False) -> str:
    """Memory: `4.90 GiB`, `512 MiB`; three significant digits. Rounded `up`, what is printed is
    enough.
    """
    return _scaled(count, _BINARY, up=up)


def decimal(count: int, *, up: bool = False) -> str:
    """Downloads and disks, as publishers and shops state them: `4.37 GB`."""
    return _scaled(count, _DECIMAL, up=up)


def count(number: int) -> str:
    """A model's size as people say it: `7.25 B`, `124 M`."""
    return _scaled(number, _COUNTS) if number >= 1000 else str(number)


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


# a float holds no more, and int() prints no more than 4,300 digits: only a hostile file gets there
_ABSURD = 10**40


def _scaled(count: int, steps: tuple[tuple[int, str], ...], *, up: bool = False) -> str:
    sign, size = ("-", -count) if count < 0 else ("", count)
    if size >= _ABSURD:
        return f"{sign}over {_ABSURD // steps[0][0]:,} {steps[0][1]}"
    for factor, unit in steps:
        # 0.9995 and up would print as 1000 of the next smaller unit
        if size >= factor * 0.9995:
            value = size / factor
            # three digits in all
            places = (value < 99.95) + (value < 9.995)
            if up:
                value = -(-size * 10**places // factor) / 10**places
            return f"{sign}{value:,.{places}f} {unit}"
    return f"{sign}{size} bytes" if size != 1 else f"{sign}1 byte"


def percent(share: float) -> str:
    """A share of 1: `85 %`."""
    return f"{100 * share:.0f} %"


def percent_range(least: float, most: float) -> str:
    """`50 to 60 %`; one figure where both print alike."""
    return _joined(percent(least), percent(most))


def tokens(count: int) -> str:
    """`4,096 tokens`."""
    return "1 token" if count == 1 else f"{count:,} tokens"


def speed(low: float, high: float) -> str:
    """`8-12 tokens/s`; one figure where both print alike."""
    return f"{pace(low, high)} tokens/s"


def pace(low: float, high: float) -> str:
    """A speed under a heading that names the unit: `8-12`; one figure where both print alike."""
    first, last = _pace(low), _pace(high)
    return first if first == last else f"{first}-{last}"


# the words about a speed have steps of two to two and a half (2, 5 and 10 tokens/s): ends farther
# apart than this lie on both sides of more than one, so that no single figure stands for them
_TELLING_RATIO = 3


def is_telling(low: float, high: float) -> bool:
    """Whether a likely figure between such ends may stand for itself."""
    return high <= _TELLING_RATIO * low


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
    """A wait, to two or three figures: `45 seconds`, `2 hours 10 minutes`, `3 days`."""
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 119.5:
        number, word = max(1, round(seconds)), "second"
    elif minutes < 120:
        number, word = minutes, "minute"
    elif hours < 48:
        number, word = (minutes // 60 if hours < 10 else hours), "hour"
    else:
        number, word = round(seconds / 86_400), "day"
    text = f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"
    rest = minutes % 60 if word == "hour" and hours < 10 else 0
    return f"{text} {duration(60 * rest) if rest > 1 else '1 minute'}" if rest else text


# the unit of training's pace
TRAINED = "trained_tokens_per_second"
# work that is counted in seconds, and of what
_A_PIECE = {
    "seconds_per_image": " a picture",
    "seconds_per_video": " a clip",
    "seconds_per_music_minute": " for a minute of music",
    "seconds_per_audio_minute": "",
}
_A_SECOND = {"documents_per_second": " documents/s", "pictures_per_second": " pictures/s"}


def work(likely: float, unit: str, audio_seconds: int | None = None, *, cell: bool = False) -> str:
    """The likely pace of work that is no text: `4.2 seconds a picture`, `12 minutes for an hour of
    audio`, or for as much audio as is stated. In the cell of a table `~4.2 seconds a picture`.
    """
    what = _A_PIECE.get(unit) or _A_SECOND.get(unit, " tokens/s")
    if unit == "seconds_per_audio_minute":
        what = f" for {duration(audio_seconds) if audio_seconds else 'an hour'} of audio"
    figure = f"{_work(likely, unit, audio_seconds)}{what}"
    if unit == TRAINED and not cell:
        figure += f" in training, {wait(1e6 / likely)} for a million"
    return f"~{figure}" if cell else figure


def work_ends(low: float, high: float, unit: str, audio_seconds: int | None = None) -> str:
    """The ends around what `work` shows: `13 to 75 minutes`, `0.1-1.2`."""
    if unit not in _A_PIECE:
        return pace(low, high)
    return _joined(_work(low, unit, audio_seconds), _work(high, unit, audio_seconds))


def _work(figure: float, unit: str, audio_seconds: int | None) -> str:
    if unit == "seconds_per_audio_minute":
        figure *= (audio_seconds or 3600) / 60
    return wait(figure) if unit in _A_PIECE else _pace(figure)


def clip(frames: int, width: int, height: int) -> str:
    """`81 frames of 832 × 480 pixels`."""
    return f"{frames} frames of {width} × {height} pixels"


def wait(seconds: float) -> str:
    """A wait with no more digits than a guess deserves: `0.09 seconds`, `2.5 hours`."""
    if seconds < 0.995:
        return f"{float(f'{seconds:.2g}'):g} seconds"
    if seconds < 9.5:
        return f"{seconds:.1f} seconds"
    if 7_200 <= seconds < 9.95 * 3600:
        return f"{seconds / 3600:.1f} hours".replace(".0 ", " ")
    return duration(float(f"{seconds:.2g}"))


def dollars(amount: float) -> str:
    """A price: `$2.50`, `$0.293`, `$0.000021`; at least two decimals, three significant digits
    below a dollar.
    """
    places = 2 if amount >= 1 or not amount else min(15, 2 - int(f"{amount:.2e}".partition("e")[2]))
    whole, _, decimals = f"{amount:,.{places}f}".partition(".")
    return f"${whole}.{decimals.rstrip('0'):0<2}"


def tenths(low: float, high: float, unit: str) -> str:
    """`1.4 hours`, `19 to 640 hours`, `under 0.1 hours`."""
    first, last = (f"{end:,.0f}" if end >= 9.95 else f"{end:.1f}" for end in (low, high))
    if last == "0.0":
        return f"under 0.1 {unit}" if high else f"0 {unit}"
    return f"{last} {unit}" if first == last else f"{first} to {last} {unit}"


def cores(number: float) -> str:
    """`2 cores`, `1 core`, `0.5 cores`."""
    text = f"{number:g}"
    return f"{text} core" if text == "1" else f"{text} cores"


def utc_today() -> str:
    """Today's date in UTC, `YYYY-MM-DD`."""
    from time import gmtime, strftime

    return strftime("%Y-%m-%d", gmtime())
