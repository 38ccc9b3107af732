"""Accelerators: what NVIDIA's library, sysfs and the registry say of GPUs, however badly they say
it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from helpers.paths import DATA
from helpers.recordings import Build
from selfhost.machine.probes import system
from selfhost.machine.probes.recorded import RecordedHost
from selfhost.machine.reader import read_machine
from selfhost.machine.record import Accelerator, Machine

MIB, GIB = 2**20, 2**30
DRIVER = {
    "/proc/driver/nvidia/version": (
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  590.48.01  Wed Oct 1 00:00:00 UTC 2025\n"
    )
}
BUS = {
    "/sys/bus/pci/devices/0000:01:00.0/class": "0x030200",
    "/sys/bus/pci/devices/0000:01:00.0/vendor": "0x10de",
}
NODES = DRIVER | {"/dev/nvidia0": "x", "/sys/bus/cpu/uevent": "x"}
NAME, TOTAL = "NVIDIA H100 80GB HBM3", 81559 * MIB

# what `nvidia-smi` printed of real cards (utkuozdemir/nvidia_gpu_exporter@e656cd81,
# internal/captures, MIT; bus widths from the makers' pages): name, total and free MiB, compute
# capability, MHz, bits, and the bandwidth their makers state, GB/s
CARDS = (
    (NAME, 81559, 81081, [9, 0], 2619, 5120, 3352),
    ("NVIDIA H200", 143771, 143158, [9, 0], 3201, 6144, 4917),
    ("NVIDIA L40S", 46068, 45460, [8, 9], 9001, 384, 864),
    ("NVIDIA GeForce RTX 4080 SUPER", 16376, 15348, [8, 9], 11501, 256, 736),
    ("NVIDIA GeForce RTX 2080 SUPER", 8192, 7286, [7, 5], 7751, 256, 496),
)
# of the MIG capture: instances by name, with the memory that profile has
MIG = (("3g.40gb", 40448), ("2g.20gb", 20096), ("1g.10gb", 9984), ("1g.10gb", 9984))


def device(row: int = 0, **values: Any) -> dict[str, Any]:
    name, total, free, capability, clock, width, _ = CARDS[row]
    return {
        "name": name,
        "memory_total_bytes": total * MIB,
        "memory_free_bytes": free * MIB,
        "compute_capability": capability,
        "memory_clock_mhz": clock,
        "bus_width_bits": width,
        "error": None,
    } | values


def instance(number: int, part_of: int = TOTAL) -> dict[str, Any]:
    name, size = MIG[number]
    return device(
        name=f"{NAME} MIG {name}",
        memory_total_bytes=size * MIB,
        memory_free_bytes=(size - 40) * MIB,
        part_of_bytes=part_of,
    )


def answer(*gpus: dict[str, Any] | list[dict[str, Any]]) -> dict[str, Any]:
    parts = [gpu if isinstance(gpu, list) else [gpu] for gpu in gpus]
    return {"driver": "590.48.01", "gpus": parts}


def cards(machine: Machine) -> tuple[Accelerator, ...]:
    assert machine.accelerators is not None
    return machine.accelerators


def why(machine: Machine) -> tuple[str, str]:
    told = machine.why_unread("accelerators.memory_total_bytes")
    return told.reason, told.remedy or ""


# ------------------------------------------------------------------ NVIDIA: what its answer means


@pytest.mark.parametrize("row", range(len(CARDS)), ids=[row[0] for row in CARDS])
def test_a_card_as_its_driver_tells_of_it(build: Build, row: int) -> None:
    """Name, memory, driver and compute capability as nvidia-smi prints them; the bandwidth that the
    maker states, to the gigabyte.
    """
    name, total, free, (major, minor), _, _, bandwidth = CARDS[row]
    machine = read_machine(build(NODES, nvml=answer(device(row))))
    (card,) = cards(machine)
    assert (card.vendor, card.name, card.driver) == ("nvidia", name, "590.48.01")
    assert (card.memory_total_bytes, card.memory_free_bytes) == (
        total * MIB,
        free * MIB,
    )
    assert (card.unified, card.compute_capability) == (False, f"{major}.{minor}")
    assert round((card.memory_bandwidth_bytes_per_second or 0) / 10**9) == bandwidth
    assert not [
        entry for entry in machine.unread if entry.fact.startswith("accelerators")
    ]


@pytest.mark.parametrize(
    ("mask", "left"),
    [
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("0", [0]),
        ("1", [1]),
        ("2,1", [2, 1]),
        (" 0 , 2 ", [0, 2]),
        ("0,2,-1,1", [0, 2]),
        ("0,9,1", [0]),
        ("1,1,0", [1]),
        ("0,,1", [0]),
        ("99999999999999999999", []),
        ("²", []),
    ],
)
def test_visible_devices(build: Build, mask: str, left: list[int]) -> None:
    """By number, in the order given; what is invalid ends the list (CUDA C++ Programming Guide,
    5.2.1.1).
    """
    three = [device(memory_free_bytes=(70 + at) * GIB) for at in range(3)]
    machine = read_machine(build(NODES, {"CUDA_VISIBLE_DEVICES": mask}, answer(*three)))
    assert [
        (card.memory_free_bytes or 0) // GIB - 70 for card in cards(machine)
    ] == left
    assert "CUDA_VISIBLE_DEVICES" in machine.sources["accelerators"]


def test_a_number_among_unlike_cards_is_not_guessed(build: Build) -> None:
    """CUDA puts the fastest first unless told to go by the bus: which card 0 is, the driver's own
    order does not tell.
    """
    both = answer(device(4), device(0))
    machine = read_machine(build(NODES, {"CUDA_VISIBLE_DEVICES": "0"}, both))
    assert [(card.memory_total_bytes, card.unified) for card in cards(machine)] == [
        (None, False)
    ]
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in why(machine)[1]
    ordered = {"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert [card.name for card in cards(read_machine(build(NODES, ordered, both)))] == [
        CARDS[4][0]
    ]
    by_uuid = read_machine(build(NODES, {"CUDA_VISIBLE_DEVICES": "GPU-b,GPU-a"}, both))
    assert [card.memory_total_bytes for card in cards(by_uuid)] == [None, None]
    assert "by UUID" in why(by_uuid)[0]


def test_in_mig_mode_the_instances_are_the_accelerators(build: Build) -> None:
    """Each has its own memory and its eighths of the bandwidth; the card as a whole cannot be
    used.
    """
    split = [instance(number) for number in range(4)]
    machine = read_machine(build(NODES, nvml=answer(split)))
    for card, (name, size), eighths in zip(
        cards(machine), MIG, (4, 2, 1, 1), strict=True
    ):
        assert (card.name.split()[-1], card.memory_total_bytes) == (name, size * MIB)
        assert (card.is_part, card.compute_capability) == (True, "9.0")
        rate = (card.memory_bandwidth_bytes_per_second or 0) / (2 * 2619e6 * 5120 / 8)
        assert rate == pytest.approx(eighths / 8)
    for mask, left in (("0", [size for _, size in MIG]), ("1", [])):
        chosen = read_machine(
            build(NODES, {"CUDA_VISIBLE_DEVICES": mask}, answer(split))
        )
        assert [(card.memory_total_bytes or 0) // MIB for card in cards(chosen)] == left
    # a pod may not read the card, only its slice (IDSIA/sacred#864)
    refused = answer([instance(2, part_of=0)])
    (card,) = cards(read_machine(build(NODES, nvml=refused)))
    assert (card.memory_total_bytes, card.memory_bandwidth_bytes_per_second) == (
        9984 * MIB,
        None,
    )
    assert cards(read_machine(build(NODES, nvml=answer([])))) == ()


@pytest.mark.parametrize(
    ("error", "said", "todo"),
    [
        ({"error": 18}, "different versions", "restart"),
        ({"error": 9}, "not loaded", "modprobe"),
        ({"error": 12}, "libnvidia-ml", "DRIVER_CAPABILITIES"),
        ({"error": 4}, "may not ask", "account"),
        ({"error": 999}, "error 999", "nvidia-smi"),
        ({"driver": "550.54"}, "no usable answer", "nvidia-smi"),
        ({"why": "it gave no answer within 10 seconds"}, "10 seconds", "nvidia-smi"),
        (None, "recorded tree", "--machine"),
    ],
)
def test_a_driver_that_does_not_answer_is_unread(
    build: Build, error: Any, said: str, todo: str
) -> None:
    """Names and number still come from files; the memory is unread, with what to do about it."""
    slot = "/proc/driver/nvidia/gpus/0000:01:00.0/information"
    machine = read_machine(
        build(NODES | BUS | {slot: f"Model: \t\t {NAME}\n"}, nvml=error)
    )
    assert [(card.name, card.memory_total_bytes) for card in cards(machine)] == [
        (NAME, None)
    ]
    reason, remedy = why(machine)
    assert said in reason
    assert todo in remedy


def test_a_container_that_was_handed_no_gpu(build: Build) -> None:
    """The bus shows every card of the host. `void` and `none` say that none was meant; otherwise it
    may have been forgotten.
    """
    for word in ("void", "none"):
        machine = read_machine(build(BUS, {"NVIDIA_VISIBLE_DEVICES": word}))
        assert machine.accelerators == ()
        assert "NVIDIA_VISIBLE_DEVICES" in machine.sources["accelerators"]
    assert (
        "--gpus all"
        in why(read_machine(build(BUS, {"NVIDIA_VISIBLE_DEVICES": "all"})))[1]
    )


def test_a_container_that_was_handed_one_of_two_gpus(build: Build) -> None:
    """Its device files count where the driver is silent, not the bus of the host."""
    both = BUS | {name.replace("01:00", "02:00"): value for name, value in BUS.items()}
    assert len(cards(read_machine(build(both | NODES)))) == 1
    assert len(cards(read_machine(build(both | NODES | {"/dev/nvidia1": "x"})))) == 2


def test_a_card_in_an_arm_server_has_its_own_memory(build: Build) -> None:
    """Only one of which the driver says that it has no memory of its own shares the RAM, as a GB10
    does.
    """
    for size, unified in ((TOTAL, False), (None, True)):
        asked = device(
            memory_total_bytes=size, memory_free_bytes=size, error=None if size else 3
        )
        (card,) = cards(
            read_machine(build(NODES, nvml=answer(asked), machine="aarch64"))
        )
        assert (card.memory_total_bytes, card.unified) == (size, unified)


@pytest.mark.parametrize(
    ("board", "compatible", "name"),
    [
        # NVIDIA's own names differ by release; carriers of other makers have names of their own
        (
            "NVIDIA Jetson Orin Nano Developer Kit",
            "nvidia,tegra234",
            "NVIDIA Jetson Orin Nano Developer Kit",
        ),
        (
            "NVIDIA Orin NX Developer Kit",
            "nvidia,p3767-0000\0nvidia,tegra234",
            "NVIDIA Orin NX Developer Kit",
        ),
        ("Carrier X", "maker,x\0nvidia,tegra194", "NVIDIA Jetson (Carrier X)"),
        ("Raspberry Pi 5 Model B Rev 1.0", "raspberrypi,5-model-b\0brcm,bcm2712", None),
    ],
)
def test_a_jetson_is_told_by_its_chip(
    build: Build, board: str, compatible: str, name: str | None
) -> None:
    files = {
        "/proc/device-tree/model": f"{board}\0",
        "/proc/device-tree/compatible": f"{compatible}\0",
        "/sys/bus/cpu/uevent": "x",
    }
    machine = read_machine(build(files, machine="aarch64"))
    expected = [] if name is None else [("nvidia", name, True)]
    assert [
        (card.vendor, card.name, card.unified) for card in cards(machine)
    ] == expected


# ------------------------------------------------------------------ NVIDIA: asking for real, in a
# child


class Asking(RecordedHost):
    """Files of a recording, and a child that is started for real."""

    def ask(self, name: str, about: str | None = None) -> Any:
        return system.ask_nvml() if name == "nvml" else super().ask(name, about)


@pytest.fixture
def asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build: Build) -> Any:
    """A host whose child meets a stand-in of the driver's library."""
    folder = tmp_path / "fake"
    folder.mkdir()
    if shutil.which("gcc") is None or sys.platform != "linux":
        pytest.skip("no compiler to make a stand-in of the driver's library with")
    library = folder / "libnvidia-ml.so.1"
    words = ["gcc", "-shared", "-fPIC", "-w", "-o", str(library), str(DATA / "nvml.c")]
    subprocess.run(words, check=True)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(folder))

    def make(case: str) -> Machine:
        monkeypatch.setenv("FAKE_NVML", case)
        return read_machine(Asking(build(NODES).folder))

    return make


def test_what_the_library_says_is_read(asking: Any) -> None:
    """By the structures of nvml.h two cards, of which `free` and not `used` is free; in MIG mode
    the instances that its numbers, which have gaps, lead to.
    """
    for case, name, size, count in (
        ("", NAME, 81559, 2),
        ("mig", f"{NAME} MIG 1g.10gb", 9984, 4),
    ):
        free, rate = size - 478, 3352e9 / (1 if count == 2 else 8)
        read = cards(asking(case))
        assert [(card.name, card.compute_capability) for card in read] == [
            (name, "9.0")
        ] * count
        for card in read:
            sizes = card.memory_total_bytes, card.memory_free_bytes
            assert sizes == (size * MIB, free * MIB)
            assert card.memory_bandwidth_bytes_per_second == pytest.approx(
                rate, rel=1e-3
            )


FAILURES = {
    "exit": "status 3",
    "crash": "signal 11",
    "hang": "within 1 second",
    "mismatch": "different versions",
}


@pytest.mark.parametrize(("case", "said"), FAILURES.items())
def test_a_driver_that_hangs_or_crashes_costs_its_answer_alone(
    asking: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, case: str, said: str
) -> None:
    """The memory is unread, the rest of the machine is not, no process is left, and no core file is
    written.
    """
    monkeypatch.setattr(system, "NVML_SECONDS", 1.0 if case == "hang" else 30.0)
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    machine = asking(case)
    assert {card.memory_total_bytes for card in cards(machine)} == {None}
    assert said in why(machine)[0]
    assert machine.architecture == "x86_64"
    assert {path.name for path in set(tmp_path.iterdir()) - before} <= {"0"}
    assert not psutil.wait_procs(psutil.Process().children(), timeout=20)[1]


# ------------------------------------------------------------------ AMD, Intel, Apple, Windows


def amd(slot: str, **files: str | bytes) -> dict[str, str | bytes]:
    """amdgpu's files of one card."""
    known = {
        "class": "0x030000",
        "vendor": "0x1002",
        "device": "0x744c",
        "revision": "0xc8",
    }
    return {
        f"/sys/bus/pci/devices/{slot}/{name}": text
        for name, text in (known | files).items()
    }


def memory(total: int, used: int, borrowed: int) -> dict[str, str]:
    sizes = {"vram_total": total, "vram_used": used, "gtt_total": borrowed}
    return {f"mem_info_{name}": str(size) for name, size in sizes.items()}


# head of gpu_metrics: size, format and content revision; 1.3 is a card's, 2.x and 3.0 a processor's
# own graphics'
CARD, CHIP, CHIP_3 = (
    b"\x78\x00\x01\x03rest",
    b"\x80\x00\x02\x01rest",
    b"\x08\x01\x03\x00rest",
)
IDS = (
    "# comment\n1.0.0\n744C,\tC8,\tAMD Radeon RX 7900 XTX\n744C,\tCC,\tAMD Radeon RX 7900 "
    "XT\n1586,\tC1,\tRadeon 8060S Graphics\n"
)


LONG_NAME = "Radeon " * 300


@pytest.mark.parametrize(
    "files",
    [
        pytest.param(amd("0000:03:00.0", product_name=LONG_NAME), id="product_name"),
        pytest.param(amd("0000:03:00.0", device=f"0x{LONG_NAME}"), id="device"),
        pytest.param(
            amd("0000:03:00.0")
            | {"/usr/share/libdrm/amdgpu.ids": f"744C,\tC8,\t{LONG_NAME}\n"},
            id="libdrm",
        ),
        pytest.param(
            BUS
            | {
                "/proc/driver/nvidia/gpus/0000:01:00.0/information": f"Model: {LONG_NAME}\n"
            },
            id="nvidia",
        ),
    ],
)
def test_a_name_that_is_too_long_is_cut(
    files: dict[str, str | bytes], build: Build
) -> None:
    """A container may have any text in such files."""
    (card,) = cards(read_machine(build(files)))
    assert "Radeon" in card.name
    assert len(card.name) <= 220


def test_a_name_of_the_library_that_is_too_long_is_cut(build: Build) -> None:
    """The library is the container's, too."""
    part = device(name=LONG_NAME)
    host = build(NODES, nvml={"driver": "590.48.01", "gpus": [[part]]})
    (card,) = cards(read_machine(host))
    assert len(card.name) == 200


def test_an_amd_card(build: Build) -> None:
    """Memory and what is used of it, the name from libdrm's table."""
    sizes = memory(24 * GIB, 2 * GIB, 16 * GIB)
    files = amd("0000:03:00.0", gpu_metrics=CARD, unique_id="6d3f0b1c2a4e5968", **sizes)
    machine = read_machine(build(files | {"/usr/share/libdrm/amdgpu.ids": IDS}))
    (card,) = cards(machine)
    assert (card.vendor, card.name, card.unified) == (
        "amd",
        "AMD Radeon RX 7900 XTX",
        False,
    )
    assert (card.memory_total_bytes, card.memory_free_bytes) == (24 * GIB, 22 * GIB)
    assert "6d3f0b1c" not in json.dumps(machine.to_json())


@pytest.mark.parametrize("head", [CHIP, CHIP_3])
def test_amd_graphics_that_borrow_the_ram_share_it(build: Build, head: bytes) -> None:
    """A Strix Halo with 512 MiB of its own borrows the rest (ROCm/legacy-rocm-build#6004): it is no
    card of 512 MiB.
    """
    ram = {"/proc/meminfo": "MemTotal: 130989138 kB\nMemAvailable: 120000000 kB\n"}
    chip = amd("0000:c5:00.0", gpu_metrics=head, **memory(512 * MIB, MIB, 128 * GIB))
    (card,) = cards(read_machine(build(ram | chip)))
    # stated larger than the RAM, of which it may use no more
    assert (card.unified, card.memory_total_bytes) == (True, 130_989_138 * 1024)


def intel(slot: str, device: str = "0xe20b", **files: str) -> dict[str, str]:
    known = {"class": "0x030000", "vendor": "0x8086", "device": device} | files
    return {f"/sys/bus/pci/devices/{slot}/{name}": text for name, text in known.items()}


PCI_IDS = (
    "# x\n1234  Other\n\te20b  Not this\n8086  Intel Corporation\n\te20b  Battlemage G21 "
    "[Arc B580]\n\t\t1849 6020  X\n\t56a0  Plain\n"
)


def test_intel_cards(build: Build) -> None:
    """xe tells the memory of each tile; else it is unread, not 0."""
    names = {"/usr/share/misc/pci.ids": PCI_IDS}
    tile = {"tile0/physical_vram_size_bytes": "0x300000000"}
    tiles = tile | {"tile1/physical_vram_size_bytes": str(GIB)}
    for files, size in ((tiles, 13 * GIB), ({}, None), (tile | {"tile1/x": ""}, None)):
        (card,) = cards(read_machine(build(intel("0000:03:00.0", **files) | names)))
        assert (card.name, card.memory_total_bytes, card.unified) == (
            "Intel Arc B580",
            size,
            False,
        )
    # a processor's own graphics
    assert cards(read_machine(build(intel("0000:00:02.0")))) == ()


def test_apple_metal_limit(build: Build) -> None:
    """iogpu.wired_limit_mb is what Metal then allows (26000 on an M1 Max, Andyyyy64/whichllm#152);
    0 is the default, which is unread.
    """
    for value, total in (("26000", 26000 * MIB), ("0", None), ("", None)):
        host = build({}, system="macos", machine="arm64")
        folder = Path(host.folder)
        (folder / "sysctl.txt").write_text(
            "hw.optional.arm64: 1\nmachdep.cpu.brand_string: Apple M1 Max\n"
            f"iogpu.wired_limit_mb: {value}\n"
        )
        machine = read_machine(RecordedHost(str(folder)))
        (card,) = cards(machine)
        assert (card.name, card.unified, card.memory_total_bytes) == (
            "Apple M1 Max",
            True,
            total,
        )
        assert total is not None or "two thirds" in why(machine)[0]


CONTAINER = {"/run/.containerenv": "x"}


def test_a_container_has_the_gpus_that_it_was_handed(build: Build) -> None:
    """Its bus shows every card of the host; `--device` and device plugins hand it render nodes
    (docs of ROCm, "Running ROCm Docker containers").
    """
    two = amd("0000:03:00.0", **memory(24 * GIB, 0, GIB), **{"drm/renderD128/x": ""})
    two |= amd("0000:43:00.0", **memory(16 * GIB, 0, GIB), **{"drm/renderD129/x": ""})
    third = intel(
        "0000:83:00.0",
        **{"tile0/physical_vram_size_bytes": str(12 * GIB), "drm/renderD130/x": ""},
    )
    host = read_machine(build(two | third))
    assert [card.memory_total_bytes for card in cards(host)] == [
        24 * GIB,
        16 * GIB,
        12 * GIB,
    ]
    one = read_machine(build(two | CONTAINER | {"/dev/dri/renderD129": "x"}))
    assert [card.memory_total_bytes for card in cards(one)] == [16 * GIB]
    none = read_machine(build(two | third | CONTAINER))
    assert [card.memory_total_bytes for card in cards(none)] == [None] * 3
    reason, remedy = why(none)
    assert "an AMD GPU is there, but not handed to this container" in reason
    assert "--device /dev/kfd --device /dev/dri" in remedy
    alone = read_machine(build(third | CONTAINER | {"/dev/dri/renderD130": "x"}))
    assert [card.memory_total_bytes for card in cards(alone)] == [12 * GIB]


def test_which_cards_of_amd_a_variable_selects_is_not_guessed(build: Build) -> None:
    """ROCm numbers its GPUs in an order that no file tells: their memory is unread."""
    card = amd("0000:03:00.0", **memory(24 * GIB, 0, GIB))
    machine = read_machine(build(card, {"HIP_VISIBLE_DEVICES": "0"}))
    assert [found.memory_total_bytes for found in cards(machine)] == [None]
    assert "HIP_VISIBLE_DEVICES" in why(machine)[0]


def test_windows_display_adapters(build: Build) -> None:
    """qwMemorySize where a card's own; 512 MiB of a Radeon 780M are no card's; Intel's own graphics
    and virtual adapters are none.
    """
    rows = (
        ("PCI\\VEN_10DE&DEV_2782&SUBSYS_1", "NVIDIA GeForce RTX 4070 Ti", 12878610432),
        ("PCI\\VEN_1002&DEV_15BF", "AMD Radeon 780M Graphics", 512 * MIB),
        ("PCI\\VEN_1002&DEV_744C", "AMD Radeon RX 7900 XTX", 24 * GIB),
        ("PCI\\VEN_1002&DEV_7551", "AMD Radeon AI PRO R9700", 32 * GIB),
        ("PCI\\VEN_8086&DEV_E20B", "Intel(R) Arc(TM) B580 Graphics", 12 * GIB),
        ("PCI\\VEN_8086&DEV_7D55", "Intel(R) Arc(TM) Graphics", 128 * MIB),
        ("ROOT\\BasicRender", "Microsoft Hyper-V Video", None),
        (None, None, None),
    )
    adapters = [dict(zip(("id", "name", "memory"), row, strict=True)) for row in rows]
    machine = read_machine(
        build({}, system="windows", machine="AMD64", display_adapters=adapters)
    )
    assert [(card.vendor, card.memory_total_bytes, card.unified) for card in cards(machine)] == [
        ("nvidia", 12878610432, False), ("amd", None, True), ("amd", 24 * GIB, False),
        ("amd", 32 * GIB, False), ("intel", 12 * GIB, False),
    ]  # fmt: skip
    # a driver that does not answer costs nothing where the registry knows; its own answer comes
    # first, and a mask is not guessed at
    dll, first = {"C:/Windows/System32/nvml.dll": "x"}, adapters[:1]
    here = {"system": "windows", "machine": "AMD64", "display_adapters": first}
    for error, env, size in (
        ({"error": 18}, {}, 12878610432),
        (answer(device(4)), {}, 8192 * MIB),
        ({"error": 18}, {"CUDA_VISIBLE_DEVICES": "0"}, None),
    ):
        machine = read_machine(build(dll, env, nvml=error, **here))
        assert [card.memory_total_bytes for card in cards(machine)] == [size]
    none = [
        {
            "id": "ROOT\\BasicDisplay",
            "name": "Microsoft Basic Display Adapter",
            "memory": None,
        }
    ]
    assert cards(read_machine(build({}, system="windows", display_adapters=none))) == ()
    assert read_machine(build({}, system="windows")).accelerators is None
