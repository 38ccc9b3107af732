"""The free space where runtimes store their models, and whether this account may write there."""

from __future__ import annotations

from functools import partial

from ...core.files import reason_of
from ...core.records import Record
from ..record import PURPOSES, Disk
from .host import Facts, Host
from .store_folders import NO_HOME, StoreFolder, places

# the drive of Windows under WSL 2
_WINDOWS_DRIVE = "/mnt/c"
_WORDS_OF_KIND = {"network": ", on a network", "memory": ", which is RAM"}


class _Volume(Record):
    """The volume where a place is, or would be made, as it was seen. `failure` says why a None was
    not read.
    """

    # the nearest existing folder at or above the place; the place itself after a failure
    folder: str
    # the bytes that an ordinary account may use
    free_bytes: int | None = None
    total_bytes: int | None = None
    writable: bool | None = None
    failure: str = "the volume did not say"


def read_disks(host: Host, facts: Facts) -> None:
    """Read one disk for each purpose. A disk that cannot be read has a reason of its own."""
    folders = host.within(lambda: places(host))
    disks = []
    for purpose in PURPOSES:
        place = folders.get(purpose, NO_HOME)
        if place.path:
            disks.append(_read_disk(host, facts, purpose, place))
        else:
            facts.lack(f"disks.{purpose}", f"its folder is not known: {place.why}")
    facts.put(
        "disks",
        tuple(disks) or None,
        source="each place has its own entry, disks.<purpose>",
        why="no place where a runtime stores models is known",
    )


def _read_disk(
    host: Host,
    facts: Facts,
    purpose: str,
    place: StoreFolder,
) -> Disk:
    """The disk of a purpose. The source of the disk, and the reasons of its unread parts, are put
    among the facts.
    """
    fact = f"disks.{purpose}"
    volume = _volume_of(host, place)
    _lack_parts(facts, fact, volume)
    # if the folder could not be looked up, its path tells the mount
    mount = host.mount_of(volume.folder)
    filesystem = None
    if mount is not None:
        filesystem = mount.filesystem or None
    disk = Disk(
        purpose=purpose,
        path=place.path,
        free_bytes=volume.free_bytes,
        total_bytes=volume.total_bytes,
        filesystem=filesystem,
        writable=volume.writable,
    )
    call = "GetDiskFreeSpaceEx" if host.system == "windows" else "statvfs"
    source = f"{place.why}; {call} of {volume.folder}"
    if mount is not None:
        words = _WORDS_OF_KIND.get(disk.kind, "")
        source += f"; {mount.filesystem} on {mount.point}{words}"
    facts.sources[fact] = source
    return disk


def _lack_parts(
    facts: Facts,
    fact: str,
    volume: _Volume,
) -> None:
    """Add the reasons why the permission to write and the free space of a disk are unread."""
    folder = volume.folder
    if volume.writable is None:
        unknown = f"whether this account may write to {folder} is not known"
        facts.lack(f"{fact}.writable", f"{unknown}: {volume.failure}")
    if volume.free_bytes is None:
        facts.lack(f"{fact}.free_bytes", f"free space of {folder}: {volume.failure}")


def _volume_of(host: Host, place: StoreFolder) -> _Volume:
    """The volume of a place, with the reason where the volume could not be looked at."""
    try:
        volume = host.within(partial(_look, host, place))
    except (OSError, ValueError) as error:
        return _Volume(folder=place.path, failure=reason_of(error))
    if volume.total_bytes == 0:
        return volume.replace(
            free_bytes=None,
            total_bytes=None,
            failure="its file system reports no size",
        )
    return volume


def _look(host: Host, place: StoreFolder) -> _Volume:
    """Look at the volume of a place. `writable` is about the account that stores models there.

    Raises `OSError` where the volume cannot be looked at.
    """
    wanted = host.resolve(place.path)
    # the nearest existing folder, or else the top
    folder = wanted
    for folder in host.upwards(wanted):
        if host.exists(folder):
            break
    volume = host.mount_of(wanted)
    mount = host.mount_of(folder)
    if host.live and volume is not None and volume != mount:
        raise OSError(f"the volume at {volume.point} cannot be looked at")
    found = _with_space(host, folder)
    if mount is not None and mount.read_only:
        return found.replace(writable=False)
    # if a service stores the models under its own account, only space and mount are checked
    if place.account and found.total_bytes is not None:
        return found.replace(writable=True)
    return found.replace(writable=host.ask("writable", folder))


def _with_space(host: Host, folder: str) -> _Volume:
    """The volume of a folder that exists, with its space where the system says it."""
    space = host.ask("space", folder)
    if not space:
        return _Volume(folder=folder)
    free_bytes = space["free_bytes"]
    # under WSL 2 the disk is a file that grows on the Windows drive (microsoft/WSL#4373)
    if "microsoft" in host.release and host.exists(_WINDOWS_DRIVE):
        outer = host.ask("space", _WINDOWS_DRIVE)
        if outer:
            free_bytes = min(free_bytes, outer["free_bytes"])
    total_bytes = space["total_bytes"]
    # a remote file system may report more free bytes than the volume has; a record may not
    return _Volume(
        folder=folder,
        free_bytes=min(free_bytes, total_bytes),
        total_bytes=total_bytes,
    )
