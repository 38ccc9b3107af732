"""Models made by hand, without a size that their layers need, get a guess or nothing, no error."""

from __future__ import annotations

import pytest

from helpers.needs_of import catalogue, needs_of, runtime, terms
from selfhost.catalogue.architecture import Recurrent
from selfhost.core.workload import Workload
from selfhost.needs import Companions
from selfhost.needs.records import How

WORK = Workload(
    runtime="llama.cpp", format="gguf", quantization="Q4_K_M", context_tokens=4096
)


@pytest.mark.parametrize(
    ("model", "unstated"),
    [
        pytest.param("qwen3.5-0.8b", {"value_length": None}, id="delta net"),
        pytest.param("mamba-2.8b", {"state_length": None}, id="Mamba"),
        pytest.param("lfm2-1.2b", {"convolution": None}, id="short convolution"),
    ],
)
def test_a_recurrence_without_a_size_has_a_guessed_buffer(
    model: str, unstated: dict[str, None]
) -> None:
    spec = catalogue().spec(model)
    assert spec.architecture is not None
    (whole,) = spec.architecture.recurrent
    assert isinstance(whole, Recurrent)
    part = whole.replace(**unstated)
    smaller = spec.architecture.replace(recurrent=(part,))
    found = needs_of(spec.replace(architecture=smaller), runtime("llama.cpp"), WORK)
    assert terms(found)["compute"].how is How.ASSUMED


def test_a_model_without_a_cache_drafts_with_no_block() -> None:
    spec = catalogue().spec("qwen3.8-27b")
    assert spec.architecture is not None
    model = spec.architecture.replace(attention=())
    own_block = Companions(own_block=True, drafted_tokens=3)
    found = needs_of(
        spec.replace(architecture=model),
        runtime("llama.cpp"),
        WORK,
        companions=own_block,
    )
    assert not any(name.startswith("mtp") for name in terms(found))
