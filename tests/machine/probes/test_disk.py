"""Disks that are none, that tell no size, that hold no more files, and what is not read of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.recordings import LINUX, ROOT_MOUNT
from selfhost import check
from selfhost.judge.checks import Finding
from selfhost.machine.changes import apply
from selfhost.machine.probes import read_machine
from selfhost.machine.probes.recorded import RecordedHost
from selfhost.machine.record import Disk, Machine

GIB = 2**30
Build = Callable[..., RecordedHost]
LIMITS = "Max data size             unlimited            unlimited            bytes\n"
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

    def make(
        mounts: str,
        files: dict[str, str] | None = None,
        env: dict[str, str] | None = None,
        **facts: Any,
    ) -> RecordedHost:
        folder = tmp_path / f"machine-{next(numbers)}"
        for path, text in {
            "/proc/self/mountinfo": mounts, "/proc/meminfo": MEMINFO, "/proc/self/limits": LIMITS, "/models/.keep": "",
            "/proc/cpuinfo": CPUINFO, **(files or {}),
        }.items():  # fmt: skip
            place = folder / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        (folder / "env.json").write_text(
            json.dumps({"HOME": "/", "HF_HOME": "/models", "LLAMA_CACHE": "/models", **(env or {})})
        )
        whole = {"space": {"/models": SMALL}, "writable": {"/": True}, **LINUX, **facts}
        (folder / "facts.json").write_text(json.dumps(whole))
        return RecordedHost(str(folder))

    return make


def disk_of(machine: Machine) -> Disk:
    found = machine.disk_for("llama.cpp")
    assert found is not None
    return found


def reason(machine: Machine, part: str) -> str | None:
    fact = f"disks.llama.cpp.{part}"
    return next((entry.reason for entry in machine.unread if entry.fact == fact), None)


def finding(machine: Machine, name: str, model: str = "qwen3-0.6b") -> Finding:
    found = check(model, machine=machine).finding(name)
    assert found is not None
    return found


OVERLAY = (
    "40 22 0:40 / /models rw - overlay overlay rw,lowerdir=/l,upperdir=/var/lib/docker/1/diff\n"
)
# mounts, whether files take RAM (None: not told), and what holds the bytes
MEDIA: dict[str, tuple[str, bool | None, str | None]] = {
    "tmpfs": ("40 22 0:41 / /models rw - tmpfs tmpfs rw,size=7g\n", True, None),
    "overlay": (OVERLAY, None, None),
    "fuse-overlayfs": ("40 22 0:40 / /models rw - fuse.fuse-overlayfs fuse-overlayfs rw\n", None, None),
    "loop device": ("40 22 7:3 / /models rw - ext4 /dev/loop3 rw\n", None, None),
    "zram": ("40 22 251:0 / /models rw - ext4 /dev/zram0 rw\n", True, "zram"),
    "a RAM disk": ("40 22 1:0 / /models rw - ext4 /dev/ram0 rw\n", True, "brd"),
    "initramfs": ("40 22 0:2 / /models rw - rootfs none rw,size=4g\n", True, None),
    "a disk": ("40 22 8:17 / /models rw - xfs /dev/sdb1 rw\n", False, None),
    "a server": ("40 22 0:77 / /models rw - fuse.sshfs host:/ rw\n", False, None),
}  # fmt: skip


@pytest.mark.parametrize("name", MEDIA)
def test_what_holds_the_bytes(build: Build, name: str) -> None:
    """By the mount table: RAM is told, and so is what cannot be seen; neither passes as a disk."""
    mounts, in_memory, backing = MEDIA[name]
    host = build(ROOT_MOUNT + mounts, {"/models/m.gguf": ""})
    machine = read_machine(host)
    found = disk_of(machine)
    assert (found.in_memory, found.backing) == (in_memory is True, backing)
    assert (reason(machine, "backing") is not None) is (in_memory is None)
    told = finding(machine, "disk").code
    assert (told == "disk-slow-or-volatile") is (in_memory is not False or found.on_network)
    # a disk that a person states is one
    if in_memory is None:
        assert finding(apply(machine, ["disk=100GB"]), "disk").code == "disk-fits"


@pytest.mark.parametrize(("total", "is_known"), [(8, True), (7, False), (6, False)])
def test_no_memory_holds_a_volume_that_is_larger(build: Build, total: int, is_known: bool) -> None:
    """A container's root of 200 GB lies on a disk, though its layer is not seen: a tmpfs is half of RAM unless told otherwise."""
    told = {"/models": space(5 * GIB, total * GIB)}
    machine = read_machine(build(ROOT_MOUNT + OVERLAY, space=told))
    assert (reason(machine, "backing") is None) is is_known
    # lxcfs shows a container's limit as the machine's RAM
    lxcfs = OVERLAY + "50 22 0:60 /proc/meminfo /proc/meminfo rw - fuse.lxcfs lxcfs rw\n"
    assert reason(read_machine(build(ROOT_MOUNT + lxcfs, space=told)), "backing") is not None


@pytest.mark.parametrize(
    ("kind", "options", "files", "has_quotas"),
    [
        ("ext4", "rw", {}, False),
        ("ext4", "rw,usrjquota=aquota.user,jqfmt=vfsv1", {}, True),
        ("xfs", "rw,uquota", {}, True),
        ("btrfs", "rw", {}, False),
    ],
)
def test_quotas_are_not_read_and_that_is_said(
    build: Build, kind: str, options: str, files: dict[str, str], has_quotas: bool
) -> None:
    """What they leave is not known: the finding is no pass, and names what tells it."""
    mount = f"40 22 8:17 / /models rw,relatime - {kind} /dev/sdb1 {options}\n"
    machine = read_machine(build(ROOT_MOUNT + mount, files, space={"/models": space()}))
    assert (reason(machine, "quota") is not None) is has_quotas
    assert finding(machine, "disk").code == ("disk-assumed" if has_quotas else "disk-fits")
