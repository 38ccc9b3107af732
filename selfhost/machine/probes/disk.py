"""Disks: where each runtime would store models, and how much is free there."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from ...core.records import Record
from ...core.saying import SET_DISK
from ...core.units import decimal
from ..record import LM_STUDIO, NETWORK_FILESYSTEMS, Disk
from .host import Found, Host, Mount, Space
from .limit import PERHAPS, Quota
from .medium import Medium, medium_of_folder
from .stores import PLACES, Place, lm_studio

DISKS = "disks"
# options of a mounted file system that hold accounts to less than what is free (mount(8), xfs(5));
# of a project's quota statvfs knows
QUOTAS = ("usrquota", "grpquota", "uquota", "gquota", "quota", "usrjquota", "grpjquota")
# file systems whose quotas may be on although no option of the mount says so: quotaon(8) of a
# hidden file; btrfs' quota groups
QUIET_QUOTAS = frozenset(("ext2", "ext3", "ext4", "f2fs", "btrfs", "bcachefs"))
# how often the kernel looked an account up in a quota since it started: where quotas are on, for
# each file that is opened for writing (fs/quota/dquot.c, dqget)
LOOKUPS = "/proc/sys/fs/quota/lookups"
# file systems with quotas of their own, which it does not count
OWN_QUOTAS = ("btrfs", "bcachefs")
MAX_SHOWN = 300


def nearest_folder(host: Host, path: str) -> str:
    """The nearest folder that exists, upwards from `path`: a download would make the rest."""
    while not host.exists(path):
        above = host.paths.dirname(path)
        if above == path:
            break
        path = above
    return path


def _look(host: Host, place: Place) -> tuple[str, Space | None, bool | None]:
    folder = nearest_folder(host, host.resolve(place.path))
    if not host.is_folder(folder) and host.exists(folder):
        # nothing can be made in it, whoever asks
        return folder, None, False
    return folder, host.space(folder), host.can_write(folder)


def _windows_drive_free(host: Host, space: Space) -> Space:
    """Under WSL2 the disk is a file that grows on the Windows drive: no more is free than there
    (microsoft/WSL#4373).
    """
    try:
        outer = host.space("/mnt/c") if host.exists("/mnt/c") else None
    except OSError:
        outer = None
    return space.replace(free_bytes=min(space.free_bytes, outer.free_bytes)) if outer else space


def read_disks(host: Host, facts: Found) -> None:
    """One disk a purpose; each that cannot be read has its own reason."""
    disks = []
    mediums: dict[tuple[Mount | None, Space | None], Medium] = {}
    for purpose, find in (*PLACES.items(), (LM_STUDIO, lm_studio)):
        fact = f"{DISKS}.{purpose}"
        try:
            place = host.within(lambda find=find: find(host))  # type: ignore[misc]
        except (OSError, ValueError) as error:
            facts.miss(fact, f"its folder could not be looked up: {_said(error)}")
            continue
        if place is None and purpose == LM_STUDIO:
            continue
        if place is None:
            facts.miss(fact, "its folder is not known: no home folder is set", SET_DISK)
            continue
        disks.append(_disk(host, facts, purpose, fact, place, mediums))
    if disks:
        facts.put(DISKS, tuple(disks), "each place has its own entry, disks.<purpose>")
    else:
        facts.miss(DISKS, "no place where a runtime stores models is known", SET_DISK)


def has_quotas(options: str) -> bool:
    """Whether quotas of users or groups are on, by a mount's own options: `rw,usrquota`,
    `rw,usrjquota=aquota.user,jqfmt=vfsv1`.
    """
    return any(option.partition("=")[0] in QUOTAS for option in options.split(","))


def may_have_quotas(host: Host, mount: Mount) -> bool:
    """Whether quotas of users or groups may be on where `mount` holds: False where it states none
    and the kernel has looked none up. To ask it takes a library that takes 2 ms to load.
    """
    if has_quotas(mount.options) or mount.filesystem in OWN_QUOTAS:
        return True
    return mount.filesystem in QUIET_QUOTAS and host.read_word(LOOKUPS) != "0"


class _Allowance(Record):
    """What quotas leave of a volume: the one that leaves less than is free, None without one; and
    why quotas that no option of the mount states were not read.
    """

    quota: Quota | None = None
    unasked: str = ""


def _quota(
    host: Host, facts: Found, fact: str, place: Place, folder: str, mount: Mount, space: Space
) -> _Allowance:
    if not may_have_quotas(host, mount):
        return _Allowance()
    stated, groups = has_quotas(mount.options), mount.filesystem == "btrfs"
    reason = (
        f"{mount.point} has quotas, and what they leave to"
        f" {'that service' if place.account else 'this'} account is not read"
    )
    remedy = "`quota -s` tells it"
    try:
        if place.account is not None and not groups:
            if host.within(lambda: host.quotas_on(folder)):
                facts.miss(fact, f"{reason}: the kernel tells it to that account alone", remedy)
            return _Allowance()
        limits = host.within(lambda: host.quotas(folder))
    except (OSError, ValueError) as error:
        number = getattr(error, "errno", None)
        if number in (errno.ENOSYS, errno.ESRCH):
            # none is on, whatever the options state
            return _Allowance()
        if stated:
            facts.miss(fact, f"{reason}: {_said(error)}", remedy)
        if stated or number == errno.ENODATA:
            return _Allowance()
        return _Allowance(unasked=f"whether quotas are on could not be asked: {_said(error)}")
    return _Allowance(quota=_tightest(facts, fact, limits, mount, space))


def _tightest(
    facts: Found, fact: str, limits: Sequence[Quota], mount: Mount, space: Space
) -> Quota | None:
    """The quota that leaves less than is free; None without one. One that may hold or not is
    noted where it would leave less still.
    """
    tightest = min(
        (limit for limit in limits if limit.kind != PERHAPS),
        key=lambda limit: limit.left_bytes,
        default=None,
    )
    if tightest is not None and tightest.left_bytes >= space.free_bytes:
        tightest = None
    left_bytes = tightest.left_bytes if tightest is not None else space.free_bytes
    perhaps = min(
        (limit.left_bytes for limit in limits if limit.kind == PERHAPS), default=left_bytes
    )
    if perhaps < left_bytes:
        reason = (
            f"a quota group on {mount.point} leaves {decimal(perhaps)} to what belongs to it, and"
            " whether this folder does is not told"
        )
        facts.miss(f"{fact}_above", reason, "`sudo btrfs qgroup show -pre FOLDER` tells it")
    return tightest


def _said(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


class _Volume(Record):
    """What the system says of a place: the folder that is there, the space of its volume and
    whether one may write; and why not, with what to do about it.
    """

    folder: str
    space: Space | None = None
    writable: bool | None = None
    failure: str = "the volume did not say"
    remedy: str = SET_DISK


def _volume(host: Host, place: Place) -> _Volume:
    volume = _Volume(folder=place.path)
    # TimeoutError is an OSError
    try:
        folder, space, writable = host.within(lambda: _look(host, place))
        volume = volume.replace(folder=folder, space=space, writable=writable)
        if space is None and writable is False:
            return volume.replace(
                failure="it is a file, not a folder", remedy="put a folder there, or name another"
            )
        if space and host.system == "linux" and "microsoft" in host.release().lower():
            inner = space
            volume = volume.replace(space=host.within(lambda: _windows_drive_free(host, inner)))
    except (OSError, ValueError) as error:
        volume = volume.replace(failure=_said(error))
        if getattr(error, "errno", None) == errno.ENOLINK:
            volume = volume.replace(remedy="make that folder, or remove the link")
    return volume


def _writable(host: Host, place: Place, volume: _Volume, mount: Mount | None) -> bool | None:
    """Whether the account that stores models there may write; None where it is not known.

    The volume's own word on being read-only counts, and on Linux that of its mount: macOS mounts /
    read-only and yet stores under it.
    """
    if volume.space is not None and volume.space.read_only:
        return False
    if host.system == "linux" and mount is not None and mount.read_only:
        return False
    if place.account is not None and volume.space is not None:
        return True
    return volume.writable


def _disk(
    host: Host,
    facts: Found,
    purpose: str,
    fact: str,
    place: Place,
    mediums: dict[tuple[Mount | None, Space | None], Medium],
) -> Disk:
    """`mediums`: where files of the places so far lie, by mount and space."""
    volume = _volume(host, place)
    folder = volume.folder
    # a folder that could not be looked up is on the mount that its name states, if its name is a
    # whole one
    mount = host.mount_of(folder) if host.paths.isabs(folder) else None
    writable = _writable(host, place, volume, mount)
    if writable is None:
        _miss_writable(facts, fact, volume)
    free_files = volume.space.free_files if volume.space else None
    volume = _with_size(volume)
    space = volume.space
    if space is None:
        reason = f"free space of {_shown(folder)}: {volume.failure}"
        facts.miss(f"{fact}.free_bytes", reason, volume.remedy)
    beneath = _remembered_medium(host, mount, space, mediums)
    _miss_medium(facts, fact, _shown(folder), beneath)
    allowance = _Allowance()
    if space is not None and mount is not None:
        allowance = _quota(host, facts, f"{fact}.quota", place, folder, mount, space)
        space = _within(space, allowance.quota)
    quota = allowance.quota
    facts.note(fact, _source(host, place, folder, mount, beneath, allowance))
    return Disk(
        purpose=purpose,
        path=host.clean(place.path),
        free_bytes=space.free_bytes if space else None,
        total_bytes=space.total_bytes if space else None,
        filesystem=host.clean(mount.filesystem) if mount and mount.filesystem else None,
        writable=writable,
        quota=quota.kind if quota else None,
        backing=beneath.backing if beneath else None,
        free_files=free_files,
    )


def _remembered_medium(
    host: Host,
    mount: Mount | None,
    space: Space | None,
    mediums: dict[tuple[Mount | None, Space | None], Medium],
) -> Medium | None:
    """Where the files of a place lie, read once for all places of one mount; None but on Linux, and
    where it cannot be read.
    """
    if host.system != "linux":
        return None
    medium = mediums.get((mount, space)) or _medium(host, mount, space)
    if medium is not None:
        mediums[mount, space] = medium
    return medium


def _within(space: Space, quota: Quota | None) -> Space:
    """The space that a quota leaves, as statvfs tells that of a project's quota."""
    if quota is None:
        return space
    return space.replace(
        free_bytes=quota.left_bytes, total_bytes=min(space.total_bytes, quota.limit_bytes)
    )


def _with_size(volume: _Volume) -> _Volume:
    """Without the space of a volume that has no size: none of it could be counted (statfs(2):
    "undefined" fields are 0).
    """
    if volume.space is None or volume.space.total_bytes:
        return volume
    return volume.replace(
        space=None,
        failure="its file system tells no size, as a ramfs, a tmpfs of size=0 and some of FUSE do",
    )


def _miss_writable(facts: Found, fact: str, volume: _Volume) -> None:
    reason = "is not told by the system" if volume.space else f"is not known: {volume.failure}"
    facts.miss(
        f"{fact}.writable",
        f"whether this account may write to {_shown(volume.folder)} {reason}",
        volume.remedy,
    )


def _source(
    host: Host,
    place: Place,
    folder: str,
    mount: Mount | None,
    beneath: Medium | None,
    allowance: _Allowance,
) -> str:
    """Where the disk was read and what holds there, in words."""
    call = "statvfs" if host.system != "windows" else "GetDiskFreeSpaceEx"
    parts = (
        f"{place.why}; {call} of {folder}",
        _mount_words(mount, beneath) if mount else "",
        _quota_words(allowance.quota) if allowance.quota is not None else "",
        allowance.unasked,
        _account_words(place.account) if place.account is not None else "",
    )
    return "; ".join(filter(None, parts))


def _shown(folder: str) -> str:
    """The folder in a reason, which must be read whole however long the name is."""
    return folder if len(folder) <= MAX_SHOWN else folder[: MAX_SHOWN - 1] + "…"


def _miss_medium(facts: Found, fact: str, shown: str, beneath: Medium | None) -> None:
    if beneath is not None and beneath.in_memory is None:
        facts.miss(
            f"{fact}.backing",
            f"whether files in {shown} take RAM is not told: {beneath.why}",
            "`findmnt -T FOLDER` shows what it lies on; or name a folder on a disk",
        )


def _account_words(account: str) -> str:
    name = f" {account}" if account in ("root", "ollama") else ""
    return f"the service account{name} stores them: judged by space and mount alone"


def _mount_words(mount: Mount, beneath: Medium | None) -> str:
    """What a place lies on, for its source."""
    words = f"{mount.filesystem} on {mount.point}"
    if mount.filesystem in NETWORK_FILESYSTEMS:
        words += ", a network volume"
    if beneath is not None and beneath.backing:
        words += f", whose files lie on {beneath.backing}"
    if beneath is not None and beneath.in_memory:
        words += ", which is RAM"
    if beneath is not None and beneath.guess:
        words += f", {beneath.guess}"
    return words


def _quota_words(quota: Quota) -> str:
    call = "/sys/fs/btrfs" if quota.kind == "subvolume" else "quotactl"
    return (
        f"limited by the {quota.kind}'s quota: {decimal(quota.used_bytes)} of"
        f" {decimal(quota.limit_bytes)} are taken ({call})"
    )


def _medium(host: Host, mount: Mount | None, space: Space | None) -> Medium | None:
    """Where files stored on `mount` lie; without a table of mounts, or an answer in time, that is
    not known. None where the folder has no mount that could be told, or is not there.
    """
    if mount is None and (space is None or host.mounts()):
        return None
    try:
        return host.within(lambda: medium_of_folder(host, mount, space))
    except (OSError, ValueError) as error:
        return Medium(in_memory=None, why=_said(error))
