"""Weights in two and three bits, against runs that others published (`truth/speed_types.json`)."""

from __future__ import annotations

import json
from statistics import median
from typing import Any

import pytest

from helpers.paths import TRUTH
from selfhost import Machine, Workload, check
from selfhost import needs as need
from selfhost.catalogue.index import Catalogue
from selfhost.judge.pace.graphics import Gpu, gpu_of
from selfhost.judge.pace.speed import PaceRange, processor_prompt, seconds_on_processor
from selfhost.judge.pace.step import Step
from selfhost.machine.gpus import vendor_of
from selfhost.machine.named import machine_named
from selfhost.machine.record import Accelerator

FEW_BITS = ("Q2", "Q3", "IQ1", "IQ2", "IQ3", "UD-Q3")


def runs() -> list[dict[str, Any]]:
    document = json.loads((TRUTH / "speed_types.json").read_text(encoding="utf-8"))
    return [dict(zip(document["columns"], row, strict=True)) for row in document["rows"]]


def machine_of(row: dict[str, Any]) -> Machine:
    size = int(row["memory_gb"])
    if row["kind"] == "shared":
        return machine_named(f"{row['device'].removeprefix('Apple ').lower()} {size}gb")
    return machine_named(f"{row['device']} {size}gb")


def pace_of(row: dict[str, Any]) -> PaceRange:
    asked = Workload(quantization=row["quantization"], runtime="llama.cpp")
    speed = check(row["spec"], asked, machine=machine_of(row)).speed
    assert speed is not None
    assert speed.decode is not None
    return speed.decode


def test_runs_in_few_bits_that_are_in_no_fit_lie_inside() -> None:
    """Told by the bytes alone, the eight runs of an RTX 3060 were 1.5 to 1.8 times too fast."""
    kept = [
        (row, pace_of(row))
        for row in runs()
        if row["use"] == "kept"
        and row["quantization"].startswith(FEW_BITS)
        and row["backend"] in ("cuda", "metal")
    ]
    assert len(kept) == 15
    for row, pace in kept:
        assert pace.low <= row["tokens_per_second"] <= pace.high, row
    assert median(abs(pace.likely / row["tokens_per_second"] - 1) for row, pace in kept) < 0.3


def processor_runs(kind: str) -> list[tuple[dict[str, Any], tuple[float, float, float]]]:
    """The published runs on processors of types that are looked up, and what is predicted."""
    document = json.loads((TRUTH / "speed_types.json").read_text(encoding="utf-8"))
    shelf = Catalogue.open()
    predicted = []
    for values in document["processors"]:
        row = dict(zip(document["processors_columns"], values, strict=True))
        if row["kind"] != kind or not row["quantization"].startswith(("IQ1", "IQ2", "IQ3")):
            continue
        apple = row["device"].startswith("Apple")
        machine = Machine(
            system="macos" if apple else "linux",
            architecture="aarch64" if apple else "x86_64",
            scope="host",
            cpu_model=row["device"],
            cpu_cores_physical=row["threads"],
            cpu_cores_usable=float(row["threads"]),
            instruction_sets=None if apple else ("avx2", "avx512f", "avx512_bf16"),
        )
        spec = shelf.spec(row["spec"])
        weights = need.decode_bytes_by_type(
            spec, None, "gguf", row["quantization"], shelf.common("architectures")
        )
        step = Step(architecture=spec.architecture, read_bytes=weights)
        if kind == "prompt":
            pace = processor_prompt(step, machine)
            assert pace is not None
            predicted.append((row, (pace.low, pace.likely, pace.high)))
            continue
        seconds = seconds_on_processor(machine, step)
        assert seconds is not None
        slow, likely, fast = (1 / each for each in seconds)
        predicted.append((row, (slow, likely, fast)))
    return predicted


@pytest.mark.parametrize("kind", ["decode", "prompt"])
def test_a_processor_looks_values_up_slowly(kind: str) -> None:
    """As fast as IQ4_XS, which lies beside them, they were told 1.6 to 4.5 times too fast."""
    predicted = processor_runs(kind)
    assert len(predicted) == {"decode": 19, "prompt": 10}[kind]
    for row, (low, likely, high) in predicted:
        assert low <= row["tokens_per_second"] <= high, row
        assert 0.6 < row["tokens_per_second"] / likely < 1.6, row


def card(name: str) -> Gpu:
    gpu = gpu_of(Accelerator(vendor=vendor_of(name), name=name))
    assert gpu is not None
    return gpu


def step_of(quantization: str, gb: float, program: str | None = None) -> Step:
    return Step(architecture=None, read_bytes={quantization: int(gb * 10**9)}, foreign=program)


def test_a_card_with_little_compute_reads_fewer_bytes_no_faster() -> None:
    """A Tesla P40 decoded Llama 2 7B in Q3_K_S at 30.7 tokens/s and in Q4_0, a third larger, at
    56.3 (ggml-org/llama.cpp#4766); an RTX 4090, with seven times the cycles and three times the
    memory bandwidth, 8B in IQ3_S at 221 and in IQ1_M, half as large, at 315 (#8215).
    """
    weak, strong = card("Tesla P40"), card("NVIDIA GeForce RTX 4090")
    assert weak.seconds(step_of("Q3_K", 2.8))[1] > weak.seconds(step_of("Q4_0", 3.7))[1]
    assert strong.seconds(step_of("Q3_K", 2.8))[1] < strong.seconds(step_of("Q4_0", 3.7))[1]


def test_the_bound_is_none_of_programs_with_kernels_of_their_own() -> None:
    gpu = card("NVIDIA GeForce RTX 3060")
    ours, other = (gpu.seconds(step_of("IQ2_XS", 9, each))[1] for each in (None, "vllm"))
    assert ours > 1.3 * other


def test_an_answer_says_that_unpacking_is_the_bound() -> None:
    asked = Workload(quantization="Q3_K_S", runtime="llama.cpp")
    speed = check("llama-3.1-8b-instruct", asked, machine=machine_named("rtx 3060 12gb")).speed
    assert speed is not None
    assert "no more than its cores unpack at their clock" in speed.how
