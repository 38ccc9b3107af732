"""What memory a processor has, by its name (`specs/common/cpus.toml`)."""

from __future__ import annotations

import pytest

from helpers.each import each
from selfhost.core.tables import shipped_table
from selfhost.machine import cpus
from selfhost.machine.cloud import rented
from selfhost.machine.cpus import class_of
from selfhost.machine.named import profile_named

# as the systems give them; the peak is what makers' pages or reviews state for all channels
NAMED = [
    ("AMD Ryzen 7 7840HS w/ Radeon 780M Graphics", 89.6),
    ("AMD Ryzen AI 9 HX 370 w/ Radeon 890M", 89.6),
    ("AMD Ryzen 5 5600", 51.2),
    ("AMD Ryzen 5 5500U with Radeon Graphics", 51.2),
    ("AMD Ryzen 9 7950X 16-Core Processor", 83.2),
    ("AMD Ryzen 7 9800X3D 8-Core Processor", 89.6),
    ("AMD Ryzen 3 7320U with Radeon Graphics", 44.0),
    ("AMD Ryzen Threadripper 3970X 32-Core Processor", 102.4),
    ("AMD Ryzen Threadripper PRO 7995WX 96-Cores", 332.8),
    # as people type them
    ("threadripper 7995wx", 332.8),
    ("AMD EPYC 9554 64-Core Processor", 460.8),
    ("AMD EPYC 7R13 Processor", 204.8),
    ("AMD EPYC 7551 32-Core Processor", 170.624),
    ("Intel(R) Core(TM) i7-2600 CPU @ 3.40GHz", 21.328),
    ("Intel(R) Core(TM) i7-4790K CPU @ 4.00GHz", 25.6),
    ("Intel(R) Core(TM) i7-3930K CPU @ 3.20GHz", 51.2),
    ("Intel(R) Core(TM) i9-10900X CPU @ 3.70GHz", 93.856),
    ("Intel(R) Core(TM) i5-9500 CPU @ 3.00GHz", 42.656),
    ("11th Gen Intel(R) Core(TM) i5-1135G7 @ 2.40GHz", 51.2),
    ("12th Gen Intel(R) Core(TM) i7-12700K", 76.8),
    ("Intel(R) Core(TM) Ultra 7 155H", 89.6),
    ("Intel(R) Core(TM) Ultra 7 258V", 136.528),
    ("Intel(R) Core(TM) Ultra 9 285K", 102.4),
    ("Intel(R) N100", 25.6),
    ("Intel(R) Celeron(R) J4125 CPU @ 2.00GHz", 38.4),
    ("Intel(R) Xeon(R) CPU E3-1245 v5 @ 3.50GHz", 34.128),
    ("Intel(R) Xeon(R) CPU E5-2670 0 @ 2.60GHz", 51.2),
    ("Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz", 76.8),
    ("Intel(R) Xeon(R) W-3245 CPU @ 3.20GHz", 140.784),
    ("Intel(R) Xeon(R) w9-3495X", 307.2),
    ("Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz", 140.784),
    ("INTEL(R) XEON(R) PLATINUM 8581C CPU @ 2.10GHz", 358.4),
    ("Intel(R) Xeon(R) 6975P-C", 614.4),
    # a front-side bus of 8 bytes: 1,066 of the Q8400, 1,333 of the E5450, 800 of the Pentium 4 (Intel)
    ("Intel(R) Core(TM)2 Quad CPU Q8400 @ 2.66GHz", 8.528),
    ("Intel(R) Xeon(R) CPU E5450 @ 3.00GHz", 10.664),
    ("Intel(R) Pentium(R) 4 CPU 3.00GHz", 6.4),
    # one channel of DDR2-667, two of DDR3-1333, four of DDR3-1600, two of DDR2-800 (the makers)
    ("Intel(R) Atom(TM) CPU D510 @ 1.66GHz", 5.336),
    ("AMD Phenom(tm) II X6 1090T Processor", 21.328),
    ("AMD Opteron(tm) Processor 6276", 51.2),
    ("AMD Athlon(tm) 64 X2 Dual Core Processor 5600+", 12.8),
    ("AMD FX(tm)-8350 Eight-Core Processor", 29.856),
    ("Neoverse-N1", 204.8),
    ("Arm Neoverse-V2", 537.6),
    ("Ampere-1A", 332.8),
    ("Snapdragon(R) X Elite - X1E78100 - Qualcomm(R) Oryon(TM) CPU", 135.168),
    ("Qualcomm Snapdragon 888", 51.2),
    ("Rockchip RK3588", 33.792),
]


@each(("name", "peak"), NAMED, ids=[name for name, _ in NAMED])
def test_a_name_tells_the_peak_of_the_memory(name: str, peak: float) -> None:
    """Channels x bits x the usual rate, in GB/s."""
    found = cpus.processor_of(name)
    assert found is not None
    assert found.usual / 1e9 == pytest.approx(peak)
    assert found.least <= found.usual <= found.most


@each(
    "name",
    [
        "", "AMD EPYC", "AMD EPYC Processor", "Intel(R) Xeon(R) Processor", "Intel(R) Xeon(R) CPU @ 2.20GHz",
        "Intel Xeon Processor (Skylake, IBRS)", "QEMU Virtual CPU version 2.5+", "Common KVM processor", "unknown",
        "AMD Ryzen 7 99999X", "AMD Sempron(tm) 2650 APU", "Apple M2 Pro", "Cortex-A73", "VirtualApple @ 2.50GHz",
        "7840HS", "Radeon 780M", "Intel(R) Core(TM) i7", "AMD Ryzen", "\x00 ryzen \u202e", "i7-\u0663\u0663\u0663\u0663",
    ],
)  # fmt: skip
def test_a_name_that_says_too_little_means_no_processor(name: str) -> None:
    """A virtual machine's name without a number, another maker's chip, a number alone: nothing is guessed from them."""
    assert cpus.processor_of(name) is None


GIB = 2**30


@each(
    ("text", "gib", "processors"),
    [
        # docs.aws.amazon.com, cloud.google.com and learn.microsoft.com state these sizes
        ("m5.xlarge", 16, 4),
        ("m7g.medium", 4, 1),
        ("c8g.48xlarge", 384, 192),
        ("n2-standard-8", 32, 8),
        ("t2a-standard-4", 16, 4),
        ("Standard_D4s_v5", 16, 4),
        ("D2ps v6", 8, 2),
        ("t3.micro", 1, 2),
        ("t2.micro", 1, 1),
        ("e2-small", 2, 2),
        ("azure b2ms", 8, 2),
        # no Core i3 and no Ryzen 3
        ("i3.2xlarge", 61, 8),
        ("ovh r3-64", 64, 8),
        ("c5n.18xlarge", 189, 72),
        ("c4.8xlarge", 60, 36),
        ("c6a.metal", 384, 192),
        ("n2d-highcpu-16", 16, 16),
        ("Standard_D16ads_v7", 64, 16),
        ("Standard_B2as_v2", 8, 2),
        ("cpx52", 24, 12),
        ("vultr vhp-4c-8gb-amd", 8, 4),
        ("4xCPU-8GB", 8, 4),
        ("ecs.g7.2xlarge", 32, 8),
        # api.linode.com/v4/linode/types
        ("linode g6-standard-6", 16, 6),
        ("digitalocean s-2vcpu-4gb", 4, 2),
        ("GP1-XL", 256, 48),
        ("scaleway DEV1-M", 4, 3),
        ("POP2-8C-32G", 32, 8),
        ("ovh b2-15", 15, 4),
        ("ecs.t6-c1m2.large", 4, 2),
        ("vbm-24c-256gb-amd", 256, 48),
        ("S5.MEDIUM4", 4, 2),
        # aspire.dev, Aspire.Hosting.Azure.Kubernetes: 64 GB of an E8-4s_v5, of an E64-32s_v5 512
        ("Standard_E8-4s_v5", 64, 4),
        ("Standard_E64-32s_v5", 512, 32),
        ("Standard_DS13-4_v2", 56, 4),
    ],
)
def test_a_clouds_type_has_its_size(text: str, gib: int, processors: int) -> None:
    found = rented(text)
    assert found is not None
    machine = found.profile.machine
    assert machine.memory_limit_bytes == gib * GIB
    assert machine.cpu_cores_usable == processors
    assert machine.scope == "vm"
    assert profile_named(text).note == found.note


def test_every_row_of_the_clouds_names_a_source_and_a_class() -> None:
    table = shipped_table("cloud_types")
    for row in table["type"]:
        assert row["source"] in table["sources"]
        assert class_of(row["cpu"]) is not None, row["cpu"]


@each(
    ("text", "gib", "processors", "cards"),
    [
        # meta-pytorch/torchx pull 969; rapidsai/deployment, source/cloud/aws/index.md; docs.cnap.tech
        ("g6e.4xlarge", 128, 16, ["NVIDIA L40S"]),
        ("g6.48xlarge", 768, 192, ["NVIDIA L4"] * 8),
        # MicrosoftDocs/azure-compute-docs, sizes/gpu-accelerated
        ("Standard_NC16as_T4_v3", 110, 16, ["Tesla T4"]),
        ("NC48ads A100 v4", 440, 48, ["NVIDIA A100 80GB PCIe"] * 2),
        ("Standard_NC24s_v3", 448, 24, ["Tesla V100-SXM2"] * 4),
        ("p3.8xlarge", 244, 32, ["Tesla V100-SXM2"] * 4),
        ("n1-standard-8 + t4", 30, 8, ["Tesla T4"]),
        ("n1-standard-8 with 2x T4", 30, 8, ["Tesla T4"] * 2),
        ("a2-highgpu-2g", 170, 24, ["NVIDIA A100-SXM4-40GB"] * 2),
        ("a3-highgpu-8g", 1872, 208, ["NVIDIA H100 80GB HBM3"] * 8),
        ("ovh l4-180", 180, 45, ["NVIDIA L4"] * 2),
        # alibabacloud.com, ECS user guide, GPU-accelerated instance families
        ("ecs.gn7i-c8g1.2xlarge", 30, 8, ["NVIDIA A10"]),
        ("alibaba ecs.gn7i-c32g1.16xlarge", 376, 64, ["NVIDIA A10"] * 2),
        ("ecs.gn7-c12g1.3xlarge", 95, 12, ["NVIDIA A100-SXM4-40GB"]),
        ("vcg-a40-24c-120g-48vram", 120, 24, ["NVIDIA A40"]),
        ("gpu-mi300x8-1536gb", 1920, 160, ["AMD Instinct MI300X"] * 8),
        ("L4-2-24G", 96, 16, ["NVIDIA L4"] * 2),
        ("ovh t2-le-90", 90, 30, ["Tesla V100S-PCIE-32GB"] * 2),
        ("Standard_ND96asr_v4", 900, 96, ["NVIDIA A100-SXM4-40GB"] * 8),
        ("hetzner cax31", 16, 8, []),
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
    "text",
    ["Standard_E8-8s_v5", "Standard_E8-0s_v5", "m5.huge", "m5.0xlarge", "x9.large", "D4", "-"],
)
def test_what_no_cloud_rents_is_none(text: str) -> None:
    assert rented(text) is None
