"""Memory: the hardware's, what this process may ever have, and what it could have now, by the
control groups that hold it (versions 1, 2 and both), `ulimit` and the machine; and what one
running process has.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

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
# by the option of `ulimit`: the line of /proc/self/limits, and in /proc/self/status what is in use
_ULIMITS = {"v": ("Max address space", "VmSize"), "d": ("Max data size", "VmData")}


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


def parse_groups(text: str) -> dict[str, str]:
    """/proc/self/cgroup: the path by controller, that of version 2 under the empty name; none where
    the text was cut off, for half a path is that of another group.
    """
    lines = re.findall(r"(?m)^\d+:([^:\n]*):(/.*)$", text) if text.endswith("\n") else []
    return {name: path for names, path in lines for name in names.split(",")}


def read_groups(host: Host, controller: str) -> tuple[int, list[tuple[str, str]]]:
    """The version of the control groups that hold this process for one controller, `cpu` or
    `memory`, and folder and name of each that may limit it, its own first. `ValueError` where a
    limit may exist unseen.
    """
    paths, levels = parse_groups(host.read_text(CGROUP)), list[tuple[str, str]]()
    if not paths or not host.mounts:
        raise ValueError(host.why["/proc/self/mountinfo" if paths else CGROUP])
    # a controller of version 1 is none of version 2, whatever else is mounted
    old = _mounts_of(host, "cgroup", controller)
    version, mounts = (1, old) if old or controller in paths else (2, _mounts_of(host, "cgroup2"))
    name_of_path = controller if version == 1 else ""
    if version == 2 and not mounts and name_of_path not in paths:
        return version, levels
    for folder, name in _groups_of_path(mounts, paths.get(name_of_path, "")):
        files = set(host.listdir(folder))
        if not files:
            raise ValueError(f"control group {name} cannot be seen from here")
        levels += [(folder, name)] if files & (_FILES[version, controller] or files) else []
    return version, levels


def _mounts_of(host: Host, filesystem: str, controller: str = "") -> list[Mount]:
    """Those of one version; of two mounts on one point the later one is seen."""
    container = host.env.get("container"), host.read_word("/run/systemd/container")
    if filesystem == "cgroup2" and "systemd-nspawn" in container:
        # its unit limits the group above the one it puts a container into
        raise ValueError("systemd-nspawn sets its limits on a group that does not show here")
    mounts = {mount.point: mount for mount in host.mounts}.values()
    same = [mount for mount in mounts if mount.filesystem == filesystem]
    return [mount for mount in same if not controller or controller in mount.options.split(",")]


def _groups_of_path(mounts: Sequence[Mount], path: str) -> list[tuple[str, str]]:
    """Folder and name of each in the first mount that shows them, the process's own first."""
    for mount in mounts:
        root, point = mount.root.rstrip("/"), mount.point.rstrip("/")
        below = [part for part in path[len(root) :].split("/") if part]
        is_outside = {".", ".."} & {*below, *root.split("/")}
        if path and not is_outside and (path == root or path.startswith(root + "/")):
            steps = ["".join(f"/{part}" for part in below[:n]) for n in range(len(below), -1, -1)]
            return [(point + step, root + step or "/") for step in steps]
    shown = [f"{mount.point} shows the groups of {mount.root}" for mount in mounts]
    shown = shown or ["none are mounted here"]
    raise ValueError(f"{', '.join(shown)}; this process is in {path or 'none'}")


def _group_bounds(host: Host) -> list[_Bound]:
    """Every limit of a control group, each with its own group's use. `ValueError` of a bad file."""
    version, levels = read_groups(host, "memory")
    bounds: list[_Bound] = []
    # the line of memory.stat that holds the least limit of a version 1 group and all above it,
    # also above what is mounted here
    inherited: int | None = None
    files, usage, prefix = ["memory.high", "memory.max"], "memory.current", ""
    if version == 1:
        files, usage, prefix = ["memory.limit_in_bytes"], "memory.usage_in_bytes", "total_"
    limited, silent = "limited by control group", "what control group {} uses could not be read"
    for folder, group in levels:
        stat = parse_sizes(host.read_text(f"{folder}/memory.stat"))
        inherited = inherited or stat.get("hierarchical_memory_limit")
        limits = {file: parse_limit(host.read_text(f"{folder}/{file}")) for file in files}
        unread = [file for file, number in limits.items() if number is None]
        if unread and inherited is None:
            raise ValueError(host.why[f"{folder}/{unread[0]}"])
        most, file = min((NO_LIMIT if n is None else n, file) for file, n in limits.items())
        left = _room(most, parse_limit(host.read_text(f"{folder}/{usage}")), stat, prefix)
        room = f"room in control group {group}: {file} less what is in use besides file cache"
        room = silent.format(group) if left is None else room
        bounds.append(_Bound(most, f"{limited} {group}: {file} {binary(most)}", left, room))
    if inherited is not None and inherited < min(bound.bytes for bound in bounds):
        # an ancestor that was read itself says more than the same limit seen from below
        group = f"above {levels[0][1]}"
        source = f"{limited} {group}: hierarchical_memory_limit {binary(inherited)}"
        bounds.append(_Bound(inherited, source, None, silent.format(group)))
    return bounds


def _room(limit_bytes: int, used: int | None, stat: dict[str, int], prefix: str) -> int | None:
    """A limit less what its group could not give up: its use less file pages and free slab."""
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
    if not total:
        for fact in (LIMIT, AVAILABLE):
            facts.miss(fact, facts.unread[TOTAL].reason, SET_MEMORY)
        return
    try:
        # a group that may have all there is leaves what the machine leaves
        bounds = [bound for bound in _group_bounds(host) if bound.bytes < total]
        bounds += _ulimit_bounds(host, facts)
    except ValueError as error:
        for fact in (LIMIT, AVAILABLE):
            facts.miss(fact, f"a limit may exist unseen: {error}", SET_MEMORY)
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
    """RLIMIT_AS, in which mapped model files count, and RLIMIT_DATA, in which they do not."""
    bounds = []
    for option, (line, field) in _ULIMITS.items():
        limits = re.search(
            rf"(?m)^{line}\s+([0-9]{{1,20}}|unlimited)\s+(\d+|unlimited)\s", host.read_text(LIMITS)
        )
        if limits is None:
            raise ValueError(host.why[LIMITS])
        if limits[1] == "unlimited" or (soft := int(limits[1])) > MAX_MEMORY_BYTES:
            continue
        used = parse_sizes(host.read_text(STATUS)).get(field)
        if used is None:
            raise ValueError(f"{STATUS} does not say what of ulimit -{option} is in use")
        lift = f"; `ulimit -{option} unlimited` lifts it" if limits[2] != limits[1] else ""
        left, source = max(0, soft - used), f"ulimit -{option} less what is in use{lift}"
        if option == "v":
            facts.put("address_space_bytes", left, source)
        bounds.append(
            _Bound(soft, f"limited by ulimit -{option}: {binary(soft)}{lift}", left, source)
        )
    return bounds


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
    command = host.read_bytes(f"/proc/{number}/cmdline", MAX_READ_BYTES)
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
