"""Modules of the package are imported as Python imports them, in less time."""

from __future__ import annotations

import compileall
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from selfhost.core.importing import _Finder

PACKAGE = "parcel_of_importing"
# what Python sets of a module, beside what the module makes itself
SET_BY_PYTHON = ("__name__", "__package__", "__file__", "__cached__", "__doc__", "__path__")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package with a module and a package in it, compiled."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    inner = tmp_path / PACKAGE / "inner"
    inner.mkdir(parents=True)
    (tmp_path / PACKAGE / "__init__.py").write_text("")
    (inner / "__init__.py").write_text('"""Inner."""\nfrom .deep import depth\n')
    (inner / "deep.py").write_text("depth = 1\n")
    _compile(tmp_path)
    yield tmp_path / PACKAGE
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        del sys.modules[name]


def _compile(folder: Path) -> None:
    assert compileall.compile_dir(folder, quiet=1, force=True)


def _imported(monkeypatch: pytest.MonkeyPatch, *finders: object) -> dict[str, ModuleType]:
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        del sys.modules[name]
    monkeypatch.setattr(sys, "meta_path", [*finders, *sys.meta_path])
    importlib.invalidate_caches()
    importlib.import_module(f"{PACKAGE}.inner.deep")
    monkeypatch.undo()
    return {name: sys.modules[name] for name in sys.modules if name.startswith(PACKAGE)}


def test_a_module_is_as_python_makes_it(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, files and folders of modules and packages are those of Python's own import."""
    finder = _Finder(PACKAGE)
    for name in ("inner", "inner.deep"):
        folder = package if name == "inner" else package / "inner"
        assert finder.find_spec(f"{PACKAGE}.{name}", [str(folder)]) is not None
    with monkeypatch.context() as patched:
        patched.syspath_prepend(str(package.parent))
        plain = _imported(patched)
    with monkeypatch.context() as patched:
        patched.syspath_prepend(str(package.parent))
        own = _imported(patched, finder)
    assert own.keys() == plain.keys()
    for name, module in own.items():
        for attribute in SET_BY_PYTHON:
            there, expected = vars(module).get(attribute), vars(plain[name]).get(attribute)
            assert there == expected, (name, attribute)
        spec, expected_spec = module.__spec__, plain[name].__spec__
        assert spec is not None
        assert expected_spec is not None
        for attribute in ("name", "origin", "cached", "parent", "has_location"):
            assert getattr(spec, attribute) == getattr(expected_spec, attribute)
    assert own[f"{PACKAGE}.inner"].depth == 1


def test_an_edited_source_counts(package: Path) -> None:
    """A source that is of another time or size than its bytecode is left to Python, which compiles
    it anew.
    """
    deep, finder = package / "inner" / "deep.py", _Finder(PACKAGE)
    folder, name = [str(deep.parent)], f"{PACKAGE}.inner.deep"
    status = deep.stat()
    deep.write_text("depth = 12\n")
    os.utime(deep, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert finder.find_spec(name, folder) is None
    _compile(package)
    assert finder.find_spec(name, folder) is not None
    os.utime(deep, (status.st_atime, status.st_mtime + 5))
    assert finder.find_spec(name, folder) is None


def test_what_is_not_compiled_is_left_to_python(package: Path) -> None:
    """Bytecode that is missing, without a whole header or of another Python, and modules of
    others.
    """
    finder, folder = _Finder(PACKAGE), [str(package / "inner")]
    name = f"{PACKAGE}.inner.deep"
    (bytecode,) = (package / "inner" / "__pycache__").glob("deep.*.pyc")
    content = bytecode.read_bytes()
    assert finder.find_spec("another.deep", folder) is None
    for other in (b"", content[:10], b"\0\0\r\n" + content[4:]):
        bytecode.write_bytes(other)
        assert finder.find_spec(name, folder) is None
    bytecode.unlink()
    assert finder.find_spec(name, folder) is None
    assert finder.find_spec(f"{PACKAGE}.inner.none", folder) is None


@pytest.mark.parametrize("kept", [16, 17, -3])
def test_the_source_stands_in_for_damaged_bytecode(
    package: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    """A disk that is full cuts bytecode short. Python stops at it; the source is there."""
    (bytecode,) = (package / "inner" / "__pycache__").glob("deep.*.pyc")
    bytecode.write_bytes(bytecode.read_bytes()[:kept])
    monkeypatch.syspath_prepend(str(package.parent))
    modules = _imported(monkeypatch, _Finder(PACKAGE))
    assert modules[f"{PACKAGE}.inner.deep"].depth == 1


def test_collections_is_whole_for_whoever_imports_it() -> None:
    """`collections.abc` is at hand without its package, which later is as Python has it; also for a program that begins the command twice."""
    code = (
        "import sys\n"
        "from selfhost.core.importing import speed_up_imports\n"
        "speed_up_imports()\n"
        "speed_up_imports()\n"
        "from collections.abc import Mapping\n"
        "assert 'collections' not in sys.modules\n"
        "import collections.abc\n"
        "assert collections.abc.Mapping is Mapping\n"
        "assert issubclass(collections.OrderedDict, Mapping)\n"
        "import importlib.util, inspect, typing\n"
        "assert collections.__loader__ is collections.__spec__.loader\n"
        "assert type(collections.__loader__) is type(inspect.__loader__)\n"
        "assert inspect.getsource(collections.Counter)\n"
    )
    # without -S an environment may load it at start
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-S", "-c", code], check=True, cwd=root)
