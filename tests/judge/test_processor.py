"""What the name of a processor, of its GPU or of a chip tells of the memory it reads."""

import json
from collections.abc import Iterator
from statistics import median
from typing import Any

import pytest

from helpers.paths import TRUTH
from selfhost import Machine, Workload, check
from selfhost.core.spelling import words_of
from selfhost.core.tables import shipped_table
from selfhost.judge.pace.memory_bandwidth import BANDWIDTH_SHARE, bandwidth
from selfhost.judge.pace.processor import kind_of, named_processor
from selfhost.judge.pace.speed import PaceRange, shared_gpu_of
from selfhost.machine import cpus
from selfhost.machine.named import machine_named
from selfhost.machine.record import Accelerator

GB = 10**9
BANDWIDTH = "memory_bandwidth_bytes_per_second"


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
    return memory.low / GB, memory.likely / GB, memory.high / GB


def test_a_stated_peak_and_a_known_kind_of_processor_make_a_narrow_range() -> None:
    """Of a peak alone processors reached a third to all; of one kind they lie closer together."""
    alone = ends(memory_bandwidth_bytes_per_second=50 * GB)
    named = ends(
        memory_bandwidth_bytes_per_second=50 * GB, cpu_model="AMD Ryzen 5 5600 6-Core Processor"
    )
    assert named[2] / named[0] < 2 < alone[2] / alone[0]
    assert named[2] * BANDWIDTH_SHARE <= 50


def test_a_stated_peak_counts_more_than_what_is_usual() -> None:
    """One stick of DDR4-2400 is 19.2 GB/s, and an i5-8250U has two channels of it."""
    one_stick = ends(
        memory_bandwidth_bytes_per_second=int(19.2 * GB),
        cpu_model="Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz",
    )
    usual = ends(cpu_model="Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz")
    # four cores are no longer held up by so little memory
    assert one_stick[1] < usual[1] < 2 * one_stick[1]


@pytest.mark.parametrize(
    ("text", "are_two"),
    [
        # amd.com: 32 cores of a 9354, 64 of a 9554; ark.intel.com: 8 of an E5-2620 v4, 14 of an E5-2680 v4
        ("2x epyc 9354 768gb", True),
        ("epyc 9554 768gb", False),
        ("2x xeon e5-2620 v4 128gb", True),
        ("xeon e5-2680 v4 128gb", False),
    ],
)
def test_two_small_processors_are_not_taken_for_a_large_one(text: str, are_two: bool) -> None:
    """Memory that lies beside the other socket is slower: the pace of two says so."""
    memory = bandwidth(machine_named(text))
    assert memory is not None
    assert ("NUMA" in memory.how) is are_two


def pace_on_strix_halo(model: str, memory_gib: float = 124) -> PaceRange:
    memory_bytes = int(memory_gib * 2**30)
    facts: dict[str, object] = {
        "cpu_model": "AMD RYZEN AI MAX+ 395 w/ Radeon 8060S",
        "accelerators": (Accelerator(vendor="amd", name="AMD Radeon 8060S", unified=True),),
        "memory_total_bytes": memory_bytes,
        "memory_limit_bytes": memory_bytes,
        "memory_available_bytes": memory_bytes,
    }
    speed = check(model, Workload(runtime="llama.cpp"), machine=machine(**facts)).speed
    assert speed is not None
    assert speed.decode is not None
    return speed.decode


def test_the_builds_that_are_named_use_the_gpu_of_a_strix_halo() -> None:
    """Llama 3.1 8B in Q4_K_M: 41.6 tokens/s (deseven/strixhalo-homelab#11), in llama.cpp with Vulkan."""
    pace = pace_on_strix_halo("llama-3.1-8b-instruct")
    assert pace.likely == pytest.approx(41.6, rel=0.1)
    assert pace.high / pace.low < 2.1


def test_what_its_driver_does_not_lend_the_gpu_is_left_to_the_cores() -> None:
    """A model of 40 GiB: half of 64 GiB is lent without a setting, all of it with one."""
    whole, half = (pace_on_strix_halo("llama-3.3-70b-instruct", gib) for gib in (124, 62))
    assert half.low < 0.8 * whole.low
    assert half.high == whole.high


def card(name: str) -> Accelerator:
    return Accelerator(vendor="nvidia", name=name, unified=False)


def test_a_card_for_gamers_sits_in_a_computer_with_two_channels() -> None:
    """Two channels of DDR5-6400 give 102.4 GB/s, of DDR4-2133 34.1, of which cores reach a half or more."""
    low, likely, high = ends(accelerators=(card("NVIDIA GeForce RTX 3060"),))
    assert 34.1 / 2 < low < likely < high < 102.4
    assert ends(accelerators=(card("RTX 3060"),)) == (low, likely, high)


@pytest.mark.parametrize(
    "facts",
    [
        {"accelerators": (card("NVIDIA RTX A6000"),)},
        {"accelerators": (card("NVIDIA H100 PCIe"),)},
        # more than a desktop's processor has lanes for, or than four modules of 64 GiB hold
        {"accelerators": (card("NVIDIA GeForce RTX 3090"),) * 4},
        {"accelerators": (card("NVIDIA GeForce RTX 3090"),), "memory_total_bytes": 512 << 30},
        {"accelerators": (card("NVIDIA GeForce RTX 3090"),), "cpu_model": "Intel Xeon Processor"},
    ],
)
def test_other_cards_may_sit_in_a_server(facts: dict[str, object]) -> None:
    """Eight channels of DDR4-3200 give 204.8 GB/s."""
    assert ends(**facts)[2] > 204.8


def test_a_guest_has_a_part_of_a_stated_peak() -> None:
    """A third to all of it, whatever the processor is."""
    peak = 200 * GB
    guest = ends(memory_bandwidth_bytes_per_second=peak, cpu_model="AMD EPYC 7763", scope="vm")
    assert guest[2] / guest[0] > 3


def test_no_run_reads_more_than_a_known_memory_gives() -> None:
    """LPDDR4X-4267 on 32 bits is 17.1 GB/s, a Ryzen AI Max has 256, an M2 Pro 200."""
    for name, peak in (
        ("Cortex-A76 (Raspberry Pi 5 Model B)", 17.1),
        ("AMD RYZEN AI MAX+ 395 w/ Radeon 8060S", 256),
        ("Apple M2 Pro", 200),
    ):
        assert ends(cpu_model=name)[2] * BANDWIDTH_SHARE <= peak


def test_cores_that_share_a_link_read_no_more_than_it_gives() -> None:
    """Each die of a Ryzen AI Max reads 64 GB/s of the 256, whether the peak is stated or known."""
    for stated in (None, 256 * GB):
        of_cores = {
            cores: ends(
                cpu_model="AMD RYZEN AI MAX 385",
                cpu_cores_physical=cores,
                cpu_cores_usable=float(cores),
                memory_bandwidth_bytes_per_second=stated,
            )[2]
            for cores in (8, 16)
        }
        assert of_cores[8] * BANDWIDTH_SHARE <= 64
        assert of_cores[16] == pytest.approx(2 * of_cores[8])


@pytest.mark.parametrize(
    ("name", "cores", "gb_per_s"),
    [
        # Qwen3, Gemma 4 and LFM2 in Ollama read 39 to 47 of the 136 GB/s (tests/truth/speed_fresh.json)
        ("Intel(R) Core(TM) Ultra 7 258V", 4, 44),
        # its owner measured 28.2 of 76.8 GB/s, and 30.5 reach the weights of Qwen3 4B (speed_processors.json)
        ("Intel(R) Xeon(R) CPU E5-1620 v4 @ 3.50GHz", 4, 30.5),
        # a table of quantized Llama 3 70B: 181 to 186 of 204.8 GB/s are read by 64 cores
        ("AMD Ryzen Threadripper PRO 5995WX 64-Cores", 64, 145),
    ],
)
def test_few_cores_read_less_than_memory_gives(name: str, cores: int, gb_per_s: float) -> None:
    """A core keeps so many reads in flight: 4 got a third of what the channels give, 64 nearly all."""
    low, likely, high = (
        end * BANDWIDTH_SHARE
        for end in ends(cpu_model=name, cpu_cores_physical=cores, cpu_cores_usable=float(cores))
    )
    assert low < gb_per_s < high
    assert likely == pytest.approx(gb_per_s, rel=0.2)


@pytest.mark.parametrize(
    ("name", "usual"),
    [
        # DDR5-5600, LPDDR5X-8533, DDR4-2400 and DDR5-4800 on 128 bits
        ("AMD Radeon 780M Graphics", 89.6),
        ("Intel Arc Graphics 130V/140V", 136.5),
        ("Intel(R) UHD Graphics 620", 38.4),
        ("AMD Radeon 680M Graphics", 76.8),
    ],
)
def test_the_gpu_in_a_processor_tells_its_memory(name: str, usual: float) -> None:
    """Where the processor's own name does not: the range was 25 wide."""
    card = Accelerator(vendor="intel", name=name, unified=True)
    unnamed = machine(accelerators=(card,))
    series = named_processor(unnamed)
    assert series is not None
    assert series.usual / GB == pytest.approx(usual, rel=0.001)
    gpu = shared_gpu_of(unnamed)
    assert gpu is not None
    assert gpu.peak.likely / GB == pytest.approx(usual, rel=0.001)


def test_a_cards_name_tells_nothing_of_the_processor() -> None:
    """An Arc A770 is not the Arc of a Core Ultra."""
    card = Accelerator(vendor="intel", name="Intel(R) Arc(TM) A770 Graphics", unified=True)
    assert named_processor(machine(accelerators=(card,))) is None


def test_the_processors_own_name_counts_first() -> None:
    card = Accelerator(vendor="amd", name="AMD Radeon Graphics", unified=True)
    series = named_processor(
        machine(cpu_model="AMD Ryzen 7 7700 8-Core Processor", accelerators=(card,))
    )
    assert series is not None
    assert series.name == "Ryzen 7000"


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        # makers list both kinds for each of them
        ("n100", ("ddr4", "ddr5")),
        ("i5-12400", ("ddr4", "ddr5")),
        ("i5-6500", ("ddr3", "ddr4")),
        ("ryzen 7 7840u", ("ddr5", "lpddr5x")),
        ("ryzen 7 5800u", ("ddr4", "lpddr4x")),
    ],
)
def test_a_name_that_does_not_tell_the_kind_of_memory_holds_each(
    name: str, kinds: tuple[str, ...]
) -> None:
    unstated = bandwidth(machine_named(f"{name} 16gb"))
    assert unstated is not None
    for kind in kinds:
        stated = bandwidth(machine_named(f"{name} 16gb {kind}"))
        assert stated is not None
        assert 0.999 * unstated.low <= stated.low
        assert stated.high <= 1.001 * unstated.high
        assert stated.high / stated.low < unstated.high / unstated.low


@pytest.mark.parametrize(
    ("name", "model", "quantization", "runtime", "seen"),
    [
        # 16 cores on 16 chips: each reads what a desktop's does (loftllc.dev)
        ("epyc 9175f 12x64gb ddr5-6400", "llama-4-maverick-17b-128e-instruct", "Q4_K_M", "llama.cpp", 23.7),
        ("epyc 9175f 12x64gb ddr5-6400", "llama-4-maverick-17b-128e-instruct", "Q8_0", "llama.cpp", 16.6),
        # a laptop of DDR4 (a report of 2026-10-06)
        ("ryzen 7 4800h 2x8gb ddr4-3200", "gemma-4-e2b-it", "UD-Q2_K_XL", "llama.cpp", 21.9),
        # 96 threads wait for each other in a small model (llamafile, justine.lol/matmul)
        ("threadripper pro 7995wx 512gb ddr5-5200", "tinyllama-1.1b-chat-v1.0", "Q8_0", "llama.cpp", 60.0),
        # mixtures that a program gathers slowly (joshpencheon's blog, 2025)
        ("xeon e5-2698 v4 64gb ddr4-2400 quad channel", "gpt-oss-20b", "MXFP4", "ollama", 10.16),
        ("xeon e5-2698 v4 64gb ddr4-2400 quad channel", "qwen3-coder-30b-a3b-instruct", "Q4_K_M", "ollama", 13.55),
        # without AVX: two Westmere, and a Core 2 Quad (geerlingguy/ai-benchmarks)
        ("2x xeon x5670 48gb", "deepseek-r1-distill-qwen-7b", "Q4_K_M", "ollama", 2.9),
        ("core 2 quad q8400 8gb", "llama-3.2-3b-instruct", "Q4_K_M", "ollama", 1.09),
    ],
)  # fmt: skip
def test_what_others_saw_of_a_kind_of_processor_lies_inside(
    name: str, model: str, quantization: str, runtime: str, seen: float
) -> None:
    """One published run for each property that tells kinds of processors apart; without it the run lies outside."""
    workload = Workload(quantization=quantization, runtime=runtime)
    speed = check(model, workload, machine=name).speed
    assert speed is not None
    assert speed.decode is not None
    assert speed.decode.low <= seen <= speed.decode.high


def test_older_laptops_are_told_slower_than_later_ones_of_the_same_memory() -> None:
    """By the fastest memory that the series takes: 4,266 MT/s of a Ryzen 5000, 5,200 of a Core of the 12th generation."""
    older, later = (
        bandwidth(machine_named(name))
        for name in ("ryzen 7 5800h 2x8gb ddr4-3200", "i7-12700h 2x8gb ddr4-3200")
    )
    assert older is not None
    assert later is not None
    assert older.likely < 0.9 * later.likely
    assert older.low < 0.8 * later.low


def test_part_of_a_guests_cores_is_less_than_whole_ones() -> None:
    """A guest on Intel's AVX-512 with some of the threads shares cores; a container with all of them, and AMD's, do not."""
    sets = ("avx2", "avx512f")
    whole = machine(cpu_model="11th Gen Intel(R) Core(TM) i9-11900K", instruction_sets=sets)
    part = whole.replace(scope="vm", cpu_cores_physical=2, cpu_cores_usable=2.0)
    assert kind_of(part).cores[1] < 0.6 * kind_of(whole).cores[1]
    contained = whole.replace(scope="container", cpu_cores_usable=16.0)
    assert kind_of(contained) == kind_of(whole)
    named = machine(cpu_model="AMD EPYC 9554", scope="vm")
    assert kind_of(named).cores[1] == 1.0


def decode(model: str, quantization: str, name: str) -> PaceRange:
    workload = Workload(quantization=quantization, runtime="llama.cpp")
    speed = check(model, workload, machine=name).speed
    assert speed is not None
    assert speed.decode is not None
    return speed.decode


@pytest.mark.parametrize(
    ("name", "model", "tokens_per_second"),
    [
        # Ollama, geerlingguy/ai-benchmarks: a Cortex-A72 is bound by what it unpacks in each computer
        ("raspberry pi 400 4gb", "llama-3.2-3b-instruct", 1.6),
        # Cortex-A55, ggml-org/llama.cpp#34: it was told 4.1
        ("orange pi 3b", "llama-3.2-1b-instruct", 1.02),
        # of RISC-V without vectors, as the first
        ("hifive premier p550", "llama-3.2-3b-instruct", 0.24),
    ],
)
def test_cores_that_unpack_slowly_bound_the_pace_by_any_name(
    name: str, model: str, tokens_per_second: float
) -> None:
    pace = decode(model, "Q4_K_M", name)
    assert pace.low <= tokens_per_second <= pace.high
    assert pace.likely == pytest.approx(tokens_per_second, rel=0.5)


def test_a_pi_400_is_a_pi_4() -> None:
    """Both have a BCM2711."""
    one, other = (
        decode("llama-3.2-1b-instruct", "Q4_K_M", f"raspberry pi {name} 4gb") for name in (4, 400)
    )
    assert one.ends == pytest.approx(other.ends)
    module = decode("llama-3.2-1b-instruct", "Q4_K_M", "cm4 4gb")
    assert module.ends == pytest.approx(other.ends)


def test_boards_with_small_cores_alone_are_slower_than_a_pi_4() -> None:
    """Cortex-A53 and A55 issue in order; four of them beside an A72's pair do not count."""
    pi_4 = decode("llama-3.2-1b-instruct", "Q4_K_M", "raspberry pi 4 4gb").likely
    for board in ("odroid c4", "le potato", "rock64", "odroid m1", "banana pi m5", "beagleplay"):
        assert decode("llama-3.2-1b-instruct", "Q4_K_M", board).likely < pi_4 / 2
    for core in ("cortex-a53", "cortex-a55 4gb"):
        told = decode("llama-3.2-1b-instruct", "Q4_K_M", core)
        assert told.likely < pi_4 / 2
        assert told.low < decode("llama-3.2-1b-instruct", "Q4_K_M", "odroid c4").low
    # with an A76 beside them they are an RK3588's
    fast = decode("llama-3.2-1b-instruct", "Q4_K_M", "cortex-a55 cortex-a76 8gb").likely
    assert fast > pi_4
    # two A72 of four
    pair = decode("llama-3.2-1b-instruct", "Q4_K_M", "rock pi 4").likely
    assert pair == pytest.approx(pi_4 / 2, rel=0.1)


def test_a_laptop_that_may_have_a_slower_kind_of_memory_likely_lies_between_both() -> None:
    """Of an i5-1240P DDR4-3200 (51 GB/s) and DDR5-4800 (77)."""
    either, slower, faster = (
        decode("llama-3.1-8b-instruct", "Q4_K_M", f"i5-1240p 2x16gb{kind}").likely
        for kind in ("", " ddr4-3200", " ddr5-4800")
    )
    assert slower < either < faster
    assert either == pytest.approx((slower * faster) ** 0.5, rel=0.05)


@pytest.mark.parametrize(
    ("kind", "least"),
    [("xeon", 30), ("epyc", 8), ("xeon e5", 10), ("xeon e3", 4), ("threadripper", 10)],
)
def test_a_kind_alone_is_told_what_most_of_them_reach(kind: str, least: int) -> None:
    """The runs that others published of one processor of that kind, by its number."""
    ratios = []
    for row in _published():
        if not words_of(kind) <= words_of(row["machine"]) or row["class"] == "cloud":
            continue
        if cpus.count_of(row["machine"]) > 1:
            continue
        workload = Workload(quantization=row["quantization"], runtime=row["runtime"])
        speed = check(row["spec"], workload, machine=f"{kind} 256gb").speed
        assert speed is not None
        assert speed.decode is not None
        ratios.append(row["tokens_per_second"] / speed.decode.likely)
    assert len(ratios) >= least
    assert 0.5 < median(ratios) < 2


def _published() -> Iterator[dict[str, Any]]:
    for path in sorted(TRUTH.glob("speed_processors*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        for values in document["rows"]:
            yield dict(zip(document["columns"], values, strict=True))


def test_what_to_type_for_a_kind_alone_is_listed_of_that_kind() -> None:
    """The first of them without a row would send its reader back."""
    rows = shipped_table("cpus")["example"]
    for row in rows:
        assert cpus.processor_of(row["name"]) is not None, row
        is_alike = cpus.example_of(row["name"]) == row["name"]
        assert is_alike, row
