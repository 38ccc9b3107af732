"""How far one could go: the room that is told is right at the byte, and of what is free."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.machines import GIB, VM
from selfhost import Machine, Route, Workload, check
from selfhost.judge.checks.speed import is_too_slow
from selfhost.judge.rating import STEP, is_slower_than_reading
from selfhost.judge.record import Outcome, Verdict
from selfhost.machine.changes import apply
from selfhost.machine.record import Accelerator


@pytest.mark.parametrize("name", ["mistral-7b", "gemma-3-12b-it", "gpt2"])
@pytest.mark.parametrize("gib", [3, 12])
def test_the_room_is_right_at_the_byte(name: str, gib: int) -> None:
    """At any pace the longest context and the most sequences surely fit; one token or one sequence
    more does not, or the model ends there.
    """
    machine = VM.replace(
        memory_total_bytes=gib * GIB,
        memory_limit_bytes=gib * GIB,
        memory_available_bytes=gib * GIB,
    )
    verdict = check(name, Workload(min_tokens_per_second=0), machine=machine)
    assert verdict.room is not None
    assert verdict.model.architecture is not None

    def memory(*, context_tokens: int | None = None, parallel: int = 1) -> str:
        type = verdict.workload.quantization
        asked = Workload(
            context_tokens=context_tokens,
            parallel=parallel,
            quantization=type,
            kv_cache_type=verdict.workload.kv_cache_type,
        )
        again = check(name, asked, machine=machine)
        if again.workload.runtime_options != verdict.workload.runtime_options:
            # it fits with another setting alone
            return "too small"
        finding = again.finding("memory")
        assert finding is not None
        return finding.code

    longest = verdict.room.longest_context_tokens
    sequences = verdict.room.most_parallel
    if longest is None:
        assert memory(context_tokens=1) != "memory-fits"
    else:
        assert memory(context_tokens=longest) == "memory-fits"
        architecture = verdict.model.architecture
        # what is documented with scaling is no offer: answers may get worse
        if longest != architecture.context_tokens:
            assert memory(context_tokens=longest + 1) != "memory-fits"
    # LLAMA_MAX_SEQ of llama.cpp is 256
    if sequences is not None:
        assert memory(parallel=sequences) == "memory-fits"
        assert sequences == 256 or memory(parallel=sequences + 1) != "memory-fits"


def test_a_file_that_states_a_context_of_billions_is_answered() -> None:
    """What no question can ask for was asked, and the error named --context."""
    spec = check("smollm2-1.7b-instruct", machine="16GB RAM").model
    assert spec.architecture is not None
    architecture = spec.architecture.replace(context_tokens=2**32 - 1)
    verdict = check(spec.replace(architecture=architecture), machine="16GB RAM")
    assert verdict.room is not None
    assert verdict.room.longest_context_tokens is not None


def test_the_best_quantization_fits_the_disk_whichever_is_asked_for() -> None:
    """3 GB are free: a file of 4.4 GB is no more the best for having been asked for. With nothing
    free there is none.
    """

    def best(asked: str | None, disk: str) -> tuple[str | None, Outcome | None]:
        verdict = check(
            "mistral-7b",
            Workload(quantization=asked),
            machine=apply(Machine(planning=True), ["memory=16GiB", f"disk={disk}"]),
        )
        found = verdict.finding("disk")
        assert verdict.room is not None
        return verdict.room.best_quantization, found.outcome if found else None

    small = best("Q2_K", "3GB")[0]
    assert small is not None
    assert best("Q4_K_M", "3GB") == (small, Outcome.FAIL)
    assert best(small, "3GB")[0] == small
    assert best(small, "3GB")[1] is not Outcome.FAIL
    assert [best(asked, "1MB")[0] for asked in (None, "Q4_K_M", "Q2_K")] == [
        None,
        None,
        None,
    ]


@pytest.mark.parametrize("runtime", ["transformers", "llama.cpp"])
def test_the_room_of_a_model_on_a_gpu_is_the_gpus(runtime: str) -> None:
    """Llama 3.1 8B in 16 bits on 24 GiB: the limits told are those within which it stays there; one
    more would move it, or not run.
    """
    machine = VM.replace(
        memory_total_bytes=32 * GIB,
        memory_limit_bytes=32 * GIB,
        memory_available_bytes=32 * GIB,
        accelerators=(
            Accelerator(
                vendor="nvidia",
                name="GPU",
                memory_total_bytes=24 * GIB,
                memory_free_bytes=24 * GIB,
                unified=False,
            ),
        ),
    )

    def placed(*, context_tokens: int = 8192, parallel: int = 1) -> str | None:
        asked = wanted.replace(context_tokens=context_tokens, parallel=parallel)
        verdict = check("llama-3.1-8b", asked, machine=machine)
        return verdict.placement if verdict.route is Route.LOCAL else None

    quantization = "bfloat16" if runtime == "transformers" else "BF16"
    wanted = Workload(
        context_tokens=8192,
        runtime=runtime,
        quantization=quantization,
        kv_cache_type="f16",
    )
    room = check("llama-3.1-8b", wanted, machine=machine).room
    assert room is not None
    assert room.longest_context_tokens is not None
    assert room.most_parallel is not None
    assert 8192 < room.longest_context_tokens < 131_072
    assert placed(context_tokens=room.longest_context_tokens) == "accelerator"
    assert placed(context_tokens=room.longest_context_tokens + 1) != "accelerator"
    assert placed(parallel=room.most_parallel) == "accelerator"
    assert placed(parallel=room.most_parallel + 1) != "accelerator"


@pytest.mark.parametrize(
    ("model", "machine", "workload"),
    [
        pytest.param("mistral-7b", VM, Workload(), id="in RAM"),
        pytest.param(
            "qwen3-8b",
            "RTX 4060 laptop 16GB",
            Workload(
                prompt_tokens=20_000,
                max_wait_seconds=60,
                quantization="Q4_K_M",
                kv_cache_type="f16",
            ),
            id="with a longest wait",
        ),
        pytest.param(
            "qwen3-8b",
            "RTX 4060 laptop 16GB",
            Workload(
                prompt_tokens=20_000,
                min_tokens_per_second=5,
                quantization="Q4_K_M",
                kv_cache_type="f16",
            ),
            id="with a stated pace",
        ),
    ],
)
def test_more_users_than_the_pace_allows_are_no_room(
    model: str, machine: Machine | str, workload: Workload
) -> None:
    """Room for 36 users was told, of whom 10 already were too slow for `check`. Without a stated
    pace the room ends where text comes more slowly than people read.
    """
    usual = check(model, workload, machine=machine)
    room = usual.room
    assert room is not None
    assert room.most_parallel is not None

    def judged_for(users: int) -> Verdict:
        asked = workload.replace(
            quantization=usual.quantization,
            kv_cache_type=usual.workload.kv_cache_type,
            parallel=users,
        )
        return check(model, asked, machine=machine)

    held = judged_for(room.most_parallel)
    assert held.can_run
    assert not is_slower_than_reading(held)
    more = judged_for(room.most_parallel + 1)
    assert not more.can_run or is_slower_than_reading(more)
    if more.can_run:
        # what is slow already has room for a step that is hardly felt
        assert more.room is not None
        slowest = judged_for(more.room.most_parallel or 0)
        assert more.users_pace is not None
        assert slowest.users_pace is not None
        assert slowest.users_pace.likely >= more.users_pace.likely / STEP


def test_a_context_that_the_pace_does_not_allow_is_no_room() -> None:
    """Beside a long cache fewer weights lie on the GPU: 8 tokens/s are left of 20."""
    asked = Workload(
        prompt_tokens=20_000,
        min_tokens_per_second=12,
        quantization="Q4_K_M",
        kv_cache_type="f16",
    )

    def runs(tokens: int) -> bool:
        workload = asked.replace(context_tokens=tokens)
        verdict = check("qwen3-8b", workload, machine="RTX 4060 laptop 16GB")
        return verdict.can_run and not is_too_slow(verdict)

    room = check("qwen3-8b", asked, machine="RTX 4060 laptop 16GB").room
    assert room is not None
    assert room.longest_context_tokens is not None
    assert 20_480 < room.longest_context_tokens < 40_960
    assert runs(room.longest_context_tokens)
    assert not runs(room.longest_context_tokens + 1)


@pytest.mark.parametrize(
    ("model", "machine", "workload"),
    [
        pytest.param(
            "llama-3.3-70b",
            "2x RTX 3090, 64GB RAM",
            Workload(prompt_tokens=20_000),
            id="split over GPUs and RAM",
        ),
        pytest.param("mistral-7b", VM, Workload(), id="in RAM"),
    ],
)
def test_weights_that_are_too_slow_are_no_room(
    model: str, machine: Machine | str, workload: Workload
) -> None:
    """Q6_K was named, of which `check` says that it is too slow."""
    room = check(model, workload, machine=machine).room
    assert room is not None
    assert room.best_quantization is not None
    asked = workload.replace(quantization=room.best_quantization)
    best = check(model, asked, machine=machine)
    assert best.can_run
    assert not is_too_slow(best)


@pytest.mark.parametrize(
    ("model", "machine", "limit", "field"),
    [
        pytest.param(
            "dolphin-2.5-mixtral-8x7b",
            "aws-p4d.24xlarge",
            "most_parallel",
            "parallel",
            id="more users than llama.cpp serves",
        ),
        pytest.param(
            "nvidia/DeepSeek-R1-NVFP4",
            "8x B200",
            "best_quantization",
            "quantization",
            id="a type that llama.cpp lacks, and a name that states the program",
        ),
        pytest.param(
            "qwen3-4b-thinking-2507",
            "desktop-rtx4090-24gb",
            "longest_context_tokens",
            "context_tokens",
            id="a context beside which a smaller type is taken",
        ),
        pytest.param(
            "mistral-7b",
            "8x h100",
            "longest_context_tokens",
            "context_tokens",
            id="no option is needed",
        ),
    ],
)
def test_what_is_typed_for_room_keeps_the_program_and_the_type(
    model: str, machine: str, limit: str, field: str
) -> None:
    """`--users 361` was an error of llama.cpp: the answer was vLLM's."""
    verdict = check(model, machine=machine)
    changed: dict[str, Any] = {}
    options = verdict.room_options.split()
    stated = dict(zip(options[::2], options[1::2], strict=True))
    if "--runtime" in stated:
        changed["runtime"] = stated["--runtime"]
    if "--quant" in stated:
        changed["quantization"] = stated["--quant"]
    changed[field] = getattr(verdict.room, limit)
    asked = check(model, Workload(**changed), machine=machine)
    assert asked.can_run
    assert asked.runtime == verdict.runtime
    assert asked.quantization == changed.get("quantization", verdict.quantization)


def test_a_smaller_type_without_a_command_is_no_room() -> None:
    """w4a16 was offered: smaller and faster than nf4, and no command runs it."""
    workload = Workload(runtime="vllm", quantization="nf4")
    room = check("qwen3-30b-a3b", workload, machine="RTX 4090").room
    assert room is not None
    assert room.best_quantization == "nf4"


def test_a_larger_type_of_the_same_program_is_room() -> None:
    """The weights of 8 bits that DeepSeek published, beside those of 4 bits."""
    room = check("nvidia/DeepSeek-R1-NVFP4", machine="8x B200").room
    assert room is not None
    assert room.best_quantization == "float8_e4m3_128x128"


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({"context_tokens": 4096}, id="a-stated-context"),
        pytest.param({}, id="no-context"),
    ],
)
def test_no_context_is_offered_that_nobody_knows(asked: dict[str, Any]) -> None:
    """No source states the context that Mamba was trained for: whoever asks for the one that is
    offered gets `unknown`.
    """
    mamba = "mamba-1.4b"
    verdict = check(mamba, machine="server-8x-h100", runtime="llama.cpp", **asked)
    assert verdict.room is not None
    assert verdict.room.longest_context_tokens is None
    longer = check(mamba, machine="server-8x-h100", context_tokens=4096)
    assert longer.route is Route.UNKNOWN
