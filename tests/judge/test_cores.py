"""What processors compute, beside runs that others published (`truth/compute.json`)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helpers.paths import TRUTH
from selfhost import Machine, Workload, check
from selfhost.catalogue.opened import open_catalogue
from selfhost.judge.pace.processor import core_and_clock, threads_of

DOCUMENT: Any = json.loads((TRUTH / "compute.json").read_text(encoding="utf-8"))


def machine_of(name: str, threads: int) -> Machine:
    """The machine of a run, of which so many cores worked."""
    facts = dict(DOCUMENT["machines"][name])
    facts["instruction_sets"] = tuple(facts["instruction_sets"])
    return Machine(
        **{**facts, "cpu_cores_usable": float(threads), "cpu_cores_physical": threads},
    )


def test_a_program_takes_no_more_threads_than_it_does_by_default() -> None:
    """whisper.cpp takes four of sixteen cores (examples/cli/cli.cpp), and two of two."""
    shelf = open_catalogue()
    whisper = shelf.runtime("whisper.cpp")
    many, few = machine_of("ryzen-9-7950X", 16), machine_of("granite-rapids-guest", 2)
    assert threads_of(many, whisper) == 4
    assert threads_of(few, whisper) == 2
    assert threads_of(many, shelf.runtime("llama.cpp")) == 16


@pytest.mark.parametrize(
    ("sets", "name", "core"),
    [
        (("avx2", "avx512_bf16", "avx512f"), "AMD EPYC", "zen4"),
        (("avx2", "avx512_bf16", "avx512f", "avx_vnni"), "AMD EPYC", "zen5"),
        (("amx_tile", "avx2", "avx512_bf16", "avx512f"), "Intel(R) Xeon(R) Processor", "amx"),
        (("avx2", "avx512f"), "Intel Xeon Processor (Skylake)", "avx512"),
        (("avx2",), "a processor", "avx2"),
        (("sse4_2",), "a processor", "avx"),
        # the name says more than the instruction sets: the cores of an N100 are small
        (("avx2", "avx_vnni"), "Intel(R) N100", "atom"),
        (("avx2",), "AMD Ryzen 5 2600 Six-Core Processor", "zen1"),
        (
            ("avx2", "avx512_bf16", "avx512f", "avx_vnni"),
            "AMD Ryzen AI 9 HX 370 w/ Radeon 890M",
            "zen4",
        ),
    ],
)
def test_a_core_is_told_by_its_name_and_its_instruction_sets(
    sets: tuple[str, ...], name: str, core: str
) -> None:
    machine = Machine(
        system="linux", architecture="x86_64", scope="host", cpu_model=name, cpu_cores_physical=4,
        cpu_cores_usable=4.0, instruction_sets=sets,
    )  # fmt: skip
    assert core_and_clock(machine)[0] == core


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
