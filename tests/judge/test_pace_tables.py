"""`specs/common/pace.toml` as the typed tables of `judge/pace` read it."""

from __future__ import annotations

from functools import cached_property

import pytest

from selfhost.core.tables import shipped_table
from selfhost.judge.pace.tables import PaceFile, PaceTables
from selfhost.judge.pace.work_tables import WorkTables

# what describes the file, and is no figure
_ABOUT = {"schema", "sources"}


def _names_of_tables(kind: type[PaceFile]) -> list[str]:
    return [
        name for name, value in vars(kind).items() if isinstance(value, cached_property)
    ]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param(kind, name, id=name)
        for kind in (PaceTables, WorkTables)
        for name in _names_of_tables(kind)
    ],
)
def test_each_table_is_without_fault(kind: type[PaceFile], name: str) -> None:
    # a fault raises, also one in a table that a check seldom asks for
    getattr(kind(), name)


def test_each_stored_type_is_without_fault() -> None:
    tables = PaceTables()
    assert tables.types.keys() == shipped_table("pace")["type"].keys()


def test_no_figure_of_the_file_goes_unread() -> None:
    read: set[str] = set()
    for kind in (PaceTables, WorkTables):
        tables = kind()
        for name in _names_of_tables(kind):
            getattr(tables, name)
        read |= tables.read_keys
    assert read | _ABOUT == shipped_table("pace").keys()
