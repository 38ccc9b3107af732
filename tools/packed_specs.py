"""Writes the stored form of `specs/` into a folder, as a package has it; the `setup.py` of selfhost
and that of `data/` call it.

`core/stored.py` reads what is written here.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from typing import Any

from selfhost.catalogue.index import ShippedSpecs
from selfhost.catalogue.offers import snapshot_in
from selfhost.catalogue.scores import scores_in
from selfhost.core.answering import FORMAT_FILE, SIZES_FILE
from selfhost.core.stored import Rows, Store, as_json, with_checksum
from selfhost.core.tables import stored_table
from selfhost.machine.profiles import rows_in


class PackedStore(Store):
    """A folder of TOML files, each value of which is written into the folder of a package."""

    def __init__(self, source: str, target: str) -> None:
        super().__init__(source)
        self._target = target
        # the sizes in bytes of the files written so far
        self._sizes: dict[str, int] = {}

    def value(self, name: str, make: Callable[[], Any]) -> Any:
        """Return the value, and write it where a package has it."""
        value = make()
        self._write(f"{name}.json", with_checksum(as_json(value)))
        return value

    def rows(self, name: str, make: Callable[[], Rows]) -> Rows:
        """Return the rows, and write them, and the place of each, where a package has them."""
        rows = make()
        places = {}
        content = bytearray()
        for key, value in rows.items():
            line = as_json(value)
            places[key] = (len(content), len(line), zlib.crc32(line))
            content += line + b"\n"
        self._write(f"{name}.jsonl", bytes(content))
        self.value(f"{name}-places", lambda: places)
        return rows

    def copy(self, file: str) -> None:
        """Write a file of the source as it is."""
        with open(os.path.join(self.folder, file), "rb") as stream:
            self._write(file, stream.read())

    def close(self) -> None:
        """Write the size of each file, by which a reader sees whether all of them are there."""
        lines = [
            f'"{name}" = {size_bytes}\n' for name, size_bytes in self._sizes.items()
        ]
        self._write(SIZES_FILE, "".join(lines).encode())

    def _write(self, file: str, content: bytes) -> None:
        path = os.path.join(self._target, file)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(content)
        self._sizes[file.replace(os.sep, "/")] = len(content)


def pack(source: str, target: str) -> None:
    """Write every value of the specs in `source` as a file of `target`."""
    store = PackedStore(source, target)
    specs = ShippedSpecs(store)
    for kind in ("aliases", "whole", "makers"):
        specs.names(kind)
    _ = specs.outlines
    for name in specs.runtime_names:
        stored_table(store, f"runtimes/{name}")
    rows_in(store)
    common = os.path.join(source, "common")
    snapshot_in(store, os.path.join(common, "offers.jsonl"))
    scores_in(store)
    for file in sorted(os.listdir(common)):
        if file.endswith(".toml") and file != os.path.basename(FORMAT_FILE):
            stored_table(store, f"common/{file.removesuffix('.toml')}")
    # a program reads this file before it knows whether it can read the others
    store.copy(FORMAT_FILE)
    store.close()
