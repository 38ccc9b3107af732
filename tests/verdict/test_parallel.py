"""Many requests at once, against what other people published (`truth/speed_parallel.json`)."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from selfhost import Verdict, Workload, check
from selfhost.verdict.speed import PaceRange

TRUTH = Path(__file__).parents[1] / "truth"


def rows() -> list[dict[str, Any]]:
    document = json.loads((TRUTH / "speed_parallel.json").read_text(encoding="utf-8"))
    return [dict(zip(document["columns"], row, strict=True)) for row in document["rows"]]


def total_of(verdict: Verdict) -> PaceRange | None:
    return None if verdict.speed is None else verdict.speed.parallel_total


def asked(row: dict[str, Any]) -> PaceRange | None:
    tokens = (row["prompt_tokens"] or 0) + (row["generated_tokens"] or 0)
    workload = Workload(
        quantization=row["quantization"],
        runtime=row["program"],
        parallel=row["sequences"],
        context_tokens=max(512, tokens),
    )
    return total_of(check(row["spec"], workload, machine=row["device"]))


def test_totals_that_others_published_lie_inside() -> None:
    """Nine in ten of them; half of vLLM's within a quarter of the likely figure."""
    inside: Counter[str] = Counter()
    asked_of: Counter[str] = Counter()
    errors: dict[str, list[float]] = {}
    for row in rows():
        total, program = asked(row), row["program"]
        asked_of[program] += 1
        if total is None:
            continue
        inside[program] += total.low <= row["tokens_per_second"] <= total.high
        errors.setdefault(program, []).append(abs(total.likely / row["tokens_per_second"] - 1))
    told = sum(map(len, errors.values()))
    assert told >= 0.98 * asked_of.total()
    assert inside.total() >= 0.88 * told
    assert median(errors["vllm"]) <= 0.25
    assert median(errors["llama.cpp"]) <= 0.3


@pytest.mark.parametrize("quantization", ["awq", "fp8", "w8a8"])
def test_packed_weights_have_a_total_in_vllm(quantization: str) -> None:
    """As on AccelMark, where an A100 of 80 GB served 100 at once with 3,500 to 4,200 tokens/s of Llama 3.1 8B in 8 bits."""
    workload = Workload(quantization=quantization, runtime="vllm", parallel=100, context_tokens=650)
    total = total_of(check("llama-3.1-8b-instruct", workload, machine="a100 sxm 80gb"))
    assert total is not None
    assert total.low < 3500 < total.high
    assert total.likely < 9000


def test_the_program_limits_small_models() -> None:
    """vLLM served 200 at once of a model of 0.5B with 5,000 (T4) to 18,000 tokens/s (H100): not much faster than one of 8B."""
    for machine, seen in (("rtx 4090", 11_326), ("h100 80gb sxm", 18_130), ("l4", 7_155)):
        workload = Workload(
            quantization="bfloat16", runtime="vllm", parallel=200, context_tokens=512
        )
        total = total_of(check("qwen2.5-0.5b-instruct", workload, machine=machine))
        assert total is not None
        assert total.low < seen < total.high


def test_a_server_chooses_each_token_on_one_core() -> None:
    """llama-server on an RTX 3060 gave 1,396 tokens/s to 128 requests of a model of 1.5B, where the GPU alone would do 7,500."""
    workload = Workload(
        quantization="Q4_K_M", runtime="llama.cpp", parallel=128, context_tokens=512
    )
    total = total_of(check("qwen2.5-coder-1.5b-instruct", workload, machine="rtx 3060 12gb"))
    assert total is not None
    assert total.low < 1396 < total.high
    assert total.likely < 3500


@pytest.mark.parametrize("runtime", ["vllm", "sglang", "transformers"])
@pytest.mark.parametrize("typed", ["fp16", "F16", "float16", "half", "bf16"])
def test_16_bits_are_16_bits(typed: str, runtime: str) -> None:
    """A program that loads bfloat16 loads it as float16 too (`--dtype half`), of the same size."""
    workload = Workload(quantization=typed, runtime=runtime)
    answer = check("llama-3.1-8b-instruct", workload, machine="rtx 3090")
    plain = check("llama-3.1-8b-instruct", Workload(runtime=runtime), machine="rtx 3090")
    assert answer.needs is not None
    assert answer.needs == plain.needs
