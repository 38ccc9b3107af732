"""The pages under docs/ are true: every command in them runs and gives the route that stands behind it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from selfhost import cli
from selfhost.openness import DEFINITION_SOURCES
from selfhost.workload import FLAGS

ROOT = Path(__file__).parents[1]
NEEDS = (ROOT / "docs" / "needs.md").read_text(encoding="utf-8")
MACHINE = str(ROOT / "tests" / "data" / "records" / "vm-24gib.json")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", NEEDS, re.DOTALL) for line in block.splitlines()]


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_give_the_route_that_the_page_states(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """On a machine of 24 GiB without a GPU: the first word of the remark is the route."""
    command, _, remark = line.partition("#")
    words = shlex.split(command)[1:]
    code = cli.main([*words, "--machine", MACHINE, "--format", "json"])
    out, err = capsys.readouterr()
    answer = json.loads(out)
    assert err == ""
    if words[0] == "check":
        assert answer["route"] == re.split(r"[:,\s]", remark.strip())[0]
        assert code == (0 if answer["route"] == "local" else 1)
    else:
        assert code == 0


def test_each_person_has_commands() -> None:
    """Developer, enterprise, researcher, casual and security-minded user: the five of the issue, each with what to type."""
    for person in ("Developer", "Enterprise", "Researcher", "Casual user", "Security-minded user"):
        section = NEEDS.split(f"## {person}\n", 1)[1].split("\n## ", 1)[0]
        assert "selfhost check" in section
        assert person.lower() in NEEDS.split("## ", 1)[0]


def test_every_need_is_on_the_page_and_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    """The options that say what a model must be, in the page and in the short form of `check --help`."""
    assert cli.main(["check", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "docs/needs.md" in shown
    for key in ("private", "commercial", "modify", "auditable", "license"):
        assert FLAGS[key] in NEEDS
        assert FLAGS[key] in shown.split("whose needs", 1)[1]


def test_the_page_cites_what_the_words_mean() -> None:
    """The two definitions that the table rests on are linked."""
    for source in DEFINITION_SOURCES:
        assert source in NEEDS
