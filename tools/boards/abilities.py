"""Writes `specs/common/abilities.toml`: the fit of every use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.scores import Score, measured_ids, scores_of

from .fit import APART_ERRORS, SPREAD, TOTAL_WEIGHT, USES, Fit, Point, fit

_HEAD = """\
# How able models are at a use, by what others measured: `python tools/measured.py --fit` writes this file, of scores.jsonl,
# boards.toml and the sizes and dates of the models. tools/boards/fit.py says how; selfhost/catalogue/abilities.py what each key means.
# A model that nobody measured has no row.
schema = 1
"""


def fits(catalogue: Catalogue) -> dict[str, Fit]:
    """The fit of each use, to the scores that the catalogue ships."""
    outlines = catalogue.outlines
    scores: dict[str, Iterable[Score]] = {}
    for id in measured_ids():
        scores[id] = scores_of(id)
    return {use: fit(use, scores, outlines) for use in USES}


def text_of(fitted: Mapping[str, Fit]) -> str:
    """The content of the file."""
    days = [point.day for use in fitted.values() for point in use.points]
    parts = [_HEAD, f'as_of = "{max(days)}"\n']
    for use, found in fitted.items():
        parts.append(_use_text(use, found))
    return "".join(parts)


def _use_text(use: str, found: Fit) -> str:
    """The tables of one use."""
    trend = found.trend
    lines = [
        "",
        f"[use.{use}]",
        f"base = {trend.base:.4f}",
        f"per_size = {trend.per_size:.4f}",
        f"per_year = {trend.per_year:.4f}",
        f"total_weight = {TOTAL_WEIGHT}",
        f"spread = {SPREAD}",
        f"apart_errors = {APART_ERRORS}",
        "",
        f"[use.{use}.models]",
    ]
    by_model: dict[str, list[Point]] = {}
    for point in found.points:
        by_model.setdefault(point.model, []).append(point)
    for model in sorted(found.estimates):
        estimate = found.estimates[model]
        rows = by_model[model]
        sources = len({row.source for row in rows})
        newest = max(row.day for row in rows)
        lines.append(
            f'"{model}" = {{ ability = {estimate.ability:.2f}, error = {estimate.error:.2f}, '
            f'boards = {len(rows)}, sources = {sources}, newest = "{newest}" }}'
        )
    return "\n".join(lines) + "\n"


def write(path: Path, catalogue: Catalogue) -> None:
    """Fit, and write the file."""
    path.write_text(text_of(fits(catalogue)), encoding="utf-8")
