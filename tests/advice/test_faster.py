"""Settings of the same program that are clearly faster are named, with both figures."""

from __future__ import annotations

import pytest

from selfhost import check
from selfhost.judge.record import Verdict

DESKTOP = "desktop-rtx4090-24gb"


def faster(model: str, **asked: object) -> list[str]:
    """What the faster settings are called."""
    verdict: Verdict = check(model, machine=DESKTOP, **asked)  # type: ignore[arg-type]
    return [setting.what for setting in verdict.faster]


def test_a_block_that_drafts_is_offered_with_both_paces() -> None:
    verdict = check("qwen3.6-27b", machine=DESKTOP)
    (setting,) = verdict.faster
    assert setting.what == "the model's own draft block"
    command = f"selfhost check qwen3.6-27b --quant Q6_K --draft mtp --machine {DESKTOP}"
    assert setting.command == command
    assert setting.prompt_tokens is None
    assert setting.faster.likely >= 1.3 * setting.usual.likely
    # the command answers with the pace that it was offered for
    drafted = check("qwen3.6-27b", machine=DESKTOP, quantization="Q6_K", draft="mtp")
    assert drafted.decode_tokens_per_second == setting.faster


def test_a_draft_that_was_published_for_the_model_is_named() -> None:
    (what,) = faster("gemma-4-31b-it")
    assert what == "gemma-4-31B-it-assistant, the draft that was published for it"


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        pytest.param("qwen3-8b", {}, id="no block"),
        pytest.param("qwen3.6-27b", {"draft": "mtp"}, id="stated already"),
        pytest.param("deepseek-v3.2", {}, id="does not run"),
        pytest.param("flux.1-schnell", {}, id="no text"),
        pytest.param("claude-opus-4.6", {}, id="closed"),
    ],
)
def test_nothing_is_offered_where_nothing_gains(
    model: str, asked: dict[str, object]
) -> None:
    assert faster(model, **asked) == []
