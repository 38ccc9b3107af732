"""One running process, from recorded texts of /proc and from this very process."""

from __future__ import annotations

import mmap
import os
import sys
from pathlib import Path

import pytest

from selfhost.machine.probes import Host
from selfhost.machine.probes.memory import read_process


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_this_process_with_a_mapped_file(tmp_path: Path) -> None:
    """The pages that were read are counted as the file's."""
    path = tmp_path / "a.gguf"
    path.write_bytes(bytes(range(256)) * 4096)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert sum(mapped[::4096]) == 0
        seen = read_process(str(os.getpid()), Host())
    assert seen is not None
    assert seen.model_file == str(path)
    assert seen.model_bytes == 1 << 20
    assert seen.anonymous_bytes > 1 << 20
    assert seen.words


def test_a_process_that_is_not_there() -> None:
    """None, which says no more than that it cannot be read."""
    assert read_process("4194305", Host()) is None
