"""The tables of GPUs and of processors: every row is whole, names its source, and is found by its
own words and by its driver's name.
"""

from __future__ import annotations

import re
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
from selfhost.machine.changes import notes_on_cards
from selfhost.machine.cpus import UNKNOWN_CLASS, class_of
from selfhost.machine.description import cards_named
from selfhost.machine.gpus import GpuRow, every_card
from selfhost.machine.named import named
from selfhost.machine.record import Accelerator, Machine
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
        # its row states no number of slices; NVIDIA's data sheet has seven instances
        ("NVIDIA A800 40GB Active MIG 2g.10gb", "NVIDIA A800 40GB Active", 2 / 7),
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


@pytest.mark.parametrize(
    ("name", "share"),
    [
        # NVIDIA's data sheet: 1 PFLOPS of FP16 with sparsity, and at most four instances
        pytest.param("", 1, id="whole"),
        pytest.param(" MIG 1g.24gb", 1 / 4, id="a fourth"),
        pytest.param(" MIG 2g.48gb", 2 / 4, id="half"),
        pytest.param(" MIG 4g.96gb", 1, id="all of it"),
        # an instance is never more than its GPU, whatever its name counts
        pytest.param(" MIG 7g.96gb", 1, id="more slices than it has"),
    ],
)
def test_an_instance_has_its_share_of_a_stated_peak(name: str, share: float) -> None:
    whole = "NVIDIA RTX PRO 6000 Blackwell Server Edition"
    peak = gpus.peak_flops(whole + name, gpus.capability_by_name(whole))
    assert peak == pytest.approx(504e12 * share)


@pytest.mark.parametrize(
    ("name", "ghz"),
    [
        # cores and GHz of Apple's GPUs as system tools read them; the M5 has a matrix unit a core
        pytest.param("Apple M1 GPU", 8 * 1.278, id="M1"),
        pytest.param("Apple M5 GPU", 10 * 1.6, id="M5"),
        pytest.param("NVIDIA GeForce RTX 3090", 82 * 1.695, id="RTX 3090"),
        pytest.param("AMD Radeon RX 7900 XTX", None, id="not stated"),
        pytest.param("banana", None, id="unknown"),
    ],
)
def test_cycles_are_those_of_all_cores(name: str, ghz: float | None) -> None:
    cycles = gpus.cycles_per_second(name)
    if ghz is None:
        assert cycles is None
    else:
        assert cycles == pytest.approx(ghz * 1e9, rel=0.03)


@pytest.mark.parametrize(
    ("name", "tflops"),
    [
        # apple.com: 2.6 TFLOPS of the GPU of the M1
        pytest.param("Apple M1 GPU", 2.6, id="Apple"),
        pytest.param("banana", None, id="unknown"),
    ],
)
def test_the_peak_of_a_chip_or_of_nothing(name: str, tflops: float | None) -> None:
    peak = gpus.peak_flops(name, None)
    assert peak == (None if tflops is None else pytest.approx(tflops * 1e12))


@pytest.mark.parametrize(
    ("name", "gb_per_s"),
    [
        # PCI-SIG: 32, 16, 8 and 5 GT/s a lane; 128 of 130 bits are data, 8 of 10 of version 2
        pytest.param("NVIDIA H100 80GB HBM3", 32 * 16 / 8 * 128 / 130, id="5.0 x16"),
        pytest.param("NVIDIA GeForce RTX 3050", 16 * 8 / 8 * 128 / 130, id="4.0 x8"),
        pytest.param("Tesla K40", 8 * 16 / 8 * 128 / 130, id="3.0 x16"),
        pytest.param("Quadro K2000", 5 * 16 / 8 * 8 / 10, id="2.0 x16"),
        pytest.param("NVIDIA H100 80GB HBM3 MIG 1g.10gb", 63.0, id="instance"),
        pytest.param("NVIDIA GeForce GTX 960M", None, id="not stated"),
        pytest.param("Apple M1 GPU", None, id="none"),
    ],
)
def test_a_link_carries_what_its_lanes_carry(name: str, gb_per_s: float | None) -> None:
    link = gpus.link_bytes_per_second(name)
    assert link == (None if gb_per_s is None else pytest.approx(gb_per_s * 1e9, 0.01))


@pytest.mark.parametrize(
    ("vendor", "gib", "peaks"),
    [
        # the MI300X alone has 192 GB of AMD's, the B200 of NVIDIA's: 5.3 and 8 TB/s, their makers
        pytest.param("amd", 192, (5300, 5300), id="AMD"),
        pytest.param("nvidia", 192, (8000, 8000), id="NVIDIA"),
        pytest.param("unknown", 192, (5300, 8000), id="no maker"),
        # drivers report less than is sold
        pytest.param("amd", 175, (5300, 5300), id="a tenth less"),
        pytest.param("amd", 170, None, id="no such size"),
        # the A100 PCIe and the H100 HBM3 are sold with 80
        pytest.param("nvidia", 80, (1935, 3360), id="least and most"),
        pytest.param("qualcomm", 80, None, id="another maker's"),
    ],
)
def test_a_maker_and_a_size_bound_the_bandwidth(
    vendor: str, gib: int, peaks: tuple[float, float] | None
) -> None:
    assert gpus.peaks_with_memory(vendor, gib * 2**30) == peaks


@pytest.mark.parametrize(
    ("name", "sold_gb", "mib"),
    [
        # as nvidia-smi prints it for an RTX 4090
        pytest.param("NVIDIA GeForce RTX 4090", 24, 24564, id="reported"),
        pytest.param("NVIDIA GeForce RTX 4090", 48, 48 * 1024, id="another size"),
        pytest.param("NVIDIA GeForce RTX 2070", 8, 8 * 1024, id="not reported"),
        pytest.param("banana", 1.5, 1536, id="unknown"),
    ],
)
def test_a_driver_reports_what_is_known_or_what_was_sold(
    name: str, sold_gb: float, mib: int
) -> None:
    assert gpus.driver_memory_bytes(name, sold_gb) == mib * 2**20


@pytest.mark.parametrize(
    ("vendor", "total_mib", "kept_mib"),
    [
        # `driver_keeps` of the table: what users of each size were told
        pytest.param("nvidia", 0, 0, id="nothing"),
        pytest.param("nvidia", 1024, 41 / 2, id="half of the smallest"),
        pytest.param("nvidia", 2048, 41, id="2 GB"),
        pytest.param("nvidia", 4096, (41 + 205) / 2, id="between two"),
        pytest.param("nvidia", 24564, 387, id="the likely of three"),
        pytest.param("unknown", 81559, 550, id="no maker"),
        pytest.param("nvidia", 143771, 606, id="largest"),
        pytest.param("nvidia", 300_000, 606, id="larger"),
        pytest.param("amd", 24564, 0, id="another maker"),
    ],
)
def test_a_driver_keeps_a_part_of_a_card(
    vendor: str, total_mib: int, kept_mib: float
) -> None:
    kept = gpus.kept_by_driver_bytes(vendor, total_mib * 2**20)
    assert kept == round(kept_mib * 2**20)


def card_called(name: str, *, unified: bool = False) -> Accelerator:
    return Accelerator(vendor=gpus.vendor_of(name), name=name, unified=unified)


def machine_with(gib: int | None, *cards: Accelerator, **facts: Any) -> Machine:
    size = None if gib is None else gib * 2**30
    return Machine(name="m", memory_total_bytes=size, accelerators=cards, **facts)


RTX_3090 = card_called("NVIDIA GeForce RTX 3090")
LAPTOP_4070 = card_called("NVIDIA GeForce RTX 4070 Laptop GPU")
RADEON_780M = card_called("AMD Radeon 780M Graphics", unified=True)


@pytest.mark.parametrize(
    ("machine", "computer"),
    [
        pytest.param(machine_with(64, RTX_3090), "a desktop", id="desktop"),
        pytest.param(
            machine_with(256, RTX_3090, RTX_3090), "a desktop", id="two cards"
        ),
        pytest.param(machine_with(64, *[RTX_3090] * 3), None, id="three cards"),
        pytest.param(machine_with(257, RTX_3090), None, id="RAM of a server"),
        pytest.param(machine_with(None, RTX_3090), "a desktop", id="RAM unknown"),
        pytest.param(
            machine_with(64, card_called("RTX 3090")), "a desktop", id="short name"
        ),
        pytest.param(
            machine_with(64, card_called("NVIDIA GeForce GTX 9999")),
            "a desktop",
            id="not listed",
        ),
        pytest.param(
            machine_with(64, RTX_3090, card_called("Tesla T4")),
            None,
            id="beside a server's",
        ),
        pytest.param(
            machine_with(32, LAPTOP_4070), "a laptop of 2023 or later", id="laptop"
        ),
        pytest.param(
            machine_with(16, card_called("NVIDIA GeForce RTX 2070 with Max-Q Design")),
            "a laptop",
            id="older laptop",
        ),
        pytest.param(
            machine_with(64, RTX_3090, RADEON_780M), "a desktop", id="GPU inside beside"
        ),
        pytest.param(machine_with(64, RADEON_780M), None, id="GPU inside"),
        pytest.param(machine_with(64), None, id="no card"),
        pytest.param(
            machine_with(64, assumed=("cpu_model",)),
            "a laptop or desktop",
            id="processor assumed",
        ),
        pytest.param(
            machine_with(64, RTX_3090, assumed=("cpu_model",)),
            "a desktop",
            id="card counts first",
        ),
    ],
)
def test_cards_tell_the_kind_of_computer(
    machine: Machine, computer: str | None
) -> None:
    """Cards for people stand in desktops, two at most, and with no more RAM than those take."""
    found = gpus.computer_of(machine)
    assert (None if found is None else found.name) == computer


@pytest.mark.parametrize(
    ("machine", "cores", "threads"),
    [
        # AMD's page of the 5950X: 16 cores, 32 threads
        pytest.param(
            machine_with(64, RTX_3090, cpu_model="AMD Ryzen 9 5950X"),
            (16, 16, 16),
            2,
            id="processor",
        ),
        # Steam's survey: most have 6 or 8 cores, few fewer than 4 or more than 16
        pytest.param(machine_with(64, RTX_3090), (4, 8, 16), 2, id="card"),
        pytest.param(
            machine_with(64, RADEON_780M, RTX_3090),
            (4, 8, 16),
            2,
            id="GPU inside and card",
        ),
        pytest.param(machine_with(64, RADEON_780M), (2, 6, 16), 2, id="GPU inside"),
        pytest.param(
            machine_with(64, card_called("Tesla T4")), None, 0, id="card of a server"
        ),
        pytest.param(machine_with(64), None, 0, id="nothing"),
    ],
)
def test_a_processor_or_the_cards_tell_the_cores(
    machine: Machine, cores: tuple[int, int, int] | None, threads: int
) -> None:
    found = gpus.cores_in(machine)
    if found is None:
        assert cores is None
        return
    counted = found.physical
    assert (counted.fewest, counted.usual, counted.most) == cores
    assert found.threads == threads


@pytest.mark.parametrize(
    ("machine", "series"),
    [
        pytest.param(
            machine_with(32, RADEON_780M),
            "those with AMD Radeon 780M Graphics",
            id="GPU inside",
        ),
        pytest.param(
            machine_with(32, RTX_3090, RADEON_780M),
            "those with AMD Radeon 780M Graphics",
            id="behind a card",
        ),
        pytest.param(
            machine_with(32, RADEON_780M, cpu_model="AMD Ryzen 9 5950X"),
            "Ryzen 4000 and 5000",
            id="processor",
        ),
        pytest.param(
            machine_with(32, RADEON_780M.replace(unified=False)), None, id="not inside"
        ),
        pytest.param(
            machine_with(32, card_called("AMD Radeon 780M (radeonsi)", unified=True)),
            "those with AMD Radeon 780M Graphics",
            id="as Mesa names it",
        ),
        pytest.param(
            machine_with(32, card_called("banana", unified=True), RADEON_780M),
            "those with AMD Radeon 780M Graphics",
            id="behind another GPU inside",
        ),
        pytest.param(
            machine_with(32, RTX_3090).replace(name="AMD Ryzen 9 5950X"),
            None,
            id="name of the machine",
        ),
        pytest.param(
            machine_with(32, card_called("AMD Radeon Pro VII Graphics", unified=True)),
            None,
            id="name that may mean a card",
        ),
        pytest.param(
            machine_with(32, card_called("Intel Arc A770 Graphics")),
            None,
            id="Arc card",
        ),
        pytest.param(machine_with(32, RTX_3090), None, id="card"),
        pytest.param(machine_with(32), None, id="nothing"),
    ],
)
def test_a_gpu_inside_tells_the_series_of_its_processor(
    machine: Machine, series: str | None
) -> None:
    """Unless a processor is named."""
    found = gpus.series_in(machine)
    assert (None if found is None else found.name) == series


@pytest.mark.parametrize(
    ("gpu", "gb_per_s", "kind", "vectors"),
    [
        # Qualcomm: 8 channels of 16 bits of LPDDR5x-8448, 135 GB/s
        pytest.param("Qualcomm Adreno X1-85 GPU", 135.168, "unnamed", "arm", id="X Elite"),
        # Intel: in desktops of the 12th to 14th generation, two channels up to DDR5-5600
        pytest.param("Intel UHD Graphics 770", 76.8, "client", "avx2", id="UHD 770"),
        # AMD: two channels of DDR5-5600 or LPDDR5x-7500, in laptops and small desktops
        pytest.param("AMD Radeon 780M Graphics", 89.6, "unnamed", "avx2", id="780M"),
    ],
)  # fmt: skip
def test_a_gpu_inside_tells_the_memory_of_its_processor(
    gpu: str, gb_per_s: float, kind: str, vectors: str
) -> None:
    series = gpus.series_in(machine_with(32, card_called(gpu, unified=True)))
    assert series is not None
    usual = series.bytes_per_second[2]
    assert usual == pytest.approx(gb_per_s * 1e9)
    assert usual == series.channels * series.bits / 8 * series.mts[1] * 1e6
    assert (series.kind, series.share.kind, series.vectors) == (kind, kind, vectors)
    assert series.memory == "either"
    # that of the machine counts, and no row of the GPU states one
    assert gpus.peak_rate_of(gpu, None) is None


@pytest.mark.parametrize(
    ("read", "name", "capability"),
    [
        pytest.param("9.0", "NVIDIA A100-SXM4-40GB", "9.0", id="as read"),
        pytest.param(None, "NVIDIA A100-SXM4-40GB", "8.0", id="by name"),
        pytest.param(None, "AMD Radeon RX 7900 XTX", None, id="neither"),
        # profiles of NVIDIA's vGPU manual; those for desktops only draw
        *(
            pytest.param(None, name, None, id=name)
            for name in ("GRID T4-8Q", "NVIDIA A40-48C", "NVIDIA A16-2B", "GRID RTX6000-4A")
        ),
        pytest.param(None, "NVIDIA A40", "8.6", id="no virtual GPU"),
    ],
)  # fmt: skip
def test_a_capability_is_read_or_told_by_the_name(
    read: str | None, name: str, capability: str | None
) -> None:
    card = card_called(name).replace(compute_capability=read)
    assert gpus.capability_of(card) == capability


@pytest.mark.parametrize("name", ["GRID T4-8Q", "NVIDIA A40-48C", "GRID V100D-32B"])
def test_a_virtual_gpu_has_no_facts_of_its_card(name: str) -> None:
    """It has a share of it that its name does not tell."""
    assert gpus.gb_per_s_of(name) is None
    assert gpus.facts_of(name).name == ""


@pytest.mark.parametrize(
    ("capability", "least", "reaches"),
    [
        pytest.param("8.0", "8.0", True, id="equal"),
        pytest.param("7.5", "8.0", False, id="less"),
        pytest.param("10.0", "9.0", True, id="two digits"),
        pytest.param("8.9", "8.10", False, id="minor of two digits"),
        pytest.param("gfx1100", "7.0", False, id="another maker's"),
        pytest.param("gfx9.0", "7.0", False, id="another maker's with a point"),
        pytest.param(None, "7.0", None, id="unknown"),
        pytest.param(None, None, True, id="nothing asked"),
        pytest.param("5.0", None, True, id="any"),
    ],
)
def test_a_capability_reaches_another(
    capability: str | None, least: str | None, reaches: bool | None
) -> None:
    assert gpus.reaches_capability(capability, least) is reaches


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # NVIDIA's data sheets
        pytest.param("NVIDIA H100 PCIe", True, id="H100"),
        pytest.param("H100", True, id="number alone"),
        pytest.param("Tesla V100-SXM2-16GB", True, id="V100"),
        pytest.param("NVIDIA TITAN V", True, id="Titan V"),
        pytest.param("NVIDIA TITAN RTX", False, id="Titan RTX"),
        pytest.param("NVIDIA A10", False, id="A10"),
        pytest.param("NVIDIA GeForce RTX 4090", False, id="GeForce"),
    ],
)
def test_cards_with_hbm(name: str, expected: bool) -> None:
    assert gpus.has_hbm(name) is expected


@pytest.mark.parametrize(
    ("name", "vendor", "written", "only_gpus"),
    [
        pytest.param("GeForce RTX 3090", "nvidia", "NVIDIA", True, id="NVIDIA"),
        pytest.param("H100", "nvidia", "NVIDIA", True, id="a number alone"),
        pytest.param("Radeon RX 7900 XTX", "amd", "AMD", False, id="AMD"),
        # of a number that two makers use the name of the maker counts
        pytest.param("Intel Arc Pro A40", "intel", "Intel", False, id="Intel"),
        pytest.param("banana", "unknown", "", False, id="none"),
    ],
)
def test_a_name_tells_the_maker(
    name: str, vendor: str, written: str, only_gpus: bool
) -> None:
    """NVIDIA and no other sells GPUs alone, so that its name alone means one."""
    assert gpus.vendor_of(name) == vendor
    maker = gpus.maker_called(vendor)
    assert maker.written == written
    assert maker.only_gpus is only_gpus
    assert gpus.maker_called(None).id == "unknown"


@pytest.mark.parametrize(
    ("name", "clause"),
    [
        pytest.param("Intel Gaudi 2", "an accelerator of Intel's", id="Gaudi"),
        pytest.param("AWS Trainium2", "an accelerator of AWS's", id="Trainium"),
        pytest.param("Moore Threads MTT S80", "a card by Moore Threads", id="MTT"),
        pytest.param("Intel Arc A770 Graphics", None, id="a GPU"),
        pytest.param("Gaudium", None, id="begin of a word"),
        pytest.param("Megaudi", None, id="end of a word"),
    ],
)
def test_an_accelerator_that_no_build_serves(name: str, clause: str | None) -> None:
    found = gpus.why_unserved(name)
    assert found is None if clause is None else (found or "").startswith(clause)


@pytest.mark.parametrize(
    ("name", "gib", "label"),
    [
        pytest.param("NVIDIA GeForce RTX 3090", 24, "RTX 3090 24 GB", id="size added"),
        pytest.param("NVIDIA A100-SXM4-40GB", 40, "A100-SXM4-40GB", id="size in the name"),
        pytest.param("NVIDIA GH200 480GB", 80, "GH200 480GB 80 GB", id="end of a larger size"),
        pytest.param("NVIDIA A100 80GB PCIe", 80, "A100 80GB PCIe", id="within the name"),
        pytest.param("Intel Arc A770 Graphics", 1.5, "Arc A770 1.5 GB", id="not whole"),
        # each of its words is one that nobody says
        pytest.param("Intel Graphics", 8, "Intel Graphics 8 GB", id="unsaid words alone"),
    ],
)  # fmt: skip
def test_a_label_names_the_size_once(name: str, gib: float, label: str) -> None:
    (card,) = (card for card in every_card() if card.name == name)
    assert card.label_with(gib) == label


@pytest.mark.parametrize(
    ("name", "typed", "expected"),
    [
        pytest.param("NVIDIA GeForce RTX 3090", "3090", True, id="number"),
        pytest.param(
            "NVIDIA GeForce RTX 3090", "nvidia geforce rtx 3090", True, id="whole"
        ),
        pytest.param("NVIDIA GeForce RTX 3090", "geforce rtx", False, id="no number"),
        pytest.param("NVIDIA GeForce RTX 3090", "3090 ti", False, id="another form"),
        pytest.param(
            "NVIDIA GeForce RTX 4090 Laptop GPU", "4090", False, id="the laptop's"
        ),
        # people still say Tesla of what NVIDIA no longer calls so
        pytest.param("NVIDIA A100-SXM4-40GB", "tesla a100", True, id="former line"),
        pytest.param("NVIDIA A100-SXM4-40GB", "a100", True, id="one of several forms"),
        pytest.param(
            "NVIDIA H100 80GB HBM3", "h100 sxm", True, id="word that people add"
        ),
        pytest.param("NVIDIA GB10", "dgx spark", True, id="its machine"),
        pytest.param(
            "Tesla T4", "nvidia t4", True, id="maker that its driver leaves out"
        ),
        pytest.param("NVIDIA GB10", "spark", False, id="half of a name"),
        pytest.param(
            "AMD Radeon PRO W7900",
            "radeon pro w7900 dual",
            True,
            id="idle words of a name",
        ),
    ],
)
def test_words_mean_a_card_or_not(name: str, typed: str, expected: bool) -> None:
    (card,) = (card for card in every_card() if card.name == name)
    assert card.can_be(words_of(typed)) is expected


@pytest.mark.parametrize(
    ("name", "row", "peak"),
    [
        # drivers write `Mobile` for NVIDIA's `Laptop`, and `PCI-E`
        pytest.param(
            "NVIDIA GeForce RTX 3080 Mobile",
            "NVIDIA GeForce RTX 3080 Laptop GPU",
            448,
            id="Mobile",
        ),
        pytest.param(
            "NVIDIA GeForce RTX 3080 Ti",
            "NVIDIA GeForce RTX 3080 Ti",
            912,
            id="longer name",
        ),
        pytest.param(
            "NVIDIA GeForce RTX 3080 Ti Frobnicate",
            "NVIDIA GeForce RTX 3080 Ti",
            912,
            id="further word",
        ),
        pytest.param(
            "NVIDIA GeForce RTX 3080 SUPER", "", None, id="form that is not listed"
        ),
        pytest.param("AMD Radeon RX 9999", "", None, id="number that is not listed"),
        pytest.param("AMD Radeon 999M Graphics", "", None, id="number inside"),
    ],
)
def test_a_name_has_the_facts_of_its_own_row(
    name: str, row: str, peak: float | None
) -> None:
    """A form that no row names has no facts of the plain card, nor an unknown number those of a
    GPU without one. The figures are NVIDIA's, rounded.
    """
    assert gpus.facts_of(name).name == row
    found = gpus.gb_per_s_of(name)
    assert found == (None if peak is None else pytest.approx(peak, rel=0.01))


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
    if re.search(r" (RX 90\d\d|R9\d00)", name):
        # the numbers that AMD gave cards of RDNA 4
        assert row.get("generation") == "rdna4", name


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
        ("h100x8", [("NVIDIA H100 80GB HBM3", 80)] * 8),
        ("RTX 3060, 12 GB", [("NVIDIA GeForce RTX 3060", 12)]),
        (
            "RTX 4090 + RTX 3060 12GB",
            [("NVIDIA GeForce RTX 4090", 24), ("NVIDIA GeForce RTX 3060", 12)],
        ),
        ("rtx4070tisuper", [("NVIDIA GeForce RTX 4070 Ti SUPER", 16)]),
        ("2070S", [("NVIDIA GeForce RTX 2070 SUPER", 8)]),
        ("EVGA RTX 3080 FTW3 10GB", [("NVIDIA GeForce RTX 3080", 10)]),
        ("tesla a100 80gb", [("NVIDIA A100-SXM4-80GB", 80)]),
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
    ("text", "name", "named_otherwise"),
    [
        # nvidia-smi of six people who wrote of an H100: vllm-project/vllm#6408, #6746, #8665
        pytest.param("H100", "NVIDIA H100 80GB HBM3", "H100 PCIe 80 GB", id="H100"),
        pytest.param(
            "H100 80GB", "NVIDIA H100 80GB HBM3", "H100 PCIe 80 GB", id="with its size"
        ),
        # vLLM's own benchmarks: vllm-project/vllm#10026
        pytest.param(
            "2x A100 80GB", "NVIDIA A100-SXM4-80GB", "A100 80GB PCIe", id="A100"
        ),
    ],
)
def test_a_name_without_its_form_means_the_usual_form(
    text: str, name: str, named_otherwise: str
) -> None:
    """Most people who write H100 have SXM. The note says which form is meant, and how to name the
    other.
    """
    cards = cards_named(text)
    assert cards.accelerators[0].name == name
    (note,) = cards.notes
    assert "the usual form" in note
    assert f'"{named_otherwise}"' in note
    (other,) = {card.name for card in cards_named(named_otherwise).accelerators}
    assert other != name
    # `--set gpu=h100` said nothing
    assert notes_on_cards([f"gpu={text}"]) == cards.notes


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        # NVIDIA's data sheets: 2.0 TB/s of the H100 PCIe, 3.35 of the SXM
        pytest.param("H100 80GB", (2000, 3352, 3352), id="the fastest is usual"),
        # 1,935 GB/s and 2,039
        pytest.param("A800", (1935, 1935, 2039), id="the slowest is meant"),
        pytest.param("H100 SXM", (3352, 3352, 3352), id="form told"),
        pytest.param("H100 PCIe", (2000, 2000, 2000), id="other form told"),
        # a card of another size is another card: 12 GB of the RTX 3060 have 360 GB/s, 8 GB 240
        pytest.param("RTX 3060", (360, 360, 360), id="no form"),
    ],
)
def test_the_bandwidth_spans_the_forms_that_a_name_can_mean(
    text: str, ends: tuple[float, float, float]
) -> None:
    card = cards_named(text).accelerators[0]
    gpu = gpu_of(card)
    assert gpu is not None
    peak = gpu.peak_bandwidth
    in_gb = (peak.low / 1e9, peak.likely / 1e9, peak.high / 1e9)
    assert in_gb == pytest.approx(ends)


def test_the_forms_that_a_name_can_mean_stay_in_the_record() -> None:
    """A machine written to a file is judged as the name was."""
    machine = named("H100 80GB").machine
    assert Machine.from_json(machine.to_json()).accelerators == machine.accelerators


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
