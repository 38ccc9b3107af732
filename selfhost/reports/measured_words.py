"""What others measured of a model, in words: for a list, an answer, a comparison and a page of
facts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ..advice.measured import (
    MEASURED,
    MeasuredRow,
    ModelQuality,
    are_alike,
    better_than,
    quality_of_model,
    rows_of,
)
from ..catalogue.spec import ModelSpec
from ..core import units
from ..judge.record import Verdict
from .layout import Blocks, Table, section

BY_SIZE_AND_AGE = "by size and age"
# who measured: so many are named, and so many models about alike
_MOST_NAMED = 2
_MOST_ALIKE = 3
_DAY_AS_MONTH = len("2026-04")


def basis_words(model: ModelSpec, use: str | None = None) -> str:
    """`5 boards`, or `by size and age` of a model that nobody measured for the use; empty for a
    model that writes no text.
    """
    quality = quality_of_model(model, wanted=use)
    if quality.basis == MEASURED:
        return units.plural(quality.boards, "board")
    return BY_SIZE_AND_AGE if model.writes_text else ""


def measured_lines(verdict: Verdict) -> Iterator[str]:
    """Yield who measured the model, on what and when, and which models here are about alike;
    nothing for a model of another kind that nobody measured.
    """
    quality: ModelQuality | None = verdict.quality
    if quality is None:
        return
    rows = [row for row in rows_of(verdict.model) if row.is_independent]
    if quality.basis == MEASURED:
        yield f"measured for {quality.use} {_told(_counted(rows, quality))}"
        if quality.alike:
            yield f"about alike here: {', '.join(quality.alike[:_MOST_ALIKE])}"
        return
    if quality.use is not None and rows:
        boards = units.plural(len({row.board for row in rows}), "board")
        scores = (
            f"its scores on {boards} of other work: selfhost show {verdict.model.id}"
        )
        yield f"ranked {BY_SIZE_AND_AGE}; {scores}"
    elif quality.use is not None:
        yield f"ranked {BY_SIZE_AND_AGE}: no measurement by others is known"
    elif rows:
        yield f"measured {_told(rows)}"


def _counted(
    rows: Sequence[MeasuredRow], quality: ModelQuality
) -> Sequence[MeasuredRow]:
    """The scores for the use that the order rests on; all scores where none are marked."""
    counted = [row for row in rows if row.in_order and quality.use in row.uses]
    return counted or rows


def _told(rows: Sequence[MeasuredRow]) -> str:
    """`on 5 boards by LMArena and Aider, newest: Arena text 1451 Elo (2026-04, thinking)`."""
    boards = {row.board for row in rows}
    newest = _score_words(rows[0])
    if len(boards) == 1:
        return f"on 1 board: {newest}"
    by = Counter(row.table for row in rows)
    named = [who for who, _ in by.most_common(_MOST_NAMED)]
    more = len(by) - len(named)
    if more:
        named.append(units.plural(more, "other"))
    return f"on {len(boards)} boards by {_listed(named)}, newest: {newest}"


def _listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _score_words(row: MeasuredRow) -> str:
    """`Arena text 1451 Elo (2026-04, thinking)`."""
    remarks = [row.date[:_DAY_AS_MONTH]]
    if row.setting:
        remarks.append(row.setting)
    if row.public_since is not None:
        remarks.append(f"public since {row.public_since[:4]}")
    return f"{row.board} {_figure(row)} ({', '.join(remarks)})"


def _figure(row: MeasuredRow) -> str:
    """`1451 Elo`, `60.3 %`."""
    unit = "Elo" if row.unit == "elo" else "%"
    return f"{row.score:g} {unit}"


# ------------------------------------------------------------------ side by side


def better_words(models: Sequence[ModelSpec]) -> str:
    """The sentence that says which of these models are better by what others measured, and which
    are not told apart; empty where no two of them were measured.
    """
    better = []
    alike = []
    for at, model in enumerate(models):
        for other in models[at + 1 :]:
            verdict = better_than(model, other)
            if verdict is None:
                if are_alike(model, other):
                    alike.append(f"{model.id} and {other.id}")
                continue
            first, second = (model, other) if verdict else (other, model)
            better.append(f"{first.id} than {second.id}")
    sentences = []
    if better:
        sentences.append(f"Better, by what others measured: {', '.join(better)}.")
    if alike:
        sentences.append(f"About alike, by what others measured: {', '.join(alike)}.")
    return " ".join(sentences)


# ------------------------------------------------------------------ every score


def score_blocks(model: ModelSpec) -> Blocks:
    """Yield a table of every score that others measured, one of those that the maker states, and
    one for each source that does not say who ran the model.
    """
    by_title: dict[str, list[MeasuredRow]] = {}
    for row in rows_of(model):
        title = "Measured by others"
        if row.is_claim:
            title = "Its maker says"
        elif not row.is_independent:
            title = f"Measured by {row.by}"
        by_title.setdefault(title, []).append(row)
    for title, rows in by_title.items():
        yield from section(title, [_table(rows)])


def _table(rows: Sequence[MeasuredRow]) -> Table:
    """A line for each score."""
    lines = []
    for row in rows:
        public = ""
        if row.public_since is not None:
            public = f"questions public since {row.public_since}, before the model"
        figure = _figure(row)
        if row.ci95 is not None:
            figure = f"{figure} ±{row.ci95:g}"
        date = f"{row.date} ({row.date_of})"
        lines.append((row.board, figure, row.setting, date, row.source, public))
    return Table.of("scores", lines)
