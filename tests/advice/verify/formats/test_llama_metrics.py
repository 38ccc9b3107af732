"""`/metrics` of llama-server."""

from __future__ import annotations

from helpers.paths import DATA
from selfhost.advice.verify.formats.llama_metrics import read

SAMPLE = (DATA / "logs" / "llama_metrics-sums.txt").read_text("utf-8")


def test_the_pace_is_the_sum_of_tokens_by_that_of_seconds() -> None:
    """The averages that the server prints beside: 630 / 30 = 21 and 120 / 25 = 4.8."""
    run = read(SAMPLE)
    assert run is not None
    assert {pace.kind: pace.tokens_per_second for pace in run.paces} == {
        "prompt": 21.0,
        "decode": 4.8,
    }
    assert not any(pace.shared for pace in run.paces)


def test_slots_that_were_busy_at_once_shared_it() -> None:
    """`n_busy_slots_per_decode` is 1 where one request ran alone."""
    run = read(SAMPLE.replace("n_busy_slots_per_decode 1", "n_busy_slots_per_decode 3.2"))
    assert run is not None
    assert all(pace.shared for pace in run.paces)


def test_an_idle_server_tells_no_pace() -> None:
    """A published one: every sum is 0."""
    assert (
        read("llamacpp:tokens_predicted_total 0\nllamacpp:tokens_predicted_seconds_total 0\n")
        is None
    )
