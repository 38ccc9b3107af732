"""Host: the one way the probes look at a computer, so that a recorded tree can stand in for it.

`Host()` is this computer; `recorded.RecordedHost(DIR)` a tree of another's files.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Mapping

from ...core.files import Unreadable, descriptor_of
from ...core.records import Record
from ..record import MAX_DISK_BYTES, NETWORK_FILESYSTEMS, normal_system

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, TypeVar

    T = TypeVar("T")

DEADLINE_SECONDS = 2.0
# once one volume has not answered, the next ones get less
IMPATIENT_SECONDS = 0.25
MAX_READ_BYTES = 2**20
# a store of 1,000 models in 100 layers each has fewer
MAX_NAMES = 100_000
NATIVE = "take an image, or a Python, of the computer's own platform"


class Space(Record):
    """Of one volume: bytes an ordinary account may still use, its size (0 where the file system
    states none), and how many files may still be made; None: no limit.
    """

    free_bytes: int
    total_bytes: int
    read_only: bool
    free_files: int | None = None


class Mount(Record):
    """One mounted file system. `root` is the part of it that is mounted, `options` its own."""

    point: str
    filesystem: str
    root: str = "/"
    options: str = ""
    read_only: bool = False
    source: str = ""


def parse_mountinfo(text: str) -> tuple[Mount, ...]:
    """The lines of /proc/self/mountinfo, in mount order; lines of another shape are left out."""
    mounts = []
    for line in text.splitlines():
        head, dash, tail = line.partition(" - ")
        fields, system = head.split(" "), [*tail.split(" "), "", ""]
        if dash and len(fields) >= 6 and system[0]:
            mounts.append(
                Mount(
                    root=_unescape(fields[3]),
                    point=_unescape(fields[4]),
                    filesystem=system[0],
                    options=system[2],
                    read_only="ro" in fields[5].split(","),
                    source=_unescape(system[1]),
                )
            )
    return tuple(mounts)


def _unescape(text: str) -> str:
    """A name as /proc writes it, with spaces and the like in octal."""
    if "\\" not in text:
        return text
    import re

    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def reason_of(error: Exception) -> str:
    """What the system says of an error, in words."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class Host:
    """This computer. `env` stands in for the environment variables, `system` for the name of the
    operating system (linux, macos, windows).
    """

    live = True

    def __init__(self, env: Mapping[str, str] | None = None, system: str | None = None) -> None:
        self.env: Mapping[str, str] = os.environ if env is None else env
        self.system = system or normal_system(sys.platform)
        # of services that store models: kept out of what is shown
        self.accounts: set[str] = set()
        self._why: dict[str, str] = {}
        self._texts: dict[str, str | None] = {}
        self._mounts: tuple[Mount, ...] | None = None
        self._has_hung = False

    # files

    def real(self, path: str) -> str:
        """Where `path` lies on this computer."""
        return path

    def read_text(self, path: str, limit: int = MAX_READ_BYTES) -> str | None:
        """At most `limit` bytes of a file as text, read once per host; None where it cannot be
        read or is empty: `why` then says why.
        """
        if path in self._texts:
            return self._texts[path]
        self._texts[path] = None
        try:
            text = self.read_bytes(path, limit).decode("utf-8", "replace")
        except (FileNotFoundError, NotADirectoryError):
            self._why[path] = "is not there"
        except (OSError, ValueError) as error:
            self._why[path] = f"cannot be read ({reason_of(error)})"
        else:
            # device tree files end in a zero; names of firmware may be in an encoding of their own
            content = text.rstrip("\0\n")
            if not text.strip():
                self._why[path] = "is empty"
            elif not content or "\0" in content or text.count("\ufffd") > len(text) // 4:
                self._why[path] = "is not text"
            else:
                self._texts[path] = text
        return self._texts[path]

    def read_word(self, path: str) -> str:
        """The one word of a small file, in small letters; empty where it cannot be read."""
        return (self.read_text(path, 256) or "").strip(" \n\0").lower()

    def read_bytes(self, path: str, limit: int) -> bytes:
        """At most `limit` bytes of an ordinary file. `OSError`, or `ValueError` for a name no
        file can have.
        """
        try:
            number, _ = descriptor_of(self.real(path))
        except Unreadable as error:
            # a pipe or device put in place of a file must neither hang the program nor do anything
            raise OSError(errno.EINVAL, error.reason.partition(": ")[2] or error.reason) from None
        with os.fdopen(number, "rb") as stream:
            return stream.read(limit)

    def why(self, path: str) -> str:
        """`/proc/meminfo is not there`: why `read_text` gave None."""
        return f"{path} {self._why.get(path, 'does not say')}"

    def listdir(self, path: str) -> list[str]:
        """The names in a folder, sorted; none where it cannot be listed."""
        try:
            return sorted(os.listdir(self.real(path)))
        except (OSError, ValueError):
            return []

    def sizes(self, path: str) -> dict[str, int | None]:
        """What a folder holds, links followed: bytes of a file, None of a folder, -1 of what leads
        nowhere or is neither. `OSError` from the system, and for more than MAX_NAMES names.
        """
        sizes: dict[str, int | None] = {}
        with os.scandir(self.real(path)) as entries:
            for entry in entries:
                if len(sizes) >= MAX_NAMES:
                    raise OSError(errno.EOVERFLOW, f"more than {MAX_NAMES:,} names")
                try:
                    if entry.is_symlink() and not self.is_inside(entry.path):
                        sizes[entry.name] = -1
                    elif entry.is_dir():
                        sizes[entry.name] = None
                    else:
                        sizes[entry.name] = entry.stat().st_size if entry.is_file() else -1
                except OSError:
                    sizes[entry.name] = -1
        return sizes

    def is_inside(self, place: str) -> bool:
        """Whether the link at `place` leads to something that counts as this computer's."""
        return True

    def exists(self, path: str) -> bool:
        """Whether a file or folder is there, as far as this account can see."""
        return self._is(os.path.exists, path)

    def is_folder(self, path: str) -> bool:
        """Whether it is a folder that is there."""
        return self._is(os.path.isdir, path)

    def is_command(self, path: str) -> bool:
        """Whether a file is there that this account may execute."""
        return self._is(lambda real: os.access(real, os.X_OK) and os.path.isfile(real), path)

    def _is(self, test: Callable[[str], bool], path: str) -> bool:
        try:
            return test(self.real(path))
        except (OSError, ValueError):
            return False

    def resolve(self, path: str) -> str:
        """`path` made absolute, with links followed. `OSError` where a link leads to nothing or in
        a circle: a folder cannot be made there.
        """
        at = os.path.abspath(path)
        while not os.path.lexists(at) and os.path.dirname(at) != at:
            at = os.path.dirname(at)
        if os.path.islink(at) and not os.path.exists(at):
            words = f"a link leads to {os.path.realpath(at)}, which does not exist"
            raise OSError(errno.ENOLINK, words)
        return os.path.realpath(path)

    @property
    def paths(self) -> Any:
        """`posixpath` or `ntpath`, as the host's system writes paths."""
        if self.system == "windows":
            import ntpath

            return ntpath
        import posixpath

        return posixpath

    def join(self, *parts: str) -> str:
        """Parts of a path as the host's system joins them."""
        return str(self.paths.join(*parts))

    # mounts and space

    def mounts(self) -> tuple[Mount, ...]:
        """What is mounted, in mount order; empty where it cannot be read."""
        if self._mounts is None:
            self._mounts = self._read_mounts()
        return self._mounts

    def _read_mounts(self) -> tuple[Mount, ...]:
        if self.system == "linux":
            return parse_mountinfo(self.read_text("/proc/self/mountinfo") or "")
        try:
            import psutil

            parts = psutil.disk_partitions(all=self.system != "windows")
        except (ImportError, OSError, RuntimeError):
            return ()
        return tuple(Mount(point=part.mountpoint, filesystem=part.fstype) for part in parts)

    def mount_of(self, path: str) -> Mount | None:
        """The mount that holds an absolute path: the longest mount point it begins with, the
        latest where two are alike.
        """
        best: Mount | None = None
        separator = str(self.paths.sep)
        wanted = f"{self.paths.normcase(path)}{separator}"
        for mount in self.mounts():
            point = self.paths.normcase(mount.point).rstrip(separator)
            is_in = wanted.startswith(f"{point}{separator}")
            if is_in and (best is None or len(mount.point) >= len(best.point)):
                best = mount
        if self.system == "macos" and best is not None and best.point == "/":
            # the sealed system volume is mounted on /, and what people write to beside it
            data = (mount for mount in self.mounts() if mount.point == "/System/Volumes/Data")
            best = next(data, best)
        return best

    def within(self, work: Callable[[], T], seconds: float = DEADLINE_SECONDS) -> T:
        """`work()`, in a thread with a deadline where a dead network mount could hang it.
        `TimeoutError` when it has passed.
        """
        slow = (*NETWORK_FILESYSTEMS, "autofs")
        mounts = self.mounts() if self.system == "linux" else ()
        if not self.live or (mounts and not any(mount.filesystem in slow for mount in mounts)):
            return work()
        import threading

        done = threading.Event()
        returned: list[T] = []
        failures: list[Exception] = []

        def run() -> None:
            try:
                returned.append(work())
            except Exception as error:
                failures.append(error)
            done.set()

        threading.Thread(target=run, daemon=True).start()
        if not done.wait(min(seconds, IMPATIENT_SECONDS) if self._has_hung else seconds):
            self._has_hung = True
            raise TimeoutError(f"no answer within {seconds:g} seconds")
        if failures:
            raise failures[0]
        return returned[0]

    def space(self, path: str) -> Space | None:
        """Of the volume that holds an existing folder. None where it is not known. `OSError`
        from the system.
        """
        if not hasattr(os, "statvfs"):
            import psutil

            usage = psutil.disk_usage(path)
            return Space(free_bytes=usage.free, total_bytes=usage.total, read_only=False)
        volume = os.statvfs(path)
        # f_bavail, not f_bfree: the blocks reserved for root are no use to an ordinary account
        return Space(
            free_bytes=min(volume.f_bavail * volume.f_frsize, MAX_DISK_BYTES),
            total_bytes=min(volume.f_blocks * volume.f_frsize, MAX_DISK_BYTES),
            read_only=bool(volume.f_flag & 1),
            # btrfs and FAT state none at all; other systems fill the field in with anything
            free_files=volume.f_favail if self.system == "linux" and volume.f_files else None,
        )

    def can_write(self, path: str) -> bool | None:
        """Whether this account may create files in an existing folder; None where it is not
        known.
        """
        allowed = os.access(path, os.W_OK | os.X_OK)
        # on Windows only the read-only mark is looked at, not who may do what
        return None if allowed and self.system == "windows" else allowed

    # the running system

    def ask(self, name: str) -> Any:
        """What `system.py` has of the running system under that name; None where it has none."""
        from .system import ANSWERS

        return ANSWERS[name]()

    def machine(self) -> str:
        """The kernel's or interpreter's word for the processor: x86_64, arm64, AMD64, …"""
        # what Windows' registry says is the computer's, also for an emulated or 32-bit Python
        key = r"SYSTEM\CurrentControlSet\Control\Session Manager\Environment"
        return self.ask("machine") or self.registry(key, "PROCESSOR_ARCHITECTURE")

    def cwd(self) -> str:
        """The current folder."""
        return str(self.ask("cwd") or "/")

    def release(self) -> str:
        """The kernel's version text in small letters; empty where it is not known."""
        return str(self.ask("release") or "").lower()

    def home(self) -> str | None:
        """The home folder of this account; a relative one names no folder for good."""
        if self.system == "windows":
            return self.env.get("USERPROFILE") or None
        home = self.env.get("HOME", "")
        if self.live and not home.startswith("/"):
            home = os.path.expanduser("~")
        return home if home.startswith("/") else None

    def sysctl(self, name: str) -> str:
        """A kernel value of macOS as text; empty where there is none of that name."""
        from .system import sysctl

        return sysctl(name) if self.system == "macos" else ""

    def registry(self, key: str, value: str) -> str:
        """A text value under Windows' HKEY_LOCAL_MACHINE; empty where there is none."""
        from .system import registry_value

        return str(registry_value(key, value) or "") if self.system == "windows" else ""
