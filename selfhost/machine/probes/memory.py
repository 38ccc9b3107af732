"""Memory: the hardware's, what this process may ever have, and what it could have now, by the
control groups that hold it (versions 1, 2 and both), `ulimit -v` and the machine; and what one
running process has.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ...core.records import Record
from ...core.units import binary
from ..record import MAX_MEMORY_BYTES, SET_MEMORY, Process
from .host import MAX_READ_BYTES, Facts, Host, Mount, parse_sizes, whole

MEMINFO, LIMITS = "/proc/meminfo", "/proc/self/limits"
STATUS, CGROUP = "/proc/self/status", "/proc/self/cgroup"
TOTAL, LIMIT = "memory_total_bytes", "memory_limit_bytes"
AVAILABLE, SWAP = "memory_available_bytes", "swap_free_bytes"
# limits at or above this are version 1's way to say "none": 2**63 rounded down to a page, whatever
# the page size
NO_LIMIT = 2**60
# by version and controller: files of which a group under it has one, but the hierarchy's own top
# has none (CFTYPE_NOT_ON_ROOT in mm/memcontrol.c); version 1 limits memory in its top, too
_FILES: dict[tuple[int, str], set[str]] = {
    (1, "memory"): set(),
    (1, "cpu"): {"cpu.cfs_quota_us"},
    (2, "memory"): {"memory.max", "memory.high", "memory.current"},
    (2, "cpu"): {"cpu.max", "cpu.weight"},
}
# words in the release of the kernel of a virtual machine: WSL 2, Docker Desktop, OrbStack
VIRTUAL_KERNELS = ("microsoft", "linuxkit", "orbstack")
_ADDRESS_SPACE = r"(?m)^Max address space\s+([0-9]{1,20}|unlimited)\s+(\d+|unlimited)\s"


class Groups(Record):
    """The groups that hold this process for one controller, its own first: folder and name; `why`
    limits may exist unseen.
    """

    version: int = 2
    levels: tuple[tuple[str, str], ...] = ()
    why: str | None = None


class _Bound(NamedTuple):
    """What memory cannot exceed, and what is left of it: of None, `left_source` is the reason."""

    bytes: int
    source: str
    left_bytes: int | None
    left_source: str


def parse_limit(text: str) -> int | None:
    """A number that ends its line; `max` and -1 give `NO_LIMIT`, anything else None."""
    match = re.fullmatch(r"(?:(max|-1)|([0-9]{1,20}))\s*\n", text)
    if match is None:
        return None
    return NO_LIMIT if match[1] else int(match[2])


def read_groups(host: Host, controller: str) -> Groups:
    """The groups of one controller, `cpu` or `memory`."""
    text = host.read_text(CGROUP)
    # controller to path; version 2's stands under the empty name
    lines = re.findall(r"(?m)^\d+:([^:\n]*):(/.*)$", text)
    paths = {name: path for names, path in lines for name in names.split(",")}
    # half a path is that of another group
    if not paths or not text.endswith("\n"):
        return Groups(why=host.why[CGROUP])
    # of two mounts on one point the later one is seen
    mounts = {mount.point: mount for mount in host.mounts}.values()
    if not mounts:
        return Groups(why=host.why["/proc/self/mountinfo"])
    every = [mount for mount in mounts if mount.filesystem == "cgroup"]
    old = [mount for mount in every if controller in mount.options.split(",")]
    new = [mount for mount in mounts if mount.filesystem == "cgroup2"]
    # a controller of version 1 is none of version 2, whatever else is mounted
    if old or controller in paths:
        return _groups_with_files(
            host, controller, 1, _groups_of_path(old, paths.get(controller, ""))
        )
    if not new and "" not in paths:
        return Groups()
    container = host.env.get("container"), host.read_word("/run/systemd/container")
    if "systemd-nspawn" in container:
        # its unit limits the group above the one it puts a container into
        return Groups(why="systemd-nspawn sets its limits on a group that does not show here")
    return _groups_with_files(host, controller, 2, _groups_of_path(new, paths.get("", "")))


def _groups_of_path(mounts: Sequence[Mount], path: str) -> list[tuple[str, str]] | str:
    """Folder and name, from the process's own up to the mount point, in the first of `mounts` that
    shows them; why not where none does. Paths are relative to the root of the process's namespace,
    and may lead out of it (cgroup_namespaces(7)).
    """
    for mount in mounts:
        root, point = mount.root.rstrip("/"), mount.point.rstrip("/")
        below = [part for part in path[len(root) :].split("/") if part]
        is_outside = {".", ".."} & {*below, *root.split("/")}
        if path and not is_outside and (path == root or path.startswith(root + "/")):
            steps = ["".join(f"/{part}" for part in below[:n]) for n in range(len(below), -1, -1)]
            return [(point + step, root + step or "/") for step in steps]
    shown = [f"{mount.point} shows the groups of {mount.root}" for mount in mounts]
    return f"{', '.join(shown) or 'none are mounted here'}; this process is in {path or 'none'}"


def _groups_with_files(
    host: Host, controller: str, version: int, chain: list[tuple[str, str]] | str
) -> Groups:
    if isinstance(chain, str):
        return Groups(why=chain)
    files = _FILES[version, controller]
    names = [set(host.listdir(folder)) for folder, _ in chain]
    levels = tuple(pair for pair, held in zip(chain, names, strict=True) if held & (files or held))
    (own, name), (top, _) = chain[0], chain[-1]
    if version == 2 and chain[-1] in levels:
        # a container's own group, above which nothing shows
        return Groups(levels=levels)
    listing, why = f"{top}/cgroup.controllers", None
    controllers = host.read_text(listing)
    # an empty list is an answer: version 2 limits nothing here
    is_listed = version == 1 or controllers or "is empty" in host.why[listing]
    if not names[-1]:
        why = f"the control groups at {top} cannot be seen from here"
    elif not levels and not is_listed:
        why = host.why[listing]
    elif not host.exists(own) and (levels or controller in controllers.split()):
        why = f"control group {name} cannot be seen from here"
    return Groups(version=version, levels=levels, why=why)


def _group_bounds(host: Host, groups: Groups) -> list[_Bound]:
    """Every limit of these groups, each with its own group's use. `ValueError` of a bad file."""
    bounds: list[_Bound] = []
    # the line of memory.stat that holds the least limit of a version 1 group and all above it,
    # also above what is mounted here; what a group below states holds for this one, too
    inherited: int | None = None
    files, usage, prefix = ["memory.high", "memory.max"], "memory.current", ""
    if groups.version == 1:
        files, usage, prefix = ["memory.limit_in_bytes"], "memory.usage_in_bytes", "total_"
    limited, silent = "limited by control group", "what control group {} uses could not be read"
    for folder, group in groups.levels:
        stat = parse_sizes(host.read_text(f"{folder}/memory.stat"))
        inherited = inherited or stat.get("hierarchical_memory_limit")
        limits = {file: parse_limit(host.read_text(f"{folder}/{file}")) for file in files}
        unread = [file for file, number in limits.items() if number is None]
        if unread and inherited is None:
            raise ValueError(host.why[f"{folder}/{unread[0]}"])
        most, file = min((NO_LIMIT if n is None else n, file) for file, n in limits.items())
        if most < NO_LIMIT:
            left = _room(most, parse_limit(host.read_text(f"{folder}/{usage}")), stat, prefix)
            room = f"room in control group {group}: {file} less what is in use besides file cache"
            source = f"{limited} {group}: {file} {binary(most)}"
            bounds.append(
                _Bound(most, source, left, silent.format(group) if left is None else room)
            )
    if inherited is not None and inherited < min([NO_LIMIT, *(bound.bytes for bound in bounds)]):
        # an ancestor that was read itself says more than the same limit seen from below
        group = f"above {groups.levels[0][1]}"
        source = f"{limited} {group}: hierarchical_memory_limit {binary(inherited)}"
        bounds.append(_Bound(inherited, source, None, silent.format(group)))
    return bounds


def _room(limit_bytes: int, used: int | None, stat: dict[str, int], prefix: str) -> int | None:
    """A limit less what its group could not give up: its use less file pages, active or not, and
    reclaimable slab. tmpfs, shared memory and locked pages are on other lists.
    """
    inactive, active = (stat.get(f"{prefix}{kind}_file") for kind in ("inactive", "active"))
    if used is None or inactive is None or active is None:
        return None
    held = used - inactive - active - stat.get("slab_reclaimable", 0)
    return max(0, limit_bytes - max(0, held))


def read_memory(host: Host, facts: Facts) -> None:
    """Total, limit, available memory, what `ulimit -v` leaves, and free swap."""
    if host.system != "linux":
        _read_other(host, facts)
        return
    meminfo = parse_sizes(host.read_text(MEMINFO))
    total, why = meminfo.get("MemTotal", 0), host.why[MEMINFO]
    part = ": what memory= in .wslconfig leaves WSL 2" * ("microsoft" in host.release)
    facts.put(TOTAL, total or None, f"{MEMINFO}, MemTotal{part}", why, SET_MEMORY)
    facts.put(SWAP, meminfo.get("SwapFree"), f"{MEMINFO}, SwapFree", why)
    groups = read_groups(host, "memory")
    try:
        if TOTAL in facts.unread:
            raise ValueError(facts.unread[TOTAL].reason)
        bounds = _group_bounds(host, groups)
        # a group that was not seen is no matter where one above it has a limit
        if groups.why and not bounds:
            raise ValueError(f"a limit may exist unseen: {groups.why}")
        # a group that may have all there is leaves what the machine leaves
        bounds = [bound for bound in bounds if bound.bytes < total]
        bounds += _ulimit_bounds(host, facts)
    except ValueError as error:
        for fact in (LIMIT, AVAILABLE):
            facts.miss(fact, str(error), SET_MEMORY)
        return
    source = f"{MEMINFO}, MemTotal: no lower limit in any control group that shows here"
    left, left_source = meminfo.get("MemAvailable"), f"{MEMINFO}, MemAvailable"
    left_source += " is missing (kernel before 3.14)" * (left is None)
    bounds = [_Bound(total, source, left and min(left, total), left_source), *bounds]
    least = min(bounds, key=lambda bound: bound.bytes)
    facts.put(LIMIT, least.bytes, least.source)
    # what could not be read of one may be less than what all others leave
    tightest = min(bounds, key=lambda b: -1 if b.left_bytes is None else b.left_bytes)
    left, source = tightest.left_bytes, tightest.left_source
    facts.put(AVAILABLE, left, source, source, SET_MEMORY)


def _ulimit_bounds(host: Host, facts: Facts) -> list[_Bound]:
    """RLIMIT_AS, in which mapped model files count."""
    limits = re.search(_ADDRESS_SPACE, host.read_text(LIMITS))
    if limits is None:
        raise ValueError(f"a limit may exist unseen: {host.why[LIMITS]}")
    if limits[1] == "unlimited" or (soft := int(limits[1])) > MAX_MEMORY_BYTES:
        return []
    used = parse_sizes(host.read_text(STATUS)).get("VmSize")
    if used is None:
        raise ValueError(f"ulimit -v is set, and {STATUS} does not say what is in use")
    lift = "; `ulimit -v unlimited` lifts it" if limits[2] != limits[1] else ""
    left, source = max(0, soft - used), f"ulimit -v less what is in use{lift}"
    facts.put("address_space_bytes", left, source)
    limit = f"limited by ulimit -v: {binary(soft)}{lift}"
    return [_Bound(soft, limit, left, source)]


def _read_other(host: Host, facts: Facts) -> None:
    """By psutil, and macOS' size by its sysctl where that fails."""
    memory, unread = host.ask("memory") or {}, "the system does not state it"
    total = memory.get("total") or whole(host.sysctl("hw.memsize")) or None
    call = "sysctl hw.memsize" if host.system == "macos" else "psutil.virtual_memory().total"
    job = ": limits of a job object are not read" if host.system == "windows" else ""
    limit = total if host.system in ("macos", "windows") else None
    left = memory.get("available")
    left = None if left is None else min(left, total or left)
    facts.put(TOTAL, total, call, unread, SET_MEMORY)
    facts.put(LIMIT, limit, f"the hardware's{job}", unread, SET_MEMORY)
    facts.put(AVAILABLE, left, "psutil.virtual_memory().available", unread, SET_MEMORY)
    facts.put(SWAP, memory.get("swap_free"), "psutil.swap_memory().free", unread)


# a process with thousands of libraries and threads has a few MB of them
_MOST_MAPS_BYTES = 64 << 20
# a mapping of a model file: Ollama's files are named by their content
_MAPPED = (
    r"(?im)^([0-9a-f]{1,16})-([0-9a-f]{1,16}) \S+ \S+ \S+ \S+\s+"
    r"(\S.*?(?:\.gguf(?: \(deleted\))?|/sha256-.*))$(?:\n\w+:.*)*?\nRss: +(\d{1,15}) kB"
)


def read_process(number: str, host: Host) -> Process | None:
    """The process of that id, its memory by kind and the model file of which most is mapped; None
    where there is none, or this account may not read it. Nothing is sent to the process.
    """
    status = parse_sizes(host.read_text(f"/proc/{number}/status"))
    maps = host.read_text(f"/proc/{number}/smaps", _MOST_MAPS_BYTES)
    try:
        command = host.read_bytes(f"/proc/{number}/cmdline", MAX_READ_BYTES)
    except OSError:
        return None
    if not {"RssAnon", "RssFile"} <= status.keys() or not maps or not command:
        return None
    mapped: dict[str, int] = {}
    resident: dict[str, int] = {}
    for start, end, path, rss in re.findall(_MAPPED, maps):
        mapped[path] = mapped.get(path, 0) + int(end, 16) - int(start, 16)
        resident[path] = resident.get(path, 0) + int(rss) * 1024
    model_file = max(mapped, key=lambda path: mapped[path], default=None)
    words = command.decode("utf-8", "surrogateescape").rstrip("\0").split("\0")
    return Process(
        words=tuple(words[:10_000]),
        anonymous_bytes=status["RssAnon"] + status.get("RssShmem", 0),
        file_bytes=status["RssFile"],
        swapped_bytes=status.get("VmSwap", 0),
        model_file=model_file,
        model_bytes=resident.get(model_file or "", 0),
    )
