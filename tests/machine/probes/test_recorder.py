"""Recorded trees: what --record writes gives --root the same facts, holds no names, and every broken tree is told as what it is."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.goldens import Golden
from helpers.paths import MACHINES
from helpers.recordings import DeadVolume
from selfhost.cli import main as cli
from selfhost.cli.machine import public_models
from selfhost.core.errors import MachineFileError
from selfhost.machine.probes import Host, read_machine, recorder
from selfhost.machine.probes.host import Space
from selfhost.machine.probes.recorded import RecordedHost, file_name
from selfhost.machine.probes.recorder import Recorder
from selfhost.machine.reader import Machine

TREES = sorted(path for path in MACHINES.glob("*/root") if path.is_dir())
GIB = 2**30


def name_of(tree: Path) -> str:
    return tree.parent.name


def facts_of(machine: Machine) -> dict[str, Any]:
    """The record, ids told apart by their numbers taken as one."""
    found: dict[str, Any] = json.loads(re.sub(r"\bID\d+\b", "ID", json.dumps(machine.to_json())))
    return found


def again(host: Host, folder: Path) -> tuple[Machine, Machine]:
    """As read while recording, and as read from the record."""
    noted = Recorder(host)
    first = read_machine(noted)
    noted.write(str(folder))
    return first, read_machine(RecordedHost(str(folder)))


def run(words: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    return cli.main(words), out.getvalue(), err.getvalue()


# the round trip


@pytest.mark.parametrize("tree", TREES, ids=name_of)
def test_a_record_of_a_recording_gives_the_same_facts(tree: Path, tmp_path: Path) -> None:
    """Values, sources, and reasons of what was not read."""
    first, second = again(RecordedHost(str(tree)), tmp_path / "new")
    assert facts_of(second) == facts_of(first) == facts_of(read_machine(RecordedHost(str(tree))))


def test_a_record_of_this_machine_gives_the_same_facts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real one, whatever it is, in a folder whose name is kept; and the record is small."""
    monkeypatch.chdir("/")
    first, second = again(Host(), tmp_path / "new")
    # where programs lie, models and control groups are told by other names, which may be somebody's
    runtimes = [
        [(found.id, found.version) for found in machine.runtimes or ()]
        for machine in (first, second)
    ]
    assert runtimes[0] == runtimes[1]
    models = [
        sorted((found.store or "", found.size_bytes) for found in machine.models_present or ())
        for machine in (first, second)
    ]
    assert models[0] == models[1]
    rest = [
        json.dumps(facts_of(machine.replace(runtimes=(), models_present=())))
        for machine in (first, second)
    ]
    assert re.sub(r"control group [^ :]+", "", rest[1]) == re.sub(
        r"control group [^ :]+", "", rest[0]
    )
    assert (
        sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
        < recorder.MAX_BYTES
    )


# what `Host` works out from what it asked
DERIVED = {
    "host_names",
    "real",
    "read_text",
    "read_word",
    "why",
    "missing",
    "paths",
    "mounts",
    "psutil",
    "live",
    "names",
}


def test_every_question_to_the_computer_is_recorded_and_answered() -> None:
    """A new method of Host is either worked out from others, or both noted by the Recorder and answered from a tree."""
    asked = {name for name in vars(Host) if not name.startswith("_")} - DERIVED
    assert asked - {"home"} <= set(vars(Recorder))
    assert asked - {"home", "within", "mount_of", "layer", "clean", "hide"} <= set(
        vars(RecordedHost)
    )


# names and addresses

HOME = "/home/ada-lovelace"
BOX = "4f2e8f0b9d6c1a7e5b3d9f8c0a1e2d3c4b5a69788796a5b4c3d2e1f001122334"
SECRETS = (
    "ada-lovelace", "bob", "analytical", BOX[:12], "192.0.2.7", "fe80::1ff", "aa:bb:cc", "hunter2", "100000009a3f5b21", "sk-key",
    "engine-host",    "GPU-1f", "builder@", "/mnt/secret-project", "server.example", "swapfile-of",
)  # fmt: skip


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A tree full of what must not be passed on."""
    group = f"/kubepods.slice/docker-{BOX}.scope"
    files = {
        "/proc/meminfo": "MemTotal: 16777216 kB\nMemFree: 1048576 kB\nMemAvailable: 12582912 kB\nSwapTotal: 2048 kB\nSwapFree: 2048 kB\n",
        "/proc/swaps": "Filename Type Size Used Priority\n/home/swapfile-of-bob file 2048 0 -2\n",
        "/proc/sys/vm/overcommit_memory": "0\n",
        "/proc/cpuinfo": "flags\t: fpu sse2\nmodel name\t: A processor\nSerial\t\t: 100000009a3f5b21\n",
        "/proc/self/status": "Name:\tanalytical\nUid:\t1815\t1815\nVmSize:\t 1048576 kB\nCpus_allowed_list:\t0-3\nMems_allowed_list:\t0\n",
        "/proc/self/limits": "Max data size    unlimited  unlimited  bytes\nMax address space   unlimited   unlimited   bytes\n",
        "/proc/self/cgroup": f"0::{group}\n",
        "/proc/self/mountinfo": "22 1 8:1 / / rw,relatime - ext4 /dev/disk/by-uuid/aaaa rw\n"
        "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
        f"31 22 0:40 /export/bob {HOME}/models rw - nfs4 server.example:/export/bob rw,addr=192.0.2.7,username=bob,password=hunter2\n"
        "32 22 0:41 / /mnt/secret-project rw - cifs //192.0.2.7/x rw,username=bob\n",
        "/sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
        "/sys/fs/cgroup/kubepods.slice/memory.max": "max\n",
        "/sys/fs/cgroup/kubepods.slice/memory.high": "max\n",
        "/sys/fs/cgroup/kubepods.slice/cpu.max": "max 100000\n",
        f"/sys/fs/cgroup{group}/memory.max": "4294967296\n",
        f"/sys/fs/cgroup{group}/memory.high": "max\n",
        f"/sys/fs/cgroup{group}/memory.current": "1048576\n",
        f"/sys/fs/cgroup{group}/memory.stat": "inactive_file 4096\nactive_file 0\n",
        f"/sys/fs/cgroup{group}/cpu.max": "200000 100000\n",
        "/sys/devices/system/cpu/online": "0-3\n",
        "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000:Bob Analytical:/home/bob:/bin/sh\nada-lovelace:x:1:1:Ada:/x:/y\n",
        "/etc/systemd/system/ollama.service": "[Service]\nUser=bob\nEnvironment=OLLAMA_API_KEY=sk-key HTTPS_PROXY=http://bob:hunter2@192.0.2.7\n",
        "/proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  590.48.01  Build  (builder@engine-host)  Wed\n",
        "/proc/driver/nvidia/gpus/0000%3A01%3A00.0/information": "Model: \t\t NVIDIA A100\nGPU UUID: \t GPU-1f2e3d4c-aaaa\n",
        "/sys/bus/pci/devices/0000%3A01%3A00.0/class": "0x030200\n",
        "/sys/bus/pci/devices/0000%3A01%3A00.0/vendor": "0x10de\n",
        "/dev/nvidia0": "x",
        f"{HOME}/bin/llama-server": "",
        f"{HOME}/work/notes": "",
    }
    for path, text in files.items():
        place = tmp_path / "private" / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    env = {
        "HOME": HOME,
        "USER": "ada-lovelace",
        "HF_HOME": f"{HOME}/models",
        "KUBERNETES_SERVICE_HOST": "192.0.2.7",
        "LLAMA_CACHE": "/d/x",
    }
    facts = {
        "system": "linux", "machine": "x86_64", "pointer_bits": 64, "page_bytes": 4096, "affinity": [0, 1, 2, 3], "cwd": f"{HOME}/work",
        "space": {"/": {"free_bytes": 50, "total_bytes": 100, "read_only": False}}, "writable": {"/": True},
        "links": {f"{HOME}/models/hub": "/mnt/at-fe80::1ff:fe23:4567:890a/hub"}, "runnable": [f"{HOME}/bin/llama-server"],
    }  # fmt: skip
    env["PATH"] = f"{HOME}/bin:/mnt/secret-project/bin"
    (tmp_path / "private" / "env.json").write_text(json.dumps(env))
    (tmp_path / "private" / "facts.json").write_text(json.dumps(facts))
    return tmp_path / "private"


def test_a_record_holds_no_names_and_addresses(private: Path, tmp_path: Path) -> None:
    """Neither in a file nor in a file's name nor in the answer; and the facts are those of the machine all the same."""
    first, second = again(RecordedHost(str(private)), tmp_path / "new")
    assert facts_of(second) == facts_of(first)
    assert second.memory_limit_bytes == 4 * GIB
    assert second.cpu_cores_usable == 2.0
    assert second.scope == "container"
    told = [json.dumps(second.to_json())]
    for path in (tmp_path / "new").rglob("*"):
        told.append(path.relative_to(tmp_path).as_posix())
        if path.is_file():
            told.append(path.read_text())
    whole = "\n".join(told)
    assert [secret for secret in SECRETS if secret in whole] == []


def test_a_record_holds_no_names_of_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The current folder and those of models may bear a client's name: the record has others in their place, and says the same."""
    work = tmp_path / "projects" / "jane.doe" / "AcmeMerger"
    cache = work / "big models"
    cache.mkdir(parents=True)
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(work)
    name = "bartowski_Mistral-7B-Instruct-v0.3-GGUF_Mistral-7B-Instruct-v0.3-Q4_K_M.gguf"
    with (cache / name).open("wb") as stream:
        stream.truncate(4_372_812_000)
    env = {
        "HOME": str(tmp_path / "home"),
        "LLAMA_CACHE": str(cache),
        "HF_HOME": "../JaneShelf",
        "OLLAMA_MODELS": "~/SecretClient/models",
    }
    noted = Recorder(Host(env, "linux"), public_models())
    first = read_machine(noted)
    noted.write(str(tmp_path / "record"))
    every = list((tmp_path / "record").rglob("*"))
    written = "".join(
        f"{path.relative_to(tmp_path)}\n{path.read_bytes() if path.is_file() else b''!r}"
        for path in every
    )
    for word in ("jane.doe", "AcmeMerger", "big models", "JaneShelf", "SecretClient"):
        assert word not in written, word
    assert "FOLDER1" in written
    replayed = read_machine(RecordedHost(str(tmp_path / "record")))
    for machine in (first, replayed):
        models = [(model.file, model.size_bytes) for model in machine.models_present or ()]
        assert models == [("Mistral-7B-Instruct-v0.3-Q4_K_M.gguf", 4_372_812_000)]
    told = [
        [
            (disk.purpose, disk.free_bytes, disk.filesystem, disk.writable)
            for disk in one.disks or ()
        ]
        for one in (first, replayed)
    ]
    assert told[0] == told[1]


def test_a_record_holds_no_other_peoples_names(tmp_path: Path) -> None:
    """Folders and disks of others, servers of shares and addresses in paths: none is passed on, and each is told from the next."""
    stores = {
        "HF_HOME": "/media/mary/Big Disk/hf",
        "LLAMA_CACHE": "/mnt/grace-nas/models",
        "OLLAMA_MODELS": "//fileserver.corp.example/share/192.0.2.7/models",
        "PATH": "/home/Jane Roe/bin:/run/media/kim/bin:/home/linuxbrew/.linuxbrew/bin",
    }
    programs = [
        "/home/Jane Roe/bin/ollama",
        "/run/media/kim/bin/whisper-cli",
        "/home/linuxbrew/.linuxbrew/bin/llama-server",
    ]
    sizes = {"free_bytes": 50, "total_bytes": 100, "read_only": False}
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "env.json").write_text(
        json.dumps(stores | {"HOME": "/root", "USER": "root", "SUDO_USER": "grace"})
    )
    facts = {
        "system": "linux", "machine": "x86_64", "runnable": programs, "cwd": "/home/bob-k",
        "space": {"/media/mary": sizes, "/home/bob-k": sizes | {"free_bytes": 70}},
    }  # fmt: skip
    (tree / "facts.json").write_text(json.dumps(facts))
    live = json.dumps(read_machine(RecordedHost(str(tree))).to_json())
    assert "192.0.2.7" not in live
    assert [
        name for name in ("grace", "mary", "fileserver", "Jane", "Roe", "kim") if name in live
    ] == []
    again(RecordedHost(str(tree)), tmp_path / "new")
    whole = "\n".join(
        path.relative_to(tmp_path / "new").as_posix() for path in (tmp_path / "new").rglob("*")
    )
    whole += "".join(path.read_text() for path in (tmp_path / "new").rglob("*") if path.is_file())
    assert [
        name
        for name in (
            "mary",
            "grace",
            "fileserver",
            "corp",
            "192.0.2.7",
            "Jane",
            "Roe",
            "kim",
            "bob",
        )
        if name in whole
    ] == []
    assert "linuxbrew" in whole
    disks = {
        disk.purpose: disk for disk in read_machine(RecordedHost(str(tmp_path / "new"))).disks or ()
    }
    assert (disks["huggingface"].free_bytes, disks["whisper.cpp"].free_bytes) == (50, 70)


HOSTILE = (
    "zebedee-smith", r"zebedee\x2dsmith", "AcmeMerger", "quarry17", "192.0.2.9", "2001:db8", "0123456789abcdef", "S3R1AL", "hunter2",
    "ops@acme", "payroll",

)  # fmt: skip


class Named(RecordedHost):
    """A recorded machine that calls itself something."""

    def hostname(self) -> str | None:
        return "quarry17.acme.example"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """Names in every place where a person, a client or a computer may be called by one."""
    group = r"/user_zebedee-smith/home-zebedee\x2dsmith.slice/quarry17-runner.scope"
    home = "/export/people/zebedee-smith"
    flat = "memory.max", "memory.high", "memory.current"
    files = {
        "/proc/meminfo": "MemTotal: 16777216 kB\nMemFree: 1048576 kB\nMemAvailable: 12582912 kB\nSwapTotal: 2048 kB\nSwapFree: 2048 kB\n",
        "/proc/swaps": "Filename Type Size Used Priority\n/dev/mapper/quarry17--vg-swap partition 2048 0 -2\n",
        "/proc/self/limits": "Max data size    unlimited  unlimited  bytes\nMax address space   unlimited   unlimited   bytes\n",
        "/proc/self/status": "Cpus_allowed_list:\t0-3\nMems_allowed_list:\t0\n",
        "/proc/cpuinfo": "flags\t: fpu sse2\nSerial\t\t: S3R1AL\n",
        "/proc/self/cgroup": f"0::{group}\n",
        "/proc/self/mountinfo": "22 1 8:1 / / rw,relatime - ext4 /dev/mapper/quarry17--vg-root rw\n"
        "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
        "31 22 0:40 /clients/AcmeMerger /srv/AcmeMerger rw - ext4 /dev/sdb1 rw\n"
        "32 22 0:41 / /dev/shm/AcmeMerger rw - tmpfs ops@acme.example rw,size=1k,uid=1815\n"
        "33 22 0:42 / /export/people rw - nfs4 quarry17.acme.example:/people rw,addr=2001:db8::7,clientaddr=192.0.2.9\n",
        "/etc/machine-id": "0123456789abcdef0123456789abcdef\n",
        "/sys/class/dmi/id/product_serial": "S3R1AL\n",
        "/srv/AcmeMerger/bin/llama-server": "",
        "/srv/AcmeMerger/lib/python3.12/site-packages/transformers-4.57.0.dist-info/METADATA": "",
        f"{home}/payroll-venv/lib/python3.12/site-packages/vllm-0.11.0.dist-info/METADATA": "",
        f"{home}/payroll/x": "",
        "/dev/shm/AcmeMerger/x": "",
        "/dev/AcmeMerger-vg/root": "",
        "/etc/systemd/system/ollama.service": "[Service]\nUser=root\nEnvironment=HOME=/nowhere\n",
        "/etc/systemd/system/ollama.service.d/10-AcmeMerger.conf": "[Service]\nEnvironment=OLLAMA_MODELS=/dev/shm/AcmeMerger/models\n",
        "/etc/systemd/system/ollama.service.d/9-payroll.conf": "[Service]\nEnvironment=OLLAMA_MODELS=/dev/shm/AcmeMerger/hub\n",
    }
    for above in ("", group.split("/")[1], "/".join(group.split("/")[1:3])):
        files |= {f"/sys/fs/cgroup/{above}/{name}": "max\n" for name in flat[:2] if above}
    files |= {
        f"/sys/fs/cgroup{group}/{name}": text
        for name, text in zip(flat, ("4294967296\n", "max\n", "1048576\n"), strict=True)
    }
    files |= {
        f"/sys/fs/cgroup{group}/memory.stat": "inactive_file 4096\nactive_file 0\n",
        "/sys/fs/cgroup/cgroup.controllers": "memory\n",
    }
    for path, text in files.items():
        # as a tree has a backslash, on every system
        place = tmp_path / "hostile" / file_name(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    env = {
        "HOME": home, "USER": "zebedee-smith", "LOGNAME": "zebedee-smith", "HF_HOME": "/srv/AcmeMerger/hf", "LLAMA_CACHE": "/fast",
        "OLLAMA_MODELS": "/dev/shm/AcmeMerger/ollama", "PATH": "/srv/AcmeMerger/bin:/usr/bin", "VIRTUAL_ENV": f"{home}/payroll-venv",
        "XDG_DATA_HOME": f"{home}/payroll", "HF_TOKEN": "hunter2", "HTTPS_PROXY": "http://zebedee-smith:hunter2@192.0.2.9",
    }  # fmt: skip
    space = {"free_bytes": 50, "total_bytes": 100, "read_only": False}
    facts = {
        "system": "linux", "machine": "x86_64", "pointer_bits": 64, "page_bytes": 4096, "affinity": [0, 1, 2, 3], "cwd": f"{home}/payroll",
        "space": {"/": space}, "writable": {"/": True}, "links": {"/fast": "/disks/AcmeMerger/fast"},
        "runnable": ["/srv/AcmeMerger/bin/llama-server"], "python_path": ["/srv/AcmeMerger/lib/python3.12/site-packages"],
    }  # fmt: skip
    (tmp_path / "hostile" / "env.json").write_text(json.dumps(env))
    (tmp_path / "hostile" / "facts.json").write_text(json.dumps(facts))
    return tmp_path / "hostile"


def test_a_record_of_a_hostile_home_holds_none_of_its_names(hostile: Path, tmp_path: Path) -> None:
    """In groups, units, mounts, PATH, packages, environments, links, serial numbers: none is passed on, and the figures stay."""
    first, second = again(Named(str(hostile)), tmp_path / "new")
    told = "\n".join(
        path.relative_to(tmp_path / "new").as_posix() for path in (tmp_path / "new").rglob("*")
    )
    told += "".join(path.read_text() for path in (tmp_path / "new").rglob("*") if path.is_file())
    assert [name for name in HOSTILE if name in told] == []
    live = json.dumps(first.to_json())
    assert [
        name
        for name in (
            "zebedee",
            "quarry17",
            "192.0.2.9",
            "2001:db8",
            "S3R1AL",
            "hunter2",
            "ops@acme",
        )
        if name in live
    ] == []
    assert first.memory_limit_bytes == second.memory_limit_bytes == 4 * GIB
    runtimes = [
        [(one.id, one.version) for one in machine.runtimes or ()] for machine in (first, second)
    ]
    assert (
        runtimes[0]
        == runtimes[1]
        == [("llama.cpp", None), ("transformers", "4.57.0"), ("vllm", "0.11.0")]
    )
    disks = [
        [(disk.purpose, disk.free_bytes, disk.filesystem) for disk in machine.disks or ()]
        for machine in (first, second)
    ]
    assert disks[0] == disks[1]
    assert {purpose: kind for purpose, _, kind in disks[0]}["ollama"] == "tmpfs"
    # the last of the files beside the unit wins, whatever they are called
    stores = [machine.disk_for("ollama") for machine in (first, second)]
    assert [store.path.rpartition("/")[2] for store in stores if store] == ["hub", "hub"]


@pytest.mark.parametrize(
    ("group", "kept"),
    [
        (
            "/user.slice/user-1000.slice/alice-user@1000.service",
            "/user.slice/user-1000.slice/GROUP1.service",
        ),
        ("/acme-payroll/acme-payroll/night", "/GROUP1/GROUP1/GROUP2"),
        (r"/user.slice/app-acme\x2dcorp.slice", "/user.slice/GROUP1.slice"),
        ("/system.slice/acme-docker.service", "/system.slice/docker-GROUP1.service"),
        ("/system.slice/docker-" + "9" * 63 + "a.scope", "/system.slice/docker-ID.scope"),
        (
            "/user.slice/user-1000.slice/session-c2.scope",
            "/user.slice/user-1000.slice/session-c2.scope",
        ),
    ],
)
@pytest.mark.parametrize("old", [True, False])
def test_a_record_holds_no_names_of_control_groups(
    group: str, kept: str, old: bool, tmp_path: Path
) -> None:
    """A group may bear anybody's name; the record calls it otherwise wherever it stands, and limits and scope stay."""
    point = "/sys/fs/cgroup/cpu,cpuacct" if old else "/sys/fs/cgroup"
    kind = "cgroup cgroup rw,cpu,cpuacct" if old else "cgroup2 cgroup2 rw"
    files = {
        "/proc/self/cgroup": f"{'1:cpu,cpuacct' if old else '0:'}:{group}\n",
        "/proc/self/mountinfo": f"22 1 8:1 / / rw - ext4 none rw\n30 22 0:26 / {point} rw - {kind}\n",
        "/sys/devices/system/cpu/online": "0-3\n",
    }
    limits = (
        {"cpu.cfs_quota_us": "150000\n", "cpu.cfs_period_us": "100000\n"}
        if old
        else {"cpu.max": "150000 100000\n"}
    )
    steps = group.strip("/").split("/")
    for depth in range(1, len(steps) + 1):
        files |= {
            f"{point}/{'/'.join(steps[:depth])}/{name}": text for name, text in limits.items()
        }
    for path, text in files.items():
        place = tmp_path / "tree" / file_name(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    (tmp_path / "tree" / "facts.json").write_text(
        json.dumps({"system": "linux", "affinity": [0, 1, 2, 3]})
    )
    first, second = again(RecordedHost(str(tmp_path / "tree")), tmp_path / "new")
    assert (second.cpu_cores_usable, second.scope) == (first.cpu_cores_usable, first.scope)
    assert second.cpu_cores_usable == 1.5
    assert (tmp_path / "new" / "proc" / "self" / "cgroup").read_text().strip().endswith(":" + kept)
    told = "".join(
        path.relative_to(tmp_path / "new").as_posix() for path in (tmp_path / "new").rglob("*")
    )
    told += "".join(path.read_text() for path in (tmp_path / "new").rglob("*") if path.is_file())
    assert [name for name in ("alice", "acme", "payroll", "night", "corp") if name in told] == []


@pytest.mark.parametrize(
    "name",
    [
        "max",
        "high",
        "node",
        "nvidia",
        "dev",
        "core",
        "cpu",
        "stat",
        "bytes",
        "free",
        "site",
        "online",
    ],
)
def test_whoever_is_called_as_the_kernel_calls_its_files_is_recorded_right(
    private: Path, tmp_path: Path, name: str
) -> None:
    """An account of the name `max` must not turn memory.max into something that is not there; a Jetson's is `nvidia`."""
    facts = json.loads((private / "facts.json").read_text().replace("ada-lovelace", name))
    env = json.loads((private / "env.json").read_text().replace("ada-lovelace", name))
    (private / "facts.json").write_text(json.dumps(facts))
    (private / "env.json").write_text(json.dumps(env))
    (private / "home" / "ada-lovelace").rename(private / "home" / name)
    mounts = private / "proc" / "self" / "mountinfo"
    mounts.write_text(mounts.read_text().replace("ada-lovelace", name))
    first, second = again(RecordedHost(str(private)), tmp_path / "new")
    assert facts_of(second) == facts_of(first)
    assert (second.memory_limit_bytes, second.cpu_cores_usable, second.scope) == (
        4 * GIB,
        2.0,
        "container",
    )
    assert second.sources["memory_limit_bytes"].endswith(": memory.max 4.00 GiB")
    assert [(card.vendor, card.driver) for card in second.accelerators or ()] == [
        ("nvidia", "590.48.01")
    ]


def test_ids_stay_apart(tmp_path: Path) -> None:
    """Two devices, of which a variable names one, are not taken for each other in the record."""
    noted = Recorder(RecordedHost(str(TREES[0])))
    one, two = "GPU-5c89852c-d268-c3f3-1b07", "GPU-6d89852c-d268-c3f3-1b07"
    noted.facts["links"] = {"/a": one, "/b": two, "/c": one}
    noted.write(str(tmp_path / "new"))
    links = json.loads((tmp_path / "new" / "facts.json").read_text())["links"]
    assert links["/a"] == links["/c"] != links["/b"]


# bounds and refusals


def test_a_record_is_never_written_over_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder with something in it, a file and a folder that cannot be made are refused with exit code 2, and stay as they were."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    for name in ("full", "full/mine", "full/mine/below", "nul\0"):
        code, out, err = run(["machine", "--record", str(tmp_path / name)], monkeypatch)
        assert (code, out) == (2, "")
        assert "name a new or empty folder" in err or "\0" in name
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "mine"]
    code, out, err = run(["machine", "--record", str(tmp_path / "new" / "deep")], monkeypatch)
    assert code == 0
    assert "look through it" in err


def test_a_record_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit is unread in the record, the largest files first, and never a wrong figure."""
    monkeypatch.setattr(recorder, "MAX_BYTES", 20_000)
    first, second = again(
        RecordedHost(str(TREES[-1].parents[1] / "linux-vm-2gib-parent" / "root")), tmp_path / "new"
    )
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 25_000
    assert second.memory_limit_bytes == first.memory_limit_bytes
    small = {
        fact: value for fact, value in second.to_json().items() if fact not in ("sources", "unread")
    }
    assert all(value is None or value == first.to_json()[fact] for fact, value in small.items())


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda tree: tree.rmdir(), "does not exist"),
        (lambda _tree: None, "holds no recorded machine"),
        (lambda tree: (tree / "facts.json").write_text("{"), "is not JSON"),
        (lambda tree: (tree / "facts.json").write_text("[" * 100_000), "is nested too deeply"),
        (lambda tree: (tree / "facts.json").write_text("[]"), "is not a JSON object"),
        (
            lambda tree: (tree / "facts.json").write_text(
                '{"space": {"/": {"free_bytes": 5, "total_bytes": 9, "read_only": false, "free_files": -3}}}'
            ),
            "facts.json: space: is not",
        ),
        (lambda tree: (tree / "facts.json").write_text(" " * (2**22 + 1)), "is larger than"),
        (lambda tree: (tree / "facts.json").mkdir(), "is a folder, not a file"),
    ],
)
def test_a_folder_that_is_no_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], object], told: str
) -> None:
    """Exit code 2 and what is wrong, never an empty machine."""
    tree = tmp_path / "tree"
    tree.mkdir()
    make(tree)
    code, out, err = run(["machine", "--root", str(tree)], monkeypatch)
    assert (code, out) == (2, "")
    assert told in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "value",
    [None, 7, "x", [], {}, [None], {"/": None}, {"/": {"free_bytes": "x"}}, True, -1, 1e300],
)
def test_facts_of_another_type_are_faults(tmp_path: Path, value: object) -> None:
    """A record that was written by hand is read, or the key that is wrong is named; nothing else happens."""
    keys = (
        "machine", "release", "pointer_bits", "page_bytes", "affinity", "address_space_bytes", "cwd", "python_path", "read_at", "memory",
        "swap_free", "cores", "job_limits", "processor_information", "space", "writable", "mounts", "links", "runnable", "errors",
        "processor_features", "registry", "system",
    )  # fmt: skip
    source = TREES[-1].parents[1] / "linux-vm-2gib-parent" / "root"
    for key in keys:
        (tmp_path / key).mkdir()
        (tmp_path / key / "proc").symlink_to(source / "proc")
        (tmp_path / key / "facts.json").write_text(json.dumps({"system": "linux", key: value}))
        fault = None
        try:
            machine = read_machine(RecordedHost(str(tmp_path / key)))
        except MachineFileError as error:
            fault = str(error)
        if fault is not None:
            assert f"facts.json: {key}: is not " in fault
            continue
        assert not any("failed" in entry.reason for entry in machine.unread), key
        assert Machine.from_json(machine.to_json(), unnamed=machine.name) == machine


def test_a_link_out_of_the_tree_leads_nowhere(tmp_path: Path) -> None:
    """A tree from somebody else reads none of this computer's files."""
    (tmp_path / "tree" / "proc" / "self").mkdir(parents=True)
    (tmp_path / "tree" / "proc" / "meminfo").symlink_to("/proc/meminfo")
    (tmp_path / "tree" / "etc").symlink_to("/etc")
    (tmp_path / "tree" / "proc" / "self" / "limits").symlink_to("../../../../proc/self/limits")
    host = RecordedHost(str(tmp_path / "tree"))
    for path in ("/proc/meminfo", "/etc/passwd", "/proc/self/limits", "/../../../etc/passwd"):
        assert host.missing(path)
    assert host.listdir("/etc") is None
    assert not host.exists("/etc/passwd")


def test_a_tree_as_it_lies_on_disk_is_read(tmp_path: Path) -> None:
    """Names with colons as Linux has them, or as a record writes them for systems that allow none."""
    for name in ("0000:00:1f.0", file_name("0000:00:20.0")):
        folder = tmp_path / "sys" / "bus" / "pci" / "devices" / name
        folder.mkdir(parents=True)
        (folder / "class").write_text("0x030000\n")
        (folder / "vendor").write_text("0x8086\n")
    host = RecordedHost(str(tmp_path))
    assert host.listdir("/sys/bus/pci/devices") == ["0000:00:1f.0", "0000:00:20.0"]
    # a processor's own graphics, on bus 00
    assert read_machine(host).accelerators == ()


@pytest.mark.skipif(sys.platform != "linux", reason="replaces Linux' mounts")
def test_a_volume_that_does_not_answer_is_recorded_as_such(tmp_path: Path) -> None:
    """Its space is unread for the same reason in the record, and reading the record does not wait."""
    never = threading.Event()
    try:
        _, second = again(DeadVolume(never), tmp_path / "new")
    finally:
        never.set()
    disk = second.disk_for("huggingface")
    assert disk is not None
    assert disk.free_bytes is None
    assert "no answer within" in second.why_unread("disks.huggingface.free_bytes").reason


STORED = {
    "hub/models--alicecorp--secret-model-GGUF/snapshots/{hash}/UD-Q4_K_XL/alicemodel-UD-Q4_K_XL-00001-of-00002.gguf": 50_000,
    "hub/models--alicecorp--secret-model-GGUF/snapshots/{hash}/UD-Q4_K_XL/alicemodel-UD-Q4_K_XL-00002-of-00002.gguf": 60_000,
    "hub/models--alicecorp--secret-model/snapshots/{hash}/model-00001-of-00001.safetensors": 70_000,
    "hub/models--alicecorp--secret-model/snapshots/{hash}/config.json": 2,
    "hub/models--mistralai--Mistral-7B-Instruct-v0.3/snapshots/{hash}/consolidated.safetensors": 80_000,
    "flat/alicecorp_secret-model-GGUF_alicemodel-Q4_K_M.gguf": 90_000,
    "flat/alicemodel-fp16.gguf": 100_000,
    "flat/alice-taxes.pdf": 1,
    "flat/Mistral-7B-Instruct-v0.3-Q4_K_M.gguf": 110_000,
    ".lmstudio/models/alicecorp/secret-model-GGUF/alicemodel-Q8_0.gguf": 120_000,
    "cwd/ggml-large-v3-q5_0.bin": 130_000,
    "cwd/ggml-alicevoice.bin": 140_000,
}


def test_a_record_holds_no_names_of_models_but_public_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Publishers and models outside the catalogue have others' names, one name always the same; what was read of each stays."""
    home = tmp_path / "disk"
    for name, size in STORED.items():
        place = home / name.format(hash="0123456789abcdef0123456789abcdef01234567")
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as stream:
            stream.truncate(size)
    layer = {
        "digest": "sha256:" + "ab12" * 16,
        "size": 7,
        "mediaType": "application/vnd.ollama.image.model",
    }
    manifest = {
        "layers": [layer],
        "config": layer | {"mediaType": "application/vnd.docker.container.image.v1+json"},
    }
    for name in ("alice/priv/latest", "alice/priv/8b-q4_K_M", "library/mistral/7b"):
        place = home / ".ollama" / "models" / "manifests" / "registry.ollama.ai" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(manifest))
    (home / ".ollama" / "models" / "blobs").mkdir()
    (home / ".ollama" / "models" / "blobs" / ("sha256-" + "ab12" * 16)).write_text("weights")
    monkeypatch.chdir(home / "cwd")
    env = {"HOME": str(home), "HF_HUB_CACHE": str(home / "hub"), "LLAMA_CACHE": str(home / "flat")}
    noted = Recorder(Host(env, "linux"), public_models())
    first = read_machine(noted)
    noted.write(str(tmp_path / "new"))
    second = read_machine(RecordedHost(str(tmp_path / "new")))
    told = "".join(
        path.relative_to(tmp_path / "new").as_posix() for path in (tmp_path / "new").rglob("*")
    )
    told += "".join(path.read_text() for path in (tmp_path / "new").rglob("*") if path.is_file())
    assert [
        name
        for name in ("alice", "secret", "priv", "taxes", "voice")
        if name in told.replace("private", "")
    ] == []
    facts = [
        sorted(
            (one.store, one.size_bytes, str(one.quantization), one.complete, not one.repository)
            for one in machine.models_present or ()
        )
        for machine in (first, second)
    ]
    assert len(facts[0]) == 12
    assert facts[1] == facts[0]
    public = [
        {
            one.tag or one.repository or one.file
            for one in machine.models_present or ()
            if "istral" in one.path or "large" in one.path
        }
        for machine in (first, second)
    ]
    files = {"Mistral-7B-Instruct-v0.3-Q4_K_M.gguf", "ggml-large-v3-q5_0.bin"}
    assert public[0] == {"mistral:7b", "mistralai/Mistral-7B-Instruct-v0.3", *files}
    assert public[1] == public[0]
    named = {
        one.repository
        for one in second.models_present or ()
        if one.repository and "GGUF" in one.repository
    }
    assert len(named) == 1


def test_a_volume_has_one_answer_in_a_record(tmp_path: Path) -> None:
    """Two stores in one folder, while another program writes to the volume: what was read and what is recorded are the same."""

    class Filling(Host):
        free_bytes = 100 * GIB

        def space(self, path: str) -> Space | None:
            self.free_bytes -= GIB
            return Space(free_bytes=self.free_bytes, total_bytes=200 * GIB, read_only=False)

    (tmp_path / "hub").mkdir()
    first, second = again(
        Filling({"HOME": "/", "HF_HUB_CACHE": str(tmp_path / "hub")}, "linux"), tmp_path / "new"
    )
    free = [
        [disk.free_bytes for disk in machine.disks or () if disk.purpose != "whisper.cpp"]
        for machine in (first, second)
    ]
    assert free[0] == free[1]


def test_where_lm_studio_would_store_models(tmp_path: Path) -> None:
    """Its volume is read where LM Studio was started once, by its own settings, and not told of where it is not there."""
    env = {"HOME": str(tmp_path / "disk")}
    (tmp_path / "disk" / ".lmstudio").mkdir(parents=True)
    assert read_machine(Host({"HOME": str(tmp_path)}, "linux")).disk_for("lm-studio") is None
    (tmp_path / "big").mkdir()
    for text, path in (
        ("{}", "~/.lmstudio/models"),
        (json.dumps({"downloadsFolder": str(tmp_path / "big")}), str(tmp_path / "big")),
    ):
        (tmp_path / "disk" / ".lmstudio" / "settings.json").write_text(text)
        first, second = again(Host(env, "linux"), tmp_path / f"new-{len(text)}")
        disk, recorded = first.disk_for("lm-studio"), second.disk_for("lm-studio")
        assert disk is not None
        assert recorded is not None
        assert disk.path == path
        assert recorded.free_bytes == disk.free_bytes
        assert (disk.free_bytes or 0) > 0


def test_a_store_that_is_no_folder_is_told_as_what_it_is(tmp_path: Path) -> None:
    """A file, and a link to nothing: downloads fail at both, and neither is "read only" or a word of the C library; so in the record."""
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "gone" / "models")
    env = {
        "HOME": str(tmp_path),
        "HF_HUB_CACHE": str(tmp_path / "file"),
        "OLLAMA_MODELS": str(tmp_path / "link" / "ollama"),
    }
    for machine in again(Host(env, "linux"), tmp_path / "new"):
        hub, ollama = (machine.disk_for(purpose) for purpose in ("huggingface", "ollama"))
        assert hub
        assert ollama
        assert (hub.writable, hub.free_bytes, ollama.free_bytes) == (False, None, None)
        assert machine.why_unread("disks.huggingface.free_bytes").reason.endswith(
            ": it is a file, not a folder"
        )
        why = machine.why_unread("disks.ollama.free_bytes")
        assert re.search(
            r": a link leads to ~/\S*/models/ollama, which does not exist$", why.reason
        )
        assert why.remedy == "make that folder, or remove the link"


def test_a_file_that_may_not_be_read_is_recorded_as_such(tmp_path: Path) -> None:
    """ "Not there" and "not allowed" are different answers: where a limit cannot be read, one may exist."""

    class Closed(RecordedHost):
        def read_bytes(self, path: str, limit: int) -> bytes:
            if path.endswith("memory.limit_in_bytes"):
                raise PermissionError(13, "Permission denied", path)
            return super().read_bytes(path, limit)

    first, second = again(
        Closed(str(TREES[-1].parents[1] / "linux-vm-no-limit" / "root")), tmp_path / "new"
    )
    assert second.memory_limit_bytes is None
    assert "Permission denied" in second.why_unread("memory_limit_bytes").reason
    assert facts_of(first) == facts_of(second)


# the command


def test_a_tree_is_judged_like_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """`selfhost machine --root DIR --format json | selfhost check MODEL --machine -`."""
    tree = str(TREES[-1].parents[1] / "linux-vm-2gib-parent" / "root")
    code, text, _ = run(["machine", "--root", tree, "--format", "json"], monkeypatch)
    assert code == 0
    assert json.loads(text)["memory_limit_bytes"] == 2 * GIB
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "selfhost",
            "check",
            "mistral-7b",
            "--machine",
            "-",
            "--format",
            "json",
        ],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    verdict = json.loads(done.stdout)
    assert verdict["machine"]["memory_limit_bytes"] == 2 * GIB
    assert verdict["route"] == "api"
    assert done.returncode == 1


def test_a_tree_goes_by_its_folders_name(tmp_path: Path) -> None:
    """Another computer is not "this machine"; the root of this one is."""
    (tmp_path / "build-07" / "proc").mkdir(parents=True)
    assert Machine.read(root=tmp_path / "build-07").name == "build-07"
    assert Machine.read(root="/").name == "this machine"
    with pytest.raises(MachineFileError, match="does not exist"):
        Machine.read(root=tmp_path / "nowhere")


def test_a_recorded_tree_is_no_folder_of_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--machine` takes records: a tree that --record wrote is named as what it is, with the command that makes a record of it."""
    tree = tmp_path / "bundle"
    again(RecordedHost(str(TREES[0])), tree)
    for words in (
        ["check", "mistral-7b", "--machine", str(tree)],
        ["list", "--machine", str(tree)],
    ):
        code, out, err = run(words, monkeypatch)
        assert (code, out) == (2, "")
        assert "is a recorded tree" in err
        assert f"selfhost machine --root {tree} --format json" in err
        assert "schema" not in err


@pytest.mark.parametrize(
    "words",
    [
        ["--root", "."],
        ["--record", "new"],
        ["--profiles", "--root", "."],
        ["--profiles", "--record", "new"],
    ],
)
def test_options_that_exclude_each_other(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tree keeps what was read: nothing in it can be measured, and a list of profiles reads no machine."""
    monkeypatch.chdir(tmp_path)
    code, out, _ = run(
        ["machine", *words, *([] if "--profiles" in words else ["--measure"])], monkeypatch
    )
    assert (code, out) == (2, "")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("tree", TREES, ids=name_of)
def test_what_machine_says_of_each_recording(
    tree: Path, golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole outputs, read by eye."""
    monkeypatch.setenv("COLUMNS", "140")
    code, text, _ = run(
        ["machine", "-v", "--root", str(tree), "--name", name_of(tree)], monkeypatch
    )
    assert code == 0
    golden(f"machine-{name_of(tree)}.txt", text)
