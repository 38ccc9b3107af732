"""JSON that nobody vouches for: a whole text, or a stream of many records.

What it may hold is counted before it is parsed.
"""

from __future__ import annotations

import sys

from .errors import MAX_PROBLEMS
from .reading import LARGE, Unreadable, encoding_of, read_some, too_large
from .records import pattern

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO, Any, NoReturn

# a list or object deeper than this is nobody's record; Python's own limit differs from version to
# version
MAX_DEPTH = 64
# Before parsing, the signs `[ { , :` are counted, of which each value and each key follows one.
# CPython 3.11 to 3.14 takes up to 125 bytes a sign (an object of one new key, or an entry of two
# short strings), so a million of them stay under 125 MB.
MAX_SIGNS = 1_000_000
# One character outside of ASCII makes Python keep the whole text in 2 or 4 bytes a character
MAX_TEXT_BYTES = 65 << 20
_SIGNS = (b"[", b"{", b",", b":")
_BLANKS = " \t\r\n"
_AFTER_ITEM = frozenset(" \t\r\n,]")
_BLANK_RUN = pattern(r"[ \t\r\n]*")
_CHUNK_BYTES = 1 << 20
# of one stream of records; beyond it lies no fleet, but a stream without end
MAX_STREAM_BYTES = 16 << 30


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
            raise _ungrammatical(error.msg, error.doc, error.pos, error.lineno) from None
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


def cut_off(line: int | None) -> NoJSON:
    """A text that ends where more must come: the sign of a full disk or a broken connection."""
    remedy = "it may have been cut off while it was written: write it anew"
    return NoJSON("is not JSON: it ends too early", remedy, line=line)


def _ungrammatical(message: str, text: str, place: int, line: int) -> NoJSON:
    """What is wrong at that place of a text, in the words of Python's decoder; that it was cut off
    where nothing follows.
    """
    is_at_the_end = place > 0 and bool(text.strip(_BLANKS)) and not text[place:].strip(_BLANKS)
    if is_at_the_end or message.startswith("Unterminated string"):
        return cut_off(line)
    return NoJSON(f"is not JSON: {message.removesuffix(' at')}", line=line)


def _refuse_constant(word: str) -> NoReturn:
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
        level = [below for part in inner for below in part if isinstance(below, list | dict)]
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

    def go_past_line(self, end: int) -> None:
        """Move to the end of the line of `at`, which `line_at` was asked for: in between no line
        feed is to be counted.
        """
        self.at = self._counted_to = end

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
    where the text has one a line.

    `doubled`: keys that stand twice in one object of it; `more_doubled` counts those beyond
    MAX_PROBLEMS. `place`: where it stands in a list, as `[1]`, None elsewhere.
    """

    __slots__ = ("doubled", "fault", "line", "more_doubled", "place", "value")

    def __init__(
        self,
        line: int | None,
        value: Any,
        fault: Unreadable | None,
        decoder: Decoder,
        *,
        place: str | None = None,
    ) -> None:
        self.line, self.value, self.fault, self.place = line, value, fault, place
        self.doubled, self.more_doubled = decoder.doubled, decoder.more_doubled


def read_records(
    stream: IO[bytes],
    *,
    max_record_bytes: int,
    max_bytes: int = MAX_STREAM_BYTES,
    budget: Budget | None = None,
) -> Iterator[Entry]:
    """The JSON values of a stream, one after the other: of one list its items, else one a line
    (JSON Lines), else the one value.

    Memory is that of one record, however many there are. Raises `Unreadable` for the whole, also
    after some entries; a broken line of JSON Lines is the `fault` of its entry. `max_bytes`
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
    entry = Entry(line, value, None, decoder)
    window.at = end
    if not window.skip_blanks():
        entry.line = None
    yield entry
    while window.skip_blanks():
        end = window.line_end(max_record_bytes)
        line, text = window.line_at(window.at), window.text[window.at : end]
        window.go_past_line(end)
        try:
            yield Entry(line, decoder.parse(text), None, decoder)
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
        if not sign:
            raise cut_off(window.line_at(window.at))
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
