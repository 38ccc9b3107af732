"""How the memory bandwidth of this computer is to be read: how many threads, on which processors,
in how much memory; and where there is no sense in reading it.
"""

from __future__ import annotations

import os
import sys

from ...core import units
from ...core.records import Record, Unread
from ...core.saying import MEASURED_RECORD
from ..record import LATE, Machine
from .host import NATIVE, Host
from .procfs import parse_list

FACT = "memory_bandwidth_bytes_per_second"
# more threads than this add nothing on a desktop and some seconds of start-up on a server
MAX_THREADS = 16
# a cache of a quarter of the buffer may still answer a few reads in a hundred; filling more takes
# most of a second on a server
LEAST_BYTES, GOOD_BYTES, MOST_BYTES = 128 * units.MIB, 256 * units.MIB, 4 * units.GIB
LEAST_CACHES = 4
# what a measurement may take of the memory that is free
SHARE_OF_AVAILABLE = 8
# of its processor, what an undisturbed thread gets
LEAST_CPU_SHARE = 0.95


class Plan(Record):
    """How to measure: threads, the CPUs they are pinned to (empty: as the system likes), the
    buffer of all, and how much of it is beyond the caches for sure; what is doubtful already.
    `busy`: what other programs did meanwhile.
    """

    threads: int
    cpus: tuple[int, ...]
    buffer_bytes: int
    enough_bytes: int = LEAST_BYTES
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    busy: tuple[str, ...] = ()


def plan_for(machine: Machine, host: Host) -> Plan | Unread:
    """Threads, processors and buffer for `machine`; Unread where there is no sense in measuring."""
    if not host.live:
        return unread(
            "a recorded machine cannot be measured",
            f"measure on the machine itself: {MEASURED_RECORD}",
        )
    if machine.emulated_on is not None:
        return unread("memory bandwidth does not limit an emulated processor", NATIVE)
    usable = machine.cpu_cores_usable
    if usable is None:
        return unread("how many processors may be used was not read")
    if usable < 1:
        return unread(
            f"a quota of {units.cores(usable)} interrupts every measurement",
            "measure outside the quota",
        )
    free = machine.memory_available_bytes
    if free is None:
        return unread("how much memory is free was not read")
    cache = cache_bytes(host)
    most = min(free // SHARE_OF_AVAILABLE, MOST_BYTES if sys.maxsize > 2**32 else GOOD_BYTES)
    size = min(most, max(GOOD_BYTES, LEAST_CACHES * (cache or 0)))
    if size < LEAST_BYTES // 2:
        return unread(
            f"{units.binary(free)} of free memory is too little to measure beyond the caches",
            "close other programs",
        )
    cpus = one_per_core(host)
    cores = machine.cpu_cores_physical or int(usable)
    threads = max(1, min(int(usable), cores, len(cpus) or MAX_THREADS, MAX_THREADS))
    return Plan(
        threads=threads,
        cpus=tuple(cpus[:threads]) if len(cpus) >= threads else (),
        buffer_bytes=size,
        enough_bytes=min(size, _enough_bytes(cache)),
        doubts=doubts_of(size, cache),
        notes=_notes(host, threads, cores, cache),
    )


def doubts_of(size: int, cache: int | None, planned: int | None = None) -> tuple[str, ...]:
    """What makes the figure one of low confidence, known before it is measured: `size` is small, of
    `planned` bytes that the system could have given.
    """
    if size >= _enough_bytes(cache):
        return ()
    if planned is not None and planned > size:
        return (
            f"{LATE}, {units.binary(size)} of {units.binary(planned)}: the system was slow to give"
            " memory",
        )
    return (f"{units.binary(size)} is small next to the caches: more free memory is needed",)


def _enough_bytes(cache: int | None) -> int:
    """A buffer of which the caches answer few reads."""
    return max(LEAST_BYTES, LEAST_CACHES * (cache or 0))


def _notes(host: Host, threads: int, cores: int, cache: int | None) -> tuple[str, ...]:
    notes = []
    if threads < cores and threads == MAX_THREADS:
        notes.append(f"{threads} of {cores} cores: all together may read more")
    if cache is None:
        notes.append("the size of the caches is not known")
    if _on_battery(host):
        notes.append("on battery")
    return tuple(notes)


def _on_battery(host: Host) -> bool:
    folder = "/sys/class/power_supply"
    names = host.listdir(folder) if host.system == "linux" else None
    return any(
        (host.read_text(f"{folder}/{name}/status") or "").strip() == "Discharging"
        for name in names or ()
    )


def one_per_core(host: Host) -> tuple[int, ...]:
    """One CPU of each core this process may use, where they can be told apart and pinned to;
    empty elsewhere.
    """
    allowed = host.affinity()
    if allowed is None or not hasattr(os, "sched_setaffinity"):
        return ()
    left, first_of_cores = set(allowed), []
    while left:
        first = min(left)
        text = host.read_text(f"/sys/devices/system/cpu/cpu{first}/topology/thread_siblings_list")
        left -= (parse_list(text) if text else None) or frozenset()
        left.discard(first)
        first_of_cores.append(first)
    return tuple(first_of_cores)


def cache_bytes(host: Host) -> int | None:
    """The last-level caches of the CPUs this process may use, added up; None where the system
    does not say.
    """
    caches = last_caches(host)
    return None if caches is None else caches[1]


def last_caches(host: Host) -> tuple[int, int] | None:
    """The level of the last caches that the system tells of, and their bytes as `cache_bytes`. A
    chip whose second level is the last one told may have one beside memory that nothing tells of.
    """
    if host.system == "macos":
        for name, level in (
            ("hw.l3cachesize", 3),
            ("hw.perflevel0.l2cachesize", 2),
            ("hw.l2cachesize", 2),
        ):
            word = host.sysctl(name)
            if word and word.isdecimal():
                return level, int(word)
        return None
    if host.system != "linux":
        return None
    last: dict[str, tuple[int, int]] = {}
    # those that share a cache which was read already: a server has hundreds
    cpus_counted: set[int] = set()
    for cpu in sorted(host.affinity() or ()):
        cache = None if cpu in cpus_counted else _last_level(host, cpu)
        if cache is not None:
            level, size_bytes, shared = cache
            last[shared] = level, size_bytes
            cpus_counted |= parse_list(shared) or frozenset()
    if not last:
        return None
    top = max(level for level, _ in last.values())
    return top, sum(size for level, size in last.values() if level == top)


def _last_level(host: Host, cpu: int) -> tuple[int, int, str] | None:
    """Level and bytes of the last cache of a CPU, and the list of CPUs that share it."""
    best: tuple[int, int, str] | None = None
    for index in range(8):
        folder = f"/sys/devices/system/cpu/cpu{cpu}/cache/index{index}"
        level, size = (host.read_text(f"{folder}/{name}") for name in ("level", "size"))
        if not level or not size or not level.strip().isdecimal():
            continue
        shared = (host.read_text(f"{folder}/shared_cpu_list") or str(cpu)).strip()
        count = _size(size)
        if count is not None and (best is None or int(level) > best[0]):
            best = int(level), count, shared
    return best


def _size(text: str) -> int | None:
    word = text.strip()
    factor = {"K": units.KIB, "M": units.MIB, "G": units.GIB}.get(word[-1:], 1)
    digits = word.rstrip("KMG")
    return (
        int(digits) * factor
        if digits.isdecimal() and digits.isascii() and len(digits) <= 12
        else None
    )


def unread(reason: str, remedy: str | None = None) -> Unread:
    """Why the bandwidth is not known."""
    return Unread(fact=FACT, reason=reason, remedy=remedy or "give it in a machine file")
