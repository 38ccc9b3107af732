"""Models with their figures, a row each: what `list`, `check` of several and `compare` show."""

from __future__ import annotations

from collections.abc import Sequence

from ..core import units
from ..judge.record import Verdict
from .layout import Cell, Column, Table, strong
from .words import PACES, license_name, pace_of, pace_title

_PLACES = {"host": "RAM", "accelerator": "GPU", "split": "GPU+RAM"}
# by name; the pace's title depends on the models
_COLUMNS = {
    "memory": Column(title="memory", right=True, drop=2),
    "in": Column(title="in", drop=3),
    "pace": Column(title="tokens/s", drop=1),
    "download": Column(title="download", right=True, drop=3),
    "judged as": Column(title="judged as", drop=3),
    "license": Column(title="license", drop=4, wrap=True),
    "parameters": Column(title="parameters", right=True, drop=6),
    "quantization": Column(title="quantization", drop=5),
    "released": Column(title="released", drop=7),
    "why": Column(title="why", drop=9),
}


def rows_of(
    answers: Sequence[Verdict], first: Sequence[Cell], names: Sequence[str], whys: Sequence[str]
) -> Table:
    """Return a row for each model: its `first` cell, its id and the facts of these names."""
    pace = pace_title(answer.speed for answer in answers)
    facts = [
        {**facts_of(answer, pace), "why": why}
        for answer, why in zip(answers, whys or [""] * len(answers), strict=True)
    ]
    if len({each["in"] for each in facts}) == 1:
        # all in one place: nothing to tell apart
        names = [name for name in names if name != "in"]
    rows = tuple(
        (sign, strong(answer.model.id), *(each[name] for name in names))
        for sign, answer, each in zip(first, answers, facts, strict=True)
    )
    paces = Column(title=pace, drop=1, wrap=pace == PACES)
    columns = [paces if name == "pace" else _COLUMNS[name] for name in names]
    return Table(columns=(Column(), Column(title="model"), *columns), rows=rows, indent=0)


def facts_of(answer: Verdict, pace: str) -> dict[str, str]:
    """Return the figures of a model by name; a dash is what is not known. `pace`: its title."""
    model, workload, needs = answer.model, answer.workload, answer.needs
    context = None if workload.context_tokens is None else f"{workload.context_tokens:,}"
    memory = needs.memory if needs is not None else None
    total = model.parameters.total
    how = filter(None, (workload.quantization, context))
    terms = license_name(model.license.id if model.license is not None else None)
    return {
        "judged as": " ".join(how),
        "memory": "-" if memory is None else units.binary(memory.total_bytes),
        "in": _PLACES.get((needs.placement if needs else None) or "", ""),
        "pace": pace_of(answer.speed, title=pace),
        "download": _download(needs.download_bytes if needs else None, answer.download_seconds),
        "quantization": workload.quantization or "-",
        "parameters": units.count(total) if total is not None else "-",
        "released": model.released or "-",
        "license": "closed" if model.closed else terms or "-",
    }


def _download(size: int | None, seconds: float | None) -> str:
    """The size, with its time where a rate was stated; `here`, or a dash."""
    if not size:
        return "-" if size is None else "here"
    return units.decimal(size) + ("" if seconds is None else f", {units.duration(seconds)}")
