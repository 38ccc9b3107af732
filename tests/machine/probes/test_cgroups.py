"""Memory: the address space, and the limits of control groups, wherever they are mounted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from helpers.recordings import (
    CGROUP2_MOUNT,
    FULL,
    GIB,
    MEMINFO,
    NO_LIMITS,
    ROOT_MOUNT,
    Build,
    lawful,
    placed,
    text_of,
    under,
    version_2,
)
from selfhost.machine.probes.texts import parse_mountinfo
from selfhost.machine.reader import read_machine


@pytest.mark.parametrize(
    ("line", "field"), [("Max address space", "VmSize"), ("Max data size", "VmData")]
)
def test_ulimits(build: Build, line: str, field: str) -> None:
    """`ulimit -v`, in which also a read-only mapping of a file counts, so no model larger than this
    loads; `ulimit -d`, in which it does not.
    """
    limits = NO_LIMITS["/proc/self/limits"].replace(
        f"{line} unlimited", f"{line} 4294967296"
    )
    files = version_2({"cgroup.controllers": "cpu\n"}) | {
        "/proc/self/limits": limits,
        "/proc/self/status": f"{field}:\t 1048576 kB\n",
    }
    machine = read_machine(build(files))
    assert machine.memory_limit_bytes == 4 * GIB
    assert machine.memory_available_bytes == 3 * GIB
    assert machine.address_space_bytes == (3 * GIB if field == "VmSize" else None)
    del files["/proc/self/status"]
    assert read_machine(build(files)).memory_available_bytes is None


BOX = "b29faf21b7eff959f64b4192c34d5d67a707fe8561e9eaa608cb27693fba4242"
SCOPE = "docker-1c8fa019edd4b9d4b2856f4932c55929c5c118c808ed5faee9a135ca6e84b039.scope"


CGROUP_MOUNTS = "".join(
    f"3{number} 23 0:2{number} / /sys/fs/cgroup/{name} rw - cgroup cgroup rw,{name}\n"
    for number, name in enumerate(("memory", "cpu"))
)


NONE_1 = {
    "memory.limit_in_bytes": "9223372036854771712\n",
    "memory.stat": "hierarchical_memory_limit 9223372036854771712\n",
}


@pytest.mark.parametrize(
    ("name", "groups", "mounts", "limit", "available"),
    [
        (
            "own-cgroup-v1-nested-2gib-parent",
            None,
            CGROUP_MOUNTS,
            2147483648,
            2147483648 - (1508868096 - 1258299392 - 53248),
        ),
        ("own-cgroup-v1-memory-chain", None, CGROUP_MOUNTS, 16 * GIB, 12 * GIB),
        # the files of the slice above are not in the recording: a limit may stand there
        ("v1-hybrid-ubuntu1804", None, CGROUP_MOUNTS, None, None),
        (
            "v1-docker-unlimited-sentinel",
            f"2:memory:/docker/{BOX}\n1:cpu:/docker/{BOX}\n",
            CGROUP_MOUNTS,
            16 * GIB,
            12 * GIB,
        ),
        (
            "v2-docker-systemd-slice-unlimited",
            f"0::/system.slice/{SCOPE}\n",
            CGROUP2_MOUNT,
            16 * GIB,
            12 * GIB,
        ),
    ],
)
def test_recorded_control_groups(
    build: Build,
    name: str,
    groups: str | None,
    mounts: str,
    limit: int | None,
    available: int | None,
) -> None:
    """What a right reader answers; without a limit what binds is the machine of 16 GiB around it. A
    group's room is by its own use.
    """
    files = {
        "/proc/meminfo": MEMINFO,
        **NO_LIMITS,
        "/proc/self/mountinfo": ROOT_MOUNT + mounts,
        **placed(f"cgroup/{name}.txt"),
    }
    if groups:
        files["/proc/self/cgroup"] = groups
    machine = read_machine(build(files))
    lawful(machine)
    assert (machine.memory_limit_bytes, machine.memory_available_bytes) == (
        limit,
        available,
    )


OUTSIDE = (
    ("/../..", "/"),
    ("/..", "/"),
    ("/", "/../other"),
    ("/box", "/boxes/one"),
    ("/..", "/../../x"),
)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("root", "path"), OUTSIDE)
def test_a_group_outside_what_is_mounted(
    build: Build, version: int, root: str, path: str
) -> None:
    """A namespace of its own with the mount of another (`unshare -C`): the groups that show are not
    its own, so their limits say nothing.

    The recorded mountinfo of a Docker container has such a line too.
    """
    mounts = parse_mountinfo(text_of("mountinfo/mountinfo-docker-cgroup2.txt"))
    assert "/../.." in [mount.root for mount in mounts if mount.filesystem == "cgroup2"]
    for top in (FULL | {"memory.max": "max\n"}, FULL):
        files = version_2(top, path, CGROUP2_MOUNT.replace(" / ", f" {root} "))
        if version == 1:
            files |= under("/sys/fs/cgroup/memory", NONE_1)
            files["/proc/self/cgroup"] = f"4:memory:{path}\n"
            files["/proc/self/mountinfo"] = ROOT_MOUNT + CGROUP_MOUNTS.replace(
                " / ", f" {root} "
            )
        machine = read_machine(build(files))
        lawful(machine)
        assert machine.memory_limit_bytes is machine.memory_available_bytes is None
        assert (
            f"shows the groups of {root}"
            in machine.why_unread("memory_limit_bytes").reason
        )


@pytest.mark.parametrize("hidden", ["", "99 23 0:99 / /sys rw - tmpfs none rw\n"])
@pytest.mark.parametrize("version", [1, 2])
def test_a_group_that_cannot_be_seen(build: Build, version: int, hidden: str) -> None:
    """The process is in a group that is not mounted here, or `mount -t tmpfs none /sys` hides all
    of them: a limit or a quota may stand there unseen.
    """
    files = version_2(under("memory", NONE_1) if version == 1 else {}) | {
        "/proc/self/mountinfo": ROOT_MOUNT
        + (CGROUP2_MOUNT if version == 2 else CGROUP_MOUNTS)
        + hidden,
        "/proc/self/cgroup": "0::/box\n"
        if version == 2
        else "4:memory:/box\n3:cpu,cpuacct:/box\n",
    }
    if hidden:
        files = {
            path: text for path, text in files.items() if not path.startswith("/sys")
        }
    machine = read_machine(build(files))
    lawful(machine)
    assert machine.memory_available_bytes is None
    for fact in ("memory_limit_bytes", "cpu_cores_usable"):
        assert getattr(machine, fact) is None
        assert "cannot be seen from here" in machine.why_unread(fact).reason


def test_a_controller_of_version_1_is_none_of_version_2(build: Build) -> None:
    """A hybrid hierarchy whose mount of `memory` does not show: that of version 2 says nothing of
    its limits.
    """
    files = version_2(FULL | {"memory.max": "max\n"})
    files["/proc/self/cgroup"] = "4:memory:/box\n0::/\n"
    hidden = read_machine(build(files))
    # and one that shows, of which the kernel names no group of the process
    files["/proc/self/cgroup"] = "0::/\n"
    files["/proc/self/mountinfo"] = ROOT_MOUNT + CGROUP_MOUNTS + CGROUP2_MOUNT
    for machine in (hidden, read_machine(build(files))):
        lawful(machine)
        assert machine.memory_limit_bytes is machine.memory_available_bytes is None


@pytest.mark.parametrize(
    ("line", "mounts", "fact"),
    [
        ("4:memory:", CGROUP_MOUNTS, "memory_limit_bytes"),
        ("4:memory:", CGROUP_MOUNTS, "memory_available_bytes"),
        ("3:cpu,cpuacct:", CGROUP_MOUNTS, "cpu_cores_usable"),
        ("0::", CGROUP2_MOUNT, "memory_limit_bytes"),
        ("0::", CGROUP2_MOUNT, "cpu_cores_usable"),
    ],
)
def test_a_controller_without_a_path_is_unread(
    build: Build, line: str, mounts: str, fact: str
) -> None:
    """The top of a hierarchy is `/`: an empty path names no group, mounted or not, so a limit may
    exist unseen.
    """
    for shown in ("", mounts):
        files = version_2({}) | {
            "/proc/self/cgroup": f"{line}\n",
            "/proc/self/mountinfo": ROOT_MOUNT + shown,
        }
        machine = read_machine(build(files))
        lawful(machine)
        assert getattr(machine, fact) is None
        reason = machine.why_unread(fact).reason
        assert reason == "a limit may exist unseen: /proc/self/cgroup does not say"


def test_a_kernel_without_a_controller_limits_nothing(build: Build) -> None:
    """It lists no line of `memory` or `cpu`, and none of version 2."""
    files = version_2({}) | {
        "/proc/self/cgroup": "1:name=systemd:/\n",
        "/proc/self/mountinfo": ROOT_MOUNT,
    }
    machine = read_machine(build(files))
    assert machine.memory_limit_bytes == 16 * GIB
    assert machine.cpu_cores_usable == 4


def test_a_quota_without_its_period_is_unread(build: Build) -> None:
    """A line of cpu.max that was cut off says nothing of the processors."""
    box = under("box", FULL | {"cpu.max": "100000\n"})
    files = version_2(box, path="/box")
    machine = read_machine(build(files))
    assert machine.cpu_cores_usable is None
    assert "cpu.max does not say" in machine.why_unread("cpu_cores_usable").reason


def with_quota(**content: str) -> dict[str, str]:
    """A machine of which `/box` of version 1 has this quota and period."""
    mounts = (
        "31 23 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
        "32 23 0:32 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
    )
    files = version_2({}) | {
        "/proc/self/mountinfo": ROOT_MOUNT + mounts,
        "/proc/self/cgroup": "4:cpuset:/box\n3:cpu,cpuacct:/box\n",
        "/sys/fs/cgroup/cpuset/box/cpuset.cpus": "0-3\n",
        "/sys/fs/cgroup/cpu/cpu.shares": "1024\n",
    }
    for name, text in content.items():
        files[f"/sys/fs/cgroup/cpu/box/cpu.cfs_{name}_us"] = text
    return files


def test_a_quota_of_version_1(build: Build) -> None:
    """The top of version 1 has no quota (its folder lacks cpu.cfs_quota_us), and `cpuset`, which is
    mounted first, is another controller than `cpu`: 150,000 of 100,000 µs are 1.5 CPUs.
    """
    machine = read_machine(build(with_quota(quota="150000\n", period="100000\n")))
    assert machine.cpu_cores_usable == 1.5
    assert "/box: 1.5 of 4 CPUs" in machine.sources["cpu_cores_usable"]


@pytest.mark.parametrize(
    ("quota", "period", "file", "fault"),
    [
        pytest.param("", "100000\n", "quota", "is empty", id="no quota"),
        pytest.param("150000\n", "", "period", "is empty", id="no period"),
        pytest.param("lots\n", "100000\n", "quota", "does not say", id="a word"),
    ],
)
def test_the_file_of_a_quota_that_cannot_be_read_is_named(
    quota: str, period: str, file: str, fault: str, build: Build
) -> None:
    """Of the two files of version 1, the one at fault."""
    machine = read_machine(build(with_quota(quota=quota, period=period)))
    assert machine.cpu_cores_usable is None
    reason = machine.why_unread("cpu_cores_usable").reason
    assert reason.endswith(f"/box/cpu.cfs_{file}_us {fault}")


def test_a_group_has_its_whole_name(build: Build) -> None:
    """Where a part of the hierarchy is mounted, `/box`, the group below it is `/box/job`."""
    mount = CGROUP2_MOUNT.replace(" / ", " /box ")
    top = FULL | {"memory.max": "max\n"}
    files = version_2(top | under("job", FULL), "/box/job", mount)
    machine = read_machine(build(files))
    assert machine.memory_limit_bytes == 2 * GIB
    assert "group /box/job: memory.max" in machine.sources["memory_limit_bytes"]


def test_dots_in_the_name_of_a_group_lead_nowhere(build: Build) -> None:
    """`..` leads upwards only as a whole folder: `box..1` is a group like any other."""
    top = FULL | {"memory.max": "max\n"}
    files = version_2(top | under("box..1", FULL), "/box..1", CGROUP2_MOUNT)
    assert read_machine(build(files)).memory_limit_bytes == 2 * GIB


def test_of_two_mounts_on_one_folder_the_later_one_is_seen(build: Build) -> None:
    """The mount below it shows the groups of another container."""
    mounts = CGROUP2_MOUNT.replace(" / ", " /other ") + CGROUP2_MOUNT
    files = version_2(under("box", FULL), "/box", mounts)
    assert read_machine(build(files)).memory_limit_bytes == 2 * GIB


def test_a_path_that_was_cut_off_is_none(build: Build) -> None:
    """`0::/` without an end of its line may be `/box`, whose limit is unseen."""
    files = version_2({}) | {"/proc/self/cgroup": "0::/"}
    machine = read_machine(build(files))
    assert machine.memory_limit_bytes is None
    assert machine.cpu_cores_usable is None


def test_no_limit_is_the_hardware(build: Build) -> None:
    """`max`, or a kernel without the memory controller (the Raspberry Pi's default), must not hide
    MemAvailable (ollama/ollama#15961).
    """
    free = FULL | {"memory.max": "max\n"}
    for controllers in ("cpuset cpu io pids\n", "\n", None):
        groups = {"cgroup.controllers": controllers} if controllers else free
        machine = read_machine(build(version_2(groups)))
        assert machine.memory_limit_bytes == 16 * GIB
        assert machine.memory_available_bytes == 12 * GIB
        assert "control group that shows here" in machine.sources["memory_limit_bytes"]
    # systemd-nspawn limits the group above the one that its container sees
    inside = version_2(free) | {"/run/systemd/container": "systemd-nspawn\n"}
    assert read_machine(build(inside)).memory_limit_bytes is None
    unnamed = build(version_2(free), env={"container": "systemd-nspawn"})
    assert read_machine(unnamed).memory_limit_bytes is None


@pytest.mark.parametrize(
    ("name", "text", "facts"),
    [
        ("memory.max", None, {"memory_limit_bytes", "memory_available_bytes"}),
        ("memory.max", "lots\n", {"memory_limit_bytes", "memory_available_bytes"}),
        ("memory.current", None, {"memory_available_bytes"}),
        ("memory.stat", None, {"memory_available_bytes"}),
        ("memory.stat", "anon 5\n", {"memory_available_bytes"}),
        ("memory.high", None, {"memory_limit_bytes", "memory_available_bytes"}),
    ],
)
def test_a_limit_that_cannot_be_read_is_not_no_limit(
    build: Build, name: str, text: str | None, facts: set[str]
) -> None:
    """Where a limit may exist unseen, neither it nor what is available is known."""
    groups = {key: value for key, value in (FULL | {name: text}).items() if value}
    machine = read_machine(build(version_2(groups)))
    lawful(machine)
    for fact in ("memory_limit_bytes", "memory_available_bytes"):
        assert (getattr(machine, fact) is None) == (fact in facts)


def _real_groups() -> list[Path]:
    """The folders of the control groups of version 2 that this process is in, its own first; none
    where the machine has none, or more than they are in use.
    """
    top = Path("/sys/fs/cgroup")
    try:
        own = Path("/proc/self/cgroup").read_text(encoding="ascii")
    except OSError:
        return []
    if not (top / "cgroup.controllers").exists() or not own.startswith("0::/"):
        return []
    folder = top / own.strip().removeprefix("0::/")
    return [folder, *folder.parents[: len(folder.parts) - len(top.parts)]]


@pytest.mark.skipif(not _real_groups(), reason="needs control groups of version 2")
def test_the_real_control_groups_of_version_2() -> None:
    """This process' limit is the least that the kernel's own files tell, read in another way."""
    resource = pytest.importorskip("resource")
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for folder in _real_groups():
        for name in ("memory.max", "memory.high"):
            file = folder / name
            text = file.read_text(encoding="ascii").strip() if file.exists() else "max"
            if text != "max":
                limits.append(int(text))
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        soft, _ = resource.getrlimit(kind)
        if soft != resource.RLIM_INFINITY:
            limits.append(soft)
    machine = read_machine()
    lawful(machine)
    assert machine.memory_limit_bytes == min(limits)
    assert machine.memory_available_bytes is not None
    assert machine.memory_available_bytes > 0
    quotas = [float(len(os.sched_getaffinity(0)))]
    for folder in _real_groups():
        file = folder / "cpu.max"
        if file.exists():
            quota, period = file.read_text(encoding="ascii").split()
            if quota != "max":
                quotas.append(int(quota) / int(period))
    assert machine.cpu_cores_usable == min(quotas)
