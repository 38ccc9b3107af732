"""Programs whose weights and cache are computed, and whose pace is told as unknown."""

from __future__ import annotations

from typing import Any

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


# blockblockblock/Qwen3.6-35B-A3B-…-exl3-3.0bpw lists its files, with 8 bits of the output matrix
@pytest.mark.parametrize(
    ("bits", "seen_bytes"),
    [
        pytest.param("3.0bpw", 15_300_000_000, id="three bits"),
        pytest.param("exl3", 19_500_000_000, id="four bits"),
        pytest.param("4.50bpw_H8", 21_600_000_000, id="a fraction"),
        pytest.param("exl3-6.0bpw", 27_900_000_000, id="six bits"),
    ],
)
def test_exl3_files_have_an_average_of_bits(bits: str, seen_bytes: int) -> None:
    verdict = check("qwen3.6-35b-a3b", machine="server-8x-h100", quantization=bits)
    assert verdict.runtime == "exllamav3"
    assert verdict.needs is not None
    assert verdict.needs.files is not None
    assert verdict.needs.files.bytes == pytest.approx(seen_bytes, rel=0.015)


@pytest.mark.parametrize(
    ("model", "seen_bytes"),
    [
        # the listing above: 4.0bpw of a repository of its maker
        pytest.param("qwen3.6-35b-a3b", 19_500_000_000, id="published in 16 bits"),
        # 116.8 billion numbers of 4 bits each, and the table of 1.2 GB in 16 bits
        pytest.param("gpt-oss-120b", 59_600_000_000, id="published in MXFP4"),
    ],
)
def test_exllamav3_loads_four_bits_unless_told(model: str, seen_bytes: int) -> None:
    verdict = check(model, machine="server-8x-h100", runtime="exllamav3")
    assert verdict.workload.quantization == "exl3"
    assert verdict.needs is not None
    assert verdict.needs.files is not None
    assert verdict.needs.files.bytes == pytest.approx(seen_bytes, rel=0.015)
    # no repository of such files is known: doc/convert.md of exllamav3
    commands = " ".join(verdict.setup)
    assert "exllamav3/convert.py" in commands
    assert "-b 4.0" in commands


def test_a_class_that_exllamav3_lacks_is_refused() -> None:
    """README.md of ExLlamaV3 1.4.1 lists the classes."""
    verdict = check("gemma-3n-e4b-it", machine="server-8x-h100", runtime="exllamav3")
    assert not verdict.can_run


# oobabooga/textgen#6903 (a tune of Qwen2.5 32B), turboderp-org/exllamav3#50: what the card took
@pytest.mark.parametrize(
    ("model", "workload", "seen_mib"),
    [
        pytest.param(
            "qwen2.5-32b-instruct",
            {"quantization": "4.0bpw", "context_tokens": 8192},
            18_665,
            id="16 bits",
        ),
        pytest.param(
            "qwen2.5-32b-instruct",
            {
                "quantization": "4.0bpw",
                "context_tokens": 8192,
                "kv_cache_type": "q4_0",
            },
            16_827,
            id="a cache of four bits",
        ),
        pytest.param(
            "llama-3.3-nemotron-super-49b-v1",
            {"quantization": "3.0bpw", "context_tokens": 2048},
            19_162,
            id="three bits",
        ),
    ],
)
def test_exllamav3_leaves_the_table_in_ram(
    model: str, workload: dict[str, Any], seen_mib: int
) -> None:
    verdict = check(
        model, machine="desktop-rtx4090-24gb", runtime="exllamav3", **workload
    )
    assert verdict.needs is not None
    on_card = [term for term in verdict.needs.terms if term.where != "host"]
    least = sum(term.low_bytes for term in on_card) / 2**20
    likely = sum(term.bytes for term in on_card) / 2**20
    assert least < seen_mib
    assert likely == pytest.approx(seen_mib, rel=0.05)


def test_ktransformers_leaves_experts_in_ram() -> None:
    """MiniMax-M2.1 in FP8 takes 256 GB of RAM and an RTX 5090 (kvcache-ai/ktransformers,
    MiniMax-M2.1-Tutorial.md); Kimi K2.5 takes two cards of 24 GB (Kimi-K2.5.md).
    """
    verdict = check(
        "minimax-m2.1",
        machine="rtx 5090, 512 GB RAM, linux",
        runtime="ktransformers",
        context_tokens=32_768,
    )
    assert verdict.route is Route.LOCAL
    assert verdict.needs is not None
    in_ram = sum(term.bytes for term in verdict.needs.terms if term.where == "host")
    assert 200e9 < in_ram < 256e9
    assert verdict.speed is not None
    assert verdict.speed.decode is None
    refused = check(
        "kimi-k2.5",
        machine="rtx 4090, 1 TB RAM, linux",
        runtime="ktransformers",
        context_tokens=32_768,
    )
    assert not refused.can_run


@pytest.mark.parametrize(
    ("typed", "bits"),
    [
        pytest.param("int4", 4, id="int4"),
        pytest.param("AMXINT4", 4, id="its own name"),
        pytest.param("int8", 8, id="int8"),
    ],
)
def test_ktransformers_has_the_experts_alone_in_the_types_of_amx(
    typed: str, bits: int
) -> None:
    """Of kt-kernel/README.md, Weight Quantization. Qwen3 235B A22B has 94 layers of 128 experts of
    three matrices of 4,096 × 1,536, each row with a scale in 32 bits (config.json); its other 7.6
    billion numbers stay in 16 bits.
    """
    verdict = check(
        "qwen3-235b-a22b",
        # of Sapphire Rapids, with AMX
        machine="xeon gold 6430, rtx 5090, 512 GB RAM, linux",
        runtime="ktransformers",
        quantization=typed,
    )
    assert verdict.needs is not None
    sizes = {term.name: term.bytes for term in verdict.needs.terms}
    experts = 94 * 128
    in_ram = experts * 3 * 4096 * 1536 * bits // 8
    scales = experts * (2 * 1536 + 4096) * 4
    assert sizes["experts"] == in_ram + scales
    assert sizes["weights"] == pytest.approx(2 * 8.0e9, rel=0.05)
    assert verdict.speed is not None
    assert verdict.speed.decode is None
    assert f"--kt-method AMXINT{bits}" in verdict.commands[-1]


def test_ktransformers_is_for_mixtures_alone() -> None:
    """README.md of kvcache-ai/ktransformers: experts are computed on the processor."""
    verdict = check(
        "qwen3-32b", machine="rtx 4090, 512 GB RAM, linux", runtime="ktransformers"
    )
    assert not verdict.can_run
    finding = verdict.finding("runtime")
    assert finding is not None
    assert "SGLang" in finding.reason
