"""A line holds the program to what was judged, on the accelerators that it was judged on."""

from __future__ import annotations

import pytest

from selfhost import Workload, check
from selfhost.machine.named import machine_named


def test_ollama_is_told_a_context_that_it_would_not_take() -> None:
    """4,096 tokens is its default below 24 GiB of GPU memory, 32,768 above."""
    asked = Workload(runtime="ollama", context_tokens=4096)
    assert len(check("mistral:7b", asked, machine="desktop-rtx3060-12gb").commands) == 1
    first, then = check("mistral:7b", asked, machine="desktop-rtx4090-24gb").commands
    # after the installer a service has port 11434 (ollama/ollama issue 707)
    own = "OLLAMA_HOST=127.0.0.1:11435"
    assert first == f"{own} OLLAMA_CONTEXT_LENGTH=4096 ollama serve"
    assert then == f"{own} ollama run mistral:7b"
    first, _ = check(
        "mistral:7b",
        Workload(runtime="ollama", context_tokens=2048),
        machine="desktop-rtx3060-12gb",
    ).commands
    assert first == f"{own} OLLAMA_CONTEXT_LENGTH=2048 ollama serve"


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("desktop-rtx4090-24gb", "cuda"),
        ("macbook-pro-m4-max-48gb", "mps"),
        ("laptop-ddr4-16gb", "cpu"),
    ],
)
def test_a_python_line_names_the_device(name: str, device: str) -> None:
    line = check("qwen3-0.6b", Workload(runtime="transformers"), machine=name).commands[0]
    assert f"device_map='{device}'" in line


def test_one_gpu_of_several_is_named_in_the_line() -> None:
    """llama.cpp spreads the layers over all that it sees, and the answer was of one (docs/multi-gpu.md). Of unlike ones it says by whose
    numbers; on one, and where two are needed, the line is as short as ever."""
    asked = Workload(runtime="llama.cpp", quantization="Q4_K_M")
    lines = {
        gpus: check("qwen2.5-14b", asked, machine=machine_named(gpus))
        for gpus in ("2x RTX 3090", "RTX 3090", "2x RTX 3060 8gb", "RTX 3060 + RTX 3090")
    }
    (alike,) = lines["2x RTX 3090"].commands
    assert alike.endswith(" -sm none -mg 0")
    assert not any("--list-devices" in line for line in lines["2x RTX 3090"].setup)
    for gpus in ("RTX 3090", "2x RTX 3060 8gb"):
        assert "-mg" not in lines[gpus].commands[0]
    unlike = lines["RTX 3060 + RTX 3090"]
    assert unlike.commands[0].endswith(" -sm none -mg 1")
    (note,) = (line for line in unlike.setup if "--list-devices" in line)
    assert "RTX 3090" in note
