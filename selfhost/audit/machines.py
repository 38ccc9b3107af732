"""Recorded machines: files, folders and streams of records -> machines with names that differ."""

from __future__ import annotations

import os
from io import BytesIO

from ..core.errors import Faults, MachineFileError, Problem
from ..core.reading import Budget, Unreadable, open_input, read_records
from ..core.records import Record
from ..machine.record import MAX_FILE_BYTES, RECORDED, Machine, machine_of
from . import systems

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from ..core.reading import Entry
    from .progress import Progress

# one recorded machine is about 4 kB; larger fleets are audited in parts
MAX_FLEET_BYTES = 1 << 26
MAX_MACHINES = 10_000
# a recorded machine has 290 to 360 of them; of all records together, for all are kept
MAX_FLEET_SIGNS = 4_200_000
# until the name of its file can be given to it
_UNNAMED = RECORDED
RECORD_IT = "record a machine with `selfhost machine --format json --name NAME`"


class Fleet(Record):
    """Recorded machines with names that differ, and every record that cannot be used."""

    machines: tuple[Machine, ...]
    problems: tuple[Problem, ...]


def load_machines(
    path: str, *, stdin: bytes | None = None, progress: Progress | None = None
) -> Fleet:
    """Recorded machines from a file (one record, a list of them, or one per line), every `*.json`
    and `*.jsonl` of a folder, or `-`.

    `-` reads standard input, or the bytes `stdin` instead. Nothing raises: what cannot be used is
    in `problems`, at most MAX_PROBLEMS of them and a count of the rest. A record without a name of
    its own takes its file's name, and its line's number where the file holds several.
    `progress` is told how far it is.
    """
    try:
        system, path = systems.named(path)
    except systems.UnknownSystemError as error:
        problem = Problem(file=path, message=error.message, remedy=error.remedy)
        return Fleet(machines=(), problems=(problem,))
    fleet = _Gathering("standard input" if path == "-" else path, progress, system)
    if path == "-" and stdin is not None:
        fleet.add_stream("standard input", BytesIO(stdin))
    elif path == "-":
        fleet.add_file("/dev/stdin", "standard input")
    elif os.path.isdir(path):
        for name in _records_in(path, fleet):
            fleet.add_file(os.path.join(path, name))
    else:
        fleet.add_file(path)
    fleet.add_rest()
    return Fleet(machines=tuple(fleet.machines.values()), problems=fleet.faults.problems)


def _records_in(folder: str, fleet: _Gathering) -> list[str]:
    """The names of the files of records in a folder, sorted; what is wrong with it becomes a
    problem of the fleet.
    """
    try:
        names = sorted(
            name
            for name in os.listdir(folder)
            if not name.startswith(".") and systems.is_read(folder, name)
        )
    except OSError as error:
        fleet.faults.append(
            Problem(file=folder, message=f"cannot be read: {error.strerror or error}")
        )
        return []
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
        fleet.faults.append(
            Problem(file=folder, message="the folder holds no *.json file", remedy=RECORD_IT)
        )
    return names


class _Gathering:
    """The machines read so far by name, and what is wrong with others: of all files together,
    for their memory adds up.
    """

    def __init__(
        self, file: str, progress: Progress | None = None, system: str | None = None
    ) -> None:
        self.progress = progress
        self.reader = systems.Reader(system)
        self.machines: dict[str, Machine] = {}
        self.origins: dict[str, str] = {}
        self.faults = Faults(file)
        self.read = 0
        self.budget = Budget(MAX_FLEET_SIGNS)

    def add_file(self, path: str, shown: str | None = None) -> None:
        """The records of one file, which problems call `shown`."""
        file = shown or path
        try:
            stream, _ = open_input(path)
            with stream:
                self.add_stream(file, stream)
        except Unreadable as error:
            self.faults.append(
                Problem(file=file, message=error.reason, remedy=error.remedy or RECORD_IT)
            )

    def add_stream(self, file: str, stream: IO[bytes]) -> None:
        """The records of one stream: none of them where the whole is no list of records, or
        more than an audit takes.
        """
        self._take(file, self._entries(file, stream))

    def add_rest(self) -> None:
        """The machines that several answers of a system tell of together."""
        from itertools import groupby

        for file, group in groupby(self.reader.rest(), key=lambda pair: pair[0]):
            self._take(file, (entry for _, entry in group))

    def _take(self, file: str, entries: Iterator[systems.Entry | Entry]) -> None:
        signs_left = self.budget.signs_left
        faults = Faults(file)
        try:
            records, count = self._records_of(file, entries, faults)
        except Unreadable as error:
            self.budget.signs_left = signs_left
            remedy = error.remedy or RECORD_IT
            self.faults.append(
                Problem(file=file, line=error.line, message=error.reason, remedy=remedy)
            )
            return
        self.read += len(records)
        self.faults.join(faults)
        stem = os.path.splitext(os.path.basename(file))[0]
        for line, place, machine in records:
            if machine.name == _UNNAMED:
                machine = machine.replace(name=stem if count == 1 else f"{stem}:{line or place}")
            self._add(file, line, machine)

    def _records_of(
        self, file: str, entries: Iterator[systems.Entry | Entry], faults: Faults
    ) -> tuple[list[tuple[int | None, int, Machine]], int]:
        """The machines of these records, each with its line and its number, and how many records it
        holds; `faults` takes what is wrong with single records, `Unreadable` ends the whole.
        """
        records: list[tuple[int | None, int, Machine]] = []
        count = 0
        for entry in entries:
            if self.progress is not None:
                self.progress.read(self.read + count)
            if entry.fault is not None:
                remedy = entry.fault.remedy or RECORD_IT
                faults.append(
                    Problem(file=file, line=entry.line, message=entry.fault.reason, remedy=remedy)
                )
                continue
            count += 1
            if self.read + count > MAX_MACHINES:
                raise Unreadable(f"makes more than {MAX_MACHINES:,} machines: audit them in parts")
            try:
                machine = machine_of(
                    entry.value, file, entry.doubled, entry.more_doubled, unnamed=_UNNAMED
                )
            except MachineFileError as error:
                faults.extend(error, line=entry.line)
            else:
                records.append((entry.line, count, machine))
        if not count and not faults and not self.reader.awaits(file):
            raise Unreadable("holds no machine")
        return records, count

    def _entries(self, file: str, stream: IO[bytes]) -> Iterator[systems.Entry | Entry]:
        """The records of a stream: our own, and those that answers of other systems become."""
        start, stream = systems.peeked(stream)
        if self.reader.system is not None or systems.is_foreign(start):
            yield from self.reader.entries(stream, file)
            return
        entries = read_records(
            stream, max_bytes=MAX_FLEET_BYTES, max_record_bytes=MAX_FILE_BYTES, budget=self.budget
        )
        for entry in entries:
            of_others = self.reader.of_value(entry.value, entry.line, file)
            yield from (entry,) if of_others is None else of_others

    def _add(self, file: str, line: int | None, machine: Machine) -> None:
        if machine.name not in self.machines:
            self.machines[machine.name] = machine
            self.origins[machine.name] = file if line is None else f"{file}:{line}"
            return
        message = (
            f'"{machine.name}" is also the name of the machine in {self.origins[machine.name]}'
        )
        remedy = "give each its own: `selfhost machine --name NAME`"
        self.faults.append(
            Problem(file=file, line=line, key="name", message=message, remedy=remedy)
        )
