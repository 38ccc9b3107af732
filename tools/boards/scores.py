"""The file of scores: `specs/common/scores.jsonl`.

The first line is a header; each other line is `{"model": ID, "scores": […]}`, sorted by id. A score
has the keys of `Found.values`; what follows from its board or its source is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from selfhost.catalogue.scores import boards

SCHEMA = 1
# digits of a percentage that are kept: no board tells more apart
_DIGITS = 2


class Found(NamedTuple):
    """A score as a source states it, for a model of the catalogue.

    - `test`: the part of a board that has several; `version` of the test or of its harness.
    - `setting`: how the model was asked, as its name in the source has it.
    - `name`: the model's name in the source; `cites`: where the source has the score from.
    - `date`: `YYYY-MM-DD`; "" where it is that of the source.
    - `items`: questions or votes; `ci95`: half of the interval of 95 %.
    - `independent`: None where it is as the source says.
    """

    model: str
    board: str
    score: float
    name: str
    setting: str = ""
    test: str = ""
    version: str = ""
    date: str = ""
    items: int | None = None
    ci95: float | None = None
    independent: bool | None = None
    cites: str = ""

    @property
    def values(self) -> Mapping[str, Any]:
        """The keys of the file, without those that say nothing."""
        values: dict[str, Any] = {"board": self.board}
        for key in ("test", "setting", "version", "date"):
            if text := getattr(self, key):
                values[key] = text
        values["score"] = _short(self.score)
        if self.ci95 is not None:
            values["ci95"] = _short(self.ci95)
        if self.items is not None:
            values["items"] = self.items
        if self.independent is not None:
            values["independent"] = self.independent
        values["name"] = self.name
        if self.cites:
            values["cites"] = self.cites
        return values


def _short(number: float) -> float | int:
    """The number as it is kept: a whole one without a point."""
    rounded = round(number, _DIGITS)
    return int(rounded) if rounded == int(rounded) else rounded


def newest(found: Iterable[Found]) -> list[Found]:
    """Of scores for one model, board, test and setting the newest; all of them where several are of
    one day and version, for they are several runs.
    """
    kept: dict[tuple[str, ...], list[Found]] = {}
    for row in found:
        key = (row.model, row.board, row.test, row.setting, row.name)
        before = kept.setdefault(key, [])
        if before and row.date > before[0].date:
            before.clear()
        if not before or row.date == before[0].date:
            before.append(row)
    return [row for rows in kept.values() for row in rows]


def write(path: Path, found: Iterable[Found]) -> None:
    """Write the file."""
    order = {name: place for place, name in enumerate(boards().board)}
    by_model: dict[str, list[Found]] = {}
    for row in newest(found):
        by_model.setdefault(row.model, []).append(row)
    lines = [json.dumps({"schema": SCHEMA})]
    for model in sorted(by_model):
        rows = by_model[model]
        rows.sort(
            key=lambda row: (
                order[row.board],
                row.test,
                row.setting,
                row.date,
                row.name,
                row.score,
            )
        )
        line = {"model": model, "scores": [row.values for row in rows]}
        lines.append(json.dumps(line, ensure_ascii=False))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
