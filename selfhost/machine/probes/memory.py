"""Memory: the hardware's, what this process may ever have, and what it could have now.
Containers' limits come before the machine's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...core.records import Record
from ...core.units import binary
from ..record import MAX_MEMORY_BYTES, SET_MEMORY
from .cgroups import MemoryLimits, read_memory_limits
from .facts import Facts, Size
from .host import Host
from .procfs import LIMITS, MEMINFO, STATUS, parse_limit, parse_meminfo, whole

TOTAL, LIMIT, AVAILABLE, SWAP = (
    "memory_total_bytes",
    "memory_limit_bytes",
    "memory_available_bytes",
    "swap_free_bytes",
)
# by the kernel's name of a limit: fact, the shell's letter, and the line of /proc/self/status that
# counts against it
_ULIMITS = {
    "Max address space": ("address_space_bytes", "v (RLIMIT_AS)", "VmSize"),
    # since Linux 4.7 all private memory (commit 8463833590be)
    "Max data size": ("private_memory_bytes", "d (RLIMIT_DATA)", "VmData"),
}
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


class Ulimit(Record):
    """A limit of the shell and what the process already takes of it (None: not readable). Of one
    `is_of_memory` model files that are mapped count too, so that nothing larger loads at all.
    """

    name: str
    limit_bytes: int
    used_bytes: int | None
    is_of_memory: bool
    lift: str


def read_memory(host: Host, facts: Facts) -> None:
    """Total, limit, available memory, what the shell's limits leave, and free swap."""
    if host.system == "linux":
        _read_linux(host, facts)
    else:
        _read_other(host, facts)


def _read_linux(host: Host, facts: Facts) -> None:
    meminfo = parse_meminfo(host.read_text(MEMINFO) or "")
    total = meminfo.get("MemTotal")
    limits = read_memory_limits(host)
    ulimits, why = _read_ulimits(host, facts)
    _read_swap(host, facts, meminfo, limits)
    why = limits.why or why
    if not total:
        has = f"{MEMINFO} has no MemTotal"
        facts.miss(TOTAL, has if host.read_text(MEMINFO) else host.why(MEMINFO), SET_MEMORY)
    else:
        release = host.release()
        whose = next((words for name, words in _VIRTUAL_MACHINES if name in release), "")
        facts.put(TOTAL, total, f"{MEMINFO}, MemTotal{whose}")
    if TOTAL not in facts.values or why:
        reason = f"a limit may exist unseen: {why}" if why else facts.unread[TOTAL].reason
        facts.miss(LIMIT, reason, SET_MEMORY)
        facts.miss(AVAILABLE, reason, SET_MEMORY)
        return
    total = facts.values[TOTAL]
    ceiling, source = min(_ceilings(host, limits, ulimits, total), key=lambda size: size[0])
    facts.put(LIMIT, ceiling, source)
    try:
        left, source = min(_left(meminfo, limits, ulimits, total))
        facts.put(AVAILABLE, min(left, ceiling), source)
    except ValueError as error:
        facts.miss(AVAILABLE, str(error), SET_MEMORY)


def _ceilings(
    host: Host, limits: MemoryLimits, ulimits: list[Ulimit], total: int
) -> Iterator[Size]:
    """Every size that this process's memory cannot exceed."""
    shown = " that shows inside the container" if limits.is_inside else ""
    shared = _POD if "KUBERNETES_SERVICE_HOST" in host.env else ""
    yield total, f"{MEMINFO}, MemTotal: no lower limit in any control group{shown}{shared}"
    for limit in ulimits:
        if limit.is_of_memory:
            size = limit.limit_bytes
            yield size, f"limited by {limit.name}: {binary(size)}{limit.lift}"
    hidden = _ABOVE if limits.is_inside else ""
    for level in limits.levels:
        words = f"{level.file} {binary(level.limit_bytes)}"
        yield level.limit_bytes, f"limited by control group {level.group}: {words}{hidden}"


def _left(
    meminfo: Mapping[str, int], limits: MemoryLimits, ulimits: list[Ulimit], total: int
) -> Iterator[Size]:
    """What each limit leaves, and where that was read; the machine's own free memory is one.
    `ValueError` where one is unreadable.
    """
    for level in limits.levels:
        # a group that may have all there is leaves what the machine leaves
        if level.limit_bytes >= total:
            continue
        if level.used_bytes is None:
            raise ValueError(f"what control group {level.group} uses could not be read")
        less = f"{level.file} less what is in use besides file cache"
        source = f"room in control group {level.group}: {less}"
        if level.dirty_bytes > level.limit_bytes // 5:
            source += f"; {binary(level.dirty_bytes)} must be written to disk first"
        yield max(0, level.limit_bytes - level.used_bytes), source
    for limit in ulimits:
        if limit.used_bytes is None:
            raise ValueError(f"{limit.name} is set, and {STATUS} does not say what is in use")
        if limit.is_of_memory:
            yield _left_of(limit)
    if "MemAvailable" not in meminfo:
        raise ValueError(f"{MEMINFO} has no MemAvailable (kernel before 3.14)")
    yield meminfo["MemAvailable"], f"{MEMINFO}, MemAvailable"


def _left_of(limit: Ulimit) -> Size:
    left_bytes = max(0, limit.limit_bytes - (limit.used_bytes or 0))
    return left_bytes, f"{limit.name} less what is in use{limit.lift}"


def _read_ulimits(host: Host, facts: Facts) -> tuple[list[Ulimit], str | None]:
    """The shell's limits on memory, and why one may exist unseen; what they leave goes to
    `facts`.
    """
    text = host.read_text(LIMITS)
    if text is None:
        return [], host.why(LIMITS)
    used = parse_meminfo(host.read_text(STATUS) or "")
    ulimits, why = [], None
    for line, (fact, letter, taken) in _ULIMITS.items():
        soft = parse_limit(text, line)
        if soft is None:
            why = f"{LIMITS} does not state {line!r}"
        elif soft[0] >= 0:
            lift = f"; `ulimit -{letter[0]} unlimited` lifts it" if soft[1] else ""
            limit = Ulimit(
                name=f"ulimit -{letter}",
                limit_bytes=soft[0],
                used_bytes=used.get(taken),
                is_of_memory=fact == "address_space_bytes",
                lift=lift,
            )
            ulimits.append(limit)
            if limit.used_bytes is not None and limit.limit_bytes <= MAX_MEMORY_BYTES:
                facts.put(fact, *_left_of(limit))
    largest = parse_limit(text, "Max file size")
    if largest is not None and 0 <= largest[0] <= MAX_MEMORY_BYTES:
        lift = "; `ulimit -f unlimited` lifts it" if largest[1] else ""
        facts.put("file_size_limit_bytes", largest[0], f"ulimit -f (RLIMIT_FSIZE){lift}")
    return ulimits, why


def parse_swaps(text: str) -> dict[str, int]:
    """/proc/swaps: device to free bytes."""
    free_of_device = {}
    for line in text.splitlines()[1:]:
        words = line.split()
        sizes = [whole(word, 15) for word in words[2:4]]
        if len(words) == 5 and sizes[0] is not None and sizes[1] is not None:
            free_of_device[words[0]] = max(0, sizes[0] - sizes[1]) * 1024
    return free_of_device


def _read_swap(host: Host, facts: Facts, meminfo: Mapping[str, int], limits: MemoryLimits) -> None:
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
        devices = parse_swaps(swaps).items()
        compressed = sum(size for device, size in devices if device.startswith("/dev/zram"))
        if compressed:
            free, source = max(0, free - compressed), f"{source} without zram"
    if free and (limits.levels or limits.is_inside or limits.why):
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
        unread = ": limits of a job object are not read" if host.system == "windows" else ""
        if host.system in ("macos", "windows"):
            facts.put(LIMIT, total, f"the hardware's{unread}")
        else:
            facts.miss(LIMIT, f"limits are not read on {host.system}", SET_MEMORY)
    if "available" in memory:
        left = min(memory["available"], facts.values.get(TOTAL, memory["available"]))
        facts.put(AVAILABLE, left, "psutil.virtual_memory().available")
    else:
        facts.miss(AVAILABLE, "the system did not say how much memory is free", SET_MEMORY)
    swap_free = host.ask("swap_free")
    if swap_free is None:
        facts.miss(SWAP, "the system did not say how much swap is free")
    else:
        facts.put(SWAP, swap_free, "psutil.swap_memory().free")
