"""What processors compute, beside runs that others published (`truth/compute.json`)."""

from __future__ import annotations

import json
from typing import Any

from helpers.paths import TRUTH
from selfhost import Machine, Workload, check

DOCUMENT: Any = json.loads((TRUTH / "compute.json").read_text(encoding="utf-8"))


def machine_of(name: str, threads: int) -> Machine:
    """The machine of a run, of which so many cores worked."""
    facts = dict(DOCUMENT["machines"][name])
    facts["instruction_sets"] = tuple(facts["instruction_sets"])
    return Machine(
        **{**facts, "cpu_cores_usable": float(threads), "cpu_cores_physical": threads},
    )


def test_whisper_counts_the_beams_that_it_follows() -> None:
    """On one core of a Granite Rapids a step of five beams of whisper-small took 0.25 seconds (ggml-org/whisper.cpp@233fe1fc), so that 150 to 340 tokens a minute take 38 to 85 beside an encoder of 6.2 for each half minute: more than half of the time is the decoder's."""
    size = 64 << 30
    one = machine_of("granite-rapids-guest", 1).replace(
        memory_total_bytes=size, memory_limit_bytes=size
    )
    speed = check("whisper-small", Workload(runtime="whisper.cpp"), machine=one).speed
    assert speed is not None
    assert speed.work is not None
    seen = 2.2 * 6.2 + 210 * 0.25
    assert speed.work.low <= seen <= speed.work.high
