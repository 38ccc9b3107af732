"""The rules of ggml's allocator one by one, each on a graph or buffer of a few tensors
(ggml/src/ggml-alloc.c). That whole graphs are exact, test_allocator.py asks.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from selfhost.needs.llamacpp.allocator import (
    FLOAT_BYTES,
    Allocator,
    Node,
    fresh,
    given,
    padded_bytes,
    peak_bytes,
)

# eight 32-bit floats: the least that the allocator hands out
ROW = (8,)
ROW_BYTES = 32


def peak_of(*nodes: Node) -> int | None:
    """The buffer of a graph of one input, the first source of the first node."""
    inputs = [nodes[0].sources[0]]
    for node in (*inputs, *nodes):
        node.size = padded_bytes(node.layout, ROW_BYTES)
    for node in nodes:
        if node.owner is not None:
            node.owner.views += 1
        for source in node.sources:
            source.readers += 1
    return peak_bytes(inputs, nodes, ())


def test_a_tensor_gives_its_memory_back_after_its_last_reader() -> None:
    first = fresh(ROW, given(*ROW))
    second = fresh(ROW, first)
    third = fresh(ROW, second)
    assert peak_of(first, second, third) == 2 * ROW_BYTES


def test_sizes_are_rounded_up_to_32_bytes() -> None:
    assert peak_of(fresh((9,), given(1))) == 64 + 32


def test_an_operation_overwrites_the_source_that_nothing_else_reads() -> None:
    assert peak_of(given(*ROW).overwritten()) == ROW_BYTES


@pytest.mark.parametrize(
    "read_later",
    [
        pytest.param(lambda tensor: tensor, id="another reader"),
        pytest.param(Node.view, id="a view"),
    ],
)
def test_an_operation_overwrites_no_source_that_is_needed_later(
    read_later: Callable[[Node], Node],
) -> None:
    source = given(*ROW)
    result = source.overwritten()
    later = read_later(source)
    last = fresh(ROW, result, later)
    nodes = [result, last] if later is source else [result, later, last]
    assert peak_of(*nodes) == 3 * ROW_BYTES


def test_an_operation_overwrites_no_source_of_another_shape() -> None:
    result = Node((FLOAT_BYTES, 4, 2), (given(*ROW),), overwrites=True)
    assert peak_of(result) == 2 * ROW_BYTES


def test_an_output_keeps_its_memory() -> None:
    source = given(*ROW)
    source.kept = True
    assert peak_of(source.overwritten()) == 2 * ROW_BYTES


def filled(*sizes: int) -> tuple[Allocator, list[int]]:
    """A buffer with tensors of these sizes, one after the other, and their addresses."""
    buffer = Allocator()
    return buffer, [buffer.take(size) for size in sizes]


@pytest.mark.parametrize(
    ("holes", "size", "address"),
    [
        pytest.param([0, 2], 32, 160, id="smallest hole with enough room"),
        pytest.param([0, 3], 96, 224, id="of equal holes the later"),
        pytest.param([0, 1], 128, 0, id="neighbours become one hole"),
        pytest.param([2], 96, 352, id="none is large enough"),
    ],
)
def test_where_a_tensor_goes(holes: list[int], size: int, address: int) -> None:
    sizes = [96, 64, 64, 96, 32]
    buffer, addresses = filled(*sizes)
    for hole in holes:
        buffer.give(addresses[hole], addresses[hole] + sizes[hole])
    assert buffer.take(size) == address
