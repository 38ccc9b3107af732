"""What an answer proposes to do next."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from selfhost import Machine, check, rank
from selfhost.cli.main import main
from selfhost.core.workload import Workload
from selfhost.machine.named import named
from selfhost.machine.record import PresentModel

LAPTOP = "laptop-ddr4-16gb"
DESKTOP = "desktop-rtx4090-24gb"
PARTS = "rtx 4090, 32 GB of RAM"


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    main(list(words))
    return capsys.readouterr().out


@pytest.mark.usefixtures("few_listed")
def test_a_list_without_models_says_what_to_ask_next(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("list", "--for", "agent", "--max-wait", "1s", "--machine", LAPTOP)
    text = said(capsys, *words)
    assert "\nwhy not, model by model: the same with --all" in text
    # the wish to drop, a price, and a machine
    found = re.search(
        r"^(\S+) runs with (--max-wait \w+) \(~\S+ tokens/s, ", text, re.M
    )
    assert found is not None
    model, wish = found.groups()
    assert re.search(r"^by API: \S+ at .+, \$\S+ in, \$\S+ out", text, re.M)
    assert f"selfhost plan {model} --for agent --max-wait 1s" in text
    dropped = ("check", model, "--for", "agent", *wish.split(), "--machine", LAPTOP)
    assert re.match("[✓!] (LIKELY )?RUNS", said(capsys, *dropped))


def test_no_machine_is_looked_for_that_runs_a_closed_model(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("list", "gpt-4", "--openness", "closed", "--machine", LAPTOP)
    text = said(capsys, *words)
    assert text.startswith("0 of ")
    assert "selfhost plan" not in text
    assert re.search(r"^by API: \S+ at .+, \$\S+ in", text, re.M)


@pytest.mark.usefixtures("few_listed")
def test_the_pages_of_a_list_are_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    def rows(*options: str) -> list[str]:
        text = said(capsys, "list", "--machine", LAPTOP, "--all", *options)
        return [
            shown for shown in text.splitlines() if shown.startswith(("✓", "!", "✗"))
        ]

    def names(*options: str) -> list[str]:
        return [row.split()[1] for row in rows(*options)]

    both = names("--top", "14")
    assert names("--top", "7") + names("--top", "7", "--from", "8") == both
    page = said(capsys, "list", "--machine", LAPTOP, "--top", "7", "--from", "8")
    assert "8-14 of " in page
    assert "next: --from 15" in page
    behind = said(capsys, "list", "--machine", LAPTOP, "--from", "9999")
    assert "no model has row 9,999: the last is row " in behind


def test_a_list_names_what_lies_on_the_disk_already() -> None:
    machine, _ = named(LAPTOP)
    tags = [f"model-{number}:1b" for number in range(6)]
    stored = [PresentModel(path="~/.ollama", size_bytes=1, tag=tag) for tag in tags]
    ranking = rank(machine=machine.replace(models_present=tuple(stored)), top=1)
    shown = (
        "on the disk already: model-0:1b, model-1:1b, model-2:1b, model-3:1b and 2 more"
    )
    assert shown in str(ranking)
    assert "on the disk" not in str(rank(machine=machine, top=1))


@pytest.mark.parametrize(
    ("workload", "remedy"),
    [
        pytest.param(
            Workload(purpose="agent"), "selfhost list --for agent", id="by a purpose"
        ),
        pytest.param(
            Workload(prompt_tokens=2000), "shorten the prompt", id="by a prompt"
        ),
        pytest.param(
            Workload(purpose="agent", prompt_tokens=2000),
            "shorten the prompt",
            id="by a prompt for a purpose",
        ),
        pytest.param(
            Workload(context_tokens=2000), "use --context 1024 or less", id="by itself"
        ),
    ],
)
def test_a_context_that_is_too_long_has_a_remedy_that_helps(
    workload: Workload, remedy: str
) -> None:
    finding = next(
        found
        for found in check("gpt2", workload, machine=LAPTOP).findings
        if found.check == "context"
    )
    assert remedy in str(finding.remedy)


@pytest.mark.parametrize(
    ("words", "key"),
    [
        pytest.param(("llama-3.3-70b", "--machine", LAPTOP), "alternatives", id="else"),
        pytest.param(
            ("qwen3.6-27b", "--gpu", "RTX 4090"), "faster", id="a faster setting"
        ),
    ],
)
def test_commands_in_json_ask_about_the_same_machine(
    words: tuple[str, ...], key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    proposed = json.loads(said(capsys, "check", *words, "--json"))[key]
    assert proposed
    machine = words[1]
    assert all(f" {machine} " in entry["command"] for entry in proposed)
    assert all(entry["command"].count(machine) == 1 for entry in proposed)


@pytest.mark.parametrize(
    ("model", "key"),
    [
        pytest.param("deepseek-v3", "alternatives", id="else"),
        pytest.param("qwen3.6-27b", "faster", id="a faster setting"),
    ],
)
@pytest.mark.parametrize(
    ("machine", "typed"),
    [
        pytest.param(PARTS, PARTS, id="in words"),
        pytest.param(DESKTOP, DESKTOP, id="by its name"),
        pytest.param(named(DESKTOP)[0], DESKTOP, id="as a record"),
    ],
)
def test_commands_in_python_ask_about_the_same_machine(
    model: str,
    key: str,
    machine: Machine | str,
    typed: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`alternatives[0].command` asked about this computer whatever machine was named."""
    verdict = check(model, machine=machine)
    first = getattr(verdict, key)[0]
    words = shlex.split(first.command)
    place = words.index("--machine")
    assert words[place + 1] == typed
    assert first.command == verdict.to_json()[key][0]["command"]
    # and it is understood as the same machine
    again = json.loads(said(capsys, *words[1:], "--json"))
    assert again["machine"] == verdict.machine.to_json()


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"is_this_one": True}, id="this computer"),
        pytest.param({"memory_limit_bytes": 12 * 2**30}, id="changed by a program"),
        pytest.param({"name": "no machine's name"}, id="a record"),
    ],
)
def test_commands_in_python_name_no_machine_without_a_name(
    changes: dict[str, object],
) -> None:
    """This computer needs no option, and no name says what a program changed."""
    machine = named(LAPTOP)[0].replace(**changes)
    verdict = check("llama-3.1-405b", machine=machine)
    assert verdict.alternatives
    assert not any("--machine" in other.command for other in verdict.alternatives)


def test_commands_in_python_name_the_specs(tmp_path: Path) -> None:
    """Without them a model of one's own would not be known."""
    folder = tmp_path / "my specs"
    folder.mkdir()
    verdict = check("llama-3.3-70b", machine=LAPTOP, specs=[folder])
    words = shlex.split(verdict.alternatives[0].command)
    assert words[-4:] == ["--machine", LAPTOP, "--specs", str(folder)]
