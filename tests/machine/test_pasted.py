"""Descriptions of machines as systems and programs print them."""

import pytest

from selfhost.core.tables import shipped_table
from selfhost.machine.gpu_names import UnknownGpuError, cards_named
from selfhost.machine.named import NotOneMachineError, machine_named, profile_named
from selfhost.machine.pasted import as_typed
from selfhost.machine.profiles import UnknownMachineError

GIB = 2**30


@pytest.mark.parametrize(
    ("text", "gib"),
    [
        # `About` of Windows, in English, German and French
        ("12th Gen Intel(R) Core(TM) i7-12700H 2.30 GHz 32.0 GB (31.7 GB usable)", 32),
        (
            "Prozessor Intel(R) Core(TM) i5-10210U CPU @ 1.60GHz 2,11 GHz Installierter RAM 8,00 GB",
            8,
        ),
        ("AMD Ryzen 5 3500U with Radeon Vega Mobile Gfx 8,00 GB (5,88 GB verwendbar)", 8),
        (
            "Intel(R) Core(TM) i5-8265U CPU 1,80 GHz Mémoire RAM installée 8,00 Go (7,85 Go utilisable)",
            8,
        ),
        # `About This Mac`
        ("MacBook Pro 14-inch, Nov 2023 Apple M3 Pro 18 GB", 18),
        ("MacBook Air 13-inch, M3, 2024 Chip Apple M3 Memory 16 GB", 16),
        # fastfetch and neofetch
        ("CPU: AMD Ryzen 5 5600X (12) @ 4.65 GHz Memory: 8.00 GiB / 32.00 GiB (26%)", 32),
        ("CPU: Intel i7-9700K (8) @ 4.900GHz Memory: 32768MiB", 32),
    ],
)
def test_the_memory_that_a_system_tells_is_the_ram(text: str, gib: int) -> None:
    machine = machine_named(text)
    assert machine.memory_total_bytes == gib * GIB
    assert not machine.assumes("memory_total_bytes")
    assert not machine.accelerators or machine.system == "macos"


@pytest.mark.parametrize(
    "text",
    [
        "AMD Ryzen 5 5600X (12) @ 4.65 GHz, NVIDIA GeForce RTX 3060, 32 GiB",
        "CPU: AMD Ryzen 5 5600X (12) @ 3.7GHz GPU: NVIDIA GeForce RTX 3060 Lite Hash Rate [Discrete] Memory: 32.00 GiB",
        "ryzen 5600x 32gb VGA compatible controller: NVIDIA Corporation GA106 [GeForce RTX 3060] (rev a1)",
    ],
)
def test_threads_in_brackets_count_no_cards(text: str) -> None:
    """One card stands in each."""
    machine = machine_named(text)
    assert [card.name for card in machine.accelerators or ()] == ["NVIDIA GeForce RTX 3060"]
    assert machine.memory_total_bytes == 32 * GIB


@pytest.mark.parametrize(
    ("text", "name"),
    [
        # lspci
        ("NVIDIA Corporation GA102 [GeForce RTX 3090] (rev a1)", "rtx 3090"),
        ("VGA compatible controller: NVIDIA Corporation GP102GL [Tesla P40]", "tesla p40"),
        ("NVIDIA Corporation AD104M [GeForce RTX 4080 Max-Q / Mobile]", "rtx 4080 laptop"),
        ("Advanced Micro Devices, Inc. [AMD/ATI] Navi 21 [Radeon RX 6900 XT]", "rx 6900 xt"),
        # the device manager of Windows, dxdiag
        ("Radeon RX 570 Series", "rx 570"),
        ("NVIDIA GeForce RTX 3060 Lite Hash Rate", "rtx 3060"),
    ],
)
def test_a_card_is_known_as_systems_list_it(text: str, name: str) -> None:
    assert cards_named(text).accelerators == cards_named(name).accelerators


@pytest.mark.parametrize(
    "text", ["i5 12400,16gb ddr4", "vega 56,8gb", "rx 580,8gb", "i5-8250U 16GB", "rtx 3060 (12 GB)"]
)
def test_other_text_is_as_it_was_typed(text: str) -> None:
    """A comma between two names stands before no decimals."""
    assert as_typed(text) == text


def test_every_label_names_nothing() -> None:
    labels = shipped_table("products")["labels"]
    for label in (*labels["alone"], *(f"{label}:" for label in labels["before_colon"])):
        assert as_typed(f"{label} i5-8250U").strip() == "i5-8250U", label


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        # two threads a core is no count of cores, and the sockets stand at the end
        (
            "Model name: Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz CPU(s): 56 Thread(s) per core: 2 Core(s) per socket: 14 Socket(s): 2",
            56,
        ),
        (
            "CPU(s): 16 On-line CPU(s) list: 0-15 Model name: AMD Ryzen 7 5800X 8-Core Processor Thread(s) per core: 2 Core(s) per socket: 8 Socket(s): 1",
            16,
        ),
    ],
)
def test_the_processors_that_lscpu_tells_are_counted(text: str, cores: int) -> None:
    machine = machine_named(text)
    assert machine.cpu_cores_usable == cores
    assert machine.accelerators == ()


def test_the_slot_of_a_card_is_no_part_of_its_name() -> None:
    line = "01:00.0 VGA compatible controller: NVIDIA Corporation GA102 [GeForce RTX 3090] (rev a1)"
    (card,) = cards_named(line).accelerators
    assert card.name == "NVIDIA GeForce RTX 3090"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        # lines of lspci by the pci.ids of the PCI ID Repository
        (
            "03:00.0 VGA compatible controller: Advanced Micro Devices, Inc. [AMD/ATI] Navi 31 [Radeon RX 7900 XT/7900 XTX/7900 GRE/7900M] (rev c8)",
            ["RX 7900 XT", "RX 7900 XTX", "RX 7900 GRE", "RX 7900M"],
        ),
        (
            "Advanced Micro Devices, Inc. [AMD/ATI] Navi 21 [Radeon RX 6800/6800 XT / 6900 XT] (rev c1)",
            ["RX 6800", "RX 6800 XT", "RX 6900 XT"],
        ),
        (
            "Advanced Micro Devices, Inc. [AMD/ATI] Navi 33 [Radeon RX 7600/7600 XT/7600M XT/7600S/7700S / PRO W7600]",
            ["RX 7600", "RX 7600 XT", "RX 7600M XT", "RX 7600S", "RX 7700S", "PRO W7600"],
        ),
        (
            "Advanced Micro Devices, Inc. [AMD/ATI] Vega 10 XL/XT [Radeon RX Vega 56/64] (rev c1)",
            ["RX Vega 56", "RX Vega 64"],
        ),
        # neofetch
        (
            "GPU: AMD ATI Radeon RX 5600 OEM/5600 XT / 5700/5700 XT",
            ["RX 5600 XT", "RX 5700", "RX 5700 XT"],
        ),
    ],
)
def test_of_a_chip_that_several_cards_have_the_card_is_asked_for(
    text: str, names: list[str]
) -> None:
    """Each name it proposes is one that is read."""
    with pytest.raises(NotOneMachineError) as caught:
        machine_named(f"ryzen 7 5800x 32gb {text}")
    proposed = caught.value.nearest
    assert [name.split("Radeon ")[1] for name in proposed] == names
    for name in proposed:
        (card,) = machine_named(name).accelerators or ()
        assert card.name == cards_named(name.split("32gb ")[1]).accelerators[0].name
    with pytest.raises(UnknownGpuError) as caught_gpu:
        cards_named(text)
    assert len(caught_gpu.value.nearest) == len(names)


def test_a_chip_of_which_one_card_is_listed_is_that_card() -> None:
    """Nothing is to be asked where the others have no row."""
    (card,) = cards_named(
        "Advanced Micro Devices, Inc. [AMD/ATI] Navi 44 [Radeon RX 9060 XT / 99999 XT]"
    ).accelerators
    assert card.name == "AMD Radeon RX 9060 XT"


@pytest.mark.parametrize(
    "text",
    [
        "AMD Ryzen 7 7840HS w/ Radeon 780M Graphics (16) @ 5.14 GHz AMD Radeon 780M Graphics [Integrated] 32 GiB",
        "CPU: AMD Ryzen 7 7840HS (16) @ 5.14 GHz GPU: AMD Radeon 780M Graphics @ 2.70 GHz [Integrated] Memory: 4 GiB / 32 GiB",
        "ryzen 7 7840hs radeon 780m 32gb",
    ],
)
def test_the_gpu_in_a_processor_is_counted_once(text: str) -> None:
    (card,) = machine_named(text).accelerators or ()
    assert card.unified


def test_a_gpu_by_the_name_of_its_processor_is_no_card() -> None:
    machine = machine_named(
        "CPU: AMD Ryzen 9 7950X (32) @ 5.88 GHz GPU 1: NVIDIA GeForce RTX 4090 [Discrete] GPU 2: AMD Raphael [Integrated] Memory: 64 GB"
    )
    assert [card.name for card in machine.accelerators or ()] == ["NVIDIA GeForce RTX 4090"]


def test_ram_that_a_system_keeps_some_of_is_told_in_gib() -> None:
    note = profile_named("i7-8700 15.5GiB").note
    assert note is not None
    assert "15.5 GiB of RAM" in note
    whole = profile_named("i7-8700 16GB").note
    assert whole is not None
    assert "16 GB of RAM" in whole


@pytest.mark.parametrize(
    ("lines", "like"),
    [
        # what the kernel tells of the board, alone and in neofetch
        ("Raspberry Pi 4 Model B Rev 1.4 4GB", "raspberry pi 4 4gb"),
        ("Raspberry Pi 3 Model B Plus Rev 1.3", "raspberry pi 3"),
        (
            "pi@raspberrypi\n--------------\nOS: Debian GNU/Linux 12 (bookworm) aarch64\nHost: Raspberry Pi 5 Model B Rev 1.0\nKernel: 6.6.20\nCPU: (4) @ 2.400GHz\nMemory: 812MiB / 8052MiB",
            "raspberry pi 5 8gb",
        ),
        # About This Mac, system_profiler, neofetch
        ("Chip Apple M4\nMemory 16 GB\nSerial number C02\nmacOS Sequoia 15.1", "apple m4 16gb"),
        ("macbook air m4 16gb macos", "macbook air m4 16gb"),
        (
            "Model Name: MacBook Air\nModel Identifier: Mac14,2\nChip: Apple M2\nTotal Number of Cores: 8 (4 performance and 4 efficiency)\nMemory: 8 GB",
            "macbook air m2 8gb",
        ),
        (
            "me@mac.local\n------------\nOS: macOS 15.1 24B83 arm64\nHost: MacBookPro18,3\nKernel: 24.1.0\nCPU: Apple M1 Pro\nGPU: Apple M1 Pro\nMemory: 9120MiB / 16384MiB",
            "macbook pro m1 pro 16gb",
        ),
        # lspci
        (
            "01:00.0 VGA compatible controller: NVIDIA Corporation GA104 [GeForce RTX 3070] (rev a1)\n01:00.1 Audio device: NVIDIA Corporation GA104 High Definition Audio Controller (rev a1)",
            "rtx 3070",
        ),
    ],
)
def test_what_programs_print_line_by_line_is_the_machine_that_it_is(lines: str, like: str) -> None:
    pasted, typed = machine_named(lines), machine_named(like)
    assert pasted.name == typed.name
    assert pasted.memory_total_bytes == typed.memory_total_bytes
    assert pasted.accelerators == typed.accelerators


@pytest.mark.parametrize(
    ("lines", "processor", "system", "mib"),
    [
        (
            "OS Name: Microsoft Windows 11 Home\nProcessor(s): AMD Ryzen 5 5600U\nTotal Physical Memory: 16,192 MB",
            "AMD Ryzen 5 5600U",
            "windows",
            16192,
        ),
        (
            "Device name\tDESKTOP-4F2\nProcessor\t12th Gen Intel(R) Core(TM) i5-1235U   1.30 GHz\nInstalled RAM\t16.0 GB (15.7 GB usable)\nSystem type\t64-bit operating system, x64-based processor",
            "i5-1235U",
            "windows",
            16384,
        ),
        ("model name : Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz\nMemTotal: 7884340 kB", "i5-8250U", "linux", 7699),
        (
            "joe@t480\n--------\nOS: Ubuntu 22.04.3 LTS x86_64\nKernel: 6.2.0-39-generic\nPackages: 1900 (dpkg)\nResolution: 1920x1080\nCPU: Intel i5-8350U (8) @ 3.600GHz\nMemory: 4821MiB / 15831MiB",
            "i5-8350U",
            "linux",
            15831,
        ),
    ],
)  # fmt: skip
def test_other_lines_tell_nothing_of_the_machine(
    lines: str, processor: str, system: str, mib: int
) -> None:
    machine = machine_named(lines)
    assert machine.cpu_model is not None
    assert processor in machine.cpu_model
    assert ":" not in machine.cpu_model
    assert machine.system == system
    assert machine.memory_total_bytes is not None
    assert machine.memory_total_bytes / 2**20 == pytest.approx(mib, abs=1)


@pytest.mark.parametrize("version", ["22.04", "22.04.3", "24.04.2 LTS", "22.04.3 LTS x86_64"])
def test_the_version_of_a_system_is_no_gpu(version: str) -> None:
    """`.3` was a Radeon Vega 3."""
    machine = machine_named(f"Ubuntu {version} i5-8350U 16GB")
    assert machine.accelerators == ()
    assert machine.cpu_model == "i5-8350U"


def test_lscpu_without_sockets_counts_the_cores_of_its_processor() -> None:
    """`Thread(s) per core: 2` were two cores."""
    lines = "Architecture: x86_64\nCPU(s): 16\nModel name: AMD Ryzen 7 5800H with Radeon Graphics\nThread(s) per core: 2\nCore(s) per socket: 8\nL3 cache: 16 MiB"
    assert machine_named(lines).cpu_cores_physical == 8
    assert machine_named(" ".join(lines.splitlines()[2:5])).cpu_cores_physical == 8


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("raspberry pi 5 with 8gb", "raspberry-pi-5-8gb"),
        ("raspberry pi 5 8 gb ram", "raspberry-pi-5-8gb"),
        ("raspberry pi 5 8gb 256gb ssd", "raspberry-pi-5-8gb"),
        ("jetson orin nano 8gb ram", "jetson-orin-nano-8gb"),
        ("framework desktop 128 gb ram", "strix-halo-128gb"),
        ("macbook air m2 16gb with 512gb ssd", "macbook-air-m2-16gb"),
    ],
)
def test_words_around_the_memory_leave_a_name_what_it_is(text: str, name: str) -> None:
    """Of each but the name and its size some made it any ARM board, or no machine."""
    assert machine_named(text).name == name


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        # nvidia-smi -L
        (
            "GPU 0: NVIDIA GeForce RTX 3090 (UUID: GPU-1f2a)\nGPU 1: NVIDIA GeForce RTX 3090 (UUID: GPU-2f2a)",
            ["NVIDIA GeForce RTX 3090"] * 2,
        ),
        # lspci: what the processor has is no card, and servers tell the domain of a slot
        (
            "00:02.0 VGA compatible controller: Intel Corporation Raptor Lake-P [UHD Graphics] (rev 04)\n01:00.0 VGA compatible controller: NVIDIA Corporation AD107M [GeForce RTX 4060 Max-Q / Mobile] (rev a1)",
            ["NVIDIA GeForce RTX 4060 Laptop GPU"],
        ),
        (
            "0000:65:00.0 3D controller: NVIDIA Corporation GA100 [A100 PCIe 80GB] (rev a1)",
            ["NVIDIA A100 80GB PCIe"],
        ),
        (
            "CPU: AMD Ryzen 9 7950X (32) @ 5.88 GHz\nGPU 1: NVIDIA GeForce RTX 4090 [Discrete]\nGPU 2: NVIDIA GeForce RTX 3090 [Discrete]\nMemory: 12.10 GiB / 62.01 GiB",
            ["NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 3090"],
        ),
    ],
)
def test_each_card_that_is_listed_counts(lines: str, names: list[str]) -> None:
    assert [card.name for card in machine_named(lines).accelerators or ()] == names


@pytest.mark.parametrize(
    "text",
    [
        "13th Gen Intel(R) Core(TM) i7-13700H, 2400 Mhz, 14 Core(s), 20 Logical Processor(s) 16gb",
        "i7-13700h 16gb CPU max MHz: 5000.0",
    ],
)
def test_the_clock_of_a_processor_is_no_rate_of_the_ram(text: str) -> None:
    """2,400 MHz made it DDR4-2400, which no such laptop has."""
    assert machine_named(text).memory_bandwidth_bytes_per_second is None
    stated = machine_named("i7-13700h 2x8gb 4800mhz").memory_bandwidth_bytes_per_second
    assert stated == 2 * 8 * 4_800_000_000


def test_a_long_text_is_quoted_in_part() -> None:
    """lspci and lscpu print pages; what they are read as is told whole."""
    lines = "\n".join(
        ["Model name: Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz", *["Flags: fpu vme"] * 100]
    )
    note = profile_named(lines).note
    assert note is not None
    assert len(note) < 700
    assert 'is read as "Intel Core i5-8250U CPU @ 1.60GHz"' in note


@pytest.mark.parametrize("text", ["rasberry pi5 16gb", "raspbery pi 5 16gb", "raspberry pi 5 16gb debian 12"])  # fmt: skip
def test_a_slip_or_a_system_beside_a_boards_name_is_the_board(text: str) -> None:
    assert machine_named(text).name == "raspberry-pi-5-16gb"


@pytest.mark.parametrize(
    "text", ["radeon " + "1" * 50_000, "speed " + "1" * 50_000 + " x", "x" * 500]
)
def test_a_word_without_end_is_no_machine(text: str) -> None:
    """Minutes went by over the first."""
    with pytest.raises(UnknownMachineError, match="is no name of a machine") as caught:
        machine_named(text)
    assert len(str(caught.value)) < 200
