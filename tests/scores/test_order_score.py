"""The order by ability agrees with scores that had no part in it, and better than an order to which
nothing is fitted.
"""

from __future__ import annotations

import sys
from collections import defaultdict

import pytest

from boards.fit import Point
from helpers.paths import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

import orders


@pytest.mark.parametrize("use", ["chat", "code"])
@pytest.mark.parametrize("test", ["left out", "kept"])
def test_abilities_order_models_better_than_size_and_date(use: str, test: str) -> None:
    """On sources that are left out, and on scores that are kept out of every fit."""
    models = orders.Models(sorted(orders.measured_at(use)))
    agreements = orders.TESTS[test](models, use, {})
    ability = agreements["ability"]
    bar = agreements[orders.BAR]
    assert ability.total.percent > bar.total.percent
    assert ability.mean_percent is not None
    assert bar.mean_percent is not None
    assert ability.mean_percent > bar.mean_percent


def test_no_kept_score_is_in_a_fit() -> None:
    for use in orders.LISTED:
        fitted = {(point.model, point.board) for point in orders.points_of(use)}
        kept = {
            (point.model, point.board) for point in orders.points_of(use, kept=True)
        }
        assert kept
        assert not fitted & kept


# ------------------------------------------------------------------ how it counts


def point(model: str, board: str, value: float) -> Point:
    return Point(model, board, board, f"source {board[0]}", value, 1.0, "2026-01-01")


def counted(points: list[Point], **places: float) -> orders.Agreement:
    """What an order of these places agrees with."""
    agreements: dict[str, orders.Agreement] = defaultdict(orders.Agreement)
    pairs = list(orders.pairs_of(points, places))
    orders.count(pairs, {"order": places.get}, agreements)
    return agreements["order"]


def test_a_pair_counts_where_it_is_right_and_half_where_the_order_is_equal() -> None:
    points = [point("a", "x", 3.0), point("b", "x", 2.0), point("c", "x", 1.0)]
    right = counted(points, a=9, b=5, c=1).by_board["x"]
    assert right == orders.Tally(3, 3)
    assert counted(points, a=1, b=5, c=9).by_board["x"].right == 0
    assert counted(points, a=5, b=5, c=1).by_board["x"].right == 2.5


def test_ties_on_a_board_are_no_pairs() -> None:
    points = [point("a", "x", 2.0), point("b", "x", 2.0)]
    assert not counted(points, a=1, b=2).by_board


def test_better_on_all_takes_three_boards_of_two_sources() -> None:
    def both(*boards: str) -> list[Point]:
        points = []
        for board in boards:
            points += [point("a", board, 2.0), point("b", board, 1.0)]
        return points

    assert counted(both("x1", "x2", "y1"), a=2, b=1).better_on_all == (1.0, 1)
    assert counted(both("x1", "x2", "y1"), a=1, b=2).better_on_all == (0.0, 1)
    # of one source alone, or on two boards, it says nothing
    assert counted(both("x1", "x2", "x3"), a=2, b=1).better_on_all.pairs == 0
    assert counted(both("x1", "y1"), a=2, b=1).better_on_all.pairs == 0
    # nor where one board has it the other way
    mixed = [*both("x1", "x2", "y1"), point("a", "y2", 1.0), point("b", "y2", 2.0)]
    assert counted(mixed, a=2, b=1).better_on_all.pairs == 0
