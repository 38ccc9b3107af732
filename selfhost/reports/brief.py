"""The short answer for an agent, which pays for each token that it reads: about ten lines of text,
and an object with the few keys that decide.

`text` writes the lines, `members` the object. Both take any answer. Keys have the names and the
forms that they have in the JSON of the contract, and a key without a value is left out.
`to_json()` of the answer has everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import singledispatch
from typing import Any

from ..advice.listing import Ranking
from ..advice.plan import Plan
from ..advice.several import Compared, Comparison
from ..advice.sizes import ContainerSize
from ..catalogue.spec import ModelSpec
from ..core.records import Record, ShownRecord
from ..judge.record import Route, Verdict
from ..machine.record import Machine
from . import answers, json
from .check_text import brief_document, brief_offers
from .json import Object
from .labels import LABELS
from .layout import Block, Paragraph, plain, style_of
from .words import first_way

_MACHINES = 10
# how an agent sees more: by an argument of the same tool, or by another tool
_WAYS: answers.Ways = {
    "all": "verbose",
    "reasons": "verbose",
    "columns": "verbose",
    "models": "a larger top",
    "range": "its range: `check`",
    "list": "`list`",
    "plan": "`plan`",
    "machine": "`machine`",
    # no tool writes files
    "files": "",
}


# ---------------------------------------------------------------- lines


def text(answer: ShownRecord) -> str:
    """Return the answer in lines of plain text, with tools in place of commands of selfhost."""
    if isinstance(answer, Verdict):
        blocks = answers.retold(brief_document(answer), _WAYS)
    else:
        blocks = answers.document(answer, _WAYS)
    kept = [block for block in blocks if not _is_own_command(block)]
    return "\n".join(filter(None, plain(kept).splitlines()))


def _is_own_command(block: Block) -> bool:
    """Whether the block is a command of selfhost to type."""
    if not isinstance(block, Paragraph) or not block.parts:
        return False
    first = block.parts[0]
    return style_of(first) == "command" and first.startswith("selfhost ")


# ---------------------------------------------------------------- objects


def members(answer: ShownRecord) -> Object:
    """Return the keys that decide, each with its value."""
    kept: Object = _without_blanks(_members(answer))
    return kept


def _without_blanks(value: Any) -> Any:
    """The value without keys that are unknown, empty or false, at any depth; a pace or a price is
    rounded to three digits.
    """
    if isinstance(value, float):
        return float(f"{value:.3g}")
    if isinstance(value, list):
        return list(map(_without_blanks, value))
    if not isinstance(value, Mapping):
        return value
    kept = {}
    for key, inner in value.items():
        told = _without_blanks(inner)
        if told not in (None, [], {}) and told is not False:
            kept[key] = told
    return kept


@singledispatch
def _members(answer: ShownRecord) -> Object:
    """The keys of an answer, some of them without a value."""
    raise NotImplementedError(type(answer).__name__)


@_members.register
def _(answer: Verdict) -> Object:
    """A verdict with the models that run instead and the first offers."""
    found = _row(answer, "verdict")
    found["waits"] = json.record(answer.waits[:1])
    found["setup"] = [line.removeprefix("# ") for line in first_way(answer.setup)]
    found["commands"] = list(answer.commands)
    found["alternatives"] = _each(answer.alternatives, "alternative")
    found["api_offers"] = _each(brief_offers(answer), "offer")
    if answer.route is Route.UNKNOWN:
        undecided = [finding for finding in answer.findings if finding.decides]
        found["findings"] = _each(undecided, "finding")
    return found


def _row(verdict: Verdict, name: str) -> Object:
    """A verdict with the keys that are listed under that name."""
    found = {"model": _model(verdict.model)}
    found |= json.fields(verdict, json.keys_of(f"brief {name}"))
    speed = verdict.speed
    if speed is not None and speed.work is not None:
        found["speed"] = json.fields(speed, "work unit")
    return found


def _model(spec: ModelSpec) -> Object:
    """The id of a model and its license."""
    told = json.record(spec)
    return {"id": told["id"], "license": told["license"]}


def _each(records: Iterable[Record], name: str) -> list[Object]:
    """The keys of each record that are listed under that name."""
    keys = json.keys_of(f"brief {name}")
    return [json.fields(record, keys) for record in records]


@_members.register
def _(answer: Ranking) -> Object:
    """The models in their order."""
    return {"models": [_row(verdict, "row") for verdict in answer.models]}


@_members.register
def _(answer: Comparison) -> Object:
    """The models in the order asked."""
    return {"models": list(map(_compared, answer.models))}


def _compared(compared: Compared) -> Object:
    """A verdict with the first offer, and how open the model is."""
    found = _row(compared.verdict, "verdict")
    offers = [offer for offer in compared.verdict.api_offers if not offer.stands_in]
    found["api_offers"] = _each(offers[:1], "price")
    openness = []
    for row in (*compared.permissions, *compared.openness):
        if row.name in LABELS.lists["compared"]:
            openness.append({"name": row.name, "answer": row.answer})
    found["openness"] = openness
    return found


@_members.register
def _(answer: Plan) -> Object:
    """The least machine, and the first known machines."""
    least = None
    if answer.least is not None:
        least = json.fields(answer.least, json.keys_of("brief least"))
    return {
        "model": _model(answer.model),
        "least": least,
        "reasons": _each(answer.reasons, "finding"),
        "machines": _each(answer.machines[:_MACHINES], "machine"),
        "machines_not_listed": len(answer.machines[_MACHINES:]),
    }


@_members.register
def _(answer: ContainerSize) -> Object:
    """The sizes, and what starts the container."""
    sized = json.fields(answer, json.keys_of("brief size"))
    return {"model": _model(answer.model), **sized}


@_members.register
def _(answer: Machine) -> Object:
    """The facts on which an answer rests."""
    facts = answer.to_json()
    return {key: facts.get(key) for key in json.keys_of("brief facts").split()}
