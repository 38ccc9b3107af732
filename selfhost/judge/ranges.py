"""Numbers of which only a range is known, and how such ranges combine."""

from __future__ import annotations

from math import exp, log, prod, sqrt

# the low end, the likely figure, the high end of a number
Range = tuple[float, float, float]


def product(*ranges: Range) -> Range:
    """Of factors that have nothing to do with each other: the ends are as far as the root of the
    sum of their squares, in logarithms. All of them begin with the low end, or all with the high.
    """
    likely = prod(each[1] for each in ranges)
    first = sqrt(sum(log(each[1] / each[0]) ** 2 for each in ranges))
    last = sqrt(sum(log(each[2] / each[1]) ** 2 for each in ranges))
    if any(each[0] > each[2] for each in ranges):
        first, last = -first, -last
    return likely * exp(-first), likely, likely * exp(last)


def scaled(each: Range, factor: float) -> Range:
    """The same as many times."""
    low, likely, high = each
    return low * factor, likely * factor, high * factor


def added(*ranges: Range) -> Range:
    """Of parts that come one after the other."""
    low, likely, high = (sum(each[end] for each in ranges) for end in range(3))
    return low, likely, high


def added_apart(*ranges: Range) -> Range:
    """Of parts that come one after the other and have nothing to do with each other: the ends are
    as far as the root of the sum of their squares. All of them begin with the low end, or all with
    the high.
    """
    likely = sum(each[1] for each in ranges)
    first = sqrt(sum((each[1] - each[0]) ** 2 for each in ranges))
    last = sqrt(sum((each[2] - each[1]) ** 2 for each in ranges))
    if any(each[0] > each[2] for each in ranges):
        first, last = -first, -last
    return likely - first, likely, likely + last


def longer(*ranges: Range) -> Range:
    """Of parts that go on at the same time: the one that takes longest, end by end."""
    low, likely, high = (max(each[end] for each in ranges) for end in range(3))
    return low, likely, high


def inverse(each: Range) -> Range:
    """Seconds of a rate, and the other way round, end by end: a slow end stays the slow end."""
    low, likely, high = each
    return 1 / low, 1 / likely, 1 / high
