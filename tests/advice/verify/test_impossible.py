"""Paces that no run has."""

import pytest

from selfhost import check
from selfhost.advice.verify.comparison import compare, workload_of
from selfhost.advice.verify.formats import run_of
from selfhost.judge.pace.speed import PaceRange, Speed

WIDE = PaceRange(low=50.0, likely=100.0, high=200.0)


@pytest.mark.parametrize(
    ("line", "is_possible"),
    [
        ("eval rate:            100000000000.00 tokens/s", False),
        # Llama 3.2 3B has 2 GB in Q4_K_M: eight GPUs of 8 TB/s (B300, NVIDIA's data sheet) read it 32,000 times
        ("eval rate:            40000.00 tokens/s", False),
        ("eval rate:            25000.00 tokens/s", True),
        ("prompt eval rate:     100000000000.00 tokens/s", False),
        # half of the peak of one B200 (2,250 x 10^12 operations a second), 6.4 x 10^9 a token
        ("prompt eval rate:     175000.00 tokens/s", True),
    ],
)
def test_a_pace_that_no_machine_has_is_called_impossible(line: str, is_possible: bool) -> None:
    """10^11 tokens a second were said to be "most often that of another machine or model"."""
    count = "prompt eval count:    2048 token(s)\neval count:           2048 token(s)\n"
    run = run_of(f"{count}{line}\n")
    assert run is not None
    verdict = check("llama-3.2-3b-instruct", workload_of(run), machine="rtx 4090")
    speed = Speed(how="", decode=WIDE, prompt=WIDE)
    comparison = compare(run, verdict, by="typed", is_public=True, speed_at=lambda _depth: speed)
    (row,) = (each for each in comparison.differences if each.seen is not None)
    assert (row.why is None) is is_possible
    assert (row.inside is None) is not is_possible
    assert any("another machine or model" in note for note in comparison.notes) is is_possible
    assert is_possible or "cannot be right" in str(row.why)
