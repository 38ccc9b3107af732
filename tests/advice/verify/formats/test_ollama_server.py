"""Ollama's server log, of its own engine."""

from __future__ import annotations

from helpers.paths import DATA
from selfhost.advice.verify.formats import ollama_server

SAMPLE = (DATA / "logs" / "ollama_server-cpu.txt").read_text("utf-8")


def test_memory_and_how_it_was_loaded() -> None:
    """Sizes by device; an empty cache type is f16; a tenth of the unit is all that is printed."""
    run = ollama_server.read(SAMPLE)
    assert run is not None
    assert (run.architecture, run.quantization) == ("qwen3moe", "Q4_K_M")
    assert (run.context_tokens, run.parallel, run.threads) == (4096, 1, 4)
    assert (run.kv_cache_type, run.on_processor) == ("f16", True)
    sizes = {seen.term: (seen.bytes, seen.rounded_bytes) for seen in run.memory}
    assert sizes["kv_cache"][0] == 384 << 20
    assert sizes["weights"][0] == round(10.1 * (1 << 30))
    assert sizes["weights"][1] == int(0.05 * (1 << 30))


def test_how_builds_of_the_middle_of_2025_wrote_it() -> None:
    """ollama/ollama pull request 11090 (2025-07): `buffer=` and `backend= buffer_type=`."""
    head = "time=2025-07-18T14:51:00.217Z level=INFO source=ggml.go:365 msg="
    run = ollama_server.read(
        f'{head}"" architecture=mistral3 file_type=Q8_0 name="Mistral Small" num_tensors=585\n'
        f'{head}"model weights" buffer=CUDA1 size="11.9 GiB"\n'
        f'{head}"model weights" buffer=CPU size="680.0 MiB"\n'
        f'{head}"compute graph" backend=CUDA1 buffer_type=CUDA1 size="84.0 MiB"\n'
    )
    assert run is not None
    assert (run.name, run.quantization) == ("Mistral Small", "Q8_0")
    assert [(seen.term, seen.where) for seen in run.memory] == [
        ("weights", "accelerator:1"),
        ("weights", "host"),
        ("compute", "accelerator:1"),
    ]
