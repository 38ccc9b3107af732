"""How the backend of llama.cpp decides the pace on Intel's cards, against runs of an Arc Pro B70
under Linux that are in no fit (`truth/speed_intel.json`, Wesley-Jakob-Gilbert).
"""

from __future__ import annotations

import pytest

from selfhost import check
from selfhost.judge.pace import Range
from selfhost.judge.record import Verdict

CARD = "arc pro b70 32gb 64gb ram linux"
MODEL = "llama-3.1-8b-instruct"


def judged(
    machine: str = CARD,
    runtime: str = "llama.cpp",
    **options: str,
) -> Verdict:
    return check(
        MODEL,
        machine=machine,
        runtime=runtime,
        quantization="Q4_K_M",
        context_tokens=2048,
        runtime_options=options,
    )


def pace(
    machine: str = CARD,
    runtime: str = "llama.cpp",
    **options: str,
) -> Range:
    told = judged(machine, runtime, **options).decode_tokens_per_second
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
    windows = CARD.replace("linux", "windows")
    assert pace(windows, dev="Vulkan0").likely > 1.5 * pace(dev="Vulkan0").likely


def test_a_program_without_sycl_has_the_pace_of_vulkan() -> None:
    assert pace(runtime="ollama") == pace(dev="Vulkan0")


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
