"""Machines of which a record lies in `data/records/`, the usual ones of those that are known, and
desktops.
"""

from __future__ import annotations

from typing import Any

from helpers.paths import RECORDS
from selfhost import Machine
from selfhost.catalogue.index import open_catalogue
from selfhost.machine.gpus import vendor_of
from selfhost.machine.record import Accelerator

GIB = 2**30


VM = Machine.from_file(RECORDS / "vm-24gib.json")


# known machines of each kind that people run models on: GPUs, Macs, a server, a laptop without
USUAL = (
    "desktop-rtx3060-12gb",
    "desktop-rtx4090-24gb",
    "macbook-air-m2-16gb",
    "macbook-pro-m4-max-48gb",
    "server-8x-h100",
    "laptop-ddr4-16gb",
)


IDS = open_catalogue().ids()
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
