"""Control groups: which groups hold this process, from its own up to the top of what is mounted
here (versions 1, 2 and both).
"""

from __future__ import annotations

from collections.abc import Mapping

from ...core.records import Record
from .host import Host, Mount, is_wsl1

# limits at or above this are version 1's way to say "none": 2**63 rounded down to a page, whatever
# the page size
NO_LIMIT = 2**60


class Groups(Record):
    """The folders of the groups that hold this process for one controller, its own first, and their
    names as the system shows them.

    `version` is 1 or 2. Empty `folders` with no `why`: the system does not use this controller.
    `why` is set where the groups could not be read, so that limits may exist unseen.
    """

    version: int = 2
    folders: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    why: str | None = None


class Level(Record):
    """One limit: its bytes, the group and file it stands in, what the group uses of it (None: not
    readable).

    `dirty_bytes` of the rest is cache that must be written to disk before it can be dropped.
    """

    limit_bytes: int
    group: str
    file: str
    used_bytes: int | None
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
            for controller in controllers.split(","):
                path_of_controller[controller] = path
    return path_of_controller


def parse_number(text: str) -> int | None:
    """A file of one number, which ends its line; `max` and -1 give `NO_LIMIT`, anything else
    None.
    """
    if not text.endswith("\n"):
        return None
    word = text.strip()
    if word in ("max", "-1"):
        return NO_LIMIT
    return int(word) if word.isdecimal() and word.isascii() and len(word) <= 20 else None


def parse_pairs(text: str) -> dict[str, int]:
    """memory.stat: lines of a name and a number; others are left out."""
    number_of_name = {}
    for line in text.splitlines():
        name, _, number = line.partition(" ")
        if number.isdecimal() and number.isascii() and len(number) <= 20:
            number_of_name[name] = int(number)
    return number_of_name


def _folders(mount: Mount, path: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """From the process's group up to the mount point, and the names to show for them; None where
    the group is not below what is mounted.

    Both paths are relative to the root of the process's namespace, and may lead out of it
    (cgroup_namespaces(7)).
    """
    root, point = mount.root.rstrip("/"), mount.point.rstrip("/")
    if path != root and not path.startswith(root + "/"):
        return None
    below = path[len(root) :].strip("/").split("/") if path[len(root) :].strip("/") else []
    if not all(part and part not in (".", "..") for part in below):
        return None
    steps = ["/" + "/".join(below[:size]) if size else "" for size in range(len(below), -1, -1)]
    return tuple(point + step for step in steps), tuple(root + step or "/" for step in steps)


def _chain(version: int, mounts: list[Mount], path: str) -> Groups:
    """The groups of `path` in the first of `mounts` that shows them; `why` where none does."""
    for mount in mounts:
        folders_and_names = _folders(mount, path)
        if folders_and_names is not None:
            return Groups(version=version, folders=folders_and_names[0], names=folders_and_names[1])
    shown = f"{mounts[0].point} shows the groups of {mounts[0].root}"
    if ".." in mounts[0].root.split("/"):
        return Groups(
            why=f"{shown}, above this process's namespace, and not which of them is its own"
        )
    return Groups(why=f"{shown}, and this process is in {path}, which is not below it")


# who made the container, for whom it is to know (systemd's CONTAINER_INTERFACE): systemd's own word
# for it, and the maker's
_MAKERS = ("/run/systemd/container", "/run/host/container-manager")


def _in_nspawn(host: Host) -> bool:
    """systemd-nspawn puts what it runs into `payload`, below the group that its unit limits
    (systemd's src/nspawn/nspawn-cgroup.c).
    """
    if host.env.get("container") == "systemd-nspawn":
        return True
    return any((host.read_text(path) or "").strip() == "systemd-nspawn" for path in _MAKERS)


def groups(host: Host, controller: str, files: tuple[str, ...]) -> Groups:
    """The groups of one controller. `files` are names of which one exists in every version 2
    group under that controller.
    """
    text = host.read_text("/proc/self/cgroup")
    if not text and is_wsl1(host):
        # it imitates a kernel without control groups
        return Groups()
    if text is None:
        return Groups(why=host.why("/proc/self/cgroup"))
    if not text.endswith("\n"):
        # half a path is that of another group
        return Groups(why="/proc/self/cgroup was cut off")
    paths = parse_cgroup(text)
    if not paths:
        return Groups(why="/proc/self/cgroup names no control group")
    if not host.mounts():
        return Groups(why=host.why("/proc/self/mountinfo"))
    return _mounted(host, paths, controller, files)


def _mounted(
    host: Host, paths: Mapping[str, str], controller: str, files: tuple[str, ...]
) -> Groups:
    """The groups of one controller where the hierarchy that has it is mounted."""
    # of two mounts on one point the later one is seen
    mounts = tuple({mount.point: mount for mount in host.mounts()}.values())
    old = [
        mount
        for mount in mounts
        if mount.filesystem == "cgroup" and controller in mount.options.split(",")
    ]
    if controller in paths and old:
        return _chain(1, old, paths[controller])
    if old:
        return Groups(
            why=(
                f"/proc/self/cgroup does not name the {controller} group, and {old[0].point} is"
                " mounted"
            )
        )
    if controller in paths:
        # a controller of version 1 is none of version 2, whatever else is mounted
        return Groups(why=f"the {controller} control groups are not mounted here")
    new = [mount for mount in mounts if mount.filesystem == "cgroup2"]
    if "" in paths and new:
        return _unified(host, _chain(2, new, paths[""]), controller, files)
    if "" in paths:
        return Groups(why="the control groups are not mounted here")
    return Groups()


def _unified(host: Host, chain: Groups, controller: str, files: tuple[str, ...]) -> Groups:
    """The version 2 groups of `chain`, if they are under that controller."""
    if chain.why:
        return chain
    if _in_nspawn(host):
        return Groups(
            why="systemd-nspawn sets its limits on the group above the one that shows here as the"
            " top"
        )
    listing = f"{chain.folders[-1]}/cgroup.controllers"
    controllers = host.read_text(listing)
    if controllers is not None and controller in controllers.split():
        return chain
    if not all(host.missing(f"{folder}/{file}") for folder in chain.folders for file in files):
        return chain
    # an empty list is an answer: version 2 limits nothing here
    if controllers is not None or host.why(listing).endswith("is empty"):
        return Groups()
    return Groups(why=host.why(listing))
