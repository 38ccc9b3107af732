"""Every recorded machine gives what its recordings say, and whatever is missing or broken becomes
unread, never a guess.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.paths import MACHINES
from helpers.recordings import Altered, lawful
from selfhost.machine.probes.recorded import RecordedHost
from selfhost.machine.reader import read_machine
from selfhost.machine.record import FACTS

CASES = sorted(path.parent for path in MACHINES.glob("*/expected.json"))


@pytest.mark.parametrize("folder", CASES, ids=lambda path: path.name)
def test_a_recorded_machine_is_read_as_its_recordings_say(folder: Path) -> None:
    """Values, unread facts and where limits were found, against what was worked out by hand from
    the recordings.
    """
    machine = read_machine(RecordedHost(str(folder / "root")))
    lawful(machine)
    expected = json.loads((folder / "expected.json").read_text())
    written = machine.to_json()
    assert {fact: written[fact] for fact in expected["values"]} == expected["values"]
    told = {entry.fact for entry in machine.unread}
    assert set(expected["unread"]) <= told
    assert not any("failed" in entry.reason for entry in machine.unread)
    for fact, words in expected["sources"].items():
        assert words in machine.sources[fact]
    for name, there in expected.get("instruction_sets", {}).items():
        assert (name in (machine.instruction_sets or ())) == there, name


@pytest.mark.parametrize(
    "folder", [*CASES, MACHINES / "parts"], ids=lambda path: path.name
)
def test_every_recording_has_its_source(folder: Path) -> None:
    """Nothing is in the corpus of which nobody knows where it came from and under which licence."""
    sources = json.loads((folder / "sources.json").read_text())
    own = {"root/facts.json", "root/env.json", "expected.json", "sources.json"}
    paths = [path for path in folder.rglob("*") if path.is_file()]
    files = {path.relative_to(folder).as_posix() for path in paths}
    assert files - own == set(sources)
    for entry in sources.values():
        assert entry["source"]
        assert entry["licence"]


# what stands for answers of the system, and is no file of the machine
ANSWERS = ("facts.json", "env.json", "sysctl.txt")


def files_of(folder: Path) -> list[Path]:
    """The files of a recorded machine."""
    paths = sorted((folder / "root").rglob("*"))
    return [path for path in paths if path.is_file() and path.name not in ANSWERS]


FILES_OF = {folder: files_of(folder) for folder in CASES}
FILES = [(folder, path) for folder, paths in FILES_OF.items() for path in paths]


def same_or_unread(before: object, after: object) -> bool:
    """A value may go, it may not become another one; a name may get shorter."""
    if after is None or before == after:
        return True
    if isinstance(before, str) and isinstance(after, str):
        return before.startswith(after)
    if isinstance(before, dict) and isinstance(after, dict):
        return all(same_or_unread(before[key], after[key]) for key in before)
    if isinstance(before, list) and isinstance(after, list):
        if len(before) != len(after):
            return False
        pairs = zip(before, after, strict=True)
        return all(same_or_unread(old, new) for old, new in pairs)
    return False


DAMAGE: dict[str, bytes | None] = {
    "gone": None,
    "empty": b"",
    "zeros": bytes(64),
    "binary": bytes(range(128, 256)) * 8,
}


def damaged_machines() -> Iterator[Any]:
    """A file of each machine is gone, and spoilt in one of the three other ways."""
    for row, folder in enumerate(CASES):
        for column, damage in enumerate(DAMAGE):
            if damage == "gone" or (row + column) % 3 == 0:
                yield pytest.param(folder, damage, id=f"{folder.name}-{damage}")


def damaged_paths(folder: Path, damage: str) -> list[Path]:
    """The files that are damaged in turn: of a virtual machine all that may be gone, of others
    every second one; of those that are spoilt every third one.
    """
    paths = FILES_OF[folder]
    if damage != "gone":
        return paths[list(DAMAGE).index(damage) % 3 :: 3]
    if folder.name.startswith("linux-vm"):
        return paths
    return paths[CASES.index(folder) % 2 :: 2]


@pytest.mark.parametrize(("folder", "damage"), list(damaged_machines()))
def test_a_file_that_is_gone_takes_facts_away_and_changes_none(
    folder: Path, damage: str
) -> None:
    """Each recorded file of a virtual machine removed in turn, of others every second, or every
    third spoilt: every fact is what it was, by another source, or None with its reason.
    """
    whole = read_machine(RecordedHost(str(folder / "root"))).to_json()
    lost = set()
    for path in damaged_paths(folder, damage):
        host = Altered(str(folder / "root"), {str(path): DAMAGE[damage]})
        machine = read_machine(host)
        lawful(machine)
        assert not any("failed" in entry.reason for entry in machine.unread)
        written = machine.to_json()
        for fact in FACTS:
            assert same_or_unread(whole[fact], written[fact]), (path, fact)
            if written[fact] is None and whole[fact] is not None:
                lost.add(fact)
    if folder.name.startswith("linux-vm") and damage == "gone":
        # the corpus holds what decides: each of these facts rests on at least one of its files
        memory = {"memory_total_bytes", "memory_limit_bytes", "memory_available_bytes"}
        assert {*memory, "instruction_sets", "cpu_cores_usable"} <= lost


@pytest.mark.skipif(
    sys.platform != "linux", reason="takes a file of Linux that cannot be read"
)
@pytest.mark.parametrize(
    ("number", "words"),
    [
        pytest.param(errno.EACCES, "may not be read", id="13"),
        pytest.param(errno.EIO, "cannot be read: Input/output error", id="5"),
    ],
)
def test_what_the_system_refuses_is_unread(
    number: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files and folders of another account, or of a broken disk: each fact has the system's reason,
    and none is zero or empty.
    """
    root = str(MACHINES / "linux-vm-no-limit" / "root")
    host = RecordedHost(root)
    real_open = os.open

    def refuse(path: str, *flags: int, own: Any) -> Any:
        if path.startswith(root) and (number == errno.EACCES or own is not real_open):
            raise OSError(number, os.strerror(number))
        # at the begin of which nothing is mapped, so that reading it fails
        return own("/proc/self/mem" if path.startswith(root) else path, *flags)

    for name in ("open", "listdir", "scandir"):
        monkeypatch.setattr(os, name, partial(refuse, own=getattr(os, name)))
    machine = read_machine(host)
    lawful(machine)
    assert not any("failed" in entry.reason for entry in machine.unread)
    for fact in (
        "memory_total_bytes",
        "memory_limit_bytes",
        "memory_available_bytes",
        "swap_free_bytes",
        "cpu_model",
        "instruction_sets",
        "cpu_cores_usable",
    ):
        assert words in machine.why_unread(fact).reason, fact
    assert machine.accelerators is None


NUMBERS = [
    b"0",
    b"-1",
    b"max",
    b"9" * 23,
    b"1.5",
    "٣".encode(),
    b"18446744073709551615",
]


MACS = [case for case in CASES if (case / "root" / "sysctl.txt").is_file()]


@pytest.mark.parametrize(
    ("folder", "start"),
    [pytest.param(folder, row % 3, id=folder.name) for row, folder in enumerate(MACS)],
)
def test_a_value_of_macos_that_is_gone_changes_no_other(
    folder: Path, start: int
) -> None:
    """Every third taken away in turn, others of each Mac: a fact is what it was, or None; of lists
    an entry may be missing.
    """
    before = read_machine(RecordedHost(str(folder / "root"))).to_json()
    names = list(RecordedHost(str(folder / "root")).facts["sysctl"])
    for name in names[start::3]:
        host = RecordedHost(str(folder / "root"))
        del host.facts["sysctl"][name]
        machine = read_machine(host)
        lawful(machine)
        after = machine.to_json()
        for fact in set(FACTS) - {"instruction_sets", "accelerators", "disks"}:
            assert same_or_unread(before[fact], after[fact]), (name, fact)
        sets_before = set(before["instruction_sets"] or ())
        assert set(after["instruction_sets"] or ()) <= sets_before


# a busy computer is no fault
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=40)
@given(st.data())
def test_a_broken_file_never_breaks_the_reading(data: st.DataObject) -> None:
    """Cut off, garbled, or with other numbers: what cannot be read is unread, and sizes never
    contradict each other.
    """
    folder, path = data.draw(st.sampled_from(FILES))
    content = path.read_bytes()
    how = data.draw(st.sampled_from(["cut", "noise", "numbers", "bytes"]))
    if how == "cut":
        content = content[: data.draw(st.integers(0, len(content)))]
    elif how == "noise":
        content = data.draw(st.binary(max_size=200))
    elif how == "numbers":
        digits = data.draw(st.sampled_from(NUMBERS))
        replaced = data.draw(st.sampled_from([b"0", b"1", b"2", b" "]))
        content = content.replace(replaced, digits)
    else:
        at = data.draw(st.integers(0, len(content)))
        noise = data.draw(st.binary(min_size=1, max_size=8))
        content = content[:at] + noise + content[at + 1 :]
    machine = read_machine(Altered(str(folder / "root"), {str(path): content}))
    lawful(machine)
    assert not any("failed" in entry.reason for entry in machine.unread)
    if how == "cut":
        # half a file may tell less, never more
        whole = read_machine(RecordedHost(str(folder / "root"))).to_json()
        written = machine.to_json()
        for fact in set(FACTS) - {"swap_free_bytes"}:
            if isinstance(whole[fact], int | float) and written[fact] is not None:
                assert written[fact] <= whole[fact], fact
