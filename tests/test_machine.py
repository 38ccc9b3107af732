"""Machine records: to JSON and back, and what a wrong file is told."""

from __future__ import annotations

import json
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfhost.errors import MachineFileError, Problem
from selfhost.facts import Unread
from selfhost.machine import (
    FACTS,
    MAX_CORES,
    MAX_DISK_BYTES,
    MAX_MEMORY_BYTES,
    SCHEMA,
    Accelerator,
    Disk,
    Machine,
    PresentModel,
    PresentRuntime,
)

SCHEMA_FILE = Path(__file__).parents[1] / "selfhost" / "schemas" / "machine-1.json"
GIB = 2**30

texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Zl", "Zp", "Cs", "Cn")), min_size=1, max_size=20).filter(
    str.strip
)
names = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)
disk_sizes = st.integers(0, MAX_DISK_BYTES)
memory_sizes = st.integers(1, MAX_MEMORY_BYTES)


def optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    """Any record that keeps its own law: a None has its Unread, and sizes do not contradict each other."""
    sizes = sorted(draw(st.lists(memory_sizes, min_size=3, max_size=3)))
    disks = draw(
        optional(
            st.lists(
                st.builds(
                    Disk,
                    purpose=names,
                    path=texts,
                    free_bytes=disk_sizes,
                    total_bytes=optional(disk_sizes),
                    filesystem=optional(texts),
                    writable=optional(st.booleans()),
                ),
                max_size=3,
            )
        )
    )
    accelerator = st.builds(
        Accelerator,
        vendor=names,
        name=texts,
        memory_total_bytes=memory_sizes,
        unified=st.booleans(),
        driver=optional(texts),
        compute_capability=optional(texts),
    )
    values: dict[str, Any] = {
        "read_at": draw(optional(st.just("2026-10-01T12:00:00Z"))),
        "scope": draw(optional(st.sampled_from(["host", "vm", "container"]))),
        "system": draw(optional(names)),
        "architecture": draw(optional(names)),
        "memory_available_bytes": draw(optional(st.just(sizes[0]))),
        "memory_limit_bytes": draw(optional(st.just(sizes[1]))),
        "memory_total_bytes": draw(optional(st.just(sizes[2]))),
        "swap_free_bytes": draw(optional(st.integers(0, MAX_MEMORY_BYTES))),
        "cpu_model": draw(optional(texts)),
        "cpu_cores_physical": draw(optional(st.integers(1, MAX_CORES))),
        "cpu_cores_usable": draw(optional(st.floats(0.01, 512) | st.integers(1, 512).map(float))),
        "instruction_sets": draw(optional(st.lists(names, max_size=4).map(tuple))),
        "memory_bandwidth_bytes_per_second": draw(optional(memory_sizes)),
        "disks": None if disks is None else tuple(disks),
        "models_present": draw(
            optional(
                st.lists(
                    st.builds(
                        PresentModel,
                        path=texts,
                        size_bytes=disk_sizes,
                        repository=optional(texts),
                        file=optional(texts),
                        complete=st.booleans(),
                    ),
                    max_size=2,
                ).map(tuple)
            )
        ),
        "accelerators": draw(optional(st.lists(accelerator, max_size=2).map(tuple))),
        "runtimes": draw(
            optional(st.lists(st.builds(PresentRuntime, id=names, version=optional(texts), path=optional(texts)), max_size=2).map(tuple))
        ),
    }
    unread = tuple(Unread(fact=fact, reason=draw(texts), remedy=draw(optional(texts))) for fact in FACTS if values[fact] is None)
    return Machine(
        name=draw(texts),
        labels=draw(st.dictionaries(texts, texts, max_size=2)),
        sources=draw(st.dictionaries(names, texts, max_size=2)),
        unread=unread,
        **values,
    )


@given(machines())
def test_a_record_survives_the_way_through_json(machine: Machine) -> None:
    """Reading back what was written gives the same record, and what was written keeps the published schema."""
    written = json.loads(json.dumps(machine.to_json(), allow_nan=False))
    assert Machine.from_json(written) == machine
    jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text())).validate(written)


def test_the_schema_is_a_schema_and_names_every_key() -> None:
    """The published schema is valid itself, and its keys are exactly those that are written."""
    schema = json.loads(SCHEMA_FILE.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert set(schema["properties"]) == set(schema["required"]) == set(Machine().to_json())


def test_the_contract_names_these_keys() -> None:
    """Other programs rely on these names."""
    contract = """schema selfhost_version name labels read_at scope system architecture memory_total_bytes memory_limit_bytes
        memory_available_bytes swap_free_bytes cpu_model cpu_cores_physical cpu_cores_usable instruction_sets
        memory_bandwidth_bytes_per_second disks models_present accelerators runtimes sources unread"""
    assert set(Machine().to_json()) >= set(contract.split())


def test_whole_cores_are_written_as_a_whole_number() -> None:
    """Two cores are 2, one and a half are 1.5."""
    assert json.dumps(Machine(cpu_cores_usable=2.0).to_json()["cpu_cores_usable"]) == "2"
    assert json.dumps(Machine(cpu_cores_usable=1.5).to_json()["cpu_cores_usable"]) == "1.5"


def test_what_is_missing_is_unread() -> None:
    """A file with fewer keys is accepted; every None has its reason and a remedy, and a key nobody knows is ignored."""
    machine = Machine.from_json({"schema": SCHEMA, "memory_limit_bytes": 16 * GIB, "colour": {"of": "the case"}})
    assert machine.memory_limit_bytes == 16 * GIB
    assert machine.memory_available_bytes is None
    for fact in FACTS:
        if getattr(machine, fact) is None:
            entry = next(entry for entry in machine.unread if entry.fact == fact)
            assert entry.reason
            assert entry.remedy


def test_no_accelerators_is_not_the_same_as_not_known() -> None:
    """An empty list says there are none; null or nothing says it is not known."""
    assert Machine.from_json({"schema": SCHEMA, "accelerators": []}).accelerators == ()
    assert Machine.from_json({"schema": SCHEMA, "accelerators": None}).accelerators is None
    assert Machine.from_json({"schema": SCHEMA}).accelerators is None


def test_memory_of_a_disk_and_of_a_gpu_that_is_missing_has_its_reason() -> None:
    """A None inside a list is told as well."""
    machine = Machine.from_json(
        {"schema": SCHEMA, "disks": [{"purpose": "ollama", "path": "/data"}], "accelerators": [{"vendor": "nvidia", "name": "GPU"}]}
    )
    assert {"disks.ollama.free_bytes", "accelerators.memory_total_bytes"} <= {entry.fact for entry in machine.unread}


def test_an_unknown_scope_is_not_known() -> None:
    """A value this version does not know is ignored, as the contract asks, and said."""
    machine = Machine.from_json({"schema": SCHEMA, "scope": "enclave"})
    assert machine.scope is None
    assert "enclave" in machine.why_unread("scope").reason


def test_a_plain_object_with_a_fact_needs_no_schema_name() -> None:
    """Somebody's own few keys are read; an object without any fact about a machine is not one."""
    assert Machine.from_json({"memory_limit_bytes": GIB}).memory_limit_bytes == GIB
    assert "schema" in problems({"name": "left-pad", "version": "1.0.0"})


def problems(data: Any) -> dict[str | None, Problem]:
    with pytest.raises(MachineFileError) as caught:
        Machine.from_json(data, "ci.json")
    assert all(problem.file == "ci.json" for problem in caught.value.problems)
    return {problem.key: problem for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema", "selfhost.machine/2"),
        ("schema", "selfhost.verdict/1"),
        ("schema", 1),
        ("name", 5),
        ("name", ""),
        ("name", "a\x1b[31mb"),
        ("name", "x" * 10_000),
        ("labels", ["edge"]),
        ("labels.site", None),
        ("read_at", "yesterday"),
        ("scope", ["vm"]),
        ("memory_total_bytes", 0),
        ("memory_total_bytes", -1),
        ("memory_total_bytes", "16GiB"),
        ("memory_total_bytes", True),
        ("memory_total_bytes", 1.5),
        ("memory_total_bytes", float("nan")),
        ("memory_total_bytes", float("inf")),
        ("memory_total_bytes", 2**60),
        pytest.param("memory_total_bytes", 10**5000, id="memory_total_bytes-huge"),
        pytest.param("memory_limit_bytes", -(10**5000), id="memory_limit_bytes-huge"),
        ("swap_free_bytes", -1),
        ("cpu_cores_physical", 0),
        ("cpu_cores_physical", 2.5),
        ("cpu_cores_usable", 0),
        ("cpu_cores_usable", -2),
        ("cpu_cores_usable", True),
        ("cpu_cores_usable", float("nan")),
        pytest.param("cpu_cores_usable", 10**5000, id="cpu_cores_usable-huge"),
        ("instruction_sets", "avx2"),
        ("disks", {"path": "/"}),
        ("disks", [{}] * 5000),
        ("unread", "nothing"),
        ("sources", []),
    ],
)
def test_a_wrong_value_is_named_by_its_key(key: str, value: Any) -> None:
    """Each of these is refused, and the message names the key."""
    head, _, inner = key.partition(".")
    data: dict[str, Any] = {"schema": SCHEMA, head: {inner: 5} if inner else value}
    assert key in problems(data)


@pytest.mark.parametrize(
    ("key", "item", "inner"),
    [
        ("disks", {"path": "/", "free_bytes": 1}, "purpose"),
        ("disks", {"purpose": "ollama", "path": "/", "free_bytes": -1}, "free_bytes"),
        ("disks", {"purpose": "ollama", "path": "/", "writable": "yes"}, "writable"),
        ("accelerators", {"vendor": "nvidia", "name": "x", "memory_total_bytes": 4, "memory_free_bytes": 5}, "memory_free_bytes"),
        ("accelerators", {"name": "x"}, "vendor"),
        ("runtimes", {"version": "1"}, "id"),
        ("models_present", {"path": "~/x.gguf"}, "size_bytes"),
        ("unread", {"fact": "scope"}, "reason"),
    ],
)
def test_a_wrong_entry_is_named_by_its_place(key: str, item: dict[str, Any], inner: str) -> None:
    """The message names list, index and key."""
    assert f"{key}[0].{inner}" in problems({"schema": SCHEMA, key: [item]})


def test_an_entry_that_is_no_object_is_named() -> None:
    """A list of numbers where objects belong."""
    found = problems({"schema": SCHEMA, "disks": [1], "instruction_sets": ["avx2", 7]})
    assert {"disks[0]", "instruction_sets[1]"} <= set(found)


def test_all_faults_are_told_at_once() -> None:
    """One run names every fault."""
    found = problems(
        {"schema": "x", "memory_total_bytes": -1, "cpu_cores_usable": "two", "disks": [{"purpose": "a", "path": "b", "free_bytes": True}]}
    )
    assert set(found) == {"schema", "memory_total_bytes", "cpu_cores_usable", "disks[0].free_bytes"}
    assert str(found["memory_total_bytes"]).startswith("ci.json: memory_total_bytes: ")


@pytest.mark.parametrize(
    ("small", "large"),
    [
        ("memory_available_bytes", "memory_limit_bytes"),
        ("memory_limit_bytes", "memory_total_bytes"),
        ("memory_available_bytes", "memory_total_bytes"),
    ],
)
def test_sizes_that_contradict_each_other_are_refused(small: str, large: str) -> None:
    """Nobody has more available than the limit, nor a limit above the hardware."""
    found = problems({"schema": SCHEMA, small: 9, large: 8})
    assert "8" in (found[small].remedy or "")
    assert getattr(Machine.from_json({"schema": SCHEMA, small: 8, large: 8}), small) == 8


@pytest.mark.parametrize("data", [None, [], "machine", 3, True, [{"schema": SCHEMA}]])
def test_only_an_object_is_a_record(data: Any) -> None:
    """Anything else is refused with the command that writes one."""
    assert "selfhost machine" in (problems(data)[None].remedy or "")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(Machine().to_json())) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(sorted(Machine().to_json())), json_values))
def test_any_json_gives_a_record_or_problems(data: dict[str, Any]) -> None:
    """No input makes another error, and whatever is accepted keeps the law that a None has its reason."""
    try:
        machine = Machine.from_json({**data, "schema": SCHEMA})
    except MachineFileError:
        return
    told = {entry.fact for entry in machine.unread}
    assert all(getattr(machine, fact) is not None or fact in told for fact in FACTS)


# files


def fault(path: str | os.PathLike[str]) -> Problem:
    with pytest.raises(MachineFileError) as caught:
        Machine.from_file(path)
    problem = caught.value.problems[0]
    assert problem.remedy
    return problem


def test_a_file_is_read(tmp_path: Path) -> None:
    """What `to_json` gave, in a file, also with the marks that Windows' editors and shells write."""
    machine = Machine.from_json({"schema": SCHEMA, "memory_limit_bytes": GIB, "name": "Brünhilde"})
    text = json.dumps(machine.to_json(), ensure_ascii=False)
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path = tmp_path / f"{encoding}.json"
        path.write_text(text, encoding=encoding)
        assert Machine.from_file(path) == machine
        assert Machine.from_file(str(path)) == machine


def test_files_that_are_no_records(tmp_path: Path) -> None:
    """Missing, folder, dead link, empty, binary, not JSON, too large, too deep: each has its own message."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "dead").symlink_to(tmp_path / "nowhere")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "blank").write_bytes(b" \n\n")
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    (tmp_path / "zero").write_bytes(b"{}\0")
    (tmp_path / "cut").write_text('{\n "schema": "selfhost.machine/1",\n "name": \n')
    (tmp_path / "large").write_bytes(b" " * (5 * 2**20))
    (tmp_path / "deep").write_text("[" * 200_000)
    (tmp_path / "digits").write_text('{"memory_total_bytes": ' + "9" * 10_000 + "}")
    said = {name: fault(tmp_path / name).message for name in ("missing", *sorted(os.listdir(tmp_path)))}
    for name, words in {
        "missing": "does not exist",
        "folder": "folder",
        "dead": "link",
        "empty": "empty",
        "blank": "empty",
        "binary": "not text",
        "zero": "not text",
        "cut": "not JSON",
        "large": "larger than",
        "deep": "nested too deeply",
        "digits": "digits",
    }.items():
        assert words in said[name], name
    assert fault(tmp_path / "cut").line == 4


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes in the file system")
def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    """A named pipe that nobody writes to is refused, not waited for."""
    os.mkfifo(tmp_path / "pipe")
    assert "neither a file" in fault(tmp_path / "pipe").message


@pytest.mark.skipif(sys.platform == "win32" or (hasattr(os, "geteuid") and os.geteuid() == 0), reason="root may read everything")
def test_an_unreadable_file_says_so(tmp_path: Path) -> None:
    """The system's reason is passed on."""
    (tmp_path / "secret").write_text("{}")
    (tmp_path / "secret").chmod(0)
    assert "cannot be read" in fault(tmp_path / "secret").message


def test_names_that_no_file_can_have() -> None:
    """A zero byte or an endless name is a missing file, not a crash."""
    for path in ("a\0b", "x" * 5000):
        with pytest.raises(MachineFileError):
            Machine.from_file(path)


def test_lines_are_given_only_where_they_are_certain(tmp_path: Path) -> None:
    """A key that stands once has its line; one that stands twice has none."""
    path = tmp_path / "m.json"
    path.write_text('{\n "schema": "selfhost.machine/1",\n "memory_total_bytes": -1,\n "sources": {"scope": "x"},\n "scope": 7\n}')
    with pytest.raises(MachineFileError) as caught:
        Machine.from_file(path)
    assert {problem.key: problem.line for problem in caught.value.problems} == {"memory_total_bytes": 3, "scope": None}


def test_twice_the_same_key_and_nan_are_refused(tmp_path: Path) -> None:
    """JSON readers differ in which of two keys they take, and NaN is no JSON."""
    path = tmp_path / "m.json"
    path.write_text('{"schema": "selfhost.machine/1", "name": "a", "name": "b", "cpu_cores_usable": NaN}')
    with pytest.raises(MachineFileError) as caught:
        Machine.from_file(path)
    said = " ".join(map(str, caught.value.problems))
    assert "name: stands twice" in said
    assert "NaN" in said


def test_a_record_can_be_sent_to_another_process() -> None:
    """Machines are judged in parallel."""
    machine = Machine.from_json({"schema": SCHEMA, "memory_limit_bytes": GIB})
    assert pickle.loads(pickle.dumps(machine)) == machine


def test_file_systems_are_told_apart() -> None:
    """RAM and network volumes, and the largest file of FAT32 (4 GiB - 1)."""
    disk = Disk(purpose="ollama", path="/")
    assert disk.replace(filesystem="tmpfs").in_memory
    assert disk.replace(filesystem="nfs4").on_network
    assert disk.replace(filesystem="vfat").max_file_bytes == 4 * GIB - 1
    for name in ("ext4", "apfs", None):
        plain = disk.replace(filesystem=name)
        assert not plain.in_memory
        assert not plain.on_network
        assert plain.max_file_bytes is None
