"""The stored form of the shipped specs: JSON in place of TOML, which takes seconds to parse.

A `Store` returns a value by its name, such as `common/gpus`. One value is a file `<name>.json`;
rows that are read one at a time are the lines of `<name>.jsonl`, and `<name>-places.json` has the
position of each row.

- A package holds every stored file in place of its TOML files, and computes none.
- A checkout makes a file from its TOML files when it is first asked for, in the folder
  `selfhost/specs-<path>-<state>` of the user's cache. Path and state are checksums: of the path of
  the specs, and of the names, sizes and times of all files that the values depend on. So a change
  of any such file makes every value anew.
- Where the cache cannot be written, each process makes the values that it asks for.
- Any other folder of TOML files is read directly, and nothing is stored.
"""

from __future__ import annotations

import json
import os
import re
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
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
# the packages whose code computes stored values: a change of this code invalidates the values
_PACKAGES_THAT_MAKE_VALUES = ("core", "catalogue")
# values by their keys; a value is anything that JSON can hold
Rows = Mapping[str, Any]
# by the key of a row: the position of the row's first byte in the file, its length in bytes and its
# checksum
Places = Mapping[str, tuple[int, int, int]]

# seconds in which a process that began before the last change may still read the old values
_IN_USE_SECONDS = 3600


class Store:
    """The values of one folder of specs.

    `folder` holds TOML files, or in a package the stored values. `kept_in` is the folder in which
    values made from TOML files are kept; None keeps them nowhere.
    """

    def __init__(self, folder: str, kept_in: str | None = None) -> None:
        self.folder = folder
        self.is_package = _is_package(folder)
        # whether these specs came with selfhost, whose tests check them
        self.is_built_in = folder == built_in_folder()
        # the folder of the stored values; None: no file is read or written
        self._stored_in = folder if self.is_package else kept_in

    def value(self, name: str, make: Callable[[], Any]) -> Any:
        """Return the value of that name, such as `common/gpus`; `make` returns it where no file
        holds it. Raises `SpecError` for a package that lacks it or is damaged.
        """
        if self._stored_in is None:
            return make()
        path = os.path.join(self._stored_in, f"{name}.json")
        try:
            return json.loads(_checked(_read_whole(path)))
        except (OSError, ValueError) as error:
            if self.is_package:
                raise _broken(path) from error
        value = make()
        _keep(path, _with_checksum(_as_json(value)))
        return value

    def rows(self, name: str, make: Callable[[], Rows]) -> Rows:
        """Return many values by their keys, of which each is read when it is asked for; `make`
        returns them all where no file holds them.
        """
        if self._stored_in is None:
            return make()
        path = os.path.join(self._stored_in, f"{name}.jsonl")
        make_once = cache(make)
        places = self.value(f"{name}-places", lambda: _keep_rows(path, make_once()))
        if self.is_package:
            return StoredRows(path, places)
        if os.path.exists(path):
            return StoredRows(path, places, make)
        # the cache cannot be written, or the rows were removed and only their places are left
        return make_once()


class StoredRows(Rows):
    """Values in a file of JSON lines, read one at a time: the file holds those of 1,400 models.

    `make` returns all of them where the file turns out to be damaged; None where nothing can make
    them again, as in a package.
    """

    def __init__(
        self,
        path: str,
        places: Places,
        make: Callable[[], Rows] | None = None,
    ) -> None:
        self._path = path
        self._places = places
        self._make = make
        self._made: Rows | None = None

    def __getitem__(self, key: str) -> Any:
        if self._made is not None:
            return self._made[key]
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
            if self._make is None:
                raise _broken(self._path) from error
        self._made = self._make()
        _keep_rows(self._path, self._made)
        return self._made[key]

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


def _with_checksum(value: bytes) -> bytes:
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
    if content != _with_checksum(value):
        raise ValueError("the content is not what was stored")
    return value


def _as_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _keep_rows(path: str, rows: Rows) -> Places:
    """Write each value as a line of a file, and return the place of each."""
    places = {}
    content = bytearray()
    for key, value in rows.items():
        line = _as_json(value)
        places[key] = (len(content), len(line), zlib.crc32(line))
        content += line + b"\n"
    _keep(path, bytes(content))
    return places


def _keep(path: str, content: bytes) -> None:
    """Write a file whole, or not at all where the folder cannot be written."""
    # a random name: a process id could be shared with another thread, or with another container on
    # the same cache
    unfinished = f"{path}.{os.urandom(6).hex()}.tmp"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(unfinished, "wb") as file:
            file.write(content)
        # another process that computes the same value replaces the file by an equal one
        os.replace(unfinished, path)
    except OSError:
        # a full disk may have cut the file
        with suppress(OSError):
            os.unlink(unfinished)


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
    folder = shipped_folder()
    return Store(folder, None if _is_package(folder) else _cache_of(folder))


@cache
def built_in_store() -> Store:
    """Return the store of the specs that came with selfhost."""
    return store_of(built_in_folder())


def _is_package(folder: str) -> bool:
    """Whether a folder of specs is a package's, with every value stored."""
    return os.path.exists(os.path.join(folder, _COMPLETE))


def store_of(folder: str) -> Store:
    """Return the store of a folder of specs: of the shipped ones the one that is kept."""
    if folder == shipped_folder():
        return shipped_store()
    return Store(folder)


def _cache_of(folder: str) -> str | None:
    """Return the folder that keeps the values of a checkout's specs as they are now; None where the
    user has no cache. Removes those of earlier states.
    """
    caches = cache_folder()
    if caches is None:
        return None
    checksum = zlib.crc32(os.fsencode(folder))
    checkout = f"specs-{checksum:08x}-"
    package = package_folder()
    state = _state(folder, 0)
    for name in _PACKAGES_THAT_MAKE_VALUES:
        state = _state(os.path.join(package, name), state)
    current = os.path.join(caches, f"{checkout}{state:08x}")
    if not os.path.isdir(current):
        _remove_older(caches, checkout)
    return current


def _state(folder: str, before: int) -> int:
    """Return a checksum of the names, sizes and times of all files in a folder, continued from
    another. The newest time alone would not tell of a file that is replaced by an older one, nor
    of any change where one file is dated in the future.
    """
    state = before
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name == "__pycache__":
            continue
        if entry.is_dir(follow_symlinks=False):
            state = zlib.crc32(os.fsencode(entry.name), state)
            state = _state(entry.path, state)
            continue
        status = _status_of(entry)
        # st_ctime is the time of the last change of any kind on Linux and macOS: it cannot be set
        facts = (entry.name, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        state = zlib.crc32(ascii(facts).encode(), state)
    return state


def _status_of(entry: os.DirEntry[str]) -> os.stat_result:
    """Return the status of a file; of a link that leads nowhere, such as editors leave as a lock,
    its own.
    """
    try:
        return entry.stat()
    except OSError:
        return entry.stat(follow_symlinks=False)


def _remove_older(caches: str, checkout: str) -> None:
    """Remove what was kept of earlier states of the same checkout, which no process reads now."""
    import shutil
    import time

    last_in_use = time.time() - _IN_USE_SECONDS
    older = []
    try:
        for name in os.listdir(caches):
            path = os.path.join(caches, name)
            if name.startswith(checkout) and os.stat(path).st_mtime < last_in_use:
                older.append(path)
    except OSError:
        return
    for path in older:
        shutil.rmtree(path, ignore_errors=True)


def cache_folder() -> str | None:
    """Return the folder for selfhost's files in the user's cache, by the convention of the system;
    None where the user has no home.
    """
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "")
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if not os.path.isabs(base):
        return None
    return os.path.join(base, "selfhost")
