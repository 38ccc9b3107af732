"""Desktops with a named GPU, or none, of which nothing was measured."""

from typing import Any

from selfhost import Machine
from selfhost.machine.gpus import vendor_of
from selfhost.machine.record import Accelerator

GIB = 1 << 30
NO_GPU: tuple[Accelerator, ...] = ()


def machine_with(gpu: str | None = None, gib: int = 24, **changes: Any) -> Machine:
    """64 GiB of RAM, eight AVX2 cores of a desktop."""
    card = Accelerator(
        vendor=vendor_of(gpu or ""),
        name=gpu or "",
        unified=False,
        memory_total_bytes=gib * GIB,
        memory_free_bytes=gib * GIB,
    )
    facts: dict[str, Any] = {
        "system": "linux",
        "architecture": "x86_64",
        "scope": "host",
        "cpu_model": "Intel(R) Core(TM) i7-12700K",
        "cpu_cores_physical": 8,
        "cpu_cores_usable": 8.0,
        "instruction_sets": ("avx2", "fma", "f16c"),
        "memory_total_bytes": 64 * GIB,
        "memory_limit_bytes": 64 * GIB,
        "memory_available_bytes": 60 * GIB,
        "accelerators": NO_GPU if gpu is None else (card,),
    }
    return Machine(**{**facts, **changes})
