"""Tables that come with the program, beside the catalogue: `specs/common/<name>.toml`.

Parsing one takes 3 to 40 ms and the parser 8 ms to load, so a built package has a compiled copy
beside it, and a process reads each once. A file that was edited since it was compiled is parsed.
"""

from __future__ import annotations

import os

from .caching import cache
from .errors import SpecError
from .parts import UNREADABLE, Parts, Tables, joined, shipped_folder
from .tomlfile import Document

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# the tables that are compiled when the package is built
COMPILED = (
    "cloud_types", "cpu_cores", "cpus", "gpus", "macs", "products", "providers", "words",
)  # fmt: skip
_VERSION = 2


@cache
def shipped_table(name: str) -> Mapping[str, Any]:
    """The whole of `common/<name>.toml`. Raises `SpecError` where the installation lacks it."""
    path = os.path.join(shipped_folder(), "common", f"{name}.toml")
    values = _compiled(path)
    if values is not None:
        return values
    document = Document.read(path)
    if document.problems:
        raise SpecError(document.problems)
    return document.values


def compiled_path(path: str) -> str:
    """Where the compiled copy of a table lies, or of the prices."""
    return f"{path.rpartition('.')[0]}.bin"


def compile_table(path: str) -> bytes:
    """The content of the compiled copy, a file of `core.parts`; the same file always gives the
    same. Raises `OSError`, and `ValueError` for a file that is no TOML.
    """
    import tomllib

    with open(path, "rb") as file:
        content = file.read()
    values = tomllib.loads(content.decode())
    header, parts = {"of": _mark(content)}, {"values": values}
    return joined(_VERSION, header, parts, frozen=False, tables=("values",))


def _mark(content: bytes) -> tuple[int, int]:
    """What tells one content of the file from another."""
    from binascii import crc32

    return len(content), crc32(content)


def _compiled(path: str) -> Mapping[str, Any] | None:
    """The compiled values; None without a copy, or where it is of another content."""
    try:
        parts = Parts(compiled_path(path), _VERSION)
        return Tables(parts["values"]) if _is_of(path, parts.header["of"]) else None
    except UNREADABLE:
        return None


def _is_of(path: str, mark: tuple[int, int]) -> bool:
    """Whether that is the mark of what the file holds now. Raises `OSError`."""
    from .installed import are_as_installed

    if are_as_installed([path]):
        return True
    with open(path, "rb") as file:
        return _mark(file.read()) == mark
