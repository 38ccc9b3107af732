"""Records: frozen through and through, compared by value, cheap to hash again."""

from __future__ import annotations

import pickle
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfhost.core.records import Record, Unread


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
