"""Records that other systems hold already: the answers of Ansible, Kubernetes, Slurm and others
become `selfhost.machine/1` objects.

Every module here whose name has no underscore is one system; `modules` finds them. An answer is
recognized by its content, or named before the file: `kubernetes:nodes.json`, `slurm:-`. It is read
part by part, so that memory is that of one machine's part, whatever the length of the text. Parts
of our own records pass through unchanged, so that a file or a folder may mix systems.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from ...core.errors import InputError
from ...core.json_items import ITEM, Part, Text, parts_of, read_parts
from ...core.json_text import MAX_STREAM_BYTES
from ...core.reading import LARGE, Unreadable, encoding_of, open_file, read_some, shown
from ...core.spelling import nearest
from ...machine.record import FACTS, MAX_FILE_BYTES
from ._facts import is_address as is_address
from ._system import NOT_JUDGED as NOT_JUDGED
from ._system import Answers, RecordOrFault, kind_of, opens

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import IO, Any, cast

    from ._system import Path
else:

    def cast(_, value):
        return value


# labels that say on which host a node is: nodes of one host share its memory
HOSTS = frozenset(("dask.host", "ray.host", "slurm.host"))
# words of a label `.state` that say that a machine takes no new work: cordoned nodes and conditions
# of Kubernetes' own taints, states of sinfo(1), and what Nomad calls ineligible or awaits
_RESTING = frozenset((
    "cordoned", "memory-pressure", "disk-pressure", "pid-pressure", "network-unavailable",
    "out-of-service", "drain", "drained", "draining", "maint", "maintenance", "failing", "inval",
    "invalid_reg", "future", "ineligible", "initializing",
))  # fmt: skip
# signs that compressed files begin with, and the program that unpacks them
_PACKED = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ": "xz",
    b"BZh": "bzip2",
}
# by which an answer is recognized
_START = 1 << 16
_OWN_SIGN = '"selfhost.machine/'


def resting(labels: Mapping[str, str]) -> str | None:
    """Why a machine that runs takes no new work, in its system's words; None where it does."""
    for key, value in labels.items():
        if key.endswith(".state"):
            words = (word.rstrip("*~#!%$@^-") for word in value.replace("+", ",").split(","))
            if why := [word for word in words if word in _RESTING]:
                return ", ".join(why)
    return None


class Entry:
    """One machine of a stream: its `selfhost.machine/1` object, or the `fault` why there is none.

    `line` is where it begins, None where the text has only one or where several lines tell of it.
    `place` is where it stands in lists of the text, as `items[1]`, None outside of lists.
    `doubled` are keys that stand twice in one object, `more_doubled` counts those not listed.
    """

    __slots__ = ("doubled", "fault", "line", "more_doubled", "place", "value")

    def __init__(
        self,
        line: int | None,
        value: Any,
        fault: Unreadable | None = None,
        doubled: Sequence[str] = (),
        more_doubled: int = 0,
        place: str | None = None,
    ) -> None:
        self.line, self.value, self.fault, self.place = line, value, fault, place
        self.doubled, self.more_doubled = doubled, more_doubled


@lru_cache(1)
def names() -> tuple[str, ...]:
    """The systems that can be named, sorted: `ansible`, `aws`, …"""
    import pkgutil

    return tuple(sorted(name for _, name, _ in pkgutil.iter_modules(__path__) if name[0] != "_"))


def readers(system: str | None = None) -> list[Answers]:
    """A new reader of every system, or of the named one alone."""
    from importlib import import_module

    wanted = names() if system is None else (system,)
    return [import_module(f".{name}", __name__).READER() for name in wanted]


class UnknownSystemError(InputError, LookupError):
    """What stands before the colon is no system whose answers are read."""


def named(path: str) -> tuple[str | None, str]:
    """`kubernetes:-` -> the system and the path; None where the path names no system.

    A file or folder that has the whole as its name is that file. Raises `UnknownSystemError` for
    another word before the colon, unless it is one letter, which is a drive on Windows.
    """
    word, colon, rest = path.partition(":")
    if not colon or not word.isidentifier() or os.path.lexists(path):
        return None, path
    if word in names() and rest:
        return word, rest
    guess = nearest(word, names())
    if len(word) == 1:
        return None, path
    raise UnknownSystemError(
        f"no system is called {word!r}",
        remedy=f"did you mean {guess}:{rest or '-'}?" if guess else f"one of {', '.join(names())}",
        nearest=(guess,) if guess else (),
    )


def peeked(stream: IO[bytes]) -> tuple[bytes, IO[bytes]]:
    """The first bytes of a stream, and a stream that gives them again. Raises `Unreadable`."""
    start = read_some(stream, _START)
    packed = next((name for sign, name in _PACKED.items() if start.startswith(sign)), None)
    if packed is not None:
        raise Unreadable(f"is compressed by {packed}", f"unpack it first: `{packed} -d FILE`")
    return start, cast("IO[bytes]", _Rejoined(start, stream))


class _Rejoined:
    """A stream of which the first bytes were read already."""

    def __init__(self, start: bytes, stream: IO[bytes]) -> None:
        self._start, self._stream = start, stream
        self.fileno = stream.fileno

    def read(self, size: int) -> bytes:
        """At most so many bytes more."""
        if not self._start:
            return self._stream.read(size)
        piece, self._start = self._start[:size], self._start[size:]
        return piece


def is_foreign(start: bytes) -> bool:
    """Whether a stream that starts so holds an answer of a system that is read.

    A stream that begins with a record of our own does not, though its other lines may.
    """
    text = start.decode(encoding_of(start), "ignore")
    if _OWN_SIGN in text:
        return False
    return any(mark in text for reader in readers() for mark in reader.marks)


def may_be_json(start: bytes) -> bool:
    """Whether a stream that starts so may hold JSON: a table or YAML does not."""
    text = start.decode(encoding_of(start), "ignore").lstrip("\ufeff \t\r\n")
    return text[:1] in '{["-0123456789' or text.startswith(("null", "true", "false", "NaN", "Inf"))


def no_answer() -> Unreadable:
    """Why a text that is no JSON, and that no system writes, is not read."""
    return Unreadable(_NEITHER, _name_one(), line=1)


def other_things() -> Unreadable:
    """Why a list of which no item is an object is not read."""
    return Unreadable(_OTHER_THINGS, _name_one())


_OTHER_THINGS = "is a list of other things than machines"
_NEITHER = "is neither JSON nor a text of a system that is read"
_READ_ALWAYS = (".json", ".jsonl", ".prom")
# what a file's name may end in beside the name of its machine
EXTENSIONS = (*_READ_ALWAYS, ".txt")


def is_packed(name: str) -> bool:
    """Whether a file of a folder holds an answer that must be unpacked first."""
    stem, extension = os.path.splitext(name)
    return extension in (".bz2", ".gz", ".xz", ".zst") and stem.endswith(EXTENSIONS)


def is_read(folder: str, name: str) -> bool:
    """Whether a file of a folder is read: those of `*.json`, `*.jsonl` and `*.prom`, an answer in a
    `*.txt`, and any that begins as a JSON object. `ansible --tree` calls a file as its host, and
    one of a host that it did not reach holds no facts. A file that cannot be opened is read too,
    for its fault is then told.
    """
    if name.endswith(_READ_ALWAYS):
        return True
    path = os.path.join(folder, name)
    try:
        stream, _ = open_file(path)
        with stream:
            start = read_some(stream, _START)
    except Unreadable:
        return os.path.isfile(path) or not os.path.exists(path)
    return _begins_as_object(start) or (name.endswith(".txt") and is_foreign(start))


def _begins_as_object(start: bytes) -> bool:
    """Whether a brace and a key, or the end, come first: templates begin with other braces."""
    text = start.decode(encoding_of(start), "ignore").lstrip("\ufeff \t\r\n")
    return text[:1] == "{" and text[1:].lstrip()[:1] in ("", '"', "}")


class Reader:
    """Reads the streams of one run, in the order they are given; `rest` gives what is left at the
    end. `system` is the one that was named, None to recognize each document.
    """

    def __init__(self, system: str | None = None) -> None:
        self.system = system
        # those of the systems are loaded when the first answer is read
        self._readers: list[Answers] = []

    def _load(self) -> None:
        if not self._readers:
            self._readers = readers(self.system)
            self._opens = opens([path for reader in self._readers for path in reader.opened])

    def of_value(self, value: Any, line: int | None, file: str) -> Iterator[Entry] | None:
        """The machines of a document that was parsed; None for one of our own records."""
        if not isinstance(value, Mapping) or "schema" in value or any(map(value.get, FACTS)):
            return None
        self._load()
        return self._of_parts(parts_of(value, self._opens, line or 1), file)

    def entries(self, stream: IO[bytes], file: str) -> Iterator[Entry]:
        """The machines of one stream. Raises `Unreadable` for the whole, also after entries."""
        try:
            yield from self._entries(stream, file)
        except Unreadable:
            # what nobody vouches for whole tells of no machine
            for reader in self._readers:
                reader.forget(file)
            raise

    def _entries(self, stream: IO[bytes], file: str) -> Iterator[Entry]:
        text = Text(stream, max_bytes=MAX_STREAM_BYTES, max_part_bytes=MAX_FILE_BYTES)
        sign = text.sign()
        if not sign:
            raise Unreadable("is empty")
        self._load()
        if sign not in "[{":
            yield from self._of_lines(text, file)
        else:
            yield from self._of_parts(read_parts(text, self._opens), file)

    def _of_parts(self, parts: Iterable[Part], file: str) -> Iterator[Entry]:
        is_named = self.system is not None
        document = _Document(self._readers, file, is_named=is_named)
        # of the document, where the text is a list of them
        index: int | None = None
        for part in parts:
            if part.path is None:
                yield from document.end()
                index = None if index is None else index + 1
                document = _Document(self._readers, file, is_named=is_named, index=index)
            elif part.path == () and document.is_begun:
                index = 0
                document = _Document(self._readers, file, is_named=is_named, index=index)
                yield from document.part(part)
            else:
                yield from document.part(part)

    def awaits(self, file: str) -> bool:
        """Whether `rest` will give machines that this file tells of."""
        return any(file in reader.files for reader in self._readers)

    def rest(self) -> Iterator[tuple[str, Entry]]:
        """Each machine that all streams together tell of, with the file of its first answer."""
        for reader in self._readers:
            # of a system whose answers no stream held there is nothing
            for file, machine in reader.rest():
                yield file, _entry(None, machine)

    def _of_lines(self, text: Text, file: str) -> Iterator[Entry]:
        start = text.start(_START)
        reader = next((reader for reader in self._readers if reader.claims_text(start)), None)
        if reader is None:
            raise Unreadable(_nobodys(self._readers), line=text.line)
        number = text.line
        while (line := text.line_text()) is not None:
            for machine in reader.line(line.rstrip("\r"), file, number):
                yield _entry(number, machine)
            number += 1
        for machine in reader.text_end(file):
            yield _entry(number, machine)


class _Document:
    """One document while it is read: whose answer it is, and its members until that is known."""

    def __init__(
        self, all_readers: list[Answers], file: str, *, is_named: bool, index: int | None = None
    ) -> None:
        self._readers, self._file, self._is_named = all_readers, file, is_named
        self._place = "" if index is None else f"[{index}]"
        # how many items of each list or object that was opened have passed
        self._passed: dict[Path, int] = {}
        # parts that no reader claims, until one claims the document: with their lines and places
        self._unclaimed: list[tuple[Path, Any, int, str]] = []
        self._reader: Answers | None = None
        self._members: dict[str, Any] = {}
        self._line: int | None = None
        self._from = 0
        self._doubled: list[str] = []
        self._more_doubled = 0
        self._items = 0
        self._whole: Part | None = None

    @property
    def is_begun(self) -> bool:
        """Whether a part of it was seen."""
        return self._line is not None

    def part(self, part: Part) -> Iterator[Entry]:
        """The machines that one part tells of."""
        path = part.path
        assert path is not None
        if self._line is None:
            self._line, self._from = part.line, part.place
        if part.is_opened:
            if len(path) == 1 and path[0] != ITEM:
                self._members[path[0]] = None
            return
        self._check_doubled(part)
        if not path:
            self._whole = part
            return
        self._items += path[-1] == ITEM
        place = self._place_of(path)
        if self._reader is None:
            claiming = (reader for reader in self._readers if reader.claims(path, part.value))
            self._reader = next(claiming, None)
            if self._reader is not None:
                yield from self._earlier(self._reader)
            elif len(self._unclaimed) < _MAX_UNCLAIMED:
                self._unclaimed.append((path, _outline(part.value), part.line, place))
        if self._reader is not None:
            self._reader.at = part.line, place
            machines = self._reader.part(path, part.value, self._file)
            yield from self._entries_of(machines, part.line, place)
        self._keep(path, part.value, part.place)

    def _place_of(self, path: Path) -> str:
        """`items[1]`, and behind the document's own place where it is one of a list."""
        if len(path) == 1:
            return self._place
        above = path[:-1]
        number = self._passed.get(above, 0)
        self._passed[above] = number + 1
        dot = "." if self._place else ""
        return f"{self._place}{dot}{shown('.'.join(above[-2:])[:60])}[{number}]"

    def _earlier(self, reader: Answers) -> Iterator[Entry]:
        """The faults of parts that came before the first that showed whose the document is."""
        earlier, self._unclaimed = self._unclaimed, []
        for path, value, line, place in earlier:
            yield from self._entries_of(reader.part(path, value, self._file), line, place)

    def end(self) -> Iterator[Entry]:
        """The machines that the document tells of as a whole."""
        if self._line is None:
            return
        if self._whole is not None:
            fault = Unreadable(f"holds {kind_of(self._whole.value)}, not an object", _name_one())
            yield Entry(self._whole.line, None, fault, place=self._place or None)
            return
        members = self._members
        reader = self._reader
        if reader is None and not self._items:
            claiming = (reader for reader in self._readers if reader.claims_whole(members))
            reader = next(claiming, None)
        if reader is not None:
            yield from self._earlier(reader)
            yield from self._entries_of(reader.whole(members, self._file), self._line, self._place)
        elif "schema" in members or any(fact in members for fact in FACTS):
            yield Entry(
                self._line, members, None, self._doubled, self._more_doubled, self._place or None
            )
        else:
            fault = Unreadable(self._not_read(), _name_one())
            yield Entry(self._line, None, fault, place=self._place or None)

    def _keep(self, path: tuple[str, ...], value: Any, place: int) -> None:
        """Remember a member of the document; of one whose reader is known only what is short."""
        if len(path) != 1:
            return
        if self._reader is None:
            if place - self._from > MAX_FILE_BYTES:
                raise Unreadable(
                    f"has a record of more than {MAX_FILE_BYTES:,} bytes",
                    line=self._line,
                    kind=LARGE,
                )
            self._members[path[0]] = value
        elif isinstance(value, str | int | float | bool):
            self._members[path[0]] = value

    def _check_doubled(self, part: Part) -> None:
        if not part.doubled:
            return
        if self._reader is None and len(part.path or ()) == 1:
            self._doubled += part.doubled
            self._more_doubled += part.more_doubled
        if self._reader is not None or len(part.path or ()) > 1:
            raise _doubled(part.doubled[0], part.line)

    def _entries_of(
        self, machines: Iterable[RecordOrFault], line: int, place: str
    ) -> Iterator[Entry]:
        if self._doubled:
            raise _doubled(self._doubled[0], self._line)
        for machine in machines:
            yield _entry(line, machine, place)

    def _not_read(self) -> str:
        if self._is_named:
            return (
                f"is no answer of {self._readers[0].title}: `{self._readers[0].command}` gives one"
            )
        if self._items:
            return _OTHER_THINGS
        return "is no machine record, and no answer of a system that is read"


def _doubled(key: str, line: int | None) -> Unreadable:
    return Unreadable(f'has "{shown(key[:60])}" twice in one object', "keep one", line=line)


def _entry(line: int | None, answer: RecordOrFault, place: str = "") -> Entry:
    line, place = answer.line or line, answer.place or place
    if answer.fault is None:
        return Entry(line, answer.record, place=place or None)
    return Entry(line, None, Unreadable(answer.fault, answer.remedy), place=place or None)


# of one document; more than machines.MAX_FAULTY, beyond which its file is refused whole
_MAX_UNCLAIMED = 10_001


def _outline(value: Any) -> Any:
    """What tells a broken item from one of another kind, without the rest of it."""
    if isinstance(value, Mapping):
        return {key: value[key] for key in ("kind", "name") if isinstance(value.get(key), str)}
    return [] if isinstance(value, list) else value


def _nobodys(all_readers: list[Answers]) -> str:
    if len(all_readers) == 1:
        return f"is no answer of {all_readers[0].title}: `{all_readers[0].command}` gives one"
    return _NEITHER


def _name_one() -> str:
    return f"read are {', '.join(names())}, and records of `selfhost machine --format json`"
