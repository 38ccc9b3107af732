"""What is not known is not counted as nothing."""

from __future__ import annotations

import pytest

from helpers.needs_of import asked, catalogue, memory, model, rows, runtime
from selfhost import needs
from selfhost.catalogue.spec import (
    Openness,
    Parameters,
    StatedNeeds,
)
from selfhost.core.workload import Workload
from selfhost.needs.records import How, SizedWeights


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
