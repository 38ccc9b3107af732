"""llama-batched-bench: one sequence alone and the most at once, of both of its outputs."""

from __future__ import annotations

import pytest

from helpers.paths import DATA
from selfhost.advice.verify.formats import llama_bench


def sample(name: str) -> str:
    return (DATA / "logs" / f"llama_bench-batched_{name}.txt").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "rates"),
    [("table", [63.35, 12.77, 22.47]), ("jsonl", [43.331459, 10.496525, 16.51757])],
)
def test_rows_tell_one_sequence_and_the_most_at_once(name: str, rates: list[float]) -> None:
    """`-npp 64 -ntg 8 -npl 1,2,4`: S_PP and S_TG of one, S_TG of four; those of two are counted in a note."""
    run = llama_bench.read(sample(name))
    assert run is not None
    assert (run.parallel, run.threads) == (4, 1)
    shown = [(pace.kind, pace.tokens, pace.depth_tokens, pace.sequences) for pace in run.paces]
    assert shown == [("prompt", 64, 0, 1), ("decode", 8, 68, 1), ("decode", 8, 68, 4)]
    assert [pace.tokens_per_second for pace in run.paces] == rates
    assert "left out: 1" in run.notes[0]


# -npp 128,2048 -ntg 64 -npl 1,2,4: the rate of a column is its tokens over its seconds
DEPTHS = """\
main: n_kv_max = 8448, n_batch = 2048, n_ubatch = 512, flash_attn = -1, is_pp_shared = 0, n_gpu_layers = -1, n_threads = 2, n_threads_batch = 2

|    PP |     TG |    B |   N_KV |   T_PP s | S_PP t/s |   T_TG s | S_TG t/s |      T s |    S t/s |
|-------|--------|------|--------|----------|----------|----------|----------|----------|----------|
|   128 |     64 |    1 |    192 |    8.000 |    16.00 |   16.000 |     4.00 |   24.000 |     8.00 |
|   128 |     64 |    2 |    384 |   16.000 |    16.00 |   20.000 |     6.40 |   36.000 |    10.67 |
|   128 |     64 |    4 |    768 |   32.000 |    16.00 |   32.000 |     8.00 |   64.000 |    12.00 |
|  2048 |     64 |    1 |   2112 |  160.000 |    12.80 |   64.000 |     1.00 |  224.000 |     9.43 |
|  2048 |     64 |    2 |   4224 |  320.000 |    12.80 |   80.000 |     1.60 |  400.000 |    10.56 |
|  2048 |     64 |    4 |   8448 |  640.000 |    12.80 |  128.000 |     2.00 |  768.000 |    11.00 |
"""


def test_every_depth_of_one_sequence_is_told() -> None:
    """A slow deep row is no row of another number of sequences."""
    run = llama_bench.read(DEPTHS)
    assert run is not None
    shown = [(pace.kind, pace.tokens_per_second, pace.sequences) for pace in run.paces]
    assert shown == [
        ("prompt", 16.0, 1),
        ("decode", 4.0, 1),
        ("decode", 8.0, 4),
        ("prompt", 12.8, 1),
        ("decode", 1.0, 1),
    ]
    assert "left out: 3" in run.notes[0]


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
    assert llama_bench.read(text) is None
