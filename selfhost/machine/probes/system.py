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

_ADAPTER_VALUES = {
    "id": "MatchingDeviceId",
    "name": "DriverDesc",
    "memory": "HardwareInformation.qwMemorySize",
}


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


def registry_value(key: str, value: str) -> Any:
    """A value under HKEY_LOCAL_MACHINE of Windows; None where there is none."""
    try:
        import winreg

        tool: Any = winreg
        with tool.OpenKey(tool.HKEY_LOCAL_MACHINE, key) as opened:
            return tool.QueryValueEx(opened, value)[0]
    except (ImportError, OSError):
        return None


def _display_adapters() -> list[dict[str, Any]] | None:
    """Adapters that are there now: the registry's class of displays also lists those that were
    taken out. Each has `id` (PCI), `name` and `memory` bytes; None where unread.
    """
    if os.name != "nt":
        return None
    import re

    keys: dict[str, str] = {}
    # one key for each output of an adapter
    for number in range(64):
        path = registry_value(r"HARDWARE\DEVICEMAP\VIDEO", rf"\Device\Video{number}")
        if path is not None:
            inner = re.sub(r"(?i)^\\registry\\machine\\", "", str(path))
            keys.setdefault(inner.rpartition("\\")[0].lower(), inner)
    adapters = [
        {name: registry_value(key, value) for name, value in _ADAPTER_VALUES.items()}
        for key in keys.values()
    ]
    return [adapter for adapter in adapters if any(adapter.values())] or None


def _processor_features() -> list[int] | None:
    """The numbers of the features of Windows' winnt.h (PF_…_AVAILABLE) that are there."""
    if os.name != "nt":
        return None
    import ctypes

    ask = ctypes.__dict__["windll"].kernel32.IsProcessorFeaturePresent
    return [number for number in range(64) if ask(number)]


def _processor_information() -> str | None:
    """Windows' GetLogicalProcessorInformationEx of RelationProcessorCore in hexadecimal."""
    if os.name != "nt":
        return None
    import ctypes

    ask = ctypes.__dict__["windll"].kernel32.GetLogicalProcessorInformationEx
    size = ctypes.c_ulong(2**20)
    buffer = ctypes.create_string_buffer(size.value)
    return buffer.raw[: size.value].hex() if ask(0, buffer, ctypes.byref(size)) else None


def _cwd() -> str | None:
    try:
        return os.getcwd()
    except OSError:
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


def _uname(field: str) -> str | None:
    return getattr(os.uname(), field) if hasattr(os, "uname") else None


ANSWERS: dict[str, Callable[[], Any]] = {
    # of this process: the numbers of the CPUs that it may use
    "affinity": lambda: (
        sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    ),
    "cores": _cores,
    "cwd": _cwd,
    "display_adapters": _display_adapters,
    "hostname": lambda: _uname("nodename"),
    "machine": lambda: _uname("machine"),
    "memory": _memory,
    "nvml": _nvml,
    # of this interpreter
    "pointer_bits": lambda: 64 if sys.maxsize > 2**32 else 32,
    "processor_features": _processor_features,
    "processor_information": _processor_information,
    "python_path": lambda: [folder for folder in sys.path if folder],
    "read_at": _read_at,
    "release": lambda: _uname("release"),
    "swap_free": _swap_free,
}
