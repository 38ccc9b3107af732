"""A glance at the memory bandwidth: what the usable cores read together in a few milliseconds.

Each thread runs over its own part of a buffer in huge pages, once, with the C library's memchr.
Filling the buffer takes most of the time: the kernel clears each page. So the caller may go on
meanwhile (`begin`), and waits for the reading alone (`Glancing.end`), during which nothing else of
this process runs. After memory was fragmented, filling took ten times as long, and twenty times
where a host takes a guest's free memory back: it goes on in small pages, which are still there,
stops at a deadline, and what is filled is read.

A virtual machine is told of caches that it has a part of: 480 MiB, of which two cores kept about 90
(measured, Granite Rapids). Its emulator may tell it of fewer, too, or of one where each core has
its own. There, and where less is filled than surely leaves the caches, what each thread reads again
of its last few MiB is held against the rest, which it reads once: what comes much slower than those
came from memory. Of what comes unevenly the slowest quarter did, if that is much slower; else the
figure is an upper bound. So the memory was told of 38 of 39 recorded glances (EPYC and Emerald
Rapids, 8 to 64 MiB a thread); where what was read twice counted, of 32.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import sleep

from ...core import units
from ...core.records import Record, Unread
from ..record import AT_LEAST, AT_MOST, BUSY, GLANCED, HELD_UP, IN_PART, OF_CACHE, Machine
from .activity import Activity, disturbances, read_activity, read_waiting
from .glance_threads import (
    CACHES_LEFT,
    FAILURES,
    READ_SECONDS,
    UNTOLD_PER_THREAD,
    Filling,
    failed,
    filling_of,
    unread,
)
from .host import Host
from .plan import FACT, LEAST_CPU_SHARE, Plan
from .traces import Trace, best_rates_of_one, rates

# memory gives 0.4 of what the last cache does (Granite Rapids), 0.3 to 0.54 (Emerald Rapids), or
# 0.25 to 0.6 (EPYC). Where as much was read as leaves the caches, what is below that much of a
# cache came from memory; where less was and comes unevenly, from half on some came from the cache
_MOST_OF_CACHE, _SURELY_MEMORY = 0.75, 0.5
# what comes in part from a cache comes unevenly: its slowest quarter below 0.84 of its fastest
# (17 of 17 glances), and memory at 0.85 to 0.96 (33 of 43; 8 to 64 MiB for each of two virtual
# processors, EPYC, 32 MiB told). 85 of 157 glances on Emerald Rapids came evenly (9 to 50 MiB, 260
# told): 70 at 0.3 to 0.54 of the cache, 15 at 0.86 or more, none between. Where it was uneven the
# memory gave 0.83 to 1.35 times what the slowest quarter came at (33 of another 98 such glances, of
# which it tells 87 instead of 54)
_SLOWER, _FASTER, _EVEN, _EVENLY_FROM_MEMORY = 0.75, 0.25, 0.85, 0.65
# what a tick of the clock or an interrupt takes of a reading that lasts half a millisecond: 0.05 ms
# and less in 20 quiet glances, of which 10 had less than 0.95 of a processor (EPYC)
_MOMENT_SECONDS = 0.0001
# what a thread takes to end: of 40 glances beside callers of 12 ms, which end their threads just
# before they read, 13 were busy without a second look after this time
_GONE_SECONDS = 0.0001


class Glance(Record):
    """Bytes read per second by `threads` together. Where the machine was not `quiet`, or not
    `is_whole`, more may be there: the figure is a lower bound. Where it `may_be_cached` less may be
    there. Where both hold it bounds nothing, but memory gives a share of it at least
    (`known_bytes_per_second`).
    """

    bytes_per_second: int
    threads: int
    # no other program had a part of the memory, as far as is known
    quiet: bool
    # of a guest that was not quiet: no program of its own was seen to run
    is_held_up: bool = False
    # each thread that was to read did, all at once
    is_whole: bool = True
    may_be_cached: bool = False
    # why a thread told nothing, "" where each did
    failure: str = ""

    @property
    def is_least(self) -> bool:
        """Memory may give more."""
        return not (self.quiet and self.is_whole)

    @property
    def known_bytes_per_second(self) -> int:
        """What it tells of the memory: all of it, the least or the most, as `source` says."""
        is_share = self.is_least and self.may_be_cached
        return int(self.bytes_per_second * OF_CACHE[0]) if is_share else self.bytes_per_second

    @property
    def source(self) -> str:
        """How it is known, as it stands in a machine's `sources`."""
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        state, of_what = AT_MOST if self.may_be_cached else "quiet", ""
        if self.is_least:
            why = HELD_UP if self.is_held_up else BUSY
            if self.quiet:
                why = IN_PART
            state = f"{why}, {AT_LEAST}"
        if self.is_least and self.may_be_cached:
            rate = f"{units.decimal(self.bytes_per_second)}/s"
            share = units.percent(OF_CACHE[0])
            of_what = f"{share} of {rate}, which the caches may have answered, "
        failure = f" ({self.failure})" if self.failure else ""
        reading = f"{threads}, {1000 * READ_SECONDS:.0f} ms at most{failure}"
        return f"{GLANCED}: {of_what}{reading}, {state}"


def with_glance(machine: Machine, host: Host | None = None) -> Machine:
    """`machine`, which must be this computer, with what a glance tells of its bandwidth, or why
    it told nothing.
    """
    return begin(machine, host, beside=False).seen()


def glance(machine: Machine, host: Host | None = None) -> Glance | Unread:
    """The read bandwidth of this computer in at most 40 ms; Unread where there is no sense in
    it, or too little could be filled and read in that time.
    """
    return begin(machine, host, beside=False).end()


def begin(machine: Machine, host: Host | None = None, *, beside: bool = True) -> Glancing:
    """A glance whose memory is filled from now on. `beside`: the caller goes on meanwhile, so one
    processor is left to it.
    """
    return Glancing(filling_of(machine, host, beside=beside))


class Glancing:
    """A glance that has begun, to be ended or dropped once."""

    def __init__(self, filling: Filling) -> None:
        self._filling = filling

    def end(self) -> Glance | Unread:
        """What it tells: waits until enough is filled, then until the threads have read."""
        plan, parts, host = self._filling.plan, self._filling.parts, self._filling.host
        if isinstance(plan, Unread) or parts is None:
            assert isinstance(plan, Unread)
            return plan
        try:
            parts.wait()
            still_filling = parts.filling
            before = _activity_before(host)
            if still_filling:
                # who reads waits for who fills, and both are this program: only who else ran counts
                running = max(0, (before.running or 0) - still_filling)
                before = before.replace(waited_seconds=None, running=running)
            passes = parts.read(lambda: read_waiting(host))
        except FAILURES as error:
            return failed(error)
        finally:
            parts.drop()
        after = read_activity(host)
        if parts.seen_beside and before.waited_seconds is not None:
            before, after = (
                activity.replace(at_seconds=at_seconds, waited_seconds=waited_seconds)
                for activity, (at_seconds, waited_seconds) in zip(
                    (before, after), parts.seen_beside, strict=True
                )
            )
        plan = plan.replace(busy=disturbances(before, after))
        reads = [first for first, _ in passes]
        again = [second for _, second in passes if second is not None]
        return judged(
            plan,
            self._filling.caches_bytes,
            reads,
            again,
            parts.failure,
            still_filling=still_filling > 0,
            is_guest=self._filling.machine.scope == "vm",
            is_told=self._filling.caches_are_told,
        )

    def seen(self) -> Machine:
        """The machine with the figure and its source, or with why there is none."""
        bandwidth, machine = self.end(), self._filling.machine
        unread = tuple(entry for entry in machine.unread if entry.fact != FACT)
        if isinstance(bandwidth, Unread):
            return machine.replace(
                unread=tuple(sorted((*unread, bandwidth), key=lambda entry: entry.fact))
            )
        return recorded(machine.replace(unread=unread), bandwidth)

    def drop(self) -> None:
        """Nobody needs it: the threads end, and the memory is given back."""
        self._filling.drop()


def _activity_before(host: Host) -> Activity:
    """What the system tells before anybody reads. Threads that have just filled count as running
    until they are gone; a program that runs does at the second look, too.
    """
    activity = read_activity(host)
    if activity.running:
        sleep(_GONE_SECONDS)
        activity = read_activity(host)
    return activity


def recorded(machine: Machine, seen: Glance) -> Machine:
    """The machine with what a glance tells of its memory, and how it is known."""
    return machine.replace(
        memory_bandwidth_bytes_per_second=seen.known_bytes_per_second,
        sources={**machine.sources, FACT: seen.source},
    )


def _beside_cache(paces: Sequence[float], cache: float, *, in_doubt: bool) -> tuple[float, bool]:
    """The figure of the memory, and whether the cache may have answered: of bytes per second at the
    median, the slower and the faster quarter, and what the cache gives. `in_doubt`: what was read
    may have fitted into it.
    """
    figure, slower, faster = paces
    if not in_doubt:
        return figure, figure > _MOST_OF_CACHE * cache
    if slower >= _EVEN * faster:
        return figure, figure > _EVENLY_FROM_MEMORY * cache
    most = _SURELY_MEMORY * cache
    if figure > most >= slower:
        figure = slower
    return figure, figure > most


def judged(
    plan: Plan,
    caches: int,
    reads: Sequence[Trace],
    again: Sequence[Trace],
    failure: str = "",
    *,
    still_filling: bool = False,
    is_guest: bool = False,
    is_told: bool = True,
) -> Glance | Unread:
    """What the traces tell: `reads` of each thread's own memory, `again` of its last few MiB, of
    the threads that came to it.
    `failure`: why there is none of some thread. `still_filling`: some part took so long to fill
    that its filler held up who read, as no other program did. `is_guest`: `caches`, in bytes, are
    what an emulator tells of them. `is_told`: no other cache lies between them and the memory.
    """
    is_whole, of_memory = _paces_of(reads, plan.threads)
    if of_memory is None:
        return unread(failure or "the threads hardly ran")
    may_be_cached = not _has_passed(
        reads, caches * (plan.threads if is_guest else 1), 0 if is_told else UNTOLD_PER_THREAD
    )
    figure, threads = of_memory[0], plan.threads if is_whole else 1
    of_cache = _pace_of_cache(again, plan.threads)
    if (may_be_cached or is_guest) and of_cache is not None:
        figure, may_be_cached = _beside_cache(of_memory, threads * of_cache, in_doubt=may_be_cached)
    is_free = not plan.busy
    had_processors = still_filling or _had_processors(reads)
    return Glance(
        bytes_per_second=int(figure),
        threads=threads,
        quiet=is_free and had_processors,
        is_held_up=is_guest and is_free and not had_processors,
        is_whole=is_whole and not still_filling,
        may_be_cached=may_be_cached,
        failure=failure,
    )


def _paces_of(reads: Sequence[Trace], threads: int) -> tuple[bool, list[float] | None]:
    """Whether these threads ran all at once, and their bytes per second at the median, the slower
    and the faster quarter: else those of one of them, no less than which all have. None where none
    ran for long enough.
    """
    paces = (0.5, _SLOWER, _FASTER)
    together = rates(reads, paces) if len(reads) == threads else None
    return together is not None, together or best_rates_of_one(reads, paces)


def _pace_of_cache(again: Sequence[Trace], threads: int) -> float | None:
    """Bytes per second of each thread, while all read what they had just read; None where fewer
    than half of them did: one alone is given more of a cache that they share.
    """
    # other guests share it, too: what they left to this one answered the fastest
    paces = [pace[0] for trace in again if (pace := rates([trace], (_FASTER,))) is not None]
    return sum(paces) / len(paces) if 2 * len(paces) >= threads else None


def _has_passed(reads: Sequence[Trace], caches: int, least: int) -> bool:
    """Whether these bytes of caches held nothing of a part any more when it was read: what was
    filled since then passed them, in the same order. A thread may have a cache of its own, so that
    the one that has the least memory decides. `least`: of each, in bytes, for caches not told of.
    """
    of_each = min(trace.memory_bytes for trace in reads)
    return of_each >= least and len(reads) * of_each >= CACHES_LEFT * caches


def _had_processors(reads: Sequence[Trace]) -> bool:
    """Each thread had its processor for itself, but for a moment that no program takes. Of one that
    was not done in time no share is known: it was held up, whatever its chunks so far took.
    """
    return all(
        trace.cpu_share >= LEAST_CPU_SHARE
        or 0 < trace.cpu_share >= 1 - _MOMENT_SECONDS / (trace.done[-1] - trace.began)
        for trace in reads
    )
