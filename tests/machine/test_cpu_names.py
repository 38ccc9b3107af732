"""Machines by the name of their processor, and by what clouds call their types."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.each import each
from selfhost.api import check
from selfhost.cli.main import main
from selfhost.core.tables import shipped_table
from selfhost.core.workload import Workload
from selfhost.machine.changes import apply
from selfhost.machine.cpu_names import machine_with, rented
from selfhost.machine.cpus import class_of, processor_of
from selfhost.machine.named import machine_named, profile_named
from selfhost.machine.products import fact_to_type
from selfhost.machine.profiles import UnknownMachineError
from selfhost.verdict.cores import cores_rate
from selfhost.verdict.memory_bandwidth import bandwidth
from selfhost.verdict.told_bandwidth import BANDWIDTH_SHARE

GIB, GB = 2**30, 10**9


@pytest.mark.parametrize(
    ("text", "architecture", "gib"),
    [
        ("i5-8250U", "x86_64", 16),
        ("i5-8250u 8GB", "x86_64", 8),
        ("Ryzen 5 5600G", "x86_64", 16),
        ("Ryzen 5 5600G, 32 GB", "x86_64", 32),
        ("Xeon E5-2680 v4", "x86_64", 64),
        ("EPYC 7763 256 GiB", "x86_64", 256),
        ("Core Ultra 5 125U", "x86_64", 16),
        ("Graviton3", "aarch64", 64),
        ("RK3588", "aarch64", 8),
    ],
)
def test_a_processor_stands_for_a_machine_around_it(text: str, architecture: str, gib: int) -> None:
    """With the memory of its series, and the RAM that was stated or else is assumed, marked so."""
    found = profile_named(text)
    machine = found.profile.machine
    assert (machine.architecture, machine.memory_limit_bytes) == (architecture, gib * GIB)
    assert machine.planning
    assert machine.assumes("memory_total_bytes") == ("GB" not in text and "GiB" not in text)
    assert found.note is not None
    assert "a machine with this processor" in found.note
    memory = bandwidth(machine)
    assert memory is not None
    # laptops with two kinds of cores lie furthest apart
    assert memory.high < 4.1 * memory.low
    assert machine_named(text).cpu_model == machine.cpu_model


@pytest.mark.parametrize(
    ("text", "is_told"),
    [
        ("dual xeon e5-2690 v4", True),
        ("2x epyc 7763 512gb", True),
        ("xeon platinum 8480+ x2 1tb", True),
        ("xeon e5-2690 v4", False),
        ("2x16gb i5-12400", False),
        # one chip with so many cores
        ("Phenom II X6", False),
        ("Athlon II X4 640", False),
        ("Athlon 64 X2 5000+", False),
        ("2x opteron 6276", True),
    ],
)
def test_of_two_sockets_one_is_said_to_count(text: str, is_told: bool) -> None:
    assert ("NUMA" in str(profile_named(text).note)) == is_told


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        # Ryzen 9 7950X, Ryzen 7 7840HS, Core i7-12700K and so on: the makers' lists
        ("7950x 64gb", "ryzen 7950x 64gb"),
        ("7840HS", "ryzen 7840hs"),
        ("9800x3d 64gb", "ryzen 9800x3d 64gb"),
        ("12700k 32gb", "core i7 12700k 32gb"),
        ("14900k", "core i9 14900k"),
        ("12400f", "core i5 12400f"),
        ("2600k", "core i7 2600k"),
        ("1135g7", "core i5 1135g7"),
        ("258v 32gb", "core ultra 258v 32gb"),
        ("5995wx", "threadripper 5995wx"),
        ("intel 14900k 64gb", "core i9 14900k 64gb"),
        ("intel 12400 16gb", "core i5 12400 16gb"),
        ("amd 7763", "epyc 7763"),
        ("dual intel 6248", "dual xeon gold 6248"),
        ("intel 4590", "core i5 4590"),
        ("amd 8845hs 32gb", "ryzen 8845hs 32gb"),
        # alone it is a Core i7 as well
        ("lenovo amd 5500u 16gb", "ryzen 5500u 16gb"),
        ("zephyr intel 155h 32gb", "core ultra 155h 32gb"),
        ("intel n5105 8gb", "celeron n5105 8gb"),
    ],
)
def test_a_number_that_one_processor_has_needs_no_series(text: str, whole: str) -> None:
    machine = machine_named(text)
    assert machine.cpu_model is not None
    assert processor_of(machine.cpu_model) is not None
    assert machine.cpu_model == machine_named(whole).cpu_model
    assert machine.memory_total_bytes == machine_named(whole).memory_total_bytes


@pytest.mark.parametrize(
    ("text", "processor"),
    [
        ("laptop 15,6 Zoll i5-1235U 16gb", "i5-1235U"),
        ('14" ryzen 7 7730u', "ryzen 7 7730u"),
        ("i7 2600k no gpu", "i7 2600k"),
        # words that are its own where nothing says that there is no GPU
        ("ryzen 5 5600g radeon graphics", "ryzen 5 5600g radeon graphics"),
    ],
)
def test_a_processors_name_has_no_screen_and_no_absent_gpu(text: str, processor: str) -> None:
    assert machine_named(text).cpu_model == processor


@pytest.mark.parametrize(
    "text", ["dell t7820 2x gold 6148", "2x xeon gold 6148", "dual gold 6148 workstation"]
)
def test_a_metal_of_xeons_needs_no_xeon(text: str) -> None:
    """Also beside words that say nothing. 20 cores each (Intel's data sheet)."""
    machine = machine_named(text)
    series = processor_of(machine.cpu_model or "")
    assert series is not None
    assert series.name == "Xeon Scalable of the 1st generation"
    assert machine.cpu_cores_physical == 40


@pytest.mark.parametrize(
    ("text", "ryzen", "core"),
    [
        # Ryzen 5 5500U and i7-5500U, Ryzen 9 7900X and i9-7900X, Threadripper and i7-3970X
        ("5500u 16gb", "ryzen 5500u 16gb", "core i7 5500u 16gb"),
        ("7900X", "ryzen 7900x", "core i9 7900x"),
        ("3970x", "threadripper 3970x", "core i7 3970x"),
    ],
)
def test_a_number_that_two_processors_have_is_asked_for(text: str, ryzen: str, core: str) -> None:
    with pytest.raises(UnknownMachineError, match="several processors") as caught:
        machine_named(text)
    for name in (ryzen, core):
        assert f"--machine '{name}'" in str(caught.value.remedy)
        assert machine_named(name).cpu_model is not None


@pytest.mark.parametrize(
    ("text", "architecture"),
    [
        # Intel and AMD list no 64-bit instructions of these
        ("Pentium 4", "i686"),
        ("Atom N270", "i686"),
        ("Athlon XP 2600+", "i686"),
        ("Core Duo T2400", "i686"),
        ("Celeron M 420", "i686"),
        # and list them (EM64T, AMD64) of these
        ("Pentium 4 640", "x86_64"),
        ("Core 2 Duo", "x86_64"),
        ("Atom D510", "x86_64"),
        ("Athlon 64 X2 5000+", "x86_64"),
    ],
)
def test_a_processor_of_32_bits_is_said_to_be_one(text: str, architecture: str) -> None:
    named = profile_named(text)
    assert named.profile.machine.architecture == architecture
    assert ("32-bit programs alone" in str(named.note)) == (architecture == "i686")


@pytest.mark.parametrize("ram", ["ddr2-800", "dual channel ddr3", "2x4gb ddr2"])
def test_no_memory_is_faster_than_a_front_side_bus(ram: str) -> None:
    """Of 1,333 MT/s and 8 bytes in a Core 2 Duo E8400 (Intel)."""
    named = profile_named(f"Core 2 Duo E8400 {ram}")
    assert "front-side bus" in str(named.note)
    memory = bandwidth(named.profile.machine)
    assert memory is not None
    assert memory.high <= 1333 * 8 * 10**6


@pytest.mark.parametrize(
    ("text", "most_gb_per_s"),
    [
        # DDR3-1333 on two channels, the fastest that Intel and AMD listed for their time
        ("Core2 9999", 21.3),
        ("Sempron 9999", 21.3),
        # DDR3-1866 on four channels of each of two sockets
        ("Opteron 9999 64GB", 119.4),
    ],
)
def test_an_old_class_has_no_memory_of_a_new_one(text: str, most_gb_per_s: float) -> None:
    memory = bandwidth(profile_named(text).profile.machine)
    assert memory is not None
    # the rule adds a fifth
    assert memory.high <= 1.2 * most_gb_per_s * GB


def test_a_number_of_another_maker_is_no_processor() -> None:
    machine = machine_named("amd 14900k")
    assert machine.cpu_model == "amd 14900k"


@pytest.mark.parametrize("text", ["FX-8350", "fx 8350", "FX8350", "FX-8350 16GB", "fx-6300"])
def test_an_fx_needs_no_maker(text: str) -> None:
    """AMD lists DDR3-1866 on two channels of it."""
    model = machine_named(text).cpu_model
    assert model is not None
    series = processor_of(model)
    assert series is not None
    assert series.usual == 2 * 8 * 1866 * 10**6


@pytest.mark.parametrize(
    ("text", "gb_per_s"),
    [
        # LPDDR5X-8533 on the package, 128 bits (Intel ARK)
        ("core ultra 7 258v 32gb", 136.5),
        # LPDDR5X-8448, 128 bits (Qualcomm's product brief: 135 GB/s)
        ("snapdragon x elite 16gb", 135.2),
        # LPDDR5X-7467 or DDR5-5600 (Intel ARK), as its machine has it
        ("core ultra 7 155h 32gb", None),
        ("ryzen 9 7950x", None),
    ],
)
def test_the_memory_on_a_chip_is_known_by_its_name(text: str, gb_per_s: float | None) -> None:
    """So nobody is asked to state its bandwidth."""
    machine = machine_named(text)
    rate = machine.memory_bandwidth_bytes_per_second
    assert machine.assumes("memory_bandwidth_bytes_per_second") == (gb_per_s is None)
    assert (rate is None) if gb_per_s is None else (rate == pytest.approx(gb_per_s * GB, rel=0.001))


@pytest.mark.parametrize(
    ("text", "gib"),
    [
        # Intel ARK: 32 GB in the package where the model's last digit is 8, 16 where it is 6
        ("core ultra 5 226v", 16),
        ("core ultra 7 256v", 16),
        ("Intel(R) Core(TM) Ultra 7 266V", 16),
        ("core ultra 5 238v", 32),
        ("intel core ultra 7 258v", 32),
        ("core ultra 7 268v", 32),
        ("core ultra 9 288v", 32),
    ],
)
def test_ram_in_the_package_of_a_processor_is_known_by_its_name(text: str, gib: int) -> None:
    """No machine with it has another size, so none is assumed."""
    machine = machine_named(text)
    assert machine.memory_total_bytes == gib * GIB
    assert not machine.assumes("memory_total_bytes")


@pytest.mark.parametrize("text", ["i9-99999", "Ryzen 7 9999X", "Xeon 99-9999"])
def test_a_made_up_processor_is_one_of_its_class(text: str) -> None:
    """A wide range, said to be a guess: more than four times from end to end."""
    assert processor_of(text) is None
    found = profile_named(text)
    assert found.note is not None
    assert "not listed" in found.note
    memory = bandwidth(found.profile.machine)
    assert memory is not None
    assert memory.high > 4 * memory.low
    assert "a guess" in memory.how


@pytest.mark.parametrize(
    ("text", "gib"),
    [("epyc 7742 16 cores vm", 32), ("vm 16 vcpu epyc 7742 64gb", 64)],
)
def test_a_guest_has_its_own_part_of_the_processor_that_is_told(text: str, gib: int) -> None:
    """It had all 64 cores of the host, or all of its memory's rate."""
    machine = profile_named(text).profile.machine
    assert (machine.scope, machine.cpu_model, machine.cpu_cores_usable) == ("vm", "epyc 7742", 16)
    assert machine.memory_total_bytes == gib * GIB
    assert profile_named("epyc 7742 node 512gb").profile.machine.scope == "host"


@pytest.mark.parametrize(
    "text", ["", "i5", "Xeon", "frobnicator 3000", "thinkpad x1", "16GB", "42"]
)
def test_what_names_no_processor_is_none(text: str) -> None:
    assert machine_with(text) is None


def test_nonsense_says_how_a_machine_is_stated() -> None:
    """No name is near nonsense."""
    for text in ("frobnicator 3000", "zz-9250q"):
        with pytest.raises(UnknownMachineError) as caught:
            profile_named(text)
        assert caught.value.nearest == ()
        assert "--set memory=16GiB" in str(caught.value.remedy)


@each(
    ("text", "gib", "processors"),
    [
        # docs.aws.amazon.com, cloud.google.com and learn.microsoft.com state these sizes
        ("m5.xlarge", 16, 4),
        ("AWS m5.xlarge", 16, 4),
        ("c6i.2xlarge", 16, 8),
        ("r7a.large", 16, 2),
        ("m7g.medium", 4, 1),
        ("c8g.48xlarge", 384, 192),
        ("n2-standard-8", 32, 8),
        ("c3-highmem-22", 176, 22),
        ("t2a-standard-4", 16, 4),
        ("Standard_D4s_v5", 16, 4),
        ("Standard_E8as_v5", 64, 8),
        ("D2ps v6", 8, 2),
        ("Standard_F16s_v2", 32, 16),
        ("t3.micro", 1, 2),
        ("t4g.small", 2, 2),
        ("t2.micro", 1, 1),
        ("e2-small", 2, 2),
        ("Standard_B2s", 4, 2),
        ("azure b2ms", 8, 2),
        # no Core i3 and no Ryzen 3
        ("i3.2xlarge", 61, 8),
        ("ovh r3-64", 64, 8),
        ("c5n.18xlarge", 189, 72),
        ("c4.8xlarge", 60, 36),
        ("m4.xlarge", 16, 4),
        ("m9g.2xlarge", 32, 8),
        ("c6a.metal", 384, 192),
        ("n2d-highcpu-16", 16, 16),
        ("c2-standard-16", 64, 16),
        ("c4d-standard-16", 62, 16),
        ("Standard_D16ads_v7", 64, 16),
        ("Standard_D8lds_v6", 16, 8),
        ("Standard_B2as_v2", 8, 2),
        ("Standard_E96ads_v5", 672, 96),
        ("cpx52", 24, 12),
        ("vultr vhp-4c-8gb-amd", 8, 4),
        ("4xCPU-8GB", 8, 4),
        ("ecs.g7.2xlarge", 32, 8),
        # api.linode.com/v4/linode/types
        ("linode g6-standard-6", 16, 6),
        ("g6-dedicated-8", 16, 8),
        ("digitalocean s-2vcpu-4gb", 4, 2),
        ("s-4vcpu-8gb-amd", 8, 4),
        ("GP1-XL", 256, 48),
        ("scaleway DEV1-M", 4, 3),
        ("PLAY2-NANO", 4, 2),
        ("POP2-8C-32G", 32, 8),
        ("ovh b2-15", 15, 4),
        ("ecs.t6-c1m2.large", 4, 2),
        ("ecs.u1-c1m4.xlarge", 16, 4),
        ("ecs.g8i.2xlarge", 32, 8),
        ("vbm-4c-32gb", 32, 8),
        ("vbm-24c-256gb-amd", 256, 48),
        ("S5.MEDIUM4", 4, 2),
        # aspire.dev, Aspire.Hosting.Azure.Kubernetes: 64 GB of an E8-4s_v5, of an E64-32s_v5 512
        ("Standard_E8-4s_v5", 64, 4),
        ("Standard_E64-32s_v5", 512, 32),
        ("standard e16-8as_v5", 128, 8),
        ("Standard_DS13-4_v2", 56, 4),
        ("Standard_M64-32ms", 1792, 32),
    ],
)
def test_a_clouds_type_has_its_size(text: str, gib: int, processors: int) -> None:
    found = rented(text)
    assert found is not None
    machine = found.machine
    assert machine.memory_limit_bytes == gib * GIB
    assert machine.cpu_cores_usable == processors
    assert machine.scope == "vm"
    assert bandwidth(machine) is not None
    assert profile_named(text).note == found.note


def test_every_row_of_the_clouds_names_a_source_and_a_class() -> None:
    table = shipped_table("cloud_types")
    for row in table["type"]:
        assert row["source"] in table["sources"]
        assert class_of(row["cpu"]) is not None, row["cpu"]


@given(st.data())
def test_no_row_of_the_clouds_is_left_aside_for_its_first_letter(data: st.DataObject) -> None:
    """`begins` holds what the names of its types begin with."""
    row = data.draw(st.sampled_from(shipped_table("cloud_types")["type"]))
    name = data.draw(st.from_regex(re.compile(row["types"], re.ASCII), fullmatch=True))
    assert name[0] in row["begins"]


@each(
    ("text", "gib", "processors", "cards"),
    [
        # meta-pytorch/torchx pull 969; rapidsai/deployment, source/cloud/aws/index.md; docs.cnap.tech
        ("g6e.4xlarge", 128, 16, ["NVIDIA L40S"]),
        ("aws g5.24xlarge", 384, 96, ["NVIDIA A10G"] * 4),
        ("g6.48xlarge", 768, 192, ["NVIDIA L4"] * 8),
        # MicrosoftDocs/azure-compute-docs, sizes/gpu-accelerated
        ("Standard_NC16as_T4_v3", 110, 16, ["Tesla T4"]),
        ("NC48ads A100 v4", 440, 48, ["NVIDIA A100 80GB PCIe"] * 2),
        ("Standard_NC24s_v3", 448, 24, ["Tesla V100-SXM2"] * 4),
        ("azure nv36ads a10 v5", 440, 36, ["NVIDIA A10"]),
        ("p3.8xlarge", 244, 32, ["Tesla V100-SXM2"] * 4),
        ("n1-standard-8 + t4", 30, 8, ["Tesla T4"]),
        ("n1-standard-8 with 2x T4", 30, 8, ["Tesla T4"] * 2),
        ("a2-highgpu-2g", 170, 24, ["NVIDIA A100-SXM4-40GB"] * 2),
        ("a3-highgpu-8g", 1872, 208, ["NVIDIA H100 80GB HBM3"] * 8),
        ("ovh l4-180", 180, 45, ["NVIDIA L4"] * 2),
        # alibabacloud.com, ECS user guide, GPU-accelerated instance families
        ("ecs.gn7i-c8g1.2xlarge", 30, 8, ["NVIDIA A10"]),
        ("alibaba ecs.gn7i-c32g1.16xlarge", 376, 64, ["NVIDIA A10"] * 2),
        ("ecs.gn6i-c4g1.xlarge", 15, 4, ["Tesla T4"]),
        ("ecs.gn6v-c8g1.8xlarge", 128, 32, ["Tesla V100-SXM2"] * 4),
        ("ecs.gn7-c12g1.3xlarge", 95, 12, ["NVIDIA A100-SXM4-40GB"]),
        ("vcg-a40-24c-120g-48vram", 120, 24, ["NVIDIA A40"]),
        ("gpu-mi300x8-1536gb", 1920, 160, ["AMD Instinct MI300X"] * 8),
        ("L4-2-24G", 96, 16, ["NVIDIA L4"] * 2),
        ("ovh t2-le-90", 90, 30, ["Tesla V100S-PCIE-32GB"] * 2),
        ("Standard_ND96asr_v4", 900, 96, ["NVIDIA A100-SXM4-40GB"] * 8),
        ("hetzner cax31", 16, 8, []),
        ("google cloud n2-standard-8", 32, 8, []),
        ("gcp n2-standard-8", 32, 8, []),
        ("m5.xlarge 100gb ssd ubuntu", 16, 4, []),
        ("cx43", 16, 8, []),
    ],
)
def test_a_rented_machine_has_its_gpus(
    text: str, gib: int, processors: int, cards: list[str]
) -> None:
    machine = profile_named(text).profile.machine
    assert machine.memory_total_bytes == gib * GIB
    assert machine.cpu_cores_usable == processors
    assert [card.name for card in machine.accelerators or ()] == cards


@pytest.mark.parametrize(
    ("text", "gib", "processors"),
    [
        ("vps 4 vcpu 8gb", 8, 4),
        ("VPS, 2 cores, 4 GB RAM", 4, 2),
        ("cloud server 8 vCPUs 32GB", 32, 8),
        ("4 vcpu 16gb", 16, 4),
        # without a count one for each 2 GB, assumed
        ("vps 4gb", 4, 2),
        ("digitalocean 2gb droplet", 2, 1),
    ],
)
def test_a_virtual_machine_of_a_stated_size_is_one(text: str, gib: int, processors: int) -> None:
    """Which processor is under it nobody said, so that its pace is a wide range."""
    machine = machine_named(text)
    assert machine.scope == "vm"
    assert machine.memory_total_bytes == gib * GIB
    assert machine.cpu_cores_usable == processors
    memory = bandwidth(machine)
    assert memory is not None
    assert memory.high > 4 * memory.low


@pytest.mark.parametrize(
    "text",
    [
        "Standard_E8-8s_v5", "Standard_E8-0s_v5", "m5.huge", "m5.0xlarge", "n2-standard-0", "x9.large", "D4", "-", "vps 0 vcpu 8gb",
        "vps 4 vcpu 0gb",
    ],
)  # fmt: skip
def test_what_no_cloud_rents_is_none(text: str) -> None:
    assert rented(text) is None


@given(st.text(max_size=40))
def test_any_text_is_answered_or_refused(text: str) -> None:
    for found in (machine_with(text), rented(text)):
        assert found is None or found.machine.planning


@pytest.mark.parametrize("text", ["ryzen ai max 395", "ryzen ai max 395 128gb", "ryzen ai max 385"])
def test_a_processor_with_a_large_gpu_and_its_memory_brings_that_gpu(text: str) -> None:
    """AMD sells the Ryzen AI Max with Radeon 8060S or 8050S and soldered memory of 256 GB/s: a machine named by it decodes on that GPU, as the profile of one does (about 45 tokens/s of Mistral 7B, not the 9 of its cores)."""
    described = machine_with(text)
    assert described is not None
    gpus_inside = described.machine.accelerators or ()
    assert [(gpu.vendor, gpu.unified) for gpu in gpus_inside] == [("amd", True)]
    assert "80" in gpus_inside[0].name
    assert "No GPU" not in described.note


def test_a_phones_chip_is_no_windows_machine() -> None:
    """Its programs run in Termux, which is read as Linux; a laptop's chip of the same maker runs Windows."""
    assert machine_named("snapdragon 8 gen 3 12gb").system == "linux"
    assert machine_named("snapdragon x elite 16gb").system == "windows"


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        # as their makers list them
        ("epyc 7742", 64),
        ("epyc 7742 256gb", 64),
        ("2x epyc 7763 1tb", 128),
        ("epyc 7313p 64gb", 16),
        ("xeon gold 6248 384gb", 20),
        ("xeon e5-2680 v4 128gb", 14),
        ("xeon e5-2680 v2 128gb", 10),
        ("dual xeon e5-2690 v4 128gb", 28),
        ("xeon gold 6312u 256gb", 24),
        ("xeon gold 6454s 256gb", 32),
        ("ryzen 7 h 255 32gb", 8),
    ],
)
def test_a_number_that_is_listed_tells_its_cores(text: str, cores: int) -> None:
    """Whatever RAM stands beside it: an EPYC 7742 had 16 cores with 64 GB and 64 with 256."""
    described = machine_with(text)
    assert described is not None
    assert described.machine.cpu_cores_physical == cores
    assert described.machine.cpu_cores_usable == 2 * cores
    assert "cpu_cores_usable" not in described.machine.assumed
    assert f"{cores} cores," in described.note
    assert "--set cores" not in described.note


def test_cores_that_are_assumed_are_told() -> None:
    """Of a processor whose number is not listed the note has the count, what it rests on, and how to state another."""
    described = machine_with("xeon platinum 8999 128gb")
    assert described is not None
    assert "cpu_cores_usable" in described.machine.assumed
    assert f"{described.machine.cpu_cores_physical} cores (assumed: 4 to 64)," in described.note
    assert "--set cores=" in described.note


# cores, threads and cores of the fastest kind, as the makers list them; written before the table was
_COUNTS = {
    # desktops
    "i3-10100": (4, 8, 4), "i5-8400": (6, 6, 6), "i7-9700K": (8, 8, 8), "i9-9900K": (8, 16, 8),
    "i5-10400F": (6, 12, 6), "i9-10900K": (10, 20, 10), "i9-11900K": (8, 16, 8), "i5-12400": (6, 12, 6),
    "i5-12600K": (10, 16, 6), "i7-12700": (12, 20, 8), "i5-13400F": (10, 16, 6), "i9-13900K": (24, 32, 8),
    "i7-14700K": (20, 28, 8), "i5-2500K": (4, 4, 4), "i7-4790K": (4, 8, 4), "i5-6500": (4, 4, 4),
    "Core Ultra 9 285K": (24, 24, 8), "Core Ultra 5 245K": (14, 14, 6), "i7-5820K": (6, 12, 6),
    "Ryzen 3 3200G": (4, 4, 4), "Ryzen 5 3600": (6, 12, 6), "Ryzen 9 3950X": (16, 32, 16),
    "Ryzen 7 5800X3D": (8, 16, 8), "Ryzen 5 7600": (6, 12, 6), "Ryzen 9 9950X": (16, 32, 16),
    "Pentium G4560": (2, 4, 2), "Athlon 3000G": (2, 4, 2), "Core 2 Quad Q6600": (4, 4, 4),
    # laptops
    "i5-3320M": (2, 4, 2), "i7-6700HQ": (4, 8, 4), "i5-7200U": (2, 4, 2), "i5-8250U": (4, 8, 4),
    "i3-8130U": (2, 4, 2), "i7-8750H": (6, 12, 6), "i7-10710U": (6, 12, 6), "i7-1165G7": (4, 8, 4),
    "i5-1235U": (10, 12, 2), "i5-12450H": (8, 12, 4), "i7-12700H": (14, 20, 6), "i3-1315U": (6, 8, 2),
    "i9-13980HX": (24, 32, 8), "Core Ultra 7 155H": (16, 22, 6), "Core Ultra 7 258V": (8, 8, 4),
    "Ryzen 5 4500U": (6, 6, 6), "Ryzen 5 5500U": (6, 12, 6), "Ryzen 7 7840U": (8, 16, 8),
    "Ryzen 9 7945HX": (16, 32, 16), "Ryzen AI 9 HX 370": (12, 24, 12), "Ryzen AI Max+ 395": (16, 32, 16),
    "Snapdragon X Elite": (12, 12, 12),
    # small computers and boards
    "Celeron N4020": (2, 2, 2), "Celeron J4125": (4, 4, 4), "N95": (4, 4, 4), "i3-N305": (8, 8, 8),
    "RK3588": (8, 8, 4), "rk3566": (4, 4, 4), "Snapdragon 8 Gen 3": (8, 8, 6),
    # workstations and servers
    "Threadripper PRO 7995WX": (96, 192, 96), "Threadripper 3970X": (32, 64, 32), "Xeon W-2295": (18, 36, 18),
    "Xeon E3-1240 v5": (4, 8, 4), "EPYC 4564P": (16, 32, 16), "2x EPYC 7763": (128, 256, 128),
}  # fmt: skip


def test_a_processor_tells_its_cores() -> None:
    """Of which an i3-10100 has four whatever stands beside it: they were one for each 4 GiB of RAM."""
    named = {name: machine_named(f"{name} 24GB") for name in _COUNTS}
    counts = {
        name: (
            machine.cpu_cores_physical,
            machine.cpu_cores_usable,
            machine.cpu_cores_performance or machine.cpu_cores_physical,
        )
        for name, machine in named.items()
    }
    assert counts == _COUNTS
    assert not [name for name, each in named.items() if "cpu_cores_usable" in each.assumed]


@pytest.mark.parametrize(
    "name",
    ["i3-10100", "intel i7", "Xeon D-1541", "Phenom II", "xeon platinum 8999", "Ryzen 5 7600"],
)
@pytest.mark.parametrize("beside", ["", " RTX 4060"])
def test_no_ram_changes_the_cores(name: str, beside: str) -> None:
    """A processor has as many with any RAM, where they are known and where they are assumed."""
    machines = [machine_named(f"{name} {gib}GB{beside}") for gib in (8, 32, 128)]
    assert len({(each.cpu_cores_physical, each.cpu_cores_usable) for each in machines}) == 1
    assert len({each.assumes("cpu_cores_usable") for each in machines}) == 1


def test_a_pace_has_the_ends_of_its_cores() -> None:
    """A Xeon D-1500 has 2 to 16 cores: its pace on prompts is told for all of them."""
    machine = machine_named("Xeon D-1541 32GB")
    known = machine.replace(
        assumed=tuple(fact for fact in machine.assumed if fact != "cpu_cores_usable")
    )
    (low, likely, high), (least, usual, most) = cores_rate(machine), cores_rate(known)
    assert likely == usual
    assert low <= min(least, likely * 2 / 8)
    assert high >= max(most, likely * 16 / 8)


@pytest.mark.parametrize(
    "text", ["N100 32GB", "N95 8GB", "N355 16GB", "i3-N305 16GB", "intel n150"]
)
def test_a_number_of_the_n_series_is_enough(text: str) -> None:
    """People leave Intel's word out; one channel of DDR5-4800 reads 38.4 GB/s, no more."""
    memory = bandwidth(machine_named(text))
    assert memory is not None
    assert memory.high * BANDWIDTH_SHARE <= 38.4e9


def test_every_row_of_cores_is_one_of_its_series() -> None:
    """No number is in two rows, and no server's has more cores than the largest of its series."""
    table = shipped_table("cpus")
    rows = {row["name"]: row for row in (*table["cpu"], *table["generation"])}
    for series, counts in shipped_table("cpu_cores").items():
        listed = [(row.get("words"), shape) for row in counts for shape in row.get("models", [""])]
        assert len(set(listed)) == len(listed), series
        most = rows[series].get("cores")
        assert most is None or all(row["cores"] <= most for row in counts), series


@pytest.mark.parametrize(
    ("name", "gpu", "gib", "count"),
    [
        ("g5g.16xlarge", "NVIDIA T4G", 16, 2),
        ("g6f.2xlarge", "NVIDIA L4-6Q", 6, 1),
        ("gr6.8xlarge", "NVIDIA L4", 24, 1),
        ("Standard_NV12ads_A10_v5", "NVIDIA A10-8Q", 8, 1),
    ],
)
def test_gpus_and_shares_of_them_that_clouds_rent(
    name: str, gpu: str, gib: int, count: int
) -> None:
    """AWS lists two T4G in the largest g5g, Karpenter 6 GB in g6f.2xlarge, Azure a third of an A10."""
    described = rented(name)
    assert described is not None
    cards = described.machine.accelerators or ()
    assert [card.name for card in cards] == [gpu] * count
    # a driver shows a little less than what the card is sold with
    assert all(gib - 2 < (card.memory_total_bytes or 0) / 2**30 <= gib for card in cards)


def test_an_unnamed_computer_is_no_faster_than_what_people_own() -> None:
    """Likely between half and twice a Core i5-8250U's; at most what LPDDR5X on two channels gives."""
    unnamed = bandwidth(machine_named("8GB RAM laptop"))
    named = bandwidth(machine_named("i5-8250U 8GB"))
    assert unnamed is not None
    assert named is not None
    assert named.likely / 2 <= unnamed.likely <= 2 * named.likely
    assert unnamed.high <= 137e9


@pytest.mark.parametrize(
    ("text", "cores", "sentence"),
    [
        ("ryzen 9 7950x 8 cores 64gb", 8, "It has 16 cores: the 8 that were typed are counted."),
        ("ryzen 9 7950x 32 cores", 16, "It has 16 cores, not 32: judged with the 16."),
        ("2x xeon e5-2690 v4 14 cores 256gb", 28, ""),
    ],
)
def test_other_cores_than_those_of_the_processor_are_said(
    text: str, cores: int, sentence: str
) -> None:
    """AMD's Ryzen 9 7950X has 16 cores, each of two Xeons E5-2690 v4 has 14."""
    named = profile_named(text)
    assert named.profile.machine.cpu_cores_physical == cores
    assert sentence in str(named.note)
    assert sentence or "It has" not in str(named.note)


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        # four channels of DDR4-2400, 76.8 GB/s, by Intel's data sheet
        ("xeon e5-2690 v4 256gb", ("the rate of its RAM", "ddr4-2400")),
        ("i7 16gb", ("its processor", "i7-12700h")),
    ],
)
def test_what_is_asked_for_a_narrower_range_can_be_true(text: str, fact: tuple[str, str]) -> None:
    assert fact_to_type(profile_named(text).profile.machine) == fact


@pytest.mark.parametrize("guest", ["8 vcpu 32gb", "vps 8gb", "vm 4 cores 16gb"])
def test_what_is_asked_of_a_guest_narrows_its_range(guest: str) -> None:
    fact = fact_to_type(machine_named(guest))
    assert fact is not None
    told = bandwidth(machine_named(f"{guest} {fact[1]}"))
    untold = bandwidth(machine_named(guest))
    assert told is not None
    assert untold is not None
    assert told.high / told.low < 0.7 * untold.high / untold.low


@pytest.mark.parametrize("guest", ["github actions", "8 vcpu 32gb epyc 9354"])
def test_a_guest_whose_name_tells_no_more_is_measured(
    guest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which share of its host's memory it gets is stated nowhere."""
    main(["check", "mistral-7b", "--machine", guest])
    said = capsys.readouterr().out
    assert "--measure` on it for a narrower range" in said
    assert "bandwidth=" not in said


@pytest.mark.parametrize(
    ("text", "cores", "gib"),
    # Hetzner's CPX41 has 8 vCPU and 16 GB, AWS' m7a.4xlarge 16 and 64 GiB (their pages)
    [
        ("hetzner cpx41 epyc 7763", 8, 16),
        ("m7a.4xlarge epyc 9r14", 16, 64),
    ],
)
def test_a_guest_on_a_named_host_keeps_its_size(text: str, cores: int, gib: int) -> None:
    """It was judged as the whole server."""
    machine = machine_named(text)
    assert (machine.scope, machine.cpu_cores_usable) == ("vm", cores)
    assert machine.memory_total_bytes == gib * GIB
    assert machine.cpu_model == text.split(" ", 2 if "cpx" in text else 1)[-1]


@pytest.mark.parametrize(
    ("text", "scope", "gib"),
    [
        ("aws m7i.large xeon 8488c", "vm", 8),
        ("hetzner cx22 xeon", "vm", 4),
        ("ubuntu-latest xeon 8370c", "vm", 16),
        # the system of a computer, and no runner of a pipeline
        ("ubuntu 24.04 ryzen 5600 32gb", "host", 32),
        ("ubuntu 24.04 xeon e5-2680 v4 64gb", "host", 64),
    ],
)
def test_a_guest_beside_a_processor_that_is_not_listed_keeps_its_size(
    text: str, scope: str, gib: int
) -> None:
    """It was judged as a server with 64 GB; and Ubuntu with a processor as GitHub's runner."""
    machine = machine_named(text)
    assert (machine.scope, round((machine.memory_total_bytes or 0) / GIB)) == (scope, gib)


@pytest.mark.parametrize(
    "text",
    [
        "ryzen 7 6800h 32gb",
        "ryzen 7 7840hs 32gb ddr5-5600",
        "ryzen 7 8700g 64gb",
        "ryzen ai 9 hx 370 32gb",
        "core ultra 7 155h 32gb",
        "core ultra 7 258v",
    ],
)
def test_a_gpu_inside_that_reads_prompts_faster_is_named(text: str) -> None:
    """The option that the note gives is understood, and does what the note says."""
    note = profile_named(text).note or ""
    option = re.search(r"reads prompts faster and is left aside: --gpu '([^']+)'", note)
    assert option is not None
    machine = machine_named(text)
    workload = Workload(prompt_tokens=2048)
    waits = []
    for each_machine in (machine, apply(machine, [], [option[1]])):
        speed = check("mistral-7b", workload, machine=each_machine).speed
        assert speed is not None
        assert speed.first_token_seconds is not None
        waits.append(speed.first_token_seconds)
    # not every build uses it
    assert waits[1].low < waits[0].low
    assert waits[1].likely <= waits[0].likely


def test_no_gpu_inside_is_named_where_there_is_none_or_a_slow_one() -> None:
    for text in ("ryzen 7 7700x 32gb", "i7-12700k 32gb", "epyc 9354 256gb", "raspberry pi 5 8gb"):
        assert "GPU inside" not in (profile_named(text).note or "")


@pytest.mark.parametrize(
    ("text", "cores", "gib"), [("c7a.metal-48xl", 192, 384), ("aws m7i.metal-24xl", 96, 384)]
)
def test_a_metal_type_is_as_large_as_its_virtual_machine(text: str, cores: int, gib: int) -> None:
    """AWS calls whole computers so; lhl's notes name a c7a.metal-48xl with 192 processors and 384 GiB."""
    machine = machine_named(text)
    assert (machine.cpu_cores_usable, machine.memory_total_bytes) == (cores, gib * GIB)
