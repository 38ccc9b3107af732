"""Macs by their chip: the chip that was named, with the stated memory or the cheapest one's."""

import pytest

from helpers.each import each
from selfhost.core.tables import shipped_table
from selfhost.machine.chips import apple_chip
from selfhost.machine.named import NotOneMachineError, machine_named
from selfhost.machine.profiles import UnknownMachineError

GB, GIB = 10**9, 2**30


@each(
    ("text", "chip", "gib", "gb_per_s"),
    [
        # Apple's technical specifications
        ("macbook pro m1", "Apple M1", 8, 68.25),
        ("macbook pro m1 16gb", "Apple M1", 16, 68.25),
        ("MacBook Pro M2", "Apple M2", 8, 100),
        ("imac m1", "Apple M1", 8, 68.25),
        ("mac mini m2", "Apple M2", 8, 100),
        ("mac studio m1 max", "Apple M1 Max", 32, 400),
        # a chip alone is that chip, whatever has it: `m5 pro` could be a MacBook Pro with an M5
        ("m4", "Apple M4", 16, 120),
        ("m5 pro", "Apple M5 Pro", 24, 307),
        # the least that Apple sells, not the least that happens to be a profile
        ("m1 mac", "Apple M1", 8, 68.25),
        ("m3 ultra", "Apple M3 Ultra", 96, 819),
        ("m3 max 128gb", "Apple M3 Max", 128, 400),
        # the size that comes with the narrower memory alone
        ("m3 max 96 GB", "Apple M3 Max", 96, 300),
        ("m2 ultra 192gb", "Apple M2 Ultra", 192, 800),
        # the one Mac whose name alone tells its chip
        ("MacBook Neo", "Apple A18 Pro", 8, 60),
        ("macbook neo a18 pro 8gb", "Apple A18 Pro", 8, 60),
    ],
)
def test_a_mac_has_the_chip_that_was_named(text: str, chip: str, gib: int, gb_per_s: float) -> None:
    machine = machine_named(text)
    (gpu,) = machine.accelerators or ()
    assert (machine.cpu_model, gpu.name) == (chip, f"{chip} GPU")
    assert machine.memory_total_bytes == gib * GIB
    assert machine.memory_bandwidth_bytes_per_second == round(gb_per_s * GB)
    note = machine.sources["memory_total_bytes"]
    assert f"{chip} with {gib} GB" in note
    assert (
        machine.assumes("memory_total_bytes") == ("assumed" in note) == ("gb" not in text.lower())
    )


@pytest.mark.parametrize(
    "text", ["mac studio m1", "imac m0", "macbook pro m1 ultra", "macbook 2015"]
)
def test_what_apple_did_not_sell_is_refused(text: str) -> None:
    """Without another chip's name, and without an example of Intel's."""
    with pytest.raises(UnknownMachineError) as caught:
        machine_named(text)
    assert all("m3-max" in near for near in caught.value.nearest)
    assert "M2 Pro 16GB" in str(caught.value.remedy)
    assert "i5" not in str(caught.value.remedy)


@pytest.mark.parametrize(
    ("text", "chip", "gib"),
    [
        # Apple's list of models by year has one chip for these
        ("macbook air 2022 16gb", "Apple M2", 16),
        ("MacBook Air (2022)", "Apple M2", 8),
        ("imac 2021", "Apple M1", 8),
        ("mac mini 2020 8gb", "Apple M1", 8),
        # an M1 Pro was sold with 32 GB at most
        ("macbook pro 16 2021 64gb", "Apple M1 Max", 64),
    ],
)
def test_a_year_tells_the_chip_that_all_of_it_had(text: str, chip: str, gib: int) -> None:
    machine = machine_named(text)
    assert machine.memory_total_bytes == gib * GIB
    (gpu,) = machine.accelerators or ()
    assert gpu.name == f"{chip} GPU"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("macbook air 2020 16gb", ["macbook air m1 16GB", "macbook air 2020 intel 16GB"]),
        ("MacBook Pro 14 2021 32gb", ["macbook pro m1 pro 32GB", "macbook pro m1 max 32GB"]),
        ("mac studio 2022", ["mac studio m1 max", "mac studio m1 ultra"]),
    ],
)
def test_a_year_of_several_chips_asks_back_with_names_that_work(
    text: str, names: list[str]
) -> None:
    with pytest.raises(NotOneMachineError) as caught:
        machine_named(text)
    assert list(caught.value.nearest) == names
    for name in names:
        assert machine_named(name).memory_total_bytes


def test_a_memory_that_the_chip_was_not_sold_with_is_told_with_those_it_was() -> None:
    """Apple: the M3 with 8, 16 or 24 GB, the M3 Pro with 18 or 36."""
    with pytest.raises(NotOneMachineError, match="no Mac with an M3 has 18 GB") as caught:
        machine_named("macbook pro m3 18gb")
    assert "8 GB, 16 GB or 24 GB; one with 18 GB has an M3 Pro" in str(caught.value.remedy)


def test_every_chip_of_the_table_has_its_bandwidth() -> None:
    for row in shipped_table("macs")["mac"]:
        chip = apple_chip(row["chip"], row["variant"])
        assert chip is not None, row
        assert ("smaller" in row) == (chip.smaller is not None), row


@pytest.mark.parametrize(
    ("text", "some"),
    [
        # Apple sold each of these with that memory: 24 GB with an M2, an M4 and an M4 Pro
        ("mac mini 24gb", ["mac mini m2 24GB", "mac mini m4 24GB", "mac mini m4 pro 24GB"]),
        ("mac studio 64gb", ["mac studio m1 max 64GB", "mac studio m1 ultra 64GB"]),
        ("macbook air 24gb", ["macbook air m2 24GB", "macbook air m3 24GB"]),
        ("imac 24gb", ["imac m3 24GB", "imac m4 24GB"]),
    ],
)
def test_a_memory_that_several_chips_were_sold_with_is_asked_about(
    text: str, some: list[str]
) -> None:
    """Their memory differs by a factor of two and more: no profile stands for the others."""
    with pytest.raises(NotOneMachineError) as caught:
        machine_named(text)
    assert set(some) <= set(caught.value.nearest)
    for name in caught.value.nearest:
        assert machine_named(name).system == "macos"


def test_a_memory_that_one_chip_was_sold_with_tells_it() -> None:
    assert machine_named("mac studio 192gb").cpu_model == machine_named("m2 ultra 192gb").cpu_model
