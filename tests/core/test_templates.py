"""The language of templates: places, optional words, lines without a value, and parts."""

from __future__ import annotations

import doctest
import tomllib
from collections.abc import Iterator, Mapping

import pytest

from helpers.paths import ROOT
from selfhost.core import templates
from selfhost.core.templates import fill


def test_the_examples_of_the_module_are_right() -> None:
    result = doctest.testmod(templates)
    assert result.attempted >= 5
    assert result.failed == 0


@pytest.mark.parametrize(
    ("template", "values", "text"),
    [
        pytest.param("plain words", {}, "plain words", id="no place"),
        pytest.param("{a} {a}", {"a": 1}, "1 1", id="a value twice"),
        pytest.param(
            "{a} and {b}",
            {"a": "{b}", "b": 2},
            "{b} and 2",
            id="a value is no template",
        ),
        pytest.param("{n:number}", {"n": 4096}, "4,096", id="unit"),
        pytest.param("{n:or}", {"n": ["a", "b"]}, "a or b", id="names"),
        pytest.param(
            "{r:speed}", {"r": (8.0, 12.0)}, "8.0-12 tokens/s", id="range of paces"
        ),
        pytest.param(
            "{r:binary}", {"r": (2**30, 2**30)}, "1.00 GiB", id="range of one value"
        ),
        pytest.param("a[[x? and {x}]]", {"x": 3}, "a and 3", id="optional words"),
        pytest.param("a[[x? and {x}]]", {"x": None}, "a", id="optional words left out"),
        pytest.param("a[[x? and {x}]]", {}, "a", id="optional words without the value"),
        pytest.param(
            "[[!x?none]][[x?some]]", {"x": ()}, "none", id="words for nothing"
        ),
        pytest.param("a {x}\nb\n", {"x": None}, "b\n", id="first line left out"),
        pytest.param("a\nb {x}\n", {"x": None}, "a\n", id="last line left out"),
        pytest.param("a {x}", {"x": None}, "", id="only line left out"),
        pytest.param("a {x}", {"x": ""}, "a ", id="an empty text is a value"),
        pytest.param("p { x: y } {a}", {"a": 1}, "p { x: y } 1", id="CSS"),
        pytest.param('{"a": {a}}', {"a": 1}, '{"a": 1}', id="JSON"),
        pytest.param(
            "${HOME}/{a}", {"a": "m"}, "${HOME}/m", id="a variable of a shell"
        ),
        pytest.param(
            "[0-9]{1,3}{a}", {"a": "b"}, "[0-9]{1,3}b", id="a regular expression"
        ),
        pytest.param("{a:>8}", {"a": 1}, "{a:>8}", id="a format of Python"),
        pytest.param(
            "[[ -f x ]] && {a}", {"a": "ls"}, "[[ -f x ]] && ls", id="a test of bash"
        ),
    ],
)
def test_a_template_is_filled(
    template: str, values: Mapping[str, object], text: str
) -> None:
    assert fill(template, values) == text


def test_a_part_may_hold_places_words_and_other_parts() -> None:
    parts = {"outer": "{>inner}[[left?, {left:tokens} left]]", "inner": "of {name}"}
    values = {"name": "Qwen3", "left": 1}
    assert (
        fill("context {>outer}.", values, parts=parts)
        == "context of Qwen3, 1 token left."
    )


def test_a_missing_value_is_an_error_unless_its_place_is_kept() -> None:
    """A fault of the program is loud; a line may be filled in steps."""
    with pytest.raises(KeyError, match="mask"):
        fill("{mask} selects", {})
    line = fill(
        "serve {repository} -c {context}", {"repository": "a/b"}, keep_unknown=True
    )
    assert line == "serve a/b -c {context}"
    assert fill(line, {"context": 4096}) == "serve a/b -c 4096"


@pytest.mark.parametrize(
    "table",
    [
        *("findings", "remarks", "labels", "help", "openness", "options", "runs"),
        *("sizes", "model_files", "memory", "systems", "things", "uses", "words"),
    ],
)
def test_no_optional_words_of_a_sentence_end_in_a_bracket_of_their_own(
    table: str,
) -> None:
    """`[[guess?... under [sources]]]` ended at the first two brackets, and left one in the
    sentence.
    """
    file = ROOT / "specs" / "common" / f"{table}.toml"
    sentences = list(texts_in(tomllib.loads(file.read_text(encoding="utf-8"))))
    assert sentences
    assert [text for text in sentences if "]]]" in text] == []


def texts_in(value: object) -> Iterator[str]:
    """Every text of a table, however deep."""
    if isinstance(value, str):
        yield value
    if isinstance(value, dict):
        for inner in value.values():
            yield from texts_in(inner)
    if isinstance(value, list):
        for inner in value:
            yield from texts_in(inner)
