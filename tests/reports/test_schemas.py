"""The JSON schemas: written from the annotations of the records, and true of what is printed and of
what is read.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import file_schemas
import schemas as TOOL
from helpers.cases import case_id
from helpers.machines import VM
from helpers.paths import SCHEMAS
from helpers.written import validate
from selfhost import UnknownModelError, Workload, check, compare, plan, rank, size
from selfhost.advice.several import describe
from selfhost.catalogue.index import open_catalogue
from selfhost.machine.profiles import load
from selfhost.machine.record import Machine
from selfhost.reports import json as report
from selfhost.reports.json import dumps

MACHINES = Path(__file__).parents[1] / "machines"


@pytest.mark.parametrize("name", TOOL.DOCUMENTS, ids=case_id)
def test_a_schema_is_what_the_records_say(name: str) -> None:
    """After a change of a record: `python tools/schemas.py`."""
    text = TOOL.path_of(name).read_text(encoding="utf-8")
    assert text == TOOL.text_of(name), "run python tools/schemas.py"


@pytest.mark.parametrize("name", file_schemas.SCHEMAS, ids=case_id)
def test_the_schema_of_a_file_is_what_the_records_say(name: str) -> None:
    """After a change of a key of a policy or a spec: `python tools/schemas.py`."""
    text = file_schemas.path_of(name).read_text(encoding="utf-8")
    assert text == file_schemas.text_of(name), "run python tools/schemas.py"


@pytest.mark.parametrize("name", TOOL.ENUMS, ids=case_id)
def test_a_schema_written_by_hand_lists_the_values_of_today(name: str) -> None:
    """After a new check, outcome or route: `python tools/schemas.py`."""
    text = TOOL.path_of(name).read_text(encoding="utf-8")
    assert text == TOOL.text_with_enums(name), "run python tools/schemas.py"


@pytest.mark.parametrize(
    "path", sorted(SCHEMAS.glob("*.json")), ids=lambda path: path.stem
)
def test_a_schema_stands_alone(path: Path) -> None:
    """It is a valid schema, and each reference leads to a definition of the same file."""
    schema = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    text = json.dumps(schema)
    references = set(re.findall(r'"\$ref": "([^"]*)"', text))
    defined = {f"#/$defs/{name}" for name in schema.get("$defs", {})}
    assert references <= defined


def _desktop() -> Machine:
    """A recorded desktop."""
    return Machine.read(root=MACHINES / "linux-desktop-alder-lake" / "root")


def _documents() -> dict[str, dict[str, Any]]:
    """What is printed, by the name of its schema; behind a blank stands which it is."""
    error = UnknownModelError(
        "no such model", nearest=("mistral-7b",), remedy="selfhost list"
    )
    verdicts = []
    for model in ("mistral-7b", "gpt-4o", "whisper-small", "sdxl"):
        verdicts.append(check(model, machine=VM))
        verdicts.append(check(model, machine="rtx 3060"))
    of_each = {
        f"verdict-1 {number}": verdict.to_json()
        for number, verdict in enumerate(verdicts)
    }
    shown = describe(open_catalogue(), "gpt-oss-20b", Workload(), VM)
    return {
        **of_each,
        "verdicts-1": report.check(verdicts[:2], {"mistrl": error}),
        "compare-1": compare(["gpt2", "gpt-4o"], machine=VM).to_json(),
        "list-1": rank(machine=VM, use="reranking").to_json(),
        "model-1": report.shown(shown),
        "plan-1": plan("mistral-7b").to_json(),
        "plan-1 closed": plan("gpt-4o").to_json(),
        "profiles-1": report.profiles([load("macbook-air-m2-16gb")]),
        "error-1": report.titled("error/1", **report.fault(error), exit_code=2),
        "machine-1": _desktop().to_json(),
    }


def test_what_is_printed_is_valid() -> None:
    """Each kind of document, of models and machines of each kind."""
    for name, document in _documents().items():
        validate(document, name.partition(" ")[0])
    assert size("mistral-7b", machine="rtx 3060").to_json()["model"]["id"]


def test_a_changed_value_is_refused() -> None:
    """Each key of a machine with a value of another type fails its schema, and so does a lack."""
    schema = json.loads((SCHEMAS / "machine-1.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    machine = _desktop().to_json()
    validator.validate(machine)
    for key in machine:
        assert not validator.is_valid({**machine, key: [[]]}), key
    del machine["schema"]
    assert not validator.is_valid(machine)


def test_a_value_without_a_json_is_refused() -> None:
    """A value of a new kind is written on purpose, or not at all."""
    with pytest.raises(TypeError, match="no JSON for a value of the type object"):
        report.record({"key": object()})


@pytest.mark.parametrize(
    "number", [float("nan"), float("inf")], ids=["nan", "infinity"]
)
def test_no_number_that_json_does_not_have(number: float) -> None:
    """Other programs refuse a document with `NaN`."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        dumps({"x": [number]})
