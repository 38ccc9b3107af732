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
