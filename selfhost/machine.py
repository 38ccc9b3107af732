"""Machine: what was read of a computer, as plain values or None, each with where it was read or why it could not be."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .errors import MachineFileError, Problem
from .facts import Record, Unread

if TYPE_CHECKING:
    import os

SCHEMA = "selfhost.machine/1"
SCOPES = ("host", "vm", "container")

# above what any machine has: x86 and Arm address at most 2**52 bytes of memory; network volumes report up to 2**64 bytes free
MAX_MEMORY_BYTES = 2**52
MAX_DISK_BYTES = 2**64
MAX_CORES = 2**20
MAX_FILE_BYTES = 4 * 2**20
MAX_TEXT = 2000
MAX_ENTRIES = 1000

# control characters and the marks that reorder text: nothing that is printed may hold them
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

NETWORK_FILESYSTEMS = frozenset((
    "9p", "afs", "afpfs", "beegfs", "ceph", "cifs", "coda", "drvfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2",
    "prl_fs", "smb2", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs", "webdav", "fuse.beegfs", "fuse.cephfs", "fuse.curlftpfs",
    "fuse.davfs2", "fuse.gcsfuse", "fuse.glusterfs", "fuse.goofys", "fuse.juicefs", "fuse.rclone", "fuse.s3fs", "fuse.smbnetfs",
    "fuse.sshfs", "fuse.vmhgfs-fuse",
))  # fmt: skip
MEMORY_FILESYSTEMS = frozenset(("tmpfs", "ramfs", "devtmpfs"))
# the largest file a FAT32 volume holds
_FAT_FILE_BYTES = 2**32 - 1
_FAT_FILESYSTEMS = frozenset(("vfat", "msdos", "fat", "fat16", "fat32"))


class Disk(Record):
    """One place where a runtime would store models. `path` has the home folder as `~`.

    `free_bytes` is what an ordinary account may use; `writable` is about the account that stores the file.
    """

    purpose: str
    path: str
    free_bytes: int | None = None
    total_bytes: int | None = None
    filesystem: str | None = None
    writable: bool | None = None

    @property
    def on_network(self) -> bool:
        """The volume is on another machine or the host of this one: slow to map into memory, and quotas do not show."""
        return (self.filesystem or "").lower() in NETWORK_FILESYSTEMS

    @property
    def in_memory(self) -> bool:
        """What is stored here takes RAM."""
        return (self.filesystem or "").lower() in MEMORY_FILESYSTEMS

    @property
    def max_file_bytes(self) -> int | None:
        """The largest file the file system holds; None where no model file comes near it."""
        return _FAT_FILE_BYTES if (self.filesystem or "").lower() in _FAT_FILESYSTEMS else None


class Accelerator(Record):
    """A GPU or the like; `unified` when it shares the machine's RAM."""

    vendor: str
    name: str
    memory_total_bytes: int | None = None
    memory_free_bytes: int | None = None
    unified: bool = False
    driver: str | None = None
    compute_capability: str | None = None


class PresentRuntime(Record):
    """A runtime found on the machine, without running it. `version` is None where no file states it."""

    id: str
    version: str | None = None
    path: str | None = None


class PresentModel(Record):
    """A model file already on the machine; `complete` only when every byte is there."""

    path: str
    size_bytes: int
    repository: str | None = None
    file: str | None = None
    complete: bool = True


class Machine(Record):
    """A computer as `selfhost` sees it.

    Memory in bytes: `memory_total_bytes` is the hardware's, `memory_limit_bytes` what this process may ever have (the least
    of hardware and every control group above it), `memory_available_bytes` what it could have now without swapping.
    `cpu_cores_usable` has affinity and quota applied and may be a fraction. `instruction_sets` are Linux kernel names.
    `accelerators` is None when it is not known whether there are any, () when there are none.
    A None always has an `Unread` of the same name in `unread`; a value has its entry in `sources`.
    """

    name: str = "this machine"
    labels: Mapping[str, str] = {}
    read_at: str | None = None
    scope: str | None = None
    system: str | None = None
    architecture: str | None = None
    memory_total_bytes: int | None = None
    memory_limit_bytes: int | None = None
    memory_available_bytes: int | None = None
    swap_free_bytes: int | None = None
    cpu_model: str | None = None
    cpu_cores_physical: int | None = None
    cpu_cores_usable: float | None = None
    instruction_sets: tuple[str, ...] | None = None
    memory_bandwidth_bytes_per_second: int | None = None
    disks: tuple[Disk, ...] | None = None
    models_present: tuple[PresentModel, ...] | None = None
    accelerators: tuple[Accelerator, ...] | None = None
    runtimes: tuple[PresentRuntime, ...] | None = None
    sources: Mapping[str, str] = {}
    unread: tuple[Unread, ...] = ()

    def why_unread(self, fact: str) -> Unread:
        """The reason why `fact` is None."""
        for entry in self.unread:
            if entry.fact == fact:
                return entry
        return Unread(fact=fact, reason="the record does not say", remedy="record the machine again with `selfhost machine --format json`")

    @classmethod
    def read(cls) -> Machine:
        """This machine, as it is now: no socket, no write, no child process. What cannot be read is in `unread`; never raises for that."""
        from .probes import read_machine

        return read_machine()

    @classmethod
    def from_json(cls, data: Any, file: str = "machine") -> Machine:
        """The record in `data`, a decoded `selfhost.machine/1` object. Unknown keys are ignored, missing ones become unread.

        `MachineFileError` carries every problem; `file` is how they call the input.
        """
        return _Reader(file, "").machine(data)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Machine:
        """The record in a JSON file of at most 4 MiB. `MachineFileError` carries every problem, with the line where that is certain."""
        return _from_file(path)

    def to_json(self) -> dict[str, Any]:
        """The `selfhost.machine/1` object: every key always present, None where unread, sizes whole bytes."""
        from . import __version__

        out: dict[str, Any] = {"schema": SCHEMA, "selfhost_version": __version__}
        for name in type(self)._fields:
            out[name] = _plain(getattr(self, name))
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


# facts whose None always has an Unread
FACTS = tuple(name for name in Machine._fields if Machine._defaults[name] is None)
_RECORD_AGAIN = "record the machine again with `selfhost machine --format json`"
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"


class _Reader:
    """Reads one record and gathers every problem of it."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.problems: list[Problem] = []

    def problem(self, key: str | None, message: str, remedy: str | None = None, line: int | None = None) -> None:
        if line is None and key is not None and "." not in key and "[" not in key:
            # certain only where the quoted key stands once in the whole file
            quoted = f'"{key}"'
            at = self.text.find(quoted)
            if at >= 0 and self.text.find(quoted, at + 1) < 0:
                line = self.text.count("\n", 0, at) + 1
        self.problems.append(Problem(file=self.file, line=line, key=key, message=message, remedy=remedy))

    def machine(self, data: Any) -> Machine:
        if not isinstance(data, Mapping):
            self.problem(None, f"holds {_kind(data)}, not one JSON object", "write it with `selfhost machine --format json`")
            raise MachineFileError(self.problems)
        self.schema(data)
        values: dict[str, Any] = {}
        unread = list(self.records(data, "unread", self.unread))
        for key, read in _FIELDS.items():
            if key != "unread":
                values[key] = read(self, data, key)
        if values["scope"] is not None and values["scope"] not in SCOPES:
            unread = [entry for entry in unread if entry.fact != "scope"]
            unread.append(Unread(fact="scope", reason=f"the record says {values['scope']!r}, which this version does not know"))
            values["scope"] = None
        self.agree(values)
        if self.problems:
            raise MachineFileError(self.problems)
        if values["name"] is None:
            values["name"] = "this machine"
        told = {entry.fact for entry in unread}
        missing = [fact for fact in FACTS if values[fact] is None]
        missing += [f"disks.{disk.purpose}.free_bytes" for disk in values["disks"] or () if disk.free_bytes is None]
        if any(one.memory_total_bytes is None for one in values["accelerators"] or ()):
            missing.append("accelerators.memory_total_bytes")
        for fact in missing:
            if fact not in told:
                told.add(fact)
                unread.append(Unread(fact=fact, reason="the record does not say", remedy=_RECORD_AGAIN))
        return Machine(**values, unread=tuple(unread))

    def schema(self, data: Mapping[str, Any]) -> None:
        name = data.get("schema")
        if name is None:
            if not any(fact in data for fact in FACTS):
                self.problem("schema", "is missing, and nothing here is a fact about a machine", f'write "schema": "{SCHEMA}"')
        elif not isinstance(name, str):
            self.problem("schema", f"must be a string, not {_kind(name)}", f'write "schema": "{SCHEMA}"')
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
                small, large = values[lower], values[upper]
                if small is not None and large is not None and small > large:
                    self.problem(lower, f"is {small}, above {upper}, which is {large}", f"it can be at most {large}")
                    break

    def text_value(self, data: Mapping[str, Any], key: str, path: str | None = None) -> str | None:
        value = data.get(key)
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

    def whole(self, data: Mapping[str, Any], key: str, highest: int, lowest: int = 0, path: str | None = None) -> int | None:
        value = data.get(key)
        where = path or key
        if value is None:
            return None
        remedy = "write whole bytes, for example 17179869184 for 16 GiB" if key.endswith("_bytes") else None
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            self.problem(where, f"must be a whole number, not {_kind(value)}", remedy)
        elif value < 0:
            self.problem(where, f"is {_long(value)}: it cannot be negative", remedy or "write null where it is not known")
        elif value < lowest:
            self.problem(where, f"is {value}: it must be at least {lowest}", "write null where it is not known")
        elif value > highest:
            self.problem(where, f"is {_long(value)}: no machine has that", remedy)
        else:
            return value
        return None

    def name(self, data: Mapping[str, Any], key: str) -> str | None:
        return self.text_value(data, key)

    def time(self, data: Mapping[str, Any], key: str) -> str | None:
        value = self.text_value(data, key)
        if value is not None and not re.fullmatch(_TIME, value):
            self.problem(key, f'is "{_short(value)}", not a time', "write for example 2026-10-01T12:00:00Z")
            return None
        return value

    def total(self, data: Mapping[str, Any], key: str) -> int | None:
        return self.whole(data, key, MAX_MEMORY_BYTES, 1)

    def memory(self, data: Mapping[str, Any], key: str) -> int | None:
        return self.whole(data, key, MAX_MEMORY_BYTES)

    def count(self, data: Mapping[str, Any], key: str) -> int | None:
        return self.whole(data, key, MAX_CORES, 1)

    def cores(self, data: Mapping[str, Any], key: str) -> float | None:
        value = data.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.problem(key, f"must be a number, not {_kind(value)}")
        elif not 0 < value <= MAX_CORES:
            self.problem(key, f"is {_long(value) if isinstance(value, int) else value}: it must be above 0 and at most {MAX_CORES}")
        else:
            return float(value)
        return None

    def names(self, data: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
        value = data.get(key)
        if value is None:
            return None
        if not isinstance(value, list | tuple):
            self.problem(key, f"must be a list, not {_kind(value)}")
            return None
        for index, item in enumerate(value):
            if not isinstance(item, str) or not item or len(item) > 100 or UNPRINTABLE.search(item):
                self.problem(f"{key}[{index}]", f"must be a short name such as avx2, not {_kind(item)}")
                return None
        return tuple(value)

    def mapping(self, data: Mapping[str, Any], key: str) -> dict[str, str]:
        value = data.get(key)
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

    def records(self, data: Mapping[str, Any], key: str, read: Callable[[Mapping[str, Any], str], Any]) -> tuple[Any, ...]:
        value = data.get(key)
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

    def optional_records(self, read: Callable[[Mapping[str, Any], str], Any], data: Mapping[str, Any], key: str) -> tuple[Any, ...] | None:
        return None if data.get(key) is None else self.records(data, key, read)

    def needed(self, item: Mapping[str, Any], key: str, path: str) -> str:
        if item.get(key) is None:
            self.problem(f"{path}.{key}", "is missing")
            return ""
        return self.text_value(item, key, f"{path}.{key}") or ""

    def flag(self, item: Mapping[str, Any], key: str, path: str) -> bool | None:
        value = item.get(key)
        if value is not None and not isinstance(value, bool):
            self.problem(f"{path}.{key}", f"must be true, false or null, not {_kind(value)}")
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
        )

    def accelerator(self, item: Mapping[str, Any], path: str) -> Accelerator:
        total = self.whole(item, "memory_total_bytes", MAX_MEMORY_BYTES, 1, f"{path}.memory_total_bytes")
        free = self.whole(item, "memory_free_bytes", MAX_MEMORY_BYTES, 0, f"{path}.memory_free_bytes")
        if total is not None and free is not None and free > total:
            self.problem(
                f"{path}.memory_free_bytes", f"is {free}, above memory_total_bytes, which is {total}", f"it can be at most {total}"
            )
        return Accelerator(
            vendor=self.needed(item, "vendor", path),
            name=self.needed(item, "name", path),
            memory_total_bytes=total,
            memory_free_bytes=free,
            unified=self.flag(item, "unified", path) or False,
            driver=self.text_value(item, "driver", f"{path}.driver"),
            compute_capability=self.text_value(item, "compute_capability", f"{path}.compute_capability"),
        )

    def runtime(self, item: Mapping[str, Any], path: str) -> PresentRuntime:
        return PresentRuntime(
            id=self.needed(item, "id", path),
            version=self.text_value(item, "version", f"{path}.version"),
            path=self.text_value(item, "path", f"{path}.path"),
        )

    def model(self, item: Mapping[str, Any], path: str) -> PresentModel:
        if item.get("size_bytes") is None:
            self.problem(f"{path}.size_bytes", "is missing")
        complete = self.flag(item, "complete", path)
        return PresentModel(
            path=self.needed(item, "path", path),
            size_bytes=self.whole(item, "size_bytes", MAX_DISK_BYTES, 0, f"{path}.size_bytes") or 0,
            repository=self.text_value(item, "repository", f"{path}.repository"),
            file=self.text_value(item, "file", f"{path}.file"),
            complete=True if complete is None else complete,
        )

    def unread(self, item: Mapping[str, Any], path: str) -> Unread:
        return Unread(
            fact=self.needed(item, "fact", path),
            reason=self.needed(item, "reason", path),
            remedy=self.text_value(item, "remedy", f"{path}.remedy"),
        )


_FIELDS: dict[str, Callable[[_Reader, Mapping[str, Any], str], Any]] = {
    "name": _Reader.name,
    "labels": _Reader.mapping,
    "read_at": _Reader.time,
    "scope": _Reader.name,
    "system": _Reader.name,
    "architecture": _Reader.name,
    "memory_total_bytes": _Reader.total,
    "memory_limit_bytes": _Reader.memory,
    "memory_available_bytes": _Reader.memory,
    "swap_free_bytes": _Reader.memory,
    "cpu_model": _Reader.name,
    "cpu_cores_physical": _Reader.count,
    "cpu_cores_usable": _Reader.cores,
    "instruction_sets": _Reader.names,
    "memory_bandwidth_bytes_per_second": _Reader.total,
    "disks": lambda reader, data, key: reader.optional_records(reader.disk, data, key),
    "models_present": lambda reader, data, key: reader.optional_records(reader.model, data, key),
    "accelerators": lambda reader, data, key: reader.optional_records(reader.accelerator, data, key),
    "runtimes": lambda reader, data, key: reader.optional_records(reader.runtime, data, key),
    "sources": _Reader.mapping,
}


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
    return "an object" if isinstance(value, Mapping) else "a list" if isinstance(value, list | tuple) else "something else"


def _short(text: str) -> str:
    clean = UNPRINTABLE.sub("?", text[:61])
    return clean if len(clean) <= 60 else clean[:59] + "…"


def _long(value: int) -> str:
    """A number that may have thousands of digits, which `str` refuses to print."""
    return str(value) if abs(value) < 10**30 else "a number of more than 30 digits"


def _from_file(path: str | os.PathLike[str]) -> Machine:
    import json
    import os
    import stat

    name = UNPRINTABLE.sub("?", os.fsdecode(path))

    def fault(message: str, remedy: str | None = None, line: int | None = None) -> MachineFileError:
        return MachineFileError([Problem(file=name, line=line, message=message, remedy=remedy)])

    write_one = "write one with `selfhost machine --format json > FILE`"
    try:
        mode = os.stat(path).st_mode
        # /dev/fd/N and /dev/stdin are what shells pass for <(command) and a pipe; any other pipe or device could block for ever
        usable = stat.S_ISREG(mode) or (not stat.S_ISDIR(mode) and os.fsdecode(path).startswith(("/dev/fd/", "/dev/stdin")))
        raw = b""
        if usable:
            with open(path, "rb") as stream:
                raw = stream.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        dead = os.path.islink(path)
        raise fault("is a link to a file that does not exist" if dead else "does not exist", write_one) from None
    except (OSError, ValueError) as error:
        raise fault(f"cannot be read: {getattr(error, 'strerror', None) or 'not a usable file name'}", "name a file you may read") from None
    if stat.S_ISDIR(mode):
        raise fault("is a folder, not a file", "name the file in it")
    if not usable:
        raise fault("is neither a file nor a pipe", write_one)
    if len(raw) > MAX_FILE_BYTES:
        raise fault(f"is larger than {MAX_FILE_BYTES // 2**20} MiB, far more than a machine record takes", write_one)
    # Windows PowerShell's > writes UTF-16, its Set-Content a UTF-8 mark
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        raise fault("is not text", write_one) from None
    if not text.strip():
        raise fault("is empty", write_one)
    if "\x00" in text:
        raise fault("is not text", write_one)

    reader = _Reader(name, text)

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        out = dict(items)
        if len(out) != len(items) and len(reader.problems) < MAX_ENTRIES:
            seen: set[str] = set()
            for key, _ in items:
                if key in seen:
                    reader.problem(_short(key), "stands twice in one object", "keep one", None)
                seen.add(key)
        return out

    def constant(word: str) -> float:
        reader.problem(None, f"holds {word}, which is no number in JSON", "write null where a value is not known")
        return 0.0

    try:
        data = json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
    except json.JSONDecodeError as error:
        raise fault(f"is not JSON: {error.msg}", write_one, error.lineno) from None
    except RecursionError:
        raise fault("is nested too deeply for a machine record", write_one) from None
    except ValueError:
        raise fault("holds a number of thousands of digits", "write whole bytes") from None
    return reader.machine(data)
