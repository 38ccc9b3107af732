"""Asks the library of canirun 1.0.1: pip install canirun==1.0.1

    VENV/bin/python benchmarks/peers/ask_canirun.py

The program reads config.json from a hub, so that offline its `calculate()` alone is asked. Given: parameters,
layers and heads as the hub states them, the memory of the machine. Not given: windows, for which it has no
field, and quantizations but its three (4 bits, 8 bits, 16 bits). It predicts no speed.
"""

from __future__ import annotations

from canirun.logic import ModelAnalyzer

import board
from board import GIB, Answer, MemoryQuestion

SIZES = {"Q4_K_M": "4-bit", "MXFP4": "4-bit", "Q8_0": "INT8"}
# what it adds to weights and cache
OVERHEAD_BYTES = 1.5 * GIB


def ask_memory(question: MemoryQuestion) -> Answer:
    model = board.models()[question.model]
    size = SIZES.get(question.quantization)
    if size is None:
        return Answer(id=question.id, why="quantization not offered")
    analyzer = ModelAnalyzer.__new__(ModelAnalyzer)
    analyzer.specs = {
        "ram": question.ram_gib * GIB,
        "vram": question.gpu_gib * GIB,
        "name": question.gpu,
        "is_mac": False,
    }
    facts = {
        "params_billions": model.parameters / 1e9,
        "hidden_size": model.hidden,
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.kv_heads,
        "vocab_size": model.vocabulary,
    }
    rows = analyzer.calculate(facts, question.context)
    (row,) = [row for row in rows if row["quant"] == size]
    return Answer(
        id=question.id,
        fits=row["status"].name == "FULL",
        weights=round(row["total_ram"] - row["kv_cache"] - OVERHEAD_BYTES),
        kv=row["kv_cache"],
        total=round(row["total_ram"]),
    )


if __name__ == "__main__":
    board.ask("canirun", ask_memory, None)
