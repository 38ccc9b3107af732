"""What an answer proposes to do next."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from selfhost import Machine, check
from selfhost.cli.main import main
from selfhost.core.workload import Workload
from selfhost.machine.named import named

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
    assert "selfhost plan MODEL --for agent --max-wait 1s" in text


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
