"""The help screens name all that a command takes, and fit the terminal they are read on."""

from __future__ import annotations

import re

import pytest

from selfhost.cli import COMMANDS
from selfhost.cli.main import main
from selfhost.cli.options import options_of, positionals_of
from selfhost.cli.parser import help_of
from selfhost.core.units import parse_tokens


@pytest.mark.parametrize(
    "words", [["--help"], *([name, "--help"] for name in COMMANDS)], ids=" ".join
)
def test_no_line_is_wider_than_80_columns(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A colon alone stood on a line of its own."""
    assert main(words) == 0
    assert [
        line for line in capsys.readouterr().out.splitlines() if len(line) > 80
    ] == []


@pytest.mark.parametrize("columns", [40, 60])
@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["--help"], id="overview"),
        pytest.param(["list", "--help", "all"], id="with-a-paragraph"),
        pytest.param(["verify", "--help"], id="with-remarks"),
    ],
)
def test_a_help_fits_a_narrow_terminal(
    words: list[str],
    columns: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The terminal broke `exit codes` and each remark within a word. A command to type stays on one
    line, for its second line would be another command.
    """
    monkeypatch.setenv("COLUMNS", "80")
    assert main(words) == 0
    usual = capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(words) == 0
    narrow = capsys.readouterr().out
    # nothing is left out
    assert "".join(narrow.split()) == "".join(usual.split())
    wide = [line for line in narrow.splitlines() if len(line) > columns]
    assert [
        line for line in wide if not line.startswith(("  selfhost ", "  ollama "))
    ] == []
    # the same examples, each whole
    for line in usual.partition("examples:")[2].splitlines():
        example = line.strip().partition("  ")[0]
        if example.startswith("selfhost "):
            assert f"  {example}" in narrow.splitlines()


@pytest.mark.parametrize("command", COMMANDS)
def test_each_option_and_word_is_explained(command: str) -> None:
    """The first words of each explanation, for argparse breaks the lines."""
    shown = " ".join(help_of(command, full=True).split())
    for option in options_of(command):
        for name in option.names:
            assert f" {name}" in shown
        assert " ".join(option.help.split()[:3]) in shown
    for positional in positionals_of(command):
        assert f" {positional.metavar} {positional.help}" in shown


@pytest.mark.parametrize(
    ("words", "first"),
    [
        pytest.param(["help"], "Can this machine run", id="all"),
        pytest.param(["help", "nonsense"], "Can this machine run", id="no command"),
        pytest.param(
            ["help", "list"], "usage: selfhost list [OPTIONS] [WORD…]", id="one"
        ),
        pytest.param(
            ["list", "-h"], "usage: selfhost list [OPTIONS] [WORD…]", id="short"
        ),
    ],
)
def test_help_is_asked_for_in_two_ways(
    words: list[str], first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 0
    assert capsys.readouterr().out.startswith(first)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_first_help_fits_a_screen(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """That of check was 69 lines long, with the options of fine-tuning for everyone."""
    assert main([command, "--help"]) == 0
    short = capsys.readouterr().out
    assert len(short.splitlines()) <= 40
    assert main([command, "--help", "all"]) == 0
    full = capsys.readouterr().out
    if full != short:
        assert f"selfhost {command} --help all" in short
        assert len(full.splitlines()) > len(short.splitlines())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_help_names_no_file_of_a_clone(command: str) -> None:
    """An installation has no docs/needs.md."""
    assert "docs/" not in help_of(command, full=True)


@pytest.mark.parametrize("option", ["--context", "--prompt"])
def test_a_k_of_tokens_is_explained_where_it_is_typed(option: str) -> None:
    """`--prompt 20k` was read as 20,480 tokens, and nothing said so before."""
    shown = " ".join(help_of("check", full=True).split())
    explained = shown.partition(f" {option} N ")[2].partition(" --")[0]
    assert "1k is 1,024" in explained
    assert parse_tokens("20k") == 20_480


def test_the_examples_of_specs_name_one_model() -> None:
    """`spec new` wrote model.toml, whose id is `model`, and the next line asked for my-model."""
    shown = help_of("spec", full=True)
    (made,) = re.findall(r"spec new \S+ --output (\S+)\.toml", shown)
    assert f"spec check {made}.toml" in shown
    assert f"selfhost check {made} --specs ." in shown
