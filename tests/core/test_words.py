"""A word of a closed list: each is there once, and reads as its text."""

from __future__ import annotations

import copy
import json
import pickle
from enum import StrEnum
from typing import Any

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


class _Way(StrEnum):
    LOCAL = "local"
    API = "api"
    NEITHER = "neither"
    UNKNOWN = "unknown"


@pytest.mark.parametrize("kind", [Route, _Way], ids=["Word", "StrEnum"])
def test_a_word_is_used_as_an_enum_is(kind: Any) -> None:
    """What `enum` documents for its classes holds for both."""
    assert kind["LOCAL"] is kind("local") is kind.LOCAL
    assert set(kind.__members__) == {"LOCAL", "API", "NEITHER", "UNKNOWN"}
    assert kind.__members__["API"] is kind.API
    assert len(kind) == len(list(kind)) == 4
    assert kind.LOCAL in kind
    assert isinstance(kind.LOCAL, kind)
    with pytest.raises(KeyError):
        kind["local"]
    match kind("api"):
        case kind.LOCAL:
            pytest.fail("another word")
        case kind.API:
            pass
        case _:
            pytest.fail("no word")


def test_a_text_may_be_one_of_the_words() -> None:
    """As of an enum from Python 3.12 on: by its value, not its name."""
    kind: Any = Route
    assert "local" in kind
    assert "LOCAL" not in kind
    assert 3 not in kind
