"""The tables of `specs/common` and the runtimes, which the program takes as they stand: each value
is what its field says.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import selfhost
from selfhost.catalogue.index import open_catalogue
from selfhost.catalogue.runtime import RuntimeSpec
from selfhost.catalogue.spec import License
from selfhost.core.records import Record
from selfhost.core.stored import answering_store
from selfhost.core.tables import (
    Document,
    TomlRow,
    TomlTable,
    shipped_table,
    unchecked_record,
)
from selfhost.machine import cpus, profiles

PACKAGE = Path(selfhost.__file__).parent
READERS = ("shipped_record", "shipped_rows")


def _calls() -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    """Yield each place where a module reads a table: the module, the reader, the name of the
    record, and the table with its section.
    """
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        text = path.read_text(encoding="utf-8")
        if not any(reader in text for reader in READERS):
            # to parse all modules takes each process of the tests a second
            continue
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id not in READERS or module == "selfhost.core.tables":
                continue
            kind, *places = node.args
            if not all(isinstance(place, ast.Constant) for place in places):
                # a row of a license: `test_the_terms_of_a_license_are_right` reads all
                continue
            names = tuple(ast.literal_eval(place) for place in places)
            yield module, node.func.id, ast.unparse(kind), names


READ = [
    pytest.param(module, reader, kind, names, id="-".join([*names, kind]))
    for module, reader, kind, names in _calls()
]


def _faults(name: str, values: object, kind: type[Record]) -> list[str]:
    """The faults of a table that is checked as the file of a person is."""
    assert isinstance(values, dict)
    document = Document(name, values)
    document.root.as_record(kind)
    return [str(problem) for problem in document.problems]


@pytest.mark.parametrize(("module", "reader", "kind", "names"), READ)
def test_a_table_that_is_taken_as_it_stands_is_right(
    module: str, reader: str, kind: str, names: tuple[str, ...]
) -> None:
    """A check finds no fault, and gives the same records."""
    record_class: type[Record] = getattr(importlib.import_module(module), kind)
    name, *sections = names
    values: Any = shipped_table(name)
    for section in sections:
        values = values[section]
    rows: dict[Any, Any] = {"": values}
    if reader == "shipped_rows":
        rows = values if isinstance(values, dict) else dict(enumerate(values))
    for key, row in rows.items():
        # the types of a row may name rows of other sections
        checked = Document(name, shipped_table(name))
        path = (*sections, key) if key != "" else tuple(sections)
        record = TomlTable(checked, path, row).as_record(record_class)
        assert checked.problems == ()
        trusted = Document(name, shipped_table(name), is_trusted=True)
        assert TomlTable(trusted, path, row).as_record(record_class) == record


def test_tables_are_read_in_many_places() -> None:
    """The search for calls above finds them."""
    assert len(READ) > 30


def test_the_terms_of_a_license_are_right() -> None:
    for name, row in shipped_table("licenses").items():
        assert _faults(name, row, License) == []


@pytest.mark.parametrize("id", open_catalogue().runtime_ids())
def test_a_runtime_is_right(id: str) -> None:
    values = open_catalogue()._runtime_document(id).values
    assert _faults(id, {**values, "schema": 1}, _Runtime) == []


class _Runtime(RuntimeSpec):
    """A runtime with the number of its format, which is read apart."""

    schema: int = 1


@pytest.mark.parametrize("series", shipped_table("cpu_cores")["series"])
def test_a_row_of_cores_has_one_count_or_three(series: str) -> None:
    for row in shipped_table("cpu_cores")["series"][series]:
        assert _faults(series, row, cpus.CountRow) == []
        assert len(row["cores"]) in (1, 3)
        assert len(row.get("performance", [0])) in (1, 3)


@cache
def _machine_rows() -> TomlRow:
    """The files of known machines, all of which are parsed for any."""
    return profiles.rows_in(answering_store())


@pytest.mark.parametrize("name", profiles.names())
def test_a_known_machine_states_what_its_file_may(name: str) -> None:
    assert _faults(name, _machine_rows()[name], profiles.MachineRow) == []


def test_a_wrong_value_is_told() -> None:
    row = {"name": "X", "words": "x", "channels": "two", "mts": [1], "ghz": 1.0}
    assert _faults("cpus", row, cpus.SeriesRow) == [
        'cpus: channels: must be a whole number, not the string "two"',
        "cpus: source: is missing",
    ]


def test_a_trusted_value_has_the_type_of_its_field() -> None:
    """A list is a tuple and a whole number a float, as in a record that was checked."""
    row = {
        "name": "X",
        "words": "x",
        "channels": 2,
        "mts": [1],
        "ghz": 3,
        "source": "s",
    }
    record = unchecked_record(cpus.SeriesRow, row)
    assert record.mts == (1,)
    assert isinstance(record.ghz, float)
