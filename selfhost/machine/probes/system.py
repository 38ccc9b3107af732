"""What the running system answers beside files, by name: a recorded tree has the same names in its
facts.json. Answers are what JSON holds: bytes are hexadecimal.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# names of `windows.py`'s answers
_WINDOWS = ("display_adapters", "processor_features", "processor_information")
_UNAME = {"machine": "machine", "release": "release", "hostname": "nodename"}


def answer(system: str, name: str) -> Any:
    """The answer to a name: `machine`, `release`, `hostname`, `pointer_bits` of this interpreter,
    `affinity` (CPU numbers), `cwd`, `home`, `python_path`, `read_at`, `memory`, `swap_free`,
    `cores`, `nvml`, and what `windows.py` has; None where the system has none.
    """
    if name in _WINDOWS:
        if system != "windows":
            return None
        from . import windows

        return getattr(windows, name)()
    if name in _UNAME:
        return getattr(os.uname(), _UNAME[name]) if hasattr(os, "uname") else None
    return _ANSWERS[name]()


def sysctl(name: str) -> str:
    """A kernel value of macOS as text; empty where there is none of that name."""
    import ctypes

    ask = ctypes.CDLL(None).sysctlbyname
    size = ctypes.c_size_t(65536)
    buffer = ctypes.create_string_buffer(size.value)
    if ask(name.encode(), buffer, ctypes.byref(size), None, ctypes.c_size_t(0)):
        return ""
    raw = buffer.raw[: size.value]
    # whole numbers come as 4 or 8 bytes, text ends in a zero byte and holds no other
    text = raw[:-1]
    if raw[-1:] == b"\0" and text and all(32 <= byte < 127 for byte in text):
        return text.decode("ascii")
    return str(int.from_bytes(raw, sys.byteorder)) if len(raw) in (4, 8) else ""


def _affinity() -> list[int] | None:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def _cwd() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None


def _home() -> str | None:
    try:
        from pwd import getpwuid

        return getpwuid(os.getuid()).pw_dir
    except (ImportError, KeyError, AttributeError):
        return None


def _memory() -> dict[str, int]:
    import psutil

    memory = psutil.virtual_memory()
    return {"total": int(memory.total), "available": int(memory.available)}


def _swap_free() -> int:
    import psutil

    return int(psutil.swap_memory().free)


def _cores() -> dict[str, int | None]:
    import psutil

    usable = psutil.cpu_count(logical=True)
    if sys.platform == "win32":
        usable = len(psutil.Process().cpu_affinity() or ())
    return {"physical": psutil.cpu_count(logical=False), "usable": usable}


def _nvml() -> Any:
    from .child import ask_nvml

    return ask_nvml()


def _read_at() -> str:
    import time

    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


_ANSWERS = {
    "affinity": _affinity,
    "cores": _cores,
    "cwd": _cwd,
    "home": _home,
    "memory": _memory,
    "nvml": _nvml,
    "pointer_bits": lambda: 64 if sys.maxsize > 2**32 else 32,
    "python_path": lambda: [folder for folder in sys.path if folder],
    "read_at": _read_at,
    "swap_free": _swap_free,
}
