"""Layers shared out over accelerators: how many have room, and where the terms lie."""

from __future__ import annotations

from typing import Any

from judge.small import GIB, needs_of
from selfhost.judge.devices import Place
from selfhost.judge.sharing import (
    DivisibleModel,
    LayerShare,
    parts_in_turn,
)
from selfhost.needs.records import How, Needs, Offloaded, Split, Term


def term(name: str, gib: int, split: Split, **facts: Any) -> Term:
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
        **facts,
    )


def needs(*terms: Term) -> Needs:
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
    room = 5 * GIB + GIB // 2
    compute = term("compute", 0, Split.EACH, pipeline_bytes=GIB)
    both = needs(WEIGHTS, compute)
    one = model(both).shares_with_room([Place(index=0, usable_bytes=room)])
    assert one == [LayerShare("accelerator:0", 5)]
    pair = [Place(index=index, usable_bytes=room) for index in range(2)]
    shares = model(both).shares_with_room(pair)
    assert shares == [LayerShare("accelerator:0", 4), LayerShare("accelerator:1", 4)]


def test_layers_before_the_first_of_a_term_take_nothing() -> None:
    """Where only the last five of ten layers have 10 GiB of a term, each of them has 2 GiB: 5 GiB
    hold two, and never five.
    """
    late = needs(term("kv_cache", 10, Split.LAYERS, first_layer=5))
    place = Place(index=0, usable_bytes=5 * GIB)
    assert model(late).shares_with_room([place]) == [LayerShare("accelerator:0", 2)]


def test_what_lies_once_is_on_the_device_of_the_lowest_number() -> None:
    """Programs number their main device 0, whichever device has room for most layers."""
    there = needs(WEIGHTS, term("runtime", 1, Split.FIRST))
    shares = [LayerShare("accelerator:1", 7), LayerShare("accelerator:0", 3)]
    shared = model(there).divided(shares)
    once = {found.where for found in shared.terms if found.name == "runtime"}
    assert once == {"accelerator:0"}


def test_a_share_of_layers_is_not_known_exactly() -> None:
    """The size of all layers is exact; layers differ, so a part of them is computed."""
    whole = model(needs(WEIGHTS)).divided([LayerShare("accelerator:0", 10)])
    halves = [LayerShare("accelerator:0", 5), LayerShare("accelerator:1", 5)]
    divided = model(needs(WEIGHTS)).divided(halves)
    assert [found.how for found in whole.terms] == [How.EXACT]
    assert [found.how for found in divided.terms] == [How.COMPUTED] * 2
    assert [found.bytes for found in divided.terms] == [5 * GIB] * 2


def test_parts_go_where_the_most_that_they_may_take_has_room() -> None:
    """Likely 4 GiB, 6 at the most: 5 GiB may be too small."""
    part = term("weights", 4, Split.EACH).replace(high_bytes=6 * GIB)
    way = Offloaded(way="model", host=(), device=(part,))
    there = needs(WEIGHTS).replace(offloaded=(way,))
    small = Place(index=0, usable_bytes=5 * GIB)
    large = Place(index=0, usable_bytes=6 * GIB)
    assert [found.offload for found in parts_in_turn(there, small)] == []
    assert [found.offload for found in parts_in_turn(there, large)] == ["model"]
