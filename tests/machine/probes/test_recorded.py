"""Every recorded machine gives what its recordings say, and whatever is missing or broken becomes unread, never a guess."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from helpers.each import each
from helpers.paths import MACHINES
from helpers.recordings import PARTS, PLACES, Altered, lawful, placed, word_of
from selfhost import Outcome, Route, Verdict, Workload
from selfhost.advice.verdicts import check_with
from selfhost.catalogue.index import Catalogue
from selfhost.machine.probes import (
    Host,
    accelerators,
    cgroups,
    cpu,
    memory,
    nvidia,
    procfs,
    read_machine,
    stores,
)
from selfhost.machine.probes.host import parse_mountinfo
from selfhost.machine.probes.recorded import RecordedHost
from selfhost.machine.reader import Machine
from selfhost.machine.record import FACTS

CASES = sorted(path.parent for path in MACHINES.glob("*/expected.json"))


# a busy computer is no fault
calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@each("folder", CASES, ids=lambda path: path.name)
def test_a_recorded_machine_is_read_as_its_recordings_say(folder: Path) -> None:
    """Values, unread facts and where limits were found, against what was worked out by hand from the recordings."""
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


@each("folder", [*CASES, MACHINES / "parts"], ids=lambda path: path.name)
def test_every_recording_has_its_source(folder: Path) -> None:
    """Nothing is in the corpus of which nobody knows where it came from and under which licence."""
    sources = json.loads((folder / "sources.json").read_text())
    own = {"root/facts.json", "root/env.json", "expected.json", "sources.json"}
    files = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    } - own
    assert files == set(sources)
    assert all(entry["source"] and entry["licence"] for entry in sources.values())


CATALOGUE = Catalogue.open()


def recorded_files() -> Iterator[tuple[Path, Path]]:
    for folder in CASES:
        for path in sorted((folder / "root").rglob("*")):
            if path.is_file() and path.name not in ("facts.json", "env.json", "sysctl.txt"):
                yield folder, path


FILES = list(recorded_files())


FILES_OF = {folder: [path for case, path in FILES if case == folder] for folder in CASES}


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


DAMAGE: dict[str, bytes | OSError | None] = {
    "gone": None,
    "empty": b"",
    "zeros": bytes(64),
    "binary": bytes(range(128, 256)) * 8,
    "closed": PermissionError(13, "Permission denied"),
    "broken disk": OSError(5, "Input/output error"),
}


@pytest.mark.parametrize(
    ("folder", "damage"),
    # a file of each machine is gone, and spoilt in one of the five other ways
    [
        pytest.param(folder, damage, id=f"{folder.name}-{damage}")
        for row, folder in enumerate(CASES)
        for column, damage in enumerate(DAMAGE)
        if damage == "gone" or (row + column) % 5 == 0
    ],
)
def test_a_file_that_is_gone_takes_facts_away_and_changes_none(folder: Path, damage: str) -> None:
    """Each recorded file removed or spoilt in turn: every fact is what it was, by another source, or None with its reason.

    Every file is gone in turn; of each of the other ways every third is spoilt.
    """
    whole = read_machine(RecordedHost(str(folder / "root"))).to_json()
    lost = set()
    start = list(DAMAGE).index(damage) % 3
    for path in FILES_OF[folder] if damage == "gone" else FILES_OF[folder][start::3]:
        machine = read_machine(Altered(str(folder / "root"), {str(path): DAMAGE[damage]}))
        lawful(machine)
        assert not any("failed" in entry.reason for entry in machine.unread)
        written = machine.to_json()
        for fact in FACTS:
            assert same_or_unread(whole[fact], written[fact]), (path, fact)
            if written[fact] is None and whole[fact] is not None:
                lost.add(fact)
    if folder.name.startswith("linux-vm"):
        # the corpus holds what decides: each of these facts rests on at least one of its files
        assert (
            damage != "gone"
            or {
                "memory_total_bytes",
                "memory_limit_bytes",
                "memory_available_bytes",
                "instruction_sets",
                "cpu_cores_usable",
            }
            <= lost
        )


def ends_a_branch(gone: set[str], own: list[str], name: str) -> bool:
    """Several groups, from one down to the last below it, have no file of that name any more."""
    lost = {path.removesuffix(name) for path in gone if path.endswith("/" + name)}
    left = {path.removesuffix(name) for path in own if path.endswith("/" + name)} - lost
    return len(lost) > 1 and not any(group.startswith(above) for group in left for above in lost)


@settings(calm, max_examples=60)
@given(st.data())
def test_whatever_is_missing_no_figure_grows(data: st.DataObject) -> None:
    """Up to three files of a machine gone at once, fallbacks with what they stand in for: a fact is what it was or None.

    Without all files of a controller, in every group or in those below one, a tree is that of a kernel which has none there.
    """
    folder = data.draw(st.sampled_from([case for case in CASES if FILES_OF[case]]))
    own = [str(path) for path in FILES_OF[folder]]
    gone = (
        data.draw(st.sets(st.sampled_from(own), min_size=2, max_size=3))
        if len(own) > 1
        else set(own)
    )
    damage = data.draw(st.sampled_from(list(DAMAGE)))
    swap = {path for path in own if "/memory.swap." in path}
    # that is a kernel built or started without counting swap
    assume(damage != "gone" or not swap or not swap <= gone)
    # that is a group which hands no processors down
    assume(damage != "gone" or not ends_a_branch(gone, own, "cpu.max"))
    whole = read_machine(RecordedHost(str(folder / "root"))).to_json()
    machine = read_machine(Altered(str(folder / "root"), dict.fromkeys(gone, DAMAGE[damage])))
    lawful(machine)
    written = machine.to_json()
    for fact in FACTS:
        if fact != "accelerators":
            assert same_or_unread(whole[fact], written[fact]), fact


ANSWERS = [
    (folder, kind)
    for folder in CASES
    for kind in ("facts", "sysctl")
    if (folder / "root" / f"{kind}.{'json' if kind == 'facts' else 'txt'}").is_file()
]


@pytest.mark.parametrize(
    ("folder", "kind"), ANSWERS, ids=lambda value: getattr(value, "name", value)
)
def test_an_answer_that_is_gone_takes_facts_away_and_changes_none(folder: Path, kind: str) -> None:
    """The same for what is no file: each of the system's answers, and each of macOS' values, taken away in turn."""

    def without(*path: str) -> RecordedHost:
        host = Altered(str(folder / "root"), {})
        held: Any = host._facts if kind == "facts" else host._sysctl
        for key in path[:-1]:
            held[key] = dict(held[key])
            held = held[key]
        del held[path[-1]]
        return host

    whole = RecordedHost(str(folder / "root"))
    before = read_machine(whole).to_json()
    answers = whole._facts if kind == "facts" else whole._sysctl
    paths: list[tuple[str, ...]] = [(key,) for key in answers if key != "system"]
    paths += [
        (key, name) for key, value in answers.items() if isinstance(value, dict) for name in value
    ]
    for path in paths:
        machine = read_machine(without(*path))
        lawful(machine)
        assert not any("failed" in entry.reason for entry in machine.unread)
        after = machine.to_json()
        for fact in FACTS:
            if fact == "instruction_sets" and path[0].startswith(
                ("hw.optional.", "machdep.cpu.leaf7_")
            ):
                # one value a feature, which older kernels lack; a list that is not there where it would be empty
                assert set(after[fact] or ()) <= set(before[fact]), path
            elif fact == "accelerators" and path[0] == "machdep.cpu.brand_string":
                assert [card["vendor"] for card in after[fact] or ()] == [
                    card["vendor"] for card in before[fact] or ()
                ]
            elif fact == "disks":
                # each disk has its own reasons
                assert all(map(same_or_unread_disk, before[fact] or (), after[fact] or ())), path
            elif fact == "instruction_sets" and path == ("machine",) and before["emulated_on"]:
                # what the programs are made for is not known either, and so neither is what the processor's finding says
                assert after["architecture"] is None
            else:
                assert same_or_unread(before[fact], after[fact]), (path, fact)


def same_or_unread_disk(before: dict[str, Any], after: dict[str, Any]) -> bool:
    # which folder is there a tree tells by the space in it
    return all(
        after[key] is None or after[key] == value
        for key, value in before.items()
        if key != "filesystem"
    )


@pytest.mark.parametrize("group", ["", "system.slice/", "system.slice/job.service/"])
def test_a_group_without_what_others_count_of_swap_is_unread(group: str) -> None:
    """A kernel counts swap in every group or in none: with both files of one gone, the swap of those above it is not all there is."""
    folder = MACHINES / "synthetic-linux-lxc-without-lxcfs"
    gone = [
        str(folder / f"root/sys/fs/cgroup/{group}memory.swap.{name}") for name in ("max", "current")
    ]
    machine = read_machine(Altered(str(folder / "root"), dict.fromkeys(gone)))
    assert machine.swap_free_bytes is None
    assert any(
        "memory.swap.max" in entry.reason
        for entry in machine.unread
        if entry.fact == "swap_free_bytes"
    )


def decided(machine: Machine) -> Verdict:
    """What `check` says of a small model, without what would fit instead."""
    return check_with(CATALOGUE, "qwen3-0.6b", Workload(), machine, instead=False)


FINDING_OF = {
    "memory_limit_bytes": "memory",
    "instruction_sets": "cpu",
    "architecture": "cpu",
}


@pytest.mark.parametrize(
    "folder", [case for case in CASES if FILES_OF[case]], ids=lambda path: path.name
)
def test_a_fact_that_is_gone_makes_its_finding_unknown(folder: Path) -> None:
    """Each file of every recording gone, or for every other unreadable, in turn: the finding that rested on it is unknown and says why; none gets better."""
    judged, seen = 0, list[Machine]()
    rank = [Outcome.FAIL, Outcome.UNKNOWN, Outcome.WARN, Outcome.PASS]
    whole = decided(read_machine(RecordedHost(str(folder / "root"))))
    before = {finding.check: finding for finding in whole.findings}
    for number, path in enumerate(FILES_OF[folder]):
        for damage in (None, DAMAGE["closed"])[number % 2 :][:1]:
            machine = read_machine(Altered(str(folder / "root"), {str(path): damage}))
            gone = {name for fact, name in FINDING_OF.items() if getattr(machine, fact) is None}
            verdict = decided(machine)
            # what the processor may lack slows nothing that lies on a GPU
            if (
                machine.architecture is not None
                and verdict.needs
                and verdict.needs.placement == "accelerator"
            ):
                gone.discard("cpu")
            # a machine that reads as one before is judged as it
            if not gone or machine in seen:
                continue
            seen.append(machine)
            for finding in verdict.findings:
                if finding.check in gone:
                    judged += 1
                    assert finding.outcome is Outcome.UNKNOWN, path
                    assert any(
                        word in finding.reason
                        for word in (
                            "is not there",
                            "not be read",
                            "cannot be read",
                            "not known",
                            "does not",
                        )
                    ), path
                elif finding.check in before and finding.check != "accelerator":
                    assert rank.index(finding.outcome) <= rank.index(
                        before[finding.check].outcome
                    ), (path, finding)
            assert verdict.route is not Route.LOCAL
    # the corpus holds what decides: each fact rests on at least one of its files
    assert judged >= 3 or not folder.name.startswith(("linux-vm", "synthetic"))


# finding: the fact it rests on, and all that tells that fact: files, answers of the system, values of macOS' sysctl
DECIDING: dict[str, tuple[str, str, tuple[str, ...], str]] = {
    "memory": ("memory_limit_bytes", r"/proc/meminfo$", ("memory",), r"hw\.memsize$"),
    "cpu": (
        "architecture",
        r"/proc/cpuinfo$",
        ("machine",),
        r"hw\.(optional|cputype|cpusubtype)|machdep\.cpu|sysctl\.proc_translated",
    ),
    "disk": ("disks.llama.cpp.free_bytes", r"^$", ("space",), r"^$"),
}


def tells(name: str, host: Host) -> bool:
    """Whether the fact of that finding is known of a computer."""
    return not any(DECIDING[name][0].startswith(entry.fact) for entry in read_machine(host).unread)


@each("name", DECIDING)
@each("folder", CASES, ids=lambda path: path.name)
def test_a_fact_that_nothing_tells_any_more_is_unknown_in_its_finding(
    folder: Path, name: str
) -> None:
    """Of every recording, files or not: what decides gone with all that stands in for it gives `unknown` and why, never zero or local."""
    _, files, answers, values = DECIDING[name]

    own = FILES_OF[folder]
    host = Altered(
        str(folder / "root"), {str(path): None for path in own if re.search(files, path.as_posix())}
    )
    host._facts = {key: value for key, value in host._facts.items() if key not in answers}
    host._sysctl = {key: value for key, value in host._sysctl.items() if not re.match(values, key)}
    machine = read_machine(host)
    lawful(machine)
    assert not any("failed" in entry.reason for entry in machine.unread)
    assert not tells(name, host)
    verdict = decided(machine)
    finding = verdict.finding(name)
    assert finding is not None
    assert (finding.outcome, finding.has) == (Outcome.UNKNOWN, None), finding
    assert any(
        word in finding.reason
        for word in (
            "could not",
            "not known",
            "not be read",
            "does not",
            "is not there",
            "did not say",
        )
    )
    assert verdict.route in (Route.UNKNOWN, Route.API)
    others = {one.check: one.outcome for one in verdict.findings if one.check != name}
    assert verdict.route is Route.UNKNOWN or Outcome.FAIL in others.values()


@pytest.mark.parametrize("name", DECIDING)
def test_the_recordings_hold_what_decides(name: str) -> None:
    """Taking it away shows something only where it was there: in at least four recordings."""
    assert sum(tells(name, RecordedHost(str(folder / "root"))) for folder in CASES) >= 4


@settings(calm, max_examples=60)
@given(st.data())
def test_a_broken_file_never_breaks_the_reading(data: st.DataObject) -> None:
    """Cut off, garbled, or with other numbers: what cannot be read is unread, and sizes never contradict each other."""
    folder, path = data.draw(st.sampled_from(FILES))
    content = path.read_bytes()
    how = data.draw(st.sampled_from(["cut", "noise", "numbers", "bytes"]))
    if how == "cut":
        content = content[: data.draw(st.integers(0, len(content)))]
    elif how == "noise":
        content = data.draw(st.binary(max_size=200))
    elif how == "numbers":
        digits = data.draw(
            st.sampled_from(
                [
                    b"0",
                    b"-1",
                    b"max",
                    b"99999999999999999999999",
                    b"1.5",
                    "٣".encode(),
                    b"18446744073709551615",
                ]
            )
        )
        content = digits.join(content.split(data.draw(st.sampled_from([b"0", b"1", b"2", b" "]))))
    else:
        at = data.draw(st.integers(0, len(content)))
        content = content[:at] + data.draw(st.binary(min_size=1, max_size=8)) + content[at + 1 :]
    machine = read_machine(Altered(str(folder / "root"), {str(path): content}))
    lawful(machine)
    assert not any("failed" in entry.reason for entry in machine.unread)
    if how == "cut":
        # half a file may tell less, never more
        whole, written = (
            read_machine(RecordedHost(str(folder / "root"))).to_json(),
            machine.to_json(),
        )
        most = dict(whole)
        if path.name == "meminfo":
            # its last lines tell which pages are set aside: without them all of the RAM may count
            most["memory_limit_bytes"] = whole["memory_total_bytes"]
        for fact in FACTS:
            if (
                isinstance(most[fact], int | float)
                and written[fact] is not None
                and fact != "swap_free_bytes"
            ):
                assert written[fact] <= most[fact], fact


@settings(calm, max_examples=60)
@given(st.binary(max_size=300))
def test_no_text_breaks_a_parser(content: bytes) -> None:
    """Parsers leave out what they do not know."""
    text = content.decode("utf-8", "replace")
    for parse in (
        parse_mountinfo, cgroups.parse_cgroup, cgroups.parse_number, cgroups.parse_stat, procfs.parse_meminfo, procfs.parse_pairs,
        procfs.parse_list, memory.parse_swaps, cpu.parse_cpuinfo, cpu.parse_model,
        cpu.parse_instruction_sets, cpu.parse_cpu_max, stores.parse_unit,
        nvidia.parse_driver, nvidia.parse_information, accelerators.parse_properties,
    ):  # fmt: skip
        parse(text)
    procfs.parse_limit(text, "Max data size")
    cpu.parse_parts(text)
    cpu.parse_efficiency_classes(content)


@each("name", sorted(name for name in PARTS if name.split("/")[0] in (*PLACES, "cgroup")))
def test_each_single_recording_is_read_as_a_tree(
    build: Callable[..., RecordedHost], name: str
) -> None:
    """A tree of one recording: what it decides is read, all else is unread with its reason, and nothing goes wrong."""
    machine = read_machine(build(placed(name), machine=word_of(name)))
    lawful(machine)
    assert not any("failed" in entry.reason for entry in machine.unread)
    kind = name.split("/")[0]
    assert (machine.memory_total_bytes is not None) == (kind == "meminfo")
    assert machine.memory_limit_bytes is machine.memory_available_bytes is None
    if kind == "cpuinfo":
        assert machine.cpu_model
        assert (machine.instruction_sets is None) == ("riscv" in name or "power" in name)
