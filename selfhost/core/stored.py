"""The folder of the specs that answer, and their stored form: JSON in place of TOML, which takes
seconds to parse.

`shipped_folder` says which folder it is. A `Store` returns a value of a folder by its name, such as
`common/gpus`. A package holds every value: one value is a file `<name>.json`; rows that are read
one at a time are the lines of `<name>.jsonl`, and `<name>-places.json` has the position of each
row. Values of any other folder are made from its TOML files.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from .errors import Problem, SpecError
from .files import open_ordinary, read_file, read_some, text_of, too_large

# ten times the largest value, the outlines of all models
_MOST_BYTES = 64 << 20
# the environment variable with the folders of specs, separated as in PATH
SPECS_VARIABLE = "SELFHOST_SPECS"
# the format of `specs/` that this program reads; the folder states its format in a file
SPECS_FORMAT = 1
FORMAT_FILE = os.path.join("common", "format.toml")
_FORMAT_BYTES = 10_000
_REMEDY = "install selfhost-check again"
# a file in the folder of a package's specs; its presence shows that every value is stored
_COMPLETE = "index.json"
# values by their keys; a value is anything that JSON can hold
Rows = Mapping[str, Any]
# by the key of a row: the position of the row's first byte in the file, its length in bytes and its
# checksum
Places = Mapping[str, tuple[int, int, int]]


class Store:
    """The values of one folder of specs: of a package, where they are stored, or of TOML files."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.is_package = os.path.exists(os.path.join(folder, _COMPLETE))
        # whether these specs came with selfhost, whose tests check them
        self.is_built_in = folder == built_in_folder()

    def value(self, name: str, make: Callable[[], Any]) -> Any:
        """Return the value of that name, such as `common/gpus`; `make` returns it where it is not
        stored. Raises `SpecError` for a package that lacks the value or is damaged.
        """
        if not self.is_package:
            return make()
        path = os.path.join(self.folder, f"{name}.json")
        try:
            return json.loads(_checked(_read_whole(path)))
        except (OSError, ValueError) as error:
            raise _broken(path) from error

    def rows(self, name: str, make: Callable[[], Rows]) -> Rows:
        """Return many values by their keys, of which each is read when it is asked for; `make`
        returns them all where they are not stored.
        """
        if not self.is_package:
            return make()
        path = os.path.join(self.folder, f"{name}.jsonl")
        return StoredRows(path, self.value(f"{name}-places", make))


class StoredRows(Rows):
    """Values in a file of JSON lines, read one at a time: the file holds those of 1,400 models."""

    def __init__(self, path: str, places: Places) -> None:
        self._path = path
        self._places = places

    def __getitem__(self, key: str) -> Any:
        start, size_bytes, checksum = self._places[key]
        try:
            stream, _ = open_ordinary(self._path, is_input=False)
            with stream:
                stream.seek(start)
                line = read_some(stream, size_bytes)
            if zlib.crc32(line) != checksum:
                raise ValueError("the line is not what was stored")
            return json.loads(line)
        except (OSError, ValueError) as error:
            raise _broken(self._path) from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _read_whole(path: str) -> bytes:
    """Return what a stored file holds. Raises `OSError` where it cannot be read, also for a pipe,
    which would be waited for, and for more than any value takes.
    """
    stream, size_bytes = open_ordinary(path, is_input=False)
    with stream:
        if size_bytes is None or size_bytes > _MOST_BYTES:
            raise too_large(_MOST_BYTES)
        return read_some(stream, size_bytes)


def _broken(path: str, message: str = "cannot be read") -> SpecError:
    """Return the error of a package that lacks something, or is damaged."""
    return SpecError([Problem(file=path, message=message, remedy=_REMEDY)])


def with_checksum(value: bytes) -> bytes:
    """Return a JSON object of a value, itself JSON, and its checksum."""
    return b'{"crc32": "%08x", "value": %b}\n' % (zlib.crc32(value), value)


# the bytes before and after the value in such a file
_BYTES_BEFORE = len(b'{"crc32": "00000000", "value": ')
_BYTES_BEHIND = len(b"}\n")


def _checked(content: bytes) -> bytes:
    """Return the value of such an object. Raises `ValueError` where its checksum is another: a
    crash or a person may have changed what is stored, and it may still be JSON.
    """
    value = content[_BYTES_BEFORE:-_BYTES_BEHIND]
    if content != with_checksum(value):
        raise ValueError("the content is not what was stored")
    return value


def as_json(value: object) -> bytes:
    """Return a value as it is stored, without its checksum."""
    return json.dumps(value, ensure_ascii=False).encode()


def package_folder() -> str:
    """Return the folder of the package `selfhost`."""
    core_folder = os.path.dirname(os.path.abspath(__file__))
    return os.path.dirname(core_folder)


@cache
def shipped_folder() -> str:
    """Return the folder of the specs that answer: those of a catalogue that SELFHOST_SPECS names
    and this program reads, else those that are built in. Raises `SpecError` where these are
    missing.
    """
    for path in folders_in_environment():
        catalogue = catalogue_at(path)
        if catalogue is not None and format_of(catalogue) == SPECS_FORMAT:
            return catalogue
    return built_in_folder()


def other_catalogue() -> str | None:
    """Return the folder of the catalogue that answers in place of the built-in one; None where the
    built-in one does.
    """
    folder = shipped_folder()
    return None if folder == built_in_folder() else folder


def folders_in_environment() -> list[str]:
    """Return the folders that SELFHOST_SPECS names, in its order."""
    stated = os.environ.get(SPECS_VARIABLE, "")
    return [path for path in stated.split(os.pathsep) if path]


def catalogue_at(path: str) -> str | None:
    """Return the catalogue at a path: the folder itself, or `specs` in it; None where neither is
    one. A folder of a user's own specs has no tables.
    """
    folder = os.path.abspath(path)
    for candidate in (folder, os.path.join(folder, "specs")):
        has_tables = os.path.isdir(os.path.join(candidate, "common"))
        if has_tables and os.path.isdir(os.path.join(candidate, "models")):
            return candidate
    return None


def format_of(catalogue: str) -> int | None:
    """Return the number of a catalogue's format; None where it states none."""
    try:
        content = read_file(os.path.join(catalogue, FORMAT_FILE), _FORMAT_BYTES)
        text = text_of(content)
    except (OSError, ValueError):
        return None
    stated = re.search(r"^format *= *([0-9]{1,9})\s*(?:#|$)", text, re.MULTILINE)
    return None if stated is None else int(stated[1])


@cache
def built_in_folder() -> str:
    """Return the folder of the specs that came with selfhost. Raises `SpecError` where it is
    missing.
    """
    package = package_folder()
    # an installed package has the specs inside its folder, a checkout beside it
    for parent in (package, os.path.dirname(package)):
        path = os.path.join(parent, "specs")
        if os.path.isdir(path):
            return path
    raise _broken(package, "has no shipped specs")


@cache
def shipped_store() -> Store:
    """Return the store of the shipped specs."""
    return Store(shipped_folder())


@cache
def built_in_store() -> Store:
    """Return the store of the specs that came with selfhost."""
    return store_of(built_in_folder())


def store_of(folder: str) -> Store:
    """Return the store of a folder of specs: of the shipped ones the one that is kept."""
    if folder == shipped_folder():
        return shipped_store()
    return Store(folder)
