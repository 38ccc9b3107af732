"""Reports written whole or not at all: to a temporary file in the same folder, then renamed.

What is no ordinary file (a pipe, a terminal, /dev/null) and what lies below /dev and /proc
(/dev/stdout, /dev/fd/N) cannot be renamed and is written directly. A named pipe that nobody reads
is refused, never waited for.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence

from .errors import SelfhostError

Text = str | Iterable[str | bytes]

_STREAMS = {
    **dict.fromkeys(("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"), 1),
    **dict.fromkeys(("/dev/stderr", "/dev/fd/2", "/proc/self/fd/2"), 2),
}
_OWN_FOLDER = "give a file in a folder that exists and is yours"
_NO_ROOM = "make room, or name a file elsewhere"
_ELSEWHERE = f"{_OWN_FOLDER}, or send the report to `> FILE`"
_REMEDIES = {
    errno.ENXIO: "start the pipe's reader first, or give a file",
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EBUSY, errno.EROFS), _ELSEWHERE),
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), _NO_ROOM),
}


class WriteError(SelfhostError):
    """A report cannot be written where it was asked for; what stood there is as it was."""


def check_targets(
    paths: Sequence[str], inputs: Iterable[str], *, with_standard_output: bool = False
) -> None:
    """Raise `WriteError` where a report would replace one of the files `inputs`, where two reports
    would go to one file, or where a place takes none.

    `with_standard_output` says that another report goes there.
    """
    named = list(inputs)
    for number, path in enumerate(paths):
        status = _status(path)
        if with_standard_output and _STREAMS.get(path) == 1:
            raise _error("two reports would go to standard output", "give each its own file")
        if status is not None and stat.S_ISREG(status.st_mode):
            if any(_is_same(status, read) for read in named):
                raise _error(
                    f"cannot write {path}: this run reads it", "name another file for the report"
                )
            if not _is_device(path) and _is_standard_stream(status):
                raise _error(
                    f"cannot write {path}: the output of this run goes there",
                    f"leave {path} out, or send the output elsewhere",
                )
        if any(_are_one(path, status, other) for other in paths[:number]):
            raise _error(f"two reports would go to {path}", "give each its own file")


def write_whole(reports: Sequence[tuple[str, Text]]) -> None:
    """Write each (path, text): all are on the disk before the first file is replaced.

    A text may be given in pieces. A file that is replaced keeps its permissions, and a link to it
    stays a link. Raises `WriteError`.
    """
    temporary: dict[str, str] = {}
    path = ""
    try:
        for path, text in reports:
            status = _status(path)
            is_ordinary = status is None or stat.S_ISREG(status.st_mode)
            if is_ordinary and not _is_device(path):
                place = os.path.realpath(path)
                beside = f"{place}.selfhost-{os.urandom(6).hex()}.tmp"
                temporary[beside] = place
                _write_new(beside, text, status)
            else:
                _write_directly(path, text)
        for beside, path in list(temporary.items()):
            os.replace(beside, path)
            del temporary[beside]
    except OSError as error:
        raise _cannot(path, error) from None
    finally:
        for beside in temporary:
            if os.path.exists(beside):
                os.unlink(beside)


def _status(path: str) -> os.stat_result | None:
    """The status of what stands there, None where nothing does; `WriteError` for what takes no
    report.
    """
    if _STREAMS.get(path) == 1 and sys.__stdout__ is None:
        raise _error(f"cannot write {path}: there is no standard output", "give a file")
    try:
        status = os.stat(path)
    except FileNotFoundError as error:
        if not os.path.basename(path) or not os.path.isdir(os.path.dirname(os.path.realpath(path))):
            raise _cannot(path, error) from None
        return None
    except (OSError, ValueError) as error:
        raise _cannot(path, error) from None
    if stat.S_ISDIR(status.st_mode):
        raise _error(f"cannot write {path}: it is a folder", "name a file in it")
    if stat.S_ISSOCK(status.st_mode) or stat.S_ISBLK(status.st_mode):
        raise _error(f"cannot write {path}: it is a socket or a disk", _OWN_FOLDER)
    if not os.access(path, os.W_OK):
        raise _error(f"cannot write {path}: this account may not change it", "name another file")
    return status


def _is_device(path: str) -> bool:
    return os.path.abspath(path).startswith(("/dev/", "/proc/"))


def _is_standard_stream(status: os.stat_result) -> bool:
    """Whether the shell's `> FILE` goes there: it would be lost with the file that is replaced."""
    for stream in (sys.__stdout__, sys.__stderr__):
        try:
            if stream is not None and os.path.samestat(status, os.fstat(stream.fileno())):
                return True
        except (OSError, ValueError):
            continue
    return False


def _is_same(status: os.stat_result, path: str) -> bool:
    try:
        return os.path.samestat(status, os.stat(path))
    except (OSError, ValueError):
        return False


def _are_one(path: str, status: os.stat_result | None, other: str) -> bool:
    """Whether two reports go to one file. A terminal and /dev/null take any number of them."""
    if status is not None:
        return not stat.S_ISCHR(status.st_mode) and _is_same(status, other)
    # some volumes do not tell a from A
    return os.path.realpath(path).casefold() == os.path.realpath(other).casefold()


def _write_new(path: str, text: Text, old: os.stat_result | None) -> None:
    mode = 0o666 if old is None else stat.S_IMODE(old.st_mode) & 0o777
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags, mode), "wb") as file:
        if old is not None and hasattr(os, "fchmod"):
            try:  # noqa: SIM105 - contextlib would be loaded for this alone
                os.fchown(file.fileno(), old.st_uid, old.st_gid)
            except OSError:
                pass
            os.fchmod(file.fileno(), mode)
        for piece in _encoded(text):
            file.write(piece)
        file.flush()
        # some file systems say only here that there is no room
        os.fsync(file.fileno())


def _write_directly(path: str, text: Text) -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    if path in _STREAMS:
        # opened anew, the shell's `> FILE` would begin anew
        number = os.dup(_STREAMS[path])
    else:
        # a named pipe that nobody reads is an error, not a wait
        number = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
        if hasattr(os, "set_blocking"):
            os.set_blocking(number, True)
    with open(number, "wb", buffering=0) as file:
        for piece in _encoded(text):
            left = memoryview(piece)
            while left:
                left = left[file.write(left) or 0 :]


def _encoded(text: Text) -> Iterator[bytes]:
    for piece in (text,) if isinstance(text, str) else text:
        if isinstance(piece, bytes):
            yield piece
        else:
            yield piece.replace("\n", os.linesep).encode("utf-8", "replace")


def _cannot(path: str, error: OSError | ValueError) -> WriteError:
    reason = getattr(error, "strerror", None) or "that is no name of a file"
    remedy = _REMEDIES.get(getattr(error, "errno", None) or 0, _OWN_FOLDER)
    return _error(f"cannot write {path}: {reason}", remedy)


def _error(message: str, remedy: str) -> WriteError:
    return WriteError(message, remedy=remedy)
