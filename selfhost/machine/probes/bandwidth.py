"""How fast the usable cores together read memory, measured."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from time import perf_counter, thread_time
from typing import NamedTuple

from ...core import units
from ...core.records import Unread
from ..record import BANDWIDTH, BRIEFLY, LEAST, MEASURED, Machine
from .host import CPUS, Host, reason_of
from .texts import whole

# how fast memory that no cache holds is read, by the C library's memchr: that of a C probe within
# 20 % on AMD's Zen 4 and 5, and 0.7 of it on Granite Rapids, where llama.cpp got what memchr tells
_CHUNK_BYTES = 2 * units.MIB
# how much is read: so many times the caches, or those that are usual where the system tells none
_TIMES_CACHES, _USUAL_CACHE_BYTES = 4, 64 * units.MIB
_LEAST_BYTES, _MOST_BYTES = 64 * units.MIB, 4 * units.GIB
# what filling and reading may take, with care and within 60 ms
_CAREFUL_SECONDS, _BRIEF_SECONDS = (2.0, 0.4), (0.028, 0.012)
# of its processor, what an undisturbed thread gets; more threads than so many add nothing
_LEAST_CPU_SHARE, _MAX_THREADS = 0.95, 16


class Trace(NamedTuple):
    """What one thread read.

    `seconds`: when it began, then when it was done with each chunk. `cpu_share`: the share of a
    processor that it got. `area_bytes`: the memory that it read over and over.
    """

    seconds: Sequence[float]
    cpu_share: float
    area_bytes: int


def with_measured(
    machine: Machine, *, brief: bool = False, host: Host | None = None
) -> Machine:
    """`machine`, which must be this computer, with its bandwidth, or with why it has none."""
    try:
        figure, source, is_busy = measure(machine, host or Host(), brief=brief)
    except (OSError, MemoryError, RuntimeError, ValueError, AttributeError) as error:
        remedy = (
            "run with --measure when the machine is idle, or give it in a machine file"
        )
        why = Unread(
            fact=BANDWIDTH, reason=f"not measured: {reason_of(error)}", remedy=remedy
        )
        without = machine.stated({BANDWIDTH: None}, "no bandwidth")
        return without.replace(
            measured_in_vain=not brief, unread=(why, *without.unread)
        )
    how, bound = BRIEFLY if brief else MEASURED, LEAST if is_busy else None
    facts = {
        BANDWIDTH: figure,
        "memory_bandwidth_how": how,
        "memory_bandwidth_bound": bound,
    }
    return machine.stated(facts, source).replace(measured_in_vain=False)


def measure(machine: Machine, host: Host, *, brief: bool) -> tuple[int, str, bool]:
    """Bytes per second, how measured, and whether others had a part; `ValueError`: no use."""
    usable, free = machine.cpu_cores_usable or 0, machine.memory_available_bytes or 0
    others = _count_other_programs(host)
    refusals = {
        "the machine is a recorded one": not host.live,
        "processors or free memory were not read": not (usable and free),
        f"a quota of {units.cores(usable)} interrupts every measurement": usable < 1,
        "other programs keep the processors busy": brief and (others or 0) >= usable,
    }
    if reason := next((reason for reason, holds in refusals.items() if holds), None):
        raise ValueError(reason)
    count = min(int(usable), machine.cpu_cores_physical or 1, _MAX_THREADS)
    wanted_bytes = max(_LEAST_BYTES, _TIMES_CACHES * cache_bytes(host))
    part_bytes = min(wanted_bytes, free // 8, _MOST_BYTES) // count
    # once each thread has its memory, all begin together
    areas, wait = [part_bytes] * count, Barrier(count, timeout=10).wait
    seconds = _BRIEF_SECONDS if brief else _CAREFUL_SECONDS
    with ThreadPoolExecutor(count) as pool:
        traces = list(pool.map(partial(_read, seconds=seconds, wait=wait), areas))
    filled_bytes = sum(trace.area_bytes for trace in traces)
    if filled_bytes < wanted_bytes // 2:
        size = units.binary(filled_bytes)
        raise ValueError(
            f"only {size} could be used, and caches may hold too much of it"
        )
    is_busy = others != 0 or min(trace.cpu_share for trace in traces) < _LEAST_CPU_SHARE
    when = "measured now" if brief else "measured"
    source = (
        f"{when}: {units.plural(count, 'thread')} reading {units.binary(filled_bytes)}"
    )
    if is_busy:
        source += "; busy, so a lower bound"
    return joint_rate(traces), source, is_busy


def cache_bytes(host: Host) -> int:
    """The last-level caches of the CPUs this process may use; the usual where nothing says."""
    sizes: dict[str, int] = {}
    for cpu in host.ask("affinity") or ():
        for level in (3, 2):
            folder = f"{CPUS}/cpu{cpu}/cache/index{level}"
            if number := whole(
                host.read_text(f"{folder}/size").strip().removesuffix("K"), 9
            ):
                sharers = host.read_text(f"{folder}/shared_cpu_list") or str(cpu)
                sizes[sharers] = number << 10
                break
    return sum(sizes.values()) or _USUAL_CACHE_BYTES


def _count_other_programs(host: Host) -> int | None:
    """Those that run now; None where Linux does not say. Elsewhere the threads' own shares tell."""
    words = [*host.read_text("/proc/loadavg").split(), *[""] * 4]
    running = whole(words[3].partition("/")[0], 9)
    if host.system != "linux":
        return 0
    return None if running is None else max(0, running - 1)


def joint_rate(traces: Sequence[Trace]) -> int:
    """Bytes per second of all threads together, while all ran; `ValueError` where never."""
    start = max(trace.seconds[0] for trace in traces)
    end = min(trace.seconds[-1] for trace in traces)
    chunks = sum(start < moment <= end for trace in traces for moment in trace.seconds)
    if end <= start or not chunks:
        raise ValueError("the threads did not run at the same time")
    return int(chunks * _CHUNK_BYTES / (end - start))


def _read(
    part_bytes: int, seconds: tuple[float, float], wait: Callable[[], object]
) -> Trace:
    """Fills memory until the time is up, waits for the others, and reads it over and over."""
    import ctypes
    import mmap

    with mmap.mmap(-1, max(part_bytes, 2 * _CHUNK_BYTES)) as area:
        if hasattr(mmap, "MADV_HUGEPAGE"):
            area.madvise(mmap.MADV_HUGEPAGE)
        view = (ctypes.c_char * len(area)).from_buffer(area)
        address, filled, until = ctypes.addressof(view), 0, perf_counter() + seconds[0]
        # the area cannot be closed while something points into it
        del view
        while filled + _CHUNK_BYTES <= len(area) and (
            filled == 0 or perf_counter() < until
        ):
            ctypes.memset(address + filled, 1, _CHUNK_BYTES)
            filled += _CHUNK_BYTES
        memchr = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None).memchr
        memchr.argtypes = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
        wait()
        used, done = thread_time(), [perf_counter()]
        while done[-1] < done[0] + seconds[1] or len(done) < 4:
            # a byte that is not there
            memchr(address + len(done) * _CHUNK_BYTES % filled, 2, _CHUNK_BYTES)
            done.append(perf_counter())
        return Trace(done, (thread_time() - used) / (done[-1] - done[0]), filled)
