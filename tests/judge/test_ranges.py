"""Ranges: what is left of one when bounds become known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfhost.judge.ranges import within

GUESS = (20.0, 40.0, 80.0)
BOUNDS = st.floats(1, 300)


def test_a_bound_moves_the_likely_figure_to_the_middle_of_what_is_left() -> None:
    """A range that lies evenly, in logarithms, about its likely figure keeps so: cut in half at 40 its middle is the root of 20 by 40."""
    assert within(GUESS, 0, 500) == pytest.approx(GUESS)
    assert within(GUESS, 0, 40) == pytest.approx((20, 800**0.5, 40))
    assert within(GUESS, 40, 500) == pytest.approx((40, 3200**0.5, 80))


@given(least=BOUNDS, more=BOUNDS)
def test_what_is_left_lies_inside_the_bounds_and_moves_with_them(least: float, more: float) -> None:
    """Also where nothing of the guess is left: then it was wrong, and the bounds are not."""
    low, likely, high = within(GUESS, least, least + more)
    assert low <= likely <= high
    assert least <= likely <= least + more
    assert likely <= within(GUESS, least * 1.1, (least + more) * 1.1)[1] * (1 + 1e-9)
