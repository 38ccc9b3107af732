"""`specs/common/pace.toml` as the typed tables of `judge/pace` read it."""

from __future__ import annotations

from functools import cached_property

import pytest

from selfhost.core.records import Record
from selfhost.core.tables import shipped_table
from selfhost.judge.pace.job import WorkFigures
from selfhost.judge.pace.media import PictureFigures, SoundFigures
from selfhost.judge.pace.tables import PaceTables
from selfhost.judge.pace.work import DocumentFigures, TrainingFigures

# what describes the file, and is no figure
_ABOUT = {"schema", "sources"}
_OF_OTHER_WORK: dict[str, type[Record]] = {
    "work": WorkFigures,
    "documents": DocumentFigures,
    "training": TrainingFigures,
    "pictures": PictureFigures,
    "sound": SoundFigures,
}
_OF_TEXT = [
    name
    for name, value in vars(PaceTables).items()
    if isinstance(value, cached_property)
]


@pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in _OF_TEXT])
def test_each_table_of_text_is_without_fault(name: str) -> None:
    # a fault raises, also one in a table that a check seldom asks for
    getattr(PaceTables(), name)


@pytest.mark.parametrize(
    "key", [pytest.param(key, id=key) for key in sorted(_OF_OTHER_WORK)]
)
def test_each_table_of_other_work_is_without_fault(key: str) -> None:
    assert PaceTables().record(key, _OF_OTHER_WORK[key])


def test_each_stored_type_is_without_fault() -> None:
    tables = PaceTables()
    assert tables.types.keys() == shipped_table("pace")["type"].keys()


def test_no_figure_of_the_file_goes_unread() -> None:
    tables = PaceTables()
    for name in _OF_TEXT:
        getattr(tables, name)
    for key, kind in _OF_OTHER_WORK.items():
        tables.record(key, kind)
    assert tables.read_keys | _ABOUT == shipped_table("pace").keys()
