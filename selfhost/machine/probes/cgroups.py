"""Control groups: which groups hold this process, from its own up to the top of what is mounted
here (versions 1, 2 and both).
"""

from __future__ import annotations

from collections.abc import Mapping

from ...core.records import Record
from .host import Host, Mount
from .procfs import whole

# limits at or above this are version 1's way to say "none": 2**63 rounded down to a page, whatever
# the page size
NO_LIMIT = 2**60


class Groups(Record):
    """The folders of the groups that hold this process for one controller, its own first, and their
    names as the system shows them.

    Empty `folders` with no `why`: the system does not use this controller. `why` is set where the
    groups could not be read, so that limits may exist unseen.
    """

    version: int = 2
    folders: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
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
    if not text.endswith("\n"):
        return None
    word = text.strip()
    return NO_LIMIT if word in ("max", "-1") else whole(word)


def parse_stat(text: str) -> dict[str, int]:
    """memory.stat: lines of a name and a number; others are left out."""
    pairs = (line.partition(" ") for line in text.splitlines())
    numbers = ((name, whole(number)) for name, _, number in pairs)
    return {name: number for name, number in numbers if number is not None}


def groups(host: Host, controller: str, files: tuple[str, ...]) -> Groups:
    """The groups of one controller. `files` are names of which one exists in every version 2
    group under that controller.
    """
    text = host.read_text("/proc/self/cgroup")
    if text is None:
        return Groups(why=host.why("/proc/self/cgroup"))
    paths = parse_cgroup(text)
    # half a path is that of another group
    if not paths or not text.endswith("\n"):
        return Groups(why="/proc/self/cgroup names no control group, or was cut off")
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
    new = [mount for mount in mounts if mount.filesystem == "cgroup2"]
    if controller in paths and old:
        return _chain(1, old, paths[controller])
    if old:
        return Groups(why=f"/proc/self/cgroup does not name the {controller} group")
    if controller in paths or ("" in paths and not new):
        # a controller of version 1 is none of version 2, whatever else is mounted
        return Groups(why=f"the {controller} control groups are not mounted here")
    return _unified(host, _chain(2, new, paths[""]), controller, files) if new else Groups()


def _chain(version: int, mounts: list[Mount], path: str) -> Groups:
    """The groups of `path` in the first of `mounts` that shows them, from the process's own up to
    the mount point; `why` where none does.

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
        return Groups(
            version=version,
            folders=tuple(point + step for step in steps),
            names=tuple(root + step or "/" for step in steps),
        )
    return Groups(
        why=f"{mounts[0].point} shows the groups of {mounts[0].root}, and this process is in {path}"
    )


def _unified(host: Host, chain: Groups, controller: str, files: tuple[str, ...]) -> Groups:
    """The version 2 groups of `chain`, if they are under that controller."""
    if chain.why:
        return chain
    if "systemd-nspawn" in (host.env.get("container"), host.read_word("/run/systemd/container")):
        # its unit limits the group above the one it puts a container into
        return Groups(why="systemd-nspawn sets its limits on a group that does not show here")
    listing = f"{chain.folders[-1]}/cgroup.controllers"
    controllers = host.read_text(listing)
    is_used = controllers is not None and controller in controllers.split()
    if is_used or not all(
        host.missing(f"{folder}/{file}") for folder in chain.folders for file in files
    ):
        return chain
    # an empty list is an answer: version 2 limits nothing here
    if controllers is not None or host.why(listing).endswith("is empty"):
        return Groups()
    return Groups(why=host.why(listing))
