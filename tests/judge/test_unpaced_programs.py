"""Programs whose weights and cache are computed, and whose pace is told as unknown."""

from __future__ import annotations

import pytest

from selfhost import Route, Workload, check


def test_tensorrt_llm_has_weights_and_cache_and_no_pace() -> None:
    """Qwen/Qwen3-8B has 8,190,735,360 numbers of 16 bits (its safetensors index); of a token 36
    layers keep 2,048 numbers, of one byte each in FP8.
    """
    workload = Workload(
        runtime="tensorrt-llm", context_tokens=16_384, kv_cache_type="fp8"
    )
    verdict = check("qwen3-8b", workload, machine="desktop-rtx4090-24gb")
    assert verdict.route is Route.LOCAL
    assert verdict.needs is not None
    sizes = {term.name: term.bytes for term in verdict.needs.terms}
    assert sizes["kv_cache"] == 36 * 2048 * 16_384
    assert sizes["weights"] == pytest.approx(2 * 8_190_735_360, rel=0.001)
    assert verdict.speed is not None
    assert verdict.speed.decode is None
    assert "TensorRT-LLM" in verdict.speed.how
    # TensorRT-LLM 0.18.2, commands/trtllm-serve
    assert verdict.commands[-1].startswith("trtllm-serve Qwen/Qwen3-8B --max_seq_len")


def test_tensorrt_llm_runs_on_no_gpu_of_amd() -> None:
    verdict = check("qwen3-8b", machine="server-8x-mi300x", runtime="tensorrt-llm")
    assert not verdict.can_run


def test_a_minimum_pace_is_not_known_to_be_reached() -> None:
    workload = Workload(runtime="tensorrt-llm", min_tokens_per_second=20)
    verdict = check("qwen3-8b", workload, machine="desktop-rtx4090-24gb")
    assert verdict.route is Route.UNKNOWN
