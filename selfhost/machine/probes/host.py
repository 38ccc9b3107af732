"""Host: the one way the probes look at a computer, so that a recorded one can stand in for it.

`Host()` is this computer; `recorded.RecordedHost(DIR)` a tree of its files;
`recorder.Recorder(host)` one that notes every answer.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial

from ...core.reading import Unreadable, descriptor_of
from ...core.records import Record, Unread, literal, pattern
from ...core.saying import differently
from ..record import (
    MAX_CORES,
    MAX_DISK_BYTES,
    MAX_MEMORY_BYTES,
    MIN_CORES,
    NETWORK_FILESYSTEMS,
    UNPRINTABLE,
    Accelerator,
    normal_system,
)
from .limit import Quota

TYPE_CHECKING = False

if TYPE_CHECKING:
    from re import Match, Pattern
    from types import ModuleType
    from typing import Any, TypeVar

    T = TypeVar("T")

DEADLINE_SECONDS = 2.0
# once one volume has not answered, the next ones get less: the whole reading stays within a few
# seconds
IMPATIENT_SECONDS = 0.25
MAX_READ_BYTES = 2**20
# the lists of device names that distributions carry
MAX_NAMES_BYTES = 4 * 2**20
PCI = "/sys/bus/pci/devices"
# a driver that nothing keeps loaded starts each of eight GPUs anew, a second or more each; busy
# ones took over two (NordicHPC/sonar#92)
NVML_SECONDS = 10.0
# a store of 1,000 models in 100 layers each has fewer
MAX_NAMES = 100_000

# names of accounts, computers and folders that say nothing about a person, or that paths
# everywhere are made of
COMMON_NAMES = (
    "root", "home", "users", "Users", "user", "USER", "ollama", "admin", "docker", "ubuntu",
    "debian", "ec2-user", "runner", "vagrant",
    "linuxbrew", "Shared", "Public", "localhost", "nvidia", "node", "core", "app", "dev", "proc",
    "sys", "etc", "usr", "var", "opt", "tmp",
    "run", "bin", "lib", "mnt", "srv", "snap", "data", "work", "test", "local", "share", "cache",
    "model", "models", "hub", "llama", "vllm",
    "whisper", "shared", "public", "common", "python", "conda", "linux", "centos", "fedora",
    "rocky", "azureuser",
    "codespace", "vscode", "jovyan", "nobody", "guest",
)  # fmt: skip
# whose folder it is: the next name after these
PEOPLES = pattern(
    r"((?:/home|/Users|/run/media|/media|\\Users)[/\\])((?:[^/\\\s:;,]+"
    r" )*[^/\\\s:;,]+(?=[/\\])|[^/\\\s:;,]+)"
)
# the server of a share, as Windows names it and as it may be mounted; no address of the web
SERVER = pattern(r"(?<![\w:/\\])(//|\\\\)\w[\w.-]*(?=[/\\]|$)")
# paths and files of the kernel's own naming, which an account may be called as well (`max`); of
# control groups people name the folders
_KERNELS = pattern(
    r"((?<![\w.~-])/(?:proc|sys)/(?!fs/cgroup)[^\s;,'\"]*|/sys/fs/cgroup(?:/(?:memory|cpu|cpuset|unified|systemd)(?=/))?"
    r"|(?<![\w.-])(?:memory|cpu|cpuset|cgroup)\.[a-z][\w.]*)"
)
# a container's id begins with its host name, a pod's is a serial number: any long run of
# hexadecimal digits
ID = r"(?:(?<![0-9a-zA-Z])|(?<=pod))[0-9a-f]{8}[0-9a-f_-]{4,}(?![0-9a-zA-Z])"
ADDRESSES = (
    # version 4, MAC and version 6; a PCI slot has two colons, a kernel's version goes on after its
    # numbers
    r"(?<![\w.-])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w.-])",
    r"(?<![\w:])(?:[0-9a-fA-F]{0,4}:){3,7}[0-9a-fA-F]{0,4}(?![\w:])",
    r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.(?!service|slice|scope)[a-z]{2,}\b",
)
LXC_NAME = r"(lxc[/.]|lxc\.payload[/.]|/machine-)[^/\s:]+"
# what every match of these holds one of
_OF_PEOPLES, _OF_SERVERS, _OF_LXC = ("/home", "Users", "media"), ("//", "\\\\"), ("lxc", "machine-")
_OF_KERNELS = ("/proc", "/sys", "memory.", "cpu", "cgroup.")
# what every match of ADDRESSES holds, and how often
_OF_ADDRESSES = ((".", 3), (":", 3), ("@", 1))
# the signs of which ID has that many in a row, and a blank for any other
_OF_ID = {code: " " for code in range(128) if chr(code) not in "0123456789abcdef_-"}
_ID_SIGNS = 12

# NAME_MAX of Linux (limits.h) and of macOS
MAX_NAME_BYTES = 255
# errors of a path at which nothing can be made
UNRESOLVED = ("ELOOP", "ENAMETOOLONG", "ENOLINK")

NATIVE = "take an image, or a Python, of the computer's own platform"
MEASURE = "measure it on the machine itself: " + differently(
    "`selfhost machine --measure`", "`Machine.read(measure=True)`"
)


def dangling(target: str) -> OSError:
    """Of a path in which a link leads to what does not exist, at `target`."""
    return OSError(errno.ENOLINK, f"a link leads to {target}, which does not exist", target)


class Space(Record):
    """Of one volume: bytes an ordinary account may still use, its size, and whether it is mounted
    read-only.

    `total_bytes` is 0 where the file system does not state its size. `free_files`: how many files
    may still be made; None: no limit. `reserved_bytes`: free, and kept for root; None: not known.
    """

    free_bytes: int
    total_bytes: int
    read_only: bool
    free_files: int | None = None
    reserved_bytes: int | None = None


class Mount(Record):
    """One line of mountinfo. `root` is the part of the file system that is mounted, `options` those
    of the file system itself.

    `device` is its number (`8:1`), `source` what was mounted; both are empty where they are not
    told.
    """

    root: str
    point: str
    filesystem: str
    options: str
    read_only: bool
    device: str = ""
    source: str = ""


class Read(Record):
    """What was read of one vendor's GPUs: the cards, where, and why the memory of some is None."""

    cards: tuple[Accelerator, ...]
    source: str
    reason: str | None = None
    remedy: str | None = None


class Found:
    """What the probes have read so far: values, where each was read, and what could not be read."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.values: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        self.unread: dict[str, Unread] = {}

    def put(self, fact: str, value: Any, source: str) -> None:
        """A value and where it was read. A size or a number of CPUs that no machine has is
        taken as not read.
        """
        if fact.endswith("_bytes") and not 0 <= value <= MAX_MEMORY_BYTES:
            self.miss(fact, f"{source} gives a size no machine has")
            return
        if fact.startswith("cpu_cores_") and not MIN_CORES <= value <= MAX_CORES:
            self.miss(fact, f"{source} gives a number of CPUs no machine has")
            return
        self.values[fact] = value
        self.sources[fact] = self.host.clean(source)

    def note(self, fact: str, source: str) -> None:
        """Where a part of a value was read, for example one disk."""
        self.sources[fact] = self.host.clean(source)

    def miss(self, fact: str, reason: str, remedy: str | None = None) -> None:
        """Why a fact is None, and what a person can do about it."""
        self.unread[fact] = Unread(fact=fact, reason=self.host.clean(reason), remedy=remedy)

    def settled(self, fact: str) -> bool:
        """Whether the fact has a value or a reason."""
        return fact in self.values or fact in self.unread


# Whether a pattern can match a text, or a longer one with it in: most texts need no pattern, and
# each takes long to compile.
if TYPE_CHECKING:
    MayMatch = Callable[[str], bool]
    # with what puts something else in place of each match
    Mask = tuple[MayMatch, Callable[[str], str]]


def _masked(text: str, masks: Sequence[Mask]) -> str:
    for may_match, mask in masks:
        if may_match(text):
            text = mask(text)
    return text


def _holding(*parts: str) -> MayMatch:
    """Of a pattern of which each match holds one of these."""
    return lambda text: any([part in text for part in parts])  # noqa: C419 - quicker for so few


def _counting(part: str, least: int) -> MayMatch:
    """Of a pattern of which each match holds `part` that often."""
    return lambda text: text.count(part) >= least


def _may_hold_an_id(text: str) -> bool:
    return any([len(word) >= _ID_SIGNS for word in text.translate(_OF_ID).split()])  # noqa: C419


_may_hold_kernels = _holding(*_OF_KERNELS)


def outside_kernel(text: str, change: Callable[[str], str]) -> str:
    """`text` with `change` made to all of it but the names that the kernel gives."""
    if not _may_hold_kernels(text) or _KERNELS.search(text) is None:
        return change(text)
    return "".join(
        part if number % 2 else change(part) for number, part in enumerate(_KERNELS.split(text))
    )


def _without_name(match: Match[str]) -> str:
    return match[0] if match[2] in COMMON_NAMES else f"{match[1]}USER"


def _spellings(name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((name, name.replace("-", r"\x2d"))))


def name_pattern(name: str, system: str) -> Pattern[str]:
    """An account's name in a path, an address or the name of a unit, where systemd writes `-`
    as `\\x2d`.
    """
    written = "|".join(map(literal, _spellings(name)))
    return pattern(rf"{_case_of(system)}(?<=[/\\@.=:~_-])(?:{written})(?![^\W_])")


def home_pattern(home: str, system: str) -> Pattern[str]:
    """The home folder in a path; Windows takes any case for the same."""
    return pattern(rf"{_case_of(system)}(?<![\w.~-]){literal(home)}(?![\w.-])")


def _case_of(system: str) -> str:
    return "(?i)" if system == "windows" else ""


def with_tilde(text: str, home: str) -> str:
    """`text` with `~` for each match of `home_pattern` where case counts: nearly every text that is
    cleaned holds the home folder, and nothing else would need `re`.
    """
    masked, end = "", 0
    while (start := text.find(home, end)) >= 0:
        before, after = text[max(0, start - 1) : start], text[start + len(home) :][:1]
        is_whole = not (_is_of_a_name(before, "_.~-") or _is_of_a_name(after, "_.-"))
        masked += text[end:start] + ("~" if is_whole else home)
        end = start + len(home)
    return masked + text[end:]


def _is_of_a_name(sign: str, signs: str) -> bool:
    return sign != "" and (sign.isalnum() or sign in signs)


def host_pattern(host: str) -> Pattern[str]:
    """What the computer calls itself, in a path or the name of a unit: it may be a word that
    sentences are made of.
    """
    return pattern(rf"(?:(?<=[/\\@.=:~_-])|^){literal(host)}(?![^\W_])")


def unescape(text: str) -> str:
    """A name as /proc writes it, with spaces and the like in octal."""
    if "\\" not in text:
        return text
    import re

    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def parse_mountinfo(text: str) -> tuple[Mount, ...]:
    """The lines of /proc/self/mountinfo, in mount order; lines of another shape are left out."""
    mounts = []
    for line in text.splitlines():
        head, dash, tail = line.partition(" - ")
        fields, system = head.split(" "), tail.split(" ")
        if dash and len(fields) >= 6 and system[0]:
            mounts.append(
                Mount(
                    root=unescape(fields[3]),
                    point=unescape(fields[4]),
                    filesystem=system[0],
                    options=system[2] if len(system) > 2 else "",
                    read_only="ro" in fields[5].split(","),
                    device=fields[2],
                    source=unescape(system[1]) if len(system) > 1 else "",
                )
            )
    return tuple(mounts)


class Host:
    """This computer. `env` stands in for the environment variables, `system` for the name of the
    operating system (linux, macos, windows).

    What is asked of the computer itself is a method of its own, which `recorder.Recorder` notes and
    `recorded.RecordedHost` answers.
    """

    live = True

    def __init__(self, env: Mapping[str, str] | None = None, system: str | None = None) -> None:
        self.env: Mapping[str, str] = os.environ if env is None else env
        self.system = system or normal_system(sys.platform)
        self._why: dict[str, str] = {}
        self._texts: dict[str, str | None] = {}
        self._listings: dict[str, list[str] | None] = {}
        self._mounts: tuple[Mount, ...] | None = None
        self._quotas_on: dict[int, tuple[str, ...]] = {}
        self._masks: list[Mask] | None = None
        self._names: set[str] = set()
        self._psutil: ModuleType | None = None
        self._hung = False

    # files

    def real(self, path: str) -> str:
        """Where `path` lies on this computer."""
        return path

    def read_text(self, path: str, limit: int = MAX_READ_BYTES) -> str | None:
        """At most `limit` bytes of a file as text, read once per host; None where it cannot be
        read or is empty: `why` then says why.
        """
        if path not in self._texts:
            self._texts[path] = self._read_text(path, limit)
        return self._texts[path]

    def _read_text(self, path: str, limit: int) -> str | None:
        try:
            text = self.read_bytes(path, limit).decode("utf-8", "replace")
        except (OSError, ValueError) as error:
            missing = isinstance(error, FileNotFoundError | NotADirectoryError)
            self._why[path] = (
                "is not there"
                if missing
                else f"cannot be read ({getattr(error, 'strerror', None) or 'unusable name'})"
            )
            return None
        if not text.strip():
            self._why[path] = "is empty"
            return None
        # device tree files end in a zero; names of firmware may be in an encoding of their own
        if (
            "\0" in text.rstrip("\0\n")
            or not text.rstrip("\0\n")
            or text.count("\ufffd") > len(text) // 4
        ):
            self._why[path] = "is not text"
            return None
        return text

    def read_word(self, path: str) -> str | None:
        """The one word of a small file, in small letters; None where it cannot be read."""
        text = self.read_text(path, 256)
        return text.strip().lower() if text else None

    def read_bytes(self, path: str, limit: int) -> bytes:
        """At most `limit` bytes of an ordinary file. `OSError`, or `ValueError` for a name no
        file can have.
        """
        parts: list[bytes] = []
        try:
            number, _ = descriptor_of(self.real(path))
        except Unreadable as error:
            # a pipe or device put in place of a file must neither hang the program nor do anything
            raise OSError(errno.EINVAL, error.reason.partition(": ")[2] or error.reason) from None
        try:
            while limit > 0 and (part := os.read(number, min(limit, 65536))):
                parts.append(part)
                limit -= len(part)
        finally:
            os.close(number)
        return b"".join(parts)

    def why(self, path: str) -> str:
        """`/proc/meminfo is not there`: why `read_text` gave None."""
        return f"{path} {self._why.get(path, 'does not say')}"

    def missing(self, path: str) -> bool:
        """Whether `read_text` gave None because there is no such file; False where it is there
        and could not be read.
        """
        return self.read_text(path) is None and self._why.get(path) == "is not there"

    def listdir(
        self, path: str, is_wanted: Callable[[str], bool] | None = None
    ) -> list[str] | None:
        """The names in a folder, sorted, where `is_wanted` is given those for which it is true;
        None where it cannot be listed. It is listed once per host.
        """
        if path not in self._listings:
            try:
                self._listings[path] = os.listdir(self.real(path))
            except (OSError, ValueError):
                self._listings[path] = None
        names = self._listings[path]
        if names is None:
            return None
        return sorted(names if is_wanted is None else filter(is_wanted, names))

    def sizes(
        self, path: str, start: str = "", ends: tuple[str, ...] = ()
    ) -> dict[str, int | None]:
        """What a folder holds, links followed: bytes of a file, None of a folder, -1 of what leads
        nowhere or is neither.

        Names without that start, and files and links without one of those ends, are left out.
        `OSError` from the system, and for more than MAX_NAMES names.
        """
        sizes: dict[str, int | None] = {}
        with os.scandir(self.real(path)) as entries:
            for number, entry in enumerate(entries):
                if number >= MAX_NAMES:
                    raise OSError(errno.EOVERFLOW, f"more than {MAX_NAMES:,} names")
                if start and not entry.name.startswith(start):
                    continue
                if (
                    ends
                    and not entry.name.lower().endswith(ends)
                    and not entry.is_dir(follow_symlinks=False)
                ):
                    continue
                try:
                    sizes[entry.name] = self._size_of(entry)
                except OSError:
                    sizes[entry.name] = -1
        return sizes

    def _size_of(self, entry: os.DirEntry[str]) -> int | None:
        """Bytes of a file, None of a folder, -1 of what leads nowhere or is neither."""
        if entry.is_symlink() and not self.inside(entry.path):
            return -1
        if entry.is_dir():
            return None
        return entry.stat().st_size if entry.is_file() else -1

    def inside(self, place: str) -> bool:
        """Whether the link at `place` leads to something that counts as this computer's."""
        return True

    def knows(self, path: str) -> bool:
        """Whether it can be told what a folder holds: of a recorded tree only what was recorded."""
        return True

    def exists(self, path: str) -> bool:
        """Whether a file or folder is there, as far as this account can see."""
        try:
            return os.path.exists(self.real(path))
        except (OSError, ValueError):
            return False

    def is_folder(self, path: str) -> bool:
        """Whether it is a folder that is there."""
        try:
            return os.path.isdir(self.real(path))
        except (OSError, ValueError):
            return False

    def runnable(self, path: str) -> bool:
        """Whether a file is there that this account may execute."""
        try:
            real = self.real(path)
            # asked first, for it makes no error of what is not there: most is looked for in vain
            return os.access(real, os.X_OK) and os.path.isfile(real)
        except (OSError, ValueError):
            return False

    def resolve(self, path: str) -> str:
        """`path` made absolute, with links followed as far as it exists. `OSError` where nothing
        could be made there.

        That is a link that leads nowhere or in a circle, and a name longer than the system allows.
        """
        at = os.path.abspath(path)
        if os.name != "nt" and any(
            len(os.fsencode(name)) > MAX_NAME_BYTES for name in at.split(os.sep)
        ):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), at)
        while True:
            try:
                os.stat(at)
                break
            except OSError as error:
                if errno.errorcode.get(error.errno or 0) in UNRESOLVED:
                    raise
                if os.path.islink(at) and isinstance(error, FileNotFoundError):
                    raise dangling(os.path.realpath(path)) from None
            if os.path.dirname(at) == at:
                break
            at = os.path.dirname(at)
        return os.path.realpath(path)

    @property
    def paths(self) -> Any:
        """`posixpath` or `ntpath`, as the host's system writes paths."""
        if self.system == "windows":
            import ntpath

            return ntpath
        import posixpath

        return posixpath

    # mounts and space

    def mounts(self) -> tuple[Mount, ...]:
        """What is mounted, in mount order; empty where it cannot be read."""
        if self._mounts is None:
            self._mounts = self._read_mounts()
        return self._mounts

    def _read_mounts(self) -> tuple[Mount, ...]:
        if self.system == "linux":
            return parse_mountinfo(self.read_text("/proc/self/mountinfo") or "")
        tool = self.psutil()
        if tool is None:
            return ()
        try:
            parts = tool.disk_partitions(all=self.system != "windows")
        except (OSError, RuntimeError):
            return ()
        return tuple(
            Mount(
                root="/",
                point=part.mountpoint,
                filesystem=part.fstype,
                options="",
                read_only="ro" in part.opts.split(","),
            )
            for part in parts
        )

    def mount_of(self, path: str) -> Mount | None:
        """The mount that holds an absolute path: the longest mount point it begins with, the
        latest where two are alike.
        """
        best: Mount | None = None
        windows = self.system == "windows"
        wanted = path.lower().rstrip("\\") if windows else path
        for mount in self.mounts():
            point = mount.point.lower().rstrip("\\") if windows else mount.point.rstrip("/")
            inside = wanted == point or wanted.startswith(point + ("\\" if windows else "/"))
            if inside and (best is None or len(mount.point) >= len(best.point)):
                best = mount
        if self.system == "macos" and best is not None and best.point == "/":
            # the sealed system volume is mounted on /, but what people write to lies on the data
            # volume
            best = next(
                (mount for mount in self.mounts() if mount.point == "/System/Volumes/Data"), best
            )
        return best

    def layer(self, path: str) -> Mount | None:
        """The mount that holds a file or folder in which another file system lies; None where
        it is not there to be seen.
        """
        return self.mount_of(path) if self.exists(path) else None

    def within(self, work: Callable[[], T], seconds: float = DEADLINE_SECONDS) -> T:
        """`work()`, in a thread with a deadline where a dead network mount could hang it.
        `TimeoutError` when it has passed.
        """
        if not self._may_hang:
            return work()
        import _thread

        done = _thread.allocate_lock()
        done.acquire()
        returned: list[T] = []
        failure: list[BaseException] = []

        def run() -> None:
            try:
                returned.append(work())
            except Exception as error:
                failure.append(error)
            finally:
                done.release()

        _thread.start_new_thread(run, ())
        if not done.acquire(timeout=min(seconds, IMPATIENT_SECONDS) if self._hung else seconds):
            self._hung = True
            raise TimeoutError(f"no answer within {seconds:g} seconds")
        if failure:
            raise failure[0]
        return returned[0]

    @cached_property
    def _may_hang(self) -> bool:
        if not self.live:
            return False
        mounts = self.mounts() if self.system == "linux" else ()
        return not mounts or any(
            mount.filesystem in NETWORK_FILESYSTEMS or mount.filesystem == "autofs"
            for mount in mounts
        )

    def space(self, path: str) -> Space | None:
        """Of the volume that holds an existing folder. None where it is not known. `OSError`
        from the system.
        """
        if hasattr(os, "statvfs"):
            volume = os.statvfs(path)
            # f_bavail, not f_bfree: the blocks reserved for root are no use to an ordinary account
            return Space(
                free_bytes=min(volume.f_bavail * volume.f_frsize, MAX_DISK_BYTES),
                total_bytes=min(volume.f_blocks * volume.f_frsize, MAX_DISK_BYTES),
                read_only=bool(volume.f_flag & 1),
                # btrfs and FAT state none at all; other systems fill the field in with anything
                free_files=volume.f_favail if self.system == "linux" and volume.f_files else None,
                reserved_bytes=(
                    max(0, volume.f_bfree - volume.f_bavail) * volume.f_frsize
                    if self.system == "linux"
                    else None
                ),
            )
        import shutil

        usage = shutil.disk_usage(path)
        return Space(free_bytes=usage.free, total_bytes=usage.total, read_only=False)

    def quotas(self, path: str) -> tuple[Quota, ...]:
        """The limits that hold for what this account stores in an existing folder; () where
        none does. `OSError` where it is not told.
        """
        mount = self.mount_of(path)
        if mount is not None and mount.filesystem == "btrfs":
            from .quota_groups import ask_groups

            return ask_groups(path)
        from .quota import ask

        return ask(path, self._quotas_on)

    def quotas_on(self, path: str) -> tuple[str, ...]:
        """Which quotas of accounts are enforced where an existing folder lies: `user`, `group`.
        `OSError` where it is not told.
        """
        from .quota import kinds_on

        return kinds_on(path)

    def can_write(self, path: str) -> bool | None:
        """Whether this account may create files in an existing folder; None where it is not
        known.
        """
        allowed = os.access(path, os.W_OK | os.X_OK)
        # on Windows only the read-only mark is looked at, not who may do what
        return None if allowed and self.system == "windows" else allowed

    # the running system

    def machine(self) -> str | None:
        """The kernel's or interpreter's word for the processor: x86_64, arm64, AMD64, …"""
        if self.system == "windows":
            return self._windows_machine()
        return os.uname().machine

    def _windows_machine(self) -> str | None:
        # what the registry says is the computer's, also for an emulated or 32-bit Python
        name = self.registry(
            r"SYSTEM\CurrentControlSet\Control\Session Manager\Environment",
            "PROCESSOR_ARCHITECTURE",
        )
        return (
            name or self.env.get("PROCESSOR_ARCHITEW6432") or self.env.get("PROCESSOR_ARCHITECTURE")
        )

    def release(self) -> str:
        """The kernel's version text; empty where it is not known."""
        return "" if self.system == "windows" else os.uname().release

    def pointer_bits(self) -> int | None:
        """32 or 64, of this interpreter."""
        return 64 if sys.maxsize > 2**32 else 32

    def page_bytes(self) -> int | None:
        """Size of a memory page."""
        try:
            return os.sysconf("SC_PAGE_SIZE")
        except (ValueError, OSError, AttributeError):
            return None

    def affinity(self) -> frozenset[int] | None:
        """The numbers of the CPUs this process may use; None where the system does not say."""
        ask = getattr(os, "sched_getaffinity", None)
        return frozenset(ask(0)) if ask is not None else None

    def address_space_bytes(self) -> int | None:
        """The soft RLIMIT_AS, -1 for unlimited, None where it is not known."""
        try:
            import resource
        except ImportError:
            return None
        soft = resource.getrlimit(resource.RLIMIT_AS)[0]
        return -1 if soft == resource.RLIM_INFINITY else soft

    def cwd(self) -> str:
        """The current folder."""
        try:
            return os.getcwd()
        except OSError:
            return "/"

    def home(self) -> str | None:
        """The home folder of this account."""
        if self.system == "windows":
            return self.env.get("USERPROFILE") or None
        home = self.env.get("HOME")
        if self.live and not (home or "").startswith("/"):
            # a relative one names no folder for good: it counts as none
            home = self._account_home()
        return home if home and home.startswith("/") else None

    @staticmethod
    def _account_home() -> str | None:
        """The home folder that the system's list of accounts has for this one."""
        try:
            from pwd import getpwuid

            return getpwuid(os.getuid()).pw_dir
        except (ImportError, KeyError, AttributeError):
            return None

    def python_path(self) -> list[str] | None:
        """The folders this interpreter imports from; None of a tree in which nobody looked for
        packages.
        """
        return [folder for folder in sys.path if folder]

    def read_at(self) -> str | None:
        """Now, in UTC, to the second."""
        import time

        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

    # libraries of other systems

    def psutil(self) -> ModuleType | None:
        """psutil, imported on first use: only where /proc does not exist."""
        if self._psutil is None and self.system != "linux":
            try:
                import psutil
            except ImportError:
                return None
            self._psutil = psutil
        return self._psutil

    def other_memory(self) -> Mapping[str, int] | None:
        """`total` and `available` bytes where the system has no /proc; on Windows also
        `commit`, what it still promises to this process.
        """
        tool = self.psutil()
        if tool is None:
            return None
        memory = tool.virtual_memory()
        sizes = {"total": int(memory.total), "available": int(memory.available)}
        if self.system == "windows":
            import ctypes

            # MEMORYSTATUSEX (sysinfoapi.h): dwLength, dwMemoryLoad, then seven 64-bit sizes, the
            # fourth ullAvailPageFile
            buffer = ctypes.create_string_buffer((64).to_bytes(4, "little"), 64)
            if ctypes.__dict__["windll"].kernel32.GlobalMemoryStatusEx(buffer):
                sizes["commit"] = int.from_bytes(buffer.raw[32:40], "little")
        return sizes

    def other_swap_free(self) -> int | None:
        """Free swap where the system has no /proc; apart from `other_memory`, for it fails on
        its own.
        """
        tool = self.psutil()
        return None if tool is None else int(tool.swap_memory().free)

    def other_cores(self) -> Mapping[str, int | None] | None:
        """`physical` and `usable` cores where the system has no /proc."""
        tool = self.psutil()
        if tool is None:
            return None
        usable = tool.cpu_count(logical=True)
        if self.system == "windows":
            usable = len(tool.Process().cpu_affinity())
        return {"physical": tool.cpu_count(logical=False), "usable": usable}

    def sysctl(self, name: str) -> str | None:
        """A kernel value of macOS or FreeBSD as text; None where there is none of that name."""
        if not self.system.startswith(("macos", "freebsd")):
            return None
        import ctypes

        ask = ctypes.CDLL(None).sysctlbyname
        size = ctypes.c_size_t(0)
        if (
            ask(name.encode(), None, ctypes.byref(size), None, ctypes.c_size_t(0))
            or not 0 < size.value <= 65536
        ):
            return None
        buffer = ctypes.create_string_buffer(size.value)
        if ask(name.encode(), buffer, ctypes.byref(size), None, ctypes.c_size_t(0)):
            return None
        raw = buffer.raw[: size.value]
        # whole numbers come as 4 or 8 bytes, text ends in a zero byte and holds no other
        text = raw[:-1]
        if raw[-1:] == b"\0" and text and all(32 <= byte < 127 for byte in text):
            return text.decode("ascii")
        return str(int.from_bytes(raw, sys.byteorder)) if len(raw) in (4, 8) else ""

    def registry(self, key: str, value: str) -> str | None:
        """A text value under HKEY_LOCAL_MACHINE; None where there is none."""
        if self.system != "windows":
            return None
        try:
            import winreg

            tool: Any = winreg
            with tool.OpenKey(tool.HKEY_LOCAL_MACHINE, key) as opened:
                content = tool.QueryValueEx(opened, value)[0]
        except (ImportError, OSError):
            return None
        return content if isinstance(content, str) else None

    def display_adapters(self) -> list[Mapping[str, Any]] | None:
        """Windows' display adapters in use: `id` (PCI), `name`, `memory` bytes, each None where it
        is not told; None where unread.

        The list of adapters that this start of Windows made: the class key alone keeps those that
        were taken out as well.
        """
        import re

        if not self.live or self.system != "windows":
            return None
        import winreg

        tool: Any = winreg
        values_of_adapter: dict[str, Mapping[str, Any]] = {}
        try:
            with tool.OpenKey(tool.HKEY_LOCAL_MACHINE, r"HARDWARE\DEVICEMAP\VIDEO") as key:
                paths = [
                    str(tool.EnumValue(key, index)[1]) for index in range(tool.QueryInfoKey(key)[1])
                ]
        except OSError:
            return None
        for path in paths:
            own = re.sub(r"(?i)^\\registry\\machine\\", "", path)
            # one key for each output of an adapter
            adapter = own.rpartition("\\")[0].lower()
            if adapter in values_of_adapter:
                continue
            values: dict[str, Any] = {}
            try:
                with tool.OpenKey(tool.HKEY_LOCAL_MACHINE, own) as key:
                    for name, value in (
                        ("id", "MatchingDeviceId"),
                        ("name", "DriverDesc"),
                        ("memory", "HardwareInformation.qwMemorySize"),
                    ):
                        try:
                            values[name] = tool.QueryValueEx(key, value)[0]
                        except OSError:
                            values[name] = None
            except OSError:
                continue
            values_of_adapter[adapter] = values
        return list(values_of_adapter.values()) or None

    def processor_feature(self, number: int) -> bool | None:
        """Windows' IsProcessorFeaturePresent; None where it cannot be asked."""
        if self.system != "windows":
            return None
        import ctypes

        library: Any = ctypes
        return bool(library.windll.kernel32.IsProcessorFeaturePresent(number))

    def processor_information(self) -> bytes | None:
        """Windows' GetLogicalProcessorInformationEx of RelationProcessorCore; None where it
        cannot be asked.
        """
        if self.system != "windows":
            return None
        import ctypes

        ask = ctypes.__dict__["windll"].kernel32.GetLogicalProcessorInformationEx
        size = ctypes.c_ulong(0)
        ask(0, None, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(min(size.value, MAX_READ_BYTES) or 1)
        return buffer.raw if ask(0, buffer, ctypes.byref(size)) else None

    def job_limits(self) -> bytes | None:
        """Windows' JOBOBJECT_EXTENDED_LIMIT_INFORMATION of this process; empty without a job,
        None where it cannot be asked.
        """
        if self.system != "windows" or sys.maxsize <= 2**32:
            return None
        import ctypes

        kernel: Any = ctypes.__dict__["windll"].kernel32
        inside = ctypes.c_int(0)
        kernel.GetCurrentProcess.restype = ctypes.c_void_p
        if not kernel.IsProcessInJob(
            ctypes.c_void_p(kernel.GetCurrentProcess()), None, ctypes.byref(inside)
        ):
            return None
        if not inside.value:
            return b""
        buffer = ctypes.create_string_buffer(144)
        return buffer.raw if kernel.QueryInformationJobObject(None, 9, buffer, 144, None) else None

    def nvml(self) -> Mapping[str, Any] | None:
        """What NVIDIA's library says, the JSON of `nvml.py` run as a child process, or `why` it
        says nothing; None of a recorded tree.
        """
        if not self.live:
            return None
        import json
        from importlib.util import find_spec

        from .child import ChildError, ask

        try:
            package = find_spec("pynvml")
        except (ImportError, ValueError):
            package = None
        origin = package.origin if package is not None else None
        folder = os.path.dirname(origin) if origin else ""
        if package is not None and package.submodule_search_locations is not None:
            folder = os.path.dirname(folder)
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "nvml.py")
        try:
            answer = json.loads(
                ask(
                    program,
                    [folder] if folder else [],
                    seconds=NVML_SECONDS,
                    limit_bytes=MAX_READ_BYTES,
                )
            )
        except ChildError as error:
            return {"why": str(error)}
        except (ValueError, RecursionError):
            answer = None
        return answer if isinstance(answer, dict) else {"why": "its answer could not be understood"}

    # what may be shown

    def clean(self, text: str) -> str:
        """`text` without what says who or where: the home folder as `~`, user and host names,
        container ids; one printable line.
        """
        masks = self._masks
        if masks is None:
            masks = self._masks = self._make_masks()
        if any([may_match(text) for may_match, _ in masks]):  # noqa: C419
            text = outside_kernel(text, lambda part: _masked(part, masks))
        # what is printable for Python holds none of them
        return (text if text.isprintable() else UNPRINTABLE.sub("?", text))[:1000]

    def hide(self, name: str) -> None:
        """Keeps another account's name out of what is shown."""
        if len(name) > 2 and name not in COMMON_NAMES:
            self._names.add(name)
            self._masks = None

    def names(self) -> set[str]:
        """The names of accounts that `clean` takes out."""
        accounts = {
            self.env.get(name) or "" for name in ("USER", "LOGNAME", "USERNAME", "SUDO_USER")
        }
        accounts.add(self.paths.basename(self.home() or ""))
        return self._names | {
            name for name in accounts if len(name) > 2 and name not in COMMON_NAMES
        }

    def host_names(self) -> list[str]:
        """What `clean` takes out of the computer's own names: with its domain, and without."""
        host = self.hostname() or ""
        return [
            name
            for name in dict.fromkeys((host, host.partition(".")[0]))
            if len(name) > 2 and name not in COMMON_NAMES
        ]

    def _make_masks(self) -> list[Mask]:
        masks: list[Mask] = []
        is_windows = self.system == "windows"

        def may_hold(*parts: str) -> MayMatch:
            # of accounts and their folders Windows takes any case for the same
            return _holding("") if is_windows else _holding(*parts)

        def by(compiled: Pattern[str], stand_in: Any) -> Callable[[str], str]:
            return lambda text: compiled.sub(stand_in, text)

        home = self.home()
        if home and len(home) > 1:
            any_case = by(home_pattern(home, self.system), "~") if is_windows else None
            mask = any_case or partial(with_tilde, home=home)
            masks.append((may_hold(home), mask))
        for name in sorted(self.names(), key=len, reverse=True):
            masks.append((may_hold(*_spellings(name)), by(name_pattern(name, self.system), "USER")))
        masks += [(_holding(host), by(host_pattern(host), "HOST")) for host in self.host_names()]
        masks += [
            (_holding(*_OF_PEOPLES), by(PEOPLES, _without_name)),
            (_holding(*_OF_SERVERS), by(SERVER, r"\1HOST")),
            (_may_hold_an_id, by(pattern(ID), "ID")),
            (_holding(*_OF_LXC), by(pattern(LXC_NAME), r"\1ID")),
        ]
        masks.extend(
            (_counting(*of_address), by(pattern(address), "ADDRESS"))
            for of_address, address in zip(_OF_ADDRESSES, ADDRESSES, strict=True)
        )
        return masks

    def hostname(self) -> str | None:
        """What this computer calls itself; used only to keep it out of what is shown."""
        return os.uname().nodename if hasattr(os, "uname") else self.env.get("COMPUTERNAME")


def is_wsl1(host: Host) -> bool:
    """Whether Windows itself answers for Linux (`4.4.0-19041-Microsoft`): WSL 1 has no virtual
    machine, no control groups and no GPU. WSL 2's kernels are called `microsoft-standard`.
    """
    return host.system == "linux" and host.release().endswith("-Microsoft")
