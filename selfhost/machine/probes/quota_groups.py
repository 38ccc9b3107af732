"""btrfs' quota groups: what they leave to a subvolume, read without privileges from sysfs
(Linux 5.9, fs/btrfs/sysfs.c).
"""

from __future__ import annotations

import errno
import os
import sys

from .limit import PERHAPS, Quota

SYSFS = "/sys/fs/btrfs"
# include/uapi/linux/btrfs.h: which of the two limits hold
_REFERENCED, _EXCLUSIVE = 1 << 0, 1 << 1
# the inode of a subvolume's own folder
_FIRST_INODE = 256
# architectures whose ioctl numbers have three bits for the direction (asm/ioctl.h)
_OTHER_NUMBERS = ("ppc", "mips", "alpha", "sparc")


def ask_groups(folder: str) -> tuple[Quota, ...]:
    """The limits of the subvolume that holds an existing folder, and those that may hold for it; ()
    where none does.

    `OSError` from the system. Which groups a subvolume's own one belongs to only root may ask.
    """
    identity, subvolume = _place(folder)
    groups = f"{SYSFS}/{identity}/qgroups"
    try:
        names = os.listdir(groups)
    except FileNotFoundError:
        if not os.path.isdir(f"{SYSFS}/{identity}") or _is_before_sysfs(os.uname().release):
            raise OSError(errno.EOPNOTSUPP, f"{SYSFS} does not tell the quota groups") from None
        return ()
    limits = []
    for name in sorted(names):
        first, _, last = name.partition("_")
        if not (first.isdecimal() and last.isdecimal()):
            continue
        level, number = int(first), int(last)
        if level == 0 and subvolume is not None and number != subvolume:
            continue
        limit = limit_of({key: _number(f"{groups}/{name}/{key}") for key in _KEYS})
        if limit is not None:
            kind = "subvolume" if level == 0 and subvolume is not None else PERHAPS
            limits.append(Quota(kind=kind, limit_bytes=limit[0], used_bytes=limit[1]))
    return tuple(limits)


def _is_before_sysfs(release: str) -> bool:
    """Whether a kernel of that version (`5.4.0-150`) does not tell quota groups in sysfs."""
    major, _, rest = release.partition(".")
    minor = rest.partition(".")[0].partition("-")[0]
    return major.isdecimal() and minor.isdecimal() and (int(major), int(minor)) < (5, 9)


_RESERVED = ("rsv_data", "rsv_meta_pertrans", "rsv_meta_prealloc")
_KEYS = ("limit_flags", "referenced", "max_referenced", "exclusive", "max_exclusive", *_RESERVED)


def limit_of(group: dict[str, int]) -> tuple[int, int] | None:
    """The bytes that may not be exceeded, and those in use, of the tighter limit of a group; None
    without one.

    What writes have reserved counts as well (fs/btrfs/qgroup.c, qgroup_check_limits).
    """
    reserved = sum(group[key] for key in _RESERVED)
    pairs = [
        (group[f"max_{what}"], group[what] + reserved)
        for flag, what in ((_REFERENCED, "referenced"), (_EXCLUSIVE, "exclusive"))
        if group["limit_flags"] & flag
    ]
    return min(pairs, key=lambda pair: pair[0] - pair[1], default=None)


def _number(path: str) -> int:
    with open(path, encoding="ascii") as stream:
        text = stream.read(64).strip()
    return int(text, 0)


def _place(folder: str) -> tuple[str, int | None]:
    """The file system's UUID, and the number of the folder's subvolume: None where it is not
    told.
    """
    # not there on Windows
    import fcntl

    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # BTRFS_IOC_FS_INFO: two numbers, then the UUID
        buffer = bytearray(1024)
        fcntl.ioctl(number, _command(True, False, len(buffer), 31), buffer)
        identity = _written(bytes(buffer[16:32]))
        # BTRFS_IOC_INO_LOOKUP of tree 0 tells the tree of the folder itself
        buffer = bytearray(4096)
        buffer[8:16] = _FIRST_INODE.to_bytes(8, sys.byteorder)
        try:
            fcntl.ioctl(number, _command(True, True, len(buffer), 18), buffer)
        except OSError:
            return identity, None
        return identity, int.from_bytes(buffer[:8], sys.byteorder) or None
    finally:
        os.close(number)


def _written(identity: bytes) -> str:
    """A UUID as sysfs writes it."""
    digits = identity.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _command(reads: bool, writes: bool, size: int, number: int) -> int:
    """The number of one of btrfs' ioctls (asm-generic/ioctl.h)."""
    if os.uname().machine.startswith(_OTHER_NUMBERS):
        direction = (2 * reads | 4 * writes) << 29
    else:
        direction = (2 * reads | 1 * writes) << 30
    return direction | size << 16 | 0x94 << 8 | number
