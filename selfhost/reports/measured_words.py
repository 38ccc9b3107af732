"""What others measured of a model, in words: for a list, an answer, a comparison and a page of
facts.
"""

from __future__ import annotations

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
from .layout import Blocks, Cells, Hint, Table, section

BY_SIZE_AND_AGE = "by size and age"
_DAY_AS_MONTH = len("2026-04")


def basis_words(model: ModelSpec, use: str | None = None) -> str:
    """`5 boards`, or `by size and age` of a model that nobody measured for the use; empty for a
    model that writes no text.
    """
    quality = quality_of_model(model, wanted=use)
    if quality.basis == MEASURED:
        return units.plural(quality.boards, "board")
    return BY_SIZE_AND_AGE if model.writes_text else ""


def measured_lines(verdict: Verdict) -> Iterator[Cells]:
    """Yield the parts of two lines: the newest score that others measured for the use, or that
    there is none; then the models here that are about alike. Nothing for a model of another kind
    that nobody measured.
    """
    quality: ModelQuality | None = verdict.quality
    if quality is None:
        return
    rows = [row for row in rows_of(verdict.model) if row.is_independent]
    if not rows:
        if quality.use is not None:
            yield ("scores by others: none is known",)
        return
    boards = len({row.board for row in rows})
    told = "none"
    others = f"{units.plural(boards, 'board')} of other work"
    if quality.basis == MEASURED or quality.use is None:
        told = _score_words(_newest(rows, quality))
        others = units.plural(boards - 1, "more board") if boards > 1 else ""
    use = f" for {quality.use}" if quality.use else ""
    more = ""
    if others:
        to_show = f"selfhost show {verdict.model.id}"
        more = Hint(f"; {others}: ", to_show, shows="show")
    yield f"scores by others{use}: {told}", more
    if quality.alike:
        yield (f"about alike here: {', '.join(quality.alike)}",)


def _newest(rows: Sequence[MeasuredRow], quality: ModelQuality) -> MeasuredRow:
    """The newest score for the use that the order rests on; of all where none is marked."""
    for row in rows:
        if row.in_order and quality.use in row.uses:
            return row
    return rows[0]


def _score_words(row: MeasuredRow) -> str:
    """`Arena text 1451 Elo (2026-04, thinking)`."""
    remarks = [row.date[:_DAY_AS_MONTH]]
    if row.setting:
        remarks.append(row.setting)
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
