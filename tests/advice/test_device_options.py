"""A line names the accelerators that the model was judged on."""

from __future__ import annotations

import pytest

from selfhost import Workload, check
from selfhost.machine.named import machine_named


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


def test_some_gpus_of_several_are_named_in_the_line() -> None:
    """llama.cpp takes all that it sees, and the answer was of three of four (docs/multi-gpu.md). A build of CUDA is meant for NVIDIA's
    alone: of others a comment says how to name them."""
    asked = Workload(runtime="llama.cpp", quantization="Q6_K")
    lines = {
        gpus: check("llama3.3:70b", asked, machine=machine_named(gpus))
        for gpus in ("4x RTX 3090", "3x RTX 3090", "3x RTX 3090 + GTX 1080 Ti", "4x RX 7900 XTX")
    }
    assert lines["4x RTX 3090"].commands[0].endswith(" -dev CUDA0,CUDA1,CUDA2")
    assert not any("--list-devices" in line for line in lines["4x RTX 3090"].setup)
    assert "-dev" not in lines["3x RTX 3090"].commands[0]
    unlike = lines["3x RTX 3090 + GTX 1080 Ti"]
    assert unlike.commands[0].count("CUDA") == 3
    (note,) = (line for line in unlike.setup if "--list-devices" in line)
    assert "3 × NVIDIA GeForce RTX 3090" in note
    amd = lines["4x RX 7900 XTX"]
    assert "-dev" not in amd.commands[0]
    assert any("3 GPUs suffice; -dev NAMES" in line for line in amd.setup)
