"""GPUs by name: each is found as people type it, and no name of one is taken for another."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.each import each
from selfhost.core.spelling import words_of
from selfhost.machine import gpus
from selfhost.machine.changes import apply
from selfhost.machine.gpu_names import (
    PartOfMachineError,
    UnknownGpuError,
    cards_named,
)
from selfhost.machine.named import NotOneMachineError, machine_named
from selfhost.machine.profiles import UnknownMachineError
from selfhost.machine.record import Machine
from selfhost.verdict.graphics import gpu_of

GIB, GB = 2**30, 10**9
CARDS = [card for card in gpus.cards() if not card.unified]
SHARED = [card for card in gpus.cards() if card.unified and not card.integrated]
INTEGRATED = [card for card in gpus.cards() if card.integrated]


def named(text: str) -> list[tuple[str, float]]:
    """Driver's names and GiB."""
    return [
        (card.name, round((card.memory_total_bytes or 0) / GIB))
        for card in cards_named(text).accelerators
    ]


# ------------------------------------------------------------------ every row


@each("card", CARDS, ids=lambda card: card.name)
def test_a_card_is_found_by_its_drivers_name(card: gpus.Card) -> None:
    """In any case, and with each of its sizes; it is that card and no other."""
    for text in (card.name, card.name.lower(), card.label):
        for size in card.memory_gib:
            typed = text if len(card.memory_gib) == 1 else f"{text} {size:g}GB"
            found = cards_named(typed)
            assert {accelerator.name for accelerator in found.accelerators} == {card.name}, typed
            assert len(found.accelerators) == card.devices
            assert found.notes == ()


@each("card", CARDS, ids=lambda card: card.name)
def test_a_name_without_a_size_means_the_usual_or_the_smallest(card: gpus.Card) -> None:
    """And a note names the others, as they can be typed."""
    found = cards_named(card.name)
    reported = (found.accelerators[0].memory_total_bytes or 0) / GIB
    taken = card.usual_gib or card.memory_gib[0]
    assert 0.92 * taken < reported <= taken
    for size in set(card.memory_gib) - {taken}:
        assert any(f"{size:g} GB" in note for note in found.notes)
    for name in (word for note in found.notes for word in note.split('"')[1::2]):
        assert cards_named(name).accelerators[0].name == card.name


@pytest.mark.parametrize(
    ("text", "label", "other", "which"),
    [
        # it came with 12 GB; the one with 8 GB followed 20 months later
        ("RTX 3060", "RTX 3060 12 GB", "RTX 3060 8 GB", "the usual one"),
        # Intel's own card has 16 GB (Intel ARK)
        ("arc a770", "Arc A770 16 GB", "Arc A770 8 GB", "the usual one"),
        # 16 GB followed two months later
        ("rtx 4060 ti", "RTX 4060 Ti 8 GB", "RTX 4060 Ti 16 GB", "the usual one"),
        # both came at once
        ("rx 9060 xt", "Radeon RX 9060 XT 8 GB", "Radeon RX 9060 XT 16 GB", "the smallest"),
    ],
)
def test_most_cards_have_the_memory_that_a_name_alone_means(
    text: str, label: str, other: str, which: str
) -> None:
    named = cards_named(text)
    assert named.label == label
    (note,) = named.notes
    assert which in note
    assert other in note


@each("card", SHARED, ids=lambda card: card.name)
def test_a_gpu_that_shares_the_ram_comes_with_its_machine(card: gpus.Card) -> None:
    with pytest.raises(PartOfMachineError) as caught:
        cards_named(card.name)
    assert "--machine" in str(caught.value.remedy)


@given(
    st.sampled_from(CARDS),
    st.sampled_from(["", "Laptop", "Ti", "SUPER", "XT", "XTX", "D", "GRE", "Max-Q", "Ada", "SFF"]),
)
def test_a_variant_is_never_taken_for_the_plain_card(card: gpus.Card, variant: str) -> None:
    """4090 Laptop is no 4090, and 4070 Ti no 4070: a name with one more such word is another card
    or none, unless the table calls the card so.
    """
    words = words_of(variant)
    if words & card.named or not words or any(words & called for called in card.called):
        return
    try:
        names = {found.name for found in cards_named(f"{card.label} {variant}").accelerators}
    except UnknownGpuError:
        return
    assert card.name not in names


# ------------------------------------------------------------------ as people type


@each(
    ("text", "name", "gib"),
    [
        ("RTX 4090", "NVIDIA GeForce RTX 4090", 24),
        ("4090", "NVIDIA GeForce RTX 4090", 24),
        ("rtx4090", "NVIDIA GeForce RTX 4090", 24),
        ("GeForce RTX™ 4090", "NVIDIA GeForce RTX 4090", 24),
        ("4090 laptop", "NVIDIA GeForce RTX 4090 Laptop GPU", 16),
        ("rtx 4090 mobile", "NVIDIA GeForce RTX 4090 Laptop GPU", 16),
        ("RTX 3070M", "NVIDIA GeForce RTX 3070 Laptop GPU", 8),
        ("4090D", "NVIDIA GeForce RTX 4090 D", 24),
        ("RTX 3060 12GB", "NVIDIA GeForce RTX 3060", 12),
        ("RTX 3060, 12 GB", "NVIDIA GeForce RTX 3060", 12),
        ("rtx_3060_12gb", "NVIDIA GeForce RTX 3060", 12),
        ("geforce rtx 4060 ti 16 gb", "NVIDIA GeForce RTX 4060 Ti", 16),
        ("4070TiSUPER", "NVIDIA GeForce RTX 4070 Ti SUPER", 16),
        ("4070 TiS", "NVIDIA GeForce RTX 4070 Ti SUPER", 16),
        ("2070S", "NVIDIA GeForce RTX 2070 SUPER", 8),
        ("1060 6gb", "NVIDIA GeForce GTX 1060", 6),
        ("RTX 2070 Max-Q", "NVIDIA GeForce RTX 2070 with Max-Q Design", 8),
        ("RX 7900 XT", "AMD Radeon RX 7900 XT", 20),
        ("7900xtx", "AMD Radeon RX 7900 XTX", 24),
        ("6700M", "AMD Radeon RX 6700M", 10),
        ("W7900", "AMD Radeon PRO W7900", 48),
        ("R9700", "AMD Radeon AI PRO R9700", 32),
        ("MI50 32GB", "AMD Instinct MI50", 32),
        ("a770 16g", "Intel Arc A770 Graphics", 16),
        ("A6000", "NVIDIA RTX A6000", 48),
        ("RTX 6000 Ada", "NVIDIA RTX 6000 Ada Generation", 48),
        ("Quadro RTX 6000", "Quadro RTX 6000", 24),
        ("T4", "Tesla T4", 15),
        ("V100 32GB", "Tesla V100-SXM2", 32),
        ("A100 80GB SXM", "NVIDIA A100-SXM4-80GB", 80),
        ("H100 SXM", "NVIDIA H100 80GB HBM3", 80),
        ("GH200 480GB", "NVIDIA GH200 480GB", 96),
    ],
)
def test_names_as_people_type_them(text: str, name: str, gib: int) -> None:
    assert named(text) == [(name, gib)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("2x RTX 3090", ["NVIDIA GeForce RTX 3090"] * 2),
        ("2×3090", ["NVIDIA GeForce RTX 3090"] * 2),
        ("RTX 3090 x2", ["NVIDIA GeForce RTX 3090"] * 2),
        ("3090x2", ["NVIDIA GeForce RTX 3090"] * 2),
        ("4 L40S", ["NVIDIA L40S"] * 4),
        ("3090 + 3080 Ti", ["NVIDIA GeForce RTX 3090", "NVIDIA GeForce RTX 3080 Ti"]),
        ("2x T4, L4", ["Tesla T4", "Tesla T4", "NVIDIA L4"]),
        ("MI250", ["AMD Instinct MI250"] * 2),
        ("none", []),
    ],
)
def test_several(text: str, names: list[str]) -> None:
    """A count before or after the name, kinds joined by + or a comma; a card with two GPUs is
    two.
    """
    assert [name for name, _ in named(text)] == names


def test_a_name_that_several_forms_have_means_the_least() -> None:
    """An A100 may be the one with 40 GB; the note names the others."""
    found = cards_named("A100")
    assert found.accelerators[0].memory_total_bytes == 40 * GIB
    assert "A100-SXM4-80GB" in found.notes[0]
    assert cards_named("H200").notes == ()


def test_figures_and_their_sources() -> None:
    """Memory is what the driver tells, bandwidth the peak of that size; both name a source."""
    found = cards_named("RTX 3080 12GB")
    (card,) = found.accelerators
    assert (card.vendor, card.unified) == ("nvidia", False)
    assert card.memory_bandwidth_bytes_per_second == pytest.approx(912 * GB, rel=0.01)
    assert "TechPowerUp" in found.source
    assert "RTX 3080 12GB" in found.source
    (card,) = cards_named("4090").accelerators
    assert card.memory_total_bytes == 24564 * 2**20


def test_a_gpu_of_a_processor_reads_the_ram_of_any_machine() -> None:
    """By the name of its driver and the short one."""
    for card in INTEGRATED:
        for text in (card.name, card.label):
            (found,) = cards_named(text).accelerators
            assert found.unified, text
            assert found.memory_total_bytes is None
    for text, name in (
        ("780M", "AMD Radeon 780M Graphics"),
        ("Radeon 890M", "AMD Radeon 890M Graphics"),
        ("Vega 8", "AMD Radeon Vega 8 Graphics"),
        ("Intel Iris Xe", "Intel Iris Xe Graphics"),
        ("UHD 770", "Intel UHD Graphics 770"),
        ("Arc 140V", "Intel Arc 140V GPU"),
    ):
        assert cards_named(text).accelerators[0].name == name


@pytest.mark.parametrize(
    ("text", "nearest"),
    [("490", "RTX 4090"), ("H900", "H200"), ("RTX 4090 48GB", "RTX 4090 24 GB")],
)
def test_an_unknown_name_has_near_ones(text: str, nearest: str) -> None:
    with pytest.raises(UnknownGpuError) as caught:
        cards_named(text)
    assert nearest in caught.value.nearest
    assert "--set gpu=" in str(caught.value.remedy)


@pytest.mark.parametrize(
    ("text", "maker"),
    [("Gaudi 3", "Intel"), ("MTT S80", "Moore Threads")],
)
def test_what_no_build_computes_on_is_told_what_it_is(text: str, maker: str) -> None:
    """Gaudi 3 was once answered with a Radeon Vega 3."""
    with pytest.raises(UnknownGpuError, match=maker) as caught:
        cards_named(text)
    assert caught.value.nearest == ()


@pytest.mark.parametrize("text", ["770M", "frobnicator", "4242", "A990M"])
def test_letters_alike_make_no_near_name(text: str) -> None:
    """780M was once answered with an Arc A770M; the remedy states memory and bandwidth instead."""
    with pytest.raises(UnknownGpuError) as caught:
        cards_named(text)
    assert caught.value.nearest == ()
    assert f"'{text}':900GB/s" in str(caught.value.remedy)


@pytest.mark.parametrize(
    ("text", "vendor", "gib", "near"),
    [
        ("RX 6500 8GB", "amd", 8, "RX 6500 XT"),
        ("RTX 490 6GB", "nvidia", 6, "RTX 4090"),
        ("gtx 4090 24GB", "nvidia", 24, "RTX 4090"),
        ("RX 7900 XTZ 32GB", "amd", 32, "RX 7900 XT"),
        ("RTX 0909 48GB", "nvidia", 48, ""),
        ("Arc B990 24GB", "intel", 24, ""),
    ],
)
def test_an_absent_name_with_a_maker_is_a_card_of_its_class(
    text: str, vendor: str, gib: int, near: str
) -> None:
    """With the memory that it states, and the note says so."""
    named_cards = cards_named(text)
    (card,) = named_cards.accelerators
    assert (card.vendor, card.unified) == (vendor, False)
    assert card.memory_total_bytes == gib * GIB
    assert "is listed" in named_cards.notes[0]
    assert near in named_cards.notes[0]
    assert gpu_of(card) is not None
    with pytest.raises(UnknownGpuError):
        cards_named(text, listed_only=True)


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("RTX 309", "RTX 3090"),
        ("rtx 9090", "RTX 5090"),
        ("2x RTX 40900", "RTX 4090"),
        ("gtx 4090", "RTX 4090"),
        ("RX 6500", "Radeon RX 6500 XT"),
        ("RTX 5090 Ti", "RTX 5070 Ti"),
    ],
)
def test_a_slip_without_a_memory_is_no_card(text: str, nearest: str) -> None:
    """`RTX 309` was judged with 4 GB. What the remedy types instead is judged, with that memory."""
    with pytest.raises(UnknownGpuError) as caught:
        cards_named(text)
    assert nearest in caught.value.nearest
    remedy = str(caught.value.remedy)
    assert f"did you mean {caught.value.nearest[0]}" in remedy
    _, stated, _ = remedy.split("'")
    card, *_ = cards_named(stated).accelerators
    assert card.memory_total_bytes is not None
    assert f"{round(card.memory_total_bytes / GIB)}GB" in stated


@pytest.mark.parametrize(
    ("text", "name"),
    [
        # NVIDIA dropped Tesla in 2020 and Quadro in 2020, AMD the Radeon of Instinct with the MI100
        ("tesla l4", "NVIDIA L4"),
        ("quadro rtx a6000", "NVIDIA RTX A6000"),
        ("radeon instinct mi60", "AMD Instinct MI60"),
        ("rtx a6000 ada", "NVIDIA RTX 6000 Ada Generation"),
        ("quadro rtx 6000", "Quadro RTX 6000"),
    ],
)
def test_a_former_line_before_a_name_changes_nothing(text: str, name: str) -> None:
    (card,) = cards_named(text).accelerators
    assert card.name == name


@pytest.mark.parametrize(("text", "gib"), [("p100", 16), ("rx 580", 8), ("rx 580 4gb", 4)])
def test_the_usual_size_counts_where_none_is_stated(text: str, gib: int) -> None:
    (card,) = cards_named(text).accelerators
    assert card.memory_total_bytes == gib * GIB


@pytest.mark.parametrize("text", ["linode g2-gpu-rtx4000a1-s", "my new rtx 0909 24gb card"])
def test_words_that_no_gpu_has_make_no_card(text: str) -> None:
    """The first was judged with 16 GB, for a 2 that it shares with an A2."""
    with pytest.raises(UnknownGpuError):
        cards_named(text)


@pytest.mark.parametrize("typed", ["100x rtx 4090", "rtx 4090 x65", "64x h100, a100"])
def test_too_many_gpus_are_answered_with_how_many_are_judged(typed: str) -> None:
    """`100x rtx 4090` was called no GPU's name."""
    with pytest.raises(UnknownGpuError, match="at most 64 are judged"):
        cards_named(typed)


def test_a_count_is_no_part_of_an_absent_name() -> None:
    named_cards = cards_named("2x RTX 0909 48GB")
    assert named_cards.label == "2x RTX 0909"
    assert [card.name for card in named_cards.accelerators] == ["RTX 0909"] * 2


def test_the_class_of_an_absent_card_gives_a_wide_range() -> None:
    """That of its maker's cards with as much memory, said to be a guess."""
    gpu = gpu_of(cards_named("RTX 0909 24GB").accelerators[0])
    assert gpu is not None
    assert gpu.peak.how is not None
    assert gpu.peak.fast > 2 * gpu.peak.slow


def test_a_gpu_of_which_only_the_memory_is_stated_has_the_range_of_all_makers() -> None:
    """From NVIDIA's L4 (300 GB/s) to AMD's RX 7900 XTX (960 GB/s) by their makers' pages."""
    card, other = apply(Machine(), ["gpu=2x24GiB"]).accelerators or ()
    assert card == other
    gpu = gpu_of(card)
    assert gpu is not None
    assert gpu.peak.slow <= 300 * GB
    assert gpu.peak.fast >= 960 * GB
    assert gpu.peak.how == "a guess by all makers' cards with 24 GiB"


@pytest.mark.parametrize(
    "text",
    ["", "24GB", "RTX", "frobnicator 3000", "0x 4090", "99x 4090", "x", "+", "4090 +", "a" * 999],
)
def test_what_names_no_gpu_is_refused(text: str) -> None:
    with pytest.raises(UnknownGpuError):
        cards_named(text)


@given(st.text(max_size=40))
def test_any_text_is_answered_or_refused(text: str) -> None:
    with contextlib.suppress(UnknownGpuError):
        assert cards_named(text).label


def test_apple_chips_are_machines() -> None:
    with pytest.raises(PartOfMachineError, match="Apple M4 Max"):
        cards_named("m4 max")


@pytest.mark.parametrize(
    ("text", "lead"),
    [
        ("e5-2690 v4 tesla p40 64gb", "Tesla P40"),
        ("intel i5 16gb", "no GPU"),
        # NVIDIA sold it with 24 GB alone
        ("tesla p40 foo 64gb", "not sold with 64 GB"),
    ],
)
def test_a_makers_word_and_a_number_alone_make_no_gpu(text: str, lead: str) -> None:
    """Of a processor beside a card, and of a size that a card is not sold with."""
    with pytest.raises(UnknownGpuError) as caught:
        cards_named(text)
    assert lead in f"{caught.value} {caught.value.remedy}"


# ------------------------------------------------------------------ parts of a card


@pytest.mark.parametrize(
    ("text", "name", "mib", "share"),
    [
        # what drivers tell of these instances: tests/audit/systems/test_kubernetes.py and NVIDIA's
        # k8s-device-plugin; the share of the bandwidth is that of the memory (MIG user guide)
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "NVIDIA A100-SXM4-40GB", 4864, 1 / 8),
        ("A100 SXM4 40GB MIG 3g.20gb", "NVIDIA A100-SXM4-40GB", 20096, 1 / 2),
        ("H100 80GB HBM3 1g.10gb+me", "NVIDIA H100 80GB HBM3", 9984, 1 / 8),
        ("h100 pcie mig-3g.40gb", "NVIDIA H100 PCIe", 40448, 1 / 2),
    ],
)
def test_an_instance_of_mig_has_its_part_of_the_card(
    text: str, name: str, mib: int, share: float
) -> None:
    """Its own memory or up to 7 % less, and as large a part of the bandwidth."""
    (part,) = cards_named(text).accelerators
    (whole,) = cards_named(name).accelerators
    assert part.is_part
    assert part.name.startswith(f"{name} MIG ")
    assert 0.93 * mib <= (part.memory_total_bytes or 0) / 2**20 <= mib
    assert part.memory_bandwidth_bytes_per_second == pytest.approx(
        share * (whole.memory_bandwidth_bytes_per_second or 0)
    )


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("A100 3g.40gb", "NVIDIA A100 80GB PCIe"),
        ("A100 MIG 3g.20gb", "NVIDIA A100-PCIE-40GB"),
        ("H200 MIG 1g.18gb", "NVIDIA H200"),
        ("H100 NVL 1g.12gb", "NVIDIA H100 NVL"),
        ("B200 MIG 3g.90gb", "NVIDIA B200"),
        ("B300 MIG 1g.34gb", "NVIDIA B300 SXM6 AC"),
        ("A30 MIG 2g.12gb", "NVIDIA A30"),
        ("RTX PRO 6000 Blackwell Server MIG 1g.24gb", "RTX PRO 6000 Blackwell Server"),
        ("NVIDIA A100 80GB PCIe MIG 7g.80gb", "NVIDIA A100 80GB PCIe"),
    ],
)
def test_the_name_of_an_instance_tells_the_size_of_its_card(text: str, whole: str) -> None:
    """The profiles of NVIDIA's MIG user guide, and of aws/sagemaker-hyperpod-cli#403 for B300."""
    (part,) = cards_named(text).accelerators
    assert whole in part.name.partition(" MIG ")[0]


@pytest.mark.parametrize(
    ("text", "lead"),
    [
        ("1g.10gb", "A100 80GB PCIe MIG 1g.10gb"),
        ("A100 3g.30gb", "MIG 3g.20gb"),
        ("RTX 4090 MIG 1g.10gb", "--gpu 'RTX 4090'"),
        ("T4-32Q", "--set gpu="),
        ("A10G-8Q", "--set gpu="),
    ],
)
def test_a_part_that_no_card_has_is_refused_with_a_way_out(text: str, lead: str) -> None:
    with pytest.raises(UnknownGpuError) as caught:
        cards_named(text)
    assert lead in (caught.value.remedy or "")


@pytest.mark.parametrize(
    ("text", "name", "gib"),
    [
        ("GRID T4-8Q", "NVIDIA T4-8Q", 8),
        ("A16-16Q", "NVIDIA A16-16Q", 16),
        ("nvidia a10-8q", "NVIDIA A10-8Q", 8),
        ("H100-1-10C", "NVIDIA H100-1-10C", 10),
        ("2x A40-8Q", "NVIDIA A40-8Q", 8),
    ],
)
def test_a_vgpu_has_the_memory_in_its_name(text: str, name: str, gib: int) -> None:
    assert set(named(text)) == {(name, gib)}


@pytest.mark.parametrize("number", [4000, 5000, 6000])
def test_quadro_in_a_laptop_is_no_later_card(number: int) -> None:
    """The Quadro RTX of laptops are of 2019 and Turing: Ada and Blackwell are not called so."""
    text = f"quadro rtx {number} laptop"
    assert {name for name, _ in named(text)} == {f"Quadro RTX {number}"}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("RX 7900 XTZ 24GB", "did you mean Radeon RX 7900 XTX?"),
        ("rtx 4080 suqer 16gb", "RTX 4080 SUPER?"),
    ],
)
def test_a_slip_of_a_variant_leads_to_the_card(text: str, meant: str) -> None:
    """Left out, it would leave a card that is not sold so."""
    with pytest.raises(UnknownGpuError) as caught:
        cards_named(text)
    assert meant in str(caught.value.remedy)


def test_makers_of_boards_and_their_words_name_no_gpu() -> None:
    assert cards_named("msi 4090 gaming trio").label == cards_named("RTX 4090").label
    with pytest.raises(UnknownMachineError, match="several machines"):
        machine_named("msi titan")


@pytest.mark.parametrize("text", ["a100 80gb dgx", "8x a100 80gb dgx", "rtx 3090 24gb foo"])
def test_an_unknown_word_makes_no_other_card_of_a_listed_one(text: str) -> None:
    """The A100 of a DGX is the one of 2,039 GB/s (NVIDIA's data sheet), no card of unknown rate."""
    with pytest.raises(UnknownGpuError, match="nothing is known by") as refusal:
        cards_named(text)
    rest = text.rpartition(" ")[0]
    assert f"--gpu '{rest}'" in str(refusal.value.remedy)
    assert cards_named(rest).accelerators[0].memory_bandwidth_bytes_per_second


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("evga 3080 ti ftw3", "3080 Ti"),
        ("asus rtx 3090 24gb", "3090"),
        ("sapphire rx 7900 xtx", "7900 XTX"),
        ("2x zotac 3090", "3090"),
    ],
)
def test_who_built_the_board_changes_no_gpu(text: str, name: str) -> None:
    """Shops put the maker of the board and its line around the name of the GPU."""
    assert {card.rpartition(name)[1:] for card, _ in named(text)} == {(name, "")}


def test_more_cards_than_are_judged_are_no_unknown_machine() -> None:
    with pytest.raises(NotOneMachineError, match="72 GPUs, and at most 64 are judged"):
        machine_named("72x b200")
