"""A model that only the user's own placement of layers keeps from running."""

from __future__ import annotations

import pytest

from selfhost import check


@pytest.mark.parametrize(
    ("model", "options", "machine"),
    [
        pytest.param(
            "gpt-oss-120b", {"ngl": "20"}, "RTX 5090, 64GB of RAM", id="layers"
        ),
        pytest.param(
            "llama-3.3-70b", {"ts": "9,1"}, "2x RTX 3090, 64GB of RAM", id="shares"
        ),
    ],
)
def test_options_that_overfill_a_gpu_are_named_first(
    model: str,
    options: dict[str, str],
    machine: str,
) -> None:
    """The advice was a smaller model, though the same files run without the option."""
    assert check(model, machine=machine).can_run
    name = next(iter(options))
    verdict = check(model, machine=machine, runtime_options=options)
    assert not verdict.can_run
    assert verdict.summary.startswith(f"ONLY WITHOUT {name}")
    found = verdict.finding("accelerator")
    assert found is not None
    assert found.remedy is not None
    assert found.remedy.startswith(f"leave out {name}, ")
    first = verdict.alternatives[0]
    assert first.id == verdict.model.id
    assert first.quantization == verdict.workload.quantization
    assert "--runtime-option" not in first.command


def test_options_that_are_not_in_the_way_are_not_named() -> None:
    """Where the model does not fit at all, leaving out the option is no way to run it."""
    machine = "RTX 3090, 16GB of RAM"
    options = {"ngl": "99"}
    verdict = check("llama-3.3-70b", machine=machine, runtime_options=options)
    assert verdict.summary.startswith("USE AN API")


def test_parts_that_want_more_gpus_are_given_up() -> None:
    """vLLM starts a worker for each part and ends where a worker finds no GPU of its own
    (docs.vllm.ai, parallelism and scaling); nothing was proposed.
    """
    options = {"tensor-parallel-size": "4"}
    verdict = check(
        "qwen3-30b-a3b",
        machine="2x RTX 4090, 64GB of RAM",
        runtime="vllm",
        runtime_options=options,
    )
    assert not verdict.can_run
    first = verdict.alternatives[0]
    assert first.id == verdict.model.id
    assert "without tensor-parallel-size" in first.why
    assert first.command.endswith("--runtime vllm --machine '2x RTX 4090, 64GB of RAM'")
