"""Host: the one way the probes look at a computer, so that a recorded tree can stand in for it.

`Host()` is this computer; `RecordedHost(DIR)` a tree of another's files. `Facts` are what was read.
"""

from __future__ import annotations

import errno
import ntpath
import os
import posixpath
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ...core.errors import MachineFileError, Problem
from ...core.files import (
    MISSING,
    fault_at,
    open_file,
    parse_json,
    read_file,
    read_some,
    text_of,
)
from ...core.records import Record, Unread
from ..platforms import normal_architecture, normal_system, platforms
from ..record import REMEDIES, Machine
from .recorded import read_facts, read_variables
from .system import ANSWERS
from .texts import Mount, parse_mountinfo

if TYPE_CHECKING:
    from typing import TypeVar

    T = TypeVar("T")

# files of Linux' kernel that several probes read
CPUINFO = "/proc/cpuinfo"
CPUS = "/sys/devices/system/cpu"
MOUNTINFO = "/proc/self/mountinfo"
STATUS = "/proc/self/status"
# where Windows' registry says what the computer's processor is, also to an emulated or 32-bit
# Python
_ENVIRONMENT = r"SYSTEM\CurrentControlSet\Control\Session Manager\Environment"
_PROCESSOR_KEY = rf"{_ENVIRONMENT}\PROCESSOR_ARCHITECTURE"
DEADLINE_SECONDS = 2.0
# 1,024 CPUs have about 2 KiB each in /proc/cpuinfo; the list of PCI names has 1.5 MB
MAX_READ_BYTES = 2**22


class Facts(Record):
    """Values and sources by fact, and why others are None: filled while it is used."""

    values: dict[str, Any]
    sources: dict[str, str]
    unread: dict[str, Unread]

    def put(
        self, fact: str, value: Any, source: str = "", why: str = "", remedy: str = ""
    ) -> None:
        """A value and its source; of None, or what no machine has, why, and what to do about it."""
        if value is not None and not _can_be(fact, value):
            value = None
            why = f"{source} gives a number that no machine has"
            remedy = ""
        if value is not None:
            self.values[fact] = value
            self.sources[fact] = source
            return
        self.unread[fact] = Unread(
            fact=fact,
            reason=why or "the system does not state it",
            remedy=remedy or _usual_remedy(fact),
        )


def _can_be(fact: str, value: Any) -> bool:
    """Whether a machine can have that value of a fact."""
    key = Machine._keys.get(fact)
    if key is None or "minimum" not in key.limits:
        return True
    return bool(key.limits["minimum"] <= value <= key.limits["maximum"])


def _usual_remedy(fact: str) -> str | None:
    for start, remedy in REMEDIES.items():
        if fact.startswith(start):
            return remedy
    return None


def reason_of(error: Exception) -> str:
    """What the system says of an error, in words."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class Host:
    """This computer.

    `env` are its variables, `system` its kind (linux, macos, windows), `architecture` its
    processor's, as Linux calls it, or None; `release` that of Linux in small letters; `home` is
    empty where no absolute one is set. `mounts` are in mount order, and empty where they cannot be
    read. `why` has for each path that was read why it does not say what is looked for, or cannot be
    read.
    """

    live = True

    def __init__(
        self, env: Mapping[str, str] | None = None, system: str | None = None
    ) -> None:
        self.env: Mapping[str, str] = os.environ if env is None else env
        self.system = system or normal_system(sys.platform)
        self.paths: Any = ntpath if self.system == "windows" else posixpath
        self.why: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self._deadline_seconds = DEADLINE_SECONDS
        word = self.ask("machine") or str(self.ask("registry", _PROCESSOR_KEY) or "")
        self.architecture: str | None = normal_architecture(word) or None
        self.release = self.read_text("/proc/sys/kernel/osrelease").strip().lower()
        self.home = self._home_folder()
        self.mounts = self._all_mounts()

    def _home_folder(self) -> str:
        home = self.env.get("USERPROFILE" if self.system == "windows" else "HOME", "")
        if self.live and not self.paths.isabs(home):
            home = os.path.expanduser("~")
        return home if self.paths.isabs(home) else ""

    def _all_mounts(self) -> tuple[Mount, ...]:
        if self.system == "linux":
            return parse_mountinfo(self.read_text(MOUNTINFO))
        mounts: list[Mount] = []
        for point, name in (self.ask("mounts") or {}).items():
            mounts.append(Mount(point=point, filesystem=str(name).strip()))
        return tuple(mounts)

    def real(self, path: str) -> str:
        """Where `path` lies on this computer."""
        return path

    def _decoded(self, name: str) -> str:
        """The name of a file, as it is written in a folder."""
        return name

    def read_text(self, path: str, limit: int = MAX_READ_BYTES) -> str:
        """At most `limit` bytes as text, read once; empty where it cannot be read: `why` says."""
        if path not in self._texts:
            self._texts[path] = self._text_of_file(path, limit)
        return self._texts[path]

    def _text_of_file(self, path: str, limit: int) -> str:
        # a device tree's ends in a zero
        text = self.read_bytes(path, limit).decode("utf-8", "replace").rstrip("\0")
        if not text.strip():
            return ""
        # names of firmware may be in an encoding of their own
        most_undecoded = len(text.rstrip("\n")) // 4
        if "\0" in text or text.count("\ufffd") > most_undecoded:
            self.why[path] = f"{path} is not text"
            return ""
        self.why[path] = f"{path} does not say"
        return text

    def read_bytes(self, path: str, limit: int) -> bytes:
        """At most `limit` bytes of a file; none where it cannot be read: `why` says."""
        self.why[path] = f"{path} is empty"
        try:
            # a pipe or device put in place of a file must neither hang the program nor do anything
            stream, _ = open_file(self.real(path))
            with stream:
                return read_some(stream, limit)
        except (OSError, ValueError) as error:
            self.why[path] = f"{path} {fault_at(path, error).reason}"
            return b""

    def read_object(self, path: str) -> dict[str, Any]:
        """The JSON object in a small file; empty where it is none."""
        try:
            text = text_of(self.read_bytes(path, MAX_READ_BYTES))
            value = parse_json(text, constant=float)
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    def listdir(self, path: str) -> list[str]:
        """The names in a folder, sorted; none where it cannot be listed: `why` says."""
        try:
            names = os.listdir(self.real(path))
        except (OSError, ValueError) as error:
            self.why[path] = f"{path} {fault_at(path, error).reason}"
            return []
        return sorted([self._decoded(name) for name in names])

    def sizes(self, *parts: str) -> dict[str, int | None]:
        """Bytes of each file in a folder, None of a folder, 0 of a link that leads nowhere."""
        sizes: dict[str, int | None] = {}
        try:
            entries = os.scandir(self.real(self.paths.join(*parts)))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        with entries:
            for entry in entries:
                sizes[self._decoded(entry.name)] = self._size_of(entry)
        return dict(sorted(sizes.items()))

    def _size_of(self, entry: os.DirEntry[str]) -> int | None:
        with suppress(FileNotFoundError, NotADirectoryError):
            if entry.is_symlink():
                # a link that leads out of a recorded tree leads nowhere
                self.real(entry.path)
            if entry.is_dir():
                return None
            if entry.is_file():
                return entry.stat().st_size
        return 0

    def exists(self, path: str) -> bool:
        """Whether a file or folder is there, as far as this account can see."""
        return self._passes(path, os.path.exists)

    def is_program(self, path: str) -> bool:
        """Whether a file is there that this account may run."""
        return self._passes(path, lambda place: os.access(place, os.X_OK))

    def _passes(self, path: str, test: Callable[[str], bool]) -> bool:
        try:
            return test(self.real(path))
        except (OSError, ValueError):
            return False

    def resolve(self, path: str) -> str:
        """`path` made absolute, with links followed. `OSError` for a link that leads nowhere."""
        nearest = os.path.abspath(path)
        while not os.path.lexists(nearest) and os.path.dirname(nearest) != nearest:
            nearest = os.path.dirname(nearest)
        if os.path.islink(nearest) and not os.path.exists(nearest):
            words = f"a link leads to {os.path.realpath(nearest)}, which does not exist"
            raise OSError(errno.ENOLINK, words)
        return os.path.realpath(path)

    def mount_of(self, path: str) -> Mount | None:
        """The mount that holds an absolute path: of the longest mount point, the latest."""
        below = self._folder(path)
        longest: Mount | None = None
        for mount in self.mounts:
            if not below.startswith(self._folder(mount.point)):
                continue
            if longest is None or len(mount.point) >= len(longest.point):
                longest = mount
        return longest

    def _folder(self, path: str) -> str:
        """A path as a folder's, in small letters where the system tells none from large ones."""
        return str(self.paths.normcase(self.paths.join(path, "")))

    def within(self, work: Callable[[], T]) -> T:
        """`work()`, with a deadline where a dead network mount could hang it: `TimeoutError`."""
        return self._within_deadline(work) if self._can_hang() else work()

    def _can_hang(self) -> bool:
        if not self.live:
            return False
        if self.system != "linux" or not self.mounts:
            return True
        slow = {*platforms().filesystems["network"], "autofs"}
        return any(mount.filesystem in slow for mount in self.mounts)

    def _within_deadline(self, work: Callable[[], T]) -> T:
        from concurrent.futures import Future
        from threading import Thread

        answer: Future[T] = Future()

        def run() -> None:
            try:
                answer.set_result(work())
            except Exception as error:
                answer.set_exception(error)

        Thread(target=run, daemon=True).start()
        seconds = self._deadline_seconds
        try:
            return answer.result(seconds)
        except TimeoutError:
            # once one volume has not answered, the next ones get less
            self._deadline_seconds = DEADLINE_SECONDS / 8
            raise TimeoutError(f"no answer within {seconds:g} seconds") from None

    def ask(self, name: str, about: str | None = None) -> Any:
        """What `system.py` has under that name, or of `about`, a folder or key; else None."""
        return ANSWERS[name]() if about is None else ANSWERS[name](about)

    def sysctl(self, name: str) -> str:
        """A kernel value of macOS as text; empty where there is none of that name."""
        return str(self.ask("sysctl", name) or "") if self.system == "macos" else ""


class RecordedHost(Host):
    """Answers from a tree, DIR/proc, DIR/sys, …, and asks the running system nothing: what is not
    there is unread. `MachineFileError` where DIR is no tree.

    A colon, which Windows allows in no file name, is written `%3A`. Beside the files may lie
    `env.json` (variables), `sysctl.txt` (`name: value`) and `facts.json`, whose keys are all
    optional: those of `system.ANSWERS`, where `space` and `writable` are by folder, `registry` by
    key.
    """

    live = False

    def __init__(self, folder: str) -> None:
        self.folder = os.path.realpath(folder)
        self._refuse_other_folder(folder)
        self.facts: dict[str, Any] = {}
        facts = self._content_beside(folder, "facts.json")
        if facts is not None:
            self.facts = read_facts(os.path.join(folder, "facts.json"), facts)
        env: dict[str, str] = {}
        variables = self._content_beside(folder, "env.json")
        if variables is not None:
            env = read_variables(os.path.join(folder, "env.json"), variables)
        super().__init__(env, normal_system(str(self.facts.get("system") or "linux")))
        values: dict[str, str] = {}
        for line in self.read_text("sysctl.txt").splitlines():
            name, _, value = line.partition(":")
            values[name.strip()] = value.strip()
        self.facts["sysctl"] = values

    def _refuse_other_folder(self, folder: str) -> None:
        """`MachineFileError` where no file of a recorded tree is in the folder, or can be seen."""
        message = "holds no recorded machine: neither proc nor sys nor facts.json"
        remedy: str | None = "name a folder with copies of the files in /proc and /sys"
        try:
            for name in ("proc", "sys", "facts.json", "sysctl.txt"):
                with suppress(FileNotFoundError):
                    os.stat(os.path.join(self.folder, name))
                    return
            if not os.path.exists(self.folder):
                message = "does not exist"
        except NotADirectoryError:
            message = "is a file, not a folder"
            remedy = "name the folder of a recorded tree"
        except PermissionError:
            message = "may not be read by this account: permission denied"
            remedy = "change its permissions, or those of the folder that holds it"
        except (OSError, ValueError) as error:
            message = fault_at(folder, error).reason
            remedy = None
        raise MachineFileError([Problem(file=folder, message=message, remedy=remedy)])

    def _content_beside(self, folder: str, name: str) -> bytes | None:
        """The content of a file of the tree that the system's answers are in; None without one."""
        try:
            return read_file(self.real(name), MAX_READ_BYTES)
        except (OSError, ValueError) as error:
            fault = fault_at(name, error)
            if fault.kind == MISSING:
                return None
            problem = fault.problem(os.path.join(folder, name))
            raise MachineFileError([problem]) from None

    def real(self, path: str) -> str:
        """Where `path` lies in the tree. `FileNotFoundError` for a link that leads out of it."""
        inner = path.removeprefix(self.folder).replace("\\", "/").lstrip("/")
        plain = os.path.join(self.folder, inner)
        if not os.path.lexists(plain):
            plain = os.path.join(self.folder, inner.replace(":", "%3A"))
        place = os.path.realpath(plain)
        if place != self.folder and not place.startswith(self.folder + os.sep):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return place

    def _decoded(self, name: str) -> str:
        return name.replace("%3A", ":")

    def _passes(self, path: str, test: Callable[[str], bool]) -> bool:
        # a folder whose space is recorded was there
        return path in (self.ask("space") or {}) or super()._passes(path, test)

    def resolve(self, path: str) -> str:
        return str(self.paths.normpath(self.paths.join(self.ask("cwd") or "/", path)))

    def ask(self, name: str, about: str | None = None) -> Any:
        """What the record says under that name, of the nearest folder upwards that it names."""
        answer = self.facts.get(name)
        if about is None:
            return answer
        answers: Mapping[str, Any] = answer or {}
        while about not in answers and self.paths.dirname(about) != about:
            about = self.paths.dirname(about)
        return answers.get(about)
