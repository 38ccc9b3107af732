"""A file of parts is read by several processes at once."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from selfhost.core.parts import Parts, joined


@pytest.mark.skipif(sys.platform == "win32", reason="Windows forks no process")
def test_a_forked_process_that_reads_leaves_its_parent_where_it_was(tmp_path: Path) -> None:
    """A fork has the file's position in common with its parent."""
    path = tmp_path / "index.bin"
    path.write_bytes(joined(1, {}, {"a": ["first"], "b": ["second"]}, frozen=True))
    parts = Parts(str(path), 1)
    position = os.lseek(parts._file.fileno(), 0, os.SEEK_CUR)
    assert (parts["b"], parts["a"]) == (("second",), ("first",))
    assert os.lseek(parts._file.fileno(), 0, os.SEEK_CUR) == position
