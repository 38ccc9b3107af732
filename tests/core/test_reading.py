"""What a person names is asked what it is before it is opened, and how much it holds before it is
parsed. TOML files: typed getters, every fault with its line, and no content that hurts; records,
frozen and compared by value.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.cases import case_id
from selfhost.audit import record_text
from selfhost.catalogue.offers import snapshot
from selfhost.cli import main as cli
from selfhost.core.errors import MAX_PROBLEMS, MachineFileError, Problem, SpecError
from selfhost.core.files import (
    MAX_DEPTH,
    MAX_SIGNS,
    Unreadable,
    object_of,
    parse_json,
)
from selfhost.core.records import (
    DATE,
    JSON,
    PYTHON,
    TOML,
    Notation,
    Record,
    Stated,
    fault_of,
)
from selfhost.core.tables import MAX_FILE_BYTES, TABLES, Document, TomlTable
from selfhost.machine.record import Machine
from selfhost.modelfiles import read_local
from selfhost.modelfiles.safetensors_header import shards_in

MEMORY_MIB = 512
# what CI machines that are busy with other tests still do in time; no test waits for it
PATIENCE_SECONDS = 60
PIPES = pytest.mark.skipif(
    not hasattr(os, "mkfifo"), reason="this system has no named pipes"
)


@pytest.fixture(autouse=True)
def _as_installed(
    source_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands in processes of their own have compiled specs, as users do."""
    for name in ("PYTHONPATH", "PYTHONSAFEPATH"):
        monkeypatch.setenv(name, source_environment[name])


def _fault(path: Path | str, read: Callable[[str], object]) -> str:
    with pytest.raises((MachineFileError, SpecError)) as caught:
        read(str(path))
    return str(caught.value)


def _raise(problems: tuple[Problem, ...]) -> None:
    raise SpecError(problems)


READERS: dict[str, Callable[[str], object]] = {
    "a machine record": Machine.from_file,
    "a model": read_local,
    "a spec": lambda path: _raise(Document.read(path).problems),
    "an index": shards_in,
    "prices": snapshot,
}


@PIPES
@pytest.mark.parametrize("reader", READERS)
def test_nothing_but_an_ordinary_file_is_opened(
    tmp_path: Path, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe, a socket and a device are refused for what they are, and never opened: to open a
    device may do something.
    """
    os.mkfifo(tmp_path / "pipe")
    if sys.platform == "linux":
        os.mknod(tmp_path / "socket", stat.S_IFSOCK | 0o600)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", lambda *_: pytest.fail("opened"))
        assert "it is a named pipe" in _fault(tmp_path / "pipe", READERS[reader])
        assert "it is a device" in _fault("/dev/null", READERS[reader])
        if sys.platform == "linux":
            assert "it is a socket" in _fault(tmp_path / "socket", READERS[reader])


RECORD_TEXT = b'{"schema": "selfhost.machine/1", "memory_total_bytes": 17179869184}'
STANDARD_INPUT = (
    ["check", "gpt2", "--machine", "-"],
    ["audit", "p.toml", "--machines", "-"],
)


def judged(
    words: list[str], folder: Path, **stdin: Any
) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, in a folder with a policy."""
    (folder / "p.toml").write_text('schema = 1\n\n[[model]]\nname = "gpt2"\n')
    return subprocess.run(
        [sys.executable, "-m", "selfhost", *words],
        capture_output=True, text=True, check=False, cwd=folder, timeout=60, **stdin,
    )  # fmt: skip


@PIPES
@pytest.mark.parametrize("words", STANDARD_INPUT, ids=lambda words: words[0])
def test_standard_input_is_read_from_where_it_stands(
    words: list[str], tmp_path: Path
) -> None:
    """A file of which a part was read, and a pipe that does not let its reader wait."""
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
    with open(read, "rb") as pipe:
        done = judged(words, tmp_path, stdin=pipe)
    writer.join()
    assert done.returncode in (0, 1, 3), done.stderr


def nested(depth: int) -> str:
    """A list in a list, so many in all."""
    return "[" * depth + "]" * depth


def ones(count: int) -> str:
    """A list of so many numbers."""
    return f"[{'1,' * (count - 1)}1]"


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        (nested(MAX_DEPTH + 1), "is nested too deeply", None),
        (nested(100_000), "is nested too deeply", None),
        (ones(MAX_SIGNS + 1), "holds about 1,000,001 values; at most 1,0", None),
        ('{"a": 1}\n x', "is not JSON: Extra data", 2),
        ('{"a": 1,\n x}', "is not JSON: Expecting property name", 2),
        ("", "is not JSON: Expecting value", 1),
        ("[NaN]", "holds NaN, which is not a number in JSON", None),
        ("9" * 5000, "holds a number of thousands of digits", None),
    ],
)
def test_what_is_no_usable_json_says_why(
    text: str, message: str, line: int | None
) -> None:
    """Depth, number of values and grammar each have their message; a depth of 64 is read."""
    with pytest.raises(Unreadable) as caught:
        parse_json(text)
    assert caught.value.reason.startswith(message)
    assert caught.value.line == line
    assert parse_json(nested(MAX_DEPTH))


def test_a_record_that_states_a_key_twice_is_a_fault() -> None:
    """Of `"memory_total_bytes"` twice the last counted, and nothing was said."""
    said = entries('{"a": 1}\n{"a": 1, "b": {"c": 2, "c": 3}}\n')
    assert said == [(1, {"a": 1}), (2, "states 'c' twice")]


def test_the_last_of_many_keys_stated_twice_is_found_at_once() -> None:
    """A search of all keys for each key would take a quarter of an hour."""
    keys = ",".join(f'"{number}":0' for number in range(300_000))
    with pytest.raises(Unreadable, match="states '299999' twice"):
        parse_json(f'{{{keys},"299999":0}}', pairs=object_of)


def entries(
    text: str | bytes, max_record_bytes: int = 10_000
) -> list[tuple[int | None, Any]]:
    content = text.encode() if isinstance(text, str) else text
    stream = io.BytesIO(content)
    said: list[tuple[int | None, Any]] = []
    for record in record_text.split_records(stream, max_record_bytes=max_record_bytes):
        entry = record.entry()
        said.append((entry.line, entry.fault.reason if entry.fault else entry.value))
    return said


@settings(max_examples=60)
@given(
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from([3, 7, 64, 1 << 20]),
    st.lists(json_values, max_size=6),
    st.sampled_from([None, 1]),
)
def test_a_list_is_read_item_by_item(
    encoding: str, chunk: int, values: list[Any], indent: int | None
) -> None:
    """Wherever the pieces that are decoded end: in a number, a letter of several bytes, between two
    items.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record_text, "_CHUNK_BYTES", chunk)
        content = json.dumps(values, indent=indent, ensure_ascii=False).encode(
            encoding, "surrogatepass"
        )
        assert entries(content) == [(None, value) for value in values]


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ('[\n{"a": 1},\n{"a": }]', "is not JSON: Expecting value", 3),
        ('[{"a": 1}]\n[', "is not JSON: Extra data", 2),
        ('[{"a": 1}', "is not JSON: it ends too early", 1),
        ('[\n{"a": "b', "is not JSON: it ends too early", 2),
        (" \n\t", "is empty", None),
        (b"[\xff]", "is not text", None),
        ('{"a": "' + "x" * 30_000, "has a record of more than 10,000 bytes", 1),
    ],
)
@pytest.mark.parametrize("chunk", [5, 1 << 20])
def test_a_list_that_breaks_off_says_where(
    text: str | bytes,
    message: str,
    line: int | None,
    chunk: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The line is that of the file, however many pieces came before."""
    monkeypatch.setattr(record_text, "_CHUNK_BYTES", chunk)
    with pytest.raises(Unreadable) as caught:
        entries(text)
    assert (caught.value.reason, caught.value.line) == (message, line)


# of the program itself: what getrusage says begins with the memory of the process that started it
_MEASURED = """
import sys
import selfhost.cli.main
code = selfhost.cli.main.main(sys.argv[1:])
with open("/proc/self/status") as file:
    peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))
print("PEAK", code, peak // 1024)
"""


def _header_of_objects() -> bytes:
    """Small objects of one new key each: what takes the most memory a byte."""
    objects = b",".join(
        b'"k%x":{"%x":1}' % (number, number) for number in range(690_000)
    )
    header = b"{" + objects + b',"z":"' + b"x" * 34_000_000 + b'"}'
    return struct.pack("<Q", len(header)) + header + bytes(8)


def _lists_of_numbers() -> bytes:
    """9,900 keys, each with 2,000 numbers of a byte, which take 8 in a list."""
    one = struct.pack("<IIQ", 9, 0, 2000) + b"\1" * 2000
    keys = [struct.pack("<Q", 6) + b"k%05d" % number + one for number in range(9_900)]
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 9_900) + b"".join(keys)


LARGE: tuple[tuple[str, Callable[[], bytes], str], ...] = (
    ("m.safetensors", _header_of_objects, "690,001"),
    ("m.gguf", _lists_of_numbers, "are larger than those of any model"),
    (
        "fleet.json",
        lambda: b"[" + b"[]," * 22_000_000 + b"[]]",
        "at most 4,000,000 are read",
    ),
    ("faulty.json", lambda: b"[" + b'{"scope": 1},' * 12_000 + b"1]", "10,000 faults"),
)


@pytest.mark.skipif(
    sys.platform != "linux", reason="Linux tells the most that a program took"
)
@pytest.mark.parametrize(
    ("file", "content", "message"), LARGE, ids=[row[0] for row in LARGE]
)
def test_a_hostile_file_takes_bounded_memory(
    tmp_path: Path, file: str, content: Callable[[], bytes], message: str
) -> None:
    """Each is of a kind that took 1.6 to 3.2 GB; under 512 MiB it is refused, exit 2, for what is
    wrong with it.
    """
    (tmp_path / file).write_bytes(content())
    (tmp_path / "audit.toml").write_text('schema = 1\n[[model]]\nname = "gpt2"\n')
    words = ["check", str(tmp_path / file)]
    if file.endswith(".json"):
        words = [
            "audit",
            str(tmp_path / "audit.toml"),
            "--machines",
            str(tmp_path / file),
        ]
    program = [sys.executable, "-c", _MEASURED, *words]
    done = subprocess.run(
        program,
        capture_output=True,
        text=True,
        check=False,
        timeout=5 * PATIENCE_SECONDS,
    )
    _, code, peak_mib = done.stdout.splitlines()[-1].split(" ")
    # a long path of the temporary folder wraps the message
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert (code, int(peak_mib) < MEMORY_MIB) == ("2", True)


@pytest.mark.parametrize(
    ("text", "listed"),
    [
        ("[" + ",".join(["NaN"] * 300_000) + "]", 1),
        (json.dumps({"sources": dict.fromkeys(range(900), 1)}), MAX_PROBLEMS + 1),
    ],
    ids=["not a number", "sources"],
)
def test_a_record_of_nothing_but_faults_prints_little(
    tmp_path: Path, text: str, listed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Faults are counted beyond the first, on the terminal and as JSON."""
    (tmp_path / "m.json").write_text(text)
    for form in ("text", "json"):
        words = [
            "check",
            "gpt2",
            "--format",
            form,
            "--machine",
            str(tmp_path / "m.json"),
        ]
        code, (out, err) = cli.main(words), capsys.readouterr()
        assert (code, out, len(err) < 20_000) == (2, "", True)
    assert len(json.loads(err)["problems"]) == listed


def test_a_missing_key_has_the_line_of_its_table() -> None:
    """A key that is not there points at the header, list element or dotted key that should hold it;
    the whole file has no line.
    """
    text = b"a.b = 1\n\n[t.u]\nx = 1\n[t]\ny = 1\n[[l]]\n[[l]]\nz = [\n  {},\n]\n"
    document = Document.read("x.toml", text)
    root = document.root
    root.get("nothing", "str", required=True)
    for table in (
        root.get("a", "TomlTable"),
        root.get("t", "TomlTable"),
        *root.get("l", TABLES),
    ):
        table.get("nothing", "str", required=True)
    inner = root.get("l", TABLES)[1].get("z", TABLES)[0]
    inner.get("nothing", "str", required=True)
    lines = {"": None, "a.": 1, "t.": 5, "l[0].": 7, "l[1].": 8, "l[1].z[0].": 10}
    found = {problem.key: problem.line for problem in document.problems}
    assert found == {f"{table}nothing": line for table, line in lines.items()}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "x.toml: is empty"),
        (b"\xef\xbb\xbf", "x.toml: is empty"),
        (b"GGUF\x03\x00\x00\x00", "x.toml: is not text"),
        (b"a = 1\n" * 10_000 + b"\x00", "x.toml: is not text"),
        (b"a = 1\nb = '\xe9'\n", "x.toml:2: is not text (save the file as UTF-8)"),
        (
            b"#" * (MAX_FILE_BYTES + 1),
            f"x.toml: is larger than {MAX_FILE_BYTES:,} bytes",
        ),
        (b"a." * 20_000 + b"a = 1", "x.toml: has a key of more than 64 parts"),
        (b"[" + b"'a' . " * 20_000 + b"a]", "x.toml: has a key of more than 64 parts"),
        (b"a = " + b"[" * 100_000, "x.toml: is nested too deeply"),
        (b"a = " + b"9" * 5_000, "x.toml: has a number of more than 4,300 digits"),
        (
            b"a = 1\nb = 2\na = '''\n3'''\n",
            "x.toml:3: not valid TOML: a is written twice",
        ),
        (b"[a]\nb = 1\n\n[c]\n[a]\n", "x.toml:5: not valid TOML: [a] is written twice"),
        (
            b'a = 1\nb = """x\nc = 2\n',
            "x.toml:2: not valid TOML: the value that begins here does not end",
        ),
        (
            b'a = 1\nb = [\n  1,\n\n"c",\n',
            "x.toml:2: not valid TOML: the value that begins here does not end",
        ),
        (
            b'a = 1\nb = "x\nc = 2\n',
            "x.toml:2: not valid TOML: a string does not end on its",
        ),
        (
            b"a = 1\n\nb = yes\n",
            "x.toml:3: not valid TOML: Invalid value (put text in quotes",
        ),
    ],
)
def test_what_is_no_toml_is_one_clear_problem(content: bytes, problem: str) -> None:
    """Exactly one, at the line to mend, which is not the end of the file or of a long value; no
    values and no exception.
    """
    document = Document.read("x.toml", content)
    (found,) = document.problems
    assert str(found).startswith(problem)
    assert not document.ok
    assert document.values == {}


_WRONG: list[tuple[str, str, dict[str, Any], str]] = [
    ("str", "1", {}, "must be a string, not the number 1"),
    ("str", r'"a\u0007b"', {}, '"a?b" has a line break or a control character'),
    ("str", "'rad'", {"choices": ("red", "blue")}, '"rad" is not one of red, blue'),
    ("int", "true", {}, "must be a whole number, not true"),
    ("int", "1.0", {}, "must be a whole number, not the number 1.0"),
    ("int", "1_001", {"maximum": 1000}, "must be at most 1,000, not 1,001"),
    ("float", "nan", {}, "must be at most 1,000,000,000,000,000,000, not nan"),
    (
        "str",
        "2024-05-22T10:00:00",
        {"form": DATE},
        '"2024-05-22T10:00:00" is not a date',
    ),
    ("str", "'2024-13'", {"form": DATE}, '"2024-13" is not a date'),
    ("tuple[str, ...]", "'a'", {}, 'must be an array, not the string "a"'),
    ("tuple[str, ...]", "['a', 1]", {}, "must be a string, not the number 1"),
    (TABLES, "[{}, 2]", {}, "must be a table, not the number 2"),
]


@pytest.mark.parametrize(
    ("notation", "value", "kind", "message"),
    [
        pytest.param(JSON, None, str, "a string, not null", id="null of JSON"),
        pytest.param(JSON, {}, str, "a string, not an object", id="object of JSON"),
        pytest.param(JSON, [], dict, "an object, not an array", id="array of JSON"),
        pytest.param(JSON, True, list, "an array, not true", id="true of JSON"),
        pytest.param(JSON, 1, bool, "true or false, not the number 1", id="for JSON"),
        pytest.param(TOML, {}, list, "an array, not a table", id="table of TOML"),
        pytest.param(TOML, [], dict, "a table, not an array", id="array of TOML"),
        pytest.param(TOML, False, str, "a string, not false", id="false of TOML"),
        pytest.param(PYTHON, None, int, "a whole number, not None", id="None"),
        pytest.param(PYTHON, {}, list, "a list, not a dict", id="dict of Python"),
        pytest.param(PYTHON, [], dict, "a dict, not a list", id="list of Python"),
        pytest.param(PYTHON, True, float, "a number, not True", id="True of Python"),
        pytest.param(PYTHON, "no", bool, 'True or False, not the string "no"', id="no"),
    ],
)
def test_kinds_have_the_names_of_the_notation(
    notation: Notation, value: object, kind: type, message: str
) -> None:
    """Who wrote `null` looks in vain for `None`, and JSON has no tables."""
    fault = fault_of(value, kind, notation=notation)
    assert fault is not None
    assert fault.message == f"must be {message}"


@pytest.mark.parametrize(
    ("getter", "value", "arguments", "message"), _WRONG, ids=case_id
)
def test_a_wrong_value_is_one_problem_and_no_value(
    getter: str, value: str, arguments: dict[str, Any], message: str
) -> None:
    """Each getter notes what is wrong, in the words of the file, and gives nothing for it."""
    document = Document.read("x.toml", f"\na = {value}\n".encode())
    got = document.root.get("a", getter, **arguments)
    (problem,) = document.problems
    assert (problem.line, problem.message) == (2, message)
    assert got is None or isinstance(got, tuple)


@settings(max_examples=75, deadline=None)
@given(
    st.binary(max_size=200)
    | st.text(alphabet="ab=[]{}\"'.,# \n\\1:-", max_size=60).map(str.encode)
)
def test_no_bytes_raise(content: bytes) -> None:
    """Any content is a document, with values or with a problem whose line is in the file."""
    document = Document.read("x.toml", content)
    if document.ok:
        root = document.root
        root.close()
    else:
        assert document.values == {}
    last = content.count(b"\n") + 1
    assert all(
        problem.line is None or 1 <= problem.line <= last
        for problem in document.problems
    )
    assert isinstance(document.root, TomlTable)


class Pair(Record):
    """A record with a default and a mapping."""

    left: int
    right: int = 2
    names: Mapping[str, int] = {}


class Slot(Stated):
    size_gb: int


class Board(Stated):
    slots: tuple[Slot, ...]
    spare: Slot | None = None
    by_name: Mapping[str, Slot] = {}


class NamedBoard(Board):
    name: str


def test_an_annotation_tells_the_record_of_a_table() -> None:
    """Also where a base class has the field, and each wrong value has its key."""
    text = 'name = "x"\nspare = {size_gb = 4}\nby_name.a = {size_gb = 8}\n[[slots]]\nsize_gb = 16'
    document = Document.read("board.toml", text.encode())
    board = document.root.as_record(NamedBoard)
    assert document.ok
    assert board.slots == (Slot(size_gb=16),)
    assert board.spare == Slot(size_gb=4)
    assert board.by_name["a"].size_gb == 8
    wrong = Document.read("board.toml", text.replace("8", '"8"').encode())
    wrong.root.as_record(NamedBoard)
    assert [problem.key for problem in wrong.problems] == ["by_name.a.size_gb"]


def test_what_is_inside_is_frozen_too() -> None:
    """A mapping given to one record is nobody's default and cannot be changed."""
    given_names = {"a": 1}
    made = Pair(left=1, names=given_names)
    given_names["b"] = 2
    assert made.names == {"a": 1}
    with pytest.raises(TypeError, match="frozen"):
        made.names["c"] = 3  # type: ignore[index]
    with pytest.raises(TypeError, match="frozen"):
        Pair(left=1).names.update(c=3)  # type: ignore[attr-defined]
    assert Pair(left=1).names == {}


def test_a_field_is_neither_set_nor_deleted() -> None:
    """A record without one of its fields could be compared and copied no more."""
    made = Pair(left=1)
    with pytest.raises(AttributeError, match="Pair is frozen"):
        made.left = 3  # type: ignore[misc]
    with pytest.raises(AttributeError, match="Pair is frozen"):
        del made.left
    assert made == Pair(left=1)


@given(st.integers(), st.dictionaries(st.text(max_size=3), st.integers(), max_size=3))
def test_equal_records_hash_alike_and_travel(left: int, names: dict[str, int]) -> None:
    """Equality, hash, pickle and replace agree, whatever the order of a mapping's keys."""
    made = Pair(left=left, names=names)
    same = Pair(left=left, names=dict(reversed(names.items())))
    assert made == same
    assert hash(made) == hash(same) == hash(made)
    assert pickle.loads(pickle.dumps(made)) == made
    assert made.replace() == made
    assert made.replace(left=left + 1) != made


def test_a_list_may_be_longer_than_one_of_its_records() -> None:
    records = [{"name": "x" * 4_000}] * 5
    assert [value for _, value in entries(json.dumps(records, indent=0))] == records
