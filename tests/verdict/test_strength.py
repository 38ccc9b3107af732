"""What makes one machine at least as fast as another, for whatever model."""

from __future__ import annotations

from functools import cache

import pytest

from selfhost.catalogue.opened import open_catalogue
from selfhost.catalogue.spec import Architecture
from selfhost.core.units import GB
from selfhost.machine import profiles
from selfhost.machine.record import Machine
from selfhost.verdict.judging import judge
from selfhost.verdict.on_devices import free_limits
from selfhost.verdict.pacing import predict
from selfhost.verdict.speed import LaidOut
from selfhost.verdict.strength import strength_of
from verdict.small import GIB, GPU, MACHINE, needs_of, question

# read for one token: few bits, some that cores unpack slowly, experts of which few are read
READ = {
    "qwen3-32b": {"Q4_K": 18 * GB, "Q6_K": 2 * GB, "F32": 10**6},
    "smollm2-135m-instruct": {"Q8_0": 140 * 10**6},
    "qwen3-30b-a3b-instruct-2507": {"Q4_K": 2 * GB, "MXFP4": 10**8},
}


@cache
def machines() -> tuple[Machine, ...]:
    """Every profile, as stated and with a bandwidth that was measured."""
    known = [profiles.load(name).machine for name in profiles.names()]
    measured = [
        machine.replace(
            memory_bandwidth_bytes_per_second=rate * GB,
            sources={**machine.sources, "memory_bandwidth_bytes_per_second": "measured"},
        )
        for machine in known[::2]
        for rate in (12, 45)
    ]
    return (*known, *measured)


def architecture_of(model: str) -> Architecture | None:
    return open_catalogue().spec(model).architecture


@pytest.mark.parametrize("model", READ)
@pytest.mark.parametrize("share", [None, 1.0, 0.4])
def test_a_machine_that_is_nowhere_weaker_is_no_slower(model: str, share: float | None) -> None:
    """In RAM, on an accelerator, split between both: at every end of the range."""
    architecture = architecture_of(model)
    offloaded = None if share is None else {0: share}
    by_word: dict[object, list[tuple[tuple[float, ...], tuple[float, ...]]]] = {}
    for machine in machines():
        if share is not None and (not machine.accelerators or machine.accelerators[0].unified):
            continue
        way = LaidOut(context_tokens=4096, offloaded=offloaded, experts_apart=True)
        strength = strength_of(machine, way)
        if strength is None:
            continue
        pace = predict(machine, architecture, READ[model], way).decode
        assert pace is not None
        by_word.setdefault(strength[0], []).append(
            (strength[1], (pace.low, pace.likely, pace.high))
        )
    compared = 0
    for group in by_word.values():
        for numbers, pace_of_one in group:
            for others, pace_of_other in group:
                if all(map(float.__le__, map(float, numbers), map(float, others))):
                    assert all(map(float.__le__, pace_of_one, pace_of_other)), (numbers, others)
                    compared += 1
    assert compared > 500


def test_the_free_memory_from_which_on_layers_and_all_of_them_lie_on_an_accelerator() -> None:
    """One byte less, and the model lies elsewhere."""
    needs = needs_of(17 * GIB, 18 * GIB)
    limits = free_limits(needs, 32)
    assert limits is not None
    placed = []
    for free in (limits[0] - 1, limits[0], limits[1] - 1, limits[1]):
        card = GPU.replace(memory_total_bytes=80 * GIB, memory_free_bytes=free)
        roomy = MACHINE.replace(
            accelerators=(card,),
            memory_total_bytes=64 * GIB,
            memory_limit_bytes=64 * GIB,
            memory_available_bytes=60 * GIB,
        )
        judged = judge(question(needs=needs), roomy).needs
        assert judged is not None
        placed.append(judged.placement)
    assert placed == ["host", "split", "split", "accelerator"]
    assert free_limits(needs, None) is None
