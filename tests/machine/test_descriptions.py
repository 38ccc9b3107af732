"""Machines in words: each description of `descriptions.toml` has the facts that a person reads from
it.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.cases import case_id
from selfhost.api import check
from selfhost.core.tables import shipped_table
from selfhost.machine import cpus, profiles
from selfhost.machine.named import named
from selfhost.machine.record import Machine
from selfhost.machine.words import UnknownMachineError

GIB = 2**30
TABLE = tomllib.loads((Path(__file__).parent / "descriptions.toml").read_text())


def gpus_of(machine: Machine) -> list[str]:
    names: dict[str, int] = {}
    for card in machine.accelerators or ():
        size = (
            f" {card.memory_total_bytes / GIB:.0f}" if card.memory_total_bytes else ""
        )
        names[card.name + size] = names.get(card.name + size, 0) + 1
    return [f"{count}x {name}" if count > 1 else name for name, count in names.items()]


def facts_of(machine: Machine) -> dict[str, Any]:
    """What a row of the table states."""
    series = cpus.series_called(machine.cpu_model or "")
    rate = machine.memory_bandwidth_bytes_per_second
    return {
        "gib": round((machine.memory_total_bytes or 0) / GIB, 1),
        "processor": None if series is None else series.name,
        "cores": int(machine.cpu_cores_physical or machine.cpu_cores_usable or 0),
        "gpus": gpus_of(machine),
        "gb_per_s": None if rate is None else round(rate / 1e9, 1),
        "system": machine.system,
        "scope": machine.scope,
    }


@pytest.mark.parametrize(
    "row", [*TABLE["post"], *TABLE["part"]], ids=lambda row: row["text"]
)
def test_a_description_has_the_facts_that_it_names(row: dict[str, Any]) -> None:
    unsaid: dict[str, Any] = dict.fromkeys(("processor", "gb_per_s"))
    unsaid |= {"gpus": [], "system": "linux", "scope": "host"}
    stated = {key: row[key] for key in row if key != "text"}
    assert facts_of(named(row["text"])[0]) == unsaid | stated


@pytest.mark.parametrize("row", TABLE["refused"], ids=lambda row: row["text"])
def test_what_is_not_known_is_refused_with_what_to_type(row: dict[str, Any]) -> None:
    with pytest.raises(UnknownMachineError) as caught:
        named(row["text"])
    assert row["remedy"] in (caught.value.remedy or "")


@pytest.mark.parametrize("name", profiles.names(), ids=case_id)
def test_every_profile_is_found_by_its_name(name: str) -> None:
    """With spaces for what separates its words, too."""
    machine, note = named(name.upper().replace("-", " "))
    assert (machine.name, note) == (name, None)


@pytest.mark.parametrize(
    "row", shipped_table("products")["product"], ids=lambda row: row["words"]
)
def test_every_product_is_found_by_its_words(row: dict[str, Any]) -> None:
    """Unless it is sold with several processors, so that one must be named."""
    if "processor" not in row and "shared" not in row:
        with pytest.raises(UnknownMachineError):
            named(row["words"])
        return
    machine = named(f"my {row['words']}")[0]  # without a filler it may name a profile
    assert machine.memory_total_bytes == round(row["gib"][0] * GIB)
    series = cpus.series_called(machine.cpu_model or "")
    has_one = len(row["gib"]) == 1 and "guest" not in row
    is_on_package = series is not None and series.on_package_gib is not None
    assert ("memory_total_bytes" in machine.assumed) != (has_one or is_on_package)


@pytest.mark.parametrize(
    ("text", "ignored"),
    [
        pytest.param("gizmo flurb rtx 4070", "gizmo, flurb", id="words"),
        pytest.param("rtx 4090, 100000 GB of RAM", "100000, gb", id="size"),
    ],
)
def test_words_beside_a_gpu_alone_are_not_dropped_in_silence(
    text: str,
    ignored: str,
) -> None:
    """A known machine with the GPU stood for the whole description, without a word on the rest."""
    machine, note = named(text)
    assert machine.name.startswith("desktop-")
    assert f"Ignored (not understood): {ignored}." in (note or "")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("RTX 3090 48GB VRAM", id="one card"),
        pytest.param("2x RTX 3090 64GB VRAM", id="no sum"),
        pytest.param("0x RTX 3090 48GB VRAM", id="no card"),
    ],
)
def test_a_size_that_no_card_has_is_refused(text: str) -> None:
    with pytest.raises(UnknownMachineError, match="not sold with"):
        named(text)


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        pytest.param("kubernetes pod 8gb 2 cpu", 2, id="of a pod"),
        pytest.param("container 16gb, 2 cpu", 2, id="of a container"),
        pytest.param("vps 1cpu 2gb", 1, id="of a virtual machine"),
        pytest.param("vm, cpu: 6, memory: 16Gi", 6, id="as in a manifest"),
        pytest.param("no gpu, 8 cpu cores, 16gb", 8, id="cores of the processor"),
    ],
)
def test_a_number_of_cpu_is_that_of_cores(text: str, cores: int) -> None:
    """A container of 16 GB and `2 cpu` was judged with the 8 cores that were assumed."""
    machine, note = named(text)
    assert machine.cpu_cores_usable == cores
    assert "Ignored" not in (note or "")


@pytest.mark.parametrize(
    ("text", "gib", "ignored"),
    [
        pytest.param("RTX 3090 24GB 936GB/s", 64, "936 GB/s", id="of a GPU"),
        pytest.param("24GB VRAM 900 GB/s, 32GB RAM", 32, "900 GB/s", id="of VRAM"),
        pytest.param("i5-8250U 16GB DDR4 34.1 GB/s", 16, "34 GB/s", id="of RAM"),
        pytest.param("epyc 7742 512GB 204.8 GB/s", 512, "205 GB/s", id="beside RAM"),
        pytest.param("8 cores 16GB 7 GB/s ssd", 16, "7 GB/s", id="of a disk"),
        pytest.param("16GB, 8 cores, 1.8TB/s", 16, "1800 GB/s", id="in TB"),
        pytest.param("dgx spark 273 GBps", 121.7, "273 GB/s", id="of a product"),
    ],
)
def test_a_bandwidth_is_no_size(text: str, gib: float, ignored: str) -> None:
    """An RTX 3090 as its page describes it, `24GB 936GB/s`, had 936 GB of RAM."""
    machine, note = named(text)
    assert round((machine.memory_total_bytes or 0) / 2**30, 1) == gib
    assert f"Ignored (not understood): {ignored}." in (note or "")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param("rtx 4090 64gb", "rtx-4090-64gb", id="no more"),
        pytest.param("rtx 4090 64gb linux", "rtx-4090-64gb", id="the usual system"),
        pytest.param("rtx 4090 64gb ddr4", "rtx-4090-64gb-ddr4", id="kind of RAM"),
        pytest.param(
            "windows, 64gb ddr5, rtx 4090", "rtx-4090-64gb-ddr5-windows", id="system"
        ),
        pytest.param("dgx spark lpddr5x", "dgx-spark-121.7gb", id="a product's own"),
    ],
)
def test_machines_that_differ_have_names_that_differ(text: str, name: str) -> None:
    """`rtx-4090-64gb` was the name of four machines."""
    assert named(text).machine.name == name


def test_a_mac_is_told_without_the_gpu_that_it_cannot_have() -> None:
    """It was "a Mac with Apple M2 with , 16 GB of RAM"."""
    note = named("macbook air m2 16gb and rtx 4090").note or ""
    assert "a Mac with Apple M2, 16 GB of RAM. Ignored" in note


def test_ram_of_an_unnamed_processor_is_not_ignored() -> None:
    """`32GB DDR4` beside a card was ignored as memory that the assumed processor does not
    support.
    """
    ddr4, ddr5 = (
        check(
            "gpt-oss-120b",
            min_tokens_per_second=0,
            machine=f"RTX 3060, 64GB {kind}",
        )
        for kind in ("DDR4", "DDR5")
    )
    notes = " ".join((*ddr4.notes, *ddr5.notes))
    assert "does not support" not in notes
    paces = []
    for verdict in (ddr4, ddr5):
        assert verdict.speed is not None
        assert verdict.speed.decode is not None
        paces.append(verdict.speed.decode.likely)
    assert paces[0] < paces[1]


@pytest.mark.parametrize(
    "text",
    [
        "-8gb i5-8250u",
        "i5-8250u 0gb",
        "i5-8250u 0x16gb",
        "i5-8250u 2x0gb",
        "i5-8250u 0,0gb",
        "x" * 500,
        "banana",
        "macbook",
        "tpu v5e",
        "quadro",
    ],
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(UnknownMachineError) as caught:
        named(text)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "text",
    [
        "ryzen 9 7900x or i9-12900k 32gb",
        "i5-8250U 16gb 32gb",
        "i5-8250U 16gb ram 32gb ram",
        "2x 16gb v100 64gb",
        "5500u 16gb",
        "5700 16gb",
        "macbook pro 16gb",
        "macbook air m2 48gb",
        "rtx 3090 or rtx 4090",
        "i5-12400 rtx 3090 no gpu",
        "raspberry pi 8gb",
        "imac 2023 i5-8500",
    ],
)
def test_two_readings_are_asked_about(text: str) -> None:
    with pytest.raises(
        UnknownMachineError, match=r"can be|names|states|does not say|no Mac with"
    ):
        named(text)


@pytest.mark.parametrize(
    ("text", "assumed"),
    [
        ("i5-8250U", {"memory_total_bytes", "accelerators", "system"}),
        ("i5-8250U 16gb", {"accelerators", "system"}),
        ("gtx 1080 ti", {"memory_total_bytes", "system", "architecture"}),
        ("gtx 1080 ti 32gb", set()),
        ("mac mini m4", {"memory_total_bytes"}),
        ("2x rtx 3060", {"memory_total_bytes", "system", "architecture"}),
    ],
)
def test_what_no_word_tells_is_assumed(text: str, assumed: set[str]) -> None:
    machine = named(text)[0]
    facts = {"memory_total_bytes", "accelerators", "system", "architecture"}
    assert facts & {*machine.assumed} == assumed
    assert machine.sources["memory_total_bytes"]


@pytest.mark.parametrize(
    ("text", "is_assumed"),
    [
        pytest.param("vm 16gb", True, id="RAM alone"),
        pytest.param("vm 16gb 8 vcpu", False, id="processors stated"),
    ],
)
def test_the_cores_of_a_guest_are_assumed_unless_stated(
    text: str, is_assumed: bool
) -> None:
    assert ("cpu_cores_usable" in named(text)[0].assumed) is is_assumed


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        # Intel's page of the i5-1240P: 4 performance cores, 8 efficient ones
        pytest.param("nuc 12", 4, id="two kinds of cores"),
        # Apple's page: it has 2 cores, others of its processor's series have 6
        pytest.param("macbook air 2018", None, id="another of its series"),
    ],
)
def test_the_fast_cores_of_a_product_are_those_of_its_processor(
    text: str, cores: int | None
) -> None:
    assert named(text)[0].cpu_cores_performance == cores


def test_a_gpu_beside_a_system_has_that_system() -> None:
    """The known machine with the GPU has another."""
    assert named("rtx 3060 windows")[0].system == "windows"


@pytest.mark.parametrize(
    ("text", "system"),
    [
        ("i5-8250U 8GB", "Linux"),
        ("rtx 3060 12gb 32gb", "Linux"),
        ("vm 16gb 8 vcpu", "Linux"),
        ("laptop 8gb", "Windows"),
        ("i5-8250U 8GB windows", None),
        ("docker container 16gb 8 vcpu", None),
        ("wsl 16gb laptop", None),
        ("rtx 3060", None),
        ("laptop-ddr4-8gb", None),
    ],
    ids=case_id,
)
def test_a_system_that_no_word_tells_is_said_to_be_assumed(
    text: str, system: str | None
) -> None:
    """Profiles state theirs."""
    note = (named(text)[1] or "").replace("The processor is assumed.", "")
    said = re.findall(r"(\w+) is assumed\b", note)
    assert said == ([] if system is None else [system])


@pytest.mark.parametrize(
    ("text", "gpus"),
    [
        ("m2 16gb no gpu", []),
        ("steam deck no gpu", []),
        ("jetson orin nano no gpu", []),
        ("g5.xlarge no gpu", []),
        ("core ultra 7 155h without gpu 32gb", []),
        # what it has not is a card
        ("steam deck no dedicated gpu", ["AMD Custom GPU 0405"]),
        ("m2 16gb no dgpu", ["Apple M2 GPU"]),
    ],
    ids=case_id,
)
def test_no_gpu_is_none_at_all(text: str, gpus: list[str]) -> None:
    machine = named(text)[0]
    assert [card.name for card in machine.accelerators or ()] == gpus
    assert "accelerators" not in machine.assumed


parts = st.sampled_from([row["text"] for row in TABLE["part"]])


@given(st.text(max_size=60) | st.lists(parts, min_size=2, max_size=3).map(" ".join))
def test_any_text_and_any_mixture_of_descriptions_is_answered_or_refused(
    text: str,
) -> None:
    try:
        is_told = named(text)[0].planning
    except UnknownMachineError as error:
        is_told = bool(error.remedy)  # what to type instead
    assert is_told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(
            "RTX 4090, Intel UHD 770", "does not count here): UHD 770", id="GPU inside"
        ),
        pytest.param(
            "i9-13900K UHD 770 RTX 4090 64GB", "here): UHD 770", id="and a card"
        ),
        pytest.param(
            "i5-12400 32gb ddr4 quad channel",
            "Ignored (does not count here): 4 channels",
            id="channels",
        ),
        pytest.param(
            "mac pro 2019 28-core 768gb",
            "Ignored (does not count here): 28 cores",
            id="cores",
        ),
        pytest.param(
            "RTX 3060, i5-12400, 24GB VRAM, 32GB RAM",
            "Ignored (does not count here): 24 GB of GPU memory.",
            id="GPU memory",
        ),
        pytest.param(
            "strix halo 128gb 96gb vram",
            "here): 96 GB of GPU memory",
            id="shared memory",
        ),
        pytest.param(
            "i5-12400 ddr4 9999mhz 16gb", "here): DDR4-9999", id="rate of RAM"
        ),
        pytest.param(
            "ryzen 5 3600 8gb 16gb ram", "Ignored (not understood): 8gb", id="of what"
        ),
        pytest.param("i5-8250u 8gb ssd", "for RAM write '8GB RAM'", id="small disk"),
        pytest.param(
            "ryzen ai 7 350 32gb", "only with --gpu 'Radeon 860M'", id="its own GPU"
        ),
    ],
)
def test_what_does_not_count_is_named(text: str, told: str) -> None:
    """Each of these was left out without a word."""
    assert told in (named(text).note or "")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("2x epyc 9654 24 channel ddr5 1.5tb", id="channels of both"),
        pytest.param("2x e5-2680 v4 14 cores 128gb", id="cores of one"),
        pytest.param("i5-8250U 8 cores 16gb", id="threads"),
        pytest.param("core ultra 7 155h quad channel lpddr5x", id="narrow channels"),
        pytest.param("4x 3090 i5-12400, 96GB VRAM, 64GB RAM", id="memory of all"),
        pytest.param("A10 24GB VRAM epyc 7302 64GB RAM", id="memory as it is sold"),
    ],
)
def test_what_is_counted_otherwise_is_not_told_to_be_ignored(text: str) -> None:
    assert "ignored" not in (named(text).note or "")


@pytest.mark.parametrize(
    "text", ["GH200 512GB RAM", "gb200 960gb", "vm gh200 64 vcpu 432gb"]
)
def test_a_gpu_that_is_soldered_to_an_arm_processor_has_one(text: str) -> None:
    """A Grace Hopper was judged with a processor for x86-64."""
    assert named(text).machine.architecture == "aarch64"


@pytest.mark.parametrize("typed", ["intel macbook air", "macbook air 8gb"])
def test_an_intel_mac_is_not_only_asked_for_its_apple_chip(typed: str) -> None:
    """`name one: m1, m2, m3, m4, m5` left the owner of a Mac with a processor of Intel no way on;
    the processor of the MacBook Air of 2018 and 2019 is the i5-8210Y.
    """
    with pytest.raises(UnknownMachineError) as told:
        named(typed)
    remedy = told.value.remedy or ""
    assert "an Intel Mac is named by its processor" in remedy
    example = re.findall(r"--machine '([^']+)'", remedy)[-1]
    assert named(example)[0].memory_total_bytes == 8 * 2**30


@pytest.mark.parametrize(
    ("text", "size"),
    [
        pytest.param("8x H100, 2TB", 2, id="cards"),
        pytest.param("RTX 3090, 2TB", 2, id="known machine"),
        pytest.param("i5-8250U, 1TB", 1, id="one terabyte"),
    ],
)
def test_terabytes_that_are_taken_for_a_disk_are_named(text: str, size: int) -> None:
    """`8x H100, 2TB` was judged with 637 GB of RAM, and no word said what became of the 2 TB."""
    _, note = named(text)
    told = f"{size} TB is taken for a disk; for RAM write '{size}TB RAM'."
    assert told in (note or "")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("RTX 4090 64GB 2TB", id="RAM stated"),
        pytest.param("dgx spark 4tb", id="product of one size"),
        pytest.param("epyc 7763 1tb", id="RAM of a server"),
    ],
)
def test_terabytes_beside_known_ram_need_no_note(text: str) -> None:
    _, note = named(text)
    assert "is taken for a disk" not in (note or "")


@pytest.mark.parametrize(
    ("text", "gpus"),
    [
        pytest.param("RTX 3090 at pcie 3.0 x4, 64GB", 1, id="lanes"),
        pytest.param("RTX 3090 pcie gen4 x16 64gb", 1, id="generation"),
        pytest.param("2x 3090 x8/x8 64gb", 2, id="divided"),
        pytest.param("RTX 4090 pcie x16 64gb", 1, id="no generation"),
        pytest.param("2x RTX 3090 on PCI Express x4, 64GB", 2, id="in full"),
    ],
)
def test_the_link_of_a_card_is_no_count(text: str, gpus: int) -> None:
    """`pcie 3.0 x4` was refused: it is not clear what x4 counts. `pcie x16` was 16 cards."""
    machine, note = named(text)
    assert len(machine.cards) == gpus
    assert round((machine.memory_total_bytes or 0) / 2**30) == 64
    assert "The PCIe link was ignored" in (note or "")


@pytest.mark.parametrize(
    ("text", "gpus"),
    [
        pytest.param("h100 pcie x4", 4, id="behind the form"),
        pytest.param("4x A100 PCIe 80GB", 4, id="before the form"),
    ],
)
def test_the_form_of_a_card_is_no_link(text: str, gpus: int) -> None:
    machine, note = named(text)
    assert len(machine.cards) == gpus
    assert "link" not in (note or "")


def test_an_npu_is_named_as_it_is() -> None:
    """The note on an `ai hat` said `Ignored (not understood): npu`, a word that nobody typed."""
    _, note = named("raspberry pi 5 8gb with ai hat")
    assert "The NPU was ignored: none of the programs" in (note or "")
    assert "not understood" not in (note or "")


@pytest.mark.parametrize(
    ("text", "memory"),
    [
        pytest.param("i3-10110u single channel ddr4 8gb", "DDR4-2666", id="kind"),
        pytest.param("AMD EPYC 9654 12 channel", "RAM at 4,800 MT/s", id="no kind"),
    ],
)
def test_a_kind_of_ram_counts_before_its_size_too(text: str, memory: str) -> None:
    """`ddr4 8gb` lost the kind, and a RAM without a kind was called `RAM-2666`."""
    _, note = named(text)
    assert f"of {memory}, " in (note or "")


@pytest.mark.parametrize(
    ("text", "gib"),
    [
        pytest.param("16GB ram, 8GB GDDR6", 8, id="no card named"),
        pytest.param("RTX 4090 24GB GDDR6X 16GB RAM", 24, id="card named"),
        pytest.param("RTX 4090 GDDR6X 16GB", 24, id="size of the RAM"),
        pytest.param("GDDR6 8GB, 16GB ram", 8, id="size behind"),
    ],
)
def test_gddr_is_the_memory_of_a_card(text: str, gib: int) -> None:
    """`16GB ram, 8GB GDDR6` was judged without a GPU, and nothing said so."""
    machine, _ = named(text)
    (card,) = machine.cards
    assert round((card.memory_total_bytes or 0) / 2**30) == gib
    assert round((machine.memory_total_bytes or 0) / 2**30) == 16


@pytest.mark.parametrize(
    ("text", "architecture"),
    [
        pytest.param("surface pro 11", "aarch64", id="usual"),
        pytest.param("surface pro 11 intel", "x86_64", id="behind"),
        pytest.param("intel surface pro 11", "x86_64", id="before"),
        pytest.param("surface laptop 7 15 inch (intel)", "x86_64", id="apart"),
    ],
)
def test_intel_names_the_edition_of_a_surface(text: str, architecture: str) -> None:
    """Only `surface pro 11 intel` was; `intel surface pro 11` was a Snapdragon's machine."""
    machine, _ = named(text)
    assert machine.architecture == architecture


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("snapdragon 8 gen 5", id="chip alone"),
        pytest.param("snapdragon 8 elite 12gb", id="with memory"),
        pytest.param("snapdragon 7s gen 3 8gb", id="middle class"),
    ],
)
def test_a_chip_of_phones_is_no_windows_computer(text: str) -> None:
    """Android runs llama.cpp in Termux, whose package it is (termux/termux-packages pull 17457)."""
    machine, note = named(text)
    assert machine.system == "linux"
    assert "Termux" in (note or "")
    assert "Windows" not in (note or "")


@pytest.mark.parametrize(
    ("text", "known"),
    [
        pytest.param(
            "laptop with 16 GB and an RTX 4060", "laptop-rtx4060-16gb", id="laptop"
        ),
        pytest.param("rtx 4090 64gb", "desktop-rtx4090-24gb", id="desktop"),
        pytest.param("rtx 4060 laptop 32gb", None, id="other RAM"),
        pytest.param("i5-8400 16gb rtx 4090", None, id="a named processor"),
    ],
)
def test_a_known_machine_of_the_same_parts_is_named(
    text: str, known: str | None
) -> None:
    """rtx-4060-laptop-16gb and laptop-rtx4060-16gb had two answers: of the known machine the
    bandwidth of the RAM is stated, and nothing said that there is one.
    """
    note = named(text).note or ""
    if known is None:
        assert "known machine" not in note
    else:
        assert f"this RAM is {known}." in note
        machine = named(known).machine
        names = [card.name for card in named(text).machine.cards]
        assert [card.name for card in machine.cards] == names
