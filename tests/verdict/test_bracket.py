"""More need never gets a better answer, and that is all that is taken for granted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from selfhost import Machine, Workload
from selfhost.catalogue.opened import open_catalogue
from selfhost.verdict.bracket import (
    FAILS,
    OPEN,
    RUNS,
    arranged,
    may_bracket,
    outlook,
    program_of,
    sketch_of,
)
from selfhost.verdict.findings.speed import is_too_slow
from selfhost.verdict.judging import judge
from selfhost.verdict.question import ask

GIB = 2**30
MODELS = ("gpt-4o", "gpt2", "mistral-7b-instruct-v0.3", "mixtral-8x7b-instruct-v0.1", "opt-125m", "whisper-base",
          "whisper-large-v3", "bge-m3", "kitten-tts-nano", "janus-pro-7b", "audioldm2", "trocr-base-handwritten",
          "cogvideox-2b", "wan2.1-t2v-1.3b", "kokoro-82m", "musicgen-small", "qwen3-asr-0.6b",
          "clip-vit-base-patch32", "jina-embeddings-v3", "potion-base-8m")  # fmt: skip
MACHINE = Machine(
    name="server", system="linux", architecture="x86_64", cpu_cores_usable=4, instruction_sets=("avx", "avx2", "bmi2", "f16c", "fma", "sse2"),
    accelerators=(), runtimes=(), models_present=(),
)  # fmt: skip
QUESTIONS = [ask(open_catalogue().spec(id), Workload(), open_catalogue(), MACHINE) for id in MODELS]
PROGRAMS = [program_of(question) for question in QUESTIONS]
SKETCHES = arranged(
    {question.spec.id: sketch_of(question, number) for number, question in enumerate(QUESTIONS)},
    PROGRAMS.__getitem__,
)


@given(
    total=st.integers(GIB // 8, 200 * GIB),
    free=st.floats(0, 1),
    bandwidth=st.integers(10**9, 400 * 10**9),
    cores=st.floats(0.1, 4),
)
def test_a_sketch_is_answered_as_its_question(
    total: int, free: float, bandwidth: int, cores: float
) -> None:
    """Whatever the memory, its bandwidth and the cores: what fails, what is not known and what is slow is as `judge` finds it."""
    machine = MACHINE.replace(
        memory_total_bytes=total, memory_limit_bytes=total, memory_available_bytes=int(free * total),
        memory_bandwidth_bytes_per_second=bandwidth, cpu_cores_usable=cores,
    )  # fmt: skip
    left = outlook(SKETCHES, PROGRAMS.__getitem__, machine, is_too_slow)
    for question in QUESTIONS:
        judged = judge(question, machine)
        expected = FAILS if judged.failed else OPEN if judged.unknown else RUNS
        is_slow = not judged.failed and is_too_slow(judged, question.workload.min_tokens_per_second)
        assert left[question.spec.id] == (expected, is_slow)


def test_the_pace_of_speech_is_sketched() -> None:
    """A minute of audio takes longer than it lasts on a quarter of a core, and whisper-base less on four."""
    for cores in (0.25, 4.0):
        machine = MACHINE.replace(
            memory_total_bytes=24 * GIB, memory_limit_bytes=24 * GIB, memory_available_bytes=24 * GIB,
            memory_bandwidth_bytes_per_second=40 * 10**9, cpu_cores_usable=cores,
        )  # fmt: skip
        left = outlook(SKETCHES, PROGRAMS.__getitem__, machine, is_too_slow)
        slow = {id for id, (_, is_slow) in left.items() if is_slow}
        assert ("whisper-base" in slow) == (cores < 1)
        assert "whisper-large-v3" in slow or cores > 1


def test_what_holds_for_a_part_of_the_memory_is_not_sketched() -> None:
    """Accelerators, limits of a shell, and the time of an answer depend on more than a sketch has."""
    assert may_bracket(MACHINE, Workload())
    assert not may_bracket(MACHINE.replace(accelerators=None), Workload())
    assert not may_bracket(MACHINE.replace(private_memory_bytes=GIB), Workload())
    assert not may_bracket(MACHINE, Workload(prompt_tokens=100))
