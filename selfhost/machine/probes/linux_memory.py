"""The memory of a Linux machine, read from files of its kernel: the total, the limits that control
groups and `ulimit` set for this process, and the free part of these.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ...core.records import Record
from ...core.units import binary
from ..record import MAX_MEMORY_BYTES
from .control_groups import read_groups
from .host import STATUS, Facts, Host
from .texts import NO_LIMIT, parse_limit, parse_sizes

_MEMINFO = "/proc/meminfo"
_LIMITS = "/proc/self/limits"
# a line of memory.stat in version 1: the least limit of a group and of all groups above, including
# groups above the mount
_INHERITED = "hierarchical_memory_limit"


class _Bound(Record):
    """A bound of the memory of this process, in bytes."""

    # the bytes that the process may have at most, and what sets this bound
    most: int
    why: str
    # the free bytes below the bound; None where they were not read
    left: int | None
    # the source of `left`, or why `left` was not read
    source: str


class _GroupFiles(Record):
    """The files of a control group that tell its memory, by version."""

    limits: tuple[str, ...]
    usage: str
    # the prefix of the kinds of use in memory.stat
    prefix: str


_FILES_BY_VERSION = {
    1: _GroupFiles(
        limits=("memory.limit_in_bytes",),
        usage="memory.usage_in_bytes",
        prefix="total_",
    ),
    2: _GroupFiles(
        limits=("memory.high", "memory.max"),
        usage="memory.current",
        prefix="",
    ),
}


class _GroupLimit(Record):
    """The most bytes that a control group may have, and the file or line that says so."""

    most: int
    file: str


def _least_limit(
    host: Host,
    folder: str,
    files: Sequence[str],
    *,
    is_known: bool,
) -> _GroupLimit:
    """The least limit that these files in the folder of a control group state.

    `ValueError` for a file that states none, unless `is_known`: the least limit of this group and
    all groups above is known.
    """
    least = _GroupLimit(most=NO_LIMIT, file=files[0])
    for file in files:
        path = f"{folder}/{file}"
        limit = parse_limit(host.read_text(path))
        if limit is None and not is_known:
            raise ValueError(host.why[path])
        if limit is not None and limit < least.most:
            least = _GroupLimit(most=limit, file=file)
    return least


def _kept_bytes(
    used: int | None,
    stat: Mapping[str, int],
    prefix: str,
) -> int | None:
    """The bytes that a control group uses, without the file pages and the free slab that it could
    give up. None where the numbers were not read. `stat` are those of its memory.stat.
    """
    inactive = stat.get(f"{prefix}inactive_file")
    active = stat.get(f"{prefix}active_file")
    if used is None or inactive is None or active is None:
        return None
    slab = stat.get("slab_reclaimable", 0)
    return max(0, used - inactive - active - slab)


class _Ulimit(Record):
    """A limit of `ulimit`: its option, its line of /proc/self/limits, and the line of
    /proc/self/status with what is in use.
    """

    option: str
    limit_line: str
    use_line: str


# mapped model files count towards RLIMIT_AS
_ADDRESS_SPACE = _Ulimit(
    option="v",
    limit_line="Max address space",
    use_line="VmSize",
)
# mapped model files do not count towards RLIMIT_DATA
_DATA = _Ulimit(
    option="d",
    limit_line="Max data size",
    use_line="VmData",
)


def read_memory(host: Host, facts: Facts) -> None:
    """Read the total, the limit and the available memory, the address space that `ulimit -v`
    leaves, and free swap.
    """
    meminfo = parse_sizes(host.read_text(_MEMINFO))
    total = meminfo.get("MemTotal", 0)
    why = host.why[_MEMINFO]
    source = f"{_MEMINFO}, MemTotal"
    if "microsoft" in host.release:
        source += ": what memory= in .wslconfig leaves WSL 2"
    facts.put("memory_total_bytes", total or None, source, why)
    swap = meminfo.get("SwapFree")
    facts.put("swap_free_bytes", swap, f"{_MEMINFO}, SwapFree", why)
    if total:
        available = meminfo.get("MemAvailable")
        _read_limit(host, facts, _hardware_bound(total, available))
    else:
        _put_no_limit(facts, why)


def _read_limit(
    host: Host,
    facts: Facts,
    hardware: _Bound,
) -> None:
    """Read the limit and the available memory: those of the machine's memory, or of a lower
    bound.
    """
    bounds = [hardware]
    try:
        for bound in _group_bounds(host):
            # a group that may use all memory leaves as much as the machine does
            if bound.most < hardware.most:
                bounds.append(bound)
        bounds += _ulimit_bounds(host, facts)
    except ValueError as error:
        _put_no_limit(facts, f"a limit may exist unseen: {error}")
        return
    least = min(bounds, key=lambda bound: bound.most)
    facts.put("memory_limit_bytes", least.most, least.why)
    # an unread size sorts below every number, since the group may leave less memory than all others
    tightest = min(bounds, key=lambda bound: -1 if bound.left is None else bound.left)
    source = tightest.source
    facts.put("memory_available_bytes", tightest.left, source, source)


def _put_no_limit(facts: Facts, why: str) -> None:
    """Record that neither the memory limit nor the available memory is known."""
    facts.lack("memory_limit_bytes", why)
    facts.lack("memory_available_bytes", why)


def _hardware_bound(total: int, available: int | None) -> _Bound:
    """The bound that the machine's own memory sets; `available` is None on kernels before 3.14."""
    source = f"{_MEMINFO}, MemAvailable"
    left = None
    if available is None:
        source += " is missing (kernel before 3.14)"
    else:
        left = min(available, total)
    return _Bound(
        most=total,
        why=f"{_MEMINFO}, MemTotal: no lower limit in any control group that shows here",
        left=left,
        source=source,
    )


def _group_bounds(host: Host) -> list[_Bound]:
    """The bound of each control group's limit, with that group's use. `ValueError` for a faulty
    file.
    """
    groups = read_groups(host, "memory")
    files = _FILES_BY_VERSION[groups.version]
    bounds = []
    # the lowest group that states this limit states it for all groups above too
    inherited = None
    for group in groups.levels:
        stat = parse_sizes(host.read_text(f"{group.folder}/memory.stat"))
        inherited = inherited or stat.get(_INHERITED)
        # where the inherited limit is known, a file without a limit cannot hide a limit
        is_known = inherited is not None
        limit = _least_limit(host, group.folder, files.limits, is_known=is_known)
        used = parse_limit(host.read_text(f"{group.folder}/{files.usage}"))
        kept_bytes = _kept_bytes(used, stat, files.prefix)
        bounds.append(_bound_of(group.name, limit, kept_bytes))
    if inherited is None:
        return bounds
    # a limit read at an ancestor itself is more precise than the same limit inherited below
    if inherited < min(bound.most for bound in bounds):
        above = f"above {groups.levels[0].name}"
        limit = _GroupLimit(most=inherited, file=_INHERITED)
        bounds.append(_bound_of(above, limit, None))
    return bounds


def _bound_of(
    group: str,
    limit: _GroupLimit,
    kept_bytes: int | None,
) -> _Bound:
    """The bound that a group's limit sets. `kept_bytes` are the bytes in use; None where they are
    unread.
    """
    left = None
    source = f"what control group {group} uses could not be read"
    if kept_bytes is not None:
        left = max(0, limit.most - kept_bytes)
        room = f"room in control group {group}: {limit.file}"
        source = f"{room} less what is in use besides file cache"
    return _Bound(
        most=limit.most,
        why=f"limited by control group {group}: {limit.file} {binary(limit.most)}",
        left=left,
        source=source,
    )


def _ulimit_bounds(host: Host, facts: Facts) -> list[_Bound]:
    """The bounds that `ulimit` sets. The bound of the address space is also a fact of its own."""
    address_space = _ulimit_bound(host, _ADDRESS_SPACE)
    if address_space is not None:
        facts.put("address_space_bytes", address_space.left, address_space.source)
    bounds = [address_space, _ulimit_bound(host, _DATA)]
    return [bound for bound in bounds if bound is not None]


def _ulimit_bound(host: Host, ulimit: _Ulimit) -> _Bound | None:
    """The bound that a `ulimit` sets; None where it sets none. `ValueError` where it cannot be
    read.
    """
    # the soft limit, the hard limit, the unit
    line = rf"(?m)^{ulimit.limit_line} +(unlimited|[0-9]{{1,20}}) +(\S+) +\S"
    limits = re.search(line, host.read_text(_LIMITS))
    if limits is None:
        raise ValueError(host.why[_LIMITS])
    soft, hard = limits.groups()
    if soft == "unlimited" or int(soft) > MAX_MEMORY_BYTES:
        return None
    most = int(soft)
    command = f"ulimit -{ulimit.option}"
    used = parse_sizes(host.read_text(STATUS)).get(ulimit.use_line)
    if used is None:
        raise ValueError(f"{STATUS} does not say what of {command} is in use")
    lift = ""
    if hard != soft:
        lift = f"; `{command} unlimited` lifts it"
    return _Bound(
        most=most,
        why=f"limited by {command}: {binary(most)}{lift}",
        left=max(0, most - used),
        source=f"{command} less what is in use{lift}",
    )
