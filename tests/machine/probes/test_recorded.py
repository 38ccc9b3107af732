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
    files = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
    } - own
    assert files == set(sources)
    assert all(entry["source"] and entry["licence"] for entry in sources.values())


def recorded_files() -> Iterator[tuple[Path, Path]]:
    for folder in CASES:
        for path in sorted((folder / "root").rglob("*")):
            if path.is_file() and path.name not in (
                "facts.json",
                "env.json",
                "sysctl.txt",
            ):
                yield folder, path


FILES = list(recorded_files())
FILES_OF = {
    folder: [path for case, path in FILES if case == folder] for folder in CASES
}


def same_or_unread(before: Any, after: Any) -> bool:
    """A value may go, it may not become another one; a name may get shorter."""
    if after is None or before == after:
        return True
    if isinstance(before, str) and isinstance(after, str):
        return before.startswith(after)
    if isinstance(before, dict):
        return all(same_or_unread(before[key], after[key]) for key in before)
    return (
        isinstance(before, list)
        and len(before) == len(after)
        and all(map(same_or_unread, before, after))
    )


DAMAGE: dict[str, bytes | None] = {
    "gone": None,
    "empty": b"",
    "zeros": bytes(64),
    "binary": bytes(range(128, 256)) * 8,
}


@pytest.mark.parametrize(
    ("folder", "damage"),
    # a file of each machine is gone, and spoilt in one of the three other ways
    [
        pytest.param(folder, damage, id=f"{folder.name}-{damage}")
        for row, folder in enumerate(CASES)
        for column, damage in enumerate(DAMAGE)
        if damage == "gone" or (row + column) % 3 == 0
    ],
)
def test_a_file_that_is_gone_takes_facts_away_and_changes_none(
    folder: Path, damage: str
) -> None:
    """Each recorded file of a virtual machine removed in turn, of others every second, or every
    third spoilt: every fact is what it was, by another source, or None with its reason.
    """
    whole = read_machine(RecordedHost(str(folder / "root"))).to_json()
    lost = set()
    start = list(DAMAGE).index(damage)
    paths = FILES_OF[folder][start % 3 :: 3]
    if damage == "gone":
        paths = FILES_OF[folder]
        if not folder.name.startswith("linux-vm"):
            paths = paths[CASES.index(folder) % 2 :: 2]
    for path in paths:
        machine = read_machine(
            Altered(str(folder / "root"), {str(path): DAMAGE[damage]})
        )
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
@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_what_the_system_refuses_is_unread(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files and folders of another account, or of a broken disk: each fact has the system's reason,
    and none is zero or empty.
    """
    root = str(MACHINES / "linux-vm-no-limit" / "root")
    host, real_open = RecordedHost(root), os.open
    words = (
        "may not be read"
        if number == errno.EACCES
        else "cannot be read: Input/output error"
    )

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
    memory = [f"memory_{size}_bytes" for size in ("total", "limit", "available")]
    for fact in (
        *memory,
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
    names = [*RecordedHost(str(folder / "root")).facts["sysctl"]]
    for name in names[start::3]:
        host = RecordedHost(str(folder / "root"))
        del host.facts["sysctl"][name]
        machine = read_machine(host)
        lawful(machine)
        after = machine.to_json()
        for fact in set(FACTS) - {"instruction_sets", "accelerators", "disks"}:
            assert same_or_unread(before[fact], after[fact]), (name, fact)
        assert set(after["instruction_sets"] or ()) <= set(
            before["instruction_sets"] or ()
        )


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
        content = digits.join(
            content.split(data.draw(st.sampled_from([b"0", b"1", b"2", b" "])))
        )
    else:
        at = data.draw(st.integers(0, len(content)))
        content = (
            content[:at]
            + data.draw(st.binary(min_size=1, max_size=8))
            + content[at + 1 :]
        )
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
