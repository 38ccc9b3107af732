"""Keys of a machine's record that this version does not read: a later version may have added them,
or they are misspelt.
"""

from __future__ import annotations

from typing import Any

import pytest

from selfhost.machine.record import Machine
from selfhost.machine.unread_keys import note_on, unread_keys

GIB = 2**30
CARD = {"vendor": "nvidia", "name": "L4", "memory_total_bytes": 24 * GIB}
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
def test_a_key_that_is_not_read_is_told(facts: dict[str, Any], told: list[str]) -> None:
    """A later version may add a key, so that the record is no fault; a slip is seen all the
    same.
    """
    names = ", ".join(told)
    note = note_on(unread_keys({"name": "a", **facts}, "FILE"))
    assert note == f"keys of records that this selfhost does not read: {names}"


def test_the_keys_of_a_record_of_this_version_are_read() -> None:
    assert not unread_keys(Machine().to_json(), "FILE")


def test_a_record_of_many_keys_has_a_short_note() -> None:
    """A hostile file makes no long report."""
    keys = {f"key{number}" + "x" * 9_000: 1 for number in range(300)}
    assert len(note_on(unread_keys(keys, "FILE"))) < 2_000
