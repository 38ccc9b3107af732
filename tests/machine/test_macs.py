"""Macs by their chip: the chip that was named, with the stated memory or the cheapest one's."""

import pytest

from helpers.each import each
from selfhost.core.tables import shipped_table
from selfhost.machine.chips import apple_chip
from selfhost.machine.named import machine_named
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
    "text", ["mac studio m1", "m3 max 100gb", "imac m9", "macbook pro m1 ultra"]
)
def test_what_apple_did_not_sell_is_refused(text: str) -> None:
    """Without another chip's name, and without an example of Intel's."""
    with pytest.raises(UnknownMachineError) as caught:
        machine_named(text)
    assert all("m3-max" in near for near in caught.value.nearest)
    assert "M2 Pro 16GB" in str(caught.value.remedy)
    assert "i5" not in str(caught.value.remedy)


def test_every_chip_of_the_table_has_its_bandwidth() -> None:
    for row in shipped_table("macs")["mac"]:
        chip = apple_chip(row["chip"], row["variant"])
        assert chip is not None, row
        assert ("smaller" in row) == (chip.smaller is not None), row
