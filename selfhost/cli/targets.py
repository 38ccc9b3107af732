"""The target of an output path, and the way to write a report there, or the reason why this is
impossible.

A path goes in, a `Target` comes out, or a `UsageError`. For a regular file, and for a path where no
file is yet, `writing.py` makes a complete new file. It writes directly to a descriptor that this
process has open (`/dev/fd/3`), to a pipe and to a character device. A folder and a disk are
refused. Links to files are followed.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Sequence
from contextlib import suppress

from ..core.errors import UsageError
from ..core.records import Record, shown_path

# the device and the inode of a file, shared by all its names
FileId = tuple[int, int]
# a place of a report: the id or the path of a file, or the number of a descriptor
Place = FileId | str | int

_OWN_FOLDER = (
    "give a file in a folder that exists and is yours, or send the report to `> FILE`"
)
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a block device",
}
# the paths by which a shell names a descriptor of this process
_STANDARD_STREAMS = {"/dev/stdout": 1, "/dev/stderr": 2}
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d{1,9})", re.ASCII)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Target(Record):
    """The place that a report goes to: a named pipe or a character device, such as a terminal or
    `/dev/null`, or one of the subclasses. `id` is None for a file that does not exist yet, and for
    a device, which takes any number of reports.
    """

    path: str
    id: FileId | None = None

    @property
    def places(self) -> set[Place]:
        """All names of the place that the report goes to. Two targets that share a name are the
        same place.
        """
        return set() if self.id is None else {self.id}


class FileTarget(Target):
    """A file to replace, or to make. `place` is its path without links. `replaced` is the status of
    the file to replace, and None for a new one.
    """

    place: str
    replaced: os.stat_result | None = None

    @property
    def places(self) -> set[Place]:
        return {*super().places, self.place}


class DescriptorTarget(Target):
    """A descriptor that this process has open for writing."""

    number: int

    @property
    def places(self) -> set[Place]:
        return {*super().places, self.number}


def target_of(path: str) -> Target:
    """The target that a path leads to. Raises `UsageError` for a path that takes no report."""
    try:
        number = _descriptor_at(path)
        if number is not None:
            return _open_descriptor(path, number)
        status = os.stat(path)
    except FileNotFoundError as error:
        return _new_file(path, error)
    except (OSError, ValueError) as error:
        # a null character in a path raises `ValueError`
        raise unwritable(path, error) from None
    if stat.S_ISREG(status.st_mode):
        return _old_file(path, status)
    if stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode):
        return Target(path=path, id=_id_of(status))
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), "no file")
    raise refused(path, f"it is {kind}")


def targets_of(
    paths: Sequence[str], *, with_standard_output: bool = False
) -> list[Target]:
    """The target of each path. Raises `UsageError` for a path that takes no report, and for two
    paths that lead to one place. `with_standard_output`: a report goes to standard output as well,
    so no path may lead there.
    """
    used = set()
    if with_standard_output:
        # a closed standard output takes no report
        with suppress(UsageError):
            used.update(target_of("/dev/fd/1").places)
    targets = []
    for path in paths:
        target = target_of(path)
        if used & target.places:
            message = f"two reports would go to {shown_path(path)}"
            raise UsageError(message, remedy="give each its own file")
        used.update(target.places)
        targets.append(target)
    return targets


def refused(
    path: str,
    reason: str,
    remedy: str = _OWN_FOLDER,
) -> UsageError:
    """The error for a path that takes no report."""
    return UsageError(f"cannot write {shown_path(path)}: {reason}", remedy=remedy)


def unwritable(path: str, error: OSError | ValueError) -> UsageError:
    """The error for a path of which the system says that it takes no report."""
    reason = getattr(error, "strerror", None) or "that is not a valid file name"
    if isinstance(error, OSError) and error.errno in _FULL:
        return refused(path, reason, "make room, or name a file elsewhere")
    return refused(path, reason)


def _id_of(status: os.stat_result) -> FileId | None:
    """The id of a file; None for a device."""
    if stat.S_ISCHR(status.st_mode):
        return None
    return status.st_dev, status.st_ino


def _descriptor_at(path: str) -> int | None:
    """The number of the descriptor of this process that a path names; None for other paths."""
    if os.name != "posix":
        return None
    descriptor = _DESCRIPTOR.fullmatch(path)
    if descriptor is not None:
        return int(descriptor[1])
    return _STANDARD_STREAMS.get(path)


def _open_descriptor(path: str, number: int) -> DescriptorTarget:
    # only POSIX systems have this module
    import fcntl

    try:
        status = os.fstat(number)
        access = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE
    except OSError:
        raise refused(path, "it is not open in this process") from None
    if access == os.O_RDONLY:
        raise refused(path, "it is open only for reading")
    return DescriptorTarget(path=path, number=number, id=_id_of(status))


def _old_file(path: str, status: os.stat_result) -> FileTarget:
    place = os.path.realpath(path)
    if not os.access(place, os.W_OK):
        raise refused(path, "this account may not change it")
    _refuse_closed_folder(path, os.path.dirname(place))
    return FileTarget(
        path=path,
        place=place,
        id=_id_of(status),
        replaced=status,
    )


def _new_file(path: str, error: FileNotFoundError) -> FileTarget:
    place = os.path.realpath(path)
    folder = os.path.dirname(place)
    names_a_file = os.path.basename(path) != ""
    if not names_a_file or not os.path.isdir(folder):
        raise unwritable(path, error) from None
    _refuse_closed_folder(path, folder)
    return FileTarget(path=path, place=place)


def _refuse_closed_folder(path: str, folder: str) -> None:
    """Refuse a folder in which this account cannot make the new file of a report."""
    if not os.access(folder, os.W_OK | os.X_OK):
        raise refused(path, "this account may not write into its folder")
