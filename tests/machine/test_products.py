"""Machines by what they are sold or rented as, and by a processor and a GPU together."""

import pytest

from helpers.each import each
from selfhost.core.spelling import words_of
from selfhost.core.tables import shipped_table
from selfhost.machine import cpus
from selfhost.machine.chips import soldered_chip
from selfhost.machine.gpu_names import UnknownGpuError, cards_named
from selfhost.machine.named import machine_named, profile_named
from selfhost.machine.profiles import UnknownMachineError
from selfhost.machine.record import Machine
from selfhost.verdict.memory_bandwidth import bandwidth

GIB = 2**30
TABLE = shipped_table("products")
KEYS = {
    "words", "also", "title", "processor", "gib", "cores", "physical", "system", "architecture", "gpu", "sold", "shared",
    "gb_per_s", "laptop", "line", "beside", "guest", "card", "source",
}  # fmt: skip


def parts(machine: Machine) -> tuple[str | None, list[str], float]:
    cards = [card.name for card in machine.accelerators or ()]
    return machine.cpu_model, cards, (machine.memory_total_bytes or 0) / GIB


@each("row", TABLE["product"], ids=lambda row: row["words"])
def test_a_product_has_a_source_and_a_processor_of_the_table(row: dict[str, object]) -> None:
    """Its processor has a row of its own, or is one that clouds do not tell."""
    assert set(row) <= KEYS
    assert row["source"] in TABLE["sources"]
    processor = str(row.get("processor", ""))
    named = cpus.processor_of(processor) or soldered_chip(words_of(processor))
    assert named or not processor or row.get("guest") or "shared" in row or "Zero" in processor


@each("row", TABLE["product"], ids=lambda row: row["words"])
def test_a_product_is_found_by_its_words_and_knows_its_memory(row: dict[str, object]) -> None:
    """One that is sold with several processors asks."""
    if not {"processor", "gpu", "shared"} & set(row):
        with pytest.raises(UnknownMachineError, match="several machines"):
            machine_named(str(row["words"]))
        return
    text, gib = str(row["words"]), row["gib"][0]  # type: ignore[index]
    if "halo" in text:
        # profiles have its other sizes
        text, gib = f"{text} 96gb", 96
    machine = machine_named(text)
    assert machine.memory_total_bytes == round(gib * GIB)
    assert machine.cpu_model == row.get("processor")
    assert machine.name is not None
    assert machine.name.startswith(str(row["title"]))


@each(
    ("text", "processor", "cards", "gib"),
    [
        # the makers' and the clouds' pages, as the table's sources have them
        ("Steam Deck", "Custom APU", ["AMD Custom GPU 0405"], 16),
        ("orange pi 5 plus 16gb", "RK3588", [], 16),
        ("rog ally x", "Z1 Extreme", ["AMD Radeon 780M Graphics"], 24),
        ("google colab free", "Xeon", ["Tesla T4"], 12.7),
        ("google colab cpu", "Xeon", [], 12.7),
        ("kaggle cpu", "Xeon", [], 31.4),
        ("kaggle t4 x2", "Xeon", ["Tesla T4", "Tesla T4"], 31.4),
        ("kaggle p100", "Xeon", ["Tesla P100-PCIE"], 31.4),
        ("hf space t4 medium", "Xeon", ["Tesla T4"], 30),
        ("hugging face space cpu upgrade", "Xeon", [], 32),
        ("steam machine", "Ryzen", ["AMD Radeon RX 7600M"], 16),
        ("gaming pc rtx 4070 32gb", None, ["NVIDIA GeForce RTX 4070"], 32),
        ("lenovo legion 5 3060", None, ["NVIDIA GeForce RTX 3060 Laptop GPU"], 16),
        ("framework 13 7840u 32gb", "7840u", [], 32),
        ("minisforum um790 pro", "7940HS", ["AMD Radeon 780M Graphics"], 32),
        # an x apart, a number before a number, and one of a generation
        ("4 x L40S 48GB 512GB RAM dual EPYC 9354", "epyc 9354", ["NVIDIA L40S"] * 4, 512),
        ("64 gb 2 3090", None, ["NVIDIA GeForce RTX 3090"] * 2, 64),
        ("7 5700x 32gb 3060", "5700x", ["NVIDIA GeForce RTX 3060"], 32),
        # the RAM is none of the desktop's card, and no disk is of a Mac
        ("razer blade 16 rtx 5090 32gb", None, ["NVIDIA GeForce RTX 5090 Laptop GPU"], 32),
        ("tesla m40 24gb 64gb", None, ["Tesla M40"], 64),
        # the product's own processor, typed beside it
        ("asus rog ally z1 extreme 16gb", "Z1 Extreme", ["AMD Radeon 780M Graphics"], 16),
        ("GMKtec EVO-X2 Ryzen AI Max+ 395 96GB", "395 w/ Radeon", ["AMD Radeon 8060S"], 96),
        # makers of phones sell laptops
        ("xiaomi book pro 16 i7-1260p 16gb", "1260p", [], 16),
        ("galaxy book4 ultra rtx 4070 32gb", None, ["NVIDIA GeForce RTX 4070 Laptop GPU"], 32),
        # a processor for laptops has such a card beside it
        ("monster abra a5 i7 12700h rtx 3060 16 gb ram", "12700h", ["NVIDIA GeForce RTX 3060 Laptop GPU"], 16),
        ("minisforum 7945hx desktop rtx 3060 32gb", "7945hx", ["NVIDIA GeForce RTX 3060"], 32),
        # slips, where nothing else is understood
        ("treadripper 3970x 256gb 4x3090", "3970x", ["NVIDIA GeForce RTX 3090"] * 4, 256),
        ("getforce rtx 4070 32gb", None, ["NVIDIA GeForce RTX 4070"], 32),
        # other languages
        ("双3090 64G内存", None, ["NVIDIA GeForce RTX 3090"] * 2, 64),
        ("placa de vídeo rtx 3060 12gb e 32gb de ram", None, ["NVIDIA GeForce RTX 3060"], 32),
        ("dizüstü bilgisayar rtx 4060 16gb", None, ["NVIDIA GeForce RTX 4060 Laptop GPU"], 16),
        # a processor and a GPU, in any order
        ("ryzen 5600x rtx 3060 12gb 32gb ram", "5600x", ["NVIDIA GeForce RTX 3060"], 32),
        ("rtx 3080 10gb + i7-12700k 64 GB", "i7 12700k", ["NVIDIA GeForce RTX 3080"], 64),
        ("5950x 2x 3090 128gb", "5950x", ["NVIDIA GeForce RTX 3090"] * 2, 128),
        # the number of a GPU is not that of the processor, nor its rank a count of GPUs
        ("i7 rtx 3070 16gb", "i7", ["NVIDIA GeForce RTX 3070"], 16),
        ("ryzen 5 rtx 3050 16gb", "ryzen 5", ["NVIDIA GeForce RTX 3050"], 16),
        ("e5-2690 v4 tesla p40 64gb", "xeon e5 2690 v4", ["Tesla P40"], 64),
        ("threadripper 3970x 256gb + 4x 3090", "3970x", ["NVIDIA GeForce RTX 3090"] * 4, 256),
        ("pc with rtx 3060 and 32gb ram", None, ["NVIDIA GeForce RTX 3060"], 32),
        ("epyc 7763 1tb", "epyc 7763", [], 1024),
        ("ryzen 5 7600 rx 7600 32gb", "ryzen 5 7600", ["AMD Radeon RX 7600"], 32),
        ("rtx 3060 12gb ram 32gb i5-12400", "i5 12400", ["NVIDIA GeForce RTX 3060"], 32),
        ("i5-8250u 16gb 512gb", "i5-8250u", [], 16),
        # cards whose names have no number, or the number of anything
        ("i5-12400 titan v 64gb", "i5 12400", ["NVIDIA TITAN V"], 64),
        ("ryzen 5950x titan rtx 64gb", "5950x", ["NVIDIA TITAN RTX"], 64),
        ("i5-12400 radeon vii 64gb", "i5 12400", ["AMD Radeon VII"], 64),
        ("i5-12400 rx vega 64 32gb", "i5 12400", ["AMD Radeon RX Vega 64"], 32),
        # the RAM is no memory of a GPU that shares it
        ("ryzen 5 3400g vega 11 16gb", "3400g", ["AMD Radeon Vega 11 Graphics"], 16),
        ("7840u radeon 780m 32gb", "7840u", ["AMD Radeon 780M Graphics"], 32),
        # accelerators that no program computes on are left aside
        ("raspberry pi 5 8gb with hailo-8l", "Raspberry Pi 5", [], 8),
        ("core ultra 7 155h npu 32gb", "core ultra 7 155h", [], 32),
        # short words
        ("rpi5 8gb", "Raspberry Pi 5", [], 8),
        ("mbp m3 pro 18gb", "Apple M3 Pro", ["Apple M3 Pro GPU"], 18),
        ("dual 3090", None, ["NVIDIA GeForce RTX 3090"] * 2, 128),
        ("two 3090s", None, ["NVIDIA GeForce RTX 3090"] * 2, 128),
        # the size before the word is the RAM, where no GPU before it is sold so
        ("i5-12400 32GB RAM 16GB RTX 4060 Ti", "i5 12400", ["NVIDIA GeForce RTX 4060 Ti"], 32),
        ("rtx 3070 8gb ram 32gb", None, ["NVIDIA GeForce RTX 3070"], 32),
        ("GPU: 3090 CPU: 5800X RAM: 32", "5800x", ["NVIDIA GeForce RTX 3090"], 32),
        # a bare number beside a GPU is the processor's
        ("5600 32GB 4060 Ti", "ryzen 5600", ["NVIDIA GeForce RTX 4060 Ti"], 32),
        ("5600 6700xt 32gb", "ryzen 5600", ["AMD Radeon RX 6700 XT"], 32),
        ("6700 16gb gtx 1060", "core i7 6700", ["NVIDIA GeForce GTX 1060"], 16),
        ("r9 5950x 64gb 3090ti", "ryzen 9 5950x", ["NVIDIA GeForce RTX 3090 Ti"], 64),
        ("5070 ti 16gb ultra 7 265k 64gb", "core ultra 7 265k", ["NVIDIA GeForce RTX 5070 Ti"], 64),
        ("RTX 3060 12GB x 2, 64 GB DDR4, 5900X", "5900x", ["NVIDIA GeForce RTX 3060"] * 2, 64),
        # other languages, and signs that shops set
        ("ноутбук 16 ГБ ОЗУ RTX 3060 6 ГБ", None, ["NVIDIA GeForce RTX 3060 Laptop GPU"], 16),
        ("сервер 2x Xeon E5-2680 v4 128ГБ", "2x Xeon E5-2680 v4", [], 128),
        ("显卡 RTX 4060 8G 内存 32G", None, ["NVIDIA GeForce RTX 4060"], 32),
        ("2张 3090 128G内存", None, ["NVIDIA GeForce RTX 3090"] * 2, 128),
        ("PC portable 16 Go de RAM", "Intel or AMD processor", [], 16),
        ("Rechner 32 GB RAM ohne Grafikkarte", "Intel or AMD processor", [], 32),
        ("mac studio m1 max 10\u2011core 32gb", "Apple M1 Max", ["Apple M1 Max GPU"], 32),
        # what a shop lists beside a Mac's chip
        ("MacBook Pro M1 Pro 10-core CPU 16GB 512GB SSD", "Apple M1 Pro", ["Apple M1 Pro GPU"], 16),
        ("m2 air 8/256", "Apple M2", ["Apple M2 GPU"], 8),
        # a handheld's memory is soldered: another size is its disk's
        ("steam deck 512gb", "Custom APU", ["AMD Custom GPU 0405"], 16),
        # guests with GPUs, and parts of them
        ("VM with 8 vCPU 32GB GRID T4-8Q", "Xeon", ["NVIDIA T4-8Q"], 32),
        ("RunPod RTX A5000 24GB 9 vCPU 50 GB RAM", "Xeon", ["NVIDIA RTX A5000"], 50),
        ("docker 16gb 8 cores rtx 3090", "Xeon", ["NVIDIA GeForce RTX 3090"], 16),
        # a laptop's GPU, wherever the word stands
        ("laptop i7 rtx 4060 16gb", "i7", ["NVIDIA GeForce RTX 4060 Laptop GPU"], 16),
        # the number of a processor beside a box that is not known
        ("Beelink EQR6 6900HX 24GB", "ryzen 6900hx", [], 24),
        ("Lenovo M75q Gen 2 5650GE 32GB", "ryzen 5650ge", [], 32),
        ("Xeon W-2145 128GB RTX 4000", "xeon w 2145", ["Quadro RTX 4000"], 128),
        ("Tesla P100 16GB 2x", None, ["Tesla P100-PCIE"] * 2, 32),
        ("Raspberry Pi 4 Model B 8GB", "Raspberry Pi 4", [], 8),
        # the row whose name was typed whole
        ("Asus NUC 15 Pro Ultra 7 255H 64GB", "Ultra 7 255H", [], 64),
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
    ("text", "question"),
    [
        ("2600 16gb 1060 6gb", "several processors"),
        ("7600 rx 7600 32gb", "several processors"),
        # the Ryzen 5 and the Radeon beside another Radeon
        ("5600 6700 32gb", "several processors or a GPU"),
        ("24GB VRAM, 64GB RAM", "not which GPU"),
        ("16GB RAM 8GB VRAM 6 core", "not which GPU"),
        # an Intel Mac without its year is no PC
        ("Intel Macbook 16gb", "no machine is called"),
    ],
)
def test_what_may_be_several_parts_is_asked(text: str, question: str) -> None:
    with pytest.raises(UnknownMachineError, match=question):
        machine_named(text)


@pytest.mark.parametrize(
    ("text", "physical", "usable"),
    [
        ("oracle ampere a1 4 ocpu 24gb", 4, 4),
        ("github codespace 4 core 16gb", 4, 4),
        ("8c/16t 32GB DDR4-3200", 8, 16),
        ("4 cores 8 threads 16gb", 4, 8),
        # numbers of a generation and of a line count no cores
        ("thinkpad p1 gen 7 ultra 7 155h rtx 4060 32gb", 16, 22),
        ("legion 5 core i7 12700h rtx 3060 16gb", 14, 20),
        ("lxc container 2 cores 4gb", 2, 2),
        # its maker lists these cores with two threads each
        ("i7-7700 4 cores 16gb", 4, 8),
        ("2 xeon gold 6226r 192gb", 32, 64),
        ("2 x AMD EPYC 7302 256GB 8x 3090", 32, 64),
        ("16c32t 128GB 2x3090", 16, 32),
        ("kubernetes node 16 vCPU 64 GiB", 16, 16),
    ],
)
def test_cores_that_are_typed_are_those_of_the_machine(
    text: str, physical: int, usable: int
) -> None:
    machine = machine_named(text)
    assert (machine.cpu_cores_physical, machine.cpu_cores_usable) == (physical, usable)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("5600 32GB 4060 Ti", "RTX 4060 Ti 16 GB"),  # sold with 8 GB, too
        ("2014 mac mini i7 16gb", "Which i7 it has is not told"),
    ],
)
def test_what_a_name_leaves_open_is_said(text: str, note: str) -> None:
    assert note in (profile_named(text).note or "")


# a processor and a GPU as they are typed, with what the machine has by these words
PAIRS = [
    ("i9-13900k rtx 4090", "i9 13900k", ["NVIDIA GeForce RTX 4090"]),
    ("Ryzen 7 5800X, RTX 3080 10GB,", "ryzen 7 5800x", ["NVIDIA GeForce RTX 3080"]),
    ("ryzen 5 rtx 3050", "ryzen 5", ["NVIDIA GeForce RTX 3050"]),
    ("i7-12700k rtx 3060 ti", "i7 12700k", ["NVIDIA GeForce RTX 3060 Ti"]),
    ("4x 3090 + threadripper 3970x", "threadripper 3970x", ["NVIDIA GeForce RTX 3090"] * 4),
]
ENDINGS = [
    "", "ddr5-6000", "DDR4 3200", "ddr4", "3600mhz", "+ 1tb ssd", ", 2tb nvme", "2TB NVMe SSD", "ssd 512gb", "windows 11",
    "ubuntu 22.04", "linux", "850w", "850w psu", "gaming pc", "2tb", "and watercooled",
]  # fmt: skip


def test_words_that_tell_nothing_of_pace_leave_processor_gpu_and_ram() -> None:
    """A GPU is never dropped for a word beside it."""
    wanted, answers = {}, {}
    for typed, processor, cards in PAIRS:
        for text in (*(f"{typed} 64gb {ending}" for ending in ENDINGS), f"{typed} and 64gb of ram"):
            wanted[text] = (processor, cards, 64.0)
            answers[text] = parts(machine_named(text))
    assert answers == wanted


@pytest.mark.parametrize(
    ("text", "gb_per_s"),
    [
        # transfers a second x 8 bytes x channels
        ("rtx 3060 12gb 32gb ddr4-3200", 51.2),
        ("rtx 3060 12gb 32gb of ddr5 6000 mhz", 96.0),
        ("ryzen 5600 rtx 3060 32gb ddr4 2666", 42.656),
        ("ryzen threadripper 3970x rtx 3090 128gb ddr4-3200", 102.4),
        ("i5-12400 32gb ddr4-3200", 51.2),
        ("legion 5 3060 32gb ddr5-4800", 76.8),
        # how many channels is not known
        ("rtx a6000 256gb ddr4-3200", None),
    ],
)
def test_the_rate_of_the_ram_tells_its_bandwidth(text: str, gb_per_s: float | None) -> None:
    rate = machine_named(text).memory_bandwidth_bytes_per_second
    assert (rate and rate / 1e9) == pytest.approx(gb_per_s)


def test_a_system_that_is_named_is_that_of_the_machine() -> None:
    assert machine_named("ryzen 5600 rtx 3060 32gb windows 11").system == "windows"
    assert machine_named("i5-8250u 16gb win10").system == "windows"


@pytest.mark.parametrize(
    ("text", "lead"),
    [
        ("ryzen 5600 rtx 9999 32gb", "no GPU is called 'rtx 9999'"),
        ("ryzen 5600 rtx 3060 frob9 32gb", "nothing is known by 'frob9'"),
        # cards that somebody changed: none is sold so, and no RAM is
        ("2080ti 22gb", "not sold with 22 GB"),
        ("ryzen 5600 2080ti 22gb", "not sold with 22 GB"),
        ("rtx 2080ti 22gb 64gb ram", "not sold with 22 GB"),
        ("rtx 3080 20gb 32gb", "not sold with 20 GB"),
        ("thinkpad p52 i7-8850h 64gb quadro p3100", "no GPU is called 'quadro p3100'"),
        ("foo9 5700x 32gb 3060", "is a GPU"),
    ],
)
def test_what_may_be_a_gpu_is_not_left_out(text: str, lead: str) -> None:
    with pytest.raises(UnknownMachineError) as caught:
        machine_named(text)
    assert lead in str(caught.value)


@pytest.mark.parametrize("text", ["RTX 0909 48GB", "NVIDIA L50 48GB", "RX 580 4GB"])
def test_a_gpu_is_the_same_as_machine_and_as_gpu(text: str) -> None:
    assert machine_named(text).accelerators == cards_named(text).accelerators


@pytest.mark.parametrize("text", ["RTX 0909", "NVIDIA L50", "Arc B990"])
def test_an_absent_gpu_is_asked_for_its_memory_in_both(text: str) -> None:
    """An L50 was judged with 2 GB, the least of NVIDIA's cards."""
    for read in (machine_named, cards_named):
        with pytest.raises((UnknownMachineError, UnknownGpuError)) as caught:
            read(text)
        assert f"--gpu '{text} 24GB'".lower() in str(caught.value.remedy).lower()


@each(
    ("text", "processor", "gib"),
    [
        ("strix halo 96gb", "AMD RYZEN AI MAX+ 395 w/ Radeon 8060S", 96),
        ("asus rog flow z13 64gb", "AMD RYZEN AI MAX+ 395 w/ Radeon 8060S", 64),
        # 1 GB: it was judged with 8
        ("raspberry pi 3b+", "Cortex-A53 (Raspberry Pi 3 Model B)", 1),
        # ark.intel.com: what these computers of offices came with
        ("ThinkPad X1 Carbon Gen 12 32GB", "Intel(R) Core(TM) Ultra 7 155U", 32),
        ("HP EliteBook 840 G8 16GB", "11th Gen Intel(R) Core(TM) i5-1135G7", 16),
        # what else is sold under a name that has no part's number, or one that a GPU has too
        ("ThinkPad X220 8GB", "Intel(R) Core(TM) i5-2520M CPU @ 2.50GHz", 8),
        ("hp z840 64gb", "Intel(R) Xeon(R) CPU E5-2680 v3 @ 2.50GHz", 64),
        ("dell optiplex 3080 micro 16gb", "Intel(R) Core(TM) i5-10500 CPU @ 3.10GHz", 16),
        ("mac pro 2013 64gb", "Intel(R) Xeon(R) CPU E5-1620 v2 @ 3.70GHz", 64),
        ("MacBook Pro 15 inch 2015", "Intel(R) Core(TM) i7-4770HQ CPU @ 2.20GHz", 16),
        ("raspberry pi 400", "Cortex-A72 (Raspberry Pi 4 Model B)", 4),
        ("asus zenbook 14 oled ultra 7 155h 32gb", "core ultra 7 155h", 32),
        ("n1x laptop 64gb", "Cortex-X925 Cortex-A725 (NVIDIA N1X)", 64),
        ("Ryzen 5 7600 32 gigs", "Ryzen 5 7600", 32),
        # a kind of processor does not hide which the product has
        ("dell poweredge r720 dual xeon 128gb", "Intel(R) Xeon(R) CPU E5-2670 0 @ 2.60GHz", 128),
        ("nuc 11 i7 16gb", "11th Gen Intel(R) Core(TM) i5-1135G7", 16),
        ("HPE ProLiant DL380 Gen9 128GB", "Intel(R) Xeon(R) CPU E5-2680 v3 @ 2.50GHz", 128),
        # 9to5mac.com, 2018-11: six cores at 3.0 GHz; it was judged as the i3 of the cheapest
        ("mac mini 2018 i5", "Intel(R) Core(TM) i5-8500B CPU @ 3.00GHz", 8),
        # connect-professional.de, 2019: with 27 inches six cores at least; with 21.5 it has an i3
        ("imac 27 2019 64gb", "Intel(R) Core(TM) i5-8500 CPU @ 3.00GHz", 64),
        # makers' data sheets: boxes for disks, boards, a thin client that was taken for an RTX 5070
        ("synology ds923+ 32gb", "AMD Ryzen Embedded R1600", 32),
        ("Odroid M1 8GB", "Cortex-A55 (RK3568)", 8),
        ("bosgame m5 128gb", "AMD RYZEN AI MAX+ 395 w/ Radeon 8060S", 128),
        ("hp t640 thin client 8gb", "AMD Ryzen Embedded R1505G with Radeon Vega Gfx", 8),
        ("Synology DS220+ 6GB", "Intel(R) Celeron(R) J4025 CPU @ 2.00GHz", 6),
        # a product's number before `core` counts no cores
        ("optiplex 780 core 2 quad q8400 8gb", "core 2 quad q8400", 8),
        ("optiplex 780 q9550 8gb", "core 2 quad q9550", 8),
        ("minisforum n5 pro 96gb", "AMD Ryzen AI 9 HX PRO 370 w/ Radeon 890M", 96),
        # the ROG Ally that is not the Extreme
        ("rog ally z1", "AMD Ryzen Z1", 16),
        ("dell wyse 5070 8gb", "Intel(R) Celeron(R) J4105 CPU @ 1.50GHz", 8),
        # the number of a model is no GPU
        ("vostro 3070 i5-8400 16gb", "i5 8400", 16),
    ],
)
def test_a_product_has_its_processor_and_memory(text: str, processor: str, gib: int) -> None:
    machine = machine_named(text)
    assert machine.cpu_model == processor
    assert machine.memory_total_bytes == gib * GIB


def test_a_number_with_an_x_at_the_end_counts_parts_alone() -> None:
    """A Yoga Slim 7x has a Snapdragon X Elite (Lenovo's data sheet)."""
    assert "Snapdragon" in str(machine_named("lenovo yoga slim 7x 32gb").cpu_model)
    assert len(machine_named("tesla p100 16gb 2x").accelerators or ()) == 2
    assert len(machine_named("alienware aurora r16 4090").accelerators or ()) == 1


def test_a_number_of_two_processors_is_told_beside_a_gpu() -> None:
    """A 7900X is a Ryzen 9 and was a Core i9; alone it is asked for."""
    note = str(profile_named("7900x rtx 4090").note)
    assert "ryzen 7900x and RTX 4090, 32 GB of RAM, assumed" in note
    assert "core i9 7900x" in note


def test_of_two_sizes_the_one_behind_a_gpu_is_its_memory() -> None:
    machine = machine_named("a100 80gb ddr5 256gb")
    assert [card.name for card in machine.accelerators or ()] == ["NVIDIA A100 80GB PCIe"]
    assert machine.memory_total_bytes == 256 * 2**30


@pytest.mark.parametrize(
    ("text", "lead"),
    [
        ("nuc", "name the processor"),
        ("dell xps 15", "name the GPU"),
        # a card is what makes it one
        ("i5 gaming pc", "name the GPU"),
        ("ryzen 7 5800x gaming pc 32gb", "name the GPU"),
        ("gaming pc 32gb", "name the GPU"),
        ("gaming laptop 16gb", "name the GPU"),
        ("8gb ram", "'i5-8250U 8GB'"),
        ("ovh vps", "'vps 4 vcpu 8gb'"),
        # it has no other GPU than its processor's
        ("framework 13", "name the processor"),
        ("rog zephyrus g14 2023", "name the GPU"),
        ("dell precision 3090", "--gpu 'RTX 3090' puts it into this machine"),
        ("2x RTX 3090 laptop", "--gpu '2x RTX 3090' puts it into this machine"),
        ("frobnicator 4070", "RTX 4070 laptop"),
        ("iphone 15 pro", "Name a computer"),
        # Intel's numbers and AMD's never have a 0 there, NVIDIA's do
        ("i7 3070 16gb", "--machine 'i7 RTX 3070 16gb'"),
        ("ryzen 5 4060 16gb", "--machine 'ryzen 5 RTX 4060 16gb'"),
    ],
)
def test_what_a_name_leaves_open_is_asked(text: str, lead: str) -> None:
    with pytest.raises(UnknownMachineError) as caught:
        machine_named(text)
    assert lead in str(caught.value.remedy)


@pytest.mark.parametrize(
    ("text", "gib"),
    [
        ("16gb ram laptop no gpu", 16),
        ("laptop 8gb ram integrated graphics", 8),
        ("office pc 16gb", 16),
        ("32gb ddr5 no gpu", 32),
        ("old pc 8gb ddr3", 8),
        ("32 gigs of ram laptop", 32),
        # eight cores are no processor's name
        ("8 core cpu 16gb ram", 16),
    ],
)
def test_a_computer_of_which_the_ram_alone_is_told_has_a_wide_range(text: str, gib: int) -> None:
    """From one module of DDR3 to two of DDR5: more than three times, and the name is asked for."""
    named = profile_named(text)
    machine = named.profile.machine
    assert machine.memory_total_bytes == gib * GIB
    assert machine.accelerators == ()
    assert "wide guess" in str(named.note)
    memory = bandwidth(machine)
    assert memory is not None
    assert memory.high > 3 * memory.low


@pytest.mark.parametrize(
    ("text", "card", "aside"),
    [
        ("asus tuf a15 rtx 4060", "NVIDIA GeForce RTX 4060 Laptop GPU", "a15"),
        ("razer blade 15 3080", "NVIDIA GeForce RTX 3080 Laptop GPU", ""),
        ("legion pro 7i 4090", "NVIDIA GeForce RTX 4090 Laptop GPU", ""),
    ],
)
def test_the_model_of_a_line_of_laptops_is_left_aside_and_said(
    text: str, card: str, aside: str
) -> None:
    named = profile_named(text)
    assert [each.name for each in named.profile.machine.accelerators or ()] == [card]
    assert ("Nothing is known by" in str(named.note)) == bool(aside)
    assert aside in str(named.note)


@pytest.mark.parametrize(
    ("text", "is_told"),
    [("rtx 4090 48gb", True), ("rtx 3080 20gb", True), ("gaming pc 3070 32gb", False)],
)
def test_twice_a_cards_memory_is_said_to_be_read_as_ram(text: str, is_told: bool) -> None:
    """Cards are sold that somebody gave twice their memory."""
    named = profile_named(text)
    assert ("--set gpu=" in str(named.note)) == is_told


def test_an_accelerator_that_no_program_computes_on_is_said_to_be_left_aside() -> None:
    assert "computes on coral tpu" in str(profile_named("pi 5 coral tpu 8gb").note)


@each(
    ("text", "ram_gib", "card_gib"),
    [
        # processor, RAM, card: the order in which shops and owners write them
        ("Ryzen 5 5600 16GB RTX 4060 Ti", 16, 8),
        ("i5-12400 16GB RTX 5060 Ti", 16, 8),
        ("i5-12400, 16 GB, RTX 4060 Ti", 16, 8),
        ("Pentium G4560 8GB RTX 3060", 8, 12),
        ("i5-12400 16GB A770", 16, 16),
        ("i9-13900K 24GB RTX 3090", 24, 24),
        ("Xeon E5-2680 v4 32GB MI50", 32, 16),
        ("dual Xeon E5-2680 v4 32GB 2x MI50", 32, 16),
        ("EPYC 7402 40GB A100", 40, 40),
        ("Threadripper 3970x 48GB A6000", 48, 48),
        # a kind of RAM says whose the size is
        ("i5-12400 16GB DDR4 RTX 4060 Ti", 16, 8),
        ("RTX 4060 Ti 16GB DDR4 i5-12400", 16, 8),
        # behind the card, or behind another size, it is the card's
        ("i5-12400 RTX 4060 Ti 16GB", 32, 16),
        ("i5-12400 32GB RTX 4060 Ti 16GB", 32, 16),
        ("i5-12400 32GB 16GB RTX 4060 Ti", 32, 16),
        ("16GB RTX 4060 Ti", 32, 16),
        # no modules of RAM make 11 GB
        ("i5-12400 11GB 1080 Ti", 32, 11),
    ],
)
def test_a_size_behind_a_processor_is_its_ram(text: str, ram_gib: int, card_gib: int) -> None:
    """A card that is sold with that size, too, does not take it from the processor before it."""
    machine = machine_named(text)
    assert machine.memory_total_bytes == ram_gib * GIB
    cards = {round((card.memory_total_bytes or 0) / GIB) for card in machine.accelerators or ()}
    assert cards == {card_gib}


@pytest.mark.parametrize(
    ("text", "card", "gib"),
    [
        # ollama/ollama#7018 has an iMac with a Radeon Pro 5700 XT of 16 GB; the RX has 8
        ("iMac 27 2020 5700XT", "AMD Radeon Pro 5700 XT", 16),
        ("macbook pro 16 2019 5500M 16GB", "AMD Radeon Pro 5500M", 8),
        # in a slot of its own, or outside
        ("mac pro 2019 rx 6800 xt 96gb", "AMD Radeon RX 6800 XT", 16),
    ],
)
def test_a_number_of_a_card_means_the_line_that_its_maker_builds_in(
    text: str, card: str, gib: int
) -> None:
    """Apple built Radeon Pro cards in; a name that says RX keeps it."""
    (owned,) = machine_named(text).accelerators or ()
    assert owned.name == card
    assert (owned.memory_total_bytes or 0) / GIB == gib


def test_a_board_has_the_fast_cores_of_its_processor() -> None:
    """Four Cortex-A76 beside four A55, whether the board or its chip is named."""
    board, chip = (machine_named(name) for name in ("orange pi 5 plus 16gb", "rk3588 16gb"))
    assert (board.cpu_cores_performance, board.cpu_cores_physical) == (4, 8)
    assert chip.cpu_cores_performance == 4
