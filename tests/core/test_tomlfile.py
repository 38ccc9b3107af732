"""TOML files: typed getters, every fault with its line, and no content that hurts; records, frozen and compared by value."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.each import each
from selfhost.core.records import Record, Unread
from selfhost.core.tomlfile import MAX_FILE_BYTES, Document, Table


def _document(text: str) -> Document:
    return Document.parse("x.toml", text.encode())


def test_a_missing_key_has_the_line_of_its_table() -> None:
    """A key that is not there points at the header, list element or dotted key that should hold it; the whole file has no line."""
    text = "a.b = 1\n\n[t.u]\nx = 1\n[t]\ny = 1\n[[l]]\n[[l]]\nz = [\n  {},\n]\n"
    document = _document(text)
    root = document.root
    root.string("nothing", required=True)
    for table in (root.table("a"), root.table("t"), *root.tables("l")):
        assert table is not None
        table.string("nothing", required=True)
    inner = root.tables("l")[1].tables("z")[0]
    inner.string("nothing", required=True)
    found = {problem.key: problem.line for problem in document.problems}
    assert found == {
        "nothing": None,
        "a.nothing": 1,
        "t.nothing": 5,
        "l[0].nothing": 7,
        "l[1].nothing": 8,
        "l[1].z[0].nothing": 10,
    }


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a = 1\nb = 2\na = '''\n3'''\n", 3, "a is there already"),
        ("[a]\nb = 1\n\n[c]\n[a]\n", 5, "[a] is there already"),
        ('a = 1\nb = """x\nc = 2\n', 2, "what begins here does not end"),
        ('a = 1\nb = [\n  1,\n\n"c",\n', 2, "what begins here does not end"),
        ('a = 1\nb = "x\nc = 2\n', 2, "a string does not end on its line"),
        ("a = 1\n\nb = yes\n", 3, "Invalid value"),
    ],
)
def test_a_syntax_error_points_at_where_the_statement_begins(
    text: str, line: int, message: str
) -> None:
    """The line is the one to mend, not the end of the file or of a long value."""
    (problem,) = _document(text).problems
    assert problem.line == line
    assert problem.message == f"not valid TOML: {message}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\t\r\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"GGUF\x03\x00\x00\x00", "not a text file"),
        (b"a = 1\n" * 10_000 + b"\x00", "not a text file"),
        ("a = 1\n".encode("utf-16"), "UTF-16 text"),
        (b"a = 1\nb = '\xe9'\n", "not UTF-8 text"),
        (b"#" * (MAX_FILE_BYTES + 1), f"larger than {MAX_FILE_BYTES:,} bytes"),
        (b"a." * 20_000 + b"a = 1", "has a key of more than 64 parts"),
        (b"[" + b"'a' . " * 20_000 + b"a]", "has a key of more than 64 parts"),
        (b"a = " + b"[" * 100_000, "nested too deeply"),
        (b"a = " + b"{a=" * 100_000, "nested too deeply"),
        (b"a = " + b"9" * 5_000, "has a number of more than 4,300 digits"),
    ],
)
def test_hostile_content_is_one_clear_problem(content: bytes, message: str) -> None:
    """Content that is no usable TOML gives exactly one problem, no values and no exception."""
    document = Document.parse("x.toml", content)
    (problem,) = document.problems
    assert problem.message == message
    assert not document.ok
    assert document.values == {}


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("a = 1\n")
    expected = {"gone": "does not exist", "folder": "is a folder, not a file"}
    for name, message in expected.items():
        (problem,) = Document.read(str(tmp_path / name)).problems
        assert (problem.file, problem.message) == (str(tmp_path / name), message)
    assert Document.read(str(tmp_path / "file")).values == {"a": 1}


_WRONG: list[tuple[str, str, dict[str, Any], str]] = [
    ("string", "1", {}, "must be a string, not the number 1"),
    ("string", "' '", {}, "is empty"),
    ("string", r'"a\u0007b"', {}, '"a?b" has a line break or a control character'),
    ("string", "'rad'", {"choices": ("red", "blue")}, '"rad" is not one of red, blue'),
    ("integer", "true", {}, "must be a whole number, not true"),
    ("integer", "1.0", {}, "must be a whole number, not the number 1.0"),
    ("integer", "-1", {}, "must be at least 0, not -1"),
    ("integer", "1_001", {"maximum": 1000}, "must be at most 1,000, not 1,001"),
    ("number", "nan", {}, "must be between 0 and 1e+18, not nan"),
    ("number", "'1'", {}, 'must be a number, not the string "1"'),
    ("boolean", "0", {}, "must be true or false, not the number 0"),
    ("date", "'2024-05-22'", {"partial": True}, 'must be a date, not the string "2024-05-22"'),
    ("date", "2024-05-22T10:00:00", {}, "must be a date, not 2024-05-22 10:00:00"),
    ("date", "'2024'", {}, 'must be a date, not the string "2024"'),
    ("date", "'2024-13'", {"partial": True}, 'must be a date, not the string "2024-13"'),
    ("strings", "'a'", {}, 'must be a list, not the string "a"'),
    ("strings", "['a', 1]", {}, "must be a string, not the number 1"),
    ("integers", "[1, true]", {}, "must be a whole number, not true"),
    ("table", "[1]", {}, "must be a table, not a list"),
    ("tables", "[{}, 2]", {}, "must be a table, not the number 2"),
]


@each(("getter", "value", "arguments", "message"), _WRONG)
def test_a_wrong_value_is_one_problem_and_no_value(
    getter: str, value: str, arguments: dict[str, Any], message: str
) -> None:
    """Each getter notes what is wrong, in the words of the file, and gives nothing for it."""
    document = _document(f"\na = {value}\n")
    got = getattr(document.root, getter)("a", **arguments)
    (problem,) = document.problems
    assert (problem.line, problem.message) == (2, message)
    assert got is None or isinstance(got, tuple)


def test_unknown_keys_are_all_noted() -> None:
    """`close` names every key that nobody asked for, with the one that was meant, and says whether there was one."""
    document = _document("heds = 1\n\nzebra = 2\n")
    root = document.root
    root.integer("heads")
    assert not root.close()
    assert [(problem.line, problem.key, problem.remedy) for problem in document.problems] == [
        (1, "heds", "did you mean heads?"),
        (3, "zebra", "known here: heads"),
    ]


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=200) | st.text(alphabet="ab=[]{}\"'.,# \n\\1:-", max_size=60).map(str.encode)
)
def test_no_bytes_raise(content: bytes) -> None:
    """Any content is a document, with values or with a problem whose line is in the file."""
    document = Document.parse("x.toml", content)
    if document.ok:
        root = document.root
        root.close()
    else:
        assert document.values == {}
    last = content.count(b"\n") + 1
    assert all(problem.line is None or 1 <= problem.line <= last for problem in document.problems)
    assert isinstance(document.root, Table)


class Pair(Record):
    """A record with a default and a mapping."""

    left: int
    right: int = 2
    names: Mapping[str, int] = {}


class Triple(Pair):
    """A record that adds a field."""

    middle: int


def test_fields_and_defaults_are_inherited() -> None:
    """A subclass has its base's fields and defaults, and its own."""
    made = Triple(left=1, middle=3)
    assert (made.left, made.right, made.middle) == (1, 2, 3)
    with pytest.raises(TypeError, match="middle"):
        Triple(left=1)  # type: ignore[call-arg]


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


def test_two_kinds_are_never_equal() -> None:
    """Records of different classes differ, even with the same values."""
    assert Unread(fact="a", reason="b") != ("a", "b")
    assert Pair(left=1) != Triple(left=1, middle=0)
