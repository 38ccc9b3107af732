"""Recorded machines and made ones."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any, ClassVar

from helpers.paths import MACHINES
from helpers.written import validate
from selfhost.machine.probes.host import MAX_READ_BYTES, Host
from selfhost.machine.probes.recorded import RecordedHost
from selfhost.machine.probes.texts import Mount
from selfhost.machine.record import FACTS, Machine

PARTS: dict[str, dict[str, Any]] = json.loads(
    (MACHINES / "parts" / "sources.json").read_text()
)

# makes a host of files, variables and facts: a fixture of tests/machine/probes
Build = Callable[..., RecordedHost]

GIB = 2**30
# an x86_64 Linux without anything but what a test writes
LINUX = {
    "system": "linux",
    "machine": "x86_64",
    "pointer_bits": 64,
    "affinity": [0, 1, 2, 3],
}
NO_LIMITS = {
    "/proc/self/limits": (
        "Max data size unlimited unlimited bytes\nMax address space unlimited unlimited bytes\n"
    )
}
MEMINFO = (
    "MemTotal: 16777216 kB\nMemFree: 1048576 kB\nMemAvailable: 12582912 kB\nSwapTotal: 0 "
    "kB\nSwapFree: 0 kB\n"
)
CGROUP2_MOUNT = (
    "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
)
ROOT_MOUNT = "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"


def part(kind: str) -> list[str]:
    return sorted(name for name in PARTS if name.startswith(kind + "/"))


def text_of(name: str) -> str:
    return (MACHINES / "parts" / name).read_text()


def lawful(machine: Machine) -> None:
    """What holds for every reading, however broken the machine."""
    told = {entry.fact for entry in machine.unread}
    for fact in FACTS:
        assert (getattr(machine, fact) is None) == (fact in told), fact
        assert fact in told or fact in machine.sources, fact
    sizes = (
        machine.memory_available_bytes,
        machine.memory_limit_bytes,
        machine.memory_total_bytes,
    )
    known = [size for size in sizes if size is not None]
    assert known == sorted(known)
    assert machine.memory_total_bytes != 0
    written = machine.to_json()
    text = json.dumps(written, allow_nan=False)
    assert json.loads(text) == written
    # a record is another computer's, whatever it says
    assert read_back(text, machine.name) == machine.replace(is_this_one=False)


@lru_cache(maxsize=256)
def read_back(text: str, name: str) -> Machine:
    """The machine of a record that keeps the schema; most spoilt files leave the record as it
    was.
    """
    written = json.loads(text)
    validate(written, "machine-1")
    return Machine.from_json(written).replace(name=name)


class Altered(RecordedHost):
    """A recorded machine of which some files read otherwise: None is a file that is gone or may not
    be read.
    """

    places: ClassVar[dict[tuple[str, str], str]] = {}

    def __init__(self, folder: str, contents: dict[str, bytes | None]) -> None:
        self.contents = contents
        super().__init__(folder)

    def real(self, path: str) -> str:
        # kept for all that are altered, for none moves a file of the recording
        place = self.places.get((self.folder, path))
        if place is None:
            place = super().real(path)
            self.places[self.folder, path] = place
        return place

    def read_bytes(self, path: str, limit: int = MAX_READ_BYTES) -> bytes:
        content = self.contents.get(self.real(path), ...)
        if content is ...:
            return super().read_bytes(path, limit)
        self.why[path] = f"{path} is spoilt"
        return content[:limit] if isinstance(content, bytes) else b""


def placed(name: str) -> dict[str, str]:
    """A single recording as files: several joined have `# path` lines."""
    text = text_of(name)
    if not text.startswith("# "):
        return {"/proc/self/cgroup": text}
    files: dict[str, str] = {}
    for line in text.splitlines(keepends=True):
        if line.startswith("# "):
            path = re.sub(
                r"^/proc/\d+/", "/proc/self/", "/" + line[2:].strip().lstrip("/")
            )
            files[path] = ""
        else:
            files[path] += line
    return files


def recorded(name: str) -> dict[str, str]:
    folder = MACHINES / name / "root"
    paths = [
        path for path in folder.rglob("*") if path.is_file() and path.suffix != ".json"
    ]
    return {
        "/" + path.relative_to(folder).as_posix(): path.read_text() for path in paths
    }


def version_2(
    groups: dict[str, str], path: str = "/", mount: str = CGROUP2_MOUNT
) -> dict[str, str]:
    files = {
        "/proc/meminfo": MEMINFO,
        **NO_LIMITS,
        "/proc/self/cgroup": f"0::{path}\n",
        "/proc/self/mountinfo": ROOT_MOUNT + mount,
    }
    files["/sys/fs/cgroup/cgroup.controllers"] = "cpuset cpu io memory pids\n"
    return files | {f"/sys/fs/cgroup/{name}": text for name, text in groups.items()}


FULL = {
    "memory.max": "2147483648\n",
    "memory.high": "max\n",
    "memory.current": "1478492160\n",
    "memory.stat": (
        "anon 104857600\nfile 1363148800\ninactive_file 1258291200\nactive_file "
        "104857600\nslab_reclaimable 10485760\n"
    ),
}
SPACE = {"/": {"free_bytes": 50, "total_bytes": 100}}


def under(folder: str, files: dict[str, str]) -> dict[str, str]:
    return {
        f"{folder}/{name}" if folder else name: text for name, text in files.items()
    }


def place(machine: Machine, purpose: str) -> Any:
    found = machine.disk_for(purpose)
    assert found is not None
    return found


class DeadVolume(Host):
    """A live host with a network mount that never answers."""

    def __init__(self, never: threading.Event) -> None:
        super().__init__(env={"HOME": "/"})
        self.never = never
        self.mounts = (Mount(point="/", filesystem="nfs4"),)

    def ask(self, name: str, about: str | None = None) -> Any:
        if name == "space":
            self.never.wait(30)
        return super().ask(name, about)
