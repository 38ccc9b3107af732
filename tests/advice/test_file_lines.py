"""Files that are here are loaded by their path."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.local_models import config, safetensors, small
from selfhost import Workload, check


def packed(folder: Path, method: str) -> Path:
    """A folder with the weights of a small Llama in 4 bits, as AutoAWQ stores them."""
    stored = {"quant_method": method, "bits": 4, "group_size": 32, "zero_point": True}
    config(
        folder, model_type="llama", hidden_size=64, intermediate_size=128, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=100, max_position_embeddings=256, quantization_config=stored,
    )  # fmt: skip
    tensors = {
        "model.embed_tokens.weight": ("F16", [100, 64]),
        "lm_head.weight": ("F16", [100, 64]),
    }
    for name, inputs, outputs in (
        ("self_attn.q_proj", 64, 64), ("self_attn.k_proj", 64, 32), ("self_attn.v_proj", 64, 32), ("self_attn.o_proj", 64, 64),
        ("mlp.gate_proj", 64, 128), ("mlp.up_proj", 64, 128), ("mlp.down_proj", 128, 64),
    ):  # fmt: skip
        prefix = f"model.layers.0.{name}"
        tensors[f"{prefix}.qweight"] = ("I32", [inputs, outputs // 8])
        tensors[f"{prefix}.qzeros"] = ("I32", [inputs // 32, outputs // 8])
        tensors[f"{prefix}.scales"] = ("F16", [inputs // 32, outputs])
    for name in ("layers.0.input_layernorm", "layers.0.post_attention_layernorm", "norm"):
        tensors[f"model.{name}.weight"] = ("F16", [64])
    safetensors(folder / "model.safetensors", tensors)
    return folder


@pytest.mark.parametrize("method", ["awq", "gptq"])
def test_a_folder_of_packed_weights_is_served_by_its_path(method: str, tmp_path: Path) -> None:
    """vllm serve takes a folder where it takes a repository (its documentation)."""
    folder = packed(tmp_path / "mine", method)
    verdict = check(folder, machine="desktop-rtx3060-12gb")
    assert verdict.commands == (f"vllm serve {folder} --max-model-len 256",)


def test_a_folder_of_published_types_is_run_by_its_path(tmp_path: Path) -> None:
    """pipeline() takes a folder where it takes a repository (documentation of transformers)."""
    folder = small(tmp_path / "mine")
    verdict = check(folder, Workload(runtime="transformers"), machine="desktop-rtx3060-12gb")
    assert f"pipeline(model='{folder}', " in verdict.commands[0]


def test_a_path_that_a_program_would_misread_is_in_no_line(tmp_path: Path) -> None:
    """A shell takes a quoted path; within the quotes of a Python program it would end the text."""
    folder = small(tmp_path / "it's mine")
    machine = "desktop-rtx3060-12gb"
    assert not check(folder, Workload(runtime="transformers"), machine=machine).commands
    (line,) = check(folder, Workload(runtime="vllm"), machine=machine).commands
    assert "it'\"'\"'s mine'" in line
