"""Quotas of users and groups, asked of the kernel for this account itself: that needs no privilege
(Linux' fs/quota/quota.c, check_quotactl_permission) and no program. A project's quota shows in
statvfs, those of network file systems in nothing.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import sys
from time import time

from .limit import Quota

# include/uapi/linux/quota.h and dqblk_xfs.h
_GET_QUOTA, _GET_STATE = 0x800007, 0x5805
_KINDS = (("user", 0, 1 << 1), ("group", 1, 1 << 3))
# its place in the table of system calls, the same on every architecture since Linux 5.1 but
# Alpha's; there since 5.14
_QUOTACTL_FD = 443
# no quota is on (fs/quota/quota.c, quota_getstate; fs/quota/dquot.c, dquot_get_dqblk)
NONE_ON = (errno.ENOSYS, errno.ESRCH)
# struct if_dqblk: limits of blocks (hard, soft) in units of 1,024 bytes, bytes in use, the same of
# inodes, when either grace ends
_BLOCK = struct.Struct("=8QI")
_UNIT_BYTES = 1024
# struct fs_quota_stat begins with a version and the flags; the whole is 80 bytes
_STATE = struct.Struct("=bxH")
_ROOM_BYTES = 128


def parse_block(raw: bytes, now: float) -> tuple[int, int] | None:
    """The bytes that may not be exceeded, and those in use, of a `struct if_dqblk`; None where
    nothing is refused yet.

    Beyond the soft limit writing goes on until `dqb_btime`, in seconds since 1970, then stops
    (fs/quota/dquot.c, dquot_add_space).
    """
    hard, soft, used, _, _, _, until, _, _ = _BLOCK.unpack_from(raw)
    over = soft and until and now >= until and used > soft * _UNIT_BYTES
    limit = soft if over else hard
    return (limit * _UNIT_BYTES, used) if limit else None


def parse_state(raw: bytes) -> int:
    """The flags of a `struct fs_quota_stat`: which quotas are counted and which are enforced."""
    return int(_STATE.unpack_from(raw)[1])


def kinds_on(folder: str) -> tuple[str, ...]:
    """Which quotas are enforced where an existing folder lies: `user`, `group`. `OSError` from
    the system.
    """
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _kinds_on(number, os.fstat(number).st_dev)
    finally:
        os.close(number)


def _kinds_on(number: int, device: int) -> tuple[str, ...]:
    try:
        flags = parse_state(_call(number, device, _GET_STATE, 0, 0))
    except OSError as error:
        if error.errno in NONE_ON:
            return ()
        raise
    return tuple(kind for kind, _, enforced in _KINDS if flags & enforced)


def ask(folder: str, enforced_on: dict[int, tuple[str, ...]]) -> tuple[Quota, ...]:
    """The limits that hold for what this account stores in an existing folder; () where none does.
    `OSError` from the system. `enforced_on` keeps which are enforced by file system, each of which
    is asked once.

    A file gets the group of a folder that hands its group on, else the account's.
    """
    status = os.stat(folder)
    ids = os.geteuid(), status.st_gid if status.st_mode & stat.S_ISGID else os.getegid()
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        enforced = enforced_on.get(status.st_dev)
        if enforced is None:
            enforced = enforced_on[status.st_dev] = _kinds_on(number, status.st_dev)
        limits = []
        for (kind, place, _), own in zip(_KINDS, ids, strict=True):
            if kind not in enforced:
                continue
            try:
                limit = parse_block(_call(number, status.st_dev, _GET_QUOTA, place, own), time())
            except (FileNotFoundError, ProcessLookupError):
                # XFS keeps nothing of an account without limits and files; quotas may have been
                # turned off since
                continue
            if limit is not None:
                limits.append(Quota(kind=kind, limit_bytes=limit[0], used_bytes=limit[1]))
        return tuple(limits)
    finally:
        os.close(number)


def _call(number: int, device: int, command: int, kind: int, own: int) -> bytes:
    """What quotactl answers of an open folder. `OSError` where it does not."""
    if sys.platform != "linux":
        raise OSError("quotas are asked of Linux alone")
    library = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(_ROOM_BYTES)
    word = ctypes.c_uint32(command << 8 | kind)

    def by_folder(of: int) -> int:
        ctypes.set_errno(0)
        library.syscall(
            ctypes.c_long(_QUOTACTL_FD), ctypes.c_int(of), word, ctypes.c_uint32(own), buffer
        )
        return ctypes.get_errno()

    code = by_folder(number)
    # both an older kernel and one on which no quota is on say ENOSYS: only the older one says it of
    # a folder that is not open
    if code == errno.ENOSYS and by_folder(-1) == errno.ENOSYS:
        special = f"/dev/block/{os.major(device)}:{os.minor(device)}".encode()
        ctypes.set_errno(0)
        library.quotactl(word, special, ctypes.c_int(own), buffer)
        code = ctypes.get_errno()
    if code:
        raise OSError(code, os.strerror(code))
    return buffer.raw
