"""What a person reads, as blocks; and their layout into lines, for a pipe and for a terminal of any
width.

A Document is laid out once (`lay_out`): `plain` joins the lines, `terminal.print_document` colours
them. Widths count characters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest

from ..core.records import Record, pattern

# what a pipe or terminal may not be able to encode, and what says the same in ASCII
_ASCII = {
    "×": "x", "…": "...", "–": "-", "—": "-", "−": "-", "≥": ">=", "≤": "<=", "→": "->", "·": "*",
    "•": "*", "≈": "~", "✓": "+", "✗": "x",
    "‘": "'", "’": "'", "“": '"', "”": '"',
}  # fmt: skip
# bars: taken, free, missing
_BAR, _ASCII_BAR = ("━", "─", "╍"), ("#", "-", "!")
BAR_WIDTH, _LEAST_BAR = 20, 8
# below this width bars are drawn narrow
_NARROW = 76
# a wrapping column gives way down to the first before other columns are folded away, then down to
# the second
_COMFORTABLE, _LEAST = 24, 12
_GAP = 2

# GitHub takes `::name` at a line's start for a command, blanks before it or not, and any word may
# begin a line; `##[` is GitHub's and `##vso[` Azure's wherever they stand
# inside a word of a program, `std::vector`, it is none
_CI_COMMAND = pattern(r"(?<![\w:])::(?=[A-Za-z])|##(?=\w*\[)")

# a number is not parted from its unit at a line's end: `22.0 GiB`, `~3.8 tokens/s`, `$2.50 in`
_BYTES = ("kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB")
_COUNTED = (
    "byte",
    "token",
    "second",
    "minute",
    "hour",
    "day",
    "core",
    "GPU",
    "sequence",
    "model",
    "machine",
)
_UNITS = frozenset(
    (
        *_BYTES,
        *(f"{unit}/s" for unit in _BYTES),
        *_COUNTED,
        *(f"{unit}s" for unit in _COUNTED),
        "tokens/s",
        "kWh",
        "in",
        "out",
    )
)
# what may follow a unit or a quote
_CLOSING = ".,;:)"

Line = list[tuple[str, str]]
_END = "\n", ""


class Span(Record):
    """Text in one style: "", "strong", "command", or an outcome or route word. Control
    characters are neutralised on layout.
    """

    text: str
    style: str = ""


class Bar(Record):
    """A need against what there is, both in the same unit, and a few words behind it; the bar is
    drawn on terminals only, the words everywhere.
    """

    needs: float
    has: float
    style: str
    label: str = ""


class Paragraph(Record):
    """Spans that wrap at `indent`, further lines at `indent + hang`; `verbatim` is never
    wrapped, so that it can be copied, unless it is a comment of the shell.
    """

    spans: tuple[Span, ...]
    indent: int = 0
    hang: int = 0
    verbatim: bool = False


class Blank(Record):
    """An empty line; several in a row, and one at either end, print as one or none."""


class Column(Record):
    """How a column gives way where the table is too wide.

    `drop`: columns leave the table from the highest number down; 0 stays, as does the first
    column. `wrap`: its cells may wrap. `cut`: its cells may be cut to so
    many characters, and end in an ellipsis; 0 for never. `most`: longer cells wrap at so many
    characters everywhere, so that one of them does not push the next column away; 0 for never.
    `joins`: where there is no room for it, its cells follow those of the column before, after a
    comma and without a bar.
    """

    title: str = ""
    right: bool = False
    wrap: bool = False
    drop: int = 0
    cut: int = 0
    most: int = 0
    joins: bool = False


class Table(Record):
    """Rows of one cell per column. Where columns cannot be dropped and wrapped enough, each row
    becomes a short list.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Span | Bar, ...], ...]
    indent: int = 2


Block = Paragraph | Blank | Table


class Document(Record):
    """Blocks from top to bottom."""

    blocks: tuple[Block, ...]


def clean(text: str, encoding: str | None = None) -> str:
    """`text` on one line, safe to print: escape sequences, bidirectional overrides, lone
    surrogates and what a CI service takes for a command become visible (`\\x1b`, `\\x3a`).

    With an `encoding` the characters it lacks are replaced by what says the same in ASCII, or else
    by their escapes.
    """
    if not text.isprintable():
        text = "".join(_visible(letter) for letter in text)
    if "::" in text or "##" in text:
        text = _CI_COMMAND.sub(lambda match: f"\\x{ord(match[0][0]):02x}{match[0][1:]}", text)
    if encoding is None or text.isascii():
        return text
    try:
        text.encode(encoding)
        return text
    except LookupError:
        encoding = "ascii"
    except UnicodeEncodeError:
        pass
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
    document: Document, width: int | None = None, *, encoding: str | None = None, bars: bool = False
) -> str:
    """The document without colour, each line ended by a newline. `width` None: nothing is wrapped,
    tables stay aligned.

    `encoding` is the stream's; None keeps every character.
    """
    lines = lay_out(document, width, encoding=encoding, bars=bars)
    return "".join([text for line in lines for text, _ in (*line, _END)])


def lay_out(
    document: Document, width: int | None, *, encoding: str | None = None, bars: bool = False
) -> list[Line]:
    """The document as lines of (text, style), none longer than `width` unless a single word or
    a verbatim line is.
    """
    lines: list[Line] = []
    for block in document.blocks:
        if isinstance(block, Blank):
            if lines and lines[-1]:
                lines.append([])
        else:
            laid_out = (
                _table(block, width, encoding, bars)
                if isinstance(block, Table)
                else _paragraph(block, width, encoding)
            )
            lines.extend(line for line in map(_trimmed, laid_out) if line)
    while lines and not lines[-1]:
        lines.pop()
    return lines


# of the shell
_COMMENT = "# "


def _paragraph(block: Paragraph, width: int | None, encoding: str | None) -> list[Line]:
    pieces = [(clean(span.text, encoding), span.style) for span in block.spans]
    first, rest = block.indent, block.indent + block.hang
    if width is not None:
        # half of a narrow terminal must not go to indentation
        first, rest = min(first, width // 10), min(rest, width // 10 * 2)
    if width is None or _size(pieces) <= width - first:
        return [_indented(pieces, first)]
    if block.verbatim and not pieces[0][0].startswith(_COMMENT):
        return [_indented(pieces, first)]
    if block.verbatim:
        # each line is a comment of its own, so that what is copied still is one
        mark, style = (_COMMENT, pieces[0][1])
        body = [(pieces[0][0].removeprefix(_COMMENT), style), *pieces[1:]]
        room = width - first - len(_COMMENT)
        return [_indented([(mark, style), *line], first) for line in _wrap(body, room, room)]
    wrapped = _wrap(pieces, width - first, width - rest)
    return [_indented(line, rest if number else first) for number, line in enumerate(wrapped)]


def _trimmed(line: Line) -> Line:
    """The line without spaces at its end."""
    if line and line[-1][0].rstrip() == line[-1][0] != "":
        return line
    end = len(line)
    while end and not line[end - 1][0].rstrip():
        end -= 1
    return [*line[: end - 1], (line[end - 1][0].rstrip(), line[end - 1][1])] if end else []


def _indented(line: Line, indent: int) -> Line:
    return [(" " * indent, ""), *line] if indent else line


def _wrap(pieces: Line, first: int, rest: int) -> list[Line]:
    """Pieces broken at spaces into lines of `first`, then `rest` characters; a longer word stands
    alone.

    A command between backquotes stays on one line where one line can hold it, and a number beside
    its unit.
    """
    lines: list[Line] = []
    line: Line = []
    used = 0
    for word in _words(pieces, rest):
        size = _size(word)
        if line and used + 1 + size > (rest if lines else first):
            lines.append(line)
            line, used = [], 0
            if not word[0][0].strip():
                word = word[1:]
                size = _size(word)
        if line:
            line.append(_space(line[-1], word[0]))
            used += 1
        line.extend(word)
        used += size
    return [*lines, line]


def _space(before: tuple[str, str], after: tuple[str, str]) -> tuple[str, str]:
    """A space between two words: one style across it keeps a coloured phrase in one piece."""
    return " ", before[1] if before[1] == after[1] else ""


def _words(pieces: Line, longest: int) -> list[Line]:
    """The words, each with the spaces before it that are more than one."""
    words: list[Line] = []
    word: Line = []
    quoted: list[Line] = []
    gap = ""
    for text, style in pieces:
        for number, part in enumerate(text.split(" ")):
            if number and word:
                quoted.append(word)
                word = []
                if sum(piece.count("`") for whole in quoted for piece, _ in whole) % 2 == 0:
                    words.extend(_glued(quoted, longest))
                    quoted = []
            elif number and (words or quoted):
                gap += " "
            if part:
                if gap and not word:
                    word.append((gap, ""))
                gap = ""
                word.append((part, style))
    words += _glued([*quoted, word] if word else quoted, longest)
    return _with_units(_with_quotes(words, longest), longest)


def _with_quotes(words: list[Line], longest: int) -> list[Line]:
    """The same with what stands between single quotes in one, `--gpu 'RTX 4090'`."""
    kept: list[Line] = []
    for word in words:
        start = next((at for at, each in enumerate(kept) if _opens_quote(each)), None)
        kept.append(word)
        if start is not None and _ends_quote(word):
            kept[start:] = _glued(kept[start:], longest)
    return kept


def _opens_quote(word: Line) -> bool:
    """Whether a quote begins with the word, and does not end in it."""
    return word[0][0].startswith("'") and not _ends_quote(word)


def _ends_quote(word: Line) -> bool:
    return word[-1][0].rstrip(_CLOSING).endswith("'")


def _with_units(words: list[Line], longest: int) -> list[Line]:
    """The same with each unit glued to the number before it."""
    kept: list[Line] = []
    for word in words:
        if kept and _is_unit(word[0][0]) and _is_number(kept[-1][-1][0]):
            kept[-1:] = _glued([kept[-1], word], longest)
        else:
            kept.append(word)
    return kept


def _is_unit(word: str) -> bool:
    return word.rstrip(_CLOSING) in _UNITS


def _is_number(word: str) -> bool:
    """Whether it is a number or two ends, `~3.8`, `($2.50`, `0.6-13`."""
    digits = word.lstrip("(~$")
    return digits[:1].isdigit() and not digits.strip("0123456789.,-")


def _glued(words: list[Line], longest: int) -> list[Line]:
    """The words as one, if a line can hold it."""
    if sum(map(_size, words)) + len(words) - 1 > longest or len(words) < 2:
        return words
    whole = words[0]
    for word in words[1:]:
        whole = [*whole, _space(whole[-1], word[0]), *word]
    return [whole]


def _table(table: Table, width: int | None, encoding: str | None, bars: bool) -> list[Line]:
    indent = table.indent if width is None else min(table.indent, width // 10)
    room = None if width is None else width - indent
    cells = _cells(table, encoding, _bar_width(table, room) if bars else 0)
    titles = [clean(column.title, encoding) for column in table.columns]
    sizes = _widths(table, cells, titles)
    if room is not None and table.columns[-1].joins and _least_total(table, sizes) > room:
        return _table(_with_joined_cells(table), width, encoding, bars)
    if room is not None:
        _fit(table, sizes, cells, room, encoding)
        if _total(sizes) > room:
            return _stacked(list(sizes), _cells(table, encoding, 0), titles, room, indent)
    if any(titles[number] for number in sizes):
        cells = [[[(title, "")] for title in titles], *cells]
    return [line for row in cells for line in _row(table, sizes, row, indent)]


def _least_total(table: Table, sizes: Mapping[int, int]) -> int:
    """The width of a row whose wrapping cells are as narrow as is comfortable."""
    least = {
        number: min(size, _COMFORTABLE) if table.columns[number].wrap else size
        for number, size in sizes.items()
    }
    return _total(least)


def _with_joined_cells(table: Table) -> Table:
    """The table with its last column in the one before."""
    rows = []
    for *cells, before, last in table.rows:
        text = last.label if isinstance(last, Bar) else last.text
        assert isinstance(before, Span)
        joined = ", ".join(filter(None, (before.text, text)))
        rows.append((*cells, before.replace(text=joined)))
    return table.replace(columns=table.columns[:-1], rows=tuple(rows))


def _bar_width(table: Table, room: int | None) -> int:
    """Narrower bars where the width is small, so that the words beside them keep their place."""
    return BAR_WIDTH if room is None or room >= _NARROW else _LEAST_BAR


def _cells(table: Table, encoding: str | None, bar_width: int) -> list[list[Line]]:
    """The text of every cell; a bar is drawn `bar_width` wide, and left out where that is 0."""
    # a long table has the same cell in many rows
    text_of: dict[int, Line] = {}
    cells: list[list[Line]] = []
    for row in table.rows:
        texts = []
        for cell in row:
            text = text_of.get(id(cell))
            if text is None:
                text = text_of[id(cell)] = (
                    _labelled_bar(cell, bar_width, encoding)
                    if isinstance(cell, Bar)
                    else [(clean(cell.text, encoding), cell.style)]
                )
            texts.append(text)
        cells.append(texts)
    return cells


def _labelled_bar(bar: Bar, width: int, encoding: str | None) -> Line:
    drawn = _bar(bar, width, encoding) if width else []
    label = [(clean(bar.label, encoding), bar.style)] if bar.label else []
    return [*drawn, (" " * _GAP, ""), *label] if drawn and label else [*drawn, *label] or [("", "")]


def _widths(table: Table, cells: Sequence[Sequence[Line]], titles: Sequence[str]) -> dict[int, int]:
    """The width that each column would take in any width; a column with nothing in it is not
    shown.
    """
    widths: dict[int, int] = {}
    for number, column in enumerate(table.columns):
        sizes = [_size(row[number]) for row in cells]
        if number == 0 or any(sizes):
            width = max(len(titles[number]), *sizes, 0)
            widths[number] = min(width, column.most) if column.most else width
    return widths


def _fit(
    table: Table,
    sizes: dict[int, int],
    cells: list[list[Line]],
    room: int,
    encoding: str | None,
) -> None:
    """Narrow `sizes` to `room`: wrapping columns first, then cut cells and columns that are
    dropped. Where `room` is too small for all that, `sizes` stay larger.
    """
    _shrink(table, sizes, room, _COMFORTABLE)
    uncut = dict(sizes)
    for number in sizes:
        if most := table.columns[number].cut:
            over = max(0, _total(sizes) - room)
            sizes[number] = max(min(sizes[number], most), sizes[number] - over)
    _drop(table, sizes, room)
    for number in sizes:
        if table.columns[number].cut:
            spare = max(0, room - _total(sizes))
            sizes[number] = min(uncut[number], sizes[number] + spare)
            for row in cells:
                row[number] = _cut(row[number], sizes[number], encoding)
    _shrink(table, sizes, room, _LEAST)


def _drop(table: Table, sizes: dict[int, int], room: int) -> None:
    """Take columns out of `sizes`, the highest `drop` first, until the rest fits."""
    droppable = [number for number in sizes if number and table.columns[number].drop]
    droppable.sort(key=lambda number: table.columns[number].drop)
    while _total(sizes) > room and droppable:
        del sizes[droppable.pop()]


def _below(entry: Line, room: int | None, indent: int) -> list[Line]:
    """An entry of a row's own, in lines a little further in than the row; none for an empty one."""
    if not entry or room is None:
        return []
    step = min(2, room // 10)
    wrapped = _wrap(entry, room - step, room - 2 * step)
    return [
        _indented(line, indent + step + (step if number else 0))
        for number, line in enumerate(wrapped)
    ]


def _cut(cell: Line, size: int, encoding: str | None) -> Line:
    text, style = cell[0]
    if len(text) <= size:
        return cell
    # whole parts of a list say more than the start of a word
    end = text.rfind(", ", 0, size + 1)
    if end > 0:
        return [(text[:end], style)]
    mark = clean("…", encoding)
    return [(text[: size - len(mark)].rstrip() + mark, style)]


def _shrink(table: Table, sizes: dict[int, int], room: int, least: int) -> None:
    """Takes from the widest wrapping column until the row fits or each is down to `least`."""
    while _total(sizes) > room:
        widest = max(
            (number for number in sizes if table.columns[number].wrap),
            key=sizes.__getitem__,
            default=None,
        )
        if widest is None or sizes[widest] <= least:
            return
        others = [
            size
            for number, size in sizes.items()
            if table.columns[number].wrap and size < sizes[widest]
        ]
        sizes[widest] = max(least, sizes[widest] - (_total(sizes) - room), max(others, default=0))


def _bar(bar: Bar, width: int, encoding: str | None) -> Line:
    """What is taken of what there is; where it does not fit, what there is and what is missing."""
    taken, free, missing = _BAR if clean("".join(_BAR), encoding) == "".join(_BAR) else _ASCII_BAR
    whole = max(bar.needs, bar.has)
    if not whole > 0:
        return []
    part = min(bar.needs, bar.has) / whole
    # a need is never drawn as nothing, a shortfall or a margin neither
    filled = min(max(round(part * width), 1), width - (part < 1)) if part > 0 else 0
    rest = width - filled
    return [
        (taken * filled, bar.style),
        (
            (missing if bar.needs > bar.has else free) * rest,
            bar.style if bar.needs > bar.has else "",
        ),
    ]


def _size(cell: Line) -> int:
    return len(cell[0][0]) if len(cell) == 1 else sum(len(text) for text, _ in cell)


def _total(sizes: dict[int, int]) -> int:
    return sum(sizes.values()) + _GAP * (len(sizes) - 1)


def _row(table: Table, sizes: dict[int, int], cells: list[Line], indent: int) -> list[Line]:
    """One row; several lines where a cell wraps. The line ends with its last visible character."""
    if all(_size(cells[number]) <= size for number, size in sizes.items()):
        return [_row_line(table, sizes, cells, indent)]
    wrapped = {number: _cell_lines(cells[number], size) for number, size in sizes.items()}
    parts = zip_longest(*wrapped.values(), fillvalue=[])
    return [_row_line(table, sizes, dict(zip(sizes, part, strict=True)), indent) for part in parts]


def _row_line(
    table: Table, sizes: dict[int, int], cells: Mapping[int, Line] | Sequence[Line], indent: int
) -> Line:
    line: Line = []
    due = indent
    for number, size in sizes.items():
        cell = cells[number]
        length, right = _size(cell), table.columns[number].right
        if length:
            before = due + (size - length if right else 0)
            if before:
                line.append((" " * before, ""))
            line.extend(cell if len(cell) == 1 else [piece for piece in cell if piece[0]])
            due = _GAP if right else size - length + _GAP
        else:
            due += size + _GAP
    return line


def _cell_lines(cell: Line, size: int) -> list[Line]:
    """A cell in lines of at most `size`: at spaces, and inside a longer word after its
    punctuation, so that columns hold.
    """
    if _size(cell) <= size:
        return [cell]
    pieces: Line = []
    for text, style in cell:
        words = []
        for word in text.split(" "):
            while len(word) > size:
                end = max(word.rfind(mark, 0, size) for mark in "/-_:.,@=") + 1
                end = end if end > size // 3 else size
                words.append(word[:end])
                word = word[end:]
            words.append(word)
        pieces.append((" ".join(words), style))
    return _wrap(pieces, size, size)


def _stacked(
    numbers: list[int],
    cells: list[list[Line]],
    titles: list[str],
    room: int,
    indent: int,
) -> list[Line]:
    """Each row as a list: the first cell and those without a title on one line, under it the
    others, each after its title. What a sign stands before is on its line.
    """
    lines: list[Line] = []
    step = min(2, room // 10)
    for row in cells:
        filled = [number for number in numbers if _size(row[number])]
        head = list(row[numbers[0]])
        if _size(head) == 1 and len(filled) > 1:
            head += [(" ", ""), *row[filled.pop(1)]]
        for number in filled:
            if number != numbers[0] and not titles[number]:
                head.extend(
                    [(", " if len(head) > len(row[numbers[0]]) else ": ", ""), *row[number]]
                )
        below = [
            [(f"{titles[number]}: ", ""), *row[number]]
            for number in filled
            if titles[number] and number != numbers[0]
        ]
        wrapped = _wrap(head, room, room - step)
        lines.extend(
            _indented(line, indent + (step if number else 0)) for number, line in enumerate(wrapped)
        )
        for entry in below:
            lines.extend(_below(entry, room, indent))
    return lines
