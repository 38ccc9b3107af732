"""How the backend of llama.cpp decides the pace: on Intel's cards against runs of an Arc Pro B70
under Linux that are in no fit (`truth/speed_intel.json`, Wesley-Jakob-Gilbert), and on NVIDIA's.
"""

from __future__ import annotations

import pytest

from judge.small import speed_of
from selfhost import check
from selfhost.judge.pace import Range
from selfhost.judge.record import Verdict

CARD = "arc pro b70 32gb 64gb ram linux"
MODEL = "llama-3.1-8b-instruct"


def judged(
    machine: str = CARD,
    runtime: str = "llama.cpp",
    model: str = MODEL,
    quantization: str = "Q4_K_M",
    **options: str,
) -> Verdict:
    return check(
        model,
        machine=machine,
        runtime=runtime,
        quantization=quantization,
        context_tokens=2048,
        runtime_options=options,
    )


def pace(
    machine: str = CARD,
    runtime: str = "llama.cpp",
    model: str = MODEL,
    quantization: str = "Q4_K_M",
    **options: str,
) -> Range:
    verdict = judged(machine, runtime, model, quantization, **options)
    told = verdict.decode_tokens_per_second
    assert told is not None
    return told


@pytest.mark.parametrize(
    ("device", "seen"),
    [pytest.param("SYCL0", 88.49, id="SYCL"), pytest.param("Vulkan0", 42.0, id="Mesa")],
)
def test_the_stated_backend_narrows_the_pace(device: str, seen: float) -> None:
    told = pace(dev=device)
    untold = pace()
    assert told.low <= seen <= told.high
    assert abs(told.likely / seen - 1) < abs(untold.likely / seen - 1)
    assert told.high / told.low < untold.high / untold.low


def test_vulkan_is_another_driver_in_windows() -> None:
    """And the build of winget, which the answer names there, has no other backend."""
    windows = CARD.replace("linux", "windows")
    assert pace(windows, dev="Vulkan0").likely > 1.5 * pace(dev="Vulkan0").likely
    assert pace(windows) == pace(windows, dev="Vulkan0")


@pytest.mark.parametrize(
    ("model", "quantization", "device", "seen"),
    [
        # kyuz0/intel-b70-ai-toolboxes; Q4_K types are at the likely pace there
        pytest.param("llama-2-7b-chat", "Q4_0", "Vulkan0", 87.4, id="faster by Mesa"),
        pytest.param("gpt-oss-20b", "MXFP4_MOE", "SYCL0", 50.4, id="slower by SYCL"),
    ],
)
def test_a_type_has_a_pace_of_its_own(
    model: str,
    quantization: str,
    device: str,
    seen: float,
) -> None:
    told = pace(model=model, quantization=quantization, dev=device)
    assert told.likely == pytest.approx(seen, rel=0.15)


def test_the_backend_tells_the_pace_of_a_gpu_that_shares_the_ram() -> None:
    """A Core Ultra 7 258V wrote 18.9 tokens/s with SYCL (jmsirvent/llm-intel-arc) and read 358 of a
    prompt.
    """
    laptop = "core ultra 7 258v arc 140v 32gb linux"
    told = speed_of(judged(laptop, dev="SYCL0"))
    untold = pace(laptop)
    assert told.decode is not None
    assert told.prompt is not None
    assert told.decode.low < 18.9 < told.decode.high < 2.5 * told.decode.low
    assert untold.high > 3 * untold.low
    assert told.prompt.likely == pytest.approx(358, rel=0.15)


def test_a_program_without_sycl_has_the_pace_of_vulkan() -> None:
    assert pace(runtime="ollama") == pace(dev="Vulkan0")


def test_vulkan_reads_prompts_slower_than_cuda() -> None:
    """An RTX 3090 read 1,930 to 4,569 tokens/s with it; Ollama, whose only backend on Intel's GPUs
    it is, has CUDA there.
    """
    card = "rtx 3090 24gb 64gb ram"
    vulkan = speed_of(judged(card, dev="Vulkan0")).prompt
    cuda = speed_of(judged(card)).prompt
    ollama = speed_of(judged(card, "ollama")).prompt
    assert vulkan is not None
    assert cuda is not None
    assert ollama is not None
    assert vulkan.low < 1930 < 4569 < vulkan.high < cuda.high
    assert ollama.likely > 0.9 * cuda.likely


def test_the_command_names_the_device() -> None:
    assert "-dev SYCL0" in judged(dev="SYCL0").commands[-1]


def test_one_stated_device_holds_all_of_the_model() -> None:
    needs = judged("2x arc b580 12gb 64gb ram linux", dev="SYCL0").needs
    assert needs is not None
    assert needs.memory is not None
    used = {place.where for place in needs.memory.places if place.where != "host"}
    assert len(used) == 1


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(ValueError, match="SYCL0"):
        judged(dev="Metal0")
