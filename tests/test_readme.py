"""The README is true: its commands run, its table of codes is the code's, the paths it names exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.paths import RECORDS, ROOT
from selfhost.cli import main as cli
from selfhost.cli.texts import EXIT_CODES
from selfhost.verdict.findings import CHECKS, CODES

README = (ROOT / "README.md").read_text(encoding="utf-8")
RECORD = RECORDS / "vm-24gib.json"


def blocks(language: str, heading: str) -> list[str]:
    section = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    assert section, heading
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


COMMANDS = [
    line.partition("#")[0].strip() for block in blocks("sh", "Use") for line in block.splitlines()
]


def test_there_are_commands() -> None:
    """The section with the commands is there and has some."""
    assert len(COMMANDS) >= 8


def test_commands_of_the_use_section(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each line runs in its order, is understood, and ends with an answer."""
    monkeypatch.chdir(tmp_path)
    for command in COMMANDS:
        line, _, target = command.partition(" > ")
        words = [
            str(ROOT / word) if word.startswith("examples/") else word
            for word in shlex.split(line)[1:]
        ]
        code = cli.main(words)
        out, err = capsys.readouterr()
        assert code in (0, 1, 3), f"{command}: {err}"
        assert out
        if target:
            Path(target.strip()).write_text(out, encoding="utf-8")


def test_python_block(source_environment: dict[str, str]) -> None:
    """The library example runs as pasted."""
    (code,) = blocks("python", "In a program")
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=source_environment,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(("local", "api", "unknown", "neither"))


def test_reason_codes_are_the_codes() -> None:
    """The table lists every code under its check, and none beyond."""
    rows = dict(re.findall(r"^\| (\w+) \| ((?:`[a-z-]+` ?)+)\|$", README, re.MULTILINE))
    assert set(rows) == set(CHECKS)
    for check, text in rows.items():
        assert set(re.findall(r"`([a-z-]+)`", text)) == {
            code for code in CODES if code.startswith(f"{check}-")
        }


def test_exit_codes_are_those_of_the_help() -> None:
    """README and --help state the same codes."""
    listed = set(re.findall(r"^\| (\d+)", README, re.MULTILINE))
    assert set(re.findall(r"^  (\d)  ", EXIT_CODES, re.MULTILINE)) <= listed | {"0"}
    assert {"0", "1", "2", "3", "70"} <= listed


def test_install_and_test_commands_are_the_ones_that_ci_runs() -> None:
    """.ci/run installs what the README installs and calls the same test command."""
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert (
        "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/selfhost check mistral-7b"
        in README
    )
    assert "pip install -e '.[test]' && .venv/bin/python -m pytest -n auto" in README
    assert "-e '.[test]'" in ci
    assert "-m pytest -n auto" in ci


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_named_paths_exist(document: str) -> None:
    """A path in backquotes that starts with a folder of this project is there."""
    text = (ROOT / document).read_text(encoding="utf-8")
    for path in re.findall(r"`((?:selfhost|specs|tests|examples|benchmarks|\.ci)/[\w./-]*)`", text):
        assert (ROOT / path).exists(), f"{document} names {path}"


def test_one_page() -> None:
    """The README stays short enough to be read."""
    assert len(README.splitlines()) <= 130
