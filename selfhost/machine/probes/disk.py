"""Disks: where each runtime would store models, and how much is free there."""

from __future__ import annotations

from ...core.records import Record
from ..record import LM_STUDIO, MEMORY_FILESYSTEMS, NETWORK_FILESYSTEMS, SET_DISK, Disk
from .facts import Facts
from .host import Host, Mount, Space, reason_of
from .procfs import MEMINFO, parse_meminfo
from .stores import PLACES, Place, lm_studio

# options of a mounted file system that hold accounts to less than what is free (mount(8), xfs(5));
# of a project's quota statvfs knows
_QUOTAS = ("usrquota", "grpquota", "uquota", "gquota", "quota", "usrjquota", "grpjquota")
# file systems that lie in folders of others, which the mount table does not name
_STACKED = ("overlay", "overlayfs", "aufs", "unionfs", "ecryptfs", "fuse")
_LOOK = "`findmnt -T FOLDER` shows what it lies on; or name a folder on a disk"
_MAX_SHOWN = 300


class _Volume(Record):
    """What the system says of a place: the folder that is there, the space of its volume and
    whether one may write; and why not.
    """

    folder: str
    space: Space | None = None
    writable: bool | None = None
    failure: str = "the volume did not say"


def read_disks(host: Host, facts: Facts) -> None:
    """One disk a purpose; each that cannot be read has its own reason."""
    disks = []
    for purpose, find in (*PLACES.items(), (LM_STUDIO, lm_studio)):
        fact = f"disks.{purpose}"
        try:
            place = host.within(lambda find=find: find(host))  # type: ignore[misc]
        except (OSError, ValueError) as error:
            facts.miss(fact, f"its folder could not be looked up: {reason_of(error)}")
            continue
        if place is not None:
            disks.append(_read_disk(host, facts, purpose, place))
        elif purpose != LM_STUDIO:
            facts.miss(fact, "its folder is not known: no home folder is set", SET_DISK)
    if disks:
        facts.put("disks", tuple(disks), "each place has its own entry, disks.<purpose>")
    else:
        facts.miss("disks", "no place where a runtime stores models is known", SET_DISK)


def _read_disk(host: Host, facts: Facts, purpose: str, place: Place) -> Disk:
    fact = f"disks.{purpose}"
    try:
        # TimeoutError is an OSError
        volume = host.within(lambda: _look(host, place))
    except (OSError, ValueError) as error:
        volume = _Volume(folder=place.path, failure=reason_of(error))
    folder, space = volume.folder, volume.space
    # of a folder that could not be looked up, the mount that its name states
    mount = host.mount_of(folder) if host.paths.isabs(folder) else None
    writable = _is_writable(host, place, volume, mount)
    shown = folder if len(folder) <= _MAX_SHOWN else folder[: _MAX_SHOWN - 1] + "…"
    if writable is None:
        reason = f"whether this account may write to {shown} is not known"
        facts.miss(f"{fact}.writable", f"{reason}: {volume.failure}", SET_DISK)
    free_files = space.free_files if space else None
    if space is not None and not space.total_bytes:
        space, volume = None, volume.replace(failure="its file system tells no size")
    if space is None:
        facts.miss(f"{fact}.free_bytes", f"free space of {shown}: {volume.failure}", SET_DISK)
    guess = _note_unseen(host, facts, fact, mount, space)
    facts.note(fact, f"{place.why}; {_read_from(host, folder, mount)}{guess}")
    return Disk(
        purpose=purpose,
        path=place.path,
        free_bytes=space.free_bytes if space else None,
        total_bytes=space.total_bytes if space else None,
        filesystem=(mount.filesystem or None) if mount else None,
        writable=writable,
        backing=_memory_device(mount),
        free_files=free_files,
    )


def _is_writable(host: Host, place: Place, volume: _Volume, mount: Mount | None) -> bool | None:
    if volume.space is None:
        return volume.writable
    # macOS mounts / read-only and yet stores under it
    is_closed = host.system == "linux" and mount is not None and mount.read_only
    if volume.space.read_only or is_closed:
        return False
    # what a service's own account stores is judged by space and mount alone
    return True if place.account is not None else volume.writable


def _look(host: Host, place: Place) -> _Volume:
    """The nearest folder that exists, upwards: a download would make the rest."""
    folder = host.resolve(place.path)
    while not host.exists(folder) and host.paths.dirname(folder) != folder:
        folder = host.paths.dirname(folder)
    if not host.is_folder(folder) and host.exists(folder):
        return _Volume(folder=folder, writable=False, failure="it is a file, not a folder")
    space = host.space(folder)
    if space and "microsoft" in host.release() and host.exists("/mnt/c"):
        # under WSL 2 the disk is a file that grows on the Windows drive (microsoft/WSL#4373)
        outer = host.space("/mnt/c") or space
        space = space.replace(free_bytes=min(space.free_bytes, outer.free_bytes))
    return _Volume(folder=folder, space=space, writable=host.can_write(folder))


def _read_from(host: Host, folder: str, mount: Mount | None) -> str:
    call = "GetDiskFreeSpaceEx" if host.system == "windows" else "statvfs"
    if mount is None:
        return f"{call} of {folder}"
    network = ", a network volume" if mount.filesystem in NETWORK_FILESYSTEMS else ""
    ram = ", which is RAM" if _is_memory(mount) else ""
    return f"{call} of {folder}; {mount.filesystem} on {mount.point}{network}{ram}"


def _memory_device(mount: Mount | None) -> str | None:
    """The kind of device in RAM that holds the bytes, if one does."""
    devices = {"/dev/zram": "zram", "/dev/ram": "brd"}
    source = mount.source if mount else ""
    return next((kind for start, kind in devices.items() if source.startswith(start)), None)


def _is_memory(mount: Mount) -> bool:
    return mount.filesystem in MEMORY_FILESYSTEMS or _memory_device(mount) is not None


def _note_unseen(
    host: Host, facts: Facts, fact: str, mount: Mount | None, space: Space | None
) -> str:
    """Says of what is not read: quotas, and whether the files of a stacked file system take RAM.
    What is taken for granted of these, for its source.
    """
    if host.system != "linux":
        return ""
    options = mount.options.split(",") if mount else []
    if mount and any(option.partition("=")[0] in _QUOTAS for option in options):
        reason = f"{mount.point} has quotas, and what they leave to this account is not read"
        facts.miss(f"{fact}.quota", reason, "`quota -s` tells it")
    hidden = _hides_its_files(host, mount)
    # a folder that could not be looked up has its own reason
    if not hidden or (mount is None and (host.mounts() or space is None)):
        return ""
    if space is not None and _is_larger_than_ram(host, space):
        return ", taken for a disk, which is not to be seen: it is larger than RAM and swap"
    facts.miss(f"{fact}.backing", f"whether files there take RAM is not told: {hidden}", _LOOK)
    return ""


def _hides_its_files(host: Host, mount: Mount | None) -> str:
    """Why it does not show whether files take RAM; empty where it does."""
    if mount is None:
        return host.why("/proc/self/mountinfo")
    kind = mount.filesystem.lower()
    is_stacked = kind in _STACKED or kind.startswith("fuse.")
    if mount.source.startswith("/dev/loop") or (is_stacked and kind not in NETWORK_FILESYSTEMS):
        return f"{mount.point} is {mount.filesystem}, which does not tell where it keeps the files"
    return ""


def _is_larger_than_ram(host: Host, space: Space) -> bool:
    """A volume larger than RAM and swap together is taken for a disk: the size of a tmpfs is half
    the RAM unless somebody set it. lxcfs tells a container's limit for the machine's RAM.
    """
    meminfo = parse_meminfo(host.read_text(MEMINFO) or "")
    if "MemTotal" not in meminfo or any(m.filesystem == "fuse.lxcfs" for m in host.mounts()):
        return False
    return space.total_bytes > meminfo["MemTotal"] + meminfo.get("SwapTotal", 0)
