"""llama.cpp's compute buffer: the replayed graphs against what llama.cpp allocated; sizes of files
whose mix of types is their publisher's own.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.cases import case_id
from helpers.llamacpp_truth import architecture, batch_of, read, records
from helpers.paths import TRUTH
from selfhost.catalogue.index import Catalogue
from selfhost.core.tables import shipped_table
from selfhost.needs import canonical_quantization, weights_files
from selfhost.needs import case as needs_case
from selfhost.needs.llamacpp import compute, graph
from selfhost.needs.records import Term
from selfhost.needs.tensors import row_of


def has_graph(model: str) -> bool:
    """Whether its architecture keeps a builder; the others get a guess."""
    made = architecture(model)
    assert row_of(made).name, model
    setup = needs_case.ContextSetup(tokens=4096)
    batch = needs_case.Batch(model=made, setup=setup, logits_rows=1)
    return graph.exact_compute_bytes(batch) is not None


MODELS = sorted(
    model for model in read("architectures.json")["architectures"] if has_graph(model)
)


@cache
def measured() -> dict[str, list[dict[str, Any]]]:
    by_row: dict[str, list[dict[str, Any]]] = {}
    for record in records("memory"):
        if has_graph(record["model"]):
            by_row.setdefault(architecture(record["model"]).row, []).append(record)
    return by_row


def test_a_guess_of_a_buffer_is_in_its_range() -> None:
    """Of all measured buffers, with a graph or without, 95 of 100 lie between the ends of a
    guess.
    """
    inside = []
    for record in records("memory"):
        if record["n_ctx"] >= 512:
            made = architecture(record["model"])
            guess = compute.guessed_compute(batch_of(made, record))
            inside.append(
                guess.low_bytes <= record["compute_bytes"] <= guess.high_bytes
            )
    assert sum(inside) >= 0.95 * len(inside)


@pytest.mark.parametrize("name", sorted(measured()), ids=case_id)
def test_every_measured_buffer_is_exact(name: str) -> None:
    """The replay equals what llama.cpp allocated, to the byte, in every measured case of the
    architecture.
    """
    wrong = []
    for record in measured()[name]:
        batch = batch_of(architecture(record["model"]), record)
        size = graph.exact_compute_bytes(batch)
        if size != record["compute_bytes"]:
            wrong.append((record, size))
    assert not wrong


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_sizes_break_a_graph(data: st.DataObject) -> None:
    """Whatever sizes a spec states, each architecture that has a graph gives a size, at least that
    of its largest matrix product.
    """
    model = data.draw(st.sampled_from(MODELS))
    made = architecture(model)
    size = st.integers(1, 10**6)
    groups = tuple(
        group.replace(
            heads=data.draw(size), kv_heads=data.draw(size), key_length=data.draw(size)
        )
        for group in made.attention
    )
    feed_forward = tuple(
        group.replace(length=data.draw(size)) for group in made.feed_forward
    )
    changed = made.replace(
        attention=groups, feed_forward=feed_forward, embedding_length=data.draw(size)
    )
    sequences = data.draw(st.integers(1, 100))
    tokens = data.draw(st.integers(1, 10**7)) * sequences
    cells = needs_case.ContextSetup(
        tokens=tokens, sequences=sequences, streams=sequences
    )
    batch = needs_case.Batch(model=changed, setup=cells, logits_rows=sequences)
    found = graph.exact_compute_bytes(batch)
    assert found is not None
    assert found >= 4 * cells.micro_batch * changed.embedding_length


CATALOGUE = Catalogue.open()

# files of mixes in bytes, and as listings state them, in GB
MEASURED = json.loads((TRUTH / "unsloth_mixes.json").read_text(encoding="utf-8"))


def size_of(id: str, mix: str) -> Term:
    """By the rule, whatever sizes are listed."""
    spec = CATALOGUE.spec(id).replace(files=())
    size = weights_files(spec, "gguf", mix)
    assert isinstance(size, Term)
    return size


@pytest.mark.parametrize(("id", "mix", "published"), MEASURED["published"], ids=case_id)
def test_a_published_file_lies_in_the_range(id: str, mix: str, published: int) -> None:
    """Who has setup for the upper end has setup for the file, and the middle is near it."""
    size = size_of(id, mix)
    assert size.low_bytes <= published <= size.high_bytes
    assert abs(size.bytes / published - 1) < 0.15


@pytest.mark.parametrize(("id", "sizes"), MEASURED["listed"], ids=case_id)
def test_a_listed_size_lies_in_the_range(id: str, sizes: dict[str, float]) -> None:
    """Of few bits, too, where files of two models differ most."""
    for mix, gigabytes in sizes.items():
        size = size_of(id, f"UD-{mix}")
        assert size.low_bytes <= gigabytes * 1e9 <= size.high_bytes, mix


# files of other rules than those of their time, or of types that their recipe does not fit
UNLIKE = {
    "unsloth/DeepSeek-R1-Distill-Qwen-1.5B-GGUF",
    "unsloth/ERNIE-4.5-0.3B-PT-GGUF",
    "unsloth/DeepSeek-V3.2-GGUF",
    "unsloth/functiongemma-270m-it-GGUF",
}


def test_sizes_of_a_year_of_listings_lie_in_the_ranges() -> None:
    """Of 77 shapes; those that a few models break are named."""
    for listed in json.loads((TRUTH / "unsloth_sizes.json").read_text())["files"]:
        for mix, (gibibytes, half_digit) in listed["gib"].items():
            size = size_of(listed["model"], f"UD-{mix}")
            low = size.low_bytes / 2**30 - half_digit
            high = size.high_bytes / 2**30 + half_digit
            is_inside = low <= gibibytes <= high
            assert is_inside or listed["repository"] in UNLIKE, (listed["model"], mix)


@pytest.mark.parametrize(
    ("id", "mix", "gigabytes"),
    [
        # bartowski's card of Llama 3.1 Nemotron 70B, as ozeki.chat quotes it: Q8_0 for the token
        # table and the output
        ("llama-3.1-70b-instruct", "Q5_K_L", 50.60),
        ("llama-3.1-70b-instruct", "Q4_K_L", 43.30),
        ("llama-3.1-70b-instruct", "Q3_K_XL", 38.06),
        # the cards of stduhpf/google-gemma-3-*-it-qat-q4_0-gguf-small, of Google's files
        ("gemma-3-1b-it", "QAT-Q4_0", 1.00),
        ("gemma-3-4b-it", "QAT-Q4_0", 3.16),
        ("gemma-3-12b-it", "QAT-Q4_0", 8.07),
    ],
)
def test_a_mix_with_tables_of_another_type_is_computed(
    id: str, mix: str, gigabytes: float
) -> None:
    """To a hundredth of a gigabyte, as the cards have it."""
    size = size_of(id, mix)
    assert abs(size.bytes / 1e9 - gigabytes) < 0.01
    assert size.low_bytes <= size.bytes <= size.high_bytes


def test_a_mix_is_known_by_any_spelling_and_no_other_name_is_one() -> None:
    """Case and separators of a tag make no difference; a mix that nobody measured is no mix
    here.
    """
    assert canonical_quantization("ud-q4_k_xl") == "UD-Q4_K_XL"
    assert canonical_quantization("UD-Q4-K-XL") == "UD-Q4_K_XL"
    assert all(
        canonical_quantization(mix) == mix
        for mix in shipped_table("gguf_types")["mixes"]
    )
    assert canonical_quantization("UD-Q9_K_XL") is None
