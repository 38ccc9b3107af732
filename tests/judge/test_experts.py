"""A mixture of which a GPU holds all but some experts."""

import pytest

from helpers.desktops import machine_with
from selfhost import Workload, check
from selfhost.catalogue.opened import open_catalogue
from selfhost.core.records import FrozenDict
from selfhost.judge.pace.engine import Step
from selfhost.judge.placement.experts import expert_parameters, left_in_ram, parts_of
from selfhost.judge.question import ask

# Qwen3 30B-A3B: 48 layers of 128 experts, 8 used, 3 matrices of 2048 x 768; 30.5 billion parameters,
# 3.3 billion read for a token (its model card)
EXPERTS = 48 * 128 * 3 * 2048 * 768
READ = 3.0e9


def step() -> Step:
    architecture = check("qwen3-30b-a3b", machine=machine_with()).model.architecture
    return Step(architecture=architecture, read_bytes=FrozenDict({"Q4_K": int(READ * 144 / 256)}))


def test_experts_of_as_many_layers_as_do_not_fit_stay_in_ram() -> None:
    """Half of all weights on the GPU: what tokens share (1.2 billion) is there, and less than half of the experts."""
    left = left_in_ram(step(), 0.5)
    assert left is not None
    shared = READ - EXPERTS * 8 / 128
    assert left.layers == pytest.approx(48 * (1 - (0.5 * (shared + EXPERTS) - shared) / EXPERTS))
    assert 24 < left.layers < 26


def test_a_gpu_too_small_for_what_tokens_share_gets_whole_layers() -> None:
    assert left_in_ram(step(), 0.01) is None


def test_a_model_without_experts_is_shared_out_by_layers() -> None:
    dense = check("mistral-7b", machine=machine_with()).model.architecture
    assert left_in_ram(step().replace(architecture=dense), 0.5) is None


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


def test_nothing_is_read_twice() -> None:
    whole = step()
    left = left_in_ram(whole, 0.5)
    assert left is not None
    devices, processor = parts_of(whole, left)
    assert devices.weights_bytes + processor.weights_bytes == pytest.approx(whole.weights_bytes)
    # active experts of half of the layers: 0.9 of 3.0 billion
    assert processor.weights_bytes / whole.weights_bytes == pytest.approx(0.31, abs=0.02)


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


def test_a_program_that_moves_whole_layers_is_slower() -> None:
    machine = machine_with("NVIDIA GeForce RTX 2080", 8)
    paces = []
    for runtime in ("llama.cpp", "ollama"):
        asked = Workload(quantization="Q4_K_M", runtime=runtime)
        speed = check("qwen3-30b-a3b-instruct-2507", asked, machine=machine).speed
        assert speed is not None
        assert speed.decode is not None
        paces.append(speed.decode.likely)
    assert paces[0] > paces[1]
