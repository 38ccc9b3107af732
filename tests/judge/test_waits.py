"""The wait for the first word: told without asking, and judged where a prompt or a purpose is."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from helpers.machines import VM
from judge.small import work
from selfhost import Outcome, Route, WorkloadError, check, compare, plan, rank, size
from selfhost.advice.plan import Plan, plan_with
from selfhost.catalogue.index import open_catalogue
from selfhost.core.purposes import WORKLOAD_PURPOSES
from selfhost.core.units import parse_wait
from selfhost.core.workload import Workload
from selfhost.judge.checks.speed import wait_check
from selfhost.judge.pace import Range, Speed
from selfhost.judge.record import Verdict
from selfhost.reports.check_text import check_document
from selfhost.reports.layout import plain

# 330 TFLOPS in 16 bits; a few cores of a virtual machine have under 1
FAST = "desktop-rtx4090-24gb"
SLOW = VM


def checked(model: str, machine: Any = FAST, **asked: Any) -> Verdict:
    """The verdict in one type, so that no smaller one is taken where this one is slow."""
    if model == "qwen3-8b":
        asked["quantization"] = "Q4_K_M"
    return check(model, machine=machine, **asked)


def screen_of(verdict: Verdict) -> str:
    """The screen of `selfhost check`, as a pipe gets it."""
    return plain(check_document([verdict]))


def wait_outcome(verdict: Verdict) -> Outcome | None:
    finding = verdict.finding("wait")
    return None if finding is None else finding.outcome


def test_two_usual_waits_are_told_without_asking() -> None:
    page, agent = checked("qwen3-8b").waits
    assert (page.prompt_tokens, page.what) == (1_000, "a page")
    assert (agent.prompt_tokens, agent.what) == (20_000, "an agent's first prompt")
    assert page.seconds is not None
    assert agent.seconds is not None
    # twenty times the tokens take more than ten times as long, with a step of decoding in both
    assert agent.seconds.likely > 10 * page.seconds.likely


def test_a_prompt_longer_than_the_model_was_trained_for_has_no_wait() -> None:
    # GPT-2 reads 1,024 tokens
    waits = checked("gpt2").waits
    assert [wait.prompt_tokens for wait in waits] == [1_000]


@pytest.mark.parametrize(
    "model",
    [
        pytest.param("flux.1-schnell", id="pictures"),
        pytest.param("whisper-large-v3", id="speech"),
        pytest.param("claude-opus-4.6", id="closed"),
    ],
)
def test_what_writes_no_text_has_no_wait(model: str) -> None:
    assert checked(model).waits == ()


def test_a_stated_prompt_has_the_one_wait() -> None:
    (wait,) = checked("qwen3-8b", prompt_tokens=5_000).waits
    assert wait.prompt_tokens == 5_000
    assert wait.what is None
    assert wait.seconds is not None


def test_a_longer_prompt_waits_longer() -> None:
    likely = []
    for tokens in (500, 2_000, 8_000, 32_000):
        (wait,) = checked("qwen3-8b", prompt_tokens=tokens).waits
        assert wait.seconds is not None
        likely.append(wait.seconds.likely)
    assert likely == sorted(likely)


@pytest.mark.parametrize(
    ("machine", "asked", "outcome", "route"),
    [
        pytest.param(FAST, {}, None, Route.LOCAL, id="no prompt is not judged"),
        pytest.param(
            FAST, {"prompt_tokens": 2_000}, Outcome.PASS, Route.LOCAL, id="short"
        ),
        pytest.param(
            SLOW,
            {"prompt_tokens": 8_000},
            Outcome.WARN,
            Route.LOCAL,
            id="a long one without a limit warns",
        ),
        pytest.param(
            SLOW,
            {"prompt_tokens": 8_000, "max_wait_seconds": 10},
            Outcome.FAIL,
            Route.API,
            id="a limit that is far passed decides",
        ),
        pytest.param(
            SLOW,
            {"prompt_tokens": 8_000, "max_wait_seconds": 10**6},
            Outcome.PASS,
            Route.LOCAL,
            id="a limit that is kept passes",
        ),
        pytest.param(
            SLOW,
            {"purpose": "agent"},
            Outcome.FAIL,
            Route.API,
            id="an agent waits two minutes",
        ),
        pytest.param(
            SLOW,
            {"purpose": "agent", "max_wait_seconds": 10**6},
            Outcome.PASS,
            Route.LOCAL,
            id="a stated limit goes before that of the purpose",
        ),
    ],
)
def test_wait_decides(
    machine: Any, asked: dict[str, Any], outcome: Outcome | None, route: Route
) -> None:
    verdict = checked("qwen3-8b", machine, **asked)
    assert wait_outcome(verdict) == outcome
    assert verdict.route == route


def test_a_limit_between_the_ends_of_the_wait_leaves_the_answer_open() -> None:
    (wait,) = checked("qwen3-8b", SLOW, prompt_tokens=8_000).waits
    assert wait.seconds is not None
    between = (wait.seconds.low + wait.seconds.likely) / 2
    verdict = checked("qwen3-8b", SLOW, prompt_tokens=8_000, max_wait_seconds=between)
    assert wait_outcome(verdict) == Outcome.UNKNOWN
    assert verdict.route == Route.UNKNOWN


@pytest.mark.parametrize(
    ("users", "max_wait", "code", "route"),
    [
        # their prompts alone are two million tokens
        pytest.param(500, 1, "wait-in-queue", Route.API, id="a queue longer than that"),
        pytest.param(500, 600, "wait-queue", Route.UNKNOWN, id="a queue of answers"),
        pytest.param(
            500, None, "wait-queue", Route.LOCAL, id="a queue without a limit"
        ),
        pytest.param(8, 2, "wait-short", Route.LOCAL, id="nobody waits"),
    ],
)
def test_users_who_wait_for_their_turn_count_in_a_stated_wait(
    users: int, max_wait: float | None, code: str, route: Route
) -> None:
    """The wait of one request alone was held against the limit, while 390 of 500 users waited."""
    verdict = check(
        "llama-3.1-8b",
        machine="h100 sxm",
        runtime="vllm",
        parallel=users,
        context_tokens=8192,
        prompt_tokens=4096,
        max_wait_seconds=max_wait,
    )
    assert verdict.has(code)
    assert verdict.route is route
    assert "one request alone" in screen_of(verdict)


@pytest.mark.parametrize(
    ("purpose", "context", "prompt", "max_wait"),
    [
        pytest.param("chat", None, None, None, id="chat"),
        # docs/context-length.mdx of ollama/ollama: at least 64,000 tokens for agents
        pytest.param("agent", 65_536, 20_000, 120, id="agent"),
        pytest.param("documents", 32_768, 16_000, None, id="documents"),
    ],
)
def test_a_purpose_states_what_nobody_else_does(
    purpose: str, context: int | None, prompt: int | None, max_wait: float | None
) -> None:
    workload = Workload(purpose=purpose)
    assert workload.context_tokens == context
    assert workload.prompt_tokens == prompt
    assert workload.max_wait_seconds == max_wait


def test_stated_values_go_before_those_of_a_purpose() -> None:
    workload = Workload(purpose="agent", context_tokens=40_000, prompt_tokens=9_000)
    assert workload.context_tokens == 40_000
    assert workload.prompt_tokens == 9_000
    assert workload.max_wait_seconds == 120


def test_a_purpose_is_typed_again_without_its_values() -> None:
    assert Workload(purpose="agent").options() == " --for agent"
    typed = Workload(purpose="agent", max_wait_seconds=30).options()
    assert typed == " --for agent --max-wait 30s"


@pytest.mark.parametrize(
    ("seconds", "typed"),
    [
        pytest.param(0.001, "0.001s", id="least"),
        pytest.param(0.5, "0.5s", id="part of a second"),
        pytest.param(30, "30s", id="whole"),
        pytest.param(1_234_567, "1234567s", id="seven digits"),
        pytest.param(10**9, "1000000000s", id="most"),
    ],
)
def test_a_longest_wait_is_read_as_it_is_typed_again(
    seconds: float, typed: str
) -> None:
    workload = Workload(prompt_tokens=9, max_wait_seconds=seconds)
    assert workload.options() == f" --prompt 9 --max-wait {typed}"
    assert parse_wait(typed) == seconds


def test_fine_tuning_refuses_a_purpose_and_nothing_that_it_would_state() -> None:
    with pytest.raises(WorkloadError) as refused:
        Workload(task="finetune", purpose="agent")
    assert [problem.key for problem in refused.value.problems] == ["purpose"]


@pytest.mark.parametrize(
    ("model", "asked", "told"),
    [
        pytest.param(
            "flux.1-schnell",
            {"prompt_tokens": 9, "max_wait_seconds": 5},
            [
                "--prompt and --max-wait have no effect: FLUX.1 [schnell] is not judged "
                "by tokens."
            ],
            id="a wait that is typed",
        ),
        pytest.param("bge-m3", {"context_tokens": 2048}, [], id="embeddings"),
    ],
)
def test_options_without_effect_are_those_that_were_typed(
    model: str, asked: dict[str, Any], told: list[str]
) -> None:
    notes = check(model, machine=FAST, **asked).notes
    assert [note for note in notes if "no effect" in note] == told


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        pytest.param(
            {"max_wait_seconds": 5}, "needs the length of a prompt", id="no prompt"
        ),
        pytest.param(
            {"prompt_tokens": 9, "max_wait_seconds": 0}, "at least", id="no time"
        ),
        pytest.param({"purpose": "agents"}, "not one of chat", id="another purpose"),
        pytest.param(
            {"task": "finetune", "purpose": "chat"}, "fine-tuning", id="training"
        ),
    ],
)
def test_what_makes_no_sense_is_refused(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(WorkloadError, match=words):
        Workload(**asked)


def beside_qwen(model: str, purpose: str) -> object:
    return compare(["qwen3-8b", model], machine=FAST, purpose=purpose)


@pytest.mark.parametrize("purpose", WORKLOAD_PURPOSES)
@pytest.mark.parametrize(
    ("model", "name"),
    [
        pytest.param("flux.1-schnell", "FLUX.1 [schnell]", id="pictures"),
        pytest.param("bge-m3", "bge-m3", id="embeddings"),
        pytest.param("whisper-small", "Whisper small", id="speech"),
        pytest.param("dall-e-3", "DALL·E 3", id="closed pictures"),
    ],
)
@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(partial(check, machine=FAST), id="check"),
        pytest.param(plan, id="plan"),
        pytest.param(size, id="size"),
        pytest.param(beside_qwen, id="compare"),
    ],
)
def test_a_purpose_needs_a_model_that_writes_text(
    asked: Callable[..., object], model: str, name: str, purpose: str
) -> None:
    """A wrong yes in an audit is worse than a refusal, so that every purpose refuses alike."""
    told = f"{name} answers no prompt with text, so it is of no use for {purpose}"
    with pytest.raises(WorkloadError, match=re.escape(told)):
        asked(model, purpose=purpose)


@pytest.mark.parametrize("purpose", WORKLOAD_PURPOSES)
def test_a_list_for_a_purpose_has_models_that_write_text(purpose: str) -> None:
    for modality in ("speech", "embedding", "image"):
        ranking = rank(purpose=purpose, modality=modality, machine=FAST, top=3)
        assert (ranking.models, ranking.refused) == ((), {})
    assert rank(purpose=purpose, modality="vision", machine=FAST, top=3).models


def test_a_list_for_agents_has_models_that_call_functions() -> None:
    ranking = rank(purpose="agent", top=5, machine=FAST)
    assert ranking.models
    for row in ranking.models:
        assert "function-calling" in (row.model.uses or ())
        assert row.workload.context_tokens == 65_536
        assert row.speed is None or row.speed.first_token_seconds is not None


def test_a_model_that_calls_no_functions_is_told_so() -> None:
    # Gemma 2 has no template for tools
    verdict = checked("gemma-2-9b-it", purpose="agent", context_tokens=8_192 * 3)
    assert any("function calling" in note for note in verdict.notes)


def plan_of_no_machine(workload: Workload) -> Plan:
    """The plan for Qwen3 8B; to judge the known machines would take most of its time."""
    return plan_with(open_catalogue(), "qwen3-8b", workload, ())


def test_the_least_machine_for_an_agent_has_a_gpu() -> None:
    # cores read a prompt of 20,000 tokens for minutes, whatever the memory
    least = plan_of_no_machine(Workload(purpose="agent")).least
    assert least is not None
    assert least.accelerator.required
    without = plan_of_no_machine(Workload(context_tokens=65_536)).least
    assert without is not None
    assert not without.accelerator.required
    # it holds the same in the same program
    assert least.accelerator.memory_bytes == without.accelerator.memory_bytes


def test_the_least_machine_for_an_agent_has_the_memory() -> None:
    # llama.cpp leaves 1 GiB of a GPU free: on a smaller one a part of the model lies in RAM
    found = plan_of_no_machine(Workload(purpose="agent"))
    assert found.reasons == ()
    assert found.least is not None
    verdict = check("qwen3-8b", found.workload, machine=found.least.machine)
    assert verdict.placement == "accelerator"
    memory = verdict.finding("memory")
    assert memory is None or memory.outcome == Outcome.PASS


def test_the_summary_tells_the_wait_of_a_stated_prompt() -> None:
    assert "first word" in checked("qwen3-8b", prompt_tokens=2_000).summary
    assert "first word" not in checked("qwen3-8b").summary


@pytest.mark.parametrize(
    ("ends", "longest", "outcome", "code"),
    [
        pytest.param((60, 90, 120), None, "pass", "wait-short", id="two minutes"),
        pytest.param((60, 121, 180), None, "warn", "wait-long", id="longer, no limit"),
        pytest.param(
            (5, 9, 20), 10, "pass", "wait-short", id="likely within the limit"
        ),
        pytest.param((5, 11, 20), 10, "unknown", "wait-close", id="likely beyond it"),
        pytest.param((11, 15, 20), 10, "fail", "wait-too-long", id="surely beyond it"),
        pytest.param(None, 10, "unknown", "wait-not-known", id="not known"),
    ],
)
def test_a_wait_gets_the_finding_of_the_contract(
    ends: tuple[float, float, float] | None,
    longest: float | None,
    outcome: str,
    code: str,
) -> None:
    """The fast end decides against a limit that was stated; without one none decides."""
    seconds = None if ends is None else Range(*ends)
    asked = work(prompt_tokens=1_000, max_wait_seconds=longest)
    finding = wait_check(asked, Speed(first_token_seconds=seconds, how="nobody knows"))
    assert finding is not None
    assert (finding.outcome.value, finding.code) == (outcome, code)
    assert finding.reason.endswith(".")


@pytest.mark.parametrize(
    ("model", "quantization", "machine"),
    [
        pytest.param(
            "moonlight-16b-a3b-instruct", "Q4_K_M", "rtx 3070 8gb 16gb", id="experts"
        ),
        pytest.param(
            "mixtral-8x7b-instruct-v0.1", "Q2_K", "rtx 3080 10gb, 32gb", id="large"
        ),
        pytest.param("phi-4", "Q8_0", "rtx 3080 10gb, 64gb", id="dense"),
    ],
)
def test_a_longer_prompt_waits_no_less(
    model: str, quantization: str, machine: str
) -> None:
    """Where weights cross to a GPU, 1,000 tokens began at the fast end 8 % earlier than 500."""
    before = (0.0, 0.0, 0.0)
    for tokens in (1, 64, 500, 511, 512, 513, 564, 1000, 1025, 3000, 3030):
        verdict = check(
            model,
            machine=machine,
            runtime="llama.cpp",
            quantization=quantization,
            kv_cache_type="f16",
            prompt_tokens=tokens,
            context_tokens=4096,
        )
        assert verdict.speed is not None
        wait = verdict.speed.first_token_seconds
        assert wait is not None
        ends = (wait.low, wait.likely, wait.high)
        for shorter, longer in zip(before, ends, strict=True):
            assert longer >= shorter * 0.999_999
        before = ends


@pytest.mark.parametrize(
    ("asked", "row"),
    [
        pytest.param(
            {"context_tokens": 4_096},
            "an agent's first prompt (20,000 tokens), with a longer context",
            id="a prompt longer than the context",
        ),
        pytest.param(
            {"context_tokens": 32_768},
            "an agent's first prompt (20,000 tokens)",
            id="a prompt that the context holds",
        ),
    ],
)
def test_a_wait_says_whether_the_prompt_needs_a_longer_context(
    asked: dict[str, int], row: str
) -> None:
    verdict = checked("qwen3-8b", **asked)
    assert f"for {row}\n" in plain(check_document([verdict], verbose=True))
    # nobody asked for an agent: the first screen does not frighten with its wait
    assert "agent" not in screen_of(verdict)


def test_a_wait_that_may_exceed_the_limit_names_the_limit() -> None:
    speed = checked("qwen3-8b", prompt_tokens=20_000).speed
    assert speed is not None
    wait = speed.first_token_seconds
    assert wait is not None
    between = (wait.likely + wait.high) / 2
    verdict = checked("qwen3-8b", prompt_tokens=20_000, max_wait_seconds=between)
    assert verdict.can_run
    assert "you allow" in screen_of(verdict)
    above = checked("qwen3-8b", prompt_tokens=20_000, max_wait_seconds=wait.high + 1)
    assert "you allow" not in screen_of(above)


def test_a_pace_too_slow_with_a_full_context_stands_in_the_headline() -> None:
    verdict = check("mistral-7b", machine="i5-8250U 16GB", context_tokens=32_768)
    assert verdict.can_run
    assert verdict.has("speed-when-full")
    assert screen_of(verdict).startswith("! RUNS, SLOW WHEN FULL  Mistral 7B")
