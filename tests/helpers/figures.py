"""What the structure of the package is measured by: each figure counted from the syntax trees."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from helpers.paths import ROOT

PACKAGE = ROOT / "selfhost"
# names that say nothing of what they hold
VAGUE = {"found", "one", "made", "asked", "told", "known", "mend", "shelf"}
# names of architectures that are words of their own, or of other things, as well
_AMBIGUOUS = {"llama", "bert", "mamba", "phi2", "phi3", "whisper", "text", "clip"}
_BRANCHES = (
    ast.If,
    ast.For,
    ast.While,
    ast.ExceptHandler,
    ast.IfExp,
    ast.Assert,
    ast.comprehension,
    ast.With,
    ast.match_case,
)


class Function(NamedTuple):
    place: str
    lines: int
    complexity: int


@lru_cache(maxsize=1)
def trees() -> dict[Path, ast.Module]:
    """The syntax tree of each module of the package."""
    return {
        path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))
    }


@lru_cache(maxsize=1)
def nodes() -> tuple[ast.AST, ...]:
    return tuple(node for tree in trees().values() for node in ast.walk(tree))


def complexity(function: ast.AST) -> int:
    """1 and every branch, loop, handler, comprehension, and further operand of `and` and `or`."""
    total = 1
    for node in ast.walk(function):
        if isinstance(node, ast.BoolOp):
            total += len(node.values) - 1
        elif isinstance(node, _BRANCHES):
            total += 1
    return total


def functions(modules: Iterable[tuple[Path, ast.Module]]) -> Iterator[Function]:
    for path, tree in modules:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                place = f"{path.relative_to(ROOT).as_posix()}:{node.lineno} {node.name}"
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                yield Function(place, lines, complexity(node))


def nested_conditionals() -> int:
    """Conditional expressions that stand in a branch of another."""
    return sum(
        isinstance(node, ast.IfExp)
        and (isinstance(node.body, ast.IfExp) or isinstance(node.orelse, ast.IfExp))
        for node in nodes()
    )


def vague_names() -> int:
    return sum(isinstance(node, ast.Name) and node.id in VAGUE for node in nodes())


def architecture_names() -> int:
    """Strings of the package that are the name of one architecture."""
    with open(ROOT / "specs" / "common" / "architectures.toml", "rb") as file:
        rows = tomllib.load(file)["architecture"]
    names = set(rows) | {row.get("gguf") for row in rows.values()}
    names = {name for name in names if name and len(name) > 3} - _AMBIGUOUS
    return sum(isinstance(node, ast.Constant) and node.value in names for node in nodes())
