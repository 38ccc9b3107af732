"""A mixture of which a GPU holds all but some experts."""

import pytest

from helpers.desktops import machine_with
from selfhost import Workload, check
from selfhost.catalogue.opened import open_catalogue
from selfhost.core.records import FrozenDict
from selfhost.judge.pace.step import Step
from selfhost.judge.placement.experts import expert_parameters
from selfhost.judge.question import ask

READ = 3.0e9


def step() -> Step:
    architecture = check("qwen3-30b-a3b", machine=machine_with()).model.architecture
    return Step(architecture=architecture, read_bytes=FrozenDict({"Q4_K": int(READ * 144 / 256)}))


@pytest.mark.parametrize(
    "model",
    [
        "qwen3-30b-a3b",
        "gpt-oss-20b",
        # experts of two matrices, without a gate: three left half as much more in RAM as there is
        "nemotron-3-nano-30b-a3b",
        # these in a space narrower than the model
        "nemotron-3-super-120b-a12b",
    ],
)
def test_experts_that_a_token_leaves_out_are_what_it_does_not_read(model: str) -> None:
    """The parameters of a mixture less those that are active, which its publisher states."""
    catalogue = open_catalogue()
    spec, machine = catalogue.spec(model), machine_with()
    experts, used, _ = expert_parameters(ask(spec, Workload(), catalogue, machine).step)
    assert spec.parameters.total is not None
    assert spec.parameters.active is not None
    assert experts - used == pytest.approx(spec.parameters.total - spec.parameters.active, rel=0.01)


@pytest.mark.parametrize(
    ("gpu", "gib", "model", "tokens_per_second"),
    [
        # tests/truth/speed_public.json, reports of machines whose RAM is not stated
        ("NVIDIA GeForce RTX 5070", 12, "qwen3-30b-a3b-instruct-2507", 25.7),
        ("NVIDIA GeForce RTX 2080", 8, "qwen3-30b-a3b-instruct-2507", 33.7),
        ("NVIDIA GeForce RTX 2080", 8, "deepseek-coder-v2-lite-instruct", 49.6),
    ],
)
def test_the_range_holds_reports_and_says_that_it_is_a_guess(
    gpu: str, gib: int, model: str, tokens_per_second: float
) -> None:
    machine = machine_with(gpu, gib, cpu_model=None)
    verdict = check(model, Workload(quantization="Q4_K_M"), machine=machine)
    assert verdict.needs is not None
    assert verdict.needs.placement == "split"
    assert verdict.speed is not None
    assert verdict.speed.decode is not None
    assert verdict.speed.decode.low < tokens_per_second < verdict.speed.decode.high
    assert "a guess" in verdict.speed.how
