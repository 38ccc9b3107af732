"""What a person reads, as blocks, and their layout into lines of any width.

Every answer for people is a `Document`; `plain` prints it as text, `markup` as Markdown and HTML.
Widths count characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TextIO

from ..core.records import Record

# what a pipe or terminal may not be able to encode, and what says the same in ASCII
_ASCII = {
    "×": "x", "…": "...", "–": "-", "—": "-", "−": "-", "≥": ">=", "≤": "<=", "→": "->", "·": "*",
    "•": "*", "≈": "~", "✓": "+", "✗": "x", "‘": "'", "’": "'", "“": '"', "”": '"',
    "━": "#", "─": "-", "╍": "!",
}  # fmt: skip
BAR_WIDTH, _NARROW_BAR = 20, 8
# below this width bars are drawn narrow
_NARROW = 76
# a wrapping column gives way to the first before others are dropped, then to the second
_COMFORTABLE, _LEAST = 24, 12
_GAP = 2
_COMMENT = "# "
# GitHub takes `::name` at a line's start for a command; `##[` is GitHub's and `##vso[` Azure's
# wherever they stand; inside a word of a program, `std::vector`, it is none
_CI_COMMAND = r"(?<![\w:])::(?=[A-Za-z])|##(?=\w*\[)"
# what stands on one line: a command in backquotes, a quoted name, a number with its unit, a word
_UNITS = (
    r"(?:[kKMGT]i?B(?:/s)?|tokens/s|kWh|in|out"
    r"|(?:byte|token|second|minute|hour|day|core|GPU|sequence|model|machine)s?)"
)
_WORD = rf"`[^`]+`\S*|'[^'\s][^']*'(?!\w)\S*|[(~$]*\d[\d.,-]* {_UNITS}[.,;:)]*(?!\S)|\S+"
# the escape codes of the terminal's own colours; yellow and cyan colour single words and bars only
_COLOURS = {
    "strong": "1", "command": "1", "local": "1;32", "api": "1;33", "neither": "1;31",
    "pass": "32", "warn": "33", "fail": "31", "unknown": "36",
}  # fmt: skip

Line = list[tuple[str, str]]


class Span(Record):
    """Text in one style: "", "strong", "command", or an outcome or route word."""

    text: str
    style: str = ""


class Bar(Record):
    """A need against what there is, drawn on terminals only, and words shown everywhere."""

    needs: float
    has: float
    style: str
    label: str = ""

    @property
    def text(self) -> str:
        """The words alone."""
        return self.label


class Paragraph(Record):
    """Spans that wrap at `indent`, further lines at `indent + hang`.

    `verbatim` is never wrapped, so that it can be copied, unless it is a comment of the shell.
    """

    spans: tuple[Span, ...]
    indent: int = 0
    hang: int = 0
    verbatim: bool = False


class Blank(Record):
    """An empty line; several in a row print as one, at either end as none."""


class Column(Record):
    """How a column gives way where the table is too wide.

    `drop`: columns leave the table from the highest number down; 0 and the first column stay.
    `wrap`: its cells may wrap. `cut`: its cells may be cut to so many characters; 0 for never.
    """

    title: str = ""
    right: bool = False
    wrap: bool = False
    drop: int = 0
    cut: int = 0


Cell = str | Span | Bar


class Table(Record):
    """Rows of one cell per column; where the width is too small, each row becomes a short list."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    indent: int = 2


Block = Paragraph | Blank | Table
BLANK = Blank()


class Document(Record):
    """Blocks from top to bottom."""

    blocks: tuple[Block, ...]


def line(*parts: Span | str, indent: int = 0, hang: int = 0) -> Paragraph:
    """Return a paragraph of spans and plain texts."""
    spans = tuple(Span(text=part) if isinstance(part, str) else part for part in parts if part)
    return Paragraph(spans=spans, indent=indent, hang=hang)


def say(text: str, *, indent: int = 0, hang: int = 0) -> Paragraph:
    """Return a sentence without style."""
    return Paragraph(spans=(Span(text=text),), indent=indent, hang=hang)


def strong(text: str) -> Span:
    """Return emphasized text."""
    return Span(text=text, style="strong")


def command_line(text: str, *, indent: int = 2) -> Paragraph:
    """Return a line to type, which is never wrapped."""
    return Paragraph(spans=(Span(text=text, style="command"),), indent=indent, verbatim=True)


def heading(title: str) -> tuple[Block, ...]:
    """Return an empty line and a title."""
    return BLANK, Paragraph(spans=(strong(title),))


def texts(lines: Iterable[str | None], *, indent: int = 2, hang: int = 2) -> Iterator[Block]:
    """Yield a sentence each; empty ones are left out."""
    for text in lines:
        if text:
            yield say(text, indent=indent, hang=hang)


def section(title: str, lines: Iterable[str | None]) -> Iterator[Block]:
    """Yield a title and its sentences; nothing where there is none."""
    if blocks := tuple(texts(lines)):
        yield from (*heading(title), *blocks)


def figures(rows: Iterable[tuple[str, str, str]], *, drop: int = 0, right: bool = False) -> Table:
    """Return a table of label, figure and note; `drop` is that of the notes' column."""
    cells = tuple((label, strong(figure), note) for label, figure, note in rows)
    columns = (Column(wrap=right), Column(right=right), Column(wrap=True, drop=drop))
    return Table(columns=columns, rows=cells)


def clean(text: str, encoding: str | None = None) -> str:
    """Return `text` on one line, safe to print.

    Escape sequences, bidirectional overrides, lone surrogates and commands of CI services become
    visible (`\\x1b`, `\\x3a`). Characters that `encoding` lacks are replaced by ASCII ones.
    """
    if not text.isprintable():
        text = "".join(map(_visible, text))
    if "::" in text or "##" in text:
        # regular expressions load slowly, and few texts need one
        import re

        text = re.sub(_CI_COMMAND, lambda match: f"\\x{ord(match[0][0]):02x}{match[0][1:]}", text)
    if encoding is None or text.isascii():
        return text
    try:
        "".encode(encoding)
    except LookupError:
        encoding = "ascii"
    return "".join(_encodable(letter, encoding) for letter in text)


def _visible(letter: str) -> str:
    if letter.isprintable():
        return letter
    if letter in " \t\n\r\v\f\xa0\u2028\u2029":
        return " "
    number = ord(letter)
    if number < 256:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 65536 else f"\\U{number:08x}"


def _encodable(letter: str, encoding: str) -> str:
    try:
        letter.encode(encoding)
        return letter
    except UnicodeEncodeError:
        return _ASCII.get(letter) or letter.encode("ascii", "backslashreplace").decode("ascii")


def plain(
    document: Document,
    width: int | None = None,
    *,
    encoding: str | None = None,
    bars: bool = False,
    color: bool = False,
) -> str:
    """Return the document as lines that end in a newline; escape codes only with `color`.

    Without `width` nothing is wrapped and tables stay aligned.
    """
    lines = []
    for parts in lay_out(document, width, encoding=encoding, bars=bars):
        for text, style in parts:
            code = _COLOURS.get(style, "") if color else ""
            lines.append(f"\x1b[{code}m{text}\x1b[0m" if code and text else text)
        lines.append("\n")
    return "".join(lines)


def lay_out(
    document: Document, width: int | None, *, encoding: str | None = None, bars: bool = False
) -> list[Line]:
    """Return lines of (text, style), none longer than `width` but a verbatim line or one word."""
    lines: list[Line] = []
    for block in document.blocks:
        if isinstance(block, Blank):
            if lines and lines[-1]:
                lines.append([])
        elif isinstance(block, Table):
            lines += filter(None, map(_trimmed, _table(block, width, encoding, bars)))
        else:
            lines += filter(None, map(_trimmed, _paragraph(block, width, encoding)))
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _trimmed(line: Line) -> Line:
    """Return the line without blanks at its end."""
    end = len(line)
    while end and not line[end - 1][0].strip():
        end -= 1
    return [*line[: end - 1], (line[end - 1][0].rstrip(), line[end - 1][1])] if end else []


def _paragraph(block: Paragraph, width: int | None, encoding: str | None) -> list[Line]:
    cell = [(clean(span.text, encoding), span.style) for span in block.spans]
    first, rest, lead = block.indent, block.indent + block.hang, ""
    if width is not None:
        # half of a narrow terminal must not go to indentation
        first, rest = min(first, width // 10), min(rest, width // 10 * 2)
    if width is None or _size(cell) <= width - first:
        return [[(" " * first, ""), *cell]]
    if block.verbatim:
        if not cell[0][0].startswith(_COMMENT):
            return [[(" " * first, ""), *cell]]
        # each line is a comment, so that what is copied still is one
        lead, rest = _COMMENT, first
        cell[0] = (cell[0][0].removeprefix(_COMMENT), cell[0][1])
    lines = _wrap(cell, width - first - len(lead), width - rest - len(lead))
    return [
        [(" " * (rest if at else first) + lead, cell[0][1] if lead else ""), *part]
        for at, part in enumerate(lines)
    ]


def _wrap(cell: Line, first: int, rest: int, *, splits_words: bool = False) -> list[Line]:
    """Return the cell in lines of `first`, then `rest` characters, broken between words.

    A longer word stands alone; with `splits_words` it is split too.
    """
    text = "".join(part for part, _ in cell)
    ends: list[tuple[int, int]] = []
    start = end = 0
    for begin, stop in _pieces(text, rest, splits_words):
        if end > start and stop - start > (rest if ends else first):
            ends.append((start, end))
            start = begin
        end = stop
    return [_part(cell, *pair) for pair in (*ends, (start, end))]


def _pieces(text: str, room: int, splits_words: bool) -> Iterator[tuple[int, int]]:
    """Yield start and end of all that is not broken."""
    import re

    for word in re.finditer(_WORD, text):
        if word.end() - word.start() <= room:
            yield word.span()
            continue
        for part in re.compile(r"\S+").finditer(text, *word.span()):
            start, end = part.span()
            while splits_words and end - start > room:
                # after its punctuation, unless that is near its start
                cut = max(text.rfind(mark, start, start + room) for mark in "/-_:.,@=") + 1
                cut = cut if cut > start + room // 3 else start + room
                yield start, cut
                start = cut
            yield start, end


def _part(cell: Line, start: int, end: int) -> Line:
    parts, at = [], 0
    for text, style in cell:
        if part := text[max(0, start - at) : max(0, end - at)]:
            parts.append((part, style))
        at += len(text)
    return parts


def _size(cell: Line) -> int:
    return sum(len(text) for text, _ in cell)


def _table(table: Table, width: int | None, encoding: str | None, bars: bool) -> Iterator[Line]:
    indent = table.indent if width is None else min(table.indent, width // 10)
    room = None if width is None else width - indent
    bar_width = bars * (_NARROW_BAR if room is not None and room < _NARROW else BAR_WIDTH)
    titles: list[Line] = [[(clean(column.title, encoding), "")] for column in table.columns]
    rows = [[_cell(cell, encoding, bar_width) for cell in row] for row in table.rows]
    sizes = _widths(titles, rows)
    shown = list(sizes)
    if room is not None and not _fits(table.columns, sizes, room):
        for each in table.rows:
            cells = {at: _cell(each[at], encoding, 0) for at in shown}
            yield from _stacked(cells, titles, room, indent)
        return
    if any(titles[at][0][0] for at in sizes):
        rows.insert(0, titles)
    for row in rows:
        yield from _row(table.columns, sizes, row, indent, encoding)


def _widths(titles: Sequence[Line], rows: Sequence[Sequence[Line]]) -> dict[int, int]:
    """The width of each column in any width; one with nothing in it is not shown."""
    sizes = {}
    for at, title in enumerate(titles):
        widest = max((_size(row[at]) for row in rows), default=0)
        if widest or at == 0:
            sizes[at] = max(_size(title), widest)
    return sizes


def _cell(cell: Cell, encoding: str | None, bar_width: int) -> Line:
    if isinstance(cell, str):
        return [(clean(cell, encoding), "")]
    label = clean(cell.text, encoding)
    if isinstance(cell, Span) or not bar_width or not max(cell.needs, cell.has) > 0:
        return [(label, cell.style)]
    # what is taken of what there is; where it does not fit, what is missing: a need is never drawn
    # as nothing, a shortfall or a margin neither
    part = min(cell.needs, cell.has) / max(cell.needs, cell.has)
    filled = min(max(round(part * bar_width), 1), bar_width - (part < 1)) if part > 0 else 0
    mark, style = ("╍", cell.style) if cell.needs > cell.has else ("─", "")
    rest = clean(mark * (bar_width - filled), encoding)
    drawn = [(clean("━" * filled, encoding), cell.style), (rest, style)]
    return [*drawn, (" " * _GAP, ""), (label, cell.style)] if label else drawn


def _total(sizes: Mapping[int, int]) -> int:
    return sum(sizes.values()) + _GAP * (len(sizes) - 1)


def _fits(columns: Sequence[Column], sizes: dict[int, int], room: int) -> bool:
    """Narrow `sizes` to `room`: drop columns, then shrink those that wrap or are cut."""
    for comfort in (_COMFORTABLE, _LEAST):
        least = {
            at: min(size, columns[at].cut or (comfort if columns[at].wrap else size))
            for at, size in sizes.items()
        }
        for at in sorted(sizes, key=lambda at: -columns[at].drop):
            if at and columns[at].drop and comfort == _COMFORTABLE and _total(least) > room:
                del sizes[at], least[at]
        while _total(sizes) > room and (wide := [at for at in sizes if sizes[at] > least[at]]):
            sizes[max(wide, key=lambda at: sizes[at])] -= 1
    return _total(sizes) <= room


def _row(
    columns: Sequence[Column],
    sizes: Mapping[int, int],
    row: list[Line],
    indent: int,
    encoding: str | None,
) -> Iterator[Line]:
    """Yield one row; several lines where a cell wraps."""
    lines = []
    for at, size in sizes.items():
        cell = _cut(row[at], size, encoding) if columns[at].cut else row[at]
        is_long = _size(cell) > size
        lines.append(_wrap(cell, size, size, splits_words=True) if is_long else [cell])
    for parts in zip_longest(*lines, fillvalue=[]):
        line: Line = [(" " * indent, "")]
        for (at, size), part in zip(sizes.items(), parts, strict=True):
            padding = " " * (size - _size(part))
            line += [(padding, ""), *part] if columns[at].right else [*part, (padding, "")]
            line.append((" " * _GAP, ""))
        yield line


def _cut(cell: Line, size: int, encoding: str | None) -> Line:
    text, style = cell[0]
    if len(text) <= size:
        return cell
    # whole parts of a list say more than the start of a word
    end = text.rfind(", ", 0, size + 1)
    mark = clean("…", encoding)
    return [(text[:end] if end > 0 else text[: size - len(mark)].rstrip() + mark, style)]


def _stacked(
    cells: Mapping[int, Line], titles: Sequence[Line], room: int, indent: int
) -> Iterator[Line]:
    """Yield a row as a list: cells without a title on one line, under it the others with theirs."""
    step = min(2, room // 10)
    filled = [at for at, cell in cells.items() if _size(cell)]
    # what a sign stands before is on its line
    count = 2 if filled and _size(cells[filled[0]]) == 1 else 1
    named = [at for at in filled[count:] if _size(titles[at])]
    head = [part for at in filled[:count] for part in (*cells[at], (" ", ""))][:-1]
    for number, at in enumerate(at for at in filled[count:] if at not in named):
        head += [(", " if number else ": ", ""), *cells[at]]
    entries = [
        (head, indent),
        *(([*titles[at], (": ", ""), *cells[at]], indent + step) for at in named),
    ]
    for entry, start in entries:
        left = room + indent - start
        for number, part in enumerate(_wrap(entry, left, left - step)):
            yield [(" " * (start + (step if number else 0)), ""), *part]


def print_document(
    document: Document, file: TextIO, width: int | None, color: bool, *, bars: bool = True
) -> None:
    """Write the document in `width` columns; without a width nothing is wrapped and no bar drawn.

    The caller decides about `color` (NO_COLOR, FORCE_COLOR, TERM=dumb). OSError of the stream
    passes through.
    """
    encoding = getattr(file, "encoding", None) or "utf-8"
    has_bars = bars and width is not None
    file.write(plain(document, width, encoding=encoding, bars=has_bars, color=color))
