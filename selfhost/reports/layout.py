"""What a person reads, as blocks, and their layout into lines of any width.

Every answer for people is a `Document`; `plain` prints it as text, `markup` as Markdown and HTML.
Widths count characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from ..core.errors import InputError, Problem, SelfhostError, UnknownModelError
from ..core.records import Record

_BAR_WIDTH, _GAP = 20, 2
# columns are dropped before one that wraps is narrower than the first, which then may be the second
_COMFORTABLE, _LEAST = 24, 12
# GitHub takes `::name` at a line's start for a command; `##[` is GitHub's and `##vso[` Azure's
# wherever they stand; inside a word of a program, `std::vector`, it is none
_CI_COMMAND = r"(?<![\w:])::(?=[A-Za-z])|##(?=\w*\[)"
# what stands on one line: a command in backquotes, a number with its unit, a word
_WORD = r"`[^`]+`\S*|[~$]?\d[\d.,]* (?:[kMGT]i?B|tokens)(?:/s)?[.,;:)]*(?!\S)|\S+"
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
    """Spans that wrap at `indent`, further lines at `indent + hang`; none of them `verbatim`.

    Without spans it is an empty line; several in a row print as one, at either end as none.
    """

    spans: tuple[Span, ...] = ()
    indent: int = 0
    hang: int = 0
    verbatim: bool = False


class Column(Record):
    """How a column gives way where the table is too wide.

    `drop`: columns leave the table from the highest number down; 0 and the first column stay.
    `wrap`: its cells may wrap.
    """

    title: str = ""
    right: bool = False
    wrap: bool = False
    drop: int = 0


Cell = str | Span | Bar


class Table(Record):
    """Rows of one cell per column."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    indent: int = 2


Block = Paragraph | Table
BLANK = Paragraph()


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


def clean(text: str) -> str:
    """Return `text` on one line, safe to print: escape sequences, bidirectional overrides, lone
    surrogates and commands of CI services become visible (`\\x1b`, `\\x3a`).
    """
    if not text.isprintable():
        text = "".join(map(_visible, text))
    if "::" in text or "##" in text:
        # regular expressions load slowly, and few texts need one
        import re

        text = re.sub(_CI_COMMAND, lambda match: f"\\x{ord(match[0][0]):02x}{match[0][1:]}", text)
    return text


def _visible(letter: str) -> str:
    if letter.isprintable():
        return letter
    if letter in " \t\n\r\v\f\xa0\u2028\u2029":
        return " "
    number = ord(letter)
    if number < 256:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 65536 else f"\\U{number:08x}"


def plain(
    document: Document, width: int | None = None, *, bars: bool = False, color: bool = False
) -> str:
    """Return the document as lines that end in a newline; escape codes only with `color`.

    Without `width` nothing is wrapped and tables stay aligned. A line to type, a word and a table
    that has no more to give are longer than `width`.
    """
    lines: list[str] = []
    for block in document.blocks:
        if isinstance(block, Paragraph) and not block.spans:
            lines += [""] if lines and lines[-1] else []
            continue
        laid_out = _table(block, width, bars) if isinstance(block, Table) else _lines(block, width)
        lines += filter(None, (_printed(line, color) for line in laid_out))
    while lines and not lines[-1]:
        lines.pop()
    return "".join(f"{line}\n" for line in lines)


def _printed(line: Line, color: bool) -> str:
    """A line without spaces at its end."""
    while line and not line[-1][0].strip():
        line.pop()
    if line:
        line[-1] = (line[-1][0].rstrip(), line[-1][1])
    return "".join(
        f"\x1b[{_COLOURS[style]}m{text}\x1b[0m" if color and text and style in _COLOURS else text
        for text, style in line
    )


def _lines(block: Paragraph, width: int | None) -> Iterator[Line]:
    cell = [(clean(span.text), span.style) for span in block.spans]
    first, rest = " " * block.indent, " " * (block.indent + block.hang)
    if width is None or block.verbatim:
        yield [(first, ""), *cell]
        return
    for at, part in enumerate(_wrap(cell, width - len(first), width - len(rest))):
        yield [(rest if at else first, ""), *part]


def _wrap(cell: Line, first: int, rest: int, words: str = _WORD) -> list[Line]:
    """Return the cell in lines of `first`, then `rest` characters; a longer word stands alone."""
    if _size(cell) <= first:
        return [cell]
    import re

    text = "".join(part for part, _ in cell)
    ends: list[tuple[int, int]] = []
    start = end = 0
    for match in re.finditer(words, text):
        # a command that is too long is broken as other words are
        is_long = match.end() - match.start() > rest
        for word in re.compile(r"\S+").finditer(text, *match.span()) if is_long else (match,):
            if end > start and word.end() - start > (rest if ends else first):
                ends.append((start, end))
                start = word.start()
            end = word.end()
    return [_part(cell, *pair) for pair in (*ends, (start, end))]


def _part(cell: Line, start: int, end: int) -> Line:
    parts, at = [], 0
    for text, style in cell:
        if part := text[max(0, start - at) : max(0, end - at)]:
            parts.append((part, style))
        at += len(text)
    return parts


def _size(cell: Line) -> int:
    return sum(len(text) for text, _ in cell)


def _table(table: Table, width: int | None, bars: bool) -> Iterator[Line]:
    columns = table.columns
    rows = [[_cell(cell, bars) for cell in row] for row in table.rows]
    longest = [max(map(_size, cells), default=0) for cells in zip(*rows, strict=True)]
    # a column with nothing in it is not shown
    sizes = {at: size for at, size in enumerate(longest) if size or not at}
    if any(columns[at].title for at in sizes):
        rows.insert(0, [[(clean(column.title), "")] for column in columns])
        sizes = {at: max(size, _size(rows[0][at])) for at, size in sizes.items()}
    if width is not None:
        _narrow(columns, sizes, width - table.indent)
    for row in rows:
        yield from _row(table, sizes, row)


def _row(table: Table, sizes: dict[int, int], row: Sequence[Line]) -> Iterator[Line]:
    # a long name goes on after a hyphen
    cells = [
        _wrap(row[at], size, size, rf"[^\s-]{{1,{max(size - 1, 1)}}}-?|-")
        for at, size in sizes.items()
    ]
    for parts in zip_longest(*cells, fillvalue=[]):
        line: Line = [(" " * table.indent, "")]
        for (at, size), part in zip(sizes.items(), parts, strict=True):
            padding = (" " * (size - _size(part)), "")
            line += [padding, *part] if table.columns[at].right else [*part, padding]
            line.append((" " * _GAP, ""))
        yield line


def _cell(cell: Cell, bars: bool) -> Line:
    if isinstance(cell, str):
        return [(clean(cell), "")]
    label = (clean(cell.text), cell.style)
    if isinstance(cell, Span) or not bars or not max(cell.needs, cell.has) > 0:
        return [label]
    # what is taken of what there is, or what is missing; none of them is drawn as nothing
    part = min(cell.needs, cell.has) / max(cell.needs, cell.has)
    filled = min(max(round(part * _BAR_WIDTH), 1), _BAR_WIDTH - (part < 1)) if part > 0 else 0
    mark, style = ("╍", cell.style) if cell.needs > cell.has else ("─", "")
    bar = [("━" * filled, cell.style), (mark * (_BAR_WIDTH - filled), style)]
    return [*bar, (" " * _GAP, ""), label] if cell.label else bar


def _narrow(columns: Sequence[Column], sizes: dict[int, int], room: int) -> None:
    """Narrow `sizes` to `room`: drop columns, then shrink those that wrap."""

    def total(widths: dict[int, int]) -> int:
        return sum(widths.values()) + _GAP * (len(widths) - 1)

    for comfort in (_COMFORTABLE, _LEAST):
        least = {at: min(size, comfort) if columns[at].wrap else size for at, size in sizes.items()}
        for at in sorted(sizes, key=lambda at: -columns[at].drop):
            if at and columns[at].drop and comfort == _COMFORTABLE and total(least) > room:
                del sizes[at], least[at]
        while total(sizes) > room and (wide := [at for at in sizes if sizes[at] > least[at]]):
            sizes[max(wide, key=lambda at: sizes[at])] -= 1


# ------------------------------------------------------------------ standard error


def problems_text(problems: Iterable[Problem]) -> str:
    """One line a fault, `file:line: key: message`, or `error: --option: message` of what was typed,
    and what to write instead under it; every line ends in a newline.
    """
    lines = []
    for problem in problems:
        place = problem.file if problem.line is None else f"{problem.file}:{problem.line}"
        if problem.file == "command line":
            place = "error"
        elif problem.file.startswith("--"):
            place = " ".join(filter(None, ("error:", problem.file, problem.key)))
        is_said = problem.file.startswith("--") or problem.message.startswith(f'"{problem.key}"')
        key = "" if is_said or not problem.key else f": {problem.key}"
        lines += [f"{place}{key}: {problem.message}", *_remedies(problem.remedy)]
    return "".join(f"{clean(line)}\n" for line in lines)


def error_text(error: SelfhostError) -> str:
    """What went wrong, the nearest names, and what to type instead; every line ends in a newline,
    and what is wrong begins with `error:`.
    """
    lines = [f"error: {error.message}"]
    if isinstance(error, InputError) and error.problems:
        marks = ("error:", "  ")
        lines = [
            line if line.startswith(marks) else f"error: {line}"
            for line in problems_text(error.problems).splitlines()
        ]
    if isinstance(error, UnknownModelError) and (unsaid := error.unsaid):
        lines.append(f"  did you mean: {', '.join(unsaid)}")
    return "".join(f"{clean(line)}\n" for line in (*lines, *_remedies(error.remedy)))


def _remedies(remedy: str | None) -> list[str]:
    """What to type instead, one way a line."""
    return [f"  {line}" for line in remedy.split("\n")] if remedy else []
