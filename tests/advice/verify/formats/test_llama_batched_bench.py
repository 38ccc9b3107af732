"""llama-batched-bench: one sequence alone and the most at once, of both of its outputs."""

from __future__ import annotations

import pytest

from helpers.paths import DATA
from selfhost.advice.verify.formats import llama_batched_bench


def sample(name: str) -> str:
    return (DATA / "logs" / f"llama_batched_bench-{name}.txt").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "rates"),
    [("table", [63.35, 12.77, 22.47]), ("jsonl", [43.331459, 10.496525, 16.51757])],
)
def test_rows_tell_one_sequence_and_the_most_at_once(name: str, rates: list[float]) -> None:
    """`-npp 64 -ntg 8 -npl 1,2,4`: S_PP and S_TG of one, S_TG of four; those of two are counted in a note."""
    run = llama_batched_bench.read(sample(name))
    assert run is not None
    assert (run.parallel, run.threads) == (4, 1)
    shown = [(pace.kind, pace.tokens, pace.depth_tokens, pace.sequences) for pace in run.paces]
    assert shown == [("prompt", 64, 0, 1), ("decode", 8, 68, 1), ("decode", 8, 68, 4)]
    assert [pace.tokens_per_second for pace in run.paces] == rates
    assert "left out: 1" in run.notes[0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        sample("table").partition("|-------")[0],
        '{"speed_tg": 1, "pl": 1}',
        '{"speed_tg": ' + "[" * 100_000,
        sample("table")
        .replace("|    1 |", "|  one |")
        .replace("|    2 |", "| -2 |")
        .replace("|    4 |", "| 1e9 |"),
    ],
)
def test_what_is_cut_or_another_table_tells_nothing(text: str) -> None:
    """No head without rows, no record without all of its keys, no number of sequences that is none."""
    assert llama_batched_bench.read(text) is None
