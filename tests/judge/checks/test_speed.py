"""The contract's row `speed`: each cell, made of a range and what was wanted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.small import GB, MACHINE, WORK, found, question
from selfhost.core.records import Unread
from selfhost.core.workload import Workload
from selfhost.judge.checks import Finding, Outcome, speed_check
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
        None if pace is None else PaceRange(low=low, likely=likely, high=high),
        Workload(min_tokens_per_second=wanted),
        "the machine was not read",
        stated=stated,
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


def test_no_speed_is_judged_where_tokens_make_no_sense() -> None:
    """An image has no tokens per second: there is no finding."""
    assert speed_check(PaceRange(low=1, likely=2, high=3), Workload(), "") is None


def test_the_numbers_are_the_ones_compared() -> None:
    """The likely pace is held against the wanted one; the fast end says what is short."""
    close, slow = judged((1, 2, 4), 3.0, stated=True), judged((1, 2, 4), 5.0)
    assert (close.needs, close.has, close.short) == (3.0, 2, 0)
    assert (slow.needs, slow.has, slow.short) == (5.0, 2, 1)


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


@given(size=st.integers(1, 400), wanted=st.floats(0, 50), stated=st.booleans())
def test_the_route_follows_the_range(size: int, wanted: float, stated: bool) -> None:
    """A range below the minimum rules a local run out; one that straddles a stated one is open."""
    result = judge(
        question(
            read_bytes={"Q8_0": size * GB},
            workload=WORK.replace(min_tokens_per_second=wanted),
            speed_stated=stated,
        ),
        MACHINE,
    )
    assert result.speed is not None
    assert result.speed.decode is not None
    route = Route.LOCAL
    if result.speed.decode.high < wanted:
        route = Route.API
    elif stated and result.speed.decode.likely < wanted:
        route = Route.UNKNOWN
    assert result.route(offered=True) is route


def test_a_speed_without_basis_decides_only_where_a_minimum_was_stated() -> None:
    """Without a wish the route is local, with one nobody can tell."""
    assert judge(question(read_bytes={}), MACHINE).route(offered=False) is Route.LOCAL
    stated = question(read_bytes={}, speed_stated=True)
    assert judge(stated, MACHINE).route(offered=False) is Route.UNKNOWN


def test_where_measuring_would_tell_it_is_advised_first() -> None:
    """A wide range is first narrowed; on a profile, once measured, or where that was tried in vain, nothing is gained by it."""
    unread = Unread(
        fact="memory_bandwidth_bytes_per_second",
        reason="not measured",
        remedy="measure it: --measure",
    )
    slow = question(read_bytes={"Q4_K": 8 * GB})
    first = found("speed", slow, MACHINE.replace(unread=(unread,), is_this_one=True))
    assert first.code == "speed-slow"
    assert (first.remedy or "").startswith("run with --measure")
    assert (first.remedy or "").endswith("choose a smaller model")
    vain = MACHINE.replace(unread=(unread,), is_this_one=True, measured_in_vain=True)
    for machine in (
        vain,
        MACHINE.replace(unread=(unread,), planning=True),
        MACHINE.replace(memory_bandwidth_bytes_per_second=20 * GB),
    ):
        assert "--measure" not in (found("speed", slow, machine).remedy or "")
    # `--measure` beside `--machine` is refused: another machine is measured where it stands
    there = found("speed", slow, MACHINE.replace(unread=(unread,), name="gb")).remedy or ""
    assert there.startswith("record it there with `selfhost machine --measure --format json`")


def test_a_minimum_that_may_be_missed_says_why_it_decides_when_typed() -> None:
    """`--min-speed 2` is the speed that counts where none is stated, and yet decides: the remedy says what leaving it out changes."""
    pace = PaceRange(low=1.0, likely=1.5, high=3.0)
    typed = speed_check(pace, Workload(min_tokens_per_second=2.0), "", stated=True)
    unstated = speed_check(pace, Workload(min_tokens_per_second=2.0), "", stated=False)
    assert typed is not None
    assert unstated is not None
    assert (typed.outcome, unstated.outcome) == (Outcome.UNKNOWN, Outcome.WARN)
    assert "leave out --min-speed" in (typed.remedy or "")
    assert "--min-speed" not in (unstated.remedy or "")
