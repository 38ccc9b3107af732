"""Memory bandwidth, measured: how fast the usable cores together read memory that no cache holds.

Each thread runs over its part of a buffer with the C library's memchr, a vectorised read that lets
other threads run; where there is none it copies. With glibc the figure is that of a C probe within
20 % on AMD's Zen 4 and 5, and 0.7 of it on Granite Rapids, where llama.cpp got what memchr tells.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Callable, Sequence

from ...core import units
from ...core.records import Record, Unread
from ..record import AT_LEAST, AT_PRESENT, BUSY, MAX_MEMORY_BYTES, Machine
from .cpu import one_cpu_per_core
from .host import NATIVE, Host, reason_of
from .procfs import whole

FACT = "memory_bandwidth_bytes_per_second"
_CHUNK_BYTES = 2 * units.MIB
# more threads add nothing on a desktop and some seconds of start-up on a server
_MAX_THREADS = 16
# beyond the caches for sure: where what is read again has left them
_LEAST_BYTES, _MOST_BYTES, _CACHES = 64 * units.MIB, 4 * units.GIB, 4
_MOMENT_SECONDS = 0.0005
# of its processor, what an undisturbed thread gets
_LEAST_CPU_SHARE = 0.95
_AGAIN = "run it again when the machine is idle"


class Pace(Record):
    """How long to fill and to read, in seconds. `name` begins the source of what is measured."""

    name: str
    fill_seconds: float
    read_seconds: float


CAREFUL = Pace(name="measured", fill_seconds=2.0, read_seconds=0.4)
# together with starting the threads within 60 ms
BRIEF = Pace(name=AT_PRESENT, fill_seconds=0.028, read_seconds=0.012)


class Trace(Record):
    """What one thread read: when it began and when it was done with each chunk, in seconds; which
    part of a processor it had meanwhile; and the bytes it read of.
    """

    done: tuple[float, ...]
    chunk_bytes: int
    cpu_share: float
    buffer_bytes: int


def with_measured(machine: Machine, pace: Pace = CAREFUL, host: Host | None = None) -> Machine:
    """`machine`, which must be this computer, with its bandwidth measured, or with why it is
    unread. A figure of a busy machine is the least that it has.
    """
    others = [entry for entry in machine.unread if entry.fact != FACT]
    sources = {fact: source for fact, source in machine.sources.items() if fact != FACT}
    try:
        figure, sources[FACT] = measure(machine, host or Host(), pace)
    except _UnreadError as error:
        others.append(Unread(fact=FACT, reason=error.reason, remedy=error.remedy))
        return machine.replace(
            measured_in_vain=pace is CAREFUL,
            unread=tuple(sorted(others, key=lambda entry: entry.fact)),
        )
    return machine.replace(
        memory_bandwidth_bytes_per_second=figure, sources=sources, unread=tuple(others)
    )


class _UnreadError(Exception):
    """Why the bandwidth is not known, and what to do about it."""

    def __init__(self, reason: str, remedy: str = "give it in a machine file") -> None:
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy


def measure(machine: Machine, host: Host, pace: Pace) -> tuple[int, str]:
    """Bytes per second, and how they were measured. `_UnreadError` where that could only mislead:
    less than one CPU, too little memory, caches of unknown size or as large as what was filled.
    """
    if not host.live:
        raise _UnreadError("a recorded machine cannot be measured")
    if machine.emulated_on is not None:
        raise _UnreadError("memory bandwidth does not limit an emulated processor", NATIVE)
    usable, free = machine.cpu_cores_usable, machine.memory_available_bytes
    if usable is None or free is None:
        raise _UnreadError("how many processors may be used, or how much memory, was not read")
    if usable < 1:
        reason = f"a quota of {units.cores(usable)} interrupts every measurement"
        raise _UnreadError(reason, "measure outside the quota")
    cores = one_cpu_per_core(host, host.affinity() or frozenset()) or {}
    count = min(int(usable), len(cores) or machine.cpu_cores_physical or 1, _MAX_THREADS)
    beyond = max(_LEAST_BYTES, _CACHES * (cache_bytes(host) or 64 * units.MIB))
    wanted = min(beyond, free // 8, _MOST_BYTES)
    others = _others_running(host)
    if pace is BRIEF and others >= usable:
        raise _UnreadError("other programs keep the processors busy", _AGAIN)
    try:
        traces = _run(list(cores)[:count] or [None] * count, wanted // count, pace)
    except (OSError, MemoryError, RuntimeError, ValueError, AttributeError) as error:
        raise _UnreadError(f"the measurement failed: {reason_of(error)}") from None
    filled = sum(trace.buffer_bytes for trace in traces)
    if filled < beyond // 2:
        reason = f"{units.binary(filled)} could be filled, which the caches may hold"
        raise _UnreadError(reason, "close other programs, or run with --measure")
    figure = median_rate(traces)
    if figure is None or not 0 < figure < MAX_MEMORY_BYTES:
        raise _UnreadError("the threads did not run at the same time", _AGAIN)
    threads = "1 thread" if count == 1 else f"{count} threads"
    source = f"{pace.name}: {threads} reading {units.binary(filled)}"
    if max(others, _others_running(host)) or any(t.cpu_share < _LEAST_CPU_SHARE for t in traces):
        source += f"; {BUSY}, {AT_LEAST}"
    return int(figure), source


def _others_running(host: Host) -> int:
    """Programs that run beside this one now; 0 where the system does not say."""
    try:
        with open("/proc/loadavg", encoding="ascii") as stream:
            word = stream.read(64).split()[3].partition("/")[0]
    except (OSError, ValueError, IndexError):
        return 0
    return max(0, (whole(word) or 1) - 1)


def cache_bytes(host: Host) -> int | None:
    """The last-level caches of the CPUs this process may use, added up; None where the system
    does not say.
    """
    if host.system == "macos":
        names = ("hw.l3cachesize", "hw.perflevel0.l2cachesize", "hw.l2cachesize")
        return next(filter(None, (whole(host.sysctl(name) or "") for name in names)), None)
    sizes: dict[str, int] = {}
    for cpu in host.affinity() or ():
        folder = f"/sys/devices/system/cpu/cpu{cpu}/cache"
        for index in (3, 2):
            size = (host.read_text(f"{folder}/index{index}/size") or "").strip()
            shared = (host.read_text(f"{folder}/index{index}/shared_cpu_list") or str(cpu)).strip()
            number = whole(size[:-1], 9)
            if number and size[-1] in "KM":
                sizes[shared] = number * (units.KIB if size[-1] == "K" else units.MIB)
                break
    return sum(sizes.values()) or None


def median_rate(traces: Sequence[Trace]) -> float | None:
    """Bytes per second of all threads together, at the median of the moments in which none of them
    was held up; None where there is none.
    """
    from itertools import pairwise

    if any(len(trace.done) < 3 for trace in traces):
        return None
    start = max(trace.done[0] for trace in traces)
    end = min(trace.done[-1] for trace in traces)
    count = int((end - start) / _MOMENT_SECONDS)
    edges = [start + _MOMENT_SECONDS * number for number in range(count + 1)]
    # of each thread, what it read in each moment, and whether that is about what it reads usually
    sums, are_whole = [0.0] * count, [True] * count
    for trace in traces:
        done = trace.done
        usual = trace.chunk_bytes / _median([b - a for a, b in pairwise(done)]) * _MOMENT_SECONDS
        amounts = [b - a for a, b in pairwise([_read_by(trace, edge) for edge in edges])]
        for number, amount in enumerate(amounts):
            sums[number] += amount
            are_whole[number] = are_whole[number] and amount > usual / 2
    rates = [amount for amount, is_whole in zip(sums, are_whole, strict=True) if is_whole]
    return _median(rates) / _MOMENT_SECONDS if rates else None


def _median(numbers: Sequence[float]) -> float:
    return sorted(numbers)[len(numbers) // 2]


def _read_by(trace: Trace, moment: float) -> float:
    """Bytes that a thread had read by then; of the chunk at hand its part."""
    from bisect import bisect_right

    done = trace.done
    at = min(bisect_right(done, moment), len(done) - 1)
    part = (moment - done[at - 1]) / (done[at] - done[at - 1])
    return (at - 1 + part) * trace.chunk_bytes


def _run(cpus: Sequence[int | None], part_bytes: int, pace: Pace) -> list[Trace]:
    """One trace of each thread, which is pinned to its CPU where that is known. Raises what the
    first thread raised.
    """
    import threading

    gate = threading.Barrier(len(cpus), timeout=10)
    traces: list[Trace] = []
    failures: list[BaseException] = []

    def work(cpu: int | None) -> None:
        try:
            if cpu is not None and sys.platform == "linux":
                # of the calling thread alone
                os.sched_setaffinity(0, {cpu})
            traces.append(_read(part_bytes, pace, gate.wait))
        except BaseException as error:
            failures.append(error)
            gate.abort()

    threads = [threading.Thread(target=work, args=(cpu,), daemon=True) for cpu in cpus]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    if failures or len(traces) < len(cpus):
        raise next(
            (e for e in failures if isinstance(e, Exception)), RuntimeError("no thread ended")
        )
    return traces


def _read(part_bytes: int, pace: Pace, wait: Callable[[], object]) -> Trace:
    """Fills memory until the time is up, waits for the others, and reads it over and over."""
    import ctypes
    from time import perf_counter, thread_time

    with mmap.mmap(-1, max(part_bytes, 2 * _CHUNK_BYTES)) as area:
        if hasattr(mmap, "MADV_HUGEPAGE"):
            area.madvise(mmap.MADV_HUGEPAGE)
        view = (ctypes.c_char * len(area)).from_buffer(area)
        try:
            address, filled, until = ctypes.addressof(view), 0, perf_counter() + pace.fill_seconds
            while filled + _CHUNK_BYTES <= len(area) and (filled == 0 or perf_counter() < until):
                ctypes.memset(address + filled, 1, _CHUNK_BYTES)
                filled += _CHUNK_BYTES
            step, step_bytes = _step(address, filled)
            wait()
            used, done = thread_time(), [perf_counter()]
            while done[-1] < done[0] + pace.read_seconds:
                step(len(done))
                done.append(perf_counter())
            share = (thread_time() - used) / (done[-1] - done[0])
        finally:
            # the area cannot be closed while something points into it
            del view
    return Trace(
        done=tuple(done), chunk_bytes=step_bytes, cpu_share=min(1.0, share), buffer_bytes=filled
    )


def _step(address: int, size: int) -> tuple[Callable[[int], object], int]:
    """What moves over the next chunk, and the bytes it moves: a search, or where the C library has
    none a copy.
    """
    import ctypes

    chunks = size // _CHUNK_BYTES
    try:
        # the C library; on Windows its old name, which every version has
        memchr = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None).memchr
    except (OSError, AttributeError, TypeError):
        half = _CHUNK_BYTES // 2
        return lambda n: ctypes.memmove(
            address + n % chunks * _CHUNK_BYTES, address + n % chunks * _CHUNK_BYTES + half, half
        ), _CHUNK_BYTES
    memchr.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)
    memchr.restype = ctypes.c_void_p
    return lambda n: memchr(address + n % chunks * _CHUNK_BYTES, 2, _CHUNK_BYTES), _CHUNK_BYTES
