"""How fast prompts are read: held to runs of this project and of others, by their cause."""

from __future__ import annotations

import pytest

from helpers.machines import machine_with
from judge.small import speed_of
from selfhost import Workload, check
from selfhost.catalogue.index import open_catalogue
from selfhost.judge.pace import Range, Step
from selfhost.judge.pace.experts import experts_of_one_text
from selfhost.judge.pace.tables import pace_tables
from selfhost.judge.question import ask


def pace_of_prompt(model: str, machine: str, **asked: object) -> Range:
    verdict = check(model, Workload(**asked), machine=machine)  # type: ignore[arg-type]
    prompt = speed_of(verdict).prompt
    assert prompt is not None
    return prompt


def step_for(model: str) -> Step:
    catalogue = open_catalogue()
    step = ask(catalogue.spec(model), Workload(), catalogue, machine_with()).step
    assert step is not None
    return step


@pytest.mark.parametrize(
    ("model", "quantization", "tokens", "seen"),
    [
        # an H200 of this project (`truth/speed_prompts.json`), in no fit
        pytest.param("qwen3-8b", "Q4_K_M", 4096, 9731.7, id="dense"),
        pytest.param("llama-3.2-1b-instruct", "Q4_K_M", 512, 35815, id="small"),
        pytest.param("qwen2.5-7b-instruct", "F16", 4096, 24954.7, id="in 16 bits"),
        pytest.param("qwen3-30b-a3b", "Q4_K_M", 4096, 10219.5, id="128 experts"),
        pytest.param(
            "mixtral-8x7b-instruct-v0.1", "Q4_K_M", 512, 5838.4, id="8 experts"
        ),
    ],
)
def test_llama_cpp_on_a_large_card(
    model: str, quantization: str, tokens: int, seen: float
) -> None:
    prompt = pace_of_prompt(
        model,
        "h200 141gb, 126gb ram",
        quantization=quantization,
        runtime="llama.cpp",
        prompt_tokens=tokens,
        context_tokens=tokens + 512,
    )
    assert prompt.low <= seen <= prompt.high
    assert prompt.high <= 3.5 * prompt.low


@pytest.mark.parametrize(
    ("machine", "least", "most"),
    [
        # tensor cores multiply FP8 twice as fast as 16 bits from Ada on (NVIDIA's data sheets)
        pytest.param("h100 sxm 80gb 126gb ram", 1.2, 2.0, id="multiplied in FP8"),
        # Marlin's kernels unpack it to 16 bits before (vllm, quantization/fp8.py)
        pytest.param("rtx 3090 64gb", 1.0, 1.0, id="unpacked to 16 bits"),
    ],
)
def test_weights_in_fp8_are_multiplied_so_where_the_gpu_can(
    machine: str, least: float, most: float
) -> None:
    asked = {"runtime": "vllm", "prompt_tokens": 2048, "context_tokens": 4096}
    in_fp8 = pace_of_prompt("qwen3-8b", machine, quantization="fp8", **asked)
    plain = pace_of_prompt("qwen3-8b", machine, quantization="bfloat16", **asked)
    assert least <= in_fp8.likely / plain.likely <= most


def test_a_request_to_vllm_on_a_large_card_lies_in_the_range() -> None:
    """Qwen3 8B in FP8 on an H100: 2,048 tokens and the first of the answer in 50 ms with all that
    a request takes (silybench-data, vLLM 0.30.0, 2026-09-24).
    """
    prompt = pace_of_prompt(
        "qwen3-8b",
        "h100 sxm 80gb 126gb ram",
        quantization="fp8",
        runtime="vllm",
        prompt_tokens=2048,
        context_tokens=4096,
    )
    assert prompt.low <= 2048 / 0.0503 <= prompt.high


def test_experts_reach_less_on_cards_of_amd() -> None:
    """On a Radeon AI PRO R9700 with ROCm 7.1.1 (`speed_programs.json`) Qwen3 Coder 30B-A3B read
    2,830 tokens/s where 4,670 were told, and gpt-oss 20B 4,517 where 6,630 were.
    """
    for model, quantization, seen in (
        ("qwen3-coder-30b-a3b-instruct", "Q4_K_M", 2830),
        ("gpt-oss-20b", "MXFP4", 4517),
    ):
        prompt = pace_of_prompt(
            model,
            "radeon ai pro r9700 64gb",
            quantization=quantization,
            runtime="llama.cpp",
            prompt_tokens=512,
            context_tokens=1024,
        )
        assert prompt.low <= seen <= prompt.high
        assert prompt.likely <= 1.4 * seen


@pytest.mark.parametrize(
    ("micro_batch", "seen"),
    [
        pytest.param(512, 3488.13, id="32 tokens for an expert"),
        pytest.param(1024, 4387.83, id="64 tokens for an expert"),
        pytest.param(2048, 5172.07, id="128 tokens for an expert"),
    ],
)
def test_a_larger_micro_batch_helps_a_mixture_less_than_its_tiles(
    micro_batch: int, seen: float
) -> None:
    """Gemma 4 26B on an RTX 3090 (ggml-org/llama.cpp#22298): four times the batch reads 1.5 times
    as fast.
    """
    prompt = pace_of_prompt(
        "gemma-4-26b-a4b-it",
        "rtx 3090 64gb",
        quantization="Q4_K_M",
        runtime="llama.cpp",
        prompt_tokens=2048,
        context_tokens=2560,
        runtime_options={"ub": str(micro_batch)},
    )
    assert prompt.likely == pytest.approx(seen, rel=0.15)


@pytest.mark.parametrize(
    ("machine", "least", "most"),
    [
        # a tile of 64 tokens (ml-explore/mlx#3925): experts with 16 tokens each reach 0.21 of the
        # rate of others, with 64 of them 0.78
        pytest.param("macbook pro m5 max 128gb", 1.5, 3.7, id="tiles of 64"),
        # 619 and 753 tokens/s on an M2 Max (`speed_mlx_prompts.json`)
        pytest.param("macbook pro m2 max 64gb", 1.1, 1.4, id="tiles of 16"),
    ],
)
def test_mlx_reads_short_prompts_of_mixtures_slower(
    machine: str, least: float, most: float
) -> None:
    short, long = (
        pace_of_prompt(
            "qwen3.6-35b-a3b",
            machine,
            quantization="4bit",
            runtime="mlx",
            prompt_tokens=tokens,
            context_tokens=tokens + 512,
        )
        for tokens in (512, 2048)
    )
    assert least <= long.likely / short.likely <= most


def test_a_long_prompt_is_hardly_slower_on_a_large_card() -> None:
    """Mistral 7B on an H100 of this project: 9,495 tokens/s of 512, 7,595 of 32,640 as a whole."""
    short, long = (
        pace_of_prompt(
            "mistral-7b-v0.3",
            "h100 sxm 80gb 126gb ram",
            quantization="Q4_K_M",
            runtime="llama.cpp",
            prompt_tokens=tokens,
            context_tokens=tokens + 128,
        )
        for tokens in (512, 32640)
    )
    assert long.likely / short.likely == pytest.approx(7595 / 9495, rel=0.15)


def test_pytorch_multiplies_16_bits_faster_than_packed_weights_are_read() -> None:
    """33,193 tokens/s of Llama 3.1 8B with 4,096 tokens on an H200 (`transformers_gpu.json`), where
    llama.cpp reads 11,214 in Q8_0.
    """
    prompt = pace_of_prompt(
        "llama-3.1-8b-instruct",
        "h200 141gb, 126gb ram",
        quantization="bfloat16",
        runtime="transformers",
        prompt_tokens=4096,
        context_tokens=4608,
    )
    assert prompt.low <= 33193 <= prompt.high
    assert prompt.likely > 20_000


def test_a_larger_micro_batch_shares_the_experts_of_a_mixture() -> None:
    """Qwen3.6 35B-A3B on a Radeon AI PRO R9700 with ROCm: 1,383 tokens/s with 512 at once, 2,835
    with 2,048 (`speed_split.json`), for every expert is read for each batch.
    """
    few, many = (
        pace_of_prompt(
            "qwen3.6-35b-a3b",
            "radeon ai pro r9700 64gb",
            quantization="UD-Q5_K_XL",
            runtime="llama.cpp",
            prompt_tokens=2048,
            runtime_options={"ub": tokens},
        ).likely
        for tokens in ("512", "2048")
    )
    assert 1.5 < many / few < 2835 / 1383 * 1.2


@pytest.mark.parametrize(
    ("layers", "seen"),
    [
        pytest.param("33", 164.0, id="experts of 33 layers in RAM"),
        pytest.param("35", 144.0, id="experts of 35 layers in RAM"),
    ],
)
def test_weights_cross_to_a_card_for_the_tokens_of_a_short_prompt_alone(
    layers: str, seen: float
) -> None:
    """An RTX 3070 Ti read 128 tokens in a micro-batch of 512 (`truth/speed_split_later.json`), and
    180 to 549 tokens/s were told: as if the experts crossed to it for 512 tokens.
    """
    prompt = pace_of_prompt(
        "qwen3-30b-a3b",
        "ryzen 5 5600x 32gb ddr4-3600 rtx 3070 ti",
        quantization="Q4_K_M",
        runtime="llama.cpp",
        prompt_tokens=128,
        runtime_options={"n-cpu-moe": layers},
    )
    assert prompt.low <= seen <= prompt.high


def test_a_batch_uses_as_many_experts_as_the_program_counted() -> None:
    """llama.cpp copied 72 to 95 of 128 experts a layer of gpt-oss 120B for 512 tokens of code, of
    which each chooses four (ggml-org/llama.cpp#15346), not all of them.
    """
    step = step_for("gpt-oss-120b")
    counted = [95, 91, 72, 74, 73, 78, 87, 95]
    share = sum(counted) / len(counted) / 128
    evenness = pace_tables().batch.evenness
    used = experts_of_one_text(step, 512, evenness)
    assert used.likely == pytest.approx(share, rel=0.05)


@pytest.mark.parametrize(
    ("machine", "model", "quantization", "seen"),
    [
        # `truth/speed_prompts_newest.json` and `speed_november.json`, of builds of 2026
        pytest.param(
            "ryzen ai max+ 395 128gb linux", "gpt-oss-120b", "MXFP4", 707, id="gpt-oss"
        ),
        pytest.param(
            "m1 max 64gb", "qwen3.6-35b-a3b", "Q4_K_M", 835, id="tiles of Metal"
        ),
    ],
)
def test_a_mixture_on_shared_memory_reads_as_builds_of_2026(
    machine: str, model: str, quantization: str, seen: float
) -> None:
    prompt = pace_of_prompt(
        model,
        machine,
        quantization=quantization,
        runtime="llama.cpp",
        prompt_tokens=512,
        context_tokens=1024,
    )
    assert prompt.low <= seen <= prompt.high
    assert prompt.likely == pytest.approx(seen, rel=0.25)


@pytest.mark.parametrize("machine", ["ryzen 7 5800x 32gb", "i7-12700k 64gb"])
def test_gpt_oss_reads_a_prompt_faster_than_it_decodes_on_cores(machine: str) -> None:
    """Three layers of gpt-oss 20B read 512 tokens at nine to fifteen times the pace of decoding on
    a busy Granite Rapids, and 1.2 to 1.7 times at the least on a Zen 5 (`truth/speed.json`).
    """
    asked = Workload(runtime="llama.cpp", prompt_tokens=2048)
    speed = speed_of(check("gpt-oss-20b", asked, machine=machine))
    assert speed.prompt is not None
    assert speed.decode is not None
    assert speed.prompt.likely > 1.5 * speed.decode.likely


@pytest.mark.parametrize(
    ("model", "machine", "quantization", "seen"),
    [
        # `truth/speed_processors_prompts.json`
        pytest.param(
            "llama-3.1-8b-instruct",
            "graviton4 16 vcpus 32gb",
            "Q4_0",
            190.18,
            id="Q4_0 on Arm",
        ),
        pytest.param(
            "gpt-oss-20b", "xeon e5-2680 v4 64gb", "MXFP4", 41.4, id="MXFP4 on AVX2"
        ),
    ],
)
def test_processors_read_weights_that_are_laid_out_anew(
    model: str, machine: str, quantization: str, seen: float
) -> None:
    prompt = pace_of_prompt(
        model,
        machine,
        quantization=quantization,
        runtime="llama.cpp",
        prompt_tokens=512,
        context_tokens=1024,
    )
    assert prompt.low <= seen <= prompt.high
    assert prompt.high <= 7 * prompt.low


@pytest.mark.parametrize(
    ("machine", "least", "most"),
    [
        # 430 tokens/s of 512 and 57.8 of 8,192 (ggml-org/llama.cpp#27086, in no fit)
        pytest.param("c8g.4xlarge", 6.0, 9.0, id="SVE, without a kernel"),
        # its cores have NEON, for which there is one
        pytest.param("c6g.4xlarge", 1.0, 3.0, id="NEON"),
    ],
)
def test_a_long_prompt_is_much_slower_where_attention_has_no_kernel(
    machine: str, least: float, most: float
) -> None:
    asked = {"quantization": "Q4_0", "runtime": "llama.cpp", "context_tokens": 8704}
    model = "qwen2.5-1.5b-instruct"
    short = pace_of_prompt(model, machine, prompt_tokens=512, **asked)
    long = pace_of_prompt(model, machine, prompt_tokens=8192, **asked)
    assert least <= short.likely / long.likely <= most


def test_small_cores_read_a_prompt_too_but_on_linux() -> None:
    """llama.cpp leaves them out on Linux on x86-64, where its source says they harm."""
    linux, windows = (
        pace_of_prompt(
            "llama-3.1-8b-instruct",
            f"i9-14900hx 64gb {system}",
            quantization="Q4_K_M",
            runtime="llama.cpp",
        )
        for system in ("linux", "windows")
    )
    assert windows.likely > 1.3 * linux.likely
    assert windows.low < linux.likely


@pytest.mark.parametrize(
    ("model", "seen"),
    [
        # Vulkan, 512 tokens: ggml-org/llama.cpp#27471 (2026-08) and #25380 (2026-07), in no fit
        pytest.param("qwen3-8b", 1011.55, id="dense"),
        pytest.param("qwen2.5-1.5b-instruct", 4418.79, id="small"),
        pytest.param("qwen3.5-35b-a3b", 772.08, id="mixture"),
    ],
)
def test_an_arc_b390_reads_prompts_within_its_range(model: str, seen: float) -> None:
    """The row had no peak, so no pace of a prompt was told."""
    pace = pace_of_prompt(
        model, "Arc B390, 32GB RAM", quantization="Q4_K_M", prompt_tokens=512
    )
    assert pace.low <= seen <= pace.high
