"""Prompts that MLX reads, against runs that others published (`truth/speed_mlx_prompts.json`)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helpers.paths import TRUTH
from selfhost import Workload, check
from selfhost.judge.pace.speed import PaceRange
from selfhost.needs.packed import bits_in_mlx


def runs(use: str) -> list[dict[str, Any]]:
    document = json.loads((TRUTH / "speed_mlx_prompts.json").read_text(encoding="utf-8"))
    rows = [dict(zip(document["columns"], row, strict=True)) for row in document["rows"]]
    return [row for row in rows if row["use"] == use]


def prompt_of(spec: str, quantization: str, machine: str, runtime: str = "mlx") -> PaceRange | None:
    asked = Workload(quantization=quantization, runtime=runtime, context_tokens=4096)
    speed = check(spec, asked, machine=machine).speed
    assert speed is not None
    return speed.prompt


def test_the_bits_of_the_weights_hardly_count() -> None:
    """mlx_lm on an M4 Max: Qwen3 4B at 1,577 to 1,781 tokens/s, from 4 to 16 bits."""
    narrow, wide = (
        prompt_of("qwen3-4b-instruct-2507", each, "m4 max 64gb") for each in ("4bit", "bf16")
    )
    assert narrow is not None
    assert wide is not None
    assert narrow.likely == pytest.approx(wide.likely, rel=0.03)


def test_bits_of_a_weight_in_files_of_mlx() -> None:
    assert bits_in_mlx("4bit") == 4.5
    assert bits_in_mlx("8bit") == 8.5
    assert bits_in_mlx("MXFP4-Q8") == 4.25
    assert bits_in_mlx("bf16") == 16
    assert bits_in_mlx("Q4_K_M") is None


def test_of_a_second_token_table_one_row_is_read() -> None:
    """Gemma 4 E4B in 8bit, whose table by layers is 2.8 of its 8.0 billion parameters: on an M5 Max
    Mac-MLX wrote 81.8 tokens/s (issue 62), and 60 were told at most.
    """
    asked = Workload(quantization="8bit", runtime="mlx", context_tokens=4096)
    speed = check("gemma-4-e4b-it", asked, machine="m5 max 128gb").speed
    assert speed is not None
    assert speed.decode is not None
    assert speed.decode.low < 81.8 < speed.decode.high
    # what it reads in GGUF, whose file is told tensor by tensor, is about as much
    of_file = Workload(quantization="Q8_0", runtime="llama.cpp", context_tokens=4096)
    other = check("gemma-4-e4b-it", of_file, machine="m5 max 128gb").speed
    assert other is not None
    assert other.decode is not None
    assert speed.decode.likely == pytest.approx(other.decode.likely, rel=0.25)
