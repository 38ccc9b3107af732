"""Records one a line: each has the number of its line, whatever stands between, and however the
text is cut into pieces while it is read.
"""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfhost.audit import machines, record_text
from selfhost.audit.machines import load_machines
from selfhost.audit.record_text import split_records
from selfhost.core import files
from selfhost.core.files import MAX_TEXT_BYTES, Unreadable

LINES = st.lists(
    st.sampled_from(
        ["", " ", "\t", "\r", '{"a": 1}', ' {"name": "m"} ', "{", '{"a": "é"}', "[1]"]
    ),
    max_size=12,
)


def read(content: bytes) -> list[tuple[object, int | None, bool]]:
    stream = BytesIO(content)
    records = split_records(stream, max_record_bytes=1 << 20)
    entries = [record.entry() for record in records]
    return [(entry.value, entry.line, entry.fault is not None) for entry in entries]


@settings(deadline=None, max_examples=120)
@given(lines=LINES, size=st.integers(1, 9))
def test_every_line_that_is_not_blank_has_its_number(
    lines: list[str], size: int
) -> None:
    text = "\n".join(['{"first": 1}', '{"second": 2}', *lines])
    expected: list[tuple[object, int | None, bool]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            expected.append((json.loads(line), number, False))
        except ValueError:
            expected.append((None, number, True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record_text, "_CHUNK_BYTES", size)
        assert read(text.encode()) == expected


def test_millions_of_blank_lines_are_counted_and_not_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_at: list[int] = []
    parse = files.parse_json

    def counted(text: str, **limits: object) -> object:
        looked_at.append(len(text))
        return parse(text, **limits)  # type: ignore[arg-type]

    monkeypatch.setattr(record_text, "parse_json", counted)
    blank = "\n" * 3_000_000
    text = f'{blank}{{"a": 1}}\n{blank}{{"a": 2}}{blank}'
    assert read(text.encode()) == [
        ({"a": 1}, 3_000_001, False),
        ({"a": 2}, 6_000_002, False),
    ]
    assert looked_at == [8, 8]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        pytest.param('{"a": 1}', [({"a": 1}, None, False)], id="one"),
        pytest.param(
            '\n\n{"a": 1}\n\n', [({"a": 1}, None, False)], id="one between blank lines"
        ),
        pytest.param(
            '{\n"a":\n1\n}\n', [({"a": 1}, None, False)], id="one over several lines"
        ),
        pytest.param(
            '\n[{"a": 1},\n{"a": 2}]',
            [({"a": 1}, None, False), ({"a": 2}, None, False)],
            id="a list",
        ),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1 << 20])
def test_other_forms(
    text: str, values: list[object], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_text, "_CHUNK_BYTES", size)
    assert read(text.encode()) == values


@pytest.mark.parametrize("text", ["", "\n", " \n\t\r\n" * 400_000])
def test_nothing_is_empty(text: str) -> None:
    with pytest.raises(Unreadable, match="is empty"):
        read(text.encode())


def test_a_fault_has_its_line_behind_blank_ones() -> None:
    fleet = load_machines("-", stdin=b"\n" * 2_000_000 + b'{\n"a": oops\n}')
    (problem,) = fleet.problems
    assert problem.line == 2_000_002


def test_more_blank_lines_than_a_text_may_have_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They would all be kept in front of a list, so that its faults have their lines."""
    monkeypatch.setattr(record_text, "MAX_TEXT_BYTES", 1000)
    monkeypatch.setattr(record_text, "_CHUNK_BYTES", 100)
    with pytest.raises(Unreadable, match="larger than 1,000 bytes"):
        read(b"\n" * 5000 + b"[]")


@pytest.mark.parametrize(
    ("piece", "count"),
    [
        pytest.param("é" * (1 << 20), 100, id="one byte each"),
        pytest.param("x" * (1 << 20), 100, id="ascii"),
    ],
)
def test_a_text_of_narrow_characters_is_kept(piece: str, count: int) -> None:
    parts = record_text._Parts(MAX_TEXT_BYTES)
    for _ in range(count):
        parts.add(piece)
    assert len(parts.text()) == count << 20


@pytest.mark.parametrize(
    ("wide", "most_characters"),
    [
        # Python keeps a text in as many bytes a character as its widest one needs
        pytest.param("東", 64 << 20, id="two bytes each"),
        pytest.param("😀", 32 << 20, id="four bytes each"),
    ],
)
def test_one_wide_character_makes_a_long_text_too_large(
    wide: str, most_characters: int
) -> None:
    piece = "x" * (1 << 20)
    parts = record_text._Parts(MAX_TEXT_BYTES)
    parts.add(wide)
    for _ in range((most_characters >> 20) - 1):
        parts.add(piece)
    with pytest.raises(Unreadable, match="takes more than 128 MiB as text"):
        parts.add(piece)


def test_more_machines_than_fit_into_memory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machines, "MAX_MACHINES", 3)
    path = tmp_path / "fleet.jsonl"
    lines = [
        f'{{"schema": "selfhost.machine/1", "name": "m{number}"}}\n'
        for number in range(5)
    ]
    path.write_text("".join(lines), encoding="utf-8")
    fleet = machines.load_machines(str(path))
    assert fleet.machines.names == ["m0", "m1", "m2"]
    (problem,) = fleet.problems
    assert problem.line == 4
    assert "more machines than one audit accepts (at most 3)" in problem.message
    assert problem.remedy is not None
    assert "split the file" in problem.remedy
