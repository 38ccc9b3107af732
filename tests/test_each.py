"""A law held for many things in one test is as strong as a test for each."""

from __future__ import annotations

import pytest

from helpers.each import each


def test_every_case_that_fails_is_named_with_its_reason() -> None:
    """One fault hides no other, an error of another kind is a fault, and what holds is not named."""
    met = []

    @each("name", ["good", "bad", "worse", "fine"])
    def law(name: str) -> None:
        met.append(name)
        assert name != "bad", "that is bad"
        if name == "worse":
            raise KeyError(name)

    with pytest.raises(AssertionError) as failed:
        law()
    assert met == ["good", "bad", "worse", "fine"]
    lines = str(failed.value).splitlines()
    assert lines[0] == "2 of 4 cases fail"
    assert lines[1].startswith("bad: that is bad")
    assert any(line.startswith("worse: KeyError") for line in lines)
    assert not any(line.startswith(("good", "fine")) for line in lines)


def test_each_case_meets_all_others() -> None:
    """Laws of two kinds of things are held for every pair, with what a fixture gives to all."""
    met = set()

    @each("first", "ab")
    @each("second, third", [(1, 2), (3, 4)], ids=["low", "high"])
    def law(first: str, second: int, third: int, fixture: str) -> None:
        assert fixture == "given"
        assert (first, second) != ("b", 3)
        met.add((first, second, third))

    with pytest.raises(AssertionError, match=r"(?s)b: 1 of 2 cases fail.*high: "):
        law(fixture="given")
    assert met == {("a", 1, 2), ("a", 3, 4), ("b", 1, 2)}


def test_a_law_of_nothing_fails() -> None:
    """A folder that is empty by mistake is no reason to pass."""

    @each("path", [])
    def law(path: str) -> None:
        raise AssertionError(path)

    with pytest.raises(AssertionError, match="has no case"):
        law()
