"""What memory a processor has, by its name (`specs/common/cpus.toml`)."""

from __future__ import annotations

import tomllib

import pytest

from helpers.each import each
from helpers.paths import TESTS
from selfhost.core.tables import shipped_table
from selfhost.machine import cpus
from selfhost.machine.cpus import class_of
from selfhost.machine.named import named, rented

TABLE = tomllib.loads((TESTS / "machine" / "descriptions.toml").read_text(encoding="utf-8"))


@each(("name", "peak"), TABLE["processors"])
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


@each(("text", "gib", "processors"), TABLE["cloud_types"])
def test_a_clouds_type_has_its_size(text: str, gib: int, processors: int) -> None:
    found = rented(text)
    assert found is not None
    machine = found.machine
    assert machine.memory_limit_bytes == gib * GIB
    assert machine.cpu_cores_usable == processors
    assert machine.scope == "vm"
    assert named(text).note == found.note


def test_every_row_of_the_clouds_names_a_source_and_a_class() -> None:
    table = shipped_table("cloud_types")
    for row in table["type"]:
        assert row["source"] in table["sources"]
        assert class_of(row["cpu"]) is not None, row["cpu"]


@each(("text", "gib", "processors", "cards"), TABLE["rented"])
def test_a_rented_machine_has_its_gpus(
    text: str, gib: int, processors: int, cards: list[str]
) -> None:
    machine = named(text).machine
    assert machine.memory_total_bytes == gib * GIB
    assert machine.cpu_cores_usable == processors
    assert [card.name for card in machine.accelerators or ()] == cards


@pytest.mark.parametrize(
    "text",
    ["Standard_E8-8s_v5", "Standard_E8-0s_v5", "m5.huge", "m5.0xlarge", "x9.large", "D4", "-"],
)
def test_what_no_cloud_rents_is_none(text: str) -> None:
    assert rented(text) is None
