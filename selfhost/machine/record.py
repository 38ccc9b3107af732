"""Machine: what was read of a computer, as plain values or None, each with where it was read or
why it could not be.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from ..core.caching import lru_cache
from ..core.errors import Faults, MachineFileError, Problem, expect_type
from ..core.records import Record, Unread, pattern

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, TypeVar

    T = TypeVar("T")

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
MAX_TEXT = 2000
MAX_WORD = 100
MAX_ENTRIES = 1000

# control characters and the marks that reorder text: nothing that is printed may hold them
UNPRINTABLE = pattern("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

NETWORK_FILESYSTEMS = frozenset((
    "9p", "afs", "afpfs", "beegfs", "ceph", "cifs", "coda", "drvfs", "gfs2", "glusterfs", "gpfs",
    "lustre", "ncpfs", "nfs", "nfs4", "ocfs2",
    "prl_fs", "smb2", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs", "webdav", "fuse.beegfs",
    "fuse.cephfs", "fuse.curlftpfs",
    "fuse.davfs2", "fuse.gcsfuse", "fuse.glusterfs", "fuse.goofys", "fuse.juicefs", "fuse.rclone",
    "fuse.s3fs", "fuse.smbnetfs",
    "fuse.sshfs", "fuse.vmhgfs-fuse",
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
    "darwin": "macos",
    "osx": "macos",
    "win32": "windows",
    "cygwin": "windows",
    "android": "linux",
}

WRITE_ONE = "write one with `selfhost machine --format json > FILE`"


def normal_architecture(word: str) -> str:
    """`AMD64`, `arm64`, `i586` -> the name that Linux uses: x86_64, aarch64, i686, armv7l, …"""
    name = word.strip().lower()
    return _ARCHITECTURES.get(name, name)


def normal_system(word: str) -> str:
    """`Darwin`, `win32` -> linux, macos, windows; another system by its own name in lower case."""
    name = word.strip().lower()
    return _SYSTEMS.get(name, name)


def checked_name(text: str, key: str = "name") -> str:
    """`text`, if a record may hold it as its name or a label; else `MachineFileError` that
    names `key` and says what to write.
    """
    reader = _Reader("machine", "")
    checked = reader.text_value({key: text}, key)
    if checked is None:
        message = reader.problems.first[0].message if reader.problems else "is missing"
        remedy = f"give it 1 to {MAX_TEXT} characters of plain text, without line breaks"
        raise MachineFileError([Problem(file="machine", key=key, message=message, remedy=remedy)])
    return checked


class Disk(Record):
    """One place where a runtime would store models. `path` has the home folder as `~`.

    `free_bytes` is what an ordinary account may use; `writable` is about the account that stores
    the file: a service's own folder is writable unless its mount is read-only. None is unread,
    never "by another account": the reason is `disks.<purpose>.writable`. `quota`: `free_bytes` and
    `total_bytes` are those of the `user`'s, the `group`'s or the `subvolume`'s quota there; None:
    of the volume. `backing`: the file system or device that holds the bytes of an overlay or a loop
    device; None where `filesystem` does, or where that is not known: then `disks.<purpose>.backing`
    says why. `free_files`: how many files may still be made; None: no limit is known.
    """

    purpose: str
    path: str
    free_bytes: int | None = None
    total_bytes: int | None = None
    filesystem: str | None = None
    writable: bool | None = None
    quota: str | None = None
    backing: str | None = None
    free_files: int | None = None

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


# how the source of a measured or glanced bandwidth ends where it is one end of what is there
AT_LEAST = "so a lower bound"
AT_MOST = "the caches may have answered, so an upper bound"
# neither end: memory gives a part of it at least
PART_OF_CACHE = "and the caches may have answered"
# what stands before the first and the last: other programs had a part of the memory, or some core
# did not come to read in time
BUSY, IN_PART = "busy", "not every core at once"


def was_busy(source: str) -> bool:
    """By the source of a bandwidth, other programs had a part of the memory meanwhile."""
    return source.endswith((f"{BUSY}, {AT_LEAST}", f"{BUSY}, {PART_OF_CACHE}"))


class Accelerator(Record):
    """A GPU or the like. `unified`: it shares the machine's RAM; None where that is not known, so
    it may. Every Apple GPU does.

    `memory_total_bytes` of one that does is what it may use of the RAM.
    `memory_bandwidth_bytes_per_second` is the peak of its own memory. `compute_capability` is
    NVIDIA's (9.0) or AMD's instruction set (gfx1100).
    """

    vendor: str
    name: str
    memory_total_bytes: int | None = None
    memory_free_bytes: int | None = None
    unified: bool | None = None
    driver: str | None = None
    compute_capability: str | None = None
    memory_bandwidth_bytes_per_second: int | None = None

    @property
    def is_part(self) -> bool:
        """An instance of NVIDIA's MIG: a program gets one of them at a time, and no other GPU
        beside it.
        """
        return "MIG" in self.name.split()

    def told(self, key: Any, of: Callable[[Accelerator], T]) -> T:
        """`of` the accelerator, which asks for nothing that changes while it is used. Two rules
        with the same `key` tell the same: an audit asks each of all machines of a kind at once.
        """
        return of(self)

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
    `quantization` as the store or the file's name states it. `by_path`: the runtime's command that
    downloads does not find it there, only one that names its path.
    """

    path: str
    size_bytes: int
    repository: str | None = None
    file: str | None = None
    complete: bool | None = None
    store: str | None = None
    tag: str | None = None
    quantization: str | None = None
    total_bytes: int | None = None
    by_path: bool = False


class Machine(Record):
    """A computer as `selfhost` sees it.

    `is_this_one`: it was read of the computer that asks, by `read`, and may since have been changed
    by `--set`. A record, a profile and a recorded tree are of another, whatever their names say. It
    is no part of the JSON object, which is read elsewhere. Memory in bytes: `memory_total_bytes` is
    the hardware's, `memory_limit_bytes` what this process may ever have (the least of hardware and
    every control group above it), `memory_available_bytes` what it could have now without swapping.
    `emulated_on`: what emulates the processor that programs here are made for, an architecture or
    the emulator's name; None where none shows. `address_space_bytes` and `private_memory_bytes` are
    what `ulimit -v` leaves to this process, mapped files included, and what `ulimit -d` or the
    kernel's CommitLimit leaves, without them; `file_size_limit_bytes` is the largest file that
    `ulimit -f` lets it write. None where there is no such limit. `cpu_cores_usable` has affinity
    and quota applied and may be a fraction; `cpu_cores_performance` are those of
    `cpu_cores_physical` that are of the fastest kind, all of them where they are alike.
    `instruction_sets` are Linux kernel names. `accelerators` is None when it is not known whether
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

    def answer(
        self,
        ask: Callable[[Machine], Any],
        key: Callable[[Machine], tuple[bool, Any]],
        alike: Callable[[Any], Any],
        best: Callable[[Any], bool],
        *,
        alone: bool = False,
        strength: Callable[[Machine], Any] | None = None,
        worst: Callable[[Any], bool] | None = None,
        lacking: Callable[[Any], float | None] | None = None,
        burden: Callable[[], Any] | None = None,
    ) -> Any:
        """What `ask` gives of this machine. One that stands in for many asks it of each kind of
        them: `key` gives all that the answer depends on beside the machine, after whether that
        holds what it depends on of the machine, too; where `alike` gives the same of two answers,
        nobody looks at more of them. `best`: a machine that is the same but with faster memory has
        that answer, too. `alone`: few other kinds would be asked the same.

        `strength` gives of a machine a word and numbers, or None: of two with the same word the one
        whose numbers are all as large or larger has the `best` answer where the other has it, and
        not the `worst` one where the other has another. `burden` gives of what is asked the same:
        of two with the same word the one whose numbers are all as small or smaller. `lacking` gives
        of an answer a number that is about linear in the time that memory takes, and 0 where the
        worst answers end.
        """
        return ask(self)

    def worked_out(self, key: Any, of: Callable[[Machine], Any]) -> Any:
        """What `of` gives of this machine: a number, a word or None that depends on nothing else.
        One that stands in for many works it out once for all of them; `key` is its name.
        """
        return of(self)

    def assumes(self, fact: str) -> bool:
        """Whether `fact` was taken from the machine's class."""
        return fact in self.assumed

    if TYPE_CHECKING:

        @staticmethod
        def read(
            *,
            measure: bool = False,
            root: str | os.PathLike[str] | None = None,
            record: str | os.PathLike[str] | None = None,
            known: Callable[[str], bool] | None = None,
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
            if name not in _NOT_IN_JSON and not (name in _WHERE_ASSUMED and value is None):
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


def rising(of: Callable[[int], T], number: int) -> T:
    """`of` a machine's number, which nowhere falls as the number grows: a word that comes back
    means that it was the same between. A number that stands for many is asked for its steps alone.
    """
    steps = getattr(number, "rising", None)
    answer: T = of(number) if steps is None else steps(of)
    return answer


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return {name: _plain(getattr(value, name)) for name in type(value)._fields}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return dict(value)
    return value


# what is told of the computer that asks alone
_NOT_IN_JSON = ("is_this_one",)
# what is written of a machine that was only named, whose RAM is assumed
_WHERE_ASSUMED = ("memory_most_bytes",)
# facts whose None always has an Unread; that of the others says that there is none
_NO_FACTS = (
    "emulated_on",
    "address_space_bytes",
    "private_memory_bytes",
    "file_size_limit_bytes",
    "memory_most_bytes",
    "confidence",
)
FACTS = tuple(
    name for name in Machine._fields if Machine._defaults[name] is None and name not in _NO_FACTS
)
_HOUR_AND_MINUTE = "([01][0-9]|2[0-3]):[0-5][0-9]"
_TIME = (
    "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    rf"T{_HOUR_AND_MINUTE}:([0-5][0-9]|60)(\.[0-9]+)?(Z|[+-]{_HOUR_AND_MINUTE})"
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
    reader = _Reader("Machine", "")
    for name, value in values.items():
        field = _FIELDS.get(name)
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


def _check_sizes(reader: _Reader, values: Mapping[str, Any]) -> None:
    """Sizes of disks, accelerators and models."""
    for name, parts in _PART_SIZES:
        for index, entry in enumerate(values.get(name) or ()):
            for part in parts:
                size = getattr(entry, part)
                if size is not None and (type(size) is not int or size < 0):
                    reader.whole({part: size}, part, MAX_DISK_BYTES, 0, f"{name}[{index}].{part}")


_PART_SIZES = (
    ("disks", ("free_bytes", "total_bytes", "free_files")),
    (
        "accelerators",
        ("memory_total_bytes", "memory_free_bytes", "memory_bandwidth_bytes_per_second"),
    ),
    ("models_present", ("size_bytes", "total_bytes")),
)


class _Reader:
    """Reads one record and gathers every problem of it."""

    def __init__(self, file: str, text: str, unnamed: str = UNNAMED) -> None:
        self.file = file
        self.text = text
        self.unnamed = unnamed
        self.problems = Faults(file)
        self.assumed_unified = False

    def problem(
        self, key: str | None, message: str, remedy: str | None = None, line: int | None = None
    ) -> None:
        if (
            line is None
            and not self.problems.full
            and key is not None
            and "." not in key
            and "[" not in key
        ):
            # certain only where the quoted key stands once in the whole file
            quoted = f'"{key}"'
            at = self.text.find(quoted)
            if at >= 0 and self.text.find(quoted, at + 1) < 0:
                line = self.text.count("\n", 0, at) + 1
        self.problems.append(
            Problem(file=self.file, line=line, key=key, message=message, remedy=remedy)
        )

    def doubled(self, keys: Sequence[str], more: int = 0) -> None:
        """Keys that stand twice in one object, and how many more do."""
        for key in keys:
            self.problem(_short(key), "stands twice in one object", "keep one")
        self.problems.more += more

    def error(self) -> MachineFileError:
        return MachineFileError(self.problems.problems)

    def machine(self, json_value: Any) -> Machine:
        if not isinstance(json_value, Mapping):
            self.problem(
                None,
                f"holds {_kind(json_value)}, not one JSON object",
                "write it with `selfhost machine --format json`",
            )
            raise self.error()
        self.schema(json_value)
        values: dict[str, Any] = {}
        unread = list(_FIELDS["unread"].read(self, json_value, "unread"))
        for key, field in _FIELDS.items():
            if key != "unread" and key not in _NOT_IN_JSON:
                values[key] = field.read(self, json_value, key)
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
        self.agree(values)
        if self.problems:
            raise self.error()
        if self.assumed_unified:
            values["sources"].setdefault(
                "accelerators.unified",
                "not in the record: an Apple GPU always shares the machine's RAM",
            )
        # a machine read without `--name` is recorded so
        if values["name"] in (None, UNNAMED):
            values["name"] = self.unnamed
        return Machine(**values, unread=tuple(unread))

    def schema(self, json_object: Mapping[str, Any]) -> None:
        name = json_object.get("schema")
        if name is None:
            if not any(fact in json_object for fact in FACTS):
                self.problem(
                    "schema",
                    "is missing, and nothing here is a fact about a machine",
                    f'write "schema": "{SCHEMA}"; what another system answers is read by'
                    " `selfhost audit --machines FILE`",
                )
        elif not isinstance(name, str):
            self.problem(
                "schema", f"must be a string, not {_kind(name)}", f'write "schema": "{SCHEMA}"'
            )
        elif name != SCHEMA:
            newer = name.startswith("selfhost.machine/")
            self.problem(
                "schema",
                f'is "{_short(name)}", which is not a machine record this version reads',
                "use a newer selfhost" if newer else f'a machine record has "schema": "{SCHEMA}"',
            )

    def agree(self, values: dict[str, Any]) -> None:
        """Sizes that contradict each other."""
        order = ("memory_available_bytes", "memory_limit_bytes", "memory_total_bytes")
        for at, lower in enumerate(order):
            for upper in order[at + 1 :]:
                small, large = values.get(lower), values.get(upper)
                if small is not None and large is not None and small > large:
                    self.problem(
                        lower,
                        f"is {small}, above {upper}, which is {large}",
                        f"it can be at most {large}",
                    )
                    break

    def text_value(
        self, json_object: Mapping[str, Any], key: str, path: str | None = None
    ) -> str | None:
        value = json_object.get(key)
        where = path or key
        if value is None:
            return None
        if not isinstance(value, str):
            self.problem(where, f"must be a string, not {_kind(value)}")
        elif not value.strip():
            self.problem(where, "is empty", "leave it out or write null where it is not known")
        elif len(value) > MAX_TEXT:
            self.problem(where, f"is {len(value)} characters long", f"at most {MAX_TEXT}")
        elif UNPRINTABLE.search(value):
            self.problem(where, "holds control characters", "write plain text")
        else:
            return value
        return None

    def whole(
        self,
        json_object: Mapping[str, Any],
        key: str,
        highest: int,
        lowest: int = 0,
        path: str | None = None,
    ) -> int | None:
        value = json_object.get(key)
        where = path or key
        if value is None:
            return None
        remedy = (
            "write whole bytes, for example 17179869184 for 16 GiB"
            if key.endswith("_bytes")
            else None
        )
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            self.problem(where, f"must be a whole number, not {_kind(value)}", remedy)
        elif value < 0:
            self.problem(
                where,
                f"is {_long(value)}: it cannot be negative",
                remedy or "write null where it is not known",
            )
        elif value < lowest:
            self.problem(
                where,
                f"is {value}: it must be at least {lowest}",
                "write null where it is not known",
            )
        elif value > highest:
            self.problem(where, f"is {_long(value)}: no machine has that", remedy)
        else:
            return value
        return None

    def time(self, json_object: Mapping[str, Any], key: str) -> str | None:
        import re

        value = self.text_value(json_object, key)
        if value is not None and not re.fullmatch(_TIME, value):
            self.problem(
                key, f'is "{_short(value)}", not a time', "write for example 2026-10-01T12:00:00Z"
            )
            return None
        return value

    def cores(self, json_object: Mapping[str, Any], key: str) -> float | None:
        value = json_object.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.problem(key, f"must be a number, not {_kind(value)}")
        elif not MIN_CORES <= value <= MAX_CORES:
            self.problem(
                key,
                f"is {_long(value) if isinstance(value, int) else value}: it must be from"
                f" {MIN_CORES} to {MAX_CORES}",
            )
        else:
            return float(value)
        return None

    def names(self, json_object: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
        value = json_object.get(key)
        if value is None:
            return None
        if not isinstance(value, list | tuple):
            self.problem(key, f"must be a list, not {_kind(value)}")
            return None
        for index, item in enumerate(value):
            if (
                not isinstance(item, str)
                or not item
                or len(item) > MAX_WORD
                or UNPRINTABLE.search(item)
            ):
                self.problem(
                    f"{key}[{index}]", f"must be a short name such as avx2, not {_kind(item)}"
                )
                return None
        return tuple(value)

    def mapping(self, json_object: Mapping[str, Any], key: str) -> dict[str, str]:
        value = json_object.get(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.problem(key, f"must be an object of strings, not {_kind(value)}")
            return {}
        if len(value) > MAX_ENTRIES:
            self.problem(key, f"has {len(value)} entries", f"at most {MAX_ENTRIES}")
            return {}
        out: dict[str, str] = {}
        for name in value:
            if not isinstance(name, str) or UNPRINTABLE.search(name) or len(name) > MAX_TEXT:
                self.problem(key, "has a name with control characters or of undue length")
                continue
            text = self.text_value(value, name, f"{key}.{name}")
            if text is not None:
                out[name] = text
        return out

    def records(
        self,
        json_object: Mapping[str, Any],
        key: str,
        read: Callable[[Mapping[str, Any], str], Any],
    ) -> tuple[Any, ...]:
        value = json_object.get(key)
        if value is None:
            return ()
        if not isinstance(value, list | tuple):
            self.problem(key, f"must be a list of objects, not {_kind(value)}")
            return ()
        if len(value) > MAX_ENTRIES:
            self.problem(key, f"has {len(value)} entries", f"at most {MAX_ENTRIES}")
            return ()
        kept = []
        for index, item in enumerate(value):
            if isinstance(item, Mapping):
                kept.append(read(item, f"{key}[{index}]"))
            else:
                self.problem(f"{key}[{index}]", f"must be an object, not {_kind(item)}")
        return tuple(kept)

    def needed(self, item: Mapping[str, Any], key: str, path: str) -> str:
        if item.get(key) is None:
            self.problem(f"{path}.{key}", "is missing")
            return ""
        return self.text_value(item, key, f"{path}.{key}") or ""

    def flag(self, item: Mapping[str, Any], key: str, path: str = "") -> bool | None:
        value = item.get(key)
        if value is not None and not isinstance(value, bool):
            self.problem(
                f"{path}.{key}" if path else key, f"must be true, false or null, not {_kind(value)}"
            )
            return None
        return value

    def disk(self, item: Mapping[str, Any], path: str) -> Disk:
        return Disk(
            purpose=self.needed(item, "purpose", path),
            path=self.needed(item, "path", path),
            free_bytes=self.whole(item, "free_bytes", MAX_DISK_BYTES, 0, f"{path}.free_bytes"),
            total_bytes=self.whole(item, "total_bytes", MAX_DISK_BYTES, 0, f"{path}.total_bytes"),
            filesystem=self.text_value(item, "filesystem", f"{path}.filesystem"),
            writable=self.flag(item, "writable", path),
            quota=self.text_value(item, "quota", f"{path}.quota"),
            backing=self.text_value(item, "backing", f"{path}.backing"),
            free_files=self.whole(item, "free_files", MAX_DISK_BYTES, 0, f"{path}.free_files"),
        )

    def accelerator(self, item: Mapping[str, Any], path: str) -> Accelerator:
        total = self.whole(
            item, "memory_total_bytes", MAX_MEMORY_BYTES, 1, f"{path}.memory_total_bytes"
        )
        free = self.whole(
            item, "memory_free_bytes", MAX_MEMORY_BYTES, 0, f"{path}.memory_free_bytes"
        )
        if total is not None and free is not None and free > total:
            self.problem(
                f"{path}.memory_free_bytes",
                f"is {free}, above memory_total_bytes, which is {total}",
                f"it can be at most {total}",
            )
        accelerator = Accelerator(
            vendor=self.needed(item, "vendor", path),
            name=self.needed(item, "name", path),
            memory_total_bytes=total,
            memory_free_bytes=free,
            unified=self.flag(item, "unified", path),
            driver=self.text_value(item, "driver", f"{path}.driver"),
            compute_capability=self.text_value(
                item, "compute_capability", f"{path}.compute_capability"
            ),
            memory_bandwidth_bytes_per_second=self.whole(
                item,
                "memory_bandwidth_bytes_per_second",
                MAX_MEMORY_BYTES,
                1,
                f"{path}.memory_bandwidth_bytes_per_second",
            ),
        )
        self.assumed_unified |= accelerator.unified is True and item.get("unified") is None
        return accelerator

    def runtime(self, item: Mapping[str, Any], path: str) -> PresentRuntime:
        return PresentRuntime(
            id=self.needed(item, "id", path),
            version=self.text_value(item, "version", f"{path}.version"),
            path=self.text_value(item, "path", f"{path}.path"),
        )

    def model(self, item: Mapping[str, Any], path: str) -> PresentModel:
        if item.get("size_bytes") is None:
            self.problem(f"{path}.size_bytes", "is missing")
        return PresentModel(
            path=self.needed(item, "path", path),
            size_bytes=self.whole(item, "size_bytes", MAX_DISK_BYTES, 0, f"{path}.size_bytes") or 0,
            repository=self.text_value(item, "repository", f"{path}.repository"),
            file=self.text_value(item, "file", f"{path}.file"),
            complete=self.flag(item, "complete", path),
            store=self.text_value(item, "store", f"{path}.store"),
            tag=self.text_value(item, "tag", f"{path}.tag"),
            quantization=self.text_value(item, "quantization", f"{path}.quantization"),
            total_bytes=self.whole(item, "total_bytes", MAX_DISK_BYTES, 0, f"{path}.total_bytes"),
            by_path=self.flag(item, "by_path", path) or False,
        )

    def unread(self, item: Mapping[str, Any], path: str) -> Unread:
        return Unread(
            fact=self.needed(item, "fact", path),
            reason=self.needed(item, "reason", path),
            remedy=self.text_value(item, "remedy", f"{path}.remedy"),
        )


class _Field:
    """One kind of field: how it is read from a record and checked when a machine is made."""

    def read(self, reader: _Reader, json_object: Mapping[str, Any], key: str) -> Any:
        """The value of a JSON object; None where it is absent or faulty."""
        raise NotImplementedError

    def checked(self, reader: _Reader, key: str, value: Any) -> Any:
        """The value of a machine that is made; a fault is a problem of `reader`."""
        raise NotImplementedError


class _Whole(_Field):
    """A whole number between two limits."""

    def __init__(self, lowest: int, highest: int) -> None:
        self.lowest, self.highest = lowest, highest

    def read(self, reader: _Reader, json_object: Mapping[str, Any], key: str) -> int | None:
        return reader.whole(json_object, key, self.highest, self.lowest)

    def checked(self, reader: _Reader, key: str, value: Any) -> Any:
        if type(value) is int and self.lowest <= value <= self.highest:
            return value
        return self.read(reader, {key: value}, key)


class _Cores(_Field):
    """A number of cores, which may be a fraction."""

    def read(self, reader: _Reader, json_object: Mapping[str, Any], key: str) -> float | None:
        return reader.cores(json_object, key)

    def checked(self, reader: _Reader, key: str, value: Any) -> Any:
        if type(value) in (int, float) and MIN_CORES <= value <= MAX_CORES:
            return value
        return self.read(reader, {key: value}, key)


class _Text(_Field):
    """A line of text; with `choices` a machine that is made has one of them."""

    def __init__(self, choices: Sequence[str] = ()) -> None:
        self.choices = choices

    def read(self, reader: _Reader, json_object: Mapping[str, Any], key: str) -> str | None:
        return reader.text_value(json_object, key)

    def checked(self, reader: _Reader, key: str, value: Any) -> Any:
        if type(value) is not str:
            reader.problem(key, f"must be a string, not {_kind(value)}")
        elif self.choices and value not in self.choices:
            reader.problem(key, f"is {_kind(value)}", f"write one of {', '.join(self.choices)}")
        return value


class _Time(_Text):
    """A time as ISO 8601 writes it."""

    def read(self, reader: _Reader, json_object: Mapping[str, Any], key: str) -> str | None:
        return reader.time(json_object, key)


class _Flag(_Field):
    def read(self, reader: _Reader, json_object: Mapping[str, Any], key: str) -> bool | None:
        return reader.flag(json_object, key)

    def checked(self, reader: _Reader, key: str, value: Any) -> Any:
        if type(value) is not bool:
            reader.problem(key, f"must be True or False, not {_kind(value)}")
        return value


class _Strings(_Field):
    """An object whose values are text."""

    def read(self, reader: _Reader, json_object: Mapping[str, Any], key: str) -> dict[str, str]:
        return reader.mapping(json_object, key)

    def checked(self, reader: _Reader, key: str, value: Any) -> Any:
        if not isinstance(value, Mapping):
            reader.problem(key, f"must be an object of strings, not {_kind(value)}")
        return value


class _Tuple(_Field):
    """Several values of one type."""

    def __init__(self, entry: type, read: Callable[[_Reader, Mapping[str, Any], str], Any]) -> None:
        self.entry, self._read = entry, read

    def read(self, reader: _Reader, json_object: Mapping[str, Any], key: str) -> Any:
        return self._read(reader, json_object, key)

    def checked(self, reader: _Reader, key: str, value: Any) -> Any:
        if not isinstance(value, tuple | list):
            reader.problem(key, f"must be a tuple of {self.entry.__name__}, not {_kind(value)}")
        elif not set(map(type, value)) <= {self.entry}:
            reader.problem(key, f"must hold nothing but {self.entry.__name__}")
        elif type(value) is not tuple:
            return tuple(value)
        return value


def _listed(
    entry: type, read: Callable[[_Reader, Mapping[str, Any], str], Any], *, optional: bool = True
) -> _Tuple:
    """Records of one type, each read by `read` from its object and its path."""

    def read_all(
        reader: _Reader, json_object: Mapping[str, Any], key: str
    ) -> tuple[Any, ...] | None:
        if optional and json_object.get(key) is None:
            return None
        return reader.records(json_object, key, lambda item, path: read(reader, item, path))

    return _Tuple(entry, read_all)


_MEMORY = _Whole(0, MAX_MEMORY_BYTES)
# Every field of the record: its type and its limits. `Machine` has its default
_FIELDS: dict[str, _Field] = {
    "name": _Text(),
    "is_this_one": _Flag(),
    "labels": _Strings(),
    "read_at": _Time(),
    "scope": _Text(SCOPES),
    "system": _Text(),
    "architecture": _Text(),
    "emulated_on": _Text(),
    "memory_total_bytes": _Whole(1, MAX_MEMORY_BYTES),
    "memory_limit_bytes": _MEMORY,
    "memory_available_bytes": _MEMORY,
    "address_space_bytes": _MEMORY,
    "private_memory_bytes": _MEMORY,
    "file_size_limit_bytes": _MEMORY,
    "swap_free_bytes": _MEMORY,
    "cpu_model": _Text(),
    "cpu_cores_physical": _Whole(1, MAX_CORES),
    "cpu_cores_performance": _Whole(1, MAX_CORES),
    "cpu_cores_usable": _Cores(),
    "instruction_sets": _Tuple(str, _Reader.names),
    "memory_bandwidth_bytes_per_second": _Whole(1, MAX_MEMORY_BYTES),
    "disks": _listed(Disk, _Reader.disk),
    "models_present": _listed(PresentModel, _Reader.model),
    "accelerators": _listed(Accelerator, _Reader.accelerator),
    "runtimes": _listed(PresentRuntime, _Reader.runtime),
    "planning": _Flag(),
    "assumed": _Tuple(str, _Reader.names),
    "memory_most_bytes": _MEMORY,
    "confidence": _Text(CONFIDENCES),
    "sources": _Strings(),
    "unread": _listed(Unread, _Reader.unread, optional=False),
}
# of which a machine that is made has a value
_REQUIRED = frozenset(_FIELDS).difference(FACTS, _NO_FACTS)


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'the string "{_short(value)}"'
    if isinstance(value, int):
        return f"the number {_long(value)}"
    if isinstance(value, float):
        return f"the number {value}"
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, list | tuple) else "something else"


def _short(text: str) -> str:
    clean = UNPRINTABLE.sub("?", text[:61])
    return clean if len(clean) <= 60 else clean[:59] + "…"


def _long(value: int) -> str:
    """A number that may have thousands of digits, which `str` refuses to print."""
    return str(value) if abs(value) < 10**30 else "a number of more than 30 digits"


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
    reader = _Reader(file, "", unnamed)
    reader.doubled(doubled, more_doubled)
    return reader.machine(json_value)


def fact_of(key: str, value: Any) -> Any:
    """One field of a record by its own rule; None where the rule refuses it."""
    checked = _FIELDS[key].read(_OF_ONE_FACT[-1], {key: value}, key)
    if not _OF_ONE_FACT[-1].problems:
        return checked
    # a reader that refused something is not asked again
    _OF_ONE_FACT[-1] = _Reader("", "")
    return None


# a fleet has hundreds of thousands of names and times
_OF_ONE_FACT = [_Reader("", "")]


def _from_file(path: str | os.PathLike[str]) -> Machine:
    import os

    from ..core.json_text import Decoder
    from ..core.reading import FOLDER, LARGE, Unreadable, read_file, text_of

    named = os.fsdecode(path)
    name = UNPRINTABLE.sub("?", named) or "machine"
    if not named:
        raise MachineFileError([Problem(file=name, message="no file was named", remedy=WRITE_ONE)])
    try:
        text = text_of(read_file(named, MAX_FILE_BYTES, input_allowed=True))
        reader = _Reader(name, text, RECORDED)

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
    return reader.machine(document)


def has_accelerator(machine: Machine) -> bool:
    """Whether it has one with memory of its own: what shares the RAM holds no part less."""
    return any(card.unified is not True for card in machine.accelerators or ())
