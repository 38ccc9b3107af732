"""The board of programs in docs/accuracy.md is what the kept answers score."""

from __future__ import annotations

import subprocess
import sys

import pytest

from helpers.paths import ROOT

PEERS = ROOT / "benchmarks" / "peers"
PAGE = (ROOT / "docs" / "accuracy.md").read_text(encoding="utf-8")


def lines_of(*words: str) -> list[str]:
    """What benchmarks/peers/score.py prints with these options."""
    program = [sys.executable, str(PEERS / "score.py"), *words]
    done = subprocess.run(
        program, capture_output=True, text=True, encoding="utf-8", check=True
    )
    return [line for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize(
    "words",
    [
        pytest.param((), id="tables"),
        pytest.param(("--wrong", "selfhost"), id="what-selfhost-got-wrong"),
    ],
)
def test_the_page_has_what_the_kept_answers_score(words: tuple[str, ...]) -> None:
    """Whoever runs the script sees what the page claims."""
    lines = lines_of(*words)
    assert lines
    for line in lines:
        assert line in PAGE


def test_each_program_has_its_driver_and_its_answers() -> None:
    """And each row of the tables is a program that anybody can ask again."""
    firsts = {line.split(" | ")[0].removeprefix("| ") for line in lines_of()}
    programs = firsts - {"program", "---"}
    kept = {path.stem for path in (PEERS / "answers").glob("*.jsonl")}
    assert programs == kept
    drivers = [path.read_text(encoding="utf-8") for path in PEERS.glob("ask_*")]
    for program in programs:
        assert any(program in text for text in drivers), program
