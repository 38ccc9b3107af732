"""The pages under docs/ are true: every command in them runs and gives the route that stands behind it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

import selfhost
from helpers.paths import DATA, RECORDS, ROOT, SCHEMAS
from selfhost.audit import systems
from selfhost.audit.policy import read_policy
from selfhost.audit.systems.facts import table_of
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.names import resolve
from selfhost.cli import COMMANDS as SUBCOMMANDS
from selfhost.cli import main as cli
from selfhost.cli.declared import MORE_FORMATS
from selfhost.cli.parser import CommandParser
from selfhost.core.tomlfile import Document
from selfhost.core.workload import FLAGS
from selfhost.judge.checks import CHECKS
from selfhost.reports.audit_formats import FORMATS

NEEDS = (ROOT / "docs" / "needs.md").read_text(encoding="utf-8")
MACHINE = str(RECORDS / "vm-24gib.json")
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", NEEDS, re.DOTALL)
    for line in block.splitlines()
]


@pytest.mark.usefixtures("few_listed")
@pytest.mark.parametrize("line", COMMANDS)
def test_commands_give_the_route_that_the_page_states(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
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


def test_every_need_is_on_the_page_and_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    """The options that say what a model must be are in the page and in `check --help`, which names the page."""
    assert cli.main(["check", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "docs/needs.md" in shown
    for key in ("private", "commercial", "modify", "auditable", "license"):
        assert FLAGS[key] in NEEDS
        assert f"  {FLAGS[key]} " in shown


CONTRACT = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (code,) = re.findall(rf"```{language}\n(.*?)```", CONTRACT, re.DOTALL)
    return str(code)


def test_the_contract_names_every_command_and_only_options_that_exist() -> None:
    """Whoever writes a script by the page finds each command, and no option that a later issue may bring."""
    section = CONTRACT.split("## Command line\n")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `selfhost (\w+)", section, re.MULTILINE)) == set(SUBCOMMANDS)
    parsers = [CommandParser(command) for command in SUBCOMMANDS]
    flags = {
        flag for parser in parsers for action in parser._actions for flag in action.option_strings
    }
    promised = CONTRACT.split("## Decisions")[0]
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", promised)) <= flags
    shared = set.intersection(
        *(
            {flag for action in CommandParser(name)._actions for flag in action.option_strings}
            for name in JUDGING
        )
    )
    listed = set(re.findall(r"--[a-z-]+", section.split("share ")[1].split("; all of them")[0]))
    assert listed <= shared


JUDGING = ("check", "list", "show", "compare", "plan")


def test_the_contracts_json_has_no_key_that_is_not_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every key of the example is in an answer, and nothing of the top level is left out."""
    assert (
        cli.main(
            [
                "check",
                "mistral-7b",
                "no-such",
                "llama-3.3-70b",
                "--machine",
                MACHINE,
                "--format",
                "json",
            ]
        )
        == 2
    )
    answer = json.loads(capsys.readouterr().out)
    example = json.loads(block("json"))
    assert set(example) == set(answer)

    def compare(shown: object, written: object, path: str) -> None:
        if isinstance(shown, dict):
            assert isinstance(written, dict), path
            assert set(shown) <= set(written), path
            for key in shown:
                compare(shown[key], written[key], f"{path}.{key}")
        elif isinstance(shown, list) and shown and isinstance(shown[0], dict):
            assert isinstance(written, list), path
            for one in written:
                compare(shown[0], one, f"{path}[]")

    compare({**example, "verdicts": []}, answer, "")
    ran, too_large = answer["verdicts"]
    (shown,) = example["verdicts"]
    compare({**shown, "alternatives": []}, ran, "verdict")
    compare(shown["alternatives"], too_large["alternatives"], "alternatives")
    assert too_large["alternatives"]


def test_the_guides_policy_is_one() -> None:
    """Saved as it is printed it holds."""
    text = (ROOT / "docs" / "usage.md").read_text(encoding="utf-8")
    shown = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert shown is not None
    assert read_policy(Document.parse("audit.toml", shown[1].encode())).models


def test_the_contracts_policy_and_python_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The policy is read without a fault; the Python runs as it stands; the names are public."""
    read_policy(Document.parse("audit.toml", block("toml").encode()))
    shutil.copy(MACHINE, tmp_path / "ci.json")
    monkeypatch.chdir(tmp_path)
    code = block("python")
    exec(compile(code, "contract.md", "exec"), {})
    imported = re.search(r"from selfhost import (.*)", code)
    assert imported is not None
    assert set(imported[1].split(", ")) <= set(selfhost.__all__)
    section = CONTRACT.split("## Python\n")[1].split("\n## ")[0]
    assert set(selfhost.__all__) - {"__version__"} <= set(re.findall(r"\w+", section))


def test_the_contract_lists_every_schema_and_exit_code() -> None:
    """What ships in selfhost/schemas is named, and the exit codes are those of the README."""
    shipped = {f"selfhost.{path.stem.replace('-1', '/1')}" for path in SCHEMAS.glob("*.json")}
    # of TOML files, for editors
    outside = {"selfhost.policy/1", "selfhost.spec/1"}
    assert shipped - outside <= set(re.findall(r"selfhost\.[a-z-]+/\d", CONTRACT))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    codes = re.compile(r"^\| (\d+(?:, \d+)?) \|", re.MULTILINE)
    assert codes.findall(CONTRACT) == codes.findall(readme)
    assert "docs/contract.md" in readme


def test_the_contract_lists_every_key_of_a_machine_record() -> None:
    """Whoever writes a record by hand finds each fact that the schema has."""
    section = CONTRACT.split("`selfhost.machine/1`\n\n")[1].split("\n## ")[0]
    keys = json.loads((SCHEMAS / "machine-1.json").read_text("utf-8"))["properties"]
    assert set(keys) - {"schema"} <= set(re.findall(r"`(\w+)`", section))


def test_the_contract_lists_every_report_of_an_audit() -> None:
    """Its table has each format, and the sentence on --output each ending that chooses one."""
    section = CONTRACT.split("## `selfhost audit --format NAME`\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.+?`) \|", section, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(FORMATS)
    (endings,) = re.findall(r"`--output FILE\.json` \(or\n(.*?)\) chooses", CONTRACT)
    suffixes = {form.suffix for form in FORMATS.values()} - {None}
    assert set(re.findall(r"`\.(\w+)`", endings)) | {"json"} == suffixes


def test_the_guide_names_every_system_and_report() -> None:
    """Its table of records has a row for each system that is read, and its page names each format of `size`."""
    guide = (ROOT / "docs" / "usage.md").read_text(encoding="utf-8")
    table = guide.split("| system | command that gives it |")[1].split("\n\n")[0]
    first_cells = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
    titles = {title for cell in first_cells for title in cell.split(", ")} - {"---"}
    assert titles == {table_of(name)["title"] for name in systems.names()}
    readme = (DATA / "fleet" / "README.md").read_text(encoding="utf-8")
    for sample in (DATA / "fleet").glob("*/*"):
        # those that were written by hand have no source
        assert "_made" in sample.name or f"`{sample.parent.name}/{sample.name}`" in readme, sample
    for name in MORE_FORMATS["size"]:
        assert name in guide
        assert name in CONTRACT


def test_the_contracts_findings_are_the_checks() -> None:
    """The table of findings has a row for each check, and none beyond."""
    section = CONTRACT.split("## How a verdict is made\n")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)`", section, re.MULTILINE) == list(CHECKS)


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("mistralai/Mistral-7B-Instruct-v0.3", ("mistral-7b-instruct-v0.3", None)),
        ("mistral:7b", ("mistral-7b-instruct-v0.3", None)),
        ("llama3.1:8b-instruct-q4_K_M", ("llama-3.1-8b-instruct", "Q4_K_M")),
        ("opt-13b", ("opt-13b", None)),
        ("opt-1.3b", ("opt-1.3b", None)),
        ("ChatGPT", ("chatgpt", None)),
    ],
)
def test_the_contracts_names_are_understood(typed: str, wanted: tuple[str, str | None]) -> None:
    """The names that the page gives as examples mean what it says."""
    assert typed in CONTRACT
    resolution = resolve(typed, Catalogue.open())
    assert (resolution.spec_id, resolution.quantization) == wanted
