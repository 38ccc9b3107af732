"""Memory: the hardware's, what this process may ever have, and what it could have now.
Containers' limits come before the machine's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ...core.records import Record
from ...core.units import binary
from ..record import MAX_MEMORY_BYTES, normal_architecture
from .cgroups import NO_LIMIT, Groups, Level, groups, parse_number, parse_pairs
from .host import SET_MEMORY, Found, Host
from .nvidia import GPUS

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
MEMINFO, LIMITS, STATUS = "/proc/meminfo", "/proc/self/limits", "/proc/self/status"
OVERCOMMIT, NODES, PCI = (
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/node",
    "/sys/bus/pci/devices",
)
UNSEEN_ABOVE = "groups above do not show inside the container, and may allow less"
NUMA_MAPS = "/proc/self/numa_maps"
# its first line is some 120 bytes, and each further one costs the kernel a walk over pages
_FIRST_LINE_BYTES = 4096
# `55b2ae438000 bind=static:0-1 file=/usr/bin/python3 …`: where the mapping lies, and the policy
# that holds there
POLICY = re.compile(
    r"[0-9a-f]+ (?P<text>(?P<mode>[a-z]+|prefer \(many\)|weighted"
    r" interleave)(?:=[a-z|]+)?(?::(?P<nodes>[0-9,-]+))?)(?=\s)"
)


def parse_meminfo(text: str) -> dict[str, int]:
    """/proc/meminfo in bytes; lines without kB are counts. Lines of another shape are left out,
    and a last one that was cut off.
    """
    values = {}
    for line in text[: text.rfind("\n") + 1].splitlines():
        name, colon, rest = line.partition(":")
        words = rest.split()
        if colon and words and words[0].isdecimal() and words[0].isascii() and len(words[0]) <= 15:
            values[name.strip()] = int(words[0]) * (1024 if words[1:] == ["kB"] else 1)
    return values


def parse_limit(text: str, name: str) -> tuple[int, bool] | None:
    """A soft limit in /proc/self/limits, as "Max address space": bytes, -1 for unlimited, and
    whether the hard limit is above it.

    None where the line is missing.
    """
    for line in text.splitlines():
        words = line[len(name) :].split() if line.startswith(name) else []
        if words and words[0] == "unlimited":
            return -1, False
        if words and words[0].isdecimal() and words[0].isascii() and len(words[0]) <= 20:
            return int(words[0]), len(words) > 1 and words[1] != words[0]
    return None


def parse_status(text: str) -> dict[str, str]:
    """/proc/self/status: name to value."""
    return {
        name: rest.strip()
        for name, colon, rest in (line.partition(":") for line in text.splitlines())
        if colon
    }


def parse_list(text: str) -> frozenset[int] | None:
    """`0-3,8` -> the numbers; None for another shape or more than 65,536 of them."""
    numbers: set[int] = set()
    for part in text.strip().split(","):
        first, dash, last = part.partition("-")
        if not all(
            word.isdecimal() and word.isascii() and len(word) <= 6
            for word in ((first, last) if dash else (first,))
        ):
            return None
        low, high = int(first), int(last if dash else first)
        if not low <= high < 65536:
            return None
        numbers.update(range(low, high + 1))
    return frozenset(numbers)


def parse_bound_nodes(text: str) -> frozenset[int] | None:
    """The nodes that the policy in the first line of /proc/self/numa_maps confines memory to; None
    where it confines to none.

    The first mapping is the program itself, to which nobody gives a policy of its own, so that its
    line shows the process's (mpol_to_str in the kernel's mm/mempolicy.c). Only `bind` is strict:
    the others name nodes they begin with. `ValueError` for another shape.
    """
    policy = POLICY.match(text)
    if policy is None:
        raise ValueError(f"{NUMA_MAPS} does not begin with a memory policy")
    if policy["mode"] != "bind":
        return None
    nodes = parse_list(policy["nodes"] or "")
    if nodes is None:
        raise ValueError(f"{NUMA_MAPS} does not say which nodes memory is bound to")
    return nodes


def parse_low_watermarks(text: str) -> int | None:
    """Pages that /proc/zoneinfo keeps back, over all zones."""
    pages = [
        line.split()[1]
        for line in text.splitlines()
        if line.split()[:1] == ["low"] and len(line.split()) == 2
    ]
    return (
        sum(map(int, pages))
        if pages and all(page.isdecimal() and len(page) <= 12 for page in pages)
        else None
    )


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


class Ulimit(Record):
    """A limit of the shell: its name for people, and what the process already takes of it (None:
    not readable).

    `mapped`: model files that are mapped count too, so that nothing larger loads at all. `lift` is
    a clause that says how to lift a limit that may be lifted.
    """

    limit_bytes: int
    name: str
    used_bytes: int | None
    mapped: bool
    lift: str = ""

    @property
    def room(self) -> str:
        """What is left of it, and how to lift it, in words."""
        return f"{self.name} less what is in use{self.lift}"


class Limits:
    """What control groups and rlimits say about memory; `why` is set where a limit may exist
    unseen.

    `inside`: what shows as the top is a group of its own, a container's, and those above it do not
    show.
    """

    def __init__(self) -> None:
        self.inside = False
        self.levels: list[Level] = []
        self.swap: list[int] = []
        self.ulimits: list[Ulimit] = []
        self.file_size: tuple[int, str] | None = None
        self.why: str | None = None
        self.swap_why: str | None = None


# the line of /proc/self/limits, how people know it, the line of /proc/self/status that counts
# against it, and whether mapped files do
_ULIMITS = (
    ("Max address space", "ulimit -v (RLIMIT_AS)", "VmSize", True),
    # since Linux 4.7 all private memory (commit 8463833590be)
    ("Max data size", "ulimit -d (RLIMIT_DATA)", "VmData", False),
)


def read_limits(host: Host) -> Limits:
    """Every limit that holds for this process on Linux, each with its own group's use."""
    limits = Limits()
    chain = groups(host, "memory", ("memory.max", "memory.high", "memory.current"))
    if chain.why:
        limits.why = chain.why
    elif chain.version == 1:
        _version_1(host, chain, limits)
    else:
        _version_2(host, chain, limits)
    text = host.read_text(LIMITS)
    used = parse_meminfo(host.read_text(STATUS) or "")
    for line, name, taken, mapped in _ULIMITS:
        soft = parse_limit(text or "", line)
        if soft is None and mapped and (fallback := host.address_space_bytes()) is not None:
            soft = fallback, False
        if soft is None:
            limits.why = limits.why or (
                host.why(LIMITS) if text is None else f"{LIMITS} does not state {line!r}"
            )
        elif soft[0] >= 0:
            lift = _lift(name, soft[1])
            limits.ulimits.append(
                Ulimit(
                    limit_bytes=soft[0],
                    name=name,
                    used_bytes=used.get(taken),
                    mapped=mapped,
                    lift=lift,
                )
            )
    largest = parse_limit(text or "", "Max file size")
    if largest is not None and largest[0] >= 0:
        name = "ulimit -f (RLIMIT_FSIZE)"
        limits.file_size = largest[0], name + _lift(name, largest[1])
    return limits


def _lift(name: str, possible: bool) -> str:
    return f"; `ulimit {name[7:9]} unlimited` lifts it" if possible else ""


# what every group has under the memory controller but the hierarchy's own top (CFTYPE_NOT_ON_ROOT
# in mm/memcontrol.c)
_TOGETHER = (
    "memory.max",
    "memory.high",
    "memory.current",
    "memory.low",
    "memory.events",
    "memory.swap.max",
    "memory.swap.current",
)


def _version_2(host: Host, chain: Groups, all_limits: Limits) -> None:
    counted = swapped = False
    without_swap = ""
    # the hierarchy's own top has memory.stat and no limits; a container's has all
    top = chain.folders[-1] if chain.folders else ""
    for folder, name in zip(chain.folders, chain.names, strict=True):
        limits = _group_limits(host, folder, all_limits, is_top=folder == top, counted=counted)
        counted = counted or bool(limits)
        all_limits.inside = all_limits.inside or (folder == top and bool(limits))
        lowest = min(limits, default=(NO_LIMIT, ""))
        if lowest[0] < NO_LIMIT:
            all_limits.levels.append(_level(host, folder, name, lowest))
        swap, taken = _pair(host, folder, "memory.swap.max", "memory.swap.current", all_limits)
        if swap is not None and taken is not None and swap < NO_LIMIT:
            all_limits.swap.append(max(0, swap - taken))
        if swap is None and (limits or (swapped and folder != top)):
            without_swap = f"{folder}/memory.swap.max"
        swapped = swapped or swap is not None
    if swapped and without_swap:
        # a kernel counts swap in every group or in none
        all_limits.swap_why = host.why(without_swap)
    # where the top has limits of its own it is a container's
    hidden = bool(chain.folders) and not host.exists(chain.folders[0])
    if hidden and not all_limits.levels and host.missing(f"{chain.folders[-1]}/memory.max"):
        all_limits.why = (
            all_limits.why or f"control group {chain.names[0]} cannot be seen from here"
        )


def _group_limits(
    host: Host, folder: str, all_limits: Limits, *, is_top: bool, counted: bool
) -> list[tuple[int, str]]:
    """Bytes and file of each limit of a version 2 group. `counted`: a group below it has some."""
    limits: list[tuple[int, str]] = []
    for file in ("memory.max", "memory.high"):
        path = f"{folder}/{file}"
        text = host.read_text(path)
        number = None if text is None else parse_number(text)
        if number is not None:
            limits.append((number, file))
        elif not host.missing(path):
            all_limits.why = f"{path} is not a number" if text else host.why(path)
        elif not all(host.missing(f"{folder}/{beside}") for beside in _TOGETHER) or (
            not is_top and (counted or host.read_text(f"{folder}/memory.stat"))
        ):
            # a group without them has no memory controller, nor has one below it
            all_limits.why = host.why(path)
    return limits


def _level(host: Host, folder: str, name: str, limit: tuple[int, str]) -> Level:
    """A limit of a version 2 group, bytes and file, with what the group has in use."""
    pairs = parse_pairs(host.read_text(f"{folder}/memory.stat") or "")
    current = parse_number(host.read_text(f"{folder}/memory.current") or "")
    return Level(
        limit_bytes=limit[0],
        group=name,
        file=limit[1],
        used_bytes=_in_use(current, pairs, ""),
        dirty_bytes=pairs.get("file_dirty", 0) + pairs.get("file_writeback", 0),
    )


def _in_use(current: int | None, stat: Mapping[str, int], prefix: str) -> int | None:
    """What a group could not give up: its use less file pages, active or not, and slab that says it
    is reclaimable.

    What MemAvailable counts, but that a group has no watermarks to keep back. tmpfs, shared memory
    and locked pages are on other lists; dirty pages are written first (700 of 754 MB in use dirty
    in a group of 1 GiB: 900 MiB were then had, none killed).
    """
    inactive, active = (stat.get(f"{prefix}{kind}_file") for kind in ("inactive", "active"))
    if current is None or inactive is None or active is None:
        return None
    return max(0, current - inactive - active - stat.get("slab_reclaimable", 0))


def _pair(
    host: Host, folder: str, limit: str, used: str, limits: Limits
) -> tuple[int | None, int | None]:
    """A limit of swap and its use: files that exist together, or not at all in a kernel that
    does not count swap.
    """
    numbers = []
    for name in (limit, used):
        path = f"{folder}/{name}"
        text = host.read_text(path)
        numbers.append(None if text is None else parse_number(text))
        if numbers[-1] is None and not host.missing(path):
            limits.swap_why = f"{path} is not a number" if text else host.why(path)
    if (numbers[0] is None) != (numbers[1] is None):
        limits.swap_why = host.why(f"{folder}/{limit if numbers[0] is None else used}")
    return numbers[0], numbers[1]


def _version_1(host: Host, chain: Groups, limits: Limits) -> None:
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
        if (
            own is None
            and not covered
            and (text is not None or not host.missing(path) or host.exists(folder))
        ):
            limits.why = f"{path} is not a number" if text else host.why(path)
        limits.levels += _levels_1(host, folder, name, own, stat)
        lowest = min([NO_LIMIT, *(level.limit_bytes for level in limits.levels)])
        if inherited is not None and inherited < lowest:
            limits.levels.append(
                Level(
                    limit_bytes=inherited,
                    group=f"above {name}",
                    file=_INHERITED,
                    used_bytes=None,
                )
            )
        _swap_1(host, folder, own, limits)
    if not seen and limits.why is None:
        limits.why = "no memory control group could be read"
    if not limits.levels and not host.exists(chain.folders[0]):
        limits.why = limits.why or f"control group {chain.names[0]} cannot be seen from here"
    # an ancestor that was read itself tells more than the same limit seen from below
    readable = {level.limit_bytes for level in limits.levels if level.file != _INHERITED}
    limits.levels = [
        level
        for level in limits.levels
        if level.file != _INHERITED or level.limit_bytes not in readable
    ]


# the line of memory.stat that holds the least limit of a version 1 group and all above it
_INHERITED = "hierarchical_memory_limit"


def _levels_1(
    host: Host, folder: str, name: str, limit_bytes: int | None, stat: Mapping[str, int]
) -> list[Level]:
    """The limit of a version 1 group with what the group has in use; none without a limit."""
    if limit_bytes is None or limit_bytes >= NO_LIMIT:
        return []
    current = parse_number(host.read_text(f"{folder}/memory.usage_in_bytes") or "")
    return [
        Level(
            limit_bytes=limit_bytes,
            group=name,
            file="memory.limit_in_bytes",
            used_bytes=_in_use(current, stat, "total_"),
            dirty_bytes=stat.get("total_dirty", 0) + stat.get("total_writeback", 0),
        )
    ]


def _swap_1(host: Host, folder: str, own: int | None, limits: Limits) -> None:
    """What a version 1 group may swap: its limit of memory and swap together, less `own`."""
    both, taken = _pair(
        host, folder, "memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes", limits
    )
    if both is None or taken is None or own is None or both >= NO_LIMIT or own >= NO_LIMIT:
        return
    usage = parse_number(host.read_text(f"{folder}/memory.usage_in_bytes") or "")
    limits.swap.append(max(0, both - own - max(0, taken - usage)) if usage is not None else 0)


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
    if host.system == "linux":
        total = parse_meminfo(host.read_text(MEMINFO) or "").get("MemTotal")
        if total:
            try:
                graphics = sum(_node(host, node)["MemTotal"] for node in _gpu_nodes(host))
            except ValueError as error:
                facts.miss(TOTAL, str(error), SET_MEMORY)
                return
            if graphics >= total:
                facts.miss(
                    TOTAL,
                    f"{MEMINFO} has less memory than the GPUs' own, which it counts",
                    SET_MEMORY,
                )
                return
            less = f" less {binary(graphics)} that are GPUs' own" if graphics else ""
            facts.put(TOTAL, total - graphics, f"{MEMINFO}, MemTotal{less}{_whose(host)}")
        else:
            facts.miss(
                TOTAL,
                (
                    host.why(MEMINFO)
                    if host.read_text(MEMINFO) is None
                    else f"{MEMINFO} has no MemTotal"
                ),
                SET_MEMORY,
            )
        return
    memory = host.other_memory()
    if memory and memory["total"] > 0:
        facts.put(
            TOTAL,
            memory["total"],
            "GlobalMemoryStatusEx" if host.system == "windows" else "sysctl hw.memsize",
        )
        return
    size = host.sysctl("hw.memsize") or ""
    if size.isdecimal() and int(size):
        facts.put(TOTAL, int(size), "sysctl hw.memsize")
    else:
        facts.miss(TOTAL, "the system did not say how much memory it has", SET_MEMORY)


def _hugetlb(info: dict[str, int]) -> int:
    return info.get("Hugetlb", info.get("HugePages_Total", 0) * info.get("Hugepagesize", 0))


class Nodes(Record):
    """The memory nodes whose memory this process may use: what node*/meminfo says of all of them
    together, and how many they are.

    `bound`: it may not use all RAM there is.
    """

    info: Mapping[str, int]
    count: int
    bound: bool


def _online(host: Host) -> frozenset[int]:
    listed = parse_list(host.read_text(f"{NODES}/online") or "") or frozenset()
    return listed | {int(name[4:]) for name in host.listdir(NODES, r"node\d{1,5}$") or ()}


def _node(host: Host, node: int) -> dict[str, int]:
    """A node's meminfo in bytes. `ValueError` where it cannot be read."""
    path = f"{NODES}/node{node}/meminfo"
    info = parse_meminfo((host.read_text(path) or "").replace(f"Node {node} ", ""))
    if "MemTotal" not in info:
        raise ValueError(f"the memory of some memory nodes counts apart, and {host.why(path)}")
    return info


def parse_numa_status(text: str) -> int | None:
    """The memory node in /proc/driver/nvidia/gpus/*/numa_status; None where the GPU's memory is
    none (nv-procfs.c of NVIDIA's driver).
    """
    match = re.search(r"^Node:\s*(\d{1,5})$", text, re.MULTILINE)
    return int(match[1]) if match else None


def _gpu_nodes(host: Host) -> frozenset[int]:
    """Memory nodes that are a GPU's own: the kernel counts them in MemTotal (Grace Hopper, Grace
    Blackwell, POWER9).

    NVIDIA's driver names them; open-mpi/hwloc asks it the same way. `ValueError` where a node may
    be a GPU's and nothing tells.
    """
    online = _online(host)
    if len(online) < 2:
        return frozenset()
    named = set()
    for slot in host.listdir(GPUS) or ():
        path = f"{GPUS}/{slot}/numa_status"
        text = host.read_text(path)
        node = parse_numa_status(text or "")
        if node is not None:
            named.add(node)
        elif text is None and not host.missing(path):
            raise ValueError(f"which memory nodes are a GPU's is not known: {host.why(path)}")
    # memory of a card on any other bus is never a node
    if normal_architecture(host.machine() or "") not in ("aarch64", "ppc64le") or not _has_nvidia(
        host
    ):
        return online & named
    with_memory, with_cpus = f"{NODES}/has_memory", f"{NODES}/has_cpu"
    memory, cpus = (parse_list(host.read_text(path) or "") for path in (with_memory, with_cpus))
    if memory is None or cpus is None:
        raise ValueError(
            "which memory nodes are a GPU's is not known:"
            f" {host.why(with_memory if memory is None else with_cpus)}"
        )
    if bare := memory - cpus - named:
        raise ValueError(
            f"memory node {min(bare)} has no CPUs, and NVIDIA's driver does not tell here whether"
            " it is a GPU's own memory"
        )
    return online & named


def _has_nvidia(host: Host) -> bool:
    return host.exists(GPUS) or any(
        host.read_text(f"{PCI}/{slot}/vendor", 256) == "0x10de\n"
        for slot in host.listdir(PCI) or ()
    )


def _nodes(host: Host) -> Nodes | None:
    """The nodes that count for this process; None where all memory does. `ValueError` where
    that cannot be told.
    """
    online = _online(host)
    if len(online) < 2:
        return None
    allowed = parse_list(parse_status(host.read_text(STATUS) or "").get("Mems_allowed_list", ""))
    if allowed is None:
        raise ValueError(
            f"there are {len(online)} memory nodes, and which of them this process may use is not"
            " known"
        )
    policy = host.read_text(NUMA_MAPS, _FIRST_LINE_BYTES)
    if policy is None:
        raise ValueError(
            f"there are {len(online)} memory nodes, and the policy that chooses among them is not"
            f" known: {host.why(NUMA_MAPS)}"
        )
    bound = parse_bound_nodes(policy)
    if bound is not None:
        allowed &= bound
    ram = online - _gpu_nodes(host)
    if online <= allowed and ram == online:
        return None
    every = [_node(host, node) for node in sorted(ram & allowed)]
    # what one of them does not state is not known of all
    names = set.intersection(*(set(info) for info in every)) if every else {"MemTotal"}
    info = {name: sum(info[name] for info in every) for name in names}
    return Nodes(info=info, count=len(every), bound=not ram <= allowed)


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
    info = parse_meminfo(host.read_text(MEMINFO) or "")
    reserved = _hugetlb(info)
    shared = (
        "; the pod has no limit: the node's memory is shared, and what takes more than its request"
        " is ended first"
    )
    pod = shared if "KUBERNETES_SERVICE_HOST" in host.env else ""
    shown = " that shows inside the container" if limits.inside else ""
    ceilings = [(total, f"{MEMINFO}, MemTotal: no lower limit in any control group{shown}{pod}")]
    if reserved:
        ceilings.append(
            (max(0, total - reserved), f"MemTotal less {binary(reserved)} set aside as huge pages")
        )
    try:
        nodes = _nodes(host)
    except ValueError as error:
        facts.miss(LIMIT, str(error), SET_MEMORY)
        return
    if nodes and nodes.bound:
        size = max(
            0,
            nodes.info["MemTotal"]
            - nodes.info.get("HugePages_Total", 0) * info.get("Hugepagesize", 0),
        )
        ceilings.append(
            (
                size,
                (
                    f"limited by the memory nodes this process is bound to ({nodes.count}):"
                    f" {binary(size)}"
                ),
            )
        )
    for limit in limits.ulimits:
        if limit.mapped:
            ceilings.append(
                (
                    limit.limit_bytes,
                    f"limited by {limit.name}: {binary(limit.limit_bytes)}{limit.lift}",
                )
            )
    above = f"; {UNSEEN_ABOVE}" if limits.inside else ""
    for level in limits.levels:
        ceilings.append(
            (
                level.limit_bytes,
                (
                    f"limited by control group {level.group}: {level.file}"
                    f" {binary(level.limit_bytes)}{above}"
                ),
            )
        )
    size, source = min(ceilings, key=lambda pair: pair[0])
    facts.put(LIMIT, size, source)


def _other_limit(host: Host, facts: Found, total: int) -> None:
    if host.system == "macos":
        facts.put(LIMIT, total, "the hardware's: macOS has no control groups")
    elif host.system == "windows":
        raw = host.job_limits()
        if raw is None:
            facts.miss(
                LIMIT,
                "the job object this process runs in could not be asked for its limits",
                SET_MEMORY,
            )
            return
        ceiling = parse_job_limits(raw)
        if ceiling is not None and ceiling < total:
            facts.put(LIMIT, ceiling, f"limited by the job object: {binary(ceiling)}")
        else:
            facts.put(LIMIT, total, "the hardware's: no job object limits it")
    else:
        facts.miss(LIMIT, f"limits are not read on {host.system}", SET_MEMORY)


_FREE_AND_FILES = ("MemFree", "Active(file)", "Inactive(file)", "SReclaimable")


def _free_estimate(host: Host, info: Mapping[str, int]) -> int | None:
    """What could be had without swapping, by the kernel's own formula (its commit 34e431b0ae39);
    None where something is missing.

    For some nodes the watermarks of all are kept back.
    """
    pages = parse_low_watermarks(host.read_text("/proc/zoneinfo") or "")
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
        rooms = _rooms(host, limits, facts.values[TOTAL])
    except ValueError as error:
        facts.miss(AVAILABLE, str(error), SET_MEMORY)
        return
    size, source = min(rooms, key=lambda pair: pair[0])
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
            facts.put(ADDRESS_SPACE if limit.mapped else PRIVATE, left, limit.room)
    if limits and (host.read_text(OVERCOMMIT) or "").strip() == "2":
        most = parse_meminfo(host.read_text(MEMINFO) or "").get("CommitLimit")
        if most is not None and most < facts.values.get(PRIVATE, MAX_MEMORY_BYTES):
            facts.put(PRIVATE, most, f"{MEMINFO}, CommitLimit: {OVERCOMMIT} is 2")
    if limits and limits.file_size and limits.file_size[0] <= MAX_MEMORY_BYTES:
        facts.put(FILE_SIZE, *limits.file_size)


def _other_available(host: Host, facts: Found) -> None:
    memory = host.other_memory()
    if not memory or "available" not in memory:
        facts.miss(AVAILABLE, "the system did not say how much memory is free", SET_MEMORY)
        return
    rooms = [(memory["available"], "psutil.virtual_memory().available")]
    if "commit" in memory:
        rooms.append(
            (
                memory["commit"],
                (
                    "GlobalMemoryStatusEx, ullAvailPageFile: what Windows still promises; a larger"
                    " page file gives more"
                ),
            )
        )
    size, source = min(rooms, key=lambda pair: pair[0])
    facts.put(AVAILABLE, min(size, facts.values.get(LIMIT, facts.values.get(TOTAL, size))), source)


def _rooms(host: Host, limits: Limits, total: int) -> list[tuple[int, str]]:
    """What each limit leaves, and where that was read; the machine's own free memory is one.
    `ValueError` where one is unreadable.
    """
    text = host.read_text(MEMINFO)
    if text is None:
        raise ValueError(host.why(MEMINFO))
    info = parse_meminfo(text)
    rooms = []
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
        rooms.append((max(0, level.limit_bytes - level.used_bytes), source))
    for limit in limits.ulimits:
        if limit.used_bytes is None:
            raise ValueError(f"{limit.name} is set, and {host.why(STATUS)}")
        # what is mapped, as the weights may be, does not count against the other one: it bounds no
        # memory as such
        if limit.mapped:
            rooms.append((max(0, limit.limit_bytes - limit.used_bytes), limit.room))
    if nodes := _nodes(host):
        free = _free_estimate(host, nodes.info)
        if free is None:
            raise ValueError(
                "what is free on the memory nodes that count for this process could not be read"
            )
        rooms.append(
            (
                free,
                "free and file pages of the memory nodes "
                + ("this process is bound to" if nodes.bound else "that are no GPU's"),
            )
        )
    if not _emulated(host):
        rooms.append(_free(host, info))
    elif not rooms:
        if not {"MemFree", "Cached", "Shmem"} <= info.keys():
            raise ValueError(f"{MEMINFO} (lxcfs) does not say enough")
        rooms.append(
            (
                max(0, info["MemFree"] + info["Cached"] - info["Shmem"]),
                f"{MEMINFO} (lxcfs): MemFree + Cached - Shmem",
            )
        )
    promised = _promised(host, info, min(rooms)[0])
    return [*rooms, promised] if promised else rooms


def _free(host: Host, info: dict[str, int]) -> tuple[int, str]:
    if "MemAvailable" in info:
        arc = _arc(host)
        return info[
            "MemAvailable"
        ] + arc, f"{MEMINFO}, MemAvailable" + " and ZFS's shrinkable cache" * bool(arc)
    estimate = _free_estimate(host, info)
    if estimate is None:
        raise ValueError(
            f"{MEMINFO} has no MemAvailable (kernel before 3.14), nor enough to work it out"
        )
    return (
        estimate,
        f"{MEMINFO} without MemAvailable: free and file pages less /proc/zoneinfo's low watermarks",
    )


def _promised(host: Host, info: dict[str, int], room: int) -> tuple[int, str] | None:
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
    if left is not None and 0 <= left < room:
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
    text = host.read_text(MEMINFO)
    info = parse_meminfo(text or "")
    if "SwapTotal" not in info or "SwapFree" not in info:
        facts.miss(SWAP, host.why(MEMINFO) if text is None else f"{MEMINFO} has no SwapFree")
        return
    free, source = info["SwapFree"], f"{MEMINFO}, SwapFree"
    if info["SwapTotal"]:
        swaps = host.read_text("/proc/swaps")
        if swaps is None:
            facts.miss(
                SWAP,
                f"whether swap is on zram, which is RAM, is not known: {host.why('/proc/swaps')}",
            )
            return
        compressed = sum(
            size for device, size in parse_swaps(swaps).items() if device.startswith("/dev/zram")
        )
        if compressed:
            free, source = max(0, free - compressed), source + " without zram"
    if free and (unseen := limits.swap_why or limits.why):
        facts.miss(SWAP, f"a limit on swap may exist unseen: {unseen}")
        return
    if limits.swap and min(limits.swap) < free:
        free, source = min(limits.swap), "what the control group allows of swap"
    facts.put(SWAP, free, source)
