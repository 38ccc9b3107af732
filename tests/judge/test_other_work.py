"""The pace of work that is no text, beside runs that others published, and how long a recording a
model hears.
"""

from __future__ import annotations

from typing import Any

import pytest

from helpers.machines import machine_with
from judge.small import finding_of, speed_of
from selfhost import Machine, Verdict, Workload, check
from selfhost.core.errors import WorkloadError
from selfhost.judge.checks import Outcome
from selfhost.judge.pace import Range
from selfhost.machine.profiles import load


def seen(model: str, machine: Machine, **asked: Any) -> Verdict:
    return check(model, Workload(**asked), machine=machine)


def work_of(verdict: Verdict) -> Range:
    work = speed_of(verdict).work
    assert work is not None
    return work


def holds(verdict: Verdict, figure: float, most_wide: float) -> bool:
    """The range holds a published figure, and is no wider than that many times."""
    work = work_of(verdict)
    assert work.low < work.likely < work.high
    return bool(work.low <= figure <= work.high <= most_wide * work.low)


@pytest.mark.parametrize(
    ("model", "machine", "asked", "seconds_per_minute"),
    [
        # SYSTRAN/faster-whisper, README: 13 minutes of audio, 5 beams; RTX 3070 Ti, Core i7-12700K
        ("whisper-large-v2", machine_with("NVIDIA GeForce RTX 3070 Ti", 8),
         {"runtime": "faster-whisper"}, 63 / 13),
        ("whisper-large-v2", machine_with("NVIDIA GeForce RTX 3070 Ti", 8), {}, 65 / 13),
        ("whisper-small", machine_with(), {}, 125 / 13),
        ("whisper-small", machine_with(), {"runtime": "faster-whisper", "quantization": "int8"},
         102 / 13),
        # SYSTRAN/faster-whisper#1030: the same minutes on an RTX 2080 Ti
        ("whisper-large-v3", machine_with("NVIDIA GeForce RTX 2080 Ti", 11),
         {"runtime": "faster-whisper", "quantization": "float16"}, 52 / 13),
        ("whisper-large-v3-turbo", machine_with("NVIDIA GeForce RTX 2080 Ti", 11),
         {"runtime": "faster-whisper", "quantization": "float16"}, 19.2 / 13),
        # x2q.net, 2026: large-v3-turbo at 56 times real time on an RTX 4070 Ti
        ("whisper-large-v3-turbo", machine_with("NVIDIA GeForce RTX 4070 Ti", 12),
         {"runtime": "faster-whisper"}, 60 / 56),
        # sanchit-gandhi/whisper-jax#186 (2024-03): 120 seconds in 7.7 on a T4
        ("whisper-large-v3", machine_with("Tesla T4", 16), {"runtime": "faster-whisper"}, 3.85),
    ],
)  # fmt: skip
def test_audio_takes_as_long_as_published_runs(
    model: str, machine: Machine, asked: dict[str, str], seconds_per_minute: float
) -> None:
    verdict = seen(model, machine, **asked)
    assert speed_of(verdict).unit == "seconds_per_audio_minute"
    assert holds(verdict, seconds_per_minute, 20 if not machine.accelerators else 8)


def test_a_picture_on_a_ryzen_ai_max_takes_as_long_as_was_published() -> None:
    """kyuz0/amd-strix-halo-comfyui-toolboxes@2485f6e7: docs/benchmark_results.json: 354.9 seconds
    with loading for 20 steps at 1,328 pixels, of which each is 1.86 steps at 1,024.
    """
    workload = Workload(runtime="comfyui")
    verdict = check("qwen-image-2512", workload, machine="strix-halo-128gb")
    assert holds(verdict, 354.9 * 50 / (20 * 1.86), 4)


def test_an_offloaded_picture_takes_longer_by_the_measured_factor() -> None:
    """FLUX.1 [dev] on an A100: 26 seconds whole, 56 with its components moved in turn, 300 by
    layers.
    """
    whole = seen(
        "flux.1-dev",
        machine_with("NVIDIA GeForce RTX 4090", 48),
        quantization="bfloat16",
    )
    parts = seen(
        "flux.1-dev",
        machine_with("NVIDIA GeForce RTX 4090", 32),
        quantization="bfloat16",
    )
    assert 1.4 <= work_of(parts).likely / work_of(whole).likely <= 2.2
    finding = finding_of(parts, "speed")
    assert (finding.outcome, finding.code) == (Outcome.WARN, "speed-picture")


def test_a_stated_dataset_takes_its_tokens_by_the_pace() -> None:
    """Two million tokens at 628 a second (Qwen2.5 1.5B on an RTX 4060, arXiv:2509.12229) take 53
    minutes. Nobody published enough runs on CPUs; without tokens nothing is told.
    """
    card = machine_with("NVIDIA GeForce RTX 4060", 8)
    asked = {"task": "finetune", "finetune_method": "lora", "context_tokens": 1024}
    of_card = speed_of(
        seen("qwen2.5-1.5b-instruct", card, dataset_tokens=2_000_000, **asked)
    ).dataset_seconds
    of_cpu = speed_of(
        seen("qwen2.5-1.5b-instruct", machine_with(), dataset_tokens=2_000_000, **asked)
    ).dataset_seconds
    assert of_card is not None
    assert of_card.low < 2_000_000 / 628 < of_card.high
    assert of_cpu is None
    assert (
        speed_of(seen("qwen2.5-1.5b-instruct", card, **asked)).dataset_seconds is None
    )
    with pytest.raises(WorkloadError):
        Workload(dataset_tokens=2_000_000)


@pytest.mark.parametrize(
    ("model", "asked", "outcome"),
    [
        ("whisper-tiny", {}, Outcome.PASS),
        # the encoder alone: 5.2 × 10^12 operations a minute on two cores of an old board
        ("whisper-large-v3", {}, Outcome.WARN),
        ("qwen2.5-1.5b-instruct", {"task": "finetune"}, Outcome.WARN),
    ],
)
def test_work_that_takes_hours_is_no_plain_yes(
    model: str, asked: dict[str, str], outcome: Outcome
) -> None:
    board = machine_with(
        cpu_model="Celeron N3450", cpu_cores_physical=2, cpu_cores_usable=2.0,
        instruction_sets=("avx2", "fma", "f16c"),
    )  # fmt: skip
    finding = finding_of(seen(model, board, **asked), "speed")
    assert finding.outcome is outcome


def test_a_video_on_cores_takes_hours() -> None:
    """The finding leads with the time: nobody sits and waits for it."""
    finding = finding_of(seen("wan2.2-ti2v-5b", machine_with()), "speed")
    assert (finding.outcome, finding.code) == (Outcome.WARN, "speed-hours")


def test_what_nothing_tells_is_said_and_decides_nothing() -> None:
    """A card of which neither name nor memory bandwidth is known."""
    verdict = seen("whisper-tiny", machine_with("Moore Threads MTT S80", 16))
    assert speed_of(verdict).work is None
    finding = finding_of(verdict, "speed")
    assert finding.code == "speed-not-known"
    assert not finding.decides


@pytest.mark.parametrize(
    ("model", "machine", "asked"),
    [
        pytest.param(
            "musicgen-small",
            machine_with("NVIDIA GeForce RTX 4090", 24),
            {},
            id="music",
        ),
        pytest.param(
            "wan2.1-t2v-1.3b",
            machine_with("AMD Radeon RX 7900 XTX", 24),
            {},
            id="video on AMD",
        ),
        pytest.param("wan2.1-t2v-1.3b", machine_with(), {}, id="video on a CPU"),
        pytest.param(
            "qwen2.5-1.5b-instruct",
            machine_with("AMD Radeon RX 7900 XTX", 24),
            {"task": "finetune"},
            id="training on AMD",
        ),
        pytest.param(
            "qwen2.5-1.5b-instruct",
            machine_with(),
            {"task": "finetune"},
            id="training on a CPU",
        ),
        pytest.param(
            "whisper-small",
            machine_with("AMD Radeon RX 7900 XTX", 24),
            {"runtime": "whisper.cpp"},
            id="recognizer on AMD",
        ),
    ],
)
def test_a_pace_of_few_timed_runs_is_not_told(
    model: str, machine: Machine, asked: dict[str, str]
) -> None:
    """Fewer than five independent runs: the answer says so, and the route does not depend on it."""
    verdict = seen(model, machine, **asked)
    assert speed_of(verdict).work is None
    assert speed_of(verdict).how.startswith("fewer than five independent timed runs of")
    assert not finding_of(verdict, "speed").decides


# what others published of a whole GPU that makes a clip, in seconds a step with guidance: model,
# GPU, GB, seconds (see `video` in gpus.toml): 50 steps of 240 s; a step; 50 steps of 6.5 minutes;
# 50 of an hour and of half an hour
CLIPS = [
    ("wan2.1-t2v-1.3b", "NVIDIA GeForce RTX 4090", 24, 240 / 50),
    ("wan2.1-t2v-14b", "NVIDIA H100 80GB HBM3", 80, 390 / 50),
    ("hunyuanvideo", "NVIDIA A100-SXM4-80GB", 80, 3600 / 50),
    ("hunyuanvideo", "NVIDIA H100 80GB HBM3", 80, 1800 / 50),
]


@pytest.mark.parametrize(("model", "gpu", "gb", "seconds"), CLIPS)
def test_clips_on_a_gpu_take_what_others_published(
    model: str, gpu: str, gb: int, seconds: float
) -> None:
    """Inside a range of five times, of 50 steps with the clip's size told."""
    verdict = check(model, Workload(runtime="diffusers"), machine=machine_with(gpu, gb))
    assert holds(verdict, 50 * seconds, 5)
    assert speed_of(verdict).unit == "seconds_per_video"
    assert "frames of" in speed_of(verdict).how


def of(model: str, seconds: int | None, machine: str = "server-8x-h100") -> Verdict:
    return check(model, Workload(audio_seconds=seconds), machine=load(machine).machine)


@pytest.mark.parametrize(
    ("model", "longest"),
    [
        # model card: up to 30 minutes of audio to transcribe
        ("voxtral-mini-3b-2507", 1800),
        # model card: 40 seconds
        ("canary-qwen-2.5b", 40),
        # model card: 24 minutes with full attention
        ("parakeet-tdt-0.6b-v3", 1440),
        # transformers 5.23.0: GlmAsrProcessor(max_audio_len=655) cuts the rest off
        ("glm-asr-nano-2512", 655),
        # the feature extractor of Whisper, whose encoder it has
        ("qwen2-audio-7b-instruct", 30),
    ],
)
def test_no_model_runs_with_a_longer_recording_than_it_hears(
    model: str, longest: int
) -> None:
    codes = {
        seconds: [finding.code for finding in of(model, seconds).findings]
        for seconds in (longest, longest + 1)
    }
    assert "context-recording-too-long" not in codes[longest]
    assert "context-recording-too-long" in codes[longest + 1]
    assert not of(model, longest + 1).can_run


def memory(model: str, seconds: int) -> tuple[int, int]:
    needs = of(model, seconds).needs
    assert needs is not None
    assert needs.memory is not None
    return sum(term.bytes for term in needs.memory.terms), needs.memory.high_bytes


def test_the_cache_of_a_long_recording_counts() -> None:
    """Granite's text model caches 40 layers of 8 heads of 128 keys and values in 16 bits for each
    of 10 tokens a second: 11.8 GB in two hours.
    """
    cache_bytes = 40 * 8 * 128 * 2 * 2 * 10 * 7200
    more_bytes = (
        memory("granite-speech-3.3-8b", 7200)[0]
        - memory("granite-speech-3.3-8b", 30)[0]
    )
    assert cache_bytes < more_bytes < 2 * cache_bytes


def test_a_long_recording_is_not_judged_in_silence_by_a_short_one() -> None:
    """Nobody measured SeamlessM4T with an hour."""
    codes = {
        seconds: {
            finding.code for finding in of("seamless-m4t-v2-large", seconds).findings
        }
        for seconds in (30, 3600)
    }
    assert "context-unmeasured" not in codes[30]
    assert "context-unmeasured" in codes[3600]
    # Whisper hears half a minute at a time, whatever the length
    whisper = of("whisper-large-v3", 36_000)
    assert whisper.can_run
    assert not whisper.finding("context")


@pytest.mark.parametrize(
    ("machine", "type"),
    [
        pytest.param("rtx 4060 ti 8gb", "float16", id="a GPU with room"),
        pytest.param("gtx 1060 6gb", "int8", id="a GPU without 16 bits"),
        pytest.param("rtx 3050 4gb", "int8", id="a GPU without room"),
        pytest.param("64gb ram, no gpu", "int8", id="a processor"),
    ],
)
def test_a_recording_is_read_in_the_type_of_the_files_where_a_gpu_takes_it(
    machine: str, type: str
) -> None:
    """CTranslate2 documentation, quantization: float16 of the files stays on a GPU of compute
    capability 7.0 and newer; 4,221 MiB of an RTX 4060 Ti were seen (voxvault).
    """
    asked = Workload(runtime="faster-whisper", audio_seconds=3600)
    verdict = check("whisper-large-v3", asked, machine=machine)
    assert verdict.workload.quantization == type
    assert any(f"compute_type='{type}'" in line for line in verdict.commands)
    if type == "float16":
        assert verdict.memory is not None
        on_gpu = [place for place in verdict.memory.places if place.where != "host"]
        [gpu] = on_gpu
        assert gpu.low_bytes < 4_221 * 2**20 < gpu.high_bytes
