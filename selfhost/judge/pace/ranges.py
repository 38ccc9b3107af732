"""Figures with a likely value and two ends. Two types keep the directions apart: of a `Range` the
first end is the lowest number, of `Seconds` and `Amount` the first end is the slow one, which is
the largest number.

    bytes / Range (bytes per second)  -> Seconds
    Seconds + Seconds, Seconds * Amount -> Seconds
    1 / Seconds -> Range (per second)

A sum is of parts that come one after the other, a product of independent factors.
"""

from __future__ import annotations

from math import exp, hypot, log, sqrt
from operator import mul
from typing import NamedTuple, Self

# the words about a speed have steps of two to two and a half (2, 5 and 10 tokens/s): ends farther
# apart than this lie on both sides of more than one
_TELLING_RATIO = 3


class Range(NamedTuple):
    """A likely figure and its ends, the lowest first: a rate, a share of a rate, or an answer.

    >>> 1 / Range(2.0, 4.0, 8.0)
    Seconds(slow=0.5, likely=0.25, fast=0.125)
    """

    low: float
    likely: float
    high: float

    @classmethod
    def of(cls, value: float) -> Range:
        """A range whose ends are the likely figure."""
        figure = float(value)
        return cls(figure, figure, figure)

    def __mul__(self, other: float | Range) -> Range:  # type: ignore[override]
        if isinstance(other, Range):
            return self._times(other)
        return Range(self.low * other, self.likely * other, self.high * other)

    def _times(self, factor: Range) -> Range:
        ends = self.around()
        factor_ends = factor.around()
        likely = self.likely * factor.likely
        down = _joint_factor(ends.low, factor_ends.low)
        up = _joint_factor(ends.high, factor_ends.high)
        return Range(likely / down, likely, likely * up)

    def end_by_end(self, factor: Range) -> Range:
        """Each end times that end of a factor which is low where this is low, and high likewise."""
        return Range(*map(mul, self, factor))

    def __truediv__(self, other: float | Amount) -> Range:
        return self * (1 / other)

    def __rtruediv__(self, number: float) -> Seconds:
        return Seconds(
            slow=number / self.low,
            likely=number / self.likely,
            fast=number / self.high,
        )

    def around(self) -> Range:
        """Its ends as shares of the likely figure."""
        low = self.low / self.likely
        return Range(low, 1.0, self.high / self.likely)

    def about(self) -> tuple[str, str]:
        """The words before and behind the likely figure; behind is one where no single figure
        stands for the range.
        """
        if self.high <= _TELLING_RATIO * self.low:
            return "about", ""
        return "perhaps", ", a guess"


class _SlowFirst(NamedTuple):
    """Figures of which the slow end stands first, and more is slower."""

    slow: float
    likely: float
    fast: float

    @classmethod
    def of(cls, value: float) -> Self:
        """The same value at both ends."""
        figure = float(value)
        return cls(figure, figure, figure)

    def __add__(self, other: Self) -> Self:  # type: ignore[override]
        likely = self.likely + other.likely
        return type(self)(self.slow + other.slow, likely, self.fast + other.fast)

    def __mul__(self, other: float | Amount) -> Self:  # type: ignore[override]
        if isinstance(other, Amount):
            return self._times(other)
        return type(self)(self.slow * other, self.likely * other, self.fast * other)

    def _times(self, factor: Amount) -> Self:
        ends = self.around()
        factor_ends = factor.around()
        likely = self.likely * factor.likely
        up = _joint_factor(ends.slow, factor_ends.slow)
        down = _joint_factor(ends.fast, factor_ends.fast)
        return type(self)(likely * up, likely, likely / down)

    def __truediv__(self, number: float) -> Self:
        return self * (1 / number)

    def __rtruediv__(self, number: float) -> Range:
        """A rate. Its ends are never on the other side of its likely figure."""
        ordered = self.ordered()
        return Range(
            low=number / ordered.slow,
            likely=number / ordered.likely,
            high=number / ordered.fast,
        )

    def around(self) -> Self:
        """Its ends as shares of the likely figure."""
        slow = self.slow / self.likely
        return type(self)(slow, 1.0, self.fast / self.likely)

    def ordered(self) -> Self:
        """The same, where neither end lies on the other side of the likely figure. Each end is
        computed for itself, so that one which hardly differs from the likely figure may.
        """
        return type(self)(
            slow=max(self.slow, self.likely),
            likely=self.likely,
            fast=min(self.likely, self.fast),
        )


class Seconds(_SlowFirst):
    """How long a part of the work takes."""

    __slots__ = ()

    def plus_independent(self, other: Seconds) -> Seconds:
        """With a part that is independent of this one, so that the ends add up as squares."""
        likely = self.likely + other.likely
        slower = hypot(self.slow - self.likely, other.slow - other.likely)
        faster = hypot(self.fast - self.likely, other.fast - other.likely)
        return Seconds(likely + slower, likely, likely - faster)

    def lowest_first(self) -> Range:
        """As an answer has it."""
        ordered = self.ordered()
        return Range(ordered.fast, ordered.likely, ordered.slow)


class Amount(_SlowFirst):
    """How much there is to do (steps, tokens, operations), or how many times as long it takes."""

    __slots__ = ()


NO_SECONDS = Seconds(0.0, 0.0, 0.0)


def longest(*seconds: Seconds) -> Seconds:
    """The seconds of parts that go on at the same time."""
    ends = zip(*seconds, strict=True)
    return Seconds(*map(max, ends))


def highest(*rates: Range) -> Range:
    """The highest of each end."""
    ends = zip(*rates, strict=True)
    return Range(*map(max, ends))


def lowest(*rates: Range) -> Range:
    """The lowest of each end."""
    ends = zip(*rates, strict=True)
    return Range(*map(min, ends))


def _joint_factor(first: float, second: float) -> float:
    """How far an end of a product lies from its likely figure, by the ends of its two factors:
    independent errors add up as squares, in logarithms.
    """
    squares = log(first) ** 2 + log(second) ** 2
    return exp(sqrt(squares))
