"""Control groups: which groups hold this process, from its own up to the top of what is mounted
here (versions 1, 2 and both), and what they allow of memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...core.records import Record
from .host import Host, Mount
from .procfs import parse_stat, whole

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
# the line of memory.stat that holds the least limit of a version 1 group and all above it, also
# above what is mounted here
_INHERITED, _LIMIT = "hierarchical_memory_limit", "memory.limit_in_bytes"


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
    """The memory limit of one group: its bytes, the group and file it stands in, what the group
    uses of it (None: not readable), of which `dirty_bytes` more must be written to disk before they
    are free.
    """

    limit_bytes: int
    group: str
    file: str
    used_bytes: int | None = None
    dirty_bytes: int = 0


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


def groups(host: Host, controller: str) -> Groups:
    """The groups of one controller, `cpu` or `memory`."""
    text = host.read_text("/proc/self/cgroup")
    if text is None:
        return Groups(why=host.why("/proc/self/cgroup"))
    paths = parse_cgroup(text)
    # half a path is that of another group
    if not paths or not text.endswith("\n"):
        return Groups(why="/proc/self/cgroup names no control group, or was cut off")
    # of two mounts on one point the later one is seen
    mounts = list({mount.point: mount for mount in host.mounts()}.values())
    if not mounts:
        return Groups(why=host.why("/proc/self/mountinfo"))
    return _mounted(host, controller, paths, mounts)


def _mounted(
    host: Host, controller: str, paths: Mapping[str, str], mounts: Sequence[Mount]
) -> Groups:
    """The groups of one controller where the hierarchy that has it is mounted."""
    old = [
        mount
        for mount in mounts
        if mount.filesystem == "cgroup" and controller in mount.options.split(",")
    ]
    new = [mount for mount in mounts if mount.filesystem == "cgroup2"]
    if controller in paths and old:
        return _visible(host, controller, 1, _chain(old, paths[controller]))
    if old:
        return Groups(why=f"/proc/self/cgroup does not name the {controller} group")
    if controller in paths or ("" in paths and not new):
        # a controller of version 1 is none of version 2, whatever else is mounted
        return Groups(why=f"the {controller} control groups are not mounted here")
    if "systemd-nspawn" in (host.env.get("container"), host.read_word("/run/systemd/container")):
        # its unit limits the group above the one it puts a container into
        return Groups(why="systemd-nspawn sets its limits on a group that does not show here")
    return _visible(host, controller, 2, _chain(new, paths[""])) if new else Groups()


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


def _visible(
    host: Host, controller: str, version: int, chain: list[tuple[str, str]] | str
) -> Groups:
    """The groups of a chain that have files of the controller, or why one may be there unseen."""
    if isinstance(chain, str):
        return Groups(why=chain)
    files = _FILES[version, controller]
    levels = tuple(
        level
        for level in chain
        if (names := host.listdir(level[0])) and (not files or not files.isdisjoint(names))
    )
    (own, name), top = chain[0], chain[-1][0]
    if version == 2 and any(folder == top for folder, _ in levels):
        return Groups(levels=levels, is_inside=True)
    return Groups(
        version=version,
        levels=levels,
        why=_why_hidden(host, controller, version, (own, name, top), is_used=bool(levels)),
    )


def _why_hidden(
    host: Host, controller: str, version: int, chain: tuple[str, str, str], *, is_used: bool
) -> str | None:
    """Why a group may be there unseen: of the process's own folder and name, and the top folder."""
    own, name, top = chain
    listing = f"{top}/cgroup.controllers"
    controllers = host.read_text(listing)
    # an empty list is an answer: version 2 limits nothing here
    is_unlisted = controllers is None and "is empty" not in host.why(listing)
    if not host.listdir(top):
        return f"the control groups at {top} cannot be seen from here"
    if version == 2 and not is_used and is_unlisted:
        return host.why(listing)
    if not host.exists(own) and (is_used or controller in (controllers or "").split()):
        return f"control group {name} cannot be seen from here"
    return None


# ------------------------------------------------------------------ memory


def read_memory_limits(host: Host) -> tuple[list[Level], Groups]:
    """Every limit on memory that holds for this process, each with its own group's use, and the
    groups it is in; their `why` is set where a limit may exist unseen.
    """
    chain = groups(host, "memory")
    try:
        levels = (_read_version_1 if chain.version == 1 else _read_version_2)(host, chain.levels)
    except ValueError as error:
        return [], chain.replace(why=str(error))
    # a group that was not seen is no matter where one above it has a limit
    return levels, chain.replace(why=None if levels else chain.why)


def _level(host: Host, folder: str, group: str, file: str, limit_bytes: int) -> Level:
    """A limit with what its group could not give up: its use less file pages, active or not, and
    slab that says it is reclaimable. tmpfs, shared memory and locked pages are on other lists;
    dirty pages are written first.
    """
    is_old = file == _LIMIT
    stat = parse_stat(host.read_text(f"{folder}/memory.stat") or "")
    usage = "memory.usage_in_bytes" if is_old else "memory.current"
    current = parse_number(host.read_text(f"{folder}/{usage}") or "")
    prefix = "total_" if is_old else ""
    inactive, active = (stat.get(f"{prefix}{kind}_file") for kind in ("inactive", "active"))
    used = None
    if current is not None and inactive is not None and active is not None:
        used = max(0, current - inactive - active - stat.get("slab_reclaimable", 0))
    dirty = ("total_dirty", "total_writeback") if is_old else ("file_dirty", "file_writeback")
    return Level(
        limit_bytes=limit_bytes,
        group=group,
        file=file,
        used_bytes=used,
        dirty_bytes=sum(stat.get(name, 0) for name in dirty),
    )


def _number(host: Host, path: str) -> int:
    """The number in a file. `ValueError` where it holds none."""
    number = parse_number(host.read_text(path) or "")
    if number is None:
        raise ValueError(f"{path} is not a number" if host.read_text(path) else host.why(path))
    return number


def _read_version_2(host: Host, groups: Sequence[tuple[str, str]]) -> list[Level]:
    levels = []
    for folder, name in groups:
        limits = {file: _number(host, f"{folder}/{file}") for file in ("memory.high", "memory.max")}
        file = min(limits, key=lambda file: limits[file])
        if limits[file] < NO_LIMIT:
            levels.append(_level(host, folder, name, file, limits[file]))
    return levels


def _read_version_1(host: Host, groups: Sequence[tuple[str, str]]) -> list[Level]:
    levels: list[Level] = []
    inherited: int | None = None
    for folder, name in groups:
        if inherited is None:
            stat = parse_stat(host.read_text(f"{folder}/memory.stat") or "")
            inherited = stat.get(_INHERITED)
        # what a group below states as inherited holds for this one, too
        limit = parse_number(host.read_text(f"{folder}/{_LIMIT}") or "")
        if limit is None and inherited is None:
            limit = _number(host, f"{folder}/{_LIMIT}")
        if limit is not None and limit < NO_LIMIT:
            levels.append(_level(host, folder, name, _LIMIT, limit))
    least = min((level.limit_bytes for level in levels), default=NO_LIMIT)
    if inherited is not None and inherited < least:
        # an ancestor that was read itself says more than the same limit seen from below
        above = f"above {groups[0][1]}"
        levels.append(Level(limit_bytes=inherited, group=above, file=_INHERITED))
    return levels
