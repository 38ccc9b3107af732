"""One running process, from recorded texts of /proc and from this very process."""

from __future__ import annotations

import mmap
import os
import sys
from pathlib import Path

import pytest

from selfhost.machine.probes.process import parse_smaps
from selfhost.machine.reader import process

SMAPS = """\
55d0c0000000-55d0c0021000 rw-p 00000000 00:00 0                          [heap]
Size:                132 kB
Rss:                 100 kB
7f0000000000-7f0010000000 r--s 00000000 08:01 1234                       /models/my model.gguf
Size:             262144 kB
Rss:              200000 kB
Anonymous:             0 kB
7f0010000000-7f0010100000 r--s 10000000 08:01 1234                       /models/my model.gguf
Size:               1024 kB
Rss:                1000 kB
7f0020000000-7f0020001000 r--s 00000000 08:01 99                         /models/small.gguf
Rss:                   4 kB
7f0030000000-7f0031000000 r-xp 00000000 08:01 7                          /usr/lib/libggml.so
Rss:                5000 kB
"""


def test_the_model_file_of_which_most_is_mapped() -> None:
    """Its resident pages over all its mappings; blanks in the name are part of it."""
    assert parse_smaps(SMAPS) == ("/models/my model.gguf", 201_000 * 1024)


def test_ollamas_files_have_no_ending() -> None:
    """They are named by their content."""
    text = SMAPS.replace("/models/my model.gguf", "/o/blobs/sha256-00ff")
    assert parse_smaps(text) == ("/o/blobs/sha256-00ff", 201_000 * 1024)


@pytest.mark.parametrize("text", ["", "Rss: 1 kB\n", "zz-yy r--s 0 0 0 /a.gguf\nRss: x kB\n"])
def test_nonsense_maps_no_memory(text: str) -> None:
    """No exception, and no bytes."""
    assert parse_smaps(text)[1] == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_this_process_with_a_mapped_file(tmp_path: Path) -> None:
    """The pages that were read are counted as the file's."""
    path = tmp_path / "a.gguf"
    path.write_bytes(bytes(range(256)) * 4096)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert sum(mapped[::4096]) == 0
        seen = process(str(os.getpid()))
    assert seen is not None
    assert seen.model_file == str(path)
    assert seen.model_bytes == 1 << 20
    assert seen.anonymous_bytes > 1 << 20
    assert seen.words


def test_a_process_that_is_not_there() -> None:
    """None, which says no more than that it cannot be read."""
    assert process("4194305") is None
