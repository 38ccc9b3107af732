"""The memory bandwidth that a description of RAM states."""

import pytest

from selfhost.cli.main import main
from selfhost.machine.named import machine_named, profile_named
from selfhost.machine.products import fact_to_type
from selfhost.machine.ram import stated_ram, usual_ram
from selfhost.verdict.memory_bandwidth import bandwidth

MB = 10**6
PLAIN = "memory_bandwidth_bytes_per_second"


@pytest.mark.parametrize(
    ("text", "kind", "mts", "channels", "sticks"),
    [
        ("i5-12400 32gb ddr4-3200", "ddr4", 3200, None, None),
        ("ryzen 7950x 64gb DDR5 6000", "ddr5", 6000, None, None),
        ("7840u 32gb lpddr5x-7500", "lpddr5x", 7500, None, None),
        ("155h lpddr5x 7467 MT/s", "lpddr5x", 7467, None, None),
        ("i9-13900k 64gb 6400mhz", None, 6400, None, None),
        ("epyc 9654 octa-channel ddr5", "ddr5", None, 8, None),
        ("xeon 4 channel ddr4", "ddr4", None, 4, None),
        ("5600g dual channel", None, None, 2, None),
        ("i5-12400 2x16gb ddr4 3600 cl16", "ddr4", 3600, None, 2),
        ("epyc 9354 12x32gb ddr5-4800", "ddr5", 4800, None, 12),
        # no rates: GPUs, and their own memory
        ("i5-12400 32gb ddr5 3090", "ddr5", None, None, None),
        ("rtx 3090 24gb gddr6x", None, None, None, None),
    ],
)
def test_what_is_read_of_a_description(
    text: str, kind: str | None, mts: int | None, channels: int | None, sticks: int | None
) -> None:
    ram = stated_ram(text)
    assert (ram.kind, ram.mts, ram.channels, ram.sticks) == (kind, mts, channels, sticks)


@pytest.mark.parametrize(
    ("text", "gib"),
    [
        # as shops and forums write modules: count by size, a sum, their total before them
        ("i7-12700 2x16gb", 32),
        ("ryzen 5600g 2 x 16 GB", 32),
        ("i7-12700 16gb+16gb", 32),
        ("i5-12400 16GB + 8GB", 24),
        ("i5-12400 2 sticks of 16gb ddr4-3200", 32),
        ("i5-12400 two modules of 16 GB", 32),
        ("i7-8700 64 gb ddr4-2400 (4 x 16 gb, dual-channel)", 64),
        ("i7-12700 32gb (2x16gb) ddr4-3200", 32),
        ("ryzen 9 5950x 4x32gb 2x 3090", 128),
        ("i7-12700 16gb + 16gb rtx 3060", 32),
        # a size that the GPU is sold with is the GPU's, and a disk is no RAM
        ("i7-12700 rtx 4060 ti 16gb + 16gb", 16),
        ("2x 16gb v100 64gb", 64),
        # the 32 of a name is no count of modules
        ("ampereone a192-32x 512gb ddr5-5200", 512),
        # a size before them is their sum, or that of the card behind which it stands
        ("rtx 3060 12gb 2x16gb", 32),
        ("i5-12400 rtx 3060 12gb (2x16gb)", 32),
        # a GPU that is sold with as much stands in most computers once
        ("i5-12400 2x8gb rtx 4060", 16),
        # the 3 of a generation is no Radeon Vega 3, which is sold with no memory of its own
        ("thinkpad t14 gen 3 1x16gb", 16),
        ("n100 16gb+500gb", 16),
    ],
)
def test_modules_are_counted_together(text: str, gib: int) -> None:
    assert machine_named(text).memory_total_bytes == gib << 30


@pytest.mark.parametrize(
    ("text", "channels", "mts"),
    [
        # channels and memory as ark.intel.com and amd.com have them; a transfer is of 8 bytes
        ("i5-12400 32gb ddr4-3200", 2, 3200),
        ("ryzen 9 7950x 128gb ddr5-3600", 2, 3600),
        ("i5-12400 1x16gb ddr4-3200", 1, 3200),
        ("i5-12400 16gb one stick ddr4-3200", 1, 3200),
        ("ryzen 9 7950x 64gb 2 dimm ddr5-5200", 2, 5200),
        ("n100 16gb ddr4-3200", 1, 3200),
        ("epyc 7282 128gb 4 channel ddr4-3200", 4, 3200),
        ("ampereone a192-32x 512gb ddr5-5200", 8, 5200),
        # modules are told of the whole machine: eight of each socket's twelve channels
        ("2x epyc 9175f 16x48gb ddr5-6400", 8, 6400),
        ("2x epyc 9654 24x64gb ddr5-4800", 12, 4800),
        # more than the processor takes runs at what it takes
        ("xeon e5-2690 v4 256gb ddr4-3200", 4, 2400),
        # a kind alone: JEDEC's usual rate
        ("i5-12400 32gb ddr4", 2, 3200),
        # of a class alone what is said counts, of clients two
        ("xeon 64gb octa-channel ddr5-4800", 8, 4800),
        # ark.intel.com: Core i3-N305, one channel, DDR5-4800
        ("n305 32gb ddr5", 1, 4800),
        ("ryzen rtx 3090 64gb ddr4-3600", 2, 3600),
        ("rtx 3090 64gb ddr4-3600 dual channel", 2, 3600),
    ],
)
def test_the_rate_and_the_channels_are_the_bandwidth(text: str, channels: int, mts: int) -> None:
    named = profile_named(text)
    machine = named.profile.machine
    assert machine.memory_bandwidth_bytes_per_second == channels * 8 * mts * MB
    assert "at most" in str(named.note)
    # without a rate it stays an assumption
    assert machine.assumes(PLAIN) == (str(mts) not in text and "e5" not in text)


@pytest.mark.parametrize(
    ("text", "note"),
    [("i7-4770 16gb ddr5-6000", "takes no such memory"), ("rtx 3090 64gb ddr5-6000", "channels")],
)
def test_what_cannot_be_is_left_aside_and_said_so(text: str, note: str) -> None:
    named = profile_named(text)
    assert note in str(named.note)


@pytest.mark.parametrize("text", ["strix halo 128gb lpddr5x-8000", "macbook pro m3 max 64gb ddr5"])
def test_a_chip_with_its_memory_beside_it_keeps_that(text: str) -> None:
    plain = " ".join(text.split()[:-1])
    assert machine_named(text).replace(sources={}) == machine_named(plain).replace(sources={})


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        # AM5 takes no DDR4 (amd.com, Ryzen 9 7950X: system memory type DDR5)
        ("ryzen 9 7950x 96gb rtx 3090", "ddr5"),
        ("ryzen 9 5950x 64gb rtx 3090", "ddr4"),
        ("i7-4770k 32gb rtx 3060", "ddr3"),
    ],
)
def test_the_memory_to_state_is_what_the_processor_takes(text: str, kind: str) -> None:
    """Issue 22.23: `state the rate of its RAM (… ddr4-3200)` was said of a DDR5 board; what is said is understood."""
    fact = fact_to_type(machine_named(text))
    assert fact is not None
    assert fact[1].startswith(f"{kind}-")
    assert machine_named(f"{text} {fact[1]}").memory_bandwidth_bytes_per_second


@pytest.mark.parametrize(
    ("name", "usual"),
    [("fx-8350 16gb", "ddr3-1866"), ("i7-920 12gb", "ddr3-1066"), ("ryzen 7 7840u", "ddr5-5600")],
)
def test_the_usual_memory_of_sockets_is_of_modules(name: str, usual: str) -> None:
    """FX took DDR3-1866 and the first Core i7 DDR3-1066; LPDDR3 and DDR2 have rates that are near."""
    assert usual_ram(machine_named(name)) == usual


@pytest.mark.parametrize("text", ["i5-6200u 8gb", "imac 2017 16gb", "macbook pro 2017 16gb"])
def test_modules_to_state_are_of_no_memory_that_is_soldered(text: str) -> None:
    """LPDDR3 comes in no modules (JESD209-3); it has the usual rate of these processors alike."""
    fact = fact_to_type(machine_named(text))
    assert fact is not None
    modules, kind = fact[1].split()
    assert modules.startswith("2x")
    assert kind.startswith("ddr")


@pytest.mark.parametrize("name", ["2x xeon e5-2690 v4 256gb", "fx-8350 16gb"])
def test_nobody_is_told_to_state_a_rate_that_narrows_nothing(name: str) -> None:
    """NUMA nodes bound the pace of two sockets, and cores that of processors without AVX2."""
    assert fact_to_type(machine_named(name)) is None


@pytest.mark.parametrize(
    ("laptop", "advice"),
    [
        # soldered LPDDR5x at 6400 on 128 bits (businessworld.in, review of 2024): nothing is left to state
        ("thinkpad x1 carbon gen 12", ""),
        # a Core i7-1260P takes DDR4, DDR5 and LPDDR5
        ("thinkpad x1 carbon gen 10", "the rate of its RAM (--machine '… "),
        # the memory is in the package of its Core Ultra 7 258V, in one rate: only to measure helps
        ("thinkpad x1 carbon gen 13", "--measure` on it"),
    ],
)
def test_no_owner_of_a_laptop_is_told_to_type_a_bandwidth(
    laptop: str, advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """51.2 GB/s was the advice for all of them, which is two channels of DDR4-3200."""
    assert main(["check", "qwen3-4b", "--machine", laptop]) == 0
    pace = capsys.readouterr().out.splitlines()[1]
    assert "bandwidth=" not in pace
    assert advice in pace
    assert ("for a narrower range" in pace) is bool(advice)


def test_a_laptop_with_soldered_memory_has_the_rate_that_it_is_sold_with() -> None:
    machine = machine_named("thinkpad x1 carbon gen 12")
    assert machine.memory_bandwidth_bytes_per_second == 6400 * 10**6 * 128 // 8
    # a processor of that kind that was named alone may have modules, which are slower
    assert machine_named("core ultra 7 155u 32gb").memory_bandwidth_bytes_per_second is None


@pytest.mark.parametrize(
    ("text", "is_said"),
    [
        # eleven models on one such computer ran at half of what two channels give
        ("i5-9500t 32gb", True),
        ("ryzen 7 7840hs 32gb", True),
        ("i5-9500t 1x32gb", False),
        ("i5-9500t 2x16gb", False),
        ("i5-9500t 32gb ddr4-2666", True),
        # soldered, of a server, in no use beside a card, and a machine that is known whole
        ("core ultra 7 258v 32gb", False),
        ("epyc 9554 192gb", False),
        ("i5-9500t 32gb rtx 3060", False),
        ("desktop-ryzen-5600-16gb", False),
    ],
)
def test_that_both_channels_are_taken_to_be_filled_is_said(text: str, is_said: bool) -> None:
    assert ("with one stick of RAM" in str(profile_named(text).note)) == is_said


def test_stating_the_modules_of_a_laptop_settles_how_many_channels_are_filled() -> None:
    """16 GB may be one module or two (two owners of a Ryzen 5 5500U got 15 and 32 tokens/s of the same file, tests/truth/speed_fresh.json)."""
    untold, two, one = (
        bandwidth(machine_named(f"ryzen 5 5500u {ram}")) for ram in ("16gb", "2x8gb", "1x16gb")
    )
    assert untold is not None
    assert two is not None
    assert one is not None
    assert untold.low == one.low < two.low
    assert untold.likely == two.likely > one.likely
    # fewer channels hold the same cores up less
    assert one.likely > two.likely / 2


def test_a_rate_alone_leaves_open_how_many_modules_there_are() -> None:
    """DDR4-2400 is what a ThinkPad T480 takes anyway; one module of it reads as slowly as before."""
    untold, rate, both = (
        bandwidth(machine_named(f"thinkpad t480 {ram}"))
        for ram in ("16gb", "16gb ddr4-2400", "2x8gb ddr4-2400")
    )
    assert untold is not None
    assert rate is not None
    assert both is not None
    assert rate.low == untold.low < both.low
    assert "one stick" in str(profile_named("thinkpad t480 16gb ddr4-2400").note)
    assert "one stick" not in str(profile_named("ryzen 7 7840u 16gb lpddr5x-7500").note)


@pytest.mark.parametrize("text", ["ryzen 7 5700g 32gb ddr5-4800", "epyc 9654 384gb ddr4-3200"])
def test_memory_of_another_generation_is_left_aside(text: str) -> None:
    """AM4 takes DDR4 and SP5 DDR5, whatever the rate."""
    assert "takes no such memory" in str(profile_named(text).note)
    assert machine_named(text).memory_bandwidth_bytes_per_second is None


@pytest.mark.parametrize("text", ["surface laptop 7", "rk3588"])
def test_soldered_memory_has_no_sticks(text: str) -> None:
    """Eight channels of 16 bits are no eight slots: a module stated there filled one of them."""
    told, untold = (machine_named(f"{text} {ram}") for ram in ("1x16gb", "16gb"))
    assert bandwidth(told) == bandwidth(untold)


def test_what_was_read_leaves_no_brackets_in_the_name() -> None:
    assert machine_named("i7-12700 (12 cores, 20 threads) 32gb").cpu_model == "i7-12700"
