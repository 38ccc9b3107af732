"""Reports on their way to files: what takes a report, and how a file gets it whole or not at all.

What a path is decides, never how it begins: a regular file is replaced by a complete new one; a
descriptor that this process has open (`/dev/fd/3`), a pipe and a character device are written to
as they stand; everything else is refused.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any

from ..core.errors import UsageError
from ..core.files import inputs_opened
from ..core.records import Record, shown_path

# a text, perhaps in pieces
Text = str | Iterable[str]
# the device and the number of a file, which all of its names share
FileId = tuple[int, int]
# a descriptor, a file, or the path of one
Place = int | FileId | str

_OWN_FOLDER = "give a file in a folder that exists and is yours, or send the report to `> FILE`"
_OTHER_FILE = "name another file for the report"
_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFSOCK: "a socket", stat.S_IFBLK: "a block device"}
# more links than a system follows (Linux: 40)
_MOST_LINKS = 64
# where Linux shows the descriptors of a process, or of one of its threads
_DESCRIPTORS = r"/proc/\d+(/task/\d+)?/fd"
_BINARY = getattr(os, "O_BINARY", 0)
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY
# neither waits for the reader of a pipe nor makes a terminal this process's own
_DIRECT = os.O_WRONLY | _BINARY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
# what file systems say that cannot synchronize a file; any other error tells of a lost report
_NO_FSYNC = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)

# The pipes that were opened before anything was computed, by their paths: to close one in between
# would be the end of the report to whoever reads it.
_open_pipes: dict[str, int] = {}


class Target(Record):
    """Where a report goes: to a copy of an open `descriptor`, to a new file at `place` (links
    followed), or, without either, to the pipe or device at `path` itself.

    `id` tells whether two paths lead to one file; None of a new file and of a device, which takes
    any number of reports. `mode` and `owner` (user, group) are those of the file that is replaced.
    """

    path: str
    place: str | None = None
    descriptor: int | None = None
    id: FileId | None = None
    mode: int | None = None
    owner: tuple[int, int] | None = None


def target_of(path: str) -> Target:
    """What a path is for a report. Raises `UsageError` for what takes none."""
    try:
        number = _descriptor_at(path)
        if number is not None:
            return _open_descriptor(path, number)
        status = os.stat(path)
    except FileNotFoundError as error:
        return _new_file(path, error)
    except (OSError, ValueError) as error:
        # a null character in a path is a `ValueError`
        raise _unwritable(path, error) from None
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFCHR:
        return Target(path=path)
    if kind == stat.S_IFIFO:
        return Target(path=path, id=_id(status))
    if kind != stat.S_IFREG:
        raise _refused(path, f"it is {_KINDS.get(kind, 'no file')}")
    return _old_file(path, status)


def _descriptor_at(path: str) -> int | None:
    """The number of a descriptor of this process, where a path leads to one, perhaps by links."""
    if os.name != "posix":
        return None
    folders = {os.path.realpath(f"/{name}") for name in ("dev/fd", "proc/self/fd")}
    # of a thread: /proc/PID/task/TID/fd
    folders.add(os.path.realpath("/proc/thread-self/fd"))
    for link in _followed(path):
        folder, name = os.path.split(link)
        is_number = name.isascii() and name.isdecimal() and len(name) < 10
        if is_number and os.path.realpath(folder) in folders:
            return int(name)
    return None


def _followed(path: str) -> Iterator[str]:
    """The path, and where each link leads that it ends in."""
    for _ in range(_MOST_LINKS):
        yield path
        if not os.path.islink(path):
            return
        path = os.path.join(os.path.dirname(path), os.readlink(path))


def _is_open_elsewhere(path: str) -> bool:
    """Whether a path leads to a descriptor of another process. What that process writes to its
    file, the log of a shell perhaps, would go nowhere once a report had replaced the file.
    """
    folders = (os.path.realpath(os.path.dirname(link)) for link in _followed(path))
    return any(re.fullmatch(_DESCRIPTORS, folder) for folder in folders)


def _open_descriptor(path: str, number: int) -> Target:
    import fcntl

    try:
        status = os.fstat(number)
        is_read_only = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
    except OSError:
        raise _refused(path, "this process was not given it open") from None
    if is_read_only:
        raise _refused(path, "it is open for reading alone")
    id = None if stat.S_ISCHR(status.st_mode) else _id(status)
    return Target(path=path, descriptor=number, id=id)


def _old_file(path: str, status: os.stat_result) -> Target:
    if _is_open_elsewhere(path):
        raise _refused(path, "it is a file that another process has open")
    place = os.path.realpath(path)
    try:
        # a file that was removed and is still open elsewhere has a link to it, and no name
        is_there = os.path.samestat(os.stat(place), status)
    except OSError:
        is_there = False
    if not is_there or not os.access(place, os.W_OK):
        raise _refused(path, "it is no file that this account may change")
    _refuse_closed_folder(path, os.path.dirname(place))
    return Target(
        path=path,
        place=place,
        id=_id(status),
        mode=stat.S_IMODE(status.st_mode) & 0o777,
        owner=(status.st_uid, status.st_gid),
    )


def _new_file(path: str, error: FileNotFoundError) -> Target:
    place = os.path.realpath(path)
    folder = os.path.dirname(place)
    if not os.path.basename(path) or not os.path.isdir(folder):
        raise _unwritable(path, error) from None
    _refuse_closed_folder(path, folder)
    return Target(path=path, place=place)


def _refuse_closed_folder(path: str, folder: str) -> None:
    """A report is written beside the file that it replaces, so the folder must be open to it."""
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _refused(path, "this account may not write into its folder")


def _id(status: os.stat_result) -> FileId:
    return status.st_dev, status.st_ino


def targets_of(paths: Sequence[str], *, with_standard_output: bool = False) -> list[Target]:
    """What each path is for a report. Raises `UsageError` for what takes none, for two reports to
    one place, of which standard output may be one, and for a pipe that nobody reads.
    """
    used: set[Place] = set()
    if with_standard_output:
        used.update(_places(_standard_output()))
    targets: list[Target] = []
    for path in paths:
        target = target_of(path)
        places = _places(target)
        if used & places:
            message = f"two reports would go to {shown_path(path)}"
            raise UsageError(message, remedy="give each its own file")
        used |= places
        targets.append(target)
    for target in targets:
        if target.place is None and target.descriptor is None and target.id is not None:
            _open_pipes[target.path] = _opened(target.path)
    return targets


def _standard_output() -> Target:
    try:
        status = os.fstat(1)
    except OSError:
        return Target(path="standard output")
    id = None if stat.S_ISCHR(status.st_mode) else _id(status)
    return Target(path="standard output", descriptor=1, id=id)


def _places(target: Target) -> set[Place]:
    """Where a report would go; two that have one of these places in common go to one."""
    places: tuple[Place | None, ...] = (target.descriptor, target.id, target.place)
    return {place for place in places if place is not None}


def _opened(path: str) -> int:
    """A pipe or a device, opened. Raises `UsageError` for a pipe that nobody reads."""
    try:
        number = os.open(path, _DIRECT)
        if os.name == "posix":
            os.set_blocking(number, True)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise UsageError(
                f"cannot write {shown_path(path)}: nobody reads from this pipe",
                remedy="start what reads it first, or name a file",
            ) from None
        raise _unwritable(path, error) from None
    return number


def close_pipes() -> None:
    """Close the pipes that were opened for reports which then were not written."""
    while _open_pipes:
        _, number = _open_pipes.popitem()
        os.close(number)


class _TemporaryFiles:
    """Complete files beside those that they will replace. They are removed at the end, whatever
    ends it: an error, Ctrl-C, SIGTERM or SIGHUP.
    """

    def __init__(self) -> None:
        # by the path of the temporary file: the one that it replaces
        self._places: dict[str, str] = {}
        self._signals: list[Any] = []

    def __enter__(self) -> _TemporaryFiles:
        import signal

        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            # where somebody else handles it, or nohup ignores it, that stays
            if number is None or signal.getsignal(number) is not signal.SIG_DFL:
                continue
            try:
                signal.signal(number, self._end)
            except ValueError:
                # only the main thread may: then it ends as it did
                return self
            self._signals.append(number)
        return self

    def _end(self, number: int, _: object) -> None:
        """Remove the files, and end as the signal ends a process without a handler."""
        import signal

        self._remove()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    def new_beside(self, target: Target) -> IO[bytes]:
        """A new file that will replace the one at the target, with its mode and its owner where
        this account may and the file system can keep them.
        """
        assert target.place is not None
        name = f".selfhost-{os.urandom(6).hex()}.tmp"
        path = os.path.join(os.path.dirname(target.place), name)
        self._places[path] = target.place
        number = os.open(path, _NEW_FILE, 0o666 if target.mode is None else target.mode)
        file = os.fdopen(number, "wb")
        if target.mode is not None and target.owner is not None:
            _keep_owner(path, target.owner)
            _allowed_to_fail(os.chmod, path, target.mode)
        return file

    def put_in_place(self) -> None:
        """Replace each file by its new one."""
        for path, place in list(self._places.items()):
            try:
                os.replace(path, place)
            except OSError as error:
                raise _unwritable(place, error) from None
            del self._places[path]

    def _remove(self) -> None:
        for path in filter(os.path.exists, self._places):
            os.unlink(path)

    def __exit__(self, *_: object) -> None:
        self._remove()
        import signal

        for number in self._signals:
            signal.signal(number, signal.SIG_DFL)


def _keep_owner(path: str, owner: tuple[int, int]) -> None:
    user, group = owner
    status = os.stat(path)
    if (status.st_uid, status.st_gid) == owner or not hasattr(os, "chown"):
        return
    if not _allowed_to_fail(os.chown, path, user, group):
        # an ordinary account may give a file to another group of its own
        _allowed_to_fail(os.chown, path, -1, group)


def _allowed_to_fail(change: Any, *arguments: object) -> bool:
    """Whether the change was made: some file systems have neither owners nor modes."""
    try:
        change(*arguments)
    except OSError:
        return False
    return True


def write_reports(reports: Sequence[tuple[str, Text]]) -> None:
    """Write each (path, text): all are on the disk before the first file is replaced. A file keeps
    its mode and owner, a link to it stays a link. Raises `UsageError`, also for a file that this
    run has read.
    """
    targets = [target_of(path) for path, _ in reports]
    for target in targets:
        _refuse_input(target)
    with _TemporaryFiles() as temporary:
        for target, (path, text) in zip(targets, reports, strict=True):
            try:
                _write(target, text, temporary)
            except OSError as error:
                raise _unwritable(path, error) from None
        temporary.put_in_place()


def _refuse_input(target: Target) -> None:
    read_as = inputs_opened().get(target.id) if target.id is not None else None
    if read_as is not None:
        raise input_refused(target.path, read_as)


def input_refused(path: str, read_as: str) -> UsageError:
    """The error of a report to a file that this run reads, by the path that it was read by."""
    which = "" if read_as == path else f", as {shown_path(read_as)}"
    return UsageError(
        f"cannot write {shown_path(path)}: this run reads it{which}", remedy=_OTHER_FILE
    )


def _write(target: Target, text: Text, temporary: _TemporaryFiles) -> None:
    if target.place is not None:
        file = temporary.new_beside(target)
    elif target.descriptor is not None:
        _flush_streams()
        # a copy keeps the position of the descriptor, and that it appends
        file = os.fdopen(os.dup(target.descriptor), "wb")
    else:
        _flush_streams()
        number = _open_pipes.pop(target.path, None)
        file = os.fdopen(_opened(target.path) if number is None else number, "wb")
    with file:
        for piece in (text,) if isinstance(text, str) else text:
            file.write(piece.replace("\n", os.linesep).encode("utf-8", "replace"))
        if target.place is not None:
            file.flush()
            _synchronize(file)


def _flush_streams() -> None:
    """What was printed before a report comes before it, where both go to one place."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def _synchronize(file: IO[bytes]) -> None:
    """Some file systems say only when a file is synchronized that there is no room."""
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _NO_FSYNC:
            raise


def _refused(path: str, reason: str) -> UsageError:
    return UsageError(f"cannot write {shown_path(path)}: {reason}", remedy=_OWN_FOLDER)


def _unwritable(path: str, error: OSError | ValueError) -> UsageError:
    is_full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    reason = getattr(error, "strerror", None) or "that is no name of a file"
    refused = _refused(path, reason)
    if is_full:
        refused.remedy = "make room, or name a file elsewhere"
    return refused
