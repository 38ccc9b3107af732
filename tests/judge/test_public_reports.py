"""What people reported or met, that the program once answered otherwise."""

from __future__ import annotations

from helpers.each import each
from selfhost import Verdict, Workload, check
from selfhost.needs.records import MemoryNeed

GB = 1_000_000_000


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
