"""EuroEval: one row for each model, one column for each data set: `69.12 ± 1.83 / … @@69.12`, of
which the first figure is the main one. Its names are repositories, with the setting behind them.
"""

from __future__ import annotations

import csv
import html
import re
from collections.abc import Iterator

from .copies import Copy
from .names import Names
from .scores import Found

_HUB = "https://hf.co/"
_CELL = re.compile(r"(-?[\d.]+) ± ([\d.]+)")
# `gemini/gemini-3-flash#thinking (zero-shot, val)`
_NAME = re.compile(r"(?P<name>[^#( ]+)(?:#(?P<mode>\S+))?(?: \((?P<how>[^)]*)\))?")


def read(copy: Copy, names: Names) -> Iterator[Found]:
    """The scores of each model, best settings and others."""
    lines = copy.text(copy.source.path).splitlines()
    # the first line groups the columns
    table = list(csv.reader(lines[1:]))
    columns = [_plain(cell) for cell in table[0]]
    for cells in table[1:]:
        row = dict(zip(columns, cells, strict=True))
        yield from _row(row, names)


def _row(row: dict[str, str], names: Names) -> Iterator[Found]:
    """The scores of one model."""
    written = _NAME.fullmatch(_plain(row["Model"]))
    if written is None:
        return
    id = _model_of(row["Model"], written["name"], names)
    if id is None:
        return
    setting = [words for words in (written["how"], written["mode"]) if words]
    for column, cell in row.items():
        figure = _CELL.match(cell)
        if figure is None or f"{column}_version" not in row:
            continue
        version, _, _ = row[f"{column}_version"].partition("@@")
        yield Found(
            model=id,
            board=f"euroeval-en-{column}",
            score=float(figure[1]),
            name=written["name"],
            setting=", ".join(setting),
            version=f"EuroEval {version}",
            ci95=float(figure[2]),
        )


def _model_of(cell: str, name: str, names: Names) -> str | None:
    """The model of a row: of a repository that one alone, else the one with the API's name."""
    if _HUB in cell:
        return names.repository(name)
    found = names.model(name, lists_base_models=True)
    return None if found is None else found.model


def _plain(cell: str) -> str:
    """The text of a cell without its markup."""
    return html.unescape(re.sub("<[^>]*>", "", cell)).strip()
