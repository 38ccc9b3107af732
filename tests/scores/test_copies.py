"""Copies of repositories are read at the commit that is stated, and only a source that moved is
stated anew.
"""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

import measured
from boards.copies import Copy
from helpers.paths import COMMON
from selfhost.catalogue.scores import Source, boards

NEEDS_GIT = pytest.mark.skipif(
    shutil.which("git") is None, reason="git is not installed"
)
AUTHOR = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.com")


def git(folder: Path, *words: str) -> str:
    """What git prints."""
    command = ["git", "-C", str(folder), *AUTHOR, *words]
    return subprocess.run(
        command, check=True, capture_output=True, text=True
    ).stdout.strip()


def committed(folder: Path, day: str, **files: str) -> str:
    """A commit of that day with these files; its checksum."""
    for name, text in files.items():
        path = folder / "tables" / f"{name}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    git(folder, "add", "--all")
    stamp = f"{day}T12:00:00+00:00"
    command = [
        "git",
        "-C",
        str(folder),
        *AUTHOR,
        "commit",
        "-q",
        "-m",
        day,
        "--date",
        stamp,
    ]
    environment = {"GIT_COMMITTER_DATE": stamp, "PATH": _path()}
    subprocess.run(command, check=True, env=environment, capture_output=True)
    return git(folder, "rev-parse", "HEAD")


def _path() -> str:
    found = shutil.which("git")
    assert found is not None
    return str(Path(found).parent)


def source_at(commit: str) -> Source:
    return (
        boards()
        .source["vectara"]
        .replace(repository="somebody/scores", commit=commit, path="tables/one.csv")
    )


@NEEDS_GIT
def test_a_copy_is_read_at_its_commit(tmp_path: Path) -> None:
    folder = tmp_path / "somebody+scores"
    folder.mkdir()
    git(folder, "init", "-q")
    first = committed(folder, "2026-01-02", one="old", two="2")
    committed(folder, "2026-03-04", one="new", two="2")
    copy = Copy(tmp_path, source_at(first))
    assert copy.text("tables/one.csv") == "old"
    assert copy.files("tables", ".csv") == ["tables/one.csv", "tables/two.csv"]
    assert dict(copy.texts(copy.files("tables"))) == {
        "tables/one.csv": "old",
        "tables/two.csv": "2",
    }


@NEEDS_GIT
def test_the_day_is_that_of_the_table_not_of_other_files(tmp_path: Path) -> None:
    folder = tmp_path / "somebody+scores"
    folder.mkdir()
    git(folder, "init", "-q")
    committed(folder, "2026-01-02", one="1")
    newest = committed(folder, "2026-03-04", two="2")
    assert Copy(tmp_path, source_at(newest)).day == "2026-01-02"


def test_only_the_source_that_moved_is_stated_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(COMMON / "boards.toml", tmp_path)
    monkeypatch.setattr(measured, "COMMON", tmp_path)

    class Moved(Copy):
        day = "2027-01-02"

    copy = Moved(tmp_path, boards().source["vectara"])
    copy.commit = "a" * 40
    measured.state("vectara", copy)
    before = tomllib.loads((COMMON / "boards.toml").read_text(encoding="utf-8"))
    after = tomllib.loads((tmp_path / "boards.toml").read_text(encoding="utf-8"))
    moved = after["source"].pop("vectara")
    stood = before["source"].pop("vectara")
    assert moved == {**stood, "commit": "a" * 40, "as_of": "2027-01-02"}
    assert after == before
