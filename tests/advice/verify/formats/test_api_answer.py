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
