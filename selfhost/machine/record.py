"""Machine: what was read of a computer, as plain values or None, each with where it was read or
why it could not be.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache

from ..core.errors import MachineFileError, Problem, expect_type
from ..core.records import Record, Unread
from .fields import (
    BRIEFLY,
    CONFIDENCES,
    FIELDS,
    FILES_BY_PATH,
    FILLED_ASSUMED,
    LEAST,
    LM_STUDIO,
    MAX_CORES,
    MAX_DISK_BYTES,
    MAX_ENTRIES,
    MAX_FILE_BYTES,
    MAX_MEMORY_BYTES,
    MAX_TEXT,
    MAX_WORD,
    MEASURED,
    MEMORY_FILESYSTEMS,
    MIN_CORES,
    NETWORK_FILESYSTEMS,
    PARTS,
    PURPOSES,
    RATE_ASSUMED,
    RECORDED,
    SCHEMA,
    SCOPES,
    UNNAMED,
    UNPRINTABLE,
    WRITE_ONE,
    Accelerator,
    Disk,
    PresentModel,
    PresentRuntime,
    Reader,
    bounded,
    checked_name,
    kind_in_json,
    normal_architecture,
    normal_system,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, TypeVar

    T = TypeVar("T")

__all__ = [
    "BRIEFLY",
    "LEAST",
    "MEASURED",
    "Accelerator",
    "CONFIDENCES",
    "Disk",
    "FACTS",
    "FILES_BY_PATH",
    "FILLED_ASSUMED",
    "LM_STUDIO",
    "MAX_CORES",
    "MAX_DISK_BYTES",
    "MAX_ENTRIES",
    "MAX_FILE_BYTES",
    "MAX_MEMORY_BYTES",
    "MAX_TEXT",
    "MAX_WORD",
    "MEMORY_FILESYSTEMS",
    "MIN_CORES",
    "Machine",
    "NETWORK_FILESYSTEMS",
    "RATE_ASSUMED",
    "PURPOSES",
    "PresentModel",
    "PresentRuntime",
    "RECORDED",
    "SCHEMA",
    "UNNAMED",
    "UNPRINTABLE",
    "bounded",
    "checked_name",
    "has_accelerator",
    "machine_of",
    "normal_architecture",
    "normal_system",
]


class Machine(Record):
    """A computer as `selfhost` sees it.

    `is_this_one`: it was read of the computer that asks, by `read`, and may since have been changed
    by `--set`. A record, a profile and a recorded tree are of another, whatever their names say.
    `measured_in_vain`: the memory bandwidth was measured, and no figure came of it.
    Neither is in the JSON object, which is read elsewhere. Memory in bytes: `memory_total_bytes` is
    the hardware's, `memory_limit_bytes` what this process may ever have (the least of hardware and
    every control group above it), `memory_available_bytes` what it could have now without swapping.
    `emulated_on`: what emulates the processor that programs here are made for, an architecture or
    the emulator's name; None where none shows. `address_space_bytes` and `private_memory_bytes` are
    what `ulimit -v` leaves to this process, mapped files included, and what `ulimit -d` or the
    kernel's CommitLimit leaves, without them; `file_size_limit_bytes` is the largest file that
    `ulimit -f` lets it write. None where there is no such limit. `cpu_cores_usable` has affinity
    and quota applied and may be a fraction; `cpu_cores_performance` are those of
    `cpu_cores_physical` that are of the fastest kind, all of them where they are alike.
    `instruction_sets` are Linux kernel names. `memory_bandwidth_how` says how that was told, one of
    `fields.HOWS` or None for what somebody states, and `memory_bandwidth_bound` is `least` where
    more may be there. `accelerators` is None when it is not known whether
    there are any, () when there are none. `planning`: a profile, or changed by --set, so its memory
    is judged as a whole. `assumed` names facts that were neither read nor stated, but taken from
    the machine's class: a finding that rests on one is at least a `warn`. `memory_most_bytes` is
    the most RAM that such a machine is sold with, where its RAM is assumed; None where that is not
    known, and then not written. `confidence` says how sure the figures of a profile are, one of
    CONFIDENCES; None for any other machine. A None always
    has an `Unread` of the same name in `unread`; a value has its entry in `sources`. Making one
    adds the entries that are missing ("the record does not say"), drops those of facts that have a
    value, and writes system and architecture as Linux names them. `MachineFileError` names every
    field of another type or beyond what a machine can have.
    """

    name: str = UNNAMED
    is_this_one: bool = False
    measured_in_vain: bool = False
    labels: Mapping[str, str] = {}
    read_at: str | None = None
    scope: str | None = None
    system: str | None = None
    architecture: str | None = None
    emulated_on: str | None = None
    memory_total_bytes: int | None = None
    memory_limit_bytes: int | None = None
    memory_available_bytes: int | None = None
    address_space_bytes: int | None = None
    private_memory_bytes: int | None = None
    file_size_limit_bytes: int | None = None
    swap_free_bytes: int | None = None
    cpu_model: str | None = None
    cpu_cores_physical: int | None = None
    cpu_cores_performance: int | None = None
    cpu_cores_usable: float | None = None
    instruction_sets: tuple[str, ...] | None = None
    memory_bandwidth_bytes_per_second: int | None = None
    memory_bandwidth_how: str | None = None
    memory_bandwidth_bound: str | None = None
    disks: tuple[Disk, ...] | None = None
    models_present: tuple[PresentModel, ...] | None = None
    accelerators: tuple[Accelerator, ...] | None = None
    runtimes: tuple[PresentRuntime, ...] | None = None
    planning: bool = False
    assumed: tuple[str, ...] = ()
    memory_most_bytes: int | None = None
    confidence: str | None = None
    sources: Mapping[str, str] = {}
    unread: tuple[Unread, ...] = ()

    if not TYPE_CHECKING:

        def __init__(self, **values: Any) -> None:
            _check(values)
            if values.get("memory_bandwidth_bytes_per_second") is None:
                values |= dict.fromkeys(("memory_bandwidth_how", "memory_bandwidth_bound"))
            values["unread"] = _explained(values)
            super().__init__(**values)

    def why_unread(self, fact: str) -> Unread:
        """The reason why `fact` is None; also of a part, such as `disks.ollama.free_bytes`."""
        for entry in self.unread:
            if entry.fact == fact:
                return entry
        return _not_said(fact)

    def unread_about(self, start: str) -> Unread | None:
        """The first reason for a fact whose name starts like that; None where there is none."""
        return next((entry for entry in self.unread if entry.fact.startswith(start)), None)

    def with_checked(self, **values: Any) -> Machine:
        """A copy with other values, which are those of records that were checked."""
        own = {name: getattr(self, name) for name in Machine._fields}
        copy = object.__new__(Machine)
        object.__setattr__(copy, "__dict__", {**own, **values})
        return copy

    @property
    def is_bandwidth_measured(self) -> bool:
        """The cores of that machine read its memory: the figure is nobody's word."""
        return self.memory_bandwidth_how in (MEASURED, BRIEFLY)

    def with_bandwidth(
        self,
        bytes_per_second: int | None,
        source: str,
        *,
        how: str | None = None,
        bound: str | None = None,
        **values: Any,
    ) -> Machine:
        """A copy with that memory bandwidth, and with other `values`."""
        fact = "memory_bandwidth_bytes_per_second"
        others = {name: text for name, text in self.sources.items() if name != fact}
        return self.replace(
            **values,
            memory_bandwidth_bytes_per_second=bytes_per_second,
            memory_bandwidth_how=how,
            memory_bandwidth_bound=bound,
            sources=others if bytes_per_second is None else {**others, fact: source},
        )

    def assumes(self, fact: str) -> bool:
        """Whether `fact` was taken from the machine's class."""
        return fact in self.assumed

    if TYPE_CHECKING:

        @staticmethod
        def read(
            *,
            measure: bool = False,
            root: str | os.PathLike[str] | None = None,
        ) -> Machine:
            """See `reader.read`, which is bound to this name where `selfhost.Machine` is first
            used.
            """

    @classmethod
    def from_json(cls, data: Any, file: str = "machine", *, unnamed: str = RECORDED) -> Machine:
        """The record in `data`, a decoded `selfhost.machine/1` object. Unknown keys are ignored,
        missing ones become unread.

        `unnamed` is what a machine is called whose record gives it no name. `file` is how errors
        call the input. `MachineFileError` carries the first MAX_PROBLEMS problems and a count of
        the rest.
        """
        return machine_of(data, file, unnamed=unnamed)

    @property
    def called(self) -> str:
        """The machine within a sentence: `this machine`, `the recorded machine`, or its name. A
        name that reads as a place stands in quotes.
        """
        return f'"{self.name}"' if self.name.lower() in ("here", "there") else self.name

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Machine:
        """The record in a JSON file of at most 4 MiB, or in what `/dev/stdin` or `/dev/fd/N` gives.

        Where the record gives no name the machine is called `the recorded machine`.
        `MachineFileError` carries the problems, as `from_json` has them, with the line where that
        is certain.
        """
        expect_type("path", path, (str, os.PathLike))
        return _from_file(path)

    def to_json(self) -> dict[str, Any]:
        """The `selfhost.machine/1` object: every key always present, None where unread, sizes
        whole bytes.
        """
        from .. import __version__

        out: dict[str, Any] = {"schema": SCHEMA, "selfhost_version": __version__}
        for name in type(self)._fields:
            value = getattr(self, name)
            if name not in _NOT_IN_JSON and not (name in _WHERE_KNOWN and value is None):
                out[name] = _plain(value)
        cores = self.cpu_cores_usable
        if cores is not None and cores == int(cores):
            out["cpu_cores_usable"] = int(cores)
        return out

    def disk_for(self, purpose: str) -> Disk | None:
        """The place where downloads of that kind land; None when it was not read."""
        for disk in self.disks or ():
            if disk.purpose == purpose:
                return disk
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return {name: _plain(getattr(value, name)) for name in type(value)._fields}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return dict(value)
    return value


# what is told of the computer that asks alone
_NOT_IN_JSON = ("is_this_one", "measured_in_vain")
# what is written where it is known alone
_WHERE_KNOWN = ("memory_most_bytes", "memory_bandwidth_how", "memory_bandwidth_bound")
# facts whose None always has an Unread; that of the others says that there is none
_NO_FACTS = (
    "emulated_on",
    "address_space_bytes",
    "private_memory_bytes",
    "file_size_limit_bytes",
    "memory_most_bytes",
    "memory_bandwidth_how",
    "memory_bandwidth_bound",
    "confidence",
)
FACTS = tuple(
    name for name in Machine._fields if Machine._defaults[name] is None and name not in _NO_FACTS
)


@lru_cache(256)
def _not_said(fact: str) -> Unread:
    return Unread(
        fact=fact,
        reason="the record does not say",
        remedy="record the machine again with `selfhost machine --format json`",
    )


def _explained(values: Mapping[str, Any]) -> tuple[Unread, ...]:
    """One entry for each fact in `values` that is None, those given first; entries of facts
    that have a value are left out.
    """
    missing = _missing(values)
    entries: dict[str, Unread] = {}
    for entry in values.get("unread", ()):
        if entry.fact not in entries and (
            entry.fact in missing or not _has_value(entry.fact, values)
        ):
            entries[entry.fact] = entry
    for fact in missing:
        if fact not in entries:
            entries[fact] = _not_said(fact)
    return tuple(entries.values())


def _missing(values: Mapping[str, Any]) -> Mapping[str, None]:
    """The facts in `values` that are None and need a reason, in the order of the record."""
    get = values.get
    missing = dict.fromkeys([fact for fact in FACTS if get(fact) is None])
    for disk in get("disks") or ():
        if disk.free_bytes is None:
            missing[f"disks.{disk.purpose}.free_bytes"] = None
        if disk.writable is None:
            missing[f"disks.{disk.purpose}.writable"] = None
    for name, part in _PARTS:
        if any(getattr(entry, part) is None for entry in get(name) or ()):
            missing[f"{name}.{part}"] = None
    return missing


# parts of list entries of which a None has its Unread, once for the whole list
_PARTS = (
    ("accelerators", "memory_total_bytes"),
    ("accelerators", "unified"),
    ("models_present", "complete"),
)


def _has_value(fact: str, values: Mapping[str, Any]) -> bool:
    """Whether a fact, which may be one below another such as `disks.ollama.free_bytes`, is
    there.
    """
    head, below, rest = fact.partition(".")
    value = values.get(head)
    if value is None or head not in FACTS:
        return False
    if not below:
        return True
    if head == "instruction_sets":
        return rest in value
    if head == "models_present" and rest not in PresentModel._fields:
        # a store that was not read whole
        return False
    if head == "disks":
        # a purpose may have a dot in it
        own = [disk for disk in value if rest.startswith(disk.purpose)]
        return any(
            rest == disk.purpose or getattr(disk, rest[len(disk.purpose) + 1 :], None) is not None
            for disk in own
        )
    return isinstance(value, tuple) and all(
        getattr(entry, rest, None) is not None for entry in value
    )


def _check(values: dict[str, Any]) -> None:
    """Types and ranges of what a machine is made of; whole floats become int, lists become
    tuples, spellings the common ones.
    """
    reader = Reader("Machine", "")
    for name, value in values.items():
        field = FIELDS.get(name)
        if field is not None and (value is not None or name in _REQUIRED):
            values[name] = field.checked(reader, name, value)
    if not reader.problems:
        reader.agree(values)
        _check_sizes(reader, values)
    if reader.problems:
        raise reader.error()
    if values.get("architecture") is not None:
        values["architecture"] = normal_architecture(values["architecture"])
    if values.get("system") is not None:
        values["system"] = normal_system(values["system"])


def _check_sizes(reader: Reader, values: Mapping[str, Any]) -> None:
    """Sizes of disks, accelerators and models."""
    for name in ("disks", "accelerators", "models_present"):
        for index, entry in enumerate(values.get(name) or ()):
            for part in filter(_SIZES_OF_PARTS.__contains__, type(entry)._fields):
                size = getattr(entry, part)
                if size is not None and (type(size) is not int or size < 0):
                    PARTS[part].read(reader, {part: size}, part, f"{name}[{index}].")


_SIZES_OF_PARTS = {name for name, field in PARTS.items() if field.kind == "whole"}


# of which a machine that is made has a value
_REQUIRED = frozenset(FIELDS).difference(FACTS, _NO_FACTS)


def _machine_from(reader: Reader, json_value: Any) -> Machine:
    if not isinstance(json_value, Mapping):
        reader.problem(
            None,
            f"holds {kind_in_json(json_value)}, not one JSON object",
            "write it with `selfhost machine --format json`",
        )
        raise reader.error()
    reader.schema(json_value, FACTS)
    values: dict[str, Any] = {}
    unread = list(FIELDS["unread"].read(reader, json_value, "unread"))
    for key, field in FIELDS.items():
        if key != "unread" and key not in _NOT_IN_JSON:
            values[key] = field.read(reader, json_value, key)
    if values["scope"] is not None and values["scope"] not in SCOPES:
        unread = [entry for entry in unread if entry.fact != "scope"]
        unread.append(
            Unread(
                fact="scope",
                reason=f"the record says {values['scope']!r}, which this version does not know",
            )
        )
        values["scope"] = None
    if values["confidence"] not in CONFIDENCES:
        values["confidence"] = None
    values["planning"] = values["planning"] or False
    values["assumed"] = values["assumed"] or ()
    reader.agree(values)
    if reader.problems:
        raise reader.error()
    if reader.assumed_unified:
        values["sources"].setdefault(
            "accelerators.unified",
            "not in the record: an Apple GPU always shares the machine's RAM",
        )
    # a machine read without `--name` is recorded so
    if values["name"] in (None, UNNAMED):
        values["name"] = reader.unnamed
    return Machine(**values, unread=tuple(unread))


def machine_of(
    json_value: Any,
    file: str,
    doubled: Sequence[str] = (),
    more_doubled: int = 0,
    *,
    unnamed: str = RECORDED,
) -> Machine:
    """As `Machine.from_json`, of a text in which these keys stand twice in one object, and so
    many more.
    """
    reader = Reader(file, "", unnamed)
    reader.doubled(doubled, more_doubled)
    return _machine_from(reader, json_value)


def _from_file(path: str | os.PathLike[str]) -> Machine:
    import os

    from ..core.files import FOLDER, LARGE, Unreadable, read_file, text_of
    from ..core.json_text import Decoder

    named = os.fsdecode(path)
    name = UNPRINTABLE.sub("?", named) or "machine"
    if not named:
        raise MachineFileError([Problem(file=name, message="no file was named", remedy=WRITE_ONE)])
    try:
        text = text_of(read_file(named, MAX_FILE_BYTES, input_allowed=True))
        reader = Reader(name, text, RECORDED)

        def constant(word: str) -> None:
            # certain only where the word stands once in the whole file
            alone = not reader.problems and text.count(word) == 1
            line = text.count("\n", 0, text.index(word)) + 1 if alone else None
            reader.problem(
                None,
                f"holds {word}, which is no number in JSON",
                "write null where a value is not known",
                line,
            )

        decoder = Decoder(constant=constant, note_doubled=True)
        document = decoder.parse(text)
    except Unreadable as error:
        message = error.reason
        if error.kind == LARGE:
            message += ": a machine record takes a few kilobytes"
        remedy = "name the file in it" if error.kind == FOLDER else error.remedy or WRITE_ONE
        raise MachineFileError(
            [Problem(file=name, line=error.line, message=message, remedy=remedy)]
        ) from None
    reader.doubled(decoder.doubled, decoder.more_doubled)
    return _machine_from(reader, document)


def has_accelerator(machine: Machine) -> bool:
    """Whether it has one with memory of its own: what shares the RAM holds no part less."""
    return any(card.unified is not True for card in machine.accelerators or ())


class Process(Record):
    """Bytes of memory by kind. `words` is its command line; `anonymous_bytes` are its own pages,
    with those shared with others; `file_bytes` pages of files, of which `model_bytes` are of
    `model_file`, the largest mapped file that holds a model. None: none is mapped.
    """

    words: tuple[str, ...]
    anonymous_bytes: int
    file_bytes: int
    swapped_bytes: int = 0
    model_file: str | None = None
    model_bytes: int = 0
