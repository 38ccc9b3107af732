"""llama-bench and llama-batched-bench: every output of one run tells the same, and hostile ones tell nothing."""

from __future__ import annotations

import json

import pytest

from helpers.paths import DATA
from selfhost.advice.verify.formats import llama_bench

LOGS = DATA / "logs"


def sample(name: str) -> str:
    return (LOGS / f"llama_bench-{name}.txt").read_text("utf-8")


@pytest.mark.parametrize("name", ["json", "jsonl", "csv"])
def test_records_tell_model_options_and_paces(name: str) -> None:
    """The three machine-readable outputs of the same command give the same run, but for its paces."""
    run = llama_bench.read(sample(name))
    assert run is not None
    assert (run.architecture, run.quantization, run.parameters) == ("llama", "Q4_K_M", 134515008)
    assert run.file is not None
    assert run.file.endswith("smollm2-135m-instruct-Q4_K_M.gguf")
    assert (run.threads, run.on_processor, run.version) == (1, True, "0c1e570")
    assert [(pace.kind, pace.tokens, pace.depth_tokens) for pace in run.paces] == [
        ("prompt", 64, 0),
        ("decode", 8, 4),
    ]


def test_the_table_tells_paces_and_shape() -> None:
    """`27.09 ± …` of pp128 and `5.04 ± …` of tg16; the model by 494.03 M parameters of qwen2."""
    run = llama_bench.read(sample("table"))
    assert run is not None
    assert (run.architecture, run.quantization, run.parameters) == ("qwen2", "Q4_K_M", 494_030_000)
    assert [(pace.kind, pace.tokens_per_second) for pace in run.paces] == [
        ("prompt", 27.09),
        ("decode", 5.04),
    ]
    assert run.file is None


def test_tests_of_another_model_are_left_out() -> None:
    """One run is of one model: what differs is counted in a note."""
    rows = json.loads(sample("json"))
    other = {**rows[1], "model_filename": "other.gguf", "avg_ts": 999.0}
    run = llama_bench.read(json.dumps([*rows, other]))
    assert run is not None
    assert len(run.paces) == 2
    assert "left out: 1" in run.notes[0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "[" * 100_000,
        "[1, 2]",
        '[{"model_filename": 1}]',
        "build_commit,\n" + '"' * 200_000,
        "| model | test | t/s |\n| a | tg128 | nan |\n",
        sample("json")[:900],
        "INSERT INTO a (" + "b, " * 100_000 + "c) VALUES (" + "'" * 100_000 + ");",
        sample("csv")[:300],
    ],
)
def test_what_is_cut_or_nonsense_holds_no_figures(text: str) -> None:
    """None, or a run without figures; never an exception of another kind."""
    from selfhost.core.files import Unreadable

    try:
        run = llama_bench.read(text)
    except Unreadable:
        return
    assert run is None or not run.holds_figures


def test_flash_attention_on_is_what_is_predicted() -> None:
    """`-fa 0,1`: of a published run on an RX 7900 XTX the tests with it; those of the second card,
    which stand below under the same names, are another run
    (1337hero/rx7900xtx-llama-bench-vulcan, 2025-12).
    """
    head = "| model | size | params | backend | ngl | fa | test | t/s |\n"
    row = "| llama 7B Q4_0 | 3.56 GiB | 6.74 B | Vulkan | 100 | {} | tg128 | {} ± 0.1 |\n"
    device = "ggml_vulkan: 0 = AMD Radeon RX 7900 XTX (RADV NAVI31) (radv) | uma: 0 | fp16: 1\n"
    first = device + head + row.format(0, 86.06) + row.format(1, 129.07)
    run = llama_bench.read(first + device + head + row.format(0, 32.04) + row.format(1, 57.67))
    assert run is not None
    assert [pace.tokens_per_second for pace in run.paces] == [129.07]
    assert (run.flash_attention, run.gpu) == (True, "AMD Radeon RX 7900 XTX")
    assert "left out: 3" in run.notes[0]


@pytest.mark.parametrize(
    ("name", "rates"),
    [("table", [63.35, 12.77, 22.47]), ("jsonl", [43.331459, 10.496525, 16.51757])],
)
def test_rows_tell_one_sequence_and_the_most_at_once(name: str, rates: list[float]) -> None:
    """`-npp 64 -ntg 8 -npl 1,2,4`: S_PP and S_TG of one, S_TG of four; those of two are counted in a note."""
    run = llama_bench.read(sample(f"batched_{name}"))
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
