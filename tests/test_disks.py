"""Disks that are none, that tell no size, that hold no more files, and those of which only a part is ours."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selfhost import check
from selfhost.findings import Finding
from selfhost.machine import Disk, Machine
from selfhost.probes import Host, quota, quota_groups, read_machine
from selfhost.probes.recorded import RecordedHost
from selfhost.probes.recorder import Recorder
from selfhost.whatif import apply

GIB = 2**30
Build = Callable[..., RecordedHost]
FACTS = {"system": "linux", "machine": "x86_64", "pointer_bits": 64, "page_bytes": 4096, "affinity": [0, 1, 2, 3]}
LIMITS = "Max data size             unlimited            unlimited            bytes\n"
ROOT = "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
# the machine's RAM: a group of 7 GiB of it decides nothing about where files lie
MEMINFO = "MemTotal: 7340032 kB\nMemFree: 7340032 kB\nMemAvailable: 7240032 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"
# what llama.cpp makes copies of the weights for
CPUINFO = "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: sse4_2 avx avx2 fma f16c bmi2\n\n"


def space(free: int = 100 * 10**9, total: int = 200 * 10**9, **more: Any) -> dict[str, Any]:
    return {"free_bytes": free, "total_bytes": total, "read_only": False, **more}


# as large as half of another machine's RAM: nothing tells it from a disk
SMALL = space(6 * GIB, 7 * GIB)


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """A Linux of these mounts and files; models go to /models."""
    numbers = iter(range(1000))

    def make(mounts: str, files: dict[str, str] | None = None, env: dict[str, str] | None = None, **facts: Any) -> RecordedHost:
        folder = tmp_path / f"machine-{next(numbers)}"
        for path, text in {
            "/proc/self/mountinfo": mounts, "/proc/meminfo": MEMINFO, "/proc/self/limits": LIMITS, "/models/.keep": "",
            "/proc/cpuinfo": CPUINFO, **(files or {}),
        }.items():  # fmt: skip
            place = folder / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        (folder / "env.json").write_text(json.dumps({"HOME": "/", "HF_HOME": "/models", "LLAMA_CACHE": "/models", **(env or {})}))
        whole = {"space": {"/models": SMALL}, "writable": {"/": True}, **FACTS, **facts}
        (folder / "facts.json").write_text(json.dumps(whole))
        return RecordedHost(str(folder))

    return make


def disk_of(machine: Machine) -> Disk:
    found = machine.disk_for("llama.cpp")
    assert found is not None
    return found


def seven_gib(host: Host) -> Machine:
    return apply(read_machine(host), ["memory=7GiB", "gpu=none"])


def reason(machine: Machine, part: str) -> str | None:
    return next((entry.reason for entry in machine.unread if entry.fact == f"disks.llama.cpp.{part}"), None)


def finding(machine: Machine, name: str, model: str = "mistral-7b") -> Finding:
    found = check(model, machine=machine).finding(name)
    assert found is not None
    return found


def again(host: Host, folder: Path) -> tuple[Machine, Machine, str]:
    """What is read, what is read of the record made while reading, and the record's own text."""
    record = Recorder(host)
    first = read_machine(record)
    record.write(str(folder))
    text = "".join(path.read_text() + str(path) for path in folder.rglob("*") if path.is_file())
    return first, read_machine(RecordedHost(str(folder))), text


# quotas that no option of the mount states

HOME = "40 22 8:17 / /models rw,relatime - {} /dev/sdb1 rw\n"


def limit(kind: str, left: int, used: int = 10**9) -> dict[str, Any]:
    return {"kind": kind, "limit_bytes": used + left, "used_bytes": used}


@pytest.mark.parametrize(
    ("filesystem", "quotas", "free", "whose"),
    [
        ("ext4", [limit("user", 2 * 10**9)], 2, "user"),
        ("ext4", [], 100, None),
        # off: quotactl(2) of quotas that were turned off, or never on
        ("ext4", "ENOSYS", 100, None),
        ("ext4", "ESRCH", 100, None),
        ("btrfs", [limit("subvolume", 3 * 10**9)], 3, "subvolume"),
        # XFS takes quotas by options of its mount alone
        ("xfs", [limit("user", 2 * 10**9)], 100, None),
    ],
)
def test_quotas_are_asked_for_where_the_mount_says_nothing(
    build: Build, tmp_path: Path, filesystem: str, quotas: Any, free: int, whose: str | None
) -> None:
    """`quotaon` after a mount without options holds an account all the same (1.92 GB were told, writing stopped at 419 MB)."""
    host = build(ROOT + HOME.format(filesystem), space={"/models": space()}, quotas={"/models": quotas})
    first, second, _ = again(host, tmp_path / "record")
    for machine in (first, second):
        assert (disk_of(machine).free_bytes, disk_of(machine).quota) == (free * 10**9, whose)
        assert reason(machine, "quota") is None
        assert finding(machine, "disk").code == ("disk-fits" if whose is None else "disk-too-small")


def test_quotas_that_were_turned_off_are_none(build: Build) -> None:
    """`quotaoff` leaves the mount's options as they are: the kernel then says ENOSYS, which is an answer and no lack of one."""
    stated = HOME.format("ext4").replace(" rw\n", " rw,usrjquota=aquota.user,jqfmt=vfsv1\n")
    machine = read_machine(build(ROOT + stated, space={"/models": space()}, quotas={"/models": "ENOSYS"}))
    assert reason(machine, "quota") is None
    assert finding(machine, "disk").code == "disk-fits"


def test_quotas_that_may_not_be_asked_are_said_so(build: Build) -> None:
    """In a container quotactl is forbidden: a doubt where options state quotas, a word beside the figure where none does."""
    machine = read_machine(build(ROOT + HOME.format("ext4"), space={"/models": space()}, quotas={"/models": "EPERM"}))
    assert finding(machine, "disk").code == "disk-fits"
    assert "whether quotas are on could not be asked: Operation not permitted" in machine.sources["disks.llama.cpp"]


@pytest.mark.parametrize(("kinds", "unread"), [(["user"], True), ([], False), ("EPERM", False)])
def test_a_services_quota_is_unread_where_one_is_on(build: Build, tmp_path: Path, kinds: Any, unread: bool) -> None:
    """Whether quotas are on anybody may ask; what they leave is told to the account alone."""
    unit = {"/etc/systemd/system/ollama.service": "[Service]\nUser=ollama\nEnvironment=OLLAMA_MODELS=/models\n"}
    host = build(ROOT + HOME.format("ext4"), unit, space={"/models": space()}, quotas={"/models": []}, quotas_on={"/models": kinds})
    for machine in again(host, tmp_path / "record")[:2]:
        told = [entry.reason for entry in machine.unread if entry.fact == "disks.ollama.quota"]
        assert [("that service account" in text) for text in told] == [True] * unread


@pytest.mark.parametrize(("above", "own", "told"), [(2, 3, True), (4, 3, False), (2, None, True), (200, None, False)])
def test_a_quota_group_above_may_hold(build: Build, tmp_path: Path, above: int, own: int | None, told: bool) -> None:
    """A group of level 1 limits the subvolumes in it, and which those are only root may ask: a doubt where it would leave less."""
    quotas = [limit("quota group", above * 10**9)] + ([limit("subvolume", own * 10**9)] if own else [])
    host = build(ROOT + HOME.format("btrfs"), space={"/models": space()}, quotas={"/models": quotas})
    for machine in again(host, tmp_path / "record")[:2]:
        assert disk_of(machine).free_bytes == (own or 100) * 10**9
        assert (f"leaves {above}.00 GB" in (reason(machine, "quota_above") or "")) is told
        assert finding(machine, "disk", "qwen3-0.6b").code == ("disk-assumed" if told else "disk-fits")
        assert finding(apply(machine, ["disk=100GB"]), "disk", "qwen3-0.6b").code == "disk-fits"


def group(**values: int) -> dict[str, int]:
    return dict.fromkeys(quota_groups._KEYS, 0) | {"max_referenced": 2**64 - 1, "max_exclusive": 2**64 - 1} | values


def test_the_limits_of_a_quota_group() -> None:
    """include/uapi/linux/btrfs_tree.h: bit 0 of the flags limits what is referenced, bit 1 what is exclusive; reservations count."""
    assert quota_groups.limit_of(group(referenced=5, max_referenced=9)) is None
    assert quota_groups.limit_of(group(limit_flags=1, referenced=5, max_referenced=9)) == (9, 5)
    assert quota_groups.limit_of(group(limit_flags=1, referenced=5, max_referenced=9, rsv_data=2, rsv_meta_prealloc=1)) == (9, 8)
    both = group(limit_flags=3, referenced=5, max_referenced=9, exclusive=1, max_exclusive=3)
    assert quota_groups.limit_of(both) == (3, 1)


@pytest.mark.parametrize(
    ("subvolume", "kinds"), [(256, ["subvolume", "quota group"]), (257, ["quota group"]), (None, ["quota group", "quota group"])]
)
def test_the_groups_of_a_subvolume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subvolume: int | None, kinds: list[str]) -> None:
    """sysfs has a folder `LEVEL_NUMBER` for each: of level 0 the number is the subvolume's, and other subvolumes' do not hold."""
    monkeypatch.setattr(quota_groups, "SYSFS", str(tmp_path))
    monkeypatch.setattr(quota_groups, "_place", lambda folder: ("f00d", subvolume))
    with pytest.raises(OSError, match="quota groups"):
        quota_groups.ask_groups("/models")
    (tmp_path / "f00d").mkdir()
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(release="6.1.0-56-amd64", machine="x86_64"), raising=False)
    assert quota_groups.ask_groups("/models") == ()
    for name, values in (
        ("0_5", group()),
        ("0_256", group(limit_flags=1, max_referenced=100)),
        ("1_7", group(limit_flags=1, max_referenced=50)),
    ):
        for key, value in values.items():
            file = tmp_path / "f00d" / "qgroups" / name / key
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{value}\n")
    (tmp_path / "f00d" / "qgroups" / "inconsistent").write_text("0\n")
    assert [entry.kind for entry in quota_groups.ask_groups("/models")] == kinds


class Library:
    """A stand-in for the C library: `answers` has the error of quotactl_fd of an open folder, of one that is not, and of quotactl."""

    def __init__(self, folder: int, closed: int, device: int) -> None:
        self.answers = (folder, closed, device)
        self.last = 0

    def syscall(self, number: Any, descriptor: Any, *rest: Any) -> int:
        self.last = self.answers[0 if descriptor.value >= 0 else 1]
        return -bool(self.last)

    def quotactl(self, *rest: Any) -> int:
        self.last = self.answers[2]
        return -bool(self.last)


@pytest.mark.parametrize(
    ("folder", "closed", "device", "kinds"),
    [
        # none is on
        (errno.ENOSYS, errno.EBADF, errno.ENOENT, ()),
        (errno.ESRCH, errno.EBADF, errno.ENOENT, ()),
        # before Linux 5.14 the device is asked, which need not be there to be named
        (errno.ENOSYS, errno.ENOSYS, errno.ENOSYS, ()),
        (errno.ENOSYS, errno.ENOSYS, errno.ENOENT, errno.ENOENT),
        (errno.EPERM, errno.EPERM, errno.EPERM, errno.EPERM),
        (errno.ENOSYS, errno.ENOSYS, errno.EPERM, errno.EPERM),
    ],
)
def test_an_older_kernel_is_told_from_one_without_quotas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: int, closed: int, device: int, kinds: Any
) -> None:
    """ENOSYS of quotactl_fd means that no quota is on, or that there is no such call: the latter says so of a closed folder, too."""
    library = Library(folder, closed, device)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: library)
    monkeypatch.setattr(ctypes, "get_errno", lambda: library.last)
    if isinstance(kinds, int):
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is looked at
            quota.kinds_on(str(tmp_path))
        assert caught.value.errno == kinds
    else:
        assert quota.kinds_on(str(tmp_path)) == kinds
