"""Recorded machines: files, folders and streams of records -> machines with names that differ."""

from __future__ import annotations

import os
from io import BytesIO

from ..core.errors import Faults, MachineFileError, Problem
from ..core.json_text import Entry, read_records
from ..core.reading import Unreadable, open_input
from ..core.reading import shown as printable
from ..core.records import Record
from ..machine.record import FACTS, MAX_FILE_BYTES, RECORDED, Machine, machine_of
from . import systems
from .fleet import Machines
from .progress import Progress

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import IO

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

    machines: Machines
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
    fleet = _Gathering(shown, progress or Progress(lambda _line: None))
    for typed in dict.fromkeys(paths):
        try:
            system, path = systems.named(typed)
        except systems.UnknownSystemError as error:
            fleet.faults.append(Problem(file=typed, message=error.message, remedy=error.remedy))
            continue
        fleet.read_as(system)
        if path == "-" and stdin is not None:
            fleet.add_stream(_STANDARD_INPUT, BytesIO(stdin))
        elif path == "-":
            fleet.add_file("/dev/stdin", _STANDARD_INPUT)
        elif os.path.isdir(path):
            for name in _records_in(path, fleet):
                fleet.add_file(os.path.join(path, name))
        else:
            fleet.add_file(path)
    fleet.add_rest()
    return Fleet(
        machines=fleet.machines, problems=fleet.faults.problems, notes=_notes(fleet.not_read)
    )


def _notes(not_read: Sequence[str]) -> tuple[str, ...]:
    """A file that is no record may be a host's that was written empty: it is named."""
    if not not_read:
        return ()
    # the name stands last: --anonymize takes what follows a folder for a name with blanks
    if len(not_read) == 1:
        return (f"1 file holds no record and was not read: {printable(not_read[0])}",)
    return (
        f"{len(not_read):,} files hold no record and were not read, the first of them"
        f" {printable(not_read[0])}",
    )


def _records_in(folder: str, fleet: _Gathering) -> list[str]:
    """The names of the files of records in a folder, sorted; what is wrong with it becomes a
    problem of the fleet, and files that are not read are noted.
    """
    try:
        listed = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError as error:
        fleet.faults.append(
            Problem(file=folder, message=f"cannot be read: {error.strerror or error}")
        )
        return []
    names = [name for name in listed if systems.is_packed(name) or systems.is_read(folder, name)]
    others = (os.path.join(folder, name) for name in sorted({*listed} - {*names}))
    fleet.not_read.extend(path for path in others if os.path.isfile(path))
    if "facts.json" in names and os.path.isfile(os.path.join(folder, "env.json")):
        remedy = (
            f"make a record of it: `selfhost machine --root {folder} --format json > machine.json`,"
            " then name machine.json"
        )
        fleet.faults.append(
            Problem(
                file=folder, message="is a recorded tree, not a folder of records", remedy=remedy
            )
        )
        return []
    if not names:
        inner = next((name for name in listed if os.path.isdir(os.path.join(folder, name))), None)
        message, remedy = "the folder holds no record", RECORD_IT
        if inner is not None:
            message += ", and the folders in it are not read"
            remedy = f"name each of them, as in --machines {printable(os.path.join(folder, inner))}"
        fleet.faults.append(Problem(file=folder, message=message, remedy=remedy))
    return names


class _Gathering:
    """The machines read so far, and what is wrong with others: of all files together, for names
    must differ between them.
    """

    def __init__(self, file: str, progress: Progress) -> None:
        self.progress = progress
        self.reader = systems.Reader()
        self.machines = Machines()
        # files called as an address
        self._addresses = 0
        # a record without a name that may be the only one of its file, and its machine
        self._first: tuple[systems.Entry | Entry, Machine] | None = None
        self.faults = Faults(file)
        # files of folders that hold no record
        self.not_read: list[str] = []
        # where the machines of each file begin, and the line of each machine, 0 where it has none
        self._files: list[tuple[int, str]] = []
        self._lines: list[int] = []

    def read_as(self, system: str | None) -> None:
        """What comes next is of that system, or of any where it is None."""
        if system != self.reader.system:
            self.add_rest()
            self.reader = systems.Reader(system)

    def add_file(self, path: str, shown: str | None = None) -> None:
        """The records of one file, which problems call `shown`."""
        file = shown or path
        try:
            stream, _ = open_input(path)
            with stream:
                self.add_stream(file, stream)
        except Unreadable as error:
            self.faults.append(
                Problem(
                    file=file,
                    message=error.reason,
                    remedy=error.remedy or _REMEDIES.get(file, RECORD_IT),
                )
            )

    def add_stream(self, file: str, stream: IO[bytes]) -> None:
        """The records of one stream: none of them where the whole is no list of records."""
        self._take(file, self._entries(file, stream))

    def add_rest(self) -> None:
        """The machines that several answers of a system tell of together."""
        from itertools import groupby

        for file, group in groupby(self.reader.rest(), key=lambda pair: pair[0]):
            self._take(file, (entry for _, entry in group))

    def _take(self, file: str, entries: Iterator[systems.Entry | Entry]) -> None:
        before = len(self.machines)
        self._files.append((before, file))
        faults = Faults(file)
        try:
            self._add_records(file, entries, faults)
        except Unreadable as error:
            self.machines.truncate(before)
            del self._lines[before:]
            self._files.pop()
            remedy = error.remedy or _REMEDIES.get(file, RECORD_IT)
            self.faults.append(
                Problem(file=file, line=error.line, message=error.reason, remedy=remedy)
            )
            return
        self.faults.join(faults)

    def _add_records(
        self, file: str, entries: Iterator[systems.Entry | Entry], faults: Faults
    ) -> None:
        """The machines of these records; `faults` takes what is wrong with single ones,
        `Unreadable` ends the whole.
        """
        stem = self._stem(file)
        count = 0
        self._first = None
        for entry in entries:
            if faults.count > MAX_FAULTY:
                raise Unreadable(f"holds more than {MAX_FAULTY:,} faults")
            self.progress.read(len(self.machines))
            if entry.fault is not None:
                reason, remedy = entry.fault.reason, entry.fault.remedy or RECORD_IT
                faults.append(
                    Problem(
                        file=file, line=entry.line, key=entry.place, message=reason, remedy=remedy
                    )
                )
                continue
            count += 1
            self._add_first(file, stem, faults, is_alone=False)
            if self._is_like_another(entry):
                continue
            machine = self._machine_of(entry, file, faults)
            if machine is None:
                continue
            if machine.name != _UNNAMED:
                self._add(file, entry, machine, faults)
            elif count == 1:
                self._first = entry, machine
            else:
                # items of a list may stand in one line
                number = count if entry.place else entry.line or count
                self._add(file, entry, machine.replace(name=f"{stem}:{number}"), faults)
        self._add_first(file, stem, faults, is_alone=True)
        if not count and not faults and not self.reader.awaits(file):
            raise Unreadable("holds no machine")

    def _is_like_another(self, entry: systems.Entry | Entry) -> bool:
        """Keep the machine of a record that differs from one before in a few numbers."""
        is_plain = not entry.doubled and isinstance(entry.value, dict)
        if not is_plain or not self.machines.add_record(entry.value):
            return False
        self._lines.append(entry.line or 0)
        return True

    def _add_first(self, file: str, stem: str, faults: Faults, *, is_alone: bool) -> None:
        """Add the first machine if it has no name, called as its file, and its line if others
        follow.
        """
        if self._first is None:
            return
        entry, machine = self._first
        self._first = None
        line = None if entry.place else entry.line
        name = stem if is_alone else f"{stem}:{line or 1}"
        self._add(file, entry, machine.replace(name=name), faults)

    def _stem(self, file: str) -> str:
        """What a machine without a name is called, as its file is: `ansible --tree` writes files
        called as hosts, also by address, which is no name that is kept.
        """
        base = os.path.basename(file)
        stem, extension = os.path.splitext(base)
        if extension not in systems.EXTENSIONS:
            stem = base
        if not systems.is_address(stem):
            return stem
        self._addresses += 1
        return f"machine-{self._addresses}"

    def _entries(self, file: str, stream: IO[bytes]) -> Iterator[systems.Entry | Entry]:
        """The records of a stream: our own, and those that answers of other systems become."""
        start, stream = systems.peeked(stream)
        if self.reader.system is not None or systems.is_foreign(start):
            yield from self.reader.entries(stream, file)
            return
        if not systems.may_be_json(start):
            raise systems.no_answer()
        entries = read_records(stream, max_record_bytes=MAX_FILE_BYTES)
        items = others = 0
        for entry in entries:
            if entry.place is not None:
                items += 1
                others += not isinstance(entry.value, dict)
            of_others = self.reader.of_value(entry.value, entry.line, file)
            if of_others is None:
                yield entry
                continue
            for other in of_others:
                if entry.place is not None:
                    # of a list, whose lines nobody counts
                    other.line, other.place = None, f"{entry.place}{other.place or ''}"
                yield other
        if others == items > 1:
            raise systems.other_things()

    def _machine_of(
        self, entry: systems.Entry | Entry, file: str, faults: Faults
    ) -> Machine | None:
        try:
            return machine_of(
                entry.value, file, entry.doubled, entry.more_doubled, unnamed=_UNNAMED
            )
        except MachineFileError as error:
            faults.extend(error, line=entry.line, place=entry.place)
            return None

    def _add(
        self, file: str, entry: systems.Entry | Entry, machine: Machine, faults: Faults
    ) -> None:
        """Keep a machine whose name is new."""
        number = self.machines.number_of.get(machine.name)
        if number is not None:
            where = self._origin(number)
            message = f'"{machine.name}" is also the name of the machine in {where}'
            faults.append(
                Problem(
                    file=file,
                    line=entry.line,
                    key=f"{entry.place}.name" if entry.place else "name",
                    message=message,
                    remedy=self._one_of(machine, file, number),
                )
            )
            return
        self.machines.add(machine)
        self._lines.append(entry.line or 0)
        if len(self.machines.kinds) > MAX_KINDS:
            raise Unreadable(f"makes more than {MAX_KINDS:,} kinds of machine: audit them in parts")
        if not entry.doubled and isinstance(entry.value, dict):
            self.machines.learn(entry.value)

    def _one_of(self, machine: Machine, file: str, number: int) -> str:
        """What to do about two machines of one name: two systems may know the same."""
        earlier = self._file_of(number)
        if earlier == file:
            return "keep one of them, or give each a name of its own"
        facts, other = (
            sum(getattr(each, fact) is not None for fact in FACTS)
            for each in (machine, self.machines[number])
        )
        # the file stands last: whatever it is called, the sentence is read to its end
        return (
            "give each a name of its own; or, if they are the same machine, take the record that"
            f" states no more than the other out of {file if facts <= other else earlier}"
        )

    def _file_of(self, number: int) -> str:
        return next(name for start, name in reversed(self._files) if start <= number)

    def _origin(self, number: int) -> str:
        """The file that a machine is of, and its line."""
        file = self._file_of(number)
        return f"{file}:{self._lines[number]}" if self._lines[number] else file
