"""A JSON text of any length, read part by part: memory is that of one part, whatever the length.

A caller names the lists and objects that may be long; their items come one by one. Everything else
comes whole. Several documents may follow each other, one a line or not, or be the items of one
list. Nobody vouches for the text: what is wrong with it is an `Unreadable` with its line.
"""

from __future__ import annotations

from .json_text import MAX_SIGNS, Decoder, NoJSON, cut_off, signs_in, too_many
from .reading import Unreadable, encoding_of, read_some, too_large
from .records import pattern

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import IO, Any

    Path = tuple[str, ...]

# stands in a path for every item of a list
ITEM = "[]"
_CHUNK_BYTES = 1 << 20
_BLANK_RUN = pattern(r"[ \t\r\n]*")
_AFTER_VALUE = frozenset(" \t\r\n,:]}")
_AS_UTF_8 = "write it as UTF-8: `iconv -f LATIN1 -t UTF-8 FILE`"
# what most objects with a name twice have: more would be kept for nothing
_MAX_KEY = 4096


class Part:
    """One part of a document.

    `path` leads to it from the top, `("items", "[]")`; None ends a document, after its last part.
    `is_opened`: a list or object whose own parts follow, so that `value` is None. `line` counts
    from 1, `place` is how many characters of the text lie before its end. `doubled` are keys that
    stand twice in one object of it, `more_doubled` counts others.
    """

    __slots__ = ("doubled", "is_opened", "line", "more_doubled", "path", "place", "value")

    def __init__(
        self,
        path: Path | None,
        line: int,
        value: Any = None,
        *,
        is_opened: bool = False,
        doubled: Sequence[str] = (),
        more_doubled: int = 0,
        place: int = 0,
    ) -> None:
        self.place = place
        self.path, self.line, self.value, self.is_opened = path, line, value, is_opened
        self.doubled, self.more_doubled = doubled, more_doubled


class Text:
    """A text that is looked at piece by piece, from its first sign that is no blank.

    `max_bytes` holds for the whole, `max_part_bytes` for what is looked at without moving on.
    """

    def __init__(self, stream: IO[bytes], *, max_bytes: int, max_part_bytes: int) -> None:
        import codecs

        self._stream, self._max_bytes, self.max_part_bytes = stream, max_bytes, max_part_bytes
        self._window, self._at = "", 0
        self._line, self._counted_at = 1, 0
        self._is_ended = False
        self._bytes_read = 0
        self._forgotten = 0
        start = read_some(stream, _CHUNK_BYTES)
        self._decoder = codecs.getincrementaldecoder(encoding_of(start))()
        self._add(start)

    @property
    def line(self) -> int:
        """The line of the place where the text stands."""
        self._line += self._window.count("\n", self._counted_at, self._at)
        self._counted_at = self._at
        return self._line

    @property
    def place(self) -> int:
        """How many characters of the text lie before the place where it stands."""
        return self._forgotten + self._at

    def start(self, length: int) -> str:
        """So many characters at most from where the text stands, of those that were read."""
        return self._window[self._at : self._at + length]

    def sign(self) -> str:
        """Move to the next character that is no blank, and give it; "" at the end."""
        while True:
            run = _BLANK_RUN.match(self._window, self._at)
            self._at = run.end() if run else self._at
            if self._at < len(self._window):
                return self._window[self._at]
            if not self._more():
                return ""

    def skip(self) -> None:
        """Move behind the sign."""
        self._at += 1

    def value(self, decoder: Decoder) -> Any:
        """The value that begins here; more is read until it is whole."""
        is_whole = True
        while True:
            line, length = self.line, len(self._window) - self._at
            if not is_whole:
                # one piece holds no more than a parser takes; what spans several may
                self._check_signs()
            try:
                value, end = decoder.parse_at(self._window, self._at)
            except NoJSON as error:
                if length <= self.max_part_bytes and self._more():
                    is_whole = False
                    continue
                if length > self.max_part_bytes:
                    raise self._part_too_large(line) from None
                before = self._window.count("\n", 0, self._at)
                error.line = line - before + (error.line or 1) - 1
                raise
            except Unreadable as error:
                error.line = line if error.line is None else error.line
                raise
            if end - self._at > self.max_part_bytes:
                raise self._part_too_large(line)
            # a number may go on behind the window, as after the point of `1.`
            if self._window[end : end + 1] in _AFTER_VALUE or not self._more():
                self._at = end
                return value

    def line_text(self) -> str | None:
        """The rest of the line, without its end; None at the end of the text."""
        looked_at = self._at
        while True:
            end = self._window.find("\n", looked_at)
            looked_at = len(self._window)
            length = (looked_at if end < 0 else end) - self._at
            if length > self.max_part_bytes:
                raise self._part_too_large(self.line)
            if end >= 0:
                text = self._window[self._at : end]
                self._at = end + 1
                return text
            before = self._at
            if not self._more():
                text, self._at = self._window[self._at :], len(self._window)
                return text or None
            looked_at -= before

    def _more(self) -> bool:
        """Read the next piece, and forget what lies before the place; False at the end."""
        if self._is_ended:
            return False
        self._add(read_some(self._stream, _CHUNK_BYTES))
        return True

    def _add(self, piece: bytes) -> None:
        self._bytes_read += len(piece)
        if self._bytes_read > self._max_bytes:
            raise too_large(self._max_bytes)
        self._is_ended = not piece
        line = self.line
        try:
            decoded = self._decoder.decode(piece, self._is_ended)
        except UnicodeDecodeError:
            raise Unreadable("is not text", _AS_UTF_8, line=None) from None
        if "\0" in decoded:
            raise Unreadable("is not text", _AS_UTF_8, line=None)
        self._forgotten += self._at
        self._window = self._window[self._at :] + decoded
        self._at = self._counted_at = 0
        self._line = line

    def _check_signs(self) -> None:
        """Raise `Unreadable` where the next value may hold more than a parser should be given."""
        count = signs_in(self._window[self._at : self._at + self.max_part_bytes])
        if count > MAX_SIGNS:
            raise too_many(count, MAX_SIGNS)

    def _part_too_large(self, line: int) -> Unreadable:
        return Unreadable(
            f"has a part of more than {self.max_part_bytes:,} bytes, or one that does not end",
            line=line,
        )


def parts_of(value: Any, opens: Callable[[Path], bool], line: int) -> Iterator[Part]:
    """The parts of one document that was parsed already, as `read_parts` gives them."""
    waiting: list[tuple[Path, Any]] = [((), value)]
    while waiting:
        path, part = waiting.pop()
        is_opened = isinstance(part, dict | list) and (opens(path) if path else True)
        if not is_opened:
            yield Part(path, line, part)
            continue
        yield Part(path, line, is_opened=True)
        if isinstance(part, dict):
            waiting += reversed([((*path, key), inner) for key, inner in part.items()])
        else:
            waiting += reversed([((*path, ITEM), inner) for inner in part])
    yield Part(None, line)


class _Open:
    """A list or object whose parts are given one by one: the sign that closes it, and its keys."""

    __slots__ = ("closing", "keys", "path")

    def __init__(self, path: Path, closing: str) -> None:
        self.path, self.closing = path, closing
        self.keys: set[str] = set()


def read_parts(text: Text, opens: Callable[[Path], bool]) -> Iterator[Part]:
    """The parts of each document of a text, and after each document a part without a path.

    `opens` says of a path whether a list or object there is given part by part. Objects at the top
    always are. A list at the top is a list of documents. Raises `Unreadable`, also after parts.
    """
    decoder = Decoder(note_doubled=True)
    while sign := text.sign():
        if sign != "[":
            yield from _document(text, decoder, opens)
            continue
        yield Part((), text.line, is_opened=True)
        text.skip()
        is_first = True
        while _has_next(text, "]", is_first=is_first):
            is_first = False
            yield from _document(text, decoder, opens)


def _has_next(text: Text, closing: str, *, is_first: bool) -> bool:
    """Move to the next item of a list or object, behind its comma, or behind its end."""
    sign = text.sign()
    if sign == closing:
        text.skip()
        return False
    if is_first:
        return True
    if not sign:
        raise cut_off(text.line)
    if sign != ",":
        raise NoJSON("is not JSON: Expecting ',' delimiter", line=text.line)
    text.skip()
    return True


def _document(text: Text, decoder: Decoder, opens: Callable[[Path], bool]) -> Iterator[Part]:
    path: Path | None = ()
    stack: list[_Open] = []
    while path is not None:
        sign, line = text.sign(), text.line
        is_opened = sign != "" and sign in "{[" and (opens(path) if path else sign == "{")
        if is_opened:
            text.skip()
            stack.append(_Open(path, "}" if sign == "{" else "]"))
            yield Part(path, line, is_opened=True, place=text.place)
        else:
            value = text.value(decoder)
            yield Part(
                path,
                line,
                value,
                doubled=decoder.doubled,
                more_doubled=decoder.more_doubled,
                place=text.place,
            )
        path = _next(text, decoder, stack, is_first=is_opened)
    yield Part(None, text.line)


def _next(text: Text, decoder: Decoder, stack: list[_Open], *, is_first: bool) -> Path | None:
    """The path of the next part, where the text then stands; None behind the document."""
    while stack:
        innermost = stack[-1]
        if not _has_next(text, innermost.closing, is_first=is_first):
            stack.pop()
            is_first = False
        elif innermost.closing == "]":
            return (*innermost.path, ITEM)
        else:
            return (*innermost.path, _key(text, decoder, innermost.keys))
    return None


def _key(text: Text, decoder: Decoder, keys: set[str]) -> str:
    line = text.line
    sign = text.sign()
    if not sign:
        raise cut_off(text.line)
    if sign != '"':
        raise NoJSON(
            "is not JSON: Expecting property name enclosed in double quotes", line=text.line
        )
    key: str = text.value(decoder)
    if len(key) > _MAX_KEY:
        raise Unreadable(f"has a key of more than {_MAX_KEY:,} characters", line=line)
    if key in keys:
        raise Unreadable(f'has "{_printable(key)}" twice in one object', "keep one", line=line)
    keys.add(key)
    sign = text.sign()
    if not sign:
        raise cut_off(text.line)
    if sign != ":":
        raise NoJSON("is not JSON: Expecting ':' delimiter", line=text.line)
    text.skip()
    return key


def _printable(key: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in key[:60])
