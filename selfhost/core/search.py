"""The one search for the largest number that fits."""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable


def largest(low: int, high: int, fits: Callable[[int], bool]) -> int | None:
    """The largest number from `low` to `high` that fits; None where not even `low` does.

    Where a number does not fit, no larger one does. Few large numbers are tried, for they cost the
    most: steps double from `low` on.
    """
    if low > high or not fits(low):
        return None
    step = 1
    while low < high:
        tried = min(low + step, high)
        if fits(tried):
            low, step = tried, 2 * step
        else:
            high, step = tried - 1, 1 if step == 1 else max(1, step // 4)
    return low
