"""What control groups and the shell's limits allow of memory to this process on Linux."""

from __future__ import annotations

from collections.abc import Mapping

from ...core.records import Record
from .cgroups import NO_LIMIT, Groups, Level, groups, parse_number, parse_pairs
from .host import Host
from .procfs import LIMITS, STATUS, parse_limit, parse_meminfo


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
    def source(self) -> str:
        """What its remainder is and how to lift it, in words."""
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
    _read_ulimits(host, limits)
    return limits


def _read_ulimits(host: Host, limits: Limits) -> None:
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
            limits.ulimits.append(
                Ulimit(
                    limit_bytes=soft[0],
                    name=name,
                    used_bytes=used.get(taken),
                    mapped=mapped,
                    lift=_lift(name, soft[1]),
                )
            )
    largest = parse_limit(text or "", "Max file size")
    if largest is not None and largest[0] >= 0:
        name = "ulimit -f (RLIMIT_FSIZE)"
        limits.file_size = largest[0], name + _lift(name, largest[1])


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


def _version_2(host: Host, chain: Groups, limits: Limits) -> None:
    # the hierarchy's own top has memory.stat and no limits; a container's top has all files
    top = chain.folders[-1] if chain.folders else ""
    counted: list[str] = []
    for folder, name in zip(chain.folders, chain.names, strict=True):
        own = _group_limits(host, folder, limits, is_top=folder == top, counted=bool(counted))
        if own:
            counted.append(folder)
        lowest = min(own, default=(NO_LIMIT, ""))
        if lowest[0] < NO_LIMIT:
            limits.levels.append(_level(host, folder, name, lowest))
    limits.inside = top in counted
    _swap_2(host, chain, counted, limits)
    hidden = bool(chain.folders) and not host.exists(chain.folders[0])
    if hidden and not limits.levels and host.missing(f"{top}/memory.max"):
        limits.why = limits.why or f"control group {chain.names[0]} cannot be seen from here"


def _swap_2(host: Host, chain: Groups, counted: list[str], limits: Limits) -> None:
    """What each version 2 group may still swap. `counted`: the groups whose memory is limited."""
    swapped = False
    without_swap = ""
    for folder in chain.folders:
        swap, taken = _pair(host, folder, "memory.swap.max", "memory.swap.current", limits)
        if swap is not None and taken is not None and swap < NO_LIMIT:
            limits.swap.append(max(0, swap - taken))
        if swap is None and (folder in counted or (swapped and folder != chain.folders[-1])):
            without_swap = f"{folder}/memory.swap.max"
        swapped = swapped or swap is not None
    if swapped and without_swap:
        # a kernel counts swap in every group or in none
        limits.swap_why = host.why(without_swap)


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


class _Group1(Record):
    """A version 1 group: its own limit (None: not read) and what memory.stat states."""

    folder: str
    name: str
    limit_bytes: int | None
    stat: Mapping[str, int]

    @property
    def inherited_bytes(self) -> int | None:
        """The kernel's own least of this group and all above it, also above what is mounted
        here; None where memory.stat does not state it.
        """
        return self.stat.get(_INHERITED)


def _group_1(host: Host, folder: str, name: str) -> _Group1:
    return _Group1(
        folder=folder,
        name=name,
        limit_bytes=parse_number(host.read_text(f"{folder}/memory.limit_in_bytes") or ""),
        stat=parse_pairs(host.read_text(f"{folder}/memory.stat") or ""),
    )


def _version_1(host: Host, chain: Groups, limits: Limits) -> None:
    members = [
        _group_1(host, folder, name)
        for folder, name in zip(chain.folders, chain.names, strict=True)
    ]
    limits.why = _why_unread_1(host, members) or limits.why
    for group in members:
        limits.levels += _levels_1(host, group)
        limits.levels += _inherited_1(group, limits.levels)
        _swap_1(host, group, limits)
    if not limits.levels and not host.exists(chain.folders[0]):
        limits.why = limits.why or f"control group {chain.names[0]} cannot be seen from here"
    # an ancestor that was read itself says more than the same limit seen from below
    readable = {level.limit_bytes for level in limits.levels if level.file != _INHERITED}
    limits.levels = [
        level
        for level in limits.levels
        if level.file != _INHERITED or level.limit_bytes not in readable
    ]


def _why_unread_1(host: Host, members: list[_Group1]) -> str | None:
    """Why a limit is unread that no group below it states as inherited; of several the last."""
    why = None
    for group in members:
        if group.inherited_bytes is not None:
            return why
        if group.limit_bytes is None:
            why = _why_no_limit_1(host, group.folder) or why
    if any(group.limit_bytes is not None for group in members):
        return why
    return why or "no memory control group could be read"


def _why_no_limit_1(host: Host, folder: str) -> str | None:
    """Why a version 1 group's limit is unread; None where the whole group does not show here."""
    path = f"{folder}/memory.limit_in_bytes"
    if host.missing(path) and not host.exists(folder):
        return None
    return f"{path} is not a number" if host.read_text(path) else host.why(path)


# the line of memory.stat that holds the least limit of a version 1 group and all above it
_INHERITED = "hierarchical_memory_limit"


def _levels_1(host: Host, group: _Group1) -> list[Level]:
    """The limit of a version 1 group with what the group has in use; none without a limit."""
    if group.limit_bytes is None or group.limit_bytes >= NO_LIMIT:
        return []
    current = parse_number(host.read_text(f"{group.folder}/memory.usage_in_bytes") or "")
    return [
        Level(
            limit_bytes=group.limit_bytes,
            group=group.name,
            file="memory.limit_in_bytes",
            used_bytes=_in_use(current, group.stat, "total_"),
            dirty_bytes=group.stat.get("total_dirty", 0) + group.stat.get("total_writeback", 0),
        )
    ]


def _inherited_1(group: _Group1, levels: list[Level]) -> list[Level]:
    """The limit of a group above, where it is below those in `levels`; what is in use there does
    not show.
    """
    lowest = min((NO_LIMIT, *(level.limit_bytes for level in levels)))
    inherited = group.inherited_bytes
    if inherited is None or inherited >= lowest:
        return []
    return [
        Level(limit_bytes=inherited, group=f"above {group.name}", file=_INHERITED, used_bytes=None)
    ]


def _swap_1(host: Host, group: _Group1, limits: Limits) -> None:
    """What a version 1 group may swap: its limit of memory and swap together, less its limit of
    memory.
    """
    folder, own = group.folder, group.limit_bytes
    both, taken = _pair(
        host, folder, "memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes", limits
    )
    if both is None or taken is None or own is None or both >= NO_LIMIT or own >= NO_LIMIT:
        return
    usage = parse_number(host.read_text(f"{folder}/memory.usage_in_bytes") or "")
    limits.swap.append(max(0, both - own - max(0, taken - usage)) if usage is not None else 0)
