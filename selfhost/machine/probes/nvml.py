"""Asks NVIDIA's management library (NVML) which GPUs there are, and prints one JSON object: a
program of its own, for a driver can hang or crash, and everything in its process with it. It uses
Python's standard library and the driver's own alone.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any

# of nvml.h
_CLOCK_MEMORY, _LIBRARY_NOT_FOUND, _FUNCTION_NOT_FOUND = 2, 12, 13
_MAX_DEVICES, _TEXT_BYTES = 256, 96


class Library(ctypes.CDLL):
    """The driver's library. A question that it refuses gives None or no numbers."""

    def call(self, name: str, *values: Any) -> int:
        """The number that a function returns, 0 for success."""
        function = getattr(self, name, None)
        return _FUNCTION_NOT_FOUND if function is None else int(function(*values))

    def text(self, name: str, *values: Any) -> str | None:
        buffer = ctypes.create_string_buffer(_TEXT_BYTES)
        code = self.call(name, *values, buffer, ctypes.c_uint(_TEXT_BYTES))
        return None if code else buffer.value.decode("utf-8", "replace")

    def numbers(self, name: str, *values: Any, count: int = 1) -> list[int]:
        cells = [ctypes.c_uint(0) for _ in range(count)]
        code = self.call(name, *values, *map(ctypes.byref, cells))
        return [] if code else [cell.value for cell in cells]


def describe(nvml: Library) -> dict[str, object]:
    """The driver and all GPUs, each as what programs can have of it: itself or, in MIG mode, its
    instances. `error` is the number of the error that hides a GPU, or its memory.
    """
    if code := nvml.call("nvmlInit_v2"):
        return {"error": code}
    gpus: list[list[dict[str, object]]] = []
    for index in range(min(sum(nvml.numbers("nvmlDeviceGetCount_v2")), _MAX_DEVICES)):
        handle, clock = ctypes.c_void_p(), ctypes.c_uint(_CLOCK_MEMORY)
        number = ctypes.c_uint(index)
        if code := nvml.call(
            "nvmlDeviceGetHandleByIndex_v2", number, ctypes.byref(handle)
        ):
            gpus.append([{"error": code}])
            continue
        capability = nvml.numbers("nvmlDeviceGetCudaComputeCapability", handle, count=2)
        whole = {
            **_device(nvml, handle),
            "bus_width_bits": sum(nvml.numbers("nvmlDeviceGetMemoryBusWidth", handle)),
            "memory_clock_mhz": sum(
                nvml.numbers("nvmlDeviceGetMaxClockInfo", handle, clock)
            ),
            "compute_capability": capability,
        }
        is_split = nvml.numbers("nvmlDeviceGetMigMode", handle, count=2)[:1] == [1]
        gpus.append([] if is_split else [whole])
        most = (
            sum(nvml.numbers("nvmlDeviceGetMaxMigDeviceCount", handle))
            if is_split
            else 0
        )
        for place in range(min(most, _MAX_DEVICES)):
            # the numbers of MIG devices may have gaps
            part, name = ctypes.c_void_p(), "nvmlDeviceGetMigDeviceHandleByIndex"
            if not nvml.call(name, handle, ctypes.c_uint(place), ctypes.byref(part)):
                own = {
                    **_device(nvml, part),
                    "part_of_bytes": whole["memory_total_bytes"] or 0,
                }
                gpus[-1].append({**whole, **own, "name": own["name"] or whole["name"]})
    return {"driver": nvml.text("nvmlSystemGetDriverVersion"), "gpus": gpus}


def _device(nvml: Library, handle: ctypes.c_void_p) -> dict[str, object]:
    # total, free, used: the first version of the structure, which every driver knows
    cells = (ctypes.c_ulonglong * 3)()
    code = nvml.call("nvmlDeviceGetMemoryInfo", handle, ctypes.byref(cells))
    return {
        "name": nvml.text("nvmlDeviceGetName", handle),
        "memory_total_bytes": None if code else cells[0],
        "memory_free_bytes": None if code else cells[1],
        "error": code or None,
    }


def main() -> None:
    """Prints the answer, or `error`, the number that NVML gave instead."""
    import json

    # what the driver's library itself writes goes nowhere
    answer, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    places = ["libnvidia-ml.so.1", "/usr/lib/wsl/lib/libnvidia-ml.so.1"]
    # a crash writes no core file and opens no window
    if sys.platform == "win32":
        places = [
            os.path.join(
                os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "nvml.dll"
            )
        ]
        ctypes.windll.kernel32.SetErrorMode(0x8003)
    else:
        import resource

        resource.setrlimit(
            resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1])
        )
    facts: dict[str, object] = {"error": _LIBRARY_NOT_FOUND}
    for place in places:
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
