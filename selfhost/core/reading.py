"""The one way to open and read what a person names: a file, an entry of a folder, standard input.

A thing is asked what it is before it is opened, how large it is before it is read, and how much it
holds before it is parsed. So nothing waits for a pipe that nobody writes to, and no input of up to
100 MB takes more than 512 MiB of memory. Every fault is an `Unreadable`, which the caller turns
into its own kind of error.
"""

from __future__ import annotations

import os
import stat
import sys

from .errors import MAX_PROBLEMS
from .records import pattern

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO, Any

# a list or object deeper than this is nobody's record; Python's own limit differs from version to
# version
MAX_DEPTH = 64
# Before parsing, the signs `[ { , :` are counted, of which each value and each key follows one.
# CPython 3.11 to 3.14 takes up to 125 bytes a sign (an object of one new key, or an entry of two
# short strings), so a million of them stay under 125 MB.
MAX_SIGNS = 1_000_000
# One character outside of ASCII makes Python keep the whole text in 2 or 4 bytes a character
MAX_TEXT_BYTES = 65 << 20
_CHUNK_BYTES = 1 << 20
_SIGNS = (b"[", b"{", b",", b":")
# what shells pass for `<(command)` and for a pipe; any other pipe or device could be waited for
# without end
_STANDARD_INPUT = pattern(r"/dev/(?:stdin|fd/([0-9]+))")
_BLANKS = " \t\r\n"
_AFTER_ITEM = frozenset(" \t\r\n,]")
_BLANK_RUN = pattern(r"[ \t\r\n]*")

MISSING, FOLDER, DENIED, LARGE = "missing", "folder", "denied", "large"


class Unreadable(Exception):
    """Why something cannot be read.

    `reason` follows the name of the file in a sentence ("does not exist"); `remedy` is what to do,
    or None where only the caller knows. `line` counts from 1, None where it is not certain. `kind`
    is one of MISSING, FOLDER, DENIED, LARGE, or "".
    """

    def __init__(
        self, reason: str, remedy: str | None = None, *, line: int | None = None, kind: str = ""
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
        self.line = line
        self.kind = kind


def shown(path: str) -> str:
    """The path as typed, fit for a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in path)


# ------------------------------------------------------------------ files


def status_of(path: str) -> os.stat_result:
    """Like `os.stat`, with links followed. Raises `Unreadable`, also for a name that no file
    can have.
    """
    try:
        return os.stat(path)
    except (OSError, ValueError) as error:
        raise _fault(path, error) from None


def _fault(path: str, error: OSError | ValueError) -> Unreadable:
    import errno

    if isinstance(error, FileNotFoundError):
        if os.path.islink(path):
            return Unreadable("is a link to a file that does not exist", kind=MISSING)
        return Unreadable("does not exist", kind=MISSING)
    if isinstance(error, NotADirectoryError):
        return Unreadable(
            "does not exist: a part of the path is a file, not a folder", kind=MISSING
        )
    if isinstance(error, PermissionError):
        return Unreadable(
            "may not be read by this account",
            "change its permissions, or those of its folder",
            kind=DENIED,
        )
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return Unreadable("is a link that leads back to itself")
    return Unreadable(
        f"cannot be read: {getattr(error, 'strerror', None) or 'not a usable file name'}"
    )


def _refuse_other_than_files(mode: int, *, input_allowed: bool) -> None:
    """Raise `Unreadable` unless `mode`, that of a path's status, is an ordinary file's."""
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise Unreadable("is a folder, not a file", "name the file in it", kind=FOLDER)
    if stat.S_ISFIFO(mode):
        instead = ", or send it to /dev/stdin" if input_allowed else ""
        raise Unreadable(
            "is not an ordinary file: it is a named pipe, which could be waited for without end",
            f"write what it gives to a file{instead}",
        )
    raise Unreadable(
        f"is not an ordinary file: it is a {'socket' if stat.S_ISSOCK(mode) else 'device'}"
    )


def descriptor_of(path: str) -> tuple[int, os.stat_result]:
    """An ordinary file, opened for reading, and its status. Raises `Unreadable`, or the `OSError`
    or `ValueError` of the system.

    It is asked what it is before it is opened, for opening a device may do something, and after,
    for it may be another by then.
    """
    _refuse_other_than_files(os.stat(path).st_mode, input_allowed=False)
    flags = (
        os.O_RDONLY
        | getattr(os, "O_NONBLOCK", 0)
        | getattr(os, "O_CLOEXEC", 0)
        | getattr(os, "O_BINARY", 0)
    )
    descriptor = os.open(path, flags)
    try:
        status = os.fstat(descriptor)
        _refuse_other_than_files(status.st_mode, input_allowed=False)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, status


def open_file(path: str) -> tuple[IO[bytes], int]:
    """An ordinary file, unbuffered, and its size in bytes. Raises `Unreadable`."""
    try:
        descriptor, status = descriptor_of(path)
    except (OSError, ValueError) as error:
        raise _fault(path, error) from None
    return os.fdopen(descriptor, "rb", buffering=0), status.st_size


def open_input(path: str) -> tuple[IO[bytes], int | None]:
    """As `open_file`, and what a shell passes for a pipe too: `/dev/stdin` and `/dev/fd/N`,
    whose size may be None: not known.
    """
    descriptor = _STANDARD_INPUT.fullmatch(path)
    if descriptor is not None:
        return _open_stream(path, int(descriptor[1] or 0))
    try:
        _refuse_other_than_files(os.stat(path).st_mode, input_allowed=True)
    except (OSError, ValueError) as error:
        raise _fault(path, error) from None
    return open_file(path)


def _open_stream(path: str, number: int) -> tuple[IO[bytes], int | None]:
    """What this process was given open, from where it stands: a socket cannot be opened by its
    path, and an opened file begins anew.
    """
    # where Python found none, another file may have its number by now
    if number == 0 and sys.__stdin__ is None:
        raise Unreadable("is closed: there is no standard input", kind=MISSING)
    try:
        copy = os.dup(number)
    except (OSError, OverflowError):
        raise Unreadable("does not exist", kind=MISSING) from None
    try:
        status = os.fstat(copy)
        if stat.S_ISDIR(status.st_mode):
            _refuse_other_than_files(status.st_mode, input_allowed=True)
        stream = os.fdopen(copy, "rb", buffering=0)
    except BaseException:
        os.close(copy)
        raise
    if stat.S_ISREG(status.st_mode):
        return stream, max(0, status.st_size - stream.tell())
    return stream, None


def read_some(stream: IO[bytes], limit_bytes: int) -> bytes:
    """At most so many bytes from where the stream stands; fewer only at its end. Raises
    `Unreadable`.
    """
    parts: list[bytes] = []
    while limit_bytes > 0:
        try:
            part: bytes | None = stream.read(min(limit_bytes, _CHUNK_BYTES))
        except OSError as error:
            raise _fault("", error) from None
        if part is None:
            # a file of the kernel's that gives what comes next, such as /proc/kmsg
            if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise Unreadable("gives nothing yet, and could be waited for without end")
            # whoever gave the stream does not let it wait: there is nothing yet
            import select

            select.select([stream], [], [])
            continue
        if not part:
            break
        parts.append(part)
        limit_bytes -= len(part)
    return b"".join(parts)


def read_file(path: str, limit_bytes: int, *, input_allowed: bool = False) -> bytes:
    """All of a file of at most so many bytes; with `input_allowed` also standard input by its
    name. Raises `Unreadable`.
    """
    stream, size = open_input(path) if input_allowed else open_file(path)
    with stream:
        content = (
            b"" if size is not None and size > limit_bytes else read_some(stream, limit_bytes + 1)
        )
    if len(content) > limit_bytes or (size is not None and size > limit_bytes):
        raise too_large(limit_bytes)
    return content


def too_large(limit_bytes: int) -> Unreadable:
    """The fault of something larger than what is read of its kind."""
    return Unreadable(f"is larger than {limit_bytes:,} bytes", kind=LARGE)


# ------------------------------------------------------------------ text and JSON


def encoding_of(start: bytes) -> str:
    """The encoding of a text by its first bytes: Windows PowerShell's > writes UTF-16, its
    Set-Content a UTF-8 mark.
    """
    return "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def text_of(content: bytes) -> str:
    """The text, in whichever of both encodings it is. Raises `Unreadable` for what is no text,
    for none, and for too much.
    """
    try:
        text = content.decode(encoding_of(content))
    except UnicodeDecodeError:
        raise Unreadable("is not text") from None
    if not text.strip():
        raise Unreadable("is empty")
    if "\0" in text:
        raise Unreadable("is not text")
    return text


def signs_in(text: bytes | str) -> int:
    """How many of `[ { , :` a JSON text has: at most one value or key more can be in it. Those
    in strings count, too.
    """
    if isinstance(text, str):
        return sum(text.count(sign.decode()) for sign in _SIGNS)
    return sum(text.count(sign) for sign in _SIGNS)


class Decoder:
    """Parses JSON that nobody vouches for. What it raises is `Unreadable`, with the line where it
    is certain.

    `made_of` makes an object of its pairs, `constant` what stands for NaN and Infinity, `whole` a
    whole number of its digits, as in `json.loads`. Without `constant` those words are refused,
    without `made_of` the last of two equal keys counts. With `note_doubled` the first MAX_PROBLEMS
    keys that stand twice in one object of the text parsed last are in `doubled`, and `more_doubled`
    counts the others.
    """

    def __init__(
        self,
        *,
        made_of: Callable[[list[tuple[str, Any]]], Any] | None = None,
        note_doubled: bool = False,
        constant: Callable[[str], Any] | None = None,
        whole: Callable[[str], Any] | None = None,
    ) -> None:
        import json

        self.doubled: list[str] = []
        self.more_doubled = 0
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object if note_doubled else made_of,
            parse_constant=constant or _refuse_constant,
            parse_int=whole,
        )

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) != len(pairs):
            times = dict.fromkeys(values, 0)
            for key, _ in pairs:
                times[key] += 1
                if times[key] == 2 and len(self.doubled) < MAX_PROBLEMS:
                    self.doubled.append(key)
                elif times[key] == 2:
                    self.more_doubled += 1
        return values

    def parse(self, text: str, *, max_signs: int = MAX_SIGNS) -> Any:
        """The value of a whole text."""
        if sys.getsizeof(text) > MAX_TEXT_BYTES:
            raise Unreadable(f"takes more than {MAX_TEXT_BYTES >> 20} MiB as text", kind=LARGE)
        count = signs_in(text)
        if count > max_signs:
            raise too_many(count, max_signs)
        start = len(text) - len(text.lstrip(_BLANKS))
        value, end = self.parse_at(text, start)
        if text[end:].strip(_BLANKS):
            end += len(text[end:]) - len(text[end:].lstrip(_BLANKS))
            raise Unreadable("is not JSON: Extra data", line=text.count("\n", 0, end) + 1)
        return value

    def parse_at(self, text: str, start: int) -> tuple[Any, int]:
        """The value that begins at `start`, and where it ends. Its signs were counted."""
        import json

        self.doubled, self.more_doubled = [], 0
        try:
            value, end = self._decoder.raw_decode(text, start)
        except json.JSONDecodeError as error:
            raise NoJSON(f"is not JSON: {error.msg}", line=error.lineno) from None
        except RecursionError:
            raise _too_deep() from None
        except Unreadable:
            raise
        except ValueError:
            raise Unreadable("holds a number of thousands of digits") from None
        if (
            text.count("[", start, end) + text.count("{", start, end) > MAX_DEPTH
            and _depth(value) > MAX_DEPTH
        ):
            raise _too_deep()
        return value, end


class NoJSON(Unreadable):
    """A text that breaks the grammar of JSON, or ends too early."""


def _refuse_constant(word: str) -> Any:
    raise Unreadable(
        f"holds {word}, which is no number in JSON", "write null where a value is not known"
    )


def _too_deep() -> Unreadable:
    return Unreadable("is nested too deeply")


def _depth(value: Any) -> int:
    """How deep lists and objects lie in each other, at most MAX_DEPTH + 1. A loop: nothing here
    calls itself.
    """
    level, depth = [value], 0
    while level and depth <= MAX_DEPTH:
        depth += 1
        inner = [part.values() if isinstance(part, dict) else part for part in level]
        level = [item for part in inner for item in part if isinstance(item, list | dict)]
    return depth


def too_many(count: int, max_signs: int) -> Unreadable:
    """The fault of a JSON text with more in it than anything of its kind has; `count` is what
    `signs_in` gives.
    """
    return Unreadable(
        f"holds about {count:,} values, and at most {max_signs:,} are read",
        "give the file as its program wrote it",
        kind=LARGE,
    )


# ------------------------------------------------------------------ many records

# of one stream of records; beyond it lies no fleet, but a stream without end
MAX_STREAM_BYTES = 16 << 30


class Budget:
    """How many signs (`signs_in`) may still be read, of several streams together whose values
    are all kept.
    """

    def __init__(self, max_signs: int) -> None:
        self.max_signs = self.signs_left = max_signs

    def take(self, count: int) -> None:
        """Raise `Unreadable` where fewer are left."""
        if count > self.signs_left:
            raise Unreadable(
                f"has more than about {self.max_signs:,} values, in all that was named",
                "give it in parts",
                kind=LARGE,
            )
        self.signs_left -= count


class _Window:
    """The part of a text that is looked at: decoded piece by piece, so that a stream of any
    length takes the memory of one record.
    """

    def __init__(
        self,
        stream: IO[bytes],
        max_bytes: int = MAX_STREAM_BYTES,
        budget: Budget | None = None,
    ) -> None:
        import codecs

        self.stream, self.max_bytes, self.budget = stream, max_bytes, budget
        self.text, self.at, self.lines_before = "", 0, 0
        self.ended = False
        self.bytes_read = 0
        # line feeds of the text before that place
        self._feeds, self._counted_to = 0, 0
        start = read_some(stream, _CHUNK_BYTES)
        self._decoder = codecs.getincrementaldecoder(encoding_of(start))()
        self._add(start)

    def more(self) -> bool:
        """Decode the next piece, and forget what lies before `at`; False at the end."""
        if self.ended:
            return False
        self._add(read_some(self.stream, _CHUNK_BYTES))
        return True

    def _add(self, piece: bytes) -> None:
        self.bytes_read += len(piece)
        if self.bytes_read > self.max_bytes:
            raise too_large(self.max_bytes)
        if self.budget is not None:
            self.budget.take(signs_in(piece))
        self.ended = not piece
        try:
            decoded = self._decoder.decode(piece, self.ended)
        except UnicodeDecodeError:
            raise Unreadable("is not text") from None
        self.lines_before = self.line_at(self.at) - 1
        self._feeds, self._counted_to = 0, 0
        self.text = self.text[self.at :] + decoded
        self.at = 0

    def skip_blanks(self) -> str:
        """Move to the next character that is no blank, and give it; "" at the end."""
        while True:
            blanks = _BLANK_RUN.match(self.text, self.at)
            self.at = blanks.end() if blanks else self.at
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""

    def line_at(self, place: int) -> int:
        """The line of a place of the text. Cheap where places are asked for in their order."""
        if place < self._counted_to:
            self._feeds, self._counted_to = 0, 0
        self._feeds += self.text.count("\n", self._counted_to, place)
        self._counted_to = place
        return self.lines_before + self._feeds + 1

    def line_end(self, max_bytes: int) -> int:
        """Where the line of `at` ends: at its line feed or at the end of the text. Raises
        `Unreadable` for one longer than that.
        """
        looked_at = self.at
        while True:
            end = self.text.find("\n", looked_at)
            if end >= 0:
                return end
            looked_at = len(self.text) - self.at
            if looked_at > max_bytes:
                raise _record_too_large(self, max_bytes)
            if not self.more():
                return len(self.text)


class Entry:
    """One record of a text of many: its value, or the `fault` why there is none. `line` is set
    where the text has one a line, and then `text` is that line. `is_known`: somebody else has read
    it.

    `doubled`: keys that stand twice in one object of it; `more_doubled` counts those beyond
    MAX_PROBLEMS. `place`: where it stands in a list, as `[1]`, None elsewhere.
    """

    __slots__ = ("doubled", "fault", "is_known", "line", "more_doubled", "place", "text", "value")

    def __init__(
        self,
        line: int | None,
        value: Any,
        fault: Unreadable | None,
        decoder: Decoder,
        text: str | None = None,
        *,
        is_known: bool = False,
        place: str | None = None,
    ) -> None:
        self.line, self.value, self.fault, self.place = line, value, fault, place
        self.text, self.is_known = text, is_known
        self.doubled, self.more_doubled = decoder.doubled, decoder.more_doubled


def read_records(
    stream: IO[bytes],
    *,
    max_record_bytes: int,
    max_bytes: int = MAX_STREAM_BYTES,
    budget: Budget | None = None,
    knows: Callable[[str, int], bool] = lambda _text, _line: False,
) -> Iterator[Entry]:
    """The JSON values of a stream, one after the other: of one list its items, else one a line
    (JSON Lines), else the one value.

    Memory is that of one record, however many there are. Raises `Unreadable` for the whole, also
    after some entries; a broken line of JSON Lines is the `fault` of its entry. `knows` is asked of
    each line after the first, with its number: what it answers True for is not parsed. `max_bytes`
    and the `budget` are for the whole stream; a stream whose values are not all kept needs none.
    """
    window, decoder = _Window(stream, max_bytes, budget), Decoder(note_doubled=True)
    first = window.skip_blanks()
    if not first:
        raise Unreadable("is empty")
    if first == "[":
        yield from _items(window, decoder, max_record_bytes)
        return
    end = window.line_end(max_record_bytes)
    line = window.line_at(window.at)
    text = window.text[window.at : end]
    try:
        value = decoder.parse(text)
    except Unreadable:
        value = None
    if not isinstance(value, dict):
        yield Entry(None, _whole(window, decoder, max_record_bytes), None, decoder)
        return
    entry = Entry(line, value, None, decoder, text)
    window.at = end
    if not window.skip_blanks():
        entry.line = None
    yield entry
    while window.skip_blanks():
        end = window.line_end(max_record_bytes)
        line, text = window.line_at(window.at), window.text[window.at : end]
        window.at = end
        if knows(text, line):
            yield Entry(line, None, None, decoder, is_known=True)
            continue
        try:
            yield Entry(line, decoder.parse(text), None, decoder, text)
        except Unreadable as error:
            yield Entry(line, None, error, decoder)


def _whole(window: _Window, decoder: Decoder, max_bytes: int) -> Any:
    """The one value of the text."""
    before = window.line_at(window.at) - 1
    while window.more():
        if len(window.text) > max_bytes:
            raise too_large(max_bytes)
    try:
        return decoder.parse(window.text)
    except Unreadable as error:
        if error.line is not None:
            error.line += before
        raise


def _items(window: _Window, decoder: Decoder, max_record_bytes: int) -> Iterator[Entry]:
    """The items of the list that begins where the window stands."""
    window.at += 1
    expected = "]"
    number = 0
    while True:
        sign = window.skip_blanks()
        if sign and sign == expected:
            break
        value = _item(window, decoder, max_record_bytes)
        yield Entry(None, value, None, decoder, place=f"[{number}]")
        number += 1
        sign = window.skip_blanks()
        if sign == "]":
            break
        if sign != ",":
            raise NoJSON("is not JSON: Expecting ',' delimiter", line=window.line_at(window.at))
        window.at += 1
        expected = ""
    window.at += 1
    if window.skip_blanks():
        raise NoJSON("is not JSON: Extra data", line=window.line_at(window.at))


def _item(window: _Window, decoder: Decoder, max_bytes: int) -> Any:
    """The value where the window stands; more is decoded until it is whole."""
    while True:
        before, length = window.lines_before, len(window.text) - window.at
        try:
            value, end = decoder.parse_at(window.text, window.at)
        except NoJSON as error:
            if length <= max_bytes and window.more():
                # of this record, or of those behind it in the piece that was read
                count = signs_in(window.text[window.at :])
                if count > 2 * MAX_SIGNS:
                    raise too_many(count, MAX_SIGNS) from None
                continue
            if length > max_bytes:
                raise _record_too_large(window, max_bytes) from None
            if error.line is not None:
                error.line += before
            raise
        if end - window.at > max_bytes:
            raise _record_too_large(window, max_bytes)
        # a number may go on behind the window, as after the point of `1.`
        if window.text[end : end + 1] in _AFTER_ITEM or length > max_bytes or not window.more():
            window.at = end
            return value


def _record_too_large(window: _Window, max_bytes: int) -> Unreadable:
    return Unreadable(
        f"has a record of more than {max_bytes:,} bytes", line=window.line_at(window.at), kind=LARGE
    )


def can_be_passed_on(text: str) -> bool:
    """False for what a system call refuses: a NUL, or half of a surrogate pair that stands for
    no byte.
    """
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False
