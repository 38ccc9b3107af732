"""Pictures and clips of a size that options state."""

from __future__ import annotations

import pytest

from judge.small import memory_of
from selfhost import Verdict, Workload, WorkloadError, check

H100 = "H100 SXM 80GB, 256GB RAM"
DIFFUSERS = Workload(runtime="diffusers", quantization="bfloat16")


def answer(
    model: str, workload: Workload, machine: str = H100, **options: str
) -> Verdict:
    return check(model, workload.replace(runtime_options=options), machine=machine)


def seconds_of(verdict: Verdict) -> float:
    assert verdict.speed is not None
    assert verdict.speed.work is not None
    return verdict.speed.work.likely


def test_the_own_size_is_the_same_stated_or_not() -> None:
    stated = answer(
        "wan2.1-t2v-14b", DIFFUSERS, width="832", height="480", num_frames="81"
    )
    unsaid = answer("wan2.1-t2v-14b", DIFFUSERS)
    assert seconds_of(stated) == pytest.approx(seconds_of(unsaid))
    assert memory_of(stated).total_bytes == memory_of(unsaid).total_bytes


def test_a_larger_clip_takes_more_memory_and_longer_than_its_pixels() -> None:
    """54 to 65 GB are told of 720p (willitrunai.com, spheron.network); attention grows with the
    square of the pixels (arXiv:2509.19222).
    """
    small = answer("wan2.1-t2v-14b", DIFFUSERS)
    large = answer("wan2.1-t2v-14b", DIFFUSERS, width="1280", height="720")
    pixels = 1280 * 720 / (832 * 480)
    assert pixels < seconds_of(large) / seconds_of(small) < pixels**2
    need = memory_of(large)
    assert 54e9 <= need.high_bytes <= 65e9
    assert need.low_bytes > memory_of(small).low_bytes


def test_fewer_frames_and_steps_take_less() -> None:
    whole = answer("wan2.1-t2v-14b", DIFFUSERS)
    short = answer("wan2.1-t2v-14b", DIFFUSERS, num_frames="33")
    quick = answer("wan2.1-t2v-14b", DIFFUSERS, num_inference_steps="25")
    assert seconds_of(short) < seconds_of(whole) * 33 / 81 * 1.1
    assert seconds_of(whole) / 2.2 < seconds_of(quick) < seconds_of(whole) / 1.7


def test_a_smaller_picture_is_told_as_it_was_timed() -> None:
    """pruna.ai, 2025-02-17: FLUX.1 [dev], 512 × 512, 50 steps, 8.71 seconds on an L40S."""
    verdict = answer(
        "flux.1-dev",
        DIFFUSERS,
        machine="L40S, 128GB RAM",
        width="512",
        height="512",
        num_inference_steps="50",
    )
    assert verdict.speed is not None
    assert verdict.speed.work is not None
    assert verdict.speed.work.low <= 8.71 <= verdict.speed.work.high
    assert "512 × 512" in (verdict.speed.how or "")


def test_the_command_states_the_size() -> None:
    still = answer(
        "sdxl", Workload(runtime="diffusers"), width="768", num_inference_steps="20"
    )
    assert "height=1024, width=768, num_inference_steps=20" in still.commands[-1]
    clip = answer("wan2.1-t2v-14b", DIFFUSERS, num_frames="33")
    assert "height=480, width=832, num_frames=33" in clip.commands[-1]
    drawn = answer("flux.1-dev", Workload(runtime="comfyui"), width="768", steps="30")
    assert "768 × 1024, 30 steps" in drawn.commands[-1]


def test_without_a_size_the_command_is_as_before() -> None:
    verdict = answer("sdxl", Workload(runtime="diffusers"))
    assert "height" not in verdict.commands[-1]


@pytest.mark.parametrize(
    ("model", "options", "why"),
    [
        pytest.param("flux.1-dev", {"num_frames": "81"}, "makes pictures", id="still"),
        pytest.param("flux.1-dev", {"width": "9000"}, "from 64 to 8192", id="too wide"),
        pytest.param("audioldm2", {"width": "512"}, "is not known", id="music"),
    ],
)
def test_a_size_that_makes_no_sense_is_refused(
    model: str, options: dict[str, str], why: str
) -> None:
    with pytest.raises(WorkloadError, match=why):
        answer(model, Workload(runtime="diffusers"), **options)


def test_a_5b_clip_of_720p_has_room_in_8_gb_by_parts() -> None:
    """docs.comfy.org, Wan 2.2: the 5B version fits 8 GB with ComfyUI's offloading."""
    verdict = answer(
        "wan2.2-ti2v-5b",
        Workload(runtime="comfyui", quantization="fp8"),
        machine="RTX 4060, 32GB RAM",
        width="1280",
        height="704",
        length="121",
    )
    assert verdict.can_run
    assert verdict.needs is not None
    assert verdict.needs.placement != "ram"
