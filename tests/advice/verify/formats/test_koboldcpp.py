"""KoboldCpp."""

from __future__ import annotations

import pytest

from helpers.paths import DATA
from selfhost.advice.verify.formats.koboldcpp import read

SAMPLE = (DATA / "logs" / "koboldcpp-answers.txt").read_text("utf-8")


def test_answers_and_buffers_are_read_together() -> None:
    """200 tokens in 10 + 15 s; of the prompts 600 + 100 in 6 + 0.5 s. The buffers are llama.cpp's."""
    run = read(SAMPLE)
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
