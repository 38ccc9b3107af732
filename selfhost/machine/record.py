"""Machine: what was read of a computer, as plain values or None, each with where it was read or
why it could not be. The annotation of a field tells its kind, `limited` and `one_of` what it may
be; every fault of a record is told by its key.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import lru_cache

from ..core.errors import Faults, MachineFileError, Problem, expect_type
from ..core.records import Record, Unread, pattern, read_by

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    Limits = Mapping[str, Any]

SCHEMA = "selfhost.machine/1"
# the name of a machine that nobody named; of another's record it says nothing
UNNAMED = "this machine"
# a record that names no machine
RECORDED = "the recorded machine"
SCOPES = ("host", "vm", "container")
CONFIDENCES = ("high", "medium", "low")
# where runtimes store models: what `Disk.purpose` is
PURPOSES = ("huggingface", "llama.cpp", "ollama", "whisper.cpp")
# no runtime that is judged, but its models can be loaded by llama.cpp: what `PresentModel.store`
# and `PresentRuntime.id` may be too
LM_STUDIO = "lm-studio"
# by purpose: stores of other programs, whose files a runtime is given by their path
FILES_BY_PATH = {"llama.cpp": (LM_STUDIO,)}

# above what any machine has: x86 and Arm address at most 2**52 bytes of memory; network volumes
# report up to 2**64 bytes free
MAX_MEMORY_BYTES = 2**52
MAX_DISK_BYTES = 2**64
# a quota gives at least a millisecond in each second (Linux' min_cfs_quota_period,
# max_cfs_quota_period)
MIN_CORES, MAX_CORES = 0.001, 1_000_000
MAX_FILE_BYTES = 4 * 2**20

NETWORK_FILESYSTEMS = frozenset((
    "9p", "afs", "afpfs", "beegfs", "ceph", "cifs", "coda", "drvfs", "gfs2", "glusterfs", "gpfs",
    "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "prl_fs", "smb2", "smb3", "smbfs", "vboxsf",
    "virtiofs", "vmhgfs", "webdav", "fuse.beegfs", "fuse.cephfs", "fuse.curlftpfs", "fuse.davfs2",
    "fuse.gcsfuse", "fuse.glusterfs", "fuse.goofys", "fuse.juicefs", "fuse.rclone", "fuse.s3fs",
    "fuse.smbnetfs", "fuse.sshfs", "fuse.vmhgfs-fuse",
))  # fmt: skip
# rootfs is that of an initramfs: a ramfs or a tmpfs
MEMORY_FILESYSTEMS = frozenset(("tmpfs", "ramfs", "devtmpfs", "rootfs", "hugetlbfs"))
# block devices that are RAM, by the names of their drivers
MEMORY_DEVICES = frozenset(("zram", "brd"))
# the largest file a FAT32 volume holds
_FAT_FILE_BYTES = 2**32 - 1
_FAT_FILESYSTEMS = frozenset(("vfat", "msdos", "fat", "fat16", "fat32"))

_ARCHITECTURES = {
    "amd64": "x86_64", "x64": "x86_64", "x86-64": "x86_64", "arm64": "aarch64",
    "i386": "i686", "i486": "i686", "i586": "i686", "x86": "i686", "armv8l": "armv7l",
    "arm": "armv7l",
}  # fmt: skip
# Python calls Termux' system `android` since 3.13 (PEP 738): its files are Linux'
_SYSTEMS = {
    "darwin": "macos", "osx": "macos", "win32": "windows", "cygwin": "windows", "android": "linux",
}  # fmt: skip

WRITE_ONE = "write one with `selfhost machine --format json > FILE`"
# what to do about a fact that is not read
FILL_IN = (
    "fill it in: `selfhost machine --format json > m.json` on the machine itself (with `--root DIR`"
    " of a recorded tree), edit m.json, then add `--machine m.json` to `selfhost check`"
)
SET_MEMORY = "state it: add `--set memory=16GiB` to `selfhost check`"
SET_DISK = "state it: add `--set disk=100GB` to `selfhost check`"

# how the memory bandwidth is known, where it is more than somebody's word: read by the cores with
# care or in a moment; or stated by the number of modules at the rate that is usual, or by their
# rate with both channels taken to be filled
HOWS = ("measured", "measured-briefly", "rate-assumed", "filled-assumed")
MEASURED, BRIEFLY, RATE_ASSUMED, FILLED_ASSUMED = HOWS
# which end of what is there a figure is, where other programs had a part of it
LEAST = "least"

MAX_TEXT = 2000
MAX_WORD = 100
MAX_ENTRIES = 1000
# control characters and the marks that reorder text: nothing that is printed may hold them
UNPRINTABLE = pattern("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_HOUR_AND_MINUTE = "([01][0-9]|2[0-3]):[0-5][0-9]"
_TIME = pattern(
    "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    rf"T{_HOUR_AND_MINUTE}:([0-5][0-9]|60)(\.[0-9]+)?(Z|[+-]{_HOUR_AND_MINUTE})"
)
_WHERE_UNKNOWN = "write null where it is not known"


def limited(least: float, most: float) -> Any:
    """Declare a number from `least` to `most`, in the unit that the field's name ends with."""
    return read_by(int, default=None, least=least, most=most)


def one_of(*choices: str) -> Any:
    """Declare a text that is one of these; of JSON any other is not known to this version."""
    return read_by(str, default=None, choices=choices)


def kind_and_limits(record: type[Record], field: str) -> tuple[str, Limits]:
    """The annotation of a field without `| None`, and what it may be beside that: `least` and
    `most`, `choices`, `is_time`.
    """
    key = record._keys.get(field)
    return record._kinds[field].removesuffix(" | None"), key.limits if key else {}


def normal_architecture(word: str) -> str:
    """`AMD64`, `arm64`, `i586` -> the name that Linux uses: x86_64, aarch64, i686, armv7l, …"""
    name = word.strip().lower()
    return _ARCHITECTURES.get(name, name)


def normal_system(word: str) -> str:
    """`Darwin`, `win32` -> linux, macos, windows; another system by its own name in lower case."""
    name = word.strip().lower()
    return _SYSTEMS.get(name, name)


class Disk(Record):
    """One place where a runtime would store models. `path` has the home folder as `~`.

    `free_bytes` is what an ordinary account may use; `writable` is about the account that stores
    the file: a service's own folder is writable unless its mount is read-only. None is unread,
    never "by another account": the reason is `disks.<purpose>.writable`. `backing`: the device in
    RAM that holds the bytes; None where `filesystem` does, or where that is not known: then
    `disks.<purpose>.backing` says why. `free_files`: how many files may still be made; None: no
    limit is known.
    """

    purpose: str
    path: str
    free_bytes: int | None = limited(0, MAX_DISK_BYTES)
    total_bytes: int | None = limited(0, MAX_DISK_BYTES)
    filesystem: str | None = None
    writable: bool | None = None
    backing: str | None = None
    free_files: int | None = limited(0, MAX_DISK_BYTES)

    @property
    def shown(self) -> str:
        """The folder, for people: `.` stands for the one they are in."""
        return "the current folder" if self.path == "." else self.path

    @property
    def on_network(self) -> bool:
        """The volume is on another machine or the host of this one: slow to map into memory,
        and quotas do not show.
        """
        return (self.filesystem or "").lower() in NETWORK_FILESYSTEMS

    @property
    def in_memory(self) -> bool:
        """What is stored here takes RAM."""
        kinds = {(kind or "").lower() for kind in (self.filesystem, self.backing)}
        return not kinds.isdisjoint(MEMORY_FILESYSTEMS | MEMORY_DEVICES)

    @property
    def max_file_bytes(self) -> int | None:
        """The largest file the file system holds; None where no model file comes near it."""
        return _FAT_FILE_BYTES if (self.filesystem or "").lower() in _FAT_FILESYSTEMS else None


class Accelerator(Record):
    """A GPU or the like. `unified`: it shares the machine's RAM; None where that is not known, so
    it may. Every Apple GPU does.

    `memory_total_bytes` of one that does is what it may use of the RAM.
    `memory_bandwidth_bytes_per_second` is the peak of its own memory. `compute_capability` is
    NVIDIA's (9.0) or AMD's instruction set (gfx1100).
    """

    vendor: str
    name: str
    memory_total_bytes: int | None = limited(1, MAX_MEMORY_BYTES)
    memory_free_bytes: int | None = limited(0, MAX_MEMORY_BYTES)
    unified: bool | None = None
    driver: str | None = None
    compute_capability: str | None = None
    memory_bandwidth_bytes_per_second: int | None = limited(1, MAX_MEMORY_BYTES)

    @property
    def is_part(self) -> bool:
        """An instance of NVIDIA's MIG: a program gets one of them at a time, and no other GPU
        beside it.
        """
        return "MIG" in self.name.split()

    # hidden from type checkers, which then know the fields
    if not TYPE_CHECKING:

        def __init__(self, **values: Any) -> None:
            if values.get("unified") is None and str(values.get("vendor")).lower() == "apple":
                values["unified"] = True
            super().__init__(**values)


class PresentRuntime(Record):
    """A runtime found on the machine, without running it. `version` is None where no file
    states it.
    """

    id: str
    version: str | None = None
    path: str | None = None


class PresentModel(Record):
    """A model that is on the machine already, whole or in part.

    `path` has the home folder as `~`. `size_bytes` are there, of `total_bytes` where that is known;
    `complete`: every byte is there, None where that is not known. `repository` is Hugging Face's,
    `file` the GGUF or ggml file in it (of a split one the first part, None for a whole repository),
    `tag` Ollama's name; `store` the runtime's folder it lies in: one of PURPOSES or `lm-studio`;
    `quantization` as the store or the file's name states it.
    """

    path: str
    size_bytes: int = read_by(int, least=0, most=MAX_DISK_BYTES)
    repository: str | None = None
    file: str | None = None
    complete: bool | None = None
    store: str | None = None
    tag: str | None = None
    quantization: str | None = None
    total_bytes: int | None = limited(0, MAX_DISK_BYTES)


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
    HOWS or None for what somebody states, and `memory_bandwidth_bound` is `least` where
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
    read_at: str | None = read_by(str, default=None, is_time=True)
    scope: str | None = one_of(*SCOPES)
    system: str | None = None
    architecture: str | None = None
    emulated_on: str | None = None
    memory_total_bytes: int | None = limited(1, MAX_MEMORY_BYTES)
    memory_limit_bytes: int | None = limited(0, MAX_MEMORY_BYTES)
    memory_available_bytes: int | None = limited(0, MAX_MEMORY_BYTES)
    address_space_bytes: int | None = limited(0, MAX_MEMORY_BYTES)
    private_memory_bytes: int | None = limited(0, MAX_MEMORY_BYTES)
    file_size_limit_bytes: int | None = limited(0, MAX_MEMORY_BYTES)
    swap_free_bytes: int | None = limited(0, MAX_MEMORY_BYTES)
    cpu_model: str | None = None
    cpu_cores_physical: int | None = limited(1, MAX_CORES)
    cpu_cores_performance: int | None = limited(1, MAX_CORES)
    cpu_cores_usable: float | None = limited(MIN_CORES, MAX_CORES)
    instruction_sets: tuple[str, ...] | None = None
    memory_bandwidth_bytes_per_second: int | None = limited(1, MAX_MEMORY_BYTES)
    memory_bandwidth_how: str | None = one_of(*HOWS)
    memory_bandwidth_bound: str | None = one_of(LEAST)
    disks: tuple[Disk, ...] | None = None
    models_present: tuple[PresentModel, ...] | None = None
    accelerators: tuple[Accelerator, ...] | None = None
    runtimes: tuple[PresentRuntime, ...] | None = None
    planning: bool = False
    assumed: tuple[str, ...] = ()
    memory_most_bytes: int | None = limited(1, MAX_MEMORY_BYTES)
    confidence: str | None = one_of(*CONFIDENCES)
    sources: Mapping[str, str] = {}
    unread: tuple[Unread, ...] = ()

    if not TYPE_CHECKING:

        def __init__(self, **values: Any) -> None:
            reader = Reader("Machine", is_json=False)
            values = reader.read(Machine, values)
            reader.check_sizes(values)
            if reader.problems:
                raise reader.error()
            if values.get("architecture") is not None:
                values["architecture"] = normal_architecture(values["architecture"])
            if values.get("system") is not None:
                values["system"] = normal_system(values["system"])
            if values.get("memory_bandwidth_bytes_per_second") is None:
                values |= dict.fromkeys(("memory_bandwidth_how", "memory_bandwidth_bound"))
            values["unread"] = _explained(values)
            super().__init__(**values)

    if TYPE_CHECKING:

        @staticmethod
        def read(*, measure: bool = False, root: str | os.PathLike[str] | None = None) -> Machine:
            """See `reader.read`, which is bound to this name."""

    @classmethod
    def from_json(
        cls,
        data: Any,
        file: str = "machine",
        *,
        unnamed: str = RECORDED,
        text: str = "",
    ) -> Machine:
        """The record in `data`, a decoded `selfhost.machine/1` object. Unknown keys are ignored,
        missing ones become unread.

        `unnamed` is what a machine is called whose record gives it no name. `file` is how errors
        call the input and `text` what it was decoded from. `MachineFileError` carries the first
        MAX_PROBLEMS problems and a count of the rest.
        """
        return _machine_from(Reader(file, text), data, unnamed)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Machine:
        """The record in a JSON file of at most 4 MiB, or in what `/dev/stdin` or `/dev/fd/N` gives.

        Where the record gives no name the machine is called `the recorded machine`.
        `MachineFileError` carries the problems, as `from_json` has them, with the line where that
        is certain.
        """
        from ..core.files import FOLDER, LARGE, Unreadable, read_file, text_of
        from ..core.json_text import Decoder

        expect_type("path", path, (str, os.PathLike))
        name = os.fsdecode(path)
        file = UNPRINTABLE.sub("?", name) or "machine"
        if not name:
            problem = Problem(file=file, message="no file was named", remedy=WRITE_ONE)
            raise MachineFileError([problem])
        try:
            text = text_of(read_file(name, MAX_FILE_BYTES, input_allowed=True))
            document = Decoder(keys_once=True).parse(text)
        except Unreadable as error:
            is_large = ": a machine record takes a few kilobytes" if error.kind == LARGE else ""
            remedy = "name the file in it" if error.kind == FOLDER else error.remedy or WRITE_ONE
            problem = Problem(
                file=file, line=error.line, message=error.reason + is_large, remedy=remedy
            )
            raise MachineFileError([problem]) from None
        return cls.from_json(document, file, text=text)

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

    def with_checked(self, **values: Any) -> Machine:
        """A copy with other values, which are those of records that were checked."""
        own = {name: getattr(self, name) for name in Machine._fields}
        copy = object.__new__(Machine)
        object.__setattr__(copy, "__dict__", {**own, **values})
        return copy

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

    @property
    def called(self) -> str:
        """The machine within a sentence: `this machine`, `the recorded machine`, or its name. A
        name that reads as a place stands in quotes.
        """
        return f'"{self.name}"' if self.name.lower() in ("here", "there") else self.name

    @property
    def is_bandwidth_measured(self) -> bool:
        """The cores of that machine read its memory: the figure is nobody's word."""
        return self.memory_bandwidth_how in (MEASURED, BRIEFLY)

    def assumes(self, fact: str) -> bool:
        """Whether `fact` was taken from the machine's class."""
        return fact in self.assumed

    def why_unread(self, fact: str) -> Unread:
        """The reason why `fact` is None; also of a part, such as `disks.ollama.free_bytes`."""
        return next((entry for entry in self.unread if entry.fact == fact), _not_said(fact))

    def unread_about(self, start: str) -> Unread | None:
        """The first reason for a fact whose name starts like that; None where there is none."""
        return next((entry for entry in self.unread if entry.fact.startswith(start)), None)

    def disk_for(self, purpose: str) -> Disk | None:
        """The place where downloads of that kind land; None when it was not read."""
        return next((disk for disk in self.disks or () if disk.purpose == purpose), None)


# what is told of the computer that asks alone
_NOT_IN_JSON = ("is_this_one", "measured_in_vain")
# what is written where it is known alone
_WHERE_KNOWN = ("memory_most_bytes", "memory_bandwidth_how", "memory_bandwidth_bound")
# facts whose None says that there is none; that of the others always has an Unread
_NO_FACTS = (
    *_WHERE_KNOWN, "emulated_on", "address_space_bytes", "private_memory_bytes",
    "file_size_limit_bytes", "confidence",
)  # fmt: skip
FACTS = tuple(
    name for name in Machine._fields if Machine._defaults[name] is None and name not in _NO_FACTS
)
# what lists hold, by their annotation
_PARTS = {
    f"tuple[{kind.__name__}, ...]": kind
    for kind in (Disk, PresentModel, Accelerator, PresentRuntime, Unread)
}
# parts of list entries of which a None has its Unread, once for the whole list
_EXPLAINED_PARTS = (
    ("accelerators", "memory_total_bytes"),
    ("accelerators", "unified"),
    ("models_present", "complete"),
)


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


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return {name: _plain(getattr(value, name)) for name in type(value)._fields}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value


# ------------------------------------------------------------------ why facts are None


@lru_cache(256)
def _not_said(fact: str) -> Unread:
    remedy = "record the machine again with `selfhost machine --format json`"
    return Unread(fact=fact, reason="the record does not say", remedy=remedy)


def _explained(values: Mapping[str, Any]) -> tuple[Unread, ...]:
    """One entry for each fact in `values` that is None, those given first; entries of facts
    that have a value are left out.
    """
    get = values.get
    missing = [fact for fact in FACTS if get(fact) is None]
    for disk in get("disks") or ():
        parts = ("free_bytes", "writable")
        missing += [f"disks.{disk.purpose}.{p}" for p in parts if getattr(disk, p) is None]
    for name, part in _EXPLAINED_PARTS:
        if any(getattr(entry, part) is None for entry in get(name) or ()):
            missing.append(f"{name}.{part}")
    entries: dict[str, Unread] = {}
    for entry in values.get("unread", ()):
        if entry.fact in missing or not _has_value(entry.fact, values):
            entries.setdefault(entry.fact, entry)
    for fact in missing:
        entries.setdefault(fact, _not_said(fact))
    return tuple(entries.values())


def _has_value(fact: str, values: Mapping[str, Any]) -> bool:
    """Whether a fact, which may be one below another such as `disks.ollama.free_bytes`, is
    there.
    """
    head, below, rest = fact.partition(".")
    value = values.get(head)
    if value is None or head not in FACTS or not below:
        return value is not None and head in FACTS
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


# ------------------------------------------------------------------ what a record may hold


class Reader:
    """Gathers every problem of one record; `error()` has them all.

    `file` is how problems call the record, `text` what it was decoded from, "" where nobody knows:
    it tells the line of a key. Not `is_json`: its values are a program's.
    """

    def __init__(self, file: str, text: str = "", *, is_json: bool = True) -> None:
        self.file = file
        self.text = text
        self.is_json = is_json
        self.problems = Faults(file)

    def problem(self, key: str | None, message: str, remedy: str | None = None) -> None:
        """One more fault, in the line of its key where that is certain: the quoted key stands once
        in the whole text.
        """
        line = None
        if key is not None and not self.problems.full:
            before, at, behind = self.text.partition(f'"{key}"')
            line = before.count("\n") + 1 if at and at not in behind else None
        self.problems.append(
            Problem(file=self.file, line=line, key=key, message=message, remedy=remedy)
        )

    def error(self) -> MachineFileError:
        return MachineFileError(self.problems.problems)

    def read(self, record: type[Record], given: Mapping[str, Any], place: str = "") -> Any:
        """The values of a record's fields as they were given; of JSON what is absent, null or
        faulty is left out, and a problem where it is needed. `place` stands before the key in
        problems, `disks[0].`.
        """
        values: dict[str, Any] = {} if self.is_json else dict(given)
        for name in record._fields if self.is_json else given.keys() & record._kinds.keys():
            value, where = given.get(name), place + name
            if value is not None:
                kind, limits = kind_and_limits(record, name)
                if kind in _PARTS:
                    value = self._records(_PARTS[kind], value, where)
                else:
                    value = _READERS[kind](self, value, where, limits)
                values |= {} if value is None else {name: value}
            elif self.is_json and name not in record._defaults:
                self.problem(where, "is missing")
            elif not self.is_json and record._defaults.get(name, "") is not None:
                self.problem(where, "must not be None")
        return values

    def _records(self, record: type[Record], value: Any, where: str) -> tuple[Record, ...] | None:
        """Each entry of a list as such a record."""
        if not isinstance(value, list | tuple):
            self.problem(where, f"must be a list of {record.__name__}, not {kind_in_json(value)}")
            return None
        if not self.is_json:
            if any(type(each) is not record for each in value):
                self.problem(where, f"must hold nothing but {record.__name__}")
            return tuple(value)
        if len(value) > MAX_ENTRIES:
            self.problem(where, f"has {len(value)} entries", f"at most {MAX_ENTRIES}")
            return None
        kept = []
        for index, entry in enumerate(value):
            place = f"{where}[{index}]"
            if not isinstance(entry, Mapping):
                self.problem(place, f"must be an object, not {kind_in_json(entry)}")
                continue
            values = self.read(record, entry, f"{place}.")
            self._is_above(values, "memory_free_bytes", "memory_total_bytes", f"{place}.")
            if not self.problems:
                kept.append(record(**values))
        return tuple(kept)

    def check_sizes(self, values: Mapping[str, Any]) -> None:
        """Add the sizes that contradict each other."""
        available, limit, total = (
            f"memory_{size}_bytes" for size in ("available", "limit", "total")
        )
        if not self.problems:
            if not self._is_above(values, available, limit):
                self._is_above(values, available, total)
            self._is_above(values, limit, total)

    def _is_above(self, values: Mapping[str, Any], lower: str, upper: str, place: str = "") -> bool:
        """Whether the one is above the other, which it must not be: a problem then."""
        small, large = values.get(lower), values.get(upper)
        if small is None or large is None or small <= large:
            return False
        message = f"is {small}, above {upper}, which is {large}"
        self.problem(place + lower, message, f"it can be at most {large}")
        return True


def _text(reader: Reader, value: Any, where: str, limits: Limits) -> str | None:
    message, remedy = None, None
    if not isinstance(value, str):
        message = f"must be a string, not {kind_in_json(value)}"
    elif not reader.is_json:
        if value not in limits.get("choices", (value,)):
            message, remedy = (
                f"is {_short(value)!r}",
                f"write one of {', '.join(limits['choices'])}",
            )
    elif not value.strip():
        message, remedy = "is empty", f"leave it out or {_WHERE_UNKNOWN}"
    elif len(value) > MAX_TEXT:
        message, remedy = f"is {len(value)} characters long", f"at most {MAX_TEXT}"
    elif UNPRINTABLE.search(value):
        message, remedy = "holds control characters", "write plain text"
    elif "is_time" in limits and not _TIME.fullmatch(value):
        message = f'is "{_short(value)}", not a time'
        remedy = "write for example 2026-10-01T12:00:00Z"
    elif value not in limits.get("choices", (value,)):
        return None
    if message:
        reader.problem(where, message, remedy)
    return None if message else value


def _number(reader: Reader, value: Any, where: str, limits: Limits) -> float | None:
    """A whole number of what is counted in bytes or pieces."""
    least, most = limits["least"], limits["most"]
    is_whole, message = isinstance(least, int), None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 and is_whole:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int if is_whole else int | float):
        kind = "a whole number" if is_whole else "a number"
        message = f"must be {kind}, not {kind_in_json(value)}"
    elif not least <= value <= most:
        message = f"is {_shown(value)}: it must be from {least:,} to {most:,}"
    if message is None:
        return value if is_whole else float(value)
    in_bytes = "write whole bytes, for example 17179869184 for 16 GiB"
    reader.problem(where, message, in_bytes if where.endswith("_bytes") else _WHERE_UNKNOWN)
    return None


def _flag(reader: Reader, value: Any, where: str, limits: Limits) -> bool | None:
    if isinstance(value, bool):
        return value
    reader.problem(where, f"must be true, false or null, not {kind_in_json(value)}")
    return None


def _names(reader: Reader, value: Any, where: str, limits: Limits) -> tuple[str, ...] | None:
    if not isinstance(value, list | tuple):
        reader.problem(where, f"must be a list, not {kind_in_json(value)}")
        return None
    for index, word in enumerate(value):
        is_name = isinstance(word, str) and 0 < len(word) <= MAX_WORD
        if not is_name or UNPRINTABLE.search(word):
            message = f"must be a short name such as avx2, not {kind_in_json(word)}"
            reader.problem(f"{where}[{index}]" if reader.is_json else where, message)
            return None
    return tuple(value)


def _strings(reader: Reader, value: Any, where: str, limits: Limits) -> Mapping[str, str]:
    texts: dict[str, str] = {}
    if not isinstance(value, Mapping):
        reader.problem(where, f"must be an object of strings, not {kind_in_json(value)}")
    elif not reader.is_json:
        return value
    elif len(value) > MAX_ENTRIES:
        reader.problem(where, f"has {len(value)} entries", f"at most {MAX_ENTRIES}")
    else:
        for name, each in value.items():
            if UNPRINTABLE.search(name) or len(name) > MAX_TEXT:
                reader.problem(where, "has a name with control characters or of undue length")
            elif each is not None:
                text = _text(reader, each, f"{where}.{name}", {})
                texts |= {} if text is None else {name: text}
    return texts


_READERS: Mapping[str, Callable[[Reader, Any, str, Limits], Any]] = {
    "str": _text,
    "int": _number,
    "float": _number,
    "bool": _flag,
    "tuple[str, ...]": _names,
    "Mapping[str, str]": _strings,
}


def _machine_from(reader: Reader, json_value: Any, unnamed: str) -> Machine:
    if not isinstance(json_value, Mapping):
        message = f"holds {kind_in_json(json_value)}, not one JSON object"
        reader.problem(None, message, WRITE_ONE)
        raise reader.error()
    name = json_value.get("schema")
    if name != SCHEMA and (name is not None or json_value.keys().isdisjoint(FACTS)):
        message = f"is {kind_in_json(name)}, which is not a machine record this version reads"
        elsewhere = "what another system answers is read by `selfhost audit --machines FILE`"
        reader.problem("schema", message, f'write "schema": "{SCHEMA}"; {elsewhere}')
    own = {key: value for key, value in json_value.items() if key not in _NOT_IN_JSON}
    values = reader.read(Machine, own)
    reader.check_sizes(values)
    if reader.problems:
        raise reader.error()
    if own.get("scope") is not None and "scope" not in values:
        reason = f"the record says {own['scope']!r}, which this version does not know"
        others = (entry for entry in values.get("unread", ()) if entry.fact != "scope")
        values["unread"] = (*others, Unread(fact="scope", reason=reason))
    cards = zip(values.get("accelerators", ()), own.get("accelerators") or (), strict=False)
    if any(card.unified and item.get("unified") is None for card, item in cards):
        why = "not in the record: an Apple GPU always shares the machine's RAM"
        values["sources"] = {"accelerators.unified": why, **values.get("sources", {})}
    # a machine read without `--name` is recorded so
    if values.get("name", UNNAMED) == UNNAMED:
        values["name"] = unnamed
    return Machine(**values)


def checked_name(text: str, key: str = "name") -> str:
    """`text`, if a record may hold it as its name or a label; else `MachineFileError` that
    names `key` and says what to write.
    """
    reader = Reader("machine")
    if _text(reader, text, key, {}) is None:
        remedy = f"give it 1 to {MAX_TEXT} characters of plain text, without line breaks"
        raise MachineFileError([reader.problems.first[0].replace(remedy=remedy)])
    return text


def kind_in_json(value: object) -> str:
    """What a value is in the words of JSON, for a message: `the string "x"`, `a list`, `null`."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return f'the string "{_short(value)}"'
    if isinstance(value, int | float):
        return f"the number {_shown(value)}"
    return "an object" if isinstance(value, Mapping) else "a list"


def _short(text: str) -> str:
    clean = UNPRINTABLE.sub("?", text[:61])
    return clean if len(clean) <= 60 else clean[:59] + "…"


def _shown(value: float) -> str:
    """A number that may have thousands of digits, which `str` refuses to print."""
    return str(value) if abs(value) < 10**30 else "a number of more than 30 digits"
