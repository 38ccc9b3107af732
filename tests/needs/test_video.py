"""Models of video and music: what is stated stands, and what follows from it."""

from __future__ import annotations

import json

import pytest

from selfhost.cli.main import main


def _answer(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, object]:
    main(["check", *options, "--json"])
    answer: dict[str, object] = json.loads(capsys.readouterr().out)
    return answer


def test_a_video_runs_by_parts_where_the_whole_does_not_fit(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """CogVideoX 5B asks for 26 GB at most with all of it on the GPU (model card); 24 GB hold it by parts."""
    answer = _answer(capsys, "cogvideox-5b", "--machine", "desktop-rtx4090-24gb")
    text = json.dumps(answer)
    assert "enable_model_cpu_offload" in text
    assert "export_to_video" in text


def test_what_the_publisher_states_is_the_need(capsys: pytest.CaptureFixture[str]) -> None:
    """Wan 2.2 A14B: 80 GB (model card), of which 68.8 are weights in 16 bits."""
    text = json.dumps(_answer(capsys, "wan2.2-t2v-a14b", "--machine", "aws-p5.4xlarge"))
    assert "80000000000" in text
    assert "to('cuda')" in text
