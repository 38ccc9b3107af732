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
from typing import NamedTuple, Self

# the words about a speed have steps of 2 to 2.5 times (2, 5 and 10 tokens/s): a range wider than
# this factor spans more than one step
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
        """Return a range whose ends equal the likely figure."""
        figure = float(value)
        return cls(figure, figure, figure)

    def __mul__(self, other: float | Range) -> Range:  # type: ignore[override]
        if isinstance(other, Range):
            return self._times(other)
        return self.end_by_end(Range.of(other))

    def _times(self, factor: Range) -> Range:
        product = self.end_by_end(factor)
        ends = self.around()
        factor_ends = factor.around()
        down = _joint_factor(ends.low, factor_ends.low)
        up = _joint_factor(ends.high, factor_ends.high)
        likely = product.likely
        return Range(likely / down, likely, likely * up)

    def end_by_end(self, factor: Range) -> Range:
        """The product of each end with the same end of `factor`, a factor that is low where this
        range is low, and high likewise.
        """
        return Range(
            low=self.low * factor.low,
            likely=self.likely * factor.likely,
            high=self.high * factor.high,
        )

    def __truediv__(self, other: float | Amount) -> Range:
        return self * (1 / other)

    def __rtruediv__(self, number: float) -> Seconds:
        return Seconds(
            slow=number / self.low,
            likely=number / self.likely,
            fast=number / self.high,
        )

    def around(self) -> Range:
        """The ends of the range as shares of the likely figure."""
        likely = self.likely
        return Range(self.low / likely, 1.0, self.high / likely)

    def about(self) -> tuple[str, str]:
        """The words before and behind the likely figure. The words behind it say "a guess" where no
        single figure stands for the range.
        """
        if self.high > _TELLING_RATIO * self.low:
            return "perhaps", ", a guess"
        return "about", ""


class _SlowFirst(NamedTuple):
    """A figure whose slow end stands first, and of which more is slower."""

    slow: float
    likely: float
    fast: float

    @classmethod
    def of(cls, value: float) -> Self:
        """Return the same value at both ends."""
        figure = float(value)
        return cls(figure, figure, figure)

    def __add__(self, other: Self) -> Self:  # type: ignore[override]
        return type(self)(
            slow=self.slow + other.slow,
            likely=self.likely + other.likely,
            fast=self.fast + other.fast,
        )

    def __mul__(self, other: float | Amount) -> Self:  # type: ignore[override]
        if isinstance(other, Amount):
            return self._times(other)
        return type(self)(
            slow=self.slow * other,
            likely=self.likely * other,
            fast=self.fast * other,
        )

    def _times(self, factor: Amount) -> Self:
        product = self * factor.likely
        ends = self.around()
        factor_ends = factor.around()
        up = _joint_factor(ends.slow, factor_ends.slow)
        down = _joint_factor(ends.fast, factor_ends.fast)
        likely = product.likely
        return type(self)(likely * up, likely, likely / down)

    def __truediv__(self, number: float) -> Self:
        return self * (1 / number)

    def __rtruediv__(self, number: float) -> Range:
        """The rate of the figure. The ends of the rate never lie on the other side of its likely
        figure.
        """
        ordered = self.ordered()
        return Range(
            low=number / ordered.slow,
            likely=number / ordered.likely,
            high=number / ordered.fast,
        )

    def around(self) -> Self:
        """The ends of the figure as shares of the likely figure."""
        likely = self.likely
        return type(self)(self.slow / likely, 1.0, self.fast / likely)

    def ordered(self) -> Self:
        """The same figure with neither end on the other side of the likely figure.

        Each end is computed by itself, so an end that hardly differs from the likely figure may lie
        on the other side.
        """
        likely = self.likely
        slow = max(self.slow, likely)
        fast = min(likely, self.fast)
        return type(self)(slow, likely, fast)


class Seconds(_SlowFirst):
    """The time that a part of the work takes."""

    __slots__ = ()

    def plus_independent(self, other: Seconds) -> Seconds:
        """The sum with an independent part. The distances of the ends from the likely figure add up
        as squares.
        """
        likely = self.likely + other.likely
        slower = hypot(self.slow - self.likely, other.slow - other.likely)
        faster = hypot(self.fast - self.likely, other.fast - other.likely)
        return Seconds(
            slow=likely + slower,
            likely=likely,
            fast=likely - faster,
        )

    def lowest_first(self) -> Range:
        """The seconds as a range, the lowest first, in which answers state them."""
        ordered = self.ordered()
        return Range(
            low=ordered.fast,
            likely=ordered.likely,
            high=ordered.slow,
        )


class Amount(_SlowFirst):
    """An amount of work (steps, tokens, operations), or a factor by which work takes longer."""

    __slots__ = ()


NO_SECONDS = Seconds.of(0)


def longest(*seconds: Seconds) -> Seconds:
    """Return the seconds of parts that run at the same time."""
    ends = zip(*seconds, strict=True)
    most = map(max, ends)
    return Seconds(*most)


def shortest(*seconds: Seconds) -> Seconds:
    """The shortest of each end."""
    ends = zip(*seconds, strict=True)
    least = map(min, ends)
    return Seconds(*least)


def highest(*rates: Range) -> Range:
    """The highest of each end."""
    ends = zip(*rates, strict=True)
    most = map(max, ends)
    return Range(*most)


def lowest(*rates: Range) -> Range:
    """The lowest of each end."""
    ends = zip(*rates, strict=True)
    least = map(min, ends)
    return Range(*least)


def _joint_factor(first: float, second: float) -> float:
    """The factor between an end of a product and its likely figure, from the ends of the two
    factors.

    Independent errors add up as squares, in logarithms.
    """
    first_square = log(first) ** 2
    second_square = log(second) ** 2
    distance = sqrt(first_square + second_square)
    return exp(distance)
