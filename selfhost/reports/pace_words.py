"""How fast a model is, in words: a sentence for one model, a cell for a table of several."""

from __future__ import annotations

from collections.abc import Iterable

from ..core import units
from ..core.workload import ANSWER_TOKENS, READING_TOKENS_PER_SECOND
from ..judge.record import Range, Speed, Verdict

# under a table of paces
RANGES = "~ is the likely pace; its range: selfhost check MODEL"
# titles of the column of paces: of text, and where each figure says its own unit
TOKENS, PACES = "tokens/s", "pace"


def pace_words(pace: Range) -> str:
    """`about 12 tokens/s, faster than you read`; below reading speed how long an answer takes."""
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
    """How long an answer takes, with no more digits than a guess deserves."""
    seconds = ANSWER_TOKENS / max(tokens_per_second, 1e-6)
    if seconds < 90:
        return units.duration(10 * round(seconds / 10))
    minutes = max(2, round(seconds / 60))
    return units.duration(60 * minutes)


def below_words(verdict: Verdict) -> str:
    """`below the 5 you need`; where nobody stated a minimum, that the default one counts."""
    least = units.stated(verdict.workload.min_tokens_per_second or 0)
    if verdict.question.speed_stated:
        return f"below the {least} you need"
    return f"below {least}, which counts as too slow (--min-speed)"


def pace_title(speeds: Iterable[Speed | None]) -> str:
    """TOKENS where a row is of text, else PACES."""
    known = [speed for speed in speeds if speed is not None]
    if known and all(speed.work is not None for speed in known):
        return PACES
    return TOKENS


def pace_of(speed: Speed | None, *, title: str = "") -> str:
    """The likely pace as a column with that title holds it; `check` tells its range.

    Work that is no text says its own unit, in few words under TOKENS: `~69 minutes an hour` is of
    audio there.
    """
    if speed is not None and speed.work is not None:
        return _work_cell(speed, title)
    if speed is None or speed.judged is None:
        return "-"
    cell = f"~{units.pace(speed.judged.likely)}"
    if title == PACES:
        cell += f" {TOKENS}"
    if speed.each_of > 1:
        cell += " each"
    return cell


def _work_cell(speed: Speed, title: str) -> str:
    """`~12 minutes for an hour of audio`, `~5 minutes a clip of 81 frames`."""
    likely, _ = speed.work_words()
    likely, _, _ = likely.partition(" in training")
    if title == TOKENS:
        likely = likely.replace(" for an hour of audio", " an hour").replace(
            " for a ", " a "
        )
    elif speed.clip is not None:
        frames = speed.clip[0]
        likely += f" of {frames} frames"
    return f"~{likely}"
