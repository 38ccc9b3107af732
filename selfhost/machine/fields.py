"""What the record of a machine is made of: its disks, accelerators, runtimes and models, and how
each of its fields is read from JSON and checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..core.errors import Faults, MachineFileError, Problem
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
    reader = Reader("machine", "")
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


class Reader:
    """Reads one record and gathers every problem of it; `error()` has them all.

    `file` is how problems call the record, `text` what it was decoded from, "" where nobody knows:
    it tells the line of a key. `unnamed` is what a machine without a name is called. A method for
    one kind of value gives None where the key is absent or null, and also where it is faulty: that
    is a problem then. `path` is the key as problems write it, `disks[0].free_bytes`.
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
        """One more fault. Without a `line` that of the key is found, where that is certain."""
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

    def schema(self, json_object: Mapping[str, Any], facts: Sequence[str]) -> None:
        """Whether it is a record at all. `facts`: the keys that tell of a machine."""
        name = json_object.get("schema")
        if name is None:
            if not any(fact in json_object for fact in facts):
                self.problem(
                    "schema",
                    "is missing, and nothing here is a fact about a machine",
                    f'write "schema": "{SCHEMA}"; what another system answers is read by'
                    " `selfhost audit --machines FILE`",
                )
        elif not isinstance(name, str):
            self.problem(
                "schema",
                f"must be a string, not {kind_in_json(name)}",
                f'write "schema": "{SCHEMA}"',
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
            self.problem(where, f"must be a string, not {kind_in_json(value)}")
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
        """A whole number; both limits are allowed values, in the unit that the key ends with."""
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
            self.problem(where, f"must be a whole number, not {kind_in_json(value)}", remedy)
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
        value = self.text_value(json_object, key)
        if value is not None and not _TIME.fullmatch(value):
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
            self.problem(key, f"must be a number, not {kind_in_json(value)}")
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
            self.problem(key, f"must be a list, not {kind_in_json(value)}")
            return None
        for index, word in enumerate(value):
            if (
                not isinstance(word, str)
                or not word
                or len(word) > MAX_WORD
                or UNPRINTABLE.search(word)
            ):
                self.problem(
                    f"{key}[{index}]",
                    f"must be a short name such as avx2, not {kind_in_json(word)}",
                )
                return None
        return tuple(value)

    def mapping(self, json_object: Mapping[str, Any], key: str) -> dict[str, str]:
        value = json_object.get(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.problem(key, f"must be an object of strings, not {kind_in_json(value)}")
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
            self.problem(key, f"must be a list of objects, not {kind_in_json(value)}")
            return ()
        if len(value) > MAX_ENTRIES:
            self.problem(key, f"has {len(value)} entries", f"at most {MAX_ENTRIES}")
            return ()
        kept = []
        for index, entry in enumerate(value):
            if isinstance(entry, Mapping):
                kept.append(read(entry, f"{key}[{index}]"))
            else:
                self.problem(f"{key}[{index}]", f"must be an object, not {kind_in_json(entry)}")
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
                f"{path}.{key}" if path else key,
                f"must be true, false or null, not {kind_in_json(value)}",
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

    def read(self, reader: Reader, json_object: Mapping[str, Any], key: str) -> Any:
        """The value of a JSON object; None where it is absent or faulty."""
        raise NotImplementedError

    def checked(self, reader: Reader, key: str, value: Any) -> Any:
        """The value of a machine that is made; a fault is a problem of `reader`."""
        raise NotImplementedError


class _Whole(_Field):
    """A whole number between two limits."""

    def __init__(self, lowest: int, highest: int) -> None:
        self.lowest, self.highest = lowest, highest

    def read(self, reader: Reader, json_object: Mapping[str, Any], key: str) -> int | None:
        return reader.whole(json_object, key, self.highest, self.lowest)

    def checked(self, reader: Reader, key: str, value: Any) -> Any:
        if type(value) is int and self.lowest <= value <= self.highest:
            return value
        return self.read(reader, {key: value}, key)


class _Cores(_Field):
    """A number of cores, which may be a fraction."""

    def read(self, reader: Reader, json_object: Mapping[str, Any], key: str) -> float | None:
        return reader.cores(json_object, key)

    def checked(self, reader: Reader, key: str, value: Any) -> Any:
        if type(value) in (int, float) and MIN_CORES <= value <= MAX_CORES:
            return value
        return self.read(reader, {key: value}, key)


class _Text(_Field):
    """A line of text; with `choices` a machine that is made has one of them."""

    def __init__(self, choices: Sequence[str] = ()) -> None:
        self.choices = choices

    def read(self, reader: Reader, json_object: Mapping[str, Any], key: str) -> str | None:
        return reader.text_value(json_object, key)

    def checked(self, reader: Reader, key: str, value: Any) -> Any:
        if type(value) is not str:
            reader.problem(key, f"must be a string, not {kind_in_json(value)}")
        elif self.choices and value not in self.choices:
            reader.problem(
                key, f"is {kind_in_json(value)}", f"write one of {', '.join(self.choices)}"
            )
        return value


class _Time(_Text):
    """A time as ISO 8601 writes it."""

    def read(self, reader: Reader, json_object: Mapping[str, Any], key: str) -> str | None:
        return reader.time(json_object, key)


class _Flag(_Field):
    def read(self, reader: Reader, json_object: Mapping[str, Any], key: str) -> bool | None:
        return reader.flag(json_object, key)

    def checked(self, reader: Reader, key: str, value: Any) -> Any:
        if type(value) is not bool:
            reader.problem(key, f"must be True or False, not {kind_in_json(value)}")
        return value


class _Strings(_Field):
    """An object whose values are text."""

    def read(self, reader: Reader, json_object: Mapping[str, Any], key: str) -> dict[str, str]:
        return reader.mapping(json_object, key)

    def checked(self, reader: Reader, key: str, value: Any) -> Any:
        if not isinstance(value, Mapping):
            reader.problem(key, f"must be an object of strings, not {kind_in_json(value)}")
        return value


class _Tuple(_Field):
    """Several values of one type."""

    def __init__(self, entry: type, read: Callable[[Reader, Mapping[str, Any], str], Any]) -> None:
        self.entry, self._read = entry, read

    def read(self, reader: Reader, json_object: Mapping[str, Any], key: str) -> Any:
        return self._read(reader, json_object, key)

    def checked(self, reader: Reader, key: str, value: Any) -> Any:
        if not isinstance(value, tuple | list):
            reader.problem(
                key, f"must be a tuple of {self.entry.__name__}, not {kind_in_json(value)}"
            )
        elif not set(map(type, value)) <= {self.entry}:
            reader.problem(key, f"must hold nothing but {self.entry.__name__}")
        elif type(value) is not tuple:
            return tuple(value)
        return value


def _listed(
    entry: type, read: Callable[[Reader, Mapping[str, Any], str], Any], *, optional: bool = True
) -> _Tuple:
    """Records of one type, each read by `read` from its object and its path."""

    def read_all(
        reader: Reader, json_object: Mapping[str, Any], key: str
    ) -> tuple[Any, ...] | None:
        if optional and json_object.get(key) is None:
            return None
        return reader.records(json_object, key, lambda item, path: read(reader, item, path))

    return _Tuple(entry, read_all)


_MEMORY = _Whole(0, MAX_MEMORY_BYTES)
# Every field of the record: its type and its limits. `Machine` has its default
FIELDS: dict[str, _Field] = {
    "name": _Text(),
    "is_this_one": _Flag(),
    "measured_in_vain": _Flag(),
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
    "instruction_sets": _Tuple(str, Reader.names),
    "memory_bandwidth_bytes_per_second": _Whole(1, MAX_MEMORY_BYTES),
    "disks": _listed(Disk, Reader.disk),
    "models_present": _listed(PresentModel, Reader.model),
    "accelerators": _listed(Accelerator, Reader.accelerator),
    "runtimes": _listed(PresentRuntime, Reader.runtime),
    "planning": _Flag(),
    "assumed": _Tuple(str, Reader.names),
    "memory_most_bytes": _MEMORY,
    "confidence": _Text(CONFIDENCES),
    "sources": _Strings(),
    "unread": _listed(Unread, Reader.unread, optional=False),
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
