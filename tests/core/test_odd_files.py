"""What is no ordinary file, or a huge one, where a file is looked for: it is neither waited for nor
read whole, and what is told is what is there.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.paths import RECORDS
from helpers.written import run
from selfhost.core.errors import SpecError
from selfhost.core.stored import Store, StoredRows

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="other systems make no socket without opening one"
)

# more than is read even of a log
HUGE_BYTES = 9 << 30


def make_socket(path: Path) -> None:
    """A socket that nobody listens at. No socket is opened for it."""
    os.mknod(path, stat.S_IFSOCK | 0o600)


def make_huge(path: Path) -> None:
    """A file of 9 GiB that takes no space."""
    path.touch()
    os.truncate(path, HUGE_BYTES)


KINDS = [
    pytest.param(os.mkfifo, id="pipe"),
    pytest.param(Path.mkdir, id="folder"),
    pytest.param(make_socket, id="socket"),
    pytest.param(lambda path: path.symlink_to("/dev/zero"), id="device"),
    pytest.param(make_huge, id="huge"),
    pytest.param(lambda path: path.symlink_to(path.name), id="link-to-itself"),
]
Make = Callable[[Path], None]


@pytest.mark.parametrize("make", KINDS)
def test_a_stored_value_that_is_no_file_is_told(make: Make, tmp_path: Path) -> None:
    """In the folder of a package, where another program may have put it."""
    (tmp_path / "index.json").write_text("{}")
    (tmp_path / "common").mkdir()
    make(tmp_path / "common" / "gpus.json")
    with pytest.raises(SpecError, match="install selfhost-check again"):
        Store(str(tmp_path)).value("common/gpus", dict)


@pytest.mark.parametrize("make", KINDS)
def test_stored_rows_that_are_no_file_are_told(make: Make, tmp_path: Path) -> None:
    """Read one at a time."""
    path = tmp_path / "models.jsonl"
    make(path)
    with pytest.raises(SpecError, match="install selfhost-check again"):
        StoredRows(str(path), {"first": (0, 8, 1)})["first"]


DOORS = [
    pytest.param(("check", "{}", "--no-measure"), "config.json", id="model-folder"),
    pytest.param(("spec", "new", "{}"), "config.json", id="spec-new"),
    pytest.param(("check", "gpt2", "--machine", "{}"), "m.json", id="records"),
    pytest.param(("spec", "check", "{}"), "my-own.toml", id="specs"),
    pytest.param(("verify", "{file}"), "run.log", id="log"),
    pytest.param(("audit", "{file}"), "audit.toml", id="policy"),
]


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize(("words", "name"), DOORS)
def test_a_file_that_is_none_is_refused(
    words: tuple[str, ...],
    name: str,
    make: Make,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With its name and what it is; `spec check` tells it as a fault of the spec."""
    folder = tmp_path / "folder"
    folder.mkdir()
    make(folder / name)
    typed = []
    for word in words:
        typed.append(
            word.replace("{file}", str(folder / name)).replace("{}", str(folder))
        )
    code, out, err = run(capsys, *typed)
    assert code == (1 if words[1] == "check" else 2), out + err
    assert name in out + err
    assert "a bug in selfhost" not in out + err


ZEROS = [
    pytest.param(("verify", "{}"), id="log"),
    pytest.param(("check", "gpt2", "--machine", "{}"), id="record"),
    pytest.param(("audit", "{}", "--machines", str(RECORDS)), id="policy"),
]


@pytest.mark.parametrize("words", ZEROS)
def test_a_file_of_zeros_is_not_called_empty(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a file system leaves it after a crash."""
    file = tmp_path / "zeros"
    file.write_bytes(bytes(100_000))
    code, _, err = run(capsys, *[word.replace("{}", str(file)) for word in words])
    assert code == 2
    assert "holds nothing but zeros" in err
    assert "is empty" not in err


@pytest.mark.parametrize(
    ("path", "remedy"),
    [
        pytest.param("/dev/zero", "name a file", id="device"),
        pytest.param("pipe", "write what comes out of it to a file", id="pipe"),
    ],
)
def test_the_remedy_fits_what_is_there(
    path: str,
    remedy: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A device has no output that could be kept."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    code, _, err = run(capsys, "check", "gpt2", "--machine", path)
    assert code == 2
    assert remedy in err
