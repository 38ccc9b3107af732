"""Reports written whole or not at all: to a temporary file in the same folder, then renamed.

What is no ordinary file (a pipe, a terminal, /dev/null) and what this process holds open already
(/dev/stdout, /dev/fd/N) cannot be renamed and is written directly. A named pipe that nobody reads
is refused, never waited for.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterable, Sequence

from .errors import SelfhostError

_STREAMS = {"/dev/stdout": 1, "/dev/stderr": 2}
_MOST_LINKS = 40
_OWN_FOLDER = "give a file in a folder that exists and is yours"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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
        if with_standard_output and _descriptor(path) == 1:
            raise _twice("standard output", path)
        if status is not None and stat.S_ISREG(status.st_mode):
            for read in named:
                if _is_same(status, read):
                    raise WriteError(
                        f"cannot write {path}: this run reads it",
                        remedy="name another file for the report",
                    )
            if _descriptor(path) is None:
                _refuse_open_stream(path, status)
        for other in paths[:number]:
            if _are_one(path, status, other):
                raise _twice(path, other)


def write_whole(reports: Sequence[tuple[str, str | Iterable[str | bytes]]]) -> None:
    """Write each (path, text): all are on the disk before the first file is replaced.

    A text may be given in pieces. A file that is replaced keeps its permissions, and a link to it
    stays a link. Raises `WriteError`.
    """
    temporary: list[tuple[str, str]] = []
    try:
        for path, text in reports:
            status = _status(path)
            try:
                if _descriptor(path) is None and (status is None or stat.S_ISREG(status.st_mode)):
                    place = os.path.realpath(path)
                    beside = f"{place}.selfhost-{os.urandom(6).hex()}.tmp"
                    temporary.append((beside, place))
                    _write_new(beside, text, status)
                else:
                    _write_directly(path, text)
            except OSError as error:
                raise _cannot(path, error) from None
        while temporary:
            beside, place = temporary[0]
            try:
                os.replace(beside, place)
            except OSError as error:
                raise _cannot(place, error) from None
            del temporary[0]
    finally:
        for beside, _ in temporary:
            if os.path.exists(beside):
                os.unlink(beside)


def _status(path: str) -> os.stat_result | None:
    """The status of what stands there, None where nothing does; `WriteError` for what takes no
    report.
    """
    descriptor = _descriptor(path)
    _refuse_closed(path, descriptor)
    try:
        if descriptor is not None:
            return os.fstat(descriptor)
        status = os.stat(path)
    except FileNotFoundError as error:
        if not os.path.basename(path) or not os.path.isdir(os.path.dirname(os.path.realpath(path))):
            raise _cannot(path, error) from None
        return None
    except (OSError, ValueError) as error:
        raise _cannot(path, error) from None
    _refuse_kind(path, status.st_mode)
    return status


def _refuse_closed(path: str, descriptor: int | None) -> None:
    streams = {1: ("standard output", sys.__stdout__), 2: ("standard error", sys.__stderr__)}
    name, stream = streams.get(descriptor or 0, ("", sys))
    if stream is None:
        raise WriteError(f"cannot write {path}: there is no {name}", remedy="give a file")


def _refuse_kind(path: str, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise WriteError(f"cannot write {path}: it is a folder", remedy="name a file in it")
    if stat.S_ISSOCK(mode) or stat.S_ISBLK(mode):
        kind = "a socket" if stat.S_ISSOCK(mode) else "a disk"
        raise WriteError(f"cannot write {path}: it is {kind}", remedy=_OWN_FOLDER)
    if not os.access(path, os.W_OK):
        remedy = "name another file"
        raise WriteError(f"cannot write {path}: this account may not change it", remedy=remedy)


def _descriptor(path: str) -> int | None:
    """The number of a stream that this process holds open: of /dev/stdout, /dev/fd/N, and of links
    to them.
    """
    for _ in range(_MOST_LINKS):
        folder, name = os.path.split(path)
        if path in _STREAMS:
            return _STREAMS[path]
        if folder in ("/dev/fd", "/proc/self/fd") and name.isdecimal():
            return int(name)
        if not os.path.islink(path):
            return None
        path = os.path.join(folder, os.readlink(path))
    return None


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


def _refuse_open_stream(path: str, status: os.stat_result) -> None:
    """What goes to the shell's `> FILE` would be lost with the file that is replaced."""
    for stream in (sys.__stdout__, sys.__stderr__):
        try:
            is_stream = stream is not None and os.path.samestat(status, os.fstat(stream.fileno()))
        except (OSError, ValueError):
            continue
        if is_stream:
            raise WriteError(
                f"cannot write {path}: the output of this run goes there",
                remedy=f"leave {path} out, or send the output elsewhere",
            )


def _twice(place: str, other: str) -> WriteError:
    also = "" if other == place else f", which {other} is too"
    remedy = "give each its own file"
    return WriteError(f"two reports would go to {place}{also}", remedy=remedy)


def _write_new(path: str, text: str | Iterable[str | bytes], old: os.stat_result | None) -> None:
    mode = 0o666 if old is None else stat.S_IMODE(old.st_mode) & 0o777
    with open(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode), "wb"
    ) as file:
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


def _write_directly(path: str, text: str | Iterable[str | bytes]) -> None:
    descriptor = _descriptor(path)
    if descriptor is None:
        # a named pipe that nobody reads is an error, not a wait
        number = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
        if hasattr(os, "set_blocking"):
            os.set_blocking(number, True)
    else:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        number = os.dup(descriptor)
    with open(number, "wb", buffering=0) as file:
        for piece in _encoded(text):
            left = memoryview(piece)
            while left:
                left = left[file.write(left) or 0 :]


def _encoded(text: str | Iterable[str | bytes]) -> Iterable[bytes]:
    for piece in (text,) if isinstance(text, str) else text:
        if isinstance(piece, bytes):
            yield piece
        else:
            yield piece.replace("\n", os.linesep).encode("utf-8", "replace")


def _cannot(path: str, error: OSError | ValueError) -> WriteError:
    """The fault in words, and what to do about it."""
    number = getattr(error, "errno", None)
    reason, remedy = getattr(error, "strerror", None) or "that is no name of a file", _OWN_FOLDER
    if number == errno.ENXIO:
        reason = "it is a pipe that nobody reads, or a device that is not there"
        remedy = "start its reader first, or give a file"
    elif number in (errno.EACCES, errno.EPERM, errno.EBUSY, errno.EROFS):
        remedy = f"{_OWN_FOLDER}, or send the report to `> FILE`"
    elif number in _NO_ROOM:
        remedy = "make room, or name a file elsewhere"
    return WriteError(f"cannot write {path}: {reason}", remedy=remedy)
