"""What programs print behind an answer, and answers over HTTP."""

from __future__ import annotations

import json

import pytest

from helpers.paths import DATA
from selfhost.advice.verify.formats.answers import read
from selfhost.advice.verify.run import Run


def sample(name: str) -> str:
    return (DATA / "logs" / f"answers-{name}.txt").read_text("utf-8")


def run_of(text: str) -> Run:
    run = read(text)
    assert run is not None
    return run


@pytest.mark.parametrize(
    ("name", "runtime", "model", "paces"),
    [
        # the rates that Ollama prints, with how many tokens they are of
        ("ollama", "ollama", None, [("prompt", 11, 53.77, 0), ("decode", 120, 24.61, 71)]),
        # 290 tokens in 20.709213 s, as /api/generate counts them in nanoseconds
        ("ollama_api", "ollama", "llama3.2:3b", [("decode", 290, 14.0034, 171)]),
        # `predicted_per_second`, which the counted tokens and time give
        (
            "llama_server",
            "llama.cpp",
            "Qwen3-8B-Q4_K_M.gguf",
            [("prompt", 64, 14.19, 0), ("decode", 128, 6.693, 128)],
        ),
        # lmstudio-ai/docs: 1_developer/2_rest/endpoints.mdx; 120 tokens behind 24 of the prompt
        ("lm_studio_api", "llama.cpp", "qwen2.5-0.5b-instruct", [("decode", 120, 51.437095, 84)]),
        # 200 tokens in 10 + 15 s, of the prompts 600 + 100 in 6 + 0.5 s
        (
            "koboldcpp",
            "llama.cpp",
            None,
            [("prompt", 350, 107.6923, None), ("decode", 100, 8, 750)],
        ),
    ],
)
def test_the_figures_that_each_program_prints(
    name: str, runtime: str, model: str | None, paces: list[tuple[str, int, float, int | None]]
) -> None:
    run = run_of(sample(name))
    assert run.runtime == runtime
    assert model is None or run.name == model
    seen = {pace.kind: pace for pace in run.paces}
    for kind, tokens, rate, depth in paces:
        assert seen[kind].tokens == tokens
        assert seen[kind].tokens_per_second == pytest.approx(rate, rel=1e-3)
        assert depth is None or seen[kind].depth_tokens == depth


def test_answers_and_buffers_are_read_together() -> None:
    """The rest of KoboldCpp's log is llama.cpp's."""
    run = run_of(sample("koboldcpp"))
    assert (run.tool, run.architecture, run.quantization) == ("KoboldCpp", "qwen2", "Q4_K_M")
    assert {seen.term for seen in run.memory} == {"weights", "kv_cache"}


def test_answers_are_all_their_tokens_over_all_their_time() -> None:
    """100 tokens at 50 and 300 at 75 a second take 2 and 4 seconds, behind 60 and 180 of context."""
    run = run_of(
        "Prompt: 10 tokens, 100.000 tokens-per-sec\nGeneration: 100 tokens, 50.000 tokens-per-sec\n"
        "Peak memory: 4.712 GB\n"
        "Prompt: 30 tokens, 300.000 tokens-per-sec\nGeneration: 300 tokens, 75.000 tokens-per-sec\n"
    )
    prompt, decode = run.paces
    assert prompt.tokens_per_second == pytest.approx(40 / 0.2)
    assert decode.tokens_per_second == pytest.approx(400 / 6)
    assert (run.runtime, run.name, decode.depth_tokens) == ("mlx", None, 150)
    assert "not compared" in run.notes[0]


def test_drafts_make_a_pace_incomparable() -> None:
    """A step then gives several tokens."""
    run = run_of("Generation: 100 tokens, 50.000 tokens-per-sec\nDraft acceptance: 60/80 (75.0%)\n")
    assert run.paces[0].drafted


def test_of_a_chat_the_first_prompt_counts() -> None:
    """Ollama counts those of the later ones with what its cache held back; the context is all of it."""
    text = sample("ollama")
    chat = text + text.replace("11 token(s)", "143 token(s)").replace("53.77", "9999.00")
    prompt, decode = run_of(chat).paces
    assert (prompt.tokens, round(prompt.tokens_per_second or 0, 2)) == (11, 53.77)
    assert decode.depth_tokens == (11 + 60 + 143 + 60) // 2


def test_answers_of_half_an_hour_count_and_impossible_ones_do_not() -> None:
    """A slow machine takes 2 x 10^12 ns; no time at all and no number are no pace."""
    answer = {"model": "m", "eval_count": 4000, "eval_duration": 2_000_000_000_000}
    wrong = [{**answer, "eval_duration": value} for value in (0, -1, "1", None, 10**30)]
    run = run_of(json.dumps([answer, *wrong]))
    assert [pace.tokens_per_second for pace in run.paces] == [2.0]
    assert read(json.dumps(wrong)) is None


def test_a_chat_saved_in_the_servers_page() -> None:
    """lota09/local_LLM_llama: the answers stand among `messages`."""
    timings = {"predicted_n": 10, "predicted_ms": 500}
    answer = {"role": "assistant", "model": "m", "timings": timings}
    run = run_of(json.dumps({"conv": {}, "messages": [{"role": "user"}, answer]}))
    assert (run.name, run.paces[0].tokens_per_second) == ("m", 20.0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1, 2]",
        '{"timings": 3}',
        '{"model": "gpt-3.5-turbo"}',
        '{"stats": {"tokens_per_second": 0}}',
        '{"stats": {"tokens_per_second": true}}',
        '{"tokens_per_second": 5}',
        "The eval rate: 9999 tokens/s is what you asked about.\n",
    ],
)
def test_nothing_else_is_taken_for_an_answer(text: str) -> None:
    assert read(text) is None
