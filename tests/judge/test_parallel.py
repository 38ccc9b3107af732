"""Many requests at once, against what other people published (`truth/speed_parallel.json`)."""

from __future__ import annotations

import itertools
import json
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from selfhost import Verdict, Workload, check
from selfhost.catalogue.opened import open_catalogue
from selfhost.judge.pace.speed import PaceRange
from selfhost.judge.placement.experts import layers_with_experts
from selfhost.judge.record import Route

TRUTH = Path(__file__).parents[1] / "truth"


def has_experts(spec_id: str) -> bool:
    return bool(layers_with_experts(open_catalogue().spec(spec_id).architecture))


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


@pytest.mark.parametrize(
    ("quantization", "seen"), [("fp8", 4131.1), ("w8a8", 3184.4), ("gptq-8bit", 3534.4)]
)
def test_packed_weights_have_a_total_in_vllm(quantization: str, seen: float) -> None:
    """AccelMark on an A100 of 80 GB: 100 at once of Llama 3.1 8B in FP8, W8A8 and W8A16."""
    workload = Workload(quantization=quantization, runtime="vllm", parallel=100, context_tokens=650)
    total = total_of(check("llama-3.1-8b-instruct", workload, machine="a100 sxm 80gb"))
    assert total is not None
    assert total.low < seen < total.high


def test_the_program_limits_small_models() -> None:
    """vLLM served 200 at once of a model of 0.5B with 5,000 (T4) to 18,000 tokens/s (H100): not much faster than one of 8B."""
    for machine, seen in (("rtx 4090", 11_326), ("h100 80gb sxm", 18_130), ("l4", 7_155)):
        workload = Workload(
            quantization="bfloat16", runtime="vllm", parallel=200, context_tokens=512
        )
        total = total_of(check("qwen2.5-0.5b-instruct", workload, machine=machine))
        assert total is not None
        assert total.low < seen < total.high


def test_a_server_chooses_each_token_on_one_core() -> None:
    """llama-server on an RTX 3060 gave 1,396 tokens/s to 128 requests of a model of 1.5B, where the GPU alone would do 7,500."""
    workload = Workload(
        quantization="Q4_K_M", runtime="llama.cpp", parallel=128, context_tokens=512
    )
    total = total_of(check("qwen2.5-coder-1.5b-instruct", workload, machine="rtx 3060 12gb"))
    assert total is not None
    assert total.low < 1396 < total.high
    assert total.likely < 3500


@pytest.mark.parametrize("runtime", ["vllm", "sglang", "transformers"])
@pytest.mark.parametrize("typed", ["fp16", "F16", "float16", "half", "bf16"])
def test_16_bits_are_16_bits(typed: str, runtime: str) -> None:
    """A program that loads bfloat16 loads it as float16 too (`--dtype half`), of the same size."""
    workload = Workload(quantization=typed, runtime=runtime)
    answer = check("llama-3.1-8b-instruct", workload, machine="rtx 3090")
    plain = check("llama-3.1-8b-instruct", Workload(runtime=runtime), machine="rtx 3090")
    assert answer.needs is not None
    assert answer.needs == plain.needs


def test_several_gpus_that_share_every_layer_have_a_total_and_a_first_token() -> None:
    """Two read a prompt sooner than one, and never in half the time, for they add up what they make of it."""
    asked = Workload(
        quantization="awq", runtime="vllm", parallel=8, prompt_tokens=2048, context_tokens=2560
    )
    waits, totals = [], []
    for machine in ("rtx 3090", "2x rtx 3090", "4x rtx 3090"):
        speed = check("qwen3-32b", asked, machine=machine).speed
        assert speed is not None
        assert speed.first_token_seconds is not None
        assert speed.parallel_total is not None
        waits.append(speed.first_token_seconds.likely)
        totals.append(speed.parallel_total.likely)
    for more, fewer in itertools.pairwise(reversed(waits)):
        assert more < fewer < 2 * more
    for fewer, more in itertools.pairwise(totals):
        assert fewer < more < 2 * fewer


@cache
def compared_on_several() -> list[tuple[dict[str, Any], PaceRange]]:
    """The runs of `speed_tensor_parallel.json`, where as many GPUs are judged as ran it."""
    document = json.loads((TRUTH / "speed_tensor_parallel.json").read_text(encoding="utf-8"))
    pairs = []
    for values in document["rows"]:
        row = dict(zip(document["columns"], values, strict=True))
        workload = Workload(
            quantization=row["quantization"],
            runtime={"tensorrt-llm": "vllm"}.get(row["program"], row["program"]),
            parallel=row["sequences"],
            context_tokens=max(512, row["prompt_tokens"] + row["generated_tokens"]),
        )
        verdict = check(row["spec"], workload, machine=row["device"])
        total, needs = total_of(verdict), verdict.needs
        assert needs is not None
        assert needs.memory is not None
        gpus_used = [place for place in needs.memory.places if place.where != "host"]
        number = row["device"].split()[0].removesuffix("x")
        if total is not None and number == str(len(gpus_used)):
            pairs.append((row, total))
    return pairs


@pytest.mark.parametrize(
    # one in ten of mixtures is faster: gpt-oss-120b and Mixtral 8x7B on H100 and H200
    ("is_mixture", "least_inside", "off"),
    [(False, 0.9, 0.15), (True, 0.85, 0.4)],
)
def test_totals_of_several_gpus_that_others_published_lie_inside(
    is_mixture: bool, least_inside: float, off: float
) -> None:
    """Where growing with the experts that several sequences choose was counted of the whole time of a step, a mixture on eight GPUs was told a sixth of what it reaches."""
    pairs = [pair for pair in compared_on_several() if has_experts(pair[0]["spec"]) == is_mixture]
    assert len(pairs) > 30
    inside = [total.low <= row["tokens_per_second"] <= total.high for row, total in pairs]
    assert sum(inside) >= least_inside * len(inside)
    reached = [row["tokens_per_second"] / total.likely for row, total in pairs]
    assert median(reached) == pytest.approx(1, abs=off)


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


def test_sequences_on_a_mac_whose_limit_is_raised_have_a_total() -> None:
    """`gpt-oss-120b --machine 'macbook pro m4 max 64gb' --parallel 2 --min-speed 3` was not known, beside 79 tokens/s."""
    workload = Workload(parallel=2, min_tokens_per_second=3, prompt_tokens=512)
    verdict = check("gpt-oss-120b", workload, machine="macbook pro m4 max 64gb")
    assert verdict.route is Route.LOCAL
    assert verdict.speed is not None
    assert verdict.speed.first_token_seconds is not None
