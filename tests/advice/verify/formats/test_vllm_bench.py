"""What `vllm bench` prints."""

from __future__ import annotations

import pytest

from selfhost.advice.verify.formats.vllm_bench import read


def served(requests: int, at_once: int | None) -> str:
    limit = "" if at_once is None else f"Maximum request concurrency:             {at_once}\n"
    return (
        "============ Serving Benchmark Result ============\n"
        f"Successful requests:                     {requests}        \n{limit}"
        f"Total input tokens:                      {256 * requests}\n"
        f"Total generated tokens:                  {128 * requests}\n"
        "Output token throughput (tok/s):         38.98\n"
        "Mean TPOT (ms):                          30.00\nMedian TPOT (ms):                        25.00\n"
    )


@pytest.mark.parametrize(
    ("requests", "at_once", "pace"), [(20, 1, 40), (20, 4, 160), (1, None, 40), (2, 8, 80)]
)
def test_a_token_s_time_is_the_pace(requests: int, at_once: int | None, pace: int) -> None:
    """The time of the prompts is not in it; several requests at once are their sum."""
    run = read(served(requests, at_once))
    assert run is not None
    (seen,) = run.paces
    assert (seen.tokens_per_second, seen.sequences) == (pace, pace // 40)
    assert (seen.tokens, seen.depth_tokens) == (128, 256 + 64)


def test_without_a_limit_nobody_knows_how_many_ran_at_once() -> None:
    """All requests are sent at once then, and the server takes as many as it has room for."""
    assert read(served(20, None)) is None
