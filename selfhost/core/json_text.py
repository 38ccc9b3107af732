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
    from codecs import IncrementalDecoder
    from collections.abc import Callable, Iterator
    from typing import IO, Any, NoReturn

# a list or object deeper than this is nobody's record; Python's own limit differs from version to
# version
MAX_DEPTH = 64
# Before parsing, the signs `[ { , :` are counted, of which each value and each key follows one.
# CPython 3.11 to 3.14 takes up to 125 bytes a sign (an object of one new key, or an entry of two
# short strings), so a million of them stay under 125 MB.
MAX_SIGNS = 1_000_000
# of a list of records, which are taken out of it one by one
MAX_LIST_SIGNS = 4 * MAX_SIGNS
_ONE_A_LINE = "give one record a line: jq -c '.[]' FILE"
# One character outside of ASCII makes Python keep the whole text in 2 or 4 bytes a character
MAX_TEXT_BYTES = 65 << 20
_SIGNS = (b"[", b"{", b",", b":")
_BLANKS = " \t\r\n"
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


def read_records(stream: IO[bytes], *, max_record_bytes: int) -> Iterator[Entry]:
    """Read the JSON values of a stream: of one list its items, else one a line (JSON Lines), else
    the one value.

    Of JSON Lines one record is in memory, of a list its text. Raises `Unreadable` for the whole,
    also after some entries; a broken line of JSON Lines is the `fault` of its entry.
    """
    decoder = Decoder(note_doubled=True)
    lines = ((number, line) for number, line in _lines(stream) if line.strip(_BLANKS))
    number, line = next(lines, (0, ""))
    if not number:
        raise Unreadable("is empty")
    is_list = line.lstrip(_BLANKS)[0] == "["
    first = None if is_list else _entry(number, line, decoder, max_record_bytes)
    if first is None or not isinstance(first.value, dict):
        yield from _whole(number, line, lines, decoder, max_record_bytes)
        return
    is_alone = True
    for number, line in lines:
        if is_alone:
            yield first
        is_alone = False
        yield _entry(number, line, decoder, max_record_bytes)
    if is_alone:
        first.line = None
        yield first


def _lines(stream: IO[bytes]) -> Iterator[tuple[int, str]]:
    """Yield each line with its number."""
    import codecs

    piece = read_some(stream, _CHUNK_BYTES)
    decoder = codecs.getincrementaldecoder(encoding_of(piece))()
    number, rest, total = 0, "", 0
    while piece:
        total += len(piece)
        if total > MAX_STREAM_BYTES:
            raise too_large(MAX_STREAM_BYTES)
        *lines, rest = (rest + _decoded(decoder, piece)).split("\n")
        for line in lines:
            number += 1
            yield number, line
        if len(rest) > MAX_TEXT_BYTES:
            raise _list_too_large()
        piece = read_some(stream, _CHUNK_BYTES)
    yield number + 1, rest + _decoded(decoder, b"")


def _decoded(decoder: IncrementalDecoder, piece: bytes) -> str:
    try:
        return decoder.decode(piece, final=not piece)
    except UnicodeDecodeError:
        raise Unreadable("is not text") from None


def _entry(number: int, line: str, decoder: Decoder, max_record_bytes: int) -> Entry:
    """Read a line of JSON Lines."""
    if len(line) > max_record_bytes:
        raise _record_too_large(number, max_record_bytes)
    try:
        return Entry(number, decoder.parse(line), None, decoder)
    except Unreadable as error:
        return Entry(number, None, error, decoder)


def _whole(
    number: int,
    line: str,
    lines: Iterator[tuple[int, str]],
    decoder: Decoder,
    max_record_bytes: int,
) -> Iterator[Entry]:
    """Read the one value of a text whose first line is `line`, or the items of its list."""
    is_list = line.lstrip(_BLANKS)[0] == "["
    parts, size, last = [line], len(line), number
    for next_number, next_line in lines:
        # with the blank lines between, which count
        parts.append("\n" * (next_number - last) + next_line)
        size += len(parts[-1])
        last = next_number
        if size > (MAX_TEXT_BYTES if is_list else max_record_bytes):
            raise _list_too_large() if is_list else too_large(max_record_bytes)
    text = "".join(parts)
    try:
        if is_list:
            yield from _items(text, decoder, max_record_bytes)
        else:
            yield Entry(None, decoder.parse(text), None, decoder)
    except Unreadable as error:
        if error.line is not None:
            error.line += number - 1
        raise


def _items(text: str, decoder: Decoder, max_record_bytes: int) -> Iterator[Entry]:
    """Read the items of the list that the text is."""
    if (count := signs_in(text)) > MAX_LIST_SIGNS:
        error = too_many(count, MAX_LIST_SIGNS)
        error.remedy = _ONE_A_LINE
        raise error
    at = _after_blanks(text, text.index("[") + 1)
    number = 0
    while number or text[at : at + 1] != "]":
        value, end = decoder.parse_at(text, at)
        if end - at > max_record_bytes:
            raise _record_too_large(_line_at(text, at), max_record_bytes)
        yield Entry(None, value, None, decoder, place=f"[{number}]")
        number += 1
        at = _after_blanks(text, end)
        if text[at : at + 1] != ",":
            break
        at = _after_blanks(text, at + 1)
    if at >= len(text):
        raise cut_off(_line_at(text, at))
    if text[at] != "]":
        raise NoJSON("is not JSON: Expecting ',' delimiter", line=_line_at(text, at))
    at = _after_blanks(text, at + 1)
    if at < len(text):
        raise NoJSON("is not JSON: Extra data", line=_line_at(text, at))


def _after_blanks(text: str, start: int) -> int:
    blanks = _BLANK_RUN.match(text, start)
    return blanks.end() if blanks else start


def _line_at(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


def _record_too_large(line: int, max_bytes: int) -> Unreadable:
    return Unreadable(f"has a record of more than {max_bytes:,} bytes", line=line, kind=LARGE)


def _list_too_large() -> Unreadable:
    return Unreadable(f"is larger than {MAX_TEXT_BYTES:,} bytes", _ONE_A_LINE, kind=LARGE)
