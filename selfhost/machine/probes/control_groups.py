"""The control groups of Linux (versions 1, 2 and both), which limit the resources of a process: the
groups of this process, and their CPU quotas.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...core.records import Record
from .host import MOUNTINFO, Host
from .texts import Mount, parse_limit

CGROUP = "/proc/self/cgroup"
# a line of the file: a number, controllers, and the path of this process
_PATH = "(?m)^[^:\n]*:([^:\n]*):(.*)$"
# the empty name that stands for all controllers of version 2
_VERSION_2 = ""
_NSPAWN = "systemd-nspawn"
# the microseconds of CPU time, over all CPUs, that a group gets in each period, and the length of
# the period
_QUOTA = "cpu.cfs_quota_us"
_PERIOD = "cpu.cfs_period_us"
_QUOTA_AND_PERIOD = "cpu.max"
# by version and controller: a group that can be limited has at least one of these files, but the
# top of the hierarchy has none (CFTYPE_NOT_ON_ROOT in mm/memcontrol.c). The set is empty where
# every group can be limited, including the top: version 1 limits memory there too
_MARKS: dict[tuple[int, str], set[str]] = {
    (1, "memory"): set(),
    (1, "cpu"): {_QUOTA},
    (2, "memory"): {"memory.max", "memory.high", "memory.current"},
    (2, "cpu"): {_QUOTA_AND_PERIOD, "cpu.weight"},
}


class ControlGroup(Record):
    """A control group: the folder of its files, and its name."""

    folder: str
    name: str


class Groups(Record):
    """The cgroups of one controller that may limit this process, from the process's own cgroup to
    the top of the hierarchy.
    """

    version: int
    levels: list[ControlGroup]


class CpuQuota(Record):
    """The number of CPUs that a group lets its processes use at once, and the file that says so."""

    cpus: float
    group: str
    file: str


class _Hierarchy(Record):
    """The mounts of one controller's cgroups, and the path of this process's cgroup in these
    mounts. The path is empty where the kernel names none.
    """

    version: int
    mounts: list[Mount]
    path: str

    def groups_upwards(self) -> Iterator[ControlGroup]:
        """Yield the group of this process, then each group above it: `/a/b`, `/a`, the top.
        `ValueError` where no mount shows the group.
        """
        mount = self.mount_of_process()
        root = mount.root.rstrip("/")
        point = mount.point.rstrip("/")
        below = self.path.removeprefix(root).rstrip("/")
        while below:
            yield ControlGroup(folder=point + below, name=root + below)
            below = below.rpartition("/")[0]
        # the mounted group itself
        yield ControlGroup(folder=point, name=root or "/")

    def mount_of_process(self) -> Mount:
        """The first mount that holds the group of this process. `ValueError` where none does."""
        path = self.path
        leads_upwards = ".." in path.split("/")
        shown = []
        for mount in self.mounts:
            root = mount.root.rstrip("/")
            if path and not leads_upwards and f"{path}/".startswith(f"{root}/"):
                return mount
            shown.append(f"{mount.point} shows the groups of {mount.root}")
        where = ", ".join(shown) or "none are mounted here"
        raise ValueError(f"{where}; this process is in {path or 'none'}")


def read_groups(host: Host, controller: str) -> Groups:
    """The groups that limit this process in `cpu` or `memory`. `ValueError` where a limit may exist
    unseen.
    """
    hierarchy = _hierarchy_of(host, controller)
    levels = []
    # a kernel without the controller sets no such limit
    if hierarchy.mounts or hierarchy.path:
        marks = _MARKS[hierarchy.version, controller]
        for group in hierarchy.groups_upwards():
            files = host.listdir(group.folder)
            if not files:
                raise ValueError(f"control group {group.name} cannot be seen from here")
            if not marks or not marks.isdisjoint(files):
                levels.append(group)
    return Groups(version=hierarchy.version, levels=levels)


def _hierarchy_of(host: Host, controller: str) -> _Hierarchy:
    """The groups of a controller, of version 1 where the controller has such groups.

    `ValueError` where the groups are not known, or do not show what limits this process.
    """
    paths = _paths_by_controller(host.read_text(CGROUP))
    if not paths:
        raise ValueError(host.why[CGROUP])
    if not host.mounts:
        raise ValueError(host.why[MOUNTINFO])
    # where two mounts have the same mount point, only the later mount is visible
    shown = {mount.point: mount for mount in host.mounts}
    version = 1
    mounts = []
    for mount in shown.values():
        controllers = mount.options.split(",")
        if mount.filesystem == "cgroup" and controller in controllers:
            mounts.append(mount)
    path = paths.get(controller)
    # a controller of version 1 is not in version 2, whatever else is mounted
    if path is None and not mounts:
        _refuse_nspawn(host)
        version = 2
        mounts = [mount for mount in shown.values() if mount.filesystem == "cgroup2"]
        path = paths.get(_VERSION_2)
    # the top itself has the path `/`
    if path == "":
        raise ValueError(host.why[CGROUP])
    return _Hierarchy(version=version, mounts=mounts, path=path or "")


def _paths_by_controller(text: str) -> dict[str, str]:
    """The path of this process's group for each controller, by the text of /proc/self/cgroup.

    None of a text that was cut off: half a path is the path of another group.
    """
    paths: dict[str, str] = {}
    if text.endswith("\n"):
        for controllers, path in re.findall(_PATH, text):
            paths |= dict.fromkeys(controllers.split(","), path)
    return paths


def _refuse_nspawn(host: Host) -> None:
    """Raise `ValueError` in a container of systemd-nspawn. The limits of the container's unit apply
    to the group above the container's own.
    """
    container = host.read_value("/run/systemd/container")
    if _NSPAWN in (host.env.get("container"), container):
        raise ValueError(
            f"{_NSPAWN} sets its limits on a group that does not show here"
        )


def read_cpu_quotas(host: Host) -> Iterator[CpuQuota]:
    """Yield the quota of each group; a group without a limit has a quota of very many CPUs.
    `ValueError` where a limit may exist unseen.
    """
    groups = read_groups(host, "cpu")
    file = _QUOTA if groups.version == 1 else _QUOTA_AND_PERIOD
    for group in groups.levels:
        path = f"{group.folder}/{file}"
        quota = _limit_in(host, path)
        if groups.version == 1:
            period = _limit_in(host, f"{group.folder}/{_PERIOD}")
        else:
            period = _limit_in(host, path, 1)
        yield CpuQuota(
            cpus=quota / period,
            group=group.name,
            file=file,
        )


def _limit_in(
    host: Host,
    path: str,
    place: int = 0,
) -> int:
    """The limit in a file of one line: the word at `place`, counted from 0. `ValueError` where the
    limit is missing, or 0.
    """
    line = host.read_text(path)
    words = line.split()
    if line.endswith("\n") and place < len(words):
        limit = parse_limit(f"{words[place]}\n")
        if limit:
            return limit
    raise ValueError(host.why[path])
