"""Prompts on Intel's cards, against runs that others published (`truth/speed_intel.json`)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helpers.paths import TRUTH
from selfhost import Workload, check
from selfhost.judge.pace.speed import PaceRange
from selfhost.machine import gpus


def runs(use: str) -> list[dict[str, Any]]:
    document = json.loads((TRUTH / "speed_intel.json").read_text(encoding="utf-8"))
    rows = [dict(zip(document["columns"], row, strict=True)) for row in document["rows"]]
    return [row for row in rows if row["use"] == use]


def prompt_of(row: dict[str, Any]) -> PaceRange:
    card = row["device"].removeprefix("Intel ").removesuffix(" Graphics")
    asked = Workload(quantization=row["quantization"], runtime="llama.cpp", context_tokens=2048)
    speed = check(row["spec"], asked, machine=f"{card} 64gb").speed
    assert speed is not None
    assert speed.prompt is not None
    return speed.prompt


def test_prompts_on_cards_in_no_fit_lie_inside() -> None:
    rows = [row for row in runs("kept") if "B70" in row["device"]]
    assert len(rows) == 34
    for row in rows:
        prompt = prompt_of(row)
        assert prompt.low <= row["prompt_per_second"] <= prompt.high, row


def test_mixtures_on_a_card_are_told_within_six_times() -> None:
    """The ends lay 48 times apart."""
    prompt = prompt_of(next(row for row in runs("fitted") if row["spec"] == "gpt-oss-20b"))
    assert prompt.high / prompt.low < 6


def test_a_card_is_not_taken_for_a_gpu_in_a_processor_of_fewer_words() -> None:
    """`Intel Arc Graphics` is a row of its own, and shares the RAM."""
    assert gpus.peak_flops("Intel Arc Pro B70 Graphics", None) == pytest.approx(45.9e12)
    card = gpus.prompt_share_of(None, "Intel Arc Pro B70 Graphics", has_experts=True)
    assert card is not None
    assert gpus.prompt_share_of(None, "Intel Arc Graphics", has_experts=True) is None
