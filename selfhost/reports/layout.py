"""What a person reads, as blocks, and their layout into lines of any width.

Every answer for people is blocks; `plain` prints them as text, `markup` as Markdown and HTML.
Widths count characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import zip_longest
from operator import attrgetter

from ..core.errors import InputError, Problem, SelfhostError, UnknownModelError
from ..core.records import Record
from ..core.tables import shipped_table

_BAR_WIDTH, _GAP = 20, "  "
# a terminal narrower than this has figures without bars, and tables whose columns may all wrap
_WIDE_ENOUGH = 60
# others are dropped before one that wraps is narrower than the first, which then may be the second;
# words are broken for the third
_COMFORTABLE, _LEAST, _BROKEN = 24, 12, 8
# GitHub takes `::name` at a line's start for a command; `##[` is GitHub's and `##vso[` Azure's
# wherever they stand; inside a word of a program, `std::vector`, it is none
_CI_COMMAND = r"(?<![\w:])::(?=[A-Za-z])|##(?=\w*\[)"
# what stands on one line: a command in backquotes, a number with its unit, a word
_WORD = r"`[^`]+`\S*|[~$]?\d[\d.,]* (?:[kMGT]i?B|tokens)(?:/s)?[.,;:)]*(?!\S)|\S+"
# the escape codes of the terminal's own colours; yellow and cyan colour single words and bars only
_COLOURS = {
    "strong": "1", "command": "1", "comment": "1", "local": "1;32", "api": "1;33",
    "neither": "1;31", "pass": "32", "warn": "33", "fail": "31", "unknown": "36",
}  # fmt: skip
_SPACES = dict.fromkeys(map(ord, "\t\n\r\v\f\xa0\u2028\u2029"), " ")

# texts with their styles
Line = list[tuple[str, str]]


class Span(str):
    """Text in one style: "strong", "command", "comment", "name", or an outcome or route word.

    `share`: a need as a part of what there is, drawn as a bar before the text on terminals.
    """

    style: str
    share: float

    def __new__(cls, text: str, style: str = "", share: float = 0) -> Span:
        span = super().__new__(cls, text)
        span.style, span.share = style, share
        return span


class Paragraph(Record):
    """Parts that wrap at `indent`, further lines by two more, those of a comment behind a `#`; a
    command is never wrapped.

    Without parts it is an empty line; several in a row print as one, at either end as none.
    """

    parts: tuple[str, ...] = ()
    indent: int = 0


class Column(Record):
    """Columns of a table too wide go by `drop`, the highest first, 0 never; `wrap`: cells may."""

    title: str = ""
    right: bool = False
    wrap: bool = False
    drop: int = 0


class Table(Record):
    """Rows of one cell per column."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    indent: int = 2

    @classmethod
    def of(cls, name: str, rows: Iterable[tuple[str, ...]], **stated: str) -> Table:
        """The table of that name in `specs/common/labels.toml`, with what is stated filled in."""
        row = shipped_table("labels")["tables"][name]
        columns = (
            Column(
                title=title.format(**stated),
                right=">" in how,
                wrap=how.format(**stated)[-1:] == "~",
                drop=drop,
            )
            for title, how, drop in row["columns"]
        )
        return cls(columns=tuple(columns), rows=tuple(rows), indent=row["indent"])


# emphasized text
strong = partial(Span, style="strong")
Block = Paragraph | Table
Blocks = Iterable[Block]


def line(*parts: str, indent: int = 0) -> Paragraph:
    """Return a sentence, in parts of several styles; empty ones are left out."""
    return Paragraph(parts=tuple(filter(None, parts)), indent=indent)


def command(text: str, indent: int = 2) -> Paragraph:
    """Return a line to type."""
    return line(Span(text, "command"), indent=indent)


def commands(lines: Iterable[str]) -> Blocks:
    """Yield lines to type; a comment is prose, unless the one before ends in a colon."""
    before = ""
    for text in lines:
        is_prose = text.startswith("#") and not before.endswith(":")
        yield line(Span(text, "comment" if is_prose else "command"), indent=2)
        before = text


def texts(lines: Iterable[str | None], indent: int = 2) -> Blocks:
    """Yield a sentence each; empty ones are left out."""
    return (line(text, indent=indent) for text in lines if text)


def section(title: str, blocks: Blocks) -> Blocks:
    """Yield an empty line, a title and the blocks; nothing where there is none."""
    for number, block in enumerate(blocks):
        yield from () if number else (line(), line(strong(title)))
        yield block


# a finding as an entry of `topics`
AS_TOPIC = attrgetter("check", "reason", "remedy")


def topics(entries: Iterable[tuple[str, str, str | None]]) -> Blocks:
    """Yield each topic with its reason, and under it what to do."""
    for topic, reason, remedy in entries:
        yield line(f"{topic}: {reason}", indent=2)
        yield from [line(f"→ {remedy}", indent=4)] if remedy else ()


def figures(rows: Iterable[tuple[str, str, str]], *, drop: int = 0, right: bool = False) -> Table:
    """Return a table of label, figure and note; `drop` is that of the notes' column."""
    cells = tuple((label, strong(figure), note) for label, figure, note in rows)
    columns = (Column(wrap=right), Column(right=right), Column(wrap=True, drop=drop))
    return Table(columns=columns, rows=cells)


def clean(text: str) -> str:
    """Return `text` on one line, safe to print: what commands a terminal or CI becomes visible."""
    if not text.isprintable():
        text = text.translate(_SPACES)
        text = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
    if "::" in text or "##" in text:
        # regular expressions load slowly, and few texts need one
        import re

        text = re.sub(_CI_COMMAND, lambda match: f"\\x{ord(match[0][0]):02x}{match[0][1:]}", text)
    return text


def plain(
    blocks: Blocks, width: int | None = None, *, bars: bool = False, color: bool = False
) -> str:
    """Return the blocks as lines that end in a newline; escape codes only with `color`.

    Without `width` nothing is wrapped and tables stay aligned. A line to type, a word and a table
    that has no more to give are longer than `width`.
    """
    lines, has_bars = [""], bars and (width is None or width >= _WIDE_ENOUGH)
    for block in blocks:
        laid_out = (
            _table(block, width, has_bars) if isinstance(block, Table) else _lines(block, width)
        )
        for line in laid_out:
            parts = (
                f"\x1b[{_COLOURS[style]}m{text}\x1b[0m" if color and style in _COLOURS else text
                for text, style in line
                if text
            )
            shown = "".join(parts).rstrip()
            lines += [shown] if shown or lines[-1] else []
    return "\n".join(lines).strip("\n") + "\n"


def _lines(block: Paragraph, width: int | None) -> Iterator[Line]:
    cell = [part for text in block.parts for part in _cell(text)]
    indent = " " * block.indent
    if width is None or any(style == "command" for _, style in cell):
        yield [(indent, ""), *cell]
        return
    room, further = width - block.indent, _GAP
    if any(style == "comment" for _, style in cell):
        further = "# "
    for at, part in enumerate(_wrap(cell, room, room - len(further))):
        yield [(indent + further * bool(at), ""), *part]


def _wrap(cell: Line, first: int, rest: int, words: str = _WORD) -> list[Line]:
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
    lines: list[Line] = []
    for first, last in (*ends, (start, end)):
        parts, at = [], 0
        for own, style in cell:
            if part := own[max(0, first - at) : max(0, last - at)]:
                parts.append((part, style))
            at += len(own)
        lines.append(parts)
    return lines


def _size(cell: Line) -> int:
    return sum(len(text) for text, _ in cell)


def _cell(text: str, bars: bool = False) -> Line:
    label, share = (clean(text), getattr(text, "style", "")), getattr(text, "share", 0)
    if not bars or not share:
        return [label]
    # what is taken of what there is, or what is missing; none of them is drawn as nothing
    part = min(share, 1 / share)
    filled = min(max(round(part * _BAR_WIDTH), 1), _BAR_WIDTH - (part < 1))
    mark, style = ("╍", label[1]) if share > 1 else ("─", "")
    bar = [("━" * filled, label[1]), (mark * (_BAR_WIDTH - filled), style)]
    return [*bar, (_GAP, ""), label] if text else bar


def _table(table: Table, width: int | None, bars: bool) -> Iterator[Line]:
    rows, sizes = [[_cell(cell, bars) for cell in row] for row in table.rows], dict[int, int]()
    titles: list[Line] = [[(clean(column.title), "")] for column in table.columns]
    for at, title in enumerate(titles):
        # a column with nothing in it is not shown
        if (size := max((_size(row[at]) for row in rows), default=0)) or not at:
            sizes[at] = max(size, _size(title))
    if any(map(_size, titles)):
        rows.insert(0, titles)
    if width is not None:
        _narrow(table, sizes, rows, width - table.indent)
    for row in rows:
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
                line.append((_GAP, ""))
            yield line


def _narrow(table: Table, sizes: dict[int, int], rows: Sequence[Sequence[Line]], room: int) -> None:
    """Narrow `sizes` to `room`: drop columns, then shrink those that wrap, at last all to words."""
    columns, others = table.columns, _COMFORTABLE if room < _WIDE_ENOUGH - len(_GAP) else room
    wide, narrow = (
        {at: min(size, least if columns[at].wrap else others) for at, size in sizes.items()}
        for least in (_COMFORTABLE, _LEAST)
    )
    for at in sorted(sizes, key=lambda at: -columns[at].drop):
        if columns[at].drop and sum(wide.values()) + len(_GAP) * (len(wide) - 1) > room:
            del sizes[at], wide[at]
    # for the widths alone
    room -= len(_GAP) * (len(sizes) - 1)
    longest: dict[int, int] = {}
    for at, cells in enumerate(zip(*rows, strict=True)):
        whole = " ".join("".join(text for text, _ in cell) for cell in cells)
        longest[at] = max(map(len, whole.replace("-", "- ").split()), default=0)
    for least in (wide, narrow, longest, dict.fromkeys(sizes, _BROKEN)):
        while sum(sizes.values()) > room and (
            left := [at for at in sizes if sizes[at] > least[at]]
        ):
            sizes[max(left, key=lambda at: (columns[at].wrap, sizes[at]))] -= 1


def problems_text(problems: Iterable[Problem]) -> str:
    """A line a fault, `file:line: key: message`, and under it what to write instead."""
    lines = []
    for problem in problems:
        place = problem.file if problem.line is None else f"{problem.file}:{problem.line}"
        if problem.file == "command line":
            place = "error"
        elif problem.file.startswith("--"):
            place = " ".join(filter(None, ("error:", problem.file, problem.key)))
        is_said = problem.file.startswith("--") or problem.message.startswith(f'"{problem.key}"')
        key = "" if is_said or not problem.key else f": {problem.key}"
        lines.append(f"{place}{key}: {problem.message}")
        lines += (f"  {way}" for way in (problem.remedy or "").split("\n") if way)
    return "".join(f"{clean(line)}\n" for line in lines)


def error_text(error: SelfhostError) -> str:
    """What went wrong, behind `error:`, the nearest names, and what to type instead."""
    lines = [f"error: {error.message}"]
    if isinstance(error, InputError) and error.problems:
        marks = ("error:", "  ")
        lines = [
            line if line.startswith(marks) else f"error: {line}"
            for line in problems_text(error.problems).splitlines()
        ]
    if isinstance(error, UnknownModelError) and (unsaid := error.unsaid):
        lines.append(f"  did you mean: {', '.join(unsaid)}")
    lines += (f"  {way}" for way in (error.remedy or "").split("\n") if way)
    return "".join(f"{clean(line)}\n" for line in lines)
