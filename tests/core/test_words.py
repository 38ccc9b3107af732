"""A word of a closed list: each is there once, and reads as its text."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from selfhost import Outcome, Route


def test_a_word_is_its_text_and_there_once() -> None:
    """It compares, prints and is written as JSON like its text; copies of it are it."""
    assert Route("local") is Route.LOCAL
    assert f"{Route.LOCAL}" == json.loads(json.dumps(Route.LOCAL)) == "local"
    assert Route.LOCAL in {"local"}
    assert (Route.LOCAL.name, Route.LOCAL.value) == ("LOCAL", "local")
    assert pickle.loads(pickle.dumps(Route.LOCAL)) is Route.LOCAL is copy.deepcopy(Route.LOCAL)
    assert repr(Route.LOCAL) == "<Route.LOCAL: 'local'>"


def test_a_list_of_words_is_closed() -> None:
    """The words come in the order in which they are stated; another is a ValueError."""
    assert list(Outcome) == ["pass", "warn", "unknown", "fail"]
    assert all(type(word) is Outcome for word in Outcome)
    with pytest.raises(ValueError, match="'perhaps' is not a valid Outcome"):
        Outcome("perhaps")
