"""The pace of text in words: alone, with its range, beside what was wanted, and beside a reader;
and the size of a clip.

What goes in: a `Range` of tokens per second. What comes out: the words, with units.
"""

from __future__ import annotations

from ...core import units
from ...core.workload import ANSWER_TOKENS, READING_TOKENS_PER_SECOND
from .ranges import Range


def clip_words(
    frames: int,
    width: int,
    height: int,
) -> str:
    """`81 frames of 832 × 480 pixels`."""
    return f"{frames} frames of {width} × {height} pixels"


def likely_words(pace: Range | None) -> str | None:
    """`7 tokens/s`; None where the pace is not known."""
    return None if pace is None else units.speed(pace.likely)


def ranged_words(pace: Range) -> str:
    """`about 7 tokens/s (5 to 10 tokens/s)`; the range only where its figures differ."""
    about, guess = pace.about()
    likely = units.speed(pace.likely)
    words = f"{about} {likely}"
    if units.speed(pace.low, pace.high) == likely:
        return words
    return f"{words} ({units.pace(pace.low, pace.high)}{guess})"


def wanted_words(pace: Range, wanted: float | None) -> str:
    """`7.2 tokens/s likely, 4.9 possible, 5 wanted`; where `wanted` is None or 0, `7.2 tokens/s
    likely, 4.9 possible: slower than people read`. Called for a pace that is too slow.
    """
    paces = f"{units.speed(pace.likely)} likely, {units.pace(pace.low)} possible"
    if wanted:
        return f"{paces}, {units.stated(wanted)} wanted"
    return f"{paces}: slower than people read"


def reader_words(pace: Range) -> str:
    """`about 12 tokens/s, faster than you read`; below reading speed the time of an answer."""
    likely = units.speed(pace.likely)
    _, guess = pace.about()
    if guess:
        return f"perhaps {likely}, a guess"
    if not units.is_slower(pace.likely, 2 * READING_TOKENS_PER_SECOND):
        return f"about {likely}, faster than you read"
    if not units.is_slower(pace.likely, READING_TOKENS_PER_SECOND):
        return f"about {likely}, about as fast as you read"
    return f"about {likely}: a 300-word answer takes {_answer_time(pace.likely)}"


def _answer_time(tokens_per_second: float) -> str:
    """The time of an answer, rounded to ten seconds or to minutes."""
    seconds = ANSWER_TOKENS / max(tokens_per_second, 1e-6)
    if seconds < 90:
        return units.duration(10 * round(seconds / 10))
    minutes = max(2, round(seconds / 60))
    return units.duration(60 * minutes)
