"""Blocks on a terminal, drawn by rich.

`show` takes blocks and a file. Each block becomes lines of rich's `Text`, which rich then colours
and writes. A paragraph is wrapped by `_paragraph_lines`, a table is fitted into the width by
`_table_lines`. rich knows the widths of wide characters, colours and old consoles of Windows; this
module adds that a line to type goes on behind a backslash, and that a narrow terminal gets fewer
columns.

Only a program that writes to a terminal imports this module: loading rich takes about 40 ms.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from .labels import LABELS
from .layout import (
    GLUE,
    Blocks,
    Paragraph,
    Table,
    clean,
    kept_together,
    share_of,
    style_of,
)

_BAR_CELLS = 20
# cells between two columns
_GAP = 2
# the least width that is drawn for
_LEAST_WIDTH = 20
# in a terminal narrower than this, figures have no bars and every column may wrap
_WIDE_ENOUGH = 60
# other columns are dropped until a column that wraps has this width, if its texts need so much
_COMFORTABLE = 24
# "a pipe has no width": nothing is wrapped
_UNLIMITED = 100_000

# rich breaks lines at whitespace only. `GLUE` and this sign change that, and are replaced once the
# lines are made; neither comes from a text, for `clean` escapes both.
# A place where a line may be broken without a space: to rich it is whitespace, of no width.
_BREAK = "\x1f"
_FINAL = {ord(GLUE): " ", ord(_BREAK): ""}
# a word of a command, with what is quoted in it
_SHELL_WORD = r"""(?:[^\s'"]|'[^']*'|"[^"]*"|['"])+"""
# where a name may break: before a letter, for `Apache-2.0` and `0.7-1.8` are read as one, and so is
# an option such as `--min-speed`
_HYPHEN = re.compile(r"(?<![-\w])--[\w-]+|(?<=\w)-(?=[^\W\d])")


def show(
    blocks: Blocks,
    file: Any,
    *,
    is_terminal: bool = True,
    no_color: bool = False,
) -> None:
    """Draw the blocks on `file`, as wide and as colourful as its terminal is.

    `file` has the `write`, `flush`, `fileno`, `isatty` and `encoding` of a text file. `is_terminal`
    is False where colours were forced into a pipe, whose width is that of COLUMNS, else unlimited.
    `no_color` leaves bold and dim, as NO_COLOR does.
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
                text.plain = text.plain.replace(GLUE, " ")
                text.rstrip()
                if not text.plain:
                    is_pending = has_begun
                    continue
                if is_pending:
                    yield Text()
                yield text
                has_begun = True
                is_pending = False


def _lines(
    block: Paragraph | Table,
    console: Console,
    width: int,
) -> Iterator[Text]:
    """The lines of a block."""
    if isinstance(block, Paragraph):
        return _paragraph_lines(block, console, width)
    return _table_lines(block, console, width)


def rich_style(part: str) -> str:
    """The style of a part in rich's words; empty for a part without a style."""
    return LABELS.styles.get(style_of(part), "")


def _text(part: str) -> Text:
    """The part with its style; `GLUE` holds together what must stand on one line."""
    marked = kept_together(clean(part))
    return Text(marked, style=rich_style(part), overflow="ignore")


def _paragraph_lines(
    block: Paragraph,
    console: Console,
    width: int,
) -> Iterator[Text]:
    """The lines of a paragraph. Further lines are indented by two more; further lines of a comment
    begin with `#`, and the line before that of a command ends in a backslash.
    """
    styles = [style_of(part) for part in block.parts]
    text = Text.assemble(*map(_text, block.parts), overflow="ignore")
    indent = " " * block.indent
    room = width - block.indent
    if text.cell_len <= room:
        yield Text(indent).append_text(text)
        return
    if "command" in styles:
        for typed in _typed_lines(text.plain, room):
            yield Text(indent).append(typed, rich_style(block.parts[0]))
        return
    further = "  "
    if "comment" in styles:
        further = "# "
    first, *others = text.wrap(console, room - len(further))
    yield Text(indent).append_text(first)
    for line in others:
        start = Text.assemble(indent, (further, rich_style(block.parts[0])))
        yield start.append_text(line)


def _typed_lines(command: str, room: int) -> Iterator[str]:
    """The lines of a command that is wider than the room, which a shell reads as one: each but the
    last ends in a backslash. A line breaks outside quotes only, so it may be wider. A comment stays
    whole, for its further lines would be commands, and so does a command for Windows, whose shells
    have no such sign in common.
    """
    if command.startswith("#") or os.name == "nt":
        yield command
        return
    goes_on = command.endswith(" \\")
    first, *others = re.findall(_SHELL_WORD, command.removesuffix(" \\"))
    typed = first
    for word in others:
        if cell_len(f"{typed} {word} \\") > room:
            yield f"{typed} \\"
            typed = f"  {word}"
        else:
            typed = f"{typed} {word}"
    # the command has the next line of the report too
    yield f"{typed} \\" if goes_on else typed


def _cell(part: str, *, has_bars: bool) -> Text:
    """The text of a cell, behind a bar where it has a share; a long name may break at a hyphen."""
    text = _text(part)
    text.overflow = "fold"
    if GLUE not in text.plain:
        text.plain = _HYPHEN.sub(_with_break, text.plain)
    share = share_of(part)
    if not has_bars or share == 0:
        return text
    bar = _bar(share, rich_style(part))
    if part:
        bar.append(GLUE * _GAP)
    return bar.append_text(text)


def _with_break(found: re.Match[str]) -> str:
    """A hyphen with a place to break a line behind it; an option as it is."""
    if found[0] == "-":
        return f"-{_BREAK}"
    return found[0]


def _bar(share: float, style: str) -> Text:
    """The bar of a need. Up to a share of 1, the bar is the room, filled by the need. Above 1, the
    bar is the need: the room, and the missing rest.
    """
    taken = min(share, 1 / share)
    filled_cells = max(round(taken * _BAR_CELLS), 1)
    if taken < 1:
        # a bar is full only where the need equals the room
        filled_cells = min(filled_cells, _BAR_CELLS - 1)
    bar = Text("━" * filled_cells, style=style)
    open_cells = _BAR_CELLS - filled_cells
    if share > 1:
        return bar.append("╍" * open_cells, style=style)
    return bar.append("─" * open_cells)


def _table_lines(
    table: Table,
    console: Console,
    width: int,
) -> Iterator[Text]:
    """The lines of a table, fitted into the width.

    1. Columns with a `drop` are left out while the others need more than the width. A column that
       wraps needs `_COMFORTABLE` cells, any other column its widest cell.
    2. If the kept columns fit without a broken word, rich narrows the columns that wrap.
    3. Else a table that `splits` becomes several tables of two columns. In any other table all
       columns wrap, if need be with one cell between two columns.
    """
    has_bars = width >= _WIDE_ENOUGH
    table = table.filled(with_bars=has_bars)
    rows = []
    for cells in table.rows:
        rows.append([_cell(cell, has_bars=has_bars) for cell in cells])
    room = width - table.indent
    widths = _widths(table, rows, console)
    # _WIDE_ENOUGH without an indent of two cells, which most tables have
    is_narrow = room < _WIDE_ENOUGH - 2
    shown = kept_columns(
        table, _needed_widths(table, widths, is_narrow=is_narrow), room
    )
    longest_words = [widths[at].minimum for at in shown]
    unbroken_widths = list(longest_words)
    for place, at in enumerate(shown):
        if not table.columns[at].wrap:
            unbroken_widths[place] = widths[at].maximum
    words_break = _total(unbroken_widths) > room
    if words_break and table.splits and len(shown) > 2:
        for at in shown[1:]:
            two_columns = table.of_columns([0, at]).replace(splits=False)
            yield from _table_lines(two_columns, console, width)
            yield Text()
        return
    gap = 1 if _total(longest_words) > room else _GAP
    drawing = _drawing(table, rows, shown, gap, all_wrap=words_break)
    options = console.options.update(width=room, max_width=room, no_wrap=False)
    for segments in console.render_lines(drawing, options, pad=False):
        line = Text(" " * table.indent)
        for segment in segments:
            line.append(segment.text.translate(_FINAL), segment.style)
        yield line
    left_out = []
    for at in widths:
        title = table.columns[at].title
        if title and at not in shown:
            left_out.append(title)
    if table.tells_left_out and left_out:
        all_widths = _needed_widths(table, widths, is_narrow=False)
        # the columns of a terminal are its cells
        needed_cells = table.indent + _total(all_widths.values())
        yield Text()
        titles = ", ".join(left_out)
        yield Text(f"With {needed_cells} columns the terminal also shows: {titles}")


def _drawing(
    table: Table,
    rows: Sequence[Sequence[Text]],
    shown: Sequence[int],
    gap: int,
    *,
    all_wrap: bool,
) -> RichTable:
    """The columns at the places `shown` as a table of rich, whose cells are not yet wrapped."""
    drawing = RichTable(
        box=None,
        pad_edge=False,
        padding=(0, gap, 0, 0),
        header_style="",
        show_header=any(table.columns[at].title for at in shown),
    )
    for at in shown:
        column = table.columns[at]
        drawing.add_column(
            _cell(column.title, has_bars=False),
            justify="right" if column.right else "left",
            no_wrap=not (column.wrap or all_wrap),
            # else rich leaves a narrow column out where others are wide
            min_width=1,
            overflow="fold",
        )
    for row in rows:
        drawing.add_row(*[row[at] for at in shown])
    return drawing


def _total(widths: Collection[int]) -> int:
    """The width of columns of these widths with the gaps between them."""
    return sum(widths) + _GAP * (len(widths) - 1)


def _widths(
    table: Table,
    rows: Sequence[Sequence[Text]],
    console: Console,
) -> dict[int, Measurement]:
    """The widths of each column by its place, as rich measures cells and titles: the `minimum` of
    its longest word and the `maximum` of its widest cell.
    """
    widths = {}
    for at, column in enumerate(table.columns):
        cells = [_cell(column.title, has_bars=False), *[row[at] for row in rows]]
        sizes = [cell.__rich_measure__(console, console.options) for cell in cells]
        longest_word = max(size.minimum for size in sizes)
        widths[at] = Measurement(longest_word, max(size.maximum for size in sizes))
    return widths


def _needed_widths(
    table: Table,
    widths: dict[int, Measurement],
    *,
    is_narrow: bool,
) -> dict[int, int]:
    """The width that each column needs beside the others. A column that wraps, as every column does
    in a narrow terminal, needs at most `_COMFORTABLE` cells.
    """
    needed = {}
    for at, width in widths.items():
        needed[at] = width.maximum
        if is_narrow or table.columns[at].wrap:
            needed[at] = min(width.maximum, _COMFORTABLE)
    return needed


def kept_columns(
    table: Table,
    needed_widths: dict[int, int],
    room: int,
) -> list[int]:
    """The places of the columns to show. Columns with a `drop`, the highest first, are left out one
    by one until the others have room; columns without a `drop` always stay. If no column with a
    `drop` would stay, the first of them that has room beside the others stays.
    """
    kept = dict(needed_widths)
    droppable = [at for at in kept if table.columns[at].drop]
    droppable.sort(key=lambda at: table.columns[at].drop, reverse=True)
    for at in droppable:
        if _total(kept.values()) > room:
            del kept[at]
    if kept.keys().isdisjoint(droppable):
        # a wide column that went last may leave room for a narrow one that went before
        for at in reversed(droppable):
            if _total([*kept.values(), needed_widths[at]]) <= room:
                kept[at] = needed_widths[at]
                break
    return sorted(kept)
