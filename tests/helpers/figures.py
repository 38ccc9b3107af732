"""What the tests of the house read of the syntax trees: imports, classes and calls of `replace`."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from helpers.paths import ROOT

PACKAGE = ROOT / "selfhost"


class Import(NamedTuple):
    """An import, whether it stands inside a function, and whether it is for types alone."""

    node: ast.Import | ast.ImportFrom
    in_function: bool
    for_types: bool


class Module:
    """The syntax tree of a module, collected in one walk.

    The trees of all modules have a million nodes, so a walk for each question takes seconds.
    """

    def __init__(self, path: Path) -> None:
        self.imports: list[Import] = []
        self.classes: list[ast.ClassDef] = []
        # calls of a method `replace`, each with a function that it stands in
        self.replacing: list[tuple[ast.FunctionDef, ast.Call]] = []
        self._walk(ast.parse(path.read_text(encoding="utf-8")), (), for_types=False)

    def _walk(
        self, node: ast.AST, around: tuple[ast.FunctionDef, ...], *, for_types: bool
    ) -> None:
        self._collect(node, around, for_types=for_types)
        if isinstance(node, ast.FunctionDef):
            around = (*around, node)
        is_for_types = isinstance(node, ast.If) and (
            isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        )
        for name in node._fields:
            value = getattr(node, name, None)
            for child in value if isinstance(value, list) else (value,):
                # operators and the like hold nothing
                if isinstance(child, ast.AST) and child._fields:
                    within = for_types or (is_for_types and name == "body")
                    self._walk(child, around, for_types=within)

    def _collect(
        self, node: ast.AST, around: tuple[ast.FunctionDef, ...], *, for_types: bool
    ) -> None:
        if isinstance(node, ast.Import | ast.ImportFrom):
            self.imports.append(Import(node, bool(around), for_types))
        elif isinstance(node, ast.ClassDef):
            self.classes.append(node)
        elif isinstance(node, ast.Call) and _is_replace(node):
            self.replacing += [(function, node) for function in around]


def _is_replace(call: ast.Call) -> bool:
    """Whether a method called `replace` is called."""
    return isinstance(call.func, ast.Attribute) and call.func.attr == "replace"


@lru_cache(maxsize=1)
def modules() -> dict[Path, Module]:
    """Each module of the package."""
    return {path: Module(path) for path in sorted(PACKAGE.rglob("*.py"))}
