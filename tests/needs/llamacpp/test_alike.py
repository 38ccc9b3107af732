"""Contexts for which one result stands: compute buffer and program take for each the same bytes."""

from __future__ import annotations

from functools import cache

from helpers.each import each
from selfhost.catalogue.opened import open_catalogue
from selfhost.needs.estimate import _subject
from selfhost.needs.llamacpp.load import load_of
from selfhost.needs.llamacpp.memory import _buffers
from selfhost.needs.llamacpp.program import longest_alike
from selfhost.needs.parts import Asked
from selfhost.verdict.question import architectures

catalogue = cache(open_catalogue)
# a batch, what a server goes back to, windows of 128 to 4,096 tokens and one of each with both,
# each with its neighbours; and lengths that fill no cell
CONTEXTS = sorted(
    {edge + step for edge in (512, 516, 640, 1024, 1540, 4096, 4612, 8192) for step in (-1, 0, 1)}
    | {1, 255, 300, 700, 777, 2000, 5000, 5119, 33_000}
)


@each(
    "model",
    [
        "mistral-7b", "gemma-2-9b", "gemma-3-12b", "gpt-oss-20b", "phi-3-mini", "deepseek-v3",
        "granite-4.0-h-small", "mamba-2.8b", "falcon-h1-7b", "lfm2-1.2b", "bge-m3", "gpt2",
    ],
)  # fmt: skip
@each(("parallel", "cache_type"), [(1, "f16"), (3, "q8_0")])
def test_contexts_of_the_same_cells(model: str, parallel: int, cache_type: str) -> None:
    """What is worked out for the longest of them is what each by itself comes to, arithmetic and all."""
    from selfhost.catalogue.names import resolve

    spec = catalogue().spec(resolve(model, catalogue()).spec_id)
    subject = _subject(spec, architectures(catalogue()))
    for program in ("llama.cpp", "ollama"):
        runtime = catalogue().runtime(program)
        for context_tokens in CONTEXTS:
            asked = Asked(
                quantization="Q4_K_M",
                context_tokens=context_tokens,
                parallel=parallel,
                key_type=cache_type,
                value_type=cache_type,
            )
            load = load_of(subject, runtime, asked)
            assert load is not None
            alike = longest_alike(load)
            if alike is not load:
                alone = _buffers.__wrapped__
                assert alone(load, "Q4_K_M") == alone(alike, "Q4_K_M"), context_tokens
