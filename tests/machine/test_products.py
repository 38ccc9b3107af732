"""Machines by what they are sold or rented as, and by a processor and a GPU together."""

import pytest

from helpers.each import each
from selfhost.core.tables import shipped_table
from selfhost.machine import cpus, gpus
from selfhost.machine.named import machine_named
from selfhost.machine.profiles import UnknownMachineError
from selfhost.machine.record import Machine

GIB = 2**30
TABLE = shipped_table("products")
KEYS = {
    "words", "also", "title", "processor", "gib", "cores", "physical", "system", "architecture", "gpu", "sold", "shared",
    "gb_per_s", "laptop", "guest", "source",
}  # fmt: skip


def parts(machine: Machine) -> tuple[str | None, list[str], float]:
    cards = [card.name for card in machine.accelerators or ()]
    return machine.cpu_model, cards, (machine.memory_total_bytes or 0) / GIB


@each("row", TABLE["product"], ids=lambda row: row["words"])
def test_a_product_is_found_by_its_words_and_knows_its_memory(row: dict[str, object]) -> None:
    """Its processor has a row of its own, or is one that clouds do not tell; one that is sold with several asks."""
    assert set(row) <= KEYS
    assert row["source"] in TABLE["sources"]
    processor = str(row.get("processor", ""))
    named = cpus.processor_of(processor) or gpus.soldered_chip(gpus.words_of(processor))
    assert named or not processor or row.get("guest") or "shared" in row or "Zero" in processor
    if not {"processor", "gpu", "shared"} & set(row):
        with pytest.raises(UnknownMachineError, match="several machines"):
            machine_named(str(row["words"]))
        return
    machine = machine_named(str(row["words"]))
    assert machine.memory_total_bytes == round(row["gib"][0] * GIB)  # type: ignore[index]
    assert machine.cpu_model == row.get("processor")
    assert machine.name is not None
    assert machine.name.startswith(str(row["title"]))


@pytest.mark.parametrize(
    ("text", "processor", "cards", "gib"),
    [
        # the makers' and the clouds' pages, as the table's sources have them
        ("Steam Deck", "Custom APU", ["AMD Custom GPU 0405"], 16),
        ("orange pi 5 plus 16gb", "RK3588", [], 16),
        ("rog ally x", "Z1 Extreme", ["AMD Radeon 780M Graphics"], 24),
        ("google colab free", "Xeon", ["Tesla T4"], 12.7),
        ("kaggle t4 x2", "Xeon", ["Tesla T4", "Tesla T4"], 31.4),
        ("kaggle p100", "Xeon", ["Tesla P100-PCIE"], 31.4),
        ("lenovo legion 5 3060", None, ["NVIDIA GeForce RTX 3060 Laptop GPU"], 16),
        ("framework 13 7840u 32gb", "7840u", [], 32),
        ("minisforum um790 pro", "7940HS", ["AMD Radeon 780M Graphics"], 32),
        # a processor and a GPU, in any order
        ("ryzen 5600x rtx 3060 12gb 32gb ram", "5600x", ["NVIDIA GeForce RTX 3060"], 32),
        ("rtx 3080 10gb + i7-12700k 64 GB", "i7 12700k", ["NVIDIA GeForce RTX 3080"], 64),
        ("5950x 2x 3090 128gb", "5950x", ["NVIDIA GeForce RTX 3090"] * 2, 128),
        # short words
        ("rpi5 8gb", "Raspberry Pi 5", [], 8),
        ("mbp m3 pro 18gb", "Apple M3 Pro", ["Apple M3 Pro GPU"], 18),
        ("dual 3090", None, ["NVIDIA GeForce RTX 3090"] * 2, 128),
        ("two 3090s", None, ["NVIDIA GeForce RTX 3090"] * 2, 128),
        # a name of three generations is no cloud's machine
        ("rtx 6000", None, ["Quadro RTX 6000"], 32),
    ],
)  # fmt: skip
def test_names_as_people_type_them(
    text: str, processor: str | None, cards: list[str], gib: float
) -> None:
    machine = machine_named(text)
    model, names, memory = parts(machine)
    assert names == cards
    assert memory == pytest.approx(gib, rel=0.001)
    assert (processor or "") in (model or "")


@pytest.mark.parametrize(
    ("text", "lead"),
    [
        ("nuc", "name the processor"),
        ("dell xps 15", "name the GPU"),
        ("msi katana 4070", "RTX 4070 laptop"),
        ("iphone 15 pro", "Snapdragon"),
    ],
)
def test_what_a_name_leaves_open_is_asked(text: str, lead: str) -> None:
    with pytest.raises(UnknownMachineError) as caught:
        machine_named(text)
    assert lead in str(caught.value.remedy)
