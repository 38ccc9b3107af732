"""What an answer proposes to do next."""

from __future__ import annotations

import json

import pytest

from selfhost import check
from selfhost.cli.main import main
from selfhost.core.workload import Workload

LAPTOP = "laptop-ddr4-16gb"


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    main(list(words))
    return capsys.readouterr().out


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
