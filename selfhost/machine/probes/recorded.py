"""A recorded tree in place of a computer: DIR/proc, DIR/sys, … and beside them what is not a
file.
"""

from __future__ import annotations

import errno
import os
import re

from ...core.errors import MachineFileError, Problem
from ..record import normal_system
from .host import Host, Mount, Space

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

FACTS_FILE, ENV_FILE, SYSCTL_FILE = "facts.json", "env.json", "sysctl.txt"
_MAX_FILE_BYTES = 4 * 2**20
# by key of facts.json the type that its value must have
_KINDS: dict[str, type] = {
    **dict.fromkeys(("affinity", "processor_features", "python_path", "display_adapters"), list),
    **dict.fromkeys(("space", "writable", "memory", "cores", "nvml", "sizes"), dict),
    **dict.fromkeys(("registry", "mounts"), dict),
    **dict.fromkeys(("system", "machine", "release", "cwd", "read_at"), str),
    **dict.fromkeys(("pointer_bits", "swap_free"), int),
    "processor_information": str,
}


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
    """Answers from a tree and asks the running system nothing: what is not there is unread.
    `MachineFileError` where DIR is no tree.

    Beside the files may lie `env.json` (variables), `sysctl.txt` (`name: value`) and `facts.json`,
    whose keys are all optional: those that `system.ANSWERS` has, and `space` and `writable` (by
    folder), `sizes` (by folder: bytes by name, null for a folder in it), `mounts` (folder to file
    system), `registry` (`key\\value` to text).
    """

    live = False

    def __init__(self, folder: str) -> None:
        try:
            self.folder = os.path.realpath(folder)
        except ValueError:  # a null character, or half a character
            raise _fault(folder, "is no path") from None
        if not os.path.isdir(self.folder):
            raise _fault(folder, "is not a folder" if os.path.lexists(folder) else "does not exist")
        parts = ("proc", "sys", FACTS_FILE, SYSCTL_FILE)
        if not any(os.path.exists(os.path.join(self.folder, name)) for name in parts):
            message = f"holds no recorded machine: neither proc nor sys nor {FACTS_FILE}"
            raise _fault(folder, message)
        self._facts, env = _object(self.folder, FACTS_FILE), _object(self.folder, ENV_FILE)
        for key, kind in _KINDS.items():
            if self._facts.get(key) is not None and type(self._facts[key]) is not kind:
                raise _fault(os.path.join(folder, FACTS_FILE), "has another type here", key=key)
        if not all(type(value) is str for value in env.values()):
            raise _fault(os.path.join(folder, ENV_FILE), "does not hold texts alone")
        super().__init__(env, normal_system(self._facts.get("system") or "linux"))
        pairs = (line.partition(":") for line in _text(self.folder, SYSCTL_FILE).splitlines())
        self._sysctl = {name.strip(): value.strip() for name, _, value in pairs}

    def real(self, path: str) -> str:
        """Where `path` lies in the tree. `FileNotFoundError` for a link that leads out of it."""
        plain = os.path.join(self.folder, path.replace("\\", "/").lstrip("/"))
        if not os.path.lexists(plain):
            plain = os.path.join(self.folder, file_name(path))
        place = os.path.realpath(plain)
        if place != self.folder and not self.is_inside(place):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return place

    def is_inside(self, place: str) -> bool:
        return os.path.realpath(place).startswith(self.folder + os.sep)

    def listdir(self, path: str) -> list[str]:
        return sorted(map(_listed, super().listdir(path)))

    def sizes(self, path: str) -> dict[str, int | None]:
        recorded_sizes = (self.ask("sizes") or {}).get(path)
        if recorded_sizes:
            return dict(recorded_sizes)
        return {_listed(name): size for name, size in super().sizes(path).items()}

    def exists(self, path: str) -> bool:
        return path in (self.ask("space") or {}) or super().exists(path)

    def is_folder(self, path: str) -> bool:
        return path in (self.ask("space") or {}) or super().is_folder(path)

    def resolve(self, path: str) -> str:
        return str(self.paths.normpath(self.join(self.cwd(), path)))

    def _read_mounts(self) -> tuple[Mount, ...]:
        if self.system == "linux":
            return super()._read_mounts()
        mounts = (self.ask("mounts") or {}).items()
        return tuple(Mount(point=point, filesystem=kind) for point, kind in mounts)

    def _of_folder(self, name: str, path: str) -> Any:
        """What the record says of the nearest folder upwards that it names."""
        values = self.ask(name) or {}
        while path not in values and self.paths.dirname(path) != path:
            path = self.paths.dirname(path)
        return values.get(path)

    def space(self, path: str) -> Space | None:
        fields = self._of_folder("space", path) or {}
        own = {name: fields[name] for name in Space._fields if name in fields}
        return Space(**own) if own else None

    def can_write(self, path: str) -> bool | None:
        writable: bool | None = self._of_folder("writable", path)
        return writable

    def ask(self, name: str) -> Any:
        return self._facts.get(name)

    def release(self) -> str:
        return super().release() or self.read_word("/proc/sys/kernel/osrelease")

    def sysctl(self, name: str) -> str:
        return self._sysctl.get(name, "")

    def registry(self, key: str, value: str) -> str:
        return str((self.ask("registry") or {}).get(f"{key}\\{value}", ""))


def _fault(
    file: str, message: str, line: int | None = None, key: str | None = None
) -> MachineFileError:
    remedy = "a tree is a folder with copies of the files in /proc and /sys"
    problem = Problem(file=file, key=key, line=line, message=message, remedy=remedy)
    return MachineFileError([problem])


def _text(folder: str, name: str) -> str:
    """Empty where there is no such file."""
    from ...core.files import MISSING, Unreadable, read_file

    path = os.path.join(folder, name)
    try:
        return read_file(path, _MAX_FILE_BYTES).decode("utf-8", "replace")
    except Unreadable as error:
        if error.kind == MISSING:
            return ""
        raise _fault(path, error.reason) from None


def _object(folder: str, name: str) -> dict[str, Any]:
    """The JSON object in a file of the tree; empty where there is no such file."""
    from ...core.files import Unreadable
    from ...core.json_text import Decoder

    path = os.path.join(folder, name)
    if not (text := _text(folder, name)) and not os.path.exists(path):
        return {}
    try:
        parsed = Decoder(constant=float).parse(text)
    except Unreadable as error:
        raise _fault(path, error.reason, error.line) from None
    if not isinstance(parsed, dict):
        raise _fault(path, "is not a JSON object")
    return parsed
