"""What is not known is not counted as nothing."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.needs_of import asked, catalogue, in_gguf, memory, model, rows, runtime
from selfhost import needs
from selfhost.catalogue.spec import (
    Architecture,
    Attention,
    FeedForward,
    Openness,
    Parameters,
    StatedNeeds,
)
from selfhost.core.records import Unread
from selfhost.core.workload import Workload
from selfhost.needs.records import How, SizedWeights
from selfhost.needs.tensors import checkpoint_tensors, count, row_of


@pytest.mark.parametrize("program", ["llama.cpp", "transformers"])
def test_parameters_alone_give_weights_and_no_total(program: str) -> None:
    """With a parameter count and nothing else the files are a range marked assumed, and memory is unknown because of the cache."""
    answer = asked(model(parameters=Parameters(total=8_000_000_000)), runtime(program))
    assert answer.download_how is How.ASSUMED
    assert answer.download_bytes
    assert answer.memory is None
    assert [entry.fact for entry in answer.unknown] == ["memory.kv_cache"]
    sized = needs.weights_bytes(
        model(parameters=Parameters(total=8_000_000_000)), "gguf", "Q4_K_M", rows()
    )
    assert isinstance(sized, SizedWeights)
    # Llama 3.1 8B, 8.03 B parameters, is 4.92 GB
    assert sized.low_bytes < 4_920_739_232 < sized.high_bytes


def test_a_checkpoint_of_an_unread_type_has_no_size() -> None:
    """Where the spec says that the architecture was not found, nobody knows if weights have 4 or 16 bits: the size is unknown."""
    sought = model(
        parameters=Parameters(total=284_000_000_000), unknown={"architecture": "it has no row yet"}
    )
    answer = asked(sought, runtime("transformers"))
    assert answer.download_bytes is None
    assert answer.memory is None
    assert all(entry.reason and entry.remedy for entry in answer.unknown)
    plain = needs.weights_bytes(
        model(parameters=Parameters(total=8_000_000_000)), "safetensors", "bfloat16", rows()
    )
    assert isinstance(plain, SizedWeights)
    # four bits and a scale for each 32 weights; float32
    assert plain.low_bytes <= 8_000_000_000 * 4.25 / 8
    assert plain.high_bytes >= 8_000_000_000 * 4


def test_a_model_without_feed_forwards_is_no_crash() -> None:
    """No spec must have one, and a config.json that uses none of its experts has none: what is not there takes nothing."""
    for spec in {
        spec.architecture.row: spec for spec in in_gguf() if spec.architecture is not None
    }.values():
        assert spec.architecture is not None
        bare = asked(
            spec.replace(architecture=spec.architecture.replace(feed_forward=())),
            runtime("llama.cpp"),
        )
        assert bare.memory is not None or bare.unknown, spec.id


def test_an_unknown_architecture_has_a_wide_range_and_an_exact_cache() -> None:
    """Groups without a row: the cache follows from the groups, weights from the parameters, and the total says how wide it may be."""
    plain = catalogue().spec("llama-3.1-8b-instruct")
    assert plain.architecture is not None
    strange = plain.replace(architecture=plain.architecture.replace(row="never-seen"), files=())
    terms = {term.name: term for term in memory(asked(strange, runtime("llama.cpp"))).terms}
    known = {
        term.name: term
        for term in memory(asked(plain.replace(files=()), runtime("llama.cpp"))).terms
    }
    assert terms["kv_cache"].bytes == known["kv_cache"].bytes
    assert terms["weights"].how is How.ASSUMED
    assert terms["weights"].low_bytes < known["weights"].bytes < terms["weights"].high_bytes
    assert (
        terms["compute"].high_bytes - terms["compute"].low_bytes
        > known["compute"].high_bytes - known["compute"].low_bytes
    )


def test_nothing_known_is_unknown_and_never_zero() -> None:
    """A spec that states neither sizes nor needs has None everywhere, each with a reason and a remedy."""
    for answer in (
        asked(model(), runtime("llama.cpp")),
        needs.needs_of(model(), None, Workload(), rows()),
    ):
        assert answer.memory is None
        assert answer.download_bytes is None
        assert answer.disk_bytes is None
        assert {entry.fact for entry in answer.unknown} == {"download_bytes", "memory"}
        assert all(entry.reason and entry.remedy for entry in answer.unknown)


def test_stated_needs_are_taken_as_they_are() -> None:
    """A spec of a few lines with [needs] alone is one stated term with its range, whatever the runtime."""
    stated = StatedNeeds(
        low_bytes=6 * 2**30, high_bytes=8 * 2**30, disk_bytes=5_000_000_000, source="my notes"
    )
    for program in (None, runtime("llama.cpp")):
        answer = needs.needs_of(model(needs=stated), program, Workload(), rows())
        (term,) = memory(answer).terms
        assert (term.low_bytes, term.high_bytes, term.how, term.source) == (
            6 * 2**30,
            8 * 2**30,
            How.STATED,
            "my notes",
        )
        assert answer.download_bytes == answer.disk_bytes == 5_000_000_000


def test_a_closed_model_needs_nothing_here() -> None:
    """There are no weights, so neither size nor memory is known, and the reason says so."""
    answer = needs.needs_of(model(openness=Openness(weights="closed")), None, Workload(), rows())
    assert answer.memory is None
    assert "never published" in answer.unknown[0].reason


def test_a_publishers_own_mix_is_stated_or_unknown() -> None:
    """A mix of which no file was measured follows no known recipe: without a listed size it is unknown, not computed."""
    sized = needs.weights_bytes(
        catalogue().spec("llama-3.1-8b-instruct"), "gguf", "UD-IQ4_NL_XL", rows()
    )
    assert isinstance(sized, Unread)
    assert sized.reason
    assert sized.remedy


def test_layers_that_attend_to_an_image_are_counted() -> None:
    """Llama 3.2 11B Vision: 9,775,192,080 parameters in its text part (the transformers 5.23.0 class built without weights)."""
    crossing = tuple(range(3, 40, 5))
    plain = tuple(layer for layer in range(40) if layer not in crossing)
    sizes: dict[str, Any] = {"heads": 32, "kv_heads": 8, "key_length": 128, "value_length": 128}
    architecture = Architecture(
        row="mllama",
        runs_in_gguf=False,
        layers=40,
        embedding_length=4096,
        heads=32,
        vocabulary=128_256,
        attention=(
            Attention(layers=plain, **sizes),
            Attention(kind="cross", layers=crossing, query_key_norm="head", **sizes),
        ),
        feed_forward=(FeedForward(layers=tuple(range(40)), length=14_336),),
    )
    row = row_of(architecture, rows())
    assert row is not None
    assert count(checkpoint_tensors(architecture, row)) == 9_775_192_080


def test_experts_beside_a_dense_feed_forward_are_counted() -> None:
    """Gemma 4 26B A4B: 25,233,141,760 parameters in its text part (the transformers 5.23.0 class built without weights)."""
    full = tuple(range(5, 30, 6))
    rest = tuple(layer for layer in range(30) if layer not in full)
    architecture = Architecture(
        row="gemma4",
        runs_in_gguf=True,
        layers=30,
        embedding_length=2816,
        heads=16,
        vocabulary=262_144,
        tied_embeddings=True,
        attention=(
            Attention(
                layers=full,
                heads=16,
                kv_heads=2,
                key_length=512,
                value_length=512,
                values_from_keys=True,
            ),
            Attention(
                kind="sliding",
                layers=rest,
                heads=16,
                kv_heads=8,
                key_length=256,
                value_length=256,
                window_tokens=1024,
            ),
        ),
        feed_forward=(
            FeedForward(
                layers=tuple(range(30)), length=704, experts=128, used=8, beside_dense=2112
            ),
        ),
    )
    row = row_of(architecture, rows())
    assert row is not None
    assert count(checkpoint_tensors(architecture, row)) == 25_233_141_760


def test_a_size_left_out_is_not_counted_as_nothing() -> None:
    """Without the vocabulary, or the feed-forward, the weights do not follow from the architecture: they are estimated, or unknown."""
    plain = catalogue().spec("llama-3.1-8b-instruct").replace(files=())
    assert plain.architecture is not None
    for gap in (
        plain.architecture.replace(vocabulary=None),
        plain.architecture.replace(feed_forward=()),
    ):
        for program in ("llama.cpp", "transformers", "mlx"):
            answer = asked(
                plain.replace(architecture=gap, parameters=Parameters(total=8_030_261_312)),
                runtime(program),
            )
            whole = asked(plain, runtime(program))
            assert answer.download_bytes is not None
            assert whole.download_bytes is not None
            assert answer.download_bytes > 0.85 * whole.download_bytes
            bare = asked(plain.replace(architecture=gap, parameters=Parameters()), runtime(program))
            assert bare.download_bytes is None
            assert bare.memory is None
