"""Prompts where a GPU lacks room for all weights, held against runs that others published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfhost import Workload, check
from selfhost.catalogue.opened import open_catalogue
from selfhost.judge.pace.batch import Experts, total_beside_ram
from selfhost.judge.pace.prompt_copies import copied_per_second, copies_of, faster_in_batches
from selfhost.judge.pace.speed import PaceRange, PromptCopies
from selfhost.judge.record import Verdict
from selfhost.machine import gpus
from selfhost.machine.gpus import link_bytes_per_second

SPLIT = Path(__file__).parents[1] / "truth" / "speed_split.json"
CARD = "NVIDIA GeForce RTX 3060"
COMPUTED = PaceRange(low=1000.0, likely=2000.0, high=3000.0)
GB = 10**9
_PACES = ("prompt_per_second", "decode_per_second")


def rows(**wanted: Any) -> list[dict[str, Any]]:
    document = json.loads(SPLIT.read_text(encoding="utf-8"))
    named = (dict(zip(document["columns"], row, strict=True)) for row in document["rows"])
    return [row for row in named if wanted.items() <= row.items()]


@pytest.mark.parametrize(
    ("card", "gb_per_s"),
    [
        # PCI-SIG: 8 and 16 GT/s a lane in 128 of 130 bits
        ("NVIDIA GeForce GTX 1080 Ti", 15.75),
        ("NVIDIA GeForce RTX 4060", 15.75),
        ("NVIDIA GeForce RTX 3090", 31.5),
        ("AMD Radeon RX 6500 XT", 7.88),
        ("Intel Arc B580 Graphics", 15.75),
        ("NVIDIA GeForce RTX 5090", 63.0),
    ],
)
def test_the_link_of_a_card_carries_what_its_version_and_lanes_do(
    card: str, gb_per_s: float
) -> None:
    link = link_bytes_per_second(card)
    assert link == pytest.approx(gb_per_s * 1e9, rel=0.01)


def test_what_crosses_a_known_link_is_known_more_closely() -> None:
    """A card that no table names may have any of them."""
    slow, _, fast = copied_per_second([CARD])
    slowest, _, fastest = copied_per_second(["Some Accelerator 9000"])
    assert fast / slow < fastest / slowest
    # no card beside an older link is any faster for the one that has a newer
    assert copied_per_second([CARD, "NVIDIA GeForce RTX 2060"]) == copied_per_second(
        ["NVIDIA GeForce RTX 2060"]
    )


def test_weights_that_all_cross_are_no_faster_than_the_link() -> None:
    """Of a mixture the experts that no token of a batch chose stay where they are."""
    link = link_bytes_per_second(CARD)
    assert link is not None
    assert copied_per_second([CARD], has_experts=False)[2] <= link < copied_per_second([CARD])[2]


@pytest.mark.parametrize(
    ("device", "backend", "cpu_moe"),
    [("RX 6700 XT", "vulkan", 40), ("Quadro RTX 5000", "cuda", 40)],
)
def test_more_experts_in_ram_cost_as_much_more_time_as_was_seen(
    device: str, backend: str, cpu_moe: int
) -> None:
    """Qwen3 30B-A3B in Q4_K_M: each of its 48 layers has 0.36 GB of experts (128 x 3 x 2,048 x 768 values in 4.85 bits)."""
    of_device = [
        row
        for row in rows(device=device, backend=backend, ubatch=512, spec="qwen3-30b-a3b")
        if isinstance(row["cpu_moe"], int) and row["prompt_per_second"]
    ]
    most = next(row for row in of_device if row["cpu_moe"] == cpu_moe)
    fewest = min(of_device, key=lambda row: row["cpu_moe"])
    more_bytes = (cpu_moe - fewest["cpu_moe"]) * 128 * 3 * 2048 * 768 * 4.85 / 8
    seen = 512 / most["prompt_per_second"] - 512 / fewest["prompt_per_second"]
    name = next(card.name for card in gpus.cards() if card.name.endswith(device))
    copies = copies_of(COMPUTED, int(more_bytes), 0.0, copied_per_second([name]))
    slow, _, fast = copies.seconds
    assert fast < seen < slow


def test_a_prompt_takes_a_whole_batch_of_crossing_however_short() -> None:
    copies = copies_of(COMPUTED, 10 * GB, 0.0, copied_per_second([CARD]))
    assert copies.seconds_for(100) == copies.seconds_for(512) == copies.seconds
    assert copies.seconds_for(513) == tuple(2 * each for each in copies.seconds)
    # as many tokens in batches four times as large cross a quarter as often: `-ub 2048`
    assert copies.replace(batch_tokens=2048).seconds_for(2048) == copies.seconds
    assert copies.pace.likely < COMPUTED.likely
    assert copies.pace.low <= copies.pace.likely <= copies.pace.high


def test_the_cache_of_layers_in_ram_crosses_too() -> None:
    """Half of the prompt stands before a token of it."""
    plain, cached = (copies_of(COMPUTED, GB, each, (10e9, 10e9, 10e9)) for each in (0.0, 100_000.0))
    more = cached.seconds_for(10_240)[1] - plain.seconds_for(10_240)[1]
    assert more == pytest.approx(20 * 10_240 / 2 * 100_000 / 10e9)


def asked(model: str, gpu: str, **work: Any) -> Verdict:
    return check(model, Workload(runtime="llama.cpp", **work), machine=gpu)


def copies_in(verdict: Verdict) -> PromptCopies | None:
    return None if verdict.speed is None else verdict.speed.prompt_copies


def test_an_answer_with_experts_in_ram_begins_after_what_users_saw() -> None:
    """An RTX 2060 with 6 GB of memory read prompts of Qwen3.6 35B-A3B at 287 to 326 tokens a second (ggml-org/llama.cpp#22673)."""
    verdict = asked("qwen3.6-35b-a3b", "rtx 2060 6gb 32gb", prompt_tokens=2048)
    assert verdict.speed is not None
    prompt, wait = verdict.speed.prompt, verdict.speed.first_token_seconds
    assert prompt is not None
    assert wait is not None
    assert prompt.low < 287 < 326 < prompt.high
    assert wait.low < 2048 / 326 < 2048 / 287 < wait.high


def test_a_few_tokens_are_read_without_what_crosses() -> None:
    """llama.cpp hands no batch of fewer than 32 to the GPU (GGML_OP_OFFLOAD_MIN_BATCH)."""
    few, more = (
        asked("qwen3.6-35b-a3b", "rtx 2060 6gb 32gb", prompt_tokens=tokens).speed
        for tokens in (8, 64)
    )
    assert few is not None
    assert more is not None
    assert few.first_token_seconds is not None
    assert more.first_token_seconds is not None
    copies = few.prompt_copies
    assert copies is not None
    assert few.first_token_seconds.likely < copies.seconds[1] < more.first_token_seconds.likely


def test_the_weights_in_ram_are_read_once_for_a_few_tokens() -> None:
    """As for all sequences of a batch: no token of it costs a step of its own, and none is read in less than one."""
    one, many = (
        asked("llama-3.3-70b", "rtx 4090 128gb", prompt_tokens=tokens).speed for tokens in (1, 20)
    )
    assert one is not None
    assert many is not None
    assert one.decode is not None
    assert many.first_token_seconds is not None
    assert one.first_token_seconds is not None
    wait = many.first_token_seconds
    assert one.first_token_seconds.likely < wait.likely < 20 / one.decode.likely / 2
    assert wait.low < wait.likely < wait.high <= 21 / one.decode.low


def test_a_last_batch_of_a_few_tokens_crosses_no_more_than_such_a_prompt() -> None:
    """llama.cpp cuts a prompt of 520 tokens in 512 and 8, and looks at each batch by itself."""
    one, few, more = (
        asked("qwen3.6-35b-a3b", "rtx 2060 6gb 32gb", prompt_tokens=tokens).speed
        for tokens in (512, 520, 560)
    )
    assert one is not None
    assert few is not None
    assert more is not None
    assert one.prompt_copies is not None
    waits = [each.first_token_seconds for each in (one, few, more)]
    assert waits[0] is not None
    assert waits[1] is not None
    assert waits[2] is not None
    crossing = one.prompt_copies.seconds[1]
    assert waits[0].likely < waits[1].likely < waits[0].likely + crossing / 2
    assert waits[2].likely > waits[0].likely + crossing


def test_nothing_crosses_for_a_model_that_the_gpu_holds() -> None:
    assert copies_in(asked("mistral-7b", "rtx 3060 12gb 32gb", prompt_tokens=512)) is None


@pytest.mark.parametrize(
    ("runtime", "option"),
    [
        ("llama.cpp", "-ub 2048 "),
        # its command line has no option: num_batch is both of llama-server's (llm/llama_server.go)
        ("ollama", "num_batch 2048 "),
        # n_ubatch is at most n_batch (llama_cpp/llama.py)
        ("llama-cpp-python", "n_batch=2048, n_ubatch=2048 "),
    ],
)
def test_larger_batches_are_advised_in_the_words_of_each_program(runtime: str, option: str) -> None:
    """Ollama's users were told `-ub 2048`. The same prompts in batches of 2,048 were read 1.8 to 3.1 times as fast as in those of 512 where weights lay in RAM."""
    machine = "rtx 3060 12gb 32gb"
    verdict = check("qwen3.6-35b-a3b", Workload(runtime=runtime), machine=machine)
    (line,) = (each for each in verdict.advice if "times as fast" in each)
    assert option in line
    assert verdict.speed is not None
    assert "-ub" not in verdict.speed.how
    seen = [
        large["prompt_per_second"] / small["prompt_per_second"]
        for small in rows(ubatch=512)
        for large in rows(ubatch=2048)
        if small["cpu_moe"] and small["prompt_per_second"]
        if all(small[key] == large[key] for key in small if key not in ("ubatch", *_PACES))
    ]
    assert len(seen) == 10
    times = float(line.partition(" times as fast")[0].rpartition(" ")[2])
    assert 0.9 * min(seen) <= times <= max(seen)


def test_a_program_without_that_option_gets_no_such_advice() -> None:
    copies = copies_of(COMPUTED, 10 * GB, 0.0, copied_per_second([CARD]))
    runtime = open_catalogue().runtime("llama.cpp")
    assert faster_in_batches(copies, runtime)
    assert faster_in_batches(copies, runtime.replace(batch_option="")) == ()
    # nor where little crosses
    assert faster_in_batches(copies.replace(seconds=(1e-3, 1e-3, 1e-3)), runtime) == ()


@pytest.mark.parametrize(
    ("model", "machine"),
    [("qwen3.6-35b-a3b", "rtx 3060 12gb 32gb"), ("llama-3.3-70b", "rtx 4090 128gb")],
)
def test_several_at_once_with_weights_in_ram_are_told_as_a_guess(model: str, machine: str) -> None:
    """A few tokens at once are computed where the weights lie, which are read once for all of them, and experts for each that chose others: more in all than one alone has, and less for each."""
    totals = []
    for sequences in (2, 4, 16):
        speed = asked(model, machine, parallel=sequences, context_tokens=1024).speed
        assert speed is not None
        assert speed.decode is not None
        assert speed.parallel_total is not None
        assert f"of {sequences} sequences at once a guess" in speed.how
        assert "by the processor" in speed.how
        total, one = speed.parallel_total, speed.decode
        assert one.likely < total.likely < sequences * one.likely
        assert total.low < total.likely < total.high
        totals.append(total.likely)
    assert totals == sorted(totals)


def test_from_32_at_once_weights_cross_to_the_gpu_for_each_step() -> None:
    """GGML_OP_OFFLOAD_MIN_BATCH of llama.cpp is 32: a step then takes what crossing does, and of a dense model that is all that lies in RAM."""
    for sequences, crosses in ((31, False), (32, True)):
        speed = asked(
            "llama-3.3-70b", "rtx 4090 128gb", parallel=sequences, context_tokens=1024
        ).speed
        assert speed is not None
        assert speed.parallel_total is not None
        assert speed.prompt_copies is not None
        step_seconds = sequences / speed.parallel_total.likely
        assert ("crosses for each step" in speed.how) is crosses
        if crosses:
            crossing = speed.prompt_copies.seconds[1]
            assert crossing < step_seconds < 2 * crossing


def test_of_a_mixture_the_experts_cross_that_a_token_chose() -> None:
    """A token chooses 8 of 128; 32 tokens leave about one in eight aside: (1 - 8 / 128)^32."""
    mixture = Experts(share=0.6, used=8, experts=128)
    assert mixture.chosen_by(1) == pytest.approx(8 / 128)
    assert 1 - mixture.chosen_by(32) == pytest.approx(0.127, abs=0.001)
    copies = copies_of(COMPUTED, 10 * GB, 0.0, (10e9, 10e9, 10e9))
    one = PaceRange(low=20.0, likely=20.0, high=20.0)
    of_mixture, of_dense = (
        total_beside_ram(one, one, copies, 32, experts) for experts in (mixture, Experts())
    )
    assert of_mixture is not None
    assert of_dense is not None
    assert of_mixture.likely > of_dense.likely


def test_without_a_pace_of_the_processor_the_total_is_not_known() -> None:
    copies = copies_of(COMPUTED, 10 * GB, 0.0, copied_per_second([CARD]))
    one = PaceRange(low=10.0, likely=20.0, high=30.0)
    assert copies.in_place is None
    assert total_beside_ram(one, one, copies, 4, Experts()) is None
