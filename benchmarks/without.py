"""A checkout without some functions: what the program answers where an idea is taken away.

with without(checkout, ["judge/ways.py:larger_types"]) as less:
    less.python("script.py", cwd=folder)

A place is a file of `selfhost/` and a function or method there: `judge/rating.py:Merits._worth`. A
generator then yields nothing, and any other function returns the empty value of the type that it
states: False, 0, "", an empty tuple, list or table, else None. Whatever nothing names any more has
its body taken away too, so that the tokens are those of the whole idea, but for first lines.
"""

from __future__ import annotations

import ast
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from checkouts import Checkout

# the empty value of a type, by the word with which its annotation begins
_EMPTY = {
    "bool": "False", "int": "0", "float": "0.0", "str": '""', "list": "[]", "dict": "{}",
    "Mapping": "{}", "tuple": "()", "Sequence": "()", "Iterable": "()", "Collection": "()",
    "set": "set()", "frozenset": "frozenset()", "Iterator": "iter(())",
}  # fmt: skip
_NOT_CALLED = "raise NotImplementedError"

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class _Place:
    """A function or method of a file."""

    file: Path
    name: str
    node: _Function

    @property
    def short_name(self) -> str:
        """The name without that of the class."""
        return self.name.rpartition(".")[2]

    @property
    def is_special(self) -> bool:
        """Whether Python itself calls the function."""
        return self.short_name.startswith("__")

    def is_unnamed(self, before: Counter[str], now: Counter[str]) -> bool:
        """Whether the name was used before, and is used no more."""
        return before[self.short_name] > 0 and now[self.short_name] == 0


@contextmanager
def without(checkout: Checkout, places: Sequence[str]) -> Iterator[Checkout]:
    """A copy of the checkout without these functions. Exits with a sentence where there is none of
    that name.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for part in ("selfhost", "specs", "tools"):
            if (checkout.folder / part).is_dir():
                shutil.copytree(checkout.folder / part, folder / part)
        _take_away(folder / "selfhost", places)
        yield Checkout(f"{checkout.name} without {', '.join(places)}", folder)


def _take_away(package: Path, places: Sequence[str]) -> None:
    """Take the bodies of these functions away, and of those that nothing names then."""
    before = _names_in(package)
    for place in places:
        file, _, name = place.partition(":")
        function = _function_called(package / file, name)
        if function is None:
            sys.exit(f"selfhost/{file} has no function {name}: name one as FILE:NAME")
        _replace_body(function.file, name, _empty_result(function.node))
    left = [function for function in _functions_in(package) if not function.is_special]
    unnamed = left
    while unnamed:
        now = _names_in(package)
        unnamed = [function for function in left if function.is_unnamed(before, now)]
        for function in unnamed:
            _replace_body(function.file, function.name, _NOT_CALLED)
            left.remove(function)


def _function_called(file: Path, name: str) -> _Place | None:
    """The function of that name in a file; None where there is none, or no such file."""
    if not file.is_file():
        return None
    for function in _functions_of(file):
        if function.name == name:
            return function
    return None


def _functions_in(package: Path) -> Iterator[_Place]:
    """The functions of all files."""
    for file in sorted(package.rglob("*.py")):
        yield from _functions_of(file)


def _functions_of(file: Path) -> Iterator[_Place]:
    """The functions and methods of a file, but not those inside of functions."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, _Function):
            yield _Place(file, node.name, node)
        elif isinstance(node, ast.ClassDef):
            for part in node.body:
                if isinstance(part, _Function):
                    yield _Place(file, f"{node.name}.{part.name}", part)


def _names_in(package: Path) -> Counter[str]:
    """How often each name is used. An import alone uses none; a text may name an attribute."""
    names: Counter[str] = Counter()
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Name):
                names[node.id] += 1
            elif isinstance(node, ast.Attribute):
                names[node.attr] += 1
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                names[node.value] += 1
    return names


def _empty_result(node: _Function) -> str:
    """The statements of a function that tells nothing."""
    if any(isinstance(part, ast.Yield | ast.YieldFrom) for part in ast.walk(node)):
        return "return\nyield"
    told = ast.unparse(node.returns) if node.returns is not None else ""
    if "None" in told:
        return "return None"
    return f"return {_EMPTY.get(told.partition('[')[0])}"


def _replace_body(file: Path, name: str, body: str) -> None:
    """Put these statements in place of the body of a function, whose first lines stay."""
    text = file.read_text(encoding="utf-8")
    node = next(place.node for place in _functions_of(file) if place.name == name)
    first = node.body[0]
    indent = " " * first.col_offset
    lines = text.splitlines()
    lines[first.lineno - 1 : node.end_lineno] = [
        indent + line for line in body.splitlines()
    ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
