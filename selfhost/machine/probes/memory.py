"""Memory: the hardware's, what this process may ever have, and what it could have now.
Containers' limits come before the machine's.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...core.records import Record
from ...core.units import binary
from ..record import MAX_MEMORY_BYTES, SET_MEMORY
from .cgroups import Groups, Level, read_memory_limits
from .facts import Facts
from .host import Host
from .procfs import LIMITS, MEMINFO, STATUS, parse_meminfo, whole

TOTAL, LIMIT, AVAILABLE, SWAP = (
    "memory_total_bytes",
    "memory_limit_bytes",
    "memory_available_bytes",
    "swap_free_bytes",
)
# fact, the kernel's name of a limit, the shell's letter, and the line of /proc/self/status that
# counts against it
_ULIMITS = (
    ("address_space_bytes", "Max address space", "v (RLIMIT_AS)", "VmSize"),
    # since Linux 4.7 all private memory (commit 8463833590be)
    ("private_memory_bytes", "Max data size", "d (RLIMIT_DATA)", "VmData"),
)
_VIRTUAL_MACHINES = (
    ("microsoft", ": WSL 2's part of the Windows machine's, which memory= in .wslconfig sets"),
    ("linuxkit", ": what Docker Desktop gives its virtual machine"),
    ("orbstack", ": what OrbStack gives its virtual machine"),
)
_POD = (
    "; the pod has no limit: the node's memory is shared, and what takes more than its request"
    " is ended first"
)
_ABOVE = "; groups above do not show inside the container, and may allow less"


class _Bound(Record):
    """What this process's memory cannot exceed, and what is left of it: where that is None,
    `left_source` is the reason.
    """

    limit_bytes: int
    source: str
    left_bytes: int | None
    left_source: str


def read_memory(host: Host, facts: Facts) -> None:
    """Total, limit, available memory, what the shell's limits leave, and free swap."""
    if host.system != "linux":
        _read_other(host, facts)
        return
    meminfo = parse_meminfo(host.read_text(MEMINFO) or "")
    levels, groups = read_memory_limits(host)
    ulimits, why = _read_ulimits(host, facts)
    _read_swap(host, facts, meminfo, is_limited=bool(levels or groups.is_inside or groups.why))
    why = groups.why or why
    _read_total(host, facts, meminfo)
    total = facts.values.get(TOTAL)
    if total is None or why:
        reason = f"a limit may exist unseen: {why}" if why else facts.unread[TOTAL].reason
        facts.miss(LIMIT, reason, SET_MEMORY)
        facts.miss(AVAILABLE, reason, SET_MEMORY)
        return
    machine = _machine_bound(host, meminfo, total, is_inside=groups.is_inside)
    # a group that may have all there is leaves what the machine leaves
    limited = [_group_bound(level, groups) for level in levels if level.limit_bytes < total]
    bounds = [machine, *ulimits, *limited]
    least = min(bounds, key=lambda bound: bound.limit_bytes)
    facts.put(LIMIT, least.limit_bytes, least.source)
    unread = [bound.left_source for bound in reversed(bounds) if bound.left_bytes is None]
    left_bytes, source = min((bound.left_bytes or 0, bound.left_source) for bound in bounds)
    if unread:
        facts.miss(AVAILABLE, unread[0], SET_MEMORY)
    else:
        facts.put(AVAILABLE, min(left_bytes, least.limit_bytes), source)


def _read_total(host: Host, facts: Facts, meminfo: Mapping[str, int]) -> None:
    if total := meminfo.get("MemTotal"):
        release = host.release()
        whose = next((words for name, words in _VIRTUAL_MACHINES if name in release), "")
        facts.put(TOTAL, total, f"{MEMINFO}, MemTotal{whose}")
    else:
        has = f"{MEMINFO} has no MemTotal"
        facts.miss(TOTAL, has if host.read_text(MEMINFO) else host.why(MEMINFO), SET_MEMORY)


def _machine_bound(
    host: Host, meminfo: Mapping[str, int], total: int, *, is_inside: bool
) -> _Bound:
    shown = " that shows inside the container" if is_inside else ""
    shared = _POD if "KUBERNETES_SERVICE_HOST" in host.env else ""
    available = meminfo.get("MemAvailable")
    old = f"{MEMINFO} has no MemAvailable (kernel before 3.14)"
    return _Bound(
        limit_bytes=total,
        source=f"{MEMINFO}, MemTotal: no lower limit in any control group{shown}{shared}",
        left_bytes=available,
        left_source=old if available is None else f"{MEMINFO}, MemAvailable",
    )


def _group_bound(level: Level, groups: Groups) -> _Bound:
    hidden = _ABOVE if groups.is_inside else ""
    left = (
        f"room in control group {level.group}: {level.file} less what is in use besides file cache"
    )
    if level.dirty_bytes > level.limit_bytes // 5:
        left += f"; {binary(level.dirty_bytes)} must be written to disk first"
    used = level.used_bytes
    unread = f"what control group {level.group} uses could not be read"
    words = f"{level.file} {binary(level.limit_bytes)}"
    return _Bound(
        limit_bytes=level.limit_bytes,
        source=f"limited by control group {level.group}: {words}{hidden}",
        left_bytes=None if used is None else max(0, level.limit_bytes - used),
        left_source=unread if used is None else left,
    )


def parse_limit(text: str, name: str) -> tuple[int, bool] | None:
    """A soft limit in /proc/self/limits, as "Max address space": bytes, -1 for unlimited, and
    whether the hard limit is above it. None where the line is missing.
    """
    for line in text.splitlines():
        words = line[len(name) :].split() if line.startswith(name) else []
        if words[:1] == ["unlimited"]:
            return -1, False
        number = whole(words[0]) if words else None
        if number is not None:
            return number, len(words) > 1 and words[1] != words[0]
    return None


def _read_ulimits(host: Host, facts: Facts) -> tuple[list[_Bound], str | None]:
    """The shell's limits that bound memory, and why one may exist unseen; what each leaves goes to
    `facts`.
    """
    text = host.read_text(LIMITS)
    if text is None:
        return [], host.why(LIMITS)
    status = parse_meminfo(host.read_text(STATUS) or "")
    bounds, why = [], None
    for fact, line, letter, taken in _ULIMITS:
        soft, used = parse_limit(text, line), status.get(taken)
        name = f"ulimit -{letter}"
        if soft is None:
            why = f"{LIMITS} does not state {line!r}"
        elif soft[0] >= 0 and used is None:
            why = f"{name} is set, and {STATUS} does not say what is in use"
        elif soft[0] >= 0 and used is not None:
            lift = f"; `ulimit -{letter[0]} unlimited` lifts it" if soft[1] else ""
            bound = _Bound(
                limit_bytes=soft[0],
                source=f"limited by {name}: {binary(soft[0])}{lift}",
                left_bytes=max(0, soft[0] - used),
                left_source=f"{name} less what is in use{lift}",
            )
            # model files that are mapped count in the address space alone
            bounds += [bound] if fact == "address_space_bytes" else []
            if soft[0] <= MAX_MEMORY_BYTES:
                facts.put(fact, bound.left_bytes, bound.left_source)
    largest = parse_limit(text, "Max file size")
    if largest is not None and 0 <= largest[0] <= MAX_MEMORY_BYTES:
        lift = "; `ulimit -f unlimited` lifts it" if largest[1] else ""
        facts.put("file_size_limit_bytes", largest[0], f"ulimit -f (RLIMIT_FSIZE){lift}")
    return bounds, why


def _read_swap(host: Host, facts: Facts, meminfo: Mapping[str, int], *, is_limited: bool) -> None:
    """Free swap on disks. Swap on zram is RAM and does not count."""
    free, source = meminfo.get("SwapFree"), f"{MEMINFO}, SwapFree"
    if free is None or "SwapTotal" not in meminfo:
        facts.miss(SWAP, f"{MEMINFO} has no SwapFree" if meminfo else host.why(MEMINFO))
        return
    if meminfo["SwapTotal"]:
        swaps = host.read_text("/proc/swaps")
        if swaps is None:
            why = host.why("/proc/swaps")
            facts.miss(SWAP, f"whether swap is on zram, which is RAM, is not known: {why}")
            return
        rows = [line.split() for line in swaps.splitlines() if line.startswith("/dev/zram")]
        sizes = [(whole(row[2], 15), whole(row[3], 15)) for row in rows if len(row) == 5]
        if compressed := sum(max(0, (size or 0) - (used or 0)) * 1024 for size, used in sizes):
            free, source = max(0, free - compressed), f"{source} without zram"
    if free and is_limited:
        facts.miss(SWAP, "what control groups allow of swap is not read")
    else:
        facts.put(SWAP, free, source)


def _read_other(host: Host, facts: Facts) -> None:
    """Of a system without /proc: by psutil, and macOS' size by its sysctl where that fails."""
    memory = host.ask("memory") or {}
    total = memory.get("total") or whole(host.sysctl("hw.memsize"))
    if not total:
        for fact in (TOTAL, LIMIT):
            facts.miss(fact, "the system did not say how much memory it has", SET_MEMORY)
    else:
        call = "sysctl hw.memsize" if host.system == "macos" else "psutil.virtual_memory().total"
        facts.put(TOTAL, total, call)
        if host.system in ("macos", "windows"):
            unread = ": limits of a job object are not read" if host.system == "windows" else ""
            facts.put(LIMIT, total, f"the hardware's{unread}")
        else:
            facts.miss(LIMIT, f"limits are not read on {host.system}", SET_MEMORY)
    if "available" in memory:
        left_bytes = min(memory["available"], total or memory["available"])
        facts.put(AVAILABLE, left_bytes, "psutil.virtual_memory().available")
    else:
        facts.miss(AVAILABLE, "the system did not say how much memory is free", SET_MEMORY)
    swap_free = host.ask("swap_free")
    if swap_free is None:
        facts.miss(SWAP, "the system did not say how much swap is free")
    else:
        facts.put(SWAP, swap_free, "psutil.swap_memory().free")
