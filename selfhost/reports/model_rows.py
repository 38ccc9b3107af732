"""Models with their figures, a row each: what `list`, `check` of several and `compare` show."""

from __future__ import annotations

from collections.abc import Sequence

from ..catalogue.spec import ModelSpec
from ..core import units
from ..judge.record import Verdict
from .layout import Cell, Column, Table, strong
from .words import PACES, download_of, license_name, memory_of, pace_of, pace_title

_PLACES = {"host": "RAM", "accelerator": "GPU", "split": "GPU+RAM"}
# by name; the pace's title depends on the models
_COLUMNS = {
    "memory": Column(title="memory", right=True, drop=2),
    "in": Column(title="in", drop=3),
    "pace": Column(title="tokens/s", drop=1),
    "download": Column(title="download", right=True, drop=3),
    "judged as": Column(title="judged as", drop=3),
    "license": Column(title="license", drop=4, cut=18),
    "parameters": Column(title="parameters", right=True, drop=6),
    "quantization": Column(title="quantization", drop=5),
    "released": Column(title="released", drop=7),
    "why": Column(title="why", drop=9),
}


def rows_of(
    answers: Sequence[Verdict],
    first: Sequence[Cell],
    names: Sequence[str],
    whys: Sequence[str] = (),
    *,
    always_ends: bool = False,
) -> Table:
    """Return a row for each model: its `first` cell, its id and the facts of these names."""
    pace = pace_title(answer.speed for answer in answers)
    rows: list[tuple[Cell, ...]] = []
    for at, answer in enumerate(answers):
        facts = facts_of(answer, pace, always_ends=always_ends)
        facts["why"] = whys[at] if whys else ""
        rows.append((first[at], strong(answer.model.id), *(facts[name] for name in names)))
    columns = [Column(), Column(title="model"), *(_COLUMNS[name] for name in names)]
    for at, name in enumerate(names, 2):
        if name == "pace":
            columns[at] = columns[at].replace(title=pace, wrap=pace == PACES)
        elif name == "in" and len({row[at] for row in rows}) == 1:
            # all in one place: nothing to tell apart
            columns[at], rows = Column(), [(*row[:at], "", *row[at + 1 :]) for row in rows]
    return Table(columns=tuple(columns), rows=tuple(rows), indent=0)


def facts_of(answer: Verdict, pace: str, *, always_ends: bool = False) -> dict[str, str]:
    """Return the figures of a model by name; a dash is what is not known. `pace`: its title."""
    model, workload, needs = answer.model, answer.workload, answer.needs
    context = None if workload.context_tokens is None else f"{workload.context_tokens:,}"
    total = model.parameters.total
    return {
        "judged as": " ".join(filter(None, (workload.quantization, context))),
        "memory": memory_of(answer),
        "in": _PLACES.get((needs.placement if needs else None) or "", ""),
        "pace": pace_of(answer.speed, title=pace, always_ends=always_ends),
        "download": download_of(answer),
        "quantization": workload.quantization or "-",
        "parameters": units.count(total) if total is not None else "-",
        "released": model.released or "-",
        "license": license_words(model),
    }


def license_words(model: ModelSpec) -> str:
    """The license's id as a column holds it; `-` is not known."""
    if model.closed:
        return "closed"
    return license_name(model.license.id if model.license is not None else None) or "-"
