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


def test_its_benchmark_names_the_model() -> None:
    """LostRuins/koboldcpp#1266 (2024-12): 16,284 tokens read, 100 written at 4.30 tokens/s."""
    run = read(
        "CtxLimit:16384/16384, Amt:100/100, Init:0.07s, Process:21.22s (1.3ms/T = 767.28T/s),"
        " Generate:23.24s (232.4ms/T = 4.30T/s), Total:44.46s (2.25T/s)\n"
        "Backend: koboldcpp_cublas.dll\nModel: Cydonia-22B-v1.3.i1-IQ4_XS\nMaxCtx: 16384\n"
    )
    assert run is not None
    assert (run.name, run.context_tokens) == ("Cydonia-22B-v1.3.i1-IQ4_XS", 16384)
    paces = {pace.kind: pace for pace in run.paces}
    assert paces["decode"].tokens_per_second == pytest.approx(4.30, rel=0.005)
    assert paces["decode"].depth_tokens == 16384 - 50
    assert paces["prompt"].tokens == pytest.approx(16284, abs=10)


def test_an_answer_of_no_time_is_none() -> None:
    """LostRuins/koboldcpp#972 (2024-07): one token, and a prompt of one."""
    line = "CtxLimit: 3768/4096, Process:0.44s (442.0ms/T = 2.26T/s), Generate:0.00s (3.0ms/T = 333.33T/s)\n"
    assert read(line) is None


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


def test_several_answers_count_by_their_tokens() -> None:
    """100 tokens in 1 s and 100 in 9 s are 20 tokens/s, not the mean of two rates."""
    text = "".join(
        f"eval count:           100 token(s)\neval rate:            {rate} tokens/s\n"
        for rate in ("100.00", "11.1111")
    )
    run = read(text)
    assert run is not None
    assert round(run.paces[0].tokens_per_second or 0, 2) == 20


def test_an_answer_that_speaks_of_rates_is_none() -> None:
    """What a model writes is not what Ollama measured."""
    assert read("The eval rate: 9999 tokens/s is what you asked about.\n") is None


@pytest.mark.parametrize("rate", ["inf", "+Inf", "NaN", "-4.21", "1e400", "0.00"])
def test_an_answer_whose_rate_is_no_number_is_told(rate: str) -> None:
    """Left out, the run would pass by its prompt alone."""
    run = read(OLLAMA.replace("24.61 tokens/s", f"{rate} tokens/s"))
    assert run is not None
    assert [(pace.kind, pace.tokens, pace.tokens_per_second is None) for pace in run.paces] == [
        ("prompt", 11, False),
        ("decode", 120, True),
    ]


def test_of_a_chat_the_first_prompt_counts() -> None:
    """Ollama counts those of the later ones with what its cache held back; the context is all of it."""
    chat = OLLAMA + OLLAMA.replace("11 token(s)", "143 token(s)").replace("53.77", "9999.00")
    run = read(chat)
    assert run is not None
    prompt, decode = run.paces
    assert (prompt.tokens, round(prompt.tokens_per_second or 0, 2)) == (11, 53.77)
    assert decode.depth_tokens == (11 + 60 + 143 + 60) // 2


def test_lm_studio_names_its_model_in_a_log_and_none_in_a_chat() -> None:
    """lmstudio-ai/lms: src/subcommands/chat/util.ts, and the fields of the SDK that a log has."""
    run = read(LM_STUDIO)
    assert run is not None
    assert run.name is None
    (pace,) = run.paces
    assert (round(pace.tokens_per_second or 0, 2), pace.tokens, pace.depth_tokens) == (
        50.12,
        100,
        62,
    )
    log = (
        "type: llm.prediction.output\nmodelIdentifier: qwen\noutput:\nas: it\nstopReason: eosFound\n"
        "tokensPerSecond: 15.841340338684146\nnumGpuLayers: -1\npromptTokensCount: 16632\n"
        "predictedTokensCount: 107\n"
    )
    run = read(log)
    assert run is not None
    assert (run.name, run.paces[0].depth_tokens) == ("qwen", 16632 + 53)
    assert run.paces[0].tokens_per_second == pytest.approx(15.841340338684146)
    assert "which engine" in run.notes[-1]
    assert read("Tokens/Second: fast\n") is None
