"""Text that Python launches layer by layer on a GPU, or a graph that is replayed: published runs of Transformers and vLLM, and laws."""

from __future__ import annotations

import json
from statistics import median
from typing import Any

import pytest

from helpers.desktops import machine_with
from helpers.paths import TRUTH
from selfhost.catalogue.opened import open_catalogue
from selfhost.core.workload import Workload
from selfhost.judge.judging import judge
from selfhost.judge.pace.graphics import gpu_of
from selfhost.judge.pace.speed import PaceRange
from selfhost.judge.pace.step import Step, launched_layers
from selfhost.judge.question import ask
from selfhost.machine.record import Machine


def rows(runtime: str, use: str) -> list[dict[str, Any]]:
    """Those of truth/speed_transformers.json or of speed_vllm.json."""
    document = json.loads((TRUTH / f"speed_{runtime}.json").read_text("utf-8"))
    read = [dict(zip(document["columns"], values, strict=True)) for values in document["rows"]]
    return [row for row in read if row["use"] == use]


def pace(machine: Machine, model: str, quantization: str, runtime: str) -> PaceRange:
    workload = Workload(quantization=quantization, runtime=runtime, context_tokens=2048)
    catalogue = open_catalogue()
    judged = judge(ask(catalogue.spec(model), workload, catalogue, machine), machine)
    assert judged.speed is not None
    assert judged.speed.decode is not None
    return judged.speed.decode


@pytest.mark.parametrize(("runtime", "error"), [("transformers", 0.25), ("vllm", 0.15)])
def test_runs_that_are_in_no_fit_lie_inside(runtime: str, error: float) -> None:
    """Nine in ten, of 17 models in Transformers on an A100, an H20 and a T4 and 20 in vLLM on nine cards; half within that share of the likely figure."""
    errors, inside = [], []
    for row in rows(runtime, "kept"):
        if runtime == "vllm" and row["gpus"] > 1:
            continue
        machine = machine_with(row["device"], row["memory_gb"])
        machine = machine.replace(accelerators=row["gpus"] * (machine.accelerators or ()))
        told = pace(machine, row["spec"], row["quantization"], runtime)
        errors.append(abs(told.likely / row["tokens_per_second"] - 1))
        inside.append(told.low <= row["tokens_per_second"] <= told.high)
    assert sum(inside) >= 0.9 * len(inside)
    assert median(errors) <= error


@pytest.mark.parametrize("runtime", ["transformers", "vllm"])
def test_no_model_of_a_device_is_fitted_and_kept(runtime: str) -> None:
    fitted, kept = (
        {(row["spec"], row["device"]) for row in rows(runtime, use)} for use in ("fitted", "kept")
    )
    assert not fitted & kept
    assert len(kept) >= (len(fitted) + len(kept)) / 3


def test_python_takes_as_long_for_small_layers_as_for_large() -> None:
    """24 layers of 0.5B beside 28 of 7B on an H200, whose memory would read the small in a tenth of the time."""
    machine = machine_with("NVIDIA H200", 141)
    small, large = (
        pace(machine, f"qwen2.5-{size}-instruct", "bfloat16", "transformers")
        for size in ("0.5b", "7b")
    )
    assert small.likely / large.likely == pytest.approx(28 / 24)


@pytest.mark.parametrize("quantization", ["int8", "nf4-double", "nf4"])
def test_weights_of_bitsandbytes_are_slower_than_16_bits_on_a_large_gpu(quantization: str) -> None:
    """Llama 3.1 8B on an H100: 41 tokens/s in BF16, 30 in NF4, 24 with double quantization, 12 in INT8 (bitsandbytes, benchmarking/README.md)."""
    machine = machine_with("NVIDIA H100 80GB HBM3", 80)
    plain, packed = (
        pace(machine, "llama-3.1-8b-instruct", each, "transformers")
        for each in ("bfloat16", quantization)
    )
    assert packed.likely < plain.likely


def held_by_each(machine: Machine, model: str, quantization: str) -> list[int]:
    """Bytes that each accelerator holds in Transformers; [] where it is not placed on them."""
    workload = Workload(quantization=quantization, runtime="transformers", context_tokens=2048)
    catalogue = open_catalogue()
    needs = judge(ask(catalogue.spec(model), workload, catalogue, machine), machine).needs
    assert needs is not None
    assert needs.memory is not None
    terms = needs.memory.terms if needs.placement == "accelerator" else ()
    wheres = sorted({term.where for term in terms} - {"host"})
    return [sum(term.bytes for term in terms if term.where == where) for where in wheres]


def test_layers_are_spread_over_gpus_that_hold_them_together() -> None:
    """Qwen2.5 72B in BF16 on two A100 took 136.2 GiB (its speed benchmark), about as much on each."""
    machine = machine_with("NVIDIA A100-SXM4-80GB", 80)
    pair = machine.replace(accelerators=2 * (machine.accelerators or ()))
    first, second = held_by_each(pair, "qwen2.5-72b-instruct", "bfloat16")
    assert (first + second) / 2**30 == pytest.approx(136.2, rel=0.03)
    assert first / second == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(("card", "size_gib", "fits"), [("RTX 3090", 24, True), ("T4", 16, False)])
def test_no_layer_is_left_to_the_ram(card: str, size_gib: int, fits: bool) -> None:
    """70B in NF4 takes about 40 GiB: two cards of 24 hold it, two of 16 do not, and RAM computes none of it beside them."""
    machine = machine_with(f"NVIDIA {card}", size_gib)
    pair = machine.replace(accelerators=2 * (machine.accelerators or ()))
    assert (len(held_by_each(pair, "llama-3.1-70b-instruct", "nf4")) == 2) is fits


def test_a_model_that_one_gpu_holds_lies_on_one() -> None:
    machine = machine_with("NVIDIA GeForce RTX 3090", 24)
    pair = machine.replace(accelerators=2 * (machine.accelerators or ()))
    assert len(held_by_each(pair, "qwen2.5-7b-instruct", "bfloat16")) == 1


def test_gpus_of_two_makers_share_no_model_in_transformers() -> None:
    cards = [
        machine_with(name, 24).accelerators or ()
        for name in ("NVIDIA GeForce RTX 3090", "AMD Radeon RX 7900 XTX")
    ]
    pair = machine_with("NVIDIA GeForce RTX 3090", 24).replace(accelerators=cards[0] + cards[1])
    assert len(held_by_each(pair, "llama-3.1-70b-instruct", "nf4")) < 2


def test_vllm_replays_a_graph() -> None:
    """Qwen2.5 0.5B in BF16 on an A100: 312 tokens/s in vLLM and 47 in Transformers (its speed benchmark), where reading alone would allow 2,000."""
    machine = machine_with("NVIDIA A100-SXM4-80GB", 80)
    vllm = pace(machine, "qwen2.5-0.5b-instruct", "bfloat16", "vllm")
    python = pace(machine, "qwen2.5-0.5b-instruct", "bfloat16", "transformers")
    assert python.low <= 47.4 <= python.high
    assert vllm.low <= 311.6 <= vllm.high
    assert vllm.high < 2 * vllm.low


def test_vllm_on_cards_of_which_no_run_was_seen_has_wide_ends() -> None:
    seen, unseen = (
        pace(machine_with(name, 24), "qwen2.5-1.5b-instruct", "bfloat16", "vllm")
        for name in ("NVIDIA GeForce RTX 4090", "AMD Radeon RX 7900 XTX")
    )
    assert unseen.high / unseen.low > 1.5 * seen.high / seen.low


def steps_of(model: str, parameters: int, program: str) -> list[Step]:
    """One token of a model with so many active parameters, in three quantizations of a program."""
    shelf = open_catalogue()
    architecture, runtime = shelf.spec(model).architecture, shelf.runtime(program)
    return [
        Step(
            architecture=architecture,
            read_bytes={quantization: int(size * parameters)},
            foreign=runtime.id,
            replays=runtime.replays_graphs,
            launched_layers=launched_layers(architecture, runtime, quantization),
        )
        for quantization, size in (("bfloat16", 2), ("nf4", 0.55), ("int8", 1))
    ]


@pytest.mark.parametrize("program", ["transformers", "vllm"])
def test_the_ends_of_a_step_are_in_order(program: str) -> None:
    """Dense, and of 128 experts."""
    cards = [
        machine_with(name, 24).accelerators or ()
        for name in (
            "NVIDIA A100-SXM4-80GB",
            "NVIDIA GeForce RTX 4090",
            "Tesla T4",
            "NVIDIA L40S",
            "AMD Radeon RX 7900 XTX",
        )
    ]
    gpus = [gpu for (card,) in cards if (gpu := gpu_of(card)) is not None]
    models = {"qwen2.5-0.5b-instruct": 494_032_768, "qwen3-30b-a3b": 3 * 10**9}
    steps = [step for model, size in models.items() for step in steps_of(model, size, program)]
    assert len(gpus) == len(cards)
    for gpu in gpus:
        for step in steps:
            slow, likely, fast = gpu.seconds(step)
            assert slow >= likely >= fast
