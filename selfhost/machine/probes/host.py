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
from contextlib import suppress
from functools import partial
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
from ...core.tables import shipped_table
from ..record import REMEDIES, Machine, normal_architecture, normal_system
from .recorded import read_facts, read_variables
from .system import ANSWERS

if TYPE_CHECKING:
    from typing import TypeVar

    T = TypeVar("T")

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
        key = Machine._keys.get(fact)
        limits = key.limits if key and value is not None else {}
        if "minimum" in limits and not limits["minimum"] <= value <= limits["maximum"]:
            value, why, remedy = (
                None,
                f"{source} gives a number that no machine has",
                "",
            )
        if value is None:
            why = why or "the system does not state it"
            usual = (REMEDIES[start] for start in REMEDIES if fact.startswith(start))
            self.unread[fact] = Unread(
                fact=fact, reason=why, remedy=remedy or next(usual, None)
            )
        else:
            self.values[fact], self.sources[fact] = value, source


def whole(word: str, digits: int = 20) -> int | None:
    """A whole number of at most so many plain digits; None for another word."""
    return (
        int(word)
        if word.isdecimal() and word.isascii() and len(word) <= digits
        else None
    )


def firmware_scope(facts: Facts, words: Mapping[str, str]) -> None:
    """Whether this is a virtual machine, by what firmware calls the computer in some places."""
    text, virtual = " ".join(words.values()).lower(), shipped_table("firmware_names")
    is_guest = any(word in text for word in virtual["virtual_firmware"])
    scope = "vm" if is_guest and ".metal" not in text else "host"
    source = " and ".join(path for path in words if words[path])
    why = "the system does not say whether this is a virtual machine"
    facts.put("scope", scope if text.strip() else None, source, why)


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
            octal = partial(
                re.sub, r"\\([0-7]{3})", lambda match: chr(int(match[1], 8))
            )
            root, point = map(octal, fields[3:5])
            mounts.append(
                Mount(
                    point=point,
                    filesystem=system[0],
                    root=root,
                    options=system[2],
                    read_only="ro" in fields[5].split(","),
                )
            )
    return tuple(mounts)


def reason_of(error: Exception) -> str:
    """What the system says of an error, in words."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class Host:
    """This computer. `env` are its variables, `system` its kind (linux, macos, windows),
    `architecture` its processor's, as Linux calls it, or None; `release` that of Linux in small
    letters; `home` is empty where no absolute one is set.
    """

    live = True
    # the name of a file as it is written in a folder
    _decoded: Callable[[str], str] = staticmethod(str)

    def __init__(
        self, env: Mapping[str, str] | None = None, system: str | None = None
    ) -> None:
        self.env: Mapping[str, str] = os.environ if env is None else env
        self.system = system or normal_system(sys.platform)
        self.paths: Any = ntpath if self.system == "windows" else posixpath
        # by path: its text, and why it does not say what is looked for or cannot be listed
        self._texts: dict[str, str] = {}
        self.why: dict[str, str] = {}
        self._deadline_seconds = DEADLINE_SECONDS
        # what Windows' registry says is the computer's, also for an emulated or 32-bit Python
        key = r"SYSTEM\CurrentControlSet\Control\Session Manager\Environment\PROCESSOR_ARCHITECTURE"
        word = self.ask("machine") or str(self.ask("registry", key) or "")
        self.architecture: str | None = normal_architecture(word) or None
        self.release = self.read_text("/proc/sys/kernel/osrelease").strip().lower()
        home = self.env.get("USERPROFILE" if self.system == "windows" else "HOME", "")
        if self.live and not self.paths.isabs(home):
            home = os.path.expanduser("~")
        self.home: str = home if self.paths.isabs(home) else ""
        # in mount order; empty where they cannot be read
        self.mounts: tuple[Mount, ...] = ()
        if self.system == "linux":
            self.mounts = parse_mountinfo(self.read_text("/proc/self/mountinfo"))
        elif points := self.ask("mounts"):
            self.mounts = tuple(
                Mount(point=point, filesystem=str(name).strip())
                for point, name in points.items()
            )

    def real(self, path: str) -> str:
        """Where `path` lies on this computer."""
        return path

    def read_text(self, path: str, limit: int = MAX_READ_BYTES) -> str:
        """At most `limit` bytes as text, read once; empty where it cannot be read: `why` says."""
        if path not in self._texts:
            # a device tree's ends in a zero
            text = self.read_bytes(path, limit).decode("utf-8", "replace").rstrip("\0")
            # names of firmware may be in an encoding of their own
            is_text = (
                "\0" not in text and text.count("\ufffd") <= len(text.rstrip("\n")) // 4
            )
            if text.strip():
                self.why[path] = (
                    f"{path} {'does not say' if is_text else 'is not text'}"
                )
            self._texts[path] = text if is_text and text.strip() else ""
        return self._texts[path]

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
            value = parse_json(
                text_of(self.read_bytes(path, MAX_READ_BYTES)), constant=float
            )
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    def listdir(self, path: str) -> list[str]:
        """The names in a folder, sorted; none where it cannot be listed: `why` says."""
        try:
            return sorted(map(self._decoded, os.listdir(self.real(path))))
        except (OSError, ValueError) as error:
            self.why[path] = f"{path} {fault_at(path, error).reason}"
            return []

    def sizes(self, *parts: str) -> dict[str, int | None]:
        """Bytes of each file in a folder, None of a folder, 0 of a link that leads nowhere."""
        sizes: dict[str, int | None] = {}
        try:
            entries = os.scandir(self.real(self.paths.join(*parts)))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        with entries:
            for entry in entries:
                name = self._decoded(entry.name)
                sizes[name] = 0
                with suppress(FileNotFoundError, NotADirectoryError):
                    if entry.is_symlink():
                        self.real(entry.path)
                    size = entry.stat().st_size if entry.is_file() else 0
                    sizes[name] = None if entry.is_dir() else size
        return dict(sorted(sizes.items()))

    def exists(self, path: str, test: Callable[[str], bool] = os.path.exists) -> bool:
        """Whether a file or folder is there that passes `test`, as far as this account can see."""
        if not self.live and path in (self.ask("space") or {}):
            return True
        try:
            return test(self.real(path))
        except (OSError, ValueError):
            return False

    def resolve(self, path: str) -> str:
        """`path` made absolute, with links followed."""
        at = os.path.abspath(path)
        while not os.path.lexists(at) and os.path.dirname(at) != at:
            at = os.path.dirname(at)
        if os.path.islink(at) and not os.path.exists(at):
            words = f"a link leads to {os.path.realpath(at)}, which does not exist"
            raise OSError(errno.ENOLINK, words)
        return os.path.realpath(path)

    def mount_of(self, path: str) -> Mount | None:
        """The mount that holds an absolute path: of the longest mount point, the latest."""
        join, fold = self.paths.join, self.paths.normcase
        below = fold(join(path, ""))
        holding = [
            mount
            for mount in self.mounts
            if below.startswith(fold(join(mount.point, "")))
        ]
        return max(reversed(holding), key=lambda mount: len(mount.point), default=None)

    def within(self, work: Callable[[], T]) -> T:
        """`work()`, with a deadline where a dead network mount could hang it: `TimeoutError`."""
        slow = (*shipped_table("platforms")["filesystems"]["network"], "autofs")
        mounts = self.mounts if self.system == "linux" else ()
        if not self.live or (
            mounts and not any(mount.filesystem in slow for mount in mounts)
        ):
            return work()
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
    _decoded = staticmethod(lambda name: name.replace("%3A", ":"))

    def __init__(self, folder: str) -> None:
        self.folder = os.path.realpath(folder)
        self._refuse_other_folder(folder)
        self.why = {}
        facts = self._content_beside(folder, "facts.json")
        self.facts: dict[str, Any] = {}
        if facts is not None:
            self.facts = read_facts(os.path.join(folder, "facts.json"), facts)
        variables = self._content_beside(folder, "env.json")
        env: dict[str, str] = {}
        if variables is not None:
            env = read_variables(os.path.join(folder, "env.json"), variables)
        super().__init__(env, normal_system(str(self.facts.get("system") or "linux")))
        pairs = (
            line.partition(":") for line in self.read_text("sysctl.txt").splitlines()
        )
        self.facts["sysctl"] = {name.strip(): value.strip() for name, _, value in pairs}

    def _refuse_other_folder(self, folder: str) -> None:
        """`MachineFileError` where no file of a recorded tree is in the folder, or can be seen."""
        try:
            for name in ("proc", "sys", "facts.json", "sysctl.txt"):
                with suppress(FileNotFoundError):
                    os.stat(os.path.join(self.folder, name))
                    return
            message = "holds no recorded machine: neither proc nor sys nor facts.json"
            remedy: str | None = (
                "name a folder with copies of the files in /proc and /sys"
            )
            if not os.path.exists(self.folder):
                message = "does not exist"
        except NotADirectoryError:
            message, remedy = (
                "is a file, not a folder",
                "name the folder of a recorded tree",
            )
        except PermissionError:
            message = "may not be read by this account: permission denied"
            remedy = "change its permissions, or those of the folder that holds it"
        except (OSError, ValueError) as error:
            message, remedy = fault_at(folder, error).reason, None
        raise MachineFileError([Problem(file=folder, message=message, remedy=remedy)])

    def _content_beside(self, folder: str, name: str) -> bytes | None:
        """The content of a file of the tree that the system's answers are in; None without one."""
        try:
            return read_file(self.real(name), MAX_READ_BYTES)
        except (OSError, ValueError) as error:
            fault = fault_at(name, error)
            if fault.kind == MISSING:
                return None
            raise MachineFileError(
                [fault.problem(os.path.join(folder, name))]
            ) from None

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

    def resolve(self, path: str) -> str:
        return str(self.paths.normpath(self.paths.join(self.ask("cwd") or "/", path)))

    def ask(self, name: str, about: str | None = None) -> Any:
        """What the record says under that name, of the nearest folder upwards that it names."""
        value = self.facts.get(name)
        if about is None:
            return value
        while about not in (value or {}) and self.paths.dirname(about) != about:
            about = self.paths.dirname(about)
        return (value or {}).get(about)
