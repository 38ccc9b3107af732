"""Whether the installed files are those of which a build compiled something."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from selfhost import __version__
from selfhost.core import installed
from selfhost.core.installed import contents_of, sizes_if_as_installed, sizes_of

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="a file's last change is not told there"
)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of two files, and beside it what an installer writes last."""
    folder = tmp_path / "site" / "selfhost"
    (folder / "specs").mkdir(parents=True)
    (folder / "specs" / "a.toml").write_text("total = 1\n")
    (folder / "specs" / "b.toml").write_text("total = 2\n")
    monkeypatch.setattr(installed, "PACKAGE_FOLDER", str(folder))
    # a file system counts time in steps
    time.sleep(0.05)
    record = tmp_path / "site" / f"selfhost_check-{__version__}.dist-info" / "RECORD"
    record.parent.mkdir()
    record.write_text("")
    time.sleep(0.05)
    return folder


def files_of(package: Path) -> list[tuple[str, list[str]]]:
    return [(str(package / "specs"), ["a.toml", "b.toml"])]


def test_untouched_files_are_told_by_their_sizes(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of them is opened."""
    files = files_of(package)
    built = sizes_of(files)

    def refuse(*_: object) -> int:
        raise AssertionError("a file was read")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        assert sizes_if_as_installed(files) == built


def test_an_edit_that_leaves_size_and_time_is_seen(package: Path) -> None:
    """The system keeps when a file was changed last, which nobody sets: its content is compared."""
    files, edited = files_of(package), package / "specs" / "b.toml"
    sizes, contents, before = sizes_of(files), contents_of(files), edited.stat()
    edited.write_text("total = 3\n")
    os.utime(edited, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert sizes_of(files) == sizes
    assert sizes_if_as_installed(files) is None
    assert contents_of(files) != contents


def test_an_edit_in_a_copied_package_is_seen(package: Path) -> None:
    """In a copy every file was changed when it was copied, the edited one perhaps before the
    installer's: its own time tells.
    """
    edited, record = package / "specs" / "b.toml", next(package.parent.glob("*.dist-info/RECORD"))
    edited.write_text("total = 3\n")
    later = record.stat()
    # as a copy leaves it: the content keeps its time, the change is that of the copy
    time.sleep(0.05)
    os.utime(record, ns=(later.st_atime_ns, later.st_mtime_ns))
    assert edited.stat().st_ctime_ns <= record.stat().st_ctime_ns
    assert sizes_if_as_installed(files_of(package)) is None


def test_without_an_installer_nothing_is_told(package: Path) -> None:
    """As in a checkout, or where another tool put the package in place: contents are compared."""
    next(package.parent.glob("*.dist-info/RECORD")).unlink()
    assert sizes_if_as_installed(files_of(package)) is None


def test_a_file_that_is_gone_changes_both_numbers(package: Path) -> None:
    """A removed spec is none that an answer rests on."""
    files = files_of(package)
    sizes, contents = sizes_of(files), contents_of(files)
    (package / "specs" / "a.toml").unlink()
    assert sizes_if_as_installed(files) != sizes
    assert contents_of(files) != contents
