"""The JSON schemas define each thing once, and the keys of a machine are those of its record."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from helpers.each import each
from selfhost.core.records import Record, Unread
from selfhost.machine.reader import read
from selfhost.machine.record import Accelerator, Disk, PresentModel, PresentRuntime
from selfhost.needs.records import Term

FOLDER = Path(__file__).parents[2] / "selfhost" / "schemas"
SCHEMAS = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}
MACHINES = Path(__file__).parents[1] / "machines"
# a shorter one says less than a reference to it
SHORT = 100
# fields of a term that no report shows
NOT_A_TERM = {"split", "output_bytes"}


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object inside a JSON value, itself included."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            yield from parts(inner)


@each("name", SCHEMAS)
def test_a_schema_defines_nothing_twice(name: str) -> None:
    """What stands twice is in `$defs`, so that a change reaches both places."""
    texts = Counter(
        json.dumps(part) for part in parts(SCHEMAS[name]) if {"type", "enum"} & set(part)
    )
    assert [text for text, count in texts.items() if count > 1 and len(text) > SHORT] == []


@each("name", SCHEMAS)
def test_a_schema_stands_alone(name: str) -> None:
    """It is a valid schema, and each reference leads to a definition of the same file that is used."""
    schema = SCHEMAS[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    references = {part["$ref"] for part in parts(schema) if isinstance(part.get("$ref"), str)}
    assert references == {f"#/$defs/{definition}" for definition in schema.get("$defs", {})}


def test_a_name_means_the_same_in_every_schema() -> None:
    """A term of memory is defined alike for `check` and for `plan`."""
    assert SCHEMAS["verdict-1"]["$defs"]["term"] == SCHEMAS["plan-1"]["$defs"]["term"]


@pytest.mark.parametrize(
    ("key", "record"),
    [
        ("disks", Disk),
        ("accelerators", Accelerator),
        ("runtimes", PresentRuntime),
        ("models_present", PresentModel),
        ("unread", Unread),
    ],
)
def test_the_parts_of_a_machine_have_the_fields_of_their_records(
    key: str, record: type[Record]
) -> None:
    """A new field needs its line in the schema."""
    entry = SCHEMAS["machine-1"]["properties"][key]["items"]
    assert set(entry["properties"]) == set(record._fields)
    assert set(entry.get("required", ())) <= set(record._fields)


def test_a_term_of_memory_has_the_fields_of_its_record() -> None:
    """But for those that only the arithmetic reads."""
    term = SCHEMAS["verdict-1"]["$defs"]["term"]
    assert set(term["properties"]) == set(Term._fields) - NOT_A_TERM


def test_a_changed_value_is_refused() -> None:
    """Each key of a machine with a value of another type fails its schema, and so does one that is missing."""
    validator = jsonschema.Draft202012Validator(SCHEMAS["machine-1"])
    machine = read(root=MACHINES / "linux-desktop-alder-lake" / "root").to_json()
    validator.validate(machine)
    for key in machine:
        assert not validator.is_valid({**machine, key: [[]]}), key
    assert not validator.is_valid({key: value for key, value in machine.items() if key != "schema"})
