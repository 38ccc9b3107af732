"""Descriptions of machines as systems and programs print them."""

import pytest

from selfhost.core.tables import shipped_table
from selfhost.machine.gpu_names import cards_named
from selfhost.machine.named import machine_named
from selfhost.machine.pasted import as_typed

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
