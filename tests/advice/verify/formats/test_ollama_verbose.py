"""`ollama run --verbose`."""

from __future__ import annotations

import pytest

from helpers.paths import DATA
from selfhost.advice.verify.formats import ollama_verbose

SAMPLE = (DATA / "logs" / "ollama_verbose-answers.txt").read_text("utf-8")


def test_rates_and_counts() -> None:
    """The rates that Ollama prints, with how many tokens they are of."""
    run = ollama_verbose.read(SAMPLE)
    assert run is not None
    assert run.runtime == "ollama"
    assert [
        (pace.kind, pace.tokens, round(pace.tokens_per_second or 0, 2)) for pace in run.paces
    ] == [
        ("prompt", 11, 53.77),
        ("decode", 120, 24.61),
    ]


def test_several_answers_count_by_their_tokens() -> None:
    """100 tokens in 1 s and 100 in 9 s are 20 tokens/s, not the mean of two rates."""
    text = "".join(
        f"eval count:           100 token(s)\neval rate:            {rate} tokens/s\n"
        for rate in ("100.00", "11.1111")
    )
    run = ollama_verbose.read(text)
    assert run is not None
    assert round(run.paces[0].tokens_per_second or 0, 2) == 20


def test_an_answer_that_speaks_of_rates_is_none() -> None:
    """What a model writes is not what Ollama measured."""
    assert ollama_verbose.read("The eval rate: 9999 tokens/s is what you asked about.\n") is None


@pytest.mark.parametrize("rate", ["inf", "+Inf", "NaN", "-4.21", "1e400", "0.00"])
def test_an_answer_whose_rate_is_no_number_is_told(rate: str) -> None:
    """Left out, the run would pass by its prompt alone."""
    run = ollama_verbose.read(SAMPLE.replace("24.61 tokens/s", f"{rate} tokens/s"))
    assert run is not None
    assert [(pace.kind, pace.tokens, pace.tokens_per_second is None) for pace in run.paces] == [
        ("prompt", 11, False),
        ("decode", 120, True),
    ]


def test_of_a_chat_the_first_prompt_counts() -> None:
    """Ollama counts those of the later ones with what its cache held back; the context is all of it."""
    chat = SAMPLE + SAMPLE.replace("11 token(s)", "143 token(s)").replace("53.77", "9999.00")
    run = ollama_verbose.read(chat)
    assert run is not None
    prompt, decode = run.paces
    assert (prompt.tokens, round(prompt.tokens_per_second or 0, 2)) == (11, 53.77)
    assert decode.depth_tokens == (11 + 60 + 143 + 60) // 2
