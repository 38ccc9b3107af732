"""The threads of a glance: some fill its memory, which the caller may leave them to; then one on
each processor reads its part of it.

Filling begins before anything is loaded that judges what was read.
"""

from __future__ import annotations

import os
from _thread import allocate_lock, start_new_thread
from time import perf_counter, sleep, thread_time

from ...core import units
from ...core.records import Unread
from ...core.saying import MEASURE
from ..record import LATE
from .host import Host
from .pages import (
    ADDRESS,
    HUGE_BYTES,
    NUMBER,
    SIZE,
    Filler,
    function_of,
    grow_heap_in_large_steps,
    private_memory,
    view_of,
)
from .plan import FACT, SHARE_OF_AVAILABLE, Plan, last_caches, plan_for

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..record import Machine
    from .traces import Trace

    Look = Callable[[], tuple[float, float | None]]
    Passes = tuple[Trace, Trace | None]

FAILURES = (OSError, MemoryError, RuntimeError, ValueError, AttributeError, ImportError)
# what each thread reads: where not every cache is known, or more than the caches ask for; where
# they are known, at least (a core's own caches hold a few MiB); and at most
UNTOLD_PER_THREAD, LEAST_PER_THREAD = 64 * units.MIB, 16 * units.MIB
MOST_PER_THREAD = 256 * units.MIB
# what is filled, as a multiple of the caches: read in the order in which it was filled it has left
# them by then
CACHES_LEFT = 2
# chips with three levels tell the last; behind two, those of phones and Macs have one more
_TOLD_WHOLE_LEVEL = 3
# what has to be filled of a part: a core's own caches hold a few MiB
LEAST_FILLED = 8 * units.MIB
# what is waited for of each part, and in small pages where the caches are told and the caller went
# on meanwhile, which takes what was filled out of them; more is filled for as long as the caller is
# busy. Of 8 to 21 MiB for each of two processors beside a last cache of 32 MiB, filled 10 to 20 ms
# before, the first reading came from memory in 36 of 36 glances, but of 8 to 10 MiB it spread twice
# as wide (EPYC, a virtual machine)
ENOUGH_BYTES, ENOUGH_SMALL_BYTES = 64 * units.MIB, 12 * units.MIB
# what is filled between two looks at the clock, each of which waits for the caller's Python to
# pause: 8 MiB in 0.8 ms. Where a host gives a guest its memory at the first touch 8 MiB take 17 ms,
# so that the first chunk is small, and the next as much as takes this long by the last one
LEAST_CHUNK_BYTES, MOST_CHUNK_BYTES, CHUNK_SECONDS = 2 * units.MIB, 8 * units.MIB, 0.0012
# of its processor, what a byte takes at least in huge pages that a host gives a guest at the first
# touch: 2 ms a MiB, against 0.1 else
SLOW_SECONDS_PER_BYTE = 0.001 / units.MIB
# what is filled at once in small pages, which the host has left to the guest: 0.3 to 0.6 ms a MiB
SMALL_CHUNK_BYTES = 2 * units.MIB
# Linux 5.14 and newer, mm/page_reporting.c: the order of the blocks of free pages that a guest
# tells its host of; larger than any block where no device asks for them
_REPORTING, _LARGEST_ORDER = "/sys/module/page_reporting/parameters/page_reporting_order", 10
# of its processor, what a thread fills for; from the beginning, how long it is waited for; and how
# long for the chunk that it is at then
FILL_SECONDS, PATIENCE_SECONDS = 0.021, 0.002
# of 3 and 4 ms the medians and spreads were the same, of 40 glances each (measured, Emerald
# Rapids), as were those of 4, 5 and 7 ms (Granite Rapids). On a busy machine the longer ones come
# to memory that they have read before: of 60 each in turn, 8, 38 and 50 of 4, 5 and 7 ms could not
# be told from the caches
READ_SECONDS = 0.003
# who reads so slowly goes on until this much is read
LEAST_CHUNKS = 8
# from when the threads begin to read: when one that was interrupted stops, and when nobody waits
# for it any longer
LAST_SECONDS, DEADLINE_SECONDS = 0.009, 0.015
# what is read between two looks at the clock
_READ_BYTES = units.MIB
# what is read again, beyond a core's own caches, and how often
_AGAIN_BYTES, _AGAIN_TIMES = 8 * units.MIB, 3


class Filling:
    """What a glance at `machine` reads, being filled: `parts` is None where `plan` says why not.
    `caches_bytes`: the last ones that the system tells of, added up; 0 where it tells none.
    `caches_are_told`: none lies behind them. It is dropped once, at the latest when nobody holds
    it, as after an error.
    """

    def __init__(
        self,
        machine: Machine,
        host: Host,
        plan: Plan | Unread,
        parts: Parts | None = None,
        caches_bytes: int = 0,
        *,
        caches_are_told: bool = True,
    ) -> None:
        self.machine, self.host, self.plan = machine, host, plan
        self.parts, self.caches_bytes = parts, caches_bytes
        self.caches_are_told = caches_are_told

    def drop(self) -> None:
        """The threads end, and the memory is given back."""
        if self.parts is not None:
            self.parts.drop()

    def __del__(self) -> None:
        self.drop()


def filling_of(machine: Machine, host: Host | None = None, *, beside: bool = True) -> Filling:
    """The memory of a glance, which is filled from now on. `beside`: the caller goes on meanwhile,
    so one processor is left to it.
    """
    host = host or Host()
    plan = plan_for(machine, host)
    if isinstance(plan, Unread):
        return Filling(machine, host, plan)
    level, caches_bytes = last_caches(host) or (0, 0)
    sharing = 1 if machine.scope == "vm" else plan.threads
    wanted = bytes_per_thread(level, caches_bytes, sharing)
    each = min(wanted, (machine.memory_available_bytes or 0) // SHARE_OF_AVAILABLE // plan.threads)
    each -= each % HUGE_BYTES
    caches_are_told = level >= _TOLD_WHOLE_LEVEL
    if each < LEAST_FILLED:
        return Filling(machine, host, unread("too little memory is free"))
    try:
        parts = parts_for(
            plan,
            each,
            beside=beside,
            in_small_pages=gives_free_memory_back(host),
            caches_are_told=caches_are_told,
        )
    except FAILURES as error:
        return Filling(machine, host, failed(error))
    return Filling(machine, host, plan, parts, caches_bytes, caches_are_told=caches_are_told)


def bytes_per_thread(level: int, caches_bytes: int, threads: int) -> int:
    """What each of `threads` reads beyond the last caches that are told of, which are of that
    level and which these threads share: whole huge pages. An emulator tells of one cache where each
    processor of a guest may have its own: two read 32 MiB each at twice the pace of their memory,
    with 32 MiB told (EPYC).
    """
    least = LEAST_PER_THREAD if level >= _TOLD_WHOLE_LEVEL else UNTOLD_PER_THREAD
    # rounded up: together they are that multiple at least
    share = -(-CACHES_LEFT * caches_bytes // threads // HUGE_BYTES) * HUGE_BYTES
    return max(least, min(MOST_PER_THREAD, share))


def failed(error: BaseException) -> Unread:
    return unread(f"the glance failed: {error or type(error).__name__}")


def unread(reason: str) -> Unread:
    return Unread(fact=FACT, reason=reason, remedy=f"run with {MEASURE}")


def gives_free_memory_back(host: Host) -> bool:
    """Whether this is a guest that tells its host of free huge pages, which the host then takes
    away: each is slow to come again.
    """
    order = host.read_text(_REPORTING) if host.system == "linux" else None
    return order is not None and order.strip().isdecimal() and int(order) <= _LARGEST_ORDER


def parts_for(
    plan: Plan,
    each: int,
    *,
    beside: bool,
    in_small_pages: bool = False,
    caches_are_told: bool = True,
) -> Parts:
    """A part of `each` bytes for every thread of the plan, being filled. `beside`: one processor is
    left to the caller. `OSError`, `RuntimeError` or `AttributeError` where the system lacks what
    this takes.
    """
    enough_small_bytes = ENOUGH_SMALL_BYTES if beside and caches_are_told else ENOUGH_BYTES
    parts = Parts(plan, each, enough_small_bytes, in_small_pages=in_small_pages)
    try:
        parts.fill(beside=beside)
    except BaseException:
        parts.drop()
        raise
    return parts


class _Part:
    """The memory of one reader, given back when the last thread that uses it is done."""

    def __init__(self, size: int, cpu: int | None, filler: Filler) -> None:
        self.size, self.cpu, self.filled = size, cpu, 0
        self._area, self._filler = private_memory(size), filler
        self._view, self.address = view_of(self._area, size)
        self._users, self._lock = 1, allocate_lock()

    def use(self) -> None:
        with self._lock:
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            is_last = not self._users
        if is_last:
            self._filler.give_back(self.address, self.size)
            # the area cannot be closed while something points into it
            del self._view
            self._area.close()


def shared_out(parts: Sequence[_Part], own_cpu: int | None, *, beside: bool) -> list[list[_Part]]:
    """Each part once, by the thread that fills it. `own_cpu`: the processor that is left to the
    caller, None where it is not known; then one thread fewer fills if the caller goes on `beside`.
    """
    with_threads = [part for part in parts if part.cpu is None or part.cpu != own_cpu]
    if beside and own_cpu is None and len(with_threads) > 1:
        del with_threads[0]
    with_threads = with_threads or list(parts[:1])
    shares = [[part] for part in with_threads]
    left = [part for part in parts if part not in with_threads]
    for number, part in enumerate(left):
        shares[number % len(shares)].append(part)
    return shares


class Parts:
    """The memory of all readers. It must be dropped, whatever became of it."""

    def __init__(
        self, plan: Plan, each: int, enough_small_bytes: int, *, in_small_pages: bool
    ) -> None:
        # huge ones are slow to come
        self._in_small_pages = in_small_pages
        # what is waited for of each part in small pages
        self.enough_small_bytes = enough_small_bytes
        # why a thread told nothing, "" where each did
        self.failure = ""
        # what a thread saw of other programs, when it began to read and when it was done
        self.seen_beside: list[tuple[float, float | None]] = []
        # threads that fill now
        self.filling = 0
        self._filler = Filler()
        self._search = function_of("memchr", ADDRESS, NUMBER, SIZE, gives=ADDRESS)
        self._began = perf_counter()
        self._last = float("inf")
        self._dropped = self._is_awaited = False
        self._enough = each
        self._parts = [
            _Part(each, plan.cpus[number] if plan.cpus else None, self._filler)
            for number in range(plan.threads)
        ]

    def drop(self) -> None:
        """The threads end as soon as they can, and give the memory back."""
        if not self._dropped:
            self._dropped = True
            for part in self._parts:
                part.leave()

    # filling

    def fill(self, *, beside: bool) -> None:
        """Begin to fill, each part from the processor that will read it where that is free."""
        if beside:
            grow_heap_in_large_steps()
        ask = self._filler.ask_for_huge_pages
        if self._in_small_pages:
            ask = self._filler.ask_for_small_pages
        for part in self._parts:
            ask(part.address, part.size)
        shares = shared_out(self._parts, self._own_cpu() if beside else None, beside=beside)
        self.filling = len(shares)
        self._mutex, self._filled = allocate_lock(), allocate_lock()
        self._filled.acquire()
        for share in shares:
            for part in share:
                part.use()
            try:
                start_new_thread(self._fill, (share,))
            except RuntimeError as error:
                self._fail(error)
                self._done(share)

    def _own_cpu(self) -> int | None:
        if self._parts[0].cpu is None:
            return None
        try:
            return int(function_of("sched_getcpu")())
        except FAILURES:
            return None

    def _fill(self, share: Sequence[_Part]) -> None:
        try:
            if share[0].cpu is not None:
                # of the calling thread alone
                os.sched_setaffinity(0, {share[0].cpu})
            chunk_bytes, pace = LEAST_CHUNK_BYTES, 0.0
            is_small = self._in_small_pages
            while True:
                for part in share:
                    if self._in_small_pages and not is_small:
                        # the pace was that of huge ones
                        is_small, pace = True, 0.0
                        self._ask_for_small_pages(share)
                    if is_small:
                        chunk_bytes = SMALL_CHUNK_BYTES
                    count = min(chunk_bytes, part.size - part.filled)
                    if self._is_filled(share, count * pace):
                        return
                    if not count:
                        # this one was filled in larger chunks than another
                        continue
                    began, used = perf_counter(), thread_time()
                    fill = self._filler.populate if is_small else self._filler.write
                    fill(part.address + part.filled, count)
                    pace, used = (perf_counter() - began) / count, thread_time() - used
                    part.filled += count
                    if used > SLOW_SECONDS_PER_BYTE * count:
                        # every thread does with its next chunk
                        self._in_small_pages = True
                chunk_bytes = next_chunk_bytes(pace)
        except BaseException as error:
            self._fail(error)
        finally:
            self._done(share)

    def _ask_for_small_pages(self, share: Sequence[_Part]) -> None:
        for part in share:
            self._filler.ask_for_small_pages(part.address + part.filled, part.size - part.filled)

    def _is_filled(self, share: Sequence[_Part], chunk_seconds: float) -> bool:
        """Nothing more is to be filled: nobody waits any longer, not for as long as the next chunk
        takes, or it is as much as is waited for. On a busy machine, where the caller takes longer
        too, a thread fills on meanwhile.
        """
        is_late = perf_counter() + max(0.0, chunk_seconds - PATIENCE_SECONDS) > self._last
        over = is_late or thread_time() > FILL_SECONDS
        enough = self._enough
        if self._is_awaited:
            is_small = self._in_small_pages
            enough = min(enough, self.enough_small_bytes if is_small else ENOUGH_BYTES)
        return self._dropped or over or all(part.filled >= enough for part in share)

    def _done(self, share: Sequence[_Part]) -> None:
        with self._mutex:
            self.filling -= 1
            if not self.filling:
                self._filled.release()
        for part in share:
            part.leave()

    def wait(self) -> None:
        """Until enough is filled, or filling took too long."""
        self._is_awaited = True
        self._last = self._began + FILL_SECONDS
        # what is being written when the time is over is done soon, unless memory is scarce
        patience = max(self._last - perf_counter(), 0.0) + PATIENCE_SECONDS
        self._filled.acquire(timeout=patience)

    # reading

    def read(self, look: Look) -> list[Passes]:
        """What each thread read of its part, and read again of the last of it; None where it came
        to that too late. `failure` says why that of a thread is
        missing; `RuntimeError` where all are. One of them takes a `look` before and after: to start
        threads and to wait for them is waiting, too, and disturbs nobody. To be called once: the
        thread that is the last to read gives all memory back, while the caller goes on.
        """
        readable = [part for part in self._parts if part.filled >= LEAST_FILLED]
        if len(readable) < len(self._parts):
            self.failure = self.failure or LATE
        run = _Run(len(readable))
        for number in range(len(readable)):
            for part in readable:
                part.use()
            try:
                start_new_thread(self._read, (readable, run, number, look))
            except RuntimeError as error:
                for part in readable:
                    part.leave()
                self._fail(error)
                run.give(number, None)
        self.drop()
        passes = run.wait()
        if len(passes) < len(readable):
            self.failure = self.failure or "a thread took too long"
        if not passes:
            raise RuntimeError(self.failure)
        return passes

    def _read(self, readable: Sequence[_Part], run: _Run, number: int, look: Look) -> None:
        part, passes = readable[number], None
        try:
            if part.cpu is not None:
                os.sched_setaffinity(0, {part.cpu})
            whole = part.filled - part.filled % _READ_BYTES
            # to look takes as long as three chunks, which the others would read alone
            before = run.meet(number, None if number else look)
            first = self._run_over(part.address, whole, run, number)
            if before is not None:
                self.seen_beside = [before, look()]
            passes = first, self._run_again(part.address + whole - _AGAIN_BYTES)
        except BaseException as error:
            self._fail(error)
        finally:
            run.give(number, passes)
            for part in readable:
                part.leave()

    def _run_over(self, address: int, size: int, run: _Run, number: int) -> Trace:
        """Read for `READ_SECONDS`, and not beyond the end, for a cache may answer what is read
        again; a thread that was interrupted, or is slow, goes on until `LAST_SECONDS` at most.
        """
        offset = 0
        done: list[float] = []
        began = now = perf_counter()
        run.begin(number, began, done, size)
        used = thread_time()
        until, last = began + READ_SECONDS, run.began + LAST_SECONDS
        while now < until or (
            now < last and (len(done) < LEAST_CHUNKS or thread_time() - used < READ_SECONDS / 2)
        ):
            self._search(address + offset, 2, _READ_BYTES)
            offset += _READ_BYTES
            now = perf_counter()
            done.append(now)
            if offset == size:
                break
        share = min(1.0, (thread_time() - used) / (now - began))
        return _trace(began, done, size, share)

    def _run_again(self, address: int) -> Trace:
        """Read the same few MiB some times; the first is not counted."""
        self._search(address, 2, _AGAIN_BYTES)
        began = perf_counter()
        done: list[float] = []
        for offset in range(0, (_AGAIN_TIMES - 1) * _AGAIN_BYTES, _READ_BYTES):
            self._search(address + offset % _AGAIN_BYTES, 2, _READ_BYTES)
            done.append(perf_counter())
        return _trace(began, done, _AGAIN_BYTES, 1.0)

    def _fail(self, error: BaseException) -> None:
        self.failure = self.failure or f"a thread failed: {error or type(error).__name__}"


class _Run:
    """Readers that begin together, and one who waits for them."""

    def __init__(self, threads: int) -> None:
        self.began = perf_counter()
        self._ready = [False] * threads
        self._passes: list[Passes | None] = [None] * threads
        # when each began to read, when each of its chunks was done so far, and in how many bytes
        self._begun: list[tuple[float, list[float], int] | None] = [None] * threads
        # held until each has its result: looking at the clock meanwhile would interrupt them
        self._running = [allocate_lock() for _ in range(threads)]
        for lock in self._running:
            lock.acquire()

    def meet(self, number: int, look: Look | None) -> tuple[float, float | None] | None:
        """Wait for the other readers, a while: one that reads alone tells a lower bound. Who takes
        a `look`, which is given back, does so when the others are ready.
        """
        others = [each for each in range(len(self._ready)) if each != number]
        if look is None:
            self._ready[number] = True
        while (
            not all(self._ready[each] for each in others)
            and perf_counter() < self.began + READ_SECONDS / 2
        ):
            sleep(0.0001)
        seen = None if look is None else look()
        self._ready[number] = True
        return seen

    def begin(self, number: int, began: float, done: list[float], memory_bytes: int) -> None:
        """A reader begins, and adds to `done` as it goes on."""
        self._begun[number] = began, done, memory_bytes

    def give(self, number: int, passes: Passes | None) -> None:
        """What a reader read; None where it failed."""
        self._passes[number], self._ready[number] = passes, True
        self._running[number].release()

    def wait(self) -> list[Passes]:
        """What those have read that are done in time, and what the others have read so far."""
        for lock in self._running:
            lock.acquire(timeout=max(0.0, self.began + DEADLINE_SECONDS - perf_counter()))
        in_time = [self._so_far(number) for number in range(len(self._passes))]
        return [passes for passes in in_time if passes is not None]

    def _so_far(self, number: int) -> Passes | None:
        passes, begun = self._passes[number], self._begun[number]
        if passes is not None or begun is None or not begun[1]:
            return passes
        began, done, memory_bytes = begun
        # nobody but the thread itself can tell what it had of its processor: it was held up
        return _trace(began, done, memory_bytes, 0.0), None


def next_chunk_bytes(seconds_per_byte: float) -> int:
    """How much to fill next where the last chunk went at that pace: whole huge pages."""
    within = int(CHUNK_SECONDS / seconds_per_byte) if seconds_per_byte else MOST_CHUNK_BYTES
    return max(LEAST_CHUNK_BYTES, min(MOST_CHUNK_BYTES, within - within % HUGE_BYTES))


def _trace(began: float, done: Sequence[float], memory_bytes: int, cpu_share: float) -> Trace:
    # who waits for the threads has loaded it by now
    from .traces import Trace

    return Trace(
        began=began,
        done=tuple(done),
        chunk_bytes=_READ_BYTES,
        cpu_share=cpu_share,
        memory_bytes=memory_bytes,
    )
