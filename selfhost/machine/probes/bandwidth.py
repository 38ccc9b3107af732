"""Memory bandwidth, measured: how fast the usable cores together read memory that no cache holds.
Only `--measure` asks for it.

Each thread runs over its own part of a buffer with the C library's memchr, a vectorised read that
lets other threads run. The figure is that of the chunks that all threads read at once (`traces`).
With glibc it is that of a C probe within 20 % on AMD's Zen 4 and 5 (1.0 to 1.2 times a sum over the
same memory, gcc -O3), and 0.7 of it on Granite Rapids. There llama.cpp got what memchr tells, so a
reader that keeps more loads in flight, as memcmp does, would tell too much.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from ...core import units
from ...core.records import Record, Unread
from ..record import AT_LEAST, BUSY, MAX_MEMORY_BYTES, Machine
from .activity import disturbances, read_activity
from .host import Host
from .pages import Filler, private_memory
from .plan import (
    FACT,
    LEAST_CPU_SHARE,
    Plan,
    cache_bytes,
    doubts_of,
    plan_for,
    unread,
)
from .traces import Trace, best_of_one, rate

TYPE_CHECKING = False

if TYPE_CHECKING:
    import threading
    from typing import Any

CHUNK_BYTES = units.MIB
# what every core's own caches hold
NEAR_BYTES = 512 * units.KIB
ALONE_SECONDS, READ_SECONDS, COPY_SECONDS, NEAR_SECONDS = 0.08, 0.18, 0.1, 0.01
# two threads fill 2 GiB in 0.12 s; a virtual machine took 3 s to which its host had to give the
# memory first, and has it the next time. For what the figure needs it waits longer (assumed)
FILL_SECONDS, LONGEST_FILL_SECONDS, DEADLINE_SECONDS = 0.3, 1.5, 10.0
# between two undisturbed attempts; neighbours of a virtual machine made it 36 and 65 GB/s within
# seconds (measured, Zen 4, 2 vCPUs). The pace allows for 0.75 to 1.3 times a figure, so the middle
# of two that are farther apart than that stands for neither
MOST_CHANGE, CHANGE_TOLD = 1.2, 1.7
# memchr without vector instructions (musl) is slower than memory: a copy then moves more, and what
# lies in the core's own caches is searched no faster
COPY_WINS, NEAR_WINS = 1.25, 1.5
AGAIN = "run it again when the machine is idle"


class Measured(Record):
    """Bytes read per second by `threads` together and by one alone. With `confidence` "low" the
    notes say what disturbed it; `is_least`: more may be there.
    """

    bytes_per_second: int
    single_thread_bytes_per_second: int
    threads: int
    buffer_bytes: int
    confidence: str
    notes: tuple[str, ...] = ()
    is_least: bool = False

    @property
    def source(self) -> str:
        """How it is known, as it stands in a machine's `sources`."""
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        text = (
            f"measured: {threads} reading {units.binary(self.buffer_bytes)}, {self.confidence}"
            " confidence"
        )
        least = (f"{BUSY}, {AT_LEAST}",) if self.is_least else ()
        return "; ".join((text, *self.notes, *least))


def with_measured(machine: Machine, host: Host | None = None) -> Machine:
    """`machine`, which must be this computer, with its bandwidth measured; takes about a
    second, most of it to fill memory beyond the caches.

    A figure of a busy machine is the least that it has. One of low confidence for another reason is
    not taken: it stands in the reason why the fact is unread.
    """
    return apply(machine, measure(machine, host))


def apply(machine: Machine, reading: Measured | Unread) -> Machine:
    """`machine` with the result in it: the figure and its source, or why there is none."""
    others = tuple(entry for entry in machine.unread if entry.fact != FACT)
    sources = {fact: source for fact, source in machine.sources.items() if fact != FACT}
    if isinstance(reading, Measured) and (reading.confidence == "high" or reading.is_least):
        figure, sources[FACT] = reading.bytes_per_second, reading.source
        return machine.replace(
            memory_bandwidth_bytes_per_second=figure, sources=sources, unread=others
        )
    if isinstance(reading, Measured):
        rate = f"{units.decimal(reading.bytes_per_second)}/s"
        reading = Unread(
            fact=FACT,
            reason=f"measured {rate} with low confidence, not used: {'; '.join(reading.notes)}",
            remedy=AGAIN,
        )
    unread = tuple(sorted((*others, reading), key=lambda entry: entry.fact))
    return machine.replace(
        memory_bandwidth_bytes_per_second=None,
        measured_in_vain=True,
        sources=sources,
        unread=unread,
    )


def measure(machine: Machine, host: Host | None = None) -> Measured | Unread:
    """The read bandwidth of this computer, which `machine` describes (cores and free memory are
    taken from it).

    Low confidence where other programs may have had a part of the memory meanwhile, the threads
    never ran at once, or the buffer is small next to the cache. Unread where a measurement could
    only mislead: less than one CPU, too little free memory, a recorded tree.
    """
    host = host or Host()
    plan = plan_for(machine, host)
    if isinstance(plan, Unread):
        return plan
    before = read_activity(host)
    try:
        alone, reads, copy, near, filled_bytes = _run(plan)
    except (OSError, MemoryError, RuntimeError, ValueError, AttributeError) as error:
        return unread(
            "the measurement failed:"
            f" {getattr(error, 'strerror', None) or error or type(error).__name__}"
        )
    plan = plan.replace(busy=disturbances(before, read_activity(host)))
    if filled_bytes < plan.buffer_bytes:
        doubts = doubts_of(filled_bytes, cache_bytes(host), plan.buffer_bytes)
        plan = plan.replace(buffer_bytes=filled_bytes, doubts=doubts)
    return judged(plan, alone, reads, copy, near)


def judged(
    plan: Plan,
    alone: Trace,
    reads: Sequence[Sequence[Trace]],
    copy: Sequence[Trace],
    near: Trace | None = None,
) -> Measured | Unread:
    """The figure that the traces support. `reads` are attempts of all threads; the one
    disturbed least counts. `near`: one thread on what its core's caches hold.
    """
    single = rate([alone])
    attempts = [
        (_disturbances(plan, attempt, together, single), together)
        for attempt in reads
        if (together := rate(attempt)) is not None
    ]
    if single is None or not attempts:
        return _of_one(plan, single, reads)
    busy, figure = min(attempts, key=lambda attempt: (len(attempt[0]), -attempt[1]))
    undisturbed = [together for disturbances, together in attempts if not disturbances]
    doubts, is_least = (*plan.doubts, *busy), bool(busy)
    if undisturbed and max(undisturbed) > MOST_CHANGE * min(undisturbed):
        figure, is_least = _changing(undisturbed)
        doubts = (*doubts, _change_words(undisturbed))
    notes = (*doubts, *plan.notes)
    moved = rate(copy)
    if moved is not None and moved > COPY_WINS * figure and _searches_slowly(near, single):
        single, figure, notes = (
            single * moved / figure,
            moved,
            (*notes, "by copying: searching is slow here"),
        )
    if not 0 < figure < MAX_MEMORY_BYTES:
        return unread("the clock of this system is too coarse")
    return Measured(
        bytes_per_second=int(figure),
        single_thread_bytes_per_second=int(single),
        threads=plan.threads,
        buffer_bytes=plan.buffer_bytes,
        confidence="low" if plan.doubts or is_least else "high",
        notes=notes,
        is_least=is_least and not plan.doubts,
    )


def _changing(figures: Sequence[float]) -> tuple[float, bool]:
    """What stands for figures that differ, and whether more may be there: their middle, or the
    least of them where they are too far apart.
    """
    low, high = min(figures), max(figures)
    return ((low * high) ** 0.5, False) if high <= CHANGE_TOLD * low else (low, True)


def _change_words(figures: Sequence[float]) -> str:
    low, high = (units.decimal(int(value)) for value in (min(figures), max(figures)))
    return f"it changes, {low}/s and {high}/s within a second: others may share this memory"


def _searches_slowly(near: Trace | None, single: float) -> bool:
    """The search, not the memory, decided what it took."""
    in_caches = None if near is None else rate([near])
    return in_caches is None or in_caches < NEAR_WINS * single


def _of_one(
    plan: Plan, single: float | None, reads: Sequence[Sequence[Trace]]
) -> Measured | Unread:
    """Of threads that never ran at once: what one of them read, and all have."""
    best = max((best_of_one(attempt) or 0 for attempt in reads), default=0)
    figure = max(best, single or 0)
    if not 0 < figure < MAX_MEMORY_BYTES:
        return unread(
            "the threads did not run at the same time, so the result cannot be used", AGAIN
        )
    return Measured(
        bytes_per_second=int(figure),
        single_thread_bytes_per_second=int(figure),
        threads=1,
        buffer_bytes=plan.buffer_bytes,
        confidence="low",
        notes=(*plan.doubts, *plan.busy, "the threads never ran at the same time", *plan.notes),
        is_least=not plan.doubts,
    )


def _disturbances(
    plan: Plan, attempt: Sequence[Trace], together: float, single: float | None
) -> tuple[str, ...]:
    """What speaks against the rate of one attempt: others that may have had a part of the memory
    while all threads ran. `single` is the rate of one thread alone.
    """
    # threads on every CPU are no proof: caches and memory are still full of the others' work
    doubts = [*plan.busy]
    share = min(trace.cpu_share for trace in attempt)
    if share < LEAST_CPU_SHARE:
        doubts.append(f"a thread had only {units.percent(share)} of a processor to itself")
    if single is not None and together < 0.9 * single:
        doubts.append(f"{len(attempt)} threads together read less than one alone")
    return tuple(doubts)


# ------------------------------------------------------------------ the threads


def _run(plan: Plan) -> tuple[Trace, list[list[Trace]], list[Trace], Trace, int]:
    """One thread alone, two attempts of all together with a copy between them, the one thread on
    what its core's caches hold, and how many bytes could be filled in time.
    """
    search, copy = _tools()

    def near(address: int, size: int, step: int) -> int:
        return (search or copy)(address, min(size, NEAR_BYTES), 0)

    phases = (
        (near, NEAR_SECONDS, True),
        (search or copy, ALONE_SECONDS, True),
        (search or copy, READ_SECONDS, False),
        (copy, COPY_SECONDS, False),
        (search or copy, READ_SECONDS, False),
    )
    filled_bytes, traces_of = _traces(plan, phases)
    if any(len(traces) < len(phases) - 2 for traces in traces_of):
        raise RuntimeError("a thread did not finish")
    first, copies, second = zip(*(traces[-3:] for traces in traces_of), strict=True)
    near_trace, alone = traces_of[0][:2]
    return alone, [list(first), list(second)], list(copies), near_trace, filled_bytes


def _traces(
    plan: Plan, phases: Sequence[tuple[_Pass, float, bool]]
) -> tuple[int, list[list[Trace]]]:
    """The bytes that all threads together filled, and each one's traces of all phases. Raises
    what the first thread raised.
    """
    import threading

    gate = threading.Barrier(plan.threads, timeout=DEADLINE_SECONDS)
    traces_of: list[list[Trace]] = [[] for _ in range(plan.threads)]
    filled_bytes = [0] * plan.threads
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            if plan.cpus:
                # of the calling thread alone
                os.sched_setaffinity(0, {plan.cpus[number]})
            filled_bytes[number], traces_of[number] = _thread(number, plan, gate, phases)
        except BaseException as error:
            failed.append(error)
            gate.abort()

    threads = [
        threading.Thread(target=work, args=(number,), daemon=True) for number in range(plan.threads)
    ]
    _run_together(threads, gate)
    if failed and isinstance(failed[0], Exception):
        # the first one broke the gate for the others
        raise failed[0]
    if failed:
        raise RuntimeError("a thread did not finish")
    return sum(filled_bytes), traces_of


def _run_together(threads: Sequence[threading.Thread], gate: threading.Barrier) -> None:
    """Start all and wait for those that did start; a thread that cannot start ends the others."""
    try:
        for thread in threads:
            thread.start()
    except BaseException:
        gate.abort()
        raise
    finally:
        for thread in threads:
            if thread.ident is not None:
                thread.join(2 * DEADLINE_SECONDS)


_Pass = Callable[[int, int, int], int]


def _thread(
    number: int, plan: Plan, gate: Any, phases: Sequence[tuple[_Pass, float, bool]]
) -> tuple[int, list[Trace]]:
    """How much of its part of the buffer could be filled in time, and what was read of it."""
    import ctypes
    from time import perf_counter, thread_time

    traces = []
    size = plan.buffer_bytes // plan.threads
    with private_memory(size) as area:
        view = (ctypes.c_char * size).from_buffer(area)
        try:
            address = ctypes.addressof(view)
            size = _filled(address, size, plan.enough_bytes // plan.threads)
            if size < 2 * CHUNK_BYTES:
                raise RuntimeError("too little memory could be filled in time")
            for step, seconds, alone in phases:
                gate.wait()
                if alone and number:
                    continue
                offset, chunk, done = 0, 0, []
                began = now = perf_counter()
                used = thread_time()
                while now < began + seconds:
                    chunk = step(address, size, offset)
                    offset += 1
                    now = perf_counter()
                    done.append(now)
                share = (thread_time() - used) / (now - began)
                traces.append(
                    Trace(
                        began=began,
                        done=tuple(done),
                        chunk_bytes=chunk,
                        cpu_share=min(1.0, share),
                        memory_bytes=size,
                    )
                )
        finally:
            # the area cannot be closed while something points into it
            del view
    return size, traces


def _filled(address: int, size: int, enough: int) -> int:
    """How much of `size` bytes memory stands behind; for `enough` of them it waits longer."""
    from time import perf_counter

    filler, began = Filler(), perf_counter()
    filled = filler.fill(address, size, began + FILL_SECONDS, perf_counter)
    if filled < enough:
        left = enough - filled
        filled += filler.fill(address + filled, left, began + LONGEST_FILL_SECONDS, perf_counter)
    return filled


def _tools() -> tuple[_Pass | None, _Pass]:
    """Two ways over a buffer, each (address, size, number of the step) -> bytes moved: a
    search, None without memchr, and a copy.
    """
    import ctypes

    def copy(address: int, size: int, step: int) -> int:
        half = size // 2
        chunk = min(CHUNK_BYTES, half)
        at = step % max(1, half // chunk) * chunk
        ctypes.memmove(address + at, address + half + at, chunk)
        # read once, written once
        return 2 * chunk

    try:
        # the C library; on Windows its old name, which every version has
        library = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None)
        memchr = library.memchr
    except (OSError, AttributeError, TypeError):
        return None, copy
    memchr.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)
    memchr.restype = ctypes.c_void_p

    def search(address: int, size: int, step: int) -> int:
        chunk = min(CHUNK_BYTES, size)
        at = step % max(1, size // chunk) * chunk
        if memchr(address + at, 2, chunk) is not None:
            raise ValueError("the C library found a byte that is not there")
        return chunk

    return search, copy
