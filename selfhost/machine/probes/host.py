"""Host: the only access of the probes to a computer, so that a recorded tree can replace it
(`recorded.RecordedHost`). `Facts` collects the facts that were read.
"""

from __future__ import annotations

import errno
import ntpath
import os
import posixpath
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from types import ModuleType
from typing import Any, TypeVar

from ...core.files import fault_at, open_file, parse_json, read_some, text_of
from ...core.records import Record, Unread
from ..platforms import normal_architecture, normal_system, platforms
from ..record import REMEDIES, FactValues, Machine
from .system import ANSWERS
from .texts import Mount, parse_mountinfo

T = TypeVar("T")

# files of the Linux kernel that several probes read
CPUINFO = "/proc/cpuinfo"
CPUS = "/sys/devices/system/cpu"
MOUNTINFO = "/proc/self/mountinfo"
STATUS = "/proc/self/status"
# the registry value of Windows with the computer's processor architecture, which an emulated or
# 32-bit Python can read too
_ENVIRONMENT = r"SYSTEM\CurrentControlSet\Control\Session Manager\Environment"
_PROCESSOR_KEY = rf"{_ENVIRONMENT}\PROCESSOR_ARCHITECTURE"
DEADLINE_SECONDS = 2.0
# 1,024 CPUs take about 2 KiB each in /proc/cpuinfo; the list of PCI names has 1.5 MB
MAX_READ_BYTES = 2**22


class Facts(Record):
    """The values and sources of facts, and the reasons why others are None. The probes fill it."""

    values: FactValues
    sources: dict[str, str]
    unread: dict[str, Unread]

    def put(
        self,
        fact: str,
        value: object,
        source: str = "",
        why: str = "",
        remedy: str = "",
    ) -> None:
        """Add a value and its source. None, or a number that no machine has, makes the fact unread.

        `why` is the reason of a None, and `remedy` what to do about it.
        """
        if value is None:
            self.lack(fact, why, remedy)
        elif not _is_possible(fact, value):
            self.lack(fact, f"{source} gives a number that no machine has")
        else:
            self.values[fact] = value
            self.sources[fact] = source

    def lack(
        self,
        fact: str,
        why: str,
        remedy: str = "",
    ) -> None:
        """Add the reason why a fact is unread, and what to do about it. The usual reason and remedy
        stand where none is given.
        """
        usual_remedy = None
        for start, words in REMEDIES.items():
            if fact.startswith(start):
                usual_remedy = words
        self.unread[fact] = Unread(
            fact=fact,
            reason=why or "the system does not state it",
            remedy=remedy or usual_remedy,
        )


def _is_possible(fact: str, value: Any) -> bool:
    """Whether a machine can have that value of a fact: whether it is within the fact's limits."""
    key = Machine._keys.get(fact)
    if key is None or "minimum" not in key.limits:
        return True
    limits = key.limits
    return bool(limits["minimum"] <= value <= limits["maximum"])


class Host:
    """The computer that this program runs on, as the probes read it.

    `env` are the environment variables. `system` is linux, macos or windows. `architecture` is that
    of the processor as Linux calls it, or None. `release` is the release of the Linux kernel in
    small letters. `home` is empty where no absolute path is set. `mounts` are in mount order, and
    empty where they cannot be read.

    `why` has a reason for each path that was read, for a probe that does not find there what it
    looks for: why the path could not be read, else that the file does not say.
    """

    live = True

    def __init__(
        self,
        env: Mapping[str, str] = os.environ,
        system: str = "",
    ) -> None:
        self.env = env
        self.system = system or normal_system(sys.platform)
        self.paths: ModuleType = posixpath
        if self.system == "windows":
            self.paths = ntpath
        self.why: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self._deadline_seconds = DEADLINE_SECONDS
        # the system's name for the architecture; on Windows the name in the registry
        word = self.ask("machine") or self.ask("registry", _PROCESSOR_KEY)
        self.architecture = normal_architecture(str(word or "")) or None
        self.release = self.read_value("/proc/sys/kernel/osrelease").lower()
        self.home = self._home_folder()
        self.mounts = self._all_mounts()

    def join(self, *parts: str) -> str:
        """Return the path of these parts, as the system writes paths."""
        return str(self.paths.join(*parts))

    def parent(self, path: str) -> str:
        """The folder that holds a file or a folder."""
        return str(self.paths.dirname(path))

    def upwards(self, path: str) -> Iterator[str]:
        """Yield a path, then each folder above it, the top last: `/a/b`, `/a`, `/`. The folders
        need not exist.
        """
        below = None
        while path != below:
            yield path
            below = path
            path = self.parent(path)

    def is_absolute(self, path: str) -> bool:
        """Whether a path begins at the top, or on Windows at a drive."""
        return bool(self.paths.isabs(path))

    def _home_folder(self) -> str:
        """The absolute path of the home folder; empty where there is none."""
        variable = "USERPROFILE" if self.system == "windows" else "HOME"
        home = self.env.get(variable, "")
        if self.live and not self.is_absolute(home):
            home = os.path.expanduser("~")
        return home if self.is_absolute(home) else ""

    def _all_mounts(self) -> tuple[Mount, ...]:
        """The mounts in Linux' own list; on other systems those that psutil states."""
        if self.system == "linux":
            return parse_mountinfo(self.read_text(MOUNTINFO))
        mounts = []
        names: Mapping[str, str] = self.ask("mounts") or {}
        for point, name in names.items():
            mounts.append(Mount(point=point, filesystem=name.strip()))
        return tuple(mounts)

    def real(self, path: str) -> str:
        """Return where `path` lies on this computer."""
        return path

    def _decoded(self, name: str) -> str:
        """The name of a file, as it is written in a folder."""
        return name

    def read_text(self, path: str) -> str:
        """Return the text of a file, which is read once; empty where the file cannot be read: `why`
        says the reason.
        """
        if path not in self._texts:
            self._texts[path] = self._text_of_file(path)
        return self._texts[path]

    def read_value(self, path: str) -> str:
        """Return the text of a file that holds one value, as `read_text` does, without the blanks
        around the value.
        """
        return self.read_text(path).strip()

    def _text_of_file(self, path: str) -> str:
        """The text of a file that was not read before, as `read_text` returns it."""
        content = self.read_bytes(path)
        # texts of a device tree end with a zero byte
        text = content.decode("utf-8", "replace").rstrip("\0")
        if not text.strip():
            return ""
        if not _is_text(text):
            self.why[path] = f"{path} is not text"
            return ""
        self.why[path] = f"{path} does not say"
        return text

    def read_bytes(self, path: str, limit: int = MAX_READ_BYTES) -> bytes:
        """Return at most `limit` bytes of a file; none where the file cannot be read: `why` says
        the reason.
        """
        self.why[path] = f"{path} is empty"
        try:
            # a pipe or device in place of a file must not block the program or have an effect
            stream, _ = open_file(self.real(path))
            with stream:
                return read_some(stream, limit)
        except (OSError, ValueError) as error:
            self.why[path] = f"{path} {fault_at(path, error).reason}"
            return b""

    def read_object(self, path: str) -> dict[str, object]:
        """Return the JSON object in a small file; empty where the file holds none."""
        try:
            text = text_of(self.read_bytes(path))
            value = parse_json(text, constant=float)
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    def listdir(self, path: str) -> list[str]:
        """Return the sorted names in a folder; none where the folder cannot be listed: `why` says
        the reason.
        """
        try:
            names = os.listdir(self.real(path))
        except (OSError, ValueError) as error:
            self.why[path] = f"{path} {fault_at(path, error).reason}"
            return []
        return sorted(map(self._decoded, names))

    def names(self, path: str, pattern: str) -> list[str]:
        """Return the sorted names in a folder that match an expression from end to end; none where
        the folder cannot be listed.
        """
        names = self.listdir(path)
        # a name may contain any character, including line breaks
        return [name for name in names if re.fullmatch(pattern, name, re.DOTALL)]

    def sizes(self, *parts: str) -> dict[str, int | None]:
        """Return the bytes of each file in a folder, by name; None for a folder in it, 0 for a link
        that leads nowhere.

        Raises `OSError` where the folder exists and cannot be listed.
        """
        folder = self.join(*parts)
        try:
            entries = os.scandir(self.real(folder))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        sizes = {}
        with entries:
            for entry in entries:
                name = self._decoded(entry.name)
                sizes[name] = self._size_of(entry)
        return dict(sorted(sizes.items()))

    def _size_of(self, entry: os.DirEntry[str]) -> int | None:
        """The size of one entry of a folder, as `sizes` returns it."""
        with suppress(FileNotFoundError, NotADirectoryError):
            if entry.is_symlink():
                # a link that leads out of a recorded tree counts as broken
                self.real(entry.path)
            if entry.is_dir():
                return None
            if entry.is_file():
                return entry.stat().st_size
        return 0

    def exists(self, path: str) -> bool:
        """Whether a file or folder is there, as far as this account can see."""
        with suppress(OSError, ValueError):
            return os.path.exists(self.real(path))
        return False

    def is_program(self, path: str) -> bool:
        """Whether a file is there that this account may run."""
        with suppress(OSError, ValueError):
            return os.access(self.real(path), os.X_OK)
        return False

    def resolve(self, path: str) -> str:
        """`path` made absolute, with links followed. `OSError` for a link that leads nowhere."""
        absolute = os.path.abspath(path)
        for part in self.upwards(absolute):
            if os.path.exists(part):
                break
            # the link exists, but its target does not
            if os.path.lexists(part):
                target = os.path.realpath(part)
                raise OSError(
                    errno.ENOLINK, f"a link leads to {target}, which does not exist"
                )
        return os.path.realpath(path)

    def mount_of(self, path: str) -> Mount | None:
        """Return the mount that holds an absolute path: the latest of those with the longest mount
        point.
        """
        folder = self._as_folder(path)
        nearest = None
        longest = 0
        for mount in self.mounts:
            point = self._as_folder(mount.point)
            if folder.startswith(point) and len(point) >= longest:
                nearest = mount
                longest = len(point)
        return nearest

    def _as_folder(self, path: str) -> str:
        """The path with a separator at its end, in small letters where the system ignores case."""
        return str(self.paths.normcase(self.join(path, "")))

    def within(self, work: Callable[[], T]) -> T:
        """Return `work()`. A deadline stands where a dead network mount could hang the call:
        `TimeoutError`.
        """
        if self._can_hang():
            return self._within_deadline(work)
        return work()

    def _can_hang(self) -> bool:
        """Whether a file may lie on a volume that does not answer."""
        if not self.live:
            return False
        if self.system != "linux" or not self.mounts:
            return True
        slow = {*platforms().filesystems["network"], "autofs"}
        return any(mount.filesystem in slow for mount in self.mounts)

    def _within_deadline(self, work: Callable[[], T]) -> T:
        """The result of `work`, done in a thread that is left alone where it takes too long."""
        from concurrent.futures import Future
        from threading import Thread

        answer: Future[T] = Future()

        def run() -> None:
            """Keep the answer, or the error, for the thread that waits."""
            try:
                answer.set_result(work())
            except Exception as error:
                answer.set_exception(error)

        Thread(target=run, daemon=True).start()
        seconds = self._deadline_seconds
        try:
            return answer.result(seconds)
        except TimeoutError:
            # after one volume did not answer, the next volumes get less time
            self._deadline_seconds = DEADLINE_SECONDS / 8
            raise TimeoutError(f"no answer within {seconds:g} seconds") from None

    def ask(self, name: str, about: str | None = None) -> Any:
        """Return the answer of `system.py` under that name. With `about`, a folder or a key, the
        answer is about that; else about the computer. None where the system does not tell.
        """
        answer = ANSWERS[name]
        return answer() if about is None else answer(about)

    def sysctl(self, name: str) -> str:
        """A kernel value of macOS as text; empty where there is none of that name."""
        if self.system != "macos":
            return ""
        return str(self.ask("sysctl", name) or "")


def _is_text(text: str) -> bool:
    """Whether a decoded file is text. Names of firmware may be in another encoding, so up to a
    quarter of the letters may be undecoded.
    """
    if "\0" in text:
        return False
    undecoded = text.count("\ufffd")
    letters = text.rstrip("\n")
    return undecoded <= len(letters) // 4
