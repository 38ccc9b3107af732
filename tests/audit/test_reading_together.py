"""Records that several processes read: the same machines and the same faults, in the same order, as
one process gives.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selfhost.audit import machines, processes
from selfhost.audit.machines import Fleet, load_machines

GIB = 2**30


def record(name: str | None, **facts: object) -> str:
    """A record as one line of JSON."""
    return json.dumps(
        {
            "schema": "selfhost.machine/1",
            "name": name,
            "memory_total_bytes": 16 * GIB,
            **facts,
        }
    )


@pytest.fixture(autouse=True)
def _start_interpreters(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest has several threads, and so is never copied."""
    monkeypatch.setattr(processes, "_start_method", lambda: "spawn")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of every form; a fault in most of them."""
    lines = [record(f"a-{number}", cpu_cores_usable=number) for number in range(1, 12)]
    lines[3] = "{"
    lines[7] = record("a-8", memory_total_bytes=-1)
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "b.json").write_text("[1, {}]", encoding="utf-8")
    (tmp_path / "c.json").write_text(record(None), encoding="utf-8")
    same_name = [record("d-1"), record("a-2"), record("d-1"), record(None)]
    (tmp_path / "d.jsonl").write_text("\n".join(same_name), encoding="utf-8")
    (tmp_path / "e.json").write_text('{"schema":\n', encoding="utf-8")
    node = {
        "kind": "Node",
        "status": {"conditions": [{"type": "Ready", "status": "False"}]},
    }
    (tmp_path / "f.json").write_text(json.dumps(node), encoding="utf-8")
    (tmp_path / "g.json").write_text("", encoding="utf-8")
    (tmp_path / "h.json").write_text(record("h"), encoding="utf-8")
    return tmp_path


def said(fleet: Fleet) -> object:
    """All that a fleet says."""
    records = [machine.to_json() for machine in fleet.machines]
    return records, fleet.problems, fleet.down, fleet.notes


def small_batches(patch: pytest.MonkeyPatch, records_in_batch: int) -> None:
    """From the second batch on several processes read, however little there is."""
    patch.setattr(machines, "_READ_ALONE", 0)
    patch.setattr(machines, "_BATCH_RECORDS", records_in_batch)


@pytest.mark.parametrize("records_in_batch", [1, 2, 5])
def test_several_processes_tell_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch, records_in_batch: int
) -> None:
    alone = load_machines(str(folder), str(folder / "h.json"), processes=1)
    small_batches(monkeypatch, records_in_batch)
    together = load_machines(str(folder), str(folder / "h.json"), processes=2)
    assert said(together) == said(alone)


def test_all_faults_of_all_files_are_told_in_their_order(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that an earlier file has is a fault though another process read that file."""
    small_batches(monkeypatch, 2)
    fleet = load_machines(str(folder), processes=2)
    places = [
        (Path(problem.file).name, problem.line, problem.key)
        for problem in fleet.problems
    ]
    assert places == [
        ("a.jsonl", 4, None),
        ("a.jsonl", 8, "memory_total_bytes"),
        ("b.json", None, "[0]"),
        ("b.json", None, "[1]"),
        ("d.jsonl", 2, "name"),
        ("d.jsonl", 3, "name"),
        ("e.json", 2, None),
        ("g.json", None, None),
    ]
    assert [problem.key for problem in fleet.down] == [None]
    names = [name for name in fleet.machines.names if not name.startswith("a-")]
    assert names == ["c", "d-1", "d:4", "h"]


def test_progress_is_told_while_records_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_batches(monkeypatch, 2)
    told: list[float] = []

    def tell(done: float, _total: float | None) -> None:
        told.append(done)

    fleet = load_machines(str(folder), tell=tell, processes=2)
    assert told == list(range(1, len(fleet.machines) + 1))


def test_a_file_of_another_kind_is_read_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files behind it are."""
    small_batches(monkeypatch, 3)
    monkeypatch.setattr(machines, "MAX_FAULTY", 5)
    other_lines = "\n".join(['{"event": 1}'] * 200)
    (tmp_path / "a.jsonl").write_text(other_lines, encoding="utf-8")
    (tmp_path / "b.jsonl").write_text(record("b"), encoding="utf-8")
    fleet = load_machines(str(tmp_path), processes=2)
    assert fleet.machines.names == ["b"]
    assert "holds more than 5 faults" in fleet.problems[0].message
    assert len(fleet.problems) == 7
