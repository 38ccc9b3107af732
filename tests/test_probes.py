"""Probes: every recorded machine gives what its recordings say, and whatever is missing or broken becomes unread, never a guess."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from selfhost import Outcome, Route, Verdict, Workload, check
from selfhost.api import check_with
from selfhost.catalogue.index import Catalogue
from selfhost.core.records import Unread
from selfhost.machine.changes import apply
from selfhost.machine.probes import (
    Host,
    accelerators,
    bandwidth,
    cgroups,
    cpu,
    memory,
    nvidia,
    procfs,
    quota,
    read_machine,
    software,
    stores,
)
from selfhost.machine.probes.host import Mount, Space, parse_mountinfo
from selfhost.machine.probes.recorded import RecordedHost
from selfhost.machine.probes.recorder import Recorder
from selfhost.machine.reader import Machine
from selfhost.machine.record import FACTS

HERE = Path(__file__).parent / "machines"
CASES = sorted(path.parent for path in HERE.glob("*/expected.json"))
PARTS: dict[str, dict[str, Any]] = json.loads((HERE / "parts" / "sources.json").read_text())
SCHEMA = json.loads(
    (Path(__file__).parents[1] / "selfhost" / "schemas" / "machine-1.json").read_text()
)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
GIB = 2**30
# a busy computer is no fault
calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
# an x86_64 Linux without anything but what a test writes
LINUX = {
    "system": "linux",
    "machine": "x86_64",
    "pointer_bits": 64,
    "page_bytes": 4096,
    "affinity": [0, 1, 2, 3],
}
DATA_LIMIT = "Max data size             unlimited            unlimited            bytes\n"
NO_LIMITS = {
    "/proc/self/limits": DATA_LIMIT
    + "Max address space         unlimited            unlimited            bytes\n"
}
MEMINFO = "MemTotal: 16777216 kB\nMemFree: 1048576 kB\nMemAvailable: 12582912 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"
CGROUP2_MOUNT = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
ROOT_MOUNT = "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"


def part(kind: str) -> list[str]:
    return sorted(name for name in PARTS if name.startswith(kind + "/"))


def text_of(name: str) -> str:
    return (HERE / "parts" / name).read_text()


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., RecordedHost]:
    """A host of exactly these files, facts and variables."""
    numbers = iter(range(1000))

    def make(
        files: dict[str, str], env: dict[str, str] | None = None, **facts: Any
    ) -> RecordedHost:
        folder = tmp_path / str(next(numbers))
        for path, text in files.items():
            place = folder / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "env.json").write_text(json.dumps(env or {}))
        (folder / "facts.json").write_text(json.dumps({**LINUX, **facts}))
        return RecordedHost(str(folder))

    return make


def lawful(machine: Machine) -> None:
    """What holds for every reading, however broken the machine."""
    told = {entry.fact for entry in machine.unread}
    for fact in FACTS:
        assert (getattr(machine, fact) is None) == (fact in told), fact
        assert fact in told or fact in machine.sources, fact
    sizes = (machine.memory_available_bytes, machine.memory_limit_bytes, machine.memory_total_bytes)
    known = [size for size in sizes if size is not None]
    assert known == sorted(known)
    assert machine.memory_total_bytes != 0
    written = machine.to_json()
    text = json.dumps(written, allow_nan=False)
    assert json.loads(text) == written
    # a record is another computer's, whatever it says
    assert read_back(text, machine.name) == machine.replace(is_this_one=False)


@lru_cache(maxsize=256)
def read_back(text: str, name: str) -> Machine:
    """The machine of a record that keeps the schema; most spoilt files leave the record as it was."""
    written = json.loads(text)
    VALIDATOR.validate(written)
    return Machine.from_json(written, unnamed=name)


# recorded machines


@pytest.mark.parametrize("folder", CASES, ids=lambda path: path.name)
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


@pytest.mark.parametrize("folder", [*CASES, HERE / "parts"], ids=lambda path: path.name)
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
_PLACES: dict[tuple[str, str], str] = {}


class Altered(RecordedHost):
    """A recorded machine of which some files read otherwise: None is a file that is gone, an error one that may not be read."""

    def __init__(self, folder: str, contents: dict[str, bytes | OSError | None]) -> None:
        super().__init__(folder)
        self.contents = contents

    def real(self, path: str) -> str:
        # the files themselves stay where they are
        known = _PLACES.get((self.folder, path))
        if known is None:
            known = _PLACES[self.folder, path] = super().real(path)
        return known

    def read_bytes(self, path: str, limit: int) -> bytes:
        place = self.real(path)
        if place not in self.contents:
            return super().read_bytes(path, limit)
        content = self.contents[place]
        if content is None:
            raise FileNotFoundError(2, "No such file or directory", path)
        if isinstance(content, OSError):
            raise content
        return content[:limit]


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


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("folder", CASES, ids=lambda path: path.name)
def test_a_file_that_is_gone_takes_facts_away_and_changes_none(folder: Path, damage: str) -> None:
    """Each recorded file removed or spoilt in turn: every fact is what it was, by another source, or None with its reason."""
    whole = read_machine(RecordedHost(str(folder / "root"))).to_json()
    lost = set()
    for path in FILES_OF[folder]:
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
        assert {
            "memory_total_bytes",
            "memory_limit_bytes",
            "memory_available_bytes",
            "instruction_sets",
            "cpu_cores_usable",
        } <= lost


@settings(calm, max_examples=150)
@given(st.data())
def test_whatever_is_missing_no_figure_grows(data: st.DataObject) -> None:
    """Up to three files of a machine gone at once, fallbacks with what they stand in for: a fact is what it was or None.

    Without all files of a controller, in every group, a tree is that of a kernel which has none.
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
    folder = HERE / "synthetic-linux-lxc-without-lxcfs"
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
    """Each file of every recording gone or unreadable in turn: the finding that rested on it is unknown and says why; none gets better."""
    judged, seen = 0, list[Machine]()
    rank = [Outcome.FAIL, Outcome.UNKNOWN, Outcome.WARN, Outcome.PASS]
    whole = decided(read_machine(RecordedHost(str(folder / "root"))))
    before = {finding.check: finding for finding in whole.findings}
    for path in FILES_OF[folder]:
        for damage in (None, DAMAGE["closed"]):
            machine = read_machine(Altered(str(folder / "root"), {str(path): damage}))
            gone = {name for fact, name in FINDING_OF.items() if getattr(machine, fact) is None}
            # a machine that reads as one before is judged as it
            if not gone or machine in seen:
                continue
            seen.append(machine)
            verdict = decided(machine)
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


@pytest.mark.parametrize("name", DECIDING)
@pytest.mark.parametrize("folder", CASES, ids=lambda path: path.name)
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


@settings(calm, max_examples=150)
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
        for fact in FACTS:
            if (
                isinstance(whole[fact], int | float)
                and written[fact] is not None
                and fact != "swap_free_bytes"
            ):
                assert written[fact] <= whole[fact], fact


@settings(calm, max_examples=60)
@given(st.binary(max_size=300))
def test_no_text_breaks_a_parser(content: bytes) -> None:
    """Parsers leave out what they do not know."""
    text = content.decode("utf-8", "replace")
    for parse in (
        parse_mountinfo, cgroups.parse_cgroup, cgroups.parse_number, cgroups.parse_pairs, procfs.parse_meminfo, procfs.parse_status,
        procfs.parse_list, memory.parse_low_watermarks, memory.parse_swaps, cpu.parse_cpuinfo, cpu.parse_model,
        cpu.parse_instruction_sets, cpu.parse_cpu_max, cpu.parse_core_ids, stores.parse_unit, software.parse_distribution,
        nvidia.parse_driver, nvidia.parse_information, accelerators.parse_properties,
    ):  # fmt: skip
        parse(text)
    procfs.parse_limit(text, "Max data size")
    cpu.parse_parts(text)
    cpu.parse_efficiency_classes(content)
    memory.parse_job_limits(content)


# single recordings


@pytest.mark.parametrize("name", part("cpuinfo"))
def test_recorded_instruction_sets(name: str) -> None:
    """45 processors: what each must and must not show; kernels without a list give None."""
    found = cpu.parse_instruction_sets(text_of(name))
    if "riscv" in name:
        assert found is None
        return
    assert found
    for flag, there in PARTS[name].get("expect", {}).items():
        assert (flag in found) == there, flag
    assert cpu.parse_model(text_of(name))


@pytest.mark.parametrize("line", ["flags : " + "fpu0" * 50, "flags : fpu\x01 sse2"])
def test_flags_that_are_no_names(line: str) -> None:
    """A garbled list is not a processor without instruction sets."""
    assert cpu.parse_instruction_sets(line + "\n") is None


PLACES = {
    "cpuinfo": "/proc/cpuinfo",
    "meminfo": "/proc/meminfo",
    "swaps": "/proc/swaps",
    "mountinfo": "/proc/self/mountinfo",
}


def placed(name: str) -> dict[str, str]:
    """A single recording as files: several joined have `# path` lines."""
    text = text_of(name)
    if not text.startswith("# "):
        return {PLACES.get(name.split("/")[0], "/proc/self/cgroup"): text}
    files: dict[str, str] = {}
    for line in text.splitlines(keepends=True):
        if line.startswith("# "):
            path = re.sub(r"^/proc/\d+/", "/proc/self/", "/" + line[2:].strip().lstrip("/"))
            files[path] = ""
        else:
            files[path] += line
    return files


def word_of(name: str) -> str:
    """What uname says where a recording of /proc/cpuinfo was made; x86_64 for other recordings."""
    starts = {
        "cpuinfo/arm-": "aarch64",
        "cpuinfo/arm32-": "armv7l",
        "cpuinfo/riscv-": "riscv64",
        "meminfo/power": "ppc64le",
    }
    return next((word for start, word in starts.items() if name.startswith(start)), "x86_64")


@pytest.mark.parametrize(
    "name", sorted(name for name in PARTS if name.split("/")[0] in (*PLACES, "cgroup"))
)
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


BOX = "b29faf21b7eff959f64b4192c34d5d67a707fe8561e9eaa608cb27693fba4242"
SCOPE = "docker-1c8fa019edd4b9d4b2856f4932c55929c5c118c808ed5faee9a135ca6e84b039.scope"
CGROUP_MOUNTS = "".join(
    f"3{number} 23 0:2{number} / /sys/fs/cgroup/{name} rw - cgroup cgroup rw,{name}\n"
    for number, name in enumerate(("memory", "cpu"))
)


@pytest.mark.parametrize(
    ("name", "groups", "mounts", "limit", "available"),
    [
        (
            "own-cgroup-v1-nested-2gib-parent.txt",
            None,
            CGROUP_MOUNTS,
            2147483648,
            2147483648 - (1508868096 - 1258299392 - 53248),
        ),
        ("own-cgroup-v1-memory-chain.txt", None, CGROUP_MOUNTS, 16 * GIB, 12 * GIB),
        # the files of the slice above are not in the recording: a limit may stand there
        ("v1-hybrid-ubuntu1804.txt", None, CGROUP_MOUNTS, None, None),
        (
            "v1-docker-unlimited-sentinel.txt",
            f"2:memory:/docker/{BOX}\n1:cpu:/docker/{BOX}\n",
            CGROUP_MOUNTS,
            16 * GIB,
            12 * GIB,
        ),
        (
            "v2-docker-systemd-slice-unlimited.txt",
            f"0::/system.slice/{SCOPE}\n",
            CGROUP2_MOUNT,
            16 * GIB,
            12 * GIB,
        ),
    ],
)
def test_recorded_control_groups(
    build: Callable[..., RecordedHost],
    name: str,
    groups: str | None,
    mounts: str,
    limit: int | None,
    available: int | None,
) -> None:
    """What a right reader answers; without a limit what binds is the machine of 16 GiB around it. A group's room is by its own use."""
    files = {
        "/proc/meminfo": MEMINFO,
        **NO_LIMITS,
        "/proc/self/mountinfo": ROOT_MOUNT + mounts,
        **placed(f"cgroup/{name}"),
    }
    if groups:
        files["/proc/self/cgroup"] = groups
    machine = read_machine(build(files))
    lawful(machine)
    assert (machine.memory_limit_bytes, machine.memory_available_bytes) == (limit, available)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("x86-zen5.txt", "AMD Ryzen 9 9950X"),
        ("arm-graviton2-neoverse-n1.txt", "Arm Neoverse-N1"),
        ("arm-dgx-spark-gb10.txt", "Arm Cortex-X925"),
        ("arm-snapdragon-x-elite.txt", "Qualcomm Oryon"),
        ("arm-raspberrypi4-v8-pios.txt", "Raspberry Pi 4 Model B"),
        ("riscv-spacemit-k1.txt", "Spacemit(R) X60"),
    ],
)
def test_recorded_models(name: str, model: str) -> None:
    """Arm kernels give part numbers: people know the names."""
    assert model in (cpu.parse_model(text_of(f"cpuinfo/{name}")) or "")


@pytest.mark.parametrize("name", part("meminfo"))
def test_recorded_meminfo(name: str) -> None:
    """MemTotal of every recorded machine is its first line, in KiB."""
    text = text_of(name)
    line = next(line for line in text.splitlines() if line.startswith("MemTotal"))
    found = procfs.parse_meminfo(text)
    assert found["MemTotal"] == int(line.split()[1]) * 1024
    assert found.get("HugePages_Total", 0) < 2**20


def test_recorded_cgroups_and_mounts() -> None:
    """Version 1, 2 and both at once, from machines of several makers."""
    docker = cgroups.parse_cgroup(text_of("cgroup/proc-self-cgroup-v1-facter-docker.txt"))
    assert docker["pids"].startswith("/docker/")
    spark = cgroups.parse_cgroup(text_of("cgroup/dgx-spark-proc-self-cgroup.txt"))
    assert spark == {"": "/user.slice/user-61469.slice/session-3210.scope"}
    lxc = cgroups.parse_cgroup(text_of("cgroup/proc-self-cgroup-lxc.txt"))
    assert lxc["cpu"] == lxc["cpuacct"] == "/init.scope"
    mounts = parse_mountinfo(text_of("mountinfo/mountinfo-v1-and-v2.txt"))
    assert (
        next(mount for mount in mounts if mount.filesystem == "cgroup2").point
        == "/sys/fs/cgroup/unified"
    )
    assert any(
        mount.filesystem == "cgroup" and "memory" in mount.options.split(",") for mount in mounts
    )
    node = parse_mountinfo(text_of("mountinfo/mountinfo-k8s-amzn2.txt"))
    assert next(mount for mount in node if mount.point == "/").filesystem == "xfs"
    assert next(mount for mount in node if mount.point == "/sys/fs/cgroup").read_only


def test_a_mount_point_with_spaces() -> None:
    """mountinfo writes a space as \\040."""
    mounts = parse_mountinfo(
        r"36 35 98:0 / /mnt/my\040disk ro,noatime master:1 - ext3 /dev/root rw,errors=continue"
    )
    line = Mount(
        root="/",
        point="/mnt/my disk",
        filesystem="ext3",
        options="rw,errors=continue",
        read_only=True,
    )
    assert mounts == (line.replace(device="98:0", source="/dev/root"),)


def recorded(name: str) -> dict[str, str]:
    folder = HERE / name / "root"
    paths = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".json"]
    return {"/" + path.relative_to(folder).as_posix(): path.read_text() for path in paths}


def test_cores_of_a_hybrid_processor(build: Callable[..., RecordedHost]) -> None:
    """Six cores of two threads and eight of one: 14 cores, of which a process bound to two threads of one core has one.

    The large ones are those that the kernel names, or that have two threads where others have one.
    """
    files = recorded("linux-desktop-alder-lake")
    for extra in (
        {},
        {"/sys/devices/cpu_core/cpus": "0-11\n", "/sys/devices/cpu_atom/cpus": "12-19\n"},
    ):
        machine = read_machine(build(files | extra, affinity=list(range(20))))
        assert (machine.cpu_cores_physical, machine.cpu_cores_performance) == (14, 6)
        machine = read_machine(build(files | extra, affinity=[2, 3]))
        assert (machine.cpu_cores_physical, machine.cpu_cores_performance) == (1, 1)
        # bound to small ones: the fastest there are
        assert read_machine(build(files | extra, affinity=[12, 13, 14])).cpu_cores_performance == 3
    for name in ("cpu_core", "cpu_atom"):
        half = read_machine(
            build(files | {f"/sys/devices/{name}/cpus": "0-11\n"}, affinity=list(range(20)))
        )
        assert half.cpu_cores_performance is None
        assert "is not there" in half.why_unread("cpu_cores_performance").reason


def test_cores_of_two_kinds_on_arm(build: Callable[..., RecordedHost]) -> None:
    """DGX Spark: ten Cortex-X925 and ten Cortex-A725, in two clusters of different clocks (cpu_capacity 997 to 1024, 718 and 731)."""
    files = recorded("linux-dgx-spark-gb10")
    everyone = list(range(20))
    siblings = {
        f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list": f"{cpu}\n"
        for cpu in everyone
    }
    machine = read_machine(build(files | siblings, affinity=everyone))
    assert (machine.cpu_cores_physical, machine.cpu_cores_performance) == (20, 10)
    assert read_machine(build(files | siblings, affinity=[0, 1, 2])).cpu_cores_performance == 3
    del files["/sys/devices/system/cpu/cpu7/cpu_capacity"]
    assert read_machine(build(files | siblings, affinity=everyone)).cpu_cores_performance is None


def test_cores_of_two_kinds_on_windows() -> None:
    """One record a core, of its own size: two with EfficiencyClass 1 and one with 0; a cut record counts no further."""
    core = bytes(4) + (48).to_bytes(4, "little") + bytes(1)
    cores = core + b"\1" + bytes(38) + core + b"\0" + bytes(38) + core + b"\1" + bytes(38)
    assert cpu.parse_efficiency_classes(cores) == (1, 0, 1)
    assert cpu.parse_efficiency_classes(cores[:100]) == (1, 0)
    assert cpu.parse_efficiency_classes(b"\0" * 100) == ()


# control groups


def version_2(
    groups: dict[str, str], path: str = "/", mount: str = CGROUP2_MOUNT
) -> dict[str, str]:
    files = {
        "/proc/meminfo": MEMINFO,
        **NO_LIMITS,
        "/proc/self/cgroup": f"0::{path}\n",
        "/proc/self/mountinfo": ROOT_MOUNT + mount,
    }
    files["/sys/fs/cgroup/cgroup.controllers"] = "cpuset cpu io memory pids\n"
    return files | {f"/sys/fs/cgroup/{name}": text for name, text in groups.items()}


STAT = "anon 104857600\nfile 1363148800\ninactive_file 1258291200\nactive_file 104857600\nslab_reclaimable 10485760\n"
FULL = {
    "memory.max": "2147483648\n",
    "memory.high": "max\n",
    "memory.current": "1478492160\n",
    "memory.stat": STAT,
}


def under(folder: str, files: dict[str, str]) -> dict[str, str]:
    return {f"{folder}/{name}" if folder else name: text for name, text in files.items()}


def test_the_limit_of_a_container_is_its_own(build: Callable[..., RecordedHost]) -> None:
    """Inside a namespace the limit stands at the mount point; cache that can be dropped is not in use (kekzl/imp#2070)."""
    machine = read_machine(build(version_2(FULL)))
    assert machine.memory_total_bytes == 16 * GIB
    assert machine.memory_limit_bytes == 2 * GIB
    assert machine.memory_available_bytes == 2 * GIB - (
        1478492160 - 1258291200 - 104857600 - 10485760
    )


def test_what_a_group_holds_in_tmpfs_is_in_use(build: Callable[..., RecordedHost]) -> None:
    """Of 1,400 MiB, 500 of files read twice and 300 of files read once can be dropped; 400 of tmpfs and 200 locked cannot."""
    stat = {
        "anon": 0,
        "file": 1400,
        "shmem": 400,
        "inactive_anon": 400,
        "active_anon": 0,
        "inactive_file": 300,
        "active_file": 500,
    }
    text = "".join(
        f"{name} {size * 2**20}\n" for name, size in (stat | {"unevictable": 200}).items()
    )
    machine = read_machine(
        build(version_2(FULL | {"memory.current": f"{1400 * 2**20}\n", "memory.stat": text}))
    )
    assert machine.memory_available_bytes == 2 * GIB - 600 * 2**20
    assert "besides file cache" in machine.sources["memory_available_bytes"]


def test_a_parents_limit_holds_for_the_child(build: Callable[..., RecordedHost]) -> None:
    """A scope without a limit in a slice with one, each level with its own use (openjdk/jdk#20646, dotnet/runtime#113193)."""
    free = {
        "memory.max": "max\n",
        "memory.high": "max\n",
        "memory.current": "4096\n",
        "memory.stat": STAT,
    }
    groups = under("user.slice", FULL) | under("user.slice/a.scope", free)
    machine = read_machine(build(version_2(groups, "/user.slice/a.scope")))
    assert machine.memory_limit_bytes == 2 * GIB
    assert "/user.slice: memory.max 2.00 GiB" in machine.sources["memory_limit_bytes"]
    assert machine.memory_available_bytes == 2 * GIB - (
        1478492160 - 1258291200 - 104857600 - 10485760
    )


def test_memory_high_is_a_limit_too(build: Callable[..., RecordedHost]) -> None:
    """Above it a process crawls."""
    machine = read_machine(build(version_2(FULL | {"memory.high": "1073741824\n"})))
    assert machine.memory_limit_bytes == GIB
    assert "memory.high" in machine.sources["memory_limit_bytes"]


def test_a_group_gone_from_what_is_mounted(build: Callable[..., RecordedHost]) -> None:
    """Its path is below what is mounted and its folder is not there: the limit of a group above holds for it."""
    assert read_machine(build(version_2(FULL, "/not/mounted/here"))).memory_limit_bytes == 2 * GIB


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("root", "path"),
    [
        ("/../..", "/"),
        ("/..", "/"),
        ("/", "/../other"),
        ("/box", "/boxes/one"),
        ("/..", "/../../x"),
    ],
)
def test_a_group_outside_what_is_mounted(
    build: Callable[..., RecordedHost], version: int, root: str, path: str
) -> None:
    """A namespace of its own with the mount of another (`unshare -C`): the groups that show are not its own, so their limits say nothing.

    The recorded mountinfo of a Docker container has such a line too.
    """
    mounts = parse_mountinfo(text_of("mountinfo/mountinfo-docker-cgroup2.txt"))
    assert "/../.." in [mount.root for mount in mounts if mount.filesystem == "cgroup2"]
    for top in (FULL | {"memory.max": "max\n"}, FULL):
        files = version_2(top, path, CGROUP2_MOUNT.replace(" / ", f" {root} "))
        if version == 1:
            limit = {
                "memory.limit_in_bytes": "9223372036854771712\n",
                "memory.stat": "hierarchical_memory_limit 9223372036854771712\n",
            }
            files |= under("/sys/fs/cgroup/memory", limit) | {
                "/proc/self/cgroup": f"4:memory:{path}\n"
            }
            files["/proc/self/mountinfo"] = ROOT_MOUNT + CGROUP_MOUNTS.replace(" / ", f" {root} ")
        machine = read_machine(build(files))
        lawful(machine)
        assert machine.memory_limit_bytes is machine.memory_available_bytes is None
        assert f"shows the groups of {root}" in machine.why_unread("memory_limit_bytes").reason


def test_the_mount_that_shows_the_group_is_read(build: Callable[..., RecordedHost]) -> None:
    """A new mount over one of another namespace, and a second mount elsewhere: the one that shows the own group counts."""
    outer = CGROUP2_MOUNT.replace(" / ", " /.. ")
    for mounts in (
        outer + CGROUP2_MOUNT,
        outer.replace("/sys/fs/cgroup", "/outer") + CGROUP2_MOUNT,
    ):
        assert read_machine(build(version_2(FULL, "/", mounts))).memory_limit_bytes == 2 * GIB


def test_a_controller_of_version_1_that_is_not_mounted(build: Callable[..., RecordedHost]) -> None:
    """Version 2 beside it, without that controller, does not say that there is no limit."""
    files = version_2({"cgroup.controllers": "\n"}) | {
        "/proc/self/cgroup": "4:memory:/box\n1:cpu:/box\n0::/\n"
    }
    machine = read_machine(build(files))
    for fact in ("memory_limit_bytes", "memory_available_bytes", "cpu_cores_usable"):
        assert "control groups are not mounted here" in machine.why_unread(fact).reason


def test_a_group_mounted_by_its_path(build: Callable[..., RecordedHost]) -> None:
    """Docker without a namespace mounts the container's own group and shows the host's path to it."""
    mount = "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n"
    assert read_machine(build(version_2(FULL, "/docker/abc", mount))).memory_limit_bytes == 2 * GIB


@pytest.mark.parametrize("version", [1, 2])
def test_a_group_that_cannot_be_seen(build: Callable[..., RecordedHost], version: int) -> None:
    """The process is in a group that is not mounted here, and nothing above limits it: a limit may stand there unseen."""
    files = version_2({"cgroup.controllers": "cpu memory\n"}, "/machine/box")
    if version == 1:
        top = {
            "memory.limit_in_bytes": "9223372036854771712\n",
            "memory.stat": "hierarchical_memory_limit 9223372036854771712\n",
        }
        files = version_2(under("memory", top)) | {"/proc/self/cgroup": "4:memory:/machine/box\n"}
        files["/proc/self/mountinfo"] = ROOT_MOUNT + CGROUP_MOUNTS
    machine = read_machine(build(files))
    assert machine.memory_limit_bytes is None
    assert "cannot be seen from here" in machine.why_unread("memory_limit_bytes").reason


@pytest.mark.parametrize("version", [1, 2])
def test_groups_hidden_by_a_mount_above_leave_memory_and_cores_unread(
    build: Callable[..., RecordedHost], version: int
) -> None:
    """`mount -t tmpfs none /sys`: the list of mounts still names the groups, whose files are gone. A quota may stand there unseen."""
    mounts = CGROUP2_MOUNT if version == 2 else CGROUP_MOUNTS
    files = version_2({}) | {
        "/proc/self/mountinfo": ROOT_MOUNT + mounts + "99 23 0:99 / /sys rw - tmpfs none rw\n",
        "/proc/self/cgroup": "0::/box\n" if version == 2 else "4:memory:/box\n3:cpu,cpuacct:/box\n",
    }
    del files["/sys/fs/cgroup/cgroup.controllers"]
    machine = read_machine(build(files))
    lawful(machine)
    assert (
        machine.memory_limit_bytes
        is machine.memory_available_bytes
        is machine.cpu_cores_usable
        is None
    )
    for fact in ("memory_limit_bytes", "cpu_cores_usable"):
        assert "a limit may exist unseen" in machine.why_unread(fact).reason


def test_a_containers_limit_says_that_groups_above_do_not_show(
    build: Callable[..., RecordedHost],
) -> None:
    """Rootless Podman, `--memory 1g` below a user slice of 700 MiB: 1 GiB is all that shows, and may not be all there is."""
    inside = version_2({**FULL, "memory.max": f"{GIB}\n"})
    assert "groups above do not show" in read_machine(build(inside)).sources["memory_limit_bytes"]
    # the hierarchy's own top has no limits, so that nothing stands above what is read here
    whole = version_2({"cgroup.controllers": "cpu memory\n"} | under("box", FULL), "/box")
    machine = read_machine(build(whole))
    assert machine.memory_limit_bytes == 2 * GIB
    assert "groups above" not in machine.sources["memory_limit_bytes"]


def test_no_limit_is_the_hardware(build: Callable[..., RecordedHost]) -> None:
    """`max`, or a kernel without the memory controller (the Raspberry Pi's default), must not hide MemAvailable (ollama/ollama#15961)."""
    free = FULL | {"memory.max": "max\n"}
    for files in (
        version_2(free),
        version_2({"cgroup.controllers": "cpuset cpu io pids\n"}),
        version_2({"cgroup.controllers": "\n"}),
    ):
        machine = read_machine(build(files))
        assert machine.memory_limit_bytes == 16 * GIB
        assert machine.memory_available_bytes == 12 * GIB
        # only the hierarchy's own top has no limits: a top with some is a container's group, above which nothing shows
        assert ("shows inside the container" in machine.sources["memory_limit_bytes"]) == (
            "/sys/fs/cgroup/memory.max" in files
        )


@pytest.mark.parametrize(
    ("name", "text", "facts"),
    [
        ("memory.max", None, {"memory_limit_bytes", "memory_available_bytes"}),
        ("memory.max", "lots\n", {"memory_limit_bytes", "memory_available_bytes"}),
        ("memory.current", None, {"memory_available_bytes"}),
        ("memory.stat", None, {"memory_available_bytes"}),
        ("memory.stat", "anon 5\n", {"memory_available_bytes"}),
        ("memory.high", None, {"memory_limit_bytes", "memory_available_bytes"}),
    ],
)
def test_a_limit_that_cannot_be_read_is_not_no_limit(
    build: Callable[..., RecordedHost], name: str, text: str | None, facts: set[str]
) -> None:
    """Where a limit may exist unseen, neither it nor what is available is known."""
    groups = {key: value for key, value in FULL.items() if key != name} | (
        {name: text} if text else {}
    )
    machine = read_machine(build(version_2(groups)))
    lawful(machine)
    for fact in ("memory_limit_bytes", "memory_available_bytes"):
        assert (getattr(machine, fact) is None) == (fact in facts)


def test_a_flatpak_does_not_show_its_groups(build: Callable[..., RecordedHost]) -> None:
    """A sandbox has block, bus, class, dev and devices of /sys (flathub-infra/flatpak-builder-lint#221) and stores below ~/.var/app.

    It is in a group that it cannot see: what that one leaves is unread, and stated it is judged.
    """
    app = "/home/ada/.var/app/com.visualstudio.code"
    files = {
        **NO_LIMITS,
        "/proc/meminfo": MEMINFO,
        "/proc/self/status": "VmSize: 20480 kB\nMems_allowed_list:\t0\n",
        "/proc/self/cgroup": "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-flatpak-com.visualstudio.code-4711.scope\n",
        "/proc/self/mountinfo": "500 400 0:60 / / rw,nosuid,nodev,relatime - tmpfs tmpfs rw\n"
        "510 500 0:22 /bus /sys/bus ro,nosuid,nodev - sysfs sysfs rw\n520 500 8:1 /home/ada /home/ada rw - ext4 /dev/sda1 rw\n",
        f"{app}/cache/x": "",
    }
    env = {"HOME": "/home/ada", "XDG_CACHE_HOME": f"{app}/cache", "container": "flatpak"}
    machine = read_machine(build(files, env, space=SPACE, writable={"/": True}))
    lawful(machine)
    assert (machine.scope, machine.memory_total_bytes, machine.memory_limit_bytes) == (
        "container",
        16 * GIB,
        None,
    )
    assert "not mounted here" in machine.why_unread("memory_limit_bytes").reason
    assert "--set memory" in (machine.why_unread("memory_limit_bytes").remedy or "")
    hub = place(machine, "huggingface")
    assert (hub.path, hub.filesystem) == (
        "~/.var/app/com.visualstudio.code/cache/huggingface/hub",
        "ext4",
    )
    assert apply(machine, ["memory=8GiB"]).memory_limit_bytes == 8 * GIB


def test_without_mounts_or_groups_nothing_is_claimed(build: Callable[..., RecordedHost]) -> None:
    """/proc/self/cgroup names a group and nothing is mounted: a limit may exist."""
    for gone in ("/proc/self/cgroup", "/proc/self/mountinfo", "/proc/self/limits"):
        files = {path: text for path, text in version_2(FULL).items() if path != gone}
        machine = read_machine(build(files))
        assert machine.memory_limit_bytes is None
        assert gone in machine.why_unread("memory_limit_bytes").reason


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("200000 100000\n", 2.0),
        ("50000 100000\n", 0.5),
        ("max 100000\n", 4.0),
        ("900000 100000\n", 4.0),
    ],
)
def test_cpu_quota(build: Callable[..., RecordedHost], text: str, cpus: float) -> None:
    """Half a CPU stays half a CPU; a quota above the affinity gives no more (the second line is `podman run --cpus=2`'s)."""
    assert read_machine(build(version_2({"cpu.max": text}))).cpu_cores_usable == cpus


def test_a_quota_that_no_kernel_gives(build: Callable[..., RecordedHost]) -> None:
    """Less than a millisecond a second is a broken file, not a machine."""
    machine = read_machine(build(version_2({"cpu.max": "1 100000\n"})))
    assert machine.cpu_cores_usable is None
    assert "no machine has" in machine.why_unread("cpu_cores_usable").reason


def test_a_quota_that_cannot_be_read(build: Callable[..., RecordedHost]) -> None:
    """cpu.weight without cpu.max: the controller is on, its limit unread."""
    machine = read_machine(build(version_2({"cpu.weight": "100\n"})))
    assert machine.cpu_cores_usable is None


@pytest.mark.parametrize(
    ("quota", "period", "told"),
    [
        ("150000\n", "100000\n", 1.5),
        ("-1\n", "100000\n", 4.0),
        ("150000\n", None, "cpu.cfs_period_us is not there"),
        ("150000\n", "0\n", "cpu.cfs_period_us is not a period"),
        ("-1\n", "-1\n", "cpu.cfs_period_us is not a period"),
        ("150000\n", "1000", "cpu.cfs_period_us is not a period"),
        (None, "100000\n", "cpu.cfs_quota_us is not there"),
        ("0\n", "100000\n", "cpu.cfs_quota_us is not a quota"),
    ],
)
def test_a_quota_in_two_files(
    build: Callable[..., RecordedHost], quota: str | None, period: str | None, told: float | str
) -> None:
    """Version 1 has quota and period, both positive, or -1 for no quota (Documentation/scheduler/sched-bwc.rst); the bad one is named."""
    files = {"/proc/meminfo": MEMINFO, **NO_LIMITS, "/proc/self/cgroup": "1:cpu:/\n"}
    files["/proc/self/mountinfo"] = (
        ROOT_MOUNT + "30 23 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
    )
    both = {"cpu.cfs_quota_us": quota, "cpu.cfs_period_us": period}
    machine = read_machine(
        build(
            files
            | {
                f"/sys/fs/cgroup/cpu/{name}": text
                for name, text in both.items()
                if text is not None
            }
        )
    )
    if isinstance(told, float):
        assert machine.cpu_cores_usable == told
    else:
        assert machine.cpu_cores_usable is None
        assert machine.why_unread("cpu_cores_usable").reason == f"/sys/fs/cgroup/cpu/{told}"


# other limits


def test_address_space(build: Callable[..., RecordedHost]) -> None:
    """`ulimit -v`: also a read-only mapping of a file counts, so no model larger than this loads."""
    limits = (
        "Limit          Soft Limit   Hard Limit   Units\nMax address space         4294967296           unlimited            bytes     \n"
    ) + DATA_LIMIT
    files = version_2({"cgroup.controllers": "cpu\n"}) | {
        "/proc/self/limits": limits,
        "/proc/self/status": "VmSize:\t 1048576 kB\n",
    }
    machine = read_machine(build(files))
    assert machine.memory_limit_bytes == 4 * GIB
    assert machine.memory_available_bytes == machine.address_space_bytes == 3 * GIB
    del files["/proc/self/status"]
    assert read_machine(build(files)).memory_available_bytes is None


def test_huge_pages_are_nobodys(build: Callable[..., RecordedHost]) -> None:
    """Pages set aside are in MemTotal and cannot be used; the hardware's size stays what it is."""
    for line in ("Hugetlb: 2097152 kB\n", "HugePages_Total: 1024\nHugepagesize: 2048 kB\n"):
        machine = read_machine(
            build(version_2({"cgroup.controllers": "cpu\n"}) | {"/proc/meminfo": MEMINFO + line})
        )
        assert machine.memory_total_bytes == 16 * GIB
        assert machine.memory_limit_bytes == 14 * GIB


# two nodes of a running kernel 6.18, as set_mempolicy(2) of each kind shows there
DEFAULT_POLICY = {
    "/proc/self/numa_maps": "55b2ae438000 default file=/usr/bin/python3.11 mapped=2 N0=2 kernelpagesize_kB=4\n"
}
NODE = "Node 1 MemTotal: 4194304 kB\nNode 1 MemFree: 1048576 kB\nNode 1 Active(file): 0 kB\nNode 1 Inactive(file): 524288 kB\n"


def test_memory_nodes(build: Callable[..., RecordedHost]) -> None:
    """A process bound to one of two nodes has that node's memory, all and free (numactl, cpusets)."""
    files = version_2({"cgroup.controllers": "cpu\n"}) | {
        "/proc/self/status": "Mems_allowed_list:\t1\n",
        "/proc/zoneinfo": "Node 0, zone Normal\n        low      1000\n",
        "/sys/devices/system/node/online": "0-1\n",
        "/sys/devices/system/node/node0/meminfo": NODE.replace("Node 1", "Node 0"),
        "/sys/devices/system/node/node1/meminfo": NODE + "Node 1 SReclaimable: 0 kB\n",
        **DEFAULT_POLICY,
    }
    machine = read_machine(build(files))
    low = 1000 * 4096
    assert machine.memory_limit_bytes == 4 * GIB
    assert "bound to" in machine.sources["memory_limit_bytes"]
    assert machine.memory_available_bytes == GIB - low + GIB // 2 - low
    # the nodes that are there show by their folders too
    del files["/sys/devices/system/node/online"]
    assert read_machine(build(files)).memory_limit_bytes == 4 * GIB
    assert (
        read_machine(
            build(files | {"/sys/devices/system/node/node1/meminfo": NODE})
        ).memory_available_bytes
        is None
    )
    for gone in ("/sys/devices/system/node/node1/meminfo", "/proc/self/status"):
        machine = read_machine(
            build(
                {path: text for path, text in files.items() if path != gone}
                | {"/sys/devices/system/node/node1/x": ""}
            )
        )
        assert machine.memory_limit_bytes is machine.memory_available_bytes is None


def two_nodes(policy: str) -> dict[str, str]:
    """Two nodes of 2 and 4 GiB, all free, under this policy of memory."""
    folder, lines = (
        "/sys/devices/system/node",
        "Node 0 MemTotal: {0} kB\nNode 0 MemFree: {0} kB\nNode 0 Active(file): 0 kB\n",
    )
    lines += "Node 0 Inactive(file): 0 kB\nNode 0 SReclaimable: 0 kB\n"
    return version_2({"cgroup.controllers": "cpu\n"}) | {
        "/proc/meminfo": f"MemTotal: {6 * 2**20} kB\nMemFree: {6 * 2**20} kB\nMemAvailable: {6 * 2**20} kB\n",
        "/proc/self/status": "Mems_allowed_list:\t0-1\n",
        "/proc/zoneinfo": "Node 0, zone Normal\n        low      0\n",
        f"{folder}/online": "0-1\n",
        f"{folder}/node0/meminfo": lines.format(2 * 2**20),
        f"{folder}/node1/meminfo": lines.format(4 * 2**20).replace("Node 0", "Node 1"),
        "/proc/self/numa_maps": DEFAULT_POLICY["/proc/self/numa_maps"].replace("default", policy),
    }


@pytest.mark.parametrize(
    ("policy", "gib"),
    [
        ("bind:0", 2),
        ("bind:1", 4),
        ("bind:0-1", 6),
        ("bind=static:0", 2),
        ("bind=relative:1", 4),
        ("bind=static|balancing:0", 2),
        ("default", 6),
        ("local", 6),
        ("prefer:0", 6),
        ("prefer (many):0", 6),
        ("interleave:0", 6),
        ("weighted interleave:0", 6),
    ],
)
def test_a_strict_memory_policy_bounds_memory(
    build: Callable[..., RecordedHost], policy: str, gib: int
) -> None:
    """`numactl --membind` leaves the nodes it names, and what needs more is killed; the other policies fall back on all nodes.

    set_mempolicy(2): MPOL_BIND is strict. It does not show in Mems_allowed; children, such as a runtime started next, inherit it.
    """
    machine = read_machine(build(two_nodes(policy)))
    assert machine.memory_limit_bytes == machine.memory_available_bytes == gib * GIB
    assert ("bound to" in machine.sources["memory_limit_bytes"]) == (gib < 6)


def test_a_memory_policy_that_is_not_told_is_not_none(
    build: Callable[..., RecordedHost], tmp_path: Path
) -> None:
    """Of several nodes only some may be allowed: without the policy's file, or with one of another shape, memory is unread."""
    path = "/proc/self/numa_maps"
    for text in (
        None,
        "bind:0\n",
        "55b2ae438000 bind:0-x file=/bin/sh\n",
        "55b2ae438000 bind file=/bin/sh\n",
        "55b2ae438000 ",
    ):
        files = {name: content for name, content in two_nodes("bind:0").items() if name != path}
        machine = read_machine(build(files if text is None else files | {path: text}))
        lawful(machine)
        assert machine.memory_limit_bytes is machine.memory_available_bytes is None
        assert path in machine.why_unread("memory_limit_bytes").reason
    # one node leaves nothing to choose
    assert (
        read_machine(build(version_2({"cgroup.controllers": "cpu\n"}))).memory_limit_bytes
        is not None
    )
    # a record keeps the policy, and neither the interpreter's path nor where it was mapped
    recorder = Recorder(build(two_nodes("bind=static:0")))
    before = read_machine(recorder)
    recorder.write(str(tmp_path / "record"))
    assert (tmp_path / "record/proc/self/numa_maps").read_text() == "00000000 bind=static:0\n"
    assert (
        read_machine(RecordedHost(str(tmp_path / "record"))).memory_limit_bytes
        == before.memory_limit_bytes
        == 2 * GIB
    )


def test_several_memory_nodes_add_up(build: Callable[..., RecordedHost]) -> None:
    """Bound to two of three nodes: the memory of both, free on both, without the huge pages that are set aside there."""
    node = NODE + "Node 1 SReclaimable: 0 kB\nNode 1 HugePages_Total: 512\n"
    folder = "/sys/devices/system/node"
    files = version_2({"cgroup.controllers": "cpu\n"}) | {
        "/proc/meminfo": MEMINFO + "HugePages_Total: 1024\nHugepagesize: 2048 kB\n",
        "/proc/self/status": "Mems_allowed_list:\t1-2\n",
        "/proc/zoneinfo": "Node 0, zone Normal\n        low      1000\n",
        f"{folder}/online": "0-2\n",
        f"{folder}/node1/meminfo": node,
        f"{folder}/node2/meminfo": node.replace("Node 1", "Node 2"),
        **DEFAULT_POLICY,
    }
    machine = read_machine(build(files))
    assert machine.memory_limit_bytes == 8 * GIB - 2 * GIB
    assert machine.memory_available_bytes == 3 * GIB - 2 * 1000 * 4096


# hwloc's recording of a POWER9 server (tests/hwloc/linux/nvidiagpunumanodes): 252 GiB of RAM in two nodes, six GPUs of 15 GiB in six more
POWER9 = {"0": 124, "8": 128} | {str(node): 15 for node in range(250, 256)}
POWER9_SLOTS = (
    "0035:05:00.0",
    "0035:04:00.0",
    "0007:00:00.0",
    "0006:00:00.0",
    "0004:06:00.0",
    "0004:05:00.0",
)


def power9() -> dict[str, str]:
    folder = "/sys/devices/system/node"
    files = version_2({"cgroup.controllers": "cpu\n"}) | {
        "/proc/meminfo": f"MemTotal: {342 * 2**20} kB\nMemFree: {330 * 2**20} kB\nMemAvailable: {330 * 2**20} kB\n",
        "/proc/self/status": "Mems_allowed_list:\t0,8,250-255\n",
        "/proc/zoneinfo": "Node 0, zone Normal\n        low      0\n",
        f"{folder}/online": "0,8,250-255\n",
        f"{folder}/has_memory": "0,8,250-255\n",
        f"{folder}/has_cpu": "0,8\n",
        **DEFAULT_POLICY,
    }
    for number, gib in POWER9.items():
        size = gib * 2**20
        lines = (
            f"MemTotal: {size} kB",
            f"MemFree: {size} kB",
            "Active(file): 0 kB",
            "Inactive(file): 0 kB",
            "SReclaimable: 0 kB",
        )
        files[f"{folder}/node{number}/meminfo"] = "".join(
            f"Node {number} {line}\n" for line in lines
        )
    for node, slot in zip(range(250, 256), POWER9_SLOTS, strict=True):
        files[f"/proc/driver/nvidia/gpus/{slot}/numa_status"] = (
            f"Node:      {node}\nStatus:    online\n"
        )
        files[f"/sys/bus/pci/devices/{slot}/vendor"] = "0x10de\n"
    return files


def test_memory_of_a_gpu_is_no_ram(build: Callable[..., RecordedHost]) -> None:
    """The kernel counts a coherent GPU's memory as its own (POWER9, Grace Hopper): 342 GiB are 252 GiB of RAM, as hwloc tells too."""
    machine = read_machine(build(power9(), machine="ppc64le"))
    assert (
        machine.memory_total_bytes
        == machine.memory_limit_bytes
        == machine.memory_available_bytes
        == 252 * GIB
    )
    assert "less 90.0 GiB" in machine.sources["memory_total_bytes"]
    # bound to the first socket and the GPUs
    bound = read_machine(
        build(
            power9() | {"/proc/self/status": "Mems_allowed_list:\t0,253-255\n"}, machine="ppc64le"
        )
    )
    assert (bound.memory_total_bytes, bound.memory_limit_bytes) == (252 * GIB, 124 * GIB)


def test_less_memory_than_that_of_the_gpus_is_no_memory() -> None:
    """A /proc/meminfo that states less than is on the GPU whose memory is a node: unread, and no fault. So is one that was cut off."""
    folder = HERE / "synthetic-linux-grace-hopper" / "root"
    meminfo = folder / "proc" / "meminfo"
    cut = read_machine(Altered(str(folder), {str(meminfo): meminfo.read_bytes()[:18]}))
    lawful(cut)
    assert cut.memory_total_bytes is None
    machine = read_machine(Altered(str(folder), {str(meminfo): b"MemTotal:        1024 kB\n"}))
    lawful(machine)
    assert machine.memory_total_bytes is None
    assert "GPU" in machine.why_unread("memory_total_bytes").reason


@pytest.mark.parametrize(
    "gone",
    [f"/proc/driver/nvidia/gpus/{POWER9_SLOTS[2]}/numa_status", "/sys/devices/system/node/has_cpu"],
)
def test_memory_that_may_be_a_gpus_is_unread(build: Callable[..., RecordedHost], gone: str) -> None:
    """A container that was handed some of the GPUs: the memory nodes of the others are not told from RAM."""
    files = {path: text for path, text in power9().items() if path != gone}
    machine = read_machine(build(files, machine="aarch64"))
    lawful(machine)
    assert (
        machine.memory_total_bytes
        is machine.memory_limit_bytes
        is machine.memory_available_bytes
        is None
    )
    assert "GPU's" in machine.why_unread("memory_total_bytes").reason
    # a PC's card is never a memory node: what has no CPUs there is memory all the same (CXL)
    assert (
        read_machine(
            build({path: text for path, text in files.items() if "nvidia" not in path})
        ).memory_total_bytes
        == 342 * GIB
    )


@pytest.mark.parametrize(
    ("mode", "available"), [("0", 12), ("1", 12), ("2", 3), (None, None), ("3", None)]
)
def test_what_the_kernel_still_promises(
    build: Callable[..., RecordedHost], mode: str | None, available: int | None
) -> None:
    """Overcommit mode 2 refuses what is above CommitLimit, whatever is free.

    Files that are mapped to be read are charged nothing (docs.kernel.org/mm/overcommit-accounting.html), so the limit on memory stays
    what it is; private memory can never be more, whatever else is closed.
    """
    files = version_2({"cgroup.controllers": "cpu\n"})
    files["/proc/meminfo"] = MEMINFO + "CommitLimit: 8388608 kB\nCommitted_AS: 5242880 kB\n"
    if mode is not None:
        files["/proc/sys/vm/overcommit_memory"] = mode + "\n"
    machine = read_machine(build(files))
    lawful(machine)
    assert machine.memory_limit_bytes == 16 * GIB
    assert machine.memory_available_bytes == (available * GIB if available is not None else None)
    assert machine.private_memory_bytes == (8 * GIB if mode == "2" else None)
    if mode == "2":
        # of two limits the lower one counts
        limits = "Max data size 2147483648 unlimited bytes\nMax address space unlimited unlimited bytes\n"
        both = read_machine(
            build(files | {"/proc/self/limits": limits, "/proc/self/status": "VmData:\t 0 kB\n"})
        )
        assert both.private_memory_bytes == 2 * GIB
        assert "ulimit -d" in both.sources["private_memory_bytes"]
    # more is promised than the limit allows: this cannot be mode 2
    loose = files | {
        "/proc/meminfo": MEMINFO + "CommitLimit: 8388608 kB\nCommitted_AS: 9242880 kB\n"
    }
    assert mode == "2" or read_machine(build(loose)).memory_available_bytes == 12 * GIB


def test_a_limit_on_private_memory(build: Callable[..., RecordedHost]) -> None:
    """`ulimit -d` counts what is allocated, not what is mapped: it is told apart from memory, which it does not bound as such."""
    limits = (
        "Max data size 2147483648 unlimited bytes\nMax address space unlimited unlimited bytes\n"
    )
    files = version_2({"cgroup.controllers": "cpu\n"}) | {
        "/proc/self/limits": limits,
        "/proc/self/status": "VmData:\t 1048576 kB\n",
    }
    machine = read_machine(build(files))
    assert (machine.memory_limit_bytes, machine.memory_available_bytes) == (16 * GIB, 12 * GIB)
    assert (machine.private_memory_bytes, machine.address_space_bytes) == (GIB, None)
    assert "`ulimit -d unlimited` lifts" in machine.sources["private_memory_bytes"]
    del files["/proc/self/status"]
    assert read_machine(build(files)).memory_available_bytes is None
    files["/proc/self/limits"] = "Max address space unlimited unlimited bytes\n"
    assert read_machine(build(files)).memory_limit_bytes is None


def test_whose_memory_it_is(build: Callable[..., RecordedHost]) -> None:
    """Where the total is a virtual machine's share, or a pod's limit is missing, the source says so (microsoft/WSL#9636)."""
    files = version_2({"cgroup.controllers": "cpu\n"})
    assert (
        ".wslconfig"
        in read_machine(build(files, release="6.6.87.2-microsoft-standard-WSL2")).sources[
            "memory_total_bytes"
        ]
    )
    assert (
        "Docker Desktop"
        in read_machine(build(files, release="6.10.14-linuxkit")).sources["memory_total_bytes"]
    )
    pod = read_machine(build(files, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}))
    assert "the node's memory is shared" in pod.sources["memory_limit_bytes"]


def test_lxcfs(build: Callable[..., RecordedHost]) -> None:
    """lxcfs' MemAvailable is MemFree in old versions (lxc/lxcfs#120): free and cached memory less what is shared counts."""
    mount = CGROUP2_MOUNT + "40 22 0:50 /proc/meminfo /proc/meminfo rw - fuse.lxcfs lxcfs rw\n"
    text = "MemTotal: 262144 kB\nMemFree: 173640 kB\nMemAvailable: 173640 kB\nCached: 58916 kB\nShmem: 8876 kB\n"
    files = version_2({"cgroup.controllers": "cpu\n"}, mount=mount) | {"/proc/meminfo": text}
    machine = read_machine(build(files))
    assert machine.memory_available_bytes == (173640 + 58916 - 8876) * 1024
    assert machine.scope == "container"


def test_zfs_gives_its_cache_back(build: Callable[..., RecordedHost]) -> None:
    """The cache above its least size is free memory that /proc/meminfo does not count (openzfs/zfs#10255)."""
    stats = "13 1 0x01 147 39984 1 2\nname      type data\nsize      4    2147483648\nc_min     4    1073741824\n"
    files = version_2({"cgroup.controllers": "cpu\n"}) | {"/proc/spl/kstat/zfs/arcstats": stats}
    assert read_machine(build(files)).memory_available_bytes == 13 * GIB


def test_old_kernels(build: Callable[..., RecordedHost]) -> None:
    """Before 3.14 MemAvailable is worked out, or unread where that is not possible; free memory alone is never taken for it."""
    text = MEMINFO.replace(
        "MemAvailable: 12582912 kB\n",
        "Active(file): 1048576 kB\nInactive(file): 1048576 kB\nSReclaimable: 0 kB\n",
    )
    files = version_2({"cgroup.controllers": "cpu\n"}) | {
        "/proc/meminfo": text,
        "/proc/zoneinfo": "Node 0, zone Normal\n        low      1000\n",
    }
    low = 1000 * 4096
    assert read_machine(build(files)).memory_available_bytes == GIB - low + 2 * GIB - low
    del files["/proc/zoneinfo"]
    assert read_machine(build(files)).memory_available_bytes is None


def test_compressed_swap_is_memory(build: Callable[..., RecordedHost]) -> None:
    """zram is the same RAM; without /proc/swaps it is not known which swap this is."""
    text = MEMINFO.replace(
        "SwapTotal: 0 kB\nSwapFree: 0 kB", "SwapTotal: 2048 kB\nSwapFree: 1536 kB"
    )
    swaps = "Filename Type Size Used Priority\n/dev/zram0 partition 1024 512 100\n/dev/sda2 partition 1024 0 -2\n"
    files = version_2({"cgroup.controllers": "cpu\n"}) | {
        "/proc/meminfo": text,
        "/proc/swaps": swaps,
    }
    assert read_machine(build(files)).swap_free_bytes == 1024 * 1024
    del files["/proc/swaps"]
    assert read_machine(build(files)).swap_free_bytes is None


@pytest.mark.parametrize(
    ("gone", "known"), [(None, True), ("memory.swap.max", False), ("memory.swap.current", False)]
)
def test_swap_in_a_group(build: Callable[..., RecordedHost], gone: str | None, known: bool) -> None:
    """What the group allows less what it takes; one file without the other is a limit that cannot be read."""
    text = MEMINFO.replace(
        "SwapTotal: 0 kB\nSwapFree: 0 kB", "SwapTotal: 2097152 kB\nSwapFree: 2097152 kB"
    )
    swap = {"memory.swap.max": "1073741824\n", "memory.swap.current": "4096\n"}
    files = version_2(FULL | {name: text for name, text in swap.items() if name != gone}) | {
        "/proc/meminfo": text
    }
    files["/proc/swaps"] = "Filename Type Size Used Priority\n/dev/sda2 partition 2097152 0 -2\n"
    assert read_machine(build(files)).swap_free_bytes == (GIB - 4096 if known else None)


# disks


def place(machine: Machine, purpose: str) -> Any:
    found = machine.disk_for(purpose)
    assert found is not None
    return found


SPACE = {"/": {"free_bytes": 50, "total_bytes": 100, "read_only": False}}


@pytest.mark.parametrize(
    ("env", "hub", "llama"),
    [
        ({}, "~/.cache/huggingface/hub", "~/.cache/huggingface/hub"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/huggingface/hub", "/x/huggingface/hub"),
        ({"HF_HOME": "/hf", "XDG_CACHE_HOME": "/x"}, "/hf/hub", "/hf/hub"),
        ({"HUGGINGFACE_HUB_CACHE": "/old", "HF_HOME": "/hf"}, "/old", "/old"),
        ({"HF_HUB_CACHE": "/new", "HUGGINGFACE_HUB_CACHE": "/old"}, "/new", "/new"),
        ({"LLAMA_CACHE": "/l", "HF_HOME": "/hf"}, "/hf/hub", "/l"),
        ({"HF_HOME": "$DATA/hf", "DATA": "/d"}, "/d/hf/hub", "$DATA/hf/hub"),
        ({"HF_HOME": "~/hf"}, "~/hf/hub", "~/hf/hub"),
    ],
)
def test_where_hugging_face_models_go(
    build: Callable[..., RecordedHost], env: dict[str, str], hub: str, llama: str
) -> None:
    """The order of huggingface_hub 2.4.0 and of llama.cpp, which expands no variables."""
    machine = read_machine(
        build({}, {"HOME": "/home/ada", **env}, space=SPACE, writable={"/": True})
    )
    assert place(machine, "huggingface").path == hub
    assert place(machine, "llama.cpp").path == llama


def test_ollamas_service_stores_in_its_own_place(build: Callable[..., RecordedHost]) -> None:
    """The server's variables and account decide, not this shell's (ollama/ollama#9877: the unit recorded there)."""
    unit = '[Service]\nExecStart=/usr/local/bin/ollama serve\nUser=ollama\nGroup=ollama\nEnvironment="OLLAMA_MODELS=/data2/models"\n'
    path = "/etc/systemd/system/ollama.service"
    env = {"HOME": "/home/ada", "OLLAMA_MODELS": "/mine"}
    passwd = "root:x:0:0:root:/root:/bin/bash\nollama:x:998:998::/usr/share/ollama:/bin/false\n"
    found = place(
        read_machine(build({path: unit}, env, space=SPACE, writable={"/": False})), "ollama"
    )
    assert found.path == "/data2/models"
    assert found.writable is True
    plain = unit.replace("Environment", "#")
    found = place(
        read_machine(build({path: plain, "/etc/passwd": passwd}, env, space=SPACE)), "ollama"
    )
    assert found.path == "/usr/share/ollama/.ollama/models"
    drop = {
        path: plain,
        f"{path}.d/override.conf": "[Service]\nEnvironment=OLLAMA_MODELS=/big A=b\n",
    }
    assert place(read_machine(build(drop, env, space=SPACE)), "ollama").path == "/big"
    assert place(read_machine(build({}, env, space=SPACE)), "ollama").path == "/mine"
    machine = read_machine(build({path: plain}, env, space=SPACE))
    assert machine.disk_for("ollama") is None
    assert machine.why_unread("disks.ollama").reason
    # the snap's service has a folder of its own; a unit that people wrote goes before it
    snap = {"/snap/ollama/current/meta/snap.yaml": "name: ollama\n"}
    assert (
        place(read_machine(build(snap, env, space=SPACE)), "ollama").path
        == "/var/snap/ollama/common/models"
    )
    assert (
        place(read_machine(build(snap | {path: unit}, env, space=SPACE)), "ollama").path
        == "/data2/models"
    )


def test_the_volume_is_that_of_the_nearest_folder(build: Callable[..., RecordedHost]) -> None:
    """A cache that does not exist yet is judged where it would be made, with that volume's name and state."""
    mounts = (
        ROOT_MOUNT
        + "50 22 8:17 / /data ro,noatime - xfs /dev/sdb1 rw\n51 22 0:60 / /dev/shm rw - tmpfs tmpfs rw\n"
        "52 22 0:61 / /net rw - nfs4 server:/export rw\n"
    )
    space = SPACE | {
        "/data": {"free_bytes": 7, "total_bytes": 9, "read_only": False},
        "/net": {"free_bytes": 8, "total_bytes": 9, "read_only": False},
    }
    files = {"/proc/self/mountinfo": mounts, "/dev/shm/x": "x"}
    env = {
        "HOME": "/home/ada",
        "HF_HOME": "/data/not/there/yet",
        "LLAMA_CACHE": "/dev/shm",
        "OLLAMA_MODELS": "/net/models",
    }
    machine = read_machine(build(files, env, space=space, writable={"/": True}))
    hub = place(machine, "huggingface")
    assert (hub.free_bytes, hub.total_bytes, hub.filesystem, hub.writable) == (7, 9, "xfs", False)
    assert place(machine, "llama.cpp").in_memory
    assert place(machine, "ollama").on_network
    assert (place(machine, "whisper.cpp").filesystem, place(machine, "whisper.cpp").free_bytes) == (
        "ext4",
        50,
    )
    assert "server" not in json.dumps(machine.to_json())


@pytest.mark.parametrize(
    ("options", "on"),
    [
        ("rw,usrquota", True), ("rw,attr2,inode64,logbufs=8,usrquota,grpquota", True), ("rw,usrjquota=aquota.user,jqfmt=vfsv1", True),
        ("rw,attr2,inode64,noquota", False), ("rw,inode64,prjquota", False), ("rw,usrquotas", False),
    ],
)  # fmt: skip
def test_quotas_are_told(build: Callable[..., RecordedHost], options: str, on: bool) -> None:
    """statvfs knows nothing of a user's quota (a cluster's home folder): that there are some is said. A project's quota it knows."""
    mounts = ROOT_MOUNT + f"50 22 8:17 / /home rw,relatime - xfs /dev/sdb1 {options}\n"
    space = SPACE | {
        "/home": {"free_bytes": 50 * 10**9, "total_bytes": 60 * 10**9, "read_only": False}
    }
    host = build(
        {"/proc/self/mountinfo": mounts},
        {"HOME": "/home/ada"},
        space=space,
        writable={"/home": True},
    )
    record = Recorder(host)
    machine = read_machine(record)
    lawful(machine)
    finding = check("qwen3-0.6b", machine=machine).finding("disk")
    assert finding is not None
    assert (finding.code, "`quota -s`" in (finding.remedy or "")) == (
        ("disk-assumed", True) if on else ("disk-fits", False)
    )
    stated = check("qwen3-0.6b", machine=apply(machine, ["disk=100GB"])).finding("disk")
    assert stated is not None
    assert stated.code == "disk-fits"
    folder = Path(host.folder) / "again"
    record.write(str(folder))
    assert [
        entry.fact
        for entry in read_machine(RecordedHost(str(folder))).unread
        if entry.fact.endswith(".quota")
    ] == [entry.fact for entry in machine.unread if entry.fact.endswith(".quota")]


QUOTA_MOUNTS = ROOT_MOUNT + "50 22 8:17 / /home rw,relatime - xfs /dev/sdb1 rw,usrquota,grpquota\n"


@pytest.mark.parametrize(
    ("quotas", "free", "whose"),
    [
        ([], 50, None),
        ([("user", 20, 18)], 2, "user"),
        ([("user", 20, 18), ("group", 300, 299)], 1, "group"),
        ([("user", 20, 25)], 0, "user"),
        ([("user", 900, 18)], 50, None),
    ],
)
def test_a_quota_bounds_what_is_free(
    build: Callable[..., RecordedHost],
    quotas: list[tuple[str, int, int]],
    free: int,
    whose: str | None,
) -> None:
    """The least of the volume and of each quota that holds for the account; the answer says whose it is, and a record keeps it."""
    space = SPACE | {
        "/home": {"free_bytes": 50 * 10**9, "total_bytes": 60 * 10**9, "read_only": False}
    }
    told = [
        {"kind": kind, "limit_bytes": limit * 10**9, "used_bytes": used * 10**9}
        for kind, limit, used in quotas
    ]
    facts = {"space": space, "writable": {"/home": True}, "quotas": {"/home": told}}
    record = Recorder(build({"/proc/self/mountinfo": QUOTA_MOUNTS}, {"HOME": "/home/ada"}, **facts))
    machine = read_machine(record)
    lawful(machine)
    found = place(machine, "huggingface")
    assert (found.free_bytes, found.quota) == (free * 10**9, whose)
    assert not [
        entry.fact for entry in machine.unread if entry.fact.startswith("disks.huggingface")
    ]
    finding = check("mistral-7b", machine=machine).finding("disk")
    assert finding is not None
    assert finding.code == ("disk-fits" if free == 50 else "disk-too-small")
    assert (f"under the {whose}'s quota" in finding.reason) is (whose is not None)
    assert ("quota" in machine.sources["disks.huggingface"]) is (whose is not None)
    folder = Path(record.inner.folder) / "again"  # type: ignore[attr-defined]
    record.write(str(folder))
    assert place(read_machine(RecordedHost(str(folder))), "huggingface") == found
    stated = check("mistral-7b", machine=apply(machine, ["disk=100GB"])).finding("disk")
    assert stated is not None
    assert (stated.code, "quota" in stated.reason) == ("disk-fits", False)


def test_a_quota_that_is_not_told_is_not_none(build: Callable[..., RecordedHost]) -> None:
    """A container may be forbidden to ask (Docker's seccomp profile), and a service's quota is told to it alone: unread, with why."""
    unit = {
        "/etc/systemd/system/ollama.service": "[Service]\nUser=ollama\nEnvironment=OLLAMA_MODELS=/home/models\n"
    }
    space = SPACE | {
        "/home": {"free_bytes": 50 * 10**9, "total_bytes": 60 * 10**9, "read_only": False}
    }
    files = {"/proc/self/mountinfo": QUOTA_MOUNTS, **unit}
    record = Recorder(
        build(
            files,
            {"HOME": "/home/ada"},
            space=space,
            writable={"/home": True},
            quotas={"/home": "EPERM"},
        )
    )
    machine = read_machine(record)
    assert "Operation not permitted" in machine.why_unread("disks.huggingface.quota").reason
    assert "that service account" in machine.why_unread("disks.ollama.quota").reason
    finding = check("qwen3-0.6b", machine=machine).finding("disk")
    assert finding is not None
    assert finding.code == "disk-assumed"
    folder = Path(record.inner.folder) / "again"  # type: ignore[attr-defined]
    record.write(str(folder))
    assert read_machine(RecordedHost(str(folder))).why_unread(
        "disks.huggingface.quota"
    ) == machine.why_unread("disks.huggingface.quota")


def test_quotas_as_the_kernel_lays_them_out() -> None:
    """`struct if_dqblk` and `struct fs_quota_stat` (include/uapi/linux/quota.h and dqblk_xfs.h): limits in KiB, use in bytes."""

    def block(hard: int, soft: int, used: int, until: int = 0) -> bytes:
        return struct.pack("=8QI", hard, soft, used, 0, 0, 3, until, 0, 63).ljust(128, b"\0")

    assert quota.parse_block(block(1000, 0, 5), now=0) == (1_024_000, 5)
    # a soft limit refuses nothing before its grace is over
    assert quota.parse_block(block(1000, 500, 600 * 1024, until=2000), now=1999) == (
        1_024_000,
        614_400,
    )
    assert quota.parse_block(block(1000, 500, 600 * 1024, until=2000), now=2000) == (
        512_000,
        614_400,
    )
    assert quota.parse_block(block(0, 500, 600 * 1024, until=2000), now=1999) is None
    assert quota.parse_block(block(0, 0, 5), now=0) is None
    # qs_version, a hole, qs_flags: accounting and enforcement of users', enforcement of groups'
    assert quota.parse_state(struct.pack("@bHb", 1, 0b1011, 0).ljust(128, b"\0")) == 0b1011


@pytest.mark.skipif(sys.platform != "linux", reason="Linux' quotas")
def test_a_file_system_without_quotas_has_none() -> None:
    """procfs has none: the kernel says ENOSYS, as of one whose quotas were turned off (fs/quota/quota.c). A container may be refused."""
    try:
        assert quota.ask("/proc") == quota.kinds_on("/proc") == ()
    except PermissionError:
        pytest.skip("quotas may not be asked here")


def test_free_space_that_is_not_known_is_not_zero(build: Callable[..., RecordedHost]) -> None:
    """None, with the reason under the disk's own name."""
    machine = read_machine(build({}, {"HOME": "/home/ada"}))
    assert place(machine, "ollama").free_bytes is None
    assert machine.why_unread("disks.ollama.free_bytes").remedy
    assert place(machine, "ollama").writable is None
    assert "not known" in machine.why_unread("disks.ollama.writable").reason


def test_without_a_home_folder_the_places_are_unknown(build: Callable[..., RecordedHost]) -> None:
    """Only the current folder is left."""
    machine = read_machine(build({}))
    assert [found.purpose for found in machine.disks or ()] == ["whisper.cpp"]
    # nobody can set a variable of a record
    assert "`--set disk=100GB`" in (machine.why_unread("disks.huggingface").remedy or "")


def test_windows_paths(build: Callable[..., RecordedHost]) -> None:
    """The user's folder on C:, a model folder on D:, job objects, and what Windows says of the processor."""
    job = bytearray(144)
    job[16:20] = (0x200).to_bytes(4, "little")
    job[120:128] = (4 * GIB).to_bytes(8, "little")
    host = build(
        {},
        {
            "USERPROFILE": "C:\\Users\\ada",
            "OLLAMA_MODELS": "D:\\models",
            "PATH": "C:\\Tools;relative",
        },
        system="windows",
        machine="AMD64",
        memory={"total": 16 * GIB, "available": 9 * GIB, "commit": 3 * GIB},
        swap_free=GIB,
        cores={"physical": 4, "usable": 8},
        processor_features=[6, 10, 39, 40],
        processor_information=(
            bytes(4)
            + (10).to_bytes(4, "little")
            + b"\0\1"
            + bytes(4)
            + (10).to_bytes(4, "little")
            + b"\0\0"
        ).hex(),
        space={
            "C:\\": {"free_bytes": 1, "total_bytes": 2, "read_only": False},
            "D:\\": {"free_bytes": 3, "total_bytes": 4, "read_only": False},
        },
        mounts={"C:\\": "NTFS", "D:\\": "exFAT"},
        job_limits=bytes(job).hex(),
        registry={
            r"HARDWARE\DESCRIPTION\System\BIOS" + "\\SystemManufacturer": "Microsoft Corporation",
            r"HARDWARE\DESCRIPTION\System\BIOS" + "\\SystemProductName": "Virtual Machine",
        },
    )
    machine = read_machine(host)
    assert (machine.system, machine.architecture, machine.scope) == ("windows", "x86_64", "vm")
    assert (
        machine.memory_total_bytes,
        machine.memory_limit_bytes,
        machine.memory_available_bytes,
    ) == (16 * GIB, 4 * GIB, 3 * GIB)
    assert "ullAvailPageFile" in machine.sources["memory_available_bytes"]
    assert (
        machine.cpu_cores_physical,
        machine.cpu_cores_performance,
        machine.cpu_cores_usable,
    ) == (4, 1, 8.0)
    assert machine.instruction_sets == ("avx", "avx2", "sse", "sse2")
    assert machine.why_unread("instruction_sets.fma").reason.startswith("Windows")
    hub, own = place(machine, "huggingface"), place(machine, "ollama")
    assert (hub.path, hub.free_bytes, hub.filesystem) == ("~\\.cache\\huggingface\\hub", 1, "NTFS")
    assert (own.path, own.free_bytes, own.filesystem) == ("D:\\models", 3, "exFAT")
    assert own.writable is None
    assert machine.why_unread("disks.ollama.writable").reason
    assert machine.accelerators is None


def test_the_sealed_volume_of_macos_is_not_where_files_go(
    build: Callable[..., RecordedHost],
) -> None:
    """macOS shows `/` read-only; what lies under it for people is on the data volume, and the volume's own word counts."""
    mounts = {"/": "apfs", "/System/Volumes/Data": "apfs", "/Volumes/Stick": "msdos"}
    env = {"HOME": "/Users/ada", "OLLAMA_MODELS": "/Volumes/Stick/models"}
    files = {"/Volumes/Stick/x": "x"}
    machine = read_machine(
        build(files, env, system="macos", space=SPACE, writable={"/": True}, mounts=mounts)
    )
    assert "/System/Volumes/Data" in machine.sources["disks.huggingface"]
    assert place(machine, "huggingface").writable is True
    assert place(machine, "ollama").max_file_bytes == 4 * GIB - 1


def test_a_bare_tree_gives_the_same_figures(tmp_path: Path) -> None:
    """Files alone: what is not in a file is unread, and the running system is not asked for it."""
    folder = HERE / "linux-vm-2gib-parent" / "root"
    for name in ("proc", "sys"):
        shutil.copytree(folder / name, tmp_path / name)
    tree, recorded = (
        read_machine(RecordedHost(str(tmp_path))),
        read_machine(RecordedHost(str(folder))),
    )
    lawful(tree)
    for fact in (
        "memory_total_bytes",
        "memory_limit_bytes",
        "memory_available_bytes",
        "cpu_cores_usable",
        "cpu_cores_physical",
        "instruction_sets",
    ):
        assert getattr(tree, fact) == getattr(recorded, fact)
    assert tree.architecture is tree.read_at is None
    assert place(tree, "whisper.cpp").free_bytes is None


def test_nothing_tells_who_or_where(build: Callable[..., RecordedHost]) -> None:
    """No user name, container id or pod's number in what is shown."""
    box = "4f2e8f0b9d6c1a7e5b3d9f8c0a1e2d3c4b5a69788796a5b4c3d2e1f001122334"
    pod = "kubepods-burstable-pod1a2b3c4d_5e6f_7a8b_9c0d_1e2f3a4b5c6d.slice"
    group = f"/kubepods.slice/{pod}/docker-{box}.scope"
    above = {"memory.max": "max\n", "memory.high": "max\n", "cpu.max": "max 100000\n"}
    levels = ("kubepods.slice", f"kubepods.slice/{pod}")
    inside = under(group.lstrip("/"), FULL | {"cpu.max": "100000 100000\n"})
    files = version_2(
        {path: text for level in levels for path, text in under(level, above).items()} | inside,
        group,
    )
    env = {
        "HOME": "/home/ada-l",
        "USER": "ada-l",
        "HF_HOME": "/scratch/ada-l/hf",
        "LLAMA_CACHE": "/home/ada-l/models",
        "PATH": "/home/ada-l/bin",
    }
    files |= {"/home/ada-l/models/x": "x", "/scratch/ada-l/x": "x"}
    machine = read_machine(build(files, env, space=SPACE))
    text = json.dumps(machine.to_json())
    for secret in ("ada-l", box[:12], "1a2b3c4d"):
        assert secret not in text
    assert machine.scope == "container"
    assert "control group /kubepods.slice/" in machine.sources["memory_limit_bytes"]


# deadlines


class DeadVolume(Host):
    """A live host with a network mount that never answers."""

    def __init__(self, never: threading.Event) -> None:
        super().__init__(env={"HOME": "/"})
        self.never = never

    def mounts(self) -> tuple[Mount, ...]:
        return (Mount(root="/", point="/", filesystem="nfs4", options="", read_only=False),)

    def space(self, path: str) -> Space | None:
        self.never.wait(30)
        return None

    def within(self, work: Callable[[], Any], seconds: float = 0.25) -> Any:
        return super().within(work, seconds)


@pytest.mark.skipif(sys.platform != "linux", reason="replaces Linux' mounts")
def test_a_dead_network_volume_is_unread() -> None:
    """statvfs on a dead server hangs: the reading goes on without it."""
    never = threading.Event()
    try:
        machine = read_machine(DeadVolume(never))
        found = place(machine, "huggingface")
        assert found.free_bytes is None
        assert found.filesystem == "nfs4"
        assert "no answer" in machine.why_unread("disks.huggingface.free_bytes").reason
        assert machine.memory_total_bytes
    finally:
        never.set()


def test_a_failure_within_the_deadline_is_passed_on() -> None:
    """An error in the thread is the caller's error."""

    def fail() -> None:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(PermissionError):
        DeadVolume(threading.Event()).within(fail, 5)


# software


def test_runtimes_are_found_and_not_run(build: Callable[..., RecordedHost]) -> None:
    """Commands in PATH and in the usual folders; a file that may not be executed is none, and Homebrew's folder names the version."""
    host = build(
        {"/opt/tools/llama-server": "#!/bin/false\n", "/usr/bin/ollama": "", "/opt/tools/vllm": ""},
        {"HOME": "/home/ada", "PATH": "/opt/tools:relative:"},
    )
    for name in ("opt/tools/llama-server", "usr/bin/ollama"):
        (Path(host.folder) / name).chmod(0o755)
    found = {runtime.id: runtime for runtime in read_machine(host).runtimes or ()}
    assert {name: runtime.path for name, runtime in found.items()} == {
        "llama.cpp": "/opt/tools/llama-server",
        "ollama": "/usr/bin/ollama",
    }


def test_python_packages_show_by_their_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Name and version of a .dist-info folder; a binding is not the program whose library it holds."""
    for name in (
        "transformers-5.23.0.dist-info",
        "llama_cpp_python-0.3.36.dist-info",
        "mlx_lm-0.32.2.dist-info",
        "transformersx-1.dist-info",
        "vllm.dist-info",
    ):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "missing.zip")])
    found = {runtime.id: runtime.version for runtime in read_machine(Host(env={})).runtimes or ()}
    assert {"transformers": "5.23.0", "mlx": "0.32.2"}.items() <= found.items()
    assert not {"vllm", "llama.cpp"} & set(found)


def test_other_environments_are_looked_into(build: Callable[..., RecordedHost]) -> None:
    """The active one, those of pipx and uv; the command of one has the version that lies beside it."""
    host = build(
        {
            "/home/ada/work/lib/python3.12/site-packages/transformers-4.49.0.dist-info/METADATA": "",
            "/home/ada/.local/share/uv/tools/mlx-lm/lib/python3.13/site-packages/mlx_lm-0.24.0.dist-info/METADATA": "",
            "/home/ada/.local/share/pipx/venvs/vllm/lib/python3.12/site-packages/vllm-0.9.2+cpu.dist-info/METADATA": "",
            "/opt/ml/bin/vllm": "",
            "/opt/ml/lib/python3.11/site-packages/vllm-0.8.5.dist-info/METADATA": "",
            "/home/ada/.lmstudio/bin/lms": "",
        },
        {"HOME": "/home/ada", "VIRTUAL_ENV": "/home/ada/work", "PATH": "/opt/ml/bin"},
    )
    (Path(host.folder) / "opt/ml/bin/vllm").chmod(0o755)
    found = {runtime.id: runtime for runtime in read_machine(host).runtimes or ()}
    assert {name: runtime.version for name, runtime in found.items()} == {
        "transformers": "4.49.0", "mlx": "0.24.0", "vllm": "0.8.5", "lm-studio": None
    }  # fmt: skip
    assert (
        found["transformers"].path
        == "~/work/lib/python3.12/site-packages/transformers-4.49.0.dist-info"
    )


def test_packages_of_the_system_state_versions(build: Callable[..., RecordedHost]) -> None:
    """dpkg's status, pacman's folders, snap's and macOS' own files; a package that was removed states nothing."""
    status = (
        "Package: llama-cpp\nStatus: deinstall ok config-files\nVersion: 1\n\n"
        "Package: llama.cpp\nStatus: install ok installed\nSource: llama.cpp (0.0.6641)\nVersion: 0.0.6641-1\n\n"
        "Package: ollama\nStatus: install ok installed\nVersion: 1:0.12.3+ds-2\n"
    )
    assert software.parse_status(status, ("llama.cpp", "llama-cpp")) == "0.0.6641"
    assert software.parse_status(status, ("llama-cpp",)) is None
    assert software.parse_status(status, ("ollama",)) == "0.12.3"
    assert software.parse_status("", ("ollama",)) is None
    for files, path, version in (
        ({"/var/lib/dpkg/status": status}, "/usr/bin/llama-server", "0.0.6641"),
        ({"/var/lib/pacman/local/llama.cpp-b6641-1/desc": ""}, "/usr/bin/llama-server", "b6641"),
        (
            {"/snap/ollama/current/meta/snap.yaml": "name: ollama\nversion: v0.12.3\n"},
            "/snap/bin/ollama",
            "v0.12.3",
        ),
    ):
        host = build({**files, path: ""}, {"HOME": "/home/ada"})
        host.listdir("/")
        (Path(host.folder) / path.lstrip("/")).chmod(0o755)
        assert [runtime.version for runtime in read_machine(host).runtimes or ()] == [version]
    plist = "<dict><key>CFBundleShortVersionString</key>\n\t<string>0.12.3</string></dict>"
    app = "/Applications/Ollama.app/Contents"
    host = build(
        {f"{app}/Info.plist": plist, f"{app}/Resources/ollama": ""},
        {"HOME": "/Users/ada"},
        system="macos",
    )
    (Path(host.folder) / app.lstrip("/") / "Resources" / "ollama").chmod(0o755)
    assert [runtime.version for runtime in read_machine(host).runtimes or ()] == ["0.12.3"]


@pytest.mark.parametrize(
    ("path", "version"),
    [
        ("/opt/homebrew/Cellar/llama.cpp/6730/bin/llama-server", "6730"),
        ("/opt/homebrew/Caskroom/ollama/0.12.3/Ollama.app/Contents/Resources/ollama", "0.12.3"),
        ("/home/ada/llama-b6641-bin-ubuntu-x64/llama-server", "6641"),
        ("/nix/store/0c1xq5l8w9kz2m3n4p5r6s7v8y9a0b1d-llama-cpp-6641/bin/llama-server", "6641"),
        ("/usr/local/bin/llama-server", None),
    ],
)
def test_paths_state_versions(path: str, version: str | None) -> None:
    """As Homebrew, Nix and llama.cpp's own archives name their folders."""
    assert software.version_in_path(path) == version


def test_runtimes_that_nobody_looked_for_are_unread(build: Callable[..., RecordedHost]) -> None:
    """Like models: none of a tree without any folder of programs or packages, and () only where one was searched."""
    machine = read_machine(build({"/proc/meminfo": MEMINFO}))
    assert machine.runtimes is None
    assert (
        machine.why_unread("runtimes").reason
        == "the recorded tree has none of the folders where runtimes are installed"
    )
    assert read_machine(build({"/usr/bin/ls": "\n"})).runtimes == ()
    assert read_machine(build({}, python_path=[])).runtimes == ()


RUNTIMES = [
    tomllib.loads(path.read_text(encoding="utf-8"))
    for path in sorted((HERE.parents[1] / "specs" / "runtimes").glob("*.toml"))
]


def test_what_is_looked_for_is_what_the_runtime_files_state() -> None:
    """Commands, Python packages and places: all that specs/runtimes names, and nothing else."""
    assert RUNTIMES
    assert {
        name: spec["id"] for spec in RUNTIMES for name in spec.get("present", ())
    } == software.COMMANDS
    assert {
        name: spec["id"] for spec in RUNTIMES for name in spec.get("distributions", ())
    } == software.DISTRIBUTIONS
    assert {spec["store"] for spec in RUNTIMES} == set(stores.PLACES)


# accelerators


def pci(**cards: tuple[str, str]) -> dict[str, str]:
    files: dict[str, str] = {}
    for slot, (kind, vendor) in cards.items():
        folder = f"/sys/bus/pci/devices/0000:{slot[1:]}:00.0".replace(":", "")
        files |= {f"{folder}/class": kind + "\n", f"{folder}/vendor": vendor + "\n"}
    return files


@pytest.mark.parametrize(
    "vendor", ["0x1234", "0x1013", "0x15ad", "0x1af4", "0x1b36", "0x80ee", "0x1414", "0x1a03"]
)
def test_a_display_adapter_is_no_accelerator(
    build: Callable[..., RecordedHost], vendor: str
) -> None:
    """QEMU, Cirrus, VMware, virtio, QXL, VirtualBox, Hyper-V and a server's console."""
    assert read_machine(build(pci(s01=("0x030000", vendor)))).accelerators == ()


def test_an_nvidia_gpu_is_seen_and_its_memory_unread(build: Callable[..., RecordedHost]) -> None:
    """Presence, driver and count from files; the memory only its driver library knows."""
    version = (
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  590.48.01  Wed Oct  1 00:00:00 UTC 2026\n"
    )
    files = pci(s01=("0x030200", "0x10de"), s02=("0x030200", "0x10de")) | {
        "/proc/driver/nvidia/version": version,
        "/dev/nvidia0": "x",
        "/dev/nvidiactl": "x",
    }
    machine = read_machine(build(files))
    assert [
        (card.vendor, card.driver, card.memory_total_bytes) for card in machine.accelerators or ()
    ] == [("nvidia", "590.48.01", None)]
    assert "driver's library" in machine.why_unread("accelerators.memory_total_bytes").reason
    bare = read_machine(build(pci(s01=("0x030000", "0x10de"))))
    assert len(bare.accelerators or ()) == 1
    assert "no driver" in bare.why_unread("accelerators.memory_total_bytes").reason


@pytest.mark.parametrize(
    ("word", "name", "unified"),
    [
        ("aarch64", "NVIDIA GB10", True),
        ("aarch64", "NVIDIA GB100", False),
        ("aarch64", "NVIDIA GH200 480GB", False),
        ("aarch64", None, None),
        (None, None, None),
        ("x86_64", None, False),
        ("x86_64", "NVIDIA GeForce RTX 4090", False),
    ],
)
def test_whether_an_nvidia_gpu_shares_the_memory(
    build: Callable[..., RecordedHost], word: str | None, name: str | None, unified: bool | None
) -> None:
    """GB10 does. Without a name it may, on an Arm processor only."""
    files = pci(s01=("0x030200", "0x10de")) | {"/dev/nvidia0": "x"}
    slot = next(iter(files)).split("/")[5]
    if name:
        files[f"/proc/driver/nvidia/gpus/{slot}/information"] = (
            f"Model: \t\t {name}\nIRQ:   \t\t 5\n"
        )
    machine = read_machine(build(files, machine=word))
    lawful(machine)
    assert [card.unified for card in machine.accelerators or ()] == [unified]
    assert any(entry.fact == "accelerators.unified" for entry in machine.unread) == (
        unified is None
    )


def test_an_amd_gpu_without_its_driver_may_share_the_memory(
    build: Callable[..., RecordedHost],
) -> None:
    """Nothing tells a card from a processor's own graphics; an Intel card on a bus of its own is a card."""
    machine = read_machine(build(pci(s01=("0x030000", "0x1002"))))
    assert [card.unified for card in machine.accelerators or ()] == [None]
    assert machine.why_unread("accelerators.unified").remedy


def test_what_a_device_is_that_cannot_be_read(build: Callable[..., RecordedHost]) -> None:
    """A display device of unknown make may be a GPU: it is not said that there is none."""
    files = pci(s01=("0x030000", "0x1234"))
    for name in ("class", "vendor"):
        kept = {path: text for path, text in files.items() if not path.endswith(name)}
        machine = read_machine(build(kept))
        assert machine.accelerators is None or name == "class"


def test_no_bus_is_no_gpu(build: Callable[..., RecordedHost]) -> None:
    """A small virtual machine has no PCI bus; a tree without /sys tells nothing."""
    assert read_machine(build({"/sys/bus/cpu/uevent": "x"})).accelerators == ()
    assert read_machine(build({})).accelerators is None


# architecture and scope


@pytest.mark.parametrize(
    ("word", "bits", "name"),
    [
        ("x86_64", 64, "x86_64"),
        ("AMD64", 64, "x86_64"),
        ("arm64", 64, "aarch64"),
        ("aarch64", 32, "armv7l"),
        ("x86_64", 32, "i686"),
        ("armv7l", 32, "armv7l"),
        ("i686", 64, "x86_64"),
        ("armv8l", 64, "aarch64"),
        ("riscv64", 64, "riscv64"),
    ],
)
def test_architecture(build: Callable[..., RecordedHost], word: str, bits: int, name: str) -> None:
    """One name per architecture; a 32-bit system on a 64-bit kernel runs 32-bit programs, a 64-bit program under `setarch i386` its own."""
    assert read_machine(build({}, machine=word, pointer_bits=bits)).architecture == name


POWER9_CPU = "processor\t: 0\ncpu\t\t: POWER9, altivec supported\nclock\t\t: 3800.000000MHz\nrevision\t: 2.2 (pvr 004e 1202)\n\n"
MAINFRAME = "vendor_id       : IBM/S390\n# processors    : 2\nfeatures\t: esan3 zarch stfle msa ldisp eimm dfp edat etf3eh highgprs te vx\n"
LOONGSON = "processor\t: 0\nCPU Family\t: Loongson-64bit\nISA\t\t: loongarch32 loongarch64\nFeatures\t: cpucfg lam ual fpu\n"
KERNELS = {
    **{
        f"{word_of(name)} {name}": text_of(name)
        for name in part("cpuinfo")
        if not text_of(name).startswith(("# ", "Arch"))
    },
    "s390x": MAINFRAME,
    "ppc64le": POWER9_CPU,
    "loongarch64": LOONGSON,
}


def family(word: str) -> str:
    return (
        "arm"
        if word.startswith(("arm", "aarch"))
        else "x86"
        if word in ("x86_64", "i686")
        else word
    )


@pytest.mark.parametrize("recording", sorted(KERNELS))
@pytest.mark.parametrize(
    "word",
    [
        "x86_64",
        "i686",
        "aarch64",
        "armv7l",
        "armv8l",
        "armv6l",
        "riscv64",
        "s390x",
        "ppc64le",
        "loongarch64",
    ],
)
def test_programs_of_another_processor_are_emulated(
    build: Callable[..., RecordedHost], word: str, recording: str
) -> None:
    """A container of another platform (qemu-user, Rosetta): uname says what the programs are for, /proc/cpuinfo what the computer is.

    32-bit programs on a 64-bit kernel, and `setarch`, change the word and not the kind of processor.
    """
    bits = 32 if word.startswith(("i", "arm")) else 64
    machine = read_machine(
        build({"/proc/cpuinfo": KERNELS[recording]}, machine=word, pointer_bits=bits)
    )
    lawful(machine)
    real = recording.split(" ")[0]
    if family(word) == family(real):
        assert machine.emulated_on is None
    else:
        assert family(machine.emulated_on or "") in (family(real), real.removesuffix("le"))
        assert machine.instruction_sets is None
        assert "emulated" in machine.why_unread("instruction_sets").reason
        assert "own platform" in (machine.why_unread("instruction_sets").remedy or "")
        assert machine.cpu_model is None or "emulates" in machine.sources["cpu_model"]


# what QEMU's linux-user/*/target_proc.h writes in place of the kernel's: Arm since 8.2, RISC-V since 8.1, s390x since 8.0
QEMU_ARM = "processor\t: 0\nmodel name\t: ARMv8 Processor rev 0 (v8l)\nBogoMIPS\t: 100.00\nFeatures\t: fp asimd\nCPU implementer\t: 0x00\n"
QEMU_ARM += "CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0x051\nCPU revision\t: 0\n\n"
QEMU_ARM32 = "processor\t: 0\nmodel name\t: ARMv7 Processor rev 0 (armv7l)\nCPU implementer\t: 0x41\nCPU part\t: 0xc0f\n\nHardware\t: QEMU v9.2.0 \n"
QEMU_RISCV = (
    "processor\t: 0\nhart\t\t: 0\nisa\t\t: rv64imafdc_zicsr\nmmu\t\t: sv48\nuarch\t\t: qemu\n\n"
)


@pytest.mark.parametrize(
    ("word", "kernel", "cpuinfo", "beneath"),
    [
        ("aarch64", "x86_64", QEMU_ARM, "x86_64"),
        ("s390x", "x86_64", MAINFRAME, "x86_64"),
        ("x86_64", "aarch64", KERNELS["aarch64 cpuinfo/arm-asahi-m1.txt"], "aarch64"),
        ("x86_64", None, KERNELS["aarch64 cpuinfo/arm-asahi-m1.txt"], "aarch64"),
        ("armv7l", None, QEMU_ARM32, "QEMU"),
        ("riscv64", None, QEMU_RISCV, "QEMU"),
        (
            "x86_64",
            None,
            "vendor_id: VirtualApple\nmodel name\t: VirtualApple @ 2.50GHz\ncpu family\t: 6\nflags\t\t: fpu lm sse2\n",
            "aarch64",
        ),
        ("armv7l", "aarch64", KERNELS["aarch64 cpuinfo/arm-raspberrypi4-64bit.txt"], None),
        ("i686", "x86_64", KERNELS["x86_64 cpuinfo/x86-zen3.txt"], None),
        ("sparc64", "sparc64", "cpu\t\t: UltraSparc T5\n", None),
    ],
)
def test_an_emulator_that_writes_cpuinfo_itself(
    build: Callable[..., RecordedHost],
    word: str,
    kernel: str | None,
    cpuinfo: str,
    beneath: str | None,
) -> None:
    """Newer QEMU shows the emulated processor's /proc/cpuinfo; /proc/sys/kernel/arch (Linux 6.1) it does not touch."""
    files = {"/proc/cpuinfo": cpuinfo} | (
        {"/proc/sys/kernel/arch": f"{kernel}\n"} if kernel else {}
    )
    machine = read_machine(build(files, machine=word))
    lawful(machine)
    assert machine.emulated_on == beneath
    assert (machine.instruction_sets is None) == (beneath is not None or word == "sparc64")


@pytest.mark.parametrize("word", ["x86_64", "aarch64", "s390x", "riscv64", "armv7l"])
def test_an_emulated_processor_is_not_judged(build: Callable[..., RecordedHost], word: str) -> None:
    """Neither what it can do nor its pace is known, also where a runtime needs no instruction set there, and planning assumes none."""
    real = KERNELS[
        "aarch64 cpuinfo/arm-graviton2-neoverse-n1.txt"
        if word == "x86_64"
        else "x86_64 cpuinfo/x86-zen5.txt"
    ]
    machine = read_machine(
        build({"/proc/cpuinfo": real, "/sys/devices/system/cpu/online": "0-3\n"}, machine=word)
    )
    machine = machine.replace(
        memory_total_bytes=64 * GIB,
        memory_limit_bytes=64 * GIB,
        memory_available_bytes=60 * GIB,
        cpu_cores_usable=16,
    )
    for asked in (machine, apply(machine, ["memory=64GiB"])):
        verdict = check("mistral-7b", machine=asked)
        found = {finding.check: finding for finding in verdict.findings}
        assert verdict.route is not Route.LOCAL
        assert found["speed"].outcome is Outcome.UNKNOWN
        if found["runtime"].outcome is not Outcome.FAIL:
            assert found["cpu"].outcome is Outcome.UNKNOWN
            assert verdict.route is Route.UNKNOWN
    assert isinstance(bandwidth.plan_for(machine, Host()), Unread)
    # another processor is asked about
    assert apply(machine, ["architecture=ppc64le"]).emulated_on is None


def test_rosetta(tmp_path: Path) -> None:
    """An x86_64 Python on Apple silicon says x86_64: the computer is an arm64 one (Comfy-Org/comfy-cli#568)."""
    (tmp_path / "facts.json").write_text('{"system": "macos", "machine": "x86_64"}')
    (tmp_path / "sysctl.txt").write_text("hw.optional.arm64: 1\nsysctl.proc_translated: 1\n")
    machine = read_machine(RecordedHost(str(tmp_path)))
    assert machine.architecture == "aarch64"
    assert "Rosetta" in machine.sources["architecture"]


def test_scope(build: Callable[..., RecordedHost]) -> None:
    """Container before virtual machine before the computer itself; an image's leftover marker in a virtual machine is no container."""
    flags = {"/proc/cpuinfo": "flags : fpu sse2 hypervisor\n"}
    assert read_machine(build(flags)).scope == "vm"
    assert read_machine(build({"/proc/cpuinfo": "flags : fpu sse2\n"})).scope == "host"
    overlay = ROOT_MOUNT.replace("ext4 /dev/sda1", "overlay overlay")
    assert (
        read_machine(build(flags | {"/.dockerenv": "x", "/proc/self/mountinfo": overlay})).scope
        == "container"
    )
    assert read_machine(build(flags | {"/.dockerenv": "x"})).scope is None
    assert (
        read_machine(build(flags | {"/.dockerenv": "x", "/proc/self/mountinfo": ROOT_MOUNT})).scope
        == "vm"
    )
    assert read_machine(build(flags, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"})).scope == "container"
    assert read_machine(build({}, release="6.6.87.2-microsoft-standard-WSL2")).scope == "vm"
    assert read_machine(build({})).scope is None


LPAR = "Manufacturer:         IBM\nType:                 8561\nSequence Code:        00000000000612A3\nLPAR Name:            L32\n"
GUEST = LPAR + "VM00 Name:            IBM-Z507\nVM00 Control Program: z/VM    7.2.0\n"
TREE = "/proc/device-tree"
DMI = "/sys/class/dmi/id"


@pytest.mark.parametrize(
    ("machine", "files", "scope"),
    [
        # QEMU's virt without firmware, crosvm, Firecracker, Cloud Hypervisor
        (
            "aarch64",
            {f"{TREE}/compatible": "linux,dummy-virt\0", f"{TREE}/model": "linux,dummy-virt\0"},
            "vm",
        ),
        ("aarch64", {f"{TREE}/compatible": "linux,dummy-virt\0"}, "vm"),
        ("aarch64", {f"{TREE}/model": "linux,dummy-virt\0"}, "vm"),
        (
            "aarch64",
            {
                f"{TREE}/compatible": "raspberrypi,4-model-b\0brcm,bcm2711\0",
                f"{TREE}/model": "Raspberry Pi 4\0",
            },
            "host",
        ),
        (
            "aarch64",
            {
                f"{TREE}/fw-cfg@9020000/compatible": "qemu,fw-cfg-mmio\0",
                f"{TREE}/model": "a board\0",
            },
            "vm",
        ),
        (
            "riscv64",
            {f"{TREE}/compatible": "riscv-virtio\0", f"{TREE}/model": "riscv-virtio,qemu\0"},
            "vm",
        ),
        (
            "riscv64",
            {f"{TREE}/compatible": "starfive,jh7110\0", f"{TREE}/model": "StarFive VisionFive 2\0"},
            "host",
        ),
        ("ppc64le", {f"{TREE}/hypervisor/compatible": "linux,kvm\0"}, "vm"),
        ("ppc64le", {f"{TREE}/compatible": "qemu,pseries\0"}, "vm"),
        (
            "ppc64le",
            {
                f"{TREE}/ibm,partition-name": "lpar1\0",
                f"{TREE}/hmc-managed%3F": "",
                f"{TREE}/model": "IBM,9009-42A\0",
            },
            "vm",
        ),
        ("ppc64le", {f"{TREE}/model": "8335-GTH\0"}, "host"),
        ("s390x", {"/proc/sysinfo": GUEST}, "vm"),
        ("s390x", {"/proc/sysinfo": LPAR + "VM00 Control Program: KVM/Linux\n"}, "vm"),
        ("s390x", {"/proc/sysinfo": LPAR}, "host"),
        ("x86_64", {"/proc/cpuinfo": "vendor_id : User Mode Linux\nmodel name : UML\n"}, "vm"),
        # the first domain of Xen drives the hardware itself
        (
            "x86_64",
            {
                "/sys/hypervisor/type": "xen\n",
                "/proc/xen/capabilities": "control_d\n",
                f"{DMI}/sys_vendor": "Dell Inc.\n",
            },
            "host",
        ),
        ("x86_64", {"/sys/hypervisor/type": "xen\n", "/proc/xen/capabilities": "\n"}, "vm"),
        (
            "aarch64",
            {f"{DMI}/sys_vendor": "Amazon EC2\n", f"{DMI}/product_name": "c7g.metal\n"},
            "host",
        ),
        (
            "aarch64",
            {f"{DMI}/sys_vendor": "Amazon EC2\n", f"{DMI}/product_name": "c7g.xlarge\n"},
            "vm",
        ),
    ],
)
def test_scope_where_no_flag_tells_it(
    build: Callable[..., RecordedHost], machine: str, files: dict[str, str], scope: str
) -> None:
    """Virtual machines of processors that have no flag for it show as systemd-detect-virt finds them (systemd, src/basic/virt.c)."""
    host = build(files, machine=machine)
    assert read_machine(host).scope == scope


def test_a_record_holds_no_serial_number_of_a_mainframe(
    build: Callable[..., RecordedHost], tmp_path: Path
) -> None:
    """/proc/sysinfo has it beside the hypervisor's name; so it has the names of the partition and of the guest."""
    recorder = Recorder(build({"/proc/sysinfo": GUEST}, machine="s390x"))
    assert read_machine(recorder).scope == "vm"
    recorder.write(str(tmp_path / "record"))
    kept = (tmp_path / "record/proc/sysinfo").read_text()
    assert not any(word in kept for word in ("612A3", "L32", "Z507"))
    assert read_machine(RecordedHost(str(tmp_path / "record"))).scope == "vm"


# this machine


def test_this_machine_is_read() -> None:
    """The real one, whatever it is: lawful, and nothing went wrong on the way."""
    machine = Machine.read()
    lawful(machine)
    assert not any("failed" in entry.reason for entry in machine.unread)
    assert machine.system
    assert machine.architecture


@pytest.mark.skipif(sys.platform != "linux", reason="compares with Linux' own figures")
def test_this_machine_agrees_with_psutil() -> None:
    """Another reader of the same files gives the same total."""
    import psutil

    assert Machine.read().memory_total_bytes == psutil.virtual_memory().total


def test_reading_loads_little_and_touches_nothing() -> None:
    """No socket, no child process, no write; and none of the libraries that make a program slow to start."""
    code = """
import sys
before = set(sys.modules)
events = []
def hook(event, args):
    if event.startswith(("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn")):
        events.append(event)
    if event == "open" and (args[1] not in (None, "r", "rb") or (args[2] or 0) & 3):
        events.append(repr(args))
sys.addaudithook(hook)
from selfhost.machine.reader import Machine
Machine.read()
heavy = "socket subprocess pathlib json psutil rich argparse dataclasses inspect datetime tempfile shutil threading".split()
print(events, [name for name in heavy if name in sys.modules and name not in before])
"""
    if sys.platform != "linux":
        pytest.skip("other systems need psutil")
    done = subprocess.run(
        [sys.executable, "-B", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[0] == "[] []"
