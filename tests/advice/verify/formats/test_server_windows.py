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
