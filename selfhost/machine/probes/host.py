"""Host: the one way the probes look at a computer, so that a recorded tree can stand in for it.

`Host()` is this computer; `RecordedHost(DIR)` a tree of another's files. `Facts` are what was read.
"""

from __future__ import annotations

import errno
import ntpath
import os
import posixpath
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ...core.errors import MachineFileError, Problem
from ...core.files import Unreadable, descriptor_of, text_of
from ...core.records import Record, Unread
from ..record import MAX_CORES, MAX_MEMORY_BYTES, MIN_CORES, normal_system, platforms

T = TypeVar("T")

DEADLINE_SECONDS = 2.0
# once one volume has not answered, the next ones get less
IMPATIENT_SECONDS = 0.25
MAX_READ_BYTES = 2**20
# a store of 1,000 models in 100 layers each has fewer
MAX_NAMES = 100_000
FACTS_FILE, ENV_FILE, SYSCTL_FILE = "facts.json", "env.json", "sysctl.txt"


class Facts:
    """Values and sources by fact, and why others are None."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        self.unread: dict[str, Unread] = {}

    def put(self, fact: str, value: Any, source: str) -> None:
        """A value and where it was read; one that no machine has is taken as not read."""
        is_size, is_count = fact.endswith("_bytes"), fact.startswith("cpu_cores_")
        if is_size and not 0 <= value <= MAX_MEMORY_BYTES:
            self.miss(fact, f"{source} gives a size no machine has")
        elif is_count and not MIN_CORES <= value <= MAX_CORES:
            self.miss(fact, f"{source} gives a number of CPUs no machine has")
        else:
            self.values[fact], self.sources[fact] = value, source

    def miss(self, fact: str, reason: str, remedy: str | None = None) -> None:
        """Why a fact is None, and what to do about it."""
        self.unread[fact] = Unread(fact=fact, reason=reason, remedy=remedy)

    def settle(
        self, fact: str, value: Any, source: str, reason: str, remedy: str | None = None
    ) -> None:
        """`put` a value, or `miss` the fact where it is None."""
        if value is None:
            self.miss(fact, reason, remedy)
        else:
            self.put(fact, value, source)

    def map_texts(self, change: Callable[[str], str]) -> None:
        """Make `change` to every text that may be shown."""
        for texts in (self.values, self.sources, self.unread):
            texts.update({fact: _mapped(value, change) for fact, value in texts.items()})


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, tuple):
        return tuple(_mapped(item, change) for item in value)
    if not isinstance(value, Record):
        return value
    # a fact and a remedy name nobody
    names = set(type(value)._fields) - {"fact", "remedy"}
    return value.replace(**{name: _mapped(getattr(value, name), change) for name in names})


# ------------------------------------------------------------------ texts of the kernel


def whole(word: str, digits: int = 20) -> int | None:
    """A whole number of at most so many plain digits; None for another word."""
    return int(word) if word.isdecimal() and word.isascii() and len(word) <= digits else None


def parse_meminfo(text: str) -> dict[str, int]:
    """/proc/meminfo or /proc/self/status in bytes; lines without kB are counts. Lines of another
    shape are left out, and a last one that was cut off.
    """
    values = {}
    for line in text[: text.rfind("\n") + 1].splitlines():
        name, colon, rest = line.partition(":")
        words = rest.split()
        number = whole(words[0], 15) if colon and words else None
        if number is not None:
            values[name.strip()] = number * (1024 if words[1:] == ["kB"] else 1)
    return values


def parse_stat(text: str) -> dict[str, int]:
    """Lines of a name and a number, as of memory.stat; others are left out."""
    pairs = (line.partition(" ") for line in text.splitlines())
    numbers = ((name, whole(number)) for name, _, number in pairs)
    return {name: number for name, number in numbers if number is not None}


class Mount(Record):
    """One mounted file system. `root` is the part of it that is mounted, `options` its own."""

    point: str
    filesystem: str
    root: str = "/"
    options: str = ""
    read_only: bool = False


def parse_mountinfo(text: str) -> tuple[Mount, ...]:
    """The lines of /proc/self/mountinfo, in mount order; lines of another shape are left out."""
    mounts = []
    for line in text.splitlines():
        head, dash, tail = line.partition(" - ")
        fields, system = head.split(" "), [*tail.split(" "), "", ""]
        if dash and len(fields) >= 6 and system[0]:
            # spaces and the like are written in octal
            root, point = (
                re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
                for field in fields[3:5]
            )
            is_read_only = "ro" in fields[5].split(",")
            mount = Mount(root=root, point=point, filesystem=system[0], options=system[2])
            mounts.append(mount.replace(read_only=True) if is_read_only else mount)
    return tuple(mounts)


def reason_of(error: Exception) -> str:
    """What the system says of an error, in words."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


# ------------------------------------------------------------------ this computer


class Host:
    """This computer. `env` stands in for the environment variables, `system` for the name of the
    operating system (linux, macos, windows).
    """

    live = True

    def __init__(self, env: Mapping[str, str] | None = None, system: str | None = None) -> None:
        self.env: Mapping[str, str] = os.environ if env is None else env
        self.system = system or normal_system(sys.platform)
        # as the host's system writes paths
        self.paths: Any = ntpath if self.system == "windows" else posixpath
        # of services that store models: kept out of what is shown
        self.accounts: set[str] = set()
        # by path: its text, or None and why
        self._texts: dict[str, tuple[str | None, str]] = {}
        self._mounts: tuple[Mount, ...] | None = None
        self._has_hung = False

    def real(self, path: str) -> str:
        """Where `path` lies on this computer."""
        return path

    def read_text(self, path: str, limit: int = MAX_READ_BYTES) -> str | None:
        """At most `limit` bytes of a file as text, read once; None where `why` says why."""
        if path not in self._texts:
            text, why = None, ""
            try:
                text = self.read_bytes(path, limit).decode("utf-8", "replace")
            except (FileNotFoundError, NotADirectoryError):
                why = "is not there"
            except (OSError, ValueError) as error:
                why = f"cannot be read ({reason_of(error)})"
            # device tree files end in a zero; names of firmware may be in an encoding of their own
            content = (text or "").rstrip("\0\n")
            if text is not None and not text.strip():
                text, why = None, "is empty"
            elif not content or "\0" in content or content.count("\ufffd") > len(content) // 4:
                text, why = None, why or "is not text"
            self._texts[path] = text, why
        return self._texts[path][0]

    def why(self, path: str) -> str:
        """`/proc/meminfo is not there`: why `read_text` gave None."""
        return f"{path} {self._texts.get(path, (None, ''))[1] or 'does not say'}"

    def read_word(self, path: str) -> str:
        """The one word of a small file, in small letters; empty where it cannot be read."""
        return (self.read_text(path, 256) or "").strip(" \n\0").lower()

    def read_bytes(self, path: str, limit: int) -> bytes:
        """At most `limit` bytes of a file. `OSError`; `ValueError` for a name no file can have."""
        try:
            number, _ = descriptor_of(self.real(path))
        except Unreadable as error:
            # a pipe or device put in place of a file must neither hang the program nor do anything
            raise OSError(errno.EINVAL, error.reason.partition(": ")[2] or error.reason) from None
        with os.fdopen(number, "rb") as stream:
            return stream.read(limit)

    def read_object(self, path: str, limit: int = MAX_READ_BYTES) -> dict[str, Any]:
        """The JSON object in a small file; empty where it is none."""
        from ...core.json_text import parse

        try:
            value = parse(text_of(self.read_bytes(path, limit)), constant=float)
        except (OSError, ValueError, Unreadable):
            return {}
        return value if isinstance(value, dict) else {}

    def listdir(self, path: str) -> list[str]:
        """The names in a folder, sorted; none where it cannot be listed."""
        try:
            return sorted(os.listdir(self.real(path)))
        except (OSError, ValueError):
            return []

    def sizes(self, path: str) -> dict[str, int | None]:
        """Of each name in a folder: bytes of a file, None of a folder, -1 of what leads nowhere."""
        sizes: dict[str, int | None] = {}
        with os.scandir(self.real(path)) as entries:
            for entry in entries:
                if len(sizes) >= MAX_NAMES:
                    raise OSError(errno.EOVERFLOW, f"more than {MAX_NAMES:,} names")
                try:
                    if entry.is_symlink():
                        self.real(entry.path)
                    size = entry.stat().st_size if entry.is_file() else -1
                    sizes[entry.name] = None if entry.is_dir() else size
                except OSError:
                    sizes[entry.name] = -1
        return sizes

    def exists(self, path: str, test: Callable[[str], bool] = os.path.exists) -> bool:
        """Whether a file or folder is there that passes `test`, as far as this account can see."""
        try:
            return test(self.real(path))
        except (OSError, ValueError):
            return False

    def resolve(self, path: str) -> str:
        """`path` made absolute, with links followed. `OSError` where one leads to nothing."""
        at = os.path.abspath(path)
        while not os.path.lexists(at) and os.path.dirname(at) != at:
            at = os.path.dirname(at)
        if os.path.islink(at) and not os.path.exists(at):
            words = f"a link leads to {os.path.realpath(at)}, which does not exist"
            raise OSError(errno.ENOLINK, words)
        return os.path.realpath(path)

    def join(self, *parts: str) -> str:
        """Parts of a path as the host's system joins them."""
        return str(self.paths.join(*parts))

    def mounts(self) -> tuple[Mount, ...]:
        """What is mounted, in mount order; empty where it cannot be read."""
        if self._mounts is None and self.system == "linux":
            self._mounts = parse_mountinfo(self.read_text("/proc/self/mountinfo") or "")
        elif self._mounts is None:
            listed = (self.ask("mounts") or {}).items()
            self._mounts = tuple(Mount(point=point, filesystem=kind) for point, kind in listed)
        return self._mounts

    def mount_of(self, path: str) -> Mount | None:
        """The mount that holds an absolute path: of the longest mount point, the latest."""
        separator, fold = str(self.paths.sep), self.paths.normcase
        below = f"{fold(path)}{separator}"
        holding = [
            mount
            for mount in self.mounts()
            if below.startswith(fold(mount.point).rstrip(separator) + separator)
        ]
        # the last of the longest
        return max(reversed(holding), key=lambda mount: len(mount.point), default=None)

    def within(self, work: Callable[[], T], seconds: float = DEADLINE_SECONDS) -> T:
        """`work()`, with a deadline where a dead network mount could hang it: `TimeoutError`."""
        slow = (*platforms()["filesystems"]["network"], "autofs")
        mounts = self.mounts() if self.system == "linux" else ()
        if not self.live or (mounts and not any(mount.filesystem in slow for mount in mounts)):
            return work()
        import threading

        done: list[tuple[T | None, Exception | None]] = []

        def run() -> None:
            try:
                done.append((work(), None))
            except Exception as error:
                done.append((None, error))

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(min(seconds, IMPATIENT_SECONDS) if self._has_hung else seconds)
        if not done:
            self._has_hung = True
            raise TimeoutError(f"no answer within {seconds:g} seconds")
        value, error = done[0]
        if error is not None:
            raise error
        return value  # type: ignore[return-value]

    def ask(self, name: str, about: str | None = None) -> Any:
        """What `system.py` has of the running system under that name; None where it has none.
        `about`: the folder, the kernel's value or the key that is asked about.
        """
        from .system import ANSWERS

        return ANSWERS[name]() if about is None else ANSWERS[name](about)

    def sysctl(self, name: str) -> str:
        """A kernel value of macOS as text; empty where there is none of that name."""
        return str(self.ask("sysctl", name) or "") if self.system == "macos" else ""

    def registry(self, key: str) -> str:
        """A text value under Windows' HKEY_LOCAL_MACHINE; empty where there is none."""
        return str(self.ask("registry", key) or "") if self.system == "windows" else ""

    def machine(self) -> str:
        """The kernel's or interpreter's word for the processor: x86_64, arm64, AMD64, …"""
        # what Windows' registry says is the computer's, also for an emulated or 32-bit Python
        folder = r"SYSTEM\CurrentControlSet\Control\Session Manager\Environment"
        return self.ask("machine") or self.registry(folder + r"\PROCESSOR_ARCHITECTURE")

    def cwd(self) -> str:
        """The current folder."""
        try:
            return str(self.ask("cwd") or "/")
        except OSError:
            return "/"

    def release(self) -> str:
        """The kernel's version text in small letters; empty where it is not known."""
        return (self.ask("release") or self.read_word("/proc/sys/kernel/osrelease")).lower()

    def home(self) -> str | None:
        """The home folder of this account; a relative one names no folder for good."""
        if self.system == "windows":
            return self.env.get("USERPROFILE") or None
        home = self.env.get("HOME", "")
        if self.live and not home.startswith("/"):
            home = os.path.expanduser("~")
        return home if home.startswith("/") else None


# ------------------------------------------------------------------ a recorded tree


def file_name(path: str) -> str:
    """Where the file `path` of a computer lies in a tree, on every system: `0000:00:1f.0`
    becomes `0000%3A00%3A1f.0`.
    """
    # what Windows allows in no file name
    awkward = r'[<>:"|?*%\x00-\x1f]'
    plain = path.replace("\\", "/")
    return re.sub(awkward, lambda match: f"%{ord(match[0]):02X}", plain).lstrip("/")


def _listed(name: str) -> str:
    return re.sub(r"%([0-9A-F]{2})", lambda match: chr(int(match[1], 16)), name)


class RecordedHost(Host):
    """Answers from a tree, DIR/proc, DIR/sys, …, and asks the running system nothing: what is not
    there is unread. `MachineFileError` where DIR is no tree.

    Beside the files may lie `env.json` (variables), `sysctl.txt` (`name: value`) and `facts.json`,
    whose keys are all optional: those that `system.ANSWERS` has, where `space` and `writable` are
    by folder and `registry` by key.
    """

    live = False

    def __init__(self, folder: str) -> None:
        self.folder = os.path.realpath(folder)
        parts = ("proc", "sys", FACTS_FILE, SYSCTL_FILE)
        if not any(os.path.exists(os.path.join(self.folder, name)) for name in parts):
            message = f"holds no recorded machine: neither proc nor sys nor {FACTS_FILE}"
            remedy = "name a folder with copies of the files in /proc and /sys"
            raise MachineFileError([Problem(file=folder, message=message, remedy=remedy)])
        self.facts = self.read_object(FACTS_FILE)
        env = {name: str(value) for name, value in self.read_object(ENV_FILE).items()}
        super().__init__(env, normal_system(str(self.facts.get("system") or "linux")))
        pairs = (line.partition(":") for line in (self.read_text(SYSCTL_FILE) or "").splitlines())
        self.facts["sysctl"] = {name.strip(): value.strip() for name, _, value in pairs}

    def real(self, path: str) -> str:
        """Where `path` lies in the tree. `FileNotFoundError` for a link that leads out of it."""
        inner = path.removeprefix(self.folder)
        plain = os.path.join(self.folder, inner.replace("\\", "/").lstrip("/"))
        if not os.path.lexists(plain):
            plain = os.path.join(self.folder, file_name(inner))
        place = os.path.realpath(plain)
        if place != self.folder and not place.startswith(self.folder + os.sep):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return place

    def listdir(self, path: str) -> list[str]:
        return sorted(map(_listed, super().listdir(path)))

    def sizes(self, path: str) -> dict[str, int | None]:
        return {_listed(name): size for name, size in super().sizes(path).items()}

    def exists(self, path: str, test: Callable[[str], bool] = os.path.exists) -> bool:
        return path in (self.ask("space") or {}) or super().exists(path, test)

    def resolve(self, path: str) -> str:
        return str(self.paths.normpath(self.join(self.cwd(), path)))

    def ask(self, name: str, about: str | None = None) -> Any:
        """What the record says under that name, of the nearest folder upwards that it names."""
        value = self.facts.get(name)
        if about is None:
            return value
        while about not in (value or {}) and self.paths.dirname(about) != about:
            about = self.paths.dirname(about)
        return (value or {}).get(about)
