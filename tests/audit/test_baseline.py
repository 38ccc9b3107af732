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
from selfhost.audit.baseline import Baseline, read_baseline
from selfhost.audit.rows import Audit
from selfhost.cli import main as cli
from selfhost.core.errors import Problem
from selfhost.judge.checks import Outcome

ONE = '[[model]]\nname = "x"\n'
# what a machine finds, as words: "disk" fails, "disk?" is unknown
Findings = Mapping[str, str]


def audit(
    found: Findings, text: str = ONE, baseline: Baseline | None = None, **more: Any
) -> Audit:
    """One model on the machines that are named, with these findings."""
    table = {
        ("x", name): {
            word.rstrip("?"): Outcome.UNKNOWN if word.endswith("?") else Outcome.FAIL
            for word in words.split()
        }
        for name, words in found.items()
    }
    return audits.audit(text, list(found), table, baseline=baseline, **more)


def kept(made: Audit, folder: Path) -> Baseline:
    """The audit as a report that is read again."""
    path = folder / "before.jsonl"
    path.write_text(audits.as_lines(made), encoding="utf-8")
    return read_baseline(str(path))


@pytest.mark.parametrize(
    ("before", "now", "change", "code"),
    [
        ("", "", None, 0),
        ("disk", "disk", None, 0),
        ("disk?", "disk?", None, 0),
        ("", "disk", "new", 1),
        ("", "disk?", "new", 3),
        ("disk?", "disk", "new", 1),
        ("disk", "disk memory", "new", 1),
        ("disk memory", "disk", "changed", 0),
        ("disk", "disk?", "changed", 0),
        ("disk", "", "fixed", 0),
        ("disk?", "", "fixed", 0),
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
    value = audits.as_json(made)
    validate(value, "audit-1")
    counts = {
        key: value["baseline"][key] for key in ("new", "fixed", "changed", "unchanged")
    }
    expected = dict.fromkeys(counts, 0) | {change or "unchanged": 1}
    assert counts == expected
    assert value["exit_code"] == code
    root = ElementTree.fromstring(render("junit", made))
    assert (int(root.get("failures", "0")), int(root.get("errors", "0"))) == (
        int(code == 1),
        int(code == 3),
    )


def test_a_machine_that_is_gone_is_never_green(tmp_path: Path) -> None:
    """No answer was given for it: exit 2, in every format that lists what could not be judged;
    unless it is told already.
    """
    before = kept(audit({"a": "", "gone": ""}), tmp_path)
    made = audit({"a": ""}, baseline=before)
    assert made.exit_code == 2
    assert [problem.message.partition(" ")[0] for problem in made.problems] == ["gone"]
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
    assert (group.names, group.row.machine, group.row.change) == (("m1",), "m1", "new")


def test_each_group_shows_a_machine_of_its_own(tmp_path: Path) -> None:
    """Machines that fare alike today are in two groups where they changed otherwise since. Either
    shows what one of its own machines lacks: the second machine of a made audit lacks 2 GiB.
    """
    before = kept(audit({"m1": "", "m2": "memory disk"}), tmp_path)
    first, second = audit({"m1": "memory", "m2": "memory"}, baseline=before).groups
    assert (first.names, first.row.machine, first.row.change) == (("m1",), "m1", "new")
    assert second.names == ("m2",)
    assert (second.row.machine, second.row.change) == ("m2", "changed")
    (missing,) = [found for found in second.row.findings if found.decides]
    assert missing.short == 2 * GIB


ROW = {"machine": "a", "label": "x", "result": "pass", "failed": []}


def line(**changes: object) -> str:
    return json.dumps(
        {key: value for key, value in (ROW | changes).items() if value != "-"}
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "before: is empty"),
        ("[1]", "before:1: is not a row of an audit"),
        (
            line() + "\n" + line(result="good"),
            "before:2: is not a row of an audit: result must be one of pass, fail",
        ),
        (line() + "\n" + line(machine=3), "machine and label must be names"),
        (line() + "\n" + line(failed="disk"), "before:2: is not a row of an audit"),
        ('{"schema": "selfhost.audit/1"}', "before:1: is not a row of an audit"),
        ('{"a": ' * 5_000 + "1" + "}" * 5_000, "is nested too deeply"),
        ("caf\xe9".encode("latin-1"), "before: is not text"),
    ],
)
def test_a_wrong_baseline_is_no_answer(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: str | bytes,
    expected: str,
) -> None:
    """Exit 2 with the file, its line and the key, before anything is judged; nothing on standard
    output.
    """
    monkeypatch.chdir(tmp_path)
    Path("audit.toml").write_text(
        'schema = 1\n[[model]]\nname = "gpt2"\n', encoding="utf-8"
    )
    Path("before").write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )
    assert (
        cli.main(
            [
                "audit",
                "--machines",
                str(RECORDS / "vm-24gib.json"),
                "--baseline",
                "before",
            ]
        )
        == 2
    )
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
    Path("audit.toml").write_text(
        'schema = 1\n[[model]]\nname = "llama-3.1-405b"\n', "utf-8"
    )
    words = ["audit", "--machines", str(RECORDS / "vm-24gib.json")]
    assert cli.main([*words, "--format", "jsonl=before.jsonl"]) == 1
    capsys.readouterr()
    assert cli.main([*words, "--baseline", "before.jsonl"]) == 0
    assert "nothing changed" in capsys.readouterr().out
    # no report goes over the file that it is held against
    assert (
        cli.main(
            [*words, "--baseline", "before.jsonl", "--format", "jsonl=before.jsonl"]
        )
        == 2
    )


def test_of_many_machines_that_are_gone_the_first_are_told_and_the_others_counted(
    tmp_path: Path,
) -> None:
    path = tmp_path / "before.jsonl"
    rows = [{"machine": f"m{number}", "label": "x", "result": "pass", "failed": []}
            for number in range(5_000)]  # fmt: skip
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    made = audit({"m7": ""}, baseline=read_baseline(str(path)))
    first, *_, last = made.problems
    assert first.message.startswith("m0 is not judged")
    assert (last.unlisted, last.message) == (4_979, "has 4,979 more faults, not listed")
    assert made.exit_code == 2
