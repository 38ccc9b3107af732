"""Text that Python launches layer by layer on a GPU, or a graph that is replayed: published runs of Transformers and vLLM, and laws."""

from __future__ import annotations

import pytest

from helpers.desktops import machine_with
from selfhost.catalogue.opened import open_catalogue
from selfhost.core.workload import Workload
from selfhost.judge.judging import judge
from selfhost.judge.pace.speed import PaceRange
from selfhost.judge.question import ask
from selfhost.machine.record import Machine


def pace(machine: Machine, model: str, quantization: str, runtime: str) -> PaceRange:
    workload = Workload(quantization=quantization, runtime=runtime, context_tokens=2048)
    catalogue = open_catalogue()
    judged = judge(ask(catalogue.spec(model), workload, catalogue, machine), machine)
    assert judged.speed is not None
    assert judged.speed.decode is not None
    return judged.speed.decode


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
