"""How far one could go: the room that is told is right at the byte, and of what is free."""

from __future__ import annotations

from itertools import pairwise

import pytest

from helpers.machines import GIB, VM
from selfhost import (
    Machine,
    Route,
    Workload,
    check,
)
from selfhost.answers.verdicts import check_with
from selfhost.catalogue.opened import open_catalogue
from selfhost.machine.changes import apply
from selfhost.machine.record import Accelerator
from selfhost.reports.check_text import check_document
from selfhost.reports.layout import plain
from selfhost.verdict.record import Outcome


@pytest.mark.parametrize("name", ["mistral-7b", "gemma-3-12b-it", "qwen3-8b", "gpt2", "phi-4"])
@pytest.mark.parametrize("gib", [3, 6, 12, 24])
def test_the_room_is_right_at_the_byte(name: str, gib: int) -> None:
    """The longest context and the most sequences fit; one token or one sequence more does not, or the model ends there."""
    machine = VM.replace(
        memory_total_bytes=gib * GIB, memory_limit_bytes=gib * GIB, memory_available_bytes=gib * GIB
    )
    verdict = check(name, machine=machine)
    assert verdict.room is not None
    assert verdict.model.architecture is not None

    def memory(*, context_tokens: int | None = None, parallel: int = 1) -> str:
        finding = check(
            name, Workload(context_tokens=context_tokens, parallel=parallel), machine=machine
        ).finding("memory")
        assert finding is not None
        return finding.outcome.value

    longest, sequences = verdict.room.longest_context_tokens, verdict.room.most_parallel
    if longest is None:
        assert memory(context_tokens=1) in ("fail", "unknown")
    else:
        assert memory(context_tokens=longest) in ("pass", "warn")
        architecture = verdict.model.architecture
        # what is documented with scaling is no offer: answers may get worse
        assert longest == architecture.context_tokens or memory(context_tokens=longest + 1) in (
            "fail",
            "unknown",
        )
    if sequences is not None:
        assert memory(parallel=sequences) in ("pass", "warn")
        # LLAMA_MAX_SEQ of llama.cpp
        assert sequences == 256 or memory(parallel=sequences + 1) in ("fail", "unknown")


def test_a_context_beyond_the_trained_one_is_offered_to_who_asked_for_one() -> None:
    """Qwen3 8B: 40,960 tokens trained, 131,072 documented with YaRN (its model card)."""
    machine = VM.replace(
        memory_total_bytes=64 * GIB, memory_limit_bytes=64 * GIB, memory_available_bytes=64 * GIB
    )
    usual, scaled = (
        check("qwen3-8b", Workload(context_tokens=tokens), machine=machine).room
        for tokens in (None, 65_536)
    )
    assert usual is not None
    assert usual.longest_context_tokens == 40_960
    assert scaled is not None
    assert scaled.longest_context_tokens == 131_072


@pytest.mark.parametrize("gib", [6, 9, 24])
def test_a_limit_that_counts_more_than_is_free_says_so(gib: int) -> None:
    """24 GiB, of which some are free: a limit is marked where asking for it is answered by a warning that other programs hold the memory,
    and beside what is free the words say that they would have to be closed; where all counts, or only what is free, none do."""
    machine = VM.replace(
        memory_total_bytes=24 * GIB, memory_limit_bytes=24 * GIB, memory_available_bytes=gib * GIB
    )
    verdict = check("mistral-7b", machine=machine)
    room = verdict.room
    assert room is not None
    asked = {
        "longest_context_tokens": Workload(context_tokens=room.longest_context_tokens),
        "most_parallel": Workload(parallel=room.most_parallel or 1),
        "parallel_at_pace": Workload(parallel=room.parallel_at_pace or 1),
        "best_quantization": Workload(quantization=room.best_quantization),
    }
    held = {
        name: check("mistral-7b", workload, machine=machine).finding("memory")
        for name, workload in asked.items()
    }
    assert set(room.not_now) == {
        name
        for name, finding in held.items()
        if finding is not None and finding.code == "memory-not-now"
    }
    (line,) = [
        line
        for line in plain(check_document([verdict])).splitlines()
        if line.startswith("Also fits")
    ]
    assert room.not_now or gib == 24
    shown = set(room.not_now) - set(room.too_slow) - {"most_parallel"}
    assert ("other programs closed" in line) is bool(shown)
    assert line.count("other programs closed") in (0, 1, len(shown))
    for workload, planned in (
        (Workload(memory_basis="available"), machine),
        (Workload(), machine.replace(planning=True)),
    ):
        limits = check("mistral-7b", workload, machine=planned).room
        assert limits is not None
        assert limits.not_now == ()


@pytest.mark.parametrize(
    ("model", "workload", "machine", "useless"),
    [
        # 65 GB of weights on a card of 24 GB
        ("qwen3-32b", Workload(parallel=8, context_tokens=8192), "rtx 3090", "BF16"),
        # 8.5 GB without a noticeable loss are 16 GB of the same answers
        ("llama-3.1-8b", Workload(), "rtx 4090", "BF16"),
        # of a model that runs in 16 bits fewer are no more
        ("opt-2.7b", Workload(), "rtx 4090", "int8"),
        # 4 tokens/s are hardly enough for one
        ("qwen3-4b", Workload(), "raspberry pi 5 8gb", "sequences"),
        ("qwen3-4b", Workload(), "raspberry pi 5 8gb", "Q8_0"),
        # it is below 2 tokens/s as asked
        ("deepseek-r1:70b", Workload(), "rtx 3060", "sequences"),
        (
            "llama-3.3-70b",
            Workload(task="finetune", finetune_method="qlora"),
            "2x rtx 3090",
            "sequences",
        ),
    ],
)
def test_what_would_be_too_slow_is_not_said_to_fit(
    model: str, workload: Workload, machine: str, useless: str
) -> None:
    told = plain(check_document([check(model, workload, machine=machine)]))
    lines = [line for line in told.splitlines() if line.startswith("Also fits")]
    assert all(useless not in line for line in lines)


def test_the_sequences_that_are_told_are_read_as_fast_as_they_come() -> None:
    """As many sequences as a Mac of 64 GB holds of gpt-oss-20b get less than 5 tokens/s each: fewer are named."""
    model, machine = "gpt-oss-20b", "m4 max 64gb"
    room = check(model, machine=machine).room
    assert room is not None
    number = room.parallel_at_pace
    assert number is not None
    assert room.most_parallel is not None
    assert 1 < number < room.most_parallel
    for sequences, is_read in ((number, True), (number + 1, False)):
        speed = check(model, Workload(parallel=sequences), machine=machine).speed
        assert speed is not None
        assert speed.parallel_total is not None
        assert (speed.parallel_total.likely / sequences >= 5) is is_read


@pytest.mark.parametrize(
    ("model", "parallel", "is_sought"),
    [("phi-4", 1, False), ("phi-4", 3, False), ("llama-3.2-1b", 1, True), ("bge-m3", 1, True)],
)
def test_a_text_says_the_same_where_useless_sequences_were_not_counted(
    model: str, parallel: int, is_sought: bool
) -> None:
    """phi-4 in RAM is read slower than by a person already, and more sequences slow each down."""
    catalogue, workload = open_catalogue(), Workload(parallel=parallel)
    whole, useful = (
        check_with(catalogue, model, workload, VM, useful_room=is_useful)
        for is_useful in (False, True)
    )
    assert plain(check_document([useful])) == plain(check_document([whole]))
    if not is_sought:
        assert whole.room is not None
        assert useful.room is not None
        assert (whole.room.most_parallel or 0) > parallel
        assert useful.room.most_parallel is None


def test_sequences_that_end_at_their_pace_need_no_program_closed() -> None:
    """What the line says to close programs for, the same number of sequences as an option warns of; where more would only be too slow,
    the line says that."""
    machine = VM.replace(
        memory_total_bytes=24 * GIB, memory_limit_bytes=24 * GIB, memory_available_bytes=20 * GIB
    )
    verdict = check("llama-3.2-1b", machine=machine)
    room = verdict.room
    assert room is not None
    assert room.parallel_at_pace is not None
    assert room.most_parallel is not None
    assert room.parallel_at_pace < room.most_parallel
    assert "most_parallel" in room.not_now
    held = check("llama-3.2-1b", Workload(parallel=room.parallel_at_pace), machine=machine)
    assert held.finding("memory").outcome == "pass"  # type: ignore[union-attr]
    (line,) = [
        line
        for line in plain(check_document([verdict])).splitlines()
        if line.startswith("Also fits")
    ]
    assert f"{room.parallel_at_pace} sequences (more bring each below 5 tokens/s)" in line


def test_a_limit_that_is_told_is_as_fast_as_is_wanted() -> None:
    """Whoever takes the weights or the sequences that are told gets 2 tokens/s or more."""
    for model, machine in (("qwen3-32b", "rtx 3090"), ("llama-3.3-70b", "2x rtx 3090")):
        room = check(model, machine=machine).room
        assert room is not None
        for name, workload in (
            ("best_quantization", Workload(quantization=room.best_quantization)),
            ("most_parallel", Workload(parallel=room.most_parallel or 1)),
        ):
            speed = check(model, workload, machine=machine).speed
            assert speed is not None
            assert speed.decode is not None
            assert (name in room.too_slow) is (speed.decode.likely < 2)


def test_where_memory_ends_the_context_a_smaller_cache_is_named() -> None:
    """People start llama.cpp with `-ctk q8_0 -ctv q8_0` for that; where the model ends it that helps nothing."""
    short = check("qwen2.5-coder-32b", machine="rtx 3090")
    assert short.room is not None
    assert short.room.longer_with_cache_type == "q8_0"
    longer = check("qwen2.5-coder-32b", Workload(kv_cache_type="q8_0"), machine="rtx 3090").room
    assert longer is not None
    assert (longer.longest_context_tokens or 0) > 1.5 * (short.room.longest_context_tokens or 0)
    assert longer.longer_with_cache_type is None
    whole = check("mistral-7b", machine="rtx 3090").room
    assert whole is not None
    assert whole.longer_with_cache_type is None


def test_the_best_quantization_fits_the_disk_whichever_is_asked_for() -> None:
    """3 GB are free: a file of 4.4 GB is no more the best for having been asked for. With nothing free there is none."""

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
    assert [best(asked, "1MB")[0] for asked in (None, "Q4_K_M", "Q2_K")] == [None, None, None]


@pytest.mark.parametrize("runtime", ["transformers", "llama.cpp"])
def test_the_room_of_a_model_on_a_gpu_is_the_gpus(runtime: str) -> None:
    """Llama 3.1 8B in 16 bits on 24 GiB: the limits told are those within which it stays there; one more would move it, or not run."""
    machine = VM.replace(
        memory_total_bytes=32 * GIB, memory_limit_bytes=32 * GIB, memory_available_bytes=32 * GIB,
        accelerators=(Accelerator(vendor="nvidia", name="GPU", memory_total_bytes=24 * GIB, memory_free_bytes=24 * GIB, unified=False),),
    )  # fmt: skip

    def placed(*, context_tokens: int = 8192, parallel: int = 1) -> str | None:
        wanted = Workload(
            context_tokens=context_tokens,
            parallel=parallel,
            runtime=runtime,
            quantization=quantization,
        )
        verdict = check("llama-3.1-8b", wanted, machine=machine)
        return (
            verdict.needs.placement
            if verdict.needs is not None and verdict.route is Route.LOCAL
            else None
        )

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


@pytest.mark.parametrize(
    "name", ["mistral-7b", "gemma-3-4b", "falcon-h1-7b", "mamba-2.8b", "deepseek-v2-lite"]
)
def test_more_sequences_take_no_less_than_what_is_kept_of_each(name: str) -> None:
    """The search for the most sequences leaves out those of which this alone is too much."""
    least = []
    for number in (1, 2, 7, 40):
        needs = check(name, Workload(context_tokens=1000, parallel=number), machine=VM).needs
        assert needs is not None
        assert needs.memory is not None
        kept = sum(
            term.low_bytes
            for term in needs.memory.terms
            if term.name in ("kv_cache", "recurrent_state")
        )
        least.append((number, needs.memory.low_bytes, kept))
    for (fewer, fewer_bytes, kept_bytes), (more, more_bytes, _) in pairwise(least):
        assert more_bytes >= fewer_bytes + (more - fewer) * kept_bytes // fewer


@pytest.mark.parametrize(
    ("model", "machine", "workload"),
    [
        ("qwen3-14b", "mac mini m4 16gb", Workload()),
        (
            "llama-3.1-8b",
            "mac mini m4 32gb",
            Workload(task="finetune", finetune_method="lora"),
        ),
    ],
)
def test_what_also_fits_a_mac_needs_no_raised_limit(
    model: str, machine: str, workload: Workload
) -> None:
    """LoRA with 4,096 tokens "does not fit", and 4,098 tokens "also fit": defaults and room have one rule."""
    verdict = check(model, workload, machine=machine)
    assert verdict.room is not None
    longest = verdict.room.longest_context_tokens
    assert longest is not None
    for tokens, expected in ((longest, "accelerator-fits"), (longest + 1, "accelerator-partly")):
        asked = workload.replace(context_tokens=tokens)
        finding = check(model, asked, machine=machine).finding("accelerator")
        assert finding is not None
        assert finding.code == expected


def test_a_context_that_moves_layers_into_ram_is_not_offered_where_that_is_too_slow() -> None:
    """Of 8 sequences on one RTX 3090 "also fits 52,736 tokens" was a ✗, too slow, when asked for."""
    asked, machine = Workload(parallel=8, min_tokens_per_second=8), "desktop-rtx3090-24gb"
    verdict = check("command-r-08-2024", asked, machine=machine)
    assert verdict.route is Route.LOCAL
    assert verdict.room is not None
    longest = verdict.room.longest_context_tokens
    longer = check("command-r-08-2024", asked.replace(context_tokens=longest), machine=machine)
    assert longer.route is not Route.LOCAL
    assert "longest_context_tokens" in verdict.room.too_slow
    assert "Also fits: context" not in plain(check_document([verdict]))


@pytest.mark.parametrize("tokens", [4096, 87_000, 131_072])
def test_what_also_fits_runs_with_the_setting_that_is_printed(tokens: int) -> None:
    """Of a Framework Desktop "17 sequences" ended at half of the RAM, and "14 sequences" with a longer context far beyond the `pages_limit` that was printed."""
    model, machine = "gpt-oss-120b", "framework desktop 128gb"

    def settings(workload: Workload) -> list[str]:
        return [line for line in check(model, workload, machine=machine).setup if "limit" in line]

    asked = Workload(context_tokens=tokens)
    room = check(model, asked, machine=machine).room
    assert room is not None
    printed = settings(asked)
    assert bool(printed) is (tokens > 4096)
    longest = room.longest_context_tokens or 0
    assert settings(asked.replace(context_tokens=longest)) == printed
    assert settings(asked.replace(parallel=room.most_parallel or 1)) == printed
    assert longest == 131_072 or settings(asked.replace(context_tokens=longest + 256)) != printed


def test_where_those_asked_for_are_too_slow_no_number_is_fast_enough() -> None:
    """Four sequences were too slow at 10 tokens/s each, and "37 at that pace" stood beside it."""
    asked = Workload(parallel=4, min_tokens_per_second=60)
    slow = check("mistral-7b", asked, machine="aws-m7i.2xlarge")
    assert slow.route is not Route.LOCAL
    assert slow.room is not None
    assert slow.room.most_parallel
    assert slow.room.parallel_at_pace is None
