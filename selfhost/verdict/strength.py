"""Of two machines, which computes a step surely no slower: numbers that can be compared."""

from __future__ import annotations

from functools import lru_cache

from ..machine.record import Machine
from .gpu_speed import shares_and_gpus
from .memory_bandwidth import bandwidth, core_shares
from .processor import core_of, threads_range
from .speed import (
    LaidOut,
    SharedBuilds,
    Speed,
    is_in_whole,
    meeting_seconds_more,
    shared_gpu,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


def strength_of(machine: Machine, way: LaidOut) -> tuple[tuple[Any, ...], tuple[float, ...]] | None:
    """Where it would be computed, and numbers of that: of two machines with the same first part,
    the one whose numbers are all as large or larger takes no longer for any step, at any end of the
    range. None where nothing such is known.
    """
    if machine.emulated_on is not None:
        return None
    if way.offloaded:
        shares = tuple(way.offloaded.items())
        return _strength_of_accelerators(machine, shares, way.at_once, way.filled)
    in_ram = _strength_in_ram(machine, way.on_shared_gpu)
    if in_ram is None or in_ram[0] != "shared":
        return None if in_ram is None else ((in_ram[0],), in_ram[1])
    if min(way.on_shared) < 1:
        # the processor has its part of the layers
        beside = _strength_of_processor(machine)
        return None if beside is None else (("shared", *way.on_shared), in_ram[1] + beside)
    return ("shared",), in_ram[1]


@lru_cache(maxsize=4096)
def _strength_of_accelerators(
    machine: Machine, shares: tuple[tuple[int, float], ...], at_once: bool, filled: float
) -> tuple[tuple[Any, ...], tuple[float, ...]] | None:
    """As `strength_of`, of accelerators with these shares of the layers; where the RAM holds the
    rest, only of what keeps the ends of the range in order, whatever the shares.
    """
    offloaded = dict(shares)
    parts = shares_and_gpus(machine, offloaded)
    if isinstance(parts, Speed):
        return None
    numbers = tuple([number for _, gpu in parts for number in gpu.strength])
    where = "accelerators", at_once, tuple([share for share, _ in parts]), filled
    if is_in_whole(offloaded):
        return where, numbers
    beside = _strength_of_processor(machine)
    if beside is None or not all(gpu.is_in_order for _, gpu in parts):
        return None
    slow, likely, fast, kept, most_kept, *cores = beside
    computed, unpacked = cores[:3], cores[3:6]
    in_order = (
        slow <= likely <= fast
        and 0 <= kept <= most_kept
        and computed == sorted(computed)
        and unpacked == sorted(unpacked)
    )
    return (where, numbers + beside) if in_order else None


@lru_cache(maxsize=4096)
def _strength_in_ram(
    machine: Machine, on_shared_gpu: SharedBuilds
) -> tuple[str, tuple[float, ...]] | None:
    shared = shared_gpu(machine, on_shared_gpu)
    if shared is not None and shared.used:
        return "shared", shared.gpu.strength
    processor = _strength_of_processor(machine)
    if processor is None:
        return None
    return (
        ("processor", processor) if shared is None else ("beside", processor + shared.gpu.strength)
    )


@lru_cache(maxsize=4096)
def _strength_of_processor(machine: Machine) -> tuple[float, ...] | None:
    memory = bandwidth(machine)
    if memory is None:
        return None
    of_cores = [
        threads * core
        for each in (core_shares(machine, memory), core_of(machine).unpacks_bytes_per_second)
        for threads, core in zip(threads_range(machine), each, strict=True)
    ]
    # more threads wait longer for each other
    waiting = [-seconds for seconds in meeting_seconds_more(machine)]
    read = memory.low, memory.likely, memory.high, *memory.kept_bytes
    return *read, *of_cores, *waiting, memory.measured
