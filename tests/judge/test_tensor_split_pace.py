"""How many times as fast llama.cpp is under -sm tensor as under -sm layer, against runs that others
published (`truth/speed_tensor_split.json`). In both a step may give several drafted tokens, so that
the quotient is held to, not the pace.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from helpers.paths import TRUTH
from selfhost import check
from selfhost.judge.pace import Range
from selfhost.judge.record import Verdict

# how far the likely quotient may be off for dense models on two equal cards
NEAR = 0.15


def rows() -> list[dict[str, Any]]:
    found = json.loads((TRUTH / "speed_tensor_split.json").read_text(encoding="utf-8"))
    return [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]


def named(row: dict[str, Any]) -> str:
    return f"{row['device']}, {row['spec']}, {row['built']}, {row['depth']}"


def judged(row: dict[str, Any], mode: str) -> Verdict:
    return check(
        row["spec"],
        machine=row["device"],
        runtime="llama.cpp",
        quantization=row["quantization"],
        context_tokens=4096,
        runtime_options={"sm": mode},
    )


def gain(row: dict[str, Any]) -> Range:
    """The pace under -sm tensor over the likely one under -sm layer."""
    usual = judged(row, "layer").decode_tokens_per_second
    faster = judged(row, "tensor").decode_tokens_per_second
    assert usual is not None
    assert faster is not None
    return faster * (1 / usual.likely)


@pytest.mark.parametrize("row", [pytest.param(row, id=named(row)) for row in rows()])
def test_what_was_seen_lies_inside_the_range(row: dict[str, Any]) -> None:
    seen = row["tensor_decode"] / row["layer_decode"]
    told = gain(row)
    assert told.low <= seen <= told.high


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=named(row))
        for row in rows()
        if row["device"].startswith("2x") and row["spec"].endswith("27b")
    ],
)
def test_dense_models_on_two_equal_cards_are_told_nearly(row: dict[str, Any]) -> None:
    seen = row["tensor_decode"] / row["layer_decode"]
    assert gain(row).likely == pytest.approx(seen, rel=NEAR)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=named(row))
        for row in rows()
        if row["tensor_prompt"] is not None
    ],
)
def test_prompts_lie_inside_the_range(row: dict[str, Any]) -> None:
    usual = judged(row, "layer").speed
    faster = judged(row, "tensor").speed
    assert usual is not None
    assert faster is not None
    assert usual.prompt is not None
    assert faster.prompt is not None
    seen = row["tensor_prompt"] / row["layer_prompt"]
    assert faster.prompt.low / usual.prompt.likely <= seen
    assert seen <= faster.prompt.high / usual.prompt.likely
