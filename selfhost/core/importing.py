"""Imports of the program's own modules in half of Python's time.

Python asks every finder, every ending and the folder's listing for a module, and works out anew
where its bytecode lies: 285,000 instructions a module (Python 3.11, valgrind), of which a check
loads 130. The modules of an installed package lie side by side, so that the file is known by the
module's name: 120,000.

Bytecode counts where Python counts it: of this Python, and made of a source of that time and that
size (PEP 552). All else is left to Python: a source that was edited since, no bytecode, an archive.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType

# larger than nearly any bytecode here
_READ_BYTES = 96 << 10
_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0)
_HEADER_BYTES = 16
_32_BITS = 0xFFFFFFFF
# a package of 8 million instructions, and what of it most modules here name: that alone Python has
# loaded when it starts
_COLLECTIONS, _ABSTRACT = "collections", "collections.abc"


_CODE = type((lambda: None).__code__)


def speed_up_imports() -> None:
    """From now on modules of this package are found so, for the whole process: for a program, not
    for a library. Nothing changes where this was done before, where bytecode lies elsewhere, or
    where this Python imports otherwise. The hooks of others go first.
    """
    is_done = any(isinstance(finder, _Finder) for finder in sys.meta_path)
    if is_done or sys.pycache_prefix is not None:
        return
    try:
        from _frozen_importlib import BuiltinImporter

        place = sys.meta_path.index(BuiltinImporter)
        finder = _Finder(__name__.partition(".")[0])
    except (ImportError, AttributeError, LookupError, ValueError):
        # this Python's own imports are made otherwise
        return
    sys.meta_path.insert(place, finder)
    if _COLLECTIONS not in sys.modules:
        import _collections_abc

        sys.modules[_ABSTRACT] = _collections_abc


class _Finder:
    """An entry of `sys.meta_path`."""

    def __init__(self, package: str) -> None:
        import _imp

        # both are part of the interpreter: `importlib` would be loaded for them
        from _frozen_importlib import ModuleSpec
        from _frozen_importlib_external import MAGIC_NUMBER, SourceFileLoader
        from marshal import loads

        new_module = type(sys)

        class Compiled(SourceFileLoader):
            """Python's own loader, which has the bytecode already."""

            def __init__(self, name: str, path: str, code: CodeType | None) -> None:
                """None: the bytecode is damaged, and the source is compiled."""
                super().__init__(name, path)
                self._code, self._is_damaged = code, code is None

            def create_module(self, spec: ModuleSpec) -> ModuleType:
                module = new_module(spec.name)
                # else Python asks for each of them, and makes an error of what is not there yet
                vars(module).update(
                    __loader__=self,
                    __package__=spec.parent,
                    __spec__=spec,
                    __file__=spec.origin,
                    __cached__=spec.cached,
                )
                return module

            def get_code(self, fullname: str) -> CodeType | None:
                code, self._code = self._code, None
                if code is None and self._is_damaged:
                    fresh_code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
                    return fresh_code
                return super().get_code(fullname) if code is None else code

        class Spec(ModuleSpec):
            """Python's own, of which each relative import asks for the package: not worked out
            every time.
            """

            parent = ""

        self._prefix = f"{package}."
        optimized = f".opt-{sys.flags.optimize}" if sys.flags.optimize else ""
        self._ending = f".{sys.implementation.cache_tag}{optimized}.pyc"
        # of bytecode that holds for one time and size of its source
        self._start = MAGIC_NUMBER + bytes(4)
        self._loads, self._locate = loads, vars(_imp)["_fix_co_filename"]
        self._loader, self._spec = Compiled, Spec

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """That of a module of this package; None where Python is to look itself."""
        if name == _COLLECTIONS:
            return self._with_abstract(path, target)
        if not path or not name.startswith(self._prefix):
            return None
        folder, last = path[0], name.rpartition(".")[2]
        return self._in_file(name, folder, last) or self._in_file(
            name, f"{folder}{os.sep}{last}", "__init__"
        )

    def _in_file(self, name: str, folder: str, last: str) -> ModuleSpec | None:
        source = f"{folder}{os.sep}{last}.py"
        compiled = f"{folder}{os.sep}__pycache__{os.sep}{last}{self._ending}"
        try:
            content = self._bytecode(source, compiled)
        except OSError:
            return None
        if content is None:
            return None
        code = self._code_in(content)
        if code is not None:
            # as Python does where the package was moved
            self._locate(code, source)
        is_package = last == "__init__"
        loader = self._loader(name, source, code)
        spec = self._spec(name, loader, origin=source, is_package=is_package)
        spec.cached, spec.has_location = compiled, True
        spec.parent = name if is_package else name.rpartition(".")[0]
        if is_package and spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(folder)
        return spec

    def _code_in(self, content: memoryview) -> CodeType | None:
        """None where it was cut short or is damaged, as by a full disk: Python would stop there."""
        try:
            code = self._loads(content)
        except (ValueError, EOFError, TypeError):
            return None
        return code if isinstance(code, _CODE) else None

    def _bytecode(self, source: str, compiled: str) -> memoryview | None:
        """What follows the header; None where it is not of that source. Raises `OSError`."""
        status = os.stat(source)
        number = os.open(compiled, _FLAGS)
        try:
            content = part = os.read(number, _READ_BYTES)
            while len(part) == _READ_BYTES:
                part = os.read(number, _READ_BYTES)
                content += part
        finally:
            os.close(number)
        made_of = (status.st_size & _32_BITS) << 32 | int(status.st_mtime) & _32_BITS
        if content[:_HEADER_BYTES] != self._start + made_of.to_bytes(8, "little"):
            return None
        return memoryview(content)[_HEADER_BYTES:]

    def _with_abstract(
        self, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        """Python's own `collections`, which gets the part that was loaded before it."""
        for finder in sys.meta_path:
            if finder is self:
                continue
            spec = finder.find_spec(_COLLECTIONS, path, target)
            if spec is not None:
                if spec.loader is not None and _ABSTRACT in sys.modules:
                    vars(spec)["loader"] = _LoaderOfCollections(spec.loader)
                return spec
        return None


class _LoaderOfCollections:
    """Loads the package by Python's own loader, which stands in its place from then on."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        vars(module)["abc"] = sys.modules[_ABSTRACT]
