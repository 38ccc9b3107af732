"""What MLX LM prints."""

from __future__ import annotations

import pytest

from selfhost.advice.verify.formats.mlx_lm import read


def test_answers_are_all_their_tokens_over_all_their_time() -> None:
    """100 tokens at 50 and 300 at 75 a second take 2 and 4 seconds."""
    run = read(
        "Prompt: 10 tokens, 100.000 tokens-per-sec\nGeneration: 100 tokens, 50.000 tokens-per-sec\n"
        "Peak memory: 4.712 GB\n"
        "Prompt: 30 tokens, 300.000 tokens-per-sec\nGeneration: 300 tokens, 75.000 tokens-per-sec\n"
    )
    assert run is not None
    prompt, decode = run.paces
    assert prompt.tokens_per_second == pytest.approx(40 / 0.2)
    assert decode.tokens_per_second == pytest.approx(400 / 6)
    assert (run.runtime, run.name, decode.depth_tokens) == ("mlx", None, 120)
    assert "not compared" in run.notes[0]


def test_a_benchmark_is_the_mean_of_its_trials() -> None:
    """Of several sequences the prompt is left out, as they are read together."""
    trials = (
        "Trial 1:  prompt_tps=2000.000, generation_tps=80.000, peak_memory=4.900\n"
        "Trial 2:  prompt_tps=2200.000, generation_tps=84.000, peak_memory=4.900\n"
        "Averages: prompt_tps=2100.000, generation_tps=82.000, peak_memory=4.900\n"
    )
    for at_once, kinds in ((1, ["prompt", "decode"]), (4, ["decode"])):
        run = read(
            f"Timing with prompt_tokens=512, generation_tokens=1024, batch_size={at_once}.\n{trials}"
        )
        assert run is not None
        assert [pace.kind for pace in run.paces] == kinds
        assert (run.paces[-1].tokens_per_second, run.paces[-1].sequences) == (82.0, at_once)
    assert read("Timing with prompt_tokens=512, generation_tokens=1024, batch_size=1.\n") is None


def test_drafts_make_a_pace_incomparable() -> None:
    """A step then gives several tokens."""
    run = read("Generation: 100 tokens, 50.000 tokens-per-sec\nDraft acceptance: 60/80 (75.0%)\n")
    assert run is not None
    assert run.paces[0].drafted
