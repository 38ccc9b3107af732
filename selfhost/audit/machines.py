"""Recorded machines: files, folders and streams of records -> machines with names that differ."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import IO, cast

from ..core.errors import Faults, MachineFileError, Problem
from ..core.files import Unreadable, open_input, read_some
from ..core.files import shown as printable
from ..core.json_text import Entry, read_records
from ..core.records import Record
from ..machine.record import MAX_FILE_BYTES, RECORDED, Machine
from . import systems
from .fleet import Machines
from .progress import Progress
from .systems.facts import is_address

# until the name of its file can be given to it
_UNNAMED = RECORDED
# a file with more records that are no machine is another kind of file: it is read no further
MAX_FAULTY = 10_000
# records that differ in more than their numbers are kept whole, at about 15 kB each
MAX_KINDS = 20_000
_STANDARD_INPUT = "standard input"
# a pipe is read where a command failed, too
_REMEDIES = {_STANDARD_INPUT: "run the command before the pipe alone, and see what it prints"}
RECORD_IT = "record a machine with `selfhost machine --format json --name NAME`"


class Fleet(Record):
    """Recorded machines with names that differ, and every record that cannot be used. `notes` name
    files of the folders that were not read.
    """

    machines: Sequence[Machine]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()


def load_machines(
    *paths: str, stdin: bytes | None = None, progress: Progress | None = None
) -> Fleet:
    """Recorded machines of all paths: of a file (one record, a list of them, or one per line),
    every `*.json` and `*.jsonl` of a folder, or `-`. A path that is named again adds nothing.

    `-` reads standard input, or the bytes `stdin` instead. Nothing raises: what cannot be used is
    in `problems`, at most MAX_PROBLEMS of them and a count of the rest. A record without a name of
    its own takes its file's name, and its line's number where the file holds several.
    `progress` is told how far it is.
    """
    shown = ", ".join(_STANDARD_INPUT if path == "-" else path for path in paths)
    loader = _Loader(shown, progress or Progress(lambda _line: None))
    for typed in dict.fromkeys(paths):
        try:
            system, path = systems.named(typed)
        except systems.UnknownSystemError as error:
            loader.faults.append(Problem(file=typed, message=error.message, remedy=error.remedy))
            continue
        loader.read_as(system)
        if path == "-" and stdin is not None:
            loader.add_stream(_STANDARD_INPUT, BytesIO(stdin))
        elif path == "-":
            loader.add_file("/dev/stdin", _STANDARD_INPUT)
        elif os.path.isdir(path):
            for name in loader.names_in(path):
                loader.add_file(os.path.join(path, name))
        else:
            loader.add_file(path)
    loader.add_rest()
    return Fleet(
        machines=loader.machines,
        problems=loader.faults.problems,
        notes=_notes([printable(path) for path in loader.not_read]),
    )


def _notes(not_read: list[str]) -> tuple[str, ...]:
    """A file that is no record may be a host's that was written empty: it is named."""
    if not not_read:
        return ()
    # the name stands last: --anonymize takes what follows a folder for a name with blanks
    if len(not_read) == 1:
        return (f"1 file holds no record and was not read: {not_read[0]}",)
    files = f"{len(not_read):,} files hold no record and were not read"
    return (f"{files}, the first of them {not_read[0]}",)


class _Loader:
    """The machines read so far, and what is wrong with others: of all files together, for names
    must differ between them.
    """

    def __init__(self, file: str, progress: Progress) -> None:
        self._progress = progress
        self._reader = systems.Reader()
        self.machines = Machines()
        self.faults = Faults(file)
        # files of folders that hold no record
        self.not_read: list[str] = []
        # the file and the line of each machine
        self._origins: list[tuple[str, int | None]] = []
        # files called as an address
        self._addresses = 0

    def names_in(self, folder: str) -> list[str]:
        """The names of the files of records in a folder, sorted. Files that are not read are
        noted.
        """
        try:
            listed = sorted(name for name in os.listdir(folder) if not name.startswith("."))
        except OSError as error:
            message = f"cannot be read: {error.strerror or error}"
            self.faults.append(Problem(file=folder, message=message))
            return []
        names = [name for name in listed if systems.is_read(folder, name)]
        paths = {name: os.path.join(folder, name) for name in listed}
        self.not_read.extend(
            path for name, path in paths.items() if name not in names and os.path.isfile(path)
        )
        if not names:
            inner = next((path for path in paths.values() if os.path.isdir(path)), None)
            message, remedy = "the folder holds no record", RECORD_IT
            if inner is not None:
                message += ", and the folders in it are not read"
                remedy = f"name each of them, as in --machines {printable(inner)}"
            self.faults.append(Problem(file=folder, message=message, remedy=remedy))
        return names

    def read_as(self, system: str | None) -> None:
        """What comes next is of that system, or of any where it is None."""
        if system != self._reader.system:
            self.add_rest()
            self._reader = systems.Reader(system)

    def add_file(self, path: str, shown: str | None = None) -> None:
        """The records of one file, which problems call `shown`."""
        file = shown or path
        try:
            stream, _ = open_input(path)
            with stream:
                self.add_stream(file, stream)
        except Unreadable as error:
            self._fault(file, error)

    def add_stream(self, file: str, stream: IO[bytes]) -> None:
        """The records of a stream."""
        self._add(file, self._entries(file, stream))

    def add_rest(self) -> None:
        """The machines that several answers of a system tell of together."""
        from itertools import groupby

        for file, group in groupby(self._reader.rest(), key=lambda pair: pair[0]):
            self._add(file, (entry for _, entry in group))

    def _add(self, file: str, entries: Iterator[Entry]) -> None:
        """The machines of a file: none of them where the whole is no list of records."""
        before, faults = len(self.machines), Faults(file)
        try:
            self._add_all(file, entries, faults)
        except Unreadable as error:
            self.machines.truncate(before)
            del self._origins[before:]
            self._fault(file, error)
        else:
            self.faults.join(faults)

    def _fault(self, file: str, error: Unreadable) -> None:
        remedy = error.remedy or _REMEDIES.get(file, RECORD_IT)
        self.faults.append(Problem(file=file, line=error.line, message=error.reason, remedy=remedy))

    def _add_all(self, file: str, entries: Iterator[Entry], faults: Faults) -> None:
        """The machines of these records; `faults` takes what is wrong with single ones,
        `Unreadable` ends the whole.
        """
        stem = self._stem(file)
        count = 0
        for entry in entries:
            if faults.count > MAX_FAULTY:
                raise Unreadable(f"holds more than {MAX_FAULTY:,} faults")
            self._progress.read(len(self.machines))
            count += entry.fault is None
            machine = _machine_of(entry, file, faults)
            if machine is None:
                continue
            if machine.name == _UNNAMED:
                is_alone = count == 1 and entry.line is None and entry.place is None
                # items of a list may stand in one line
                number = count if entry.place or not entry.line else entry.line
                machine = machine.replace(name=stem if is_alone else f"{stem}:{number}")
            self._keep(file, entry, machine, faults)
        if not count and not faults and not self._reader.awaits(file):
            raise Unreadable("holds no machine")

    def _stem(self, file: str) -> str:
        """What a machine without a name is called, as its file is: `ansible --tree` writes files
        called as hosts, also by address, which is no name that is kept.
        """
        base = os.path.basename(file)
        stem, extension = os.path.splitext(base)
        stem = stem if extension in systems.EXTENSIONS else base
        if not is_address(stem):
            return stem
        self._addresses += 1
        return f"machine-{self._addresses}"

    def _entries(self, file: str, stream: IO[bytes]) -> Iterator[Entry]:
        """The records of a stream: our own, and those that answers of other systems become."""
        start = read_some(stream, systems.START_BYTES)
        systems.refuse_packed(start)
        if self._reader.system is not None or systems.is_foreign(start):
            rest = read_some(stream, max(0, systems.MAX_TEXT_BYTES + 1 - len(start)))
            yield from self._reader.entries(start + rest, file)
            return
        if not systems.may_be_json(start):
            raise systems.not_read(is_list=False)
        items = others = 0
        whole = cast("IO[bytes]", _Rejoined(start, stream))
        for entry in read_records(whole, max_record_bytes=MAX_FILE_BYTES):
            if entry.place is not None:
                items += 1
                others += not isinstance(entry.value, dict)
            of_others = self._reader.of_value(entry.value, entry.line, file)
            if of_others is None:
                yield entry
                continue
            for other in of_others:
                if entry.place is not None:
                    # of a list, whose lines nobody counts
                    other.line, other.place = None, f"{entry.place}{other.place or ''}"
                yield other
        if others == items > 1:
            raise systems.not_read(is_list=True)

    def _keep(self, file: str, entry: Entry, machine: Machine, faults: Faults) -> None:
        """Keep a machine whose name is new."""
        number = self.machines.number_of.get(machine.name)
        if number is None:
            self.machines.add(machine)
            self._origins.append((file, entry.line))
            if len(self.machines.kinds) > MAX_KINDS:
                message = f"makes more than {MAX_KINDS:,} kinds of machine: audit them in parts"
                raise Unreadable(message)
            return
        earlier, line = self._origins[number]
        where = f"{earlier}:{line}" if line else earlier
        faults.append(
            Problem(
                file=file,
                line=entry.line,
                key=f"{entry.place}.name" if entry.place else "name",
                message=f'"{machine.name}" is also the name of the machine in {where}',
                remedy="keep one of them, or give each a name of its own",
            )
        )


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


def _machine_of(entry: Entry, file: str, faults: Faults) -> Machine | None:
    if entry.fault is not None:
        remedy = entry.fault.remedy or RECORD_IT
        message = entry.fault.reason
        faults.append(
            Problem(file=file, line=entry.line, key=entry.place, message=message, remedy=remedy)
        )
        return None
    try:
        return Machine.from_json(
            entry.value,
            file,
            unnamed=_UNNAMED,
            doubled=entry.doubled,
            more_doubled=entry.more_doubled,
        )
    except MachineFileError as error:
        faults.extend(error, line=entry.line, place=entry.place)
        return None
