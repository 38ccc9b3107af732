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
    """Seconds of a rate, and the other way round."""
    return 1 / each[2], 1 / each[1], 1 / each[0]


def within(each: Range, least: float, most: float) -> Range:
    """What is left of a range of which bounds are known now, that need not lie in it: its ends,
    and between them what half of it, as far as it is left, lies below. In logarithms half of a
    range lies evenly on each side of the likely figure.
    """
    low, high = max(each[0], least), min(each[2], most)
    if low >= high:
        # beyond what was thought possible
        end = min(max(each[1], least), most)
        return min(low, end), end, max(high, end)
    middle = (_share_below(each, low) + _share_below(each, high)) / 2
    first, last = (each[0], each[1]) if middle < 0.5 else (each[1], each[2])
    part = 2 * middle if middle < 0.5 else 2 * middle - 1
    return low, first * (last / first) ** part, high


def _share_below(each: Range, value: float) -> float:
    """Which part of the range lies below a value inside it."""
    low, likely, high = each
    if value <= likely:
        return 0.5 * log(value / low) / log(likely / low) if likely > low else 0.5
    return 0.5 + 0.5 * log(value / likely) / log(high / likely)
