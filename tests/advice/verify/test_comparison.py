"""Predicted beside seen. The memory is that of real runs of llama.cpp 0c1e570 (tests/data/logs)."""

from __future__ import annotations

import pytest

from helpers.paths import DATA, RECORDS
from selfhost.advice.verdicts import check_with
from selfhost.advice.verify.comparison import (
    Comparison,
    compare,
    machine_of,
    seen_in_places,
    workload_of,
)
from selfhost.advice.verify.formats import run_of
from selfhost.advice.verify.layout import layout_of
from selfhost.advice.verify.run import Run, SeenMemory, SeenPace
from selfhost.catalogue.opened import open_catalogue
from selfhost.core.errors import SelfhostError
from selfhost.judge.pace.speed import PaceRange, Speed
from selfhost.judge.question import architectures
from selfhost.machine.changes import apply
from selfhost.machine.named import machine_named
from selfhost.machine.reader import Machine
from selfhost.reports.layout import plain
from selfhost.reports.verify_text import verify_document

MACHINE = Machine.from_file(RECORDS / "vm-24gib.json")
MIB = 1 << 20


def held(
    run: Run, model: str, machine: Machine = MACHINE, speed: Speed | None = None
) -> Comparison:
    machine, notes = machine_of(run, machine)
    verdict = check_with(open_catalogue(), model, workload_of(run), machine, instead=False)
    runtime, rows = open_catalogue().runtime(run.runtime), architectures(open_catalogue())
    return compare(
        run,
        verdict,
        by="typed",
        is_public=True,
        speed_at=lambda _depth: speed,
        notes=notes,
        fast_prompts=runtime.fast_prompts,
        unpacks=runtime.is_unpacked_on(machine.instruction_sets),
        layout=layout_of(run, verdict, rows, seen_in_places(run, verdict)),
    )


def test_a_prompt_whose_last_batch_alone_was_timed_is_explained() -> None:
    """ollama/ollama pull request 12742: 32,768 tokens at 139,356.80 tokens/s before it, 4,212.03 after."""
    text = "prompt eval count:    32768 token(s)\nprompt eval rate:     139356.80 tokens/s\n"
    run = run_of(text)
    assert run is not None
    speed = Speed(how="", prompt=PaceRange(low=3000.0, likely=5000.0, high=7000.0))
    comparison = held(run, "llama-3.2-3b-instruct", speed=speed)
    assert comparison.differences[0].inside is False
    assert any("last batch" in note for note in comparison.notes)


def test_room_for_many_logits_is_not_compared() -> None:
    """llama-completion makes room for 2,048 rows of logits, which no server does: 300 MiB of 68 are no fault of the prediction."""
    run = run_of((DATA / "logs" / "llama_log-completion.txt").read_text("utf-8"))
    assert run is not None
    rows = {row.term: row for row in held(run, "qwen2.5-0.5b-instruct").differences}
    assert rows["compute"].inside is None
    assert "2,048 tokens" in (rows["compute"].why or "")
    assert rows["weights"].inside
    assert rows["kv_cache"].inside


def test_several_sequences_at_once_are_held_against_their_total() -> None:
    """A pace of four together is compared where four were judged, and not against that of one."""
    total = PaceRange(low=20.0, likely=30.0, high=40.0)
    one = PaceRange(low=5.0, likely=10.0, high=15.0)
    speed = Speed(how="", decode=one, parallel_total=total)
    run = Run(
        tool="llama-batched-bench",
        parallel=4,
        paces=(
            SeenPace(kind="decode", tokens_per_second=12.0, tokens=8),
            SeenPace(kind="decode", tokens_per_second=35.0, tokens=8, sequences=4),
            SeenPace(kind="decode", tokens_per_second=35.0, tokens=8, sequences=2),
        ),
    )
    judged = held(run, "qwen2.5-0.5b-instruct").verdict.replace(speed=speed)
    rows = compare(
        run, judged, by="typed", is_public=True, speed_at=lambda _depth: speed
    ).differences
    assert [row.term for row in rows] == ["decode", "decode_at_once", "decode_at_once"]
    assert [row.inside for row in rows] == [True, True, None]
    assert rows[1].high == total.high


def test_every_buffer_of_a_real_server_is_inside() -> None:
    """What llama-server printed for Qwen2.5 0.5B in Q4_K_M with 4,096 tokens of context."""
    run = run_of((DATA / "logs" / "llama_log-server.txt").read_text("utf-8"))
    assert run is not None
    comparison = held(run, "qwen2.5-0.5b-instruct")
    memory = {row.term: row for row in comparison.differences if row.subject == "memory"}
    assert set(memory) == {"weights", "repacked_weights", "kv_cache", "compute"}
    assert all(row.inside for row in memory.values())
    assert memory["kv_cache"].difference == 0


def test_a_run_that_laid_weights_out_for_amx_is_held_against_its_program() -> None:
    """Of ggml-org/llama.cpp#19184, LFM2.5 1.2B in Q8_0 on a processor with AMX: that buffer lies in RAM. Ollama has it so; the command of llama.cpp
    has --no-repack there, and what the run had without is not compared.
    """
    log = (
        "load_tensors:          AMX model buffer size =  1325.25 MiB\n"
        "load_tensors:   CPU_Mapped model buffer size =  1186.25 MiB\n"
    )
    run = run_of(log)
    assert run is not None
    assert {seen.where for seen in run.memory} == {"host"}
    sets = ("avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_bf16", "amx_tile", "amx_int8")
    machine = MACHINE.replace(instruction_sets=sets)
    for program, inside in (("ollama", True), ("llama.cpp", None)):
        seen = run.replace(runtime=program, quantization="Q8_0")
        rows = held(seen, "lfm2.5-1.2b-instruct", machine).differences
        assert [row.inside for row in rows] == [inside, inside], program
        assert all(bool(row.why) == (inside is None) for row in rows)
    # what a program without that option lays out anew, where none is predicted, is a miss
    old = MACHINE.replace(instruction_sets=("sse4_2",))
    misses = held(run.replace(runtime="ollama", quantization="Q8_0"), "lfm2.5-1.2b-instruct", old)
    assert False in [row.inside for row in misses.differences]


# RssAnon 172,648 kB and RssFile 398,004 kB of that server after a prompt of 630 tokens
SERVER = Run(
    tool="process",
    quantization="Q4_K_M",
    context_tokens=4096,
    parallel=1,
    kv_cache_type="f16",
    file_bytes=397_807_296,
    memory=(
        SeenMemory(term="model_file", bytes=391_863_337),
        SeenMemory(term="everything_else", bytes=(172_648 + 398_004) * 1024 - 391_863_337),
        SeenMemory(term="total", bytes=(172_648 + 398_004) * 1024),
    ),
)


def test_a_real_process_is_inside() -> None:
    """By its kinds of memory, and exit 0."""
    comparison = held(SERVER, "qwen2.5-0.5b-instruct")
    assert [row.inside for row in comparison.differences] == [True, True, True]
    assert (comparison.outcome, comparison.exit_code) == ("inside", 0)


def test_a_process_that_has_not_filled_its_context_is_not_outside() -> None:
    """A real server of 2,048 tokens of context took 12 % less than its range after 340 of them: pages
    that nothing wrote to are not there yet.
    """
    memory = tuple(
        seen if seen.term == "model_file" else seen.replace(bytes=seen.bytes // 2)
        for seen in SERVER.memory
    )
    comparison = held(SERVER.replace(memory=memory), "qwen2.5-0.5b-instruct")
    assert [row.inside for row in comparison.differences] == [True, None, None]
    assert "filled its context" in (comparison.differences[1].why or "")
    assert comparison.exit_code == 0


def test_twice_as_much_is_outside() -> None:
    """Exit 1, and a word on what grows beside."""
    twice = tuple(seen.replace(bytes=2 * seen.bytes) for seen in SERVER.memory)
    comparison = held(SERVER.replace(memory=twice), "qwen2.5-0.5b-instruct")
    assert (comparison.outcome, comparison.exit_code) == ("outside", 1)
    assert any("--cache-ram" in note for note in comparison.notes)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"context_tokens": None}, "context"),
        ({"kv_cache_type": None}, "cache"),
        ({"holds_draft": True}, "drafts"),
    ],
)
def test_what_the_run_does_not_tell_is_not_compared(
    change: dict[str, bool | None], why: str
) -> None:
    """Only the file is left to compare."""
    comparison = held(SERVER.replace(**change), "qwen2.5-0.5b-instruct")
    rows = {row.term: row for row in comparison.differences}
    assert rows["model_file"].inside is True
    assert rows["total"].inside is None
    assert why in (rows["total"].why or "")


SPEED = Speed(
    decode=PaceRange(low=4.0, likely=5.0, high=6.0),
    prompt=PaceRange(low=40.0, likely=50.0, high=60.0),
    how="stated",
)


@pytest.mark.parametrize(
    ("pace", "inside"),
    [
        (SeenPace(kind="decode", tokens_per_second=4.0, tokens=128), True),
        (SeenPace(kind="decode", tokens_per_second=6.1, tokens=128), False),
        (SeenPace(kind="decode", tokens_per_second=3.9), False),
        (SeenPace(kind="decode", tokens_per_second=1.0, tokens=3), None),
        (SeenPace(kind="prompt", tokens_per_second=55.0, tokens=512), True),
        (SeenPace(kind="prompt", tokens_per_second=5.0, tokens=8), None),
    ],
)
def test_a_pace_against_its_range(pace: SeenPace, inside: bool | None) -> None:
    """The ends belong to the range; a few tokens prove nothing."""
    run = SERVER.replace(memory=(), paces=(pace,))
    comparison = held(run, "qwen2.5-0.5b-instruct", speed=SPEED)
    assert [row.inside for row in comparison.differences] == [inside]
    assert comparison.exit_code == {True: 0, False: 1, None: 2}[inside]


@pytest.mark.parametrize(
    ("low", "likely", "high", "seen", "closeness"),
    [
        (4.0, 5.0, 6.0, 5.5, "close"),
        (4.0, 5.0, 8.0, 7.5, "apart"),
        (2.0, 5.0, 20.0, 12.5, "wide"),
        (2.0, 5.0, 20.0, 5.0, "wide"),
        (2.0, 5.0, 20.0, 25.0, "outside"),
        (5.0, 5.0, 5.0, 5.0, "close"),
    ],
)
def test_a_wide_range_confirms_little(
    low: float, likely: float, high: float, seen: float, closeness: str
) -> None:
    """As predicted is what lies near the likely figure in a range of a factor of 2 at most; 151 %
    more than likely in a range of 10 times is not, though it is inside.
    """
    speed = Speed(decode=PaceRange(low=low, likely=likely, high=high), how="stated")
    run = SERVER.replace(
        memory=(), paces=(SeenPace(kind="decode", tokens_per_second=seen, tokens=128),)
    )
    comparison = held(run, "qwen2.5-0.5b-instruct", speed=speed)
    assert comparison.closeness == closeness
    assert comparison.differences[0].is_close == (closeness == "close")


@pytest.mark.parametrize(
    ("how", "seen", "is_told"),
    [
        ("measured-briefly", 10.4, True),
        ("measured-briefly", 5.0, False),
        ("measured", 10.4, False),
    ],
)
def test_a_pace_outside_what_a_moment_predicts_is_no_last_word(
    how: str, seen: float, is_told: bool
) -> None:
    """A moment in which other guests had the memory told a range of 3.7 to 7.3, where the run reached 10.4 and the next moment 10."""
    speed = Speed(decode=PaceRange(low=3.7, likely=5.2, high=7.3), how="at present")
    run = SERVER.replace(
        memory=(), paces=(SeenPace(kind="decode", tokens_per_second=seen, tokens=128),)
    )
    machine = MACHINE.replace(
        memory_bandwidth_bytes_per_second=24 * 10**9,
        memory_bandwidth_how=how,
    )
    told = held(run, "qwen2.5-0.5b-instruct", machine, speed).notes
    assert any("--measure" in note and "at one moment" in note for note in told) is is_told


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"flash_attention": False}, "flash attention"),
        ({"processor": "AMD Ryzen 7 7840HS"}, "Ryzen 7 7840HS"),
        ({}, "other programs"),
    ],
)
def test_what_the_run_had_otherwise_explains_a_difference(
    change: dict[str, bool | str], cause: str
) -> None:
    """Options and hardware that the run names and the prediction has otherwise."""
    slow = SeenPace(kind="decode", tokens_per_second=3.0, tokens=128)
    run = SERVER.replace(memory=(), paces=(slow,), **change)
    notes = held(run, "qwen2.5-0.5b-instruct", speed=SPEED).notes
    assert any(cause in note for note in notes)


def test_a_short_prompt_on_a_gpu_is_not_compared() -> None:
    """A question of 40 tokens takes a GPU as long as a whole batch: 100 tokens/s beside 1,588 is no fault of the prediction. On a processor it is compared."""
    prompt = SeenPace(kind="prompt", tokens_per_second=10.0, tokens=40)
    run = Run(tool="ollama --verbose", paces=(prompt,))
    on_card = held(run, "llama-3.1-8b-instruct", apply(MACHINE, [], ["RTX 3060"]), speed=SPEED)
    assert on_card.differences[0].inside is None
    assert "512" in (on_card.differences[0].why or "")
    assert held(run, "llama-3.1-8b-instruct", speed=SPEED).differences[0].inside is False
    # as is one of 36 tokens of MLX on a Mac
    mac = machine_named("macbook pro m4 max 64gb")
    assert held(run, "llama-3.1-8b-instruct", mac, speed=SPEED).differences[0].inside is None


def test_a_run_with_layers_in_ram_has_other_memory() -> None:
    """20 of 32 layers on the card is another run than the one predicted, which has them all there:
    its memory is not compared, and its pace is one for that layout.
    """
    slow = SeenPace(kind="decode", tokens_per_second=3.0, tokens=128)
    buffers = SeenMemory(term="weights", bytes=3 << 30, where="accelerator:0")
    run = Run(
        tool="llama-bench", gpu_layers=20, on_processor=False, paces=(slow,), memory=(buffers,)
    )
    machine = apply(MACHINE, [], ["RTX 4090"])
    partly = held(run, "llama-3.1-8b-instruct", machine, speed=SPEED)
    memory, pace = partly.differences
    assert memory.inside is None
    assert "12 of 32 layers" in (memory.why or "")
    assert pace.inside is not None
    assert "12 of 32 layers" in partly.notes[0]
    whole = held(run.replace(gpu_layers=99), "llama-3.1-8b-instruct", machine, speed=SPEED)
    assert whole.exit_code == 1
    assert not any("layers" in note for note in whole.notes)


@pytest.mark.parametrize(
    ("gpu", "here", "is_told"),
    [
        ("NVIDIA GeForce RTX 3060", "RTX 4090", True),
        ("NVIDIA GeForce RTX 4060 Ti", "RTX 4060", True),
        ("NVIDIA GeForce RTX 4090", "RTX 4090", False),
        # as Mesa's Vulkan driver names it
        ("AMD Radeon RX 7900 XTX (RADV NAVI31)", "RX 7900 XTX", False),
        ("NVIDIA GeForce RTX 3090, NVIDIA GeForce RTX 3090", "2x RTX 3090", False),
    ],
)
def test_a_run_on_another_gpu_is_told(gpu: str, here: str, *, is_told: bool) -> None:
    """The GPU is what a run with all layers on it is compared by, and its processor is not."""
    run = Run(
        tool="llama-bench",
        gpu_layers=99,
        on_processor=False,
        gpu=gpu,
        processor="AMD Ryzen 7 7840HS",
        paces=(SeenPace(kind="decode", tokens_per_second=3.0, tokens=128),),
    )
    notes = held(run, "llama-3.1-8b-instruct", apply(MACHINE, [], [here]), speed=SPEED).notes
    assert any("The run was on NVIDIA" in note for note in notes) is is_told
    assert not any("Ryzen" in note for note in notes)


def test_one_of_several_sequences_may_be_slower() -> None:
    """While others decode beside it, down to its share of the slow end of all together."""
    run = SERVER.replace(memory=(), paces=(SeenPace(kind="decode", tokens_per_second=3.9),))
    assert held(run, "qwen2.5-0.5b-instruct", speed=SPEED).outcome == "outside"
    several = held(run.replace(parallel=8), "qwen2.5-0.5b-instruct", speed=SPEED)
    total = several.verdict.speed.parallel_total if several.verdict.speed else None
    assert total is not None
    assert several.differences[0].low == min(SPEED.decode.low, total.low / 8)  # type: ignore[union-attr]


def test_a_pace_that_is_not_predicted_is_nothing_to_compare() -> None:
    """Exit 2, with the reason that the prediction gives."""
    run = SERVER.replace(memory=(), paces=(SeenPace(kind="decode", tokens_per_second=4.0),))
    speed = Speed(decode=None, prompt=None, how="the cores could not be read")
    comparison = held(run, "qwen2.5-0.5b-instruct", speed=speed)
    assert comparison.exit_code == 2
    assert comparison.differences[0].why == "the cores could not be read"


def test_no_more_threads_than_the_run_had() -> None:
    """A run on one thread is not held against two; one on more threads than cores is held against
    all of them.
    """
    fewer, notes = machine_of(SERVER.replace(threads=1), MACHINE)
    assert fewer.cpu_cores_usable == 1
    assert "1 thread" in notes[0]
    assert machine_of(SERVER.replace(threads=64), MACHINE) == (MACHINE, ())


def test_a_run_on_a_gpu_is_not_held_against_a_machine_without_one() -> None:
    """Nobody learns from 700 times as fast as predicted: the log names a card, the machine has none."""
    run = run_of((DATA / "logs" / "llama_log-gpu.txt").read_text("utf-8"))
    assert run is not None
    with pytest.raises(SelfhostError, match="used a GPU") as caught:
        machine_of(run, MACHINE)
    assert "--gpu" in (caught.value.remedy or "")
    machine, _ = machine_of(run, apply(MACHINE, [], ["RTX 4090"]))
    assert machine.accelerators


def test_a_range_of_hardly_any_width_is_told_without_one() -> None:
    """9.9 to 10.1 are 1.02 times, printed `1.0×`, which tells nothing."""
    run = SERVER.replace(memory=(), paces=(SeenPace(kind="decode", tokens_per_second=25.0),))
    speed = Speed(decode=PaceRange(low=9.9, likely=10.0, high=10.1), how="stated")
    told = plain(verify_document(held(run, "qwen2.5-0.5b-instruct", speed=speed)))
    assert "2.5 times the likely figure, above its range\n" in told


def on_cards(*buffers: tuple[str, str, float], **facts: object) -> Run:
    """`term`, place and MiB of each buffer."""
    memory = tuple(
        SeenMemory(term=term, where=where, bytes=round(mib * MIB)) for term, where, mib in buffers
    )
    return Run(tool="llama.cpp log", memory=memory, on_processor=False).replace(**facts)


def test_cards_count_from_the_first_that_the_run_used() -> None:
    """A run on the card that its machine calls the second is one on one card (a published log of
    Vulkan1, DzKriMo/Aigis).
    """
    run = on_cards(("weights", "host", 281.81), ("weights", "accelerator:1", 4403.49))
    machine = apply(MACHINE, [], ["RTX 4090"])
    rows = held(run, "deepseek-r1-distill-llama-8b", machine).differences
    (on_card,) = [row for row in rows if row.where != "host"]
    assert (on_card.where, on_card.inside) == ("accelerator:0", True)


def test_two_cards_hold_together_what_one_is_predicted_to() -> None:
    """llama.cpp spreads a model over all cards. Weights and cache are as large together; the buffer
    that each has for itself is not compared.
    """
    halves = [
        (term, f"accelerator:{card}", mib / 2)
        for term, mib in (("weights", 4403.49), ("kv_cache", 1024.0), ("compute", 1120.0))
        for card in (2, 3)
    ]
    run = on_cards(*halves, context_tokens=8192, parallel=1, kv_cache_type="f16")
    machine = apply(MACHINE, [], ["2x RTX 4090"])
    rows = {row.term: row for row in held(run, "deepseek-r1-distill-llama-8b", machine).differences}
    assert (rows["weights"].inside, rows["kv_cache"].inside) == (True, True)
    assert rows["compute"].inside is None
    assert "2 GPUs" in (rows["compute"].why or "")


def test_experts_in_ram_are_no_fault_of_the_prediction() -> None:
    """1.2 of 11 GiB on the card with every layer there, as a published run of gpt-oss-20b had with
    its experts in RAM (carteakey/lllms: windows/run.log).
    """
    run = on_cards(
        ("weights", "accelerator:0", 1242.0), ("weights", "host", 10949.0), gpu_layers=25
    ).replace(paces=(SeenPace(kind="decode", tokens_per_second=5.81, tokens=100),))
    machine = apply(MACHINE, [], ["RTX 4090"])
    comparison = held(run, "gpt-oss-20b", machine, speed=SPEED)
    weights = [row for row in comparison.differences if row.term == "weights"]
    assert weights
    assert all(row.inside is None for row in weights)
    assert "--n-cpu-moe" in (weights[0].why or "")
    assert "of its experts in RAM" in comparison.notes[0]


def test_each_sequence_of_a_shared_cache_has_its_own_state() -> None:
    """llama-server's default, four slots over one cache: 251.25 MiB of states are four times those of
    one (MrSnowNB/nemoclaw-setup: llama_server.log, Qwen3.5 35B A3B).
    """
    run = on_cards(("recurrent_state", "accelerator:0", 251.25), states=4)
    machine = apply(MACHINE, [], ["RTX A6000"])
    (row,) = held(run, "qwen3.5-35b-a3b", machine).differences
    assert row.likely == pytest.approx(251.25 * MIB, rel=0.001)


@pytest.mark.parametrize(
    ("pace", "said"),
    [
        (SeenPace(kind="decode", tokens_per_second=10.0, tokens=99, shared=True), "same time"),
        (SeenPace(kind="prompt", tokens_per_second=9.0, tokens=64, depth_tokens=4096), "4,096"),
    ],
    ids=["beside others", "behind a context"],
)
def test_a_pace_that_the_prediction_is_not_of(pace: SeenPace, said: str) -> None:
    run = Run(tool="llama.cpp log", paces=(pace,))
    (row,) = held(run, "qwen2.5-0.5b-instruct", speed=SPEED).differences
    assert row.inside is None
    assert said in (row.why or "")


def test_a_batch_of_another_size_is_not_compared() -> None:
    """-ub 2048 makes buffers of 2,048 tokens; builds before 2026-06 made room for the logits of all
    (ggml-org/llama.cpp#23861).
    """
    for batch, said in ((2048, "2,048 tokens at once (-ub)"), (512, "logits of 512 tokens")):
        run = run_of(
            f"llama_context: n_ctx = 4096\nllama_context: n_ubatch = {batch}\n"
            "llama_context: CPU compute buffer size = 302.75 MiB\n"
        )
        assert run is not None
        (row,) = held(run, "qwen2.5-0.5b-instruct").differences
        assert row.inside is None
        assert said in (row.why or "")


def test_a_table_counts_cache_and_state_together() -> None:
    """48 MiB of cache and none of a state."""
    memory = (SeenMemory(term="context", bytes=48 * MIB, rounded_bytes=MIB),)
    run = Run(tool="llama.cpp log", context_tokens=4096, kv_cache_type="f16", memory=memory)
    comparison = held(run, "qwen2.5-0.5b-instruct")
    assert comparison.outcome == "inside"
    assert "cache and state" in plain(verify_document(comparison), 100)


@pytest.mark.parametrize(
    ("name", "is_told"),
    [("ryzen 7 7840hs", False), ("AMD Ryzen 9 7940HS w/ Radeon 780M Graphics", True)],
)
def test_a_processor_is_the_same_under_its_longer_name(name: str, is_told: bool) -> None:
    """A user types `ryzen 7 7840hs`, and its system says AMD Ryzen 7 7840HS w/ Radeon 780M Graphics."""
    run = run_of("prompt eval count:    300 token(s)\nprompt eval rate:     40.0 tokens/s\n")
    assert run is not None
    run = run.replace(processor="AMD Ryzen 7 7840HS w/ Radeon 780M Graphics")
    notes = held(run, "llama-3.2-3b-instruct", MACHINE.replace(cpu_model=name)).notes
    assert any("The run was on AMD Ryzen 7 7840HS" in note for note in notes) == is_told
