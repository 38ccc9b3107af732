"""Small print that no rule of the linter refuses: a truth value as a factor or as an index, one
conditional inside another, and many parameters on one line. CONTRIBUTING says how code is written
here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from helpers.paths import ROOT

FOLDERS = ("selfhost", "tests", "tools", "benchmarks", "examples")
PYTHON = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
# they end the names of whole numbers, by which a text may be repeated: `width`, `card.count`
NUMBERS = (
    "cells", "count", "depth", "devices", "indent", "layers", "length", "lines",
    "number", "signs", "width",
)  # fmt: skip
COUNTING = ("count", "get", "int", "len", "max", "min", "round")


def name_of(node: ast.expr) -> str:
    """The last word of a name or of what is called."""
    called = node.func if isinstance(node, ast.Call) else node
    return str(getattr(called, "id", "") or getattr(called, "attr", ""))


def truths_of(kinds: Mapping[str, set[str]]) -> frozenset[str]:
    """The names that are annotated as truths, wherever they are annotated at all."""
    return frozenset(
        name for name, found in kinds.items() if found <= {"bool", "bool | None"}
    )


class Names:
    """The annotations of the names of one module, and the nodes that may be small print."""

    def __init__(self, tree: ast.AST) -> None:
        self.fields: dict[str, set[str]] = {}
        self.variables: dict[str, set[str]] = {}
        self.suspects: list[ast.BinOp | ast.Subscript | ast.IfExp] = []
        for node in ast.walk(tree):
            self.note(node)

    def note(self, node: ast.AST) -> None:
        """Keep what a node annotates, or the node where it may be small print."""
        if isinstance(node, ast.ClassDef):
            self.note_fields(node)
        elif isinstance(node, ast.arg) and node.annotation is not None:
            self.variables.setdefault(node.arg, set()).add(ast.unparse(node.annotation))
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            is_asked = isinstance(node.value, ast.Compare) or is_negation(node.value)
            kind = "bool" if is_asked else ""
            self.variables.setdefault(node.targets[0].id, set()).add(kind)
        elif isinstance(node, ast.BinOp | ast.Subscript | ast.IfExp):
            self.suspects.append(node)

    def note_fields(self, table: ast.ClassDef) -> None:
        """Keep the annotations of fields, and what methods return."""
        for node in table.body:
            if isinstance(node, ast.AnnAssign):
                kinds = self.fields.setdefault(name_of(node.target), set())
                kinds.add(ast.unparse(node.annotation))
            elif isinstance(node, ast.FunctionDef) and node.returns is not None:
                self.fields.setdefault(node.name, set()).add(ast.unparse(node.returns))


@cache
def modules() -> Mapping[Path, Names]:
    """What is looked at in each module. A tree is left at once, for all of them take gigabytes."""
    found: dict[Path, Names] = {}
    for path in PYTHON:
        found[path] = Names(ast.parse(path.read_text(encoding="utf-8")))
    return found


@cache
def fields() -> frozenset[str]:
    """The fields and properties of classes that are truths."""
    kinds: dict[str, set[str]] = {}
    for module in modules().values():
        for name, found in module.fields.items():
            kinds.setdefault(name, set()).update(found)
    return truths_of(kinds)


def is_negation(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)


def is_truth(node: ast.expr, names: frozenset[str] = frozenset()) -> bool:
    """Whether a factor, a summand or an index is a truth; `names`: the variables that are."""
    name = name_of(node)
    if name.startswith(("is_", "has_", "are_")):
        return True
    if isinstance(node, ast.Name):
        return name in names
    if isinstance(node, ast.Attribute):
        return name in fields()
    if isinstance(node, ast.Call):
        return name == "bool"
    return isinstance(node, ast.Compare) or is_negation(node)


def is_sequence(node: ast.expr) -> bool:
    """Whether a factor is a text, a list or a tuple at sight."""
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return is_text or isinstance(node, ast.JoinedStr | ast.List | ast.Tuple)


def is_number(node: ast.expr) -> bool:
    """Whether a factor is a whole number, by what it is or by its name."""
    if isinstance(node, ast.Call):
        return name_of(node) in COUNTING
    if isinstance(node, ast.Constant | ast.BinOp):
        return True
    return name_of(node).lower().endswith(NUMBERS)


def is_small_print(left: ast.expr, operator: ast.operator, right: ast.expr) -> bool:
    """Whether a choice is written as a factor, or a text is repeated by what may be a truth."""
    if not isinstance(operator, ast.Mult):
        return False
    if isinstance(left, ast.BoolOp) or isinstance(right, ast.BoolOp):
        return True
    is_text_first = is_sequence(left) and not is_number(right)
    return is_text_first or (is_sequence(right) and not is_number(left))


def is_arithmetic_with_a_truth(node: ast.BinOp, names: frozenset[str]) -> bool:
    """Whether a truth is a factor or a summand; `names`: the variables that are truths."""
    if not isinstance(node.op, ast.Mult | ast.Add | ast.Sub):
        return False
    if is_truth(node.left, names) or is_truth(node.right, names):
        return True
    return is_small_print(node.left, node.op, node.right)


def is_nested(node: ast.IfExp) -> bool:
    """Whether a conditional holds another one."""
    parts = (node.test, node.body, node.orelse)
    return any(isinstance(part, ast.IfExp) for part in parts)


def faults_of(module: Names) -> Iterator[str]:
    """Each place of small print, by its line."""
    names = truths_of(module.variables)
    for node in module.suspects:
        code = ast.unparse(node)
        if isinstance(node, ast.BinOp):
            if is_arithmetic_with_a_truth(node, names):
                yield f"{node.lineno}: write `if`, no arithmetic: {code}"
        elif isinstance(node, ast.Subscript):
            if is_truth(node.slice, names) or isinstance(node.slice, ast.BoolOp):
                yield f"{node.lineno}: write `if`, no index: {code}"
        elif is_nested(node):
            yield f"{node.lineno}: one conditional inside another: {code}"


def test_no_truth_is_a_number_and_no_conditional_is_nested() -> None:
    """In no module of the package, its tests and its tools."""
    faults = []
    for path, module in modules().items():
        faults += [f"{path.relative_to(ROOT)}:{fault}" for fault in faults_of(module)]
    assert faults == []


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("'about ' * is_estimate", id="text times a name that asks"),
        pytest.param("(rows > 1) * [foot]", id="truth times a list"),
        pytest.param("f'{flag}: ' * flag", id="text times what is no number at sight"),
        pytest.param("3 * (left < right)", id="comparison as a factor"),
        pytest.param("size * (size or 1)", id="choice as a factor"),
        pytest.param("tokens * row.rolls_back", id="field that is a truth as a factor"),
        pytest.param(
            "drafts = a != b\nrows * drafts", id="variable that is a truth as a factor"
        ),
        pytest.param("places = 1 + (rate < 10)", id="comparison as a summand"),
        pytest.param("('low', 'high')[rate > 1]", id="tuple by a comparison"),
        pytest.param("names[not found]", id="list by a negation"),
        pytest.param("1 if a else 2 if b else 3", id="nested conditional"),
    ],
)
def test_small_print_is_found(code: str) -> None:
    """Each once."""
    assert len(list(faults_of(Names(ast.parse(code))))) == 1


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("'-' * 20", id="text times a figure"),
        pytest.param("' ' * (width - 1)", id="text times a difference"),
        pytest.param("(card,) * card.count", id="tuple times a count"),
        pytest.param("rate * share", id="product"),
        pytest.param("rows[at]", id="index"),
        pytest.param("list[bool]", id="type"),
    ],
)
def test_ordinary_products_are_no_small_print(code: str) -> None:
    """A text may be repeated by a number."""
    assert list(faults_of(Names(ast.parse(code)))) == []


# many parameters on one line


def crowded_signatures(tree: ast.AST) -> Iterator[str]:
    """The functions that take three values or more and name two of them on one line."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        parameters = node.args
        named = [*parameters.posonlyargs, *parameters.args, *parameters.kwonlyargs]
        lines = [name.lineno for name in named if name.arg not in ("self", "cls")]
        if len(lines) >= 3 and len(set(lines)) < len(lines):
            yield f"{node.lineno}: write one parameter a line: {node.name}"


def test_three_parameters_or_more_stand_one_a_line() -> None:
    """In each module of the package."""
    faults = []
    for path in sorted((ROOT / "selfhost").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        file = path.relative_to(ROOT)
        faults += [f"{file}:{fault}" for fault in crowded_signatures(tree)]
    assert faults == []


@pytest.mark.parametrize(
    ("code", "count"),
    [
        pytest.param("def f(a, b, c): ...", 1, id="three on one line"),
        pytest.param("def f(self, a, *, b): ...", 0, id="two beside self"),
        pytest.param("def f(\n a,\n b,\n *,\n c,\n): ...", 0, id="one a line"),
    ],
)
def test_crowded_signatures_are_found(code: str, count: int) -> None:
    """`self` does not count."""
    assert len(list(crowded_signatures(ast.parse(code)))) == count
