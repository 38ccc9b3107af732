"""The contract's row `speed`: each cell, made of a range and what was wanted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.small import MACHINE, question
from selfhost.core.workload import Workload
from selfhost.judge.checks import Finding, Outcome
from selfhost.judge.checks.speed import speed_check
from selfhost.judge.judging import judge
from selfhost.judge.pace.speed import PaceRange
from selfhost.judge.record import Route

PASS, WARN, UNKNOWN, FAIL = Outcome.PASS, Outcome.WARN, Outcome.UNKNOWN, Outcome.FAIL
Range = tuple[float, float, float]


def judged(
    pace: Range | None, wanted: float = 2.0, *, stated: bool = False, assumed: bool = False
) -> Finding:
    """The finding of a range, slow end, likely and fast end, held against what is wanted."""
    low, likely, high = pace or (0.0, 0.0, 0.0)
    finding = speed_check(
        question(workload=Workload(min_tokens_per_second=wanted), speed_stated=stated),
        None if pace is None else PaceRange(low=low, likely=likely, high=high),
        "the machine was not read",
        assumed=assumed,
    )
    assert finding is not None
    assert finding.reason.endswith(".")
    return finding


@pytest.mark.parametrize(
    ("pace", "wanted", "outcome", "code"),
    [
        # likely as wanted and at reading speed, whatever the slow end is
        ((5, 5, 6), 2.0, PASS, "speed-comfortable"),
        ((0.1, 5, 9), 2.0, PASS, "speed-comfortable"),
        # likely as wanted, below reading speed
        ((3, 4, 9), 2.0, WARN, "speed-slow"),
        ((1, 2, 9), 2.0, WARN, "speed-slow"),
        # no minimum was stated, and likely < 2 <= high
        ((0.5, 1.9, 2), 2.0, WARN, "speed-slow"),
        (None, 2.0, UNKNOWN, "speed-not-known"),
        ((0.5, 1, 1.9), 2.0, FAIL, "speed-too-slow"),
    ],
)
def test_where_no_minimum_was_stated(
    pace: Range | None, wanted: float, outcome: Outcome, code: str
) -> None:
    """The default of 2 tokens/s is no wish of the user's: only a range below it rules a run out."""
    finding = judged(pace, wanted)
    assert (finding.outcome, finding.code) == (outcome, code)
    assert not finding.leaves_open


@pytest.mark.parametrize(
    ("pace", "wanted", "outcome", "code"),
    [
        ((9, 10, 12), 10.0, PASS, "speed-comfortable"),
        ((3, 4, 9), 3.0, WARN, "speed-slow"),
        ((3, 9, 10), 10.0, UNKNOWN, "speed-close"),
        ((0.5, 1.9, 2), 2.0, UNKNOWN, "speed-close"),
        (None, 10.0, UNKNOWN, "speed-no-basis"),
        ((3, 9, 9.9), 10.0, FAIL, "speed-too-slow"),
    ],
)
def test_where_a_minimum_was_stated(
    pace: Range | None, wanted: float, outcome: Outcome, code: str
) -> None:
    """Who states a minimum is not told yes where it is open: an unknown then decides."""
    finding = judged(pace, wanted, stated=True)
    assert (finding.outcome, finding.code) == (outcome, code)
    assert finding.leaves_open is (outcome is UNKNOWN)


@pytest.mark.parametrize("pace", [None, (0.01, 0.02, 0.03), (50, 60, 70)])
@pytest.mark.parametrize("assumed", [False, True])
def test_a_minimum_of_zero_always_passes(pace: Range | None, assumed: bool) -> None:
    """`--min-speed 0` accepts any pace, known or not."""
    finding = judged(pace, 0.0, stated=True, assumed=assumed)
    assert (finding.outcome, finding.code) == (PASS, "speed-any")


def test_what_rests_on_the_machines_class_warns() -> None:
    """Planning marks what it assumes and warns of it; a worse cell wins."""
    assert judged((8, 9, 12), assumed=True).code == "speed-assumed"
    assert judged((8, 9, 12), assumed=True).outcome is WARN
    assert judged((1, 3, 12), assumed=True).code == "speed-slow"
    assert judged((1, 1, 1), assumed=True).outcome is FAIL


@given(
    ends=st.lists(st.floats(0.01, 100), min_size=3, max_size=3).map(sorted),
    wanted=st.floats(0, 50),
    stated=st.booleans(),
)
def test_a_faster_machine_is_never_judged_worse(
    ends: list[float], wanted: float, stated: bool
) -> None:
    """The outcome follows the pace: twice as fast is as good or better."""
    low, likely, high = ends
    slow = judged((low, likely, high), wanted, stated=stated)
    fast = judged((2 * low, 2 * likely, 2 * high), wanted, stated=stated)
    assert fast.severity <= slow.severity


def test_a_speed_without_basis_decides_only_where_a_minimum_was_stated() -> None:
    """Without a wish the route is local, with one nobody can tell."""
    assert judge(question(read_bytes={}), MACHINE).route(offered=False) is Route.LOCAL
    stated = question(read_bytes={}, speed_stated=True)
    assert judge(stated, MACHINE).route(offered=False) is Route.UNKNOWN
