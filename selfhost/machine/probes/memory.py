"""Memory: the hardware's, what this process may ever have, and what it could have now.
Containers' limits come before the machine's.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...core.records import Record
from ...core.units import binary
from ..fields import SET_MEMORY
from ..record import MAX_MEMORY_BYTES
from .facts import Facts, Size
from .host import Host
from .memory_limits import GroupLimits, read_group_limits
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


class Ulimit(Record):
    """A limit of the shell and what the process already takes of it (None: not readable). Of one
    `is_of_memory` model files that are mapped count too, so that nothing larger loads at all.
    """

    name: str
    limit_bytes: int
    used_bytes: int | None
    is_of_memory: bool
    lift: str = ""

    @property
    def left(self) -> Size:
        """What it leaves, and where that was read."""
        left_bytes = max(0, self.limit_bytes - (self.used_bytes or 0))
        return left_bytes, f"{self.name} less what is in use{self.lift}"


def read_memory(host: Host, facts: Facts) -> None:
    """Total, limit, available memory, what the shell's limits leave, and free swap."""
    if host.system == "linux":
        _read_linux(host, facts)
    else:
        _read_other(host, facts)


def _read_linux(host: Host, facts: Facts) -> None:
    text = host.read_text(MEMINFO)
    meminfo = parse_meminfo(text or "")
    total = meminfo.get("MemTotal")
    release = host.release().lower()
    if total:
        whose = next((words for name, words in _VIRTUAL_MACHINES if name in release), "")
        facts.put(TOTAL, total, f"{MEMINFO}, MemTotal{whose}")
    else:
        reason = host.why(MEMINFO) if text is None else f"{MEMINFO} has no MemTotal"
        facts.miss(TOTAL, reason, SET_MEMORY)
    try:
        limits = read_group_limits(host)
    except Exception as error:  # what goes wrong with the groups leaves the total as it is
        limits = GroupLimits(f"reading the control groups failed: {error}")
    ulimits, why = _read_ulimits(host, facts)
    _read_swap(host, facts, meminfo, limits)
    why = limits.why or why
    if TOTAL not in facts.values or why:
        reason = f"a limit may exist unseen: {why}" if why else facts.unread[TOTAL].reason
        facts.miss(LIMIT, reason, SET_MEMORY)
        facts.miss(AVAILABLE, reason, SET_MEMORY)
        return
    ceiling, source = min(
        _ceilings(host, limits, ulimits, facts.values[TOTAL]), key=lambda size: size[0]
    )
    facts.put(LIMIT, ceiling, source)
    try:
        left, source = min(_left(meminfo, limits, ulimits, facts.values[TOTAL]))
        facts.put(AVAILABLE, min(left, ceiling), source)
    except ValueError as error:
        facts.miss(AVAILABLE, str(error), SET_MEMORY)


def _ceilings(host: Host, limits: GroupLimits, ulimits: list[Ulimit], total: int) -> Iterator[Size]:
    """Every size that this process's memory cannot exceed."""
    pod = (
        "; the pod has no limit: the node's memory is shared, and what takes more than its request"
        " is ended first"
    )
    shown = " that shows inside the container" if limits.is_inside else ""
    shared = pod if "KUBERNETES_SERVICE_HOST" in host.env else ""
    yield total, f"{MEMINFO}, MemTotal: no lower limit in any control group{shown}{shared}"
    for limit in ulimits:
        if limit.is_of_memory:
            size = limit.limit_bytes
            yield size, f"limited by {limit.name}: {binary(size)}{limit.lift}"
    above = "; groups above do not show inside the container, and may allow less"
    for level in limits.levels:
        limit_words = f"{level.file} {binary(level.limit_bytes)}"
        hidden = above if limits.is_inside else ""
        yield level.limit_bytes, f"limited by control group {level.group}: {limit_words}{hidden}"


def _left(
    meminfo: dict[str, int], limits: GroupLimits, ulimits: list[Ulimit], total: int
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
        source = (
            f"room in control group {level.group}: {level.file} less what is in use besides file"
            " cache"
        )
        if level.dirty_bytes > level.limit_bytes // 5:
            source += f"; {binary(level.dirty_bytes)} must be written to disk first"
        yield max(0, level.limit_bytes - level.used_bytes), source
    for limit in ulimits:
        if limit.used_bytes is None:
            raise ValueError(f"{limit.name} is set, and {STATUS} does not say what is in use")
        if limit.is_of_memory:
            yield limit.left
    if "MemAvailable" not in meminfo:
        raise ValueError(f"{MEMINFO} has no MemAvailable (kernel before 3.14)")
    yield meminfo["MemAvailable"], f"{MEMINFO}, MemAvailable"


def _read_ulimits(host: Host, facts: Facts) -> tuple[list[Ulimit], str | None]:
    """The shell's limits on memory, and why one may exist unseen; what they leave goes to
    `facts`.
    """
    text = host.read_text(LIMITS)
    used = parse_meminfo(host.read_text(STATUS) or "")
    ulimits, why = [], None
    for line, (fact, letter, taken) in _ULIMITS.items():
        soft = parse_limit(text or "", line)
        if soft is None:
            why = host.why(LIMITS) if text is None else f"{LIMITS} does not state {line!r}"
        elif soft[0] >= 0:
            limit = Ulimit(
                name=f"ulimit -{letter}",
                limit_bytes=soft[0],
                used_bytes=used.get(taken),
                is_of_memory=fact == "address_space_bytes",
                lift=_lift(letter, soft[1]),
            )
            ulimits.append(limit)
            if limit.used_bytes is not None and limit.limit_bytes <= MAX_MEMORY_BYTES:
                facts.put(fact, *limit.left)
    largest = parse_limit(text or "", "Max file size")
    if largest is not None and 0 <= largest[0] <= MAX_MEMORY_BYTES:
        source = f"ulimit -f (RLIMIT_FSIZE){_lift('f', largest[1])}"
        facts.put("file_size_limit_bytes", largest[0], source)
    return ulimits, why


def _lift(letter: str, is_possible: bool) -> str:
    return f"; `ulimit -{letter[0]} unlimited` lifts it" if is_possible else ""


def parse_swaps(text: str) -> dict[str, int]:
    """/proc/swaps: device to free bytes."""
    free_of_device = {}
    for line in text.splitlines()[1:]:
        words = line.split()
        sizes = [whole(word, 15) for word in words[2:4]]
        if len(words) == 5 and sizes[0] is not None and sizes[1] is not None:
            free_of_device[words[0]] = max(0, sizes[0] - sizes[1]) * 1024
    return free_of_device


def _read_swap(host: Host, facts: Facts, meminfo: dict[str, int], limits: GroupLimits) -> None:
    """Free swap on disks. Swap on zram is RAM and does not count."""
    free, source = meminfo.get("SwapFree"), f"{MEMINFO}, SwapFree"
    if free is None or "SwapTotal" not in meminfo:
        facts.miss(SWAP, f"{MEMINFO} has no SwapFree" if meminfo else host.why(MEMINFO))
        return
    if meminfo["SwapTotal"]:
        swaps = host.read_text("/proc/swaps")
        if swaps is None:
            reason = (
                f"whether swap is on zram, which is RAM, is not known: {host.why('/proc/swaps')}"
            )
            facts.miss(SWAP, reason)
            return
        devices = parse_swaps(swaps).items()
        compressed = sum(size for device, size in devices if device.startswith("/dev/zram"))
        if compressed:
            free, source = max(0, free - compressed), f"{source} without zram"
    if free and (unseen := limits.swap_why or limits.why):
        facts.miss(SWAP, f"a limit on swap may exist unseen: {unseen}")
        return
    least = min(limits.swap_left_bytes, default=free)
    if least < free:
        free, source = least, "what the control group allows of swap"
    facts.put(SWAP, free, source)


def parse_job_limits(raw: bytes) -> int | None:
    """The memory ceiling in Windows' JOBOBJECT_EXTENDED_LIMIT_INFORMATION (64-bit layout,
    winnt.h); None where none is set.
    """
    if len(raw) < 128:
        return None
    flags = int.from_bytes(raw[16:20], "little")
    # a field counts only where its flag is set: JOB_OBJECT_LIMIT_PROCESS_MEMORY,
    # JOB_OBJECT_LIMIT_JOB_MEMORY
    fields = [at for flag, at in ((0x100, 112), (0x200, 120)) if flags & flag]
    return min((int.from_bytes(raw[at : at + 8], "little") for at in fields), default=None)


def _read_other(host: Host, facts: Facts) -> None:
    """Of a system without /proc: by psutil, and macOS' size by its sysctl where that fails."""
    memory = host.ask("memory") or {}
    total = memory.get("total") or whole(host.sysctl("hw.memsize") or "")
    if not total:
        for fact in (TOTAL, LIMIT):
            facts.miss(fact, "the system did not say how much memory it has", SET_MEMORY)
    else:
        call = "sysctl hw.memsize" if host.system == "macos" else "psutil.virtual_memory().total"
        facts.put(TOTAL, total, call)
        _read_other_limit(host, facts, total)
    shares = []
    if "available" in memory:
        shares.append((memory["available"], "psutil.virtual_memory().available"))
    if "commit" in memory:
        source = "ullAvailPageFile: what Windows still promises; a larger page file gives more"
        shares.append((memory["commit"], f"GlobalMemoryStatusEx, {source}"))
    if shares:
        left, source = min(shares)
        ceiling = facts.values.get(LIMIT, facts.values.get(TOTAL, left))
        facts.put(AVAILABLE, min(left, ceiling), source)
    else:
        facts.miss(AVAILABLE, "the system did not say how much memory is free", SET_MEMORY)
    swap_free = host.ask("swap_free")
    if swap_free is None:
        facts.miss(SWAP, "the system did not say how much swap is free")
    else:
        facts.put(SWAP, swap_free, "psutil.swap_memory().free")


def _read_other_limit(host: Host, facts: Facts, total: int) -> None:
    raw = host.ask("job_limits")
    ceiling = parse_job_limits(bytes.fromhex(raw or ""))
    if host.system == "macos":
        facts.put(LIMIT, total, "the hardware's: macOS has no control groups")
    elif host.system != "windows":
        facts.miss(LIMIT, f"limits are not read on {host.system}", SET_MEMORY)
    elif raw is None:
        facts.miss(LIMIT, "the limits of the job object could not be read", SET_MEMORY)
    elif ceiling is not None and ceiling < total:
        facts.put(LIMIT, ceiling, f"limited by the job object: {binary(ceiling)}")
    else:
        facts.put(LIMIT, total, "the hardware's: no job object limits it")
