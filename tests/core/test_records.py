"""Records: frozen through and through, compared by value, cheap to hash again."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfhost.core.records import Record, Unread, remembered


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


def test_what_is_known_in_part_is_completed_when_asked() -> None:
    """The rest is fetched once, at the first question for it; then the record equals the whole one. Without a rest the defaults hold."""
    fetched: list[Pair] = []

    def rest() -> Pair:
        fetched.append(Pair(left=9, right=5, names={"a": 1}))
        return fetched[-1]

    made = Pair.partly({"left": 1}, rest)
    assert made.left == 1
    assert type(made) is Pair
    assert not fetched
    assert made == Pair(left=1, right=5, names={"a": 1})
    assert len(fetched) == 1
    assert Pair.partly({"left": 1}) == Pair(left=1)
    with pytest.raises(AttributeError, match="wrong"):
        _ = made.wrong  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "use", [copy.copy, copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))]
)
def test_what_is_known_in_part_is_copied_whole(use: Callable[[Pair], Pair]) -> None:
    """A copy needs no rest: a program may send it to another process."""
    whole = Pair(left=1, right=5, names={"a": 1})
    copied = use(Pair.partly({"left": 1}, lambda: whole))
    assert type(copied) is Pair
    assert vars(copied) == vars(whole)


def test_a_record_known_in_part_is_changed_without_the_rest() -> None:
    """A copy with some fields changed asks for the rest when that is asked for, and then is the whole record's copy."""
    asked = 0

    def rest() -> Pair:
        nonlocal asked
        asked += 1
        return Pair(left=9, right=5, names={"a": 1})

    made = Pair.partly({"left": 1}, rest).replace(left=2)
    assert (made.left, asked) == (2, 0)
    assert made == Pair(left=2, right=5, names={"a": 1})
    assert asked == 1
    assert Pair.partly({"left": 1}, rest).replace(names={"b": 2}).names == {"b": 2}
    with pytest.raises(TypeError):
        Pair.partly({"left": 1}, rest).replace(wrong=1)


def test_two_threads_may_ask_for_the_rest_at_once() -> None:
    """Both get it, whoever is first."""
    both = threading.Barrier(2, timeout=30)

    def rest() -> Pair:
        both.wait()
        return Pair(left=9, right=5)

    made, found = Pair.partly({"left": 1}, rest), []
    threads = [threading.Thread(target=lambda: found.append(made.right)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [5, 5]


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


def test_what_is_remembered_is_of_the_same_object() -> None:
    """A function is called again for another record, also where it is equal, and for the first when there were too many."""
    calls: list[int] = []

    @remembered(2)
    def doubled(pair: Pair, by: int) -> int:
        calls.append(pair.left)
        return pair.left * by

    first, second = Pair(left=1), Pair(left=1)
    assert [doubled(first, 2), doubled(first, 2), doubled(second, 2)] == [2, 2, 2]
    assert calls == [1, 1]
    assert (doubled(first, 3), doubled(first, 2)) == (3, 2)
    assert len(calls) == 4
