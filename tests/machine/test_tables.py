"""The large tables of `specs/common`, most of which tell of machines: each value is what its field
says.

`unchecked_record` holds no value against its annotation; here each is, once.
"""

from __future__ import annotations

import pytest

from selfhost.catalogue.offers import ProvidersTable
from selfhost.core.records import Record
from selfhost.core.stored import shipped_store
from selfhost.core.tables import (
    Document,
    shipped_record,
    shipped_table,
    unchecked_table,
)
from selfhost.machine import cpus, gpus, products, profiles, rented
from selfhost.modelfiles.config_tables import ConfigClassesTable, ModelTypesTable


def _faults(name: str, values: object, kind: type[Record]) -> list[str]:
    assert isinstance(values, dict)
    document = Document(name, values)
    document.root.as_record(kind)
    return [str(problem) for problem in document.problems]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param("cpus", cpus._CpuTable, id="cpus"),
        pytest.param("cpu_cores", cpus._CountTable, id="cpu-cores"),
        pytest.param("chips", cpus._ChipTable, id="chips"),
        pytest.param("gpus", gpus._GpuTable, id="gpus"),
        pytest.param("products", products._ProductTable, id="products"),
        pytest.param("cloud_types", rented._CloudTable, id="cloud-types"),
        pytest.param("providers", ProvidersTable, id="providers"),
        pytest.param("model_types", ModelTypesTable, id="model-types"),
        pytest.param("config_classes", ConfigClassesTable, id="config-classes"),
    ],
)
def test_each_value_is_what_its_field_says(name: str, kind: type[Record]) -> None:
    assert _faults(name, shipped_table(name), kind) == []


def test_rows_by_their_names_are_records_without_a_check_too() -> None:
    unchecked = unchecked_table(ProvidersTable, "providers")
    assert unchecked == shipped_record(ProvidersTable, "providers")


@pytest.mark.parametrize("series", shipped_table("cpu_cores")["series"])
def test_a_row_of_cores_has_one_count_or_three(series: str) -> None:
    for row in shipped_table("cpu_cores")["series"][series]:
        assert _faults(series, row, cpus.CountRow) == []
        assert len(row["cores"]) in (1, 3)
        assert len(row.get("performance", [0])) in (1, 3)


@pytest.mark.parametrize("name", profiles.names())
def test_a_known_machine_states_what_its_file_may(name: str) -> None:
    row = profiles.rows_in(shipped_store())[name]
    assert _faults(name, row, profiles.MachineRow) == []


def test_a_wrong_value_is_told() -> None:
    row = {"name": "X", "words": "x", "channels": "two", "mts": [1], "ghz": 1.0}
    assert _faults("cpus", row, cpus.SeriesRow) == [
        'cpus: channels: must be a whole number, not the string "two"',
        "cpus: source: is missing",
    ]
