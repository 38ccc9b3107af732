"""Memory: the hardware's, what this process may ever have, and what it could have now. Containers' limits come before the machine's."""

from __future__ import annotations

from ..units import binary
from .cgroups import NO_LIMIT, Groups, Level, groups, parse_number, parse_pairs
from .host import Found, Host

TOTAL, LIMIT, AVAILABLE, SWAP = "memory_total_bytes", "memory_limit_bytes", "memory_available_bytes", "swap_free_bytes"
MEMINFO = "/proc/meminfo"
SET_MEMORY = "state it: --set memory=16GiB"


def parse_meminfo(text: str) -> dict[str, int]:
    """/proc/meminfo in bytes; lines without kB are counts. Lines of another shape are left out."""
    found = {}
    for line in text.splitlines():
        name, colon, rest = line.partition(":")
        words = rest.split()
        if colon and words and words[0].isdecimal() and words[0].isascii() and len(words[0]) <= 15:
            found[name.strip()] = int(words[0]) * (1024 if words[1:] == ["kB"] else 1)
    return found


def parse_address_space(text: str) -> int | None:
    """The soft limit on address space in /proc/self/limits: bytes, -1 for unlimited, None where the line is missing."""
    for line in text.splitlines():
        if line.startswith("Max address space"):
            words = line[len("Max address space") :].split()
            if words and words[0] == "unlimited":
                return -1
            if words and words[0].isdecimal() and words[0].isascii() and len(words[0]) <= 20:
                return int(words[0])
    return None


def parse_status(text: str) -> dict[str, str]:
    """/proc/self/status: name to value."""
    return {name: rest.strip() for name, colon, rest in (line.partition(":") for line in text.splitlines()) if colon}


def parse_list(text: str) -> frozenset[int] | None:
    """`0-3,8` -> the numbers; None for another shape or more than 65,536 of them."""
    numbers: set[int] = set()
    for part in text.strip().split(","):
        first, dash, last = part.partition("-")
        if not all(word.isdecimal() and word.isascii() and len(word) <= 6 for word in ((first, last) if dash else (first,))):
            return None
        low, high = int(first), int(last if dash else first)
        if not low <= high < 65536:
            return None
        numbers.update(range(low, high + 1))
    return frozenset(numbers)


def parse_low_watermarks(text: str) -> int | None:
    """Pages that /proc/zoneinfo keeps back, over all zones."""
    pages = [line.split()[1] for line in text.splitlines() if line.split()[:1] == ["low"] and len(line.split()) == 2]
    return sum(map(int, pages)) if pages and all(page.isdecimal() and len(page) <= 12 for page in pages) else None


def parse_job_limits(raw: bytes) -> int | None:
    """The memory ceiling in Windows' JOBOBJECT_EXTENDED_LIMIT_INFORMATION (64-bit layout, winnt.h); None where none is set."""
    if len(raw) < 128:
        return None
    flags = int.from_bytes(raw[16:20], "little")
    # a field counts only where its flag is set: JOB_OBJECT_LIMIT_PROCESS_MEMORY, JOB_OBJECT_LIMIT_JOB_MEMORY
    limits = [int.from_bytes(raw[at : at + 8], "little") for flag, at in ((0x100, 112), (0x200, 120)) if flags & flag]
    return min(limits) if limits else None


class Limits:
    """What control groups and rlimits say about memory; `why` is set where a limit may exist unseen."""

    def __init__(self) -> None:
        self.levels: list[Level] = []
        self.swap: list[int] = []
        self.address_space_bytes: int | None = None
        self.address_space_used: int | None = None
        self.why: str | None = None
        self.unread_usage: str | None = None


def read_limits(host: Host) -> Limits:
    """Every limit that holds for this process on Linux, each with its own group's use."""
    found = Limits()
    chain = groups(host, "memory", ("memory.max", "memory.high", "memory.current"))
    if chain.why:
        found.why = chain.why
    elif chain.version == 1:
        _version_1(host, chain, found)
    else:
        _version_2(host, chain, found)
    soft = parse_address_space(host.read_text("/proc/self/limits") or "")
    if soft is None:
        soft = host.address_space_bytes()
    if soft is None:
        found.why = found.why or host.why("/proc/self/limits")
    elif soft >= 0:
        found.address_space_bytes = soft
        used = parse_meminfo(host.read_text("/proc/self/status") or "").get("VmSize")
        found.address_space_used = used
    return found


def _version_2(host: Host, chain: Groups, found: Limits) -> None:
    for folder, name in zip(chain.folders, chain.names, strict=True):
        limits: list[tuple[int, str]] = []
        for file in ("memory.max", "memory.high"):
            path = f"{folder}/{file}"
            text = host.read_text(path)
            number = None if text is None else parse_number(text)
            if number is not None:
                limits.append((number, file))
            elif not host.missing(path):
                found.why = f"{path} is not a number" if text else host.why(path)
            elif file == "memory.max" and host.read_text(f"{folder}/memory.current"):
                # the two exist together: a group without both has no memory controller
                found.why = host.why(path)
        lowest = min(limits, default=(NO_LIMIT, ""))
        if lowest[0] < NO_LIMIT:
            stat = host.read_text(f"{folder}/memory.stat")
            current = parse_number(host.read_text(f"{folder}/memory.current") or "")
            pairs = parse_pairs(stat or "")
            used = None
            if current is not None and "inactive_file" in pairs:
                used = max(0, current - pairs["inactive_file"] - pairs.get("slab_reclaimable", 0))
            else:
                found.unread_usage = f"what control group {name} uses could not be read"
            found.levels.append(Level(limit_bytes=lowest[0], group=name, file=lowest[1], used_bytes=used))
        swap = parse_number(host.read_text(f"{folder}/memory.swap.max") or "")
        if swap is not None and swap < NO_LIMIT:
            taken = parse_number(host.read_text(f"{folder}/memory.swap.current") or "")
            found.swap.append(max(0, swap - (taken or 0)))


def _version_1(host: Host, chain: Groups, found: Limits) -> None:
    seen = covered = False
    for folder, name in zip(chain.folders, chain.names, strict=True):
        path = f"{folder}/memory.limit_in_bytes"
        text = host.read_text(path)
        stat = parse_pairs(host.read_text(f"{folder}/memory.stat") or "")
        # the kernel's own least of this group and all above it, also above what is mounted here
        inherited = stat.get("hierarchical_memory_limit")
        own = None if text is None else parse_number(text)
        seen = seen or own is not None or inherited is not None
        covered = covered or inherited is not None
        if own is None and not covered and (text is not None or not host.missing(path) or host.exists(folder)):
            found.why = f"{path} is not a number" if text else host.why(path)
        if own is not None and own < NO_LIMIT:
            current = parse_number(host.read_text(f"{folder}/memory.usage_in_bytes") or "")
            used = None
            if current is not None and "total_inactive_file" in stat:
                used = max(0, current - stat["total_inactive_file"])
            else:
                found.unread_usage = f"what control group {name} uses could not be read"
            found.levels.append(Level(limit_bytes=own, group=name, file="memory.limit_in_bytes", used_bytes=used))
        if inherited is not None and inherited < min([NO_LIMIT, *(level.limit_bytes for level in found.levels)]):
            found.levels.append(Level(limit_bytes=inherited, group=f"above {name}", file="hierarchical_memory_limit", used_bytes=None))
        both = parse_number(host.read_text(f"{folder}/memory.memsw.limit_in_bytes") or "")
        if both is not None and own is not None and both < NO_LIMIT and own < NO_LIMIT:
            found.swap.append(max(0, both - own))
    if not seen and found.why is None:
        found.why = "no memory control group could be read"
    # an ancestor that was read itself tells more than the same limit seen from below
    readable = {level.limit_bytes for level in found.levels if level.file != "hierarchical_memory_limit"}
    found.levels = [level for level in found.levels if level.file != "hierarchical_memory_limit" or level.limit_bytes not in readable]
    if any(level.file == "hierarchical_memory_limit" for level in found.levels):
        found.unread_usage = "the control group that limits the memory cannot be seen from here, nor what it uses"


def _emulated(host: Host) -> bool:
    """lxcfs puts a container's figures in place of some lines of /proc/meminfo and leaves others the host's."""
    return any(mount.point == MEMINFO and mount.filesystem == "fuse.lxcfs" for mount in host.mounts())


def read_total(host: Host, found: Found) -> None:
    """The hardware's memory."""
    if host.system == "linux":
        total = parse_meminfo(host.read_text(MEMINFO) or "").get("MemTotal")
        if total:
            found.put(TOTAL, total, f"{MEMINFO}, MemTotal" + (" as lxcfs shows it to this container" if _emulated(host) else ""))
        else:
            found.miss(TOTAL, host.why(MEMINFO) if host.read_text(MEMINFO) is None else f"{MEMINFO} has no MemTotal", SET_MEMORY)
        return
    memory = host.other_memory()
    if memory and memory["total"] > 0:
        found.put(TOTAL, memory["total"], "GlobalMemoryStatusEx" if host.system == "windows" else "sysctl hw.memsize")
        return
    size = host.sysctl("hw.memsize") or ""
    if size.isdecimal() and int(size):
        found.put(TOTAL, int(size), "sysctl hw.memsize")
    else:
        found.miss(TOTAL, "the system did not say how much memory it has", SET_MEMORY)


def _hugetlb(info: dict[str, int]) -> int:
    return info.get("Hugetlb", info.get("HugePages_Total", 0) * info.get("Hugepagesize", 0))


def _allowed_nodes(host: Host) -> tuple[int, str] | None:
    """Memory of the NUMA nodes this process is bound to; None where it may use all of them. `ValueError` where that is unreadable."""
    allowed = parse_list(parse_status(host.read_text("/proc/self/status") or "").get("Mems_allowed_list", ""))
    online = parse_list(host.read_text("/sys/devices/system/node/online") or "")
    if allowed is None or online is None or online <= allowed:
        return None
    total = 0
    for node in sorted(allowed & online):
        path = f"/sys/devices/system/node/node{node}/meminfo"
        lines = (host.read_text(path) or "").replace(f"Node {node} ", "")
        size = parse_meminfo(lines).get("MemTotal")
        if size is None:
            raise ValueError(f"the process is bound to some memory nodes, and {host.why(path)}")
        total += size
    return total, f"bound to memory nodes {','.join(map(str, sorted(allowed)))} of {len(online)}: {binary(total)}"


def read_limit(host: Host, found: Found, limits: Limits | None) -> None:
    """The least of hardware, control groups, address space and memory nodes. Needs the total."""
    total = found.values.get(TOTAL)
    if total is None:
        found.miss(LIMIT, found.unread[TOTAL].reason, SET_MEMORY)
        return
    if host.system != "linux" or limits is None:
        _other_limit(host, found, total)
        return
    if limits.why:
        found.miss(LIMIT, f"a limit may exist unseen: {limits.why}", SET_MEMORY)
        return
    reserved = _hugetlb(parse_meminfo(host.read_text(MEMINFO) or ""))
    ceilings = [(total, f"{MEMINFO}, MemTotal: no lower limit in any control group")]
    if reserved:
        ceilings.append((max(0, total - reserved), f"MemTotal less {binary(reserved)} set aside as huge pages"))
    nodes = _allowed_nodes(host)
    if nodes:
        ceilings.append(nodes)
    if limits.address_space_bytes is not None:
        ceilings.append((limits.address_space_bytes, f"limited by ulimit -v (RLIMIT_AS): {binary(limits.address_space_bytes)}"))
    for level in limits.levels:
        ceilings.append((level.limit_bytes, f"limited by control group {level.group}: {level.file} {binary(level.limit_bytes)}"))
    size, source = min(ceilings, key=lambda pair: pair[0])
    found.put(LIMIT, size, source)


def _other_limit(host: Host, found: Found, total: int) -> None:
    if host.system == "macos":
        found.put(LIMIT, total, "the hardware's: macOS has no control groups")
    elif host.system == "windows":
        raw = host.job_limits()
        if raw is None:
            found.miss(LIMIT, "the job object this process runs in could not be asked for its limits", SET_MEMORY)
            return
        ceiling = parse_job_limits(raw)
        if ceiling is not None and ceiling < total:
            found.put(LIMIT, ceiling, f"limited by the job object: {binary(ceiling)}")
        else:
            found.put(LIMIT, total, "the hardware's: no job object limits it")
    else:
        found.miss(LIMIT, f"limits are not read on {host.system}", SET_MEMORY)


def _free_estimate(host: Host, info: dict[str, int]) -> tuple[int, str] | None:
    """What could be had without swapping, on kernels before 3.14, by the kernel's own later formula (its commit 34e431b0ae39)."""
    pages = parse_low_watermarks(host.read_text("/proc/zoneinfo") or "")
    size = host.page_bytes()
    if pages is None or size is None or not {"MemFree", "Active(file)", "Inactive(file)", "SReclaimable"} <= info.keys():
        return None
    low = pages * size
    cache = info["Active(file)"] + info["Inactive(file)"]
    slab = info["SReclaimable"]
    free = info["MemFree"] - low + cache - min(cache // 2, low) + slab - min(slab // 2, low)
    return max(0, free), f"{MEMINFO} without MemAvailable: free and file pages less /proc/zoneinfo's low watermarks"


def read_available(host: Host, found: Found, limits: Limits | None) -> None:
    """What this process could have now without swapping; never above the limit."""
    close = "close other programs, or state it: --set memory=16GiB"
    if host.system != "linux" or limits is None:
        memory = host.other_memory()
        if memory and "available" in memory:
            ceiling = found.values.get(LIMIT, found.values.get(TOTAL, memory["available"]))
            found.put(AVAILABLE, min(memory["available"], ceiling), "psutil.virtual_memory().available")
        else:
            found.miss(AVAILABLE, "the system did not say how much memory is free", SET_MEMORY)
        return
    if limits.why:
        found.miss(AVAILABLE, f"a limit may exist unseen: {limits.why}", SET_MEMORY)
        return
    if limits.unread_usage:
        found.miss(AVAILABLE, limits.unread_usage, SET_MEMORY)
        return
    if limits.address_space_bytes is not None and limits.address_space_used is None:
        found.miss(AVAILABLE, f"ulimit -v is set, and {host.why('/proc/self/status')}", "lift it: ulimit -v unlimited")
        return
    rooms = [
        (max(0, level.limit_bytes - (level.used_bytes or 0)), f"room in control group {level.group}: {level.file} less what is in use")
        for level in limits.levels
    ]
    if limits.address_space_bytes is not None and limits.address_space_used is not None:
        rooms.append((max(0, limits.address_space_bytes - limits.address_space_used), "ulimit -v (RLIMIT_AS) less VmSize"))
    text = host.read_text(MEMINFO)
    if text is None:
        found.miss(AVAILABLE, host.why(MEMINFO), close)
        return
    info = parse_meminfo(text)
    emulated = _emulated(host)
    if emulated:
        if not rooms and {"MemFree", "Cached", "Shmem"} <= info.keys():
            rooms.append((max(0, info["MemFree"] + info["Cached"] - info["Shmem"]), f"{MEMINFO} (lxcfs): MemFree + Cached - Shmem"))
    elif "MemAvailable" in info:
        rooms.append(
            (info["MemAvailable"] + _arc(host), f"{MEMINFO}, MemAvailable" + (" and ZFS's shrinkable cache" if _arc(host) else ""))
        )
    else:
        estimate = _free_estimate(host, info)
        if estimate is None:
            found.miss(AVAILABLE, f"{MEMINFO} has no MemAvailable (kernel before 3.14), nor enough to work it out", close)
            return
        rooms.append(estimate)
    ceiling = found.values.get(LIMIT)
    if ceiling is None:
        found.miss(AVAILABLE, found.unread[LIMIT].reason if LIMIT in found.unread else "the limit could not be read", SET_MEMORY)
        return
    if not rooms:
        found.miss(AVAILABLE, f"{MEMINFO} (lxcfs) does not say enough", SET_MEMORY)
        return
    size, source = min(rooms, key=lambda pair: pair[0])
    found.put(AVAILABLE, min(size, ceiling), source)


def _arc(host: Host) -> int:
    """Bytes that ZFS would give back: its cache counts as used in /proc/meminfo (openzfs/zfs#10255)."""
    rows = [line.split() for line in (host.read_text("/proc/spl/kstat/zfs/arcstats") or "").splitlines()]
    values = {row[0]: int(row[2]) for row in rows if len(row) == 3 and row[2].isdecimal() and len(row[2]) <= 15}
    return max(0, values.get("size", 0) - values["c_min"]) if "c_min" in values else 0


def parse_swaps(text: str) -> dict[str, int]:
    """/proc/swaps: device to free bytes."""
    found = {}
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) == 5 and words[2].isdecimal() and words[3].isdecimal() and len(words[2]) <= 15 and len(words[3]) <= 15:
            found[words[0]] = max(0, int(words[2]) - int(words[3])) * 1024
    return found


def read_swap(host: Host, found: Found, limits: Limits | None) -> None:
    """Free swap on disks. Swap on zram is RAM and does not count."""
    if host.system != "linux" or limits is None:
        free = host.other_swap_free()
        if free is None:
            found.miss(SWAP, "the system did not say how much swap is free")
        else:
            found.put(SWAP, free, "psutil.swap_memory().free")
        return
    text = host.read_text(MEMINFO)
    info = parse_meminfo(text or "")
    if "SwapTotal" not in info or "SwapFree" not in info:
        found.miss(SWAP, host.why(MEMINFO) if text is None else f"{MEMINFO} has no SwapFree")
        return
    free, source = info["SwapFree"], f"{MEMINFO}, SwapFree"
    if info["SwapTotal"]:
        swaps = host.read_text("/proc/swaps")
        if swaps is None:
            found.miss(SWAP, f"whether swap is on zram, which is RAM, is not known: {host.why('/proc/swaps')}")
            return
        compressed = sum(size for device, size in parse_swaps(swaps).items() if device.startswith("/dev/zram"))
        if compressed:
            free, source = max(0, free - compressed), source + " without zram"
    if limits.swap and min(limits.swap) < free:
        free, source = min(limits.swap), "what the control group allows of swap"
    found.put(SWAP, free, source)
