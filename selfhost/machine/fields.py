"""What the record of a machine is made of: its disks, accelerators, runtimes and models, and how
each of its fields is read from JSON and checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..core.errors import Faults, MachineFileError, Problem
from ..core.records import Record, Unread, pattern

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

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
    reader = Reader("machine", "")
    checked: str | None = Field("text").read(reader, {key: text}, key)
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


# what to do about a fact that is not read
FILL_IN = (
    "fill it in: `selfhost machine --format json > m.json` on the machine itself (with `--root DIR`"
    " of a recorded tree), edit m.json, then add `--machine m.json` to `selfhost check`"
)
SET_MEMORY = "state it: add `--set memory=16GiB` to `selfhost check`"
SET_DISK = "state it: add `--set disk=100GB` to `selfhost check`"

# how the source of a measured bandwidth ends where more may be there
AT_LEAST = "so a lower bound"
# what stands before that: other programs had a part of the memory
BUSY = "busy"
# how the source of one begins that was measured in a moment
AT_PRESENT = "measured at present"
# and of a stated one where somebody told how many modules there are, and neither kind nor rate
RATE_ASSUMED = "at the rate that is usual"
# and where somebody told these, and not how many channels are filled
FILLED_ASSUMED = ", with both channels filled"


def was_busy(source: str) -> bool:
    """By the source of a bandwidth, other programs had a part of the memory meanwhile."""
    return source.endswith(f"{BUSY}, {AT_LEAST}")


def was_at_present(source: str) -> bool:
    """By the source of a bandwidth, it was measured in a moment."""
    return source.startswith(AT_PRESENT)


def was_read_by_cores(source: str) -> bool:
    """By the source of a bandwidth, the cores of that machine read it: it is nobody's word."""
    return source.startswith("measured")


def bound_of(source: str) -> str | None:
    """By the source of a bandwidth, which end of what is there it is: `least`, or None."""
    return "least" if source.endswith(AT_LEAST) else None


def bounded(rate: str, source: str) -> str:
    """The rate with "at least" before it where its source says that it is the lower end."""
    bound = bound_of(source)
    return rate if bound is None else f"at {bound} {rate}"


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


_HOUR_AND_MINUTE = "([01][0-9]|2[0-3]):[0-5][0-9]"
_TIME = pattern(
    "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    rf"T{_HOUR_AND_MINUTE}:([0-5][0-9]|60)(\.[0-9]+)?(Z|[+-]{_HOUR_AND_MINUTE})"
)
_WHERE_UNKNOWN = "write null where it is not known"


class Reader:
    """Gathers every problem of one record; `error()` has them all.

    `file` is how problems call the record, `text` what it was decoded from, "" where nobody knows:
    it tells the line of a key. `unnamed` is what a machine without a name is called.
    """

    def __init__(self, file: str, text: str, unnamed: str = UNNAMED) -> None:
        self.file = file
        self.text = text
        self.unnamed = unnamed
        self.problems = Faults(file)
        self.assumed_unified = False

    def problem(
        self, key: str | None, message: str, remedy: str | None = None, line: int | None = None
    ) -> None:
        """One more fault. Without a `line` that of the key is looked for."""
        if line is None and key is not None and not self.problems.full:
            # certain only where the quoted key stands once in the whole file
            before, at, behind = self.text.partition(f'"{key}"')
            line = before.count("\n") + 1 if at and at not in behind else None
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

    def schema(self, json_object: Mapping[str, Any], facts: Sequence[str]) -> None:
        """Whether it is a record at all. `facts`: the keys that tell of a machine."""
        name = json_object.get("schema")
        write = f'write "schema": "{SCHEMA}"'
        if name is None and not any(fact in json_object for fact in facts):
            message = "is missing, and nothing here is a fact about a machine"
            others = "; what another system answers is read by `selfhost audit --machines FILE`"
            self.problem("schema", message, write + others)
        elif name is not None and not isinstance(name, str):
            self.problem("schema", f"must be a string, not {kind_in_json(name)}", write)
        elif name not in (None, SCHEMA):
            is_newer = str(name).startswith("selfhost.machine/")
            message = f'is "{_short(str(name))}", which is not a machine record this version reads'
            older = f'a machine record has "schema": "{SCHEMA}"'
            self.problem("schema", message, "use a newer selfhost" if is_newer else older)

    def agree(self, values: Mapping[str, Any]) -> None:
        """Sizes that contradict each other."""
        available, limit, total = (
            f"memory_{size}_bytes" for size in ("available", "limit", "total")
        )
        for lower, uppers in ((available, (limit, total)), (limit, (total,))):
            for upper in uppers:
                if self.is_above(values, lower, upper):
                    break

    def is_above(self, values: Mapping[str, Any], lower: str, upper: str, place: str = "") -> bool:
        """Whether the one is above the other, which it must not be: a problem then."""
        small, large = values.get(lower), values.get(upper)
        if small is None or large is None or small <= large:
            return False
        message = f"is {small}, above {upper}, which is {large}"
        self.problem(place + lower, message, f"it can be at most {large}")
        return True


class Field:
    """How one field is read from JSON and checked when a machine is made.

    `kind`: text, time, whole, cores, flag, strings (an object of texts), names (short words), or
    the record that it is a list of. `lowest` and `highest` are allowed values, in the unit that the
    field's name ends with. `choices`: of these a machine that is made has one.
    """

    def __init__(
        self,
        kind: str | type[Record],
        lowest: float = 0,
        highest: float = 0,
        *,
        choices: Sequence[str] = (),
        is_optional: bool = True,
    ) -> None:
        self.kind = kind
        self.lowest, self.highest = lowest, highest
        self.choices = choices
        self.is_optional = is_optional

    def read(
        self, reader: Reader, json_object: Mapping[str, Any], key: str, place: str = ""
    ) -> Any:
        """The value of a JSON object; None, of an object `{}`, where it is absent or faulty: that
        is a problem then. `place` stands before the key in problems, `disks[0].`.
        """
        value, where = json_object.get(key), place + key
        if not isinstance(self.kind, str):
            return _records(reader, value, where, self)
        if value is None:
            return {} if self.kind == "strings" else None
        read = _READERS[self.kind]
        return read(reader, value, where, self)

    def checked(self, reader: Reader, key: str, value: Any) -> Any:
        """The value of a machine that is made; a fault is a problem of `reader`."""
        if self.kind in ("whole", "cores"):
            is_number = type(value) is int or (self.kind == "cores" and type(value) is float)
            if is_number and self.lowest <= value <= self.highest:
                return value
            return self.read(reader, {key: value}, key)
        if self.kind in ("flag", "strings", "text", "time"):
            expected, what = _EXPECTED[str(self.kind)]
            if not isinstance(value, expected):
                reader.problem(key, f"must be {what}, not {kind_in_json(value)}")
            elif self.choices and value not in self.choices:
                listed = ", ".join(self.choices)
                reader.problem(key, f"is {kind_in_json(value)}", f"write one of {listed}")
            return value
        entry = str if self.kind == "names" else self.kind
        called = getattr(entry, "__name__", "")
        if not isinstance(value, tuple | list):
            reader.problem(key, f"must be a tuple of {called}, not {kind_in_json(value)}")
        elif any(type(each) is not entry for each in value):
            reader.problem(key, f"must hold nothing but {called}")
        else:
            return tuple(value)
        return value


_EXPECTED: Mapping[str, tuple[Any, str]] = {
    "flag": (bool, "True or False"),
    "strings": (Mapping, "an object of strings"),
    "text": (str, "a string"),
    "time": (str, "a string"),
}


def _text(reader: Reader, value: Any, where: str, field: Field) -> str | None:
    if not isinstance(value, str):
        reader.problem(where, f"must be a string, not {kind_in_json(value)}")
    elif not value.strip():
        reader.problem(where, "is empty", f"leave it out or {_WHERE_UNKNOWN}")
    elif len(value) > MAX_TEXT:
        reader.problem(where, f"is {len(value)} characters long", f"at most {MAX_TEXT}")
    elif UNPRINTABLE.search(value):
        reader.problem(where, "holds control characters", "write plain text")
    else:
        return value
    return None


def _time(reader: Reader, value: Any, where: str, field: Field) -> str | None:
    text = _text(reader, value, where, field)
    if text is None or _TIME.fullmatch(text):
        return text
    example = "write for example 2026-10-01T12:00:00Z"
    reader.problem(where, f'is "{_short(text)}", not a time', example)
    return None


def _whole(reader: Reader, value: Any, where: str, field: Field) -> int | None:
    in_bytes = "write whole bytes, for example 17179869184 for 16 GiB"
    remedy = in_bytes if where.endswith("_bytes") else None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        reader.problem(where, f"must be a whole number, not {kind_in_json(value)}", remedy)
    elif value < 0:
        message = f"is {_long(value)}: it cannot be negative"
        reader.problem(where, message, remedy or _WHERE_UNKNOWN)
    elif value < field.lowest:
        reader.problem(where, f"is {value}: it must be at least {field.lowest}", _WHERE_UNKNOWN)
    elif value > field.highest:
        reader.problem(where, f"is {_long(value)}: no machine has that", remedy)
    else:
        return value
    return None


def _cores(reader: Reader, value: Any, where: str, field: Field) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        reader.problem(where, f"must be a number, not {kind_in_json(value)}")
    elif not field.lowest <= value <= field.highest:
        shown = _long(value) if isinstance(value, int) else value
        reader.problem(where, f"is {shown}: it must be from {field.lowest} to {field.highest}")
    else:
        return float(value)
    return None


def _flag(reader: Reader, value: Any, where: str, field: Field) -> bool | None:
    if isinstance(value, bool):
        return value
    reader.problem(where, f"must be true, false or null, not {kind_in_json(value)}")
    return None


def _names(reader: Reader, value: Any, where: str, field: Field) -> tuple[str, ...] | None:
    if not isinstance(value, list | tuple):
        reader.problem(where, f"must be a list, not {kind_in_json(value)}")
        return None
    for index, word in enumerate(value):
        is_name = isinstance(word, str) and 0 < len(word) <= MAX_WORD
        if not is_name or UNPRINTABLE.search(word):
            message = f"must be a short name such as avx2, not {kind_in_json(word)}"
            reader.problem(f"{where}[{index}]", message)
            return None
    return tuple(value)


def _strings(reader: Reader, value: Any, where: str, field: Field) -> dict[str, str]:
    texts: dict[str, str] = {}
    if not isinstance(value, Mapping):
        reader.problem(where, f"must be an object of strings, not {kind_in_json(value)}")
    elif len(value) > MAX_ENTRIES:
        reader.problem(where, f"has {len(value)} entries", f"at most {MAX_ENTRIES}")
    else:
        for name, each in value.items():
            if not isinstance(name, str) or UNPRINTABLE.search(name) or len(name) > MAX_TEXT:
                reader.problem(where, "has a name with control characters or of undue length")
            elif each is not None:
                text = _text(reader, each, f"{where}.{name}", field)
                texts |= {} if text is None else {name: text}
    return texts


_READERS: Mapping[str, Callable[[Reader, Any, str, Field], Any]] = {
    "text": _text,
    "time": _time,
    "whole": _whole,
    "cores": _cores,
    "flag": _flag,
    "names": _names,
    "strings": _strings,
}


def _records(reader: Reader, value: Any, where: str, field: Field) -> tuple[Record, ...] | None:
    """Each object of a list as a record of that kind."""
    if value is None:
        return None if field.is_optional else ()
    if not isinstance(value, list | tuple):
        reader.problem(where, f"must be a list of objects, not {kind_in_json(value)}")
        return ()
    if len(value) > MAX_ENTRIES:
        reader.problem(where, f"has {len(value)} entries", f"at most {MAX_ENTRIES}")
        return ()
    kept = []
    for index, entry in enumerate(value):
        place = f"{where}[{index}]"
        if isinstance(entry, Mapping):
            kept.append(_entry(reader, field.kind, entry, f"{place}."))
        else:
            reader.problem(place, f"must be an object, not {kind_in_json(entry)}")
    return tuple(kept)


def _entry(reader: Reader, kind: Any, item: Mapping[str, Any], place: str) -> Record:
    """A record of that kind; what is faulty in it is empty."""
    values: dict[str, Any] = {}
    for name in kind._fields:
        field = PARTS.get(name, _ANY_TEXT)
        value = field.read(reader, item, name, place)
        is_required = name not in kind._defaults
        if is_required and item.get(name) is None:
            reader.problem(place + name, "is missing")
        if value is not None:
            values[name] = value
        elif is_required:
            values[name] = 0 if field.kind == "whole" else ""
    record: Record = kind(**values)
    if isinstance(record, Accelerator):
        reader.is_above(values, "memory_free_bytes", "memory_total_bytes", place)
        reader.assumed_unified |= record.unified is True and item.get("unified") is None
    return record


_ANY_TEXT = Field("text")
_SIZE_ON_DISK = Field("whole", 0, MAX_DISK_BYTES)
# The fields of disks, models and accelerators that are no text
PARTS: Mapping[str, Field] = {
    "writable": Field("flag"),
    "unified": Field("flag"),
    "complete": Field("flag"),
    "by_path": Field("flag"),
    "free_bytes": _SIZE_ON_DISK,
    "total_bytes": _SIZE_ON_DISK,
    "size_bytes": _SIZE_ON_DISK,
    "free_files": _SIZE_ON_DISK,
    "memory_total_bytes": Field("whole", 1, MAX_MEMORY_BYTES),
    "memory_free_bytes": Field("whole", 0, MAX_MEMORY_BYTES),
    "memory_bandwidth_bytes_per_second": Field("whole", 1, MAX_MEMORY_BYTES),
}
_MEMORY = Field("whole", 0, MAX_MEMORY_BYTES)
# Every field of the record: its type and its limits. `Machine` has its default
FIELDS: dict[str, Field] = {
    "name": _ANY_TEXT,
    "is_this_one": Field("flag"),
    "measured_in_vain": Field("flag"),
    "labels": Field("strings"),
    "read_at": Field("time"),
    "scope": Field("text", choices=SCOPES),
    "system": _ANY_TEXT,
    "architecture": _ANY_TEXT,
    "emulated_on": _ANY_TEXT,
    "memory_total_bytes": Field("whole", 1, MAX_MEMORY_BYTES),
    "memory_limit_bytes": _MEMORY,
    "memory_available_bytes": _MEMORY,
    "address_space_bytes": _MEMORY,
    "private_memory_bytes": _MEMORY,
    "file_size_limit_bytes": _MEMORY,
    "swap_free_bytes": _MEMORY,
    "cpu_model": _ANY_TEXT,
    "cpu_cores_physical": Field("whole", 1, MAX_CORES),
    "cpu_cores_performance": Field("whole", 1, MAX_CORES),
    "cpu_cores_usable": Field("cores", MIN_CORES, MAX_CORES),
    "instruction_sets": Field("names"),
    "memory_bandwidth_bytes_per_second": Field("whole", 1, MAX_MEMORY_BYTES),
    "disks": Field(Disk),
    "models_present": Field(PresentModel),
    "accelerators": Field(Accelerator),
    "runtimes": Field(PresentRuntime),
    "planning": Field("flag"),
    "assumed": Field("names"),
    "memory_most_bytes": Field("whole", 1, MAX_MEMORY_BYTES),
    "confidence": Field("text", choices=CONFIDENCES),
    "sources": Field("strings"),
    "unread": Field(Unread, is_optional=False),
}


def kind_in_json(value: object) -> str:
    """What a value is in the words of JSON, for a message: `the string "x"`, `a list`, `null`."""
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
