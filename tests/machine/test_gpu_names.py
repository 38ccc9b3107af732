"""GPUs by name: each is found as people type it, and no name of one is taken for another."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.each import each
from selfhost.core.spelling import words_of
from selfhost.machine import gpus
from selfhost.machine.gpu_names import MOST_CARDS, PartOfMachineError, UnknownGpuError, cards_named

GIB = 2**30
CARDS = [card for card in gpus.cards() if not card.unified]
SHARED = [card for card in gpus.cards() if card.unified and not card.integrated]
VARIANTS = ["", "Laptop", "Ti", "SUPER", "XT", "XTX", "D", "GRE", "Max-Q", "Ada", "SFF"]


def named(text: str) -> list[tuple[str, float]]:
    """Driver's names and GiB."""
    return [
        (card.name, round((card.memory_total_bytes or 0) / GIB))
        for card in cards_named(text).accelerators
    ]


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


@each("card", SHARED, ids=lambda card: card.name)
def test_a_gpu_that_shares_the_ram_comes_with_its_machine(card: gpus.Card) -> None:
    with pytest.raises(PartOfMachineError):
        cards_named(card.name)


@given(st.sampled_from(CARDS), st.sampled_from(VARIANTS))
def test_a_variant_is_never_taken_for_the_plain_card(card: gpus.Card, variant: str) -> None:
    """4090 Laptop is no 4090, and 4070 Ti no 4070."""
    words = words_of(variant)
    if words & card.named or not words or any(words & called for called in card.called):
        return
    try:
        names = {found.name for found in cards_named(f"{card.label} {variant}").accelerators}
    except UnknownGpuError:
        return
    assert card.name not in names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4090", [("NVIDIA GeForce RTX 4090", 24)]),
        ("2x RTX 3090", [("NVIDIA GeForce RTX 3090", 24)] * 2),
        ("RTX 3090 x2", [("NVIDIA GeForce RTX 3090", 24)] * 2),
        ("dual 3090", [("NVIDIA GeForce RTX 3090", 24)] * 2),
        ("h100x8", [("NVIDIA H100 PCIe", 80)] * 8),
        ("RTX 3060, 12 GB", [("NVIDIA GeForce RTX 3060", 12)]),
        ("RTX 4090 + RTX 3060 12GB", [("NVIDIA GeForce RTX 4090", 24), ("NVIDIA GeForce RTX 3060", 12)]),
        ("rtx4070tisuper", [("NVIDIA GeForce RTX 4070 Ti SUPER", 16)]),
        ("2070S", [("NVIDIA GeForce RTX 2070 SUPER", 8)]),
        ("EVGA RTX 3080 FTW3 10GB", [("NVIDIA GeForce RTX 3080", 10)]),
        ("tesla a100 80gb", [("NVIDIA A100 80GB PCIe", 80)]),
        ("GRID T4-8Q", [("NVIDIA T4-8Q", 8)]),
        ("none", []),
    ],
)  # fmt: skip
def test_names_as_people_type_them(text: str, expected: list[tuple[str, int]]) -> None:
    assert named(text) == expected


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("RTX 4080 Tie", None),
        ("rtx 4091", "RTX 4090"),
        ("Radeon RX 7901 XTX", "Radeon RX 7900 XTX"),
        ("RTX 3090 11GB", "RTX 3090 24 GB"),
        ("A100 40GB MIG 3g.20gb", None),
        ("A40-99Q", None),
        ("apple m4 max", None),
        ("65x RTX 4090", None),
        ("i5-12400", None),
        ("", None),
    ],
)
def test_what_is_not_listed_is_refused_with_near_names(text: str, near: str | None) -> None:
    with pytest.raises(UnknownGpuError) as caught:
        cards_named(text)
    assert caught.value.remedy
    assert near is None or near in caught.value.nearest


@given(st.text(max_size=40))
def test_any_text_is_answered_or_refused(text: str) -> None:
    with contextlib.suppress(UnknownGpuError):
        assert len(cards_named(text).accelerators) <= MOST_CARDS
