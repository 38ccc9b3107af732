"""Quantized safetensors and MLX files: what they weigh, what names mean, which runtime takes them, what they cost in quality."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from helpers.each import each
from helpers.paths import CONFIGS, TRUTH
from selfhost import Machine, Workload, check
from selfhost.advice.shown import describe
from selfhost.catalogue.opened import open_catalogue
from selfhost.catalogue.quality import AS_PUBLISHED, NOT_MEASURED, quality_of
from selfhost.catalogue.spec import ModelSpec
from selfhost.core.errors import WorkloadError
from selfhost.judge.question import architectures
from selfhost.machine.gpus import capability_by_name
from selfhost.machine.record import Accelerator, Disk
from selfhost.modelfiles import read_local
from selfhost.needs import canonical_quantization, quantizations_of, weights_bytes
from selfhost.needs.packed import DTYPES, linear_bytes
from selfhost.needs.quantization import GGUF_QUANTIZATIONS
from selfhost.needs.records import How, SizedWeights
from selfhost.reports.layout import plain
from selfhost.reports.show_text import show_document

MEASURED = json.loads((TRUTH / "quantized_sizes.json").read_text(encoding="utf-8"))
CATALOGUE = open_catalogue()
ROWS = architectures(CATALOGUE)
GIB, GB = 2**30, 10**9


def computed(model: str, format: str, quantization: str) -> SizedWeights:
    """The size by the format's own rule, as if no publisher stated one."""
    found = weights_bytes(CATALOGUE.spec(model).replace(files=()), format, quantization, ROWS)
    assert isinstance(found, SizedWeights), found
    return found


# ------------------------------------------------------------------ sizes


@each("row", MEASURED["files"], ids=lambda row: f"{row['model']}-{row['quantization']}")
def test_published_files_weigh_what_the_rule_says(row: dict[str, Any]) -> None:
    """Within 0.5 %, and within the stated range, of what somebody published."""
    found = computed(row["model"], row["format"], row["quantization"])
    apart = max(0, abs(found.bytes - row["bytes"]) - row["open"])
    assert apart <= 0.005 * row["bytes"], f"{found.bytes:,} against {row['bytes']:,}"
    assert found.low_bytes - row["open"] <= row["bytes"] <= found.high_bytes + row["open"]


@pytest.mark.parametrize(
    "row", MEASURED["parts_left"], ids=lambda row: f"{row['model']}-{row['quantization']}"
)
def test_files_whose_publisher_left_parts_as_they_were_lie_in_the_range(
    row: dict[str, Any],
) -> None:
    """Of experts and hybrids some publish all matrices quantized and some the experts alone: the range holds what its card says."""
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


@each(
    "model",
    [spec.id for spec in CATALOGUE.specs() if any(files.format == "mlx" for files in spec.files)],
)
def test_listed_mlx_sizes_are_sums_of_their_tensors(model: str) -> None:
    """Every MLX size that a spec states lies within the computed range and 0.5 %, but for those named here, which no rule gives."""
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
            found = weights_bytes(
                CATALOGUE.spec(model).replace(files=()), "mlx", quantization, ROWS
            )
            if model in mixes or not isinstance(found, SizedWeights):
                continue
            assert abs(found.bytes - size) <= 0.005 * size, (
                f"{model} {quantization}: {found.bytes:,} against {size:,}"
            )


def test_ternary_layers_stay_in_two_bits_in_mlx() -> None:
    """mlx_lm 0.32.2's class of BitNet b1.58 2B 4T has 706,580,900 bytes of arrays once quantize_model has made it 4 bits."""
    spec = CATALOGUE.spec("bitnet-b1.58-2b-4t").replace(files=())
    found = weights_bytes(spec, "mlx", "4bit", ROWS)
    assert isinstance(found, SizedWeights)
    assert found.bytes == pytest.approx(706_580_900, rel=0.0005)


def test_more_bits_never_take_less() -> None:
    """At the same group size more bits are more bytes, and smaller groups too; all are less than 16 bits."""
    for orders in (
        ("gptq-2bit", "gptq-3bit", "gptq", "gptq-8bit", "bfloat16"),
        ("gptq-channel", "gptq", "gptq-64g", "gptq-32g", "gptq-8bit"),
        ("nf4-double", "nf4", "int8", "bfloat16"),
        ("awq", "awq-64g", "awq-32g", "fp8", "bfloat16"),
    ):
        sizes = [computed("llama-3.1-8b-instruct", "safetensors", name).bytes for name in orders]
        assert sizes == sorted(sizes), orders
    mlx = [
        computed("llama-3.1-8b-instruct", "mlx", f"{bits}bit").bytes for bits in (2, 3, 4, 5, 6, 8)
    ]
    assert mlx == sorted(mlx)
    assert computed("llama-3.1-8b-instruct", "mlx", "4bit-32g").bytes > mlx[2]


def test_a_padded_feed_forward_is_downloaded() -> None:
    """Qwen2.5 72B in GPTQ has 128 columns more in three matrices of 80 layers; an input takes 4 bits, and 20 a group of 128."""
    spec = CATALOGUE.spec("qwen2.5-72b-instruct")
    assert spec.architecture is not None
    (feeding,) = spec.architecture.feed_forward
    assert feeding.padded_length == 232 * 128
    unpadded = spec.architecture.replace(feed_forward=(feeding.replace(padded_length=None),))
    before = weights_bytes(spec.replace(architecture=unpadded), "safetensors", "gptq", ROWS)
    assert isinstance(before, SizedWeights)
    more = computed("qwen2.5-72b-instruct", "safetensors", "gptq").bytes - before.bytes
    assert more == pytest.approx(80 * 3 * 8192 * 128 * (4 + 20 / 128) / 8, rel=0.02)


def test_experts_widen_the_range() -> None:
    """What quantizers leave in 16 bits differs for mixtures of experts, and the range says so."""
    dense, mixed = (
        computed("llama-3.1-8b-instruct", "safetensors", "awq"),
        computed("qwen3-30b-a3b", "safetensors", "awq"),
    )
    assert dense.high_bytes < 1.02 * dense.bytes
    assert mixed.high_bytes > 1.05 * mixed.bytes
    assert mixed.how == "assumed"


# ------------------------------------------------------------------ names


@each(
    ("typed", "name"),
    [
        ("AWQ", "awq"),
        ("awq-int4", "awq"),
        ("AWQ-4bit", "awq"),
        ("GPTQ", "gptq"),
        ("GPTQ-Int4", "gptq"),
        ("GPTQ-Int8", "gptq-8bit"),
        ("gptq-4bit-32g-actorder_True", None),
        ("gptq-4bit-32g", "gptq-32g"),
        ("gptq-8bit-128g", "gptq-8bit"),
        ("FP8", "fp8"),
        ("FP8-dynamic", "fp8"),
        ("nf4", "nf4"),
        ("bnb-4bit", "nf4"),
        ("W4A16", "w4a16"),
        ("w8a8", "w8a8"),
        ("4bit", "4bit"),
        ("4bit-gs32", "4bit-32g"),
        ("Q4_K", "Q4_K_M"),
        ("awq-3bit", None),
        ("gptqx", None),
    ],
)
def test_spellings(typed: str, name: str | None) -> None:
    """The ways in which repositories write a quantization are one name; what no format has is none."""
    assert canonical_quantization(typed) == name


MACHINE = Machine(
    name="test machine",
    system="linux",
    architecture="x86_64",
    memory_total_bytes=64 * GIB,
    memory_limit_bytes=64 * GIB,
    memory_available_bytes=60 * GIB,
    instruction_sets=("sse2", "avx", "avx2", "fma", "f16c", "bmi2", "avx512f"),
    accelerators=(),
    disks=(
        Disk(
            purpose="huggingface",
            path="/data",
            free_bytes=900 * GB,
            total_bytes=1000 * GB,
            filesystem="ext4",
            writable=True,
        ),
    ),
    cpu_cores_usable=16,
    cpu_cores_physical=16,
)


def with_gpu(name: str = "NVIDIA GeForce RTX 4090", vendor: str = "nvidia") -> Machine:
    """The machine with one card of 24 GiB."""
    card = Accelerator(
        vendor=vendor,
        name=name,
        memory_total_bytes=24 * GIB,
        memory_free_bytes=24 * GIB,
        unified=False,
    )
    return MACHINE.replace(accelerators=(card,))


@pytest.mark.parametrize(
    ("runtime", "typed", "name"),
    [
        ("transformers", "4bit", "nf4"),
        ("transformers", "int8", "int8"),
        ("transformers", "8bit", "int8"),
        ("vllm", "4bit", "awq"),
        ("vllm", "int8", "w8a8"),
        ("vllm", "FP8", "fp8"),
        ("mlx", "4bit", "4bit"),
        ("mlx", "int4", "4bit"),
        ("mlx", "MXFP4", "mxfp4"),
        ("mlx", "4bit-gs128", "4bit-128g"),
        (None, "AWQ", "awq"),
        (None, "Q4_K_M", "Q4_K_M"),
    ],
)
def test_a_word_means_what_the_runtime_means_by_it(
    runtime: str | None, typed: str, name: str
) -> None:
    """`4bit` is nf4 for transformers, AWQ for vLLM and MLX's own for MLX."""
    verdict = check(
        "llama-3.1-8b-instruct", Workload(runtime=runtime, quantization=typed), machine=MACHINE
    )
    assert verdict.workload.quantization == name


# ------------------------------------------------------------------ judged


def test_what_is_quantized_while_loading_is_downloaded_whole() -> None:
    """bitsandbytes: 16 GB travel, a third of it stays in memory; the command says how to load it."""
    verdict = check(
        "llama-3.1-8b-instruct",
        Workload(runtime="transformers", quantization="nf4"),
        machine=MACHINE,
    )
    assert verdict.needs is not None
    assert verdict.needs.memory is not None
    assert verdict.needs.download_bytes == pytest.approx(16.06e9, rel=0.001)
    weights = next(term for term in verdict.needs.memory.terms if term.name == "weights")
    # 6.98 billion weights of the blocks in 4.5 bits, 1.05 billion others in 16 bits
    assert weights.bytes == pytest.approx(6_979_321_856 * 4.5 / 8 + 2 * 1_050_939_392, rel=0.001)
    assert any("(16 bits)" in note for note in verdict.fine_print)
    assert any("load_in_4bit" in line for line in verdict.commands)


def test_experts_stay_wide_where_the_library_leaves_them() -> None:
    """bitsandbytes does not take the fused experts of transformers 5 (its issue 1849): nf4 of a mixture of experts saves little."""
    verdict = check(
        "qwen3-30b-a3b", Workload(runtime="transformers", quantization="nf4"), machine=MACHINE
    )
    assert verdict.needs is not None
    assert verdict.needs.memory is not None
    weights = next(term for term in verdict.needs.memory.terms if term.name == "weights")
    assert weights.bytes > 50 * GB
    assert weights.low_bytes < 20 * GB


@pytest.mark.parametrize(
    ("card", "vendor", "quantization", "code"),
    [
        ("NVIDIA GeForce RTX 4090", "nvidia", "fp8", "accelerator-fits"),
        ("Tesla T4", "nvidia", "fp8", "accelerator-fits"),
        ("Tesla V100-PCIE-16GB", "nvidia", "fp8", "accelerator-unsuitable"),
        ("Tesla V100-PCIE-16GB", "nvidia", "awq", "accelerator-unsuitable"),
        ("Tesla V100-PCIE-16GB", "nvidia", "gptq", "accelerator-unsuitable"),
        ("AMD Instinct MI300X", "amd", "awq", "accelerator-unsuitable"),
        ("AMD Instinct MI300X", "amd", "fp8", "accelerator-fits"),
        ("Some new card", "nvidia", "awq", "accelerator-unread"),
        ("NVIDIA A100-SXM4-40GB", "nvidia", "w4a16", "accelerator-fits"),
        ("Tesla T4", "nvidia", "w4a16", "accelerator-unsuitable"),
    ],
)
def test_kernels_ask_for_a_card(card: str, vendor: str, quantization: str, code: str) -> None:
    """vLLM's table of supported hardware, and 7.5 whatever the kernel: a card without is a clear no, one that is not known an unknown."""
    verdict = check(
        "llama-3.2-3b-instruct",
        Workload(runtime="vllm", quantization=quantization),
        machine=with_gpu(card, vendor),
    )
    finding = verdict.finding("accelerator")
    assert finding is not None
    assert finding.code == code
    assert code == "accelerator-fits" or finding.remedy


def test_fp8_wants_a_gpu_in_transformers() -> None:
    """There is no CPU kernel; nf4 has one."""
    for quantization, outcome in (("fp8", "fail"), ("nf4", "pass")):
        verdict = check(
            "llama-3.2-3b-instruct",
            Workload(runtime="transformers", quantization=quantization),
            machine=MACHINE,
        )
        finding = verdict.finding("accelerator")
        assert finding is not None
        assert finding.outcome == outcome


def test_an_apple_gpu_is_no_cuda_gpu() -> None:
    """FP8 in transformers wants an NVIDIA GPU; that a Mac's shares the RAM does not help."""
    apple = Accelerator(vendor="apple", name="Apple M3", unified=True)
    machine = MACHINE.replace(
        system="macos", architecture="aarch64", instruction_sets=("asimd",), accelerators=(apple,)
    )
    verdict = check(
        "llama-3.2-3b-instruct",
        Workload(runtime="transformers", quantization="fp8"),
        machine=machine,
    )
    finding = verdict.finding("accelerator")
    assert finding is not None
    assert finding.code == "accelerator-unsuitable"


@pytest.mark.parametrize(
    ("id", "gigabytes"),
    [
        # nvidia/Qwen3-Next-80B-A3B-Thinking-NVFP4: its files on Hugging Face (2026), linear attention and the blocks for more
        # tokens in 16 bits
        ("qwen3-next-80b-a3b-thinking", 50.8),
        # AlphaOxO/Llama-3.3-8B-Instruct-NVFP4: 5.69 GiB of GPU memory by its card, some of it beside the weights
        ("llama-3.1-8b-instruct", 6.04),
    ],
)
def test_nvfp4_of_others_lies_in_the_range(id: str, gigabytes: float) -> None:
    """One scale of a byte for 16 weights of 4 bits, tables in 16 bits."""
    size = weights_bytes(
        CATALOGUE.spec(id), "safetensors", "nvfp4", CATALOGUE.common("architectures")
    )
    assert isinstance(size, SizedWeights)
    assert size.low_bytes <= gigabytes * 1e9 <= size.high_bytes


@pytest.mark.parametrize(
    ("quantization", "words"),
    [
        ("UD-IQ4_NL_XL", ("own mix", "IQ4_NL")),
        ("Q3_K_XXL", ("own mix", "Q3_K_M")),
        ("Q4_K_XL", ("Unsloth", "--quant UD-Q4_K_XL")),
        ("Q4_0_4_4", ("no longer loads", "Q4_0")),
        ("Q4_0_8_8", ("no longer loads", "Q4_0")),
        ("exl2", ("is not a quantization", "Q4_K_M", "selfhost show")),
        ("4bit", ("did you mean Q4_K_M?", "--runtime transformers or vllm or mlx")),
        ("8bit", ("did you mean Q8_0?", "--runtime transformers or vllm or mlx")),
        ("int8", ("did you mean Q8_0?", "--runtime transformers or vllm or mlx")),
        ("int4", ("did you mean Q4_K_M?",)),
    ],
)
def test_what_no_rule_gives_is_answered(quantization: str, words: tuple[str, ...]) -> None:
    """A publisher's own mix and a retired layout are no typing slips: the answer says what they are and what to do."""
    with pytest.raises(WorkloadError) as caught:
        check("llama-3.1-8b-instruct", Workload(quantization=quantization), machine=MACHINE)
    (problem,) = caught.value.problems
    assert all(word in f"{problem.message} {problem.remedy}" for word in words)


def test_a_type_of_experts_is_told_of_a_model_without() -> None:
    """llama-quantize's recipe MXFP4_MOE narrows experts alone (src/llama-quant.cpp): of a dense model it is a Q8_0, and that is said where it is asked for."""

    def notes(model: str, quantization: str) -> str:
        workload = Workload(quantization=quantization, runtime="llama.cpp")
        return " ".join(check(model, workload, machine=MACHINE).notes)

    for spelling in ("mxfp4", "MXFP4_MOE"):
        told = notes("llama-3.1-8b-instruct", spelling)
        assert "no smaller than Q8_0" in told
        assert "--quant Q4_K_M" in told
    assert "no smaller" not in notes("gpt-oss-20b", "MXFP4")
    assert "no smaller" not in notes("qwen3-30b-a3b", "MXFP4")
    assert "no smaller" not in notes("llama-3.1-8b-instruct", "Q4_K_M")


def test_narrow_weights_are_not_quantized_again() -> None:
    """A model published in FP8 or MXFP4 comes in no nf4."""
    with pytest.raises(WorkloadError):
        check("gpt-oss-20b", Workload(runtime="transformers", quantization="nf4"), machine=MACHINE)


def test_what_cannot_be_packed_says_why() -> None:
    """Falcon 7B is 4,544 wide, which groups of 128 do not divide: no runtime is offered for AWQ, and the reason is given."""
    with pytest.raises(WorkloadError) as caught:
        check("falcon-7b-instruct", Workload(quantization="awq"), machine=MACHINE)
    (problem,) = caught.value.problems
    assert "4,544" in problem.message
    assert "--runtime" not in (problem.remedy or "")


def test_fp8_is_what_the_publisher_has_where_there_is_one() -> None:
    """`--quant fp8` of a model published in FP8 is that file."""
    verdict = check("deepseek-v3", Workload(runtime="vllm", quantization="fp8"), machine=MACHINE)
    assert verdict.workload.quantization == "float8_e4m3_128x128"


@each(
    ("name", "capability"),
    [
        ("NVIDIA GeForce RTX 4090", "8.9"),
        ("NVIDIA GeForce RTX 3060 Laptop GPU", "8.6"),
        ("NVIDIA RTX A6000", "8.6"),
        ("NVIDIA RTX 6000 Ada Generation", "8.9"),
        ("NVIDIA H200", "9.0"),
        ("NVIDIA A100 80GB PCIe", "8.0"),
        ("NVIDIA A10G", "8.6"),
        ("Tesla T4", "7.5"),
        ("Tesla V100-SXM2-32GB", "7.0"),
        ("NVIDIA GeForce RTX 5090", "12.0"),
        ("NVIDIA L4", "8.9"),
        ("Quadro P4000", "6.1"),
        ("Quadro GP100", "6.0"),
        ("Quadro K4000", "3.0"),
        ("Some new card", None),
    ],
)
def test_a_card_is_known_by_its_name(name: str, capability: str | None) -> None:
    """As NVIDIA's list of CUDA GPUs has it; a name that it does not know is not guessed."""
    assert capability_by_name(name) == capability


# ------------------------------------------------------------------ quality

QUALITIES = CATALOGUE.common("quantizations")


@each("name", QUALITIES["quantization"])
def test_a_loss_has_its_measurement(name: str) -> None:
    """A figure stands beside its measure, model and source; where there is none a note says what is known, and no word is claimed."""
    entry, found = QUALITIES["quantization"][name], quality_of(name, CATALOGUE)
    assert entry["source"]
    if "loss_percent" in entry:
        assert entry["measure"] in ("perplexity", "score")
        assert entry["model"]
        assert entry["figure"]
        assert found.cost in {word["word"] for word in QUALITIES["word"]}
    else:
        assert entry["note"]
        assert found.cost == NOT_MEASURED
    assert set(entry) <= {
        "family",
        "loss_percent",
        "measure",
        "model",
        "figure",
        "note",
        "source",
        "worth_having",
    }


def test_figures_follow_from_their_numbers() -> None:
    """Each perplexity of llama.cpp's scoreboard gives the percentage beside it."""
    checked = 0
    for entry in QUALITIES["quantization"].values():
        numbers = re.match(r"perplexity \+([\d.]+) on ([\d.]+), KL", entry.get("figure", ""))
        if numbers:
            checked += 1
            assert entry["loss_percent"] == pytest.approx(
                100 * float(numbers[1]) / float(numbers[2]), rel=0.02, abs=0.006
            )
    assert checked == 28


@pytest.mark.parametrize("family", ["gguf", "safetensors", "mlx"])
def test_the_order_of_choice_is_the_order_of_quality(family: str) -> None:
    """What is tried first loses least, by the measured figures; of equal ones the 16-bit types come first."""
    runtimes = {"gguf": "llama.cpp", "safetensors": "vllm", "mlx": "mlx"}
    order = quantizations_of(
        CATALOGUE.spec("llama-3.1-8b-instruct"), CATALOGUE.runtime(runtimes[family]), ROWS
    )
    found = [quality_of(name, CATALOGUE) for name in order]
    losses = [
        one.loss_percent
        for one in found
        if one.measure == "perplexity" and one.loss_percent is not None and one.cost != "small"
    ]
    assert losses == sorted(losses)
    words = [word["word"] for word in QUALITIES["word"]]
    costs = [words.index(one.cost) for one in found if one.cost in words]
    assert costs == sorted(costs)


def test_words_come_from_the_scale() -> None:
    """The word is that of the first limit above the figure, and all that some runtime takes has an entry."""
    assert [
        quality_of(name, CATALOGUE).cost
        for name in ("Q8_0", "Q5_K_M", "Q4_K_M", "Q3_K_M", "Q3_K_S", "Q2_K")
    ] == [
        "negligible",
        "barely measurable",
        "small",
        "noticeable",
        "heavy",
        "severe",
    ]
    assert quality_of("Q3_K_M", CATALOGUE).worth_having
    assert not quality_of("Q2_K", CATALOGUE).worth_having
    assert quality_of("UD-Q4_K_XL", CATALOGUE).cost == NOT_MEASURED
    assert "gptq" in quality_of("gptq-32g", CATALOGUE).text
    for runtime in CATALOGUE.runtime_ids():
        for name in (*CATALOGUE.runtime(runtime).quantizations, *GGUF_QUANTIZATIONS, *DTYPES):
            assert name in QUALITIES["quantization"]


def test_ternary_types_are_for_ternary_models() -> None:
    """TQ1_0 and TQ2_0 (llama.cpp pull request 8151: 1.6875 and 2.0625 bits) have a size for all, and are offered to no other model."""
    spec, ternary = CATALOGUE.spec("llama-3.1-8b-instruct"), CATALOGUE.spec("bitnet-b1.58-2b-4t")
    runtime = CATALOGUE.runtime("llama.cpp")
    assert "TQ1_0" not in quantizations_of(spec, runtime, ROWS)
    if ternary.architecture is not None and ternary.architecture.runs_in_gguf:
        assert "TQ1_0" in quantizations_of(ternary, runtime, ROWS)
    assert (
        check("llama-3.1-8b-instruct", Workload(quantization="TQ2_0"), machine=MACHINE).needs
        is not None
    )
    small, large = (weights_bytes(spec, "gguf", name, ROWS) for name in ("TQ1_0", "TQ2_0"))
    assert isinstance(small, SizedWeights)
    assert isinstance(large, SizedWeights)
    # blocks of 256: 54 and 66 bytes, of all matrices but the two tables
    assert large.bytes - small.bytes == 6_979_321_856 // 256 * 12


def test_q2_k_s_weighs_what_llama_cpp_lists() -> None:
    """tools/quantize/README.md: 2.9697 bits per weight of Llama 3.1 8B."""
    found = weights_bytes(
        CATALOGUE.spec("llama-3.1-8b-instruct").replace(files=()), "gguf", "Q2_K_S", ROWS
    )
    assert isinstance(found, SizedWeights)
    assert found.bytes * 8 / 8_030_261_312 == pytest.approx(2.9697, rel=0.005)


def test_show_lists_every_family() -> None:
    """Each family's quantizations with size, memory, whether they fit and what they cost."""
    shown = describe(CATALOGUE, "llama-3.1-8b-instruct", Workload(), MACHINE)
    by_family = {size.family: size for size in shown.sizes}
    assert set(by_family) == {"gguf", "safetensors", "mlx"}
    names = {(size.family, size.quantization) for size in shown.sizes}
    assert {
        ("gguf", "Q4_K_M"),
        ("safetensors", "awq"),
        ("safetensors", "nf4"),
        ("safetensors", "w8a8"),
        ("mlx", "4bit"),
    } <= names
    assert len(names) == len(shown.sizes)
    nf4 = next(size for size in shown.sizes if size.quantization == "nf4")
    assert nf4.bytes > 16 * GB
    assert nf4.memory_bytes is not None
    assert nf4.memory_bytes < 10 * GB
    alone = describe(CATALOGUE, "llama-3.1-8b-instruct", Workload(runtime="vllm"), MACHINE)
    assert {size.runtime for size in alone.sizes} == {"vllm"}


def test_the_published_type_costs_nothing() -> None:
    """gpt-oss in MXFP4, DeepSeek V3 in FP8, Whisper large v3 and Llama 2 in 16 bits of float are what their publishers made (torch_dtype of
    their config.json); DeepSeek in MXFP4 is not, nor is Whisper tiny in 16 bits."""
    oss, deepseek = CATALOGUE.spec("gpt-oss-20b"), CATALOGUE.spec("deepseek-v3")
    assert quality_of("MXFP4", CATALOGUE, oss).cost == AS_PUBLISHED
    assert quality_of("mxfp4", CATALOGUE, oss).cost == AS_PUBLISHED
    assert quality_of("float8_e4m3_128x128", CATALOGUE, deepseek).cost == AS_PUBLISHED
    assert quality_of("MXFP4", CATALOGUE, deepseek).cost == NOT_MEASURED
    for id, name in (
        ("whisper-large-v3", "F16"),
        ("whisper-large-v3", "float16"),
        ("llama-2-7b-chat", "F16"),
    ):
        assert quality_of(name, CATALOGUE, CATALOGUE.spec(id)).cost == AS_PUBLISHED
    assert quality_of("F16", CATALOGUE, CATALOGUE.spec("whisper-tiny")).cost == NOT_MEASURED


@pytest.mark.parametrize(
    ("model", "name"),
    [("bge-m3", "Q4_K_M"), ("whisper-tiny", "Q5_0"), ("sdxl-base-1.0", "float16")],
)
def test_no_loss_is_claimed_of_models_that_write_no_text(model: str, name: str) -> None:
    """The figures are perplexities of language models: of others there is none, and the sentence says whose figure it gives; what is the
    same number in any model is told of all."""
    spec = CATALOGUE.spec(model)
    found, of_text = quality_of(name, CATALOGUE, spec), quality_of(name, CATALOGUE)
    assert (found.cost, found.loss_percent, found.measure, found.model) == (
        NOT_MEASURED,
        None,
        None,
        None,
    )
    assert f"no measurement with {spec.modality} models is known" in found.text
    assert of_text.model
    assert f"with text models it is {of_text.text}" in found.text
    assert found.worth_having is of_text.worth_having
    assert quality_of("F32", CATALOGUE, spec.replace(architecture=None)) == quality_of(
        "F32", CATALOGUE
    )
    sizes = describe(CATALOGUE, model, Workload(), MACHINE).sizes
    # the first screen claims no loss; all of it says why
    assert "not measured" in plain(show_document(spec, sizes))
    assert "% more perplexity" not in plain(show_document(spec, sizes))
    full = plain(show_document(spec, sizes, verbose=True))
    assert f"no measurement with {spec.modality} models is known" in full


@pytest.mark.parametrize(
    "model",
    [
        "gpt-oss-20b",
        "deepseek-v3",
        "flux.1-dev",
        "whisper-tiny",
        "bge-m3",
        "gpt-4o",
        "jamba-v0.1",
        "llava-1.5-7b",
    ],
)
def test_show_answers_for_every_kind_of_model(model: str) -> None:
    """No kind of model is left without an answer; what is not text lists the files of its own program."""
    shown = describe(CATALOGUE, model, Workload(), MACHINE)
    assert bool(shown.sizes) is not CATALOGUE.spec(model).closed
    assert all(size.quality.text for size in shown.sizes)


# ------------------------------------------------------------------ a config.json

LLAMA_8B = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": False,
    "torch_dtype": "float16",
}
# 4 projections and 3 matrices of each of 32 blocks; the two tables and 65 norms
LINEAR, OTHERS = (
    32 * (2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336),
    2 * 4096 * 128256 + 65 * 4096,
)
ATTENTION = 32 * (2 * 4096 * 4096 + 2 * 4096 * 1024)


@pytest.mark.parametrize(
    ("config", "name", "size"),
    [
        (
            {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True},
            "awq",
            LINEAR * (4 + 20 / 128) / 8 + 2 * OTHERS,
        ),
        (
            {"quant_method": "awq", "bits": 4, "group_size": 64},
            "awq-64g",
            LINEAR * (4 + 20 / 64) / 8 + 2 * OTHERS,
        ),
        (
            {"quant_method": "gptq", "bits": 8, "group_size": 128, "desc_act": True},
            "gptq-8bit",
            LINEAR * (8 + 24 / 128) / 8 + 2 * OTHERS,
        ),
        (
            {"quant_method": "gptq", "bits": 4, "group_size": -1},
            "gptq-channel",
            LINEAR * 4 / 8 + 2 * OTHERS,
        ),
        (
            {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
            "nf4",
            LINEAR * 4.5 / 8 + 2 * OTHERS,
        ),
        (
            {
                "quant_method": "bitsandbytes",
                "load_in_4bit": True,
                "bnb_4bit_use_double_quant": True,
            },
            "nf4-double",
            LINEAR * (4 + 8 / 64) / 8 + 2 * OTHERS,
        ),
        (
            {
                "quant_method": "fp8",
                "weight_block_size": [128, 128],
                "modules_to_not_convert": ["lm_head"],
            },
            "float8_e4m3_128x128",
            LINEAR + 2 * OTHERS,
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "format": "pack-quantized",
                "config_groups": {
                    "group_0": {
                        "targets": ["Linear"],
                        "weights": {"type": "int", "num_bits": 4, "group_size": 128},
                    }
                },
                "ignore": ["lm_head"],
            },
            "w4a16",
            LINEAR * (4 + 16 / 128) / 8 + 2 * OTHERS,
        ),
    ],
)
def test_a_config_tells_its_size(
    config: dict[str, Any], name: str, size: float, tmp_path: Path
) -> None:
    """Bits, groups and the parts left in 16 bits give the size of the files, by hand from the shapes."""
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**LLAMA_8B, "quantization_config": config}), encoding="utf-8")
    verdict = check(str(file), Workload(runtime="vllm"), machine=MACHINE)
    assert verdict.workload.quantization == name
    assert verdict.needs is not None
    assert verdict.needs.download_bytes == pytest.approx(size, rel=0.005)


MEASURED = json.loads((TRUTH / "quantized_models.json").read_text(encoding="utf-8"))
# rows of the seven matrices of a block
ROWS_OF = {"q": 256, "k": 64, "v": 64, "o": 256, "gate": 768, "up": 768, "down": 256}


@pytest.mark.parametrize(
    "run", MEASURED["runs"], ids=lambda run: run["quantization_config"]["quant_method"]
)
def test_what_a_library_made_of_a_config_is_its_size(run: dict[str, Any], tmp_path: Path) -> None:
    """To 0.03 % what the library wrote; where single modules have a type of their own the key is named and the size is unknown.

    FP8 by rows has a scale of two bytes a row beside it; AutoRound's own files leave out what GPTQ's have for each input, 4 bytes.
    """
    file = tmp_path / "config.json"
    file.write_text(
        json.dumps({**MEASURED["config"], "quantization_config": run["quantization_config"]}),
        encoding="utf-8",
    )
    local = read_local(file, ROWS)
    if local.quantization is None:
        assert "a type of their own" in local.spec.unknown["architecture.matrix_dtype"]
        return
    found = weights_bytes(local.spec, "safetensors", local.quantization, ROWS)
    assert isinstance(found, SizedWeights), local.spec.unknown
    scales = 2 * (12 * sum(ROWS_OF.values()) + 1000) if local.quantization == "float8_e4m3" else 0
    indices = 0
    if run["quantization_config"].get("packing_format") == "auto_round:auto_gptq":
        indices = 4 * 12 * (6 * 256 + 768)
    assert found.low_bytes - indices <= run["bytes"] <= found.high_bytes
    assert run["bytes"] - scales <= found.bytes * 1.0003
    assert found.bytes - indices <= run["bytes"] * 1.0003


def stated(config: dict[str, Any], folder: Path) -> tuple[ModelSpec, float | None]:
    """Of Llama 3.1 8B so quantized: the spec and the size of the files."""
    file = folder / "config.json"
    file.write_text(json.dumps({**LLAMA_8B, "quantization_config": config}), encoding="utf-8")
    local = read_local(file, ROWS)
    found = (
        weights_bytes(local.spec, "safetensors", local.quantization, ROWS)
        if local.quantization
        else None
    )
    return local.spec, found.bytes if isinstance(found, SizedWeights) else None


FP8 = {"quant_method": "fp8"}
DOWN, HALF = 4096 * 14336, [f"model.layers.{layer}.mlp.down_proj" for layer in range(16)]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (FP8 | {"modules_to_not_convert": ["model.layers.0.mlp.sideways"]}, "modules_to_not_convert"),
        (FP8 | {"modules_to_not_convert": ["re:(a*)*b"]}, "modules_to_not_convert"),
        (FP8 | {"modules_to_not_convert": "lm_head"}, "modules_to_not_convert"),
        (FP8 | {"modules_to_not_convert": ["self_attn"]}, "modules_to_not_convert"),
        (FP8 | {"expert_dtype": "fp4"}, "expert_dtype"),
        (FP8 | {"weight_sparsity": 0.5}, "weight_sparsity = 0.5"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128, "dynamic": {".*down.*": {"bits": 5}}}, "dynamic"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 48}, "group_size = 48"),
        ({"quant_method": "auto-round", "bits": 4, "group_size": 128, "packing_format": "auto_round:llm_compressor"}, "packing_format"),
        ({"quant_method": "auto-round", "bits": 4, "group_size": 32, "data_type": "mx_fp"}, "data_type = \"mx_fp\""),
        ({"quant_method": "auto-round", "bits": 4, "group_size": 128, "extra_config": {"lm_head": {"bits": 5}}}, "extra_config"),
        ({"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"type": "int", "num_bits": 3}}}}, "group_0"),
    ],
    ids=["no module", "slow pattern", "no list", "part", "experts", "key", "bits", "group", "packing", "type", "own bits", "scheme"],
)  # fmt: skip
def test_what_a_config_says_of_modules_and_nobody_understands_is_unknown(
    config: dict[str, Any], words: str, tmp_path: Path
) -> None:
    """The size is unknown, with the key named; the cache is known."""
    spec, size = stated(config, tmp_path)
    assert words in spec.unknown["architecture.matrix_dtype"]
    assert size is None
    verdict = check(str(tmp_path / "config.json"), Workload(runtime="vllm"), machine=with_gpu())
    assert verdict.needs is not None
    assert verdict.needs.download_bytes is None
    assert verdict.route == "unknown"
    accelerator = next(finding for finding in verdict.findings if finding.check == "accelerator")
    assert (accelerator.code, accelerator.reason) == (
        "accelerator-unread",
        "How much memory it needs on NVIDIA GeForce RTX 4090 is not known.",
    )
    assert words in " ".join(finding.reason for finding in verdict.findings)


def test_a_pattern_of_dense_matrices_leaves_the_experts_packed() -> None:
    """Kimi K2.5: `mlp\\.(gate|up|down)_proj` is the first layer's; 60 layers of 384 experts are in 4 bits with scales of 32."""
    file = CONFIGS / "moonshotai--Kimi-K2.5.json"
    local = read_local(file, ROWS)
    found = weights_bytes(local.spec, "safetensors", "int4_32", ROWS)
    assert isinstance(found, SizedWeights)
    experts = 60 * 384 * 3 * 7168 * 2048
    assert local.spec.parameters.total is not None
    assert local.spec.architecture is not None
    assert (
        local.spec.architecture.matrix_dtype,
        local.spec.architecture.expert_dtype,
        local.spec.architecture.apart,
    ) == (
        None,
        "int4_32",
        (),
    )
    others = local.spec.parameters.total - experts
    assert found.bytes == pytest.approx(experts * 4.5 / 8 + others * 2, rel=1e-4)


@pytest.mark.parametrize(
    ("loads", "size"),
    [
        ({"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}, 7_218_176),
        ({"load_in_8bit": True}, 10_059_840),
    ],
)
def test_bitsandbytes_leaves_what_a_class_keeps(
    loads: dict[str, Any], size: int, tmp_path: Path
) -> None:
    """T5's `wo`: bytes of all tensors that transformers 5.23.0 with bitsandbytes 0.50.2 wrote of a T5 of these sizes."""
    file = tmp_path / "config.json"
    config = {
        "architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "is_encoder_decoder": True, "d_model": 256, "d_kv": 32,
        "d_ff": 768, "num_layers": 4, "num_decoder_layers": 4, "num_heads": 8, "feed_forward_proj": "gated-gelu", "vocab_size": 1000,
        "relative_attention_num_buckets": 32, "tie_word_embeddings": True, "dtype": "bfloat16",
    }  # fmt: skip
    for quantization in ({"quant_method": "bitsandbytes", **loads}, None):
        file.write_text(
            json.dumps(config | ({"quantization_config": quantization} if quantization else {})),
            encoding="utf-8",
        )
        name = "int8" if "load_in_8bit" in loads else "nf4"
        found = weights_bytes(read_local(file, ROWS).spec, "safetensors", name, ROWS)
        assert isinstance(found, SizedWeights)
        assert found.bytes == pytest.approx(size, rel=1e-4)


def test_experts_that_transformers_5_fuses_are_left_by_bitsandbytes(tmp_path: Path) -> None:
    """Qwen3 30B A3B: 28.99 B of its parameters are experts. Version 4 wrote files of 4 bits a weight, 5 leaves them in 16."""
    file = tmp_path / "config.json"
    config = json.loads((CONFIGS / "Qwen--Qwen3-30B-A3B.json").read_text(encoding="utf-8"))
    sizes = []
    for version in ("4.52.3", "5.23.0"):
        four = {"quant_method": "bitsandbytes", "load_in_4bit": True}
        file.write_text(
            json.dumps(config | {"quantization_config": four, "transformers_version": version}),
            encoding="utf-8",
        )
        found = weights_bytes(read_local(file, ROWS).spec, "safetensors", "nf4", ROWS)
        assert isinstance(found, SizedWeights)
        sizes.append(found.bytes)
    assert sizes[1] - sizes[0] == pytest.approx(
        48 * 128 * 3 * 2048 * 768 * (16 - 4.5) / 8, rel=1e-3
    )


def test_a_wrong_number_of_layers_beside_a_quantization_is_unknown_with_the_key(
    tmp_path: Path,
) -> None:
    """Found by mutation: the layers were read twice, and the second reading let its own error out."""
    file = tmp_path / "config.json"
    quantization = {"quant_method": "awq", "bits": 4, "group_size": 128}
    file.write_text(
        json.dumps({**LLAMA_8B, "num_hidden_layers": -1, "quantization_config": quantization}),
        encoding="utf-8",
    )
    assert "num_hidden_layers is -1" in read_local(file, ROWS).spec.unknown["architecture"]
