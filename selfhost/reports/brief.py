"""The short answer for an agent, which pays for each token that it reads: about ten lines of text,
and an object with the few keys that decide.

`text` writes the lines, `members` the object. Both take any answer. Keys have the names and the
forms that they have in the JSON of the contract, and a key without a value is left out.
`to_json()` of the answer has everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import singledispatch
from operator import attrgetter

from ..advice.listing import Ranking
from ..advice.plan import Plan
from ..advice.several import Compared, Comparison
from ..advice.sizes import ContainerSize
from ..catalogue.spec import ModelSpec
from ..core.records import Record, ShownRecord
from ..judge.record import Route, Verdict
from ..machine.record import Machine
from . import answers, json
from .api_words import own_offers
from .check_text import brief_document, brief_offers
from .json import Object
from .labels import LABELS
from .layout import Block, Cells, Paragraph, Table, plain, style_of
from .words import first_way

_MACHINES = 10
# values of keys that are left out, beside false
_BLANK: Sequence[object] = (None, [], {})
# how an agent sees more: by an argument of the same tool, or by another tool
_WAYS: answers.Ways = {
    "all": "verbose",
    "reasons": "verbose",
    "columns": "",
    "models": "`from`, or a larger `top`",
    "range": "its range: `check`",
    "list": "`list`",
    "plan": "`plan`",
    "machine": "`machine`",
    # no tool shows one model, or writes files
    "show": "",
    "files": "",
}


# ---------------------------------------------------------------- lines


def text(answer: ShownRecord) -> str:
    """Return the answer in lines of plain text, with tools in place of commands of selfhost."""
    if isinstance(answer, Verdict):
        blocks = answers.retold(brief_document(answer), _WAYS)
    else:
        blocks = answers.document(answer, _WAYS)
    kept: list[Block] = []
    for block in blocks:
        if isinstance(block, Table):
            kept.append(_filled(block))
        elif not _is_own_command(block):
            kept.append(block)
    lines = filter(None, plain(kept).splitlines())
    return "\n".join(map(_without_padding, lines))


def _filled(table: Table) -> Table:
    """The table with a dash in each empty cell between others: its columns need no padding."""
    return table.replace(rows=tuple(map(_without_gaps, table.rows)))


def _without_gaps(row: Cells) -> Cells:
    """The cells of a row with a dash in each empty one before the last text."""
    last_text = max(place for place, cell in enumerate(row) if cell)
    cells = []
    for place, cell in enumerate(row):
        is_gap = not cell and place < last_text
        cells.append("-" if is_gap else cell)
    return tuple(cells)


def _without_padding(line: str) -> str:
    """The line with two spaces between its columns, since an agent pays for each."""
    return re.sub(r"(?<=\S) {3,}", "  ", line)


def _is_own_command(line: Paragraph) -> bool:
    """Whether the line is a command of selfhost to type."""
    if not line.parts:
        return False
    first = line.parts[0]
    return style_of(first) == "command" and first.startswith("selfhost ")


# ---------------------------------------------------------------- objects


def members(answer: ShownRecord) -> Object:
    """Return the keys that decide, each with its value."""
    return _without_blanks(_members(answer))


def _without_blanks(values: Mapping[str, object]) -> Object:
    """The values without those that are unknown, empty or false, at any depth."""
    kept = {}
    for key, value in values.items():
        told = _told(value)
        if told is not False and told not in _BLANK:
            kept[key] = told
    return kept


def _told(value: object) -> object:
    """A value without the blanks inside it; a pace or a price is rounded to three digits."""
    if isinstance(value, float):
        rounded = float(f"{value:.3g}")
        return int(rounded) if rounded.is_integer() else rounded
    if isinstance(value, list):
        return list(map(_told, value))
    if isinstance(value, Mapping):
        return _without_blanks(value)
    return value


def _listed(record: Record | None, name: str) -> Object:
    """The keys of a record that are listed under that name; {} without a record."""
    if record is None:
        return {}
    return json.fields(record, json.keys_of(f"brief {name}"))


def _each(records: Iterable[Record], name: str) -> list[Object]:
    """The keys of each record that are listed under that name."""
    return [_listed(record, name) for record in records]


def _model(spec: ModelSpec) -> Object:
    """The id of a model and its license."""
    license = None
    if spec.license is not None:
        license = spec.license.id
    return {"id": spec.id, "license": license}


def _judged(verdict: Verdict, name: str) -> Object:
    """A verdict with the keys that are listed under that name, its model, and its pace of other
    work than text.
    """
    found = _listed(verdict, name)
    found["model"] = _model(verdict.model)
    speed = verdict.speed
    if speed is not None and speed.work is not None:
        found["speed"] = json.fields(speed, "work unit")
    return found


@singledispatch
def _members(answer: ShownRecord) -> Object:
    """The keys of an answer, some of them without a value."""
    raise NotImplementedError(type(answer).__name__)


@_members.register
def _(answer: Verdict) -> Object:
    """A verdict with the models that run instead and the first offers."""
    found = _judged(answer, "verdict")
    found["waits"] = json.record(answer.waits[:1])
    found["setup"] = [line.removeprefix("# ") for line in first_way(answer.setup)]
    found["commands"] = list(answer.commands)
    found["alternatives"] = _each(answer.alternatives, "alternative")
    found["api_offers"] = _each(brief_offers(answer), "offer")
    if answer.route is Route.UNKNOWN:
        undecided = filter(attrgetter("decides"), answer.findings)
        found["findings"] = _each(undecided, "finding")
    return found


@_members.register
def _(answer: Ranking) -> Object:
    """The models in their order."""
    return {"models": [_judged(verdict, "row") for verdict in answer.models]}


@_members.register
def _(answer: Comparison) -> Object:
    """The models in the order asked."""
    return {"models": list(map(_compared, answer.models))}


def _compared(compared: Compared) -> Object:
    """A verdict with the first offer, and how open the model is."""
    verdict = compared.verdict
    found = _judged(verdict, "verdict")
    found["api_offers"] = _each(own_offers(verdict)[:1], "price")
    answered = [*compared.permissions, *compared.openness]
    shown = [row for row in answered if row.name in LABELS.lists["compared"]]
    found["openness"] = _each(shown, "openness")
    return found


@_members.register
def _(answer: Plan) -> Object:
    """The least machine, and the first known machines."""
    return {
        "model": _model(answer.model),
        "least": _listed(answer.least, "least"),
        "reasons": _each(answer.reasons, "finding"),
        "machines": _each(answer.machines[:_MACHINES], "machine"),
        "machines_not_listed": len(answer.machines[_MACHINES:]),
    }


@_members.register
def _(answer: ContainerSize) -> Object:
    """The sizes, and what starts the container."""
    found = _listed(answer, "size")
    found["model"] = _model(answer.model)
    return found


@_members.register
def _(answer: Machine) -> Object:
    """The facts on which an answer rests."""
    facts = answer.to_json()
    return {key: facts[key] for key in json.keys_of("brief facts").split()}
