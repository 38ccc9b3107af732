"""Asks NVIDIA's management library (NVML) which GPUs there are, and prints one JSON object: a
program of its own, for a driver can hang or crash, and everything in its process with it. It uses
Python's standard library and the driver's own alone.
"""

from __future__ import annotations

import ctypes
import os
import sys

# of nvml.h
_CLOCK_MEMORY = 2
_MIG_ENABLED = 1
_LIBRARY_NOT_FOUND = 12
_FUNCTION_NOT_FOUND = 13
# more than any driver counts, in case that it counts wrongly
_MAX_DEVICES = 256
_TEXT_BYTES = 96
# what the library says of a GPU, or of an instance of one
Facts = dict[str, object]


class Library(ctypes.CDLL):
    """The driver's library. A question that it refuses gives None or no numbers."""

    def call(self, name: str, *values: object) -> int:
        """The number that a function returns, 0 for success."""
        function = getattr(self, name, None)
        if function is None:
            return _FUNCTION_NOT_FOUND
        return int(function(*values))

    def text(self, name: str, *values: object) -> str | None:
        """The text that a function writes."""
        buffer = ctypes.create_string_buffer(_TEXT_BYTES)
        code = self.call(name, *values, buffer, ctypes.c_uint(_TEXT_BYTES))
        return None if code else buffer.value.decode("utf-8", "replace")

    def numbers(self, name: str, *values: object, count: int) -> list[int]:
        """The numbers that a function writes, so many of them; none where it refuses."""
        cells = [ctypes.c_uint(0) for _ in range(count)]
        places = map(ctypes.byref, cells)
        if self.call(name, *values, *places):
            return []
        return [cell.value for cell in cells]

    def number(self, name: str, *values: object) -> int:
        """The one number that a function writes; 0 where it refuses."""
        numbers = self.numbers(name, *values, count=1)
        return numbers[0] if numbers else 0


def describe(nvml: Library) -> Facts:
    """The driver and all GPUs, each as what programs can have of it: itself or, in MIG mode, its
    instances. `error` is the number of the error that hides a GPU, or its memory.
    """
    code = nvml.call("nvmlInit_v2")
    if code:
        return {"error": code}
    gpus: list[list[Facts]] = []
    count = nvml.number("nvmlDeviceGetCount_v2")
    for index in range(min(count, _MAX_DEVICES)):
        place = ctypes.c_uint(index)
        handle = ctypes.c_void_p()
        pointer = ctypes.byref(handle)
        code = nvml.call("nvmlDeviceGetHandleByIndex_v2", place, pointer)
        gpus.append([{"error": code}] if code else _parts_of(nvml, handle))
    return {"driver": nvml.text("nvmlSystemGetDriverVersion"), "gpus": gpus}


def _parts_of(nvml: Library, handle: ctypes.c_void_p) -> list[Facts]:
    """The GPU, or in MIG mode its instances."""
    gpu = _device(nvml, handle)
    clock = ctypes.c_uint(_CLOCK_MEMORY)
    capability = nvml.numbers("nvmlDeviceGetCudaComputeCapability", handle, count=2)
    chip: Facts = {
        "bus_width_bits": nvml.number("nvmlDeviceGetMemoryBusWidth", handle),
        "memory_clock_mhz": nvml.number("nvmlDeviceGetMaxClockInfo", handle, clock),
        "compute_capability": capability,
    }
    # the mode now, and the one after a restart
    modes = nvml.numbers("nvmlDeviceGetMigMode", handle, count=2)
    if modes[:1] != [_MIG_ENABLED]:
        return [gpu | chip]
    instances: list[Facts] = []
    most = nvml.number("nvmlDeviceGetMaxMigDeviceCount", handle)
    name = "nvmlDeviceGetMigDeviceHandleByIndex"
    for index in range(min(most, _MAX_DEVICES)):
        place = ctypes.c_uint(index)
        instance = ctypes.c_void_p()
        pointer = ctypes.byref(instance)
        # the numbers of instances may have gaps
        if nvml.call(name, handle, place, pointer) == 0:
            facts = _device(nvml, instance) | chip
            facts["name"] = facts["name"] or f"{gpu['name'] or 'NVIDIA GPU'} MIG"
            facts["part_of_bytes"] = gpu.get("memory_total_bytes", 0)
            instances.append(facts)
    return instances


def _device(nvml: Library, handle: ctypes.c_void_p) -> Facts:
    """The name and the memory of a GPU or of an instance; `error` where the memory is not told."""
    facts: Facts = {"name": nvml.text("nvmlDeviceGetName", handle)}
    # total, free, used: the first version of the structure, which every driver knows
    cells = (ctypes.c_ulonglong * 3)()
    code = nvml.call("nvmlDeviceGetMemoryInfo", handle, ctypes.byref(cells))
    if code:
        facts["error"] = code
    else:
        facts["memory_total_bytes"] = cells[0]
        facts["memory_free_bytes"] = cells[1]
    return facts


def _prepare() -> list[str]:
    """Sees to it that a crash writes no core file and opens no window; where the library may be."""
    if sys.platform == "win32":
        ctypes.windll.kernel32.SetErrorMode(0x8003)
        root = os.environ.get("SYSTEMROOT", r"C:\Windows")
        return [os.path.join(root, "System32", "nvml.dll")]
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    return ["libnvidia-ml.so.1", "/usr/lib/wsl/lib/libnvidia-ml.so.1"]


def main() -> None:
    """Prints the answer, or `error`, the number that NVML gave instead."""
    import json

    # what the driver's library itself writes goes nowhere
    answer = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    facts: Facts = {"error": _LIBRARY_NOT_FOUND}
    for place in _prepare():
        try:
            facts = describe(Library(place))
            break
        except OSError:
            continue
    os.write(answer, json.dumps(facts).encode())
    # without the library's own clean-up, which can hang as well
    os._exit(0)


if __name__ == "__main__":
    main()
