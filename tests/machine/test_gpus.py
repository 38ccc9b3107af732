"""The tables of GPUs and of processors: every row is whole, names its source, and is found by its
own words and by its driver's name.
"""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.cases import case_id
from helpers.paths import COMMON, TESTS
from selfhost.core.tables import shipped_table
from selfhost.core.units import words_of
from selfhost.judge.devices import emptied, idle_bytes, usable_bytes_of
from selfhost.judge.pace import Step
from selfhost.judge.pace.rates import gpu_of
from selfhost.machine import cpus, gpus
from selfhost.machine.cpus import UNKNOWN_CLASS, class_of
from selfhost.machine.gpus import GpuRow, every_card
from selfhost.machine.named import named
from selfhost.machine.record import Accelerator
from selfhost.machine.understand import cards_named
from selfhost.machine.words import PartOfMachineError, UnknownGpuError

TABLE: dict[str, Any] = tomllib.loads(
    (COMMON / "gpus.toml").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", ["gpu", "chip"], ids=case_id)
def test_a_row_names_a_source(name: str) -> None:
    table = shipped_table(f"{name}s")
    for row in table[name]:
        figures = [
            row,
            *row.get("other", ()),
            *([row["smaller"]] if "smaller" in row else []),
        ]
        assert all(figure["source"] in table["sources"] for figure in figures), row


@pytest.mark.parametrize(
    ("ram_gib", "read_gib"),
    [
        (16, 10.67),
        (16, 11.84),
        (32, 21.33),
        (64, 48.0),
        (96, 72.0),
        (128, 96.0),
        (128, 107.52),
        (192, 144.0),
        (256, 238),
    ],
)
def test_what_metal_was_read_to_give_lies_in_its_range(
    ram_gib: int, read_gib: float
) -> None:
    """recommendedMaxWorkingSetSize of Macs (`sources.metal` of the table names each): on 64 GB and
    more none is told less than three quarters.
    """
    least, most = cpus.metal_share(ram_gib * 2**30)
    assert least <= round(read_gib / ram_gib, 3) <= most
    assert most < 1.3 * least
    if ram_gib > 36:
        assert least == 0.75


@pytest.mark.parametrize(
    ("instance", "whole", "share"),
    [
        # "Fraction of SMs" of NVIDIA's MIG user guide, Supported MIG Profiles
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", "NVIDIA H100 80GB HBM3", 1 / 7),
        ("NVIDIA H100 80GB HBM3 MIG 3g.40gb", "NVIDIA H100 80GB HBM3", 3 / 7),
        ("NVIDIA A100-SXM4-40GB MIG 1c.3g.20gb", "NVIDIA A100-SXM4-40GB", 1 / 7),
        ("NVIDIA A30 MIG 2g.12gb+me", "NVIDIA A30", 2 / 4),
    ],
)
def test_an_instance_of_mig_has_its_slices_of_the_multiprocessors(
    instance: str, whole: str, share: float
) -> None:
    every = gpus.cycles_per_second(whole)
    assert every is not None
    assert gpus.cycles_per_second(instance) == pytest.approx(every * share)
    capability = gpus.capability_by_name(whole)
    peak = gpus.peak_flops(whole, capability)
    assert peak is not None
    assert gpus.peak_flops(instance, capability) == pytest.approx(peak * share)


@pytest.mark.parametrize(("quantization", "program"), [("Q4_K", None), ("awq", "vllm")])
def test_more_bandwidth_and_more_compute_are_never_slower(
    quantization: str, program: str | None
) -> None:
    """Of two GPUs of one maker and generation, for the same model, weights and program."""
    step = Step(
        architecture=None, read_bytes={quantization: 8 * 10**9}, other_program=program
    )
    by_generation: dict[tuple[str, str], list[tuple[str, float, float, float]]] = {}
    for name in {row["name"] for row in TABLE["gpu"] if not row.get("unified")}:
        maker = gpus.vendor_of(name)
        capability = gpus.capability_by_name(name)
        gpu = gpu_of(Accelerator(vendor=maker, name=name))
        # cycles of all multiprocessors a second bound unpacking; else the peak of 16 bits
        compute = gpus.cycles_per_second(name) or gpus.peak_flops(name, capability)
        if gpu is None or compute is None:
            continue
        rated = (name, gpu.peak_bandwidth[1], compute, gpu.seconds(step)[1])
        generation = f"{capability} {gpus.facts_of(name).generation}"
        by_generation.setdefault((maker, generation), []).append(rated)
    compared = 0
    for members in by_generation.values():
        for name, rate, compute, seconds in members:
            for other, more_rate, more_compute, other_seconds in members:
                if other != name and more_rate >= rate and more_compute >= compute:
                    assert other_seconds <= seconds * 1.000001, (other, name)
                    compared += 1
    assert compared > 1000


@pytest.mark.parametrize("row", TABLE["gpu"], ids=lambda row: row["words"])
def test_a_gpu_is_found_by_its_words_and_its_drivers_name(row: dict[str, Any]) -> None:
    """No row hides another, whatever order they stand in; with each memory that it is sold with it
    has the bandwidth of that one, and a maker. One that shares the machine's RAM has no size.
    """
    words = row["words"]
    name = row["name"]
    sizes = row.get("memory_gib", [])
    assert words == " ".join(words.lower().split())
    assert row.get("gb_per_s") in (None, gpus.gb_per_s_of(words))
    assert row.get("prompt_tflops") in (None, gpus.facts_of(words).prompt_tflops)
    for driver in row.get("driver", ()):
        assert (
            gpus.driver_memory_bytes(name, driver["sold_gb"]) == driver["mib"] * 2**20
        )
        # as sold in GB or GiB, less what the card keeps for itself
        assert 0.92 < driver["mib"] / (driver["sold_gb"] * 1024) <= 1.0
        assert driver["sold_gb"] in sizes
    peaks = {other["memory_gib"]: other["gb_per_s"] for other in row.get("other", ())}
    assert peaks.keys() <= set(sizes)
    for size in sizes:
        assert gpus.gb_per_s_of(name, size) == peaks.get(size, row["gb_per_s"])
        assert 14 < row["gb_per_s"] < 20_000
    assert sizes == sorted(set(sizes))
    assert bool(sizes) is not row.get("unified", False)
    maker = gpus.vendor_of(name)
    assert maker in ("nvidia", "amd", "intel", "qualcomm") or "apple" in words
    if maker == "nvidia" and not row.get("unified"):
        capability = gpus.capability_by_name(name)
        assert capability is not None, f"no row of `generation` names {name}"


@pytest.mark.parametrize(
    ("name", "row", "mts"),
    [
        # Windows, Mesa and lspci call the GPU of a Core Ultra 7 155H so, whose memory is DDR5-5600
        # or LPDDR5x-7467; Windows calls that of a Core Ultra 5 125U so, too, but for the Arc
        pytest.param("Intel(R) Arc(TM) Graphics", "Intel Arc Graphics", 5600, id="Windows"),
        pytest.param("Mesa Intel(R) Arc(tm) Graphics (MTL)", "Intel Arc Graphics", 5600, id="Mesa"),
        pytest.param("Meteor Lake-P [Intel Arc Graphics]", "Intel Arc Graphics", 5600, id="lspci"),
        pytest.param("Intel(R) Graphics", "Intel Graphics", 4800, id="no Arc"),
        pytest.param("Intel(R) UHD Graphics", "Intel UHD Graphics", 2400, id="UHD"),
    ],
)  # fmt: skip
def test_a_gpu_of_intels_processors_is_the_one_of_its_line(
    name: str, row: str, mts: int
) -> None:
    """`Intel Arc Graphics` has all words of `Intel Graphics`, which has slower memory."""
    facts = gpus.facts_of(name)
    assert facts.name == row
    assert facts.integrated is not None
    assert facts.integrated.mts[0] == mts


@pytest.mark.parametrize(
    ("name", "sizes", "peak"),
    [
        ("NVIDIA GeForce GTX 1050 Ti", [4], 112),
        ("NVIDIA GeForce RTX 3080", [10, 12], 760),
        ("NVIDIA GeForce RTX 4090", [24], 1008),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", [16], 576),
        ("NVIDIA GeForce RTX 5060 Ti", [8, 16], 448),
        ("NVIDIA L40S", [48], 864),
        ("AMD Radeon RX 7900 XT", [20], 800),
        ("AMD Radeon RX 9060 XT", [8, 16], 320),
        ("AMD Instinct MI325X", [256], 6000),
        ("Intel Arc A770 Graphics", [8, 16], 560),
    ],
)
def test_memory_of_cards_is_what_their_makers_state(
    name: str, sizes: list[int], peak: float
) -> None:
    """Sizes and bandwidths of the cards people ask about most, from the makers' product pages."""
    (row,) = (row for row in TABLE["gpu"] if row["name"] == name)
    assert row["memory_gib"] == sizes
    assert row["gb_per_s"] == pytest.approx(peak, rel=0.01)


@pytest.mark.parametrize(
    ("name", "tflops"),
    [
        # NVIDIA's architecture papers and data sheets: dense FP16, sums in FP32
        ("Tesla V100-SXM2-16GB", 125),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA GeForce RTX 3090", 71),
        ("NVIDIA GeForce RTX 4090", 165),
        ("NVIDIA L4", 121),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA GeForce RTX 5090", 209),
        ("AMD Radeon RX 7900 XTX", 123),
        ("AMD Instinct MI300X", 1307),
    ],
)
def test_the_peak_of_16_bit_arithmetic_is_the_makers(name: str, tflops: float) -> None:
    peak = gpus.peak_flops(name, gpus.capability_by_name(name))
    assert peak is not None
    assert peak / 1e12 == pytest.approx(tflops, rel=0.1)


@pytest.mark.parametrize(
    ("name", "tflops"),
    [
        # 24 in 32 bits and 770 in 4 bits with sparsity, an eighth of it in 16 without: NVIDIA
        pytest.param(
            "NVIDIA RTX PRO 4000 Blackwell SFF Edition", 770 / 8, id="workstation"
        ),
        # two operations of two numbers of 16 bits: lanes, and their clock in GHz
        pytest.param("Intel Arc B390 GPU", 4 * 1536 * 2.5 / 1e3, id="Arc B390"),
        pytest.param("Intel Arc B370 GPU", 4 * 1280 * 2.3 / 1e3, id="Arc B370"),
        pytest.param("AMD Radeon 840M Graphics", 4 * 256 * 2.9 / 1e3, id="840M"),
        pytest.param("AMD Radeon Vega 8 Graphics", 4 * 512 * 1.2 / 1e3, id="Vega 8"),
        pytest.param("AMD Radeon Pro W5500M", 4 * 1408 * 1.645 / 1e3, id="W5500M"),
    ],
)
def test_the_peak_follows_from_lanes_and_clock(name: str, tflops: float) -> None:
    peak = gpus.peak_flops(name, gpus.capability_by_name(name))
    assert peak is not None
    assert peak / 1e12 == pytest.approx(tflops, rel=0.02)


@pytest.mark.parametrize(
    ("name", "capability"),
    [
        # developer.nvidia.com/cuda-gpus: one number, four generations
        ("Quadro RTX 4000", "7.5"),
        ("Quadro RTX 5000", "7.5"),
        ("NVIDIA RTX A5000", "8.6"),
        ("NVIDIA RTX 5000 Ada Generation", "8.9"),
        ("NVIDIA RTX 5000 Ada Generation Laptop GPU", "8.9"),
        ("NVIDIA RTX PRO 5000 Blackwell", "12.0"),
        ("NVIDIA GeForce RTX 5090", "12.0"),
        ("NVIDIA GeForce RTX 4090", "8.9"),
        ("NVIDIA Jetson AGX Xavier", "7.2"),
        ("NVIDIA Thor", "11.0"),
    ],
)
def test_a_number_of_several_generations_has_the_capability_of_its_own(
    name: str, capability: str
) -> None:
    assert gpus.capability_by_name(name) == capability


GIB = 2**30
CARDS = [card for card in every_card() if not card.unified]
SHARED = [card for card in every_card() if card.unified and not card.integrated]
VARIANTS = ["", "Laptop", "Ti", "SUPER", "XT", "XTX", "D", "GRE", "Max-Q", "Ada", "SFF"]


def sizes_of(text: str) -> list[tuple[str, float]]:
    """Driver's names and GiB."""
    return [
        (card.name, round((card.memory_total_bytes or 0) / GIB))
        for card in cards_named(text).accelerators
    ]


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_a_card_is_found_by_its_drivers_name(card: GpuRow) -> None:
    """In any case, and with each of its sizes; it is that card and no other."""
    for text in (card.name, card.name.lower(), card.label):
        for size in card.memory_gib:
            typed = text if len(card.memory_gib) == 1 else f"{text} {size:g}GB"
            found = cards_named(typed)
            assert {accelerator.name for accelerator in found.accelerators} == {
                card.name
            }, typed
            assert len(found.accelerators) == card.devices
            assert found.notes == ()


@pytest.mark.parametrize("card", SHARED, ids=lambda card: card.name)
def test_a_gpu_that_shares_the_ram_comes_with_its_machine(card: GpuRow) -> None:
    with pytest.raises(PartOfMachineError):
        cards_named(card.name)


@given(st.sampled_from(CARDS), st.sampled_from(VARIANTS))
def test_a_variant_is_never_taken_for_the_plain_card(
    card: GpuRow, variant: str
) -> None:
    """4090 Laptop is no 4090, and 4070 Ti no 4070."""
    words = words_of(variant)
    if (
        words & card.named
        or not words
        or any(words & called for called in card.nicknames)
    ):
        return
    try:
        names = {
            found.name for found in cards_named(f"{card.label} {variant}").accelerators
        }
    except UnknownGpuError:
        return
    assert card.name not in names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4090", [("NVIDIA GeForce RTX 4090", 24)]),
        *(
            (text, [("NVIDIA GeForce RTX 3090", 24)] * 2)
            for text in ("2x RTX 3090", "RTX 3090 x2", "dual 3090")
        ),
        ("h100x8", [("NVIDIA H100 PCIe", 80)] * 8),
        ("RTX 3060, 12 GB", [("NVIDIA GeForce RTX 3060", 12)]),
        (
            "RTX 4090 + RTX 3060 12GB",
            [("NVIDIA GeForce RTX 4090", 24), ("NVIDIA GeForce RTX 3060", 12)],
        ),
        ("rtx4070tisuper", [("NVIDIA GeForce RTX 4070 Ti SUPER", 16)]),
        ("2070S", [("NVIDIA GeForce RTX 2070 SUPER", 8)]),
        ("EVGA RTX 3080 FTW3 10GB", [("NVIDIA GeForce RTX 3080", 10)]),
        ("tesla a100 80gb", [("NVIDIA A100 80GB PCIe", 80)]),
        ("rtx 4000 sff ada", [("NVIDIA RTX 4000 SFF Ada Generation", 20)]),
        ("none", []),
    ],
)
def test_names_as_people_type_them(text: str, expected: list[tuple[str, int]]) -> None:
    assert sizes_of(text) == expected
    beside = named(f"i5-12400 64gb ram {text}" if expected else "i5-12400 64gb no gpu")[
        0
    ]
    assert [card.name for card in beside.accelerators or ()] == [
        name for name, _ in expected
    ]


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("rtx 4091", "RTX 4090"),
        ("Radeon RX 7901 XTX", "Radeon RX 7900 XTX"),
        ("RTX 3090 11GB", "RTX 3090 24 GB"),
        ("RTX 4080 Tie", None),
        ("A100 40GB MIG 3g.20gb", None),
        ("GRID T4-8Q", None),
        ("a100d-80c", None),
        ("apple m4 max", None),
        ("65x RTX 4090", None),
        ("i5-12400", None),
        ("", None),
    ],
)
def test_what_is_not_listed_is_refused_with_near_names(
    text: str, near: str | None
) -> None:
    with pytest.raises(UnknownGpuError) as caught:
        cards_named(text)
    assert caught.value.remedy
    assert near is None or near in caught.value.nearest


DESCRIPTIONS = tomllib.loads(
    (TESTS / "machine" / "descriptions.toml").read_text(encoding="utf-8")
)


@pytest.mark.parametrize(("name", "peak"), DESCRIPTIONS["processors"], ids=case_id)
def test_a_name_tells_the_peak_of_the_memory(name: str, peak: float) -> None:
    """Channels x bits x the usual rate, in GB/s."""
    found = cpus.series_called(name)
    assert found is not None
    least, _, usual, _, most = found.bytes_per_second
    assert usual / 1e9 == pytest.approx(peak)
    assert least <= usual <= most


@pytest.mark.parametrize(
    "name",
    [
        "",
        "AMD EPYC",
        "AMD EPYC Processor",
        "Intel(R) Xeon(R) Processor",
        "Intel(R) Xeon(R) CPU @ 2.20GHz",
        "Intel Xeon Processor (Skylake, IBRS)",
        "QEMU Virtual CPU version 2.5+",
        "Common KVM processor",
        "unknown",
        "AMD Ryzen 7 99999X",
        "AMD Sempron(tm) 2650 APU",
        "Apple M2 Pro",
        "Cortex-A73",
        "VirtualApple @ 2.50GHz",
        "7840HS",
        "Radeon 780M",
        "Intel(R) Core(TM) i7",
        "AMD Ryzen",
        "\x00 ryzen \u202e",
        "i7-\u0663\u0663\u0663\u0663",
    ],
    ids=case_id,
)
def test_a_name_that_says_too_little_means_no_processor(name: str) -> None:
    """A virtual machine's name without a number, another maker's chip, a number alone: nothing is
    guessed from them.
    """
    assert cpus.series_called(name) is None


CLOUD_TYPES = [(*row, []) for row in DESCRIPTIONS["cloud_types"]]


def test_every_row_of_the_clouds_names_a_source_and_a_class() -> None:
    table = shipped_table("cloud_types")
    for row in table["type"]:
        assert row["source"] in table["sources"]
        assert class_of(row["cpu"]) is not UNKNOWN_CLASS, row["cpu"]


@pytest.mark.parametrize(
    ("text", "gib", "processors", "cards"),
    [*CLOUD_TYPES, *DESCRIPTIONS["rented"]],
    ids=case_id,
)
def test_a_rented_machine_has_its_size_and_its_gpus(
    text: str, gib: int, processors: int, cards: list[str]
) -> None:
    machine = named(text)[0]
    assert machine.scope == "vm"
    assert machine.memory_total_bytes == gib * GIB
    assert machine.cpu_cores_usable == processors
    assert [card.name for card in machine.accelerators or ()] == cards


@pytest.mark.parametrize(
    ("driver_mib", "program_gib"),
    [
        # what nvidia-smi prints and the total that PyTorch names in messages of its users
        pytest.param(2048, 1.96, id="2 GB, ShannonAI/Self_Explaining_Structures#6"),
        pytest.param(8188, 7.75, id="RTX 4060, ESRSchao/EdgeRegNet#2"),
        pytest.param(15360, 14.75, id="T4, hpcaitech/Open-Sora#697"),
        pytest.param(23028, 21.99, id="A10, zai-org/CogVLM#236"),
        pytest.param(24564, 23.61, id="RTX 4090, pinokiofactory/flux-webui#11"),
        pytest.param(32607, 31.37, id="RTX 5090, Wan-Video/Wan2.1#465"),
        pytest.param(40960, 39.50, id="A100 40 GB, TianheWu/CoSeR#10"),
        pytest.param(46068, 44.53, id="L40S, Wan-Video/Wan2.1#205"),
        pytest.param(81559, 79.11, id="H100, vllm-project/vllm#27508"),
        pytest.param(81920, 79.25, id="A100 80 GB, levihsu/OOTDiffusion#235"),
        pytest.param(97887, 94.97, id="RTX PRO 6000, antirez/ds4#431"),
    ],
)
def test_a_program_sees_less_of_a_card_than_its_driver_reports(
    driver_mib: int, program_gib: float
) -> None:
    """What no need may take covers that and CUDA's context, up to 708 MiB on an H100.

    Drivers differ by some 200 MiB on cards of one size.
    """
    card = Accelerator(
        vendor="nvidia",
        name="NVIDIA",
        memory_total_bytes=driver_mib * 2**20,
        unified=False,
    )
    room = usable_bytes_of(card)
    assert room is not None
    assert room <= (program_gib * 1024 - 708 + 220) * 2**20
    seen = idle_bytes(card)
    assert seen is not None
    assert seen == pytest.approx(program_gib * 2**30, abs=220 * 2**20)
    # AMD's driver reports what programs see
    assert idle_bytes(card.replace(vendor="amd")) == driver_mib * 2**20


def test_a_card_by_name_gives_what_its_record_says_is_free() -> None:
    """An H100 80GB HBM3 with driver 580 had 81,079 of 81,559 MiB free; nothing else ran there."""
    by_name = Accelerator(
        vendor="nvidia",
        name="NVIDIA H100",
        memory_total_bytes=81559 * 2**20,
        unified=False,
    )
    read = by_name.replace(memory_free_bytes=81079 * 2**20)
    assert usable_bytes_of(by_name) == pytest.approx(
        usable_bytes_of(read), abs=256 * 2**20
    )
    assert emptied([read]) == (read,)
