"""Prompts where a GPU lacks room for all weights, held against runs that others published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfhost import Workload, check
from selfhost.judge.record import Verdict
from selfhost.machine.gpus import link_bytes_per_second

SPLIT = Path(__file__).parents[1] / "truth" / "speed_split.json"
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


def asked(model: str, gpu: str, **work: Any) -> Verdict:
    return check(model, Workload(runtime="llama.cpp", **work), machine=gpu)


def test_an_answer_with_experts_in_ram_begins_after_what_users_saw() -> None:
    """An RTX 2060 with 6 GB of memory read prompts of Qwen3.6 35B-A3B at 287 to 326 tokens a second (ggml-org/llama.cpp#22673)."""
    verdict = asked("qwen3.6-35b-a3b", "rtx 2060 6gb 32gb", prompt_tokens=2048)
    assert verdict.speed is not None
    prompt, wait = verdict.speed.prompt, verdict.speed.first_token_seconds
    assert prompt is not None
    assert wait is not None
    assert prompt.low < 287 < 326 < prompt.high
    assert wait.low < 2048 / 326 < 2048 / 287 < wait.high


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
