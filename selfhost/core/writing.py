"""Reports written whole or not at all: to a temporary name in the same folder, then renamed.

What is no ordinary file (a pipe, a terminal, /dev/null) and what this process holds open already
(/dev/stdout, /dev/fd/N) cannot be renamed and is written directly. A named pipe that nobody reads
is refused, never waited for; so are folders, sockets and block devices.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Sequence

from .errors import SelfhostError
from .records import Record

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, TypeVar

    T = TypeVar("T")

_STANDARD = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_STREAMS = {1: "standard output", 2: "standard error"}
_MOST_LINKS = 40
_IN_A_FOLDER = "give a file in a folder that exists and is yours"

# temporary files that exist, or are about to
_pending: list[str] = []


class WriteError(SelfhostError):
    """A report cannot be written where it was asked for; what stood there is as it was."""


class Target(Record):
    """Where a report goes. `path` is as the user named it, `place` with all links followed.

    `descriptor` is set where the path names a file that this process holds open. `status` is None
    where nothing is there yet.
    """

    path: str
    place: str
    descriptor: int | None
    status: os.stat_result | None

    @property
    def is_renamed(self) -> bool:
        """False for what is written directly."""
        return self.descriptor is None and (
            self.status is None or stat.S_ISREG(self.status.st_mode)
        )

    def is_same_file(self, other: os.stat_result) -> bool:
        return self.status is not None and os.path.samestat(self.status, other)


def target_of(path: str) -> Target:
    """Where a report to `path` would go. Raises `WriteError` for a place that takes none,
    without opening it.
    """
    try:
        if os.path.basename(path) in ("", ".", "..") and not os.path.isdir(path):
            raise OSError(errno.ENOENT, "there is no such folder")
        descriptor = _descriptor(path)
        if descriptor in (1, 2) and not _is_open(descriptor):
            raise WriteError(
                f"cannot write {path}: there is no {_STREAMS[descriptor]}", remedy="give a file"
            )
        status = _status(path) if descriptor is None else os.fstat(descriptor)
        place = os.path.realpath(path)
        if status is None:
            os.stat(os.path.dirname(place))
    except (OSError, ValueError) as error:
        raise _cannot(path, error) from None
    target = Target(path=path, place=place, descriptor=descriptor, status=status)
    _refuse_what_takes_no_report(target)
    return target


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _descriptor(path: str) -> int | None:
    """N of /dev/fd/N, /proc/self/fd/N, /dev/stdout and of links to them; None for any other
    path.
    """
    folders = {
        "/dev/fd",
        *(os.path.realpath(f"/proc/{task}/fd") for task in ("self", "thread-self")),
    }
    for _ in range(_MOST_LINKS):
        folder, name = os.path.split(path)
        folder = os.path.realpath(folder)
        if folder in folders and name.isascii() and name.isdecimal():
            return int(name)
        path = os.path.join(folder, name)
        if path in _STANDARD:
            return _STANDARD[path]
        if not os.path.islink(path):
            return None
        path = os.path.join(folder, os.readlink(path))
    return None


def _refuse_what_takes_no_report(target: Target) -> None:
    if target.status is None:
        return
    mode = target.status.st_mode
    if stat.S_ISDIR(mode):
        raise WriteError(f"cannot write {target.path}: it is a folder", remedy="name a file in it")
    if target.descriptor is None and (stat.S_ISSOCK(mode) or stat.S_ISBLK(mode)):
        what = "a socket" if stat.S_ISSOCK(mode) else "a disk"
        raise WriteError(f"cannot write {target.path}: it is {what}", remedy=_IN_A_FOLDER)
    if target.is_renamed and not os.access(target.place, os.W_OK):
        raise WriteError(
            f"cannot write {target.path}: this account may not change it",
            remedy="name another file",
        )


def _is_open(number: int) -> bool:
    """Whether the stream was open when Python started: a number that was free may be any file
    by now.
    """
    import sys

    return (sys.__stdout__ if number == 1 else sys.__stderr__) is not None


def check_targets(
    paths: Sequence[str], inputs: Iterable[str], *, with_standard_output: bool = False
) -> None:
    """Raise `WriteError` where a report would replace one of the files `inputs`, or two reports
    would go to one file.

    Files are compared by what they are, so other spellings, links and other cases of letters are
    seen through. `with_standard_output` tells that a report goes there too.
    """
    targets = [target_of(path) for path in paths]
    named = list(inputs)
    for target in targets:
        if target.descriptor == 1 and with_standard_output:
            raise WriteError(
                f"two reports would go to standard output, which {target.path} is too",
                remedy="give each its own file",
            )
        if target.status is not None and stat.S_ISREG(target.status.st_mode):
            _refuse_an_input(target, named)
        if target.status is not None and target.is_renamed:
            _refuse_an_open_stream(target)
    for place, target in enumerate(targets):
        other = next((other for other in targets[:place] if _are_one(target, other)), None)
        if other is not None:
            also = f", which {other.path} is too" if other.path != target.path else ""
            raise WriteError(
                f"two reports would go to {target.path}{also}", remedy="give each its own file"
            )


def _refuse_an_input(target: Target, inputs: Iterable[str]) -> None:
    for path in inputs:
        try:
            is_input = target.is_same_file(os.stat(path))
        except (OSError, ValueError):
            continue
        if is_input:
            also = f", as {path}" if path != target.path else ""
            raise WriteError(
                f"cannot write {target.path}: this run reads it{also}",
                remedy="name another file for the report",
            )


def _refuse_an_open_stream(target: Target) -> None:
    """What goes to the shell's `> FILE` would be lost with the file that is replaced."""
    for number in (1, 2):
        try:
            is_stream = _is_open(number) and target.is_same_file(os.fstat(number))
        except OSError:
            continue
        if is_stream:
            remedy = f"leave {target.path} out, or send {_STREAMS[number]} elsewhere"
            raise WriteError(
                f"cannot write {target.path}: {_STREAMS[number]} of this run goes there",
                remedy=remedy,
            )


def _are_one(target: Target, other: Target) -> bool:
    if target.status is not None and other.status is not None:
        # a terminal and /dev/null take any number of reports
        return target.is_same_file(other.status) and not stat.S_ISCHR(other.status.st_mode)
    if not os.path.samefile(os.path.dirname(target.place), os.path.dirname(other.place)):
        return False
    # whether the volume tells a from A is known only once a file is there
    return _folded(target.place) == _folded(other.place)


def _folded(path: str) -> str:
    from unicodedata import normalize

    return normalize("NFC", normalize("NFC", os.path.basename(path)).casefold())


# ------------------------------------------------------------------ writing


class _Ended(BaseException):
    """A signal that would end the process at once: what is half written goes first."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def write_whole(reports: Sequence[tuple[str, str | Iterable[str | bytes]]]) -> None:
    """Write each (path, text): all are on the disk before the first file is replaced. A text may be
    given in pieces, and what is no text in pieces of bytes. Raises `WriteError`.

    A file that is replaced keeps its permissions and, where the system lets it, its owner and
    group; a link to it stays a link.
    """
    targets = [(target_of(path), _encoded(text)) for path, text in reports]
    unwind_at_signals(lambda: _write_all(targets))


def unwind_at_signals(work: Callable[[], T]) -> T:
    """What `work` gives. A signal that would end the process at once ends it when `work` has
    cleared away what it began: `work` sees an exception, of BaseException.
    """
    ended = None
    handlers: list[tuple[int, Any]] = []
    try:
        _mind_signals(handlers)
        return work()
    except _Ended as error:
        ended = error.number
    finally:
        _restore_signals(handlers)
    import signal

    signal.raise_signal(ended)
    # whoever looks at it from outside may have the signal ignored by now
    raise _Ended(ended)


def remove_temporary_files() -> None:
    """For a process that is about to end without unwinding."""
    while _pending:
        _remove(_pending.pop())


def _encoded(text: str | Iterable[str | bytes]) -> Iterable[bytes]:
    """In pieces of a megabyte or so, however small those of the text are."""
    if isinstance(text, str):
        yield _bytes_of(text)
        return
    gathered: list[str] = []
    size = 0
    for piece in text:
        if isinstance(piece, bytes):
            yield piece
            continue
        gathered.append(piece)
        size += len(piece)
        if size >= _PIECE_LETTERS:
            yield _bytes_of("".join(gathered))
            gathered, size = [], 0
    yield _bytes_of("".join(gathered))


_PIECE_LETTERS = 1 << 20


def _bytes_of(text: str) -> bytes:
    return (text.replace("\n", os.linesep) if os.linesep != "\n" else text).encode(
        "utf-8", "replace"
    )


def _write_all(targets: Sequence[tuple[Target, Iterable[bytes]]]) -> None:
    renamed: list[tuple[Target, str]] = []
    try:
        for target, content in targets:
            if target.is_renamed:
                temporary = os.path.join(
                    os.path.dirname(target.place), f".selfhost-{os.urandom(8).hex()}.tmp"
                )
                _pending.append(temporary)
                renamed.append((target, temporary))
                _or_cannot(target, _fill, target, temporary, content)
        for target, content in targets:
            if not target.is_renamed:
                _or_cannot(target, _write_directly, target, content)
        while renamed:
            target, temporary = renamed[0]
            _or_cannot(target, os.replace, temporary, target.place)
            del renamed[0]
            _pending.remove(temporary)
    finally:
        for _, temporary in renamed:
            _remove(temporary)
            _pending.remove(temporary)


def _or_cannot(target: Target, do: Callable[..., Any], *arguments: object) -> None:
    try:
        do(*arguments)
    except OSError as error:
        raise _cannot(target.path, error, target.status) from None


def _cannot(
    path: str, error: OSError | ValueError, status: os.stat_result | None = None
) -> WriteError:
    """The fault in words. `status` is that of what stands there, None where that is nothing, or
    is not known.
    """
    number = getattr(error, "errno", None)
    reason, remedy = getattr(error, "strerror", None) or str(error), _IN_A_FOLDER
    is_file = status is None or stat.S_ISREG(status.st_mode)
    if number == errno.ENXIO and status is not None and stat.S_ISCHR(status.st_mode):
        reason, remedy = "this process has no such device, as a terminal", "give a file"
    elif number == errno.ENXIO:
        reason, remedy = (
            "it is a named pipe, and nobody reads it",
            "start its reader first, or give a file",
        )
    elif number in (errno.EACCES, errno.EPERM, errno.EBUSY, errno.EROFS):
        remedy = (
            "a report is written beside its place and then renamed: give a file in a folder that is"
            " yours, or send it to `> FILE`"
        )
    elif number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        remedy = "make room, or name a file elsewhere" if is_file else "give a file"
        if status is not None and is_file:
            remedy += "; what stood there before is unchanged"
    elif isinstance(error, ValueError):
        reason, remedy = "that is no name of a file", _IN_A_FOLDER
    return WriteError(f"cannot write {path}: {reason}", remedy=remedy)


def _fill(target: Target, temporary: str, content: Iterable[bytes]) -> None:
    """The temporary file with all of its content, on the disk, as the file that it will replace
    was to be read.
    """
    mode = 0o666 if target.status is None else stat.S_IMODE(target.status.st_mode) & 0o777
    flags = (
        os.O_WRONLY
        | os.O_CREAT
        | os.O_EXCL
        | getattr(os, "O_CLOEXEC", 0)
        | getattr(os, "O_BINARY", 0)
    )
    number = os.open(temporary, flags, mode if target.status is None else mode & 0o600)
    try:
        for piece in content:
            _write(number, piece)
        if target.status is not None and hasattr(os, "fchown"):
            os.fchmod(number, _keep_owner(number, target.status, mode))
        _sync(number)
    finally:
        os.close(number)


def _keep_owner(number: int, old: os.stat_result, mode: int) -> int:
    """Owner and group as before where the system lets it; the permissions that go with what
    came of it.
    """
    now = os.fstat(number)
    if now.st_gid != old.st_gid:
        try:
            os.fchown(number, -1, old.st_gid)
        except OSError:
            # another group gets what everybody gets
            mode = mode & 0o707 | (mode & 0o007) << 3
    if now.st_uid != old.st_uid:
        try:  # noqa: SIM105 - contextlib would be loaded for this alone
            os.fchown(number, old.st_uid, -1)
        except OSError:
            pass
    return mode


def _sync(number: int) -> None:
    """Some file systems tell only here that there is no room; others have nothing to tell."""
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
            raise


def _write_directly(target: Target, content: Iterable[bytes]) -> None:
    import sys

    if target.descriptor is not None:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        number = os.dup(target.descriptor)
    else:
        flags = os.O_WRONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
        number = os.open(
            target.path, flags | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        )
    try:
        for piece in content:
            _write(number, piece)
    finally:
        os.close(number)


def _write(number: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        try:
            left = left[os.write(number, left) :]
        except BlockingIOError:
            # a pipe whose reader is slow
            import select

            select.select([], [number], [])


def _remove(path: str) -> None:
    try:  # noqa: SIM105 - contextlib would be loaded for this alone
        os.unlink(path)
    except OSError:
        pass


def _mind_signals(replaced: list[tuple[int, Any]]) -> None:
    """From here on what would end the process at once raises `_Ended`; notes in `replaced` what
    `_restore_signals` puts back.
    """
    import signal

    def end(number: int, _: object) -> None:
        raise _Ended(number)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            replaced.append((number, signal.SIG_DFL))
            try:
                signal.signal(number, end)
            except ValueError:
                # another thread than the main one minds no signals
                replaced.clear()
                break


def _restore_signals(handlers: Sequence[tuple[int, Any]]) -> None:
    import signal

    for number, handler in handlers:
        signal.signal(number, handler)
