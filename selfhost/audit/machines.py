"""Recorded machines: files, folders and streams of records -> machines with names that differ, many
of them in little memory.

What Ansible, Kubernetes and Prometheus answer is recognized by its content. It is parsed at once,
so it has a limit. Our own records pass through unchanged, so that a file or a folder may mix
systems.
"""

from __future__ import annotations

import codecs
import os
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from itertools import chain
from typing import IO, Any

from ..core.errors import MachineFileError, Problem, first_problems
from ..core.files import (
    LARGE,
    MAX_SIGNS,
    MAX_TEXT_BYTES,
    Unreadable,
    encoding_of,
    open_file,
    parse_json,
    read_some,
    too_large,
)
from ..core.records import FrozenDict, Record, shown
from ..core.tables import expression
from ..machine.record import BANDWIDTH, FACTS, MAX_FILE_BYTES, RECORDED, Machine
from .drafts import Entry, OutOfService, table_of
from .rows import listed
from .systems import READERS

# a file with more records that are no machine is another kind of file: it is read no further
MAX_FAULTY = 10_000
# each takes 0.4 to 0.9 kB, so that they fit into half a gigabyte
MAX_MACHINES = 500_000
# records that differ in more than their numbers are kept whole, at about 15 kB each
MAX_KINDS = 20_000
_STANDARD_INPUT = "standard input"
# a pipe is read where a command failed, too
_REMEDIES = {
    _STANDARD_INPUT: "run the command before the pipe on its own, and look at its output"
}
RECORD_IT = "record a machine with `selfhost machine --format json --name NAME`"

# of a text, by which it is recognized what it holds
_START_BYTES = 1 << 16
# of one answer: some 5,000 nodes of Kubernetes with all they state. Python takes up to 125 bytes a
# value
MAX_VALUES = 4_000_000
_EXTENSIONS = (".json", ".jsonl")
# of a list of records
_MAX_LIST_SIGNS = 4 * MAX_SIGNS
_SPLIT_IT = f"split the file, and audit each part: split -l {MAX_MACHINES // 2} FILE"
_ONE_A_LINE = "give one record a line: jq -c '.[]' FILE"
_BLANKS = " \t\r\n"
_BEFORE_TEXT = f"\ufeff{_BLANKS}"
_BLANK_RUN = re.compile(f"[{_BLANKS}]*")
_CHUNK_BYTES = 1 << 20

# the place of a number in a record: ("swap_free_bytes",) or ("disks", 0, "free_bytes")
Slot = tuple[str] | tuple[str, int, str]
Numbers = tuple[int, ...]

_SINGLE = (
    "memory_available_bytes",
    "memory_limit_bytes",
    "memory_total_bytes",
    "swap_free_bytes",
    BANDWIDTH,
)
_LISTED = (
    ("disks", ("free_bytes", "total_bytes")),
    ("accelerators", ("memory_free_bytes",)),
)


def with_numbers(
    template: Machine, slots: Sequence[Slot], numbers: Numbers, **facts: Any
) -> Machine:
    """The machine of that kind with these numbers and facts."""
    lists: dict[str, list[Any]] = {}
    for slot, number in zip(slots, numbers, strict=True):
        if len(slot) == 1:
            facts[slot[0]] = number
            continue
        head, index, part = slot
        entries = lists.setdefault(head, list(getattr(template, head)))
        entries[index] = entries[index].replace(**{part: number})
    facts.update((head, tuple(entries)) for head, entries in lists.items())
    return template.replace_unchecked(**facts)


class Machines(Sequence[Machine]):
    """The machines of a fleet in the order they were read; each is made when it is asked for.
    `kinds` have the first machine of each kind and the slots of the `numbers` in which all differ.
    """

    def __init__(self, machines: Iterable[Machine] = ()) -> None:
        self.kinds: list[tuple[Machine, tuple[Slot, ...]]] = []
        self.names: list[str] = []
        self.labels: list[Mapping[str, str]] = []
        self.times: list[str | None] = []
        self.kind_of = array("l")
        self.numbers: list[Numbers] = []
        self._by_shape: dict[object, int] = {}
        # many machines have the same labels
        self._labels: dict[Mapping[str, str], Mapping[str, str]] = {}
        for machine in machines:
            self.add(machine)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, number: Any) -> Any:
        template, slots = self.kinds[self.kind_of[number]]
        own = {"name": self.names[number], "labels": self.labels[number]}
        read_at = self.times[number]
        return with_numbers(
            template, slots, self.numbers[number], **own, read_at=read_at
        )

    def add(self, machine: Machine) -> None:
        """Keep a machine whose name is new."""
        numbers: dict[Slot, int | None] = {
            (name,): getattr(machine, name) for name in _SINGLE
        }
        for head, parts in _LISTED:
            for index, entry in enumerate(getattr(machine, head) or ()):
                numbers |= {(head, index, part): getattr(entry, part) for part in parts}
        stated = {
            slot: number for slot, number in numbers.items() if number is not None
        }
        slots = tuple(stated)
        no_numbers = (0,) * len(slots)
        bare = with_numbers(
            machine, slots, no_numbers, name="", labels=FrozenDict(), read_at=None
        )
        kind = self._by_shape.setdefault((slots, bare), len(self.kinds))
        if kind == len(self.kinds):
            self.kinds.append((machine, slots))
        self.names.append(machine.name)
        self.labels.append(self._labels.setdefault(machine.labels, machine.labels))
        self.times.append(machine.read_at)
        self.kind_of.append(kind)
        self.numbers.append(tuple(stated.values()))


class Fleet(Record):
    """Machines with names that differ; `down`: faults of those that are called down."""

    machines: Machines
    problems: tuple[Problem, ...] = ()
    down: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def load_machines(
    *paths: str,
    stdin: bytes | None = None,
    tell: Callable[[float, float | None], None] | None = None,
) -> Fleet:
    """Recorded machines of all paths: of a file (one record, a list of them, or one per line),
    of a folder, or of `-`, which is standard input or the bytes `stdin`. Nothing raises. A record
    without a name takes its file's, and its line's number where the file holds several. `tell`
    hears how many machines were read, of how many is not known.
    """
    loader = _Loader(tell)
    for path in dict.fromkeys(paths):
        if path == "-":
            loader.add_file("/dev/stdin", _STANDARD_INPUT, stdin)
        elif os.path.isdir(path):
            loader.add_folder(path)
        else:
            loader.add_file(path)
    # a file that is no record may be a host's that was written empty: it is named
    not_read = [shown(path) for path in loader.not_read]
    notes = (
        [f"files that hold no record were not read: {listed(not_read)}"]
        if not_read
        else []
    )
    files = ", ".join(_STANDARD_INPUT if path == "-" else path for path in paths)
    return Fleet(
        machines=loader.machines,
        problems=first_problems(files, loader.faults),
        down=tuple(loader.down),
        notes=tuple(notes),
    )


class _Loader:
    """The machines of all files, whose names must differ, and what is wrong with others."""

    def __init__(
        self, tell: Callable[[float, float | None], None] | None = None
    ) -> None:
        self._tell = tell
        self.machines = Machines()
        self.faults: list[Problem] = []
        self.down: list[Problem] = []
        self.not_read: list[str] = []
        # the file and the line of each machine, by its name
        self._origins: dict[str, tuple[str, int | None]] = {}

    def add_folder(self, folder: str) -> None:
        """`*.json`, `*.jsonl` and what begins as an object, as files of `ansible --tree` do."""
        try:
            names = sorted(
                name for name in os.listdir(folder) if not name.startswith(".")
            )
        except OSError as error:
            message = f"cannot be read: {error.strerror or error}"
            self.faults.append(Problem(file=folder, message=message))
            return
        is_read = False
        for path in (os.path.join(folder, name) for name in names):
            is_file, may_hold = os.path.isfile(path), path.endswith(_EXTENSIONS)
            try:
                if not may_hold:
                    with open_file(path, is_input=False)[0] as stream:
                        start = read_some(stream, _START_BYTES)
                    text = start.decode(encoding_of(start), "ignore")
                    text = text.lstrip(_BEFORE_TEXT)
                    # a brace and a key, or the end: templates begin with other braces
                    may_hold = text[:1] == "{" and text[1:].lstrip()[:1] in (
                        "",
                        '"',
                        "}",
                    )
            except Unreadable:
                # read too, for its fault is then told
                may_hold = is_file or not os.path.exists(path)
            if may_hold:
                is_read = True
                self.add_file(path)
            elif is_file:
                self.not_read.append(path)
        if not is_read:
            message = "the folder holds no record, and folders in it are not read"
            self.faults.append(Problem(file=folder, message=message, remedy=RECORD_IT))

    def add_file(
        self, path: str, shown: str = "", content: bytes | None = None
    ) -> None:
        file, faults = shown or path, list[Problem]()
        try:
            stream = (
                open_file(path, input_allowed=True)[0]
                if content is None
                else BytesIO(content)
            )
            with stream:
                self._add_all(file, stream, faults)
        except Unreadable as error:
            faults.insert(0, error.problem(file, _REMEDIES.get(file, RECORD_IT)))
        self.faults += first_problems(file, faults)

    def _add_all(self, file: str, stream: IO[bytes], faults: list[Problem]) -> None:
        count, down = 0, len(self.down)
        for entry in _entries(file, stream):
            if len(faults) > MAX_FAULTY:
                raise Unreadable(f"holds more than {MAX_FAULTY:,} faults")
            if entry.fault is not None:
                is_down = isinstance(entry.fault, OutOfService)
                problem = entry.fault.problem(file, RECORD_IT)
                problem = problem.replace(line=entry.line, key=entry.place)
                (self.down if is_down else faults).append(problem)
                continue
            count += 1
            try:
                machine = Machine.from_json(entry.value, file)
                if machine.name == RECORDED:
                    machine = machine.replace(name=self._name(file, entry, count))
                if machine.name in self._origins:
                    earlier, line = self._origins[machine.name]
                    where = f"{earlier}:{line}" if line else earlier
                    reason = (
                        f'"{machine.name}" is also the name of the machine in {where}'
                    )
                    remedy = "keep one of them, or give each a name of its own"
                    same = Problem(file=file, key="name", message=reason, remedy=remedy)
                    raise MachineFileError([same])
            except MachineFileError as error:
                for problem in error.problems:
                    key = ".".join(filter(None, (entry.place, problem.key))) or None
                    faults.append(problem.replace(line=entry.line, key=key))
                continue
            if len(self.machines) == MAX_MACHINES:
                reason = f"holds more machines than one audit accepts (at most {MAX_MACHINES:,})"
                raise Unreadable(reason, _SPLIT_IT, line=entry.line)
            self.machines.add(machine)
            if self._tell is not None:
                self._tell(len(self.machines), None)
            self._origins[machine.name] = file, entry.line
            if len(self.machines.kinds) > MAX_KINDS:
                message = f"makes more than {MAX_KINDS:,} kinds of machine: audit them in parts"
                raise Unreadable(message)
        if not count and not faults and len(self.down) == down:
            raise Unreadable("holds no machine")

    def _name(self, file: str, entry: Entry, count: int) -> str:
        """What a machine without a name is called, as its file is; an address is no name."""
        base = os.path.basename(file)
        stem, extension = os.path.splitext(base)
        stem = stem if extension in _EXTENSIONS else base
        if expression("systems", "address").fullmatch(stem):
            stem = f"machine-{len(self.machines) + 1}"
        if count == 1 and entry.line is None and entry.place is None:
            return stem
        # items of a list may stand in one line
        return f"{stem}:{count if entry.place or not entry.line else entry.line}"


def _entries(file: str, stream: IO[bytes]) -> Iterator[Entry]:
    """The records of a stream: our own, and those that answers of other systems become."""
    start = read_some(stream, _START_BYTES)
    text = start.decode(encoding_of(start), "ignore").lstrip(_BEFORE_TEXT)
    systems = ", ".join(f"`{table_of(name)['command']}`" for name in READERS)
    remedy = f"give the JSON of {systems} or `selfhost machine --format json`"
    if text[:1] not in ("", "{", "["):
        raise Unreadable("is not JSON", remedy, line=1)
    size, values = MAX_TEXT_BYTES, MAX_VALUES
    if '"selfhost.machine/' in text:
        size, values = MAX_FILE_BYTES, MAX_SIGNS
    for record in read_records(
        stream, max_record_bytes=size, max_signs=values, start=start
    ):
        value = record.value
        if not isinstance(value, Mapping) or "schema" in value:
            yield record
            continue
        answers = (read(value, file) for read in READERS.values())
        entries = next((each for each in answers if each is not None), None)
        if entries is None:
            if not any(fact in value for fact in FACTS):
                reason = (
                    "is neither a machine record nor the output of a system that "
                    "selfhost reads"
                )
                record.fault = Unreadable(reason, remedy)
            yield record
            continue
        for each in entries:
            each.place = ".".join(filter(None, (record.place, each.place))) or None
            each.line = record.line if each.place is None else None
            yield each


def read_records(
    stream: IO[bytes],
    *,
    max_record_bytes: int,
    max_signs: int = MAX_SIGNS,
    start: bytes = b"",
) -> Iterator[Entry]:
    """Read the values of a stream that begins with `start`: items of a list, lines, or the one.
    Raises `Unreadable` for the whole, also after some entries; a broken line is an entry's `fault`.
    """
    pieces = _pieces(stream, start)
    blank_lines, text = _first_text(pieces)
    if not text:
        raise Unreadable("is empty")
    if text.lstrip(_BLANKS)[0] == "[":
        whole = _joined(text, pieces, blank_lines, MAX_TEXT_BYTES)
        items = parse_json(whole, max_signs=_MAX_LIST_SIGNS, remedy=_ONE_A_LINE)
        yield from (Entry(item, place=f"[{index}]") for index, item in enumerate(items))
        return
    text = _with_whole_line(text, pieces)
    lines = _filled_lines(chain((text,), pieces), blank_lines + 1)
    number, first = next(lines)
    entry = _entry(number, first, max_record_bytes)
    if not isinstance(entry.value, dict):
        # a value of several lines, or no object; what `lines` has taken is still in `text`
        whole = _joined(text, pieces, blank_lines, max_record_bytes)
        yield Entry(parse_json(whole, max_signs=max_signs))
        return
    second = next(lines, None)
    if second is None:
        entry.line = None
        yield entry
        return
    yield entry
    for number, line in chain((second,), lines):
        yield _entry(number, line, max_record_bytes)


def text_lines(stream: IO[bytes]) -> Iterator[tuple[int, str]]:
    """Each line of a stream that is not blank, with its number. Raises `Unreadable`."""
    return _filled_lines(_pieces(stream, b""), 1)


def _pieces(stream: IO[bytes], start: bytes) -> Iterator[str]:
    """The text of a stream that begins with `start`, in pieces of about a megabyte."""
    start += read_some(stream, _CHUNK_BYTES)
    decode = codecs.getincrementaldecoder(encoding_of(start))().decode
    piece = start
    try:
        while piece:
            yield decode(piece)
            piece = read_some(stream, _CHUNK_BYTES)
        yield decode(b"", final=True)
    except UnicodeDecodeError:
        raise Unreadable("is not text") from None


def _first_text(pieces: Iterator[str]) -> tuple[int, str]:
    """How many lines the blank pieces in front have, and the first that is not blank."""
    blank_lines = 0
    for piece in pieces:
        if piece.strip(_BLANKS):
            return blank_lines, piece
        blank_lines += piece.count("\n")
    return blank_lines, ""


class _Parts:
    """Pieces of one text. Raises `Unreadable` where they are more than `most` characters, or would
    take more memory than a text may.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._pieces: list[str] = []
        self._characters = 0
        # one character outside of ASCII makes Python keep the whole text in 2 or 4 bytes each
        self._bytes_per_character = 1

    def add(self, piece: str) -> None:
        self._pieces.append(piece)
        self._characters += len(piece)
        if self._characters > self._most:
            raise too_large(self._most, _ONE_A_LINE)
        if not piece.isascii():
            self._bytes_per_character = max(
                self._bytes_per_character, _width_bytes(piece)
            )
        if self._characters * self._bytes_per_character > MAX_TEXT_BYTES:
            reason = f"takes more than {MAX_TEXT_BYTES >> 20} MiB as text"
            raise Unreadable(reason, _ONE_A_LINE, kind=LARGE)

    def text(self) -> str:
        return "".join(self._pieces)


def _width_bytes(text: str) -> int:
    """The bytes that Python keeps of each character of a text, by the highest one."""
    highest = max(text, default="")
    if highest <= "\xff":
        return 1
    return 2 if highest <= "\uffff" else 4


def _with_whole_line(text: str, pieces: Iterator[str]) -> str:
    """A text and the pieces behind it up to the end of its first line that is not blank."""
    parts = _Parts(MAX_TEXT_BYTES)
    parts.add(text)
    # the end of that line is looked for behind its first character
    begun = len(text) - len(text.lstrip(_BLANKS))
    piece: str | None = text
    while piece is not None and "\n" not in piece[begun:]:
        begun = 0
        piece = next(pieces, None)
        if piece is not None:
            parts.add(piece)
    return parts.text()


def _joined(text: str, pieces: Iterator[str], blank_lines: int, most: int) -> str:
    """All of a text, with blank lines in front so that faults have their line."""
    parts = _Parts(most)
    for piece in chain((text,), pieces):
        parts.add(piece)
    return "\n" * blank_lines + parts.text()


def _filled_lines(pieces: Iterable[str], number: int) -> Iterator[tuple[int, str]]:
    """Each line that is not blank with its number; `number` is that of the first. Blank ones, of
    which a damaged disk leaves millions, are counted and not looked at one by one.
    """
    # what was read of a line that has not ended yet
    begun = _Parts(MAX_TEXT_BYTES)
    for piece in pieces:
        begun.add(piece)
        if "\n" not in piece:
            continue
        text = begun.text()
        position = 0
        while True:
            filled = _BLANK_RUN.match(text, position)
            at = len(text) if filled is None else filled.end()
            start = max(position, text.rfind("\n", position, at) + 1)
            number += text.count("\n", position, start)
            end = text.find("\n", at)
            if end < 0:
                begun = _Parts(MAX_TEXT_BYTES)
                begun.add(text[start:])
                break
            yield number, text[start:end]
            position = end + 1
            number += 1
    last = begun.text()
    if last.strip(_BLANKS):
        yield number, last


def _entry(number: int, line: str, most: int) -> Entry:
    if len(line) > most:
        reason = f"has a record of more than {most:,} bytes"
        raise Unreadable(reason, line=number, kind=LARGE)
    try:
        return Entry(parse_json(line), line=number)
    except Unreadable as error:
        return Entry(line=number, fault=error)
