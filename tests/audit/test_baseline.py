"""`--baseline`: what changed since an earlier audit, and nothing else; the exit code follows what
is newly wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from helpers import audits
from helpers.audits import GIB, render
from helpers.paths import RECORDS
from helpers.written import validate
from selfhost.audit.baseline import Baseline, RowResult, read_baseline
from selfhost.audit.rows import Audit, Result
from selfhost.cli import main as cli
from selfhost.core.errors import Problem
from selfhost.judge.checks import Outcome
from selfhost.machine.record import Machine

AUDIT_VM = ["audit", "--machines", str(RECORDS / "vm-24gib.json")]
ONE = '[[model]]\nname = "x"\n'
# what a machine finds, as words: "disk" fails, "disk?" is unknown
Findings = Mapping[str, str]


def outcomes_of(words: str) -> dict[str, Outcome]:
    """The outcome of each check that does not pass."""
    outcomes = {}
    for word in words.split():
        outcome = Outcome.UNKNOWN if word.endswith("?") else Outcome.FAIL
        outcomes[word.rstrip("?")] = outcome
    return outcomes


def audit(
    found: Findings, text: str = ONE, baseline: Baseline | None = None, **more: Any
) -> Audit:
    """One model on the machines that are named, with these findings."""
    table = {("x", name): outcomes_of(words) for name, words in found.items()}
    return audits.audit(text, list(found), table, baseline=baseline, **more)


def kept(made: Audit, folder: Path) -> Baseline:
    """The audit as a report that is read again."""
    path = folder / "before.jsonl"
    path.write_text(audits.as_lines(made), encoding="utf-8")
    return read_baseline(str(path))


@pytest.mark.parametrize(
    ("before", "now", "change", "code"),
    [
        pytest.param("", "", None, 0, id="still passes"),
        pytest.param("disk", "disk", None, 0, id="still fails"),
        pytest.param("disk?", "disk?", None, 0, id="still unknown"),
        pytest.param("", "disk", "new", 1, id="fails now"),
        pytest.param("", "disk?", "new", 3, id="is unknown now"),
        pytest.param("disk?", "disk", "new", 1, id="unknown fails now"),
        pytest.param("disk", "disk memory", "new", 1, id="more fails now"),
        pytest.param("disk memory", "disk", "changed", 0, id="less fails now"),
        pytest.param("disk", "disk?", "changed", 0, id="a failure is unknown now"),
        pytest.param("disk", "", "fixed", 0, id="a failure passes now"),
        pytest.param("disk?", "", "fixed", 0, id="unknown passes now"),
    ],
)
def test_what_changed(
    tmp_path: Path, before: str, now: str, change: str | None, code: int
) -> None:
    """What is no worse than before does not fail the audit; what is newly wrong does, as it would
    without a baseline.
    """
    made = audit({"a": now}, baseline=kept(audit({"a": before}), tmp_path))
    assert made.exit_code == code
    assert [row.change for row in made.rows] == ([] if change is None else [change])
    report = audits.as_json(made)
    validate(report, "audit-1")
    assert report["exit_code"] == code
    for kind in ("new", "fixed", "changed", "unchanged"):
        expected = 1 if kind == (change or "unchanged") else 0
        assert report["baseline"][kind] == expected, kind
    root = ElementTree.fromstring(render("junit", made))
    assert root.get("failures", "0") == ("1" if code == 1 else "0")
    assert root.get("errors", "0") == ("1" if code == 3 else "0")


def test_a_machine_that_is_gone_is_never_green(tmp_path: Path) -> None:
    """No answer was given for it: exit 2, in every format that lists what could not be judged;
    unless it is told already.
    """
    before = kept(audit({"a": "", "gone": ""}), tmp_path)
    made = audit({"a": ""}, baseline=before)
    assert made.exit_code == 2
    (problem,) = made.problems
    assert problem.message.startswith("gone ")
    for name in ("text", "json", "markdown", "html", "junit", "github", "sarif"):
        assert "gone is not judged" in str(render(name, made)), name
    told = Problem(file="f", message="gone is not judged: Kubernetes calls it NotReady")
    assert audit({"a": ""}, baseline=before, problems=[told]).problems == (told,)
    # it is there, and nothing is wanted of it any more
    text = ONE + 'machines = ["host:a"]\n'
    assert audit({"a": "", "gone": ""}, text, before).exit_code == 0


def test_figures_are_those_of_a_machine_that_changed(tmp_path: Path) -> None:
    """Of machines that fare alike the one that is newly wrong, not the one that lacks most."""
    before = kept(audit({"m1": "", "m2": "memory"}), tmp_path)
    (group,) = audit({"m1": "memory", "m2": "memory"}, baseline=before).groups
    assert group.names == ("m1",)
    assert group.row.machine == "m1"
    assert group.row.change == "new"


def test_each_group_shows_a_machine_of_its_own(tmp_path: Path) -> None:
    """Machines that fare alike today are in two groups where they changed otherwise since. Either
    shows what one of its own machines lacks: the second machine of a made audit lacks 2 GiB.
    """
    before = kept(audit({"m1": "", "m2": "memory disk"}), tmp_path)
    first, second = audit({"m1": "memory", "m2": "memory"}, baseline=before).groups
    assert first.names == ("m1",)
    assert first.row.machine == "m1"
    assert first.row.change == "new"
    assert second.names == ("m2",)
    assert second.row.machine == "m2"
    assert second.row.change == "changed"
    (missing,) = [found for found in second.row.findings if found.decides]
    assert missing.short == 2 * GIB


@pytest.mark.parametrize("names", [("m1", "m2"), ("m1",)], ids=["two", "one"])
@pytest.mark.parametrize(
    ("before", "change", "code"),
    [
        pytest.param("", "new", 1, id="new"),
        pytest.param("memory disk", "changed", 0, id="changed"),
    ],
)
def test_each_machine_of_a_group_changed_as_the_group(
    tmp_path: Path, before: str, change: str, code: int, names: tuple[str, ...]
) -> None:
    """The row of one machine has its own figures, and counts as that of its group does."""
    earlier = kept(audit(dict.fromkeys(names, before)), tmp_path)
    made = audit(dict.fromkeys(names, "memory"), baseline=earlier)
    (group,) = made.groups
    assert made.row_on is not None
    for place, name in enumerate(names):
        row = made.row_on(group, place)
        assert (row.machine, row.change, row.exit_code) == (name, change, code)
        (missing,) = [found for found in row.findings if found.decides]
        assert missing.short == (place + 1) * GIB


def test_the_first_machine_that_changed_stands_for_those_that_did(
    tmp_path: Path,
) -> None:
    """Where the machine that lacks most of all, the third, changed otherwise."""
    before = kept(audit({"m1": "", "m2": "", "m3": "memory disk"}), tmp_path)
    found = dict.fromkeys(("m1", "m2", "m3"), "memory")
    new, changed = audit(found, baseline=before).groups
    assert (new.names, new.row.machine) == (("m1", "m2"), "m1")
    assert (changed.names, changed.row.machine) == (("m3",), "m3")


def test_a_machine_that_may_be_of_a_class_now_is_told_by_its_name(
    tmp_path: Path,
) -> None:
    """Both may be, and one was before: what is missing of it is no other machine's."""
    text = ONE + 'machines = ["class:big"]\n[[class]]\nname = "big"\n'
    text += 'match = { memory_total = ">=64GiB" }\n'
    unread = [Machine(name="m1"), Machine(name="m2")]
    before = kept(audits.audit(text, unread[:1]), tmp_path)
    before.rows["x"]["m2"] = RowResult(result=Result.PASS, failed=frozenset())
    (group,) = audits.audit(text, unread, baseline=before).groups
    assert group.names == ("m2",)
    assert group.row.machine == "m2"
    assert group.row.verdict is None
    assert group.row.change == "new"


def test_an_exception_covers_what_changed(tmp_path: Path) -> None:
    """One that is new covers the machine that failed before, and the one that did not."""
    before = kept(audit({"m1": "", "m2": "memory"}), tmp_path)
    text = ONE + audits.exception("x")
    made = audit({"m1": "memory", "m2": "memory"}, text, before)
    results = [(group.names, group.row.result) for group in made.groups]
    assert results == [(("m1",), Result.EXCEPTED), (("m2",), Result.EXCEPTED)]


def test_machines_that_warn_otherwise_do_so_in_what_changed(tmp_path: Path) -> None:
    """What is newly wrong on both is told with what warns on one of them, as without a baseline."""
    before = kept(audit({"m1": "", "m2": ""}), tmp_path)
    both = {"memory": Outcome.FAIL}
    table = {("x", "m1"): both, ("x", "m2"): {**both, "disk": Outcome.WARN}}
    (group,) = audits.audit(ONE, ["m1", "m2"], table, baseline=before).groups
    assert group.row.change == "new"
    assert not group.warns_alike


ROW = {"machine": "a", "label": "x", "result": "pass", "failed": []}


def line(**changes: object) -> str:
    """A row of an audit with other values for some keys."""
    return json.dumps(ROW | changes)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"", "before: is empty", id="empty"),
        pytest.param(b"[1]", "before:1: is not a row of an audit", id="a list"),
        pytest.param(
            f"{line()}\n{line(result='good')}".encode(),
            "before:2: is not a row of an audit: result must be one of pass, fail",
            id="another result",
        ),
        pytest.param(
            f"{line()}\n{line(machine=3)}".encode(),
            "machine and label must be names",
            id="a number as a name",
        ),
        pytest.param(
            f"{line()}\n{line(failed='disk')}".encode(),
            "before:2: is not a row of an audit",
            id="a text as a list",
        ),
        pytest.param(
            b'{"schema": "selfhost.audit/1"}',
            "before:1: is not a row of an audit",
            id="another report",
        ),
        pytest.param(
            b'{"a": ' * 5_000 + b"1" + b"}" * 5_000, "is nested too deeply", id="deep"
        ),
        pytest.param("caf\xe9".encode("latin-1"), "before: is not text", id="no UTF-8"),
    ],
)
def test_a_wrong_baseline_is_no_answer(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: bytes,
    expected: str,
) -> None:
    """Exit 2 with the file, its line and the key, before anything is judged; nothing on standard
    output.
    """
    monkeypatch.chdir(tmp_path)
    policy = 'schema = 1\n[[model]]\nname = "gpt2"\n'
    Path("audit.toml").write_text(policy, encoding="utf-8")
    Path("before").write_bytes(content)
    assert cli.main([*AUDIT_VM, "--baseline", "before"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert expected in err.replace("\n  ", " ")
    assert "Traceback" not in err


def test_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A report of today is tomorrow's baseline: red today, green tomorrow, though nothing was
    mended.
    """
    monkeypatch.chdir(tmp_path)
    policy = 'schema = 1\n[[model]]\nname = "llama-3.1-405b"\n'
    Path("audit.toml").write_text(policy, encoding="utf-8")
    report = ["--format", "jsonl=before.jsonl"]
    baseline = ["--baseline", "before.jsonl"]
    assert cli.main([*AUDIT_VM, *report]) == 1
    capsys.readouterr()
    assert cli.main([*AUDIT_VM, *baseline]) == 0
    assert "nothing changed" in capsys.readouterr().out
    # no report goes over the file that it is held against
    assert cli.main([*AUDIT_VM, *baseline, *report]) == 2


def test_of_many_machines_that_are_gone_the_first_are_told_and_the_others_counted(
    tmp_path: Path,
) -> None:
    """A report of 5,000 lines is read by nobody."""
    path = tmp_path / "before.jsonl"
    lines = [line(machine=f"m{number}") for number in range(5_000)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    made = audit({"m7": ""}, baseline=read_baseline(str(path)))
    first, *_, last = made.problems
    assert first.message.startswith("m0 is not judged")
    assert last.unlisted == 4_979
    assert last.message == "has 4,979 more faults, not listed"
    assert made.exit_code == 2
