"""How many of a part a description tells: Lenovo, HP, MSI and ASUS sell no laptop with two GPUs, and
their names have the inches of the screen (Omen 16), a model (Legion 5) or a generation (P16 Gen 2).
"""

from itertools import permutations

import pytest

from helpers.each import each
from selfhost.machine.cpus import count_of
from selfhost.machine.named import machine_named
from selfhost.machine.profiles import UnknownMachineError


@each(
    "text",
    [
        "hp omen 16 rtx 4060 16gb",
        "msi vector 17 rtx 4080 32gb",
        "acer nitro v 15 rtx 4050 16gb",
        "scar 18 rtx 4090 64gb",
        "lenovo legion 7 rtx 3080 32gb",
        "surface laptop studio 2 rtx 4060 32gb",
        "ideapad gaming 3 rtx 3050 16gb",
        "thinkpad p16 gen 2 rtx 4000 ada 64gb",
        "legion 5 gen 6 rtx 3060 16gb",
        "i7 16 rtx 4060 16gb",
    ],
)
def test_a_number_of_a_products_name_counts_no_gpus(text: str) -> None:
    assert len(machine_named(text).accelerators or ()) == 1


@each(
    "text", ["lenovo p1 gen 6 rtx a2000 32gb", "dell xps 8 rtx 3060 ti", "asus proart 13 rtx 4060"]
)
def test_what_is_no_machine_is_told_of_one_gpu(text: str) -> None:
    with pytest.raises(UnknownMachineError, match="though RTX") as refusal:
        machine_named(text)
    assert "x RTX" not in str(refusal.value.remedy)


@each(
    ("text", "count"),
    [
        ("2 rtx 3090", 2),
        ("i9 2 rtx 4090 64gb", 2),
        ("ryzen 9 7950x 2 rtx 4090 64gb", 2),
        ("xeon e5-2690 v2 2 rtx 3090 64gb", 2),
        ("i7 12700k, 2 rtx 3060", 2),
        ("128gb 4 a100", 4),
        ("with 8 h100", 8),
        ("workstation 2 rtx a6000 128gb", 2),
        ("dell r740 3 tesla p40", 3),
        ("omen 16 with 2 rtx 4090", 2),
        ("rtx 4090 + 2 rtx 3090 64gb", 3),
        ("ryzen 5 rtx 3050 16gb", 1),
        ("laptop 2 3090 64gb", 2),
    ],
)
def test_a_number_that_stands_apart_counts_gpus(text: str, count: int) -> None:
    assert len(machine_named(text).accelerators or ()) == count


@each(
    ("text", "count"),
    [
        ("proliant gen 8 xeon e5-2690 v2 128gb", 1),
        ("gen 3 xeon gold 6348 256gb", 1),
        ("gen 2 epyc rtx 3090 64gb", 1),
        ("2 xeon gold 6226r", 2),
        ("server 2 epyc 7742", 2),
        ("128gb, 2 xeon e5-2670", 2),
    ],
)
def test_a_generation_counts_no_processors(text: str, count: int) -> None:
    """HPE's ProLiant Gen8 takes two processors at most."""
    assert count_of(machine_named(text).cpu_model or "") == count


def test_a_number_behind_the_memory_is_asked_about() -> None:
    with pytest.raises(UnknownMachineError, match="what the 2 at its end counts"):
        machine_named("rtx 3090 64gb 2")


def test_a_xeon_of_two_without_its_version_is_the_first() -> None:
    """ark.intel.com: the E5-2680 of 2012 has 8 cores, those with a version more."""
    machine = machine_named("dual xeon 2680 128gb")
    assert (machine.cpu_model, machine.cpu_cores_physical) == ("dual xeon e5-2680", 16)


@each("text", ["xeon 2 2680 v4 64gb", "xeon 2x 2680v4 64gb", "xeon 2 e5-2680 v4 64gb"])
def test_a_number_before_that_of_a_xeon_counts_it(text: str) -> None:
    """ark.intel.com: the E5-2680 v4 has 14 cores. Two were 16 of a processor that is not listed, at 182 tokens/s."""
    assert machine_named(text).cpu_cores_physical == 28


_BESIDE = (
    "gtx 1080 ti", "gtx 1070", "gtx 1070 ti", "rtx 2080 super", "rtx 2070", "rtx 3060 ti", "rtx 3070",
    "rtx 3090", "rtx 4070 ti super", "rtx 4070", "rx 6800 xt", "rx 6700", "rx 6700 xt", "rx 7900 xtx",
    "arc a770", "tesla p40", "radeon vii",
)  # fmt: skip


@pytest.mark.parametrize(
    "text", ["{} + {} 64gb", "i5-12400 64gb {}, {}", "ryzen 7 5800x {} and {}"]
)
def test_of_two_cards_each_keeps_its_own_words(text: str) -> None:
    """`gtx 1080 ti + gtx 1070 32gb` was a GTX 1080 and a GTX 1070 Ti."""
    alone = {name: machine_named(name).accelerators for name in _BESIDE}
    for first, second in permutations(_BESIDE, 2):
        both = machine_named(text.format(first, second)).accelerators or ()
        own = (*(alone[first] or ()), *(alone[second] or ()))
        assert [card.name for card in both] == [card.name for card in own], (first, second)
