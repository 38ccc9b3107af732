"""Disks: where each runtime would store models, and how much is free there."""

from __future__ import annotations

from ...core.records import Record
from ..fields import SET_DISK
from ..record import LM_STUDIO, MEMORY_FILESYSTEMS, NETWORK_FILESYSTEMS, Disk
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
    volume = _volume(host, place)
    folder, space = volume.folder, volume.space
    shown = folder if len(folder) <= _MAX_SHOWN else folder[: _MAX_SHOWN - 1] + "…"
    # of a folder that could not be looked up, the mount that its name states
    mount = host.mount_of(folder) if host.paths.isabs(folder) else None
    writable = _is_writable(host, place, volume, mount)
    if writable is None:
        reason = f"whether this account may write to {shown} is not known"
        facts.miss(f"{fact}.writable", f"{reason}: {volume.failure}", SET_DISK)
    free_files = space.free_files if space else None
    if space is not None and not space.total_bytes:
        space, volume = None, volume.replace(failure="its file system tells no size")
    if space is None:
        facts.miss(f"{fact}.free_bytes", f"free space of {shown}: {volume.failure}", SET_DISK)
    backing, guess = None, ""
    if host.system == "linux":
        backing, guess = _backing(host, facts, fact, mount, space)
    if mount is not None:
        _miss_quota(host, facts, fact, mount)
    facts.note(fact, f"{place.why}; {_read_from(host, folder, mount, backing)}{guess}")
    return Disk(
        purpose=purpose,
        path=place.path,
        free_bytes=space.free_bytes if space else None,
        total_bytes=space.total_bytes if space else None,
        filesystem=(mount.filesystem or None) if mount else None,
        writable=writable,
        backing=backing,
        free_files=free_files,
    )


def _is_writable(host: Host, place: Place, volume: _Volume, mount: Mount | None) -> bool | None:
    if volume.space is None:
        return volume.writable
    # macOS mounts / read-only and yet stores under it
    is_mount_closed = host.system == "linux" and mount is not None and mount.read_only
    if volume.space.read_only or is_mount_closed:
        return False
    # what a service's own account stores is judged by space and mount alone
    return True if place.account is not None else volume.writable


def _read_from(host: Host, folder: str, mount: Mount | None, backing: str | None) -> str:
    call = "GetDiskFreeSpaceEx" if host.system == "windows" else "statvfs"
    if mount is None:
        return f"{call} of {folder}"
    network = ", a network volume" if mount.filesystem in NETWORK_FILESYSTEMS else ""
    ram = ", which is RAM" if backing or mount.filesystem in MEMORY_FILESYSTEMS else ""
    return f"{call} of {folder}; {mount.filesystem} on {mount.point}{network}{ram}"


def _volume(host: Host, place: Place) -> _Volume:
    try:
        # TimeoutError is an OSError
        return host.within(lambda: _look(host, place))
    except (OSError, ValueError) as error:
        return _Volume(folder=place.path, failure=reason_of(error))


def _look(host: Host, place: Place) -> _Volume:
    """The nearest folder that exists, upwards: a download would make the rest."""
    folder = host.resolve(place.path)
    while not host.exists(folder) and host.paths.dirname(folder) != folder:
        folder = host.paths.dirname(folder)
    if not host.is_folder(folder) and host.exists(folder):
        return _Volume(folder=folder, writable=False, failure="it is a file, not a folder")
    space = host.space(folder)
    if space and "microsoft" in host.release().lower() and host.exists("/mnt/c"):
        # under WSL 2 the disk is a file that grows on the Windows drive (microsoft/WSL#4373)
        outer = host.space("/mnt/c") or space
        space = space.replace(free_bytes=min(space.free_bytes, outer.free_bytes))
    return _Volume(folder=folder, space=space, writable=host.can_write(folder))


def _miss_quota(host: Host, facts: Facts, fact: str, mount: Mount) -> None:
    """Quotas are not read: where they are on, that is said."""
    is_on = any(option.partition("=")[0] in _QUOTAS for option in mount.options.split(","))
    # `quotaon` needs no option there; the kernel counts how often it looked an account up
    may_be = mount.filesystem in ("ext2", "ext3", "ext4", "f2fs") and (
        host.read_word("/proc/sys/fs/quota/lookups") not in (None, "0")
    )
    has_groups = mount.filesystem == "btrfs" and any(
        host.exists(f"/sys/fs/btrfs/{name}/qgroups") for name in host.listdir("/sys/fs/btrfs") or ()
    )
    if has_groups or is_on or may_be:
        has = "may have" if may_be else "has"
        reason = f"{mount.point} {has} quotas, and what they leave to this account is not read"
        remedy = "`btrfs qgroup show FOLDER` tells it" if has_groups else "`quota -s` tells it"
        facts.miss(f"{fact}.quota", reason, remedy)


def _backing(
    host: Host, facts: Facts, fact: str, mount: Mount | None, space: Space | None
) -> tuple[str | None, str]:
    """The kind of device in RAM that holds the bytes, if one does, and what is a guess. Where it
    cannot be told whether files take RAM, `fact` has that unread.
    """
    if mount is not None and mount.source.startswith(("/dev/zram", "/dev/ram")):
        return "zram" if "zram" in mount.source else "brd", ""
    if mount is None and (host.mounts() or space is None):
        # the folder could not be looked up, and so has its own reason
        return None, ""
    hidden = _hides_its_files(host, mount)
    if hidden is None:
        return None, ""
    if space is not None and _is_larger_than_ram(host, space):
        return None, ", taken for a disk, which is not to be seen: it is larger than RAM and swap"
    facts.miss(f"{fact}.backing", f"whether files there take RAM is not told: {hidden}", _LOOK)
    return None, ""


def _hides_its_files(host: Host, mount: Mount | None) -> str | None:
    """Why it does not show whether files take RAM; None where it does."""
    if mount is None:
        return host.why("/proc/self/mountinfo")
    kind = mount.filesystem.lower()
    is_stacked = kind in _STACKED or kind.startswith("fuse.")
    if mount.source.startswith("/dev/loop") or (is_stacked and kind not in NETWORK_FILESYSTEMS):
        return f"{mount.point} is {mount.filesystem}, which does not tell where it keeps the files"
    return None


def _is_larger_than_ram(host: Host, space: Space) -> bool:
    """A volume larger than RAM and swap together is taken for a disk: the size of a tmpfs is half
    the RAM unless somebody set it. lxcfs tells a container's limit for the machine's RAM.
    """
    meminfo = parse_meminfo(host.read_text(MEMINFO) or "")
    memory = meminfo.get("MemTotal")
    is_lxcfs = any(mount.filesystem == "fuse.lxcfs" for mount in host.mounts())
    return (
        bool(memory)
        and not is_lxcfs
        and space.total_bytes > (memory or 0) + meminfo.get("SwapTotal", 0)
    )


def in_memory(host: Host, path: str) -> bool | None:
    """Whether an existing file or folder takes RAM where it lies; None where that does not show.
    `OSError` from the system.
    """
    path = host.resolve(path)
    mount = host.mount_of(path)
    if host.system != "linux" or mount is None:
        return False
    if mount.filesystem in MEMORY_FILESYSTEMS or mount.source.startswith(("/dev/zram", "/dev/ram")):
        return True
    space = host.space(path) if _hides_its_files(host, mount) else None
    is_disk = space is None or _is_larger_than_ram(host, space)
    return False if is_disk else None
