"""LM Studio. The fields and their numbers are those of its documentation and of published events."""

from __future__ import annotations

import json

import pytest

from helpers.paths import DATA
from selfhost.advice.verify.formats.lm_studio import read
from selfhost.advice.verify.run import Run

LOGS = DATA / "logs"


def run_of(text: str) -> Run:
    run = read(text)
    assert run is not None
    return run


def test_an_answer_of_api_v0() -> None:
    """lmstudio-ai/docs: 1_developer/2_rest/endpoints.mdx; 120 tokens behind 24 of the prompt."""
    run = run_of((LOGS / "lm_studio-rest.txt").read_text("utf-8"))
    assert (run.runtime, run.name) == ("llama.cpp", "qwen2.5-0.5b-instruct")
    assert (run.architecture, run.quantization) == ("qwen2", "Q4_K_M")
    (pace,) = run.paces
    assert pace.tokens_per_second == pytest.approx(51.43709529007664)
    assert (pace.kind, pace.tokens, pace.depth_tokens) == ("decode", 120, 24 + 60)
    assert run.notes == ()


@pytest.mark.parametrize(
    ("format", "quantization", "runtime"), [("gguf", "Q8_0", "llama.cpp"), ("mlx", "4bit", "mlx")]
)
def test_the_engine_is_told_by_the_format(format: str, quantization: str, runtime: str) -> None:
    answer = json.loads((LOGS / "lm_studio-rest.txt").read_text("utf-8"))
    answer["model_info"] |= {"format": format, "quant": quantization}
    run = run_of(json.dumps(answer))
    assert (run.runtime, run.quantization) == (runtime, quantization)


STATS_V1 = {
    "input_tokens": 329,
    "total_output_tokens": 268,
    "reasoning_output_tokens": 5,
    "tokens_per_second": 43.73,
    "time_to_first_token_seconds": 0.781,
}
STATS_SDK = {
    "stopReason": "eosFound",
    "tokensPerSecond": 15.841340338684146,
    "numGpuLayers": -1,
    "timeToFirstTokenSec": 13.94,
    "totalTimeSec": 6.755,
    "promptTokensCount": 16632,
    "predictedTokensCount": 107,
    "totalTokensCount": 16739,
}


@pytest.mark.parametrize(
    ("text", "name", "pace", "depth_tokens"),
    [
        (
            json.dumps({"model_instance_id": "openai/gpt-oss-20b", "stats": STATS_V1}),
            "openai/gpt-oss-20b",
            43.73,
            329 + 134,
        ),
        (
            'event: message.delta\ndata: {"type":"message.delta","content":"Hi"}\n\nevent: chat.end\ndata: '
            + json.dumps(
                {"type": "chat.end", "result": {"model_instance_id": "m", "stats": STATS_V1}}
            ),
            "m",
            43.73,
            329 + 134,
        ),
        (
            json.dumps({"data": {"modelIdentifier": "qwen", "output": "…", "stats": STATS_SDK}}),
            "qwen",
            15.841340338684146,
            16632 + 53,
        ),
        (
            json.dumps(
                {
                    "messages": [
                        {"role": "user"},
                        {
                            "versions": [
                                {"steps": [{"genInfo": {"identifier": "q", "stats": STATS_SDK}}]}
                            ]
                        },
                    ]
                }
            ),
            "q",
            15.841340338684146,
            16632 + 53,
        ),
        (
            "2025-04-15 09:56:44  [INFO] \n[LM STUDIO SERVER] [m] Generated prediction:  "
            + json.dumps({"model": "m", "stats": STATS_V1}, indent=2)
            + "\n2025-04-15 09:56:45  [INFO] \n",
            "m",
            43.73,
            329 + 134,
        ),
        (
            "type: llm.prediction.output\nmodelIdentifier: qwen\noutput:\nas: it\n"
            + "".join(f"{key}: {value}\n" for key, value in STATS_SDK.items()),
            "qwen",
            15.841340338684146,
            16632 + 53,
        ),
    ],
    ids=["api v1", "stream", "log as JSON", "saved chat", "server log", "log"],
)
def test_wherever_the_stats_stand(text: str, name: str, pace: float, depth_tokens: int) -> None:
    """The same fields, as each of its outputs holds them."""
    run = run_of(text)
    assert run.name == name
    assert run.paces[0].tokens_per_second == pytest.approx(pace)
    assert run.paces[0].depth_tokens == depth_tokens
    assert "which engine" in run.notes[-1]


def test_a_chat_names_no_model() -> None:
    """lmstudio-ai/lms: src/subcommands/chat/util.ts."""
    run = run_of((LOGS / "lm_studio-chat.txt").read_text("utf-8"))
    assert run.name is None
    (pace,) = run.paces
    assert (pace.tokens_per_second, pace.tokens, pace.depth_tokens) == (50.12, 100, 62)


def test_several_answers_count_by_their_tokens() -> None:
    """100 tokens in 2 s and 100 in 4 s; those of another model are left out."""
    answers = [
        {"model": model, "stats": {"tokens_per_second": pace, "total_output_tokens": 100}}
        for model, pace in (("other", 500), ("m", 50), ("m", 25))
    ]
    run = run_of("\n".join(map(json.dumps, answers)))
    assert round(run.paces[0].tokens_per_second or 0, 2) == 33.33
    assert "left out: 1." in run.notes[0]


def test_an_answer_that_was_drafted_is_told() -> None:
    """lmstudio-ai/docs: api-changelog.md, LM Studio 0.3.10."""
    stats = {"tokens_per_second": 90.5, "draft_model": "small", "total_draft_tokens_count": 20}
    assert run_of(json.dumps({"model": "m", "stats": stats})).paces[0].drafted


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"stats": {}}',
        '{"stats": {"tokens_per_second": 0}}',
        '{"stats": {"tokens_per_second": true}}',
        '{"tokens_per_second": 5}',
        "Tokens/Second: fast\n",
    ],
)
def test_no_pace_is_none(text: str) -> None:
    run = read(text)
    assert run is None or not run.holds_figures or text.count("true")
