"""JSON that nobody vouches for; what it may hold is counted before it is parsed."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from typing import IO, Any

from .files import LARGE, Unreadable, encoding_of, read_some, too_large

# deeper is nobody's record; Python's own limit differs from version to version
MAX_DEPTH = 64
# Before parsing, the signs `[ { , :` are counted, of which each value and each key follows one.
# CPython 3.11 to 3.14 takes up to 125 bytes a sign (an object of one new key, or an entry of two
# short strings), so a million of them stay under 125 MB.
MAX_SIGNS = 1_000_000
# of a list of records
_MAX_LIST_SIGNS = 4 * MAX_SIGNS
_ONE_A_LINE = "give one record a line: jq -c '.[]' FILE"
# One character outside of ASCII makes Python keep the whole text in 2 or 4 bytes a character
MAX_TEXT_BYTES = 128 << 20
_BLANKS = " \t\r\n"
_CHUNK_BYTES = 1 << 20


def parse(
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


class Entry:
    """A record of many: its value, or its `fault`; its `line`, or its `place` in a list, `[1]`."""

    def __init__(
        self,
        value: Any = None,
        *,
        line: int | None = None,
        fault: Unreadable | None = None,
        place: str | None = None,
    ) -> None:
        self.value, self.line, self.fault, self.place = value, line, fault, place


def read_records(
    stream: IO[bytes], *, max_record_bytes: int, max_signs: int = MAX_SIGNS, start: bytes = b""
) -> Iterator[Entry]:
    """Read the JSON values of a stream, of which `start` is read already: of one list its items,
    else one a line (JSON Lines, of which one is in memory), else the one value. Raises `Unreadable`
    for the whole, also after some entries; a broken line is the `fault` of its entry.
    """
    lines = enumerate(_lines(stream, start), 1)
    filled = ((number, line) for number, line in lines if line.strip(_BLANKS))
    number, first = next(filled, (0, ""))
    if not number:
        raise Unreadable("is empty")
    is_list = first.lstrip(_BLANKS)[0] == "["
    entry = Entry() if is_list else _entry(number, first, max_record_bytes)
    if isinstance(entry.value, dict):
        second = next(filled, None)
        entry.line = number if second else None
        yield entry
        for number, line in chain(filter(None, [second]), filled):
            yield _entry(number, line, max_record_bytes)
        return
    # a list, a value of several lines, or no object
    most = MAX_TEXT_BYTES if is_list else max_record_bytes
    parts, size = ["\n" * (number - 1) + first], len(first)
    for _, line in lines:
        parts.append(line)
        size += len(line) + 1
        if size > most:
            raise too_large(most, _ONE_A_LINE)
    text = "\n".join(parts)
    if is_list:
        items = parse(text, max_signs=_MAX_LIST_SIGNS, remedy=_ONE_A_LINE)
        yield from (Entry(item, place=f"[{index}]") for index, item in enumerate(items))
    else:
        yield Entry(parse(text, max_signs=max_signs))


def _lines(stream: IO[bytes], start: bytes) -> Iterator[str]:
    start += read_some(stream, _CHUNK_BYTES)
    decoder, rest, piece = codecs.getincrementaldecoder(encoding_of(start))(), "", start
    try:
        while piece:
            *lines, rest = (rest + decoder.decode(piece)).split("\n")
            yield from lines
            if len(rest) > MAX_TEXT_BYTES:
                raise too_large(MAX_TEXT_BYTES, _ONE_A_LINE)
            piece = read_some(stream, _CHUNK_BYTES)
        yield rest + decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise Unreadable("is not text") from None


def _entry(number: int, line: str, most: int) -> Entry:
    if len(line) > most:
        reason = f"has a record of more than {most:,} bytes"
        raise Unreadable(reason, line=number, kind=LARGE)
    try:
        return Entry(parse(line), line=number)
    except Unreadable as error:
        return Entry(line=number, fault=error)
