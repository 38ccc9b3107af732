"""Recorded machines of a fleet: files, folders and standard input -> `Fleet`.

A file holds one record, a list of them or one a line. A record is one of our own (`selfhost machine
--format json`), or an answer of Ansible, Kubernetes or Prometheus, which is recognized by its
content; a file and a folder may mix them.

Reading takes three steps. `_Inputs` finds the records of all files, and puts them into batches.
`_read_batch` parses and checks the records of a batch; from some number of records on, several
processes do this. `_Loader` takes the results in the order of the files: names must differ across
all files, and every fault of every file is reported, in that order.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from io import BytesIO
from typing import IO

from ..core.errors import MachineFileError, Problem, first_problems
from ..core.files import (
    MAX_SIGNS,
    MAX_TEXT_BYTES,
    Unreadable,
    input_name,
    open_file,
    reason_of,
)
from ..core.records import Record, shown
from ..core.units import listed
from ..machine.record import FACTS, MAX_FILE_BYTES, RECORDED, Machine
from ..machine.unread_keys import MOST_UNREAD_KEYS, UnreadKey, note_on, unread_keys
from .ansible import read_ansible
from .answers import Answer, is_address, table_of
from .drafts import OutOfService
from .kinds import Kind, Kinds, MachineOfKind, Machines
from .kubernetes import read_kubernetes
from .processes import in_order, usable_processors
from .prometheus import read_prometheus
from .record_text import (
    Entry,
    RecordText,
    Tell,
    read_start,
    split_records,
    text_of_start,
)
from .refused import SAME_NAME, EqualFaults, FaultsOfFile, below

# a file whose records have more faults is some other kind of file: reading stops
MAX_FAULTY = 10_000
# machines take 0.4 to 0.9 kB each, so that all fit into half a gigabyte
MAX_MACHINES = 500_000
# records that differ in more than their numbers are kept whole, at about 15 kB each
MAX_KINDS = 20_000
RECORD_IT = (
    "record a machine with `selfhost machine --format json --name NAME > FILE`; for one that is"
    " described in words, add --machine 'RTX 4090, 64 GB'"
)
_SPLIT_IT = f"split the file, and audit each part: split -l {MAX_MACHINES // 2} FILE"

# the most values in one answer: some 5,000 nodes of Kubernetes with all their facts. Python takes
# up to 125 bytes for each value
MAX_VALUES = 4_000_000
_EXTENSIONS = (".json", ".jsonl")
# a batch takes half a second to read
_BATCH_RECORDS = 1_000
_BATCH_CHARACTERS = 4 << 20
# the records read before other processes are started; starting them takes a third of a second on
# systems that do not fork
_READ_ALONE = 1_000

# takes an object of JSON and the name of its file; returns the machines in the object, or None
# where it is no answer of the reader's system
Reader = Callable[[Answer, str], list[Entry] | None]
READERS: Mapping[str, Reader] = {
    "ansible": read_ansible,
    "kubernetes": read_kubernetes,
    "prometheus": read_prometheus,
}


class Fleet(Record):
    """Machines with names that differ, and the faults of other records.

    `problems` are the faults for a program, `grouped` the same for a person. `down` are the faults
    of machines that are called down.
    """

    machines: Machines
    problems: tuple[Problem, ...] = ()
    grouped: tuple[Problem, ...] = ()
    down: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def load_machines(
    *paths: str,
    stdin: bytes | None = None,
    tell: Tell | None = None,
    processes: int | None = None,
) -> Fleet:
    """Return the recorded machines of all paths: of a file, of a folder, or of `-`, which is
    standard input or the bytes `stdin`.

    A record without a name takes its file's name, and its line's number where the file holds
    several. `tell` hears how many machines were read. `processes` is the number of processes that
    may read; None: one for each processor.

    Faults of records do not raise; `SelfhostError` says that the system ended a process.
    """
    inputs = _Inputs(paths, stdin)
    loader = _Loader(inputs, tell)
    for batch in _read_all(inputs.batches(), processes or usable_processors()):
        loader.add(batch)
    notes = []
    if inputs.not_read:
        # these files are named, because the file of a host may have been written empty
        names = listed([shown(path) for path in inputs.not_read])
        notes.append(f"files that hold no record were not read: {names}")
    if loader.unread_keys:
        notes.append(note_on(loader.unread_keys.values()))
    files = ", ".join(map(input_name, paths))
    return Fleet(
        machines=loader.machines,
        problems=first_problems(files, loader.problems),
        grouped=first_problems(files, loader.grouped()),
        down=tuple(loader.down),
        notes=tuple(notes),
    )


# --------------------------------------------------------------------------- finding the records


class FoundRecord(Record):
    """A record that was found in that file, not parsed yet."""

    file: str
    record: RecordText


class FileEnd(Record):
    """The end of a file. `problem` says why the file was not read to its end; None where it was."""

    file: str
    problem: Problem | None = None


Found = FoundRecord | FileEnd


class _Inputs:
    """The records of all paths, in order. `not_read` are files of folders that hold none."""

    def __init__(self, paths: Sequence[str], stdin: bytes | None) -> None:
        self._paths = dict.fromkeys(paths)
        self._stdin = stdin
        # files that `_Loader` says are to be read no further
        self.abandoned: set[str] = set()
        self.not_read: list[str] = []

    def batches(self) -> Iterator[list[Found]]:
        """Yield the found records and ends of files, in lists that take about the same time to
        read.
        """
        batch = []
        characters = 0
        for found in self._found():
            batch.append(found)
            if isinstance(found, FoundRecord):
                characters += len(found.record.text)
            if len(batch) >= _BATCH_RECORDS or characters >= _BATCH_CHARACTERS:
                yield batch
                batch = []
                characters = 0
        if batch:
            yield batch

    def _found(self) -> Iterator[Found]:
        """Yield the records of all paths, and the end of each file."""
        for path in self._paths:
            if path != "-" and os.path.isdir(path):
                yield from self._of_folder(path)
            else:
                yield from self._of_file(path)

    def _of_folder(self, folder: str) -> Iterator[Found]:
        """Yield the records of files that may hold records; other files are noted in `not_read`."""
        try:
            names = sorted(os.listdir(folder))
        except OSError as error:
            message = f"cannot be read: {reason_of(error)}"
            yield FileEnd(file=folder, problem=Problem(file=folder, message=message))
            return
        is_read = False
        for name in names:
            path = os.path.join(folder, name)
            if name.startswith("."):
                continue
            if _may_hold_records(path):
                is_read = True
                yield from self._of_file(path)
            elif os.path.isfile(path):
                self.not_read.append(path)
        if not is_read:
            message = "the folder holds no record, and folders in it are not read"
            problem = Problem(file=folder, message=message, remedy=RECORD_IT)
            yield FileEnd(file=folder, problem=problem)

    def _of_file(self, path: str) -> Iterator[Found]:
        """Yield the records of a file, or of standard input, then its end."""
        file = input_name(path)
        problem = None
        try:
            with self._stream_of(path) as stream:
                for record in _records_of(stream):
                    yield FoundRecord(file=file, record=record)
                    if file in self.abandoned:
                        break
        except Unreadable as error:
            problem = error.problem(file, _remedy_of(file))
        yield FileEnd(file=file, problem=problem)

    def _stream_of(self, path: str) -> IO[bytes]:
        """The bytes of a file; of `-` the stated bytes, else standard input. Raises
        `Unreadable`.
        """
        if path != "-":
            return open_file(path, input_allowed=True).stream
        if self._stdin is not None:
            return BytesIO(self._stdin)
        return open_file("/dev/stdin", input_allowed=True).stream


def _remedy_of(file: str) -> str:
    """What to do where a whole file has no machine: a pipe is read even if the command before it
    failed.
    """
    if file == input_name("-"):
        return "run the command before the pipe on its own, and look at its output"
    return RECORD_IT


def _may_hold_records(path: str) -> bool:
    """Whether a file of a folder is read: a file that ends in `.json` or `.jsonl`, or begins as an
    object, as the files of `ansible --tree` do. A file that cannot be opened is read, too, so that
    its fault is told.
    """
    if path.endswith(_EXTENSIONS):
        return True
    try:
        with open_file(path, is_input=False).stream as stream:
            text = text_of_start(read_start(stream))
    except Unreadable:
        return os.path.isfile(path) or not os.path.exists(path)
    # a brace before a key or the end: templates have other characters after their braces
    return re.match(r'\{\s*(?:["}]|$)', text) is not None


def _records_of(stream: IO[bytes]) -> Iterator[RecordText]:
    """The records of a stream. selfhost's own records are small; the answers of other systems may
    be large. Raises `Unreadable`.
    """
    start = read_start(stream)
    text = text_of_start(start)
    if text[:1] not in ("", "{", "["):
        raise Unreadable("is not JSON of machines", _what_to_give(), line=1)
    is_own = '"selfhost.machine/' in text
    return split_records(
        stream,
        max_record_bytes=MAX_FILE_BYTES if is_own else MAX_TEXT_BYTES,
        max_signs=MAX_SIGNS if is_own else MAX_VALUES,
        start=start,
    )


def _what_to_give() -> str:
    """The remedy for a file that holds something else."""
    systems = ", ".join(f"`{table_of(name).command}`" for name in READERS)
    return f"give the JSON of {systems} or `selfhost machine --format json`"


# --------------------------------------------------------------------------- reading the records


class ReadRecord(Record):
    """The result of reading a record: a machine, or problems, whose keys are within the record.

    `is_down`: the machine's system calls the machine down.
    """

    file: str
    line: int | None = None
    place: str | None = None
    machine: MachineOfKind | None = None
    problems: tuple[Problem, ...] = ()
    is_down: bool = False

    def placed(self, fault: Problem) -> Problem:
        """Return a fault of the record with the record's place and its line, or the line of the
        fault where the record is the whole file.
        """
        key = below(self.place, fault.key)
        return fault.replace(line=self.line or fault.line, key=key)


class RecordReader:
    """A reader of machine records. Its `kinds` and `unread_keys` are in the order in which the
    reader met them.
    """

    def __init__(self) -> None:
        self.kinds = Kinds()
        # by the list and the key
        self.unread_keys: dict[tuple[str, str], UnreadKey] = {}

    def read(self, record: object, file: str) -> MachineOfKind:
        """Return the machine of a record. `file` is the name of the record in errors. Raises
        `MachineFileError`.
        """
        machine = Machine.from_json(record, file)
        # a record that is no object was refused
        assert isinstance(record, dict)
        for unread in unread_keys(record, file):
            if len(self.unread_keys) < MOST_UNREAD_KEYS:
                self.unread_keys.setdefault((unread.fact, unread.key), unread)
        return self.kinds.split(machine)


class ReadBatch(Record):
    """The results of reading a batch, in the batch's order.

    The reader of the machines numbered their kinds. `reader` tells it from those of other
    processes. `new_kinds` and `new_unread_keys` are those that it met for the first time.
    """

    reader: tuple[int, int]
    new_kinds: list[Kind]
    new_unread_keys: list[UnreadKey]
    results: list[ReadRecord | FileEnd]


def _read_batch(reader: RecordReader, batch: Sequence[Found]) -> ReadBatch:
    """The machines and the faults of a batch, read by the reader of this process. A machine without
    a name is called RECORDED.
    """
    kinds = reader.kinds.known
    keys = reader.unread_keys
    known_kinds = len(kinds)
    known_keys = len(keys)
    results: list[ReadRecord | FileEnd] = []
    for found in batch:
        if isinstance(found, FileEnd):
            results.append(found)
            continue
        for entry in _entries_of(found.record.entry(), found.file):
            results.append(_read_entry(reader, entry, found.file))
    unread_keys_met = list(keys.values())
    return ReadBatch(
        reader=(os.getpid(), id(reader)),
        new_kinds=kinds[known_kinds:],
        new_unread_keys=unread_keys_met[known_keys:],
        results=results,
    )


def _read_entry(
    reader: RecordReader,
    entry: Entry,
    file: str,
) -> ReadRecord:
    """The machine of a record, or its problems."""
    result = ReadRecord(file=file, line=entry.line, place=entry.place)
    if entry.fault is not None:
        problem = entry.fault.problem(file, RECORD_IT)
        is_down = isinstance(entry.fault, OutOfService)
        return result.replace(problems=(problem,), is_down=is_down)
    try:
        machine = reader.read(entry.value, file)
    except MachineFileError as error:
        return result.replace(problems=error.problems)
    return result.replace(machine=machine)


def _read_all(batches: Iterator[list[Found]], processes: int) -> Iterator[ReadBatch]:
    """Yield each batch, read. This process reads the first batches. Where more are left, and
    several processes may read, they take the rest from the same iterator, each with a reader of its
    own.
    """
    reader = RecordReader()
    count = 0
    for batch in batches:
        yield _read_batch(reader, batch)
        count += len(batch)
        if processes > 1 and count >= _READ_ALONE:
            break
    else:
        # none is left: no process is started
        return
    yield from in_order(batches, partial(_read_batch, RecordReader()), processes)


def _entries_of(entry: Entry, file: str) -> Iterator[Entry]:
    """Yield the machines of a record: one of selfhost's own record, or all machines in the answer
    of another system.
    """
    value = entry.value
    if not isinstance(value, Mapping) or "schema" in value:
        yield entry
        return
    for read in READERS.values():
        machines = read(value, file)
        if machines is None:
            continue
        for machine in machines:
            place = below(entry.place, machine.place)
            line = entry.line if place is None else None
            yield machine.replace(place=place, line=line)
        return
    # with a fact it is an own record that lacks its schema
    if not any(fact in value for fact in FACTS):
        reason = (
            "is neither a machine record nor the output of a system that selfhost reads"
        )
        entry = entry.replace(fault=Unreadable(reason, _what_to_give()))
    yield entry


# --------------------------------------------------------------------------- taking the results


class _Loader:
    """The loader of the machines of all files. Their names must differ; other records become
    faults.
    """

    def __init__(self, inputs: _Inputs, tell: Tell | None) -> None:
        self._inputs = inputs
        self._tell = tell
        self.machines = Machines()
        self.problems: list[Problem] = []
        self.down: list[Problem] = []
        self._of_files = EqualFaults("more file")
        self._refused: list[Problem] = []
        self._of_records = EqualFaults("more record")
        # by the name of a machine its file, with the line
        self._origins: dict[str, str] = {}
        # by reader: maps the number that it gave a kind to the number in `machines.kinds`
        self._kind_numbers: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        # by the list and the key
        self.unread_keys: dict[tuple[str, str], UnreadKey] = {}
        # of the file whose results are taken
        self._faults = FaultsOfFile()

    def grouped(self) -> list[Problem]:
        """The faults for a person: the faults of files, the number of refused records of each file,
        and each reason once.
        """
        return [
            *self._of_files.listed(),
            *self._refused,
            *self._of_records.listed(),
        ]

    def add(self, batch: ReadBatch) -> None:
        """Take the results of a batch."""
        kind_numbers = self._kind_numbers[batch.reader]
        for kind in batch.new_kinds:
            kind_numbers.append(self.machines.kinds.number_of(kind))
        for unread in batch.new_unread_keys:
            self.unread_keys.setdefault((unread.fact, unread.key), unread)
        for result in batch.results:
            if isinstance(result, FileEnd):
                self._end_file(result)
            elif self._faults.of_file is None:
                try:
                    self._add_record(result, kind_numbers)
                except Unreadable as error:
                    self._faults.of_file = error.problem(result.file, RECORD_IT)
                    # the file is read no further
                    self._inputs.abandoned.add(result.file)

    def _add_record(self, result: ReadRecord, kind_numbers: Sequence[int]) -> None:
        """Keep a machine, or the faults of its record. Raises `Unreadable` where the rest of the
        file is not to be read.
        """
        faults = self._faults
        if len(faults.of_records) > MAX_FAULTY:
            raise Unreadable(f"holds more than {MAX_FAULTY:,} faults")
        faults.records += 1
        if result.is_down:
            self.down += map(result.placed, result.problems)
        elif result.machine is None:
            self._refuse(result, result.problems)
        else:
            kind_number = kind_numbers[result.machine.kind_number]
            machine = result.machine.replace(kind_number=kind_number)
            if machine.name == RECORDED:
                machine = machine.replace(name=self._name(result))
            earlier = self._origins.get(machine.name)
            if earlier is None:
                self._keep(machine, result)
            else:
                problem = _same_name(machine.name, result.file, earlier)
                self._refuse(result, [problem])

    def _refuse(self, result: ReadRecord, problems: Sequence[Problem]) -> None:
        """Note the faults of a record, and count the record as refused."""
        self._faults.refused += 1
        for problem in problems:
            placed = result.placed(problem)
            self._faults.of_records.append(placed)
            self._of_records.add(placed, problem.key)

    def _keep(self, machine: MachineOfKind, result: ReadRecord) -> None:
        """Keep a machine whose name is new. Raises `Unreadable` where there are too many machines
        or kinds.
        """
        if len(self.machines) == MAX_MACHINES:
            reason = (
                f"holds more machines than one audit accepts (at most {MAX_MACHINES:,})"
            )
            raise Unreadable(reason, _SPLIT_IT, line=result.line)
        self.machines.append(machine)
        origin = result.file
        if result.line is not None:
            origin = f"{origin}:{result.line}"
        self._origins[machine.name] = origin
        if self._tell is not None:
            self._tell(len(self.machines), None)
        if len(self.machines.kinds.known) > MAX_KINDS:
            message = (
                f"makes more than {MAX_KINDS:,} kinds of machine: audit them in parts"
            )
            raise Unreadable(message)

    def _name(self, result: ReadRecord) -> str:
        """The name of a machine whose record states none: the file's name, with a number unless the
        record is alone in its file. An address is no name.

        The number is the line where a record stands on lines of its own, else the count of records.
        """
        base = os.path.basename(result.file)
        stem, extension = os.path.splitext(base)
        if extension not in _EXTENSIONS:
            stem = base
        if is_address(stem):
            stem = f"machine-{len(self.machines) + 1}"
        number = self._faults.records
        # items of a list may stand on one line: their count tells them apart
        if result.place is not None:
            return f"{stem}:{number}"
        if result.line is not None:
            return f"{stem}:{result.line}"
        return stem if number == 1 else f"{stem}:{number}"

    def _end_file(self, end: FileEnd) -> None:
        """Take the faults of a file that was read. The next file begins with none."""
        faults = self._faults
        faults.of_file = faults.of_file or end.problem
        if faults.of_file is None and not faults.records:
            fault = Unreadable("holds no machine")
            faults.of_file = fault.problem(end.file, _remedy_of(end.file))
        if faults.of_file is not None:
            self._of_files.add(faults.of_file)
        self.problems += faults.listed(end.file)
        self._refused += faults.summary(end.file)
        self._faults = FaultsOfFile()


def _same_name(
    name: str,
    file: str,
    earlier: str,
) -> Problem:
    """The fault of a machine of that file whose name an earlier machine has."""
    return Problem(
        file=file,
        key="name",
        message=f'"{name}"{SAME_NAME}{earlier}',
        remedy="keep one of them, or give each a name of its own",
    )
