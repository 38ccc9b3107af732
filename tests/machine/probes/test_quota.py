"""Quotas of disks bound what is free."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.recordings import ROOT_MOUNT, SPACE, lawful, place
from selfhost import check
from selfhost.machine.changes import apply
from selfhost.machine.probes import (
    quota,
    read_machine,
)
from selfhost.machine.probes.recorded import RecordedHost
from selfhost.machine.probes.recorder import Recorder


@pytest.mark.parametrize(
    ("options", "on"),
    [
        ("rw,usrquota", True), ("rw,attr2,inode64,logbufs=8,usrquota,grpquota", True), ("rw,usrjquota=aquota.user,jqfmt=vfsv1", True),
        ("rw,attr2,inode64,noquota", False), ("rw,inode64,prjquota", False), ("rw,usrquotas", False),
    ],
)  # fmt: skip
def test_quotas_are_told(build: Callable[..., RecordedHost], options: str, on: bool) -> None:
    """statvfs knows nothing of a user's quota (a cluster's home folder): that there are some is said. A project's quota it knows."""
    mounts = ROOT_MOUNT + f"50 22 8:17 / /home rw,relatime - xfs /dev/sdb1 {options}\n"
    space = SPACE | {
        "/home": {"free_bytes": 50 * 10**9, "total_bytes": 60 * 10**9, "read_only": False}
    }
    host = build(
        {"/proc/self/mountinfo": mounts},
        {"HOME": "/home/ada"},
        space=space,
        writable={"/home": True},
    )
    record = Recorder(host)
    machine = read_machine(record)
    lawful(machine)
    finding = check("qwen3-0.6b", machine=machine).finding("disk")
    assert finding is not None
    assert (finding.code, "`quota -s`" in (finding.remedy or "")) == (
        ("disk-assumed", True) if on else ("disk-fits", False)
    )
    stated = check("qwen3-0.6b", machine=apply(machine, ["disk=100GB"])).finding("disk")
    assert stated is not None
    assert stated.code == "disk-fits"
    folder = Path(host.folder) / "again"
    record.write(str(folder))
    assert [
        entry.fact
        for entry in read_machine(RecordedHost(str(folder))).unread
        if entry.fact.endswith(".quota")
    ] == [entry.fact for entry in machine.unread if entry.fact.endswith(".quota")]


QUOTA_MOUNTS = ROOT_MOUNT + "50 22 8:17 / /home rw,relatime - xfs /dev/sdb1 rw,usrquota,grpquota\n"


@pytest.mark.parametrize(
    ("quotas", "free", "whose"),
    [
        ([], 50, None),
        ([("user", 20, 18)], 2, "user"),
        ([("user", 20, 18), ("group", 300, 299)], 1, "group"),
        ([("user", 20, 25)], 0, "user"),
        ([("user", 900, 18)], 50, None),
    ],
)
def test_a_quota_bounds_what_is_free(
    build: Callable[..., RecordedHost],
    quotas: list[tuple[str, int, int]],
    free: int,
    whose: str | None,
) -> None:
    """The least of the volume and of each quota that holds for the account; the answer says whose it is, and a record keeps it."""
    space = SPACE | {
        "/home": {"free_bytes": 50 * 10**9, "total_bytes": 60 * 10**9, "read_only": False}
    }
    told = [
        {"kind": kind, "limit_bytes": limit * 10**9, "used_bytes": used * 10**9}
        for kind, limit, used in quotas
    ]
    facts = {"space": space, "writable": {"/home": True}, "quotas": {"/home": told}}
    record = Recorder(build({"/proc/self/mountinfo": QUOTA_MOUNTS}, {"HOME": "/home/ada"}, **facts))
    machine = read_machine(record)
    lawful(machine)
    found = place(machine, "huggingface")
    assert (found.free_bytes, found.quota) == (free * 10**9, whose)
    assert not [
        entry.fact for entry in machine.unread if entry.fact.startswith("disks.huggingface")
    ]
    finding = check("mistral-7b", machine=machine).finding("disk")
    assert finding is not None
    assert finding.code == ("disk-fits" if free == 50 else "disk-too-small")
    assert (f"under the {whose}'s quota" in finding.reason) is (whose is not None)
    assert ("quota" in machine.sources["disks.huggingface"]) is (whose is not None)
    folder = Path(record.inner.folder) / "again"  # type: ignore[attr-defined]
    record.write(str(folder))
    assert place(read_machine(RecordedHost(str(folder))), "huggingface") == found
    stated = check("mistral-7b", machine=apply(machine, ["disk=100GB"])).finding("disk")
    assert stated is not None
    assert (stated.code, "quota" in stated.reason) == ("disk-fits", False)


def test_a_quota_that_is_not_told_is_not_none(build: Callable[..., RecordedHost]) -> None:
    """A container may be forbidden to ask (Docker's seccomp profile), and a service's quota is told to it alone: unread, with why."""
    unit = {
        "/etc/systemd/system/ollama.service": "[Service]\nUser=ollama\nEnvironment=OLLAMA_MODELS=/home/models\n"
    }
    space = SPACE | {
        "/home": {"free_bytes": 50 * 10**9, "total_bytes": 60 * 10**9, "read_only": False}
    }
    files = {"/proc/self/mountinfo": QUOTA_MOUNTS, **unit}
    record = Recorder(
        build(
            files,
            {"HOME": "/home/ada"},
            space=space,
            writable={"/home": True},
            quotas={"/home": "EPERM"},
        )
    )
    machine = read_machine(record)
    assert "Operation not permitted" in machine.why_unread("disks.huggingface.quota").reason
    assert "that service account" in machine.why_unread("disks.ollama.quota").reason
    finding = check("qwen3-0.6b", machine=machine).finding("disk")
    assert finding is not None
    assert finding.code == "disk-assumed"
    folder = Path(record.inner.folder) / "again"  # type: ignore[attr-defined]
    record.write(str(folder))
    assert read_machine(RecordedHost(str(folder))).why_unread(
        "disks.huggingface.quota"
    ) == machine.why_unread("disks.huggingface.quota")


def test_quotas_as_the_kernel_lays_them_out() -> None:
    """`struct if_dqblk` and `struct fs_quota_stat` (include/uapi/linux/quota.h and dqblk_xfs.h): limits in KiB, use in bytes."""

    def block(hard: int, soft: int, used: int, until: int = 0) -> bytes:
        return struct.pack("=8QI", hard, soft, used, 0, 0, 3, until, 0, 63).ljust(128, b"\0")

    assert quota.parse_block(block(1000, 0, 5), now=0) == (1_024_000, 5)
    # a soft limit refuses nothing before its grace is over
    assert quota.parse_block(block(1000, 500, 600 * 1024, until=2000), now=1999) == (
        1_024_000,
        614_400,
    )
    assert quota.parse_block(block(1000, 500, 600 * 1024, until=2000), now=2000) == (
        512_000,
        614_400,
    )
    assert quota.parse_block(block(0, 500, 600 * 1024, until=2000), now=1999) is None
    assert quota.parse_block(block(0, 0, 5), now=0) is None
    # qs_version, a hole, qs_flags: accounting and enforcement of users', enforcement of groups'
    assert quota.parse_state(struct.pack("@bHb", 1, 0b1011, 0).ljust(128, b"\0")) == 0b1011


@pytest.mark.skipif(sys.platform != "linux", reason="Linux' quotas")
def test_a_file_system_without_quotas_has_none() -> None:
    """procfs has none: the kernel says ENOSYS, as of one whose quotas were turned off (fs/quota/quota.c). A container may be refused."""
    try:
        assert quota.ask("/proc", {}) == quota.kinds_on("/proc") == ()
    except PermissionError:
        pytest.skip("quotas may not be asked here")


@pytest.mark.skipif(sys.platform != "linux", reason="quotas are asked of Linux alone")
def test_a_file_system_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several places of models lie on one; each asks with its own folder's group."""
    asked: list[int] = []

    def counted(_number: int, device: int) -> tuple[str, ...]:
        asked.append(device)
        return ()

    monkeypatch.setattr(quota, "_kinds_on", counted)
    folders = [tmp_path / name for name in ("hub", "ollama", "hub/models")]
    enforced_on: dict[int, tuple[str, ...]] = {}
    for folder in folders:
        folder.mkdir()
        assert quota.ask(str(folder), enforced_on) == ()
    assert asked == [tmp_path.stat().st_dev]
