"""The table of `browse`: one row for each model; only the rows on the screen are drawn.

What goes in: verdicts in the order to show. The cells are the same as in `selfhost list --wide`.
Textual's own table holds every cell of every row, which takes most of a second for a catalogue,
each time that the order changes.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding
from textual.events import Click, Resize
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ..judge.record import Outcome, Verdict
from ..reports.layout import Cells, Span, clean
from ..reports.list_text import row_cells
from ..reports.model_figures import (
    figures_of,
    have_paces,
    programs_of,
    table_of_paces,
)
from ..reports.screen import kept_columns, rich_style

# marks a model that does not run as asked but fits under a condition
FITS_IF = Span("↓", Outcome.WARN)
# the gap between two columns
_GAP = "  "
# the columns, by their places in `[tables."listed wide"]` of specs/common/labels.toml: the memory
# that holds the model (GPU, RAM or both), the program, and the pace
_PLACEMENT_COLUMN = 3
_PROGRAM_COLUMN = 5
_PACE_COLUMN = 6
# the last column there, the reason for the order, is too wide for this screen
_COLUMNS_LEFT_OUT = 1


class ModelTable(ScrollView):
    """A table with a cursor. It sends `Moved` when the cursor stands on another model, and `Opened`
    when a model is chosen by Enter or by a second click.
    """

    DEFAULT_CSS = """
    ModelTable { overflow-x: hidden; scrollbar-size-vertical: 1; }
    ModelTable > .table--header { text-style: bold; color: $text-muted; }
    ModelTable > .table--cursor { background: $primary 40%; text-style: bold; }
    ModelTable > .table--old { text-style: dim; }
    """
    COMPONENT_CLASSES = {"table--row", "table--header", "table--cursor", "table--old"}
    BINDINGS = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "turn_page(-1)", show=False),
        Binding("pagedown,space", "turn_page(1)", show=False),
        Binding("home", "move(-1_000_000)", show=False),
        Binding("end", "move(1_000_000)", show=False),
        Binding("enter", "open", "whole answer"),
    ]

    class Moved(Message):
        """The message that the cursor stands on another model; None: on no model."""

        def __init__(self, id: str | None) -> None:
            super().__init__()
            self.id = id

    class Opened(Message):
        """The message that the model at the cursor is chosen."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: Sequence[Verdict] = ()
        # the places of the columns that tell nothing of these rows
        self._hidden_columns: set[int] = set()
        # whether the rows belong to an earlier question
        self.is_old = False
        self._pace_title = ""
        # the index of the row at the cursor
        self._cursor = 0
        # the ids of models that fit under a condition
        self._conditional: set[str] = set()
        # the cells of rows that were drawn, by the id of the model
        self._cells: dict[str, Cells] = {}
        # the width of the cells of each column, in cells of the terminal: a column only grows
        self._widths: dict[int, int] = {}
        self._form = table_of_paces("listed wide", (), "")
        # the width of each column that is shown, from left to right
        self._shown_widths: dict[int, int] = {}

    # ------------------------------------------------------------ what is shown

    def show_rows(self, rows: Sequence[Verdict], pace_title: str) -> None:
        """Show these rows. The cursor stays on its model where the rows have it.

        A cursor at the top stays at the top, where better models are looked for.
        """
        id = self.current_id
        is_at_top = self._cursor == 0
        if self.is_old or pace_title != self._pace_title:
            self._forget_cells(pace_title)
        self.rows = rows
        self.is_old = False
        self._cursor = 0
        if not is_at_top:
            for index, row in enumerate(rows):
                if row.model.id == id:
                    self._cursor = index
        self._hidden_columns = set()
        if len({row.placement for row in rows}) < 2:
            self._hidden_columns.add(_PLACEMENT_COLUMN)
        if len(programs_of(rows)) < 2:
            self._hidden_columns.add(_PROGRAM_COLUMN)
        if not have_paces(rows):
            self._hidden_columns.add(_PACE_COLUMN)
        self.virtual_size = Size(0, len(rows) + 1)
        self._follow_cursor()
        self._fit_columns()
        self.refresh()
        if self.current_id != id:
            self.post_message(self.Moved(self.current_id))

    def mark_old(self) -> None:
        """Dim the rows, which answer an earlier question."""
        self.is_old = True
        self.refresh()

    def mark_conditional(self, id: str) -> None:
        """Mark a model that does not run as asked, and fits under a condition."""
        self._conditional.add(id)
        self._cells.pop(id, None)
        self.refresh()

    def _forget_cells(self, pace_title: str) -> None:
        """Make every cell anew, because the figures have changed."""
        self._pace_title = pace_title
        self._cells.clear()
        self._conditional.clear()
        self._widths.clear()
        self._form = table_of_paces("listed wide", (), pace_title)

    @property
    def current_row(self) -> Verdict | None:
        """The row at the cursor; None for an empty table."""
        if self._cursor < len(self.rows):
            return self.rows[self._cursor]
        return None

    @property
    def current_id(self) -> str | None:
        """The id of the model at the cursor; None for an empty table."""
        row = self.current_row
        return None if row is None else row.model.id

    # ------------------------------------------------------------ columns

    def _fit_columns(self) -> None:
        """Widen columns for the rows on the screen. A narrow table leaves columns out."""
        for row in self.rows_on_screen():
            for at, cell in enumerate(self._cells_of(row)):
                known = self._widths.get(at, 0)
                self._widths[at] = max(known, cell_len(clean(cell)))
        columns = self._form.columns[:-_COLUMNS_LEFT_OUT]
        needed = {}
        for at, column in enumerate(columns):
            width = self._widths.get(at, 0)
            is_empty = width == 0
            if not is_empty and at not in self._hidden_columns:
                needed[at] = max(width, cell_len(column.title))
        width_of_table = self.size.width - 1
        self._shown_widths = {}
        for at in kept_columns(self._form, needed, width_of_table):
            self._shown_widths[at] = needed[at]

    def rows_on_screen(self) -> Sequence[Verdict]:
        """The rows that can be seen."""
        first = round(self.scroll_y)
        return self.rows[first : first + self._page_rows]

    @property
    def _page_rows(self) -> int:
        """The number of rows that the screen has room for under the titles."""
        return max(1, self.size.height - 1)

    def _cells_of(self, row: Verdict) -> Cells:
        """The cells of a row. A model that fits under a condition has the sign `FITS_IF`."""
        id = row.model.id
        cells = self._cells.get(id)
        if cells is None:
            figures = figures_of(row, self._pace_title)
            cells = row_cells(row, figures)
            if id in self._conditional:
                cells = (FITS_IF, *cells[1:])
            self._cells[id] = cells
        return cells

    # ------------------------------------------------------------ drawing

    def render_line(self, y: int) -> Strip:
        """Return a line of the screen: the titles first, then the rows."""
        style = self.get_component_rich_style("table--row")
        if y == 0:
            style += self.get_component_rich_style("table--header")
            titles = [column.title for column in self._form.columns]
            return self._strip(titles, style)
        index = self._row_index_at(y)
        if index >= len(self.rows):
            return Strip.blank(self.size.width, style)
        if self.is_old:
            style += self.get_component_rich_style("table--old")
        if index == self._cursor:
            style += self.get_component_rich_style("table--cursor")
        row = self.rows[index]
        return self._strip(self._cells_of(row), style)

    def _row_index_at(self, y: int) -> int:
        """The index of the row on a line of the screen; the line 0 has the titles."""
        first = round(self.scroll_y)
        return first + y - 1

    def _strip(self, cells: Sequence[str], style: Style) -> Strip:
        """The cells of the columns that are shown, each as wide as its column."""
        segments = []
        gap = Segment(_GAP, style)
        for at, width in self._shown_widths.items():
            cell = cells[at]
            text = clean(cell)
            if self._form.columns[at].right:
                text = " " * (width - cell_len(text)) + text
            text = set_cell_size(text, width)
            own_style = Style.parse(rich_style(cell) or "none")
            segments.append(Segment(text, style + own_style))
            segments.append(gap)
        strip = Strip(segments)
        return strip.adjust_cell_length(self.size.width, style)

    # ------------------------------------------------------------ moving

    def action_move(self, rows: int) -> None:
        """Move the cursor by so many rows, at most to the first or last."""
        last = len(self.rows) - 1
        index = max(0, min(last, self._cursor + rows))
        if index == self._cursor:
            return
        self._cursor = index
        # the columns are fitted where the table scrolls (`watch_scroll_y`)
        self._follow_cursor()
        self.refresh()
        self.post_message(self.Moved(self.current_id))

    def action_turn_page(self, pages: int) -> None:
        """Move the cursor by so many screens."""
        self.action_move(pages * self._page_rows)

    def action_open(self) -> None:
        """Choose the model at the cursor."""
        if self.current_id is not None:
            self.post_message(self.Opened())

    def _follow_cursor(self) -> None:
        """Scroll so that the cursor is on the screen."""
        first = round(self.scroll_y)
        if self._cursor < first:
            first = self._cursor
        elif self._cursor >= first + self._page_rows:
            first = self._cursor - self._page_rows + 1
        self.scroll_to(y=first, animate=False, immediate=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Fit the columns to the rows that come into sight."""
        super().watch_scroll_y(old_value, new_value)
        self._fit_columns()

    def on_resize(self, _event: Resize) -> None:
        """Fit the columns to the new width."""
        self._follow_cursor()
        self._fit_columns()

    def on_click(self, event: Click) -> None:
        """Move the cursor to the clicked row; choose a row that has the cursor already."""
        index = self._row_index_at(event.y)
        if event.y == 0 or index >= len(self.rows):
            return
        if index == self._cursor:
            self.action_open()
        else:
            self.action_move(index - self._cursor)
