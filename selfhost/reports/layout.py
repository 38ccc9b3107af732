"""What a person reads, as blocks, and the plain text of them.

Every answer for people is blocks. `plain` makes the text of a pipe or a file of them, `screen`
draws them on a terminal, `markup` makes Markdown and HTML.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from operator import attrgetter

from ..core.errors import InputError, Problem, SelfhostError, UnknownModelError
from ..core.records import Record, brief
from ..core.tables import shipped_table
from ..core.templates import fill

# between two columns of a table
_GAP = "  "
# GitHub takes `::name` at a line's start for a command; `##[` is GitHub's and `##vso[` Azure's
# wherever they stand; inside a word of a program, `std::vector`, it is none
_CI_COMMAND = r"(?<![\w:])::(?=[A-Za-z])|##(?=\w*\[)"
_SPACES = dict.fromkeys(map(ord, "\t\n\r\v\f\xa0\u2028\u2029"), " ")


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
    """A line of text in parts; a terminal wraps it, unless a part is a command.

    Without parts it is an empty line. Several in a row print as one, and none at either end.
    """

    parts: tuple[str, ...] = ()
    indent: int = 0


class Column(Record):
    """A column of a table.

    `wrap`: a narrow terminal may break its cells. `drop`: such a terminal leaves the column out,
    the highest first, 0 never.
    """

    title: str = ""
    right: bool = False
    wrap: bool = False
    drop: int = 0


class Table(Record):
    """Rows of one cell per column.

    `tells_left_out`: a terminal too narrow for all columns says which it left out. `splits`: such a
    terminal shows a table for each column behind the first, where words would be broken else.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    indent: int = 2
    tells_left_out: bool = False
    splits: bool = False

    @classmethod
    def of(cls, name: str, rows: Iterable[tuple[str, ...]], **stated: str) -> Table:
        """The table of that name in `specs/common/labels.toml`, with what is stated filled in."""
        row = shipped_table("labels")["tables"][name]
        columns = (
            Column(
                title=fill(title, stated),
                right=">" in how,
                wrap=fill(how, stated)[-1:] == "~",
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


def plain(blocks: Blocks) -> str:
    """Return the blocks as lines of text for a pipe or a file, which have no width.

    Nothing is wrapped or coloured. Columns are aligned by counting characters. Several empty lines
    in a row are one.
    """
    lines = [""]
    for block in blocks:
        shown = _table_lines(block) if isinstance(block, Table) else [_paragraph_line(block)]
        for text in shown:
            if text or lines[-1]:
                lines.append(text)
    return "\n".join(lines).strip("\n") + "\n"


def _paragraph_line(block: Paragraph) -> str:
    text = "".join(map(clean, block.parts))
    return f"{' ' * block.indent}{text}".rstrip()


def _table_lines(table: Table) -> Iterator[str]:
    """The titles, if there are any, and a line a row; a column with nothing in it is left out."""
    rows = [list(map(clean, row)) for row in table.rows]
    titles = [clean(column.title) for column in table.columns]
    widths: dict[int, int] = {}
    for at, title in enumerate(titles):
        widest = max((len(row[at]) for row in rows), default=0)
        if widest or not at:
            widths[at] = max(widest, len(title))
    if any(titles[at] for at in widths):
        rows.insert(0, titles)
    for row in rows:
        cells = [
            row[at].rjust(width) if table.columns[at].right else row[at].ljust(width)
            for at, width in widths.items()
        ]
        yield f"{' ' * table.indent}{_GAP.join(cells)}".rstrip()


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
    return "".join(f"{clean(brief(line))}\n" for line in lines)


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
    return "".join(f"{clean(brief(line))}\n" for line in lines)
