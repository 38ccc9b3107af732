"""The scores that models reached on boards, with who measured them, on what, when and how.

What goes in: `specs/common/boards.toml` (boards, and the public tables that they are read from) and
`specs/common/scores.jsonl`. What comes out: `Score`s of one model, read when they are asked for. No
answer depends on them but what is shown: the order of models rests on the abilities that were
fitted to them (`catalogue/abilities.py`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache

from ..core.records import DATE, Record, Stated, Values, read_by
from ..core.stored import Rows, Store, answering_store, reading_lines
from ..core.tables import shipped_record, unchecked_record

SCORES = "common/scores-rows"
PERCENT = "percent"
ELO = "elo"
_DAY = read_by(form=DATE, default="")


class Source(Stated):
    """A public table of scores: `[source]` of `boards.toml`, whose header explains each field."""

    title: str
    by: str
    repository: str
    commit: str
    as_of: str
    path: str
    license: str
    attribution: str
    date_of: str = read_by(choices=("run", "snapshot", "listed"))
    independent: bool
    remark: str = ""
    kept: tuple[str, ...] = ()


class Board(Stated):
    """One test of a source: `[board]` of `boards.toml`, whose header explains each field."""

    source: str
    title: str
    measures: str
    uses: tuple[str, ...]
    unit: str = read_by(choices=(PERCENT, ELO))
    lower_is_better: bool = False
    scale: str = ""
    public_since: str = _DAY
    public_source: str = ""
    fitted: bool

    def was_public(self, released: str | None) -> bool:
        """Whether a model that was released on that day may have learnt the questions."""
        if not self.public_since or not released:
            return False
        # of a year alone nobody knows the month: the model gets the benefit of the doubt
        return self.public_since[: len(released)] < released


class BoardsTable(Stated):
    """`specs/common/boards.toml`."""

    schema: int
    source: Mapping[str, Source]
    board: Mapping[str, Board]


class Score(Record):
    """A score of one model, as a line of the file states it.

    - `score`: percent of 100, or Elo, as `board.unit` says.
    - `name`: the model's name there; `setting`: how it was asked, as that name has it.
    - `test`: the part of the board, where it has several; `version` of the test or its harness.
    - `stated_date`: empty where it is that of the source; `stated_independence`: None where it is.
    - `ci95`: half of the interval of 95 %; `items`: questions or votes; None where nobody says.
    - `cites`: where the source has it from.
    """

    board_id: str = read_by(name="board")
    score: float = read_by(minimum=-(10**6))
    name: str = read_by()
    test: str = read_by(default="")
    setting: str = read_by(default="")
    version: str = read_by(default="")
    stated_date: str = read_by(name="date", form=DATE, default="")
    ci95: float | None = read_by(default=None)
    items: int | None = read_by(default=None)
    stated_independence: bool | None = read_by(name="independent", default=None)
    cites: str = read_by(default="")

    @property
    def board(self) -> Board:
        """The test that was measured."""
        return boards().board[self.board_id]

    @property
    def source(self) -> Source:
        """The public table that has the score."""
        return boards().source[self.board.source]

    @property
    def date(self) -> str:
        """The day, `YYYY-MM-DD`, of what `source.date_of` says."""
        return self.stated_date or self.source.as_of

    @property
    def is_independent(self) -> bool:
        """Whether somebody other than the maker of the model measured it."""
        if self.stated_independence is None:
            return self.source.independent
        return self.stated_independence


def boards() -> BoardsTable:
    """The boards and their sources."""
    return shipped_record(BoardsTable, "boards")


@cache
def scores_of(id: str) -> tuple[Score, ...]:
    """The scores of the model with that id, in the order of the boards; () where nobody measured
    it. Raises `SpecError` for a damaged file.
    """
    rows = scores_in(answering_store())
    if id not in rows:
        return ()
    return tuple(unchecked_record(Score, row) for row in rows[id])


def measured_ids() -> tuple[str, ...]:
    """The ids of the models that have a score, sorted."""
    return tuple(scores_in(answering_store()))


@cache
def scores_in(store: Store) -> Rows:
    """The rows of the scores of each model, by its id, in a folder of specs."""
    path = os.path.join(store.folder, "common", "scores.jsonl")
    return store.rows(SCORES, lambda: _parse(path))


def _parse(path: str) -> Values:
    """The rows of a file of scores by model. Raises `SpecError`."""
    rows = {}
    with reading_lines(path, "file of scores") as lines:
        for row in lines[1:]:
            rows[row["model"]] = row["scores"]
    return rows
