"""The one way to open and read what a person names, standard input too, and JSON that nobody
vouches for: what it may hold is counted before it is parsed.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections import deque
from collections.abc import Callable, Mapping
from typing import IO, Any

from .errors import Problem

# below what the allocator asks the system for each time
_CHUNK_BYTES = 96 << 10
# what shells pass for `<(command)` and for a pipe; any other pipe or device could be waited for
# without end
_STANDARD_INPUT = "/dev/(?:stdin|fd/([0-9]{1,6}))"
_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
_KINDS = {stat.S_IFIFO: "named pipe", stat.S_IFSOCK: "socket", stat.S_IFDIR: "folder"}

MISSING, LARGE = "missing", "large"

# By device and number of each file that this run has opened: the path that it was opened by. Only
# the command line keeps them, whose run ends: those of a long-lived program would pile up.
_inputs: dict[tuple[int, int], str] = {}
_keeps_inputs = False


def keep_inputs() -> None:
    """Begin a run whose inputs are kept, so that no report takes the place of one."""
    global _keeps_inputs
    _inputs.clear()
    _keeps_inputs = True


def forget_inputs() -> None:
    """End such a run: the number of a file that is gone may be the next file's."""
    global _keeps_inputs
    _inputs.clear()
    _keeps_inputs = False


def inputs_opened() -> Mapping[tuple[int, int], str]:
    """The files that this run has opened, by device and number, with the path of each; empty
    where nobody asked to keep them.
    """
    return _inputs


def _keep_input(path: str, status: os.stat_result) -> None:
    if _keeps_inputs and stat.S_ISREG(status.st_mode):
        _inputs[status.st_dev, status.st_ino] = path


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


def is_utf8(name: str) -> bool:
    """Whether a name of a file is text: other bytes in it are lone surrogates in Python."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


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


def open_file(
    path: str, *, input_allowed: bool = False, is_input: bool = True
) -> tuple[IO[bytes], int | None]:
    """Open an ordinary file, unbuffered; return it and its size in bytes. With `input_allowed`
    also what a shell passes for a pipe, whose size is None. Raises `Unreadable`.

    `is_input` is false where the file is only looked at, to see whether it is an input.
    """
    if not is_utf8(path):
        raise Unreadable("has a name that is not UTF-8, which no report can show", "rename it")
    descriptor = re.fullmatch(_STANDARD_INPUT, path) if input_allowed else None
    number = int(descriptor[1] or 0) if descriptor else -1
    # where Python found none, another file may have its number by now
    if number == 0 and sys.__stdin__ is None:
        raise Unreadable("cannot be read: standard input is closed", kind=MISSING)
    try:
        if number < 0:
            # before it is opened, for opening a device may do something
            kind = stat.S_IFMT(os.stat(path).st_mode)
            if kind == stat.S_IFDIR:
                raise Unreadable("is a folder, not a file", "name the file in it")
            if kind == stat.S_IFREG:
                stream = os.fdopen(os.open(path, _FLAGS), "rb", buffering=0)
                status = os.fstat(stream.fileno())
                # it may be another by then
                kind = stat.S_IFMT(status.st_mode)
            if kind != stat.S_IFREG:
                reason = f"is not an ordinary file: it is a {_KINDS.get(kind, 'device')}"
                raise Unreadable(reason, "write what it gives to a file")
            if is_input:
                _keep_input(path, status)
            return stream, status.st_size
        # from where it stands: a socket cannot be opened by its path, a file would begin anew
        stream = os.fdopen(os.dup(number), "rb", buffering=0)
        status = os.fstat(number)
        if os.name == "posix":
            os.set_blocking(stream.fileno(), True)
    except (OSError, ValueError) as error:
        raise fault_at(path, error) from None
    _keep_input(path, status)
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
    """All of what `open_file` opens. Raises `Unreadable`."""
    stream, size = open_file(path, input_allowed=input_allowed)
    with stream:
        content = b"" if (size or 0) > limit_bytes else read_some(stream, limit_bytes + 1)
    if max(len(content), size or 0) > limit_bytes:
        raise too_large(limit_bytes)
    return content


# by the mark that UTF-16 begins with
_LINE_BREAKS = {b"\xff\xfe": b"\n\0", b"\xfe\xff": b"\0\n"}


def read_ends(
    path: str,
    start_bytes: int,
    end_bytes: int,
    *,
    limit_bytes: int,
    tell: Callable[[int, int | None], None] | None = None,
) -> bytes:
    """The first and the last bytes of a text that `open_file` opens, without zeros in front, and a
    line break where something between is left out. Both sizes are even. `tell` hears how many
    bytes were read, and of how many. Raises `Unreadable`, also for more than `limit_bytes`.
    """
    stream, size = open_file(path, input_allowed=True)
    start = bytearray()
    end: deque[bytes] = deque()
    read_bytes = kept_bytes = dropped_bytes = 0
    with stream:
        while part := read_some(stream, _CHUNK_BYTES):
            read_bytes += len(part)
            if read_bytes > limit_bytes:
                raise too_large(limit_bytes)
            if tell is not None:
                tell(read_bytes, size)
            if not start:
                part = part.lstrip(b"\0")
            room = start_bytes - len(start)
            start += part[:room]
            end.append(part[room:])
            kept_bytes += len(end[-1])
            while kept_bytes - len(end[0]) >= end_bytes:
                kept_bytes -= len(end[0])
                dropped_bytes += len(end.popleft())
    last = b"".join(end)
    cut_bytes = max(0, len(last) - end_bytes)
    # a character of UTF-16 takes two bytes or four
    cut_bytes += (dropped_bytes + cut_bytes) % 2
    if dropped_bytes + cut_bytes == 0:
        return bytes(start) + last
    return bytes(start) + _LINE_BREAKS.get(bytes(start[:2]), b"\n") + last[cut_bytes:]


def too_large(limit_bytes: int, remedy: str | None = None) -> Unreadable:
    """Return the fault of something larger than what is read of its kind."""
    return Unreadable(f"is larger than {limit_bytes:,} bytes", remedy, kind=LARGE)


# of a text by its first two bytes: Windows PowerShell's > writes UTF-16, its Set-Content a mark
ENCODINGS, USUAL_ENCODING = dict.fromkeys((b"\xff\xfe", b"\xfe\xff"), "utf-16"), "utf-8-sig"


def text_of(content: bytes, errors: str = "strict") -> str:
    """Decode a text in either encoding. Raises `Unreadable` for what is no text, or nothing."""
    try:
        text = content.decode(ENCODINGS.get(content[:2], USUAL_ENCODING), errors)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unreadable("is not text", "save the file as UTF-8", line=line) from None
    if "\0" in text or not text.strip():
        raise Unreadable("is not text" if text.strip() else "is empty")
    return text


# a part of a split file; DeepSeek's have six digits behind `of`
SHARD = r"(?is)(.*)-(\d{5})-of-(\d{5,6})(\.[a-z]+)"
# more than any model's files have
MAX_PARTS = 10_000


def numbered_files(path: str) -> tuple[str, ...]:
    """The file itself, or where its name ends in `-00001-of-00003` every part of that set."""
    match = re.fullmatch(SHARD, path)
    if match is None or not 1 <= int(match[3]) <= MAX_PARTS:
        return (path,)
    begin, count, ending = match[1], match[3], match[4]
    return tuple(f"{begin}-{at:05d}-of-{count}{ending}" for at in range(1, int(count) + 1))


# deeper is nobody's record; Python's own limit differs from version to version
MAX_DEPTH = 64
# Before parsing, the signs `[ { , :` are counted, of which each value and each key follows one.
# CPython 3.11 to 3.14 takes up to 125 bytes a sign (an object of one new key, or an entry of two
# short strings), so a million of them stay under 125 MB.
MAX_SIGNS = 1_000_000
# One character outside of ASCII makes Python keep the whole text in 2 or 4 bytes a character
MAX_TEXT_BYTES = 128 << 20
_BLANKS = " \t\r\n"


def parse_json(
    text: str,
    *,
    max_signs: int = MAX_SIGNS,
    constant: Callable[[str], Any] | None = None,
    remedy: str = "give the file as its program wrote it",
) -> Any:
    """The value of a text; `constant` makes what stands for NaN and Infinity, which are refused
    without it. Raises `Unreadable`, with `remedy` for more than `max_signs`.
    """
    import json

    if sys.getsizeof(text) > MAX_TEXT_BYTES:
        raise Unreadable(f"takes more than {MAX_TEXT_BYTES >> 20} MiB as text", kind=LARGE)
    count = sum(map(text.count, "[{,:"))
    if count > max_signs:
        reason = f"holds about {count:,} values, and at most {max_signs:,} are read"
        raise Unreadable(reason, remedy, kind=LARGE)

    def refused(word: str) -> Any:
        reason = f"holds {word}, which is no number in JSON"
        raise Unreadable(reason, "write null where a value is not known")

    try:
        value = json.loads(text, parse_constant=constant or refused)
    except json.JSONDecodeError as error:
        reason, instead = error.msg.removesuffix(" at"), ""
        is_cut_off = text.strip(_BLANKS) and not text[error.pos :].strip(_BLANKS)
        if is_cut_off or reason.startswith("Unterminated string"):
            reason = "it ends too early"
            instead = "it may have been cut off while it was written: write it anew"
        raise Unreadable(f"is not JSON: {reason}", instead or None, line=error.lineno) from None
    except RecursionError:
        raise Unreadable("is nested too deeply") from None
    except ValueError:
        raise Unreadable("holds a number of thousands of digits") from None
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_too_deep(value):
        raise Unreadable("is nested too deeply")
    return value


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        inner = [part.values() if isinstance(part, dict) else part for part in level]
        level = [below for part in inner for below in part if isinstance(below, list | dict)]
    return bool(level)
