"""Limits of the real system on a child process: control groups, affinity, ulimits, mounts. Skipped where none may be made."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

GIB, MIB = 2**30, 2**20
V1 = {name: Path("/sys/fs/cgroup") / name for name in ("memory", "cpu", "cpuset")}
READ = "import json; from selfhost.machine.reader import Machine; print(json.dumps(Machine.read().to_json()))"
_numbers = itertools.count()

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux' limits")


def _roomy() -> None:
    """Skips where other programs leave less than the limits that are tried here: what is available is the least of all."""
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    if int(lines["MemAvailable"].split()[0]) * 1024 < 4 * GIB:
        pytest.skip("other programs hold the memory")


class Groups:
    """Version 1 groups of this test alone, taken away after it."""

    def __init__(self) -> None:
        self.name = f"selfhost-test-{os.getpid()}-{next(_numbers)}"
        self.made: list[Path] = []

    def make(self, controller: str, below: str = "", **limits: object) -> Path:
        """NAME/below of a controller; `limits` are its files, with `__` for a dot."""
        if controller == "memory":
            _roomy()
        folder = V1[controller] / self.name / below
        try:
            for path in (V1[controller] / self.name, folder):
                if not path.is_dir():
                    path.mkdir()
                    self.made.append(path)
            for file, value in limits.items():
                (folder / file.replace("__", ".")).write_text(str(value))
            subprocess.run(
                ["sh", "-c", f'echo 0 > "{folder}/cgroup.procs"'], check=True, capture_output=True
            )
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no version 1 control groups for {controller}: {error}")
        return folder

    def remove(self) -> None:
        for path in reversed(self.made):
            for _ in range(100):
                try:
                    path.rmdir()
                    break
                except OSError:
                    # a process that has ended leaves its group a moment later
                    time.sleep(0.05)


@pytest.fixture
def groups() -> Iterator[Groups]:
    made = Groups()
    yield made
    made.remove()


@pytest.fixture
def read(source_environment: dict[str, str]) -> Callable[..., dict[str, Any]]:
    """What a child says of its machine, inside the groups, after a shell command."""

    def run(*inside: Path, before: str = "true", code: str = READ) -> dict[str, Any]:
        enter = "".join(f'echo 0 > "{folder}/cgroup.procs" && ' for folder in inside)
        done = subprocess.run(
            ["sh", "-c", f'{enter}{before} && exec "$0" -c "$1"', sys.executable, code],
            capture_output=True,
            text=True,
            check=False,
            env=source_environment,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return run


Read = Callable[..., dict[str, Any]]


# memory


@pytest.mark.parametrize(("outer", "inner", "wins"), [(2, 3, ""), (3, 1, "/inner"), (2, None, "")])
def test_the_tighter_of_two_groups_wins(
    groups: Groups, read: Read, outer: int, inner: int | None, wins: str
) -> None:
    """Two deep, the limit on either: the least holds, and the answer names whose it is."""
    above = groups.make("memory", memory__limit_in_bytes=outer * GIB)
    limits = {} if inner is None else {"memory__limit_in_bytes": inner * GIB}
    found = read(groups.make("memory", "inner", **limits))
    least = min(outer, inner or outer) * GIB
    assert found["memory_limit_bytes"] == least
    assert (
        f"control group /{groups.name}{wins}: memory.limit_in_bytes"
        in found["sources"]["memory_limit_bytes"]
    )
    assert 0.9 * least < found["memory_available_bytes"] < least
    assert found["memory_total_bytes"] > least
    assert int((above / "memory.limit_in_bytes").read_text()) == outer * GIB


def test_cache_that_was_read_again_is_available(groups: Groups, read: Read, tmp_path: Path) -> None:
    """300 MiB of a file read four times are active; a process may touch 450 of the 512 MiB all the same. A tmpfs gives nothing back."""
    folder = groups.make("memory", memory__limit_in_bytes=512 * MIB)
    file = tmp_path / "file"
    write = f'dd if=/dev/zero of="{file}" bs=1M count=300 conv=fsync 2>/dev/null'
    found = read(folder, before=f'{write}; for i in 1 2 3 4; do cat "{file}" >/dev/null; done')
    stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    if int(stat["total_active_file"]) < 250 * MIB:
        pytest.skip("the cache was dropped meanwhile, or the folder is not on a disk")
    assert found["memory_available_bytes"] > 450 * MIB
    code = f"import json; held = bytearray({450 * MIB}); held[::4096] = b'x' * len(held[::4096]); print(json.dumps({{'bytes': len(held)}}))"
    assert read(folder, code=code) == {"bytes": 450 * MIB}


# processors


@pytest.mark.parametrize(
    ("outer", "inner", "usable"),
    [(150_000, None, 1.5), (150_000, 50_000, 0.5), (50_000, 150_000, None)],
)
def test_a_quota_of_processors(
    groups: Groups, read: Read, outer: int, inner: int | None, usable: float | None
) -> None:
    """A fraction stays one, and the tighter of two groups wins; the kernel itself refuses a child more than its parent has."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one CPU: a quota of 1.5 is none")
    groups.make("cpu", cpu__cfs_period_us=100_000, cpu__cfs_quota_us=outer)
    if usable is None:
        folder = groups.make("cpu", "inner")
        with pytest.raises(OSError, match="Invalid"):
            (folder / "cpu.cfs_quota_us").write_text(str(inner))
        return
    limits = {} if inner is None else {"cpu__cfs_quota_us": inner}
    found = read(groups.make("cpu", "inner", **limits))
    assert found["cpu_cores_usable"] == usable
    assert f"limited by control group /{groups.name}" in found["sources"]["cpu_cores_usable"]
    assert found["cpu_cores_physical"] >= 1
