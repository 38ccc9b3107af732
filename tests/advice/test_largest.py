"""The one search for the largest number that fits."""

from __future__ import annotations

from selfhost.advice.room import largest


def test_the_largest_number_is_found_whatever_it_is() -> None:
    """The last that fits, None where not even the first does; large numbers are tried rarely."""
    for limit in range(70):
        tried: list[int] = []

        def fits(number: int, limit: int = limit, tried: list[int] = tried) -> bool:
            tried.append(number)
            return number <= limit

        assert largest(1, 64, fits) == (min(limit, 64) or None)
        assert max(tried) <= max(2 * limit + 1, 1)
    assert largest(5, 4, lambda _: True) is None
