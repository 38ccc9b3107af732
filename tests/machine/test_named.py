"""Machines by name: a profile by words, a GPU by the desktop around it."""

import pytest

from helpers.each import each
from selfhost import check
from selfhost.core import units
from selfhost.machine import profiles
from selfhost.machine.chips import apple_chip, apple_chips
from selfhost.machine.named import (
    machine_named,
    profile_named,
)
from selfhost.machine.profiles import UnknownMachineError
from selfhost.machine.reader import Machine
from selfhost.machine.record import Accelerator
from selfhost.verdict.memory_bandwidth import bandwidth
from selfhost.verdict.speed import PaceRange, Speed, shared_gpu_of

GIB = 2**30


@each("name", profiles.names())
def test_every_profile_is_found_by_its_name(name: str) -> None:
    """With spaces for what separates its words, too."""
    found = profile_named(name.upper().replace("-", " "))
    assert (found.profile.name, found.note) == (name, None)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("macbook air m2 16GB", "macbook-air-m2-16gb"),
        ("m2 macbook air 16 gb", "macbook-air-m2-16gb"),
        ("m4 pro mini 64gb", "mac-mini-m4-pro-64gb"),
        ("m4 max 128", "mac-studio-m4-max-128gb"),
        ("ec2 p4d.24xlarge", "aws-p4d.24xlarge"),
        ("laptop rtx 4060", "laptop-rtx4060-16gb"),
        ("desktop rtx 4070", "desktop-rtx4070-12gb"),
        ("rtx 4070 ti super desktop", "desktop-rtx4070tis-16gb"),
        ("ryzen 5600", "desktop-ryzen-5600-16gb"),
        ("orin nx", "jetson-orin-nx-16gb"),
        ("gb10", "dgx-spark"),
        # NVIDIA's Jetson Nano is of 2019, with Maxwell and 4 GB; the Orin Nano of 2023
        ("jetson nano", "jetson-nano-4gb"),
        ("jetson orin nano", "jetson-orin-nano-8gb"),
        ("jetson orin nano super", "jetson-orin-nano-super-8gb"),
    ],
)
def test_words_in_any_order(text: str, name: str) -> None:
    found = profile_named(text)
    assert (found.profile.name, found.note) == (name, None)


@pytest.mark.parametrize(
    ("text", "name"),
    [("mac mini m4", "mac-mini-m4-16gb"), ("macbook pro m5", "macbook-pro-m5-16gb")],
)
def test_a_mac_without_its_memory_has_that_of_its_profile_assumed(text: str, name: str) -> None:
    """The M4 and the M5 are sold with 16, 24 and 32 GB."""
    named = profile_named(text)
    assert named.profile.name == name
    assert named.profile.machine.assumes("memory_total_bytes")
    assert "Otherwise name it: 24 GB, 32 GB." in (named.note or "")
    assert not profile_named(name).profile.machine.assumes("memory_total_bytes")


@pytest.mark.parametrize(
    "text",
    [
        "4x rtx 3060 12gb",
        "rtx 3090 x2",
        "dual rtx 3090",
        "rtx 3060 12gb 64gb ram",
        # its 64gb were once no memory
        "ryzen 9 7950x 64gb",
        "i5 8250u 16gb ddr4",
        "macbook pro m2 16gb",
    ],
)
def test_underscores_are_spaces(text: str) -> None:
    """What is typed shows in the note as it was."""
    whole, joined = profile_named(text), profile_named(text.replace(" ", "_"))
    assert joined.profile.machine.memory_total_bytes == whole.profile.machine.memory_total_bytes
    assert joined.profile.machine.accelerators == whole.profile.machine.accelerators
    assert joined.profile.machine.cpu_model == whole.profile.machine.cpu_model
    assert (joined.note or "").replace("_", " ") == (whole.note or "")


@pytest.mark.parametrize(
    ("text", "name", "others"),
    [
        ("macbook air m2", "macbook-air-m2-8gb", ["macbook-air-m2-16gb"]),
        ("raspberry pi 5", "raspberry-pi-5-4gb", ["raspberry-pi-5-8gb", "raspberry-pi-5-16gb"]),
        ("strix halo", "strix-halo-64gb", ["strix-halo-128gb"]),
        ("mac studio m3 ultra", "mac-studio-m3-ultra-256gb", ["mac-studio-m3-ultra-512gb"]),
    ],
)
def test_of_several_sizes_the_smallest_is_taken(text: str, name: str, others: list[str]) -> None:
    """And a note names the others."""
    found = profile_named(text)
    assert found.profile.name == name
    assert all(other in str(found.note) for other in others)


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("mac studio", "mac-studio-m2-ultra-128gb"),
        ("aws g5", "aws-g5.xlarge"),
        # a Jetson Xavier has these names too
        ("jetson nx", "jetson-orin-nx-16gb"),
        ("jetson agx", "jetson-agx-orin-64gb"),
        ("jetson", "jetson-nano-4gb"),
        ("jetson nano 8gb", "jetson-orin-nano-8gb"),
        ("dgx", "dgx-spark"),
        ("macbok-air-m2-8gb", "macbook-air-m2-8gb"),
    ],
)
def test_what_means_no_one_machine_has_candidates(text: str, near: str) -> None:
    """A chip's name without Pro or Max is never taken for one with it."""
    with pytest.raises(UnknownMachineError) as caught:
        profile_named(text)
    assert near in caught.value.nearest
    assert near in str(caught.value.remedy)


@pytest.mark.parametrize("text", ["RTX 4090", "rtx 3090", "rtx 4060 laptop", "3x H200", "mi50"])
def test_a_gpu_is_a_desktop_with_it_for_the_command_and_for_python(text: str) -> None:
    """The same machine; and a note tells how to put the GPU into one's own."""
    named = profile_named(text)
    assert f"--gpu '{text}'" in str(named.note)
    machine = machine_named(text)
    assert machine.accelerators
    assert machine.replace(sources={}) == named.profile.machine.replace(sources={})


@pytest.mark.parametrize(
    "text",
    [
        "intel i5 16gb", "i7 16gb", "i9", "desktop i7", "xeon", "i5", "celeron laptop",
        # makers of the machine, metals and counts tell no more of it
        "dell i5", "lenovo i7 laptop", "xeon gold", "dual xeon workstation", "2.3 GHz 8-Core Intel Core i9",
        "ryzen ai laptop", "intel laptop", "amd laptop", "atom netbook", "threadripper pro",
    ],
)  # fmt: skip
def test_a_kind_of_processor_alone_is_no_single_one(text: str) -> None:
    """An i7-4770 has two channels of DDR3-1600, an i7-14700 two of DDR5-5600 (Intel's data sheets):
    3.5 times the rate.
    """
    named = profile_named(text)
    assert "Only the kind of processor is told" in str(named.note)
    reach = bandwidth(named.profile.machine)
    assert reach is not None
    assert reach.high > 3 * reach.low


def _decode(pace: Speed | None) -> PaceRange:
    assert pace is not None
    assert pace.decode is not None
    return pace.decode


@pytest.mark.parametrize(
    "text", ["i5 ryzen", "i7 ryzen 7 16gb", "amd i5 laptop", "legion i5 ryzen"]
)
def test_a_processor_is_of_one_maker(text: str) -> None:
    """AMD makes no Core i5, Intel no Ryzen."""
    with pytest.raises(UnknownMachineError, match="processors of two makers"):
        profile_named(text)


@pytest.mark.parametrize(
    ("maker", "kind"),
    [("amd laptop", "ryzen 7"), ("intel laptop", "i5"), ("amd a8 laptop", "ryzen 7")],
)
def test_a_maker_alone_is_told_as_a_kind_of_its_processors_is(maker: str, kind: str) -> None:
    """No laptop of AMD's reads what a socket of an EPYC does: two channels beside twelve."""
    of_maker, of_kind = (_decode(check("tinyllama", machine=name).speed) for name in (maker, kind))
    assert of_maker == of_kind


@pytest.mark.parametrize(
    "named", ["xeon e5-2670 64gb", "xeon e5-2680 v4 64gb", "xeon e5-2620 64gb"]
)
def test_a_line_of_xeons_that_is_no_longer_made_has_the_range_of_its_processors(named: str) -> None:
    """Four channels of DDR3-1600 to four of DDR4-2400 (Intel's data sheets), with AVX or AVX2."""
    line, one = (
        _decode(check("mistral-7b", machine=name).speed) for name in ("xeon e5 64gb", named)
    )
    assert line.low <= one.low
    assert one.high <= line.high < 4 * one.high
    two = _decode(check("mistral-7b", machine="dual xeon e5 64gb").speed)
    of_two = _decode(check("mistral-7b", machine=f"2x {named}").speed)
    assert two.low <= of_two.low


@pytest.mark.parametrize("text", ["celeron laptop", "atom", "pentium 8gb"])
def test_a_kind_of_processor_of_which_many_lack_avx_is_no_fast_one(text: str) -> None:
    """A Celeron N4020 has SSE4.2 and 4 GB beside it, a Celeron 7305 AVX2 and two channels of DDR4-3200 (Intel's data sheets)."""
    machine = machine_named(text)
    assert "avx" not in (machine.instruction_sets or ())
    assert machine.assumes("instruction_sets")
    if "gb" not in text:
        assert machine.memory_total_bytes == 4 * 2**30
    names = ("celeron n4020 4gb", text, "i3-10100")
    slow, kind, fast = (_decode(check("tinyllama", machine=name).speed) for name in names)
    assert kind.low <= slow.low
    assert slow.likely < kind.likely < fast.likely
    # one whose number is told has what its series has
    assert "avx2" in (machine_named("celeron 7305 8gb").instruction_sets or ())


@pytest.mark.parametrize(
    "text",
    [
        "amd gpu 16gb",
        "pc with an amd gpu, 32gb ram",
        "laptop amd radeon graphics 16gb",
        "intel hd 4000 laptop 8gb",
        "nvidia gpu 16gb",
        "24gb gpu",
        "intel arc 16gb",
        "gaming pc with a gpu 32gb",
        "16gb vram 64gb ram",
        "i7-8700 with a gpu 32gb",
    ],
)
def test_a_gpu_that_is_told_and_not_which_is_asked_for(text: str) -> None:
    """Cards of 16 GB read 288 GB/s (RTX 4060 Ti) to 960 GB/s (RTX 5080), by NVIDIA's data sheets:
    none of them stands for another, nor a machine without one for any.
    """
    with pytest.raises(UnknownMachineError, match="but not which GPU it is"):
        profile_named(text)


@pytest.mark.parametrize(
    "text",
    [
        "16gb laptop no gpu",
        "laptop integrated graphics 16gb",
        "ryzen 7 5700u with radeon graphics 16gb",
        "i5-8250u intel uhd graphics 16gb",
        "intel uhd 620 laptop 8gb",
        "steam deck gpu",
    ],
)
def test_a_gpu_of_the_processor_needs_no_other_name(text: str) -> None:
    assert not any(not card.unified for card in machine_named(text).accelerators or ())


@pytest.mark.parametrize("text", ["a100 80gb ddr5", "rtx 4090 24gb ddr5"])
def test_a_size_that_the_gpu_is_sold_with_is_no_ram(text: str) -> None:
    machine = machine_named(text)
    (card,) = machine.accelerators or ()
    gib = int(text.split()[-2].removesuffix("gb"))
    assert (card.memory_total_bytes or 0) > 0.95 * gib * GIB
    assert machine.memory_total_bytes != gib * GIB


@pytest.mark.parametrize("text", ["", "  ", "nonsense", "none", "gb", "-", "2", "x" * 5000])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(UnknownMachineError):
        profile_named(text)


@pytest.mark.parametrize("text", ["hetzner ccx24", "cax51", "hetzner cpx72"])
def test_a_type_with_another_number_has_no_near_name(text: str) -> None:
    """A provider's name alone makes no machine like another."""
    with pytest.raises(UnknownMachineError) as caught:
        profile_named(text)
    assert not caught.value.nearest


def test_a_product_is_judged_as_the_machine_in_it() -> None:
    """And says which sizes it is sold with."""
    small, large = profile_named("framework desktop"), profile_named("Framework Desktop 128 GB")
    assert small.profile.name == "strix-halo-64gb"
    assert "32, 64 or 128 GB" in str(small.note)
    assert large.profile.name == "strix-halo-128gb"


# ------------------------------------------------------------------ for Python


def test_a_gpu_means_the_desktop_that_has_it() -> None:
    """A profile that has just these GPUs stands for the machine."""
    assert machine_named("RTX 4090").name == "desktop-rtx4090-24gb"
    assert machine_named("RTX 3060 12GB").name == "desktop-rtx3060-12gb"
    assert machine_named("RTX 3090 x2").name == "desktop-2x-rtx3090"


def test_a_gpu_without_a_profile_is_in_an_assumed_desktop() -> None:
    """Nothing of the machine but its GPU is stated, so all else is marked as assumed."""
    machine = machine_named("MI50 32GB")
    (card,) = machine.accelerators or ()
    assert card.memory_total_bytes == 32 * GIB
    assert machine.memory_limit_bytes == 32 * GIB
    assert machine.planning
    assert machine.confidence == "low"
    for fact in ("memory_total_bytes", "memory_limit_bytes", "system", "cpu_cores_usable"):
        assert machine.assumes(fact)
        assert machine.sources[fact].startswith("assumed")
    assert "MI50" in machine.sources["accelerators"]


def test_what_else_a_name_can_mean_stands_in_the_sources() -> None:
    assert "RTX A2000 12 GB" in machine_named("RTX A2000").sources["accelerators"]
    sources = machine_named("macbook air m2").sources
    assert "macbook-air-m2-16gb" in sources["memory_total_bytes"]


def test_a_profiles_name_is_its_machine() -> None:
    assert machine_named("mac-mini-m4-16gb") == profiles.load("mac-mini-m4-16gb").machine
    with pytest.raises(UnknownMachineError):
        machine_named("nonsense")


@pytest.mark.parametrize("memory", ["16GB", "32GB", "128GB"])
def test_a_card_without_a_processor_has_the_cores_of_its_computer(memory: str) -> None:
    """How much RAM stands beside it does not tell them."""
    machine = machine_named(f"{memory} RTX 4070")
    assert (machine.cpu_cores_physical, machine.cpu_cores_usable) == (8, 16)
    assert "cpu_cores_usable" in machine.assumed


@pytest.mark.parametrize(
    ("text", "gib"),
    [
        ("Vega 8 4GB", 4),
        ("Iris Xe 8GB", 8),
        ("Intel UHD 620 8GB laptop", 8),
        ("Radeon 780M 8GB", 8),
    ],
)
def test_memory_beside_a_gpu_that_has_none_is_the_ram(text: str, gib: int) -> None:
    machine = machine_named(text)
    assert machine.memory_total_bytes == gib * GIB
    assert "memory_total_bytes" not in machine.assumed


@pytest.mark.parametrize(
    ("text", "name", "ram_gib"),
    [
        ("epyc 7763 A100 MIG 3g.20gb 128GB", "NVIDIA A100-PCIE-40GB MIG 3g.20gb", 128),
        ("H100 3g.40gb 64GB RAM", "NVIDIA H100 PCIe MIG 3g.40gb", 64),
        ("A40-48Q 64GB RAM", "NVIDIA A40-48Q", 64),
        ("thinkpad p53 quadro rtx 5000 32GB", "Quadro RTX 5000", 32),
    ],
)
def test_a_part_of_a_card_stands_beside_other_parts(text: str, name: str, ram_gib: int) -> None:
    machine = machine_named(text)
    assert [card.name for card in machine.accelerators or ()] == [name]
    assert machine.memory_total_bytes == ram_gib * GIB


def test_the_kind_of_machine_beside_its_name_changes_nothing() -> None:
    assert machine_named("N100 mini pc 16gb") == machine_named("N100 16GB")


@pytest.mark.parametrize(
    ("bare", "whole"),
    [
        ("E5-2680v4 128GB", "Xeon E5-2680 v4 128GB"),
        ("2x e5-2670 v3 128GB", "2x xeon e5-2670 v3 128GB"),
        ("dual E5-2660v2 64GB", "dual xeon E5-2660 v2 64GB"),
        ("gold 6248 384GB", "Xeon Gold 6248 384GB"),
        ("e5-1650v3 rtx 3060 32gb", "xeon e5-1650 v3 rtx 3060 32gb"),
    ],
)
def test_a_xeon_needs_no_xeon(bare: str, whole: str) -> None:
    with_maker, without = machine_named(whole), machine_named(bare)
    assert (without.cpu_model or "").lower() == (with_maker.cpu_model or "").lower()
    assert without.cpu_cores_physical == with_maker.cpu_cores_physical


@pytest.mark.parametrize(
    ("text", "name", "ram_gib"),
    [
        # Microsoft's nva10v5-series and AWS' g6f: a sixth of an A10 and an eighth of an L4 the least
        ("Standard_NV6ads_A10_v5", "NVIDIA A10-4Q", 55),
        ("NV18ads_A10_v5", "NVIDIA A10-12Q", 220),
        ("g6f.large", "NVIDIA L4-3Q", 8),
    ],
)
def test_a_type_with_a_part_of_a_gpu_has_that_part(text: str, name: str, ram_gib: int) -> None:
    machine = machine_named(text)
    assert [card.name for card in machine.accelerators or ()] == [name]
    assert round((machine.memory_total_bytes or 0) / GIB) == ram_gib


@pytest.mark.parametrize("text", ["Standard_NV8as_v4", "g3.4xlarge", "p5e.48xlarge"])
def test_a_type_with_an_unlisted_gpu_leads_to_its_memory(text: str) -> None:
    with pytest.raises(UnknownMachineError) as caught:
        machine_named(text)
    assert "--set gpu=8GiB" in (caught.value.remedy or "")


@pytest.mark.parametrize("text", ["2.5 GHz quad core 8gb", "dual core 2 GHz 8gb"])
def test_cores_and_a_clock_describe_a_processor_and_name_none(text: str) -> None:
    """A Core 2 is meant by its own words alone."""
    described = machine_named(text)
    assert "cpu_model" in described.assumed
    named = machine_named("Core 2 Quad Q6600 2.4 GHz 8gb")
    assert "cpu_model" not in named.assumed


def test_a_bridge_between_cards_names_nothing() -> None:
    cards = machine_named("2x RTX 3090 NVLink 128GB DDR4").accelerators or ()
    assert [card.name for card in cards] == ["NVIDIA GeForce RTX 3090"] * 2


def test_an_error_says_how_words_of_another_language_were_read() -> None:
    with pytest.raises(
        UnknownMachineError, match='"mac mini con xyz9 16gb" is read as "mac mini with xyz9 16gb"'
    ):
        profile_named("mac mini con xyz9 16gb")


@each("text", ["i5-8250u -8gb", "-1gb ram", "rtx 3090 0gb", "i5-8250u 0 GB", "i5-8250u -0.5 GiB"])
def test_no_memory_has_a_size_of_zero_or_less(text: str) -> None:
    with pytest.raises(UnknownMachineError, match="is no size of a memory") as refusal:
        machine_named(text)
    assert "16GB" in str(refusal.value.remedy)


@each("text", ["i5-8250u - 8gb", "i5-8250u 8gb - 512gb ssd"])
def test_a_dash_between_words_is_no_sign(text: str) -> None:
    machine = machine_named(text)
    assert (machine.cpu_model, machine.memory_total_bytes) == ("i5-8250u", 8 * units.GIB)


@each("text", ["rtx 3090 64gb 32gb", "i5-8250u 8gb 16gb", "i5-12400 4gb 64gb"])
def test_two_sizes_that_may_each_be_the_memory_are_asked_about(text: str) -> None:
    with pytest.raises(UnknownMachineError, match="does not tell which is the RAM"):
        machine_named(text)


@each(
    ("text", "gib"),
    [
        ("rtx 3090 24gb 64gb", 64),
        ("2x 3090 48gb 64gb", 64),
        ("rtx 3090 64gb 1tb", 64),
        ("i5-8250u 16gb 512gb", 16),
        ("rtx 3070 8gb vram 32gb", 32),
    ],
)
def test_a_size_of_a_card_or_a_disk_leaves_the_other_to_the_memory(text: str, gib: int) -> None:
    assert machine_named(text).memory_total_bytes == gib * units.GIB


def test_two_sizes_alone_are_no_machine_of_such_a_name() -> None:
    """`64gb 32gb` was a desktop with an RTX 5090."""
    with pytest.raises(UnknownMachineError, match="but not its processor"):
        machine_named("64gb 32gb")


@pytest.mark.parametrize(
    "text", ["steam deck", "i5-8250U", "macbook air m2", "github ubuntu-latest"]
)
def test_a_record_of_a_named_machine_keeps_what_it_may_be_sold_with(text: str) -> None:
    """Else the same machine cannot be told by its record where it does not suffice by its name."""
    machine = profile_named(text).profile.machine
    assert Machine.from_json(machine.to_json()).memory_most_bytes == machine.memory_most_bytes


@pytest.mark.parametrize(
    ("text", "slowest", "newest", "fastest"),
    [
        # GB/s of Apple's specifications: M3 Max with 14 cores, M5 Max; M3 Pro, M5 Pro; M1, M6
        ("m9 max 64gb", 300, 614, 1.5 * 614),
        ("m9 max", 300, 614, 1.5 * 614),
        ("macbook pro m9 pro 24gb", 150, 307, 1.5 * 307),
        ("mac mini m9 16gb", 68.25, 170, 1.5 * 170),
        ("m4 ultra 128gb", 800, 1228, 1.5 * 1228),
    ],
)
def test_a_chip_that_is_not_made_yet_has_the_range_of_its_kind(
    text: str, slowest: float, newest: float, fastest: float
) -> None:
    """Nothing but its maker and its variant is known, and the answer says so."""
    named = profile_named(text)
    assert "not known here" in str(named.note)
    gpu = shared_gpu_of(named.profile.machine)
    assert gpu is not None
    peak = (gpu.peak.slow, gpu.peak.likely, gpu.peak.fast)
    assert peak == pytest.approx([slowest * 1e9, newest * 1e9, fastest * 1e9])
    memory = bandwidth(named.profile.machine)
    assert memory is not None
    # no core reads all of it
    assert memory.low < 0.8 * slowest * 1e9 < memory.high


@pytest.mark.parametrize(
    "text",
    [
        "m0",
        "m05 max 64gb",
        "macbook pro m4 ultra",
        "macbook air m9 ultra",
        "m9 max 7gb",
        "m9 pro 1tb",
    ],
)
def test_a_mac_that_apple_would_not_make_is_none(text: str) -> None:
    with pytest.raises(UnknownMachineError):
        profile_named(text)


@pytest.mark.parametrize(
    ("name", "slowest", "fastest"),
    [("Apple M9 Max", 300e9, 921e9), ("Apple A19 Pro", 60e9, 90e9), (None, 68.25e9, 1228e9)],
)
def test_cores_that_read_a_part_of_the_memory_tell_nothing_of_the_likely_pace(
    name: str | None, slowest: float, fastest: float
) -> None:
    """What the cores of a chip that no table has were measured to read raises the slow end alone."""
    machine = Machine(
        system="macos", architecture="aarch64", scope="host", cpu_model=name,
        accelerators=(Accelerator(vendor="apple", name="GPU", unified=True),),
    )  # fmt: skip
    untold = shared_gpu_of(machine)
    assert untold is not None
    assert (untold.peak.slow, untold.peak.fast) == pytest.approx((slowest, fastest))
    measured = shared_gpu_of(
        machine.replace(
            memory_bandwidth_bytes_per_second=int(1.1 * slowest),
            sources={"memory_bandwidth_bytes_per_second": "measured: 8 threads"},
        )
    )
    assert measured is not None
    assert measured.peak.slow == pytest.approx(1.1 * slowest)
    assert measured.peak.likely == pytest.approx(max(untold.peak.likely, measured.peak.slow))


def test_no_chip_had_memory_more_than_half_as_fast_again_as_those_before_it() -> None:
    """What a chip that is not known is given at most."""
    fastest: dict[str, float] = {}
    computers = [chip for chip in apple_chips() if chip[0].startswith("m")]
    for chip, variant in sorted(computers, key=lambda chip: int(chip[0][1:])):
        row = apple_chip(chip, variant)
        assert row is not None
        assert row.gb_per_s <= 1.5 * fastest.get(variant, row.gb_per_s)
        fastest[variant] = max(fastest.get(variant, 0), row.gb_per_s)
