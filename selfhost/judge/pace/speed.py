"""What a pace is, as verdicts hold it; the arithmetic of ranges: slow end, likely figure, fast end,
of seconds as of rates; and the figures of `specs/common/pace.toml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from math import exp, log, sqrt
from typing import Any, NamedTuple, Self

from ...core.records import Record
from ...core.tables import shipped_table


class Range(NamedTuple):
    """Slow end, likely figure, fast end. A sum is of parts that come one after the other, a product
    of independent factors, `1 / seconds` a rate.
    """

    slow: float
    likely: float
    fast: float

    def __add__(self, other: tuple[float, ...]) -> Range:  # type: ignore[override]
        return Range(*(own + more for own, more in zip(self, other, strict=True)))

    def __mul__(self, other: float | tuple[float, ...]) -> Range:  # type: ignore[override]
        if isinstance(other, int | float):
            return Range(*(end * other for end in self))
        # the ends add up as squares, in logarithms
        (slow, own, fast), (least, factor, most) = self, other
        low, high = (
            sqrt(log(end / own) ** 2 + log(end_of_factor / factor) ** 2)
            for end, end_of_factor in ((slow, least), (fast, most))
        )
        sign = 1 if slow <= fast and least <= most else -1
        likely = own * factor
        return Range(likely * exp(-sign * low), likely, likely * exp(sign * high))

    def __rtruediv__(self, number: float) -> Range:
        return Range(*(number / end for end in self))

    def ordered(self) -> Range:
        """Seconds of which no end is nearer than the likely figure."""
        slow, likely, fast = self
        return Range(max(slow, likely), likely, min(likely, fast))


NOTHING, SAME = Range(0.0, 0.0, 0.0), Range(1.0, 1.0, 1.0)


def longest(*seconds: Range) -> Range:
    """Of parts that go on at the same time."""
    return Range(*map(max, zip(*seconds, strict=True)))


@cache
def constant(name: str) -> Any:
    """A figure, a range or a table of `specs/common/pace.toml`."""
    return _with_ranges(shipped_table("pace")[name])


def _with_ranges(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _with_ranges(each) for key, each in value.items()}
    if not isinstance(value, list | tuple):
        return value
    is_range = len(value) == 3 and all(isinstance(each, int | float) for each in value)
    return Range(*value) if is_range else [_with_ranges(each) for each in value]


class PaceRange(Record):
    """Tokens per second from the slow end to the fast one; of other work its unit, from the
    lowest.
    """

    low: float
    likely: float
    high: float

    @property
    def ends(self) -> Range:
        """All three, the slow end first."""
        return Range(self.low, self.likely, self.high)

    @property
    def seconds(self) -> Range:
        """Of one token: slow end, likely, fast end."""
        return 1 / self.ends

    @classmethod
    def of(cls, ends: tuple[float, ...]) -> Self:
        low, likely, high = ends
        return cls(low=low, likely=likely, high=high)

    @classmethod
    def from_seconds(cls, seconds: Range) -> Self:
        """Tokens a second from the seconds of one: no end nearer than the likely one."""
        return cls.of(1 / seconds.ordered())

    @classmethod
    def from_durations(cls, seconds: Range) -> Self:
        """The seconds of a piece of work as they are, the least first."""
        return cls.of(seconds.ordered()[::-1])


class Speed(Record):
    """Expected pace; `how` says what it rests on, in a sentence a person understands.

    `decode` and `prompt` are of text, in tokens per second, `work` of other work in `unit`; None:
    not asked, or not known.

    - `first_token_seconds`: for the prompt that was asked about; `dataset_seconds`: to train on the
      tokens that were.
    - `parallel_total`: all sequences together; `each_of`: a minimum is wanted of each of so many.
    - `full_context_tokens_per_second`: once the context is full, where that is less than nine
      tenths of `decode`; `undrafted_tokens_per_second`: without the draft that `decode` counts.
    - `crossing_seconds`: of weights in RAM that cross to a GPU for each 512 tokens of a prompt.
    - `clip`: frames, width and height of a video that is made, played at `frames_per_second`.
    """

    decode: PaceRange | None = None
    prompt: PaceRange | None = None
    work: PaceRange | None = None
    unit: str = "tokens_per_second"
    how: str
    crossing_seconds: float = 0.0
    first_token_seconds: PaceRange | None = None
    dataset_seconds: PaceRange | None = None
    parallel_total: PaceRange | None = None
    each_of: int = 1
    full_context_tokens_per_second: float | None = None
    undrafted_tokens_per_second: float | None = None
    audio_seconds: int | None = None
    clip: tuple[int, int, int] | None = None
    frames_per_second: int | None = None

    @property
    def judged(self) -> PaceRange | None:
        """What the wanted pace is held against: of one sequence alone, or of each of several."""
        if self.each_of == 1 or self.parallel_total is None:
            return self.decode if self.each_of == 1 else None
        return PaceRange.of(self.parallel_total.ends * (1 / self.each_of))
