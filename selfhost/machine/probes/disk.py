"""Disks: where each runtime would store models, and how much is free there."""

from __future__ import annotations

from ..record import LM_STUDIO, MEMORY_FILESYSTEMS, NETWORK_FILESYSTEMS, SET_DISK, Disk
from .facts import Facts
from .host import Host, Mount, Space, reason_of
from .procfs import MEMINFO, parse_meminfo
from .stores import PLACES, Place, lm_studio

# options of a mounted file system that hold accounts to less than what is free (mount(8), xfs(5));
# of a project's quota statvfs knows
_QUOTAS = {"usrquota", "grpquota", "uquota", "gquota", "quota", "usrjquota", "grpjquota"}
# file systems that lie in folders of others, which the mount table does not name
_STACKED = ("overlay", "aufs", "unionfs", "ecryptfs", "fuse")
_LOOK = "`findmnt -T FOLDER` shows what it lies on; or name a folder on a disk"
_MAX_SHOWN = 300


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
    folder, space, writable, failure = place.path, None, None, "the volume did not say"
    try:
        folder, space, writable = host.within(lambda: _look(host, place))
    except NotADirectoryError as error:
        writable, failure = False, str(error)
    except (OSError, ValueError) as error:
        failure = reason_of(error)
    if space is not None and not space.total_bytes:
        space, failure = None, "its file system tells no size"
    # of a folder that could not be looked up, the mount that its name states
    mount = host.mount_of(folder) if host.paths.isabs(folder) else None
    shown = folder if len(folder) <= _MAX_SHOWN else folder[: _MAX_SHOWN - 1] + "…"
    if writable is None:
        reason = f"whether this account may write to {shown} is not known: {failure}"
        facts.miss(f"{fact}.writable", reason, SET_DISK)
    if space is None:
        facts.miss(f"{fact}.free_bytes", f"free space of {shown}: {failure}", SET_DISK)
    call = "GetDiskFreeSpaceEx" if host.system == "windows" else "statvfs"
    facts.sources[fact] = f"{place.why}; {call} of {folder}{_mount_words(mount)}"
    if host.system == "linux":
        _miss_unseen(host, facts, fact, mount, space)
    fields = ("free_bytes", "total_bytes", "free_files")
    return Disk(
        purpose=purpose,
        path=place.path,
        filesystem=(mount and mount.filesystem) or None,
        writable=writable,
        backing=_memory_device(mount),
        **({name: getattr(space, name) for name in fields} if space else {}),
    )


def _mount_words(mount: Mount | None) -> str:
    if mount is None:
        return ""
    network = ", a network volume" if mount.filesystem in NETWORK_FILESYSTEMS else ""
    is_memory = mount.filesystem in MEMORY_FILESYSTEMS or _memory_device(mount)
    ram = ", which is RAM" if is_memory else ""
    return f"; {mount.filesystem} on {mount.point}{network}{ram}"


def _memory_device(mount: Mount | None) -> str | None:
    """The kind of device in RAM that holds the bytes, if one does."""
    devices = {"/dev/zram": "zram", "/dev/ram": "brd"}
    source = mount.source if mount else ""
    return next((kind for start, kind in devices.items() if source.startswith(start)), None)


def _look(host: Host, place: Place) -> tuple[str, Space | None, bool | None]:
    """The nearest folder that exists, upwards: a download would make the rest; the space of its
    volume, and whether the account that stores there may write.
    """
    folder = host.resolve(place.path)
    while not host.exists(folder) and host.paths.dirname(folder) != folder:
        folder = host.paths.dirname(folder)
    if not host.is_folder(folder) and host.exists(folder):
        raise NotADirectoryError("it is a file, not a folder")
    space = host.space(folder)
    if space and "microsoft" in host.release() and host.exists("/mnt/c"):
        # under WSL 2 the disk is a file that grows on the Windows drive (microsoft/WSL#4373)
        outer = host.space("/mnt/c") or space
        space = space.replace(free_bytes=min(space.free_bytes, outer.free_bytes))
    # what a service's own account stores is judged by space and mount alone
    is_service = place.account is not None and space is not None
    writable = True if is_service else host.can_write(folder)
    return folder, space, False if space and _is_read_only(host, folder, space) else writable


def _is_read_only(host: Host, folder: str, space: Space) -> bool:
    mount = host.mount_of(folder)
    # macOS mounts / read-only and yet stores under it
    is_closed = host.system == "linux" and mount is not None and mount.read_only
    return space.read_only or is_closed


def _miss_unseen(
    host: Host, facts: Facts, fact: str, mount: Mount | None, space: Space | None
) -> None:
    """What is not read: quotas, and whether the files of a stacked file system take RAM."""
    if mount is None:
        if not host.mounts() and space is not None:
            why = host.why("/proc/self/mountinfo")
            facts.miss(f"{fact}.backing", f"whether files there take RAM is not told: {why}", _LOOK)
        return
    if not _QUOTAS.isdisjoint(option.partition("=")[0] for option in mount.options.split(",")):
        reason = f"{mount.point} has quotas, and what they leave to this account is not read"
        facts.miss(f"{fact}.quota", reason, "`quota -s` tells it")
    is_stacked = mount.filesystem.lower().partition(".")[0] in _STACKED
    is_stacked = is_stacked and mount.filesystem not in NETWORK_FILESYSTEMS
    if space is None or not (is_stacked or mount.source.startswith("/dev/loop")):
        return
    # what is larger than RAM and swap is taken for a disk: a tmpfs is half the RAM unless somebody
    # set it. lxcfs tells a container's limit for the machine's RAM
    is_lxc = any(mount.filesystem == "fuse.lxcfs" for mount in host.mounts())
    meminfo = parse_meminfo(host.read_text(MEMINFO) or "")
    ram_bytes = meminfo.get("MemTotal", 0) + meminfo.get("SwapTotal", 0)
    if not is_lxc and 0 < ram_bytes < space.total_bytes:
        facts.sources[fact] += ", taken for a disk, for it is larger than RAM and swap"
    else:
        why = f"{mount.point} is {mount.filesystem}, which does not tell where it keeps the files"
        facts.miss(f"{fact}.backing", f"whether files there take RAM is not told: {why}", _LOOK)
