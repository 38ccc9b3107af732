"""Answers that were timed one by one."""

from __future__ import annotations

import pytest

from selfhost.advice.verify.timed import Timed, paces_of


def test_tokens_count_not_answers() -> None:
    """100 tokens in 1 s and 300 in 9 s are 40 a second, at the depth of the average token."""
    (pace,) = paces_of(
        [
            Timed(kind="decode", tokens=100, seconds=1.0, depth_tokens=400),
            Timed(kind="decode", tokens=300, seconds=9.0, depth_tokens=800),
        ]
    )
    assert pace.tokens_per_second == pytest.approx(40)
    assert (pace.tokens, pace.depth_tokens) == (200, 700)


def test_a_short_answer_counts_where_there_is_no_longer_one() -> None:
    """The first tokens take longer: 2 tokens a second say nothing of a long answer."""
    short, long = (
        Timed(kind="decode", tokens=2, seconds=1.0),
        Timed(kind="decode", tokens=100, seconds=1.0),
    )
    assert paces_of([short])[0].tokens_per_second == 2
    assert paces_of([short, long])[0].tokens_per_second == 100


def test_what_has_no_time_is_told_without_a_number() -> None:
    """Left out, a run would pass by its prompt alone."""
    paces = paces_of(
        [
            Timed(kind="prompt", tokens=50, seconds=1.0),
            Timed(kind="decode", tokens=120, seconds=None),
        ]
    )
    assert [(pace.kind, pace.tokens, pace.tokens_per_second) for pace in paces] == [
        ("prompt", 50, 50.0),
        ("decode", 120, None),
    ]
