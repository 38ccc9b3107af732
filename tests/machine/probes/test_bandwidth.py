"""Measuring the memory bandwidth: what disturbs a measurement makes it a lower bound or none, never a wrong figure."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfhost.judge.pace.processor import bandwidth as judged
from selfhost.machine.probes import bandwidth
from selfhost.machine.probes.bandwidth import FACT, Trace, joint_rate
from selfhost.machine.probes.host import RecordedHost
from selfhost.machine.reader import Machine

MIB, GB = 2**20, 10**9
HERE = Machine(
    name="here",
    is_this_one=True,
    scope="host",
    memory_total_bytes=16 * 2**30,
    memory_limit_bytes=16 * 2**30,
    memory_available_bytes=8 * 2**30,
    cpu_cores_usable=2,
    cpu_cores_physical=2,
)


def trace(rate: float, *, began: float = 0.0, seconds: float = 0.1, gap: float = 0.0) -> Trace:
    """One thread that reads so many bytes a second; after half of the time it is held up for `gap` seconds."""
    step = bandwidth._CHUNK_BYTES / rate
    done = [began]
    while done[-1] < began + seconds + gap:
        pause = gap if done[-1] < began + seconds / 2 <= done[-1] + step else 0
        done.append(done[-1] + step + pause)
    return done, 1.0, 256 * MIB


@given(st.floats(5e9, 60e9), st.floats(5e9, 60e9))
def test_threads_that_run_together_add_up(one: float, other: float) -> None:
    """Whatever each reads, the figure is the sum."""
    assert joint_rate([trace(one), trace(other)]) == pytest.approx(one + other, rel=0.02)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cpu_cores_usable": 0.5}, "interrupts"),
        ({"emulated_on": "x86_64"}, "emulated"),
        ({"memory_available_bytes": None}, "were not read"),
        ({"memory_available_bytes": 64 * MIB}, "caches may hold"),
    ],
)
def test_where_it_could_only_mislead_it_does_not_measure(
    changes: dict[str, object], reason: str
) -> None:
    """Less than a processor, one that is emulated, too little memory: a reason, not a figure."""
    machine = bandwidth.with_measured(HERE.replace(**changes))
    assert machine.memory_bandwidth_bytes_per_second is None
    assert reason in machine.why_unread(FACT).reason
    assert machine.measured_in_vain


def test_a_recorded_machine_is_not_measured(build: Callable[..., RecordedHost]) -> None:
    """The computer at hand is not the recorded one."""
    machine = bandwidth.with_measured(HERE, host=build({}))
    assert "recorded one" in machine.why_unread(FACT).reason


def figures(monkeypatch: pytest.MonkeyPatch, share: float, others: int) -> None:
    one = (*trace(20e9)[:1], share, 256 * MIB)
    monkeypatch.setattr(bandwidth, "_run", lambda *_: [one, one])
    monkeypatch.setattr(bandwidth, "_others_running", lambda: others)


@pytest.mark.parametrize(
    ("share", "others", "bound"), [(1.0, 0, None), (0.5, 0, "least"), (1.0, 1, "least")]
)
def test_a_busy_machine_gives_a_lower_bound(
    monkeypatch: pytest.MonkeyPatch, share: float, others: int, bound: str | None
) -> None:
    """A thread that was interrupted, or another program that runs beside it: more may be there."""
    figures(monkeypatch, share, others)
    for is_at_present in (False, True):
        machine = bandwidth.with_measured(HERE, brief=is_at_present)
        assert machine.memory_bandwidth_bytes_per_second == pytest.approx(40e9, rel=0.02)
        how = "measured-briefly" if is_at_present else "measured"
        assert (machine.memory_bandwidth_how, machine.memory_bandwidth_bound) == (how, bound)
        assert "measured" in machine.sources[FACT]
        told = judged(machine)
        assert told is not None
        assert told.measured is (bound is None)
        assert ("at present" in told.how) is (is_at_present and bound is None)
        assert ("at least" in told.how) is (bound is not None)


def test_this_machine_is_measured_or_says_why_not() -> None:
    """A figure of a machine that exists, and both ways within a factor of four; else a reason."""
    machine = Machine.read()
    careful = bandwidth.with_measured(machine)
    brief = bandwidth.with_measured(machine, brief=True)
    rates = [each.memory_bandwidth_bytes_per_second for each in (careful, brief)]
    for each, rate in zip((careful, brief), rates, strict=True):
        assert (rate is None) == any(entry.fact == FACT for entry in each.unread)
        assert rate is None or GB < rate < 4000 * GB
    if rates[0] and rates[1]:
        assert 0.25 < rates[0] / rates[1] < 4
