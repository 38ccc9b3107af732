"""The matchers of a description, each alone: what it finds among words, and what it leaves."""

from collections.abc import Collection

import pytest

from selfhost.machine.graphics import find_cards
from selfhost.machine.phrases import Phrase
from selfhost.machine.processors import find_kind, find_number, find_processor
from selfhost.machine.products import find_product
from selfhost.machine.rented import has_unlisted_gpu, rented
from selfhost.machine.understand import (
    find_mac,
    find_maker,
    find_memory,
    find_setting,
    read_description,
)
from selfhost.machine.words import UnknownMachineError, tokens


def left(phrase: Phrase, places: Collection[int]) -> list[str]:
    """The words that are free once those at these places are taken."""
    return list(phrase.without(places).free.values())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("2x RTX 3090", ["2x", "rtx", "3090"], id="spaces"),
        pytest.param("i5-8250U, 16GB", ["i5", "8250u", "|", "16gb"], id="parts"),
        pytest.param("16 GB RAM", ["16gbram"], id="size-of-ram"),
        pytest.param("32gb (2x16)", ["2x16gb"], id="modules"),
        pytest.param("8 GB VRAM", ["8gbvram"], id="size-of-a-gpu"),
        pytest.param("1 TB SSD", ["1tbdisk"], id="size-of-a-disk"),
        pytest.param("8 cores", ["8cores"], id="cores"),
        pytest.param("RPi5", ["raspberry", "pi", "5"], id="short-name"),
        pytest.param("16기가", ["16gb"], id="script-without-spaces"),
        pytest.param("m2pro", ["m2", "pro"], id="chip"),
    ],
)
def test_words_have_one_spelling_each(text: str, words: list[str]) -> None:
    """However a size, a count or a name is typed."""
    assert tokens(text) == words


@pytest.mark.parametrize(
    ("text", "title"),
    [
        pytest.param("steam deck", "a Steam Deck", id="plain"),
        pytest.param("my steam deck oled", "a Steam Deck OLED", id="longest-name"),
        pytest.param("rog ally x", "an ASUS ROG Ally X", id="longer-name"),
        pytest.param("asus rog ally", "an ASUS ROG Ally", id="behind-its-maker"),
        pytest.param("legion go", "a Lenovo Legion Go", id="handheld"),
        pytest.param("legion go 2", "a Lenovo Legion Go 2", id="generation"),
        pytest.param("orange pi 5", "an Orange Pi 5", id="board"),
        pytest.param("orangepi5", "an Orange Pi 5", id="in-one-word"),
        pytest.param("orange pi 5 plus 16gb", "an Orange Pi 5 Plus", id="with-size"),
        pytest.param("steam rtx deck", None, id="another-word-between"),
        pytest.param("i5-8250u", None, id="none"),
    ],
)
def test_products(text: str, title: str | None) -> None:
    """A computer that is sold as one thing, by the longest of its names."""
    found = find_product(tokens(text), text)
    assert (found.product.title if found else None) == title


@pytest.mark.parametrize(
    ("text", "name", "rest"),
    [
        pytest.param("i5-8250U 16gb", "i5 8250u", ["16gb"], id="laptop"),
        pytest.param("ryzen 5 5600x", "ryzen 5 5600x", [], id="three-words"),
        pytest.param("2x epyc 7742", "2x epyc 7742", [], id="two"),
        pytest.param("epyc 7742 2x 3090", "epyc 7742", ["2x", "3090"], id="two-cards"),
        pytest.param("dual xeon e5-2690 v4", "2x xeon e5 2690 v4", [], id="dual"),
        pytest.param("i9-12900k or so", "i9 12900k", ["or", "so"], id="words-behind"),
        pytest.param("rtx 3090", None, ["rtx", "3090"], id="a-gpu"),
        pytest.param("5800x3d", None, ["5800x3d"], id="number-alone"),
        pytest.param("xeon", None, ["xeon"], id="kind-alone"),
        pytest.param("banana", None, ["banana"], id="none"),
    ],
)
def test_processors(text: str, name: str | None, rest: list[str]) -> None:
    """A processor by kind and number; what it does not take is left to the others."""
    phrase = Phrase.of(text)
    found = find_processor(phrase)
    assert (found.name if found else None) == name
    assert left(phrase, found.places if found else ()) == rest


def test_a_number_is_a_processors() -> None:
    """A number alone, where no GPU has the same."""
    found = find_number(Phrase.of("5800x3d 32gb"), beside_gpu=False)
    assert found is not None
    assert "5800x3d" in found.name
    assert find_number(Phrase.of("3090"), beside_gpu=False) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param("i5 8th gen", "i5 8th gen", id="generation"),
        pytest.param("xeon", "xeon", id="alone"),
        pytest.param("intel core", None, id="maker-alone"),
        pytest.param("rtx 3090", None, id="a-gpu"),
    ],
)
def test_kinds_of_processors(text: str, name: str | None) -> None:
    """A kind without a number."""
    found = find_kind(Phrase.of(text))
    assert (found.name if found else None) == name


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        pytest.param("rtx 3090", ["RTX 3090"], id="one"),
        pytest.param("2x 3090", ["2x RTX 3090"], id="count-before"),
        pytest.param("rtx 3090 x2", ["2x RTX 3090"], id="count-behind"),
        pytest.param("4060 ti 16gb", ["RTX 4060 Ti 16 GB"], id="size-behind"),
        pytest.param("16gb 4060 ti", ["RTX 4060 Ti 16 GB"], id="size-before"),
        pytest.param("RTX4070TiSUPER", ["RTX 4070 Ti SUPER"], id="in-one-word"),
        pytest.param("3070s", ["RTX 3070"], id="plural"),
        pytest.param("3090 and rtx 4090", ["RTX 3090", "RTX 4090"], id="two-names"),
        pytest.param("gtx 1080 ti", ["GTX 1080 Ti"], id="longest-name"),
        pytest.param("banana", [], id="none"),
    ],
)
def test_cards(text: str, labels: list[str]) -> None:
    """GPUs with their count and their size, wherever these stand."""
    assert [cards.label for cards in find_cards(Phrase.of(text)).cards] == labels


@pytest.mark.parametrize(
    ("text", "chip"),
    [
        pytest.param("macbook air m2", "Apple M2", id="name-and-chip"),
        pytest.param("m2 pro 16gb", "Apple M2 Pro", id="chip"),
        pytest.param("apple m4 max", "Apple M4 Max", id="maker-and-chip"),
        pytest.param("tesla m40", None, id="a-gpu"),
        pytest.param("i5-8250u", None, id="none"),
    ],
)
def test_macs(text: str, chip: str | None) -> None:
    """A Mac by its name or by its chip."""
    found = find_mac(Phrase.of(text))
    assert (found.chip.name if found else None) == chip


@pytest.mark.parametrize(
    ("text", "ram_gib", "vram_gib"),
    [
        pytest.param("16gb", 16, None, id="one-size"),
        pytest.param("16gb 512gb", 16, None, id="a-disk-beside"),
        pytest.param("2x16gb", 32, None, id="modules"),
        pytest.param("32gb ram 8gb vram", 32, 8, id="both-told"),
        pytest.param("1tb nvme", None, None, id="disk"),
        pytest.param("8 cores", None, None, id="no-size"),
    ],
)
def test_memory(text: str, ram_gib: float | None, vram_gib: float | None) -> None:
    """The size of the RAM and of a GPU; a disk is neither."""
    memory = find_memory(Phrase.of(text), None, has_chip=False)
    assert memory.ram_gib == ram_gib
    assert memory.vram_gib == vram_gib


@pytest.mark.parametrize(
    ("text", "name", "number"),
    [
        pytest.param("8 cores", "cores", 8, id="cores"),
        pytest.param("16 threads", "threads", 16, id="threads"),
        pytest.param("4 vcpus", "vcpus", 4, id="vcpus"),
        pytest.param("ddr4 3200mhz", "mts", 3200, id="rate"),
        pytest.param("quad channel", "channels", 4, id="channels"),
        pytest.param("2x16gb", "sticks", 2, id="sticks"),
    ],
)
def test_numbers(text: str, name: str, number: int) -> None:
    """What stands beside the size of memory."""
    memory = find_memory(Phrase.of(text), None, has_chip=False)
    assert memory.numbers[name] == number


def test_a_setting_is_told_word_by_word() -> None:
    """System, container and form of a computer, each by a word of its own."""
    phrase = Phrase.of("thinkpad wsl2 in docker vm blorb")
    setting = find_setting(phrase, is_product=False)
    assert setting.system == "linux"
    assert setting.scope == "container"
    assert setting.is_wsl
    assert setting.is_laptop
    assert setting.is_line
    assert left(phrase, setting.places) == ["in", "blorb"]


def test_a_maker_is_told_of_a_gpu_without_a_name() -> None:
    """`amd` alone may mean the processor."""
    maker = find_maker(Phrase.of("amd gpu"))
    assert maker.name == "amd"
    assert maker.says_gpu


@pytest.mark.parametrize(
    ("text", "memory_gib", "cores"),
    [
        pytest.param("g5.xlarge", 16, 4, id="aws"),
        pytest.param("aws m5.2xlarge", 32, 8, id="behind-its-cloud"),
        pytest.param("n1-standard-8 + t4", 30, 8, id="with-a-gpu"),
        pytest.param("Standard_E8-4s_v5", 64, 4, id="fewer-processors"),
    ],
)
def test_types_of_clouds(text: str, memory_gib: float, cores: int) -> None:
    """A computer to rent, by the name of its type."""
    match = rented(text)
    assert match is not None
    assert match[0].memory_total_bytes == memory_gib * 2**30
    assert match[0].cpu_cores_usable == cores


def test_a_type_with_a_gpu_that_no_row_tells_is_known_as_such() -> None:
    """It is refused instead of taken for a computer without a GPU."""
    assert has_unlisted_gpu("Standard_NV6ads_A10_v5")
    assert not has_unlisted_gpu("rtx 4090")


def test_what_is_ignored_is_named() -> None:
    """So that nobody takes a slip for something that was understood."""
    assert read_description("i5-8250u 16gb blorb").ignored == ["blorb"]


def test_facts_that_contradict_each_other_are_refused() -> None:
    """None of the two is taken in silence."""
    with pytest.raises(UnknownMachineError, match="names RTX 3090 or no GPU"):
        read_description("i5-12400 rtx 3090 no gpu")
