"""`--anonymize`: names of machines are in no report, and cannot be looked up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.paths import DATA
from selfhost.audit.anonymize import Pseudonyms
from selfhost.audit.policy import read_policy
from selfhost.cli.main import main
from selfhost.core.tomlfile import Document
from selfhost.machine.record import Machine

NODES = DATA / "fleet" / "kubernetes" / "nodes_list_4.json"


def test_selectors_take_the_same_machines() -> None:
    """A name, a glob and a label select by what the machine is really called."""
    text = 'schema = 1\n[[model]]\nname = "gpt2"\nmachines = [{}]\n'
    machines = [Machine(name=name, labels={"slurm.host": "vm"}) for name in ("web-1", "db-1")]
    for selectors, taken in {
        '"host:web-1"': [True, False],
        '"host:web-*"': [True, False],
        '"host:*-1"': [True, True],
        '"label:slurm.host=v*"': [False, False],
        '"host:mail-*"': [False, False],
    }.items():
        names = Pseudonyms(["web-1", "db-1"])
        document = Document.parse("audit.toml", text.format(selectors).encode())
        policy = names.policy(read_policy(document))
        selected = [
            policy.selects(policy.models[0].machines, names.machine(machine))
            for machine in machines
        ]
        # the name of a host in a label is hidden, too
        assert selected == taken, selectors
        assert "web" not in str(names.machine(machines[0]))
        assert "vm" not in str(names.machine(machines[0]))


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


def test_hashed_names_and_a_baseline_do_not_go_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are of a key that no other run has: such a baseline tells of no machine here, and is never green."""
    policy, hashed = tmp_path / "audit.toml", tmp_path / "hashed.jsonl"
    policy.write_text('schema = 1\n[[model]]\nname = "mistral-7b"\nmachines = ["host:n000*"]\n')
    words = ["audit", str(policy), "--machines", str(NODES)]
    assert main([*words, "--anonymize", "--format", f"jsonl={hashed}"]) == 3
    assert main([*words, "--baseline", str(hashed)]) == 2
    capsys.readouterr()
    assert main([*words, "--anonymize", "--baseline", str(hashed)]) == 2
    assert "--anonymize" in capsys.readouterr().err
