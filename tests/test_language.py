"""What the program says: phrases that were hard to read do not come back."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from helpers.each import each
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
)
# a term of another meaning that holds one of them
ALLOWED = ("taken as likely", "it takes no images")
MODULES = sorted((ROOT / "selfhost").rglob("*.py"))


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
                value.value if isinstance(value, ast.Constant) else "…" for value in node.values
            )
            yield node.lineno, "".join(map(str, parts))


@each("path", MODULES, ids=[path.relative_to(ROOT).as_posix() for path in MODULES])
def test_no_text_has_a_phrase_that_was_hard_to_read(path: Path) -> None:
    """A sentence for users says what the reader does or gets, in words that stand alone."""
    hits = []
    for line, text in sentences(path):
        read = f" {text.lower()} "
        for allowed in ALLOWED:
            read = read.replace(allowed, "")
        hits += [f"{line}: {phrase!r} in {text!r}" for phrase in BANNED if f" {phrase} " in read]
    assert not hits, "\n".join(hits)
