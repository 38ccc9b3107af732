"""Quantized safetensors and MLX files: what they weigh, what names mean, which runtime takes them,
what they cost in quality.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.cases import case_id
from helpers.paths import TRUTH
from selfhost import Workload, check
from selfhost.catalogue.index import open_catalogue
from selfhost.core.errors import WorkloadError
from selfhost.judge.quality import quality_of
from selfhost.modelfiles import read_local
from selfhost.needs import canonical_quantization, quantizations_of, weights_files
from selfhost.needs.records import How, Term
from selfhost.needs.weight_files import linear_bytes

MEASURED = json.loads((TRUTH / "quantized_sizes.json").read_text(encoding="utf-8"))
CATALOGUE = open_catalogue()


def computed(model: str, format: str, quantization: str) -> Term:
    """The size by the format's own rule, as if no publisher stated one."""
    found = weights_files(CATALOGUE.spec(model).replace(files=()), format, quantization)
    assert isinstance(found, Term), found
    return found


# ------------------------------------------------------------------ sizes


@pytest.mark.parametrize(
    "row", MEASURED["files"], ids=lambda row: f"{row['model']}-{row['quantization']}"
)
def test_published_files_weigh_what_the_rule_says(row: dict[str, Any]) -> None:
    """Within 0.5 %, and within the stated range, of what somebody published."""
    found = computed(row["model"], row["format"], row["quantization"])
    apart = max(0, abs(found.bytes - row["bytes"]) - row["open"])
    assert apart <= 0.005 * row["bytes"], f"{found.bytes:,} against {row['bytes']:,}"
    assert (
        found.low_bytes - row["open"] <= row["bytes"] <= found.high_bytes + row["open"]
    )


@pytest.mark.parametrize(
    "row",
    MEASURED["parts_left"],
    ids=lambda row: f"{row['model']}-{row['quantization']}",
)
def test_files_whose_publisher_left_parts_as_they_were_lie_in_the_range(
    row: dict[str, Any],
) -> None:
    """Of experts and hybrids some publish all matrices quantized and some the experts alone: the
    range holds what its card says.
    """
    found = computed(row["model"], row["format"], row["quantization"])
    assert found.how is How.ASSUMED
    assert found.low_bytes <= row["most"]
    assert row["least"] <= found.high_bytes


@pytest.mark.parametrize("row", MEASURED["layers"], ids=lambda row: row["quantization"])
def test_layers_of_a_published_file_add_up(row: dict[str, Any]) -> None:
    """To 0.001 %: every matrix by the rule, all else as it was."""
    packed = sum(
        linear_bytes(row["quantization"], inputs, outputs) * number
        for inputs, outputs, number in row["linear"]
    )
    assert packed + row["other_bytes"] == pytest.approx(row["bytes"], rel=1e-5)


@pytest.mark.parametrize(
    "model",
    [
        spec.id
        for spec in CATALOGUE.specs()
        if any(files.format == "mlx" for files in spec.files)
    ],
    ids=case_id,
)
def test_listed_mlx_sizes_are_sums_of_their_tensors(model: str) -> None:
    """Every MLX size that a spec states lies within the computed range and 0.5 %, but for those
    named here, which no rule gives.
    """
    mixes = {
        "kimi-k2.6": "DQ3_K_M-q8 is a mix of its publisher",
        "gemma-4-26b-a4b-it": "the 4- and 6-bit files keep feed-forward layers in 8 bits",
        "gemma-4-e4b-it": "the files leave tables of other sizes",
        "qwen3-coder-next": "listed sizes of no consistent bits",
        "step-3.5-flash": "architecture not described",
        "qwen3-vl-4b-instruct": "listed in tens of megabytes",
        "nemotron-3-nano-30b-a3b": "its MXFP4 and NVFP4 files keep parts in more bits",
    }
    for files in CATALOGUE.spec(model).files:
        for quantization, size in files.bytes.items() if files.format == "mlx" else ():
            found = weights_files(
                CATALOGUE.spec(model).replace(files=()), "mlx", quantization
            )
            if model in mixes or not isinstance(found, Term):
                continue
            assert abs(found.bytes - size) <= 0.005 * size, (
                f"{model} {quantization}: {found.bytes:,} against {size:,}"
            )


# ------------------------------------------------------------------ names


# what no format has is no name
SPELLINGS = {
    "awq": "AWQ awq-int4 AWQ-4bit",
    "gptq": "GPTQ GPTQ-Int4",
    "gptq-8bit": "GPTQ-Int8 gptq-8bit-128g",
    "gptq-32g": "gptq-4bit-32g",
    "fp8": "FP8 FP8-dynamic",
    "nf4": "nf4 bnb-4bit",
    "w4a16": "W4A16",
    "w8a8": "w8a8",
    "4bit": "4bit",
    "4bit-32g": "4bit-gs32",
    "Q4_K_M": "Q4_K",
    None: "gptq-4bit-32g-actorder_True awq-3bit gptqx",
}


@pytest.mark.parametrize(
    ("typed", "name"),
    [(word, name) for name, words in SPELLINGS.items() for word in words.split()],
    ids=case_id,
)
def test_spellings(typed: str, name: str | None) -> None:
    """The ways in which repositories write a quantization are one name; what no format has is
    none.
    """
    assert canonical_quantization(typed) == name


# ------------------------------------------------------------------ judged


@pytest.mark.parametrize(
    ("id", "gigabytes"),
    [
        # nvidia/Qwen3-Next-80B-A3B-Thinking-NVFP4: its files on Hugging Face (2026), linear
        # attention and the blocks for more tokens in 16 bits
        ("qwen3-next-80b-a3b-thinking", 50.8),
        # AlphaOxO/Llama-3.3-8B-Instruct-NVFP4: 5.69 GiB of GPU memory by its card, some of it
        # beside the weights
        ("llama-3.1-8b-instruct", 6.04),
        # nvidia/Gemma-4-31B-IT-NVFP4: its files on Hugging Face (2026), attention in 16 bits
        ("gemma-4-31b-it", 32.7),
        # unsloth/gemma-4-26B-A4B-it-NVFP4: 16,942,099,391 bytes, attention in 8 bits
        ("gemma-4-26b-a4b-it", 16.94),
    ],
)
def test_nvfp4_of_others_lies_in_the_range(id: str, gigabytes: float) -> None:
    """One scale of a byte for 16 weights of 4 bits, tables in 16 bits."""
    size = weights_files(CATALOGUE.spec(id), "safetensors", "nvfp4")
    assert isinstance(size, Term)
    assert size.low_bytes <= gigabytes * 1e9 <= size.high_bytes


def test_what_cannot_be_packed_says_why() -> None:
    """Falcon 7B is 4,544 wide, which groups of 128 do not divide: no runtime is offered for AWQ,
    and the reason is given.
    """
    with pytest.raises(WorkloadError) as caught:
        check(
            "falcon-7b-instruct",
            Workload(quantization="awq"),
            machine="desktop-ryzen-5600-16gb",
        )
    (problem,) = caught.value.problems
    assert "4,544" in problem.message


@pytest.mark.parametrize("program", ["llama.cpp", "vllm", "mlx"])
def test_the_order_of_choice_is_the_order_of_quality(program: str) -> None:
    """What is tried first loses least, by the measured figures."""
    spec = CATALOGUE.spec("llama-3.1-8b-instruct")
    order = quantizations_of(spec, CATALOGUE.runtime(program))
    found = [quality_of(name) for name in order]
    measured = [
        one for one in found if one.measure == "perplexity" and one.cost != "small"
    ]
    losses = [one.loss_percent for one in measured if one.loss_percent is not None]
    assert losses == sorted(losses)


# ------------------------------------------------------------------ a config.json

MEASURED = json.loads((TRUTH / "quantized_models.json").read_text(encoding="utf-8"))
# rows of the seven matrices of a block
ROWS_OF = {"q": 256, "k": 64, "v": 64, "o": 256, "gate": 768, "up": 768, "down": 256}


@pytest.mark.parametrize(
    "run", MEASURED["runs"], ids=lambda run: run["quantization_config"]["quant_method"]
)
def test_what_a_library_made_of_a_config_is_its_size(
    run: dict[str, Any], tmp_path: Path
) -> None:
    """To 0.03 % what the library wrote; where single modules have a type of their own the key is
    named and the size is unknown.

    FP8 by rows has a scale of two bytes a row beside it; AutoRound's own files leave out what
    GPTQ's have for each input, 4 bytes.
    """
    file = tmp_path / "config.json"
    file.write_text(
        json.dumps(
            {**MEASURED["config"], "quantization_config": run["quantization_config"]}
        ),
        encoding="utf-8",
    )
    local = read_local(file)
    if local.quantization is None:
        assert "not understood" in local.spec.unknown["architecture.matrix_dtype"]
        return
    found = weights_files(local.spec, "safetensors", local.quantization)
    assert isinstance(found, Term), local.spec.unknown
    scales = (
        2 * (12 * sum(ROWS_OF.values()) + 1000)
        if local.quantization == "float8_e4m3"
        else 0
    )
    indices = 0
    if run["quantization_config"].get("packing_format") == "auto_round:auto_gptq":
        indices = 4 * 12 * (6 * 256 + 768)
    assert found.low_bytes - indices <= run["bytes"] <= found.high_bytes
    assert run["bytes"] - scales <= found.bytes * 1.0003
    assert found.bytes - indices <= run["bytes"] * 1.0003


@pytest.mark.parametrize(
    ("model", "mix", "published_gb"),
    [
        # sizes that people tell of unsloth's repositories; neither architecture has a row
        pytest.param("glm-5.3-flash", "UD-Q3_K_XL", 148.0, id="glm-q3"),
        pytest.param("glm-5.3-flash", "UD-IQ1_S", 93.0, id="glm-iq1"),
    ],
)
def test_a_mix_of_a_model_whose_total_is_known_has_a_range(
    model: str, mix: str, published_gb: float
) -> None:
    spec = open_catalogue().spec(model).replace(files=())
    size = weights_files(spec, "gguf", mix)
    assert isinstance(size, Term)
    assert size.how == "assumed"
    assert size.low_bytes < published_gb * 1e9 < size.high_bytes
    assert size.bytes == pytest.approx(published_gb * 1e9, rel=0.15)


@pytest.mark.parametrize(
    ("model", "gigabytes"),
    [
        # nvidia/Gemma-4-31B-IT-NVFP4 on Hugging Face; vLLM logs 31.04 GiB of it
        pytest.param("gemma-4-31b-it", 32.7, id="attention-in-16-bits"),
        # AlphaOxO/Llama-3.3-8B-Instruct-NVFP4, its card: 5.69 GiB of GPU memory
        pytest.param("llama-3.1-8b-instruct", 6.04, id="every-layer-in-4-bits"),
    ],
)
def test_the_likely_size_of_nvfp4_is_what_its_usual_publisher_makes(
    model: str, gigabytes: float
) -> None:
    size = weights_files(CATALOGUE.spec(model), "safetensors", "nvfp4")
    assert isinstance(size, Term)
    assert size.bytes == pytest.approx(gigabytes * 1e9, rel=0.03)


def test_nvfp4_of_gemma_4_31b_does_not_fit_32_gb() -> None:
    """vllm-project/vllm#40291: out of memory on a single RTX 5090 while its weights load."""
    workload = Workload(runtime="vllm", quantization="nvfp4", context_tokens=8192)
    verdict = check("gemma-4-31b", workload, machine="RTX 5090, 64GB RAM")
    assert verdict.route != "local"


@pytest.mark.parametrize(
    ("tag", "listed_gb"),
    [
        # ollama.com/library by auditomatic/ollama-models-registry@31464bb (2026-08-21)
        pytest.param("glm-4.7-flash:latest", 19.0, id="latent-attention"),
        pytest.param("muse-glimmer:30b", 18.0, id="quantized-projector"),
        pytest.param("gemma3:270m-it-qat", 0.241, id="table-in-8-bits"),
        pytest.param("gemma3:4b-it-qat", 4.0, id="table-in-16-bits"),
        pytest.param("gemma4:12b-it-qat", 7.2, id="qat-of-gemma-4"),
        pytest.param("qwen3-coder-next:latest", 52.0, id="wide-experts"),
        pytest.param("laguna-xs.2:latest", 23.0, id="laguna"),
        pytest.param("gpt-oss-safeguard:20b", 14.0, id="attention-in-16-bits"),
    ],
)
def test_a_tag_weighs_what_ollamas_library_lists(tag: str, listed_gb: float) -> None:
    workload = Workload(runtime="ollama")
    needs = check(tag, workload, machine="mac-studio-m3-ultra-512gb").needs
    assert needs is not None
    assert needs.download_bytes == pytest.approx(listed_gb * 1e9, rel=0.03)


@pytest.mark.parametrize(
    "gigabytes", [pytest.param(22.0, id="QuantTrio"), pytest.param(20.0, id="cyankiwi")]
)
def test_the_likely_size_of_awq_with_recurrent_layers_lies_between_what_is_published(
    gigabytes: float,
) -> None:
    """Qwen3.6-27B-AWQ and -AWQ-INT4 on Hugging Face, as a public list of 2026 has them."""
    size = weights_files(CATALOGUE.spec("qwen3.6-27b"), "safetensors", "awq")
    assert isinstance(size, Term)
    assert size.low_bytes < gigabytes * 1e9 < size.high_bytes
    assert size.bytes == pytest.approx(gigabytes * 1e9, rel=0.07)
