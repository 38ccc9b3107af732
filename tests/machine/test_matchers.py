"""The steps of reading a description, each alone: what it finds among words, and what it leaves."""

import pytest

from selfhost.machine.description import find_setting, read_description
from selfhost.machine.gazetteer import names_in
from selfhost.machine.memory import find_memory
from selfhost.machine.phrases import Phrase
from selfhost.machine.products import find_product
from selfhost.machine.quantities import Quantity, count_in, is_size, quantity_in
from selfhost.machine.rented import has_unlisted_gpu, rented
from selfhost.machine.words import (
    GpuCountError,
    PartOfMachineError,
    UnknownGpuError,
    UnknownMachineError,
    bad_name,
    fits,
    has_digit,
    spelled_out,
    tokens,
)


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
        pytest.param("minipc-8gb", ["mini", "pc", "8gb"], id="short-name-within"),
        pytest.param("m2pro", ["m2", "pro"], id="chip"),
        pytest.param("12x16GB", ["12x16gb"], id="many-modules"),
        pytest.param("32gb (2x8)", ["32gb", "|", "2x8", "|"], id="modules-of-less"),
        pytest.param(
            "16gb (2x16gb)", ["16gb", "|", "2x16gb", "|"], id="modules-of-more"
        ),
        pytest.param("64gb (32x2)", ["2x32gb"], id="size-of-modules-first"),
        pytest.param("rtx 3090 + 8gb", ["rtx", "3090", "|", "8gb"], id="plus"),
        pytest.param("vm [8gb]!", ["vm", "|", "8gb", "|"], id="brackets"),
        pytest.param("vm;a/b@c!d", ["vm", *"|a|b|c|d"], id="signs"),
        pytest.param("vm\tlxc", ["vm", "lxc"], id="tab"),
        pytest.param("vm? 8gb", ["vm", "|", "8gb"], id="question"),
        pytest.param("i5\n16gb\r\nvm", ["i5", "|", "16gb", "|", "vm"], id="lines"),
        pytest.param("16ＧＢ", ["16gb"], id="wide-letters"),
        pytest.param("İ5-8250U", ["i5", "8250u"], id="Turkish-capital"),
        pytest.param("'rtx_3090'.", ["rtx", "3090"], id="quoted"),
        pytest.param('"vm."', ["vm"], id="point-within-quotes"),
        pytest.param("fly.io ... 1.5gb.", ["fly.io", "1.5gb"], id="points"),
        pytest.param("ноутбук 16гб", ["laptop", "16gb"], id="unit-of-a-language"),
        pytest.param("16гбайт", ["16гбайт"], id="within-a-word"),
        pytest.param("vermit mitte", ["vermit", "mitte"], id="word-within-a-word"),
        pytest.param("komputer stacjonarny", ["desktop"], id="longest-of-a-language"),
        pytest.param("노트북 16기가램", ["laptop", "16gbram"], id="Korean"),
        pytest.param("ノートパソコン 16GB", ["laptop", "16gb"], id="Japanese"),
        pytest.param("メモリ16GB", ["16gbram"], id="no-space-behind"),
        pytest.param("vm. -.- 8gb", ["vm", "8gb"], id="points-alone"),
        pytest.param("quad core", ["4cores"], id="number-word"),
        pytest.param("banana cores", ["banana", "cores"], id="no-number-word"),
        pytest.param("dual rtx 3090", ["2x", "rtx", "3090"], id="two-cards"),
        # MemTotal of /proc/meminfo counts units of 1,024 bytes
        pytest.param("16777216 kB", ["16gb"], id="KiB"),
        pytest.param("16384MB", ["16gb"], id="MiB"),
        pytest.param("1536MB", ["1.5gb"], id="half-a-GiB"),
        pytest.param("15872MB", ["15.5gb"], id="less-than-a-size"),
        # a bandwidth is told in powers of ten
        pytest.param("936.2 GB/s", ["936gbps"], id="bandwidth"),
        pytest.param("34.8 GB/s", ["35gbps"], id="rounded-bandwidth"),
        pytest.param("1.8TB/s", ["1800gbps"], id="bandwidth-in-TB"),
        pytest.param("8th gen", ["8gen"], id="generation"),
        pytest.param("", [], id="nothing"),
    ],
)
def test_words_have_one_spelling_each(text: str, words: list[str]) -> None:
    """However a size, a count or a name is typed."""
    assert tokens(text) == words


@pytest.mark.parametrize(
    ("word", "count"),
    [
        pytest.param("2x", 2, id="before"),
        pytest.param("x16", 16, id="behind"),
        # a board takes no hundred cards; `100x` is left, and refused beside a GPU
        pytest.param("100x", None, id="three-digits"),
        pytest.param("2", None, id="number"),
        pytest.param("2x16gb", None, id="modules"),
    ],
)
def test_a_count_is_a_number_with_an_x(word: str, count: int | None) -> None:
    assert count_in(word) == count


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        pytest.param("16gb", True, id="GB"),
        pytest.param("1.5tbdisk", True, id="disk"),
        pytest.param("8gbvram", True, id="GPU"),
        pytest.param("2x16gb", False, id="modules"),
        pytest.param("16gbps", False, id="bandwidth"),
    ],
)
def test_a_size_is_a_word_of_its_own(word: str, expected: bool) -> None:
    assert is_size(word) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("rx 6600 xt", True, id="within"),
        pytest.param("vega", False, id="none"),
        pytest.param("m²", False, id="superscript"),
        pytest.param("", False, id="empty"),
    ],
)
def test_a_digit_is_one_of_a_number(text: str, expected: bool) -> None:
    assert has_digit(text) is expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        pytest.param("i5", True, id="whole"),
        pytest.param("i5x", False, id="more-behind"),
        pytest.param("xi5", False, id="more-before"),
        pytest.param("i\u0665", False, id="digit-of-another-script"),
    ],
)
def test_a_shape_fits_a_whole_word(word: str, expected: bool) -> None:
    assert fits(r"i\d", word) is expected


def test_a_short_name_of_a_gpu_may_be_a_plural_or_a_form() -> None:
    """`3070s` are two 3070 or one 3070 SUPER: the name as it is typed is tried first."""
    names = list(spelled_out("3070s"))
    assert names[0] == "3070s"
    assert {"3070 super", "3070"} <= set(names)
    assert "4060 laptop" in spelled_out("4060m")


@pytest.mark.parametrize(
    ("code", "error", "told"),
    [
        pytest.param("machine", UnknownMachineError, "no machine is called 'a b'", id="machine"),
        pytest.param("gpu", UnknownGpuError, "no GPU is called 'a b'", id="GPU"),
        pytest.param("zero_gpus", GpuCountError, "'a b' names 0 GPUs", id="count"),
        pytest.param("gpu_of_machine", PartOfMachineError, "a b is not a card", id="part"),
    ],
)  # fmt: skip
def test_a_refusal_has_the_error_of_its_kind(
    code: str, error: type[Exception], told: str
) -> None:
    """By which `--gpu` and `--machine` tell what to type instead."""
    refusal = bad_name(code, "a b", iter(["c", "d"]))
    assert type(refusal) is error
    assert isinstance(refusal, UnknownMachineError | UnknownGpuError)
    assert str(refusal).startswith(told)
    assert list(refusal.nearest) == ["c", "d"]
    assert ("did you mean c, d?" in (refusal.remedy or "")) is (
        code in ("machine", "gpu")
    )


@pytest.mark.parametrize("code", ["machine", "gpu", "gpu_of_machine"])
def test_a_refusal_shows_no_more_of_a_text_than_fits(code: str) -> None:
    """Whoever pastes a page gets no page back, nor its escape sequences."""
    refusal = bad_name(code, "x" * 10_000 + "\x1b[31m")
    for text in (str(refusal), refusal.remedy or ""):
        assert len(text) < 500
        assert "\x1b" not in text


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
    found = find_product(Phrase(text))
    assert (found.title if found else None) == title


@pytest.mark.parametrize(
    ("word", "quantity"),
    [
        pytest.param("2x", Quantity(number=2, unit="x"), id="count"),
        pytest.param("x2", Quantity(number=2, unit="x"), id="count-behind"),
        pytest.param("1000x", Quantity(number=1000, unit="x"), id="large-count"),
        pytest.param("16gb", Quantity(number=16, unit="gb"), id="size"),
        pytest.param(
            "1.5tbdisk", Quantity(number=1.5, unit="tb", of="disk"), id="size-of-a-disk"
        ),
        pytest.param(
            "2x16gb", Quantity(number=16, unit="gb", of="ram", modules=2), id="modules"
        ),
        pytest.param("8cores", Quantity(number=8, unit="cores"), id="cores"),
        pytest.param("3090", None, id="number"),
        pytest.param("x99z", None, id="word"),
    ],
)
def test_sizes_and_counts_have_one_grammar(
    word: str, quantity: Quantity | None
) -> None:
    assert quantity_in(word) == quantity


def test_the_size_of_modules_is_that_of_all() -> None:
    modules = quantity_in("2x16gb")
    assert modules is not None
    assert modules.gib == 32


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("i5-8250U 16gb", ["i5 8250u"], id="processor"),
        pytest.param("ryzen 5 5600x rx 6600", ["ryzen 5 5600x", "rx 6600"], id="both"),
        pytest.param("i9-12900k or so", ["i9 12900k"], id="words-behind"),
        pytest.param("tesla m40", ["tesla m40"], id="a-gpu-and-no-chip"),
        pytest.param("m4 m4 max", ["m4 max", "m4"], id="longest-chip-first"),
        pytest.param("gtx 1080 ti", ["gtx 1080 ti"], id="longest-gpu"),
        pytest.param("xeon", [], id="kind-alone"),
        pytest.param("5800x3d", [], id="number-alone"),
        pytest.param("banana", [], id="none"),
    ],
)
def test_names_of_parts_are_found_by_the_longest_match(
    text: str, names: list[str]
) -> None:
    found = names_in(Phrase(text))
    runs = [chip.run for chip in found.chips]
    runs += [processor.run for processor in found.processors]
    runs += [gpu.run for gpu in found.gpus]
    assert [run.name for run in runs] == names


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param("i5-8250U 16gb", "i5 8250u", id="laptop"),
        pytest.param("2x epyc 7742", "2x epyc 7742", id="two"),
        pytest.param("epyc 7742 2x 3090", "epyc 7742", id="two-cards"),
        pytest.param("dual xeon e5-2690 v4", "2x xeon e5 2690 v4", id="dual"),
        pytest.param("5800x3d 32gb", "ryzen 5800x3d", id="number-of-no-gpu"),
        pytest.param("5600 32gb 4060 ti", "ryzen 5600", id="number-beside-a-gpu"),
        pytest.param("5600 6700xt 32gb", "ryzen 5600", id="number-of-either"),
        pytest.param("i5 8th gen", "i5 8th gen", id="generation"),
        pytest.param("xeon", "xeon", id="kind"),
        pytest.param("intel core 16gb", None, id="maker-alone"),
        pytest.param("rtx 3090", None, id="a-gpu"),
    ],
)
def test_processors(text: str, name: str | None) -> None:
    """By kind and number, by a number alone, else by the kind alone."""
    assert read_description(text).processor == name


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        pytest.param("rtx 3090", ["RTX 3090"], id="one"),
        pytest.param("2x 3090", ["2x RTX 3090"], id="count-before"),
        pytest.param("rtx 3090 x2", ["2x RTX 3090"], id="count-behind"),
        pytest.param("rtx 3090 times 2", ["2x RTX 3090"], id="count-in-words"),
        pytest.param("a dozen rtx 3090", ["12x RTX 3090"], id="dozen"),
        pytest.param("half a dozen 3090", ["6x RTX 3090"], id="half-a-dozen"),
        pytest.param("4060 ti 16gb", ["RTX 4060 Ti 16 GB"], id="size-behind"),
        pytest.param("16gb 4060 ti", ["RTX 4060 Ti 16 GB"], id="size-before"),
        # sold with 1 and with 2 GB (NVIDIA, GeForce GT 710)
        pytest.param("gt 2gb 710", ["GT 710 2 GB"], id="size-within"),
        pytest.param("gt 2tb 710", [], id="TB-are-not-GB"),
        pytest.param("RTX4070TiSUPER", ["RTX 4070 Ti SUPER"], id="in-one-word"),
        pytest.param("3070s", ["RTX 3070"], id="plural"),
        pytest.param("3090 and rtx 4090", ["RTX 3090", "RTX 4090"], id="two-names"),
        pytest.param("i5-8250u", [], id="none"),
    ],
)
def test_cards(text: str, labels: list[str]) -> None:
    """GPUs with their count and their size, wherever these stand."""
    assert [cards.label for cards in read_description(text).cards] == labels


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("rtx 4090 times 1000", id="times"),
        pytest.param("1000 x rtx 4090", id="apart"),
        pytest.param("a hundred rtx 4090", id="in-words"),
        pytest.param("1,000x rtx 4090", id="with-a-comma"),
        pytest.param("1.5x rtx 4090", id="fraction"),
        pytest.param("two dozen rtx 3090", id="two-counts"),
    ],
)
def test_a_count_that_is_not_judged_is_refused(text: str) -> None:
    """One GPU in its place would be another machine."""
    with pytest.raises(UnknownMachineError, match=r"at most 64|neither as a number"):
        read_description(text)


@pytest.mark.parametrize(
    ("text", "chip"),
    [
        pytest.param("macbook air m2", "Apple M2", id="name-and-chip"),
        pytest.param("m2 pro 16gb", "Apple M2 Pro", id="chip"),
        pytest.param("apple m4 max", "Apple M4 Max", id="maker-and-chip"),
        pytest.param("tesla m40", None, id="a-gpu"),
        pytest.param("i5-8250u 512gb m2 ssd", None, id="slot-of-a-disk"),
    ],
)
def test_macs(text: str, chip: str | None) -> None:
    """A Mac by its name or by its chip."""
    found = read_description(text).chip
    assert (found.name if found else None) == chip


@pytest.mark.parametrize(
    ("text", "ram_gib", "vram_gib"),
    [
        pytest.param("16gb", 16, None, id="one-size"),
        pytest.param("16gb 512gb", 16, None, id="a-disk-beside"),
        pytest.param("2x16gb", 32, None, id="modules"),
        pytest.param("12x16gb", 192, None, id="twelve-modules"),
        pytest.param("32gb ram 8gb vram", 32, 8, id="both-told"),
        pytest.param("1tb nvme", None, None, id="disk"),
        pytest.param("8 cores", None, None, id="no-size"),
    ],
)
def test_memory(text: str, ram_gib: float | None, vram_gib: float | None) -> None:
    """The size of the RAM and of a GPU; a disk is neither."""
    memory = find_memory(Phrase(text), None)
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
        pytest.param("32gb in 4 sticks", "sticks", 4, id="sticks-told"),
        pytest.param("memory 936 GB/s", "gbps", 936, id="bandwidth"),
    ],
)
def test_numbers(text: str, name: str, number: int) -> None:
    """What stands beside the size of memory."""
    memory = find_memory(Phrase(text), None)
    assert memory.numbers[name] == number


def test_a_setting_is_told_word_by_word() -> None:
    """System, container and form of a computer, each by a word of its own."""
    phrase = Phrase("thinkpad wsl2 in docker vm blorb")
    setting = find_setting(phrase, is_product=False)
    assert setting.system == "linux"
    assert setting.scope == "container"
    assert setting.is_wsl
    assert setting.is_laptop
    assert setting.is_line
    assert phrase.free_words == ["in", "blorb"]


def test_a_maker_is_told_of_a_gpu_without_a_name() -> None:
    """`amd` alone may mean the processor."""
    about = read_description("amd gpu 16gb vram, 32gb ram")
    assert about.maker == "amd"
    assert about.says_gpu


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
