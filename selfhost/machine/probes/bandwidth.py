"""The measured rate at which all usable cores together read memory."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from threading import Barrier, Thread
from time import perf_counter, thread_time

from ...core import units
from ...core.files import reason_of
from ...core.records import Record, Unread
from ..record import BANDWIDTH, BRIEFLY, LEAST, MEASURED, Machine
from .host import CPUS, Host
from .texts import parse_digits

# the read rate of memory outside the caches, measured with the C library's memchr. A C probe reads
# within 20 % of this rate on AMD's Zen 4 and 5; memchr reaches 0.7 of the probe on Granite Rapids,
# where llama.cpp reads as fast as memchr
_CHUNK_BYTES = 2 * units.MIB
_LEAST_CHUNKS = 3
# the bytes read, as a multiple of the caches, or of the usual cache size where the system tells
# none
_TIMES_CACHES = 4
_USUAL_CACHE_BYTES = 64 * units.MIB
_LEAST_BYTES = 64 * units.MIB
_MOST_BYTES = 4 * units.GIB
# the share of a processor that an undisturbed thread gets; more than `_MAX_THREADS` threads read no
# faster
_LEAST_CPU_SHARE = 0.95
_MAX_THREADS = 16


class _Times(Record):
    """The seconds that filling the memory and reading it may take."""

    fill_seconds: float
    read_seconds: float


_CAREFUL = _Times(fill_seconds=2.0, read_seconds=0.4)
# takes at most 60 ms, including the start of the threads
_BRIEF = _Times(fill_seconds=0.028, read_seconds=0.012)


class _Plan(Record):
    """The threads that read at the same time, and the memory that they share."""

    threads: int
    # the bytes that all threads should read together, so that caches hold little of them
    wanted_bytes: int
    # the bytes that the threads may take of the free memory
    area_bytes: int


class Trace(Record):
    """The record of one thread's reads."""

    # the start time, then the time at the end of each chunk
    seconds: Sequence[float]
    # the share of a processor that the thread got
    cpu_share: float
    # the bytes that the thread read repeatedly
    area_bytes: int


def with_measured(machine: Machine, *, brief: bool = False) -> Machine:
    """Return `machine`, which must be this computer, with its measured bandwidth, or with the
    reason why there is none.
    """
    try:
        return _measured(machine, Host(), brief=brief)
    except (OSError, MemoryError, RuntimeError, ValueError, AttributeError) as error:
        why = Unread(
            fact=BANDWIDTH,
            reason=f"not measured: {reason_of(error)}",
            remedy="run with --measure when the machine is idle, or give it in a machine file",
        )
        without = machine.stated({BANDWIDTH: None}, "no bandwidth")
        return without.replace(
            measured_in_vain=not brief,
            unread=(why, *without.unread),
        )


def _measured(
    machine: Machine,
    host: Host,
    *,
    brief: bool,
) -> Machine:
    """The machine with the rate at which all threads read together; a lower bound where other
    programs took a part of the rate, or may have. `ValueError` where a measurement is of no use.
    """
    others = _count_other_programs(host)
    plan = _plan_for(machine, host, others if brief else None)
    traces = _read_in_threads(plan, _BRIEF if brief else _CAREFUL)
    filled_bytes = sum(trace.area_bytes for trace in traces)
    size = units.binary(filled_bytes)
    if filled_bytes < plan.wanted_bytes // 2:
        raise ValueError(
            f"only {size} could be used, and caches may hold too much of it"
        )
    least_share = min(trace.cpu_share for trace in traces)
    is_busy = others != 0 or least_share < _LEAST_CPU_SHARE
    when = "measured now" if brief else "measured"
    source = f"{when}: {units.plural(plan.threads, 'thread')} reading {size}"
    if is_busy:
        source += "; busy, so a lower bound"
    facts = {
        BANDWIDTH: joint_rate(traces),
        "memory_bandwidth_how": BRIEFLY if brief else MEASURED,
        "memory_bandwidth_bound": LEAST if is_busy else None,
    }
    return machine.stated(facts, source).replace(measured_in_vain=False)


def _plan_for(
    machine: Machine,
    host: Host,
    others: int | None,
) -> _Plan:
    """The plan of a measurement: a thread for each usable core, and several times as much memory as
    the caches, but at most an eighth of the free memory. `ValueError` where a measurement can give
    no figure.

    `others` is the number of other programs that run, for a brief measurement, which needs a free
    processor; None for a long one.
    """
    usable = machine.cpu_cores_usable
    free_bytes = machine.memory_available_bytes
    if not usable or not free_bytes:
        raise ValueError("processors or free memory were not read")
    if usable < 1:
        quota = units.cores(usable)
        raise ValueError(f"a quota of {quota} interrupts every measurement")
    if others is not None and others >= usable:
        raise ValueError("other programs keep the processors busy")
    cores = machine.cpu_cores_physical or 1
    wanted_bytes = max(_LEAST_BYTES, _TIMES_CACHES * cache_bytes(host))
    return _Plan(
        threads=min(int(usable), cores, _MAX_THREADS),
        wanted_bytes=wanted_bytes,
        area_bytes=min(wanted_bytes, free_bytes // 8, _MOST_BYTES),
    )


def _read_in_threads(plan: _Plan, times: _Times) -> list[Trace]:
    """Read in all threads of the plan at the same time, and return the trace of each. Raises the
    first error of a thread.
    """
    count = plan.threads
    # all threads begin together, once each has its memory
    barrier = Barrier(count, timeout=10)
    traces = []
    errors = []

    def run() -> None:
        """Read in one thread. The first error ends the wait of the others."""
        try:
            traces.append(_read(plan.area_bytes // count, times, barrier.wait))
        except Exception as error:
            errors.append(error)
            # the other threads need not wait for this one
            barrier.abort()

    # an executor takes longer to import than the measurement
    threads = [Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return traces


def cache_bytes(host: Host) -> int:
    """Return the bytes of the last-level caches of the CPUs that this process may use; the usual
    size where nothing states them.
    """
    # cache sizes by the CPUs that share the cache, in the kernel's notation
    sizes = {}
    for cpu in host.ask("affinity") or ():
        for level in (3, 2):
            folder = f"{CPUS}/cpu{cpu}/cache/index{level}"
            size = host.read_value(f"{folder}/size")
            kib = parse_digits(size.removesuffix("K"), 9)
            if kib:
                sharers = host.read_text(f"{folder}/shared_cpu_list") or str(cpu)
                sizes[sharers] = kib * 1024
                break
    return sum(sizes.values()) or _USUAL_CACHE_BYTES


def _count_other_programs(host: Host) -> int | None:
    """Count the other programs that run now. None where Linux does not say.

    Elsewhere the count is 0: the threads' shares of a processor tell whether others run.
    """
    if host.system != "linux":
        return 0
    # as in `2/1024`: running threads, and all threads
    running = re.search("([0-9]+)/", host.read_text("/proc/loadavg"))
    if running is None:
        return None
    return max(0, int(running[1]) - 1)


def joint_rate(traces: Sequence[Trace]) -> int:
    """Return the bytes a second of all threads together, while all of them ran. `ValueError` where
    they never did.
    """
    start = max(trace.seconds[0] for trace in traces)
    end = min(trace.seconds[-1] for trace in traces)
    chunks = 0
    for trace in traces:
        chunks += sum(start < moment <= end for moment in trace.seconds)
    if not chunks:
        raise ValueError("the threads did not run at the same time")
    return int(chunks * _CHUNK_BYTES / (end - start))


def _read(
    part_bytes: int,
    times: _Times,
    wait: Callable[[], object],
) -> Trace:
    """Fill memory until the time is up, call `wait`, which waits for the other threads, then read
    the memory over and over.
    """
    import ctypes
    import mmap

    search = _memchr()
    size = max(part_bytes, 2 * _CHUNK_BYTES)
    with mmap.mmap(-1, size) as area:
        if hasattr(mmap, "MADV_HUGEPAGE"):
            area.madvise(mmap.MADV_HUGEPAGE)
        view = ctypes.c_char.from_buffer(area)
        address = ctypes.addressof(view)
        # the area cannot be closed while an object refers to it
        del view
        filled = _fill(address, size, times.fill_seconds)
        wait()
        used = thread_time()
        done = [perf_counter()]
        until = done[0] + times.read_seconds
        while done[-1] < until or len(done) <= _LEAST_CHUNKS:
            chunk = address + len(done) * _CHUNK_BYTES % filled
            # the memory does not contain the byte 2, so that the search reads the whole chunk
            search(chunk, 2, _CHUNK_BYTES)
            done.append(perf_counter())
        cpu_seconds = thread_time() - used
    return Trace(
        seconds=done,
        cpu_share=cpu_seconds / (done[-1] - done[0]),
        area_bytes=filled,
    )


def _memchr() -> Callable[[int, int, int], object]:
    """The C library's memchr: it searches memory at an address for a byte, in so many bytes."""
    import ctypes

    library = "msvcrt" if sys.platform == "win32" else None
    memchr = ctypes.CDLL(library).memchr
    memchr.argtypes = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
    return memchr


def _fill(
    address: int,
    most_bytes: int,
    seconds: float,
) -> int:
    """Write to memory until the time is up, at least one chunk, and return the number of bytes
    written.
    """
    import ctypes

    filled = 0
    until = perf_counter() + seconds
    while filled + _CHUNK_BYTES <= most_bytes:
        if filled and perf_counter() >= until:
            break
        ctypes.memset(address + filled, 1, _CHUNK_BYTES)
        filled += _CHUNK_BYTES
    return filled
