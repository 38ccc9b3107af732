"""vLLM's blocks of cache for the states of recurrent layers, one for each sequence."""

from __future__ import annotations

import pytest

from selfhost import Verdict, Workload, check
from selfhost.needs.records import likely_bytes


def judged(
    model: str, quantization: str, machine: str, options: dict[str, str]
) -> Verdict:
    workload = Workload(
        runtime="vllm", quantization=quantization, runtime_options=options
    )
    return check(model, workload, machine=machine)


def bytes_on_gpus(verdict: Verdict) -> int:
    assert verdict.needs is not None
    return verdict.needs.on_cards.total_bytes


@pytest.mark.parametrize(
    ("sequences", "has_room"),
    [
        # "max_num_seqs (1024) exceeds available Mamba cache blocks (856)" with 0.95 of an H100;
        # 512 of them start (vllm-project/recipes#551)
        pytest.param(512, True, id="512 on an H100"),
        pytest.param(1024, False, id="1,024 on an H100"),
    ],
)
def test_each_sequence_needs_a_block(sequences: int, has_room: bool) -> None:
    asked = {"max-num-seqs": str(sequences), "gpu-memory-utilization": "0.95"}
    verdict = judged("qwen3.6-27b", "fp8", "1x H100 SXM", asked)
    is_as_asked = "enforce-eager" not in verdict.workload.runtime_options
    assert is_as_asked is has_room


@pytest.mark.parametrize(
    ("model", "quantization", "machine"),
    [
        # vllm-project/recipes#551: 1,024 sequences, the usual number, do not start
        pytest.param("qwen3.6-27b", "fp8", "1x H100 SXM", id="27B on an H100"),
        # vllm-project/vllm#55148: 256 do not start on small cards
        pytest.param("qwen3.6-27b", "nvfp4", "RTX 5090", id="27B on an RTX 5090"),
    ],
)
def test_the_command_for_one_user_bounds_the_sequences(
    model: str, quantization: str, machine: str
) -> None:
    verdict = judged(model, quantization, machine, {})
    assert verdict.can_run
    assert any("--max-num-seqs" in line for line in verdict.commands)


def test_neither_eager_mode_nor_a_model_without_states_needs_blocks() -> None:
    """The check is of CUDA graphs that decode (vllm-project/vllm#38270)."""
    sequences = {"max-num-seqs": "512"}
    graphs = judged("qwen3.6-27b", "fp8", "1x H100 SXM", sequences)
    eager = {**sequences, "enforce-eager": "yes"}
    without = judged("qwen3.6-27b", "fp8", "1x H100 SXM", eager)
    assert bytes_on_gpus(without) < bytes_on_gpus(graphs) - 10 * 2**30
    plain = judged("qwen3-32b", "fp8", "1x H100 SXM", {"max-num-seqs": "1024"})
    assert plain.needs is not None
    assert likely_bytes(plain.needs.terms, "recurrent_state") == 0
