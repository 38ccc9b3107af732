"""The log of llama.cpp: buffers, options and timings."""

from __future__ import annotations

import pytest

from helpers.paths import DATA
from selfhost.advice.verify.formats import llama_log

LOGS = DATA / "logs"
MIB = 1 << 20


def sample(name: str) -> str:
    return (LOGS / f"llama_log-{name}.txt").read_text("utf-8")


def test_a_server_on_the_processor() -> None:
    """The figures that llama-server printed with -lv 4 after one request."""
    run = llama_log.read(sample("server"))
    assert run is not None
    assert (run.architecture, run.quantization, run.parameters) == ("qwen2", "Q4_K_M", 494_030_000)
    assert (run.context_tokens, run.parallel, run.kv_cache_type, run.threads) == (4096, 1, "f16", 1)
    assert run.on_processor is True
    assert {seen.term: round(seen.bytes / MIB, 2) for seen in run.memory} == {
        "weights": 373.71,
        "repacked_weights": 28.05,
        "kv_cache": 48.0,
        "compute": 39.51,
    }
    paces = {pace.kind: pace for pace in run.paces}
    assert paces["prompt"].tokens == 630
    assert paces["decode"].tokens == 24
    assert paces["decode"].depth_tokens == 642


def test_buffers_on_a_gpu() -> None:
    """CUDA0 is the first accelerator, CUDA_Host and CPU_Mapped are RAM; the context is per sequence."""
    run = llama_log.read(sample("gpu"))
    assert run is not None
    assert (run.context_tokens, run.parallel, run.gpu_layers) == (2048, 4, 33)
    assert run.on_processor is False
    assert {(seen.term, seen.where): seen.bytes / MIB for seen in run.memory} == {
        ("weights", "accelerator:0"): pytest.approx(4403.49, abs=1e-5),
        ("weights", "host"): pytest.approx(281.81, abs=1e-5),
        ("kv_cache", "accelerator:0"): 1024,
        ("compute", "accelerator:0"): 560,
        ("compute", "host"): pytest.approx(24.01, abs=1e-5),
    }
    assert {pace.kind: pace.tokens_per_second for pace in run.paces} == {
        "prompt": 2000,
        "decode": 50,
    }


def test_a_model_loaded_anew_replaces_the_one_before() -> None:
    """A server's log may hold several loads; their buffers do not add up."""
    run, twice = llama_log.read(sample("gpu")), llama_log.read(sample("gpu") * 2)
    assert run is not None
    assert twice is not None
    assert run.memory == twice.memory


def test_tokens_in_no_time_are_no_pace() -> None:
    """What llama.cpp prints of a run of one token, and llama-cli of one that was cut off."""
    perf = (
        "llama_perf_context_print: prompt eval time =     512.00 ms /  1024 tokens (    0.50 ms per token,  2000.00 tokens per second)\n"
        "llama_perf_context_print:        eval time =       0.00 ms /     1 runs   (    0.00 ms per token,      inf tokens per second)\n"
    )
    for text in (perf, "[ Prompt: 2000.0 t/s | Generation: inf t/s ]\n"):
        run = llama_log.read(text)
        assert run is not None
        assert [(pace.kind, pace.tokens_per_second) for pace in run.paces] == [
            ("prompt", 2000.0),
            ("decode", None),
        ]


# as llama-server prints a model of 16 layers behind that of the sample; ahead of it stands one of `LOADS`
DRAFTER = """\
0.03.100.000 I llama_model_loader: loaded meta data with 35 key-value pairs and 147 tensors from /models/Llama-3.2-1B-Instruct-Q8_0.gguf (version GGUF V3 (latest))
0.03.100.001 I print_info: file type   = Q8_0
0.03.100.002 I print_info: arch                  = llama
0.03.100.003 I print_info: model params          = 1.24 B
0.03.100.004 I print_info: general.name          = Llama 3.2 1B Instruct
0.03.100.005 I load_tensors: offloaded 17/17 layers to GPU
0.03.100.006 I load_tensors:   CPU_Mapped model buffer size =  1252.41 MiB
0.03.100.007 I llama_context: n_ctx                 = 8192
0.03.100.008 I llama_context: n_ctx_seq             = 8192
0.03.100.009 I llama_kv_cache:        CPU KV buffer size =   136.00 MiB
0.03.100.010 I llama_kv_cache: size =  136.00 MiB (  8192 cells,  16 layers,  1/1 seqs), K (q8_0):   68.00 MiB, V (q8_0):   68.00 MiB
0.03.100.011 I sched_reserve:        CPU compute buffer size =   254.50 MiB
"""
LOADS = (
    "0.03.000.000 I common_speculative_init_result: loading draft model '/models/Llama-3.2-1B-Instruct-Q8_0.gguf'",
    "srv    load_model: loading draft model '/models/Llama-3.2-1B-Instruct-Q8_0.gguf'",
    "0.03.000.000 I common_speculative_init_result: creating MTP draft context against the target model '/models/x.gguf'",
)


def with_drafter(load: str, after: str = "") -> str:
    """The sample's log with a model loaded beside its own, where llama-server loads one."""
    head, sign, tail = sample("server").partition("0.03.529.479 I srv    load_model: initializing")
    return f"{head}{load}\n{DRAFTER}{after}{sign}{tail}"


@pytest.mark.parametrize("load", LOADS)
def test_a_model_that_drafts_is_kept_apart(load: str) -> None:
    """Nothing of the model that was asked for changes, whether it is loaded once or twice; the pace is
    that of both.
    """
    alone = llama_log.read(sample("server"))
    assert alone is not None
    for text in (with_drafter(load), with_drafter(load) * 2):
        run = llama_log.read(text)
        assert run is not None
        paces = tuple(pace.replace(drafted=False) for pace in run.paces)
        if text.count(load) == 1:
            assert run.replace(paces=paces, notes=()) == alone
        assert (run.memory, run.file, run.name) == (alone.memory, alone.file, alone.name)
        assert all(pace.drafted for pace in run.paces)
        assert "drafts" in run.notes[0]
