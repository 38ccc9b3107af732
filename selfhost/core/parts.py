"""A file of many parts, of which each is read when it is asked for: what a build compiles of the
specs, in the form that Python reads fastest.

Four bytes of checksum, four of the header's size, then as `marshal` writes them the header and the
parts. A part that was damaged, or belongs to a file put in place meanwhile, fails its checksum.

And where such files, and all that comes with the program, lie: `shipped_folder`.
"""

from __future__ import annotations

import os
from _thread import allocate_lock
from collections.abc import Iterator, Mapping

from .errors import Problem, SelfhostError, SpecError

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Any

# what a file of parts that is none, or damaged, raises when it is opened or read
UNREADABLE = (OSError, EOFError, ValueError, KeyError, TypeError)
# a header holds lists of names with their places, a text each, in one of which a name is searched
# for: to tell a thousand names apart takes six times as long as to read them so
_NAMES_A_LIST = 20
# the folder of the package `selfhost`
PACKAGE_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Parts:
    """A file of `joined`. Opening it, and `[]`, raise one of `UNREADABLE` for a file that is none,
    or is of another version.
    """

    def __init__(self, path: str, version: int) -> None:
        self._path = path
        # it stays open: what an upgrade puts in its place meanwhile has other parts
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115
        self._lock = allocate_lock()
        lengths = self._file.read(8)
        size = int.from_bytes(lengths[4:], "little")
        header = self._file.read(size)
        whole = os.fstat(self._file.fileno()).st_size
        self._start = 8 + size
        self.header: Mapping[str, Any] = _checked(header, int.from_bytes(lengths[:4], "little"))
        if self.header["version"] != version:
            raise ValueError("of another version")
        self._lists: Sequence[str] = self.header["parts"]
        if whole != self._start + self.header["bytes"]:
            raise ValueError("cut short")

    def __contains__(self, name: str) -> bool:
        return self._line(name) is not None

    def _line(self, name: str) -> str | None:
        """Where it lies: its place, its size and its checksum; None where there is none."""
        text = self._lists[_list_of(name, len(self._lists))]
        start = f"\n{name}\t"
        place = text.find(start)
        return None if place < 0 else text[place + len(start) : text.index("\n", place + 1)]

    def __getitem__(self, name: str) -> Any:
        line = self._line(name)
        if line is None:
            raise KeyError(name)
        place, size, checksum = map(int, line.split())
        return _checked(self._content(self._start + place, size), checksum)

    def _content(self, start: int, size: int) -> bytes:
        """A forked process shares the file's position with its parent: it is left alone."""
        if hasattr(os, "pread"):
            return os.pread(self._file.fileno(), size, start)
        with self._lock:
            self._file.seek(start)
            return self._file.read(size)

    def __del__(self) -> None:
        file = vars(self).get("_file")
        if file is not None:
            file.close()

    def later(self, name: str) -> Any:
        """As by `[]`, once the other parts are in use. Raises `SelfhostError` alone."""
        try:
            return self[name]
        except UNREADABLE as error:
            raise SelfhostError(
                f"{self._path} is damaged", remedy="install selfhost again"
            ) from error


class Tables(Mapping[str, "Any"]):
    """A part that was written as `tables`: each value is read when it is asked for, and of a table
    of tables each row.
    """

    def __init__(self, contents: Mapping[str, Any]) -> None:
        self._contents = contents
        self._read: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        if key not in self._read:
            content = self._contents[key]
            is_table = isinstance(content, dict)
            self._read[key] = Tables(content) if is_table else value_of(content)
        return self._read[key]

    def __contains__(self, key: object) -> bool:
        return key in self._contents

    def __iter__(self) -> Iterator[str]:
        return iter(self._contents)

    def __len__(self) -> int:
        return len(self._contents)


def _checked(content: bytes, checksum: int) -> Any:
    """What `marshal` wrote. `ValueError` where it is not what was written."""
    from binascii import crc32
    from marshal import loads

    if crc32(content) != checksum:
        raise ValueError("damaged")
    return loads(content)


def joined(
    version: int,
    header: Mapping[str, Any],
    by_name: Mapping[str, Any],
    *,
    frozen: bool,
    apart: Collection[str] = (),
    tables: Collection[str] = (),
) -> bytes:
    """The content of a file of parts, the same for the same values. Header and parts are of plain
    values, as JSON has them; `frozen`: lists come back as tuples. No name holds a tab or the end of
    a line. Of the parts named in `apart`, lists or mappings, each value comes back as bytes that
    `value_of` reads: most are never asked for. Of those named in `tables`, mappings that `Tables`
    reads, of a table of tables each row does.
    """
    from binascii import crc32

    written: dict[bytes, str] = {}
    places: dict[str, str] = {}
    end = 0
    for name, part in by_name.items():
        depth = 2 if name in tables else int(name in apart)
        content = _dumped(part, frozen=frozen, depth=depth)
        if content not in written:
            # what two parts have in common is written once
            written[content] = f"{end} {len(content)} {crc32(content)}"
            end += len(content)
        places[name] = written[content]
    lists = [""] * max(1, len(places) // _NAMES_A_LIST)
    for name, line in places.items():
        lists[_list_of(name, len(lists))] += f"\n{name}\t{line}"
    parts = [f"{text}\n" for text in lists]
    whole = _dumped({"version": version, "bytes": end, "parts": parts, **header}, frozen=True)
    lengths = crc32(whole).to_bytes(4, "little") + len(whole).to_bytes(4, "little")
    return b"".join((lengths, whole, *written))


def value_of(content: bytes) -> Any:
    """A value of a part that was written `apart`; the part's checksum held."""
    from marshal import loads

    return loads(content)


def _list_of(name: str, lists: int) -> int:
    """In which of so many lists of the header a part stands."""
    from binascii import crc32

    return crc32(name.encode("utf-8", "backslashreplace")) % lists


def _dumped(value: Any, *, frozen: bool, depth: int = 0) -> bytes:
    """`depth`: of how many levels the values are written each for itself; below the first a table
    of tables alone is.

    As the marshal of every version of Python reads it. It writes down who else holds an
    object as well, so that it gets a copy that nobody does.
    """
    import json
    from marshal import dumps
    from sys import intern

    def copied(part: Any) -> Any:
        if isinstance(part, dict):
            return {copied(key): copied(own) for key, own in part.items()}
        if isinstance(part, list):
            parts = [copied(own) for own in part]
            return tuple(parts) if frozen else parts
        # Python has one object of each letter, which is interned or not by who used it before
        return intern(part) if isinstance(part, str) and len(part) < 2 else part

    def each(part: Any, levels: int) -> Any:
        if not levels:
            return dumps(copied(part), 4)
        if isinstance(part, dict):
            return {copied(key): each(own, _levels(own, levels)) for key, own in part.items()}
        return tuple([each(own, _levels(own, levels)) for own in part])

    plain = json.loads(json.dumps(value))
    return dumps(each(plain, depth) if depth else copied(plain), 4)


def _levels(part: Any, levels: int) -> int:
    """Of how many more levels the values of `part`, itself of one, are written for themselves."""
    is_table = isinstance(part, dict) and all(isinstance(own, dict) for own in part.values())
    return levels - 1 if is_table else 0


def shipped_folder() -> str:
    """Inside the installed package, or beside it in a checkout. Raises `SpecError` where
    neither is there.
    """
    package = PACKAGE_FOLDER
    for path in (os.path.join(package, "specs"), os.path.join(os.path.dirname(package), "specs")):
        if os.path.isdir(path):
            return path
    message, remedy = "the shipped specs are missing", "install selfhost-check again"
    if not os.path.isdir(package):
        message = "is inside an archive, from which selfhost cannot read its specs"
        remedy = "unpack the archive, or install selfhost-check"
    raise SpecError([Problem(file=package, message=message, remedy=remedy)])
