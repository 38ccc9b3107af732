"""More accelerators than llama.cpp computes on.

Its scheduler takes 16 backends, of which one is the processor: "16 (15 GPUs + 1 CPU)"
(ollama/ollama#8920; ggml-org/llama.cpp#11433 with 16 GPUs). `-sm tensor` makes one device of at
most 16 GPUs. With more than 16 in sight ggml's CUDA code aborts when it starts (ggml_cuda_init).
"""

from __future__ import annotations

import pytest

from selfhost import Workload, check, size
from selfhost.judge.record import Verdict
from selfhost.reports.container_files import container_file

# 22.9 GiB each for programs
CARD = "RTX 3090"


def judged(cards: int, runtime: str = "llama.cpp", **options: str) -> Verdict:
    """A model of 243 GB on so many cards, with these options of the program."""
    workload = Workload(runtime=runtime, quantization="Q4_K_M", runtime_options=options)
    return check("llama-3.1-405b", workload, machine=f"{cards}x {CARD} 512GB ram")


def cards_used(verdict: Verdict) -> set[str]:
    """The accelerators on which something lies."""
    assert verdict.needs is not None
    return {term.where for term in verdict.needs.terms} - {"host"}


def numbers_below(count: int) -> str:
    """`0,1,2` and so on, as a variable names the cards that are seen."""
    return ",".join(str(number) for number in range(count))


@pytest.mark.parametrize(
    ("cards", "options", "used"),
    [
        pytest.param(15, {}, 15, id="as many as the scheduler takes"),
        pytest.param(16, {}, 15, id="one more"),
        pytest.param(24, {}, 15, id="more than CUDA's code takes"),
        pytest.param(24, {"sm": "layer"}, 15, id="by layers"),
        pytest.param(16, {"sm": "tensor"}, 16, id="all of 16 by tensors"),
        pytest.param(24, {"sm": "tensor"}, 16, id="16 of 24 by tensors"),
        pytest.param(24, {"ngl": "999"}, 15, id="stated layers"),
    ],
)
def test_no_more_accelerators_are_used_than_llamacpp_takes(
    cards: int, options: dict[str, str], used: int
) -> None:
    """The first ones, for the command hides the others; by tensors each of them has a part."""
    verdict = judged(cards, **options)
    assert verdict.can_run
    allowed = {f"accelerator:{number}" for number in range(used)}
    assert cards_used(verdict) <= allowed
    if options.get("sm") == "tensor":
        assert cards_used(verdict) == allowed


@pytest.mark.parametrize(
    ("cards", "options", "seen"),
    [
        pytest.param(15, {"sm": "layer"}, None, id="all are seen"),
        pytest.param(16, {"sm": "layer"}, 15, id="by layers"),
        pytest.param(24, {"sm": "layer"}, 15, id="by layers of more"),
        pytest.param(16, {"sm": "tensor"}, None, id="all are seen by tensors"),
        pytest.param(24, {"sm": "tensor"}, 16, id="by tensors"),
        pytest.param(24, {"sm": "none"}, 15, id="one alone"),
    ],
)
def test_the_command_hides_the_others(
    cards: int, options: dict[str, str], seen: int | None
) -> None:
    """It would abort as soon as it sees them."""
    verdict = judged(cards, **options)
    command = verdict.commands[-1]
    if seen is None:
        assert "VISIBLE" not in command
        return
    numbers = numbers_below(seen)
    assert command.startswith(f"CUDA_VISIBLE_DEVICES={numbers} llama-server ")


@pytest.mark.parametrize(
    ("quantization", "runs"),
    [
        # 243 GB of files, and 431 GB: Meta's 405.9 billion parameters in 4.8 and 8.5 bits
        pytest.param("Q4_K_M", True, id="what 15 hold"),
        pytest.param("Q8_0", False, id="what 24 would hold"),
    ],
)
def test_memory_beyond_what_is_used_does_not_count(
    quantization: str, runs: bool
) -> None:
    """15 GPUs give programs 344 GiB, 24 would give 550, and the RAM holds 32."""
    workload = Workload(runtime="llama.cpp", quantization=quantization)
    verdict = check("llama-3.1-405b", workload, machine=f"24x {CARD} 32gb ram")
    assert verdict.can_run is runs


def test_ollama_chooses_among_the_first_fifteen() -> None:
    """Of itself, so that its command hides none."""
    verdict = judged(24, runtime="ollama")
    assert len(cards_used(verdict)) <= 15
    for command in verdict.commands:
        assert "VISIBLE" not in command


@pytest.mark.parametrize("kind", ["kubernetes", "compose", "docker", "systemd"])
def test_a_file_of_size_hides_what_the_command_hides(kind: str) -> None:
    """A service sees all GPUs of its machine, and aborted where these are more than 16."""
    workload = Workload(runtime="llama.cpp", quantization="Q4_K_M")
    sized = size("llama-3.1-405b", workload, machine=f"24x {CARD} 512GB ram")
    assert numbers_below(15) in container_file(kind, [sized])
    few = size("llama-3.1-405b", workload, machine=f"15x {CARD} 512GB ram")
    assert "VISIBLE" not in container_file(kind, [few])
