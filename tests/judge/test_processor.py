"""What the name of a processor, of its GPU or of a chip tells of the memory it reads; prompts where
a GPU lacks room for all weights.
"""

from __future__ import annotations

import pytest

from judge.small import speed_of
from selfhost import Machine, Workload, check
from selfhost.judge.pace import Range
from selfhost.judge.pace.reading import BANDWIDTH_SHARE, bandwidth
from selfhost.machine.gpus import link_bytes_per_second
from selfhost.machine.named import named

GB = 10**9


def machine(**facts: object) -> Machine:
    """A computer with eight cores of which nothing was measured."""
    values: dict[str, object] = {
        "system": "linux",
        "architecture": "x86_64",
        "scope": "host",
        "cpu_cores_physical": 8,
        "cpu_cores_usable": 8.0,
        **facts,
    }
    return Machine(**values)  # type: ignore[arg-type]


def ends(**facts: object) -> tuple[float, float, float]:
    """GB/s: slow end, likely, fast end."""
    memory = bandwidth(machine(**facts))
    assert memory is not None
    slow, likely, fast = memory.ends
    return slow / GB, likely / GB, fast / GB


def test_no_run_reads_more_than_a_known_memory_gives() -> None:
    """LPDDR4X-4267 on 32 bits is 17.1 GB/s, a Ryzen AI Max has 256, an M2 Pro 200."""
    for name, peak in (
        ("Cortex-A76 (Raspberry Pi 5 Model B)", 17.1),
        ("AMD RYZEN AI MAX+ 395 w/ Radeon 8060S", 256),
        ("Apple M2 Pro", 200),
    ):
        assert ends(cpu_model=name)[2] * BANDWIDTH_SHARE <= peak


def test_a_laptop_without_a_named_processor_holds_those_with_one_module() -> None:
    """DDR4-2400 on one channel of two (laptop-ddr4-8gb)."""

    def decode(named: str) -> Range:
        pace = speed_of(check("mistral-7b", machine=named)).decode
        assert pace is not None
        return pace

    known = decode("laptop-ddr4-8gb")
    for words in ("8gb windows laptop", "laptop 16gb"):
        assert decode(words).low <= known.low <= known.high <= decode(words).high


@pytest.mark.parametrize(
    ("name", "model", "quantization", "runtime", "seen"),
    [
        # 16 cores on 16 chips: each reads what a desktop's does (loftllc.dev)
        (
            "epyc 9175f 12x64gb ddr5-6400",
            "llama-4-maverick-17b-128e-instruct",
            "Q4_K_M",
            "llama.cpp",
            23.7,
        ),
        (
            "epyc 9175f 12x64gb ddr5-6400",
            "llama-4-maverick-17b-128e-instruct",
            "Q8_0",
            "llama.cpp",
            16.6,
        ),
        # a laptop of DDR4 (a report of 2026-10-06)
        (
            "ryzen 7 4800h 2x8gb ddr4-3200",
            "gemma-4-e2b-it",
            "UD-Q2_K_XL",
            "llama.cpp",
            21.9,
        ),
        # 96 threads wait for each other in a small model (llamafile, justine.lol/matmul)
        (
            "threadripper pro 7995wx 512gb ddr5-5200",
            "tinyllama-1.1b-chat-v1.0",
            "Q8_0",
            "llama.cpp",
            60.0,
        ),
        # mixtures that a program gathers slowly (joshpencheon's blog, 2025)
        (
            "xeon e5-2698 v4 64gb ddr4-2400 quad channel",
            "gpt-oss-20b",
            "MXFP4",
            "ollama",
            10.16,
        ),
        (
            "xeon e5-2698 v4 64gb ddr4-2400 quad channel",
            "qwen3-coder-30b-a3b-instruct",
            "Q4_K_M",
            "ollama",
            13.55,
        ),
        # without AVX: two Westmere, and a Core 2 Quad (geerlingguy/ai-benchmarks)
        ("2x xeon x5670 48gb", "deepseek-r1-distill-qwen-7b", "Q4_K_M", "ollama", 2.9),
        ("core 2 quad q8400 8gb", "llama-3.2-3b-instruct", "Q4_K_M", "ollama", 1.09),
        # two sockets: with --numa distribute (ggml-org/llama.cpp#11744), and the fastest and the
        # slowest of 18 runs by what is told of one
        ("2x epyc 9175f 16x48gb ddr5-6400", "deepseek-v3", "Q4_K_S", "llama.cpp", 9.79),
        (
            "2x epyc 9654 24x64gb ddr5-4800",
            "llama-3.1-70b-instruct",
            "F16",
            "llama.cpp",
            3.97,
        ),
        (
            "2x xeon e5-2690 v4 128gb ddr4-2400",
            "llama-3.2-3b-instruct",
            "Q4_K_M",
            "llama.cpp",
            15.27,
        ),
        # cores that read their memory over narrow links (speed_hosts.json)
        (
            "ryzen ai max+ 395 128gb windows no gpu",
            "gpt-oss-20b",
            "UD-Q8_K_XL",
            "llama.cpp",
            21.4,
        ),
    ],
)
def test_what_others_saw_of_a_kind_of_processor_lies_inside(
    name: str, model: str, quantization: str, runtime: str, seen: float
) -> None:
    """One published run for each property that tells kinds of processors apart; without it the run
    lies outside.
    """
    workload = Workload(quantization=quantization, runtime=runtime)
    decode = speed_of(check(model, workload, machine=name)).decode
    assert decode is not None
    assert decode.low <= seen <= decode.high


@pytest.mark.parametrize(
    ("runtime", "least", "most"),
    [
        # with Vulkan 2.67, on the cores 3.79
        pytest.param("llama.cpp", 2.67, 3.79, id="takes the GPU that it finds"),
        # without OLLAMA_IGPU_ENABLE on the cores
        pytest.param("ollama", 3.79, 3.79, id="leaves the GPU aside unless told"),
    ],
)
def test_a_gpu_slower_than_the_cores_lowers_the_pace_where_it_is_used(
    runtime: str, least: float, most: float
) -> None:
    """Qwen3 14B in Q4_K_M on a Core i5-12450H, on its UHD Graphics and on its cores
    (ollama/ollama#14953): 2.67 tokens/s and 3.79.
    """
    name = "i5-12450h{} 16gb linux"
    asked = Workload(quantization="Q4_K_M", runtime=runtime)
    beside = speed_of(check("qwen3-14b", asked, machine=name.format(" uhd graphics")))
    alone = speed_of(check("qwen3-14b", asked, machine=name.format("")))
    assert beside.decode is not None
    assert alone.decode is not None
    assert beside.decode.low <= least
    assert beside.decode.high >= most
    uses_slower = beside.decode.likely < alone.decode.likely
    assert uses_slower == (runtime == "llama.cpp")


def test_the_link_of_a_card_carries_what_its_version_and_lanes_do() -> None:
    """PCI-SIG: 8, 16 and 32 GT/s a lane in 128 of 130 bits."""
    for card, gb_per_s in {
        "NVIDIA GeForce GTX 1080 Ti": 15.75,
        "NVIDIA GeForce RTX 4060": 15.75,
        "NVIDIA GeForce RTX 3090": 31.5,
        "AMD Radeon RX 6500 XT": 7.88,
        "Intel Arc B580 Graphics": 15.75,
        "NVIDIA GeForce RTX 5090": 63.0,
    }.items():
        assert link_bytes_per_second(card) == pytest.approx(gb_per_s * 1e9, rel=0.01)


def test_an_answer_with_experts_in_ram_begins_after_what_users_saw() -> None:
    """An RTX 2060 with 6 GB of memory read prompts of Qwen3.6 35B-A3B at 287 to 326 tokens a second
    (ggml-org/llama.cpp#22673), in llama.cpp's own batches of 512 tokens.
    """
    asked = Workload(
        runtime="llama.cpp", prompt_tokens=2048, runtime_options={"ub": "512"}
    )
    speed = speed_of(check("qwen3.6-35b-a3b", asked, machine="rtx 2060 6gb 32gb"))
    prompt = speed.prompt
    wait = speed.first_token_seconds
    assert prompt is not None
    assert wait is not None
    assert prompt.low < 287 < 326 < prompt.high
    assert wait.low < 2048 / 326 < 2048 / 287 < wait.high


def test_a_laptop_with_a_newer_card_has_newer_memory() -> None:
    """Eleven mixtures with experts in RAM ran on a laptop with an RTX 4070 and 64 GB (ghost91-,
    `speed_fresh.json`): Qwen3.6 35B-A3B in Q8_0 at 30.4 tokens/s, gpt-oss 20B at 39.5.
    """
    seen = {("qwen3.6-35b-a3b", "Q8_0"): 30.4, ("gpt-oss-20b", "MXFP4"): 39.5}
    for (model, quantization), pace in seen.items():
        asked = Workload(quantization=quantization, runtime="llama.cpp")
        decode = speed_of(check(model, asked, machine="rtx 4070 laptop 64gb")).decode
        assert decode is not None
        assert pace == pytest.approx(decode.likely, rel=0.35)


def test_much_ram_does_not_lie_in_one_module() -> None:
    """Hardly any laptop has more than 48 GiB in one of its two modules."""
    few, many = (
        bandwidth(named(f"rtx 4070 laptop {memory}")[0]) for memory in ("32gb", "64gb")
    )
    assert few is not None
    assert many is not None
    assert few.ends.low < many.ends.low
    assert few.ends.likely == many.ends.likely


@pytest.mark.parametrize(
    "processor",
    [
        # the middle one of five with 64 GB, and the only one in no fit (speed_processors_many.json
        # and speed_processors_newest.json)
        pytest.param("ryzen 7 pro 8845hs", id="fitted"),
        pytest.param("i7-13700t", id="in no fit"),
    ],
)
def test_a_named_laptop_with_much_ram_has_two_modules(processor: str) -> None:
    few, many = (
        bandwidth(named(f"{processor} {memory}")[0]) for memory in ("32gb", "64gb")
    )
    assert few is not None
    assert many is not None
    assert few.ends.low < many.ends.low
    assert few.ends.likely < many.ends.likely


def test_the_largest_laptops_have_the_newer_memory() -> None:
    """An i9-14900HX wrote 14 tokens/s of Qwen2.5 7B in Q4_K_M (speed_processors_prompts.json): with
    4.7 GB for each more than the 51.2 GB/s of DDR4-3200.
    """
    asked = Workload(quantization="Q4_K_M", runtime="llama.cpp")
    answer = check("qwen2.5-7b-instruct", asked, machine="i9-14900hx 32gb")
    decode = speed_of(answer).decode
    assert decode is not None
    assert decode.likely > 14 / 1.5


@pytest.mark.parametrize(
    ("name", "model", "quantization", "seen"),
    [
        pytest.param(
            "c7g.4xlarge",
            "llama-3.2-1b-instruct",
            "Q4_0",
            131.35,
            id="ggml-org/llama.cpp#18458",
        ),
        pytest.param(
            "i7-3770k 16gb",
            "qwen2.5-1.5b-instruct",
            "Q2_K",
            13.0,
            id="speed_processors_newest.json",
        ),
    ],
)
def test_what_cores_are_narrows_the_range(
    name: str, model: str, quantization: str, seen: float
) -> None:
    """Guests on Arm with the dot product, and processors with AVX alone: runs in no fit, in ranges
    about three wide.
    """
    workload = Workload(quantization=quantization, runtime="llama.cpp")
    decode = speed_of(check(model, workload, machine=name)).decode
    assert decode is not None
    assert decode.low < seen < decode.high
    assert decode.high / decode.low < 3.2
