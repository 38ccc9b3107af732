"""A glance at the memory bandwidth: what the usable cores read together in a few milliseconds.

Each thread fills its own part of a buffer in huge pages and runs over it once with the C library's
memchr. Filling takes most of the time: the kernel clears each page. After memory was fragmented
that took ten times as long, so it stops at a deadline and reads what is filled.

A virtual machine is told of caches that it has a part of: 480 MiB, of which two cores kept about 90
(measured, Granite Rapids). Where less than the caches is read, each thread reads its last few MiB
again: what comes much slower than those came from memory, and else the figure is an upper bound.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from ...core import units
from ...core.records import Record, Unread
from ..record import AT_LEAST, AT_MOST, Machine
from .activity import disturbances, read_activity
from .bandwidth import FACT, LEAST_CPU_SHARE, SHARE_OF_AVAILABLE, Plan, cache_bytes, plan_for
from .host import Host
from .pages import HUGE_BYTES, Filler
from .traces import Trace, best_of_one, rate

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

BYTES_PER_THREAD, MOST_PER_THREAD = 64 * units.MIB, 256 * units.MIB
READ_SECONDS = 0.007
# from the start: when filling stops, when a thread that was interrupted stops reading, and when the
# main thread waits no longer for the others
FILL_SECONDS, LAST_SECONDS, DEADLINE_SECONDS = 0.018, 0.032, 0.038
# what a thread has to have filled in time: a core's own caches hold a few MiB
_LEAST_FILLED = 8 * units.MIB
# of the caches, what is read at least; in the order in which it was filled it has left them by then
_LEAST_CACHES = 2
# what is read again, beyond a core's own caches, and how often
_AGAIN_BYTES, _AGAIN_TIMES = 8 * units.MIB, 3
# memory gives 0.4 of what the last cache does (Granite Rapids). From half of that on some may have
# come from the cache, so that the slower quarter counts
_SURELY_MEMORY, _MOST_OF_CACHE, _SLOWER = 0.5, 0.75, 0.75
# what is read between two looks at the clock
_READ_BYTES = units.MIB
SOURCE = "glanced at"


class Glance(Record):
    """Bytes read per second by `threads` together. Where the machine was not `quiet` more may be
    there: the figure is a lower bound. Where it `may_be_cached` less may be there.
    """

    bytes_per_second: int
    threads: int
    quiet: bool
    may_be_cached: bool = False

    @property
    def source(self) -> str:
        """How it is known, as it stands in a machine's `sources`."""
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        state = "quiet" if self.quiet else AT_LEAST
        if self.may_be_cached:
            state = AT_MOST
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
    caches = cache_bytes(host) or 0
    wanted = max(BYTES_PER_THREAD, min(MOST_PER_THREAD, _LEAST_CACHES * caches // plan.threads))
    each = min(wanted, (machine.memory_available_bytes or 0) // SHARE_OF_AVAILABLE // plan.threads)
    each -= each % HUGE_BYTES
    if each < _LEAST_FILLED:
        return _unread("too little memory is free")
    before = read_activity(host)
    try:
        passes = _traces(plan.threads, plan.cpus, each)
    except (OSError, MemoryError, RuntimeError, ValueError, AttributeError) as error:
        return _unread(f"the glance failed: {error or type(error).__name__}")
    plan = plan.replace(busy=disturbances(before, read_activity(host)))
    return judged(plan, caches, [first for first, _ in passes], [again for _, again in passes])


def judged(
    plan: Plan, caches: int, reads: Sequence[Trace], again: Sequence[Trace]
) -> Glance | Unread:
    """What the traces tell: `reads` of each thread's own memory, `again` of its last few MiB."""
    together = rate(reads) if len(reads) == plan.threads else None
    # where they never ran at once, all together have no less than one of them
    figure, threads = (best_of_one(reads), 1) if together is None else (together, plan.threads)
    cached = best_of_one(again)
    if figure is None or cached is None:
        return _unread("the threads hardly ran")
    may_be_cached = sum(trace.chunk_bytes * len(trace.done) for trace in reads) < (
        _LEAST_CACHES * caches
    )
    if may_be_cached:
        figure, may_be_cached = _beside_cache(reads, figure, threads, cached)
    quiet = together is not None and _is_alone(plan, reads)
    if may_be_cached and not quiet:
        # less may be there, and more: it is no bound
        return _unread("other programs had a part of the memory")
    return Glance(
        bytes_per_second=int(figure),
        threads=threads,
        quiet=quiet,
        may_be_cached=may_be_cached,
    )


def _beside_cache(
    reads: Sequence[Trace], figure: float, threads: int, cached: float
) -> tuple[float, bool]:
    """The figure beside what `cached` gives one thread, and whether it may be from there."""
    if figure > _SURELY_MEMORY * threads * cached:
        # some of it may have been there still
        slower = rate(reads, _SLOWER) if threads > 1 else best_of_one(reads, _SLOWER)
        figure = slower or figure
    return figure, figure > _MOST_OF_CACHE * threads * cached


def _is_alone(plan: Plan, reads: Sequence[Trace]) -> bool:
    """No other program had a part of the memory meanwhile, as far as the load and the threads
    tell.
    """
    return not plan.busy and min(trace.cpu_share for trace in reads) >= LEAST_CPU_SHARE


def _unread(reason: str) -> Unread:
    return Unread(fact=FACT, reason=reason, remedy="run with --measure")


def _traces(threads: int, cpus: Sequence[int], each: int) -> list[_Passes]:
    """What each thread read of at most `each` bytes of its own, and read again of them."""
    import os
    from _thread import allocate_lock, start_new_thread
    from time import perf_counter

    start = perf_counter()
    tools = _Tools()
    traces: list[_Passes | BaseException | None] = [None] * threads
    ready = [False] * threads
    # held by the threads until each has its result: looking at the clock meanwhile would interrupt
    # them
    running = [allocate_lock() for _ in range(threads)]

    def work(number: int) -> None:
        try:
            if cpus:
                # of the calling thread alone
                os.sched_setaffinity(0, {cpus[number]})
            _read(tools, each, start, ready, result_of, number)
        except BaseException as error:
            ready[number] = True
            if traces[number] is None:
                result_of(number, error)

    def result_of(number: int, passes: _Passes | BaseException) -> None:
        traces[number] = passes
        running[number].release()

    for number in range(threads):
        running[number].acquire()
        start_new_thread(work, (number,))
    for lock in running:
        lock.acquire(timeout=max(0.0, start + DEADLINE_SECONDS - perf_counter()))
    done = [trace for trace in traces if isinstance(trace, tuple)]
    for trace in traces:
        if isinstance(trace, Exception) and not done:
            raise trace
    if not done:
        raise RuntimeError("the threads took too long")
    return done


def _read(
    tools: _Tools,
    size: int,
    start: float,
    ready: list[bool],
    result_of: Callable[[int, _Passes], None],
    number: int,
) -> None:
    """Fill, wait for the others, read; then read the last of it again."""
    import ctypes
    import mmap
    from time import perf_counter, sleep

    with mmap.mmap(-1, size) as area:
        view = (ctypes.c_char * size).from_buffer(area)
        try:
            address = ctypes.addressof(view)
            filled = tools.fill(address, size, start + FILL_SECONDS, perf_counter)
            ready[number] = True
            if filled < _LEAST_FILLED:
                raise RuntimeError("too little could be filled in time")
            while not all(ready):
                if perf_counter() > start + FILL_SECONDS + READ_SECONDS / 2:
                    # it reads alone, which tells a lower bound
                    break
                sleep(0.0001)
            whole = filled - filled % _READ_BYTES
            first = tools.run_over(address, whole, start + LAST_SECONDS)
            last = address + whole - _AGAIN_BYTES
            # giving the memory back takes some milliseconds that nobody has to wait for
            result_of(number, (first, tools.run_again(last, _AGAIN_BYTES)))
        finally:
            # the area cannot be closed while something points into it
            del view


_Passes = tuple[Trace, Trace]


class _Tools:
    """The C library's functions. `OSError` or `AttributeError` where it lacks them."""

    search: Callable[[int, int, int], Any]

    def __init__(self) -> None:
        import ctypes

        library = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None)
        self.search = library.memchr
        library.memchr.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)
        library.memchr.restype = ctypes.c_void_p
        self.fill = Filler().fill

    def run_over(self, address: int, size: int, last: float) -> Trace:
        """Read for `READ_SECONDS`; a thread that was interrupted goes on until `last`."""
        from time import perf_counter, thread_time

        offset = 0
        done: list[float] = []
        began = now = perf_counter()
        used = thread_time()
        until = began + READ_SECONDS
        while now < until or (now < last and thread_time() - used < READ_SECONDS / 2):
            self.search(address + offset, 2, _READ_BYTES)
            offset = (offset + _READ_BYTES) % size
            now = perf_counter()
            done.append(now)
        share = min(1.0, (thread_time() - used) / (now - began))
        return Trace(began=began, done=tuple(done), chunk_bytes=_READ_BYTES, cpu_share=share)

    def run_again(self, address: int, size: int) -> Trace:
        """Read the same few MiB some times; the first is not counted."""
        from time import perf_counter

        done: list[float] = []
        for _ in range(_AGAIN_TIMES):
            began = perf_counter()
            done = []
            for offset in range(0, size, _READ_BYTES):
                self.search(address + offset, 2, _READ_BYTES)
                done.append(perf_counter())
        return Trace(began=began, done=tuple(done), chunk_bytes=_READ_BYTES, cpu_share=1.0)
