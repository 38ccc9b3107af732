"""What shows an answer of the Python API: `print`, `rich.print` and a notebook."""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING

from ..advice.listing import Ranking
from ..advice.plan import Plan
from ..advice.several import Comparison
from ..advice.sizes import ContainerSize
from ..judge.record import Report, Verdict
from .check_text import check_document
from .compare_text import compare_document
from .layout import Blocks, plain
from .list_text import list_document
from .plan_text import plan_document
from .size_text import size_document

if TYPE_CHECKING:
    from .screen import Drawn


@singledispatch
def document(answer: Report) -> Blocks:
    """Return the blocks that the command of that answer shows."""
    raise NotImplementedError(type(answer).__name__)


@document.register
def _(answer: Verdict) -> Blocks:
    """The screen of `check` for one model."""
    return check_document([answer])


@document.register
def _(answer: ContainerSize) -> Blocks:
    """The screen of `size` for one model."""
    return size_document([answer])


document.register(Comparison, compare_document)
document.register(Plan, plan_document)
document.register(Ranking, list_document)


def text(answer: Report) -> str:
    """Return what `print` shows: plain text that ends without a newline."""
    return plain(document(answer)).rstrip("\n")


def drawn(answer: Report) -> Drawn:
    """Return what `rich.print` draws."""
    # only who has loaded rich asks for it
    from .screen import Drawn

    return Drawn(document(answer))
