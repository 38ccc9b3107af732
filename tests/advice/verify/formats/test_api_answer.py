"""Answers of Ollama and llama-server over HTTP."""

from __future__ import annotations

import json

import pytest

from helpers.paths import DATA
from selfhost.advice.verify.formats import api_answer

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
    assert decode.depth_tokens == (500 + 50 + 63859 + 41) // 2


def test_a_server_without_a_name_tells_its_file() -> None:
    """As a path, by which the model can be read itself."""
    timings = {"predicted_n": 10, "predicted_ms": 500}
    run = api_answer.read(json.dumps({"model": "/m/own.gguf", "timings": timings}))
    assert run is not None
    assert run.file == "/m/own.gguf"
