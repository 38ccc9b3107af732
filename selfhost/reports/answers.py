"""What `print`, `rich.print` and a notebook show of an answer, of a machine and of a model."""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING

from ..advice.listing import Ranking
from ..advice.plan import Plan
from ..advice.several import Comparison
from ..advice.sizes import ContainerSize
from ..catalogue.spec import ModelSpec
from ..core.records import ShownRecord
from ..judge.record import Verdict
from ..machine.record import Machine
from .check_text import check_document
from .compare_text import compare_document
from .layout import Blocks, plain
from .list_text import list_document
from .machine_text import machine_document
from .plan_text import plan_document
from .show_text import model_document
from .size_text import size_document

if TYPE_CHECKING:
    from .screen import Drawn


@singledispatch
def document(answer: ShownRecord) -> Blocks:
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


@document.register
def _(machine: Machine) -> Blocks:
    """The screen of `machine`."""
    return machine_document(machine)


@document.register
def _(model: ModelSpec) -> Blocks:
    """What `show` says of a model without a machine."""
    return model_document(model)


document.register(Comparison, compare_document)
document.register(Plan, plan_document)
document.register(Ranking, list_document)


def text(answer: ShownRecord) -> str:
    """Return what `print` shows: plain text that ends without a newline."""
    return plain(document(answer)).rstrip("\n")


def drawn(answer: ShownRecord) -> Drawn:
    """Return what `rich.print` draws."""
    # only who has loaded rich asks for it
    from .screen import Drawn

    return Drawn(document(answer))
