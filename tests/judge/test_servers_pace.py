"""The pace of servers where they do not replay a graph, and where they unpack all experts."""

from __future__ import annotations

import pytest

from judge.small import speed_of
from selfhost import Verdict, Workload, check
from selfhost.judge.pace.decoding import predict
from selfhost.judge.pace.layout import laid_out
from selfhost.judge.pace.ranges import Range
from selfhost.machine import gpus


def pace_of(verdict: Verdict) -> Range:
    pace = speed_of(verdict).decode
    assert pace is not None
    return pace


def eager_pace(verdict: Verdict) -> Range:
    """The pace of the verdict's model where vLLM is started with --enforce-eager."""
    step = verdict.question.step
    assert step is not None
    layout = laid_out(verdict.question, verdict.placed, verdict.machine)
    pace = predict(step.replace(is_eager=True), layout).decode
    assert pace is not None
    return pace


@pytest.mark.parametrize(
    ("model", "quantization", "card", "seen"),
    [
        # local-inference-lab/vllm#314: a 27B in 4 bits, one user; 62.46 with graphs
        pytest.param("qwen3.6-27b", "awq", "RTX 5090", 23.97, id="27b-rtx-5090"),
        # vllm-project/vllm-omni#7960: a token in 22 to 23 ms; 13 ms with graphs
        pytest.param("qwen2.5-7b-instruct", None, "A800 80GB", 44.4, id="7b-a800"),
    ],
)
def test_without_graphs_a_step_takes_what_python_takes_to_launch(
    model: str,
    quantization: str | None,
    card: str,
    seen: float,
) -> None:
    """The pace was the one with graphs, 1.7 to 2.6 times as fast."""
    verdict = check(
        model,
        runtime="vllm",
        quantization=quantization,
        machine=f"{card}, 64 GB RAM",
    )
    pace = eager_pace(verdict)
    assert pace.low <= seen <= pace.high


def test_the_option_that_makes_no_graphs_lowers_the_slow_end() -> None:
    """`--enforce-eager` stood in the command, and the pace beside it was the one with graphs."""
    asked = Workload(runtime="vllm", quantization="awq", context_tokens=12_288)
    machine = "RTX 4070 Ti SUPER, 64 GB RAM, linux"
    with_graphs = check("qwen3-14b", asked, machine=machine)
    options = {"enforce-eager": "yes"}
    eager = check("qwen3-14b", asked.replace(runtime_options=options), machine=machine)
    assert pace_of(eager).low < 0.8 * pace_of(with_graphs).low
    assert "without CUDA graphs" in speed_of(eager).how


@pytest.mark.parametrize(
    ("model", "card"),
    [
        pytest.param("qwen3-30b-a3b", "RTX 4090", id="30b-rtx-4090"),
        pytest.param("mixtral-8x7b-instruct-v0.1", "RTX 5090", id="8x7b-rtx-5090"),
    ],
)
def test_unpacking_all_experts_bounds_the_pace(model: str, card: str) -> None:
    """vLLM writes every expert in 16 bits at each step (bitsandbytes.py, BitsAndBytesMoEMethod):
    no pace is above the peak bandwidth over these bytes. The likely pace was 10 times that.
    """
    verdict = check(
        model,
        runtime="vllm",
        quantization="nf4",
        min_tokens_per_second=0,
        machine=f"{card}, 64 GB RAM, linux",
    )
    step = verdict.question.step
    assert step is not None
    peak = gpus.peak_rate_of(verdict.machine.cards[0].name, None)
    assert peak is not None
    most = peak.gb_per_s * 1e9 / (2 * step.experts.all)
    assert pace_of(verdict).likely < most


def test_a_layer_of_unpacked_experts_is_counted() -> None:
    """128 experts of three matrices of 2,048 times 768 in 16 bits (config.json of the model)."""
    nf4, awq = (
        check(
            "qwen3-30b-a3b",
            runtime="vllm",
            quantization=name,
            machine="RTX 5090, 64 GB RAM, linux",
        )
        for name in ("nf4", "awq")
    )
    of_layer = 128 * 3 * 2048 * 768 * 2
    terms = {}
    for verdict in (nf4, awq):
        memory = verdict.placed.memory
        assert memory is not None
        terms[verdict.workload.quantization] = " ".join(
            term.arithmetic for term in memory.terms
        )
    assert f"{of_layer:,} bytes of a layer's unpacked experts" in terms["nf4"]
    assert "unpacked experts" not in terms["awq"]


def test_a_gpu_that_multiplies_four_bits_unpacks_none() -> None:
    """NVIDIA's data sheets: from Blackwell on tensor cores multiply FP4 as it is. Half the bytes of
    FP8 are read no slower; an H100, which unpacks them, gains less.
    """
    gains = {}
    for machine in ("1x B200, 512GB RAM", "1x H200, 512GB RAM"):
        paces = []
        for quantization in ("nvfp4", "fp8"):
            workload = Workload(runtime="vllm", quantization=quantization)
            verdict = check("llama-3.1-8b-instruct", workload, machine=machine)
            assert verdict.speed is not None
            assert verdict.speed.decode is not None
            paces.append(verdict.speed.decode.likely)
        gains[machine] = paces[0] / paces[1]
    assert gains["1x B200, 512GB RAM"] >= 1
    assert gains["1x H200, 512GB RAM"] < 1


def test_graphs_for_few_sequences_come_before_none_at_all() -> None:
    """tenstorrent/tt-inference-server#143 (2025-04): 32.3 tokens/s on two H100, and 15 were told:
    without graphs, where those of one sequence take as little. The command bounds the sequences in
    either way.
    """
    workload = Workload(runtime="vllm", quantization="bf16")
    machine = "2x H100 SXM 80GB, 512GB RAM"
    verdict = check("qwen2.5-72b-instruct", workload, machine=machine)
    assert "max-num-seqs" in verdict.workload.runtime_options
    assert "enforce-eager" not in verdict.workload.runtime_options
    without = workload.replace(runtime_options={"enforce-eager": "yes"})
    slower = speed_of(check("qwen2.5-72b-instruct", without, machine=machine)).decode
    pace = speed_of(verdict).decode
    assert pace is not None
    assert slower is not None
    assert pace.likely > 1.5 * slower.likely
