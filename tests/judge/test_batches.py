"""In batches of how many tokens a prompt is read: what Ollama takes by itself, and what llama.cpp
is told.
"""

from __future__ import annotations

import pytest

from helpers.machines import machine_with
from judge.small import memory_of
from selfhost import Verdict, Workload, check
from selfhost.machine.record import PresentRuntime
from selfhost.needs.records import Needs

MIB = 2**20


def batch_of(verdict: Verdict) -> int | None:
    assert verdict.needs is not None
    return verdict.needs.batch_tokens


@pytest.mark.parametrize(
    ("context_tokens", "machine", "batch"),
    [
        # server/sched_test.go@fb307609, TestAutomaticGenerationBatch: by the context
        pytest.param(4096, "RTX 4090, 32GB RAM", None, id="short context: 512"),
        pytest.param(32_768, "RTX 4090, 32GB RAM", 1024, id="medium context"),
        pytest.param(65_536, "RTX 5090, 32GB RAM", 2048, id="long context"),
        pytest.param(32_768, "32GB RAM, no GPU", 1024, id="without a GPU"),
        # 4.9 GB of file and 4.3 of cache
        pytest.param(32_768, "RTX 4060, 32GB RAM", None, id="little room"),
        # 4.9 GB of file and 8.6 of cache
        pytest.param(65_536, "RTX 5080, 32GB RAM", None, id="less room"),
    ],
)
def test_ollama_chooses_the_batch_by_context(
    context_tokens: int, machine: str, batch: int | None
) -> None:
    workload = Workload(runtime="ollama", context_tokens=context_tokens)
    found = batch_of(check("llama3.1:8b", workload, machine=machine))
    assert found == batch


def compute_by_place(verdict: Verdict) -> dict[str, int]:
    buffers = [term for term in memory_of(verdict).terms if term.name == "compute"]
    return {term.where: term.bytes for term in buffers}


def test_ollama_takes_small_batches_where_a_model_nearly_fills_the_gpu() -> None:
    """waired-ai/waired-agent#1038: Ollama 0.32.15 started -b 512 -ub 512 for 200,704 tokens of Qwen
    3.8 27B on 24 GB.
    """
    workload = Workload(runtime="ollama", context_tokens=200_704, kv_cache_type="q8_0")
    verdict = check("qwen3.8:27b", workload, machine="RTX 4090, 32GB RAM")
    assert batch_of(verdict) is None


def test_ollama_leaves_no_layer_in_ram_for_a_batch() -> None:
    """5p00kyy/club-5060ti#5: Ollama 0.32.14 reported 100 % on the GPUs."""
    workload = Workload(runtime="ollama", quantization="Q8_0", context_tokens=204_800)
    verdict = check("qwen3.8-27b", workload, machine="3x RTX 5060 Ti 16GB, 64GB RAM")
    assert verdict.needs is not None
    assert verdict.needs.placement == "accelerator"


def test_the_buffers_follow_the_batch() -> None:
    """ollama/ollama pull 16031, llm/llama_server_test.go: Qwen 3.6 27B with 262,144 tokens on two
    cards, in batches of 2,048. Logged were 9,952 and 6,276 MiB, and 8,272 in RAM, by a build that
    held logits of the whole batch (1,940 MiB) and masks of 32 bits; in 512 it would be 1,156 MiB.
    """
    workload = Workload(
        runtime="llama.cpp",
        context_tokens=262_144,
        runtime_options={"b": "2048", "ub": "2048", "sm": "layer"},
    )
    verdict = check("qwen3.6:27b", workload, machine="RTX 5090, RTX 3090, 64GB RAM")
    found = compute_by_place(verdict)
    assert 4000 * MIB < found["accelerator:0"] < 9952.25 * MIB
    assert 4000 * MIB < found["accelerator:1"] < 6276.28 * MIB
    # four copies of a mask of 16 bits, and embeddings: in the logged build a mask had 32 bits
    logged = 8272.31 * MIB
    assert found["host"] == pytest.approx(logged - 4 * 2048 * 262_144 * 2, rel=0.01)


def test_the_answer_says_in_which_batches_a_prompt_is_read() -> None:
    workload = Workload(runtime="ollama", context_tokens=32_768)
    verdict = check("llama3.1:8b", workload, machine="RTX 4090, 32GB RAM")
    (note,) = (note for note in verdict.fine_print if "1,024 tokens" in note)
    assert "Ollama chooses" in note
    # and nothing has to be typed for it
    assert "ollama run llama3.1:8b" in verdict.commands[-1]


@pytest.mark.parametrize(
    ("version", "batch"),
    [
        pytest.param("0.24.0", None, id="its own engine"),
        pytest.param("0.32.1", 1024, id="since"),
    ],
)
def test_an_older_ollama_has_no_such_rule(version: str, batch: int | None) -> None:
    installed = (PresentRuntime(id="ollama", version=version),)
    machine = machine_with("NVIDIA GeForce RTX 4090", runtimes=installed)
    workload = Workload(runtime="ollama", context_tokens=32_768)
    assert batch_of(check("llama3.1:8b", workload, machine=machine)) == batch


def test_an_embedding_model_gets_larger_batches_in_ollama() -> None:
    """DefaultEmbeddingNumBatch is 2,048: a row of logits and a vector of each token are kept."""
    machine = "RTX 4090, 32GB RAM"
    sizes = []
    for runtime in ("ollama", "llama.cpp"):
        workload = Workload(runtime=runtime, context_tokens=8192)
        memory = memory_of(check("qwen3-embedding-0.6b", workload, machine=machine))
        sizes.append(sum(term.bytes for term in memory.terms if term.name == "runtime"))
    assert sizes[0] - sizes[1] > (2048 - 512) * 151_669 * 4


EXPERTS_IN_RAM = "RTX 4060, 32GB RAM"


def test_experts_in_ram_are_read_in_the_largest_batch_that_has_room() -> None:
    """People with experts in RAM set -b and -ub to 2,048 or 4,096 (ggml-org/llama.cpp#21874,
    noonghunna/club-3090): the experts cross to the GPU once for each batch. The memory, the wait
    and the command are those of the same batch.
    """
    asked = Workload(runtime="llama.cpp", context_tokens=8192, prompt_tokens=4000)
    told = check("qwen3-30b-a3b", asked, machine=EXPERTS_IN_RAM)
    usual = check(
        "qwen3-30b-a3b",
        asked.replace(runtime_options={"ub": "512"}),
        machine=EXPERTS_IN_RAM,
    )
    assert told.needs is not None
    assert told.needs.placement == "split"
    assert batch_of(told) in (2048, 4096)
    assert f"-b {batch_of(told)} -ub {batch_of(told)}" in "\n".join(told.commands)
    assert told.speed is not None
    assert told.speed.first_token_seconds is not None
    assert usual.speed is not None
    assert usual.speed.first_token_seconds is not None
    assert (
        told.speed.first_token_seconds.likely
        < usual.speed.first_token_seconds.likely / 2
    )
    assert (
        compute_by_place(told)["accelerator:0"]
        > compute_by_place(usual)["accelerator:0"]
    )
    assert told.speed.decode is not None
    assert usual.speed.decode is not None
    assert told.speed.decode.likely > usual.speed.decode.likely / 1.1


@pytest.mark.parametrize(
    ("model", "machine", "options", "words"),
    [
        pytest.param(
            "qwen3-30b-a3b", EXPERTS_IN_RAM, {"ub": "1024"}, "-ub 1024", id="asked for"
        ),
        pytest.param(
            "qwen3-30b-a3b", "RTX 5090, 32GB RAM", {}, "", id="all on the GPU"
        ),
        pytest.param("qwen3-32b", "RTX 4060, 32GB RAM", {}, "", id="no experts"),
    ],
)
def test_other_batches_stay_as_they_are(
    model: str, machine: str, options: dict[str, str], words: str
) -> None:
    workload = Workload(
        runtime="llama.cpp", context_tokens=8192, runtime_options=options
    )
    verdict = check(model, workload, machine=machine)
    assert batch_of(verdict) is None
    command = "\n".join(verdict.commands)
    assert words in command
    assert command.count("-ub") == bool(words)
    assert "-b " not in command


@pytest.mark.parametrize(
    "users",
    [pytest.param(users, id=f"{users} users") for users in range(8, 13)],
)
def test_batches_that_nobody_asked_for_leave_no_answer_open(users: int) -> None:
    """Larger batches are chosen to read prompts faster, where the RAM surely holds them. The RAM of
    the machine is assumed, so that a need just above it is no refusal.
    """
    chosen = _mixture_in_ram(users, {})
    small = _mixture_in_ram(users, {"ub": "512"})
    assert chosen.route == small.route


def _mixture_in_ram(users: int, options: dict[str, str]) -> Verdict:
    """A mixture of experts for so many users, a part of it in RAM."""
    return check(
        "qwen3-30b-a3b",
        machine="RTX 3090",
        runtime="llama.cpp",
        quantization="Q4_K_M",
        context_tokens=65_536,
        parallel=users,
        runtime_options=options,
    )


@pytest.mark.parametrize(
    ("model", "machine", "context_tokens"),
    [
        pytest.param(
            "qwen3-next-80b-a3b-instruct", "RTX 4090, 64 GB RAM", 65_536, id="Q8_0"
        ),
        pytest.param(
            "qwen3-next-80b-a3b-instruct", "RX 7900 XTX, 64 GB RAM", 98_304, id="AMD"
        ),
    ],
)
def test_batches_of_2048_are_taken_where_those_of_4096_leave_too_little_ram(
    model: str, machine: str, context_tokens: int
) -> None:
    """Batches of 512 were, and the prompt was told a third as fast: experts in RAM cross to the GPU
    once a batch (ggml-backend.cpp, op_offload). As much of the model lies in RAM with either.
    """
    usual = Workload(context_tokens=context_tokens, quantization="Q8_0")
    small = usual.replace(runtime_options={"ub": "512"})
    taken = check(model, usual, machine=machine)
    stated = check(model, small, machine=machine)
    assert taken.needs is not None
    assert stated.needs is not None
    assert taken.needs.batch_tokens == 2048
    assert in_ram(taken.needs) == in_ram(stated.needs)
    assert taken.speed is not None
    assert stated.speed is not None
    assert taken.speed.decode == stated.speed.decode


def in_ram(needs: Needs) -> int:
    """The bytes of weights that lie in RAM."""
    return sum(
        term.bytes
        for term in needs.terms
        if term.name == "weights" and term.where == "host"
    )


@pytest.mark.parametrize("model", ["glm-5.3", "macaron-v1-venti"])
def test_more_gpus_do_not_lengthen_the_wait_that_decides(model: str) -> None:
    """Four GPUs left less in RAM than two, so that batches of 512 tokens were taken: larger ones
    would have left a third more there, and the first word came after 8 minutes in place of 3.
    """
    two = check(model, Workload(purpose="agent"), machine="2x H100, 512 GB RAM")
    four = check(model, Workload(purpose="agent"), machine="4x H100, 512 GB RAM")
    assert batch_of(two) == batch_of(four) == 4096
    longer = two.waits[0].seconds
    shorter = four.waits[0].seconds
    assert longer is not None
    assert shorter is not None
    assert shorter.likely < longer.likely
    assert four.route == "local"


def test_batches_that_slow_each_token_are_taken_for_a_wait_alone() -> None:
    """Without a longest wait, as much of the model as possible lies on the GPUs."""
    wanted = Workload(context_tokens=65_536, prompt_tokens=20_000)
    verdict = check("glm-5.3", wanted, machine="4x H100, 512 GB RAM")
    assert batch_of(verdict) is None
