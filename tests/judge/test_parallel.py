"""Many requests at once, against what other people published (`truth/speed_parallel.json`)."""

from __future__ import annotations

import pytest

from selfhost import Verdict, Workload, check
from selfhost.judge.pace.speed import PaceRange
from selfhost.judge.record import Route


def total_of(verdict: Verdict) -> PaceRange | None:
    return None if verdict.speed is None else verdict.speed.parallel_total


def test_a_chip_that_shares_the_ram_is_no_card() -> None:
    """vLLM on a Ryzen AI Max+ 395: 8 at once of a Llama 2 7B in 16 bits 49 tokens/s, 16 at once 72 (lhl/strix-halo-testing)."""
    for sequences, seen in ((8, 49), (16, 72)):
        workload = Workload(
            quantization="float16", runtime="vllm", parallel=sequences, context_tokens=512
        )
        total = total_of(check("llama-2-7b-chat", workload, machine="ryzen ai max+ 395 128gb"))
        assert total is not None
        assert total.low < seen


@pytest.mark.parametrize("runtime", ["vllm", "sglang", "transformers"])
@pytest.mark.parametrize("typed", ["fp16", "F16", "float16", "half", "bf16"])
def test_16_bits_are_16_bits(typed: str, runtime: str) -> None:
    """A program that loads bfloat16 loads it as float16 too (`--dtype half`), of the same size."""
    workload = Workload(quantization=typed, runtime=runtime)
    answer = check("llama-3.1-8b-instruct", workload, machine="rtx 3090")
    plain = check("llama-3.1-8b-instruct", Workload(runtime=runtime), machine="rtx 3090")
    assert answer.needs is not None
    assert answer.needs == plain.needs


def test_one_gpu_that_is_too_slow_leaves_it_to_all_of_them() -> None:
    """Llama 3.3 70B in 16 bits fits one of eight B200, which is below 60 tokens/s; whoever has eight starts vLLM on all."""
    asked = Workload(runtime="vllm", quantization="bfloat16")
    alone = check("llama-3.3-70b", asked, machine="server-8x-b200")
    fast = check("llama-3.3-70b", asked.replace(min_tokens_per_second=60), machine="server-8x-b200")
    assert alone.route is fast.route is Route.LOCAL
    gpus_used = [
        len([place for place in each.needs.memory.places if place.where != "host"])
        for each in (alone, fast)
        if each.needs is not None and each.needs.memory is not None
    ]
    assert gpus_used == [1, 8]
    assert any("--tensor-parallel-size 8" in line for line in fast.commands)


@pytest.mark.parametrize(
    ("model", "machine", "parallel"),
    [
        ("llama-3.1-70b", "8x b200", 16),
        ("llama-3.1-8b", "2x rtx 3090", 1),
        ("qwen3-30b-a3b", "4x h100", 16),
    ],
)
def test_who_wants_more_is_never_told_yes_where_who_wants_less_is_not(
    model: str, machine: str, parallel: int
) -> None:
    """One of eight GPUs that is too close to call left the other seven unused: 40 tokens/s were open, and 45 ran. Too slow on all is told of all."""
    asked = Workload(runtime="vllm", parallel=parallel)
    routes, paces = [], []
    for wanted in (5, 20, 30, 40, 45, 50, 60, 70, 80, 100, 200, 1000):
        verdict = check(model, asked.replace(min_tokens_per_second=wanted), machine=machine)
        routes.append([Route.LOCAL, Route.UNKNOWN, Route.API].index(verdict.route))
        assert verdict.speed is not None
        assert verdict.speed.judged is not None
        paces.append(verdict.speed.judged.likely)
    assert routes == sorted(routes)
    assert paces == sorted(paces)
