"""Machine: the facts that were read of a computer. A fact is a plain value, whose origin stands in
`sources`; or the fact is None, and `unread` has the reason and the remedy.

The annotation of a field states its type, `read_by` its bounds or its choices. `Machine.from_json`
checks both, so that the error for a faulty record names the wrong key.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from ..core import __version__
from ..core.errors import MachineFileError, Problem, expect_type
from ..core.records import (
    JSON,
    Record,
    ShownRecord,
    TextForm,
    Unread,
    Values,
    fault_of,
    kind_of,
    read_by,
    shown,
)
from ..core.tables import TABLES, Document, TomlTable
from .platforms import (
    filesystem_kind,
    normal_architecture,
    normal_system,
    platforms,
)

SCHEMA = "selfhost.machine/1"
# the name of a machine without a given name; in a record of another computer this name says nothing
UNNAMED = "this machine"
# the name of a record that names no machine
RECORDED = "the recorded machine"
# the values of `Disk.purpose`: the programs or libraries whose store lies on the disk
PURPOSES = ("huggingface", "llama.cpp", "ollama", "whisper.cpp")
# LM Studio is not judged, but llama.cpp can load its models: a further value of
# `PresentModel.store` and `PresentRuntime.id`
LM_STUDIO = "lm-studio"
# by purpose: stores of other programs, from which a runtime loads files by path
FILES_BY_PATH = {"llama.cpp": (LM_STUDIO,)}

# above any machine: x86 and Arm address at most 2**52 bytes of memory; network volumes report up to
# 2**64 bytes free
MAX_MEMORY_BYTES = 2**52
MAX_DISK_BYTES = 2**64
# a quota is at least a millisecond in each second (Linux's min_cfs_quota_period,
# max_cfs_quota_period)
MIN_CORES = 0.001
MAX_CORES = 1_000_000
MAX_FILE_BYTES = 4 * 2**20

FAT_FILE_BYTES = 2**32 - 1
WRITE_ONE = "write one with `selfhost machine --format json > FILE`"
# the remedy for a fact that was not read
FILL_IN = (
    "fill it in: `selfhost machine --format json > m.json` on the machine itself (with `--root DIR`"
    " of a recorded tree), edit m.json, then add `--machine m.json` to `selfhost check`"
)
# the remedies by the beginning of a fact's name
REMEDIES = {
    "memory_": "state it: add `--set memory=16GiB` to `selfhost check`",
    "disks": "state it: add `--set disk=100GB` to `selfhost check`",
    "runtimes": FILL_IN,
}

# how the memory bandwidth is known: measured carefully by all cores; measured briefly; stated as
# modules at an assumed usual rate; or stated as a rate with both channels assumed filled
BANDWIDTH = "memory_bandwidth_bytes_per_second"
MEASURED = "measured"
BRIEFLY = "measured-briefly"
RATE_ASSUMED = "rate-assumed"
FILLED_ASSUMED = "filled-assumed"
HOWS = (MEASURED, BRIEFLY, RATE_ASSUMED, FILLED_ASSUMED)
# the figure is a lower bound, since other programs used part of the bandwidth
LEAST = "least"

_HOUR_AND_MINUTE = "([01][0-9]|2[0-3]):[0-5][0-9]"
# a point in time with its time zone
MOMENT = TextForm(
    pattern="(?P<date>[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]))"
    rf"T{_HOUR_AND_MINUTE}:([0-5][0-9]|60)(\.[0-9]+)?(Z|[+-]{_HOUR_AND_MINUTE})",
    message="is not a time",
    remedy="write for example 2026-10-01T12:00:00Z",
)
# the name of a machine or of a label; host names have at most 253 characters (RFC 1035, 2.3.4)
_NAME = TextForm(
    pattern="(?s).{0,1000}",
    message="is longer than 1,000 characters",
    remedy="give it a shorter name",
)
# the facts of a machine by field name
FactValues = Values
_DISK = read_by(default=None, minimum=0, maximum=MAX_DISK_BYTES)
_MEMORY = read_by(default=None, minimum=0, maximum=MAX_MEMORY_BYTES)
# bytes, or bytes per second, greater than zero
_SOME_BYTES = read_by(default=None, minimum=1, maximum=MAX_MEMORY_BYTES)
_CORES = read_by(default=None, minimum=1, maximum=MAX_CORES)


class Disk(Record):
    """A place where a runtime would store models. `path` has the home folder as `~`.

    `free_bytes` is what an ordinary account may use, quotas of accounts aside. `writable` is about
    the account that stores the file: a service's own folder is writable unless its mount is
    read-only. None means unread, never "by another account"; the reason is in
    `disks.<purpose>.writable`.
    """

    purpose: str
    path: str
    free_bytes: int | None = _DISK
    total_bytes: int | None = _DISK
    filesystem: str | None = None
    writable: bool | None = None

    @property
    def kind(self) -> str:
        """The kind of file system, empty for all others:

        - `network`: on another machine or the host of this one, slow to map into memory.
        - `memory`: what is stored takes RAM.
        - `fat`: no file is larger than FAT_FILE_BYTES.
        """
        return filesystem_kind(self.filesystem)


class Accelerator(Record):
    """A GPU or another accelerator. `unified`: it shares the machine's RAM, as every GPU of the
    `unified_makers` of platforms.toml does; None where that is not known, so it may.

    `memory_total_bytes` of an accelerator that shares the RAM is the part of the RAM that it may
    use. `memory_bandwidth_bytes_per_second` is the peak bandwidth of its own memory.
    `bandwidths_of_other_forms` are those of other GPUs that the name may mean: `H100 80GB` means
    one with 3,352 GB/s, and may mean one with 2,000. `compute_capability` is NVIDIA's (9.0).
    """

    vendor: str
    name: str
    memory_total_bytes: int | None = _SOME_BYTES
    memory_free_bytes: int | None = _MEMORY
    unified: bool | None = None
    driver: str | None = None
    compute_capability: str | None = None
    memory_bandwidth_bytes_per_second: int | None = _SOME_BYTES
    bandwidths_of_other_forms: tuple[int, ...] = ()

    @property
    def is_part(self) -> bool:
        """Whether the accelerator is an instance of MIG: a program gets one of them, and no other
        GPU beside it.
        """
        return "MIG" in self.name.split()

    @classmethod
    def _completed(cls, values: FactValues) -> FactValues:
        is_unified = values["vendor"].lower() in platforms().unified_makers
        if values["unified"] is None and is_unified:
            values["unified"] = True
        return values


class PresentRuntime(Record):
    """A runtime that was seen, and not run. `version` is None where no file states it."""

    id: str
    version: str | None = None
    path: str | None = None


class PresentModel(Record):
    """A model that is on the machine already, whole or in part.

    - `path` has the home folder as `~`.
    - `size_bytes` are the bytes that are present, of `total_bytes` where that is known.
    - `complete`: every byte is present; None where that is not known.
    - `repository` is Hugging Face's. `file` is the GGUF or ggml file in it, of a split one the
      first part, and None for a whole repository.
    - `tag` is Ollama's name.
    - `store` is the runtime whose folder holds the model: one of PURPOSES or `lm-studio`.
    - `quantization` is the one that the store or the name of the file states.
    """

    path: str
    size_bytes: int = read_by(minimum=0, maximum=MAX_DISK_BYTES)
    repository: str | None = None
    file: str | None = None
    complete: bool | None = None
    store: str | None = None
    tag: str | None = None
    quantization: str | None = None
    total_bytes: int | None = _DISK


class Machine(ShownRecord):
    """A computer as `selfhost` sees it.

    - `is_this_one`: the machine was read of the computer that asks, and may since have been changed
      by `--set`.
    - `measured_in_vain`: the memory bandwidth was measured, and no figure came of it. This field
      and `is_this_one` are not in the JSON object, which is read elsewhere.
    - `memory_total_bytes` is the memory of the hardware.
    - `memory_limit_bytes` is the most that this process may ever have: the least of the hardware
      and every control group above it.
    - `memory_available_bytes` is the memory that the process could have now without swapping.
    - `address_space_bytes` is the rest that `ulimit -v` leaves, mapped files included. None: no
      such limit.
    - `cpu_cores_usable` has affinity and quota applied, and may be a fraction.
    - `cpu_cores_performance` are the `cpu_cores_physical` of the fastest kind.
    - `instruction_sets` are Linux kernel names.
    - `memory_bandwidth_how` says how the bandwidth is known; None for a figure that somebody
      states.
    - `memory_bandwidth_bound` is `least` where the bandwidth may be higher.
    - `accelerators` is () where there are none.
    - `planning`: the machine is a profile, or was changed by --set, so its memory is judged as a
      whole.
    - `assumed` names the facts taken from the machine's class. A finding that rests on one is at
      least a `warn`.
    - `confidence` of a profile is `high`, `medium` or `low`.

    A None always has an entry of the same name in `unread`; a value has its entry in `sources`.
    Making a machine adds the entries that are missing ("the record does not say"; with a
    `confidence`, the catalogue does not), drops the entries of facts that have a value, and writes
    system and architecture as Linux names them. `MachineFileError` names a number beyond what a
    machine can have.
    """

    name: str = read_by(default=UNNAMED, form=_NAME)
    is_this_one: bool = False
    measured_in_vain: bool = False
    labels: Mapping[str, str] = {}
    read_at: str | None = read_by(default=None, form=MOMENT)
    scope: str | None = read_by(default=None, choices=("host", "vm", "container"))
    system: str | None = None
    architecture: str | None = None
    memory_total_bytes: int | None = _SOME_BYTES
    memory_limit_bytes: int | None = _MEMORY
    memory_available_bytes: int | None = _MEMORY
    address_space_bytes: int | None = _MEMORY
    swap_free_bytes: int | None = _MEMORY
    cpu_model: str | None = None
    cpu_cores_physical: int | None = _CORES
    cpu_cores_performance: int | None = _CORES
    cpu_cores_usable: float | None = read_by(
        default=None, minimum=MIN_CORES, maximum=MAX_CORES
    )
    instruction_sets: tuple[str, ...] | None = None
    memory_bandwidth_bytes_per_second: int | None = _SOME_BYTES
    memory_bandwidth_how: str | None = read_by(default=None, choices=HOWS)
    memory_bandwidth_bound: str | None = read_by(default=None, choices=(LEAST,))
    disks: tuple[Disk, ...] | None = None
    models_present: tuple[PresentModel, ...] | None = None
    accelerators: tuple[Accelerator, ...] | None = None
    runtimes: tuple[PresentRuntime, ...] | None = None
    planning: bool = False
    assumed: tuple[str, ...] = ()
    confidence: str | None = read_by(default=None, choices=("high", "medium", "low"))
    sources: Mapping[str, str] = {}
    unread: tuple[Unread, ...] = ()

    @classmethod
    def _completed(cls, values: FactValues) -> FactValues:
        for name, limits in _LIMITS.items():
            value = values[name]
            if value is None:
                continue
            least = limits["minimum"]
            fault = fault_of(value, float, minimum=least, maximum=limits["maximum"])
            if fault is not None:
                problem = Problem(file="Machine", key=name, message=fault.message)
                raise MachineFileError([problem])
        architecture = values["architecture"]
        if architecture:
            values["architecture"] = normal_architecture(architecture)
        if values["system"]:
            values["system"] = normal_system(values["system"])
        if values["instruction_sets"]:
            values["instruction_sets"] = _linux_sets(values)
        if values[BANDWIDTH] is None:
            values.update(dict.fromkeys(_WHERE_KNOWN))
        values["unread"] = _explained(values)
        return values

    @classmethod
    def read(
        cls, *, measure: bool = False, root: str | os.PathLike[str] | None = None
    ) -> Machine:
        """Read this machine, as it is now, without a socket and without a write. A fact that cannot
        be read is in `unread`, and raises nothing.

        No child process starts, with one exception: where an NVIDIA driver is present, a child asks
        the driver's library, which can hang, for at most ten seconds.

        With `measure` the memory bandwidth is measured too, which takes up to a second. With `root`
        the recorded tree of another machine is read in place of this machine: DIR/proc, DIR/sys, …
        `MachineFileError` where the folder holds none.

        >>> Machine.read().is_this_one
        True
        """
        # imported here: a record that is read from a file needs no probes
        from .reader import read

        return read(measure=measure, root=root)

    @classmethod
    def from_json(cls, data: object, file: str = "machine") -> Machine:
        """Return the record in `data`, a decoded `selfhost.machine/1` object. Unknown keys are
        ignored; missing keys become unread.

        `file` is the name of the input in errors. `MachineFileError` carries the first 20 problems.

        >>> record = {"schema": "selfhost.machine/1", "memory_total_bytes": 16 * 2**30}
        >>> can_run("llama-3.3-70b", machine=Machine.from_json(record))
        False
        """
        if isinstance(data, dict):
            document = Document(file, without_null(data), notation=JSON)
            _check_schema(document, data)
        else:
            document = Document(file, {}, notation=JSON)
            document.add(
                (), f"holds {kind_of(data, JSON)}, not one JSON object", WRITE_ONE
            )
        values = _values(document.root, cls)
        if not document.ok:
            raise MachineFileError(document.problems)
        for name in _NOT_IN_JSON:
            values[name] = cls._defaults[name]
        # a machine read without `--name` has this name in its record
        if values.get("name", UNNAMED) == UNNAMED:
            values["name"] = RECORDED
        return cls(**values)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Machine:
        """Return the record in a JSON file of at most 4 MiB, or in the text that `/dev/stdin` or
        `/dev/fd/N` gives.

        `MachineFileError` carries the problems, as for `from_json`.
        """
        expect_type("path", path, (str, os.PathLike))
        return cls.from_json(json_in(path), _file_name(path))

    def to_json(self) -> dict[str, Any]:
        """Return the `selfhost.machine/1` object: every key is present, None where the fact is
        unread, and bytes are whole numbers.
        """
        out: FactValues = {"schema": SCHEMA, "selfhost_version": __version__}
        for name in type(self)._fields:
            value = getattr(self, name)
            if name in _NOT_IN_JSON:
                continue
            if name in _WHERE_KNOWN and value is None:
                continue
            out[name] = _plain(value)
        cores = self.cpu_cores_usable
        if cores is not None and cores == int(cores):
            out["cpu_cores_usable"] = int(cores)
        return out

    def replace_unchecked(self, **values: Any) -> Machine:
        """Return a copy with other values, as `replace` does, in a small part of its time.

        The values must come from machines that were checked. An audit of a fleet makes a machine
        for each verdict.
        """
        copy = Machine.__new__(Machine)
        object.__setattr__(copy, "__dict__", {**self.__getstate__(), **values})
        return copy

    def stated(self, facts: FactValues, source: str) -> Machine:
        """Return a copy with those facts and their source. What was known of the facts and of their
        parts (`disks.ollama.writable`), such as an assumption, is dropped.

        A None among the facts means that the fact no longer holds.
        """
        beginnings_of_parts = tuple([f"{fact}." for fact in facts])
        # the first entry about a fact counts, so that these take the place of earlier ones
        unread: list[Unread] = []
        sources = dict(self.sources)
        for fact, value in facts.items():
            sources.pop(fact, None)
            if fact not in FACTS:
                continue
            if value is None:
                unread.insert(0, _NO_LONGER.replace(fact=fact))
            else:
                sources[fact] = source
        for entry in self.unread:
            if not entry.fact.startswith(beginnings_of_parts):
                unread.append(entry)
        assumed = []
        for fact in self.assumed:
            if fact not in facts and not fact.startswith(beginnings_of_parts):
                assumed.append(fact)
        return self.replace(
            **facts,
            sources=sources,
            assumed=tuple(assumed),
            unread=tuple(unread),
        )

    @property
    def is_bandwidth_measured(self) -> bool:
        """Whether the memory bandwidth was measured by the cores of the machine."""
        return self.memory_bandwidth_how in (MEASURED, BRIEFLY)

    @property
    def read_on(self) -> str | None:
        """The day in UTC on which the facts were read, `YYYY-MM-DD`; None where the record does
        not state a moment in UTC, as every record that selfhost writes does.
        """
        if self.read_at is None or not self.read_at.endswith("Z"):
            return None
        return self.read_at.partition("T")[0]

    @property
    def platform(self) -> str:
        """The system and the architecture, `linux-x86_64`, as the files of runtimes name their
        builds.
        """
        return f"{self.system}-{self.architecture}"

    @property
    def cards(self) -> tuple[Accelerator, ...]:
        """The accelerators; () where there are none, and where they were not read."""
        return self.accelerators or ()

    @property
    def cpu_name(self) -> str:
        """The name of the processor; "" where it is not known."""
        return self.cpu_model or ""

    @property
    def part_names(self) -> list[str]:
        """The names of the processor and of the GPUs, as far as they are known."""
        return [self.cpu_name, *[card.name for card in self.cards]]

    @property
    def own_memory_cards(self) -> list[Accelerator]:
        """The accelerators that are not known to share the machine's RAM."""
        return [card for card in self.cards if not card.unified]

    def why_unread(self, fact: str) -> Unread:
        """Return the reason why `fact` is None. The fact may be a part, such as
        `disks.ollama.free_bytes`.
        """
        for entry in self.unread:
            if entry.fact == fact:
                return entry
        return _unstated(self.confidence).replace(fact=fact)

    def disk_for(self, purpose: str) -> Disk | None:
        """Return the place where downloads for that purpose land; None where the place was not
        read.
        """
        for disk in self.disks or ():
            if disk.purpose == purpose:
                return disk
        return None


# facts that are known only of the computer that runs this program
_NOT_IN_JSON = ("is_this_one", "measured_in_vain")
# keys that are left out where their value is not known
_WHERE_KNOWN = ("memory_bandwidth_how", "memory_bandwidth_bound")
# facts for which None means that there is nothing; a None of any other fact has an Unread
_NO_FACTS = (*_WHERE_KNOWN, "address_space_bytes", "confidence")
FACTS = tuple(
    [
        name
        for name, default in Machine._defaults.items()
        if default is None and name not in _NO_FACTS
    ]
)
# the class of the records in a list, by the list's name
PARTS_OF_LISTS: Mapping[str, type[Record]] = {
    "disks": Disk,
    "models_present": PresentModel,
    "accelerators": Accelerator,
    "runtimes": PresentRuntime,
    "unread": Unread,
}
# facts that are numbers, with their bounds
_LIMITS = {
    name: key.limits for name, key in Machine._keys.items() if "minimum" in key.limits
}
_NOT_SAID = Unread(
    fact="",
    reason="the record does not say",
    remedy="record the machine again with `selfhost machine --format json`",
)
_NOT_IN_CATALOGUE = Unread(
    fact="",
    reason="the catalogue does not say",
    remedy="state what you know by --set (in a policy: by the facts of a class), or run "
    "`selfhost machine --format json` on such a machine and give that file to --machine",
)
_NO_LONGER = Unread(
    fact="",
    reason="what was read no longer applies to the machine as you stated it",
    remedy="state it by --set (in a policy: by the facts of a class)",
)
# sizes in ascending order: none may be larger than a later one
_SIZES = (
    "memory_available_bytes",
    "memory_limit_bytes",
    "memory_free_bytes",
    "memory_total_bytes",
    "free_bytes",
    "total_bytes",
)
# parts of list entries whose None has one Unread for the whole list
_EXPLAINED_PARTS = (
    ("accelerators", "memory_total_bytes"),
    ("accelerators", "unified"),
    ("models_present", "complete"),
)


class Process(Record):
    """A running process. `words` is its command line.

    `memory_bytes` is its memory, swapped pages and those of files included. Of these, `model_bytes`
    belong to `model_file`, the largest mapped file that holds a model.
    """

    words: tuple[str, ...]
    memory_bytes: int
    model_file: str | None = None
    model_bytes: int = 0


def json_in(path: str | os.PathLike[str]) -> object:
    """Return the JSON in a file that `Machine.from_file` takes. Raises `MachineFileError`."""
    from ..core.files import (
        LARGE,
        Unreadable,
        object_of,
        parse_json,
        read_file,
        text_of,
    )

    try:
        content = read_file(os.fsdecode(path), MAX_FILE_BYTES, input_allowed=True)
        return parse_json(text_of(content), pairs=object_of)
    except Unreadable as error:
        problem = error.problem(_file_name(path), WRITE_ONE)
        if error.kind == LARGE:
            problem = problem.replace(
                message=f"{problem.message}: a machine record takes a few kilobytes"
            )
        raise MachineFileError([problem]) from None


def _file_name(path: str | os.PathLike[str]) -> str:
    """The name of a file in errors."""
    return shown(os.fsdecode(path)) or "machine"


def _linux_sets(values: FactValues) -> tuple[str, ...]:
    """The instruction sets, each once, by the names that Linux uses on that architecture."""
    names_by_architecture = platforms().instruction_sets
    names = names_by_architecture.get(values["architecture"], {})
    sets = [names.get(name.lower(), name) for name in values["instruction_sets"]]
    return tuple(dict.fromkeys(sets))


def _unstated(confidence: str | None) -> Unread:
    """The reason for a None about which nothing is said, with an empty `fact`: the catalogue does
    not say, for a machine with a `confidence`; else the record does not.
    """
    if confidence is None:
        return _NOT_SAID
    return _NOT_IN_CATALOGUE


def _explained(values: FactValues) -> tuple[Unread, ...]:
    """The `unread` entries of a machine: one entry for each fact in `values` that is None. The
    given entries come first.
    """
    is_missing = _missing_facts(values)
    unstated = _unstated(values["confidence"])
    reasons: dict[str, Unread] = {}
    for entry in values["unread"]:
        # an entry that explains no None stays, such as `models_present.ollama` for a store that was
        # not read whole
        if is_missing.get(entry.fact, True):
            reasons.setdefault(entry.fact, entry)
    for fact, lacks in is_missing.items():
        if lacks and fact not in reasons:
            reasons[fact] = unstated.replace(fact=fact)
    return tuple(reasons.values())


def _missing_facts(values: FactValues) -> dict[str, bool]:
    """Whether a fact or a part of a fact is None, by its name: `disks`,
    `disks.ollama.free_bytes`.
    """
    is_missing = {fact: values[fact] is None for fact in FACTS}
    for disk in values["disks"] or ():
        fact = f"disks.{disk.purpose}"
        # the disk is listed: a reason for its absence must not stay
        is_missing[fact] = False
        is_missing[f"{fact}.free_bytes"] = disk.free_bytes is None
        is_missing[f"{fact}.writable"] = disk.writable is None
    for name, part in _EXPLAINED_PARTS:
        entries = values[name]
        if entries is not None:
            part_values = [getattr(entry, part) for entry in entries]
            is_missing[f"{name}.{part}"] = None in part_values
    return is_missing


def _check_schema(document: Document, data: Mapping[str, object]) -> None:
    """Note a problem where an object is no machine record that this version reads."""
    schema = document.values.get("schema")
    if schema == SCHEMA:
        return
    # without a schema, one known key is enough
    if schema is None and not data.keys().isdisjoint(FACTS):
        return
    kind = "not stated" if schema is None else kind_of(schema, JSON)
    elsewhere = (
        "what another system answers is read by `selfhost audit --machines FILE`"
    )
    document.root.problem(
        "schema",
        f"is {kind}: not a machine record this version reads",
        f'write "schema": "{SCHEMA}"; {elsewhere}',
    )


def _plain(value: object) -> object:
    """The value of a fact as JSON has it. A record becomes an object; no record in a machine holds
    another one.
    """
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):
        return list(map(_plain, value))
    if isinstance(value, Record):
        parts = {}
        for name, part in value.__getstate__().items():
            parts[name] = _plain(part)
        return parts
    return value


def without_null(values: Values) -> Values:
    """Return a JSON object without null, which means the same as a missing key. Whole floats become
    ints: 16.0 is 16.
    """
    filled = {}
    for key, value in values.items():
        if value is not None:
            filled[key] = _filled(value)
    return filled


def _filled(value: object) -> object:
    """One value of such an object."""
    if isinstance(value, dict):
        return without_null(value)
    if isinstance(value, list):
        return list(map(_filled, value))
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _values(table: TomlTable, record: type[Record]) -> FactValues:
    """The fields of a record that a JSON object states. Faults are noted as problems."""
    values = {}
    for name, annotation in record._annotations.items():
        if name in table.values:
            value = _value(table, record, name, annotation)
            if value is not None:
                values[name] = value
        elif name not in record._defaults:
            table.problem(name, "is missing")
    _check_sizes(table, values)
    return values


def _value(
    table: TomlTable,
    record: type[Record],
    name: str,
    annotation: str,
) -> object:
    """The value of one field; None for a word that only another version knows, and for a faulty
    value.
    """
    part = PARTS_OF_LISTS.get(name)
    if part is not None:
        return _records(table, name, part)
    limits: Values = {}
    if name in record._keys:
        limits.update(record._keys[name].limits)
    choices = limits.pop("choices", ())
    value = table.get(name, annotation, **limits)
    if choices and value not in choices:
        return None
    return value


def _records(
    table: TomlTable,
    name: str,
    kind: type[Record],
) -> tuple[Record, ...]:
    """The list of that name as records. Entries that lack a needed field are left out."""
    records = []
    for entry in table.get(name, TABLES):
        values = _values(entry, kind)
        known = values.keys() | kind._defaults.keys()
        if known >= kind._annotations.keys():
            records.append(kind(**values))
    return tuple(records)


def _check_sizes(table: TomlTable, values: FactValues) -> None:
    """Note a problem for each size that exceeds its upper limit, such as more available memory than
    total memory.
    """
    known = [name for name in _SIZES if name in values]
    for lower, upper in pairwise(known):
        most = values[upper]
        if values[lower] > most:
            table.problem(
                lower,
                f"is {values[lower]}, above {upper}, which is {most}",
                f"it can be at most {most}",
            )


def checked_name(text: str, key: str = "name") -> str:
    """Return `text` where it may be a name or a label. Raises `MachineFileError`, which names
    `key`, where it may not.
    """
    fault = fault_of(text, str, form=_NAME)
    if fault is None:
        return text
    remedy = fault.remedy or "give it plain text, without line breaks"
    problem = Problem(file="machine", key=key, message=fault.message, remedy=remedy)
    raise MachineFileError([problem])
