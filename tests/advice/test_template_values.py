"""The blanks of a command are filled with what the model takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.local_models import safetensors
from selfhost import Workload, check
from selfhost.machine.named import machine_named
from selfhost.machine.profiles import load

# repositories that public code loads, read in 2026-11
WIDELY_LOADED = [
    ("qwen2.5-7b", "AWQ", "Qwen/Qwen2.5-7B-Instruct-AWQ"),
    ("qwen2.5-32b", "GPTQ", "Qwen/Qwen2.5-32B-Instruct-GPTQ-Int4"),
    ("qwen2.5-72b", "AWQ", "Qwen/Qwen2.5-72B-Instruct-AWQ"),
    ("qwen3-14b", "AWQ", "Qwen/Qwen3-14B-AWQ"),
    ("mistral-7b-instruct-v0.2", "AWQ", "TheBloke/Mistral-7B-Instruct-v0.2-AWQ"),
    ("llama-3.3-70b", "AWQ", "casperhansen/llama-3.3-70b-instruct-awq"),
    ("llama-3.1-70b", "fp8", "RedHatAI/Meta-Llama-3.1-70B-Instruct-FP8"),
    ("llama-3.1-405b", "fp8", "meta-llama/Llama-3.1-405B-Instruct-FP8"),
]


@pytest.mark.parametrize(("model", "quantization", "repository"), WIDELY_LOADED)
def test_a_widely_loaded_conversion_needs_no_repository_typed(
    model: str, quantization: str, repository: str
) -> None:
    """The model's own name with --quant has the command of the repository's name."""
    where = machine_named("8x H100" if quantization == "fp8" else "4x RTX 3090")
    named = check(model, Workload(runtime="vllm", quantization=quantization), machine=where)
    typed = check(repository, Workload(runtime="vllm"), machine=where)
    assert named.commands[0].startswith(f"vllm serve {repository} --max-model-len 4096")
    assert named.commands == typed.commands
    assert named.needs is not None
    assert typed.needs is not None
    assert named.needs.memory == typed.needs.memory


def test_a_picture_is_made_in_the_steps_that_its_time_stands_for() -> None:
    """FLUX.1 [schnell] is made for four, and its pipeline would take 28."""
    of_machine = {"server-8x-h100": "num_inference_steps=4)", "desktop-rtx4090-24gb": "--steps 4 "}
    for machine, words in of_machine.items():
        assert words in check("flux.1-schnell", machine=machine).commands[0]
    assert "num_inference_steps=28)" in check("flux-dev", machine="server-8x-h100").commands[0]


@pytest.mark.parametrize(
    "spec_id", ["qwen-image", "qwen-image-2512", "qwen-image-edit-2511", "qwen-image-layered"]
)
def test_a_second_pass_that_is_counted_is_asked_for(spec_id: str) -> None:
    """Qwen-Image's pipelines leave out the pass of the guidance without a negative prompt
    (diffusers 0.42.1, do_true_cfg); its README gives a blank one.
    """
    verdict = check(spec_id, Workload(runtime="diffusers"), machine="server-8x-h100")
    denoising = verdict.model.denoising
    assert denoising is not None
    assert denoising.passes == 2
    assert "negative_prompt=' '" in verdict.commands[0]


@pytest.mark.parametrize(
    ("id", "given"),
    [
        ("whisper-large-v3", "('audio.wav', "),
        ("gemma-3-4b-it", "'path': 'image.jpg'"),
        ("bge-m3", "('Hello')"),
        ("llama-3.2-1b-instruct", "('Hello')"),
    ],
)
def test_a_command_is_given_what_the_model_takes(id: str, given: str) -> None:
    """A recording is read from a file of that name, a pipeline for images takes a chat; the line is Python."""
    (line,) = check(
        id, Workload(runtime="transformers"), machine=load("server-8x-h200").machine
    ).commands
    assert given in line
    compile(line.partition('"')[2].rpartition('"')[0], "line", "exec")


@pytest.mark.parametrize(
    ("rank", "told"), [(20, "--max-lora-rank 32"), (8, "--max-lora-rank 16"), (600, None)]
)
def test_vllm_is_told_to_serve_an_adapter(tmp_path: Path, rank: int, told: str | None) -> None:
    """docs/features/lora.md of vLLM: --enable-lora, --lora-modules NAME=FOLDER; its config/lora.py: ranks of 16 (its default), 32, …
    up to 512.
    """
    layer = "base_model.model.model.layers.0.self_attn.q_proj"
    shapes = {f"{layer}.lora_A.weight": (rank, 2048), f"{layer}.lora_B.weight": (2048, rank)}
    safetensors(
        tmp_path / "adapter_model.safetensors", {n: ("F16", [*s]) for n, s in shapes.items()}
    )
    for path in (tmp_path, tmp_path / "adapter_model.safetensors"):
        workload = Workload(runtime="vllm", adapter=str(path))
        verdict = check("llama-3.2-1b-instruct", workload, machine="desktop-rtx4060-8gb")
        lora = f"--enable-lora --lora-modules adapter={tmp_path} {told}"
        assert any(line.endswith(lora) for line in verdict.commands) == (told is not None)
