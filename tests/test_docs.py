"""The pages under docs/ are true: every command in them runs and gives the route that stands behind
it.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import pytest

import readme_picture
import selfhost
from helpers.machines import IDS
from helpers.paths import DATA, RECORDS, ROOT, SCHEMAS
from selfhost.audit.answers import table_of
from selfhost.audit.machines import READERS
from selfhost.audit.policy import read_policy
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.searching import resolve
from selfhost.cli import COMMANDS as SUBCOMMANDS
from selfhost.cli import main as cli
from selfhost.cli.options import options_of
from selfhost.cli.parser import help_of
from selfhost.core.tables import Document, shipped_table
from selfhost.core.workload import FLAGS
from selfhost.judge.checks import CHECKS, WORDS, check_of
from selfhost.machine import profiles
from selfhost.reports.audit_formats import FORMATS
from selfhost.reports.check_text import check_document
from selfhost.reports.layout import plain

NEEDS, CONTRACT, USAGE, ANSWERS = (
    (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    for page in ("needs", "contract", "usage", "answers")
)
README = (ROOT / "README.md").read_text(encoding="utf-8")
MACHINE = str(RECORDS / "vm-24gib.json")


def blocks(language: str, page: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


COMMANDS = [line for block in blocks("sh", NEEDS) for line in block.splitlines()]


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


def test_every_need_is_on_the_page_and_in_the_help(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The options that say what a model must be are in the page and in `check --help all`."""
    assert cli.main(["check", "--help", "all"]) == 0
    shown = capsys.readouterr().out
    for key in ("private", "commercial", "modify", "auditable", "license"):
        assert FLAGS[key] in NEEDS
        assert f"  {FLAGS[key]} " in shown


def test_the_contract_names_every_command_and_only_options_that_exist() -> None:
    """Whoever writes a script by the page finds each command, and no option that a later issue may
    bring.
    """
    section = CONTRACT.split("## Command line\n")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `selfhost (\w+)", section, re.MULTILINE)) == set(
        SUBCOMMANDS
    )
    options = {
        command: {name for option in options_of(command) for name in option.names}
        for command in SUBCOMMANDS
    }
    flags = {"--help", "--json", "--version"}.union(*options.values())
    promised, guide = (
        set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page))
        for page in (CONTRACT.split("## Decisions")[0], USAGE)
    )
    assert promised <= flags
    unnamed = {flag for flag in flags if flag.startswith("--")} - promised - guide
    assert not unnamed, (
        f"say in docs/usage.md or docs/contract.md what they do: {unnamed}"
    )
    listed = set(
        re.findall(r"--[a-z-]+", section.split("share ")[1].split("; all of them")[0])
    )
    assert all(
        listed <= options[name] for name in ("check", "list", "show", "compare", "plan")
    )


def test_the_contracts_json_has_no_key_that_is_not_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every key of the example is in an answer, and nothing of the top level is left out."""
    line = "check mistral-7b no-such llama-3.3-70b --format json --machine"
    assert cli.main([*line.split(), MACHINE]) == 2
    answer = json.loads(capsys.readouterr().out)
    example = json.loads(blocks("json", CONTRACT)[0])
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


def test_the_policies_and_the_python_of_the_pages_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each policy is read as it is printed; the Python runs as it stands; the names are public."""
    for page in (USAGE, CONTRACT):
        assert read_policy(
            Document.read("audit.toml", blocks("toml", page)[0].encode())
        ).models
    shutil.copy(MACHINE, tmp_path / "ci.json")
    monkeypatch.chdir(tmp_path)
    code = blocks("python", CONTRACT)[0]
    exec(compile(code, "contract.md", "exec"), {})
    imported = re.search(r"from selfhost import (.*)", code)
    assert imported is not None
    assert set(imported[1].split(", ")) <= set(selfhost.__all__)
    section = CONTRACT.split("## Python\n")[1].split("\n## ")[0]
    assert set(selfhost.__all__) - {"__version__"} <= set(re.findall(r"\w+", section))


def test_the_contract_lists_every_schema_and_exit_code() -> None:
    """What ships in selfhost/schemas is named, and the exit codes are those of the README."""
    shipped = {
        f"selfhost.{path.stem.replace('-1', '/1')}" for path in SCHEMAS.glob("*.json")
    }
    # of TOML files, for editors
    outside = {"selfhost.policy/1", "selfhost.spec/1"}
    assert shipped - outside <= set(re.findall(r"selfhost\.[a-z-]+/\d", CONTRACT))
    codes = re.compile(r"^\| (\d+(?:, \d+)?) \|", re.MULTILINE)
    assert codes.findall(CONTRACT) == codes.findall(README)
    assert "docs/contract.md" in README


def test_the_contract_lists_every_key_of_a_machine_record() -> None:
    """Whoever writes a record by hand finds each fact that the schema has."""
    section = CONTRACT.split("`selfhost.machine/1`\n\n")[1].split("\n## ")[0]
    keys = json.loads((SCHEMAS / "machine-1.json").read_text("utf-8"))["properties"]
    assert set(keys) - {"schema"} <= set(re.findall(r"`(\w+)`", section))


def test_the_contract_lists_every_report_of_an_audit() -> None:
    """Its table has each format, and the sentence on --output each ending that chooses one."""
    section = CONTRACT.split("## `selfhost audit --format NAME`\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.+?`) \|", section, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(
        FORMATS
    )
    (endings,) = re.findall(r"`--output FILE\.json` \(or\n(.*?)\) chooses", CONTRACT)
    suffixes = {form.suffix for form in FORMATS.values()} - {None}
    assert set(re.findall(r"`\.(\w+)`", endings)) | {"json"} == suffixes


def test_the_guide_names_every_system_and_report() -> None:
    """Its table of records has a row for each system that is read, and its page names each format
    of `size`.
    """
    table = USAGE.split("| system | command that gives it |")[1].split("\n\n")[0]
    first_cells = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
    titles = {title for cell in first_cells for title in cell.split(", ")} - {"---"}
    assert titles == {table_of(name).title for name in READERS}
    readme = (DATA / "fleet" / "README.md").read_text(encoding="utf-8")
    for sample in (DATA / "fleet").glob("*/*"):
        # those that were written by hand have no source
        assert (
            "_made" in sample.name or f"`{sample.parent.name}/{sample.name}`" in readme
        ), sample
    for name in shipped_table("options")["formats"]["size"]:
        assert name in USAGE
        assert name in CONTRACT


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
def test_the_contracts_names_are_understood(
    typed: str, wanted: tuple[str, str | None]
) -> None:
    """The names that the page gives as examples mean what it says."""
    assert typed in CONTRACT
    resolution = resolve(typed, Catalogue.open())
    assert (resolution.spec_id, resolution.quantization) == wanted


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
        if "--specs newer" in command:
            # in a process of its own, as `catalogue/test_other_catalogue.py` asks it
            continue
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
        [sys.executable, *words],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_python_block(source_environment: dict[str, str]) -> None:
    """The library example runs as pasted."""
    out = run(source_environment, "-c", blocks("python", section("Python"))[0])
    assert out.startswith("local RUNS: Mistral 7B Instruct v0.3")


def test_the_marker_works_as_pasted(
    tmp_path: Path, source_environment: dict[str, str]
) -> None:
    """The test of the README is passed or skipped, wherever it runs."""
    (tmp_path / "test_it.py").write_text(blocks("python", section("Python"))[1])
    words = (
        "-p",
        "no:cacheprovider",
        "-p",
        "selfhost.pytest_plugin",
        "--strict-markers",
    )
    # as in `test_pytest_plugin.py`: other plugins that are installed take longer to load than this
    out = run(
        {**source_environment, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        "-m",
        "pytest",
        "--rootdir",
        str(tmp_path),
        *words,
        str(tmp_path),
    )
    assert "1 passed" in out or "1 skipped" in out


@pytest.mark.parametrize("theme", readme_picture.THEMES)
def test_the_picture_holds_what_the_program_prints(theme: str) -> None:
    """The answer and the command to type, drawn again today, are in the committed picture: if not,
    run tools/readme_picture.py. It is XML that loads nothing.
    """
    path = readme_picture.path_of(theme)
    assert f"docs/{path.name}" in README
    drawing = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    letters = "".join("".join(drawing.itertext()).split())
    for verdict in readme_picture.verdicts():
        sentence = plain(check_document([verdict])).splitlines()[0]
        for line in (
            f"selfhost check {verdict.asked}",
            sentence,
            *verdict.commands[:1],
        ):
            assert "".join(unescape(line).split()) in letters
    assert not re.search(
        r"url\(['\"]?http|@import|<script|href", path.read_text(encoding="utf-8")
    )


def test_each_check_has_its_rows() -> None:
    """In their order, and none beyond, in each table that lists the checks; in docs/answers.md
    every code under its check. No code is of another check.
    """
    table = CONTRACT.split("## How a verdict is made\n")[1].split("\n## ")[0]
    rows = dict(
        re.findall(r"^\| (\w+) \| ((?:`[a-z-]+` ?)+)\|$", ANSWERS, re.MULTILINE)
    )
    audit, policy = (
        json.loads((SCHEMAS / f"{name}-1.json").read_text("utf-8"))
        for name in ("audit", "policy")
    )
    rules = policy["properties"]["exception"]["items"]["properties"]["rule"]["enum"]
    lists = {
        "[codes] of specs/common/findings.toml": dict.fromkeys(
            map(check_of, WORDS.codes)
        ),
        "How a verdict is made in docs/contract.md": re.findall(
            r"(?m)^\| `(\w+)`", table
        ),
        "the reason codes in docs/answers.md": rows,
        "check in $defs of selfhost/schemas/audit-1.json": audit["$defs"]["check"][
            "enum"
        ],
        "rule of exception in selfhost/schemas/policy-1.json": rules,
    }
    lacking = [place for place, listed in lists.items() if list(listed) != list(CHECKS)]
    assert not lacking, (
        f"each takes a row for each check, in the order of [checks]: {lacking}"
    )
    for check, text in rows.items():
        codes = [code for code in WORDS.codes if check_of(code) == check]
        assert set(re.findall(r"`([a-z-]+)`", text)) == set(codes)


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_that_another_machine_mends_has_a_row_on_the_screen(check: str) -> None:
    """Without one a person is not told what of the machine is short. No two rows share a place."""
    row = WORDS.checks[check]
    if row.mended_by != "model":
        assert row.row is not None
    places = [other.row for other in WORDS.checks.values() if other.row is not None]
    assert sorted(places) == list(range(1, len(places) + 1))


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(WORDS.why_not, id="why_not"),
        pytest.param(WORDS.why_open, id="why_open"),
        pytest.param(WORDS.doubts, id="doubts"),
        pytest.param(WORDS.titles, id="titles"),
    ],
)
def test_words_by_code_are_of_codes_that_there_are(words: Mapping[str, str]) -> None:
    """Words under a misspelt code would never be said."""
    assert set(words) <= set(WORDS.codes)


def test_the_numbers_are_no_boast() -> None:
    """As many models and machines as the first screen says, or more."""
    (numbers,) = re.findall(r"more than ([\d,]+) models and ([\d,]+) machines", README)
    models, machines = (int(number.replace(",", "")) for number in numbers)
    assert len(IDS) >= models
    assert len(profiles.names()) >= machines


def test_exit_codes_are_those_of_the_help() -> None:
    """README and --help state the same codes."""
    listed = set(re.findall(r"^\| (\d+)", README, re.MULTILINE))
    text = help_of("check")
    assert set(re.findall(r"^  (\d)  ", text, re.MULTILINE)) <= listed | {"0"}
    assert {"0", "1", "2", "3", "70"} <= listed


def test_install_and_test_commands_are_the_ones_that_ci_runs() -> None:
    """.ci/run installs what CONTRIBUTING.md installs and calls the same test command."""
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert (
        "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/selfhost check mistral-7b"
        in README
    )
    command = "-m pytest -n auto"
    assert f"pip install -e '.[test]' && .venv/bin/python {command}" in contributing
    assert "-e '.[test]'" in ci
    assert command in ci


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "docs/usage.md",
        "docs/answers.md",
    ],
)
def test_named_paths_exist(document: str) -> None:
    """A path in backquotes that starts with a folder of this project is there."""
    text = (ROOT / document).read_text(encoding="utf-8")
    for path in re.findall(
        r"`((?:selfhost|specs|tests|examples|benchmarks|docs|tools|\.ci)/[\w./-]*)`",
        text,
    ):
        assert (ROOT / path).exists(), f"{document} names {path}"


def test_every_package_is_one_that_is_built() -> None:
    """Of a folder that is not listed no module is installed, and one that is gone ends the
    build.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    modules = (ROOT / "selfhost").rglob("*.py")
    folders = {
        path.parent.relative_to(ROOT).as_posix().replace("/", ".") for path in modules
    }
    listed = set(project["tool"]["setuptools"]["packages"])
    data = {
        name
        for name in listed
        if name.startswith(("selfhost.specs", "selfhost.schemas"))
    }
    assert listed - data == folders


def test_one_page() -> None:
    """The README stays short enough to be read."""
    assert len(README.splitlines()) <= 120
