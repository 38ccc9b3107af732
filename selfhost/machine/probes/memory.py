"""Memory: the hardware's, what this process may ever have, and what it could have now.
Containers' limits come before the machine's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...core.saying import SET_MEMORY
from ...core.units import binary
from ..record import MAX_MEMORY_BYTES
from .host import Found, Host, is_wsl1
from .memory_limits import Limits
from .memory_nodes import gpu_nodes, node_memory, usable_nodes
from .procfs import MEMINFO, STATUS, parse_meminfo

ADDRESS_SPACE, PRIVATE, FILE_SIZE = (
    "address_space_bytes",
    "private_memory_bytes",
    "file_size_limit_bytes",
)
TOTAL, LIMIT, AVAILABLE, SWAP = (
    "memory_total_bytes",
    "memory_limit_bytes",
    "memory_available_bytes",
    "swap_free_bytes",
)
OVERCOMMIT = "/proc/sys/vm/overcommit_memory"
UNSEEN_ABOVE = "groups above do not show inside the container, and may allow less"

# bytes, and where they were read
Size = tuple[int, str]


_MOST_DIGITS = 12


def parse_low_watermarks(text: str, nodes: frozenset[int] | None = None) -> int | None:
    """Pages that /proc/zoneinfo keeps back, over all zones, or over those of some memory nodes:
    `Node 1, zone Normal`. None where it does not say.
    """
    total, is_stated, counts = 0, False, nodes is None
    for words in map(str.split, text.splitlines()):
        if words[:1] == ["Node"] and nodes is not None:
            counts = words[1:2] in [[f"{node},"] for node in nodes]
        elif words[:1] == ["low"] and len(words) == 2 and counts:
            if not words[1].isdecimal() or len(words[1]) > _MOST_DIGITS:
                return None
            total, is_stated = total + int(words[1]), True
    return total if is_stated else None


def parse_job_limits(raw: bytes) -> int | None:
    """The memory ceiling in Windows' JOBOBJECT_EXTENDED_LIMIT_INFORMATION (64-bit layout,
    winnt.h); None where none is set.
    """
    if len(raw) < 128:
        return None
    flags = int.from_bytes(raw[16:20], "little")
    # a field counts only where its flag is set: JOB_OBJECT_LIMIT_PROCESS_MEMORY,
    # JOB_OBJECT_LIMIT_JOB_MEMORY
    limits = [
        int.from_bytes(raw[at : at + 8], "little")
        for flag, at in ((0x100, 112), (0x200, 120))
        if flags & flag
    ]
    return min(limits) if limits else None


def _emulated(host: Host) -> bool:
    """lxcfs puts a container's figures in place of some lines of /proc/meminfo and leaves
    others the host's.
    """
    return any(
        mount.point == MEMINFO and mount.filesystem == "fuse.lxcfs" for mount in host.mounts()
    )


def _whose(host: Host) -> str:
    """What the total is of, where it is not the computer's."""
    release = host.release().lower()
    if _emulated(host):
        return " as lxcfs shows it to this container"
    if is_wsl1(host):
        return ": the Windows machine's, all of which WSL 1 shares"
    if "microsoft" in release:
        return (
            ": WSL 2's part of the Windows machine's, which memory= in .wslconfig sets (default:"
            " half)"
        )
    if "linuxkit" in release or "orbstack" in release:
        return ": what the settings of Docker Desktop or OrbStack give their virtual machine"
    return ""


def read_total(host: Host, facts: Found) -> None:
    """The hardware's memory."""
    try:
        facts.put(TOTAL, *(_linux_total(host) if host.system == "linux" else _other_total(host)))
    except ValueError as error:
        facts.miss(TOTAL, str(error), SET_MEMORY)


def _linux_total(host: Host) -> Size:
    """MemTotal less what is GPUs' own. `ValueError` where it is not known."""
    text = host.read_text(MEMINFO)
    total = parse_meminfo(text or "").get("MemTotal")
    if not total:
        raise ValueError(host.why(MEMINFO) if text is None else f"{MEMINFO} has no MemTotal")
    graphics = sum(node_memory(host, node)["MemTotal"] for node in gpu_nodes(host))
    if graphics >= total:
        raise ValueError(f"{MEMINFO} has less memory than the GPUs' own, which it counts")
    less = f" less {binary(graphics)} that are GPUs' own" if graphics else ""
    return total - graphics, f"{MEMINFO}, MemTotal{less}{_whose(host)}"


# what psutil asks for the total
_CALLS = {"windows": "GlobalMemoryStatusEx", "macos": "sysctl hw.memsize"}


def _other_total(host: Host) -> Size:
    memory = host.other_memory()
    if memory and memory["total"] > 0:
        return memory["total"], _CALLS.get(host.system, "psutil.virtual_memory().total")
    size = host.sysctl("hw.memsize") or ""
    if not size.isdecimal() or not int(size):
        raise ValueError("the system did not say how much memory it has")
    return int(size), "sysctl hw.memsize"


def _hugetlb(info: Mapping[str, int]) -> int:
    return info.get("Hugetlb", info.get("HugePages_Total", 0) * info.get("Hugepagesize", 0))


def read_limit(host: Host, facts: Found, limits: Limits | None) -> None:
    """The least of hardware, control groups, address space and memory nodes. Needs the total."""
    total = facts.values.get(TOTAL)
    if total is None:
        facts.miss(LIMIT, facts.unread[TOTAL].reason, SET_MEMORY)
        return
    if host.system != "linux" or limits is None:
        _other_limit(host, facts, total)
        return
    if limits.why:
        facts.miss(LIMIT, f"a limit may exist unseen: {limits.why}", SET_MEMORY)
        return
    try:
        size, source = min(_ceilings(host, limits, total), key=lambda pair: pair[0])
    except ValueError as error:
        facts.miss(LIMIT, str(error), SET_MEMORY)
        return
    facts.put(LIMIT, size, source)


def _ceilings(host: Host, limits: Limits, total: int) -> Iterator[Size]:
    """Every size that this process's memory cannot exceed. `ValueError` where one is not known."""
    meminfo = parse_meminfo(host.read_text(MEMINFO) or "")
    reserved = _hugetlb(meminfo)
    shared = (
        "; the pod has no limit: the node's memory is shared, and what takes more than its request"
        " is ended first"
    )
    pod = shared if "KUBERNETES_SERVICE_HOST" in host.env else ""
    shown = " that shows inside the container" if limits.inside else ""
    yield total, f"{MEMINFO}, MemTotal: no lower limit in any control group{shown}{pod}"
    if reserved:
        yield (
            max(0, total - reserved),
            f"MemTotal less {binary(reserved)} set aside as huge pages",
        )
    nodes = usable_nodes(host)
    if nodes and nodes.bound:
        huge = nodes.info.get("HugePages_Total", 0) * meminfo.get("Hugepagesize", 0)
        size = max(0, nodes.info["MemTotal"] - huge)
        which = f"the memory nodes this process is bound to ({len(nodes.numbers)})"
        yield size, f"limited by {which}: {binary(size)}"
    for limit in limits.ulimits:
        if limit.mapped:
            size = limit.limit_bytes
            yield size, f"limited by {limit.name}: {binary(size)}{limit.lift}"
    above = f"; {UNSEEN_ABOVE}" if limits.inside else ""
    for level in limits.levels:
        size = level.limit_bytes
        yield size, f"limited by control group {level.group}: {level.file} {binary(size)}{above}"


def _other_limit(host: Host, facts: Found, total: int) -> None:
    if host.system == "macos":
        facts.put(LIMIT, total, "the hardware's: macOS has no control groups")
    elif host.system == "windows":
        raw = host.job_limits()
        if raw is None:
            facts.miss(
                LIMIT,
                "the limits of the job object this process runs in could not be read",
                SET_MEMORY,
            )
            return
        ceiling = parse_job_limits(raw)
        if ceiling is not None and ceiling < total:
            facts.put(LIMIT, ceiling, f"limited by the job object: {binary(ceiling)}")
        else:
            facts.put(LIMIT, total, "the hardware's: no job object limits it")
    elif _counts_nothing(host):
        facts.put(LIMIT, total, f"the hardware's: {_RACCT} is 0, so rctl limits nothing")
    else:
        facts.miss(LIMIT, f"limits are not read on {host.system}", SET_MEMORY)


# FreeBSD counts what jails and accounts use, and limits it, only where this is 1 (rctl(8))
_RACCT = "sysctl kern.racct.enable"


def _counts_nothing(host: Host) -> bool:
    return _is_freebsd(host) and host.sysctl("kern.racct.enable") == "0"


def _may_be_limited_jail(host: Host) -> bool:
    is_jailed = _is_freebsd(host) and host.sysctl("security.jail.jailed") == "1"
    return is_jailed and not _counts_nothing(host)


def _is_freebsd(host: Host) -> bool:
    # Python adds the number of the release
    return host.system.startswith("freebsd")


_FREE_AND_FILES = ("MemFree", "Active(file)", "Inactive(file)", "SReclaimable")


def _free_estimate(
    host: Host, info: Mapping[str, int], nodes: frozenset[int] | None = None
) -> int | None:
    """What could be had without swapping, by the kernel's own formula (its commit 34e431b0ae39),
    of all memory or of some nodes; None where something is missing.
    """
    pages = parse_low_watermarks(host.read_text("/proc/zoneinfo") or "", nodes)
    size = host.page_bytes()
    if pages is None or size is None or not info.keys() >= set(_FREE_AND_FILES):
        return None
    low = pages * size
    cache = info["Active(file)"] + info["Inactive(file)"]
    slab = info["SReclaimable"]
    return max(0, info["MemFree"] - low + cache - min(cache // 2, low) + slab - min(slab // 2, low))


def read_available(host: Host, facts: Found, limits: Limits | None) -> None:
    """What this process could have now without swapping; never above the limit."""
    if host.system != "linux" or limits is None:
        _other_available(host, facts)
        return
    if limits.why:
        facts.miss(AVAILABLE, f"a limit may exist unseen: {limits.why}", SET_MEMORY)
        return
    ceiling = facts.values.get(LIMIT)
    if ceiling is None:
        facts.miss(
            AVAILABLE,
            facts.unread[LIMIT].reason if LIMIT in facts.unread else "the limit could not be read",
            SET_MEMORY,
        )
        return
    try:
        shares = _shares(host, limits, facts.values[TOTAL])
    except ValueError as error:
        facts.miss(AVAILABLE, str(error), SET_MEMORY)
        return
    size, source = min(shares, key=lambda pair: pair[0])
    facts.put(AVAILABLE, min(size, ceiling), source)


def read_process_limits(host: Host, facts: Found, limits: Limits | None) -> None:
    """What the shell's limits and the kernel's promises leave to this process; nothing where none
    is set.

    In overcommit mode 2 all private memory of the machine is at most CommitLimit, whatever else is
    closed; maps of files that are read-only or shared are charged nothing (the kernel's
    Documentation/mm/overcommit-accounting.rst).
    """
    for limit in limits.ulimits if limits else ():
        if limit.used_bytes is not None and limit.limit_bytes <= MAX_MEMORY_BYTES:
            left = max(0, limit.limit_bytes - limit.used_bytes)
            facts.put(ADDRESS_SPACE if limit.mapped else PRIVATE, left, limit.source)
    if limits and (host.read_text(OVERCOMMIT) or "").strip() == "2":
        most = parse_meminfo(host.read_text(MEMINFO) or "").get("CommitLimit")
        if most is not None and most < facts.values.get(PRIVATE, MAX_MEMORY_BYTES):
            facts.put(PRIVATE, most, f"{MEMINFO}, CommitLimit: {OVERCOMMIT} is 2")
    if limits and limits.file_size and limits.file_size[0] <= MAX_MEMORY_BYTES:
        facts.put(FILE_SIZE, *limits.file_size)


def _other_available(host: Host, facts: Found) -> None:
    memory = host.other_memory()
    if _may_be_limited_jail(host):
        reason = "rctl may limit this jail, and its rules do not show inside"
        facts.miss(AVAILABLE, reason, SET_MEMORY)
        return
    if not memory or "available" not in memory:
        facts.miss(AVAILABLE, "the system did not say how much memory is free", SET_MEMORY)
        return
    shares = [(memory["available"], "psutil.virtual_memory().available")]
    if "commit" in memory:
        source = (
            "GlobalMemoryStatusEx, ullAvailPageFile: what Windows still promises; a larger page"
            " file gives more"
        )
        shares.append((memory["commit"], source))
    size, source = min(shares, key=lambda pair: pair[0])
    facts.put(AVAILABLE, min(size, facts.values.get(LIMIT, facts.values.get(TOTAL, size))), source)


def _shares(host: Host, limits: Limits, total: int) -> list[Size]:
    """What each limit leaves, and where that was read; the machine's own free memory is one.
    `ValueError` where one is unreadable.
    """
    text = host.read_text(MEMINFO)
    if text is None:
        raise ValueError(host.why(MEMINFO))
    meminfo = parse_meminfo(text)
    shares = [
        *_left_in_groups(limits, total),
        *_left_of_ulimits(host, limits),
        *_free_on_nodes(host),
    ]
    if not _emulated(host):
        shares.append(_free(host, meminfo))
    elif not shares:
        if not {"MemFree", "Cached", "Shmem"} <= meminfo.keys():
            raise ValueError(f"{MEMINFO} (lxcfs) does not say enough")
        free = max(0, meminfo["MemFree"] + meminfo["Cached"] - meminfo["Shmem"])
        shares.append((free, f"{MEMINFO} (lxcfs): MemFree + Cached - Shmem"))
    promised = _promised(host, meminfo, min(shares)[0])
    return [*shares, promised] if promised else shares


def _left_in_groups(limits: Limits, total: int) -> Iterator[Size]:
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


def _left_of_ulimits(host: Host, limits: Limits) -> Iterator[Size]:
    for limit in limits.ulimits:
        if limit.used_bytes is None:
            raise ValueError(f"{limit.name} is set, and {host.why(STATUS)}")
        # what is mapped, as the weights may be, does not count against the other one: it bounds no
        # memory as such
        if limit.mapped:
            yield max(0, limit.limit_bytes - limit.used_bytes), limit.source


def _free_on_nodes(host: Host) -> Iterator[Size]:
    nodes = usable_nodes(host)
    if nodes is None:
        return
    free = _free_estimate(host, nodes.info, nodes.numbers)
    if free is None:
        raise ValueError(
            "what is free on the memory nodes that count for this process could not be read"
        )
    whose = "this process is bound to" if nodes.bound else "that are no GPU's"
    yield free, f"free and file pages of the memory nodes {whose}"


def _free(host: Host, info: Mapping[str, int]) -> Size:
    if "MemAvailable" in info:
        arc = _arc(host)
        cache = " and ZFS's shrinkable cache" if arc else ""
        return info["MemAvailable"] + arc, f"{MEMINFO}, MemAvailable{cache}"
    if "MemFree" in info and is_wsl1(host):
        # its other lines of cache are the same on all machines
        return info["MemFree"], f"{MEMINFO}, MemFree: what Windows has free"
    estimate = _free_estimate(host, info)
    if estimate is None:
        raise ValueError(
            f"{MEMINFO} has no MemAvailable (kernel before 3.14), nor enough to work it out"
        )
    return (
        estimate,
        f"{MEMINFO} without MemAvailable: free and file pages less /proc/zoneinfo's low watermarks",
    )


def _promised(host: Host, info: Mapping[str, int], least: int) -> Size | None:
    """In overcommit mode 2 the kernel promises no more than CommitLimit (its
    Documentation/mm/overcommit-accounting).

    None in the other modes. `ValueError` where the mode is not known and would decide.
    """
    text = host.read_text(OVERCOMMIT)
    mode = (text or "").strip()
    if mode in ("0", "1"):
        return None
    left = (
        info["CommitLimit"] - info["Committed_AS"]
        if {"CommitLimit", "Committed_AS"} <= info.keys()
        else None
    )
    if mode == "2":
        if left is None:
            raise ValueError(f"{OVERCOMMIT} is 2, and {MEMINFO} does not say how much is promised")
        return (
            max(0, left),
            (
                f"{MEMINFO}, CommitLimit less Committed_AS: {OVERCOMMIT} is 2; model files that are"
                " mapped do not count"
            ),
        )
    # in mode 2 no more than the limit is ever promised
    if left is not None and 0 <= left < least:
        raise ValueError(
            "whether the kernel promises more memory than it has is not known:"
            f" {host.why(OVERCOMMIT) if text is None else text}"
        )
    return None


def _arc(host: Host) -> int:
    """Bytes that ZFS would give back: its cache counts as used in /proc/meminfo
    (openzfs/zfs#10255).
    """
    rows = [
        line.split() for line in (host.read_text("/proc/spl/kstat/zfs/arcstats") or "").splitlines()
    ]
    values = {
        row[0]: int(row[2])
        for row in rows
        if len(row) == 3 and row[2].isdecimal() and len(row[2]) <= 15
    }
    return max(0, values.get("size", 0) - values["c_min"]) if "c_min" in values else 0


def parse_swaps(text: str) -> dict[str, int]:
    """/proc/swaps: device to free bytes."""
    free_of_device = {}
    for line in text.splitlines()[1:]:
        words = line.split()
        if (
            len(words) == 5
            and words[2].isdecimal()
            and words[3].isdecimal()
            and len(words[2]) <= 15
            and len(words[3]) <= 15
        ):
            free_of_device[words[0]] = max(0, int(words[2]) - int(words[3])) * 1024
    return free_of_device


def read_swap(host: Host, facts: Found, limits: Limits | None) -> None:
    """Free swap on disks. Swap on zram is RAM and does not count."""
    if host.system != "linux" or limits is None:
        free = host.other_swap_free()
        if free is None:
            facts.miss(SWAP, "the system did not say how much swap is free")
        else:
            facts.put(SWAP, free, "psutil.swap_memory().free")
        return
    try:
        free, source = _free_swap(host)
    except ValueError as error:
        facts.miss(SWAP, str(error))
        return
    if free and (unseen := limits.swap_why or limits.why):
        facts.miss(SWAP, f"a limit on swap may exist unseen: {unseen}")
        return
    if limits.swap and min(limits.swap) < free:
        free, source = min(limits.swap), "what the control group allows of swap"
    facts.put(SWAP, free, source)


def _free_swap(host: Host) -> Size:
    """Free swap of the machine that is not on zram. `ValueError` where it is not known."""
    text = host.read_text(MEMINFO)
    meminfo = parse_meminfo(text or "")
    if "SwapTotal" not in meminfo or "SwapFree" not in meminfo:
        raise ValueError(host.why(MEMINFO) if text is None else f"{MEMINFO} has no SwapFree")
    free, source = meminfo["SwapFree"], f"{MEMINFO}, SwapFree"
    if not meminfo["SwapTotal"]:
        return free, source
    swaps = host.read_text("/proc/swaps")
    if swaps is None:
        raise ValueError(
            f"whether swap is on zram, which is RAM, is not known: {host.why('/proc/swaps')}"
        )
    compressed = sum(
        size for device, size in parse_swaps(swaps).items() if device.startswith("/dev/zram")
    )
    return (max(0, free - compressed), f"{source} without zram") if compressed else (free, source)
