"""Accelerators: what NVIDIA's library, sysfs and the registry say of GPUs, however badly they say
it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from helpers.paths import DATA
from helpers.recordings import Build
from selfhost.machine.probes import system
from selfhost.machine.probes.recorded import RecordedHost
from selfhost.machine.reader import read_machine
from selfhost.machine.record import Accelerator, Machine

MIB = 2**20
GIB = 2**30
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
# what a file holds
File = str | bytes
NAME = "NVIDIA H100 80GB HBM3"
TOTAL = 81559 * MIB


class Captured(NamedTuple):
    """What `nvidia-smi` printed of a real card, and the bandwidth that its maker states."""

    name: str
    total_mib: int
    free_mib: int
    capability: list[int]
    clock_mhz: int
    width_bits: int
    bandwidth_gb_per_second: int


# utkuozdemir/nvidia_gpu_exporter@e656cd81, internal/captures, MIT; bus widths are from the makers'
# pages
CARDS = (
    Captured(NAME, 81559, 81081, [9, 0], 2619, 5120, 3352),
    Captured("NVIDIA H200", 143771, 143158, [9, 0], 3201, 6144, 4917),
    Captured("NVIDIA L40S", 46068, 45460, [8, 9], 9001, 384, 864),
    Captured("NVIDIA GeForce RTX 4080 SUPER", 16376, 15348, [8, 9], 11501, 256, 736),
    Captured("NVIDIA GeForce RTX 2080 SUPER", 8192, 7286, [7, 5], 7751, 256, 496),
)
H100 = CARDS[0]
RTX_2080 = CARDS[4]


class Instance(NamedTuple):
    """A part of a card in MIG mode: its memory, and how many eighths of the bandwidth it has."""

    profile: str
    total_mib: int
    eighths: int


# of the MIG capture
MIG = (
    Instance("3g.40gb", 40448, 4),
    Instance("2g.20gb", 20096, 2),
    Instance("1g.10gb", 9984, 1),
    Instance("1g.10gb", 9984, 1),
)

# what the driver's library says of one card
Device = dict[str, object]


def device(captured: Captured = H100, **values: object) -> Device:
    """The answer for a captured card, with other values for some keys."""
    return {
        "name": captured.name,
        "memory_total_bytes": captured.total_mib * MIB,
        "memory_free_bytes": captured.free_mib * MIB,
        "compute_capability": captured.capability,
        "memory_clock_mhz": captured.clock_mhz,
        "bus_width_bits": captured.width_bits,
        "error": None,
    } | values


def instance(part: Instance, part_of: int = TOTAL) -> Device:
    """The answer for a part of an H100 with `part_of` bytes; 0 where the card may not be read."""
    return device(
        name=f"{NAME} MIG {part.profile}",
        memory_total_bytes=part.total_mib * MIB,
        memory_free_bytes=(part.total_mib - 40) * MIB,
        part_of_bytes=part_of,
    )


def answer(*gpus: Device | list[Device]) -> dict[str, object]:
    """What the library answers: a card, or the parts of one, each."""
    parts = [gpu if isinstance(gpu, list) else [gpu] for gpu in gpus]
    return {"driver": "590.48.01", "gpus": parts}


def cards(machine: Machine) -> tuple[Accelerator, ...]:
    """The accelerators, which are known."""
    assert machine.accelerators is not None
    return machine.accelerators


def sizes(machine: Machine) -> list[int | None]:
    """The memory of each accelerator."""
    return [card.memory_total_bytes for card in cards(machine)]


class Why(NamedTuple):
    """Why the memory of an accelerator is unread, and what to do about it."""

    reason: str
    remedy: str


def why(machine: Machine) -> Why:
    """What the machine says of memory that is unread."""
    told = machine.why_unread("accelerators.memory_total_bytes")
    return Why(told.reason, told.remedy or "")


# ------------------------------------------------------------------ NVIDIA: what its answer means


@pytest.mark.parametrize("captured", CARDS, ids=lambda captured: captured.name)
def test_a_card_as_its_driver_tells_of_it(build: Build, captured: Captured) -> None:
    """Name, memory, driver and compute capability as nvidia-smi prints them; the bandwidth that the
    maker states, to the gigabyte.
    """
    machine = read_machine(build(NODES, nvml=answer(device(captured))))
    (card,) = cards(machine)
    assert card.vendor == "nvidia"
    assert card.name == captured.name
    assert card.driver == "590.48.01"
    assert card.memory_total_bytes == captured.total_mib * MIB
    assert card.memory_free_bytes == captured.free_mib * MIB
    assert card.unified is False
    major, minor = captured.capability
    assert card.compute_capability == f"{major}.{minor}"
    bandwidth = (card.memory_bandwidth_bytes_per_second or 0) / 10**9
    assert round(bandwidth) == captured.bandwidth_gb_per_second
    unread = [entry.fact for entry in machine.unread]
    assert not any(fact.startswith("accelerators") for fact in unread)


@pytest.mark.parametrize(
    ("mask", "left"),
    [
        pytest.param("", [], id="empty"),
        pytest.param("-1", [], id="minus one"),
        pytest.param("NoDevFiles", [], id="a word"),
        pytest.param("0", [0], id="the first"),
        pytest.param("1", [1], id="the second"),
        pytest.param("2,1", [2, 1], id="two in another order"),
        pytest.param(" 0 , 2 ", [0, 2], id="spaces"),
        pytest.param("0,2,-1,1", [0, 2], id="minus one among them"),
        pytest.param("0,9,1", [0], id="one that is not there"),
        pytest.param("1,1,0", [1], id="one twice"),
        pytest.param("0,,1", [0], id="nothing among them"),
        pytest.param("99999999999999999999", [], id="a long number"),
        pytest.param("²", [], id="a superscript"),
    ],
)
def test_visible_devices(build: Build, mask: str, left: list[int]) -> None:
    """By number, in the order given; what is invalid ends the list (CUDA C++ Programming Guide,
    5.2.1.1).
    """
    # the free memory of each tells which it is
    three = [device(memory_free_bytes=(70 + number) * GIB) for number in range(3)]
    machine = read_machine(build(NODES, {"CUDA_VISIBLE_DEVICES": mask}, answer(*three)))
    expected = [(70 + number) * GIB for number in left]
    assert [card.memory_free_bytes for card in cards(machine)] == expected
    assert "CUDA_VISIBLE_DEVICES" in machine.sources["accelerators"]


def test_a_number_among_unlike_cards_is_not_guessed(build: Build) -> None:
    """CUDA puts the fastest first unless told to go by the bus: which card 0 is, the driver's own
    order does not tell.
    """
    both = answer(device(RTX_2080), device(H100))
    machine = read_machine(build(NODES, {"CUDA_VISIBLE_DEVICES": "0"}, both))
    (card,) = cards(machine)
    assert card.memory_total_bytes is None
    assert card.unified is False
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in why(machine).remedy
    ordered = {"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    (card,) = cards(read_machine(build(NODES, ordered, both)))
    assert card.name == RTX_2080.name
    by_uuid = read_machine(build(NODES, {"CUDA_VISIBLE_DEVICES": "GPU-b,GPU-a"}, both))
    assert sizes(by_uuid) == [None, None]
    assert "by UUID" in why(by_uuid).reason


def test_in_mig_mode_the_instances_are_the_accelerators(build: Build) -> None:
    """Each has its own memory and its eighths of the bandwidth; the card as a whole cannot be
    used.
    """
    split = answer([instance(part) for part in MIG])
    machine = read_machine(build(NODES, nvml=split))
    # an H100's: two transfers a clock, over 5,120 bits
    whole_rate = 2 * 2619e6 * 5120 / 8
    for card, part in zip(cards(machine), MIG, strict=True):
        assert card.name.split()[-1] == part.profile
        assert card.memory_total_bytes == part.total_mib * MIB
        assert card.is_part is True
        assert card.compute_capability == "9.0"
        rate = card.memory_bandwidth_bytes_per_second
        assert rate == pytest.approx(whole_rate * part.eighths / 8)
    chosen = read_machine(build(NODES, {"CUDA_VISIBLE_DEVICES": "0"}, split))
    assert sizes(chosen) == [part.total_mib * MIB for part in MIG]
    none = read_machine(build(NODES, {"CUDA_VISIBLE_DEVICES": "1"}, split))
    assert sizes(none) == []
    # a pod may not read the card, only its slice (IDSIA/sacred#864)
    refused = answer([instance(MIG[2], part_of=0)])
    (card,) = cards(read_machine(build(NODES, nvml=refused)))
    assert card.memory_total_bytes == 9984 * MIB
    assert card.memory_bandwidth_bytes_per_second is None
    assert cards(read_machine(build(NODES, nvml=answer([])))) == ()


@pytest.mark.parametrize(
    ("error", "said", "todo"),
    [
        pytest.param({"error": 18}, "different versions", "restart", id="mismatch"),
        pytest.param({"error": 9}, "not loaded", "modprobe", id="not loaded"),
        pytest.param(
            {"error": 12}, "libnvidia-ml", "DRIVER_CAPABILITIES", id="no library"
        ),
        pytest.param({"error": 4}, "may not ask", "account", id="not allowed"),
        pytest.param({"error": 999}, "error 999", "nvidia-smi", id="unknown error"),
        pytest.param(
            {"driver": "550.54"}, "no usable answer", "nvidia-smi", id="no cards"
        ),
        pytest.param(
            {"why": "it gave no answer within 10 seconds"},
            "10 seconds",
            "nvidia-smi",
            id="no answer",
        ),
        pytest.param(None, "recorded tree", "--machine", id="not recorded"),
    ],
)
def test_a_driver_that_does_not_answer_is_unread(
    build: Build, error: dict[str, object] | None, said: str, todo: str
) -> None:
    """Names and number still come from files; the memory is unread, with what to do about it."""
    slot = "/proc/driver/nvidia/gpus/0000:01:00.0/information"
    files = NODES | BUS | {slot: f"Model: \t\t {NAME}\n"}
    machine = read_machine(build(files, nvml=error))
    (card,) = cards(machine)
    assert card.name == NAME
    assert card.memory_total_bytes is None
    assert said in why(machine).reason
    assert todo in why(machine).remedy


def test_a_container_that_was_handed_no_gpu(build: Build) -> None:
    """The bus shows every card of the host. `void` and `none` say that none was meant; otherwise it
    may have been forgotten.
    """
    for word in ("void", "none"):
        machine = read_machine(build(BUS, {"NVIDIA_VISIBLE_DEVICES": word}))
        assert machine.accelerators == ()
        assert "NVIDIA_VISIBLE_DEVICES" in machine.sources["accelerators"]
    forgotten = read_machine(build(BUS, {"NVIDIA_VISIBLE_DEVICES": "all"}))
    assert "--gpus all" in why(forgotten).remedy


def test_a_container_that_was_handed_one_of_two_gpus(build: Build) -> None:
    """Its device files count where the driver is silent, not the bus of the host."""
    both = BUS | {name.replace("01:00", "02:00"): value for name, value in BUS.items()}
    assert len(cards(read_machine(build(both | NODES)))) == 1
    assert len(cards(read_machine(build(both | NODES | {"/dev/nvidia1": "x"})))) == 2


def test_a_card_in_an_arm_server_has_its_own_memory(build: Build) -> None:
    """Only one of which the driver says that it has no memory of its own shares the RAM, as a GB10
    does.
    """
    with_memory = answer(device(memory_total_bytes=TOTAL, memory_free_bytes=TOTAL))
    (card,) = cards(read_machine(build(NODES, nvml=with_memory, machine="aarch64")))
    assert card.memory_total_bytes == TOTAL
    assert card.unified is False
    without = answer(device(memory_total_bytes=None, memory_free_bytes=None, error=3))
    (card,) = cards(read_machine(build(NODES, nvml=without, machine="aarch64")))
    assert card.memory_total_bytes is None
    assert card.unified is True


@pytest.mark.parametrize(
    ("board", "compatible", "name"),
    [
        # NVIDIA's own names differ by release; carriers of other makers have names of their own
        pytest.param(
            "NVIDIA Jetson Orin Nano Developer Kit",
            "nvidia,tegra234",
            "NVIDIA Jetson Orin Nano Developer Kit",
            id="named a Jetson",
        ),
        pytest.param(
            "NVIDIA Orin NX Developer Kit",
            "nvidia,p3767-0000\0nvidia,tegra234",
            "NVIDIA Orin NX Developer Kit",
            id="named an Orin",
        ),
        pytest.param(
            "Carrier X",
            "maker,x\0nvidia,tegra194",
            "NVIDIA Jetson (Carrier X)",
            id="carrier of another maker",
        ),
        pytest.param(
            "Raspberry Pi 5 Model B Rev 1.0",
            "raspberrypi,5-model-b\0brcm,bcm2712",
            None,
            id="another board",
        ),
    ],
)
def test_a_jetson_is_told_by_its_chip(
    build: Build, board: str, compatible: str, name: str | None
) -> None:
    """A Jetson has no PCI bus on which its GPU would stand."""
    files = {
        "/proc/device-tree/model": f"{board}\0",
        "/proc/device-tree/compatible": f"{compatible}\0",
        "/sys/bus/cpu/uevent": "x",
    }
    found = cards(read_machine(build(files, machine="aarch64")))
    if name is None:
        assert found == ()
        return
    (card,) = found
    assert card.vendor == "nvidia"
    assert card.name == name
    assert card.unified is True


# ------------------------------------------------------------------ NVIDIA: asking for real, in a
# child


class Asking(RecordedHost):
    """Files of a recording, and a child that is started for real."""

    def ask(self, name: str, about: str | None = None) -> object:
        if name == "nvml":
            return system.ask_nvml()
        return super().ask(name, about)


# reads a machine whose driver behaves like a case of tests/data/nvml.c
Ask = Callable[[str], Machine]


@pytest.fixture
def asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build: Build) -> Ask:
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


def test_what_the_library_says_is_read(asking: Ask) -> None:
    """By the structures of nvml.h two cards, of which `free` and not `used` is free; in MIG mode
    the instances that its numbers, which have gaps, lead to.
    """
    whole = cards(asking(""))
    assert len(whole) == 2
    for card in whole:
        assert card.name == NAME
        assert card.memory_total_bytes == 81559 * MIB
        assert card.memory_free_bytes == (81559 - 478) * MIB
        rate = card.memory_bandwidth_bytes_per_second
        assert rate == pytest.approx(3352e9, rel=1e-3)
    parts = cards(asking("mig"))
    assert len(parts) == 4
    for card in parts:
        assert card.name == f"{NAME} MIG 1g.10gb"
        assert card.memory_total_bytes == 9984 * MIB
        assert card.memory_free_bytes == (9984 - 478) * MIB
        rate = card.memory_bandwidth_bytes_per_second
        assert rate == pytest.approx(3352e9 / 8, rel=1e-3)
    assert {card.compute_capability for card in (*whole, *parts)} == {"9.0"}


@pytest.mark.parametrize(
    ("case", "said"),
    [
        pytest.param("exit", "status 3", id="exit-status 3"),
        pytest.param("crash", "signal 11", id="crash-signal 11"),
        pytest.param("hang", "within 1 second", id="hang-within 1 second"),
        pytest.param(
            "mismatch", "different versions", id="mismatch-different versions"
        ),
    ],
)
def test_a_driver_that_hangs_or_crashes_costs_its_answer_alone(
    asking: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, case: str, said: str
) -> None:
    """The memory is unread, the rest of the machine is not, no process is left, and no core file is
    written.
    """
    monkeypatch.setattr(system, "NVML_SECONDS", 1.0 if case == "hang" else 30.0)
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    # another test may have left a process of Python's, such as the tracker of its resources
    children_before = psutil.Process().children()
    machine = asking(case)
    assert set(sizes(machine)) == {None}
    assert said in why(machine).reason
    assert machine.architecture == "x86_64"
    assert {path.name for path in set(tmp_path.iterdir()) - before} <= {"0"}
    children = set(psutil.Process().children()).difference(children_before)
    _gone, alive = psutil.wait_procs(children, timeout=20)
    assert not alive


# ------------------------------------------------------------------ AMD, Intel, Apple, Windows


def on_the_bus(slot: str, files: Mapping[str, File]) -> dict[str, File]:
    """The files of a card in this slot."""
    folder = f"/sys/bus/pci/devices/{slot}"
    return {f"{folder}/{name}": text for name, text in files.items()}


def amd(slot: str, **files: File) -> dict[str, File]:
    """amdgpu's files of one card."""
    known: dict[str, File] = {
        "class": "0x030000",
        "vendor": "0x1002",
        "device": "0x744c",
        "revision": "0xc8",
    }
    return on_the_bus(slot, known | files)


def memory(total: int, used: int, borrowed: int) -> dict[str, File]:
    """amdgpu's files of the memory of a card; `borrowed` is what it may take of the RAM."""
    return {
        "mem_info_vram_total": str(total),
        "mem_info_vram_used": str(used),
        "mem_info_gtt_total": str(borrowed),
    }


# head of gpu_metrics: size, format and content revision; 1.3 is a card's, 2.x and 3.0 a processor's
# own graphics'
CARD = b"\x78\x00\x01\x03rest"
CHIP = b"\x80\x00\x02\x01rest"
CHIP_3 = b"\x08\x01\x03\x00rest"
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
def test_a_name_that_is_too_long_is_cut(files: dict[str, File], build: Build) -> None:
    """A container may have any text in such files."""
    (card,) = cards(read_machine(build(files)))
    assert "Radeon" in card.name
    assert len(card.name) <= 220


def test_a_name_of_the_library_that_is_too_long_is_cut(build: Build) -> None:
    """The library is the container's, too."""
    host = build(NODES, nvml=answer(device(name=LONG_NAME)))
    (card,) = cards(read_machine(host))
    assert len(card.name) == 200


def test_an_amd_card(build: Build) -> None:
    """Memory and what is used of it, the name from libdrm's table."""
    files = amd(
        "0000:03:00.0",
        gpu_metrics=CARD,
        unique_id="6d3f0b1c2a4e5968",
        **memory(24 * GIB, 2 * GIB, 16 * GIB),
    )
    machine = read_machine(build(files | {"/usr/share/libdrm/amdgpu.ids": IDS}))
    (card,) = cards(machine)
    assert card.vendor == "amd"
    assert card.name == "AMD Radeon RX 7900 XTX"
    assert card.unified is False
    assert card.memory_total_bytes == 24 * GIB
    assert card.memory_free_bytes == 22 * GIB
    assert "6d3f0b1c" not in json.dumps(machine.to_json())


@pytest.mark.parametrize(
    "head", [pytest.param(CHIP, id="2.1"), pytest.param(CHIP_3, id="3.0")]
)
def test_amd_graphics_that_borrow_the_ram_share_it(build: Build, head: bytes) -> None:
    """A Strix Halo with 512 MiB of its own borrows the rest (ROCm/legacy-rocm-build#6004): it is no
    card of 512 MiB.
    """
    ram = {"/proc/meminfo": "MemTotal: 130989138 kB\nMemAvailable: 120000000 kB\n"}
    chip = amd("0000:c5:00.0", gpu_metrics=head, **memory(512 * MIB, MIB, 128 * GIB))
    (card,) = cards(read_machine(build(ram | chip)))
    assert card.unified is True
    # stated larger than the RAM, of which it may use no more
    assert card.memory_total_bytes == 130_989_138 * 1024


def intel(slot: str, **files: File) -> dict[str, File]:
    """The files of an Arc B580, or of a processor's own graphics by the slot."""
    known: dict[str, File] = {
        "class": "0x030000",
        "vendor": "0x8086",
        "device": "0xe20b",
    }
    return on_the_bus(slot, known | files)


PCI_IDS = (
    "# x\n1234  Other\n\te20b  Not this\n8086  Intel Corporation\n\te20b  Battlemage G21 "
    "[Arc B580]\n\t\t1849 6020  X\n\t56a0  Plain\n"
)


def test_intel_cards(build: Build) -> None:
    """xe tells the memory of each tile; else it is unread, not 0."""
    names = {"/usr/share/misc/pci.ids": PCI_IDS}
    # 12 GiB
    tile: dict[str, File] = {"tile0/physical_vram_size_bytes": "0x300000000"}
    two_tiles = tile | {"tile1/physical_vram_size_bytes": str(GIB)}
    one_unread = tile | {"tile1/x": ""}
    for files, size in ((two_tiles, 13 * GIB), ({}, None), (one_unread, None)):
        (card,) = cards(read_machine(build(intel("0000:03:00.0", **files) | names)))
        assert card.name == "Intel Arc B580"
        assert card.memory_total_bytes == size
        assert card.unified is False
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
        assert card.name == "Apple M1 Max"
        assert card.unified is True
        assert card.memory_total_bytes == total
        if total is None:
            assert "two thirds" in why(machine).reason


def test_each_card_whose_memory_is_unread_has_its_reason(build: Build) -> None:
    """The reasons of two makers are told in one run, each with what to do about it."""
    files = NODES | BUS | intel("0000:83:00.0")
    told = why(read_machine(build(files, nvml={"error": 9})))
    assert "not loaded" in told.reason
    assert "Intel" in told.reason
    alone = why(read_machine(build(intel("0000:83:00.0"))))
    assert alone.remedy
    assert alone.remedy in told.remedy


CONTAINER = {"/run/.containerenv": "x"}


def test_a_container_has_the_gpus_that_it_was_handed(build: Build) -> None:
    """Its bus shows every card of the host; `--device` and device plugins hand it render nodes
    (docs of ROCm, "Running ROCm Docker containers").
    """
    first = memory(24 * GIB, 0, GIB) | {"drm/renderD128/x": ""}
    second = memory(16 * GIB, 0, GIB) | {"drm/renderD129/x": ""}
    two = amd("0000:03:00.0", **first) | amd("0000:43:00.0", **second)
    tile: dict[str, File] = {
        "tile0/physical_vram_size_bytes": str(12 * GIB),
        "drm/renderD130/x": "",
    }
    third = intel("0000:83:00.0", **tile)
    host = read_machine(build(two | third))
    assert sizes(host) == [24 * GIB, 16 * GIB, 12 * GIB]
    one = read_machine(build(two | CONTAINER | {"/dev/dri/renderD129": "x"}))
    assert sizes(one) == [16 * GIB]
    none = read_machine(build(two | third | CONTAINER))
    assert sizes(none) == [None, None, None]
    refusal = "an AMD GPU is there, but not handed to this container"
    assert refusal in why(none).reason
    assert "--device /dev/kfd --device /dev/dri" in why(none).remedy
    alone = read_machine(build(third | CONTAINER | {"/dev/dri/renderD130": "x"}))
    assert sizes(alone) == [12 * GIB]


def test_which_cards_of_amd_a_variable_selects_is_not_guessed(build: Build) -> None:
    """ROCm numbers its GPUs in an order that no file tells: their memory is unread."""
    card = amd("0000:03:00.0", **memory(24 * GIB, 0, GIB))
    machine = read_machine(build(card, {"HIP_VISIBLE_DEVICES": "0"}))
    assert sizes(machine) == [None]
    assert "HIP_VISIBLE_DEVICES" in why(machine).reason


def adapter(id: str | None, name: str | None, memory: int | None) -> dict[str, object]:
    """A display adapter as the registry of Windows has it."""
    return {"id": id, "name": name, "memory": memory}


RTX_4070_TI = adapter(
    "PCI\\VEN_10DE&DEV_2782&SUBSYS_1", "NVIDIA GeForce RTX 4070 Ti", 12878610432
)


def windows(
    build: Build,
    *adapters: dict[str, object],
    files: dict[str, File] | None = None,
    env: dict[str, str] | None = None,
    nvml: dict[str, object] | None = None,
) -> Machine:
    """A computer with these display adapters."""
    host = build(
        files or {},
        env,
        nvml,
        system="windows",
        machine="AMD64",
        display_adapters=list(adapters),
    )
    return read_machine(host)


def test_windows_display_adapters(build: Build) -> None:
    """qwMemorySize where a card's own; 512 MiB of a Radeon 780M are no card's; Intel's own graphics
    and virtual adapters are none.
    """
    machine = windows(
        build,
        RTX_4070_TI,
        adapter("PCI\\VEN_1002&DEV_15BF", "AMD Radeon 780M Graphics", 512 * MIB),
        adapter("PCI\\VEN_1002&DEV_744C", "AMD Radeon RX 7900 XTX", 24 * GIB),
        adapter("PCI\\VEN_1002&DEV_7551", "AMD Radeon AI PRO R9700", 32 * GIB),
        adapter("PCI\\VEN_8086&DEV_E20B", "Intel(R) Arc(TM) B580 Graphics", 12 * GIB),
        adapter("PCI\\VEN_8086&DEV_7D55", "Intel(R) Arc(TM) Graphics", 128 * MIB),
        adapter("ROOT\\BasicRender", "Microsoft Hyper-V Video", None),
        adapter(None, None, None),
    )
    nvidia, shared, *amd_cards, arc = cards(machine)
    assert (nvidia.vendor, nvidia.unified) == ("nvidia", False)
    assert nvidia.memory_total_bytes == 12878610432
    assert (shared.vendor, shared.unified) == ("amd", True)
    assert shared.memory_total_bytes is None
    assert [card.memory_total_bytes for card in amd_cards] == [24 * GIB, 32 * GIB]
    for card in amd_cards:
        assert (card.vendor, card.unified) == ("amd", False)
    assert (arc.vendor, arc.unified) == ("intel", False)
    assert arc.memory_total_bytes == 12 * GIB


def test_windows_registry_knows_the_memory_where_the_driver_is_silent(
    build: Build,
) -> None:
    """A driver that does not answer costs nothing there; its own answer comes first."""
    library: dict[str, File] = {"C:/Windows/System32/nvml.dll": "x"}
    silent = windows(build, RTX_4070_TI, files=library, nvml={"error": 18})
    assert sizes(silent) == [12878610432]
    told = answer(device(RTX_2080))
    assert sizes(windows(build, RTX_4070_TI, files=library, nvml=told)) == [8192 * MIB]
    mask = {"CUDA_VISIBLE_DEVICES": "0"}
    masked = windows(build, RTX_4070_TI, files=library, nvml={"error": 18}, env=mask)
    # which card the number means is not guessed
    assert sizes(masked) == [None]


def test_windows_without_a_gpu_has_none(build: Build) -> None:
    """An adapter of Windows itself is no GPU; no answer of the registry is unread."""
    basic = adapter("ROOT\\BasicDisplay", "Microsoft Basic Display Adapter", None)
    assert cards(windows(build, basic)) == ()
    assert read_machine(build({}, system="windows")).accelerators is None
