"""Blocks on a terminal, drawn by rich.

Only a program that writes to a terminal imports this module: loading rich takes about 40 ms.
What rich draws: wrapping, widths of wide characters, columns, colours, old consoles of Windows.
What this module adds: lines to type stay whole, and a narrow terminal gets fewer columns.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, JustifyMethod
from rich.table import Table as RichTable
from rich.text import Text

from .layout import Blocks, Paragraph, Table, clean, share_of, style_of

# yellow and cyan colour single words and bars only: on a white ground they are hard to read
_STYLES = {
    "strong": "bold",
    "command": "bold",
    "comment": "dim",
    "local": "bold green",
    "api": "bold yellow",
    "neither": "bold red",
    "pass": "green",
    "warn": "yellow",
    "fail": "red",
    "unknown": "cyan",
}
_BAR_CELLS = 20
# cells between two columns
_GAP = 2
# the least width that is drawn for
_LEAST_WIDTH = 20
# a terminal narrower than this has figures without bars, and tables whose columns may all wrap
_WIDE_ENOUGH = 60
# a column that wraps is given so many cells before another column goes
_COMFORTABLE = 24
# "a pipe has no width": nothing is wrapped
_UNLIMITED = 100_000

# rich breaks lines at whitespace. This character stands for a space at which no line may be broken,
# and the next for a place without a space where a line may be broken; the first is as wide as a
# space, the second takes no cell, and neither can come from a text, for `clean` escapes both.
_GLUE = "\ue000"
_BREAK = "\x1f"
_FINAL = {ord(_GLUE): " ", ord(_BREAK): ""}
_HYPHEN = re.compile(r"(?<=\w)-(?=\w)")
# what stands on one line: a command, in backquotes or behind a colon, an option behind a colon, and
# a number with its unit
_TOGETHER = re.compile(
    r"`[^`]+`"
    r"|: --?[a-z][\w-]*"
    # a sentence may begin with the program's name, too
    r"|(?<=: )selfhost (?:check|list|show|compare|plan|size|verify|machine|audit|spec)"
    r"\b(?: [^\s·;,(]+)*"
    r"|[~$]?\d[\d.,]* (?:[kMGT]i?B|tokens|%)(?:/s)?(?= short|[.,;:)]*(?!\S))(?: short)?"
)


def show(
    blocks: Blocks, file: Any, *, is_terminal: bool = True, no_color: bool = False
) -> None:
    """Draw the blocks on `file`, as wide and as colourful as its terminal is.

    `file` has the `write`, `flush`, `fileno`, `isatty` and `encoding` of a text file. `is_terminal`
    is False where colours were forced into a pipe: it has the width that COLUMNS
    states, else none. `no_color` leaves bold and dim, as NO_COLOR does.
    """
    console = Console(
        file=file,
        force_terminal=True,
        no_color=no_color or None,
        highlight=False,
        markup=False,
        emoji=False,
    )
    if not is_terminal and not os.environ.get("COLUMNS"):
        console.width = _UNLIMITED
    # all is written at once
    with console:
        console.print(Drawn(blocks), soft_wrap=True)


class Drawn:
    """Blocks as rich prints them; `rich.print(verdict)` draws one of these."""

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[Text]:
        """Yield the lines; several empty lines in a row are one, and none is first or last."""
        width = max(options.max_width, _LEAST_WIDTH)
        has_begun = False
        is_pending = False
        for block in self.blocks:
            for text in _lines(block, console, width):
                text.plain = text.plain.replace(_GLUE, " ")
                text.rstrip()
                if not text.plain:
                    is_pending = has_begun
                    continue
                if is_pending:
                    yield Text()
                yield text
                has_begun = True
                is_pending = False


def _lines(block: Paragraph | Table, console: Console, width: int) -> Iterator[Text]:
    """The lines of a block."""
    if isinstance(block, Paragraph):
        return _paragraph_lines(block, console, width)
    return _table_lines(block, console, width)


def _rich_style(part: str) -> str:
    """The style of a part in rich's words; empty of one without."""
    return _STYLES.get(style_of(part), "")


def _text(part: str) -> Text:
    """The part with its style; what must stand on one line is marked."""
    marked = _TOGETHER.sub(_glued, clean(part))
    return Text(marked, style=_rich_style(part), overflow="ignore")


def _glued(found: re.Match[str]) -> str:
    """What was found, without a place where a line may be broken."""
    return found[0].replace(" ", _GLUE)


def _paragraph_lines(block: Paragraph, console: Console, width: int) -> Iterator[Text]:
    """The lines of a paragraph, one where it has a command. Further lines of a sentence are
    indented by two more, those of a comment begin with `#`.
    """
    styles = [style_of(part) for part in block.parts]
    text = Text.assemble(*map(_text, block.parts), overflow="ignore")
    indent = " " * block.indent
    room = width - block.indent
    if "command" in styles or text.cell_len <= room:
        yield Text(indent).append_text(text)
        return
    further = "  "
    if "comment" in styles:
        further = "# "
    style = _rich_style(block.parts[0])
    first, *others = text.wrap(console, room - len(further))
    yield Text(indent).append_text(first)
    for line in others:
        start = Text.assemble(indent, (further, style))
        yield start.append_text(line)


def _cell(part: str, *, has_bars: bool) -> Text:
    """The text of a cell, behind a bar where it has a share; a long name may break at a hyphen."""
    text = _text(part)
    text.overflow = "fold"
    if _GLUE not in text.plain:
        text.plain = _HYPHEN.sub(f"-{_BREAK}", text.plain)
    share = share_of(part)
    if not has_bars or share == 0:
        return text
    bar = _bar(share, _rich_style(part))
    if part:
        bar.append(_GLUE * _GAP)
    return bar.append_text(text)


def _bar(share: float, style: str) -> Text:
    """A bar of what is taken of what there is; above 1 of what there is, and what is missing."""
    taken = min(share, 1 / share)
    filled_cells = max(round(taken * _BAR_CELLS), 1)
    if taken < 1:
        # nothing taken and nothing left are shown as such only where that is so
        filled_cells = min(filled_cells, _BAR_CELLS - 1)
    bar = Text("━" * filled_cells, style=style)
    open_cells = _BAR_CELLS - filled_cells
    if share > 1:
        return bar.append("╍" * open_cells, style=style)
    return bar.append("─" * open_cells)


def _table_lines(table: Table, console: Console, width: int) -> Iterator[Text]:
    """The lines of a table that is too wide, in this order: columns that wrap are narrowed, columns
    with a `drop` go, then a table that `splits` becomes several, and in any other all columns wrap.
    """
    has_bars = width >= _WIDE_ENOUGH
    rows = []
    for cells in table.rows:
        rows.append([_cell(cell, has_bars=has_bars) for cell in cells])
    room = width - table.indent
    sizes = _sizes(table, rows)
    # most tables are indented by as much as two columns are apart
    may_all_wrap = room < _WIDE_ENOUGH - _GAP
    shown = _kept(table, _least_widths(table, sizes, may_all_wrap=may_all_wrap), room)
    unbroken_widths = [_unbroken_width(table, rows, at) for at in shown]
    all_wrap = _total(unbroken_widths) > room
    if all_wrap and table.splits and len(shown) > 2:
        for at in shown[1:]:
            yield from _table_lines(_of_two_columns(table, at), console, width)
            yield Text()
        return
    drawing = _drawing(table, rows, shown, all_wrap=all_wrap)
    options = console.options.update(width=room, max_width=room, no_wrap=False)
    for segments in console.render_lines(drawing, options, pad=False):
        line = Text(" " * table.indent)
        for segment in segments:
            line.append(segment.text.translate(_FINAL), segment.style)
        yield line
    left_out = [table.columns[at].title for at in sizes if at not in shown]
    if table.tells_left_out and left_out:
        all_widths = _least_widths(table, sizes, may_all_wrap=False)
        needed = table.indent + _total(all_widths.values())
        yield Text()
        titles = ", ".join(left_out)
        yield Text(f"With {needed} columns the terminal also shows: {titles}")


def _drawing(
    table: Table,
    rows: Sequence[Sequence[Text]],
    shown: Sequence[int],
    *,
    all_wrap: bool,
) -> RichTable:
    """The columns at those places as a table of rich."""
    drawing = RichTable(
        box=None,
        pad_edge=False,
        padding=(0, _GAP, 0, 0),
        header_style="",
        show_header=any(table.columns[at].title for at in shown),
    )
    for at in shown:
        column = table.columns[at]
        justify: JustifyMethod = "left"
        if column.right:
            justify = "right"
        drawing.add_column(
            _cell(column.title, has_bars=False),
            justify=justify,
            no_wrap=not (column.wrap or all_wrap),
            overflow="fold",
        )
    for row in rows:
        drawing.add_row(*[row[at] for at in shown])
    return drawing


def _total(widths: Iterable[int]) -> int:
    """The width of columns of these widths with the gaps between them."""
    sizes = list(widths)
    return sum(sizes) + _GAP * (len(sizes) - 1)


def _sizes(table: Table, rows: Sequence[Sequence[Text]]) -> dict[int, int]:
    """The width of each column, by its place; a column without a text is left out."""
    sizes: dict[int, int] = {}
    for at, column in enumerate(table.columns):
        cells = [row[at].cell_len for row in rows]
        widest = max(cells, default=0)
        # the first column is always there
        if widest or at == 0:
            title = clean(column.title)
            sizes[at] = max(widest, cell_len(title))
    return sizes


def _least_widths(
    table: Table, sizes: dict[int, int], *, may_all_wrap: bool
) -> dict[int, int]:
    """The width that each column must have to stay: one that may wrap can be narrowed."""
    least = dict(sizes)
    for at, size in sizes.items():
        if may_all_wrap or table.columns[at].wrap:
            least[at] = min(size, _COMFORTABLE)
    return least


def _unbroken_width(table: Table, rows: Sequence[Sequence[Text]], at: int) -> int:
    """The width at which no word of a column that wraps, and no cell of another, is broken."""
    column = table.columns[at]
    cells = [_cell(column.title, has_bars=False)]
    cells += [row[at] for row in rows]
    widest = 0
    for cell in cells:
        parts = cell.plain.split() if column.wrap else [cell.plain]
        for part in parts:
            widest = max(widest, cell_len(part))
    return widest


def _of_two_columns(table: Table, at: int) -> Table:
    """The first column of a table and the one at that place, as a table."""
    cells = itemgetter(0, at)
    return table.replace(
        columns=cells(table.columns),
        rows=tuple(map(cells, table.rows)),
        splits=False,
    )


def _kept(table: Table, least: dict[int, int], room: int) -> list[int]:
    """The places of the columns that have room: the highest `drop` goes first, 0 never."""
    kept = dict(least)
    droppable = [at for at in kept if table.columns[at].drop]
    droppable.sort(key=lambda at: table.columns[at].drop, reverse=True)
    for at in droppable:
        if _total(kept.values()) > room:
            del kept[at]
    return list(kept)
