"""What programs print behind an answer."""

from __future__ import annotations

import pytest

from helpers.paths import DATA
from selfhost.advice.verify.formats.answers_printed import read

KOBOLDCPP, OLLAMA, LM_STUDIO = (
    (DATA / "logs" / f"answers_printed-{name}.txt").read_text("utf-8")
    for name in ("koboldcpp", "ollama", "lm_studio")
)


def test_answers_and_buffers_are_read_together() -> None:
    """200 tokens in 10 + 15 s; of the prompts 600 + 100 in 6 + 0.5 s. The buffers are llama.cpp's."""
    run = read(KOBOLDCPP)
    assert run is not None
    assert (run.tool, run.architecture, run.quantization) == ("KoboldCpp", "qwen2", "Q4_K_M")
    paces = {pace.kind: pace for pace in run.paces}
    assert paces["decode"].tokens_per_second == pytest.approx(200 / 25)
    assert paces["prompt"].tokens_per_second == pytest.approx(700 / 6.5)
    assert paces["decode"].depth_tokens == (650 + 850) / 2
    assert {seen.term for seen in run.memory} == {"weights", "kv_cache"}


def test_answers_are_all_their_tokens_over_all_their_time() -> None:
    """100 tokens at 50 and 300 at 75 a second take 2 and 4 seconds, behind 60 and 180 of context."""
    run = read(
        "Prompt: 10 tokens, 100.000 tokens-per-sec\nGeneration: 100 tokens, 50.000 tokens-per-sec\n"
        "Peak memory: 4.712 GB\n"
        "Prompt: 30 tokens, 300.000 tokens-per-sec\nGeneration: 300 tokens, 75.000 tokens-per-sec\n"
    )
    assert run is not None
    prompt, decode = run.paces
    assert prompt.tokens_per_second == pytest.approx(40 / 0.2)
    assert decode.tokens_per_second == pytest.approx(400 / 6)
    assert (run.runtime, run.name, decode.depth_tokens) == ("mlx", None, 150)
    assert "not compared" in run.notes[0]


def test_drafts_make_a_pace_incomparable() -> None:
    """A step then gives several tokens."""
    run = read("Generation: 100 tokens, 50.000 tokens-per-sec\nDraft acceptance: 60/80 (75.0%)\n")
    assert run is not None
    assert run.paces[0].drafted


def test_rates_and_counts() -> None:
    """The rates that Ollama prints, with how many tokens they are of."""
    run = read(OLLAMA)
    assert run is not None
    assert run.runtime == "ollama"
    assert [
        (pace.kind, pace.tokens, round(pace.tokens_per_second or 0, 2)) for pace in run.paces
    ] == [
        ("prompt", 11, 53.77),
        ("decode", 120, 24.61),
    ]


def test_an_answer_that_speaks_of_rates_is_none() -> None:
    """What a model writes is not what Ollama measured."""
    assert read("The eval rate: 9999 tokens/s is what you asked about.\n") is None


def test_of_a_chat_the_first_prompt_counts() -> None:
    """Ollama counts those of the later ones with what its cache held back; the context is all of it."""
    chat = OLLAMA + OLLAMA.replace("11 token(s)", "143 token(s)").replace("53.77", "9999.00")
    run = read(chat)
    assert run is not None
    prompt, decode = run.paces
    assert (prompt.tokens, round(prompt.tokens_per_second or 0, 2)) == (11, 53.77)
    assert decode.depth_tokens == (11 + 60 + 143 + 60) // 2
