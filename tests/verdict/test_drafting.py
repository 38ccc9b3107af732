"""A model that decodes with a draft."""

import pytest

from helpers.desktops import machine_with
from selfhost import Workload, check
from selfhost.verdict.drafting import tokens_of_step
from selfhost.verdict.speed import PaceRange

RTX_4090 = machine_with("NVIDIA GeForce RTX 4090")


def pace(model: str, draft: str | None = None) -> PaceRange:
    asked = Workload(runtime="llama.cpp", quantization="Q4_K_M", draft=draft)
    speed = check(model, asked, machine=RTX_4090).speed
    assert speed is not None
    assert speed.decode is not None
    return speed.decode


@pytest.mark.parametrize(("accepted", "tokens"), [(0.0, 1.0), (1.0, 4.0), (0.5, 1.875)])
def test_a_step_gives_what_is_accepted_and_one_more(accepted: float, tokens: float) -> None:
    """Leviathan et al. 2023, equation 1: (1 - 0.5^4) / (1 - 0.5) = 1.875 of three drafted."""
    assert tokens_of_step(3, accepted) == pytest.approx(tokens)


def test_a_small_draft_makes_a_large_dense_model_faster() -> None:
    """No faster than four tokens for each time that its weights are read."""
    alone, drafted = pace("qwen3-32b"), pace("qwen3-32b", "qwen3-0.6b")
    assert alone.likely < drafted.likely
    assert alone.low / 4 < drafted.low < alone.likely
    assert drafted.high < 4 * alone.high


def test_a_larger_draft_takes_longer() -> None:
    assert pace("qwen3-32b", "qwen3-4b").likely < pace("qwen3-32b", "qwen3-0.6b").likely


def test_tokens_of_a_mixture_choose_experts_of_their_own() -> None:
    """So that checking four reads several times what one reads, and the draft gains less or nothing."""
    gains = [
        pace(model, "qwen3-0.6b").likely / pace(model).likely
        for model in ("qwen3-32b", "qwen3-30b-a3b")
    ]
    assert gains[1] < gains[0]
