"""Arena: people vote for one of two answers. Two copies of its tables: of 2025 a CSV file of all
models, of 2026 a JSON file of the best for each day, of which the newest row of each model counts.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator

from .copies import Copy
from .names import Names
from .scores import Found

_DAY = re.compile(r"data/(\d{4}-\d{2}-\d{2})/([a-z-]+)\.json")
# the boards of the catalogue's models; search is of models with a search engine
_BOARDS = (
    "text",
    "code",
    "vision",
    "document",
    "text-to-image",
    "image-edit",
    "text-to-video",
    "image-to-video",
)
_INTERVAL = re.compile(r"\+([\d.]+)/-([\d.]+)")


def read_2025(copy: Copy, names: Names) -> Iterator[Found]:
    """The scores of the table of August 2025."""
    for row in csv.DictReader(copy.text(copy.source.path).splitlines()):
        found = names.model(row["model"])
        if found is None:
            continue
        interval = _INTERVAL.fullmatch(row["95_pct_ci"])
        half = None
        if interval is not None:
            half = max(float(interval[1]), float(interval[2]))
        yield Found(
            model=found.model,
            board="arena-text-2025-08",
            score=float(row["arena_score"]),
            name=row["model"],
            setting=found.setting,
            items=int(row["votes"]),
            ci95=half,
        )


def read(copy: Copy, names: Names) -> Iterator[Found]:
    """The newest score of each model and board."""
    newest: dict[tuple[str, str], Found] = {}
    paths = [path for path in copy.files("data", ".json") if _DAY.fullmatch(path)]
    for path, text in copy.texts(paths):
        day = _DAY.fullmatch(path)
        assert day is not None
        if day[2] not in _BOARDS:
            continue
        for row in json.loads(text)["models"]:
            found = names.model(row["model"])
            if found is None or row["score"] is None:
                continue
            # paths are in the order of their days
            newest[day[2], row["model"]] = Found(
                model=found.model,
                board=f"arena-{day[2]}",
                score=float(row["score"]),
                name=row["model"],
                setting=found.setting,
                date=day[1],
                items=row["votes"],
                ci95=row["ci"],
            )
    yield from newest.values()
