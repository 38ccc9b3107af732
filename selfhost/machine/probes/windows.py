"""What Windows alone tells: the registry, the processor's features and the limits of the job."""

from __future__ import annotations

import sys
from collections.abc import Mapping

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_MAX_BYTES = 2**20
_ADAPTER_VALUES = (
    ("id", "MatchingDeviceId"),
    ("name", "DriverDesc"),
    ("memory", "HardwareInformation.qwMemorySize"),
)


def _kernel() -> Any:
    import ctypes

    return ctypes.__dict__["windll"].kernel32


def registry_value(key: str, value: str) -> str | None:
    """A text value under HKEY_LOCAL_MACHINE; None where there is none."""
    try:
        import winreg

        tool: Any = winreg
        with tool.OpenKey(tool.HKEY_LOCAL_MACHINE, key) as opened:
            content = tool.QueryValueEx(opened, value)[0]
    except (ImportError, OSError):
        return None
    return content if isinstance(content, str) else None


def display_adapters() -> list[Mapping[str, Any]] | None:
    """The adapters that this start of Windows made: the class key alone keeps those that were
    taken out as well. Each has `id` (PCI), `name` and `memory` bytes; None where unread.
    """
    import re
    import winreg

    tool: Any = winreg
    adapters: dict[str, Mapping[str, Any]] = {}
    try:
        with tool.OpenKey(tool.HKEY_LOCAL_MACHINE, r"HARDWARE\DEVICEMAP\VIDEO") as key:
            count = tool.QueryInfoKey(key)[1]
            paths = [str(tool.EnumValue(key, index)[1]) for index in range(count)]
    except OSError:
        return None
    for path in paths:
        inner = re.sub(r"(?i)^\\registry\\machine\\", "", path)
        # one key for each output of an adapter
        adapter = inner.rpartition("\\")[0].lower()
        if adapter in adapters:
            continue
        values: dict[str, Any] = {}
        try:
            with tool.OpenKey(tool.HKEY_LOCAL_MACHINE, inner) as key:
                for name, value in _ADAPTER_VALUES:
                    try:
                        values[name] = tool.QueryValueEx(key, value)[0]
                    except OSError:
                        values[name] = None
        except OSError:
            continue
        adapters[adapter] = values
    return list(adapters.values()) or None


def commit_bytes() -> dict[str, int]:
    """What Windows still promises to this process as `commit`, by GlobalMemoryStatusEx."""
    import ctypes

    # MEMORYSTATUSEX (sysinfoapi.h): dwLength, dwMemoryLoad, then seven 64-bit sizes, the fourth
    # ullAvailPageFile
    buffer = ctypes.create_string_buffer((64).to_bytes(4, "little"), 64)
    if not _kernel().GlobalMemoryStatusEx(buffer):
        return {}
    return {"commit": int.from_bytes(buffer.raw[32:40], "little")}


def processor_features() -> list[int]:
    """The numbers of the features (winnt.h, PF_…_AVAILABLE) that are there."""
    ask = _kernel().IsProcessorFeaturePresent
    return [number for number in range(64) if ask(number)]


def processor_information() -> str | None:
    """GetLogicalProcessorInformationEx of RelationProcessorCore in hexadecimal; None where it
    fails.
    """
    import ctypes

    ask = _kernel().GetLogicalProcessorInformationEx
    size = ctypes.c_ulong(0)
    ask(0, None, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(min(size.value, _MAX_BYTES) or 1)
    return buffer.raw.hex() if ask(0, buffer, ctypes.byref(size)) else None


def job_limits() -> str | None:
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION of this process in hexadecimal; empty without a job,
    None where it cannot be asked.
    """
    if sys.maxsize <= 2**32:
        return None
    import ctypes

    kernel = _kernel()
    is_inside = ctypes.c_int(0)
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    process = ctypes.c_void_p(kernel.GetCurrentProcess())
    if not kernel.IsProcessInJob(process, None, ctypes.byref(is_inside)):
        return None
    if not is_inside.value:
        return ""
    buffer = ctypes.create_string_buffer(144)
    is_told = kernel.QueryInformationJobObject(None, 9, buffer, 144, None)
    return buffer.raw.hex() if is_told else None
