"""A recorded tree in place of a computer: DIR/proc, DIR/sys, … and beside them what is not a
file.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Mapping

from ...core.errors import MachineFileError, Problem
from ..record import normal_system
from .host import DEADLINE_SECONDS, UNRESOLVED, Host, Mount, Space, dangling
from .limit import Quota

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

FACTS_FILE, ENV_FILE, SYSCTL_FILE = "facts.json", "env.json", "sysctl.txt"
_MAX_FILE_BYTES = 4 * 2**20
# what Windows allows in no file name, and the sign that stands in for it
_AWKWARD = re.compile(r'[<>:"|?*%\x00-\x1f]')
RECORD_ONE = "write one with `selfhost machine --record DIR`"


def file_name(path: str) -> str:
    """Where the file `path` of a computer lies in a tree, on every system: `0000:00:1f.0`
    becomes `0000%3A00%3A1f.0`.
    """
    return _AWKWARD.sub(lambda match: f"%{ord(match[0]):02X}", path.replace("\\", "/")).lstrip("/")


def _listed(name: str) -> str:
    return re.sub(r"%([0-9A-F]{2})", lambda match: chr(int(match[1], 16)), name)


class RecordedHost(Host):
    """Answers from a tree and asks the running system nothing: what is not there is unread.
    `MachineFileError` where DIR is no tree.

    Beside the files may lie `env.json` (variables), `sysctl.txt` (`name: value`) and `facts.json`,
    whose keys are all optional: `system`, `machine`, `release`, `pointer_bits`, `page_bytes`,
    `affinity` (CPU numbers), `address_space_bytes` (-1: unlimited), `cwd`, `python_path`,
    `read_at`, `memory`, `swap_free` and `cores` (as psutil gives them), `job_limits` and
    `processor_information` (hexadecimal), `space` and `writable` (by folder), `quotas` (by folder:
    a list, or the name of the error), `quotas_on` (likewise), `sizes` (by folder: bytes by name,
    null for a folder in it; null where there is no such folder), `mounts` (folder to file system),
    `links` (path to what it leads to), `runnable` (paths), `errors` (path to the name of the error,
    such as EACCES), `processor_features` (numbers), `registry` (`key\\value` to text),
    `display_adapters` (Windows' list), `nvml` (what `nvml.py` prints).
    """

    live = False

    def __init__(self, folder: str) -> None:
        try:
            self.folder = os.path.realpath(folder)
        except ValueError:  # a null character, or half a character
            raise _fault(folder, "is no path") from None
        if not os.path.isdir(self.folder):
            raise _fault(folder, "is not a folder" if os.path.lexists(folder) else "does not exist")
        if not any(
            os.path.exists(os.path.join(self.folder, name))
            for name in ("proc", "sys", FACTS_FILE, SYSCTL_FILE)
        ):
            raise _fault(
                folder, f"holds no recorded machine: neither proc nor sys nor {FACTS_FILE}"
            )
        self._facts = _json(self.folder, FACTS_FILE)
        env = _json(self.folder, ENV_FILE)
        faults = (
            []
            if _named(env, str)
            else [_problem(os.path.join(folder, ENV_FILE), "does not hold names and texts alone")]
        )
        for key, (suits, kind) in _KINDS.items():
            if self._facts.get(key) is not None and not suits(self._facts[key]):
                faults.append(_problem(os.path.join(folder, FACTS_FILE), f"is not {kind}", key=key))
        if faults:
            raise MachineFileError(faults)
        # where each folder of the tree lies
        self._folders = {self.folder: self.folder}
        super().__init__(env, normal_system(self._facts.get("system") or "linux"))
        lines = (_text(self.folder, SYSCTL_FILE) or "").splitlines()
        self._sysctl = {
            name.strip(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }

    def _at(self, kind: str) -> Mapping[str, Any]:
        return self._facts.get(kind) or {}

    def _fail(self, path: str) -> None:
        """Raises what the computer raised for `path`."""
        name = self._at("errors").get(path)
        if name == "ETIMEDOUT":
            raise TimeoutError(f"no answer within {DEADLINE_SECONDS:g} seconds")
        if name is not None:
            number = getattr(errno, name, errno.EIO)
            raise OSError(number, os.strerror(number), path)

    def _hang(self, path: str) -> None:
        if self._at("errors").get(path) == "ETIMEDOUT":
            self._fail(path)

    def real(self, path: str) -> str:
        """Where `path` lies in the tree. `FileNotFoundError` for a link that leads out of it."""
        plain = os.path.join(self.folder, path.replace("\\", "/").lstrip("/"))
        if not os.path.lexists(plain):
            plain = os.path.join(self.folder, file_name(path))
        place = self._followed(plain)
        if place != self.folder and not place.startswith(self.folder + os.sep):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return place

    def _followed(self, path: str) -> str:
        """As `os.path.realpath`, each folder of the tree once: nobody changes it meanwhile, and to
        follow thousands of paths from the root takes longer than to read them.
        """
        folder, name = os.path.split(path)
        if folder not in self._folders:
            self._folders[folder] = self._followed(folder)
        place = os.path.join(self._folders[folder], name)
        is_plain = name not in ("", os.curdir, os.pardir) and not os.path.islink(place)
        return place if is_plain else os.path.realpath(place)

    def read_bytes(self, path: str, limit: int) -> bytes:
        self._fail(path)
        return super().read_bytes(path, limit)

    def listdir(
        self, path: str, is_wanted: Callable[[str], bool] | None = None
    ) -> list[str] | None:
        names = None if path in self._at("errors") else super().listdir(path)
        if names is None:
            return None
        return sorted(name for name in map(_listed, names) if is_wanted is None or is_wanted(name))

    def sizes(
        self, path: str, start: str = "", ends: tuple[str, ...] = ()
    ) -> dict[str, int | None]:
        self._fail(path)
        noted = self._at("sizes")
        if path not in noted:
            return {_listed(name): size for name, size in super().sizes(path, start, ends).items()}
        if noted[path] is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        recorded_sizes: dict[str, int | None] = noted[path]
        kept = {name: size for name, size in recorded_sizes.items() if name.startswith(start)}
        return {
            name: size
            for name, size in kept.items()
            if size is None or not ends or name.lower().endswith(ends)
        }

    def inside(self, place: str) -> bool:
        return os.path.realpath(place).startswith(self.folder + os.sep)

    def knows(self, path: str) -> bool:
        # an empty folder may stand there for its free space alone
        return path in self._at("sizes") or path in self._at("errors") or bool(self.listdir(path))

    def exists(self, path: str) -> bool:
        self._hang(path)
        return path in self._at("space") or super().exists(path)

    def is_folder(self, path: str) -> bool:
        return path in self._at("space") or super().is_folder(path)

    def runnable(self, path: str) -> bool:
        return path in (self._facts.get("runnable") or ()) or super().runnable(path)

    def resolve(self, path: str) -> str:
        whole = str(self.paths.normpath(self.paths.join(self.cwd(), path)))
        target = str(self._at("links").get(whole, whole))
        if self._at("errors").get(whole) == "ENOLINK":
            raise dangling(target)
        if self._at("errors").get(whole) in ("ETIMEDOUT", *UNRESOLVED):
            self._fail(whole)
        return target

    def _read_mounts(self) -> tuple[Mount, ...]:
        if self.system == "linux":
            return super()._read_mounts()
        return tuple(
            Mount(root="/", point=point, filesystem=kind, options="", read_only=False)
            for point, kind in self._at("mounts").items()
        )

    def _of_folder(self, kind: str, path: str) -> Any:
        """What the record says of the nearest folder upwards that it names."""
        self._fail(path)
        by_folder = self._at(kind)
        while path not in by_folder and self.paths.dirname(path) != path:
            path = self.paths.dirname(path)
        return by_folder.get(path)

    def space(self, path: str) -> Space | None:
        fields = self._of_folder("space", path)
        return Space(**fields) if fields else None

    def _answer(self, kind: str, path: str) -> list[Any]:
        """The list noted for a folder. `OSError` for an error noted instead, and where nothing
        is.
        """
        noted = self._at(kind).get(path)
        if noted is None:
            raise OSError(errno.ENODATA, "the recorded tree does not say")
        if isinstance(noted, str):
            number = getattr(errno, noted, errno.EIO)
            raise OSError(number, os.strerror(number))
        return list(noted)

    def quotas(self, path: str) -> tuple[Quota, ...]:
        return tuple(Quota(**limit) for limit in self._answer("quotas", path))

    def quotas_on(self, path: str) -> tuple[str, ...]:
        return tuple(self._answer("quotas_on", path))

    def can_write(self, path: str) -> bool | None:
        writable: bool | None = self._of_folder("writable", path)
        return writable

    def machine(self) -> str | None:
        return self._facts.get("machine")

    def release(self) -> str:
        return (
            self._facts.get("release")
            or (self.read_text("/proc/sys/kernel/osrelease") or "").strip()
        )

    def pointer_bits(self) -> int | None:
        return self._facts.get("pointer_bits")

    def page_bytes(self) -> int | None:
        return self._facts.get("page_bytes")

    def affinity(self) -> frozenset[int] | None:
        processors = self._facts.get("affinity")
        return None if processors is None else frozenset(processors)

    def address_space_bytes(self) -> int | None:
        return self._facts.get("address_space_bytes")

    def cwd(self) -> str:
        return str(self._facts.get("cwd") or "/")

    def python_path(self) -> list[str] | None:
        folders = self._facts.get("python_path")
        return None if folders is None else list(folders)

    def read_at(self) -> str | None:
        return self._facts.get("read_at")

    def hostname(self) -> str | None:
        return None

    def other_memory(self) -> Mapping[str, int] | None:
        return self._facts.get("memory")

    def other_swap_free(self) -> int | None:
        return self._facts.get("swap_free")

    def other_cores(self) -> Mapping[str, int | None] | None:
        return self._facts.get("cores")

    def sysctl(self, name: str) -> str | None:
        return self._sysctl.get(name)

    def registry(self, key: str, value: str) -> str | None:
        content: str | None = self._at("registry").get(f"{key}\\{value}")
        return content

    def display_adapters(self) -> list[Mapping[str, Any]] | None:
        return self._facts.get("display_adapters")

    def nvml(self) -> Mapping[str, Any] | None:
        return self._facts.get("nvml")

    def processor_feature(self, number: int) -> bool | None:
        features = self._facts.get("processor_features")
        return None if features is None else number in features

    def processor_information(self) -> bytes | None:
        return self._bytes("processor_information")

    def job_limits(self) -> bytes | None:
        return self._bytes("job_limits")

    def _bytes(self, key: str) -> bytes | None:
        digits = self._facts.get(key)
        return None if digits is None else bytes.fromhex(digits)


def _problem(file: str, message: str, key: str | None = None, line: int | None = None) -> Problem:
    return Problem(file=file, key=key, line=line, message=message, remedy=RECORD_ONE)


def _fault(file: str, message: str, line: int | None = None) -> MachineFileError:
    return MachineFileError([_problem(file, message, line=line)])


def _named(value: object, kind: type) -> bool:
    return isinstance(value, dict) and all(type(item) is kind for item in value.values())


def _listed_as(value: object, kind: type) -> bool:
    return isinstance(value, list) and all(type(item) is kind for item in value)


_SPACE = {"free_bytes": int, "total_bytes": int, "read_only": bool}
# what trees of version 0.1 lack, and those of a file system without such a limit
_SPACE_OPTIONAL = {"free_files": int, "reserved_bytes": int}


def _spaces(value: object) -> bool:
    kinds = _SPACE | _SPACE_OPTIONAL
    return isinstance(value, dict) and all(
        isinstance(item, dict)
        and _SPACE.keys() <= item.keys()
        and all(type(part) is kinds.get(name) for name, part in item.items())
        and all(size >= 0 for size in item.values())
        for item in value.values()
    )


_QUOTA = {"kind": str, "limit_bytes": int, "used_bytes": int}


def _quotas(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(item, str)
        or (
            isinstance(item, list)
            and all(
                isinstance(quota, dict)
                and {name: type(part) for name, part in quota.items()} == _QUOTA
                for quota in item
            )
        )
        for item in value.values()
    )


def _folders(value: object) -> bool:
    return isinstance(value, dict) and all(
        item is None
        or (
            isinstance(item, dict)
            and all(size is None or type(size) is int for size in item.values())
        )
        for item in value.values()
    )


_TEXT = (lambda value: isinstance(value, str), "a text")
_WHOLE = (lambda value: type(value) is int, "a whole number")
_TEXTS = (lambda value: _listed_as(value, str), "a list of texts")
_NUMBERS = (
    lambda value: _listed_as(value, int) and all(0 <= number < 2**20 for number in value),
    "a list of numbers",
)
_NAMED_TEXTS = (lambda value: _named(value, str), "an object of texts")
_HEXADECIMAL = (
    lambda value: isinstance(value, str) and re.fullmatch(r"(?:[0-9a-f]{2})*", value) is not None,
    "a text of hexadecimal bytes",
)
_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "system": (
        lambda value: isinstance(value, str) and 0 < len(value) <= 20 and value.isalnum(),
        "the name of a system, such as linux",
    ),
    "read_at": (
        lambda value: (
            isinstance(value, str)
            and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value) is not None
        ),
        "a time in UTC",
    ),
    **dict.fromkeys(("job_limits", "processor_information"), _HEXADECIMAL),
    "sizes": (_folders, "an object of objects of bytes"),
    "space": (_spaces, f"an object of objects of {', '.join(_SPACE)}, no size below 0"),
    "quotas_on": (
        lambda value: (
            isinstance(value, dict)
            and all(isinstance(item, str) or _listed_as(item, str) for item in value.values())
        ),
        "an object of lists of kinds",
    ),
    "quotas": (_quotas, f"an object of lists of {', '.join(_QUOTA)}"),
    "writable": (lambda value: _named(value, bool), "an object of true and false"),
    "memory": (
        lambda value: _named(value, int) and "total" in value,
        "an object of bytes with a total",
    ),
    "cores": (
        lambda value: (
            isinstance(value, dict)
            and all(type(item) in (int, type(None)) for item in value.values())
        ),
        "an object of numbers",
    ),
    "display_adapters": (
        lambda value: isinstance(value, list) and all(isinstance(item, dict) for item in value),
        "a list of objects",
    ),
    "nvml": (lambda value: isinstance(value, dict), "an object"),
    **dict.fromkeys(("machine", "release", "cwd"), _TEXT),
    **dict.fromkeys(("pointer_bits", "page_bytes", "address_space_bytes", "swap_free"), _WHOLE),
    **dict.fromkeys(("affinity", "processor_features"), _NUMBERS),
    **dict.fromkeys(("python_path", "runnable"), _TEXTS),
    **dict.fromkeys(("links", "errors", "registry", "mounts"), _NAMED_TEXTS),
}


def _text(folder: str, name: str) -> str | None:
    """None where there is no such file."""
    from ...core.reading import MISSING, Unreadable, read_file

    path = os.path.join(folder, name)
    try:
        return read_file(path, _MAX_FILE_BYTES).decode("utf-8", "replace")
    except Unreadable as error:
        if error.kind == MISSING:
            return None
        raise _fault(path, error.reason) from None


def _json(folder: str, name: str) -> dict[str, Any]:
    text = _text(folder, name)
    if text is None:
        return {}
    from ...core.json_text import Decoder
    from ...core.reading import Unreadable

    path = os.path.join(folder, name)
    try:
        parsed = Decoder(constant=float).parse(text)
    except Unreadable as error:
        raise _fault(path, error.reason, error.line) from None
    if not isinstance(parsed, dict):
        raise _fault(path, "is not a JSON object")
    return parsed
