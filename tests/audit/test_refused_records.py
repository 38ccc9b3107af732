"""Many records that are refused: a person is told how many of which file and for which reasons, a
program each of the first.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from helpers.paths import RECORDS
from helpers.written import run
from selfhost.audit import machines
from selfhost.audit.machines import Fleet, load_machines
from selfhost.core.errors import MAX_PROBLEMS

GIB = 2**30
POLICY = 'schema = 1\n[[model]]\nname = "gpt2"\n'
REFUSED = 1_500


def record(name: str, **facts: object) -> dict[str, object]:
    """A record of a machine."""
    return {"schema": "selfhost.machine/1", "name": name, **facts}


def with_text_as_memory(number: int) -> dict[str, object]:
    """A record that is refused."""
    return record(f"m-{number}", memory_total_bytes="lots")


def told(fleet: Fleet) -> list[str]:
    """What a person is told, without the folder and what to do."""
    lines = []
    for problem in fleet.grouped:
        named = problem.replace(file=Path(problem.file).name, remedy=None)
        lines.append(str(named))
    return lines


def loaded(folder: Path, **files: Sequence[object]) -> Fleet:
    """The fleet of these files, each a list of records."""
    for name, records in files.items():
        (folder / f"{name}.json").write_text(json.dumps(records), encoding="utf-8")
    return load_machines(str(folder))


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An audit of a file of 1,500 records that are refused, a third of them for another reason,
    and of two good files.
    """
    monkeypatch.chdir(tmp_path)
    good = json.loads((RECORDS / "vm-24gib.json").read_text())
    bad: list[object] = []
    for number in range(REFUSED):
        if number % 3:
            bad.append(with_text_as_memory(number))
        else:
            bad.append(record(f"m-{number}", memory_total_bytes=-1))
    contents = {
        "a": {**good, "name": "a"},
        "bad": bad,
        "b": {**good, "name": "b"},
    }
    for name, content in contents.items():
        Path(f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    Path("audit.toml").write_text(POLICY, encoding="utf-8")
    files = ("--machines", "a.json", "--machines", "bad.json", "--machines", "b.json")
    return ["audit", *files]


def test_a_person_reads_first_how_many_are_refused_and_why(
    words: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The good files are judged all the same."""
    code, out, err = run(capsys, *words)
    assert code == 2
    assert "2 machines" in out
    assert "because of 1,500 faults" in out
    lines = [line for line in err.splitlines() if line.startswith("error:")]
    assert lines[0] == "error: bad.json: all 1,500 records that were read are refused"
    assert lines[1].startswith("error: bad.json: [1].memory_total_bytes: ")
    assert lines[1].endswith("; the same in 999 more records")
    assert lines[2].startswith("error: bad.json: [0].memory_total_bytes: ")
    assert lines[2].endswith("; the same in 499 more records")
    assert len(lines) == 3


@pytest.mark.parametrize("form", ["json", "jsonl", "sarif", "junit"])
def test_a_program_reads_each_of_the_first(
    words: Sequence[str], capsys: pytest.CaptureFixture[str], form: str
) -> None:
    run(capsys, *words, f"--format={form}=report")
    report = Path("report").read_text(encoding="utf-8")
    assert "more record" not in report
    if form == "jsonl":
        # it has rows where something was judged
        return
    for number in range(MAX_PROBLEMS):
        assert f"[{number}].memory_total_bytes" in report
    assert f"[{MAX_PROBLEMS}]" not in report
    assert "has 1,480 more faults, not listed" in report


def test_json_on_standard_error_reads_as_the_report(
    words: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, *words, "--json")
    assert code == 2
    problems = json.loads(err)["problems"]
    assert problems == json.loads(out)["problems"]
    assert len(problems) == MAX_PROBLEMS + 1


@pytest.mark.parametrize("form", ["text", "markdown", "html", "github"])
def test_reports_for_people_group_them(
    words: Sequence[str], capsys: pytest.CaptureFixture[str], form: str
) -> None:
    run(capsys, *words, f"--format={form}=report")
    report = Path("report").read_text(encoding="utf-8")
    first = report.index("all 1,500 records that were read are refused")
    assert first < report.index("the same in 999 more records")
    assert report.count("bad.json") == 3


@pytest.mark.parametrize(
    ("records", "lines"),
    [
        pytest.param(
            [record("a"), with_text_as_memory(1)],
            ['f.json: [1].memory_total_bytes: must be a whole number, not the string "lots"'],
            id="one refused",
        ),
        pytest.param(
            [record("a"), record("a"), record("b"), record("b")],
            [
                "f.json: 2 of the 4 records that were read are refused",
                'f.json: [1].name: "a" is also the name of the machine in FILE; the same in'
                " 1 more record",
            ],
            id="names of others",
        ),
        pytest.param(
            [with_text_as_memory(0), record("b", memory_total_bytes="much")],
            [
                "f.json: all 2 records that were read are refused",
                'f.json: [0].memory_total_bytes: must be a whole number, not the string "lots"',
                'f.json: [1].memory_total_bytes: must be a whole number, not the string "much"',
            ],
            id="two reasons",
        ),
    ],
)  # fmt: skip
def test_equal_reasons_are_one(
    tmp_path: Path, records: Sequence[object], lines: Sequence[str]
) -> None:
    fleet = loaded(tmp_path, f=records)
    path = str(tmp_path / "f.json")
    assert [line.replace(path, "FILE") for line in told(fleet)] == lines


def test_equal_faults_of_many_files_are_one(tmp_path: Path) -> None:
    """A folder has a file for each host, as `ansible --tree` writes them."""
    for number in range(30):
        record_of_host = json.dumps(with_text_as_memory(number))
        (tmp_path / f"a{number:02d}.json").write_text(record_of_host, encoding="utf-8")
        (tmp_path / f"b{number:02d}.json").write_text("", encoding="utf-8")
    fleet = load_machines(str(tmp_path))
    assert told(fleet) == [
        "b00.json: is empty; the same in 29 more files",
        'a00.json: memory_total_bytes: must be a whole number, not the string "lots"; the same'
        " in 29 more records",
    ]
    assert sum(problem.faults for problem in fleet.grouped) == 60


def test_each_file_with_refused_records_is_named_before_any_reason(
    tmp_path: Path,
) -> None:
    """A file with many reasons hides no other."""
    many = [
        record(f"m-{number}", memory_total_bytes=f"{number} GB") for number in range(30)
    ]
    few = [with_text_as_memory(0), with_text_as_memory(1), record("good")]
    fleet = loaded(tmp_path, a=many, b=few)
    lines = told(fleet)
    assert lines[:2] == [
        "a.json: all 30 records that were read are refused",
        "b.json: 2 of the 3 records that were read are refused",
    ]
    assert len(lines) == MAX_PROBLEMS + 1
    # 32 faults, of which 18 lines tell 19: the reason of two records comes first
    assert fleet.grouped[-1].message == "has 13 more faults, not listed"


def test_several_processes_tell_the_same_reasons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [with_text_as_memory(number) for number in range(12)]
    alone = loaded(tmp_path, f=records)
    monkeypatch.setattr(machines, "_READ_ALONE", 0)
    monkeypatch.setattr(machines, "_BATCH_RECORDS", 2)
    together = load_machines(str(tmp_path), processes=2)
    assert together.grouped == alone.grouped
    assert together.problems == alone.problems
    assert len(alone.grouped) == 2


def test_a_file_that_is_read_no_further_says_so_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machines, "MAX_FAULTY", 5)
    fleet = loaded(tmp_path, f=[with_text_as_memory(number) for number in range(20)])
    lines = told(fleet)
    assert lines[0] == "f.json: holds more than 5 faults"
    assert lines[1] == "f.json: all 6 records that were read are refused"
    assert lines[2].endswith("; the same in 5 more records")
    assert len(lines) == 3
