"""Predicted beside seen. The memory is that of real runs of llama.cpp 0c1e570 (tests/data/logs)."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.paths import DATA, RECORDS
from selfhost.advice.verdicts import check_with
from selfhost.advice.verify.comparison import (
    Comparison,
    compare,
    machine_of,
    paces_at,
    workload_of,
)
from selfhost.advice.verify.logs import run_of
from selfhost.advice.verify.run import Run, SeenMemory, SeenPace
from selfhost.catalogue.index import open_catalogue
from selfhost.core.errors import SelfhostError
from selfhost.core.workload import Workload
from selfhost.judge.pace.speed import PaceRange, Speed
from selfhost.machine.changes import apply
from selfhost.machine.named import named as named_machine
from selfhost.machine.profiles import load
from selfhost.machine.reader import Machine

MACHINE = Machine.from_file(RECORDS / "vm-24gib.json")


def held(
    run: Run, model: str, machine: Machine = MACHINE, speed: Speed | None = None
) -> Comparison:
    machine, _ = machine_of(run, machine)
    verdict = check_with(open_catalogue(), model, workload_of(run), machine, instead=False)
    return compare(run, verdict, lambda _depth: speed, open_catalogue().runtime(run.runtime))


def test_room_for_many_logits_is_not_compared() -> None:
    """llama-completion makes room for 2,048 rows of logits, which no server does: 300 MiB of 68 are no fault of the prediction."""
    run = run_of((DATA / "logs" / "llama_log-completion.txt").read_text("utf-8"))
    assert run is not None
    rows = {row.term: row for row in held(run, "qwen2.5-0.5b-instruct").differences}
    assert rows["compute"].inside is None
    assert "logits" in (rows["compute"].why or "")
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
    rows = compare(run, judged, lambda _depth: speed).differences
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


def test_a_short_prompt_on_a_gpu_is_not_compared() -> None:
    """A question of 40 tokens takes a GPU as long as a whole batch: 100 tokens/s beside 1,588 is no fault of the prediction. On a processor it is compared."""
    prompt = SeenPace(kind="prompt", tokens_per_second=10.0, tokens=40)
    run = Run(tool="ollama --verbose", paces=(prompt,))
    on_card = held(run, "llama-3.1-8b-instruct", apply(MACHINE, [], ["RTX 3060"]), speed=SPEED)
    assert on_card.differences[0].inside is None
    assert "512" in (on_card.differences[0].why or "")
    assert held(run, "llama-3.1-8b-instruct", speed=SPEED).differences[0].inside is False
    # as is one of 36 tokens of MLX on a Mac
    mac = named_machine("macbook pro m4 max 64gb").noted
    assert held(run, "llama-3.1-8b-instruct", mac, speed=SPEED).differences[0].inside is None


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
    """The GPU is what a run with all layers on it is compared by."""
    run = Run(
        tool="llama-bench",
        gpu_layers=99,
        on_processor=False,
        gpu=gpu,
        paces=(SeenPace(kind="decode", tokens_per_second=3.0, tokens=128),),
    )
    notes = held(run, "llama-3.1-8b-instruct", apply(MACHINE, [], [here]), speed=SPEED).notes
    assert any("The run was on NVIDIA" in note for note in notes) is is_told


@pytest.mark.parametrize(
    ("figure", "tokens_per_second", "is_possible"),
    [
        ("decode", 1e11, False),
        # Llama 3.2 3B has 2 GB in Q4_K_M: eight GPUs of 8 TB/s (B300, NVIDIA's data sheet) read it 32,000 times
        ("decode", 40_000.0, False),
        ("decode", 25_000.0, True),
        ("prompt", 1e11, False),
        # half of the peak of one B200 (2,250 x 10^12 operations a second), 6.4 x 10^9 a token
        ("prompt", 175_000.0, True),
    ],
)
def test_a_pace_that_no_machine_has_is_called_impossible(
    figure: str, tokens_per_second: float, *, is_possible: bool
) -> None:
    pace = SeenPace(kind=figure, tokens_per_second=tokens_per_second, tokens=2048)
    card = apply(MACHINE, [], ["RTX 4090"])
    comparison = held(Run(tool="x", paces=(pace,)), "llama-3.2-3b-instruct", card, speed=SPEED)
    (row,) = comparison.differences
    assert (row.inside is None) is not is_possible
    assert is_possible or "cannot be right" in str(row.why)
    assert any("another machine or model" in note for note in comparison.notes) is is_possible


@pytest.mark.parametrize(
    ("options", "is_part"),
    [
        ({"gpu_layers": 24}, True),
        ({"gpu_layers": 99}, False),
        ({"gpu_layers": 0, "on_processor": True}, False),
    ],
)
def test_what_lay_in_ram_is_not_compared(options: dict[str, Any], *, is_part: bool) -> None:
    """24 of 33 layers on the card is far slower than all of them, which are predicted."""
    pace = SeenPace(kind="decode", tokens_per_second=25.0, tokens=128)
    run = Run(tool="llama-bench", quantization="Q4_K_M", paces=(pace,), **options)
    card = apply(MACHINE, [], ["RTX 4090"])
    (row,) = held(run, "llama-3.1-8b-instruct", card, speed=SPEED).differences
    assert (row.inside is None) is is_part
    assert ("-ngl 999" in str(row.why)) is is_part


@pytest.mark.parametrize(
    ("backend", "machine", "named"),
    [
        ("Metal", "rtx 4090", "m4 max 64gb"),
        ("CUDA", "m4 max 64gb", "RTX 4090"),
        ("ROCm", "rtx 4090", "RX 7900 XTX"),
    ],
)
def test_a_run_on_another_makers_gpu_is_not_compared(
    backend: str, machine: str, named: str
) -> None:
    """A table of Metal beside an RTX 4090 was 95 % below, and other programs were to blame."""
    run = Run(tool="llama-bench", backends=(backend, "BLAS"), on_processor=False)
    with pytest.raises(SelfhostError, match=backend) as refusal:
        machine_of(run, named_machine(machine).noted)
    assert named in (refusal.value.remedy or "")


@pytest.mark.parametrize(
    ("model", "runtime", "machine"),
    [
        ("mistral-7b", "llama.cpp", "desktop-rtx4090-24gb"),
        # experts in RAM, and layers of which each of two GPUs has a part
        ("gpt-oss-120b", "llama.cpp", "desktop-rtx4090-24gb"),
        ("llama-3.1-8b-instruct", "vllm", "desktop-2x-rtx3090"),
    ],
)
def test_a_short_chat_is_what_check_tells(model: str, runtime: str, machine: str) -> None:
    """Without a depth both give the same range; a deeper context is slower."""
    catalogue, place = open_catalogue(), load(machine).machine
    verdict = check_with(catalogue, model, Workload(runtime=runtime), place, instead=False)
    at = paces_at(verdict, catalogue.runtime(runtime), catalogue)
    short, deep = at(None), at(32_000)
    assert short is not None
    assert short.decode is not None
    assert verdict.speed is not None
    assert short.decode == verdict.speed.decode
    assert deep is not None
    assert deep.decode is not None
    assert deep.decode.likely < short.decode.likely
