"""What people reported or met, that the program once answered otherwise."""

from __future__ import annotations

import pytest

from helpers.each import each
from selfhost import Verdict, Workload, check
from selfhost.catalogue.index import open_catalogue
from selfhost.catalogue.searching import resolve
from selfhost.core.errors import UnknownModelError
from selfhost.core.records import Unread
from selfhost.needs.file_formats import weights_bytes
from selfhost.needs.parts import published
from selfhost.needs.records import MemoryNeed

GB = 1_000_000_000
CATALOGUE = open_catalogue()
ROWS = CATALOGUE.common("architectures")


def memory_of(verdict: Verdict) -> MemoryNeed:
    assert verdict.needs is not None
    assert verdict.needs.memory is not None
    return verdict.needs.memory


@each(
    "tag, size_bytes",
    [
        # ollama/ollama#15356; the library lists two digits
        ("gemma4:e2b", 7.2 * GB),
        # the layer of the model in the registry's manifest
        ("gpt-oss:20b", 13_780_154_624),
        ("qwen3:0.6b", 522_640_096),
        ("phi4-reasoning:14b", 11_117_500_000),
    ],
)
def test_a_tag_of_ollama_weighs_what_its_library_lists(tag: str, size_bytes: float) -> None:
    needs = check(tag, Workload(runtime="ollama"), machine="server-8x-h100").needs
    assert needs is not None
    assert needs.download_bytes is not None
    assert abs(needs.download_bytes / size_bytes - 1) < 0.01


def test_ollamas_gpt_oss_lies_where_it_was_seen_to_lie() -> None:
    """ollama/ollama#11711: 11.8 GiB of weights on the GPU, 1.1 GiB in RAM; not on 12 GB alone."""
    workload = Workload(runtime="ollama", context_tokens=8192)
    terms = memory_of(check("gpt-oss:20b", workload, machine="RTX 4060 Ti 16GB, 32GB RAM")).terms
    on_card = sum(t.bytes for t in terms if t.name == "weights" and t.where != "host")
    assert abs(on_card / (11.8 * 2**30) - 1) < 0.05
    smaller = check("gpt-oss:20b", workload, machine="RTX 4070, 32GB RAM")
    assert smaller.needs is not None
    assert smaller.needs.placement == "split"
    # the tag alone names the same file, and `ollama run` loads it
    by_tag = check("gpt-oss:20b", Workload(context_tokens=8192), machine="RTX 4070, 32GB RAM")
    assert (by_tag.workload.runtime, by_tag.needs) == ("ollama", smaller.needs)


def test_old_files_of_deepseek_keep_every_head() -> None:
    """ollama/ollama#7548: 8,640 MiB of cache by the layout of the file, made before April 2025."""
    workload = Workload(runtime="ollama", context_tokens=32768)
    verdict = check("deepseek-coder-v2:16b", workload, machine="laptop-ddr4-16gb")
    (cache,) = [term for term in memory_of(verdict).terms if term.name == "kv_cache"]
    assert cache.bytes == 8640 * 2**20
    assert verdict.route != "local"


def test_parameters_that_nobody_counted_are_not_all_read() -> None:
    """kyuz0/amd-strix-halo-toolboxes#125: 17 to 20 tokens/s, where all parameters allow 2."""
    workload = Workload(runtime="llama.cpp")
    verdict = check("qwen3.8-flash-next", workload, machine="strix-halo-128gb")
    assert verdict.speed is not None
    assert verdict.speed.decode is None
    assert verdict.route == "unknown"


def test_a_quantization_is_read_as_people_write_it() -> None:
    verdict = check("llama-3.1-8b", Workload(runtime="mlx", quantization="4-bit"), machine="m2")
    assert verdict.workload.quantization == "4bit"


def test_one_laptop_has_one_answer_however_it_is_named() -> None:
    names = ("hp laptop 8gb", "windows laptop 8gb", "laptop-ddr4-8gb")
    assert len({check("llama-3.1-8b", machine=name).route for name in names}) == 1


@each(
    "model, quantization, machine, tokens, seen",
    [
        # kyuz0/amd-strix-halo-toolboxes@d1a34bee, benchmark/results: the middle of four backends, a
        # prompt of 512 tokens, and 2,048 behind 32,768, as many as those of 67,584 have on average
        ("qwen3.6-35b-a3b", "UD-Q4_K_XL", "ryzen ai max+ 395 128gb", None, 1114),
        ("qwen3.6-35b-a3b", "UD-Q4_K_XL", "ryzen ai max+ 395 128gb", 67_584, 717),
        ("gpt-oss-120b", "MXFP4", "ryzen ai max+ 395 128gb", None, 676),
        ("llama-2-7b-chat", "Q4_0", "ryzen ai max+ 395 128gb", None, 1516),
        # ggml-org/llama.cpp#22298, pp2048 in micro-batches of 512
        ("qwen3.5-35b-a3b", "Q4_0", "rtx 4090 64gb", None, 7233),
        # geerlingguy/ai-benchmarks#43, #46 and #48: a small model, which launching holds back
        ("tinyllama-1.1b-chat-v1.0", "Q4_K_M", "rtx 4090", None, 18_709),
        ("tinyllama-1.1b-chat-v1.0", "Q4_K_M", "rtx 2080 ti", None, 9_248),
        ("tinyllama-1.1b-chat-v1.0", "Q4_K_M", "m1 ultra", None, 5_588),
        # brand-o/normiebench#8, on the cores in Windows
        ("llama-3.1-8b-instruct", "Q4_K_M", "ryzen 7 8840u 32gb", None, 49.8),
    ],
)
def test_prompts_go_as_fast_as_reported(
    model: str, quantization: str, machine: str, tokens: int | None, seen: float
) -> None:
    """Of a mixture on a GPU in a range of three times; a longer prompt attends to more."""
    workload = Workload(
        runtime="llama.cpp", quantization=quantization, prompt_tokens=tokens,
        context_tokens=(tokens or 0) + 4096,
    )  # fmt: skip
    speed = check(model, workload, machine=machine).speed
    assert speed is not None
    assert speed.prompt is not None
    assert speed.prompt.low <= seen <= speed.prompt.high
    if tokens is None and "a3b" in model:
        assert speed.prompt.high / speed.prompt.low <= 3


@each(
    "model, quantization, runtime, machine, seen",
    [
        # lablup/mlxcel#46, and ddalcu/mlx-serve#120
        ("gemma-3-4b-it", "4bit", "mlx", "m5 max 128gb", 182),
        ("qwen3.6-27b", "6bit", "mlx", "m5 max 128gb", 22.5),
        # brand-o/normiebench#10 and #6
        ("llama-3.1-8b-instruct", "Q4_K_M", "llama.cpp", "radeon 780m 32gb", 16.3),
        ("llama-3.1-8b-instruct", "Q4_K_M", "llama.cpp", "radeon 780m 32gb", 9.8),
    ],
)
def test_chips_that_share_the_ram_decode_as_reported(
    model: str, quantization: str, runtime: str, machine: str, seen: float
) -> None:
    workload = Workload(runtime=runtime, quantization=quantization)
    speed = check(model, workload, machine=machine).speed
    assert speed is not None
    assert speed.decode is not None
    assert speed.decode.low <= seen <= speed.decode.high


def compute_on_cards(verdict: Verdict) -> list[int]:
    terms = memory_of(verdict).terms
    return [term.bytes for term in terms if term.name == "compute" and term.where != "host"]


def test_several_cards_keep_four_copies_of_the_masks() -> None:
    """unslothai/unsloth#7637: 4.0 GiB on each device at 1M tokens of context."""
    workload = Workload(runtime="llama.cpp", quantization="UD-IQ1_M", context_tokens=1 << 20)
    there = compute_on_cards(check("kimi-k3", workload, machine="8x B200, 2TB RAM"))
    assert len(there) > 1
    assert all(abs(size / (4.0 * 2**30) - 1) < 0.2 for size in there)


def test_experts_in_ram_are_copied_while_a_prompt_is_read() -> None:
    """ggml-org/llama.cpp#24175: 7 to 7.5 GiB of compute buffer above the small one."""
    workload = Workload(runtime="llama.cpp", context_tokens=4032, parallel=4)
    machine = "RTX 5090, 512GB RAM"
    (there,) = compute_on_cards(check("nemotron-3-ultra-550b-a55b", workload, machine=machine))
    assert 7.0 * 2**30 < there < 7.5 * 2**30 + 0.4 * 2**30


@each(
    "model, most_bytes",
    # as its kind takes, measured; the most that any kind takes
    [("ornith-1.5-9b", 0.32 * GB), ("pixtral-12b-2409", 0.33 * GB), ("deepseek-ocr", 0.9 * GB)],
)
def test_an_encoder_that_was_not_measured_takes_what_others_do(
    model: str, most_bytes: float
) -> None:
    """A third of an 8 GB card was taken for granted, for a picture of the largest size."""
    workload = Workload(runtime="llama.cpp", context_tokens=4096)
    terms = memory_of(check(model, workload, machine="RTX 4060, 16GB RAM")).terms
    (picture,) = [term for term in terms if term.name == "projector_compute"]
    assert picture.high_bytes <= most_bytes


@each(
    "model, runtime, quantization, size_bytes, within",
    [
        # omlx#11: 62.4 GB of MLX; a card that rounds said 70.7
        ("gpt-oss-120b", "mlx", None, 62.4 * GB, 0.02),
        # unsloth/Qwen3.8-27B-GGUF as its tree listed them on 2026-09-08, also noonghunna/club-3090#1068
        ("qwen3.8-27b", "llama.cpp", "UD-IQ4_XS", 14_252_845_984 + 927_607_488, 0.001),
        ("qwen3.8-27b", "llama.cpp", "UD-IQ2_S", 8_371_970_048 + 927_607_488, 0.001),
        ("qwen3.8-27b", "llama.cpp", "UD-Q6_K_L", 24_193_919_904 + 927_607_488, 0.001),
        # vllm-project/recipes@8959cf64: about 595 GB on disk, in INT4
        ("kimi-k2.6", "vllm", None, 595 * GB, 0.01),
        ("kimi-k2.7-code", "vllm", None, 595 * GB, 0.01),
        # the file that the printed line fetches, to the byte
        ("qwen2.5-coder-1.5b-instruct", "llama.cpp", "Q4_K_M", 1_117_320_768, 0.0),
        ("qwen2.5-1.5b-instruct", "llama.cpp", "Q8_0", 1_894_532_128, 0.0),
    ],
)
def test_files_weigh_what_is_published(
    model: str, runtime: str, quantization: str | None, size_bytes: float, within: float
) -> None:
    workload = Workload(runtime=runtime, quantization=quantization)
    needs = check(model, workload, machine="server-8x-h100").needs
    assert needs is not None
    assert needs.download_bytes is not None
    assert abs(needs.download_bytes / size_bytes - 1) <= within


def test_no_size_is_told_of_another_repository_than_is_fetched() -> None:
    """qwen2.5-coder-1.5b-instruct: 986 MB were told of a file of 1,117 MB."""
    for spec in CATALOGUE.specs():
        for files in spec.files:
            for quantization in files.quantizations:
                sized = published(spec, files.format, quantization)
                fetched = spec.files_of(files.format, quantization)
                if sized is not None and fetched is not None and sized[1].repository:
                    assert sized[1].repository == fetched.repository, (spec.id, quantization)


def test_a_mix_of_unsloths_fits_the_card_that_holds_it() -> None:
    """noonghunna/club-3090#1068: 13.27 GiB of weights; told a split at 14 tokens/s."""
    workload = Workload(runtime="llama.cpp", quantization="UD-IQ4_XS")
    verdict = check("qwen3.8-27b", workload, machine="RTX 4080, 32GB RAM")
    assert verdict.needs is not None
    assert verdict.needs.placement == "accelerator"


def test_the_names_of_unsloths_mixes_are_known() -> None:
    for mix in ("UD-IQ3_XS", "UD-IQ2_S", "UD-Q6_K_M", "UD-Q6_K_L", "UD-Q8_K_L"):
        size = weights_bytes(CATALOGUE.spec("qwen3.6-27b"), "gguf", mix, ROWS)
        assert not isinstance(size, Unread), mix


@each(
    "model, quantization, machine",
    [
        # vllm-project/recipes@8959cf64 (2026-08-21), verified on one node
        ("moonshotai/Kimi-K2.6", None, "8x H200, 2TB RAM"),
        ("moonshotai/Kimi-K2.7-Code", None, "8x MI325X, 2TB RAM"),
        ("mistralai/Mistral-Medium-3.5-128B", None, "MI300X, 1TB RAM"),
        ("mistralai/Mistral-Small-4-119B-2603", None, "2x H200, 1TB RAM"),
        ("google/diffusiongemma-26B-A4B-it", None, "H200, 1TB RAM"),
        ("zai-org/GLM-OCR", None, "H200, 1TB RAM"),
        ("nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-BF16", "nvfp4", "dgx spark"),
        ("MiniMaxAI/MiniMax-M2.7", "nvfp4", "2x RTX PRO 6000, 512GB RAM"),
        ("mistralai/Mistral-Small-4-119B-2603", "nvfp4", "2x B200, 1TB RAM"),
    ],
)
def test_vllm_runs_what_its_recipes_run(model: str, quantization: str | None, machine: str) -> None:
    workload = Workload(runtime="vllm", quantization=quantization)
    assert check(model, workload, machine=machine).route == "local"


def test_nvfp4_is_proposed_on_a_dgx_spark() -> None:
    """The recipe for Nemotron 3 Super runs its NVFP4 files there; nf4 was proposed."""
    workload = Workload(runtime="vllm")
    verdict = check("nemotron-3-super-120b-a12b", workload, machine="dgx spark")
    assert verdict.alternatives[0].quantization == "nvfp4"


@each(
    "model, size_bytes",
    [
        # unslothai/unsloth#7091, and a file of another publisher 30 % above 19.8 GB
        ("qwen3.6-27b", 21.3 * GB),
        ("qwen3.6-27b", 25.7 * GB),
        # Inferact's, vllm-project/recipes@8959cf64: models/Qwen/Qwen3.8-27B.yaml
        ("qwen3.8-27b", 26_381_249_312),
        # models/meta-models/Muse-Glimmer-30B.yaml, models/poolside/Laguna-S-2.1.yaml
        ("muse-glimmer-30b", 25.42 * GB),
        ("laguna-s-2.1", 72 * GB),
    ],
)
def test_the_range_of_nvfp4_holds_what_was_published(model: str, size_bytes: float) -> None:
    size = weights_bytes(CATALOGUE.spec(model), "safetensors", "nvfp4", ROWS)
    assert not isinstance(size, Unread)
    assert size.low_bytes <= size_bytes <= size.high_bytes


def test_the_option_that_makes_nvfp4_fit_is_named() -> None:
    """unslothai/unsloth#7091: 24 GB need --max-num-seqs 1; it was told to fit without."""
    workload = Workload(runtime="vllm", quantization="nvfp4", context_tokens=4096)
    verdict = check("qwen3.6-27b", workload, machine="RTX 4090, 64GB RAM")
    (card,) = [each for each in verdict.findings if each.check == "accelerator"]
    assert card.outcome == "unknown"
    assert "--max-num-seqs 1" in (card.remedy or "")


@each(
    "free_gib, share",
    # of 121.7 GiB: nothing read, and as public reports of a DGX Spark have it
    [(None, "0.82"), (101, "0.82"), (80, "0.65")],
)
def test_vllm_takes_of_a_shared_memory_what_the_system_leaves(
    free_gib: int | None, share: str
) -> None:
    """It stops where less than its share is free: 0.92 of a DGX Spark unless it is told."""
    workload = Workload(runtime="vllm", quantization="nvfp4")
    machine = check("qwen3.6-35b-a3b", workload, machine="dgx spark").machine
    if free_gib is not None:
        machine = machine.replace(memory_available_bytes=free_gib * 2**30)
    lines = check("qwen3.6-35b-a3b", workload, machine=machine).commands
    assert lines[-1].endswith(f"--gpu-memory-utilization {share}")
    on_card = check("llama-3.1-8b", Workload(runtime="vllm"), machine="RTX 4090, 64GB RAM")
    assert not any("utilization" in line for line in on_card.commands)


@each(
    "name, word",
    [
        ("mtp-Qwen3.8-27B-Q4_0.gguf", "a draft"),
        (
            "https://huggingface.co/unsloth/Qwen3.8-27B-GGUF/resolve/main/MTP/mtp-Qwen3.8-27B-Q4_0.gguf",
            "a draft",
        ),
        ("Qwen3.8-27B-DFlash2-Q4_K_M.gguf", "a draft"),
        ("Qwen3.8-27B-mmproj-F16.gguf", "a projector"),
    ],
)
def test_a_part_is_not_the_model(name: str, word: str) -> None:
    """unsloth/Qwen3.8-27B-GGUF holds them; each was said to need as much as its model."""
    with pytest.raises(UnknownModelError, match=word):
        check(name)


def test_a_tag_of_ollamas_cloud_is_said_to_run_there() -> None:
    verdict = check("qwen3.8:27b-cloud", Workload(runtime="ollama"), machine="RTX 4080, 32GB RAM")
    assert "run on Ollama's servers and download nothing" in verdict.understood_as[0]


@each(
    "name, id",
    [
        # the names of LM Studio's own catalogue
        ("qwen/qwen3-vl-4b", "qwen3-vl-4b-instruct"),
        ("qwen/qwen3-vl-8b", "qwen3-vl-8b-instruct"),
        ("mistralai/ministral-3-3b", "ministral-3-3b-instruct-2512"),
        ("nvidia/nemotron-3-nano", "nemotron-3-nano-30b-a3b"),
        ("baidu/ernie-4.5-21b-a3b", "ernie-4.5-21b-a3b"),
    ],
)
def test_lm_studios_names_are_known(name: str, id: str) -> None:
    assert resolve(name, CATALOGUE).spec_id == id


def test_another_account_may_hold_other_weights() -> None:
    for name in ("someone/qwen3-vl-4b", "Qwen/Qwen3-VL-4B"):
        with pytest.raises(UnknownModelError):
            resolve(name, CATALOGUE)
