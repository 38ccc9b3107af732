"""The README is true: its commands run, its picture is what the program prints, the paths it names exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import pytest

import readme_picture
from helpers.machines import IDS
from helpers.paths import ROOT
from selfhost.cli import main as cli
from selfhost.cli.parser import exit_codes
from selfhost.judge.checks import CHECKS, codes
from selfhost.machine import profiles
from selfhost.reports.check_text import check_document
from selfhost.reports.layout import plain

README = (ROOT / "README.md").read_text(encoding="utf-8")
USAGE = (ROOT / "docs" / "usage.md").read_text(encoding="utf-8")
ANSWERS = (ROOT / "docs" / "answers.md").read_text(encoding="utf-8")


def blocks(language: str, page: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def section(heading: str) -> str:
    text = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    assert text, heading
    return text


def commands(page: str) -> list[str]:
    return [
        line.partition("#")[0].strip()
        for block in blocks("sh", page)
        for line in block.splitlines()
        if line.startswith("selfhost ")
    ]


@pytest.mark.parametrize(
    ("page", "least"), [(section("Use"), 5), (USAGE, 15)], ids=["README", "usage"]
)
@pytest.mark.usefixtures("few_listed")
def test_commands_run(
    page: str,
    least: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each line runs in its order, is understood, and ends with an answer."""
    monkeypatch.chdir(tmp_path)
    assert len(commands(page)) >= least
    for command in commands(page):
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


def test_the_line_for_ci_holds_this_machine_to_the_policy_that_init_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`audit --init`, then the line as pasted: it judges and writes the JUnit file."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(["audit", "--init"]) == 0
    (line,) = commands(section("CI"))
    assert cli.main(shlex.split(line)[1:]) in (0, 1, 3), capsys.readouterr().err
    assert (tmp_path / "selfhost.xml").exists()


def run(environment: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env=environment, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_python_block(source_environment: dict[str, str]) -> None:
    """The library example runs as pasted."""
    out = run(source_environment, "-c", blocks("python", section("Python"))[0])
    assert out.startswith("local RUNS: Mistral 7B Instruct v0.3")


def test_the_marker_works_as_pasted(tmp_path: Path, source_environment: dict[str, str]) -> None:
    """The test of the README is passed or skipped, wherever it runs."""
    (tmp_path / "test_it.py").write_text(blocks("python", section("Python"))[1])
    words = ("-p", "no:cacheprovider", "-p", "selfhost.pytest_plugin", "--strict-markers")
    out = run(source_environment, "-m", "pytest", "--rootdir", str(tmp_path), *words, str(tmp_path))
    assert "1 passed" in out or "1 skipped" in out


@pytest.mark.parametrize("theme", readme_picture.THEMES)
def test_the_picture_holds_what_the_program_prints(theme: str) -> None:
    """The answer and the command to type, drawn again today, are in the committed picture: if not, run tools/readme_picture.py. It is XML that loads nothing."""
    path = readme_picture.path_of(theme)
    assert f"docs/{path.name}" in README
    drawing = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    letters = "".join("".join(drawing.itertext()).split())
    for verdict in readme_picture.verdicts():
        sentence = plain(check_document([verdict])).splitlines()[0]
        for line in (f"selfhost check {verdict.asked}", sentence, *verdict.commands[:1]):
            assert "".join(unescape(line).split()) in letters
    assert not re.search(r"url\(['\"]?http|@import|<script|href", path.read_text(encoding="utf-8"))


def test_reason_codes_are_the_codes() -> None:
    """The table lists every code under its check, and none beyond."""
    rows = dict(re.findall(r"^\| (\w+) \| ((?:`[a-z-]+` ?)+)\|$", ANSWERS, re.MULTILINE))
    assert set(rows) == set(CHECKS)
    for check, text in rows.items():
        assert set(re.findall(r"`([a-z-]+)`", text)) == {
            code for code in codes() if code.startswith(f"{check}-")
        }


def test_the_numbers_are_no_boast() -> None:
    """As many models and machines as the first screen says, or more."""
    (numbers,) = re.findall(r"more than ([\d,]+) models and ([\d,]+) machines", README)
    models, machines = (int(number.replace(",", "")) for number in numbers)
    assert len(IDS) >= models
    assert len(profiles.names()) >= machines


def test_exit_codes_are_those_of_the_help() -> None:
    """README and --help state the same codes."""
    listed = set(re.findall(r"^\| (\d+)", README, re.MULTILINE))
    assert set(re.findall(r"^  (\d)  ", exit_codes("check"), re.MULTILINE)) <= listed | {"0"}
    assert {"0", "1", "2", "3", "70"} <= listed


def test_install_and_test_commands_are_the_ones_that_ci_runs() -> None:
    """.ci/run installs what CONTRIBUTING.md installs and calls the same test command."""
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert (
        "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/selfhost check mistral-7b"
        in README
    )
    assert "pip install -e '.[test]' && .venv/bin/python -m pytest -n auto" in contributing
    assert "-e '.[test]'" in ci
    assert "-m pytest -n auto" in ci


@pytest.mark.parametrize(
    "document", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/usage.md", "docs/answers.md"]
)
def test_named_paths_exist(document: str) -> None:
    """A path in backquotes that starts with a folder of this project is there."""
    text = (ROOT / document).read_text(encoding="utf-8")
    for path in re.findall(
        r"`((?:selfhost|specs|tests|examples|benchmarks|docs|tools|\.ci)/[\w./-]*)`", text
    ):
        assert (ROOT / path).exists(), f"{document} names {path}"


def test_one_page() -> None:
    """The README stays short enough to be read."""
    assert len(README.splitlines()) <= 120
