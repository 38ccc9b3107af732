"""`check` of many models in one command."""

from __future__ import annotations

import json

import pytest

from selfhost.cli.main import main

KNOWN = [
    "gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "qwen3-0.6b", "qwen3-1.7b", "qwen3-4b",
    "qwen3-8b", "phi-4", "bge-m3", "gpt-4o", "mistral-7b", "tinyllama", "gemma-3-4b-it",
    "gemma-3-12b-it", "llama3.2:1b", "llama3.1:8b", "whisper-large-v3", "whisper-small",
    "whisper-base", "whisper-tiny", "llama-3.1-405b-instruct",
]  # fmt: skip
MACHINE = ("--machine", "desktop-rtx4060-8gb")


def test_many_models_are_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    """A row a model, the one that is too large too, instead of 22 answers."""
    assert main(["check", *KNOWN, *MACHINE]) == 1
    written = capsys.readouterr().out
    assert f"of {len(KNOWN)} models run" in written.splitlines()[0]
    assert written.count("gemma-3-12b-it  ") == 1
    crosses = [line for line in written.splitlines() if line.startswith("✗")]
    assert any("llama-3.1-405b-instruct" in row for row in crosses)


def test_wrong_names_among_many_are_told_behind_the_answer(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A slip in one of 23 names costs none of the other answers."""
    assert main(["check", "no-such-model-9", *KNOWN, *MACHINE]) == 2
    captured = capsys.readouterr()
    assert "1 could not be judged" in captured.out
    assert "no-such-model-9" in captured.err


def test_a_document_for_a_program_stays_one(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON of many models is one value, in the order in which they were typed."""
    main(["check", *KNOWN, *MACHINE, "--json"])
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "selfhost.verdicts/1"
    assert [each["asked"] for each in document["verdicts"]] == KNOWN


def test_near_names_of_many_wrong_names_are_looked_for_where_they_are_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from selfhost.catalogue import searching

    searched: list[str] = []
    find = searching.near_names

    def counted(typed: str, *args: object) -> tuple[str, ...]:
        searched.append(typed)
        return find(typed, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(searching, "near_names", counted)
    names = [f"mistrl-{number}" for number in range(100)]
    assert main(["check", *names]) == 2
    assert "has 80 more faults" in capsys.readouterr().err
    assert len(searched) <= 20
