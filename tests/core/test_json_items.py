"""A JSON text is read part by part, with the line of each part, wherever the pieces of the stream end."""

from __future__ import annotations

import json
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfhost.core import json_items
from selfhost.core.json_items import Text, parts_of, read_parts
from selfhost.core.reading import Unreadable

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)


def opens(path: tuple[str, ...]) -> bool:
    return path == ("items",)


def parts(text: str) -> list[tuple[object, ...]]:
    stream = Text(BytesIO(text.encode()), max_bytes=1 << 30, max_part_bytes=1 << 20)
    return [(part.path, part.value, part.is_opened) for part in read_parts(stream, opens)]


@settings(deadline=None)
@given(
    st.dictionaries(st.text(max_size=4) | st.just("items"), VALUES, max_size=4),
    st.integers(1, 9),
    st.sampled_from([None, 1]),
)
def test_the_parts_of_a_text_are_those_of_its_value(
    value: dict[str, object], piece: int, indent: int | None
) -> None:
    """With pieces of a few bytes, which end in numbers, words and letters of several bytes."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    expected = [(part.path, part.value, part.is_opened) for part in parts_of(value, opens, 1)]
    before, json_items._CHUNK_BYTES = json_items._CHUNK_BYTES, piece
    try:
        assert parts(text) == expected
    finally:
        json_items._CHUNK_BYTES = before


def test_lines_are_those_of_the_text() -> None:
    """Of several documents, over line ends of both kinds."""
    text = Text(
        BytesIO(b'\n{"a": 1,\r\n "items": [\n 1,\n 2]}\n\n{"b": 2}'),
        max_bytes=1000,
        max_part_bytes=1000,
    )
    lines = [(part.path, part.line) for part in read_parts(text, opens)]
    assert lines == [
        ((), 2), (("a",), 2), (("items",), 3), (("items", "[]"), 4), (("items", "[]"), 5),
        (None, 5), ((), 7), (("b",), 7), (None, 7),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"items": [1,]}', "Expecting value"),
        ('{"items": [1 2]}', "Expecting ','"),
        ('{"a" 1}', "Expecting ':'"),
        ("{1: 2}", "Expecting property name"),
        ('{"a": 1} x', "Expecting value"),
        ('{"a": NaN}', "holds NaN"),
        ('{"a": 1, "a": 2}', '"a" twice'),
        ('{"a": [', "it ends too early"),
        ('{"a": "b', "it ends too early"),
        ('{"a"', "it ends too early"),
        ('{"a": 1,', "it ends too early"),
    ],
)
def test_what_is_no_json_is_refused(text: str, reason: str) -> None:
    """With what was expected there."""
    with pytest.raises(Unreadable) as raised:
        parts(text)
    assert reason in raised.value.reason
    assert raised.value.line == 1
