"""The one way to open, read and write what a person names, standard streams too."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from collections.abc import Iterable, Sequence
from typing import IO

from .errors import Problem, SelfhostError

# below what the allocator asks the system for each time
_CHUNK_BYTES = 96 << 10
# what shells pass for `<(command)` and for a pipe; any other pipe or device could be waited for
# without end
_STANDARD_INPUT = re.compile(r"/dev/(?:stdin|fd/([0-9]{1,6}))")
_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))

MISSING, LARGE = "missing", "large"


class Unreadable(OSError):
    """Why something cannot be read: `reason` follows the name of the file in a sentence ("does not
    exist"), `remedy` is None where only the caller knows, `kind` one of MISSING, LARGE, or "".
    """

    def __init__(
        self, reason: str, remedy: str | None = None, *, line: int | None = None, kind: str = ""
    ) -> None:
        super().__init__(reason)
        self.reason, self.remedy, self.line, self.kind = reason, remedy, line, kind

    def problem(self, file: str, remedy: str | None = None) -> Problem:
        """The fault of that file; `remedy` is for one without its own."""
        return Problem(file=file, line=self.line, message=self.reason, remedy=self.remedy or remedy)


def status_of(path: str) -> os.stat_result:
    """Return what `os.stat` does. Raises `Unreadable`, also for a name that no file can have."""
    try:
        return os.stat(path)
    except (OSError, ValueError) as error:
        raise fault_at(path, error) from None


def fault_at(path: str, error: OSError | ValueError) -> Unreadable:
    """What an error of the system says of a path, in the words of an `Unreadable`."""
    if isinstance(error, Unreadable):
        return error
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        link = "is a link to a file that " if os.path.islink(path) else ""
        return Unreadable(f"{link}does not exist", kind=MISSING)
    if isinstance(error, PermissionError):
        remedy = "change its permissions, or those of its folder"
        return Unreadable("may not be read by this account", remedy)
    reason = getattr(error, "strerror", None) or "not a usable file name"
    return Unreadable(f"cannot be read: {reason}")


def _refuse_other_than_files(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise Unreadable("is a folder, not a file", "name the file in it")
    if not stat.S_ISREG(status.st_mode):
        kinds = {stat.S_IFIFO: "named pipe", stat.S_IFSOCK: "socket"}
        kind = kinds.get(stat.S_IFMT(status.st_mode), "device")
        reason = f"is not an ordinary file: it is a {kind}"
        raise Unreadable(reason, "write what it gives to a file")


def open_file(path: str) -> tuple[IO[bytes], int]:
    """Open an ordinary file, unbuffered; return it and its size in bytes. Raises `Unreadable`."""
    try:
        # before it is opened, for opening a device may do something, and after, for it may be
        # another by then
        _refuse_other_than_files(os.stat(path))
        stream = os.fdopen(os.open(path, _FLAGS), "rb", buffering=0)
        status = os.fstat(stream.fileno())
        _refuse_other_than_files(status)
    except (OSError, ValueError) as error:
        raise fault_at(path, error) from None
    return stream, status.st_size


def open_input(path: str) -> tuple[IO[bytes], int | None]:
    """As `open_file`, also what a shell passes for a pipe, whose size is None: not known."""
    descriptor = _STANDARD_INPUT.fullmatch(path)
    if descriptor is None:
        return open_file(path)
    number = int(descriptor[1] or 0)
    # where Python found none, another file may have its number by now
    if number == 0 and sys.__stdin__ is None:
        raise Unreadable("is closed: there is no standard input", kind=MISSING)
    try:
        # from where it stands: a socket cannot be opened by its path, a file would begin anew
        stream = os.fdopen(os.dup(number), "rb", buffering=0)
        status = os.fstat(number)
        if os.name == "posix":
            os.set_blocking(stream.fileno(), True)
    except OSError as error:
        raise fault_at(path, error) from None
    is_file = stat.S_ISREG(status.st_mode)
    return stream, max(0, status.st_size - stream.tell()) if is_file else None


def read_some(stream: IO[bytes], limit_bytes: int) -> bytes:
    """At most so many bytes from where the stream stands. Raises `Unreadable`."""
    parts: list[bytes] = []
    while limit_bytes > 0:
        try:
            part: bytes | None = stream.read(min(limit_bytes, _CHUNK_BYTES))
        except OSError as error:
            raise fault_at("", error) from None
        if part is None:
            # a file of the kernel's that gives what comes next, such as /proc/kmsg
            raise Unreadable("gives nothing yet, and could be waited for without end")
        if not part:
            break
        parts.append(part)
        limit_bytes -= len(part)
    return b"".join(parts)


def read_file(path: str, limit_bytes: int, *, input_allowed: bool = False) -> bytes:
    """All of a file, with `input_allowed` also of standard input. Raises `Unreadable`."""
    stream, size = open_input(path) if input_allowed else open_file(path)
    with stream:
        content = b"" if (size or 0) > limit_bytes else read_some(stream, limit_bytes + 1)
    if max(len(content), size or 0) > limit_bytes:
        raise too_large(limit_bytes)
    return content


def too_large(limit_bytes: int, remedy: str | None = None) -> Unreadable:
    """Return the fault of something larger than what is read of its kind."""
    return Unreadable(f"is larger than {limit_bytes:,} bytes", remedy, kind=LARGE)


def encoding_of(start: bytes) -> str:
    """By its first bytes: Windows PowerShell's > writes UTF-16, its Set-Content a UTF-8 mark."""
    return "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def text_of(content: bytes) -> str:
    """Decode a text in either encoding. Raises `Unreadable` for what is no text, or nothing."""
    try:
        text = content.decode(encoding_of(content))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unreadable("is not text", "save the file as UTF-8", line=line) from None
    if "\0" in text or not text.strip():
        raise Unreadable("is not text" if text.strip() else "is empty")
    return text


# a part of a split file; DeepSeek's have six digits behind `of`
SHARD = re.compile(r"(?is)(.*)-(\d{5})-of-(\d{5,6})(\.[a-z]+)")
# more than any model's files have
MAX_PARTS = 10_000


def numbered_files(path: str) -> tuple[str, ...]:
    """The file itself, or where its name ends in `-00001-of-00003` every part of that set."""
    match = SHARD.fullmatch(path)
    if match is None or not 1 <= int(match[3]) <= MAX_PARTS:
        return (path,)
    begin, count, ending = match[1], match[3], match[4]
    return tuple(f"{begin}-{at:05d}-of-{count}{ending}" for at in range(1, int(count) + 1))


def can_be_passed_on(text: str) -> bool:
    """Whether a system call takes it: no NUL, and no half of a surrogate pair."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


Text = str | Iterable[str]

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_STREAMS = {"/dev/stdout": 1, "/dev/fd/1": 1, "/dev/stderr": 2, "/dev/fd/2": 2}
_OWN_FOLDER = "give a file in a folder that exists and is yours, or send the report to `> FILE`"


class WriteError(SelfhostError):
    """A report cannot be written where it was asked for; what stood there is as it was."""


def check_targets(
    paths: Sequence[str], inputs: Iterable[str], *, with_standard_output: bool = False
) -> None:
    """Raise `WriteError` where a report would replace an input or another one, or has no place."""
    read = [path for path in inputs if os.path.isfile(path)]
    places: list[int | str] = [1] if with_standard_output else []
    for path in paths:
        place = _STREAMS.get(path) or os.path.realpath(path)
        if place in places and path != os.devnull:
            raise WriteError(f"two reports would go to {path}", remedy="give each its own file")
        places.append(place)
        _device_or_file(path)
        if any(os.path.exists(path) and os.path.samefile(path, other) for other in read):
            message = f"cannot write {path}: this run reads it"
            raise WriteError(message, remedy="name another file for the report")


def _device_or_file(path: str) -> bool:
    """True for a device. Raises `WriteError` for what is no file to be written in its folder."""
    is_device = os.path.abspath(path).startswith(("/dev/", "/proc/"))
    try:
        is_fit = is_device or (stat.S_ISREG(os.stat(path).st_mode) and os.access(path, os.W_OK))
    except FileNotFoundError as error:
        folder = os.path.dirname(os.path.realpath(path))
        is_fit = bool(os.path.basename(path)) and os.path.isdir(folder)
        if not is_fit:
            raise _unwritable(path, error) from None
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from None
    if not is_fit:
        message = f"cannot write {path}: it is no file that this account may change"
        raise WriteError(message, remedy=_OWN_FOLDER)
    return is_device


def write_whole(reports: Sequence[tuple[str, Text]]) -> None:
    """Write each (path, text): all are on the disk before the first file is replaced, which keeps
    its permissions; a link to it stays a link. Raises `WriteError`.
    """
    temporary: dict[str, str] = {}
    path = ""
    try:
        for path, text in reports:
            if _device_or_file(path):
                for stream in filter(None, (sys.stdout, sys.stderr)):
                    stream.flush()
                # opened anew, the shell's `> FILE` would begin anew
                is_stream = path in _STREAMS
                _write(os.dup(_STREAMS[path]) if is_stream else os.open(path, os.O_WRONLY), text)
                continue
            place = os.path.realpath(path)
            beside = f"{place}.selfhost-{os.urandom(6).hex()}.tmp"
            temporary[beside] = place
            mode = stat.S_IMODE(os.stat(place).st_mode) & 0o777 if os.path.exists(place) else None
            number = os.open(beside, _NEW_FILE, 0o666 if mode is None else mode)
            if mode is not None:
                os.chmod(beside, mode)
            # some file systems say only when it is synchronized that there is no room
            _write(number, text, sync=True)
        for beside, path in list(temporary.items()):
            os.replace(beside, path)
            del temporary[beside]
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        for beside in filter(os.path.exists, temporary):
            os.unlink(beside)


def _write(number: int, text: Text, *, sync: bool = False) -> None:
    with open(number, "wb") as file:
        for piece in (text,) if isinstance(text, str) else text:
            file.write(piece.replace("\n", os.linesep).encode("utf-8", "replace"))
        if sync:
            file.flush()
            os.fsync(number)


def _unwritable(path: str, error: OSError | ValueError) -> WriteError:
    reason = getattr(error, "strerror", None) or "that is no name of a file"
    is_full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    remedy = "make room, or name a file elsewhere" if is_full else _OWN_FOLDER
    return WriteError(f"cannot write {path}: {reason}", remedy=remedy)
