"""llama.cpp's compute buffer: the allocator's laws, and the replayed graphs against what llama.cpp allocated."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.each import each
from helpers.llamacpp_truth import architecture, read, records, room, row
from selfhost.needs import parts as needs_parts
from selfhost.needs.llamacpp import graphs
from selfhost.needs.llamacpp.allocator import Arena, aligned


def has_graph(model: str) -> bool:
    """Whether its architecture keeps a builder; the others get a guess."""
    made = row(model)
    return made.graph is not None and (
        graphs.exact_compute_bytes(architecture(model), made, needs_parts.cells(4096), 1)
        is not None
    )


MODELS = sorted(model for model in read("architectures.json")["architectures"] if has_graph(model))


def exact(model: str, cells: needs_parts.Cells, rows: int, **options: Any) -> int:
    found = graphs.exact_compute_bytes(architecture(model), row(model), cells, rows, **options)
    assert found is not None, model
    return found


@cache
def measured() -> dict[str, list[dict[str, Any]]]:
    by_row: dict[str, list[dict[str, Any]]] = {}
    for record in records("memory"):
        if has_graph(record["model"]):
            by_row.setdefault(architecture(record["model"]).row, []).append(record)
    return by_row


def test_a_guess_of_a_buffer_is_in_its_range() -> None:
    """Of all measured buffers, with a graph or without, 95 of 100 lie between the ends of a guess."""
    inside = []
    for record in records("memory"):
        if record["n_ctx"] >= 512:
            made, of, flash = (
                architecture(record["model"]),
                row(record["model"]),
                record["flash_attn"],
            )
            logits = record["n_outputs_max"] or min(record["n_ctx"], 2048)
            guess, _ = graphs.guessed_compute(made, of, room(record), logits, flash != 0)
            low, high = graphs.GUESS_LEAST * guess, graphs.GUESS_MOST * guess
            inside.append(low <= record["compute_bytes"] <= high)
    assert sum(inside) >= 0.95 * len(inside)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_two_live_buffers_overlap(data: st.DataObject) -> None:
    """Buffers never overlap, addresses are multiples of 32, and the top is at least what is alive and never sinks."""
    arena = Arena()
    live: list[tuple[int, int]] = []
    for _ in range(data.draw(st.integers(1, 60))):
        before = arena.top
        gives = data.draw(st.booleans())
        if gives and live:
            arena.give(*live.pop(data.draw(st.integers(0, len(live) - 1))))
        else:
            size = aligned(data.draw(st.integers(1, 2000)))
            start = arena.take(size)
            live.append((start, start + size))
        assert all(start % 32 == 0 for start, _ in live)
        assert all(first[1] <= second[0] for first, second in pairwise(sorted(live)))
        assert arena.top >= max([before, *(end for _, end in live)])
        assert arena.top >= sum(end - start for start, end in live)
    for start, end in live:
        arena.give(start, end)
    assert arena.take(arena.top) == 0, "after all is given back there is one hole"


@each("name", sorted(measured()))
def test_every_measured_buffer_is_exact(name: str) -> None:
    """The replay equals what llama.cpp allocated, to the byte, in every measured case of the architecture."""
    wrong = []
    for record in measured()[name]:
        logits = record["n_outputs_max"] or min(record["n_ctx"], 2048)
        types = {"key_type": record["type_k"], "value_type": record["type_v"]}
        flash = record["flash_attn"] != 0
        size = exact(record["model"], room(record), logits, flash_attention=flash, **types)
        if size != record["compute_bytes"]:
            wrong.append((record, size))
    assert not wrong


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_sizes_break_a_graph(data: st.DataObject) -> None:
    """Whatever sizes a spec states, each architecture that has a graph gives a size, at least that of its largest matrix product."""
    model = data.draw(st.sampled_from(MODELS))
    made = architecture(model)
    size = st.integers(1, 10**6)
    groups = tuple(
        group.replace(heads=data.draw(size), kv_heads=data.draw(size), key_length=data.draw(size))
        for group in made.attention
    )
    feed_forward = tuple(group.replace(length=data.draw(size)) for group in made.feed_forward)
    changed = made.replace(
        attention=groups, feed_forward=feed_forward, embedding_length=data.draw(size)
    )
    sequences = data.draw(st.integers(1, 100))
    cells = needs_parts.cells(data.draw(st.integers(1, 10**7)) * sequences, sequences=sequences)
    found = graphs.exact_compute_bytes(changed, row(model), cells, sequences)
    assert found is not None
    assert found >= 4 * cells.micro_batch * changed.embedding_length
