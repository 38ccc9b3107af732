"""Runtimes, formats and quantizations: what each model needs in them, and the defaults."""

from __future__ import annotations

import pytest

from helpers.needs_of import (
    asked,
    catalogue,
    memory,
    model,
    needs_of,
    runtime,
    terms,
)
from selfhost import needs
from selfhost.catalogue.spec import Openness, Parameters, StatedNeeds
from selfhost.core.workload import Workload
from selfhost.needs.records import How, Term


def test_windows_that_llama_cpp_ignores_are_cached_in_full() -> None:
    """Mistral 7B v0.1 has a window of 4,096 tokens: vLLM keeps those, llama.cpp all 16,384,
    transformers too while it reads them.
    """
    spec = catalogue().spec("mistral-7b-instruct-v0.1")
    for program, kept in (
        ("llama.cpp", 16_384),
        ("transformers", 16_384),
        ("vllm", 4096),
    ):
        found = terms(asked(spec, runtime(program), context_tokens=16_384))
        assert found["kv_cache"].bytes == kept * 131_072


@pytest.mark.parametrize("program", ["transformers", "vllm"])
def test_latent_attention_caches_the_latent_and_one_rope_key(program: str) -> None:
    """DeepSeek-V3 by its config.json: 61 layers, kv_lora_rank 512, qk_rope_head_dim 64, in
    bfloat16.
    """
    found = terms(asked(catalogue().spec("deepseek-v3"), runtime(program)))
    assert found["kv_cache"].bytes == 61 * (512 + 64) * 2 * 4096


@pytest.mark.parametrize(
    ("id", "program", "format", "quantization"),
    [
        pytest.param(
            "mistral-7b-instruct-v0.3", "llama.cpp", "gguf", "Q4_K_M", id="GGUF"
        ),
        pytest.param("gpt-oss-20b", "ollama", "gguf", "MXFP4", id="narrow experts"),
        pytest.param("opt-1.3b", "transformers", None, "float16", id="pickle"),
        pytest.param(
            "llama-3.1-8b-instruct",
            "vllm",
            "safetensors",
            "bfloat16",
            id="as published",
        ),
        pytest.param("whisper-base", "whisper.cpp", "ggml", "F16", id="ggml"),
        # published in float32: who writes text with it loads 16 bits, who makes vectors does not
        pytest.param("gpt-j-6b", "transformers", None, "bfloat16", id="text"),
        pytest.param(
            "bge-large-en-v1.5",
            "sentence-transformers",
            "safetensors",
            "float32",
            id="vectors",
        ),
        # its command takes no type
        pytest.param(
            "whisper-large-v2", "transformers", "safetensors", "float32", id="speech"
        ),
        pytest.param(
            "stable-diffusion-1.5",
            "diffusers",
            "safetensors",
            "float32",
            id="images in 32 bits",
        ),
        pytest.param(
            "flux.1-dev", "diffusers", "safetensors", "bfloat16", id="images in 16 bits"
        ),
    ],
)
def test_defaults_fit_the_model(
    id: str, program: str, format: str | None, quantization: str
) -> None:
    """What is taken unless something else is asked for, and it is one of the choices. No format
    is expected of files that are also published as pickles.
    """
    spec = catalogue().spec(id)
    found_format, found = needs.default_format_and_quantization(spec, runtime(program))
    assert found == quantization
    if format is not None:
        assert found_format == format
    assert found in needs.quantizations_of(spec, runtime(program))


def test_decoding_reads_only_the_experts_that_are_used() -> None:
    """Qwen3 30B A3B reads about a tenth of its weights per token: 3.3 of 30.5 billion parameters
    are active.
    """
    spec = catalogue().spec("qwen3-30b-a3b")
    by_type = needs.decode_bytes_by_type(spec, runtime("llama.cpp"), "gguf", "Q8_0")
    read = sum(by_type.values())
    # 34 bytes per 32 weights; of the untied token table one row is read
    active = (3_353_032_704 - 151_936 * 2048) * 34 / 32
    assert abs(read - active) < 0.02 * read


@pytest.mark.parametrize(
    ("program", "format", "quantization", "bits"),
    [
        ("mlx", "mlx", "4bit", 4.5),
        ("mlx", "mlx", "8bit", 8.5),
        ("vllm", "safetensors", "bfloat16", 16),
    ],
)
@pytest.mark.parametrize("id", ["qwen3.5-0.8b", "qwen3.5-9b", "gemma-3-4b-it"])
def test_a_token_reads_the_same_parameters_in_each_format(
    id: str, program: str, format: str, quantization: str, bits: float
) -> None:
    """Writing text reads no encoder, which MLX's files hold in 16 bits: 0.1 of the 0.85 billion
    parameters of Qwen3.5 0.8B. GGUF files hold none.
    """
    spec = catalogue().spec(id)
    in_gguf = needs.decode_bytes_by_type(spec, runtime("llama.cpp"), "gguf", "Q8_0")
    # 34 bytes per 32 weights
    parameters = sum(in_gguf.values()) * 32 / 34
    read = needs.decode_bytes_by_type(spec, runtime(program), format, quantization)
    assert sum(read.values()) * 8 / bits == pytest.approx(parameters, rel=0.01)


@pytest.mark.parametrize(
    "id",
    ["gemma-3-12b-it", "qwen3-vl-4b-instruct", "lfm2.5-vl-1.6b", "muse-glimmer-30b"],
)
def test_a_model_that_sees_runs_as_text_where_its_encoders_are_left_out(
    id: str,
) -> None:
    """mlx-lm's sanitize drops the vision tower (0.32.2: gemma3.py, qwen3_vl.py, lfm2-vl.py and
    muse_glimmer.py), of files that hold it; for a GGUF the projector is another file.
    """
    spec = catalogue().spec(id)
    for program in ("mlx", "llama-cpp-python"):
        assert needs.why_not_loaded(spec, runtime(program)) is None
        assert needs.takes_text_alone(spec, runtime(program))
    found = needs_of(spec, runtime("mlx"), Workload())
    weights = terms(found)["weights"]
    assert found.download_bytes is not None
    assert spec.parameters.encoders is not None
    assert weights.bytes == found.download_bytes - 2 * spec.parameters.encoders
    assert weights.low_bytes <= weights.bytes <= weights.high_bytes
    seeing = needs_of(spec, runtime("llama.cpp"), Workload())
    text = needs_of(spec, runtime("llama-cpp-python"), Workload())
    more = set(terms(seeing)) - set(terms(text))
    assert more - {"projector_compute"} == {"projector"}
    assert seeing.download_bytes is not None
    assert text.download_bytes is not None
    projector = terms(seeing)["projector"].bytes
    assert seeing.download_bytes - text.download_bytes == projector


def test_of_narrow_experts_a_token_reads_those_it_uses() -> None:
    """gpt-oss 20B uses 4 of 32 experts: 24 layers × 4 × 3 matrices of 2,880 × 2,880 in blocks of 32
    that take 17 bytes, in any program.
    """
    spec = catalogue().spec("gpt-oss-20b")
    experts = 24 * 4 * 3 * 2880 * 2880 // 32 * 17
    in_gguf = needs.decode_bytes_by_type(spec, runtime("llama.cpp"), "gguf", "MXFP4")
    assert in_gguf["MXFP4"] == experts
    read = needs.decode_bytes_by_type(spec, runtime("vllm"), "safetensors", "mxfp4")
    assert read["mxfp4"] == experts
    # all else in 16 bits, less the token table of 201,088 × 2,880 and the biases of 28 experts
    assert spec.parameters.total is not None
    of_all_experts = experts * 8 // 17 * 32
    unread = 201_088 * 2880 + 24 * 28 * 3 * 2880
    rest = spec.parameters.total - of_all_experts - unread
    assert read["bfloat16"] == pytest.approx(2 * rest, rel=0.001)


def test_what_a_token_reads_depends_on_who_packed_the_files() -> None:
    """Files in NVFP4 of Gemma 4 26B-A4B keep attention in 16 bits or only the tables; a GGUF type
    says which matrices it keeps.
    """
    spec = catalogue().spec("gemma-4-26b-a4b-it")
    packed = needs.read_shares(spec, "safetensors", "nvfp4")
    assert 0.4 < packed.least < 0.7
    assert packed.most == 1
    assert needs.read_shares(spec, "gguf", "Q4_K_M") == (1, 1)


def test_vllm_loads_32_bit_weights_as_16_bit_ones() -> None:
    """vLLM documentation, engine arguments: --dtype auto is "FP16 precision for FP32 and FP16
    models"; the files stay as published.
    """
    spec = catalogue().spec("gpt2-xl")
    answer = asked(spec, runtime("vllm"), context_tokens=1024)
    found = terms(answer)
    # 1,557,611,200 parameters; 48 layers × K and V of 1,600
    assert found["weights"].bytes == 2 * 1_557_611_200
    assert found["weights"].high_bytes < 1.1 * found["weights"].bytes
    assert found["kv_cache"].bytes == 2 * 48 * 1600 * 1024 * 2
    # openai-community/gpt2-xl, model.safetensors: 6.43 GB
    assert answer.download_bytes == pytest.approx(6.43e9, rel=0.001)


@pytest.mark.parametrize(
    ("id", "stored", "listed"),
    [
        # sizes that the repositories list for their model.safetensors, to three digits
        ("gpt-neo-2.7b", "float32", 10.7e9),
        ("gpt-neo-125m", "float32", 526e6),
        ("mamba-130m", "float32", 517e6),
        ("mamba-370m", "float32", 1.49e9),
        ("mamba-790m", "float32", 3.17e9),
        ("bloom-560m", "float16", 1.12e9),
        ("bloom-1b7", "float16", 3.44e9),
        ("bloom-7b1", "float16", 14.14e9),
        ("whisper-large-v2", "float32", 6.17e9),
        ("all-minilm-l6-v2", "float32", 90.9e6),
        ("bge-large-en-v1.5", "float32", 1.34e9),
        ("mxbai-embed-large-v1", "float16", 670e6),
        ("openai-gpt", "float32", 479e6),
    ],
)
def test_a_checkpoint_is_as_large_as_its_repository_lists(
    id: str, stored: str, listed: float
) -> None:
    """32 bits are twice 16: the type that a spec states is the one its files have."""
    spec = catalogue().spec(id)
    assert needs.quantizations_of(spec, runtime("transformers"))[0] == stored
    sized = needs.weights_files(spec, "safetensors", stored)
    assert isinstance(sized, Term)
    assert sized.bytes == pytest.approx(listed, rel=0.01)


@pytest.mark.parametrize("program", ["llama.cpp", "transformers"])
def test_parameters_alone_give_weights_and_no_total(program: str) -> None:
    """With a parameter count and nothing else the files are a range marked assumed, and memory is
    unknown because of the cache.
    """
    counted = model(parameters=Parameters(total=8_000_000_000))
    answer = asked(counted, runtime(program))
    assert answer.download_how is How.ASSUMED
    assert answer.download_bytes
    assert answer.memory is None
    assert [entry.fact for entry in answer.unknown] == ["memory.kv_cache"]
    sized = needs.weights_files(counted, "gguf", "Q4_K_M")
    assert isinstance(sized, Term)
    # Llama 3.1 8B, 8.03 B parameters, is 4.92 GB
    assert sized.low_bytes < 4_920_739_232 < sized.high_bytes


def test_nothing_known_is_unknown_and_never_zero() -> None:
    """A closed model, or a spec that states neither sizes nor needs, has None everywhere, each with
    a reason and a remedy.
    """
    closed = needs_of(model(openness=Openness(weights="closed")), None, Workload())
    assert "never published" in closed.unknown[0].reason
    for answer in (
        closed,
        asked(model(), runtime("llama.cpp")),
        needs_of(model(), None, Workload()),
    ):
        assert answer.memory is None
        assert answer.download_bytes is None
        assert answer.disk_bytes is None
        assert {entry.fact for entry in answer.unknown} == {"download_bytes", "memory"}
        for entry in answer.unknown:
            assert entry.reason
            assert entry.remedy


def test_stated_needs_are_taken_as_they_are() -> None:
    """A spec of a few lines with [needs] alone is one stated term with its range, whatever the
    runtime.
    """
    stated = StatedNeeds(
        low_bytes=6 * 2**30,
        high_bytes=8 * 2**30,
        disk_bytes=5_000_000_000,
        source="my notes",
    )
    for program in (None, runtime("llama.cpp")):
        answer = needs_of(model(needs=stated), program, Workload())
        (term,) = memory(answer).terms
        assert term.low_bytes == 6 * 2**30
        assert term.high_bytes == 8 * 2**30
        assert term.how is How.STATED
        assert term.source == "my notes"
        assert answer.download_bytes == 5_000_000_000
        assert answer.disk_bytes == 5_000_000_000
