"""How programs share a model out: hand arithmetic, and laws that hold for any sizes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfhost.audit.shares import Room, Share, Sizes, equal_stages, rounded_layers, whole_layers

GIB = 2**30
# a 70B model in Q4_K_M with 8,192 tokens: 80 layers, 39.6 GiB of weights and 2.5 GiB of cache
# and 1 GiB that only the first machine holds
LARGE = Sizes(layers=80, layer_bytes=int((39.6 + 2.5) * GIB / 80), output_bytes=GIB)
# what the system and the working buffers keep of each machine in the same sum
KEPT_GIB = 1.5


def rooms(*free_gib: float, kept: float = KEPT_GIB) -> list[Room]:
    return [
        Room(name=f"m{number}", devices=(int((free - kept) * GIB),), in_ram=True)
        for number, free in enumerate(free_gib, 1)
    ]


@pytest.mark.parametrize(
    ("free", "fits"),
    [
        ((64,), True),
        ((24, 24), True),
        ((30, 14, 14), True),
        ((15, 15, 15, 15), True),
        ((8,) * 7, True),
        # 14.5 GiB hold 27 layers of 0.526 GiB and the first 25, 79 in all: the sum of 42.5 GiB is
        # more than the 42.1 GiB that are needed
        ((16, 16, 16), False),
        ((24,), False),
    ],
)
def test_whole_layers(free: tuple[float, ...], fits: bool) -> None:
    """A layer is never cut in two, so a sum that is enough may not do."""
    shares = whole_layers(LARGE, rooms(*free))
    assert (shares is not None) == fits
    if shares is not None:
        assert sum(share.layers or 0 for share in shares) == 80


def test_exo_rounds_by_largest_remainder() -> None:
    """10 layers over 5, 3 and 2 GiB are 5, 3 and 2; 7 are 3.5, 2.1 and 1.4, so 4, 2 and 1; a
    machine that proportion would leave empty gets one.
    """
    machines = rooms(5, 3, 2, kept=0)
    for layers, counts in ((10, [5, 3, 2]), (7, [4, 2, 1])):
        shares = rounded_layers(Sizes(layers=layers, layer_bytes=GIB // 4), machines)
        assert shares is not None
        assert [share.layers for share in shares] == counts
    shares = rounded_layers(Sizes(layers=3, layer_bytes=GIB // 8), rooms(100, 100, 1, kept=0))
    assert shares is not None
    assert [share.layers for share in shares] == [1, 1, 1]
    # 4 layers of 1.3 GiB in 5 GiB
    assert rounded_layers(Sizes(layers=7, layer_bytes=int(1.3 * GIB)), machines) is None


SIZES = st.builds(
    Sizes,
    layers=st.integers(1, 24),
    layer_bytes=st.integers(1, 50),
    device_bytes=st.integers(0, 10),
    program_bytes=st.integers(0, 10),
    output_bytes=st.integers(0, 20),
    table_bytes=st.integers(0, 20),
)
FREE = st.lists(st.integers(1, 400), min_size=1, max_size=6)
RULES: list[Callable[[Sizes, list[Room]], tuple[Share, ...] | None]] = [
    whole_layers,
    rounded_layers,
    equal_stages,
]


@pytest.mark.parametrize("rule", RULES)
@given(sizes=SIZES, free=FREE, cards=st.booleans())
def test_no_machine_holds_more_than_it_has(
    rule: Callable[[Sizes, list[Room]], tuple[Share, ...] | None],
    sizes: Sizes,
    free: list[int],
    cards: bool,
) -> None:
    """Each share is within its machine's memory, and together they are all layers."""
    machines = [
        Room(name=str(size), devices=(size, size) if cards else (size,), in_ram=not cards)
        for size in free
    ]
    shares = rule(sizes, machines)
    for share, room in zip(shares or (), machines, strict=bool(shares)):
        assert 0 <= share.held_bytes <= room.bytes
    if shares and shares[0].layers is not None:
        assert sum(share.layers or 0 for share in shares) == sizes.layers
