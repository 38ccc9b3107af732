"""Heads for which a GPU stores the scores of attention, because ggml's CUDA code has none for
them.
"""

from __future__ import annotations

import pytest

from judge.small import memory_of
from selfhost import Workload, check
from selfhost.catalogue.index import open_catalogue
from selfhost.core.errors import WorkloadError
from selfhost.core.workload import CacheTypes
from selfhost.needs.flash_attention import heads_without_flash
from selfhost.needs.llamacpp.memory import why_cache_refused
from selfhost.needs.tensors import with_every_head

CATALOGUE = open_catalogue()


@pytest.mark.parametrize(
    ("model", "is_fused"),
    [
        pytest.param("llama-3.1-8b-instruct", True, id="128"),
        pytest.param("gemma-3-27b-it", True, id="128 and windows"),
        pytest.param("deepseek-v2-lite-chat", True, id="576 and 512 of one latent"),
        pytest.param("minicpm3-4b", False, id="96 and 64"),
        pytest.param("orca-mini-3b", False, id="100"),
        pytest.param("all-minilm-l6-v2", False, id="32"),
    ],
)
def test_the_sizes_of_a_head_decide(model: str, is_fused: bool) -> None:
    """ggml@d99724f2: src/ggml-cuda/fattn.cu, ggml_cuda_get_best_fattn_kernel."""
    architecture = CATALOGUE.spec(model).architecture
    assert architecture is not None
    assert (heads_without_flash(architecture) is None) is is_fused


def test_a_latent_that_is_unpacked_has_other_heads() -> None:
    """Heads of 192 and 128 count only where eight share a key; in an unpacked file each has its
    own.
    """
    architecture = CATALOGUE.spec("deepseek-v2-lite-chat").architecture
    assert architecture is not None
    assert heads_without_flash(with_every_head(architecture)) is not None


@pytest.mark.parametrize(
    ("machine", "stores_scores"),
    [
        pytest.param("RTX 4090, 64GB RAM", True, id="CUDA"),
        pytest.param("RX 7900 XTX, 64GB RAM", True, id="ROCm"),
        pytest.param("mac-studio-m3-ultra-512gb", False, id="Metal"),
        pytest.param("64GB RAM, no GPU", False, id="processor"),
    ],
)
def test_scores_are_stored_where_the_gpu_has_no_flash_attention(
    machine: str, stores_scores: bool
) -> None:
    """ollama/ollama pull 17201: a compute buffer of about 2.4 GB for DeepSeek V2 Lite with 32,768
    tokens in Ollama; 112 MiB were told.
    """
    workload = Workload(runtime="ollama", context_tokens=32_768)
    terms = memory_of(check("deepseek-v2:16b", workload, machine=machine)).terms
    largest = max(term.bytes for term in terms if term.name == "compute")
    if stores_scores:
        assert largest == pytest.approx(2.4e9, rel=0.05)
    else:
        assert largest < 0.6e9


@pytest.mark.parametrize(
    ("machine", "is_refused"),
    [
        pytest.param("RTX 4090, 64GB RAM", True, id="CUDA"),
        pytest.param("64GB RAM, no GPU", False, id="processor"),
    ],
)
def test_a_quantized_cache_is_refused_without_flash_attention(
    machine: str, is_refused: bool
) -> None:
    """llama.cpp 0c1e570: src/llama-context.cpp, quantized V cache was requested, but this requires
    Flash Attention.
    """
    workload = Workload(runtime="ollama", context_tokens=32_768, kv_cache_type="q8_0")
    if is_refused:
        with pytest.raises(WorkloadError, match="needs flash attention"):
            check("deepseek-v2:16b", workload, machine=machine)
    else:
        assert check("deepseek-v2:16b", workload, machine=machine).needs is not None


def compute_mib(**options: str) -> float:
    """The compute buffer of Qwen3 8B with 32,768 tokens on an RTX 4090."""
    workload = Workload(
        runtime="llama.cpp", context_tokens=32_768, runtime_options=options
    )
    terms = memory_of(check("qwen3-8b", workload, machine="RTX 4090, 64GB RAM")).terms
    return max(term.bytes for term in terms if term.name == "compute") / 2**20


@pytest.mark.parametrize("value", ["off", "0"])
def test_switched_off_the_scores_of_all_tokens_are_stored(value: str) -> None:
    """src/llama-graph.cpp, build_attn_mha: 32 heads × 512 tokens of a batch × 32,768 cells × 4
    bytes are 2,048 MiB.
    """
    assert compute_mib() < 600
    assert 2048 < compute_mib(fa=value) < 2048 + 600
    assert compute_mib(fa="on") == compute_mib() == compute_mib(fa="auto")


@pytest.mark.parametrize(
    ("cache", "value", "is_refused"),
    [
        pytest.param("q8_0", "off", True, id="quantized"),
        pytest.param("f16:q8_0", "0", True, id="values quantized"),
        pytest.param("q8_0:f16", "off", False, id="keys quantized"),
        pytest.param("f16", "off", False, id="16 bits"),
        pytest.param("q8_0", "on", False, id="switched on"),
        pytest.param("q8_0", "auto", False, id="asked of the device"),
    ],
)
@pytest.mark.parametrize(
    "machine",
    [
        pytest.param("RTX 4090, 64GB RAM", id="GPU"),
        pytest.param("64GB RAM, no GPU", id="processor"),
    ],
)
def test_switched_off_flash_attention_refuses_quantized_values(
    machine: str, cache: str, value: str, is_refused: bool
) -> None:
    """llama.cpp 0c1e570: src/llama-context.cpp, llama_init_from_model returns nothing: V cache
    quantization requires flash_attn.
    """
    workload = Workload(
        runtime="llama.cpp", kv_cache_type=cache, runtime_options={"fa": value}
    )
    if is_refused:
        with pytest.raises(WorkloadError, match="flash attention, which is switched"):
            check("qwen3-8b", workload, machine=machine)
    else:
        assert check("qwen3-8b", workload, machine=machine).can_run


def test_parts_of_each_layer_need_flash_attention() -> None:
    """llama.cpp 0c1e570, src/llama-context.cpp: split mode tensor requires flash attention."""
    options = {"fa": "off", "sm": "tensor"}
    workload = Workload(runtime="llama.cpp", runtime_options=options)
    verdict = check("qwen3-8b", workload, machine="2x RTX 4090, 64GB RAM")
    reasons = [finding.reason for finding in verdict.findings]
    assert any("flash attention, which is switched off" in why for why in reasons)


def test_without_flash_attention_text_and_prompts_are_told_slower() -> None:
    """matt-c1/llama-cpp-speed-measurements: an RTX 4090 kept 0.90 to 0.96 of the pace of text, and
    0.57 to 0.98 of that of prompts.
    """
    plain = Workload(runtime="llama.cpp", quantization="Q8_0", context_tokens=16_384)
    machine = "RTX 4090, 64GB RAM"
    with_flash = check("llama-3.1-8b-instruct", plain, machine=machine).speed
    switched = plain.replace(runtime_options={"fa": "off"})
    without = check("llama-3.1-8b-instruct", switched, machine=machine).speed
    assert with_flash is not None
    assert without is not None
    assert with_flash.decode is not None
    assert without.decode is not None
    assert with_flash.prompt is not None
    assert without.prompt is not None
    assert 0.90 < without.decode.likely / with_flash.decode.likely < 1
    assert 0.57 < without.prompt.likely / with_flash.prompt.likely < 0.98


def test_the_command_of_ollama_states_it_as_a_variable() -> None:
    """ollama/ollama pull 12473."""
    workload = Workload(
        runtime="ollama", runtime_options={"OLLAMA_FLASH_ATTENTION": "0"}
    )
    verdict = check("qwen3:8b", workload, machine="RTX 4090, 64GB RAM")
    served = [line for line in verdict.commands if line.endswith("ollama serve")]
    assert len(served) == 1
    assert "OLLAMA_FLASH_ATTENTION=0" in served[0]


@pytest.mark.parametrize("type", ["f16", "f32", "bf16"])
def test_values_that_are_not_quantized_need_no_flash_attention(type: str) -> None:
    """llama.cpp asks for it only where values are quantized (src/llama-context.cpp)."""
    types = CacheTypes.of(type)
    assert why_cache_refused([], types, None, heads_without_flash="heads of 80") is None


def test_each_chosen_expert_has_activations_of_its_own() -> None:
    """Mixtral sends a token to 2 of 8 experts of 14,336 numbers each (its config.json)."""
    asked = Workload(quantization="Q4_K_M", context_tokens=512)
    memory = memory_of(check("mixtral-8x7b", asked, machine="no gpu, 64gb ram"))
    (program,) = [term for term in memory.terms if term.name == "runtime"]
    assert f"tokens × {2 * 14_336:,} × " in program.arithmetic
