"""How much is free where runtimes store their models, and whether it may be written there."""

from __future__ import annotations

from functools import partial

from ...core.records import Record
from ..record import PURPOSES, Disk
from .host import Facts, Host, reason_of
from .store_folders import NO_HOME, StoreFolder, places

# the drive of Windows under WSL 2
_WINDOWS_DRIVE = "/mnt/c"
_WORDS_OF_KIND = {"network": ", on a network", "memory": ", which is RAM"}


class _Space(Record):
    """Bytes of a volume; `free_bytes` are those that an ordinary account may use."""

    free_bytes: int
    total_bytes: int


class _Volume(Record):
    """What was seen of the volume where a place is, or would be made."""

    # the nearest folder upwards that exists
    folder: str
    # None where it did not say, for the reason `failure`
    space: _Space | None = None
    # None where it is not known
    writable: bool | None = None
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
            facts.lack(f"disks.{purpose}", why)
    source = "each place has its own entry, disks.<purpose>"
    unknown = "no place where a runtime stores models is known"
    facts.put("disks", tuple(disks) or None, source, unknown)


def _read_disk(
    host: Host,
    facts: Facts,
    purpose: str,
    place: StoreFolder,
) -> Disk:
    """The disk of a purpose. Its source goes among the facts, and why a part of it is unread."""
    fact = f"disks.{purpose}"
    volume = _volume_of(host, place)
    folder = volume.folder
    if volume.writable is None:
        unknown = f"whether this account may write to {folder} is not known"
        facts.lack(f"{fact}.writable", f"{unknown}: {volume.failure}")
    free_bytes = None
    total_bytes = None
    if volume.space is not None:
        free_bytes = volume.space.free_bytes
        total_bytes = volume.space.total_bytes
    else:
        why = f"free space of {folder}: {volume.failure}"
        facts.lack(f"{fact}.free_bytes", why)
    # of a folder that could not be looked up, the mount that its name states
    mount = host.mount_of(folder)
    filesystem = None
    if mount is not None and mount.filesystem:
        filesystem = mount.filesystem
    disk = Disk(
        purpose=purpose,
        path=place.path,
        free_bytes=free_bytes,
        total_bytes=total_bytes,
        filesystem=filesystem,
        writable=volume.writable,
    )
    call = "GetDiskFreeSpaceEx" if host.system == "windows" else "statvfs"
    source = f"{place.why}; {call} of {folder}"
    if mount is not None:
        words = _WORDS_OF_KIND.get(disk.kind, "")
        source += f"; {mount.filesystem} on {mount.point}{words}"
    facts.sources[fact] = source
    return disk


def _volume_of(host: Host, place: StoreFolder) -> _Volume:
    """The volume of a place, or why it could not be looked at."""
    try:
        volume = host.within(partial(_look, host, place))
    except (OSError, ValueError) as error:
        return _Volume(folder=place.path, failure=reason_of(error))
    if volume.space is not None and volume.space.total_bytes == 0:
        return volume.replace(space=None, failure="its file system reports no size")
    return volume


def _look(host: Host, place: StoreFolder) -> _Volume:
    """What is seen there: whether it may be written is judged for the account that stores models.
    Raises `OSError` where the volume cannot be looked at.
    """
    wanted = host.resolve(place.path)
    # the nearest that exists, else the top
    for folder in host.upwards(wanted):
        if host.exists(folder):
            break
    volume = host.mount_of(wanted)
    mount = host.mount_of(folder)
    if host.live and volume is not None and volume != mount:
        raise OSError(f"the volume at {volume.point} cannot be looked at")
    space = _space_of(host, folder)
    if mount is not None and mount.read_only:
        return _Volume(folder=folder, space=space, writable=False)
    # what a service's own account stores is judged by space and mount alone
    if place.account and space is not None:
        return _Volume(folder=folder, space=space, writable=True)
    writable: bool | None = host.ask("writable", folder)
    return _Volume(folder=folder, space=space, writable=writable)


def _space_of(host: Host, folder: str) -> _Space | None:
    """The space of a folder's volume; None where the system does not say."""
    answer = host.ask("space", folder)
    if not answer:
        return None
    space = _Space(free_bytes=answer["free_bytes"], total_bytes=answer["total_bytes"])
    # under WSL 2 the disk is a file that grows on the Windows drive (microsoft/WSL#4373)
    if "microsoft" in host.release and host.exists(_WINDOWS_DRIVE):
        outer = host.ask("space", _WINDOWS_DRIVE)
        if outer:
            free_bytes = min(space.free_bytes, outer["free_bytes"])
            return space.replace(free_bytes=free_bytes)
    return space
