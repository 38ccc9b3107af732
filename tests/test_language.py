"""What the program says: phrases that were hard to read do not come back."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.paths import ROOT

# each was in a sentence that readers did not understand at once
BANNED = (
    "tells it closer",
    "count on the slow end",
    "the wanted",
    "on here",
    "asked for",
    "as asked",
    "what was asked",
    "told is",
    "is told",
    "kept back",
    "judged in ram",
    "judged at",
    "it takes",
    "what it takes",
    "unless told",
    "left aside",
    "taken as",
    "stands in for",
    "was not found measured",
    "nobody states",
    "is no quantization",
    "is no model",
    # German ways to say "is not a …", "again", "only", "no longer"
    "is no architecture",
    "is no day",
    "is no date",
    "is no key",
    "is no name",
    "is no number",
    "is no row",
    "is no time",
    "write it anew",
    "not here any more",
    "serves it no more",
    "nobody checked",
    "nothing tells",
    "does not tell",
    "stands beside",
    "is there already",
    # "of it" and "it" for a thing that no word before names
    "it was trained for",
    "says nothing of it",
    "for it has",
    "and at most",
)
# a term of another meaning that holds one of them
ALLOWED = ("taken as likely", "judged at a time")
MODULES = sorted((ROOT / "selfhost").rglob("*.py"))
# the tables of sentences; `words` has them under two keys, beside words that people type
TABLES = (
    *("findings", "remarks", "labels", "help", "openness", "options", "runs", "sizes"),
    *("model_files", "memory", "systems", "things", "uses"),
)


def sentences(path: Path) -> Iterator[tuple[int, str]]:
    """Every text of a module but docstrings, a value that is filled in as `…`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            skipped.add(node.value)
        if isinstance(node, ast.JoinedStr):
            skipped.update(node.values)
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            parts = (
                value.value if isinstance(value, ast.Constant) else "…"
                for value in node.values
            )
            yield node.lineno, "".join(map(str, parts))


def test_no_text_has_a_phrase_that_was_hard_to_read() -> None:
    """A sentence for users says what the reader does or gets, in words that stand alone."""
    hits = []
    for path in MODULES:
        for line, text in sentences(path):
            for phrase in banned_phrases(text):
                hits.append(f"{path}:{line}: {phrase!r} in {text!r}")
    assert not hits, "\n".join(hits)


def banned_phrases(text: str) -> list[str]:
    """The phrases of `BANNED` in a text, but for the places where they are allowed."""
    read = f" {text.lower()} "
    for allowed in ALLOWED:
        read = read.replace(allowed, "")
    return [phrase for phrase in BANNED if f" {phrase} " in read]


def texts_in(value: object) -> Iterator[str]:
    """Every text of a table, however deep."""
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else ():
        yield from texts_in(inner)
    for inner in value if isinstance(value, list) else ():
        yield from texts_in(inner)


@pytest.mark.parametrize("name", [*TABLES, "words"])
def test_no_sentence_of_a_table_has_a_phrase_that_was_hard_to_read(name: str) -> None:
    table = tomllib.loads(
        (ROOT / "specs" / "common" / f"{name}.toml").read_text(encoding="utf-8")
    )
    if name == "words":
        table = {key: table[key] for key in ("refused", "note")}
    hits = []
    for text in texts_in(table):
        for phrase in banned_phrases(text):
            hits.append(f"{phrase!r} in {text!r}")
    assert not hits, "\n".join(hits)


def test_an_example_in_the_help_follows_such_as() -> None:
    """`context in tokens, as 8192` reads as a way to do something; 8192 is an example."""
    table = tomllib.loads(
        (ROOT / "specs/common/options.toml").read_text(encoding="utf-8")
    )
    assert [
        text for text in texts_in(table) if text.startswith("as ") or ", as " in text
    ] == []


@pytest.mark.parametrize("name", TABLES)
def test_no_clause_of_a_sentence_ends_in_a_bracket_of_its_own(name: str) -> None:
    """`[[guess?… under [sources]]]` ended at the first two brackets, and left one in the
    sentence.
    """
    table = tomllib.loads(
        (ROOT / "specs" / "common" / f"{name}.toml").read_text(encoding="utf-8")
    )
    assert [text for text in texts_in(table) if "]]]" in text] == []
