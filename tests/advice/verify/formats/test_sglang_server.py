"""The log of SGLang's server."""

from __future__ import annotations

from helpers.paths import DATA
from selfhost.advice.verify.formats.sglang_server import read

SAMPLE = (DATA / "logs" / "sglang_server-alone.txt").read_text("utf-8")


def decoded(running: int, tokens: int, pace: float, rank: str = " TP0") -> str:
    return (
        f"[2025-02-27 04:46:39{rank}] Decode batch. #running-req: {running}, #token: {tokens},"
        f" token usage: 0.12, gen throughput (token/s): {pace}, #queue-req: 0\n"
    )


def test_the_line_behind_a_prompt_does_not_count() -> None:
    """12.30 holds the time of the prompt; of the others the median, behind 184 tokens."""
    run = read(SAMPLE)
    assert run is not None
    assert (run.runtime, run.name, run.context_tokens) == (
        "sglang",
        "Qwen/Qwen2.5-0.5B-Instruct",
        8192,
    )
    (pace,) = run.paces
    assert (pace.tokens_per_second, pace.depth_tokens, pace.sequences) == (231.5, 184, 1)


def test_eight_at_once_are_their_sum() -> None:
    """sgl-project/sglang#3909 (2025-02)."""
    run = read(decoded(8, 62531, 186.64) + decoded(8, 62851, 185.93) + decoded(8, 63171, 186.99))
    assert run is not None
    (pace,) = run.paces
    assert (pace.sequences, pace.depth_tokens) == (8, 63011 // 8)
    assert pace.tokens_per_second == (185.93 + 186.99) / 2


def test_copies_of_the_model_are_not_added() -> None:
    """Each of several copies (DP) tells of its own requests alone."""
    run = read("".join(decoded(1, 64, pace, f" DP{pace:.0f} TP0") for pace in (0.0, 1.0)))
    assert run is None


def test_drafts_make_it_incomparable() -> None:
    run = read(SAMPLE.replace("cuda graph: True", "accept len: 2.75, cuda graph: True"))
    assert run is not None
    assert run.paces[0].drafted
