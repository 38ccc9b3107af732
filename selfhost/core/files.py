"""The only functions that open and read a file named by a person, including standard input.

Only ordinary files are read, each up to a stated number of bytes. JSON is not trusted: its values
are counted before it is parsed. A file that cannot be read raises `Unreadable`.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Callable, Mapping
from typing import IO, TYPE_CHECKING, Any, NamedTuple, NoReturn

from .errors import Problem
from .links import leads_out
from .records import Record, shortened

if TYPE_CHECKING:
    import json

# less than the allocator requests from the system at a time
_CHUNK_BYTES = 96 << 10
# the paths that shells pass for `<(command)` and for a pipe; any other pipe or device could block
# without end
_STANDARD_INPUT = "/dev/(?:stdin|fd/([0-9]{1,6}))"
# the flags read by `getattr` exist on some systems only
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_KINDS = {
    stat.S_IFIFO: "named pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFDIR: "folder",
}

# kinds of an `Unreadable`
MISSING = "missing"
LARGE = "large"

# The paths of the files that this run has opened, by device and inode number. None where no list is
# kept: only the command line keeps one, since its run ends; in a long-lived program the list would
# grow without end.
_inputs: dict[tuple[int, int], str] | None = None


def keep_inputs() -> None:
    """Begin a run whose inputs are kept, so that no report takes the place of one."""
    global _inputs
    _inputs = {}


def forget_inputs() -> None:
    """End a run whose inputs are kept: the number of a deleted file may be given to the next
    file.
    """
    global _inputs
    _inputs = None


def inputs_opened() -> Mapping[tuple[int, int], str]:
    """The files that this run has opened, by device and number, with the path of each; empty
    where nobody asked to keep them.
    """
    return _inputs or {}


def _keep_input(path: str, status: os.stat_result) -> None:
    if _inputs is not None and stat.S_ISREG(status.st_mode):
        _inputs[status.st_dev, status.st_ino] = path


class Unreadable(OSError):
    """The reason why a file cannot be read.

    - `reason`: follows the name of the file in a sentence ("does not exist").
    - `remedy`: None where only the caller knows one.
    - `line`: None where no line is at fault.
    - `kind`: MISSING, LARGE, or "" for any other reason.
    """

    def __init__(
        self,
        reason: str,
        remedy: str | None = None,
        *,
        line: int | None = None,
        kind: str = "",
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
        self.line = line
        self.kind = kind

    def problem(self, file: str, remedy: str | None = None) -> Problem:
        """The problem of the file `file`. `remedy` is used where this one has no remedy of its
        own.
        """
        return Problem(
            file=file,
            line=self.line,
            message=self.reason,
            remedy=self.remedy or remedy,
        )


def input_path(word: str) -> str:
    """The path that a word of a command line names as an input: `-` is standard input."""
    return "/dev/stdin" if word == "-" else word


def input_name(word: str) -> str:
    """What messages call the input that a word of a command line names."""
    if word == "-":
        return "standard input"
    return word


def is_utf8(name: str) -> bool:
    """Whether a name of a file is text: other bytes in it are lone surrogates in Python."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def reason_of(error: Exception) -> str:
    """The system's text about an error, else the name of the error's class."""
    words = getattr(error, "strerror", None) or str(error)
    return words or type(error).__name__


def fault_at(path: str, error: OSError | ValueError) -> Unreadable:
    """The `Unreadable` that describes an error of the system for a path."""
    if isinstance(error, Unreadable):
        return error
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        if os.path.islink(path):
            return Unreadable("is a link to a file that does not exist", kind=MISSING)
        return Unreadable("does not exist", kind=MISSING)
    if isinstance(error, PermissionError):
        remedy = "change its permissions, or those of its folder"
        return Unreadable("may not be read by this account", remedy)
    reason = getattr(error, "strerror", None) or "not a usable file name"
    return Unreadable(f"cannot be read: {reason}")


class OpenFile(NamedTuple):
    """An open file, unbuffered, and its size in bytes; None where the system does not tell it."""

    stream: IO[bytes]
    size: int | None


def open_file(
    path: str,
    *,
    input_allowed: bool = False,
    is_input: bool = True,
) -> OpenFile:
    """Open an ordinary file. With `input_allowed`, open also the pipes that a shell passes, whose
    size is None. Raises `Unreadable`.

    `is_input` is false where the file is only inspected, to see whether it is an input.
    """
    if not is_utf8(path):
        reason = "has a name that is not UTF-8, which no report can show"
        raise Unreadable(reason, "rename it")
    try:
        if input_allowed:
            descriptor = re.fullmatch(_STANDARD_INPUT, path)
            if descriptor is not None:
                number = int(descriptor[1] or 0)
                return _open_descriptor(path, number)
        return open_ordinary(path, is_input=is_input)
    except (OSError, ValueError) as error:
        raise fault_at(path, error) from None


def open_ordinary(path: str, *, is_input: bool) -> OpenFile:
    """Open an ordinary file, of any name. Raises `Unreadable` for a pipe, a device, a folder, or a
    link out of the folders that an agent may read, and the `OSError` of the system for a file that
    cannot be opened.
    """
    if leads_out(path):
        reason = "is a link to a place that may not be read"
        remedy = "put the file itself there, or let the user allow that place too"
        raise Unreadable(reason, remedy)
    # the kind is checked before opening: to open a device may have an effect
    kind = stat.S_IFMT(os.stat(path).st_mode)
    if kind == stat.S_IFDIR:
        raise Unreadable("is a folder, not a file", "name the file in it")
    if kind != stat.S_IFREG:
        raise _not_ordinary(kind)
    stream = os.fdopen(os.open(path, _FLAGS), "rb", buffering=0)
    status = os.fstat(stream.fileno())
    # another file may have the name by now
    if not stat.S_ISREG(status.st_mode):
        stream.close()
        raise _not_ordinary(stat.S_IFMT(status.st_mode))
    if is_input:
        _keep_input(path, status)
    return OpenFile(stream, status.st_size)


def _not_ordinary(kind: int) -> Unreadable:
    what = _KINDS.get(kind, "device")
    reason = f"is not an ordinary file: it is a {what}"
    if what == "device":
        # a device such as /dev/zero has no output that would end
        return Unreadable(reason, "name a file")
    return Unreadable(reason, "write what comes out of it to a file")


def _open_descriptor(path: str, number: int) -> OpenFile:
    """Open a descriptor that the shell has opened, at its current position. A socket cannot be
    opened by its path, and a file would be read again from its begin.
    """
    if number == 0 and sys.__stdin__ is None:
        # another file may have the descriptor's number by now
        raise Unreadable("cannot be read: standard input is closed", kind=MISSING)
    stream = os.fdopen(os.dup(number), "rb", buffering=0)
    status = os.fstat(number)
    if os.name == "posix":
        os.set_blocking(stream.fileno(), True)
    _keep_input(path, status)
    if not stat.S_ISREG(status.st_mode):
        return OpenFile(stream, None)
    return OpenFile(stream, max(0, status.st_size - stream.tell()))


def read_some(stream: IO[bytes], limit_bytes: int) -> bytes:
    """Read at most `limit_bytes` bytes from the current position of a stream. Raises
    `Unreadable`.
    """
    parts = []
    while limit_bytes > 0:
        try:
            part: bytes | None = stream.read(min(limit_bytes, _CHUNK_BYTES))
        except OSError as error:
            raise fault_at("", error) from None
        if part is None:
            # a kernel file that returns the next event, such as /proc/kmsg
            raise Unreadable("has no data yet, and may never have any")
        if not part:
            break
        parts.append(part)
        limit_bytes -= len(part)
    return b"".join(parts)


def read_file(
    path: str,
    limit_bytes: int,
    *,
    input_allowed: bool = False,
) -> bytes:
    """Read a whole file that `open_file` opens. Raises `Unreadable`, also for more than
    `limit_bytes`.
    """
    stream, size = open_file(path, input_allowed=input_allowed)
    with stream:
        if size is not None and size > limit_bytes:
            raise too_large(limit_bytes)
        content = read_some(stream, limit_bytes + 1)
    if len(content) > limit_bytes:
        raise too_large(limit_bytes)
    return content


# line breaks by the byte order mark of UTF-16
_LINE_BREAKS = {b"\xff\xfe": b"\n\0", b"\xfe\xff": b"\0\n"}


def read_ends(
    path: str,
    start_bytes: int,
    end_bytes: int,
    *,
    limit_bytes: int,
    tell: Callable[[int, int | None], None] | None = None,
) -> bytes:
    """Read the first and the last bytes of a text that `open_file` opens, without zeros in front,
    and with a line break in place of anything left out between.

    Both sizes must be even and above 0. `tell` is called with the bytes read so far and the size of
    the file. Raises `Unreadable`, also for more than `limit_bytes`.
    """
    stream, size = open_file(path, input_allowed=True)
    start = bytearray()
    end = bytearray()
    read_bytes = 0
    dropped_bytes = 0
    with stream:
        if size is not None and size > limit_bytes:
            raise too_large(limit_bytes)
        while part := read_some(stream, _CHUNK_BYTES):
            read_bytes += len(part)
            if read_bytes > limit_bytes:
                raise too_large(limit_bytes)
            if tell is not None:
                tell(read_bytes, size)
            if not start:
                part = part.lstrip(b"\0")
            missing_bytes = start_bytes - len(start)
            start += part[:missing_bytes]
            end += part[missing_bytes:]
            # cut at twice the size: to cut at each part would copy the end each time
            if len(end) > 2 * end_bytes:
                dropped_bytes += len(end) - end_bytes
                del end[:-end_bytes]
    if read_bytes > 0 and not start:
        raise _only_zeros()
    cut_bytes = max(0, len(end) - end_bytes)
    # a character of UTF-16 takes two or four bytes: the cut must be even
    cut_bytes += (dropped_bytes + cut_bytes) % 2
    if dropped_bytes + cut_bytes > 0:
        start += _LINE_BREAKS.get(bytes(start[:2]), b"\n")
    return bytes(start + end[cut_bytes:])


def too_large(limit_bytes: int, remedy: str | None = None) -> Unreadable:
    """Return the fault of something larger than what is read of its kind."""
    return Unreadable(f"is larger than {limit_bytes:,} bytes", remedy, kind=LARGE)


def encoding_of(start: bytes) -> str:
    """The encoding of a text, by its first two bytes, as `codecs` calls it: UTF-16, which the `>`
    of Windows PowerShell writes, or UTF-8, with or without the mark that its `Set-Content` writes.
    """
    return "utf-16" if start[:2] in _LINE_BREAKS else "utf-8-sig"


def text_of(content: bytes, errors: str = "strict") -> str:
    """Decode a text in UTF-8 or UTF-16. Raises `Unreadable` for bytes that are no text, and for an
    empty text.
    """
    try:
        text = content.decode(encoding_of(content), errors)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unreadable("is not text", "save the file as UTF-8", line=line) from None
    if not text.strip():
        raise Unreadable("is empty")
    if not text.strip("\0"):
        raise _only_zeros()
    if "\0" in text:
        raise Unreadable("is not text")
    return text


def _only_zeros() -> Unreadable:
    """The fault of a file of zero bytes, as a file system leaves it after a crash."""
    remedy = "it may not have been written to the end: write it again"
    return Unreadable("holds nothing but zeros", remedy)


# the name of a part of a split file; DeepSeek's names have six digits after `of`
PART_NAME = r"(?is)(.*)-(\d{5})-of-(\d{5,6})(\.[a-z]+)"
# more parts than any model has
MAX_PARTS = 10_000


class PartName(Record):
    """The name of one file of a split model: `BEGIN-00002-of-00003.gguf`."""

    begin: str
    number: int
    # the number of parts, in the digits of the name
    count: str
    ending: str

    @property
    def number_of_parts(self) -> int:
        """The number of files that the model is split into."""
        return int(self.count)

    def of_part(self, number: int) -> str:
        """The name of the part with that number."""
        return f"{self.begin}-{number:05d}-of-{self.count}{self.ending}"


def part_name(path: str) -> PartName | None:
    """The name of a part of a split model, also with a number that no part has; None for a file
    that is not split.
    """
    match = re.fullmatch(PART_NAME, path)
    if match is None or not 1 <= int(match[3]) <= MAX_PARTS:
        return None
    begin, number, count, ending = match.groups()
    return PartName(begin=begin, number=int(number), count=count, ending=ending)


def numbered_files(path: str) -> tuple[str, ...]:
    """The names of all parts of a split file, up to 10,000, if the name ends as in
    `-00001-of-00003`; else the file itself.
    """
    name = part_name(path)
    if name is None:
        return (path,)
    return tuple(map(name.of_part, range(1, name.number_of_parts + 1)))


def first_numbered_file(path: str) -> str:
    """The first name of `numbered_files`, found without making the others."""
    name = part_name(path)
    if name is None:
        return path
    return name.of_part(1)


# no real record is nested deeper; Python's own limit differs between versions
MAX_DEPTH = 64
# Before parsing, the signs `[ { , :` are counted: each value and each key follows one. CPython 3.11
# to 3.14 takes up to 125 bytes for each sign (an object of one new key, or an entry of two short
# strings), so that a million signs stay under 125 MB.
MAX_SIGNS = 1_000_000
# a single character outside ASCII makes Python store the whole text in 2 or 4 bytes a character
MAX_TEXT_BYTES = 128 << 20
_BLANKS = " \t\r\n"


# the keys of an object with their values, as a JSON text has them: also keys that are repeated
JsonPairs = list[tuple[str, object]]


def parse_json(
    text: str,
    *,
    max_signs: int = MAX_SIGNS,
    constant: Callable[[str], object] | None = None,
    pairs: Callable[[JsonPairs], object] | None = None,
    remedy: str = "give the file as its program wrote it",
) -> Any:
    """The value that a JSON text states.

    `constant` makes the values for NaN and Infinity, which are refused without it. `pairs` makes
    each object. Raises `Unreadable`, with `remedy` where the text has more than `max_signs` signs.
    """
    import json

    if sys.getsizeof(text) > MAX_TEXT_BYTES:
        most_mib = MAX_TEXT_BYTES >> 20
        raise Unreadable(f"takes more than {most_mib} MiB as text", kind=LARGE)
    signs = sum(text.count(sign) for sign in "[{,:")
    if signs > max_signs:
        reason = f"holds about {signs:,} values; at most {max_signs:,} are read"
        raise Unreadable(reason, remedy, kind=LARGE)
    try:
        value = json.loads(
            text,
            parse_constant=constant or _refuse_constant,
            object_pairs_hook=pairs,
        )
    except json.JSONDecodeError as error:
        raise _syntax_fault(text, error) from None
    except RecursionError:
        raise Unreadable("is nested too deeply") from None
    except ValueError:
        raise Unreadable("holds a number of thousands of digits") from None
    brackets = text.count("[") + text.count("{")
    if brackets > MAX_DEPTH and _is_too_deep(value):
        raise Unreadable("is nested too deeply")
    return value


def value_at(value: object, *path: str | int) -> Any:
    """The value at a path of keys, and of places in lists, in what a file states; None where there
    is none.
    """
    for key in path:
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list) and key in range(len(value)):
            value = value[int(key)]
        else:
            return None
    return value


def as_list(value: object) -> list[object]:
    """A list that a file states; any other value as a list of that value."""
    if isinstance(value, list):
        return value
    return [value]


def object_of(pairs: JsonPairs) -> dict[str, object]:
    """The object of a JSON text whose keys differ, for `pairs` of `parse_json`. Raises
    `Unreadable` where a key is repeated, of which JSON does not say which value counts.
    """
    value = dict(pairs)
    if len(value) < len(pairs):
        _refuse_repeated_key(pairs)
    return value


def _refuse_repeated_key(pairs: JsonPairs) -> None:
    """Raise `Unreadable` for the first key that is repeated."""
    seen = set()
    for key, _ in pairs:
        if key in seen:
            raise Unreadable(f"states {shortened(key)!r} twice", "state it once")
        seen.add(key)


def _refuse_constant(word: str) -> NoReturn:
    reason = f"holds {word}, which is not a number in JSON"
    raise Unreadable(reason, "write null where a value is not known")


def _syntax_fault(text: str, error: json.JSONDecodeError) -> Unreadable:
    """The `Unreadable` for a syntax error of JSON, with a remedy where the cause is known."""
    reason = error.msg.removesuffix(" at")
    nothing_follows = not text[error.pos :].strip(_BLANKS)
    is_cut_off = nothing_follows and text.strip(_BLANKS)
    if is_cut_off or reason.startswith("Unterminated string"):
        remedy = "it may have been cut off while it was written: write it again"
        return Unreadable("is not JSON: it ends too early", remedy, line=error.lineno)
    if reason == "Extra data":
        remedy = "give each value a file of its own, or for `selfhost audit` a line: jq -c . FILE"
        return Unreadable(f"is not JSON: {reason}", remedy, line=error.lineno)
    return Unreadable(f"is not JSON: {reason}", line=error.lineno)


def _is_too_deep(value: object) -> bool:
    """Whether lists and objects are nested more than MAX_DEPTH levels deep."""
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        below: list[object] = []
        for outer in level:
            if isinstance(outer, dict):
                below += outer.values()
            elif isinstance(outer, list):
                below += outer
        level = [inner for inner in below if isinstance(inner, list | dict)]
    return bool(level)
