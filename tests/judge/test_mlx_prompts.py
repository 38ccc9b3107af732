"""Prompts that MLX reads, against runs that others published (`truth/speed_mlx_prompts.json`)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helpers.paths import TRUTH
from selfhost import Workload, check


def runs(use: str) -> list[dict[str, Any]]:
    document = json.loads((TRUTH / "speed_mlx_prompts.json").read_text(encoding="utf-8"))
    rows = [dict(zip(document["columns"], row, strict=True)) for row in document["rows"]]
    return [row for row in rows if row["use"] == use]


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
