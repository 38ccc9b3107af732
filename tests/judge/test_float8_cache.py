"""vLLM's KV cache in 8 bits (--kv-cache-dtype fp8): its size, the GPUs that take it, the line to type."""

from __future__ import annotations

import pytest

from selfhost import Route, Workload, check
from selfhost.catalogue.index import open_catalogue
from selfhost.cli.parser import parse
from selfhost.core.errors import WorkloadError
from selfhost.judge.record import Verdict

_NARROW = Workload(runtime="vllm", kv_cache_type="fp8")


def _cache_bytes(verdict: Verdict) -> int:
    assert verdict.needs is not None
    assert verdict.needs.memory is not None
    return sum(term.bytes for term in verdict.needs.memory.terms if term.name == "kv_cache")


@pytest.mark.parametrize("model", ["llama-3.1-8b", "qwen3-30b-a3b"])
def test_it_takes_half_of_sixteen_bits(model: str) -> None:
    """8 bits in place of 16 for every number (vLLM documentation, quantized KV cache)."""
    plain = check(model, Workload(runtime="vllm"), machine="h100")
    narrow = check(model, _NARROW, machine="h100")
    assert _cache_bytes(narrow) * 2 == _cache_bytes(plain)
    assert any("--kv-cache-dtype fp8" in line for line in narrow.commands)
    assert not any("--kv-cache-dtype" in line for line in plain.commands)


def test_latent_rows_that_an_indexer_reads_keep_their_positions_in_16_bits() -> None:
    """656 bytes of a token in DeepSeek V3.2 (vllm 0.33.0, flashmla_sparse.py), 576 in V3, which has no indexer, of 1,152 in 16 bits."""
    for model, row_bytes in (("deepseek-v3.2", 656), ("deepseek-v3", 576)):
        spec = open_catalogue().spec(model)
        assert spec.architecture is not None
        verdict = check(spec, _NARROW.replace(context_tokens=4096), machine="8x h200")
        assert _cache_bytes(verdict) == 8 * spec.architecture.layers * row_bytes * 4096


@pytest.mark.parametrize(
    ("model", "gpu", "takes"),
    [
        # heads of 128 numbers: FlashInfer's kernels, from compute capability 8.0 on
        ("qwen3-8b", "rtx 3090", True),
        ("qwen3-8b", "rtx 2080 ti", False),
        # attention sinks and latent attention: Triton's, from 8.9 on
        ("gpt-oss-20b", "rtx 3090", False),
        ("deepseek-v2-lite", "2x rtx 3090", False),
        ("deepseek-v2-lite", "2x rtx 4090", True),
    ],
)
def test_which_gpus_take_it(model: str, gpu: str, takes: bool) -> None:
    """vllm 0.33.0: flashinfer.py, triton_attn.py and mla/triton_mla.py, supports_compute_capability and their refusals."""
    finding = check(model, _NARROW, machine=gpu).finding("accelerator")
    assert finding is not None
    assert (finding.code != "accelerator-unsuitable") is takes
    assert takes or "for an fp8 KV cache" in finding.reason


@pytest.mark.parametrize(("gpu", "runs"), [("rtx 4090", True), ("titan rtx", False)])
def test_it_is_the_way_out_where_it_alone_makes_the_context_fit(gpu: str, runs: bool) -> None:
    """A context that fits in 8 bits and not in 16, on a GPU that takes it and on no other."""
    asked = Workload(runtime="vllm", context_tokens=81_920)
    assert check("llama-3.1-8b", asked, machine=gpu).route is not Route.LOCAL
    narrow = check("llama-3.1-8b", asked.replace(kv_cache_type="fp8"), machine=gpu)
    assert (narrow.route is Route.LOCAL) is runs


def test_other_programs_name_what_takes_it() -> None:
    """It is no type of llama.cpp's; vLLM knows none of ggml's."""
    with pytest.raises(WorkloadError, match="not in fp8") as refused:
        check("qwen3-8b", Workload(runtime="llama.cpp", kv_cache_type="fp8"), machine="rtx 4090")
    assert "vllm" in str(refused.value.problems[0].remedy)
    with pytest.raises(WorkloadError, match="or in fp8, not in q8_0"):
        check("qwen3-8b", Workload(runtime="vllm", kv_cache_type="q8_0"), machine="rtx 4090")


@pytest.mark.parametrize("typed", ["fp8_e4m3", "FP8"])
def test_python_and_the_command_line_read_the_same_names(typed: str) -> None:
    assert Workload(kv_cache_type=typed) == Workload(kv_cache_type="fp8")
    assert Workload().replace(kv_cache_type=typed).kv_cache_type == "fp8"
    options = parse("size", ["qwen3-8b", "--kv-cache", typed])
    assert options.kv_cache_type == "fp8"
