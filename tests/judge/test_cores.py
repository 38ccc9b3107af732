"""What processors compute, beside runs that others published (`truth/compute.json`)."""

from __future__ import annotations

import json
from statistics import median
from typing import Any

import pytest

from helpers.paths import TRUTH
from selfhost import Machine, Workload, check
from selfhost import needs as need
from selfhost.catalogue.opened import open_catalogue
from selfhost.judge.pace import pacing
from selfhost.judge.pace import speed as pace
from selfhost.judge.pace.processor import core_and_clock, core_rate, threads_of
from selfhost.machine import cpus

DOCUMENT: Any = json.loads((TRUTH / "compute.json").read_text(encoding="utf-8"))


def rows(part: str) -> list[dict[str, Any]]:
    return [
        dict(zip(DOCUMENT[f"{part}_columns"], values, strict=True)) for values in DOCUMENT[part]
    ]


def machine_of(name: str, threads: int) -> Machine:
    """The machine of a run, of which so many cores worked."""
    facts = dict(DOCUMENT["machines"][name])
    facts["instruction_sets"] = tuple(facts["instruction_sets"])
    return Machine(
        **{**facts, "cpu_cores_usable": float(threads), "cpu_cores_physical": threads},
    )


def prompt_of(machine: Machine, model: str, quantization: str) -> pace.PaceRange | None:
    """How fast llama.cpp would read a prompt."""
    shelf = open_catalogue()
    spec = shelf.spec(model)
    read = need.decode_bytes_by_type(
        spec, None, "gguf", quantization, shelf.common("architectures")
    )
    return pacing.predict(
        machine, spec.architecture, read, runtime=shelf.runtime("llama.cpp")
    ).prompt


def test_nine_in_ten_published_prompts_lie_inside_ranges_that_are_of_use() -> None:
    """Each device with the same weight: half of the likely paces within 25 %, half of the ranges within a factor of 3."""
    inside, errors, widths = [], [], []
    for device in dict.fromkeys(row["machine"] for row in rows("prompt")):
        runs = [row for row in rows("prompt") if row["machine"] == device]
        paces = []
        for run in runs:
            prompt = prompt_of(
                machine_of(device, run["threads"]), run["model"], run["quantization"]
            )
            assert prompt is not None, run
            paces.append((run["tokens_per_second"], prompt))
        inside += [prompt.low <= seen <= prompt.high for seen, prompt in paces]
        errors.append(median(abs(prompt.likely / seen - 1) for seen, prompt in paces))
        widths.append(median(prompt.high / prompt.low for _, prompt in paces))
    assert len(errors) >= 9
    assert sum(inside) >= 0.9 * len(inside)
    assert median(errors) <= 0.25
    assert median(widths) <= 3


@pytest.mark.parametrize("row", rows("audio"), ids=lambda row: f"{row['machine']}-{row['runtime']}")
def test_audio_on_processors_takes_as_long_as_published_runs(row: dict[str, Any]) -> None:
    """Inside, and no wider than 5.7 times."""
    size = 64 << 30
    machine = machine_of(row["machine"], row["threads"]).replace(
        memory_total_bytes=size, memory_limit_bytes=size
    )
    asked = Workload(runtime=row["runtime"], quantization=row["quantization"])
    speed = check(row["model"], asked, machine=machine).speed
    assert speed is not None
    assert speed.work is not None
    assert speed.work.low <= row["seconds_per_audio_minute"] <= speed.work.high
    assert speed.work.high / speed.work.low <= 5.7


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


def test_threads_of_a_guest_may_be_halves_of_cores() -> None:
    """Clouds rent threads: the slow end is lower than a host's, the likely figure and the fast end are not."""
    guest = machine_of("granite-rapids-guest", 2)
    of_guest, of_host = core_rate(guest), core_rate(guest.replace(scope="host"))
    assert of_guest[0] < of_host[0]
    assert of_guest[1:] == of_host[1:]


def test_every_series_names_a_core_and_a_clock() -> None:
    """A row of `core`, from the slowest to the fastest, and clocks that processors have."""
    for row in cpus._table()["cpu"]:
        core = cpus.core_called(
            row.get("core", cpus.core_of_vectors(row.get("vectors", "avx2"))), row["ghz"]
        )
        assert core.prompt[0] < core.prompt[1] < core.prompt[2], row["name"]
        assert 1 <= row["ghz"] <= 5.5, row["name"]


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
