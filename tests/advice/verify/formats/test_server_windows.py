"""The logs of servers of vLLM and SGLang."""

from __future__ import annotations

from helpers.paths import DATA
from selfhost.advice.verify.formats.server_windows import read

SGLANG = (DATA / "logs" / "server_windows-sglang.txt").read_text("utf-8")


def window(pace: float, running: int, prompt: float = 0.0) -> str:
    return (
        f"INFO 11-20 12:00:00 [loggers.py:127] Engine 000: Avg prompt throughput: {prompt} tokens/s,"
        f" Avg generation throughput: {pace} tokens/s, Running: {running} reqs, Waiting: 0 reqs\n"
    )


def test_only_whole_windows_count() -> None:
    """One in which a request began or ended, or a prompt was read, answers for a part of its time."""
    text = (
        window(5.0, 1)
        + window(20.0, 1)
        + window(21.0, 1)
        + window(9.0, 1, prompt=80.0)
        + window(22.0, 1)
        + window(3.0, 0)
    )
    run = read(text)
    assert run is not None
    (pace,) = run.paces
    assert (pace.tokens_per_second, pace.sequences) == (21.0, 1)
    assert read(window(5.0, 1) + window(3.0, 0)) is None


def test_several_requests_at_once_are_their_sum() -> None:
    """Where none was answered alone, the number that most windows had."""
    run = read(window(9.0, 4) + window(80.0, 4) + window(82.0, 4) + window(99.0, 5))
    assert run is not None
    assert run.parallel == 4
    assert run.paces[0].sequences == 4
    alone = read(window(9.0, 1) + window(30.0, 1) + window(50.0, 2) + window(60.0, 2))
    assert alone is not None
    assert (alone.parallel, alone.paces[0].tokens_per_second) == (1, 30.0)
    assert "1" in alone.notes[0]


def test_what_it_loaded_is_told() -> None:
    """By the two ways in which builds write it; of one of several cards it is a part, and not compared."""
    old = "INFO 05-22 [model_runner.py] Loading model weights took 14.99 GB\n"
    new = "INFO [gpu_model_runner.py] Model loading took 14.9902 GiB and 5.4 seconds\n"
    for line, rounded in ((old, 0.005), (new, 0.00005)):
        run = read("args: {'model': 'meta-llama/Llama-3.1-8B', 'max_model_len': 8192}\n" + line)
        assert run is not None
        assert (run.name, run.context_tokens) == ("meta-llama/Llama-3.1-8B", 8192)
        (seen,) = run.memory
        assert abs(seen.bytes / 2**30 - 14.99) < 0.001
        assert abs(seen.rounded_bytes / 2**30 - rounded) < 1e-5
    assert read(new + "tensor_parallel_size=2, pipeline_parallel_size=1\n") is None


def test_drafts_make_a_pace_incomparable() -> None:
    """A step then gives several tokens."""
    text = window(9.0, 1) + window(30.0, 1) + "[metrics.py] SpecDecoding metrics: Mean acceptance\n"
    run = read(text)
    assert run is not None
    assert run.paces[0].drafted


def test_a_window_in_which_a_long_prompt_was_read_is_no_whole_one() -> None:
    """vLLM tells the tokens of a prompt when it ends: before that a window reads 0.0 and writes next
    to nothing (sostrowsk/dgx-spark-local-llm: vllm-int4-long.log).
    """
    parts = window(2.4, 1, prompt=1391.0) + window(0.4, 1) + window(0.8, 1, prompt=7383.4)
    assert read(parts) is None
    run = read(parts + window(30.0, 1) + window(31.0, 1))
    assert run is not None
    assert run.paces[0].tokens_per_second == 30.5


def test_a_file_of_a_cache_names_its_repository() -> None:
    path = "/home/someone/.cache/huggingface/hub/models--Qwen--Qwen2.5-0.5B-Instruct/snapshots/7ae"
    run = read(f"args: {{'model': '{path}'}}\n" + window(9.0, 1) + window(30.0, 1))
    assert run is not None
    assert run.name == "Qwen/Qwen2.5-0.5B-Instruct"


def decoded(running: int, tokens: int, pace: float, rank: str = " TP0") -> str:
    return (
        f"[2025-02-27 04:46:39{rank}] Decode batch. #running-req: {running}, #token: {tokens},"
        f" token usage: 0.12, gen throughput (token/s): {pace}, #queue-req: 0\n"
    )


def test_the_line_behind_a_prompt_does_not_count() -> None:
    """12.30 holds the time of the prompt; of the others the median, behind 184 tokens."""
    run = read(SGLANG)
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


def test_drafts_of_sglang_make_it_incomparable() -> None:
    run = read(SGLANG.replace("cuda graph: True", "accept len: 2.75, cuda graph: True"))
    assert run is not None
    assert run.paces[0].drafted
