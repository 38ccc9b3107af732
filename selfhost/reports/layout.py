"""Text for people, as blocks, and its plain form.

Every answer for people is a sequence of blocks: paragraphs and tables, whose texts may be spans in
a style. `plain` writes blocks as the text of a pipe or a file, the module `screen` draws them on a
terminal, and `markup` writes them as Markdown and HTML.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Self, TypeVar

from ..core.errors import InputError, Problem, SelfhostError, UnknownModelError
from ..core.records import Record, brief
from ..core.templates import fill

if TYPE_CHECKING:
    import re

Number = TypeVar("Number", int, float)
# the cells of a row of any table
Cells = tuple[str, ...]
# a label, a figure and a note
FigureRow = tuple[str, str, str]
# what something is about, the reason, and what to do
Topic = tuple[str, str, str | None]
# between two columns of a table
_GAP = "  "
# GitHub takes `::name` at the start of a line for a command, and `##[` anywhere, as Azure takes
# `##vso[`; `std::vector`, inside a word, is no command
_CI_COMMAND = r"(?<![\w:])::(?=[A-Za-z])|##(?=\w*\[)"
_SPACES = dict.fromkeys(map(ord, "\t\n\r\v\f\xa0\u2028\u2029"), " ")
# A space at which no line may be broken: to a program that breaks lines the sign is a letter, as
# wide as a space. The sign comes from no text, for `clean` escapes it.
GLUE = "\ue000"
# Texts that are not broken over lines: a command in backquotes, behind a colon or behind an arrow;
# an option with its value, or behind a colon; a text in quotes behind an option; a sign with the
# first word that explains it; and a number with its unit. A number is matched only from its first
# digit: else the time grew with the square of its length.
_TOGETHER = (
    r"`[^`]+`"
    # a sentence may begin with the program's name, too
    r"|(?:(?<=: )|(?<=→ )|(?<=  ))"
    r"selfhost (?:check|list|show|compare|plan|size|verify|machine|audit|spec)"
    r"\b(?: [^\s·;,(]+)*"
    r"|(?:: )?(?<![\w-])--?[a-z][\w-]*(?: (?:'[^']*'|"
    r"(?=[^\s,;()]*[\dA-Z=:'])[^\s,;()]+))?"
    r"|(?<!\S)[*!~]:? (?=[a-z])"
    r"|(?<![\d.,])[~$]?\d[\d.,]* (?:[kMGT]i?B|tokens|%)(?:/s)?(?= short|[.,;:)]*(?!\S))(?: short)?"
)


class Span(str):
    """Text in one style: "strong", "command", "comment", "name", or an outcome or route word.

    A span is an ordinary text for all code that does not draw; parts of a span have no style.

    `share` is a need divided by the room for it, drawn as a bar before the text on terminals; 0 for
    no bar.
    """

    style: str
    share: float

    def __new__(
        cls,
        text: str,
        style: str = "",
        share: float = 0,
    ) -> Self:
        span = super().__new__(cls, text)
        span.style = style
        span.share = share
        return span


def style_of(text: str) -> str:
    """Return the style of a span; empty for any other text."""
    return text.style if isinstance(text, Span) else ""


def share_of(text: str) -> float:
    """Return the share of a span; 0 for any other text."""
    return text.share if isinstance(text, Span) else 0


def strong(text: str) -> Span:
    """Return emphasized text."""
    return Span(text, "strong")


class Hint(Span):
    """Words on how to see more, as a command line has it: `3 more: -v`.

    Python, an agent and the page have another way to it (`answers.retold`), so the parts of the
    text are kept: `before`, `typed`, in whose place the other way stands, and `behind`. `shows`
    says what is seen: "all" figures, "reasons", the "range" of a pace; of a list its "models",
    "rows" or "columns"; "files" to paste; or the answer of the command of that name.
    """

    shows: str
    before: str
    typed: str
    behind: str

    def __new__(
        cls,
        before: str,
        typed: str,
        behind: str = "",
        *,
        shows: str = "all",
    ) -> Self:
        hint = super().__new__(cls, f"{before}{typed}{behind}")
        hint.shows = shows
        hint.before = before
        hint.typed = typed
        hint.behind = behind
        return hint


class Paragraph(Record):
    """A line of text in parts; a terminal wraps it, unless a part is a command.

    Without parts it is an empty line. Several empty lines in a row print as one, and no answer
    begins or ends with one.
    """

    parts: tuple[str, ...] = ()
    indent: int = 0


class Column(Record):
    """A column of a table.

    `wrap`: a narrow terminal may break its cells. `drop`: a terminal too narrow for the table
    leaves this column out, the columns with the highest number first; 0 is never left out.
    `screen` does both; plain text has all columns.
    """

    title: str = ""
    right: bool = False
    wrap: bool = False
    drop: int = 0


class Table(Record):
    """Rows of one cell per column.

    `tells_left_out`: below the table a terminal says which columns it left out. `splits`: instead
    of breaking words, a narrow terminal shows several tables, of the first column and one other
    each.
    """

    columns: tuple[Column, ...]
    rows: tuple[Cells, ...]
    indent: int = 2
    tells_left_out: bool = False
    splits: bool = False

    @classmethod
    def of(
        cls,
        name: str,
        rows: Iterable[Cells],
        **stated: str,
    ) -> Table:
        """Return the table of that name in `specs/common/labels.toml`, its titles filled in.

        `stated` fills the places of its titles and signs.
        """
        # imported here: errors are printed without the words of tables
        from .labels import LABELS

        form = LABELS.tables[name]
        columns = []
        for title, sign, drop in form["columns"]:
            alignment = fill(sign, stated)
            column = Column(
                title=fill(title, stated),
                right=alignment == ">",
                wrap=alignment == "~",
                drop=drop,
            )
            columns.append(column)
        return cls(columns=tuple(columns), rows=tuple(rows), indent=form["indent"])

    def filled(self, *, with_bars: bool = False) -> Table:
        """The table without columns that tell nothing: whose cells are all blank, or dashes. The
        first column stays. `with_bars`: a cell with a share tells something.
        """
        places = [0]
        for at in range(1, len(self.columns)):
            cells = [row[at] for row in self.rows]
            has_text = any(cell.strip(" -") for cell in cells)
            if has_text or (with_bars and any(map(share_of, cells))):
                places.append(at)
        return self.of_columns(places)

    def of_columns(self, places: Sequence[int]) -> Table:
        """The table of the columns at these places."""
        columns = tuple(self.columns[at] for at in places)
        rows = [tuple(row[at] for at in places) for row in self.rows]
        return self.replace(columns=columns, rows=tuple(rows))


Block = Paragraph | Table
Blocks = Iterable[Block]


def line(*parts: str, indent: int = 0) -> Paragraph:
    """Return a line of parts in several styles; empty parts are left out."""
    return Paragraph(parts=tuple(filter(None, parts)), indent=indent)


def command(text: str, indent: int = 2) -> Paragraph:
    """Return a line to type."""
    return line(Span(text, "command"), indent=indent)


def commands(lines: Iterable[str]) -> Blocks:
    """Yield lines to type; a comment is prose, unless the line before it ends in a colon."""
    before = ""
    for text in lines:
        style = "command"
        if text.startswith("#") and not before.endswith(":"):
            style = "comment"
        yield line(Span(text, style), indent=2)
        before = text


def texts(lines: Iterable[str | None], indent: int = 2) -> Blocks:
    """Yield a line for each text; empty texts are left out."""
    for text in lines:
        if text:
            yield line(text, indent=indent)


def section(title: str, blocks: Blocks) -> Blocks:
    """Yield an empty line, a title and the blocks; nothing where there is no block."""
    shown = list(blocks)
    if shown:
        yield line()
        yield line(strong(title))
        yield from shown


# a finding as an entry of `topics`
AS_TOPIC = attrgetter("check", "reason", "remedy")


def topics(entries: Iterable[Topic]) -> Blocks:
    """Yield each topic with its reason, and under it what to do."""
    for topic, reason, remedy in entries:
        yield line(f"{topic}: {reason}", indent=2)
        if remedy:
            yield line(f"→ {remedy}", indent=4)


def figures(
    rows: Iterable[FigureRow],
    *,
    drop: int = 0,
    right: bool = False,
) -> Table:
    """Return a table of label, figure and note; `drop` is the `Column.drop` of the notes.

    With `right` the figures stand at the right of their column, and labels may wrap.
    """
    cells = []
    for label, figure, note in rows:
        cells.append((label, strong(figure), note))
    columns = (
        Column(wrap=right),
        Column(right=right),
        Column(wrap=True, drop=drop),
    )
    return Table(columns=columns, rows=tuple(cells))


def known_figure(
    value: Number | None,
    write: Callable[[Number], str],
    absent: str = "-",
) -> str:
    """The figure in words by `write`; `absent` for a figure that is not known."""
    if value is None:
        return absent
    return write(value)


def clean(text: str) -> str:
    """Return `text` on one line, safe to print: commands for a terminal or for CI have escapes."""
    if not text.isprintable():
        text = text.translate(_SPACES)
        text = "".join(map(_visible, text))
    if "::" in text or "##" in text:
        # regular expressions load slowly, and few texts need one
        import re

        text = re.sub(_CI_COMMAND, _escaped_start, text)
    return text


def _visible(character: str) -> str:
    """The character, as an escape where it shows nothing: `\\x1b`."""
    if character.isprintable():
        return character
    return ascii(character)[1:-1]


def _escaped_start(found: re.Match[str]) -> str:
    r"""The start of a command of CI with its first character as an escape: `\x3a:`."""
    start = found[0]
    return f"\\x{ord(start[0]):02x}{start[1:]}"


def kept_together(text: str) -> str:
    """Return the text with `GLUE` in place of each space at which no line may be broken."""
    # regular expressions load slowly, and only a terminal breaks lines
    import re

    return re.sub(_TOGETHER, _glued, text)


def _glued(found: re.Match[str]) -> str:
    """The matched text with glue in place of spaces, so that no line breaks inside it."""
    return found[0].replace(" ", GLUE)


def wrapped(text: str, columns: int) -> str:
    """Return the lines of plain text broken between words, so that each fits so many columns.

    A command stays on one line; one that is wider than a line has a line of its own.
    """
    # only a terminal breaks lines
    from textwrap import TextWrapper

    wrapper = TextWrapper(
        width=columns,
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    lines = []
    for line_text in kept_together(text).splitlines():
        lines.append(wrapper.fill(line_text).replace(GLUE, " "))
    return ended(lines)


def plain(blocks: Blocks) -> str:
    """Return the blocks as lines of text for a pipe or a file, which have no width.

    Nothing is wrapped or coloured. Columns are aligned by counting characters. Several empty lines
    in a row are one. A new kind of block gets its lines here, in `screen` and in `markup`.
    """
    lines = [""]
    for block in blocks:
        for text in _block_lines(block):
            if text or lines[-1]:
                lines.append(text)
    return "\n".join(lines).strip("\n") + "\n"


def _block_lines(block: Block) -> Iterator[str]:
    """The line of a paragraph, or the lines of a table, each without blanks at its end."""
    if isinstance(block, Table):
        lines = list(_table_lines(block))
    else:
        lines = ["".join(map(clean, block.parts))]
    margin = " " * block.indent
    for text in lines:
        yield f"{margin}{text}".rstrip()


def _table_lines(table: Table) -> Iterator[str]:
    """The titles, if there are any, and a line for each row; an empty column is left out.

    A column is as wide as its widest cell, in characters.
    """
    filled = table.filled()
    titles = [clean(column.title) for column in filled.columns]
    rows = [list(map(clean, row)) for row in filled.rows]
    if any(titles):
        rows.insert(0, titles)
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for row in rows:
        cells = []
        for column, width, cell in zip(filled.columns, widths, row, strict=True):
            cells.append(cell.rjust(width) if column.right else cell.ljust(width))
        yield _GAP.join(cells)


def ended(lines: Iterable[str]) -> str:
    """Return the lines, each with its end, as one text."""
    return "".join(f"{text}\n" for text in lines)


def problems_text(problems: Iterable[Problem]) -> str:
    """Return a line for each fault, `file:line: key: message`, and under it the remedy.

    The line of the only fault of a whole file, such as a file that does not exist, begins with
    `error:`.
    """
    told = tuple(problems)
    faults_by_file = Counter(problem.file for problem in told)
    lines = []
    for problem in told:
        is_of_whole_file = problem.line is None and not problem.key
        is_alone = faults_by_file[problem.file] == 1
        lines += _problem_lines(problem, is_error=is_of_whole_file and is_alone)
    return _printed(lines)


def _problem_lines(problem: Problem, *, is_error: bool) -> list[str]:
    """The line of a fault, which begins with `error:` if `is_error`, and the lines of its
    remedy.
    """
    first = f"{_place(problem)}: {problem.message}"
    if is_error and not first.startswith("error:"):
        first = f"error: {first}"
    return [first, *_remedy_lines(problem.remedy)]


def _place(problem: Problem) -> str:
    """The place of a fault: `file:line: key`, `error: --option key`, or `error` for a name that was
    typed.
    """
    key = problem.key
    if problem.file.startswith("--"):
        if key:
            return f"error: {problem.file} {key}"
        return f"error: {problem.file}"
    if problem.file == "command line":
        place = "error"
    elif problem.line is None:
        place = problem.file
    else:
        place = f"{problem.file}:{problem.line}"
    # the message may name the key itself
    if not key or problem.message.startswith(f'"{key}"'):
        return place
    return f"{place}: {key}"


def _remedy_lines(remedy: str | None) -> list[str]:
    """An indented line for each line of the remedy; [] where there is none."""
    ways = (remedy or "").split("\n")
    return [f"  {way}" for way in ways if way]


def error_text(error: SelfhostError) -> str:
    """Return what went wrong, behind `error:`, the nearest names, and what to type instead."""
    lines = []
    if isinstance(error, InputError):
        for problem in error.grouped:
            lines += _problem_lines(problem, is_error=True)
    if not lines:
        lines.append(f"error: {error.message}")
    if isinstance(error, UnknownModelError):
        remedy = error.remedy or ""
        # a remedy that names them all has a row for each
        if any(name not in remedy for name in error.unsaid):
            lines.append(f"  did you mean: {', '.join(error.unsaid)}")
    lines += _remedy_lines(error.remedy)
    return _printed(lines)


def _printed(lines: Iterable[str]) -> str:
    """Lines that are safe to print, their longest words in part."""
    return ended(clean(brief(text)) for text in lines)
