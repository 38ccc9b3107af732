"""`facts.json` and `env.json` of a recorded tree: refused with every fault, or a record comes of
them that reads back.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from helpers.recordings import lawful
from helpers.written import run
from selfhost import Machine, MachineFileError
from selfhost.machine.probes.recorded import RecordedHost
from selfhost.machine.reader import read_machine
from selfhost.machine.record import MAX_DISK_BYTES, MAX_MEMORY_BYTES


def tree(folder: Path, facts: Any, env: Any = None) -> str:
    """A recorded tree of these two files alone."""
    folder.mkdir(exist_ok=True)
    (folder / "facts.json").write_text(
        facts if isinstance(facts, str) else json.dumps(facts)
    )
    if env is not None:
        (folder / "env.json").write_text(json.dumps(env))
    return str(folder)


def faults(folder: Path, facts: Any, env: Any = None) -> list[str]:
    """What is told of each fault, without the folder."""
    with pytest.raises(MachineFileError) as caught:
        Machine.read(root=tree(folder, facts, env))
    return [
        str(problem).removeprefix(f"{folder}{os.sep}")
        for problem in caught.value.problems
    ]


SPACE = {"free_bytes": 1, "total_bytes": 2}
MOST = f"{MAX_DISK_BYTES:,}"


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        pytest.param(
            {"machine": 5},
            'facts.json: machine: must be a string, not the number 5 (write it in quotes: "…")',
            id="machine",
        ),
        pytest.param(
            {"read_at": 5},
            'facts.json: read_at: must be a string, not the number 5 (write it in quotes: "…")',
            id="read_at of a number",
        ),
        pytest.param(
            {"read_at": "zz"},
            'facts.json: read_at: "zz" is not a time (write for example 2026-10-01T12:00:00Z)',
            id="read_at of no time",
        ),
        pytest.param(
            {"read_at": "2026-02-30T12:00:00Z"},
            (
                'facts.json: read_at: "2026-02-30T12:00:00Z" is not a date of the calendar '
                "(February 2026 has 28 days)"
            ),
            id="read_at of no day",
        ),
        pytest.param(
            {"space": {"/": {**SPACE, "free_bytes": -1}}},
            'facts.json: space."/".free_bytes: must be at least 0, not -1',
            id="negative free_bytes",
        ),
        pytest.param(
            {"space": {"/": {**SPACE, "total_bytes": 1e30}}},
            f'facts.json: space."/".total_bytes: must be at most {MOST}, '
            "not one of more than 30 digits",
            id="total_bytes of 1e30",
        ),
        pytest.param(
            {"space": {"/": {**SPACE, "free_bytes": "1 GB"}}},
            'facts.json: space."/".free_bytes: must be a whole number, not the string "1 GB"',
            id="textual free_bytes",
        ),
        pytest.param(
            {"space": {"/": {"free_bytes": 1}}},
            'facts.json: space."/".total_bytes: is missing',
            id="no total_bytes",
        ),
        pytest.param(
            {"space": 5},
            "facts.json: space: must be an object, not the number 5 (write { … })",
            id="space",
        ),
        pytest.param(
            {"memory": {"total": 2**60}},
            f"facts.json: memory.total: must be at most {MAX_MEMORY_BYTES:,}, not {2**60:,}",
            id="memory",
        ),
        pytest.param(
            {"cores": {"physical": 0}},
            "facts.json: cores.physical: must be at least 1, not 0",
            id="cores",
        ),
        pytest.param(
            {"affinity": [0, "1"]},
            'facts.json: affinity[1]: must be a whole number, not the string "1" (write 1)',
            id="affinity",
        ),
        pytest.param(
            {"mounts": {"/": 1}},
            'facts.json: mounts."/": must be a string, not the number 1 (write it in quotes: "…")',
            id="mounts",
        ),
        pytest.param(
            {"writable": {"/": 1}},
            'facts.json: writable."/": must be true or false, not the number 1',
            id="writable",
        ),
        pytest.param(
            {"display_adapters": [5]},
            "facts.json: display_adapters[0]: must be an object, not the number 5 (write { … })",
            id="display_adapters",
        ),
        pytest.param(
            {"nvml": {"gpus": "many"}},
            'facts.json: nvml.gpus: must be an array, not the string "many" (write [ … ])',
            id="nvml",
        ),
        pytest.param(
            {"nvml": {"gpus": [[{}, {"name": 5}]]}},
            (
                "facts.json: nvml.gpus[0][1].name: must be a string, not the number 5 "
                '(write it in quotes: "…")'
            ),
            id="an instance of a GPU",
        ),
        pytest.param(
            {"machne": "x86_64"},
            "facts.json: machne: is not a known key (did you mean machine?)",
            id="a slip",
        ),
        pytest.param(
            [],
            (
                "facts.json: holds an array, not one JSON object (copy it from the machine "
                "again, or leave it out)"
            ),
            id="a list",
        ),
        pytest.param(
            '{\n"system": }',
            (
                "facts.json:2: is not JSON: Expecting value (copy it from the machine again, "
                "or leave it out)"
            ),
            id="no JSON",
        ),
    ],
)
def test_a_fault_of_the_facts_is_told(facts: Any, told: str, tmp_path: Path) -> None:
    """As of a record: the file, the key, what is wrong, and what to write."""
    assert faults(tmp_path, facts) == [told]


def test_all_faults_are_told_in_one_run(tmp_path: Path) -> None:
    """Three keys, of which each is wrong."""
    facts = {
        "machine": 5,
        "read_at": "zz",
        "space": {"/": {"free_bytes": -1, "total_bytes": 1}},
    }
    keys = {told.split(": ")[1] for told in faults(tmp_path, facts)}
    assert keys == {"machine", "read_at", 'space."/".free_bytes'}


def test_slips_are_told_in_the_order_of_the_file(tmp_path: Path) -> None:
    """The order is the same in every run, whatever seed Python hashes texts with."""
    slips = [
        "writablex",
        "cwdx",
        "machinex",
        "hostnamex",
        "systemx",
        "read_atx",
        "affinityx",
        "python_pathx",
    ]
    told = faults(tmp_path, dict.fromkeys(slips, 1))
    assert [line.split(": ")[1] for line in told] == slips


def test_a_variable_is_a_text(tmp_path: Path) -> None:
    """`env.json` too."""
    assert faults(tmp_path, {}, {"HOME": ["/root"]}) == [
        'env.json: HOME: must be a string, not an array (write it in quotes: "…")'
    ]


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(
            {"machine": None, "space": {"/": {**SPACE, "free_bytes": 1.0}}},
            id="null and 1.0",
        ),
        pytest.param(
            {"release": "6.8.0", "page_bytes": 4096, "sizes": {"/": None}},
            id="other keys",
        ),
    ],
)
def test_what_a_record_may_hold_facts_may_too(facts: Any, tmp_path: Path) -> None:
    """Null says as much as a missing key, 1.0 is 1, and keys of others are ignored."""
    assert Machine.read(root=tree(tmp_path, facts)).system == "linux"


def test_the_command_refuses_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2 with the sentence."""
    code, out, told = run(
        capsys, "machine", "--root", tree(tmp_path, {"machine": 5}), "--json"
    )
    assert (code, out) == (2, "")
    answer = json.loads(told)
    assert answer["schema"] == "selfhost.error/1"
    assert [problem["key"] for problem in answer["problems"]] == ["machine"]


@pytest.mark.parametrize("name", ["no-such-folder", "a-file"])
def test_what_is_no_folder_is_told(name: str, tmp_path: Path) -> None:
    """It does not hold "no recorded machine"."""
    (tmp_path / "a-file").write_text("x")
    told = {"no-such-folder": "does not exist", "a-file": "is a file, not a folder"}
    with pytest.raises(MachineFileError, match=told[name]):
        Machine.read(root=tmp_path / name)


def test_a_folder_that_may_not_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another account's folder nobody knows what it holds."""

    def refuse(path: Any) -> list[str]:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(MachineFileError, match="may not be read by this account"):
        Machine.read(root=tmp_path)


NUMBERS = st.integers(-(2**70), 2**70) | st.integers(-2, 5) | st.floats(allow_nan=False)
TEXTS = st.text(max_size=8) | st.sampled_from(
    ["/", "C:\\", " ", "", "\n", "x86_64", "AMD64", "linux", "windows", "macos"]
)
ANY = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
COUNTS = st.integers(0, 10**5) | st.integers(-1, 2**70) | ANY
RIGHT = {
    "system": st.sampled_from(["linux", "macos", "windows", "freebsd"]) | TEXTS,
    "machine": TEXTS,
    "read_at": st.just("2026-11-20T11:55:56Z") | TEXTS,
    "hostname": TEXTS,
    "cwd": TEXTS,
    "pointer_bits": st.sampled_from([32, 64]),
    "affinity": st.lists(st.integers(0, 9), max_size=4),
    "processor_features": st.lists(st.integers(0, 60), max_size=4),
    "python_path": st.lists(TEXTS, max_size=2),
    "memory": st.dictionaries(
        st.sampled_from(["total", "available", "swap_free"]), COUNTS
    ),
    "cores": st.dictionaries(st.sampled_from(["physical", "usable"]), COUNTS),
    "mounts": st.dictionaries(TEXTS, TEXTS, max_size=2),
    "registry": st.dictionaries(TEXTS, TEXTS, max_size=2),
    "writable": st.dictionaries(TEXTS, st.booleans(), max_size=2),
    "space": st.dictionaries(
        TEXTS,
        st.fixed_dictionaries({"free_bytes": COUNTS, "total_bytes": COUNTS}),
        max_size=2,
    ),
    "display_adapters": st.lists(
        st.fixed_dictionaries(
            {"id": st.just("VEN_10DE") | TEXTS, "name": TEXTS, "memory": COUNTS}
        ),
        max_size=2,
    ),
    "nvml": st.fixed_dictionaries(
        {
            "driver": TEXTS,
            "gpus": st.lists(
                st.lists(
                    st.fixed_dictionaries(
                        {},
                        optional={
                            "name": TEXTS,
                            "memory_total_bytes": COUNTS,
                            "memory_free_bytes": COUNTS,
                            "part_of_bytes": COUNTS,
                            "error": COUNTS,
                            "bus_width_bits": COUNTS,
                            "memory_clock_mhz": COUNTS,
                            "compute_capability": st.lists(COUNTS, max_size=2),
                        },
                    ),
                    max_size=2,
                ),
                max_size=2,
            ),
        }
    ),
}
FACTS = st.fixed_dictionaries(
    {}, optional={key: value | ANY for key, value in RIGHT.items()}
)
ENV = st.none() | st.dictionaries(
    st.sampled_from(
        [
            "HOME",
            "PATH",
            "HF_HOME",
            "OLLAMA_MODELS",
            "CUDA_VISIBLE_DEVICES",
            "USERPROFILE",
        ]
    ),
    TEXTS,
)


@settings(
    deadline=None,
    max_examples=75,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(facts=FACTS | ANY, env=ENV, has_driver=st.booleans())
@example(facts={}, env={"OLLAMA_MODELS": " "}, has_driver=False)
@example(facts={"machine": 5}, env=None, has_driver=False)
@example(facts={"read_at": 5}, env=None, has_driver=False)
@example(
    facts={"system": "macos", "mounts": {"/": " "}, "space": {"/": SPACE}},
    env={"HOME": "/"},
    has_driver=False,
)
@example(
    facts={
        "nvml": {
            "gpus": [
                [
                    {
                        "name": "A100",
                        "memory_total_bytes": 2**40,
                        "part_of_bytes": 1,
                        "bus_width_bits": 2**16,
                        "memory_clock_mhz": 10**5,
                    }
                ]
            ]
        }
    },
    env=None,
    has_driver=True,
)
def test_any_facts_are_refused_or_give_a_record_that_reads_back(
    facts: Any, env: Any, has_driver: bool, tmp_path: Path
) -> None:
    """Whatever JSON the file holds: no other error, and no record that `--machine` refuses."""
    folder = tree(tmp_path, facts, env)
    (tmp_path / "env.json").write_text(json.dumps(env or {}))
    device = tmp_path / "dev" / "nvidia0"
    device.parent.mkdir(exist_ok=True)
    device.unlink(missing_ok=True)
    if has_driver:
        device.write_text("")
    try:
        machine = read_machine(RecordedHost(folder))
    except MachineFileError:
        return
    assert not any("failed" in entry.reason for entry in machine.unread)
    lawful(machine)
