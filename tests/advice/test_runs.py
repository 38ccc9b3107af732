"""What is read of logs: those that other people published, samples of each kind, and hostile
ones.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import DATA
from selfhost.advice import runs
from selfhost.advice.run_record import Figure, Run
from selfhost.advice.runs import read_log, run_of
from selfhost.core.files import Unreadable

LOGS = DATA / "logs"
PUBLISHED = tomllib.loads((LOGS / "public.toml").read_text("utf-8"))["log"]
SAMPLES = sorted(LOGS.glob("*.txt"))
MIB = 1 << 20
_OPTIONS = ("quantization", "kv_cache_type", "gpu_layers", "context_tokens")


def sample(name: str) -> str:
    return (LOGS / f"{name}.txt").read_text("utf-8")


def read(text: str) -> Run:
    run = run_of(text)
    assert run is not None
    return run


def paces_of(run: Run) -> list[Figure]:
    return [each for each in run.figures if each.subject == "pace"]


def memory_of(run: Run) -> list[Figure]:
    return [each for each in run.figures if each.subject == "memory"]


def paces(run: Run) -> list[tuple[str, int | None, float, int | None]]:
    return sorted(
        (pace.term, pace.tokens, round(pace.seen, 2), pace.depth_tokens)
        for pace in paces_of(run)
    )


@pytest.mark.parametrize("log", PUBLISHED, ids=lambda log: log["source"])
def test_a_published_run_is_read_as_it_printed(log: dict[str, Any]) -> None:
    run = run_of(log["text"])
    if "refused" in log:
        assert run is None
        return
    assert run is not None
    rates = {pace.term: pace.seen for pace in paces_of(run)}
    printed = {kind: log[kind] for kind in ("prompt", "decode") if kind in log}
    assert rates == pytest.approx(printed, rel=0.005)
    assert {key: getattr(run, key) for key in _OPTIONS if key in log} == {
        key: log[key] for key in _OPTIONS if key in log
    }
    for key, where in (("host_mib", "host"), ("accelerator_mib", "accelerators")):
        if key in log:
            seen = sum(each.seen for each in memory_of(run) if each.where == where)
            assert seen == pytest.approx(log[key] * MIB, rel=1e-4)
    assert (run.drafts and bool(paces_of(run))) == log.get("drafts", False)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_colours_and_what_stands_before_each_line_hide_nothing(path: Any) -> None:
    """A terminal, Windows, and what docker compose and Kubernetes put before each line of a
    server's log.
    """
    lines = path.read_text("utf-8").splitlines()
    plain = run_of("\n".join(lines))
    assert plain is not None
    assert run_of("".join(f"\x1b[1;34m{line}\x1b[0m\r\n" for line in lines)) == plain
    if "log" in path.stem and "cli" not in path.stem:
        assert run_of("\n".join(f"llama-1  | {line}" for line in lines)) == plain


@pytest.mark.parametrize(
    ("name", "runtime", "model", "figures"),
    [
        # the rates that Ollama prints, with how many tokens they are of
        (
            "answers-ollama",
            "ollama",
            None,
            [("decode", 120, 24.61, 71), ("prompt", 11, 53.77, 0)],
        ),
        # 290 tokens in 20.709213 s, as /api/generate counts them in nanoseconds
        ("answers-ollama_api", "ollama", "llama3.2:3b", [("decode", 290, 14.0, 171)]),
        # `predicted_per_second`, which the counted tokens and time give
        (
            "answers-llama_server",
            "llama.cpp",
            "Qwen3-8B-Q4_K_M.gguf",
            [("decode", 128, 6.69, 128), ("prompt", 64, 14.19, 0)],
        ),
        (
            "vllm-gpu",
            "vllm",
            "Qwen/Qwen2.5-0.5B-Instruct",
            [("decode", None, 309.65, None)],
        ),
    ],
)
def test_the_figures_that_each_program_prints(
    name: str,
    runtime: str,
    model: str | None,
    figures: list[tuple[str, int, float, int]],
) -> None:
    run = read(sample(name))
    assert (run.runtime, run.name) == (runtime, model)
    assert set(figures) <= set(paces(run))


def test_rows_without_a_pace_are_left_out() -> None:
    run = read(
        sample("llama_bench-table").replace("27.09 ", "nan ").replace(" | ", "\t| ")
    )
    assert paces(run) == [("decode", 16, 5.04, 8)]
    assert run.notes == ("Tests whose pace is not a number (nan) are left out.",)


def test_flash_attention_on_is_what_is_predicted() -> None:
    """`-fa 0,1`: of a published run on an RX 7900 XTX the tests with it; those of the second card,
    which stand below under the same names, are another run
    (1337hero/rx7900xtx-llama-bench-vulcan, 2025-12).
    """
    head = "| model | size | params | backend | ngl | fa | test | t/s |\n"
    row = (
        "| llama 7B Q4_0 | 3.56 GiB | 6.74 B | Vulkan | 100 | {} | tg128 | {} ± 0.1 |\n"
    )
    device = "ggml_vulkan: 0 = AMD Radeon RX 7900 XTX (RADV NAVI31) (radv) | uma: 0 | fp16: 1\n"
    first = device + head + row.format(0, 86.06) + row.format(1, 129.07)
    run = read(first + device + head + row.format(0, 32.04) + row.format(1, 57.67))
    assert [pace.seen for pace in paces_of(run)] == [129.07]
    assert run.gpu == "AMD Radeon RX 7900 XTX"
    assert "left out: 3" in run.notes[0]


def test_a_server_on_the_processor() -> None:
    """The figures that llama-server printed with -lv 4 after one request."""
    run = read(sample("llama_log-server"))
    assert (run.quantization, run.parameters) == ("Q4_K_M", 494_030_000)
    assert (run.context_tokens, run.parallel, run.kv_cache_type, run.threads) == (
        4096,
        1,
        "f16",
        1,
    )
    assert run.on_processor is True
    assert {seen.term: round(seen.seen / MIB, 2) for seen in memory_of(run)} == {
        "weights": 373.71,
        "repacked_weights": 28.05,
        "kv_cache": 48.0,
        "compute": 39.51,
    }
    assert [each[:2] for each in paces(run)] == [("decode", 24), ("prompt", 630)]


def test_buffers_on_a_gpu() -> None:
    """CUDA0 is an accelerator, CUDA_Host and CPU_Mapped are RAM; the context is per sequence. A
    model that is loaded anew replaces the one before.
    """
    run = read(sample("llama_log-gpu"))
    assert read(sample("llama_log-gpu") * 2) == run
    assert (run.context_tokens, run.parallel, run.gpu_layers, run.cards) == (
        2048,
        4,
        33,
        1,
    )
    assert run.on_processor is False
    sizes = {
        (seen.term, seen.where): round(seen.seen / MIB, 2) for seen in memory_of(run)
    }
    assert sizes == {
        ("weights", "accelerators"): 4403.49,
        ("weights", "host"): 281.81,
        ("kv_cache", "accelerators"): 1024,
        ("compute", "accelerators"): 560,
        ("compute", "host"): 24.01,
    }
    assert {pace.term: pace.seen for pace in paces_of(run)} == {
        "prompt": 2000,
        "decode": 50,
    }


# as llama-server prints a model of 16 layers behind that of the sample; ahead of it stands one of
# `LOADS`
DRAFTER = """\
0.03.100.000 I llama_model_loader: loaded meta data with 35 key-value pairs and 147 tensors from /models/Llama-3.2-1B-Instruct-Q8_0.gguf (version GGUF V3 (latest))
0.03.100.003 I print_info: model params          = 1.24 B
0.03.100.006 I load_tensors:   CPU_Mapped model buffer size =  1252.41 MiB
0.03.100.008 I llama_context: n_ctx_seq             = 8192
0.03.100.009 I llama_kv_cache:        CPU KV buffer size =   136.00 MiB
0.03.100.011 I sched_reserve:        CPU compute buffer size =   254.50 MiB
"""
LOADS = (
    "0.03.000.000 I common_speculative_init_result: loading draft model '/models/Llama-3.2-1B-Instruct-Q8_0.gguf'",
    "0.03.000.000 I common_speculative_init_result: creating MTP draft context against the target model '/models/x.gguf'",
)


@pytest.mark.parametrize("load", LOADS)
def test_a_model_that_drafts_is_kept_apart(load: str) -> None:
    """Nothing of the model that was asked for changes; the pace is that of both."""
    alone = read(sample("llama_log-server"))
    head, sign, tail = sample("llama_log-server").partition(
        "0.03.529.479 I srv    load_model: in"
    )
    run = read(f"{head}{load}\n{DRAFTER}{sign}{tail}")
    assert run.replace(drafts=False, notes=()) == alone
    assert run.drafts
    assert "draft" in run.notes[0]


def begun(task: int) -> str:
    return f"slot launch_slot_: id  0 | task {task} | processing task, is_child = 0\n"


def ended(task: int, prompt: int, written: int, rate: float, held: int) -> str:
    milliseconds = written * 1000 / rate
    return (
        f"slot print_timing: id  0 | task {task} | \n"
        f"prompt eval time =     100.00 ms /  {prompt} tokens (    1.00 ms per token,   900.00 tokens per second)\n"
        f"       eval time =  {milliseconds:.2f} ms /  {written} tokens (   1.00 ms per token, {rate:.2f} tokens per second)\n"
        f"slot      release: id  0 | task {task} | stop processing: n_tokens = {held}, truncated = 0\n"
    )


def test_of_several_requests_those_alone_count() -> None:
    """59.96 tokens/s of one alone; each of 16 at once had 10.35 of the same machine, a server of 16
    slots (hogeheer499-commits/strix-halo-guide: llama-server-np16.log).
    """
    alone = begun(0) + ended(0, 24, 128, 59.96, 151)
    together = "".join(begun(task) for task in range(131, 147))
    together += "".join(ended(task, 24, 128, 10.35, 151) for task in range(131, 147))
    run = read(alone + together)
    assert paces(run)[0][2] == 59.96
    assert not any(pace.shared for pace in paces_of(run))
    assert "left out: 16." in run.notes[1]
    assert all(pace.shared for pace in paces_of(read(together)))


def test_what_a_cache_held_back_stands_in_the_context() -> None:
    """7,007 tokens at the end of an answer of 717: 6,290 before it, of which 4,914 were read anew
    (acdtrx/llama-runner: llama-server.log). A short prompt behind a cached one hides no long one.
    """
    run = read(begun(65) + ended(65, 4914, 717, 17.75, 7007))
    assert {pace.term: pace.depth_tokens for pace in paces_of(run)} == {
        "prompt": 1376,
        "decode": 6290 + 717 // 2,
    }
    text = (
        "prompt eval time =    2795.77 ms /   253 tokens (   11.05 ms per token,    90.49 tokens per second)\n"
        "       eval time =   11475.19 ms /    80 tokens (  145.26 ms per token,     6.88 tokens per second)\n"
        "prompt eval time =     620.20 ms /     9 tokens (   68.91 ms per token,    14.51 tokens per second)\n"
    )
    assert paces(read(text))[1][:3] == ("prompt", 253, 90.49)


def window(pace: float, running: int, prompt: float = 0.0) -> str:
    return (
        f"INFO 11-20 12:00:00 [loggers.py:127] Engine 000: Avg prompt throughput: {prompt} tokens/s,"
        f" Avg generation throughput: {pace} tokens/s, Running: {running} reqs, Waiting: 0 reqs\n"
    )


def test_only_whole_windows_of_vllm_count() -> None:
    """One in which a request began or ended, or a prompt was read, answers for a part of its
    time.
    """
    windows = (
        window(20.0, 1)
        + window(21.0, 1)
        + window(9.0, 1, prompt=80.0)
        + window(22.0, 1)
    )
    run = read(window(5.0, 1) + windows + window(3.0, 0))
    assert [(pace.seen, pace.sequences) for pace in paces_of(run)] == [(21.0, 1)]
    assert run_of(window(5.0, 1) + window(3.0, 0)) is None


def test_what_vllm_loaded_is_told() -> None:
    """By the two ways in which builds write it; of one of several cards it is a part, and not
    compared.
    """
    old = "INFO 05-22 [model_runner.py] Loading model weights took 14.99 GB\n"
    new = "INFO [gpu_model_runner.py] Model loading took 14.9902 GiB and 5.4 seconds\n"
    for line, rounded in ((old, 0.005), (new, 0.00005)):
        run = read(
            "args: {'model': 'meta-llama/Llama-3.1-8B', 'max_model_len': 8192}\n" + line
        )
        assert (run.name, run.context_tokens) == ("meta-llama/Llama-3.1-8B", 8192)
        (seen,) = memory_of(run)
        assert abs(seen.seen / 2**30 - 14.99) < 0.001
        assert abs(seen.rounding / 2**30 - rounded) < 1e-5
    assert run_of(new + "tensor_parallel_size=2, pipeline_parallel_size=1\n") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "nothing of a run\n",
        "[" * 100_000,
        '{"timings": 3}',
        "| model | test | t/s |\n| a | tg128 | nan |\n",
        "The eval rate: 9999 tokens/s is what you asked about.\n",
        "[ Prompt: nan t/s | Generation: inf t/s ]\n",
        "loading draft model" * 10_000,
        # of programs that are not read
        "Prompt: 10 tokens, 100.000 tokens-per-sec\nGeneration: 100 tokens, 50.000 tokens-per-sec\n",
        "CtxLimit:1/2, Process:21.22s (1.3ms/T = 767.28T/s), Generate:23.24s (232.4ms/T = 4.30T/s)\n",
    ],
)
def test_nothing_else_is_taken_for_a_run(text: str) -> None:
    assert run_of(text) is None


# ------------------------------------------------------------------ long logs
REQUEST = (
    "prompt eval time =     400.00 ms /    40 tokens (   10.00 ms per token,   100.00 tokens per second)\n"
    "       eval time =     500.00 ms /    10 runs   (   50.00 ms per token,    20.00 tokens per second)\n"
)


def paces_by_kind(text: str) -> dict[str, tuple[float, int | None]]:
    run = run_of(text)
    assert run is not None
    return {figure.term: (figure.seen, figure.tokens) for figure in run.figures}


def test_of_requests_without_a_task_the_longest_count() -> None:
    """As a program for one user writes them: answers of 10 tokens, and one of 128."""
    longest = REQUEST.replace("500.00 ms /    10 runs", "12800.00 ms /   128 runs")
    longest = longest.replace("20.00 tokens", "10.00 tokens")
    assert paces_by_kind(REQUEST * 3 + longest + REQUEST) == {
        "prompt": (100.0, 40),
        "decode": (10.0, 128),
    }


def test_a_log_of_many_requests_keeps_no_name_that_grows() -> None:
    """Thirty thousand requests took 600 MB: the name of each was one letter longer."""
    import tracemalloc

    text = REQUEST * 4_000
    tracemalloc.start()
    try:
        run_of(text)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # some kB a request
    assert peak_bytes < 4_000 * 6_000 + 4 * len(text)


@pytest.mark.parametrize(
    "encoding",
    [
        pytest.param("utf-8", id="UTF-8"),
        pytest.param("utf-16", id="as Windows PowerShell writes it"),
        pytest.param("utf-16-be", id="the other order of bytes"),
    ],
)
@pytest.mark.parametrize(
    "zeros", [pytest.param(0, id="whole"), pytest.param(20_000, id="emptied")]
)
def test_of_a_long_log_the_start_and_the_end_are_read(
    encoding: str, zeros: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a sixteenth of what is read of a real one, and a log of so much less
    monkeypatch.setattr(runs, "_START_BYTES", 2**17)
    monkeypatch.setattr(runs, "_END_BYTES", 2**18)
    between = "srv  log_server_r: request: GET /health 127.0.0.1 200\n" * 8_000
    text = f"llama_model_loader: the start\n{between}{REQUEST}the end\n"
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    path = tmp_path / "server.log"
    path.write_bytes(b"\0" * zeros + (mark + text).encode(encoding))
    told: list[int] = []
    read = read_log(str(path), lambda done, _total: told.append(done))
    assert read.startswith("llama_model_loader: the start\n")
    assert read.endswith(f"{REQUEST}the end\n")
    assert len(read) < 1.1 * (2**17 + 2**18)
    assert told[-1] == path.stat().st_size
    assert paces_by_kind(read) == {"prompt": (100.0, 40), "decode": (20.0, 10)}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("a", id="a letter"),
        pytest.param("line\n" * 10, id="short"),
        pytest.param("line\n" * 500_000, id="longer than its start"),
    ],
)
def test_a_log_that_is_not_long_is_read_whole(text: str, tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    path.write_text(text, encoding="utf-8", newline="")
    if not text:
        with pytest.raises(Unreadable, match="is empty"):
            read_log(str(path))
        return
    assert read_log(str(path)) == text
