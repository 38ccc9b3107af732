"""How far one could go: the room that is told is right at the byte, and of what is free."""

from __future__ import annotations

import pytest

from helpers.machines import GIB, VM
from selfhost import Machine, Route, Workload, check
from selfhost.judge.record import Outcome
from selfhost.machine.changes import apply
from selfhost.machine.record import Accelerator


@pytest.mark.parametrize("name", ["mistral-7b", "gemma-3-12b-it", "gpt2"])
@pytest.mark.parametrize("gib", [3, 12])
def test_the_room_is_right_at_the_byte(name: str, gib: int) -> None:
    """The longest context and the most sequences fit; one token or one sequence more does not, or
    the model ends there.
    """
    machine = VM.replace(
        memory_total_bytes=gib * GIB,
        memory_limit_bytes=gib * GIB,
        memory_available_bytes=gib * GIB,
    )
    verdict = check(name, machine=machine)
    assert verdict.room is not None
    assert verdict.model.architecture is not None

    def memory(*, context_tokens: int | None = None, parallel: int = 1) -> str:
        type = verdict.workload.quantization
        asked = Workload(
            context_tokens=context_tokens, parallel=parallel, quantization=type
        )
        finding = check(name, asked, machine=machine).finding("memory")
        assert finding is not None
        return finding.outcome.value

    longest, sequences = verdict.room.longest_context_tokens, verdict.room.most_parallel
    if longest is None:
        assert memory(context_tokens=1) in ("fail", "unknown")
    else:
        assert memory(context_tokens=longest) in ("pass", "warn")
        architecture = verdict.model.architecture
        # what is documented with scaling is no offer: answers may get worse
        assert longest == architecture.context_tokens or memory(
            context_tokens=longest + 1
        ) in (
            "fail",
            "unknown",
        )
    # LLAMA_MAX_SEQ of llama.cpp is 256
    if sequences is not None:
        assert memory(parallel=sequences) in ("pass", "warn")
        assert sequences == 256 or memory(parallel=sequences + 1) in ("fail", "unknown")


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
    wanted = Workload(context_tokens=8192, runtime=runtime, quantization=quantization)
    room = check("llama-3.1-8b", wanted, machine=machine).room
    assert room is not None
    assert room.longest_context_tokens is not None
    assert room.most_parallel is not None
    assert 8192 < room.longest_context_tokens < 131_072
    assert placed(context_tokens=room.longest_context_tokens) == "accelerator"
    assert placed(context_tokens=room.longest_context_tokens + 1) != "accelerator"
    assert placed(parallel=room.most_parallel) == "accelerator"
    assert placed(parallel=room.most_parallel + 1) != "accelerator"
