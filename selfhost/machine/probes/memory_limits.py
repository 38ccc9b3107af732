"""What control groups allow of memory and swap to this process on Linux."""

from __future__ import annotations

from collections.abc import Mapping

from ...core.records import Record
from .cgroups import NO_LIMIT, Groups, groups, parse_number, parse_stat
from .host import Host


class Level(Record):
    """The limit of one group: its bytes, the group and file it stands in, what the group uses of it
    (None: not readable), of which `dirty_bytes` more must be written to disk before they are free.
    """

    limit_bytes: int
    group: str
    file: str
    used_bytes: int | None
    dirty_bytes: int = 0


class GroupLimits:
    """The limits of all groups above this process; `why` is set where one may exist unseen, and
    `swap_why` where one on swap may. `is_inside`: what shows as the top is a container's own group,
    and those above it do not show.
    """

    def __init__(self, why: str | None = None) -> None:
        self.levels: list[Level] = []
        self.swap_left_bytes: list[int] = []
        self.is_inside = False
        self.why = why
        self.swap_why: str | None = None


def read_group_limits(host: Host) -> GroupLimits:
    """Every limit on memory that holds for this process, each with its own group's use."""
    chain = groups(host, "memory", ("memory.max", "memory.high", "memory.current"))
    limits = GroupLimits(chain.why)
    if chain.why or not chain.folders:
        return limits
    (_version_1 if chain.version == 1 else _version_2)(host, chain, limits)
    if not limits.levels and not host.exists(chain.folders[0]):
        top = f"{chain.folders[-1]}/memory.max"
        if chain.version == 1 or host.missing(top):
            limits.why = limits.why or f"control group {chain.names[0]} cannot be seen from here"
    return limits


def in_use(current: int | None, stat: Mapping[str, int], prefix: str = "") -> int | None:
    """What a group could not give up: its use less file pages, active or not, and slab that says it
    is reclaimable. tmpfs, shared memory and locked pages are on other lists; dirty pages are
    written first.
    """
    inactive, active = (stat.get(f"{prefix}{kind}_file") for kind in ("inactive", "active"))
    if current is None or inactive is None or active is None:
        return None
    return max(0, current - inactive - active - stat.get("slab_reclaimable", 0))


def _number(host: Host, path: str) -> int | None:
    return parse_number(host.read_text(path) or "")


def _why_no_number(host: Host, path: str) -> str:
    return f"{path} is not a number" if host.read_text(path) else host.why(path)


# what every group has under the memory controller but the hierarchy's own top (CFTYPE_NOT_ON_ROOT
# in mm/memcontrol.c)
_TOGETHER = ("memory.max", "memory.high", "memory.current", "memory.low", "memory.events",
             "memory.swap.max", "memory.swap.current")  # fmt: skip


def _version_2(host: Host, chain: Groups, limits: GroupLimits) -> None:
    top = chain.folders[-1]
    counted: list[str] = []
    for folder, name in zip(chain.folders, chain.names, strict=True):
        stat = parse_stat(host.read_text(f"{folder}/memory.stat") or "")
        # the hierarchy's own top has memory.stat and no limits; a container's top has all files,
        # and a group without the controller has none, nor has one below it
        has_files = not all(host.missing(f"{folder}/{file}") for file in _TOGETHER)
        if not has_files and (folder == top or not (counted or stat)):
            continue
        counted.append(folder)
        ends = []
        for file in ("memory.max", "memory.high"):
            number = _number(host, f"{folder}/{file}")
            if number is None:
                limits.why = _why_no_number(host, f"{folder}/{file}")
            else:
                ends.append((number, file))
        lowest, file = min(ends, default=(NO_LIMIT, ""))
        if lowest < NO_LIMIT:
            used = in_use(_number(host, f"{folder}/memory.current"), stat)
            dirty = stat.get("file_dirty", 0) + stat.get("file_writeback", 0)
            level = Level(
                limit_bytes=lowest, group=name, file=file, used_bytes=used, dirty_bytes=dirty
            )
            limits.levels.append(level)
    limits.is_inside = top in counted
    _swap_2(host, chain, counted, limits)


def _swap_2(host: Host, chain: Groups, counted: list[str], limits: GroupLimits) -> None:
    """What each version 2 group may still swap. `counted`: the groups whose memory is limited. A
    kernel counts swap in every group or in none.
    """
    has_swap, lacking = False, ""
    for folder in chain.folders:
        swap, taken = _pair(host, folder, "memory.swap.max", "memory.swap.current", limits)
        if swap is not None and taken is not None and swap < NO_LIMIT:
            limits.swap_left_bytes.append(max(0, swap - taken))
        if swap is None and (folder in counted or (has_swap and folder != chain.folders[-1])):
            lacking = f"{folder}/memory.swap.max"
        has_swap = has_swap or swap is not None
    if has_swap and lacking:
        limits.swap_why = host.why(lacking)


def _pair(
    host: Host, folder: str, limit: str, used: str, limits: GroupLimits
) -> tuple[int | None, int | None]:
    """A limit of swap and its use: files that exist together, or not at all."""
    paths = f"{folder}/{limit}", f"{folder}/{used}"
    if all(map(host.missing, paths)):
        return None, None
    numbers = [_number(host, path) for path in paths]
    for path, number in zip(paths, numbers, strict=True):
        if number is None:
            limits.swap_why = _why_no_number(host, path)
    return numbers[0], numbers[1]


# the line of memory.stat that holds the least limit of a version 1 group and all above it, also
# above what is mounted here
_INHERITED = "hierarchical_memory_limit"


def _version_1(host: Host, chain: Groups, limits: GroupLimits) -> None:
    why, is_inherited, is_read = None, False, False
    for folder, name in zip(chain.folders, chain.names, strict=True):
        limit = _number(host, f"{folder}/memory.limit_in_bytes")
        stat = parse_stat(host.read_text(f"{folder}/memory.stat") or "")
        is_read = is_read or limit is not None
        # what a group below states as inherited holds for those above it
        is_inherited = is_inherited or _INHERITED in stat
        is_here = host.exists(folder) or not host.missing(f"{folder}/memory.limit_in_bytes")
        if limit is None and is_here and not is_inherited:
            why = _why_no_number(host, f"{folder}/memory.limit_in_bytes")
        if limit is not None and limit < NO_LIMIT:
            limits.levels.append(_level_1(host, folder, name, limit, stat))
            _swap_1(host, folder, limit, limits)
        limits.levels += _inherited_1(stat, name, limits.levels)
    limits.levels = _without_repeated(limits.levels)
    if not is_read and not is_inherited:
        why = why or "no memory control group could be read"
    limits.why = why


def _level_1(host: Host, folder: str, name: str, limit: int, stat: Mapping[str, int]) -> Level:
    current = _number(host, f"{folder}/memory.usage_in_bytes")
    return Level(
        limit_bytes=limit,
        group=name,
        file="memory.limit_in_bytes",
        used_bytes=in_use(current, stat, "total_"),
        dirty_bytes=stat.get("total_dirty", 0) + stat.get("total_writeback", 0),
    )


def _inherited_1(stat: Mapping[str, int], name: str, levels: list[Level]) -> list[Level]:
    inherited = stat.get(_INHERITED, NO_LIMIT)
    if inherited >= min((NO_LIMIT, *(level.limit_bytes for level in levels))):
        return []
    return [Level(limit_bytes=inherited, group=f"above {name}", file=_INHERITED, used_bytes=None)]


def _without_repeated(levels: list[Level]) -> list[Level]:
    # an ancestor that was read itself says more than the same limit seen from below
    readable = {level.limit_bytes for level in levels if level.file != _INHERITED}
    return [
        level for level in levels if level.file != _INHERITED or level.limit_bytes not in readable
    ]


def _swap_1(host: Host, folder: str, limit: int, limits: GroupLimits) -> None:
    """What a version 1 group may swap: its limit of memory and swap together, less its limit of
    memory.
    """
    both, taken = _pair(
        host, folder, "memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes", limits
    )
    if both is None or taken is None or both >= NO_LIMIT:
        return
    usage = _number(host, f"{folder}/memory.usage_in_bytes")
    left = 0 if usage is None else max(0, both - limit - max(0, taken - usage))
    limits.swap_left_bytes.append(left)
