"""`--kv-cache KEYS:VALUES`: keys and values of a KV cache in a type each."""

from __future__ import annotations

import pytest

from helpers.machines import VM
from helpers.needs_of import asked, calculate, catalogue, runtime, terms
from helpers.paths import DATA
from selfhost import check
from selfhost.advice.runs import run_of
from selfhost.advice.verify import verify
from selfhost.cli.parser import Options
from selfhost.core.errors import WorkloadError
from selfhost.core.workload import Workload

NVIDIA = "desktop-rtx4090-24gb"
APPLE = "macbook-pro-m4-max-48gb"


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        pytest.param("q8_0:q4_0", "q8_0:q4_0", id="two"),
        pytest.param("Q8_0:F16", "q8_0:f16", id="in capitals"),
        pytest.param("q8_0:q8_0", "q8_0", id="equal"),
    ],
)
def test_a_pair_has_one_name(typed: str, kept: str) -> None:
    assert Workload(kv_cache_type=typed).kv_cache_type == kept
    options = Options.read("check", ["qwen3-8b", "--kv-cache", typed])
    assert options.kv_cache_type == kept


@pytest.mark.parametrize("typed", ["q8_0:q4_2", "q8_0:", ":", "fp8:q8_0", "a:b:c"])
def test_what_is_no_pair_is_refused(typed: str) -> None:
    with pytest.raises(WorkloadError, match=r"is not one of f16, .* f16:q8_0"):
        Workload(kv_cache_type=typed)


def test_a_slip_of_the_pen_is_guessed() -> None:
    with pytest.raises(WorkloadError) as refused:
        Workload(kv_cache_type="q8_0:q4_00")
    assert refused.value.problems[0].remedy == 'did you mean "q8_0:q4_0"?'


@pytest.mark.parametrize(
    ("kv_cache_type", "mebibytes"),
    [
        # 36 layers × 1,024 numbers of keys, and as many of values, × 32,768 tokens. The log of a
        # run that val1813/kaiwu describes: K (q8_0): 1224 MiB, V (q4_0): 648 MiB
        pytest.param("q8_0:q4_0", 1224 + 648, id="keys in more bits"),
        pytest.param("q4_0:q8_0", 1224 + 648, id="values in more bits"),
        pytest.param("q8_0:f16", 1224 + 2304, id="values in the usual type"),
        # bytes of a block of 32 numbers (ggml-common.h): 24, 22, 20 and 18
        pytest.param("q5_1", 2 * 864, id="q5_1"),
        pytest.param("q5_0:q4_1", 792 + 720, id="q5_0 and q4_1"),
        pytest.param("iq4_nl", 2 * 648, id="iq4_nl"),
        # ggml-org/llama.cpp pull 28392: one byte for a number
        pytest.param("fp8", 2 * 1152, id="FP8"),
    ],
)
def test_keys_and_values_are_counted_in_their_own_types(
    kv_cache_type: str, mebibytes: int
) -> None:
    spec = catalogue().spec("qwen3-8b")
    needs = asked(
        spec,
        runtime("llama.cpp"),
        kv_cache_type=kv_cache_type,
        context_tokens=32_768,
    )
    cache = terms(needs)["kv_cache"]
    assert cache.bytes == mebibytes * 2**20
    assert calculate(cache.arithmetic) == cache.bytes


def test_the_command_says_both_types() -> None:
    verdict = check("qwen3-8b", machine=APPLE, kv_cache_type="q8_0:q4_0")
    assert verdict.commands[-1].endswith("-ctk q8_0 -ctv q4_0")
    assert not any("FA_ALL_QUANTS" in note for note in verdict.notes)


@pytest.mark.parametrize(
    ("kv_cache_type", "told"),
    [
        pytest.param(
            "q8_0:q4_0", "A published CUDA build stops", id="quantized values"
        ),
        pytest.param("q8_0:f16", "takes more memory", id="plain values"),
    ],
)
def test_on_an_nvidia_gpu_two_types_need_a_build_of_ones_own(
    kv_cache_type: str, told: str
) -> None:
    """ggml@d99724f2, src/ggml-cuda/fattn.cu: no kernel for K and V of two types without
    GGML_CUDA_FA_ALL_QUANTS.
    """
    verdict = check("qwen3-8b", machine=NVIDIA, kv_cache_type=kv_cache_type)
    (note,) = [note for note in verdict.notes if "FA_ALL_QUANTS" in note]
    assert told in note


@pytest.mark.parametrize(
    ("kv_cache_type", "told", "machine", "notes"),
    [
        pytest.param("q5_0", "GGML_CUDA_FA_ALL_QUANTS", NVIDIA, 1, id="own build"),
        pytest.param("q5_0", "GGML_CUDA_FA_ALL_QUANTS", APPLE, 0, id="without CUDA"),
        pytest.param("q4_0", "GGML_CUDA_FA_ALL_QUANTS", NVIDIA, 0, id="published"),
        pytest.param("iq4_nl", "No CUDA build", NVIDIA, 1, id="no build"),
        # ggml-org/llama.cpp, release v1.0.0 of 2026-11-13: FP8 KV caches
        pytest.param("fp8", "since version 1.0.0", APPLE, 1, id="version"),
    ],
)
def test_what_a_type_needs_of_the_program_is_told(
    kv_cache_type: str, told: str, machine: str, notes: int
) -> None:
    """ggml@d99724f2, src/ggml-cuda/fattn.cu, ggml_cuda_get_best_fattn_kernel."""
    verdict = check(
        "qwen3-8b", machine=machine, runtime="llama.cpp", kv_cache_type=kv_cache_type
    )
    assert verdict.route == "local"
    assert len([note for note in verdict.notes if told in note]) == notes


def test_quantized_keys_and_values_fit_where_people_run_them() -> None:
    """Qwen3.6-27B in IQ4_XS with keys in q5_0 and values in q4_1 holds 65,536 tokens on 16 GB
    (5p00kyy/club-5060ti#2).
    """
    workload = Workload(
        runtime="llama.cpp",
        quantization="IQ4_XS",
        kv_cache_type="q5_0:q4_1",
        context_tokens=65_536,
    )
    assert check("qwen3.6-27b", workload, gpu="RTX 5060 Ti 16GB").route == "local"


@pytest.mark.parametrize(
    ("program", "reason", "remedy"),
    [
        pytest.param(
            "ollama",
            "or in q8_0 or in q4_0, not in",
            "--runtime llama-cpp-python or llama.cpp",
            id="Ollama",
        ),
        pytest.param(
            "vllm",
            "or in fp8, not in",
            "--runtime llama-cpp-python or llama.cpp",
            id="vLLM",
        ),
    ],
)
def test_a_program_with_one_type_for_both_says_so(
    program: str, reason: str, remedy: str
) -> None:
    with pytest.raises(WorkloadError, match=reason) as refused:
        check("qwen3-8b", machine=NVIDIA, runtime=program, kv_cache_type="q8_0:q4_0")
    assert remedy in str(refused.value.problems[0].remedy)


def test_a_program_without_flash_attention_keeps_quantized_keys_alone() -> None:
    """llama.cpp asks flash attention of quantized values alone (src/llama-context.cpp)."""
    workload = Workload(runtime="llama-cpp-python", kv_cache_type="q8_0:f16")
    keys = check("qwen3-8b", workload, machine=APPLE)
    assert keys.needs is not None
    assert keys.needs.memory is not None
    turned = workload.replace(kv_cache_type="f16:q8_0")
    values = check("qwen3-8b", turned, machine=APPLE)
    assert values.route == "unknown"


def test_a_run_with_two_types_is_compared() -> None:
    """24 MiB of keys in 16 bits are 12.75 in blocks of 34 bytes for 32, and as many values are
    6.75 in blocks of 18.
    """
    sample = (DATA / "logs" / "llama_log-server.txt").read_text(encoding="utf-8")
    text = sample.replace("K (f16):", "K (q8_0):").replace("V (f16):", "V (q4_0):")
    run = run_of(text.replace("KV buffer size =    48.00", "KV buffer size =    19.50"))
    assert run is not None
    assert run.kv_cache_type == "q8_0:q4_0"
    found = verify(run, catalogue(), VM, "qwen2.5-0.5b-instruct")
    cache = next(row for row in found.differences if row.term == "kv_cache")
    assert cache.inside
