"""Control groups: which groups hold this process, from its own up to the top of what is mounted
here (versions 1, 2 and both), and what they allow of memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...core.records import Record
from .host import Host, Mount
from .procfs import whole

# limits at or above this are version 1's way to say "none": 2**63 rounded down to a page, whatever
# the page size
NO_LIMIT = 2**60
# by controller: files of which a version 2 group under it has one, but the hierarchy's own top has
# none (CFTYPE_NOT_ON_ROOT in mm/memcontrol.c)
_FILES = {
    "memory": ("memory.max", "memory.high", "memory.current"),
    "cpu": ("cpu.max", "cpu.weight"),
}


class Groups(Record):
    """The groups that hold this process for one controller, its own first: folder, and name as the
    system shows it, of each that has files of the controller.

    `why` is set where groups could not be seen, so that limits may exist unseen; `is_inside`: the
    top is a container's own group, and those above it do not show.
    """

    version: int = 2
    levels: tuple[tuple[str, str], ...] = ()
    why: str | None = None
    is_inside: bool = False


class Level(Record):
    """The limit of one group: its bytes, the group and file it stands in, what the group uses of it
    (None: not readable), of which `dirty_bytes` more must be written to disk before they are free.
    """

    limit_bytes: int
    group: str
    file: str
    used_bytes: int | None
    dirty_bytes: int = 0


class MemoryLimits(Record):
    """The memory limits of all groups above this process; `why` is set where one may exist unseen,
    `is_inside` as in `Groups`.
    """

    levels: tuple[Level, ...] = ()
    is_inside: bool = False
    why: str | None = None


def parse_cgroup(text: str) -> dict[str, str]:
    """/proc/self/cgroup: controller to path; version 2's path stands under the empty name.
    Lines of another shape are left out.
    """
    path_of_controller: dict[str, str] = {}
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if colon and number.isdecimal() and path.startswith("/"):
            path_of_controller.update(dict.fromkeys(controllers.split(","), path))
    return path_of_controller


def parse_number(text: str) -> int | None:
    """A file of one number, which ends its line; `max` and -1 give `NO_LIMIT`, anything else
    None.
    """
    word = text.strip()
    if not text.endswith("\n"):
        return None
    return NO_LIMIT if word in ("max", "-1") else whole(word)


def parse_stat(text: str) -> dict[str, int]:
    """memory.stat: lines of a name and a number; others are left out."""
    pairs = (line.partition(" ") for line in text.splitlines())
    numbers = ((name, whole(number)) for name, _, number in pairs)
    return {name: number for name, number in numbers if number is not None}


def groups(host: Host, controller: str) -> Groups:
    """The groups of one controller, `cpu` or `memory`."""
    text = host.read_text("/proc/self/cgroup")
    if text is None:
        return Groups(why=host.why("/proc/self/cgroup"))
    paths = parse_cgroup(text)
    # half a path is that of another group
    if not paths or not text.endswith("\n"):
        return Groups(why="/proc/self/cgroup names no control group, or was cut off")
    if not host.mounts():
        return Groups(why=host.why("/proc/self/mountinfo"))
    return _mounted(host, controller, paths)


def _mounted(host: Host, controller: str, paths: Mapping[str, str]) -> Groups:
    """The groups of one controller where the hierarchy that has it is mounted."""
    # of two mounts on one point the later one is seen
    mounts = list({mount.point: mount for mount in host.mounts()}.values())
    old = [
        mount
        for mount in mounts
        if mount.filesystem == "cgroup" and controller in mount.options.split(",")
    ]
    new = [mount for mount in mounts if mount.filesystem == "cgroup2"]
    if controller in paths and old:
        return _seen(host, controller, 1, _chain(old, paths[controller]))
    if old:
        return Groups(why=f"/proc/self/cgroup does not name the {controller} group")
    if controller in paths or ("" in paths and not new):
        # a controller of version 1 is none of version 2, whatever else is mounted
        return Groups(why=f"the {controller} control groups are not mounted here")
    if "systemd-nspawn" in (host.env.get("container"), host.read_word("/run/systemd/container")):
        # its unit limits the group above the one it puts a container into
        return Groups(why="systemd-nspawn sets its limits on a group that does not show here")
    return _seen(host, controller, 2, _chain(new, paths[""])) if new else Groups()


def _chain(mounts: Sequence[Mount], path: str) -> list[tuple[str, str]] | str:
    """Folder and name of the groups of `path` in the first of `mounts` that shows them, from the
    process's own up to the mount point; why not where none does.

    Both paths are relative to the root of the process's namespace, and may lead out of it
    (cgroup_namespaces(7)).
    """
    for mount in mounts:
        root, point = mount.root.rstrip("/"), mount.point.rstrip("/")
        if path != root and not path.startswith(root + "/"):
            continue
        below = [part for part in path[len(root) :].split("/") if part]
        if "." in below or ".." in below or ".." in root.split("/"):
            continue
        steps = ["".join(f"/{part}" for part in below[:size]) for size in range(len(below), -1, -1)]
        return [(point + step, root + step or "/") for step in steps]
    return f"{mounts[0].point} shows the groups of {mounts[0].root}, and this process is in {path}"


def _seen(host: Host, controller: str, version: int, chain: list[tuple[str, str]] | str) -> Groups:
    """The groups of a chain that have files of the controller."""
    if isinstance(chain, str):
        return Groups(why=chain)
    # version 1 limits memory in every group, and processors in all but the hierarchy's own top
    is_in_all = version == 1 and controller == "memory"
    files = _FILES[controller] if version == 2 else ("cpu.cfs_quota_us",)
    levels = tuple(
        level
        for level in chain
        if (names := host.listdir(level[0])) and (is_in_all or not set(files).isdisjoint(names))
    )
    is_inside = version == 2 and any(folder == chain[-1][0] for folder, _ in levels)
    why = None if is_inside else _why_hidden(host, controller, version, chain, bool(levels))
    return Groups(version=version, levels=levels, why=why, is_inside=is_inside)


def _why_hidden(
    host: Host, controller: str, version: int, chain: list[tuple[str, str]], is_used: bool
) -> str | None:
    """Why a group of a chain, of which some have files or none, may be there unseen."""
    (own, name), top = chain[0], chain[-1][0]
    if not host.listdir(top):
        return f"the control groups at {top} cannot be seen from here"
    if version == 2 and not is_used and (why := _why_unlisted(host, top)):
        return why
    listed = (host.read_text(f"{top}/cgroup.controllers") or "").split()
    is_hidden = not host.exists(own) and (is_used or controller in listed)
    return f"control group {name} cannot be seen from here" if is_hidden else None


def _why_unlisted(host: Host, top: str) -> str | None:
    """Why the controllers of version 2 could not be read; None where they were."""
    listing = f"{top}/cgroup.controllers"
    # an empty list is an answer: version 2 limits nothing here
    if host.read_text(listing) is not None or host.why(listing).endswith("is empty"):
        return None
    return host.why(listing)


def read_memory_limits(host: Host) -> MemoryLimits:
    """Every limit on memory that holds for this process, each with its own group's use."""
    chain = groups(host, "memory")
    levels: list[Level] = []
    why, is_stated = None, False
    for folder, name in chain.levels:
        try:
            levels += (_version_1 if chain.version == 1 else _version_2)(host, folder, name)
        except ValueError as error:
            # what a version 1 group below states as inherited holds for those above it
            why = why if is_stated or _is_inherited(host, folder) else str(error)
        is_stated = is_stated or _is_inherited(host, folder)
    # an ancestor that was read itself says more than the same limit seen from below
    own = {level.limit_bytes for level in levels if level.file != _INHERITED}
    return MemoryLimits(
        levels=tuple(e for e in levels if e.file != _INHERITED or e.limit_bytes not in own),
        is_inside=chain.is_inside,
        # a group that was not seen is no matter where one above it has a limit
        why=why or (None if levels else chain.why),
    )


def in_use(current: int | None, stat: Mapping[str, int], prefix: str = "") -> int | None:
    """What a group could not give up: its use less file pages, active or not, and slab that says it
    is reclaimable. tmpfs, shared memory and locked pages are on other lists; dirty pages are
    written first.
    """
    inactive, active = (stat.get(f"{prefix}{kind}_file") for kind in ("inactive", "active"))
    if current is None or inactive is None or active is None:
        return None
    return max(0, current - inactive - active - stat.get("slab_reclaimable", 0))


def _number(host: Host, path: str) -> int:
    """The number in a file. `ValueError` where it holds none."""
    number = parse_number(host.read_text(path) or "")
    if number is None:
        raise ValueError(f"{path} is not a number" if host.read_text(path) else host.why(path))
    return number


def _version_2(host: Host, folder: str, name: str) -> list[Level]:
    limits = {file: _number(host, f"{folder}/{file}") for file in ("memory.high", "memory.max")}
    file = min(limits, key=lambda file: limits[file])
    if limits[file] >= NO_LIMIT:
        return []
    stat = parse_stat(host.read_text(f"{folder}/memory.stat") or "")
    current = parse_number(host.read_text(f"{folder}/memory.current") or "")
    level = Level(
        limit_bytes=limits[file],
        group=name,
        file=file,
        used_bytes=in_use(current, stat),
        dirty_bytes=stat.get("file_dirty", 0) + stat.get("file_writeback", 0),
    )
    return [level]


# the line of memory.stat that holds the least limit of a version 1 group and all above it, also
# above what is mounted here
_INHERITED = "hierarchical_memory_limit"
_LIMIT = "memory.limit_in_bytes"


def _is_inherited(host: Host, folder: str) -> bool:
    return _INHERITED in (host.read_text(f"{folder}/memory.stat") or "")


def _version_1(host: Host, folder: str, name: str) -> list[Level]:
    stat = parse_stat(host.read_text(f"{folder}/memory.stat") or "")
    inherited = stat.get(_INHERITED, NO_LIMIT)
    if _INHERITED in stat and parse_number(host.read_text(f"{folder}/{_LIMIT}") or "") is None:
        limit = NO_LIMIT
    else:
        limit = _number(host, f"{folder}/{_LIMIT}")
    levels = []
    if limit < NO_LIMIT:
        usage = parse_number(host.read_text(f"{folder}/memory.usage_in_bytes") or "")
        level = Level(
            limit_bytes=limit,
            group=name,
            file=_LIMIT,
            used_bytes=in_use(usage, stat, "total_"),
            dirty_bytes=stat.get("total_dirty", 0) + stat.get("total_writeback", 0),
        )
        levels.append(level)
    if inherited < min(limit, NO_LIMIT):
        levels.append(
            Level(limit_bytes=inherited, group=f"above {name}", file=_INHERITED, used_bytes=None)
        )
    return levels
