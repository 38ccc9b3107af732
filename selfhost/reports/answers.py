"""What `print`, `rich.print` and a notebook show of an answer, of a machine and of a model."""

from __future__ import annotations

import re
from functools import singledispatch
from typing import TYPE_CHECKING

from ..advice.listing import Ranking
from ..advice.plan import Plan
from ..advice.several import Comparison
from ..advice.sizes import ContainerSize
from ..catalogue.spec import ModelSpec
from ..core.records import ShownRecord
from ..core.workload import in_python
from ..judge.record import Verdict
from ..machine.record import Machine
from .check_text import check_document
from .compare_text import compare_document
from .layout import Block, Blocks, Paragraph, Span, Table, plain, share_of, style_of
from .list_text import ListHints, list_document
from .machine_text import machine_document
from .plan_text import plan_document
from .show_text import model_document
from .size_text import FORMATS, size_document

if TYPE_CHECKING:
    from .screen import Drawn

# in `…: -v` and `(see -v)`
_VERBOSE = re.compile(r"(?<=: )-v$|(?<=see )-v(?=\))")
# the argument of `rank` with which it judges every model
_JUDGE_ALL = "top=None"


def document(answer: ShownRecord) -> Blocks:
    """Return the blocks that the command of that answer shows, with keywords of Python in place of
    options.
    """
    return map(_block_in_python, _of_command(answer))


@singledispatch
def _of_command(answer: ShownRecord) -> Blocks:
    """The blocks that the command of that answer shows."""
    raise NotImplementedError(type(answer).__name__)


@_of_command.register
def _(answer: Verdict) -> Blocks:
    """The screen of `check` for one model."""
    return check_document([answer])


@_of_command.register
def _(answer: ContainerSize) -> Blocks:
    """The screen of `size` for one model; Python has no keyword for its formats."""
    return size_document([answer], to_paste=f"selfhost size MODEL {FORMATS}")


@_of_command.register
def _(answer: Ranking) -> Blocks:
    """The screen of `list`. The dict has every row that was judged, every column and reason."""
    every_row = "to_json()"
    if len(answer.models) < answer.counts.models:
        # only the first were judged
        every_row = _JUDGE_ALL
    hints = ListHints(
        rows=every_row,
        columns="to_json()",
        judge_all=_JUDGE_ALL,
        why_not="to_json()",
    )
    return list_document(answer, notes=answer.notes, hints=hints)


@_of_command.register
def _(machine: Machine) -> Blocks:
    """The screen of `machine`."""
    return machine_document(machine)


@_of_command.register
def _(model: ModelSpec) -> Blocks:
    """What `show` says of a model without a machine."""
    return model_document(model)


_of_command.register(Comparison, compare_document)
_of_command.register(Plan, plan_document)


def _block_in_python(block: Block) -> Block:
    """The block with keywords of Python where a sentence names options."""
    if isinstance(block, Paragraph):
        return _paragraph_in_python(block)
    return _table_in_python(block)


def _paragraph_in_python(paragraph: Paragraph) -> Paragraph:
    return paragraph.replace(parts=tuple(map(_part_in_python, paragraph.parts)))


def _table_in_python(table: Table) -> Table:
    rows = [tuple(map(_part_in_python, row)) for row in table.rows]
    return table.replace(rows=tuple(rows))


def _part_in_python(part: str) -> str:
    """The text in its style, with keywords of Python; a line to type stays as it is."""
    style = style_of(part)
    if style in ("command", "comment"):
        return part
    # `-v` of the command line adds what the dict has
    told = _VERBOSE.sub("to_json()", in_python(part))
    return part if told == part else Span(told, style, share_of(part))


def text(answer: ShownRecord) -> str:
    """Return what `print` shows: plain text that ends without a newline."""
    return plain(document(answer)).rstrip("\n")


def drawn(answer: ShownRecord) -> Drawn:
    """Return what `rich.print` draws."""
    # only who has loaded rich asks for it
    from .screen import Drawn

    return Drawn(document(answer))
