"""Several sequences at once, and the time to the first token: laws, and published runs."""

from __future__ import annotations

import pytest

from helpers.paths import RECORDS
from selfhost.api import check, rank
from selfhost.catalogue.index import Catalogue
from selfhost.cli.main import main
from selfhost.core.errors import WorkloadError
from selfhost.core.workload import Workload
from selfhost.machine.reader import Machine

MACHINE = Machine.from_file(RECORDS / "vm-24gib.json")


def test_check_tells_both_where_asked() -> None:
    """Nothing is told that was not asked; both are there once they are."""
    plain = check("mistral-7b", machine=MACHINE).speed
    asked = check("mistral-7b", Workload(prompt_tokens=2000, parallel=4), machine=MACHINE).speed
    assert plain is not None
    assert asked is not None
    assert (plain.first_token_seconds, plain.parallel_total) == (None, None)
    assert asked.first_token_seconds is not None
    assert asked.parallel_total is not None
    assert asked.decode is not None
    assert asked.prompt is not None
    assert asked.first_token_seconds.likely >= 2000 / asked.prompt.likely
    assert asked.decode.likely < asked.parallel_total.likely < 4 * asked.decode.likely
    assert "estimate" in asked.how


def test_what_a_full_context_leaves_of_the_pace_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Llama 3.1 8B was said to run at 6.7 tokens/s with 131,072 tokens of context, of which 0.3 are left once these are in use; of the default context nothing is told."""
    speed = check("llama-3.1-8b", Workload(context_tokens=131_072), machine=MACHINE).speed
    assert speed is not None
    assert speed.decode is not None
    full = speed.full_context_tokens_per_second
    assert full is not None
    assert full < speed.decode.likely / 4
    on = ["--machine", "rtx 3090"]
    assert main(["check", "llama-3.1-8b", "--context", "128k", "--min-speed", "60", *on]) == 0
    (line,) = (each for each in capsys.readouterr().out.splitlines() if "are in use" in each)
    assert "131,072" in line
    assert line.endswith("below the 60 you need")
    assert main(["check", "llama-3.1-8b", *on]) == 0
    assert "are in use" not in capsys.readouterr().out


@pytest.mark.parametrize("tokens", [4096, 8000])
def test_a_prompt_that_fills_the_stated_context_is_refused(tokens: int) -> None:
    """It cannot be read and answered; a context that holds both is named, and is accepted."""
    with pytest.raises(
        WorkloadError, match="no room for an answer in a context of 4,096"
    ) as caught:
        check("mistral-7b", Workload(prompt_tokens=tokens, context_tokens=4096), machine=MACHINE)
    remedy = caught.value.problems[0].remedy or ""
    enough = Workload(prompt_tokens=tokens, context_tokens=int(remedy.split()[1]))
    speed = check("mistral-7b", enough, machine=MACHINE).speed
    assert speed is not None
    assert speed.first_token_seconds is not None


def test_a_prompt_takes_the_context_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a context the default grows with the prompt and an answer, and the answer says so; Mistral 7B v0.3 was trained for 32,768 tokens, so that 100,000 are beyond it."""
    verdict = check("mistral-7b", Workload(prompt_tokens=8000), machine=MACHINE)
    assert 8000 + 360 <= (verdict.workload.context_tokens or 0) < 8000 + 360 + 256
    assert verdict.speed is not None
    assert verdict.speed.first_token_seconds is not None
    assert any("for the prompt and an answer" in note for note in verdict.notes)
    short = check("mistral-7b", Workload(prompt_tokens=2000), machine=MACHINE)
    assert short.workload.context_tokens == 4096
    beyond = check("mistral-7b", Workload(prompt_tokens=100_000), machine=MACHINE)
    context = beyond.finding("context")
    assert context is not None
    assert context.code == "context-too-long"
    assert not beyond.can_run
    monkeypatch.setattr(Catalogue, "ids", lambda _: (beyond.model.id, "opt-125m"))
    rows = rank(Workload(prompt_tokens=8000), machine=MACHINE).models
    listed = [row.context_tokens for row in rows if row.model.id == beyond.model.id]
    assert listed == [verdict.workload.context_tokens]


@pytest.mark.parametrize("prompt", [512, 8192, 30720])
@pytest.mark.parametrize("sequences", [1, 8])
@pytest.mark.parametrize(
    ("machine", "gb_per_s", "runtime", "quantization", "weights_bytes"),
    [
        # NVIDIA: 3.35 TB/s of an H100 SXM, 1,008 GB/s of an RTX 4090; 8.03 x 10^9 weights in 16 bits
        ("H100 80GB HBM3", 3350, "vllm", "bfloat16", 16.06e9),
        ("rtx 4090 64gb", 1008, "llama.cpp", "Q4_K_M", 4.5e9),
        ("i5-12400 2x32gb ddr4-3200", 51.2, "llama.cpp", "Q4_K_M", 4.5e9),
    ],
)
def test_behind_a_stated_prompt_each_step_reads_what_the_prompt_left(
    machine: str,
    gb_per_s: float,
    runtime: str,
    quantization: str,
    weights_bytes: float,
    sequences: int,
    prompt: int,
) -> None:
    """Llama 3.1 8B keeps 128 KiB a token (32 layers of 8 keys and values of 128 numbers of 16 bits); the weights are read
    once. Eight sequences of 30,720 tokens were told at half as much again as the memory gives.
    """
    workload = Workload(
        prompt_tokens=prompt,
        context_tokens=32768,
        parallel=sequences,
        runtime=runtime,
        quantization=quantization,
        min_tokens_per_second=1,
    )
    speed = check("llama-3.1-8b", workload, machine=machine).speed
    assert speed is not None
    assert speed.judged is not None
    read = weights_bytes + sequences * prompt * 128 * 1024
    assert speed.judged.high * read <= gb_per_s * 1e9
