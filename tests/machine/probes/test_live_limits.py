"""A limit of the real system on a child process. Skipped where no group may be made; what groups in groups and quotas mean, recorded machines tell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

MIB = 2**20
READ = "import json; from selfhost.machine.reader import Machine; print(json.dumps(Machine.read().to_json()))"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux' limits")


@pytest.fixture
def group() -> Iterator[Path]:
    """A version 1 group of 512 MiB, taken away after the test."""
    folder = Path("/sys/fs/cgroup/memory") / f"selfhost-test-{os.getpid()}"
    free = Path("/proc/meminfo").read_text().partition("MemAvailable:")[2].split()[0]
    if int(free) < 4 * 2**20:
        pytest.skip("other programs hold the memory")
    try:
        folder.mkdir()
        (folder / "memory.limit_in_bytes").write_text(str(512 * MIB))
    except OSError as error:
        pytest.skip(f"no version 1 control groups for memory: {error}")
    yield folder
    for _ in range(100):
        try:
            folder.rmdir()
            break
        except OSError:
            # a process that has ended leaves its group a moment later
            time.sleep(0.05)


def test_cache_that_was_read_again_is_available(
    group: Path, tmp_path: Path, source_environment: dict[str, str]
) -> None:
    """300 MiB of a file read four times are active; a process may touch 450 of the 512 MiB all the same."""

    def run(code: str, before: str = "true") -> Any:
        enter = f'echo 0 > "{group}/cgroup.procs" && {before} && exec "$0" -c "$1"'
        words = ["sh", "-c", enter, sys.executable, code]
        done = subprocess.run(words, capture_output=True, text=True, check=True, env=source_environment)  # fmt: skip
        return json.loads(done.stdout)

    file = tmp_path / "file"
    write = f'dd if=/dev/zero of="{file}" bs=1M count=300 conv=fsync 2>/dev/null'
    found = run(READ, f'{write}; for i in 1 2 3 4; do cat "{file}" >/dev/null; done')
    stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    if int(stat["total_active_file"]) < 250 * MIB:
        pytest.skip("the cache was dropped meanwhile, or the folder is not on a disk")
    assert found["memory_limit_bytes"] == 512 * MIB
    assert f"control group /{group.name}: " in found["sources"]["memory_limit_bytes"]
    assert 450 * MIB < found["memory_available_bytes"] < 512 * MIB
    code = (
        f"held = bytearray({450 * MIB}); held[::4096] = b'x' * len(held[::4096]); print(len(held))"
    )
    assert run(code) == 450 * MIB
