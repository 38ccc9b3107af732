"""Reports are written whole or not at all, never over an input, never two to one file."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.paths import EXAMPLES, RECORDS
from helpers.written import run
from selfhost.cli.writing import write_reports
from selfhost.core.errors import UsageError

RECORD = RECORDS / "vm-24gib.json"
SPEC = EXAMPLES / "specs" / "my-model.toml"
POLICY = 'schema = 1\n\n[[model]]\nname = "gpt2"\n'
OLD = "the report of yesterday\n"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a record and a policy, that is the current one."""
    (tmp_path / "a.json").write_bytes(RECORD.read_bytes())
    (tmp_path / "p.toml").write_text(POLICY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()],
)
@pytest.mark.parametrize("at", ["fsync", "replace"])
def test_whatever_stops_a_report_leaves_the_old_file(
    error: BaseException, at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, Ctrl-C, lack of memory or a crash at any step: the old reports stand, and
    no temporary file is left.
    """
    first = tmp_path / "first.txt"
    second = tmp_path / "second.txt"
    first.write_text(OLD)
    second.write_text(OLD)

    def stop(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, at, stop)
    with pytest.raises(UsageError if isinstance(error, OSError) else type(error)):
        write_reports([(str(first), "new\n"), (str(second), "new\n")])
    monkeypatch.undo()
    assert (first.read_text(), second.read_text()) == (OLD, OLD)
    assert names(tmp_path) == ["first.txt", "second.txt"]


CHECK = "check gpt2 --machine a.json"
AUDIT = "audit p.toml --machines a.json"


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        pytest.param(f"{AUDIT} --format junit=p.toml", "p.toml", id="policy"),
        pytest.param(f"{AUDIT} --output p.toml", "p.toml", id="policy, by --output"),
        pytest.param(
            "audit --machines a.json --output audit.toml",
            "audit.toml",
            id="default policy",
        ),
        pytest.param(f"{CHECK} --output ./folder/../a.json", "a.json", id="record"),
        pytest.param(
            f"{CHECK} --output hard.json", "a.json", id="record by a hard link"
        ),
        pytest.param(f"{CHECK} --output link.json", "a.json", id="record by a link"),
        pytest.param(
            "spec check my-model.toml --output my-model.toml",
            "my-model.toml",
            id="spec",
        ),
        pytest.param(
            f"{CHECK} --draft ./my-model.toml --output my-model.toml",
            "my-model.toml",
            id="draft",
        ),
    ],
)
def test_a_report_never_replaces_an_input(
    line: str, kept: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the run reads stays as it is: exit 2 names both, before anything is judged."""
    os.symlink("a.json", "link.json")
    os.link("a.json", "hard.json")
    (place / "folder").mkdir()
    (place / "audit.toml").write_text(POLICY)
    (place / "my-model.toml").write_bytes(SPEC.read_bytes())
    before = (place / kept).read_bytes()
    files = names(place)
    code, out, err = run(capsys, *line.split())
    assert (code, out) == (2, "")
    assert "this run reads it" in err
    assert (place / kept).read_bytes() == before
    assert names(place) == files


@pytest.mark.parametrize(
    "formats",
    [
        pytest.param("--format junit=r --format json=./r", id="two spellings"),
        pytest.param("--format text --format junit=r --output r", id="output"),
        pytest.param("--format junit=old --format json=link", id="link"),
        pytest.param(
            "--format junit=dead --format json=later", id="link to a new file"
        ),
        pytest.param("--format text --format junit=/dev/stdout", id="standard output"),
    ],
)
def test_two_reports_never_go_to_one_file(
    formats: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One would be lost: exit 2 before anything is judged, and nothing is written."""
    (place / "old").write_text(OLD)
    os.symlink("old", "link")
    os.symlink("later", "dead")
    files = names(place)
    code, out, err = run(capsys, *AUDIT.split(), *formats.split())
    assert (code, out) == (2, "")
    assert "two reports would go to" in err
    assert (place / "old").read_text() == OLD
    assert names(place) == files


def test_a_file_keeps_its_permissions_and_a_new_one_gets_the_usual_ones(
    place: Path,
) -> None:
    """What others may read does not change with a report; a new file follows the umask."""
    secret = place / "secret"
    new = place / "new"
    secret.write_text(OLD)
    secret.chmod(0o640)
    mask = os.umask(0o027)
    try:
        write_reports([(str(secret), "a"), (str(new), "b")])
    finally:
        os.umask(mask)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (secret, new)] == [
        0o640,
        0o640,
    ]
    assert (secret.read_text(), new.read_text()) == ("a", "b")


def make_socket(path: Path) -> None:
    os.mknod(path, stat.S_IFSOCK | 0o600)


def make_circle_of_links(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize("option", ["--format=junit=", "--output="])
@pytest.mark.parametrize(
    ("path", "make"),
    [
        pytest.param("odd", Path.mkdir, id="folder"),
        pytest.param("odd", make_socket, id="socket"),
        pytest.param("odd", make_circle_of_links, id="circle of links"),
        pytest.param("no/such/x", None, id="folder that is missing"),
        pytest.param("new/", None, id="no name"),
        pytest.param("p.toml/x", None, id="file as a folder"),
        pytest.param("a\0b", None, id="null character"),
        pytest.param("..", None, id="folder above"),
        pytest.param("x" * 300, None, id="name that is too long"),
    ],
)
def test_what_takes_no_report_is_refused(
    path: str,
    make: Callable[[Path], None] | None,
    option: str,
    place: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit 2, and nothing is written."""
    if make is not None:
        make(place / path)
    files = names(place)
    code, out, err = run(capsys, *AUDIT.split(), f"{option}{path}")
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert names(place) == files


@pytest.mark.usefixtures("place")
def test_devices_are_written_to(capsys: pytest.CaptureFixture[str]) -> None:
    """/dev/null takes any number of reports, /dev/full none; both are devices still."""
    formats = "--format junit=/dev/null --format json=/dev/null"
    assert run(capsys, *AUDIT.split(), *formats.split())[:2] == (0, "")
    code, _, err = run(capsys, *CHECK.split(), "--output", "/dev/full")
    assert (code, "No space left on device" in err) == (2, True)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)
