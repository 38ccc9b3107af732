"""`--anonymize`: names of machines are in no report, and cannot be looked up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.paths import DATA
from selfhost.audit.anonymize import Pseudonyms, anonymous
from selfhost.cli.main import main
from selfhost.core.errors import Problem

NODES = DATA / "fleet" / "kubernetes" / "nodes_list_4.json"


def test_one_run_calls_a_machine_the_same_and_another_run_does_not() -> None:
    """The key is made for the run: nobody finds a name by hashing candidates."""
    first, second = Pseudonyms(["web-1", "web-2"]), Pseudonyms(["web-1", "web-2"])
    assert first.of("web-1") == first.of("web-1")
    assert first.of("web-1") != first.of("web-2")
    assert first.of("web-1") != second.of("web-1")


def test_names_are_replaced_within_texts_and_words_are_not() -> None:
    """A name stands between quotes, before a full stop, behind a colon or in a path; `n1` is not in `n10`."""
    names = Pseudonyms(["n1", "vm/92d9bd2f", "my laptop"], key=b"k")
    hashed = names.of("n1")
    text = 'n1: "n1" is in host:n1 and dir/n1.json, not in n10 or in1. See n1.'
    assert names.in_text(text) == text.replace("n1:", f"{hashed}:", 1).replace(
        '"n1"', f'"{hashed}"'
    ).replace("host:n1", f"host:{hashed}").replace("See n1.", f"See {hashed}.")
    assert "laptop" not in names.in_text("my laptop has too little")
    assert "92d9" not in names.in_text("vm/92d9bd2f: too small")


def test_a_problem_names_no_file_that_is_called_as_a_host() -> None:
    """`ansible --tree` writes one file a host."""
    problem = Problem(file="facts/web-1.example.org", message="is not text")
    shown = anonymous(problem, Pseudonyms([]), "facts").file
    assert shown.startswith("facts/file-")
    assert "web-1" not in shown


def test_files_of_several_folders_are_hidden() -> None:
    """The folders of a repeated --machines; one may lie in another."""
    problem = Problem(file="here/in/web-1.json", message='is also "x" of there/web-2.json:3')
    shown = anonymous(problem, Pseudonyms([]), "here", "there/", "here/in")
    assert shown.file.startswith("here/in/file-")
    assert "there/file-" in shown.message
    assert "web" not in f"{shown.file} {shown.message}"


def test_a_file_named_within_a_message_is_hidden() -> None:
    """A duplicate names the file of the other machine, which may be called as its host."""
    names = Pseudonyms(["vm"], key=b"k")
    problem = Problem(
        file="facts/b", message='"vm" is also the name of the machine in facts/fin dc1-host01:37'
    )
    message = anonymous(problem, names, "facts").message
    assert "dc1" not in message
    other = names.in_file("facts/fin dc1-host01", "facts")
    assert message.endswith(f"in {other}:37"), message


def test_a_machine_that_was_not_judged_is_hidden() -> None:
    """It is no machine of the audit, but its name is in the fault."""
    problem = Problem(file="nodes.json", message="web-1 is not judged: Slurm calls it DOWN")
    message = anonymous(problem, Pseudonyms([]), "nodes.json").message
    assert "web-1" not in message
    assert message.endswith(" is not judged: Slurm calls it DOWN")


def test_a_machine_called_as_a_word_does_not_garble_sentences() -> None:
    """Sentences and commands stay whole, so that nobody reads the name off what was replaced."""
    names = Pseudonyms(["memory", "GiB", "salt", "llama.cpp", "8"], key=b"k")
    sentence = "It needs 8 GiB of memory; run `salt '*' x`, or llama.cpp."
    assert names.in_text(sentence) == sentence
    for text, name in {
        "It needs 8 GiB of memory; memory can give 7 GiB.": "memory",
        "It needs 8 GiB; GiB (limited to 7 GiB of 8 GiB) can give 7 GiB.": "GiB",
        "llama.cpp was not found on salt.": "salt",
        '"memory" is also the name of another machine': "memory",
    }.items():
        assert names.of(name) in names.in_text(text), text
        assert names.in_text(text).count("machine-") == 1, text


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
