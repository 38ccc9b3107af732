"""Asks NVIDIA's management library (NVML) which GPUs there are, and prints one JSON object. A
program of its own, run by `nvidia.py`.

It is a process apart because a driver can hang or crash, and everything in its process with it.
Python's standard library alone: it runs isolated, with the folder of nvidia-ml-py as its one
argument, or without one; then the driver's own library is called.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# nvml.h: a version number in a structure is its size and, above 24 bits, its number
MEMORY_V2, CLOCK_MEMORY = 0x02000028, 2
(
    INVALID_ARGUMENT,
    NOT_SUPPORTED,
    LIBRARY_NOT_FOUND,
    FUNCTION_NOT_FOUND,
    ARGUMENT_VERSION_MISMATCH,
) = (
    2,
    3,
    12,
    13,
    25,
)
MAX_DEVICES = 256
_TEXT_BYTES = 96


class Refused(Exception):
    """NVML gave an error; `value` is its number, as in nvidia-ml-py."""

    def __init__(self, value: int) -> None:
        super().__init__(f"NVML error {value}")
        self.value = value


class _Memory(ctypes.Structure):
    _fields_ = [
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    ]


class _MemoryV2(ctypes.Structure):
    _fields_ = [
        ("version", ctypes.c_uint),
        ("total", ctypes.c_ulonglong),
        ("reserved", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    ]


class Bare:
    """What is asked of nvidia-ml-py, by its names and with its results, from the driver's
    library itself.
    """

    def __init__(self) -> None:
        if sys.platform == "win32":
            # where current drivers put it, then older ones
            places = (
                os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "nvml.dll"),
                os.path.join(
                    os.environ.get("PROGRAMFILES", r"C:\Program Files"),
                    "NVIDIA Corporation",
                    "NVSMI",
                    "nvml.dll",
                ),
            )
        else:
            places = ("libnvidia-ml.so.1", "/usr/lib/wsl/lib/libnvidia-ml.so.1")
        for place in places:
            try:
                self._library = ctypes.CDLL(place)
                return
            except OSError:
                continue
        raise Refused(LIBRARY_NOT_FOUND)

    def _call(self, name: str, *values: Any) -> None:
        try:
            function = getattr(self._library, name)
        except AttributeError:
            raise Refused(FUNCTION_NOT_FOUND) from None
        code = function(*values)
        if code:
            raise Refused(code)

    def _text(self, name: str, *values: Any) -> str:
        buffer = ctypes.create_string_buffer(_TEXT_BYTES)
        self._call(name, *values, buffer, ctypes.c_uint(_TEXT_BYTES))
        return buffer.value.decode("utf-8", "replace")

    def _numbers(self, name: str, *values: Any, count: int = 1) -> list[int]:
        cells = [ctypes.c_uint(0) for _ in range(count)]
        self._call(name, *values, *map(ctypes.byref, cells))
        return [number.value for number in cells]

    def _handle(self, name: str, *values: Any) -> ctypes.c_void_p:
        handle = ctypes.c_void_p()
        self._call(name, *values, ctypes.byref(handle))
        return handle

    def nvmlInit(self) -> None:  # noqa: N802
        self._call("nvmlInit_v2")

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return self._text("nvmlSystemGetDriverVersion")

    def nvmlSystemGetCudaDriverVersion(self) -> int:  # noqa: N802
        return self._numbers("nvmlSystemGetCudaDriverVersion")[0]

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return self._numbers("nvmlDeviceGetCount_v2")[0]

    def nvmlDeviceGetHandleByIndex(self, index: int) -> ctypes.c_void_p:  # noqa: N802
        return self._handle("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(index))

    def nvmlDeviceGetName(self, handle: ctypes.c_void_p) -> str:  # noqa: N802
        return self._text("nvmlDeviceGetName", handle)

    def nvmlDeviceGetUUID(self, handle: ctypes.c_void_p) -> str:  # noqa: N802
        return self._text("nvmlDeviceGetUUID", handle)

    def nvmlDeviceGetMemoryInfo(  # noqa: N802
        self, handle: ctypes.c_void_p, version: int | None = None
    ) -> ctypes.Structure:
        memory = _MemoryV2(version=version) if version else _Memory()
        self._call(
            "nvmlDeviceGetMemoryInfo_v2" if version else "nvmlDeviceGetMemoryInfo",
            handle,
            ctypes.byref(memory),
        )
        return memory

    def nvmlDeviceGetCudaComputeCapability(self, handle: ctypes.c_void_p) -> list[int]:  # noqa: N802
        return self._numbers("nvmlDeviceGetCudaComputeCapability", handle, count=2)

    def nvmlDeviceGetMemoryBusWidth(self, handle: ctypes.c_void_p) -> int:  # noqa: N802
        return self._numbers("nvmlDeviceGetMemoryBusWidth", handle)[0]

    def nvmlDeviceGetMaxClockInfo(self, handle: ctypes.c_void_p, clock: int) -> int:  # noqa: N802
        return self._numbers("nvmlDeviceGetMaxClockInfo", handle, ctypes.c_uint(clock))[0]

    def nvmlDeviceGetMigMode(self, handle: ctypes.c_void_p) -> list[int]:  # noqa: N802
        return self._numbers("nvmlDeviceGetMigMode", handle, count=2)

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: ctypes.c_void_p) -> int:  # noqa: N802
        return self._numbers("nvmlDeviceGetMaxMigDeviceCount", handle)[0]

    def nvmlDeviceGetMigDeviceHandleByIndex(  # noqa: N802
        self, handle: ctypes.c_void_p, index: int
    ) -> ctypes.c_void_p:
        return self._handle("nvmlDeviceGetMigDeviceHandleByIndex", handle, ctypes.c_uint(index))


def library(folder: str | None) -> tuple[Any, str]:
    """nvidia-ml-py from `folder` if that has it, else the driver's library; and which of them
    it is.
    """
    if folder:
        # last: nothing there may stand in for the standard library
        sys.path.append(folder)
        try:
            import pynvml  # type: ignore[import-not-found,import-untyped,unused-ignore]

            return pynvml, "nvidia-ml-py"
        except Exception:  # noqa: S110 - an older or broken package must not cost the answer
            pass
    return Bare(), "the driver's library"


def describe(nvml: Any) -> dict[str, Any]:
    """All GPUs with what each tells. A question that NVML refuses is None, its number in
    `refused`.
    """
    nvml.nvmlInit()
    unused: dict[str, int | None] = {}
    out: dict[str, Any] = {
        "driver": _asked(unused, "driver", nvml, "nvmlSystemGetDriverVersion"),
        "cuda": _asked(unused, "cuda", nvml, "nvmlSystemGetCudaDriverVersion"),
        "devices": [],
    }
    for index in range(min(nvml.nvmlDeviceGetCount(), MAX_DEVICES)):
        refused: dict[str, int | None] = {}
        handle = _asked(refused, "handle", nvml, "nvmlDeviceGetHandleByIndex", index)
        if handle is None:
            out["devices"].append({"refused": refused})
            continue
        card = _device(nvml, handle)
        refused = card["refused"]
        card["compute_capability"] = _asked(
            refused, "compute_capability", nvml, "nvmlDeviceGetCudaComputeCapability", handle
        )
        card["bus_width_bits"] = _asked(
            refused, "bus_width_bits", nvml, "nvmlDeviceGetMemoryBusWidth", handle
        )
        card["memory_clock_mhz"] = _asked(
            refused, "memory_clock_mhz", nvml, "nvmlDeviceGetMaxClockInfo", handle, CLOCK_MEMORY
        )
        mode = _asked(unused, "mig", nvml, "nvmlDeviceGetMigMode", handle)
        card["mig"] = bool(mode and mode[0] == 1)
        card["instances"] = list(_instances(nvml, handle)) if card["mig"] else []
        out["devices"].append(card)
    return out


def _instances(nvml: Any, handle: Any) -> Iterator[dict[str, Any]]:
    """MIG devices; their numbers may have gaps."""
    unused: dict[str, int | None] = {}
    most = _asked(unused, "count", nvml, "nvmlDeviceGetMaxMigDeviceCount", handle) or 0
    for index in range(min(most, MAX_DEVICES)):
        part = _asked(unused, "part", nvml, "nvmlDeviceGetMigDeviceHandleByIndex", handle, index)
        if part is not None:
            yield _device(nvml, part)


def _device(nvml: Any, handle: Any) -> dict[str, Any]:
    refused: dict[str, int | None] = {}
    memory = _asked(refused, "memory", nvml, "nvmlDeviceGetMemoryInfo", handle, MEMORY_V2)
    if memory is None and refused["memory"] in (
        FUNCTION_NOT_FOUND,
        ARGUMENT_VERSION_MISMATCH,
        NOT_SUPPORTED,
        INVALID_ARGUMENT,
    ):
        # drivers before 510 know the first version only
        refused.clear()
        memory = _asked(refused, "memory", nvml, "nvmlDeviceGetMemoryInfo", handle)
    return {
        "name": _asked(refused, "name", nvml, "nvmlDeviceGetName", handle),
        "uuid": _asked(refused, "uuid", nvml, "nvmlDeviceGetUUID", handle),
        "memory_total_bytes": None if memory is None else int(memory.total),
        "memory_free_bytes": None if memory is None else int(memory.free),
        "refused": refused,
    }


def _asked(
    refused: dict[str, int | None], name: str, nvml: Any, question: str, *values: Any
) -> Any:
    try:
        value = getattr(nvml, question)(*values)
    except Exception as error:
        refused[name] = _number(error)
        return None
    # nvidia-ml-py before version 12 gives bytes
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _number(error: Exception) -> int | None:
    value = getattr(error, "value", None)
    # a function that the library or nvidia-ml-py does not have yet
    return value if isinstance(value, int) else FUNCTION_NOT_FOUND


def main() -> None:
    """Prints the answer, or `error`, the number that NVML gave instead."""
    import json

    # what the driver's library itself writes goes nowhere
    answer = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    _leave_nothing_behind()
    used = None
    try:
        nvml, used = library(sys.argv[1] if len(sys.argv) > 1 else None)
        description = describe(nvml)
    except Exception as error:
        description = {"error": getattr(error, "value", None), "text": str(error)[:200]}
    description["library"] = used
    os.write(answer, json.dumps(description).encode())
    # without the library's own clean-up, which can hang as well
    os._exit(0)


def _leave_nothing_behind() -> None:
    """A crash writes no core file and opens no window."""
    if sys.platform == "win32":
        ctypes.windll.kernel32.SetErrorMode(0x8003)
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


if __name__ == "__main__":
    main()
