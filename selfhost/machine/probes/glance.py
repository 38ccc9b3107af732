"""A glance at the memory bandwidth: what the usable cores read together in a few milliseconds.

Each thread fills its own part of a buffer in huge pages and runs over it once with the C library's
memchr. Filling takes most of the time: the kernel clears each page. After memory was fragmented
that took ten times as long, so it stops at a deadline and reads what is filled.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from ...core import units
from ...core.records import Record, Unread
from ..record import Machine
from .bandwidth import (
    FACT,
    LEAST_CPU_SHARE,
    SHARE_OF_AVAILABLE,
    Trace,
    cache_bytes,
    plan_for,
    rate,
)
from .host import Host

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

BYTES_PER_THREAD = 64 * units.MIB
READ_SECONDS, WINDOW_SECONDS = 0.008, 0.002
# from the start: when filling stops, and when the main thread waits no longer for the others
FILL_SECONDS, DEADLINE_SECONDS = 0.022, 0.04
# what a thread has to have filled in time: a core's own caches hold a few MiB
_LEAST_FILLED = 16 * units.MIB
# of the caches, what is read at least; in the order in which it was filled it has left them by then
_LEAST_CACHES = 2
# a huge page of x86-64 and of 64-bit ARM; what is filled between two looks at the clock
_HUGE_BYTES = 2 * units.MIB
_FILL_BYTES = 4 * units.MIB
# what is read between two looks at the clock
_READ_BYTES = units.MIB
# Linux 5.14, <linux/mman.h>: fill the pages without writing to each
_MADV_HUGEPAGE, _MADV_POPULATE_WRITE = 14, 23
SOURCE = "glanced at"


class Glance(Record):
    """Bytes read per second by `threads` together. Where the machine was not `quiet` more may be
    there: the figure is a lower bound.
    """

    bytes_per_second: int
    threads: int
    quiet: bool

    @property
    def source(self) -> str:
        """How it is known, as it stands in a machine's `sources`."""
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        state = "quiet" if self.quiet else "busy, so a lower bound"
        return f"{SOURCE}: {threads} for {1000 * READ_SECONDS:.0f} ms, {state}"


def with_glance(machine: Machine, host: Host | None = None) -> Machine:
    """`machine`, which must be this computer, with what a glance tells of its bandwidth; as it is
    where a glance tells nothing.
    """
    seen = glance(machine, host)
    if isinstance(seen, Unread):
        return machine
    return machine.replace(
        memory_bandwidth_bytes_per_second=seen.bytes_per_second,
        sources={**machine.sources, FACT: seen.source},
        unread=tuple(entry for entry in machine.unread if entry.fact != FACT),
    )


def glance(machine: Machine, host: Host | None = None) -> Glance | Unread:
    """The read bandwidth of this computer in at most `DEADLINE_SECONDS`; Unread where there is no
    sense in it, or too little could be filled and read in that time.
    """
    host = host or Host()
    plan = plan_for(machine, host)
    if isinstance(plan, Unread):
        return plan
    each = min(
        BYTES_PER_THREAD,
        (machine.memory_available_bytes or 0) // SHARE_OF_AVAILABLE // plan.threads,
    )
    each -= each % _HUGE_BYTES
    caches = cache_bytes(host) or 0
    if not each or each * plan.threads < _LEAST_CACHES * caches:
        return _unread("a glance reads too little to get past the caches")
    try:
        traces = _traces(plan.threads, plan.cpus, each)
    except (OSError, MemoryError, RuntimeError, ValueError, AttributeError) as error:
        return _unread(f"the glance failed: {error or type(error).__name__}")
    if sum(trace.chunk_bytes * len(trace.done) for trace in traces) < _LEAST_CACHES * caches:
        return _unread("too little could be read in time to get past the caches")
    figure = rate(traces, WINDOW_SECONDS)
    if figure is None:
        return _unread("the threads did not run at the same time")
    quiet = not plan.doubts and min(trace.cpu_share for trace in traces) >= LEAST_CPU_SHARE
    return Glance(bytes_per_second=int(figure), threads=plan.threads, quiet=quiet)


def _unread(reason: str) -> Unread:
    return Unread(fact=FACT, reason=reason, remedy="run with --measure")


def _traces(threads: int, cpus: Sequence[int], each: int) -> list[Trace]:
    """What each thread read of at most `each` bytes of its own."""
    import os
    from _thread import start_new_thread
    from time import perf_counter, sleep

    start = perf_counter()
    tools = _Tools()
    traces: list[Trace | BaseException | None] = [None] * threads
    ready = [False] * threads

    def work(number: int) -> None:
        try:
            if cpus:
                # of the calling thread alone
                os.sched_setaffinity(0, {cpus[number]})
            traces[number] = _read(tools, each, start, ready, number)
        except BaseException as error:
            ready[number] = True
            traces[number] = error

    for number in range(threads):
        start_new_thread(work, (number,))
    while any(trace is None for trace in traces):
        if perf_counter() > start + DEADLINE_SECONDS:
            raise RuntimeError("the threads took too long")
        sleep(0.0005)
    for trace in traces:
        if isinstance(trace, Exception):
            raise trace
    return [trace for trace in traces if isinstance(trace, Trace)]


def _read(tools: _Tools, size: int, start: float, ready: list[bool], number: int) -> Trace:
    """Fill, wait for the others, read."""
    import ctypes
    import mmap
    from time import perf_counter, sleep, thread_time

    with mmap.mmap(-1, size) as area:
        view = (ctypes.c_char * size).from_buffer(area)
        try:
            address = ctypes.addressof(view)
            filled = tools.fill(address, size, start + FILL_SECONDS, perf_counter)
            ready[number] = True
            if filled < _LEAST_FILLED:
                raise RuntimeError("too little could be filled in time")
            while not all(ready):
                if perf_counter() > start + DEADLINE_SECONDS:
                    raise RuntimeError("the threads took too long")
                sleep(0.0001)
            offset, done = 0, []
            began = now = perf_counter()
            used = thread_time()
            while now < began + READ_SECONDS:
                tools.search(address + offset, 2, _READ_BYTES)
                offset = (offset + _READ_BYTES) % (filled - filled % _READ_BYTES)
                now = perf_counter()
                done.append(now)
            share = (thread_time() - used) / (now - began)
            return Trace(
                began=began,
                done=tuple(done),
                chunk_bytes=_READ_BYTES,
                cpu_share=min(1.0, share),
            )
        finally:
            # the area cannot be closed while something points into it
            del view


class _Tools:
    """The C library's functions. `OSError` or `AttributeError` where it lacks them."""

    search: Callable[[int, int, int], Any]

    def __init__(self) -> None:
        import ctypes

        library = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None)
        self.search = library.memchr
        library.memchr.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)
        library.memchr.restype = ctypes.c_void_p
        self._advise = library.madvise if sys.platform == "linux" else None
        if self._advise is not None:
            self._advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        self._set = ctypes.memset

    def fill(self, address: int, size: int, deadline: float, clock: Callable[[], float]) -> int:
        """Bytes from `address` on that memory stands behind; it stops at the deadline."""
        if self._advise is not None:
            self._advise(address, size, _MADV_HUGEPAGE)
        filled = 0
        while filled < size and clock() < deadline:
            count = min(_FILL_BYTES, size - filled)
            # memory that was never written is one shared page of zeros
            if self._advise is None or self._advise(address + filled, count, _MADV_POPULATE_WRITE):
                self._set(address + filled, 1, count)
            filled += count
        return filled
