"""The stored form of specs: JSON in place of TOML, which takes seconds to parse.

A `Store` returns a value of a folder of specs by its name, such as `common/gpus`. A package, that
of selfhost or of selfhost-check-specs, holds every value: one value is a file `<name>.json`; rows
that are read one at a time are the lines of `<name>.jsonl`, and `<name>-places.json` has the
position of each row. Values of any other folder are made from its TOML files.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

from .answering import (
    SPECS_DISTRIBUTION,
    answering_folder,
    built_in_folder,
    installed_folder,
    is_packed,
)
from .errors import Problem, SpecError
from .files import Unreadable, open_ordinary, read_file, read_some, too_large

# ten times the largest value, the outlines of all models
_MOST_BYTES = 64 << 20
# ten times the file of prices
_MOST_LINES_BYTES = 16 << 20
Value = TypeVar("Value")
# values by their keys; a value is anything that JSON can hold
Rows = Mapping[str, Any]
# by the key of a row: the position of the row's first byte in the file, its length in bytes and its
# checksum
Places = Mapping[str, tuple[int, int, int]]


class Store:
    """The values of one folder of specs: of a package, where they are stored, or of TOML files."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.is_package = is_packed(folder)
        # the tests of selfhost check what came with it, and what it packs
        self.is_trusted = self.is_package or folder == built_in_folder()

    def value(self, name: str, make: Callable[[], Value]) -> Value:
        """Return the value of that name, such as `common/gpus`; `make` returns it where it is not
        stored. Raises `SpecError` for a package that lacks the value or is damaged.
        """
        if not self.is_package:
            return make()
        path = os.path.join(self.folder, f"{name}.json")
        try:
            value: Value = json.loads(_checked(_read_whole(path)))
        except (OSError, ValueError) as error:
            raise _broken(path) from error
        return value

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

    def __contains__(self, key: object) -> bool:
        # without this a membership test would read the value
        return key in self._places

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


def _broken(path: str) -> SpecError:
    """Return the error of a package whose file cannot be read, or is damaged."""
    distribution = "selfhost-check"
    installed = installed_folder()
    if installed is not None and path.startswith(os.path.join(installed, "")):
        distribution = SPECS_DISTRIBUTION
    remedy = f"install {distribution} again"
    fault = Problem(file=path, message="cannot be read", remedy=remedy)
    return SpecError([fault])


@contextmanager
def reading_lines(path: str, kind: str) -> Iterator[list[Any]]:
    """Give the JSON values of the lines of a catalogue's file. Raises `SpecError` where the file
    cannot be read, and where the block finds no `kind` in it, such as "price snapshot".
    """
    remedy = f"install selfhost again, or put back {os.path.basename(path)}"
    try:
        content = read_file(path, _MOST_LINES_BYTES)
        yield list(map(json.loads, content.splitlines()))
        return
    except Unreadable as error:
        fault = f"the {kind} {error.reason}"
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        fault = f"is no {kind}"
    problem = Problem(file=path, message=fault, remedy=remedy)
    raise SpecError([problem], remedy=remedy)


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


@cache
def answering_store() -> Store:
    """Return the store of the specs that answer."""
    return Store(answering_folder())


@cache
def built_in_store() -> Store:
    """Return the store of the specs that came with selfhost."""
    return store_of(built_in_folder())


def store_of(folder: str) -> Store:
    """Return the store of a folder of specs; of the folder that answers, the one that is kept."""
    if folder == answering_folder():
        return answering_store()
    return Store(folder)
