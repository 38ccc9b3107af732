"""Disks that are none, that tell no size, that hold no more files, and what is not read of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from helpers.recordings import NO_LIMITS, ROOT_MOUNT
from selfhost import check
from selfhost.judge.checks import Finding
from selfhost.machine.changes import apply
from selfhost.machine.probes import read_machine
from selfhost.machine.probes.host import RecordedHost
from selfhost.machine.record import Disk, Machine

GIB = 2**30
# the machine's RAM: a group of 7 GiB of it decides nothing about where files lie
MEMINFO = "MemTotal: 7340032 kB\nMemFree: 7340032 kB\nMemAvailable: 7240032 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"
# what llama.cpp makes copies of the weights for
CPUINFO = "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: sse4_2 avx avx2 fma f16c bmi2\n\n"


def space(free: int = 100 * 10**9, total: int = 200 * 10**9, **more: Any) -> dict[str, Any]:
    return {"free_bytes": free, "total_bytes": total, "read_only": False, **more}


# as large as half of another machine's RAM: nothing tells it from a disk
SMALL = space(6 * GIB, 7 * GIB)


@pytest.fixture
def machine_of(build: Callable[..., RecordedHost]) -> Callable[..., Machine]:
    """A Linux of these mounts and facts; models go to /models."""
    files = {"/proc/meminfo": MEMINFO, "/proc/cpuinfo": CPUINFO, "/models/m.gguf": "", **NO_LIMITS}
    env = {"HOME": "/", "HF_HOME": "/models", "LLAMA_CACHE": "/models"}

    def make(mounts: str, space: dict[str, Any] = SMALL) -> Machine:
        mounted = {"/proc/self/mountinfo": ROOT_MOUNT + mounts}
        facts = {"space": {"/models": space}, "writable": {"/": True}}
        return read_machine(build(files | mounted, env, **facts))

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
def test_what_holds_the_bytes(machine_of: Callable[..., Machine], name: str) -> None:
    """By the mount table: RAM is told, and so is what cannot be seen; neither passes as a disk."""
    mounts, in_memory, backing = MEDIA[name]
    machine = machine_of(mounts)
    found = disk_of(machine)
    assert (found.in_memory, found.backing) == (in_memory is True, backing)
    assert (reason(machine, "backing") is not None) is (in_memory is None)
    told = finding(machine, "disk").code
    assert (told == "disk-slow-or-volatile") is (in_memory is not False or found.on_network)
    # a disk that a person states is one
    if in_memory is None:
        assert finding(apply(machine, ["disk=100GB"]), "disk").code == "disk-fits"


@pytest.mark.parametrize(("total", "is_known"), [(8, True), (7, False), (6, False)])
def test_no_memory_holds_a_volume_that_is_larger(
    machine_of: Callable[..., Machine], total: int, is_known: bool
) -> None:
    """A container's root of 200 GB lies on a disk, though its layer is not seen: a tmpfs is half of RAM unless told otherwise."""
    size = space(5 * GIB, total * GIB)
    machine = machine_of(OVERLAY, size)
    assert (reason(machine, "backing") is None) is is_known
    assert ("taken for a disk" in machine.sources["disks.llama.cpp"]) is is_known
    # lxcfs shows a container's limit as the machine's RAM
    lxcfs = OVERLAY + "50 22 0:60 /proc/meminfo /proc/meminfo rw - fuse.lxcfs lxcfs rw\n"
    assert reason(machine_of(lxcfs, size), "backing") is not None


@pytest.mark.parametrize(
    ("kind", "options", "has_quotas"),
    [
        ("ext4", "rw", False),
        ("ext4", "rw,usrjquota=aquota.user,jqfmt=vfsv1", True),
        ("xfs", "rw,uquota", True),
    ],
)
def test_quotas_are_not_read_and_that_is_said(
    machine_of: Callable[..., Machine], kind: str, options: str, has_quotas: bool
) -> None:
    """What they leave is not known: the finding is no pass, and names what tells it."""
    mount = f"40 22 8:17 / /models rw,relatime - {kind} /dev/sdb1 {options}\n"
    machine = machine_of(mount, space())
    assert (reason(machine, "quota") is not None) is has_quotas
    assert finding(machine, "disk").code == ("disk-assumed" if has_quotas else "disk-fits")
