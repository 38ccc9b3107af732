"""`--anonymize`: names of machines are in no report, and cannot be looked up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.paths import DATA
from selfhost.audit.anonymize import Pseudonyms
from selfhost.cli.main import main
from selfhost.core.errors import Problem

NODES = DATA / "fleet" / "kubernetes" / "nodes_list_4.json"


@pytest.mark.parametrize(
    ("problem", "hidden"),
    [
        # `ansible --tree` writes one file a host
        (Problem(file="facts/web-1.example.org", message="is not text"), "web-1"),
        (Problem(file="here/in/web-1.json", message="is of there/web-2.json:3"), "web"),
        (Problem(file="f", message="web-1 is not judged: Slurm calls it DOWN"), "web-1"),
        (Problem(file="f", message='"web-1" is also the name of another machine'), "web-1"),
        (Problem(file="facts/b", message="the machine in facts/fin dc1-host01:37"), "dc1"),
    ],
)
def test_a_problem_names_no_machine(problem: Problem, hidden: str) -> None:
    """Neither a file that is called as a host, nor a machine that was not judged."""
    names = Pseudonyms(["web-1"])
    shown = names.problem(problem, "facts", "here", "there/", "here/in")
    assert hidden not in f"{shown.file} {shown.message}"
    assert shown.file.rpartition("/")[0] == problem.file.rpartition("/")[0]


@pytest.mark.parametrize("form", ["text", "json", "jsonl", "junit"])
def test_no_report_holds_a_name(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Selectors still see the real names; reports show hashes, the same throughout."""
    policy = tmp_path / "audit.toml"
    policy.write_text('schema = 1\n[[model]]\nname = "mistral-7b"\nmachines = ["host:n000*"]\n')
    words = ["audit", str(policy), "--machines", str(NODES), "--anonymize", "--format", form]
    assert main(words) == 3
    report = capsys.readouterr().out
    for name in ("n00000", "n00003", "n00007", "n00014"):
        assert name not in report
    assert "machine-" in report
    if form == "json":
        assert json.loads(report)["results"]["unknown"] == 4


def test_an_anonymous_report_is_no_baseline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its names are of a key that no other run has; one with the names is a baseline of both kinds of run."""
    policy = tmp_path / "audit.toml"
    policy.write_text('schema = 1\n[[model]]\nname = "mistral-7b"\nmachines = ["host:n000*"]\n')
    words = ["audit", str(policy), "--machines", str(NODES)]
    hashed, named = tmp_path / "hashed.jsonl", tmp_path / "named.jsonl"
    assert main([*words, "--anonymize", "--format", f"jsonl={hashed}"]) == 3
    assert main([*words, "--format", f"jsonl={named}"]) == 3
    capsys.readouterr()
    for more in ((), ("--anonymize",)):
        assert main([*words, *more, "--baseline", str(hashed)]) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        assert "--anonymize" in shown.err
        assert "new since" not in shown.err
        assert main([*words, *more, "--baseline", str(named), "--format", "json"]) == 0
        report = capsys.readouterr().out
        assert json.loads(report)["baseline"]["unchanged"] == 4
        assert ("n00000" in report) == (not more)
