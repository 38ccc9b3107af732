"""A record that says what an earlier one said is not read in full: it still gives the machine, or
the faults, that `Machine.from_json` gives for it alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfhost.audit import known_records
from selfhost.audit.kinds import MachineOfKind
from selfhost.audit.known_records import RecordReader
from selfhost.audit.machines import load_machines
from selfhost.core.errors import MachineFileError, Problem
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


def from_json(record: object) -> Machine | tuple[Problem, ...]:
    try:
        return Machine.from_json(record, "f")
    except MachineFileError as error:
        return error.problems


def read(reader: RecordReader, record: object) -> Machine | tuple[Problem, ...]:
    try:
        found: MachineOfKind = reader.read(record, "f")
    except MachineFileError as error:
        return error.problems
    kind = reader.kinds.known[found.kind_number]
    return kind.machine(
        found.numbers, name=found.name, labels=found.labels, read_at=found.read_at
    )


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param({"name": "b"}, id="another name"),
        pytest.param({"name": "this machine"}, id="the name of nobody's machine"),
        pytest.param({"name": None}, id="null for a name"),
        pytest.param({"name": []}, id="no text for a name"),
        pytest.param({"name": "x\ny"}, id="a name of two lines"),
        pytest.param({"labels": {"site": "s2", "rack": "7"}}, id="other labels"),
        pytest.param({"labels": {}}, id="no labels"),
        pytest.param({"labels": 0}, id="no object for labels"),
        pytest.param({"labels": {"site": 5}}, id="a number for a label"),
        pytest.param({"labels": {"site": None}}, id="null for a label"),
        pytest.param({"read_at": "2026-11-21T08:00:00+01:00"}, id="another time"),
        pytest.param({"read_at": None}, id="no time"),
        pytest.param({"read_at": "2026-02-30T00:00:00Z"}, id="no day of the calendar"),
        pytest.param({"memory_available_bytes": 2 * GIB}, id="less memory available"),
        pytest.param({"memory_available_bytes": 13 * GIB}, id="more than the limit"),
        pytest.param({"memory_total_bytes": 11 * GIB}, id="less than the limit"),
        pytest.param({"memory_total_bytes": 0}, id="no memory at all"),
        pytest.param({"memory_total_bytes": None}, id="memory unread"),
        pytest.param({"memory_total_bytes": 16.0 * GIB}, id="a size as a float"),
        pytest.param({"memory_total_bytes": "16GiB"}, id="a size as a text"),
        pytest.param({"memory_total_bytes": True}, id="true for a size"),
        pytest.param({"memory_total_bytes": 2**52 + 1}, id="more than any machine"),
        pytest.param({"swap_free_bytes": GIB}, id="swap where there was none"),
        pytest.param({"swap_free_bytes": -1}, id="a negative size"),
        pytest.param({"planning": 1}, id="1 for true"),
        pytest.param({"disks": [{"purpose": "ollama", "path": "~/.ollama"}]}, id="free unread"),
        pytest.param({"disks": [5]}, id="no object for a disk"),
        pytest.param({"disks": []}, id="no disk"),
    ],
)  # fmt: skip
def test_what_was_read_before_changes_nothing(facts: dict[str, Any]) -> None:
    reader = RecordReader()
    reader.read(EARLIER, "f")
    record = {**EARLIER, **facts}
    assert read(reader, record) == from_json(record)


@pytest.mark.parametrize("free_gib", [0, 1, 24, 25])
def test_a_card_has_at_most_its_memory_free(free_gib: int) -> None:
    reader = RecordReader()
    reader.read(EARLIER, "f")
    card = {**CARD, "memory_free_bytes": free_gib * GIB}
    record = {**EARLIER, "accelerators": [card]}
    assert read(reader, record) == from_json(record)
    is_right = isinstance(from_json(record), Machine)
    assert is_right == (free_gib <= 24)


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


@pytest.mark.parametrize(
    ("free_gib", "is_right"),
    [
        pytest.param(0, True, id="full"),
        pytest.param(40, True, id="empty"),
        pytest.param(41, False, id="more free than there is"),
    ],
)
def test_a_disk_has_at_most_its_size_free(free_gib: int, is_right: bool) -> None:
    disk = {
        "purpose": "ollama",
        "path": "~/.ollama",
        "free_bytes": 9 * GIB,
        "total_bytes": 40 * GIB,
    }
    earlier = {**EARLIER, "disks": [disk]}
    reader = RecordReader()
    reader.read(earlier, "f")
    record = {**earlier, "disks": [{**disk, "free_bytes": free_gib * GIB}]}
    assert read(reader, record) == from_json(record)
    assert isinstance(from_json(record), Machine) == is_right


def test_machines_of_a_kind_are_told_apart_by_their_numbers_alone() -> None:
    reader = RecordReader()
    first = reader.read(EARLIER, "f")
    second = reader.read({**EARLIER, "memory_available_bytes": GIB}, "f")
    assert first.kind_number == second.kind_number
    assert first.numbers != second.numbers


def test_texts_that_are_kept_take_bounded_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The machine is the same where there is no room to keep what its record says."""
    monkeypatch.setattr(known_records, "_MOST_CHARACTERS", 100)
    reader = RecordReader()
    first = reader.read(EARLIER, "f")
    assert reader.read(EARLIER, "f") == first
    assert reader._known == {}
