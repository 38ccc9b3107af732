"""Asks the library of hf-mem 0.5.6: pip install hf-mem==0.5.6

    VENV/bin/python benchmarks/peers/ask_hfmem.py

The program reads a hub alone, so that offline its function for the cache of a GGUF file is asked. Given: the
fields of the file's header, and the size of the file. Not given: a machine, of which it judges none. It predicts
no speed.
"""

from __future__ import annotations

from hf_mem.gguf.kv_cache import compute_gguf_kv_cache_size

import board
from board import Answer, MemoryQuestion


def ask_memory(question: MemoryQuestion) -> Answer:
    model = board.models()[question.model]
    header = {
        "block_count": model.layers,
        "head_count_kv": model.kv_heads,
        "head_count": model.heads,
        "embedding_length": model.hidden,
        "context_length": question.context,
    }
    kv_bytes = compute_gguf_kv_cache_size(header, "F16")
    return Answer(
        id=question.id,
        weights=question.weights,
        kv=kv_bytes,
        total=question.weights + kv_bytes,
    )


if __name__ == "__main__":
    board.ask("hf-mem", ask_memory, None)
