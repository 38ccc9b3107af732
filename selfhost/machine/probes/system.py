"""What the running system answers beside files, by name: a recorded tree has the same names in its
facts.json. Answers are what JSON holds: bytes are hexadecimal.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


def answer(system: str, name: str) -> Any:
    """The answer to one of the names in `_ANSWERS`; None where the system has none."""
    return _ANSWERS[name](system)


def sysctl(name: str) -> str | None:
    """A kernel value of macOS as text; None where there is none of that name."""
    import ctypes

    ask = ctypes.CDLL(None).sysctlbyname
    size = ctypes.c_size_t(0)
    failed = ask(name.encode(), None, ctypes.byref(size), None, ctypes.c_size_t(0))
    if failed or not 0 < size.value <= 65536:
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


def _uname(field: str) -> Callable[[str], str | None]:
    return lambda _system: getattr(os.uname(), field) if hasattr(os, "uname") else None


def _affinity(_system: str) -> list[int] | None:
    ask = getattr(os, "sched_getaffinity", None)
    return sorted(ask(0)) if ask is not None else None


def _cwd(_system: str) -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None


def _home(_system: str) -> str | None:
    try:
        from pwd import getpwuid

        return getpwuid(os.getuid()).pw_dir
    except (ImportError, KeyError, AttributeError):
        return None


def _memory(system: str) -> dict[str, int]:
    """`total` and `available` bytes; on Windows also `commit`, what it still promises."""
    import psutil

    memory = psutil.virtual_memory()
    sizes = {"total": int(memory.total), "available": int(memory.available)}
    if system == "windows":
        from .windows import commit_bytes

        sizes |= commit_bytes()
    return sizes


def _swap_free(_system: str) -> int:
    import psutil

    return int(psutil.swap_memory().free)


def _cores(system: str) -> dict[str, int | None]:
    import psutil

    usable = psutil.cpu_count(logical=True)
    if system == "windows":
        usable = len(psutil.Process().cpu_affinity() or ())
    return {"physical": psutil.cpu_count(logical=False), "usable": usable}


def _nvml(_system: str) -> Any:
    from .child import ask_nvml

    return ask_nvml()


def _read_at(_system: str) -> str:
    import time

    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _of_windows(name: str) -> Callable[[str], Any]:
    def ask(system: str) -> Any:
        if system != "windows":
            return None
        from . import windows

        return getattr(windows, name)()

    return ask


_ANSWERS: dict[str, Callable[[str], Any]] = {
    "machine": _uname("machine"),
    "release": _uname("release"),
    "hostname": _uname("nodename"),
    # 32 or 64, of this interpreter
    "pointer_bits": lambda _: 64 if sys.maxsize > 2**32 else 32,
    # the numbers of the CPUs this process may use
    "affinity": _affinity,
    "cwd": _cwd,
    "home": _home,
    # the folders this interpreter imports from
    "python_path": lambda _: [folder for folder in sys.path if folder],
    "read_at": _read_at,
    "memory": _memory,
    "swap_free": _swap_free,
    # `physical` and `usable`
    "cores": _cores,
    "nvml": _nvml,
    "display_adapters": _of_windows("display_adapters"),
    "processor_features": _of_windows("processor_features"),
    "processor_information": _of_windows("processor_information"),
    "job_limits": _of_windows("job_limits"),
}
