"""Runtimes, formats and quantizations: what each model needs in them, and the defaults."""

from __future__ import annotations

import re

import pytest

from helpers.desktops import machine_with
from helpers.needs_of import asked, catalogue, in_gguf, memory, rows, runtime, specs
from selfhost import check, needs
from selfhost.core.workload import Workload
from selfhost.needs.records import Device, How, SizedWeights, Term
from selfhost.reports.words import asked_words


def test_logits_are_reserved_for_a_batch_or_a_sequence() -> None:
    """llama-cpp-python reserves 512 rows of logits, 4 bytes × 512 × vocabulary; llama-server, which Ollama starts, one a sequence."""
    spec = catalogue().spec("llama-3.2-1b-instruct")
    rows_bytes = 4 * 512 * 128_256
    devices = {
        id: next(
            term
            for term in memory(needs.needs_on(asked(spec, runtime(id)), Device())).terms
            if term.name == "compute"
        )
        for id in ("llama.cpp", "ollama", "llama-cpp-python")
    }
    assert devices["llama-cpp-python"].bytes >= rows_bytes
    assert devices["ollama"].bytes == devices["llama.cpp"].bytes < rows_bytes // 2


def test_gpt_oss_lies_whole_on_a_card_of_12_gb_in_ollama() -> None:
    """geerlingguy/ai-benchmarks: 84 tokens/s on an RTX 3060 and 163 on an RTX 4070 Ti, more than a part in RAM allows."""
    for card, tokens_per_second in (("RTX 3060", 83.96), ("RTX 4070 Ti", 163.14)):
        verdict = check(
            "gpt-oss-20b",
            Workload(runtime="ollama"),
            machine=machine_with(f"NVIDIA GeForce {card}", 12),
        )
        assert verdict.needs is not None
        assert verdict.needs.placement == "accelerator"
        assert verdict.speed is not None
        assert verdict.speed.decode is not None
        assert verdict.speed.decode.low < tokens_per_second < verdict.speed.decode.high


def test_windows_that_llama_cpp_ignores_are_cached_in_full() -> None:
    """Mistral 7B v0.1 has a window of 4,096 tokens: vLLM keeps those, llama.cpp all 16,384, transformers too while it reads them."""
    spec = catalogue().spec("mistral-7b-instruct-v0.1")
    sizes = {
        id: next(
            term.bytes
            for term in memory(asked(spec, runtime(id), context_tokens=16_384)).terms
            if term.name == "kv_cache"
        )
        for id in ("llama.cpp", "transformers", "vllm")
    }
    assert sizes["llama.cpp"] == 16_384 * 131_072
    assert sizes["transformers"] == 16_384 * 131_072
    assert sizes["vllm"] == 4096 * 131_072


@pytest.mark.parametrize("program", ["transformers", "vllm"])
def test_latent_attention_caches_the_latent_and_one_rope_key(program: str) -> None:
    """DeepSeek-V3 by its config.json: 61 layers, kv_lora_rank 512, qk_rope_head_dim 64, in bfloat16."""
    terms = {
        term.name: term
        for term in memory(asked(catalogue().spec("deepseek-v3"), runtime(program))).terms
    }
    assert terms["kv_cache"].bytes == 61 * (512 + 64) * 2 * 4096


def test_attention_that_stores_its_scores_needs_room_for_them() -> None:
    """BLOOM's class has no fused attention: 32 heads × 2,048 × 2,048 scores, a copy and their softmax in float32 at the least."""
    terms = {
        term.name: term
        for term in memory(
            asked(catalogue().spec("bloom-7b1"), runtime("transformers"), context_tokens=2048)
        ).terms
    }
    assert terms["activations"].bytes > 32 * 2048 * 2048 * (2 + 4)


def test_a_quantized_cache_that_llama_cpp_refuses_is_unknown() -> None:
    """Phi-2 has heads of 80: a q8_0 cache is refused, so the memory is unknown with that reason, and the download is still known."""
    answer = asked(
        catalogue().spec("phi-2"), runtime("llama.cpp"), context_tokens=2048, kv_cache_type="q8_0"
    )
    assert answer.memory is None
    assert answer.download_bytes
    assert "80" in next(entry.reason for entry in answer.unknown if entry.fact == "memory.kv_cache")


def test_an_image_model_is_downloaded_in_the_type_it_is_published_in() -> None:
    """FLUX.1 [dev]: 9.98 + 9.95 + 3.87 GB of transformer and 0.168 of VAE are listed; T5-XXL and CLIP-L: 4.76e9 and 0.123e9 in 16 bits."""
    found = needs.weights_bytes(catalogue().spec("flux.1-dev"), "safetensors", "bfloat16", rows())
    assert isinstance(found, SizedWeights)
    assert found.bytes == pytest.approx(
        (9.98 + 9.95 + 3.87 + 0.168 + 2 * (4.76 + 0.123)) * 1e9, rel=1e-3
    )


def test_names_people_type_are_understood() -> None:
    """Case and common short forms do not matter; a name nobody makes is None."""
    for text, name in (
        ("q4_k_m", "Q4_K_M"),
        ("Q4_K", "Q4_K_M"),
        ("mxfp4", "MXFP4"),
        ("fp16", "F16"),
        ("BFloat16", "bfloat16"),
    ):
        assert needs.canonical_quantization(text) == name
    assert needs.canonical_quantization("Q9_K_XXL") is None
    for name in needs.every_quantization():
        assert needs.canonical_quantization(name) in needs.every_quantization()


@pytest.mark.parametrize(
    ("id", "program", "expected"),
    [
        ("mistral-7b-instruct-v0.3", "llama.cpp", ("gguf", "Q4_K_M")),
        ("gpt-oss-20b", "ollama", ("gguf", "MXFP4")),
        ("opt-1.3b", "transformers", ("pickle", "float16")),
        ("llama-3.1-8b-instruct", "vllm", ("safetensors", "bfloat16")),
        ("whisper-base", "whisper.cpp", ("ggml", "F16")),
        # published in float32: who writes text with it loads 16 bits, who makes vectors does not
        ("gpt-j-6b", "transformers", ("pickle", "bfloat16")),
        ("bge-large-en-v1.5", "sentence-transformers", ("safetensors", "float32")),
        # its command takes no type
        ("whisper-large-v2", "transformers", ("safetensors", "float32")),
        ("stable-diffusion-1.5", "diffusers", ("safetensors", "float32")),
        ("flux.1-dev", "diffusers", ("safetensors", "bfloat16")),
    ],
)
def test_defaults_fit_the_model(id: str, program: str, expected: tuple[str, str]) -> None:
    """What is taken unless something else is asked for, and it is one of the choices."""
    spec = catalogue().spec(id)
    found = needs.default_format_and_quantization(spec, runtime(program))
    assert found[1] == expected[1]
    assert found[0] == expected[0] or expected[0] == "pickle"
    assert found[1] in needs.quantizations_of(spec, runtime(program), rows())


def test_choices_come_best_first() -> None:
    """Quantizations are listed from the best down."""
    names = needs.quantizations_of(
        catalogue().spec("llama-3.1-8b-instruct"), runtime("llama.cpp"), rows()
    )
    assert names.index("Q8_0") < names.index("Q4_K_M") < names.index("Q3_K_M") < names.index("Q2_K")


def test_a_publishers_own_types_come_largest_first() -> None:
    """Nothing else orders names such as UD-IQ1_M, and what is tried first must not depend on chance."""
    spec = catalogue().spec("qwen3.8-27b")
    sizes = {name: size for files in spec.files for name, size in files.bytes.items()}
    names = needs.quantizations_of(spec, runtime("llama.cpp"), rows())
    own = [name for name in names if name.startswith("UD-")]
    assert len(own) > 5
    assert own == sorted(own, key=lambda name: -sizes[name])


def test_models_published_in_four_bits_come_in_no_other_type() -> None:
    """gpt-oss was trained in MXFP4: other quantizations would be larger and no better."""
    assert needs.quantizations_of(
        catalogue().spec("gpt-oss-20b"), runtime("llama.cpp"), rows()
    ) == ("MXFP4",)


def test_decoding_reads_only_the_experts_that_are_used() -> None:
    """Qwen3 30B A3B reads about a tenth of its weights per token: 3.3 of 30.5 billion parameters are active."""
    spec = catalogue().spec("qwen3-30b-a3b")
    read = sum(
        needs.decode_bytes_by_type(spec, runtime("llama.cpp"), "gguf", "Q8_0", rows()).values()
    )
    # 34 bytes per 32 weights; of the untied token table one row is read
    assert abs(read - (3_353_032_704 - 151_936 * 2048) * 34 / 32) < 0.02 * read


def test_vllm_works_on_as_much_at_once_whatever_is_asked_for() -> None:
    """Its start-up tries 2,048 tokens and 256 sequences, on a large device 8,192 and 1,024 (vllm 0.33.0, get_batch_defaults)."""
    spec = catalogue().spec("qwen2.5-1.5b-instruct")

    def activations(context: int, parallel: int, *, is_large: bool = False) -> Term:
        asked = Workload(context_tokens=context, parallel=parallel)
        found = needs.needs_of(spec, runtime("vllm"), asked, rows())
        there = memory(needs.needs_on(found, Device(is_large=is_large)))
        return next(term for term in there.terms if term.name == "activations")

    one = activations(4096, 1)
    assert one == activations(4096, 256) == activations(32_768, 1)
    # 151,936 logits: 16 bits, and three times 32
    assert activations(4096, 300).bytes - one.bytes == 44 * 151_936 * 14
    assert (
        activations(4096, 1, is_large=True).bytes - one.bytes
        == 768 * 151_936 * 14 + 6144 * 1536 * 2
    )


@pytest.mark.parametrize(
    "id",
    ["gemma-3-12b-it", "qwen3.5-2b", "mistral-small-3.2-24b-instruct-2506", "qwen3-vl-4b-instruct"],
)
def test_a_model_that_sees_runs_as_text_where_its_encoders_are_left_out(id: str) -> None:
    """mlx-lm's sanitize drops the vision tower, of files that hold it; for a GGUF the projector is another file."""
    spec = catalogue().spec(id)
    for program in ("mlx", "llama-cpp-python"):
        assert needs.why_not_loaded(spec, runtime(program)) is None
        assert needs.takes_text_alone(spec, runtime(program))
    found = needs.needs_of(spec, runtime("mlx"), Workload(), rows())
    assert found.memory is not None
    assert found.download_bytes is not None
    weights = next(term for term in found.memory.terms if term.name == "weights")
    assert weights.bytes == found.download_bytes - 2 * (spec.parameters.encoders or 0)
    assert weights.low_bytes <= weights.bytes <= weights.high_bytes
    seeing, text = (
        needs.needs_of(spec, runtime(program), Workload(), rows())
        for program in ("llama.cpp", "llama-cpp-python")
    )
    assert seeing.memory is not None
    assert text.memory is not None
    assert {"projector"} == {term.name for term in seeing.memory.terms} - {
        term.name for term in text.memory.terms
    } - {"projector_compute"}
    projector = next(term for term in seeing.memory.terms if term.name == "projector")
    assert (seeing.download_bytes or 0) - (text.download_bytes or 0) == projector.bytes


@pytest.mark.parametrize(
    ("id", "program"),
    [("llava-1.5-7b", "mlx"), ("llama-3.2-11b-vision-instruct", "llama-cpp-python")],
)
def test_a_model_that_sees_does_not_run_where_nothing_loads_it(id: str, program: str) -> None:
    """mlx-lm has no class for LLaVA, and llama.cpp no architecture for Llama 3.2 Vision."""
    assert needs.why_not_loaded(catalogue().spec(id), runtime(program)) is not None


def test_a_t5_runs_with_transformers_alone() -> None:
    """llama-server, Ollama that starts it, and llama-cpp-python never call llama_encode (ggml-org/llama.cpp#26565, ollama/ollama#10666,
    abetlen/llama-cpp-python#1681): every T5, for a server that answers with noise runs nothing."""
    models = [
        spec for spec in catalogue().specs() if spec.architecture and spec.architecture.row == "t5"
    ]
    assert len(models) > 10
    for spec in models:
        assert needs.why_not_loaded(spec, runtime("transformers")) is None
        for program in ("llama.cpp", "ollama", "llama-cpp-python"):
            assert "encoder" in str(needs.why_not_loaded(spec, runtime(program)))


def test_ollama_ranks_no_documents() -> None:
    """It has no endpoint for it (ollama/ollama#3368, #13183); llama-server has /rerank. A model that embeds too is served as one."""
    rankers = [spec for spec in specs() if (spec.uses or ())[:1] == ("reranking",)]
    assert len(rankers) > 20
    assert None not in [needs.why_not_loaded(spec, runtime("ollama")) for spec in rankers]
    ranker, both = (catalogue().spec(id) for id in ("bge-reranker-v2-m3", "lfm2-colbert-350m"))
    assert "ranks" in str(needs.why_not_loaded(ranker, runtime("ollama")))
    assert needs.why_not_loaded(ranker, runtime("llama.cpp")) is None
    assert "ranks" not in str(needs.why_not_loaded(both, runtime("ollama")))


def test_vllm_reads_a_32_bit_model_as_16_bits() -> None:
    """vLLM's --dtype auto loads float32 checkpoints in bfloat16: of GPT-2's 124,439,808 published parameters 2 bytes each are read."""
    spec = catalogue().spec("gpt2")
    read = needs.decode_bytes_by_type(spec, runtime("vllm"), "safetensors", "float32", rows())
    assert list(read) == ["bfloat16"]
    assert read["bfloat16"] == pytest.approx(2 * 124_439_808, rel=0.01)
    whole = needs.decode_bytes_by_type(
        spec, runtime("transformers"), "safetensors", "float32", rows()
    )
    assert whole["float32"] == pytest.approx(4 * 124_439_808, rel=0.01)


def test_a_32_bit_model_is_said_to_be_loaded_in_16_bits() -> None:
    """Which of the two 16-bit types is of the GPU (vllm/platforms/cuda.py, supported_dtypes); models in bfloat16 are loaded as they are."""
    asked = Workload(runtime="vllm")
    for gpu in ("4x rtx 3090", "tesla t4"):
        words = asked_words(check("gpt-j-6b", asked, machine=gpu))
        assert words.startswith("float32 in vllm, loaded in 16 bits, 2,048 tokens"), words
    assert "loaded in" not in asked_words(check("qwen2.5-7b", asked, machine="rtx 3090"))


def test_of_narrow_experts_a_token_reads_those_it_uses() -> None:
    """gpt-oss 20B uses 4 of 32 experts: 24 layers × 4 × 3 matrices of 2,880 × 2,880 in blocks of 32 that take 17 bytes, in any program."""
    spec, experts = catalogue().spec("gpt-oss-20b"), 24 * 4 * 3 * 2880 * 2880 // 32 * 17
    read = needs.decode_bytes_by_type(spec, runtime("vllm"), "safetensors", "mxfp4", rows())
    assert read["mxfp4"] == experts
    assert (
        needs.decode_bytes_by_type(spec, runtime("llama.cpp"), "gguf", "MXFP4", rows())["MXFP4"]
        == experts
    )
    # all else in 16 bits, less the token table of 201,088 × 2,880
    total, stored = spec.parameters.total or 0, experts * 8 // 17 * 32
    assert read["bfloat16"] == pytest.approx(2 * (total - stored - 201_088 * 2880), rel=0.001)


@pytest.mark.parametrize(
    ("id", "context_tokens", "each", "layers_with_window", "layers_without", "window"),
    [
        # without make_cache in mlx_lm/models: every layer gets a KVCache
        ("gemma-2-9b-it", 8192, 2 * 8 * 256 * 2, 0, 42, 0),
        ("phi-3-mini-4k-instruct", 4096, 2 * 32 * 96 * 2, 0, 32, 0),
        ("starcoder2-7b", 16384, 2 * 4 * 128 * 4, 0, 32, 0),
        # MODEL_REMAPPING gives mistral to llama.py, which windows by layer_types alone
        ("mistral-7b-instruct-v0.1", 32768, 2 * 8 * 128 * 2, 0, 32, 0),
        # with make_cache: RotatingKVCache, whose largest size is max_size + S - 1, S being the 2,048 tokens of prefill_step_size
        ("gemma-3-27b-it", 32768, 2 * 16 * 128 * 2, 52, 10, 1024),
        ("gpt-oss-20b", 32768, 2 * 8 * 64 * 2, 12, 12, 128),
        ("olmo-3-7b-instruct", 32768, 2 * 32 * 128 * 2, 24, 8, 4096),
    ],
)
def test_mlx_keeps_all_tokens_where_its_model_has_no_rotating_cache(
    id: str,
    context_tokens: int,
    each: int,
    layers_with_window: int,
    layers_without: int,
    window: int,
) -> None:
    """mlx_lm 0.32.2: make_cache of the model's module decides, whatever window the config names; a prompt is read in long pieces."""
    spec = catalogue().spec(id)
    found = memory(asked(spec, runtime("mlx"), context_tokens=context_tokens, quantization="4bit"))
    cache = next(term for term in found.terms if term.name == "kv_cache")
    assert cache.bytes == each * (layers_without * context_tokens + layers_with_window * window)
    assert cache.high_bytes == each * (
        layers_without * context_tokens + layers_with_window * (window + 2048 - 1 if window else 0)
    )


def test_mlx_computes_in_the_type_of_its_files() -> None:
    """mlx_lm.convert --dtype bfloat16 of GPT-2 XL's 32-bit weights: keys and values of 48 layers × 1,600 are in 16 bits as well."""
    spec, program = catalogue().spec("gpt2-xl"), runtime("mlx")
    for quantization, width in (("bf16", 2), ("fp16", 2), ("4bit", 4)):
        found = memory(asked(spec, program, context_tokens=1024, quantization=quantization))
        assert (
            next(term.bytes for term in found.terms if term.name == "kv_cache")
            == 2 * 48 * 1600 * 1024 * width
        )


def test_vllm_loads_32_bit_weights_as_16_bit_ones() -> None:
    """vLLM documentation, engine arguments: --dtype auto is "FP16 precision for FP32 and FP16 models"; the files stay as published."""
    spec, program = catalogue().spec("gpt2-xl"), runtime("vllm")
    found = {term.name: term for term in memory(asked(spec, program, context_tokens=1024)).terms}
    # 1,557,611,200 parameters; 48 layers × K and V of 1,600
    assert found["weights"].bytes == 2 * 1_557_611_200
    assert found["weights"].high_bytes < 1.1 * found["weights"].bytes
    assert found["kv_cache"].bytes == 2 * 48 * 1600 * 1024 * 2
    download = asked(spec, program, context_tokens=1024).download_bytes
    assert download is not None
    # openai-community/gpt2-xl, model.safetensors: 6.43 GB
    assert download == pytest.approx(6.43e9, rel=0.001)


def test_an_exact_buffer_beside_a_range_says_why() -> None:
    """What llama.cpp reserves is known to the byte; pages that no token reached are not resident, so the low end is below."""
    found = {
        term.name: term
        for term in memory(
            asked(catalogue().spec("llama-3.1-8b-instruct"), runtime("llama.cpp"))
        ).terms
    }["compute"]
    assert found.how is How.EXACT
    assert found.low_bytes < found.bytes == found.high_bytes
    less = found.bytes - found.low_bytes
    assert (
        f"{less:,} bytes less are touched while no more than 512 tokens are in the context"
        in found.arithmetic
    )


@pytest.mark.parametrize("id", ["llama.cpp", "llama-cpp-python"])
def test_what_a_short_prompt_takes_less_is_the_low_end(id: str) -> None:
    """And it stands in the arithmetic. Of every fourth model."""
    for spec in in_gguf()[::4]:
        if needs.why_not_loaded(spec, runtime(id)):
            continue
        for term in memory(asked(spec, runtime(id), context_tokens=8192)).terms:
            told = re.search(r"; ([\d,]+) bytes less are touched", term.arithmetic)
            if term.name == "compute" and told:
                least = term.bytes - int(told[1].replace(",", ""))
                assert least == term.low_bytes <= term.bytes == term.high_bytes, spec.id


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
    (spec,) = (one for one in specs() if one.id == id)
    assert needs.quantizations_of(spec, runtime("transformers"), rows())[0] == stored
    sized = needs.weights_bytes(spec, "safetensors", stored, rows())
    assert isinstance(sized, SizedWeights)
    assert sized.bytes == pytest.approx(listed, rel=0.01)


def test_files_in_32_bits_are_loaded_in_16_if_told() -> None:
    """GPT-J: files of 24.2 GB, and 12.1 GB of weights in float16 (its spec's source); the cache halves too. T5 keeps a matrix in 32 bits beside float16 (modeling_t5.py), not beside bfloat16."""
    spec, program = catalogue().spec("gpt-j-6b"), runtime("transformers")
    assert needs.quantizations_of(spec, program, rows())[:3] == ("float32", "bfloat16", "float16")
    wide, narrow = (asked(spec, program, quantization=kind) for kind in ("float32", "float16"))
    assert wide.download_bytes == narrow.download_bytes
    halved = {
        name: [sum(term.bytes for term in memory(each).terms if term.name == name) for each in (wide, narrow)]
        for name in ("weights", "kv_cache")
    }  # fmt: skip
    assert all(after == pytest.approx(before / 2, rel=0.01) for before, after in halved.values())
    read = needs.decode_bytes_by_type(spec, program, "pickle", "float16", rows())
    assert list(read) == ["float16"]
    assert read["float16"] == pytest.approx(12.1e9, rel=0.05)
    t5 = catalogue().spec("flan-t5-xl")
    sizes = [
        memory(asked(t5, program, quantization=kind)).total_bytes
        for kind in ("float16", "bfloat16")
    ]
    assert sizes[0] > sizes[1]
