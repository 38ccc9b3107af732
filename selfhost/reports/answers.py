"""The texts that `print`, `rich.print` and a notebook show of an answer, a machine or a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
from . import json
from .answer_words import summary
from .check_text import check_document
from .compare_text import compare_document
from .layout import Blocks, Cells, Hint, Paragraph, Span, plain, share_of, style_of
from .list_text import list_document
from .machine_text import machine_document
from .markup import body
from .plan_text import plan_document
from .show_text import model_document
from .size_text import size_document

# what `core.records.Reports` asks for
__all__ = ["as_json", "drawn", "keys", "notebook", "summary", "text"]

if TYPE_CHECKING:
    from .screen import Drawn

# a hint tells what to type to see more. By what it shows (`Hint.shows`), the words that stand in
# place of the typed ones; "" leaves the hint out. Hints that are not listed stay as they are
Ways = Mapping[str, str]
_PYTHON: Ways = {
    "all": "to_json()",
    "reasons": "to_json()",
    "columns": "to_json()",
    "models": "top=None",
}


def document(answer: ShownRecord, ways: Ways = _PYTHON) -> Blocks:
    """Return the blocks that the command of that answer shows, with keywords of Python in place of
    options, and these ways to see more.
    """
    if isinstance(answer, Ranking) and len(answer.models) >= answer.counts.models:
        # no model was left out
        ways = {**ways, "models": ways["all"]}
    return retold(_of_command(answer), ways)


def retold(blocks: Blocks, ways: Ways) -> Blocks:
    """Yield the blocks with keywords in place of options, and with these ways to see more."""

    def told(parts: Iterable[str]) -> Cells:
        return tuple(_retold(part, ways) for part in parts)

    for block in blocks:
        if isinstance(block, Paragraph):
            yield block.replace(parts=told(block.parts))
        else:
            yield block.replace(rows=tuple(map(told, block.rows)))


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
    """The screen of `size` for one model."""
    return size_document([answer])


@_of_command.register
def _(answer: Ranking) -> Blocks:
    """The screen of `list`."""
    return list_document(answer, notes=answer.notes, options=answer.options)


_of_command.register(Comparison, compare_document)
_of_command.register(Machine, machine_document)
_of_command.register(ModelSpec, model_document)
_of_command.register(Plan, plan_document)


def _retold(part: str, ways: Ways) -> str:
    """The text in its style, with keywords in place of options. A line to type stays as it is."""
    if isinstance(part, Hint) and part.shows in ways:
        way = ways[part.shows]
        if not way:
            return ""
        return f"{part.before}{way}{in_python(part.behind)}"
    style = style_of(part)
    if style in ("command", "comment"):
        return part
    told = in_python(part)
    if told == part:
        return part
    return Span(told, style, share_of(part))


@singledispatch
def as_json(answer: ShownRecord) -> json.Object:
    """Return the object that the command of that answer prints with `--format json`."""
    return json.fields(answer)


as_json.register(Verdict, json.verdict)
as_json.register(Ranking, json.ranking)
as_json.register(Comparison, json.comparison)
as_json.register(Plan, json.plan)


def keys(kind: str) -> tuple[str, ...]:
    """Return the keys of the JSON of a class of answers; none where they are its fields."""
    listed = json.keys_of(kind) or json.keys_of(kind.lower())
    return tuple(listed.split())


def text(answer: ShownRecord) -> str:
    """Return what `print` shows: plain text that ends without a newline."""
    return plain(document(answer)).rstrip("\n")


def notebook(answer: ShownRecord) -> str:
    """Return the HTML that a notebook shows: a part of a page that loads and runs nothing."""
    return body(document(answer))


def drawn(answer: ShownRecord) -> Drawn:
    """Return what `rich.print` draws."""
    # imported here: only a program that has loaded rich calls this function
    from .screen import Drawn

    return Drawn(document(answer))
