"""Writes `specs/common/abilities.toml`: the fit of every use."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from selfhost.catalogue.abilities import Abilities, Ability
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.scores import Score, measured_ids, scores_of

from .fit import APART_ERRORS, SPREAD, TOTAL_WEIGHT, USES, Fit, fit

_HEAD = """\
# How able models are at a use, by what others measured: `python tools/measured.py --fit` writes this file, of scores.jsonl,
# boards.toml and the sizes and dates of the models. tools/boards/fit.py says how; selfhost/catalogue/abilities.py what each key means.
# A model that nobody measured has no row.
schema = 1
"""
# more digits would say more than the errors allow
_DIGITS = 2
_TREND_DIGITS = 4


def fits(catalogue: Catalogue) -> dict[str, Fit]:
    """The fit of each use, to the scores that the catalogue ships."""
    outlines = catalogue.outlines
    scores: dict[str, Iterable[Score]] = {}
    for id in measured_ids():
        scores[id] = scores_of(id)
    return {use: fit(use, scores, outlines) for use in USES}


def as_shipped(found: Fit) -> Abilities:
    """The fit of one use as the program reads it."""
    by_model = defaultdict(list)
    for point in found.points:
        by_model[point.model].append(point)
    models = {}
    for model in sorted(found.estimates):
        estimate = found.estimates[model]
        rows = by_model[model]
        models[model] = Ability(
            ability=round(estimate.ability, _DIGITS),
            error=round(estimate.error, _DIGITS),
            boards=len(rows),
            sources=len({row.source for row in rows}),
            newest=max(row.day for row in rows),
        )
    return Abilities(
        base=round(found.trend.base, _TREND_DIGITS),
        per_size=round(found.trend.per_size, _TREND_DIGITS),
        per_year=round(found.trend.per_year, _TREND_DIGITS),
        total_weight=TOTAL_WEIGHT,
        spread=SPREAD,
        apart_errors=APART_ERRORS,
        models=models,
    )


def write(path: Path, catalogue: Catalogue) -> None:
    """Fit, and write the file."""
    uses = {use: as_shipped(found) for use, found in fits(catalogue).items()}
    days = []
    for abilities in uses.values():
        days += [ability.newest or "" for ability in abilities.models.values()]
    parts = [_HEAD, f'as_of = "{max(days)}"\n']
    for use, abilities in uses.items():
        parts.append(_text_of(use, abilities))
    path.write_text("".join(parts), encoding="utf-8")


def _text_of(use: str, abilities: Abilities) -> str:
    """The tables of one use."""
    lines = ["", f"[use.{use}]"]
    for key, value in abilities.__getstate__().items():
        if key != "models":
            lines.append(f"{key} = {value}")
    lines += ["", f"[use.{use}.models]"]
    for model, row in abilities.models.items():
        lines.append(
            f'"{model}" = {{ ability = {row.ability}, error = {row.error}, '
            f'boards = {row.boards}, sources = {row.sources}, newest = "{row.newest}" }}'
        )
    return "\n".join(lines) + "\n"
