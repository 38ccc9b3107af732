"""What a person names is asked what it is before it is opened, and how much it holds before it is parsed."""

from __future__ import annotations

import errno
import io
import json
import os
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfhost.audit.machines import load_machines
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.offers import snapshot_day
from selfhost.cli import main as cli
from selfhost.core import json_text, reading
from selfhost.core.errors import MAX_PROBLEMS, Faults, MachineFileError, Problem, SpecError
from selfhost.core.json_text import MAX_DEPTH, Decoder, read_records
from selfhost.core.reading import Unreadable, read_some
from selfhost.core.tomlfile import Document
from selfhost.machine.probes.host import Host
from selfhost.machine.probes.recorded import RecordedHost
from selfhost.machine.reader import Machine
from selfhost.modelfiles import read_adapter, read_local
from selfhost.modelfiles.safetensors import MAX_TENSORS, read_weights, shards_in

MEMORY_MIB = 512
# what CI machines that are busy with other tests still do in time; no test waits for it
PATIENCE_SECONDS = 60
PIPES = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")


@pytest.fixture(autouse=True)
def _as_installed(source_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands in processes of their own have compiled specs, as users do."""
    for name in ("PYTHONPATH", "PYTHONSAFEPATH"):
        monkeypatch.setenv(name, source_environment[name])


def selfhost(
    *words: str, stdin: bytes | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """The command as a program of its own; a wait without end is a failed test."""
    source = subprocess.DEVNULL if stdin is None else None
    done = subprocess.run(
        [sys.executable, "-m", "selfhost", *words],
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        stdin=source,
        input=stdin,
        cwd=cwd,
    )
    return subprocess.CompletedProcess(
        words, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


# ------------------------------------------------------------------ pipes, devices, sockets


def _fault(path: Path | str, read: Callable[[str], object]) -> str:
    with pytest.raises((MachineFileError, SpecError)) as caught:
        read(str(path))
    return str(caught.value)


def _raise(problems: tuple[Problem, ...]) -> None:
    raise SpecError(problems)


READERS: dict[str, Callable[[str], object]] = {
    "a machine record": Machine.from_file,
    "a model": lambda path: read_local(path, {}),
    "an adapter": read_adapter,
    "a spec": lambda path: _raise(Document.read(path).problems),
    "an index": shards_in,
    "prices": snapshot_day,
}


@PIPES
@pytest.mark.parametrize("reader", READERS)
def test_nothing_but_an_ordinary_file_is_opened(
    tmp_path: Path, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe, a socket and a device are refused for what they are, and never opened: to open a device may do something."""
    os.mkfifo(tmp_path / "pipe")
    if sys.platform == "linux":
        os.mknod(tmp_path / "socket", stat.S_IFSOCK | 0o600)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", lambda *_: pytest.fail("opened"))
        assert "it is a named pipe" in _fault(tmp_path / "pipe", READERS[reader])
        assert "it is a device" in _fault("/dev/null", READERS[reader])
        if sys.platform == "linux":
            assert "it is a socket" in _fault(tmp_path / "socket", READERS[reader])


@PIPES
def test_a_pipe_put_in_place_of_a_file_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the question and the opening the path may become another thing."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("{}")
    ordinary = os.stat(tmp_path / "file")
    monkeypatch.setattr(os, "stat", lambda *_, **__: ordinary)
    with pytest.raises(Unreadable, match="named pipe"):
        reading.read_file(str(tmp_path / "pipe"), 100)


@PIPES
@pytest.mark.parametrize("name", ["facts.json", "env.json", "sysctl.txt"])
def test_a_pipe_in_a_recorded_tree_is_not_waited_for(tmp_path: Path, name: str) -> None:
    """`selfhost machine --root DIR` ends, exit 2, with the file's name."""
    (tmp_path / "proc").mkdir()
    os.mkfifo(tmp_path / name)
    done = selfhost("machine", "--root", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert name in done.stderr
    assert "named pipe" in done.stderr


@PIPES
def test_every_file_of_a_recorded_tree_may_be_a_pipe(tmp_path: Path) -> None:
    """What the probes read of a tree is unread with that reason, as on this machine."""
    asked = (
        "proc/meminfo",
        "proc/cpuinfo",
        "proc/self/cgroup",
        "proc/self/mountinfo",
        "proc/self/status",
        "sys/devices/system/cpu/online",
    )
    for name in asked:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(tmp_path / name)
    machine = Machine.read(root=tmp_path)
    assert machine.memory_total_bytes is None
    why = next(entry.reason for entry in machine.unread if entry.fact == "memory_total_bytes")
    assert "named pipe" in why


@PIPES
def test_a_probe_opens_no_pipe_and_no_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a writer holds the pipe open, and on this machine."""
    os.mkfifo(tmp_path / "pipe")
    writer = os.open(tmp_path / "pipe", os.O_RDWR)
    try:
        os.write(writer, b"MemTotal: 1 kB\n")
        with pytest.raises(OSError, match="it is a named pipe") as caught:
            Host().read_bytes(str(tmp_path / "pipe"), 100)
        assert caught.value.errno == errno.EINVAL
    finally:
        os.close(writer)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", lambda *_: pytest.fail("opened"))
        with pytest.raises(OSError, match="it is a device"):
            Host().read_bytes("/dev/null", 100)


@PIPES
def test_a_pipe_among_machine_records_is_one_problem(tmp_path: Path) -> None:
    """`--machines DIR`: the others are still read."""
    os.mkfifo(tmp_path / "a.json")
    (tmp_path / "b.json").write_text('{"schema": "selfhost.machine/1", "name": "b"}')
    fleet = load_machines(str(tmp_path))
    assert [machine.name for machine in fleet.machines] == ["b"]
    assert [Path(problem.file).name for problem in fleet.problems] == ["a.json"]
    assert "named pipe" in fleet.problems[0].message


@PIPES
def test_a_pipe_that_replaces_a_spec_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of specs is listed first and read later."""
    os.mkfifo(tmp_path / "own.toml")
    # it was a file when the folder was listed
    monkeypatch.setattr(os.path, "isfile", lambda _: True)
    faults = Catalogue.open([tmp_path]).own_faults
    assert ["named pipe" in fault.message for fault in faults] == [True]


@PIPES
@pytest.mark.parametrize(
    "command",
    [
        ["check", "--adapter", "PIPE", "mistral-7b"],
        ["check", "./PIPE"],
        ["audit", "PIPE"],
        ["spec", "check", "PIPE"],
    ],
)
def test_no_command_waits_for_a_pipe(tmp_path: Path, command: list[str]) -> None:
    """Exit 1 or 2, and the reason."""
    os.mkfifo(tmp_path / "PIPE")
    done = selfhost(*command, cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert "named pipe" in done.stderr + done.stdout


def test_a_file_that_gives_what_comes_next_is_not_waited_for(tmp_path: Path) -> None:
    """/proc/kmsg is an ordinary file by its status, and has nothing until the kernel says something."""

    class Waiting:
        def __init__(self, stream: IO[bytes]) -> None:
            self.fileno = stream.fileno

        def read(self, _: int) -> None:
            return None

    (tmp_path / "kmsg").touch()
    with (tmp_path / "kmsg").open("rb") as stream, pytest.raises(Unreadable, match="without end"):
        read_some(cast("IO[bytes]", Waiting(stream)), 10)


@PIPES
def test_a_pipe_below_the_folder_of_descriptors_is_a_pipe(tmp_path: Path) -> None:
    """Only `/dev/stdin` and `/dev/fd/N` are standard input, whatever a path begins with."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MachineFileError, match="named pipe"):
        Machine.from_file(f"/dev/fd/../../..{tmp_path}/pipe")


@pytest.mark.skipif(not os.path.exists("/dev/stdin"), reason="this system has no /dev/stdin")
def test_standard_input_is_read_as_a_file() -> None:
    """`--machine -`, `--machine /dev/stdin` and `--machines -` take what a pipe gives."""
    record = b'{"schema": "selfhost.machine/1", "memory_total_bytes": 17179869184}'
    for words in (["machine", "--machine", "/dev/stdin"], ["check", "gpt2", "--machine", "-"]):
        if words[0] == "check":
            done = selfhost(*words, stdin=record)
            assert done.returncode in (0, 1, 3), done.stderr
    read, write = os.pipe()
    with open(write, "wb") as pipe:
        pipe.write(record)
    try:
        assert Machine.from_file(f"/dev/fd/{read}").memory_total_bytes == 17179869184
    finally:
        os.close(read)


RECORD_TEXT = b'{"schema": "selfhost.machine/1", "memory_total_bytes": 17179869184}'
STANDARD_INPUT = (["check", "gpt2", "--machine", "-"], ["audit", "p.toml", "--machines", "-"])


BY_SOCKET = """
import socket, subprocess, sys
ours, theirs = socket.socketpair()
ours.sendall(sys.argv[1].encode())
ours.shutdown(socket.SHUT_WR)
sys.exit(subprocess.run([sys.executable, *sys.argv[2:]], stdin=theirs).returncode)
"""


def judged(
    words: list[str], folder: Path, *, program: tuple[str, ...] = ("-m", "selfhost"), **stdin: Any
) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, in a folder with a policy."""
    (folder / "p.toml").write_text('schema = 1\n\n[[model]]\nname = "gpt2"\n')
    return subprocess.run(
        [sys.executable, *program, *words],
        capture_output=True, text=True, check=False, cwd=folder, timeout=60, **stdin,
    )  # fmt: skip


@PIPES
@pytest.mark.parametrize("words", STANDARD_INPUT, ids=lambda words: words[0])
def test_standard_input_is_read_from_where_it_stands(words: list[str], tmp_path: Path) -> None:
    """A socket, a file of which a part was read, and a pipe that does not let its reader wait."""
    by_socket = ["-c", BY_SOCKET, RECORD_TEXT.decode(), "-m", "selfhost", *words]
    done = judged(by_socket, tmp_path, program=())
    assert done.returncode in (0, 1, 3), done.stderr
    (tmp_path / "told.txt").write_bytes(b"a line for another\n" + RECORD_TEXT)
    with open(tmp_path / "told.txt", "rb", buffering=0) as file:
        file.seek(len(b"a line for another\n"))
        done = judged(words, tmp_path, stdin=file)
        assert done.returncode in (0, 1, 3), done.stderr
    read, write = os.pipe()
    os.set_blocking(read, False)

    def write_late() -> None:
        with open(write, "wb") as pipe:
            pipe.write(RECORD_TEXT)

    writer = threading.Timer(0.5, write_late)
    writer.start()
    try:
        done = judged(words, tmp_path, stdin=read)
        assert done.returncode in (0, 1, 3), done.stderr
    finally:
        writer.join()
        os.close(read)


@PIPES
@pytest.mark.parametrize("words", STANDARD_INPUT, ids=lambda words: words[0])
def test_standard_input_that_gives_nothing_is_told(words: list[str], tmp_path: Path) -> None:
    """Closed, empty: exit 2 and what it is. Python itself refuses a folder."""
    closed = judged(words, tmp_path, preexec_fn=lambda: os.close(0))
    assert closed.returncode == 2
    assert "there is no standard input" in closed.stderr
    done = judged(words, tmp_path, stdin=subprocess.DEVNULL)
    assert (done.returncode, "is empty" in done.stderr) == (2, True)


def test_a_key_is_listed_once_an_object(tmp_path: Path) -> None:
    """However often it stands there; the same key of another object is listed again."""
    path = tmp_path / "m.json"
    path.write_text(
        '{"schema": "selfhost.machine/1", "cpu_model": {"b": 1, "b": 2},'
        + ' "a": 1,' * 30
        + ' "b": 1, "b": 1}'
    )
    with pytest.raises(MachineFileError) as caught:
        Machine.from_file(path)
    doubled = [each.key for each in caught.value.problems if "stands twice" in each.message]
    assert doubled == ["b", "a", "b"]


# ------------------------------------------------------------------ counted before it is parsed


def test_a_file_is_not_read_when_its_size_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The size is asked for first."""
    with open(tmp_path / "large", "wb") as file:
        file.truncate(1 << 40)
    monkeypatch.setattr(reading, "read_some", lambda *_: pytest.fail("read"))
    with pytest.raises(Unreadable, match="is larger than 1,000 bytes"):
        reading.read_file(str(tmp_path / "large"), 1000)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


def _count(value: Any) -> int:
    """Values and keys, the value itself among them."""
    inner = (
        list(value.values()) + list(value)
        if isinstance(value, dict)
        else value
        if isinstance(value, list)
        else []
    )
    return 1 + sum(map(_count, inner))


@given(json_values, st.sampled_from([None, 2]))
def test_signs_bound_what_a_text_holds(value: Any, indent: int | None) -> None:
    """RFC 8259, 2 to 5: each value but the first, and each key, follows `[`, `{`, `,` or `:`."""
    text = json.dumps(value, indent=indent)
    assert _count(value) <= json_text.signs_in(text) + 1
    assert json_text.signs_in(text.encode()) == json_text.signs_in(text)


@given(json_values)
def test_a_value_is_what_the_library_reads(value: Any) -> None:
    """The limits change no value."""
    assert Decoder().parse(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "is nested too deeply", None),
        ('{"a":' * (MAX_DEPTH + 1) + "1" + "}" * (MAX_DEPTH + 1), "is nested too deeply", None),
        ("[" * 100_000 + "]" * 100_000, "is nested too deeply", None),
        (
            "[" + "1," * json_text.MAX_SIGNS + "1]",
            "holds about 1,000,001 values, and at most 1,000,000 are read",
            None,
        ),
        ('{"a": 1}\n x', "is not JSON: Extra data", 2),
        ('{"a": 1,\n x}', "is not JSON: Expecting property name", 2),
        ("", "is not JSON: Expecting value", 1),
        ("[NaN]", "holds NaN, which is no number in JSON", None),
        ("9" * 5000, "holds a number of thousands of digits", None),
    ],
)
def test_what_is_no_usable_json_says_why(text: str, message: str, line: int | None) -> None:
    """Depth, number of values and grammar each have their message; a depth of 64 is read."""
    with pytest.raises(Unreadable) as caught:
        Decoder().parse(text)
    assert caught.value.reason.startswith(message)
    assert caught.value.line == line
    assert Decoder().parse("[" * MAX_DEPTH + "]" * MAX_DEPTH)


def test_a_text_of_wide_letters_is_refused_by_what_it_takes() -> None:
    """One letter beyond the 65,536 of the basic plane makes Python keep four bytes for every letter (PEP 393)."""
    with pytest.raises(Unreadable, match="as text"):
        Decoder().parse('"' + "x" * (json_text.MAX_TEXT_BYTES // 4) + "\U0001f600" + '"')


# ------------------------------------------------------------------ record by record


def entries(text: str | bytes, max_record_bytes: int = 10_000) -> list[tuple[int | None, Any]]:
    content = text.encode() if isinstance(text, str) else text
    return [
        (entry.line, entry.value if entry.fault is None else entry.fault.reason)
        for entry in read_records(io.BytesIO(content), max_record_bytes=max_record_bytes)
    ]


@settings(max_examples=120)
@given(
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from([3, 7, 64, 1 << 20]),
    st.lists(json_values, max_size=6),
    st.sampled_from([None, 1]),
)
def test_a_list_is_read_item_by_item(
    encoding: str, chunk: int, values: list[Any], indent: int | None
) -> None:
    """Wherever the pieces that are decoded end: in a number, a letter of several bytes, between two items."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "_CHUNK_BYTES", chunk)
        content = json.dumps(values, indent=indent, ensure_ascii=False).encode(
            encoding, "surrogatepass"
        )
        assert entries(content) == [(None, value) for value in values]


@pytest.mark.parametrize("chunk", [3, 64, 1 << 20])
def test_json_lines_have_their_numbers(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken line is told with its number, and those after it are read; empty lines count."""
    monkeypatch.setattr(json_text, "_CHUNK_BYTES", chunk)
    text = '{"a": 1}\n\n{"a": \n{"a": "\N{GRINNING FACE}"}\r\n7\n'
    assert entries(text) == [
        (1, {"a": 1}),
        (3, "is not JSON: it ends too early"),
        (4, {"a": "\N{GRINNING FACE}"}),
        (5, 7),
    ]
    assert entries('{"a": 1}\n') == [(None, {"a": 1})]
    assert entries('\n{\n"a": 1\n}\n') == [(None, {"a": 1})]


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ('[\n{"a": 1},\n{"a": }]', "is not JSON: Expecting value", 3),
        ('[{"a": 1}\n\n{"a": 2}]', "is not JSON: Expecting ',' delimiter", 3),
        ('[{"a": 1}]\n[', "is not JSON: Extra data", 2),
        ('[{"a": 1},\n]', "is not JSON: Expecting value", 2),
        ('[{"a": 1}', "is not JSON: it ends too early", 1),
        ('[\n{"a": "b', "is not JSON: it ends too early", 2),
        ('{"a":\n1,\n', "is not JSON: it ends too early", 2),
        ('{"a": "\t"}', "is not JSON: Invalid control character", 1),
        ('{"a": 1,\n\n b}', "is not JSON: Expecting property name enclosed in double quotes", 3),
        (" \n\t", "is empty", None),
        (b"[\xff]", "is not text", None),
        ("[" + "[" * 70 + "]" * 71, "is nested too deeply", None),
        ('["' + "x" * 30_000 + '"]', "has a record of more than 10,000 bytes", 1),
        ('{"a": "' + "x" * 30_000, "has a record of more than 10,000 bytes", 1),
    ],
)
@pytest.mark.parametrize("chunk", [5, 1 << 20])
def test_a_list_that_breaks_off_says_where(
    text: str | bytes, message: str, line: int | None, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line is that of the file, however many pieces came before."""
    monkeypatch.setattr(json_text, "_CHUNK_BYTES", chunk)
    with pytest.raises(Unreadable) as caught:
        entries(text)
    assert (caught.value.reason, caught.value.line) == (message, line)


def test_a_key_that_stands_twice_is_a_fault_in_a_fleet_too(tmp_path: Path) -> None:
    """As in `--machine FILE`: readers of JSON differ in which of the two they take."""
    (tmp_path / "a.jsonl").write_text(
        '{"name": "a", "scope": "vm"}\n{"name": "b", "scope": "vm", "scope": "host"}\n'
    )
    fleet = load_machines(str(tmp_path / "a.jsonl"))
    assert [machine.name for machine in fleet.machines] == ["a"]
    assert [(problem.line, problem.key) for problem in fleet.problems] == [(2, "scope")]


# ------------------------------------------------------------------ memory

# of the program itself: what getrusage says begins with the memory of the process that started it
_MEASURED = """
import sys
import selfhost.cli.main
code = selfhost.cli.main.main(sys.argv[1:])
with open("/proc/self/status") as file:
    peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))
print("PEAK", code, peak // 1024)
"""
MEASURED = pytest.mark.skipif(
    sys.platform != "linux", reason="Linux tells the most that a program took"
)


def _header(header: bytes, data_bytes: int = 8) -> bytes:
    return struct.pack("<Q", len(header)) + header + b"\0" * data_bytes


def _objects(count: int) -> bytes:
    """Small objects of one new key each: what takes the most memory a byte."""
    return b",".join(b'"k%x":{"%x":1}' % (number, number) for number in range(count))


def _records(count: int, labels: int) -> bytes:
    record = {"schema": "selfhost.machine/1", "memory_total_bytes": 1 << 34}
    many = (
        {
            **record,
            "name": f"m{number}",
            "labels": {f"{number:x}-{label:x}": "y" for label in range(labels)},
        }
        for number in range(count)
    )
    return json.dumps(list(many)).encode()


def _gguf(keys: bytes, count: int) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, 0, count) + keys


def _lists_of_numbers() -> bytes:
    """9,900 keys, each with 2,000 numbers of a byte, which take 8 in a list."""
    one = struct.pack("<IIQ", 9, 0, 2000) + b"\1" * 2000
    return _gguf(
        b"".join(struct.pack("<Q", 6) + b"k%05d" % number + one for number in range(9_900)), 9_900
    )


def _wide_keys() -> bytes:
    """Keys of 60 kB with a letter of four bytes."""
    key = b"x" * 60_000 + "\U0001f600".encode()
    return _gguf(
        b"".join(
            struct.pack("<Q", len(key) + 4) + b"%04d" % number + key + struct.pack("<IB", 7, 1)
            for number in range(1_500)
        ),
        1_500,
    )


LARGE: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "header of empty lists": (
        "m.safetensors",
        lambda: _header(b'{"a":[' + b"[]," * 33_000_000 + b"[]]}"),
        "at most 50,000,000 are read",
    ),
    "header of less": (
        "m.safetensors",
        lambda: _header(b'{"a":[' + b"[]," * 16_000_000 + b"[]]}"),
        "at most 2,800,000 are read",
    ),
    "header of objects": (
        "m.safetensors",
        lambda: _header(b"{" + _objects(690_000) + b',"z":"' + b"x" * 34_000_000 + b'"}'),
        "690,001",
    ),
    "header of wide letters": (
        "m.safetensors",
        lambda: _header(b'{"z":"' + b"x" * 49_000_000 + b'\xf0\x9f\x98\x80"}'),
        "as text",
    ),
    "index of empty lists": (
        "m.safetensors.index.json",
        lambda: b'{"weight_map":[' + b"[]," * 21_000_000 + b"[]]}",
        "at most 1,501,000",
    ),
    "index of shards": (
        "m.safetensors.index.json",
        lambda: (
            b'{"weight_map":{'
            + b",".join(b'"%070x":"%x"' % (number, number) for number in range(749_000))
            + b"}}"
        ),
        "names files outside its folder",
    ),
    "config": (
        "config.json",
        lambda: b'{"a":[' + b"[]," * 2_700_000 + b"[]]}",
        "at most 1,000,000 are read",
    ),
    "GGUF of lists": ("m.gguf", _lists_of_numbers, "take more than any model's"),
    "GGUF of long keys": ("m.gguf", _wide_keys, "take more than any model's"),
}


@MEASURED
@pytest.mark.parametrize("name", LARGE)
def test_a_hostile_model_file_takes_bounded_memory(tmp_path: Path, name: str) -> None:
    """Each is of a kind that took 1.6 to 3.2 GB; under 512 MiB it is refused, exit 2, for what is wrong with it."""
    file, content, message = LARGE[name]
    (tmp_path / file).write_bytes(content())
    code, peak_mib, said = _peak("check", f"{tmp_path}{os.sep}{file}")
    assert message in said
    assert code == 2
    assert peak_mib < MEMORY_MIB


def _peak(*words: str) -> tuple[int, int, str]:
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *words],
        capture_output=True,
        text=True,
        timeout=5 * PATIENCE_SECONDS,
    )
    assert "Traceback" not in done.stderr
    _, code, peak = done.stdout.splitlines()[-1].split(" ")
    # a long path of the temporary folder wraps the message
    return int(code), int(peak), " ".join(done.stderr.split())


@MEASURED
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: b"[" + b"[]," * 22_000_000 + b"[]]", "at most 4,000,000 are read"),
        (
            lambda: b'{"a":[' + b"[]," * 20_000_000 + b"[]]}",
            "has a record of more than 4,194,304 bytes",
        ),
        (lambda: b'{"a":[\n' + b"[],\n" * 15_000_000 + b"[]]}", "is larger than 4,194,304 bytes"),
        (lambda: b"[" + b",".join(b'{"scope": 1}' for _ in range(12_000)) + b"]", "10,000 faults"),
    ],
)
def test_a_hostile_fleet_takes_bounded_memory(
    tmp_path: Path, content: Callable[[], bytes], message: str
) -> None:
    """`audit --machines` of 66 MB took 3.2 GB; it reads one record at a time."""
    (tmp_path / "fleet.json").write_bytes(content())
    (tmp_path / "audit.toml").write_text('schema = 1\n[[model]]\nname = "gpt2"\n')
    code, peak_mib, said = _peak(
        "audit", str(tmp_path / "audit.toml"), "--machines", str(tmp_path / "fleet.json")
    )
    assert message in said
    assert code == 2
    assert peak_mib < MEMORY_MIB


@MEASURED
def test_the_index_of_the_largest_model_is_read(tmp_path: Path) -> None:
    """Kimi K3: 92 layers of 896 experts with three matrices, each packed and with its scales (its spec, and MXFP4 of its report)."""
    entries = [
        f'"language_model.model.layers.{layer}.mlp.experts.{expert}.{matrix}.{part}": "model-{layer:05d}-of-00096.safetensors"'
        for layer in range(1, 93)
        for expert in range(896)
        for matrix in ("gate_proj", "up_proj", "down_proj")
        for part in ("weight_packed", "weight_scale")
    ]
    assert len(entries) == 494_592
    (tmp_path / "model.safetensors.index.json").write_text(
        '{"weight_map": {\n' + ",\n".join(entries) + "\n}}"
    )
    code, peak_mib, said = _peak("check", str(tmp_path / "model.safetensors.index.json"))
    assert "has its weights in 92 files" in said
    assert code == 2
    assert peak_mib < MEMORY_MIB


def test_the_tensors_of_one_file_and_of_all_are_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full set of adapters of Kimi K2 (60 layers, 384 experts, 3 matrices, A and B) fits; ever so many shards do not."""
    assert MAX_TENSORS > 60 * 384 * 3 * 2
    monkeypatch.setattr("selfhost.modelfiles.safetensors.MAX_TENSORS", 3)
    monkeypatch.setattr("selfhost.modelfiles.safetensors.MAX_TENSORS_IN_ALL", 5)
    paths = []
    for number in range(3):
        header = {
            f"{number}.{index}": {"dtype": "U8", "shape": [1], "data_offsets": [index, index + 1]}
            for index in range(2)
        }
        path = tmp_path / f"model-0000{number + 1}-of-00003.safetensors"
        path.write_bytes(_header(json.dumps(header).encode(), 2))
        paths.append(str(path))
    assert read_weights("m", tuple(paths[:2])).elements == {"U8": 4}
    with pytest.raises(SpecError, match="has more than 5 tensors in its files"):
        read_weights("m", tuple(paths))


def test_a_header_whose_length_looks_like_json_is_a_header(tmp_path: Path) -> None:
    """31,520 bytes are 0x7B20: a blank and a brace."""
    header = (
        json.dumps({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}})
        .encode()
        .ljust(31_520)
    )
    (tmp_path / "m.safetensors").write_bytes(_header(header, 1))
    assert read_local(tmp_path / "m.safetensors", {}).format == "safetensors"


# ------------------------------------------------------------------ twenty problems


def test_twenty_problems_are_listed_and_the_rest_is_counted() -> None:
    """One closing problem says how many there are more, also of parts that have their own."""
    faults = Faults("f")
    for number in range(25):
        faults.append(Problem(file="f", message=str(number)))
    whole = Faults("g")
    whole.extend(MachineFileError(faults.problems), line=7)
    whole.append(Problem(file="g", message="last"))
    assert [problem.message for problem in whole.problems] == [
        *map(str, range(20)),
        "has 6 more faults, not listed",
    ]
    assert {problem.line for problem in whole.problems[:-1]} == {7}


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ('{"schema": "selfhost.machine/1",' + ",".join(['"a": 1'] * 400_000) + "}", 0),
        (
            '{"schema": "selfhost.machine/1",'
            + ",".join(f'"{number % 100_000}": 1' for number in range(200_000))
            + "}",
            100_000 - MAX_PROBLEMS,
        ),
        ("[" + ",".join(["NaN"] * 300_000) + "]", 300_000 + 1 - MAX_PROBLEMS),
        ('{"disks": [' + ",".join(["1"] * 900) + "]}", 900 - MAX_PROBLEMS),
        ('{"sources": {' + ",".join(f'"{number}": 1' for number in range(900)) + "}}", None),
    ],
    ids=["one doubled", "all doubled", "not a number", "disks", "sources"],
)
def test_a_record_of_nothing_but_faults_prints_little(
    tmp_path: Path, text: str, more: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """400,000 times the same key, 2.4 MB, printed 20 MB; on the terminal and as JSON."""
    (tmp_path / "m.json").write_text(text)
    for words in (
        ["check", "gpt2", "--machine"],
        ["check", "gpt2", "--format", "json", "--machine"],
    ):
        code = cli.main([*words, str(tmp_path / "m.json")])
        out, err = capsys.readouterr()
        assert (code, out) == (2, "")
        assert len(err) < 20_000
    problems = json.loads(err)["problems"]
    assert len(problems) == (1 if more == 0 else MAX_PROBLEMS + 1)
    if more:
        assert f"has {more:,} more faults" in problems[-1]["message"]


def test_a_fleet_of_nothing_but_faults_prints_little(tmp_path: Path) -> None:
    """9,000 records, each with a fault: twenty are listed."""
    (tmp_path / "m.jsonl").write_text('{"schema": "selfhost.machine/1", "name": 1}\n' * 9_000)
    fleet = load_machines(str(tmp_path / "m.jsonl"))
    assert [problem.line for problem in fleet.problems[:-1]] == list(range(1, MAX_PROBLEMS + 1))
    assert fleet.problems[-1].message == "has 8,980 more faults, not listed"


def test_many_unknown_names_print_little(capsys: pytest.CaptureFixture[str]) -> None:
    """Twenty are told, with what is near; the rest is counted."""
    code = cli.main(["check", *(f"no-such-model-{number}" for number in range(200))])
    err = capsys.readouterr().err
    assert code == 2
    assert err.count("no-such-model") <= 2 * MAX_PROBLEMS
    assert "has 180 more faults" in err


def test_a_recorded_tree_of_a_deep_text_is_a_fault(tmp_path: Path) -> None:
    """Depth has one limit for all."""
    (tmp_path / "facts.json").write_text('{"nvml": ' + "[" * 70 + "]" * 70 + "}")
    with pytest.raises(MachineFileError, match="nested too deeply"):
        RecordedHost(str(tmp_path))
