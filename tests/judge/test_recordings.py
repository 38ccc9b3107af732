"""How long a recording a model hears, and what a longer one takes."""

from __future__ import annotations

import pytest

from selfhost import Verdict, Workload, check
from selfhost.machine.profiles import load


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
def test_no_model_runs_with_a_longer_recording_than_it_hears(model: str, longest: int) -> None:
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
    more_bytes = memory("granite-speech-3.3-8b", 7200)[0] - memory("granite-speech-3.3-8b", 30)[0]
    assert cache_bytes < more_bytes < 2 * cache_bytes


def test_what_a_card_says_fits_fits_nearly() -> None:
    """Parakeet's card: 24 minutes with full attention on an A100 of 80 GB, so less than half of
    that takes less than a quarter of it.
    """
    assert memory("parakeet-tdt-0.6b-v3", 1440)[1] < 83e9
    assert memory("parakeet-tdt-0.6b-v3", 1440)[0] > 40e9
    assert memory("parakeet-tdt-0.6b-v3", 600)[0] < 20e9


def test_a_long_recording_is_not_judged_in_silence_by_a_short_one() -> None:
    """Nobody measured SeamlessM4T with an hour."""
    codes = {
        seconds: {finding.code for finding in of("seamless-m4t-v2-large", seconds).findings}
        for seconds in (30, 3600)
    }
    assert "context-unmeasured" not in codes[30]
    assert "context-unmeasured" in codes[3600]
    # Whisper hears half a minute at a time, whatever the length
    whisper = of("whisper-large-v3", 36_000)
    assert whisper.can_run
    assert not whisper.finding("context")
