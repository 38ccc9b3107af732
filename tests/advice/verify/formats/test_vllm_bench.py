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


def test_a_throughput_counts_for_one_request_alone() -> None:
    """128 output tokens at 64 a second are 2 seconds: half a request a second."""
    counts = "Total num prompt tokens:  256\nTotal num output tokens:  {}\n"
    line = "Throughput: 0.50 requests/s, 192.00 total tokens/s, 64.00 output tokens/s\n"
    run = read(line + counts.format(128))
    assert run is not None
    assert run.paces[0].tokens_per_second == 64
    assert read(line.replace("0.50", "5.00") + counts.format(1280)) is None
