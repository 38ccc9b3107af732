"""How much is free where runtimes store their models, and whether it may be written there."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from ..record import PURPOSES, Disk
from .host import Facts, Host, reason_of
from .store_folders import NO_HOME, Place, places

# the drive of Windows under WSL 2
_WINDOWS_DRIVE = "/mnt/c"
_WORDS_OF_KIND = {"network": ", on a network", "memory": ", which is RAM"}


class _Volume(NamedTuple):
    """What was seen of the volume where a place is, or would be made."""

    # the nearest folder upwards that exists
    folder: str
    # `free_bytes` and `total_bytes`; empty where it did not say
    space: dict[str, Any]
    # None where it is not known
    writable: bool | None
    # why it did not say
    failure: str = "the volume did not say"


def read_disks(host: Host, facts: Facts) -> None:
    """One disk a purpose; each that cannot be read has its own reason."""
    folders = host.within(lambda: places(host))
    disks: list[Disk] = []
    for purpose in PURPOSES:
        place = folders.get(purpose, NO_HOME)
        if place.path:
            disks.append(_read_disk(host, facts, purpose, place))
        else:
            why = f"its folder is not known: {place.why}"
            facts.put(f"disks.{purpose}", None, why=why)
    source = "each place has its own entry, disks.<purpose>"
    unknown = "no place where a runtime stores models is known"
    facts.put("disks", tuple(disks) or None, source, unknown)


def _read_disk(host: Host, facts: Facts, purpose: str, place: Place) -> Disk:
    fact = f"disks.{purpose}"
    volume = _volume_of(host, place)
    folder = volume.folder
    if volume.writable is None:
        why = (
            f"whether this account may write to {folder} is not known: {volume.failure}"
        )
        facts.put(f"{fact}.writable", None, why=why)
    if not volume.space:
        why = f"free space of {folder}: {volume.failure}"
        facts.put(f"{fact}.free_bytes", None, why=why)
    # of a folder that could not be looked up, the mount that its name states
    mount = host.mount_of(folder)
    disk = Disk(
        purpose=purpose,
        path=place.path,
        free_bytes=volume.space.get("free_bytes"),
        total_bytes=volume.space.get("total_bytes"),
        filesystem=(mount.filesystem or None) if mount else None,
        writable=volume.writable,
    )
    call = "GetDiskFreeSpaceEx" if host.system == "windows" else "statvfs"
    source = f"{place.why}; {call} of {folder}"
    if mount is not None:
        words = _WORDS_OF_KIND.get(disk.kind, "")
        source += f"; {mount.filesystem} on {mount.point}{words}"
    facts.sources[fact] = source
    return disk


def _volume_of(host: Host, place: Place) -> _Volume:
    try:
        volume = host.within(partial(_look, host, place))
    except (OSError, ValueError) as error:
        return _Volume(place.path, {}, writable=None, failure=reason_of(error))
    if volume.space and not volume.space["total_bytes"]:
        return volume._replace(space={}, failure="its file system reports no size")
    return volume


def _look(host: Host, place: Place) -> _Volume:
    """Raises `OSError` where the volume cannot be looked at."""
    wanted = host.resolve(place.path)
    folder = wanted
    while not host.exists(folder) and host.paths.dirname(folder) != folder:
        folder = host.paths.dirname(folder)
    volume = host.mount_of(wanted)
    mount = host.mount_of(folder)
    if host.live and volume and volume != mount:
        raise OSError(f"the volume at {volume.point} cannot be looked at")
    space = _space_of(host, folder)
    if mount is not None and mount.read_only:
        return _Volume(folder, space, writable=False)
    # what a service's own account stores is judged by space and mount alone
    if place.account and space:
        return _Volume(folder, space, writable=True)
    return _Volume(folder, space, writable=host.ask("writable", folder))


def _space_of(host: Host, folder: str) -> dict[str, Any]:
    space: dict[str, Any] = host.ask("space", folder) or {}
    # under WSL 2 the disk is a file that grows on the Windows drive (microsoft/WSL#4373)
    if space and "microsoft" in host.release and host.exists(_WINDOWS_DRIVE):
        outer = host.ask("space", _WINDOWS_DRIVE) or space
        free = min(space["free_bytes"], outer["free_bytes"])
        return {**space, "free_bytes": free}
    return space
