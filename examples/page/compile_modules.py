"""Compiles modules for the page: nearly half of the wait for the first answer was the compiling of
modules that never change. `compile_modules.mjs` runs it in Pyodide, whose Python reads no modules
that another one compiled.
"""

from __future__ import annotations

import py_compile
import sys
import tempfile
import zipfile
from pathlib import Path

# the level of `python -OO`, which leaves out docstrings: no answer has one
_OPTIMIZE = 2


def compile_loaded(archive: str, compiled_archive: str, place: str) -> None:
    """Write the archive anew, with those modules compiled that this process has loaded from it.
    `place` is the path of the archive, or of the folder into which it was unpacked.

    The others stay as they are: all of Python's library compiled takes 2 MB more on the way.
    """
    loaded = loaded_modules(place)
    with (
        zipfile.ZipFile(archive) as sources,
        zipfile.ZipFile(compiled_archive, "w") as target,
        tempfile.TemporaryDirectory() as folder,
    ):
        for entry in sources.infolist():
            name = entry.filename
            content = sources.read(entry)
            if name in loaded:
                content = compiled(content, loaded[name], Path(folder))
                name += "c"
            # a date of its own would give each build another hash
            new_entry = zipfile.ZipInfo(name)
            target.writestr(new_entry, content, zipfile.ZIP_DEFLATED, 9)


def loaded_modules(place: str) -> dict[str, str]:
    """The modules loaded from that place: the path of each by its name there."""
    modules: dict[str, str] = {}
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None) or ""
        if path.startswith(f"{place}/"):
            modules[path.removeprefix(f"{place}/")] = path
    return modules


def compiled(source: bytes, path: str, folder: Path) -> bytes:
    """The code of a module as Python stores it; `path` is where tracebacks say it lies."""
    file = folder / "module.py"
    file.write_bytes(source)
    target = folder / "module.pyc"
    py_compile.compile(
        str(file),
        cfile=str(target),
        dfile=path,
        doraise=True,
        optimize=_OPTIMIZE,
        # there is no source beside it to compare with
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    return target.read_bytes()
