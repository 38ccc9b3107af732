"""The records of a fleet: which machines are of one kind, and which keys nothing reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfhost.audit.machines import RecordReader, load_machines
from selfhost.machine.record import Machine

GIB = 2**30
CARD = {
    "vendor": "NVIDIA",
    "name": "NVIDIA L4",
    "memory_total_bytes": 24 * GIB,
    "memory_free_bytes": 20 * GIB,
}
EARLIER = {
    "schema": "selfhost.machine/1",
    "name": "a",
    "labels": {"site": "s1"},
    "read_at": "2026-11-20T12:00:00Z",
    "memory_total_bytes": 16 * GIB,
    "memory_limit_bytes": 12 * GIB,
    "memory_available_bytes": 8 * GIB,
    "swap_free_bytes": 0,
    "disks": [{"purpose": "ollama", "path": "~/.ollama", "free_bytes": 9 * GIB}],
    "accelerators": [CARD],
}


DISK = {"purpose": "ollama", "path": "~/.ollama"}


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        pytest.param(
            {"frobnicate": 5},
            ["frobnicate (FILE)"],
            id="of a later version",
        ),
        pytest.param(
            {"memory_totl_bytes": 5},
            ["memory_totl_bytes (FILE; did you mean memory_total_bytes?)"],
            id="misspelt",
        ),
        pytest.param(
            {"disks": [DISK | {"free_byte": 5}]},
            ["disks[].free_byte (FILE; did you mean free_bytes?)"],
            id="misspelt in a disk",
        ),
        pytest.param(
            {"disks": [DISK | {"inodes": 5}, DISK | {"inodes": 6}]},
            ["disks[].inodes (FILE)"],
            id="of a later version in two disks",
        ),
        pytest.param(
            {"accelerators": [CARD | {"divers": "570"}]},
            ["accelerators[].divers (FILE; did you mean driver?)"],
            id="misspelt in an accelerator",
        ),
        pytest.param(
            {"runtimes": [{"id": "ollama", "verson": "1", "path": "x"}]},
            ["runtimes[].verson (FILE; did you mean version?)"],
            id="misspelt in a runtime",
        ),
        pytest.param(
            {"models_present": [{"path": "x", "size_bytes": 1, "complet": True}]},
            ["models_present[].complet (FILE; did you mean complete?)"],
            id="misspelt in a model",
        ),
        pytest.param(
            {"unread": [{"fact": "disks", "reason": "r", "remdy": "x"}]},
            ["unread[].remdy (FILE; did you mean remedy?)"],
            id="misspelt in a reason",
        ),
        pytest.param(
            {"kind": 5, "disks": [DISK | {"kind": 5}]},
            ["kind (FILE)", "disks[].kind (FILE)"],
            id="of the record and of a disk",
        ),
    ],
)
def test_a_key_that_is_not_read_is_told_once(
    tmp_path: Path, facts: dict[str, Any], told: list[str]
) -> None:
    """A later version may add a key, so that the record is no fault; a slip is seen all the
    same.
    """
    file = tmp_path / "records.json"
    records = [{**EARLIER, "name": name, **facts} for name in ("a", "b")]
    file.write_text(json.dumps([EARLIER | {"name": "c"}, *records]), encoding="utf-8")
    fleet = load_machines(str(file))
    assert (len(fleet.machines), fleet.problems) == (3, ())
    (note,) = fleet.notes
    names = ", ".join(told).replace("FILE", str(file))
    assert note == f"keys of records that this selfhost does not read: {names}"


def test_the_keys_of_a_record_of_this_version_are_read(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    file.write_text(json.dumps(Machine().to_json()), encoding="utf-8")
    assert load_machines(str(file)).notes == ()


def test_a_record_of_many_keys_has_a_short_note(tmp_path: Path) -> None:
    """A hostile file makes no long report."""
    file = tmp_path / "record.json"
    keys = {f"key{number}" + "x" * 9_000: 1 for number in range(300)}
    file.write_text(json.dumps(EARLIER | keys), encoding="utf-8")
    (note,) = load_machines(str(file)).notes
    assert len(note) < 2_000


def test_machines_of_a_kind_are_told_apart_by_their_numbers_alone() -> None:
    reader = RecordReader()
    first = reader.read(EARLIER, "f")
    second = reader.read({**EARLIER, "memory_available_bytes": GIB}, "f")
    assert first.kind_number == second.kind_number
    assert first.numbers != second.numbers
