"""Records in a stream of text: the beginning, the end and the line of each.

What goes in: the bytes of a file or of standard input. What comes out: a `RecordText` for each
record, in order. A stream holds one value of JSON, a list of records, or a record on each line
(JSON Lines). Lines are handed on as text, so that other processes can parse them.

A stream may be endless or damaged, so each part of it has a limit, and blank lines, of which a
damaged disk leaves millions, are counted rather than looked at one by one.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import IO

from ..core.files import (
    LARGE,
    MAX_SIGNS,
    MAX_TEXT_BYTES,
    Unreadable,
    encoding_of,
    object_of,
    parse_json,
    read_some,
    too_large,
)
from ..core.records import Record

# the bytes at the start of a text from which its kind is recognized
START_BYTES = 1 << 16
_CHUNK_BYTES = 1 << 20
# the most signs in a list of records
_MAX_LIST_SIGNS = 4 * MAX_SIGNS
_ONE_A_LINE = "give one record a line: jq -c '.[]' FILE"
_BLANKS = " \t\r\n"
_BEFORE_TEXT = f"\ufeff{_BLANKS}"
_BLANK_RUN = re.compile(f"[{_BLANKS}]*")
# takes how many records were read, and the total, which is None because it is not known
Tell = Callable[[float, float | None], None]


class Entry(Record):
    """A parsed record: its `value`, or the `fault` for which there is no value.

    A record has a `line`, or a `place` in a list (`[1]`). A record that is the whole file has
    neither.
    """

    value: object = None
    line: int | None = None
    place: str | None = None
    fault: Unreadable | None = None


class RecordText(Record):
    """A record of a stream: its `text`, or its `value` where the text was parsed to find the
    record.
    """

    text: str = ""
    value: object = None
    line: int | None = None
    place: str | None = None
    max_signs: int = MAX_SIGNS

    def entry(self) -> Entry:
        """Return the record, parsed. A broken record is an entry with a fault."""
        if not self.text:
            return Entry(value=self.value, line=self.line, place=self.place)
        try:
            value = parse_json(self.text, max_signs=self.max_signs, pairs=object_of)
        except Unreadable as error:
            return Entry(value=None, line=self.line, place=self.place, fault=error)
        return Entry(value=value, line=self.line, place=self.place)


def read_start(stream: IO[bytes]) -> bytes:
    """Return the first bytes of a stream, which tell what the stream holds."""
    return read_some(stream, START_BYTES)


def text_of_start(start: bytes) -> str:
    """The first bytes as text, from the first character that is not blank."""
    return start.decode(encoding_of(start), "ignore").lstrip(_BEFORE_TEXT)


def split_records(
    stream: IO[bytes],
    *,
    max_record_bytes: int,
    max_signs: int = MAX_SIGNS,
    start: bytes = b"",
) -> Iterator[RecordText]:
    """Yield the records of a stream that begins with `start`: the items of a list, the lines, or
    the one value.

    Raises `Unreadable` for the whole stream, perhaps after some records.
    """
    pieces = _pieces(stream, start)
    text = _first_text(pieces)
    filled = text.lstrip(_BLANKS)
    if not filled:
        raise Unreadable("is empty")
    if filled[0] == "[":
        list_text = _joined(text, pieces, MAX_TEXT_BYTES)
        items = parse_json(list_text, max_signs=_MAX_LIST_SIGNS, remedy=_ONE_A_LINE)
        for index, item in enumerate(items):
            yield RecordText(value=item, place=f"[{index}]")
        return
    if "\n" not in filled:
        # the rest of the first line
        text = _joined(text, pieces, MAX_TEXT_BYTES, ends_with_line=True)
    lines = _filled_lines(chain((text,), pieces))
    first = _line_record(*next(lines), max_record_bytes).entry()
    if not isinstance(first.value, dict):
        # a value of several lines, or no object; the lines read so far are still in `text`
        blank_characters = len(text) - len(text.lstrip(_BLANKS))
        text = _joined(text, pieces, blank_characters + max_record_bytes)
        yield RecordText(text=text, max_signs=max_signs)
        return
    second = next(lines, None)
    if second is None:
        yield RecordText(value=first.value)
        return
    yield RecordText(value=first.value, line=first.line)
    for number, line in chain((second,), lines):
        yield _line_record(number, line, max_record_bytes)


def text_lines(stream: IO[bytes]) -> Iterator[tuple[int, str]]:
    """Yield the lines of a stream that are not blank, each with its number. Raises `Unreadable`."""
    return _filled_lines(_pieces(stream, b""))


def _line_record(
    number: int,
    line: str,
    max_bytes: int,
) -> RecordText:
    """The record on a line. Raises `Unreadable` for a line that is too long to be a record."""
    if len(line) > max_bytes:
        reason = f"has a record of more than {max_bytes:,} bytes"
        raise Unreadable(reason, line=number, kind=LARGE)
    return RecordText(text=line, line=number)


def _pieces(stream: IO[bytes], start: bytes) -> Iterator[str]:
    """The text of a stream that begins with `start`, in pieces of about a megabyte."""
    start += read_some(stream, _CHUNK_BYTES)
    decode = codecs.getincrementaldecoder(encoding_of(start))().decode
    piece = start
    try:
        while piece:
            yield decode(piece)
            piece = read_some(stream, _CHUNK_BYTES)
        yield decode(b"", final=True)
    except UnicodeDecodeError:
        raise Unreadable("is not text") from None


def _first_text(pieces: Iterator[str]) -> str:
    """The first piece that is not blank, behind as many blank lines as the pieces before it have;
    "" where all pieces are blank. Raises `Unreadable` for more blank lines than a text may have.
    """
    blank_lines = 0
    for piece in pieces:
        if piece.strip(_BLANKS):
            return "".ljust(blank_lines, "\n") + piece
        blank_lines += piece.count("\n")
        if blank_lines > MAX_TEXT_BYTES:
            raise too_large(MAX_TEXT_BYTES)
    return ""


class _Parts:
    """Pieces of one text. Raises `Unreadable` where they have more than `most` characters, or would
    take more memory than a text may.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._pieces: list[str] = []
        self._characters = 0
        # a single character outside ASCII makes Python store the whole text in 2 or 4 bytes a
        # character
        self._bytes_per_character = 1

    def add(self, piece: str) -> None:
        self._pieces.append(piece)
        self._characters += len(piece)
        if self._characters > self._most:
            raise too_large(self._most, _ONE_A_LINE)
        if not piece.isascii():
            # the bytes that Python keeps of each character, by the highest one
            highest = max(piece)
            width = 1 if highest <= "\xff" else 2
            if highest > "\uffff":
                width = 4
            self._bytes_per_character = max(self._bytes_per_character, width)
        if self._characters * self._bytes_per_character > MAX_TEXT_BYTES:
            reason = f"takes more than {MAX_TEXT_BYTES >> 20} MiB as text"
            raise Unreadable(reason, _ONE_A_LINE, kind=LARGE)

    def text(self) -> str:
        return "".join(self._pieces)


def _joined(
    text: str,
    pieces: Iterator[str],
    most: int,
    *,
    ends_with_line: bool = False,
) -> str:
    """The text with the next pieces: all of them, or those up to the next end of a line."""
    parts = _Parts(most)
    parts.add(text)
    for piece in pieces:
        parts.add(piece)
        if ends_with_line and "\n" in piece:
            break
    return parts.text()


def _filled_lines(pieces: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, each with its number."""
    number = 1
    # the part read so far of a line that has not ended
    begun = _Parts(MAX_TEXT_BYTES)
    for piece in pieces:
        begun.add(piece)
        if "\n" not in piece:
            continue
        text = begun.text()
        position = 0
        while True:
            filled = _first_filled(text, position)
            line_start = max(position, text.rfind("\n", position, filled) + 1)
            number += text.count("\n", position, line_start)
            end = text.find("\n", filled)
            if end < 0:
                begun = _Parts(MAX_TEXT_BYTES)
                begun.add(text[line_start:])
                break
            yield number, text[line_start:end]
            position = end + 1
            number += 1
    last = begun.text()
    if last.strip(_BLANKS):
        yield number, last


def _first_filled(text: str, position: int) -> int:
    """The place of the first character from `position` on that is not blank, or the end of the
    text.
    """
    blanks = _BLANK_RUN.match(text, position)
    return len(text) if blanks is None else blanks.end()
