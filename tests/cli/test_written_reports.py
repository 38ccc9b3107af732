"""Where a report goes: into a regular file whole or not at all, to an open descriptor as it stands,
never over what the run reads or where the next run would read it.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers.paths import RECORDS, ROOT
from helpers.written import run
from selfhost.cli.writing import write_reports

CONFIG = '{"model_type": "llama", "hidden_size": 256, "num_hidden_layers": 2}'
POLICY = 'schema = 1\n\n[[model]]\nname = "gpt2"\n'
SPEC = """id = "mine"
name = "Mine"
[needs]
low_bytes = 5_000_000_000
high_bytes = 6_000_000_000
disk_bytes = 4_000_000_000
source = "x"
"""
CHECK = ("check", "gpt2", "--machine", "m.json", "--json")
# longer than any report of one model
LONG = "x" * 200_000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a machine, that is the current one."""
    (tmp_path / "m.json").write_bytes((RECORDS / "vm-24gib.json").read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files_in(folder: Path) -> dict[str, bytes]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture
def shared_memory() -> Iterator[Path]:
    """A folder below /dev that holds ordinary files."""
    place = Path("/dev/shm") / f"selfhost-test-{os.getpid()}"
    try:
        place.mkdir()
    except OSError:
        pytest.skip("this system has no /dev/shm to write into")
    yield place
    for path in place.iterdir():
        path.unlink()
    place.rmdir()


@pytest.mark.parametrize(
    "old", [pytest.param(LONG, id="old"), pytest.param(None, id="new")]
)
@pytest.mark.parametrize("where", ["shm", "cwd", "root", "folder-descriptor"])
def test_a_regular_file_is_written_whole_wherever_its_path_lies(
    where: str,
    old: str | None,
    folder: Path,
    shared_memory: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A path below /dev or /proc is no device by its name: the report is not the beginning of a
    longer old file.
    """
    number = os.open(folder, os.O_RDONLY)
    paths = {
        "shm": str(shared_memory / "r.json"),
        "cwd": "/proc/self/cwd/r.json",
        "root": f"/proc/self/root{folder}/r.json",
        "folder-descriptor": f"/proc/self/fd/{number}/r.json",
    }
    try:
        if not os.path.isdir(os.path.dirname(paths[where])):
            pytest.skip("this system has no /proc")
        if old is not None:
            Path(paths[where]).write_text(old)
        assert run(capsys, *CHECK, "--output", paths[where])[0] == 0
        _, plain, _ = run(capsys, *CHECK)
        assert Path(paths[where]).read_text() == plain
    finally:
        os.close(number)


@pytest.mark.parametrize("form", ["/dev/fd/{}", "/proc/self/fd/{}"])
def test_a_descriptor_appends_as_the_shell_opened_it(form: str, folder: Path) -> None:
    """`--output /dev/fd/3 3>>log` keeps what the log has, and what comes later follows the
    report.
    """
    (folder / "log").write_text("LOG\n")
    number = os.open("log", os.O_WRONLY | os.O_APPEND)
    try:
        write_reports([(form.format(number), "report\n")])
        os.write(number, b"later\n")
    finally:
        os.close(number)
    assert (folder / "log").read_text() == "LOG\nreport\nlater\n"


def test_a_descriptor_keeps_its_position(folder: Path) -> None:
    """`{ echo head; selfhost … --output /dev/fd/3; } 3>log`: the report stands behind the head."""
    number = os.open("log", os.O_WRONLY | os.O_CREAT)
    try:
        os.write(number, b"head\n")
        write_reports([(f"/dev/fd/{number}", "report\n")])
    finally:
        os.close(number)
    assert (folder / "log").read_text() == "head\nreport\n"


def test_a_descriptor_that_is_only_read_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "log").write_text("LOG\n")
    number = os.open("log", os.O_RDONLY)
    try:
        code, _, err = run(capsys, *CHECK, "--output", f"/dev/fd/{number}")
    finally:
        os.close(number)
    assert (code, "open only for reading" in err) == (2, True)
    assert (folder / "log").read_text() == "LOG\n"


@pytest.mark.usefixtures("folder")
def test_a_named_pipe_with_a_reader_is_written_to(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Wherever it lies, and the reader that waits meanwhile sees no end before the report."""
    os.mkfifo("pipe")
    with subprocess.Popen(["cat", "pipe"], stdout=subprocess.PIPE, text=True) as reader:
        # until it has opened the pipe, nobody reads from it
        codes = (run(capsys, *CHECK, "--output", "pipe")[0] for _ in range(100))
        code = next((code for code in codes if code != 2), 2)
        if code == 2:
            reader.kill()
        assert reader.stdout is not None
        text = reader.stdout.read()
    assert code == 0
    assert text == run(capsys, *CHECK)[1]


@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize(
    "line",
    [
        pytest.param("check gpt2 --machine m.json --output pipe", id="output"),
        pytest.param("audit p.toml --machines m.json --format junit=pipe", id="format"),
    ],
)
def test_a_pipe_that_nobody_reads_is_named(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not waited for."""
    os.mkfifo("pipe")
    code, out, err = run(capsys, *line.split())
    assert (code, out) == (2, "")
    assert "no program reads from this pipe" in err


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("path", "make", "why"),
    [
        pytest.param("folder", os.mkdir, "it is a folder", id="folder"),
        pytest.param(
            "/dev/fd/999", None, "is not open in this process", id="closed descriptor"
        ),
    ],
)
def test_what_takes_no_report_is_named(
    path: str,
    make: Callable[[str], None] | None,
    why: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Before anything is read."""
    if make is not None:
        make(path)
    code, out, err = run(
        capsys, "check", "gpt2", "--machine", "no.json", "--output", path
    )
    assert (code, out) == (2, "")
    assert why in err


def test_a_block_device_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A disk is no place for a report, also where the account may write to it."""
    device = folder / "disk"
    try:
        # a number that belongs to no driver: nothing could be opened
        os.mknod(device, 0o600 | 0o060000, os.makedev(240, 250))
    except OSError:
        pytest.skip("this account may make no device")
    code, _, err = run(capsys, *CHECK, "--output", "disk")
    assert (code, "a block device" in err) == (2, True)


# each names last the input of its own that the report would replace
INPUTS = [
    pytest.param(
        "check m-00001-of-00002.gguf --output m-00002-of-00002.gguf",
        id="another part of a split model",
    ),
    pytest.param(
        "show ./split --output split/m-00002-of-00002.gguf", id="the part of a folder"
    ),
    pytest.param("check ./d --output d/config.json", id="config of a folder"),
    pytest.param(
        "check d/config.json --output d/tokenizer.json", id="config beside a file"
    ),
    pytest.param(
        "spec new ./d --json --output d/config.json", id="new spec from a folder"
    ),
    pytest.param("check mine --specs sp --output sp/mine.toml", id="spec of a folder"),
    pytest.param(
        "audit p.toml --machines recs --format json=recs/a",
        id="record without an ending",
    ),
    pytest.param(
        "audit p.toml --machines recs --format text=recs/a",
        id="record without an ending, as text",
    ),
    pytest.param(
        "check ./d --json --output d/merges.txt",
        id="files beside weights, that no judgement reads",
    ),
    pytest.param("show ./d --output d/model.onnx", id="weights in another format"),
    pytest.param(
        "spec check sp --output sp/mine.toml", id="spec that is checked with its folder"
    ),
    pytest.param("check gpt2 --machine recs --output recs/a", id="records of check"),
    pytest.param(
        "audit local.toml --machines recs --format json=d/config.json",
        id="model of a policy",
    ),
    pytest.param("audit p.toml --machines recs --output p.toml", id="policy"),
    pytest.param(
        "audit p.toml --machines recs --baseline b.jsonl --output b.jsonl",
        id="baseline",
    ),
    pytest.param("machine --machine m.json --output m.json", id="machine"),
    pytest.param("machine --root tree --output tree/proc/meminfo", id="tree"),
]
# each names last a file that the same command would read the next time
NEXT_INPUTS = [
    pytest.param("check mine --specs sp --output sp/new.toml", id="spec"),
    pytest.param("check mine --specs sp --output link/new.toml", id="spec, by a link"),
    pytest.param(
        "spec check sp --output sp/new.toml", id="spec beside those that are checked"
    ),
    pytest.param("audit p.toml --machines recs --output recs/b.jsonl", id="record"),
    pytest.param(
        "audit p.toml --machines recs --format json=recs/b",
        id="record without an ending",
    ),
    pytest.param(
        "check gpt2 --machine recs --output recs/b.json", id="record of check"
    ),
    pytest.param("check ./d --output d/generation_config.json", id="config"),
    pytest.param("machine --root tree --output tree/x.json", id="tree"),
]


def file_named_last(line: str) -> str:
    """The file for the report, as `--output FILE` or `--format NAME=FILE` names it."""
    return line.split()[-1].rpartition("=")[2]


@pytest.fixture
def inputs(folder: Path) -> Path:
    """Every kind of input, in the current folder."""
    for name in ("d", "sp", "recs", "tree/proc", "split"):
        (folder / name).mkdir(parents=True)
    (folder / "d/config.json").write_text(CONFIG)
    (folder / "d/tokenizer.json").write_text("{}")
    (folder / "d/merges.txt").write_text("a b\n")
    (folder / "d/model.onnx").write_bytes(b"onnx")
    (folder / "sp/mine.toml").write_text(SPEC)
    (folder / "link").symlink_to("sp")
    (folder / "p.toml").write_text(POLICY)
    (folder / "b.jsonl").write_text("{}\n")
    (folder / "recs/a").write_bytes((folder / "m.json").read_bytes())
    (folder / "tree/proc/meminfo").write_text("MemTotal: 16000000 kB\n")
    (folder / "local.toml").write_text(POLICY.replace("gpt2", "./d"))
    for place in (folder, folder / "split"):
        for number in (1, 2):
            (place / f"m-0000{number}-of-00002.gguf").write_bytes(b"GGUF")
    return folder


@pytest.mark.parametrize("line", INPUTS)
def test_no_report_takes_the_place_of_an_input(
    line: str, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Named, beside what is named, or in a folder that is read: exit 2 says so, and every file
    stays as it is.
    """
    before = files_in(inputs)
    code, out, err = run(capsys, *line.split())
    assert (code, out) == (2, "")
    assert f"cannot write {file_named_last(line)}" in err
    assert files_in(inputs) == before


@pytest.mark.parametrize("line", NEXT_INPUTS)
def test_no_report_becomes_an_input_of_the_next_run(
    line: str, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, *line.split())
    assert (code, out) == (2, "")
    assert "it would " in err
    assert not (inputs / file_named_last(line)).exists()


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("specs/models/openai-community/gpt2.toml", id="shipped spec"),
        pytest.param("specs/common/gpus.toml", id="shipped table"),
        pytest.param(
            "specs/models/openai-community/report.json", id="new file among specs"
        ),
        pytest.param("selfhost/core/files.py", id="code"),
    ],
)
@pytest.mark.parametrize(
    "times", [pytest.param(1, id="first"), pytest.param(2, id="again")]
)
@pytest.mark.usefixtures("inputs")
def test_no_report_lies_among_the_files_of_selfhost(
    path: str, times: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every run reads them, by a stored form where one is kept: then no file tells that it was
    opened.
    """
    place = ROOT / path
    before = place.read_bytes() if place.exists() else None
    try:
        for _ in range(times):
            code, out, err = run(capsys, *CHECK, "--output", str(place))
        assert (code, out) == (2, "")
        assert "among the files of selfhost itself" in err
        assert (place.read_bytes() if place.exists() else None) == before
    finally:
        if before is None:
            place.unlink(missing_ok=True)
        elif place.read_bytes() != before:
            place.write_bytes(before)


def test_a_folder_is_known_where_it_is_mounted_again(
    inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bind mount is a second path of a folder, without a link: a report there is an input too."""
    (inputs / "again").mkdir()
    try:
        done = subprocess.run(
            ["mount", "--bind", "sp", "again"], capture_output=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("this system has no mount")
    if done.returncode:
        pytest.skip("this account may mount nothing")
    try:
        words = ("check", "mine", "--specs", "sp", "--output", "again/new.toml")
        code, _, err = run(capsys, *words)
    finally:
        subprocess.run(["umount", "again"], check=True)
    assert (code, "it would be read as a spec in sp" in err) == (2, True)
    assert not (inputs / "sp/new.toml").exists()


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(
            "audit p.toml --machines recs --format markdown=recs/r.md", id="page"
        ),
        pytest.param("check ./d --json --output d/report.json", id="beside a model"),
    ],
)
@pytest.mark.usefixtures("inputs")
def test_what_no_run_reads_is_written_again_and_again(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A page among records, a report in a model's folder."""
    for _ in range(2):
        code, _, _ = run(capsys, *line.split())
        assert code in (0, 1, 3)


@pytest.mark.usefixtures("inputs")
def test_a_new_spec_goes_into_a_folder_of_specs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, _, _ = run(
        capsys, *["spec", "new", "./d", "--specs", "sp", "--output", "sp/d.toml"]
    )
    assert code == 0


def test_specs_of_the_environment_are_inputs_too(
    inputs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFHOST_SPECS", "sp")
    code, _, err = run(
        capsys, "check", "mine", "--machine", "m.json", "--output", "sp/mine.toml"
    )
    assert (code, "it would be read as a spec in sp" in err) == (2, True)
    assert (inputs / "sp/mine.toml").read_text() == SPEC


def test_standard_input_from_a_file_is_an_input(
    inputs: Path, source_environment: dict[str, str]
) -> None:
    """`audit --machines - --output recs.jsonl < recs.jsonl` keeps the records."""
    words = ("audit", "p.toml", "--machines", "-", "--format", "json=m.json")
    before = (inputs / "m.json").read_bytes()
    with open("m.json", "rb") as stdin:
        done = subprocess.run(
            [sys.executable, "-m", "selfhost", *words],
            stdin=stdin,
            capture_output=True,
            text=True,
            env=source_environment,
            check=False,
        )
    assert (done.returncode, "this run reads it, as standard input" in done.stderr) == (
        2,
        True,
    )
    assert (inputs / "m.json").read_bytes() == before


def test_two_names_of_one_file_take_one_report(
    inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A hard link is a second name of a file."""
    (inputs / "one").write_text("old")
    os.link("one", "two")
    formats = ("--format", "junit=one", "--format", "json=two")
    code, _, err = run(capsys, "audit", "p.toml", "--machines", "m.json", *formats)
    assert (code, "two reports would go to two" in err) == (2, True)
    assert (inputs / "one").read_text() == "old"


@pytest.mark.skipif(
    os.name != "posix" or os.getuid() != 0, reason="only root gives files away"
)
def test_the_owner_is_kept(folder: Path) -> None:
    path = folder / "r.txt"
    path.write_text("old")
    path.chmod(0o640)
    os.chown(path, 1234, 2345)
    write_reports([(str(path), "new")])
    status = path.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (1234, 2345, 0o640)
    assert path.read_text() == "new"


@pytest.mark.parametrize(
    ("name", "number"),
    [("chown", errno.EPERM), ("chmod", errno.EPERM), ("fsync", errno.EINVAL)],
)
def test_a_file_system_without_owners_modes_or_fsync_takes_a_report(
    name: str, number: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAT, FUSE and network mounts refuse these, and keep the bytes all the same."""

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    path = folder / "r.txt"
    path.write_text("old")
    monkeypatch.setattr(os, name, refuse)
    write_reports([(str(path), "new")])
    assert path.read_text() == "new"


def test_a_report_of_the_longest_name_is_written(folder: Path) -> None:
    """The name of the temporary file does not grow with that of the report."""
    name = "r" * 255
    write_reports([(name, "new")])
    assert (folder / name).read_text() == "new"
