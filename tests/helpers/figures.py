"""What the structure of the package is measured by: each figure counted from the syntax trees."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from helpers.paths import ROOT, TESTS

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


class Import(NamedTuple):
    """An import, whether it stands inside a function, and whether it is for types alone."""

    node: ast.Import | ast.ImportFrom
    in_function: bool
    for_types: bool


class Module:
    """What is asked of the syntax tree of a module, collected in one walk: the trees of all modules are a million nodes, and to walk them takes seconds."""

    def __init__(self, path: Path) -> None:
        self.imports: list[Import] = []
        self.classes: list[ast.ClassDef] = []
        # calls of a method `replace`, each with a function that it stands in
        self.replacing: list[tuple[ast.FunctionDef, ast.Call]] = []
        self.strings: Counter[str] = Counter()
        self.vague_names = 0
        self.nested_conditionals = 0
        self._complexity: dict[ast.FunctionDef | ast.AsyncFunctionDef, int] = {}
        self._place = path.relative_to(ROOT).as_posix()
        self._walk(ast.parse(path.read_text(encoding="utf-8")), (), for_types=False)

    def functions(self) -> Iterator[Function]:
        for node, complexity in self._complexity.items():
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            yield Function(f"{self._place}:{node.lineno} {node.name}", lines, complexity)

    def _walk(
        self,
        node: ast.AST,
        around: tuple[ast.FunctionDef | ast.AsyncFunctionDef, ...],
        *,
        for_types: bool,
    ) -> None:
        self._count(node, around, for_types=for_types)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self._complexity[node] = 1
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

    def _count(
        self,
        node: ast.AST,
        around: tuple[ast.FunctionDef | ast.AsyncFunctionDef, ...],
        *,
        for_types: bool,
    ) -> None:
        if isinstance(node, ast.Name):
            self.vague_names += node.id in VAGUE
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str):
                self.strings[node.value] += 1
        elif isinstance(node, ast.Import | ast.ImportFrom):
            self.imports.append(Import(node, bool(around), for_types))
        elif isinstance(node, ast.ClassDef):
            self.classes.append(node)
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and node.func.attr == "replace":
                self.replacing += [
                    (function, node) for function in around if isinstance(function, ast.FunctionDef)
                ]
        elif isinstance(node, ast.IfExp):
            self.nested_conditionals += isinstance(node.body, ast.IfExp) or isinstance(
                node.orelse, ast.IfExp
            )
        for function in around:
            self._complexity[function] += _branches(node)


def _branches(node: ast.AST) -> int:
    """1 of a branch, loop, handler or comprehension; of `and` and `or` every further operand."""
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    return int(isinstance(node, _BRANCHES))


@lru_cache(maxsize=1)
def modules() -> dict[Path, Module]:
    """Each module of the package."""
    return {path: Module(path) for path in sorted(PACKAGE.rglob("*.py"))}


def functions() -> Iterator[Function]:
    for module in modules().values():
        yield from module.functions()


def nested_conditionals() -> int:
    """Conditional expressions that stand in a branch of another."""
    return sum(module.nested_conditionals for module in modules().values())


def vague_names() -> int:
    return sum(module.vague_names for module in modules().values())


def architecture_names() -> int:
    """Strings of the package that are the name of one architecture."""
    with open(ROOT / "specs" / "common" / "architectures.toml", "rb") as file:
        rows = tomllib.load(file)["architecture"]
    names = set(rows) | {row.get("gguf") for row in rows.values()}
    names = {name for name in names if name and len(name) > 3} - _AMBIGUOUS
    return sum(module.strings[name] for module in modules().values() for name in names)


def size() -> dict[str, int]:
    """What the package and its tests measure: lines, files, functions, those with fewer than six lines, those that one place mentions, and classes."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
    nodes = [node for text in texts.values() for node in ast.walk(ast.parse(text))]
    defined = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    short = [node for node in defined if (node.end_lineno or 0) - node.body[0].lineno < 5]
    words = Counter(word for text in texts.values() for word in re.findall(r"\w+", text))
    once = [node for node in defined if words[node.name] == 2 and not node.name.startswith("__")]
    tests = [path.read_text(encoding="utf-8") for path in TESTS.rglob("*.py")]
    return {
        "lines": sum(text.count("\n") for text in texts.values()),
        "files": len(texts),
        "functions": len(defined),
        "short functions": len(short),
        "functions mentioned once": len(once),
        "classes": sum(isinstance(node, ast.ClassDef) for node in nodes),
        "lines of tests": sum(text.count("\n") for text in tests),
    }


_ONE_CHECK = """
import inspect, json, os, sys
from selfhost.cli.main import main

root, folder = sys.argv[1:]
package = os.path.dirname(os.path.abspath(sys.modules["selfhost"].__file__))
functions, judgements = set(), 0


def count(frame, event, _):
    global judgements
    code = frame.f_code
    # bodies of modules and classes, comprehensions and lambdas are no functions
    is_function = code.co_flags & inspect.CO_OPTIMIZED and code.co_name[0] != "<"
    if event == "call" and is_function and code.co_filename.startswith(package):
        functions.add((code.co_filename, code.co_firstlineno, code.co_qualname))
        judgements += code.co_qualname == "judge"


machine = os.path.join(folder, "machine.json")
sys.setprofile(count)
main(["machine", "--root", root, "--format", "json", "--output", machine])
main(["check", "mistral-7b", "--machine", machine, "--output", os.devnull])
sys.setprofile(None)
files = {file for file, _, _ in functions}
with open(os.path.join(folder, "functions.txt"), "w") as out:
    out.writelines(f"{file}:{line} {name}\\n" for file, line, name in sorted(functions))
print(json.dumps({"functions": len(functions), "files": len(files), "judgements": judgements}))
"""


def one_check(folder: Path) -> dict[str, int]:
    """How many functions, files and judgements it takes to read a recorded machine and to check one model on it. `folder` receives the record and `functions.txt`, their names."""
    tree = TESTS / "machines" / "linux-vm-no-limit" / "root"
    done = subprocess.run(
        [sys.executable, "-c", _ONE_CHECK, str(tree), str(folder)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    counts: dict[str, int] = json.loads(done.stdout)
    return counts
