"""The house keeps its order: which package imports which, what start-up loads, and that nothing
reaches the network.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from helpers import figures
from helpers.figures import PACKAGE
from helpers.paths import ROOT, TESTS

# a package imports only from packages before it
ORDER = (
    "core",
    "machine",
    "probes",
    "catalogue",
    "needs",
    "modelfiles",
    "judge",
    "advice",
    "api",
    "audit",
    "reports",
    "cli",
)
RANK = {name: level for level, name in enumerate(ORDER)}
# (importer, imported) that go against the order, with the reason; the reports inside functions
EXCEPTIONS = {
    ("machine/reader.py", "probes"),  # the one door to the real machine
    ("machine/record.py", "machine/reader.py"),  # inside `Machine.read`
    # an answer of the API shows itself: inside `to_json`, `__str__`, `__rich__` and `_repr_html_`
    ("core/records.py", "reports"),
    ("judge/record.py", "reports"),
    ("advice/listing.py", "reports"),
    ("advice/plan.py", "reports"),
    ("advice/several.py", "reports"),
}
# the modules that draw with rich: only a terminal loads them
DRAWING = {
    "reports/screen.py",
    "cli/progress.py",
    "cli/browse_screen.py",
    "cli/browse_table.py",
}
FORBIDDEN = {
    "socket",
    "ssl",
    "http",
    "urllib",
    "ftplib",
    "smtplib",
    "requests",
    "httpx",
    "aiohttp",
    "asyncio",
    "multiprocessing",
    "subprocess",
    "webbrowser",
}


def room(path: Path) -> str:
    """The package of a file; a module outside the packages is one by itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return package(".".join(parts))


def package(module: str) -> str:
    """The package of a module below `selfhost`: the probes are one of their own."""
    first, _, rest = module.partition(".")
    if first == "machine" and rest.partition(".")[0] == "probes":
        return "probes"
    return first


FILES = sorted(PACKAGE.rglob("*.py"))
# by their names below the package: to ask the file system for each import takes seconds
MODULES = {path.relative_to(PACKAGE).with_suffix("").parts: path for path in FILES}
FOLDERS = {parts[:end] for parts in MODULES for end in range(1, len(parts))}


def place_of(path: Path, node: ast.ImportFrom) -> tuple[str, ...]:
    """The names below the package of what an own import of that file imports from."""
    folder = path.relative_to(PACKAGE).parts[:-1]
    base = (*folder[: len(folder) + 1 - node.level], *(node.module or "").split("."))
    return tuple(part for part in base if part)


@cache
def imports(path: Path) -> tuple[tuple[str, str, bool], ...]:
    """(kind, name, inside a function) for every import of a file: kind `own` names a package,
    `other` a top-level module.
    """

    def named(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
        if isinstance(node, ast.Import):
            yield from (("other", alias.name.split(".")[0]) for alias in node.names)
        elif not node.level:
            yield "other", (node.module or "").split(".")[0]
        else:
            parts = place_of(path, node)
            for alias in node.names:
                deeper = (*parts, alias.name)
                module = deeper if deeper in MODULES or deeper in FOLDERS else parts
                yield "own", package(".".join(module)) if module else "__init__"

    return tuple(
        (kind, name, in_function)
        for node, in_function, _ in figures.modules()[path].imports
        for kind, name in named(node)
    )


def files_imported(path: Path) -> Iterator[Path]:
    """The files of the package that a file imports at run time; a package stands for its
    `__init__`.
    """
    for node, _, for_types in figures.modules()[path].imports:
        if not isinstance(node, ast.ImportFrom) or not node.level or for_types:
            continue
        parts = place_of(path, node)
        for alias in node.names:
            places = (
                (*parts, alias.name),
                (*parts, alias.name, "__init__"),
                parts,
                (*parts, "__init__"),
            )
            target = next(MODULES[place] for place in places if place in MODULES)
            if target != path and target != PACKAGE / "__init__.py":
                yield target


@pytest.mark.parametrize("package", sorted({room(path) for path in FILES}))
def test_imports_go_down_the_list_only(package: str) -> None:
    """A later package may import an earlier one, never the reverse.

    Only the record of a machine opens the probes.
    """
    for path in FILES:
        if room(path) == package:
            _assert_imports_go_down(path)


def _assert_imports_go_down(path: Path) -> None:
    importer = room(path)
    file = path.relative_to(PACKAGE).as_posix()
    for kind, name, is_in_function in imports(path):
        is_excepted = (file, name) in EXCEPTIONS and (
            is_in_function or name == "probes"
        )
        if (
            kind != "own"
            or name in (importer, "__init__")
            or is_excepted
            or importer in ("__init__", "__main__")
        ):
            continue
        assert name != "probes", f"{file} touches the machine; only its reader may"
        assert importer in RANK, f"{importer} has no place in the order"
        assert RANK[name] < RANK[importer], (
            f"{file} imports {name}, which stands later in the house"
        )


def test_no_files_import_each_other() -> None:
    """From no file do imports lead back to it, also not those inside functions; those for types
    alone do not count, nor do the exceptions.
    """
    arrows: dict[Path, set[Path]] = {}
    for path in FILES:
        file = path.relative_to(PACKAGE).as_posix()
        arrows[path] = set()
        for target in files_imported(path):
            names = {room(target), target.relative_to(PACKAGE).as_posix()}
            if not any((file, name) in EXCEPTIONS for name in names):
                arrows[path].add(target)
    done: set[Path] = set()
    while ready := {
        path for path, targets in arrows.items() if path not in done and targets <= done
    }:
        done |= ready
    left = sorted(str(path.relative_to(PACKAGE)) for path in FILES if path not in done)
    assert not left, (
        f"imports lead in a ring; move what they share to a file of its own: {left}"
    )


def test_no_room_can_reach_the_network_or_start_a_process() -> None:
    """No module imports what opens sockets or starts processes.

    Three modules start processes: one asks a driver in a child, one works out the answers of
    `selfhost mcp` in a child, and one starts the workers of an audit.
    """
    for path in FILES:
        forbidden = set(FORBIDDEN)
        if path.match("probes/system.py") or path.match("cli/mcp_worker.py"):
            forbidden.remove("subprocess")
        if path.match("audit/processes.py"):
            forbidden.remove("multiprocessing")
        used = {name for kind, name, _ in imports(path) if kind == "other"}
        reached = used & forbidden
        assert not reached, (
            f"{path}: no code opens a socket or starts a process: {reached}"
        )


def test_heavy_libraries_are_imported_where_they_are_used() -> None:
    """rich, psutil, packaging and tomllib load inside the function that needs them."""
    for path in FILES:
        file = path.relative_to(PACKAGE).as_posix()
        heavy = {
            "rich",
            "psutil",
            "packaging",
            "tomllib",
            "dataclasses",
            "inspect",
            "pathlib",
        }
        if file in DRAWING:
            heavy.remove("rich")
        early = {
            name
            for kind, name, inside in imports(path)
            if kind == "other" and not inside
        }
        assert not early & heavy, (
            f"{file}: import inside the function that uses it: {early & heavy}"
        )


def test_no_test_module_imports_another() -> None:
    """What several test modules share lies in `tests/helpers`."""
    for path in TESTS.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.findall(
            r"^\s*(?:from\s+\S*test_|import\s.*test_).*", text, re.MULTILINE
        ), path


@cache
def fields() -> dict[str, set[str]]:
    """By the name of a class what it annotates, with its bases."""
    own: dict[str, set[str]] = {}
    bases: dict[str, set[str]] = {}
    for module in figures.modules().values():
        for node in module.classes:
            annotated = [
                line.target for line in node.body if isinstance(line, ast.AnnAssign)
            ]
            names = {target.id for target in annotated if isinstance(target, ast.Name)}
            own.setdefault(node.name, set()).update(names)
            above = {base.id for base in node.bases if isinstance(base, ast.Name)}
            bases.setdefault(node.name, set()).update(above - {node.name})

    def whole(name: str) -> set[str]:
        return own.get(name, set()).union(*map(whole, bases.get(name, ())))

    return {name: whole(name) for name in own}


def test_replace_names_fields_that_a_record_has() -> None:
    """No type checker holds the keywords of `replace`: one of a field that is gone stops whoever
    comes by. Of an argument its own class has them, of anything else some class.
    """
    surely = 0
    calls = [call for module in figures.modules().values() for call in module.replacing]
    for function, call in calls:
        arguments = [*function.args.args, *function.args.kwonlyargs]
        kinds = {
            each.arg: ast.unparse(each.annotation)
            for each in arguments
            if each.annotation
        }
        keywords = {each.arg for each in call.keywords if each.arg}
        # a time zone is the standard library's
        if not keywords - {"tzinfo"}:
            continue
        assert isinstance(call.func, ast.Attribute)
        record = ast.unparse(call.func.value)
        kind = kinds.get(record, "").removesuffix(" | None")
        of_kind = [fields()[kind]] if kind in fields() else fields().values()
        assert any(keywords <= names for names in of_kind), (
            f"{record}.replace({keywords})"
        )
        surely += kind in fields()
    assert surely > 50


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_the_files_that_a_page_for_contributors_names_are_there(page: str) -> None:
    """Each path of the map, the walks and the recipes, from the top of the checkout or of the
    package.
    """
    text = (ROOT / page).read_text(encoding="utf-8")
    words = [word for span in re.findall(r"`([^`\n]+)`", text) for word in span.split()]
    paths = {
        word
        for word in words
        if re.fullmatch(r"[\w.]+(/[\w.-]*)+|[\w-]+\.(py|toml|md|yaml)", word)
    }
    folders = (ROOT, PACKAGE, ROOT / "specs" / "common", TESTS)
    assert len(paths) >= 40
    assert not {
        path
        for path in paths
        if not any((folder / path).exists() for folder in folders)
    }


def test_the_modules_that_sources_and_docs_name_are_there() -> None:
    """A figure's source or a page that names `selfhost/….py` names a file of today."""
    texts = [
        path.read_text(encoding="utf-8")
        for folder, pattern in (
            (PACKAGE, "*.py"),
            (ROOT / "specs", "*.toml"),
            (ROOT / "docs", "*.md"),
        )
        for path in folder.rglob(pattern)
    ]
    named = {
        word for text in texts for word in re.findall(r"\bselfhost/[\w/]+\.py\b", text)
    }
    assert named
    assert not {path for path in named if not (ROOT / path).exists()}


def loaded(code: str, environment: dict[str, str]) -> set[str]:
    """The modules that the code has loaded in a program as users have it."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=environment,
    )
    return set(done.stdout.split("\n"))


def test_import_selfhost_is_light(source_environment: dict[str, str]) -> None:
    """`import selfhost` loads neither rich nor psutil nor argparse, nor any room of its own."""
    modules = loaded("import selfhost", source_environment)
    assert not modules & {"rich", "psutil", "argparse", "tomllib", "json"}
    assert {name for name in modules if name.startswith("selfhost.")} == set()


def test_a_piped_check_loads_no_drawing_library(
    source_environment: dict[str, str],
) -> None:
    """`selfhost check` into a pipe loads neither rich nor psutil nor packaging."""
    modules = loaded(
        "import os, selfhost.cli.main\n"
        "sys_out = os.dup(1)\n"
        "selfhost.cli.main.main(['check', 'mistral-7b', '--output', os.devnull])",
        source_environment,
    )
    assert "selfhost.judge.record" in modules
    expected = {
        "rich",
        "packaging",
        "dataclasses",
        "inspect",
        "socket",
        "subprocess",
    } | ({"psutil"} if sys.platform == "linux" else set())
    assert not modules & expected


def test_every_public_name_resolves_and_nothing_else() -> None:
    """Each name of `__all__` is there, with a docstring and types that can be asked for; another is
    an AttributeError.
    """
    import selfhost

    for name in selfhost.__all__:
        value = getattr(selfhost, name)
        assert name == "__version__" or value.__doc__
        assert not isinstance(value, type) or typing.get_type_hints(value) is not None
    assert set(selfhost.__all__) <= set(dir(selfhost))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = selfhost.nonsense


def test_a_machine_without_accelerators_loads_no_table_of_them(
    source_environment: dict[str, str],
) -> None:
    """A disk without quotas needs no C library, and a bus without cards no table of them."""
    modules = loaded(
        "from selfhost.machine.reader import read_machine\n"
        "from selfhost.machine.probes.recorded import RecordedHost\n"
        "machine = read_machine(RecordedHost('tests/machines/linux-vm-no-limit/root'))\n"
        "assert machine.accelerators == ()",
        source_environment,
    )
    assert "selfhost.machine.probes.stored_models" in modules
    assert not modules & {"ctypes", "selfhost.machine.gpus"}


def test_a_check_loads_what_it_needs(source_environment: dict[str, str]) -> None:
    """What runs here asks nothing of other models, of the list or of an API."""
    modules = loaded(
        "import os, selfhost.cli.main\n"
        "selfhost.cli.main.main(['check', 'mistral-7b', '--machine', 'desktop-i3-8gb-no-gpu', "
        "'--output', os.devnull])",
        source_environment,
    )
    others = ("catalogue.openness", "advice.listing")
    assert "selfhost.judge.judging" in modules
    assert not modules & {f"selfhost.{name}" for name in others}


def test_two_public_classes_have_two_names() -> None:
    """A reader who meets a class in an error or a record can find it by its name alone."""
    modules: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                modules.setdefault(node.name, []).append(path.name)
    shared = {name: files for name, files in modules.items() if len(files) > 1}
    assert shared == {}
