"""What Windows alone tells: the registry and the processor's features."""

from __future__ import annotations

from collections.abc import Mapping

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

_MAX_BYTES = 2**20
_ADAPTER_VALUES = {
    "id": "MatchingDeviceId",
    "name": "DriverDesc",
    "memory": "HardwareInformation.qwMemorySize",
}


def _kernel() -> Any:
    import ctypes

    return ctypes.__dict__["windll"].kernel32


def _value(key: str, value: str) -> Any:
    """A value under HKEY_LOCAL_MACHINE; None where there is none."""
    try:
        import winreg

        tool: Any = winreg
        with tool.OpenKey(tool.HKEY_LOCAL_MACHINE, key) as opened:
            return tool.QueryValueEx(opened, value)[0]
    except (ImportError, OSError):
        return None


def registry_value(key: str, value: str) -> str:
    """A text value under HKEY_LOCAL_MACHINE; empty where there is none."""
    content = _value(key, value)
    return content if isinstance(content, str) else ""


def display_adapters() -> list[Mapping[str, Any]] | None:
    """The adapters that this start of Windows made: the class key alone keeps those that were
    taken out as well. Each has `id` (PCI), `name` and `memory` bytes; None where unread.
    """
    import re
    import winreg

    tool: Any = winreg
    try:
        with tool.OpenKey(tool.HKEY_LOCAL_MACHINE, r"HARDWARE\DEVICEMAP\VIDEO") as key:
            count = tool.QueryInfoKey(key)[1]
            paths = [str(tool.EnumValue(key, index)[1]) for index in range(count)]
    except OSError:
        return None
    # one key for each output of an adapter
    keys: dict[str, str] = {}
    for path in paths:
        inner = re.sub(r"(?i)^\\registry\\machine\\", "", path)
        keys.setdefault(inner.rpartition("\\")[0].lower(), inner)
    adapters = [
        {name: _value(key, value) for name, value in _ADAPTER_VALUES.items()}
        for key in keys.values()
    ]
    return [adapter for adapter in adapters if any(adapter.values())] or None


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
