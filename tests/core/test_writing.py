"""Reports are written whole or not at all, never over an input, never two to one file."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from helpers.paths import EXAMPLES, RECORDS
from selfhost.cli import main as cli
from selfhost.core import files

RECORD = RECORDS / "vm-24gib.json"
SPEC = EXAMPLES / "specs" / "my-model.toml"
POLICY = 'schema = 1\n\n[[model]]\nname = "gpt2"\n'
OLD = "the report of yesterday\n"


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(words)
    out, err = capsys.readouterr()
    return code, out, err


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a record and a policy, that is the current one."""
    (tmp_path / "a.json").write_bytes(RECORD.read_bytes())
    (tmp_path / "p.toml").write_text(POLICY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Crash(BaseException):
    pass


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError(), Crash()]
)
@pytest.mark.parametrize("at", ["fsync", "replace"])
def test_whatever_stops_a_report_leaves_the_old_file(
    error: BaseException, at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, Ctrl-C, lack of memory or a crash at any step: the old reports stand, and no temporary file is left."""
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    first.write_text(OLD)
    second.write_text(OLD)

    def stop(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, at, stop)
    with pytest.raises(files.WriteError if isinstance(error, OSError) else type(error)):
        files.write_whole([(str(first), "new\n"), (str(second), "new\n")])
    monkeypatch.undo()
    assert (first.read_text(), second.read_text()) == (OLD, OLD)
    assert names(tmp_path) == ["first.txt", "second.txt"]


CHECK = ("check", "gpt2", "--machine")
AUDIT = ("audit", "p.toml", "--machines", "a.json")
# what is typed -> the input that it would have replaced
INPUTS: dict[str, tuple[Sequence[str], str]] = {
    "policy": ((*AUDIT, "--format", "junit=p.toml"), "p.toml"),
    "policy, by --output": ((*AUDIT, "--output", "p.toml"), "p.toml"),
    "default policy": (("audit", "--machines", "a.json", "--output", "audit.toml"), "audit.toml"),
    "record": ((*CHECK, "a.json", "--output", "./folder/../a.json"), "a.json"),
    "record through a link": ((*CHECK, "a.json", "--output", "link.json"), "a.json"),
    "record by a hard link": ((*CHECK, "a.json", "--output", "hard.json"), "a.json"),
    "spec": (("spec", "check", "my-model.toml", "--output", "my-model.toml"), "my-model.toml"),
    "draft": (
        (*CHECK, "a.json", "--draft", "./my-model.toml", "--output", "my-model.toml"),
        "my-model.toml",
    ),
}


@pytest.mark.parametrize("name", INPUTS)
def test_a_report_never_replaces_an_input(
    name: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the run reads stays as it is: exit 2 names both, before anything is judged."""
    words, kept = INPUTS[name]
    os.symlink("a.json", "link.json")
    os.link("a.json", "hard.json")
    (place / "folder").mkdir()
    (place / "audit.toml").write_text(POLICY)
    (place / "my-model.toml").write_bytes(SPEC.read_bytes())
    before, there = (place / kept).read_bytes(), names(place)
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert "this run reads it" in err
    assert (place / kept).read_bytes() == before
    assert names(place) == there


@pytest.mark.parametrize(
    "words",
    [
        ("--format", "junit=r", "--format", "json=./r"),
        ("--format", "junit=r", "--output", "r"),
        ("--format", "junit=old", "--format", "json=link"),
        ("--format", "junit=dead", "--format", "json=later"),
        ("--format", "text", "--format", "junit=/dev/stdout"),
    ],
)
def test_two_reports_never_go_to_one_file(
    words: Sequence[str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One would be lost: exit 2 before anything is judged, and nothing is written."""
    (place / "old").write_text(OLD)
    os.symlink("old", "link")
    os.symlink("later", "dead")
    there = names(place)
    formats = words if "--output" not in words else ("--format", "text", *words)
    code, out, err = run(capsys, "audit", "p.toml", "--machines", "a.json", *formats)
    assert (code, out) == (2, "")
    assert "two reports would go to" in err
    assert (place / "old").read_text() == OLD
    assert names(place) == there


def test_a_file_keeps_its_permissions_and_a_new_one_gets_the_usual_ones(place: Path) -> None:
    """What others may read does not change with a report; a new file follows the umask."""
    secret, new = place / "secret", place / "new"
    secret.write_text(OLD)
    secret.chmod(0o640)
    mask = os.umask(0o027)
    try:
        files.write_whole([(str(secret), "a"), (str(new), "b")])
    finally:
        os.umask(mask)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (secret, new)] == [0o640, 0o640]
    assert (secret.read_text(), new.read_text()) == ("a", "b")


def a_folder(path: Path) -> None:
    path.mkdir()


def a_socket(path: Path) -> None:
    os.mknod(path, stat.S_IFSOCK | 0o600)


def a_loop(path: Path) -> None:
    path.symlink_to(path.name)


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("make", [a_folder, a_socket, a_loop, a_pipe])
@pytest.mark.parametrize("option", ["--format=junit=", "--output="])
def test_what_takes_no_report_is_refused(
    make: Callable[[Path], None], option: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder, a socket, a circle of links, and a named pipe that nobody reads, which is not waited for: exit 2."""
    make(place / "odd")
    code, out, err = run(capsys, "audit", "p.toml", "--machines", "a.json", f"{option}odd")
    assert (code, out) == (2, "")
    assert "cannot write odd: " in err
    assert names(place) == ["a.json", "odd", "p.toml"]


@pytest.mark.parametrize("path", ["no/such/x", "new/", "p.toml/x", "a\0b", "..", "x" * 300])
def test_a_path_that_cannot_be_is_refused(
    path: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "check", "gpt2", "--machine", "a.json", "--output", path)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert names(place) == ["a.json", "p.toml"]


def test_devices_are_written_to(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """/dev/null takes any number of reports, /dev/full none; both are devices still."""
    formats = ("--format", "junit=/dev/null", "--format", "json=/dev/null")
    assert run(capsys, "audit", "p.toml", "--machines", "a.json", *formats) == (0, "", "")
    code, _, err = run(capsys, "check", "gpt2", "--machine", "a.json", "--output", "/dev/full")
    assert (code, "No space left on device" in err) == (2, True)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_a_dash_is_standard_output(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--output -`, as nearly every program reads it; no file of that name is made."""
    words = ("check", "gpt2", "--machine", "a.json")
    assert run(capsys, *words, "--output", "-") == run(capsys, *words)
    assert names(place) == ["a.json", "p.toml"]
