"""Layers shared out over accelerators: how many have room, and where the terms lie."""

from __future__ import annotations

from judge.small import GIB, needs_of
from selfhost.judge.devices import Place
from selfhost.judge.sharing import (
    DivisibleModel,
    LayerShare,
    parts_in_turn,
)
from selfhost.needs.records import How, Needs, Offloaded, Split, Term


def term(name: str, gib: int, split: Split) -> Term:
    """A term of exactly that size."""
    size = gib * GIB
    return Term(
        name=name,
        bytes=size,
        low_bytes=size,
        high_bytes=size,
        split=split,
        how=How.EXACT,
        source="test",
        arithmetic="test",
    )


def needs(*terms: Term) -> Needs:
    """The needs of a model that consist of these terms."""
    return needs_of().replace(terms=terms)


def model(both: Needs) -> DivisibleModel:
    """A model of ten layers, which takes the same in RAM and on accelerators."""
    return DivisibleModel(ram_needs=both, card_needs=both, layers=10)


# ten layers of 1 GiB
WEIGHTS = term("weights", 10, Split.LAYERS)


def test_each_of_two_devices_keeps_room_for_the_copies_to_compute_at_once() -> None:
    """llama.cpp copies its inputs on every device as soon as there are two (pipeline_parallel in
    llama-context.cpp). 5.5 GiB hold five layers of 1 GiB alone, and four beside a copy of 1 GiB.
    """
    compute = term("compute", 0, Split.EACH).replace(pipeline_bytes=GIB)
    divisible = model(needs(WEIGHTS, compute))
    room = 5 * GIB + GIB // 2
    first = Place(index=0, usable_bytes=room)
    second = Place(index=1, usable_bytes=room)
    alone = divisible.shares_with_room([first])
    assert alone == [LayerShare(where="accelerator:0", layers=5)]
    together = divisible.shares_with_room([first, second])
    assert together == [
        LayerShare(where="accelerator:0", layers=4),
        LayerShare(where="accelerator:1", layers=4),
    ]


def test_layers_before_the_first_of_a_term_take_nothing() -> None:
    """Where only the last five of ten layers have 10 GiB of a term, each of them has 2 GiB: 5 GiB
    hold two, and never five.
    """
    cache = term("kv_cache", 10, Split.LAYERS).replace(first_layer=5)
    place = Place(index=0, usable_bytes=5 * GIB)
    shares = model(needs(cache)).shares_with_room([place])
    assert shares == [LayerShare(where="accelerator:0", layers=2)]


def test_what_lies_once_is_on_the_device_of_the_lowest_number() -> None:
    """Programs number their main device 0, whichever device has room for most layers."""
    both = needs(WEIGHTS, term("runtime", 1, Split.FIRST))
    shares = [
        LayerShare(where="accelerator:1", layers=7),
        LayerShare(where="accelerator:0", layers=3),
    ]
    divided = model(both).divided(shares)
    places = {found.where for found in divided.terms if found.name == "runtime"}
    assert places == {"accelerator:0"}


def test_a_share_of_layers_is_not_known_exactly() -> None:
    """The size of all layers is exact; layers differ, so a part of them is computed."""
    divisible = model(needs(WEIGHTS))
    whole = divisible.divided([LayerShare(where="accelerator:0", layers=10)])
    assert [found.how for found in whole.terms] == [How.EXACT]
    halves = [
        LayerShare(where="accelerator:0", layers=5),
        LayerShare(where="accelerator:1", layers=5),
    ]
    first, second = divisible.divided(halves).terms
    for half in (first, second):
        assert half.how is How.COMPUTED
        assert half.bytes == 5 * GIB


def test_parts_go_where_the_most_that_they_may_take_has_room() -> None:
    """Likely 4 GiB, 6 at the most: 5 GiB may be too small."""
    part = term("weights", 4, Split.EACH).replace(high_bytes=6 * GIB)
    way = Offloaded(way="model", host=(), device=(part,))
    both = needs(WEIGHTS).replace(offloaded=(way,))
    too_small = Place(index=0, usable_bytes=5 * GIB)
    assert list(parts_in_turn(both, too_small)) == []
    large = Place(index=0, usable_bytes=6 * GIB)
    assert [found.offload for found in parts_in_turn(both, large)] == ["model"]
