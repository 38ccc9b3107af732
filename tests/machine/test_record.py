"""Machine records: to JSON and back, and what a wrong file is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import selfhost
from helpers.paths import SCHEMAS
from helpers.written import validate
from selfhost.core.errors import MachineFileError, Problem
from selfhost.core.records import Record, Unread
from selfhost.machine.changes import apply
from selfhost.machine.named import named
from selfhost.machine.profiles import load
from selfhost.machine.record import (
    FACTS,
    MAX_MEMORY_BYTES,
    SCHEMA,
    Accelerator,
    Disk,
    Machine,
    PresentModel,
    PresentRuntime,
)

PARTS: dict[str, type[Record]] = {
    f"tuple[{part.__name__}, ...]": part
    for part in (Disk, PresentModel, PresentRuntime)
}
SCHEMA_FILE = SCHEMAS / "machine-1.json"
GIB = 2**30
# a busy computer is no fault
calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

texts = st.text(
    st.characters(
        codec="utf-8", exclude_categories=("Cc", "Cf", "Zl", "Zp", "Cs", "Cn")
    ),
    min_size=1,
    max_size=20,
).filter(lambda text: text.strip() and text.isprintable())
names = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)


def optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


def with_sizes_in_order(disk: Record) -> Record:
    """A disk with no more free bytes than it has; another record as it is."""
    if not isinstance(disk, Disk):
        return disk
    if disk.free_bytes is None or disk.total_bytes is None:
        return disk
    free_bytes, total_bytes = sorted((disk.free_bytes, disk.total_bytes))
    return disk.replace(free_bytes=free_bytes, total_bytes=total_bytes)


def valid(record: type[Record], field: str) -> st.SearchStrategy[Any]:
    """Any value that the field may have but None."""
    kind = record._annotations[field].removesuffix(" | None")
    key = record._keys.get(field)
    limits = key.limits if key else {}
    if kind in PARTS:
        part = PARTS[kind]
        entries = {name: valid(part, name) for name in part._fields}
        entries |= {name: optional(entries[name]) for name in part._defaults}
        built = st.builds(part, **entries).map(with_sizes_in_order)
        return st.lists(built, max_size=2).map(tuple)
    if "choices" in limits:
        return st.sampled_from(limits["choices"])
    if kind == "int":
        return st.integers(int(limits["minimum"]), int(limits["maximum"]))
    if kind == "float":
        return st.floats(limits["minimum"], limits["maximum"])
    return {
        "str": st.just("2026-10-01T12:00:00Z") if limits else texts,
        "bool": st.booleans(),
        "Mapping[str, str]": st.dictionaries(texts, texts, max_size=2),
        "tuple[str, ...]": st.lists(names, max_size=3).map(tuple),
    }[kind]


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    """Any record whose sizes do not contradict each other, with reasons for some of what is None
    and for some of what is not.
    """
    own = (
        "is_this_one",
        "measured_in_vain",
        "accelerators",
        "models_present",
        "unread",
    )
    values = {
        name: draw(
            optional(valid(Machine, name)) if name in FACTS else valid(Machine, name)
        )
        for name in Machine._fields
        if name not in own
    }
    sizes = sorted(
        draw(st.lists(st.integers(1, MAX_MEMORY_BYTES), min_size=3, max_size=3))
    )
    for size, name in zip(sizes, ("available", "limit", "total"), strict=True):
        values[f"memory_{name}_bytes"] = draw(optional(st.just(size)))
    card = st.builds(
        Accelerator,
        vendor=names | st.just("apple"),
        name=texts,
        memory_total_bytes=optional(st.integers(1, MAX_MEMORY_BYTES)),
        unified=optional(st.booleans()),
    )
    values["accelerators"] = draw(optional(st.lists(card, max_size=2).map(tuple)))
    told = st.sampled_from(
        [*FACTS, "disks.ollama", "accelerators.unified", "instruction_sets.fma"]
    )
    reasons = st.builds(Unread, fact=told, reason=texts, remedy=optional(texts))
    return Machine(**values, unread=tuple(draw(st.lists(reasons, max_size=6))))


@calm
@given(machines())
def test_a_record_survives_the_way_through_json(machine: Machine) -> None:
    """Reading back what was written gives the same record, and what was written keeps the published
    schema.
    """
    written = json.loads(json.dumps(machine.to_json(), allow_nan=False))
    assert Machine.from_json(written) == machine
    validate(written, "machine-1")


def explained(machine: Machine) -> None:
    told = [entry.fact for entry in machine.unread]
    assert len(told) == len(set(told))
    for fact in FACTS:
        assert (getattr(machine, fact) is None) == (fact in told), fact
    for disk in machine.disks or ():
        assert disk.free_bytes is not None or f"disks.{disk.purpose}.free_bytes" in told
        assert disk.writable is not None or f"disks.{disk.purpose}.writable" in told
    for part in (
        ("memory_total_bytes", "unified") if machine.accelerators is not None else ()
    ):
        is_missing = any(
            getattr(card, part) is None for card in machine.accelerators or ()
        )
        assert is_missing == (f"accelerators.{part}" in told)


# of two machines each: to make them takes most of the time
@settings(calm, max_examples=20)
@given(
    machines(),
    machines(),
    st.sampled_from([fact for fact in FACTS if not fact.startswith("memory_")]),
)
def test_every_none_has_its_one_reason(
    machine: Machine, other: Machine, fact: str
) -> None:
    """However a machine was made or changed: each None has one entry, no value has one, and the
    reasons given are kept.
    """
    explained(machine)
    changed = machine.replace(**{fact: getattr(other, fact)})
    explained(changed)
    written = json.loads(json.dumps(changed.to_json()))
    assert Machine.from_json(written).replace(name=changed.name) == changed
    for entry in machine.unread:
        if entry.fact in FACTS and entry.fact != fact:
            assert changed.why_unread(entry.fact) == entry


def test_a_machine_of_the_catalogue_is_not_recorded_again() -> None:
    """Nobody recorded it: what it lacks is stated, or read from such a machine."""
    known = load("macbook-air-m2-16gb").machine
    for machine in (known, named("i5-8250U")[0], known.replace(models_present=None)):
        why = machine.why_unread("models_present")
        assert why in machine.unread
        assert why.reason == "the catalogue does not say"
        assert "--set" in (why.remedy or "")
        assert "again" not in (why.remedy or "")
    recorded = Machine(name="edge").why_unread("models_present")
    assert "record the machine again" in (recorded.remedy or "")


WRONG: list[tuple[str, Any]] = [
    ("name", 5),
    ("labels", ["edge"]),
    ("scope", ["vm"]),
    ("memory_total_bytes", "16GB"),
    ("cpu_cores_usable", True),
    ("memory_available_bytes", True),
    ("memory_total_bytes", 1.5),
    ("cpu_cores_physical", "8"),
    ("swap_free_bytes", float("nan")),
    ("cpu_cores_usable", float("nan")),
    ("instruction_sets", "avx2"),
    ("disks", 5),
    ("sources", []),
    ("unread", "nothing"),
    ("read_at", 5),
    ("schema", "selfhost.machine/2"),
    ("schema", 1),
    ("name", ""),
    ("name", "a\x1b[31mb"),
    ("labels.site", None),
    ("read_at", "yesterday"),
    ("memory_total_bytes", 10**5000),
    ("memory_limit_bytes", -(10**5000)),
    ("cpu_cores_usable", 10**5000),
    ("disks[0]", None),
    ("instruction_sets[1]", None),
]


def test_a_machine_made_by_hand_is_checked() -> None:
    """A size that no machine has is refused when the machine is made, by the field's name."""
    for field, value in (("memory_total_bytes", "16GB"), ("cpu_cores_usable", 0)):
        with pytest.raises(MachineFileError, match=field):
            Machine().replace(**{field: value})


@pytest.mark.parametrize(
    ("key", "spelled", "name"),
    [
        ("architecture", "ARM64", "aarch64"),
        ("architecture", "AMD64", "x86_64"),
        ("architecture", "i386", "i686"),
        ("architecture", "riscv64", "riscv64"),
        ("system", "Darwin", "macos"),
        ("system", "win32", "windows"),
        ("system", "Linux", "linux"),
        ("system", "freebsd14", "freebsd14"),
    ],
)
def test_one_spelling(key: str, spelled: str, name: str) -> None:
    """Records by people and by other programs use the words of their own system."""
    assert getattr(Machine.from_json({"schema": SCHEMA, key: spelled}), key) == name
    assert getattr(Machine().replace(**{key: spelled}), key) == name


@pytest.mark.parametrize(
    ("vendor", "stated", "unified"),
    [("nvidia", {}, None), ("Apple", {}, True), ("apple", {"unified": False}, False)],
)
def test_a_gpu_that_may_share_the_memory(
    vendor: str, stated: dict[str, bool], unified: bool | None
) -> None:
    """A record that does not say whether a GPU shares the RAM says nothing; Apple's always do."""
    card = {"vendor": vendor, "name": "GPU", "memory_total_bytes": GIB, **stated}
    machine = Machine.from_json({"schema": SCHEMA, "accelerators": [card]})
    assert [each.unified for each in machine.accelerators or ()] == [unified]
    assert unified is not None or machine.why_unread("accelerators.unified").remedy


def test_only_the_machine_that_was_read_is_this_one(tmp_path: Path) -> None:
    """Whatever a record is called, it is of another computer; what --set changes stays the one it
    was.
    """
    live = selfhost.Machine.read()
    assert live.is_this_one
    assert Machine.read(root="/").is_this_one
    assert apply(live, ["memory=16GiB"]).is_this_one
    (tmp_path / "proc").mkdir()
    (tmp_path / "here.json").write_text(json.dumps(live.to_json()), encoding="utf-8")
    recorded = Machine.from_file(tmp_path / "here.json")
    for name in ("this machine", "this machine with memory=6GiB", "gb"):
        record = {**live.to_json(), "name": name, "is_this_one": True}
        assert not Machine.from_json(record).is_this_one
        assert not Machine(name=name).is_this_one
    others = (Machine.read(root=tmp_path), recorded, load("aws-c7g.4xlarge").machine)
    assert not any(
        other.is_this_one for other in (*others, apply(recorded, ["cores=2"]))
    )
    assert "is_this_one" not in live.to_json()


def problems(data: Any) -> dict[str | None, Problem]:
    with pytest.raises(MachineFileError) as caught:
        Machine.from_json(data, "ci.json")
    assert all(problem.file == "ci.json" for problem in caught.value.problems)
    return {problem.key: problem for problem in caught.value.problems}


@pytest.mark.parametrize(
    "case", WRONG, ids=lambda case: f"{case[0]}-{type(case[1]).__name__}"
)
def test_a_wrong_value_is_named_by_its_key(case: tuple[str, Any]) -> None:
    """Each of these is refused, and the message names the key."""
    key, value = case
    head, _, inner = key.partition(".")
    if "[" in key:
        head = key.partition("[")[0]
        value = ["avx2", 7] if key.startswith("inst") else [1]
    data: dict[str, Any] = {"schema": SCHEMA, head: {inner: 5} if inner else value}
    assert key in problems(data)


@pytest.mark.parametrize(
    ("key", "item", "inner"),
    [
        ("disks", {"path": "/", "free_bytes": 1}, "purpose"),
        ("disks", {"purpose": "ollama", "path": "/", "free_bytes": -1}, "free_bytes"),
        pytest.param(
            "disks",
            {"purpose": "ollama", "path": "/", "free_bytes": 5, "total_bytes": 4},
            "free_bytes",
            id="more free than the disk has",
        ),
        (
            "accelerators",
            {
                "vendor": "x",
                "name": "x",
                "memory_total_bytes": 4,
                "memory_free_bytes": 5,
            },
            "memory_free_bytes",
        ),
        ("runtimes", {"version": "1"}, "id"),
        ("models_present", {"path": "~/x.gguf"}, "size_bytes"),
        ("unread", {"fact": "scope"}, "reason"),
    ],
)
def test_a_wrong_entry_is_named_by_its_place(
    key: str, item: dict[str, Any], inner: str
) -> None:
    """The message names list, index and key."""
    assert f"{key}[0].{inner}" in problems({"schema": SCHEMA, key: [item]})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("null", "holds null, not one JSON object", id="null"),
        pytest.param("[]", "holds an array, not one JSON object", id="an array"),
        pytest.param("true", "holds true, not one JSON object", id="true"),
        pytest.param(
            '{"schema": {}}', "is an object: not a machine record", id="another schema"
        ),
        pytest.param(
            '{"disks": [null]}', "must be an object, not null", id="null in an array"
        ),
        pytest.param(
            '{"accelerators": {}}', "must be an array, not an object", id="an object"
        ),
        pytest.param(
            '{"system": []}', "must be a string, not an array", id="array for a text"
        ),
    ],
)
def test_a_fault_has_the_words_of_json(text: str, told: str, tmp_path: Path) -> None:
    """The file has no `None`, no list and no table."""
    path = tmp_path / "record.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MachineFileError) as caught:
        Machine.from_file(path)
    (problem,) = caught.value.problems
    assert problem.message.startswith(told)


def test_a_number_is_written_as_json_has_it() -> None:
    """JSON has no marks of thousands: `4_096` would be the next fault."""
    with pytest.raises(MachineFileError) as caught:
        Machine.from_json({"schema": SCHEMA, "cpu_cores_physical": "4,096"})
    (problem,) = caught.value.problems
    assert problem.remedy == "write 4096"


def test_sizes_that_contradict_each_other_are_refused() -> None:
    """Nobody has more available than the limit, nor a limit above the hardware."""
    sizes = ("memory_available_bytes", "memory_limit_bytes", "memory_total_bytes")
    for small, large in (sizes[:2], sizes[1:], sizes[::2]):
        found = problems({"schema": SCHEMA, small: 9, large: 8})
        assert "8" in (found[small].remedy or "")
        assert (
            getattr(Machine.from_json({"schema": SCHEMA, small: 8, large: 8}), small)
            == 8
        )


keys = st.sampled_from(sorted(Machine().to_json()))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(keys | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@calm
@given(st.dictionaries(keys, json_values))
def test_any_json_gives_a_record_or_problems(data: dict[str, Any]) -> None:
    """No input makes another error, and whatever is accepted keeps the law that a None has its
    reason.
    """
    try:
        machine = Machine.from_json({**data, "schema": SCHEMA})
    except MachineFileError:
        return
    explained(machine)


# files


def test_a_file_is_read(tmp_path: Path) -> None:
    """What `to_json` gave, in a file, also with the marks that Windows' editors and shells
    write.
    """
    machine = Machine.from_json(
        {"schema": SCHEMA, "memory_limit_bytes": GIB, "name": "Brünhilde"}
    )
    text = json.dumps(machine.to_json(), ensure_ascii=False)
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path = tmp_path / f"{encoding}.json"
        path.write_text(text, encoding=encoding)
        assert Machine.from_file(path) == machine
        assert Machine.from_file(str(path)) == machine


def test_files_that_are_no_records(tmp_path: Path) -> None:
    """Missing, a folder, no JSON and too large: each has its own message (all others:
    tests/core/test_reading.py).
    """
    (tmp_path / "cut").write_text('{\n "schema": "selfhost.machine/1",\n "name": \n')
    (tmp_path / "large").write_bytes(b" " * (5 * 2**20))
    faults = {
        "missing": "does not exist", ".": "folder", "large": "a few kilobytes", "cut": "not JSON"
    }  # fmt: skip
    for name, message in faults.items():
        with pytest.raises(MachineFileError) as caught:
            Machine.from_file(tmp_path / name)
        (problem,) = caught.value.problems
        assert message in problem.message
        assert problem.remedy
        assert name != "cut" or problem.line == 4
