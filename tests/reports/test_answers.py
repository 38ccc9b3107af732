"""What `print`, `rich.print`, `repr` and completion make of the answers of the Python API."""

from __future__ import annotations

import re
from functools import cache
from html import unescape
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

import selfhost
from selfhost.advice.plan import Plan
from selfhost.core.records import ShownRecord
from selfhost.judge.record import Report
from selfhost.reports import json

MAC = "macbook-air-m2-16gb"


@cache
def record_of(kind: str) -> ShownRecord:
    """An answer of that kind, or the machine or the model that an answer holds."""
    if kind not in ("machine", "model"):
        return answer(kind)
    verdict = selfhost.check("mistral-7b", machine=MAC)
    return verdict.machine if kind == "machine" else verdict.model


@cache
def answer(kind: str) -> Report:
    """An answer of that kind."""
    if kind == "verdict":
        return selfhost.check("mistral-7b", machine=MAC)
    if kind == "plan":
        return selfhost.plan("phi-4")
    if kind == "comparison":
        return selfhost.compare(["mistral-7b", "gpt-4o"], machine=MAC)
    if kind == "ranking":
        return selfhost.rank(machine=MAC, top=3)
    return selfhost.size("mistral-7b")


@pytest.mark.parametrize("kind", ["verdict", "plan", "comparison", "ranking", "size"])
def test_json_has_no_digit_that_another_computer_has_otherwise(kind: str) -> None:
    """Libraries of mathematics differ in the last of 16 digits, and the page in a browser then
    differed from the program.
    """
    text = json.dumps(answer(kind).to_json())
    assert re.findall(r"\d\.\d{9,}", text) == []


FIRST_WORDS = [
    pytest.param(
        "verdict", "RUNS: Mistral 7B Instruct v0.3 on macbook-air-m2-16gb", id="verdict"
    ),
    pytest.param("plan", "✓ RUNS  Phi-4 needs ", id="plan"),
    pytest.param(
        "comparison", "1 of 2 models runs on macbook-air-m2-16gb", id="comparison"
    ),
    pytest.param("ranking", "About ", id="ranking"),
    pytest.param("size", "Mistral 7B Instruct v0.3: request ", id="size"),
]
# records that an answer holds
HELD_FIRST_WORDS = [
    pytest.param("machine", "macbook-air-m2-16gb: macos, aarch64", id="machine"),
    pytest.param("model", "Mistral 7B Instruct v0.3 by Mistral AI, ", id="model"),
]
KINDS = [parameter.values[0] for parameter in FIRST_WORDS]


@pytest.mark.parametrize(("kind", "words"), FIRST_WORDS + HELD_FIRST_WORDS)
def test_print_shows_the_answer(kind: str, words: str) -> None:
    """It showed `<Plan: to_json() gives its figures>`, and every field of a machine."""
    text = str(record_of(kind))
    assert text.startswith(words)
    assert "\x1b" not in text
    assert not text.endswith("\n")
    assert text == f"{record_of(kind)}"


@pytest.mark.parametrize(("kind", "words"), FIRST_WORDS + HELD_FIRST_WORDS)
def test_a_notebook_shows_the_answer(kind: str, words: str) -> None:
    """Its parts of a page say at least as much as `print` begins with."""
    page = unescape(re.sub("<[^>]+>", "", record_of(kind)._repr_html_()))
    first_words = words.removeprefix("RUNS: ").split()
    assert " ".join(first_words[:3]) in " ".join(page.split())


def test_print_of_a_finding_is_a_sentence_with_what_to_do() -> None:
    """Every field was shown, most of them None."""
    verdict = selfhost.check("llama-3.3-70b", machine=MAC)
    finding = verdict.finding("memory")
    assert finding is not None
    assert (
        str(finding)
        == f"memory: {finding.reason} \N{RIGHTWARDS ARROW} {finding.remedy}"
    )


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        pytest.param({"purpose": "agent"}, " --for agent", id="purpose"),
        pytest.param({"context_tokens": 32768}, " --context 32768", id="context"),
        pytest.param({}, "", id="nothing"),
    ],
)
def test_the_line_to_type_asks_what_was_compared(
    fields: dict[str, Any], options: str
) -> None:
    """The line asked about 4,096 tokens, whatever had been compared."""
    compared = selfhost.compare(["gpt2", "gpt-4o"], machine=MAC, **fields)
    lines = str(compared).splitlines()
    assert f"  selfhost check gpt2 gpt-4o{options} --machine {MAC}" in lines


@pytest.mark.parametrize("kind", [*KINDS, "machine", "model"])
def test_rich_draws_the_answer(kind: str) -> None:
    """With any console, in its width; nothing of a line to type is lost."""
    console = Console(
        file=StringIO(), width=50, force_terminal=True, legacy_windows=False
    )
    console.print(record_of(kind))
    assert isinstance(console.file, StringIO)
    shown = console.file.getvalue()
    assert "\x1b[" in shown
    plain = Console(file=StringIO(), width=50, color_system=None, legacy_windows=False)
    plain.print(record_of(kind))
    assert isinstance(plain.file, StringIO)
    lines = plain.file.getvalue().splitlines()
    assert all(len(line.rstrip()) <= 50 for line in lines)
    if kind == "verdict":
        joined = "".join(lines).replace(" ", "").replace("\\", "")
        assert (
            selfhost.check("mistral-7b", machine=MAC).commands[0].replace(" ", "")
            in joined
        )


@pytest.mark.parametrize("kind", KINDS)
def test_the_repr_is_one_short_line(kind: str) -> None:
    """A traceback or a debugger shows many of them."""
    text = repr(answer(kind))
    assert len(text) < 90
    assert "\n" not in text


@pytest.mark.parametrize("kind", KINDS)
def test_completion_names_what_programs_may_rely_on(kind: str) -> None:
    """Every name is there, and nothing of the record's own mechanism."""
    names = dir(answer(kind))
    assert "to_json" in names
    assert all(hasattr(answer(kind), name) for name in names)
    inner = {
        "replace",
        "conclude",
        "has",
        "waits_for_setting",
        "lacking_bytes",
        "question",
    }
    assert not inner & set(names)
    assert not [name for name in names if name.startswith("_")]


def test_completion_of_a_verdict_has_the_keys_of_the_contract() -> None:
    """As docs/contract.md lists them for `selfhost.verdict/1`."""
    keys = set(answer("verdict").to_json()) - {
        "schema",
        "selfhost_version",
        "catalogue",
    }
    assert keys <= set(dir(answer("verdict")))
    assert {"summary", "finding"} <= set(dir(answer("verdict")))


def test_known_machine_is_written_alike_wherever_it_stands() -> None:
    """It is a verdict, and `selfhost.plan/1` has no more of it than docs/contract.md lists."""
    plan = answer("plan")
    assert isinstance(plan, Plan)
    assert json.record(plan.machines) == plan.to_json()["machines"]
    assert "findings" not in json.record(plan.machines[0])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param({"use": "coding"}, "did you mean 'code'?", id="another-word"),
        pytest.param({"use": "cod"}, "did you mean 'code'?", id="misspelled"),
        pytest.param(
            {"use": "images"}, "did you mean modality='image'?", id="a-modality"
        ),
        pytest.param({"modality": "pictures"}, "did you mean 'image'?", id="plural"),
        pytest.param({"modality": "xyz"}, "is not one of text, vision", id="no-guess"),
        pytest.param({"top": 0}, "top: must be at least 1, not 0", id="top-0"),
        pytest.param({"context": 8192}, "did you mean context_tokens?", id="context"),
        pytest.param({"gpus": 2}, 'write gpu="2x RTX 3090"', id="gpus"),
        pytest.param({"for_": "agent"}, "did you mean purpose?", id="for"),
        pytest.param({"quant": "Q8_0"}, "did you mean quantization?", id="quant"),
        pytest.param(
            {"ram": "32G"}, 'write machine="RTX 3060, 32 GB of RAM"', id="ram"
        ),
        # `--users` of the command
        pytest.param({"users": 4}, "write parallel=4", id="users"),
    ],
)
def test_a_word_of_the_command_leads_to_the_argument(
    arguments: dict[str, object], told: str
) -> None:
    """`use="coding"` listed 25 words, and `for_` seemed to mean `format`."""
    with pytest.raises(selfhost.SelfhostError) as refused:
        selfhost.rank(machine=MAC, **arguments)  # type: ignore[arg-type]
    assert told in str(refused.value)


def test_the_machine_that_an_error_proposes_is_understood() -> None:
    """A GPU and the computer's RAM in one name."""
    proposed = selfhost.check("phi-4", machine="RTX 3060, 32 GB of RAM").machine
    assert proposed.memory_total_bytes == 32 * 2**30
    assert proposed.accelerators is not None
    assert [card.name for card in proposed.accelerators] == ["NVIDIA GeForce RTX 3060"]


@pytest.mark.parametrize(
    "argument",
    [
        pytest.param({"top": 3}, id="top"),
        pytest.param({"use": "code"}, id="use"),
        pytest.param({"modality": "text"}, id="modality"),
    ],
)
def test_only_rank_takes_these(argument: dict[str, Any]) -> None:
    """The refusal named a class, `Workload has no top`."""
    with pytest.raises(selfhost.SelfhostError, match=r"only rank\(\) takes it"):
        selfhost.check("phi-4", machine=MAC, **argument)


@pytest.mark.parametrize(
    ("fields", "is_taken"),
    [
        pytest.param({"max_wait_seconds": 60.0}, True, id="other than the purpose's"),
        pytest.param({"private": True}, True, id="other than the default"),
        pytest.param({"parallel": 2}, True, id="the same value"),
        pytest.param({"parallel": 3}, False, id="another value"),
        pytest.param({"purpose": "chat"}, False, id="another purpose"),
    ],
)
def test_a_keyword_goes_with_a_workload_that_does_not_state_it(
    fields: dict[str, Any], *, is_taken: bool
) -> None:
    """The wait of the purpose `agent` was said to be given twice."""
    workload = selfhost.Workload(purpose="agent", parallel=2)
    if is_taken:
        verdict = selfhost.check("phi-4", workload, machine=MAC, **fields)
        stated = verdict.question.stated
        assert all(getattr(stated, name) == fields[name] for name in fields)
        assert stated.prompt_tokens == workload.prompt_tokens
    else:
        with pytest.raises(selfhost.WorkloadError, match="is given twice"):
            selfhost.check("phi-4", workload, machine=MAC, **fields)


def test_a_plan_leads_from_one_machine_to_check() -> None:
    """The refusal was `Workload has no machine`."""
    # a type checker refuses the keyword
    unknown: dict[str, Any] = {"machine": "RTX 3060"}
    with pytest.raises(
        selfhost.SelfhostError, match=r"check\(model, machine=...\) judges"
    ):
        selfhost.plan("phi-4", **unknown)


def test_the_first_of_a_ranking_are_those_of_the_whole() -> None:
    """Asked for few, few are judged; of a use, so that the whole is small."""
    whole = selfhost.rank(machine=MAC, use="reranking")
    first = selfhost.rank(machine=MAC, use="reranking", top=4)
    assert [row.model.id for row in first.models] == [
        row.model.id for row in whole.models[:4]
    ]


def test_python_names_keywords_and_json_names_options() -> None:
    """`use --context 32768 or less` was told to a program, which has no such option."""
    verdict = selfhost.check("mistral-7b", machine=MAC, context_tokens=100_000)
    finding = verdict.finding("context")
    assert finding is not None
    assert finding.remedy == "use --context 32768 or less"
    assert "use context_tokens=32768 or less" in str(finding)
    shown = " ".join(drawn_text(verdict).split())
    assert "use context_tokens=32768 or less" in shown
    assert "to_json()" in shown
    assert " -v" not in shown
    remedies = [found["remedy"] for found in verdict.to_json()["findings"]]
    assert "use --context 32768 or less" in remedies


def test_a_plan_in_python_names_no_switch() -> None:
    """`105 more: -v` was told to a program; the dict has all of them."""
    shown = str(answer("plan"))
    assert "more: to_json()" in shown
    assert ": -v" not in shown


@pytest.mark.usefixtures("few_listed")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param({"top": 3}, "all: top=None · columns: to_json()", id="the first"),
        pytest.param(
            {"use": "code"}, "all: to_json() · columns: to_json()", id="all judged"
        ),
        pytest.param(
            {"runtime": "vllm", "top": 1},
            "why not, model by model: to_json()",
            id="none runs",
        ),
    ],
)
def test_a_ranking_in_python_names_no_switch(
    arguments: dict[str, Any], told: str
) -> None:
    """`all: --all · columns: --wide` was told to a program, which has neither. The command about
    one model names the machine, as that of a comparison does.
    """
    ranking = selfhost.rank(machine=MAC, **arguments)
    shown = str(ranking)
    assert told in shown
    own, _, asked = shown.partition("selfhost check MODEL")
    assert "--" not in own
    if asked:
        assert f"--machine {MAC}" in asked
    assert told in " ".join(drawn_text(ranking).split())


def test_a_ranking_in_python_says_what_its_machine_was_taken_for() -> None:
    """Only `notes` said that the processor is assumed, which `check` prints."""
    ranking = selfhost.rank(machine="RTX 3060, 32 GB of RAM", top=1)
    (note,) = ranking.notes
    assert "The processor is assumed." in note
    assert note in str(ranking)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        pytest.param(
            "mistral-7b",
            "To paste: selfhost size MODEL --format kubernetes, compose, docker or",
            id="formats",
        ),
        pytest.param(
            "flux.1-dev", "for the best size of a node, add gpu.", id="of pictures"
        ),
    ],
)
def test_a_size_in_python_names_arguments_and_commands(model: str, told: str) -> None:
    """`To paste: --format kubernetes` and `add --set memory=SIZE` were told to a program."""
    shown = str(selfhost.size(model))
    assert told in shown
    assert "--set" not in shown


@pytest.mark.parametrize(
    ("machine", "options"),
    [
        pytest.param("RTX 3060, 32 GB of RAM", "'RTX 3060, 32 GB of RAM'", id="words"),
        pytest.param(MAC, MAC, id="name"),
    ],
)
def test_a_comparison_in_python_names_its_machine(machine: str, options: str) -> None:
    """The proposed `selfhost check` asked about this computer, and without the typed tag."""
    compared = selfhost.compare(
        ["gpt2", "llama3.1:405b"], machine=machine, context_tokens=1024
    )
    command = "selfhost check gpt2 llama3.1:405b --context 1024"
    assert f"  {command} --machine {options}\n" in str(compared)
    for row in compared.models:
        for other in row.verdict.alternatives:
            assert other.command.endswith(f" --machine {options}")


def test_the_note_on_a_size_is_true_of_its_argument() -> None:
    """What `add machine` promises: a node of more memory gets a better type."""
    smallest = selfhost.size("flux.1-dev").workload.quantization
    of_node = selfhost.size("flux.1-dev", machine="i5-8250U 64GB")
    assert of_node.workload.quantization != smallest
    assert of_node.limit_bytes < 64 * 2**30


def test_an_error_names_keywords() -> None:
    """Its problems keep the options, which the command line shows."""
    with pytest.raises(selfhost.WorkloadError) as caught:
        selfhost.check("mistral-7b", max_wait_seconds=5)
    assert 'add prompt_tokens=2000, or purpose="agent"' in str(caught.value)
    assert caught.value.problems[0].remedy == "add --prompt 2000, or --for agent"
    with pytest.raises(selfhost.UnknownMachineError, match='machine="i5-8250U 16GB"'):
        selfhost.check("mistral-7b", machine="nonsense 3")


def drawn_text(record: ShownRecord) -> str:
    """What `rich.print` shows in a wide terminal."""
    stream = StringIO()
    Console(file=stream, width=200).print(record)
    return stream.getvalue()
