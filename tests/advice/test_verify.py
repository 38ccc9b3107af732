"""Predicted beside seen. The memory is that of real runs of llama.cpp 0c1e570 (tests/data/logs)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from helpers.paths import DATA, RECORDS
from selfhost.advice import runs as module
from selfhost.advice import verify as verify_module
from selfhost.advice.run_record import Figure, Run
from selfhost.advice.runs import run_of, run_of_process
from selfhost.advice.verdicts import check_with
from selfhost.advice.verify import Identified, Verification, identify, pace_at, verify
from selfhost.catalogue.index import open_catalogue
from selfhost.core.errors import SelfhostError, UnknownModelError
from selfhost.core.workload import Workload
from selfhost.judge.pace import Range, Speed
from selfhost.machine.changes import apply
from selfhost.machine.description import cards_named
from selfhost.machine.named import named as named_machine
from selfhost.machine.profiles import load
from selfhost.machine.record import Machine, Process
from selfhost.reports.layout import plain
from selfhost.reports.verify_text import verify_document

MACHINE = Machine.from_file(RECORDS / "vm-24gib.json")
MIB = 1 << 20
LLAMA_8B = "llama-3.1-8b-instruct"


def pace(
    kind: str, rate: float, tokens: int | None = None, sequences: int = 1
) -> Figure:
    """A pace that a run reached, in tokens a second over so many tokens."""
    return Figure(
        subject="pace", term=kind, seen=rate, tokens=tokens, sequences=sequences
    )


def memory(term: str, size: int) -> Figure:
    """The bytes of RAM that a part of a run took."""
    return Figure(subject="memory", term=term, where="host", seen=size)


def held(
    run: Run, model: str = "qwen2.5-0.5b-instruct", machine: Machine = MACHINE
) -> Verification:
    """The run beside what is predicted for this model on this machine."""
    return verify(run, open_catalogue(), machine, model)


def sample(name: str) -> Run:
    """The run that a log of llama.cpp tells of."""
    log = DATA / "logs" / f"llama_log-{name}.txt"
    run = run_of(log.read_text("utf-8"))
    assert run is not None
    return run


def test_every_buffer_of_a_real_server_is_inside() -> None:
    """What llama-server printed for Qwen2.5 0.5B in Q4_K_M with 4,096 tokens of context."""
    rows = held(sample("server")).differences
    seen = {row.term: row for row in rows if row.subject == "memory"}
    assert set(seen) == {"weights", "repacked_weights", "kv_cache", "compute"}
    assert all(row.inside for row in seen.values())
    assert seen["kv_cache"].difference == 0


def test_room_for_many_logits_is_not_compared() -> None:
    """llama-completion makes room for 2,048 rows of logits, which no server does: 300 MiB of 68 are
    no fault of the prediction.
    """
    rows = {row.term: row for row in held(sample("completion")).differences}
    assert rows["compute"].inside is None
    assert "logits" in (rows["compute"].why or "")
    assert rows["weights"].inside
    assert rows["kv_cache"].inside


# RssAnon 172,648 kB and RssFile 398,004 kB of that server after a prompt of 630 tokens
SERVER = Run(
    tool="process",
    quantization="Q4_K_M",
    context_tokens=4096,
    parallel=1,
    kv_cache_type="f16",
    file_bytes=397_807_296,
    figures=(
        memory("model_file", 391_863_337),
        memory("everything_else", (172_648 + 398_004) * 1024 - 391_863_337),
        memory("total", (172_648 + 398_004) * 1024),
    ),
)


def test_a_real_process_is_inside_and_twice_as_much_outside() -> None:
    """Exit 0, and 1 with a word on what grows beside."""
    as_seen = held(SERVER)
    assert [row.inside for row in as_seen.differences] == [True, True, True]
    assert as_seen.outcome == "inside"
    assert as_seen.exit_code == 0
    twice = tuple(figure.replace(seen=2 * figure.seen) for figure in SERVER.figures)
    doubled = held(SERVER.replace(figures=twice))
    assert doubled.outcome == "outside"
    assert doubled.exit_code == 1
    assert any("--cache-ram" in note for note in doubled.notes)


@pytest.mark.parametrize(
    ("run", "why"),
    [
        pytest.param(SERVER.replace(context_tokens=None), "context", id="context"),
        pytest.param(SERVER.replace(kv_cache_type=None), "cache", id="cache"),
        pytest.param(SERVER.replace(drafts=True), "draft model", id="draft model"),
    ],
)
def test_what_the_run_does_not_tell_is_not_compared(run: Run, why: str) -> None:
    """Only the file is left to compare."""
    rows = {row.term: row for row in held(run).differences}
    assert rows["model_file"].inside is True
    assert rows["total"].inside is None
    assert why in (rows["total"].why or "")


@pytest.fixture
def _stated_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every prediction of pace is this one."""
    speed = Speed(
        decode=Range(low=4.0, likely=5.0, high=6.0),
        prompt=Range(low=40.0, likely=50.0, high=60.0),
        how="stated",
    )
    monkeypatch.setattr(verify_module, "pace_at", lambda *_: speed)


@pytest.mark.usefixtures("_stated_pace")
@pytest.mark.parametrize(
    ("figure", "inside", "exit_code"),
    [
        pytest.param(pace("decode", 4.0, 128), True, 0, id="low end"),
        pytest.param(pace("decode", 6.1, 128), False, 1, id="above"),
        pytest.param(pace("decode", 3.9), False, 1, id="below"),
        pytest.param(pace("decode", 1.0, 3), None, 2, id="3 tokens"),
        pytest.param(pace("prompt", 55.0, 512), True, 0, id="prompt"),
        pytest.param(pace("prompt", 5.0, 8), None, 2, id="prompt of 8 tokens"),
    ],
)
def test_a_pace_against_its_range(
    figure: Figure, inside: bool | None, exit_code: int
) -> None:
    """The ends belong to the range; a few tokens prove nothing."""
    comparison = held(SERVER.replace(figures=(figure,)))
    assert [row.inside for row in comparison.differences] == [inside]
    assert comparison.exit_code == exit_code


@pytest.mark.usefixtures("_stated_pace")
@pytest.mark.parametrize(
    ("rate", "told"),
    [
        pytest.param(6.1, "+22%", id="a little more"),
        pytest.param(49.0, "+880%", id="nearly ten times"),
        pytest.param(85.0, "17 times", id="many times"),
        pytest.param(8547.5, "1,710 times", id="thousands of times"),
    ],
)
def test_a_difference_is_told_as_people_read_it(rate: float, told: str) -> None:
    """`+170851%` was printed."""
    comparison = held(SERVER.replace(figures=(pace("decode", rate, 128),)))
    assert f"  {told}" in plain(verify_document(comparison))


@pytest.mark.usefixtures("_stated_pace")
def test_a_short_prompt_on_a_gpu_is_not_compared() -> None:
    """A question of 40 tokens takes a GPU as long as a whole batch: 100 tokens/s beside 1,588 is no
    fault of the prediction. On a processor it is compared.
    """
    run = Run(tool="x", figures=(pace("prompt", 10.0, 40),))
    with_card = apply(MACHINE, [], [cards_named("RTX 3060")])
    (on_card,) = held(run, LLAMA_8B, with_card).differences
    assert on_card.inside is None
    assert "512" in (on_card.why or "")
    (on_processor,) = held(run, LLAMA_8B).differences
    assert on_processor.inside is False
    # as is one of 36 tokens of MLX on a Mac
    mac = named_machine("macbook pro m4 max 64gb")[0]
    (on_mac,) = held(run, LLAMA_8B, mac).differences
    assert on_mac.inside is None


@pytest.mark.usefixtures("_stated_pace")
@pytest.mark.parametrize("layers", [24, 32, 99])
def test_what_lay_in_ram_is_not_compared(layers: int) -> None:
    """24 or 32 of 33 layers on the card are slower than all of them, which are predicted."""
    figures = (pace("decode", 25.0, 128),)
    run = Run(tool="x", quantization="Q4_K_M", figures=figures, gpu_layers=layers)
    with_card = apply(MACHINE, [], [cards_named("RTX 4090")])
    (row,) = held(run, LLAMA_8B, with_card).differences
    lay_in_ram = layers < 99
    assert (row.inside is None) is lay_in_ram
    assert ("-ngl 999" in str(row.why)) is lay_in_ram


def test_several_sequences_at_once_are_held_against_their_total() -> None:
    """A pace of four together is compared where four were judged, and not against that of one."""
    figures = tuple(pace("decode", 500.0, 80, sequences=number) for number in (1, 4, 2))
    run = Run(tool="x", runtime="vllm", parallel=4, figures=figures)
    comparison = held(run, LLAMA_8B, load("desktop-2x-rtx3090").machine)
    alone, four, two = comparison.differences
    assert alone.term == "decode"
    assert four.term == "decode_at_once"
    assert two.term == "decode_at_once"
    speed = comparison.verdict.speed
    assert speed is not None
    assert speed.parallel_total is not None
    assert four.high == speed.parallel_total.high
    assert two.high is None


def test_a_run_on_a_gpu_is_not_held_against_a_machine_without() -> None:
    """A comparison with a processor's pace would tell nothing: the remedy names the GPU."""
    run = Run(tool="llama-bench", on_processor=False, gpu="NVIDIA GeForce RTX 3060")
    with pytest.raises(SelfhostError, match="used a GPU") as refusal:
        held(run, machine=MACHINE.replace(accelerators=()))
    assert "RTX 3060" in (refusal.value.remedy or "")


@pytest.mark.parametrize(
    ("model", "runtime", "machine"),
    [
        pytest.param(
            "mistral-7b", "llama.cpp", "desktop-rtx4090-24gb", id="all on a GPU"
        ),
        pytest.param(
            "gpt-oss-120b", "llama.cpp", "desktop-rtx4090-24gb", id="experts in RAM"
        ),
        # each has a part of every layer
        pytest.param(LLAMA_8B, "vllm", "desktop-2x-rtx3090", id="two GPUs"),
    ],
)
def test_a_short_chat_is_what_check_tells(
    model: str, runtime: str, machine: str
) -> None:
    """Without a depth both give the same range; a deeper context is slower."""
    catalogue = open_catalogue()
    place = load(machine).machine
    asked = Workload(runtime=runtime, context_tokens=32_768)
    verdict = check_with(catalogue, model, asked, place, follows_machine=False)
    short = pace_at(catalogue, verdict, asked, None)
    deep = pace_at(catalogue, verdict, asked, 32_000)
    assert short is not None
    assert deep is not None
    assert short.decode is not None
    assert deep.decode is not None
    assert short == verdict.speed
    assert deep.decode.likely < short.decode.likely


# ------------------------------------------------------------------ a process


def seen(words: str) -> Process:
    """A process of 560 MiB, of which 374 are the file of a model."""
    return Process(
        words=tuple(words.split()),
        memory_bytes=560 * MIB,
        model_file="/nowhere/qwen2.5-0.5b-instruct-q4_k_m.gguf",
        model_bytes=374 * MIB,
    )


def test_a_server_by_its_options_and_kinds_of_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Long and short names, with = or apart; the last counts; what follows another option is no
    flag. The model's file apart from all else; -c is for all sequences together.
    """
    words = (
        "llama-server --model=a.gguf -c 9 -c 8192 -np 2 -t 4 -ngl 99 "
        "-ctk q8_0 -ctv q8_0 --alias -c"
    )
    monkeypatch.setattr(module, "process", lambda _number: seen(words))
    run = run_of_process("1")
    assert run.context_tokens == 4096
    assert run.parallel == 2
    assert run.threads == 4
    assert run.gpu_layers == 99
    assert run.kv_cache_type == "q8_0"
    sizes = {figure.term: figure.seen // MIB for figure in run.figures}
    assert sizes == {"model_file": 374, "everything_else": 186, "total": 560}


def test_a_process_without_a_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As is one that is not there."""
    other = seen("bash").replace(model_file=None, model_bytes=0)
    monkeypatch.setattr(module, "process", lambda _number: other)
    with pytest.raises(SelfhostError, match="no GGUF file"):
        run_of_process(str(os.getpid()))
    monkeypatch.setattr(module, "process", lambda _number: None)
    with pytest.raises(SelfhostError, match="cannot be read"):
        run_of_process("4194305")


# ------------------------------------------------------------------ its model


def test_a_run_of_another_size_than_the_typed_model_is_refused() -> None:
    """llama-bench prints 7.25 B of Mistral 7B v0.3 and 8.03 B of Llama 3.1 8B: no figure of the one
    is one of the other.
    """
    run = Run(tool="x", parameters=8_030_000_000)
    catalogue = open_catalogue()
    untold = run.replace(parameters=None)
    for same in (run, untold):
        identified = identify(same, catalogue, "llama3.1:8b")
        assert identified.model == "llama3.1:8b"
    other = run.replace(parameters=7_250_000_000)
    with pytest.raises(SelfhostError, match=r"a model with 7\.25 B") as caught:
        identify(other, catalogue, "llama3.1:8b")
    assert "NAME" in (caught.value.remedy or "")


@pytest.mark.parametrize(
    ("typed", "is_told"),
    [
        pytest.param("qwen3-8b", True, id="another"),
        pytest.param("deepseek-r1-distill-llama-8b", False, id="the same"),
        pytest.param(None, False, id="none typed"),
    ],
)
def test_a_log_of_another_model_than_the_typed_one_is_told(
    typed: str | None,
    is_told: bool,
) -> None:
    """The parameters of both are alike: nothing said that the log is of another model."""
    run = Run(
        tool="x",
        parameters=8_030_000_000,
        name="DeepSeek R1 Distill Llama 8B",
        file="/models/DeepSeek-R1-Distill-Llama-8B-Q4_K_M.gguf",
    )
    notes = verify(run, open_catalogue(), MACHINE, typed).notes
    told = [note for note in notes if "deepseek-r1-distill-llama-8b" in note]
    assert bool(told) is is_told


@pytest.mark.parametrize("name", ["Llama 3.2 1B Instruct", "tinyllama"])
def test_a_name_with_other_parameters_than_the_run_is_not_told(name: str) -> None:
    """A draft stands in the log, too, and a name may be one that somebody gave a file."""
    run = Run(tool="x", parameters=8_030_000_000, name=name)
    notes = verify(run, open_catalogue(), MACHINE, LLAMA_8B).notes
    assert not [note for note in notes if "names another model" in note]


def test_a_file_that_is_here_is_read(tmp_path: Path) -> None:
    """The file itself knows better than any name."""
    path = tmp_path / "Mistral-7B-Instruct-v0.3-Q4_K_M.gguf"
    path.write_bytes(b"GGUF")
    run = Run(tool="x", file=str(path))
    identified = identify(run, open_catalogue(), None)
    assert identified == Identified(model=path, by="file", states_quantization=True)


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(Run(tool="x"), id="nothing"),
        pytest.param(Run(tool="x", parameters=8_190_000_000), id="parameters"),
        pytest.param(Run(tool="x", file="a\0b.gguf"), id="no name of a file"),
    ],
)
def test_a_run_that_tells_nothing_asks_for_a_name(run: Run) -> None:
    """The remedy is the option."""
    with pytest.raises(UnknownModelError) as caught:
        identify(run, open_catalogue(), None)
    assert "--model" in (caught.value.remedy or "")


@pytest.mark.parametrize(
    ("file", "name", "by"),
    [
        pytest.param(
            "C:\\m\\Mistral-7B-Instruct-v0.3-Q4_K_M-00001-of-00002.gguf",
            None,
            "file-name",
            id="of the file",
        ),
        pytest.param(
            "sha256-0011", "Mistral-7B-Instruct-v0.3", "name", id="inside the file"
        ),
    ],
)
def test_a_name_that_the_run_tells(file: str, name: str | None, by: str) -> None:
    """The file's name goes before the one inside it; either may be of any path."""
    run = Run(tool="x", file=file, name=name)
    identified = identify(run, open_catalogue(), None)
    assert identified.by == by
    assert str(identified.model).lower().startswith("mistral-7b-instruct-v0.3")


def test_a_benchmark_behind_a_long_context_is_slower() -> None:
    """llama-bench names no context, and `@ d16384` reads behind more than the default: each token
    reads that cache too.
    """
    figures = (
        pace("decode", 9.0, 128),
        pace("decode", 2.5, 128).replace(depth_tokens=16_448),
    )
    run = Run(tool="x", runtime="llama.cpp", quantization="Q4_K_M", figures=figures)
    short, deep = held(run, "mistral-7b-instruct-v0.3").differences
    assert short.likely is not None
    assert deep.likely is not None
    assert deep.likely < 0.7 * short.likely
