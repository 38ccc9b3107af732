"""Asks NVIDIA's management library (NVML) which GPUs there are, and prints one JSON object. A
program of its own, run by `child.py`.

It is a process apart because a driver can hang or crash, and everything in its process with it.
It runs isolated: Python's standard library and the driver's own library alone.
"""

from __future__ import annotations

import ctypes
import os
import sys

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# nvml.h: a version number in a structure is its size and, above 24 bits, its number
_MEMORY_V2, _CLOCK_MEMORY = 0x02000028, 2
_LIBRARY_NOT_FOUND, _FUNCTION_NOT_FOUND = 12, 13
_MAX_DEVICES, _TEXT_BYTES = 256, 96


class RefusedError(Exception):
    """NVML gave an error; `value` is its number."""

    def __init__(self, value: int) -> None:
        super().__init__(f"NVML error {value}")
        self.value = value


class Library:
    """The driver's library."""

    def __init__(self) -> None:
        places = ["libnvidia-ml.so.1", "/usr/lib/wsl/lib/libnvidia-ml.so.1"]
        if sys.platform == "win32":
            folder = os.environ.get("SYSTEMROOT", r"C:\Windows")
            places = [os.path.join(folder, "System32", "nvml.dll")]
        for place in places:
            try:
                self._library = ctypes.CDLL(place)
                return
            except OSError:
                continue
        raise RefusedError(_LIBRARY_NOT_FOUND)

    def call(self, name: str, *values: Any) -> None:
        """One function of the library. `RefusedError` for any answer but success."""
        function = getattr(self._library, name, None)
        code = _FUNCTION_NOT_FOUND if function is None else function(*values)
        if code:
            raise RefusedError(code)

    def text(self, name: str, *values: Any) -> str:
        """A text that a function writes."""
        buffer = ctypes.create_string_buffer(_TEXT_BYTES)
        self.call(name, *values, buffer, ctypes.c_uint(_TEXT_BYTES))
        return buffer.value.decode("utf-8", "replace")

    def numbers(self, name: str, *values: Any, count: int = 1) -> list[int]:
        """The numbers that a function writes, each of 32 bits."""
        cells = [ctypes.c_uint(0) for _ in range(count)]
        self.call(name, *values, *map(ctypes.byref, cells))
        return [cell.value for cell in cells]

    def handle(self, name: str, *values: Any) -> ctypes.c_void_p:
        """The device that a function finds."""
        handle = ctypes.c_void_p()
        self.call(name, *values, ctypes.byref(handle))
        return handle

    def memory(self, handle: ctypes.c_void_p) -> tuple[int, int]:
        """Total and free bytes. Drivers before 510 know the first version only."""
        # version and padding, total, reserved, free, used
        cells = (ctypes.c_ulonglong * 5)(_MEMORY_V2)
        try:
            self.call("nvmlDeviceGetMemoryInfo_v2", handle, ctypes.byref(cells))
            return cells[1], cells[3]
        except RefusedError as error:
            if error.value not in (2, 3, 13, 25):
                raise
        # total, free, used
        self.call("nvmlDeviceGetMemoryInfo", handle, ctypes.byref(cells))
        return cells[0], cells[1]


def describe(nvml: Library) -> dict[str, Any]:
    """All GPUs with what each tells. A question that NVML refuses is None, its number in
    `refused`.
    """
    nvml.call("nvmlInit_v2")
    unused: dict[str, int] = {}
    cuda = _asked(unused, "cuda", nvml.numbers, "nvmlSystemGetCudaDriverVersion")
    answer: dict[str, Any] = {
        "driver": _asked(unused, "driver", nvml.text, "nvmlSystemGetDriverVersion"),
        "cuda": cuda[0] if cuda else None,
        "devices": [],
    }
    for index in range(min(nvml.numbers("nvmlDeviceGetCount_v2")[0], _MAX_DEVICES)):
        refused: dict[str, int] = {}
        number = ctypes.c_uint(index)
        handle = _asked(refused, "handle", nvml.handle, "nvmlDeviceGetHandleByIndex_v2", number)
        answer["devices"].append({"refused": refused} if handle is None else _card(nvml, handle))
    return answer


def _card(nvml: Library, handle: ctypes.c_void_p) -> dict[str, Any]:
    card = _device(nvml, handle)
    refused = card["refused"]
    for key, name, values in (
        ("bus_width_bits", "nvmlDeviceGetMemoryBusWidth", ()),
        ("memory_clock_mhz", "nvmlDeviceGetMaxClockInfo", (ctypes.c_uint(_CLOCK_MEMORY),)),
    ):
        numbers = _asked(refused, key, nvml.numbers, name, handle, *values)
        card[key] = numbers[0] if numbers else None
    name = "nvmlDeviceGetCudaComputeCapability"
    card["compute_capability"] = _asked(refused, "capability", nvml.numbers, name, handle, count=2)
    mode = _asked({}, "mig", nvml.numbers, "nvmlDeviceGetMigMode", handle, count=2)
    card["mig"] = bool(mode and mode[0] == 1)
    card["instances"] = _instances(nvml, handle) if card["mig"] else []
    return card


def _instances(nvml: Library, handle: ctypes.c_void_p) -> list[dict[str, Any]]:
    """MIG devices; their numbers may have gaps."""
    most = _asked({}, "count", nvml.numbers, "nvmlDeviceGetMaxMigDeviceCount", handle) or [0]
    name = "nvmlDeviceGetMigDeviceHandleByIndex"
    numbers = map(ctypes.c_uint, range(min(most[0], _MAX_DEVICES)))
    parts = (_asked({}, "part", nvml.handle, name, handle, number) for number in numbers)
    return [_device(nvml, part) for part in parts if part is not None]


def _device(nvml: Library, handle: ctypes.c_void_p) -> dict[str, Any]:
    refused: dict[str, int] = {}
    total, free = _asked(refused, "memory", nvml.memory, handle) or (None, None)
    return {
        "name": _asked(refused, "name", nvml.text, "nvmlDeviceGetName", handle),
        "uuid": _asked(refused, "uuid", nvml.text, "nvmlDeviceGetUUID", handle),
        "memory_total_bytes": total,
        "memory_free_bytes": free,
        "refused": refused,
    }


def _asked(refused: dict[str, int], key: str, ask: Any, *values: Any, **counts: int) -> Any:
    try:
        return ask(*values, **counts)
    except RefusedError as error:
        refused[key] = error.value
        return None


def main() -> None:
    """Prints the answer, or `error`, the number that NVML gave instead."""
    import json

    # what the driver's library itself writes goes nowhere
    answer = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    # a crash writes no core file and opens no window
    if sys.platform == "win32":
        ctypes.windll.kernel32.SetErrorMode(0x8003)
    else:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    try:
        description = describe(Library())
    except Exception as error:
        description = {"error": getattr(error, "value", None), "text": str(error)[:200]}
    os.write(answer, json.dumps(description).encode())
    # without the library's own clean-up, which can hang as well
    os._exit(0)


if __name__ == "__main__":
    main()
