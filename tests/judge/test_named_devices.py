"""The devices that an option of llama.cpp names (common/arg.cpp, --device <dev1,dev2,..>)."""

from __future__ import annotations

import pytest

from selfhost import Verdict, Workload, check
from selfhost.core.errors import WorkloadError

# Qwen3 32B has 32.8 billion parameters (its card): 34 bytes for 32 of them are 34.8 GB, which no
# card of 24 GB holds
LARGE = "Q8_0"
SMALL = "Q4_K_M"


def named(devices: str, machine: str, quantization: str = LARGE) -> Verdict:
    workload = Workload(
        runtime="llama.cpp",
        quantization=quantization,
        runtime_options={"dev": devices},
    )
    return check("qwen3-32b", workload, machine=f"{machine} 128gb")


def places_of(verdict: Verdict) -> set[str]:
    memory = verdict.placed.memory
    assert memory is not None
    return {place.where for place in memory.places if place.where != "host"}


@pytest.mark.parametrize(
    ("devices", "machine", "numbers"),
    [
        pytest.param("ROCm0,ROCm1", "2x rx 7900 xtx", {0, 1}, id="both of AMD"),
        pytest.param("CUDA0,CUDA1", "3x rtx 3090", {0, 1}, id="two of three"),
        pytest.param("CUDA0,CUDA2", "3x rtx 3090", {0, 2}, id="the first and last"),
        pytest.param("Vulkan1,Vulkan2", "3x rtx 3090", {1, 2}, id="by Vulkan"),
        pytest.param("CUDA1", "3x rtx 3090", {1}, id="the second alone"),
    ],
)
def test_the_model_lies_on_the_named_devices(
    devices: str, machine: str, numbers: set[int]
) -> None:
    verdict = named(devices, machine)
    assert places_of(verdict) == {f"accelerator:{number}" for number in numbers}
    assert f"-dev {devices}" in verdict.commands[-1]
    is_whole = verdict.placement == "accelerator"
    assert is_whole is (len(numbers) > 1)


@pytest.mark.parametrize(
    "devices",
    [
        pytest.param("CUDA1", id="one"),
        pytest.param("CUDA1,CUDA2", id="two"),
    ],
)
def test_one_device_is_numbered_among_those_that_are_named(devices: str) -> None:
    """--main-gpu counts the devices that --device leaves (src/llama.cpp: main_gpu is an index into
    model->devices).
    """
    verdict = named(devices, "3x rtx 3090", SMALL)
    assert len(places_of(verdict)) == 1
    assert "-sm none -mg 0" in verdict.commands[-1]


def test_numbers_of_unlike_cards_follow_the_bus() -> None:
    """CUDA numbers the fastest first unless CUDA_DEVICE_ORDER says otherwise (CUDA C programming
    guide, environment variables), and nvidia-smi by the bus.
    """
    one = named("CUDA1", "rtx 3060 rtx 3090", SMALL).commands[-1]
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in one
    first = named("CUDA0", "rtx 3060 rtx 3090", SMALL).commands[-1]
    assert "CUDA_DEVICE_ORDER" not in first


@pytest.mark.parametrize(
    ("devices", "machine", "guess"),
    [
        pytest.param("ROCm0,ROCm1", "rx 7900 xtx", "dev=ROCm0", id="one is lacking"),
        pytest.param(
            "ROCm0,ROCm2", "2x rx 7900 xtx", "dev=ROCm0,ROCm1", id="another number"
        ),
        pytest.param("CUDA2", "2x rtx 3090", "dev=CUDA0,CUDA1", id="a single one"),
    ],
)
def test_a_device_that_the_machine_lacks_is_refused(
    devices: str, machine: str, guess: str
) -> None:
    with pytest.raises(WorkloadError, match="dev takes one of") as refused:
        named(devices, machine)
    assert guess in (refused.value.problems[0].remedy or "")


@pytest.mark.parametrize(
    "devices",
    [
        pytest.param("CUDA0,CUDA0", id="named twice"),
        pytest.param("CUDA0,ROCm0", id="two backends"),
        pytest.param("CUDA0,", id="nothing behind the comma"),
        pytest.param("CUDA0,none", id="and none"),
        pytest.param("CUDA01", id="no such number"),
    ],
)
def test_what_is_no_list_of_devices_is_refused(devices: str) -> None:
    with pytest.raises(WorkloadError, match="dev takes one of CUDA0, ROCm0"):
        named(devices, "2x rtx 3090")


def test_devices_of_another_maker_are_not_found() -> None:
    verdict = named("CUDA0,CUDA1", "2x rx 7900 xtx")
    assert not verdict.can_run
    reasons = [finding.reason for finding in verdict.findings]
    assert any("no device CUDA0,CUDA1" in reason for reason in reasons)
