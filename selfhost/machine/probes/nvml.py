"""Asks NVIDIA's management library (NVML) for the GPUs, and prints one JSON object. This is a
separate program, since a driver can hang or crash and take its process with it. It uses only
Python's standard library and the driver's library.
"""

from __future__ import annotations

import ctypes
import os
import sys

# constants of nvml.h
_CLOCK_MEMORY = 2
_MIG_ENABLED = 1
_LIBRARY_NOT_FOUND = 12
_FUNCTION_NOT_FOUND = 13
# a limit in case a driver reports a wrong count
_MAX_DEVICES = 256
_TEXT_BYTES = 96
# the facts that the library reports for a GPU, or for an instance of one
Facts = dict[str, object]


class Subject:
    """The thing that a question to the library is about: the library as a whole, a GPU, or an
    instance of a GPU.

    `handle` is the library's own name of a GPU or instance, the first value of each question about
    it. `error` is the number of the error that hides the GPU or instance, else 0. A question that
    the library refuses gives None or no numbers.
    """

    def __init__(
        self,
        library: ctypes.CDLL,
        *handle: ctypes.c_void_p,
        error: int = 0,
    ) -> None:
        self.library = library
        self.handle = handle
        self.error = error

    def call(self, name: str, *values: object) -> int:
        """Return the number that a function of the library returns, 0 for success."""
        function = getattr(self.library, name, None)
        if function is None:
            return _FUNCTION_NOT_FOUND
        return int(function(*self.handle, *values))

    def text(self, name: str) -> str | None:
        """Return the text that a function of the library writes; None where it refuses."""
        buffer = ctypes.create_string_buffer(_TEXT_BYTES)
        error = self.call(name, buffer, ctypes.c_uint(_TEXT_BYTES))
        if error:
            return None
        return buffer.value.decode("utf-8", "replace")

    def numbers(
        self,
        name: str,
        count: int,
        *values: object,
    ) -> list[int]:
        """Return the `count` numbers that a function of the library writes; none where it
        refuses.
        """
        cells = [ctypes.c_uint(0) for _ in range(count)]
        error = self.call(name, *values, *map(ctypes.byref, cells))
        if error:
            return []
        return [cell.value for cell in cells]

    def number(self, name: str, *values: object) -> int:
        """The one number that a function writes; 0 where it refuses."""
        numbers = self.numbers(name, 1, *values)
        return numbers[0] if numbers else 0

    def part(self, name: str, index: int) -> Subject:
        """Return the GPU or instance of that number. The function `name` of the library writes its
        handle.
        """
        handle = ctypes.c_void_p()
        error = self.call(name, ctypes.c_uint(index), ctypes.byref(handle))
        return Subject(self.library, handle, error=error)

    def facts(self) -> Facts:
        """Return the name and the memory of a GPU or instance; `error` where the library does not
        tell the memory.
        """
        facts: Facts = {"name": self.text("nvmlDeviceGetName")}
        # total, free and used bytes: the first version of the structure, which every driver knows
        cells = (ctypes.c_ulonglong * 3)()
        error = self.call("nvmlDeviceGetMemoryInfo", ctypes.byref(cells))
        if error:
            facts["error"] = error
        else:
            facts["memory_total_bytes"] = cells[0]
            facts["memory_free_bytes"] = cells[1]
        return facts


def describe(nvml: Subject) -> Facts:
    """Return the driver and all GPUs, each as a list of what programs can get: the GPU itself or,
    in MIG mode, its instances.

    `error` is the number of the error that hides a GPU, or its memory.
    """
    error = nvml.call("nvmlInit_v2")
    if error:
        return {"error": error}
    gpus = []
    count = nvml.number("nvmlDeviceGetCount_v2")
    for index in range(min(count, _MAX_DEVICES)):
        gpu = nvml.part("nvmlDeviceGetHandleByIndex_v2", index)
        gpus.append(_parts_of(gpu))
    return {"driver": nvml.text("nvmlSystemGetDriverVersion"), "gpus": gpus}


def _parts_of(gpu: Subject) -> list[Facts]:
    """The GPU, or in MIG mode its instances."""
    if gpu.error:
        return [{"error": gpu.error}]
    facts = gpu.facts()
    clock = ctypes.c_uint(_CLOCK_MEMORY)
    chip: Facts = {
        "bus_width_bits": gpu.number("nvmlDeviceGetMemoryBusWidth"),
        "memory_clock_mhz": gpu.number("nvmlDeviceGetMaxClockInfo", clock),
        "compute_capability": gpu.numbers("nvmlDeviceGetCudaComputeCapability", 2),
    }
    # the present mode, and the mode after a restart
    modes = gpu.numbers("nvmlDeviceGetMigMode", 2)
    if modes[:1] != [_MIG_ENABLED]:
        return [facts | chip]
    chip["part_of_bytes"] = facts.get("memory_total_bytes", 0)
    instances = _instances_of(gpu)
    for instance in instances:
        instance["name"] = instance["name"] or f"{facts['name'] or 'NVIDIA GPU'} MIG"
        instance.update(chip)
    return instances


def _instances_of(gpu: Subject) -> list[Facts]:
    """The names and memories of the instances of a GPU in MIG mode."""
    instances = []
    most = gpu.number("nvmlDeviceGetMaxMigDeviceCount")
    for index in range(min(most, _MAX_DEVICES)):
        instance = gpu.part("nvmlDeviceGetMigDeviceHandleByIndex", index)
        # the numbers of instances may have gaps
        if not instance.error:
            instances.append(instance.facts())
    return instances


def _prepare() -> list[str]:
    """Prevent core files and windows after a crash, and return the places where the library may
    be.
    """
    if sys.platform == "win32":
        ctypes.windll.kernel32.SetErrorMode(0x8003)
        root = os.environ.get("SYSTEMROOT", r"C:\Windows")
        return [os.path.join(root, "System32", "nvml.dll")]
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    return ["libnvidia-ml.so.1", "/usr/lib/wsl/lib/libnvidia-ml.so.1"]


def main() -> None:
    """Print the answer, or `error`, the number that NVML gave instead."""
    import json

    # output of the driver's library itself is discarded
    answer = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    facts: Facts = {"error": _LIBRARY_NOT_FOUND}
    for place in _prepare():
        try:
            library = ctypes.CDLL(place)
            facts = describe(Subject(library))
            break
        except OSError:
            continue
    os.write(answer, json.dumps(facts).encode())
    # skips the library's own clean-up, which can hang too
    os._exit(0)


if __name__ == "__main__":
    main()
