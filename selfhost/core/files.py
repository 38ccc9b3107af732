"""The one way to open and read what a person names, standard input too."""

from __future__ import annotations

import os
import re
import stat
import sys
from typing import IO

from .errors import Problem

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
