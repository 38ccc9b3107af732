"""CPU quotas of control groups."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from helpers.recordings import MEMINFO, NO_LIMITS, ROOT_MOUNT, version_2
from selfhost.machine.probes import (
    read_machine,
)
from selfhost.machine.probes.recorded import RecordedHost


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("200000 100000\n", 2.0),
        ("50000 100000\n", 0.5),
        ("max 100000\n", 4.0),
        ("900000 100000\n", 4.0),
    ],
)
def test_cpu_quota(build: Callable[..., RecordedHost], text: str, cpus: float) -> None:
    """Half a CPU stays half a CPU; a quota above the affinity gives no more (the second line is `podman run --cpus=2`'s)."""
    assert read_machine(build(version_2({"cpu.max": text}))).cpu_cores_usable == cpus


def test_a_quota_that_no_kernel_gives(build: Callable[..., RecordedHost]) -> None:
    """Less than a millisecond a second is a broken file, not a machine."""
    machine = read_machine(build(version_2({"cpu.max": "1 100000\n"})))
    assert machine.cpu_cores_usable is None
    assert "no machine has" in machine.why_unread("cpu_cores_usable").reason


def test_a_quota_that_cannot_be_read(build: Callable[..., RecordedHost]) -> None:
    """cpu.weight without cpu.max: the controller is on, its limit unread."""
    machine = read_machine(build(version_2({"cpu.weight": "100\n"})))
    assert machine.cpu_cores_usable is None


@pytest.mark.parametrize(
    ("quota", "period", "told"),
    [
        ("150000\n", "100000\n", 1.5),
        ("-1\n", "100000\n", 4.0),
        ("150000\n", None, "cpu.cfs_period_us is not there"),
        ("150000\n", "0\n", "cpu.cfs_period_us is not a period"),
        ("-1\n", "-1\n", "cpu.cfs_period_us is not a period"),
        ("150000\n", "1000", "cpu.cfs_period_us is not a period"),
        (None, "100000\n", "cpu.cfs_quota_us is not there"),
        ("0\n", "100000\n", "cpu.cfs_quota_us is not a quota"),
    ],
)
def test_a_quota_in_two_files(
    build: Callable[..., RecordedHost], quota: str | None, period: str | None, told: float | str
) -> None:
    """Version 1 has quota and period, both positive, or -1 for no quota (Documentation/scheduler/sched-bwc.rst); the bad one is named."""
    files = {"/proc/meminfo": MEMINFO, **NO_LIMITS, "/proc/self/cgroup": "1:cpu:/\n"}
    files["/proc/self/mountinfo"] = (
        ROOT_MOUNT + "30 23 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
    )
    both = {"cpu.cfs_quota_us": quota, "cpu.cfs_period_us": period}
    machine = read_machine(
        build(
            files
            | {
                f"/sys/fs/cgroup/cpu/{name}": text
                for name, text in both.items()
                if text is not None
            }
        )
    )
    if isinstance(told, float):
        assert machine.cpu_cores_usable == told
    else:
        assert machine.cpu_cores_usable is None
        assert machine.why_unread("cpu_cores_usable").reason == f"/sys/fs/cgroup/cpu/{told}"
