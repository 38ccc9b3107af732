"""What other programs did while something was measured, by two readings of the system.

Averages over the last ten seconds or minute do not tell: they name a machine busy on which a build
has just ended, and quiet on which one has just begun.
"""

from __future__ import annotations

import os

from ...core import units
from ...core.records import Record
from .host import Host

# of the time, how long some program waited for a processor: at most 0.09 of a glance on a quiet
# machine, 0.45 to 0.58 beside one busy program (two processors, measured)
_MOST_WAITING = 0.2
# of all processors, what other programs may use meanwhile: as many programs as processors leave
# nobody waiting
_MOST_OTHERS = 0.25
# processors' time is counted in ticks, mostly of 10 ms: over less time than this it tells nothing
_LEAST_COUNTED_SECONDS = 0.5


class Activity(Record):
    """One reading: when (seconds of a clock that only runs on), and what is not known is None.

    `waited_seconds`: how long some program has waited for a processor so far. `busy_seconds` of all
    processors together, of which `own_seconds` are this process's. `running`: other programs that
    ran, or waited to, at this moment. `load`: their average over the last minute.
    """

    at_seconds: float
    own_seconds: float
    processors: int
    waited_seconds: float | None = None
    busy_seconds: float | None = None
    running: int | None = None
    load: float | None = None


def read_activity(host: Host) -> Activity:
    """What the system tells now; it stays silent in some containers and beside Linux."""
    from time import process_time

    at_seconds, waited_seconds = read_waiting(host)
    is_linux = host.system == "linux"
    return Activity(
        at_seconds=at_seconds,
        own_seconds=process_time(),
        processors=os.cpu_count() or 1,
        waited_seconds=waited_seconds,
        busy_seconds=parse_stat(_text_of(host, "stat")) if is_linux else None,
        running=parse_running(_text_of(host, "loadavg")) if is_linux else None,
        load=_load(),
    )


def read_waiting(host: Host) -> tuple[float, float | None]:
    """When, and how long some program has waited for a processor so far, as in `Activity`: quick
    enough for a thread that measures.
    """
    from time import perf_counter

    if host.system != "linux":
        return perf_counter(), None
    return perf_counter(), parse_pressure(_text_of(host, "pressure/cpu"))


def _text_of(host: Host, name: str) -> str:
    """Read anew each time, unlike facts."""
    try:
        return host.read_bytes(f"/proc/{name}", 4096).decode("ascii", "replace")
    except (OSError, ValueError):
        return ""


def disturbances(before: Activity, after: Activity) -> tuple[str, ...]:
    """What other programs did between two readings that a measurement would feel; empty where they
    did nothing, or the system does not say.
    """
    seconds = after.at_seconds - before.at_seconds
    reasons = []
    waited = _difference(before.waited_seconds, after.waited_seconds)
    if waited is not None and seconds > 0 and waited > _MOST_WAITING * seconds:
        share = min(1.0, waited / seconds)
        reasons.append(f"programs waited for a processor for {units.percent(share)} of the time")
    others = used_by_others(before, after)
    if others is not None and others > _MOST_OTHERS:
        reasons.append(f"other programs used {units.percent(others)} of the processors meanwhile")
    running = before.running or 0
    if others is None and running > _MOST_OTHERS * before.processors:
        programs = "another program was" if running == 1 else f"{running} other programs were"
        reasons.append(f"{programs} running")
    is_told = any(part is not None for part in (waited, others, before.running))
    if not is_told and before.load is not None and before.load > before.processors / 2:
        reasons.append(f"the load is {before.load:.1f} on {units.cores(before.processors)}")
    return tuple(reasons)


def used_by_others(before: Activity, after: Activity) -> float | None:
    """Of all processors, the share that other programs used between two readings; None where that
    is not told, or too little time has passed.
    """
    seconds = after.at_seconds - before.at_seconds
    busy = _difference(before.busy_seconds, after.busy_seconds)
    if busy is None or seconds < _LEAST_COUNTED_SECONDS:
        return None
    others_seconds = busy - (after.own_seconds - before.own_seconds)
    return max(0.0, others_seconds / (seconds * before.processors))


def parse_pressure(text: str) -> float | None:
    """/proc/pressure/cpu: seconds in which some program has waited for a processor, since the
    start; None for another shape.
    """
    words = text.partition("\n")[0].split()
    counts = [word.removeprefix("total=") for word in words if word.startswith("total=")]
    if words[:1] != ["some"] or len(counts) != 1 or not _is_count(counts[0]):
        return None
    return int(counts[0]) / 1e6


def parse_stat(text: str) -> float | None:
    """First line of /proc/stat: seconds that all processors together were busy, since the start;
    None for another shape.
    """
    words = text.partition("\n")[0].split()
    if len(words) < 6 or words[0] != "cpu" or not all(_is_count(word) for word in words[1:]):
        return None
    # user nice system idle iowait irq softirq steal; guests' time is in user's and nice's already
    ticks = [int(word) for word in words[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / _ticks_per_second()


def _ticks_per_second() -> int:
    """USER_HZ, in which /proc/stat counts: 100 on nearly every Linux, asked of the system."""
    try:
        return max(1, os.sysconf("SC_CLK_TCK"))
    except (AttributeError, OSError, ValueError):
        return 100


def parse_running(text: str) -> int | None:
    """/proc/loadavg: programs that run or wait to, this one left out; None for another shape."""
    words = text.split()
    count = words[3].partition("/")[0] if len(words) > 3 else ""
    return max(0, int(count) - 1) if _is_count(count) else None


def _is_count(word: str) -> bool:
    return word.isdecimal() and word.isascii() and len(word) < 20


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else max(0.0, after - before)


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None
