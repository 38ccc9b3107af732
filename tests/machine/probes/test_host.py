"""What is read of a machine: the one that runs the tests, one running process, what the machine is
(metal, virtual, a container, emulated), and the runtimes on it, which are found by their files and
never run.
"""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from helpers.recordings import (
    GIB,
    MEMINFO,
    ROOT_MOUNT,
    Build,
    DeadVolume,
    lawful,
    place,
    text_of,
)
from selfhost import Outcome, Route, check
from selfhost.catalogue.index import open_catalogue
from selfhost.machine.probes import host
from selfhost.machine.probes.host import Facts, Host
from selfhost.machine.probes.processes import read_process
from selfhost.machine.probes.recorded import RecordedHost
from selfhost.machine.probes.runtimes import read_runtimes
from selfhost.machine.probes.store_folders import present_table
from selfhost.machine.probes.texts import Mount
from selfhost.machine.reader import read_machine
from selfhost.machine.record import PURPOSES, Machine


def test_this_machine_is_read() -> None:
    """The real one, whatever it is: lawful, nothing went wrong on the way, and another reader gives
    the same total.
    """
    import psutil

    machine = Machine.read()
    lawful(machine)
    assert not any("failed" in entry.reason for entry in machine.unread)
    assert machine.system
    assert machine.architecture
    assert machine.memory_total_bytes == psutil.virtual_memory().total


def test_reading_loads_little_and_touches_nothing() -> None:
    """No socket, no child process, no write; and none of the libraries that make a program slow to
    start.
    """
    code = """
import sys
before = set(sys.modules)
events = []
def hook(event, args):
    if event.startswith(
        ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn")
    ):
        events.append(event)
    if event == "open" and (args[1] not in (None, "r", "rb") or (args[2] or 0) & 3):
        events.append(repr(args))
sys.addaudithook(hook)
from selfhost.machine.record import PURPOSES, Machine
Machine.read()
heavy = (
    "socket subprocess pathlib psutil rich argparse dataclasses inspect tempfile shutil threading"
).split()
print(events, [name for name in heavy if name in sys.modules and name not in before])
"""
    if sys.platform != "linux":
        pytest.skip("other systems need psutil")
    done = subprocess.run(
        [sys.executable, "-B", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[0] == "[] []"


@pytest.mark.skipif(sys.platform != "linux", reason="replaces Linux' mounts")
def test_a_dead_network_volume_is_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """statvfs on a dead server hangs: the reading goes on without it."""
    never = threading.Event()
    monkeypatch.setattr(host, "DEADLINE_SECONDS", 0.25)
    try:
        machine = read_machine(DeadVolume(never))
        found = place(machine, "huggingface")
        assert found.free_bytes is None
        assert found.filesystem == "nfs4"
        assert "no answer" in machine.why_unread("disks.huggingface.free_bytes").reason
        assert machine.memory_total_bytes
    finally:
        never.set()


def test_a_volume_that_cannot_be_looked_at_is_unread(tmp_path: Path) -> None:
    """Nor is its space that of the volume around it."""
    seen = Host({"HOME": str(tmp_path / "broken")})
    points = "/", str(tmp_path / "broken")
    seen.mounts = tuple(Mount(point=point, filesystem="ext4") for point in points)
    machine = read_machine(seen)
    assert place(machine, "huggingface").free_bytes is None
    assert (
        "cannot be looked at"
        in machine.why_unread("disks.huggingface.free_bytes").reason
    )


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_this_process_with_a_mapped_file(tmp_path: Path) -> None:
    """The pages that were read are counted as the file's; of no process nothing is."""
    assert read_process("4194305") is None
    path = tmp_path / "a.gguf"
    path.write_bytes(bytes(range(256)) * 4096)
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
    ):
        assert sum(mapped[::4096]) == 0
        seen = read_process(str(os.getpid()))
    assert seen is not None
    assert seen.model_file == str(path)
    assert seen.model_bytes == 1 << 20
    assert seen.memory_bytes > 2 << 20
    assert seen.words


@pytest.mark.parametrize("word", ["x86_64", "aarch64"])
def test_an_emulated_processor_is_not_judged(build: Build, word: str) -> None:
    """What it can do is not known, so neither is what runs there."""
    other = "arm-graviton2-neoverse-n1" if word == "x86_64" else "x86-zen5"
    real = text_of(f"cpuinfo/{other}.txt")
    machine = read_machine(
        build(
            {"/proc/cpuinfo": real, "/sys/devices/system/cpu/online": "0-3\n"},
            machine=word,
        )
    )
    assert "emulated" in machine.why_unread("instruction_sets").reason
    sizes = dict.fromkeys(
        (f"memory_{name}_bytes" for name in ("total", "limit", "available")), 64 * GIB
    )
    machine = machine.replace(cpu_cores_usable=16, **sizes)
    verdict = check("mistral-7b", machine=machine)
    found = {finding.check: finding for finding in verdict.findings}
    assert found["cpu"].outcome is Outcome.UNKNOWN
    assert verdict.route is Route.UNKNOWN


def test_rosetta(tmp_path: Path) -> None:
    """An x86_64 Python on Apple silicon says x86_64: the computer is an arm64 one
    (Comfy-Org/comfy-cli#568).
    """
    (tmp_path / "facts.json").write_text('{"system": "macos", "machine": "x86_64"}')
    (tmp_path / "sysctl.txt").write_text(
        "hw.optional.arm64: 1\nsysctl.proc_translated: 1\n"
    )
    machine = read_machine(RecordedHost(str(tmp_path)))
    assert machine.architecture == "aarch64"
    assert "Rosetta" in machine.sources["architecture"]


OVERLAY = ROOT_MOUNT.replace("ext4 /dev/sda1", "overlay overlay")
IN_IMAGE = {"/.dockerenv": "x"}


@pytest.mark.parametrize(
    ("flags", "files", "env", "scope"),
    [
        ("fpu sse2 hypervisor", {}, {}, "vm"),
        ("fpu sse2", {}, {}, "host"),
        (
            "fpu sse2 hypervisor",
            {**IN_IMAGE, "/proc/self/mountinfo": OVERLAY},
            {},
            "container",
        ),
        # an image's leftover marker in a virtual machine is no container
        (
            "fpu sse2 hypervisor",
            {**IN_IMAGE, "/proc/self/mountinfo": ROOT_MOUNT},
            {},
            "vm",
        ),
        (
            "fpu sse2 hypervisor",
            {},
            {"KUBERNETES_SERVICE_HOST": "10.0.0.1"},
            "container",
        ),
        (
            "",
            {"/proc/sys/kernel/osrelease": "6.6.87.2-microsoft-standard-WSL2\n"},
            {},
            "vm",
        ),
        ("", {}, {}, None),
    ],
)
def test_scope(
    build: Build, flags: str, files: Any, env: Any, scope: str | None
) -> None:
    """Container before virtual machine before the computer itself."""
    cpuinfo = {"/proc/cpuinfo": f"flags : {flags}\n"} if flags else {}
    assert read_machine(build(cpuinfo | files, env)).scope == scope


def test_runtimes_are_found_and_not_run(build: Build) -> None:
    """Commands in PATH and in the usual folders, of which a file that may not be executed is none;
    packages of the active environment, and beside a command, which have its version.
    """
    programs = ("/opt/ml/bin/vllm", "/usr/bin/ollama", "/home/ada/.lmstudio/bin/lms")
    packages = "/home/ada/work/lib/python3.12/site-packages"
    host = build(
        {
            f"{packages}/transformers-4.49.0.dist-info/METADATA": "",
            "/opt/ml/lib/python3.11/site-packages/vllm-0.8.5.dist-info/METADATA": "",
            "/opt/ml/bin/llama-server": "#!/bin/false\n",
            **dict.fromkeys(programs, ""),
        },
        {
            "HOME": "/home/ada",
            "VIRTUAL_ENV": "/home/ada/work",
            "PATH": "/opt/ml/bin:relative:",
        },
    )
    for program in programs:
        (Path(host.folder) / program[1:]).chmod(0o755)
    found = {runtime.id: runtime for runtime in read_machine(host).runtimes or ()}
    assert {name: runtime.version for name, runtime in found.items()} == {
        "transformers": "4.49.0", "vllm": "0.8.5", "lm-studio": None, "ollama": None
    }  # fmt: skip
    assert found["vllm"].path == "/opt/ml/bin/vllm"
    package = "3.12/site-packages/transformers-4.49.0.dist-info"
    assert (found["transformers"].path or "").endswith(package)


def test_runtimes_that_nobody_looked_for_are_unread(build: Build) -> None:
    """Like models: none of a tree without any folder of programs or packages, and () only where one
    was searched.
    """
    machine = read_machine(build({"/proc/meminfo": MEMINFO}))
    assert machine.runtimes is None
    assert (
        "recorded tree has none of the folders" in machine.why_unread("runtimes").reason
    )
    assert read_machine(build({"/usr/bin/ls": "\n"})).runtimes == ()
    assert read_machine(build({}, python_path=[])).runtimes == ()


def test_a_folder_that_path_names_often_is_looked_at_once(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of PATH, by the place where a folder is first."""
    path = ["/opt/b", "/opt/a", *["/opt/b"] * 5000, "/usr/bin"]
    host = build({}, {"PATH": ":".join(path)})
    seen: list[str] = []

    def note(folder: str) -> bool:
        seen.append(folder)
        return False

    monkeypatch.setattr(host, "exists", note)
    read_runtimes(host, Facts(values={}, sources={}, unread={}))
    assert seen[:3] == ["/opt/b", "/opt/a", "/usr/bin"]
    assert len(seen) == len(set(seen))


PRESENT = present_table()
RUNTIMES = [open_catalogue().runtime(id) for id in open_catalogue().runtime_ids()]


def test_what_is_looked_for_is_what_the_runtime_files_state() -> None:
    """Commands, Python packages and places: all that the runtimes name, and nothing else."""
    assert RUNTIMES
    packages = {
        name: spec.id for spec in RUNTIMES for name in spec.installation.distributions
    }
    assert {
        name: spec.id for spec in RUNTIMES for name in spec.installation.present
    } == PRESENT.commands
    assert packages == PRESENT.distributions
    assert {spec.store for spec in RUNTIMES} == set(PURPOSES)
