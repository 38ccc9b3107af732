"""What others measured of a model: how often, when, and which other models are about alike.

A spec goes in. `quality_of_model` returns the `ModelQuality` that answers and lists show, and
`rows_of` every score behind it, for `show`. `better_than` says of two models which one is better,
as far as the measurements tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..catalogue.abilities import CODE, Abilities, abilities
from ..catalogue.scores import Score, scores_of
from ..catalogue.spec import ModelSpec
from ..core.records import Record
from ..judge.quality import Quality
from .ranking import ability_use

# what the place of a model in a list rests on, beside its pace
MEASURED = "measured"
ESTIMATED = "estimated"
# models about alike that an answer names
_MOST_ALIKE = 3


class ModelQuality(Record):
    """How good a model is: what its place in a list rests on, then what its type costs.

    - `use`: chat or code; None for models of another kind, of whose ability too little is measured.
    - `basis`: "measured" by others than its maker, or "estimated" by size and age.
    - `boards`: how many boards measured it for that use; `newest`: the day of the newest score,
      None without any.
    - `alike`: ids of other models that the boards do not tell apart from it, the nearest first.
    - `quantization` and the rest are those of `judge.quality.Quality`; None in a list, and where no
      type is known.
    """

    use: str | None
    basis: str = ESTIMATED
    boards: int = 0
    newest: str | None = None
    alike: tuple[str, ...] = ()
    quantization: str | None = None
    cost: str | None = None
    text: str | None = None
    loss_percent: float | None = None
    measure: str | None = None
    model: str | None = None
    figure: str | None = None
    source: str | None = None
    worth_having: bool | None = None


class MeasuredRow(Record):
    """A score of a model.

    - `board`, `measures`: the name of the test, and what it measures; `uses`: what it tells of.
      `table`, `by`: the public table that has it, and who ran the model.
    - `score` in the `unit` "percent" or "elo"; `ci95` is half of its interval of 95 %.
    - `setting`: how the model was asked, as the source says; "" where it says nothing.
    - `date`, `date_of`: YYYY-MM-DD of the "run", of a "snapshot" that is younger, or when "listed".
    - `is_independent`: somebody other than the maker of the model ran it. `is_claim`: the maker
      states the figure, of a test of its choice.
    - `public_since`: the questions were public since then, before the model; None where they were
      not.
    - `in_order`: whether the order of models rests on it.
    """

    board: str
    measures: str
    uses: tuple[str, ...]
    table: str
    by: str
    score: float
    unit: str
    ci95: float | None
    setting: str
    date: str
    date_of: str
    is_independent: bool
    is_claim: bool
    public_since: str | None
    in_order: bool
    source: str


def quality_of_model(
    model: ModelSpec,
    loss: Quality | None = None,
    *,
    wanted: str | None = None,
    others: Iterable[str] = (),
) -> ModelQuality:
    """How good a model is in a list for the use `wanted`, without it at what the model is made for.
    `loss` is what its type costs. `others` are the ids among which models about alike are looked
    for.
    """
    use = _use_of(model, wanted)
    quality = ModelQuality(use=use)
    if loss is not None:
        quality = quality.replace(**loss.__getstate__())
    table = abilities(use or "")
    if table is None:
        return quality
    ability = table.of(model.id)
    if ability is None:
        return quality
    return quality.replace(
        basis=MEASURED,
        boards=ability.boards,
        newest=ability.newest,
        alike=table.alike(model.id, others)[:_MOST_ALIKE],
    )


def _use_of(model: ModelSpec, wanted: str | None) -> str | None:
    """The use whose abilities tell of the model; None for a model that writes no text."""
    if not model.writes_text:
        return None
    if wanted is None and model.main_use == CODE:
        return CODE
    return ability_use(wanted)


def better_than(model: ModelSpec, other: ModelSpec) -> bool | None:
    """Whether the model is better than the other one at what both are made for, as far as it was
    measured; None where they are not told apart, or one was not measured.
    """
    table = _common_table(model, other)
    if table is None:
        return None
    own = table.of(model.id)
    its = table.of(other.id)
    if own is None or its is None:
        return None
    return own.ability > its.ability if table.apart(own, its) else None


def are_alike(model: ModelSpec, other: ModelSpec) -> bool:
    """Whether both were measured, and are not told apart."""
    table = _common_table(model, other)
    if table is None:
        return False
    return bool(table.alike(model.id, [other.id]))


def _common_table(model: ModelSpec, other: ModelSpec) -> Abilities | None:
    """The abilities for what both models are made for; None where that is not one use."""
    use = _use_of(model, None)
    if use is None or use != _use_of(other, None):
        return None
    return abilities(use)


class ShownQuality(ModelQuality):
    """How good a model is, with every score behind that."""

    rows: tuple[MeasuredRow, ...] = ()


def shown_quality(model: ModelSpec, quality: ModelQuality) -> ShownQuality:
    """The quality of a model with every score behind it."""
    return ShownQuality(**quality.__getstate__(), rows=rows_of(model))


def rows_of(model: ModelSpec) -> tuple[MeasuredRow, ...]:
    """Every score of the model, the newest first; those of its maker last."""
    rows = [_row(score, model.released) for score in scores_of(model.id)]
    rows.sort(key=lambda row: row.date, reverse=True)
    rows.sort(key=lambda row: not row.is_independent)
    return tuple(rows)


def _row(score: Score, released: str | None) -> MeasuredRow:
    """The score as it is shown of a model that was released on that day."""
    board = score.board
    source = score.source
    since = board.public_since if board.was_public(released) else None
    # a board that tells of no use holds what makers state of tests of their choice
    is_claim = not board.uses
    name = f"{board.title} {score.test}".strip()
    setting = score.setting
    if is_claim:
        name = score.test
        # makers state in one field the version of a test and how the model was asked
        setting = score.setting or score.version
    return MeasuredRow(
        board=name,
        measures=board.measures,
        uses=board.uses,
        table=source.title,
        by=source.by,
        score=score.score,
        unit=board.unit,
        ci95=score.ci95,
        setting=setting,
        date=score.date,
        date_of=source.date_of,
        is_independent=score.is_independent,
        is_claim=is_claim,
        public_since=since,
        in_order=board.fitted and score.is_independent,
        source=score.cites or f"{source.repository}@{source.commit[:10]}",
    )
