"""What other programs do while memory is measured: told by what happened meanwhile, not by averages over the past."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfhost.machine.probes import activity
from selfhost.machine.probes.activity import Activity, disturbances, used_by_others
from selfhost.machine.probes.host import Host

PRESSURE = (
    "some avg10=1.91 avg60=1.60 avg300=9.24 total=114563752\n"
    "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
)


class Files(Host):
    """A live machine of which only these files are there."""

    def __init__(self, files: dict[str, str], system: str = "linux") -> None:
        super().__init__(system=system)
        self.files = files

    def read_bytes(self, path: str, limit: int) -> bytes:
        if path not in self.files:
            raise FileNotFoundError(path)
        return self.files[path].encode()[:limit]


def at(seconds: float, **facts: Any) -> Activity:
    return Activity(
        **{"at_seconds": seconds, "own_seconds": 0.0, "processors": 4, "running": 0, **facts}
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PRESSURE, 114.563752),
        ("", None),
        ("some avg10=1.0", None),
        ("some total=x", None),
        ("some total=-1", None),
        ("full total=3", None),
    ],
)
def test_pressure_is_read_or_not(text: str, expected: float | None) -> None:
    """Microseconds since the start (Documentation/accounting/psi.rst), None for another shape."""
    assert activity.parse_pressure(text) == expected


def test_processor_times_are_read_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ticks are as long as the system says; waiting for a disk is not work."""
    monkeypatch.setattr(os, "sysconf", {"SC_CLK_TCK": 1000}.__getitem__, raising=False)
    assert activity.parse_stat("cpu  100 0 50 800 50 0 0 0 0 0\n") == 0.15
    monkeypatch.setattr(os, "sysconf", {"SC_CLK_TCK": 100}.__getitem__, raising=False)
    assert activity.parse_stat("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3 4 5\n") == 1.5
    for text in ("", "cpu", "cpu a b c d e", "intr 1 2 3 4 5 6", "cpu  1 2 3 -4 5 6"):
        assert activity.parse_stat(text) is None


def test_running_programs_are_read_without_this_one() -> None:
    assert activity.parse_running("0.20 0.41 1.13 3/96 4711\n") == 2
    assert activity.parse_running("0.20 0.41 1.13 0/96 4711\n") == 0
    for text in ("", "0.20 0.41 1.13", "0.20 0.41 1.13 x/96 4711", "1 2 3 -1/2 3"):
        assert activity.parse_running(text) is None


@given(st.text(max_size=80))
def test_no_text_makes_a_parser_fail(text: str) -> None:
    for parse in (activity.parse_pressure, activity.parse_stat, activity.parse_running):
        value = parse(text)
        assert value is None or value >= 0


def test_programs_that_fill_processors_without_waiting_are_seen() -> None:
    """Four processors for one second: three busy seconds, of which this process took one."""
    before, after = at(0, busy_seconds=10.0, own_seconds=5.0), at(1, busy_seconds=13.0)
    assert used_by_others(before, after.replace(own_seconds=6.0)) == pytest.approx(0.5)
    assert "50 %" in disturbances(before, after.replace(own_seconds=6.0))[0]
    assert used_by_others(before, after.replace(busy_seconds=10.9, own_seconds=6.0)) == 0
    assert used_by_others(before.replace(busy_seconds=None), after) is None
    # a tick is a third of a glance
    assert used_by_others(before, after.replace(at_seconds=0.03)) is None


def test_what_ended_before_disturbs_nothing() -> None:
    """A build that ended a moment ago leaves the averages high; nobody waits, and nothing runs."""
    before = at(0, waited_seconds=100.0, busy_seconds=50.0, load=7.5)
    after = at(1, waited_seconds=100.01, busy_seconds=51.0, own_seconds=1.0, load=7.5)
    assert disturbances(before, after) == ()


def test_programs_that_wait_are_seen_at_once() -> None:
    """A program that began a moment ago has not moved the averages yet."""
    before = at(0, waited_seconds=100.0, load=0.0)
    assert "48 %" in disturbances(before, at(0.03, waited_seconds=100.0144, load=0.0))[0]
    assert disturbances(before, at(0.03, waited_seconds=100.0024)) == ()


@pytest.mark.parametrize(
    ("running", "processors", "quiet"), [(0, 2, True), (1, 2, False), (1, 16, True), (5, 16, False)]
)
def test_programs_that_run_at_the_moment_are_seen(
    running: int, processors: int, quiet: bool
) -> None:
    """In less time than processor times are counted in, what ran when it began decides."""
    before = at(0, busy_seconds=1.0, processors=processors, running=running)
    assert (disturbances(before, at(0.03, busy_seconds=1.0)) == ()) == quiet


def test_the_load_stands_in_where_nothing_else_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS tells a load; a system that tells nothing is taken as quiet."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (1.5, 0.0, 0.0), raising=False)
    loaded = activity.read_activity(Files({}, system="macos"))
    assert (loaded.waited_seconds, loaded.busy_seconds, loaded.running) == (None, None, None)
    assert "1.5" in disturbances(loaded, loaded)[0]
    monkeypatch.delattr(os, "getloadavg")
    silent = activity.read_activity(Files({}, system="windows"))
    assert disturbances(silent, silent) == ()


def test_each_reading_is_new() -> None:
    """The host keeps what it once read of facts; these files change."""
    host = Files({"/proc/loadavg": "0 0 0 3/9 1\n", "/proc/pressure/cpu": PRESSURE})
    assert activity.read_activity(host).running == 2
    host.files["/proc/loadavg"] = "0 0 0 1/9 1\n"
    assert activity.read_activity(host).running == 0
