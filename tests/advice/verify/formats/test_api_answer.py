"""Answers of Ollama and llama-server over HTTP."""

from __future__ import annotations

import json

import pytest

from helpers.paths import DATA
from selfhost.advice.verify.formats import api_answer
from selfhost.advice.verify.run import Run

LOGS = DATA / "logs"


def test_the_answer_of_ollama() -> None:
    """290 tokens in 20.709213 s, as /api/generate counts them in nanoseconds."""
    run = api_answer.read((LOGS / "api_answer-ollama.txt").read_text("utf-8"))
    assert run is not None
    assert (run.runtime, run.name) == ("ollama", "llama3.2:3b")
    decode = run.paces[1]
    assert (decode.kind, decode.tokens) == ("decode", 290)
    assert decode.tokens_per_second == pytest.approx(290 / 20.709213)


def test_the_stream_of_llama_server() -> None:
    """Its last object holds `predicted_per_second`, which the counted tokens and time give."""
    run = api_answer.read((LOGS / "api_answer-llama_server.txt").read_text("utf-8"))
    assert run is not None
    assert (run.runtime, run.name) == ("llama.cpp", "Qwen3-8B-Q4_K_M.gguf")
    assert [round(pace.tokens_per_second or 0, 2) for pace in run.paces] == [14.19, 6.69]


def test_answers_of_half_an_hour_count_and_impossible_ones_do_not() -> None:
    """A slow machine takes 2 x 10^12 ns; no time at all and no number are no pace."""
    answer = {"model": "m", "eval_count": 4000, "eval_duration": 2_000_000_000_000}
    wrong = [{**answer, "eval_duration": value} for value in (0, -1, "1", None, 10**30)]
    run = api_answer.read(json.dumps([answer, *wrong]))
    assert run is not None
    assert [pace.tokens_per_second for pace in run.paces] == [2.0]
    assert not (api_answer.read(json.dumps(wrong)) or run.replace(paces=())).holds_figures


@pytest.mark.parametrize(
    "text", ["", "{", "[1, 2]", '{"timings": 3}', '{"model": "gpt-3.5-turbo"}']
)
def test_other_json_is_none(text: str) -> None:
    """Nothing else is taken for an answer."""
    assert api_answer.read(text) is None


def test_what_the_cache_held_back_is_part_of_the_context() -> None:
    """A real answer of llama-server: 251 tokens of its prompt were in the cache, 9 were read."""
    timings = {
        "cache_n": 251, "prompt_n": 9, "prompt_ms": 620.197, "predicted_n": 80,
        "predicted_ms": 17738.747,
    }  # fmt: skip
    run = api_answer.read(json.dumps({"model": "m", "timings": timings}))
    assert run is not None
    assert {pace.kind: pace.depth_tokens for pace in run.paces} == {
        "prompt": 251,
        "decode": 251 + 9 + 40,
    }


def test_a_chat_saved_in_the_servers_page() -> None:
    """lota09/local_LLM_llama: the answers stand among `messages`."""
    answer = {
        "role": "assistant",
        "model": "m",
        "timings": {"predicted_n": 10, "predicted_ms": 500},
    }
    run = api_answer.read(json.dumps({"conv": {}, "messages": [{"role": "user"}, answer]}))
    assert run is not None
    assert (run.name, run.paces[0].tokens_per_second) == ("m", 20.0)


def test_ollama_counts_a_prompt_that_it_did_not_read() -> None:
    """Of a chat the first prompt counts (ollama/ollama#10860: 63,859 tokens 'read' in 0.21 s), and all
    of the last is context (ollama/ollama#7740).
    """
    chat: list[dict[str, float]] = [
        {"prompt_eval_count": 500, "prompt_eval_duration": 5e9, "eval_count": 100, "eval_duration": 4e9},
        {"prompt_eval_count": 63859, "prompt_eval_duration": 205727569, "eval_count": 82,
         "eval_duration": 2676314808},
    ]  # fmt: skip
    run = api_answer.read("\n".join(json.dumps({"model": "m", **answer}) for answer in chat))
    assert run is not None
    prompt, decode = run.paces
    assert (prompt.tokens_per_second, prompt.tokens) == (100.0, 500)
    assert decode.depth_tokens == round(((500 + 50) * 100 + (63859 + 41) * 82) / 182)


def test_a_server_without_a_name_tells_its_file() -> None:
    """As a path, by which the model can be read itself."""
    timings = {"predicted_n": 10, "predicted_ms": 500}
    run = api_answer.read(json.dumps({"model": "/m/own.gguf", "timings": timings}))
    assert run is not None
    assert run.file == "/m/own.gguf"


def run_of(text: str) -> Run:
    run = api_answer.read(text)
    assert run is not None
    return run


def test_an_answer_of_api_v0() -> None:
    """lmstudio-ai/docs: 1_developer/2_rest/endpoints.mdx; 120 tokens behind 24 of the prompt."""
    run = run_of((LOGS / "api_answer-lm_studio.txt").read_text("utf-8"))
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
    answer = json.loads((LOGS / "api_answer-lm_studio.txt").read_text("utf-8"))
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
    ],
    ids=["api v1", "stream", "log as JSON"],
)
def test_wherever_the_stats_stand(text: str, name: str, pace: float, depth_tokens: int) -> None:
    """The same fields, as each of its outputs holds them."""
    run = run_of(text)
    assert run.name == name
    assert run.paces[0].tokens_per_second == pytest.approx(pace)
    assert run.paces[0].depth_tokens == depth_tokens
    assert "which engine" in run.notes[-1]


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
    ],
)
def test_no_pace_is_none(text: str) -> None:
    run = api_answer.read(text)
    assert run is None or not run.holds_figures or text.count("true")
