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

from helpers.recordings import LINUX, ROOT_MOUNT
from selfhost import Outcome, check
from selfhost.machine.changes import apply
from selfhost.machine.probes import Host, quota, quota_groups, read_machine
from selfhost.machine.probes.medium import medium_of_file
from selfhost.machine.probes.recorded import RecordedHost
from selfhost.machine.probes.recorder import Recorder
from selfhost.machine.record import Disk, Machine
from selfhost.verdict.findings import Finding

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


def seven_gib(host: Host) -> Machine:
    return apply(read_machine(host), ["memory=7GiB", "gpu=none"])


def reason(machine: Machine, part: str) -> str | None:
    return next(
        (entry.reason for entry in machine.unread if entry.fact == f"disks.llama.cpp.{part}"), None
    )


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


# files that take RAM

OVERLAY = "40 22 0:40 / /models rw,relatime - overlay overlay rw,lowerdir=/usr/low,upperdir={},workdir=/work/acme,uuid=on\n"
RUN = "30 22 0:25 / /run rw,nosuid - tmpfs tmpfs rw,size=4g\n"
UPPER = {"/run/acme/up/.keep": "", "/usr/low/.keep": "", "/run/acme/img": ""}
LOOP = "40 22 7:3 / /models rw - ext4 /dev/loop3 rw\n"


def on_device(number: str, *files: tuple[str, str]) -> dict[str, str]:
    return {f"/sys/dev/block/{number}/{name}": text for name, text in files}


def of_device(name: str, *files: tuple[str, str]) -> dict[str, str]:
    return {f"/sys/class/block/{name}/{file}": text for file, text in files}


MEDIA: dict[str, tuple[str, dict[str, str], bool | None, str | None]] = {
    # the mount table as Linux 6.18 wrote it of `mount -t overlay` over a tmpfs
    "overlay over tmpfs": (RUN + OVERLAY.format("/run/acme/up"), UPPER, True, "tmpfs"),
    "a comma and a space in octal": (RUN + OVERLAY.format(r"/run/acme\054\040x"), {"/run/acme, x/.keep": ""}, True, "tmpfs"),
    # as Linux 6.1 writes what was typed with a backslash before the comma
    "a backslash, a comma and a space in octal": (
        RUN + OVERLAY.format(r"/run/acme\134\054\040x"), {"/run/acme, x/.keep": ""}, True, "tmpfs",
    ),
    "a mount that tells a name": (
        "30 22 0:25 / /srv/acme rw - tmpfs none rw\n" + OVERLAY.format("/srv/acme/up"), {"/srv/acme/up/.keep": ""}, True, "tmpfs",
    ),
    "overlay over a disk": (OVERLAY.format("/var/up"), {"/var/up/.keep": ""}, False, "ext4"),
    "the layer of another name space": (OVERLAY.format("/var/lib/docker/overlay2/1/diff"), {}, None, None),
    "a layer that leads back": (OVERLAY.format("/models/up"), {"/models/up/.keep": ""}, None, None),
    "a layer named from where it was mounted": (OVERLAY.format("up"), {"/up/.keep": ""}, None, None),
    "read-only": ("40 22 0:40 / /models ro - overlay overlay ro,lowerdir=/a:/b\n", {}, False, None),
    "overlay over overlay over tmpfs": (
        RUN + "35 22 0:35 / /mid rw - overlay overlay rw,lowerdir=/a,upperdir=/run/acme/up\n" + OVERLAY.format("/mid/up"),
        {**UPPER, "/mid/up/.keep": ""}, True, "tmpfs",
    ),
    "fuse-overlayfs": ("40 22 0:40 / /models rw - fuse.fuse-overlayfs fuse-overlayfs rw,user_id=0\n", {}, None, None),
    "loop device on tmpfs": (RUN + LOOP, {**UPPER, **on_device("7:3", ("loop/backing_file", "/run/acme/img\n"))}, True, "tmpfs"),
    "loop device on a disk": (LOOP, {"/srv/img": "", **on_device("7:3", ("loop/backing_file", "/srv/img\n"))}, False, "ext4"),
    "a file that was removed": (RUN + LOOP, on_device("7:3", ("loop/backing_file", "/run/acme/img (deleted)\n")), None, None),
    "btrfs has a number of its own": (
        RUN + "40 22 0:50 / /models rw - btrfs /dev/loop3 rw,subvol=/\n",
        {**UPPER, **of_device("loop3", ("loop/backing_file", "/run/acme/img\n"))}, True, "tmpfs",
    ),
    "zram": ("40 22 251:0 / /models rw - ext4 /dev/zram0 rw\n", on_device("251:0", ("comp_algorithm", "[lzo] zstd\n")), True, "zram"),
    "a RAM disk": ("40 22 1:0 / /models rw - ext4 /dev/ram0 rw\n", {}, True, "brd"),
    # a live system's root: a snapshot whose changes are kept in memory
    "device mapper, part of it in RAM": (
        RUN + "40 22 253:0 / /models rw - ext4 /dev/mapper/live rw\n",
        {**UPPER, "/srv/img": "", **on_device("253:0", ("slaves/loop0", ""), ("slaves/loop1", "")),
         **of_device("loop0", ("loop/backing_file", "/srv/img\n")), **of_device("loop1", ("loop/backing_file", "/run/acme/img\n"))},
        None, None,
    ),
    "device mapper in RAM": (
        RUN + "40 22 253:0 / /models rw - ext4 /dev/mapper/live rw\n",
        {**UPPER, **on_device("253:0", ("slaves/loop1", "")), **of_device("loop1", ("loop/backing_file", "/run/acme/img\n"))},
        True, "tmpfs",
    ),
    "initramfs": ("40 22 0:2 / /models rw - rootfs none rw,size=4g\n", {}, True, None),
    "hugetlbfs": ("40 22 0:2 / /models rw - hugetlbfs none rw\n", {}, True, None),
    "a disk": ("40 22 8:17 / /models rw - xfs /dev/sdb1 rw\n", {}, False, None),
    "a server": ("40 22 0:77 / /models rw - fuse.sshfs host:/ rw\n", {}, False, None),
}  # fmt: skip


@pytest.mark.parametrize("name", MEDIA)
def test_what_holds_the_bytes(build: Build, tmp_path: Path, name: str) -> None:
    """By the mount table and sysfs (proc(5), Documentation/filesystems/overlayfs.rst): RAM is told, and so is what cannot be seen.

    A record answers the same and keeps no name of a layer.
    """
    mounts, files, in_memory, backing = MEDIA[name]
    first, second, text = again(build(ROOT_MOUNT + mounts, files), tmp_path / "record")
    for machine in (first, second):
        found = disk_of(machine)
        assert (found.in_memory, found.backing) == (in_memory is True, backing)
        assert (reason(machine, "backing") is not None) is (in_memory is None)
    assert reason(first, "backing") == reason(second, "backing")
    assert "acme" not in text
    # whatever is not told is no pass, and what takes RAM is not told as a disk
    told = finding(first, "disk", "qwen3-0.6b")
    if name == "read-only":
        assert told.code == "disk-not-writable"
    else:
        assert (told.code == "disk-slow-or-volatile") is (
            in_memory is not False or disk_of(first).on_network
        )
    # a disk that a person states is one
    if in_memory is None:
        assert finding(apply(first, ["disk=100GB"]), "disk", "qwen3-0.6b").code == "disk-fits"


def test_an_overlay_over_tmpfs_is_judged_as_the_tmpfs(build: Build) -> None:
    """A live system's root: what is downloaded there takes RAM, as on the tmpfs itself, which `df` shows as its size."""
    tmpfs = "40 22 0:41 / /models rw - tmpfs tmpfs rw,size=7g\n"
    plain = seven_gib(build(ROOT_MOUNT + tmpfs))
    layered = seven_gib(build(ROOT_MOUNT + RUN + OVERLAY.format("/run/acme/up"), UPPER))
    for machine in (plain, layered):
        assert finding(machine, "memory").code == "memory-too-small"
        assert "files that would lie in RAM" in finding(machine, "memory").reason
    assert finding(layered, "memory") == finding(plain, "memory")
    assert "overlay over tmpfs: files there use RAM" in finding(layered, "disk").reason
    # on a disk it is no matter
    assert finding(seven_gib(build(ROOT_MOUNT)), "memory").code == "memory-fits"


def test_a_layer_that_cannot_be_seen_may_be_ram(build: Build) -> None:
    """The files join the most that it may take, and not the least: too close to call where they decide, a pass where they do not."""
    hidden = seven_gib(build(ROOT_MOUNT + OVERLAY.format("/gone/up")))
    on_disk = seven_gib(build(ROOT_MOUNT))
    told, plain = finding(hidden, "memory"), finding(on_disk, "memory")
    assert isinstance(told.needs, int)
    assert isinstance(plain.needs, int)
    size = finding(hidden, "disk").needs
    assert isinstance(size, int)
    assert told.needs == plain.needs + size
    assert told.code == "memory-close"
    assert "files that may lie in RAM" in told.reason
    assert finding(hidden, "memory", "qwen3-0.6b").code == "memory-fits"
    assert "not to be seen from here" in finding(hidden, "disk").reason


@pytest.mark.parametrize(("total", "known"), [(8 * GIB, True), (7 * GIB, False), (6 * GIB, False)])
def test_no_memory_holds_a_volume_that_is_larger(build: Build, total: int, known: bool) -> None:
    """A container's root of 200 GB lies on a disk, though its layer is not seen: a tmpfs is half of RAM unless told otherwise."""
    docker = "22 1 0:40 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/var/lib/docker/overlay2/1/diff\n"
    machine = read_machine(build(docker, space={"/models": space(5 * GIB, total)}))
    assert (reason(machine, "backing") is None) is known
    # lxcfs shows a container's limit as the machine's RAM
    lxcfs = docker + "50 22 0:60 /proc/meminfo /proc/meminfo rw - fuse.lxcfs lxcfs rw\n"
    assert (
        reason(read_machine(build(lxcfs, space={"/models": space(5 * GIB, total)})), "backing")
        is not None
    )


HIDDEN = {
    # statvfs of an overlay is that of its upper layer (ovl_statfs): shmem_statfs keeps nothing for
    # root, and gives one file for two pages of RAM (shmem_default_max_inodes)
    "tmpfs of size=200g": ({"free_files": 917_000, "reserved_bytes": 0}, {}, True, False),
    "ext4": ({"free_files": 917_000, "reserved_bytes": 5 * 10**9}, {}, False, False),
    "xfs": ({"free_files": 90_000_000, "reserved_bytes": 0}, {}, False, True),
    "btrfs": ({"reserved_bytes": 0}, {}, False, True),
    "tree of 0.1": ({}, {}, False, True),
    "ext4 on zram": (
        {"free_files": 917_000, "reserved_bytes": 5 * 10**9},
        {"/sys/block/zram0/size": f"{200 * 10**9 // 512 + 9}\n"}, True, False,
    ),
    "zram for swap": (
        {"free_files": 917_000, "reserved_bytes": 5 * 10**9},
        {"/sys/block/zram0/size": "16777216\n"}, False, False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HIDDEN)
def test_the_size_of_a_tmpfs_is_a_limit_and_no_proof(
    build: Build, tmp_path: Path, name: str
) -> None:
    """A hidden layer larger than RAM and swap: what its free space tells of a tmpfs stays unread, a guess is called one."""
    more, files, is_unread, is_guess = HIDDEN[name]
    docker = "22 1 0:40 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/var/lib/docker/overlay2/1/diff\n"
    first, second, _ = again(
        build(docker, files, space={"/models": space(**more)}), tmp_path / "record"
    )
    for machine in (first, second):
        assert (reason(machine, "backing") is not None) is is_unread
        assert ("taken for a disk" in machine.sources["disks.huggingface"]) is is_guess
        assert finding(machine, "disk").code == (
            "disk-slow-or-volatile" if is_unread else "disk-fits"
        )


@pytest.mark.parametrize(
    ("files", "in_memory"),
    [
        ({"/run/acme/up/sub/m.gguf": ""}, True),
        ({"/usr/low/sub/m.gguf": "", "/run/acme/up/.keep": ""}, False),
        ({"/usr/low/sub/m.gguf": ""}, None),
        ({"/run/acme/up/.keep": ""}, None),
    ],
)
def test_a_file_lies_in_the_first_layer_that_has_it(
    build: Build, files: dict[str, str], in_memory: bool | None
) -> None:
    """Documentation/filesystems/overlayfs.rst: the upper object is the visible one; else that of the topmost lower layer."""
    host = build(
        ROOT_MOUNT + RUN + OVERLAY.format("/run/acme/up"), {"/models/sub/m.gguf": "", **files}
    )
    found = medium_of_file(host, "/models/sub/m.gguf")
    assert found is not None
    assert found.in_memory is in_memory


# file systems that tell no size, and those without room for a file


@pytest.mark.parametrize("kind", ["ramfs", "tmpfs", "fuse.acme"])
def test_a_size_that_is_not_told_is_not_zero(build: Build, tmp_path: Path, kind: str) -> None:
    """statvfs of a ramfs, of `tmpfs size=0` and of a FUSE program without statfs gives no blocks at all: unread, with what to do."""
    host = build(
        ROOT_MOUNT + f"40 22 0:40 / /models rw - {kind} none rw\n", space={"/models": space(0, 0)}
    )
    for machine in again(host, tmp_path / "record")[:2]:
        found = disk_of(machine)
        assert (found.free_bytes, found.total_bytes, found.writable) == (None, None, True)
        assert "tells no size" in (reason(machine, "free_bytes") or "")
        told = finding(machine, "disk")
        assert (told.code, told.outcome) == ("disk-unread", Outcome.UNKNOWN)
        assert "--set disk=100GB" in (told.remedy or "")
        # RAM bounds what is stored there all the same; where a FUSE program keeps its files is its own matter
        bounded = finding(apply(machine, ["memory=64GiB", "gpu=none"]), "memory").reason
        word = "may" if kind == "fuse.acme" else "would"
        assert f"files that {word} lie in RAM" in bounded


@pytest.mark.parametrize("free_files", [0, 1, None])
def test_a_file_system_without_inodes_takes_no_file(
    build: Build, tmp_path: Path, free_files: int | None
) -> None:
    """`mount -o nr_inodes=1`: every byte is free, and no file can be made (ENOSPC). A file system without such a limit tells none."""
    told = space() if free_files is None else space(free_files=free_files)
    machines = again(build(ROOT_MOUNT, space={"/models": told}), tmp_path / "record")[:2]
    for machine in (*machines, Machine.from_json(json.loads(json.dumps(machines[0].to_json())))):
        found = finding(machine, "disk", "qwen3-0.6b")
        assert disk_of(machine).free_files == free_files
        assert found.code == ("disk-not-writable" if free_files == 0 else "disk-fits")
        assert ("no free inodes" in found.reason) is (free_files == 0)
        assert finding(apply(machine, ["disk=100GB"]), "disk", "qwen3-0.6b").code == "disk-fits"


@pytest.mark.parametrize(("files", "left", "told"), [(0, 0, None), (10, 0, 0), (10, 7, 7)])
def test_what_statvfs_says_of_inodes(
    monkeypatch: pytest.MonkeyPatch, files: int, left: int, told: int | None
) -> None:
    """f_files is 0 where the file system has no fixed number of them (btrfs, FAT); f_favail is what an ordinary account may make."""
    answer = SimpleNamespace(
        f_bavail=1, f_bfree=1, f_blocks=2, f_frsize=4096, f_flag=0, f_files=files, f_favail=left
    )
    monkeypatch.setattr(os, "statvfs", lambda _path: answer, raising=False)
    found = Host({}, "linux").space("/")
    assert found is not None
    assert found.free_files == told
    # other systems fill the field in with anything
    other = Host({}, "macos").space("/")
    assert other is not None
    assert other.free_files is None


def test_a_record_without_the_newer_facts_is_read() -> None:
    """Records written before say nothing of layers and inodes: that is no fault, and a tmpfs is RAM by its name."""
    machine = Machine.from_json(
        {"disks": [{"purpose": "llama.cpp", "path": "/m", "filesystem": "tmpfs", "free_bytes": 1}]}
    )
    assert (disk_of(machine).backing, disk_of(machine).free_files, disk_of(machine).in_memory) == (
        None,
        None,
        True,
    )


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
    host = build(
        ROOT_MOUNT + HOME.format(filesystem), space={"/models": space()}, quotas={"/models": quotas}
    )
    first, second, _ = again(host, tmp_path / "record")
    for machine in (first, second):
        assert (disk_of(machine).free_bytes, disk_of(machine).quota) == (free * 10**9, whose)
        assert reason(machine, "quota") is None
        assert finding(machine, "disk").code == ("disk-fits" if whose is None else "disk-too-small")


@pytest.mark.parametrize(
    ("filesystem", "options", "lookups", "free"),
    [
        ("ext4", "rw", "0\n", 100),
        ("ext4", "rw", "17\n", 2),
        # what the mount states is asked for, and what the kernel does not count there
        ("ext4", "rw,usrquota", "0\n", 2),
        ("xfs", "rw,uquota", "0\n", 2),
        ("btrfs", "rw", "0\n", 2),
        ("bcachefs", "rw", "0\n", 2),
    ],
)
def test_quotas_that_nobody_met_since_the_system_started_are_not_asked_for(
    build: Build, tmp_path: Path, filesystem: str, options: str, lookups: str, free: int
) -> None:
    """Where a quota is on, to open any file for writing looks it up (fs/quota/dquot.c); the kernel counts that."""
    mount = HOME.format(filesystem).replace(" rw\n", f" {options}\n")
    host = build(
        ROOT_MOUNT + mount,
        {"/proc/sys/fs/quota/lookups": lookups},
        space={"/models": space()},
        quotas={"/models": [limit("user", 2 * 10**9)]},
    )
    first, second, _ = again(host, tmp_path / "record")
    for machine in (first, second):
        assert disk_of(machine).free_bytes == free * 10**9


def test_quotas_that_were_turned_off_are_none(build: Build) -> None:
    """`quotaoff` leaves the mount's options as they are: the kernel then says ENOSYS, which is an answer and no lack of one."""
    stated = HOME.format("ext4").replace(" rw\n", " rw,usrjquota=aquota.user,jqfmt=vfsv1\n")
    machine = read_machine(
        build(ROOT_MOUNT + stated, space={"/models": space()}, quotas={"/models": "ENOSYS"})
    )
    assert reason(machine, "quota") is None
    assert finding(machine, "disk").code == "disk-fits"


def test_quotas_that_may_not_be_asked_are_said_so(build: Build) -> None:
    """In a container quotactl is forbidden: a doubt where options state quotas, a word beside the figure where none does."""
    machine = read_machine(
        build(
            ROOT_MOUNT + HOME.format("ext4"),
            space={"/models": space()},
            quotas={"/models": "EPERM"},
        )
    )
    assert finding(machine, "disk").code == "disk-fits"
    assert (
        "whether quotas are on could not be asked: Operation not permitted"
        in machine.sources["disks.llama.cpp"]
    )


@pytest.mark.parametrize(("kinds", "unread"), [(["user"], True), ([], False), ("EPERM", False)])
def test_a_services_quota_is_unread_where_one_is_on(
    build: Build, tmp_path: Path, kinds: Any, unread: bool
) -> None:
    """Whether quotas are on anybody may ask; what they leave is told to the account alone."""
    unit = {
        "/etc/systemd/system/ollama.service": "[Service]\nUser=ollama\nEnvironment=OLLAMA_MODELS=/models\n"
    }
    host = build(
        ROOT_MOUNT + HOME.format("ext4"),
        unit,
        space={"/models": space()},
        quotas={"/models": []},
        quotas_on={"/models": kinds},
    )
    for machine in again(host, tmp_path / "record")[:2]:
        told = [entry.reason for entry in machine.unread if entry.fact == "disks.ollama.quota"]
        assert [("that service account" in text) for text in told] == [True] * unread


@pytest.mark.parametrize(
    ("above", "own", "told"), [(2, 3, True), (4, 3, False), (2, None, True), (200, None, False)]
)
def test_a_quota_group_above_may_hold(
    build: Build, tmp_path: Path, above: int, own: int | None, told: bool
) -> None:
    """A group of level 1 limits the subvolumes in it, and which those are only root may ask: a doubt where it would leave less."""
    quotas = [limit("quota group", above * 10**9)] + (
        [limit("subvolume", own * 10**9)] if own else []
    )
    host = build(
        ROOT_MOUNT + HOME.format("btrfs"), space={"/models": space()}, quotas={"/models": quotas}
    )
    for machine in again(host, tmp_path / "record")[:2]:
        assert disk_of(machine).free_bytes == (own or 100) * 10**9
        assert (f"leaves {above}.00 GB" in (reason(machine, "quota_above") or "")) is told
        assert finding(machine, "disk", "qwen3-0.6b").code == (
            "disk-assumed" if told else "disk-fits"
        )
        assert finding(apply(machine, ["disk=100GB"]), "disk", "qwen3-0.6b").code == "disk-fits"


def group(**values: int) -> dict[str, int]:
    return (
        dict.fromkeys(quota_groups._KEYS, 0)
        | {"max_referenced": 2**64 - 1, "max_exclusive": 2**64 - 1}
        | values
    )


def test_the_limits_of_a_quota_group() -> None:
    """include/uapi/linux/btrfs_tree.h: bit 0 of the flags limits what is referenced, bit 1 what is exclusive; reservations count."""
    assert quota_groups.limit_of(group(referenced=5, max_referenced=9)) is None
    assert quota_groups.limit_of(group(limit_flags=1, referenced=5, max_referenced=9)) == (9, 5)
    assert quota_groups.limit_of(
        group(limit_flags=1, referenced=5, max_referenced=9, rsv_data=2, rsv_meta_prealloc=1)
    ) == (9, 8)
    both = group(limit_flags=3, referenced=5, max_referenced=9, exclusive=1, max_exclusive=3)
    assert quota_groups.limit_of(both) == (3, 1)


@pytest.mark.parametrize(
    ("subvolume", "kinds"),
    [
        (256, ["subvolume", "quota group"]),
        (257, ["quota group"]),
        (None, ["quota group", "quota group"]),
    ],
)
def test_the_groups_of_a_subvolume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subvolume: int | None, kinds: list[str]
) -> None:
    """sysfs has a folder `LEVEL_NUMBER` for each: of level 0 the number is the subvolume's, and other subvolumes' do not hold."""
    monkeypatch.setattr(quota_groups, "SYSFS", str(tmp_path))
    monkeypatch.setattr(quota_groups, "_place", lambda _folder: ("f00d", subvolume))
    with pytest.raises(OSError, match="quota groups"):
        quota_groups.ask_groups("/models")
    (tmp_path / "f00d").mkdir()
    monkeypatch.setattr(
        os,
        "uname",
        lambda: SimpleNamespace(release="6.1.0-56-amd64", machine="x86_64"),
        raising=False,
    )
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
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    folder: int,
    closed: int,
    device: int,
    kinds: Any,
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
