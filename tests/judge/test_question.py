"""`ask`: a workload with every default filled in, or everything in it that makes no sense."""

from __future__ import annotations

import pytest

from helpers.machines import VM
from selfhost import Workload
from selfhost.catalogue.opened import open_catalogue
from selfhost.core.errors import WorkloadError
from selfhost.judge.question import ask
from selfhost.judge.record import Question

CATALOGUE = open_catalogue()


def asked(model: str, workload: Workload = Workload()) -> Question:  # noqa: B008
    return ask(CATALOGUE.spec(model), workload, CATALOGUE, VM)


@pytest.mark.parametrize(
    ("model", "runtime"),
    [
        ("mistral-7b-instruct-v0.3", "llama.cpp"),
        ("bge-large-en-v1.5", "llama.cpp"),
        ("whisper-small", "whisper.cpp"),
        ("stable-diffusion-1.5", "diffusers"),
    ],
)
def test_a_runtime_is_taken_that_loads_the_kind_of_model(model: str, runtime: str) -> None:
    """Contract, defaults: the first runtime of its kind of model that loads it."""
    question = asked(model)
    assert question.runtime is not None
    assert question.workload.runtime == question.runtime.id == runtime
    assert question.loads is None
    assert question.workload.quantization is not None


def test_training_is_judged_for_the_program_that_trains() -> None:
    """llama.cpp trains nothing; transformers with peft does."""
    assert asked("mistral-7b-instruct-v0.3", Workload(task="finetune")).workload.runtime == (
        "transformers"
    )
    refused = asked("mistral-7b-instruct-v0.3", Workload(task="finetune", runtime="llama.cpp"))
    assert "does not train" in (refused.loads or "")
    assert refused.needs is None


def test_a_quantization_brings_the_program_that_loads_it() -> None:
    """GPTQ is no GGUF type: a program that reads its safetensors is judged instead of llama.cpp."""
    question = asked("llama-3.1-8b-instruct", Workload(quantization="gptq-4bit"))
    assert question.workload.runtime != "llama.cpp"


def test_a_stated_runtime_stays() -> None:
    question = asked("llama-3.1-8b-instruct", Workload(runtime=" vLLM "))
    assert question.workload.runtime == "vllm"
    assert question.workload.format == "safetensors"


def test_everything_that_makes_no_sense_is_said_at_once() -> None:
    """One run names the runtime, the quantization, the license and the recording."""
    workload = Workload(
        runtime="lama.cpp", quantization="Q9_X", license="not a license!", audio_seconds=60
    )
    with pytest.raises(WorkloadError) as caught:
        asked("mistral-7b-instruct-v0.3", workload)
    by_key = {problem.key: problem for problem in caught.value.problems}
    assert set(by_key) == {"runtime", "quantization", "license", "audio_seconds"}
    assert by_key["runtime"].remedy == "did you mean llama.cpp?"


def test_a_closed_model_is_asked_about_no_files() -> None:
    """It has none: runtime, format, quantization and cache type are not known, and no need follows."""
    question = asked("gpt-4o", Workload(runtime="vllm", quantization="fp8"))
    workload = question.workload
    assert (workload.runtime, workload.format, workload.quantization) == (None, None, None)
    assert question.needs is None


def test_a_context_is_filled_in_and_told_from_one_that_was_asked_for() -> None:
    """A default may be shortened to what fits; what you asked for may not."""
    default = asked("mistral-7b-instruct-v0.3")
    assert default.workload.context_tokens
    assert not default.context_asked
    stated = asked("mistral-7b-instruct-v0.3", Workload(context_tokens=1000))
    assert stated.context_asked
    assert stated.workload.context_tokens == 1000


def test_an_encoder_is_asked_for_no_pace() -> None:
    """Only text that is written token by token has tokens per second to hold."""
    assert asked("bge-large-en-v1.5").workload.min_tokens_per_second is None
    pace = asked("mistral-7b-instruct-v0.3").workload.min_tokens_per_second
    assert pace is not None
    assert pace > 0
